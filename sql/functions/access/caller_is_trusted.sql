-- Asked by row security.
create or replace function bookingdb.caller_is_trusted()
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.acts_for_anyone();
end;
$function$;

comment on function bookingdb.caller_is_trusted() is
'Says whether the caller may act for anyone: their role is trusted, and does not act as a user. Row policies call it, so callers can execute it; it tells them only about themselves.';
