-- Credits and people: money that behaves, a catalogue to sell from, and persons who can leave.

-- ---------------------------------------------------------------------------------------------------------------------
-- The ledger and the lots
-- ---------------------------------------------------------------------------------------------------------------------

-- What became of a lot is on record, even where no credit moved. The ledger is read once while nobody books
-- (ACCESS EXCLUSIVE).
alter table bookingdb.ledger
add column source_lot_id uuid,
drop constraint ledger_kind_check,
add constraint ledger_kind_check check (
    kind in (
        'opening', 'grant', 'debit', 'refund', 'goodwill', 'expiry', 'adjustment', 'revocation', 'reinstatement',
        'transfer', 'extension', 'freeze', 'thaw', 'direct'
    )
),
drop constraint ledger_amount_check,
add constraint ledger_amount_check check (amount <> 0 or kind in ('extension', 'freeze', 'thaw'));

comment on column bookingdb.ledger.source_lot_id is
'Of credits that came from another lot (transfer): that lot. A chargeback follows them by it.';

-- The lots that got credits of a lot (revoke_grant). Few entries have one.
create index ledger_source_lot_id_idx on bookingdb.ledger (source_lot_id) where source_lot_id is not null;

alter table public.user_credits
add column frozen_at timestamptz,
add column credits_owed integer not null default 0,
add column package_id uuid;

comment on column public.user_credits.frozen_at is
'Since when the lot is frozen (status frozen): it cannot be spent, and its time stands still.';
comment on column public.user_credits.credits_owed is
'What a partial revocation could not take, because it had been spent: as much of what comes back is revoked.';
comment on column public.user_credits.package_id is 'The package that was granted (bookingdb.packages).';

-- A check of an application's that refuses the status lets it in from now on.
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
        if v_check.condition = '(status = ANY (ARRAY[''active''::text, ''used''::text, ''expired''::text, '
            '''refunded''::text, ''revoked''::text]))' then
            v_check.condition :=
                'status in (''active'', ''used'', ''frozen'', ''expired'', ''refunded'', ''revoked'')';
        else
            v_check.condition := format('%s or status = ''frozen''', v_check.condition);
        end if;
        execute format(
            'alter table public.user_credits add constraint %I check (%s)', v_check.conname, v_check.condition
        );
    end loop;
end;
$block$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Grants, revocations and payments
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- The time of a lot
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Transfers and packages
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- People
-- ---------------------------------------------------------------------------------------------------------------------

-- Clients who became one person (merge), and who log in with another id (login). Who was merged is so for ever.
create table bookingdb.merged_people (
    id bigint generated always as identity,
    from_user_id uuid not null,
    into_user_id uuid not null,
    kind text not null,
    reason text,
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint merged_people_pkey primary key (id),
    constraint merged_people_from_user_id_key unique (from_user_id),
    constraint merged_people_kind_check check (kind in ('merge', 'login')),
    constraint merged_people_into_user_id_check check (into_user_id <> from_user_id)
);

comment on table bookingdb.merged_people is
'Append-only: whose sessions and credits passed on to whom (merge_clients, change_login). The reason is a text.';

-- Who a person was before (export and erasure).
create index merged_people_into_user_id_idx on bookingdb.merged_people (into_user_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- A therapist who is also a client
-- ---------------------------------------------------------------------------------------------------------------------

-- ---------------------------------------------------------------------------------------------------------------------
-- Erasure and export
-- ---------------------------------------------------------------------------------------------------------------------

-- The audit log is for ever, and words of people must not be: from now on it refers to them by their id here.
create table bookingdb.texts (
    id bigint generated always as identity,
    session_id uuid not null,
    user_id uuid,
    column_name text not null,
    text text,
    actor text,
    created_at timestamptz not null default clock_timestamp(),
    constraint texts_pkey primary key (id)
);

comment on table bookingdb.texts is
'Append-only: the words of sessions that the audit log refers to (old_text_id, new_text_id). An erasure makes them NULL.';
comment on column bookingdb.texts.user_id is 'The client whose session it was: their erasure takes the words.';
comment on column bookingdb.texts.actor is 'The person who wrote the words, where that is known.';

-- The words of a session (a change whose old words are here already).
create index texts_session_id_idx on bookingdb.texts (session_id);
-- The words of a person (erase_person).
create index texts_user_id_idx on bookingdb.texts (user_id);
