-- Shows some sessions whose wall clock time was stored as if it were UTC, the latest first: as they stand in the zone,
-- and what they become.
select
    r.id::text as id,
    to_char(r.wall_clock, 'YYYY-MM-DD HH24:MI') as scheduled,
    to_char(r.start_time at time zone :'zone', 'YYYY-MM-DD HH24:MI') as stands,
    to_char(r.end_time at time zone :'zone', 'YYYY-MM-DD HH24:MI') as stands_until,
    to_char(r.starts at time zone :'zone', 'YYYY-MM-DD HH24:MI') as becomes,
    to_char(r.ends at time zone :'zone', 'YYYY-MM-DD HH24:MI') as becomes_until,
    to_char(coalesce(r.rewritten_clock, r.wall_clock), 'YYYY-MM-DD HH24:MI') as becomes_scheduled
from (:readings) as r
where r.is_as_utc and r.is_chosen = :'is_chosen'
order by r.start_time desc, r.id asc
limit 5
