"""Days as a grid: at which times of the day a therapist is free, taken or off, as the database says."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from bookingdb.cli.output import print_rendered, say
from bookingdb.records import SlotState

DAY: Final = timedelta(days=1)
YEAR: Final = timedelta(days=366)
MINUTE: Final = timedelta(minutes=1)
DAYS_OF_A_TABLE: Final = 7


class Cell(Enum):
    """The state of a therapist's time."""

    FREE = "free"
    TAKEN = "taken"
    OFF = "off"


# The signs can be told apart without colours, too.
SIGNS: Final[Mapping[Cell | None, tuple[str, str]]] = {
    Cell.FREE: ("+", "bold green"),
    Cell.TAKEN: ("x", "red"),
    Cell.OFF: (".", "dim"),
    None: (" ", ""),
}
LEGEND: Final = "+ free   x taken   . off"
LEGEND_OF_GRIDS_WITH_HOURS_TWICE: Final = "   * once more, after the clocks went back"


class Hour(NamedTuple):
    """A time of the day, the first or the second time that the clocks show it; in order of the day.

    In a night in which the clocks go back, the second times come before the time at which they went back.
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

    @property
    def is_off(self) -> bool:
        """Say whether nothing of the day is free or taken."""
        return set(self.cells.values()) <= {Cell.OFF}


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks show a local time; of one that they skip, that of the jump.

    Example: ``instant_of(datetime(2030, 3, 31, 2, 30), ZoneInfo("Europe/Berlin"))`` is ``2030-03-31 01:00:00+00:00``
    """
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    offset = (found - DAY).astimezone(zone).utcoffset()
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
    # Days that are off have another grid, whose times are not left out between those of the others.
    everything = sorted({hour for day in days if not day.is_off for hour in day.cells})
    shown: list[Hour | None] = []
    for hour in everything:
        if any(day.cells.get(hour, Cell.OFF) is not Cell.OFF for day in days):
            shown.append(hour)
        elif shown and shown[-1] is not None:
            shown.append(None)
    return shown[:-1] if shown and shown[-1] is None else shown


def print_grids(days: Sequence[Day]) -> None:
    """Print days as tables of a week each, and what their signs mean."""
    hours_twice = False
    for begin in range(0, len(days), DAYS_OF_A_TABLE):
        part = days[begin : begin + DAYS_OF_A_TABLE]
        shown = hours_shown(part)
        hours_twice |= any(hour is not None and not hour.is_first for hour in shown)
        say("")
        print_rendered(_table(part, shown))
        if not shown:
            say("Off on all of these days.")
    say("", LEGEND + (LEGEND_OF_GRIDS_WITH_HOURS_TWICE if hours_twice else ""))


def _table(days: Sequence[Day], shown: Sequence[Hour | None]) -> Any:
    from rich.box import SIMPLE  # noqa: PLC0415 (half of what starting the command would take)
    from rich.table import Table  # noqa: PLC0415 (half of what starting the command would take)
    from rich.text import Text  # noqa: PLC0415 (half of what starting the command would take)

    table = Table(box=SIMPLE, show_edge=False, pad_edge=False)
    # On which days the clocks change.
    changes = any(day.length != DAY for day in days)
    year = f"{days[0].date:%Y}" + (f"/{days[-1].date:%y}" if days[-1].date.year != days[0].date.year else "")
    table.add_column(year + ("\n\n" if changes else "\n"), no_wrap=True)
    for day in days:
        length = f"{day.length / timedelta(hours=1):g} h" if day.length != DAY else ""
        title = f"{day.date:%a}\n{day.date:%m-%d}" + (f"\n{length}" if changes else "")
        table.add_column(title, justify="center", no_wrap=True, min_width=5)
    for hour in shown:
        if hour is None:
            table.add_row("...")
        else:
            # The grid of another day may have other times.
            signs = [SIGNS[day.cells.get(hour, Cell.OFF if day.is_off else None)] for day in days]
            table.add_row(
                f"{hour.time:%H:%M}{'' if hour.is_first else '*'}", *(Text(sign, style) for sign, style in signs)
            )
    return table


def _hour(local: datetime) -> Hour:
    shown = local.replace(tzinfo=None, fold=0).time()
    minute = shown.hour * 60 + shown.minute
    if not local.fold:
        return Hour(minute, True, shown)
    # The clocks went back by `back`, at `changed`.
    back = local.replace(fold=0).astimezone(UTC) - local.astimezone(UTC)
    changed = local.astimezone(UTC)
    while (changed - MINUTE).astimezone(local.tzinfo).utcoffset() == local.utcoffset():
        changed -= MINUTE
    went_back = minute + (changed - local.astimezone(UTC) - back) // MINUTE
    return Hour(went_back, False, shown)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant_of(datetime.combine(day, time()), zone)
