-- Counts by month, the latest first, the sessions whose instant is their wall clock time in the zone, in UTC alone, or
-- in neither.
select
    to_char(r.start_time at time zone :'zone', 'YYYY-MM') as month,
    count(*) filter (where r.is_in_zone) as in_zone,
    count(*) filter (where r.is_as_utc) as as_utc,
    count(*) filter (where not r.is_in_zone and not r.is_in_utc) as neither
from (:readings) as r
where r.is_comparable
group by month
order by month desc
