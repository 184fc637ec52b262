-- Public.
create or replace function bookingdb.merge_clients(
    p_from_user_id uuid,
    p_into_user_id uuid,
    p_reason text default null
)
returns bookingdb.merged_client
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $function$
begin
    perform bookingdb.authorise_trusted();
    if p_from_user_id is null or p_into_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    if p_from_user_id = p_into_user_id then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_into_user_id', 'reason', 'same_person'
        ));
    end if;
    return bookingdb.pass_on_person(p_from_user_id, p_into_user_id, 'merge', p_reason);
end;
$function$;

comment on function bookingdb.merge_clients(uuid, uuid, text) is
'Makes two clients one: sessions, credits and holds'' history of the first pass on to the second, and the ledger says so. Live holds are released. The first is deactivated, and their name and address are freed. Repeating is harmless. For trusted callers. Raises: invalid_user_id, invalid_parameter.';
