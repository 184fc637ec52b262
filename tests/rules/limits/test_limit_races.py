"""One client, two therapists, a limit of one: both bookings never pass."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support import World
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import at, request_session, set_policy
from tests.support.races import ENDINGS, Call, booking, holding_slot
from tests.support.refusals import outcome

OLD = LEVELS[1:]
KINDS = ["booking", "hold"]


def calls(world: World, first: str, second: str, **settings: int) -> tuple[Call, Call]:
    client = world.client(credits=1)
    world.run("select * from grant_credits(%s, 5)", client)
    set_policy(world, None, **settings)
    makers = {"booking": booking, "hold": holding_slot}
    return makers[first](client, world.therapist(), "10:00"), makers[second](client, world.therapist(), "15:00")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("setting", ["maximum_open_sessions", "maximum_client_sessions_per_week"])
def test_second_booking_sees_the_first_of_its_client(
    world: World, setting: str, level: str, first: str, second: str, ending: str
) -> None:
    one, other = calls(world, first, second, **{setting: 1})
    with holding(world) as earlier, session_of(world) as later:
        one(earlier)
        answer = waiting(world, partial(in_level, level, other), later)
        earlier.execute(ending.encode())
        ended = outcome(answer.result)
    if ending == "rollback":
        assert ended == "done"
    else:
        assert ended == ("client_limit" if level == "read committed" else "40001")
    assert world.violations() == []


@pytest.mark.parametrize("first", [*KINDS, "request"])
@pytest.mark.parametrize("level", OLD)
def test_old_snapshot_does_not_overlook_a_session_of_the_client(world: World, level: str, first: str) -> None:
    if first == "request":
        set_policy(world, None, maximum_open_sessions=1)
        client = world.client(credits=1)
        other = booking(client, world.therapist(), "15:00")
        one: Call = partial(request_session, client=client, therapist=world.therapist(), starts_at=at(10))
    else:
        one, other = calls(world, first, "booking", maximum_open_sessions=1)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        one(world.connection)
        assert outcome(partial(other, connection)) == "40001"
        connection.execute("rollback")
    assert world.violations() == []
