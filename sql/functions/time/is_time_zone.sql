create or replace function bookingdb.is_time_zone(p_time_zone text)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    return isfinite(timestamptz 'epoch' at time zone p_time_zone);
exception
    when data_exception then
        return false;
end;
$function$;

comment on function bookingdb.is_time_zone(text) is
'Says whether this server can tell the time in a zone: its file may be gone since the zone was chosen. NULL for NULL.';
