"""Python functions as a destination: called in the worker's process, with the guarantees of a webhook."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import UUID

from bookingdb.worker.outcome import Outcome

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery
    from bookingdb.worker.senders import Environment


@dataclass(frozen=True)
class Event:
    """An event, as a handler gets it.

    Attributes:
        id: the same in every attempt: a handler that has seen it before need not act again.
        type: such as ``"session.booked"``.
        subject_id: the session, hold, lot or person that it is about; events of one come in their order.
        timestamp: when it happened, in UTC.
        data: what happened, as the JSON Schema of the type says.
        attempt: which attempt this is, 1 is the first.
        context: the session and its people as they are now, if the worker asks for them.
    """

    id: UUID
    type: str
    subject_id: UUID
    timestamp: datetime
    data: Mapping[str, Any]
    attempt: int
    context: Mapping[str, Any] | None = None


Handler: TypeAlias = Callable[[Event], Outcome | Awaitable[Outcome | None] | None]
H = TypeVar("H", bound=Handler)


class Handlers:
    """The handlers of a worker by what they handle; also the sender that calls them."""

    def __init__(self) -> None:
        """Nothing is handled yet."""
        self._handlers: list[tuple[tuple[str, ...], Handler]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_own_loop = False
        self._lock = threading.Lock()

    def add(self, types: tuple[str, ...], handler: Handler) -> None:
        """Let a handler be called for these types; ``session.*`` and ``*`` stand for many."""
        self._handlers.append((types, handler))

    def types(self) -> list[str]:
        """Return everything that is handled, as a destination lists it."""
        return sorted({type_ for types, _ in self._handlers for type_ in types})

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let asynchronous handlers run in this loop, for example the application's."""
        self._loop = loop

    def close(self) -> None:
        """End the loop, unless it is the application's."""
        if self._loop is not None and self._is_own_loop:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop, self._is_own_loop = None, False

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Call the handlers of the event one after the other; the first one that asks for anything else ends that."""
        event = Event(
            id=delivery.id,
            type=delivery.type,
            subject_id=delivery.subject_id,
            timestamp=datetime.fromisoformat(delivery.body["timestamp"]),
            data=delivery.body["data"],
            attempt=delivery.attempt,
            context=delivery.context,
        )
        for handler in self._of(event.type):
            answer = handler(event)
            if inspect.isawaitable(answer):
                answer = self._awaited(answer, environment.patience)
            if isinstance(answer, Outcome) and answer.kind != "delivered":
                return answer
        return Outcome("delivered")

    def _of(self, type_: str) -> Iterator[Handler]:
        return (handler for types, handler in self._handlers if any(fnmatchcase(type_, pattern) for pattern in types))

    def _awaited(self, answer: Awaitable[Outcome | None], seconds: float) -> Outcome | None:
        async def until_done() -> Outcome | None:
            return await answer

        future = asyncio.run_coroutine_threadsafe(until_done(), self._running_loop())
        try:
            return future.result(seconds)
        except WaitedTooLong:
            # It may have been the handler's own, which is done then.
            future.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the application's loop, or one in a thread of its own."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._is_own_loop = True
                threading.Thread(target=self._loop.run_forever, name="bookingdb handlers", daemon=True).start()
            return self._loop
