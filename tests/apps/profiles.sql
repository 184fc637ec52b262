-- Started from the "User Management" template: auth.users + profiles. There is no table users.

create table profiles (
  id uuid references auth.users on delete cascade not null primary key,
  updated_at timestamp with time zone,
  username text unique,
  full_name text,
  avatar_url text,
  role text default 'client',
  is_active boolean default true,
  constraint username_length check (char_length(username) >= 3)
);
alter table profiles enable row level security;
create policy "Public profiles are viewable by everyone." on profiles for select using (true);

create function public.handle_new_user() returns trigger set search_path = '' as $$
begin
  insert into public.profiles (id, full_name, avatar_url)
  values (new.id, new.raw_user_meta_data->>'full_name', new.raw_user_meta_data->>'avatar_url');
  return new;
end;
$$ language plpgsql security definer;
create trigger on_auth_user_created after insert on auth.users for each row execute procedure public.handle_new_user();

create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references auth.users (id) on delete set null,
  therapist_id uuid references profiles (id),
  title text,
  description text,
  start_time timestamptz,
  end_time timestamptz,
  session_type text default 'video',
  status text default 'scheduled',
  meeting_link text,
  created_at timestamptz default now()
);
create table user_credits (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id),
  user_type text default 'user',
  credits_balance int default 0,
  credits_purchased int,
  expires_at timestamptz,
  status text default 'active',
  created_at timestamptz default now()
);

insert into profiles (id, username, full_name, role, is_active)
select id, split_part(email, '@', 1), initcap(split_part(email, '@', 1)),
  case when email like any (array['ada@%', 'ben@%', 'gone@%']) then 'therapist' else 'client' end, email not like 'gone@%'
from auth.users where email like '%@profiles.example' and email not like 'no-profile@%';

insert into sessions (id, user_id, therapist_id, title, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000001' || lpad((n % 30 + 1)::text, 2, '0'))::uuid,
  ('00000000-0000-4000-8000-0000000000a' || (n % 2 + 1))::uuid, 'Session', d.start, d.start + interval '1 hour',
  case when n % 11 = 0 then 'cancelled' when d.start < now() - interval '1 day' then 'completed' else 'scheduled' end,
  now() - interval '70 days' + n * interval '1 minute'
from generate_series(0, 239) n, lateral (
  select (current_date - 20 + n / 8 + time '08:00' + n % 8 / 2 * interval '2 hours') at time zone 'UTC' as start) d;
insert into sessions (id, user_id, therapist_id, title, start_time, end_time, status, created_at)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
  ('00000000-0000-4000-8000-0000000000' || v.t)::uuid, v.title, b.day + v.s::interval, b.day + v.e::interval, v.status,
  now() - interval '3 days' + v.n::int * interval '1 minute'
from (select date_trunc('day', now(), 'UTC') as day) b, (values
  ('01', 'c1', 'a1', 'overlaps 02', '16 days 18:00', '16 days 19:00', 'scheduled'),
  ('02', 'c2', 'a1', 'overlaps 01', '16 days 18:30', '16 days 19:30', 'scheduled'),
  ('03', 'c1', 'a1', 'client in two places, 04', '17 days 18:00', '17 days 19:00', 'scheduled'),
  ('04', 'c1', 'a2', 'client in two places, 03', '17 days 18:15', '17 days 19:15', 'scheduled'),
  ('05', 'c1', 'a2', 'ends before it starts', '18 days 18:00', '18 days 17:00', 'scheduled'),
  ('06', 'c2', 'a2', 'no end', '18 days 20:00', null, 'scheduled'),
  ('07', 'c2', 'a1', 'no length', '18 days 20:30', '18 days 20:30', 'scheduled'),
  ('08', 'c2', 'a1', 'no status', '19 days 18:00', '19 days 19:00', null),
  ('09', null, 'a1', 'no client', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('10', 'c2', null, 'no therapist', '19 days 20:00', '19 days 21:00', 'scheduled'),
  ('11', 'c1', 'a3', 'therapist left', '20 days 18:00', '20 days 19:00', 'scheduled'),
  ('20', 'c2', 'a1', 'nothing known', null, null, 'scheduled')
) v (n, u, t, title, s, e, status);

insert into user_credits (id, user_id, credits_balance, credits_purchased, expires_at) values
  ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 5, 5, null),
  ('00000000-0000-4000-8000-00000000c201', '00000000-0000-4000-8000-0000000000c2', 3, 3, now() + interval '1 year'),
  ('00000000-0000-4000-8000-00000000c301', '00000000-0000-4000-8000-0000000000c3', null, 1, null),
  ('00000000-0000-4000-8000-00000000e101', '00000000-0000-4000-8000-0000000000e1', 2, 2, null);
insert into user_credits (user_id, credits_balance, credits_purchased)
select id, 2, 2 from profiles where username like 'client%';

create or replace function create_session_with_credit_deduction(
  p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_duration_minutes int default 60,
  p_session_type text default 'video', p_notes text default '', p_title text default 'Session')
returns setof sessions language plpgsql security definer as $$
declare v_lot uuid; v_start timestamptz := (p_session_date + p_session_time) at time zone 'UTC'; v_row sessions;
begin
  if not exists (select from profiles where id = p_therapist_id and role = 'therapist') then raise exception 'Therapist not found'; end if;
  select id into v_lot from user_credits where user_id = p_user_id and credits_balance > 0 limit 1;
  if v_lot is null then raise exception 'Insufficient credits'; end if;
  if exists (select from sessions where therapist_id = p_therapist_id and status = 'scheduled' and (start_time, end_time) overlaps (v_start, v_start + p_duration_minutes * interval '1 minute'))
  then raise exception 'Booking conflict'; end if;
  update user_credits set credits_balance = credits_balance - 1 where id = v_lot;
  insert into sessions (user_id, therapist_id, title, description, start_time, end_time, session_type)
  values (p_user_id, p_therapist_id, p_title, p_notes, v_start, v_start + p_duration_minutes * interval '1 minute', p_session_type) returning * into v_row;
  return next v_row;
end $$;

alter table sessions enable row level security;
alter table user_credits enable row level security;
do $$ begin
  if to_regrole('authenticated') is not null then
    create policy "own" on sessions for all to authenticated using (auth.uid() = user_id or auth.uid() = therapist_id);
    create policy "see credits" on user_credits for select to authenticated using (auth.uid() = user_id);
    create policy "update own profile" on profiles for update using (auth.uid() = id);
    grant select on profiles to anon;
    grant all on profiles, sessions to authenticated, service_role;
    grant select on user_credits to authenticated;
    grant all on user_credits to service_role;
  end if;
end $$;
