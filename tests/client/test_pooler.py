"""Behind a transaction pooler: everything works, nothing is prepared, and nothing is left for the next client.

The connection of a `World` here (and so `run`, `count` and the like) goes past the pooler; its URL goes through it.
Each test has a pooler of its own, whose connections to the server are compared with new ones when the test has ended.
"""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool
import pytest
import sqlalchemy
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import create_async_engine

from bookingdb import AsyncBookings, BookedSession, BookingConflict, BookingError, BookingFailed, Bookings, database
from bookingdb.checks import verify
from bookingdb.checks.selftest import Check, selftest
from bookingdb.errors import sqlstate_of
from bookingdb.install import installer
from bookingdb.install.session import INSTALL_LOCK
from tests.support import ROOT, TOMORROW, Connection, World, book, connect, run, scalar
from tests.support import pooler as poolers
from tests.support.clients import CALLERS, OURS, opened, result_of, sqlalchemy_url
from tests.support.databases import server_fixture
from tests.support.hosts import Host
from tests.support.pooler import POOL_SIZE, Pooler
from tests.support.refusals import outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(poolers.program() is None, reason=poolers.version()),
]

MIDNIGHT = dt.datetime.combine(TOMORROW, dt.time(), dt.UTC)


@pytest.fixture
def pooler(server_url: str, bin_dir: Path) -> Iterator[Pooler]:
    """A pooler in front of the plain server."""
    with poolers.running(server_url, bin_dir) as running:
        yield running


@pytest.fixture
def world(clean_world: World, pooler: Pooler) -> Iterator[World]:
    """A database whose URL leads through the pooler; at the end nothing may be left on the pooler's connections."""
    yield from watched(clean_world, pooler)


@pytest.fixture
def supabase_pooler(supabase_world: World, supabase_server_url: str, bin_dir: Path) -> Iterator[Pooler]:
    """A pooler in front of a Supabase project."""
    with poolers.running(supabase_server_url, bin_dir) as running:
        yield running


@pytest.fixture
def project(supabase_world: World, supabase_pooler: Pooler) -> Iterator[World]:
    """A Supabase project whose URL leads through the pooler, watched likewise."""
    yield from watched(supabase_world, supabase_pooler)


@pytest.fixture
def new_database(hosts_empty_database: str, host: Host, bin_dir: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL, through a pooler, of a new database of each host, watched likewise."""
    with poolers.running(request.getfixturevalue(server_fixture(host)), bin_dir) as running:
        assert len(running.process_ids(hosts_empty_database)) == POOL_SIZE
        yield running.url(hosts_empty_database)
        assert running.leaks(hosts_empty_database) == []


def watched(world: World, pooler: Pooler) -> Iterator[World]:
    # From the start there are as many connections as there will be, and they are used in turn.
    before = pooler.process_ids(world.url)
    assert len(before) == POOL_SIZE
    yield World(pooler.url(world.url), world.connection, world.superuser)
    assert pooler.leaks(world.url) == []


def at(hours: int) -> dt.datetime:
    return MIDNIGHT + dt.timedelta(hours=hours)


# ----------------------------------------------------------------------------------------------------------------------
# Installing, verifying, and the commands
# ----------------------------------------------------------------------------------------------------------------------


def test_it_is_installed_verified_and_tried_out_on_every_host(new_database: str, hosts_empty_database: str) -> None:
    with database.connect(new_database) as connection:
        dry = installer.migrate(connection, dry_run=True)
        assert dry.reason == "first installation"
        assert installer.status(connection).history == []

        report = installer.migrate(connection)
        assert (report.migrations, report.reason) == (dry.migrations, "first installation")
        assert installer.status(connection).pending.is_empty
        assert verify.verify(connection) == []
        # Often enough for the driver to prepare what is asked, which it must not.
        assert all(installer.migrate(connection).is_empty for _ in range(10))
        assert installer.migrate(connection, reapply=True).reason == "asked for"

        checks: list[Check] = []
        assert selftest(connection, new_database, checks.append)
        held = [check.name for check in checks if not check.detail]
        assert "of two callers racing for a slot the second waits for the first" in held
        assert verify.verify(connection) == []

    with connect(hosts_empty_database) as direct:
        assert verify.verify(direct) == []
        assert scalar(direct, "select count(*) from public.users") == 0


def bookingdb(url: str, *arguments: object) -> Any:
    """Run a command in a process of its own, and return the JSON that it prints."""
    command = [sys.executable, "-m", "bookingdb.cli", *map(str, arguments), "--json", "--database-url", url]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_command_works_through_it(owned_database: str, pooler: Pooler) -> None:
    url = pooler.url(owned_database)
    pooler.process_ids(owned_database)

    assert bookingdb(url, "migrate", "--dry-run")["dry_run"]
    assert bookingdb(url, "migrate")["reason"] == "first installation"
    assert bookingdb(url, "status")["pending_migrations"] == []
    assert bookingdb(url, "verify") == []
    assert all(check["passed"] for check in bookingdb(url, "selftest"))
    therapist = bookingdb(url, "register", "therapist", "grace@example.com")["id"]
    client = bookingdb(url, "register", "client", "ada@example.com")["id"]
    assert bookingdb(url, "credits", "grant", client, 2)["credits_balance"] == 2
    booked = bookingdb(url, "book", "--user", client, "--therapist", therapist, "--starts-at", at(10).isoformat())
    assert booked["credits_balance"] == bookingdb(url, "credits", "balance", client)["credits_balance"] == 1
    assert [entry["amount"] for entry in bookingdb(url, "credits", "history", client)] == [-1, 2]
    free = ["--therapist", therapist, "--date", TOMORROW, "--from", "11:00", "--to", "12:00"]
    assert bookingdb(url, "check", *free) == {"conflict": False, "state": "free"}
    assert [session["id"] for session in bookingdb(url, "sessions")] == [booked["id"]]

    assert bookingdb(url, "lint") == []
    with connect(owned_database) as direct:
        assert verify.verify(direct) == []
        assert "table public.sessions" in bookingdb(url, "uninstall", "--keep-data")["left"]
        assert run(direct, "select id::text from sessions") == [(booked["id"],)]
        assert run(direct, "select proname from pg_proc where pronamespace = 'bookingdb'::regnamespace") == []
    assert pooler.leaks(owned_database) == []


def test_parameter_the_pooler_refuses_is_told_in_a_line(world: World) -> None:
    url = make_conninfo(world.url, options="-c statement_timeout=1000")

    with pytest.raises(database.DatabaseUnreachable, match="unsupported startup parameter"):
        database.connect(url)
    with pytest.raises(BookingFailed):
        Bookings(url).list_sessions()


def test_one_of_eight_migrations_through_a_pooler_does_the_work(owned_database: str, pooler: Pooler) -> None:
    url = pooler.url(owned_database)
    pooler.process_ids(owned_database)
    together = threading.Barrier(8)

    def migrate(_: int) -> installer.Applied:
        with database.connect(url) as connection:
            together.wait(10)
            return installer.migrate(connection, wait=30)

    with ThreadPoolExecutor(8) as threads:
        reports = list(threads.map(migrate, range(8)))

    assert sorted(report.reason or "" for report in reports) == [""] * 7 + ["first installation"]
    with connect(owned_database) as direct:
        assert verify.verify(direct) == []
        assert scalar(direct, "select count(*) from bookingdb.history where kind = 'functions'") == 1
    assert pooler.leaks(owned_database) == []


def test_vanished_migrator_leaves_everything_to_the_next(owned_database: str, pooler: Pooler) -> None:
    url = pooler.url(owned_database)
    script = installer_script(owned_database)
    with connect(owned_database) as direct:
        vanishing = connect(url)
        vanishing.execute("begin")
        vanishing.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        for statement in script[:-1]:
            vanishing.execute(statement.encode())
        vanish(vanishing)

        with database.connect(url) as connection:
            report = installer.migrate(connection, wait=10)

        assert report.reason == "first installation"
        assert verify.verify(direct) == []
    assert pooler.leaks(owned_database) == []


def installer_script(url: str) -> list[str]:
    with connect(url) as connection:
        return installer.migrate(connection, dry_run=True).statements


# ----------------------------------------------------------------------------------------------------------------------
# Clients of all kinds
# ----------------------------------------------------------------------------------------------------------------------

PSYCOPG = [kind for kind in OURS + CALLERS if "sqlalchemy" not in kind]


@pytest.mark.parametrize("kind", PSYCOPG)
async def test_a_connection_as_the_driver_opens_it_will_do(world: World, kind: str) -> None:
    """The driver would prepare a statement that it runs for the sixth time, and here each is run ten times."""
    client, therapist = world.client(credits=10), world.therapist()
    async with opened(world, kind) as there:
        for hour in range(10):
            call = there.bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at(hour))
            assert (await result_of(call)).credits_balance == 9 - hour
            assert await result_of(there.bookings.get_credit_balance(client)) == 9 - hour
            await result_of(there.commit())
            if kind.endswith("in a block"):
                await result_of(there.bookings._db.execute("begin", prepare=False))
        for _ in range(10):
            with pytest.raises(BookingConflict):
                await result_of(there.bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at(5)))
            await result_of(there.rollback())

    assert world.count("sessions") == 10
    assert world.violations() == []


def documented_options(driver: str) -> dict[str, Any]:
    """What docs/operating.md says SQLAlchemy's driver needs."""
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^ *\| (\w+) \| (none|`\{.*\}`) \|$", text, re.MULTILINE))
    return {} if rows[driver] == "none" else dict(ast.literal_eval(rows[driver].strip("`")))


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_sqlalchemy_with_the_documented_options(world: World, driver: str) -> None:
    therapists = [world.therapist() for _ in range(8)]
    clients = [world.client(credits=10) for _ in range(8)]
    engine = sqlalchemy.create_engine(
        sqlalchemy_url(world, driver), pool_size=8, connect_args=documented_options(driver)
    )

    def work(client: UUID, therapist: UUID) -> None:
        for number in range(10):
            with engine.begin() as connection:
                Bookings(connection).book_session(user_id=client, therapist_id=therapist, starts_at=at(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, clients, therapists))
    engine.dispose()

    assert world.count("sessions") == 80
    assert world.violations() == []


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_asynchronous_sqlalchemy_with_the_documented_options(world: World, driver: str) -> None:
    therapists = [world.therapist() for _ in range(8)]
    clients = [world.client(credits=10) for _ in range(8)]
    engine = create_async_engine(sqlalchemy_url(world, driver), pool_size=8, connect_args=documented_options(driver))

    async def work(client: UUID, therapist: UUID) -> None:
        for number in range(10):
            async with engine.begin() as connection:
                await AsyncBookings(connection).book_session(
                    user_id=client, therapist_id=therapist, starts_at=at(number)
                )

    await asyncio.gather(*(work(client, therapist) for client, therapist in zip(clients, therapists, strict=True)))
    await engine.dispose()

    assert world.count("sessions") == 80
    assert world.violations() == []


def test_without_them_the_error_says_where_to_look(clean_world: World, pooler: Pooler) -> None:
    client = clean_world.client()
    pooler.process_ids(clean_world.url)
    behind = World(pooler.url(clean_world.url), clean_world.connection)
    engine = sqlalchemy.create_engine(sqlalchemy_url(behind, "psycopg"))

    def ask_ten_times() -> None:
        with engine.connect() as connection:
            for _ in range(10):
                Bookings(connection).get_credit_balance(client)
                connection.commit()

    with pytest.raises(BookingFailed) as caught:
        ask_ten_times()
    engine.dispose()

    assert caught.value.detail["sqlstate"] == "26000"  # invalid_sql_statement_name
    assert "docs/operating.md" in str(caught.value.hint)
    assert any("prepared statement" in leak for leak in pooler.leaks(clean_world.url))


async def test_nobody_acts_on_as_whoever_acted_before(world: World) -> None:
    """Clients share the pooler's connections, transaction by transaction: users among them, and the server itself."""
    therapists, clients = [world.therapist() for _ in range(8)], [world.client(credits=10) for _ in range(8)]

    async def work(kind: str, client: UUID, therapist: UUID) -> None:
        async with opened(world, kind) as there:
            trusted = there.bookings
            for number in range(6):
                with trusted.acting_as(client) as as_client:
                    await result_of(
                        as_client.book_session(user_id=client, therapist_id=therapist, starts_at=at(2 * number))
                    )
                await result_of(there.commit())
                with pytest.raises(BookingError, match="Not allowed"):
                    await result_of(as_client.grant_credits(client, 1))
                await result_of(there.rollback())
                await result_of(trusted.grant_credits(client, 1))
                await result_of(there.commit())

    kinds = ["async url", "async pool", "async connection", "async connection in autocommit"] * 2
    await asyncio.gather(*map(work, kinds, clients, therapists))

    actor_is_client = "select count(*) from booking_audit_log as a join sessions as s on s.id = a.session_id where "
    assert world.scalar(actor_is_client + "a.actor = s.user_id::text") == 48
    granted = "select distinct actor from bookingdb.ledger where kind = 'grant'"
    assert world.run(granted) == [(world.owner,)]
    assert world.violations() == []


async def test_many_tasks_share_an_asynchronous_pool(world: World) -> None:
    therapists = [world.therapist() for _ in range(16)]
    clients = [world.client(credits=10) for _ in range(16)]
    async with psycopg_pool.AsyncConnectionPool(world.url, min_size=16, max_size=16, open=False) as pool:
        bookings = AsyncBookings(pool)

        async def work(client: UUID, therapist: UUID, rival: UUID) -> list[str]:
            outcomes = []
            for number in range(10):
                try:
                    await bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at(2 * number))
                    outcomes.append("done")
                    await bookings.book_session(user_id=rival, therapist_id=therapist, starts_at=at(2 * number))
                except BookingError as error:
                    outcomes.append(error.code)
            return outcomes

        ended = await asyncio.gather(*(work(clients[n], therapists[n], clients[n - 1]) for n in range(16)))

    # The rival is another task's client, who has an own session then or will have: the therapist's is found first.
    assert ended == [["done", "booking_conflict"] * 10] * 16
    assert world.count("sessions") == 160
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Two thousand bookings
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Request:
    """A booking that somebody asks for, and how it ended: "done", or the code of an error of the table."""

    client: UUID
    therapist: UUID
    starts_at: dt.datetime
    key: str | None = None
    ended: str = ""
    session: UUID | None = None

    def send(self, bookings: Bookings) -> None:
        try:
            booked = bookings.book_session(
                user_id=self.client, therapist_id=self.therapist, starts_at=self.starts_at, idempotency_key=self.key
            )
            self.ended, self.session = "done", booked.id
        except BookingError as error:
            # A raw error of Postgres's may have the class of one of the table.
            if sqlstate_of(error.__cause__ or error) != f"PT{error.http_status}":
                raise
            self.ended = error.code


@dataclass
class Storm:
    """Two thousand slots of 20 therapists, one session in each; those who want the same one are in a group."""

    world: World
    groups: dict[str, list[list[Request]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        therapists, spare = [world.therapist() for _ in range(20)], [world.therapist() for _ in range(20)]
        clients, poor = [world.client(credits=200) for _ in range(40)], world.client()
        self.groups = {"alone": [], "two clients": [], "one client twice": [], "again": [], "poor": []}
        for number in range(2000):
            hour, place = divmod(number, 20)
            # Of the forty clients twenty have a session in an hour, and the others in the next.
            client, rival = clients[(place + 20 * hour) % 40], clients[(place + 20 * hour + 20) % 40]
            first = Request(client, therapists[place], at(hour))
            if number % 10 == 3:
                self.groups["two clients"].append([first, Request(rival, therapists[place], at(hour))])
            elif number % 10 == 6:
                self.groups["one client twice"].append([first, Request(client, spare[place], at(hour))])
            elif number % 10 == 9:
                self.groups["again"].append(
                    [Request(client, therapists[place], at(hour), f"key {number}") for _ in range(2)]
                )
            else:
                self.groups["alone"].append([first])
        self.groups["poor"] = [[Request(poor, therapist, at(1000 + n))] for n in range(5) for therapist in therapists]

    def requests(self) -> list[Request]:
        requests = [request for groups in self.groups.values() for group in groups for request in group]
        random.Random(2000).shuffle(requests)
        return requests

    def outcomes(self) -> dict[str, Counter[tuple[str, ...]]]:
        """How the requests of a group ended together, and how often."""
        return {
            name: Counter(tuple(sorted(request.ended for request in group)) for group in groups)
            for name, groups in self.groups.items()
        }


def on_its_own(connection: Connection) -> Callable[[Request], None]:
    return lambda request: request.send(Bookings(connection))


def in_a_transaction(connection: Connection) -> Callable[[Request], None]:
    def send(request: Request) -> None:
        request.send(Bookings(connection))
        if request.ended == "done":
            connection.commit()
        else:
            connection.rollback()

    return send


def test_thirty_two_clients_share_four_connections(world: World, pooler: Pooler) -> None:
    storm = Storm(world)
    requests = storm.requests()
    processes = pooler.process_ids(world.url)
    with ExitStack() as stack:
        pool = stack.enter_context(psycopg_pool.ConnectionPool(world.url, min_size=8, max_size=8))
        # As the driver opens them: it would prepare what it runs for the sixth time.
        connections = [stack.enter_context(psycopg.connect(world.url, autocommit=n < 16)) for n in range(24)]
        senders = [on_its_own(connection) for connection in connections[:16]]
        senders += [in_a_transaction(connection) for connection in connections[16:]]
        senders += [lambda request: request.send(Bookings(pool))] * 8

        def work(number: int) -> None:
            for request in requests[number :: len(senders)]:
                senders[number](request)

        with ThreadPoolExecutor(len(senders)) as threads:
            list(threads.map(work, range(len(senders))))
            assert len(pooler.ask("show clients")) >= 32

    assert storm.outcomes() == {
        "alone": {("done",): 1400},
        "two clients": {("booking_conflict", "done"): 200},
        "one client twice": {("client_conflict", "done"): 200},
        "again": {("done", "done"): 200},
        "poor": {("insufficient_credits",): 100},
    }
    acknowledged = {request.session for request in requests if request.session}
    assert len(acknowledged) == 2000
    assert {session for (session,) in world.run("select id from sessions")} == acknowledged
    assert world.scalar("select sum(credits_balance) from user_credits") == 40 * 200 - 2000
    assert world.violations() == []
    assert pooler.process_ids(world.url) == processes


# ----------------------------------------------------------------------------------------------------------------------
# Logged-in users, as PostgREST brings them
# ----------------------------------------------------------------------------------------------------------------------


def become(connection: Connection, user: UUID | None) -> None:
    """What PostgREST does first in each transaction; without a user there are no claims to set."""
    claims = {"sub": str(user), "role": "authenticated"}
    if user is None:
        connection.execute("select set_config('role', 'authenticated', true)")
    else:
        connection.execute(
            "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
            [json.dumps(claims)],
        )


def test_users_who_share_a_connection_act_for_themselves(project: World) -> None:
    users = [project.client(credits=200) for _ in range(3)]
    therapist = {user: project.therapist() for user in users}
    ended: Counter[tuple[str, str]] = Counter()
    booked: Counter[UUID] = Counter()
    hours = iter(range(10_000))
    counting = threading.Lock()

    def work(number: int) -> None:
        choose = random.Random(number)
        with connect(make_conninfo(project.url, user="authenticator")) as connection:
            for _ in range(50):
                user, other = choose.sample(users, 2)
                kind = choose.choice(("own", "other's", "nobody's", "read"))
                with counting:
                    day, hour = divmod(next(hours), 24)
                options = {"session_date": TOMORROW + dt.timedelta(days=day), "duration_minutes": 30}
                connection.execute("begin")
                become(connection, None if kind == "nobody's" else user)
                whose = other if kind == "other's" else user
                if kind == "read":
                    seen = run(connection, "select distinct user_id from sessions union select id from users")
                    # Therapists are users, but nobody sees one.
                    result = "own" if set(seen) <= {(user,)} else "other's"
                else:
                    result = outcome(partial(book, connection, whose, therapist[whose], f"{hour:02}:00", **options))
                connection.execute("commit")
                with counting:
                    ended[kind, result] += 1
                    booked[user] += kind == "own"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert set(ended) == {
        ("own", "done"), ("other's", "not_allowed"), ("nobody's", "not_authenticated"), ("read", "own"),
    }  # fmt: skip
    assert min(ended.values()) > 50
    assert dict(project.run("select user_id, count(*) from sessions group by user_id")) == booked
    assert project.count("booking_audit_log where actor <> user_id::text") == 0
    assert project.count("bookingdb.ledger where kind = 'debit' and actor <> user_id::text") == 0
    assert project.violations() == []


def test_claims_and_role_do_not_outlive_their_transaction(project: World, supabase_pooler: Pooler) -> None:
    user = project.client(credits=1)
    login = make_conninfo(project.url, user="authenticator")
    assert len(supabase_pooler.process_ids(login)) == POOL_SIZE
    for end in ("commit", "rollback"):
        for _ in range(POOL_SIZE):
            with connect(login) as connection:
                connection.execute("begin")
                become(connection, user)
                assert scalar(connection, "select get_credit_balance(%s)", user) == 1
                connection.execute(end.encode())

        with supabase_pooler.all_connections(login) as connections:
            for connection in connections:
                assert run(
                    connection,
                    "select current_user, current_setting('role'), current_setting('request.jwt.claims', true)",
                ) == [("authenticator", "none", "")]
                become(connection, None)
                ask = partial(run, connection, "select get_credit_balance(%s)", user)
                assert outcome(ask) == "not_authenticated"


# ----------------------------------------------------------------------------------------------------------------------
# Clients that are gone
# ----------------------------------------------------------------------------------------------------------------------


def vanish(connection: Connection) -> None:
    """Cut the connection as a crash does: without a goodbye."""
    with closing(socket.socket(fileno=os.dup(connection.pgconn.socket))) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


BOOKS_AND_WAITS = """
import datetime, sys, time, psycopg, bookingdb
url, client, therapist, starts_at = sys.argv[1:]
starts_at = datetime.datetime.fromisoformat(starts_at)
connection = psycopg.connect(url)
bookingdb.book_session(connection, user_id=client, therapist_id=therapist, starts_at=starts_at)
print("booked", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["its connection is cut", "it is killed"])
def test_a_client_that_is_gone_in_a_transaction_has_not_booked(world: World, how: str) -> None:
    client, other, therapist = world.client(credits=1), world.client(credits=1), world.therapist()
    if how == "it is killed":
        process = subprocess.Popen(
            [sys.executable, "-c", BOOKS_AND_WAITS, world.url, str(client), str(therapist), at(10).isoformat()],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "booked\n"
            process.send_signal(signal.SIGKILL)
    else:
        connection = psycopg.connect(world.url)
        Bookings(connection).book_session(user_id=client, therapist_id=therapist, starts_at=at(10))
        vanish(connection)

    booked = Bookings(world.url).book_session(user_id=other, therapist_id=therapist, starts_at=at(10))

    assert world.run("select id, user_id from sessions") == [(booked.id, other)]
    assert world.balance(client) == 1
    assert world.violations() == []


def test_client_gone_while_waiting_asks_again_with_its_key(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    connection = psycopg.connect(world.url, autocommit=True)

    def ask(database: Any) -> BookedSession:
        return Bookings(database).book_session(
            user_id=client, therapist_id=therapist, starts_at=at(10), idempotency_key="checkout 1"
        )

    with ThreadPoolExecutor(2) as threads:
        with connect(world.connection.info.dsn) as holder, holder.transaction():
            run(holder, "select lock_for_booking(%s)", [therapist])
            first = threads.submit(ask, connection)
            wait_for_waiting(world, 1)
            vanish(connection)
            with pytest.raises(BookingFailed) as caught:
                first.result(10)
            assert isinstance(caught.value.__cause__, psycopg.OperationalError)
            second = threads.submit(ask, world.url)
            wait_for_waiting(world, 1)
        booked = second.result(10)

    assert world.run("select id from sessions") == [(booked.id,)]
    assert (booked.credits_balance, world.balance(client)) == (1, 1)
    assert world.violations() == []


def wait_for_waiting(world: World, number: int) -> None:
    for _ in range(2000):
        if world.count("pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()") >= number:
            return
        threading.Event().wait(0.005)
    raise AssertionError("nobody waits for a lock")


# ----------------------------------------------------------------------------------------------------------------------
# That leaks are seen
# ----------------------------------------------------------------------------------------------------------------------

LEAKS = {
    "a setting": ("set lock_timeout = '5s'", "setting lock_timeout of postgres: 5000, not 0"),
    "another setting": ("set search_path = ''", 'setting search_path of postgres: ""'),
    "a timeout": ("select set_config('statement_timeout', '7s', false)", "setting statement_timeout of postgres: 7000"),
    "an isolation level": (
        "set session characteristics as transaction isolation level serializable",
        "setting default_transaction_isolation of postgres: serializable",
    ),
    "claims": (
        "select set_config('request.jwt.claims', '{}', false)",
        "setting request.jwt.claims of postgres: {}, not ",
    ),
    "a role": ("set role owner", "effective user of postgres: owner, not postgres"),
    "a session's lock": ("select pg_advisory_lock(1)", "idle of postgres: advisory ExclusiveLock"),
    "a transaction": ("begin", "idle in transaction of postgres: "),
    "a prepared statement": ("prepare s as select 1", "prepared statement s of postgres: prepare s as select 1"),
    "a cursor": ("declare c cursor with hold for select 1", "cursor c of postgres"),
    "a channel": ("listen news", "channel news of postgres"),
    "a temporary table": ("create temporary table t ()", "temporary relation t of postgres"),
}


@pytest.mark.parametrize("what", LEAKS)
def test_state_that_leaks_through_the_pooler_is_seen(clean_world: World, pooler: Pooler, what: str) -> None:
    statement, expected = LEAKS[what]
    url = make_conninfo(clean_world.url, user="postgres")
    assert pooler.leaks(url) == []

    with connect(pooler.url(url)) as client:
        client.execute(statement.encode())
        if what != "a transaction":
            client.close()
        leaks = pooler.leaks(url, patience=0.3)

    assert [leak for leak in leaks if leak.startswith(expected)], leaks


def test_prepared_statement_is_missing_on_the_next_connection(clean_world: World, pooler: Pooler) -> None:
    """So that the tests above are worth something: each transaction is on another connection to the server."""
    pooler.process_ids(clean_world.url)
    with psycopg.connect(pooler.url(clean_world.url), autocommit=True) as client:
        for _ in range(5):
            client.execute("select %s::int", [1])
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            client.execute("select %s::int", [1])

    assert any("prepared statement _pg3_0" in leak for leak in pooler.leaks(clean_world.url))


def test_the_pooler_is_gone_when_its_block_has_failed(server_url: str, bin_dir: Path) -> None:
    started: list[Pooler] = []

    def fail() -> None:
        with poolers.running(server_url, bin_dir) as running:
            started.append(running)
            assert running.ask("show version")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", started[0].port))
