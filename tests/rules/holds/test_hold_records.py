"""A hold and its records: what is written when it is placed, replaced, booked, given up, or expires."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from tests.support import TOMORROW, World
from tests.support.life import HOUR, at, call, hold, require_sound, rows
from tests.support.refusals import nothing_written, refused


def rows_of(world: World, statement: str, *parameters: Any) -> list[Any]:
    return [row[0] if len(row) == 1 else row for row in world.run(statement, *parameters)]


def hold_events(world: World, hold_id: UUID) -> list[str]:
    events = rows_of(world, "select event from bookingdb.outbox where subject_id = %s order by id", hold_id)
    return [str(event) for event in events]


def expire(world: World, hold_id: UUID) -> None:
    past = "set expires_at = clock_timestamp() - interval '1 second' where id = %s"
    world.run(f"update bookingdb.calendar {past}", hold_id)
    world.run(f"update bookingdb.holds {past}", hold_id)


def test_a_hold_is_a_row_a_time_and_an_event(clean_world: World) -> None:
    """In the zone of its therapist. It is no session, costs no credit, and is not in the audit log."""
    world = clean_world
    client, therapist = world.client(), world.therapist("Asia/Tokyo")
    held = hold(world, client, therapist, duration_minutes=90)
    start, end = at(1), at(2) + HOUR / 2
    assert (held["start_time"], held["end_time"], held["time_zone"]) == (start, end, "Asia/Tokyo")
    assert world.run(
        "select user_id, therapist_id, scheduled_date, scheduled_time, time_zone, duration_minutes, start_time,"
        " end_time, expires_at, released_at from bookingdb.holds"
    ) == [(client, therapist, TOMORROW, dt.time(10), "Asia/Tokyo", 90, start, end, held["expires_at"], None)]
    assert world.run(
        "select id, kind, therapist_id, client_id, lower(period), upper(period), blocked = period, expires_at"
        " from bookingdb.calendar"
    ) == [(held["id"], "hold", therapist, client, start, end, True, held["expires_at"])]
    iso = "%Y-%m-%dT%H:%M:%SZ"
    assert world.run("select event, payload from bookingdb.outbox") == [("hold.placed", {
        "hold_id": str(held["id"]), "user_id": str(client), "therapist_id": str(therapist),
        "start_time": start.strftime(iso), "end_time": end.strftime(iso),
        "expires_at": held["expires_at"].astimezone(dt.UTC).strftime(iso),
    })]  # fmt: skip
    assert [world.count(table) for table in ("sessions", "bookingdb.ledger", "booking_audit_log")] == [0, 0, 0]


def test_a_client_does_not_hold_two_times_at_once(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=1), world.therapist()
    hold(world, client, world.therapist())
    with nothing_written(world), refused("client_conflict"):
        hold(world, client, therapist)
    # What begins where it ends is free.
    hold(world, client, therapist, "11:00")


def test_another_hold_with_a_therapist_gives_the_old_one_up(clean_world: World) -> None:
    """The new one's events are its own; where it cannot be had, the old one stays."""
    world = clean_world
    client, other, therapist = world.client(), world.client(credits=1), world.therapist()
    old = hold(world, client, therapist, "10:00")["id"]
    new = hold(world, client, therapist, "14:00")["id"]
    assert (hold_events(world, old), hold_events(world, new)) == (["hold.placed", "hold.released"], ["hold.placed"])
    assert world.run("select id, released_at is not null from bookingdb.holds order by start_time") == [
        (old, True), (new, False),
    ]  # fmt: skip
    assert world.book(other, therapist, "10:00")["status"] == "scheduled"
    hold(world, other, therapist, "18:00")
    with nothing_written(world), refused("booking_conflict"):
        hold(world, client, therapist, "18:00")


def test_an_expired_hold_was_not_given_up(clean_world: World) -> None:
    """The client may hold again while it is still in the calendar, and no event tells of its end."""
    world = clean_world
    client, therapist = world.client(), world.therapist()
    old = hold(world, client, therapist, "10:00")["id"]
    expire(world, old)
    hold(world, client, therapist, "14:00")
    assert world.run("select released_at from bookingdb.holds where id = %s", old) == [(None,)]
    assert hold_events(world, old) == ["hold.placed"]


def test_a_hold_becomes_a_session_at_its_time_on_todays_terms(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    world.run(
        "update bookingdb.policies set time_zone = 'Asia/Kathmandu', cancellation_window = '1 hour'"
        " where therapist_id = %s",
        therapist,
    )
    booked = call(world.connection, "book_hold", hold_id=held["id"])
    assert (booked["start_time"], booked["end_time"], booked["time_zone"]) == (at(10), at(11), "UTC")
    assert (booked["title"], booked["session_type"], booked["description"]) == ("Therapy Session", "video", "")
    (terms, series) = world.run("select start_time - free_cancellation_until, series_id from sessions")[0]
    assert (terms, series) == (HOUR, None)
    assert world.run("select action, old_status, new_status, changes from booking_audit_log") == [
        ("created", None, "scheduled", {}),
    ]  # fmt: skip
    assert hold_events(world, held["id"]) == ["hold.placed", "session.created", "hold.booked"]
    assert world.run("select released_at from bookingdb.holds") == [(None,)]
    require_sound(world)


def test_a_hold_that_is_over_says_why(clean_world: World) -> None:
    world = clean_world
    client, other, therapist = world.client(credits=1), world.client(credits=1), world.therapist()
    given_up, expired = hold(world, client, therapist, "10:00"), hold(world, other, therapist, "12:00")
    call(world.connection, "release_hold", hold_id=given_up["id"])
    expire(world, expired["id"])
    expires_at = world.scalar("select expires_at from bookingdb.holds where id = %s", expired["id"])
    for _ in range(2):
        for held, reason in ((given_up, "released"), (expired, "expired")):
            with nothing_written(world), refused("hold_expired") as refusal:
                call(world.connection, "book_hold", hold_id=held["id"])
            assert (refusal.detail["reason"], refusal.detail["hold_id"]) == (reason, str(held["id"]))
        assert refusal.detail["expires_at"] == expires_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # Then somebody else takes the time of the one that expired.
        if world.count("sessions") == 0:
            world.book(client, therapist, "12:00")


def test_a_hold_is_given_up_once(clean_world: World) -> None:
    world = clean_world
    client, other, therapist = world.client(), world.client(credits=1), world.therapist()
    held, elsewhere = hold(world, client, therapist), hold(world, client, world.therapist(), "12:00")
    call_it_off = {"hold_id": held["id"]}
    rows(world.connection, "release_hold", **call_it_off)
    assert world.run("select released_at <= clock_timestamp(), expires_at > now() from bookingdb.holds where id = %s",
                     held["id"]) == [(True, True)]  # fmt: skip
    assert rows_of(world, "select id from bookingdb.calendar") == [elsewhere["id"]]
    assert hold_events(world, held["id"]) == ["hold.placed", "hold.released"]
    payload = world.scalar("select payload from bookingdb.outbox where event = 'hold.released'")
    assert (payload["hold_id"], payload["user_id"]) == (str(held["id"]), str(client))
    with nothing_written(world):
        rows(world.connection, "release_hold", **call_it_off)
    assert [world.count(table) for table in ("sessions", "booking_audit_log")] == [0, 0]
    assert world.book(other, therapist)["status"] == "scheduled"


def test_an_expired_hold_may_be_given_up(clean_world: World) -> None:
    """Of which nothing is told: it expired before that."""
    world = clean_world
    held = hold(world, world.client(), world.therapist())
    expire(world, held["id"])
    rows(world.connection, "release_hold", hold_id=held["id"])
    assert world.run("select released_at from bookingdb.holds") == [(None,)]
    assert world.count("bookingdb.calendar") == 0


def test_a_booked_hold_is_named_by_its_session(clean_world: World) -> None:
    world = clean_world
    held = hold(world, world.client(credits=1), world.therapist())
    call(world.connection, "book_hold", hold_id=held["id"])
    with nothing_written(world), refused("invalid_transition") as refusal:
        rows(world.connection, "release_hold", hold_id=held["id"])
    assert refusal.detail == {"code": "invalid_transition", "session_id": str(held["id"])}
