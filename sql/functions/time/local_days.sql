create or replace function bookingdb.local_days(p_from date, p_to date, p_time_zone text)
returns setof bookingdb.local_day
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_offset constant interval := bookingdb.steady_offset(p_from, p_to, p_time_zone);
begin
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
        )
    from (
        select
            p_from + n.number as local_date,
            coalesce(
                v_offset, bookingdb.steady_offset(p_from + n.number, p_from + n.number, p_time_zone)
            ) as utc_offset
        from generate_series(0, p_to - p_from) as n (number)
    ) as d;
end;
$function$;

comment on function bookingdb.local_days(date, date, text) is
'Returns when each day of a zone begins and ends, both dates included.';
