create or replace function bookingdb.require_no_other_session(p_session public.sessions)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_period constant tstzrange := tstzrange(p_session.start_time, p_session.end_time);
    v_is_same boolean;
begin
    -- No constraint arbitrates what is over: a mark tells older snapshots that somebody has a session there now.
    perform bookingdb.mark_rules_changed(array_remove(array[p_session.therapist_id, p_session.user_id], null));

    -- A session lasts a week at most. One that was missed, cancelled or never approved took nobody's time. A person has
    -- one time, as therapist and as client.
    select s.therapist_id = p_session.therapist_id
    into v_is_same
    from public.sessions as s
    where s.therapist_id = any (array[p_session.therapist_id, p_session.user_id])
        and s.start_time > p_session.start_time - interval '10080 minutes'
        and s.start_time < p_session.end_time
        and s.end_time > p_session.start_time
        and s.id <> p_session.id
        and (s.status = 'completed' or bookingdb.occupies_time(s.status))
        and (s.status <> 'pending_approval' or least(s.approval_until, s.start_time) > v_now)
    order by s.therapist_id = p_session.therapist_id desc nulls last
    limit 1;
    if v_is_same then
        perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(p_session.therapist_id, v_period));
    elsif found then
        perform bookingdb.raise_error('client_conflict', bookingdb.period_context(p_session.therapist_id, v_period));
    end if;
    select s.user_id = p_session.user_id
    into v_is_same
    from public.sessions as s
    where s.user_id = any (array[p_session.therapist_id, p_session.user_id])
        and s.start_time > p_session.start_time - interval '10080 minutes'
        and s.start_time < p_session.end_time
        and s.end_time > p_session.start_time
        and s.id <> p_session.id
        and (s.status = 'completed' or bookingdb.occupies_time(s.status))
        and (s.status <> 'pending_approval' or least(s.approval_until, s.start_time) > v_now)
    order by s.user_id = p_session.user_id desc nulls last
    limit 1;
    if v_is_same then
        perform bookingdb.raise_error('client_conflict', bookingdb.period_context(p_session.therapist_id, v_period));
    elsif found then
        perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(p_session.therapist_id, v_period));
    end if;
end;
$function$;

comment on function bookingdb.require_no_other_session(public.sessions) is
'Refuses a session that has begun where therapist or client had another one, which the calendar may not have any more. Caller holds: the locks of both. Raises: booking_conflict, client_conflict.';
