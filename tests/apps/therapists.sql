-- therapists are not users here
create table users (
  id uuid primary key default gen_random_uuid(),
  email text,
  full_name text,
  is_active boolean default true,
  created_at timestamptz default now()
);
create table therapists (
  id uuid primary key default gen_random_uuid(),
  email text unique not null,
  full_name text not null,
  bio text,
  is_active boolean not null default true,
  is_verified boolean not null default false,
  timezone text default 'Asia/Kolkata',
  created_at timestamptz default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users,
  therapist_id uuid references therapists on delete restrict,
  title varchar(120),
  description text,
  scheduled_date date not null default current_date,
  scheduled_time time not null default '00:00',
  start_time timestamptz,
  end_time timestamptz,
  duration_minutes smallint default 60,
  session_type varchar(30) default 'video',
  status varchar(30) not null default 'pending_approval'
    check (status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')),
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
create table user_credits (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  user_type text default 'individual',
  credits_balance bigint default 0,
  credits_purchased bigint default 0,
  credits_used bigint default 0,
  expires_at date,
  status text default 'active',
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
-- there is no audit log

insert into therapists (id, email, full_name, is_active, is_verified) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@therapists.example', 'Ada', true, true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@therapists.example', 'Ben', true, true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@therapists.example', 'Gone', false, true),
  ('00000000-0000-4000-8000-0000000000a4', 'new@therapists.example', 'New', true, false);
insert into users (id, email, full_name) values
  ('00000000-0000-4000-8000-0000000000c1', 'carla@therapists.example', 'Carla'),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@therapists.example', 'Carl'),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@therapists.example', 'Poor');
-- a therapist who is a client of others, with the same address and another id
insert into users (email, full_name) values ('ben@therapists.example', 'Ben');
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@therapists.example', 'Client ' || n
from generate_series(1, 30) n;

insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, 'Session', d.day, d.hour,
  (d.day + d.hour) at time zone 'Asia/Kolkata', (d.day + d.hour) at time zone 'Asia/Kolkata' + interval '1 hour',
  case when n % 11 = 0 then 'cancelled' when d.day < (now() at time zone 'Asia/Kolkata')::date then 'completed' else 'scheduled' end,
  now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 239) n, lateral (
  select (now() at time zone 'Asia/Kolkata')::date - 20 + n / 8 as day, time '08:00' + n % 8 / 2 * interval '2 hours' as hour) d;
insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title,
  ((b.day + v.d::interval) at time zone 'Asia/Kolkata')::date, ((b.day + v.d::interval) at time zone 'Asia/Kolkata')::time,
  b.day + v.s::interval, b.day + v.e::interval, v.status, now() - interval '3 days' + v.n::int * interval '1 minute'
from (select date_trunc('day', now(), 'Asia/Kolkata') as day) b, (values
  ('01', 'c1', 'a1', 'overlaps 02', '16 days 18:00', '16 days 18:00', '16 days 19:00', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', '16 days 18:30', '16 days 18:30', '16 days 19:30', 'pending_approval'),
  ('03', 'c1', 'a1', 'client in two places, 04', '17 days 18:00', '17 days 18:00', '17 days 19:00', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', '17 days 18:15', '17 days 18:15', '17 days 19:15', 'in_progress'),
  ('05', 'c1', 'a2', 'ends before it starts', '18 days 18:00', '18 days 18:00', '18 days 17:00', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', '18 days 20:00', '18 days 20:00', null, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', '18 days 20:30', '18 days 20:30', '18 days 20:30', 'scheduled'),
  ('09', null, 'a1', 'no client', '19 days 20:00', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('10', 'c2', null, 'no therapist', '19 days 20:00', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', '20 days 18:00', '20 days 18:00', '20 days 19:00', 'scheduled'),
  ('12', 'c1', 'a4', 'therapist not verified', '20 days 19:00', '20 days 19:00', '20 days 20:00', 'scheduled'),
  ('20', 'c2', 'a1', 'instants were never filled in', '20 days 20:00', null, null, 'scheduled'),
  ('23', 'c2', 'a1', 'instant and date say different things', '23 days 20:00', '24 days 10:00', '24 days 11:00', 'scheduled')
) v (n, u, t, title, d, s, e, status);

insert into user_credits (id, user_id, user_type, credits_balance, credits_purchased, expires_at) values
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 'individual', 5, 5, null),
  ('00000000-0000-4000-8000-00000000c102', '00000000-0000-4000-8000-0000000000c1', 'individual', 2, 2, current_date + 100),
  ('00000000-0000-4000-8000-00000000c103', '00000000-0000-4000-8000-0000000000c1', 'individual', 2, 2, current_date - 100),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 'user', 3, 3, null),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', 'individual', 0, 3, null);
insert into user_credits (user_id, credits_balance, credits_purchased) select id, 2, 2 from users where email like 'client%';

-- availability, the simple way
create table availability_weekly_schedules (
  id uuid primary key default gen_random_uuid(),
  therapist_id uuid not null unique references therapists on delete cascade,
  weekly_availability jsonb not null default '{}',
  session_duration integer default 60,
  buffer_time integer,
  is_active boolean default true,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
insert into availability_weekly_schedules (therapist_id, weekly_availability) values
  ('00000000-0000-4000-8000-0000000000a1', '{
    "standardHours": {
      "monday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "tuesday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}, "customSlots": [{"start": "12:00", "end": "13:00", "isAvailable": false}]},
      "wednesday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "thursday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "friday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "saturday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}},
      "sunday": {"enabled": true, "generalHours": {"start": "08:00", "end": "23:00"}}
    },
    "sessionSettings": {"bufferTime": 15}}'),
  -- never opened the editor, and closed it at once
  ('00000000-0000-4000-8000-0000000000a3', '{}'),
  ('00000000-0000-4000-8000-0000000000a4', '{"standardHours": {"thursday": {"enabled": false}, "saturday": {"enabled": true, "generalHours": {"start": "10:00", "end": "10:00"}}}}');
create table availability_overrides (
  id uuid primary key default gen_random_uuid(),
  therapist_id uuid not null references therapists on delete cascade,
  date date not null,
  is_available boolean not null default false,
  start_time time,
  end_time time,
  reason text,
  created_at timestamptz default now(),
  unique (therapist_id, date)
);
insert into availability_overrides (therapist_id, date, is_available, start_time, end_time, reason) values
  ('00000000-0000-4000-8000-0000000000a1', current_date + 60, false, null, null, 'holiday'),
  ('00000000-0000-4000-8000-0000000000a1', current_date + 61, true, '10:00', '14:00', 'half day'),
  ('00000000-0000-4000-8000-0000000000a1', current_date + 62, true, null, null, 'open, but when?'),
  ('00000000-0000-4000-8000-0000000000a1', current_date + 63, true, '14:00', '10:00', 'backwards');

create or replace function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes int default 60, p_session_type varchar default 'video', p_notes text default '', p_title varchar default 'Session')
returns table (id uuid, start_time timestamptz, status varchar) as $$
#variable_conflict use_column
declare
  v_id uuid; v_credit uuid; v_start timestamptz; v_zone text;
begin
  select timezone into v_zone from therapists t where t.id = p_therapist_id and t.is_active;
  if not found then raise exception 'Therapist not found'; end if;
  v_start := (p_session_date + p_session_time) at time zone coalesce(v_zone, 'Asia/Kolkata');
  select c.id into v_credit from user_credits c where c.user_id = p_user_id and c.credits_balance > 0 and (c.expires_at is null or c.expires_at >= current_date) limit 1;
  if not found then raise exception 'Insufficient credits'; end if;
  if exists (select from sessions s where s.therapist_id = p_therapist_id and s.status <> 'cancelled' and s.start_time = v_start) then
    raise exception 'Booking conflict';
  end if;
  insert into sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type, status)
  values (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, v_start, v_start + make_interval(mins => p_duration_minutes), p_duration_minutes, p_session_type, 'scheduled')
  returning sessions.id into v_id;
  update user_credits set credits_balance = credits_balance - 1 where user_credits.id = v_credit;
  return query select v_id, v_start, 'scheduled'::varchar;
end;
$$ language plpgsql security definer;

do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    grant select on therapists to anon;
    grant all on users, therapists, sessions, user_credits, availability_weekly_schedules, availability_overrides to authenticated, service_role;
  end if;
end $$;
