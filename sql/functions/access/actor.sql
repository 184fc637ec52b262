create or replace function bookingdb.actor()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(bookingdb.own_role(), bookingdb.actor_id()::text, bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.actor() is
'Returns who is acting, for ledger and audit log: the user''s id when a JWT names one or a trusted caller acts as one, else the name of the calling role.';
