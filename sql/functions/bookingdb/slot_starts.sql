create or replace function bookingdb.slot_starts(
    p_starts tstzmultirange,
    p_time_zone text,
    p_step_minutes integer,
    p_offset_minutes integer
)
returns setof timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    if isempty(p_starts) then
        return;
    end if;

    -- Each day's grid is counted from its local midnight. On a day of 24 hours the first point of the grid in a piece
    -- of free time and the step give the others; where the clocks change, each minute is looked at.
    return query
    select g.start
    from bookingdb.local_days(
        (lower(p_starts) at time zone p_time_zone)::date, (upper(p_starts) at time zone p_time_zone)::date, p_time_zone
    ) as d
    cross join lateral unnest(p_starts * tstzmultirange(tstzrange(d.starts_at, d.ends_at))) as p (piece)
    cross join lateral (
        select
            d.ends_at - d.starts_at = interval '24 hours' as is_regular,
            ceil(extract(epoch from lower(p.piece) - d.starts_at) / 60)::integer as first_minute
    ) as m
    cross join lateral generate_series(
        d.starts_at + make_interval(mins => m.first_minute + case
            when m.is_regular then
                (p_offset_minutes % p_step_minutes - m.first_minute % p_step_minutes + p_step_minutes) % p_step_minutes
            else 0
        end),
        upper(p.piece),
        make_interval(mins => case when m.is_regular then p_step_minutes else 1 end)
    ) as g (start)
    where p.piece @> g.start
        and (
            m.is_regular
            or extract(epoch from (g.start at time zone p_time_zone)::time)::integer / 60 % p_step_minutes
            = p_offset_minutes % p_step_minutes
        )
    order by g.start;
end;
$function$;

comment on function bookingdb.slot_starts(tstzmultirange, text, integer, integer) is
'The instants of a set at which a clock of the zone shows a point of the grid: offset, offset + step, and so on, in minutes from midnight. Of an hour that occurs twice both are in it.';
