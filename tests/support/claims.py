"""Deliveries as a worker claims them, for senders that need no database."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from uuid import UUID, uuid4

from bookingdb import ClaimedDelivery

NOBODY = UUID(int=0)


def claimed(kind: str, type: str = "session.booked", **columns: Any) -> ClaimedDelivery:
    """A delivery of an event of a new subject, with these columns."""
    now = dt.datetime.now(dt.UTC)
    subject = columns.get("subject_id", uuid4())
    delivery = ClaimedDelivery(
        id=uuid4(),
        token=uuid4(),
        attempt=1,
        destination="app",
        kind=kind,
        settings={},
        secrets={},
        state={},
        type=type,
        subject_id=subject,
        recipient_id=NOBODY,
        body={"type": type, "version": 1, "timestamp": now.isoformat(), "data": {"id": str(subject)}},
        context=None,
        leased_until=now + dt.timedelta(minutes=1),
    )
    return dataclasses.replace(delivery, **columns)
