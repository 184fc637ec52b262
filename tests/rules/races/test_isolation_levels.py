"""Who loses a race sees the table's error, in every isolation level."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, Connection, World, book
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    DAY,
    call,
    request_session,
    require_sound,
)
from tests.support.races import Call, booking, calling, entries_of, holding_slot, moving, setting, writing
from tests.support.refusals import outcome

# ----------------------------------------------------------------------------------------------------------------------
# Who loses a race sees the table's error
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shared", ["therapist", "client"])
def test_loser_of_a_race_sees_a_conflict_in_every_level(world: World, level: str, shared: str) -> None:
    clients = [world.client(credits=2), world.client(credits=2)]
    therapists = [world.therapist(), world.therapist()]
    if shared == "therapist":
        therapists[1] = therapists[0]
    else:
        clients[1] = clients[0]

    with holding(world) as winner, session_of(world) as loser:
        book(winner, clients[0], therapists[0])
        second = partial(book, client=clients[1], therapist=therapists[1], at="10:30")
        answer = waiting(world, partial(in_level, level, second), loser)
        winner.execute("commit")
        seen = outcome(answer.result)

    allowed = {"booking_conflict" if shared == "therapist" else "client_conflict"}
    # Postgres itself may refuse a transaction of these levels; nothing else may be seen.
    assert seen in (allowed | {"40001"} if level == "serializable" else allowed)
    assert world.count("sessions") == 1
    assert world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
def test_a_transaction_with_an_older_snapshot_sees_a_conflict(world: World, level: str) -> None:
    therapist, client, other = world.therapist(), world.client(credits=1), world.client(credits=1)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        world.book(client, therapist)

        seen = outcome(partial(book, connection, other, therapist, "10:30"))

    assert seen in ({"booking_conflict", "40001"} if level == "serializable" else {"booking_conflict"})
    assert world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
def test_the_last_credit_is_spent_once_in_every_isolation_level(world: World, level: str) -> None:
    therapists, client = [world.therapist(), world.therapist()], world.client(credits=1)
    with holding(world) as winner, session_of(world) as loser:
        book(winner, client, therapists[0], "10:00")
        second = partial(book, client=client, therapist=therapists[1], at="12:00")
        answer = waiting(world, partial(in_level, level, second), loser)
        winner.execute("commit")
        seen = outcome(answer.result)

    assert seen in ({"insufficient_credits"} if level == "read committed" else {"insufficient_credits", "40001"})
    assert world.balance(client) == 0
    assert world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("same", [True, False])
def test_key_that_races_itself_books_once_in_every_level(world: World, level: str, same: bool) -> None:
    therapist, client = world.therapist(), world.client(credits=5)
    with holding(world) as first, session_of(world) as second:
        booked = book(first, client, therapist, idempotency_key="key")
        again = partial(
            book, client=client, therapist=therapist, at="10:00" if same else "15:00", idempotency_key="key"
        )
        answer = waiting(world, partial(in_level, level, again), second)
        first.execute("commit")
        seen = outcome(answer.result)

    if level == "read committed":
        assert seen == ("done" if same else "idempotency_key_reused")
        assert not same or answer.result()["id"] == booked["id"]
    else:
        # A snapshot from before the key: Postgres asks for the whole transaction again.
        assert seen in {"booking_conflict", "40001"}
    assert world.count("sessions") == 1
    assert world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("by", ["payment", "key"])
def test_grant_that_races_itself_grants_once_in_every_level(world: World, level: str, by: str) -> None:
    client = world.client()
    name = "p_payment_reference" if by == "payment" else "p_idempotency_key"

    def grant(connection: Connection) -> Any:
        return connection.execute(f"select * from grant_credits(%s, 2, {name} => 'same')".encode(), [client]).fetchone()

    with holding(world) as first, session_of(world) as second:
        granted = grant(first)
        answer = waiting(world, partial(in_level, level, grant), second)
        first.execute("commit")
        seen = outcome(answer.result)

    if level == "read committed":
        assert seen == "done"
        assert answer.result()[0] == granted[0]
    else:
        assert seen in {"done", "busy", "40001"}
    assert world.balance(client) == 2
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Isolation levels
# ----------------------------------------------------------------------------------------------------------------------


def old_snapshot(world: World, level: str, meanwhile: Call, then: Call) -> str:
    """Begin a transaction of this level, let something be committed meanwhile, and then call in the transaction."""
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        meanwhile(world.connection)
        ended = outcome(partial(then, connection))
        if ended == "done":
            ended = outcome(partial(connection.execute, b"commit"))
        else:
            connection.execute("rollback")
        return ended


def conflicts(scene: dict[str, Any], other: UUID) -> dict[str, tuple[Call, Call, set[str]]]:
    """What is committed after a caller's snapshot, what the caller does then, and what is right then."""
    client, therapist, session_id = scene["client"], scene["therapist"], scene["session"]
    cancel, confirm = (calling(name, session_id=session_id) for name in ("cancel_session", "confirm_session"))
    approve, decline = (calling(name, session_id=scene["request"]) for name in ("approve_session", "cancel_session"))
    turn, release = calling("book_hold", hold_id=scene["hold"]), calling("release_hold", hold_id=scene["hold"])
    adjust = calling("adjust_credits", user_id=client, amount=-8, reason="a mistake")
    adjust_again = calling("adjust_credits", user_id=client, amount=-1, reason="another one")
    revoke = calling("revoke_grant", lot_id=scene["lot"])
    move, hold_there = moving(session_id, "18:30"), holding_slot(client, therapist, "18:30")
    booked, held = booking(other, therapist, "18:00"), holding_slot(other, therapist, "18:00")
    return {
        "cancelled twice": (cancel, cancel, {"invalid_transition"}),
        "cancelled and moved": (cancel, moving(session_id, "18:00"), {"invalid_transition"}),
        "moved and cancelled": (moving(session_id, "18:00"), cancel, {"done"}),
        "cancelled and confirmed": (cancel, confirm, {"invalid_transition"}),
        "moved to where somebody booked": (booked, move, {"booking_conflict"}),
        "moved to where somebody holds": (held, move, {"booking_conflict"}),
        "held where somebody booked": (booked, hold_there, {"booking_conflict"}),
        "held twice by one client": (
            holding_slot(client, therapist, "18:00"), holding_slot(client, therapist, "20:00"), {"done", "busy"},
        ),
        "first held twice by one client": (held, holding_slot(other, therapist, "20:00"), {"done", "busy"}),
        "hold booked twice": (turn, turn, {"done"}),
        "hold released and booked": (release, turn, {"hold_expired"}),
        "hold booked and released": (turn, release, {"invalid_transition"}),
        "approved and cancelled": (approve, decline, {"done"}),
        "approved twice": (approve, approve, {"invalid_transition"}),
        "last credits spent and adjusted": (adjust, adjust_again, {"insufficient_credits"}),
        "last credits adjusted and spent": (adjust, approve, {"insufficient_credits"}),
        "revoked and adjusted": (revoke, adjust, {"insufficient_credits"}),
        "revoked and cancelled": (revoke, cancel, {"done"}),
        "expired and spent": (
            writing("update user_credits set expires_at = clock_timestamp()"), approve, {"insufficient_credits"}
        ),
        "in the middle of a series": (
            booking(other, therapist, session_date=TOMORROW + 14 * DAY),
            calling(
                "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW + 7 * DAY,
                session_time="10:30", occurrences=3,
            ),
            {"booking_conflict"},
        ),
        "one policy": (
            setting(therapist, cancellation_window="2 hours"), setting(therapist, hold_lifetime="1 minute"), {"done"},
        ),
        "one key": (
            calling("confirm_session", session_id=session_id, idempotency_key="key"),
            calling("confirm_session", session_id=session_id, idempotency_key="key"), {"done"},
        ),
    }  # fmt: skip


SITUATIONS = list(conflicts(dict.fromkeys(("client", "therapist", "lot", "session", "request", "hold")), UUID(int=0)))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_caller_whose_snapshot_is_old_does_nothing_wrong(world: World, situation: str) -> None:
    for level in LEVELS:
        client, therapist = world.client(), world.therapist()
        lot_id = call(world.connection, "grant_credits", user_id=client, amount=9)["lot_id"]
        at_nine = dt.datetime.combine(TOMORROW, dt.time(9), dt.UTC)
        scene = {
            "client": client, "therapist": therapist, "lot": lot_id,
            "session": world.book(client, therapist, "08:00")["id"],
            "request": request_session(world.connection, client, therapist, at_nine),
            "hold": holding_slot(client, therapist, "10:00")(world.connection)[0]["id"],
        }  # fmt: skip
        meanwhile, then, right = conflicts(scene, world.client(credits=1))[situation]

        ended = old_snapshot(world, level, meanwhile, then)

        # Postgres itself may refuse such a transaction, which then begins anew.
        allowed = right if level == "read committed" else right | {"40001"}
        assert ended in allowed, level
        require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_two_cancellations_return_one_credit_in_every_level(world: World, level: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    cancel = calling("cancel_session", session_id=session_id)
    with holding(world) as one, session_of(world) as other:
        cancel(one)
        answer = waiting(world, partial(in_level, level, cancel), other)
        one.execute("commit")
        ended = outcome(answer.result)

    assert ended == ("invalid_transition" if level == "read committed" else "40001")
    assert entries_of(world, session_id) == ["debit", "refund"]
    require_sound(world)
