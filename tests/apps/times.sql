-- First version of the product: a session is a date and two times.
create table users (
  id uuid primary key default gen_random_uuid(), email text unique, full_name text, user_type text default 'individual',
  is_active bool default true, is_verified bool default true, created_at timestamp default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  therapist_id uuid references users (id),
  title text default 'Session',
  session_date date,
  start_time time,
  end_time time,
  duration_minutes int,
  session_type text,
  status text default 'scheduled' check (status in ('scheduled', 'completed', 'cancelled', 'confirmed', 'in_progress')),
  created_at timestamp default now()
);
create unique index one_per_slot on sessions (therapist_id, session_date, start_time) where status <> 'cancelled';
create table user_credits (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id), user_type text default 'user',
  credits_balance int default 0, credits_purchased int default 0, created_at timestamp default now()
);

insert into users (id, email, full_name, user_type, is_active) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@times.example', 'Ada', 'therapist', true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@times.example', 'Ben', 'therapist', true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@times.example', 'Gone', 'therapist', false),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@times.example', 'Carla', 'individual', true),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@times.example', 'Carl', 'individual', true),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@times.example', 'Poor', 'individual', true);
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@times.example', 'Client ' || n from generate_series(1, 30) n;
insert into sessions (id, user_id, therapist_id, session_date, start_time, end_time, duration_minutes, session_type, status, created_at)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid, ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, d.day, d.hour, d.hour + interval '1 hour', 60, 'video',
  case when n % 11 = 0 then 'cancelled' when d.day < current_date then 'completed' else 'scheduled' end, now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 239) n, lateral (select current_date - 20 + n / 8 as day, time '08:00' + n % 8 / 2 * interval '2 hours' as hour) d;
insert into sessions (id, user_id, therapist_id, title, session_date, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid, ('00000000-0000-4000-8000-0000000000' || v.t)::uuid,
  v.title, current_date + v.d, v.s::time, v.e::time, v.status, now() - interval '3 days' + v.n::int * interval '1 minute'
from (values
  ('01', 'c1', 'a1', 'overlaps 02', 16, '18:00', '19:00', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', 16, '18:30', '19:30', 'confirmed'),
  ('03', 'c1', 'a1', 'client in two places, 04', 17, '18:00', '19:00', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', 17, '18:15', '19:15', 'scheduled'),
  ('05', 'c1', 'a2', 'over midnight, or ends before it starts', 18, '23:30', '00:30', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', 18, '20:00', null, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', 18, '20:30', '20:30', 'scheduled'),
  ('08', 'c2', 'a1', 'no status', 19, '18:00', '19:00', null),
  ('09', null, 'a1', 'no client', 19, '20:00', '21:00', 'scheduled'),
  ('10', 'c2', null, 'no therapist', 19, '20:00', '21:00', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', 20, '18:00', '19:00', 'scheduled'),
  ('20', 'c2', 'a1', 'nothing known', null, null, null, 'scheduled'),
  ('24', 'c3', 'a1', 'a time without a date', null, '10:00', '11:00', 'scheduled')
) v (n, u, t, title, d, s, e, status);
insert into user_credits (id, user_id, credits_balance, credits_purchased) values
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 5, 5),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 3, 3),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 0, 1);
insert into user_credits (user_id, credits_balance, credits_purchased) select id, 2, 2 from users where email like 'client%';

create function check_booking_conflict(p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time) returns boolean language sql as $$
  select exists (select 1 from sessions where therapist_id = p_therapist_id and session_date = p_session_date and status <> 'cancelled'
    and start_time < p_end_time and end_time > p_start_time)
$$;
create function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes int, p_session_type text, p_notes text, p_title text) returns setof sessions language plpgsql as $$
declare v sessions; v_end time := p_session_time + make_interval(mins => p_duration_minutes);
begin
  if not exists (select 1 from users where id = p_therapist_id and user_type = 'therapist' and is_active) then raise exception 'Therapist not found'; end if;
  if check_booking_conflict(p_therapist_id, p_session_date, p_session_time, v_end) then raise exception 'Booking conflict'; end if;
  update user_credits set credits_balance = credits_balance - 1 where user_id = p_user_id and credits_balance > 0;
  if not found then raise exception 'Insufficient credits'; end if;
  insert into sessions (user_id, therapist_id, title, session_date, start_time, end_time, duration_minutes, session_type)
  values (p_user_id, p_therapist_id, p_title, p_session_date, p_session_time, v_end, p_duration_minutes, p_session_type) returning * into v;
  return next v;
end $$;
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    grant all on users, sessions, user_credits to anon, authenticated, service_role;
  end if;
end $$;
