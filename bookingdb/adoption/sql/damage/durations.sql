-- Gives the sessions whose duration contradicts their start and end, with that from start to end.
select
    r.id,
    :values
from (
    select
        d.*,
        trunc((extract(epoch from d.ends) - extract(epoch from d.starts)) / 60)::integer as minutes
    from (:readings) as d
    where d.end_fault = 'rows.duration_differs'
) as r
