"""What the calls return: frozen dataclasses, with times in UTC whatever the connection's time zone is."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Self
from uuid import UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A row with named and typed columns."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Make the record from a row whose columns are the fields, in their order."""
        # A driver gives timestamps in the connection's zone; the same session must look the same on another.
        return cls(*(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that ``json.dumps`` takes, written as PostgREST writes them.

        Example:
            >>> from uuid import UUID
            >>> CreditGrant(UUID(int=1), 5, 7).to_dict()
            {'lot_id': '00000000-0000-0000-0000-000000000001', 'lot_balance': 5, 'credits_balance': 7}
        """
        return {field.name: _jsonable(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _jsonable(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class Session(Record):
    """A row of ``public.sessions``.

    Most fields can be None, because applications may write the table without bookingdb; in a session that
    bookingdb booked, a :class:`BookedSession`, none is.

    Attributes:
        id: the session's id.
        user_id: the client.
        therapist_id: the therapist.
        title: what the session is called.
        description: the notes given when it was booked.
        scheduled_date: its date in ``time_zone``.
        scheduled_time: its local time in ``time_zone``.
        start_time: the instant at which it starts, in UTC.
        end_time: the instant at which it ends, in UTC.
        duration_minutes: its length in minutes.
        session_type: e.g. ``"video"``.
        status: ``pending_approval``, ``scheduled``, ``confirmed``, ``in_progress``, ``completed``,
            ``cancelled`` or ``no_show``.
        created_at: when the row was made, in UTC.
        time_zone: the IANA zone of ``scheduled_date`` and ``scheduled_time``.
    """

    id: UUID
    user_id: UUID | None
    therapist_id: UUID | None
    title: str | None
    description: str | None
    scheduled_date: date | None
    scheduled_time: time | None
    start_time: datetime | None
    end_time: datetime | None
    duration_minutes: int | None
    session_type: str | None
    status: str
    created_at: datetime
    time_zone: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class BookedSession(Session):
    """The session that a booking made: a :class:`Session` without gaps, and what is left to spend.

    Attributes:
        credits_balance: the client's credits after the booking.
    """

    user_id: UUID
    therapist_id: UUID
    title: str
    description: str
    scheduled_date: date
    scheduled_time: time
    start_time: datetime
    end_time: datetime
    duration_minutes: int
    session_type: str
    time_zone: str
    credits_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class CreditGrant(Record):
    """What granting credits led to.

    Attributes:
        lot_id: the lot (one purchase) that the credits are in.
        lot_balance: credits left in this lot.
        credits_balance: the client's credits in all lots.
    """

    lot_id: UUID
    lot_balance: int
    credits_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class CreditEntry(Record):
    """One movement of a client's credits.

    Attributes:
        id: number of the entry; a later entry has a higher one.
        created_at: when it was written, in UTC.
        kind: ``grant``, ``debit``, ``refund`` or ``direct`` (the balance was written by other means).
        amount: credits added to the lot (positive) or taken from it (negative).
        balance_after: credits in the lot after it.
        lot_id: the lot.
        session_id: the session it paid for or gave back, if any.
        actor: who did it.
    """

    id: int
    created_at: datetime
    kind: str
    amount: int
    balance_after: int
    lot_id: UUID
    session_id: UUID | None
    actor: str
