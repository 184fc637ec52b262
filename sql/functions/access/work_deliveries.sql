create or replace function bookingdb.work_deliveries()
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The privilege is all there is to it.
end;
$function$;

comment on function bookingdb.work_deliveries() is
'Does nothing. A trusted role that may execute it is a worker: it gets the secrets of destinations. Granted by `bookingdb trust --worker`.';
