create or replace function bookingdb.move_locked_series(
    p_sessions public.sessions[],
    p_first bookingdb.local_start,
    p_duration_minutes integer
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    -- A direct writer may have written any other time.
    c_usual constant tstzrange := '[1900-01-01 00:00:00+00, 3000-01-01 00:00:00+00)';
    v_move record;
    v_sqlstate text;
    v_message text;
    v_detail text;
    v_hint text;
begin
    -- All give up their time first: none is in the way of another that moves.
    delete from bookingdb.calendar as c
    where c.id = any (array(select s.id from unnest(p_sessions) as s)) and c.kind = 'session';

    -- The expired holds in the way of all, in their order. (A skipped time is refused below.)
    perform bookingdb.remove_expired_holds(
        array(
            select p.id
            from unnest(p_sessions) as s
            cross join lateral (values (s.therapist_id), (s.user_id)) as p (id)
        ),
        (
            select range_agg(bookingdb.blocked_time(
                bookingdb.policy_of(s.therapist_id),
                tstzrange(n.start_time, n.start_time + make_interval(
                    mins => coalesce(p_duration_minutes, bookingdb.length_in_minutes(s))
                ))
            ))
            from unnest(p_sessions) as s
            cross join lateral (
                select bookingdb.wall_clock_instant(
                    (s.start_time at time zone p_first.time_zone)::date
                    + (p_first.scheduled_date - (p_sessions[1].start_time at time zone p_first.time_zone)::date)
                    + p_first.scheduled_time,
                    p_first.time_zone
                ) as start_time
                where s.start_time <@ c_usual and p_sessions[1].start_time <@ c_usual
                union all
                select p_first.start_time
            ) as n
        )
    );

    for v_move in
        select y.session, y.place, y.first_date,
            case
                when y.place = 1 then p_first.scheduled_date
                else y.local_date + (p_first.scheduled_date - y.first_date)
            end as session_date
        from (
            select x.session, x.place, x.local_date, first_value(x.local_date) over (order by x.place) as first_date
            from (
                select s as session, row_number() over () as place,
                    (s.start_time at time zone p_first.time_zone)::date as local_date
                from unnest(p_sessions) as s
            ) as x
        ) as y
        -- A day or week that may have no more sessions is left by one before the next comes in: a move to a later time
        -- begins with the last. (Times, not dates: days count in the policy's zone.)
        order by case when p_first.start_time > p_sessions[1].start_time then - y.place else y.place end
    loop
        begin
            perform bookingdb.move_locked_session(
                v_move.session, bookingdb.authorise_for_session(v_move.session),
                v_move.session_date, p_first.scheduled_time, p_first.time_zone,
                case
                    when v_move.place = 1 then p_first.start_time
                    else bookingdb.local_instant(v_move.session_date, p_first.scheduled_time, p_first.time_zone)
                end,
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

comment on function bookingdb.move_locked_series(public.sessions[], bookingdb.local_start, integer) is
'Moves the first session to p_first, and the others by as many days and to the same local time. Caller holds: the locks of their rows and of all their people.';
