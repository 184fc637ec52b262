-- Lists the active sessions that overlap an earlier one of the same person.
select o.id::text as id
from (
    select
        r.id,
        max(r.repaired_end) over (
            partition by r.:person
            order by r.starts, r.id
            rows between unbounded preceding and 1 preceding
        ) > r.starts as is_overlapping
    from (:readings) as r
    where
        r.active and r.:person is not null and r.starts < r.repaired_end
        and isfinite(r.starts) and isfinite(r.repaired_end)
) as o
where o.is_overlapping
order by o.id::text
