"""Python handlers: functions of the application as a destination, with the guarantees of a webhook."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections import Counter
from typing import Any

import pytest

from bookingdb import BookingFailed, Bookings, Busy
from bookingdb.worker.connections import may_come_back
from bookingdb.worker.handlers import Event
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.worker import Worker
from tests.support import World


def book(world: World, *times: str) -> list[Any]:
    therapist, client = world.therapist(), world.client(credits=len(times))
    return [world.book(client, therapist, at)["id"] for at in times]


def make_due(world: World) -> None:
    world.run("update bookingdb.deliveries set due_at = clock_timestamp() where is_next and token is null")


def test_handler_is_called_for_its_events(world: World) -> None:
    worker = Worker(world.url)
    seen: list[Event] = []
    worker.on("session.*")(seen.append)
    # The destination is made at the start; what was before is none of its.
    assert worker.run_once() == {}
    (session,) = book(world, "10:00")

    assert worker.run_once() == {"delivered": 1}
    (event,) = seen
    assert (event.type[:8], event.subject_id, event.attempt) == ("session.", session, 1)
    assert event.data["session_id"] == str(session)
    assert event.context is None
    assert abs(event.timestamp - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    (listed,) = Bookings(world.connection).list_deliveries()
    assert (listed.id, listed.kind, listed.destination, listed.status) == (event.id, "python", "python", "delivered")


def test_destination_of_handlers_follows_what_they_handle(world: World) -> None:
    first = Worker(world.url, name="app")
    first.on("session.booked", "credits.granted")(lambda _: None)
    first.run_once()
    second = Worker(world.url, name="app", with_context=True)
    second.on("session.*")(lambda _: None)
    second.run_once()
    before = world.scalar("select updated_at from bookingdb.destinations")
    second.run_once()

    (destination,) = Bookings(world.connection).list_destinations()
    assert (destination.name, destination.kind, destination.events) == ("app", "python", ("session.*",))
    assert destination.settings == {"with_context": True}
    assert world.scalar("select updated_at from bookingdb.destinations") == before, "nothing is written without need"


def test_handler_is_told_of_the_session_as_it_is(world: World) -> None:
    worker = Worker(world.url, with_context=True)
    seen: list[Event] = []
    worker.on("session.*")(seen.append)
    worker.run_once()
    (session,) = book(world, "10:00")
    worker.run_once()

    assert seen[0].context is not None
    assert seen[0].context["session"]["id"] == str(session)


def test_handler_that_raises_is_called_again(world: World) -> None:
    worker = Worker(world.url)
    seen: list[Event] = []

    @worker.on("session.*")
    def fail_once(event: Event) -> None:
        seen.append(event)
        if event.attempt == 1:
            raise LookupError("Ada Lovelace has no row")

    worker.run_once()
    book(world, "10:00")
    assert worker.run_once() == {"retry": 1}
    (listed,) = Bookings(world.connection).list_deliveries()
    # The class, and nothing of what may be personal data.
    assert (listed.status, listed.detail) == ("pending", "LookupError")
    make_due(world)
    assert worker.run_once() == {"delivered": 1}
    assert seen[0].id == seen[1].id
    assert [event.attempt for event in seen] == [1, 2]


def test_handlers_say_what_becomes_of_an_event(world: World) -> None:
    worker = Worker(world.url)
    called: Counter[str] = Counter()
    answers = [None, Outcome("delivered"), Outcome("dropped"), Outcome("dead", detail="never"),
               Outcome("retry", retry_after=dt.timedelta(hours=3))]  # fmt: skip

    @worker.on("session.*")
    def first(event: Event) -> Outcome | None:
        called["first"] += 1
        return answers[called["first"] - 1]

    @worker.on("*")
    def second(event: Event) -> None:
        called["second"] += 1

    @worker.on("hold.*")
    def other(event: Event) -> None:
        called["other"] += 1

    worker.run_once()
    therapist, client = world.therapist(), world.client()
    world.run("select * from grant_credits(%s, 5)", client)
    for number in range(len(answers)):
        world.book(client, therapist, f"{10 + number}:00")
    outcomes = worker.run_once()

    assert {kind: outcomes[kind] for kind in ("dropped", "dead", "retry")} == {"dropped": 1, "dead": 1, "retry": 1}
    assert (called["first"], called["other"]) == (5, 0)
    # It is called where the first one did not end it, and for what it alone handles.
    assert called["second"] == outcomes["delivered"]
    pause = world.scalar("select max(due_at) - clock_timestamp() from bookingdb.deliveries where status = 'pending'")
    assert dt.timedelta(hours=2, minutes=59) < pause <= dt.timedelta(hours=3)


def test_asynchronous_handler_is_awaited(world: World) -> None:
    worker = Worker(world.url)
    threads: set[str] = set()

    @worker.on("session.*")
    async def later(event: Event) -> None:
        await asyncio.sleep(0.01)
        threads.add(threading.current_thread().name)

    worker.run_once()
    book(world, "10:00", "12:00")

    assert worker.run_once() == {"delivered": 2}
    assert threads == {"bookingdb handlers"}


def test_asynchronous_handler_that_hangs_is_given_up(world: World) -> None:
    worker = Worker(world.url, lease=dt.timedelta(seconds=1))
    cancelled = threading.Event()

    @worker.on("session.*")
    async def hang(event: Event) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    worker.run_once()
    book(world, "10:00")
    begun = time.monotonic()

    assert worker.run_once() == {"retry": 1}
    assert time.monotonic() - begun < 5
    assert cancelled.wait(5)
    (listed,) = Bookings(world.connection).list_deliveries()
    assert listed.detail == "TimeoutError"


def test_handlers_of_another_name_are_left_to_their_worker(world: World) -> None:
    ours, theirs = Worker(world.url, name="ours"), Worker(world.url, name="theirs")
    seen: list[str] = []
    ours.on("session.*")(lambda _: seen.append("ours"))
    theirs.on("session.*")(lambda _: seen.append("theirs"))
    for worker in (ours, theirs):
        worker.run_once()
    book(world, "10:00")

    assert ours.run_once() == {"delivered": 1}
    # Without handlers, it is nobody's.
    assert Worker(world.url).run_once() == {}
    assert seen == ["ours"]
    assert theirs.run_once() == {"delivered": 1}


async def test_lifespan_delivers_beside_an_application(world: World) -> None:
    """Asynchronous handlers run in the application's loop, and the end waits for what is under way."""
    worker = Worker(world.url)
    loops: list[object] = []
    begun = asyncio.Event()

    @worker.on("session.*")
    async def remember(event: Event) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        loops.append(asyncio.get_running_loop())

    Worker(world.url).run_once()
    async with worker.lifespan("an application"):
        ends = time.monotonic() + 10
        while not world.count("bookingdb.destinations") and time.monotonic() < ends:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(book, world, "10:00")
        await asyncio.wait_for(begun.wait(), 10)

    assert loops == [asyncio.get_running_loop()]
    assert world.scalar("select status from bookingdb.deliveries") == "delivered"


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"lease": dt.timedelta(0)}])
def test_worker_that_could_do_nothing_is_no_worker(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        Worker("postgresql://nobody@127.0.0.1:1/nothing", **options)


def test_handler_that_never_ends_takes_one_thread(world: World) -> None:
    # The lease of a second is over while the handler hangs, and the same delivery could be claimed again.
    worker = Worker(world.url, concurrency=2, lease=dt.timedelta(seconds=1))
    let_go, told = threading.Event(), Counter[str]()

    def handle(event: Event) -> None:
        told[event.type] += 1
        if event.type == "hold.placed":
            let_go.wait(20)

    worker.on("hold.placed", "session.booked")(handle)
    worker.run_once()
    therapist, client = world.therapist(), world.client(credits=1)
    world.run("select hold_slot(%s, %s, current_date + 9, '10:00')", client, therapist)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        ends = time.monotonic() + 15
        while not told["hold.placed"]:
            assert time.monotonic() < ends
            time.sleep(0.05)
        time.sleep(1.5)  # the lease ends
        world.book(client, therapist)
        while not told["session.booked"]:
            assert time.monotonic() < ends, "the handler that hangs has every thread"
            time.sleep(0.05)
        assert told["hold.placed"] == 1
    finally:
        let_go.set()
        worker.stop()
        running.join()


@pytest.mark.parametrize(
    ("state", "comes_back"),
    [("40P01", True), ("55P03", True), ("57014", True), ("08006", True), ("22P02", False), ("XX000", False)],
)
def test_outcome_is_said_again_after_a_lock(state: str, comes_back: bool) -> None:
    """Otherwise what was delivered would be sent again."""
    assert may_come_back(BookingFailed({"sqlstate": state})) is comes_back
    assert may_come_back(Busy())
