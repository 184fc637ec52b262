"""What writers without our functions do to the tables, and what the calendar has of it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from tests.support import TOMORROW, World

HOUR = dt.timedelta(hours=1)
INSERT = (
    "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
    " values (%s, %s, %s, %s, %s) returning id"
)
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
