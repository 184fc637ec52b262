"""What is free for a client, and for a session that is to be moved."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.life import DAY, call, expire_hold, hold, rows
from tests.support.refusals import nothing_written, outcome, refused

HOURS = ("10:00", "11:00", "12:00", "13:00")
LISTS = ("list_available_slots", "list_slot_states", "list_available_days", "next_available_slot")


def practice(world: World, **settings: Any) -> UUID:
    """A therapist who can be booked each day from ten to two, every half an hour."""
    therapist = world.therapist()
    windows = [{"weekday": weekday, "start_time": "10:00", "end_time": "14:00"} for weekday in range(1, 8)]
    rows(world.connection, "set_weekly_hours", therapist_id=therapist, hours=Jsonb(windows))
    settings = {"slot_step_minutes": 30, **settings}
    call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)
    return therapist


def slots(connection: Connection, therapist: UUID, days: int = 0, **asked: Any) -> list[str]:
    """List the times of a day that are free, and hold the other functions against the list."""
    date = TOMORROW + days * DAY
    of_a_day = {"therapist_id": therapist, "from": date, "to": date, **asked}
    found = rows(connection, "list_available_slots", **of_a_day)
    free = [row["start_time"] for row in rows(connection, "list_slot_states", **of_a_day) if row["state"] == "free"]
    assert free == [row["start_time"] for row in found]
    counted = rows(connection, "list_available_days", **of_a_day)
    assert [row["slots"] for row in counted] == ([len(found)] if found else [])
    after = dt.datetime.combine(date, dt.time(), dt.UTC)
    ((first),) = rows(connection, "next_available_slot", therapist_id=therapist, after=after, **asked)
    if found:
        assert first["start_time"] == found[0]["start_time"]
    return [f"{row['local_time']:%H:%M}" for row in found]


def test_held_time_is_free_to_its_holder_and_to_nobody_else(world: World) -> None:
    """Also the times that only overlap it: another hold replaces it. What is listed can be held, the rest not."""
    ada, bob, grace = world.client(credits=9), world.client(credits=9), practice(world)
    held = hold(world, ada, grace, "10:00")
    assert slots(world.connection, grace) == ["11:00", "11:30", "12:00", "12:30", "13:00"]
    everything = ["10:00", "10:30", "11:00", "11:30", "12:00", "12:30", "13:00"]
    assert slots(world.connection, grace, user_id=ada) == everything
    assert slots(world.connection, grace, user_id=bob) == everything[2:]
    for time in everything:
        again = hold(world, ada, grace, time)
        assert again["id"] != held["id"]
    expire_hold(world.connection, again["id"])
    assert slots(world.connection, grace) == everything


def test_time_that_a_client_has_elsewhere_is_not_free_to_them(world: World) -> None:
    """Sessions and holds with anybody; without buffers, which are the therapist's."""
    ada, grace, hedy = world.client(credits=9), practice(world, buffer_before_minutes=30), world.therapist()
    world.book(ada, hedy, "10:00")
    hold(world, ada, hedy, "12:30")
    asked: dict[str, Any] = {"duration_minutes": 30, "user_id": ada}
    assert slots(world.connection, grace, **asked) == ["11:00", "11:30", "12:00", "13:30"]
    for time in ("10:30", "12:30", "13:00"):
        assert outcome(partial(hold, world, ada, grace, time, duration_minutes=30)) == "client_conflict"
    for time in ("11:00", "12:00", "13:30"):
        assert outcome(partial(hold, world, ada, grace, time, duration_minutes=30)) == "done"


def test_session_that_is_to_be_moved_is_not_in_its_own_way(world: World) -> None:
    """A move by half an hour is listed, and can be made."""
    ada, bob, grace = world.client(credits=9), world.client(credits=9), practice(world)
    session = world.book(ada, grace, "11:00")["id"]
    world.book(bob, grace, "12:30")
    assert slots(world.connection, grace) == ["10:00"]
    moving = {"exclude_session_id": session}
    assert slots(world.connection, grace, **moving) == ["10:00", "10:30", "11:00", "11:30"]
    assert slots(world.connection, grace, **moving, user_id=ada) == ["10:00", "10:30", "11:00", "11:30"]
    # The client is elsewhere at some of them.
    world.book(ada, world.therapist(), "10:00", duration_minutes=30)
    assert slots(world.connection, grace, **moving, user_id=ada) == ["10:30", "11:00", "11:30"]
    call(world.connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time="11:30")
    assert world.violations() == []


@pytest.mark.parametrize("limit", ["maximum_sessions_per_day", "maximum_sessions_per_week"])
def test_limits_leave_out_what_is_moved_and_the_own_hold(world: World, limit: str) -> None:
    ada, grace = world.client(credits=9), practice(world, **{limit: 1})
    session = world.book(ada, grace, "11:00")["id"]
    assert slots_of_a_full_day(world, grace) == []
    assert "12:00" in slots_of_a_full_day(world, grace, exclude_session_id=session)

    hedy = practice(world, **{limit: 1})
    hold(world, ada, hedy, "13:00")
    assert slots_of_a_full_day(world, hedy) == []
    assert "12:00" in slots_of_a_full_day(world, hedy, user_id=ada)
    assert outcome(lambda: hold(world, ada, hedy, "12:00")) == "done"


def slots_of_a_full_day(world: World, therapist: UUID, **asked: Any) -> list[str]:
    found = rows(
        world.connection, "list_available_slots", therapist_id=therapist, **{"from": TOMORROW, "to": TOMORROW}, **asked
    )
    return [f"{row['local_time']:%H:%M}" for row in found]


def test_stand_in_of_an_adopted_session_is_in_its_clients_way(world: World) -> None:
    ada, grace, hedy = world.client(credits=9), practice(world), world.therapist()
    start = dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)
    world.run(
        "insert into bookingdb.absences (kind, therapist_id, client_id, period, external_source, external_id)"
        " values ('external', %s, %s, tstzrange(%s, %s), 'adoption', 'a')",
        hedy, ada, start, start + dt.timedelta(hours=2),
    )  # fmt: skip
    assert slots(world.connection, grace, user_id=ada) == ["12:00", "12:30", "13:00"]


@pytest.mark.parametrize("function", LISTS)
@on_todays_supabase
def test_lists_for_somebody_are_theirs(hosted_world: World, function: str) -> None:
    """A client asks for themselves, and moves a session of theirs, and so does its therapist."""
    world = hosted_world
    ada, bob, grace, hedy = world.client(credits=9), world.client(), practice(world), world.therapist()
    session = world.book(ada, grace, "11:00")["id"]
    dates = {} if function == "next_available_slot" else {"from": TOMORROW, "to": TOMORROW}
    questions = {
        "for ada": {"user_id": ada}, "for bob": {"user_id": bob}, "moving": {"exclude_session_id": session},
        "for nobody": {"user_id": uuid4()}, "for grace": {"user_id": grace},
        "moving nothing": {"exclude_session_id": uuid4()},
    }  # fmt: skip

    def answers(connection: Connection) -> dict[str, str]:
        return {
            name: outcome(partial(rows, connection, function, therapist_id=grace, **dates, **asked))
            for name, asked in questions.items()
        }

    nobody = dict.fromkeys(questions, "not_allowed") | {"moving nothing": "session_not_found"}
    with logged_in(world, ada) as connection:
        assert answers(connection) == {**nobody, "for ada": "done", "moving": "done"}
    with logged_in(world, bob) as connection:
        assert answers(connection) == {**nobody, "for bob": "done"}
    with logged_in(world, grace) as connection:
        assert answers(connection) == {**nobody, "moving": "done", "for grace": "user_not_found"}
    with logged_in(world, hedy) as connection:
        assert answers(connection) == nobody
    trusted = dict.fromkeys(questions, "done")
    trusted |= dict.fromkeys(("for nobody", "for grace"), "user_not_found") | {"moving nothing": "session_not_found"}
    assert answers(world.connection) == trusted
    world.run("select set_client_active(%s, false)", ada)
    with nothing_written(world), refused("user_not_found"):
        rows(world.connection, function, therapist_id=grace, **dates, user_id=ada)
