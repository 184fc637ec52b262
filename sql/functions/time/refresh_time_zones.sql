create or replace function bookingdb.refresh_time_zones()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.time_zones (name)
    select z.name
    from pg_catalog.pg_timezone_names as z
    where z.name !~ '^(posix|right)/'
        and z.name not in ('localtime', 'posixrules', 'Factory')
        -- Where a zone's name is an abbreviation, too (CET, EST), Postgres takes the abbreviation: an offset without
        -- clock changes, which depends on the connection's settings. UTC and GMT are the same either way.
        and not exists (
            select from pg_catalog.pg_timezone_abbrevs as a
            where a.abbrev = upper(z.name) and a.abbrev not in ('GMT', 'UCT', 'UTC', 'ZULU')
        )
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.refresh_time_zones() is
'Fills bookingdb.time_zones with the zone names this server knows. Every installation ends with it; call it again after an update of the server''s time zone data.';
