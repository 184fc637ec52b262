"""A slot that is held for a client, and becomes a session or is free again."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
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


def test_a_hold_booked_again_without_a_key_is_its_session(world: World) -> None:
    """As it stands, with the balance of today; whatever the second call says of title and notes."""
    client, therapist = world.client(credits=2), world.therapist()
    held = hold(world, client, therapist)
    booked = call(world.connection, "book_hold", hold_id=held["id"], title="First")
    with nothing_written(world):
        assert call(world.connection, "book_hold", hold_id=held["id"], title="Second") == booked
    world.run("select * from confirm_session(%s)", held["id"])
    world.run("select * from grant_credits(%s, 5)", client)
    with nothing_written(world):
        again = call(world.connection, "book_hold", hold_id=held["id"])
    assert again == {**booked, "status": "confirmed", "credits_balance": 6}
    require_sound(world)


@on_todays_supabase
def test_a_booked_hold_answers_its_client_alone(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    booked = call(world.connection, "book_hold", hold_id=held["id"])
    for who in (therapist, world.client()):
        with logged_in(world, who) as connection, refused("not_allowed"):
            call(connection, "book_hold", hold_id=held["id"])
    with logged_in(world, client) as connection:
        assert call(connection, "book_hold", hold_id=held["id"])["id"] == booked["id"]


# ----------------------------------------------------------------------------------------------------------------------
# In one's own way
# ----------------------------------------------------------------------------------------------------------------------


def test_own_hold_in_the_way_says_so_with_its_id(world: World) -> None:
    """With the same therapist and with another; the time of a session of one's own says that."""
    ada, grace, hedy = world.client(credits=3), world.therapist(), world.therapist()
    held = hold(world, ada, grace, "10:00")
    session = world.book(ada, world.therapist(), "14:00")["id"]
    other = world.book(ada, world.therapist(), "17:00")["id"]

    def refusal_of(code: str, call_it: Any) -> dict[str, Any]:
        with nothing_written(world), refused(code) as refusal:
            call_it()
        return {name: refusal.detail.get(name) for name in ("rule", "hold_id", "session_id")}

    own_hold = {"rule": "hold", "hold_id": str(held["id"]), "session_id": None}
    own_session = {"rule": "session", "hold_id": None, "session_id": str(session)}
    for therapist, code in ((hedy, "client_conflict"), (grace, "booking_conflict")):
        assert refusal_of(code, partial(world.book, ada, therapist, "10:30")) == own_hold
        move = partial(
            call, world.connection, "reschedule_session", session_id=other, session_date=TOMORROW, session_time="10:30"
        )
        assert refusal_of("client_conflict", move) == own_hold
    assert refusal_of("client_conflict", lambda: world.book(ada, hedy, "14:30")) == own_session
    assert refusal_of("client_conflict", lambda: hold(world, ada, hedy, "14:30")) == own_session
    series = partial(
        call, world.connection, "book_series", user_id=ada, therapist_id=hedy, session_date=TOMORROW,
        session_time="10:30", occurrences=1,
    )  # fmt: skip
    assert refusal_of("client_conflict", series) == own_hold
    # The move that ends where the hold is with the same therapist.
    mine = world.book(ada, grace, "20:00")["id"]
    move = partial(
        call, world.connection, "reschedule_session", session_id=mine, session_date=TOMORROW, session_time="10:30"
    )
    assert refusal_of("booking_conflict", move) == own_hold
    # A hold of somebody else is nobody's business.
    bob = world.client(credits=1)
    assert refusal_of("booking_conflict", lambda: world.book(bob, grace, "10:30")) == {**own_hold, "hold_id": None}
    require_sound(world)


def test_own_hold_that_expired_is_in_nobodys_way(world: World) -> None:
    ada, grace = world.client(credits=2), world.therapist()
    held = hold(world, ada, grace, "10:00")
    expire_hold(world.connection, held["id"])
    assert world.book(ada, grace, "10:30")["status"] == "scheduled"


@on_todays_supabase
def test_therapist_is_not_told_what_a_client_has_elsewhere(hosted_world: World) -> None:
    """Neither a hold nor a session; the client is."""
    world = hosted_world
    ada, grace, hedy = world.client(credits=3), world.therapist(), world.therapist()
    session = world.book(ada, hedy, "20:00")["id"]
    held = hold(world, ada, grace, "10:00")
    world.book(ada, grace, "14:00")
    told = []
    for who in (hedy, ada):
        for time in ("10:30", "14:30"):
            with logged_in(world, who) as connection, refused("client_conflict") as refusal:
                call(connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time=time)
            told.append({*refusal.detail} & {"rule", "hold_id", "session_id"})
    assert told == [set(), set(), {"rule", "hold_id"}, {"rule", "session_id"}]
    with logged_in(world, ada) as connection, refused("booking_conflict") as refusal:
        call(
            connection, "create_session_with_credit_deduction",
            user_id=ada, therapist_id=grace, session_date=TOMORROW, session_time="10:00",
        )  # fmt: skip
    assert (refusal.detail["rule"], refusal.detail["hold_id"]) == ("hold", str(held["id"]))


# ----------------------------------------------------------------------------------------------------------------------
# Cancelled, and gone by itself
# ----------------------------------------------------------------------------------------------------------------------


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
