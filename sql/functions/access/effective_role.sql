-- Inlined.
create or replace function bookingdb.effective_role()
returns name
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(nullif(current_setting('role'), 'none')::name, session_user);
end;
$function$;

comment on function bookingdb.effective_role() is
'Returns the role the caller acts as: that of SET ROLE, else the session''s. current_user would be the owner in any security definer function, an application''s own included.';
