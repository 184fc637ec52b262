create or replace function bookingdb.book_slot(
    p_session_id uuid,
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_start timestamptz,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_series_id uuid
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Minutes on an instant: a session may cross midnight or a clock change and is as long as it says.
    v_end constant timestamptz := p_start + make_interval(mins => p_duration_minutes);
    v_policy bookingdb.effective_policy;
    v_booked bookingdb.booked_session;
begin
    perform bookingdb.require_people(p_therapist_id, p_user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);

    -- Time rules, then conflicts and the calendar row. The clock is read here: the call may have waited long.
    if p_start < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.utc(p_start)));
    end if;
    perform bookingdb.occupy_time(p_session_id, p_therapist_id, p_user_id, tstzrange(p_start, v_end), null);

    -- One credit from one lot.
    perform bookingdb.take_credit(p_user_id, p_session_id);

    -- The session. Its triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, series_id
    )
    values (
        p_session_id, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        p_start, v_end, p_duration_minutes, p_session_type, 'scheduled', p_time_zone, 1,
        bookingdb.later(p_start, -v_policy.cancellation_window), p_series_id
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
    uuid, uuid, uuid, date, time, text, timestamptz, integer, varchar, text, text, uuid
) is
'The booking itself, of a time that local_instant() worked out, by a caller who holds the locks of both people: people, time rules, conflicts, credit, session. Raises therapist_not_found, user_not_found, invalid_duration, in_past, booking_conflict, client_conflict, insufficient_credits, busy.';
