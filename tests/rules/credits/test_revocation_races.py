"""A grant, a revocation and a reinstatement of the same payment, at once, in every isolation level."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import World, wait_until_blocked
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import call, require_sound
from tests.support.races import ENDINGS, Call, calling
from tests.support.refusals import outcome

LEVELS = ["read committed", "repeatable read", "serializable"]
PAYMENT = "pi_1"
REMEMBER = calling("revoke_grant", payment_reference=PAYMENT, remember=True)
REVOKE = calling("revoke_grant", payment_reference=PAYMENT)
HALF = calling("revoke_grant", payment_reference=PAYMENT, share="0.5")
REINSTATE = calling("reinstate_grant", payment_reference=PAYMENT)

in_every_level = pytest.mark.parametrize("level", LEVELS)


def granting(client: UUID, **options: Any) -> Call:
    return calling("grant_credits", user_id=client, amount=4, payment_reference=PAYMENT, **options)


def writing_lot(client: UUID) -> Call:
    insert = "insert into user_credits (user_id, credits_balance, credits_purchased, payment_reference)"
    return lambda connection: connection.execute(f"{insert} values (%s, 4, 4, %s)".encode(), (client, PAYMENT))


def until_done(world: World, call_it: Call) -> str:
    """Ask again as whoever is told to: after a failure by Postgres itself, and when it is busy."""
    for _ in range(5):
        found = outcome(partial(call_it, world.connection))
        if found not in ("40001", "busy"):
            return found
    raise AssertionError("It goes on failing.")


def interleave(world: World, level: str, first: Call, second: Call, ending: str, *, is_old: bool) -> str:
    """Let the second wait for the first, with a snapshot from before it or not; return how the second ended."""
    with holding(world) as one, session_of(world) as other:
        other.execute(f"begin isolation level {level}".encode())
        if is_old:
            other.execute("select count(*) from user_credits")
        assert outcome(partial(first, one)) == "done"
        answer = waiting(world, second, other)
        one.execute(ending.encode())
        found = outcome(answer.result)
        other.execute("commit" if found == "done" else "rollback")
        return found


@in_every_level
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize("by", ["function", "writer"])
def test_grant_that_races_a_remembered_revocation_gives_nothing(
    world: World, level: str, ending: str, is_old: bool, by: str
) -> None:
    client = world.client()
    grant = granting(client) if by == "function" else writing_lot(client)

    found = interleave(world, level, REMEMBER, grant, ending, is_old=is_old)

    # Postgres itself asks for a retry where the snapshot hides the revocation.
    assert found == ("40001" if ending == "commit" and level != "read committed" else "done")
    if found != "done":
        assert until_done(world, grant) == "done"
    assert world.balance(client) == (0 if ending == "commit" else 4)
    assert until_done(world, REMEMBER) == "done"
    assert world.balance(client) == 0
    require_sound(world)


@in_every_level
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize("by", ["function", "writer"])
@pytest.mark.parametrize("is_remembered", [True, False])
def test_revocation_that_races_its_grant_takes_it(
    world: World, level: str, ending: str, is_old: bool, by: str, is_remembered: bool
) -> None:
    client = world.client()
    if is_remembered:
        call(world.connection, "revoke_grant", payment_reference=PAYMENT, share="0.5", remember=True)
    grant = granting(client) if by == "function" else writing_lot(client)

    found = interleave(world, level, grant, REMEMBER, ending, is_old=is_old)

    assert found == ("40001" if ending == "commit" and level != "read committed" else "done")
    assert until_done(world, REMEMBER) == "done"
    if ending == "rollback":
        assert until_done(world, grant) == "done"
    assert world.balance(client) == 0
    assert world.run("select revoked_share from bookingdb.payments") == [(1,)]
    require_sound(world)


@in_every_level
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (HALF, REVOKE, 0), (REVOKE, HALF, 0), (REVOKE, REINSTATE, 4), (REINSTATE, REVOKE, 0), (HALF, REINSTATE, 4),
        (REVOKE, REVOKE, 0), (REINSTATE, REINSTATE, 4),
    ],
)  # fmt: skip
def test_revocations_and_reinstatements_take_turns(
    world: World, level: str, ending: str, is_old: bool, first: Call, second: Call, left: int
) -> None:
    client = world.client()
    granting(client)(world.connection)
    if first is REINSTATE:
        REVOKE(world.connection)

    found = interleave(world, level, first, second, ending, is_old=is_old)

    assert found in ("done", "40001")
    assert found == "done" or level != "read committed"
    if ending == "commit":
        assert until_done(world, second) == "done"
        assert world.balance(client) == left
    require_sound(world)


@in_every_level
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize("first", ["revoke", "cancel"])
def test_owed_credit_that_comes_back_meanwhile_is_revoked_once(
    world: World, level: str, ending: str, is_old: bool, first: str
) -> None:
    client, therapist = world.client(), world.therapist()
    granting(client)(world.connection)
    sessions = [world.book(client, therapist, f"{hour}:00")["id"] for hour in (10, 12, 14)]
    cancel = calling("cancel_session", session_id=sessions[0])
    order = (HALF, cancel) if first == "revoke" else (cancel, HALF)

    found = interleave(world, level, *order, ending, is_old=is_old)

    assert found in ("done", "40001")
    for again in order:
        # Cancelling once more returns nothing more.
        assert until_done(world, again) in ("done", "invalid_transition")
    # Of 4 one was left and one came back: both are revoked, and two are spent.
    answer = call(world.connection, "revoke_grant", payment_reference=PAYMENT, share="0.5")
    assert (answer["credits_revoked"], answer["credits_owed"], world.balance(client)) == (2, 0, 0)
    require_sound(world)


@in_every_level
@pytest.mark.parametrize("is_old", [True, False])
def test_retry_of_a_grant_revoked_meanwhile_gives_nothing(world: World, level: str, is_old: bool) -> None:
    client = world.client()
    granting(client)(world.connection)

    found = interleave(world, level, REVOKE, granting(client), "commit", is_old=is_old)

    # An old snapshot shows the lot as it was, and nothing is written.
    assert found == ("grant_revoked" if level == "read committed" else "done")
    assert world.balance(client) == 0
    assert world.count("user_credits") == 1
    require_sound(world)


@pytest.mark.parametrize("asked", [REVOKE, REINSTATE])
def test_credits_passed_on_meanwhile_are_waited_for(world: World, asked: Call) -> None:
    giver, receiver = world.client(), world.client()
    granting(giver)(world.connection)

    with holding(world) as one, holding(world) as another, session_of(world) as other:
        call(one, "transfer_credits", from_user_id=giver, to_user_id=receiver, amount=1, reason="a present")
        # The receiver's next caller comes before the revocation, and takes their time.
        grant = waiting(world, calling("grant_credits", user_id=receiver, amount=1), another)
        answer = waiting(world, asked, other)
        one.execute("commit")
        grant.result()
        wait_until_blocked(world.connection, other.info.backend_pid)
        another.execute("commit")
        assert outcome(answer.result) == "done"
    assert world.balance(receiver) == (1 if asked is REVOKE else 2)
    require_sound(world)


@pytest.mark.slow
async def test_everything_about_one_payment_at_once_ends_sound(world: World) -> None:
    """Nobody is in a deadlock, and the last word is the revocation's."""
    client = world.client()
    asked: list[Call] = [granting(client), REMEMBER, HALF, REINSTATE, REVOKE]
    found: list[str] = []

    def ask_often(turn: int) -> None:
        with session_of(world) as connection:
            for n in range(40):
                found.append(outcome(partial(asked[(turn + n * (1 + turn % 3)) % len(asked)], connection)))

    await asyncio.gather(*(asyncio.to_thread(ask_often, turn) for turn in range(8)))

    assert set(found) <= {"done", "lot_not_found", "grant_revoked"}
    until_done(world, granting(client))
    assert until_done(world, REVOKE) == "done"
    assert world.balance(client) == 0
    require_sound(world)
