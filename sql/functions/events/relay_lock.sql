-- Inlined.
create or replace function bookingdb.relay_lock()
returns bigint
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return 7238106512347111;
end;
$function$;

comment on function bookingdb.relay_lock() is
'Returns the advisory lock under which deliveries are made: by one caller at a time, so that none overtakes another.';
