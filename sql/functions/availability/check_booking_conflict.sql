-- Public.
create or replace function bookingdb.check_booking_conflict(
    p_therapist_id uuid,
    p_session_date date,
    p_start_time time,
    p_end_time time,
    p_time_zone text default null,
    p_exclude_session_id uuid default null
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
declare
    v_time_zone text;
    v_start timestamptz;
    v_end timestamptz;
    v_end_date date := p_session_date;
begin
    perform bookingdb.authorise_anyone();

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_exclude_session_id is not null then
        -- The answer tells when the session is.
        perform bookingdb.find_session(p_exclude_session_id);
    end if;
    v_time_zone := bookingdb.time_zone_of(p_therapist_id);
    v_start := (bookingdb.local_start(p_session_date, p_start_time, p_time_zone, v_time_zone)).start_time;
    -- An end at or before the start is on the next day.
    if p_end_time <= p_start_time then
        v_end_date := p_session_date + 1;
    end if;
    v_end := (bookingdb.local_start(v_end_date, p_end_time, p_time_zone, v_time_zone)).start_time;

    perform bookingdb.require_therapist(p_therapist_id);

    return not bookingdb.is_free(
        bookingdb.policy_of(p_therapist_id), tstzrange(v_start, v_end), p_exclude_session_id, true, true
    );
end;
$function$;

comment on function bookingdb.check_booking_conflict(uuid, date, time, time, text, uuid) is
'Says whether the therapist is busy from p_start_time to p_end_time (an end at or before the start is on the next day), not counting the session p_exclude_session_id (of the client, the therapist and trusted callers). The answer is no promise: only booking decides. For every logged-in user and for trusted callers. Raises: invalid_therapist_id.';
