-- The tables and the function of a careful team: what `ad_hoc_schema.sql` leaves out and such applications have.
-- The function knows its caller, checks its parameters, looks both people up, obeys weekly hours, a buffer and a notice
-- where a therapist has them, sees the client's own sessions, posts the credit and leaves a notification to be sent.
create extension if not exists btree_gist;
create schema bookingdb_fair;
set synchronous_commit = off;

create table bookingdb_fair.users (
    id uuid primary key,
    email text not null,
    user_type text not null check (user_type in ('user', 'therapist', 'admin')),
    is_active boolean not null default true,
    created_at timestamptz not null default now()
);
insert into bookingdb_fair.users (id, email, user_type)
select p.id, p.email, p.user_type
from loaded_people as p;
create unique index on bookingdb_fair.users (lower(email));

create table bookingdb_fair.therapist_settings (
    therapist_id uuid primary key references bookingdb_fair.users (id),
    time_zone text not null default 'UTC',
    has_hours boolean not null default false,
    buffer_minutes integer not null default 0 check (buffer_minutes between 0 and 720),
    minimum_notice interval not null default '0'
);
insert into bookingdb_fair.therapist_settings (therapist_id)
select p.id
from loaded_people as p
where p.user_type = 'therapist';

create table bookingdb_fair.working_hours (
    therapist_id uuid not null references bookingdb_fair.users (id),
    weekday integer not null check (weekday between 1 and 7),
    start_time time not null,
    end_time time not null check (end_time > start_time),
    primary key (therapist_id, weekday, start_time)
);

create table bookingdb_fair.sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    therapist_id uuid not null,
    title varchar(255) not null,
    description text not null,
    scheduled_date date not null,
    scheduled_time time not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    duration_minutes integer not null check (duration_minutes between 15 and 180),
    session_type varchar(50) not null,
    status varchar(50) not null default 'scheduled',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (end_time > start_time),
    check (
        status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')
    )
);
insert into bookingdb_fair.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status
)
select
    s.id, s.user_id, s.therapist_id, 'Therapy Session', '', s.scheduled_date, s.scheduled_time, s.start_time,
    s.end_time, 60, 'video', s.status
from loaded_sessions as s;
alter table bookingdb_fair.sessions
add primary key (id),
add foreign key (user_id) references bookingdb_fair.users (id),
add foreign key (therapist_id) references bookingdb_fair.users (id),
add constraint sessions_no_overlap exclude using gist (
    therapist_id with =, tstzrange(start_time, end_time) with &&
) where (status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress'));
create index on bookingdb_fair.sessions (user_id, start_time);
create index on bookingdb_fair.sessions (therapist_id, start_time);

create table bookingdb_fair.user_credits (
    user_id uuid not null,
    credits_balance integer not null check (credits_balance >= 0),
    credits_used integer not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 80);
insert into bookingdb_fair.user_credits (user_id, credits_balance)
select c.user_id, c.credits
from loaded_credits as c;
alter table bookingdb_fair.user_credits
add primary key (user_id),
add foreign key (user_id) references bookingdb_fair.users (id);

create table bookingdb_fair.credit_transactions (
    id bigint generated always as identity primary key,
    user_id uuid not null references bookingdb_fair.users (id),
    session_id uuid references bookingdb_fair.sessions (id),
    amount integer not null check (amount <> 0),
    balance_after integer not null check (balance_after >= 0),
    kind text not null check (kind in ('purchase', 'booking', 'refund', 'expiry', 'adjustment')),
    created_at timestamptz not null default now()
);
insert into bookingdb_fair.credit_transactions (user_id, amount, balance_after, kind)
select c.user_id, c.credits, c.credits, 'purchase'
from loaded_credits as c;
create index on bookingdb_fair.credit_transactions (user_id, created_at);
create index on bookingdb_fair.credit_transactions (session_id);

create table bookingdb_fair.booking_audit_log (
    id bigint generated always as identity primary key,
    session_id uuid not null references bookingdb_fair.sessions (id),
    user_id uuid,
    action text not null,
    new_status text,
    created_at timestamptz not null default now()
);
insert into bookingdb_fair.booking_audit_log (session_id, user_id, action, new_status)
select s.id, s.user_id, 'created', s.status
from loaded_sessions as s;
create index on bookingdb_fair.booking_audit_log (session_id);

create table bookingdb_fair.notifications (
    id bigint generated always as identity primary key,
    user_id uuid not null references bookingdb_fair.users (id),
    kind text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz
);
create index on bookingdb_fair.notifications (created_at) where sent_at is null;

create function bookingdb_fair.book_session(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_title text default 'Therapy Session',
    p_notes text default ''
)
returns setof bookingdb_fair.sessions
language plpgsql
security definer
set search_path = bookingdb_fair, pg_temp
as $function$
declare
    v_caller constant text := nullif(current_setting('request.jwt.claims', true), '');
    v_settings therapist_settings;
    v_start timestamptz;
    v_end timestamptz;
    v_blocked_until timestamptz;
    v_balance integer;
    v_session sessions;
begin
    if v_caller is not null and (v_caller::jsonb ->> 'sub')::uuid is distinct from p_user_id then
        raise exception 'Not allowed' using errcode = 'insufficient_privilege';
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        raise exception 'Invalid duration';
    end if;
    if char_length(p_title) > 255 or char_length(p_notes) > 10000 then
        raise exception 'Text too long';
    end if;

    -- One booking of a therapist at a time.
    perform pg_advisory_xact_lock(hashtextextended(p_therapist_id::text, 0));

    select s.*
    into v_settings
    from users as u
    inner join therapist_settings as s on s.therapist_id = u.id
    where u.id = p_therapist_id and u.user_type = 'therapist' and u.is_active;
    if not found then
        raise exception 'Therapist not found';
    end if;
    if not exists (select from users as u where u.id = p_user_id and u.is_active) then
        raise exception 'User not found';
    end if;

    v_start := (p_session_date + p_session_time) at time zone v_settings.time_zone;
    v_end := v_start + make_interval(mins => p_duration_minutes);
    v_blocked_until := v_end + make_interval(mins => v_settings.buffer_minutes);
    if v_start < now() + v_settings.minimum_notice then
        raise exception 'Too late to book';
    end if;
    if v_settings.has_hours and not exists (
        select
        from working_hours as w
        where w.therapist_id = p_therapist_id
            and w.weekday = extract(isodow from p_session_date)
            and w.start_time <= p_session_time
            and w.end_time - p_session_time >= make_interval(mins => p_duration_minutes)
    ) then
        raise exception 'Outside of working hours';
    end if;

    if exists (
        select
        from sessions as s
        where s.therapist_id = p_therapist_id
            and s.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
            and tstzrange(s.start_time, s.end_time)
            && tstzrange(v_start - make_interval(mins => v_settings.buffer_minutes), v_blocked_until)
    ) then
        raise exception 'Booking conflict: time slot unavailable';
    end if;
    -- No session is longer than three hours.
    if exists (
        select
        from sessions as s
        where s.user_id = p_user_id
            and s.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
            and s.start_time < v_end
            and s.start_time > v_start - interval '3 hours'
            and s.end_time > v_start
    ) then
        raise exception 'Booking conflict: you have another session at this time';
    end if;

    update user_credits as c
    set credits_balance = c.credits_balance - 1, credits_used = c.credits_used + 1, updated_at = now()
    where c.user_id = p_user_id and c.credits_balance > 0
    returning c.credits_balance
    into v_balance;
    if not found then
        raise exception 'Insufficient credits';
    end if;

    insert into sessions (
        user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status
    )
    values (
        p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, v_start, v_end,
        p_duration_minutes, 'video', 'scheduled'
    )
    returning *
    into v_session;
    insert into credit_transactions (user_id, session_id, amount, balance_after, kind)
    values (p_user_id, v_session.id, -1, v_balance, 'booking');
    insert into booking_audit_log (session_id, user_id, action, new_status)
    values (v_session.id, p_user_id, 'created', 'scheduled');
    insert into notifications (user_id, kind, payload)
    values (
        p_therapist_id,
        'session.created',
        jsonb_build_object('session_id', v_session.id, 'user_id', p_user_id, 'start_time', v_start)
    );
    return next v_session;
end;
$function$;
