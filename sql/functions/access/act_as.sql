-- Public.
create or replace function bookingdb.act_as(p_user_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    -- An actor is not trusted, and so does not get past this: no call ends acting before the transaction ends.
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    perform set_config('bookingdb.acting_as', p_user_id::text, true);
end;
$function$;

comment on function bookingdb.act_as(uuid) is
'Lets a trusted caller act as a user until the transaction ends: everything is judged as for that user logged in, and records name them. No call ends it earlier; rolling back to a savepoint from before does. For trusted callers. Raises: invalid_user_id.';
