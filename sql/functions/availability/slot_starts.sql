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
declare
    v_from constant date := (lower(p_starts) at time zone p_time_zone)::date;
    v_to constant date := (upper(p_starts) at time zone p_time_zone)::date;
    v_offset constant interval := bookingdb.steady_offset(v_from, v_to, p_time_zone);
    v_step constant interval := make_interval(mins => p_step_minutes);
    v_origin timestamptz;
begin
    if isempty(p_starts) then
        return;
    end if;

    -- Each day's grid starts at its local midnight. Where the step divides the day and the clocks do not change, the
    -- first day's grid continues through all others.
    if v_offset is not null and 1440 % p_step_minutes = 0 then
        v_origin := (v_from + make_interval(mins => p_offset_minutes) - v_offset) at time zone interval '0';
        return query
        select g.start
        from unnest(p_starts) as p (piece)
        cross join lateral generate_series(date_bin(v_step, lower(p.piece), v_origin), upper(p.piece), v_step)
            as g (start)
        where p.piece @> g.start;
        return;
    end if;

    -- On a day of 24 hours one grid point and the step give the others; where the clocks change, each minute is looked
    -- at.
    return query
    select g.start
    from (
        select
            tstzrange(d.starts_at, d.ends_at) as period,
            r.is_regular,
            case when r.is_regular then v_step else interval '1 minute' end as step,
            d.starts_at + make_interval(mins => case when r.is_regular then p_offset_minutes else 0 end) as origin
        from bookingdb.local_days(v_from, v_to, p_time_zone) as d
        cross join lateral (select d.ends_at - d.starts_at = interval '24 hours' as is_regular) as r
        -- offset 0: computed once, not wherever it is named.
        offset 0
    ) as d
    cross join lateral unnest(p_starts * tstzmultirange(d.period)) as p (piece)
    cross join lateral generate_series(date_bin(d.step, lower(p.piece), d.origin), upper(p.piece), d.step) as g (start)
    where p.piece @> g.start
        and (
            d.is_regular
            or extract(epoch from (g.start at time zone p_time_zone)::time)::integer / 60 % p_step_minutes
            = p_offset_minutes % p_step_minutes
        );
end;
$function$;

comment on function bookingdb.slot_starts(tstzmultirange, text, integer, integer) is
'Returns the grid points in a set of timestamps, in no order: offset, offset + step, and so on, in minutes from local midnight. An hour that occurs twice has its points twice.';
