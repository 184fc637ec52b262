"""The triggers that an adopted database gets for columns and functions of the application's own."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support import TOMORROW, World
from tests.support.interleaving import next_clock_change
from tests.support.life import call
from tests.support.refusals import nothing_written, refused

BERLIN = "Europe/Berlin"
HOUR = dt.timedelta(hours=1)
# No day on which the clocks change: noon in Berlin is 11:00 UTC.
DAY = dt.date(2030, 1, 15)
TIMES = "scheduled_date, scheduled_time, start_time, end_time, duration_minutes"


def utc(hour: int, minute: int = 0, day: dt.date = DAY) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


def attach(world: World, name: str, events: str, function: str) -> None:
    timing = "after" if "call_notification" in function else "before"
    world.run(f"create trigger {name} {timing} {events} on sessions for each row execute function bookingdb.{function}")


def insert(world: World, **values: Any) -> UUID:
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    session = world.scalar(f"insert into sessions ({names}) values ({places}) returning id", *values.values())
    assert isinstance(session, UUID)
    return session


def update(world: World, session: UUID, **values: Any) -> None:
    assignments = ", ".join(f"{name} = %s" for name in values)
    world.run(f"update sessions set {assignments} where id = %s", *values.values(), session)


def row(world: World, session: UUID, columns: str = TIMES) -> dict[str, Any]:
    cursor = world.connection.cursor(row_factory=dict_row)
    found = cursor.execute(f"select {columns} from sessions where id = %s".encode(), [session]).fetchone()
    assert found is not None
    return found


# ----------------------------------------------------------------------------------------------------------------------
# Times
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(world: World) -> World:
    attach(world, "times", "insert or update", f"keep_times_together('{BERLIN}')")
    return world


NOON = {"scheduled_date": DAY, "scheduled_time": dt.time(12)}
WHOLE = {**NOON, "start_time": utc(11), "end_time": utc(12, 30), "duration_minutes": 90}


@pytest.mark.parametrize(
    ("written", "differs"),
    [
        ({**NOON, "duration_minutes": 90}, {}),
        ({**NOON, "end_time": utc(12, 30)}, {}),
        ({"start_time": utc(11), "duration_minutes": 90}, {}),
        ({"start_time": utc(11), "end_time": utc(12, 30)}, {}),
        ({"scheduled_date": DAY, "start_time": utc(11), "duration_minutes": 90}, {}),
        ({"scheduled_time": dt.time(12), "start_time": utc(11), "duration_minutes": 90}, {}),
        (WHOLE, {}),
        # Nothing says when it ends.
        (NOON, {"end_time": None, "duration_minutes": None}),
        # Both were given: left as they are, whatever they say.
        ({**WHOLE, "scheduled_time": dt.time(15)}, {"scheduled_time": dt.time(15)}),
        ({**WHOLE, "duration_minutes": 10}, {"duration_minutes": 10}),
        # What says nothing of a time.
        ({"scheduled_date": DAY}, {**dict.fromkeys(WHOLE), "scheduled_date": DAY}),
        ({"duration_minutes": 90}, {**dict.fromkeys(WHOLE), "duration_minutes": 90}),
    ],
)
def test_missing_columns_of_a_new_session_follow_the_written(
    timed: World, written: dict[str, Any], differs: dict[str, Any]
) -> None:
    session = insert(timed, user_id=timed.client(), therapist_id=timed.therapist(None), **written)

    assert row(timed, session) == {**WHOLE, **differs}
    assert timed.violations() == []


@pytest.mark.parametrize(
    "written",
    [
        {"scheduled_date": "infinity", "scheduled_time": "10:00"},
        {"scheduled_date": "0044-03-15 BC", "scheduled_time": "10:00"},
        {"start_time": "infinity", "duration_minutes": 60},
        {"start_time": "-infinity", "end_time": "infinity"},
        {"start_time": utc(11), "duration_minutes": 2_000_000_000},
        {"start_time": utc(11), "end_time": "294000-01-01"},
    ],
)
def test_time_beyond_all_calendars_fails_no_write(timed: World, written: dict[str, Any]) -> None:
    session = insert(timed, **written)

    update(timed, session, title="x", description="y")
    update(timed, session, scheduled_time=dt.time(1), duration_minutes=None)
    assert timed.violations() == []


@pytest.mark.parametrize(
    ("own", "therapists", "zone"),
    [
        ("Asia/Tokyo", "America/New_York", "Asia/Tokyo"), (None, "America/New_York", "America/New_York"),
        (None, None, BERLIN), ("Mars+5", None, BERLIN),
    ],
)  # fmt: skip
def test_zone_is_the_sessions_else_therapists_else_triggers(
    timed: World, own: str | None, therapists: str | None, zone: str
) -> None:
    therapist = timed.therapist(None)
    if therapists:
        timed.run("select set_policy(%s, %s)", f'{{"time_zone": "{therapists}"}}', therapist)
    timed.run("set timezone = '<Europe/Berlin>+9'")

    there = insert(timed, therapist_id=therapist, time_zone=own, **NOON)
    back = insert(timed, therapist_id=therapist, time_zone=own, start_time=utc(11))

    timed.run("reset timezone")
    local = "select start_time = timestamp '2030-01-15 12:00' at time zone %s from sessions where id = %s"
    assert timed.run(local, zone, there) == [(True,)]
    written = "select scheduled_date + scheduled_time = start_time at time zone %s from sessions where id = %s"
    assert timed.run(written, zone, back) == [(True,)]


UPDATES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # The start follows, and the end with it.
    ({"scheduled_time": dt.time(14)}, {"start_time": utc(13), "end_time": utc(14, 30)}),
    (
        {"scheduled_date": DAY + dt.timedelta(1)},
        {"start_time": utc(11) + 24 * HOUR, "end_time": utc(12, 30) + 24 * HOUR},
    ),
    ({"scheduled_time": dt.time(14), "duration_minutes": 30}, {"start_time": utc(13), "end_time": utc(13, 30)}),
    (
        {"scheduled_time": dt.time(14), "end_time": utc(15)},
        {"start_time": utc(13), "duration_minutes": 120},
    ),
    # The local time follows.
    (
        {"start_time": utc(13), "end_time": utc(14, 30)},
        {"scheduled_time": dt.time(14)},
    ),
    ({"start_time": utc(11, 30)}, {"scheduled_time": dt.time(12, 30), "duration_minutes": 60}),
    (
        {"start_time": utc(23), "end_time": utc(23, 45)},
        {"scheduled_date": DAY + dt.timedelta(1), "scheduled_time": dt.time(0), "duration_minutes": 45},
    ),
    # Both were written: left as they are.
    ({"start_time": utc(13), "end_time": utc(14, 30), "scheduled_time": dt.time(9)}, {}),
    ({"end_time": utc(12), "duration_minutes": 7}, {}),
    # The end, the duration.
    ({"duration_minutes": 30}, {"end_time": utc(11, 30)}),
    ({"end_time": utc(12)}, {"duration_minutes": 60}),
    # Nothing to follow.
    ({"scheduled_time": None}, {}),
    ({"start_time": None, "end_time": None}, {}),
    ({"title": "x"}, {}),
]


@pytest.mark.parametrize(("written", "follows"), UPDATES)
def test_unwritten_columns_of_a_changed_session_follow(
    timed: World, written: dict[str, Any], follows: dict[str, Any]
) -> None:
    session = insert(timed, user_id=timed.client(), therapist_id=timed.therapist(None), **WHOLE)

    update(timed, session, **written)

    written.pop("title", None)
    assert row(timed, session) == {**WHOLE, **written, **follows}
    assert timed.violations() == []


def test_a_local_time_that_the_clocks_jump_over_is_refused(timed: World) -> None:
    skipped = next_clock_change(BERLIN, forward=True)
    session = insert(timed, **WHOLE)
    with nothing_written(timed), refused("skipped_time"):
        insert(timed, scheduled_date=skipped.date(), scheduled_time=skipped.time())
    with nothing_written(timed), refused("skipped_time"):
        update(timed, session, scheduled_date=skipped.date(), scheduled_time=skipped.time())


def test_local_time_that_occurs_twice_means_the_first(timed: World) -> None:
    twice = next_clock_change(BERLIN, forward=False)

    session = insert(timed, scheduled_date=twice.date(), scheduled_time=twice.time())

    # Summer time is two hours ahead.
    assert row(timed, session)["start_time"] == twice.replace(tzinfo=dt.UTC) - 2 * HOUR


def test_a_moved_session_keeps_its_length_over_a_clock_change(timed: World) -> None:
    skipped = next_clock_change(BERLIN, forward=True)
    session = insert(timed, **WHOLE)

    update(timed, session, scheduled_date=skipped.date(), scheduled_time=dt.time(1, 30))

    moved = row(timed, session)
    assert moved["end_time"] - moved["start_time"] == dt.timedelta(minutes=90)


def test_columns_written_by_functions_stay_as_written(timed: World) -> None:
    therapist, client = timed.therapist("America/New_York"), timed.client(credits=3)
    plain = f"select {TIMES} from sessions where id = %s"
    first = timed.book(client, therapist, "10:00", time_zone="Asia/Kathmandu", duration_minutes=45)
    times = timed.run(plain, first["id"])
    assert times == [(TOMORROW, dt.time(10), first["start_time"], first["start_time"] + 0.75 * HOUR, 45)]

    moved = call(
        timed.connection, "reschedule_session",
        session_id=first["id"], session_date=TOMORROW, session_time="10:00", time_zone="Asia/Tokyo",
    )  # fmt: skip
    assert moved["start_time"] == first["start_time"] - dt.timedelta(hours=3, minutes=15)
    assert timed.run(plain, first["id"]) == [
        (TOMORROW, dt.time(10), moved["start_time"], moved["start_time"] + 0.75 * HOUR, 45)
    ]
    longer = call(
        timed.connection, "reschedule_session",
        session_id=first["id"], session_date=TOMORROW, session_time="10:00", duration_minutes=60,
    )  # fmt: skip
    assert longer["end_time"] - longer["start_time"] == HOUR
    call(timed.connection, "cancel_session", session_id=first["id"])
    assert timed.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Columns for the same thing
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(world: World) -> World:
    world.run(
        "alter table sessions add column duration numeric default 60, add column notes varchar(20),"
        " add column session_date text, add column begins timestamp"
    )
    attach(world, "copies", "insert or update", f"copy_columns{tuple(COPIES.split(', '))}")
    return world


COPIES = "duration, duration_minutes, notes, description, session_date, scheduled_date, begins, start_time"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"notes": "hello"}, {"description": "hello"}),
        ({"description": "hello"}, {"notes": "hello"}),
        ({"notes": "a", "description": "b"}, {}),
        ({"duration": None, "duration_minutes": 45}, {"duration": 45}),
        ({"duration": 50}, {"duration_minutes": 50}),
        # A default counts as written, where the application itself writes.
        ({"duration_minutes": 45}, {"duration": 60}),
        ({"session_date": "2030-01-15"}, {"scheduled_date": DAY}),
        ({"scheduled_date": DAY}, {"session_date": "2030-01-15"}),
        ({"start_time": utc(11)}, {"begins": dt.datetime(2030, 1, 15, 11)}),
        ({"begins": dt.datetime(2030, 1, 15, 11)}, {"start_time": utc(11)}),
    ],
)
def test_null_column_of_a_new_row_takes_the_others_value(
    copied: World, written: dict[str, Any], expected: dict[str, Any]
) -> None:
    session = insert(copied, **written)

    found = row(copied, session, COPIES)
    expected = {**dict.fromkeys(COPIES.split(", ")), "duration": 60, "duration_minutes": 60, **written, **expected}
    assert found == expected


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
        ({"notes": "a", "description": "b"}, {}),
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
def notified(world: World) -> World:
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
