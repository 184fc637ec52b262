"""What a call writes about a session: its row, the audit log, events and ledger entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.support import World
from tests.support.life import LATER, at, request_session

STATUSES = ("pending_approval", "scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show")


def session_row(world: World, session: UUID) -> dict[str, Any]:
    (row,) = rows_of(world, "select to_jsonb(s) from sessions as s where id = %s", session)
    assert isinstance(row, dict)
    return row


def rows_of(world: World, statement: str, *parameters: Any) -> list[Any]:
    return [row[0] if len(row) == 1 else row for row in world.run(statement, *parameters)]


@dataclass
class Written:
    """What a block wrote about a session; filled when it has ended."""

    columns: set[str] = field(default_factory=set)
    audit: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)


@contextmanager
def writing(world: World, session: UUID) -> Iterator[Written]:
    written = Written()
    before = session_row(world, session)
    logs = ("booking_audit_log", "bookingdb.outbox", "bookingdb.ledger")
    marks = [world.scalar(f"select coalesce(max(id), 0) from {log}") for log in logs]
    yield written
    after = session_row(world, session)
    written.columns = {name for name in after if after[name] != before[name]} - {"updated_at", "revision"}
    written.audit = world.run(
        "select action, old_status, new_status, changes, actor, created_at > now() - interval '1 minute'"
        " from booking_audit_log where id > %s and session_id = %s order by id",
        *(marks[0], session),
    )
    written.events = world.run("select event, payload from bookingdb.outbox where id > %s order by id", marks[1])
    written.entries = world.run(
        "select kind, amount, balance_after, reason from bookingdb.ledger where id > %s order by id", marks[2]
    )


def asked_for(world: World, client: UUID | None, therapist: UUID, hour: int = 10) -> UUID:
    """Write a session of a later day that waits for approval, as an application does."""
    return request_session(world.connection, client, therapist, at(hour, LATER))
