"""Forced interleavings: one connection holds something, another is started and seen waiting for it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tests.support import Connection, World, wait_until_blocked

Result = TypeVar("Result")

_threads = ThreadPoolExecutor(max_workers=16)


@contextmanager
def session_of(world: World, **options: Any) -> Iterator[Connection]:
    """Open one more connection (as another user, for example), which ends with the block."""
    with world.connect(**options) as connection:
        # Nobody waits for ever in a test; long enough never to be what a test sees by accident.
        connection.execute("set statement_timeout = '30s'")
        yield connection


@contextmanager
def holding(world: World) -> Iterator[Connection]:
    """Open a connection with a transaction, which the test ends; at the latest the end of the block rolls it back."""
    with session_of(world) as connection:
        connection.execute("begin")
        yield connection


def started(call: Callable[[Connection], Result], connection: Connection) -> Future[Result]:
    """Start a call on a connection of its own, in the background."""
    return _threads.submit(call, connection)


def waiting(world: World, call: Callable[[Connection], Result], connection: Connection) -> Future[Result]:
    """Start a call, and return when the server says that it waits for a lock."""
    future = started(call, connection)
    wait_until_blocked(world.connection, connection.info.backend_pid)
    return future


def waiting_or_done(world: World, call: Callable[[Connection], Result], connection: Connection) -> Future[Result]:
    """Start a call, and return when it waits for a lock, or has ended without."""
    future = started(call, connection)
    while not future.done():
        try:
            wait_until_blocked(world.connection, connection.info.backend_pid, seconds=0.1)
        except AssertionError:
            continue
        break
    return future


def next_clock_change(zone: str, forward: bool) -> dt.datetime:
    """Return the local time at which the clocks of a zone next jump forward, or fall back (then the first one)."""
    tz = ZoneInfo(zone)
    instant = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(days=2)
    for _ in range(24 * 400):
        before = instant.astimezone(tz)
        after = (instant + dt.timedelta(hours=1)).astimezone(tz)
        change = (after.utcoffset() or dt.timedelta()) - (before.utcoffset() or dt.timedelta())
        if (change > dt.timedelta()) if forward else (change < dt.timedelta()):
            # The first local time that does not exist, or that exists twice.
            wall = before.replace(tzinfo=None) + dt.timedelta(hours=1)
            return wall if forward else wall + change
        instant += dt.timedelta(hours=1)
    raise AssertionError(f"{zone} does not change its clocks in that direction")


def wait_until_asleep(world: World, connection: Connection) -> None:
    deadline = time.monotonic() + 10
    asleep = "select count(*) from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
    while not world.scalar(asleep, connection.info.backend_pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)
