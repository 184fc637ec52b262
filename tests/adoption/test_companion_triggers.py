"""The triggers that an adopted database gets for columns and functions of the application's own."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest

from tests.support import TOMORROW, World
from tests.support.direct_writes import DAY, insert, row, update, utc
from tests.support.life import call


def attach(world: World, name: str, events: str, function: str) -> None:
    timing = "after" if "call_notification" in function else "before"
    world.run(f"create trigger {name} {timing} {events} on sessions for each row execute function bookingdb.{function}")


# ----------------------------------------------------------------------------------------------------------------------
# Columns for the same thing
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(adopted_world: World) -> World:
    world = adopted_world
    world.run(
        "alter table sessions add column duration numeric default 60, add column notes varchar(20),"
        " add column session_date text, add column begins timestamp"
    )
    attach(world, "zz_adopted_copies", "insert or update", f"copy_columns{tuple(COPIES.split(', '))}")
    attach(world, '"~adopted_copies"', "insert or update", f"settle_columns{tuple(COPIES.split(', '))}")
    return world


COPIES = "duration, duration_minutes, notes, description, session_date, scheduled_date, begins, start_time"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"notes": "hello"}, {"description": "hello"}),
        ({"description": "hello"}, {"notes": "hello"}),
        # Both were given: ours holds.
        ({"notes": "a", "description": "b"}, {"notes": "b"}),
        ({"duration": None, "duration_minutes": 45}, {"duration": 45}),
        ({"duration": 50}, {"duration_minutes": 50}),
        ({"duration_minutes": 45}, {"duration": 45}),
        (
            {"start_time": utc(11), "end_time": utc(11, 45)},
            {
                "duration": 45,
                "duration_minutes": 45,
                "begins": dt.datetime(2030, 1, 15, 11),
                "scheduled_date": DAY,
                "session_date": "2030-01-15",
            },
        ),
        # What does not fit is cut, and what cannot be converted stays alone.
        ({"description": "long " * 5}, {"notes": "long " * 4}),
        ({"session_date": "soon"}, {}),
        ({"session_date": "2030-01-15"}, {"scheduled_date": DAY}),
        ({"scheduled_date": DAY}, {"session_date": "2030-01-15"}),
        *(
            (
                {name: value},
                {
                    "begins": dt.datetime(2030, 1, 15, 11),
                    "start_time": utc(11),
                    "scheduled_date": DAY,
                    "session_date": "2030-01-15",
                },
            )
            for name, value in (("start_time", utc(11)), ("begins", dt.datetime(2030, 1, 15, 11)))
        ),
    ],
)
def test_null_column_of_a_new_row_takes_the_others_value(
    copied: World, written: dict[str, Any], expected: dict[str, Any]
) -> None:
    session = insert(copied, **written)

    found = row(copied, session, COPIES)
    expected = {**dict.fromkeys(COPIES.split(", ")), "duration": 60, "duration_minutes": 60, **written, **expected}
    assert found == {name: expected[name] for name in found}


def test_value_written_by_a_function_overrides_a_default(copied: World) -> None:
    booked = copied.book(
        copied.client(credits=1), copied.therapist(), duration_minutes=45, notes="hello", time_zone="UTC"
    )

    assert row(copied, booked["id"], "duration, notes, session_date, begins") == {
        "duration": 45, "notes": "hello", "session_date": str(TOMORROW),
        "begins": booked["start_time"].astimezone(dt.UTC).replace(tzinfo=None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"notes": "new"}, {"description": "new"}),
        ({"description": "new"}, {"notes": "new"}),
        ({"notes": None}, {"description": None}),
        ({"notes": "a", "description": "b"}, {"notes": "b"}),
        ({"duration": 45}, {"duration_minutes": 45}),
        ({"duration_minutes": 45}, {"duration": 45}),
        ({"title": "x"}, {}),
    ],
)
def test_on_a_change_of_one_the_other_follows(copied: World, written: dict[str, Any], expected: dict[str, Any]) -> None:
    session = insert(copied, notes="old", duration_minutes=60)

    update(copied, session, **written)

    old = {"duration": 60, "duration_minutes": 60, "notes": "old", "description": "old"}
    written.pop("title", None)
    assert row(copied, session, ", ".join(old)) == {**old, **written, **expected}


def test_a_booking_that_is_moved_moves_the_copies(copied: World) -> None:
    booked = copied.book(copied.client(credits=1), copied.therapist(), time_zone="UTC")

    moved = call(
        copied.connection, "reschedule_session",
        session_id=booked["id"], session_date=TOMORROW + dt.timedelta(1), session_time="12:00", duration_minutes=90,
    )  # fmt: skip

    assert row(copied, booked["id"], "duration, session_date, begins") == {
        "duration": 90, "session_date": str(TOMORROW + dt.timedelta(1)),
        "begins": moved["start_time"].astimezone(dt.UTC).replace(tzinfo=None),
    }  # fmt: skip
    assert copied.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Notifications
# ----------------------------------------------------------------------------------------------------------------------

CALL = "select public.enqueue_notification(($1->>''user_id'')::uuid, ''session_booked'', $1)"


@pytest.fixture
def notified(adopted_world: World) -> World:
    world = adopted_world
    """With a notification function as applications have it: it relies on search_path."""
    world.run("create table notifications (user_id uuid not null, kind text not null, payload jsonb)")
    world.run(
        "create function enqueue_notification(p_user_id uuid, p_kind text, p_payload jsonb) returns void"
        " language plpgsql as $$ begin insert into notifications values (p_user_id, p_kind, p_payload); end $$"
    )
    attach(world, "notifies", "insert", f"call_notification('{CALL}')")
    return world


def warnings(world: World) -> list[str]:
    said: list[str] = []
    world.connection.add_notice_handler(
        lambda diagnostic: said.append(f"{diagnostic.severity_nonlocalized}: {diagnostic.message_primary}")
    )
    return said


def test_a_booking_notifies_and_a_direct_write_does_not(notified: World) -> None:
    said, client = warnings(notified), notified.client(credits=1)

    booked = notified.book(client, notified.therapist())
    insert(notified, user_id=client, start_time=utc(10), end_time=utc(11))

    sent = "select user_id, kind, payload ->> 'id' from notifications"
    assert notified.run(sent) == [(client, "session_booked", str(booked["id"]))]
    assert said == []
    # search_path is that of the booking function again.
    assert notified.scalar("select current_setting('search_path')") == '"$user", public'


@pytest.mark.parametrize(
    ("damage", "warned"),
    [
        ("drop function enqueue_notification", False),
        ("drop table notifications", True),
        ("alter table notifications add check (kind <> 'session_booked')", True),
        ("alter table notifications add column at timestamptz not null default nowhere()", True),
        (
            "create or replace function enqueue_notification(p_user_id uuid, p_kind text, p_payload jsonb) returns void"
            " language plpgsql as $$ begin perform nowhere(p_kind); end $$",
            True,
        ),
        (
            "create or replace function enqueue_notification(p_user_id uuid, p_kind text, p_payload jsonb) returns void"
            " language plpgsql as $$ begin raise exception 'no % here', p_kind; end $$",
            True,
        ),
    ],
)
def test_a_notification_that_fails_fails_no_booking(notified: World, damage: str, warned: bool) -> None:
    if "nowhere()" in damage:
        notified.run("create function nowhere() returns timestamptz language plpgsql as $$ begin return 1 / 0; end $$")
    notified.run(damage)
    said = warnings(notified)

    booked = notified.book(notified.client(credits=1), notified.therapist())

    assert booked["status"] == "scheduled"
    assert [text.startswith(f"WARNING: the notification of session {booked['id']} failed: ") for text in said] == (
        [True] if warned else []
    )
    assert notified.violations() == []


def test_cancelling_the_query_cancels_the_booking(notified: World) -> None:
    notified.run(
        "create or replace function enqueue_notification(p_user_id uuid, p_kind text, p_payload jsonb) returns void"
        " language plpgsql as $$ begin perform pg_sleep(30); end $$"
    )
    client, therapist = notified.client(credits=1), notified.therapist()
    notified.run("set statement_timeout = '1s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        notified.book(client, therapist)
    assert notified.count("sessions") == 0
