-- A booking tells many: the client, the therapist, a queue, a log, a channel, a web hook.
create table users (
  id uuid primary key default gen_random_uuid(), email text unique, full_name text, user_type text default 'individual',
  is_active boolean default true, is_verified boolean default true, created_at timestamptz default now()
);
create table sessions (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id), therapist_id uuid references users (id),
  title text, description text, scheduled_date date, scheduled_time time, start_time timestamptz, end_time timestamptz,
  duration_minutes integer, session_type text, status text default 'scheduled', created_at timestamptz default now()
);
create table user_credits (
  id uuid primary key default gen_random_uuid(), user_id uuid references users (id), user_type text default 'user',
  credits_balance integer default 0, credits_purchased integer default 0, created_at timestamptz default now()
);
create table notification_queue (id bigserial primary key, user_id uuid, kind text not null, session_id uuid);
create table event_log (id bigserial primary key, what text not null, details jsonb);
create table reminders (id bigserial primary key, session_id uuid, send_at timestamptz, template text, note text);
create schema net;
create table net.requests (id bigserial primary key, url text, body jsonb);

insert into users (id, email, full_name, user_type) values
  ('00000000-0000-4000-8000-0000000000a1', 'ada@notified.example', 'Ada', 'therapist'),
  ('00000000-0000-4000-8000-0000000000c1', 'carla@notified.example', 'Carla', 'individual');
insert into user_credits (user_id, credits_balance, credits_purchased) values ('00000000-0000-4000-8000-0000000000c1', 50, 50);

create function net.http_post(url text, body jsonb) returns bigint language sql as $$
  insert into net.requests (url, body) values (url, body) returning id
$$;
create function enqueue_notification(p_user_id uuid, p_kind text, p_session_id uuid) returns void language plpgsql as $$
begin insert into notification_queue (user_id, kind, session_id) values (p_user_id, p_kind, p_session_id); end $$;
create function write_event(p_what text, p_details jsonb) returns void language sql as $$
  insert into event_log (what, details) values (p_what, p_details)
$$;
create function log_event(p_what text, p_details jsonb default '{}') returns void language plpgsql as $$
begin perform write_event(p_what, p_details); end $$;
create function take_credit(p_user uuid) returns boolean language plpgsql as $$
begin
  update user_credits set credits_balance = credits_balance - 1 where user_id = p_user and credits_balance > 0;
  return found;
end $$;
create function check_hours(p_time time) returns void language plpgsql as $$
begin if p_time < '06:00' then raise exception 'too early'; end if; end $$;
create function label_of(p_title text) returns text language sql immutable as $$ select upper(p_title) $$;

create function create_session_with_credit_deduction(p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
  p_duration_minutes integer, p_session_type text, p_notes text, p_title text) returns setof sessions language plpgsql as $$
declare
  booked sessions;
  v_label text;
  starts_at timestamptz := (p_session_date + p_session_time) at time zone 'UTC';
begin
  perform check_hours(p_session_time);
  perform pg_advisory_xact_lock(hashtext(p_therapist_id::text));
  if not take_credit(p_user_id) then
    raise exception 'Insufficient credits';
  end if;
  v_label := label_of(p_title);
  insert into sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type)
  values (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, starts_at,
    starts_at + make_interval(mins => p_duration_minutes), p_duration_minutes, p_session_type)
  returning * into booked;
  perform log_event('booked: ' || case when p_title = 'x' then 'y' else p_title end, jsonb_build_object('id', booked.id));
  perform enqueue_notification(p_user_id, 'client_booked', booked.id);
  begin
    -- and the therapist; the queue is not always there: perform nothing_at_all();
    perform enqueue_notification(p_therapist_id, 'therapist; booked', booked.id);
  exception when others then
    perform log_event('failed', '{}');
  end;
  insert into reminders (session_id, send_at, template, note)
  values (booked.id, starts_at - interval '1 day', 'day (before)', v_label);
  if p_session_type = 'video' then
    perform net.http_post(url := 'https://video.example/rooms', body := jsonb_build_object('session', booked.id));
  else
    perform send_letter(p_user_id);
  end if;
  perform pg_notify('bookings', booked.id::text);
  update users set full_name = full_name where id = p_user_id;
  return next booked;
end $$;
