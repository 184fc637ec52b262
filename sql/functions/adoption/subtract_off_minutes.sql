create or replace function bookingdb.subtract_off_minutes(p_open int4multirange, p_off int4multirange)
returns int4multirange
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(p_open, '{}') - coalesce((
        -- Times off are times on the clock: a break at 2:00 interrupts hours from 22:00 to 6:00, too.
        select range_agg(int4range(lower(o.minutes) + d.shift, upper(o.minutes) + d.shift))
        from unnest(p_off) as o (minutes)
        cross join (values (-1440), (0), (1440)) as d (shift)
    ), '{}');
end;
$function$;

comment on function bookingdb.subtract_off_minutes(int4multirange, int4multirange) is
'Returns the open minutes of a day, beyond its midnight, too, less those at which the clock shows a time off.';
