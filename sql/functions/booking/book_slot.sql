create or replace function bookingdb.book_slot(
    p_user_id uuid,
    p_policy bookingdb.effective_policy,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_period tstzrange,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_series_id uuid,
    p_with_hours boolean,
    p_override text[] default null
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_id constant uuid := bookingdb.new_id();
    v_overridden_rules text[];
begin
    -- People, time rules, conflicts and the calendar row, then credit and session.
    if p_with_hours and p_override is null then
        perform bookingdb.occupy_free_time(v_session_id, p_policy, p_user_id, p_period, null, true);
    else
        perform bookingdb.occupy_free_time(
            v_session_id, bookingdb.overriding_policy(p_policy, p_override), p_user_id, p_period, null, p_with_hours
        );
        -- The policy as it is says what the practice overrode; one more session changes what is full.
        v_overridden_rules := bookingdb.overridden_rules(
            p_policy, p_period, v_session_id, p_override || case when not p_with_hours then 'hours' end,
            p_user_id, true
        );
        perform bookingdb.mark_limited_booking(p_policy, p_user_id, p_period);
    end if;
    return bookingdb.write_session(
        v_session_id, p_user_id, p_policy, p_session_date, p_session_time, p_time_zone, p_period, p_session_type,
        p_notes, p_title, p_series_id, coalesce('hours' = any (v_overridden_rules), false), v_overridden_rules
    );
end;
$function$;

comment on function bookingdb.book_slot(
    uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean, text[]
) is
'Books a period that starts at local_instant(). p_with_hours false ignores hours, p_override other rules, and the session says so. Caller holds: the locks of both people.';
