"""A session that is moved."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.interleaving import next_clock_change
from tests.support.life import (
    DAY,
    LATER,
    at,
    call,
    cancel,
    move,
    request_session,
    require_sound,
    require_sound_statement,
)
from tests.support.refusals import nothing_written, refused

# ----------------------------------------------------------------------------------------------------------------------
# Rescheduling
# ----------------------------------------------------------------------------------------------------------------------


def test_a_time_without_a_zone_is_meant_in_the_sessions_own(world: World) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=1)
    session_id = world.book(client, therapist, time_zone="Asia/Tokyo")["id"]
    moved_away = "select register_therapist(u.email, null, u.id, 'America/New_York') from users as u where id = %s"
    world.run(moved_away, therapist)

    moved = move(world, session_id, "15:00")
    assert moved["time_zone"] == "Asia/Tokyo"
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(15), ZoneInfo("Asia/Tokyo"))

    moved = move(world, session_id, "16:00", time_zone="Europe/Paris")
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(16), ZoneInfo("Europe/Paris"))
    assert move(world, session_id, "17:00")["time_zone"] == "Europe/Paris"
    require_sound(world)


def test_a_move_around_a_clock_change_is_held_to_it(world: World) -> None:
    zone = "Europe/Berlin"
    forward, back = next_clock_change(zone, forward=True), next_clock_change(zone, forward=False)
    therapist, client = world.therapist(zone), world.client(credits=1)
    session_id = world.book(client, therapist)["id"]
    with nothing_written(world), refused("skipped_time"):
        move(world, session_id, forward.time(), forward.date())

    moved = move(world, session_id, back.time(), back.date(), duration_minutes=90)
    assert moved["start_time"].astimezone(dt.UTC) == back.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(dt.UTC)
    assert moved["end_time"] - moved["start_time"] == dt.timedelta(minutes=90)
    require_sound(world)


def test_a_move_takes_nothing_and_returns_nothing(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    for number in range(1, 6):
        # Also into a time that overlaps the old one.
        assert move(world, session_id, f"10:{10 * number}")["credits_balance"] == 0
    assert [entry["kind"] for entry in require_sound_statement(world, client)] == ["grant", "debit"]
    require_sound(world)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"date": TOMORROW - 30 * DAY}, "in_past"),
        ({"time": "12:30"}, "booking_conflict"),
        ({"time": "14:30"}, "client_conflict"),
        ({"time": "10:00:30"}, "invalid_time"),
        ({"date": None}, "invalid_date"),
        ({"duration_minutes": 14}, "invalid_duration"),
        ({"duration_minutes": 50}, "invalid_duration"),
        ({"time_zone": "Mars+5"}, "invalid_time_zone"),
        ({"idempotency_key": ""}, "invalid_parameter"),
    ],
)
def test_a_move_that_is_refused_changes_nothing(world: World, options: dict[str, Any], code: str) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist, "10:00", duration_minutes=30)["id"]
    world.book(world.client(credits=1), therapist, "12:00")
    world.book(client, world.therapist(), "14:00")
    call(world.connection, "set_policy", settings=Jsonb({"maximum_duration_minutes": 45}), therapist_id=therapist)

    with nothing_written(world), refused(code):
        move(world, session_id, **{"time": "18:00", **options})


def test_a_closed_therapists_sessions_stay_where_they_are(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    request = request_session(world.connection, client, therapist, at(14))
    call(world.connection, "set_therapist_active", therapist_id=therapist, active=False)

    with nothing_written(world), refused("therapist_not_found"):
        move(world, session_id, "18:00")
    with nothing_written(world), refused("therapist_not_found"):
        call(world.connection, "approve_session", session_id=request)
    assert cancel(world, session_id)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# What holds whatever a function does
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, "infinity", "294276-12-30 12:00+00"])
@pytest.mark.parametrize("free_until", [None, "infinity", "-infinity", "4713-01-01 BC"])
def test_session_without_a_proper_time_is_moved_to_one(world: World, start: str | None, free_until: str | None) -> None:
    client, therapist = world.client(), world.therapist()
    ((session_id,),) = world.run(
        "insert into sessions (user_id, therapist_id, start_time, free_cancellation_until) values (%s, %s, %s, %s)"
        " returning id",
        *(client, therapist, start, free_until),
    )
    moved = call(
        world.connection, "reschedule_session",
        session_id=session_id, session_date=LATER, session_time="10:00", duration_minutes=60,
    )  # fmt: skip
    assert moved["start_time"] == at(10, LATER)
    assert moved["free_cancellation_until"] == at(10, LATER) - DAY
    assert call(world.connection, "cancel_session", session_id=session_id)["status"] == "cancelled"
    require_sound(world)
