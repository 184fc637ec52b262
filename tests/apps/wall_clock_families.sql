-- Clients book by the site: the clock of Lagos, as if it were UTC. Therapists note walk-ins when they begin: the right
-- instant, and a trigger writes the schedule from it, in UTC. Both look the same.
create function schedule_of_instant() returns trigger language plpgsql as $$
begin
  if new.created_by is not null then
    new.scheduled_date := (new.start_time at time zone 'UTC')::date;
    new.scheduled_time := (new.start_time at time zone 'UTC')::time;
  end if;
  return new;
end $$;
create trigger schedule_of_instant before insert or update of start_time on sessions for each row execute function schedule_of_instant();
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select id, user_id, therapist_id, wall::date, wall::time, wall at time zone 'UTC', wall at time zone 'UTC' + interval '1 hour', status, wall - interval '9 days'
from past_and_future(-40, 12);
insert into sessions (id, user_id, therapist_id, created_by, title, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-3' || right(id::text, 11))::uuid, user_id, therapist_id, therapist_id, 'Walk-in', f.start, f.start + interval '1 hour', status, f.start + interval '3 minutes'
from past_and_future(-40, -2), lateral (select (wall + interval '4 hours 30 minutes') at time zone 'Africa/Lagos' as start) f where n % 4 = 0;
insert into sessions (id, user_id, therapist_id, created_by, title, start_time, end_time, created_at) values
  ('00000000-0000-4000-8000-300000000999', '00000000-0000-4000-8000-0000000000c1', '00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000a1', 'Noted ahead', (current_date + 20 + time '17:00') at time zone 'Africa/Lagos', (current_date + 20 + time '18:00') at time zone 'Africa/Lagos', now());
