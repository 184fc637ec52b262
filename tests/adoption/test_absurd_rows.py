"""Rows that nobody meant: each is in a class of the plan, with what cannot be mended, and nothing fails on them."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.apps import CLIENT, OTHER_THERAPIST, differences, rows, schema_dump, session
from tests.support import ROOT, connect, run, scalar
from tests.support.adoption import answer_zones, make_again, occupied, violations, with_answers
from tests.support.commands import answer, done

pytestmark = pytest.mark.slow

ABSURD = (ROOT / "tests" / "apps" / "absurd.sql").read_text(encoding="utf-8")
absurd = pytest.mark.parametrize("smallest", [ABSURD], ids=["absurd"], indirect=True)

# By class: the sessions that are in it, and those of them that cannot be mended.
CLASSES = {
    "rows.too_long": ("01 02 03", "02 03"),
    "rows.end_out_of_range": ("11 12 13 14 22", "12"),
    "rows.start_out_of_range": ("14 15 16", "15"),
    "rows.in_progress_for_weeks": ("21 22", ""),
    "rows.with_oneself": ("31", ""),
    "rows.over_with_broken_times": ("41 42 43 44 45 46 47", "43 44 45 46"),
    "rows.duration_differs": ("51 52", ""),
}
EVERY = [number for numbers, _ in CLASSES.values() for number in numbers.split()]


def ids(numbers: str) -> list[str]:
    return [str(session(number)) for number in numbers.split()]


def plan_of(url: str, folder: Path, **answers: str) -> tuple[Path, dict[str, Any]]:
    """The plan of the database, made again with these answers (of `rows.`)."""
    path = folder / "plan.toml"
    done(url, "adopt", "--plan", "--output", path)
    answer_zones(url, path)
    named = {"zone": "UTC"} | {f"rows.{name}": value for name, value in answers.items()}
    path.write_text(with_answers(path.read_text(encoding="utf-8"), named), encoding="utf-8")
    make_again(url, path)
    return path, tomllib.loads(path.read_text(encoding="utf-8"))


@absurd
def test_absurd_row_is_in_its_class(smallest: str, tmp_path: Path) -> None:
    _, plan = plan_of(smallest, tmp_path)
    listed = {each["class"]: each for each in plan["rows"]}
    for name, (found, unmendable) in CLASSES.items():
        assert listed[name]["ids"] == ids(found), name
        assert listed[name].get("unmendable", []) == ids(unmendable), name
        assert listed[name].get("unmendable_count", 0) == len(ids(unmendable)), name
        assert name in plan["answers"]
    assert {name for name in listed if name.startswith("rows.")} == {*CLASSES}
    assert not plan["problems"]


def times(url: str, number: str) -> tuple[Any, ...]:
    """Status of a session, and from when to when it has the calendar, in minutes from its scheduled time."""
    with connect(url) as connection:
        ((status, day),) = run(
            connection,
            "select s.status, s.scheduled_date + s.scheduled_time from public.sessions as s where s.id = %s",
            session(number),
        )
        periods = [
            tuple((bound.astimezone(dt.UTC).replace(tzinfo=None) - day).total_seconds() / 60 for bound in period[:2])
            for period in occupied(connection, session(number))
        ]
        return status, periods


@absurd
def test_defaults_leave_an_absurd_database_sound(smallest: str, tmp_path: Path) -> None:
    dump, before = schema_dump(smallest), rows(smallest)
    path, _ = plan_of(smallest, tmp_path)
    done(smallest, "adopt", "--apply", path)
    outcome = {number: times(smallest, number) for number in EVERY}
    assert outcome["01"] == ("scheduled", [(0, 50)])
    assert outcome["02"] == ("confirmed", [])
    assert outcome["11"] == outcome["13"] == outcome["14"] == ("scheduled", [(0, 60)])
    assert outcome["12"] == outcome["03"] == ("scheduled", [])
    assert outcome["16"] == ("confirmed", [(0, 45)])
    assert (outcome["21"][0], outcome["22"][0]) == ("completed", "completed")
    assert times(smallest, "23")[0] == "in_progress"
    assert outcome["51"] == outcome["52"] == ("scheduled", [(0, 45)])
    assert outcome["31"] == ("scheduled", [(0, 60)])
    with connect(smallest) as connection:
        durations = "select s.duration_minutes from sessions as s where s.id = any (%s) order by s.id"
        assert run(connection, durations, ids("51 52 53")) == [(45,), (45,), (60,)]
        assert violations(connection) == []
        with pytest.raises(psycopg.Error, match=r"[Cc]onflict"):
            book_at(connection, "31")
    for command in (["verify"], ["lint"], ["selftest"]):
        done(smallest, *command)
    report = answer(smallest, "adopt", "--report")
    assert {each["id"] for each in report["unplaced"]} == set(ids("02 03 12 15"))
    done(smallest, "adopt", "--undo")
    assert schema_dump(smallest) == dump
    assert differences(before, rows(smallest)) == []


def book_at(connection: Any, number: str) -> None:
    """Book the time at which another session is scheduled."""
    run(
        connection,
        "select b.* from public.sessions as s, lateral public.create_session_with_credit_deduction("
        " %s, %s, s.scheduled_date, s.scheduled_time, p_time_zone => 'UTC') as b where s.id = %s",
        CLIENT,
        OTHER_THERAPIST,
        session(number),
    )


OTHER_CHOICES = {
    "rows.too_long": {"leave": "scheduled", "cancel": "cancelled"},
    "rows.end_out_of_range": {"leave": "scheduled", "cancel": "cancelled"},
    "rows.start_out_of_range": {"leave": "scheduled", "cancel": "cancelled"},
    "rows.in_progress_for_weeks": {"leave": "in_progress"},
    "rows.with_oneself": {"cancel": "cancelled"},
    "rows.over_with_broken_times": {"duration": "completed"},
}


@absurd
@pytest.mark.parametrize("choice", ["leave", "cancel", "duration"])
def test_other_choice_does_what_it_says(smallest: str, tmp_path: Path, choice: str) -> None:
    before = rows(smallest)
    chosen = {name: choice for name, choices in OTHER_CHOICES.items() if choice in choices}
    path, _ = plan_of(smallest, tmp_path, **{name.removeprefix("rows."): each for name, each in chosen.items()})
    done(smallest, "adopt", "--apply", path)
    for name in chosen:
        first = ids(CLASSES[name][0])[0][-2:]
        status, periods = times(smallest, first)
        assert status == OTHER_CHOICES[name][choice]
        assert name == "rows.in_progress_for_weeks" or periods == []
    with connect(smallest) as connection:
        assert violations(connection) == []
        if choice == "duration":
            lengths = "select extract(epoch from end_time - start_time) / 60 from sessions where id = any (%s)"
            assert {each for (each,) in run(connection, lengths, ids("41 42 47"))} == {60}
    done(smallest, "adopt", "--undo")
    assert differences(before, rows(smallest)) == []


# What callers do with a session, whatever its times are. Refusals must be those of the table of errors.
CALLS = (
    "select public.reopen_session(%(id)s)",
    "select public.cancel_session(%(id)s)",
    "select public.complete_session(%(id)s)",
    "select public.confirm_session(%(id)s)",
    "select public.start_session(%(id)s)",
    "select public.mark_no_show(%(id)s)",
    "select public.reschedule_session(%(id)s, current_date + 60, '10:00')",
    "select public.transfer_session(%(id)s, '00000000-0000-4000-8000-0000000000a1')",
    "select public.explain_session(%(id)s)",
)
# What must not fail on such a session.
WRITES = (
    "update public.sessions set title = 'called them' where id = %(id)s",
    "update public.sessions set status = 'cancelled' where id = %(id)s",
    "update public.sessions set start_time = (current_date + 90) + time '09:00',"
    " end_time = (current_date + 90) + time '10:00', duration_minutes = 60 where id = %(id)s",
    "delete from public.sessions where id = %(id)s",
)
READS = (
    "select count(*) from public.list_sessions(p_limit => 100)",
    "select count(*) from public.list_sessions(p_user_id => '00000000-0000-4000-8000-0000000000c2', p_limit => 100)",
    "select count(*) from public.list_sessions(p_starts_from => now(), p_limit => 100, p_descending => true)",
    "select public.export_person('00000000-0000-4000-8000-0000000000c2')",
    "select public.export_person('00000000-0000-4000-8000-0000000000a2')",
    "select public.list_calendar_changes('00000000-0000-4000-8000-0000000000a2', now(), now() + interval '40 days')",
    "select public.list_available_slots('00000000-0000-4000-8000-0000000000a2', current_date + 22, current_date + 23)",
    "select bookingdb.housekeeping()",
)


@absurd
@pytest.mark.parametrize("leaving", [False, True], ids=["defaults", "leaving"])
def test_nothing_fails_on_what_was_left(smallest: str, tmp_path: Path, leaving: bool) -> None:
    left = [name.removeprefix("rows.") for name in CLASSES if leaving and name != "rows.duration_differs"]
    chosen = dict.fromkeys(left, "leave")
    path, _ = plan_of(smallest, tmp_path, **chosen)
    done(smallest, "adopt", "--apply", path)
    failed: list[tuple[str, str, str]] = []
    with connect(smallest) as connection:
        for statement in READS:
            attempt(connection, statement, {}, "all", failed)
        for number in [*EVERY, "23"]:
            for statement in CALLS:
                attempt(connection, statement, {"id": session(number)}, number, failed)
            for statement in WRITES:
                attempt(connection, statement, {"id": session(number)}, number, failed)
        assert violations(connection) == []
    assert not failed, "\n".join(map(str, failed))
    done(smallest, "verify")


def attempt(connection: Any, statement: str, values: dict[str, Any], number: str, failed: list[Any]) -> None:
    """Run a statement and take it back; note what is no refusal of the table, and what breaks an invariant."""
    with connection.transaction(force_rollback=True):
        try:
            with connection.transaction():
                run_named(connection, statement, values)
        except psycopg.Error as error:
            is_of_table = re.match("PT", error.sqlstate or "") and statement in CALLS
            if not is_of_table:
                failed.append((number, statement, f"{error.sqlstate} {error}"))
        if broken := violations(connection):
            failed.append((number, statement, str(broken)))


def run_named(connection: Any, statement: str, values: dict[str, Any]) -> None:
    connection.execute(statement.encode(), values)


@absurd
def test_in_progress_is_left_where_a_check_ties_the_status(smallest: str, tmp_path: Path) -> None:
    with connect(smallest) as connection:
        run(connection, "alter table sessions add check (status <> 'completed' or title is not null) not valid")
    path, plan = plan_of(smallest, tmp_path)
    assert plan["answers"]["rows.in_progress_for_weeks"] == "leave"
    done(smallest, "adopt", "--apply", path)
    with connect(smallest) as connection:
        assert scalar(connection, "select status from sessions where id = %s", session("21")) == "in_progress"
