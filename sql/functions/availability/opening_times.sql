create or replace function bookingdb.opening_times(
    p_policies bookingdb.effective_policy[],
    p_from timestamptz,
    p_to timestamptz,
    p_with_windows boolean default false
)
returns setof bookingdb.opening_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- One query, although it is long: a function for the windows would be 6 % of a booking within hours.

    -- Therapists who need no hours and never had any are always there.
    if not exists (select from unnest(p_policies) as t where t.require_hours or t.has_hours) then
        return query
        select t.therapist_id, tstzmultirange '{(,)}', null::bookingdb.opening_window[]
        from unnest(p_policies) as t;
        return;
    end if;

    return query
    select
        t.therapist_id,
        case
            when h.has_hours or cardinality(e.dates) > 0 then coalesce(o.periods, '{}')
            else '{(,)}'
        end,
        o.windows
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
        from bookingdb.therapists_with_hours as w
        where w.therapist_id = t.therapist_id
    ) as x on not t.require_hours
    cross join lateral (
        select
            t.require_hours or coalesce(x.has_hours, false) as has_hours,
            bookingdb.steady_offset(d.first_date, d.last_date, t.time_zone) as utc_offset
        offset 0
    ) as h
    cross join lateral (
        select array(
            select v.override_date
            from bookingdb.date_overrides as v
            -- Dates of other zones are up to two days off.
            where v.therapist_id = t.therapist_id and v.override_date between d.first_date - 2 and d.last_date + 2
        ) as dates
        offset 0
    ) as e
    left join lateral (
        select
            range_agg(tstzrange(p.starts_at, p.ends_at)) as periods,
            array_agg((tstzrange(p.starts_at, p.ends_at), p.time_zone)::bookingdb.opening_window)
                filter (where p_with_windows and t.slot_anchor = 'window' and p.time_zone is not null) as windows
        from (
            select
                case when l.is_written then l.own_zone end as time_zone,
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
                                    case
                                        when w.time_zone is null then d.first_date
                                        else (p_from at time zone w.time_zone)::date - 1
                                    end,
                                    w.valid_from
                                ) as valid_from,
                                least(
                                    case
                                        when w.time_zone is null then d.last_date
                                        else (p_to at time zone w.time_zone)::date
                                    end,
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
                    -- Overrides, on dates that have one; without windows the date is closed.
                    select v.override_date, v.start_time, v.end_time, null, true
                    from bookingdb.date_overrides as v
                    where v.therapist_id = t.therapist_id
                        and v.override_date between d.first_date and d.last_date
                        and v.start_time is not null
                    union all
                    -- Therapists who need no hours and never had any are there all day, on dates without an override.
                    select d.first_date + n.number, time '00:00', time '00:00', null, false
                    from generate_series(0, d.last_date - d.first_date) as n (number)
                    where not h.has_hours
                        and cardinality(e.dates) > 0
                        and d.first_date + n.number <> all (e.dates)
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

comment on function bookingdb.opening_times(bookingdb.effective_policy[], timestamptz, timestamptz, boolean) is
'Returns when these policies'' therapists work between two timestamps, and a little beyond: weekly hours or a date''s overrides; always, without hours and need of any. windows: for the grid of slots.';
