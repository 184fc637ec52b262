"""`verify` notices what was done to a database, names it exactly, and its advice puts it right."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import verify
from bookingdb.checks.finding import Finding
from bookingdb.checks.remedies import MIGRATE, REAPPLY, RESTORE
from bookingdb.install import installer, source
from bookingdb.install.trust import trust
from tests.generate.write_catalogue import as_text
from tests.support import Connection, World, connect, run, scalar
from tests.support.databases import url_of
from tests.support.installation import adopt_nothing

UTC = "bookingdb.iso_utc(timestamp with time zone)"
BALANCE = "public.get_credit_balance(uuid)"

# What a superuser does to the database, and the one finding that must be: group and object.
DAMAGES = {
    # Functions
    "function missing": (f"drop function {BALANCE}", "functions", BALANCE),
    "function missing, with the triggers that used it": (
        "drop function bookingdb.record_session_change() cascade",
        "functions",
        "bookingdb.record_session_change()",
    ),
    "function missing, with the policies that used it": (
        "drop function bookingdb.actor_id() cascade",
        "functions",
        "bookingdb.actor_id()",
    ),
    "check_invariants missing": (
        "drop function bookingdb.check_invariants()",
        "functions",
        "bookingdb.check_invariants()",
    ),
    "body changed by one character": (
        "do $$ begin"
        " execute replace(pg_get_functiondef('bookingdb.iso_utc(timestamptz)'::regprocedure), '\"Z\"', '\"z\"');"
        " end $$",
        "functions",
        UTC,
    ),
    "overload of a public function": (
        "create function public.get_credit_balance(p_user_id text) returns integer language sql return 1",
        "functions",
        "public.get_credit_balance(text)",
    ),
    "overload by a further defaulted parameter": (
        "create function bookingdb.iso_utc(timestamptz, text default '') returns text language sql return ''",
        "functions",
        "bookingdb.iso_utc(timestamp with time zone,text)",
    ),
    "stray function": (
        "create function bookingdb.mine() returns integer language sql return 1",
        "functions",
        "bookingdb.mine()",
    ),
    "stray procedure": (
        "create procedure bookingdb.mine() language sql begin atomic end",
        "functions",
        "bookingdb.mine()",
    ),
    "search_path dropped": ("alter function bookingdb.iso_utc(timestamptz) reset search_path", "functions", UTC),
    "search_path changed": ("alter function bookingdb.iso_utc(timestamptz) set search_path = public", "functions", UTC),
    "another setting added": ("alter function bookingdb.iso_utc(timestamptz) set work_mem = '1MB'", "functions", UTC),
    "volatility": ("alter function bookingdb.iso_utc(timestamptz) volatile", "functions", UTC),
    "security": ("alter function bookingdb.iso_utc(timestamptz) security definer", "functions", UTC),
    "strict": ("alter function bookingdb.iso_utc(timestamptz) strict", "functions", UTC),
    "parameter renamed": (
        "do $$ declare d text := pg_get_functiondef('bookingdb.iso_utc(timestamptz)'::regprocedure);"
        " begin drop function bookingdb.iso_utc; execute regexp_replace(d, 'p_instant', 'p_other'); end $$;"
        "alter function bookingdb.iso_utc owner to owner; revoke execute on function bookingdb.iso_utc from public",
        "functions",
        UTC,
    ),
    "default of a parameter": (
        "do $$ begin execute replace("
        "pg_get_functiondef('public.get_credit_history(uuid,integer,timestamptz)'::regprocedure), '50', '51'); end $$",
        "functions",
        "public.get_credit_history(uuid,integer,timestamp with time zone)",
    ),
    "owner of a function": (
        "alter function bookingdb.iso_utc(timestamptz) owner to postgres",
        "owners",
        f"function {UTC}",
    ),
    "owner of a table": ("alter table public.sessions owner to postgres", "owners", "table public.sessions"),
    # Triggers, policies, row level security
    "trigger disabled": (
        "alter table public.sessions disable trigger _bookingdb_audit",
        "triggers",
        "_bookingdb_audit on public.sessions",
    ),
    "trigger for replication only": (
        "alter table bookingdb.ledger enable replica trigger _bookingdb_append_only",
        "triggers",
        "_bookingdb_append_only on bookingdb.ledger",
    ),
    "trigger missing": (
        "drop trigger _bookingdb_ledger on public.user_credits",
        "triggers",
        "_bookingdb_ledger on public.user_credits",
    ),
    "trigger with a condition": (
        "create or replace trigger _bookingdb_append_only before delete or update on bookingdb.ledger"
        " for each row when (old.amount > 1) execute function bookingdb.refuse_change()",
        "triggers",
        "_bookingdb_append_only on bookingdb.ledger",
    ),
    "trigger too many": (
        "create trigger _bookingdb_further after insert on public.users for each row"
        " execute function bookingdb.refuse_change()",
        "triggers",
        "_bookingdb_further on public.users",
    ),
    "somebody else's trigger in the engine room": (
        'create trigger "Mine" before insert on bookingdb.ledger for each row'
        " execute function suppress_redundant_updates_trigger()",
        "triggers",
        '"Mine" on bookingdb.ledger',
    ),
    "rule": (
        "create rule mine as on insert to bookingdb.ledger do instead nothing",
        "rules",
        "mine on bookingdb.ledger",
    ),
    "row level security off": (
        "alter table public.sessions disable row level security",
        "row level security",
        "public.sessions",
    ),
    "row level security forced": (
        "alter table public.sessions force row level security",
        "tables",
        "public.sessions",
    ),
    "policy altered": (
        "alter policy _bookingdb_read on public.users using (true)",
        "policies",
        "_bookingdb_read on public.users",
    ),
    "policy for other roles": (
        "alter policy _bookingdb_read on public.users to app_servers",
        "policies",
        "_bookingdb_read on public.users",
    ),
    "policy missing": ("drop policy _bookingdb_read on public.users", "policies", "_bookingdb_read on public.users"),
    "policy too many": (
        'create policy "_bookingdb too" on public.users for select using (true)',
        "policies",
        '"_bookingdb too" on public.users',
    ),
    # Privileges
    "EXECUTE granted to PUBLIC": (
        "grant execute on function bookingdb.take_credit(uuid, uuid, integer, boolean, timestamptz) to public",
        "privileges",
        "function bookingdb.take_credit(uuid,uuid,integer,boolean,timestamp with time zone)",
    ),
    "EXECUTE granted to another role": (
        "grant execute on function public.get_credit_balance(uuid) to pg_monitor with grant option",
        "privileges",
        f"function {BALANCE}",
    ),
    "EXECUTE revoked": (
        "revoke execute on function public.get_credit_balance(uuid) from app_servers",
        "privileges",
        f"function {BALANCE}",
    ),
    "EXECUTE revoked from the owner": (
        "revoke execute on function public.get_credit_balance(uuid) from owner",
        "privileges",
        f"function {BALANCE}",
    ),
    "table of the engine room readable": (
        "grant select on bookingdb.ledger to pg_monitor",
        "privileges",
        "table bookingdb.ledger",
    ),
    "column readable by everybody": (
        "grant select (email) on public.users to public",
        "privileges",
        "table public.users",
    ),
    "table writable by everybody": ("grant update on public.users to public", "privileges", "table public.users"),
    "sequence usable by everybody": (
        "grant usage on sequence bookingdb.ledger_id_seq to public",
        "privileges",
        "sequence bookingdb.ledger_id_seq",
    ),
    "sequence of the application's usable by everybody": (
        "grant usage on sequence public.booking_audit_log_id_seq to public",
        "privileges",
        "sequence public.booking_audit_log_id_seq",
    ),
    "schema open to everybody": ("grant usage on schema bookingdb to public", "privileges", "schema bookingdb"),
    # Tables and what belongs to them
    "table missing": ("drop table bookingdb.former_therapists", "tables", "bookingdb.former_therapists"),
    "table missing on which everything hangs": ("drop table public.users cascade", "tables", "public.users"),
    "table too many": ("create table bookingdb.mine ()", "tables", "bookingdb.mine"),
    "table unlogged": ("alter table bookingdb.outbox set unlogged", "tables", "bookingdb.outbox"),
    "column missing": ("alter table public.sessions drop column title", "columns", "public.sessions.title"),
    "column missing, with constraint and index": (
        "alter table bookingdb.ledger drop column kind cascade",
        "columns",
        "bookingdb.ledger.kind",
    ),
    "column type": (
        "alter table bookingdb.ledger alter column actor type varchar(100)",
        "columns",
        "bookingdb.ledger.actor",
    ),
    "column collation": (
        'alter table bookingdb.ledger alter column actor type text collate "C"',
        "columns",
        "bookingdb.ledger.actor",
    ),
    "column default": (
        "alter table public.sessions alter column status set default 'confirmed'",
        "columns",
        "public.sessions.status",
    ),
    "column default dropped": (
        "alter table public.sessions alter column status drop default",
        "columns",
        "public.sessions.status",
    ),
    "column default too many": (
        "alter table public.sessions alter column title set default ''",
        "columns",
        "public.sessions.title",
    ),
    "column nullable": (
        "alter table bookingdb.ledger alter column amount drop not null",
        "columns",
        "bookingdb.ledger.amount",
    ),
    "column not nullable": (
        "alter table bookingdb.ledger alter column session_id set not null",
        "columns",
        "bookingdb.ledger.session_id",
    ),
    "column no identity": (
        "alter table bookingdb.outbox alter column id drop identity",
        "columns",
        "bookingdb.outbox.id",
    ),
    "column too many": ("alter table bookingdb.ledger add column mine integer", "columns", "bookingdb.ledger.mine"),
    "exclusion constraint dropped": (
        "alter table bookingdb.calendar drop constraint calendar_therapist_excl",
        "constraints",
        "calendar_therapist_excl on bookingdb.calendar",
    ),
    "check constraint dropped": (
        "alter table public.user_credits drop constraint user_credits_balance_check",
        "constraints",
        "user_credits_balance_check on public.user_credits",
    ),
    "constraint with another definition": (
        "alter table bookingdb.ledger drop constraint ledger_amount_check,"
        " add constraint ledger_amount_check check (amount <> 1)",
        "constraints",
        "ledger_amount_check on bookingdb.ledger",
    ),
    "constraint not valid": (
        "alter table bookingdb.ledger drop constraint ledger_amount_check,"
        " add constraint ledger_amount_check check (amount <> 0) not valid",
        "constraints",
        "ledger_amount_check on bookingdb.ledger",
    ),
    "foreign key not valid": (
        "alter table public.sessions drop constraint sessions_user_id_fkey, add constraint sessions_user_id_fkey"
        " foreign key (user_id) references public.users (id) not valid",
        "constraints",
        "sessions_user_id_fkey on public.sessions",
    ),
    "foreign key not enforced": (
        "do $$ begin execute ("
        "select format('alter table public.sessions disable trigger %I', t.tgname) from pg_trigger as t"
        " inner join pg_constraint as c on c.oid = t.tgconstraint where t.tgrelid = c.conrelid"
        " and c.conname = 'sessions_user_id_fkey' limit 1); end $$",
        "constraints",
        "sessions_user_id_fkey on public.sessions",
    ),
    "constraint too many": (
        "alter table bookingdb.ledger add constraint mine check (amount < 5)",
        "constraints",
        "mine on bookingdb.ledger",
    ),
    "index dropped": ("drop index bookingdb.ledger_lot_id_idx", "indexes", "bookingdb.ledger_lot_id_idx"),
    "unique index no longer unique": (
        "drop index public.users_email_key; create index users_email_key on public.users (lower(email))",
        "indexes",
        "public.users_email_key",
    ),
    "index not valid": (
        "update pg_index set indisvalid = false where indexrelid = 'public.users_email_key'::regclass",
        "indexes",
        "public.users_email_key",
    ),
    "unique index too many": (
        "create unique index mine on bookingdb.ledger (user_id)",
        "indexes",
        "bookingdb.mine",
    ),
    "view with another condition": (
        "create or replace view bookingdb.therapists as select id, email, full_name from public.users",
        "views",
        "bookingdb.therapists",
    ),
    "view with a further column": (
        "create or replace view bookingdb.clients as"
        " select u.id, u.email, u.full_name, u.is_active from public.users as u"
        " where u.user_type <> 'therapist' and u.is_active",
        "views",
        "bookingdb.clients",
    ),
    "view missing": ("drop view bookingdb.clients", "views", "bookingdb.clients"),
    "type too many": ("create type bookingdb.mine as (id uuid)", "types", "bookingdb.mine"),
    "type with a further attribute": (
        "alter type bookingdb.credit_entry add attribute mine integer",
        "types",
        "bookingdb.credit_entry",
    ),
    "type missing, with the functions that return it": (
        "drop type bookingdb.credit_entry cascade",
        "types",
        "bookingdb.credit_entry",
    ),
    "extension missing": ("drop extension btree_gist cascade", "extension", "btree_gist"),
    "rule on a table of the application": (
        "create rule mine as on insert to public.booking_audit_log do instead nothing",
        "rules",
        "mine on public.booking_audit_log",
    ),
    "child whose rows count": (
        "create table public.mine () inherits (public.user_credits)",
        "inheritance",
        "public.mine",
    ),
    "triggers off in the database": (
        "do $$ begin execute format('alter database %I set session_replication_role = replica', current_database());"
        " end $$",
        "settings",
        "database patient",
    ),
    "triggers off for a role": (
        "alter role owner in database patient set session_replication_role = local",
        "settings",
        "role owner in database patient",
    ),
    "triggers off for a role everywhere": (
        "alter role owner set session_replication_role = replica",
        "settings",
        "role owner",
    ),
    "triggers off for everybody": (
        "alter role all set session_replication_role = replica",
        "settings",
        "all roles",
    ),
    "triggers off in a function": (
        "create function public.mine() returns void language sql set session_replication_role = replica as"
        " 'delete from bookingdb.ledger'",
        "settings",
        "function public.mine()",
    ),
    "triggers forgotten": (
        "update pg_class set relhastriggers = false where oid = 'bookingdb.ledger'::regclass",
        "tables",
        "bookingdb.ledger",
    ),
    "indexes forgotten": (
        "update pg_class set relhasindex = false where oid = 'bookingdb.calendar'::regclass",
        "tables",
        "bookingdb.calendar",
    ),
    "index of a constraint not kept": (
        "update pg_index set indisready = false where indexrelid = 'bookingdb.calendar_client_excl'::regclass",
        "constraints",
        "calendar_client_excl on bookingdb.calendar",
    ),
    "ledger that counts again": (
        "insert into bookingdb.outbox (event, subject_id, payload) values ('x', gen_random_uuid(), '{}');"
        " select setval('bookingdb.outbox_id_seq', 1, false)",
        "sequences",
        "bookingdb.outbox.id",
    ),
    # Contents
    "no time zones": (
        "alter table bookingdb.time_zone_rules disable trigger user; delete from bookingdb.time_zone_rules;"
        " alter table bookingdb.time_zone_rules enable trigger user;"
        " delete from bookingdb.time_zones where name <> 'UTC'",
        "contents",
        "bookingdb.time_zones",
    ),
    "hours without their mark": (
        "alter table bookingdb.weekly_hours disable trigger user;"
        " insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
        " values (gen_random_uuid(), 1, '09:00', '12:00');"
        " alter table bookingdb.weekly_hours enable trigger user",
        "contents",
        "bookingdb.weekly_hours",
    ),
    "no default policy": ("delete from bookingdb.policies", "contents", "bookingdb.policies"),
    "session of 100,000 minutes": (
        "alter table sessions disable trigger zz_bookingdb_times_insert;"
        " insert into sessions (user_id, start_time, end_time)"
        " select u.id, now(), now() + interval '100000 minutes'"
        " from (select register_client('long@example.com')) as u (id);"
        " alter table sessions enable trigger zz_bookingdb_times_insert",
        "contents",
        "public.sessions",
    ),
}

# Where the advice is not a command: what a person would do. Nothing helps a lost table but a backup.
BY_HAND = {
    "table missing": None,
    "table missing on which everything hangs": None,
    "type with a further attribute": "alter type bookingdb.credit_entry drop attribute mine",
    "session of 100,000 minutes": "update sessions set status = 'cancelled'",
    "type missing, with the functions that return it": (
        # What a superuser makes would be a superuser's.
        "set role owner; create type bookingdb.credit_entry as (id bigint, created_at timestamptz, kind text,"
        " amount integer,"
        " balance_after integer, lot_id uuid, session_id uuid, actor text)"
    ),
}


@pytest.fixture
def superuser(world: World) -> Iterator[Connection]:
    """A superuser's connection to the database of `world`."""
    with connect(make_conninfo(world.url, user="postgres")) as connection:
        yield connection


@pytest.fixture(scope="module")
def ward(server_url: str, template: str) -> Iterator[list[World]]:
    """Databases that are well: a copy for each test would take longer than the tests."""
    worlds: list[World] = []
    yield worlds
    for world in worlds:
        discard(server_url, world)


@pytest.fixture
def patient(server_url: str, template: str, ward: list[World]) -> Iterator[World]:
    """A database to damage. Put back into the ward when it is repaired, it serves another test."""
    if not ward:
        with connect(server_url) as connection:
            run(connection, f"create database patient template {template} owner owner")
        url = url_of(server_url, "patient", "owner")
        ward.append(World(url, connect(url)))
        # Somebody else than the owner has privileges.
        trust(ward[0].connection, "app_servers")
    world = ward.pop()
    yield world
    if world not in ward:
        discard(server_url, world)


def discard(server_url: str, world: World) -> None:
    world.connection.close()
    with connect(server_url) as connection:
        run(connection, "drop database patient with (force)")


def as_superuser(world: World, statement: str) -> None:
    """Verify must also notice what only a superuser can do."""
    with connect(make_conninfo(world.url, user="postgres")) as connection:
        run(connection, statement)


def places(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding.group, finding.object) for finding in findings}


def follow(world: World, findings: list[Finding]) -> None:
    """Do what the findings advise."""
    for finding in findings:
        for command in re.findall(r"`([^`]+)`", finding.remedy):
            match command:
                case "bookingdb migrate" | "bookingdb migrate --reapply":
                    installer.migrate(world.connection, reapply=command.endswith("--reapply"))
                case _:
                    try:
                        world.run(command)
                    except psycopg.errors.InsufficientPrivilege:
                        # What a superuser did or made.
                        as_superuser(world, command)


def test_a_fresh_installation_has_no_finding(world: World) -> None:
    assert verify.verify(world.connection) == []


def test_used_for_a_while_it_has_no_finding(world: World) -> None:
    world.book(world.client(credits=2), world.therapist())
    assert verify.verify(world.connection) == []


@pytest.mark.parametrize(
    "statement",
    [
        # What leaves everything as it should be, but for the truth.
        "update bookingdb.ledger set actor = 'somebody else'",
        "update bookingdb.ledger set reason = 'as agreed' where kind = 'debit'",
        "update public.booking_audit_log set created_at = created_at - interval '1 day'",
        "with gone as (delete from bookingdb.ledger returning *)"
        " insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " select user_id, lot_id, session_id, kind, amount, balance_after, actor from gone order by id",
    ],
)
def test_rewritten_records_are_told_with_what_was_there(world: World, statement: str) -> None:
    world.book(world.client(credits=2), world.therapist())
    rewritten = "public.booking_audit_log" if "audit_log" in statement else "bookingdb.ledger"
    were = world.run(f"select to_jsonb(t) from {rewritten} as t order by t.id")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run(statement)
    assert verify.verify(world.connection) == []

    as_superuser(world, statement)

    assert world.violations() == []
    (finding,) = verify.verify(world.connection)
    assert finding.group == "rewritten records"
    kept = "select old_row from bookingdb.rewritten_records where (table_name, rewritten_by) = (%s, 'postgres')"
    told = [row for (row,) in world.run(kept, rewritten)]
    assert told
    assert all((row,) in were for row in told)
    follow(world, [finding])
    assert verify.verify(world.connection) == [finding]


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_and_the_advice_repairs_it(patient: World, ward: list[World], damage: str) -> None:
    statement, group, name = DAMAGES[damage]
    as_superuser(patient, statement)

    findings = verify.verify(patient.connection)

    assert places(findings) == {(group, name)}
    by_hand = BY_HAND.get(damage, "")
    if by_hand is None:
        assert findings[0].remedy.startswith(RESTORE)
        return
    if by_hand:
        as_superuser(patient, by_hand)
    # What was left out as a consequence of something else can come to light when that is repaired.
    for _ in range(3):
        follow(patient, findings)
        findings = verify.verify(patient.connection)
        if not findings:
            break
    assert findings == []
    ward.append(patient)


def test_triggers_off_on_the_whole_server_are_told(world: World, superuser: Connection) -> None:
    def wait_until_set(value: str) -> None:
        """The server reads its configuration a moment after it was told to."""
        for _ in range(200):
            with world.connect() as connection:
                if scalar(connection, "show session_replication_role") == value:
                    return
            time.sleep(0.01)

    run(superuser, "alter system set session_replication_role = replica")
    try:
        run(superuser, "select pg_reload_conf()")
        wait_until_set("replica")
        with world.connect() as connection:
            findings = verify.verify(connection)
        assert places(findings) == {("settings", "server")}
        follow(world, findings)
    finally:
        run(superuser, "alter system reset session_replication_role")
        run(superuser, "select pg_reload_conf()")
        wait_until_set("origin")
    with world.connect() as connection:
        assert verify.verify(connection) == []


def test_problems_say_what_is_and_what_should_be(world: World) -> None:
    world.run("alter table public.sessions disable trigger _bookingdb_audit")
    world.run("alter function bookingdb.iso_utc(timestamptz) reset search_path")
    world.run("alter policy _bookingdb_read on public.users using (true)")
    assert [finding.problem for finding in verify.verify(world.connection)] == [
        "settings is nothing, should be search_path=pg_catalog, pg_temp",
        "is switched off, or on for some sessions only",
        "differs from the file: create policy _bookingdb_read on public.users for select to public using (true)",
    ]


@pytest.mark.slow
def test_permitted_change_of_an_application_is_no_finding(world: World, superuser: Connection) -> None:
    for statement in (
        "alter table public.sessions add column mine integer, add constraint mine check (mine > 0)",
        "create index mine on bookingdb.ledger (actor)",
        "create unique index mine on public.users (full_name)",
        "create table public.pets (owner_id uuid references public.users)",
        "create function public.mine() returns integer language sql return 1",
        "create trigger mine before insert on public.sessions for each row"
        " execute function suppress_redundant_updates_trigger()",
        "grant select on public.sessions to pg_monitor",
        'create policy "Therapists read all clients" on public.users for select using (true)',
        "alter extension btree_gist set schema public",
    ):
        run(superuser, statement)
        assert verify.verify(world.connection) == [], statement


# ----------------------------------------------------------------------------------------------------------------------
# Invariants
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("set session_replication_role = replica", "reset session_replication_role"),
        (
            "alter table public.user_credits disable trigger _bookingdb_ledger",
            "alter table public.user_credits enable trigger _bookingdb_ledger",
        ),
    ],
)
def test_a_balance_edited_behind_the_ledgers_back(world: World, superuser: Connection, before: str, after: str) -> None:
    client = world.client(credits=3)
    lot = scalar(superuser, "select id from public.user_credits")
    for statement in (before, "update public.user_credits set credits_balance = 30", after):
        run(superuser, statement)

    findings = verify.verify(world.connection)

    assert places(findings) == {("invariants", f"3: {lot}")}
    assert '"ledger_sum": 3' in findings[0].problem
    follow(world, findings)
    assert verify.verify(world.connection) == []
    assert world.balance(client) == 3
    assert world.count("bookingdb.ledger") == 1


def test_overlap_after_the_constraint_was_dropped_is_found(world: World, superuser: Connection) -> None:
    world.book(world.client(credits=1), world.therapist())
    run(superuser, "alter table bookingdb.calendar drop constraint calendar_therapist_excl")
    hold = scalar(
        superuser,
        "insert into bookingdb.calendar (kind, therapist_id, period, blocked, expires_at)"
        " select 'hold', therapist_id, period, blocked, now() from bookingdb.calendar returning id",
    )

    findings = verify.verify(world.connection)

    assert ("constraints", "calendar_therapist_excl on bookingdb.calendar") in places(findings)
    assert [finding.problem.partition(" {")[0] for finding in findings if finding.group == "invariants"] == [
        "overlaps another calendar row of the therapist",
        "calendar row of a hold that is not there",
    ]
    run(superuser, "delete from bookingdb.calendar where id = %s", hold)
    follow(world, verify.verify(world.connection))
    assert verify.verify(world.connection) == []


def test_overlap_despite_the_constraint_is_found(world: World, superuser: Connection) -> None:
    """An index that is corrupt, or was restored from elsewhere, has not seen the row."""
    world.book(world.client(credits=1), world.therapist())
    ready = (
        "update pg_index set indisready = {} where indexrelid in"
        " ('bookingdb.calendar_client_excl'::regclass, 'bookingdb.calendar_therapist_excl'::regclass)"
    )
    run(superuser, ready.format("false"))
    run(
        superuser,
        "insert into bookingdb.calendar (kind, client_id, period, blocked, expires_at)"
        " select 'hold', client_id, period, blocked, now() from bookingdb.calendar",
    )
    run(superuser, ready.format("true"))

    findings = verify.verify(world.connection)

    assert [(finding.group, finding.problem.partition(" {")[0]) for finding in findings] == [
        ("invariants", "overlaps another calendar row of the client"),
        ("invariants", "calendar row of a hold that is not there"),
    ]


def test_a_session_moved_behind_the_calendars_back(world: World, superuser: Connection) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    run(superuser, "set session_replication_role = replica")
    run(superuser, "update public.sessions set start_time = start_time + '1 h', end_time = end_time + '1 h'")

    findings = verify.verify(world.connection)

    assert places(findings) == {("invariants", f"2: {session}"), ("invariants", f"10: {session}")}
    follow(world, findings)
    assert verify.verify(world.connection) == []


def test_lost_rows_of_ledger_and_audit_log_need_a_person(world: World, superuser: Connection) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist, idempotency_key="key")["id"]
    lot = scalar(superuser, "select id from public.user_credits")
    run(superuser, "set session_replication_role = replica")
    run(superuser, "delete from bookingdb.ledger where kind = 'debit'")
    run(superuser, "delete from public.booking_audit_log")
    run(superuser, "update bookingdb.idempotency_keys set result_id = gen_random_uuid()")

    findings = verify.verify(world.connection)

    result = scalar(superuser, "select result_id from bookingdb.idempotency_keys")
    assert places(findings) == {
        ("invariants", f"3: {lot}"),
        ("invariants", f"4: {session}"),
        ("invariants", f"5: {session}"),
        ("invariants", f"6: {result}"),
    }
    for finding in findings[1:]:
        assert finding.remedy.startswith("Look at")
        (query,) = re.findall(r"`([^`]+)`", finding.remedy)
        world.run(query)
    # Without any entry left there is no balance to go by.
    run(superuser, "delete from bookingdb.ledger")
    assert verify.verify(world.connection)[0].remedy.startswith("Look at")


def test_a_debit_for_a_session_that_never_was(world: World) -> None:
    client = world.client(credits=2)
    session = world.scalar("select gen_random_uuid()")
    for kind, of, amount, balance in (("debit", session, -1, 1), ("direct", None, 1, 2)):
        world.run(
            "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
            " select user_id, id, %s, %s, %s, %s, 'me' from public.user_credits where user_id = %s",
            of, kind, amount, balance, client,
        )  # fmt: skip
    assert places(verify.verify(world.connection)) == {("invariants", f"4: {session}")}


def test_a_key_that_answers_with_something_of_another_kind(world: World) -> None:
    client = world.client(credits=2)
    world.book(client, world.therapist(), idempotency_key="key")
    lot = world.scalar("select id from public.user_credits")
    world.run("update bookingdb.idempotency_keys set result_id = %s", lot)
    assert places(verify.verify(world.connection)) == {("invariants", f"6: {lot}")}


@pytest.mark.slow
def test_invariants_that_cannot_be_asked_are_a_finding(world: World, superuser: Connection) -> None:
    run(
        superuser,
        "create or replace function bookingdb.caller_is_trusted() returns boolean language plpgsql stable"
        " security definer set search_path = pg_catalog, pg_temp as 'begin return true; end'",
    )
    run(
        superuser,
        "do $$ begin execute regexp_replace("
        "pg_get_functiondef('bookingdb.check_invariants()'::regprocedure), 'begin',"
        " 'begin raise ''read only is %'', current_setting(''transaction_read_only'');'); end $$",
    )

    findings = verify.verify(world.connection)

    assert [(finding.group, finding.object) for finding in findings] == [
        ("functions", "bookingdb.caller_is_trusted()"),
        ("functions", "bookingdb.check_invariants()"),
        ("invariants", "bookingdb.check_invariants()"),
    ]
    assert findings[-1].problem == "cannot be asked: read only is on"
    follow(world, findings)
    assert verify.verify(world.connection) == []


# ----------------------------------------------------------------------------------------------------------------------
# Which version is installed
# ----------------------------------------------------------------------------------------------------------------------


def test_nothing_installed(owned_database: str) -> None:
    with connect(owned_database) as connection:
        assert verify.verify(connection) == [Finding("installation", "bookingdb", "is not installed", MIGRATE)]


def test_history_lost(world: World) -> None:
    as_superuser(world, "delete from bookingdb.history")
    (finding,) = verify.verify(world.connection)
    assert finding.problem == (
        "bookingdb.history is empty, though other tables of bookingdb have rows: restore it from a backup"
    )
    as_superuser(world, "drop table bookingdb.history")
    (finding,) = verify.verify(world.connection)
    assert finding.problem == "has no history of its installation, though its schema exists"
    assert finding.remedy == RESTORE


def test_history_newer_than_the_package(world: World) -> None:
    world.run(
        "insert into bookingdb.history (kind, name, checksum, version) values ('migration', '9999_future', '', '9.9')"
    )
    world.run("drop function public.get_credit_balance(uuid)")
    (finding,) = verify.verify(world.connection)
    assert finding.group == "installation"
    assert "9999_future; upgrade the package" in finding.problem


def test_pending_work_is_one_finding_beside_the_invariants(world: World, superuser: Connection) -> None:
    files = source.load()
    body = dataclasses.replace(files.functions[0], text=files.functions[0].text.replace("begin", "begin\n", 1))
    newer = dataclasses.replace(files, functions=(body, *files.functions[1:]))
    world.client(credits=1)
    run(superuser, "set session_replication_role = replica")
    run(superuser, "update public.user_credits set credits_balance = 2")

    first, *others = verify.verify(world.connection, source=newer)

    assert (first.group, first.remedy) == ("installation", MIGRATE)
    assert first.problem == ("is not at the version of this package; pending: functions, triggers, policies and grants")
    assert [finding.group for finding in others] == ["invariants"]


def test_pending_migration_is_named(world: World) -> None:
    files = source.load()
    later = source.SqlFile("migrations/0999_later.sql", "select 1;")
    newer = dataclasses.replace(files, migrations=(*files.migrations, later))
    (finding,) = verify.verify(world.connection, source=newer)
    assert finding.problem == "is not at the version of this package; pending: 0999_later"


def test_a_package_without_catalogue_is_an_error(world: World) -> None:
    with pytest.raises(source.SourceError, match=r"catalogue\.json is missing"):
        verify.verify(world.connection, source=dataclasses.replace(source.load(), catalogue={}))


def test_verify_names_the_owner_to_a_role_without_rights(world: World, superuser: Connection) -> None:
    run(superuser, "create role nobody_special login")
    with connect(make_conninfo(world.url, user="nobody_special")) as connection:
        (finding,) = verify.verify(connection)
    run(superuser, "drop role nobody_special")
    assert finding.problem.startswith("cannot be examined: permission denied")
    assert finding.remedy == "Verify as the owner, owner"


# ----------------------------------------------------------------------------------------------------------------------
# How it goes about it
# ----------------------------------------------------------------------------------------------------------------------


def test_the_schema_of_another_owner(world: World, superuser: Connection) -> None:
    run(superuser, "alter schema bookingdb owner to postgres")
    (finding,) = verify.verify(world.connection)
    assert finding.problem == "cannot be examined: permission denied for schema bookingdb"
    assert finding.remedy == "Verify as the owner, postgres"

    (finding,) = verify.verify(superuser)
    assert (finding.group, finding.object) == ("owners", "schema bookingdb")
    follow(world, [finding])
    assert verify.verify(world.connection) == []


def test_it_works_read_only_and_leaves_no_setting(world: World) -> None:
    world.run("set default_transaction_read_only = on")
    world.run("set quote_all_identifiers = on")
    world.run("set search_path = public, bookingdb")
    world.run("set default_transaction_isolation = serializable")
    settings = world.run("select name, setting from pg_settings where source = 'session'")

    assert verify.verify(world.connection) == []

    assert world.run("select name, setting from pg_settings where source = 'session'") == settings


def test_findings_become_json(world: World) -> None:
    world.run("drop index bookingdb.ledger_lot_id_idx")
    (finding,) = verify.verify(world.connection)
    assert json.loads(json.dumps(finding.to_dict())) == {
        "group": "indexes",
        "object": "bookingdb.ledger_lot_id_idx",
        "problem": "is missing",
        "remedy": "Run `CREATE INDEX ledger_lot_id_idx ON bookingdb.ledger USING btree (lot_id, id)`",
        "is_settled": False,
        "id": "c6a5f04012",
    }


# ----------------------------------------------------------------------------------------------------------------------
# Where a host's roles are
# ----------------------------------------------------------------------------------------------------------------------


def test_the_catalogue_is_what_a_fresh_installation_has(supabase_world: World) -> None:
    files = source.load()
    assert verify.snapshot(supabase_world.connection, files) == files.without_adoption.catalogue, "run `make catalogue`"
    assert verify.verify(supabase_world.connection) == []

    adopt_nothing(supabase_world.connection)

    written = (source.folder() / "catalogue.json").read_text(encoding="utf-8")
    assert as_text(verify.snapshot(supabase_world.connection, files)) == written, "run `make catalogue`"
    assert verify.verify(supabase_world.connection) == []


# Each with the object that it is found at, and what is found.
PRIVILEGES = [
    ("grant select on public.sessions to anon", "table public.sessions", "anon has SELECT"),
    ("grant insert on public.sessions to authenticated", "table public.sessions", "authenticated has INSERT"),
    ("revoke select on public.sessions from authenticated", "table public.sessions", "authenticated lacks SELECT"),
    ("grant usage on schema bookingdb to anon", "schema bookingdb", "anon has USAGE"),
    ("grant execute on function public.get_credit_balance to anon", f"function {BALANCE}", "anon has EXECUTE"),
    ("revoke update on public.users from service_role", "table public.users", "service_role lacks UPDATE"),
    ("grant select on bookingdb.ledger to service_role", "table bookingdb.ledger", "service_role has SELECT"),
]


@pytest.mark.slow
def test_privileges_of_a_hosts_roles(supabase_world: World) -> None:
    for statement, _, _ in PRIVILEGES:
        supabase_world.run(statement)

    findings = verify.verify(supabase_world.connection)

    expected = [Finding("privileges", name, problem, REAPPLY) for _, name, problem in PRIVILEGES]
    assert sorted(findings, key=str) == sorted(expected, key=str)
    follow(supabase_world, findings)
    assert verify.verify(supabase_world.connection) == []
