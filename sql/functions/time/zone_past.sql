create or replace function bookingdb.zone_past(p_time_zone text)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- Every two months: Tijuana differs from Los Angeles by the weeks in which summer time began.
    return (
        select hash_array_extended(array_agg(g.instant at time zone p_time_zone order by g.instant), 0)
        from generate_series(
            timestamptz '1970-01-15 12:00:00+00', timestamptz '2025-07-15 12:00:00+00', interval '1461 hours'
        ) as g (instant)
    );
end;
$function$;

comment on function bookingdb.zone_past(text) is
'Returns a hash of the offsets that a zone had from 1970 to 2025.';
