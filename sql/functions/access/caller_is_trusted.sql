-- Asked by row security.
create or replace function bookingdb.caller_is_trusted()
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An actor has the rights of their user alone. Anyone can make the setting, but only to their own loss.
    if current_setting('bookingdb.acting_as', true) <> '' then
        return false;
    end if;
    return bookingdb.role_is_trusted(bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.caller_is_trusted() is
'Says whether the caller may act for anyone: their role is trusted, and does not act as a user. Row policies call it, so callers can execute it; it tells them only about themselves.';
