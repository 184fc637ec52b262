-- Public.
create or replace function bookingdb.next_available_slot(
    p_therapist_id uuid,
    p_duration_minutes integer default 60,
    p_after timestamptz default null,
    p_time_zone text default null,
    p_step_minutes integer default null,
    p_exclude_session_id uuid default null,
    p_user_id uuid default null
)
returns setof bookingdb.available_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
set timezone = 'UTC'
as $function$
declare
    v_policy bookingdb.effective_policy;
    v_time_zone text;
    v_length interval;
    v_start timestamptz;
begin
    perform bookingdb.authorise_anyone();
    if num_nonnulls(p_exclude_session_id, p_user_id) > 0 then
        perform bookingdb.authorise_slots(p_exclude_session_id, p_user_id, p_therapist_id);
    end if;
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, v_policy.time_zone);
    perform bookingdb.require_time_zone(v_time_zone);
    if p_after is not null then
        perform bookingdb.require_instant('p_after', p_after);
    end if;

    v_start := bookingdb.next_start(
        v_policy, v_length, p_after, p_step_minutes, p_exclude_session_id, true, p_user_id
    );
    if v_start is not null then
        return query
        select v_start, v_start + v_length, l.local::date, l.local::time
        from (select v_start at time zone v_time_zone) as l (local);
    end if;
end;
$function$;

comment on function bookingdb.next_available_slot(uuid, integer, timestamptz, text, integer, uuid, uuid) is
'Returns the first time at or after p_after (NULL: now) at which a session of p_duration_minutes can be booked with a therapist; no row when the booking window has none. Otherwise like list_available_slots(). For every logged-in user and for trusted callers.';
