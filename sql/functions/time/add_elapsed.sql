-- Inlined.
create or replace function bookingdb.add_elapsed(p_instant timestamptz, p_by interval)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_instant + make_interval(secs => extract(epoch from p_by)::double precision);
end;
$function$;

comment on function bookingdb.add_elapsed(timestamptz, interval) is
'Adds an interval to a timestamp, a day being 24 hours: adding days directly would follow the connection''s TimeZone.';
