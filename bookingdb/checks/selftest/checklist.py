"""The list of checks, in order, and how they are run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg.pq import TransactionStatus

from bookingdb.checks.selftest import bookings, race
from bookingdb.checks.selftest.expectations import Connection, Failed, describe, load, settle
from bookingdb.checks.selftest.stage import BorrowedStage, Stage, is_adopted
from bookingdb.database import Target
from bookingdb.errors import BookingError
from bookingdb.install.owner import refuse_more_rights


class SelftestError(Exception):
    """The selftest cannot be run at all; the message says why and what to do."""


@dataclass(frozen=True)
class Check:
    """The result of one check: what was checked, whether it is so, and, where it is not, what is instead."""

    name: str
    passed: bool
    detail: str = ""


def selftest(connection: Connection, target: Target | str, report: Callable[[Check], None]) -> bool:
    """Run the checklist.

    Args:
        connection: to the database in question, as the owner of what is installed; outside a transaction.
            May go through a transaction pooler.
        target: the same database, or its libpq connection string or URL: a race needs a second connection.
        report: is given each check's result as soon as there is one.

    Returns:
        True if all checks passed.

    Raises:
        SelftestError: bookingdb is not installed there, or the role may not do this.
        bookingdb.install.session.InstallError: the role has more rights than the owner.
        bookingdb.database.DatabaseUnreachable: `target` leads nowhere.
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
        except Failed as failure:
            result = Check(name, False, str(failure))
        except (BookingError, psycopg.Error) as error:
            if connection.closed:
                raise
            result = Check(name, False, describe(error))
        results.append(result.passed)
        report(result)
        return result.passed

    with connection.transaction(force_rollback=True):
        settle(connection)
        stage = BorrowedStage(connection) if is_adopted(connection) else Stage(connection)
        if not record(stage.title, stage.set):
            return False
        impossible = bookings.impossible(stage)
        for name, check in bookings.CHECKS:
            with connection.transaction(force_rollback=True):
                reason = impossible.get(check)
                record(name, partial(_not_tried, reason) if reason else partial(check, stage))

    for name, second in race.RACES:
        record(name, partial(race.run_race, connection, target, second))
    return all(results)


def _not_tried(reason: str) -> str:
    return f"was not tried: {reason}"


def _require_privileges(connection: Connection) -> None:
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise SelftestError("the selftest needs a connection that is not in a transaction")
    refuse_more_rights(connection)
    found = connection.execute(load("owner")).fetchone()
    if found is None:
        raise SelftestError("bookingdb is not installed in this database: `bookingdb migrate` installs it")
    owner, is_owner, role = found
    if not is_owner:
        raise SelftestError(
            f"the role {role} may not run the selftest, which writes rows and rolls them back: run it as {owner},"
            " the owner of what is installed"
        )
