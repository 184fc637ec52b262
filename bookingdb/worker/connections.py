"""Connections to the database that are made anew after they were lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb import BookingError, BookingFailed, Bookings, Busy, database
from bookingdb.database import DatabaseUnreachable, Target

T = TypeVar("T")

CHANNEL: Final = "bookingdb_events"
"""The channel on which an application may say that there are events; bookingdb itself says nothing."""

_LISTENING_PAUSE: Final = 0.5
# A server that vanished without a word is noticed within a minute, not after the two hours of the system.
_KEEPALIVES: Final[Mapping[str, int]] = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def patient_target(named: Target | str) -> Target:
    """Return the database with the settings by which a lost server is noticed, unless it has its own."""
    target = named if isinstance(named, Target) else Target(named, "the URL given")
    # A text that cannot be read is refused by whoever connects, without being shown.
    try:
        given = conninfo_to_dict(target.conninfo)
    except psycopg.Error:
        return target
    missing: dict[str, Any] = {name: value for name, value in _KEEPALIVES.items() if name not in given}
    return Target(make_conninfo(target.conninfo, **missing), target.origin)


def may_come_back(error: BookingError | DatabaseUnreachable) -> bool:
    """Tell whether the same call may well succeed later: the connection is lost, or somebody is in the way."""
    if isinstance(error, DatabaseUnreachable):
        return True
    if not isinstance(error, BookingFailed):
        return isinstance(error, Busy)
    # A deadlock, a lock that took too long and a statement that did are over the next time, too.
    return str(error.detail.get("sqlstate", "08")).startswith(("08", "57", "40", "55P03"))


class OwnConnection:
    """The connection of one thread: in no transaction, without prepared statements, opened when it is needed."""

    def __init__(self, target: Target) -> None:
        """Remember where; nothing is connected yet."""
        self._target = target
        self._connection: psycopg.Connection[Any] | None = None

    def run(self, action: Callable[[Bookings], T]) -> T:
        """Return what the action does with the calls.

        Raises:
            DatabaseUnreachable: there is no connection.
            BookingError: the action's; after it, the connection is a new one.
        """
        if self._connection is None or self._connection.closed:
            self._connection = database.connect(self._target)
        try:
            return action(Bookings(self._connection))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextlib.contextmanager
def listening(target: Target, heard: Callable[[], None]) -> Iterator[None]:
    """Call `heard` for each notification on CHANNEL while the block runs, in a thread of its own."""
    is_over = threading.Event()

    def listen() -> None:
        while not is_over.is_set():
            # The worker polls, too: it misses nothing, and says it when there is no database.
            with contextlib.suppress(psycopg.Error, DatabaseUnreachable), database.connect(target) as connection:
                connection.execute(f"listen {CHANNEL}")
                while not is_over.is_set():
                    for _ in connection.notifies(timeout=_LISTENING_PAUSE, stop_after=1):
                        heard()
            is_over.wait(_LISTENING_PAUSE)

    thread = threading.Thread(target=listen, name="bookingdb listener", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
