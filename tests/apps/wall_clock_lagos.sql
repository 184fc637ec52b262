-- Every row: the clock of Lagos, stored as if it were UTC. Of one, start and schedule say different things; one has no schedule.
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select id, user_id, therapist_id, wall::date, wall::time, wall at time zone 'UTC', wall at time zone 'UTC' + interval '1 hour', status, now() - interval '90 days'
from past_and_future(-70, 15);
insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status) values
  ('00000000-0000-4000-8000-5e5500000023', '00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-0000000000a1', 'two times', current_date + 25, '20:00', current_date + 26 + time '10:30', current_date + 26 + time '11:30', 'scheduled'),
  ('00000000-0000-4000-8000-5e5500000025', '00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-0000000000a1', 'no schedule', null, null, current_date - 26 + time '10:30', current_date - 26 + time '11:30', 'completed');
