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
        and r.starts >= timestamptz '1900-01-01 00:00:00+00'
        and r.repaired_end < timestamptz '3000-01-01 00:00:00+00'
        and r.repaired_end <= least(r.starts, timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
) as o
where o.is_overlapping
order by o.id::text
