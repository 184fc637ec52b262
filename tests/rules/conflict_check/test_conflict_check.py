"""check_booking_conflict: the times of a therapist that are taken."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import holding, next_clock_change
from tests.support.life import (
    UNKNOWN,
)
from tests.support.refusals import refused


def conflict(world: World, therapist: UUID | None, start: Any, end: Any, **options: Any) -> Any:
    parameters = {"session_date": TOMORROW, "start_time": start, "end_time": end, **options}
    arguments = ", ".join(f"p_{name} => %s" for name in parameters)
    return world.scalar(
        f"select check_booking_conflict(p_therapist_id => %s, {arguments})", therapist, *parameters.values()
    )


def test_the_check_sees_what_overlaps_and_nothing_else(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    booked = world.book(client, therapist, "10:00")

    for start, end, answer in (
        ("09:00", "10:00", False), ("11:00", "12:00", False), ("09:00", "10:01", True), ("10:59", "12:00", True),
        ("10:15", "10:30", True), ("09:00", "12:00", True),
    ):  # fmt: skip
        assert conflict(world, therapist, start, end) is answer, (start, end)
    assert conflict(world, therapist, "10:00", "11:00", exclude_session_id=booked["id"]) is False
    with refused("session_not_found"):
        conflict(world, therapist, "10:00", "11:00", exclude_session_id=uuid4())
    assert conflict(world, world.therapist(), "10:00", "11:00") is False


def test_an_end_at_or_before_the_start_is_on_the_next_day(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist, "00:15", session_date=TOMORROW + dt.timedelta(days=1), duration_minutes=15)

    assert conflict(world, therapist, "23:00", "00:15") is False
    assert conflict(world, therapist, "23:00", "00:16") is True
    assert conflict(world, therapist, "00:20", "00:20") is True
    assert conflict(world, therapist, "00:00", "23:59") is False


def test_the_check_can_be_asked_about_the_past(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)
    world.run(
        "update sessions set start_time = start_time - interval '72 hours', end_time = end_time - interval '72 hours'"
    )

    assert conflict(world, therapist, "10:30", "11:30", session_date=TOMORROW - dt.timedelta(days=3)) is True
    assert conflict(world, therapist, "10:30", "11:30") is False


def test_check_uses_the_calls_zone_else_the_therapists(world: World) -> None:
    therapist, client = world.therapist("Asia/Tokyo"), world.client(credits=1)
    world.book(client, therapist, "10:00")

    assert conflict(world, therapist, "10:00", "11:00") is True
    assert conflict(world, therapist, "10:00", "11:00", time_zone="UTC") is False
    assert conflict(world, therapist, "01:00", "02:00", time_zone="UTC") is True


def test_check_refuses_bad_formats_and_unknown_therapists(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    gap = next_clock_change("Europe/Berlin", forward=True)
    skipped = {"session_date": gap.date(), "time_zone": "Europe/Berlin"}
    wrong: list[tuple[str, UUID | None, Any, Any, dict[str, Any]]] = [
        ("invalid_therapist_id", None, "10:00", "11:00", {}),
        ("therapist_not_found", UNKNOWN, "10:00", "11:00", {}),
        ("therapist_not_found", client, "10:00", "11:00", {}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": None}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": "infinity"}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": "5874897-12-31"}),
        ("invalid_date", therapist, "10:00", "09:00", {"session_date": "5874897-12-31"}),
        ("invalid_time", therapist, None, "11:00", {}),
        ("invalid_time", therapist, "10:00", None, {}),
        ("invalid_time", therapist, "10:00", "24:00", {}),
        ("invalid_time", therapist, "10:00:30", "11:00", {}),
        ("skipped_time", therapist, "02:30", "03:30", skipped),
        ("skipped_time", therapist, "01:30", "02:30", skipped),
        ("invalid_time_zone", therapist, "10:00", "11:00", {"time_zone": "Mars+5"}),
    ]
    for code, who, start, end, options in wrong:
        with refused(code):
            conflict(world, who, start, end, **options)


def test_the_check_and_the_booking_agree(world: World) -> None:
    """Where the check says free, a booking with a free client and credits succeeds; where it says busy, it does not."""
    therapist = world.therapist()
    world.book(world.client(credits=1), therapist, "10:00", duration_minutes=45)
    world.book(world.client(credits=1), therapist, "12:00", duration_minutes=180)
    for minutes in range(9 * 60, 16 * 60, 15):
        start, end = (f"{m // 60:02}:{m % 60:02}" for m in (minutes, minutes + 30))
        busy = conflict(world, therapist, start, end)
        client = world.client(credits=1)
        world.connection.execute("begin")
        if busy:
            with refused("booking_conflict"):
                world.book(client, therapist, start, duration_minutes=30)
        else:
            world.book(client, therapist, start, duration_minutes=30)
        world.connection.execute("rollback")


@pytest.mark.parametrize("function", ["public.check_booking_conflict", "bookingdb.check_booking_conflict"])
def test_check_runs_read_only_and_takes_no_lock(world: World, function: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)

    with holding(world) as connection:
        connection.execute("set transaction read only")
        row = connection.execute(
            f"select {function}(%s, %s, '10:30', '11:30', null, null)".encode(), [therapist, TOMORROW]
        ).fetchone()
        locks = connection.execute(
            "select l.mode, l.locktype from pg_locks as l where l.pid = pg_backend_pid()"
            " and (l.locktype not in ('relation', 'virtualxid') or l.mode <> 'AccessShareLock')"
            " and l.locktype <> 'virtualxid'"
        ).fetchall()

    assert row == (True,)
    assert locks == []


def test_check_does_not_wait_for_a_booking(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as connection:
        connection.execute("select lock_for_booking(%s)", [[therapist, client]])

        assert conflict(world, therapist, "10:00", "11:00") is False


@on_todays_supabase
def test_check_without_a_session_is_for_those_with_a_part(hosted_world: World) -> None:
    """The answer would tell strangers when it is."""
    world = hosted_world
    therapist, client = world.therapist(), world.client(credits=1)
    check = "select check_booking_conflict(%s, %s, '10:00', '11:00', p_exclude_session_id => %s)"
    asked = (therapist, TOMORROW, world.book(client, therapist)["id"])
    for stranger in (world.client(), world.therapist()):
        with logged_in(world, stranger) as connection, refused("not_allowed"):
            run(connection, check, *asked)
    for person in (client, therapist):
        with logged_in(world, person) as connection:
            assert run(connection, check, *asked) == [(False,)]
