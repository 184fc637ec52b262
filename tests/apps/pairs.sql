-- Two frontends, two names for everything: sessions have columns that mean the same, of other types and with defaults.
create type session_kind as enum ('video', 'phone', 'in_person');
create table users (
  id uuid primary key default gen_random_uuid(), email text unique, full_name text, user_type text default 'individual',
  is_active boolean default true, is_verified boolean default true, created_at timestamptz default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  therapist_id uuid references users (id),
  title text default 'Session',
  session_date text,
  session_time time,
  scheduled_date date,
  scheduled_time time,
  start_time timestamptz,
  end_time timestamptz,
  duration numeric(6, 1) default 50,
  duration_minutes integer default 60,
  hours numeric generated always as (duration_minutes / 60.0) stored,
  notes varchar(20),
  description text,
  kind session_kind default 'video',
  session_type varchar(50),
  status text default 'scheduled',
  created_at timestamptz default now()
);
create table user_credits (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id), user_type text default 'user',
  credits_balance integer default 0, credits_purchased integer default 0, created_at timestamptz default now()
);

insert into users (id, email, full_name, user_type) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@pairs.example', 'Ada', 'therapist'),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@pairs.example', 'Carla', 'individual');
insert into user_credits (user_id, credits_balance, credits_purchased) values ('00000000-0000-4000-8000-0000000000c1', 50, 50);
-- Every session lasts 50 minutes; a third says 60 in duration, a third in duration_minutes, and one to come in both.
insert into sessions (id, user_id, therapist_id, scheduled_date, scheduled_time, session_date, session_time, start_time, end_time,
  duration, duration_minutes, notes, description)
select ('00000000-0000-4000-8000-1' || lpad(n::text, 11, '0'))::uuid, '00000000-0000-4000-8000-0000000000c1',
  '00000000-0000-4000-8000-0000000000a1', d.day, '09:00', d.day::text, '09:00', (d.day + time '09:00') at time zone 'Europe/Berlin',
  (d.day + time '09:50') at time zone 'Europe/Berlin', case when n % 3 = 1 then 60 else 50 end, case when n % 3 = 2 then 60 else 50 end,
  case when n % 4 = 1 then 'short' end, case when n % 4 = 2 then 'a description that is longer than the other' when n % 4 = 1 then 'other' end
from generate_series(0, 29) n, lateral (select current_date - 10 + n as day) d;
-- The second frontend forgot one of the columns.
update sessions set session_date = null where id = '00000000-0000-4000-8000-100000000003';
update sessions set session_time = '10:30' where id = '00000000-0000-4000-8000-100000000004';
update sessions set duration_minutes = null where id = '00000000-0000-4000-8000-100000000005';
update sessions set duration = 60, duration_minutes = 60 where id = '00000000-0000-4000-8000-100000000027';

create function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes integer, p_session_type text, p_notes text, p_title text) returns uuid language plpgsql as $$
declare v uuid; v_start timestamptz := (p_session_date + p_session_time) at time zone 'Europe/Berlin';
begin
  insert into sessions (user_id, therapist_id, title, session_date, session_time, start_time, end_time, duration, notes, kind)
  values (p_user_id, p_therapist_id, p_title, p_session_date::text, p_session_time, v_start, v_start + make_interval(mins => p_duration_minutes),
    p_duration_minutes, p_notes, p_session_type::session_kind) returning id into v;
  update user_credits set credits_balance = credits_balance - 1 where user_id = p_user_id and credits_balance > 0;
  return v;
end $$;

-- BEFORE triggers of every place in the alphabet.
create function default_duration() returns trigger language plpgsql as $$
begin
  if new.title = 'first' then new.duration := 40; end if;
  return new;
end $$;
create trigger aa_default_duration before insert or update on sessions for each row execute function default_duration();
create function late_duration() returns trigger language plpgsql as $$
begin
  if new.title = 'late' then new.duration := 35; new.notes := 'late'; end if;
  if new.title = 'later' then new.duration_minutes := 25; end if;
  return new;
end $$;
create trigger zzzz_late_duration before insert or update on sessions for each row execute function late_duration();
