"""The transactions in which an adoption looks at a database or changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bookingdb.install import installer, script, session
from bookingdb.install.session import INSTALL_LOCK, SETTINGS, Connection, InstallError, scalar


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """Open a read-only transaction that sees one snapshot of the database, and roll it back."""
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read, read only")
        for name, value in {"statement_timeout": "0", **SETTINGS}.items():
            session.configure(connection, name, value)
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


def refuse_installed(connection: Connection) -> None:
    """Raise InstallError where bookingdb is in this database already."""
    if scalar(connection, "select to_regclass('bookingdb.history')") is not None:
        if installer.is_adopted(connection):
            raise InstallError("this database has been adopted already; `bookingdb adopt --report` says how")
        if scalar(connection, script.query("is_kept")):
            raise InstallError("bookingdb was uninstalled and its tables were kept: `bookingdb migrate` takes them up")
        raise InstallError("bookingdb is installed in this database already: there is nothing to adopt")
