-- Public, without has_hours.
create or replace function bookingdb.get_policy(p_therapist_id uuid default null)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is not null then
        perform bookingdb.require_therapist(p_therapist_id);
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.get_policy(uuid) is
'Returns the settings of a therapist''s policy, or (NULL) of the default one: time zone, durations, cancellation window, grace, lifetime of holds, buffers, notice, how far ahead, grid of slots, limits, whether hours are required. For every logged-in user and for trusted callers.';
