-- Counts, of the latest sessions whose wall clock time was stored as if it were UTC, those that were made within a
-- quarter of an hour of their start: as it stands, and as it would be shifted. By the values of columns with few.
with latest as materialized (
    select
        r.id,
        r.created_at,
        r.created_at between r.start_time - interval '15 minutes'
        and r.start_time + interval '15 minutes' as is_near_start,
        r.created_at between r.shifted_start - interval '15 minutes'
        and r.shifted_start + interval '15 minutes' as is_near_shifted
    from (:readings) as r
    where r.is_as_utc
    order by r.start_time desc, r.id asc
    limit :'most'
),

counted as materialized (
    select
        v.name,
        v.value,
        count(*) as sessions,
        count(*) filter (where l.is_near_start) as near_start,
        count(*) filter (where l.is_near_shifted) as near_shifted
    from latest as l
    inner join public.sessions as s on l.id = s.id
    cross join lateral (:values) as v (name, value)
    group by v.name, v.value
)

select
    c.name,
    c.value,
    c.sessions,
    c.near_start,
    c.near_shifted
from (
    select
        d.*,
        count(*) over (partition by d.name) as different
    from counted as d
) as c
where c.different between 2 and 12 or c.name = ''
order by c.name asc, c.sessions desc, c.value asc
