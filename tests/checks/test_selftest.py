"""The selftest: green on a good database, red on a broken one, and nothing of it is ever left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest

from bookingdb.checks.selftest import Check, SelftestError, selftest
from bookingdb.install import source
from tests.support import ROOT, World, connect, run, scalar, wait_until_blocked
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
RACE = "of two callers racing for a slot one wins"
CLEAN = "nothing is left behind"
ALL = [
    REGISTERED, BOOKED, DEDUCTED, AUDITED, NO_CREDITS, UNKNOWN, INACTIVE, PAST, TAKEN, BUSY_CLIENT, RACE, CLEAN,
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


def test_a_good_database_passes_every_check_and_stays_as_it_was(lived_in: World) -> None:
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


BOOKING = "bookingdb.book_slot"
THERAPIST = "bookingdb.require_therapist"
THERAPIST_IS_KNOWN = "not exists (select from bookingdb.therapists"
NO_LOCKS = Rewrite("bookingdb.try_lock_people", "bookingdb.lock_keys(p_people)", "bookingdb.lock_keys('{}')")

# How a database can be broken (by a statement or a rewritten function), and the checks that must notice.
SABOTAGE: dict[str, tuple[str | Rewrite, set[str]]] = {
    "no function to grant credits": ("drop function public.grant_credits", {REGISTERED}),
    "shorter sessions": (
        Rewrite("bookingdb.book_once", "(mins => p_duration_minutes)", "(mins => p_duration_minutes - 10)"),
        {BOOKED},
    ),
    "two credits a session": (
        Rewrite("bookingdb.take_credit", "set credits_balance = c.credits_balance - 1", "set credits_balance = 0"),
        {DEDUCTED},
    ),
    "a ledger entry of another amount": (Rewrite("bookingdb.take_credit", "'debit', -1", "'debit', -2"), {DEDUCTED}),
    "a credit that is not taken": (
        Rewrite("bookingdb.take_credit", "= c.credits_balance - 1", "= c.credits_balance"),
        {DEDUCTED, RACE},
    ),
    "no audit row": ("alter table public.sessions disable trigger _bookingdb_audit", {AUDITED}),
    "two audit rows": (
        "create trigger again after insert on public.sessions for each row"
        " execute function bookingdb.record_session_change()",
        {AUDITED},
    ),
    "sessions on credit": (
        Rewrite("bookingdb.take_credit", "if v_lot_id is null then\n        perform", "if false then\n        perform"),
        {NO_CREDITS},
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
        Rewrite("bookingdb.require_free_time", "b.starts @> lower(p_period)", "false"),
        {TAKEN, RACE},
    ),
    "a conflict under another number": (
        Rewrite("bookingdb.raise_error", "'booking_conflict', 'PT409'", "'booking_conflict', 'PT400'"),
        {TAKEN, RACE},
    ),
    "busy clients can be booked": (
        Rewrite("bookingdb.client_conflict", "return exists", "return false and exists"),
        {BUSY_CLIENT},
    ),
    "nobody waits for a lock": (NO_LOCKS, {RACE}),
    "people of a selftest cannot be removed": (
        Rewrite("bookingdb.remove_selftest_people", "return cardinality", "perform 1 / 0; return cardinality"),
        {RACE, CLEAN},
    ),
    "people of a selftest are removed in part": (
        Rewrite("bookingdb.remove_selftest_people", "delete from public.booking_audit_log", "-- "),
        {CLEAN},
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_what_is_broken_fails_its_check(world: World, name: str) -> None:
    change, expected = SABOTAGE[name]
    if isinstance(change, Rewrite):
        change.apply(world)
    else:
        world.run(change)

    assert failed(world) == expected


def test_race_notices_a_missing_lock_and_constraint(world: World) -> None:
    NO_LOCKS.apply(world)
    world.run("alter table bookingdb.calendar drop constraint calendar_therapist_excl")

    (race,) = (check for check in checks_of(world) if not check.passed)

    assert race == Check(RACE, False, "was not refused with booking_conflict (PT409)")


def test_who_may_not_run_it_is_told_who_may(world: World, server_url: str) -> None:
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


def test_a_superuser_may_run_it(world: World) -> None:
    url = url_of(world.url, world.connection.info.dbname, "postgres")
    with connect(url) as connection:
        assert selftest(connection, url, lambda check: None)
    assert world.count("public.users") == 0


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


def leave_people_behind(world: World) -> UUID:
    """Do what a selftest whose machine lost its power leaves: a therapist and a client with a session."""
    therapist, client = uuid4(), uuid4()
    world.run("insert into bookingdb.selftest_people (id) values (%s), (%s)", therapist, client)
    world.run("select public.register_therapist('selftest-1@example.invalid', null, %s)", therapist)
    world.run("select public.register_client('selftest-2@example.invalid', null, %s)", client)
    world.run("select public.grant_credits(%s, 2, p_idempotency_key => 'selftest')", client)
    world.book(client, therapist, "09:00")
    return therapist


def test_the_next_selftest_removes_what_an_earlier_one_left(lived_in: World) -> None:
    before = contents(lived_in)
    leave_people_behind(lived_in)
    assert contents(lived_in) != before

    assert failed(lived_in) == set()

    assert contents(lived_in) == before


def test_a_real_clients_session_with_a_leftover_therapist_stays(world: World) -> None:
    therapist = leave_people_behind(world)
    real_client = world.client(credits=1)
    world.run(
        "select public.create_session_with_credit_deduction(%s, %s, current_date + 3, '15:00')", real_client, therapist
    )

    assert failed(world) == set()

    assert world.run("select user_id, therapist_id from public.sessions") == [(real_client, therapist)]
    assert world.run("select id, is_active from public.users where user_type = 'therapist'") == [(therapist, False)]
    assert world.count("bookingdb.selftest_people") == 0
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Interrupted
# ----------------------------------------------------------------------------------------------------------------------

GATE = 4711
# Of a selftest's connections the janitor's is the one that is idle in its transaction.
JANITORS_TRANSACTION = (
    "exists (select from pg_stat_activity where datname = current_database() and application_name = 'bookingdb'"
    " and state = 'idle in transaction')"
)
# Where a selftest can be stopped, by a trigger that waits at a gate for everything that concerns its listed people.
STAGES = {
    "registering": "create trigger gate before insert on public.users for each row execute function gate('id')",
    "committing the registration": "create constraint trigger gate after insert on public.users deferrable"
    " initially deferred for each row execute function gate('id')",
    "booking": "create trigger gate before insert on public.sessions for each row execute function gate('user_id')",
    "committing the booking": "create constraint trigger gate after insert on public.sessions deferrable"
    " initially deferred for each row execute function gate('user_id')",
    "removing": "create trigger gate before delete on public.users for each row execute function gate('id')",
}


@pytest.fixture
def gatekeeper(lived_in: World) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection that holds the gate shut; closing it opens the gate."""
    lived_in.run(
        f"""
        create function public.gate() returns trigger language plpgsql as $function$
        begin
            if exists (
                select from bookingdb.selftest_people as p
                where p.id = (to_jsonb(coalesce(new, old)) ->> tg_argv[0])::uuid
            ) then
                perform pg_advisory_xact_lock({GATE});
            end if;
            return coalesce(new, old);
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


def wait_at_gate(world: World) -> None:
    wait_for(
        world, "the selftest is at the gate",
        f"exists (select from pg_locks where locktype = 'advisory' and objid = {GATE} and not granted"
        "  and database = (select oid from pg_database where datname = current_database()))",
    )  # fmt: skip


def wait_until_all_is_removed(world: World) -> None:
    """No people are listed, and no connection is left that could write any."""
    wait_for(
        world, "the selftest's people are removed",
        "not exists (select from bookingdb.selftest_people) and not exists ("
        "  select from pg_stat_activity where datname = current_database() and application_name = 'bookingdb')",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        *(("SIGKILL", stage) for stage in STAGES),
        ("SIGINT", "committing the registration"),
        ("SIGINT", "booking"),
        ("SIGINT", "removing"),
        ("SIGTERM", "booking"),
        ("SIGTERM", "removing"),
    ],
)
def test_interrupted_at_any_stage_it_leaves_nothing(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]], name: str, stage: str
) -> None:
    before = contents(lived_in)
    lived_in.run(STAGES[stage])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        if name == "SIGTERM":
            # As a service manager does, to every process of the service.
            os.kill(janitor_of(process), signal.SIGTERM)
        # The process group, as a terminal does: the janitor must not be in it.
        os.killpg(process.pid, signal.Signals[name])
        if name != "SIGINT":
            process.wait(10)
        gatekeeper.close()
        process.communicate(timeout=10)
    finally:
        process.kill()

    assert process.returncode != 0
    wait_until_all_is_removed(lived_in)
    assert contents(lived_in) == before


def test_people_of_a_selftest_that_runs_are_no_leftovers(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]]
) -> None:
    database = lived_in.connection.info.dbname
    lived_in.run(f"alter role owner in database {database} set idle_in_transaction_session_timeout = '500ms'")
    lived_in.run(STAGES["booking"])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        time.sleep(0.7)
        lived_in.run("set lock_timeout = '2s'")
        assert lived_in.scalar("select bookingdb.remove_selftest_people()") == 0
        gatekeeper.close()
        process.communicate(timeout=20)
    finally:
        process.kill()

    assert process.returncode == 0


def test_a_janitor_that_is_killed_is_replaced(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = contents(lived_in)
    lived_in.run(STAGES["booking"])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        os.kill(janitor_of(process), signal.SIGKILL)
        gatekeeper.close()
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()

    assert "Check(name='of two callers racing for a slot one wins', passed=False" in output
    assert "Check(name='nothing is left behind', passed=True" in output
    assert contents(lived_in) == before


def test_removing_leftovers_waits_for_a_writer(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = contents(lived_in)
    lived_in.run(STAGES["registering"])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        os.kill(janitor_of(process), signal.SIGKILL)
        wait_for(lived_in, "the janitor's transaction has ended", f"not {JANITORS_TRANSACTION}")
        with lived_in.connect() as remover, ThreadPoolExecutor() as threads:
            removed = threads.submit(scalar, remover, "select bookingdb.remove_selftest_people()")
            wait_until_blocked(lived_in.connection, remover.info.backend_pid)
            gatekeeper.close()
            assert removed.result() == 3
        process.communicate(timeout=20)
    finally:
        process.kill()

    assert contents(lived_in) == before


def test_a_janitor_whose_connection_is_lost_connects_again(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = contents(lived_in)
    lived_in.run(STAGES["booking"])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        lived_in.run(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and application_name = 'bookingdb' and state = 'idle in transaction'"
        )
        os.killpg(process.pid, signal.SIGKILL)
        gatekeeper.close()
        process.communicate(timeout=20)
    finally:
        process.kill()

    wait_until_all_is_removed(lived_in)
    assert contents(lived_in) == before


def janitor_of(process: subprocess.Popen[str]) -> int:
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


@pytest.mark.slow
def test_janitor_gets_no_password_that_others_can_read(
    lived_in: World, gatekeeper: psycopg.Connection[tuple[object, ...]]
) -> None:
    lived_in.run(STAGES["booking"])
    process = start_selftest(lived_in)
    try:
        wait_at_gate(lived_in)
        arguments = Path(f"/proc/{janitor_of(process)}/cmdline").read_text()
        gatekeeper.close()
        process.communicate(timeout=20)
    finally:
        process.kill()

    assert "bookingdb.checks.selftest" in arguments
    assert "postgresql://" not in arguments
    assert scalar(lived_in.connection, "select count(*) from bookingdb.selftest_people") == 0
