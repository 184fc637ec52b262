"""Schedules and exceptions of the adopted app stay in step with ours."""

from __future__ import annotations

import datetime as dt
import json

import psycopg
import pytest

from tests.apps import (
    OTHER_THERAPIST,
    THERAPIST,
    App,
    book,
    person,
)
from tests.support import Connection, run, scalar
from tests.support.adoption import (
    some_apps,
    violations,
)
from tests.support.commands import answer


@some_apps("schedules", "therapists")
def test_the_apps_schedules_are_bookingdbs_and_stay_in_step(app: App, owner: Connection, caller: Connection) -> None:
    hours = "select * from public.get_weekly_hours(%s)"
    before = run(owner, hours, THERAPIST)
    assert before
    with pytest.raises(psycopg.Error, match="outside available hours"):
        book(caller, app, app.free(hour=5))
    run(
        caller,
        "update public.availability_weekly_schedules"
        " set weekly_availability = jsonb_set(weekly_availability, '{standardHours,tuesday,enabled}', 'false')"
        " where therapist_id = %s and is_active",
        THERAPIST,
    )
    assert len(run(owner, hours, THERAPIST)) < len(before)
    with pytest.raises(psycopg.Error, match="outside available hours"):
        book(caller, app, app.free())
    run(
        caller,
        "update public.availability_weekly_schedules set weekly_availability = jsonb_set("
        "weekly_availability, '{standardHours,tuesday}', %s::jsonb) where therapist_id = %s and is_active",
        json.dumps({"enabled": True, "generalHours": {"start": "04:00", "end": "08:00"}}),
        THERAPIST,
    )
    book(caller, app, app.free(hour=5))


@some_apps("schedules", "therapists")
def test_the_apps_exceptions_are_bookingdbs_and_stay_in_step(app: App, owner: Connection, caller: Connection) -> None:
    # The script's current_date is that of UTC.
    today = dt.datetime.now(dt.UTC).date()
    listed = "select o.override_date from public.list_date_overrides(%s, %s, %s) as o"
    days = {day for (day,) in run(owner, listed, THERAPIST, today, today + dt.timedelta(days=100))}
    assert {today + dt.timedelta(days=60), today + dt.timedelta(days=61)} <= days
    tuesday = app.free(days=80)
    if app.name == "therapists":
        statement = (
            "insert into public.availability_overrides (therapist_id, date, is_available) values (%s, %s, false)"
        )
    else:
        statement = (
            "insert into public.availability_overrides (therapist_id, override_date, override_type)"
            " values (%s, %s, 'unavailable')"
        )
    run(caller, statement, THERAPIST, tuesday.date())
    with pytest.raises(psycopg.Error, match="Booking conflict"):
        book(caller, app, tuesday)
    run(caller, "delete from public.availability_overrides where therapist_id = %s", THERAPIST)
    book(caller, app, tuesday)


@some_apps("schedules", "therapists")
def test_unreadable_schedule_fails_no_write_and_is_reported(
    app: App, url: str, owner: Connection, caller: Connection
) -> None:
    broken = {"standardHours": {"monday": {"enabled": True, "generalHours": {"start": "early"}}}}
    written = scalar(
        caller,
        "insert into public.availability_weekly_schedules (therapist_id, weekly_availability)"
        " values (%s, %s::jsonb) returning id",
        OTHER_THERAPIST if app.name == "therapists" else person("c1"),
        json.dumps(broken),
    )
    reported = json.dumps(answer(url, "adopt", "--report"))
    assert str(written) in reported
    if app.name == "schedules":
        # As it was found.
        assert "00000000-0000-4000-8000-000000005c04" in reported
    assert violations(owner) == []
