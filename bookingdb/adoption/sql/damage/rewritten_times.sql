-- Gives the sessions whose wall clock time the answers change, with the new date and time and their class.
select
    r.id,
    :values,
    case when r.is_chosen then 'times.wall_clock_as_utc' else 'times.wall_clock_as_utc.others' end as class
from (:readings) as r
where r.rewritten_clock is not null
