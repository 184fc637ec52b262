create or replace function bookingdb.register_therapist_as_client(p_therapist_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The person before the row, as the trigger of the table has it.
    perform bookingdb.lock_people(array[p_therapist_id]);
    insert into bookingdb.therapist_clients (therapist_id)
    values (p_therapist_id)
    on conflict on constraint therapist_clients_pkey do nothing;
    -- Somebody who was closed stays closed, and the caller is told.
    if not bookingdb.is_client(p_therapist_id) then
        perform bookingdb.raise_error('person_inactive', jsonb_build_object('user_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.register_therapist_as_client(uuid) is
'Lets a therapist book as a client, too. Raises: person_inactive.';
