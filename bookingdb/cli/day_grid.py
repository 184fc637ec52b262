"""Days as a grid: at which times of the day a therapist is free, taken or off, as the database says."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from bookingdb.records import SlotState

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


def day_grid(dates: Sequence[date], zone: ZoneInfo, slots: Iterable[SlotState]) -> list[Day]:
    """Return each of consecutive dates of a zone with what its times are, as the database answered."""
    cells: dict[date, dict[Hour, Cell]] = {day: {} for day in dates}
    for slot in slots:
        cells[slot.local_date][_hour(slot.start_time.astimezone(zone))] = Cell(slot.state)
    return [Day(day, cells[day], _midnight(day + DAY, zone) - _midnight(day, zone)) for day in dates]


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
