create or replace function bookingdb.set_therapist_client_active(p_therapist_id uuid, p_is_active boolean)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not exists (select from bookingdb.therapist_clients as t where t.therapist_id = p_therapist_id) then
        return false;
    end if;
    -- The person before the row, as the trigger of the table has it.
    perform bookingdb.lock_people(array[p_therapist_id]);
    update bookingdb.therapist_clients as t
    set is_active = p_is_active
    where t.therapist_id = p_therapist_id and t.is_active <> p_is_active;
    return true;
end;
$function$;

comment on function bookingdb.set_therapist_client_active(uuid, boolean) is
'Opens or closes a therapist as a client; false when they are not registered as one.';
