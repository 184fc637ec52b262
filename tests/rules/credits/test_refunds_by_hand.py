"""A credit that is given back after the session is over, or after it was cancelled late."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import begin, call, close_window, expire_lot, require_sound, rows
from tests.support.refusals import nothing_written, refused

REASON = "The video failed."


def refund(world: World, session: UUID, reason: Any = REASON, **options: Any) -> Any:
    return call(world.connection, "refund_session", session_id=session, reason=reason, **options)


def session_that(world: World, client: UUID, became: str) -> UUID:
    """A session of the client that was charged, and is over."""
    session: UUID = world.book(client, world.therapist())["id"]
    if became == "cancelled":
        close_window(world.connection, session)
        call(world.connection, "cancel_session", session_id=session, refund=False)
        return session
    begin(world.connection, session, 90)
    call(world.connection, {"completed": "complete_session", "no_show": "mark_no_show"}[became], session_id=session)
    return session


def returns(world: World, session: UUID) -> list[Any]:
    return world.run(
        "select kind, amount, reason, actor from bookingdb.ledger where session_id = %s and kind <> 'debit'", session
    )


@pytest.mark.parametrize(
    ("became", "kind"), [("completed", "goodwill"), ("no_show", "goodwill"), ("cancelled", "refund")]
)
def test_credit_of_a_session_that_is_over_is_given_back(world: World, became: str, kind: str) -> None:
    client = world.client(credits=1)
    session = session_that(world, client, became)
    assert world.balance(client) == 0

    answer = refund(world, session)
    assert (answer["id"], answer["status"], answer["refunded"], answer["credits_balance"]) == (session, became, True, 1)
    assert world.balance(client) == 1
    assert returns(world, session) == [(kind, 1, REASON, world.owner)]
    require_sound(world)


def test_credit_is_given_back_once(world: World) -> None:
    client = world.client(credits=2)
    session = session_that(world, client, "no_show")
    refund(world, session)
    with nothing_written(world), refused("invalid_transition") as refusal:
        refund(world, session)
    assert refusal.detail["reason"] == "refunded"
    refunded_at_once = world.book(client, world.therapist(), "15:00")["id"]
    call(world.connection, "cancel_session", session_id=refunded_at_once)
    with nothing_written(world), refused("invalid_transition") as refusal:
        refund(world, refunded_at_once)
    assert refusal.detail["reason"] == "refunded"
    require_sound(world)


def test_two_refunds_at_once_give_back_one_credit(world: World) -> None:
    client = world.client(credits=1)
    session = session_that(world, client, "no_show")
    statement = f"select refund_session('{session}', 'a reason')"
    with holding(world) as first, session_of(world) as second:
        first.execute(statement)
        future = waiting(world, lambda connection: connection.execute(statement), second)
        first.execute("commit")
        with refused("invalid_transition"):
            future.result()
    assert world.balance(client) == 1
    require_sound(world)


def test_session_to_come_keeps_its_credit(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    to_come = world.book(client, therapist)["id"]
    begun = world.book(client, therapist, "12:00")["id"]
    begin(world.connection, begun, 5)
    call(world.connection, "start_session", session_id=begun)
    for session in (to_come, begun):
        with nothing_written(world), refused("invalid_transition") as refusal:
            refund(world, session)
        assert refusal.detail["asked"] == "refunded"
        assert "reason" not in refusal.detail or refusal.detail["reason"] is None


def test_session_that_cost_nothing_gives_nothing_back(world: World) -> None:
    session = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, now() - interval '3 hours', now() - interval '2 hours', 'completed') returning id",
        world.client(), world.therapist(),
    )  # fmt: skip
    with nothing_written(world), refused("invalid_transition") as refusal:
        refund(world, session)
    assert refusal.detail["reason"] == "not_charged"


def test_refund_of_an_expired_lot_opens_a_grace_lot(world: World) -> None:
    client = world.client(credits=1)
    session = session_that(world, client, "no_show")
    (lot,) = (row["lot_id"] for row in rows(world.connection, "get_credit_history", user_id=client, limit=1))
    expire_lot(world.connection, lot)
    assert refund(world, session)["credits_balance"] == 1
    assert world.scalar("select credits_balance from user_credits where grace_for_lot_id = %s", lot) == 1
    assert returns(world, session) == [("goodwill", 1, REASON, world.owner)]
    require_sound(world)


def test_deactivated_client_gets_the_credit_back(world: World) -> None:
    client = world.client(credits=1)
    session = session_that(world, client, "no_show")
    world.run("update users set is_active = false where id = %s", client)
    assert refund(world, session)["credits_balance"] == 1


@pytest.mark.parametrize("reason", ["", " \n", None, "x" * 1001])
def test_refund_has_a_reason(world: World, reason: Any) -> None:
    session = session_that(world, world.client(credits=1), "no_show")
    with nothing_written(world), refused("invalid_parameter") as refusal:
        refund(world, session, reason)
    assert refusal.detail["parameter"] == "p_reason"


def test_event_tells_of_a_refund(world: World) -> None:
    client = world.client(credits=1)
    session = session_that(world, client, "completed")
    refund(world, session)
    payload = world.scalar("select payload from bookingdb.outbox where event = 'credits.refunded'")
    assert (payload["session_id"], payload["user_id"], payload["amount"]) == (str(session), str(client), 1)
