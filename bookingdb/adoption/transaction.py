"""The transactions in which an adoption looks at a database or changes it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from bookingdb.install import installer, script, session
from bookingdb.install.functions import FunctionFile
from bookingdb.install.session import INSTALL_LOCK, SETTINGS, Connection, InstallError, scalar

# Locks are asked for so often, and for so many seconds each time: everybody else who wants the tables waits behind the
# one who asks. Postgres looks for deadlocks after a second: before that the adoption gives way to a call of the
# application that holds one table and wants another.
ATTEMPTS = 15
_LOCK_WAIT = 0.8


@contextmanager
def one_moment(connection: Connection, functions: Iterable[FunctionFile] = ()) -> Iterator[None]:
    """Open a read-only transaction that sees one snapshot of the database, and roll it back.

    These functions of the engine are there as functions of pg_temp, if this role and server can make any.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read")
        for name, value in {"statement_timeout": "0", **SETTINGS}.items():
            session.configure(connection, name, value)
        with suppress(psycopg.Error), connection.transaction():
            for function in functions:
                connection.execute(re.sub(r"\bbookingdb\.(?=\w+\()", "pg_temp.", function.text))
        connection.execute("set transaction read only")
        yield


@contextmanager
def changing(connection: Connection, command: str) -> Iterator[None]:
    """Open a transaction that changes the database for `command`.

    Raises:
        InstallError: a table could not be locked within LOCK_TIMEOUT seconds, or the role may not do this.
    """
    with session.refusals(command), connection.transaction():
        session.prepare(connection)
        session.limit_lock_wait(connection)
        yield


def lock_installation(connection: Connection) -> None:
    """Keep every other installation out until the transaction ends.

    Raises:
        InstallError: another installation is running.
    """
    if not scalar(connection, "select pg_try_advisory_xact_lock(%s)", INSTALL_LOCK):
        raise InstallError("another installation is running; try again when it has finished")


def lock_tables(connection: Connection, tables: Sequence[str]) -> None:
    """Keep everybody from reading or writing these tables until the transaction ends.

    Raises:
        InstallError: they are in use, and could not be locked in any attempt.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.transaction():
                session.limit_lock_wait(connection, _LOCK_WAIT)
                connection.execute(f"lock table {', '.join(tables)} in access exclusive mode")
        except psycopg.errors.LockNotAvailable as error:
            if attempt == ATTEMPTS:
                raise InstallError(
                    f"adopt: the tables are in use, and could not be locked in {ATTEMPTS} attempts of {_LOCK_WAIT} s:"
                    " end what keeps them for long, and try again"
                ) from error
            # Those who waited behind this one go first.
            time.sleep(random.uniform(0.5, 1.5))
        else:
            session.limit_lock_wait(connection)
            return


def refuse_installed(connection: Connection) -> None:
    """Raise InstallError where bookingdb is in this database already."""
    if scalar(connection, "select to_regclass('bookingdb.history')") is not None:
        if installer.is_adopted(connection):
            raise InstallError("this database has been adopted already; `bookingdb adopt --report` says how")
        if scalar(connection, script.query("is_kept")):
            raise InstallError("bookingdb was uninstalled and its tables were kept: `bookingdb migrate` takes them up")
        raise InstallError("bookingdb is installed in this database already: there is nothing to adopt")
