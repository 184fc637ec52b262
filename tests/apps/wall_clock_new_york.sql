-- New York. The start is the clock as if it were UTC; the end was made by a trigger that knew the zone.
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status)
select id, user_id, therapist_id, wall::date, wall::time, wall at time zone 'UTC',
  case when n % 4 < 2 then wall at time zone 'America/New_York' else wall at time zone 'UTC' end + interval '1 hour', status
from past_and_future(-10, 15);
