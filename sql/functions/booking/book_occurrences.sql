create or replace function bookingdb.book_occurrences(
    p_series_id uuid,
    p_user_id uuid,
    p_therapist_id uuid,
    p_first bookingdb.local_start,
    p_occurrences integer,
    p_every interval,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_skips boolean
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy constant bookingdb.effective_policy := bookingdb.policy_of(p_therapist_id);
    v_date date;
    v_start timestamptz;
    v_sqlstate text;
    v_message text;
    v_detail text;
    v_hint text;
    v_error jsonb;
    v_first_error jsonb;
    v_booked bookingdb.booked_session;
    v_outcomes jsonb := '[]';
    v_is_booked boolean := false;
begin
    -- Expired holds in the way of all occurrences go at once, in their order, and before a block that may be undone: a
    -- call that waits for one would go on waiting for the series, in vain. (A skipped time is refused below.)
    perform bookingdb.remove_expired_holds(array[p_therapist_id, p_user_id], (
        select range_agg(bookingdb.blocked_time(
            v_policy,
            tstzrange(s.start_time, s.start_time + make_interval(mins => p_duration_minutes))
        ))
        from generate_series(1, p_occurrences) as o (occurrence)
        cross join lateral (
            select coalesce(
                case when o.occurrence = 1 then p_first.start_time end,
                bookingdb.wall_clock_instant(
                    p_first.scheduled_date + p_every * (o.occurrence - 1) + p_first.scheduled_time, p_first.time_zone
                )
            ) as start_time
        ) as s
    ));

    for v_occurrence in 1 .. p_occurrences loop
        begin
            -- Each date is computed from the first: a series from the 31st stays at the ends of months.
            v_date := p_first.scheduled_date + p_every * (v_occurrence - 1);
            v_start := case when v_occurrence = 1 then p_first.start_time end;
            if v_start is null then
                v_start := bookingdb.local_instant(v_date, p_first.scheduled_time, p_first.time_zone);
            end if;
            v_booked := bookingdb.book_slot(
                p_user_id, bookingdb.policy_of(p_therapist_id), v_date, p_first.scheduled_time,
                p_first.time_zone,
                tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes)),
                p_session_type, p_notes, p_title, p_series_id, true
            );
            v_outcomes := v_outcomes || jsonb_build_object('session_id', v_booked.id);
            v_is_booked := true;
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
                v_error := jsonb_build_object(
                    'sqlstate', v_sqlstate, 'message', v_message, 'detail', v_detail, 'hint', v_hint
                );
                v_first_error := coalesce(v_first_error, v_error);
                -- The same error is raised again, with the occurrence it belongs to.
                if not p_skips or bookingdb.is_about_time(v_detail::jsonb ->> 'code') is not true then
                    perform bookingdb.raise_again(v_error, jsonb_build_object(
                        'occurrence', v_occurrence, 'session_date', v_date
                    ));
                end if;
                v_outcomes := v_outcomes || jsonb_build_object(
                    'time_zone', p_first.time_zone,
                    'error', v_detail::jsonb || jsonb_build_object(
                        'occurrence', v_occurrence, 'session_date', v_date
                    )
                );
        end;
    end loop;

    -- Not one was free: the first refusal is that of the whole series.
    if not v_is_booked then
        perform bookingdb.raise_again(v_first_error, v_outcomes #> '{0,error}');
    end if;
    return v_outcomes;
end;
$function$;

comment on function bookingdb.book_occurrences(
    uuid, uuid, uuid, bookingdb.local_start, integer, interval, integer, varchar, text, text, boolean
) is
'Books a series from p_first on (without start_time: at its local time). Returns of each its session_id, or the error of one that p_skips leaves out. Caller holds: the locks of both people.';
