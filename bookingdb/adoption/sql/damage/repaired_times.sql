-- Gives the sessions whose times the answers change, with the new times and the class that each belongs to.
select
    r.id,
    r.starts as start_time,
    case
        when r.start_time is null and r.ends is null and r.length_minutes between 1 and 1440
            then r.starts + make_interval(mins => r.length_minutes)
        else r.repaired_end
    end as end_time,
    case
        when r.start_fault is not null then r.start_fault
        when (r.starts is not distinct from r.start_time) and (r.ends is not distinct from r.end_time) then r.end_fault
        when r.is_unscheduled then 'times.unscheduled'
        when r.is_chosen then 'times.wall_clock_as_utc'
        else 'times.wall_clock_as_utc.others'
    end as class
from (:readings) as r
where (r.starts, r.repaired_end) is distinct from (r.start_time, r.end_time)
