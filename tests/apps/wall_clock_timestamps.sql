-- Timestamps without a zone: the clock on the wall, as it was.
alter table sessions alter column start_time type timestamp using start_time at time zone 'UTC', alter column end_time type timestamp using end_time at time zone 'UTC';
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status)
select id, user_id, therapist_id, wall::date, wall::time, wall, wall + interval '1 hour', status
from past_and_future(-10, 15);
