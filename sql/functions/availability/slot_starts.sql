create or replace function bookingdb.slot_starts(
    p_starts tstzmultirange,
    p_time_zone text,
    p_step_minutes integer,
    p_offset_minutes integer,
    p_windows bookingdb.opening_window[] default null
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
    v_shift constant interval := make_interval(mins => p_offset_minutes % p_step_minutes);
    v_starts tstzmultirange := p_starts;
    v_origin timestamptz;
    v_hours tstzmultirange;
    v_is_one_grid boolean;
begin
    if isempty(p_starts) then
        return;
    end if;

    if p_windows is not null then
        -- A point of the first window's grid, before all windows.
        v_origin := date_bin(v_step, timestamptz '1900-01-01 00:00Z', lower(p_windows[1].period));
        select
            range_agg(w.period),
            bool_and(
                w.time_zone = p_time_zone and date_bin(v_step, lower(w.period), v_origin) = lower(w.period)
            )
        into v_hours, v_is_one_grid
        from unnest(p_windows) as w;
        -- Outside of all windows the grid is that of each day. A list of free times has nothing there.
        if not p_starts <@ v_hours then
            return query
            select s.start
            from bookingdb.slot_starts(p_starts - v_hours, p_time_zone, p_step_minutes, p_offset_minutes) as s (start);
            v_starts := p_starts * v_hours;
        end if;
    end if;

    -- Where the clocks do not change, one grid mostly continues through all windows (they begin a number of steps
    -- apart), or through all days (each day's grid starts at its local midnight, and the step divides the day).
    if v_offset is not null and (v_is_one_grid or p_windows is null and 1440 % p_step_minutes = 0) then
        v_origin := coalesce(
            v_origin + v_shift,
            (v_from + make_interval(mins => p_offset_minutes) - v_offset) at time zone interval '0'
        );
        return query
        select g.start
        from unnest(v_starts) as p (piece)
        cross join lateral generate_series(date_bin(v_step, lower(p.piece), v_origin), upper(p.piece), v_step)
            as g (start)
        where p.piece @> g.start;
        return;
    end if;

    if p_windows is not null then
        -- Windows overlap: a point of two grids counts once.
        if (select sum(upper(w.period) - lower(w.period)) from unnest(p_windows) as w)
            > (select sum(upper(h.period) - lower(h.period)) from unnest(v_hours) as h (period)) then
            return query
            select distinct s.start
            from unnest(p_windows) as w
            cross join lateral bookingdb.slot_starts(
                p_starts * tstzmultirange(w.period), p_time_zone, p_step_minutes, p_offset_minutes, array[w]
            ) as s (start);
            return;
        end if;

        -- Each window has a grid of its own, which starts with it and follows its clock. Where the clocks change, each
        -- minute is looked at.
        return query
        select g.start
        from (
            select
                w.period,
                w.time_zone,
                s.is_steady,
                case when s.is_steady then v_step else interval '1 minute' end as step,
                case when s.is_steady then lower(w.period) + v_shift else lower(w.period) end as origin
            from unnest(p_windows) as w
            cross join lateral (
                select
                    (v_offset is not null and w.time_zone = p_time_zone)
                    or upper(w.period) at time zone w.time_zone - lower(w.period) at time zone w.time_zone
                    = upper(w.period) - lower(w.period) as is_steady
                -- offset 0: computed once, not wherever it is named.
                offset 0
            ) as s
        ) as w
        cross join lateral generate_series(w.origin, upper(w.period), w.step) as g (start)
        where p_starts @> g.start
            and w.period @> g.start
            and (
                w.is_steady
                -- A clock that goes back may show less than at the window's start.
                or (
                    extract(
                        epoch from g.start at time zone w.time_zone - lower(w.period) at time zone w.time_zone
                    )::integer / 60 - p_offset_minutes
                ) % p_step_minutes = 0
            );
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

comment on function bookingdb.slot_starts(tstzmultirange, text, integer, integer, bookingdb.opening_window[]) is
'Returns the grid points in a set of timestamps, in no order: every step, shifted by the offset, from the start of each window; outside of them from local midnight. Repeated hours repeat their points.';
