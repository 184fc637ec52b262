"""What a booking writes and returns, and how often."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import TOMORROW, World
from tests.support.life import (
    DAY,
    HOUR,
    at,
)
from tests.support.refusals import refused

# ----------------------------------------------------------------------------------------------------------------------
# What a booking writes and returns
# ----------------------------------------------------------------------------------------------------------------------


def test_booking_writes_its_five_rows(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)

    booked = world.book(client, therapist, notes="first time")

    assert booked["status"] == "scheduled"
    assert booked["description"] == "first time"
    assert booked["credits_balance"] == 1
    assert world.run("select id, kind from bookingdb.calendar") == [(booked["id"], "session")]
    assert world.run("select kind, amount, session_id from bookingdb.ledger order by id") == [
        ("grant", 2, None),
        ("debit", -1, booked["id"]),
    ]
    assert world.run("select session_id, action, old_status, new_status, actor from booking_audit_log") == [
        (booked["id"], "created", None, "scheduled", "owner"),
    ]
    assert world.run("select event from bookingdb.outbox order by id") == [("credits.granted",), ("session.created",)]
    assert world.violations() == []


def test_the_returned_row_is_the_stored_one(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    booked = world.book(
        client, therapist, "10:30", duration_minutes=45, session_type="audio", notes="notes", title="A title",
        time_zone="America/New_York",
    )  # fmt: skip

    columns = [name for name in booked if name != "credits_balance"]
    (stored,) = world.run(f"select {', '.join(columns)} from sessions")
    assert stored == tuple(booked[name] for name in columns)
    start = dt.datetime.combine(TOMORROW, dt.time(10, 30), ZoneInfo("America/New_York"))
    assert booked["start_time"] == start
    assert booked["end_time"] == start + dt.timedelta(minutes=45)
    assert (booked["scheduled_date"], booked["scheduled_time"]) == (TOMORROW, dt.time(10, 30))
    assert (booked["user_id"], booked["therapist_id"]) == (client, therapist)
    assert (booked["duration_minutes"], booked["session_type"], booked["title"]) == (45, "audio", "A title")
    assert (booked["description"], booked["time_zone"]) == ("notes", "America/New_York")
    assert booked["credits_balance"] == 0


def test_omitted_arguments_have_the_defaults_of_the_signature(world: World) -> None:
    booked = world.book(world.client(credits=1), world.therapist())

    assert (booked["duration_minutes"], booked["session_type"]) == (60, "video")
    assert (booked["description"], booked["title"]) == ("", "Therapy Session")


@pytest.mark.parametrize("minutes", [15, 180])
def test_the_shortest_and_the_longest_session_can_be_booked(world: World, minutes: int) -> None:
    booked = world.book(world.client(credits=1), world.therapist(), duration_minutes=minutes)

    assert booked["end_time"] - booked["start_time"] == dt.timedelta(minutes=minutes)
    assert world.violations() == []


def test_sessions_that_touch_do_not_conflict(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)

    for time in ("10:00", "11:00", "09:00"):
        world.book(client, therapist, time)

    assert world.count("sessions") == 3
    assert world.violations() == []


def test_a_session_crosses_midnight(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)

    booked = world.book(client, therapist, "23:30", duration_minutes=90)

    assert (booked["start_time"], booked["end_time"]) == (at(23) + HOUR / 2, at(1, TOMORROW + DAY))
    with refused("booking_conflict"):
        world.book(world.client(credits=1), therapist, "00:59", session_date=TOMORROW + dt.timedelta(days=1))
    world.book(client, therapist, "01:00", session_date=TOMORROW + dt.timedelta(days=1))


def test_texts_in_any_script_come_back_unchanged(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    for time, text in (
        ("10:00", "👩‍⚕️🧠 é e\u0301"),
        ("11:00", "\u202e\u05e9\u05dc\u05d5\u05dd مرحبا"),
        ("12:00", "一二三 \t\n \u200b"),
    ):
        booked = world.book(client, therapist, time, title=text, notes=text, session_type=text)

        assert (booked["title"], booked["description"], booked["session_type"]) == (text, text, text)


@pytest.mark.parametrize(
    "text", ["'; drop table public.sessions; --", '{"code": "busy"}', "$function$", "%s %I :name {0}", "\\'", "null"]
)
def test_fragments_of_sql_and_json_are_only_text(world: World, text: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    booked = world.book(client, therapist, title=text, notes=text, session_type=text, idempotency_key=text)

    assert (booked["title"], booked["description"], booked["session_type"]) == (text, text, text)
    assert world.book(client, therapist, title=text, notes=text, session_type=text, idempotency_key=text) == booked
    with refused("invalid_time_zone"):
        world.book(client, therapist, "12:00", time_zone=text)
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Records
# ----------------------------------------------------------------------------------------------------------------------


def test_every_change_has_exactly_one_audit_row(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    booked = world.book(client, therapist, idempotency_key="key")
    world.book(client, therapist, idempotency_key="key")
    world.run("update sessions set status = 'confirmed'")
    # These change nothing.
    world.run("update sessions set status = status, updated_at = now()")
    world.run("update sessions set status = 'confirmed' where status = 'confirmed'")
    world.run("update sessions set description = 'private', start_time = start_time + interval '1 hour',"
              " end_time = end_time + interval '1 hour'")  # fmt: skip
    world.run("delete from sessions")

    audit = world.run("select session_id, action, old_status, new_status from booking_audit_log order by id")
    assert audit == [
        (booked["id"], "created", None, "scheduled"),
        (booked["id"], "status_changed", "scheduled", "confirmed"),
        (booked["id"], "updated", "confirmed", "confirmed"),
        (booked["id"], "deleted", "confirmed", None),
    ]
    events = world.run("select event from bookingdb.outbox where event like 'session.%%' order by id")
    assert [event for (event,) in events] == [f"session.{action}" for _, action, _, _ in audit]
    assert "private" not in world.scalar("select string_agg(a::text, ' ') from booking_audit_log as a")


@pytest.mark.parametrize("keys", [(None, None), ("first", "second")])
def test_cancel_and_rebook_in_one_transaction_works(world: World, keys: Any) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    first = world.book(client, therapist, idempotency_key=keys[0])

    with world.connection.transaction():
        world.run("update sessions set status = 'cancelled' where id = %s", first["id"])
        second = world.book(client, therapist, idempotency_key=keys[1])

    assert second["id"] != first["id"]
    assert second["status"] == "scheduled"
    assert world.run("select id, status from sessions order by status") == [
        (first["id"], "cancelled"),
        (second["id"], "scheduled"),
    ]
    assert world.violations() == []


def test_book_cancel_and_rebook_in_one_transaction(world: World) -> None:
    """All of it at one now(): nothing may tell the two by their times."""
    therapist, client = world.therapist(), world.client(credits=3)
    with world.connection.transaction():
        booked = [world.book(client, therapist)]
        for _ in range(2):
            world.run("update sessions set status = 'cancelled' where status = 'scheduled'")
            booked.append(world.book(client, therapist))

    assert len({row["id"] for row in booked}) == 3
    assert [row["credits_balance"] for row in booked] == [2, 1, 0]
    assert world.violations() == []
