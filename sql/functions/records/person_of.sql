create or replace function bookingdb.person_of(p_actor text)
returns bookingdb.named_person
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_person bookingdb.named_person;
begin
    -- An actor that is no person is a role.
    select p.full_name, p.email
    into v_person
    from bookingdb.people as p
    where p.id = bookingdb.uuid_of(p_actor)
    limit 1;
    return v_person;
end;
$function$;

comment on function bookingdb.person_of(text) is
'Returns name and e-mail address of an actor who is a person; NULLs for a role.';
