"""Writes sessions and time off as an iCalendar file (RFC 5545).

The time zone is described from the clock changes that Python knows, because icalendar's own description has the changes
to summer time an hour late.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard

from bookingdb.records import CalendarChange, Session, TimeOff
from bookingdb.text import printable

STATUS: Final = {"pending_approval": "TENTATIVE", "cancelled": "CANCELLED"}
_SECOND: Final = timedelta(seconds=1)
_STEP: Final = timedelta(hours=6)


def write(
    sessions: Sequence[Session],
    time_off: Sequence[TimeOff],
    zone: ZoneInfo,
    changes: Sequence[CalendarChange] = (),
    *,
    begin: datetime,
    end: datetime,
    now: datetime,
) -> bytes:
    """Return the file: an event per session and time off, in the local time of a zone that is described in it.

    Args:
        sessions: those without start or end, which occupy no time, are left out.
        time_off: the therapist's.
        zone: the therapist's.
        changes: how often the sessions were changed, and those that left, which are written as cancelled.
        begin: the instant from which the clock changes of the zone are of interest, in UTC.
        end: the instant until which.
        now: when the file is made.
    """
    entries = [*_of_sessions(sessions, changes), *_of_time_off(time_off)]
    return bytes(calendar_of(entries, zone, now=now, span=(begin, end)).to_ical())


@dataclass(frozen=True)
class Entry:
    """The source of an event.

    Attributes:
        id: the session or the time off.
        start: when it starts, in UTC.
        end: when it ends, in UTC.
        properties: what else is known of it; what is empty is left out.
    """

    id: UUID
    start: datetime
    end: datetime
    properties: Mapping[str, Any]


def uid(id_: UUID) -> str:
    """Return the UID of an event: the same in every file and mail, by which a calendar knows what it has already.

    The part behind the @ is a word and no host, because a practice may change its domain and must keep its calendars.
    """
    return f"{id_}@bookingdb"


def calendar_of(entries: Iterable[Entry], zone: ZoneInfo, *, now: datetime, span: Sequence[datetime] = ()) -> Calendar:
    """Return a calendar: an event per entry, in the local time of a zone that is described in it.

    Args:
        entries: in any order.
        zone: whose local time is written.
        now: when the calendar is made.
        span: instants between which the zone is described, in UTC; beyond them where an entry is.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//bookingdb//bookingdb//EN")
    calendar.add("version", "2.0")
    entries = sorted(entries, key=lambda entry: (entry.start, entry.id))
    if zone.key not in ("UTC", "Etc/UTC"):
        first = min([*span, *(entry.start for entry in entries)])
        last = max([*span, *(entry.end for entry in entries)])
        calendar.add_component(time_zone(zone, first, last))
    for entry in entries:
        calendar.add_component(_event(entry, zone, now))
    return calendar


def _of_sessions(sessions: Iterable[Session], changes: Iterable[CalendarChange]) -> Iterator[Entry]:
    changed = {change.session_id: change for change in changes}
    for change in changed.values():
        if change.has_left and change.end_time is not None:
            # Words of a session are for whoever has it now.
            left = {"summary": "Session", "status": "CANCELLED", "transp": "TRANSPARENT", "sequence": change.sequence}
            yield Entry(change.session_id, change.start_time, change.end_time, left)
    for session in sessions:
        change_of_it = changed.get(session.id)
        if change_of_it is not None and change_of_it.has_left:
            continue
        if session.start_time is None or session.end_time is None or session.start_time >= session.end_time:
            continue
        properties = {
            "created": session.created_at,
            "summary": session.title or "Session",
            "description": session.description,
            "categories": [session.session_type] if session.session_type else None,
            # A calendar that had it before it was cancelled has to be told; the time is free.
            "status": STATUS.get(session.status, "CONFIRMED"),
            "transp": "TRANSPARENT" if session.status == "cancelled" else "OPAQUE",
            # Without it a calendar may take an older file for the newer one.
            "sequence": change_of_it.sequence if change_of_it is not None else None,
        }
        yield Entry(session.id, session.start_time, session.end_time, properties)


def _of_time_off(time_off: Iterable[TimeOff]) -> Iterator[Entry]:
    for absence in time_off:
        properties = {
            "summary": "Time off",
            "description": absence.reason,
            "status": "CONFIRMED",
            "transp": "OPAQUE",
        }
        yield Entry(absence.id, absence.start_time, absence.end_time, properties)


def _event(entry: Entry, zone: ZoneInfo, now: datetime) -> Event:
    event = Event()
    event.add("uid", uid(entry.id))
    event.add("dtstamp", now)
    event.add("dtstart", _local(entry.start, zone))
    event.add("dtend", _local(entry.end, zone))
    for name, value in entry.properties.items():
        if value:
            event.add(name, [*map(_text, value)] if isinstance(value, list) else _text(value))
    return event


def _text(value: Any) -> Any:
    """Return a text that stays in its line: the package escapes line breaks, and RFC 5545 knows no other control."""
    return printable(value.replace("\r\n", "\n"), keep="\n\t") if isinstance(value, str) else value


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return an instant in local time, or in UTC where local time would mean another: the first of two."""
    local = moment.astimezone(zone)
    return moment if local.fold or local.replace(second=0, microsecond=0) != local else local


def time_zone(zone: ZoneInfo, begin: datetime, end: datetime) -> Timezone:
    """Return the description of a zone from an instant to another: what holds at first, and every change."""
    described = Timezone()
    described.add("tzid", zone.key)
    moment = begin.replace(microsecond=0)
    at_first = moment.astimezone(zone)
    described.add_component(_observance(at_first, at_first))
    while moment < end:
        following = min(moment + _STEP, end)
        if _state(following, zone) != _state(moment, zone):
            change = _change(moment, following, zone)
            described.add_component(_observance((change - _SECOND).astimezone(zone), change.astimezone(zone)))
        moment = following
    return described


def _observance(before: datetime, after: datetime) -> TimezoneStandard | TimezoneDaylight:
    """Return what holds from `after` on, said in the local time of before the change, as the standard wants."""
    # In Ireland and Morocco it is the winter that has a difference, a negative one.
    is_summer = (after.dst() or timedelta()) > timedelta()
    observance = TimezoneDaylight() if is_summer else TimezoneStandard()
    offset_before, offset_after = before.utcoffset(), after.utcoffset()
    assert offset_before is not None
    assert offset_after is not None
    onset = (after.astimezone(UTC) + offset_before).replace(tzinfo=None, microsecond=0)
    observance.add("dtstart", onset)
    observance.add("tzoffsetfrom", offset_before)
    observance.add("tzoffsetto", offset_after)
    observance.add("tzname", after.tzname())
    return observance


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second at which not any more holds what held at `before`."""
    while (seconds := (after - before) // _SECOND) > 1:
        middle = before + seconds // 2 * _SECOND
        if _state(middle, zone) == _state(before, zone):
            before = middle
        else:
            after = middle
    return after


def _state(moment: datetime, zone: ZoneInfo) -> tuple[timedelta | None, timedelta | None, str | None]:
    local = moment.astimezone(zone)
    return local.utcoffset(), local.dst(), local.tzname()
