-- Credits and people: money that behaves, a catalogue to sell from, and persons who can leave.

-- ---------------------------------------------------------------------------------------------------------------------
-- The ledger and the lots
-- ---------------------------------------------------------------------------------------------------------------------

-- Each statement that writes a table reads the conditions of its checks anew. Written as one constant, a list costs a
-- booking a third of what it costs item by item: the checks of this file save more than their new words cost.

-- What became of a lot is on record, even where no credit moved: how long it can be spent, and since when it is
-- revoked. The ledger is read once while nobody books (ACCESS EXCLUSIVE).
alter table bookingdb.ledger
add column source_lot_id uuid,
drop constraint ledger_kind_check,
add constraint ledger_kind_check check (
    kind = any(
        '{opening,grant,debit,refund,goodwill,expiry,adjustment,revocation,reinstatement,transfer,extension,'
        'freeze,thaw,direct}'::text[]
    )
),
drop constraint ledger_amount_check,
add constraint ledger_amount_check check (amount <> 0 or session_id is null);

alter table bookingdb.calendar
drop constraint calendar_kind_check,
add constraint calendar_kind_check check (kind = any('{session,hold,time_off,external}'::text[]));

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

-- A check of an application's that refuses the status frozen lets it in from now on; its check of a session's status
-- stays as it is.
do $block$
declare
    c_lots constant text := '(status = ANY (ARRAY[''active''::text, ''used''::text, ''expired''::text, '
        '''refunded''::text, ''revoked''::text]))';
    c_sessions constant text := '((status)::text = ANY (ARRAY[''pending_approval''::text, ''scheduled''::text, '
        '''confirmed''::text, ''in_progress''::text, ''completed''::text, ''cancelled''::text, ''no_show''::text]))';
    v_check record;
begin
    for v_check in
        select c.conrelid::regclass as table_name, c.conname, pg_get_expr(c.conbin, c.conrelid) as condition
        from pg_constraint as c
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attname = 'status'
        where c.contype = 'c'
            and c.conkey = array[a.attnum]
            and (
                c.conrelid = 'public.user_credits'::regclass
                or (
                    c.conrelid = 'public.sessions'::regclass
                    and pg_get_expr(c.conbin, c.conrelid) = c_sessions
                )
            )
    loop
        execute format('alter table %s drop constraint %I', v_check.table_name, v_check.conname);
        v_check.condition := case v_check.condition
            when c_lots then 'status = any (''{active,used,frozen,expired,refunded,revoked}''::text[])'
            when c_sessions then 'status::text = any ('
                '''{pending_approval,scheduled,confirmed,in_progress,completed,cancelled,no_show}''::text[])'
            else format('%s or status = ''frozen''', v_check.condition)
        end;
        execute format(
            'alter table %s add constraint %I check (%s)', v_check.table_name, v_check.conname, v_check.condition
        );
    end loop;
end;
$block$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Grants, revocations and payments
-- ---------------------------------------------------------------------------------------------------------------------

-- Each payment that was granted or revoked. Its key decides between a grant and a revocation that come at once.
create table bookingdb.payments (
    payment_key bytea not null,
    payment_reference text,
    lot_id uuid,
    user_id uuid,
    revoked_share numeric not null default 0,
    reason text,
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint payments_pkey primary key (payment_key),
    constraint payments_revoked_share_check check (revoked_share between 0 and 1)
);

comment on table bookingdb.payments is
'Each payment that was granted or revoked, whoever wrote the lot.';
comment on column bookingdb.payments.payment_key is
'SHA-256 of the reference: it stays when the reference is erased, so that the payment never grants twice.';
comment on column bookingdb.payments.payment_reference is
'What the payment is called elsewhere; NULL: it was erased with its client.';
comment on column bookingdb.payments.lot_id is
'The lot that the payment was granted as; NULL: none yet, or it was deleted.';
comment on column bookingdb.payments.user_id is
'Whom it was granted to last; it stays when the lot is deleted. NULL: it was not granted yet.';
comment on column bookingdb.payments.revoked_share is
'The share of the payment that was refunded so far, 0 to 1. It applies to the lot that is granted later, too.';
comment on column bookingdb.payments.reason is 'Why it was revoked last.';
comment on column bookingdb.payments.actor is 'Who revoked it last, or else who granted it.';

-- The payment of a lot that is deleted, revoked, or its client's who is erased (record_payment, record_revocation).
create index payments_lot_id_idx on bookingdb.payments (lot_id);

insert into bookingdb.payments (
    payment_key, payment_reference, lot_id, user_id, created_at, actor, revoked_share
)
select
    sha256(convert_to(c.payment_reference, 'UTF8')) as payment_key,
    c.payment_reference,
    c.id,
    c.user_id,
    coalesce(c.created_at, now()) as created_at,
    'migration' as actor,
    case c.status when 'revoked' then 1 else 0 end as revoked_share
from public.user_credits as c
where c.payment_reference is not null;

-- The expiry is no part of a grant's fingerprint any more: a retry computes it anew. Keys of grants without one match
-- as they are; the others are hashed again from what was granted.
with lots as (
    select
        k.function_name,
        k.user_id,
        k.key,
        c.payment_reference,
        coalesce(g.amount, c.credits_purchased) as amount,
        case
            when (c.category, c.priority) = ('paid', 50) then jsonb '[]'
            else jsonb_build_array(c.category, c.priority)
        end as spending
    from bookingdb.idempotency_keys as k
    inner join public.user_credits as c on k.result_id = c.id
    left join bookingdb.ledger as g on c.id = g.lot_id and g.kind = 'grant'
    where k.function_name = 'grant_credits'
),

requests as (
    select
        l.function_name,
        l.user_id,
        l.key,
        l.spending,
        jsonb_build_array(l.amount, l.payment_reference, null::text) as request
    from lots as l
)

update bookingdb.idempotency_keys as k
set request_hash = sha256(convert_to((r.request || r.spending)::text, 'UTF8'))
from requests as r
where
    k.function_name = r.function_name
    and k.user_id = r.user_id
    and k.key = r.key
    -- Somebody may have changed the lot's category or priority since.
    and k.request_hash not in (
        sha256(convert_to((r.request || r.spending)::text, 'UTF8')), sha256(convert_to(r.request::text, 'UTF8'))
    );

-- New types instead of more attributes: a call in flight returns the row that its caller expects, of credit_grant or
-- revoked_grant, which the next version drops.
create type bookingdb.granted_credits as (
    lot_id uuid,
    lot_balance integer,
    credits_balance integer,
    is_new boolean
);

create type bookingdb.revoked_credits as (
    lot_id uuid,
    credits_revoked bigint,
    credits_spent bigint,
    credits_balance integer,
    credits_owed bigint,
    is_remembered boolean
);

create type bookingdb.reinstated_grant as (
    lot_id uuid,
    credits_reinstated bigint,
    credits_balance integer
);

-- Their results have columns more, and so they are made anew.
drop function if exists public.grant_credits(uuid, integer, text, timestamptz, text, text, integer, date);
drop function if exists bookingdb.grant_credits(uuid, integer, text, timestamptz, text, text, integer, date);
drop function if exists public.adjust_credits(uuid, integer, text, uuid, text);
drop function if exists bookingdb.adjust_credits(uuid, integer, text, uuid, text);
drop function if exists public.revoke_grant(uuid, text, text);

alter table public.user_credits add column revoked_at timestamptz;

comment on column public.user_credits.revoked_at is
'Since when the lot is revoked (status revoked): by that time it expires later if it is reinstated.';

update public.user_credits as c
set revoked_at = r.revoked_at
from (
    select
        l.lot_id,
        min(l.created_at) as revoked_at
    from bookingdb.ledger as l
    where l.kind = 'revocation'
    group by l.lot_id
) as r
where c.id = r.lot_id and c.status = 'revoked';

-- It has parameters more. Calls in flight find the new one by the old arguments.
drop function if exists bookingdb.revoke_grant(uuid, text, text);

-- ---------------------------------------------------------------------------------------------------------------------
-- The time of a lot
-- ---------------------------------------------------------------------------------------------------------------------

-- Of a return that nobody could spend. Of all other entries it is null, and takes no room.
alter table bookingdb.ledger add column is_forfeited boolean;

comment on column bookingdb.ledger.is_forfeited is
'True for a return that expired or was revoked in the same call (refund, goodwill): nothing came back.';

alter type bookingdb.session_charge add attribute is_refunded boolean;

alter table bookingdb.policies
add column credits_valid_on text,
add constraint policies_credits_valid_on_check check (credits_valid_on in ('booking', 'session'));

update bookingdb.policies
set credits_valid_on = 'booking'
where therapist_id is null;

alter table bookingdb.policies
add constraint policies_default_has_credits_valid_on check (
    therapist_id is not null or credits_valid_on is not null
);

alter type bookingdb.effective_policy add attribute credits_valid_on text;

-- Their result has a column more, and so they are made anew.
drop function if exists public.get_policy(uuid);
drop function if exists public.set_policy(jsonb, uuid);

-- They have a parameter more. Calls in flight find the new functions by the old arguments.
drop function if exists bookingdb.take_credit(uuid, uuid, integer, boolean);
drop function if exists bookingdb.lock_next_lot(uuid, uuid, boolean);
drop function if exists bookingdb.require_move_allowed(public.sessions, bookingdb.effective_policy);

create type bookingdb.lot as (
    lot_id uuid,
    user_id uuid,
    state text,
    lot_balance integer,
    credits_purchased integer,
    credits_owed integer,
    category text,
    priority integer,
    expires_at timestamptz,
    frozen_at timestamptz,
    payment_reference text,
    package_id uuid,
    grace_for_lot_id uuid,
    created_at timestamptz
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Transfers and packages
-- ---------------------------------------------------------------------------------------------------------------------

create type bookingdb.transferred_credits as (
    lot_ids uuid [],
    amount integer,
    from_balance integer,
    to_balance integer
);

-- What a practice sells: so many credits, for so long, at a price that the payment provider knows.
create table bookingdb.packages (
    id uuid not null default gen_random_uuid(),
    name text not null,
    credits integer not null,
    validity interval,
    price_reference text,
    rollover_cap integer,
    category text not null default 'paid',
    priority integer not null default 50,
    is_active boolean not null default true,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    constraint packages_pkey primary key (id),
    constraint packages_price_reference_key unique (price_reference),
    constraint packages_name_check check (name = btrim(name) and char_length(name) between 1 and 200),
    constraint packages_credits_check check (credits between 1 and 10000),
    constraint packages_validity_check check (validity between interval '1 day' and interval '100 years'),
    constraint packages_price_reference_check check (char_length(price_reference) between 1 and 255),
    constraint packages_rollover_cap_check check (rollover_cap between 0 and 10000),
    constraint packages_category_check check (category in ('paid', 'promotional')),
    constraint packages_priority_check check (priority between 0 and 100)
);

-- A name is one package's, in upper and lower case (set_package).
create unique index packages_name_key on bookingdb.packages (lower(name));

comment on table bookingdb.packages is
'What a practice sells (set_package, grant_package). A lot that was granted keeps what the package said then.';
comment on column bookingdb.packages.validity is
'How long its credits can be spent, from the day of the grant to the end of a day; NULL: without end.';
comment on column bookingdb.packages.price_reference is
'The price at the payment provider, by which a payment handler names the package.';
comment on column bookingdb.packages.rollover_cap is
'How many unspent credits of the client''s earlier lots a renewal keeps, the rest expires; NULL: it touches none.';

create type bookingdb.package as (
    id uuid,
    name text,
    credits integer,
    validity text,
    price_reference text,
    rollover_cap integer,
    category text,
    priority integer,
    is_active boolean
);

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

-- What passed on to a client by merge_clients and change_login, and what they can spend now.
create type bookingdb.merged_client as (
    user_id uuid,
    sessions integer,
    credits integer,
    credits_balance integer
);

-- ---------------------------------------------------------------------------------------------------------------------
-- A therapist who is also a client
-- ---------------------------------------------------------------------------------------------------------------------

-- The therapists who book as clients, too (register_client). No foreign key: an adapter says where therapists are.
create table bookingdb.therapist_clients (
    therapist_id uuid not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    constraint therapist_clients_pkey primary key (therapist_id)
);

comment on table bookingdb.therapist_clients is
'The therapists who are clients as well, and whether they can book.';

-- The time of one person is one. A session of a therapist who is its client has a second row in the calendar, which
-- keeps the time in that therapist's own calendar: the constraint on a therapist's time arbitrates.
alter table bookingdb.calendar
add column mirror_of uuid,
add column mirror_ids uuid[];

comment on column bookingdb.calendar.mirror_of is
'Of a row that keeps the time of a person in their other part, as therapist or as client: the session or hold.';
comment on column bookingdb.calendar.mirror_ids is 'The rows that keep this time in the other part of its people.';

-- Their new forms have a parameter more.
drop function if exists bookingdb.occupy_time(uuid, uuid, uuid, tstzrange, tstzrange, timestamptz, text);
drop function if exists bookingdb.authorise_slots(uuid, uuid);

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

create table bookingdb.erasures (
    id bigint generated always as identity,
    person_id uuid not null,
    kept text[] not null default '{}',
    actor text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint erasures_pkey primary key (id),
    constraint erasures_kept_check check (kept <@ array['identity', 'payments', 'records'])
);

comment on table bookingdb.erasures is
'Append-only: whose words and addresses were erased, when, by whom, and which kinds of them were kept. A row erases when it is written.';

-- Every change of append-only rows asks for it (keeps_evidence).
create index erasures_person_id_idx on bookingdb.erasures (person_id);

-- What is held of people, a row a column (personal_data).
create type bookingdb.personal_column as (
    table_name text,
    condition text,
    column_name text,
    kind text,
    erasure text
);

create type bookingdb.erased_person as (
    person_id uuid,
    kept text [],
    erased_at timestamptz,
    left_over text []
);
