"""Plain bookings take the quick way; doubts are left to the rule-by-rule way."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.booking_ways import TRIED, compare

HOURS = [{"weekday": day, "start_time": "08:00", "end_time": "20:00"} for day in range(1, 8)]
PLAIN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "hours": {"hours": HOURS},
    "hours since January": {"hours": [{**window, "valid_from": "2020-01-01"} for window in HOURS]},
    "buffers and notice": {"policy": {"buffer_after_minutes": 15, "minimum_notice": "1 hour"}},
    "own zone": {"time_zone": "Europe/Berlin"},
    "key": {"key": "k"},
    "logged in": {"is_logged_in": True},
    "last credit": {"credits": 1},
    "time off on other days": {"time_off": 2},
    "override on other days": {"override": 3},
}


@pytest.mark.parametrize("plain", PLAIN.values(), ids=list(PLAIN))
def test_plain_booking_is_booked_quickly(clean_world: World, plain: dict[str, Any]) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=plain.get("credits", 3))
    if "hours" in plain:
        world.run("select set_weekly_hours(%s, %s)", therapist, Jsonb(plain["hours"]))
    if "policy" in plain:
        world.run("select set_policy(%s, %s)", Jsonb(plain["policy"]), therapist)
    if "time_off" in plain:
        day = TOMORROW + dt.timedelta(days=plain["time_off"])
        world.run("select add_time_off(%s, %s, %s)", therapist, f"{day} 00:00Z", f"{day} 23:00Z")
    if "override" in plain:
        world.run("select set_date_override(%s, %s)", therapist, TOMORROW + dt.timedelta(days=plain["override"]))
    # No clock change is near: book on the first day whose neighbours have the same offset.
    day = TOMORROW
    asked = {
        "user_id": str(client), "therapist_id": str(therapist), "session_date": str(day), "session_time": "10:00",
        "minutes": 60, "session_type": "video", "notes": "", "title": "Therapy Session",
        "time_zone": plain.get("time_zone"), "key": plain.get("key"),
    }  # fmt: skip

    done = compare(world, asked, str(client) if plain.get("is_logged_in") else "")

    assert done is not None
    assert done["answer"]["credits_balance"] == plain.get("credits", 3) - 1
    assert world.run("select from sessions") == []


def test_public_booking_takes_the_quick_way(clean_world: World) -> None:
    world = clean_world
    therapist, client = world.therapist(), world.client(credits=1)
    with world.connect(user=world.superuser) as connection:
        connection.execute("set track_functions = 'pl'")
        with connection.transaction():
            connection.execute(
                "select * from public.create_session_with_credit_deduction(%s, %s, %s, '10:00')",
                (client, therapist, TOMORROW),
            )
            called = {
                name
                for (name,) in connection.execute(
                    "select funcname from pg_stat_xact_user_functions where funcname like 'book%'"
                ).fetchall()
            }
    assert "book_quickly" in called
    assert "book_once" not in called


@pytest.mark.parametrize("held", ["lot", "client", "therapist"])
def test_locks_of_others_are_left_to_the_other_way(clean_world: World, held: str) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist(), world.client(credits=2)
    asked = {
        "user_id": str(client), "therapist_id": str(therapist), "session_date": str(TOMORROW), "session_time": "10:00",
        "minutes": 60, "session_type": "video", "notes": "", "title": "Therapy Session", "time_zone": None, "key": None,
    }  # fmt: skip
    tried = "select pg_temp.tried(true, %s, '') is not null"
    with world.connect() as other, other.transaction(force_rollback=True):
        if held == "lot":
            other.execute("select from user_credits where user_id = %s for update", (client,))
        else:
            other.execute("select lock_for_booking(array[%s]::uuid[])", (client if held == "client" else therapist,))
        assert world.scalar(tried, Jsonb(asked)) is False
    for _ in range(2):
        assert world.scalar(tried, Jsonb(asked)) is True


def test_old_snapshot_is_left_to_the_other_way(clean_world: World) -> None:
    world = clean_world
    world.run(TRIED)
    therapist, client = world.therapist(), world.client(credits=1)
    for level, is_quick in (("repeatable read", False), ("serializable", False), ("read committed", True)):
        with world.connection.transaction(force_rollback=True):
            world.run(f"set transaction isolation level {level}")
            booked = world.scalar(
                "select (bookingdb.book_quickly(%s, %s, %s, '10:00', 60, 'video', '', 'T', null, null, 'x')).id"
                " is not null", client, therapist, TOMORROW,
            )  # fmt: skip
        assert booked is is_quick, level
