-- Counts the sessions whose instant is their wall clock time in the zone, and not in UTC.
select count(*) as sessions
from (:readings) as r
where
    r.wall_clock = r.start_time at time zone :'zone'
    and r.wall_clock <> r.start_time at time zone 'UTC'
