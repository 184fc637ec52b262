"""The selftest: green on a good database, red on a broken one, and nothing of it is ever left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest

from bookingdb.checks.selftest import Check, SelftestError, selftest
from bookingdb.install import source
from tests.support import ROOT, World, connect, run
from tests.support.databases import url_of

REGISTERED = "a therapist and clients are registered, and credits granted"
BOOKED = "a session is booked"
DEDUCTED = "exactly one credit is deducted"
AUDITED = "the audit row is written"
NO_CREDITS = "a booking without credits is refused"
UNKNOWN = "an unknown therapist is refused"
INACTIVE = "an inactive therapist is refused"
PAST = "a start in the past is refused"
TAKEN = "a taken slot is refused"
BUSY_CLIENT = "a second session of a client at the same time is refused"
SLOT = "of two callers racing for a slot the second waits for the first"
CREDIT = "of two callers spending a client's last credit the second waits for the first"
CONSTRAINT = "without its locks, too, a slot is not booked twice"
RACES = {SLOT, CREDIT, CONSTRAINT}
ALL = [
    REGISTERED, BOOKED, DEDUCTED, AUDITED, NO_CREDITS, UNKNOWN, INACTIVE, PAST, TAKEN, BUSY_CLIENT,
    SLOT, CREDIT, CONSTRAINT,
]  # fmt: skip


def checks_of(world: World) -> list[Check]:
    checks: list[Check] = []
    with world.connect() as connection:
        passed = selftest(connection, world.url, checks.append)
    assert passed == all(check.passed for check in checks)
    return checks


def failed(world: World) -> set[str]:
    return {check.name for check in checks_of(world) if not check.passed}


def contents(world: World) -> dict[str, list[str]]:
    """Every row of every table of the database, as text."""
    tables = world.run(
        "select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname in ('public', 'bookingdb')"
    )
    return {table: [row for (row,) in world.run(f"select t::text from {table} as t order by 1")] for (table,) in tables}


@pytest.fixture
def lived_in(world: World) -> World:
    """A database in which there are people, credits and sessions already."""
    world.book(world.client(credits=3), world.therapist(), "12:00")
    return world


def test_a_good_database_passes_and_stays_as_it_was(lived_in: World) -> None:
    before = contents(lived_in)

    checks = checks_of(lived_in)

    assert [(check.name, check.passed, check.detail) for check in checks] == [(name, True, "") for name in ALL]
    assert contents(lived_in) == before
    assert len(before["users"]) == 2
    assert len(before["bookingdb.history"]) == len(source.load().migrations) + 1


class Rewrite(NamedTuple):
    """A change to a function's definition, as a careless administrator might make it."""

    function: str
    old: str
    new: str

    def apply(self, world: World) -> None:
        definition = str(world.scalar("select pg_get_functiondef(%s::regproc)", self.function))
        assert definition.count(self.old) >= 1
        world.connection.execute(definition.replace(self.old, self.new).encode())


# A plain booking goes the quick way. Closed, it leaves every booking to the rule-by-rule way.
QUICK = "bookingdb.book_quickly"
NO_QUICK_WAY = Rewrite(QUICK, "begin\n    -- The numbers", "begin\n    return null;\n    -- The numbers")
THERAPIST = "bookingdb.require_therapist"
THERAPIST_IS_KNOWN = "not exists (select from bookingdb.therapists"
NO_LOCKS = Rewrite("bookingdb.try_lock_people", "bookingdb.lock_keys(p_people)", "bookingdb.lock_keys('{}')")

# How a database can be broken (by a statement or rewritten functions), and the checks that must notice. What each of
# the two ways of a booking does for itself is broken in both.
SABOTAGE: dict[str, tuple[str | Rewrite | tuple[Rewrite, ...], set[str]]] = {
    "no function to grant credits": ("drop function public.grant_credits", {REGISTERED}),
    "shorter sessions": (
        (
            Rewrite("bookingdb.book_once", "(mins => p_duration_minutes)", "(mins => p_duration_minutes - 10)"),
            Rewrite(QUICK, "v_end := v_start +", "v_end := v_start - interval '10 minutes' +"),
        ),
        {BOOKED},
    ),
    "two credits a session": (
        (
            Rewrite("bookingdb.take_credit", "set credits_balance = c.credits_balance - 1", "set credits_balance = 0"),
            Rewrite(QUICK, "set credits_balance = v_left_in_lot", "set credits_balance = 0"),
        ),
        {DEDUCTED},
    ),
    "a ledger entry of another balance": (
        (
            Rewrite("bookingdb.take_credit", "v_balance - 1, v_actor", "v_balance, v_actor"),
            Rewrite(QUICK, "v_left_in_lot, p_actor", "v_left_in_lot + 1, p_actor"),
        ),
        {DEDUCTED},
    ),
    "a credit that is not taken": (
        (
            Rewrite("bookingdb.take_credit", "= c.credits_balance - 1", "= c.credits_balance"),
            Rewrite(QUICK, "set credits_balance = v_left_in_lot", "set credits_balance = v_left_in_lot + 1"),
        ),
        {DEDUCTED, *RACES},
    ),
    "no audit row": ("alter table public.sessions disable trigger _bookingdb_audit_insert", {AUDITED}),
    "two audit rows": (
        "create trigger again after insert on public.sessions for each row"
        " execute function bookingdb.record_new_session()",
        {AUDITED},
    ),
    "sessions on credit": (
        Rewrite("bookingdb.take_credit", "if v_lot_id is null then\n        -- All", "if false then\n        -- All"),
        {NO_CREDITS, *RACES},
    ),
    "anybody is a therapist": (
        Rewrite(THERAPIST, THERAPIST_IS_KNOWN, "false and " + THERAPIST_IS_KNOWN),
        {UNKNOWN, INACTIVE},
    ),
    "inactive therapists can be booked": (
        "create or replace view bookingdb.therapists as select u.id, u.email, u.full_name from public.users as u"
        " where u.user_type = 'therapist'",
        {INACTIVE},
    ),
    # It is too soon, then, which is another error.
    "the past can be booked": (
        Rewrite("bookingdb.require_to_come", "p_start <", "p_start + interval '9 years' <"),
        {PAST},
    ),
    "conflicts are left to the constraint, whose error is not ours": (
        (
            Rewrite("bookingdb.require_free_time", "if v_rule is not null then", "if false then"),
            Rewrite(QUICK, "where k.therapist_id = p_therapist_id", "where false and k.therapist_id = p_therapist_id"),
        ),
        {TAKEN},
    ),
    "a conflict under another number": (
        Rewrite("bookingdb.raise_error", '"booking_conflict": ["PT409"', '"booking_conflict": ["PT400"'),
        {TAKEN},
    ),
    "busy clients can be booked": (
        Rewrite("bookingdb.client_conflict", "return exists", "return false and exists"),
        {BUSY_CLIENT},
    ),
    "nobody waits for a lock": (NO_LOCKS, {SLOT, CREDIT}),
    "a therapist is not locked": (
        Rewrite("bookingdb.book_once", "array[p_therapist_id, p_user_id]", "array[p_user_id]"),
        {SLOT},
    ),
    "a client is not locked": (
        Rewrite("bookingdb.book_once", "array[p_therapist_id, p_user_id]", "array[p_therapist_id]"),
        {CREDIT},
    ),
    "a calendar that lets sessions overlap": (
        "alter table bookingdb.calendar drop constraint calendar_therapist_excl",
        {CONSTRAINT},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SABOTAGE)
def test_broken_guarantee_fails_its_check(world: World, name: str) -> None:
    change, expected = SABOTAGE[name]
    if isinstance(change, str):
        world.run(change)
    else:
        for rewrite in (change,) if isinstance(change, Rewrite) else change:
            rewrite.apply(world)

    assert failed(world) == expected
    NO_QUICK_WAY.apply(world)
    assert failed(world) == expected


def test_a_second_caller_who_does_not_wait_is_named(world: World) -> None:
    NO_LOCKS.apply(world)

    races = [check for check in checks_of(world) if not check.passed]

    assert races == [Check(name, False, "the second caller did not wait") for name in (SLOT, CREDIT)]


def test_a_wait_for_somebody_else_does_not_count(world: World) -> None:
    Rewrite("bookingdb.require_therapist", "'therapist_not_found'", "'busy'").apply(world)

    details = {check.name: check.detail for check in checks_of(world) if not check.passed}

    waited = "the second caller waited for somebody else than the first"
    assert details.keys() == {UNKNOWN, INACTIVE, SLOT, CREDIT}
    assert (details[SLOT], details[CREDIT]) == (waited, waited)


def test_selftest_names_the_owner_to_a_role_without_rights(world: World, server_url: str) -> None:
    with connect(server_url) as superuser:
        if not run(superuser, "select oid from pg_roles where rolname = 'selftest_stranger'"):
            run(superuser, "create role selftest_stranger login")
    with (
        connect(url_of(world.url, world.connection.info.dbname, "selftest_stranger")) as stranger,
        pytest.raises(SelftestError, match=r"selftest_stranger may not run the selftest.* as owner, the owner"),
    ):
        selftest(stranger, world.url, lambda check: None)


def test_a_database_without_bookingdb_is_named_as_such(empty_database: str) -> None:
    with connect(empty_database) as connection, pytest.raises(SelftestError, match="not installed"):
        selftest(connection, empty_database, lambda check: None)


def test_a_transaction_of_the_callers_is_refused(world: World) -> None:
    with world.connection.transaction(), pytest.raises(SelftestError, match="not in a transaction"):
        selftest(world.connection, world.url, lambda check: None)


def test_settings_of_the_role_do_not_matter(lived_in: World) -> None:
    before = contents(lived_in)
    database = lived_in.connection.info.dbname
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "timezone = 'America/St_Johns'",
        "search_path = ''",
        "role = owner",
    ):
        lived_in.run(f"alter role owner in database {database} set {setting}")

    assert failed(lived_in) == set()
    assert contents(lived_in) == before


@pytest.mark.slow
def test_two_at_the_same_time_leave_each_other_alone(world: World) -> None:
    before = contents(world)
    start = threading.Barrier(4)
    failures: list[set[str]] = []

    def many() -> None:
        for _ in range(3):
            start.wait(30)
            failures.append(failed(world))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == [set()] * 12
    assert contents(world) == before


# ----------------------------------------------------------------------------------------------------------------------
# Interrupted
# ----------------------------------------------------------------------------------------------------------------------

GATE = 4711
# Where a selftest can be stopped, by a trigger that waits at a gate.
STAGES = {
    "registering": "before insert on public.users",
    "booking": "before insert on public.sessions",
    "racing": "before insert on public.user_credits",
}


@pytest.fixture
def gatekeeper(lived_in: World) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection that holds the gate shut; closing it opens the gate."""
    lived_in.run(
        f"""
        create function public.gate() returns trigger language plpgsql as $function$
        begin
            -- Credits that no function of ours granted are those of a race.
            if tg_argv[0] <> 'racing' or not exists (select from bookingdb.ledger where lot_id = new.id) then
                perform pg_advisory_xact_lock({GATE});
            end if;
            return new;
        end;
        $function$
        """
    )
    with lived_in.connect() as connection:
        run(connection, "select pg_advisory_lock(%s)", GATE)
        yield connection


def start_selftest(world: World) -> subprocess.Popen[str]:
    program = (
        "import signal, sys; from bookingdb import database; from bookingdb.checks.selftest import selftest\n"
        # A shell without job control has its background jobs, and so their tests, ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "url = sys.stdin.readline().strip()\n"
        "with database.connect(url) as connection: sys.exit(not selftest(connection, url, print))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(world.url + "\n")
    process.stdin.flush()
    return process


def wait_for(world: World, what: str, condition: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not world.scalar(f"select {condition}"):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_interrupted_at_any_stage_it_leaves_nothing(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]], name: str, stage: str
) -> None:
    before = contents(lived_in)
    lived_in.run(f"create trigger gate {STAGES[stage]} for each row execute function gate('{stage}')")
    process = start_selftest(lived_in)
    try:
        wait_for(
            lived_in, "the selftest is at the gate",
            f"exists (select from pg_locks where locktype = 'advisory' and objid = {GATE} and not granted"
            "  and database = (select oid from pg_database where datname = current_database()))",
        )  # fmt: skip
        os.killpg(process.pid, signal.Signals[name])
        if name != "SIGINT":
            process.wait(10)
        gatekeeper.close()
        process.communicate(timeout=10)
    finally:
        process.kill()

    assert process.returncode != 0
    wait_for(
        lived_in, "no connection is left that could write anything",
        "not exists (select from pg_stat_activity where datname = current_database()"
        "  and application_name = 'bookingdb')",
    )  # fmt: skip
    assert contents(lived_in) == before
