"""The checks that need two connections: the second caller is seen waiting for the first, and both are rolled back.

The first caller books and does not end its transaction. The second one wants the same, and waits for so short a time
that it is refused while the first one is still there. Once the first is rolled back, the second waits no longer: it was
the first that it waited for. It sees nobody whom the first one made, and need not: locks come before people are looked
for.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import psycopg
from psycopg import sql

from bookingdb import database
from bookingdb.checks.selftest.expectations import Connection, Failed, load, require, require_refusal, row, settle
from bookingdb.checks.selftest.stage import book, borrow, forget_credits, forget_hours, free_day, is_adopted, new_email
from bookingdb.client import Bookings
from bookingdb.errors import Busy, InsufficientCredits, TherapistNotFound, UserNotFound
from bookingdb.policy import DEFAULTS, PolicySettings

# The second caller waits this long for the first, and for others once the first is gone.
_PATIENCE: Final = "100ms"
_PATIENCE_WITH_OTHERS: Final = "10s"


@dataclass(frozen=True)
class _Booked:
    """The session that the first caller booked, at noon, with the client's only credit."""

    therapist: UUID
    client: UUID
    day: dt.date


def _wait_for_the_slot(connection: Connection, booked: _Booked) -> None:
    book(connection, uuid.uuid4(), booked.therapist, "12:00", booked.day)


def _wait_for_the_credit(connection: Connection, booked: _Booked) -> None:
    book(connection, booked.client, uuid.uuid4(), "15:00", booked.day)


def _wait_for_the_calendar(connection: Connection, booked: _Booked) -> None:
    """Write the calendar's row without any lock: only the constraint is in the way."""
    noon = dt.datetime.combine(booked.day, dt.time(12), dt.UTC)
    session, stranger = uuid.uuid4(), uuid.uuid4()
    time = {"starts": noon, "ends": noon + dt.timedelta(minutes=60)}
    try:
        connection.execute(load("write_calendar", session=session, therapist=booked.therapist, client=stranger, **time))
    except psycopg.errors.LockNotAvailable as error:
        raise Busy from error


RACES: Final[tuple[tuple[str, Callable[[Connection, _Booked], None]], ...]] = (
    ("of two callers racing for a slot the second waits for the first", _wait_for_the_slot),
    ("of two callers spending a client's last credit the second waits for the first", _wait_for_the_credit),
    ("without its locks, too, a slot is not booked twice", _wait_for_the_calendar),
)


def run_race(
    connection: Connection, target: database.Target | str, second: Callable[[Connection, _Booked], None]
) -> str:
    """Let a second caller come while the first one has booked.

    Args:
        connection: the first caller's, outside a transaction.
        target: the same database, for the second caller.
        second: what the second caller does.

    Returns:
        A remark where it could not be tried.

    Raises:
        Failed: the second caller did not wait, or not for the first.
    """
    with database.connect(target) as second_connection:
        with connection.transaction(force_rollback=True):
            settle(connection)
            booked = _book(connection)
            if booked is None:
                return "was not tried: there are no client and therapist to try it with"
            if not _gives_up(second_connection, booked, second, _PATIENCE):
                raise Failed("the second caller did not wait")
        # The first caller is gone.
        if _gives_up(second_connection, booked, second, _PATIENCE_WITH_OTHERS):
            raise Failed("the second caller waited for somebody else than the first")
    return ""


def _gives_up(
    connection: Connection, booked: _Booked, second: Callable[[Connection, _Booked], None], patience: str
) -> bool:
    with connection.transaction(force_rollback=True):
        settle(connection)
        connection.execute("select set_config('lock_timeout', %s, true)", [patience])
        try:
            with connection.transaction():
                second(connection, booked)
        except Busy:
            return True
        except (TherapistNotFound, UserNotFound):
            # Nobody was in the way.
            return False
    return False


def _book(connection: Connection) -> _Booked | None:
    """Book as the first caller; None where there is nobody to try it with.

    Writing a therapist's policy locks the therapist. Nothing but the booking itself may take another lock for which
    the second caller would wait.
    """
    if is_adopted(connection):
        therapists, clients = borrow(connection)
        if not therapists or not clients:
            return None
        therapist, client = therapists[0], clients[0]
    else:
        bookings = Bookings(connection)
        therapist = bookings.register_therapist(new_email(), full_name="Selftest")
        client = bookings.register_client(new_email(), full_name="Selftest")
    _set_policy(connection, therapist, DEFAULTS)
    forget_hours(connection, therapist)
    forget_credits(connection, [client])
    connection.execute(load("give_credit", client=client))
    day = free_day(connection, [therapist, client])
    held = "select from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock' and pid = pg_backend_pid()"
    others = f"select count(*) > 1 from ({held}) as l"
    require(row(connection, others)[0], False, "whether more than the therapist is locked before the booking")

    book(connection, client, therapist, "12:00", day)
    with connection.transaction(force_rollback=True):
        require_refusal(partial(book, connection, client, therapist, "15:00", day), InsufficientCredits)
    return _Booked(therapist, client, day)


def _set_policy(connection: Connection, therapist: UUID, settings: PolicySettings) -> None:
    """Write a therapist's row of the policies, without the other locks that set_policy() takes."""
    connection.execute("insert into bookingdb.policies (therapist_id) values (%s) on conflict do nothing", [therapist])
    assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in settings)
    connection.execute(
        sql.SQL("update bookingdb.policies set {} where therapist_id = %s").format(assignments),
        [*settings.values(), therapist],
    )
