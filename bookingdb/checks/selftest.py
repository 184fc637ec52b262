"""The deployment checklist: books and is refused on the connected database, and leaves it as it was.

Most of it happens in one transaction that is rolled back. Only the race of two callers for one slot needs rows that two
connections see, so these are committed and removed again. A process of its own, the janitor, sees to the removal:
it lists the people in ``bookingdb.selftest_people`` before they exist, and removes them with everything that hangs on
them when its standard input ends, which it does however this process ends.

Three rules, all of them locks of transactions, keep selftests apart from each other and from their janitors:

- The janitor holds the rows of its people FOR NO KEY UPDATE while its selftest runs. Who removes leftovers skips them.
- Whoever writes for these people holds their rows FOR KEY SHARE, and writes nothing when they are gone.
- Who removes takes the rows FOR UPDATE first, and so waits for writers.
"""

import contextlib
import datetime as dt
import json
import os
import queue
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from bookingdb import database
from bookingdb.client import Bookings
from bookingdb.errors import (
    BookingConflict,
    BookingError,
    ClientConflict,
    InPast,
    InsufficientCredits,
    OutsideAvailability,
    TherapistNotFound,
    sqlstate_of,
)
from bookingdb.policy import DEFAULTS
from bookingdb.records import BookedSession

Connection = psycopg.Connection[Any]

# How long the second caller of the race may take to arrive at the lock.
_PATIENCE: Final = 10.0  # seconds
# How long another selftest may take to remove what it took for leftovers.
_PATIENCE_WITH_OTHERS: Final = 2.0  # seconds
_TIME_ZONE: Final = "UTC"
# Every table that can hold something about a person.
_COUNT_ROWS_OF_PEOPLE: Final = """
    select 'public.users', count(*) from public.users where id = any (%(people)s)
    union all
    select 'public.sessions', count(*) from public.sessions
    where user_id = any (%(people)s) or therapist_id = any (%(people)s)
    union all
    select 'public.user_credits', count(*) from public.user_credits where user_id = any (%(people)s)
    union all
    select 'public.booking_audit_log', count(*) from public.booking_audit_log where user_id = any (%(people)s)
    union all
    select 'bookingdb.calendar', count(*) from bookingdb.calendar
    where client_id = any (%(people)s) or therapist_id = any (%(people)s)
    union all
    select 'bookingdb.ledger', count(*) from bookingdb.ledger where user_id = any (%(people)s)
    union all
    select 'bookingdb.idempotency_keys', count(*) from bookingdb.idempotency_keys where user_id = any (%(people)s)
    union all
    select 'bookingdb.policies', count(*) from bookingdb.policies where therapist_id = any (%(people)s)
    union all
    select 'bookingdb.outbox', count(*) from bookingdb.outbox
    where payload ->> 'user_id' = any (%(people)s::text[]) or payload ->> 'therapist_id' = any (%(people)s::text[])
    union all
    select 'bookingdb.selftest_people', count(*) from bookingdb.selftest_people where id = any (%(people)s)
"""


# Whether the people here are an application's, of whom bookingdb can make none.
_IS_ADOPTED: Final = "select exists (select from bookingdb.adoption as a where a.kind = 'plan')"


class SelftestError(Exception):
    """The selftest cannot be run at all; the message says why and what to do."""


@dataclass(frozen=True)
class Check:
    """The result of one check: what was checked, whether it is so, and, where it is not, what is instead."""

    name: str
    passed: bool
    detail: str = ""


Report = Callable[[Check], None]


def selftest(connection: Connection, conninfo: str, report: Report) -> bool:
    """Run the checklist.

    Args:
        connection: to the database in question, as the owner of what is installed or a superuser; outside a
            transaction. May go through a transaction pooler.
        conninfo: the libpq connection string or URL of the same database: the race needs two further connections.
        report: is given each check's result as soon as there is one.

    Returns:
        Whether all checks passed.

    Raises:
        SelftestError: bookingdb is not installed there, or the role may not do this.
        bookingdb.database.DatabaseUnreachable: `conninfo` leads nowhere.
        psycopg.OperationalError: the connection was lost.

    Example:
        >>> selftest(connection, url, lambda check: print("ok" if check.passed else "FAILED", check.name))
        ok a therapist and clients are registered, and credits granted
        ...
        True
    """
    _require_privileges(connection)
    results: list[bool] = []

    def record(name: str, check: Callable[[], object]) -> bool:
        try:
            result = Check(name, True, str(check() or ""))
        except _Failed as failure:
            result = Check(name, False, str(failure))
        except (BookingError, psycopg.Error) as error:
            if connection.closed:
                raise
            result = Check(name, False, _describe(error))
        results.append(result.passed)
        report(result)
        return result.passed

    with connection.transaction(force_rollback=True):
        _settle(connection)
        is_adopted = bool(_row(connection, _IS_ADOPTED)[0])
        stage = _Borrowed(connection) if is_adopted else _Stage(connection)
        if not record(stage.title, stage.set):
            return False
        for name, check in _CHECKS:
            with connection.transaction(force_rollback=True):
                reason = stage.impossible.get(check)
                record(name, partial(_not_tried, reason) if reason else partial(check, stage))

    if is_adopted:
        record("of two callers racing for a slot the second waits for the first", lambda: _wait(connection, conninfo))
        return all(results)
    people: list[UUID] = []
    record("of two callers racing for a slot one wins", lambda: _race(connection, conninfo, people))
    record("nothing is left behind", lambda: _require_nothing_left(connection, people))
    return all(results)


class _Failed(Exception):
    """A check found something else than it should have."""


def _require_privileges(connection: Connection) -> None:
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise SelftestError("the selftest needs a connection that is not in a transaction")
    # Asked of the catalogue: looking into the schema itself may be refused.
    found = connection.execute(
        """
        select pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'usage'), current_user
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'bookingdb' and c.relname = 'selftest_people'
        """
    ).fetchone()
    if found is None:
        raise SelftestError("bookingdb is not installed in this database: `bookingdb migrate` installs it")
    owner, is_owner, role = found
    if not is_owner:
        raise SelftestError(
            f"the role {role} may not run the selftest, which makes rows and removes them again: run it as {owner},"
            " the owner of what is installed, or as a superuser"
        )


def _settle(connection: Connection) -> None:
    """Make the transaction that has just begun independent of the settings of role, database and pooler."""
    connection.execute("set transaction isolation level read committed read write")
    connection.execute(
        "select set_config('lock_timeout', '30s', true), set_config('statement_timeout', '60s', true),"
        " set_config('idle_in_transaction_session_timeout', '0', true)"
    )


def _describe(error: BookingError | psycopg.Error) -> str:
    """One line on an unexpected error: ours by its code, and what the database said."""
    code = f"{error.code}: " if isinstance(error, BookingError) else ""
    cause = error.__cause__ if isinstance(error, BookingError) and error.__cause__ else error
    message = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return f"{code}{message or cause} ({sqlstate_of(cause) or 'no answer'})"


def _require_refusal(call: Callable[[], object], expected: type[BookingError]) -> None:
    """Require that a call is refused with this error: its code, as its own SQLSTATE."""
    sqlstate = f"PT{expected.http_status}"
    try:
        call()
    except BookingError as error:
        # A raw exclusion violation has the same class; the database must not let it get so far.
        if type(error) is not expected or sqlstate_of(error.__cause__ or error) != sqlstate:
            raise _Failed(f"refused, but with {_describe(error)} instead of {expected.code} ({sqlstate})") from error
    else:
        raise _Failed(f"was not refused with {expected.code} ({sqlstate})")


# ----------------------------------------------------------------------------------------------------------------------
# The part that is rolled back
# ----------------------------------------------------------------------------------------------------------------------


class _Stage:
    """People of the selftest's own, in a transaction that will be rolled back; every check begins with them anew."""

    title = "a therapist and clients are registered, and credits granted"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.bookings = Bookings(connection)
        self.day = _day(connection)
        self.yesterday = self.day - dt.timedelta(days=8)
        self.lots: dict[UUID, UUID] = {}
        # Checks that cannot be made with these people, and why.
        self.impossible: dict[Callable[[_Stage], None], str] = {}

    def set(self) -> str:
        self.therapist = self._therapist()
        self.colleague = self._therapist()
        self.client = self._client(credits=2)
        self.other_client = self._client(credits=1)
        self.penniless = self._client(credits=0)
        return ""

    def book(self, client: UUID, therapist: UUID, at: str = "12:00", day: dt.date | None = None) -> BookedSession:
        # A savepoint: the transaction outlives a refusal.
        with self.connection.transaction():
            return _book(self.bookings, client, therapist, at, day or self.day)

    def _therapist(self) -> UUID:
        email = _email(uuid.uuid4())
        return _register_therapist(self.bookings, email)

    def _client(self, credits: int) -> UUID:
        client = self.bookings.register_client(_email(uuid.uuid4()), full_name="Selftest")
        self.grant(client, credits)
        return client

    def grant(self, client: UUID, credits: int) -> None:
        if credits:
            self.lots[client] = self.bookings.grant_credits(client, credits).lot_id


class _Borrowed(_Stage):
    """Two therapists and three clients of an adopted application, which alone can make people: until the rollback.

    They are given the policy and the credits that the checks count on, on a day on which none of them has anything.
    Where there are fewer, what needs them is not tried.
    """

    title = "therapists and clients of the application are found, and credits granted"

    def set(self) -> str:
        therapists, clients = _borrow(self.connection)
        if not therapists or not clients:
            self.impossible = {check: "there is nobody to try it with" for _, check in _CHECKS}
            return "but there is no therapist who can be booked, or no client"
        # Only of people of our own table is it known how they become inactive.
        query = "select exists (select from public.users as u where u.id = %s)"
        if not _row(self.connection, query, therapists[0])[0]:
            self.impossible[_refuses_an_inactive_therapist] = "only the application makes therapists inactive"
        for missing, check, who in (
            (len(therapists) < 2, _refuses_a_client_who_is_busy, "second therapist"),
            (len(clients) < 2, _refuses_a_taken_slot, "second client"),
            (len(clients) < 3, _refuses_without_credits, "third client"),
        ):
            if missing:
                self.impossible[check] = f"the application has no {who}"
        self.therapist, self.colleague = therapists[0], therapists[-1]
        self.client, self.other_client, self.penniless = (clients * 3)[:3] if len(clients) < 3 else clients
        for therapist in therapists:
            _open(self.connection, therapist)
        self.connection.execute(
            "update public.user_credits set credits_balance = 0 where user_id = any (%s) and credits_balance > 0",
            [clients],
        )
        self.day = _free_day(self.connection, therapists + clients)
        self.grant(self.client, 2)
        if len(clients) > 1:
            self.grant(self.other_client, 1)
        return ""


def _not_tried(reason: str) -> str:
    return f"was not tried: {reason}"


def _borrow(connection: Connection) -> tuple[list[UUID], list[UUID]]:
    """Two therapists at most, and three clients."""
    therapists, clients = (
        [person for (person,) in connection.execute(query)]
        for query in (
            "select t.id from bookingdb.therapists as t order by t.id limit 2",
            "select c.id from bookingdb.clients as c where not exists (select from bookingdb.therapists as t"
            " where t.id = c.id) order by c.id limit 3",
        )
    )
    return therapists, clients


def _free_day(connection: Connection, people: list[UUID]) -> dt.date:
    """The first day, a week from now at the earliest, around which none of them has anything."""
    day: dt.date = _row(
        connection,
        """
        select min(d.day::date)
        from generate_series((now() at time zone 'UTC')::date + 7, (now() at time zone 'UTC')::date + 364, '1 day')
            as d (day)
        where not exists (
            select from bookingdb.calendar as c
            where (c.therapist_id = any (%s) or c.client_id = any (%s))
                and c.blocked && tstzrange(d.day at time zone 'UTC', (d.day + interval '1 day') at time zone 'UTC')
        )
        """,
        people,
        people,
    )[0]
    if day is None:
        raise _Failed("the people to try it with have something on every day of a year")
    return day


def _wait(connection: Connection, conninfo: str) -> str:
    """Let two callers book the same slot of an adopted application's therapist; both are rolled back."""
    with database.connect(conninfo) as second_connection, ThreadPoolExecutor(max_workers=1) as second_caller:
        arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        with connection.transaction(force_rollback=True):
            _settle(connection)
            therapists, clients = _borrow(connection)
            if not therapists or len(clients) < 2:
                return _not_tried("there are no two clients and a therapist to try it with")
            therapist, winner, loser = therapists[0], clients[0], clients[1]
            day = _free_day(connection, [therapist, winner, loser])

            def come_second() -> None:
                with second_connection.transaction(force_rollback=True):
                    _settle(second_connection)
                    arrived.put(_row(second_connection, "select pg_backend_pid()")[0])
                    Bookings(second_connection).grant_credits(loser, 1)
                    # That it waits is what counts: its own hours may refuse it then.
                    with contextlib.suppress(BookingConflict, OutsideAvailability):
                        _book(Bookings(second_connection), loser, therapist, "12:00", day)

            Bookings(connection).grant_credits(winner, 1)
            _open(connection, therapist)
            _book(Bookings(connection), winner, therapist, "12:00", day)
            second = second_caller.submit(come_second)
            waited = _wait_until_blocked(connection, arrived, second)
        second.result()
    if not waited:
        raise _Failed("the second caller did not wait")
    return ""


def _open(connection: Connection, therapist: UUID) -> None:
    """Let a therapist of the application be booked at any time, until the rollback."""
    _set_policy(Bookings(connection), therapist)
    connection.execute("delete from bookingdb.weekly_hours where therapist_id = %s", [therapist])
    connection.execute("delete from bookingdb.date_overrides where therapist_id = %s", [therapist])


def _set_policy(bookings: Bookings, therapist: UUID) -> None:
    """Let what a new installation has hold for a therapist, whatever the default policy says here."""
    bookings.set_policy(therapist_id=therapist, **DEFAULTS)


def _day(connection: Connection) -> dt.date:
    """A day that is to come, by the server's clock."""
    day: dt.date = _row(connection, "select (now() at time zone 'UTC')::date + 7")[0]
    return day


def _register_therapist(bookings: Bookings, email: str, therapist: UUID | None = None) -> UUID:
    registered = bookings.register_therapist(email, full_name="Selftest", user_id=therapist, time_zone=_TIME_ZONE)
    _set_policy(bookings, registered)
    return registered


def _email(person: UUID) -> str:
    return f"selftest-{person}@example.invalid"


def _book(bookings: Bookings, client: UUID, therapist: UUID, at: str, day: dt.date) -> BookedSession:
    return bookings.book_session(
        user_id=client, therapist_id=therapist, session_date=day, session_time=at, time_zone=_TIME_ZONE
    )


def _row(connection: Connection, query: LiteralString, *parameters: object) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return tuple(row)


def _require(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise _Failed(f"{what} should be {expected}, not {found}")


def _books(stage: _Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    starts = dt.datetime.combine(stage.day, dt.time(12), dt.UTC)
    kept = _row(
        stage.connection,
        "select s.user_id, s.therapist_id, s.start_time, s.end_time - s.start_time, s.status"
        " from public.sessions as s where s.id = %s",
        booked.id,
    )
    _require(
        (kept[0], kept[1], kept[2].astimezone(dt.UTC), kept[3], kept[4]),
        (stage.client, stage.therapist, starts, dt.timedelta(minutes=60), "scheduled"),
        "the session",
    )
    (in_calendar,) = _row(
        stage.connection,
        "select count(*) from bookingdb.calendar as c where c.id = %s and c.therapist_id = %s and c.client_id = %s"
        " and c.kind = 'session' and c.period = tstzrange(%s, %s)",
        booked.id, stage.therapist, stage.client, starts, starts + dt.timedelta(minutes=60),
    )  # fmt: skip
    _require(in_calendar, 1, "the number of calendar rows")


def _deducts_one_credit(stage: _Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    _require(booked.credits_balance, 1, "the balance returned by the booking of two credits")
    _require(stage.bookings.get_credit_balance(stage.client), 1, "the balance after a booking of two credits")
    lot = _row(
        stage.connection,
        "select c.credits_balance, c.credits_used from public.user_credits as c where c.id = %s",
        stage.lots[stage.client],
    )
    _require(lot, (1, 1), "what is left in the client's lot, and used of it")
    entries = stage.connection.execute(
        "select l.kind, l.amount, l.balance_after, l.session_id from bookingdb.ledger as l where l.lot_id = %s"
        " order by l.id",
        [stage.lots[stage.client]],
    ).fetchall()
    _require(entries, [("grant", 2, 2, None), ("debit", -1, 1, booked.id)], "the client's ledger")


def _writes_the_audit_row(stage: _Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    rows = stage.connection.execute(
        "select a.user_id, a.action, a.old_status, a.new_status from public.booking_audit_log as a"
        " where a.session_id = %s",
        [booked.id],
    ).fetchall()
    _require(rows, [(stage.client, "created", None, "scheduled")], "the audit log of the session")


def _refuses_without_credits(stage: _Stage) -> None:
    _require_refusal(lambda: stage.book(stage.penniless, stage.therapist), InsufficientCredits)


def _refuses_an_unknown_therapist(stage: _Stage) -> None:
    _require_refusal(lambda: stage.book(stage.client, uuid.uuid4()), TherapistNotFound)


def _refuses_an_inactive_therapist(stage: _Stage) -> None:
    stage.bookings.set_therapist_active(stage.therapist, False)
    _require_refusal(lambda: stage.book(stage.client, stage.therapist), TherapistNotFound)


def _refuses_the_past(stage: _Stage) -> None:
    _require_refusal(lambda: stage.book(stage.client, stage.therapist, day=stage.yesterday), InPast)


def _refuses_a_taken_slot(stage: _Stage) -> None:
    stage.book(stage.client, stage.therapist, "12:00")
    for overlapping in ("12:00", "11:30", "12:30"):
        _require_refusal(partial(stage.book, stage.other_client, stage.therapist, overlapping), BookingConflict)
    stage.book(stage.other_client, stage.therapist, "13:00")


def _refuses_a_client_who_is_busy(stage: _Stage) -> None:
    stage.book(stage.client, stage.therapist, "12:00")
    _require_refusal(lambda: stage.book(stage.client, stage.colleague, "12:30"), ClientConflict)


_CHECKS: Final[tuple[tuple[str, Callable[[_Stage], None]], ...]] = (
    ("a session is booked", _books),
    ("exactly one credit is deducted", _deducts_one_credit),
    ("the audit row is written", _writes_the_audit_row),
    ("a booking without credits is refused", _refuses_without_credits),
    ("an unknown therapist is refused", _refuses_an_unknown_therapist),
    ("an inactive therapist is refused", _refuses_an_inactive_therapist),
    ("a start in the past is refused", _refuses_the_past),
    ("a taken slot is refused", _refuses_a_taken_slot),
    ("a second session of a client at the same time is refused", _refuses_a_client_who_is_busy),
)


# ----------------------------------------------------------------------------------------------------------------------
# The race
# ----------------------------------------------------------------------------------------------------------------------


def _race(connection: Connection, conninfo: str, people: list[UUID]) -> str:
    """Let two callers book the same slot at the same time; fills `people` with the three who take part."""
    with (
        _janitor(conninfo) as listed,
        database.connect(conninfo) as second_connection,
        ThreadPoolExecutor(max_workers=1) as second_caller,
    ):
        people.extend(listed)
        therapist, winner, loser = listed
        bookings = Bookings(connection)
        day = _day(connection)

        with connection.transaction():
            _claim(connection, listed)
            _register_therapist(bookings, _email(therapist), therapist)
            for client in (winner, loser):
                bookings.register_client(_email(client), full_name="Selftest", user_id=client)
                bookings.grant_credits(client, 1)

        arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

        def come_second() -> None:
            # Rolled back in any case: this transaction must not outlive a process that is killed now.
            with second_connection.transaction(force_rollback=True):
                _claim(second_connection, listed)
                arrived.put(_row(second_connection, "select pg_backend_pid()")[0])
                _require_refusal(
                    lambda: _book(Bookings(second_connection), loser, therapist, "12:00", day), BookingConflict
                )

        with connection.transaction():
            _claim(connection, listed)
            _book(bookings, winner, therapist, "12:00", day)
            second = second_caller.submit(come_second)
            waited = _wait_until_blocked(connection, arrived, second)
        second.result()

        (sessions,) = _row(connection, "select count(*) from public.sessions as s where s.therapist_id = %s", therapist)
        _require(sessions, 1, "the number of sessions after the race")
        balances = [bookings.get_credit_balance(client) for client in (winner, loser)]
        _require(balances, [0, 1], "the credits of winner and loser, who had one each,")
    return "" if waited else "but the second caller was not seen waiting for the first"


def _claim(connection: Connection, people: list[UUID]) -> None:
    """Begin a transaction that writes for these people: they cannot be removed until it ends."""
    _settle(connection)
    listed = connection.execute(
        "select p.id from bookingdb.selftest_people as p where p.id = any (%s) order by p.id for key share", [people]
    ).fetchall()
    if len(listed) != len(people):
        raise _Failed("the selftest's people were removed while it ran")


def _wait_until_blocked(connection: Connection, arrived: "queue.SimpleQueue[int]", second: "Future[None]") -> bool:
    """Wait until the second caller waits for this connection's transaction; False where it never does."""
    deadline = time.monotonic() + _PATIENCE
    process_id: int | None = None
    while time.monotonic() < deadline and not second.done():
        try:
            process_id = process_id or arrived.get(timeout=0.01)
        except queue.Empty:
            continue
        if _row(connection, "select pg_backend_pid() = any (pg_blocking_pids(%s))", process_id)[0]:
            return True
        time.sleep(0.01)
    return False


def _require_nothing_left(connection: Connection, people: list[UUID]) -> None:
    deadline = time.monotonic() + _PATIENCE_WITH_OTHERS
    while True:
        # The janitor was here before, unless it was killed. Another selftest may be at it: it took them for leftovers.
        _remove(connection)
        counts = connection.execute(_COUNT_ROWS_OF_PEOPLE, {"people": people}).fetchall()
        left = [f"{table}: {count}" for table, count in counts if count]
        if not left:
            return
        if time.monotonic() > deadline:
            raise _Failed(f"rows of the race could not be removed ({', '.join(left)})")
        time.sleep(0.05)


# ----------------------------------------------------------------------------------------------------------------------
# The janitor
# ----------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _janitor(conninfo: str) -> Iterator[list[UUID]]:
    """Run the janitor; gives three ids that it has listed and guards, and has removed them at the end."""
    package_folder = str(Path(__file__).parent.parent)
    search_path = os.pathsep.join(filter(None, (package_folder, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "bookingdb.checks.selftest"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": search_path},
        # What kills this process group (Ctrl-C, a closed terminal) is not meant for it.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            # Not as an argument: everybody on the machine can read those, and this may hold a password.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(conninfo) + "\n")
                process.stdin.flush()
            yield [UUID(person) for person in _answer(process.stdout.readline())]
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            last = process.stdout.readline()
        _answer(last)


def _answer(line: str) -> Any:
    answer = json.loads(line or '{"error": "it ended without an answer"}')
    if isinstance(answer, dict):
        raise _Failed(f"the process that cleans up: {answer['error']}")
    return answer


def _main() -> None:
    """Be the janitor: read where the database is, list people, and remove them when standard input ends."""
    # Whoever asks everything to end ends the selftest, too, and the end of that is what counts here.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answer: Any
    try:
        answer = _clean_up_after(json.loads(sys.stdin.readline()))
    except (database.DatabaseUnreachable, psycopg.Error) as error:
        answer = {"error": " ".join(str(error).split())}
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(answer), flush=True)


def _clean_up_after(conninfo: str) -> int:
    with database.connect(conninfo) as connection:
        _remove(connection)
        people = [str(uuid.uuid4()) for _ in range(3)]
        try:
            while not _guard(connection, people):
                pass
        except psycopg.OperationalError:
            # The connection was lost; the rows are still there.
            pass
        else:
            return _remove(connection)
    with database.connect(conninfo) as connection:
        return _remove(connection)


def _guard(connection: Connection, people: list[str]) -> bool:
    """List the people, and hold their rows until standard input ends; False where others were faster."""
    with connection.transaction():
        _settle(connection)
        connection.execute(
            "insert into bookingdb.selftest_people (id) select unnest(%s::uuid[]) on conflict do nothing", [people]
        )
    with connection.transaction():
        _settle(connection)
        held = connection.execute(
            "select p.id from bookingdb.selftest_people as p where p.id = any (%s) for no key update", [people]
        ).fetchall()
        # Another selftest may have taken them for leftovers in between.
        if len(held) < len(people):
            return False
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(people), flush=True)
        sys.stdin.read()
        # Notices a connection that was lost meanwhile.
        connection.execute("select 1")
    return True


def _remove(connection: Connection) -> int:
    with connection.transaction():
        _settle(connection)
        removed: int = _row(connection, "select bookingdb.remove_selftest_people()")[0]
        return removed


if __name__ == "__main__":
    _main()
