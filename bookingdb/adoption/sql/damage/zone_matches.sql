-- Counts, of the first 500 sessions with an instant and a wall clock time, those whose clock is right in each zone.
with sample as materialized (
    select
        r.wall_clock,
        r.start_time
    from (:readings) as r
    where r.wall_clock is not null and r.start_time is not null and isfinite(r.start_time)
    order by r.id
    limit 500
)

select
    z.name,
    count(*) filter (where s.wall_clock = s.start_time at time zone z.name) as matched,
    count(*) as compared
from sample as s
cross join unnest(:'zones'::text[]) with ordinality as z (name, place)
group by z.name, z.place
order by matched desc, z.place asc
