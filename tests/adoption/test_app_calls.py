"""What the adopted app calls: it books as before."""

from __future__ import annotations

import datetime as dt
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.apps import (
    CLIENT,
    OTHER_CLIENT,
    OTHER_THERAPIST,
    POOR,
    THERAPIST,
    App,
    book,
    person,
)
from tests.support import Connection, connect, run, scalar
from tests.support.adoption import (
    Found,
    audited,
    balance,
    occupied,
    run_named,
    some_apps,
    violations,
)


def test_the_app_books_with_its_eight_named_arguments(app: App, owner: Connection, caller: Connection) -> None:
    before = balance(owner, CLIENT)
    start = app.free()
    data = book(caller, app, start)
    assert len(data) == 1
    id_ = data[0]["id"]
    assert isinstance(id_, UUID)
    assert data[0]["start_time"] == start
    assert data[0]["end_time"] == start + dt.timedelta(hours=1)
    assert data[0]["status"] == "scheduled"
    assert balance(owner, CLIENT) == before - 1
    assert audited(owner, id_) == [("created", None, "scheduled")]
    assert occupied(owner, id_) == [(start, start + dt.timedelta(hours=1), THERAPIST, CLIENT)]
    ((stored, title, notes),) = run(
        owner, "select s.start_time, s.title, s.description from public.sessions as s where s.id = %s", id_
    )
    assert (stored, title, notes) == (start, "Therapy Session", "from the app")
    assert violations(owner) == []


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Kiritimati"])
@some_apps("drift", "single_balance", "two_zones", "times")
def test_booking_is_the_same_in_every_connections_zone(
    app: App, owner: Connection, caller: Connection, zone: str
) -> None:
    run(caller, "select set_config('timezone', %s, false)", zone)
    start = app.free(hour=21)
    (booked,) = book(caller, app, start)
    assert booked["start_time"] == start
    assert scalar(owner, "select s.start_time from public.sessions as s where s.id = %s", booked["id"]) == start
    assert violations(owner) == []


def test_a_time_that_is_taken_is_told_as_a_booking_conflict(app: App, owner: Connection, caller: Connection) -> None:
    start = app.free()
    book(caller, app, start)
    before = balance(owner, OTHER_CLIENT)
    with pytest.raises(psycopg.Error, match="Booking conflict") as caught:
        book(caller, app, start + dt.timedelta(minutes=30), p_user_id=OTHER_CLIENT)
    assert caught.value.sqlstate == "PT409"
    assert balance(owner, OTHER_CLIENT) == before


def test_client_with_another_session_is_told_of_a_conflict(app: App, caller: Connection) -> None:
    start = app.free()
    book(caller, app, start)
    with pytest.raises(psycopg.Error, match="Booking conflict") as caught:
        book(caller, app, start, p_therapist_id=OTHER_THERAPIST)
    assert caught.value.sqlstate == "PT409"


def test_client_without_credits_is_not_told_of_a_conflict(app: App, caller: Connection) -> None:
    with pytest.raises(psycopg.Error, match="Insufficient credits") as caught:
        book(caller, app, app.free(), p_user_id=POOR)
    assert "conflict" not in str(caught.value.diag.message_primary).lower()


def test_unknown_or_closed_therapist_is_not_found(app: App, caller: Connection) -> None:
    for why, therapist in {"unknown": person("ff"), "a client": OTHER_CLIENT, **app.unavailable}.items():
        with pytest.raises(psycopg.Error, match="Therapist not found") as caught:
            book(caller, app, app.free(), p_therapist_id=therapist)
        assert "conflict" not in str(caught.value.diag.message_primary).lower(), why


def test_the_app_asks_for_conflicts_with_its_four_arguments(app: App, caller: Connection) -> None:
    start = app.free()
    local = start.astimezone(ZoneInfo(app.zone))
    ask = (
        "select public.check_booking_conflict("
        "p_therapist_id => %s, p_session_date => %s, p_start_time => %s, p_end_time => %s)"
    )
    arguments = [THERAPIST, local.date(), dt.time(10), dt.time(11)]
    assert scalar(caller, ask, *arguments) is False
    book(caller, app, start)
    assert scalar(caller, ask, *arguments) is True


@some_apps("clean", "drift", "two_zones")
def test_the_time_of_a_cancelled_session_can_be_booked_again(app: App, owner: Connection, caller: Connection) -> None:
    (first,) = book(caller, app, app.free())
    run_named(caller, app.change_status, {"id": first["id"], "status": "cancelled"})
    (second,) = book(caller, app, app.free(), p_user_id=OTHER_CLIENT)
    assert second["id"] != first["id"]
    assert violations(owner) == []


@some_apps("drift", "lots", "enrollments", "times")
def test_columns_that_the_old_function_filled_are_filled(app: App, owner: Connection, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free(), p_duration_minutes=45)
    stored = scalar(owner, "select to_jsonb(s) from public.sessions as s where s.id = %s", booked["id"])
    for theirs, ours in app.copies.items():
        assert stored[theirs] == stored[ours], theirs
        assert stored[theirs] is not None, theirs


@some_apps("drift", "therapists")
def test_longest_texts_fit_into_the_apps_columns(app: App, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free(), p_title="t" * 200, p_session_type="s" * 45)
    assert booked["title"] == "t" * 200


@some_apps("drift", "schedules")
def test_a_booking_tells_the_apps_notifier_once_as_before(app: App, owner: Connection, caller: Connection) -> None:
    before = scalar(owner, f"select count(*) from {app.notifications}")
    (booked,) = book(caller, app, app.free())
    told = run(owner, f"select to_jsonb(n)::text from {app.notifications} as n order by n.id desc")
    assert len(told) == before + 1
    assert str(booked["id"]) in told[0][0]
    assert str(CLIENT) in told[0][0]


@some_apps("drift", "schedules", "enrollments")
def test_a_notifier_that_fails_or_is_gone_fails_no_booking(app: App, owner: Connection, caller: Connection) -> None:
    """The one of `enrollments` fails as it was found: its table is missing."""
    book(caller, app, app.free())
    ((signature,),) = run(owner, "select oid::regprocedure::text from pg_proc where proname = 'enqueue_notification'")
    run(owner, f"drop function public.{signature}")
    book(caller, app, app.free(hour=15))
    assert violations(owner) == []


@some_apps("drift", "schedules", "enrollments")
def test_the_apps_notifier_is_preserved(app: App, found: Found, reader: Connection) -> None:
    source = "select p.prosrc from pg_proc as p where p.proname = 'enqueue_notification'"
    with connect(found.url) as before:
        assert run(reader, source) == run(before, source)


@some_apps("drift")
def test_views_of_the_app_over_its_tables_still_answer(app: App, owner: Connection, caller: Connection) -> None:
    (booked,) = book(caller, app, app.free())
    seen = run(owner, "select client, therapist from upcoming_sessions where id = %s", booked["id"])
    assert seen == [("Carla", "Ada")]
