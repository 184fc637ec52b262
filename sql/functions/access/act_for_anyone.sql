create or replace function bookingdb.act_for_anyone()
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

comment on function bookingdb.act_for_anyone() is
'Does nothing. A role that may execute it is trusted: in this database, it acts for anyone. Granted by `bookingdb trust`.';
