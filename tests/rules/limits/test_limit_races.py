"""One client, two therapists, a limit of one: both bookings never pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest

from tests.support import Connection, World
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import LATER, at, expire_hold, hold, move, request_session, set_policy
from tests.support.races import ENDINGS, Call, booking, holding_slot
from tests.support.refusals import outcome

OLD = LEVELS[1:]
KINDS = ["booking", "hold"]


def calls(world: World, first: str, second: str, **settings: int) -> tuple[Call, Call]:
    client = world.client(credits=1)
    world.run("select * from grant_credits(%s, 5)", client)
    set_policy(world, None, **settings)
    makers = {"booking": booking, "hold": holding_slot}
    return makers[first](client, world.therapist(), "10:00"), makers[second](client, world.therapist(), "15:00")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("setting", ["maximum_open_sessions", "maximum_client_sessions_per_week"])
def test_second_booking_sees_the_first_of_its_client(
    world: World, setting: str, level: str, first: str, second: str, ending: str
) -> None:
    one, other = calls(world, first, second, **{setting: 1})
    with holding(world) as earlier, session_of(world) as later:
        one(earlier)
        answer = waiting(world, partial(in_level, level, other), later)
        earlier.execute(ending.encode())
        ended = outcome(answer.result)
    if ending == "rollback":
        assert ended == "done"
    else:
        assert ended == ("client_limit" if level == "read committed" else "40001")
    assert world.violations() == []


@pytest.mark.parametrize("first", [*KINDS, "request"])
@pytest.mark.parametrize("level", OLD)
def test_old_snapshot_does_not_overlook_a_session_of_the_client(world: World, level: str, first: str) -> None:
    if first == "request":
        set_policy(world, None, maximum_open_sessions=1)
        client = world.client(credits=1)
        other = booking(client, world.therapist(), "15:00")
        one: Call = partial(request_session, client=client, therapist=world.therapist(), starts_at=at(10))
    else:
        one, other = calls(world, first, "booking", maximum_open_sessions=1)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        one(world.connection)
        assert outcome(partial(other, connection)) == "40001"
        connection.execute("rollback")
    assert world.violations() == []


@pytest.fixture
def one_bound(world: World) -> tuple[World, UUID, UUID, UUID]:
    """A client, a therapist without limits, and one who can be booked by a client with no other session."""
    bound = world.therapist()
    set_policy(world, bound, maximum_open_sessions=1, maximum_client_sessions_per_week=1)
    return world, world.client(credits=9), world.therapist(), bound


@contextmanager
def old(world: World, level: str) -> Iterator[Connection]:
    """Open a transaction that keeps the snapshot it has now."""
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        yield connection
        connection.execute("rollback")


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", [*KINDS, "request", "reopened", "moved", "in its place"])
@pytest.mark.parametrize("level", OLD)
def test_limit_of_one_counts_sessions_with_others(
    one_bound: tuple[World, UUID, UUID, UUID], level: str, first: str, second: str
) -> None:
    world, client, free, bound = one_bound
    others = first in ("reopened", "moved", "in its place")
    given = world.book(client, free, "10:00", session_date=LATER)["id"] if others else client
    if first in ("reopened", "in its place"):
        set_policy(world, bound, maximum_open_sessions=2)
    makers = {"booking": booking, "hold": holding_slot}
    later = makers[second](client, bound, "15:00")
    if first == "reopened":
        world.book(client, free, "17:00", session_date=LATER)
        world.run("select cancel_session(%s)", given)
    elif first == "moved":
        set_policy(world, bound, maximum_open_sessions=1000)
    with old(world, level) as connection:
        if first in makers:
            makers[first](client, free, "10:00")(world.connection)
        elif first == "request":
            request_session(world.connection, client, free, at(10))
        elif first == "reopened":
            world.run("select reopen_session(%s)", given)
        elif first == "moved":
            move(world, given, "10:00")
        else:
            # Two shorter sessions where the snapshot shows one.
            world.run("select cancel_session(%s)", given)
            for time in ("10:00", "10:30"):
                world.book(client, free, time, session_date=LATER, duration_minutes=30)
        assert outcome(partial(later, connection)) == "40001"
    assert world.violations() == []


@pytest.mark.parametrize("level", OLD)
def test_limited_booking_passes_where_nothing_changed(one_bound: tuple[World, UUID, UUID, UUID], level: str) -> None:
    world, client, free, bound = one_bound
    set_policy(world, bound, maximum_open_sessions=5, maximum_sessions_per_day=5)
    world.book(client, free, "10:00")
    world.book(world.client(credits=1), bound, "10:00")
    expire_hold(world.connection, hold(world, client, free, "12:00")["id"])
    before = world.count("bookingdb.calendar")
    in_level(level, booking(client, bound, "15:00", session_date=LATER), world.connection)
    assert world.count("bookingdb.calendar") == before + 1
    assert world.violations() == []


@pytest.mark.parametrize("setting", ["maximum_open_sessions", "maximum_sessions_per_day"])
@pytest.mark.parametrize("level", OLD)
def test_new_default_limit_counts_bookings_in_flight(world: World, level: str, setting: str) -> None:
    client, therapist = world.client(credits=9), world.therapist()
    other = (client, world.therapist()) if setting == "maximum_open_sessions" else (world.client(credits=1), therapist)
    with holding(world) as flying:
        booking(client, therapist, "10:00")(flying)
        set_policy(world, None, **{setting: 1})
        with old(world, level) as connection:
            flying.execute("commit")
            assert outcome(partial(booking(*other, "15:00"), connection)) == "40001"
    assert world.violations() == []
