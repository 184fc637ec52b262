-- An application as many are: no constraint keeps sessions apart, its own function looks first and books then.
-- Fields: therapists, clients, sessions, to_come (percent of the sessions), stored (the zone that instants are written
-- in: the right one is Europe/Berlin, UTC makes every instant wrong by one or two hours).
create table public.users (
    id uuid primary key,
    email text not null unique,
    full_name text,
    user_type text not null default 'individual' check (user_type in ('individual', 'therapist', 'admin')),
    is_active boolean not null default true,
    is_verified boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id),
    therapist_id uuid not null references public.users (id),
    title varchar(255) not null default 'Therapy Session',
    description text,
    scheduled_date date not null,
    scheduled_time time not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    duration_minutes integer not null default 60,
    session_type varchar(50) default 'video',
    status varchar(50) not null default 'scheduled' check (
        status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show')
    ),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.user_credits (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users (id),
    user_type text not null default 'user',
    credits_balance integer not null default 0,
    credits_purchased integer not null default 0,
    credits_used integer not null default 0,
    expires_at timestamptz,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.booking_audit_log (
    id bigint generated always as identity primary key,
    session_id uuid not null,
    user_id uuid,
    action text not null,
    old_status text,
    new_status text,
    created_at timestamptz not null default now()
);

insert into public.users (id, email, full_name, user_type)
select md5('therapist ' || t.n)::uuid, 'therapist' || t.n || '@app.example', 'Therapist ' || t.n, 'therapist'
from generate_series(0, {therapists} - 1) as t (n)
union all
select md5('client ' || c.n)::uuid, 'client' || c.n || '@app.example', 'Client ' || c.n, 'individual'
from generate_series(0, {clients} - 1) as c (n);

insert into public.user_credits (user_id, credits_balance, credits_purchased)
select md5('client ' || c.n)::uuid, 100, 100
from generate_series(0, {clients} - 1) as c (n);

-- Eight hours of a day at every therapist's; a client is with one of them at a time.
insert into public.sessions (
    user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status, created_at
)
select
    md5('client ' || (s.therapist + s.place * 7) % {clients})::uuid, md5('therapist ' || s.therapist)::uuid,
    s.day, s.hour,
    (s.day + s.hour) at time zone '{stored}', (s.day + s.hour + interval '1 hour') at time zone '{stored}',
    case when s.day > current_date then 'scheduled' when s.place % 9 = 0 then 'cancelled' else 'completed' end,
    s.day - interval '30 days'
from (
    select
        n % {therapists} as therapist, n / {therapists} as place,
        current_date + 1 + ({sessions} * {to_come}::bigint / 100 / {therapists} / 8)::integer
        - n / {therapists} / 8 as day,
        time '09:00' + n / {therapists} % 8 * interval '1 hour' as hour
    from generate_series(0, {sessions} - 1) as g (n)
) as s;
create index sessions_of_client on public.sessions (user_id);
create index sessions_of_therapist on public.sessions (therapist_id, start_time);

create function public.create_session_with_credit_deduction(
    p_user_id uuid, p_therapist_id uuid, p_session_date date, p_session_time time, p_duration_minutes integer default 60,
    p_session_type varchar default 'video', p_notes text default '', p_title text default 'Therapy Session'
) returns setof public.sessions language plpgsql security definer set search_path = public as $$
declare
    v_start timestamptz := (p_session_date + p_session_time) at time zone '{stored}';
    v_end timestamptz := v_start + p_duration_minutes * interval '1 minute';
    v_lot uuid;
    v_session sessions;
begin
    if exists (
        select from sessions s where s.therapist_id = p_therapist_id and s.status not in ('cancelled', 'completed')
            and s.start_time < v_end and s.start_time > v_start - interval '1 day' and s.end_time > v_start
    ) then
        raise exception 'Booking conflict';
    end if;
    select c.id into v_lot from user_credits c where c.user_id = p_user_id and c.credits_balance > 0 limit 1 for update;
    if v_lot is null then
        raise exception 'Insufficient credits';
    end if;
    update user_credits set credits_balance = credits_balance - 1 where id = v_lot;
    insert into sessions (
        user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time, duration_minutes
    ) values (
        p_user_id, p_therapist_id, p_title, p_notes, p_session_date, p_session_time, v_start, v_end, p_duration_minutes
    ) returning * into v_session;
    return next v_session;
end;
$$;
create index credits_of_client on public.user_credits (user_id);
