-- Status as an enumeration, and everything that may hang on it. Ids of users by the app, a counter for the log.

do $$ begin create type session_status as enum ('scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled');
exception when duplicate_object then null; end $$;
create type "User Role" as enum ('user', 'therapist', 'admin');

create table if not exists public.users (
    id uuid primary key default gen_random_uuid(),
    email text not null unique,
    full_name text not null,
    user_type "User Role" not null default 'user',
    is_active boolean default true,
    is_verified boolean default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

create table public.sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references public.users (id) on delete set null,
    therapist_id uuid references public.users (id) on delete set null,
    title varchar(40),
    description text,
    scheduled_date date,
    scheduled_time time,
    start_time timestamp not null,
    end_time timestamp not null,
    duration_minutes numeric(5, 0) default 60,
    session_type varchar(20) default 'video',
    status session_status not null default 'scheduled'::session_status,
    room text not null,
    price numeric(10, 2) not null default 0,
    created_at timestamp default timezone('utc', now()),
    updated_at timestamp default timezone('utc', now()),
    check (status <> 'in_progress'::session_status or start_time is not null)
);
alter table public.sessions force row level security;
create index on public.sessions (therapist_id) where status = 'scheduled'::session_status;
create unique index one_at_a_time on public.sessions (therapist_id, start_time)
where status in ('scheduled'::session_status, 'confirmed'::session_status);
create index sessions_user_id_start_time_idx on public.sessions (start_time);

create table public.user_credits (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references public.users (id),
    user_type text not null default 'user',
    credits_balance smallint not null default 0 check (credits_balance <= 100),
    credits_purchased numeric(6, 0) default 0,
    expires_at timestamp,
    status text default 'active' check (status in ('active', 'used_up')),
    created_at timestamptz default now()
);
alter table public.user_credits enable row level security;
create policy "own credits" on public.user_credits for all using (user_id::text = current_setting('app.user', true));

create unlogged table public.booking_audit_log (
    id bigserial primary key,
    session_id uuid not null references public.sessions (id),
    user_id uuid not null references public.users (id),
    action text not null check (action in ('created', 'cancelled')),
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);

create view public.upcoming as
select s.id, s.therapist_id, s.start_time, s.status, u.full_name
from public.sessions as s
inner join public.users as u on u.id = s.user_id
where s.status = 'scheduled'::session_status and s.start_time > '2020-01-01';
create view public.upcoming_today as select u.id, u.status from public.upcoming as u where u.start_time::date = current_date;
comment on view public.upcoming is 'What is to come.';
comment on column public.upcoming.full_name is 'The client''s.';
grant select on public.upcoming to public;

create policy "see scheduled" on public.sessions for select using (status = 'scheduled'::session_status);

comment on policy "see scheduled" on public.sessions is 'Everybody.';
comment on index public.one_at_a_time is 'Not twice.';

do $$ begin
    grant all on all tables in schema public to service_role;
exception when undefined_object then null; end $$;

create function public.fill_room() returns trigger language plpgsql as $$
begin
    new.room := coalesce(new.room, 'video ' || left(new.id::text, 4));
    return new;
end $$;
create trigger a_room before insert on public.sessions for each row execute function public.fill_room();
create function public.on_confirmed() returns trigger language plpgsql as $$
begin
    perform pg_notify('confirmed', new.id::text);
    return null;
end $$;
create trigger confirmed after update of status on public.sessions
for each row when (new.status = 'confirmed'::session_status and old.status <> new.status)
execute function public.on_confirmed();
create trigger was_off after update of status on public.sessions
for each row execute function public.on_confirmed();
alter table public.sessions disable trigger was_off;

create function public.create_session_with_credit_deduction(
    p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time,
    p_duration_minutes integer default 60, p_session_type varchar default 'video', p_notes text default '',
    p_title text default 'Session'
) returns public.sessions language plpgsql security definer as $$
declare v_row public.sessions; v_status session_status := 'scheduled';
begin
    if not exists (select 1 from users where id = p_therapist_id and user_type = 'therapist' and is_active) then
        raise exception 'Therapist not found';
    end if;
    if exists (
        select 1 from sessions where sessions.therapist_id = p_therapist_id and sessions.status = 'scheduled'
            and sessions.start_time = (p_session_date + p_session_time) at time zone 'Europe/Paris' at time zone 'UTC'
    ) then
        raise exception 'Booking conflict';
    end if;
    update user_credits set credits_balance = credits_balance - 1
    where id = (select id from user_credits where user_id = p_user_id and credits_balance > 0 limit 1);
    if not found then raise exception 'Insufficient credits'; end if;
    insert into sessions (user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time,
        end_time, duration_minutes, session_type, status, room)
    values (p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time,
        (p_session_date + p_session_time) at time zone 'Europe/Paris' at time zone 'UTC',
        (p_session_date + p_session_time) at time zone 'Europe/Paris' at time zone 'UTC'
            + make_interval(mins => p_duration_minutes),
        p_duration_minutes, p_session_type, v_status, 'x')
    returning * into v_row;
    return v_row;
end $$;

insert into public.users (id, email, full_name, user_type) values
('00000000-0000-4000-8000-0000000000a1', 'grace@enums.example', 'Grace', 'therapist'),
('00000000-0000-4000-8000-0000000000a2', 'mary@enums.example', 'Mary', 'therapist'),
('00000000-0000-4000-8000-0000000000c1', 'ada@enums.example', 'Ada', 'user'),
('00000000-0000-4000-8000-0000000000c2', 'bob@enums.example', 'Bob', 'user'),
('00000000-0000-4000-8000-0000000000c3', 'eve@enums.example', 'Eve', 'user');
insert into public.users (id, email, full_name, user_type, is_active)
values ('00000000-0000-4000-8000-0000000000a3', 'out@enums.example', 'Out', 'therapist', false);
insert into public.user_credits (id, user_id, credits_balance, credits_purchased, status)
values ('00000000-0000-4000-8000-00000000c101', '00000000-0000-4000-8000-0000000000c1', 5, 5, 'active');
insert into public.user_credits (user_id, credits_balance, credits_purchased, status) values
('00000000-0000-4000-8000-0000000000c3', 0, 2, 'used_up'),
('00000000-0000-4000-8000-0000000000c2', 3, 5, 'active'),
('00000000-0000-4000-8000-0000000000c2', 0, 5, 'used_up');
insert into public.sessions (
    id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status, room
)
select ('00000000-0000-4000-8000-' || (100000000000 + n + 500))::uuid, '00000000-0000-4000-8000-0000000000c1',
    '00000000-0000-4000-8000-0000000000a1', current_date + n, '08:00',
    (current_date + n + time '08:00') at time zone 'Europe/Paris' at time zone 'UTC',
    (current_date + n + time '09:00') at time zone 'Europe/Paris' at time zone 'UTC',
    (case when n < 0 then 'completed' else 'scheduled' end)::session_status, 'x'
from generate_series(-170, 30) as n;
-- Two at a time with one therapist, and two of one client.
insert into public.sessions (id, user_id, therapist_id, start_time, end_time, room)
select ('00000000-0000-4000-8000-5e55000000' || v.n)::uuid, ('00000000-0000-4000-8000-0000000000' || v.u)::uuid,
    ('00000000-0000-4000-8000-0000000000' || v.t)::uuid,
    current_date + v.days + v.at, current_date + v.days + v.at + interval '1 hour', 'x'
from (values ('01', 'c1', 'a1', 33, time '15:00'), ('02', 'c2', 'a1', 33, time '15:30'),
    ('03', 'c2', 'a1', 34, time '15:00'), ('04', 'c2', 'a2', 34, time '15:30')) as v (n, u, t, days, at);
