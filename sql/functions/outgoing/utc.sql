create or replace function bookingdb.utc(p_instant timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.iso_utc(p_instant);
end;
$function$;

comment on function bookingdb.utc(timestamptz) is
'The name of iso_utc() in the version before, for calls that began before the upgrade. The next version drops it.';
