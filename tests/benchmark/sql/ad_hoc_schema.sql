-- The tables and the function that applications have without bookingdb, as good as that design allows: what decides
-- is counted through the index of the exclusion constraint, every look-up has an index, nothing is notified.
create extension if not exists btree_gist;
create schema bookingdb_ad_hoc;
set synchronous_commit = off;

create table bookingdb_ad_hoc.users (
    id uuid primary key,
    email text,
    user_type text not null,
    is_active boolean not null default true
);
insert into bookingdb_ad_hoc.users (id, email, user_type)
select p.id, p.email, p.user_type
from loaded_people as p;

create table bookingdb_ad_hoc.sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid,
    therapist_id uuid,
    title varchar(255),
    description text,
    scheduled_date date,
    scheduled_time time,
    start_time timestamptz,
    end_time timestamptz,
    duration_minutes integer,
    session_type varchar(50),
    status varchar(50),
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
insert into bookingdb_ad_hoc.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status
)
select
    s.id, s.user_id, s.therapist_id, 'Therapy Session', '', s.scheduled_date, s.scheduled_time, s.start_time,
    s.end_time, 60, 'video', s.status
from loaded_sessions as s;
alter table bookingdb_ad_hoc.sessions
add primary key (id),
add foreign key (user_id) references bookingdb_ad_hoc.users (id),
add foreign key (therapist_id) references bookingdb_ad_hoc.users (id),
add constraint sessions_no_overlap exclude using gist (
    therapist_id with =, tstzrange(start_time, end_time) with &&
) where (status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress'));
create index on bookingdb_ad_hoc.sessions (user_id, start_time);
create index on bookingdb_ad_hoc.sessions (therapist_id, start_time);

create table bookingdb_ad_hoc.user_credits (
    user_id uuid not null,
    credits_balance integer not null check (credits_balance >= 0),
    credits_used integer not null default 0,
    updated_at timestamptz not null default now()
) with (fillfactor = 80);
insert into bookingdb_ad_hoc.user_credits (user_id, credits_balance)
select c.user_id, c.credits
from loaded_credits as c;
alter table bookingdb_ad_hoc.user_credits
add primary key (user_id),
add foreign key (user_id) references bookingdb_ad_hoc.users (id);

create table bookingdb_ad_hoc.booking_audit_log (
    id bigint generated always as identity primary key,
    session_id uuid not null references bookingdb_ad_hoc.sessions (id),
    user_id uuid,
    action text not null,
    new_status text,
    created_at timestamptz not null default now()
);
create index on bookingdb_ad_hoc.booking_audit_log (session_id);

create function bookingdb_ad_hoc.book_session(
    p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time
)
returns setof bookingdb_ad_hoc.sessions
language plpgsql
as $function$
declare
    v_start constant timestamptz := (p_session_date + p_session_time) at time zone 'UTC';
    v_end constant timestamptz := v_start + interval '45 minutes';
    v_conflicts integer;
    v_balance integer;
    v_id uuid;
begin
    perform pg_advisory_xact_lock(
        ('x' || substr(md5(p_therapist_id::text || p_session_date::text), 1, 16))::bit(64)::bigint
    );
    if not exists (
        select from bookingdb_ad_hoc.users as u where u.id = p_therapist_id and u.user_type = 'therapist' and u.is_active
    ) then
        raise exception 'Therapist not found';
    end if;

    select count(*)
    into v_conflicts
    from bookingdb_ad_hoc.sessions as s
    where s.therapist_id = p_therapist_id
        and s.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
        and tstzrange(s.start_time, s.end_time) && tstzrange(v_start, v_end);
    if v_conflicts > 0 then
        raise exception 'Booking conflict: time slot unavailable';
    end if;

    select c.credits_balance
    into v_balance
    from bookingdb_ad_hoc.user_credits as c
    where c.user_id = p_user_id
    for update;
    if coalesce(v_balance, 0) < 1 then
        raise exception 'Insufficient credits';
    end if;
    update bookingdb_ad_hoc.user_credits as c
    set credits_balance = v_balance - 1, credits_used = c.credits_used + 1, updated_at = now()
    where c.user_id = p_user_id;

    insert into bookingdb_ad_hoc.sessions (
        user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status
    )
    values (
        p_user_id, p_therapist_id, 'Therapy Session', '', p_session_date, p_session_time, v_start, v_end, 45, 'video',
        'scheduled'
    )
    returning id into v_id;
    insert into bookingdb_ad_hoc.booking_audit_log (session_id, user_id, action, new_status)
    values (v_id, p_user_id, 'created', 'scheduled');

    return query select s.* from bookingdb_ad_hoc.sessions as s where s.id = v_id;
end;
$function$;
