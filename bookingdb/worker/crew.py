"""The threads that send: each takes a claimed delivery, sends it, and says what became of it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from bookingdb import BookingError, Bookings, ClaimedDelivery
from bookingdb.database import DatabaseUnreachable, Target
from bookingdb.worker.connections import OwnConnection, may_come_back
from bookingdb.worker.http import HttpFailure
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, MissingSetting, Sender

_PAUSE: Final = 0.25
_LONGEST_RETRY_AFTER: Final = timedelta(days=7)
# The end of a worker waits for this; a delivery that is not given back is claimed again after its lease.
_PATIENCE_TO_RELEASE: Final = 5.0


class _Job(NamedTuple):
    """A delivery, and until when it is ours, on the clock of this machine."""

    delivery: ClaimedDelivery
    ends: float


class Crew:
    """The threads of a worker.

    Args:
        target: the database.
        senders: by the kind of destination.
        environment: what the senders are lent.
        lease: how long a delivery is ours.
        concurrency: how many threads.
        wake: set when a thread is free.
        stopping: when it is set, deliveries that are not begun are given back.
    """

    def __init__(
        self,
        target: Target,
        senders: Mapping[str, Sender],
        environment: Environment,
        lease: timedelta,
        concurrency: int,
        wake: threading.Event,
        stopping: threading.Event,
    ) -> None:
        """Start nothing yet."""
        self.senders = senders
        self.outcomes: Counter[str] = Counter()
        self._target = target
        self._environment = environment
        self._logger = environment.logger
        self._lease = lease.total_seconds()
        self._concurrency = concurrency
        self._wake = wake
        self._stopping = stopping
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy = 0
        # A handler that never ends takes one thread, and not another each time that its lease is over.
        self._under_way: set[UUID] = set()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Send in threads while the block runs; at its end, wait for what is under way, for a lease at most."""
        threads = [
            threading.Thread(target=self._work, name=f"bookingdb sender {number}", daemon=True)
            for number in range(self._concurrency)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for _ in threads:
                self._jobs.put(None)
            ends = time.monotonic() + self._lease + _PATIENCE_TO_RELEASE
            for thread in threads:
                thread.join(max(0.0, ends - time.monotonic()))

    def free(self) -> int:
        """Return how many deliveries would be begun at once."""
        with self._lock:
            return self._concurrency - self._busy

    def take(self, delivery: ClaimedDelivery) -> None:
        """Let a thread send it, unless one of them is still at it."""
        with self._lock:
            if delivery.id in self._under_way:
                self._logger.warning("delivery=%s is still under way after its lease", delivery.id)
                return
            self._under_way.add(delivery.id)
            self._busy += 1
        self._jobs.put(_Job(delivery, time.monotonic() + self._lease))

    def _work(self) -> None:
        connection = OwnConnection(self._target)
        while (job := self._jobs.get()) is not None:
            try:
                self._deliver(job, connection)
            except Exception:
                # The lease ends, and somebody else sends it.
                self._logger.exception("delivery=%s was left as it is", job.delivery.id)
            finally:
                with self._lock:
                    self._under_way.discard(job.delivery.id)
                    self._busy -= 1
                self._wake.set()
        connection.close()

    def _deliver(self, job: _Job, connection: OwnConnection) -> None:
        begun = time.monotonic()
        is_begun = not self._stopping.is_set()
        outcome = self.send(job.delivery) if is_begun else Outcome("released")
        seconds = time.monotonic() - begun
        until = job.ends if is_begun else min(job.ends, begun + _PATIENCE_TO_RELEASE)
        was_ours = self._finish(job.delivery, outcome, connection, until)
        with self._lock:
            self.outcomes[outcome.kind] += 1
        self._log(job.delivery, outcome, seconds, was_ours)

    def send(self, delivery: ClaimedDelivery) -> Outcome:
        """Send a delivery, and return what became of it, whatever the sender raises."""
        try:
            outcome = self.senders[delivery.kind].send(delivery, self._environment)
        except (MissingSetting, HttpFailure) as error:
            outcome = Outcome("retry", detail=str(error))
        except BaseException as error:
            # Its text may hold anything; whoever looks for the mistake lets the log have it.
            self._logger.debug("delivery=%s", delivery.id, exc_info=True)
            outcome = Outcome("retry", detail=_class_name(error))
        if outcome.kind == "retry" and delivery.type == "bookingdb.test":
            # A test is for somebody who looks at the answer, and tests again.
            return replace(outcome, kind="dead", retry_after=None)
        return outcome

    def _finish(self, delivery: ClaimedDelivery, outcome: Outcome, connection: OwnConnection, until: float) -> bool:
        """Say what became of it, as long as it is ours; return whether it was."""
        while True:
            try:
                return connection.run(partial(_finish, delivery=delivery, outcome=outcome))
            except (BookingError, DatabaseUnreachable) as error:
                if time.monotonic() > until:
                    raise
                if not may_come_back(error):
                    # The database takes no such outcome, for example because of its state.
                    outcome = Outcome("retry", detail=f"{outcome.kind} was refused: {_class_name(error)}")
                time.sleep(_PAUSE)

    def _log(self, delivery: ClaimedDelivery, outcome: Outcome, seconds: float, was_ours: bool) -> None:
        """Write one line. A receiver's answer may hold anything, and is in the list of deliveries only."""
        answer = f" status={outcome.status_code}" if outcome.status_code is not None else ""
        reason = f" detail={outcome.detail!r}" if outcome.detail and outcome.status_code is None else ""
        self._logger.info(
            "%s delivery=%s destination=%s type=%s subject=%s attempt=%d%s seconds=%.3f%s%s",
            outcome.kind,
            delivery.id,
            delivery.destination,
            delivery.type,
            delivery.subject_id,
            delivery.attempt,
            answer,
            seconds,
            reason,
            "" if was_ours else " (the claim was over)",
        )


def _finish(bookings: Bookings, delivery: ClaimedDelivery, outcome: Outcome) -> bool:
    pause = outcome.retry_after
    return bookings.finish_delivery(
        delivery.id,
        delivery.token,
        outcome.kind,
        status_code=outcome.status_code,
        detail=outcome.detail,
        retry_after=None if pause is None else min(max(pause, timedelta(0)), _LONGEST_RETRY_AFTER),
        state=outcome.state,
    )


def _class_name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
