create or replace function bookingdb.actor()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_role constant text := bookingdb.effective_role();
begin
    -- Claims count for the role authenticated alone (jwt_claims); other roles are users where they act as one.
    if v_role <> 'authenticated' and coalesce(current_setting('bookingdb.acting_as', true), '') = '' then
        return v_role;
    end if;
    return coalesce(bookingdb.actor_id()::text, v_role);
end;
$function$;

comment on function bookingdb.actor() is
'Returns who is acting, for ledger and audit log: the user''s id when a JWT names one or a trusted caller acts as one, else the name of the calling role.';
