"""What many tests need: a database of one's own, people in it, and other sessions that can be watched waiting."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row

Connection = psycopg.Connection[Any]

ROOT = Path(__file__).parents[2]

_counter = itertools.count(1)

# Local dates that are always to come, and on which no zone of the tests changes its clocks.
TOMORROW = dt.date.today() + dt.timedelta(days=2)

# Book with an idempotency key, for those who call at once.
BOOK = "select id from create_session_with_credit_deduction(%s, %s, %s, %s, p_idempotency_key => %s)"


def connect(url: str, **options: Any) -> Connection:
    """Open a connection the way the package does: autocommit, nothing prepared."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, **options)


def run(connection: Connection, statement: str, *parameters: Any) -> list[Any]:
    """Run a statement and return its rows, if it has any."""
    cursor = connection.execute(statement, parameters or None)
    return cursor.fetchall() if cursor.description else []


def scalar(connection: Connection, statement: str, *parameters: Any) -> Any:
    """Return the only column of the only row."""
    ((value,),) = run(connection, statement, *parameters)
    return value


@dataclass
class World:
    """A database with bookingdb in it, and short ways to put people there and to book."""

    url: str
    connection: Connection
    # Who can do what the owner cannot, such as emptying the append-only tables.
    superuser: str = "postgres"

    @property
    def owner(self) -> str:
        """The role that the database belongs to, and everything of ours in it."""
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["user"])

    def connect(self, **options: Any) -> Connection:
        return connect(self.url, **options)

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        return run(self.connection, statement, *parameters)

    def scalar(self, statement: str, *parameters: Any) -> Any:
        return scalar(self.connection, statement, *parameters)

    def therapist(self, time_zone: str | None = "UTC") -> UUID:
        email = f"therapist{next(_counter)}@example.com"
        return cast(UUID, self.scalar("select register_therapist(%s, 'A Therapist', null, %s)", email, time_zone))

    def client(self, credits: int = 0) -> UUID:
        email = f"client{next(_counter)}@example.com"
        client = cast(UUID, self.scalar("select register_client(%s, 'A Client')", email))
        if credits:
            self.run("select * from grant_credits(%s, %s)", client, credits)
        return client

    def book(self, client: UUID, therapist: UUID, at: str = "10:00", **options: Any) -> DictRow:
        return book(self.connection, client, therapist, at, **options)

    def balance(self, client: UUID) -> int:
        return cast(int, self.scalar("select get_credit_balance(%s)", client))

    def count(self, table: str) -> int:
        return cast(int, self.scalar(f"select count(*) from {table}"))

    def violations(self) -> list[Any]:
        return self.run("select * from bookingdb.check_invariants()")


def book(connection: Connection, client: UUID, therapist: UUID, at: str = "10:00", **options: Any) -> DictRow:
    """Call the public booking function; options are its parameters without the p_."""
    parameters = {
        "user_id": client, "therapist_id": therapist, "session_date": TOMORROW, "session_time": at, **options,
    }  # fmt: skip
    arguments = ", ".join(f"p_{name} => %({name})s" for name in parameters)
    statement = f"select * from public.create_session_with_credit_deduction({arguments})"
    row = connection.cursor(row_factory=dict_row).execute(statement, parameters).fetchone()
    assert row is not None
    return row


def error_of(call: Callable[[], Any]) -> tuple[str, str]:
    """Return SQLSTATE and code of the error that a call raises."""
    try:
        call()
    except psycopg.Error as error:
        detail = error.diag.message_detail or "{}"
        code = json.loads(detail).get("code", "") if detail.startswith("{") else ""
        return error.sqlstate or "", code
    raise AssertionError("the call was not refused")


def wait_until_blocked(observer: Connection, pid: int, seconds: float = 10) -> None:
    """Wait until the server says that this backend is waiting for a lock."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if run(observer, "select pid from pg_stat_activity where pid = %s and wait_event_type = 'Lock'", pid):
            return
        time.sleep(0.005)
    raise AssertionError(f"backend {pid} is not waiting for a lock")


def lasting(seconds: float, enough: Callable[[], bool], at_most: float = 90) -> Callable[[], bool]:
    """Return whether a storm goes on: it lasts as long as it is told, and longer where too little has happened yet.

    What must have happened is so no question of how fast the machine is.
    """
    begun = time.monotonic()

    def goes_on() -> bool:
        elapsed = time.monotonic() - begun
        return elapsed < seconds or (elapsed < at_most and not enough())

    return goes_on
