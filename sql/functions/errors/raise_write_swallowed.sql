create or replace function bookingdb.raise_write_swallowed()
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    raise exception using errcode = 'internal_error', message = 'Booking failed';
end;
$function$;

comment on function bookingdb.raise_write_swallowed() is
'Fails the call when a BEFORE trigger of the application swallowed a row: everything is undone.';
