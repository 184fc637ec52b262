-- The tables bookingdb stands on. Applied once, never edited: later changes are later files.
--
-- Two schemas: public is what applications (and PostgREST) see, bookingdb is the engine room, which is never exposed.
-- Every index says which query or constraint needs it.

create schema if not exists bookingdb;
create schema if not exists extensions;

-- Exclusion constraints compare uuid columns in a GiST index. Where the extension is elsewhere, it stays there.
create extension if not exists btree_gist with schema extensions;

-- ---------------------------------------------------------------------------------------------------------------------
-- What the application sees
-- ---------------------------------------------------------------------------------------------------------------------

create table public.users (
    id uuid not null default gen_random_uuid(),
    email text,
    full_name text,
    user_type text not null default 'user',
    is_active boolean not null default true,
    is_verified boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (id)
);

-- One person per e-mail address, however it is capitalised. register_client and register_therapist look people up by
-- it.
create unique index users_email_key on public.users (lower(email));

create table public.sessions (
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
    constraint sessions_pkey primary key (id),
    -- Compared as text, because Postgres prints a comparison of varchar in a form that it reads back as another one.
    constraint sessions_status_check check (
        status::text in (
            'pending_approval', 'scheduled', 'confirmed', 'in_progress', 'completed', 'cancelled', 'no_show'
        )
    ),
    constraint sessions_credits_charged_check check (credits_charged in (0, 1)),
    constraint sessions_user_id_fkey foreign key (user_id) references public.users (id),
    constraint sessions_therapist_id_fkey foreign key (therapist_id) references public.users (id)
);

comment on column public.sessions.description is 'The notes of the booking (p_notes).';
comment on column public.sessions.time_zone is 'IANA zone in which scheduled_date and scheduled_time were given.';
comment on column public.sessions.credits_charged is
'1 when a bookingdb function booked the session and took a credit for it; 0 for sessions written by other means.';

-- A client's sessions in order (the application's list, the row level security policy, the foreign key).
create index sessions_user_id_start_time_idx on public.sessions (user_id, start_time);
-- A therapist's sessions in order (the same three).
create index sessions_therapist_id_start_time_idx on public.sessions (therapist_id, start_time);

create table public.user_credits (
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
    constraint user_credits_pkey primary key (id),
    constraint user_credits_balance_check check (credits_balance >= 0),
    constraint user_credits_status_check check (status in ('active', 'expired', 'refunded', 'revoked')),
    constraint user_credits_user_id_fkey foreign key (user_id) references public.users (id)
) with (fillfactor = 80);

comment on table public.user_credits is
'One row per purchase (a lot). credits_balance is what is left of it; every change of it is an entry of bookingdb.ledger.';

-- A client's lots in the order in which they are spent. The balance is left out of it on purpose: spending a credit
-- then changes no indexed column, and the row is updated in place (a heap-only tuple). Also serves the foreign key.
create index user_credits_consumption_idx on public.user_credits (user_id, expires_at, created_at, id);
-- The same payment never grants twice, whoever writes the row.
create unique index user_credits_payment_reference_key on public.user_credits (payment_reference)
where payment_reference is not null;

create table public.booking_audit_log (
    id bigint generated always as identity,
    session_id uuid not null,
    user_id uuid,
    action text not null,
    old_status text,
    new_status text,
    changes jsonb not null default '{}',
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint booking_audit_log_pkey primary key (id)
);

comment on table public.booking_audit_log is
'Append-only: one row per change of a session, written by a trigger alone. user_id is the client; actor is who did it.';

-- A session's history in order; check_invariants() follows the chain with it.
create index booking_audit_log_session_id_idx on public.booking_audit_log (session_id, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- The engine room
-- ---------------------------------------------------------------------------------------------------------------------

-- Who is busy when. blocked is the period widened by the buffers that held when the row was written.
create table bookingdb.calendar (
    id uuid not null default gen_random_uuid(),
    kind text not null,
    therapist_id uuid,
    client_id uuid,
    period tstzrange not null,
    blocked tstzrange not null,
    expires_at timestamptz,
    constraint calendar_pkey primary key (id),
    constraint calendar_kind_check check (kind in ('session', 'hold', 'time_off', 'external')),
    constraint calendar_period_check check (
        not isempty(period) and lower_inc(period) and not upper_inc(period)
        and not lower_inf(period) and not upper_inf(period)
        and blocked @> period
    ),
    constraint calendar_hold_expires_check check ((kind = 'hold') = (expires_at is not null)),
    -- The guarantee itself: whatever a function or a plan does, these two refuse the second row.
    constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
    where (kind in ('session', 'hold')),
    constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
    where (kind in ('session', 'hold'))
);

-- Time off and external appointments may overlap anything, so no constraint's index covers them.
create index calendar_absence_idx on bookingdb.calendar using gist (therapist_id, blocked)
where kind in ('time_off', 'external');
-- Expired holds in the way of a booking are removed by it; there are few, and this index holds nothing else.
create index calendar_hold_expires_at_idx on bookingdb.calendar (expires_at) where kind = 'hold';

-- Every movement of a credit, for ever. No foreign keys: money outlives the rows it was spent on.
create table bookingdb.ledger (
    id bigint generated always as identity,
    user_id uuid not null,
    lot_id uuid not null,
    session_id uuid,
    kind text not null,
    amount integer not null,
    balance_after integer not null,
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint ledger_pkey primary key (id),
    constraint ledger_kind_check check (kind in ('grant', 'debit', 'refund', 'direct')),
    constraint ledger_amount_check check (amount <> 0),
    constraint ledger_balance_after_check check (balance_after >= 0),
    -- One debit and one refund for a session, at most.
    constraint ledger_session_id_kind_key unique (session_id, kind)
);

comment on column bookingdb.ledger.amount is 'Credits: positive adds to the lot, negative takes from it.';
comment on column bookingdb.ledger.balance_after is 'Credits left in the lot after this entry.';

-- The last entry of a lot (the trigger on user_credits compares its balance with the row's).
create index ledger_lot_id_idx on bookingdb.ledger (lot_id, id);
-- A client's history, newest first (get_credit_history).
create index ledger_user_id_created_at_idx on bookingdb.ledger (user_id, created_at, id);

-- Answers already given, so that a retry gets the same one. One row per function, client and key.
create table bookingdb.idempotency_keys (
    function_name text not null,
    user_id uuid not null,
    key text not null,
    request_hash bytea not null,
    result_id uuid not null,
    credits_balance integer not null,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (function_name, user_id, key),
    constraint idempotency_keys_key_check check (char_length(key) between 1 and 255)
);

-- One event per change that the outside world cares about, written in the transaction of the change.
create table bookingdb.outbox (
    id bigint generated always as identity,
    event text not null,
    subject_id uuid not null,
    payload jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint outbox_pkey primary key (id)
);

-- The zone names this server knows. Postgres itself also takes 'Mars+5' for a zone, and asking pg_timezone_names
-- reads hundreds of files. Filled by bookingdb.refresh_time_zones(), which every installation ends with.
create table bookingdb.time_zones (
    name text not null,
    constraint time_zones_pkey primary key (name)
);

-- The default policy's; the others follow at the end of the installation.
insert into bookingdb.time_zones (name) values ('UTC');

-- The default policy (therapist_id is null, exactly one row) and what single therapists have instead of it.
create table bookingdb.policies (
    id bigint generated always as identity,
    therapist_id uuid,
    time_zone text,
    constraint policies_pkey primary key (id),
    -- The policy of one therapist.
    constraint policies_therapist_id_key unique (therapist_id),
    -- A zone that Postgres does not know would make every booking fail.
    constraint policies_time_zone_fkey foreign key (time_zone) references bookingdb.time_zones (name),
    constraint policies_default_is_complete check (therapist_id is not null or time_zone is not null)
);

-- At most one default.
create unique index policies_default_key on bookingdb.policies ((true)) where therapist_id is null;

-- The foreign key.
create index policies_time_zone_idx on bookingdb.policies (time_zone);

insert into bookingdb.policies (time_zone) values ('UTC');

-- The people `bookingdb selftest` made for the race of two connections, from before they exist until they are gone:
-- theirs are the only entries of ledger and audit log that can be removed.
create table bookingdb.selftest_people (
    id uuid not null,
    created_at timestamptz not null default now(),
    constraint selftest_people_pkey primary key (id)
);

-- What was installed, when, by whom: a row per migration (its checksum never changes) and per application of the
-- function set (functions, triggers, policies, grants and adapter together).
create table bookingdb.history (
    id bigint generated always as identity,
    kind text not null,
    name text not null,
    checksum text not null,
    version text not null,
    details jsonb not null default '{}',
    applied_by text not null default current_user,
    applied_at timestamptz not null default now(),
    constraint history_pkey primary key (id),
    constraint history_kind_check check (kind in ('migration', 'functions'))
);

-- A migration is applied once.
create unique index history_migration_key on bookingdb.history (name) where kind = 'migration';

-- ---------------------------------------------------------------------------------------------------------------------
-- What functions return. A composite type, so that no OUT parameter can be confused with a column.
-- ---------------------------------------------------------------------------------------------------------------------

create type bookingdb.booked_session as (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    title varchar,
    description text,
    scheduled_date date,
    scheduled_time time,
    start_time timestamptz,
    end_time timestamptz,
    duration_minutes integer,
    session_type varchar,
    status varchar,
    created_at timestamptz,
    time_zone text,
    credits_balance integer
);

create type bookingdb.credit_grant as (
    lot_id uuid,
    lot_balance integer,
    credits_balance integer
);

create type bookingdb.credit_entry as (
    id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance_after integer,
    lot_id uuid,
    session_id uuid,
    actor text
);
