-- The tables that a booking of version 0.1.0 writes, with their indexes and constraints, and no trigger. Frozen: they do
-- not follow the migrations, so that a booking which writes less is seen to gain on them.
create extension if not exists btree_gist;
create schema bookingdb_floor;
set synchronous_commit = off;
set maintenance_work_mem = '512MB';

create table bookingdb_floor.users (
    id uuid not null default gen_random_uuid(),
    email text,
    full_name text,
    user_type text not null default 'user',
    is_active boolean not null default true,
    is_verified boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table bookingdb_floor.sessions (
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
    status varchar(50) not null default 'scheduled',
    time_zone text,
    credits_charged integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    free_cancellation_until timestamptz,
    cancellation_reason text,
    series_id uuid,
    hours_overridden boolean not null default false,
    constraint sessions_credits_charged_check check (credits_charged in (0, 1)),
    constraint sessions_status_check check (
        status::text in (
            'pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show'
        )
    )
);

create table bookingdb_floor.user_credits (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    user_type text not null default 'user',
    credits_balance integer not null default 0,
    credits_purchased integer not null default 0,
    credits_used integer not null default 0,
    credits_expired integer not null default 0,
    expires_at timestamptz,
    payment_reference text,
    status text not null default 'active',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    category text not null default 'paid',
    priority integer not null default 50,
    grace_for_lot_id uuid,
    constraint user_credits_balance_check check (credits_balance >= 0),
    constraint user_credits_category_check check (category in ('paid', 'promotional')),
    constraint user_credits_priority_check check (priority between 0 and 100),
    constraint user_credits_status_check check (status in ('active', 'expired', 'refunded', 'revoked'))
) with (fillfactor = 80);

create table bookingdb_floor.booking_audit_log (
    id bigint generated always as identity,
    session_id uuid not null,
    user_id uuid,
    action text not null,
    old_status text,
    new_status text,
    changes jsonb not null default '{}',
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    entry bigint generated always as identity
);

create table bookingdb_floor.calendar (
    id uuid not null default gen_random_uuid(),
    kind text not null,
    therapist_id uuid,
    client_id uuid,
    period tstzrange not null,
    blocked tstzrange not null,
    expires_at timestamptz,
    reason text,
    external_source text,
    external_id text,
    constraint calendar_kind_check check (kind in ('session', 'hold', 'time_off', 'external')),
    constraint calendar_period_check check (
        not isempty(period) and lower_inc(period) and not upper_inc(period)
        and not lower_inf(period) and not upper_inf(period)
        and blocked @> period
    ),
    constraint calendar_hold_expires_check check ((kind = 'hold') = (expires_at is not null))
);

create table bookingdb_floor.ledger (
    id bigint generated always as identity,
    user_id uuid not null,
    lot_id uuid not null,
    session_id uuid,
    kind text not null,
    amount integer not null,
    balance_after integer not null,
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    reason text,
    constraint ledger_kind_check check (
        kind in ('opening', 'grant', 'debit', 'refund', 'expiry', 'adjustment', 'revocation', 'direct')
    ),
    constraint ledger_amount_check check (amount <> 0),
    constraint ledger_balance_after_check check (balance_after >= 0)
);

create table bookingdb_floor.idempotency_keys (
    function_name text not null,
    user_id uuid not null,
    key text not null,
    request_hash bytea not null,
    result_id uuid not null,
    credits_balance integer not null,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_key_check check (char_length(key) between 1 and 255)
);

create table bookingdb_floor.outbox (
    id bigint generated always as identity,
    event text not null,
    subject_id uuid not null,
    payload jsonb not null,
    created_at timestamptz not null default clock_timestamp()
);

insert into bookingdb_floor.users (id, email, user_type, is_active, is_verified)
select p.id, p.email, p.user_type, true, true
from loaded_people as p;

insert into bookingdb_floor.user_credits (id, user_id, credits_balance, credits_purchased)
select c.id, c.user_id, c.credits, c.credits
from loaded_credits as c;

insert into bookingdb_floor.ledger (user_id, lot_id, kind, amount, balance_after, actor)
select c.user_id, c.id, 'grant', c.credits, c.credits, 'benchmark'
from loaded_credits as c;

insert into bookingdb_floor.sessions (
    id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
    duration_minutes, session_type, status, time_zone
)
select
    s.id, s.user_id, s.therapist_id, 'Therapy Session', '', s.scheduled_date, s.scheduled_time, s.start_time,
    s.end_time, 60, 'video', s.status, 'UTC'
from loaded_sessions as s;

insert into bookingdb_floor.calendar (id, kind, therapist_id, client_id, period, blocked)
select s.id, 'session', s.therapist_id, s.user_id, s.period, s.period
from loaded_sessions as s
where s.status = 'scheduled';

insert into bookingdb_floor.booking_audit_log (session_id, user_id, action, new_status, actor)
select s.id, s.user_id, 'created', s.status, 'benchmark'
from loaded_sessions as s;

-- Rows before indexes: filling ten million rows through GiST indexes takes many times as long.
alter table bookingdb_floor.users add constraint users_pkey primary key (id);
create unique index users_email_key on bookingdb_floor.users (lower(email));

alter table bookingdb_floor.sessions
add constraint sessions_pkey primary key (id),
add constraint sessions_user_id_fkey foreign key (user_id) references bookingdb_floor.users (id),
add constraint sessions_therapist_id_fkey foreign key (therapist_id) references bookingdb_floor.users (id);
create index sessions_user_id_start_time_idx on bookingdb_floor.sessions (user_id, start_time);
create index sessions_therapist_id_start_time_idx on bookingdb_floor.sessions (therapist_id, start_time);
create index sessions_series_id_idx on bookingdb_floor.sessions (series_id) where series_id is not null;

alter table bookingdb_floor.user_credits
add constraint user_credits_pkey primary key (id),
add constraint user_credits_user_id_fkey foreign key (user_id) references bookingdb_floor.users (id);
create index user_credits_consumption_idx
on bookingdb_floor.user_credits (user_id, priority, expires_at, category desc, created_at, id);
create index user_credits_expires_at_idx on bookingdb_floor.user_credits (expires_at)
where status = 'active' and expires_at is not null;
create unique index user_credits_payment_reference_key on bookingdb_floor.user_credits (payment_reference)
where payment_reference is not null;

alter table bookingdb_floor.booking_audit_log add constraint booking_audit_log_pkey primary key (id);
create index booking_audit_log_session_id_entry_idx on bookingdb_floor.booking_audit_log (session_id, entry);

alter table bookingdb_floor.calendar
add constraint calendar_pkey primary key (id),
add constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
where (kind in ('session', 'hold') and therapist_id is not null),
add constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
where (kind in ('session', 'hold') and client_id is not null);
create index calendar_absence_idx on bookingdb_floor.calendar using gist (therapist_id, blocked)
where kind in ('time_off', 'external') and therapist_id is not null;
create unique index calendar_external_key on bookingdb_floor.calendar (therapist_id, external_source, external_id)
where kind = 'external';
create unique index calendar_hold_key on bookingdb_floor.calendar (client_id, therapist_id)
where kind = 'hold' and client_id is not null and therapist_id is not null;
create index calendar_stand_in_idx on bookingdb_floor.calendar (client_id) where external_source = 'adoption';

alter table bookingdb_floor.ledger
add constraint ledger_pkey primary key (id),
add constraint ledger_session_id_kind_key unique (session_id, kind);
create index ledger_lot_id_idx on bookingdb_floor.ledger (lot_id, id);
create index ledger_user_id_created_at_idx on bookingdb_floor.ledger (user_id, created_at, id);

alter table bookingdb_floor.idempotency_keys
add constraint idempotency_keys_pkey primary key (function_name, user_id, key);
alter table bookingdb_floor.outbox add constraint outbox_pkey primary key (id);
