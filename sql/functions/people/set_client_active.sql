-- Public.
create or replace function bookingdb.set_client_active(p_user_id uuid, p_active boolean)
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
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_active is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_active', 'reason', 'missing'
        ));
    end if;

    if not bookingdb.set_person_active(p_user_id, false, p_active) then
        if not bookingdb.set_therapist_client_active(p_user_id, p_active) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
        end if;
    end if;
    -- After the change of the row, which waits for a merge in flight.
    if p_active then
        perform bookingdb.refuse_merged_person(p_user_id);
    end if;
end;
$function$;

comment on function bookingdb.set_client_active(uuid, boolean) is
'Lets a client book (true), or not any more (false). Booked sessions and credits stay; a therapist who is a client as well stays a therapist. For trusted callers. Raises: invalid_user_id, invalid_parameter, user_not_found.';
