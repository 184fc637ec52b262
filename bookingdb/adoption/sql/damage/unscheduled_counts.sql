-- Counts the sessions without a scheduled time whose clock in the zone is not that of UTC, and those of them to come;
-- also the sessions that have both times, and those of them that were stored as if they were UTC.
select
    count(*) filter (where r.is_unscheduled) as sessions,
    count(*) filter (where r.is_unscheduled and r.start_time > now()) as to_come,
    count(*) filter (where r.is_comparable) as compared,
    count(*) filter (where r.is_as_utc) as as_utc
from (:readings) as r
