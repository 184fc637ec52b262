-- Supabase project of the coaching app. Credits are sold in packages: every purchase is a row.

create table users (
  id uuid primary key default gen_random_uuid(),
  email text unique not null,
  full_name text,
  user_type text not null default 'individual' check (user_type in ('individual', 'partner', 'therapist', 'admin')),
  is_active boolean default true,
  is_verified boolean default true,
  created_at timestamptz default now()
);

create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  therapist_id uuid references users (id),
  title text,
  description text,
  session_date date,          -- old
  session_time time,          -- old
  scheduled_date date,
  scheduled_time time without time zone,
  start_time timestamp with time zone,
  end_time timestamp with time zone,
  duration_minutes integer default 60,
  session_type character varying(50) default 'video',
  status character varying(30) default 'scheduled',
  created_at timestamp with time zone default now(),
  updated_at timestamp with time zone default now(),
  constraint valid_status check (status in ('scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')),
  -- one therapist, one slot
  constraint unique_slot unique (therapist_id, scheduled_date, scheduled_time)
);

create table user_credits (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users (id) on delete cascade,
  user_type text default 'user' check (user_type in ('user', 'individual', 'partner')),
  credits_balance integer,
  credits_purchased integer default 0,
  credits_used integer default 0,
  credits_expired integer default 0,
  expires_at timestamptz,
  payment_reference text,
  status text default 'active' check (status in ('active', 'expired', 'refunded', 'pending')),
  package_name text,
  amount_paid numeric(10, 2) not null default 0,
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
create index on user_credits (user_id);
create index on user_credits (user_id, status);

create table if not exists booking_audit_log (
  id serial primary key,
  session_id uuid,
  user_id uuid,
  action text,
  old_status text,
  new_status text,
  changes jsonb,
  created_at timestamptz default now()
);

insert into users (id, email, full_name, user_type, is_active, is_verified) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@lots.example', 'Ada', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@lots.example', 'Ben', 'therapist', true, true),
  ('00000000-0000-4000-8000-0000000000a3', 'gone@lots.example', 'Gone', 'therapist', false, true),
  ('00000000-0000-4000-8000-0000000000a4', 'new@lots.example', 'New', 'therapist', true, false),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@lots.example', 'Carla', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@lots.example', 'Carl', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c3', 'poor@lots.example', 'Poor', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c4', 'mix@lots.example', 'Mixed', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000c5', 'only-individual@lots.example', 'All of it is of the type individual', 'individual', true, true),
  ('00000000-0000-4000-8000-0000000000d2', 'partner@lots.example', 'A company', 'partner', true, true),
  ('00000000-0000-4000-8000-0000000000d1', 'boss@lots.example', 'Boss', 'admin', true, true);
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@lots.example', 'Client ' || n
from generate_series(1, 40) n;

-- name, owner, type, balance, bought, used, expired, expires, status, reference
insert into user_credits (id, user_id, user_type, credits_balance, credits_purchased, credits_used, credits_expired, expires_at, status, payment_reference, package_name)
select ('00000000-0000-4000-8000-00000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid, v.t, v.b, v.p, v.c, v.x, now() + v.e::interval, v.s, v.r, v.k
from (values
  ('c101', 'c1', 'user', 5, 10, 5, 0, null, 'active', 'cs_live_1', 'ten'),
  ('c102', 'c1', 'individual', 3, 3, 0, 0, '60 days', 'active', 'cs_live_2', 'three'),
  ('c103', 'c1', 'user', 4, 5, 1, 0, '-10 days', 'expired', 'cs_live_3', 'five, expired with some left'),
  ('c104', 'c1', 'user', 2, 2, 0, 0, null, 'refunded', 'cs_live_4', 'money was given back, balance was not'),
  ('c105', 'c1', 'user', 0, 8, 0, 0, null, 'active', 'cs_live_5', 'paid, but the webhook never wrote a balance'),
  ('c106', 'c1', 'user', 6, 6, 0, 0, '-3 days', 'active', 'cs_live_6', 'over, but nobody marked it'),
  ('c201', 'c2', 'user', 3, 3, 0, 0, null, 'active', null, null),
  ('c202', 'c2', 'user', null, 3, 0, 0, null, 'active', null, 'NULL balance'),
  ('c203', 'c2', 'user', 1, 1, 0, 0, null, null, null, 'no status'),
  ('c301', 'c3', 'user', 0, 2, 2, 0, null, 'active', null, null),
  ('c302', 'c3', 'user', -3, 2, 5, 0, null, 'active', null, 'below zero'),
  ('c401', 'c4', 'user', 2, 2, 0, 0, null, 'active', 'cs_live_7', 'same payment twice'),
  ('c402', 'c4', 'user', 2, 2, 0, 0, null, 'active', 'cs_live_7', 'same payment twice'),
  ('c403', 'c4', 'user', 9, 9, 0, 0, null, 'pending', null, 'not paid yet'),
  ('c404', 'c4', null, 1, 1, 0, 0, null, 'active', null, 'no type'),
  ('c501', 'c5', 'individual', 4, 4, 0, 0, null, 'active', null, null),
  ('c502', 'c5', 'individual', 5, 5, 0, 0, '300 days', 'active', null, null),
  ('d201', 'd2', 'partner', 20, 20, 0, 0, null, 'active', null, 'the pool of a company')
) v (n, u, t, b, p, c, x, e, s, r, k);
insert into user_credits (user_id, user_type, credits_balance, credits_purchased, credits_used, created_at, expires_at)
select u.id, case when m = 3 then 'individual' else 'user' end, m * 2, m * 3, m, now() - m * interval '40 days',
  case when m = 2 then now() + interval '100 days' end
from users u, generate_series(1, 3) m where u.email like 'client%';

-- Times of the sessions are UTC: the company sits in Iceland.
insert into sessions (id, user_id, therapist_id, title, session_date, session_time, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 40 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, 'Coaching', case when n < 100 then d.day end, case when n < 100 then d.hour end,
  case when n >= 50 then d.day end, case when n >= 50 then d.hour end,
  (d.day + d.hour) at time zone 'UTC', (d.day + d.hour) at time zone 'UTC' + interval '1 hour',
  case when n % 11 = 0 then 'cancelled' when d.day < current_date then case n % 17 when 0 then 'no_show' else 'completed' end else 'scheduled' end,
  now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 239) n, lateral (select current_date - 20 + n / 8 as day, time '08:00' + n % 8 / 2 * interval '2 hours' as hour) d;
insert into booking_audit_log (session_id, user_id, action, old_status, new_status, changes)
select id, user_id, 'BOOKED', null, status, null from sessions;

insert into sessions (id, user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title, ((b.day + v.s::interval) at time zone 'UTC')::date,
  ((b.day + v.s::interval) at time zone 'UTC')::time, b.day + v.s::interval, b.day + v.e::interval, v.status, now() - interval '3 days' + v.n::int * interval '1 minute'
from (select date_trunc('day', now(), 'UTC') as day) b, (values
  ('01', 'c1', 'a1', 'overlaps 02', '16 days 18:00', '16 days 19:00', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', '16 days 18:30', '16 days 19:30', 'confirmed'),
  ('03', 'c1', 'a1', 'client in two places, 04', '17 days 18:00', '17 days 19:00', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', '17 days 18:00', '17 days 19:00', 'scheduled'),
  ('05', 'c1', 'a2', 'ends before it starts', '18 days 18:00', '18 days 17:00', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', '18 days 20:00', null, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', '18 days 20:30', '18 days 20:30', 'scheduled'),
  ('08', 'c2', 'a1', 'no status', '19 days 18:00', '19 days 19:00', null),
  ('09', null, 'a1', 'no client', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('10', 'c2', null, 'no therapist', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', '20 days 18:00', '20 days 19:00', 'scheduled'),
  ('12', 'c1', 'a4', 'therapist not verified', '20 days 19:00', '20 days 20:00', 'scheduled'),
  ('20', 'c2', 'a1', 'nothing known', null, null, 'scheduled')
) v (n, u, t, title, s, e, status);

create or replace function check_booking_conflict(p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time)
returns table (has_conflict boolean, conflict_count bigint) language sql as $$
  select count(*) > 0, count(*) from sessions
  where therapist_id = p_therapist_id and status not in ('cancelled', 'completed') and start_time is not null
    and tstzrange(start_time, end_time) && tstzrange((p_session_date + p_start_time) at time zone 'UTC', (p_session_date + p_end_time) at time zone 'UTC')
$$;

create or replace function create_session_with_credit_deduction(
  p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer default 60,
  p_session_type text default 'video', p_notes text default null, p_title text default 'Coaching'
) returns setof sessions language plpgsql as $$
declare
  s sessions;
  lot user_credits;
begin
  perform 1 from users where id = p_therapist_id and user_type = 'therapist';
  if not found then raise exception 'Therapist not found'; end if;
  -- oldest first
  select * into lot from user_credits where user_id = p_user_id and status = 'active' and credits_balance > 0
    and (expires_at is null or expires_at > now()) order by created_at limit 1;
  if not found then raise exception 'Insufficient credits'; end if;
  if exists (select 1 from check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + make_interval(mins => p_duration_minutes)) c where c.has_conflict) then
    raise exception 'Booking conflict';
  end if;
  insert into sessions (user_id, therapist_id, title, description, session_date, session_time, scheduled_date, scheduled_time, start_time, end_time, duration_minutes, session_type)
  values (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, p_session_date, p_session_time, (p_session_date + p_session_time) at time zone 'UTC',
    (p_session_date + p_session_time) at time zone 'UTC' + make_interval(mins => p_duration_minutes), p_duration_minutes, p_session_type)
  returning * into s;
  update user_credits set credits_balance = credits_balance - 1, credits_used = credits_used + 1 where id = lot.id;
  insert into booking_audit_log (session_id, user_id, action, new_status) values (s.id, p_user_id, 'BOOKED', 'scheduled');
  return next s;
end $$;

-- called by the payment webhook, with the anon key for now
create or replace function grant_credits(p_user_id uuid, p_amount integer) returns integer language sql security definer as $$
  insert into user_credits (user_id, credits_balance, credits_purchased, status) values (p_user_id, p_amount, p_amount, 'active') returning credits_balance
$$;
create or replace function get_credit_balance(p_user_id uuid, p_user_type text default 'user') returns integer language sql stable as $$
  select coalesce(sum(credits_balance), 0)::int from user_credits where user_id = p_user_id and user_type = p_user_type and status = 'active'
$$;

alter table sessions enable row level security;
create policy sessions_read on sessions for select using (true);
create policy sessions_write on sessions for insert with check (true);
create policy sessions_update on sessions for update using (true);
alter table user_credits disable row level security;
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    grant usage on schema public to anon, authenticated, service_role;
    grant select, insert, update, delete on users, sessions, user_credits, booking_audit_log to anon, authenticated, service_role;
    grant usage on sequence booking_audit_log_id_seq to anon, authenticated, service_role;
  end if;
end $$;
