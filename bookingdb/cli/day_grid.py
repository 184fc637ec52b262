"""Days as a grid: at which times of the day a therapist is free, taken or not there.

What is free, and when the therapist is there, the database says. A time at which the therapist is there and which is
not free is taken.
"""

import bisect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from bookingdb.records import AvailableSlot, OpeningPeriod, Policy

DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)
_MINUTES_OF_A_DAY: Final = 24 * 60


class Cell(Enum):
    """What a therapist's time is."""

    FREE = "free"
    TAKEN = "taken"
    OFF = "off"


class Hour(NamedTuple):
    """A time of the day, the first or the second time that the clocks show it; in order of the day.

    Of a night in which the clocks go back, the second times come before the time at which they went back.
    """

    before: int
    is_first: bool
    time: time


@dataclass(frozen=True)
class Day:
    """A column: a date, its cells by time of the day, and how long the clocks make it."""

    date: date
    cells: Mapping[Hour, Cell]
    length: timedelta


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks show a local time; of one that they skip, that of the jump.

    Example: ``instant(datetime(2030, 3, 31, 2, 30), ZoneInfo("Europe/Berlin"))`` is ``2030-03-31 01:00:00+00:00``
    """
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    offset = (found - MINUTE * _MINUTES_OF_A_DAY).astimezone(zone).utcoffset()
    while (found - MINUTE).astimezone(zone).utcoffset() != offset:
        found -= MINUTE
    return found


def timetable(
    days: Sequence[date],
    zone: ZoneInfo,
    *,
    policy: Policy,
    slots: Iterable[AvailableSlot],
    hours: Sequence[OpeningPeriod],
    duration: timedelta,
    step_minutes: int,
    now: datetime,
) -> list[Day]:
    """Return each of consecutive days of a zone with what its times are: those at which a slot could start.

    Off is where no session of this length could be even if nobody had booked: outside of the hours, in the past, too
    soon or too far ahead. The grid of slots is counted on the therapist's clock, in the zone of the policy.
    """
    free = {slot.start_time for slot in slots}
    begin, end = (
        instant(datetime.combine(days[0], time()), zone),
        instant(datetime.combine(days[-1] + DAY, time()), zone),
    )
    soonest, latest = now + policy.minimum_notice, now + policy.maximum_advance
    cells: dict[date, dict[Hour, Cell]] = {day: {} for day in days}
    for start in sorted(free | set(_grid(begin, end, ZoneInfo(policy.time_zone), policy, step_minutes))):
        local = start.astimezone(zone)
        if start in free:
            cell = Cell.FREE
        elif soonest <= start <= latest and _covers(hours, start, start + duration):
            cell = Cell.TAKEN
        else:
            cell = Cell.OFF
        cells[local.date()][_hour(local)] = cell
    return [Day(day, cells[day], _midnight(day + DAY, zone) - _midnight(day, zone)) for day in days]


def _covers(hours: Sequence[OpeningPeriod], start: datetime, end: datetime) -> bool:
    """Tell whether a session lies within one of these periods, which are in order and apart."""
    index = bisect.bisect_right(hours, start, key=lambda period: period.start_time) - 1
    return index >= 0 and end <= hours[index].end_time


def hours_shown(days: Collection[Day]) -> list[Hour | None]:
    """Return the times of the day at which anything is free or taken, in order, and None where others are left out."""
    everything = sorted({hour for day in days for hour in day.cells})
    shown: list[Hour | None] = []
    for hour in everything:
        if any(day.cells.get(hour, Cell.OFF) is not Cell.OFF for day in days):
            shown.append(hour)
        elif shown and shown[-1] is not None:
            shown.append(None)
    return shown[:-1] if shown and shown[-1] is None else shown


def _grid(begin: datetime, end: datetime, zone: ZoneInfo, policy: Policy, step_minutes: int) -> Iterator[datetime]:
    """Return the instants from `begin` to `end` at which, on the clock of a zone, slots can start."""
    minutes = range(policy.slot_offset_minutes % step_minutes, _MINUTES_OF_A_DAY, step_minutes)
    for day in _dates(begin.astimezone(zone).date(), end.astimezone(zone).date()):
        for minute in minutes:
            local = datetime.combine(day, time(minute // 60, minute % 60), zone)
            for shown in {local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)}:
                # A time that the clocks skip is none that they show.
                is_shown = shown.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(tzinfo=None)
                if is_shown and begin <= shown < end:
                    yield shown


def _hour(local: datetime) -> Hour:
    shown = local.replace(tzinfo=None, fold=0).time()
    minute = shown.hour * 60 + shown.minute
    if not local.fold:
        return Hour(minute, True, shown)
    # How long before it the clocks went back, and from which time.
    back = local.replace(fold=0).astimezone(UTC) - local.astimezone(UTC)
    changed = local.astimezone(UTC)
    while (changed - MINUTE).astimezone(local.tzinfo).utcoffset() == local.utcoffset():
        changed -= MINUTE
    went_back = minute + (changed - local.astimezone(UTC) - back) // MINUTE
    return Hour(went_back, False, shown)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day, time()), zone)


def _dates(first: date, last: date) -> Iterator[date]:
    return (first + number * DAY for number in range((last - first).days + 1))
