-- An app whose server sends the time of the form as it is, and the database takes it for UTC. Its rows come apart.
create table users (
  id uuid primary key default gen_random_uuid(), email text unique, full_name text, user_type text default 'individual',
  is_active boolean default true, is_verified boolean default true, created_at timestamptz default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  therapist_id uuid references users (id),
  created_by uuid references users (id),
  title text default 'Session',
  scheduled_date date,
  scheduled_time time,
  start_time timestamptz,
  end_time timestamptz,
  duration_minutes integer default 60,
  status text default 'scheduled',
  created_at timestamptz default now()
);
create table user_credits (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id), user_type text default 'user',
  credits_balance integer default 0, credits_purchased integer default 0, status text default 'active', created_at timestamptz default now()
);
insert into users (id, email, full_name, user_type) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@clock.example', 'Ada', 'therapist'),
  ('00000000-0000-4000-8000-0000000000a2', 'ben@clock.example', 'Ben', 'therapist'),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@clock.example', 'Carla', 'individual'),
  ('00000000-0000-4000-8000-0000000000c2', 'carl@clock.example', 'Carl', 'individual');
insert into users (id, email, full_name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'client' || n || '@clock.example', 'Client ' || n from generate_series(0, 19) n;
insert into user_credits (user_id, credits_balance, credits_purchased) select id, 90, 90 from users where user_type <> 'therapist';

create function check_booking_conflict(p_therapist_id uuid, p_session_date date, p_start_time time, p_end_time time) returns boolean language sql as $$
  select exists (select 1 from sessions where therapist_id = p_therapist_id and status <> 'cancelled'
    and start_time < (p_session_date + p_end_time) at time zone 'UTC' and end_time > (p_session_date + p_start_time) at time zone 'UTC')
$$;
create function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes int, p_session_type text, p_notes text, p_title text) returns setof sessions language plpgsql as $$
declare v sessions; v_start timestamptz := (p_session_date + p_session_time) at time zone 'UTC';
begin
  if check_booking_conflict(p_therapist_id, p_session_date, p_session_time, p_session_time + make_interval(mins => p_duration_minutes)) then raise exception 'Booking conflict'; end if;
  update user_credits set credits_balance = credits_balance - 1 where user_id = p_user_id and credits_balance > 0;
  if not found then raise exception 'Insufficient credits'; end if;
  insert into sessions (user_id, therapist_id, title, scheduled_date, scheduled_time, start_time, end_time, duration_minutes)
  values (p_user_id, p_therapist_id, p_title, p_session_date, p_session_time, v_start, v_start + make_interval(mins => p_duration_minutes), p_duration_minutes) returning * into v;
  return next v;
end $$;

-- What every variant fills its table from: two sessions a day at 9 and 14 o'clock, alternately Ada's and Ben's.
create function past_and_future(p_from int, p_to int) returns table (n int, id uuid, user_id uuid, therapist_id uuid, wall timestamp, status text) language sql as $$
  select n, ('00000000-0000-4000-8000-1' || lpad((n - 2 * p_from)::text, 11, '0'))::uuid, ('00000000-0000-4000-8000-0000000001' || lpad((abs(n) % 20)::text, 2, '0'))::uuid,
    ('00000000-0000-4000-8000-0000000000a' || abs(n) % 2 + 1)::uuid, d.wall, case when d.wall < now() at time zone 'UTC' - interval '1 day' then 'completed' else 'scheduled' end
  from generate_series(2 * p_from, 2 * p_to - 1) n,
    lateral (select current_date + floor(n / 2.0)::int + case when n % 2 = 0 then time '09:00' else time '14:00' end as wall) d
$$;
do $$ begin
  if exists (select from pg_roles where rolname = 'anon') then
    grant all on users, sessions, user_credits to anon, authenticated, service_role;
  end if;
end $$;
