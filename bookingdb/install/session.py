"""The connection of everything that installs, verifies, adopts or uninstalls.

Works through a transaction pooler: locks and settings end with the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from bookingdb.queries import literal

Connection = psycopg.Connection[Any]

# The key of the advisory lock that lets one installation run at a time.
INSTALL_LOCK = 7238106512347101
# Strong locks that are not granted within this many seconds are given up, rather than stalling the application behind.
LOCK_TIMEOUT = 10.0
# The statements of an installation rely on these, whatever the role, the database or the pooler have set.
SETTINGS = {
    "search_path": "",
    "client_min_messages": "warning",
    "check_function_bodies": "on",
    # Definitions in the catalogue are compared as text.
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}

# Refusals. Python and Postgres (format) both put the values where %s stands.
NOT_LOCKED = f"%s: the tables are in use and could not be locked within {LOCK_TIMEOUT:.0f} seconds; try again"
NOT_PERMITTED = "%s: %s; install as the owner of the database"
FAILED = "%s: %s"


class InstallError(Exception):
    """The database cannot be brought to this version; it is as it was. The message says what to do."""


class DatabaseIsNewer(InstallError):
    """A newer package installed the database. An older client works with it: an instance may catch this and go on."""


def prepare(connection: Connection, *, read_only: bool = False) -> None:
    """Make the transaction's settings independent of those of the role, the database and the pooler."""
    # Another isolation level would look at the history as it was before the lock.
    connection.execute("set transaction isolation level read committed")
    connection.execute("set transaction read only" if read_only else "set transaction read write")
    settings = {"statement_timeout": "0", **SETTINGS}
    # By its whole name, because the search_path of the database's owner still holds.
    calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
    connection.execute("select " + calls, sum(settings.items(), ()))


def configure(connection: Connection, setting: str, value: str) -> None:
    """Set a setting until the transaction ends."""
    connection.execute("select pg_catalog.set_config(%s, %s, true)", [setting, value])


def limit_lock_wait(connection: Connection, seconds: float = LOCK_TIMEOUT) -> None:
    """Give up, until the transaction ends, on locks that are not granted within so many seconds."""
    configure(connection, "lock_timeout", f"{seconds * 1000:.0f}ms")


@contextmanager
def refusals(place: str) -> Iterator[None]:
    """Say in an `InstallError` that a lock or a privilege was missing; `place` is where, for the message.

    Raises:
        InstallError: another transaction held a table for longer than the lock timeout, or the role may not.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise InstallError(NOT_LOCKED % place) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise InstallError(NOT_PERMITTED % (place, error.diag.message_primary)) from error


@contextmanager
def kept_for_dependents(outcome: str) -> Iterator[None]:
    """Name in an `InstallError` what objects of the application need of what would go.

    Args:
        outcome: what did not happen: "nothing was removed".

    Raises:
        InstallError: something needs what was to be dropped.
    """
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        needs = "; ".join((error.diag.message_detail or "").splitlines())
        raise InstallError(f"{outcome}, because the application uses it: {needs}") from error


def scalar(connection: Connection, query: LiteralString, *parameters: Any) -> Any:
    """Return the first column of a query's first row, None when it has no row."""
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row is not None else None


__all__ = [
    "FAILED",
    "INSTALL_LOCK",
    "LOCK_TIMEOUT",
    "NOT_LOCKED",
    "NOT_PERMITTED",
    "SETTINGS",
    "Connection",
    "DatabaseIsNewer",
    "InstallError",
    "configure",
    "kept_for_dependents",
    "limit_lock_wait",
    "literal",
    "prepare",
    "refusals",
    "scalar",
]
