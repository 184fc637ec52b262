-- Counts the sessions with an instant that have no wall clock time to compare it with.
select count(*) as sessions
from (:readings) as r
where r.start_time is not null and not r.is_comparable
