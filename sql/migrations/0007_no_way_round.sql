-- No way round: guarantees in every isolation level, whoever owns, runs, upgrades or looks.

-- ---------------------------------------------------------------------------------------------------------------------
-- Isolation levels and direct writers
-- ---------------------------------------------------------------------------------------------------------------------

-- What proves to a transaction with an old snapshot that nothing decided otherwise since: bookings that keep their
-- snapshot lock these rows, and Postgres itself raises 40001 where one changed (require_current_rules).
create table bookingdb.rule_changes (
    person_id uuid not null,
    changed_by xid8 not null default pg_current_xact_id(),
    changed_at timestamptz not null default transaction_timestamp(),
    constraint rule_changes_pkey primary key (person_id)
) with (fillfactor = 50);

comment on table bookingdb.rule_changes is
'Who last changed what decides about bookings of a person: hours, absences, policy, standing, or a booking under a limit. The row of zeros is the default policy''s.';

-- Bookings of all therapists lock it: it is there before the first of them.
insert into bookingdb.rule_changes (person_id) values ('00000000-0000-0000-0000-000000000000');

-- Sessions of over a week, or beyond the years 1900 to 2999, take no time any more: they blocked everybody else's.
-- Direct writers can no longer write them; `bookingdb verify` lists those that are there.
delete from bookingdb.calendar as c
where
    (c.kind = 'session' or c.external_source = 'adoption')
    and (
        lower(c.period) < timestamptz '1900-01-01 00:00:00+00'
        or upper(c.period) >= timestamptz '3000-01-01 00:00:00+00'
        or upper(c.period) > least(lower(c.period), timestamptz '3000-01-01 00:00:00+00') + interval '10080 minutes'
    );

delete from bookingdb.overlapping_sessions as o
where not exists (
    select from bookingdb.calendar as c
    where c.id = o.session_id
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits and the ledger
-- ---------------------------------------------------------------------------------------------------------------------

-- A session can be charged again after its credit came back, with credits of several lots, and its credits can come
-- back after it is over (goodwill). What was entered before is the only part of a first charge.
--
-- The ledger is read once and an index on it is built while nobody books (ACCESS EXCLUSIVE): about 1.5 seconds for a
-- million entries. No row is rewritten.
alter table bookingdb.ledger
add column charge integer not null default 1,
add column part integer not null default 1,
drop constraint ledger_kind_check,
add constraint ledger_kind_check check (
    kind in ('opening', 'grant', 'debit', 'refund', 'goodwill', 'expiry', 'adjustment', 'revocation', 'direct')
),
drop constraint ledger_session_id_kind_key;

-- A charge's number is one more than the charges that came back, so that a second charge meets the first one here while
-- that one has not come back. The lot is left out on purpose: a second charge may take from another lot, and a second
-- return may open another grace lot. (The lock that the index would not need is held already.)
alter table bookingdb.ledger
-- squawk-ignore disallowed-unique-constraint
add constraint ledger_session_id_charge_part_kind_key unique (session_id, charge, part, kind);

comment on column bookingdb.ledger.charge is
'Of a session''s entry: which time it was charged, from 1. The next charge begins when the last one was returned.';
comment on column bookingdb.ledger.part is
'Of a session''s entry: which part of the charge, from 1. A part is taken from one lot, and returned as a whole.';

alter table public.sessions
drop constraint if exists sessions_credits_charged_check,
add constraint sessions_credits_charged_check check (credits_charged >= 0);

comment on column public.sessions.credits_charged is
'The credits that the session''s last charge took; 0 for sessions written by other means.';

-- What a session was charged last (last_charge).
create type bookingdb.session_charge as (
    charge integer,
    credits integer,
    is_returned boolean
);

-- It has another parameter now.
drop function if exists bookingdb.take_credit(uuid, uuid);

-- A lot without credits is used up. A check of an application's that refuses the status lets it in from now on.
do $block$
declare
    v_check record;
begin
    for v_check in
        select c.conname, pg_get_expr(c.conbin, c.conrelid) as condition
        from pg_constraint as c
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attname = 'status'
        where c.conrelid = 'public.user_credits'::regclass and c.contype = 'c' and c.conkey = array[a.attnum]
    loop
        execute format('alter table public.user_credits drop constraint %I', v_check.conname);
        if v_check.condition
            = '(status = ANY (ARRAY[''active''::text, ''expired''::text, ''refunded''::text, ''revoked''::text]))' then
            v_check.condition := 'status in (''active'', ''used'', ''expired'', ''refunded'', ''revoked'')';
        else
            v_check.condition := format('%s or status = ''used''', v_check.condition);
        end if;
        execute format(
            'alter table public.user_credits add constraint %I check (%s)', v_check.conname, v_check.condition
        );
    end loop;
end;
$block$;

-- The rows of used-up lots are written once, and no others: about 10 seconds for a million of them. An application's
-- triggers are not told, because nothing happened.
do $block$
declare
    v_trigger record;
    v_statement text;
    v_triggers text[] := '{}';
begin
    for v_trigger in
        select t.tgname,
            case t.tgenabled when 'A' then 'enable always' when 'R' then 'enable replica' else 'enable' end as enabling
        from pg_trigger as t
        where t.tgrelid = 'public.user_credits'::regclass and not t.tgisinternal and t.tgenabled <> 'D'
    loop
        execute format('alter table public.user_credits disable trigger %I', v_trigger.tgname);
        v_triggers := v_triggers || format(
            'alter table public.user_credits %s trigger %I', v_trigger.enabling, v_trigger.tgname
        );
    end loop;
    update public.user_credits as c set status = 'used' where c.status = 'active' and c.credits_balance = 0;
    foreach v_statement in array v_triggers loop
        execute v_statement;
    end loop;
end;
$block$;

-- A client's lots in the order in which they are spent. Used-up lots are not in it: no booking's look-up meets them.
-- The balance is left out on purpose: every update but the one that empties or refills a lot changes no column that an
-- index knows, and the row is updated in place (a heap-only tuple).
drop index if exists public.user_credits_consumption_idx;

create index user_credits_consumption_idx on public.user_credits (
    user_id, priority, expires_at, category desc, created_at, id
) where status = 'active';

-- All lots of a client: the foreign key, the row policy, and the grace lots of a lot (revoke_grant).
create index user_credits_user_id_grace_for_lot_id_idx on public.user_credits (user_id, grace_for_lot_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Who is trusted
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Evidence
-- ---------------------------------------------------------------------------------------------------------------------

comment on table bookingdb.rewritten_records is
'What a superuser changed in records that nobody else can change. `bookingdb verify` reports each.';

-- verify reports together what one transaction changed. Rows of before have none. (A default in the same command would
-- write every row anew.)
alter table bookingdb.rewritten_records
add column transaction_id xid8;

alter table bookingdb.rewritten_records
alter column transaction_id set default pg_current_xact_id();

-- Findings of `bookingdb verify` that cannot be repaired, and that the owner has looked at.
create table bookingdb.acknowledgements (
    id bigint generated always as identity,
    finding_group text not null,
    object text not null,
    problem text not null,
    reason text not null,
    acknowledged_by text not null default session_user,
    acknowledged_at timestamptz not null default clock_timestamp(),
    constraint acknowledgements_pkey primary key (id),
    constraint acknowledgements_reason_check check (btrim(reason) <> '')
);

comment on table bookingdb.acknowledgements is
'Append-only: who has looked at which finding of `bookingdb verify`, when, and why it may stay.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Time zones
-- ---------------------------------------------------------------------------------------------------------------------

-- Policies name these rows, so a zone that the server has lost stays.
alter table bookingdb.time_zones
add column gone_since timestamptz,
add column alias text;

comment on column bookingdb.time_zones.gone_since is
'When refresh_time_zones() first found that the server has lost this zone; NULL: the server knows it.';
comment on column bookingdb.time_zones.alias is
'A zone that the server knows, with the rules that the lost one had.';

-- The rules of each zone, version by version, as refresh_time_zones() found them. They tell a session whose zone has
-- got other rules since from one whose local time and start never agreed.
create table bookingdb.time_zone_rules (
    id bigint generated always as identity,
    time_zone text not null,
    starts_at timestamptz[] not null,
    utc_offsets interval[] not null,
    known_until timestamptz not null,
    past bigint not null,
    recorded_at timestamptz not null default clock_timestamp(),
    constraint time_zone_rules_pkey primary key (id),
    constraint time_zone_rules_time_zone_fkey foreign key (time_zone) references bookingdb.time_zones (name),
    constraint time_zone_rules_offsets_check check (
        cardinality(starts_at) > 0 and cardinality(starts_at) = cardinality(utc_offsets)
    )
);

comment on column bookingdb.time_zone_rules.utc_offsets is
'The offset from UTC that each timestamp of starts_at begins, until the next one; the last until known_until.';
comment on column bookingdb.time_zone_rules.past is
'A hash of the offsets from 1970 on: of two zones with the same rules to come, it tells the likelier alias.';

-- A zone's versions in order; the foreign key.
create index time_zone_rules_time_zone_id_idx on bookingdb.time_zone_rules (time_zone, id);

create type bookingdb.zone_rules as (
    starts_at timestamptz [],
    utc_offsets interval []
);

-- It has a parameter more.
drop function if exists bookingdb.wall_clock_instant(timestamp, text);

create type bookingdb.realigned_session as (
    session_id uuid,
    therapist_id uuid,
    user_id uuid,
    scheduled_date date,
    scheduled_time time,
    time_zone text,
    old_start_time timestamptz,
    new_start_time timestamptz,
    outcome text,
    reason text
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Versions
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Housekeeping
-- ---------------------------------------------------------------------------------------------------------------------

-- How long what is over stays: one of the policy's settings. The default policy's counts.
alter table bookingdb.policies
add column retention_days integer,
add constraint policies_retention_days_check check (retention_days between 1 and 3650);

update bookingdb.policies set retention_days = 30
where therapist_id is null;

alter table bookingdb.policies
add constraint policies_default_has_retention_days check (
    therapist_id is not null or retention_days is not null
);

-- At the end: calls in flight fill the attributes before it in their order.
alter type bookingdb.effective_policy add attribute retention_days integer;

-- Their result has a column more, and so they are made anew.
drop function if exists public.get_policy(uuid);
drop function if exists public.set_policy(jsonb, uuid);

-- Events that were dealt with, for a consumer that keeps them for a while instead of deleting them.
alter table bookingdb.outbox add column handled_at timestamptz;

comment on column bookingdb.outbox.handled_at is
'When the consumer of the events had dealt with this one; it sets this. housekeeping() removes the event later.';

-- Handled events that are over (housekeeping). These three are built while nobody can write the table, a second for a
-- million rows.
create index outbox_handled_at_idx on bookingdb.outbox (handled_at) where handled_at is not null;
-- Keys that are over (housekeeping).
create index idempotency_keys_created_at_idx on bookingdb.idempotency_keys (created_at);
-- Holds that are over (housekeeping). Nothing else asks for this column, so that no plan takes the index for another.
create index holds_created_at_idx on bookingdb.holds (created_at);

-- It has another parameter now.
drop function if exists bookingdb.sync_calendar(uuid[]);

create type bookingdb.removed_records as (
    idempotency_keys integer,
    holds integer,
    held_times integer,
    session_times integer,
    time_off integer,
    external_events integer,
    events integer
);
