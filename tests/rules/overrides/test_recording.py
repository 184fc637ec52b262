"""A session that took place without having been booked is recorded: its credit, its status, what it says of itself."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.connections import LEVELS
from tests.support.interleaving import session_of
from tests.support.life import begin, call, require_sound
from tests.support.races import calling, race
from tests.support.refusals import nothing_written, outcome, refused

DAY = dt.timedelta(days=1)
LAST_WEEK = TOMORROW - 8 * DAY


def recording(client: UUID, therapist: UUID, time: str = "10:00", **given: Any) -> Any:
    return calling(
        "record_session", user_id=client, therapist_id=therapist, session_time=time,
        **{"session_date": LAST_WEEK} | given,
    )  # fmt: skip


def record(world: World, client: UUID, therapist: UUID, time: str = "10:00", **given: Any) -> dict[str, Any]:
    ((answer),) = recording(client, therapist, time, **given)(world.connection)
    assert isinstance(answer, dict)
    return answer


def ago(minutes: int) -> dict[str, Any]:
    start = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) - dt.timedelta(minutes=minutes)
    return {"session_date": start.date(), "time": start.strftime("%H:%M"), "time_zone": "UTC"}


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_recorded_session_is_paid_and_says_that_it_is_one(world: World, status: str) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    answer = record(world, client, therapist, status=status)
    assert (answer["status"], answer["credits_balance"], answer["time_zone"]) == (status, 1, "Europe/Berlin")
    assert world.run("select overridden_rules, credits_charged from sessions") == [(["in_past"], 1)]
    audit = world.run("select action, new_status, changes from booking_audit_log")
    assert audit == [("created", status, {"overridden_rules": {"new": ["in_past"]}})]
    assert world.count("bookingdb.calendar") == 0
    require_sound(world)


def test_hours_notice_and_limits_bind_no_record(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    settings = {"require_hours": True, "minimum_notice": "30 days", "maximum_sessions_per_day": 1}
    call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)
    for time in ("10:00", "12:00"):
        record(world, client, therapist, time)
    assert world.count("sessions") == 2
    require_sound(world)


def test_walk_in_that_goes_on_takes_its_time(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = record(world, client, therapist, **ago(5), status="in_progress")["id"]
    assert world.scalar("select count(*) from bookingdb.calendar where id = %s", session_id) == 1
    other = world.client(credits=1)
    with nothing_written(world), refused("booking_conflict"):
        record(world, other, therapist, **ago(20), duration_minutes=18)
    assert call(world.connection, "complete_session", session_id=session_id)["status"] == "completed"
    require_sound(world)


def test_walk_in_cannot_begin_in_time_off_or_a_hold(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    now = dt.datetime.now(dt.UTC)
    off = call(world.connection, "add_time_off", therapist_id=therapist, start=now - DAY, end=now + DAY)["id"]
    with nothing_written(world), refused("booking_conflict"):
        record(world, client, therapist, **ago(5), status="in_progress")
    # It took place all the same: what calendars said then does not count.
    record(world, client, therapist, **ago(65))
    world.run("select remove_time_off(%s)", off)
    require_sound(world)


@pytest.mark.parametrize(("who", "code"), [("therapist", "booking_conflict"), ("client", "client_conflict")])
@pytest.mark.parametrize("status", ["completed", "scheduled", "in_progress"])
def test_nobody_was_in_two_sessions_at_a_time(world: World, who: str, code: str, status: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    record(world, client, therapist)
    world.run("update sessions set status = %s", status)
    other = (client, world.therapist()) if who == "client" else (world.client(credits=1), therapist)
    for time in ("09:30", "10:00", "10:59"):
        with nothing_written(world), refused(code):
            record(world, *other, time)
    record(world, *other, "09:00")
    record(world, *other, "11:00") if who == "client" else None
    require_sound(world)


@pytest.mark.parametrize("status", ["cancelled", "no_show"])
def test_missed_or_cancelled_session_took_nobodys_time(world: World, status: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    missed = world.book(client, therapist)["id"]
    begin(world.connection, missed, 65)
    call(world.connection, "mark_no_show" if status == "no_show" else "cancel_session", session_id=missed)
    record(world, client, therapist, **ago(60))
    require_sound(world)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"session_date": TOMORROW + DAY}, "invalid_parameter"),
        ({"session_date": TOMORROW - 370 * DAY}, "invalid_parameter"),
        ({"status": "scheduled"}, "invalid_parameter"),
        ({"status": "cancelled"}, "invalid_parameter"),
        ({"status": None}, "invalid_parameter"),
        # It is over.
        ({"status": "in_progress"}, "invalid_parameter"),
        ({"duration_minutes": 5}, "invalid_duration"),
        ({"user_id": None}, "invalid_user_id"),
        ({"therapist_id": None}, "invalid_therapist_id"),
    ],
)
def test_record_of_what_cannot_be_is_refused(world: World, given: dict[str, Any], code: str) -> None:
    people = {"user_id": world.client(credits=2), "therapist_id": world.therapist()}
    with nothing_written(world), refused(code):
        calling("record_session", **{**people, "session_date": LAST_WEEK, "session_time": "10:00"} | given)(
            world.connection
        )


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_record_of_what_goes_on_is_not_of_what_is_over(world: World, status: str) -> None:
    """It would leave its rest free, and both people could be booked in it."""
    client, therapist = world.client(credits=2), world.therapist()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        record(world, client, therapist, **ago(5), status=status)
    assert refusal.detail["parameter"] == "p_status"
    record(world, client, therapist, **ago(20), duration_minutes=20, status=status)
    require_sound(world)


def test_record_without_a_credit_is_refused(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    with nothing_written(world), refused("insufficient_credits"):
        record(world, client, therapist)


def test_recorded_session_counts_towards_the_limits(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"maximum_sessions_per_week": 1}), therapist_id=therapist)
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=90)
    record(world, client, therapist, **ago(90))
    with nothing_written(world), refused("booking_conflict") as refusal:
        call(
            world.connection, "create_session_with_credit_deduction", user_id=client, therapist_id=therapist,
            session_date=start.date() + (6 - start.weekday()) * DAY, session_time="23:59", duration_minutes=15,
        )  # fmt: skip
    assert refusal.detail["rule"] == "maximum_sessions_per_week"
    require_sound(world)


def test_two_who_record_the_same_time_record_it_once(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    again = recording(client, therapist)
    assert race(world, again, again) == ("done", "booking_conflict")
    keyed = recording(client, therapist, "14:00", idempotency_key="key")
    assert race(world, keyed, keyed) == ("done", "done")
    assert world.count("sessions") == 2
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("who", ["client", "therapist"])
def test_old_snapshot_records_nothing_beside_another_record(world: World, level: str, who: str) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    other = (client, world.therapist()) if who == "client" else (world.client(credits=1), therapist)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        record(world, client, therapist)
        ended = outcome(partial(recording(*other), connection))
        connection.execute("rollback")
    assert ended == "40001"
    require_sound(world)
