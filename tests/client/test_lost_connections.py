"""What the Python client does when the connection is lost while a call waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bookingdb import Bookings, execution
from bookingdb.errors import BookingConflict, BookingFailed
from tests.support import TOMORROW, World
from tests.support.pooler import free_port
from tests.torture import ambiguous, proxy
from tests.torture.proxy import Proxy


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


@pytest.fixture
def between(world: World) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    with proxy.running(world.connection.info.port) as running:
        yield running


def request_of(world: World, key: str | None = "the key") -> dict[str, Any]:
    return {
        "user_id": world.client(credits=2), "therapist_id": world.therapist(), "session_date": TOMORROW,
        "session_time": "10:00", "idempotency_key": key,
    }  # fmt: skip


def require_booked_once(world: World) -> None:
    assert world.count("sessions") == 1
    assert world.scalar("select count(*) from bookingdb.ledger where kind = 'debit'") == 1
    assert world.violations() == []


every_way = pytest.mark.parametrize("way", ambiguous.REPEATING, ids=lambda way: way.__name__)


@every_way
@pytest.mark.parametrize("times", [1, 3])
def test_a_call_with_a_key_is_repeated_until_it_is_answered(
    world: World, between: Proxy, way: ambiguous.Way, times: int
) -> None:
    plan = between.plan("the key", times)

    booked = way(between.url(world.url), request_of(world))

    assert plan.dropped == times
    assert world.run("select id from sessions") == [(booked.id,)]
    require_booked_once(world)


@pytest.mark.parametrize("way", [ambiguous.by_pool, ambiguous.by_async_pool], ids=lambda way: way.__name__)
def test_a_commit_whose_answer_is_lost_is_repeated(world: World, between: Proxy, way: ambiguous.Way) -> None:
    plan = between.plan("the key", 2, at_commit=True)

    booked = way(between.url(world.url), request_of(world))

    assert plan.dropped == 2
    assert world.run("select id from sessions") == [(booked.id,)]
    require_booked_once(world)


@every_way
def test_lost_connections_are_not_retried_for_ever(
    world: World, between: Proxy, way: ambiguous.Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "_LONGEST_FIRST_RECONNECTION", 0.001)
    plan = between.plan("the key", 1000, at_commit=way in ambiguous.WITH_COMMIT)

    with pytest.raises(BookingFailed) as caught:
        way(between.url(world.url), request_of(world))

    assert plan.dropped == 8
    assert "idempotency key" in str(caught.value)
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    require_booked_once(world)


@every_way
def test_a_call_without_a_key_is_not_repeated(world: World, between: Proxy, way: ambiguous.Way) -> None:
    request = request_of(world, key=None) | {"notes": "what the proxy knows it by"}
    plan = between.plan("what the proxy knows it by", 1)

    with pytest.raises(BookingFailed):
        way(between.url(world.url), request)

    assert plan.dropped == 1


@pytest.mark.parametrize("way", ambiguous.CALLERS_OWN, ids=lambda way: way.__name__)
def test_on_a_connection_of_the_callers_nothing_is_repeated(world: World, between: Proxy, way: ambiguous.Way) -> None:
    between.plan("the key", 1)

    with pytest.raises(BookingFailed):
        way(between.url(world.url), request_of(world))

    assert between.connections == 1


@every_way
def test_a_refusal_after_a_lost_connection_is_the_answer(world: World, between: Proxy, way: ambiguous.Way) -> None:
    request = request_of(world)
    world.book(world.client(credits=1), request["therapist_id"])
    plan = between.plan("the key", 1)

    with pytest.raises(BookingConflict):
        way(between.url(world.url), request)

    assert plan.dropped == 1


def test_terminated_backend_counts_as_a_lost_connection(world: World) -> None:
    request = request_of(world)
    # The first time the server itself ends the connection, with a farewell.
    world.run("create sequence farewell")
    world.run(
        "create function farewell() returns trigger language plpgsql as $$begin "
        "if nextval('public.farewell') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if; "
        "return new; end$$"
    )
    world.run("create trigger farewell after insert on sessions for each row execute function farewell()")
    try:
        booked = Bookings(world.url).book_session(**request)
    finally:
        world.run("drop function farewell() cascade")
        world.run("drop sequence farewell")

    assert world.run("select id from sessions") == [(booked.id,)]
    require_booked_once(world)


def test_a_database_that_cannot_be_reached_is_reported_at_once(world: World) -> None:
    begun = time.monotonic()

    with pytest.raises(BookingFailed):
        Bookings(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres").book_session(**request_of(world))

    assert time.monotonic() - begun < 1
