create or replace function bookingdb.subtract_off_minutes(p_open int4multirange, p_off int4multirange)
returns int4multirange
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(p_open, '{}') - coalesce((
        -- Off is a time on the clock: a break at 2:00 is one of the hours from 22:00 to 6:00, too.
        select range_agg(int4range(lower(o.minutes) + d.shift, upper(o.minutes) + d.shift))
        from unnest(p_off) as o (minutes)
        cross join (values (-1440), (0), (1440)) as d (shift)
    ), '{}');
end;
$function$;

comment on function bookingdb.subtract_off_minutes(int4multirange, int4multirange) is
'What is left of the hours of a day, in minutes from its midnight and beyond the next one, without those minutes at which the clock shows a time that is off.';
