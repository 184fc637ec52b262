"""The rest of a series, from one session on: it is cancelled or moved as a whole."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.support import World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import next_clock_change
from tests.support.life import (
    DAY,
    LATER,
    at,
    begin,
    book_series,
    call,
    cancel,
    close_window,
    move,
    require_sound,
    rows,
    set_policy,
)
from tests.support.refusals import nothing_written, refused

WEEK = 7 * DAY


def booked(world: World, client: UUID, therapist: UUID, occurrences: int = 4, **options: Any) -> list[UUID]:
    """The ids of a weekly series at 10:00."""
    asked = {"session_date": LATER, "session_time": "10:00", "occurrences": occurrences, **options}
    return [row["id"] for row in book_series(world.connection, client, therapist, **asked)]


def starts(world: World) -> list[dt.datetime]:
    found = world.run("select start_time from sessions where status <> 'cancelled' order by start_time")
    return [start for (start,) in found]


def statuses(world: World, ids: list[UUID]) -> list[str]:
    found: dict[UUID, str] = dict(world.run("select id, status from sessions"))
    return [found[session] for session in ids]


# ----------------------------------------------------------------------------------------------------------------------
# Cancelling
# ----------------------------------------------------------------------------------------------------------------------


def test_rest_of_a_series_is_cancelled_from_one_session_on(world: World) -> None:
    """What is over or cancelled stays; another series of the same people stays, too."""
    client, therapist = world.client(credits=9), world.therapist()
    ids = booked(world, client, therapist, 5)
    others = booked(world, client, therapist, 2, session_time="14:00")
    cancel(world, ids[2])
    call(world.connection, "confirm_session", session_id=ids[3])

    answer = rows(world.connection, "cancel_series", session_id=ids[1], reason="moving away")

    assert [row["id"] for row in answer] == [ids[1], ids[3], ids[4]]
    assert {(row["status"], row["refunded"], row["credits_balance"]) for row in answer} == {("cancelled", True, 6)}
    assert statuses(world, ids) == ["scheduled", *["cancelled"] * 4]
    assert statuses(world, others) == ["scheduled"] * 2
    reasons = "select id from sessions where cancellation_reason = 'moving away' order by start_time"
    assert [session for (session,) in world.run(reasons)] == [ids[1], ids[3], ids[4]]
    world.book(world.client(credits=1), therapist, session_date=LATER + WEEK)
    require_sound(world)


@on_todays_supabase
def test_each_session_of_a_series_is_cancelled_by_its_own_terms(hosted_world: World) -> None:
    """A client's late ones keep their credit; from the practice all come back."""
    world = hosted_world
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    close_window(world.connection, ids[1])
    with logged_in(world, client) as connection:
        with refused("not_allowed"):
            rows(connection, "cancel_series", session_id=ids[0], refund=True)
        answer = rows(connection, "cancel_series", session_id=ids[0])
    assert [row["refunded"] for row in answer] == [True, False, True, True]
    assert world.balance(client) == 3
    again = booked(world, client, therapist, 3)
    close_window(world.connection, again[1])
    with logged_in(world, therapist) as connection:
        answer = rows(connection, "cancel_series", session_id=again[0])
    assert [(row["refunded"], row["credits_balance"]) for row in answer] == [(True, None)] * 3
    third = booked(world, client, therapist, 3)
    assert not any(
        row["refunded"] for row in rows(world.connection, "cancel_series", session_id=third[0], refund=False)
    )
    require_sound(world)


@on_todays_supabase
def test_strangers_leave_a_series_alone(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    for stranger in (world.client(), world.therapist()):
        with logged_in(world, stranger) as connection:
            for function, more in (
                ("cancel_series", {}), ("reschedule_series", {"session_date": LATER, "session_time": "12:00"}),
            ):  # fmt: skip
                with nothing_written(world), refused("not_allowed"):
                    rows(connection, function, session_id=ids[0], **more)


@on_todays_supabase
def test_sessions_of_a_series_that_passed_to_others_stay(hosted_world: World) -> None:
    """For whoever has no part in them; a trusted caller changes all."""
    world = hosted_world
    client, therapist, other = world.client(credits=4), world.therapist(), world.therapist()
    ids = booked(world, client, therapist)
    world.run("update sessions set therapist_id = %s where id = %s", other, ids[2])
    with logged_in(world, therapist) as connection:
        answer = rows(connection, "cancel_series", session_id=ids[1])
    assert [row["id"] for row in answer] == [ids[1], ids[3]]
    answer = rows(world.connection, "cancel_series", session_id=ids[0])
    assert [row["id"] for row in answer] == [ids[0], ids[2]]
    require_sound(world)


def test_session_without_a_series_is_cancelled_alone(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    alone, other = (world.book(client, therapist, time)["id"] for time in ("10:00", "12:00"))
    assert [row["id"] for row in rows(world.connection, "cancel_series", session_id=alone)] == [alone]
    assert statuses(world, [other]) == ["scheduled"]
    with nothing_written(world), refused("invalid_transition"):
        rows(world.connection, "cancel_series", session_id=alone)


def test_series_is_cancelled_from_a_session_that_is_cancelled(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    cancel(world, ids[1])
    assert [row["id"] for row in rows(world.connection, "cancel_series", session_id=ids[1])] == ids[2:]
    with nothing_written(world), refused("invalid_transition") as refusal:
        rows(world.connection, "cancel_series", session_id=ids[1])
    assert refusal.detail["session_id"] == str(ids[1])
    require_sound(world)


@on_todays_supabase
@pytest.mark.parametrize("who", ["client", "therapist", "trusted"])
@pytest.mark.parametrize("status", ["scheduled", "in_progress"])
def test_series_is_cancelled_from_a_session_that_has_begun(hosted_world: World, who: str, status: str) -> None:
    """Whoever can cancel it does; the client leaves it out, as one that is over."""
    world = hosted_world
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    for number, session_id in enumerate(ids[:2]):
        begin(world.connection, session_id, 90 - 60 * number)
        if status == "in_progress":
            call(world.connection, "start_session", session_id=session_id)
    left = 2 if who == "client" else 0
    with logged_in(world, client if who == "client" else therapist) as connection:
        answer = rows(world.connection if who == "trusted" else connection, "cancel_series", session_id=ids[0])
    assert [row["id"] for row in answer] == ids[left:]
    assert statuses(world, ids) == [status] * left + ["cancelled"] * (4 - left)
    assert world.balance(client) == 4 - left
    if who == "client":
        with logged_in(world, client) as connection, nothing_written(world), refused("invalid_transition"):
            rows(connection, "cancel_series", session_id=ids[0])
    require_sound(world)


def test_repeated_cancellation_of_a_rest_is_the_same(world: World) -> None:
    """As they stand, with the balance of then; also when the series has fewer sessions to cancel by now."""
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    again = partial(rows, world.connection, "cancel_series", session_id=ids[1], idempotency_key="key")
    first = again()
    call(world.connection, "grant_credits", user_id=client, amount=5)
    with nothing_written(world):
        assert again() == first
    world.run("delete from sessions where id = %s", ids[2])
    assert [row["id"] for row in again()] == [ids[1], ids[3]]
    with refused("idempotency_key_reused"):
        rows(world.connection, "cancel_series", session_id=ids[0], idempotency_key="key")
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Moving
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [7, -7, 1, -1, 0, 14])
def test_rest_of_a_series_moves_by_as_many_days(world: World, days: int) -> None:
    """Sessions of the series are not in each other's way, whichever way they move."""
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    date = LATER + WEEK + days * DAY
    if days == -7:
        cancel(world, ids[0])

    answer = rows(
        world.connection, "reschedule_series", session_id=ids[1], session_date=date, session_time="10:30",
        duration_minutes=45,
    )  # fmt: skip

    assert [row["id"] for row in answer] == ids[1:]
    half = dt.timedelta(minutes=30)
    assert [row["start_time"] for row in answer] == [at(10, date + number * WEEK) + half for number in range(3)]
    assert {row["duration_minutes"] for row in answer} == {45}
    # A move by the practice to an earlier day leaves the client the limit they had.
    assert all(row["free_cancellation_until"] - row["start_time"] >= -DAY for row in answer)
    assert {row["credits_balance"] for row in answer} == {1 if days == -7 else 0}
    require_sound(world)


def test_moved_series_keeps_its_time_across_clock_changes(world: World) -> None:
    zone = "Europe/Berlin"
    change = next_clock_change(zone, forward=True).date()
    set_policy(world, None, maximum_advance="900 days")
    client, therapist = world.client(credits=4), world.therapist(zone)
    ids = booked(world, client, therapist, session_date=change - 2 * WEEK + DAY, session_time="09:00")
    answer = rows(
        world.connection, "reschedule_series",
        session_id=ids[0], session_date=change - 2 * WEEK + 2 * DAY, session_time="11:00",
    )  # fmt: skip
    local = [row["start_time"].astimezone(ZoneInfo(zone)).replace(tzinfo=None) for row in answer]
    first = dt.datetime.combine(change - 2 * WEEK + 2 * DAY, dt.time(11))
    assert local == [first + number * WEEK for number in range(4)]
    assert [(row["scheduled_date"], row["scheduled_time"]) for row in answer] == [
        (time.date(), time.time()) for time in local
    ]
    require_sound(world)


def test_limits_of_a_day_leave_room_for_a_series_that_moves(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    set_policy(world, therapist, maximum_sessions_per_day=1, maximum_sessions_per_week=1)
    ids = booked(world, client, therapist)
    for date in (LATER + WEEK, LATER, LATER + 2 * WEEK):
        rows(world.connection, "reschedule_series", session_id=ids[0], session_date=date, session_time="10:00")
        assert starts(world) == [at(10, date + number * WEEK) for number in range(4)]
    require_sound(world)


def test_limits_of_a_day_leave_room_in_every_zone(world: World) -> None:
    """A day of the therapist's ends within a day of the zone that the move is asked in."""
    client, therapist = world.client(credits=3), world.therapist(time_zone="Europe/Berlin")
    set_policy(world, therapist, maximum_sessions_per_day=1)
    (first, *_) = booked(world, client, therapist, 3, session_time="20:00", every=DAY)
    there = (LATER + DAY).isoformat()
    for date, time in ((there, "20:00"), (there, "06:00")):
        asked = {"session_id": first, "session_date": date, "session_time": time, "time_zone": "Pacific/Auckland"}
        rows(world.connection, "reschedule_series", **asked)
        start = dt.datetime.combine(LATER + DAY, dt.time.fromisoformat(time), ZoneInfo("Pacific/Auckland"))
        assert starts(world) == [start + number * DAY for number in range(3)]
    require_sound(world)


def test_series_that_cannot_move_as_a_whole_stays(world: World) -> None:
    """The error names the session, its place among those that move, and its date."""
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    world.book(world.client(credits=1), therapist, "12:30", session_date=LATER + 3 * WEEK)
    with nothing_written(world), refused("booking_conflict") as refusal:
        rows(world.connection, "reschedule_series", session_id=ids[1], session_date=LATER + WEEK, session_time="12:00")
    named = {name: refusal.detail[name] for name in ("session_id", "occurrence", "session_date", "rule")}
    assert named == {
        "session_id": str(ids[3]), "occurrence": 3, "session_date": (LATER + 3 * WEEK).isoformat(), "rule": "session",
    }  # fmt: skip
    require_sound(world)


def test_session_that_is_over_does_not_move_with_its_series(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    cancel(world, ids[2])
    when = {"session_date": LATER + DAY, "session_time": "10:00"}
    answer = rows(world.connection, "reschedule_series", session_id=ids[1], **when)
    assert [row["id"] for row in answer] == [ids[1], ids[3]]
    with nothing_written(world), refused("invalid_transition") as refusal:
        rows(world.connection, "reschedule_series", session_id=ids[2], **when)
    assert refusal.detail["session_id"] == str(ids[2])
    require_sound(world)


def test_session_that_was_moved_by_itself_keeps_its_distance(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist, 3)
    move(world, ids[1], "15:00", LATER + WEEK + 2 * DAY)
    rows(world.connection, "reschedule_series", session_id=ids[0], session_date=LATER + DAY, session_time="11:00")
    assert starts(world) == [at(11, LATER + days * DAY) for days in (1, 10, 15)]
    require_sound(world)


@on_todays_supabase
def test_client_who_moves_a_series_reopens_no_window(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist, 3)
    close_window(world.connection, ids[1])
    with logged_in(world, client) as connection:
        rows(connection, "reschedule_series", session_id=ids[0], session_date=LATER + DAY, session_time="10:00")
        answer = rows(connection, "cancel_series", session_id=ids[0])
    assert [row["refunded"] for row in answer] == [True, False, True]
    require_sound(world)


def test_repeated_move_of_a_series_shows_the_same_sessions(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    ids = booked(world, client, therapist)
    when = {"session_date": LATER + WEEK + DAY, "session_time": "10:00"}
    again = partial(rows, world.connection, "reschedule_series", session_id=ids[1], idempotency_key="key", **when)
    first = again()
    cancel(world, ids[3])
    assert [(row["id"], row["credits_balance"]) for row in again()] == [(row["id"], 0) for row in first]
    with refused("idempotency_key_reused"):
        rows(world.connection, "reschedule_series", session_id=ids[0], idempotency_key="key", **when)
    require_sound(world)
