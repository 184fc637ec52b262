"""Reads the events of an iCalendar file (RFC 5545) as appointments, one for each occurrence.

The package recurring_ical_events is imported only here, and this module only where a file is read.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
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
_DAY: Final = timedelta(days=1)
# PT24H is a day's length and P1D the same time of the next day; the package icalendar reads one number from both.
_DURATION: Final = re.compile(
    r'^DURATION(?:;(?:"[^"\r\n]*"|[^":\r\n])*)?:([^\r\n]*)(\r?\n)', re.MULTILINE | re.IGNORECASE
)
# A line that begins with a space goes on with the one before.
_FOLD: Final = re.compile(r"(?:(?<!\n)\r\n|(?<![\r\n])\n)(?:\r?\n)*[ \t]")
_WRITTEN_DURATION: Final = "X-BOOKINGDB-DURATION"
_NOMINAL: Final = re.compile(r"\+?P(?:([0-9]+)W)?(?:([0-9]+)D)?", re.IGNORECASE)
# Each occurrence has a copy of what its component has, and so how long it is.
_LENGTH: Final = "X-BOOKINGDB-LENGTH"


class NoCalendarError(Exception):
    """The file is no iCalendar file, or breaks off."""


@dataclass(frozen=True)
class Read:
    """An appointment, in the form that `sync_external_busy` takes, and which VEVENT of the file it is from.

    Attributes:
        event: the appointment; without a time, so that the database rejects it, where it cannot be read.
        number: which VEVENT of the file it is, from 1 on.
        summary: what it is called, to find it by.
        reason: why it cannot be read.
    """

    event: dict[str, Any]
    number: int
    summary: str | None
    reason: str | None = None


def calendars(content: bytes) -> list[Calendar]:
    """Return the calendars of a file.

    Raises:
        NoCalendarError: there is none in it, or one that breaks off.
    """
    text = content.decode("utf-8-sig", errors="replace").replace("\0", "")
    # A download that broke off lacks events, and they would be removed.
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR") or not text.rstrip().upper().endswith("END:VCALENDAR"):
        raise NoCalendarError("It begins with BEGIN:VCALENDAR and ends with END:VCALENDAR.")
    text = _DURATION.sub(rf"\g<0>{_WRITTEN_DURATION}:\1\2", _FOLD.sub("", text))
    try:
        found: list[Any] = list(Calendar.from_ical(text, multiple=True))
    except (ValueError, IndexError, KeyError) as error:
        raise NoCalendarError(str(error)) from error
    if not all(isinstance(calendar, Calendar) for calendar in found):
        raise NoCalendarError("It has something else beside calendars.")
    return found


def events(found: list[Calendar], begin: datetime, end: datetime) -> list[Read]:
    """Return the events that reach into a time.

    One that cannot be read is among them without its time: the database rejects it, and keeps what it had.

    Args:
        found: the calendars of a file.
        begin: in the zone of the therapist, which is that of times without a zone.
        end: the same.
    """
    read: list[Read] = []
    number = 0
    for calendar in found:
        series: dict[str, list[tuple[int, Component]]] = defaultdict(list)
        for component in calendar.walk("VEVENT"):
            number += 1
            series[_uid(component) or f"event {number}"].append((number, component))
        for components in series.values():
            read += _Series(calendar, components).read(begin, end)
    return read


class _UnreadableError(Exception):
    """An event has something that cannot be read: the reason, and the times where it has any."""

    def __init__(self, reason: str, **times: date) -> None:
        super().__init__(reason)
        self.reason = reason
        self.times = times


@dataclass(frozen=True)
class _Length:
    """The length of an event: days by the calendar, then exact time (RFC 5545, 3.3.6)."""

    days: int
    exact: timedelta
    # Dates of RDATE can have ends of their own.
    ends: dict[datetime, datetime]

    def end_of(self, start: datetime, zone: tzinfo | None) -> datetime:
        return self.ends.get(_instant(start, zone)) or _instant(start + self.days * _DAY, zone) + self.exact


class _Series:
    """The events of a file with one UID: an event, or a series with its exceptions."""

    def __init__(self, calendar: Calendar, components: list[tuple[int, Component]]) -> None:
        self.calendar = calendar
        self.components = components
        self.uid = _short(_uid(components[0][1]))
        self.is_series = any(
            name in component for _, component in components for name in ("RRULE", "RDATE", "RECURRENCE-ID")
        )

    def read(self, begin: datetime, end: datetime) -> Iterator[Read]:
        """Return the occurrences, and after them what cannot be read: of one id the first counts."""
        good: list[tuple[int, Component]] = []
        rejected: list[Read] = []
        for number, component in self.components:
            try:
                component[_LENGTH] = _length(component, begin.tzinfo)
            except _UnreadableError as error:
                rejected.append(self._rejected(number, component, error))
            else:
                good.append((number, component))
        try:
            yield from self._occurrences(good, begin, end)
        except Exception:
            whole = _UnreadableError("invalid_recurrence" if self.is_series else "invalid_start_time")
            yield self._rejected(*good[0], whole, is_whole=True)
        yield from rejected

    def _occurrences(self, components: list[tuple[int, Component]], begin: datetime, end: datetime) -> list[Read]:
        # A calendar of its own: a series that cannot be read keeps no other from being read. Without X-WR-TIMEZONE,
        # which no standard knows: with it the package moves times in UTC by the zone's clock changes.
        alone = Calendar()
        for number, component in components:
            component["X-BOOKINGDB-NUMBER"] = number
            alone.add_component(component)
        # A day more: the package adds lengths to what the clocks show.
        found = recurring_ical_events.of(alone).between(begin - _DAY, end + _DAY)
        read = [self._read(occurrence, begin.tzinfo) for occurrence in found]
        return [one for one in read if _reaches(one.event["start_time"], one.event["end_time"], begin, end)]

    def _read(self, occurrence: Component, zone: tzinfo | None) -> Read:
        start, end = occurrence["DTSTART"].dt, occurrence["DTEND"].dt
        name = self.uid
        if self.is_series:
            which = occurrence["RECURRENCE-ID"]
            # A change of this occurrence and all that follow has one RECURRENCE-ID for all of them.
            name = f"{self.uid}/{_written(start if 'RANGE' in which.params else which.dt)}"
        length: _Length | None = occurrence[_LENGTH]
        if isinstance(start, datetime) and length is not None:
            start, end = _instant(start, zone), length.end_of(start, zone)
        if name is None:
            # Not without a name: it would be rejected.
            name = f"{_written(start)}/{_written(end)}"
        is_cancelled = str(self.calendar.get("METHOD", "")).upper() == "CANCEL"
        event = {
            "external_id": name,
            "uid": self.uid,
            "start_time": start,
            "end_time": end,
            "status": "cancelled" if is_cancelled else _text(occurrence, "STATUS"),
            "transparency": _text(occurrence, "TRANSP"),
            "free": (_text(occurrence, "X-MICROSOFT-CDO-BUSYSTATUS") or "").upper() == _FREE,
        }
        return Read(event, occurrence["X-BOOKINGDB-NUMBER"], _text(occurrence, "SUMMARY"))

    def _rejected(self, number: int, component: Component, error: _UnreadableError, *, is_whole: bool = False) -> Read:
        event: dict[str, Any] = {"external_id": self.uid, "uid": self.uid, **error.times}
        if "RECURRENCE-ID" in component and not is_whole:
            # Without the UID, so that only this occurrence stays as it was, not those that left the series.
            event["uid"] = None
            try:
                event["external_id"] = f"{self.uid}/{_written(component['RECURRENCE-ID'].dt)}"
            except Exception:
                event["external_id"] = self.uid
        return Read(event, number, _text(component, "SUMMARY"), error.reason)


def _length(component: Component, zone: tzinfo | None) -> _Length | None:
    """Return how long an event is, None for days; refuse what the packages would read as something else.

    Raises:
        _UnreadableError: there is something that cannot be read.
    """
    start = _time_of(component, "DTSTART", "invalid_start_time")
    end = _time_of(component, "DTEND", "invalid_end_time") if "DTEND" in component else None
    if "RECURRENCE-ID" in component:
        _time_of(component, "RECURRENCE-ID", "invalid_recurrence")
    ends = _require_rules(component, start, zone)
    duration = _duration(component)
    # The packages would give the day to the zone of the time.
    if end is not None and isinstance(end, datetime) != isinstance(start, datetime):
        raise _UnreadableError("invalid_end_time")
    if end is not None and _is_before(end, start, zone):
        raise _UnreadableError("end_before_start", start_time=start, end_time=end)
    if not isinstance(start, datetime):
        return None
    if isinstance(end, datetime):
        exact = _instant(end, zone) - _instant(start, zone)
        # An end behind the gap, a start in it: the start would be moved beyond the end.
        return _Length(
            0, exact if exact >= timedelta() else end.replace(tzinfo=None) - start.replace(tzinfo=None), ends
        )
    days, exact = duration or (0, timedelta())
    return _Length(days, exact, ends)


def _duration(component: Component) -> tuple[int, timedelta] | None:
    if "DURATION" not in component:
        return None
    try:
        duration: timedelta = component["DURATION"].dt
        nominal = _NOMINAL.match(_text(component, _WRITTEN_DURATION) or "")
        weeks, days = nominal.groups(default="0") if nominal else ("0", "0")
        days_in_all = 7 * int(weeks) + int(days)
        exact = duration - days_in_all * _DAY
    except Exception:
        raise _UnreadableError("invalid_end_time") from None
    if duration < timedelta():
        raise _UnreadableError("end_before_start")
    return days_in_all, exact


def _require_rules(component: Component, start: date, zone: tzinfo | None) -> dict[datetime, datetime]:
    """Refuse rules that cannot be read or followed; return the ends that dates of RDATE have of their own.

    Raises:
        _UnreadableError: there is such a rule.
    """
    ends: dict[datetime, datetime] = {}
    try:
        for rule in _each(component, "RRULE"):
            frequency = {str(name).upper() for name in rule["FREQ"]}
            too_many = len(rule.get("BYSECOND", [])) > 1 or len(rule.get("BYMINUTE", [])) > _MOST_MINUTES
            if too_many or {"SECONDLY", "MINUTELY"} & frequency:
                raise _UnreadableError("too_many_occurrences")
            # Less than none stands for no end in some calendars.
            if 0 in rule.get("COUNT", []) or any(interval < 1 for interval in rule.get("INTERVAL", [])):
                raise _UnreadableError("invalid_recurrence")
            if "UNTIL" in rule:
                (until,) = rule["UNTIL"]
                rule["UNTIL"] = [_until(until, start, zone)]
        for name in ("RDATE", "EXDATE"):
            for dates in _each(component, name):
                for one in dates.dts:
                    first, last = one.dt if isinstance(one.dt, tuple) else (one.dt, None)
                    _require_zone(dates, first)
                    if last is not None:
                        begun = _instant(first, zone)
                        ends[begun] = begun + last if isinstance(last, timedelta) else _instant(last, zone)
    except _UnreadableError:
        raise
    except Exception:
        raise _UnreadableError("invalid_recurrence") from None
    return ends


def _until(until: date, start: date, zone: tzinfo | None) -> date:
    """Return until when a series goes, in the form that its start has, as RFC 5545 wants it.

    Another form may have two readings: the later blocks more, and counts. (The package takes the first second of a
    day.)
    """
    if not isinstance(start, datetime):
        return max(until.date(), until.astimezone(zone).date()) if isinstance(until, datetime) else until
    last = until if isinstance(until, datetime) else datetime.combine(until, time(23, 59, 59))
    if start.tzinfo is None:
        # Without a zone it is the therapist's, and so is the start.
        local = last.replace(tzinfo=None)
        return local if last.tzinfo is None else max(local, last.astimezone(zone).replace(tzinfo=None))
    if last.tzinfo is not None:
        return last.astimezone(UTC)
    return max(last.replace(tzinfo=one).astimezone(UTC) for one in (UTC, start.tzinfo, zone))


def _each(component: Component, name: str) -> list[Any]:
    value = component.get(name, [])
    return value if isinstance(value, list) else [value]


def _time_of(component: Component, name: str, reason: str) -> date:
    try:
        found = component[name].dt
        if not isinstance(found, date):
            raise _UnreadableError(reason)
        _require_zone(component[name], found)
    except _UnreadableError:
        raise
    except Exception:
        raise _UnreadableError(reason) from None
    return found


def _require_zone(value: Any, found: date) -> None:
    """Refuse a time whose zone is not known: the package icalendar leaves such a time without one."""
    if isinstance(found, datetime) and found.tzinfo is None and "TZID" in value.params:
        raise _UnreadableError("unknown_time_zone")


def _is_before(end: date, start: date, zone: tzinfo | None) -> bool:
    if isinstance(end, datetime) and isinstance(start, datetime):
        # A start that the clocks skip comes later than what they show.
        is_earlier = end.replace(tzinfo=None) < start.replace(tzinfo=None)
        return _instant(end, zone) < _instant(start, zone) and (is_earlier or end.tzinfo != start.tzinfo)
    return date(end.year, end.month, end.day) < date(start.year, start.month, start.day)


def _instant(local: datetime, zone: tzinfo | None) -> datetime:
    """Return the first instant of a local time, one of `zone` if it has none.

    Skipped by the clocks, it has the offset from before (RFC 5545).
    """
    zoned = local if local.tzinfo is not None else local.replace(tzinfo=zone)
    instant = zoned.astimezone(UTC)
    if instant.astimezone(zoned.tzinfo).replace(tzinfo=None) == zoned.replace(tzinfo=None):
        return instant
    offset = (zoned - _DAY).utcoffset() or timedelta()
    return (zoned.replace(tzinfo=None) - offset).replace(tzinfo=UTC)


def _reaches(start: date, end: date, begin: datetime, to: datetime) -> bool:
    """Say whether a time has something of that from `begin` to `to`."""
    begun, ended = (
        _instant(one if isinstance(one, datetime) else datetime.combine(one, time()), begin.tzinfo)
        for one in (start, end)
    )
    return begun < to and (ended > begin or begun >= begin)


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


def _written(moment: date) -> str:
    """Return a time as part of a name, the same in whatever zone the file says it."""
    if not isinstance(moment, datetime):
        return f"{moment:%Y%m%d}"
    return f"{moment:%Y%m%dT%H%M%S}" if moment.tzinfo is None else f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
