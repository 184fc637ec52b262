"""The worker: what it delivers, in which order, and what it survives."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook

from bookingdb import Bookings, NotAllowed
from bookingdb.database import DatabaseUnreachable
from bookingdb.install.trust import trust
from bookingdb.worker import worker as module
from bookingdb.worker.worker import Worker
from tests.support import TOMORROW, World, connect, run
from tests.support import pooler as poolers
from tests.support.commands import process
from tests.support.receiver import Received, Receiver, Reply, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def add_webhook(world: World, receiver: Receiver, name: str = "app", *events: str, **settings: Any) -> None:
    Bookings(world.connection).set_destination(
        name,
        kind="webhook",
        events=list(events) or ["session.*"],
        settings={"url": f"{receiver.url}/{name}", "allow_private": True, **settings},
        secrets={"signing": [SECRET]},
    )


def verified(received: Received) -> Any:
    """What a request says, once its signature is checked."""
    return Webhook(SECRET).verify(received.body.decode(), dict(received.headers))


def types(receiver: Receiver) -> list[str]:
    return [verified(received)["type"] for received in receiver.received]


def deliveries(world: World) -> list[tuple[str, str, int]]:
    """Type, status and attempts of all, in their order."""
    return world.run("select type, status, attempts from bookingdb.deliveries order by event_id, part")


def make_due(world: World) -> None:
    world.run("update bookingdb.deliveries set due_at = clock_timestamp() where is_next and token is null")


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)


@contextlib.contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    """The worker in a thread, stopped at the end."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_booking_and_its_changes_arrive_in_their_order(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)
    session = world.book(client, therapist)["id"]
    bookings = Bookings(world.connection)
    bookings.reschedule_session(session, session_date=TOMORROW, session_time="12:00")
    bookings.cancel_session(session)

    assert Worker(world.url).run_once() == {"delivered": 3}
    assert types(receiver) == [type_ for type_, _, _ in deliveries(world)]
    assert {verified(received)["data"]["session_id"] for received in receiver.received} == {str(session)}
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 3
    assert [status for _, status, _ in deliveries(world)] == ["delivered"] * 3
    assert Worker(world.url).run_once() == {}
    assert world.violations() == []


def test_running_worker_delivers_what_is_booked(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)
    with running(Worker(world.url)):
        for at in ("10:00", "12:00"):
            world.book(client, therapist, at)
            # mypy infers no lambda with a default.
            wait_for(lambda at=at: len(receiver.received) == (1 if at == "10:00" else 2), 5)  # type: ignore[misc]

    assert types(receiver) == [type_ for type_, _, _ in deliveries(world)]


def test_failed_delivery_is_tried_again_with_its_id(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)
    session = world.book(client, therapist)["id"]
    other = world.book(client, therapist, "12:00")["id"]
    Bookings(world.connection).cancel_session(session)
    # Done, and said that it was not.
    receiver.reply = lambda received: Reply(500 if verified(received)["data"]["session_id"] == str(session) else 200)

    assert Worker(world.url).run_once() == {"delivered": 1, "retry": 1}
    # Its successor waits, and another session does not.
    assert {verified(received)["data"]["session_id"] for received in receiver.received} == {str(session), str(other)}
    receiver.reply = lambda _: Reply()
    make_due(world)
    assert Worker(world.url).run_once() == {"delivered": 2}
    mine = [received for received in receiver.received if verified(received)["data"]["session_id"] == str(session)]
    assert mine[0].headers["webhook-id"] == mine[1].headers["webhook-id"] != mine[2].headers["webhook-id"]


def test_receiver_that_is_gone_gets_nothing_more(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    add_webhook(world, receiver, "other")
    therapist, client = world.therapist(), world.client(credits=3)
    receiver.reply = lambda received: Reply(410 if received.path == "/app" else 200)
    world.book(client, therapist)

    assert Worker(world.url).run_once() == {"delivered": 1, "gone": 1}
    world.book(client, therapist, "12:00")
    assert Worker(world.url).run_once() == {"delivered": 1}
    app, other = Bookings(world.connection).list_destinations()
    assert (app.is_enabled, app.disabled_reason, other.is_enabled) == (False, "gone", True)


def test_worker_delivers_to_the_destinations_named(world: World, receiver: Receiver) -> None:
    for name in ("one", "two"):
        add_webhook(world, receiver, name)
    world.book(world.client(credits=1), world.therapist())

    assert Worker(world.url, destinations=["two"]).run_once() == {"delivered": 1}
    assert [received.path for received in receiver.received] == ["/two"]


def test_kind_of_another_worker_is_left_to_it(world: World) -> None:
    Bookings(world.connection).set_destination("pager", kind="pager", events=["session.*"])
    world.book(world.client(credits=1), world.therapist())

    assert Worker(world.url).run_once() == {}
    assert [row[1:] for row in deliveries(world)] == [("pending", 0)]


def test_several_workers_deliver_each_event_once(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=20)
    for number in range(20):
        world.book(client, therapist, f"{number + 2:02}:00", duration_minutes=30)
    counts: list[Counter[str]] = []
    threads = [threading.Thread(target=lambda: counts.append(Worker(world.url).run_once())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One of them may have ended while another one still relayed.
    counts.append(Worker(world.url).run_once())

    assert sum(counts, Counter()) == {"delivered": 20}
    assert Counter(received.headers["webhook-id"] for received in receiver.received).most_common(1)[0][1] == 1


def test_sending_is_outside_of_any_transaction(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    world.book(world.client(credits=1), world.therapist())
    seen: list[Any] = []

    def look(_: Received) -> Reply:
        with world.connect() as own:
            others = "datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"
            seen.append(run(own, f"select state from pg_stat_activity where {others}"))
            seen.append(run(own, "select token is not null from bookingdb.deliveries"))
        return Reply()

    receiver.reply = look
    Worker(world.url).run_once()

    assert seen == [[], [(True,)]]


def test_lost_connections_are_made_anew(world: World, receiver: Receiver) -> None:
    """All connections of the worker end while it sends, and again while it waits."""
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)

    def end_connections(_: object = None) -> Reply:
        own = world.connection.info.backend_pid
        world_superuser = psycopg.conninfo.make_conninfo(world.url, user=world.superuser)
        with connect(world_superuser) as superuser:
            others = "datname = current_database() and pid not in (pg_backend_pid(), %s)"
            run(superuser, f"select pg_terminate_backend(pid) from pg_stat_activity where {others}", own)
        return Reply()

    with running(Worker(world.url)):
        receiver.reply = end_connections
        world.book(client, therapist)
        wait_for(lambda: [status for _, status, _ in deliveries(world)] == ["delivered"])
        receiver.reply = lambda _: Reply()
        end_connections()
        world.book(client, therapist, "12:00")
        wait_for(lambda: [status for _, status, _ in deliveries(world)] == ["delivered"] * 2)

    assert len(receiver.received) == 2


def test_claim_of_a_dead_worker_ends_with_its_lease(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    world.book(world.client(credits=1), world.therapist())
    bookings = Bookings(world.connection)
    bookings.relay_events()
    (claimed,) = bookings.claim_deliveries(lease=dt.timedelta(seconds=1))

    assert Worker(world.url).run_once() == {}
    with running(Worker(world.url)):
        wait_for(lambda: receiver.received)
    assert receiver.received[0].headers["webhook-id"] == str(claimed.id)
    # Whoever comes back finds that it is somebody else's.
    assert not bookings.finish_delivery(claimed.id, claimed.token, "dead")


def test_stopped_worker_gives_back_what_it_has_not_begun(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)
    for at in ("10:00", "12:00"):
        world.book(client, therapist, at)
    bookings = Bookings(world.connection)
    bookings.relay_events()
    worker = Worker(world.url, concurrency=1)
    crew = worker._crew()

    def stop(_: Received) -> Reply:
        worker.stop()
        return Reply()

    receiver.reply = stop
    with crew.running():
        for delivery in bookings.claim_deliveries():
            crew.take(delivery)

    assert crew.outcomes == {"delivered": 1, "released": 1}
    rows = world.run("select status, attempts, token is null, due_at <= clock_timestamp() from bookingdb.deliveries")
    assert ("pending", 0, True, True) in rows
    assert len(receiver.received) == 1


@pytest.mark.slow
def test_sigterm_ends_the_command_when_all_is_sent(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=9)
    for number in range(4):
        world.book(client, therapist, f"{10 + number}:00")
    receiver.reply = lambda _: Reply(200, {}, b"....", pause=0.25)
    with process(world.url, "worker", "--concurrency", 2) as worker:
        wait_for(lambda: len(receiver.received) == 2, 20)
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=20)

    assert worker.returncode == 0, output
    assert output.count(" delivered delivery=") == 2
    statuses = [(status, attempts) for _, status, attempts in deliveries(world)]
    assert sorted(statuses) == [("delivered", 1)] * 2 + [("pending", 0)] * 2
    assert world.scalar("select count(*) from bookingdb.deliveries where token is not null") == 0


@pytest.mark.skipif(poolers.program() is None, reason=poolers.version())
@pytest.mark.slow
def test_worker_runs_through_a_transaction_pooler(
    world: World, receiver: Receiver, server_url: str, bin_dir: Any
) -> None:
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=9)
    with poolers.running(server_url, bin_dir) as pooler:
        for number in range(4):
            world.book(client, therapist, f"{10 + number}:00")
        with running(Worker(pooler.url(world.url))):
            wait_for(lambda: len(receiver.received) == 4)
            wait_for(lambda: {status for _, status, _ in deliveries(world)} == {"delivered"})


def test_worker_of_a_role_needs_the_workers_privilege(world: World, receiver: Receiver, server_url: str) -> None:
    add_webhook(world, receiver)
    world.book(world.client(credits=1), world.therapist())
    url = psycopg.conninfo.make_conninfo(world.url, user="stranger")
    trust(world.connection, "stranger")
    with pytest.raises(NotAllowed):
        Worker(url).run_once()

    trust(world.connection, "stranger", worker=True)
    assert Worker(url).run_once() == {"delivered": 1}


def test_database_that_was_never_there_is_an_error() -> None:
    with pytest.raises(DatabaseUnreachable):
        Worker("postgresql://nobody@127.0.0.1:1/nothing").run()


def test_line_of_a_delivery_holds_ids_alone(world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    add_webhook(world, receiver, with_context=True)
    session = world.book(world.client(credits=1), world.therapist(), title="A secret title")["id"]
    receiver.reply = lambda received: Reply(400, {}, b"no: A secret title of client1@example.com")
    with caplog.at_level(logging.INFO, "bookingdb.worker"):
        Worker(world.url).run_once()

    (line,) = [record.getMessage() for record in caplog.records if "delivery=" in record.getMessage()]
    words = (
        "retry delivery=",
        "destination=app",
        "type=session.",
        f"subject={session}",
        "attempt=1",
        "status=400",
    )
    assert [word for word in words if word not in line] == []
    assert not any(word in caplog.text for word in ("secret", SECRET[8:], "example.com", "\n\n"))
    (listed,) = Bookings(world.connection).list_deliveries()
    assert listed.detail == "no: A secret title of client1@example.com"


def test_listening_worker_looks_at_a_notification(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 60.0)
    add_webhook(world, receiver)
    therapist, client = world.therapist(), world.client(credits=3)
    with running(Worker(world.url, listen=True)):
        wait_for(lambda: world.scalar("select count(*) from pg_stat_activity where query = 'listen bookingdb_events'"))
        world.book(client, therapist)
        world.run("notify bookingdb_events")
        wait_for(lambda: receiver.received)


def test_state_of_a_sender_is_kept_for_its_next_delivery(world: World) -> None:
    """Kinds of others use the same calls."""
    bookings = Bookings(world.connection)
    bookings.set_destination("pager", kind="pager", events=["session.*"])
    world.book(world.client(credits=1), world.therapist())
    bookings.relay_events()
    (claimed,) = bookings.claim_deliveries(kinds=["pager"])
    bookings.finish_delivery(claimed.id, claimed.token, "retry", retry_after=dt.timedelta(0), state={"etag": "a"})

    (again,) = bookings.claim_deliveries(kinds=["pager"])
    assert again.state == {"etag": "a"}
