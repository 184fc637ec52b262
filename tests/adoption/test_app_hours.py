"""What an app obeyed of the hours that it keeps: asked with evidence, and kept by default."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bookingdb.checks import verify
from tests.apps import CLIENT, OTHER_THERAPIST, THERAPIST, differences, rows, schema_dump
from tests.support import ROOT, connect, run, scalar
from tests.support.adoption import plan_at_once, read_only
from tests.support.commands import bookingdb, done
from tests.support.databases import url_of

SCRIPT = (ROOT / "tests" / "apps" / "plain_tables.sql").read_text(encoding="utf-8")
_numbers = itertools.count(1)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = {"start": "09:00", "end": "17:00"}

MakeApp = Callable[..., str]


@pytest.fixture
def make_app(server_url: str) -> Iterator[MakeApp]:
    """Makes the smallest app with more in it: statements, schedules of therapists, sessions at some hours."""
    names = []

    def make(
        more: str = "", schedules: dict[UUID, Any] | None = None, sessions: dict[UUID, list[str]] | None = None
    ) -> str:
        name = f"hours_{next(_numbers)}"
        names.append(name)
        with connect(server_url) as connection:
            run(connection, f"create database {name} owner owner")
        url = url_of(server_url, name, "owner")
        with connect(url, options="-c timezone=UTC") as connection:
            run(connection, SCRIPT + "delete from sessions;" + more)
            if schedules is not None:
                run(
                    connection,
                    "create table availability_weekly_schedules ("
                    " id uuid primary key default gen_random_uuid(), therapist_id uuid, weekly_availability jsonb)",
                )
            for therapist, document in (schedules or {}).items():
                run(
                    connection,
                    "insert into availability_weekly_schedules (therapist_id, weekly_availability) values (%s, %s)",
                    therapist,
                    json.dumps(document),
                )
            for therapist, hours in (sessions or {}).items():
                for week, hour in enumerate(hours, start=-3):
                    run(connection, INSERT_SESSION, therapist, CLIENT, hour, week)
        return url

    yield make
    with connect(server_url) as connection:
        for name in names:
            run(connection, f"drop database {name} with (force)")


# Of an hour on a Tuesday, some weeks from now.
INSERT_SESSION = """
    insert into sessions (therapist_id, user_id, start_time, end_time, status)
    select v.therapist, v.client, v.start, v.start + interval '1 hour', 'completed'
    from (
        select w.therapist, w.client, date_trunc('week', now()) + make_interval(weeks => w.week, days => 1) + w.hour
        from (values (%s::uuid, %s::uuid, %s::interval, %s::integer)) as w (therapist, client, hour, week)
    ) as v (therapist, client, start)
"""


def week(**day: Any) -> dict[str, Any]:
    """A document in which every day is the same."""
    return {"standardHours": {name: {"enabled": True, "generalHours": HOURS, **day} for name in DAYS}}


def plan_of(url: str, folder: Path, **answers: str) -> dict[str, Any]:
    """The plan for these answers, and the zones, which every one of these apps is asked for."""
    path = folder / "plan.toml"
    plan_at_once(url, path, {"zone": "UTC", "zone.timestamps": "UTC", **answers})
    return tomllib.loads(path.read_text(encoding="utf-8"))


def text_of(folder: Path) -> str:
    """The comments of the plan as one line."""
    return " ".join((folder / "plan.toml").read_text(encoding="utf-8").replace("\n# ", " ").split())


def found(plan: dict[str, Any], heading: str) -> list[str]:
    return [line for entry in plan["found"] if entry["what"] == heading for line in entry["lines"]]


def adopt(url: str, folder: Path) -> None:
    done(url, "adopt", "--apply", folder / "plan.toml")
    with connect(url) as connection:
        assert verify.verify(connection) == []


def tuesday(weeks: int = 4) -> dt.date:
    today = dt.datetime.now(dt.UTC).date()
    return today + dt.timedelta(days=(1 - today.weekday()) % 7 + 7 * weeks)


def is_bookable(url: str, hour: str, therapist: UUID = THERAPIST) -> bool:
    """Tell whether a session of an hour can be booked on a Tuesday to come; nothing is booked."""
    book = "select from create_session_with_credit_deduction(%s, %s, %s, %s, 60)"
    with connect(url) as connection, connection.transaction(force_rollback=True):
        try:
            run(connection, book, CLIENT, therapist, tuesday(), hour)
        except psycopg.Error as error:
            refusal = str(error.diag.message_primary)
        else:
            return True
    assert "outside available hours" in refusal or "herapist" in refusal
    return False


# ----------------------------------------------------------------------------------------------------------------------
# Breaks
# ----------------------------------------------------------------------------------------------------------------------

BREAK = {"start": "12:00", "end": "13:00"}
WITH_BREAKS = {
    "slots of type break": {"timeSlots": [{**BREAK, "type": "break"}]},
    "a list of the day": {"breaks": [BREAK]},
    "one of the day": {"lunchBreak": {**BREAK, "enabled": True}},
    "a list of the hours": {"generalHours": {**HOURS, "unavailable": [BREAK]}},
}
with_breaks = pytest.mark.parametrize("day", WITH_BREAKS.values(), ids=WITH_BREAKS)


@with_breaks
def test_breaks_without_sessions_are_obeyed(make_app: MakeApp, tmp_path: Path, day: dict[str, Any]) -> None:
    url = make_app(schedules={THERAPIST: week(**day)}, sessions={THERAPIST: ["10:00", "11:00", "13:00"]})

    plan = plan_of(url, tmp_path)

    assert plan["answers"]["schedule.breaks"] == "obey"
    said = text_of(tmp_path)
    assert f"Therapists with breaks in their hours: 1 (for example {THERAPIST}: monday 12:00-13:00, tuesday 12" in said
    assert "Sessions in these breaks: 0; in the rest of these therapists' hours: 3." in said
    adopt(url, tmp_path)
    assert [is_bookable(url, hour) for hour in ("11:00", "12:00", "13:00")] == [True, False, True]


@with_breaks
def test_breaks_in_which_sessions_were_booked_do_not_count(
    make_app: MakeApp, tmp_path: Path, day: dict[str, Any]
) -> None:
    url = make_app(schedules={THERAPIST: week(**day)}, sessions={THERAPIST: ["10:00", "12:00", "12:30"]})

    plan = plan_of(url, tmp_path)

    assert plan["answers"]["schedule.breaks"] == "ignore"
    assert "Sessions in these breaks: 2; in the rest of these therapists' hours: 1." in text_of(tmp_path)
    adopt(url, tmp_path)
    assert [is_bookable(url, hour) for hour in ("11:00", "12:00", "13:00")] == [True, True, True]


def test_answer_about_breaks_holds_for_later_documents(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(schedules={THERAPIST: week(breaks=[BREAK])}, sessions={THERAPIST: ["12:00"]})
    plan_of(url, tmp_path, **{"schedule.breaks": "obey"})
    adopt(url, tmp_path)
    assert not is_bookable(url, "12:00")

    with connect(url) as connection:
        later = week(breaks=[{"start": "15:00", "end": "16:00"}])
        run(connection, "update availability_weekly_schedules set weekly_availability = %s", json.dumps(later))

    assert [is_bookable(url, hour) for hour in ("12:00", "15:00")] == [True, False]


def test_break_that_is_no_time_is_not_understood(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(schedules={THERAPIST: week(lunch="at noon"), OTHER_THERAPIST: week(lunch=False)})

    plan = plan_of(url, tmp_path)

    # What is not understood does not count as a break: the rows are listed as soon as breaks are obeyed.
    assert plan["answers"]["schedule.breaks"] == "obey"
    assert "Therapists with breaks in their hours: 0." in text_of(tmp_path)
    lines = found(plan, "schedules")
    assert any("rows that are not understood: 1, of 1 therapists" in line for line in lines), lines
    assert any(str(THERAPIST) in line and "monday.timeSlots[0] is no object" in line for line in lines), lines


READS_HOURS = """
    create function is_within_hours(p_therapist uuid, p_hour time) returns boolean language sql as $$
        -- breaks, customSlots: not yet
        select exists (
            select from availability_weekly_schedules as s
            where s.weekly_availability -> 'standardHours' -> 'monday' -> 'generalHours' ->> 'start' < p_hour::text
        )
    $$;
"""


def test_breaks_that_the_only_reader_does_not_name_do_not_count(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(schedules={THERAPIST: week(breaks=[BREAK], customSlots=[{**BREAK, "isAvailable": True}])})
    with connect(url) as connection:
        run(connection, READS_HOURS)

    plan = plan_of(url, tmp_path)

    assert (plan["answers"]["schedule.breaks"], plan["answers"]["schedule.slots"]) == ("ignore", "ignore")
    reader = "public.is_within_hours(uuid,time without time zone) reads the table (generalHours); its text has no word"
    assert reader in text_of(tmp_path)


# ----------------------------------------------------------------------------------------------------------------------
# Slots beside general hours
# ----------------------------------------------------------------------------------------------------------------------

SLOTS = {
    "timeSlots": [{"start": "10:00", "end": "12:00", "type": "available"}],
    "customSlots": [{"start": "18:00", "end": "20:00", "isAvailable": True}],
}


@pytest.mark.parametrize(
    ("sessions", "answer", "bookable"),
    [
        # At 10 in both, at 14 in the general hours only, at 18 in a slot only.
        (["10:00", "14:00", "18:00"], "add", [True, True, True]),
        (["10:00", "14:00"], "add", [True, True, True]),
        (["10:00", "18:00"], "instead", [True, False, True]),
        (["10:00"], "instead", [True, False, True]),
        ([], "add", [True, True, True]),
    ],
)
def test_slots_count_as_the_sessions_prove(
    make_app: MakeApp, tmp_path: Path, sessions: list[str], answer: str, bookable: list[bool]
) -> None:
    url = make_app(schedules={THERAPIST: week(**SLOTS)}, sessions={THERAPIST: sessions})

    plan = plan_of(url, tmp_path)

    assert plan["answers"]["schedule.slots"] == answer
    adopt(url, tmp_path)
    assert [is_bookable(url, hour) for hour in ("10:00", "14:00", "18:00")] == bookable


def test_slots_beside_general_hours_can_be_ignored(make_app: MakeApp, tmp_path: Path) -> None:
    slots_alone = week(**SLOTS, generalHours=None)
    url = make_app(schedules={THERAPIST: week(**SLOTS), OTHER_THERAPIST: slots_alone})
    plan_of(url, tmp_path, **{"schedule.slots": "ignore"})
    adopt(url, tmp_path)

    assert [is_bookable(url, hour) for hour in ("10:00", "14:00", "18:00")] == [True, True, False]
    assert [is_bookable(url, hour, OTHER_THERAPIST) for hour in ("10:00", "14:00", "18:00")] == [True, False, True]


# ----------------------------------------------------------------------------------------------------------------------
# What is not understood
# ----------------------------------------------------------------------------------------------------------------------


def test_keys_that_nobody_reads_are_in_the_plan(make_app: MakeApp, tmp_path: Path) -> None:
    document = {**week(room="Blue"), "timezone": "Africa/Lagos", "sessionSettings": {"bufferTime": 5, "notice": 24}}
    url = make_app(schedules={THERAPIST: document, OTHER_THERAPIST: week()})

    lines = found(plan_of(url, tmp_path), "schedules")

    table = "public.availability_weekly_schedules: bookingdb ignores"
    assert lines == [
        f"{table} sessionSettings.notice (1 therapists, for example 24)",
        f'{table} standardHours.*.room (1 therapists, for example "Blue")',
        f'{table} timezone (1 therapists, for example "Africa/Lagos")',
    ]


def test_rows_that_are_not_understood_are_in_the_plan(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(
        "create table availability_overrides (id int primary key, therapist_id uuid, date date, is_available boolean);"
        f"insert into availability_overrides values (7, '{THERAPIST}', '2030-01-01', null),"
        f" (8, '{THERAPIST}', '2030-01-02', false)",
        schedules={THERAPIST: week(), OTHER_THERAPIST: {"standardHours": {"funday": {"enabled": True}}}},
    )

    lines = found(plan_of(url, tmp_path), "schedules")

    assert [line for line in lines if str(OTHER_THERAPIST) in line and '"funday" is no day' in line]
    said = f'public.availability_overrides: {{"id": 7}}, therapist {THERAPIST}: it does not say what holds on the date'
    assert said in lines
    assert not [line for line in lines if '{"id": 8}' in line]


def test_standby_gets_a_plan_that_says_what_it_does_not_know(make_app: MakeApp, tmp_path: Path) -> None:
    """Nothing can be made there, not even for the moment."""
    url = make_app(schedules={THERAPIST: week(breaks=[BREAK])})

    lines = found(plan_of(read_only(url), tmp_path), "schedules")

    assert lines == ["nothing here was compared with rows: this role or server cannot make temporary functions"]


def test_making_the_plan_leaves_nothing_in_the_database(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(schedules={THERAPIST: week(breaks=[BREAK])})
    before = schema_dump(url)

    plan_of(url, tmp_path)

    with connect(url) as connection:
        assert scalar(connection, "select count(*) from pg_proc where proname = 'is_break'") == 0
    assert schema_dump(url) == before


def test_undo_gives_hours_back_as_they_were(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(schedules={THERAPIST: week(**SLOTS, breaks=[BREAK])}, sessions={THERAPIST: ["10:00", "12:00"]})
    schema, content = schema_dump(url), rows(url)
    plan_of(url, tmp_path)
    adopt(url, tmp_path)

    done(url, "adopt", "--undo")

    assert schema_dump(url) == schema
    assert differences(content, rows(url)) == []


# ----------------------------------------------------------------------------------------------------------------------
# Addresses of enrollments
# ----------------------------------------------------------------------------------------------------------------------

ENROLLED = """
    alter table users add column full_name text;
    create table therapist_enrollments (email text, status text, is_active boolean);
    insert into therapist_enrollments values ('A1@plain.example', 'approved', true);
    insert into therapist_enrollments values ('a2@plain.example', 'approved', true);
"""
COMPARES = """
    create function may_be_booked(p_email text) returns boolean language sql as $$
        select exists (select from therapist_enrollments as e where {} and e.status = 'approved')
    $$;
"""


@pytest.mark.parametrize(
    ("comparison", "sessions", "answer"),
    [
        ("e.email = p_email", [], "exact"),
        # Sessions prove more than a text.
        ("e.email = p_email", ["10:00"], "any"),
        ("lower(e.email) = lower(p_email)", [], "any"),
        (None, [], "any"),
    ],
)
def test_enrollment_in_other_capitals_counts_as_before(
    make_app: MakeApp, tmp_path: Path, comparison: str | None, sessions: list[str], answer: str
) -> None:
    more = ENROLLED + (COMPARES.format(comparison) if comparison else "")
    url = make_app(more, sessions={THERAPIST: sessions})

    plan = plan_of(url, tmp_path)

    assert plan["answers"]["people.email_case"] == answer
    said = f"Therapists whose approved enrollment has their address only in other capitals: 1 ({THERAPIST})."
    assert said in text_of(tmp_path)
    effect = "can be booked" if answer == "any" else "cannot be booked"
    named = [line for line in found(plan, "people") if str(THERAPIST) in line]
    assert named == [f"therapist {THERAPIST} {effect}: enrolled in other capitals; {len(sessions)} sessions so far"]
    adopt(url, tmp_path)
    assert [is_bookable(url, "15:00", who) for who in (THERAPIST, OTHER_THERAPIST)] == [answer == "any", True]


def test_addresses_in_the_same_capitals_name_nobody(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(ENROLLED + "update therapist_enrollments set email = lower(email);")

    plan = plan_of(url, tmp_path)

    assert "address only in other capitals: 0. Such therapists with sessions: 0." in text_of(tmp_path)
    assert found(plan, "people") == ["adapter enrollments: 2 therapists", "adapter enrollments: 3 clients"]


def test_therapist_with_sessions_who_cannot_be_booked_is_named(make_app: MakeApp, tmp_path: Path) -> None:
    come = f"insert into sessions (therapist_id, user_id, start_time, end_time) values ('{THERAPIST}', '{CLIENT}',"
    url = make_app(
        ENROLLED + "delete from therapist_enrollments where email = 'A1@plain.example';"
        f"{come} now() + interval '1 day', now() + interval '25 hours');"
    )

    people = found(plan_of(url, tmp_path), "people")

    assert f"therapist {THERAPIST} cannot be booked, and has 1 sessions to come" in people


def test_exact_addresses_outlast_an_upgrade_and_undo(make_app: MakeApp, tmp_path: Path) -> None:
    url = make_app(ENROLLED)
    schema, content = schema_dump(url), rows(url)
    plan_of(url, tmp_path, **{"people.email_case": "exact"})
    adopt(url, tmp_path)

    assert bookingdb(url, "migrate", "--reapply").exit_code == 0

    assert not is_bookable(url, "15:00")
    done(url, "adopt", "--undo")
    assert schema_dump(url) == schema
    assert differences(content, rows(url)) == []
