-- Lagos. The old site sent the time of the form as it was and the database took it for UTC; the new app sends real instants.

create table users (
  id uuid primary key default gen_random_uuid(), email text unique, full_name text, user_type varchar default 'individual',
  is_active boolean default true, is_verified boolean default false, created_at timestamptz default now(), updated_at timestamptz default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  therapist_id uuid references users (id),
  title varchar(255) default 'Therapy Session',
  description text,
  scheduled_date date,
  scheduled_time time,
  start_time timestamptz,
  end_time timestamptz,
  duration_minutes integer default 60,
  session_type varchar(50) default 'video',
  status varchar(50) default 'scheduled' check (status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')),
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
create unique index sessions_therapist_start_key on sessions (therapist_id, start_time) where status in ('scheduled', 'confirmed');
create table user_credits (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id) on delete cascade, user_type text default 'user',
  credits_balance integer default 0, credits_purchased integer default 0, credits_used integer default 0, credits_expired integer default 0,
  expires_at timestamptz, payment_reference text, status text default 'active', created_at timestamptz default now(), updated_at timestamptz default now()
);
create table booking_audit_log (
  id bigserial primary key, session_id uuid, user_id uuid, action text, old_status text, new_status text, changes jsonb default '{}', created_at timestamptz default now()
);

insert into users (id, email, full_name, user_type, is_active, is_verified) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@zones.example', 'Ada', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@zones.example', 'Ben', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@zones.example', 'Gone', 'therapist', false, true),
  ('00000000-0000-4000-8000-0000000000a4', 'new@zones.example', 'New', 'therapist', true, false),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@zones.example', 'Carla', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@zones.example', 'Carl', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@zones.example', 'Poor', 'individual', true, true);
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@zones.example', 'Client ' || n from generate_series(1, 30) n;

-- Days alternate: on even ones everything came from the old site (ids 1...), on odd ones from the app (ids 3...).
-- What people see is always 09:00, 11:00, 13:00, 15:00; the oldest rows of both have neither date nor time.
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select (case when n / 8 % 2 = 0 then '00000000-0000-4000-8000-1' else '00000000-0000-4000-8000-3' end || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid, ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid,
  case when n >= 80 then d.day end, case when n >= 80 then d.hour end, d.start, d.start + interval '1 hour',
  case when n % 11 = 0 then 'cancelled' when d.day < (now() at time zone 'Africa/Lagos')::date then 'completed' when n % 3 = 0 then 'confirmed' else 'scheduled' end,
  now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 319) n, lateral (
  select l.day, l.hour, case when n / 8 % 2 = 0 then (l.day + l.hour) at time zone 'UTC' else (l.day + l.hour) at time zone 'Africa/Lagos' end as start
  from (select (now() at time zone 'Africa/Lagos')::date - 25 + n / 8 as day, time '09:00' + n % 8 / 2 * interval '2 hours' as hour) l) d;
insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid, ('00000000-0000-4000-8000-0000000000' || v.t)::uuid,
  v.title, v.day, v.hour::time, case when v.family = 'utc' then (v.day + v.hour::time) at time zone 'UTC' else (v.day + v.hour::time) at time zone 'Africa/Lagos' end,
  case when v.family = 'utc' then (v.day + v.hour::time + v.len::interval) at time zone 'UTC' else (v.day + v.hour::time + v.len::interval) at time zone 'Africa/Lagos' end,
  v.status, now() - interval '3 days' + v.n::int * interval '1 minute'
from (select *, (now() at time zone 'Africa/Lagos')::date + d as day from (values
  ('01', 'c1', 'a1', 'overlaps 02 by its clock, not by its instant', 26, '18:00', '1:00', 'utc', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01 by its clock, not by its instant', 26, '18:00', '1:00', 'right', 'scheduled'),
  ('14', 'c3', 'a2', 'overlaps 15 by its instant, not by its clock', 26, '18:00', '1:00', 'utc', 'scheduled'),
  ('15', 'c2', 'a2', 'overlaps 14 by its instant, not by its clock', 26, '19:30', '1:00', 'right', 'confirmed'),
  ('03', 'c1', 'a1', 'client in two places, 04', 27, '18:00', '1:00', 'right', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', 27, '18:15', '1:00', 'right', 'scheduled'),
  ('05', 'c1', 'a2', 'ends before it starts', 28, '18:00', '-1:00', 'right', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', 28, '20:00', null, 'utc', 'scheduled'),
  ('07', 'c2', 'a1', 'no length', 28, '20:30', '0:00', 'right', 'scheduled'),
  ('08', 'c2', 'a1', 'no status', 29, '18:00', '1:00', 'right', null),
  ('09', null, 'a1', 'no client', 29, '20:00', '1:00', 'right', 'scheduled'),
  ('10', 'c2', null, 'no therapist', 29, '20:00', '1:00', 'right', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', 30, '18:00', '1:00', 'utc', 'scheduled'),
  ('12', 'c1', 'a4', 'therapist not verified', 30, '19:00', '1:00', 'right', 'scheduled'),
  ('20', 'c2', 'a1', 'nothing known', null, null, null, 'right', 'scheduled')
) x (n, u, t, title, d, hour, len, family, status)) v;

insert into user_credits (id, user_id, user_type, credits_balance, credits_purchased, credits_used) values
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 'user', 5, 9, 4),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 'user', 3, 3, 0),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 'user', 0, 1, 1);
insert into user_credits (user_id, credits_balance, credits_purchased) select id, 2, 2 from users where email like 'client%';

create or replace function check_booking_conflict(p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time) returns boolean as $$
begin
  return exists (select 1 from sessions where therapist_id = p_therapist_id and status in ('scheduled', 'confirmed', 'in_progress')
    and start_time < (p_session_date + p_end_time) at time zone 'Africa/Lagos' and end_time > (p_session_date + p_start_time) at time zone 'Africa/Lagos');
end $$ language plpgsql stable;
create or replace function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer default 60,
  p_session_type varchar default 'video', p_notes text default '', p_title text default 'Therapy Session')
returns table (id uuid, user_id uuid, therapist_id uuid, start_time timestamptz, end_time timestamptz, status varchar) as $$
#variable_conflict use_column
declare v_id uuid; v_lot uuid; v_start timestamptz := (p_session_date + p_session_time) at time zone 'Africa/Lagos';
begin
  if not exists (select 1 from users where users.id = p_therapist_id and user_type = 'therapist' and is_active and is_verified) then raise exception 'Therapist not found'; end if;
  select user_credits.id into v_lot from user_credits where user_credits.user_id = p_user_id and credits_balance > 0 order by created_at limit 1 for update;
  if v_lot is null then raise exception 'Insufficient credits'; end if;
  if check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + make_interval(mins => p_duration_minutes)) then raise exception 'Booking conflict'; end if;
  insert into sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type)
  values (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, v_start, v_start + make_interval(mins => p_duration_minutes), p_duration_minutes, p_session_type)
  returning sessions.id into v_id;
  update user_credits set credits_balance = credits_balance - 1 where user_credits.id = v_lot;
  return query select s.id, s.user_id, s.therapist_id, s.start_time, s.end_time, s.status from sessions s where s.id = v_id;
end $$ language plpgsql;
alter table user_credits enable row level security;
create policy "open" on user_credits using (true) with check (true);
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    grant all on all tables in schema public to anon, authenticated, service_role;
    grant all on all sequences in schema public to anon, authenticated, service_role;
  end if;
end $$;
