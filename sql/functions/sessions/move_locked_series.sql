create or replace function bookingdb.move_locked_series(
    p_sessions public.sessions[],
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_time_zone text
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_move record;
    v_sqlstate text;
    v_message text;
    v_detail text;
    v_hint text;
begin
    -- All give up their time first: none is in the way of another that moves.
    delete from bookingdb.calendar as c
    where c.id = any (array(select s.id from unnest(p_sessions) as s)) and c.kind = 'session';

    for v_move in
        select z.session, z.place, z.time_zone,
            case when z.place = 1 then p_session_date else z.local_date + (p_session_date - z.first_date) end
                as session_date
        from (
            select y.session, y.place, y.time_zone, y.local_date,
                first_value(y.local_date) over (order by y.place) as first_date
            from (
                select x.session, x.place, t.time_zone,
                    ((x.session).start_time at time zone t.time_zone)::date as local_date
                from (
                    select s as session, row_number() over () as place
                    from unnest(p_sessions) as s
                ) as x
                cross join lateral (
                    select bookingdb.resolve_time_zone(
                        coalesce(p_time_zone, (x.session).time_zone),
                        bookingdb.time_zone_of((x.session).therapist_id)
                    ) as time_zone
                ) as t
            ) as y
        ) as z
        -- A day or week that may have no more sessions is left by one before the next comes in: whoever moves to later
        -- days begins with the last.
        order by case when p_session_date > z.first_date then - z.place else z.place end
    loop
        begin
            perform bookingdb.move_locked_session(
                v_move.session, bookingdb.authorise_for_session(v_move.session),
                v_move.session_date, p_session_time, v_move.time_zone,
                bookingdb.local_instant(v_move.session_date, p_session_time, v_move.time_zone),
                coalesce(p_duration_minutes, bookingdb.length_in_minutes(v_move.session))
            );
        exception
            when others then
                get stacked diagnostics
                    v_sqlstate = returned_sqlstate,
                    v_message = message_text,
                    v_detail = pg_exception_detail,
                    v_hint = pg_exception_hint;
                -- An application's trigger may raise any error: it passes as it is.
                if not starts_with(v_sqlstate, 'PT') or not starts_with(v_detail, '{') then
                    raise;
                end if;
                perform bookingdb.raise_again(
                    jsonb_build_object(
                        'sqlstate', v_sqlstate, 'message', v_message, 'detail', v_detail, 'hint', v_hint
                    ),
                    jsonb_build_object(
                        'session_id', (v_move.session).id, 'occurrence', v_move.place,
                        'session_date', v_move.session_date
                    )
                );
        end;
    end loop;
end;
$function$;

comment on function bookingdb.move_locked_series(public.sessions[], date, time, integer, text) is
'Moves the first session to a local time, and the others by as many days. Caller holds: the locks of their rows and of all their people.';
