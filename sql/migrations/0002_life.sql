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
