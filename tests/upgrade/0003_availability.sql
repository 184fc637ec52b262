-- What `bookingdb migrate` ran when 0003_availability was the last migration: printed by
-- `bookingdb migrate --dry-run` of commit 21c1403, and never edited. tests/install/test_upgrade.py begins with it.

begin;

set local search_path = '';

set local client_min_messages = 'warning';

set local check_function_bodies = 'on';

set local quote_all_identifiers = 'off';

set local standard_conforming_strings = 'on';

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

insert into bookingdb.history (kind, name, checksum, version, details) values ('migration', '0001_core', '69713e1a6c291a5bf90b96f6f192ae65a58e6cc6e12fbf2990fb5d5013200525', '0.1.0', '{}'::jsonb);

-- The life of a session after its booking, holds, and credits that behave like money.

-- ---------------------------------------------------------------------------------------------------------------------
-- Sessions
-- ---------------------------------------------------------------------------------------------------------------------

alter table public.sessions
add column free_cancellation_until timestamptz,
add column cancellation_reason text,
add column series_id uuid;

comment on column public.sessions.free_cancellation_until is
'Until this instant the client''s own cancellation returns the credit. Fixed by the policy that held at the booking.';
comment on column public.sessions.series_id is 'The same for all sessions that one book_series() made.';

-- The sessions of a series (an idempotency key of book_series answers with them).
create index sessions_series_id_idx on public.sessions (series_id) where series_id is not null;

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits
-- ---------------------------------------------------------------------------------------------------------------------

alter table public.user_credits
add column category text not null default 'paid',
add column priority integer not null default 50,
add column grace_for_lot_id uuid,
add constraint user_credits_category_check check (category in ('paid', 'promotional')),
add constraint user_credits_priority_check check (priority between 0 and 100);

comment on column public.user_credits.priority is 'Lots with the lower number are spent first, 0 to 100.';
comment on column public.user_credits.grace_for_lot_id is
'The expired lot to which this one''s credits could not be returned.';

-- A client's lots in the order in which they are spent: by priority, then soonest to expire, then promotional before
-- paid, then oldest. The balance is left out of it on purpose: spending a credit then changes no indexed column, and
-- the row is updated in place (a heap-only tuple). Also serves the foreign key.
drop index public.user_credits_consumption_idx;

create index user_credits_consumption_idx on public.user_credits (
    user_id, priority, expires_at, category desc, created_at, id
);

-- What expire_credits() looks for.
create index user_credits_expires_at_idx on public.user_credits (expires_at) where status = 'active';

alter table bookingdb.ledger
add column reason text,
drop constraint ledger_kind_check,
add constraint ledger_kind_check check (
    kind in ('grant', 'debit', 'refund', 'expiry', 'adjustment', 'revocation', 'direct')
);

comment on column bookingdb.ledger.reason is 'Why, in the words of whoever adjusted or revoked.';

-- What superusers did to records that nobody else can change; `bookingdb verify` tells.
create table bookingdb.rewritten_records (
    id bigint generated always as identity,
    table_name text not null,
    operation text not null,
    old_row jsonb not null,
    new_row jsonb,
    rewritten_by text not null,
    rewritten_at timestamptz not null default clock_timestamp(),
    constraint rewritten_records_pkey primary key (id)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Policies: null in a therapist's row means the default's
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.policies
add column minimum_duration_minutes integer,
add column maximum_duration_minutes integer,
add column cancellation_window interval,
add column refund_grace interval,
add column hold_lifetime interval,
-- One for each, because Postgres prints two of them in one in a form that it reads back as another.
add constraint policies_minimum_duration_check check (
    minimum_duration_minutes between 15 and 180
),
add constraint policies_maximum_duration_check check (
    maximum_duration_minutes between 15 and 180
);

update bookingdb.policies
set
    minimum_duration_minutes = 15,
    maximum_duration_minutes = 180,
    cancellation_window = interval '24 hours',
    refund_grace = interval '30 days',
    hold_lifetime = interval '5 minutes'
where therapist_id is null;

alter table bookingdb.policies
drop constraint policies_default_is_complete,
add constraint policies_default_is_complete check (
    therapist_id is not null
    or num_nulls(
        time_zone, minimum_duration_minutes, maximum_duration_minutes, cancellation_window, refund_grace, hold_lifetime
    ) = 0
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Holds
-- ---------------------------------------------------------------------------------------------------------------------

-- What was held, for whom and until when. The calendar row with this id occupies the time while the hold lives; the
-- session that the hold becomes has this id, too, and so cannot come about twice.
create table bookingdb.holds (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    therapist_id uuid not null,
    scheduled_date date not null,
    scheduled_time time not null,
    time_zone text not null,
    duration_minutes integer not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    expires_at timestamptz not null,
    released_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    constraint holds_pkey primary key (id)
);

-- At most one hold of a client with a therapist.
create unique index calendar_hold_key on bookingdb.calendar (client_id, therapist_id) where kind = 'hold';

-- ---------------------------------------------------------------------------------------------------------------------
-- What functions return
-- ---------------------------------------------------------------------------------------------------------------------

create type bookingdb.changed_session as (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
);

create type bookingdb.held_slot as (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    time_zone text,
    expires_at timestamptz
);

create type bookingdb.revoked_grant as (
    lot_id uuid,
    credits_revoked bigint,
    credits_spent bigint,
    credits_balance integer
);

create type bookingdb.expired_credits as (
    lots integer,
    credits bigint
);

create type bookingdb.statement_line as (
    entry_id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance bigint,
    lot_id uuid,
    session_id uuid,
    reason text,
    actor text
);

create type bookingdb.effective_policy as (
    therapist_id uuid,
    time_zone text,
    minimum_duration_minutes integer,
    maximum_duration_minutes integer,
    cancellation_window interval,
    refund_grace interval,
    hold_lifetime interval
);

-- More parameters make another signature; the files have the new ones.
drop function if exists public.grant_credits(uuid, integer, text, timestamptz, text);
drop function if exists bookingdb.grant_credits(uuid, integer, text, timestamptz, text);
drop function if exists bookingdb.occupy_time(uuid, uuid, uuid, tstzrange);

insert into bookingdb.history (kind, name, checksum, version, details) values ('migration', '0002_life', 'd8c0d1e7b79a13fc9b24d7fd8944c33b18e2c945251bf0cd8971a0575f9b8c4b', '0.1.0', '{}'::jsonb);

-- When a therapist can be booked: hours, exceptions, time off, external appointments, buffers, notice, limits.

-- ---------------------------------------------------------------------------------------------------------------------
-- Policies: null in a therapist's row means the default's
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.policies
add column buffer_before_minutes integer,
add column buffer_after_minutes integer,
add column minimum_notice interval,
add column maximum_advance interval,
add column slot_step_minutes integer,
add column slot_offset_minutes integer,
add column maximum_sessions_per_day integer,
add column maximum_sessions_per_week integer,
add column require_hours boolean,
add constraint policies_buffer_before_check check (buffer_before_minutes between 0 and 720),
add constraint policies_buffer_after_check check (buffer_after_minutes between 0 and 720),
add constraint policies_slot_step_check check (slot_step_minutes between 1 and 1440),
add constraint policies_slot_offset_check check (slot_offset_minutes between 0 and 1439),
add constraint policies_sessions_per_day_check check (maximum_sessions_per_day between 1 and 1000),
add constraint policies_sessions_per_week_check check (maximum_sessions_per_week between 1 and 1000);

comment on column bookingdb.policies.maximum_sessions_per_day is 'Local days of the therapist; 1000 is no limit.';
comment on column bookingdb.policies.maximum_sessions_per_week is
'Local weeks of the therapist, from Monday; 1000 is no limit.';

update bookingdb.policies
set
    buffer_before_minutes = 0,
    buffer_after_minutes = 0,
    minimum_notice = interval '0',
    maximum_advance = interval '365 days',
    slot_step_minutes = 15,
    slot_offset_minutes = 0,
    maximum_sessions_per_day = 1000,
    maximum_sessions_per_week = 1000,
    require_hours = false
where therapist_id is null;

alter table bookingdb.policies
drop constraint policies_default_is_complete,
add constraint policies_default_is_complete check (
    therapist_id is not null
    or num_nulls(
        time_zone, minimum_duration_minutes, maximum_duration_minutes, cancellation_window, refund_grace, hold_lifetime,
        buffer_before_minutes, buffer_after_minutes, minimum_notice, maximum_advance, slot_step_minutes,
        slot_offset_minutes, maximum_sessions_per_day, maximum_sessions_per_week, require_hours
    ) = 0
);

alter type bookingdb.effective_policy
add attribute buffer_before_minutes integer,
add attribute buffer_after_minutes integer,
add attribute minimum_notice interval,
add attribute maximum_advance interval,
add attribute slot_step_minutes integer,
add attribute slot_offset_minutes integer,
add attribute maximum_sessions_per_day integer,
add attribute maximum_sessions_per_week integer,
add attribute require_hours boolean;

-- ---------------------------------------------------------------------------------------------------------------------
-- Hours
-- ---------------------------------------------------------------------------------------------------------------------

-- A therapist's week: a row per window, in the local time of the therapist's zone. A window that ends at or before its
-- start ends on the next day; it belongs to the day on which it starts.
create table bookingdb.weekly_hours (
    id bigint generated always as identity,
    therapist_id uuid not null,
    weekday integer not null,
    start_time time not null,
    end_time time not null,
    valid_from date,
    valid_to date,
    constraint weekly_hours_pkey primary key (id),
    constraint weekly_hours_weekday_check check (weekday between 1 and 7),
    constraint weekly_hours_valid_check check (valid_from <= valid_to)
);

comment on column bookingdb.weekly_hours.weekday is 'ISO 8601: 1 is Monday, 7 is Sunday.';
comment on column bookingdb.weekly_hours.valid_to is 'The last date on which the window starts.';

-- A therapist's week.
create index weekly_hours_therapist_id_idx on bookingdb.weekly_hours (therapist_id, weekday);

-- What holds on a single date instead of the week: a row per window, or one without times on a date that is closed.
create table bookingdb.date_overrides (
    id bigint generated always as identity,
    therapist_id uuid not null,
    override_date date not null,
    start_time time,
    end_time time,
    constraint date_overrides_pkey primary key (id),
    constraint date_overrides_times_check check ((start_time is null) = (end_time is null))
);

-- A therapist's exceptions in order of date.
create index date_overrides_therapist_id_idx on bookingdb.date_overrides (therapist_id, override_date);

-- ---------------------------------------------------------------------------------------------------------------------
-- Time off, external appointments, hours that were overridden
-- ---------------------------------------------------------------------------------------------------------------------

alter table bookingdb.calendar
add column reason text,
add column external_source text,
add column external_id text;

comment on column bookingdb.calendar.external_source is 'Which calendar an external appointment is from.';

-- An external appointment is one row, however often it is sent.
create unique index calendar_external_key on bookingdb.calendar (therapist_id, external_source, external_id)
where kind = 'external';

alter table public.sessions
add column hours_overridden boolean not null default false;

comment on column public.sessions.hours_overridden is
'Whether it was booked outside of the therapist''s hours on purpose (book_session_with_override).';

-- ---------------------------------------------------------------------------------------------------------------------
-- What functions return
-- ---------------------------------------------------------------------------------------------------------------------

-- The instants at which sessions of a given length can start.
create type bookingdb.free_time as (
    therapist_id uuid,
    starts tstzmultirange
);

-- What is in the way of a session of a given length: the instants at which that could not start.
create type bookingdb.busy_time as (
    kind text,
    period tstzrange,
    starts tstzrange
);

create type bookingdb.opening_time as (
    therapist_id uuid,
    open tstzmultirange
);

create type bookingdb.local_day as (
    local_date date,
    starts_at timestamptz,
    ends_at timestamptz
);

create type bookingdb.available_slot as (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time
);

create type bookingdb.available_day as (
    local_date date,
    slots integer,
    first_start timestamptz,
    last_start timestamptz
);

create type bookingdb.available_therapist as (
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz
);

create type bookingdb.opening_period as (
    start_time timestamptz,
    end_time timestamptz
);

create type bookingdb.weekly_window as (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
);

create type bookingdb.date_window as (
    override_date date,
    start_time time,
    end_time time
);

create type bookingdb.absence as (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid []
);

create type bookingdb.synced_busy as (
    inserted integer,
    updated integer,
    removed integer,
    session_ids uuid []
);

-- More columns or parameters make another signature; the files have the new ones.
drop function if exists public.get_policy(uuid);
drop function if exists public.set_policy(jsonb, uuid);
drop function if exists bookingdb.book_slot(
    uuid, uuid, uuid, date, time, text, timestamptz, integer, varchar, text, text, uuid
);
drop function if exists bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, timestamptz);
drop function if exists bookingdb.therapist_conflict(uuid, tstzrange, uuid);

insert into bookingdb.history (kind, name, checksum, version, details) values ('migration', '0003_availability', '3f14fcc8ebff472c119aa0b8e899a5c7e6e4480262579ce87fc7842950beb43f', '0.1.0', '{}'::jsonb);

create or replace view bookingdb.therapists as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where u.user_type = 'therapist' and u.is_active and u.is_verified;

create or replace view bookingdb.clients as
select
    u.id,
    u.email,
    u.full_name
from public.users as u
where u.user_type <> 'therapist' and u.is_active;

create or replace function bookingdb.actor()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return coalesce(bookingdb.actor_id()::text, bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.actor() is
'Who is doing this, for ledger and audit log: the user''s id when a JWT names one, else the name of the calling role.';

create or replace function bookingdb.actor_email()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return nullif(bookingdb.jwt_claims() ->> 'email', '');
end;
$function$;

comment on function bookingdb.actor_email() is
'The e-mail address that the caller''s JWT proves (claim email), or null.';

create or replace function bookingdb.actor_id()
returns uuid
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_sub constant text := bookingdb.jwt_claims() ->> 'sub';
begin
    if v_sub ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
        return v_sub::uuid;
    end if;
    return null;
end;
$function$;

comment on function bookingdb.actor_id() is
'The user whom the caller''s JWT names (claim sub), or null. Used by the row level security policies, so callers can execute it; it tells them only about themselves.';

create or replace function bookingdb.add_time_off(
    p_therapist_id uuid,
    p_start timestamptz,
    p_end timestamptz,
    p_reason text
)
returns bookingdb.absence
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_period tstzrange;
    v_id uuid;
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_instant('p_start', p_start);
    perform bookingdb.require_instant('p_end', p_end);
    if p_end <= p_start then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_end'));
    end if;
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    v_period := tstzrange(p_start, p_end);

    perform bookingdb.lock_people(array[p_therapist_id]);
    -- The same once more is a retry.
    select c.id
    into v_id
    from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id and c.kind = 'time_off' and c.blocked && v_period and c.period = v_period;
    if v_id is null then
        v_id := gen_random_uuid();
        insert into bookingdb.calendar (id, kind, therapist_id, period, blocked, reason)
        values (v_id, 'time_off', p_therapist_id, v_period, v_period, p_reason);
        perform bookingdb.tell_of_availability(p_therapist_id);
    end if;
    return (
        select row(c.id, p_start, p_end, c.reason, bookingdb.sessions_within(p_therapist_id, array[v_period]))
            ::bookingdb.absence
        from bookingdb.calendar as c
        where c.id = v_id
    );
end;
$function$;

comment on function bookingdb.add_time_off(uuid, timestamptz, timestamptz, text) is
'Adds time off and says which sessions are booked in it; they stay. The same time off again is the first. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, therapist_not_found, invalid_parameter, busy.';

create or replace function bookingdb.adjust_credits(
    p_user_id uuid,
    p_amount integer,
    p_reason text,
    p_lot_id uuid,
    p_idempotency_key text
)
returns bookingdb.credit_grant
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'adjust_credits';
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(p_amount, p_reason, p_lot_id));
    v_answer bookingdb.idempotency_keys;
    v_now timestamptz;
    v_left integer;
    v_part integer;
    v_lot public.user_credits;
    v_lot_id uuid;
    v_status text;
    v_grant bookingdb.credit_grant;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_amount is null or p_amount = 0 or p_amount not between -10000 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', -10000, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_length('p_reason', coalesce(p_reason, ''), 1, 1000);
    -- White space is none.
    perform bookingdb.require_length('p_reason', btrim(p_reason, e' \t\r\n'), 1, 1000);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);

    perform bookingdb.lock_people(array[p_user_id]);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        v_lot_id := v_answer.result_id;
    end if;

    if v_lot_id is null then
        perform bookingdb.require_credit_account(p_user_id);
        if p_lot_id is not null and not exists (
            select from public.user_credits as c
            where c.id = p_lot_id and c.user_id = p_user_id and c.user_type = 'user'
        ) then
            perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
        end if;

        if p_amount > 0 and p_lot_id is null then
            v_lot_id := gen_random_uuid();
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (p_user_id, v_lot_id, 'adjustment', p_amount, p_amount, bookingdb.actor(), p_reason);
            perform bookingdb.tell_of_credits('credits.adjusted', p_user_id, v_lot_id, p_amount);
            begin
                -- Waits for whoever holds the client's own row (the foreign key).
                insert into public.user_credits (id, user_id, credits_balance, credits_purchased)
                values (v_lot_id, p_user_id, p_amount, p_amount);
            exception
                when lock_not_available then
                    perform bookingdb.raise_error('busy');
            end;
            if not found then
                -- A BEFORE trigger of the application swallowed the lot: everything is undone with it.
                raise exception using errcode = 'internal_error', message = 'Booking failed';
            end if;
        else
            -- What is added goes to the lot named; what is taken comes from it, else from the lots in the order in
            -- which they would be spent.
            v_left := p_amount;
            v_now := clock_timestamp();
            begin
                v_lock_timeout := bookingdb.limit_wait();
                for v_lot in
                    select c.*
                    from public.user_credits as c
                    where c.user_id = p_user_id
                        and c.user_type = 'user'
                        and c.status = 'active'
                        and (c.expires_at is null or c.expires_at > v_now)
                        and (c.id = p_lot_id or p_lot_id is null)
                        and (c.credits_balance > 0 or p_amount > 0)
                    order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
                    for update
                loop
                    exit when v_left = 0;
                    -- It ran out while we waited for it.
                    continue when v_lot.expires_at <= clock_timestamp();
                    v_part := greatest(v_left, -v_lot.credits_balance);
                    -- A lot that was written directly may have room for less than is added.
                    if v_part > 2147483647 - v_lot.credits_balance then
                        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                            'parameter', 'p_amount', 'lot_id', v_lot.id, 'lot_balance', v_lot.credits_balance
                        ));
                    end if;
                    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
                    values (
                        p_user_id, v_lot.id, 'adjustment', v_part, v_lot.credits_balance + v_part, bookingdb.actor(),
                        p_reason
                    );
                    update public.user_credits as c
                    set credits_balance = c.credits_balance + v_part,
                        updated_at = now()
                    where c.id = v_lot.id;
                    if not found then
                        raise exception using errcode = 'internal_error', message = 'Booking failed';
                    end if;
                    perform bookingdb.tell_of_credits('credits.adjusted', p_user_id, v_lot.id, v_part);
                    v_left := v_left - v_part;
                    v_lot_id := v_lot.id;
                end loop;
                perform set_config('lock_timeout', v_lock_timeout, true);
            exception
                when lock_not_available then
                    perform bookingdb.raise_error('busy');
            end;
            if v_left <> 0 then
                -- What is over cannot be adjusted, whatever is in it.
                select case c.status when 'active' then 'expired' else c.status end
                into v_status
                from public.user_credits as c
                where c.id = p_lot_id and (c.status <> 'active' or c.expires_at <= clock_timestamp());
                if found then
                    perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                        'parameter', 'p_lot_id', 'lot_id', p_lot_id, 'status', v_status
                    ));
                end if;
                -- The balance as it was: what was taken above is undone with the error.
                perform bookingdb.raise_error('insufficient_credits', jsonb_build_object(
                    'credits_balance', bookingdb.credits_balance(p_user_id)::bigint + v_left - p_amount,
                    'lot_id', p_lot_id
                ));
            end if;
        end if;
    end if;

    v_grant := row(
        v_lot_id,
        coalesce((select c.credits_balance from public.user_credits as c where c.id = v_lot_id), 0),
        coalesce(v_answer.credits_balance, bookingdb.credits_balance(p_user_id))
    );
    if v_answer.result_id is null then
        perform bookingdb.remember_answer(
            c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_lot_id, v_grant.credits_balance
        );
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.adjust_credits(uuid, integer, text, uuid, text) is
'Adds credits to a client''s lot (without p_lot_id to a new one), or takes them away (without p_lot_id in the order in which they would be spent), with a reason that the ledger keeps. Returns the lot written last. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter (p_amount, not 0, -10000 to 10000; p_reason, 1 to 1000 characters; p_lot_id, a lot that is over), busy, idempotency_key_reused, user_not_found, lot_not_found, insufficient_credits.';

create or replace function bookingdb.approve_session(p_session_id uuid, p_idempotency_key text)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'approve_session';
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(p_session_id));
    v_session public.sessions;
    v_owner_id uuid;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);

    v_session := bookingdb.lock_session(p_session_id);
    if bookingdb.part_in_session(v_session) = 'client' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;
    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    v_owner_id := coalesce(v_session.user_id, v_session.id);
    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(c_function_name, v_owner_id, p_idempotency_key, v_request_hash);
        if v_answer.result_id is not null then
            return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
        end if;
    end if;

    -- Only what waits for it is approved, and only what has a place in the calendar since it was asked for.
    if v_session.status <> 'pending_approval'
        or not exists (select from bookingdb.calendar as c where c.id = v_session.id and c.kind = 'session') then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'scheduled'
        ));
    end if;
    perform bookingdb.require_transition(v_session, 'scheduled');
    -- A session is charged once in its life: who revives one whose credit was returned has to book another.
    if exists (select from bookingdb.ledger as l where l.session_id = v_session.id and l.kind = 'refund') then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'scheduled', 'reason', 'refunded'
        ));
    end if;
    perform bookingdb.require_people(v_session.therapist_id, v_session.user_id);
    perform bookingdb.require_to_come(v_session.start_time);

    -- It is charged now, and once: a session that was charged by other means has its debit.
    if not exists (select from bookingdb.ledger as l where l.session_id = v_session.id and l.kind = 'debit') then
        perform bookingdb.take_credit(v_session.user_id, v_session.id);
    end if;
    update public.sessions as s
    set status = 'scheduled',
        credits_charged = 1,
        free_cancellation_until = bookingdb.later(
            s.start_time, -(bookingdb.policy_of(s.therapist_id)).cancellation_window
        ),
        updated_at = now()
    where s.id = v_session.id;
    if not found then
        -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.remember_answer(
        c_function_name, v_owner_id, p_idempotency_key, v_request_hash, v_session.id, v_balance
    );
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.approve_session(uuid, text) is
'Approves a session that waits for it, and takes its credit now. For the therapist and trusted callers; to decline is to cancel. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition (also when its credit was taken and returned before), therapist_not_found, user_not_found, in_past, insufficient_credits.';

create or replace function bookingdb.authorise(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
begin
    if not bookingdb.caller_is_trusted() then
        v_actor_id := bookingdb.actor_id();
        if v_actor_id is null then
            perform bookingdb.raise_error('not_authenticated');
        end if;
        if p_user_id is not null and p_user_id <> v_actor_id then
            perform bookingdb.raise_error('not_allowed', jsonb_build_object('user_id', p_user_id));
        end if;
    end if;

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
end;
$function$;

comment on function bookingdb.authorise(uuid) is
'Lets a trusted caller act for any user and a logged-in one for itself. Raises not_authenticated, not_allowed, invalid_user_id (null).';

create or replace function bookingdb.authorise_anyone()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not bookingdb.caller_is_trusted() and bookingdb.actor_id() is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
end;
$function$;

comment on function bookingdb.authorise_anyone() is
'Lets trusted callers and every logged-in user pass. Raises not_authenticated.';

create or replace function bookingdb.authorise_therapist(p_therapist_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
begin
    if not bookingdb.caller_is_trusted() then
        v_actor_id := bookingdb.actor_id();
        if v_actor_id is null then
            perform bookingdb.raise_error('not_authenticated');
        end if;
        if p_therapist_id is not null and p_therapist_id <> v_actor_id then
            perform bookingdb.raise_error('not_allowed', jsonb_build_object('therapist_id', p_therapist_id));
        end if;
    end if;

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_therapist(p_therapist_id);
end;
$function$;

comment on function bookingdb.authorise_therapist(uuid) is
'Lets a trusted caller act for any therapist and a logged-in one for itself. Raises not_authenticated, not_allowed, invalid_therapist_id (null), therapist_not_found.';

create or replace function bookingdb.authorise_trusted()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if bookingdb.caller_is_trusted() then
        return;
    end if;
    if bookingdb.actor_id() is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
    perform bookingdb.raise_error('not_allowed');
end;
$function$;

comment on function bookingdb.authorise_trusted() is
'Lets trusted callers pass and nobody else. Raises not_authenticated, not_allowed.';

create or replace function bookingdb.blocked_time(p_policy bookingdb.effective_policy, p_period tstzrange)
returns tstzrange
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return tstzrange(
        lower(p_period) - make_interval(mins => p_policy.buffer_before_minutes),
        upper(p_period) + make_interval(mins => p_policy.buffer_after_minutes)
    );
end;
$function$;

comment on function bookingdb.blocked_time(bookingdb.effective_policy, tstzrange) is
'A period widened by the buffers of a policy, as it is kept in the calendar.';

create or replace function bookingdb.book_hold(
    p_hold_id uuid,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_idempotency_key text
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'book_hold';
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(
        p_hold_id, p_session_type, p_notes, p_title
    ));
    v_hold bookingdb.holds;
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
    v_rule text;
    v_answer bookingdb.idempotency_keys;
    v_booked bookingdb.booked_session;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    v_hold := bookingdb.open_hold(p_hold_id);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(c_function_name, v_hold.user_id, p_idempotency_key, v_request_hash);
        if v_answer.result_id is not null then
            return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance);
        end if;
    end if;

    -- The calendar row is the hold, and becomes the session's as it stands: nobody can have come between. (Whoever
    -- finds it expired and in the way removes it.)
    update bookingdb.calendar as c
    set kind = 'session',
        expires_at = null
    where c.id = p_hold_id and c.kind = 'hold' and c.expires_at > clock_timestamp();
    if not found then
        perform bookingdb.raise_error('hold_expired', jsonb_build_object(
            'hold_id', p_hold_id,
            'reason', case
                when exists (select from public.sessions as s where s.id = p_hold_id) then 'booked'
                when v_hold.released_at is not null then 'released'
                else 'expired'
            end,
            'expires_at', bookingdb.utc(v_hold.expires_at)
        ));
    end if;

    -- Notice, hours, buffers and limits were looked at when the time was held. Since then the people may have become
    -- unavailable, and the therapist may have taken the time off.
    perform bookingdb.require_people(v_hold.therapist_id, v_hold.user_id);
    v_policy := bookingdb.policy_of(v_hold.therapist_id);
    perform bookingdb.require_duration(v_hold.duration_minutes, v_policy);
    perform bookingdb.require_to_come(v_hold.start_time);
    v_period := tstzrange(v_hold.start_time, v_hold.end_time);
    select b.kind
    into v_rule
    from bookingdb.busy_times(
        v_policy, tstzrange(v_hold.start_time, v_hold.start_time, '[]'), v_hold.end_time - v_hold.start_time, p_hold_id
    ) as b
    where b.kind in ('time_off', 'external') and b.period && v_period
    order by lower(b.period)
    limit 1;
    if found then
        perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
            v_rule, v_policy, v_period, p_hold_id, true
        ));
    end if;

    v_booked := bookingdb.write_session(
        p_hold_id, v_hold.user_id, v_policy, v_hold.scheduled_date, v_hold.scheduled_time, v_hold.time_zone, v_period,
        p_session_type, p_notes, p_title, null, false
    );
    perform bookingdb.tell_of_hold('hold.booked', p_hold_id);
    perform bookingdb.remember_answer(
        c_function_name, v_hold.user_id, p_idempotency_key, v_request_hash, v_booked.id, v_booked.credits_balance
    );
    return v_booked;
end;
$function$;

comment on function bookingdb.book_hold(uuid, varchar, text, text, text) is
'Turns a hold into a session of the same id and takes one credit, once. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, hold_not_found, not_allowed, invalid_user_id (never), busy, idempotency_key_reused, session_not_found (the session of a key was deleted), hold_expired (also when it was released or booked), therapist_not_found, user_not_found, invalid_duration, in_past, booking_conflict (time off or an external appointment was added since), insufficient_credits.';

create or replace function bookingdb.book_once(
    p_function_name text,
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text,
    p_override_hours boolean
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_time_zone text;
    v_start timestamptz;
    v_booked bookingdb.booked_session;
begin
    -- 2. Formats and ranges. (1., who is asking, is the caller's.)
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);

    -- 3. A key that was answered before is answered again, also when the time has passed meanwhile.
    if p_idempotency_key is not null then
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
            p_time_zone
        ) || case when p_override_hours then jsonb '["override_hours"]' else jsonb '[]' end);
        v_answer := bookingdb.find_answer(p_function_name, p_user_id, p_idempotency_key, v_request_hash);
    end if;

    if v_answer.result_id is null then
        -- 4. Locks. The statements after them see what the last holder committed.
        perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

        -- 5. The same request may have been answered while we waited, a person deactivated.
        if p_idempotency_key is not null then
            v_answer := bookingdb.find_answer(p_function_name, p_user_id, p_idempotency_key, v_request_hash);
        end if;
    end if;

    if v_answer.result_id is not null then
        return bookingdb.booked_session(v_answer.result_id, v_answer.credits_balance);
    end if;

    -- 6. to 9. People, rules, conflicts, the calendar row, the credit, the session.
    v_booked := bookingdb.book_slot(
        p_user_id, p_therapist_id, p_session_date, p_session_time, v_time_zone,
        -- Minutes on an instant: a session may cross midnight or a clock change and is as long as it says.
        tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes)),
        p_session_type, p_notes, p_title, null, not p_override_hours
    );
    perform bookingdb.remember_answer(
        p_function_name, p_user_id, p_idempotency_key, v_request_hash, v_booked.id, v_booked.credits_balance
    );

    -- 10.
    return v_booked;
end;
$function$;

comment on function bookingdb.book_once(
    text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean
) is
'A booking from its second step on, for a caller that was authorised; once for an idempotency key. Raises invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits.';

create or replace function bookingdb.book_series(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_occurrences integer,
    p_every interval,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text
)
returns setof bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'book_series';
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_time_zone text;
    v_date date;
    v_start timestamptz;
    v_series_id uuid;
    v_balance integer;
    v_sqlstate text;
    v_message text;
    v_detail text;
    v_hint text;
begin
    perform bookingdb.authorise(p_user_id);

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    perform bookingdb.require_booking_texts(p_session_type, p_notes, p_title, p_idempotency_key);
    if p_occurrences is null or p_occurrences not between 1 and 52 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_occurrences', 'minimum', 1, 'maximum', 52
        ));
    end if;
    -- Whole days, weeks or months: every session is at the same local time.
    if p_every is null
        or date_trunc('day', p_every) <> p_every
        or least(extract(year from p_every), extract(month from p_every), extract(day from p_every)) < 0
        or extract(epoch from p_every) not between 86400 and 366 * 86400 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_every', 'minimum', '1 day', 'maximum', '1 year'
        ));
    end if;
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    perform bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);

    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

    if p_idempotency_key is not null then
        -- Months and days are told apart: a month is not 30 days.
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_occurrences,
            extract(year from p_every) * 12 + extract(month from p_every), extract(day from p_every),
            p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone
        ));
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        if v_answer.result_id is not null then
            v_series_id := v_answer.result_id;
            v_balance := v_answer.credits_balance;
        end if;
    end if;

    if v_series_id is null then
        v_series_id := gen_random_uuid();
        for v_occurrence in 1 .. p_occurrences loop
            begin
                -- From the first date each time: a series from the 31st stays at the ends of months.
                v_date := p_session_date + p_every * (v_occurrence - 1);
                v_start := bookingdb.local_instant(v_date, p_session_time, v_time_zone);
                perform bookingdb.book_slot(
                    p_user_id, p_therapist_id, v_date, p_session_time, v_time_zone,
                    tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes)),
                    p_session_type, p_notes, p_title, v_series_id, true
                );
            exception
                when others then
                    get stacked diagnostics
                        v_sqlstate = returned_sqlstate,
                        v_message = message_text,
                        v_detail = pg_exception_detail,
                        v_hint = pg_exception_hint;
                    -- An application's trigger may raise what it likes.
                    if not starts_with(v_sqlstate, 'PT') or not starts_with(v_detail, '{') then
                        raise;
                    end if;
                    -- The same error, and which of the sessions it was.
                    raise exception using
                        errcode = v_sqlstate,
                        message = v_message,
                        detail = (v_detail::jsonb || jsonb_build_object(
                            'occurrence', v_occurrence, 'session_date', v_date
                        ))::text,
                        hint = v_hint;
            end;
        end loop;

        v_balance := bookingdb.credits_balance(p_user_id);
        perform bookingdb.remember_answer(
            c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_series_id, v_balance
        );
    end if;

    return query
    select b.*
    from (
        -- In the order in which they were paid: a session may have been moved since.
        select s.id, row_number() over (order by l.id) as occurrence
        from public.sessions as s
        inner join bookingdb.ledger as l on l.session_id = s.id and l.kind = 'debit'
        where s.series_id = v_series_id
    ) as o
    -- Each with the balance as it was after it: a credit less with every one. Never more than an integer holds.
    cross join lateral bookingdb.booked_session(
        o.id, least(v_balance + (p_occurrences - o.occurrence), 2147483647)::integer
    ) as b
    order by o.occurrence;
end;
$function$;

comment on function bookingdb.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
) is
'Books sessions at the same local time, p_every apart, all of them or none; an error''s DETAIL says which occurrence it was. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter (p_occurrences 1 to 52, p_every whole days up to a year), invalid_time_zone, invalid_date, invalid_time, skipped_time, busy, idempotency_key_reused, session_not_found (never), therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits.';

create or replace function bookingdb.book_session_with_override(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_override_hours boolean,
    p_idempotency_key text
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_trusted();
    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_override_hours is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_override_hours'));
    end if;
    return bookingdb.book_once(
        'book_session_with_override', p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes,
        p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key, p_override_hours
    );
end;
$function$;

comment on function bookingdb.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
) is
'Books a session outside of the therapist''s hours, and says so in the audit log; everything else holds as always. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter, invalid_therapist_id, invalid_duration, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability (without p_override_hours), booking_conflict, client_conflict, insufficient_credits.';

create or replace function bookingdb.book_slot(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_period tstzrange,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_series_id uuid,
    p_with_hours boolean
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session_id constant uuid := gen_random_uuid();
    v_policy bookingdb.effective_policy;
begin
    perform bookingdb.require_people(p_therapist_id, p_user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(
        extract(epoch from upper(p_period) - lower(p_period))::integer / 60, v_policy
    );

    -- Time rules, then conflicts and the calendar row, then credit and session.
    perform bookingdb.require_free_time(v_policy, p_period, null, p_with_hours);
    perform bookingdb.occupy_time(
        v_session_id, p_therapist_id, p_user_id, p_period, bookingdb.blocked_time(v_policy, p_period), null
    );
    return bookingdb.write_session(
        v_session_id, p_user_id, v_policy, p_session_date, p_session_time, p_time_zone, p_period, p_session_type,
        p_notes, p_title, p_series_id,
        not p_with_hours and not bookingdb.is_free(v_policy, p_period, v_session_id, true, false)
    );
end;
$function$;

comment on function bookingdb.book_slot(
    uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean
) is
'The booking itself, of a period whose start local_instant() worked out from the local time, by a caller who holds the locks of both people: people, time rules, conflicts, credit, session. p_with_hours false: outside of hours, too, which the session then says. Raises therapist_not_found, user_not_found, invalid_duration, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits, busy.';

create or replace function bookingdb.bookable_span(p_policy bookingdb.effective_policy)
returns tstzrange
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_first constant timestamptz := bookingdb.later(v_now, p_policy.minimum_notice);
begin
    -- Where the notice is longer than the horizon, everything is too soon until it is too far.
    return tstzrange(v_first, greatest(v_first, bookingdb.later(v_now, p_policy.maximum_advance)), '[]');
end;
$function$;

comment on function bookingdb.bookable_span(bookingdb.effective_policy) is
'The instants at which a session that is booked now can start, as far as notice and horizon of a policy go.';

create or replace function bookingdb.booked_session(p_session_id uuid, p_credits_balance integer)
returns bookingdb.booked_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_booked bookingdb.booked_session;
begin
    select s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time,
        s.start_time, s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        p_credits_balance
    into v_booked
    from public.sessions as s
    where s.id = p_session_id;
    if not found then
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    return v_booked;
end;
$function$;

comment on function bookingdb.booked_session(uuid, integer) is
'A session as it stands, as a booking answers with it, and the given balance. Raises session_not_found.';

create or replace function bookingdb.busy_times(
    p_policy bookingdb.effective_policy,
    p_span tstzrange,
    p_length interval,
    p_except_id uuid
)
returns setof bookingdb.busy_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
as $function$
declare
    v_before constant interval := make_interval(mins => p_policy.buffer_before_minutes);
    v_after constant interval := make_interval(mins => p_policy.buffer_after_minutes);
    v_period constant tstzrange := tstzrange(lower(p_span) - v_before, upper(p_span) + p_length + v_after, '[]');
begin
    -- What is there from x to y is in the way of starts after x - length and before y, both further by the buffers of
    -- the new session. (Those of the other one are in blocked.) Time off is no session: it needs no distance. Two
    -- look-ups, because two indexes cover the kinds: the exclusion constraint's and that of the absences.
    return query
    select c.kind, c.period, tstzrange(lower(c.blocked) - p_length - v_after, upper(c.blocked) + v_before, '()')
    from bookingdb.calendar as c
    where c.therapist_id = p_policy.therapist_id
        and c.blocked && v_period
        and c.kind in ('session', 'hold')
        and (c.kind = 'session' or c.expires_at > clock_timestamp())
        and c.id is distinct from p_except_id
    union all
    select c.kind, c.period, case c.kind
        when 'time_off' then tstzrange(lower(c.blocked) - p_length, upper(c.blocked), '()')
        else tstzrange(lower(c.blocked) - p_length - v_after, upper(c.blocked) + v_before, '()')
    end
    from bookingdb.calendar as c
    where c.therapist_id = p_policy.therapist_id
        and c.blocked && v_period
        and c.kind in ('time_off', 'external');
end;
$function$;

comment on function bookingdb.busy_times(bookingdb.effective_policy, tstzrange, interval, uuid) is
'What the calendar of the therapist of a policy has around a span: sessions, live holds, time off and external appointments, not counting p_except_id; each with the starts at which a session of a length would meet it, or come closer than the policy''s buffers.';

create or replace function bookingdb.caller_is_trusted()
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.role_is_trusted(bookingdb.effective_role());
end;
$function$;

comment on function bookingdb.caller_is_trusted() is
'Whether the calling role may act for anyone. Used by the row level security policies, so callers can execute it; it tells them only about themselves.';

create or replace function bookingdb.cancel_session(
    p_session_id uuid,
    p_reason text,
    p_refund boolean,
    p_idempotency_key text
)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'cancel_session';
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(p_session_id, p_reason, p_refund));
    v_now timestamptz;
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    -- Who is asking decides who is told about a length.
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.part_in_session(v_session);
    if p_refund is not null and v_part <> 'trusted' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_refund'));
    end if;
    perform bookingdb.lock_people(array[v_session.user_id]);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(
            c_function_name, coalesce(v_session.user_id, v_session.id), p_idempotency_key, v_request_hash
        );
        if v_answer.result_id is not null then
            return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
        end if;
    end if;

    v_now := clock_timestamp();
    perform bookingdb.require_transition(v_session, 'cancelled');
    -- What has begun is no longer the client's to cancel.
    if v_part = 'client' and v_session.start_time <= v_now then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'asked', 'cancelled',
            'start_time', bookingdb.utc(v_session.start_time)
        ));
    end if;

    delete from bookingdb.calendar as c
    where c.id = v_session.id and c.kind = 'session';

    -- The deal is the one of the booking. Sessions from before there were deals have that of today's policy.
    if coalesce(
        p_refund,
        v_part <> 'client' or v_now <= coalesce(
            v_session.free_cancellation_until,
            bookingdb.later(
                v_session.start_time, -(bookingdb.policy_of(v_session.therapist_id)).cancellation_window
            )
        ),
        -- Without a start there is no late.
        true
    ) then
        perform bookingdb.return_credit(v_session);
    end if;

    -- The reason reaches the audit log with the change of the column.
    update public.sessions as s
    set status = 'cancelled',
        cancellation_reason = p_reason,
        updated_at = now()
    where s.id = v_session.id;
    if not found then
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.remember_answer(
        c_function_name, coalesce(v_session.user_id, v_session.id), p_idempotency_key, v_request_hash, v_session.id,
        v_balance
    );
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.cancel_session(uuid, text, boolean, text) is
'Cancels a session; its time is free at once. The credit comes back when the therapist or a trusted caller cancels, and to a client until free_cancellation_until. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed (also p_refund from others than trusted callers), busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.change_status(
    p_session_id uuid,
    p_status text,
    p_function_name text,
    p_idempotency_key text
)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(p_session_id));
    v_session public.sessions;
    v_owner_id uuid;
    v_answer bookingdb.idempotency_keys;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);

    v_session := bookingdb.lock_session(p_session_id);
    -- What becomes of a session is the therapist's to say.
    if bookingdb.part_in_session(v_session) = 'client' then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', v_session.id));
    end if;

    v_owner_id := coalesce(v_session.user_id, v_session.id);
    if p_idempotency_key is not null then
        -- The keys are the client's: the same one may be in use for another of its sessions at this moment.
        perform bookingdb.lock_people(array[v_session.user_id]);
        v_answer := bookingdb.find_answer(p_function_name, v_owner_id, p_idempotency_key, v_request_hash);
        if v_answer.result_id is not null then
            return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
        end if;
    end if;

    perform bookingdb.require_transition(v_session, p_status);
    if not bookingdb.occupies_time(p_status) then
        delete from bookingdb.calendar as c
        where c.id = v_session.id and c.kind = 'session';
    end if;
    update public.sessions as s
    set status = p_status,
        updated_at = now()
    where s.id = v_session.id;
    if not found then
        -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.remember_answer(
        p_function_name, v_owner_id, p_idempotency_key, v_request_hash, v_session.id, v_balance
    );
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.change_status(uuid, text, text, text) is
'Brings a session into a status, for its therapist and trusted callers, if the table of transitions has it. Credits stay as they are. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.changed_session(p_session_id uuid, p_credits_balance integer)
returns bookingdb.changed_session
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_changed bookingdb.changed_session;
begin
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id;

    v_changed := row(
        v_session.id, v_session.user_id, v_session.therapist_id, v_session.title, v_session.description,
        v_session.scheduled_date, v_session.scheduled_time, v_session.start_time, v_session.end_time,
        v_session.duration_minutes, v_session.session_type, v_session.status, v_session.created_at,
        v_session.time_zone,
        -- A client's credits are nothing to the therapist.
        case when bookingdb.part_in_session(v_session) <> 'therapist' then p_credits_balance end,
        v_session.free_cancellation_until,
        exists (select from bookingdb.ledger as l where l.session_id = p_session_id and l.kind = 'refund')
    );
    return v_changed;
end;
$function$;

comment on function bookingdb.changed_session(uuid, integer) is
'A session as it stands, as the functions that change one answer with it; the client''s balance for the client and trusted callers. Raises not_authenticated, not_allowed.';

create or replace function bookingdb.check_booking_conflict(
    p_therapist_id uuid,
    p_session_date date,
    p_start_time time,
    p_end_time time,
    p_time_zone text,
    p_exclude_session_id uuid
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_time_zone text;
    v_start timestamptz;
    v_end timestamptz;
    v_end_date date := p_session_date;
begin
    perform bookingdb.authorise_anyone();

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_start_time, v_time_zone);
    -- An end at or before the start is one on the next day.
    if p_end_time <= p_start_time then
        v_end_date := p_session_date + 1;
    end if;
    v_end := bookingdb.local_instant(v_end_date, p_end_time, v_time_zone);

    perform bookingdb.require_therapist(p_therapist_id);

    return not bookingdb.is_free(
        bookingdb.policy_of(p_therapist_id), tstzrange(v_start, v_end), p_exclude_session_id, true, true
    );
end;
$function$;

comment on function bookingdb.check_booking_conflict(uuid, date, time, time, text, uuid) is
'Whether the therapist cannot be booked at this time, as far as hours, calendar, buffers and limits go. Writes nothing, takes no lock, may be asked about the past. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_time_zone, invalid_date, invalid_time, skipped_time, therapist_not_found.';

create or replace function bookingdb.check_invariants()
returns table (invariant integer, subject_id uuid, problem text, context jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
as $function$
begin
    -- The tables themselves are read (see the settings above): an index that is corrupt would not show the rows that
    -- the constraint on it missed.

    -- 1. No two calendar rows of one therapist overlap in blocked, none of one client in period. Found by looking at
    -- each row's predecessor in time: among rows that do not overlap it is the only one that could.
    return query
    select 1, o.id, 'overlaps another calendar row of the ' || o.part, jsonb_build_object(
        'person_id', o.person_id, 'other_id', o.other_id
    )
    from (
        select 'therapist' as part, c.therapist_id as person_id, c.id, c.blocked as taken,
            lag(c.id) over w as other_id,
            max(upper(c.blocked)) over (w rows between unbounded preceding and 1 preceding) as taken_until
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.therapist_id is not null
        window w as (partition by c.therapist_id order by lower(c.blocked), c.id)
        union all
        select 'client', c.client_id, c.id, c.period,
            lag(c.id) over w,
            max(upper(c.period)) over (w rows between unbounded preceding and 1 preceding)
        from bookingdb.calendar as c
        where c.kind in ('session', 'hold') and c.client_id is not null
        window w as (partition by c.client_id order by lower(c.period), c.id)
    ) as o
    where lower(o.taken) < o.taken_until;

    -- 2. Each session that takes place has exactly one calendar row, with its people and times; no other session has
    -- one. (Two are impossible: the row has the session's id.)
    return query
    select 2, coalesce(s.id, c.id),
        case
            when c.id is null then 'session has no calendar row'
            when s.id is null then 'calendar row without a session that takes place'
            else 'calendar row differs from its session'
        end,
        jsonb_build_object('session_status', s.status)
    from (
        select t.id, t.status, t.therapist_id, t.user_id, t.start_time, t.end_time
        from public.sessions as t
        where bookingdb.occupies_time(t.status)
            and (t.therapist_id is not null or t.user_id is not null)
            and t.start_time < t.end_time
            and isfinite(t.start_time)
            and isfinite(t.end_time)
    ) as s
    full join (
        select k.id, k.therapist_id, k.client_id, k.period, k.blocked
        from bookingdb.calendar as k
        where k.kind = 'session'
    ) as c on c.id = s.id
    where s.id is null
        or c.id is null
        or c.therapist_id is distinct from s.therapist_id
        or c.client_id is distinct from s.user_id
        or c.period <> tstzrange(s.start_time, s.end_time)
        or not c.blocked @> c.period;

    -- 3. Each lot: 0 <= balance, its ledger entries sum to it, and so does the last of them.
    return query
    select 3, coalesce(c.id, l.lot_id),
        case
            when c.credits_balance < 0 then 'balance is negative'
            else 'ledger and balance differ'
        end,
        jsonb_build_object(
            'user_id', c.user_id, 'balance', c.credits_balance, 'ledger_sum', l.total, 'ledger_last', l.last_balance
        )
    from public.user_credits as c
    full join (
        select e.lot_id, sum(e.amount) as total, (array_agg(e.balance_after order by e.id desc))[1] as last_balance
        from bookingdb.ledger as e
        group by e.lot_id
    ) as l on l.lot_id = c.id
    where c.credits_balance < 0
        or coalesce(c.credits_balance, 0) <> coalesce(l.total, 0)
        or coalesce(c.credits_balance, 0) <> coalesce(l.last_balance, 0);

    -- And no entry contradicts the one before it.
    return query
    select 3, e.lot_id, 'ledger entries do not chain', jsonb_build_object('entry_id', e.id)
    from (
        select l.id, l.lot_id, l.amount, l.balance_after,
            coalesce(lag(l.balance_after) over (partition by l.lot_id order by l.id), 0) as balance_before
        from bookingdb.ledger as l
    ) as e
    where e.balance_after <> e.balance_before::bigint + e.amount;

    -- 4. At most one debit and one refund a session, the refund only after the debit and of its lot (or its grace lot);
    -- a session that a function of ours booked has its debit.
    return query
    select 4, e.session_id, 'more than one debit or refund', jsonb_build_object('kind', e.kind, 'entries', count(*))
    from bookingdb.ledger as e
    where e.session_id is not null
    group by e.session_id, e.kind
    having count(*) > 1;

    return query
    select 4, r.session_id, 'refund without an earlier debit of the same lot', jsonb_build_object('entry_id', r.id)
    from bookingdb.ledger as r
    left join public.user_credits as g on g.id = r.lot_id
    where r.kind = 'refund'
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = r.session_id
                and d.kind = 'debit'
                and (
                    d.lot_id = r.lot_id
                    or d.lot_id = g.grace_for_lot_id
                    -- A grace lot that was deleted since: the refund opened it.
                    or (g.id is null and r.balance_after = r.amount)
                )
                and d.id < r.id
                and d.amount = -r.amount
        );

    return query
    select 4, s.id, 'booked session without a debit', jsonb_build_object('user_id', s.user_id)
    from public.sessions as s
    where s.credits_charged > 0
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = s.id and d.kind = 'debit' and d.amount = -s.credits_charged
        );

    return query
    select 4, d.session_id, 'debit for a session that never was', jsonb_build_object('entry_id', d.id)
    from bookingdb.ledger as d
    where d.kind = 'debit'
        and not exists (select from public.sessions as s where s.id = d.session_id)
        and not exists (select from public.booking_audit_log as a where a.session_id = d.session_id);

    -- 5. The audit rows of a session chain without a gap from its creation to its current status.
    return query
    select 5, coalesce(s.id, a.session_id),
        case when a.session_id is null then 'session has no audit row' else 'audit rows do not chain' end,
        jsonb_build_object('audit_id', a.id, 'old_status', a.old_status, 'new_status', a.new_status)
    from (
        select b.id, b.session_id, b.old_status, b.new_status,
            lag(b.new_status) over w as previous_status,
            lead(b.id) over w is null as is_last
        from public.booking_audit_log as b
        window w as (partition by b.session_id order by b.id)
    ) as a
    full join public.sessions as s on s.id = a.session_id
    where a.session_id is null
        or a.old_status is distinct from a.previous_status
        or (a.is_last and a.new_status is distinct from s.status);

    -- 6. Every acknowledged idempotency key still answers with the same session or lot. One that was deleted by means
    -- that left the record they must leave is none that was lost.
    return query
    select 6, k.result_id, 'what an idempotency key answered is gone', jsonb_build_object(
        'function', k.function_name, 'user_id', k.user_id
    )
    from bookingdb.idempotency_keys as k
    where (
            not k.function_name in ('grant_credits', 'adjust_credits', 'hold_slot', 'book_series')
            and not exists (select from public.sessions as s where s.id = k.result_id)
            and not exists (
                select from public.booking_audit_log as a
                where a.session_id = k.result_id and a.action = 'deleted'
            )
        )
        or (
            k.function_name = 'book_series'
            and not exists (select from public.sessions as s where s.series_id = k.result_id)
            and not exists (
                select from public.booking_audit_log as a
                where a.user_id = k.user_id and a.action = 'deleted'
            )
        )
        or (
            k.function_name in ('grant_credits', 'adjust_credits')
            and not exists (select from public.user_credits as c where c.id = k.result_id)
            and not exists (
                select from bookingdb.ledger as l
                where l.lot_id = k.result_id and l.kind = 'direct' and l.balance_after = 0
            )
        );
end;
$function$;

comment on function bookingdb.check_invariants() is
'One row for each violation of what must always hold (docs/how-it-works.md lists it), none when all is well: the number of the invariant, the session, lot or calendar row, what is wrong, and its context. Reads every row: for checks, not for requests.';

create or replace function bookingdb.client_conflict(p_client_id uuid, p_period tstzrange, p_except_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return exists (
        select from bookingdb.calendar as c
        where c.client_id = p_client_id
            and c.period && p_period
            and c.kind in ('session', 'hold')
            and (c.kind = 'session' or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
    );
end;
$function$;

comment on function bookingdb.client_conflict(uuid, tstzrange, uuid) is
'Whether a client has a session or a live hold that overlaps this time, other than the calendar row with the given id.';

create or replace function bookingdb.complete_session(p_session_id uuid, p_idempotency_key text)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.change_status(p_session_id, 'completed', 'complete_session', p_idempotency_key);
end;
$function$;

comment on function bookingdb.complete_session(uuid, text) is
'Says that a session took place; not before its start. For the therapist and trusted callers. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.confirm_session(p_session_id uuid, p_idempotency_key text)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.change_status(p_session_id, 'confirmed', 'confirm_session', p_idempotency_key);
end;
$function$;

comment on function bookingdb.confirm_session(uuid, text) is
'Confirms a scheduled session. For the therapist and trusted callers. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.create_session_with_credit_deduction(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_time_zone text,
    p_idempotency_key text
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    return bookingdb.book_once(
        'create_session_with_credit_deduction', p_user_id, p_therapist_id, p_session_date, p_session_time,
        p_duration_minutes, p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key, false
    );
end;
$function$;

comment on function bookingdb.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session and takes one credit for it, or changes nothing. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict, insufficient_credits.';

create or replace function bookingdb.credits_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return (
        -- Never more than an integer holds: lots that were written directly can sum to more.
        select least(coalesce(sum(c.credits_balance), 0), 2147483647)
        from public.user_credits as c
        where c.user_id = p_user_id
            and c.user_type = 'user'
            and c.status = 'active'
            and (c.expires_at is null or c.expires_at > clock_timestamp())
    );
end;
$function$;

comment on function bookingdb.credits_balance(uuid) is
'The credits a client can spend now: what is left of active lots of type user that have not expired.';

create or replace function bookingdb.effective_role()
returns name
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_role text := current_setting('role');
begin
    if v_role = 'none' then
        return session_user;
    end if;
    return v_role;
end;
$function$;

comment on function bookingdb.effective_role() is
'The role the caller acts as: the one of SET ROLE, else the session''s. current_user would not do: inside a function with security definer it is the owner, also of an application''s own function that calls ours.';

create or replace function bookingdb.expire_credits()
returns bookingdb.expired_credits
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_lot public.user_credits;
    v_expired bookingdb.expired_credits := row(0, 0);
begin
    perform bookingdb.authorise_trusted();

    -- Lots that somebody is writing are left for the next time: nobody waits for us, and we wait for nobody. Until then
    -- they are worth nothing anyhow (credits_balance).
    for v_lot in
        select c.*
        from public.user_credits as c
        where c.status = 'active' and c.expires_at <= v_now
        for update skip locked
    loop
        if v_lot.credits_balance > 0 then
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (v_lot.user_id, v_lot.id, 'expiry', -v_lot.credits_balance, 0, bookingdb.actor());
        end if;
        update public.user_credits as c
        set credits_balance = 0,
            -- Never more than an integer holds: what others write directly must not be in the way of all lots.
            credits_expired = least(c.credits_expired::bigint + v_lot.credits_balance, 2147483647),
            status = 'expired',
            updated_at = now()
        where c.id = v_lot.id;
        if not found then
            -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
            raise exception using errcode = 'internal_error', message = 'Booking failed';
        end if;
        if v_lot.credits_balance > 0 then
            perform bookingdb.tell_of_credits('credits.expired', v_lot.user_id, v_lot.id, -v_lot.credits_balance);
        end if;
        v_expired := row(v_expired.lots + 1, v_expired.credits + v_lot.credits_balance);
    end loop;
    return v_expired;
end;
$function$;

comment on function bookingdb.expire_credits() is
'Posts what is left of expired lots to the ledger, and says of how many lots and credits. Done again, it finds nothing. For trusted callers, from a scheduled job; no balance depends on when it runs. Twin of the public function of this name. Raises not_authenticated, not_allowed.';

create or replace function bookingdb.find_answer(p_function_name text, p_user_id uuid, p_key text, p_request_hash bytea)
returns bookingdb.idempotency_keys
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_answer bookingdb.idempotency_keys;
begin
    select k.*
    into v_answer
    from bookingdb.idempotency_keys as k
    where k.function_name = p_function_name and k.user_id = p_user_id and k.key = p_key;

    if v_answer.request_hash <> p_request_hash then
        perform bookingdb.raise_error('idempotency_key_reused');
    end if;
    return v_answer;
end;
$function$;

comment on function bookingdb.find_answer(text, uuid, text, bytea) is
'What was answered to this idempotency key before, or a row of nulls. Raises idempotency_key_reused when the key was used with other parameters.';

create or replace function bookingdb.find_available_therapists(
    p_from timestamptz,
    p_to timestamptz,
    p_duration_minutes integer,
    p_therapist_ids uuid[],
    p_limit integer
)
returns setof bookingdb.available_therapist
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_length interval;
    v_ids uuid[];
    v_span tstzrange;
    v_last timestamptz;
    v_hours integer := 12;
    v_candidate bookingdb.free_time;
    v_policy bookingdb.effective_policy;
    v_starts tstzmultirange;
    v_start timestamptz;
    v_found_ids uuid[] := '{}';
    v_found_starts timestamptz[] := '{}';
    v_worst timestamptz;
    v_worst_id uuid;
begin
    perform bookingdb.authorise_anyone();
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    perform bookingdb.require_instant('p_from', p_from);
    perform bookingdb.require_instant('p_to', p_to);
    if p_to < p_from or p_to - p_from > interval '366 days' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'maximum_days', 366
        ));
    end if;
    if p_limit is null or p_limit not between 1 and 1000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_limit', 'minimum', 1, 'maximum', 1000
        ));
    end if;

    -- Who can be booked at all, and for so long.
    v_ids := array(
        select t.id
        from bookingdb.therapists as t
        where p_therapist_ids is null or t.id = any (p_therapist_ids)
    );
    v_length := make_interval(mins => p_duration_minutes);
    select array_agg(p.therapist_id), max(upper(s.span))
    into v_ids, v_last
    from bookingdb.policies_of(v_ids) as p
    cross join lateral bookingdb.bookable_span(p) as s (span)
    where p_duration_minutes between p.minimum_duration_minutes and p.maximum_duration_minutes
        and s.span && tstzrange(p_from, p_to);
    v_ids := coalesce(v_ids, '{}');

    -- The whole session lies in the span. The next hours first, then ever longer stretches, until enough are found:
    -- who is free later cannot come before who is free earlier.
    v_last := least(v_last, p_to - v_length);
    v_span := tstzrange(greatest(p_from, clock_timestamp()), null);
    while lower(v_span) <= v_last and cardinality(v_found_ids) < p_limit and cardinality(v_ids) > 0 loop
        v_span := tstzrange(
            lower(v_span), least(v_last, lower(v_span) + make_interval(hours => v_hours)), '[]'
        );
        -- By the first free instant. The first point of the grid comes at that instant or later, so that those behind
        -- the worst of enough need not be looked at.
        for v_candidate in
            select f.therapist_id, f.starts
            from bookingdb.free_times(v_ids, v_span, v_length, null, true) as f
            where not isempty(f.starts)
            order by lower(f.starts), f.therapist_id
        loop
            exit when (lower(v_candidate.starts), v_candidate.therapist_id) > (v_worst, v_worst_id);
            v_policy := bookingdb.policy_of(v_candidate.therapist_id);
            v_starts := v_candidate.starts * tstzmultirange(bookingdb.bookable_span(v_policy));
            continue when isempty(v_starts);
            -- Mostly the first day has one.
            select coalesce(
                (
                    select s.start
                    from bookingdb.slot_starts(
                        v_starts * tstzmultirange(tstzrange(null, lower(v_starts) + interval '24 hours')),
                        v_policy.time_zone, v_policy.slot_step_minutes, v_policy.slot_offset_minutes
                    ) as s (start)
                    order by s.start
                    limit 1
                ),
                (
                    select s.start
                    from bookingdb.slot_starts(
                        v_starts, v_policy.time_zone, v_policy.slot_step_minutes, v_policy.slot_offset_minutes
                    ) as s (start)
                    order by s.start
                    limit 1
                )
            )
            into v_start;
            continue when v_start is null;

            v_found_ids := v_found_ids || v_candidate.therapist_id;
            v_found_starts := v_found_starts || v_start;
            if cardinality(v_found_ids) >= p_limit then
                select n.start, n.id
                into v_worst, v_worst_id
                from unnest(v_found_starts, v_found_ids) as n (start, id)
                order by n.start, n.id
                offset p_limit - 1
                limit 1;
            end if;
        end loop;

        v_ids := array(
            select i.id
            from unnest(v_ids) as i (id)
            where i.id <> all (v_found_ids)
        );
        exit when upper(v_span) >= v_last;
        v_span := tstzrange(upper(v_span), null);
        v_hours := v_hours * 2;
    end loop;

    return query
    select n.id, n.start, n.start + v_length
    from unnest(v_found_ids, v_found_starts) as n (id, start)
    order by n.start, n.id
    limit p_limit;
end;
$function$;

comment on function bookingdb.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer) is
'The therapists (of those given; null: of all) who are free for a session of a length between two instants, each with the first slot, the earliest first. Unknown ids are passed over. Twin of the public function of this name. Raises not_authenticated, invalid_duration, invalid_parameter (p_from, p_to, p_limit 1 to 1000).';

create or replace function bookingdb.find_granted_lot(p_payment_reference text, p_user_id uuid, p_amount integer)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
begin
    select c.*
    into v_lot
    from public.user_credits as c
    where c.payment_reference = p_payment_reference;

    -- The expiry is not compared: who retries a payment computes it anew.
    if v_lot.user_id <> p_user_id or v_lot.credits_purchased <> p_amount then
        perform bookingdb.raise_error('idempotency_key_reused', jsonb_build_object('parameter', 'p_payment_reference'));
    end if;
    return v_lot.id;
end;
$function$;

comment on function bookingdb.find_granted_lot(text, uuid, integer) is
'The lot that this payment was granted as, or null. Raises idempotency_key_reused when it was another user''s or another amount.';

create or replace function bookingdb.free_times(
    p_therapist_ids uuid[],
    p_span tstzrange,
    p_length interval,
    p_except_id uuid,
    p_with_hours boolean
)
returns setof bookingdb.free_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
begin
    -- A set of instants: where hours let a session of this length start, without those at which it would meet something
    -- in the calendar, and without the days and weeks that are full.
    return query
    select
        t.therapist_id,
        h.starts - coalesce(b.starts, '{}') - coalesce(f.starts, '{}')
    from bookingdb.policies_of(p_therapist_ids) as t
    left join bookingdb.opening_times(
        case when p_with_hours then p_therapist_ids else '{}' end, lower(p_span), upper(p_span) + p_length
    ) as o on o.therapist_id = t.therapist_id
    cross join lateral (
        select case
            when o.open is null or o.open = '{(,)}' then tstzmultirange(p_span)
            -- The whole session lies within hours: it can start until its length before they end.
            else tstzmultirange(p_span) * coalesce((
                select range_agg(tstzrange(lower(w.period), upper(w.period) - p_length, '[]'))
                from unnest(o.open) as w (period)
                where lower(w.period) <= upper(w.period) - p_length
            ), '{}')
        end as starts
    ) as h
    left join lateral (
        select range_agg(d.starts) as starts
        from bookingdb.busy_times(t, p_span, p_length, p_except_id) as d
    ) as b on true
    left join lateral (
        select range_agg(d.period) as starts
        from bookingdb.full_times(t, p_span, p_except_id) as d
        where least(t.maximum_sessions_per_day, t.maximum_sessions_per_week) < 1000
    ) as f on true;
end;
$function$;

comment on function bookingdb.free_times(uuid[], tstzrange, interval, uuid, boolean) is
'What is free, as sets: the instants of a span (with two ends) at which a session of a length can start with each of these therapists: opening_times() without busy_times() and full_times(). p_with_hours false: without regard to hours. Notice, horizon and the client''s own sessions are the caller''s to look at. is_free() is the same for one instant.';

create or replace function bookingdb.full_times(
    p_policy bookingdb.effective_policy,
    p_span tstzrange,
    p_except_id uuid
)
returns table (rule text, period tstzrange)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
as $function$
begin
    -- The days and weeks of the therapist's zone that reach into the span: eight days more hold all of them.
    return query
    select
        g.rule,
        tstzrange(
            bookingdb.wall_clock_instant(g.first_date, p_policy.time_zone),
            bookingdb.wall_clock_instant(g.first_date + g.days, p_policy.time_zone)
        )
    from (
        select n.rule, n.first_date, n.days
        from (
            -- What has taken place counts; what was cancelled does not.
            select (s.start_time at time zone p_policy.time_zone)::date as local_date
            from public.sessions as s
            where s.therapist_id = p_policy.therapist_id
                and s.start_time > lower(p_span) - interval '192 hours'
                and s.start_time < upper(p_span) + interval '192 hours'
                and s.status <> 'cancelled'
                and s.id is distinct from p_except_id
            union all
            select (lower(c.period) at time zone p_policy.time_zone)::date
            from bookingdb.calendar as c
            where c.therapist_id = p_policy.therapist_id
                and c.blocked && tstzrange(
                    lower(p_span) - interval '192 hours', upper(p_span) + interval '192 hours'
                )
                and c.kind = 'hold'
                and c.expires_at > clock_timestamp()
                and c.id is distinct from p_except_id
        ) as a
        cross join lateral (
            values
            ('maximum_sessions_per_day', a.local_date, 1, p_policy.maximum_sessions_per_day),
            (
                'maximum_sessions_per_week', a.local_date + 1 - extract(isodow from a.local_date)::integer, 7,
                p_policy.maximum_sessions_per_week
            )
        ) as n (rule, first_date, days, maximum)
        where n.maximum < 1000
        group by n.rule, n.first_date, n.days, n.maximum
        having count(*) >= n.maximum
    ) as g;
end;
$function$;

comment on function bookingdb.full_times(bookingdb.effective_policy, tstzrange, uuid) is
'The days and weeks around a span in which the therapist of a policy has as many sessions and live holds as it allows, not counting p_except_id; rule is the name of the setting.';

create or replace function bookingdb.get_credit_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    perform bookingdb.require_credit_account(p_user_id);
    return bookingdb.credits_balance(p_user_id);
end;
$function$;

comment on function bookingdb.get_credit_balance(uuid) is
'The credits a client can spend now. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, user_not_found.';

create or replace function bookingdb.get_credit_history(p_user_id uuid, p_limit integer, p_before timestamptz)
returns setof bookingdb.credit_entry
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    if p_limit is null or p_limit not between 1 and 1000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_limit', 'minimum', 1, 'maximum', 1000
        ));
    end if;
    perform bookingdb.require_credit_account(p_user_id);

    -- With ties: entries of one instant stay on one page, so none falls between two pages.
    return query
    select
        l.id,
        l.created_at,
        l.kind,
        l.amount,
        l.balance_after,
        l.lot_id,
        l.session_id,
        l.actor
    from (
        select t.*
        from bookingdb.ledger as t
        where t.user_id = p_user_id and (p_before is null or t.created_at < p_before)
        order by t.created_at desc
        fetch first p_limit rows with ties
    ) as l
    order by l.created_at desc, l.id desc;
end;
$function$;

comment on function bookingdb.get_credit_history(uuid, integer, timestamptz) is
'A client''s ledger entries, newest first, at most p_limit (1 to 1000; more only where the last ones share an instant), older than p_before where it is given. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter, user_not_found.';

create or replace function bookingdb.get_credit_statement(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns setof bookingdb.statement_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise(p_user_id);
    if p_from is null or not isfinite(p_from) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_from'));
    end if;
    if p_to is null or not isfinite(p_to) or p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_to'));
    end if;
    perform bookingdb.require_credit_account(p_user_id);

    -- All credits of the ledger, those of expired lots until expire_credits() posts that.
    return query
    with entries as (
        select
            l.*,
            sum(l.amount) over (order by l.created_at, l.id) as total
        from bookingdb.ledger as l
        where l.user_id = p_user_id and l.created_at < p_to
    ),
    opening as (
        select coalesce(sum(e.amount), 0) as total
        from entries as e
        where e.created_at < p_from
    ),
    closing as (
        select coalesce(sum(e.amount), 0) as total
        from entries as e
    )
    select s.entry_id, s.created_at, s.kind, s.amount, s.balance, s.lot_id, s.session_id, s.reason, s.actor
    from (
        select 1 as part, null::bigint as entry_id, p_from as created_at, 'opening' as kind, null::integer as amount,
            o.total as balance, null::uuid as lot_id, null::uuid as session_id, null as reason, null as actor
        from opening as o
        union all
        select 2, e.id, e.created_at, e.kind, e.amount, e.total, e.lot_id, e.session_id, e.reason, e.actor
        from entries as e
        where e.created_at >= p_from
        union all
        select 3, null, p_to, 'closing', null, c.total, null, null, null, null
        from closing as c
    ) as s
    order by s.part, s.created_at, s.entry_id;
end;
$function$;

comment on function bookingdb.get_credit_statement(uuid, timestamptz, timestamptz) is
'A client''s credits from an instant to before another: a line ''opening'' with the balance, the ledger''s entries in order with the balance after each, a line ''closing''. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter, user_not_found.';

create or replace function bookingdb.get_policy(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is not null then
        perform bookingdb.require_therapist(p_therapist_id);
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.get_policy(uuid) is
'What holds for a therapist, or by default (null). Twin of the public function of this name. Raises not_authenticated, therapist_not_found.';

create or replace function bookingdb.get_weekly_hours(p_therapist_id uuid)
returns setof bookingdb.weekly_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_therapist(p_therapist_id);

    return query
    select w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to
    from bookingdb.weekly_hours as w
    where w.therapist_id = p_therapist_id
    order by w.weekday, w.start_time, w.valid_from nulls first, w.id;
end;
$function$;

comment on function bookingdb.get_weekly_hours(uuid) is
'A therapist''s weekly hours, in order. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, therapist_not_found.';

create or replace function bookingdb.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text,
    p_expires_at timestamptz,
    p_idempotency_key text,
    p_category text,
    p_priority integer
)
returns bookingdb.credit_grant
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'grant_credits';
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_lot_id uuid;
    v_grant bookingdb.credit_grant;
    v_constraint text;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();

    if p_user_id is null then
        perform bookingdb.raise_error('invalid_user_id');
    end if;
    if p_amount is null or p_amount not between 1 and 10000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_amount', 'minimum', 1, 'maximum', 10000
        ));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
    if p_category is null or p_category not in ('paid', 'promotional') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_category'));
    end if;
    if p_priority is null or p_priority not between 0 and 100 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_priority', 'minimum', 0, 'maximum', 100
        ));
    end if;

    if p_idempotency_key is not null then
        -- The expiry as a number: as text it would depend on the connection's TimeZone.
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_amount, p_payment_reference, extract(epoch from p_expires_at)::text
        ) || case when (p_category, p_priority) = ('paid', 50) then jsonb '[]'
            -- What was asked before there were these two must still be recognised.
            else jsonb_build_array(p_category, p_priority) end);
    end if;

    perform bookingdb.lock_people(array[p_user_id]);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        v_lot_id := v_answer.result_id;
    end if;
    if v_lot_id is null then
        v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, p_amount);
    end if;

    if v_lot_id is null then
        -- Only a new grant can be too late; a retry of an old one is answered above.
        if p_expires_at <= clock_timestamp() or p_expires_at >= timestamptz '3000-01-01 00:00:00+00' then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_expires_at'));
        end if;
        if not exists (select from bookingdb.clients as c where c.id = p_user_id) then
            perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
        end if;

        v_lot_id := gen_random_uuid();
        begin
            v_lock_timeout := bookingdb.limit_wait();
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (p_user_id, v_lot_id, 'grant', p_amount, p_amount, bookingdb.actor());

            insert into public.user_credits (
                id, user_id, credits_balance, credits_purchased, expires_at, payment_reference, category, priority
            )
            values (
                v_lot_id, p_user_id, p_amount, p_amount, p_expires_at, p_payment_reference, p_category, p_priority
            );
            if not found then
                -- A BEFORE trigger of the application swallowed the lot: everything is undone with it.
                raise exception using errcode = 'internal_error', message = 'Booking failed';
            end if;

            perform bookingdb.tell_of_credits('credits.granted', p_user_id, v_lot_id, p_amount);
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when unique_violation then
                -- Somebody else granted the same payment since we looked, for another user or by writing the row.
                get stacked diagnostics v_constraint = constraint_name;
                v_lot_id := bookingdb.find_granted_lot(p_payment_reference, p_user_id, p_amount);
                if v_lot_id is null and v_constraint = 'user_credits_payment_reference_key' then
                    -- REPEATABLE READ and SERIALIZABLE hide the other one's lot until the caller begins anew.
                    perform bookingdb.raise_error('busy');
                elsif v_lot_id is null then
                    raise;
                end if;
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    end if;

    -- A lot that was deleted since has nothing left.
    v_grant := row(
        v_lot_id,
        coalesce((select c.credits_balance from public.user_credits as c where c.id = v_lot_id), 0),
        coalesce(v_answer.credits_balance, bookingdb.credits_balance(p_user_id))
    );

    if v_answer.result_id is null then
        perform bookingdb.remember_answer(
            c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_lot_id, v_grant.credits_balance
        );
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer) is
'Gives a client a lot of credits, once for a payment reference and once for an idempotency key. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter (p_amount 1 to 10000, p_expires_at to come, p_category paid or promotional, p_priority 0 to 100), user_not_found, idempotency_key_reused (also a payment reference of another user or amount), busy.';

create or replace function bookingdb.held_slot(p_hold_id uuid)
returns bookingdb.held_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_held bookingdb.held_slot;
begin
    select h.id, h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone, h.expires_at
    into v_held
    from bookingdb.holds as h
    where h.id = p_hold_id;
    if not found then
        perform bookingdb.raise_error('hold_not_found', jsonb_build_object('hold_id', p_hold_id));
    end if;
    return v_held;
end;
$function$;

comment on function bookingdb.held_slot(uuid) is
'A hold, as hold_slot() answers with it. Raises hold_not_found.';

create or replace function bookingdb.hold_slot(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_ttl interval,
    p_time_zone text,
    p_idempotency_key text
)
returns bookingdb.held_slot
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'hold_slot';
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_policy bookingdb.effective_policy;
    v_time_zone text;
    v_start timestamptz;
    v_period tstzrange;
    v_now timestamptz;
    v_expires_at timestamptz;
    v_hold_id uuid := gen_random_uuid();
    v_given_up_id uuid;
begin
    perform bookingdb.authorise(p_user_id);

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    -- Compared in seconds: a month has no length of its own.
    if extract(epoch from p_ttl) not between 10 and 3600 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_ttl', 'minimum', '10 seconds', 'maximum', '1 hour'
        ));
    end if;
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    v_period := tstzrange(v_start, v_start + make_interval(mins => p_duration_minutes));

    perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

    if p_idempotency_key is not null then
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, extract(epoch from p_ttl)::text,
            p_time_zone
        ));
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        if v_answer.result_id is not null then
            return bookingdb.held_slot(v_answer.result_id);
        end if;
    end if;

    perform bookingdb.require_people(p_therapist_id, p_user_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);

    -- One hold of a client with a therapist: a new one takes the place of the old, which stays where this one fails.
    v_now := clock_timestamp();
    with given_up as (
        delete from bookingdb.calendar as c
        where c.kind = 'hold' and c.client_id = p_user_id and c.therapist_id = p_therapist_id
        returning c.id
    )
    update bookingdb.holds as h
    set released_at = v_now
    from given_up as g
    where h.id = g.id and h.expires_at > v_now
    returning h.id
    into v_given_up_id;
    if v_given_up_id is not null then
        perform bookingdb.tell_of_hold('hold.released', v_given_up_id);
    end if;

    perform bookingdb.require_free_time(v_policy, v_period, null, true);
    v_expires_at := bookingdb.later(v_now, coalesce(p_ttl, v_policy.hold_lifetime));
    perform bookingdb.occupy_time(
        v_hold_id, p_therapist_id, p_user_id, v_period, bookingdb.blocked_time(v_policy, v_period), v_expires_at
    );
    insert into bookingdb.holds (
        id, user_id, therapist_id, scheduled_date, scheduled_time, time_zone, duration_minutes, start_time, end_time,
        expires_at
    )
    values (
        v_hold_id, p_user_id, p_therapist_id, p_session_date, p_session_time, v_time_zone, p_duration_minutes, v_start,
        upper(v_period), v_expires_at
    );
    perform bookingdb.tell_of_hold('hold.placed', v_hold_id);

    perform bookingdb.remember_answer(
        c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_hold_id, bookingdb.credits_balance(p_user_id)
    );
    return bookingdb.held_slot(v_hold_id);
end;
$function$;

comment on function bookingdb.hold_slot(uuid, uuid, date, time, integer, interval, text, text) is
'Keeps a time for a client for a while (p_ttl, 10 seconds to 1 hour, else the policy''s), against everybody else and at no cost; a hold that the client has with this therapist is given up. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, busy, idempotency_key_reused, hold_not_found (the hold of a key was deleted), therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict.';

create or replace function bookingdb.is_free(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean,
    p_with_limits boolean
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_start constant tstzrange := tstzrange(lower(p_period), lower(p_period), '[]');
begin
    if exists (
        select from bookingdb.busy_times(
            p_policy, v_start, upper(p_period) - lower(p_period), p_except_id
        ) as b
        where b.starts @> lower(p_period)
    ) then
        return false;
    end if;
    if p_with_hours and not exists (
        select from bookingdb.opening_times(array[p_policy.therapist_id], lower(p_period), upper(p_period)) as o
        where o.open @> p_period
    ) then
        return false;
    end if;
    return not (
        p_with_limits
        and least(p_policy.maximum_sessions_per_day, p_policy.maximum_sessions_per_week) < 1000
        and exists (
            select from bookingdb.full_times(p_policy, v_start, p_except_id) as f
            where f.period @> lower(p_period)
        )
    );
end;
$function$;

comment on function bookingdb.is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean) is
'Whether the therapist of a policy is free for a session of this period, not counting p_except_id: it lies in opening_times(), and starts in none of busy_times() and full_times(). p_with_hours, p_with_limits false: without regard to hours, to limits. The check, the booking and direct writes ask here; free_times() is the same for all instants of a span.';

create or replace function bookingdb.jwt_claims()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_claims text;
begin
    -- Claims are settings, and anyone can make a setting. They count only where PostgREST (which checked the token)
    -- or a trusted login role took on the role authenticated.
    if bookingdb.effective_role() <> 'authenticated' then
        return null;
    end if;
    if session_user <> 'authenticator' and not bookingdb.role_is_trusted(session_user) then
        return null;
    end if;

    -- '' is what a setting becomes after the transaction that set it. PostgREST before version 9 made a setting of
    -- each claim.
    v_claims := nullif(current_setting('request.jwt.claims', true), '');
    if v_claims is null then
        return jsonb_build_object(
            'sub', current_setting('request.jwt.claim.sub', true),
            'email', current_setting('request.jwt.claim.email', true)
        );
    end if;
    begin
        return v_claims::jsonb;
    exception
        -- Not JSON, or JSON nested deeper than the server reads.
        when data_exception or program_limit_exceeded then
            return null;
    end;
end;
$function$;

comment on function bookingdb.jwt_claims() is
'The claims of the caller''s JWT, or null: no claims, broken claims, or claims from a role that has no business setting them.';

create or replace function bookingdb.later(p_instant timestamptz, p_by interval)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_instant + make_interval(secs => extract(epoch from p_by)::double precision);
end;
$function$;

comment on function bookingdb.later(timestamptz, interval) is
'An instant moved by an interval, a day being 24 hours: adding days to an instant would follow the connection''s TimeZone.';

create or replace function bookingdb.limit_wait()
returns text
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout constant text := current_setting('lock_timeout');
    v_left constant interval := nullif(current_setting('statement_timeout'), '0')::interval
        - (clock_timestamp() - statement_timestamp());
begin
    if v_left is not null and (v_lock_timeout = '0' or v_left * 0.9 < v_lock_timeout::interval) then
        perform set_config('lock_timeout', greatest(1, floor(extract(epoch from v_left) * 900))::text, true);
    end if;
    return v_lock_timeout;
end;
$function$;

comment on function bookingdb.limit_wait() is
'Before a wait for a lock, sees to it that lock_timeout ends it and not statement_timeout, after which nobody would hear that it was a lock (on Supabase both are 8 s): where that is due first, the wait gets nine tenths of the time that the statement has left. Returns the lock_timeout to be set again after the wait.';

create or replace function bookingdb.list_available_days(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer,
    p_time_zone text,
    p_step_minutes integer
)
returns setof bookingdb.available_day
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.local_date, count(*)::integer, min(s.start_time), max(s.start_time)
    from bookingdb.list_available_slots(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes
    ) as s
    group by s.local_date
    order by s.local_date;
end;
$function$;

comment on function bookingdb.list_available_days(uuid, date, date, integer, text, integer) is
'The dates of list_available_slots(), with the number of slots, the first and the last. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_duration, invalid_parameter, therapist_not_found, invalid_time_zone, invalid_date.';

create or replace function bookingdb.list_available_slots(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer,
    p_time_zone text,
    p_step_minutes integer
)
returns setof bookingdb.available_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_time_zone text;
    v_policy bookingdb.effective_policy;
    v_length interval;
    v_span tstzrange;
begin
    perform bookingdb.authorise_anyone();
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);

    -- Both dates are whole days of the zone that was asked for; what notice and horizon leave of them.
    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone) * bookingdb.bookable_span(v_policy);
    if isempty(v_span) then
        return;
    end if;
    return query
    select s.start, s.start + v_length, l.local::date, l.local::time
    from bookingdb.free_times(array[p_therapist_id], v_span, v_length, null, true) as f
    cross join lateral bookingdb.slot_starts(
        f.starts, v_policy.time_zone, coalesce(p_step_minutes, v_policy.slot_step_minutes), v_policy.slot_offset_minutes
    ) as s (start)
    cross join lateral (select s.start at time zone v_time_zone) as l (local)
    order by s.start;
end;
$function$;

comment on function bookingdb.list_available_slots(uuid, date, date, integer, text, integer) is
'The times at which a session of a length can be booked with a therapist now, on dates of a zone (p_time_zone, else the therapist''s), both included, in order. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_duration, invalid_parameter (p_to before p_from or more than a year; p_step_minutes 1 to 1440), therapist_not_found, invalid_time_zone, invalid_date.';

create or replace function bookingdb.list_date_overrides(p_therapist_id uuid, p_from date, p_to date)
returns setof bookingdb.date_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_from is null or p_to is null then
        perform bookingdb.raise_error('invalid_date');
    end if;
    perform bookingdb.require_therapist(p_therapist_id);

    return query
    select o.override_date, o.start_time, o.end_time
    from bookingdb.date_overrides as o
    where o.therapist_id = p_therapist_id and o.override_date between p_from and p_to
    order by o.override_date, o.start_time, o.id;
end;
$function$;

comment on function bookingdb.list_date_overrides(uuid, date, date) is
'What overrides a therapist''s week on dates, both included, in order. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_date, therapist_not_found.';

create or replace function bookingdb.list_opening_hours(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_time_zone text
)
returns setof bookingdb.opening_period
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_time_zone text;
    v_span tstzrange;
begin
    perform bookingdb.authorise_anyone();
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    perform bookingdb.require_therapist(p_therapist_id);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_span := bookingdb.span_of_dates(p_from, p_to, v_time_zone);

    return query
    select lower(p.period), upper(p.period)
    from bookingdb.opening_times(array[p_therapist_id], lower(v_span), upper(v_span)) as o
    cross join lateral unnest(o.open * tstzmultirange(v_span)) as p (period)
    order by p.period;
end;
$function$;

comment on function bookingdb.list_opening_hours(uuid, date, date, text) is
'When a therapist is there on dates of a zone (p_time_zone, else the therapist''s), both included: periods in order, that do not touch. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, therapist_not_found, invalid_time_zone, invalid_date, invalid_parameter (p_to before p_from or more than a year).';

create or replace function bookingdb.list_time_off(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
returns setof bookingdb.absence
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_instant('p_from', p_from);
    perform bookingdb.require_instant('p_to', p_to);
    if p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_to'));
    end if;

    return query
    select
        c.id,
        lower(c.period),
        upper(c.period),
        c.reason,
        bookingdb.sessions_within(c.therapist_id, array[c.period])
    from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id
        and c.kind = 'time_off'
        and c.blocked && tstzrange(p_from, p_to)
    order by lower(c.period), c.id;
end;
$function$;

comment on function bookingdb.list_time_off(uuid, timestamptz, timestamptz) is
'A therapist''s time off that reaches into a span, in order, and the sessions that lie in it. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, therapist_not_found, invalid_parameter.';

create or replace function bookingdb.local_days(p_from date, p_to date, p_time_zone text)
returns setof bookingdb.local_day
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
as $function$
declare
    v_offset constant interval := bookingdb.steady_offset(p_from, p_to, p_time_zone);
begin
    return query
    select
        d.local_date,
        coalesce(
            (d.local_date - d.utc_offset) at time zone interval '0',
            bookingdb.wall_clock_instant(d.local_date, p_time_zone)
        ),
        coalesce(
            (d.local_date + 1 - d.utc_offset) at time zone interval '0',
            bookingdb.wall_clock_instant(d.local_date + 1, p_time_zone)
        )
    from (
        select
            p_from + n.number as local_date,
            coalesce(
                v_offset, bookingdb.steady_offset(p_from + n.number, p_from + n.number, p_time_zone)
            ) as utc_offset
        from generate_series(0, p_to - p_from) as n (number)
    ) as d;
end;
$function$;

comment on function bookingdb.local_days(date, date, text) is
'The days of a zone, both dates included: when each begins and ends.';

create or replace function bookingdb.local_instant(p_date date, p_time time, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_instant timestamptz;
begin
    -- The range before any arithmetic: 'infinity', BC and the year 294276 all overflow something further on.
    if p_date is null or p_date < date '1900-01-01' or p_date > date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_time is null or extract(second from p_time) <> 0 or p_time = time '24:00' then
        perform bookingdb.raise_error('invalid_time');
    end if;

    v_instant := bookingdb.wall_clock_instant(p_date + p_time, p_time_zone);
    if v_instant at time zone p_time_zone <> p_date + p_time then
        perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', p_time_zone));
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.local_instant(date, time, text) is
'The instant of a local date and time in a zone (one that resolve_time_zone returned). A time that occurs twice means the first. Raises invalid_date, invalid_time, skipped_time.';

create or replace function bookingdb.local_windows(p_parameter text, p_windows jsonb)
returns setof bookingdb.weekly_window
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_names constant text[] := array['weekday', 'start_time', 'end_time', 'valid_from', 'valid_to'];
    v_window jsonb;
    v_number bigint;
    v_is_valid boolean;
    v_read bookingdb.weekly_window;
begin
    if p_windows is null or jsonb_typeof(p_windows) <> 'array' or jsonb_array_length(p_windows) > 200 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'maximum_windows', 200
        ));
    end if;

    for v_window, v_number in
        select w.value, w.ordinality
        from jsonb_array_elements(p_windows) with ordinality as w
    loop
        begin
            v_is_valid := jsonb_typeof(v_window) = 'object'
                and not exists (select from jsonb_object_keys(v_window) as k where k <> all (c_names))
                -- Seconds are shown by Postgres, and none are allowed; 24:00 is the midnight at which a day ends.
                and coalesce(v_window ->> 'start_time' ~ '^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$', false)
                and coalesce(v_window ->> 'end_time' ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(:00)?$', false)
                and coalesce(v_window ->> 'weekday' ~ '^[1-7]$', true)
                and coalesce(v_window ->> 'valid_from' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', true)
                and coalesce(v_window ->> 'valid_to' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', true);
            if v_is_valid then
                v_read := row(
                    v_window ->> 'weekday',
                    v_window ->> 'start_time',
                    -- Written 24:00, it is on the next day, as 00:00 is.
                    regexp_replace(v_window ->> 'end_time', '^24:00', '00:00'),
                    v_window ->> 'valid_from',
                    v_window ->> 'valid_to'
                );
                v_is_valid := not (
                    v_read.valid_from > v_read.valid_to
                    or least(v_read.valid_from, v_read.valid_to) < date '1900-01-01'
                );
            end if;
        exception
            -- The 30th of February.
            when data_exception then
                v_is_valid := false;
        end;
        -- What is not there passes.
        if not coalesce(v_is_valid, true) then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', p_parameter, 'window', v_number
            ));
        end if;
        return next v_read;
    end loop;
end;
$function$;

comment on function bookingdb.local_windows(text, jsonb) is
'The windows in a JSON array of objects with start_time and end_time (HH:MM), and weekday, valid_from and valid_to (YYYY-MM-DD) where they are given. Raises invalid_parameter (DETAIL says which window, counted from 1).';

create or replace function bookingdb.lock_for_booking(p_people uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- More than 64 are locked by one lock that stops every booking (lock_people): that is for trusted callers.
    v_maximum constant integer := case when bookingdb.caller_is_trusted() then 1000 else 64 end;
begin
    perform bookingdb.authorise_anyone();

    if p_people is null
        or cardinality(p_people) not between 1 and v_maximum
        or exists (select from unnest(p_people) as p (id) where p.id is null) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_people', 'minimum', 1, 'maximum', v_maximum
        ));
    end if;

    -- What a logged-in user's bookings would lock anyhow: itself and therapists.
    if not bookingdb.caller_is_trusted() and exists (
        select from unnest(p_people) as p (id)
        where p.id <> bookingdb.actor_id()
            and not exists (select from bookingdb.therapists as t where t.id = p.id)
    ) then
        perform bookingdb.raise_error('not_allowed');
    end if;

    perform bookingdb.lock_people(p_people);
end;
$function$;

comment on function bookingdb.lock_for_booking(uuid[]) is
'Takes the locks of all these people in the right order, ahead of several bookings in one transaction, which then cannot deadlock. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_parameter, busy.';

create or replace function bookingdb.lock_key(p_key bigint, p_shared boolean, p_wait boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
begin
    if p_shared then
        if pg_try_advisory_xact_lock_shared(p_key) then
            return;
        end if;
    elsif pg_try_advisory_xact_lock(p_key) then
        return;
    end if;

    if not p_wait then
        perform bookingdb.raise_error('busy');
    end if;

    -- Waiting needs a subtransaction (to tell lock_timeout by its name), so it is done only where it must be.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        if p_shared then
            perform pg_advisory_xact_lock_shared(p_key);
        else
            perform pg_advisory_xact_lock(p_key);
        end if;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.lock_key(bigint, boolean, boolean) is
'Takes an advisory lock until the transaction ends, shared with others who take it so or alone. Raises busy (it is not free and p_wait is false, or lock_timeout runs out).';

create or replace function bookingdb.lock_people(p_people uuid[], p_wait boolean default true)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- Everybody holds this key shared, so that whoever has very many people to lock can take it alone instead: the
    -- server's lock table has room for some thousands of locks, not for a bulk update's worth of them.
    c_everybody constant bigint := 7238106512347103;
    c_too_many constant integer := 64;
    v_keys bigint[];
    v_key bigint;
begin
    -- In the order of the keys, everywhere: two bookings that want the same people never wait for each other crosswise.
    select array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))
    into v_keys
    from unnest(p_people) as p (id)
    where p.id is not null;

    if cardinality(v_keys) > c_too_many then
        perform bookingdb.lock_key(c_everybody, false, p_wait);
        return;
    end if;

    perform bookingdb.lock_key(c_everybody, true, p_wait);
    foreach v_key in array coalesce(v_keys, '{}') loop
        perform bookingdb.lock_key(v_key, false, p_wait);
    end loop;
end;
$function$;

comment on function bookingdb.lock_people(uuid[], boolean) is
'Takes the advisory locks of these people until the transaction ends; nulls and duplicates are passed over. The statement after it sees what the last holder committed. Raises busy (one is not free and p_wait is false, or lock_timeout runs out).';

create or replace function bookingdb.lock_session(p_session_id uuid)
returns public.sessions
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_session public.sessions;
    v_is_found boolean;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_anyone();
    if p_session_id is null then
        perform bookingdb.raise_error('invalid_session_id');
    end if;

    -- Who has no part in a session does not get to lock it.
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id;
    if not found then
        perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
    end if;
    perform bookingdb.part_in_session(v_session);

    -- The row first, then people's locks, then the calendar, then lots: the order of a direct UPDATE and its triggers.
    -- Waiting needs a subtransaction (to tell lock_timeout by its name), so it is left to the second try.
    select s.*
    into v_session
    from public.sessions as s
    where s.id = p_session_id
    for update skip locked;
    if not found then
        begin
            v_lock_timeout := bookingdb.limit_wait();
            select s.*
            into v_session
            from public.sessions as s
            where s.id = p_session_id
            for update;
            v_is_found := found;
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
        if not v_is_found then
            perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', p_session_id));
        end if;
        -- It may have changed hands while we waited.
        perform bookingdb.part_in_session(v_session);
    end if;
    return v_session;
end;
$function$;

comment on function bookingdb.lock_session(uuid) is
'A session, locked until the transaction ends, for a caller who has a part in it. Raises not_authenticated, invalid_session_id, session_not_found, not_allowed, busy.';

create or replace function bookingdb.mark_no_show(p_session_id uuid, p_idempotency_key text)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.change_status(p_session_id, 'no_show', 'mark_no_show', p_idempotency_key);
end;
$function$;

comment on function bookingdb.mark_no_show(uuid, text) is
'Says that the client did not come; the credit is kept. Not before the start. For the therapist and trusted callers. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.next_available_slot(
    p_therapist_id uuid,
    p_duration_minutes integer,
    p_after timestamptz,
    p_time_zone text,
    p_step_minutes integer
)
returns setof bookingdb.available_slot
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_policy bookingdb.effective_policy;
    v_time_zone text;
    v_length interval;
    v_start timestamptz;
begin
    perform bookingdb.authorise_anyone();
    v_policy := bookingdb.slot_policy(p_therapist_id, p_duration_minutes, p_step_minutes);
    v_length := make_interval(mins => p_duration_minutes);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    if p_after is not null then
        perform bookingdb.require_instant('p_after', p_after);
    end if;

    v_start := bookingdb.next_start(v_policy, v_length, p_after, p_step_minutes, null, true);
    if v_start is not null then
        return query
        select v_start, v_start + v_length, l.local::date, l.local::time
        from (select v_start at time zone v_time_zone) as l (local);
    end if;
end;
$function$;

comment on function bookingdb.next_available_slot(uuid, integer, timestamptz, text, integer) is
'The first slot at or after an instant (null: now), or no row when there is none within the horizon. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_duration, invalid_parameter (p_step_minutes, p_after), therapist_not_found, invalid_time_zone.';

create or replace function bookingdb.next_start(
    p_policy bookingdb.effective_policy,
    p_length interval,
    p_after timestamptz,
    p_step_minutes integer,
    p_except_id uuid,
    p_with_hours boolean
)
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_span tstzrange := bookingdb.bookable_span(p_policy) * tstzrange(p_after, null);
    v_end constant timestamptz := upper(v_span);
    v_days integer := 2;
    v_next timestamptz;
begin
    -- The next days first, then ever longer stretches: mostly something is free soon.
    while not isempty(v_span) loop
        v_span := tstzrange(
            lower(v_span), least(v_end, lower(v_span) + make_interval(hours => 24 * v_days)), '[]'
        );
        select s.start
        into v_next
        from bookingdb.free_times(array[p_policy.therapist_id], v_span, p_length, p_except_id, p_with_hours) as f
        cross join lateral bookingdb.slot_starts(
            f.starts, p_policy.time_zone, coalesce(p_step_minutes, p_policy.slot_step_minutes),
            p_policy.slot_offset_minutes
        ) as s (start)
        order by s.start
        limit 1;
        exit when v_next is not null or upper(v_span) >= v_end;
        v_span := tstzrange(upper(v_span), v_end, '[]');
        v_days := v_days * 4;
    end loop;
    return v_next;
end;
$function$;

comment on function bookingdb.next_start(
    bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean
) is
'The first point of the grid at or after an instant at which a session of a length can be booked with the therapist of a policy, not counting p_except_id; null when there is none within the horizon. p_step_minutes null: the policy''s.';

create or replace function bookingdb.occupies_time(p_status text)
returns boolean
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return p_status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress');
end;
$function$;

comment on function bookingdb.occupies_time(text) is
'Whether a session in this status takes place, and so has a row in the calendar.';

create or replace function bookingdb.occupy_time(
    p_id uuid,
    p_therapist_id uuid,
    p_client_id uuid,
    p_period tstzrange,
    p_blocked tstzrange,
    p_expires_at timestamptz
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    -- What ends by itself is a hold.
    v_kind constant text := case when p_expires_at is null then 'session' else 'hold' end;
    v_expired_ids uuid[];
    v_constraint text;
    v_lock_timeout text;
begin
    if bookingdb.client_conflict(p_client_id, p_period, p_id) then
        perform bookingdb.raise_error('client_conflict', bookingdb.period_context(p_therapist_id, p_period));
    end if;

    -- A hold that ran out blocks nobody, but its row would still hit the constraint.
    select array_agg(c.id)
    into v_expired_ids
    from bookingdb.calendar as c
    where c.kind = 'hold'
        and c.expires_at <= clock_timestamp()
        and (
            (c.therapist_id = p_therapist_id and c.blocked && p_blocked)
            or (c.client_id = p_client_id and c.period && p_period)
        );
    if v_expired_ids is not null then
        -- Somebody who shares only one of a hold's people with us may be removing it, too: everybody in one order.
        begin
            v_lock_timeout := bookingdb.limit_wait();
            perform c.id
            from bookingdb.calendar as c
            where c.id = any (v_expired_ids) and c.kind = 'hold'
            order by lower(c.period), c.id
            for update;
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
        delete from bookingdb.calendar as c
        where c.id = any (v_expired_ids) and c.kind = 'hold';
    end if;

    if current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
        -- Under the locks of both people the look-ups saw everything: no subtransaction is needed.
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked, expires_at)
        values (p_id, v_kind, p_therapist_id, p_client_id, p_period, p_blocked, p_expires_at);
        return;
    end if;

    -- REPEATABLE READ and SERIALIZABLE look at an old snapshot; what it hides, the constraints find.
    begin
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked, expires_at)
        values (p_id, v_kind, p_therapist_id, p_client_id, p_period, p_blocked, p_expires_at);
    exception
        when exclusion_violation then
            get stacked diagnostics v_constraint = constraint_name;
            if v_constraint = 'calendar_client_excl' then
                perform bookingdb.raise_error('client_conflict', bookingdb.period_context(
                    p_therapist_id, p_period
                ));
            end if;
            perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(
                p_therapist_id, p_period
            ));
        when unique_violation then
            -- The client's own hold with this therapist: seen when the caller begins anew.
            perform bookingdb.raise_error('busy');
    end;
end;
$function$;

comment on function bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz) is
'Gives a session, or a hold that lives until p_expires_at, its row in the calendar; p_blocked is the period with its buffers (blocked_time). The caller holds the locks of both people (lock_people) and found the therapist free (is_free). Raises client_conflict, busy, booking_conflict (what an old snapshot hid).';

create or replace function bookingdb.open_hold(p_hold_id uuid)
returns bookingdb.holds
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_hold bookingdb.holds;
begin
    perform bookingdb.authorise_anyone();
    if p_hold_id is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_hold_id'));
    end if;
    select h.*
    into v_hold
    from bookingdb.holds as h
    where h.id = p_hold_id;
    if not found then
        perform bookingdb.raise_error('hold_not_found', jsonb_build_object('hold_id', p_hold_id));
    end if;
    perform bookingdb.authorise(v_hold.user_id);

    perform bookingdb.lock_people(array[v_hold.therapist_id, v_hold.user_id]);
    -- As it is under the locks.
    select h.*
    into v_hold
    from bookingdb.holds as h
    where h.id = p_hold_id;
    return v_hold;
end;
$function$;

comment on function bookingdb.open_hold(uuid) is
'A hold, with the locks of its people, for the client whose it is and trusted callers. Raises not_authenticated, invalid_parameter, hold_not_found, not_allowed, invalid_user_id (never), busy.';

create or replace function bookingdb.opening_times(p_therapist_ids uuid[], p_from timestamptz, p_to timestamptz)
returns setof bookingdb.opening_time
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
begin
    -- Where nobody has hours and nobody needs any, nothing has to be worked out. (By the index, however few there are.)
    if not exists (
        select from unnest(p_therapist_ids) as i (id)
        cross join lateral (select from bookingdb.weekly_hours as w where w.therapist_id = i.id limit 1) as w
    ) and not exists (
        select from unnest(p_therapist_ids) as i (id)
        cross join lateral (select from bookingdb.date_overrides as v where v.therapist_id = i.id limit 1) as v
    ) and not exists (select from bookingdb.policies_of(p_therapist_ids) as p where p.require_hours) then
        return query
        select i.id, tstzmultirange '{(,)}'
        from unnest(p_therapist_ids) as i (id);
        return;
    end if;

    return query
    select
        t.therapist_id,
        case
            when h.has_hours or cardinality(e.dates) > 0 then coalesce(o.periods, '{}')
            else '{(,)}'
        end
    from bookingdb.policies_of(p_therapist_ids) as t
    -- From the day before: its windows may reach across midnight.
    cross join lateral (
        select
            (p_from at time zone t.time_zone)::date - 1 as first_date,
            (p_to at time zone t.time_zone)::date as last_date
    ) as d
    left join lateral (
        select true as has_hours
        from bookingdb.weekly_hours as w
        where w.therapist_id = t.therapist_id
        limit 1
    ) as x on not t.require_hours
    cross join lateral (
        select
            t.require_hours or coalesce(x.has_hours, false) as has_hours,
            bookingdb.steady_offset(d.first_date, d.last_date, t.time_zone) as utc_offset
        -- Worked out once, and not wherever it is named.
        offset 0
    ) as h
    cross join lateral (
        select array(
            select v.override_date
            from bookingdb.date_overrides as v
            where v.therapist_id = t.therapist_id and v.override_date between d.first_date and d.last_date
        ) as dates
    ) as e
    left join lateral (
        select range_agg(tstzrange(p.starts_at, p.ends_at)) as periods
        from (
            -- The week, on dates that have no override.
            select f.first_date + 7 * n.number as local_date, w.start_time, w.end_time
            from bookingdb.weekly_hours as w
            cross join lateral (
                select greatest(d.first_date, w.valid_from) as valid_from, least(d.last_date, w.valid_to) as valid_to
            ) as v
            -- The first of its weekdays from there on.
            cross join lateral (
                select v.valid_from + (w.weekday - extract(isodow from v.valid_from)::integer + 7) % 7 as first_date
            ) as f
            cross join lateral generate_series(0, (v.valid_to - f.first_date) / 7) as n (number)
            where w.therapist_id = t.therapist_id
                and f.first_date <= v.valid_to
                and f.first_date + 7 * n.number <> all (e.dates)
            union all
            -- The override, on dates that have one; without windows the date is closed.
            select v.override_date, v.start_time, v.end_time
            from bookingdb.date_overrides as v
            where v.therapist_id = t.therapist_id
                and v.override_date between d.first_date and d.last_date
                and v.start_time is not null
            union all
            -- Who has no week and need have none is there all day, on dates that have no override.
            select d.first_date + n.number, time '00:00', time '00:00'
            from generate_series(0, d.last_date - d.first_date) as n (number)
            where not h.has_hours
                and cardinality(e.dates) > 0
                and d.first_date + n.number <> all (e.dates)
        ) as w
        cross join lateral (
            select
                w.local_date + w.start_time as starts_at,
                w.local_date + w.end_time
                + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end as ends_at,
                coalesce(
                    h.utc_offset, bookingdb.steady_offset(w.local_date, w.local_date, t.time_zone)
                ) as utc_offset
            offset 0
        ) as l
        cross join lateral (
            select
                coalesce(
                    (l.starts_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.starts_at, t.time_zone)
                ) as starts_at,
                coalesce(
                    (l.ends_at - l.utc_offset) at time zone interval '0',
                    bookingdb.wall_clock_instant(l.ends_at, t.time_zone)
                ) as ends_at
            offset 0
        ) as p
        -- A window inside of an hour that the clocks jump over is none.
        where p.starts_at < p.ends_at
    ) as o on h.has_hours or cardinality(e.dates) > 0;
end;
$function$;

comment on function bookingdb.opening_times(uuid[], timestamptz, timestamptz) is
'When each of these therapists is there between two instants (and a little beyond): weekly hours, or what overrides them on a date; without weekly hours at any time, unless the policy requires them. Windows are in the therapist''s local time: an end at or before the start is on the next day, a time that occurs twice means the first, one that the clocks jump over means the jump.';

create or replace function bookingdb.part_in_session(p_session public.sessions)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor_id uuid;
begin
    if bookingdb.caller_is_trusted() then
        return 'trusted';
    end if;
    v_actor_id := bookingdb.actor_id();
    if v_actor_id is null then
        perform bookingdb.raise_error('not_authenticated');
    end if;
    if v_actor_id = p_session.user_id then
        return 'client';
    end if;
    if v_actor_id = p_session.therapist_id then
        return 'therapist';
    end if;
    perform bookingdb.raise_error('not_allowed', jsonb_build_object('session_id', p_session.id));
end;
$function$;

comment on function bookingdb.part_in_session(public.sessions) is
'As what the caller takes part in a session: trusted, client or therapist. Raises not_authenticated, not_allowed.';

create or replace function bookingdb.people_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
    v_all_stay boolean := false;
begin
    if tg_op = 'DELETE' then
        v_people := array(select o.id from old_rows as o);
    else
        v_all_stay := not exists (
            select from old_rows as o
            where not exists (select from new_rows as n where n.id = o.id)
        );
        v_people := array(
            select o.id
            from old_rows as o
            left join new_rows as n on n.id = o.id
            where n.id is null
                or (n.user_type, n.is_active, n.is_verified) is distinct from (o.user_type, o.is_active, o.is_verified)
        );
    end if;

    if cardinality(v_people) > 0 then
        -- A deletion does not wait, nor does a change of the id: a booking that holds the person's lock goes on to look
        -- at the row (by its foreign key) that is locked here already, so the two would wait for each other.
        perform bookingdb.lock_people(v_people, p_wait => v_all_stay);
    end if;
    return null;
end;
$function$;

comment on function bookingdb.people_changed() is
'Trigger of the adapter standalone: a change of who can be booked or book waits for the bookings in flight, and they for it; a deletion is refused while there are any. Raises busy.';

create or replace function bookingdb.period_context(p_therapist_id uuid, p_period tstzrange)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return jsonb_build_object(
        'therapist_id', p_therapist_id,
        'start_time', bookingdb.utc(lower(p_period)),
        'end_time', bookingdb.utc(upper(p_period))
    );
end;
$function$;

comment on function bookingdb.period_context(uuid, tstzrange) is
'What DETAIL says of a time with a therapist that is taken.';

create or replace function bookingdb.person_key(p_person_id uuid)
returns bigint
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The seed keeps our keys apart from those of applications that hash ids into advisory locks too.
    return uuid_hash_extended(p_person_id, 7238106512347102);
end;
$function$;

comment on function bookingdb.person_key(uuid) is
'The key of a person''s advisory lock: one for each person, whether therapist or client.';

create or replace function bookingdb.policies_of(p_therapist_ids uuid[])
returns setof bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $function$
begin
    return query
    select
        i.id,
        coalesce(o.time_zone, d.time_zone),
        coalesce(o.minimum_duration_minutes, d.minimum_duration_minutes),
        coalesce(o.maximum_duration_minutes, d.maximum_duration_minutes),
        coalesce(o.cancellation_window, d.cancellation_window),
        coalesce(o.refund_grace, d.refund_grace),
        coalesce(o.hold_lifetime, d.hold_lifetime),
        coalesce(o.buffer_before_minutes, d.buffer_before_minutes),
        coalesce(o.buffer_after_minutes, d.buffer_after_minutes),
        coalesce(o.minimum_notice, d.minimum_notice),
        coalesce(o.maximum_advance, d.maximum_advance),
        coalesce(o.slot_step_minutes, d.slot_step_minutes),
        coalesce(o.slot_offset_minutes, d.slot_offset_minutes),
        coalesce(o.maximum_sessions_per_day, d.maximum_sessions_per_day),
        coalesce(o.maximum_sessions_per_week, d.maximum_sessions_per_week),
        coalesce(o.require_hours, d.require_hours)
    from unnest(p_therapist_ids) as i (id)
    inner join bookingdb.policies as d on d.therapist_id is null
    left join lateral (
        -- By its index, for few therapists as for many.
        select p.*
        from bookingdb.policies as p
        where p.therapist_id = i.id
        limit 1
    ) as o on true;
end;
$function$;

comment on function bookingdb.policies_of(uuid[]) is
'What holds for each of these therapists: the settings of its own, and the default''s where it has none. Null asks for the default.';

create or replace function bookingdb.policy_of(p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy bookingdb.effective_policy;
begin
    select p.*
    into v_policy
    from bookingdb.policies_of(array[p_therapist_id]) as p;
    return v_policy;
end;
$function$;

comment on function bookingdb.policy_of(uuid) is
'What holds for a therapist (policies_of). Null asks for the default.';

create or replace function bookingdb.raise_error(p_code text, p_context jsonb default '{}')
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_sqlstate text;
    v_message text;
    v_hint text;
begin
    -- The table of errors. Messages are fixed: they become HTTP reason phrases, and applications match parts of them.
    select e.sqlstate, e.message, e.hint
    into v_sqlstate, v_message, v_hint
    from (
        values
        ('not_authenticated', 'PT401', 'Not authenticated',
            'Log in, or call as a trusted role: the owner, service_role or a member of bookingdb_service.'),
        ('not_allowed', 'PT403', 'Not allowed to act for this user',
            'A logged-in user acts for itself only; everything else is for trusted roles.'),
        ('invalid_therapist_id', 'PT400', 'Invalid therapist ID format', 'Give the therapist''s id, a UUID.'),
        ('invalid_user_id', 'PT400', 'Invalid user ID format', 'Give the user''s id, a UUID.'),
        ('invalid_session_id', 'PT400', 'Invalid session ID format', 'Give the session''s id, a UUID.'),
        ('invalid_date', 'PT400', 'Invalid date format', 'Give a date as YYYY-MM-DD, between 1900 and 2999.'),
        ('invalid_time', 'PT400', 'Invalid time format', 'Give a time as HH:MM, from 00:00 to 23:59, without seconds.'),
        ('skipped_time', 'PT400', 'Invalid time: skipped by a clock change',
            'On this day the clocks jump over this time: choose an earlier or a later one.'),
        ('invalid_time_zone', 'PT400', 'Invalid time zone', 'Give an IANA name such as Europe/Berlin.'),
        ('invalid_duration', 'PT400', 'Duration must be 15-180 minutes', 'Give whole minutes from 15 to 180.'),
        ('invalid_parameter', 'PT400', 'Invalid parameter', 'DETAIL names the parameter and what it may be.'),
        ('in_past', 'PT400', 'Cannot book in the past', 'Choose a start that is still to come.'),
        ('too_soon', 'PT400', 'Too close to the start to book', 'Choose a later start.'),
        ('too_far', 'PT400', 'Too far ahead to book', 'Choose an earlier start.'),
        ('therapist_not_found', 'PT404', 'Therapist not found', 'Nobody with this id can be booked at present.'),
        ('user_not_found', 'PT404', 'User not found', 'No active client has this id.'),
        ('session_not_found', 'PT404', 'Session not found', 'No session has this id.'),
        ('hold_not_found', 'PT404', 'Hold not found', 'No hold has this id.'),
        ('time_off_not_found', 'PT404', 'Time off not found', 'No time off has this id.'),
        ('lot_not_found', 'PT404', 'Credit grant not found', 'No grant of credits has this id or payment reference.'),
        ('insufficient_credits', 'PT402', 'Insufficient credits: purchase credits first',
            'Purchase credits, then book again.'),
        ('booking_conflict', 'PT409', 'Booking conflict: time slot unavailable', 'Choose another time.'),
        ('client_conflict', 'PT409', 'Booking conflict: you already have a session at this time',
            'Choose another time, or cancel the other session first.'),
        ('outside_availability', 'PT409', 'Booking conflict: outside available hours', 'Choose another time.'),
        ('invalid_transition', 'PT409', 'Session status does not allow this', 'Look at the session''s status first.'),
        ('hold_expired', 'PT410', 'Hold expired', 'Hold the slot again.'),
        ('idempotency_key_reused', 'PT422', 'Idempotency key was used with other parameters',
            'Use a new key for a new request, and the same parameters for a retry.'),
        ('busy', 'PT503', 'Booking is busy, try again', 'Try again in a moment.')
    ) as e (code, sqlstate, message, hint)
    where e.code = p_code;

    raise exception using
        errcode = v_sqlstate,
        message = v_message,
        detail = (jsonb_build_object('code', p_code) || p_context)::text,
        hint = v_hint;
end;
$function$;

comment on function bookingdb.raise_error(text, jsonb) is
'The only place where errors are made: raises the error with this code, DETAIL being {"code": ...} and the context. Source: docs/errors.md.';

create or replace function bookingdb.record_balance_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot_id constant uuid := coalesce(new.id, old.id);
    v_posted integer;
    v_posted_user_id uuid;
    v_balance integer;
    v_user_id uuid;
begin
    if new.id <> old.id then
        raise exception using
            errcode = 'integrity_constraint_violation', message = 'The id of a lot of credits cannot be changed';
    end if;

    select l.balance_after, l.user_id
    into v_posted, v_posted_user_id
    from bookingdb.ledger as l
    where l.lot_id = v_lot_id
    order by l.id desc
    limit 1;

    -- A function of ours wrote the ledger first: nothing is left to do.
    if v_posted = new.credits_balance and v_posted_user_id = new.user_id then
        return null;
    end if;

    -- Somebody wrote the row directly. What counts is the row as it stands: an application's own triggers may have
    -- changed it once more since.
    select c.credits_balance, c.user_id
    into v_balance, v_user_id
    from public.user_credits as c
    where c.id = v_lot_id;

    v_posted := coalesce(v_posted, 0);
    v_balance := coalesce(v_balance, 0);

    if v_posted <> 0 and v_posted_user_id <> v_user_id then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (v_posted_user_id, v_lot_id, 'direct', -v_posted, 0, bookingdb.actor());
        v_posted := 0;
    end if;
    if v_balance <> v_posted then
        insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
        values (
            coalesce(v_user_id, v_posted_user_id), v_lot_id, 'direct', v_balance - v_posted, v_balance,
            bookingdb.actor()
        );
    end if;
    return null;
end;
$function$;

comment on function bookingdb.record_balance_change() is
'Trigger on public.user_credits, once a row: a balance that was written directly gets its ledger entry, of kind direct.';

create or replace function bookingdb.record_session_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_actor constant text := bookingdb.actor();
    v_action text;
    v_changes jsonb := jsonb '{}';
begin
    -- What our functions took is in the ledger before they write the session; nobody else can say what was paid.
    if tg_op <> 'DELETE' and new.credits_charged <> coalesce(old.credits_charged, 0) and new.credits_charged <> (
        select count(*) from bookingdb.ledger as l where l.session_id = new.id and l.kind = 'debit'
    ) then
        raise exception using
            errcode = 'integrity_constraint_violation',
            message = 'credits_charged is written by the booking functions alone';
    end if;

    if tg_op = 'INSERT' then
        v_action := 'created';
        if new.hours_overridden then
            v_changes := jsonb '{"hours_overridden": {"new": true}}';
        end if;
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
        values (new.id, new.user_id, v_action, null, new.status, v_changes, v_actor);
    elsif tg_op = 'DELETE' then
        v_action := 'deleted';
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, actor)
        values (old.id, old.user_id, v_action, old.status, null, v_actor);
    else
        -- Ledger, calendar and audit log know a session by its id.
        if new.id <> old.id then
            raise exception using
                errcode = 'integrity_constraint_violation', message = 'The id of a session cannot be changed';
        end if;

        v_changes := bookingdb.session_changes(old, new);
        if v_changes = '{}' then
            return null;
        end if;
        v_action := case when new.status <> old.status then 'status_changed' else 'updated' end;
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
        values (new.id, new.user_id, v_action, old.status, new.status, v_changes, v_actor);
    end if;

    insert into bookingdb.outbox (event, subject_id, payload)
    values (
        'session.' || v_action,
        coalesce(new.id, old.id),
        jsonb_build_object(
            'session_id', coalesce(new.id, old.id),
            'user_id', coalesce(new.user_id, old.user_id),
            'therapist_id', coalesce(new.therapist_id, old.therapist_id),
            'start_time', bookingdb.utc(coalesce(new.start_time, old.start_time)),
            'end_time', bookingdb.utc(coalesce(new.end_time, old.end_time)),
            'old_status', old.status,
            'new_status', new.status
        )
    );
    return null;
end;
$function$;

comment on function bookingdb.record_session_change() is
'Trigger on public.sessions, once a row: the audit row (nobody else writes one) and the event of the outbox.';

create or replace function bookingdb.refresh_time_zones()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.time_zones (name)
    select z.name
    from pg_catalog.pg_timezone_names as z
    where z.name !~ '^(posix|right)/'
        and z.name not in ('localtime', 'posixrules', 'Factory')
        -- Where a name is an abbreviation too (CET, EST), Postgres means that: an offset without clock changes, which
        -- even depends on the connection's settings. UTC and its like are the same either way.
        and not exists (
            select from pg_catalog.pg_timezone_abbrevs as a
            where a.abbrev = upper(z.name) and a.abbrev not in ('GMT', 'UCT', 'UTC', 'ZULU')
        )
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.refresh_time_zones() is
'Fills bookingdb.time_zones with the zone names this server knows. Every installation ends with it; call it after the server''s time zone data was updated.';

create or replace function bookingdb.refusal_context(
    p_rule text,
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- For a year from there: a horizon of ten would be searched while others wait for the locks.
    p_policy.maximum_advance := least(
        p_policy.maximum_advance, lower(p_period) - clock_timestamp() + interval '8784 hours'
    );
    return bookingdb.period_context(p_policy.therapist_id, p_period) || jsonb_build_object(
        'rule', p_rule,
        'next_free', bookingdb.utc(bookingdb.next_start(
            p_policy, upper(p_period) - lower(p_period), lower(p_period), null, p_except_id, p_with_hours
        ))
    );
end;
$function$;

comment on function bookingdb.refusal_context(
    text, bookingdb.effective_policy, tstzrange, uuid, boolean
) is
'What DETAIL says of a time that is not to be had: the rule that refused it, the time, and the next free start within a year from there (null: none).';

create or replace function bookingdb.refuse_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- is_superuser speaks of the calling role; current_user is the owner of this function.
    if tg_op <> 'TRUNCATE' then
        -- Only what was written since the person was listed: listing a real client opens nothing.
        if tg_op = 'DELETE' and exists (
            select from bookingdb.selftest_people as p
            where p.id = old.user_id and p.created_at <= old.created_at
        ) then
            return old;
        end if;
        if current_setting('is_superuser')::boolean then
            insert into bookingdb.rewritten_records (table_name, operation, old_row, new_row, rewritten_by)
            values (
                format('%I.%I', tg_table_schema, tg_table_name), tg_op, to_jsonb(old), to_jsonb(new),
                bookingdb.effective_role()
            );
            return case tg_op when 'DELETE' then old else new end;
        end if;
    end if;

    raise exception using
        errcode = 'insufficient_privilege',
        message = format('%s of %I.%I is refused', tg_op, tg_table_schema, tg_table_name),
        hint = case tg_op
            when 'TRUNCATE' then 'TRUNCATE fires no row trigger and would break the invariants: DELETE instead.'
            else 'The table is append-only: write a new entry that corrects the old one.'
        end;
end;
$function$;

comment on function bookingdb.refuse_change() is
'Trigger that keeps ledger and audit log append-only for everybody but a superuser, of whom it keeps what was rewritten (rewritten_records), and refuses TRUNCATE to everybody. Raises 42501.';

create or replace function bookingdb.register_client(p_email text, p_full_name text, p_user_id uuid)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_trusted constant boolean := bookingdb.caller_is_trusted();
    v_user_id uuid := p_user_id;
begin
    if not v_trusted then
        -- Somebody who logged in registers itself, under the address that its token proves, and may not lift its own
        -- deactivation.
        v_user_id := coalesce(p_user_id, bookingdb.actor_id());
        perform bookingdb.authorise(v_user_id);
        if lower(btrim(p_email)) is distinct from lower(bookingdb.actor_email()) then
            perform bookingdb.raise_error('not_allowed', jsonb_build_object('parameter', 'p_email'));
        end if;
    end if;

    return bookingdb.register_person(p_email, p_full_name, v_user_id, 'user', v_trusted);
end;
$function$;

comment on function bookingdb.register_client(text, text, uuid) is
'Registers a client, active and verified, and returns its id; the same person again returns the same id. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_parameter, busy.';

create or replace function bookingdb.register_person(
    p_email text,
    p_full_name text,
    p_user_id uuid,
    p_user_type text,
    p_may_change boolean
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_email constant text := btrim(p_email);
    v_person public.users;
    v_lock_timeout text;
begin
    if v_email is null or char_length(v_email) > 320 or v_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_email'));
    end if;
    perform bookingdb.require_length('p_full_name', p_full_name, 0, 255);

    -- Waits for nobody's booking, only for somebody who registers the same person at this moment.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        insert into public.users as u (id, email, full_name, user_type, is_active, is_verified)
        values (coalesce(p_user_id, gen_random_uuid()), v_email, p_full_name, p_user_type, true, true)
        on conflict do nothing
        returning u.id into v_person.id;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if v_person.id is not null then
        return v_person.id;
    end if;

    -- Somebody has this id or this e-mail address already. The id, where one is given, says who is meant.
    select u.*
    into v_person
    from public.users as u
    where u.id = p_user_id or lower(u.email) = lower(v_email)
    order by u.id = p_user_id desc
    limit 1;
    if v_person.id is null then
        -- Deleted since.
        perform bookingdb.raise_error('busy');
    end if;
    if v_person.id <> p_user_id or (v_person.user_type = 'therapist') <> (p_user_type = 'therapist') then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', case when v_person.id = p_user_id then 'p_user_id' else 'p_email' end
        ));
    end if;

    if v_person.is_active and v_person.is_verified and lower(v_person.email) = lower(v_email)
        and v_person.full_name is not distinct from coalesce(p_full_name, v_person.full_name) then
        return v_person.id;
    end if;
    if not p_may_change then
        perform bookingdb.raise_error('not_allowed', jsonb_build_object('user_id', v_person.id));
    end if;

    -- The row before the person's lock, which its trigger takes: in the order of everybody who updates it directly.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set email = v_email,
            full_name = coalesce(p_full_name, u.full_name),
            is_active = true,
            is_verified = true,
            updated_at = now()
        where u.id = v_person.id;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when unique_violation then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_email'));
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    return v_person.id;
end;
$function$;

comment on function bookingdb.register_person(text, text, uuid, text, boolean) is
'Finds or makes the active, verified person with this e-mail address (and this id, where one is given). With p_may_change a person that exists is renamed and reactivated, without it refused. Raises invalid_parameter (p_email; also when the address or the id belongs to somebody else), not_allowed, busy.';

create or replace function bookingdb.register_therapist(
    p_email text,
    p_full_name text,
    p_user_id uuid,
    p_time_zone text
)
returns uuid
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_therapist_id uuid;
begin
    perform bookingdb.authorise_trusted();
    perform bookingdb.resolve_time_zone(p_time_zone, null);

    v_therapist_id := bookingdb.register_person(p_email, p_full_name, p_user_id, 'therapist', true);

    if p_time_zone is not null then
        begin
            insert into bookingdb.policies as p (therapist_id, time_zone)
            values (v_therapist_id, p_time_zone)
            on conflict on constraint policies_therapist_id_key
            do update set time_zone = excluded.time_zone
            where p.time_zone is distinct from excluded.time_zone;
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    end if;
    return v_therapist_id;
end;
$function$;

comment on function bookingdb.register_therapist(text, text, uuid, text) is
'Registers a therapist, active and verified, with the zone its local times are meant in, and returns its id; the same person again returns the same id. Trusted callers only: a therapist is somebody whom the practice verified. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_time_zone, invalid_parameter, busy.';

create or replace function bookingdb.release_hold(p_hold_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_hold bookingdb.holds;
begin
    v_hold := bookingdb.open_hold(p_hold_id);
    if exists (select from public.sessions as s where s.id = p_hold_id) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object('session_id', p_hold_id));
    end if;

    delete from bookingdb.calendar as c
    where c.id = p_hold_id and c.kind = 'hold';
    update bookingdb.holds as h
    set released_at = clock_timestamp()
    where h.id = p_hold_id and h.released_at is null and h.expires_at > clock_timestamp();
    if found then
        perform bookingdb.tell_of_hold('hold.released', p_hold_id);
    end if;
end;
$function$;

comment on function bookingdb.release_hold(uuid) is
'Gives a hold up; one that was given up before, or has expired, stays so. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, hold_not_found, not_allowed, invalid_user_id (never), busy, invalid_transition (it became a session: cancel that).';

create or replace function bookingdb.remember_answer(
    p_function_name text,
    p_user_id uuid,
    p_key text,
    p_request_hash bytea,
    p_result_id uuid,
    p_credits_balance integer
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_key is null then
        return;
    end if;
    insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id, credits_balance)
    values (p_function_name, p_user_id, p_key, p_request_hash, p_result_id, p_credits_balance)
    -- Under the lock nobody else's is there, but REPEATABLE READ may hide one: Postgres then raises its own 40001.
    on conflict do nothing;
end;
$function$;

comment on function bookingdb.remember_answer(text, uuid, text, bytea, uuid, integer) is
'Keeps what was answered to an idempotency key (none: nothing), for find_answer().';

create or replace function bookingdb.remove_selftest_people()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
    v_sessions uuid[];
begin
    -- A selftest that is still running holds the rows of its people FOR NO KEY UPDATE: they are left alone.
    v_people := array(
        select p.id from bookingdb.selftest_people as p order by p.id for no key update skip locked
    );
    if v_people = '{}' then
        return 0;
    end if;

    -- Whoever writes for these people holds their rows FOR KEY SHARE. Of a selftest that was killed, a last COMMIT may
    -- be on its way: this waits for it, and what follows sees what it wrote.
    perform from bookingdb.selftest_people as p where p.id = any (v_people) order by p.id for update;
    perform bookingdb.lock_people(v_people);

    -- The guards of the append-only tables let exactly these people's rows go. They themselves go last, so that every
    -- trigger on the way still finds them listed.
    v_sessions := array(
        select s.id from public.sessions as s where s.user_id = any (v_people)
        union
        select l.session_id from bookingdb.ledger as l where l.user_id = any (v_people)
    );
    delete from public.sessions as s where s.id = any (v_sessions);
    delete from bookingdb.calendar as c where c.client_id = any (v_people);
    delete from public.user_credits as c where c.user_id = any (v_people);
    delete from bookingdb.ledger as l where l.user_id = any (v_people);
    delete from public.booking_audit_log as a where a.session_id = any (v_sessions);
    delete from bookingdb.idempotency_keys as k where k.user_id = any (v_people);
    delete from bookingdb.outbox as o
    where o.payload ->> 'user_id' = any (v_people::text[])
        and o.created_at >= (select min(p.created_at) from bookingdb.selftest_people as p where p.id = any (v_people));

    -- A therapist left over from a selftest that was killed may have been booked by somebody real: that session stays,
    -- and its therapist with it, closed for booking.
    update public.users as u
    set is_active = false
    where u.id = any (v_people)
        and exists (select from public.sessions as s where s.therapist_id = u.id);
    delete from bookingdb.policies as p
    where p.therapist_id = any (v_people)
        and not exists (select from public.sessions as s where s.therapist_id = p.therapist_id);
    delete from public.users as u
    where u.id = any (v_people)
        and not exists (select from public.sessions as s where s.therapist_id = u.id);
    delete from bookingdb.selftest_people as p where p.id = any (v_people);
    return cardinality(v_people);
end;
$function$;

comment on function bookingdb.remove_selftest_people() is
'Removes the people in bookingdb.selftest_people, but those of a selftest that is still running, with everything that was written for them; returns how many there were. Raises busy.';

create or replace function bookingdb.remove_time_off(p_time_off_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_therapist_id uuid;
begin
    perform bookingdb.authorise_anyone();
    if p_time_off_id is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_time_off_id'));
    end if;
    select c.therapist_id
    into v_therapist_id
    from bookingdb.calendar as c
    where c.id = p_time_off_id and c.kind = 'time_off';
    if v_therapist_id is null then
        perform bookingdb.raise_error('time_off_not_found', jsonb_build_object('time_off_id', p_time_off_id));
    end if;
    perform bookingdb.authorise_therapist(v_therapist_id);

    perform bookingdb.lock_people(array[v_therapist_id]);
    delete from bookingdb.calendar as c
    where c.id = p_time_off_id and c.kind = 'time_off';
    if not found then
        perform bookingdb.raise_error('time_off_not_found', jsonb_build_object('time_off_id', p_time_off_id));
    end if;
    perform bookingdb.tell_of_availability(v_therapist_id);
end;
$function$;

comment on function bookingdb.remove_time_off(uuid) is
'Takes time off back. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, time_off_not_found, not_allowed, invalid_therapist_id (never), therapist_not_found, busy.';

create or replace function bookingdb.request_hash(p_parameters jsonb)
returns bytea
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return sha256(convert_to(p_parameters::text, 'UTF8'));
end;
$function$;

comment on function bookingdb.request_hash(jsonb) is
'The fingerprint of a request''s raw parameters, by which a retry is told from another request with the same idempotency key. Instants must be given as text in UTC: jsonb would render them in the connection''s TimeZone.';

create or replace function bookingdb.require_booking_texts(
    p_session_type text,
    p_notes text,
    p_title text,
    p_idempotency_key text
)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.require_length('p_session_type', coalesce(p_session_type, ''), 1, 50);
    perform bookingdb.require_length('p_title', coalesce(p_title, ''), 1, 255);
    perform bookingdb.require_length('p_notes', p_notes, 0, 10000);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
end;
$function$;

comment on function bookingdb.require_booking_texts(text, text, text, text) is
'Refuses texts of a booking that are missing or too long. Raises invalid_parameter.';

create or replace function bookingdb.require_credit_account(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not exists (select from bookingdb.clients as c where c.id = p_user_id)
        and not exists (select from public.user_credits as u where u.user_id = p_user_id)
        and not exists (select from bookingdb.ledger as l where l.user_id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
end;
$function$;

comment on function bookingdb.require_credit_account(uuid) is
'Refuses users of whom nothing is known; one that is no longer active keeps its credits and its history. Raises user_not_found.';

create or replace function bookingdb.require_duration(p_minutes integer, p_policy bookingdb.effective_policy)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_minutes is null
        or p_minutes not between p_policy.minimum_duration_minutes and p_policy.maximum_duration_minutes then
        perform bookingdb.raise_error('invalid_duration', jsonb_build_object(
            'minimum', p_policy.minimum_duration_minutes, 'maximum', p_policy.maximum_duration_minutes
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_duration(integer, bookingdb.effective_policy) is
'Refuses minutes outside of what the therapist''s policy allows (never less than 15 or more than 180). Raises invalid_duration.';

create or replace function bookingdb.require_free_time(
    p_policy bookingdb.effective_policy,
    p_period tstzrange,
    p_except_id uuid,
    p_with_hours boolean
)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_span constant tstzrange := bookingdb.bookable_span(p_policy);
    v_start constant tstzrange := tstzrange(lower(p_period), lower(p_period), '[]');
    v_open tstzmultirange;
    v_rule text;
begin
    perform bookingdb.require_to_come(lower(p_period));
    if lower(p_period) < lower(v_span) then
        perform bookingdb.raise_error('too_soon', bookingdb.refusal_context(
            'minimum_notice', p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;
    if lower(p_period) > upper(v_span) then
        perform bookingdb.raise_error('too_far', bookingdb.refusal_context(
            'maximum_advance', p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;
    if bookingdb.is_free(p_policy, p_period, p_except_id, p_with_hours, true) then
        return;
    end if;

    -- Refused; what follows only finds out by which rule.
    if p_with_hours then
        select o.open
        into v_open
        from bookingdb.opening_times(array[p_policy.therapist_id], lower(p_period), upper(p_period)) as o;
    end if;
    if not v_open @> p_period then
        v_rule := case
            when exists (
                select from bookingdb.date_overrides as d
                where d.therapist_id = p_policy.therapist_id
                    and d.override_date = (lower(p_period) at time zone p_policy.time_zone)::date
            ) then 'date_override'
            when exists (
                select from bookingdb.weekly_hours as w where w.therapist_id = p_policy.therapist_id
            ) then 'weekly_hours'
            when p_policy.require_hours then 'require_hours'
            -- A session that reaches into a date which is closed.
            else 'date_override'
        end;
        perform bookingdb.raise_error('outside_availability', bookingdb.refusal_context(
            v_rule, p_policy, p_period, p_except_id, p_with_hours
        ));
    end if;

    -- What it meets, else what it comes too close to, else what is full.
    select case when b.period && p_period then b.kind else 'buffer' end
    into v_rule
    from bookingdb.busy_times(p_policy, v_start, upper(p_period) - lower(p_period), p_except_id) as b
    where b.starts @> lower(p_period)
    order by (b.period && p_period) desc, lower(b.period)
    limit 1;
    if v_rule is null then
        select f.rule
        into v_rule
        from bookingdb.full_times(p_policy, v_start, p_except_id) as f
        where f.period @> lower(p_period)
        order by f.rule
        limit 1;
    end if;
    perform bookingdb.raise_error('booking_conflict', bookingdb.refusal_context(
        -- What was there a moment ago and is gone is a hold that ran out.
        coalesce(v_rule, 'hold'), p_policy, p_period, p_except_id, p_with_hours
    ));
end;
$function$;

comment on function bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean) is
'Refuses a period that cannot be booked with the therapist of a policy, whose lock the caller holds; not counting the session p_except_id, and without regard to hours where p_with_hours is false. DETAIL has the rule: minimum_notice, maximum_advance, weekly_hours, date_override, require_hours, session, hold, time_off, external, buffer, maximum_sessions_per_day, maximum_sessions_per_week. Raises in_past, too_soon, too_far, outside_availability, booking_conflict.';

create or replace function bookingdb.require_instant(p_parameter text, p_instant timestamptz)
returns void
language plpgsql
immutable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_instant is null
        or p_instant < timestamptz '1900-01-01 00:00:00+00' or p_instant >= timestamptz '3000-01-01 00:00:00+00' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'minimum', '1900-01-01T00:00:00Z', 'maximum', '2999-12-31T23:59:59Z'
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_instant(text, timestamptz) is
'Refuses instants with which no sums can be done: null, before the year 1900, from the year 3000 on. Raises invalid_parameter.';

create or replace function bookingdb.require_length(
    p_parameter text,
    p_value text,
    p_minimum integer,
    p_maximum integer
)
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if char_length(p_value) not between p_minimum and p_maximum then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', p_parameter, 'minimum_length', p_minimum, 'maximum_length', p_maximum
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_length(text, text, integer, integer) is
'Refuses a text (null passes) with fewer or more characters than given. Raises invalid_parameter.';

create or replace function bookingdb.require_people(p_therapist_id uuid, p_user_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.require_therapist(p_therapist_id);
    if not exists (select from bookingdb.clients as c where c.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;
end;
$function$;

comment on function bookingdb.require_people(uuid, uuid) is
'Refuses therapists that cannot be booked and clients that cannot book. Under their locks the answer stands until the transaction ends. Raises therapist_not_found, user_not_found.';

create or replace function bookingdb.require_therapist(p_therapist_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.require_therapist(uuid) is
'Refuses who is no therapist that can be booked. Under the person''s lock the answer stands until the transaction ends. Raises therapist_not_found.';

create or replace function bookingdb.require_to_come(p_start timestamptz)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The clock is read here: the call may have waited long for its locks.
    if p_start < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.utc(p_start)));
    end if;
end;
$function$;

comment on function bookingdb.require_to_come(timestamptz) is
'Refuses a start that is over. Raises in_past.';

create or replace function bookingdb.require_transition(p_session public.sessions, p_status text)
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The table of transitions. What is not in it is refused; docs/sessions.md draws it.
    if not exists (
        select from (
            values
            ('pending_approval', 'scheduled'),
            ('pending_approval', 'cancelled'),
            ('scheduled', 'confirmed'),
            ('scheduled', 'in_progress'),
            ('scheduled', 'completed'),
            ('scheduled', 'no_show'),
            ('scheduled', 'cancelled'),
            ('confirmed', 'in_progress'),
            ('confirmed', 'completed'),
            ('confirmed', 'no_show'),
            ('confirmed', 'cancelled'),
            ('in_progress', 'completed')
        ) as t (old_status, new_status)
        where t.old_status = p_session.status and t.new_status = p_status
    ) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status
        ));
    end if;

    -- What has not begun has neither taken place nor been missed; a therapist may begin a bit early, but not on another
    -- day.
    if p_session.start_time > (
        case
            when p_status in ('completed', 'no_show') then clock_timestamp()
            when p_status = 'in_progress' then clock_timestamp() + interval '1 hour'
        end
    ) then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', p_session.id, 'status', p_session.status, 'asked', p_status,
            'start_time', bookingdb.utc(p_session.start_time)
        ));
    end if;
end;
$function$;

comment on function bookingdb.require_transition(public.sessions, text) is
'Refuses a change of status that the table of transitions does not have, an end before the start, and a beginning more than an hour before it. Direct UPDATEs are not bound by it. Raises invalid_transition.';

create or replace function bookingdb.reschedule_session(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer,
    p_time_zone text,
    p_idempotency_key text
)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    c_function_name constant text := 'reschedule_session';
    v_request_hash constant bytea := bookingdb.request_hash(jsonb_build_array(
        p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone
    ));
    v_session public.sessions;
    v_part text;
    v_answer bookingdb.idempotency_keys;
    v_policy bookingdb.effective_policy;
    v_now timestamptz;
    v_time_zone text;
    v_minutes integer;
    v_start timestamptz;
    v_period tstzrange;
    v_free_until timestamptz;
    v_balance integer;
begin
    perform bookingdb.authorise_anyone();
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
    if p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;

    v_session := bookingdb.lock_session(p_session_id);
    v_part := bookingdb.part_in_session(v_session);
    -- A time without a zone is meant in the session's own.
    v_time_zone := bookingdb.resolve_time_zone(coalesce(p_time_zone, v_session.time_zone), v_session.therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    -- Who wrote the session directly may have left the duration out, or made it endless.
    v_minutes := coalesce(
        p_duration_minutes, v_session.duration_minutes,
        greatest(0, least(86400, (
            extract(epoch from v_session.end_time) - extract(epoch from v_session.start_time)
        )))::integer / 60
    );

    perform bookingdb.lock_people(array[v_session.therapist_id, v_session.user_id]);

    if p_idempotency_key is not null then
        v_answer := bookingdb.find_answer(
            c_function_name, coalesce(v_session.user_id, v_session.id), p_idempotency_key, v_request_hash
        );
        if v_answer.result_id is not null then
            return bookingdb.changed_session(v_session.id, v_answer.credits_balance);
        end if;
    end if;

    -- What is over, or has begun, stays where it was.
    v_now := clock_timestamp();
    if v_session.status not in ('pending_approval', 'scheduled', 'confirmed') or v_session.start_time <= v_now then
        perform bookingdb.raise_error('invalid_transition', jsonb_build_object(
            'session_id', v_session.id, 'status', v_session.status, 'start_time', bookingdb.utc(v_session.start_time)
        ));
    end if;

    -- All rules of a booking.
    perform bookingdb.require_people(v_session.therapist_id, v_session.user_id);
    v_policy := bookingdb.policy_of(v_session.therapist_id);
    perform bookingdb.require_duration(v_minutes, v_policy);
    v_period := tstzrange(v_start, v_start + make_interval(mins => v_minutes));
    perform bookingdb.require_free_time(v_policy, v_period, v_session.id, true);

    -- The old time is given up in the same transaction that wins the new one, or not at all.
    delete from bookingdb.calendar as c
    where c.id = v_session.id and c.kind = 'session';
    perform bookingdb.occupy_time(
        v_session.id, v_session.therapist_id, v_session.user_id, v_period, bookingdb.blocked_time(v_policy, v_period),
        null
    );

    -- The free window moves along. A client to whom it had closed does not open it again by moving the session.
    v_free_until := coalesce(
        v_session.free_cancellation_until,
        bookingdb.later(v_session.start_time, -v_policy.cancellation_window)
    );
    if v_part <> 'client' or v_now <= v_free_until then
        v_free_until := bookingdb.later(v_start, case
            -- In seconds, and of ten years at most: who wrote the session directly may have given it no start, or a
            -- window without an end.
            when abs(extract(epoch from v_free_until) - extract(epoch from v_session.start_time)) < 315576000
                then v_free_until - v_session.start_time
            else -v_policy.cancellation_window
        end);
    end if;

    update public.sessions as s
    set scheduled_date = p_session_date,
        scheduled_time = p_session_time,
        start_time = v_start,
        end_time = upper(v_period),
        duration_minutes = v_minutes,
        time_zone = v_time_zone,
        free_cancellation_until = v_free_until,
        hours_overridden = false,
        updated_at = now()
    where s.id = v_session.id;
    if not found then
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    v_balance := bookingdb.credits_balance(v_session.user_id);
    perform bookingdb.remember_answer(
        c_function_name, coalesce(v_session.user_id, v_session.id), p_idempotency_key, v_request_hash, v_session.id,
        v_balance
    );
    return bookingdb.changed_session(v_session.id, v_balance);
end;
$function$;

comment on function bookingdb.reschedule_session(uuid, date, time, integer, text, text) is
'Moves a session that has not begun: the same id, the credit carried over, all rules of a booking for the new time. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_duration, invalid_session_id, session_not_found, not_allowed, busy, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, invalid_transition, therapist_not_found, user_not_found, in_past, too_soon, too_far, outside_availability, booking_conflict, client_conflict.';

create or replace function bookingdb.resolve_time_zone(p_time_zone text, p_therapist_id uuid)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_time_zone is null then
        return coalesce(
            (select p.time_zone from bookingdb.policies as p where p.therapist_id = p_therapist_id),
            (select p.time_zone from bookingdb.policies as p where p.therapist_id is null)
        );
    end if;

    if not exists (select from bookingdb.time_zones as z where z.name = p_time_zone) then
        perform bookingdb.raise_error('invalid_time_zone');
    end if;
    return p_time_zone;
end;
$function$;

comment on function bookingdb.resolve_time_zone(text, uuid) is
'The zone in which a local time is meant: the one asked for, else the therapist''s, else the default policy''s; never the connection''s. Raises invalid_time_zone.';

create or replace function bookingdb.return_credit(p_session public.sessions)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now timestamptz;
    v_debit bookingdb.ledger;
    v_lot public.user_credits;
    v_grace_id uuid;
    v_lock_timeout text;
begin
    select l.*
    into v_debit
    from bookingdb.ledger as l
    where l.session_id = p_session.id and l.kind = 'debit';
    if not found or exists (
        select from bookingdb.ledger as l where l.session_id = p_session.id and l.kind = 'refund'
    ) then
        -- Nothing was paid, or it was returned before.
        return false;
    end if;

    begin
        v_lock_timeout := bookingdb.limit_wait();
        select c.*
        into v_lot
        from public.user_credits as c
        where c.id = v_debit.lot_id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- The clock is read here: the lot may have run out while we waited for it.
    v_now := clock_timestamp();
    if v_lot.id is null
        or v_lot.status = 'expired'
        or (v_lot.status = 'active' and (v_lot.expires_at <= v_now or v_lot.credits_balance = 2147483647)) then
        -- The lot is over: the credit comes back in one of its own, which the client has time to spend. (What was
        -- taken back by then is over, too, but there is no grace for it.) So it does when no integer has room for one
        -- credit more, as only a direct writer can make it.
        v_grace_id := gen_random_uuid();
        insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
        values (v_debit.user_id, v_grace_id, p_session.id, 'refund', 1, 1, bookingdb.actor());
        perform bookingdb.tell_of_credits('credits.refunded', v_debit.user_id, v_grace_id, 1, p_session.id);
        begin
            -- Waits for whoever holds the client's own row (the foreign key).
            insert into public.user_credits (
                id, user_id, user_type, credits_balance, expires_at, category, priority, grace_for_lot_id
            )
            values (
                v_grace_id, v_debit.user_id, coalesce(v_lot.user_type, 'user'), 1,
                bookingdb.later(v_now, (bookingdb.policy_of(p_session.therapist_id)).refund_grace),
                coalesce(v_lot.category, 'paid'), coalesce(v_lot.priority, 50), v_debit.lot_id
            );
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    else
        insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
        values (v_lot.user_id, v_lot.id, p_session.id, 'refund', 1, v_lot.credits_balance + 1, bookingdb.actor());
        perform bookingdb.tell_of_credits('credits.refunded', v_lot.user_id, v_lot.id, 1, p_session.id);
        if v_lot.status = 'active' then
            update public.user_credits as c
            set credits_balance = c.credits_balance + 1,
                credits_used = greatest(c.credits_used, 1) - 1,
                updated_at = now()
            where c.id = v_lot.id;
        else
            -- The payment was taken back meanwhile, and what comes back to the lot goes the same way.
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
            values (
                v_lot.user_id, v_lot.id, 'revocation', -1, v_lot.credits_balance, bookingdb.actor(),
                'refund to a lot that is ' || v_lot.status
            );
            perform bookingdb.tell_of_credits('credits.revoked', v_lot.user_id, v_lot.id, -1);
            update public.user_credits as c
            set credits_used = greatest(c.credits_used, 1) - 1,
                updated_at = now()
            where c.id = v_lot.id;
        end if;
    end if;
    if not found then
        -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;
    return true;
end;
$function$;

comment on function bookingdb.return_credit(public.sessions) is
'Returns the credit that a session took, once: to the very lot it came from, or, when that has expired, in a grace lot of its own. Returns whether there was one to return. The caller holds the client''s lock. Raises busy.';

create or replace function bookingdb.revoke_grant(p_lot_id uuid, p_payment_reference text, p_reason text)
returns bookingdb.revoked_grant
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lot public.user_credits;
    v_revoked_id uuid;
    v_lot_ids uuid[];
    v_lock_timeout text;
    v_revoked bookingdb.revoked_grant;
begin
    perform bookingdb.authorise_trusted();

    -- One of the two says which.
    if num_nonnulls(p_lot_id, p_payment_reference) <> 1 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_lot_id'));
    end if;
    perform bookingdb.require_length('p_payment_reference', p_payment_reference, 1, 255);
    perform bookingdb.require_length('p_reason', p_reason, 0, 1000);

    select c.*
    into v_lot
    from public.user_credits as c
    where c.id = p_lot_id or c.payment_reference = p_payment_reference;
    if not found then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', p_lot_id));
    end if;
    v_revoked_id := v_lot.id;

    perform bookingdb.lock_people(array[v_lot.user_id]);
    -- With the lots in which its credits came back after it had expired.
    with recursive family as (
        select c.id
        from public.user_credits as c
        where c.id = v_lot.id
        union
        select g.id
        from public.user_credits as g
        inner join family as f on f.id = g.grace_for_lot_id
        where g.user_id = v_lot.user_id
    )
    select array_agg(f.id)
    into v_lot_ids
    from family as f;
    if v_lot_ids is null then
        perform bookingdb.raise_error('lot_not_found', jsonb_build_object('lot_id', v_lot.id));
    end if;

    begin
        v_lock_timeout := bookingdb.limit_wait();
        for v_lot in
            select c.*
            from public.user_credits as c
            where c.id = any (v_lot_ids)
            order by c.priority, c.expires_at asc nulls last, c.category desc, c.created_at, c.id
            for update
        loop
            if v_lot.credits_balance > 0 then
                insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, reason)
                values (
                    v_lot.user_id, v_lot.id, 'revocation', -v_lot.credits_balance, 0, bookingdb.actor(), p_reason
                );
            end if;
            if v_lot.status <> 'revoked' or v_lot.credits_balance > 0 then
                update public.user_credits as c
                set credits_balance = 0,
                    status = 'revoked',
                    updated_at = now()
                where c.id = v_lot.id;
                if not found then
                    -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
                    raise exception using errcode = 'internal_error', message = 'Booking failed';
                end if;
                perform bookingdb.tell_of_credits('credits.revoked', v_lot.user_id, v_lot.id, -v_lot.credits_balance);
            end if;
        end loop;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    -- What the ledger says, so that a repeated call says the same.
    select
        v_revoked_id,
        -coalesce(sum(l.amount) filter (where l.kind = 'revocation'), 0),
        -coalesce(sum(l.amount) filter (where l.kind in ('debit', 'refund')), 0),
        bookingdb.credits_balance(v_lot.user_id)
    into v_revoked
    from bookingdb.ledger as l
    where l.lot_id = any (v_lot_ids);
    return v_revoked;
end;
$function$;

comment on function bookingdb.revoke_grant(uuid, text, text) is
'Takes back what is left of a lot whose payment was taken back, and of the grace lots for it, and says how many credits that were, and how many had been spent on sessions. Done again, it says the same. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_parameter, lot_not_found, busy.';

create or replace function bookingdb.role_is_trusted(p_role name)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- USAGE, never mere membership: PostgREST's authenticator is a member of everything without inheriting any of it.
    -- Security definer: current_user is the owner of the functions. Superusers have the privileges of every role.
    -- A role that was renamed while a session acts as it is nobody.
    if to_regrole(quote_ident(p_role)) is null then
        return false;
    end if;
    return p_role = 'service_role'
        or pg_has_role(p_role, current_user, 'USAGE')
        or (to_regrole('bookingdb_service') is not null and pg_has_role(p_role, 'bookingdb_service', 'USAGE'));
end;
$function$;

comment on function bookingdb.role_is_trusted(name) is
'Whether a role may act for anyone: service_role, and roles that have the privileges of the owner of these functions (superusers have them) or of bookingdb_service.';

create or replace function bookingdb.session_changes(p_old public.sessions, p_new public.sessions)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
begin
    return (
        select coalesce(
            jsonb_object_agg(
                n.key,
                -- Notes are private: that they changed is all we say.
                case when n.key = 'description' then jsonb '{}'
                    else jsonb_build_object('old', o.value, 'new', n.value) end
            ),
            jsonb '{}'
        )
        from jsonb_each(to_jsonb(p_new)) as n
        inner join jsonb_each(to_jsonb(p_old)) as o on o.key = n.key
        where n.value <> o.value and n.key <> 'updated_at'
    );
end;
$function$;

comment on function bookingdb.session_changes(public.sessions, public.sessions) is
'What an UPDATE changed, for the audit log: {"column": {"old": ..., "new": ...}}, instants in UTC; nothing but the name of description, and nothing of updated_at.';

create or replace function bookingdb.sessions_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- The transition tables name the sessions only: an application's own triggers may have changed them since.
    if tg_op = 'INSERT' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n));
    elsif tg_op = 'UPDATE' then
        perform bookingdb.sync_calendar(array(select n.id from new_rows as n union select o.id from old_rows as o));
    else
        perform bookingdb.sync_calendar(array(select o.id from old_rows as o));
    end if;
    return null;
end;
$function$;

comment on function bookingdb.sessions_changed() is
'Trigger on public.sessions, once a statement: brings the calendar into step with all sessions that the statement wrote. Raises booking_conflict, client_conflict, busy.';

create or replace function bookingdb.sessions_within(p_therapist_id uuid, p_periods tstzrange[])
returns uuid[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return array(
        select s.id
        from (
            -- Each period by the index.
            select distinct c.id, lower(c.period) as start_time
            from unnest(p_periods) as p (period)
            cross join lateral (
                select k.id, k.period
                from bookingdb.calendar as k
                where k.therapist_id = p_therapist_id
                    and k.blocked && p.period
                    and k.kind in ('session', 'hold')
                    and k.kind = 'session'
                offset 0
            ) as c
            where c.period && p.period
        ) as s
        order by s.start_time, s.id
    );
end;
$function$;

comment on function bookingdb.sessions_within(uuid, tstzrange[]) is
'A therapist''s sessions that overlap one of these periods, in order.';

create or replace function bookingdb.set_date_override(p_therapist_id uuid, p_date date, p_hours jsonb)
returns setof bookingdb.date_window
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    if p_date is null or p_date not between date '1900-01-01' and date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_hours is not null and exists (
        select from bookingdb.local_windows('p_hours', p_hours) as w
        where num_nonnulls(w.weekday, w.valid_from, w.valid_to) > 0
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_hours'));
    end if;

    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.date_overrides as o
    where o.therapist_id = p_therapist_id and o.override_date = p_date;
    if p_hours = '[]' then
        insert into bookingdb.date_overrides (therapist_id, override_date)
        values (p_therapist_id, p_date);
    elsif p_hours is not null then
        insert into bookingdb.date_overrides (therapist_id, override_date, start_time, end_time)
        select p_therapist_id, p_date, w.start_time, w.end_time
        from bookingdb.local_windows('p_hours', p_hours) as w;
    end if;
    perform bookingdb.tell_of_availability(p_therapist_id);

    return query
    select o.override_date, o.start_time, o.end_time
    from bookingdb.list_date_overrides(p_therapist_id, p_date, p_date) as o;
end;
$function$;

comment on function bookingdb.set_date_override(uuid, date, jsonb) is
'Puts windows in the place of a therapist''s hours on a date: none (an empty array) closes it, null lets the week hold again. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, therapist_not_found, invalid_date, invalid_parameter, busy.';

create or replace function bookingdb.set_policy(p_settings jsonb, p_therapist_id uuid)
returns bookingdb.effective_policy
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_name text;
    v_value text;
    v_row bookingdb.policies;
    v_kind text;
    v_minimum text;
    v_maximum text;
    v_is_allowed boolean;
    v_lock_timeout text;
begin
    perform bookingdb.authorise_trusted();
    if p_settings is null or jsonb_typeof(p_settings) <> 'object' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_settings'));
    end if;

    -- One change of policies at a time: minimum and maximum are looked at together.
    perform bookingdb.lock_people(array['00000000-0000-0000-0000-000000000000', p_therapist_id]::uuid[]);
    if p_therapist_id is not null then
        perform bookingdb.require_therapist(p_therapist_id);
    end if;
    -- Who registers a therapist writes its zone without these locks.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        if p_therapist_id is not null then
            insert into bookingdb.policies (therapist_id)
            values (p_therapist_id)
            on conflict on constraint policies_therapist_id_key do nothing;
        end if;
        select p.*
        into v_row
        from bookingdb.policies as p
        where p.therapist_id is not distinct from p_therapist_id
        for update;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;

    for v_name, v_value in select s.key, s.value from jsonb_each_text(p_settings) as s loop
        -- null means: as the default says. The default itself has all of them.
        if v_value is null and p_therapist_id is null then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', v_name));
        end if;
        if v_name = 'time_zone' then
            perform bookingdb.resolve_time_zone(v_value, p_therapist_id);
            continue;
        end if;

        -- What each setting may be. Bounds are texts, because intervals are shown as the connection's IntervalStyle
        -- says.
        select s.kind, s.minimum, s.maximum
        into v_kind, v_minimum, v_maximum
        from (
            values
            ('minimum_duration_minutes', 'integer', '15', '180'),
            ('maximum_duration_minutes', 'integer', '15', '180'),
            ('cancellation_window', 'interval', '0', '365 days'),
            ('refund_grace', 'interval', '1 day', '3650 days'),
            ('hold_lifetime', 'interval', '10 seconds', '1 hour'),
            ('buffer_before_minutes', 'integer', '0', '720'),
            ('buffer_after_minutes', 'integer', '0', '720'),
            ('minimum_notice', 'interval', '0', '365 days'),
            ('maximum_advance', 'interval', '1 day', '3650 days'),
            ('slot_step_minutes', 'integer', '1', '1440'),
            ('slot_offset_minutes', 'integer', '0', '1439'),
            ('maximum_sessions_per_day', 'integer', '1', '1000'),
            ('maximum_sessions_per_week', 'integer', '1', '1000'),
            ('require_hours', 'boolean', null, null)
        ) as s (name, kind, minimum, maximum)
        where s.name = v_name;
        if not found then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_settings'));
        end if;
        begin
            v_is_allowed := case v_kind
                when 'integer' then v_value ~ '^[0-9]{1,4}$'
                    and v_value::integer between v_minimum::integer and v_maximum::integer
                when 'interval' then v_value::interval between v_minimum::interval and v_maximum::interval
                else v_value in ('true', 'false')
            end;
        exception
            when data_exception then
                v_is_allowed := false;
        end;
        -- null is.
        if not v_is_allowed then
            perform bookingdb.raise_error('invalid_parameter', jsonb_strip_nulls(jsonb_build_object(
                'parameter', v_name,
                'minimum', case v_kind when 'integer' then to_jsonb(v_minimum::integer) else to_jsonb(v_minimum) end,
                'maximum', case v_kind when 'integer' then to_jsonb(v_maximum::integer) else to_jsonb(v_maximum) end
            )));
        end if;
    end loop;

    -- The names are those of the columns; what is not named stays.
    v_row := jsonb_populate_record(v_row, p_settings);
    update bookingdb.policies as p
    set time_zone = v_row.time_zone,
        minimum_duration_minutes = v_row.minimum_duration_minutes,
        maximum_duration_minutes = v_row.maximum_duration_minutes,
        cancellation_window = v_row.cancellation_window,
        refund_grace = v_row.refund_grace,
        hold_lifetime = v_row.hold_lifetime,
        buffer_before_minutes = v_row.buffer_before_minutes,
        buffer_after_minutes = v_row.buffer_after_minutes,
        minimum_notice = v_row.minimum_notice,
        maximum_advance = v_row.maximum_advance,
        slot_step_minutes = v_row.slot_step_minutes,
        slot_offset_minutes = v_row.slot_offset_minutes,
        maximum_sessions_per_day = v_row.maximum_sessions_per_day,
        maximum_sessions_per_week = v_row.maximum_sessions_per_week,
        require_hours = v_row.require_hours
    where p.id = v_row.id;

    -- No therapist may end up with a minimum above the maximum, half of it from the default.
    if exists (
        select from bookingdb.policies as o
        cross join lateral bookingdb.policy_of(o.therapist_id) as e
        where e.minimum_duration_minutes > e.maximum_duration_minutes
    ) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'minimum_duration_minutes'
        ));
    end if;
    return bookingdb.policy_of(p_therapist_id);
end;
$function$;

comment on function bookingdb.set_policy(jsonb, uuid) is
'Changes the settings named in p_settings, for a therapist or (null) by default; a therapist''s setting that is null is the default''s. What was booked keeps its deal. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_parameter, busy, therapist_not_found, invalid_time_zone.';

create or replace function bookingdb.set_therapist_active(p_therapist_id uuid, p_active boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_lock_timeout text;
    v_is_found boolean;
begin
    perform bookingdb.authorise_trusted();

    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_active is null then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_active'));
    end if;

    -- The row before the person's lock, which its trigger takes: in the order of everybody who updates it directly.
    begin
        v_lock_timeout := bookingdb.limit_wait();
        update public.users as u
        set is_active = p_active,
            updated_at = now()
        where u.id = p_therapist_id and u.user_type = 'therapist';
        v_is_found := found;
        perform set_config('lock_timeout', v_lock_timeout, true);
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if not v_is_found then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.set_therapist_active(uuid, boolean) is
'Opens or closes a therapist for booking; once it is committed, no booking in READ COMMITTED that was waiting can still succeed. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, invalid_parameter, therapist_not_found, busy.';

create or replace function bookingdb.set_weekly_hours(p_therapist_id uuid, p_hours jsonb)
returns setof bookingdb.weekly_window
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    if exists (select from bookingdb.local_windows('p_hours', p_hours) as w where w.weekday is null) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_hours', 'missing', 'weekday'
        ));
    end if;

    -- A booking in flight sees the old hours or the new ones.
    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.weekly_hours as w
    where w.therapist_id = p_therapist_id;
    insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time, valid_from, valid_to)
    select p_therapist_id, w.weekday, w.start_time, w.end_time, w.valid_from, w.valid_to
    from bookingdb.local_windows('p_hours', p_hours) as w;
    perform bookingdb.tell_of_availability(p_therapist_id);

    return query
    select h.weekday, h.start_time, h.end_time, h.valid_from, h.valid_to
    from bookingdb.get_weekly_hours(p_therapist_id) as h;
end;
$function$;

comment on function bookingdb.set_weekly_hours(uuid, jsonb) is
'Puts these weekly hours in the place of all that a therapist has. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, therapist_not_found, invalid_parameter, busy.';

create or replace function bookingdb.slot_policy(
    p_therapist_id uuid,
    p_duration_minutes integer,
    p_step_minutes integer
)
returns bookingdb.effective_policy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_policy bookingdb.effective_policy;
begin
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_step_minutes not between 1 and 1440 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_step_minutes', 'minimum', 1, 'maximum', 1440
        ));
    end if;
    perform bookingdb.require_therapist(p_therapist_id);
    v_policy := bookingdb.policy_of(p_therapist_id);
    perform bookingdb.require_duration(p_duration_minutes, v_policy);
    return v_policy;
end;
$function$;

comment on function bookingdb.slot_policy(uuid, integer, integer) is
'The policy by which a therapist''s slots are listed, for parameters that it allows. Raises invalid_therapist_id, invalid_parameter (p_step_minutes 1 to 1440), therapist_not_found, invalid_duration.';

create or replace function bookingdb.slot_starts(
    p_starts tstzmultirange,
    p_time_zone text,
    p_step_minutes integer,
    p_offset_minutes integer
)
returns setof timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
begin
    if isempty(p_starts) then
        return;
    end if;

    -- Each day's grid is counted from its local midnight. On a day of 24 hours the first point of the grid in a piece
    -- of free time and the step give the others; where the clocks change, each minute is looked at.
    return query
    select g.start
    from bookingdb.local_days(
        (lower(p_starts) at time zone p_time_zone)::date, (upper(p_starts) at time zone p_time_zone)::date, p_time_zone
    ) as d
    cross join lateral unnest(p_starts * tstzmultirange(tstzrange(d.starts_at, d.ends_at))) as p (piece)
    cross join lateral (
        select
            d.ends_at - d.starts_at = interval '24 hours' as is_regular,
            ceil(extract(epoch from lower(p.piece) - d.starts_at) / 60)::integer as first_minute
    ) as m
    cross join lateral generate_series(
        d.starts_at + make_interval(mins => m.first_minute + case
            when m.is_regular then
                (p_offset_minutes % p_step_minutes - m.first_minute % p_step_minutes + p_step_minutes) % p_step_minutes
            else 0
        end),
        upper(p.piece),
        make_interval(mins => case when m.is_regular then p_step_minutes else 1 end)
    ) as g (start)
    where p.piece @> g.start
        and (
            m.is_regular
            or extract(epoch from (g.start at time zone p_time_zone)::time)::integer / 60 % p_step_minutes
            = p_offset_minutes % p_step_minutes
        )
    order by g.start;
end;
$function$;

comment on function bookingdb.slot_starts(tstzmultirange, text, integer, integer) is
'The instants of a set at which a clock of the zone shows a point of the grid: offset, offset + step, and so on, in minutes from midnight. Of an hour that occurs twice both are in it.';

create or replace function bookingdb.span_of_dates(p_from date, p_to date, p_time_zone text)
returns tstzrange
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    if p_from is null or p_from not between date '1900-01-01' and date '2999-12-31'
        or p_to is null or p_to not between date '1900-01-01' and date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_to < p_from or p_to - p_from > 365 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_to', 'maximum_days', 366
        ));
    end if;
    return tstzrange(
        bookingdb.wall_clock_instant(p_from, p_time_zone), bookingdb.wall_clock_instant(p_to + 1, p_time_zone)
    );
end;
$function$;

comment on function bookingdb.span_of_dates(date, date, text) is
'The time from the beginning of one date of a zone to the end of another, of a year at most. Raises invalid_date, invalid_parameter (p_to before p_from or more than a year).';

create or replace function bookingdb.start_session(p_session_id uuid, p_idempotency_key text)
returns bookingdb.changed_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.change_status(p_session_id, 'in_progress', 'start_session', p_idempotency_key);
end;
$function$;

comment on function bookingdb.start_session(uuid, text) is
'Says that a session has begun, at the earliest an hour before its start. For the therapist and trusted callers. Twin of the public function of this name. Raises not_authenticated, invalid_parameter, invalid_session_id, session_not_found, not_allowed, busy, idempotency_key_reused, invalid_transition.';

create or replace function bookingdb.steady_offset(p_from date, p_to date, p_time_zone text)
returns interval
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_instant timestamptz := (p_from - 1)::timestamp at time zone interval '0';
    v_end constant timestamptz := (p_to + 3)::timestamp at time zone interval '0';
    v_offset constant interval := v_instant at time zone p_time_zone - v_instant at time zone interval '0';
begin
    -- No zone changes its clocks and changes them back within a week.
    while v_instant < v_end loop
        v_instant := least(v_instant + interval '168 hours', v_end);
        if v_instant at time zone p_time_zone - v_instant at time zone interval '0' <> v_offset then
            return null;
        end if;
    end loop;
    return v_offset;
end;
$function$;

comment on function bookingdb.steady_offset(date, date, text) is
'By how much the clocks of a zone are ahead of UTC, if they are by as much from the day before the first date until two days after the last: then an instant of these days is its local time less this, and need not be looked up (wall_clock_instant). Null where the clocks change.';

create or replace function bookingdb.sync_calendar(p_session_ids uuid[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_changed_ids uuid[];
    v_people uuid[];
    v_kept_ids uuid[];
    v_kept_blocked tstzrange[];
    v_session record;
    v_period tstzrange;
    v_policy bookingdb.effective_policy;
begin
    -- Which of these sessions should occupy another time than their calendar rows say? None, when a function of ours
    -- wrote them: it wrote the calendar first.
    select
        array_agg(i.id),
        array_agg(s.therapist_id) || array_agg(s.user_id)
    into v_changed_ids, v_people
    from unnest(p_session_ids) as i (id)
    left join public.sessions as s
        on s.id = i.id
            and bookingdb.occupies_time(s.status)
            and (s.therapist_id is not null or s.user_id is not null)
            and s.start_time < s.end_time
            and isfinite(s.start_time)
            and isfinite(s.end_time)
    left join bookingdb.calendar as c on c.id = i.id and c.kind = 'session'
    where (s.id is null) <> (c.id is null)
        or s.therapist_id is distinct from c.therapist_id
        or s.user_id is distinct from c.client_id
        or s.start_time is distinct from lower(c.period)
        or s.end_time is distinct from upper(c.period);

    if v_changed_ids is null then
        return;
    end if;

    perform bookingdb.lock_people(v_people);

    -- As a whole: first every old time is given up, then every new one is taken. A row at a time, sessions that move
    -- into each other's place would be refused.
    with given_up as (
        delete from bookingdb.calendar as c
        where c.id = any (v_changed_ids) and c.kind = 'session'
        returning c.id, c.therapist_id, c.period, c.blocked
    )
    select array_agg(g.id), array_agg(g.blocked)
    into v_kept_ids, v_kept_blocked
    from given_up as g
    inner join public.sessions as s on s.id = g.id
    where s.therapist_id is not distinct from g.therapist_id
        and s.start_time = lower(g.period)
        and s.end_time = upper(g.period);

    for v_session in
        select
            s.id,
            s.therapist_id,
            s.user_id,
            s.start_time,
            s.end_time,
            k.blocked
        from public.sessions as s
        left join unnest(v_kept_ids, v_kept_blocked) as k (id, blocked) on k.id = s.id
        where s.id = any (v_changed_ids)
            and bookingdb.occupies_time(s.status)
            and (s.therapist_id is not null or s.user_id is not null)
            and s.start_time < s.end_time
            and isfinite(s.start_time)
            and isfinite(s.end_time)
        order by s.start_time, s.id
    loop
        v_period := tstzrange(v_session.start_time, v_session.end_time);
        -- Where only the client is another one, the therapist has the time already, with the buffers that held then.
        if v_session.blocked is null then
            v_policy := bookingdb.policy_of(v_session.therapist_id);
            v_session.blocked := bookingdb.blocked_time(v_policy, v_period);
            -- Hours and limits are for bookings: whoever writes directly means it, but two at a time is impossible.
            if v_session.therapist_id is not null
                and not bookingdb.is_free(v_policy, v_period, v_session.id, false, false) then
                perform bookingdb.raise_error('booking_conflict', bookingdb.period_context(
                    v_session.therapist_id, v_period
                ));
            end if;
        end if;
        perform bookingdb.occupy_time(
            v_session.id, v_session.therapist_id, v_session.user_id, v_period, v_session.blocked, null
        );
    end loop;
end;
$function$;

comment on function bookingdb.sync_calendar(uuid[]) is
'Makes the calendar rows of these sessions what the sessions say, deleted and inactive ones included. Raises booking_conflict, client_conflict, busy.';

create or replace function bookingdb.sync_external_busy(
    p_therapist_id uuid,
    p_source text,
    p_events jsonb,
    p_from timestamptz,
    p_to timestamptz
)
returns bookingdb.synced_busy
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    -- With an offset: without one the connection's TimeZone would decide.
    c_instant constant text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$';
    v_event jsonb;
    v_number bigint;
    v_is_valid boolean;
    v_start timestamptz;
    v_end timestamptz;
    v_ids text[] := '{}';
    v_periods tstzrange[] := '{}';
    v_removed_ids text[] := '{}';
    v_synced bookingdb.synced_busy;
begin
    perform bookingdb.authorise_therapist(p_therapist_id);
    perform bookingdb.require_length('p_source', coalesce(p_source, ''), 1, 100);
    if p_events is null or jsonb_typeof(p_events) <> 'array' or jsonb_array_length(p_events) > 5000 then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'maximum_events', 5000
        ));
    end if;
    if num_nonnulls(p_from, p_to) = 1 or p_to < p_from then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_to'));
    elsif p_from is not null then
        perform bookingdb.require_instant('p_from', p_from);
        perform bookingdb.require_instant('p_to', p_to);
    end if;

    for v_event, v_number in
        select e.value, e.ordinality
        from jsonb_array_elements(p_events) with ordinality as e
    loop
        v_is_valid := false;
        begin
            if jsonb_typeof(v_event) = 'object'
                and char_length(v_event ->> 'external_id') between 1 and 255
                and coalesce(v_event ->> 'removed', 'false') in ('true', 'false') then
                if v_event ->> 'removed' = 'true' then
                    v_is_valid := true;
                    v_removed_ids := v_removed_ids || (v_event ->> 'external_id');
                elsif v_event ->> 'start_time' ~ c_instant and v_event ->> 'end_time' ~ c_instant then
                    v_start := v_event ->> 'start_time';
                    v_end := v_event ->> 'end_time';
                    v_is_valid := v_start < v_end
                        and v_start >= timestamptz '1900-01-01 00:00:00+00'
                        and v_end < timestamptz '3000-01-01 00:00:00+00';
                    v_ids := v_ids || (v_event ->> 'external_id');
                    v_periods := v_periods || tstzrange(v_start, v_end);
                end if;
            end if;
        exception
            when data_exception then
                v_is_valid := false;
        end;
        if not v_is_valid then
            perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
                'parameter', 'p_events', 'event', v_number
            ));
        end if;
    end loop;
    if (select count(distinct i.id) from unnest(v_ids || v_removed_ids) as i (id))
        < cardinality(v_ids) + cardinality(v_removed_ids) then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object(
            'parameter', 'p_events', 'duplicate', 'external_id'
        ));
    end if;

    perform bookingdb.lock_people(array[p_therapist_id]);
    delete from bookingdb.calendar as c
    where c.therapist_id = p_therapist_id
        and c.kind = 'external'
        and c.external_source = p_source
        and (
            c.external_id = any (v_removed_ids)
            -- What the other calendar has in this time is all here.
            or (c.period && tstzrange(p_from, p_to) and p_from is not null and c.external_id <> all (v_ids))
        );
    get diagnostics v_synced.removed = row_count;

    update bookingdb.calendar as c
    set period = e.period,
        blocked = e.period
    from unnest(v_ids, v_periods) as e (id, period)
    where c.therapist_id = p_therapist_id
        and c.kind = 'external'
        and c.external_source = p_source
        and c.external_id = e.id
        and c.period <> e.period;
    get diagnostics v_synced.updated = row_count;

    insert into bookingdb.calendar (kind, therapist_id, period, blocked, external_source, external_id)
    select 'external', p_therapist_id, e.period, e.period, p_source, e.id
    from unnest(v_ids, v_periods) as e (id, period)
    on conflict (therapist_id, external_source, external_id) where kind = 'external' do nothing;
    get diagnostics v_synced.inserted = row_count;

    v_synced.session_ids := bookingdb.sessions_within(p_therapist_id, v_periods);
    if v_synced.inserted + v_synced.updated + v_synced.removed > 0 then
        perform bookingdb.tell_of_availability(p_therapist_id);
    end if;
    return v_synced;
end;
$function$;

comment on function bookingdb.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz) is
'Brings a therapist''s appointments in another calendar up to date, and says which sessions they overlap. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, therapist_not_found, invalid_parameter (DETAIL says which event, counted from 1), busy.';

create or replace function bookingdb.take_credit(p_user_id uuid, p_session_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_now constant timestamptz := clock_timestamp();
    v_lot_id uuid;
    v_balance integer;
    v_lock_timeout text;
    v_expires_at timestamptz;
begin
    -- By priority, then the lot that expires soonest, then promotional before paid, then the oldest, then by id.
    -- Only direct writers and expire_credits() can hold its lock: the caller has the client's. So it is almost always
    -- free, and waiting (which needs a subtransaction, to tell lock_timeout by its name) is left to the second try. The
    -- conditions stand twice, because a row that was changed between our look and its lock is held against the outer
    -- ones alone.
    select c.id, c.credits_balance
    into v_lot_id, v_balance
    from (
        select l.id
        from public.user_credits as l
        where l.user_id = p_user_id
            and l.user_type = 'user'
            and l.status = 'active'
            and l.credits_balance > 0
            and (l.expires_at is null or l.expires_at > v_now)
        order by l.priority, l.expires_at asc nulls last, l.category desc, l.created_at, l.id
        limit 1
    ) as f
    inner join public.user_credits as c on c.id = f.id
    where c.user_id = p_user_id
        and c.user_type = 'user'
        and c.status = 'active'
        and c.credits_balance > 0
        and (c.expires_at is null or c.expires_at > v_now)
    for update of c skip locked;

    if v_lot_id is null then
        begin
            v_lock_timeout := bookingdb.limit_wait();
            -- A lot that runs out while we wait for it is passed over.
            loop
                select l.id, l.credits_balance, l.expires_at
                into v_lot_id, v_balance, v_expires_at
                from public.user_credits as l
                where l.user_id = p_user_id
                    and l.user_type = 'user'
                    and l.status = 'active'
                    and l.credits_balance > 0
                    and (l.expires_at is null or l.expires_at > clock_timestamp())
                order by l.priority, l.expires_at asc nulls last, l.category desc, l.created_at, l.id
                limit 1
                for update;
                exit when coalesce(v_expires_at > clock_timestamp(), true);
            end loop;
            perform set_config('lock_timeout', v_lock_timeout, true);
        exception
            when lock_not_available then
                perform bookingdb.raise_error('busy');
        end;
    end if;

    if v_lot_id is null then
        perform bookingdb.raise_error('insufficient_credits', jsonb_build_object('credits_balance', 0));
    end if;

    insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)
    values (p_user_id, v_lot_id, p_session_id, 'debit', -1, v_balance - 1, bookingdb.actor());

    update public.user_credits as c
    set credits_balance = c.credits_balance - 1,
        -- What others wrote there directly must not be in the way.
        credits_used = least(c.credits_used, 2147483646) + 1,
        updated_at = now()
    where c.id = v_lot_id;
    if not found then
        -- A BEFORE trigger of the application swallowed the change: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;
end;
$function$;

comment on function bookingdb.take_credit(uuid, uuid) is
'Takes one credit for a session from exactly one lot: the ledger entry, then the balance. The caller holds the client''s lock (lock_people). Raises insufficient_credits, busy.';

create or replace function bookingdb.tell_of_availability(p_therapist_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    values ('availability.changed', p_therapist_id, jsonb_build_object('therapist_id', p_therapist_id));
end;
$function$;

comment on function bookingdb.tell_of_availability(uuid) is
'Writes the event that a therapist''s hours, exceptions, time off or external appointments have changed.';

create or replace function bookingdb.tell_of_credits(
    p_event text,
    p_user_id uuid,
    p_lot_id uuid,
    p_amount integer,
    p_session_id uuid default null
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    values (p_event, p_lot_id, jsonb_strip_nulls(jsonb_build_object(
        'lot_id', p_lot_id, 'user_id', p_user_id, 'amount', p_amount, 'session_id', p_session_id
    )));
end;
$function$;

comment on function bookingdb.tell_of_credits(text, uuid, uuid, integer, uuid) is
'Writes the event of the outbox for what happened to a lot: p_amount is that of the entry of the ledger, negative when it was taken.';

create or replace function bookingdb.tell_of_hold(p_event text, p_hold_id uuid)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    insert into bookingdb.outbox (event, subject_id, payload)
    select
        p_event,
        h.id,
        jsonb_build_object(
            'hold_id', h.id,
            'user_id', h.user_id,
            'therapist_id', h.therapist_id,
            'start_time', bookingdb.utc(h.start_time),
            'end_time', bookingdb.utc(h.end_time),
            'expires_at', bookingdb.utc(h.expires_at)
        )
    from bookingdb.holds as h
    where h.id = p_hold_id;
end;
$function$;

comment on function bookingdb.tell_of_hold(text, uuid) is
'Writes the event of the outbox for what happened to a hold.';

create or replace function bookingdb.unplaced_sessions()
returns setof public.sessions
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.*
    from public.sessions as s
    where bookingdb.occupies_time(s.status)
        and not exists (
            select from bookingdb.calendar as c
            where c.id = s.id and c.kind = 'session'
        );
end;
$function$;

comment on function bookingdb.unplaced_sessions() is
'Sessions that say they take place but cannot be given a place in the calendar: nobody''s, without an end, or ending before they start. Only direct writers can make them. They block nobody.';

create or replace function bookingdb.utc(p_instant timestamptz)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- By an interval and not by name: what 'UTC' means can depend on the connection's TimeZone (see local_instant).
    return to_char(p_instant at time zone interval '0', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
end;
$function$;

comment on function bookingdb.utc(timestamptz) is
'An instant as ISO 8601 in UTC, whatever the connection''s TimeZone and DateStyle are.';

create or replace function bookingdb.wall_clock_instant(p_local timestamp, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_instant timestamptz := p_local at time zone p_time_zone;
    v_day_before timestamptz;
    v_first timestamptz;
    v_before timestamptz;
    v_middle timestamptz;
begin
    -- TimeZone is set above because Postgres 18 looks a zone's name up among the abbreviations of the connection's
    -- TimeZone first, and with '<EUROPE/BERLIN>+9' that is one.

    if v_instant at time zone p_time_zone <> p_local then
        -- The clocks jump over it, and Postgres goes on counting from before the jump. Whoever waits for this time sees
        -- it come with the jump itself: the first instant at which the clock shows as much or more.
        v_before := v_instant - interval '25 hours';
        while v_instant - v_before > interval '1 minute' loop
            v_middle := v_before + date_trunc('minute', (v_instant - v_before) / 2);
            if v_middle at time zone p_time_zone < p_local then
                v_before := v_middle;
            else
                v_instant := v_middle;
            end if;
        end loop;
        return v_instant;
    end if;

    -- Of a local time that occurs twice Postgres takes the second; we mean the first, like everybody's calendar.
    -- The first is the one with the offset that held the day before.
    v_day_before := v_instant - interval '24 hours';
    v_first := (p_local - (v_day_before at time zone p_time_zone - v_day_before at time zone interval '0'))
        at time zone interval '0';
    if v_first < v_instant and v_first at time zone p_time_zone = p_local then
        return v_first;
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.wall_clock_instant(timestamp, text) is
'The instant at which the clocks of a zone (one that resolve_time_zone returned) first show a local time: the first of two, and the jump itself for a time that the clocks jump over.';

create or replace function bookingdb.write_session(
    p_session_id uuid,
    p_user_id uuid,
    p_policy bookingdb.effective_policy,
    p_session_date date,
    p_session_time time,
    p_time_zone text,
    p_period tstzrange,
    p_session_type varchar,
    p_notes text,
    p_title text,
    p_series_id uuid,
    p_hours_overridden boolean
)
returns bookingdb.booked_session
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_booked bookingdb.booked_session;
begin
    -- One credit from one lot.
    perform bookingdb.take_credit(p_user_id, p_session_id);

    -- The session. Its triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged, free_cancellation_until, series_id,
        hours_overridden
    )
    values (
        p_session_id, p_user_id, p_policy.therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        lower(p_period), upper(p_period), extract(epoch from upper(p_period) - lower(p_period))::integer / 60,
        p_session_type, 'scheduled', p_time_zone, 1, bookingdb.later(lower(p_period), -p_policy.cancellation_window),
        p_series_id, p_hours_overridden
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        bookingdb.credits_balance(p_user_id)
    into v_booked;
    if not found then
        -- A BEFORE trigger of the application swallowed the row: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;
    return v_booked;
end;
$function$;

comment on function bookingdb.write_session(
    uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean
) is
'Takes the credit for a session with the therapist of a policy and writes it, for a caller who holds the locks of both people and gave it its calendar row. Raises insufficient_credits, busy.';

create or replace function public.add_time_off(
    p_therapist_id uuid,
    p_start timestamptz,
    p_end timestamptz,
    p_reason text default null
)
returns table (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid[]
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.id, r.start_time, r.end_time, r.reason, r.session_ids
    from bookingdb.add_time_off(p_therapist_id, p_start, p_end, p_reason) as r;
end;
$function$;

comment on function public.add_time_off(uuid, timestamptz, timestamptz, text) is
'Adds time off of a therapist: nothing can be booked from p_start to p_end any more. Returns it with the ids of the sessions that were booked in it before; they stay, and are to be moved or cancelled. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.adjust_credits(
    p_user_id uuid,
    p_amount integer,
    p_reason text,
    p_lot_id uuid default null,
    p_idempotency_key text default null
)
returns table (
    lot_id uuid,
    lot_balance integer,
    credits_balance integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select g.lot_id, g.lot_balance, g.credits_balance
    from bookingdb.adjust_credits(p_user_id, p_amount, p_reason, p_lot_id, p_idempotency_key) as g;
end;
$function$;

comment on function public.adjust_credits(uuid, integer, text, uuid, text) is
'Adds p_amount credits to a client''s lot (without p_lot_id to a new one) or, when it is negative, takes them away (without p_lot_id in the order in which they would be spent). The ledger keeps p_reason. For trusted callers. Errors: docs/errors.md.';

create or replace function public.approve_session(p_session_id uuid, p_idempotency_key text default null)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.approve_session(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.approve_session(uuid, text) is
'Approves a session that waits for it (pending_approval), and takes its credit now; to decline is to cancel. For the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.book_hold(
    p_hold_id uuid,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_idempotency_key text default null
)
returns table (
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
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select b.id, b.user_id, b.therapist_id, b.title, b.description, b.scheduled_date, b.scheduled_time, b.start_time,
        b.end_time, b.duration_minutes, b.session_type, b.status, b.created_at, b.time_zone, b.credits_balance
    from bookingdb.book_hold(p_hold_id, p_session_type, p_notes, p_title, p_idempotency_key) as b;
end;
$function$;

comment on function public.book_hold(uuid, varchar, text, text, text) is
'Turns a hold into a session, which has the hold''s id, and takes one credit for it. Once: a second call gets hold_expired, or with the same idempotency key the same answer. For the user whose hold it is and for trusted callers. Errors: docs/errors.md.';

create or replace function public.book_series(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_occurrences integer,
    p_every interval default '7 days',
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
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
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select b.id, b.user_id, b.therapist_id, b.title, b.description, b.scheduled_date, b.scheduled_time, b.start_time,
        b.end_time, b.duration_minutes, b.session_type, b.status, b.created_at, b.time_zone, b.credits_balance
    from bookingdb.book_series(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_occurrences, p_every, p_duration_minutes,
        p_session_type, p_notes, p_title, p_time_zone, p_idempotency_key
    ) as b;
end;
$function$;

comment on function public.book_series(
    uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text
) is
'Books p_occurrences (1 to 52) sessions at the same local time, p_every (whole days, weeks or months) apart, and takes a credit for each: all of them or none. The DETAIL of an error names the first occurrence that failed, and its date. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.book_session_with_override(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_override_hours boolean default true,
    p_idempotency_key text default null
)
returns table (
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
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.id, r.user_id, r.therapist_id, r.title, r.description, r.scheduled_date, r.scheduled_time, r.start_time,
        r.end_time, r.duration_minutes, r.session_type, r.status, r.created_at, r.time_zone, r.credits_balance
    from bookingdb.book_session_with_override(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone, p_override_hours, p_idempotency_key
    ) as r;
end;
$function$;

comment on function public.book_session_with_override(
    uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text
) is
'Books a session also outside of the therapist''s hours (p_override_hours), which the audit log then says; calendar, buffers, notice, limits and credits count as always. Like create_session_with_credit_deduction() otherwise. For trusted callers. Errors: docs/errors.md.';

create or replace function public.cancel_session(
    p_session_id uuid,
    p_reason text default null,
    p_refund boolean default null,
    p_idempotency_key text default null
)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.cancel_session(p_session_id, p_reason, p_refund, p_idempotency_key) as c;
end;
$function$;

comment on function public.cancel_session(uuid, text, boolean, text) is
'Cancels a session; its time is free at once for others. The credit comes back to the lot it came from (or, when that has expired, in a grace lot) when the therapist or a trusted caller cancels, and when the client does until free_cancellation_until; only a trusted caller may decide otherwise (p_refund). For the client, the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.check_booking_conflict(
    p_therapist_id uuid,
    p_session_date date,
    p_start_time time,
    p_end_time time,
    p_time_zone text default null,
    p_exclude_session_id uuid default null
)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.check_booking_conflict(
        p_therapist_id, p_session_date, p_start_time, p_end_time, p_time_zone, p_exclude_session_id
    );
end;
$function$;

comment on function public.check_booking_conflict(uuid, date, time, time, text, uuid) is
'Whether the therapist is busy from p_start_time to p_end_time (at or before the start: on the next day), not counting the session p_exclude_session_id. A look, not a promise: only booking decides. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.complete_session(p_session_id uuid, p_idempotency_key text default null)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.complete_session(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.complete_session(uuid, text) is
'Says that a session took place; not before its start. For the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.confirm_session(p_session_id uuid, p_idempotency_key text default null)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.confirm_session(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.confirm_session(uuid, text) is
'Confirms a scheduled session. For the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.create_session_with_credit_deduction(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_session_type varchar default 'video',
    p_notes text default '',
    p_title text default 'Therapy Session',
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
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
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select b.id, b.user_id, b.therapist_id, b.title, b.description, b.scheduled_date, b.scheduled_time, b.start_time,
        b.end_time, b.duration_minutes, b.session_type, b.status, b.created_at, b.time_zone, b.credits_balance
    from bookingdb.create_session_with_credit_deduction(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
        p_time_zone, p_idempotency_key
    ) as b;
end;
$function$;

comment on function public.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session of p_duration_minutes (15 to 180) and takes one credit for it, or raises an error and changes nothing. Date and time are local to p_time_zone, else to the therapist''s zone, else to the default''s. With p_idempotency_key (1 to 255 characters, per user) the same request again returns the same session without a second debit. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.expire_credits()
returns table (
    lots integer,
    credits bigint
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select e.lots, e.credits
    from bookingdb.expire_credits() as e;
end;
$function$;

comment on function public.expire_credits() is
'Posts what is left of expired lots to the ledger; returns how many lots and credits. Idempotent, for a scheduled job; no balance depends on when it runs. For trusted callers. Errors: docs/errors.md.';

create or replace function public.find_available_therapists(
    p_from timestamptz,
    p_to timestamptz,
    p_duration_minutes integer default 60,
    p_therapist_ids uuid[] default null,
    p_limit integer default 20
)
returns table (
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.therapist_id, r.start_time, r.end_time
    from bookingdb.find_available_therapists(p_from, p_to, p_duration_minutes, p_therapist_ids, p_limit) as r;
end;
$function$;

comment on function public.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer) is
'Who can be booked for p_duration_minutes from p_from to p_to (at most 366 days; the whole session lies between the two), each therapist with its first slot, the earliest free first, p_limit (1 to 1000) of them at most. p_therapist_ids: only of these; null: of all. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.get_credit_balance(p_user_id uuid)
returns integer
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.get_credit_balance(p_user_id);
end;
$function$;

comment on function public.get_credit_balance(uuid) is
'The credits a client can spend now. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.get_credit_history(
    p_user_id uuid,
    p_limit integer default 50,
    p_before timestamptz default null
)
returns table (
    id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance_after integer,
    lot_id uuid,
    session_id uuid,
    actor text
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select e.id, e.created_at, e.kind, e.amount, e.balance_after, e.lot_id, e.session_id, e.actor
    from bookingdb.get_credit_history(p_user_id, p_limit, p_before) as e;
end;
$function$;

comment on function public.get_credit_history(uuid, integer, timestamptz) is
'A client''s ledger entries, newest first: amount in credits, balance_after is what was left in the lot. At most p_limit (1 to 1000; more only where the last ones share an instant), older than p_before: give the last created_at for the next page. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.get_credit_statement(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns table (
    entry_id bigint,
    created_at timestamptz,
    kind text,
    amount integer,
    balance bigint,
    lot_id uuid,
    session_id uuid,
    reason text,
    actor text
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select s.entry_id, s.created_at, s.kind, s.amount, s.balance, s.lot_id, s.session_id, s.reason, s.actor
    from bookingdb.get_credit_statement(p_user_id, p_from, p_to) as s;
end;
$function$;

comment on function public.get_credit_statement(uuid, timestamptz, timestamptz) is
'A client''s credits from p_from to before p_to: a line opening with the balance, each entry of the ledger with the balance after it, a line closing. It adds up. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.get_policy(p_therapist_id uuid default null)
returns table (
    therapist_id uuid,
    time_zone text,
    minimum_duration_minutes integer,
    maximum_duration_minutes integer,
    cancellation_window interval,
    refund_grace interval,
    hold_lifetime interval,
    buffer_before_minutes integer,
    buffer_after_minutes integer,
    minimum_notice interval,
    maximum_advance interval,
    slot_step_minutes integer,
    slot_offset_minutes integer,
    maximum_sessions_per_day integer,
    maximum_sessions_per_week integer,
    require_hours boolean
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select p.therapist_id, p.time_zone, p.minimum_duration_minutes, p.maximum_duration_minutes,
        p.cancellation_window, p.refund_grace, p.hold_lifetime, p.buffer_before_minutes, p.buffer_after_minutes,
        p.minimum_notice, p.maximum_advance, p.slot_step_minutes, p.slot_offset_minutes, p.maximum_sessions_per_day,
        p.maximum_sessions_per_week, p.require_hours
    from bookingdb.get_policy(p_therapist_id) as p;
end;
$function$;

comment on function public.get_policy(uuid) is
'What holds for a therapist, or (null) by default: time zone, durations, cancellation window, grace, lifetime of holds, buffers, notice, horizon, grid of slots, limits, whether hours are required. For every logged-in user. Errors: docs/errors.md.';

create or replace function public.get_weekly_hours(p_therapist_id uuid)
returns table (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.weekday, r.start_time, r.end_time, r.valid_from, r.valid_to
    from bookingdb.get_weekly_hours(p_therapist_id) as r;
end;
$function$;

comment on function public.get_weekly_hours(uuid) is
'A therapist''s weekly hours in its local time, in order: weekday 1 (Monday) to 7, a window''s start and end (at or before the start: on the next day), from and to which date it holds. No row: there are none, and the therapist can be booked at any time unless the policy says require_hours. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text default null,
    p_expires_at timestamptz default null,
    p_idempotency_key text default null,
    p_category text default 'paid',
    p_priority integer default 50
)
returns table (lot_id uuid, lot_balance integer, credits_balance integer)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select g.lot_id, g.lot_balance, g.credits_balance
    from bookingdb.grant_credits(
        p_user_id, p_amount, p_payment_reference, p_expires_at, p_idempotency_key, p_category, p_priority
    ) as g;
end;
$function$;

comment on function public.grant_credits(uuid, integer, text, timestamptz, text, text, integer) is
'Gives a client p_amount (1 to 10000) credits as one lot, which expires at p_expires_at or never; returns the lot''s id, what is in it, and the client''s total. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot. Lots of a lower p_priority (0 to 100) are spent first, of these the soonest to expire, then those of p_category promotional before paid. For trusted callers. Errors: docs/errors.md.';

create or replace function public.hold_slot(
    p_user_id uuid,
    p_therapist_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default 60,
    p_ttl interval default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
    id uuid,
    user_id uuid,
    therapist_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    time_zone text,
    expires_at timestamptz
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select h.id, h.user_id, h.therapist_id, h.start_time, h.end_time, h.time_zone, h.expires_at
    from bookingdb.hold_slot(
        p_user_id, p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_ttl, p_time_zone,
        p_idempotency_key
    ) as h;
end;
$function$;

comment on function public.hold_slot(uuid, uuid, date, time, integer, interval, text, text) is
'Keeps a time for a client against everybody else until expires_at, at no cost: p_ttl from now (10 seconds to 1 hour; default: hold_lifetime of the policy, 5 minutes). A client has one hold with a therapist: another gives it up. book_hold() makes it a session, release_hold() gives it up. For the user itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.list_available_days(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null
)
returns table (
    local_date date,
    slots integer,
    first_start timestamptz,
    last_start timestamptz
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.local_date, r.slots, r.first_start, r.last_start
    from bookingdb.list_available_days(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes
    ) as r;
end;
$function$;

comment on function public.list_available_days(uuid, date, date, integer, text, integer) is
'The dates from p_from to p_to on which a therapist has something free, with the number of slots, the first and the last start: what list_available_slots() lists, a row a day. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.list_available_slots(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_duration_minutes integer default 60,
    p_time_zone text default null,
    p_step_minutes integer default null
)
returns table (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.start_time, r.end_time, r.local_date, r.local_time
    from bookingdb.list_available_slots(
        p_therapist_id, p_from, p_to, p_duration_minutes, p_time_zone, p_step_minutes
    ) as r;
end;
$function$;

comment on function public.list_available_slots(uuid, date, date, integer, text, integer) is
'The times at which a session of p_duration_minutes can be booked with a therapist now, from p_from to p_to (both included, at most 366 days), every p_step_minutes (else the policy''s) of the therapist''s clock, in order; dates and times are those of p_time_zone, else of the therapist''s zone. Of an hour that occurs twice both are listed. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.list_date_overrides(p_therapist_id uuid, p_from date, p_to date)
returns table (
    override_date date,
    start_time time,
    end_time time
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.override_date, r.start_time, r.end_time
    from bookingdb.list_date_overrides(p_therapist_id, p_from, p_to) as r;
end;
$function$;

comment on function public.list_date_overrides(uuid, date, date) is
'The dates from p_from to p_to (both included) on which something else holds than a therapist''s weekly hours: a row per window, or one without times on a date that is closed. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.list_opening_hours(
    p_therapist_id uuid,
    p_from date,
    p_to date,
    p_time_zone text default null
)
returns table (
    start_time timestamptz,
    end_time timestamptz
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.start_time, r.end_time
    from bookingdb.list_opening_hours(p_therapist_id, p_from, p_to, p_time_zone) as r;
end;
$function$;

comment on function public.list_opening_hours(uuid, date, date, text) is
'When a therapist is there from p_from to p_to (both included, at most 366 days; dates of p_time_zone, else of the therapist''s zone): weekly hours and what overrides them, as periods of instants in order, free or not. Who has no weekly hours and need have none is there all the time. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.list_time_off(p_therapist_id uuid, p_from timestamptz, p_to timestamptz)
returns table (
    id uuid,
    start_time timestamptz,
    end_time timestamptz,
    reason text,
    session_ids uuid[]
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.id, r.start_time, r.end_time, r.reason, r.session_ids
    from bookingdb.list_time_off(p_therapist_id, p_from, p_to) as r;
end;
$function$;

comment on function public.list_time_off(uuid, timestamptz, timestamptz) is
'A therapist''s time off that reaches into the time from p_from to p_to, in order, each with the ids of the sessions that are booked in it all the same. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.lock_for_booking(p_people uuid[])
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.lock_for_booking(p_people);
end;
$function$;

comment on function public.lock_for_booking(uuid[]) is
'Takes the locks of these therapists and clients (1 to 1000; 1 to 64 for a logged-in user), in the right order, until the transaction ends. First call of a transaction that books several times: it then cannot deadlock. For trusted callers; for a logged-in user with itself and therapists. Errors: docs/errors.md.';

create or replace function public.mark_no_show(p_session_id uuid, p_idempotency_key text default null)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.mark_no_show(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.mark_no_show(uuid, text) is
'Says that the client did not come; the credit is kept. Not before the start. For the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.next_available_slot(
    p_therapist_id uuid,
    p_duration_minutes integer default 60,
    p_after timestamptz default null,
    p_time_zone text default null,
    p_step_minutes integer default null
)
returns table (
    start_time timestamptz,
    end_time timestamptz,
    local_date date,
    local_time time
)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.start_time, r.end_time, r.local_date, r.local_time
    from bookingdb.next_available_slot(p_therapist_id, p_duration_minutes, p_after, p_time_zone, p_step_minutes) as r;
end;
$function$;

comment on function public.next_available_slot(uuid, integer, timestamptz, text, integer) is
'The first time at or after p_after (null: now) at which a session of p_duration_minutes can be booked with a therapist; no row when there is none as far ahead as can be booked. Like list_available_slots() otherwise. For every logged-in user and for trusted callers. Errors: docs/errors.md.';

create or replace function public.register_client(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null
)
returns uuid
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.register_client(p_email, p_full_name, p_user_id);
end;
$function$;

comment on function public.register_client(text, text, uuid) is
'Registers a client, active and verified, and returns its id (p_user_id where it is given); the same person again returns the same id. For trusted callers, and for a logged-in user itself under the e-mail address of its token. Errors: docs/errors.md.';

create or replace function public.register_therapist(
    p_email text,
    p_full_name text default null,
    p_user_id uuid default null,
    p_time_zone text default null
)
returns uuid
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return bookingdb.register_therapist(p_email, p_full_name, p_user_id, p_time_zone);
end;
$function$;

comment on function public.register_therapist(text, text, uuid, text) is
'Registers a therapist, active and verified, and returns its id (p_user_id where it is given); local times of its sessions are meant in p_time_zone (an IANA name). The same person again returns the same id. For trusted callers. Errors: docs/errors.md.';

create or replace function public.release_hold(p_hold_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.release_hold(p_hold_id);
end;
$function$;

comment on function public.release_hold(uuid) is
'Gives a hold up; one that was given up before, or has expired, stays so. For the user whose it is and for trusted callers. Errors: docs/errors.md.';

create or replace function public.remove_time_off(p_time_off_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.remove_time_off(p_time_off_id);
end;
$function$;

comment on function public.remove_time_off(uuid) is
'Takes time off (the id that add_time_off() returned) back. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.reschedule_session(
    p_session_id uuid,
    p_session_date date,
    p_session_time time,
    p_duration_minutes integer default null,
    p_time_zone text default null,
    p_idempotency_key text default null
)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.reschedule_session(
        p_session_id, p_session_date, p_session_time, p_duration_minutes, p_time_zone, p_idempotency_key
    ) as c;
end;
$function$;

comment on function public.reschedule_session(uuid, date, time, integer, text, text) is
'Moves a session that has not begun to another time: the same id, the credit carried over, all rules of a booking. Without p_duration_minutes it stays as long as it was; without p_time_zone the time is meant in the session''s own zone. For the client, the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.revoke_grant(
    p_lot_id uuid default null,
    p_payment_reference text default null,
    p_reason text default null
)
returns table (
    lot_id uuid,
    credits_revoked bigint,
    credits_spent bigint,
    credits_balance integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.lot_id, r.credits_revoked, r.credits_spent, r.credits_balance
    from bookingdb.revoke_grant(p_lot_id, p_payment_reference, p_reason) as r;
end;
$function$;

comment on function public.revoke_grant(uuid, text, text) is
'Takes back what is left of a lot, named by its id or its payment''s reference (a chargeback), and reports how much that was and how much had been spent. Idempotent. For trusted callers. Errors: docs/errors.md.';

create or replace function public.set_date_override(p_therapist_id uuid, p_date date, p_hours jsonb default null)
returns table (
    override_date date,
    start_time time,
    end_time time
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.override_date, r.start_time, r.end_time
    from bookingdb.set_date_override(p_therapist_id, p_date, p_hours) as r;
end;
$function$;

comment on function public.set_date_override(uuid, date, jsonb) is
'Lets other hours than the weekly ones hold on a date, and returns them: p_hours is an array of objects such as {"start_time": "09:00", "end_time": "12:00"}; an empty one closes the date, null takes the exception back. What was booked stays. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.set_policy(p_settings jsonb, p_therapist_id uuid default null)
returns table (
    therapist_id uuid,
    time_zone text,
    minimum_duration_minutes integer,
    maximum_duration_minutes integer,
    cancellation_window interval,
    refund_grace interval,
    hold_lifetime interval,
    buffer_before_minutes integer,
    buffer_after_minutes integer,
    minimum_notice interval,
    maximum_advance interval,
    slot_step_minutes integer,
    slot_offset_minutes integer,
    maximum_sessions_per_day integer,
    maximum_sessions_per_week integer,
    require_hours boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select p.therapist_id, p.time_zone, p.minimum_duration_minutes, p.maximum_duration_minutes,
        p.cancellation_window, p.refund_grace, p.hold_lifetime, p.buffer_before_minutes, p.buffer_after_minutes,
        p.minimum_notice, p.maximum_advance, p.slot_step_minutes, p.slot_offset_minutes, p.maximum_sessions_per_day,
        p.maximum_sessions_per_week, p.require_hours
    from bookingdb.set_policy(p_settings, p_therapist_id) as p;
end;
$function$;

comment on function public.set_policy(jsonb, uuid) is
'Changes settings for a therapist, or (null) by default: p_settings is an object of those get_policy() returns, null for as the default says. What was booked keeps its deal. For trusted callers. Errors: docs/errors.md.';

create or replace function public.set_therapist_active(p_therapist_id uuid, p_active boolean)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    perform bookingdb.set_therapist_active(p_therapist_id, p_active);
end;
$function$;

comment on function public.set_therapist_active(uuid, boolean) is
'Opens (true) or closes (false) a therapist for booking. Sessions that are booked stay. For trusted callers. Errors: docs/errors.md.';

create or replace function public.set_weekly_hours(p_therapist_id uuid, p_hours jsonb)
returns table (
    weekday integer,
    start_time time,
    end_time time,
    valid_from date,
    valid_to date
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.weekday, r.start_time, r.end_time, r.valid_from, r.valid_to
    from bookingdb.set_weekly_hours(p_therapist_id, p_hours) as r;
end;
$function$;

comment on function public.set_weekly_hours(uuid, jsonb) is
'Puts weekly hours in the place of all that a therapist has, and returns them. p_hours: an array of up to 200 objects such as {"weekday": 1, "start_time": "09:00", "end_time": "17:00"}, with "valid_from" and "valid_to" (dates, both included) where a window does not hold for ever; local time of the therapist''s zone, an end at or before the start is on the next day. What was booked stays. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

create or replace function public.start_session(p_session_id uuid, p_idempotency_key text default null)
returns table (
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
    credits_balance integer,
    free_cancellation_until timestamptz,
    refunded boolean
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select c.id, c.user_id, c.therapist_id, c.title, c.description, c.scheduled_date, c.scheduled_time, c.start_time,
        c.end_time, c.duration_minutes, c.session_type, c.status, c.created_at, c.time_zone, c.credits_balance,
        c.free_cancellation_until, c.refunded
    from bookingdb.start_session(p_session_id, p_idempotency_key) as c;
end;
$function$;

comment on function public.start_session(uuid, text) is
'Says that a scheduled or confirmed session has begun. For the therapist and trusted callers. Errors: docs/errors.md.';

create or replace function public.sync_external_busy(
    p_therapist_id uuid,
    p_source text,
    p_events jsonb,
    p_from timestamptz default null,
    p_to timestamptz default null
)
returns table (
    inserted integer,
    updated integer,
    removed integer,
    session_ids uuid[]
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
begin
    return query
    select r.inserted, r.updated, r.removed, r.session_ids
    from bookingdb.sync_external_busy(p_therapist_id, p_source, p_events, p_from, p_to) as r;
end;
$function$;

comment on function public.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz) is
'Brings the appointments that a therapist has in another calendar (p_source, a name of yours) up to date: nothing can be booked over them. p_events: an array of up to 5000 objects such as {"external_id": "a1", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00Z"}, or {"external_id": "a1", "removed": true}. With p_from and p_to, appointments of the source in that time which are not in p_events go. Returns how many rows were inserted, updated and removed, and the ids of sessions that the appointments overlap. For the therapist itself and for trusted callers. Errors: docs/errors.md.';

do $attachments$
declare
    v_statement text;
begin
    foreach v_statement in array array(
        with wanted ("table", name, definition, statement) as (
            values
            ('public.sessions', '_bookingdb_calendar_insert', 'create trigger _bookingdb_calendar_insert after insert on public.sessions referencing new table as new_rows for each statement execute function bookingdb.sessions_changed()', 'create trigger _bookingdb_calendar_insert after insert on public.sessions
referencing new table as new_rows
for each statement execute function bookingdb.sessions_changed()'),
            ('public.sessions', '_bookingdb_calendar_update', 'create trigger _bookingdb_calendar_update after update on public.sessions referencing old table as old_rows new table as new_rows for each statement execute function bookingdb.sessions_changed()', 'create trigger _bookingdb_calendar_update after update on public.sessions
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.sessions_changed()'),
            ('public.sessions', '_bookingdb_calendar_delete', 'create trigger _bookingdb_calendar_delete after delete on public.sessions referencing old table as old_rows for each statement execute function bookingdb.sessions_changed()', 'create trigger _bookingdb_calendar_delete after delete on public.sessions
referencing old table as old_rows
for each statement execute function bookingdb.sessions_changed()'),
            ('public.sessions', '_bookingdb_audit', 'create trigger _bookingdb_audit after insert or delete or update on public.sessions for each row execute function bookingdb.record_session_change()', 'create trigger _bookingdb_audit after insert or delete or update on public.sessions
for each row execute function bookingdb.record_session_change()'),
            ('public.user_credits', '_bookingdb_ledger', 'create trigger _bookingdb_ledger after insert or delete or update on public.user_credits for each row execute function bookingdb.record_balance_change()', 'create trigger _bookingdb_ledger after insert or delete or update on public.user_credits
for each row execute function bookingdb.record_balance_change()'),
            ('bookingdb.ledger', '_bookingdb_append_only', 'create trigger _bookingdb_append_only before delete or update on bookingdb.ledger for each row execute function bookingdb.refuse_change()', 'create trigger _bookingdb_append_only before delete or update on bookingdb.ledger
for each row execute function bookingdb.refuse_change()'),
            ('public.booking_audit_log', '_bookingdb_append_only', 'create trigger _bookingdb_append_only before delete or update on public.booking_audit_log for each row execute function bookingdb.refuse_change()', 'create trigger _bookingdb_append_only before delete or update on public.booking_audit_log
for each row execute function bookingdb.refuse_change()'),
            ('public.sessions', '_bookingdb_no_truncate', 'create trigger _bookingdb_no_truncate before truncate on public.sessions for each statement execute function bookingdb.refuse_change()', 'create trigger _bookingdb_no_truncate before truncate on public.sessions
for each statement execute function bookingdb.refuse_change()'),
            ('public.user_credits', '_bookingdb_no_truncate', 'create trigger _bookingdb_no_truncate before truncate on public.user_credits for each statement execute function bookingdb.refuse_change()', 'create trigger _bookingdb_no_truncate before truncate on public.user_credits
for each statement execute function bookingdb.refuse_change()'),
            ('public.booking_audit_log', '_bookingdb_no_truncate', 'create trigger _bookingdb_no_truncate before truncate on public.booking_audit_log for each statement execute function bookingdb.refuse_change()', 'create trigger _bookingdb_no_truncate before truncate on public.booking_audit_log
for each statement execute function bookingdb.refuse_change()'),
            ('bookingdb.calendar', '_bookingdb_no_truncate', 'create trigger _bookingdb_no_truncate before truncate on bookingdb.calendar for each statement execute function bookingdb.refuse_change()', 'create trigger _bookingdb_no_truncate before truncate on bookingdb.calendar
for each statement execute function bookingdb.refuse_change()'),
            ('bookingdb.ledger', '_bookingdb_no_truncate', 'create trigger _bookingdb_no_truncate before truncate on bookingdb.ledger for each statement execute function bookingdb.refuse_change()', 'create trigger _bookingdb_no_truncate before truncate on bookingdb.ledger
for each statement execute function bookingdb.refuse_change()'),
            ('public.users', '_bookingdb_people_update', 'create trigger _bookingdb_people_update after update on public.users referencing old table as old_rows new table as new_rows for each statement execute function bookingdb.people_changed()', 'create trigger _bookingdb_people_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed()'),
            ('public.users', '_bookingdb_people_delete', 'create trigger _bookingdb_people_delete after delete on public.users referencing old table as old_rows for each statement execute function bookingdb.people_changed()', 'create trigger _bookingdb_people_delete after delete on public.users
referencing old table as old_rows
for each statement execute function bookingdb.people_changed()')
        ),
        existing as (
            select
                format('%I.%I', n.nspname, c.relname) as "table",
                quote_ident(t.tgname) as name,
                replace(replace(regexp_replace(lower((pg_get_triggerdef(t.oid)) collate "C"), '[[:space:]]+', ' ', 'g'), '( ', '('), ' )', ')')
                || case t.tgenabled when 'O' then '' else format(' [%s]', t.tgenabled) end as definition
            from pg_trigger as t
            inner join pg_class as c on c.oid = t.tgrelid
            inner join pg_namespace as n on n.oid = c.relnamespace
            where not t.tgisinternal and starts_with(t.tgname, '_bookingdb')
        )
        select s.statement
        from (
            select 1 as number, format('drop trigger %s on %s', e.name, e."table") as statement
            from existing as e
            where not exists (select from wanted as w where (w."table", w.name, w.definition) = (e."table", e.name, e.definition))
            union all
            select 2, w.statement
            from wanted as w
            where not exists (select from existing as e where (w."table", w.name, w.definition) = (e."table", e.name, e.definition))
        ) as s
        order by s.number
    )
    loop
        execute v_statement;
    end loop;
end;
$attachments$;

do $attachments$
declare
    v_statement text;
begin
    foreach v_statement in array array(
        with wanted ("table", name, definition, statement) as (
            values
            ('public.users', '_bookingdb_read', 'create policy _bookingdb_read on public.users for select to public using (((select bookingdb.caller_is_trusted() as caller_is_trusted) or (id = (select bookingdb.actor_id() as actor_id))))', 'create policy _bookingdb_read on public.users for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (id = (select bookingdb.actor_id() as actor_id))
    )
)'),
            ('public.sessions', '_bookingdb_read', 'create policy _bookingdb_read on public.sessions for select to public using (((select bookingdb.caller_is_trusted() as caller_is_trusted) or (user_id = (select bookingdb.actor_id() as actor_id)) or (therapist_id = (select bookingdb.actor_id() as actor_id))))', 'create policy _bookingdb_read on public.sessions for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
        or (therapist_id = (select bookingdb.actor_id() as actor_id))
    )
)'),
            ('public.user_credits', '_bookingdb_read', 'create policy _bookingdb_read on public.user_credits for select to public using (((select bookingdb.caller_is_trusted() as caller_is_trusted) or (user_id = (select bookingdb.actor_id() as actor_id))))', 'create policy _bookingdb_read on public.user_credits for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
    )
)'),
            ('public.booking_audit_log', '_bookingdb_read', 'create policy _bookingdb_read on public.booking_audit_log for select to public using ((select bookingdb.caller_is_trusted() as caller_is_trusted))', 'create policy _bookingdb_read on public.booking_audit_log for select to public
using ((select bookingdb.caller_is_trusted() as caller_is_trusted))'),
            ('bookingdb.calendar', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.calendar for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.calendar for all to public
using (false) with check (false)'),
            ('bookingdb.date_overrides', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.date_overrides for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.date_overrides for all to public
using (false) with check (false)'),
            ('bookingdb.history', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.history for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.history for all to public
using (false) with check (false)'),
            ('bookingdb.holds', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.holds for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.holds for all to public
using (false) with check (false)'),
            ('bookingdb.idempotency_keys', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.idempotency_keys for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.idempotency_keys for all to public
using (false) with check (false)'),
            ('bookingdb.ledger', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.ledger for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.ledger for all to public
using (false) with check (false)'),
            ('bookingdb.outbox', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.outbox for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.outbox for all to public
using (false) with check (false)'),
            ('bookingdb.policies', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.policies for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.policies for all to public
using (false) with check (false)'),
            ('bookingdb.rewritten_records', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.rewritten_records for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.rewritten_records for all to public
using (false) with check (false)'),
            ('bookingdb.selftest_people', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.selftest_people for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.selftest_people for all to public
using (false) with check (false)'),
            ('bookingdb.time_zones', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.time_zones for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.time_zones for all to public
using (false) with check (false)'),
            ('bookingdb.weekly_hours', '_bookingdb_deny', 'create policy _bookingdb_deny on bookingdb.weekly_hours for all to public using (false) with check (false)', 'create policy _bookingdb_deny on bookingdb.weekly_hours for all to public
using (false) with check (false)')
        ),
        existing as (
            select
                format('%I.%I', p.schemaname, p.tablename) as "table",
                quote_ident(p.policyname) as name,
                replace(replace(regexp_replace(lower((
                    format(
                        'create policy %I on %I.%I%s for %s to %s',
                        p.policyname, p.schemaname, p.tablename,
                        case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end,
                        p.cmd, array_to_string(p.roles, ', ')
                    )
                    || coalesce(' using (' || p.qual || ')', '')
                    || coalesce(' with check (' || p.with_check || ')', '')
                ) collate "C"), '[[:space:]]+', ' ', 'g'), '( ', '('), ' )', ')') as definition
            from pg_policies as p
            where p.schemaname = 'bookingdb'
                or (
                    p.schemaname = 'public'
                    and p.tablename = any (array['users', 'sessions', 'user_credits', 'booking_audit_log'])
                    and starts_with(p.policyname, '_bookingdb')
                )
        )
        select s.statement
        from (
            select 1 as number, format('drop policy %s on %s', e.name, e."table") as statement
            from existing as e
            where not exists (select from wanted as w where (w."table", w.name, w.definition) = (e."table", e.name, e.definition))
            union all
            select 2, w.statement
            from wanted as w
            where not exists (select from existing as e where (w."table", w.name, w.definition) = (e."table", e.name, e.definition))
            union all
            select 3, format('alter table %s enable row level security', t.name)
            from unnest(array['public.users', 'public.sessions', 'public.user_credits', 'public.booking_audit_log', 'bookingdb.calendar', 'bookingdb.date_overrides', 'bookingdb.history', 'bookingdb.holds', 'bookingdb.idempotency_keys', 'bookingdb.ledger', 'bookingdb.outbox', 'bookingdb.policies', 'bookingdb.rewritten_records', 'bookingdb.selftest_people', 'bookingdb.time_zones', 'bookingdb.weekly_hours']) as t (name)
            inner join pg_class as c on c.oid = t.name::regclass
            where not c.relrowsecurity
        ) as s
        order by s.number
    )
    loop
        execute v_statement;
    end loop;
end;
$attachments$;

-- Every GRANT and REVOKE. Hosts grant by default (PUBLIC executes new functions; older Supabase projects hand every new
-- table, function and sequence of public to anon and authenticated by name), so everything is taken away first, by name
-- and by exact signature, and then given.
--
--     anon               nothing
--     authenticated      the public functions and their twins; reading its own rows (policies.sql)
--     service_role       the public functions and their twins; reading and writing the application's tables
--     bookingdb_service  the public functions and their twins; reading the application's tables
--
-- Roles that do not exist are passed over; when they appear later, `bookingdb migrate` applies this file again.

-- The role for an application's own server on a plain Postgres: grant it to the login role that the server uses.
do $block$
begin
    if to_regrole('bookingdb_service') is null
        and exists (select from pg_roles as r where r.rolname = current_user and (r.rolcreaterole or r.rolsuper)) then
        create role bookingdb_service nologin;
    end if;
exception
    -- Roles belong to the whole server: another database's installation may have been a moment faster.
    when duplicate_object or unique_violation or insufficient_privilege then
        null;
end;
$block$;

do $block$
declare
    -- Public functions; each has a twin of the same name and arguments in bookingdb, which checks for itself.
    c_public constant text[] := array[
        'create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)',
        'book_session_with_override(uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text)',
        'book_series(uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text)',
        'hold_slot(uuid, uuid, date, time, integer, interval, text, text)',
        'book_hold(uuid, varchar, text, text, text)',
        'release_hold(uuid)',
        'reschedule_session(uuid, date, time, integer, text, text)',
        'cancel_session(uuid, text, boolean, text)',
        'approve_session(uuid, text)',
        'confirm_session(uuid, text)',
        'start_session(uuid, text)',
        'complete_session(uuid, text)',
        'mark_no_show(uuid, text)',
        'list_available_slots(uuid, date, date, integer, text, integer)',
        'list_available_days(uuid, date, date, integer, text, integer)',
        'list_opening_hours(uuid, date, date, text)',
        'next_available_slot(uuid, integer, timestamptz, text, integer)',
        'find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer)',
        'check_booking_conflict(uuid, date, time, time, text, uuid)',
        'register_client(text, text, uuid)',
        'register_therapist(text, text, uuid, text)',
        'set_therapist_active(uuid, boolean)',
        'get_weekly_hours(uuid)',
        'set_weekly_hours(uuid, jsonb)',
        'list_date_overrides(uuid, date, date)',
        'set_date_override(uuid, date, jsonb)',
        'list_time_off(uuid, timestamptz, timestamptz)',
        'add_time_off(uuid, timestamptz, timestamptz, text)',
        'remove_time_off(uuid)',
        'sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz)',
        'grant_credits(uuid, integer, text, timestamptz, text, text, integer)',
        'adjust_credits(uuid, integer, text, uuid, text)',
        'revoke_grant(uuid, text, text)',
        'expire_credits()',
        'get_credit_balance(uuid)',
        'get_credit_history(uuid, integer, timestamptz)',
        'get_credit_statement(uuid, timestamptz, timestamptz)',
        'get_policy(uuid)',
        'set_policy(jsonb, uuid)',
        'lock_for_booking(uuid[])'
    ];
    -- Asked by the row level security policies in the name of whoever reads a table.
    c_policies constant text[] := array[
        'caller_is_trusted()',
        'actor_id()'
    ];
    -- What only the functions above, triggers and the owner call.
    c_internal constant text[] := array[
        'actor()',
        'actor_email()',
        'authorise(uuid)',
        'authorise_anyone()',
        'authorise_therapist(uuid)',
        'authorise_trusted()',
        'book_once(text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean)',
        'blocked_time(bookingdb.effective_policy, tstzrange)',
        'book_slot(uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean)',
        'bookable_span(bookingdb.effective_policy)',
        'booked_session(uuid, integer)',
        'busy_times(bookingdb.effective_policy, tstzrange, interval, uuid)',
        'change_status(uuid, text, text, text)',
        'changed_session(uuid, integer)',
        'check_invariants()',
        'client_conflict(uuid, tstzrange, uuid)',
        'credits_balance(uuid)',
        'effective_role()',
        'find_answer(text, uuid, text, bytea)',
        'free_times(uuid[], tstzrange, interval, uuid, boolean)',
        'full_times(bookingdb.effective_policy, tstzrange, uuid)',
        'find_granted_lot(text, uuid, integer)',
        'held_slot(uuid)',
        'is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean)',
        'jwt_claims()',
        'later(timestamptz, interval)',
        'limit_wait()',
        'local_days(date, date, text)',
        'local_instant(date, time, text)',
        'local_windows(text, jsonb)',
        'lock_key(bigint, boolean, boolean)',
        'lock_people(uuid[], boolean)',
        'lock_session(uuid)',
        'next_start(bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean)',
        'occupies_time(text)',
        'occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz)',
        'open_hold(uuid)',
        'opening_times(uuid[], timestamptz, timestamptz)',
        'part_in_session(public.sessions)',
        'people_changed()',
        'period_context(uuid, tstzrange)',
        'person_key(uuid)',
        'policies_of(uuid[])',
        'policy_of(uuid)',
        'raise_error(text, jsonb)',
        'record_balance_change()',
        'record_session_change()',
        'refresh_time_zones()',
        'refusal_context(text, bookingdb.effective_policy, tstzrange, uuid, boolean)',
        'refuse_change()',
        'register_person(text, text, uuid, text, boolean)',
        'remember_answer(text, uuid, text, bytea, uuid, integer)',
        'remove_selftest_people()',
        'request_hash(jsonb)',
        'require_booking_texts(text, text, text, text)',
        'require_credit_account(uuid)',
        'require_duration(integer, bookingdb.effective_policy)',
        'require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean)',
        'require_instant(text, timestamptz)',
        'require_length(text, text, integer, integer)',
        'require_people(uuid, uuid)',
        'require_therapist(uuid)',
        'require_to_come(timestamptz)',
        'require_transition(public.sessions, text)',
        'resolve_time_zone(text, uuid)',
        'return_credit(public.sessions)',
        'role_is_trusted(name)',
        'slot_policy(uuid, integer, integer)',
        'slot_starts(tstzmultirange, text, integer, integer)',
        'session_changes(public.sessions, public.sessions)',
        'sessions_changed()',
        'sessions_within(uuid, tstzrange[])',
        'span_of_dates(date, date, text)',
        'steady_offset(date, date, text)',
        'sync_calendar(uuid[])',
        'take_credit(uuid, uuid)',
        'tell_of_availability(uuid)',
        'tell_of_credits(text, uuid, uuid, integer, uuid)',
        'tell_of_hold(text, uuid)',
        'unplaced_sessions()',
        'utc(timestamptz)',
        'wall_clock_instant(timestamp, text)',
        'write_session(uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, '
        'boolean)'
    ];
    c_public_tables constant text[] := array['users', 'sessions', 'user_credits', 'booking_audit_log'];
    c_internal_tables constant text[] := array[
        'calendar', 'clients', 'date_overrides', 'history', 'holds', 'idempotency_keys', 'ledger', 'outbox', 'policies',
        'rewritten_records', 'selftest_people', 'therapists', 'time_zones', 'weekly_hours'
    ];
    v_callers constant text := (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('authenticated', 'service_role', 'bookingdb_service')
    );
    v_everyone constant text := concat_ws(', ', 'public', (
        select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role', 'bookingdb_service')
    ));
    v_name text;
begin
    execute format('revoke all on schema bookingdb from %s', v_everyone);
    foreach v_name in array c_public loop
        execute format('revoke all on function public.%s from %s', v_name, v_everyone);
        execute format('revoke all on function bookingdb.%s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_policies || c_internal loop
        execute format('revoke all on function bookingdb.%s from %s', v_name, v_everyone);
    end loop;
    foreach v_name in array c_public_tables loop
        execute format('revoke all on table public.%I from %s', v_name, v_everyone);
    end loop;
    execute format('revoke all on sequence public.booking_audit_log_id_seq from %s', v_everyone);
    execute format('revoke all on all sequences in schema bookingdb from %s', v_everyone);
    foreach v_name in array c_internal_tables loop
        execute format('revoke all on table bookingdb.%I from %s', v_name, v_everyone);
    end loop;

    if v_callers is not null then
        execute format('grant usage on schema bookingdb to %s', v_callers);
        foreach v_name in array c_public loop
            execute format('grant execute on function public.%s to %s', v_name, v_callers);
            execute format('grant execute on function bookingdb.%s to %s', v_name, v_callers);
        end loop;
        foreach v_name in array c_policies loop
            execute format('grant execute on function bookingdb.%s to %s', v_name, v_callers);
        end loop;
        execute format('grant select on table public.users, public.sessions, public.user_credits to %s', v_callers);
    end if;

    if to_regrole('bookingdb_service') is not null then
        grant select on table public.booking_audit_log to bookingdb_service;
    end if;

    -- service_role is an application's own server on Supabase, and may still write the tables directly.
    if to_regrole('service_role') is not null then
        grant insert, update, delete on table public.users, public.sessions, public.user_credits to service_role;
        grant select on table public.booking_audit_log to service_role;
    end if;
end;
$block$;

select bookingdb.refresh_time_zones();

insert into bookingdb.history (kind, name, checksum, version, details) values ('functions', 'standalone', '2557fe7f5351f4667920458217ca4e195dd16c380436a708e5357ce353fea85a', '0.1.0', '{"adapter": "standalone", "functions": ["bookingdb.actor()", "bookingdb.actor_email()", "bookingdb.actor_id()", "bookingdb.add_time_off(uuid, timestamptz, timestamptz, text)", "bookingdb.adjust_credits(uuid, integer, text, uuid, text)", "bookingdb.approve_session(uuid, text)", "bookingdb.authorise(uuid)", "bookingdb.authorise_anyone()", "bookingdb.authorise_therapist(uuid)", "bookingdb.authorise_trusted()", "bookingdb.blocked_time(bookingdb.effective_policy, tstzrange)", "bookingdb.book_hold(uuid, varchar, text, text, text)", "bookingdb.book_once(text, uuid, uuid, date, time, integer, varchar, text, text, text, text, boolean)", "bookingdb.book_series(uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text)", "bookingdb.book_session_with_override(uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text)", "bookingdb.book_slot(uuid, uuid, date, time, text, tstzrange, varchar, text, text, uuid, boolean)", "bookingdb.bookable_span(bookingdb.effective_policy)", "bookingdb.booked_session(uuid, integer)", "bookingdb.busy_times(bookingdb.effective_policy, tstzrange, interval, uuid)", "bookingdb.caller_is_trusted()", "bookingdb.cancel_session(uuid, text, boolean, text)", "bookingdb.change_status(uuid, text, text, text)", "bookingdb.changed_session(uuid, integer)", "bookingdb.check_booking_conflict(uuid, date, time, time, text, uuid)", "bookingdb.check_invariants()", "bookingdb.client_conflict(uuid, tstzrange, uuid)", "bookingdb.complete_session(uuid, text)", "bookingdb.confirm_session(uuid, text)", "bookingdb.create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)", "bookingdb.credits_balance(uuid)", "bookingdb.effective_role()", "bookingdb.expire_credits()", "bookingdb.find_answer(text, uuid, text, bytea)", "bookingdb.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer)", "bookingdb.find_granted_lot(text, uuid, integer)", "bookingdb.free_times(uuid[], tstzrange, interval, uuid, boolean)", "bookingdb.full_times(bookingdb.effective_policy, tstzrange, uuid)", "bookingdb.get_credit_balance(uuid)", "bookingdb.get_credit_history(uuid, integer, timestamptz)", "bookingdb.get_credit_statement(uuid, timestamptz, timestamptz)", "bookingdb.get_policy(uuid)", "bookingdb.get_weekly_hours(uuid)", "bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer)", "bookingdb.held_slot(uuid)", "bookingdb.hold_slot(uuid, uuid, date, time, integer, interval, text, text)", "bookingdb.is_free(bookingdb.effective_policy, tstzrange, uuid, boolean, boolean)", "bookingdb.jwt_claims()", "bookingdb.later(timestamptz, interval)", "bookingdb.limit_wait()", "bookingdb.list_available_days(uuid, date, date, integer, text, integer)", "bookingdb.list_available_slots(uuid, date, date, integer, text, integer)", "bookingdb.list_date_overrides(uuid, date, date)", "bookingdb.list_opening_hours(uuid, date, date, text)", "bookingdb.list_time_off(uuid, timestamptz, timestamptz)", "bookingdb.local_days(date, date, text)", "bookingdb.local_instant(date, time, text)", "bookingdb.local_windows(text, jsonb)", "bookingdb.lock_for_booking(uuid[])", "bookingdb.lock_key(bigint, boolean, boolean)", "bookingdb.lock_people(uuid[], boolean)", "bookingdb.lock_session(uuid)", "bookingdb.mark_no_show(uuid, text)", "bookingdb.next_available_slot(uuid, integer, timestamptz, text, integer)", "bookingdb.next_start(bookingdb.effective_policy, interval, timestamptz, integer, uuid, boolean)", "bookingdb.occupies_time(text)", "bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz)", "bookingdb.open_hold(uuid)", "bookingdb.opening_times(uuid[], timestamptz, timestamptz)", "bookingdb.part_in_session(public.sessions)", "bookingdb.people_changed()", "bookingdb.period_context(uuid, tstzrange)", "bookingdb.person_key(uuid)", "bookingdb.policies_of(uuid[])", "bookingdb.policy_of(uuid)", "bookingdb.raise_error(text, jsonb)", "bookingdb.record_balance_change()", "bookingdb.record_session_change()", "bookingdb.refresh_time_zones()", "bookingdb.refusal_context(text, bookingdb.effective_policy, tstzrange, uuid, boolean)", "bookingdb.refuse_change()", "bookingdb.register_client(text, text, uuid)", "bookingdb.register_person(text, text, uuid, text, boolean)", "bookingdb.register_therapist(text, text, uuid, text)", "bookingdb.release_hold(uuid)", "bookingdb.remember_answer(text, uuid, text, bytea, uuid, integer)", "bookingdb.remove_selftest_people()", "bookingdb.remove_time_off(uuid)", "bookingdb.request_hash(jsonb)", "bookingdb.require_booking_texts(text, text, text, text)", "bookingdb.require_credit_account(uuid)", "bookingdb.require_duration(integer, bookingdb.effective_policy)", "bookingdb.require_free_time(bookingdb.effective_policy, tstzrange, uuid, boolean)", "bookingdb.require_instant(text, timestamptz)", "bookingdb.require_length(text, text, integer, integer)", "bookingdb.require_people(uuid, uuid)", "bookingdb.require_therapist(uuid)", "bookingdb.require_to_come(timestamptz)", "bookingdb.require_transition(public.sessions, text)", "bookingdb.reschedule_session(uuid, date, time, integer, text, text)", "bookingdb.resolve_time_zone(text, uuid)", "bookingdb.return_credit(public.sessions)", "bookingdb.revoke_grant(uuid, text, text)", "bookingdb.role_is_trusted(name)", "bookingdb.session_changes(public.sessions, public.sessions)", "bookingdb.sessions_changed()", "bookingdb.sessions_within(uuid, tstzrange[])", "bookingdb.set_date_override(uuid, date, jsonb)", "bookingdb.set_policy(jsonb, uuid)", "bookingdb.set_therapist_active(uuid, boolean)", "bookingdb.set_weekly_hours(uuid, jsonb)", "bookingdb.slot_policy(uuid, integer, integer)", "bookingdb.slot_starts(tstzmultirange, text, integer, integer)", "bookingdb.span_of_dates(date, date, text)", "bookingdb.start_session(uuid, text)", "bookingdb.steady_offset(date, date, text)", "bookingdb.sync_calendar(uuid[])", "bookingdb.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz)", "bookingdb.take_credit(uuid, uuid)", "bookingdb.tell_of_availability(uuid)", "bookingdb.tell_of_credits(text, uuid, uuid, integer, uuid)", "bookingdb.tell_of_hold(text, uuid)", "bookingdb.unplaced_sessions()", "bookingdb.utc(timestamptz)", "bookingdb.wall_clock_instant(timestamp, text)", "bookingdb.write_session(uuid, uuid, bookingdb.effective_policy, date, time, text, tstzrange, varchar, text, text, uuid, boolean)", "public.add_time_off(uuid, timestamptz, timestamptz, text)", "public.adjust_credits(uuid, integer, text, uuid, text)", "public.approve_session(uuid, text)", "public.book_hold(uuid, varchar, text, text, text)", "public.book_series(uuid, uuid, date, time, integer, interval, integer, varchar, text, text, text, text)", "public.book_session_with_override(uuid, uuid, date, time, integer, varchar, text, text, text, boolean, text)", "public.cancel_session(uuid, text, boolean, text)", "public.check_booking_conflict(uuid, date, time, time, text, uuid)", "public.complete_session(uuid, text)", "public.confirm_session(uuid, text)", "public.create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)", "public.expire_credits()", "public.find_available_therapists(timestamptz, timestamptz, integer, uuid[], integer)", "public.get_credit_balance(uuid)", "public.get_credit_history(uuid, integer, timestamptz)", "public.get_credit_statement(uuid, timestamptz, timestamptz)", "public.get_policy(uuid)", "public.get_weekly_hours(uuid)", "public.grant_credits(uuid, integer, text, timestamptz, text, text, integer)", "public.hold_slot(uuid, uuid, date, time, integer, interval, text, text)", "public.list_available_days(uuid, date, date, integer, text, integer)", "public.list_available_slots(uuid, date, date, integer, text, integer)", "public.list_date_overrides(uuid, date, date)", "public.list_opening_hours(uuid, date, date, text)", "public.list_time_off(uuid, timestamptz, timestamptz)", "public.lock_for_booking(uuid[])", "public.mark_no_show(uuid, text)", "public.next_available_slot(uuid, integer, timestamptz, text, integer)", "public.register_client(text, text, uuid)", "public.register_therapist(text, text, uuid, text)", "public.release_hold(uuid)", "public.remove_time_off(uuid)", "public.reschedule_session(uuid, date, time, integer, text, text)", "public.revoke_grant(uuid, text, text)", "public.set_date_override(uuid, date, jsonb)", "public.set_policy(jsonb, uuid)", "public.set_therapist_active(uuid, boolean)", "public.set_weekly_hours(uuid, jsonb)", "public.start_session(uuid, text)", "public.sync_external_busy(uuid, text, jsonb, timestamptz, timestamptz)"]}'::jsonb || jsonb_build_object('roles', array(select r.rolname::text from pg_roles as r where r.rolname = any (array['anon', 'authenticated', 'service_role', 'bookingdb_service']) order by 1)));

notify pgrst, 'reload schema';

commit;
