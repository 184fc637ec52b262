"""An app's own tables of availability, kept in step: what it writes there decides what can be booked.

The tables are made as apps make them, the triggers as `adopt` attaches them. The translation itself is held against a
model in plain Python, minute by minute.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from bookingdb.checks import verify
from bookingdb.install import installer
from tests.support import TOMORROW, Connection, World, book, run
from tests.support.databases import emptied_world, new_database
from tests.support.interleaving import holding, session_of, waiting
from tests.support.refusals import outcome, refused

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TODAYS_NAME = DAYS[TOMORROW.weekday()]
NEXT_DAY = TOMORROW + dt.timedelta(days=1)

SCHEDULES = {"therapist": "therapist_id", "document": "weekly_availability"}
# Two apps of shape A, whose columns have different names, and one of shape B.
BY_TYPE = {
    "therapist": "therapist_id", "date": "date", "type": "override_type", "active": "is_active",
    "start": "start_time", "end": "end_time",
}  # fmt: skip
BY_TYPE_WITH_SLOTS = {
    "therapist": "therapist_id", "date": "override_date", "type": "override_type", "active": "is_active",
    "start": "custom_start", "end": "custom_end", "slots": "custom_slots",
}  # fmt: skip
BY_FLAG = {
    "therapist": "therapist_id", "date": "date", "available": "is_available", "start": "start_time", "end": "end_time",
}  # fmt: skip

WEEKLY = "availability_weekly_schedules"
OVERRIDES = "availability_overrides"
MAKE_WEEKLY = """
    create table public.availability_weekly_schedules (
        id uuid primary key default gen_random_uuid(),
        therapist_id {id_type} unique,
        weekly_availability {type},
        updated_at timestamptz default now()
    )
"""
MAKE_BY_TYPE = """
    create table public.availability_overrides (
        id serial primary key,
        therapist_id uuid,
        date date,
        override_type varchar(20),
        start_time time,
        end_time time,
        is_active boolean default true
    )
"""
MAKE_BY_TYPE_WITH_SLOTS = """
    create table public.availability_overrides (
        id serial primary key,
        therapist_id text,
        override_date text,
        override_type text,
        custom_start text,
        custom_end text,
        custom_slots text,
        is_active boolean default true
    )
"""
MAKE_BY_FLAG = """
    create table public.availability_overrides (
        therapist_id uuid,
        date date,
        is_available boolean,
        start_time time,
        end_time time,
        unique (therapist_id, date)
    )
"""


def attach(world: World, table: str, function: str, columns: dict[str, str]) -> None:
    arguments = ", ".join(f"'{role}', '{column}'" for role, column in columns.items())
    for event, tables in {
        "insert": "new table as new_rows",
        "update": "old table as old_rows new table as new_rows",
        "delete": "old table as old_rows",
    }.items():
        world.run(
            f"create trigger bookingdb_availability_{event} after {event} on public.{table} referencing {tables}"
            f" for each statement execute function bookingdb.{function}({arguments})"
        )


def with_schedules(world: World, type_: str = "jsonb", id_type: str = "uuid") -> World:
    world.run(MAKE_WEEKLY.format(type=type_, id_type=id_type))
    attach(world, WEEKLY, "schedules_changed", SCHEDULES)
    return world


def with_overrides(world: World, make: str, columns: dict[str, str]) -> World:
    world.run(make)
    attach(world, OVERRIDES, "overrides_changed", columns)
    return world


@pytest.fixture
def world(adopted_world: World) -> World:
    """A database that has the functions of adopted ones."""
    return adopted_world


@pytest.fixture(scope="session")
def shared_adopted_database(server_url: str, adopted_template: str) -> Iterator[str]:
    yield from new_database(server_url, adopted_template, "owner")


@pytest.fixture
def clean_world(shared_adopted_database: str) -> Iterator[World]:
    yield from emptied_world(shared_adopted_database)


@pytest.fixture
def app(world: World) -> World:
    """An app with weekly schedules."""
    return with_schedules(world)


def day(start: str | None = None, end: str | None = None, **parts: Any) -> dict[str, Any]:
    hours = {} if start is None else {"generalHours": {"start": start, "end": end}}
    return {"enabled": True, **hours, **parts}


def week(session_settings: Any = None, **days: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"standardHours": days}
    return found if session_settings is None else {**found, "sessionSettings": session_settings}


def today(*hours: str, **parts: Any) -> dict[str, Any]:
    """A week that has hours on the weekday of TOMORROW only."""
    return week(**{TODAYS_NAME: day(*hours, **parts)})


def save(connection: Connection, therapist: UUID | None, document: Any) -> None:
    """As an app's upsert does it."""
    run(
        connection,
        "insert into availability_weekly_schedules (therapist_id, weekly_availability) values (%s, %s)"
        " on conflict (therapist_id) do update set weekly_availability = excluded.weekly_availability",
        therapist, Jsonb(document),
    )  # fmt: skip


def windows(world: World, therapist: UUID) -> list[tuple[int, str, str]]:
    return [
        (weekday, f"{start:%H:%M}", f"{end:%H:%M}")
        for weekday, start, end, *_ in world.run("select * from get_weekly_hours(%s)", therapist)
    ]


def exceptions(world: World, therapist: UUID, date: dt.date = TOMORROW) -> list[str]:
    """Windows of a date that has hours of its own; "closed" if there are none."""
    statement = "select start_time, end_time from list_date_overrides(%s, %s, %s)"
    return [
        f"{start:%H:%M}-{end:%H:%M}" if start else "closed"
        for start, end in world.run(statement, therapist, date, date)
    ]


def slots(world: World, therapist: UUID, date: dt.date = TOMORROW, step: int = 60) -> list[str]:
    statement = "select local_time from list_available_slots(%s, %s, %s, 60, null, %s)"
    return [f"{local:%H:%M}" for (local,) in world.run(statement, therapist, date, date, step)]


def untranslated(world: World) -> list[tuple[str, str | None, str | None, str]]:
    statement = "select table_name, therapist_id, override_date, problem from bookingdb.untranslated_availability()"
    return [(row[0], row[1], row[2], row[3]) for row in world.run(statement)]


def events(world: World, therapist: UUID) -> int:
    statement = "select count(*) from bookingdb.outbox where event = 'availability.changed' and subject_id = %s"
    return int(world.scalar(statement, therapist))


@contextmanager
def warnings_of(connection: Connection) -> Iterator[list[str]]:
    found: list[str] = []

    def keep(diagnostic: psycopg.errors.Diagnostic) -> None:
        assert diagnostic.severity == "WARNING"
        found.append(diagnostic.message_primary or "")

    connection.add_notice_handler(keep)
    yield found
    connection.remove_notice_handler(keep)


# ----------------------------------------------------------------------------------------------------------------------
# Documents
# ----------------------------------------------------------------------------------------------------------------------


def translated(world: World, document: Any) -> list[tuple[int, str, str]]:
    rows = world.run("select * from bookingdb.schedule_windows(%s)", Jsonb(document))
    assert [problem for *_, problem in rows if problem] == []
    return [(weekday, f"{start:%H:%M}", f"{end:%H:%M}") for weekday, start, end, _ in rows]


def slot(start: Any, end: Any, **says: Any) -> dict[str, Any]:
    return {"start": start, "end": end, **says}


GENERAL = ("09:00", "17:00")
LUNCH = slot("12:00", "13:00", type="break")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (week(monday=day(*GENERAL)), [(1, "09:00", "17:00")]),
        (week(monday={**day(*GENERAL), "enabled": False}), []),
        (week(monday={**day("nonsense", "x"), "enabled": False}), []),
        (week(monday={"generalHours": {"start": "09:00", "end": "17:00"}}), []),
        (week(monday=day(), tuesday=None, sunday=day(*GENERAL)), [(7, "09:00", "17:00")]),
        (week(MONDAY=day(*GENERAL), dienstag=day("08:00", "09:00")), [(1, "09:00", "17:00"), (2, "08:00", "09:00")]),
        # Breaks are taken out of the general hours, what is available is added, and what is off wins.
        (week(monday=day(*GENERAL, timeSlots=[LUNCH])), [(1, "09:00", "12:00"), (1, "13:00", "17:00")]),
        (week(monday=day(*GENERAL, timeSlots=[slot("16:00", "18:00", type="unavailable")])), [(1, "09:00", "16:00")]),
        (week(monday=day(timeSlots=[slot("09:00", "12:00", type="available"), slot("12:00", "14:00", type="available"),
                                    LUNCH])),
         [(1, "09:00", "12:00"), (1, "13:00", "14:00")]),
        (week(monday=day(*GENERAL, timeSlots=[slot("18:00", "20:00", type="available")])),
         [(1, "09:00", "17:00"), (1, "18:00", "20:00")]),
        (week(monday=day(*GENERAL, customSlots=[slot("18:00", "20:00", isAvailable=True),
                                                slot("10:00", "11:00", isAvailable=False)])),
         [(1, "09:00", "10:00"), (1, "11:00", "17:00"), (1, "18:00", "20:00")]),
        # isAvailable is what counts, whatever the type is.
        (week(monday=day(customSlots=[slot("18:00", "20:00", isAvailable=True, type="video")])),
         [(1, "18:00", "20:00")]),
        (week(monday=day(*GENERAL, customSlots=[slot("16:00", "20:00", isAvailable=True)])), [(1, "09:00", "20:00")]),
        (week(monday=day("09:00", "12:00", timeSlots=[slot("12:00", "13:00", type="available")])),
         [(1, "09:00", "13:00")]),
        (week(monday=day(*GENERAL, timeSlots=[slot("08:00", "18:00", type="break")])), []),
        # Parts that are not there.
        (week(monday=day(None, timeSlots=None, customSlots=[None, {}, slot("", None)])), []),
        (week(monday={**day(*GENERAL), "generalHours": None}), []),
        (week(monday=day("", "", timeSlots=[])), []),
        ({}, []), (None, []), ({"standardHours": None}, []), ({"standardHours": {}}, []), ("", []), ("null", []),
        ({"sessionSettings": {"bufferTime": 10}}, []),
        # Ways of writing times.
        (week(monday=day("9:00", "17:00:00")), [(1, "09:00", "17:00")]),
        (week(monday=day(" 9:00 AM", "5:30 pm ")), [(1, "09:00", "17:30")]),
        (week(monday=day("12:00 AM", "12:00 PM")), [(1, "00:00", "12:00")]),
        (week(monday=day("12:30pm", "1:00PM")), [(1, "12:30", "13:00")]),
        (week(monday=day("20:00", "24:00")), [(1, "20:00", "00:00")]),
        (week(monday=day("20:00", "23:59"), tuesday=day("20:00", "23:59:59")),
         [(1, "20:00", "00:00"), (2, "20:00", "00:00")]),
        (week(monday=day("20:00", "23:58")), [(1, "20:00", "23:58")]),
        (week(monday=day("00:00", "24:00")), [(1, "00:00", "00:00")]),
        # Across midnight; a break is a time on the clock.
        (week(monday=day("22:00", "06:00")), [(1, "22:00", "06:00")]),
        (week(monday=day("22:00", "06:00", timeSlots=[slot("23:30", "00:30", type="break")])),
         [(1, "22:00", "23:30"), (2, "00:30", "06:00")]),
        (week(sunday=day("22:00", "06:00", timeSlots=[slot("02:00", "03:00", type="break")]),
              monday=day("05:00", "09:00")),
         [(1, "03:00", "09:00"), (7, "22:00", "02:00")]),
        # More than 24 hours are two windows.
        (week(monday=day("08:00", "07:59", timeSlots=[slot("07:00", "08:30", type="available"),
                                                      slot("20:00", "10:00", type="available")])),
         [(1, "07:00", "07:00"), (1, "23:59", "10:00")]),
        # JSON in a text.
        (json.dumps(week(monday=day(*GENERAL))), [(1, "09:00", "17:00")]),
        (json.dumps(json.dumps(week(monday=day(*GENERAL)))), [(1, "09:00", "17:00")]),
    ],
)  # fmt: skip
def test_schedule_document_becomes_its_windows(
    clean_world: World, document: Any, expected: list[tuple[int, str, str]]
) -> None:
    assert translated(clean_world, document) == expected


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ([], ["the schedule is no JSON object"]),
        (7, ["the schedule is no JSON object"]),
        ("{broken", ["the schedule is no JSON object"]),
        ("[" * 50_000, ["the schedule is no JSON object"]),
        ({"monday": day(*GENERAL)}, ["the schedule has no standardHours"]),
        ({"standardHours": [day(*GENERAL)]}, ["standardHours is no JSON object"]),
        (week(funday=day(*GENERAL), monday=day(*GENERAL)), ['"funday" is no day']),
        (week(funday=None), ['"funday" is no day']),
        (week(monday=day(*GENERAL), Montag=day(*GENERAL)), ["monday is there twice"]),
        (week(monday="09:00-17:00"), ["monday is no JSON object"]),
        (week(monday={"enabled": "perhaps"}), ["monday.enabled is neither true nor false"]),
        (week(monday=day("09:00", None)), ["monday.generalHours has a start and no end"]),
        (week(monday=day("", "17:00")), ["monday.generalHours has an end and no start"]),
        (week(monday=day("25:00", "26:00")), ['monday.generalHours starts at "25:00", which is no time']),
        (week(monday=day("24:00", "02:00")), ['monday.generalHours starts at "24:00", which is no time']),
        (week(monday=day("09:00", "13:00 PM")), ['monday.generalHours ends at "13:00 PM", which is no time']),
        (week(monday=day("09:00", "0:00 AM")), ['monday.generalHours ends at "0:00 AM", which is no time']),
        (week(monday=day("09:00", "17:00:30")), ['monday.generalHours ends at "17:00:30", which is no time']),
        (week(monday=day("09:00", "17:60")), ['monday.generalHours ends at "17:60", which is no time']),
        (week(monday={"enabled": True, "generalHours": {"start": 9, "end": 17}}),
         ['monday.generalHours starts at "9", which is no time']),
        (week(monday={"enabled": True, "generalHours": {"start": {"hour": 9}, "end": "17:00"}}),
         ['monday.generalHours starts at "{"hour": 9}", which is no time']),
        (week(monday=day("00:00", "0:00")), ['monday.generalHours starts and ends at "00:00"']),
        (week(monday={"enabled": True, "generalHours": "all day"}), ["monday.generalHours is no JSON object"]),
        (week(monday=day(timeSlots={})), ["monday.timeSlots is no list"]),
        (week(monday=day(customSlots=["09:00"])), ["monday.customSlots[0] is no object"]),
        (week(monday=day(customSlots=[None, slot("09:00", "10:00")])),
         ["monday.customSlots[1] does not say whether it is available"]),
        (week(monday=day(timeSlots=[slot("09:00", "10:00", type="holiday")])),
         ['monday.timeSlots[0] is "holiday", which is unknown']),
        (week(monday=day(timeSlots=[slot("09:00", None, type="break")])),
         ["monday.timeSlots[0] has a start and no end"]),
        # Everything that is wrong is said.
        (week(monday=day("9", "10:00", timeSlots=3)),
         ['monday.generalHours starts at "9", which is no time', "monday.timeSlots is no list"]),
    ],
)  # fmt: skip
def test_unreadable_schedule_is_reported_and_never_guessed(
    clean_world: World, document: Any, problems: list[str]
) -> None:
    rows = clean_world.run("select * from bookingdb.schedule_windows(%s)", Jsonb(document))
    assert rows == [(None, None, None, problem) for problem in problems]


# ----------------------------------------------------------------------------------------------------------------------
# The model: minutes of a day that are looked at one after the other
# ----------------------------------------------------------------------------------------------------------------------

DAY = 1440
Span = tuple[int, int]


class PlannedDay(NamedTuple):
    """Spans are minutes of the clock; an end before the start is on the next day."""

    enabled: bool
    general: Span | None
    time_slots: list[tuple[Span, str]]
    custom_slots: list[tuple[Span, bool]]


def lies_in(minute: int, span: Span) -> bool:
    """Whether a minute, counted from the midnight at which the day begins, is within a span that starts on the day."""
    start, end = span
    return start <= minute < (end if end > start else end + DAY)


def is_shown(minute: int, span: Span) -> bool:
    """Whether the clock shows a time within the span at this minute."""
    start, end = span
    clock = minute % DAY
    return start <= clock < end if start < end else clock >= start or clock < end


def is_open(minute: int, opens: list[Span], offs: list[Span]) -> bool:
    return any(lies_in(minute, span) for span in opens) and not any(is_shown(minute, span) for span in offs)


def model_of(days: dict[str, PlannedDay]) -> set[int]:
    """The minutes of the week, from Monday's midnight, that are open; those after Sunday are Monday's."""
    found = set()
    for name, planned in days.items():
        if not planned.enabled:
            continue
        opens = [planned.general] if planned.general else []
        opens += [span for span, type_ in planned.time_slots if type_ == "available"]
        opens += [span for span, available in planned.custom_slots if available]
        offs = [span for span, type_ in planned.time_slots if type_ != "available"]
        offs += [span for span, available in planned.custom_slots if not available]
        midnight = DAYS.index(name) * DAY
        found |= {(midnight + minute) % (7 * DAY) for minute in range(2 * DAY) if is_open(minute, opens, offs)}
    return found


def minutes_of(rows: list[tuple[int, dt.time, dt.time]]) -> list[int]:
    """The minutes of windows (day, start, end), each as often as it is in one."""
    found = []
    for number, start, end in rows:
        first = start.hour * 60 + start.minute
        last = end.hour * 60 + end.minute
        found += [number * DAY + minute for minute in range(first, last if last > first else last + DAY)]
    return found


@st.composite
def clock_texts(draw: st.DrawFn, minute: int) -> str:
    hour, rest = divmod(minute, 60)
    twelve = f"{(hour + 11) % 12 + 1}:{rest:02} {'AM' if hour < 12 else 'PM'}"
    return draw(st.sampled_from([f"{hour:02}:{rest:02}", f"{hour}:{rest:02}", f"{hour:02}:{rest:02}:00", twelve]))


# Without the last of the day, which as an end means midnight.
clock_minutes = st.one_of(st.integers(0, 47).map(lambda half: half * 30), st.integers(0, DAY - 2))
spans = st.tuples(clock_minutes, clock_minutes).filter(lambda span: span[0] != span[1])
planned_days = st.builds(
    PlannedDay,
    st.sampled_from([True, True, True, False]),
    st.none() | spans,
    st.lists(st.tuples(spans, st.sampled_from(["available", "break", "unavailable"])), max_size=4),
    st.lists(st.tuples(spans, st.booleans()), max_size=3),
)
plans = st.dictionaries(st.sampled_from(DAYS), planned_days, max_size=4)


def written_day(draw: st.DrawFn, planned: PlannedDay) -> dict[str, Any]:
    def window(span: Span) -> dict[str, Any]:
        start, end = span
        text = "24:00" if end == 0 and draw(st.booleans()) else draw(clock_texts(end))
        return {"start": draw(clock_texts(start)), "end": text}

    return {
        "enabled": planned.enabled,
        "generalHours": window(planned.general) if planned.general else draw(st.sampled_from([None, {}])),
        "timeSlots": [{**window(span), "type": type_} for span, type_ in planned.time_slots],
        "customSlots": [{**window(span), "isAvailable": available} for span, available in planned.custom_slots],
    }


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, PlannedDay], Any]:
    days = draw(plans)
    document = {"standardHours": {name.title(): written_day(draw, planned) for name, planned in days.items()}}
    return days, draw(st.sampled_from([document, json.dumps(document)]))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents())
def test_a_document_means_what_the_model_says_minute_by_minute(
    clean_world: World, drawn: tuple[dict[str, PlannedDay], Any]
) -> None:
    days, document = drawn
    note(json.dumps(document))
    rows = clean_world.run("select * from bookingdb.schedule_windows(%s)", Jsonb(document))
    assert all(problem is None for *_, problem in rows)

    found = minutes_of([(weekday - 1, start, end) for weekday, start, end, _ in rows])
    assert {minute % (7 * DAY) for minute in found} == model_of(days)
    # Windows of a day that overlap or touch are one; only more than 24 hours take two.
    for (weekday, _, end, _), (next_weekday, start, _, _) in pairwise(rows):
        assert weekday < next_weekday or end < start or start == dt.time(23, 59)


class PlannedOverride(NamedTuple):
    """A row of shape A with slots."""

    kind: str
    active: bool
    span: Span | None
    slots: list[tuple[Span, bool]]


planned_overrides = st.builds(
    PlannedOverride,
    st.sampled_from(["custom_hours", "unavailable"]),
    st.sampled_from([True, True, False]),
    st.none() | spans,
    st.lists(st.tuples(spans, st.booleans()), max_size=3),
).filter(
    # What cannot be understood has tests of its own.
    lambda row: row.span or row.slots or row.kind == "unavailable"
).map(
    lambda row: row if row.kind == "custom_hours" else row._replace(slots=[(span, False) for span, _ in row.slots])
)  # fmt: skip


def override_model(rows: list[PlannedOverride], week_spans: list[Span]) -> set[int] | None:
    """The open minutes of the date and the next; None: the week holds."""
    active = [row for row in rows if row.active]
    if any(row.kind == "unavailable" and not row.span and not row.slots for row in active):
        return set()
    said = [(row.span, row.kind == "custom_hours") for row in active if row.span]
    said += [(span, is_available) for row in active for span, is_available in row.slots]
    if not said:
        return None
    opens = [span for span, is_available in said if is_available] or week_spans
    offs = [span for span, is_available in said if not is_available]
    return {minute for minute in range(2 * DAY) if is_open(minute, opens, offs)}


@st.composite
def override_cases(draw: st.DrawFn) -> tuple[list[PlannedOverride], list[Span], list[dict[str, Any]]]:
    planned = draw(st.lists(planned_overrides, max_size=3))
    week_spans = draw(st.lists(spans, max_size=2))
    rows = [
        {
            "override_type": row.kind,
            "is_active": row.active,
            "custom_start": draw(clock_texts(row.span[0])) if row.span else None,
            "custom_end": draw(clock_texts(row.span[1])) if row.span else None,
            "custom_slots": json.dumps([
                {"start": draw(clock_texts(span[0])), "end": draw(clock_texts(span[1])), "isAvailable": is_available}
                for span, is_available in row.slots
            ]),
        }
        for row in planned
    ]  # fmt: skip
    return planned, week_spans, rows


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(override_cases())
def test_overrides_mean_what_the_model_says_minute_by_minute(
    clean_world: World, case: tuple[list[PlannedOverride], list[Span], list[dict[str, Any]]]
) -> None:
    planned, week_spans, rows = case
    expected = override_model(planned, week_spans)
    given_week = ", ".join(f"[{start},{end if end > start else end + DAY})" for start, end in week_spans)
    found = clean_world.run(
        "select * from bookingdb.override_windows(%s, %s, %s::int4multirange)",
        Jsonb(rows), Jsonb(BY_TYPE_WITH_SLOTS), f"{{{given_week}}}",
    )  # fmt: skip

    if expected is None:
        assert found == []
    elif any(minute >= DAY and minute - 1 not in expected for minute in expected):
        # Hours that begin on the next date cannot be said about this one.
        assert found == [(None, None, "what is left of the hours begins on the next date")]
    elif not expected:
        assert found == [(None, None, None)]
    else:
        assert set(minutes_of([(0, start, end) for start, end, _ in found])) == expected


# ----------------------------------------------------------------------------------------------------------------------
# Weekly schedules as the app writes them
# ----------------------------------------------------------------------------------------------------------------------


def test_schedule_written_by_the_app_decides_what_can_be_booked(app: World) -> None:
    therapist, client = app.therapist("Europe/Berlin"), app.client(10)
    assert app.book(client, therapist, "03:00")["status"] == "scheduled"

    save(app.connection, therapist, today("09:00", "13:00", timeSlots=[slot("10:30", "11:00", type="break")]))
    assert slots(app, therapist, step=30) == ["09:00", "09:30", "11:00", "11:30", "12:00"]
    assert slots(app, therapist, NEXT_DAY) == []
    with refused("outside_availability") as refusal:
        app.book(client, therapist, "10:00")
    assert refusal.detail["rule"] == "weekly_hours"
    assert app.book(client, therapist, "11:00")["status"] == "scheduled"

    # The upsert that updates.
    save(app.connection, therapist, today("14:00", "16:00"))
    assert slots(app, therapist) == ["14:00", "15:00"]
    assert windows(app, therapist) == [(TOMORROW.isoweekday(), "14:00", "16:00")]
    assert untranslated(app) == []
    assert app.violations() == []


@pytest.mark.parametrize(
    "document",
    [week(**{name: {"enabled": False, "generalHours": {"start": "09:00", "end": "17:00"}} for name in DAYS}), {}, None],
)
def test_a_therapist_without_any_hours_cannot_be_booked(app: World, document: Any) -> None:
    therapist, client = app.therapist(), app.client(3)
    save(app.connection, therapist, document)
    assert slots(app, therapist) == []
    assert code_and_rule(app, client, therapist) == ("outside_availability", "require_hours")

    # Nor one whose schedule is deleted.
    save(app.connection, therapist, today("09:00", "17:00"))
    assert len(slots(app, therapist)) == 8
    app.run("delete from availability_weekly_schedules")
    assert windows(app, therapist) == []
    assert code_and_rule(app, client, therapist) == ("outside_availability", "require_hours")
    # Somebody else is not concerned.
    assert app.book(client, app.therapist())["status"] == "scheduled"


def code_and_rule(world: World, client: UUID, therapist: UUID, at: str = "10:00") -> tuple[str, str]:
    with refused("outside_availability") as refusal:
        world.book(client, therapist, at)
    return refusal.detail["code"], refusal.detail["rule"]


def test_deleting_an_unread_schedule_closes_the_therapist(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, "nonsense")
    # Nothing is known: as it was.
    assert len(slots(app, therapist)) == 24
    app.run("delete from availability_weekly_schedules")
    assert slots(app, therapist) == []


def test_broken_document_fails_no_write_and_changes_nothing(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    with warnings_of(app.connection) as warnings:
        save(app.connection, therapist, week(monday=day(*GENERAL), funday=day(*GENERAL)))

    assert warnings == [f'bookingdb: weekly hours of therapist {therapist} stay as they were: "funday" is no day']
    assert app.scalar("select weekly_availability #>> '{standardHours,funday,enabled}' from " + WEEKLY) == "true"
    assert slots(app, therapist) == ["09:00", "10:00"]
    assert untranslated(app) == [("public." + WEEKLY, str(therapist), None, '"funday" is no day')]
    key = app.scalar("select id from availability_weekly_schedules")
    assert app.scalar("select row_key from bookingdb.untranslated_availability()") == {"id": str(key)}

    with warnings_of(app.connection) as warnings:
        save(app.connection, therapist, today("12:00", "13:00"))
    assert warnings == []
    assert slots(app, therapist) == ["12:00"]
    assert untranslated(app) == []


def test_schedules_in_a_text_column_by_a_text_id(world: World) -> None:
    app = with_schedules(world, "text", "text")
    therapist = app.therapist()
    insert = "insert into availability_weekly_schedules (therapist_id, weekly_availability) values (%s, %s)"
    app.run(insert, str(therapist).upper(), json.dumps(today("09:00", "11:00")))
    assert slots(app, therapist) == ["09:00", "10:00"]

    for broken in ("{", "9 to 5", "[" * 20_000, '"\\u0000"'):
        with warnings_of(app.connection) as warnings:
            app.run("update availability_weekly_schedules set weekly_availability = %s", broken)
        assert len(warnings) == 1
        assert slots(app, therapist) == ["09:00", "10:00"]
        assert [row[3] for row in untranslated(app)] == ["the schedule is no JSON object"]

    app.run("update availability_weekly_schedules set weekly_availability = null")
    assert (slots(app, therapist), untranslated(app)) == ([], [])
    # Somebody who is no UUID.
    with warnings_of(app.connection) as warnings:
        app.run(insert, "Grace", json.dumps(today("09:00", "11:00")))
    assert len(warnings) == 1
    assert [row[1:] for row in untranslated(app)] == [("Grace", None, "the therapist's id is no UUID")]


def test_json_that_jsonb_cannot_hold(world: World) -> None:
    app = with_schedules(world, "json")
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    with warnings_of(app.connection) as warnings:
        app.run('update availability_weekly_schedules set weekly_availability = \'{"standardHours": "\\u0000"}\'')
    assert len(warnings) == 1
    assert slots(app, therapist) == ["09:00", "10:00"]
    ((table, _, _, problem),) = untranslated(app)
    assert (table, "u0000" in problem or "Unicode" in problem) == ("public." + WEEKLY, True)


@pytest.mark.parametrize(
    ("value", "minutes"),
    [(0, 0), (15, 15), (720, 720), ("20", 20), (30.0, 30), (None, 5), ("", 5)],
)
def test_the_buffer_becomes_the_therapists(app: World, value: Any, minutes: int) -> None:
    therapist = app.therapist()
    app.run("select set_policy(%s, %s)", Jsonb({"buffer_after_minutes": 5, "buffer_before_minutes": 3}), therapist)
    with warnings_of(app.connection) as warnings:
        save(app.connection, therapist, {**today("09:00", "11:00"), "sessionSettings": {"bufferTime": value}})
    policy = app.run("select buffer_after_minutes, buffer_before_minutes from get_policy(%s)", therapist)
    assert policy == [(minutes, 3)]
    assert (warnings, untranslated(app)) == ([], [])


@pytest.mark.parametrize("value", [721, -5, 7.5, "some", [], {}, True, 10**30])
def test_buffer_that_is_no_number_stays_as_it_was(app: World, value: Any) -> None:
    therapist = app.therapist()
    app.run("select set_policy(%s, %s)", Jsonb({"buffer_after_minutes": 5}), therapist)
    with warnings_of(app.connection) as warnings:
        save(app.connection, therapist, {**today("09:00", "11:00"), "sessionSettings": {"bufferTime": value}})
    assert len(warnings) == 1
    assert app.scalar("select buffer_after_minutes from get_policy(%s)", therapist) == 5
    assert windows(app, therapist) == [(TOMORROW.isoweekday(), "09:00", "11:00")]
    ((_, person, _, problem),) = untranslated(app)
    assert person == str(therapist)
    assert problem.startswith("sessionSettings.bufferTime is ")


def test_the_buffer_keeps_bookings_apart(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, {**today("09:00", "13:00"), "sessionSettings": {"bufferTime": 30}})
    app.book(app.client(1), therapist, "10:00")
    assert slots(app, therapist, step=30) == ["11:30", "12:00"]


def test_a_schedule_that_changes_hands(app: World) -> None:
    first, second = app.therapist(), app.therapist()
    save(app.connection, first, today("09:00", "11:00"))
    app.run("update availability_weekly_schedules set therapist_id = %s", second)
    assert (slots(app, first), slots(app, second)) == ([], ["09:00", "10:00"])
    with warnings_of(app.connection) as warnings:
        app.run("update availability_weekly_schedules set therapist_id = null")
    assert len(warnings) == 1
    assert slots(app, second) == []
    assert [row[1:] for row in untranslated(app)] == [(None, None, "the therapist's id is no UUID")]


def test_several_schedules_of_a_therapist_are_not_chosen_from(app: World) -> None:
    app.run("alter table availability_weekly_schedules drop constraint availability_weekly_schedules_therapist_id_key")
    therapist = app.therapist()
    insert = "insert into availability_weekly_schedules (therapist_id, weekly_availability) values (%s, %s)"
    app.run(insert, therapist, Jsonb(today("09:00", "11:00")))
    with warnings_of(app.connection) as warnings:
        app.run(insert, therapist, Jsonb(today("12:00", "13:00")))
    assert len(warnings) == 1
    assert slots(app, therapist) == ["09:00", "10:00"]
    assert {row[3] for row in untranslated(app)} == {"the therapist has several schedules"}
    assert len(untranslated(app)) == 2

    app.run("delete from availability_weekly_schedules where weekly_availability::text like '%%09:00%%'")
    assert (slots(app, therapist), untranslated(app)) == (["12:00"], [])


def test_only_the_active_schedule_counts(world: World) -> None:
    world.run(MAKE_WEEKLY.format(type="jsonb", id_type="uuid").replace("unique", ""))
    world.run("alter table availability_weekly_schedules add column is_active boolean")
    attach(world, WEEKLY, "schedules_changed", {**SCHEDULES, "active": "is_active"})
    therapist = world.therapist()
    insert = "insert into availability_weekly_schedules (therapist_id, weekly_availability, is_active) values"
    world.run(
        insert + "(%s, %s, false), (%s, %s, true)",
        therapist, Jsonb(today("09:00", "11:00")), therapist, Jsonb(today("12:00", "13:00")),
    )  # fmt: skip
    assert (slots(world, therapist), untranslated(world)) == (["12:00"], [])
    with warnings_of(world.connection) as warnings:
        world.run("update availability_weekly_schedules set is_active = null where is_active")
    assert len(warnings) == 1
    assert slots(world, therapist) == ["12:00"]
    assert [row[3] for row in untranslated(world)] == ["it does not say whether it is active"]


def test_many_schedules_in_one_statement(app: World) -> None:
    therapists = [app.therapist() for _ in range(70)]
    values = ", ".join(f"('{therapist}')" for therapist in therapists)
    app.run(f"insert into availability_weekly_schedules (therapist_id) values {values}")
    assert slots(app, therapists[69]) == []
    app.run("update availability_weekly_schedules set weekly_availability = %s", Jsonb(today("09:00", "11:00")))
    assert {tuple(slots(app, therapist)) for therapist in therapists} == {("09:00", "10:00")}


def test_an_event_for_each_change_and_for_nothing_else(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    assert events(app, therapist) == 1
    app.run("update availability_weekly_schedules set updated_at = now() + interval '1 s'")
    app.run("update availability_weekly_schedules set updated_at = null where false")
    assert events(app, therapist) == 1
    save(app.connection, therapist, today("09:00", "12:00"))
    assert events(app, therapist) == 2


def test_an_event_for_each_change_of_exceptions(by_type: World) -> None:
    therapist = by_type.therapist()
    insert_into(by_type, OVERRIDES, therapist_id=therapist, date=TOMORROW, override_type="unavailable")
    assert events(by_type, therapist) == 1
    by_type.run("update availability_overrides set override_type = 'UNAVAILABLE'")
    assert events(by_type, therapist) == 1
    by_type.run("delete from availability_overrides")
    assert events(by_type, therapist) == 2


def test_writers_of_the_apps_table_need_no_right_on_ours(app: World) -> None:
    therapist = app.therapist()
    app.run("grant insert on availability_weekly_schedules to app_servers")
    with app.connect(user="postgres") as connection:
        run(connection, "set role app_servers")
        run(
            connection,
            "insert into availability_weekly_schedules (therapist_id, weekly_availability) values (%s, %s)",
            therapist, Jsonb(today("09:00", "11:00")),
        )  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(connection, "select bookingdb.translate_availability(null)")
    assert slots(app, therapist) == ["09:00", "10:00"]


def test_a_column_that_the_app_renames_fails_no_write(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    app.run("alter table availability_weekly_schedules rename weekly_availability to hours")
    with warnings_of(app.connection) as warnings:
        app.run("update availability_weekly_schedules set hours = '{}'")
    assert len(warnings) == 1
    assert [row[3] for row in untranslated(app)] == ['the table has no column "weekly_availability"']
    app.run("alter table availability_weekly_schedules rename therapist_id to person")
    with warnings_of(app.connection) as warnings:
        app.run("update availability_weekly_schedules set hours = null")
    assert len(warnings) == 1
    assert [row[3] for row in untranslated(app)] == [f'public.{WEEKLY} has no column "therapist_id"']
    assert slots(app, therapist) == ["09:00", "10:00"]


def test_rows_hidden_by_row_security_count(app: World) -> None:
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    # With row level security alone the owner sees everything.
    app.run("alter table availability_weekly_schedules enable row level security")
    save(app.connection, therapist, today("12:00", "14:00"))
    assert slots(app, therapist) == ["12:00", "13:00"]
    app.run("alter table availability_weekly_schedules force row level security")
    with app.connect(user="postgres") as superuser, warnings_of(superuser) as warnings:
        save(superuser, therapist, today("09:00", "11:00"))
    assert len(warnings) == 1
    assert slots(app, therapist) == ["12:00", "13:00"]
    ((table, person, _, problem),) = untranslated(app)
    assert (table, person, "row-level security" in problem) == ("public." + WEEKLY, None, True)


def test_a_warning_is_short_however_much_is_wrong(app: World) -> None:
    therapist = app.therapist()
    with warnings_of(app.connection) as warnings:
        save(app.connection, therapist, today(timeSlots=[slot("soon", "later", type="break")] * 500))
    ((_, _, _, problem), *_) = listed = untranslated(app)
    assert len(listed) == 500
    assert (len(warnings), problem in warnings[0], len(warnings[0]) < 1200) == (1, True, True)


def test_the_apps_triggers_are_no_business_of_an_installation(by_type: World) -> None:
    app = by_type
    statement = "select count(*) from pg_trigger where tgname like 'bookingdb_availability_%%'"
    assert app.scalar(statement) == 6
    assert verify.verify(app.connection) == []
    installer.migrate(app.connection, reapply=True)
    assert app.scalar(statement) == 6
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "11:00"))
    assert slots(app, therapist) == ["09:00", "10:00"]


# ----------------------------------------------------------------------------------------------------------------------
# Exceptions as the app writes them
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_type(app: World) -> World:
    return with_overrides(app, MAKE_BY_TYPE, BY_TYPE)


@pytest.fixture
def by_flag(app: World) -> World:
    return with_overrides(app, MAKE_BY_FLAG, BY_FLAG)


@pytest.fixture
def with_slots(app: World) -> World:
    return with_overrides(app, MAKE_BY_TYPE_WITH_SLOTS, BY_TYPE_WITH_SLOTS)


def insert_into(world: World, table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    world.run(f"insert into {table} ({names}) values ({marks})", *values.values())


def test_overrides_by_type(by_type: World) -> None:
    app = by_type
    therapist, client = app.therapist(), app.client(9)
    save(app.connection, therapist, {"standardHours": {name: day(*GENERAL) for name in DAYS}})
    add = partial(insert_into, app, OVERRIDES, therapist_id=therapist, date=TOMORROW)

    # Two windows are two rows.
    add(override_type="custom_hours", start_time="18:00", end_time="20:00")
    assert slots(app, therapist) == ["18:00", "19:00"]
    add(override_type="custom_hours", start_time="07:00", end_time="08:00")
    assert slots(app, therapist) == ["07:00", "18:00", "19:00"]
    with refused("outside_availability") as refusal:
        app.book(client, therapist, "10:00")
    assert refusal.detail["rule"] == "date_override"
    assert app.book(client, therapist, "18:00")["status"] == "scheduled"
    assert len(slots(app, therapist, NEXT_DAY)) == 8

    # Off for a part of it, then for all of it.
    add(override_type="unavailable", start_time="19:30", end_time="23:00")
    assert exceptions(app, therapist) == ["07:00-08:00", "18:00-19:30"]
    add(override_type="Unavailable")
    assert exceptions(app, therapist) == ["closed"]
    with refused("outside_availability"):
        app.book(client, therapist, "07:00")

    app.run("update availability_overrides set is_active = false where start_time is null")
    assert exceptions(app, therapist) == ["07:00-08:00", "18:00-19:30"]
    # Another date.
    app.run("update availability_overrides set date = date + 1 where override_type = 'custom_hours'")
    assert exceptions(app, therapist, NEXT_DAY) == ["07:00-08:00", "18:00-20:00"]
    assert exceptions(app, therapist) == ["09:00-17:00"]
    app.run("delete from availability_overrides")
    assert exceptions(app, therapist) == exceptions(app, therapist, NEXT_DAY) == []
    assert len(slots(app, therapist)) == 8
    assert untranslated(app) == []
    assert app.violations() == []


def test_overrides_by_flag(by_flag: World) -> None:
    app = by_flag
    therapist, other, client = app.therapist(), app.therapist(), app.client(9)
    save(app.connection, therapist, {"standardHours": {name: day(*GENERAL) for name in DAYS}})
    upsert = (
        "insert into availability_overrides values (%s, %s, %s, %s, %s) on conflict (therapist_id, date)"
        " do update set is_available = excluded.is_available, start_time = excluded.start_time,"
        " end_time = excluded.end_time"
    )
    app.run(upsert, therapist, TOMORROW, False, None, None)
    assert exceptions(app, therapist) == ["closed"]
    with refused("outside_availability"):
        app.book(client, therapist, "10:00")
    app.run(upsert, therapist, TOMORROW, True, "18:00", "20:00")
    assert slots(app, therapist) == ["18:00", "19:00"]
    assert app.book(client, therapist, "18:00")["status"] == "scheduled"
    app.run(upsert, therapist, TOMORROW, False, "09:00", "15:00")
    assert exceptions(app, therapist) == ["15:00-17:00"]
    app.run(upsert, therapist, TOMORROW, True, None, None)
    assert (exceptions(app, therapist), len(slots(app, therapist))) == ([], 8)

    app.run(upsert, therapist, TOMORROW, False, None, None)
    app.run("update availability_overrides set therapist_id = %s", other)
    assert (exceptions(app, therapist), exceptions(app, other)) == ([], ["closed"])
    # Whose hours are not known is there all day.
    app.run(upsert, other, TOMORROW, False, "09:00", "15:00")
    assert exceptions(app, other) == ["00:00-09:00", "15:00-00:00"]
    assert untranslated(app) == []


def test_overrides_with_slots_in_a_text(with_slots: World) -> None:
    app = with_slots
    therapist = app.therapist()
    save(app.connection, therapist, today(*GENERAL))
    add = partial(insert_into, app, OVERRIDES, therapist_id=str(therapist), override_date=TOMORROW.isoformat())
    two = [slot("09:00", "10:00"), {"startTime": "11:00", "endTime": "12:00"}]
    add(override_type="custom_hours", custom_slots=json.dumps(two))
    assert exceptions(app, therapist) == ["09:00-10:00", "11:00-12:00"]
    app.run(
        "update availability_overrides set custom_start = '2:00 PM', custom_end = '6:00 PM', custom_slots = %s",
        json.dumps([slot("15:00", "16:00", isAvailable=False)]),
    )
    assert exceptions(app, therapist) == ["14:00-15:00", "16:00-18:00"]
    app.run("delete from availability_overrides")
    add(override_type="unavailable", custom_slots=json.dumps([slot("09:00", "16:00")]))
    assert exceptions(app, therapist) == ["16:00-17:00"]
    assert untranslated(app) == []


def test_times_off_follow_the_week(by_type: World) -> None:
    app = by_type
    therapist = app.therapist()
    save(app.connection, therapist, today("09:00", "13:00"))
    insert_into(app, OVERRIDES, therapist_id=therapist, date=TOMORROW, override_type="unavailable",
                start_time="12:00", end_time="15:00")  # fmt: skip
    insert_into(app, OVERRIDES, therapist_id=therapist, date=NEXT_DAY, override_type="custom_hours",
                start_time="12:00", end_time="15:00")  # fmt: skip
    assert exceptions(app, therapist) == ["09:00-12:00"]
    save(app.connection, therapist, today("11:00", "17:00"))
    assert exceptions(app, therapist) == ["11:00-12:00", "15:00-17:00"]
    save(app.connection, therapist, {})
    assert (exceptions(app, therapist), exceptions(app, therapist, NEXT_DAY)) == (["closed"], ["12:00-15:00"])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"override_type": "holiday"}, '"holiday" is unknown'),
        ({"override_type": None}, "it does not say what holds on the date"),
        ({"override_type": "custom_hours"}, "it has custom hours and no times"),
        ({"override_type": "custom_hours", "custom_start": "09:00"}, "it has a start and no end"),
        ({"override_type": "unavailable", "custom_start": "9", "custom_end": "10"},
         'it starts at "9", which is no time'),
        ({"override_type": "unavailable", "is_active": None}, "it does not say whether it is active"),
        ({"override_type": "custom_hours", "custom_slots": "{}"}, "slots is no list"),
        ({"override_type": "custom_hours", "custom_slots": "09:00-10:00"}, "slots is no list"),
        ({"override_type": "unavailable", "custom_slots": '[{"start": "09:00", "end": "10:00", "isAvailable": true}]'},
         "slots are available on a date that is not"),
        ({"override_type": "custom_hours", "custom_slots":
          '[{"start": "22:00", "end": "06:00"}, {"start": "01:00", "end": "02:00", "type": "break"}]'},
         "what is left of the hours begins on the next date"),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_understood_changes_nothing(
    with_slots: World, values: dict[str, Any], problem: str
) -> None:
    app = with_slots
    therapist = app.therapist()
    common = {"therapist_id": str(therapist), "override_date": TOMORROW.isoformat()}
    insert_into(app, OVERRIDES, **common, override_type="custom_hours", custom_start="09:00", custom_end="11:00")
    with warnings_of(app.connection) as warnings:
        insert_into(app, OVERRIDES, **common, **values)
    hours = f"bookingdb: hours of therapist {therapist} on {TOMORROW} stay as they were: "
    assert warnings == [hours + problem]
    assert exceptions(app, therapist) == ["09:00-11:00"]
    listed = {(row[1], row[2], row[3]) for row in untranslated(app)}
    assert listed == {(str(therapist), TOMORROW.isoformat(), problem)}

    app.run("delete from availability_overrides where id = (select max(id) from availability_overrides)")
    assert untranslated(app) == []


@pytest.mark.parametrize("date", [None, "2026-02-30", "soon", "1066-10-14", "2026-03-01T00:00:00+01:00"])
def test_an_override_without_a_date_is_listed(with_slots: World, date: str | None) -> None:
    therapist = with_slots.therapist()
    with warnings_of(with_slots.connection) as warnings:
        insert_into(with_slots, OVERRIDES, therapist_id=str(therapist), override_date=date, override_type="unavailable")
    assert len(warnings) == 1
    assert untranslated(with_slots) == [
        ("public." + OVERRIDES, str(therapist), date, "the date is none between 1900 and 2999")
    ]


def test_a_flag_that_says_nothing_is_listed(by_flag: World) -> None:
    therapist = by_flag.therapist()
    with warnings_of(by_flag.connection) as warnings:
        insert_into(by_flag, OVERRIDES, therapist_id=therapist, date=TOMORROW)
    assert len(warnings) == 1
    assert exceptions(by_flag, therapist) == []
    assert [row[1:] for row in untranslated(by_flag)] == [
        (str(therapist), TOMORROW.isoformat(), "it does not say what holds on the date")
    ]
    # Without a primary key a row is told by all that is in it.
    assert by_flag.scalar("select row_key ->> 'date' from bookingdb.untranslated_availability()") == str(TOMORROW)


# ----------------------------------------------------------------------------------------------------------------------
# What was there before
# ----------------------------------------------------------------------------------------------------------------------


def test_all_that_is_there_is_taken_over_at_once(world: World) -> None:
    world.run(MAKE_WEEKLY.format(type="jsonb", id_type="uuid"))
    world.run(MAKE_BY_TYPE)
    good, broken, stranger = world.therapist(), world.therapist(), uuid4()
    save(world.connection, good, today("09:00", "13:00"))
    save(world.connection, broken, {"standardHours": 1})
    save(world.connection, stranger, today("09:00", "13:00"))
    insert_into(world, OVERRIDES, therapist_id=good, date=TOMORROW, override_type="unavailable",
                start_time="09:00", end_time="10:00")  # fmt: skip
    insert_into(world, OVERRIDES, therapist_id=good, date=NEXT_DAY, override_type="?")
    assert world.run("select * from bookingdb.translate_availability(null)") == []
    with refused("invalid_parameter"):
        world.run("select * from bookingdb.translate_availability('availability_overrides')")

    attach(world, OVERRIDES, "overrides_changed", BY_TYPE)
    attach(world, WEEKLY, "schedules_changed", SCHEDULES)
    assert world.run("select * from bookingdb.translate_availability(null)") == [
        ("public." + WEEKLY, 2, 1), ("public." + OVERRIDES, 1, 1),
    ]  # fmt: skip
    assert exceptions(world, good) == ["10:00-13:00"]
    assert len(slots(world, broken)) == 24
    assert {(row[1], row[3]) for row in untranslated(world)} == {
        (str(broken), "standardHours is no JSON object"), (str(good), '"?" is unknown'),
    }  # fmt: skip
    # Who can be booked later has hours then.
    assert world.scalar("select count(*) from bookingdb.weekly_hours where therapist_id = %s", stranger) == 1

    before = events(world, good)
    assert world.run("select * from bookingdb.translate_availability(%s)", WEEKLY) == [("public." + WEEKLY, 2, 1)]
    assert events(world, good) == before
    # It can be asked before there are triggers.
    statement = "select problem from bookingdb.unread_availability('schedules', %s, %s)"
    assert world.run(statement, WEEKLY, Jsonb(SCHEDULES)) == [("standardHours is no JSON object",)]


# ----------------------------------------------------------------------------------------------------------------------
# Forced: the app changes hours under a booking, and a booking is made under a change
# ----------------------------------------------------------------------------------------------------------------------

CLOSE_THE_WEEK = "update availability_weekly_schedules set weekly_availability = '{}' where therapist_id = %s"
CLOSE_THE_DATE = (
    f"insert into availability_overrides (therapist_id, date, override_type) values (%s, '{TOMORROW}', 'unavailable')"
)
changes = pytest.mark.parametrize("statement", [CLOSE_THE_WEEK, CLOSE_THE_DATE], ids=["week", "date"])


@changes
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_booking_that_waits_for_the_apps_change_obeys_it(by_type: World, statement: str, ending: str) -> None:
    app = by_type
    therapist, client = app.therapist(), app.client(5)
    save(app.connection, therapist, today(*GENERAL))
    with holding(app) as changing, session_of(app) as booking:
        run(changing, statement, therapist)
        future = waiting(app, partial(book, client=client, therapist=therapist), booking)
        changing.execute(ending)
        assert outcome(future.result) == ("outside_availability" if ending == "commit" else "done")
    assert app.balance(client) == (5 if ending == "commit" else 4)
    assert app.violations() == []


@changes
def test_apps_change_waits_for_a_booking_and_leaves_it(by_type: World, statement: str) -> None:
    app = by_type
    therapist, client = app.therapist(), app.client(5)
    save(app.connection, therapist, today(*GENERAL))
    with holding(app) as booking, session_of(app) as changing:
        session = book(booking, client, therapist)
        future = waiting(app, lambda connection: run(connection, statement, therapist), changing)
        booking.execute("commit")
        future.result()
    assert app.scalar("select status from sessions where id = %s", session["id"]) == "scheduled"
    assert slots(app, therapist) == []
    assert app.violations() == []


def test_two_rows_of_one_date_written_at_once_both_count(by_type: World) -> None:
    app = by_type
    therapist = app.therapist()
    insert = (
        "insert into availability_overrides (therapist_id, date, override_type, start_time, end_time)"
        " values (%s, %s, 'custom_hours', %s, %s)"
    )
    with holding(app) as first, session_of(app) as second:
        run(first, insert, therapist, TOMORROW, "09:00", "10:00")
        future = waiting(app, lambda connection: run(connection, insert, therapist, TOMORROW, "12:00", "13:00"), second)
        first.execute("commit")
        future.result()
    assert exceptions(app, therapist) == ["09:00-10:00", "12:00-13:00"]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_hours_are_not_computed_from_rows_deleted_since(by_type: World, level: str) -> None:
    app = by_type
    therapist = app.therapist()
    insert = (
        "insert into availability_overrides (therapist_id, date, override_type, start_time, end_time)"
        " values (%s, %s, 'custom_hours', %s, %s)"
    )
    app.run(insert, therapist, TOMORROW, "09:00", "17:00")
    with session_of(app) as late:
        run(late, f"begin isolation level {level}")
        run(late, "select count(*) from availability_overrides")
        app.run("delete from availability_overrides")
        # A part of the day that was still there in the snapshot.
        assert outcome(partial(run, late, insert, therapist, TOMORROW, "10:00", "11:00")) == "40001"
    app.run(insert, therapist, TOMORROW, "10:00", "11:00")
    assert exceptions(app, therapist) == ["10:00-11:00"]


def test_change_that_waits_too_long_is_busy_not_broken(app: World) -> None:
    therapist, client = app.therapist(), app.client(1)
    save(app.connection, therapist, today(*GENERAL))
    with holding(app) as booking, session_of(app) as changing:
        book(booking, client, therapist)
        run(changing, "set lock_timeout = '50ms'")
        with refused("busy"):
            run(changing, CLOSE_THE_WEEK, therapist)
    assert windows(app, therapist) == [(TOMORROW.isoweekday(), *GENERAL)]


def test_deleting_a_person_and_schedule_waits_for_no_booking(by_type: World) -> None:
    """The booking goes on to look at the person's row, which the deletion has locked: they would wait crosswise."""
    app = by_type
    app.run(
        "alter table availability_weekly_schedules add foreign key (therapist_id) references users on delete cascade;"
        "alter table availability_overrides add foreign key (therapist_id) references users on delete cascade"
    )
    # Ours would refuse first.
    with app.connect(user="postgres") as superuser:
        run(superuser, "alter table users disable trigger _bookingdb_people_delete")
    for prepare in (
        partial(save, app.connection, document=today(*GENERAL)),
        lambda therapist: run(app.connection, CLOSE_THE_DATE, therapist),
    ):
        therapist = app.therapist()
        prepare(therapist)
        with holding(app) as booking, session_of(app) as deleting:
            run(booking, "select lock_for_booking(array[%s])", therapist)
            begun = time.monotonic()
            with refused("busy"):
                run(deleting, "delete from users where id = %s", therapist)
            # At once, and not when the statement's time is over.
            assert time.monotonic() - begun < 10
        app.run("delete from users where id = %s", therapist)
        for table in ("weekly_hours", "date_overrides"):
            assert app.scalar(f"select count(*) from bookingdb.{table} where therapist_id = %s", therapist) == 0
    assert app.count(WEEKLY) == app.count(OVERRIDES) == 0
