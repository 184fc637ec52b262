"""Expectations of a check of the selftest, and its words when it finds something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

import psycopg

from bookingdb import queries
from bookingdb.errors import BookingError, sqlstate_of

Connection = psycopg.Connection[Any]


class Failed(Exception):
    """A check found something else than it should have."""


def load(name: str, **values: object) -> LiteralString:
    """Return a query of the selftest, ready to be sent without parameters."""
    return queries.load("bookingdb.checks.selftest", name, **values)


def row(connection: Connection, query: LiteralString, *parameters: object) -> tuple[Any, ...]:
    """Ask for the one row that a query has."""
    found = connection.execute(query, parameters or None).fetchone()
    assert found is not None
    return tuple(found)


def settle(connection: Connection) -> None:
    """Make the transaction that has just begun independent of the settings of role, database and pooler."""
    connection.execute("set transaction isolation level read committed read write")
    connection.execute(load("set_timeouts"))


def require(found: object, expected: object, what: str) -> None:
    """Require that what was found is what should be."""
    if found != expected:
        raise Failed(f"{what} should be {expected}, not {found}")


def require_refusal(call: Callable[[], object], *expected: type[BookingError]) -> None:
    """Require that a call is refused with one of these errors: its code, as its own SQLSTATE."""
    wanted = " or ".join(f"{error.code} (PT{error.http_status})" for error in expected)
    try:
        call()
    except BookingError as error:
        # A raw exclusion violation has the same class; the database must not let it get so far.
        if type(error) not in expected or sqlstate_of(error.__cause__ or error) != f"PT{error.http_status}":
            raise Failed(f"refused, but with {describe(error)} instead of {wanted}") from error
    else:
        raise Failed(f"was not refused with {wanted}")


def describe(error: BookingError | psycopg.Error) -> str:
    """One line on an unexpected error: ours by its code, and what the database said."""
    code = f"{error.code}: " if isinstance(error, BookingError) else ""
    cause = error.__cause__ if isinstance(error, BookingError) and error.__cause__ else error
    message = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return f"{code}{message or cause} ({sqlstate_of(cause) or 'no answer'})"
