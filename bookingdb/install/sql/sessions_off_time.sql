-- Lists sessions to come that no longer start at their agreed local time, because their zone has got other rules.
select
    o.session_id,
    s.therapist_id,
    o.time_zone,
    to_char(s.scheduled_date + s.scheduled_time, 'YYYY-MM-DD HH24:MI') as agreed_time,
    to_char(s.start_time at time zone interval '0', 'YYYY-MM-DD HH24:MI "UTC"') as start_time,
    to_char(o.agreed_start at time zone interval '0', 'YYYY-MM-DD HH24:MI "UTC"') as agreed_start
from bookingdb.sessions_off_time() as o
inner join public.sessions as s on s.id = o.session_id
