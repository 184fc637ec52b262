create or replace function bookingdb.book_slot(
    p_session_id uuid,
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_period tstzrange,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_series_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_minutes constant integer := extract(epoch from upper(p_period) - lower(p_period))::integer / 60;
    v_policy bookingdb.effective_policy;
    v_booked bookingdb.booked_session;
begin
    perform bookingdb.require_people(p_therapist_id, p_user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(v_minutes, v_policy);

    -- Time rules, then conflicts and the calendar row.
    perform bookingdb.require_free_time(v_policy, p_period, null, p_with_hours, p_with_limits);
    perform bookingdb.occupy_time(p_session_id, p_user_id, p_period, null, v_policy);

    -- One credit from one lot.
    perform bookingdb.take_credit(p_user_id, p_session_id);

    -- The session. Its triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, series_id,
        hours_overridden
    )
    values (
        p_session_id, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        lower(p_period), upper(p_period), v_minutes, p_session_type, 'scheduled', p_time_zone, 1,
        bookingdb.later(lower(p_period), -v_policy.cancellation_window), p_series_id,
        p_with_limits and not p_with_hours
        and not bookingdb.is_free(v_policy, p_period, p_session_id, true, false)
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        bookingdb.credits_balance(p_user_id)
    into v_booked;
    if not found then
        -- A BEFORE trigger of the application swallowed the row: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;
    return v_booked;
end;
$function$;

comment on function bookingdb.book_slot(
    uuid, uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean, boolean
) is
'The booking itself, of a period whose start local_instant() worked out from the local time, by a caller who holds the locks of both people: people, time rules, conflicts, credit, session. p_with_hours false: outside of hours, too, which the session then says; p_with_limits false: what was held before is booked now (see require_free_time). Raises therapist_not_found, user_not_found, invalid_duration, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits, busy.';
