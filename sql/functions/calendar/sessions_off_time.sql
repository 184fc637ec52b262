create or replace function bookingdb.sessions_off_time(p_therapist_id uuid default null)
returns table (session_id uuid, time_zone text, agreed_start timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_custom_plan
as $function$
begin
    return query
    with candidates as materialized (
        select s.id, s.status, s.start_time, s.scheduled_date + s.scheduled_time as local_time,
            -- Without a zone of its own a local time is the therapist's.
            coalesce(k.name, p.time_zone, d.time_zone) as time_zone
        from public.sessions as s
        left join bookingdb.time_zones as k on k.name = s.time_zone
        left join bookingdb.policies as p on p.therapist_id = s.therapist_id
        left join bookingdb.policies as d on d.therapist_id is null
        where s.start_time > clock_timestamp()
            and isfinite(s.start_time)
            and s.scheduled_date between date '1900-01-01' and date '2999-12-31'
            and (p_therapist_id is null or s.therapist_id = p_therapist_id)
    ), known_zones as materialized (
        -- A zone that is gone must not be asked for its time, and an old connection would ask for that of the past.
        -- OFFSET keeps the question from being asked of every session.
        select z.time_zone
        from (select distinct c.time_zone from candidates as c offset 0) as z
        where bookingdb.has_current_rules(z.time_zone)
    ), off_time as materialized (
        select c.id, c.status, c.time_zone, c.local_time, c.start_time
        from candidates as c
        inner join known_zones as z on z.time_zone = c.time_zone
        where c.start_time at time zone z.time_zone <> c.local_time
            and not bookingdb.is_same_minute(c.start_time at time zone z.time_zone, c.local_time)
    )

    select m.id, m.time_zone, bookingdb.wall_clock_instant(m.local_time, m.time_zone, true)
    from off_time as m
    where bookingdb.occupies_time(m.status)
        -- The two agreed once, so the zone has got other rules since.
        and exists (
            select from bookingdb.time_zone_rules as r
            where r.time_zone = m.time_zone
                and r.starts_at[1] <= m.start_time
                and m.start_time < r.known_until
                and bookingdb.is_same_minute(
                    m.start_time at time zone interval '0' + r.utc_offsets[width_bucket(m.start_time, r.starts_at)],
                    m.local_time
                )
        )
    order by m.start_time, m.id;
end;
$function$;

comment on function bookingdb.sessions_off_time(uuid) is
'Returns sessions to come that no longer start at their local time, because their zone has got other rules, and when they should (NULL: a skipped time). NULL asks for all therapists.';
