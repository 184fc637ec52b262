-- Lists the sessions whose scheduled time is not their start in the zone, or is not there to tell, by class.
select
    case
        when r.is_unscheduled then 'times.unscheduled'
        when not r.is_as_utc then 'times.unexplained'
        when r.is_chosen then 'times.wall_clock_as_utc'
        else 'times.wall_clock_as_utc.others'
    end as class,
    r.id::text as id
from (:readings) as r
where (r.is_comparable and not r.is_in_zone) or r.is_unscheduled
order by class, r.id::text
