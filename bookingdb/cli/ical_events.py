"""Reads the events of an iCalendar file (RFC 5545) as appointments, one for each occurrence.

Only here is the package recurring_ical_events imported, and this module only where a file is read.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import recurring_ical_events
from icalendar import Calendar

# Properties of a stranger's event can be anything.
Component = Any

_FREE: Final = "FREE"
_LONGEST_ID: Final = 255
# An occurrence adds a slash and its time to the UID.
_LONGEST_UID: Final = _LONGEST_ID - len("/20300107T090000Z")
# Rules that name more times than these in an hour are no appointments, and would be counted out for hours.
_MOST_MINUTES: Final = 12


class NoCalendarError(Exception):
    """The file is no iCalendar file, or breaks off."""


def calendars(content: bytes) -> list[Calendar]:
    """Return the calendars of a file.

    Raises:
        NoCalendarError: there is none in it, or one that breaks off.
    """
    text = content.decode("utf-8-sig", errors="replace").replace("\0", "")
    # A download that broke off lacks events, and they would be removed.
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR") or not text.rstrip().upper().endswith("END:VCALENDAR"):
        raise NoCalendarError("It begins with BEGIN:VCALENDAR and ends with END:VCALENDAR.")
    try:
        found: list[Any] = list(Calendar.from_ical(text, multiple=True))
    except (ValueError, IndexError, KeyError) as error:
        raise NoCalendarError(str(error)) from error
    if not all(isinstance(calendar, Calendar) for calendar in found):
        raise NoCalendarError("It has something else beside calendars.")
    return found


def events(found: list[Calendar], begin: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the events that reach into a time, in the form that `sync_external_busy` takes.

    One that cannot be read is among them without what is missing: the database rejects it, and keeps what it had.

    Args:
        found: the calendars of a file.
        begin: in the zone of the therapist, which is that of times without a zone.
        end: the same.
    """
    read: list[dict[str, Any]] = []
    for calendar in found:
        series: dict[str, list[Component]] = defaultdict(list)
        for number, component in enumerate(calendar.walk("VEVENT")):
            series[_uid(component) or f"event {number}"].append(component)
        for components in series.values():
            read += _occurrences(calendar, components, begin, end)
    return read


def _occurrences(
    calendar: Calendar, components: list[Component], begin: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    uid = _short(_uid(components[0]))
    is_series = any(name in component for component in components for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
    try:
        for component in components:
            _require_readable(component)
        # A calendar of its own: a series that cannot be read keeps no other from being read.
        alone = Calendar()
        for name in ("X-WR-TIMEZONE", "METHOD"):
            if name in calendar:
                alone[name] = calendar[name]
        for component in components:
            alone.add_component(component)
        found = recurring_ical_events.of(alone).between(begin, end)
        for occurrence in found:
            yield _event(occurrence, uid, calendar, is_series=is_series)
    except Exception as error:
        times = error.args[0] if isinstance(error, _ReversedError) else {}
        yield {"external_id": uid, "uid": uid, **times}


class _UnreadableError(Exception):
    """An event has something that cannot be read."""


class _ReversedError(Exception):
    """An event ends before it begins; the argument has its times."""


def _require_readable(component: Component) -> None:
    """Refuse what the package would read as something else."""
    start = component["DTSTART"].dt
    end = component["DTEND"].dt if "DTEND" in component else None
    if end is not None and _is_before(end, start):
        raise _ReversedError({"start_time": start, "end_time": end})
    if "DURATION" in component and component["DURATION"].dt < timedelta():
        raise _UnreadableError
    if "RECURRENCE-ID" in component:
        _ = component["RECURRENCE-ID"].dt
    rules = component.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        frequency = [str(name).upper() for name in rule["FREQ"]]
        if {"SECONDLY", "MINUTELY"} & {*frequency}:
            raise _UnreadableError
        if len(rule.get("BYSECOND", [])) > 1 or len(rule.get("BYMINUTE", [])) > _MOST_MINUTES:
            raise _UnreadableError


def _is_before(end: date, start: date) -> bool:
    if isinstance(end, datetime) and isinstance(start, datetime):
        if (end.tzinfo is None) == (start.tzinfo is None):
            return end < start
        return end.replace(tzinfo=None) < start.replace(tzinfo=None)
    return date(end.year, end.month, end.day) < date(start.year, start.month, start.day)


def _event(occurrence: Component, uid: str | None, calendar: Calendar, *, is_series: bool) -> dict[str, Any]:
    start, end = occurrence["DTSTART"].dt, occurrence["DTEND"].dt
    name = uid
    if is_series:
        which = occurrence["RECURRENCE-ID"]
        # A change of this occurrence and all that follow has one RECURRENCE-ID for all of them.
        name = f"{uid}/{_written(start if 'RANGE' in which.params else which.dt)}"
    elif uid is None:
        # Not without a name: it would be rejected.
        name = f"{_written(start)}/{_written(end)}"
    is_cancelled = str(calendar.get("METHOD", "")).upper() == "CANCEL"
    return {
        "external_id": name,
        "uid": uid,
        "start_time": start,
        "end_time": end,
        "status": "cancelled" if is_cancelled else _text(occurrence, "STATUS"),
        "transparency": _text(occurrence, "TRANSP"),
        "free": (_text(occurrence, "X-MICROSOFT-CDO-BUSYSTATUS") or "").upper() == _FREE,
    }


def _uid(component: Component) -> str | None:
    return _text(component, "UID")


def _short(uid: str | None) -> str | None:
    """Return a UID, or one that stands for it where it is too long."""
    if uid is None or len(uid) <= _LONGEST_UID:
        return uid
    return hashlib.sha256(uid.encode(errors="replace")).hexdigest()


def _text(component: Component, name: str) -> str | None:
    value = component.get(name)
    value = value[0] if isinstance(value, list) and value else value
    return str(value).strip() or None if value is not None else None


def _written(time: date) -> str:
    """Return a time as part of a name, the same in whatever zone the file says it."""
    if not isinstance(time, datetime):
        return f"{time:%Y%m%d}"
    return f"{time:%Y%m%dT%H%M%S}" if time.tzinfo is None else f"{time.astimezone(UTC):%Y%m%dT%H%M%SZ}"
