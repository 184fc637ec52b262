"""A FastAPI application that delivers its own events: the worker runs beside it, and a handler is one of its functions.

Run it with ``DATABASE_URL=... uvicorn examples.fastapi_worker:app``.
"""

import asyncio
import os
from collections import deque
from uuid import UUID

from fastapi import FastAPI

from bookingdb import AsyncBookings
from bookingdb.worker.handlers import Event
from bookingdb.worker.worker import Worker

DATABASE_URL = os.environ["DATABASE_URL"]

worker = Worker(DATABASE_URL, concurrency=2, with_context=True)
app = FastAPI(lifespan=worker.lifespan)
bookings = AsyncBookings(DATABASE_URL)
# What your application would do: a message to a chat, a row for its reports, a call of another service.
told: deque[str] = deque(maxlen=100)
_done: set[UUID] = set()


@worker.on("session.*")
async def tell_the_team(event: Event) -> None:
    """Tell the team of each session, once: an event comes again where the answer to it was lost.

    An error raised here is a failed attempt, and the event comes again later. No booking waits for any of this.
    """
    # An application with several processes keeps the ids in a table.
    if event.id in _done:
        return
    await asyncio.sleep(0)
    told.append(f"{event.type} {event.data['session_id']}")
    _done.add(event.id)


@app.post("/sessions/{session_id}/cancel")
async def cancel(session_id: UUID) -> dict[str, object]:
    """Cancel a session: the answer does not wait for the team to be told."""
    cancelled = await bookings.cancel_session(session_id)
    return {"status": cancelled.status, "refunded": cancelled.refunded}


@app.get("/told")
async def what_was_told() -> list[str]:
    """Return what the team was told."""
    return list(told)
