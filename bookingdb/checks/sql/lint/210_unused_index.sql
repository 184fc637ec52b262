-- Indexes that can never be needed, because another one begins with the same
select i.name, 'does nothing that ' || s.name || ' does not' as problem, array[i.removal] as statements
from (
    select r.oid, min(r.substitute_rank) as substitute_rank
    from replaceable as r
    where not r.is_same
        and (
            r.substitute_rank < r.rank
            or not exists (
                select from replaceable as b where b.oid = r.substitute_oid and b.substitute_oid = r.oid
            )
        )
    group by r.oid
) as d
inner join indexes as i on i.oid = d.oid
inner join indexes as s on s.rank = d.substitute_rank
where not exists (
    select from replaceable as e where e.oid = i.oid and e.is_same and e.substitute_rank < e.rank
)
