-- Inlined.
create or replace function bookingdb.role_is_trusted(p_role name)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- A privilege counts where it is inherited, never mere membership: PostgREST's authenticator is a member of every
    -- role without inheriting any. The owner and superusers have it anyway. A role that was renamed while a session
    -- acts as it is trusted with nothing; nor is anybody while the function is missing (the answer is then NULL).
    return coalesce(
        has_function_privilege(
            to_regrole(quote_ident(p_role))::oid, 'bookingdb.act_for_anyone()'::regprocedure::oid, 'EXECUTE'
        ),
        false
    );
end;
$function$;

comment on function bookingdb.role_is_trusted(name) is
'Says whether a role may act for anyone: it may execute act_for_anyone(), as the functions'' owner and superusers may anyway.';
