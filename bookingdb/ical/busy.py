"""Takes the appointments of an iCalendar file as busy times of a therapist."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from icalendar import Calendar

from bookingdb.calls.parameters import zone
from bookingdb.client import Bookings
from bookingdb.ical import reading
from bookingdb.policy import Policy
from bookingdb.records import SyncedBusy

_MOST_EVENTS: Final = 5000
_DAY: Final = timedelta(days=1)


class TooManyEventsError(Exception):
    """More events are in the time than one call takes."""


@dataclass(frozen=True)
class TakenOver:
    """The outcome of a file.

    Attributes:
        synced: what the database says of it.
        rejected: the events that could not be read: event (which VEVENT of the file, from 1 on), summary, external_id,
            reason.
    """

    synced: SyncedBusy
    rejected: list[dict[str, Any]]


def start_of_today(policy: Policy) -> datetime:
    """Return the instant at which the therapist's day began."""
    local = zone(policy.time_zone)
    return datetime.combine(datetime.now(local).date(), time(), local).astimezone(UTC)


def end_of_window(policy: Policy, begin: datetime) -> datetime:
    """Return the instant until which appointments matter: as far ahead as can be booked, and a day."""
    return begin + policy.maximum_advance + _DAY


def take_over(
    bookings: Bookings,
    therapist: UUID | str,
    source: str,
    calendars: Sequence[Calendar],
    policy: Policy,
    begin: datetime,
    end: datetime,
) -> TakenOver:
    """Bring a therapist's busy times up to date with the calendars of a file.

    Args:
        bookings: the database.
        therapist: their id.
        source: what the other calendar is called.
        calendars: all that the other calendar has from `begin` to `end`; what came from there before and is not in it
            any more, goes.
        policy: the therapist's.
        begin: an instant with a time zone.
        end: the instant before which.

    Raises:
        TooManyEventsError: nothing was written.
    """
    local = zone(policy.time_zone)
    read = reading.events(list(calendars), begin.astimezone(local), end.astimezone(local))
    if len(read) > _MOST_EVENTS:
        raise TooManyEventsError(f"{len(read)} events are in this time, more than {_MOST_EVENTS}.")
    synced = bookings.sync_external_busy(therapist, source, [one.event for one in read], from_=begin, to=end)
    # The number is that of the file's VEVENT, for somebody who looks for it there, not that of an occurrence.
    rejected: list[dict[str, Any]] = [
        {
            "event": read[one.event - 1].number,
            "summary": read[one.event - 1].summary,
            "external_id": one.external_id,
            "reason": read[one.event - 1].reason or one.reason,
        }
        for one in synced.rejected
    ]
    return TakenOver(synced, rejected)
