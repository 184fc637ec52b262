"""What writers without our functions do to the tables, and what the calendar has of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from tests.support import TOMORROW, World

HOUR = dt.timedelta(hours=1)
INSERT = (
    "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
    " values (%s, %s, %s, %s, %s) returning id"
)
TIMES = "scheduled_date, scheduled_time, start_time, end_time, duration_minutes"
# No day on which the clocks change: noon in Berlin is 11:00 UTC.
DAY = dt.date(2030, 1, 15)
SHIFT = "update sessions set start_time = start_time + %s, end_time = end_time + %s"


def at(hour: int, minute: int = 0) -> dt.datetime:
    """Return an instant of the day on which the tests book."""
    return dt.datetime.combine(TOMORROW, dt.time(0), dt.UTC) + dt.timedelta(hours=hour, minutes=minute)


def place(
    world: World, client: UUID | None, therapist: UUID | None, hour: int, status: str = "scheduled", minutes: int = 60
) -> Any:
    """Insert a session directly."""
    return world.scalar(INSERT, client, therapist, at(hour), at(hour, minutes), status)


def calendar(world: World) -> list[Any]:
    return world.run(
        "select id, therapist_id, client_id, lower(period), upper(period) from bookingdb.calendar"
        " order by lower(period)"
    )


def free(world: World, therapist: UUID, hour: int) -> bool:
    return not world.scalar(
        "select check_booking_conflict(%s, %s, %s, %s)", therapist, TOMORROW, f"{hour}:00", f"{hour}:59"
    )


def utc(hour: int, minute: int = 0, day: dt.date = DAY) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def insert(world: World, **values: Any) -> UUID:
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    session = world.scalar(f"insert into sessions ({names}) values ({places}) returning id", *values.values())
    assert isinstance(session, UUID)
    return session


def update(world: World, session: UUID, **values: Any) -> None:
    assignments = ", ".join(f"{name} = %s" for name in values)
    world.run(f"update sessions set {assignments} where id = %s", *values.values(), session)


def row(world: World, session: UUID, columns: str = TIMES) -> dict[str, Any]:
    cursor = world.connection.cursor(row_factory=dict_row)
    found = cursor.execute(f"select {columns} from sessions where id = %s".encode(), [session]).fetchone()
    assert found is not None
    return found


@contextmanager
def rolled_back(world: World) -> Iterator[None]:
    """For what an application does to its own tables: triggers and functions that go again with the block."""
    with world.connection.transaction(force_rollback=True):
        yield


@contextmanager
def switched_off(world: World, event: str) -> Iterator[None]:
    """Write times as they may be from before there was a trigger, or an adoption."""
    with world.connection.transaction():
        world.run(f"alter table sessions disable trigger zz_bookingdb_times_{event}")
        yield
        world.run(f"alter table sessions enable trigger zz_bookingdb_times_{event}")
