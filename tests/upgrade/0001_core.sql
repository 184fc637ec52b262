-- What `bookingdb migrate` ran for the first version, of which 0001_core is the only migration: printed by
-- `bookingdb migrate --dry-run` of commit 51dfd88, and never edited. tests/install/test_upgrade.py begins with it.

begin;

set local search_path = '';

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

    if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;

    return bookingdb.therapist_conflict(p_therapist_id, tstzrange(v_start, v_end), p_exclude_session_id);
end;
$function$;

comment on function bookingdb.check_booking_conflict(uuid, date, time, time, text, uuid) is
'Whether the therapist is busy at this time. Writes nothing, takes no lock, may be asked about the past. Twin of the public function of this name. Raises not_authenticated, invalid_therapist_id, invalid_time_zone, invalid_date, invalid_time, skipped_time, therapist_not_found.';

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

    -- 4. At most one debit and one refund a session, the refund only after the debit and of its lot; a session that a
    -- function of ours booked has its debit.
    return query
    select 4, e.session_id, 'more than one debit or refund', jsonb_build_object('kind', e.kind, 'entries', count(*))
    from bookingdb.ledger as e
    where e.session_id is not null
    group by e.session_id, e.kind
    having count(*) > 1;

    return query
    select 4, r.session_id, 'refund without an earlier debit of the same lot', jsonb_build_object('entry_id', r.id)
    from bookingdb.ledger as r
    where r.kind = 'refund'
        and not exists (
            select from bookingdb.ledger as d
            where d.session_id = r.session_id
                and d.kind = 'debit'
                and d.lot_id = r.lot_id
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
            k.function_name <> 'grant_credits'
            and not exists (select from public.sessions as s where s.id = k.result_id)
            and not exists (
                select from public.booking_audit_log as a
                where a.session_id = k.result_id and a.action = 'deleted'
            )
        )
        or (
            k.function_name = 'grant_credits'
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
declare
    c_function_name constant text := 'create_session_with_credit_deduction';
    v_request_hash bytea;
    v_answer bookingdb.idempotency_keys;
    v_time_zone text;
    v_start timestamptz;
    v_end timestamptz;
    v_session_id uuid;
    v_booked bookingdb.booked_session;
begin
    -- 1. Who is asking, and may they act for this user?
    perform bookingdb.authorise(p_user_id);

    -- 2. Formats and ranges.
    if p_therapist_id is null then
        perform bookingdb.raise_error('invalid_therapist_id');
    end if;
    if p_duration_minutes is null or p_duration_minutes not between 15 and 180 then
        perform bookingdb.raise_error('invalid_duration');
    end if;
    perform bookingdb.require_length('p_session_type', coalesce(p_session_type, ''), 1, 50);
    perform bookingdb.require_length('p_title', coalesce(p_title, ''), 1, 255);
    perform bookingdb.require_length('p_notes', p_notes, 0, 10000);
    perform bookingdb.require_length('p_idempotency_key', p_idempotency_key, 1, 255);
    v_time_zone := bookingdb.resolve_time_zone(p_time_zone, p_therapist_id);
    v_start := bookingdb.local_instant(p_session_date, p_session_time, v_time_zone);
    -- Minutes on an instant: a session may cross midnight or a clock change and is as long as it says.
    v_end := v_start + make_interval(mins => p_duration_minutes);

    -- 3. A key that was answered before is answered again, also when the time has passed meanwhile.
    if p_idempotency_key is not null then
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_therapist_id, p_session_date, p_session_time, p_duration_minutes, p_session_type, p_notes, p_title,
            p_time_zone
        ));
        v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
    end if;

    if v_answer.result_id is null then
        -- 4. Locks. The statements after them see what the last holder committed.
        perform bookingdb.lock_people(array[p_therapist_id, p_user_id]);

        -- 5. The same request may have been answered while we waited, a person deactivated.
        if p_idempotency_key is not null then
            v_answer := bookingdb.find_answer(c_function_name, p_user_id, p_idempotency_key, v_request_hash);
        end if;
    end if;

    if v_answer.result_id is not null then
        select s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time,
            s.start_time, s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
            v_answer.credits_balance
        into v_booked
        from public.sessions as s
        where s.id = v_answer.result_id;
        if not found then
            perform bookingdb.raise_error('session_not_found', jsonb_build_object('session_id', v_answer.result_id));
        end if;
        return v_booked;
    end if;

    if not exists (select from bookingdb.therapists as t where t.id = p_therapist_id) then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
    if not exists (select from bookingdb.clients as c where c.id = p_user_id) then
        perform bookingdb.raise_error('user_not_found', jsonb_build_object('user_id', p_user_id));
    end if;

    -- 6. Time rules, then conflicts; 7. the calendar row. The clock is read here: the call may have waited long.
    if v_start < clock_timestamp() then
        perform bookingdb.raise_error('in_past', jsonb_build_object('start_time', bookingdb.utc(v_start)));
    end if;
    v_session_id := gen_random_uuid();
    perform bookingdb.occupy_time(v_session_id, p_therapist_id, p_user_id, tstzrange(v_start, v_end));

    -- 8. One credit from one lot.
    perform bookingdb.take_credit(p_user_id, v_session_id);

    -- 9. The session. Its triggers find the calendar in step, and write the audit row and the event.
    insert into public.sessions as s (
        id, user_id, therapist_id, title, description, scheduled_date, scheduled_time, start_time, end_time,
        duration_minutes, session_type, status, time_zone, credits_charged
    )
    values (
        v_session_id, p_user_id, p_therapist_id, p_title, coalesce(p_notes, ''), p_session_date, p_session_time,
        v_start, v_end, p_duration_minutes, p_session_type, 'scheduled', v_time_zone, 1
    )
    returning s.id, s.user_id, s.therapist_id, s.title, s.description, s.scheduled_date, s.scheduled_time, s.start_time,
        s.end_time, s.duration_minutes, s.session_type, s.status, s.created_at, s.time_zone,
        bookingdb.credits_balance(p_user_id)
    into v_booked;
    if not found then
        -- A BEFORE trigger of the application swallowed the row: everything is undone with it.
        raise exception using errcode = 'internal_error', message = 'Booking failed';
    end if;

    if p_idempotency_key is not null then
        insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id, credits_balance)
        values (
            c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_session_id, v_booked.credits_balance
        )
        -- Under the lock nobody else's is there, but REPEATABLE READ may hide one: Postgres then raises its own 40001.
        on conflict do nothing;
    end if;

    -- 10.
    return v_booked;
end;
$function$;

comment on function bookingdb.create_session_with_credit_deduction(
    uuid, uuid, date, time, integer, varchar, text, text, text, text
) is
'Books a session and takes one credit for it, or changes nothing. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_therapist_id, invalid_duration, invalid_parameter, invalid_time_zone, invalid_date, invalid_time, skipped_time, idempotency_key_reused, session_not_found (the session of a key was deleted), busy, therapist_not_found, user_not_found, in_past, booking_conflict, client_conflict, insufficient_credits.';

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

create or replace function bookingdb.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text,
    p_expires_at timestamptz,
    p_idempotency_key text
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

    if p_idempotency_key is not null then
        -- The expiry as a number: as text it would depend on the connection's TimeZone.
        v_request_hash := bookingdb.request_hash(jsonb_build_array(
            p_amount, p_payment_reference, extract(epoch from p_expires_at)::text
        ));
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
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            values (p_user_id, v_lot_id, 'grant', p_amount, p_amount, bookingdb.actor());

            insert into public.user_credits (
                id, user_id, credits_balance, credits_purchased, expires_at, payment_reference
            )
            values (v_lot_id, p_user_id, p_amount, p_amount, p_expires_at, p_payment_reference);
            if not found then
                -- A BEFORE trigger of the application swallowed the lot: everything is undone with it.
                raise exception using errcode = 'internal_error', message = 'Booking failed';
            end if;

            insert into bookingdb.outbox (event, subject_id, payload)
            values ('credits.granted', v_lot_id, jsonb_build_object(
                'lot_id', v_lot_id, 'user_id', p_user_id, 'amount', p_amount
            ));
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

    if p_idempotency_key is not null and v_answer.result_id is null then
        insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id, credits_balance)
        values (c_function_name, p_user_id, p_idempotency_key, v_request_hash, v_lot_id, v_grant.credits_balance)
        -- Under the lock nobody else's is there, but REPEATABLE READ may hide one: Postgres then raises its own 40001.
        on conflict do nothing;
    end if;
    return v_grant;
end;
$function$;

comment on function bookingdb.grant_credits(uuid, integer, text, timestamptz, text) is
'Gives a client a lot of credits, once for a payment reference and once for an idempotency key. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_user_id, invalid_parameter (p_amount 1 to 10000, p_expires_at to come), user_not_found, idempotency_key_reused (also a payment reference of another user or amount), busy.';

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

create or replace function bookingdb.local_instant(p_date date, p_time time, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $function$
declare
    v_local timestamp;
    v_instant timestamptz;
    v_day_before timestamptz;
    v_first timestamptz;
begin
    -- TimeZone is set above because Postgres 18 looks a zone's name up among the abbreviations of the connection's
    -- TimeZone first, and with '<EUROPE/BERLIN>+9' that is one.

    -- The range before any arithmetic: 'infinity', BC and the year 294276 all overflow something further on.
    if p_date is null or p_date < date '1900-01-01' or p_date > date '2999-12-31' then
        perform bookingdb.raise_error('invalid_date');
    end if;
    if p_time is null or extract(second from p_time) <> 0 or p_time = time '24:00' then
        perform bookingdb.raise_error('invalid_time');
    end if;

    v_local := p_date + p_time;
    v_instant := v_local at time zone p_time_zone;

    -- A local time that the clocks jump over comes back as another one.
    if v_instant at time zone p_time_zone <> v_local then
        perform bookingdb.raise_error('skipped_time', jsonb_build_object('time_zone', p_time_zone));
    end if;

    -- Of a local time that occurs twice Postgres takes the second; we mean the first, like everybody's calendar.
    -- The first is the one with the offset that held the day before.
    v_day_before := v_instant - interval '24 hours';
    v_first := (v_local - (v_day_before at time zone p_time_zone - v_day_before at time zone interval '0'))
        at time zone interval '0';
    if v_first < v_instant and v_first at time zone p_time_zone = v_local then
        return v_first;
    end if;
    return v_instant;
end;
$function$;

comment on function bookingdb.local_instant(date, time, text) is
'The instant of a local date and time in a zone (one that resolve_time_zone returned). A time that occurs twice means the first. Raises invalid_date, invalid_time, skipped_time.';

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
        if p_shared then
            perform pg_advisory_xact_lock_shared(p_key);
        else
            perform pg_advisory_xact_lock(p_key);
        end if;
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
    p_session_id uuid,
    p_therapist_id uuid,
    p_client_id uuid,
    p_period tstzrange
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_context constant jsonb := jsonb_build_object(
        'therapist_id', p_therapist_id,
        'start_time', bookingdb.utc(lower(p_period)),
        'end_time', bookingdb.utc(upper(p_period))
    );
    v_constraint text;
begin
    if bookingdb.therapist_conflict(p_therapist_id, p_period, p_session_id) then
        perform bookingdb.raise_error('booking_conflict', v_context);
    end if;
    if bookingdb.client_conflict(p_client_id, p_period, p_session_id) then
        perform bookingdb.raise_error('client_conflict', v_context);
    end if;

    -- A hold that ran out blocks nobody, but its row would still hit the constraint.
    delete from bookingdb.calendar as c
    where c.kind = 'hold'
        and c.expires_at <= clock_timestamp()
        and (
            (c.therapist_id = p_therapist_id and c.blocked && p_period)
            or (c.client_id = p_client_id and c.period && p_period)
        );

    if current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then
        -- Under the locks of both people the look-ups above saw everything: no subtransaction is needed.
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
        values (p_session_id, 'session', p_therapist_id, p_client_id, p_period, p_period);
        return;
    end if;

    -- REPEATABLE READ and SERIALIZABLE look at an old snapshot; what it hides, the constraints find.
    begin
        insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)
        values (p_session_id, 'session', p_therapist_id, p_client_id, p_period, p_period);
    exception
        when exclusion_violation then
            get stacked diagnostics v_constraint = constraint_name;
            if v_constraint = 'calendar_client_excl' then
                perform bookingdb.raise_error('client_conflict', v_context);
            end if;
            perform bookingdb.raise_error('booking_conflict', v_context);
    end;
end;
$function$;

comment on function bookingdb.occupy_time(uuid, uuid, uuid, tstzrange) is
'Gives a session its row in the calendar. The caller holds the locks of both people (lock_people). Raises booking_conflict (the therapist''s, looked for first), client_conflict.';

create or replace function bookingdb.people_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
declare
    v_people uuid[];
begin
    if tg_op = 'DELETE' then
        v_people := array(select o.id from old_rows as o);
    else
        v_people := array(
            select o.id
            from old_rows as o
            left join new_rows as n on n.id = o.id
            where n.id is null
                or (n.user_type, n.is_active, n.is_verified) is distinct from (o.user_type, o.is_active, o.is_verified)
        );
    end if;

    if cardinality(v_people) > 0 then
        -- A deletion does not wait: a booking that holds the person's lock goes on to look at the row (by its foreign
        -- key) that is locked here already, so the two would wait for each other.
        perform bookingdb.lock_people(v_people, p_wait => tg_op <> 'DELETE');
    end if;
    return null;
end;
$function$;

comment on function bookingdb.people_changed() is
'Trigger of the adapter standalone: a change of who can be booked or book waits for the bookings in flight, and they for it; a deletion is refused while there are any. Raises busy.';

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
        insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, actor)
        values (new.id, new.user_id, v_action, null, new.status, v_actor);
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
        if current_setting('is_superuser')::boolean then
            return case tg_op when 'DELETE' then old else new end;
        end if;
        -- Only what was written since the person was listed: listing a real client opens nothing.
        if tg_op = 'DELETE' and exists (
            select from bookingdb.selftest_people as p
            where p.id = old.user_id and p.created_at <= old.created_at
        ) then
            return old;
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
'Trigger that keeps ledger and audit log append-only for everybody but a superuser, and refuses TRUNCATE to everybody. Raises 42501.';

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
begin
    if v_email is null or char_length(v_email) > 320 or v_email !~ '^[^@[:space:]]+@[^@[:space:]]+$' then
        perform bookingdb.raise_error('invalid_parameter', jsonb_build_object('parameter', 'p_email'));
    end if;
    perform bookingdb.require_length('p_full_name', p_full_name, 0, 255);

    -- Waits for nobody's booking, only for somebody who registers the same person at this moment.
    begin
        insert into public.users as u (id, email, full_name, user_type, is_active, is_verified)
        values (coalesce(p_user_id, gen_random_uuid()), v_email, p_full_name, p_user_type, true, true)
        on conflict do nothing
        returning u.id into v_person.id;
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
        update public.users as u
        set email = v_email,
            full_name = coalesce(p_full_name, u.full_name),
            is_active = true,
            is_verified = true,
            updated_at = now()
        where u.id = v_person.id;
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

create or replace function bookingdb.set_therapist_active(p_therapist_id uuid, p_active boolean)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $function$
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
        update public.users as u
        set is_active = p_active,
            updated_at = now()
        where u.id = p_therapist_id and u.user_type = 'therapist';
    exception
        when lock_not_available then
            perform bookingdb.raise_error('busy');
    end;
    if not found then
        perform bookingdb.raise_error('therapist_not_found', jsonb_build_object('therapist_id', p_therapist_id));
    end if;
end;
$function$;

comment on function bookingdb.set_therapist_active(uuid, boolean) is
'Opens or closes a therapist for booking; once it is committed, no booking in READ COMMITTED that was waiting can still succeed. Trusted callers only. Twin of the public function of this name. Raises not_authenticated, not_allowed, invalid_therapist_id, invalid_parameter, therapist_not_found, busy.';

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
    v_session record;
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
    left join bookingdb.calendar as c on c.id = i.id
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
    delete from bookingdb.calendar as c
    where c.id = any (v_changed_ids) and c.kind = 'session';

    for v_session in
        select
            s.id,
            s.therapist_id,
            s.user_id,
            s.start_time,
            s.end_time
        from public.sessions as s
        where s.id = any (v_changed_ids)
            and bookingdb.occupies_time(s.status)
            and (s.therapist_id is not null or s.user_id is not null)
            and s.start_time < s.end_time
            and isfinite(s.start_time)
            and isfinite(s.end_time)
        order by s.start_time, s.id
    loop
        perform bookingdb.occupy_time(
            v_session.id,
            v_session.therapist_id,
            v_session.user_id,
            tstzrange(v_session.start_time, v_session.end_time)
        );
    end loop;
end;
$function$;

comment on function bookingdb.sync_calendar(uuid[]) is
'Makes the calendar rows of these sessions what the sessions say, deleted and inactive ones included. Raises booking_conflict, client_conflict, busy.';

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
begin
    -- The lot that expires soonest, then the oldest, then by id. Only direct writers can hold its lock: the caller has
    -- the client's. So it is almost always free, and waiting (which needs a subtransaction, to tell lock_timeout by its
    -- name) is left to the second try. The conditions stand twice, because a row that was changed between our look and
    -- its lock is held against the outer ones alone.
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
        order by l.expires_at asc nulls last, l.created_at asc, l.id asc
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
            select l.id, l.credits_balance
            into v_lot_id, v_balance
            from public.user_credits as l
            where l.user_id = p_user_id
                and l.user_type = 'user'
                and l.status = 'active'
                and l.credits_balance > 0
                and (l.expires_at is null or l.expires_at > v_now)
            order by l.expires_at asc nulls last, l.created_at asc, l.id asc
            limit 1
            for update;
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
        credits_used = c.credits_used + 1,
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

create or replace function bookingdb.therapist_conflict(p_therapist_id uuid, p_blocked tstzrange, p_except_id uuid)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $function$
begin
    -- Two look-ups, because two indexes cover the kinds: the exclusion constraint's and that of the absences.
    return exists (
        select from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && p_blocked
            and c.kind in ('session', 'hold')
            and (c.kind = 'session' or c.expires_at > clock_timestamp())
            and c.id is distinct from p_except_id
    ) or exists (
        select from bookingdb.calendar as c
        where c.therapist_id = p_therapist_id
            and c.blocked && p_blocked
            and c.kind in ('time_off', 'external')
    );
end;
$function$;

comment on function bookingdb.therapist_conflict(uuid, tstzrange, uuid) is
'Whether a therapist is busy: a session, a live hold, time off or an external appointment overlaps this time, other than the calendar row with the given id. The one definition that the check, the booking and the triggers share.';

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

create or replace function public.grant_credits(
    p_user_id uuid,
    p_amount integer,
    p_payment_reference text default null,
    p_expires_at timestamptz default null,
    p_idempotency_key text default null
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
    from bookingdb.grant_credits(p_user_id, p_amount, p_payment_reference, p_expires_at, p_idempotency_key) as g;
end;
$function$;

comment on function public.grant_credits(uuid, integer, text, timestamptz, text) is
'Gives a client p_amount (1 to 10000) credits as one lot, which expires at p_expires_at or never; returns the lot''s id, what is in it, and the client''s total. The same payment reference, or the same idempotency key, never grants twice: it returns the same lot. For trusted callers. Errors: docs/errors.md.';

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

create trigger _bookingdb_calendar_insert after insert on public.sessions
referencing new table as new_rows
for each statement execute function bookingdb.sessions_changed();

create trigger _bookingdb_calendar_update after update on public.sessions
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.sessions_changed();

create trigger _bookingdb_calendar_delete after delete on public.sessions
referencing old table as old_rows
for each statement execute function bookingdb.sessions_changed();

create trigger _bookingdb_audit after insert or delete or update on public.sessions
for each row execute function bookingdb.record_session_change();

create trigger _bookingdb_ledger after insert or delete or update on public.user_credits
for each row execute function bookingdb.record_balance_change();

create trigger _bookingdb_append_only before delete or update on bookingdb.ledger
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_append_only before delete or update on public.booking_audit_log
for each row execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.sessions
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.user_credits
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on public.booking_audit_log
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.calendar
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_no_truncate before truncate on bookingdb.ledger
for each statement execute function bookingdb.refuse_change();

create trigger _bookingdb_people_update after update on public.users
referencing old table as old_rows new table as new_rows
for each statement execute function bookingdb.people_changed();

create trigger _bookingdb_people_delete after delete on public.users
referencing old table as old_rows
for each statement execute function bookingdb.people_changed();

create policy _bookingdb_read on public.users for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.sessions for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
        or (therapist_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.user_credits for select to public
using (
    (
        (select bookingdb.caller_is_trusted() as caller_is_trusted)
        or (user_id = (select bookingdb.actor_id() as actor_id))
    )
);

create policy _bookingdb_read on public.booking_audit_log for select to public
using ((select bookingdb.caller_is_trusted() as caller_is_trusted));

alter table public.users enable row level security;

alter table public.sessions enable row level security;

alter table public.user_credits enable row level security;

alter table public.booking_audit_log enable row level security;

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
        'check_booking_conflict(uuid, date, time, time, text, uuid)',
        'register_client(text, text, uuid)',
        'register_therapist(text, text, uuid, text)',
        'set_therapist_active(uuid, boolean)',
        'grant_credits(uuid, integer, text, timestamptz, text)',
        'get_credit_balance(uuid)',
        'get_credit_history(uuid, integer, timestamptz)',
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
        'authorise_trusted()',
        'check_invariants()',
        'client_conflict(uuid, tstzrange, uuid)',
        'credits_balance(uuid)',
        'effective_role()',
        'find_answer(text, uuid, text, bytea)',
        'find_granted_lot(text, uuid, integer)',
        'jwt_claims()',
        'local_instant(date, time, text)',
        'lock_key(bigint, boolean, boolean)',
        'lock_people(uuid[], boolean)',
        'occupies_time(text)',
        'occupy_time(uuid, uuid, uuid, tstzrange)',
        'people_changed()',
        'person_key(uuid)',
        'raise_error(text, jsonb)',
        'record_balance_change()',
        'record_session_change()',
        'refresh_time_zones()',
        'refuse_change()',
        'register_person(text, text, uuid, text, boolean)',
        'remove_selftest_people()',
        'request_hash(jsonb)',
        'require_credit_account(uuid)',
        'require_length(text, text, integer, integer)',
        'resolve_time_zone(text, uuid)',
        'role_is_trusted(name)',
        'session_changes(public.sessions, public.sessions)',
        'sessions_changed()',
        'sync_calendar(uuid[])',
        'take_credit(uuid, uuid)',
        'therapist_conflict(uuid, tstzrange, uuid)',
        'unplaced_sessions()',
        'utc(timestamptz)'
    ];
    c_public_tables constant text[] := array['users', 'sessions', 'user_credits', 'booking_audit_log'];
    c_internal_tables constant text[] := array[
        'calendar', 'clients', 'history', 'idempotency_keys', 'ledger', 'outbox', 'policies', 'selftest_people',
        'therapists', 'time_zones'
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

insert into bookingdb.history (kind, name, checksum, version, details) values ('functions', 'standalone', 'a1eb4605d8fcb5f84ef340066beae849d998efada435681ede91aec75f963817', '0.1.0', '{"adapter": "standalone", "functions": ["bookingdb.actor()", "bookingdb.actor_email()", "bookingdb.actor_id()", "bookingdb.authorise(uuid)", "bookingdb.authorise_anyone()", "bookingdb.authorise_trusted()", "bookingdb.caller_is_trusted()", "bookingdb.check_booking_conflict(uuid, date, time, time, text, uuid)", "bookingdb.check_invariants()", "bookingdb.client_conflict(uuid, tstzrange, uuid)", "bookingdb.create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)", "bookingdb.credits_balance(uuid)", "bookingdb.effective_role()", "bookingdb.find_answer(text, uuid, text, bytea)", "bookingdb.find_granted_lot(text, uuid, integer)", "bookingdb.get_credit_balance(uuid)", "bookingdb.get_credit_history(uuid, integer, timestamptz)", "bookingdb.grant_credits(uuid, integer, text, timestamptz, text)", "bookingdb.jwt_claims()", "bookingdb.local_instant(date, time, text)", "bookingdb.lock_for_booking(uuid[])", "bookingdb.lock_key(bigint, boolean, boolean)", "bookingdb.lock_people(uuid[], boolean)", "bookingdb.occupies_time(text)", "bookingdb.occupy_time(uuid, uuid, uuid, tstzrange)", "bookingdb.people_changed()", "bookingdb.person_key(uuid)", "bookingdb.raise_error(text, jsonb)", "bookingdb.record_balance_change()", "bookingdb.record_session_change()", "bookingdb.refresh_time_zones()", "bookingdb.refuse_change()", "bookingdb.register_client(text, text, uuid)", "bookingdb.register_person(text, text, uuid, text, boolean)", "bookingdb.register_therapist(text, text, uuid, text)", "bookingdb.remove_selftest_people()", "bookingdb.request_hash(jsonb)", "bookingdb.require_credit_account(uuid)", "bookingdb.require_length(text, text, integer, integer)", "bookingdb.resolve_time_zone(text, uuid)", "bookingdb.role_is_trusted(name)", "bookingdb.session_changes(public.sessions, public.sessions)", "bookingdb.sessions_changed()", "bookingdb.set_therapist_active(uuid, boolean)", "bookingdb.sync_calendar(uuid[])", "bookingdb.take_credit(uuid, uuid)", "bookingdb.therapist_conflict(uuid, tstzrange, uuid)", "bookingdb.unplaced_sessions()", "bookingdb.utc(timestamptz)", "public.check_booking_conflict(uuid, date, time, time, text, uuid)", "public.create_session_with_credit_deduction(uuid, uuid, date, time, integer, varchar, text, text, text, text)", "public.get_credit_balance(uuid)", "public.get_credit_history(uuid, integer, timestamptz)", "public.grant_credits(uuid, integer, text, timestamptz, text)", "public.lock_for_booking(uuid[])", "public.register_client(text, text, uuid)", "public.register_therapist(text, text, uuid, text)", "public.set_therapist_active(uuid, boolean)"]}'::jsonb || jsonb_build_object('roles', array(select r.rolname from pg_roles as r where r.rolname = any ('{anon,authenticated,service_role,bookingdb_service}') order by 1)));

notify pgrst, 'reload schema';

commit;
