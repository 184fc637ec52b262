create or replace function bookingdb.is_client(p_person_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if exists (select from bookingdb.clients as c where c.id = p_person_id) then
        return true;
    end if;
    -- An application may have a client and a therapist with the same id.
    return exists (
        select from bookingdb.people as p
        where p.id = p_person_id
            and p.is_active
            and (
                p.user_type <> 'therapist'
                or exists (
                    select from bookingdb.therapist_clients as t
                    where t.therapist_id = p_person_id and t.is_active
                )
            )
    );
end;
$function$;

comment on function bookingdb.is_client(uuid) is
'Says whether somebody can book: a client, or a therapist who is registered as a client, too.';
