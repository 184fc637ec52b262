-- Keeps the sessions without a scheduled time that are shifted, and their start before: none is shifted twice.
create temporary table bookingdb_unscheduled on commit drop as
select
    r.id,
    r.start_time
from (:readings) as r
where r.is_unscheduled
