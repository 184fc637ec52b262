"""A series and its records: its sessions, how far apart they are, and which of them failed."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.life import DAY, LATER, at, call, require_sound, rows
from tests.support.refusals import nothing_written, outcome, refused


def series(world: World, client: UUID, therapist: UUID, **options: Any) -> list[Any]:
    asked = {"session_date": LATER, "session_time": "10:00", "occurrences": 3, **options}
    return rows(world.connection, "book_series", user_id=client, therapist_id=therapist, **asked)


def test_a_series_is_sessions_each_with_all_that_belongs_to_it(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=5), world.therapist()
    answer = series(
        world, client, therapist, duration_minutes=45, session_type="phone", notes="about sleep", title="weekly"
    )
    starts = [at(10, LATER + 7 * DAY * number) for number in range(3)]
    assert [(row["start_time"], row["credits_balance"]) for row in answer] == list(zip(starts, (4, 3, 2), strict=True))
    assert {(row["title"], row["session_type"], row["description"], row["duration_minutes"]) for row in answer} == {
        ("weekly", "phone", "about sleep", 45)
    }
    assert world.run(
        "select start_time, end_time - start_time, status, credits_charged, start_time - free_cancellation_until"
        " from sessions order by start_time"
    ) == [(start, dt.timedelta(minutes=45), "scheduled", 1, DAY) for start in starts]
    of_one_series = "select count(distinct id), count(series_id), count(distinct series_id) from sessions"
    assert world.run(of_one_series) == [(3, 3, 1)]
    assert world.run("select kind, lower(period), client_id from bookingdb.calendar order by period") == [
        ("session", start, client) for start in starts
    ]
    assert world.run("select amount, balance_after from bookingdb.ledger where kind = 'debit' order by id") == [
        (-1, 4), (-1, 3), (-1, 2),
    ]  # fmt: skip
    assert world.run("select action, new_status from booking_audit_log") == [("created", "scheduled")] * 3
    told = "select count(*), count(distinct subject_id) from bookingdb.outbox where event = 'session.created'"
    assert world.run(told) == [(3, 3)]
    require_sound(world)


@pytest.mark.parametrize(("every", "occurrences", "days"), [
    ("1 day", 3, [0, 1, 2]), ("14 days", 3, [0, 14, 28]), ("1 year", 2, [0, 366]), ("7 days", 1, [0]),
    ("7 days", 52, [7 * number for number in range(52)]),
])  # fmt: skip
def test_a_series_is_as_far_apart_as_it_is_asked_for(
    clean_world: World, every: str, occurrences: int, days: list[int]
) -> None:
    world = clean_world
    call(world.connection, "set_policy", settings=Jsonb({"maximum_advance": "3650 days"}))
    first = dt.date(2031, 4, 1)
    booked = series(
        world, world.client(credits=60), world.therapist(), session_date=first, every=every, occurrences=occurrences
    )
    assert [(row["scheduled_date"] - first).days for row in booked] == days


def test_a_series_has_the_defaults_of_a_booking(clean_world: World) -> None:
    (row,) = series(clean_world, clean_world.client(credits=1), clean_world.therapist(), occurrences=1)
    assert (row["title"], row["session_type"], row["description"], row["duration_minutes"], row["time_zone"]) == (
        "Therapy Session", "video", "", 60, "UTC",
    )  # fmt: skip


def test_a_series_over_a_busy_therapist_says_which_and_when(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=5), world.therapist()
    third = LATER + 14 * DAY
    world.book(world.client(credits=1), therapist, "10:30", session_date=third)
    with nothing_written(world), refused("booking_conflict") as refusal:
        series(world, client, therapist, occurrences=5, session_time="10:00")
    assert refusal.detail == {
        "code": "booking_conflict", "rule": "session", "therapist_id": str(therapist), "occurrence": 3,
        "session_date": third.isoformat(), "start_time": f"{third}T10:00:00Z", "end_time": f"{third}T11:00:00Z",
        "next_free": f"{third}T11:30:00Z", "time_zone": "UTC",
    }  # fmt: skip


def test_refusal_of_a_whole_series_names_the_first_session(clean_world: World) -> None:
    world = clean_world
    nobody, therapist = UUID("00000000-0000-4000-8000-0000000000ff"), world.therapist()
    with nothing_written(world), refused("user_not_found") as refusal:
        series(world, nobody, therapist)
    assert (refusal.detail["user_id"], refusal.detail["occurrence"]) == (str(nobody), 1)
    ended = outcome(lambda: series(world, world.client(credits=3), therapist, session_date=TOMORROW - 7 * DAY))
    assert ended == "in_past"
