-- Public.
create or replace function bookingdb.change_login(p_user_id uuid, p_new_user_id uuid)
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
    if p_user_id is null or p_new_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_user_id = p_new_user_id then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_new_user_id', 'reason', 'same_person'
        ));
    end if;
    return bookingdb.pass_on_person(p_user_id, p_new_user_id, 'login', null);
end;
$function$;

comment on function bookingdb.change_login(uuid, uuid) is
'Lets a client log in with another id from now on: everything passes on to it, name and e-mail address too, as by merge_clients(). A person with the new id is made, if there is none. Repeating is harmless. For trusted callers. Raises: invalid_user_id, invalid_parameter.';
