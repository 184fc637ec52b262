"""Nothing is decided from an old snapshot: it proves current, or Postgres itself raises 40001."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, run
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.races import Call, booking, calling, holding_slot, moving, setting, writing
from tests.support.refusals import outcome

NOON = dt.datetime.combine(TOMORROW, dt.time(12), dt.UTC)
HOUR = dt.timedelta(hours=1)
SESSION = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
LOT = "insert into user_credits (id, user_id, credits_balance, credits_purchased) values (%s, %s, 5, 5)"
# Both keep their snapshot.
OLD = LEVELS[1:]
old_levels = pytest.mark.parametrize("level", OLD)


def later(world: World, level: str, meanwhile: Call, then: Call) -> str:
    """Take a snapshot in this level, let something be committed meanwhile, and then call; return how it ended."""
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        meanwhile(world.connection)
        ended = outcome(partial(then, connection))
        if ended == "done":
            return outcome(partial(connection.execute, b"commit"))
        connection.execute("rollback")
        return ended


def waited(world: World, level: str, meanwhile: Call, then: Call) -> str:
    """Make a single call in this level, see it wait for what is then committed, and return how it ended."""
    with holding(world) as first, session_of(world) as second:
        meanwhile(first)
        answer = waiting(world, partial(in_level, level, then), second)
        first.execute("commit")
        return outcome(answer.result)


# ----------------------------------------------------------------------------------------------------------------------
# Direct writers
# ----------------------------------------------------------------------------------------------------------------------


@old_levels
@pytest.mark.parametrize("wait", [False, True])
def test_session_deleted_meanwhile_is_not_inserted_unseen(world: World, level: str, wait: bool) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist, "12:00")["id"]
    delete = writing("delete from sessions where id = %s", session_id)
    insert = writing(SESSION, session_id, client, therapist, NOON, NOON + HOUR)

    assert (waited if wait else later)(world, level, delete, insert) == "40001"

    assert world.violations() == []
    world.book(world.client(credits=1), therapist, "12:00")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("wait", [False, True])
def test_lot_deleted_meanwhile_is_not_inserted_unseen(world: World, level: str, wait: bool) -> None:
    client, lot_id = world.client(), UUID(int=5)
    world.run(LOT, lot_id, client)
    delete, insert = writing("delete from user_credits where id = %s", lot_id), writing(LOT, lot_id, client)

    ended = (waited if wait else later)(world, level, delete, insert)

    assert ended == ("done" if level == "read committed" else "40001")
    assert world.violations() == []


@old_levels
def test_hold_deleted_meanwhile_is_not_inserted_unseen(world: World, level: str) -> None:
    client, other, therapist = world.client(credits=1), world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist, "12:00")["id"]

    def taken_again(connection: Connection) -> None:
        run(connection, "delete from sessions where id = %s", session_id)
        booking(other, therapist, "12:00")(connection)

    insert = writing(SESSION, session_id, client, therapist, NOON, NOON + HOUR)

    assert later(world, level, taken_again, insert) == "40001"
    assert world.count("sessions") == 1
    assert world.violations() == []


@old_levels
@pytest.mark.parametrize("absence", ["time_off", "external"])
def test_direct_session_does_not_overlook_new_absences(world: World, level: str, absence: str) -> None:
    therapist = world.therapist()
    insert = writing(SESSION, UUID(int=7), world.client(), therapist, NOON, NOON + HOUR)

    assert later(world, level, CHANGES[absence](therapist), insert) == "40001"
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Credits
# ----------------------------------------------------------------------------------------------------------------------


@old_levels
@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("ran_out", [False, True])
def test_revoked_grant_leaves_no_returned_credit(world: World, level: str, wait: bool, ran_out: bool) -> None:
    client, therapist = world.client(), world.therapist()
    world.run("select * from grant_credits(%s, 1, 'paid')", client)
    session_id = world.book(client, therapist)["id"]
    if ran_out:
        world.run("update user_credits set expires_at = clock_timestamp()")
    cancel, revoke = calling("cancel_session", session_id=session_id), calling("revoke_grant", payment_reference="paid")

    assert (waited if wait else later)(world, level, cancel, revoke) == "40001"

    revoke(world.connection)
    assert world.balance(client) == 0
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# What decides about a booking
# ----------------------------------------------------------------------------------------------------------------------

MORNING = [{"start_time": "08:00", "end_time": "11:00"}]
WEEK = [{"weekday": weekday, **MORNING[0]} for weekday in range(1, 8)]
EVENT = [{"external_id": "a", "start_time": NOON.isoformat(), "end_time": (NOON + HOUR).isoformat()}]
# What takes noon away from a therapist, by function or by writing the rows.
CHANGES: dict[str, Callable[[UUID], Call]] = {
    "weekly_hours": lambda therapist: calling("set_weekly_hours", therapist_id=therapist, hours=Jsonb(WEEK)),
    "date_override": lambda therapist: calling(
        "set_date_override", therapist_id=therapist, date=TOMORROW, hours=Jsonb([])
    ),
    "time_off": lambda therapist: calling("add_time_off", therapist_id=therapist, start=NOON, end=NOON + HOUR),
    "external": lambda therapist: calling(
        "sync_external_busy", therapist_id=therapist, source="elsewhere", events=Jsonb(EVENT)
    ),
    "policy": lambda therapist: setting(therapist, require_hours=True),
    "default_policy": lambda _: setting(None, minimum_notice="30 days"),
    "inactive": lambda therapist: calling("set_therapist_active", therapist_id=therapist, active=False),
    "direct_weekly_hours": lambda therapist: writing(
        "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
        " select %s, n, '08:00', '11:00' from generate_series(1, 7) as n",
        therapist,
    ),
    "no_weekly_hours": lambda therapist: calling("set_weekly_hours", therapist_id=therapist, hours=Jsonb([])),
    "direct_no_weekly_hours": lambda therapist: writing(
        "delete from bookingdb.weekly_hours where therapist_id = %s", therapist
    ),
    "direct_mark": lambda therapist: writing(
        "insert into bookingdb.therapists_with_hours (therapist_id) values (%s)", therapist
    ),
    "direct_date_override": lambda therapist: writing(
        "insert into bookingdb.date_overrides (therapist_id, override_date) values (%s, %s)", therapist, TOMORROW
    ),
    "direct_time_off": lambda therapist: writing(
        "insert into bookingdb.absences (kind, therapist_id, period) values ('time_off', %s, tstzrange(%s, %s))",
        therapist, NOON, NOON + HOUR,
    ),
    "direct_policy": lambda therapist: writing(
        "update bookingdb.policies set require_hours = true where therapist_id = %s", therapist
    ),
    "direct_inactive": lambda therapist: writing("update users set is_active = false where id = %s", therapist),
}  # fmt: skip


def therapist_before(world: World, change: str) -> UUID:
    """A therapist who works day and night if the change takes that away, else one who never had hours."""
    therapist = world.therapist()
    if "no_weekly_hours" in change:
        always = [{"weekday": day, "start_time": "00:00", "end_time": "24:00"} for day in range(1, 8)]
        calling("set_weekly_hours", therapist_id=therapist, hours=Jsonb(always))(world.connection)
    return therapist


def booked(world: World, therapist: UUID, how: str) -> Call:
    """A call that books noon; what it needs is there before."""
    client = world.client(credits=2)
    if how == "hold":
        return holding_slot(client, therapist, "12:00")
    if how == "series":
        return calling(
            "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00",
            occurrences=2,
        )  # fmt: skip
    if how == "move":
        return moving(world.book(client, therapist, "09:00")["id"], "12:00")
    if how == "held":
        held = holding_slot(client, therapist, "12:00")(world.connection)[0]["id"]
        return calling("book_hold", hold_id=held)
    return booking(client, therapist, "12:00")


@old_levels
@pytest.mark.parametrize("change", CHANGES)
def test_booking_does_not_overlook_a_committed_change(world: World, level: str, change: str) -> None:
    therapist = therapist_before(world, change)
    before = world.count("sessions")

    assert later(world, level, CHANGES[change](therapist), booked(world, therapist, "book")) == "40001"

    assert world.count("sessions") == before
    assert world.violations() == []


@old_levels
@pytest.mark.parametrize("how", ["hold", "series", "move", "held"])
def test_no_way_of_booking_overlooks_time_off(world: World, level: str, how: str) -> None:
    therapist = world.therapist()
    call = booked(world, therapist, how)

    assert later(world, level, CHANGES["time_off"](therapist), call) == "40001"
    assert world.violations() == []


@old_levels
@pytest.mark.parametrize("change", CHANGES)
def test_single_call_does_not_overlook_what_it_waited_for(world: World, level: str, change: str) -> None:
    therapist = therapist_before(world, change)

    assert waited(world, level, CHANGES[change](therapist), booked(world, therapist, "book")) == "40001"
    assert world.violations() == []


@old_levels
@pytest.mark.parametrize("first", ["book", "hold", "move", "direct"])
@pytest.mark.parametrize("second", ["book", "hold", "series"])
def test_limit_counts_what_was_booked_meanwhile(world: World, level: str, first: str, second: str) -> None:
    therapist = world.therapist()
    client, other = world.client(credits=2), world.client(credits=1)
    tomorrows = moving(world.book(client, therapist, "09:00", session_date=TOMORROW + dt.timedelta(1))["id"], "09:00")
    setting(therapist, maximum_sessions_per_day=1)(world.connection)
    meanwhile = {
        "book": booking(other, therapist, "09:00"), "hold": holding_slot(other, therapist, "09:00"), "move": tomorrows,
        "direct": writing(SESSION, UUID(int=9), other, therapist, NOON - 3 * HOUR, NOON - 2 * HOUR),
    }[first]  # fmt: skip
    then = booked(world, therapist, second)

    assert later(world, level, meanwhile, then) == "40001"
    assert world.violations() == []


@old_levels
def test_hours_replaced_twice_are_the_hours_of_one(world: World, level: str) -> None:
    therapist = world.therapist()
    evening = [{"weekday": 1, "start_time": "18:00", "end_time": "20:00"}]
    again = calling("set_weekly_hours", therapist_id=therapist, hours=Jsonb(evening))

    assert later(world, level, CHANGES["weekly_hours"](therapist), again) == "40001"
    assert world.count("bookingdb.weekly_hours") == len(WEEK)


@old_levels
def test_minimum_and_maximum_of_two_policies_agree(world: World, level: str) -> None:
    therapist = world.therapist()
    longer, shorter = setting(None, minimum_duration_minutes=60), setting(therapist, maximum_duration_minutes=45)

    assert later(world, level, longer, shorter) == "40001"
    world.run("select set_policy('{\"minimum_duration_minutes\": 15}')")
    assert later(world, level, shorter, longer) == "40001"


@old_levels
def test_other_peoples_changes_cost_no_retry(world: World, level: str) -> None:
    therapist, other, client = world.therapist(), world.therapist(), world.client(credits=2)
    world.run("select set_policy('{\"maximum_sessions_per_day\": 5}', %s)", therapist)

    def meanwhile(connection: Connection) -> None:
        CHANGES["time_off"](other)(connection)
        CHANGES["direct_weekly_hours"](other)(connection)

    def twice(connection: Connection) -> Any:
        booking(client, therapist, "12:00")(connection)
        return booking(client, therapist, "15:00")(connection)

    ended = later(world, level, meanwhile, twice)

    # SERIALIZABLE looks at pages of small tables, and so may see a conflict where there is none.
    assert ended in ({"done", "40001"} if level == "serializable" else {"done"})
    assert world.violations() == []


def test_booking_in_read_committed_leaves_no_mark(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    marks = world.run("select * from bookingdb.rule_changes")

    world.book(client, therapist)

    assert world.run("select * from bookingdb.rule_changes") == marks
