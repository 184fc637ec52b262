"""Local time and clock changes: windows and slots of days that are known, or that come next."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.interleaving import next_clock_change
from tests.support.life import call, rows

# When, in UTC, the first quarter of an hour begins, when the last one ends, and how many there are.
OPEN_QUARTERS = """
    select concat_ws(
        ' ', to_char(min(q.start), 'DD HH24:MI'), to_char(max(q.start) + interval '15 minutes', 'DD HH24:MI'), count(*)
    )
    from generate_series(
        %(date)s::date - interval '24 hours', %(date)s::date + interval '48 hours', '15 minutes'
    ) as q (start)
    where not check_booking_conflict(
        %(therapist)s, q.start::date, q.start::time, (q.start + interval '15 minutes')::time, 'UTC'
    )
"""

BERLIN, LORD_HOWE, APIA = "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"


@pytest.mark.parametrize(("zone", "date", "start", "end", "expected"), [
    # An hour less in spring. A start or an end in the gap is the jump; a window within the gap is none.
    (BERLIN, "2024-03-31", "01:00", "04:00", "31 00:00 31 02:00 8"),
    (BERLIN, "2024-03-31", "01:00", "02:30", "31 00:00 31 01:00 4"),
    (BERLIN, "2024-03-31", "02:30", "04:00", "31 01:00 31 02:00 4"),
    (BERLIN, "2024-03-31", "02:00", "03:00", "0"),
    (BERLIN, "2024-03-31", "02:15", "02:45", "0"),
    (BERLIN, "2024-03-31", "00:00", "24:00", "30 23:00 31 22:00 92"),
    (BERLIN, "2024-03-30", "22:00", "02:30", "30 21:00 31 01:00 16"),
    # An hour more in autumn. A start or an end that occurs twice is the first.
    (BERLIN, "2024-10-27", "01:00", "04:00", "26 23:00 27 03:00 16"),
    (BERLIN, "2024-10-27", "02:00", "03:00", "27 00:00 27 02:00 8"),
    (BERLIN, "2024-10-27", "01:00", "02:30", "26 23:00 27 00:30 6"),
    (BERLIN, "2024-10-27", "02:30", "04:00", "27 00:30 27 03:00 10"),
    (BERLIN, "2024-10-27", "00:00", "00:00", "26 22:00 27 23:00 100"),
    ("America/New_York", "2024-11-02", "23:00", "01:30", "03 03:00 03 05:30 10"),
    # Half an hour, a jump at a quarter to three, quarters of an hour from UTC.
    (LORD_HOWE, "2024-10-06", "01:30", "02:15", "05 15:00 05 15:30 2"),
    (LORD_HOWE, "2024-04-07", "01:45", "02:15", "06 14:45 06 15:45 4"),
    ("Pacific/Chatham", "2024-09-29", "02:00", "04:00", "28 13:15 28 14:15 4"),
    ("Asia/Kathmandu", "2024-03-31", "09:00", "10:00", "31 03:15 31 04:15 4"),
    # A date that was left out: the evening before it, and what reaches into it; the date itself, the morning after.
    (APIA, "2011-12-29", "22:00", "24:00", "30 08:00 30 10:00 8"),
    (APIA, "2011-12-29", "22:00", "02:00", "30 08:00 30 10:00 8"),
    (APIA, "2011-12-30", "09:00", "17:00", "0"),
    (APIA, "2011-12-31", "00:00", "02:00", "30 10:00 30 12:00 8"),
    # Clocks that go back for Ramadan.
    ("Africa/Casablanca", "2024-03-10", "02:00", "04:00", "10 01:00 10 04:00 12"),
])  # fmt: skip
def test_a_window_of_a_known_clock_change(
    clean_world: World, zone: str, date: str, start: str, end: str, expected: str
) -> None:
    world = clean_world
    therapist = world.therapist(zone)
    # A week that is over, so that only the date counts.
    over = {"weekday": 1, "start_time": "09:00", "end_time": "12:00", "valid_to": "1990-01-01"}
    rows(world.connection, "set_weekly_hours", therapist_id=therapist, hours=Jsonb([over]))
    window = {"start_time": start, "end_time": end}
    rows(world.connection, "set_date_override", therapist_id=therapist, date=date, hours=Jsonb([window]))
    ((quarters,),) = world.connection.execute(
        OPEN_QUARTERS.encode(), {"therapist": therapist, "date": date}
    ).fetchall()  # fmt: skip
    assert quarters == expected


@pytest.fixture
def always(clean_world: World) -> UUID:
    """A therapist without hours, who books more than a year ahead."""
    call(clean_world.connection, "set_policy", settings=Jsonb({"maximum_advance": "400 days"}))
    return clean_world.therapist()


def slots(world: World, therapist: UUID, zone: str, forward: bool, step: int, first: str, last: str) -> list[Any]:
    """Return the slots of the day of the next change: local times, and minutes since midnight."""
    world.run("select register_therapist(email, null, id, %s) from users where id = %s", zone, therapist)
    date = next_clock_change(zone, forward).date()
    midnight = dt.datetime.combine(date, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)
    listed = rows(
        world.connection, "list_available_slots", therapist_id=therapist, **{"from": date, "to": date},
        duration_minutes=15, time_zone=zone, step_minutes=step,
    )  # fmt: skip
    return [
        (f"{row['local_time']:%H:%M}", int((row["start_time"] - midnight).total_seconds()) // 60)
        for row in listed
        if first <= f"{row['local_time']:%H:%M}" <= last
    ]


@pytest.mark.parametrize(("zone", "forward", "step", "first", "last", "expected"), [
    # What the clocks jump over is not offered, what occurs twice is offered twice.
    (BERLIN, True, 30, "01:00", "04:00", [
        ("01:00", 60), ("01:30", 90), ("03:00", 120), ("03:30", 150), ("04:00", 180),
    ]),
    (BERLIN, False, 30, "01:30", "03:00", [
        ("01:30", 90), ("02:00", 120), ("02:30", 150), ("02:00", 180), ("02:30", 210), ("03:00", 240),
    ]),
    (LORD_HOWE, True, 15, "01:30", "03:00", [
        ("01:30", 90), ("01:45", 105), ("02:30", 120), ("02:45", 135), ("03:00", 150),
    ]),
    (LORD_HOWE, False, 15, "01:30", "02:00", [
        ("01:30", 90), ("01:45", 105), ("01:30", 120), ("01:45", 135), ("02:00", 150),
    ]),
    # A step that does not divide the change: the clock on the wall counts.
    (LORD_HOWE, True, 60, "01:00", "03:00", [("01:00", 60), ("03:00", 150)]),
    (LORD_HOWE, False, 60, "01:00", "03:00", [("01:00", 60), ("02:00", 150), ("03:00", 210)]),
    (BERLIN, True, 90, "01:00", "05:00", [("01:30", 90), ("03:00", 120), ("04:30", 210)]),
    (BERLIN, False, 90, "01:00", "05:00", [("01:30", 90), ("03:00", 240), ("04:30", 330)]),
])  # fmt: skip
def test_slots_around_the_next_clock_change(
    clean_world: World, always: UUID, zone: str, forward: bool, step: int, first: str, last: str, expected: list[Any]
) -> None:
    assert slots(clean_world, always, zone, forward, step, first, last) == expected


@pytest.mark.parametrize(("forward", "hours"), [(True, 23), (False, 25)])
def test_a_day_has_as_many_hours_as_it_has(clean_world: World, always: UUID, forward: bool, hours: int) -> None:
    assert len(slots(clean_world, always, BERLIN, forward, 60, "00:00", "24:00")) == hours


def test_both_of_an_hour_that_occurs_twice_are_booked(clean_world: World, always: UUID) -> None:
    """The second by a timestamp of another zone; then both are gone."""
    world = clean_world
    world.run("select register_therapist(email, null, id, %s) from users where id = %s", BERLIN, always)
    date = next_clock_change(BERLIN, forward=False).date()
    listing = {
        "therapist_id": always, "from": date, "to": date, "duration_minutes": 30, "time_zone": "UTC",
        "step_minutes": 30,
    }  # fmt: skip

    def early() -> list[Any]:
        listed = rows(world.connection, "list_available_slots", **listing)
        return [row for row in listed if row["local_time"] < dt.time(4)]

    free, client = early(), world.client(credits=20)
    assert len(free) == 8
    for row in free:
        world.book(
            client, always, f"{row['local_time']:%H:%M}", session_date=row["local_date"], duration_minutes=30,
            time_zone="UTC",
        )  # fmt: skip
    assert early() == []
    assert world.violations() == []


@pytest.mark.parametrize(("forward", "after", "local", "utc"), [
    # The hour that the clocks jump over; after the first half past two comes the second two o'clock.
    (True, "00:46", "03:00", "01:00"), (False, "00:31", "02:00", "01:00"),
])  # fmt: skip
def test_the_next_slot_across_a_clock_change(
    clean_world: World, always: UUID, forward: bool, after: str, local: str, utc: str
) -> None:
    world = clean_world
    world.run("select register_therapist(email, null, id, %s) from users where id = %s", BERLIN, always)
    date = next_clock_change(BERLIN, forward).date()
    found = call(
        world.connection, "next_available_slot", therapist_id=always, duration_minutes=30, step_minutes=30,
        after=dt.datetime.combine(date, dt.time.fromisoformat(after), dt.UTC),
    )  # fmt: skip
    assert (f"{found['local_time']:%H:%M}", found["start_time"]) == (
        local, dt.datetime.combine(date, dt.time.fromisoformat(utc), dt.UTC),
    )  # fmt: skip
