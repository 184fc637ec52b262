"""Four workers killed at random, and a receiver that fails, hangs and lies: what arrives, and in which order."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from standardwebhooks import Webhook, WebhookVerificationError

from bookingdb import BookingError, Bookings
from tests.support import TOMORROW, World, run
from tests.support.receiver import Received, Receiver, Reply, receiving
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.server import Server

NAME = "workers killed"
WORKERS = 4
FAILS, HANGS, LIES = 0.30, 0.05, 0.02
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Seconds: a send is given up after the one, a claim is over after the other.
TIMEOUT, LEASE = 0.5, 2
PATIENCE = 90.0
Work: TypeAlias = Callable[[World, threading.Event], None]
WORKER = (
    "import datetime, sys; from bookingdb.worker.worker import Worker;"
    f" Worker(sys.argv[1], lease=datetime.timedelta(seconds={LEASE})).run(waits_for_database=True)"
)


@dataclass
class Arrivals:
    """What the receiver has taken in, and how it answered."""

    # The ids of each subject in the order in which they were taken in first.
    taken: dict[str, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[str] = field(default_factory=Counter)
    unverified: list[str] = field(default_factory=list)
    lied: set[UUID] = field(default_factory=set)
    choose: random.Random = field(default_factory=lambda: random.Random(3))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, received: Received) -> Reply:
        """Verify a request, and answer it as luck has it."""
        with self.lock:
            event = received.headers["webhook-id"]
            try:
                body = Webhook(SECRET).verify(received.body.decode(), dict(received.headers))
            except WebhookVerificationError as error:
                self.unverified.append(f"{event}: {error}")
                return Reply(400)
            luck = self.choose.random()
            if luck < FAILS:
                self.answers["failed"] += 1
                return Reply(500)
            self._take_in(str(body["data"]["session_id"]), UUID(event))
            if luck < FAILS + HANGS:
                self.answers["timed out"] += 1
                return Reply(200, {}, b"." * 20, pause=TIMEOUT / 5)
            if luck < FAILS + HANGS + LIES and UUID(event) not in self.lied:
                self.lied.add(UUID(event))
                self.answers["lies"] += 1
                return Reply(500)
            return Reply()

    def _take_in(self, subject: str, event: UUID) -> None:
        if event in self.taken[subject]:
            self.answers["repeated"] += 1
        else:
            self.taken[subject].append(event)


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Book, move and cancel while workers are killed; then wait until everything is delivered, and compare."""
    figures = Figures(NAME)
    goal = Goal(NAME, seconds, rounds, at_least=3)
    choose = random.Random(4)
    arrivals = Arrivals()
    with server.world() as world, receiving() as receiver:
        receiver.reply = arrivals.take
        _add_webhook(world, receiver)
        with _workers(world) as workers, _in_a_thread(world, _change_sessions), _in_a_thread(world, _make_due):
            while goal.goes_on(figures.rounds):
                time.sleep(0.2 + choose.random() * 0.8)
                number = choose.randrange(WORKERS)
                workers[number].kill()
                workers[number].wait()
                workers[number] = _start(world)
                figures.rounds += 1
        with _workers(world), _in_a_thread(world, _make_due):
            longest = _wait_until_delivered(world)
        _compare(world, arrivals, figures)
        figures.wrong += [f"invariant: {row}" for row in world.violations()]
    figures.other.update(arrivals.answers)
    figures.times.append(f"all delivered {longest:.1f} s after the last kill")
    return figures


def _add_webhook(world: World, receiver: Receiver) -> None:
    settings = {"url": receiver.url, "allow_private": True, "timeout_seconds": TIMEOUT}
    Bookings(world.connection).set_destination(
        "app", kind="webhook", events=["session.*"], settings=settings, secrets={"signing": [SECRET]}
    )


def _start(world: World) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, world.url], stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def _workers(world: World) -> Iterator[list[subprocess.Popen[bytes]]]:
    workers = [_start(world) for _ in range(WORKERS)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


@contextlib.contextmanager
def _in_a_thread(world: World, work: Work) -> Iterator[None]:
    is_over = threading.Event()

    def do() -> None:
        with world.connect() as connection:
            work(World(world.url, connection), is_over)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _change_sessions(world: World, is_over: threading.Event) -> None:
    """Book, move, move and cancel sessions, some at a time, so that each has events in an order."""
    therapist, client = world.therapist(), world.client(credits=10_000)
    bookings = Bookings(world.connection)
    day = TOMORROW
    while not is_over.wait(0.02):
        day += dt.timedelta(days=1)
        if day > TOMORROW + dt.timedelta(days=300):
            therapist, day = world.therapist(), TOMORROW
        with contextlib.suppress(BookingError):
            session = world.book(client, therapist, session_date=day)["id"]
            for at in ("12:00", "14:00"):
                is_over.wait(0.02)
                bookings.reschedule_session(session, session_date=day, session_time=at)
            bookings.cancel_session(session)


def _make_due(world: World, is_over: threading.Event) -> None:
    """Let the next attempt be soon; otherwise it would be hours away."""
    while not is_over.wait(0.2):
        run(
            world.connection,
            "update bookingdb.deliveries set due_at = clock_timestamp(), attempts = least(attempts, 5)"
            " where is_next and token is null and due_at > clock_timestamp()",
        )


def _wait_until_delivered(world: World) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        unhandled = world.scalar("select count(*) from bookingdb.outbox where handled_at is null")
        if not unhandled and not world.scalar("select count(*) from bookingdb.deliveries where status = 'pending'"):
            break
        time.sleep(0.1)
    return time.monotonic() - begun


def _compare(world: World, arrivals: Arrivals, figures: Figures) -> None:
    """Hold what was taken in against the events."""
    expected: dict[str, list[UUID]] = defaultdict(list)
    for subject, delivery in world.run("select subject_id, id from bookingdb.deliveries order by event_id, part"):
        expected[str(subject)].append(delivery)
        figures.operations += 1
    for subject, events in expected.items():
        arrived = arrivals.taken.get(subject, [])
        figures.lost += [f"{event} of {subject}" for event in events if event not in arrived]
        if [event for event in events if event in arrived] != arrived:
            figures.wrong.append(f"{subject}: {arrived} instead of {events}")
    figures.wrong += [f"does not verify: {text}" for text in arrivals.unverified]
    sessions = world.scalar("select count(*) from bookingdb.outbox where event like 'session.%'")
    if figures.operations < sessions:
        figures.lost.append(f"{sessions - figures.operations} events have no delivery")
