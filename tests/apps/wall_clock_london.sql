-- London, right instants, in summer and winter.
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status)
select id, user_id, therapist_id, wall::date, wall::time, wall at time zone 'Europe/London', wall at time zone 'Europe/London' + interval '1 hour', status
from past_and_future(-370, 15);
