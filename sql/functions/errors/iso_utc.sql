-- Inlined.
create or replace function bookingdb.iso_utc(p_instant timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- An interval, not the name: what 'UTC' means can depend on the connection's TimeZone (see wall_clock_instant).
    return to_char(p_instant at time zone interval '0', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
end;
$function$;

comment on function bookingdb.iso_utc(timestamptz) is
'Writes a timestamp as ISO 8601 in UTC, whatever the connection''s TimeZone and DateStyle are.';
