create or replace function bookingdb.write_session(
    p_session_id uuid,
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
    p_hours_overridden boolean,
    p_overridden_rules text[] default null,
    p_status text default 'scheduled'
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_booked bookingdb.booked_session;
begin
    if p_policy.credits_valid_on = 'session' then
        perform bookingdb.take_credit(p_user_id, p_session_id, p_valid_at => lower(p_period));
    else
        perform bookingdb.take_credit(p_user_id, p_session_id);
    end if;

    -- The session's triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, series_id,
        hours_overridden, overridden_rules
    )
    values (
        p_session_id, p_user_id, p_policy.therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        lower(p_period), upper(p_period), extract(epoch from upper(p_period) - lower(p_period))::integer / 60,
        p_session_type, p_status, p_time_zone, 1,
        bookingdb.free_cancellation_until(p_policy, lower(p_period)), p_series_id, p_hours_overridden,
        p_overridden_rules
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        bookingdb.credits_balance(p_user_id)
    into v_booked;
    if not found then
        perform bookingdb.raise_write_swallowed();
    end if;
    return v_booked;
end;
$function$;

comment on function bookingdb.write_session(
    uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean, text[],
    text
) is
'Takes the credit for a session with a policy''s therapist, and writes the session. Caller holds: the locks of both people, and wrote the calendar row.';
