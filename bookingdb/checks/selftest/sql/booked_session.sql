-- Reads what a booking wrote of a session.
select s.user_id, s.therapist_id, s.start_time, s.end_time - s.start_time as duration, s.status
from public.sessions as s
where s.id = :'session'
