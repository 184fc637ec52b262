"""The transactions in which an adoption looks at a database or changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bookingdb.install import installer, script
from bookingdb.install.installer import Connection, InstallError
from bookingdb.install.script import INSTALL_LOCK, LOCK_TIMEOUT


def scalar(connection: Connection, query: str, *parameters: Any) -> Any:
    """Return the first column of the first row, None where there is no row."""
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """Open a read-only transaction that sees one snapshot of the database, and roll it back."""
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read, read only")
        for name, value in {"statement_timeout": "0", **script.SETTINGS}.items():
            connection.execute("select set_config(%s, %s, true)", [name, value])
        yield


@contextmanager
def changing(connection: Connection, command: str) -> Iterator[None]:
    """Open a transaction that changes the database for `command`.

    Raises:
        InstallError: a table could not be locked within LOCK_TIMEOUT seconds, or the role may not do this.
    """
    try:
        with connection.transaction():
            installer.prepare(connection)
            connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT * 1000:.0f}ms"])
            yield
    except psycopg.errors.LockNotAvailable as error:
        raise InstallError(script.NOT_LOCKED % command) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise InstallError(script.NOT_PERMITTED % (command, error.diag.message_primary)) from error


def lock_installation(connection: Connection) -> None:
    """Keep every other installation out until the transaction ends.

    Raises:
        InstallError: another installation is running.
    """
    if not scalar(connection, "select pg_try_advisory_xact_lock(%s)", INSTALL_LOCK):
        raise InstallError("another installation is running; try again when it has finished")


def refuse_installed(connection: Connection) -> None:
    """Raise InstallError where bookingdb is in this database already."""
    if scalar(connection, "select to_regclass('bookingdb.history')") is not None:
        if installer.is_adopted(connection):
            raise InstallError("this database has been adopted already; `bookingdb adopt --report` says how")
        raise InstallError("bookingdb is installed in this database already: there is nothing to adopt")
