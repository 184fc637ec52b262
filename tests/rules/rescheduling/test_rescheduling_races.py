"""Two at once, one order forced: a session that is moved meanwhile."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    call,
    require_sound,
)
from tests.support.races import (
    ENDINGS,
    booking,
    change,
    entries_of,
    moving,
    race,
    starts_at,
    unhindered,
    writing,
)
from tests.support.refusals import outcome


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_clients_who_swap_slots_are_refused(world: World, order: tuple[int, int]) -> None:
    therapist = world.therapist()
    times = ["10:00", "11:00"]
    sessions = [world.book(world.client(credits=1), therapist, at)["id"] for at in times]
    calls = [moving(sessions[0], times[1]), moving(sessions[1], times[0])]
    with holding(world) as holder, session_of(world) as one, session_of(world) as other:
        # Both have their own session's row and wait for the therapist.
        call(holder, "lock_for_booking", people=[therapist])
        answers = [
            waiting(world, calls[number], connection) for number, connection in zip(order, (one, other), strict=True)
        ]
        holder.execute("commit")

        assert [outcome(answer.result) for answer in answers] == ["booking_conflict", "booking_conflict"]
    assert [starts_at(world, session_id) for session_id in sessions] == times
    require_sound(world)


def test_client_who_swaps_therapists_is_refused(world: World) -> None:
    """Both sessions are the client's own, so that each move waits for the one and the other person of the other."""
    client, therapists = world.client(credits=2), [world.therapist(), world.therapist()]
    times = ["10:00", "11:00"]
    sessions = [world.book(client, person, at)["id"] for person, at in zip(therapists, times, strict=True)]
    with holding(world) as holder, session_of(world) as one, session_of(world) as other:
        call(holder, "lock_for_booking", people=[client])
        answers = [
            waiting(world, moving(session_id, at), connection)
            for session_id, at, connection in zip(sessions, times[::-1], (one, other), strict=True)
        ]
        holder.execute("commit")

        assert [outcome(answer.result) for answer in answers] == ["client_conflict", "client_conflict"]
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_slot_that_a_move_gives_up_goes_to_the_second_move(world: World, ending: str) -> None:
    therapist = world.therapist()
    first, second = (world.book(world.client(credits=1), therapist, at)["id"] for at in ("10:00", "11:00"))

    ended = race(world, moving(first, "12:00"), moving(second, "10:00"), ending)

    assert ended == ("done", "done" if ending == "commit" else "booking_conflict")
    assert starts_at(world, second) == ("10:00" if ending == "commit" else "11:00")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_booking_waits_for_a_move_into_its_slot(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    session_id = world.book(world.client(credits=1), therapist, "10:00")["id"]

    ended = race(world, moving(session_id, "12:00"), booking(client, therapist, "12:00"), ending)

    assert ended == ("done", "booking_conflict" if ending == "commit" else "done")
    assert world.balance(client) == int(ending == "commit")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_slot_of_a_moved_session_is_free_after_its_commit(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    session_id = world.book(world.client(credits=1), therapist, "10:00")["id"]
    book_old = booking(client, therapist, "10:00")

    # It waits for nobody: until then the slot is taken.
    assert unhindered(world, moving(session_id, "12:00"), book_old, ending) == ("done", "booking_conflict")
    assert outcome(partial(book_old, world.connection)) == ("done" if ending == "commit" else "booking_conflict")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("whose", ["therapist", "client"])
def test_move_into_a_slot_being_booked_stays_where_it_was(world: World, ending: str, whose: str) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    session_id = world.book(client, therapist, "10:00")["id"]
    other = booking(client, world.therapist(), "12:00")
    if whose == "therapist":
        other = booking(world.client(credits=1), therapist, "12:00")

    ended = race(world, other, moving(session_id, "12:30"), ending)

    conflict = "booking_conflict" if whose == "therapist" else "client_conflict"
    assert ended == ("done", conflict if ending == "commit" else "done")
    assert starts_at(world, session_id) == ("10:00" if ending == "commit" else "12:30")
    assert entries_of(world, session_id) == ["debit"]
    require_sound(world)


def test_a_move_that_races_its_own_retry_moves_once(world: World) -> None:
    session_id = world.book(world.client(credits=1), world.therapist(), "10:00")["id"]
    with holding(world) as one, session_of(world) as other:
        move = moving(session_id, "12:00", idempotency_key="key")
        first = move(one)
        answer = waiting(world, move, other)
        one.execute("commit")
        assert answer.result() == first
    moves = "select count(*) from booking_audit_log where session_id = %s and action = 'updated'"
    assert world.scalar(moves, session_id) == 1
    require_sound(world)


@pytest.mark.parametrize("second", ["cancel_session", "reschedule_session"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_change_after_a_direct_move_sees_the_new_time(world: World, second: str, ending: str) -> None:
    """Another therapist's session since: the therapist who is locked and the slot that is given up are the new ones."""
    old, new, client = world.therapist(), world.therapist(), world.client(credits=1)
    session_id = world.book(client, old, "10:00")["id"]
    move = writing(
        "update sessions set therapist_id = %s, start_time = start_time + interval '3 hours',"
        " end_time = end_time + interval '3 hours' where id = %s", new, session_id,
    )  # fmt: skip

    assert race(world, move, change(second, session_id), ending) == ("done", "done")

    whose = new if ending == "commit" else old
    assert world.run("select therapist_id, status from sessions") == [
        (whose, "cancelled" if second == "cancel_session" else "scheduled")
    ]
    require_sound(world)


@pytest.mark.parametrize("first", ["cancel_session", "reschedule_session"])
def test_direct_update_of_many_waits_for_a_change_of_one(world: World, first: str) -> None:
    therapist = world.therapist()
    sessions = [world.book(world.client(credits=1), therapist, at)["id"] for at in ("10:00", "11:00", "12:00")]
    shift = writing(
        "update sessions set start_time = start_time + interval '1 hour', end_time = end_time + interval '1 hour'"
    )

    assert race(world, change(first, sessions[1]), shift) == ("done", "done")

    assert [starts_at(world, session_id) for session_id in sessions] == [
        "11:00", "12:00" if first == "cancel_session" else "19:00", "13:00",
    ]  # fmt: skip
    require_sound(world)
