"""A slot that is held for a client, and becomes a session or is free again."""

from __future__ import annotations

import datetime as dt
from functools import partial

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.life import (
    HOUR,
    at,
    call,
    cancel,
    expire_hold,
    hold,
    require_sound,
)
from tests.support.refusals import nothing_written, refused

# ----------------------------------------------------------------------------------------------------------------------
# Holds
# ----------------------------------------------------------------------------------------------------------------------


def test_hold_keeps_its_slot_and_lets_go_by_itself(world: World) -> None:
    client, other = world.client(credits=1), world.client(credits=1)
    therapist, another = world.therapist(), world.therapist()
    held = hold(world, client, therapist)
    book_it = partial(world.book, other, therapist, "10:30")
    with nothing_written(world):
        with refused("booking_conflict"):
            book_it()
        with refused("booking_conflict"):
            hold(world, other, therapist, "09:30")
        # The client's time is taken, too.
        with refused("client_conflict"):
            world.book(client, another, "10:30")
        with refused("booking_conflict"):
            insert = "insert into sessions (therapist_id, start_time, end_time) values (%s, %s, %s)"
            world.run(insert, therapist, at(10), at(11))
    assert world.scalar("select check_booking_conflict(%s, %s, '10:30', '11:00')", therapist, TOMORROW)
    assert world.balance(client) == 1

    expire_hold(world.connection, held["id"])

    # Nobody cleaned up.
    assert world.count("bookingdb.calendar") == 1
    assert not world.scalar("select check_booking_conflict(%s, %s, '10:30', '11:00')", therapist, TOMORROW)
    assert book_it()["status"] == "scheduled"
    with nothing_written(world), refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])
    assert refusal.detail["reason"] == "expired"
    require_sound(world)


def test_a_hold_is_a_clients_only_one_with_a_therapist(world: World) -> None:
    client, therapist, another = world.client(credits=1), world.therapist(), world.therapist()
    first = hold(world, client, therapist, "10:00")
    elsewhere = hold(world, client, another, "11:00")
    # Also where it overlaps the one that it replaces.
    second = hold(world, client, therapist, "10:15", duration_minutes=45)

    in_order = world.run("select id from bookingdb.calendar order by lower(period)")
    assert in_order == [(second["id"],), (elsewhere["id"],)]
    with refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=first["id"])
    assert refusal.detail["reason"] == "released"
    assert call(world.connection, "book_hold", hold_id=second["id"])["id"] == second["id"]
    require_sound(world)


def test_a_hold_becomes_a_session_whatever_buffers_hold_by_then(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    held = hold(world, client, therapist)
    world.book(world.client(credits=1), therapist, "11:15")
    world.run('select set_policy(\'{"buffer_after_minutes": 60, "buffer_before_minutes": 60}\', %s)', therapist)

    booked = call(world.connection, "book_hold", hold_id=held["id"])

    assert (booked["id"], booked["status"]) == (held["id"], "scheduled")
    assert world.run("select kind, expires_at, blocked = period from bookingdb.calendar where id = %s", held["id"]) == [
        ("session", None, True)
    ]
    require_sound(world)


def test_hold_is_not_booked_when_the_therapist_went_away(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    held = hold(world, client, therapist)
    world.run("select id from add_time_off(%s, %s, %s)", therapist, at(11) - dt.timedelta(minutes=1), at(12))

    with nothing_written(world), refused("booking_conflict") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])

    assert refusal.detail["rule"] == "time_off"
    assert refusal.detail["next_free"] == f"{TOMORROW}T12:00:00Z"


def test_a_hold_that_cannot_be_paid_stays_a_hold(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    held = hold(world, client, therapist)
    with nothing_written(world), refused("insufficient_credits"):
        call(world.connection, "book_hold", hold_id=held["id"])
    world.run("select * from grant_credits(%s, 1)", client)

    assert call(world.connection, "book_hold", hold_id=held["id"])["credits_balance"] == 0
    require_sound(world)


def test_booked_hold_is_cancelled_and_not_released(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    call(world.connection, "book_hold", hold_id=held["id"])
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "release_hold", hold_id=held["id"])
    assert cancel(world, held["id"])
    with nothing_written(world), refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])
    assert refusal.detail["reason"] == "booked"
    require_sound(world)


def test_a_direct_writer_cannot_pass_off_a_hold_as_its_session(world: World) -> None:
    """A session of the hold's own id is still one that the hold's slot is taken for."""
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    insert = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
    with nothing_written(world), pytest.raises(psycopg.Error):
        world.run(insert, held["id"], client, therapist, held["start_time"], held["end_time"])
    call(world.connection, "release_hold", hold_id=held["id"])
    world.run(insert, held["id"], client, therapist, held["start_time"], held["end_time"])
    require_sound(world)


def test_policy_or_caller_says_how_long_a_hold_lasts(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"hold_lifetime": "20 minutes"}), therapist_id=therapist)

    for ttl, seconds in ((None, 1200), (dt.timedelta(seconds=10), 10), (HOUR, 3600)):
        left = hold(world, client, therapist, ttl=ttl)["expires_at"] - dt.datetime.now(dt.UTC)
        assert seconds - 5 < left.total_seconds() <= seconds
    for ttl in (dt.timedelta(seconds=9), HOUR + dt.timedelta(seconds=1), -HOUR, dt.timedelta(0)):
        with nothing_written(world), refused("invalid_parameter"):
            hold(world, client, therapist, ttl=ttl)


# ----------------------------------------------------------------------------------------------------------------------
# What holds whatever a function does
# ----------------------------------------------------------------------------------------------------------------------


def test_client_has_one_hold_with_a_therapist(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    hold(world, client, therapist)
    another = (
        "insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked, expires_at)"
        " select kind, therapist_id, client_id, p.later, p.later, expires_at from bookingdb.calendar"
        " cross join lateral (select tstzrange(upper(period), upper(period) + interval '1 hour') as later) as p"
    )
    with nothing_written(world), pytest.raises(psycopg.errors.UniqueViolation):
        world.run(another)
