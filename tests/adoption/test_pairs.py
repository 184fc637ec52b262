"""Columns of an adopted app that mean the same: equal in every row, whatever is written, and by whom."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.apps import FAULTS, App, book, differences, rows, schema_dump
from tests.support import Connection, connect, run, scalar
from tests.support.adoption import Found, make_plan, violations
from tests.support.commands import done

APP = FAULTS["pairs"]
KNOWN = {"duration": "duration_minutes", "session_date": "scheduled_date", "session_time": "scheduled_time"}

# Sessions in which a pair or the times contradict each other.
BROKEN = """
    select to_jsonb(s)::text
    from public.sessions as s
    where s.created_at > now() - interval '1 day' and s.id::text not like '00000000-%' and (
        s.duration is distinct from s.duration_minutes
        or s.session_date is distinct from s.scheduled_date::text
        or s.session_time is distinct from s.scheduled_time
        or s.notes is distinct from s.description::varchar(20)
        or s.kind::text is distinct from s.session_type
        or s.end_time <> s.start_time + make_interval(mins => s.duration_minutes)
        or s.start_time at time zone s.time_zone <> s.scheduled_date + s.scheduled_time
        or s.hours <> s.duration_minutes / 60.0
    )
"""


@pytest.fixture
def app() -> App:
    return APP


def value_of(chance: random.Random, column: str, day: dt.date) -> Any:
    """A value for a column, which contradicts no other one by itself; often none."""
    hour, minutes = chance.randrange(8, 18), chance.choice([15, 30, 45, 90])
    start = dt.datetime.combine(day, dt.time(hour), dt.UTC)
    values: dict[str, Any] = {
        "duration": minutes,
        "duration_minutes": minutes,
        "session_date": str(day),
        "scheduled_date": day,
        "session_time": dt.time(hour),
        "scheduled_time": dt.time(hour),
        "start_time": start,
        "end_time": start + dt.timedelta(minutes=minutes),
        "notes": chance.choice(["a", "b", None]),
        "description": chance.choice(["c", "d" * 30, None]),
        "kind": chance.choice(["video", "phone"]),
        "session_type": chance.choice(["video", "in_person"]),
        "title": chance.choice(["first", "late", "later", "any"]),
    }
    return values[column]


COLUMNS = [
    "duration", "duration_minutes", "session_date", "scheduled_date", "session_time", "scheduled_time", "start_time",
    "end_time", "notes", "description", "kind", "session_type", "title",
]  # fmt: skip


def inserted(chance: random.Random, day: dt.date) -> dict[str, Any]:
    """The columns of a new session: instants, or a local time in one of its columns, and anything else."""
    names = chance.sample(["duration", "duration_minutes", "notes", "description", "kind", "session_type", "title"], 3)
    names += chance.choice(
        [
            ["start_time"],
            ["start_time", "end_time"],
            ["session_date", "session_time"],
            ["scheduled_date", "scheduled_time"],
        ]
    )
    return {name: value_of(chance, name, day) for name in names} | {"id": uuid4()}


def refusal(caller: Connection, statement: str, values: dict[str, Any]) -> bool:
    """Run a statement; tell whether it was refused because its times contradict each other."""
    try:
        caller.execute(statement.encode(), values)
    except psycopg.Error as error:
        if error.sqlstate != "PT400":
            raise
        return True
    return False


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_equal_after_random_writes(owner: Connection, caller: Connection, seed: int) -> None:
    chance, ids, written = random.Random(seed), list[Any](), 0
    today = dt.date.today()
    for number in range(60):
        day = today + dt.timedelta(days=60 + number)
        if number % 3 == 0 or not ids:
            values = inserted(chance, day)
            names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
            statement = f"insert into public.sessions ({names}) values ({places})"
        else:
            chosen = chance.sample(COLUMNS, chance.randrange(1, 4))
            values = {name: value_of(chance, name, day) for name in chosen} | {"id": chance.choice(ids)}
            setting = ", ".join(f"{name} = %({name})s" for name in chosen)
            statement = f"update public.sessions set {setting} where id = %(id)s"
        if refusal(caller, statement, values):
            continue
        written += 1
        if "insert" in statement:
            ids.append(values["id"])
        assert run(owner, BROKEN) == [], (statement, values)
    assert written > 40
    assert violations(owner) == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, 50),
        ({"duration": 45}, 45),
        ({"duration_minutes": 45}, 45),
        ({"duration": 45, "duration_minutes": None}, 45),
        ({"duration": 45, "duration_minutes": 30}, 30),
        ({"title": "first"}, 40),
        ({"title": "late"}, 50),
        ({"end": 35}, 35),
        ({"end": 35, "title": "later"}, 35),
        ({"end": 35, "title": "late"}, 35),
    ],
)
def test_new_session_has_the_duration_that_was_given(
    owner: Connection, caller: Connection, written: dict[str, Any], expected: int
) -> None:
    start = APP.free()
    values = {"start_time": start, **{k: v for k, v in written.items() if k != "end"}}
    if "end" in written:
        values["end_time"] = start + dt.timedelta(minutes=written["end"])
    names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    ((*stored, end),) = caller.execute(
        f"insert into public.sessions ({names}) values ({places})"
        " returning duration::int, duration_minutes, end_time".encode(),
        values,
    ).fetchall()
    assert stored == [expected, expected]
    assert end == start + dt.timedelta(minutes=expected)
    assert run(owner, BROKEN) == []


def test_rows_by_copy_and_of_many_at_once_have_equal_pairs(owner: Connection, caller: Connection) -> None:
    day = dt.date.today() + dt.timedelta(days=200)
    with caller.cursor().copy("copy public.sessions (session_date, session_time, duration, notes) from stdin") as copy:
        for number in range(5):
            copy.write_row((str(day + dt.timedelta(days=number)), "09:00", 30, "copied"))
    assert run(owner, BROKEN) == []
    new = "notes = 'copied'"
    assert run(caller, f"select distinct description, duration_minutes from public.sessions where {new}") == [
        ("copied", 30)
    ]
    for setting in (
        "duration = 75",
        "end_time = end_time + interval '15 minutes'",
        "session_time = '11:00'",
        "notes = 'copied'",
    ):
        caller.execute(f"update public.sessions set {setting} where {new}".encode())
        assert run(owner, BROKEN) == []
    assert run(caller, f"select distinct duration::int, scheduled_time from public.sessions where {new}") == [
        (90, dt.time(11))
    ]


def test_upsert_has_equal_pairs(owner: Connection, caller: Connection) -> None:
    id_, start = uuid4(), APP.free()
    for minutes in (30, 45, 45, 90):
        run(
            caller,
            "insert into public.sessions (id, start_time, duration) values (%s, %s, %s)"
            " on conflict (id) do update set duration = excluded.duration",
            id_, start, minutes,
        )  # fmt: skip
        assert run(owner, BROKEN) == []
        assert scalar(caller, "select duration_minutes from public.sessions where id = %s", id_) == minutes


def test_functions_write_both_columns_of_a_pair(owner: Connection, caller: Connection) -> None:
    start = APP.free()
    book(caller, APP, start, p_duration_minutes=45, p_notes="words " * 20, p_session_type="phone")
    ((id_, duration, notes, kind),) = run(
        owner, "select id, duration, notes, kind from public.sessions where start_time = %s", start
    )
    assert (duration, notes, kind) == (45, ("words " * 20)[:20], "phone")
    assert run(owner, BROKEN) == []
    later = start + dt.timedelta(days=1)
    run(
        caller,
        "select public.reschedule_session(%s, %s, %s, 90)",
        id_, later.date(), later.time(),
    )  # fmt: skip
    assert scalar(owner, "select duration from public.sessions where id = %s", id_) == 90
    assert run(owner, BROKEN) == []


def test_value_that_a_column_cannot_hold_fails_no_booking(owner: Connection, caller: Connection) -> None:
    book(caller, APP, APP.free(), p_session_type="by letter")
    assert scalar(owner, "select session_type from public.sessions where start_time = %s", APP.free()) == "by letter"


# ----------------------------------------------------------------------------------------------------------------------
# Rows that were there
# ----------------------------------------------------------------------------------------------------------------------


def entries(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["class"]: each for each in plan["rows"]}


def test_plan_counts_the_rows_in_which_a_pair_differs(taken: Any) -> None:
    found = entries(taken.plan)
    counts = {key: each["count"] for key, each in found.items() if key.startswith("pair.")}
    assert counts == {
        "pair.duration": 20,
        "pair.session_date": 1,
        "pair.session_time": 1,
        "pair.notes": 15,
        "pair.kind": 30,
    }
    assert "duration_minutes is right in 10, duration in 9, and neither in 1" in " ".join(taken.text.split())


def test_rows_that_were_there_agree_with_their_times(taken: Any, owner: Connection) -> None:
    pairs = "select distinct duration::int, duration_minutes, session_date = scheduled_date::text, session_time"
    assert run(owner, f"{pairs} from public.sessions") == [(50, 50, True, dt.time(9))]
    filled = "select notes, description from public.sessions where description is not null order by id limit 2"
    assert run(owner, filled) == [
        ("short", "other"),
        ("a description that i", "a description that is longer than the other"),
    ]
    assert violations(owner) == []


@pytest.mark.parametrize("answer", ["bookingdb", "application", "leave"])
def test_pair_becomes_what_was_answered(found: Found, live: str, tmp_path: Path, answer: str) -> None:
    path = make_plan(APP, live, tmp_path)
    text = path.read_text(encoding="utf-8").replace('"pair.duration" = "times"', f'"pair.duration" = "{answer}"')
    path.write_text(text, encoding="utf-8")
    done(live, "adopt", "--plan", "--answers", path, "--output", path)
    done(live, "adopt", "--apply", path)
    expected = {
        "bookingdb": [(50, 50), (60, 60)],
        "application": [(50, 50), (60, 60)],
        "leave": [(50, 50), (50, 60), (60, 50)],
    }
    with connect(live) as connection:
        durations = "select distinct duration::int, duration_minutes from public.sessions where {} order by 1, 2"
        # The calendar has start and end: lengths of sessions to come must agree with it.
        assert run(connection, durations.format("start_time > now()")) == [(50, 50)]
        assert run(connection, durations.format("end_time < now()")) == expected[answer]
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert differences(found.rows, rows(live)) == []
