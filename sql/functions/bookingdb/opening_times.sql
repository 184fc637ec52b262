create or replace function bookingdb.opening_times(p_therapist_ids uuid[], p_from timestamptz, p_to timestamptz)
returns setof bookingdb.opening_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    return query
    with therapists as (
        select
            p.therapist_id,
            p.time_zone,
            p.require_hours or exists (
                select from bookingdb.weekly_hours as w
                where w.therapist_id = p.therapist_id
            ) as has_hours
        from bookingdb.policies_of(p_therapist_ids) as p
    ),
    -- From the day before: its windows may reach across midnight.
    days as (
        select z.time_zone, d.local_date, d.utc_offset
        from (select distinct t.time_zone from therapists as t) as z
        cross join lateral bookingdb.local_days(
            (p_from at time zone z.time_zone)::date - 1, (p_to at time zone z.time_zone)::date, z.time_zone
        ) as d
    ),
    overrides as (
        select t.therapist_id, o.override_date, o.start_time, o.end_time
        from therapists as t
        inner join bookingdb.date_overrides as o on o.therapist_id = t.therapist_id
        where o.override_date between (select min(d.local_date) from days as d)
            and (select max(d.local_date) from days as d)
    ),
    windows as (
        -- The week, on days that have no override.
        select t.therapist_id, t.time_zone, d.local_date, d.utc_offset, w.start_time, w.end_time
        from therapists as t
        inner join bookingdb.weekly_hours as w on w.therapist_id = t.therapist_id
        inner join days as d
            on d.time_zone = t.time_zone
                and extract(isodow from d.local_date) = w.weekday
                and d.local_date between coalesce(w.valid_from, '-infinity') and coalesce(w.valid_to, 'infinity')
        where not exists (
            select from overrides as o
            where o.therapist_id = t.therapist_id and o.override_date = d.local_date
        )
        union all
        -- The override, on days that have one; a day without windows is closed.
        select t.therapist_id, t.time_zone, d.local_date, d.utc_offset, o.start_time, o.end_time
        from overrides as o
        inner join therapists as t on t.therapist_id = o.therapist_id
        inner join days as d on d.time_zone = t.time_zone and d.local_date = o.override_date
        where o.start_time is not null
        union all
        -- Who has no week and need have none is there at any time, on days that have no override.
        select t.therapist_id, t.time_zone, d.local_date, d.utc_offset, time '00:00', time '00:00'
        from therapists as t
        inner join days as d on d.time_zone = t.time_zone
        where not t.has_hours
            and exists (select from overrides as o where o.therapist_id = t.therapist_id)
            and not exists (
                select from overrides as o
                where o.therapist_id = t.therapist_id and o.override_date = d.local_date
            )
    ),
    periods as (
        select
            w.therapist_id,
            coalesce(
                (l.starts_at - w.utc_offset) at time zone interval '0',
                bookingdb.wall_clock_instant(l.starts_at, w.time_zone)
            ) as starts_at,
            coalesce(
                (l.ends_at - w.utc_offset) at time zone interval '0',
                bookingdb.wall_clock_instant(l.ends_at, w.time_zone)
            ) as ends_at
        from windows as w
        cross join lateral (
            select
                w.local_date + w.start_time as starts_at,
                w.local_date + w.end_time
                + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end as ends_at
        ) as l
    ),
    open as (
        -- A window inside of an hour that the clocks jump over is none.
        select e.therapist_id, range_agg(tstzrange(e.starts_at, e.ends_at)) as periods
        from periods as e
        where e.starts_at < e.ends_at
        group by e.therapist_id
    )
    select
        t.therapist_id,
        case
            when t.has_hours or exists (select from overrides as o where o.therapist_id = t.therapist_id)
                then coalesce(o.periods, '{}')
            else '{(,)}'
        end
    from therapists as t
    left join open as o on o.therapist_id = t.therapist_id;
end;
$function$;

comment on function bookingdb.opening_times(uuid[], timestamptz, timestamptz) is
'When each of these therapists is there between two instants (and a little beyond): weekly hours, or what overrides them on a date; without weekly hours at any time, unless the policy requires them. Windows are in the therapist''s local time: an end at or before the start is on the next day, a time that occurs twice means the first, one that the clocks jump over means the jump.';
