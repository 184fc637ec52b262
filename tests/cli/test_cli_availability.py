"""The commands about availability: the grid and its strange days, hours as one writes them, calendars for others."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import icalendar
import pytest

from bookingdb import Bookings, Session, TimeOff, WeeklyWindow
from bookingdb.cli import day_grid, week_text
from bookingdb.cli.day_grid import LEGEND, SIGNS, Cell
from bookingdb.ical import writing
from tests.support import TOMORROW, World
from tests.support.commands import answer, bookingdb

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY, MINUTE = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(minutes=1)
NEXT_YEAR = dt.date.today().year + 1
# The longest that a policy may say: next October may be more than a year ahead.
FAR = 3650 * DAY


def last_sunday(month: int) -> dt.date:
    """The day on which the clocks of Berlin change next year, in March and in October."""
    last = dt.date(NEXT_YEAR, month, 31)
    return last - last.isoweekday() % 7 * DAY


SPRING, AUTUMN = last_sunday(3), last_sunday(10)


@pytest.fixture
def world(clean_world: World) -> World:
    """They write rows and change nothing else."""
    return clean_world


class Grid:
    """What `bookingdb slots` printed, read back."""

    def __init__(self, printed: str) -> None:
        self.lines = printed.splitlines()
        self.title, self.legend = self.lines[0], self.lines[-1]
        self.rows: list[tuple[str, dict[str, str]]] = []
        self.notes: dict[str, str] = {}
        columns: dict[str, int] = {}
        for line in self.lines:
            dates = {found[0]: found.start() for found in re.finditer(r"\b\d\d-\d\d\b", line)}
            cells = {date: line[begin : begin + 5].strip() for date, begin in columns.items()}
            label = line[:7].strip()
            if dates:
                columns = dates
            elif re.fullmatch(r"\d\d:\d\d\*?|\.\.\.", label):
                self.rows.append((label, cells))
            elif columns and not label:
                self.notes |= {date: note for date, note in cells.items() if note.endswith("h")}

    def column(self, day: dt.date) -> dict[str, str]:
        """The signs of a day by the label of their row."""
        date = f"{day:%m-%d}"
        return {label: cells[date] for label, cells in self.rows if date in cells and label != "..."}


def grid(url: str, *arguments: object) -> Grid:
    result = bookingdb(url, "slots", *arguments)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    return Grid(result.stdout)


def times(begin: str, end: str, step: int = 60) -> list[str]:
    first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (begin, end))
    return [f"{minute // 60:02}:{minute % 60:02}" for minute in range(first, last, step)]


# --- slots ---


def test_two_weeks_are_two_tables_of_free_taken_and_off(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_weekly_hours(therapist, week_text.read_week(["mon-sun 09:00-12:00 14:00-17:00"]))
    bookings.set_date_override(therapist, TOMORROW + DAY, [])
    bookings.set_date_override(therapist, TOMORROW + 2 * DAY, [("20:00", "22:00")])
    bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00")

    found = grid(world.url, therapist, "--from", TOMORROW, "--step", 60)
    assert found.title == "60 minutes, Europe/Berlin"
    assert found.legend == "+ free   x taken   . off"
    assert [f"{TOMORROW + number * DAY:%m-%d}" for number in range(14)] == [
        date for line in found.lines for date in re.findall(r"\b\d\d-\d\d\b", line)
    ]
    assert {f"{TOMORROW:%a}"} <= set(found.lines[2].split())
    # The hours that nobody works on any of the days are left out.
    assert [label for label, _ in found.rows] == [
        *("09:00", "10:00", "11:00", "...", "14:00", "15:00", "16:00", "...", "20:00", "21:00"),
        *("09:00", "10:00", "11:00", "...", "14:00", "15:00", "16:00"),
    ]
    assert found.column(TOMORROW) == {
        **{"09:00": "+", "10:00": "x", "11:00": "+", "14:00": "+", "15:00": "+", "16:00": "+"},
        **{"20:00": ".", "21:00": "."},
    }
    assert set(found.column(TOMORROW + DAY).values()) == {"."}
    assert {label for label, sign in found.column(TOMORROW + 2 * DAY).items() if sign == "+"} == {"20:00", "21:00"}
    assert set(found.column(TOMORROW + 10 * DAY).values()) == {"+"}
    assert found.notes == {}

    listed = answer(world.url, "slots", therapist, "--from", TOMORROW, "--days", 1, "--step", 60, "--duration", 90)
    assert [slot["local_time"] for slot in listed] == ["14:00:00", "15:00:00"]
    assert listed[0]["local_date"] == str(TOMORROW)
    # Where a session of this length cannot be within the hours, the therapist is off rather than taken.
    longer = grid(world.url, therapist, "--from", TOMORROW, "--days", 1, "--step", 60, "--duration", 90).column(
        TOMORROW
    )
    assert longer == {"09:00": "x", "10:00": "x", "14:00": "+", "15:00": "+"}


def test_the_grid_starts_today_with_the_step_of_the_policy(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    Bookings(world.connection).set_policy(therapist_id=therapist, slot_step_minutes=180, slot_offset_minutes=30)

    found = grid(world.url, therapist, "--days", 3)

    today = dt.datetime.now(BERLIN).date()
    assert {f"{today + number * DAY:%m-%d}" for number in range(3)} <= set(found.rows[0][1])
    assert set(found.column(today + DAY)) <= set(times("00:30", "24:00", 180))
    # Nothing is taken: the past is off.
    assert set(found.column(today).values()) <= {".", "+"}
    assert set(found.column(today + 2 * DAY).values()) == {"+"}


def test_a_therapist_who_is_never_there(world: World) -> None:
    therapist = world.therapist()
    Bookings(world.connection).set_policy(therapist_id=therapist, require_hours=True)

    result = bookingdb(world.url, "slots", therapist, "--days", 3)

    assert result.exit_code == 0
    assert "Off on all of these days." in result.stdout


def test_the_grid_is_in_the_zone_that_was_asked_for(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    bookings.set_weekly_hours(therapist, week_text.read_week(["sun 09:00-11:00"]))
    day = SPRING - 28 * DAY  # winter, in Berlin and in Kathmandu

    found = grid(world.url, therapist, "--from", day, "--days", 7, "--step", 60, "--time-zone", "Asia/Kathmandu")
    assert found.title == "60 minutes, Asia/Kathmandu"
    assert found.column(day) == {"13:45": "+", "14:45": "+"}

    # Midnight is somewhere else: the evening of the day before.
    found = grid(
        world.url, therapist, "--from", day - DAY, "--days", 2, "--step", 60, "--time-zone", "Pacific/Honolulu"
    )
    assert found.column(day - DAY) == {"22:00": "+", "23:00": "+"}
    assert set(found.column(day).values()) == {"."}


def test_a_day_of_23_hours_has_a_gap(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    bookings.set_weekly_hours(therapist, week_text.read_week(["mon-sun 00:00-06:00"]))

    found = grid(world.url, therapist, "--from", SPRING - 2 * DAY, "--days", 7, "--step", 30)

    assert found.notes == {f"{SPRING:%m-%d}": "23 h"}
    assert found.column(SPRING - DAY) == dict.fromkeys(times("00:00", "05:30", 30), "+")
    assert found.column(SPRING) == {
        label: "" if label.startswith("02:") else "+" for label in times("00:00", "05:30", 30)
    }
    assert "*" not in found.legend


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_a_day_of_25_hours_shows_an_hour_twice(world: World, zone: str) -> None:
    client, therapist = world.client(credits=1), world.therapist(zone)
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    second = dt.datetime.combine(AUTUMN, dt.time(2), BERLIN).replace(fold=1)
    bookings.book_session(user_id=client, therapist_id=therapist, starts_at=second)

    arguments = ("--from", AUTUMN, "--days", 2, "--step", 30, "--duration", 30)
    found = grid(world.url, therapist, *arguments, "--time-zone", "Europe/Berlin")

    expected = dict.fromkeys(times("00:00", "03:00", 30), "+") | {"02:00*": "x", "02:30*": "x"}
    expected |= dict.fromkeys(times("03:00", "24:00", 30), "+")
    assert found.column(AUTUMN) == expected
    assert list(found.column(AUTUMN)) == list(expected)
    assert found.notes == {f"{AUTUMN:%m-%d}": "25 h"}
    assert found.column(AUTUMN + DAY)["02:00*"] == ""
    assert found.legend.endswith("* once more, after the clocks went back")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Australia/Lord_Howe", ["01:00", "01:30", "01:30*", "02:00"]),
        ("Pacific/Chatham", ["02:30", "03:00", "03:30", "03:00*", "03:30*", "04:00"]),
        ("Atlantic/Azores", ["00:00", "00:30", "00:00*", "00:30*", "01:00"]),
        ("America/Havana", ["00:00", "00:30", "00:00*", "00:30*", "01:00"]),
        # At midnight, back into the day that was over.
        ("America/Nuuk", ["22:30", "23:00", "23:30", "23:00*", "23:30*"]),
    ],
)
def test_hours_that_occur_twice_elsewhere(world: World, zone: str, expected: list[str]) -> None:
    tz = ZoneInfo(zone)
    day = next(
        day
        for day in (dt.date(NEXT_YEAR, 1, 1) + number * DAY for number in range(366))
        if day_grid.instant_of(dt.datetime.combine(day + DAY, dt.time()), tz)
        - day_grid.instant_of(dt.datetime.combine(day, dt.time()), tz)
        > DAY
    )
    therapist = world.therapist(zone)
    Bookings(world.connection).set_policy(maximum_advance=FAR)

    labels = list(grid(world.url, therapist, "--from", day, "--days", 1, "--step", 30).column(day))

    begin = labels.index(expected[0])
    assert labels[begin : begin + len(expected)] == expected


ZONES = ("Europe/Berlin", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham")
# None whose rules were changed lately: Python's time zone data and the server's may be of different years.
ODD_ZONES = ("Asia/Kathmandu", "Pacific/Apia", "America/Havana", "America/Nuuk", "UTC")


@pytest.mark.parametrize("seed", range(16))
def test_time_off_takes_the_free_time_and_nothing_else(world: World, seed: int) -> None:
    """It makes what was free off."""
    chance = random.Random(seed)
    zone, shown_in = chance.choice(ZONES + ODD_ZONES), ZoneInfo(chance.choice(ZONES + ODD_ZONES))
    therapist = world.therapist(zone)
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    bookings.set_policy(
        therapist_id=therapist,
        slot_step_minutes=chance.choice([10, 15, 45, 60, 100]),
        slot_offset_minutes=chance.choice([0, 0, 5, 130]),
        require_hours=chance.random() < 0.2,
    )

    def moment() -> dt.time:
        # Mostly in the night, where the clocks change.
        return dt.time(chance.choice([0, 1, 2, 2, 3, chance.randrange(24)]), chance.choice([0, 30]))

    bookings.set_weekly_hours(
        therapist,
        [WeeklyWindow(chance.randrange(1, 8), moment(), moment()) for _ in range(chance.choice([0, 5, 15]))],
    )
    changes = [SPRING, AUTUMN, dt.date(NEXT_YEAR, 3, 10), dt.date(NEXT_YEAR, 4, 1)]
    first, length = chance.choice(changes) - chance.randrange(7) * DAY, chance.choice([1, 9])
    days = [first + number * DAY for number in range(length)]
    for _ in range(chance.choice([0, 4])):
        override = [(moment(), moment()) for _ in range(chance.choice([0, 1, 2]))]
        bookings.set_date_override(therapist, first + chance.randrange(-2, 10) * DAY, override)
    duration = chance.choice([15, 60, 180])

    def cells() -> dict[Cell, list[tuple[dt.date, dt.time]]]:
        slots = bookings.list_available_slots(
            therapist, days[0], days[-1], duration_minutes=duration, time_zone=shown_in.key
        )
        drawn = day_grid.day_grid(
            days,
            shown_in,
            bookings.list_slot_states(therapist, days[0], days[-1], duration_minutes=duration, time_zone=shown_in.key),
        )
        found: dict[Cell, list[tuple[dt.date, dt.time]]] = {cell: [] for cell in Cell}
        for day in drawn:
            assert list(day.cells) == sorted(day.cells), "in order of the clocks"
            for hour, cell in day.cells.items():
                found[cell].append((day.date, hour.time))
        assert found[Cell.FREE] == [(slot.local_date, slot.local_time) for slot in slots]
        return found

    before = cells()
    assert before[Cell.TAKEN] == []
    whole = (
        dt.datetime.combine(days[0] - 3 * DAY, dt.time(), UTC),
        dt.datetime.combine(days[-1] + 3 * DAY, dt.time(), UTC),
    )
    bookings.add_time_off(therapist, *whole)
    after = cells()
    assert after[Cell.FREE] == []
    assert after[Cell.TAKEN] == []
    assert sorted(after[Cell.OFF]) == sorted(before[Cell.FREE] + before[Cell.OFF])


def test_local_time_is_the_databases_instant(world: World) -> None:
    quarters = [dt.datetime(NEXT_YEAR, 1, 1) + number * 15 * MINUTE for number in range(365 * 96)]
    for zone in ("Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Chatham", "America/Havana"):
        tz = ZoneInfo(zone)
        # The days of clock changes, and these around them.
        strange = [
            local
            for local in quarters
            if (local - DAY).replace(tzinfo=tz).utcoffset() != (local + DAY).replace(tzinfo=tz).utcoffset()
        ]
        there = world.run(
            "select bookingdb.wall_clock_instant(l.local, %s) from unnest(%s::timestamp[]) as l (local)", zone, strange
        )

        assert len(strange) > 300
        found = [day_grid.instant_of(local, tz) for local in strange]
        assert found == [instant.astimezone(UTC) for (instant,) in there]


# --- next, find ---


def test_the_next_slot(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    Bookings(world.connection).set_date_override(therapist, TOMORROW, [("09:00", "10:30")])
    nine = dt.datetime.combine(TOMORROW, dt.time(9), BERLIN)

    slot = answer(world.url, "next", therapist, "--after", (nine + 15 * MINUTE).isoformat(), "--duration", 45)
    assert (slot["local_date"], slot["local_time"]) == (str(TOMORROW), "09:15:00")
    assert dt.datetime.fromisoformat(slot["end_time"]) == nine + HOUR
    in_utc = answer(
        world.url, "next", therapist, "--after", nine.isoformat(), "--step", 30, "--time-zone", "UTC", "--duration", 15
    )
    assert in_utc["local_time"] == f"{nine.astimezone(UTC):%H:%M:%S}"
    assert "09:00:00" in bookingdb(world.url, "next", therapist, "--after", nine.isoformat()).stdout

    later = (nine + 9000 * DAY).isoformat()
    nothing = bookingdb(world.url, "next", therapist, "--after", later)
    assert (nothing.exit_code, nothing.stdout) == (1, "None.\n")
    nothing = bookingdb(world.url, "next", therapist, "--after", later, "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout)) == (1, None)


def test_find_lists_the_earliest_free_therapist_first(world: World) -> None:
    early, late, never = (str(world.therapist()) for _ in range(3))
    bookings = Bookings(world.connection)
    at = dt.datetime.combine(TOMORROW, dt.time(9), UTC)
    for therapist, windows in ((early, [("09:00", "12:00")]), (late, [("11:00", "13:00")]), (never, [])):
        bookings.set_date_override(therapist, TOMORROW, windows)
    span = ("--from", at.isoformat(), "--to", (at + 12 * HOUR).isoformat())

    found = answer(world.url, "find", *span)
    assert [entry["therapist_id"] for entry in found] == [early, late]
    assert dt.datetime.fromisoformat(found[1]["start_time"]) == at + 2 * HOUR
    assert [entry["therapist_id"] for entry in answer(world.url, "find", *span, "--limit", 1)] == [early]
    only = ("--therapist", late, "--therapist", never)
    assert [entry["therapist_id"] for entry in answer(world.url, "find", *span, *only)] == [late]
    assert answer(world.url, "find", *span, "--therapist", never) == []
    # From now on for a week.
    assert len(answer(world.url, "find", "--duration", 30)) == 3
    assert early in bookingdb(world.url, "find", *span).stdout


# --- hours ---

ANY_TIME = "no weekly hours: bookable at any time\n"


def test_hours_are_set_and_shown_in_the_same_words(world: World) -> None:
    therapist = world.therapist()
    assert bookingdb(world.url, "hours", "show", therapist).stdout == ANY_TIME
    week = ("mon-fri 09:00-12:00 13:00-17:00", f"sat 22:00-02:00 from {TOMORROW} to {TOMORROW + DAY}",
            "sun 10:00-11:00 every 2 weeks from 2027-01-04 in Europe/Lisbon")  # fmt: skip

    changed = bookingdb(world.url, "hours", "set", therapist, *week)

    assert changed.stdout.splitlines() == list(week)
    assert bookingdb(world.url, "hours", "show", therapist).stdout == changed.stdout
    # The same in one word after the other, as a shell may make of it.
    words = " ".join(week).split()
    assert (
        answer(world.url, "hours", "set", therapist, *words) == answer(world.url, "hours", "show", therapist)["weekly"]
    )


def test_hours_of_nobody_tell_closed_from_any_time(world: World) -> None:
    therapist = world.therapist()
    closed = "no weekly hours: closed, because there were some (--any-time opens)\n"
    assert bookingdb(world.url, "hours", "set", therapist, "--none").stdout == ANY_TIME
    bookingdb(world.url, "hours", "set", therapist, "mon 09:00-12:00")
    assert bookingdb(world.url, "hours", "set", therapist, "--none").stdout == closed
    assert bookingdb(world.url, "hours", "show", therapist).stdout == closed
    assert answer(world.url, "hours", "show", therapist)["bookable_any_time"] is False
    assert bookingdb(world.url, "hours", "set", therapist, "--none", "--any-time").exit_code == 2
    assert bookingdb(world.url, "hours", "set", therapist, "--any-time").stdout == ANY_TIME
    assert answer(world.url, "hours", "show", therapist)["bookable_any_time"] is True
    Bookings(world.connection).set_policy(require_hours=True)
    required = "no weekly hours: closed, because the policy requires hours\n"
    assert bookingdb(world.url, "hours", "show", therapist).stdout == required


def test_status_counts_therapists_bookable_at_any_time(world: World) -> None:
    never, had, must, _ = (world.therapist() for _ in range(4))
    for week in ("mon 09:00-12:00",), ("--none",):
        bookingdb(world.url, "hours", "set", had, *week)
    Bookings(world.connection).set_policy(therapist_id=must, require_hours=True)
    assert answer(world.url, "status")["always_open"] == 2
    line = "Therapists without weekly hours, who can be booked at any time: 2."
    assert line in bookingdb(world.url, "status").stdout.splitlines()
    bookingdb(world.url, "hours", "set", never, "mon 09:00-12:00")
    Bookings(world.connection).set_policy(require_hours=True)
    assert answer(world.url, "status")["always_open"] == 0


def test_hours_from_a_file_are_what_was_printed(world: World, tmp_path: Path) -> None:
    therapist, other = world.therapist(), world.therapist()
    bookingdb(world.url, "hours", "set", therapist, "mon 09:00-24:00", "tue 08:00-09:00 to 2030-12-31")
    shown = answer(world.url, "hours", "show", therapist)
    path = tmp_path / "hours.json"

    for document in (shown, shown["weekly"]):
        path.write_text(json.dumps(document))
        assert answer(world.url, "hours", "set", other, "--file", path) == shown["weekly"]
    assert shown["weekly"][0] == {
        "weekday": 1,
        "start_time": "09:00:00",
        "end_time": "00:00:00",
        "valid_from": None,
        "valid_to": None,
        "every_weeks": 1,
        "time_zone": None,
    }
    for nonsense in ("{", "7", '{"weekly": "always"}', "[7]"):
        path.write_text(nonsense)
        assert bookingdb(world.url, "hours", "set", other, "--file", path).exit_code == 2
    path.write_text('[{"weekday": 8, "start_time": "09:00", "end_time": "10:00"}]')
    refused = bookingdb(world.url, "hours", "set", other, "--file", path)
    assert refused.exit_code == 1
    assert "bookingdb: invalid_parameter: " in refused.stderr
    assert answer(world.url, "hours", "show", other)["weekly"] == shown["weekly"]


def test_a_date_is_closed_has_other_hours_or_is_as_usual(world: World) -> None:
    therapist = world.therapist()
    override = ("hours", "override", therapist)

    assert bookingdb(world.url, *override, TOMORROW, "closed").stdout == f"{TOMORROW} closed\n"
    assert answer(world.url, *override, TOMORROW + DAY, "09:00-12:00", "13:00-24:00") == [
        {"override_date": str(TOMORROW + DAY), "start_time": "09:00:00", "end_time": "12:00:00"},
        {"override_date": str(TOMORROW + DAY), "start_time": "13:00:00", "end_time": "00:00:00"},
    ]
    assert bookingdb(world.url, "hours", "show", therapist).stdout.splitlines() == [
        ANY_TIME.strip(),
        f"{TOMORROW} closed",
        f"{TOMORROW + DAY} 09:00-12:00 13:00-24:00",
    ]
    assert [day["start_time"] for day in answer(world.url, "hours", "show", therapist)["overrides"]] == [
        None,
        "09:00:00",
        "13:00:00",
    ]
    assert bookingdb(world.url, *override, TOMORROW, "as-usual").stdout == f"{TOMORROW} as-usual\n"
    assert answer(world.url, *override, TOMORROW + DAY, "as-usual") == []
    assert answer(world.url, "hours", "show", therapist)["overrides"] == []


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("mon 09:00-17:00", [(1, "09:00", "17:00")]),
        ("SAT-mon 09:00-10:00", [(1, "09:00", "10:00"), (6, "09:00", "10:00"), (7, "09:00", "10:00")]),
        ("mon,wed-thu 22:00-24:00", [(day, "22:00", "00:00") for day in (1, 3, 4)]),
        ("tue 08:00-09:00 mon 10:00-11:00", [(2, "08:00", "09:00"), (1, "10:00", "11:00")]),
        ("", []),
    ],
)
def test_weeks_that_can_be_read(text: str, windows: list[tuple[int, str, str]]) -> None:
    read = [
        (window.weekday, f"{window.start_time:%H:%M}", f"{window.end_time:%H:%M}")
        for window in week_text.read_week([text])
    ]
    assert read == windows


@pytest.mark.parametrize(
    "text",
    [
        *(
            "mon",
            "09:00-17:00",
            "mon 9:00-17:00",
            "mon 09:00",
            "mon 09:00-25:00",
            "mon 24:00-09:00",
            "monday 09:00-10:00",
        ),
        *(
            "mon- 09:00-10:00",
            "mon,,tue 09:00-10:00",
            "mon 09:00-10:00 from",
            "mon 09:00-10:00 from tomorrow",
            "mon from",
        ),
        *("mon 09:00-10:00 until 2030-01-01", "mon tue 09:00-10:00", "mon 09:00-10:00\N{EN DASH}11:00"),
    ],
)
def test_weeks_that_cannot_be_read(world: World, text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|names no days|need windows"):
        week_text.read_week([text])
    result = bookingdb("postgresql://127.0.0.1:1/none", "hours", "set", uuid4(), text)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize("seed", range(20))
def test_week_as_text_is_read_as_the_same_week(seed: int) -> None:
    chance = random.Random(seed)
    dates = [None, dt.date(2030, 1, 1), dt.date(2030, 6, 30)]
    week = [
        WeeklyWindow(
            chance.randrange(1, 8),
            dt.time(chance.randrange(24), chance.randrange(60)),
            dt.time(chance.randrange(24), chance.randrange(60)),
            chance.choice(dates),
            chance.choice(dates),
        )
        for _ in range(chance.randrange(30))
    ]

    assert sorted(week_text.read_week(week_text.write_week(week)), key=repr) == sorted(week, key=repr)


# --- time off ---


def local_hour(day: dt.date) -> list[str]:
    """From 9:00 to 10:00 UTC, in Berlin."""
    begin = dt.datetime.combine(day, dt.time(9), dt.UTC)
    return [f"{moment.astimezone(BERLIN):%Y-%m-%d %H:%M}" for moment in (begin, begin + HOUR)]


def test_day_off_is_printed_as_it_was_entered(world: World) -> None:
    therapist = world.therapist("Pacific/Auckland")
    shown = bookingdb(world.url, "time-off", "add", therapist, "--days", "2030-01-11..2030-01-12").stdout
    assert re.findall(r"(?m)^ (from|to|zone) +(\S+)", shown) == [
        ("from", "2030-01-11"), ("to", "2030-01-12"), ("zone", "Pacific/Auckland"),
    ]  # fmt: skip


def test_dates_are_days_in_every_command(world: World) -> None:
    """The last one is included."""
    client, therapist = world.client(credits=3), world.therapist("Pacific/Auckland")
    Bookings(world.connection).set_policy(time_zone="Pacific/Auckland")
    session = world.book(client, therapist, "00:30", time_zone="Pacific/Auckland")["id"]
    days = ("--from", TOMORROW, "--to", TOMORROW)
    later = ("--from", TOMORROW + DAY, "--to", TOMORROW + DAY)
    for of in ((), ("--therapist", therapist), ("--user", client)):
        assert [found["id"] for found in answer(world.url, "sessions", *of, *days)] == [str(session)]
        assert answer(world.url, "sessions", *of, *later) == []
    today = dt.datetime.now(ZoneInfo("Pacific/Auckland")).date()
    statement = answer(world.url, "credits", "statement", client, "--from", today - DAY, "--to", today)
    assert [line["kind"] for line in statement] == ["opening", "grant", "debit", "closing"]
    assert answer(world.url, "credits", "history", client, "--before", today - DAY) == []
    found = answer(world.url, "find", *later)
    begin = dt.datetime.combine(TOMORROW + DAY, dt.time(), ZoneInfo("Pacific/Auckland"))
    assert dt.datetime.fromisoformat(found[0]["start_time"]) == begin
    after = answer(world.url, "next", therapist, "--after", TOMORROW + DAY)
    assert dt.datetime.fromisoformat(after["start_time"]) == begin


def test_find_prints_names_and_local_times(world: World) -> None:
    therapist = str(world.therapist("Pacific/Auckland"))
    world.run("update users set full_name = 'Grace Hopper' where id = %s", therapist)
    shown = bookingdb(world.url, "find", "--from", f"{TOMORROW}T00:00Z").stdout
    local = dt.datetime.combine(TOMORROW, dt.time(), dt.UTC).astimezone(ZoneInfo("Pacific/Auckland"))
    for part in ("Grace Hopper", therapist, f"{local:%Y-%m-%d %H:%M}", "Pacific/Auckland", f"{local + HOUR:%H:%M}"):
        assert part in shown


def test_day_off_leaves_no_rows_between_the_others() -> None:
    """It may have another grid than they have."""
    days = [dt.date(2030, 12, 30), dt.date(2031, 1, 1)]
    half, full = (
        [day_grid.Hour(60 * hour + minute, True, dt.time(hour, minute)) for hour in (12, 13, 14)] for minute in (30, 0)
    )
    grid = [
        day_grid.Day(days[0], dict.fromkeys(half, Cell.TAKEN), DAY),
        day_grid.Day(days[1], dict.fromkeys(full, Cell.OFF), DAY),
    ]
    assert day_grid.hours_shown(grid) == half


def test_week_of_the_new_year_has_both_years(capsys: pytest.CaptureFixture[str]) -> None:
    week = [dt.date(2026, 12, 30) + number * DAY for number in range(7)]
    hour = day_grid.Hour(600, True, dt.time(10))
    day_grid.print_grids([day_grid.Day(day, {hour: Cell.FREE}, DAY) for day in week])
    assert "2026/27" in capsys.readouterr().out


def test_time_off_is_added_listed_and_removed(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist("Europe/Berlin")
    session = world.book(client, therapist, "10:00")["id"]
    midnight = dt.datetime.combine(TOMORROW, dt.time(), BERLIN)

    added = answer(
        world.url, "time-off", "add", therapist, "--from", TOMORROW, "--to", TOMORROW + DAY, "--reason", "holiday"
    )
    # Whole days, both of them.
    assert dt.datetime.fromisoformat(added["start_time"]) == midnight
    assert dt.datetime.fromisoformat(added["end_time"]) == midnight + 2 * DAY
    assert (added["reason"], added["session_ids"]) == ("holiday", [str(session)])
    hour = ("--from", f"{TOMORROW + 5 * DAY}T10:00+01:00", "--to", f"{TOMORROW + 5 * DAY}T11:00+01:00")
    printed = bookingdb(world.url, "time-off", "add", therapist, *hour)
    assert printed.exit_code == 0, printed.output

    listed = answer(world.url, "time-off", "list", therapist)
    assert listed[0] == added
    assert [entry["reason"] for entry in listed] == ["holiday", None]
    assert len(answer(world.url, "time-off", "list", therapist, "--from", TOMORROW, "--to", TOMORROW)) == 1
    table = bookingdb(world.url, "time-off", "list", therapist).stdout
    assert added["id"] in table
    # As they were entered: days, and the therapist's local times.
    lines = [re.split(r"  +", line.strip()) for line in table.splitlines()]
    assert [line[1:4] for line in lines if len(line) > 3][1:] == [
        [str(TOMORROW), str(TOMORROW + DAY), "Europe/Berlin"], [*local_hour(TOMORROW + 5 * DAY), "Europe/Berlin"],
    ]  # fmt: skip
    assert str(session) in table

    assert bookingdb(world.url, "time-off", "remove", added["id"]).stdout == f"{added['id']}\n"
    assert answer(world.url, "time-off", "remove", listed[1]["id"]) == {"removed": listed[1]["id"]}
    assert bookingdb(world.url, "time-off", "list", therapist).stdout == "None.\n"
    again = bookingdb(world.url, "time-off", "remove", added["id"])
    assert again.exit_code == 1
    assert "bookingdb: time_off_not_found: " in again.stderr


def test_whole_days_are_taken_off_by_their_dates(world: World) -> None:
    therapist = world.therapist("Pacific/Auckland")
    (auckland, tokyo) = (ZoneInfo("Pacific/Auckland"), ZoneInfo("Asia/Tokyo"))
    midnight = dt.datetime.combine(TOMORROW, dt.time(), auckland)
    days = ("time-off", "add", therapist, "--days")
    several = answer(world.url, *days, f"{TOMORROW}..{TOMORROW + DAY}", "--reason", "holiday")
    ends = [dt.datetime.fromisoformat(several[name]).astimezone(tokyo) for name in ("start_time", "end_time")]
    assert (ends, several["reason"]) == ([midnight, midnight + 2 * DAY], "holiday")
    one = answer(world.url, *days, TOMORROW + 9 * DAY)
    assert dt.datetime.fromisoformat(one["end_time"]) == midnight + 10 * DAY
    # The same dates, said in the other way.
    assert answer(world.url, *days[:-1], "--from", TOMORROW, "--to", TOMORROW + DAY) == several
    for wrong in (
        [*days, "2030-01-07..soon"], [*days, "monday"], days[:-1], [*days[:-1], "--from", TOMORROW],
        [*days, TOMORROW, "--from", TOMORROW, "--to", TOMORROW],
    ):  # fmt: skip
        assert bookingdb(world.url, *wrong).exit_code == 2


def test_hours_are_overridden_when_a_session_is_booked(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    Bookings(world.connection).set_date_override(therapist, TOMORROW, [])
    slot = ("--user", client, "--therapist", therapist, "--date", TOMORROW, "--time", "10:00")

    refused = bookingdb(world.url, "book", *slot)
    assert refused.exit_code == 1
    assert "bookingdb: outside_availability: " in refused.stderr
    booked = answer(world.url, "book", *slot, "--override-hours", "--idempotency-key", "k")
    assert world.scalar("select hours_overridden from sessions where id = %s", booked["id"])


# --- calendars ---


def read(calendar: str | bytes) -> Any:
    found = icalendar.Calendar.from_ical(calendar)
    assert isinstance(found, icalendar.Calendar)
    assert found.errors == []
    assert all(component.errors == [] for component in found.walk())
    return found


def offset_of(description: Any, moment: dt.datetime) -> dt.timedelta:
    """The offset of a VTIMEZONE at an instant, by RFC 5545: that of the observance with the latest onset.

    An onset is in local time of before it, that is, at TZOFFSETFROM.
    """
    onsets = [
        (observance["dtstart"].dt - observance["tzoffsetfrom"].td, observance["tzoffsetto"].td)
        for observance in description.subcomponents
    ]
    known = [onset for onset in onsets if onset[0] <= moment.replace(tzinfo=None)]
    offset: dt.timedelta = max(known)[1]
    return offset


@pytest.mark.slow
@pytest.mark.parametrize("zone", [*ZONES, "Asia/Kathmandu", "Africa/Casablanca", "America/Havana", "America/St_Johns"])
def test_the_time_zone_is_described_as_it_is(zone: str) -> None:
    tz = ZoneInfo(zone)
    begin = dt.datetime(NEXT_YEAR, 1, 1, 11, 7, 3, 5, tzinfo=UTC)
    calendar = read(writing.write([], [], tz, begin=begin, end=begin + 366 * DAY, now=begin))
    (description,) = calendar.walk("VTIMEZONE")

    assert description["tzid"] == zone
    moments = [begin + number * 10 * MINUTE for number in range(366 * 144)]
    wrong = [moment for moment in moments if offset_of(description, moment) != moment.astimezone(tz).utcoffset()]
    assert wrong == []
    names = {str(observance["tzname"]) for observance in description.subcomponents}
    assert names == {moment.astimezone(tz).tzname() for moment in moments[::36]}


def test_sessions_and_time_off_become_events(world: World) -> None:
    client, therapist = world.client(credits=9), world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=FAR)
    at = dt.datetime.combine(TOMORROW, dt.time(10), BERLIN)
    slot: dict[str, Any] = {"user_id": client, "therapist_id": therapist}
    first = bookings.book_session(**slot, starts_at=at, title="A; B, C\nD", notes="\N{SNOWMAN} " * 60)
    cancelled = bookings.cancel_session(bookings.book_session(**slot, starts_at=at + HOUR).id)
    pending = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, 'pending_approval') returning id",
        *(client, therapist, at + 3 * HOUR, at + 4 * HOUR),
    )
    twice = dt.datetime.combine(AUTUMN, dt.time(1, 30), BERLIN)
    starts = [twice.astimezone(UTC) + number * HOUR for number in range(3)]
    across = [bookings.book_session(**slot, starts_at=start) for start in starts]
    off = bookings.add_time_off(therapist, at + 6 * HOUR, at + 8 * HOUR, reason="dentist")
    # Another's.
    bookings.book_session(user_id=client, therapist_id=world.therapist(), starts_at=at + 12 * HOUR)
    arguments = ("ics", therapist, "--from", TOMORROW, "--to", AUTUMN)

    printed = bookingdb(world.url, *arguments)

    assert printed.exit_code == 0, printed.output
    calendar = read(printed.stdout_bytes)
    assert printed.stdout_bytes.count(b"\n") == printed.stdout_bytes.count(b"\r\n")
    assert max(map(len, printed.stdout_bytes.split(b"\r\n"))) <= 75
    assert (calendar["version"], bool(calendar["prodid"])) == ("2.0", True)
    events = {str(event["uid"]): event for event in calendar.walk("VEVENT")}
    expected = {
        f"{id_}@bookingdb": (start, status)
        for id_, start, status in (
            (first.id, at, "CONFIRMED"),
            (cancelled.id, at + HOUR, "CANCELLED"),
            (pending, at + 3 * HOUR, "TENTATIVE"),
            (off.id, at + 6 * HOUR, "CONFIRMED"),
            *((session.id, session.start_time, "CONFIRMED") for session in across),
        )
    }
    assert {uid: (event["dtstart"].dt.astimezone(UTC), str(event["status"])) for uid, event in events.items()} == {
        uid: (start.astimezone(UTC), status) for uid, (start, status) in expected.items()
    }
    for event in events.values():
        assert event["dtstamp"].dt.tzinfo is not None
        assert abs(event["dtstamp"].dt - dt.datetime.now(UTC)) < HOUR
        assert event["dtend"].dt.astimezone(UTC) - event["dtstart"].dt.astimezone(UTC) in (HOUR, 2 * HOUR)
    booked = events[f"{first.id}@bookingdb"]
    assert (str(booked["summary"]), str(booked["description"])) == (first.title, first.description)
    assert booked["dtstart"].params["tzid"] == "Europe/Berlin"
    assert (str(events[f"{off.id}@bookingdb"]["summary"]), str(events[f"{off.id}@bookingdb"]["description"])) == (
        "Time off",
        "dentist",
    )
    assert str(events[f"{cancelled.id}@bookingdb"]["transp"]) == "TRANSPARENT"
    # The second of two equal local times is in UTC, because a local time means the first.
    assert [events[f"{session.id}@bookingdb"]["dtstart"].params.get("tzid") for session in across] == [
        "Europe/Berlin",
        "Europe/Berlin",
        None,
    ]
    # The zone is described for every event.
    (description,) = calendar.walk("VTIMEZONE")
    for _, (start, _) in expected.items():
        assert offset_of(description, start.astimezone(UTC)) == start.astimezone(BERLIN).utcoffset()

    again = read(bookingdb(world.url, *arguments).stdout_bytes)
    assert [event["uid"] for event in again.walk("VEVENT")] == [event["uid"] for event in calendar.walk("VEVENT")]


def test_a_calendar_is_written_to_a_file(world: World, tmp_path: Path) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)
    path = tmp_path / "therapist.ics"

    assert bookingdb(world.url, "ics", therapist, "--output", path).stdout == f"Wrote {path}\n"
    (event,) = read(path.read_bytes()).walk("VEVENT")
    assert event["dtstart"].dt == session["start_time"]
    # UTC needs no description.
    assert read(path.read_bytes()).walk("VTIMEZONE") == []
    assert answer(world.url, "ics", therapist, "--output", path) == {"path": str(path), "calendar": None}
    inline = answer(world.url, "ics", therapist)
    assert inline["path"] is None
    assert len(read(inline["calendar"]).walk("VEVENT")) == 1
    missing = bookingdb(world.url, "ics", therapist, "--output", tmp_path / "missing" / "therapist.ics")
    assert missing.exit_code == 1
    assert "No such file" in missing.stderr


def test_session_that_occupies_no_time_is_in_no_calendar() -> None:
    now = dt.datetime(NEXT_YEAR, 1, 1, tzinfo=UTC)

    def session(start: dt.datetime | None, end: dt.datetime | None) -> Session:
        return Session(uuid4(), None, None, None, None, None, None, start, end, None, None, "scheduled", now, None)

    sessions = [
        session(None, None),
        session(now, None),
        session(now, now),
        session(now + HOUR, now),
        session(now, now + HOUR),
    ]
    off = [TimeOff(UUID(int=1), now - 100 * DAY, now + 400 * DAY, None, ())]
    calendar = read(writing.write(sessions, off, BERLIN, begin=now, end=now + DAY, now=now))

    assert [str(event["summary"]) for event in calendar.walk("VEVENT")] == ["Time off", "Session"]
    (description,) = calendar.walk("VTIMEZONE")
    for moment in (off[0].start_time, off[0].end_time):
        assert offset_of(description, moment) == moment.astimezone(BERLIN).utcoffset()


# --- refusals ---


def wrong(commands: Sequence[Sequence[object]], code: str) -> Iterator[tuple[Sequence[object], str]]:
    return ((command, code) for command in commands)


THERAPIST = uuid4()
SPAN = ("--from", "2030-01-01", "--to", "2030-01-02")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *wrong(
            [
                ["slots", THERAPIST],
                ["next", THERAPIST],
                ["hours", "show", THERAPIST],
                ["hours", "set", THERAPIST, "mon 09:00-10:00"],
                ["hours", "override", THERAPIST, TOMORROW, "closed"],
                ["time-off", "list", THERAPIST],
                ["time-off", "add", THERAPIST, *SPAN],
                ["ics", THERAPIST],
            ],
            "therapist_not_found",
        ),
        *wrong([["slots", "me"], ["next", "me"], ["hours", "show", "me"], ["ics", "me"]], "invalid_therapist_id"),
        *wrong([["time-off", "remove", uuid4()]], "time_off_not_found"),
        *wrong(
            [["time-off", "remove", "mine"], ["find", "--limit", 0], ["find", "--therapist", "me"]], "invalid_parameter"
        ),
        *wrong([["find", "--duration", 5]], "invalid_duration"),
    ],
)
def test_a_refusal_exits_with_1(world: World, arguments: Sequence[object], code: str) -> None:
    result = bookingdb(world.url, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[1].startswith(f"bookingdb: {code}: ")


def test_refusal_by_the_database_exits_with_1(world: World) -> None:
    therapist = world.therapist()
    for arguments, code in (
        (["slots", therapist, "--time-zone", "Mars"], "invalid_time_zone"),
        (["slots", therapist, "--step", 0], "invalid_parameter"),
        (["slots", therapist, "--duration", 500], "invalid_duration"),
        (["slots", therapist, "--from", "1800-01-01"], "invalid_date"),
        (["next", therapist, "--time-zone", "Mars"], "invalid_time_zone"),
        (["time-off", "add", therapist, "--from", "2030-01-02", "--to", "2030-01-01"], "invalid_parameter"),
        (["ics", therapist, "--from", "2030-01-02", "--to", "2029-01-01"], "invalid_parameter"),
    ):
        result = bookingdb(world.url, *arguments)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        assert f"bookingdb: {code}: " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        *(["slots"], ["slots", "t", "--days", 0], ["slots", "t", "--days", 367], ["slots", "t", "--from", "tomorrow"]),
        *(
            ["next"],
            ["next", "t", "--after", "2030-01-01T10:00"],
            ["find", "--from", "2030-01-01T10:00"],
            ["hours", "set", "t"],
        ),
        *(["hours", "set", "t", "mon 09:00-10:00", "--none"], ["hours", "override", "t", "2030-01-01"]),
        *(["hours", "override", "t", "2030-01-01", "open"], ["hours", "override", "t", "2030-13-01", "closed"]),
        *(["hours", "override", "t", "2030-01-01", "closed", "09:00-10:00"], ["time-off", "add", "t"]),
        *(["time-off", "list", "t", "--from", "2030-1-1"], ["time-off", "list", "t", "--to", "2030-01-01T10:00"]),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[object]) -> None:
    result = bookingdb("postgresql://127.0.0.1:1/none", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


def test_the_calendar_package_is_loaded_where_it_is_needed() -> None:
    code = "import sys, bookingdb.cli.main; print('icalendar' in sys.modules, 'rich' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False False\n"


def test_signs_differ_without_colours() -> None:
    signs = [sign for sign, _ in SIGNS.values()]
    assert len(set(signs)) == len(signs)
    for cell, (sign, _) in itertools.islice(SIGNS.items(), 3):
        assert cell is not None
        assert f"{sign} {cell.value}" in LEGEND


def test_time_zone_data_of_another_year_is_mentioned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    therapist = world.therapist("Europe/Berlin")
    said = "the time zone data of this machine and of the database differ"
    assert said not in bookingdb(world.url, "slots", therapist, "--from", TOMORROW, "--days", 1).stderr
    monkeypatch.setattr("bookingdb.cli.slots.zone_named", lambda _: ZoneInfo("Asia/Tokyo"))
    assert said in bookingdb(world.url, "slots", therapist, "--from", TOMORROW, "--days", 1).stderr
