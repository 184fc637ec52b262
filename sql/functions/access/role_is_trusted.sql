create or replace function bookingdb.role_is_trusted(p_role name)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- USAGE, never mere membership: PostgREST's authenticator is a member of everything without inheriting any of it.
    -- Security definer: current_user is the owner of the functions. Superusers have the privileges of every role.
    -- A role that was renamed while a session acts as it is nobody.
    if to_regrole(quote_ident(p_role)) is null then
        return false;
    end if;
    return p_role = 'service_role'
        or pg_has_role(p_role, current_user, 'USAGE')
        or (to_regrole('bookingdb_service') is not null and pg_has_role(p_role, 'bookingdb_service', 'USAGE'));
end;
$function$;

comment on function bookingdb.role_is_trusted(name) is
'Whether a role may act for anyone: service_role, and roles that have the privileges of the owner of these functions (superusers have them) or of bookingdb_service.';
