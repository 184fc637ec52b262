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
'The role the caller acts as: the one of SET ROLE, else the session''s. current_user would not do: inside a function with security definer it is the owner, also of an application''s own function that calls ours.';
