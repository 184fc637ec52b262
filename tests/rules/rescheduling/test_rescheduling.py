"""A session that is moved."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.direct_writes import insert, switched_off
from tests.support.interleaving import next_clock_change
from tests.support.life import (
    DAY,
    HOUR,
    LATER,
    at,
    begin,
    call,
    cancel,
    close_window,
    move,
    request_session,
    require_sound,
    require_sound_statement,
)
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import STATUSES, rows_of, writing

# ----------------------------------------------------------------------------------------------------------------------
# Rescheduling
# ----------------------------------------------------------------------------------------------------------------------


def test_a_time_without_a_zone_is_meant_in_the_therapists(world: World) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=1)
    session_id = world.book(client, therapist, time_zone="Asia/Tokyo")["id"]
    moved_away = "select register_therapist(u.email, null, u.id, 'America/New_York') from users as u where id = %s"
    world.run(moved_away, therapist)

    moved = move(world, session_id, "15:00")
    assert moved["time_zone"] == "America/New_York"
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(15), ZoneInfo("America/New_York"))

    moved = move(world, session_id, "16:00", time_zone="Europe/Paris")
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(16), ZoneInfo("Europe/Paris"))
    assert move(world, session_id, "17:00")["time_zone"] == "America/New_York"
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
    with switched_off(world, "insert"):
        session_id = insert(
            world, user_id=client, therapist_id=therapist, start_time=start, free_cancellation_until=free_until
        )
    moved = call(
        world.connection, "reschedule_session",
        session_id=session_id, session_date=LATER, session_time="10:00", duration_minutes=60,
    )  # fmt: skip
    assert moved["start_time"] == at(10, LATER)
    assert moved["free_cancellation_until"] == at(10, LATER) - DAY
    assert call(world.connection, "cancel_session", session_id=session_id)["status"] == "cancelled"
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# What a move writes, for whom, and from which status
# ----------------------------------------------------------------------------------------------------------------------


def test_a_move_writes_times_and_one_row_of_each_log(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    with writing(world, session) as written:
        answer = move(world, session, "12:00", LATER, duration_minutes=90)
    assert (answer["id"], answer["start_time"]) == (session, at(12, LATER))
    assert answer["end_time"] == at(13, LATER) + HOUR / 2
    times = {
        "duration_minutes", "end_time", "free_cancellation_until", "scheduled_date", "scheduled_time", "start_time",
    }  # fmt: skip
    assert written.columns == times
    ((action, old, new, changes, _, _),) = written.audit
    assert (action, old, new, set(changes)) == ("updated", "scheduled", "scheduled", times)
    assert [dt.datetime.fromisoformat(changes["end_time"][when]) for when in ("old", "new")] == [
        at(11), answer["end_time"],
    ]  # fmt: skip
    ((event, payload),) = written.events
    assert (event, dt.datetime.fromisoformat(payload["start_time"])) == ("session.updated", at(12, LATER))
    assert written.entries == []
    placed = world.run("select id, kind, lower(period), upper(period), blocked = period from bookingdb.calendar")
    assert placed == [(session, "session", answer["start_time"], answer["end_time"], True)]
    # The old time is free at once.
    assert world.book(world.client(credits=1), therapist)["status"] == "scheduled"
    require_sound(world)


def test_a_move_to_where_a_session_is_tells_nothing(clean_world: World) -> None:
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist(), "12:00", session_date=LATER)["id"]
    with writing(world, session) as written:
        move(world, session, "12:00", LATER)
    assert (written.columns, written.audit, written.events, written.entries) == (set(), [], [], [])


def test_a_move_keeps_length_and_takes_the_therapists_zone(clean_world: World) -> None:
    """Of a session that was written without a duration and a zone."""
    world = clean_world
    therapist = world.therapist("Asia/Tokyo")
    session = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
        *(world.client(), therapist, at(10), at(10) + dt.timedelta(minutes=50)),
    )
    answer = move(world, session, "12:00", LATER)
    assert (answer["start_time"], answer["duration_minutes"], answer["time_zone"]) == (at(3, LATER), 50, "Asia/Tokyo")


@on_todays_supabase
def test_a_move_gives_terms_to_a_session_without(hosted_world: World) -> None:
    """Those of today's policy, also where that window has closed."""
    world = hosted_world
    client, therapist = world.client(credits=2), world.therapist()
    early, late = (world.book(client, therapist, time, session_date=LATER)["id"] for time in ("08:00", "10:00"))
    begin(world.connection, late, -120)
    began = world.scalar("select start_time from sessions where id = %s", late)
    world.run("update sessions set free_cancellation_until = null")
    with logged_in(world, client) as connection:
        after = {"session_date": LATER + DAY, "session_time": "12:00"}
        answer = call(connection, "reschedule_session", session_id=early, **after)
        assert answer["start_time"] - answer["free_cancellation_until"] == DAY
        answer = call(connection, "reschedule_session", session_id=late, **{**after, "session_time": "15:00"})
        assert answer["free_cancellation_until"] == began - DAY


@on_todays_supabase
def test_a_therapist_moves_the_window_along_however_late(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist, session_date=LATER)["id"]
    close_window(world.connection, session)
    (window,) = rows_of(world, "select start_time - free_cancellation_until from sessions")
    with logged_in(world, therapist) as connection:
        later = {"session_date": LATER + DAY, "session_time": "12:00"}
        answer = call(connection, "reschedule_session", session_id=session, **later)
    assert answer["start_time"] - answer["free_cancellation_until"] == window
    assert answer["credits_balance"] is None


def test_only_what_has_not_begun_is_moved(clean_world: World) -> None:
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist())["id"]
    for number, status in enumerate(STATUSES):
        world.run("update sessions set status = %s where id = %s", status, session)
        if status in ("pending_approval", "scheduled", "confirmed"):
            assert move(world, session, f"{number:02}:00", LATER)["status"] == status
        else:
            with nothing_written(world), refused("invalid_transition") as refusal:
                move(world, session, "20:00", LATER)
            del refusal.detail["start_time"]
            assert refusal.detail == {"code": "invalid_transition", "session_id": str(session), "status": status}
    world.run("update sessions set status = 'scheduled'")
    begin(world.connection, session)
    with nothing_written(world), refused("invalid_transition"):
        move(world, session, "12:00", LATER)


def test_a_client_who_is_gone_is_not_moved(clean_world: World) -> None:
    world = clean_world
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    world.run("update users set is_active = false where id = %s", client)
    with nothing_written(world), refused("user_not_found"):
        move(world, session, "12:00", LATER)
