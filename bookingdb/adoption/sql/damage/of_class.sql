-- Lists the sessions of a class, and whether what a repair of each needs is known.
select
    r.id::text as id,
    coalesce(:mendable, false) as is_mendable
from (:readings) as r
where :condition
order by r.id::text
