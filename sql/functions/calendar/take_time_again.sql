create or replace function bookingdb.take_time_again(p_session public.sessions)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
begin
    if not bookingdb.has_place_in_time(p_session) then
        return;
    end if;
    if p_session.start_time <= v_now then
        perform bookingdb.require_no_other_session(p_session);
    end if;
    -- Housekeeping removes the rows of sessions that are over; nobody can be booked there.
    if p_session.end_time <= v_now then
        return;
    end if;

    -- The time was agreed once. Hours and limits do not count again; the calendar counts as it does for direct writers.
    v_period := tstzrange(p_session.start_time, p_session.end_time);
    v_policy := bookingdb.policy_of(p_session.therapist_id);
    perform bookingdb.mark_limited_booking(v_policy, p_session.user_id, v_period);
    if p_session.therapist_id is not null
        and not bookingdb.is_free(v_policy, v_period, p_session.id, false, false) then
        perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(p_session.therapist_id, v_period));
    end if;
    perform bookingdb.occupy_time(
        p_session.id, p_session.therapist_id, p_session.user_id, v_period, bookingdb.blocked_time(v_policy, v_period),
        null
    );
end;
$function$;

comment on function bookingdb.take_time_again(public.sessions) is
'Gives a session that shall take place again its calendar row, if its time is still free. Caller holds: the locks of both people. Raises: booking_conflict.';
