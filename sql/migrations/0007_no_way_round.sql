-- No way round: guarantees in every isolation level, whoever owns, runs, upgrades or looks.

-- ---------------------------------------------------------------------------------------------------------------------
-- Isolation levels and direct writers
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Credits and the ledger
-- ---------------------------------------------------------------------------------------------------------------------

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

-- ---------------------------------------------------------------------------------------------------------------------
-- Versions
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Housekeeping
-- ---------------------------------------------------------------------------------------------------------------------
