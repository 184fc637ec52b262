create or replace function bookingdb.person_name(p_person_id uuid, p_is_therapist boolean)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An application may have a client and a therapist with the same id.
    return (
        select p.full_name
        from bookingdb.people as p
        where p.id = p_person_id
        order by (p.user_type = 'therapist') = p_is_therapist desc
        limit 1
    );
end;
$function$;

comment on function bookingdb.person_name(uuid, boolean) is
'Returns the name of a client or a therapist, also of one who is not active any more.';
