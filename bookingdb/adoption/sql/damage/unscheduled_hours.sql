-- Counts the sessions without a scheduled time by the hour of day of their start: as it stands in the zone, and as it
-- becomes if it is shifted.
select
    h.is_shifted,
    to_char(h.start, 'HH24') as hour_of_day,
    count(*) as sessions
from (:readings) as r
cross join lateral (
    values
        (false, r.start_time at time zone :'zone'),
        (true, r.shifted_start at time zone :'zone')
) as h (is_shifted, start)
where r.is_unscheduled
group by h.is_shifted, hour_of_day
order by h.is_shifted asc, hour_of_day asc
