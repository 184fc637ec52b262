"""The worker: relays events, claims deliveries, sends them outside of any transaction, and says what became of them.

::

    worker = Worker("postgresql://...")

    @worker.on("session.booked")
    def congratulate(event: Event) -> None:
        ...

    worker.run()

One thread relays and claims; as many others as `concurrency` says send. Each has a connection of its own, which is
in no transaction and uses nothing that a transaction pooler lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from bookingdb import BookingError, Bookings, ClaimedDelivery
from bookingdb.database import DatabaseUnreachable, Target
from bookingdb.text import printable
from bookingdb.worker.connections import OwnConnection, listening, patient_target
from bookingdb.worker.crew import Crew
from bookingdb.worker.handlers import H, Handlers
from bookingdb.worker.http import HttpClient
from bookingdb.worker.senders import Environment, load_senders

POLL_SECONDS: Final = 1.0
"""How often a worker that has nothing to do looks for events."""

_BATCH: Final = 1000
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# A send is over in this part of its lease, so that nobody else has claimed it meanwhile.
_PART_FOR_SENDING: Final = 0.75


class Worker:
    """Delivers the events of a database.

    Args:
        database: its URL, or what `bookingdb.database.resolve` found.
        concurrency: how many deliveries are sent at the same time.
        destinations: the names of those to deliver to; left out, to all whose kind this worker knows.
        listen: also look when somebody says ``notify bookingdb_events``; not through a transaction pooler.
        lease: how long a delivery is this worker's; a handler must be done within it.
        name: the name of the destination that the handlers of :meth:`on` are.
        with_context: let the handlers' events have the session and its people as they are now.
        http: the client for webhooks.

    Example::

        Worker("postgresql://app@localhost/practice").run_once()
    """

    def __init__(
        self,
        database: Target | str,
        *,
        concurrency: int = 4,
        destinations: Sequence[str] | None = None,
        listen: bool = False,
        lease: timedelta = timedelta(minutes=1),
        name: str = "python",
        with_context: bool = False,
        http: HttpClient | None = None,
    ) -> None:
        """Remember what to do; nothing is connected or claimed yet.

        Raises:
            ValueError: the concurrency or the lease is no use.
        """
        if concurrency < 1 or lease < timedelta(seconds=1):
            raise ValueError("concurrency must be at least 1, and lease at least a second")
        self._target = patient_target(database)
        self._concurrency = concurrency
        self._destinations = None if destinations is None else list(destinations)
        self._listens = listen
        self._lease = lease
        self._name = name
        self._with_context = with_context
        self._handlers = Handlers()
        self._logger = logging.getLogger("bookingdb.worker")
        self._environment = Environment(
            bookings=Bookings(self._target.conninfo),
            http=http or HttpClient(),
            logger=self._logger,
            patience=lease.total_seconds() * _PART_FOR_SENDING,
        )
        self._stopping = threading.Event()
        # Something may be there to be claimed, or a thread to send it.
        self._wake = threading.Event()
        self._next_relay = 0.0
        self._turn = 0

    def on(self, *types: str) -> Callable[[H], H]:
        """Call the decorated function for each event of these types; ``"session.*"`` and ``"*"`` stand for many.

        The function may be asynchronous. An error that it raises, and a :class:`~bookingdb.worker.outcome.Outcome`
        that it returns, decide whether it is called again; without, the event is delivered.
        """

        def decorate(handler: H) -> H:
            self._handlers.add(types, handler)
            return handler

        return decorate

    def run(self, *, waits_for_database: bool = False) -> Counter[str]:
        """Deliver until :meth:`stop` is called, and return how many deliveries became what.

        Args:
            waits_for_database: whether a database that does not answer at the start is waited for, too.

        Raises:
            DatabaseUnreachable: there is none at the start; one that is lost later is waited for.
            BookingError: it refuses at the start, for example to a role that is no worker.
        """
        return self._deliver(once=False, was_there=waits_for_database)

    def run_once(self) -> Counter[str]:
        """Deliver everything that is due, and return how many deliveries became what: delivered, retry, dead and so on.

        Raises:
            DatabaseUnreachable: there is no database.
            BookingError: it refuses, for example to a role that is no worker.
        """
        return self._deliver(once=True, was_there=False)

    def send_one(self, delivery_id: UUID) -> bool:
        """Deliver a single one, if it is due and nobody else has it, and return whether it was there to be sent.

        Raises:
            DatabaseUnreachable: there is no database.
            BookingError: it refuses, for example to a role that is no worker.
        """
        crew, connection = self._crew(), OwnConnection(self._target)
        with contextlib.closing(connection), crew.running():
            kinds = list(crew.senders)
            claimed = connection.run(partial(_claim, limit=1, lease=self._lease, kinds=kinds, delivery_id=delivery_id))
            for delivery in claimed:
                crew.take(delivery)
        return bool(claimed)

    def stop(self) -> None:
        """Claim nothing more and end when everything under way is sent; for any thread, and for handlers of signals."""
        self._stopping.set()
        self._wake.set()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """Deliver beside an asynchronous application, in threads; asynchronous handlers run in the application's loop.

        Example: ``FastAPI(lifespan=worker.lifespan)``
        """
        self._handlers.use_loop(asyncio.get_running_loop())
        thread = threading.Thread(target=self._run_beside, name="bookingdb worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            # The loop goes on meanwhile, for handlers that are under way.
            await asyncio.to_thread(thread.join)

    def _run_beside(self) -> None:
        try:
            self.run(waits_for_database=True)
        except Exception:
            self._logger.exception("the worker ended")

    def _deliver(self, *, once: bool, was_there: bool) -> Counter[str]:
        """Relay, claim and hand out; once until there is nothing left, else until stopped."""
        self._next_relay = 0.0
        crew = self._crew()
        connection = OwnConnection(self._target)
        with contextlib.ExitStack() as stack:
            stack.callback(self._handlers.close)
            stack.callback(connection.close)
            stack.enter_context(crew.running())
            if self._listens and not once:
                stack.enter_context(listening(self._target, self._look_now))
            is_prepared, pause = False, _FIRST_PAUSE
            while not self._stopping.is_set():
                try:
                    if not is_prepared:
                        connection.run(self._make_destination)
                    is_prepared = True
                    goes_on = self._look(connection, crew, once=once)
                except Exception as error:
                    # A database that was never there is a mistake in the call.
                    if not was_there:
                        raise
                    # Anything else ends no worker, either: what it had claimed is due again when its lease is over.
                    is_unknown = not isinstance(error, BookingError | DatabaseUnreachable)
                    self._logger.warning("trying again in %g s: %s", pause, _in_words(error), exc_info=is_unknown)
                    self._stopping.wait(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                was_there, pause = not once, _FIRST_PAUSE
                if not goes_on:
                    break
        return crew.outcomes

    def _crew(self) -> Crew:
        senders = load_senders(self._logger)
        if self._handlers.types():
            senders["python"] = self._handlers
        return Crew(
            self._target, senders, self._environment, self._lease, self._concurrency, self._wake, self._stopping
        )

    def _look_now(self) -> None:
        self._next_relay = 0.0
        self._wake.set()

    def _look(self, connection: OwnConnection, crew: Crew, *, once: bool) -> bool:
        """Relay what there is, claim as much as can be sent at once, and wait; return whether there may be more."""
        self._wake.clear()
        was_idle = crew.free() == self._concurrency
        relayed = 0
        if once or time.monotonic() >= self._next_relay:
            self._next_relay = time.monotonic() + POLL_SECONDS
            relayed = connection.run(lambda bookings: bookings.relay_events(limit=_BATCH))
        claimed = self._claim(connection, crew)
        if once and was_idle and not relayed and not claimed:
            return False
        # A thread that is free again wakes this one; what was relayed but not claimed waits for that.
        if relayed == _BATCH:
            self._next_relay = 0.0
        elif not (once and relayed):
            self._wake.wait(POLL_SECONDS)
        return True

    def _claim(self, connection: OwnConnection, crew: Crew) -> int:
        """Claim deliveries for the threads that are free, and return how many."""
        count = 0
        for kinds, destinations in self._claimable(crew):
            free = crew.free()
            if not free or self._stopping.is_set():
                break
            claimed = connection.run(
                partial(_claim, limit=free, lease=self._lease, kinds=kinds, destinations=destinations)
            )
            for delivery in claimed:
                crew.take(delivery)
            count += len(claimed)
        return count

    def _claimable(self, crew: Crew) -> list[tuple[list[str], list[str] | None]]:
        """Return kinds with the destinations of them that may be claimed; now the ones come first, now the others."""
        kinds = [kind for kind in crew.senders if kind != "python"]
        found = [(kinds, self._destinations)] if kinds else []
        # A worker of another name has other handlers.
        if "python" in crew.senders and (self._destinations is None or self._name in self._destinations):
            found.append((["python"], [self._name]))
        self._turn += 1
        return found if self._turn % 2 else found[::-1]

    def _make_destination(self, bookings: Bookings) -> None:
        """Make the handlers a destination, or let it have the types that are handled now."""
        types = self._handlers.types()
        if not types:
            return
        known = next((found for found in bookings.list_destinations() if found.name == self._name), None)
        settings = {**(known.settings if known else {}), "with_context": self._with_context}
        if known is None or (sorted(known.events), known.settings) != (types, settings):
            bookings.set_destination(self._name, kind="python", events=types, settings=settings)


def _claim(bookings: Bookings, **terms: Any) -> list[ClaimedDelivery]:
    return bookings.claim_deliveries(**terms)


def _in_words(error: Exception) -> str:
    """Say in a line what the database answered; passwords are not in it."""
    detail = error.detail if isinstance(error, BookingError) else {}
    return " ".join([printable(error), *(f"{name}={printable(value)}" for name, value in detail.items())])
