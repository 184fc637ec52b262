"""Two at once, one order forced: a hold that is made, booked, released or over meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support import World, run
from tests.support.interleaving import holding, session_of, started, waiting
from tests.support.life import (
    call,
    expire_hold,
    require_sound,
    rows,
)
from tests.support.races import (
    ENDINGS,
    Call,
    booking,
    calling,
    holding_slot,
    moving,
    race,
    unhindered,
    writing,
)
from tests.support.refusals import nothing_written, outcome, refused


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shared", ["therapist", "client"])
@pytest.mark.parametrize("first", ["hold", "booking"])
def test_hold_or_booking_in_a_race_gets_the_slot(world: World, ending: str, shared: str, first: str) -> None:
    clients = [world.client(credits=1), world.client(credits=1)]
    therapists = [world.therapist(), world.therapist()]
    (clients if shared == "client" else therapists)[1:] = (clients if shared == "client" else therapists)[:1]
    calls = [booking(clients[0], therapists[0], "10:00"), holding_slot(clients[1], therapists[1], "10:30")]
    if first == "hold":
        calls.reverse()

    conflict = "booking_conflict" if shared == "therapist" else "client_conflict"
    assert race(world, calls[0], calls[1], ending) == ("done", conflict if ending == "commit" else "done")

    assert world.count("bookingdb.calendar") == 1
    require_sound(world)


@pytest.fixture
def held(world: World) -> dict[str, Any]:
    """A slot at 10:00 that a client with one credit holds, and another client."""
    client, therapist = world.client(credits=1), world.therapist()
    hold = holding_slot(client, therapist)(world.connection)[0]
    return {"client": client, "therapist": therapist, "hold": hold["id"], "other": world.client(credits=1)}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_hold_that_is_booked_twice_at_once_is_one_session(world: World, held: dict[str, Any], ending: str) -> None:
    turn = calling("book_hold", hold_id=held["hold"])

    assert race(world, turn, turn, ending) == ("done", "done")

    assert world.run("select id, status from sessions") == [(held["hold"], "scheduled")]
    assert world.balance(held["client"]) == 0
    require_sound(world)


@pytest.mark.parametrize("key", ["same", "another"])
def test_booking_a_hold_that_races_its_own_retry_answers_alike(world: World, held: dict[str, Any], key: str) -> None:
    with holding(world) as one, session_of(world) as other:
        first = rows(one, "book_hold", hold_id=held["hold"], idempotency_key="same")
        answer = waiting(world, calling("book_hold", hold_id=held["hold"], idempotency_key=key), other)
        one.execute("commit")

        if key == "same":
            assert answer.result() == first
        else:
            with refused("hold_expired") as refusal:
                answer.result()
            assert refusal.detail["reason"] == "booked"
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_hold_that_is_released_meanwhile_is_not_booked(world: World, held: dict[str, Any], ending: str) -> None:
    release, turn = calling("release_hold", hold_id=held["hold"]), calling("book_hold", hold_id=held["hold"])

    assert race(world, release, turn, ending) == ("done", "hold_expired" if ending == "commit" else "done")

    assert world.count("bookingdb.calendar") == world.count("sessions") == int(ending == "rollback")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_hold_that_is_booked_meanwhile_is_not_released(world: World, held: dict[str, Any], ending: str) -> None:
    release, turn = calling("release_hold", hold_id=held["hold"]), calling("book_hold", hold_id=held["hold"])

    assert race(world, turn, release, ending) == ("done", "invalid_transition" if ending == "commit" else "done")

    assert world.count("bookingdb.calendar") == world.count("sessions") == int(ending == "commit")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("by", ["booking", "hold", "move", "direct writer"])
def test_a_hold_that_ran_out_goes_to_who_came_for_its_slot(
    world: World, held: dict[str, Any], ending: str, by: str
) -> None:
    """Whoever removed the hold's calendar row, the hold is not booked, neither before nor after that is committed."""
    session_id = world.book(held["other"], held["therapist"], "15:00")["id"]
    world.run("select * from grant_credits(%s, 1)", held["other"])
    comers: dict[str, Call] = {
        "booking": booking(held["other"], held["therapist"], "10:30"),
        "hold": holding_slot(held["other"], held["therapist"], "10:30"),
        "move": moving(session_id, "10:30"),
        "direct writer": writing(
            "update sessions set start_time = start_time - interval '270 minutes',"
            " end_time = end_time - interval '270 minutes' where id = %s", session_id
        ),
    }  # fmt: skip
    expire_hold(world.connection, held["hold"])

    ended = race(world, comers[by], calling("book_hold", hold_id=held["hold"]), ending)

    assert ended == ("done", "hold_expired")
    assert world.balance(held["client"]) == 1
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_hold_being_booked_keeps_its_slot(world: World, held: dict[str, Any], ending: str) -> None:
    turn = calling("book_hold", hold_id=held["hold"])

    ended = unhindered(world, turn, booking(held["other"], held["therapist"], "10:30"), ending)

    assert ended == ("done", "booking_conflict")
    require_sound(world)


def test_hold_that_runs_out_during_a_wait_is_not_booked(world: World, held: dict[str, Any]) -> None:
    for table in ("calendar", "holds"):
        world.run(f"update bookingdb.{table} set expires_at = clock_timestamp() + interval '0.4 s'")
    with holding(world) as holder, session_of(world) as connection:
        call(holder, "lock_for_booking", people=[held["therapist"]])
        answer = waiting(world, calling("book_hold", hold_id=held["hold"]), connection)
        holder.execute("select pg_sleep(0.5)")
        holder.execute("commit")
        with refused("hold_expired"):
            answer.result()
    assert world.count("sessions") == 0
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("waits", ["book_hold", "release_hold"])
def test_change_of_a_hold_waits_for_its_replacement(
    world: World, held: dict[str, Any], ending: str, waits: str
) -> None:
    replace = holding_slot(held["client"], held["therapist"], "14:00")

    ended = race(world, replace, calling(waits, hold_id=held["hold"]), ending)

    assert ended == ("done", "hold_expired" if (waits, ending) == ("book_hold", "commit") else "done")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_replaced_hold_frees_its_slot_after_the_commit(world: World, held: dict[str, Any], ending: str) -> None:
    replace = holding_slot(held["client"], held["therapist"], "14:00")
    book_old = booking(held["other"], held["therapist"], "10:00")

    # It waits for nobody: until then the slot is taken.
    assert unhindered(world, replace, book_old, ending) == ("done", "booking_conflict")
    assert outcome(partial(book_old, world.connection)) == ("done" if ending == "commit" else "booking_conflict")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_holds_at_once_leave_one(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()

    ended = race(world, holding_slot(client, therapist, "10:00"), holding_slot(client, therapist, "12:00"), ending)

    assert ended == ("done", "done")
    clock = "select to_char(lower(period) at time zone 'UTC', 'HH24:MI') from bookingdb.calendar"
    assert world.run(clock) == [("12:00",)]
    assert world.scalar("select count(*) from bookingdb.holds where released_at is null") == 1
    require_sound(world)


def test_a_hold_that_fails_leaves_the_clients_old_one(world: World, held: dict[str, Any]) -> None:
    ended = race(
        world,
        booking(held["other"], held["therapist"], "14:00"),
        holding_slot(held["client"], held["therapist"], "14:30"),
    )

    assert ended == ("done", "booking_conflict")
    assert outcome(partial(calling("book_hold", hold_id=held["hold"]), world.connection)) == "done"
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_hold_that_races_its_own_retry_is_one_hold(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    with holding(world) as one, session_of(world) as other:
        hold = holding_slot(client, therapist, idempotency_key="key")
        first = hold(one)
        answer = waiting(world, hold, other)
        one.execute(ending.encode())
        assert (answer.result() == first) == (ending == "commit")
    assert world.count("bookingdb.holds") == 1
    require_sound(world)


@pytest.fixture
def crossed(world: World) -> dict[str, Any]:
    """Two clients and two therapists, and an expired hold of each client with the other's therapist, at 10:00."""
    clients = [world.client(credits=3), world.client(credits=3)]
    therapists = [world.therapist(), world.therapist()]
    for client, therapist in zip(clients, therapists[::-1], strict=True):
        expire_hold(world.connection, holding_slot(client, therapist)(world.connection)[0]["id"])
    return {"clients": clients, "therapists": therapists}


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_removers_of_expired_holds_wait_for_each_other(world: World, crossed: dict[str, Any], ending: str) -> None:
    """They share no person: each removes a hold of its therapist's and one of its client's, the same two."""
    calls = [booking(client, person) for client, person in zip(crossed["clients"], crossed["therapists"], strict=True)]

    assert race(world, calls[0], calls[1], ending) == ("done", "done")

    assert world.scalar("select count(*) from bookingdb.calendar where kind = 'hold'") == 0
    require_sound(world)


def test_expired_holds_are_removed_in_one_order(world: World, crossed: dict[str, Any]) -> None:
    """Whatever plan finds them: one here reads the table, the other the index on when they expire, which is the other
    way round. Removing takes long here, so that each could have the one hold and want the other."""
    world.run("update bookingdb.calendar set expires_at = expires_at - (lower(period) - now())")
    world.run(
        "update bookingdb.calendar set expires_at = now() - interval '1 day' where ctid ="
        " (select max(ctid) from bookingdb.calendar)"
    )
    world.run(
        "create function slowly() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(0.3); return old; end $$"
    )
    world.run("create trigger slowly before delete on bookingdb.calendar for each row execute function slowly()")
    try:
        with session_of(world) as one, session_of(world) as other:
            run(one, "set enable_indexscan = off; set enable_bitmapscan = off")
            run(other, "set enable_seqscan = off; set enable_bitmapscan = off")
            answers = [
                started(booking(client, person), connection)
                for client, person, connection in zip(
                    crossed["clients"], crossed["therapists"], (one, other), strict=True
                )
            ]
            assert [outcome(answer.result) for answer in answers] == ["done", "done"]
    finally:
        world.run("drop function slowly cascade")
    require_sound(world)


def test_wait_for_an_expired_hold_is_busy(world: World, crossed: dict[str, Any]) -> None:
    calls = [booking(client, person) for client, person in zip(crossed["clients"], crossed["therapists"], strict=True)]
    with holding(world) as one, session_of(world) as other:
        calls[0](one)
        other.execute("set lock_timeout = '50ms'")
        with nothing_written(world), refused("busy"):
            calls[1](other)
