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
        -- Where a name is an abbreviation too (CET, EST), Postgres means that: an offset without clock changes, which
        -- even depends on the connection's settings. UTC and its like are the same either way.
        and not exists (
            select from pg_catalog.pg_timezone_abbrevs as a
            where a.abbrev = upper(z.name) and a.abbrev not in ('GMT', 'UCT', 'UTC', 'ZULU')
        )
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.refresh_time_zones() is
'Fills bookingdb.time_zones with the zone names this server knows. Every installation ends with it; call it after the server''s time zone data was updated.';
