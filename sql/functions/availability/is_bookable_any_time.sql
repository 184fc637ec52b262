-- Public.
create or replace function bookingdb.is_bookable_any_time(p_therapist_id uuid)
returns boolean
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
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_known_therapist(p_therapist_id);
    return bookingdb.is_always_open(p_therapist_id);
end;
$function$;

comment on function bookingdb.is_bookable_any_time(uuid) is
'Says whether a therapist can be booked at any time because nothing is known of their weekly hours: they never had any, and the policy does not require_hours. False for a therapist whose hours were all removed: they are closed. Date overrides hold in either case. For every logged-in user and for trusted callers. Raises: invalid_therapist_id.';
