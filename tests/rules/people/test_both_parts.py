"""A therapist who is a client as well: one person, one time, whoever writes."""

from __future__ import annotations

import datetime as dt
import random
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import TOMORROW, Connection, World, run
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, started, waiting
from tests.support.life import begin, expire_hold, require_sound, rows
from tests.support.races import ENDINGS, Call, booking, holding_slot, moving, writing
from tests.support.refusals import nothing_written, outcome, refused

SESSION = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
HOUR = dt.timedelta(hours=1)


def at(hour: int) -> dt.datetime:
    return dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC)


@dataclass(frozen=True)
class Both:
    """A therapist who is a client as well, with three credits; another therapist, and a client of theirs."""

    world: World
    person: UUID
    therapist: UUID
    client: UUID


@pytest.fixture
def both(world: World) -> Both:
    person = world.therapist()
    email = world.scalar("select email from users where id = %s", person)
    assert world.scalar("select register_client(%s)", email) == person
    world.run("select * from grant_credits(%s, 3)", person)
    return Both(world, person, world.therapist(), world.client(credits=3))


def as_client(both: Both, hour: int = 10, kind: str = "booking") -> Call:
    return {
        "booking": booking(both.person, both.therapist, f"{hour}:00"),
        "hold": holding_slot(both.person, both.therapist, f"{hour}:00"),
        "direct": writing(SESSION, uuid4(), both.person, both.therapist, at(hour), at(hour) + HOUR),
    }[kind]


def as_therapist(both: Both, hour: int = 10, kind: str = "booking") -> Call:
    return {
        "booking": booking(both.client, both.person, f"{hour}:00"),
        "hold": holding_slot(both.client, both.person, f"{hour}:00"),
        "direct": writing(SESSION, uuid4(), both.client, both.person, at(hour), at(hour) + HOUR),
    }[kind]


KINDS = ["booking", "hold", "direct"]
CONFLICT = {as_client: "client_conflict", as_therapist: "booking_conflict"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_time_as_client_is_taken_as_therapist(both: Both, first: str, kind: str) -> None:
    as_client(both, kind=first)(both.world.connection)
    with nothing_written(both.world), refused("booking_conflict"):
        as_therapist(both, kind=kind)(both.world.connection)
    as_therapist(both, 11, kind)(both.world.connection)
    require_sound(both.world)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_time_as_therapist_is_taken_as_client(both: Both, first: str, kind: str) -> None:
    as_therapist(both, kind=first)(both.world.connection)
    with nothing_written(both.world), refused("client_conflict"):
        as_client(both, kind=kind)(both.world.connection)
    as_client(both, 11, kind)(both.world.connection)
    require_sound(both.world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("parts", [(as_client, as_therapist), (as_therapist, as_client)])
def test_two_at_once_do_not_get_one_person(
    both: Both, level: str, ending: str, first: str, second: str, parts: tuple[Any, Any]
) -> None:
    """One connection books the person as client, the other as therapist, and waits for the first."""
    one, other = (
        partial(in_level, level, part(both, kind=kind)) for part, kind in zip(parts, (first, second), strict=True)
    )
    with holding(both.world) as connection, session_of(both.world) as late:
        parts[0](both, kind=first)(connection)
        answer = waiting(both.world, other, late)
        connection.execute(ending.encode())
        ended = outcome(answer.result)
    conflict = "booking_conflict" if parts[1] is as_therapist else "client_conflict"
    if ending == "commit":
        assert ended == conflict or (level != "read committed" and ended == "40001"), one
    else:
        assert ended == "done"
    require_sound(both.world)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("parts", [(as_client, as_therapist), (as_therapist, as_client)])
def test_old_snapshot_hides_no_part(both: Both, level: str, first: str, second: str, parts: tuple[Any, Any]) -> None:
    world = both.world
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        parts[0](both, kind=first)(world.connection)
        ended = outcome(partial(parts[1](both, kind=second), connection))
        if ended == "done":
            ended = outcome(partial(connection.execute, b"commit"))
        connection.execute("rollback")
    assert ended in ("booking_conflict", "client_conflict", "40001")
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# What becomes of a session, in both parts
# ----------------------------------------------------------------------------------------------------------------------


def mirrors(world: World) -> int:
    return int(world.scalar("select count(*) from bookingdb.calendar where mirror_of is not null"))


def test_a_cancelled_session_frees_both_parts(both: Both) -> None:
    session = as_client(both)(both.world.connection)["id"]
    assert mirrors(both.world) == 1
    both.world.run("select * from cancel_session(%s)", session)
    assert both.world.count("bookingdb.calendar") == 0
    as_therapist(both)(both.world.connection)
    with nothing_written(both.world), refused("client_conflict"):
        both.world.run("select * from reopen_session(%s)", session)
    require_sound(both.world)


def test_a_move_takes_and_frees_both_parts(both: Both) -> None:
    session = as_client(both)(both.world.connection)["id"]
    as_therapist(both, 12)(both.world.connection)
    with nothing_written(both.world), refused("client_conflict"):
        moving(session, "12:30")(both.world.connection)
    moving(session, "10:30")(both.world.connection)
    with nothing_written(both.world), refused("booking_conflict"):
        as_therapist(both, 11)(both.world.connection)
    as_therapist(both, 9)(both.world.connection)
    moving(session, "14:00")(both.world.connection)
    as_therapist(both, 10)(both.world.connection)
    require_sound(both.world)


def test_a_session_as_therapist_moves_past_those_as_client(both: Both) -> None:
    as_client(both)(both.world.connection)
    session = as_therapist(both, 12)(both.world.connection)["id"]
    with nothing_written(both.world), refused("booking_conflict"):
        moving(session, "10:30")(both.world.connection)
    moving(session, "11:00")(both.world.connection)
    require_sound(both.world)


def test_a_hold_becomes_a_session_in_both_parts(both: Both) -> None:
    hold = as_client(both, kind="hold")(both.world.connection)[0]["id"]
    both.world.run("select * from book_hold(%s)", hold)
    assert both.world.run("select kind, expires_at from bookingdb.calendar") == [("session", None)] * 2
    with nothing_written(both.world), refused("booking_conflict"):
        as_therapist(both)(both.world.connection)
    require_sound(both.world)


@pytest.mark.parametrize("parts", [(as_client, as_therapist), (as_therapist, as_client)])
@pytest.mark.parametrize("second", KINDS)
def test_an_expired_hold_blocks_neither_part(both: Both, second: str, parts: tuple[Any, Any]) -> None:
    hold = parts[0](both, kind="hold")(both.world.connection)[0]["id"]
    expire_hold(both.world.connection, hold)
    parts[1](both, kind=second)(both.world.connection)
    require_sound(both.world)


def test_a_released_or_replaced_hold_frees_both_parts(both: Both) -> None:
    as_client(both, kind="hold")(both.world.connection)
    hold = as_client(both, 14, "hold")(both.world.connection)[0]["id"]
    as_therapist(both)(both.world.connection)
    both.world.run("select release_hold(%s)", hold)
    assert mirrors(both.world) == 0
    as_therapist(both, 14)(both.world.connection)
    require_sound(both.world)


def test_a_request_that_lapsed_blocks_neither_part(both: Both) -> None:
    world = both.world
    ids = [uuid4(), uuid4()]
    pending = (
        "insert into sessions (id, user_id, therapist_id, start_time, end_time, status, approval_until)"
        " values (%s, %s, %s, %s, %s, 'pending_approval', now() + interval '0.3 seconds')"
    )
    world.run(pending, ids[0], both.person, both.therapist, at(10), at(10) + HOUR)
    world.run(pending, ids[1], both.client, both.person, at(12), at(12) + HOUR)
    # They lapse.
    world.run("select pg_sleep(0.4)")
    as_therapist(both)(world.connection)
    as_client(both, 12)(world.connection)
    assert world.run("select distinct status from sessions where id = any (%s)", ids) == [("cancelled",)]
    require_sound(world)


def test_a_request_keeps_both_parts_when_it_is_approved(both: Both) -> None:
    world, session = both.world, uuid4()
    world.run(
        "insert into sessions (id, user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, %s, 'pending_approval')",
        session, both.person, both.therapist, at(10), at(10) + HOUR,
    )  # fmt: skip
    world.run("select * from approve_session(%s)", session)
    assert world.run("select expires_at from bookingdb.calendar") == [(None,)] * 2
    with nothing_written(world), refused("booking_conflict"):
        as_therapist(both)(world.connection)
    require_sound(world)


def test_a_transfer_looks_at_both_parts(both: Both) -> None:
    """To the person, who is a client then; and of the person's own session, to themselves."""
    world = both.world
    as_client(both)(world.connection)
    other = world.therapist()
    session = world.book(both.client, other, "10:00")["id"]
    with nothing_written(world), refused("booking_conflict"):
        world.run("select * from transfer_session(%s, %s)", session, both.person)
    own = world.book(both.person, other, "14:00")["id"]
    with nothing_written(world), refused("invalid_parameter") as refusal:
        world.run("select * from transfer_session(%s, %s)", own, both.person)
    assert refusal.detail["reason"] == "same_person"
    world.run("select * from transfer_session(%s, %s)", own, both.therapist)
    require_sound(world)


def test_a_series_passes_over_the_other_part(both: Both) -> None:
    as_therapist(both)(both.world.connection)
    series = rows(
        both.world.connection, "book_series", user_id=both.person, therapist_id=both.therapist, session_date=TOMORROW,
        session_time="10:00", occurrences=2, on_conflict="skip",
    )  # fmt: skip
    assert len(series) == 2
    assert mirrors(both.world) == 1
    require_sound(both.world)


@pytest.mark.parametrize("level", LEVELS)
def test_direct_updates_keep_one_person_in_one_place(both: Both, level: str) -> None:
    world = both.world
    as_therapist(both)(world.connection)
    session = world.book(both.client, both.therapist, "10:00", session_date=TOMORROW + dt.timedelta(days=1))["id"]
    start = at(10)
    for statement, code in (
        ("update sessions set start_time = %(start)s, end_time = %(end)s, user_id = %(person)s", "client_conflict"),
        ("update sessions set start_time = %(start)s, end_time = %(end)s", "client_conflict"),
    ):
        values = {"start": start, "end": start + HOUR, "person": both.person, "id": session}
        with nothing_written(world), refused(code):
            in_level(level, lambda c, s=statement, v=values: c.execute(f"{s} where id = %(id)s", v), world.connection)
    world.run("update sessions set user_id = %s where id = %s", both.person, session)
    assert mirrors(world) == 1
    world.run("update sessions set user_id = %s where id = %s", both.client, session)
    assert mirrors(world) == 0
    require_sound(world)


def test_sessions_of_both_parts_may_swap_in_one_statement(both: Both) -> None:
    world = both.world
    ids = [as_client(both, 10)(world.connection)["id"], as_therapist(both, 12)(world.connection)["id"]]
    world.run(
        "update sessions set start_time = case when id = %s then %s::timestamptz else %s end,"
        " end_time = case when id = %s then %s::timestamptz else %s end where id = any (%s)",
        ids[0], at(12), at(10), ids[0], at(13), at(11), ids,
    )  # fmt: skip
    require_sound(world)
    assert mirrors(world) == 1


@pytest.mark.parametrize("parts", [(as_client, as_therapist), (as_therapist, as_client)])
def test_recording_looks_at_both_parts(both: Both, parts: tuple[Any, Any]) -> None:
    world, record = both.world, "select * from record_session(%s, %s, current_date - 3, '10:00')"
    people = {as_client: (both.person, both.therapist), as_therapist: (both.client, both.person)}
    world.run(record, *people[parts[0]])
    with nothing_written(world), refused(CONFLICT[parts[1]]):
        world.run(record, *people[parts[1]])
    with nothing_written(world), refused("invalid_parameter"):
        world.run(record, both.person, both.person)


@pytest.mark.parametrize("parts", [(as_client, as_therapist), (as_therapist, as_client)])
def test_a_reopened_session_takes_both_parts_again(both: Both, parts: tuple[Any, Any]) -> None:
    world = both.world
    session = parts[0](both)(world.connection)["id"]
    world.run("select * from cancel_session(%s)", session)
    other = parts[1](both)(world.connection)["id"]
    with nothing_written(world), refused(CONFLICT[parts[0]]):
        world.run("select * from reopen_session(%s)", session)
    world.run("select * from cancel_session(%s)", other)
    world.run("select * from reopen_session(%s)", session)
    with nothing_written(world), refused(CONFLICT[parts[1]]):
        parts[1](both)(world.connection)
    require_sound(world)


@pytest.mark.parametrize("part", [as_client, as_therapist])
@pytest.mark.parametrize("ending", ["complete_session", "mark_no_show"])
def test_a_session_that_ended_leaves_both_parts(both: Both, ending: str, part: Any) -> None:
    world = both.world
    session = part(both)(world.connection)["id"]
    begin(world.connection, session, 5)
    world.run(f"select * from {ending}(%s)", session)
    assert world.count("bookingdb.calendar") == 0
    world.run("select * from reopen_session(%s)", session)
    assert mirrors(world) == (1 if part is as_client else 0)
    require_sound(world)


def test_a_series_moves_in_both_parts(both: Both) -> None:
    world = both.world
    first, *_ = rows(
        world.connection, "book_series", user_id=both.person, therapist_id=both.therapist, session_date=TOMORROW,
        session_time="10:00", occurrences=3,
    )  # fmt: skip
    as_therapist(both, 12)(world.connection)
    move = "select * from reschedule_series(%s, %s, %s)"
    with nothing_written(world), refused("client_conflict"):
        world.run(move, first["id"], TOMORROW, "12:00")
    # Onto the old times of one another, as far as they overlap.
    world.run(move, first["id"], TOMORROW, "10:30")
    world.run(move, first["id"], TOMORROW + dt.timedelta(days=7), "10:30")
    assert mirrors(world) == 3
    require_sound(world)
    world.run("select * from cancel_series(%s)", first["id"])
    assert mirrors(world) == 0


def test_housekeeping_takes_both_parts_away(both: Both) -> None:
    world = both.world
    for part, hour in ((as_client, 10), (as_therapist, 13)):
        expire_hold(world.connection, part(both, hour, "hold")(world.connection)[0]["id"])
    assert world.scalar("select held_times from housekeeping()") == 2
    assert world.count("bookingdb.calendar") == 0
    begin(world.connection, as_client(both)(world.connection)["id"], 100 * 24 * 60)
    assert mirrors(world) == 1
    assert world.scalar("select session_times from housekeeping()") == 1
    assert world.count("bookingdb.calendar") == 0
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_direct_writers_change_either_part(both: Both, level: str) -> None:
    world = both.world
    session = as_client(both)(world.connection)["id"]
    for change, expected in (
        ("therapist_id = %(other)s", 1),
        ("user_id = %(client)s, therapist_id = %(person)s", 0),
        ("user_id = %(person)s, therapist_id = %(therapist)s", 1),
        ("user_id = null", 0),
        ("user_id = %(person)s, therapist_id = null", 1),
        ("status = 'cancelled'", 0),
        ("status = 'scheduled'", 1),
    ):
        statement = f"update sessions set {change} where id = %(session)s"
        values = {
            "session": session, "client": both.client, "person": both.person, "therapist": both.therapist,
            "other": world.therapist(),
        }  # fmt: skip
        in_level(level, lambda c, s=statement, v=values: c.execute(s, v), world.connection)
        assert mirrors(world) == expected, change
        require_sound(world)
    with nothing_written(world), refused("booking_conflict"):
        in_level(level, as_therapist(both), world.connection)


@pytest.mark.parametrize("level", LEVELS)
def test_a_session_with_oneself_takes_one_time(both: Both, level: str) -> None:
    """Only a direct writer writes it."""
    world = both.world
    in_level(level, writing(SESSION, uuid4(), both.person, both.person, at(10), at(11)), world.connection)
    for part in (as_client, as_therapist):
        with nothing_written(world), refused(CONFLICT[part]):
            part(both)(world.connection)
    assert mirrors(world) == 0
    require_sound(world)


def test_a_transferred_session_blocks_its_therapist_as_client(both: Both) -> None:
    world = both.world
    as_client(both)(world.connection)
    session = world.book(both.client, world.therapist(), "10:00")["id"]
    transfer = "select * from transfer_session(%s, %s)"
    with nothing_written(world), refused("booking_conflict"):
        world.run(transfer, session, both.person)
    moving(session, "12:00")(world.connection)
    world.run(transfer, session, both.person)
    with nothing_written(world), refused("client_conflict"):
        as_client(both, 12)(world.connection)
    require_sound(world)


def test_a_deleted_session_leaves_no_part(both: Both) -> None:
    as_client(both)(both.world.connection)
    both.world.run("delete from sessions")
    assert both.world.count("bookingdb.calendar") == 0


def test_an_erased_person_has_no_part(both: Both) -> None:
    world = both.world
    as_client(both)(world.connection)
    with nothing_written(world), refused("person_in_use"):
        world.run("select * from erase_person(%s)", both.person)
    world.run("delete from sessions")
    world.run("select * from erase_person(%s)", both.person)
    assert world.run("select bookingdb.is_client(%s)", both.person) == [(False,)]
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Who is both
# ----------------------------------------------------------------------------------------------------------------------


def test_nobody_is_their_own_client(both: Both) -> None:
    for book_self in (booking(both.person, both.person), holding_slot(both.person, both.person)):
        with nothing_written(both.world), refused("invalid_parameter") as refusal:
            book_self(both.world.connection)
        assert (refusal.detail["parameter"], refusal.detail["reason"]) == ("p_therapist_id", "same_person")


FREE = (
    "list_available_slots(%(person)s, %(day)s, %(day)s, p_user_id => %(person)s)",
    "list_available_days(%(person)s, %(day)s, %(day)s, p_user_id => %(person)s)",
    "list_slot_states(%(person)s, %(day)s, %(day)s, p_user_id => %(person)s)",
    "next_available_slot(%(person)s, p_user_id => %(person)s)",
)


@pytest.mark.parametrize("call", FREE)
def test_nothing_is_free_with_oneself(both: Both, call: str) -> None:
    with refused("invalid_parameter") as refusal:
        both.world.connection.execute(f"select * from {call}", {"person": both.person, "day": TOMORROW})
    assert (refusal.detail["parameter"], refusal.detail["reason"]) == ("p_therapist_id", "same_person")


def test_a_therapist_is_no_client_unasked(world: World) -> None:
    therapist, other = world.therapist(), world.therapist()
    with nothing_written(world), refused("user_not_found"):
        world.book(therapist, other)
    with nothing_written(world), refused("user_not_found"):
        world.run("select * from grant_credits(%s, 1)", therapist)


@pytest.mark.parametrize("level", LEVELS)
def test_therapist_written_as_a_client_has_one_time(world: World, level: str) -> None:
    """No function registered them: the session's row says it all."""
    therapist, other, client = world.therapist(), world.therapist(), world.client(credits=1)
    write = writing(SESSION, uuid4(), therapist, other, at(10), at(10) + HOUR)
    in_level(level, write, world.connection)
    with nothing_written(world), refused("booking_conflict"):
        in_level(level, booking(client, therapist), world.connection)
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_client_written_as_a_therapist_has_one_time(world: World, level: str) -> None:
    therapist, other, client = world.therapist(), world.client(), world.client(credits=1)
    in_level(level, writing(SESSION, uuid4(), other, client, at(10), at(10) + HOUR), world.connection)
    with nothing_written(world), refused("client_conflict"):
        in_level(level, booking(client, therapist), world.connection)
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_a_client_who_becomes_a_therapist_keeps_their_time(world: World, level: str) -> None:
    therapist, client, other = world.therapist(), world.client(credits=1), world.client(credits=1)
    world.book(client, therapist)
    change = writing("update users set user_type = 'therapist', is_verified = true where id = %s", client)
    in_level(level, change, world.connection)
    with nothing_written(world), refused("booking_conflict"):
        world.book(other, client)
    world.run("update users set user_type = 'user' where id = %s", client)
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_a_therapist_who_becomes_a_client_keeps_their_time(world: World, level: str) -> None:
    therapist, client, other = world.therapist(), world.client(credits=1), world.therapist()
    world.book(client, therapist)
    in_level(level, writing("update users set user_type = 'user' where id = %s", therapist), world.connection)
    world.run("select * from grant_credits(%s, 1)", therapist)
    with nothing_written(world), refused("client_conflict"):
        world.book(therapist, other)
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_a_change_of_parts_sees_a_booking_in_flight(world: World, level: str) -> None:
    therapist, client, other = world.therapist(), world.client(credits=1), world.client(credits=1)
    change = writing("update users set user_type = 'therapist', is_verified = true where id = %s", client)
    with holding(world) as first, session_of(world) as second:
        booking(client, therapist)(first)
        answer = waiting(world, partial(in_level, level, change), second)
        first.execute("commit")
        ended = outcome(answer.result)
    assert ended == "done" or (level != "read committed" and ended == "40001")
    if ended == "done":
        with nothing_written(world), refused("booking_conflict"):
            world.book(other, client)
    require_sound(world)


def test_a_change_of_parts_waits_for_a_cancellation(world: World) -> None:
    """A cancellation locks the client only, and the change of the therapist locks both."""
    therapist, client = world.therapist(), world.client(credits=1)
    session = world.book(client, therapist)["id"]
    with holding(world) as first, session_of(world) as second:
        run(first, "select * from cancel_session(%s)", session)
        answer = waiting(world, writing("update users set user_type = 'user' where id = %s", therapist), second)
        first.execute("commit")
        answer.result()
    assert world.count("bookingdb.calendar") == 0
    require_sound(world)


TYPE = "update users set user_type = %s, is_verified = true where id = %s"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("therapist_is_first", [True, False])
def test_both_people_of_a_session_change_their_part(
    world: World, level: str, ending: str, therapist_is_first: bool
) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)
    changes = [writing(TYPE, "user", therapist), writing(TYPE, "therapist", client)]
    one, other = changes if therapist_is_first else changes[::-1]
    with holding(world) as first, session_of(world) as second:
        one(first)
        answer = waiting(world, partial(in_level, level, other), second)
        first.execute(ending.encode())
        ended = outcome(answer.result)
    assert ended == "done" or (ending == "commit" and level != "read committed" and ended == "40001")
    require_sound(world)


def test_parts_that_change_together_are_locked_in_order(world: World) -> None:
    """A booking of two of the people waits for the statement, and not the statement for it."""
    people = [world.therapist() if number % 2 else world.client(credits=1) for number in range(24)]
    keys = [world.scalar("select bookingdb.person_key(%s)", person) for person in people]
    therapist, last, client = next(
        (people[one], people[two], people[three])
        for one, two, three in combinations(range(len(people)), 3)
        if one % 2 and not three % 2 and keys[two] > keys[one] > keys[three]
    )
    change = (
        "update users set user_type = case user_type when 'user' then 'therapist' else 'user' end where id = any (%s)"
    )
    with holding(world) as one, session_of(world) as two, session_of(world) as three:
        run(one, "select pg_advisory_xact_lock(bookingdb.person_key(%s))", last)
        changed = waiting(world, writing(change, [therapist, last, client]), two)
        booked = waiting(world, booking(client, therapist), three)
        one.execute("commit")
        changed.result()
        assert outcome(booked.result) == "therapist_not_found"
    require_sound(world)


@pytest.mark.parametrize("booking_is_first", [True, False])
def test_a_change_of_parts_meets_a_new_booking(world: World, booking_is_first: bool) -> None:
    """The change finds the other person only after the booking, and locks both in order."""
    client, therapists = world.client(credits=9), [world.therapist() for _ in range(4)]
    world.book(client, therapists[0], "08:00")
    change = writing(TYPE, "therapist", client)
    for number, therapist in enumerate(therapists[1:]):
        calls: list[Call] = [booking(client, therapist, f"{10 + 2 * number}:00"), change]
        one, other = calls if booking_is_first else calls[::-1]
        with holding(world) as first, session_of(world) as second:
            one(first)
            answer = waiting(world, other, second)
            first.execute("commit")
            # Who is a therapist by now is no client any more.
            assert outcome(answer.result) == ("done" if booking_is_first else "user_not_found")
        require_sound(world)
        world.run("update users set user_type = 'user' where id = %s", client)
    require_sound(world)


def test_a_storm_of_parts_and_bookings_leaves_one_time(world: World) -> None:
    people = [world.client(credits=40) for _ in range(4)] + [world.therapist() for _ in range(4)]

    def storm(seed: int, connection: Connection) -> set[str]:
        choose, ended = random.Random(seed), set()
        connection.execute("set lock_timeout = '10s'")
        for _ in range(25):
            one, other = choose.sample(people, 2)
            call = choose.choice([
                writing(TYPE, choose.choice(("user", "therapist")), one),
                booking(one, other, f"{choose.randrange(6, 22)}:00"),
                writing(
                    "select reschedule_session(s.id, %s, %s) from (select id from sessions where user_id = %s"
                    " order by random() limit 1) as s", TOMORROW, f"{choose.randrange(6, 22)}:30", one,
                ),
                writing(
                    "select cancel_session(s.id) from (select id from sessions where user_id = %s"
                    " and status = 'scheduled' order by random() limit 1) as s", one,
                ),
            ])  # fmt: skip
            ended.add(outcome(partial(call, connection)))
        return ended

    with ExitStack() as stack:
        connections = [stack.enter_context(session_of(world)) for _ in range(4)]
        answers = [started(partial(storm, seed), connection) for seed, connection in enumerate(connections)]
        ended = set().union(*(answer.result() for answer in answers))
    assert "done" in ended
    assert not ended & {"40P01", "40001", "busy", "23505", "23P01"}, ended
    require_sound(world)


def test_either_part_is_closed_by_itself(both: Both) -> None:
    world = both.world
    world.run("select set_client_active(%s, false)", both.person)
    with nothing_written(world), refused("user_not_found"):
        as_client(both)(world.connection)
    email = world.scalar("select email from users where id = %s", both.person)
    with nothing_written(world), refused("person_inactive"):
        world.run("select register_client(%s)", email)
    as_therapist(both)(world.connection)
    assert world.balance(both.person) == 3
    world.run("select set_client_active(%s, true)", both.person)

    world.run("select set_therapist_active(%s, false)", both.person)
    with nothing_written(world), refused("therapist_not_found"):
        as_therapist(both, 12)(world.connection)
    as_client(both, 12)(world.connection)
    world.run("select set_therapist_active(%s, true)", both.person)
    as_therapist(both, 14)(world.connection)

    world.run("update users set is_active = false where id = %s", both.person)
    with nothing_written(world), refused("user_not_found"):
        as_client(both, 16)(world.connection)
    require_sound(world)


def test_a_client_is_closed_before_the_booking_that_waited(both: Both) -> None:
    with holding(both.world) as first, session_of(both.world) as second:
        run(first, "select set_client_active(%s, false)", both.person)
        answer = waiting(both.world, as_client(both), second)
        first.execute("commit")
        assert outcome(answer.result) == "user_not_found"


def test_lists_tell_of_both_parts(both: Both) -> None:
    world = both.world
    name = "select full_name from users where id = %s"
    own = [as_client(both)(world.connection)["id"], as_therapist(both, 12)(world.connection)["id"]]
    with world.connection.transaction():
        world.run("select act_as(%s)", both.person)
        listed = world.run("select id, client_name, therapist_name from list_sessions()")
    assert [row[0] for row in listed] == own
    assert listed[0][2] == world.scalar(name, both.therapist)
    assert world.run("select credits_balance, user_type from find_people(%s)", str(both.person)) == [(2, "therapist")]
    free = world.run(
        "select start_time from list_available_slots(%s, %s, %s, p_user_id => %s)",
        both.therapist, TOMORROW, TOMORROW, both.person,
    )  # fmt: skip
    starts = {start for (start,) in free}
    assert not starts & {at(10), at(12)}
    assert at(14) in starts
    # Time off names the sessions that it touches: not one's own as a client.
    off = world.scalar(
        "select session_ids from add_time_off(%s, %s, %s)", both.person, at(9), at(13)
    )  # fmt: skip
    assert off == [own[1]]


def test_a_person_at_two_places_is_found(both: Both) -> None:
    world = both.world
    as_client(both)(world.connection)
    with world.connect(user=world.superuser) as connection:
        run(connection, "set session_replication_role = replica")
        run(connection, "delete from bookingdb.calendar where mirror_of is not null")
        run(connection, SESSION, uuid4(), both.client, both.person, at(10), at(10) + HOUR)
        run(
            connection,
            "insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)"
            " select id, 'session', therapist_id, user_id, tstzrange(start_time, end_time),"
            " tstzrange(start_time, end_time) from sessions where therapist_id = %s",
            both.person,
        )
    found = {problem for _, _, problem, _ in world.run("select * from bookingdb.check_invariants()")}
    assert any("overlaps a calendar row in which the" in problem for problem in found)
    assert any("other part of a person" in problem for problem in found)


# ----------------------------------------------------------------------------------------------------------------------
# A second account
# ----------------------------------------------------------------------------------------------------------------------


MERGE = "select sessions, credits, credits_balance from merge_clients(%s, %s)"


@pytest.mark.parametrize("level", LEVELS)
def test_a_second_account_merges_into_both_parts(both: Both, level: str) -> None:
    """They registered once as a client under a private address."""
    world = both.world
    world.book(both.client, both.therapist)
    world.book(both.client, world.therapist(), "14:00")
    merge = writing(MERGE, both.client, both.person)
    in_level(level, merge, world.connection)
    assert world.balance(both.person) == 4
    assert mirrors(world) == 2
    other = world.client(credits=1)
    with nothing_written(world), refused("booking_conflict"):
        world.book(other, both.person)
    require_sound(world)
    with nothing_written(world):
        assert world.run(MERGE, both.client, both.person) == [(0, 0, 4)]


def test_a_second_account_with_themselves_is_refused(both: Both) -> None:
    world = both.world
    own = as_therapist(both)(world.connection)["id"]
    with nothing_written(world), refused("client_conflict") as refusal:
        world.run(MERGE, both.client, both.person)
    assert refusal.detail["session_id"] == refusal.detail["other_session_id"] == str(own)
    world.run("select * from cancel_session(%s)", own)
    world.run(MERGE, both.client, both.person)
    require_sound(world)


def test_a_second_account_looks_at_the_therapists_times(both: Both) -> None:
    world, other = both.world, both.world.client(credits=2)
    passing = world.book(both.client, both.therapist)["id"]
    taken = world.book(other, both.person, "10:30")["id"]
    with nothing_written(world), refused("client_conflict") as refusal:
        world.run(MERGE, both.client, both.person)
    assert refusal.detail["session_id"] == str(passing)
    assert refusal.detail["other_session_id"] == str(taken)
    world.run("select * from cancel_session(%s)", taken)
    # A hold of somebody else with the therapist stays theirs.
    hold = holding_slot(other, both.person, "10:30")(world.connection)[0]["id"]
    with nothing_written(world), refused("client_conflict"):
        world.run(MERGE, both.client, both.person)
    expire_hold(world.connection, hold)
    world.run(MERGE, both.client, both.person)
    require_sound(world)


def test_a_therapists_own_hold_gives_way_to_what_passes_on(both: Both) -> None:
    world = both.world
    world.book(both.client, both.therapist)
    holding_slot(both.person, world.therapist(), "10:30")(world.connection)
    world.run(MERGE, both.client, both.person)
    assert world.run("select distinct kind from bookingdb.calendar") == [("session",)]
    require_sound(world)


def test_only_a_client_takes_in_a_second_account(both: Both) -> None:
    world = both.world
    therapist = world.therapist()
    for one, other in ((both.client, therapist), (both.person, both.client), (therapist, both.person)):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run(MERGE, one, other)
        assert refusal.detail["reason"] == "of_another_kind"
    world.run("select set_client_active(%s, false)", both.person)
    with nothing_written(world), refused("person_inactive"):
        world.run(MERGE, both.client, both.person)


@pytest.mark.parametrize("level", LEVELS)
def test_a_merge_sees_what_was_booked_meanwhile(both: Both, level: str) -> None:
    world, other = both.world, both.world.client(credits=1)
    world.book(both.client, both.therapist)
    with holding(world) as first, session_of(world) as second:
        booking(other, both.person)(first)
        answer = waiting(world, partial(in_level, level, writing(MERGE, both.client, both.person)), second)
        first.execute("commit")
        ended = outcome(answer.result)
    assert ended == "client_conflict" or (level != "read committed" and ended == "40001")
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_a_booking_sees_what_passed_on_meanwhile(both: Both, level: str) -> None:
    world, other = both.world, both.world.client(credits=1)
    world.book(both.client, both.therapist)
    with holding(world) as first, session_of(world) as second:
        run(first, MERGE, both.client, both.person)
        answer = waiting(world, partial(in_level, level, booking(other, both.person)), second)
        first.execute("commit")
        ended = outcome(answer.result)
    assert ended == "booking_conflict" or (level != "read committed" and ended == "40001")
    require_sound(world)
