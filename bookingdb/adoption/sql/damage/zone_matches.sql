-- Counts, for each zone, the sessions whose instant is their wall clock time there and not in UTC, the other way round,
-- in both and in neither. Sessions of one half hour and one distance are judged together. The clocks of a zone are its
-- offsets in the coming year.
with compared as materialized (
    select
        date_trunc('minute', r.wall_clock) - date_trunc('minute', r.start_time at time zone 'UTC') as distance,
        date_bin('30 minutes', r.start_time, timestamptz '2000-01-01 00:00:00+00') as half_hour,
        count(*) as sessions
    from (:readings) as r
    where r.is_comparable
    group by distance, half_hour
),

judged as materialized (
    select
        z.name,
        z.place,
        c.sessions,
        c.distance = interval '0' as is_in_utc,
        c.distance = (c.half_hour at time zone z.name) - (c.half_hour at time zone 'UTC') as is_in_zone
    from compared as c
    cross join unnest(:'zones'::text[]) with ordinality as z (name, place)
)

select
    j.name,
    coalesce(sum(j.sessions) filter (where j.is_in_zone and not j.is_in_utc), 0)::bigint as only_zone,
    coalesce(sum(j.sessions) filter (where j.is_in_utc and not j.is_in_zone), 0)::bigint as only_utc,
    coalesce(sum(j.sessions) filter (where j.is_in_utc and j.is_in_zone), 0)::bigint as both_of_them,
    coalesce(sum(j.sessions) filter (where not j.is_in_utc and not j.is_in_zone), 0)::bigint as neither,
    (
        select string_agg(((w.week at time zone j.name) - (w.week at time zone 'UTC'))::text, ' ' order by w.week)
        from generate_series(now(), now() + interval '1 year', interval '7 days') as w (week)
    ) as clocks
from judged as j
group by j.name, j.place
order by only_zone desc, both_of_them desc, j.place asc
