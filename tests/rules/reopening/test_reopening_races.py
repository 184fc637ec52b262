"""Two at once, one order forced: a session is reopened while its time, its credit or the session itself is wanted."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest

from tests.support import World
from tests.support.connections import LEVELS
from tests.support.interleaving import session_of
from tests.support.life import begin, call, require_sound
from tests.support.races import ENDINGS, booking, calling, entries_of, race, setting, status_of
from tests.support.refusals import outcome


def cancelled(world: World, credits: int = 1) -> tuple[UUID, UUID, UUID]:
    client, therapist = world.client(credits=credits), world.therapist()
    session_id = world.book(client, therapist)["id"]
    call(world.connection, "cancel_session", session_id=session_id)
    return client, therapist, session_id


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", ["reopen", "book"])
def test_reopening_and_booking_share_no_slot(world: World, first: str, ending: str) -> None:
    client, therapist, session_id = cancelled(world)
    other = world.client(credits=1)
    calls = [calling("reopen_session", session_id=session_id), booking(other, therapist)]
    one, two = calls if first == "reopen" else calls[::-1]
    assert race(world, one, two, ending) == ("done", "booking_conflict" if ending == "commit" else "done")
    assert world.balance(client) + world.balance(other) == 1
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_reopening_twice_charges_once(world: World, ending: str) -> None:
    client, _, session_id = cancelled(world, credits=3)
    again = calling("reopen_session", session_id=session_id)
    ended = race(world, again, again, ending)
    assert ended == ("done", "invalid_transition" if ending == "commit" else "done")
    assert (world.balance(client), status_of(world, session_id)) == (2, "scheduled")
    keyed = calling("reopen_session", session_id=session_id, idempotency_key="key")
    call(world.connection, "cancel_session", session_id=session_id)
    assert race(world, keyed, keyed) == ("done", "done")
    assert entries_of(world, session_id).count("debit") == 3
    require_sound(world)


def test_last_credit_pays_for_one_of_two(world: World) -> None:
    client, _, session_id = cancelled(world)
    ended = race(world, booking(client, world.therapist(), "15:00"), calling("reopen_session", session_id=session_id))
    assert ended == ("done", "insufficient_credits")
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("change", ["a booking", "time off", "a limit", "a completed session"])
def test_old_snapshot_reopens_nothing_that_was_taken(world: World, level: str, change: str) -> None:
    _client, therapist, session_id = cancelled(world)
    other, elsewhere = world.client(credits=2), world.therapist()
    missed, rival = world.book(other, therapist, "14:00")["id"], world.book(other, elsewhere, "16:00")["id"]
    for number, past in enumerate((missed, rival)):
        begin(world.connection, past, 300 + 200 * number)
        call(world.connection, "mark_no_show", session_id=past)
    # Both lie at the same time now, of the same client; whoever is reopened first has it.
    world.run(
        "update sessions as s set start_time = m.start_time, end_time = m.end_time from sessions as m"
        " where s.id = %s and m.id = %s",
        *(rival, missed),
    )
    start, end = world.run("select start_time, end_time from sessions where id = %s", session_id)[0]
    meanwhile = {
        "a booking": booking(other, therapist),
        "time off": calling("add_time_off", therapist_id=therapist, start=start, end=end),
        "a limit": setting(therapist, buffer_before_minutes=30),
        "a completed session": calling("reopen_session", session_id=rival),
    }[change]
    if change == "a booking":
        call(world.connection, "grant_credits", user_id=other, amount=1)
    wanted = missed if change == "a completed session" else session_id
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        meanwhile(world.connection)
        ended = outcome(partial(calling("reopen_session", session_id=wanted), connection))
        connection.execute("rollback")
    assert ended == ("booking_conflict" if change == "a booking" else "40001")
    require_sound(world)
