create or replace function bookingdb.effective_role()
returns name
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_role text := current_setting('role');
begin
    if v_role = 'none' then
        return session_user;
    end if;
    return v_role;
end;
$function$;

comment on function bookingdb.effective_role() is
'Returns the role the caller acts as: that of SET ROLE, else the session''s. current_user would be the owner in any security definer function, an application''s own included.';
