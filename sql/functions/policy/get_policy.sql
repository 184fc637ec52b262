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
        perform bookingdb.require_known_therapist(p_therapist_id);
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.get_policy(uuid) is
'Returns the settings that hold for a therapist, or (NULL) by default. For every logged-in user and for trusted callers.';
