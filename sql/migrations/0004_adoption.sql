-- What taking over the database of an application needs: what it was like before, balances that were there already,
-- sessions that overlap, and an audit log whose ids say nothing about the order.

-- ---------------------------------------------------------------------------------------------------------------------
-- What a database was like before it was adopted
-- ---------------------------------------------------------------------------------------------------------------------

-- Everything that `bookingdb adopt` found and did, in order: the plan, each statement with what undoes it, each row
-- as it was and as it became, and what differs from a new installation because the application has it so.
create table bookingdb.adoption (
    id bigint generated always as identity,
    kind text not null,
    object text not null,
    row_key jsonb,
    original jsonb,
    adopted jsonb,
    created_at timestamptz not null default clock_timestamp(),
    constraint adoption_pkey primary key (id),
    constraint adoption_kind_check check (kind in ('plan', 'statement', 'row', 'difference', 'adapter'))
);

comment on column bookingdb.adoption.row_key is 'Which row of the table object: its primary key.';

-- Statuses of the application's own, besides those of bookingdb, in which a session takes place.
create table bookingdb.active_statuses (
    status text not null,
    constraint active_statuses_pkey primary key (status)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- The audit log's order
-- ---------------------------------------------------------------------------------------------------------------------

-- The ids of an application's own log may be uuids, so a column of its own says in which order the entries came.
alter table public.booking_audit_log
add column entry bigint;

do $block$
declare
    v_guards constant name[] := array(
        select t.tgname
        from pg_trigger as t
        where t.tgrelid = 'public.booking_audit_log'::regclass
            and t.tgname = '_bookingdb_append_only'
            and t.tgenabled = 'O'
    );
begin
    -- The order is written into entries that nobody may change.
    if v_guards <> '{}' then
        alter table public.booking_audit_log disable trigger _bookingdb_append_only;
    end if;
    update public.booking_audit_log as l
    set entry = l.id;
    if v_guards <> '{}' then
        alter table public.booking_audit_log enable trigger _bookingdb_append_only;
    end if;
end;
$block$;

alter table public.booking_audit_log
alter column entry set not null,
alter column entry add generated always as identity;

-- It goes on after the last one.
select setval(pg_get_serial_sequence('public.booking_audit_log', 'entry'), max(l.entry))
from public.booking_audit_log as l
having max(l.entry) > 0;

comment on column public.booking_audit_log.entry is 'The order of the entries, whatever their ids are.';

-- A session's history in order; check_invariants() follows the chain with it.
drop index public.booking_audit_log_session_id_idx;

create index booking_audit_log_session_id_entry_idx on public.booking_audit_log (session_id, entry);

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits that were there already
-- ---------------------------------------------------------------------------------------------------------------------

-- opening: the balance a lot had when the database was adopted.
alter table bookingdb.ledger
drop constraint ledger_kind_check,
add constraint ledger_kind_check check (
    kind in ('opening', 'grant', 'debit', 'refund', 'expiry', 'adjustment', 'revocation', 'direct')
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Sessions that overlap
-- ---------------------------------------------------------------------------------------------------------------------

-- Sessions that overlapped others when the database was adopted and so have no calendar row as sessions. Until their
-- people or times change, or they no longer take place, they are left alone; an external appointment of the same id
-- stands in for them in the calendar, so that nobody books over them.
create table bookingdb.overlapping_sessions (
    session_id uuid not null,
    therapist_id uuid,
    user_id uuid,
    start_time timestamptz not null,
    end_time timestamptz not null,
    reason text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint overlapping_sessions_pkey primary key (session_id)
);

comment on column bookingdb.overlapping_sessions.reason is
'The code of the error that booking it would have been: booking_conflict or client_conflict.';

-- A client's sessions that have such a stand-in; no constraint's index covers them. By the source and not by the kind,
-- because the other index of external appointments, which has all of them, must never look as good.
create index calendar_stand_in_idx on bookingdb.calendar (client_id) where external_source = 'adoption';
