-- Asked by row security.
create or replace function bookingdb.caller_is_trusted()
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.role_is_trusted(bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.caller_is_trusted() is
'Says whether the calling role may act for anyone. Row policies call it, so callers can execute it; it tells them only about themselves.';
