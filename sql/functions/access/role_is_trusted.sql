create or replace function bookingdb.role_is_trusted(p_role name)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- USAGE counts, never mere membership: PostgREST's authenticator is a member of every role without inheriting any.
    -- current_user is the owner of the functions (security definer). Superusers have the privileges of every role. A
    -- role that was renamed while a session acts as it is trusted with nothing.
    if to_regrole(quote_ident(p_role)) is null then
        return false;
    end if;
    return p_role = 'service_role'
        or pg_has_role(p_role, current_user, 'USAGE')
        or (to_regrole('bookingdb_service') is not null and pg_has_role(p_role, 'bookingdb_service', 'USAGE'));
end;
$function$;

comment on function bookingdb.role_is_trusted(name) is
'Says whether a role may act for anyone: service_role, and roles with the privileges of bookingdb_service or of the functions'' owner (superusers have them).';
