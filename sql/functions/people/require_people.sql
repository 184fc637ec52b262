create or replace function bookingdb.require_people(p_therapist_id uuid, p_user_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Hours, absences, limits and policies, too, are then as the snapshot shows them.
    if current_setting('transaction_isolation') <> 'read committed' then
        perform bookingdb.require_current_rules(array[p_therapist_id, p_user_id]);
    end if;
    if exists (select from bookingdb.therapists as t where t.id = p_therapist_id)
        and exists (select from bookingdb.clients as c where c.id = p_user_id) then
        return;
    end if;
    perform bookingdb.require_therapist(p_therapist_id);
    if bookingdb.is_client(p_user_id) then
        -- Nobody is their own client.
        if p_therapist_id = p_user_id then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_therapist_id', 'reason', 'same_person'
            ));
        end if;
        return;
    end if;
    perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
end;
$function$;

comment on function bookingdb.require_people(uuid, uuid) is
'Refuses therapists who cannot be booked and clients who cannot book. Under the locks of both the answer stands until the transaction ends. Raises: user_not_found, invalid_parameter.';
