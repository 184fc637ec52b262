-- Indexes that are there twice
select i.name, 'is the same as ' || s.name as problem, array[i.removal] as statements
from (
    select r.oid, min(r.substitute_rank) as substitute_rank
    from replaceable as r
    where r.is_same and r.substitute_rank < r.rank
    group by r.oid
) as d
inner join indexes as i on i.oid = d.oid
inner join indexes as s on s.rank = d.substitute_rank
