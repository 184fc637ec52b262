create or replace function bookingdb.opening_times(
    p_policies bookingdb.effective_policy[],
    p_from timestamptz,
    p_to timestamptz
)
returns setof bookingdb.opening_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    -- Therapists without hours who need none are always there.
    if not exists (select from unnest(p_policies) as t where t.require_hours or t.has_hours) then
        return query
        select t.therapist_id, tstzmultirange '{(,)}'
        from unnest(p_policies) as t;
        return;
    end if;

    return query
    select
        t.therapist_id,
        case
            when h.has_hours or cardinality(e.dates) > 0 then coalesce(o.periods, '{}')
            else '{(,)}'
        end
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
            t.require_hours or coalesce(x.has_hours, false) as has_hours,
            bookingdb.steady_offset(d.first_date, d.last_date, t.time_zone) as utc_offset
        offset 0
    ) as h
    cross join lateral (
        select array(
            select v.override_date
            from bookingdb.date_overrides as v
            where v.therapist_id = t.therapist_id and v.override_date between d.first_date and d.last_date
        ) as dates
        offset 0
    ) as e
    left join lateral (
        select range_agg(tstzrange(p.starts_at, p.ends_at)) as periods
        from (
            select
                coalesce(
                    (l.starts_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.starts_at, t.time_zone)
                ) as starts_at,
                coalesce(
                    (l.ends_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.ends_at, t.time_zone)
                ) as ends_at
            from (
                select
                    w.local_date + w.start_time as starts_at,
                    w.local_date + w.end_time
                    + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end as ends_at,
                    coalesce(
                        h.utc_offset, bookingdb.steady_offset(w.local_date, w.local_date, t.time_zone)
                    ) as utc_offset
                from (
                    -- Weekly hours, on dates without an override.
                    select f.first_date + 7 * n.number as local_date, f.start_time, f.end_time
                    from (
                        -- The first date of the window's weekday from there on.
                        select
                            v.valid_from + (v.weekday - extract(isodow from v.valid_from)::integer + 7) % 7
                            as first_date,
                            v.valid_to,
                            v.start_time,
                            v.end_time
                        from (
                            select
                                greatest(d.first_date, w.valid_from) as valid_from,
                                least(d.last_date, w.valid_to) as valid_to,
                                w.weekday,
                                w.start_time,
                                w.end_time
                            from bookingdb.weekly_hours as w
                            where w.therapist_id = t.therapist_id
                            offset 0
                        ) as v
                        offset 0
                    ) as f
                    cross join lateral generate_series(0, (f.valid_to - f.first_date) / 7) as n (number)
                    where f.first_date <= f.valid_to and f.first_date + 7 * n.number <> all (e.dates)
                    union all
                    -- Overrides, on dates that have one; without windows the date is closed.
                    select v.override_date, v.start_time, v.end_time
                    from bookingdb.date_overrides as v
                    where v.therapist_id = t.therapist_id
                        and v.override_date between d.first_date and d.last_date
                        and v.start_time is not null
                    union all
                    -- Therapists without weekly hours who need none are there all day, on dates without an override.
                    select d.first_date + n.number, time '00:00', time '00:00'
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

comment on function bookingdb.opening_times(bookingdb.effective_policy[], timestamptz, timestamptz) is
'Returns when these policies'' therapists work between two timestamps, and a little beyond: weekly hours or a date''s overrides; always, for those who have no weekly hours and need none.';
