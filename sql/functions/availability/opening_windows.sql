create or replace function bookingdb.opening_windows(
    p_policies bookingdb.effective_policy[],
    p_from timestamptz,
    p_to timestamptz
)
returns setof bookingdb.therapist_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- One query, although it is long: a function for the weekly hours would be 6 % of a booking within hours.

    return query
    select
        t.therapist_id,
        case when h.has_hours or cardinality(e.dates) > 0 then o.period else '(,)' end,
        case when o.is_written and t.slot_anchor = 'window' then o.own_zone end
    from unnest(p_policies) as t
    -- The day before is included: its windows may cross midnight.
    cross join lateral (
        select
            (p_from at time zone t.time_zone)::date - 1 as first_date,
            (p_to at time zone t.time_zone)::date as last_date
        -- offset 0: computed once, not wherever it is named.
        offset 0
    ) as d
    left join lateral (
        select true as has_hours
        from bookingdb.weekly_hours as w
        where w.therapist_id = t.therapist_id
        limit 1
    ) as x on not t.require_hours
    cross join lateral (
        select
            t.require_hours
            or coalesce(x.has_hours, case when t.has_hours then bookingdb.had_hours(t.therapist_id) else false end)
            as has_hours,
            case
                when d.last_date - d.first_date > 3 then
                    bookingdb.steady_offset(d.first_date, d.last_date, t.time_zone)
                -- Within a week two looks at the clock are enough; the call would be a quarter of a search.
                when
                    (d.first_date - 1)::timestamptz at time zone t.time_zone - (d.first_date - 1)
                    = (d.first_date + 6)::timestamptz at time zone t.time_zone - (d.first_date + 6) then
                    (d.first_date - 1)::timestamptz at time zone t.time_zone - (d.first_date - 1)
            end as utc_offset
        offset 0
    ) as h
    cross join lateral (
        select array(
            select v.override_date
            from bookingdb.date_overrides as v
            where v.therapist_id = t.therapist_id and v.override_date between d.first_date - 2 and d.last_date + 2
        ) as dates
        offset 0
    ) as e
    left join lateral (
        select p.is_written, p.own_zone, tstzrange(p.starts_at, p.ends_at) as period
        from (
            select
                l.is_written,
                l.own_zone,
                coalesce(
                    (l.starts_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.starts_at, l.own_zone)
                ) as starts_at,
                coalesce(
                    (l.ends_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.ends_at, l.own_zone)
                ) as ends_at
            from (
                select
                    w.is_written,
                    coalesce(w.time_zone, t.time_zone) as own_zone,
                    w.local_date + w.start_time as starts_at,
                    w.local_date + w.end_time
                    + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end as ends_at,
                    coalesce(
                        case when w.time_zone is null then h.utc_offset end,
                        bookingdb.steady_offset(w.local_date, w.local_date, coalesce(w.time_zone, t.time_zone))
                    ) as utc_offset
                from (
                    -- Weekly hours, on dates without an override.
                    select
                        f.first_date + 7 * n.number as local_date,
                        f.start_time,
                        f.end_time,
                        f.time_zone,
                        true as is_written
                    from (
                        -- The first date of the window's weekday from there on.
                        select
                            v.valid_from + (v.weekday - extract(isodow from v.valid_from)::integer + 7) % 7
                            as first_date,
                            v.valid_to,
                            v.start_time,
                            v.end_time,
                            v.time_zone,
                            v.counted_from,
                            v.every_weeks
                        from (
                            select
                                greatest(
                                    -- Dates of other zones are up to two days off.
                                    d.first_date - case when w.time_zone is null then 0 else 2 end,
                                    w.valid_from
                                ) as valid_from,
                                least(
                                    d.last_date + case when w.time_zone is null then 0 else 2 end,
                                    w.valid_to
                                ) as valid_to,
                                w.weekday,
                                w.start_time,
                                w.end_time,
                                w.time_zone,
                                w.valid_from as counted_from,
                                w.every_weeks
                            from bookingdb.weekly_hours as w
                            where w.therapist_id = t.therapist_id
                                -- Most windows of a week are on none of a few dates.
                                and (
                                    w.time_zone is not null
                                    or (w.weekday - extract(isodow from d.first_date)::integer + 7) % 7
                                    <= d.last_date - d.first_date
                                )
                                -- Nobody knows when a window of a zone is that the server has lost.
                                and (w.time_zone is null or bookingdb.is_time_zone(w.time_zone))
                            offset 0
                        ) as v
                        offset 0
                    ) as f
                    cross join lateral generate_series(
                        case
                            when f.every_weeks = 1 then 0
                            else bookingdb.weeks_to_wait(f.first_date, f.counted_from, f.every_weeks)
                        end,
                        (f.valid_to - f.first_date) / 7,
                        f.every_weeks
                    ) as n (number)
                    where f.first_date <= f.valid_to and f.first_date + 7 * n.number <> all (e.dates)
                    union all
                    -- A function, as most dates have none: as a part of this query they would be 1 % of a booking.
                    select v.local_date, v.start_time, v.end_time, null, v.is_written
                    from (select where cardinality(e.dates) > 0) as any_dates
                    cross join lateral bookingdb.dated_windows(
                        t.therapist_id, d.first_date, d.last_date, case when not h.has_hours then e.dates end
                    ) as v
                ) as w
                offset 0
            ) as l
            offset 0
        ) as p
        -- A window inside an hour that a clock change skips is empty.
        where p.starts_at < p.ends_at
    ) as o on h.has_hours or cardinality(e.dates) > 0;
end;
$function$;

comment on function bookingdb.opening_windows(bookingdb.effective_policy[], timestamptz, timestamptz) is
'Returns these policies'' windows between two timestamps, and a little beyond: weekly hours or a date''s overrides, all time without both. Closed: one row without a period. time_zone: the grid''s.';
