create or replace function bookingdb.has_client_part(p_therapist_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from bookingdb.therapist_clients as t
        where t.therapist_id = p_therapist_id
    ) or exists (
        select from bookingdb.people as p
        where p.id = p_therapist_id and p.user_type <> 'therapist'
    );
end;
$function$;

comment on function bookingdb.has_client_part(uuid) is
'Says whether a therapist is a client as well, who may be closed.';
