create or replace function bookingdb.local_days(p_from date, p_to date, p_time_zone text)
returns setof bookingdb.local_day
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- Almost always the clocks do not change, from the day before to two days after: then arithmetic will do, and only
    -- the days around a change are looked up one by one.
    return query
    select
        d.local_date,
        coalesce(
            (d.local_date - d.utc_offset) at time zone interval '0',
            bookingdb.wall_clock_instant(d.local_date, p_time_zone)
        ),
        coalesce(
            (d.local_date + 1 - d.utc_offset) at time zone interval '0',
            bookingdb.wall_clock_instant(d.local_date + 1, p_time_zone)
        ),
        d.utc_offset
    from (
        select
            p_from + n.number as local_date,
            case when o.earlier = o.later then o.later end as utc_offset
        from generate_series(0, p_to - p_from) as n (number)
        cross join lateral (
            select
                (p_from + n.number - 1)::timestamptz as instant_before,
                (p_from + n.number + 3)::timestamptz as instant_after
        ) as i
        cross join lateral (
            select
                i.instant_before at time zone p_time_zone - i.instant_before at time zone interval '0' as earlier,
                i.instant_after at time zone p_time_zone - i.instant_after at time zone interval '0' as later
        ) as o
    ) as d
    order by d.local_date;
end;
$function$;

comment on function bookingdb.local_days(date, date, text) is
'The days of a zone, both dates included: when each begins and ends, and by how much its clocks are ahead of UTC from its begin to the end of the day after; null where they change then, or the day before.';
