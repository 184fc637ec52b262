-- Shows two sessions without a scheduled time, the latest first: as they stand in the zone, and shifted.
select
    r.id::text as id,
    to_char(r.start_time at time zone :'zone', 'YYYY-MM-DD HH24:MI') as stands,
    to_char(r.end_time at time zone :'zone', 'YYYY-MM-DD HH24:MI') as stands_until,
    to_char(r.starts at time zone :'zone', 'YYYY-MM-DD HH24:MI') as becomes,
    to_char(r.ends at time zone :'zone', 'YYYY-MM-DD HH24:MI') as becomes_until
from (:readings) as r
where r.is_unscheduled
order by r.start_time desc, r.id asc
limit 2
