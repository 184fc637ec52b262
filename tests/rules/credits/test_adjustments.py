"""Corrections of a balance, and payments that are taken back."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support import World
from tests.support.life import (
    DAY,
    LATER,
    call,
    cancel,
    expire_lot,
    require_sound,
    require_sound_statement,
    rows,
)
from tests.support.refusals import nothing_written, outcome, refused


def test_an_adjustment_takes_from_all_lots_or_from_none(world: World) -> None:
    client = world.client()
    for amount in (2, 3):
        call(world.connection, "grant_credits", user_id=client, amount=amount)
    adjust = partial(call, world.connection, "adjust_credits", user_id=client, reason="a mistake")
    with nothing_written(world), refused("insufficient_credits") as refusal:
        adjust(amount=-6)
    assert refusal.detail["credits_balance"] == 5

    adjusted = adjust(amount=-4, idempotency_key="key")
    assert adjusted["is_new"]
    assert adjust(amount=-4, idempotency_key="key") == {**adjusted, "is_new": False}
    assert world.balance(client) == 1
    require_sound(world)


@pytest.mark.parametrize("reason", [None, "", " \t\n"])
def test_an_adjustment_without_a_reason_is_refused(world: World, reason: str | None) -> None:
    client = world.client()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        call(world.connection, "adjust_credits", user_id=client, amount=1, reason=reason)
    assert refusal.detail["parameter"] == "p_reason"


def test_lot_of_another_client_is_not_found(world: World) -> None:
    client, other = world.client(), world.client()
    lot_id = call(world.connection, "grant_credits", user_id=other, amount=2)["lot_id"]
    for amount in (1, -1):
        with nothing_written(world), refused("lot_not_found"):
            call(world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id)


@pytest.mark.parametrize("amount", [1, -1, -50])
def test_a_lot_that_is_over_cannot_be_adjusted(world: World, amount: int) -> None:
    client = world.client(credits=9)
    lots = [call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"] for _ in range(4)]
    expire_lot(world.connection, lots[0])
    call(world.connection, "expire_credits")
    expire_lot(world.connection, lots[1])
    call(world.connection, "revoke_grant", lot_id=lots[2])
    world.run("update user_credits set status = 'refunded' where id = %s", lots[3])
    for lot_id, status in zip(lots, ("expired", "expired", "revoked", "refunded"), strict=True):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            call(world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id)
        assert (refusal.detail["parameter"], refusal.detail["status"]) == ("p_lot_id", status)
    # Whose lot is none of the client's is not told what became of it.
    other = world.client()
    with nothing_written(world), refused("lot_not_found"):
        call(world.connection, "adjust_credits", user_id=other, amount=amount, reason="a mistake", lot_id=lots[0])


def test_more_credits_than_an_integer_holds_are_in_nobodys_way(world: World) -> None:
    """As only direct writers can make them: balances, and what was used and expired by their count."""
    client, therapist = world.client(), world.therapist()
    most = 2**31 - 1
    world.run(
        "insert into user_credits (user_id, credits_balance, credits_used, priority)"
        " values (%s, 1, %s, 1), (%s, %s, 0, 2), (%s, %s, 0, 3)",
        *(client, most, client, most, client, most),
    )
    assert world.balance(client) == most
    series = rows(
        world.connection, "book_series", user_id=client, therapist_id=therapist, session_date=LATER,
        session_time="10:00", occurrences=3, every=DAY, idempotency_key="key",
    )  # fmt: skip
    assert [session["credits_balance"] for session in series] == [most] * 3
    # A lot that was filled up since has no room for what comes back.
    world.run("update user_credits set credits_balance = %s where priority = 2", most)
    for session in series:
        assert cancel(world, session["id"])
        assert world.balance(client) == most
    assert world.run(
        "select c.credits_balance from user_credits as c where c.grace_for_lot_id is not null"
    ) == [(1,), (1,)]  # fmt: skip
    assert require_sound_statement(world, client)[-1]["balance"] == 2 * most + 3

    named = world.scalar("select id from user_credits where priority = 3")
    for amount, lot_id, code in ((1, named, "invalid_parameter"), (-10000, named, ""), (10000, named, "")):
        adjust = partial(
            call, world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id
        )
        assert outcome(adjust) == (code or "done")
    world.run("update user_credits set expires_at = now(), credits_expired = %s where priority = 3", most)
    assert call(world.connection, "expire_credits") == {"lots": 1, "credits": most}
    require_sound(world)


@pytest.mark.parametrize("by", ["lot_id", "payment_reference"])
def test_chargeback_takes_the_rest_and_says_what_was_spent(world: World, by: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=5, payment_reference="payment")["lot_id"]
    world.run("select * from grant_credits(%s, 1, p_priority => 90)", client)
    kept, returned = (world.book(client, therapist, time)["id"] for time in ("10:00", "12:00"))
    cancel(world, returned)
    which: dict[str, Any] = {"lot_id": lot_id} if by == "lot_id" else {"payment_reference": "payment"}

    revoked = call(world.connection, "revoke_grant", **which, reason="chargeback")

    assert revoked == {"lot_id": lot_id, "credits_revoked": 4, "credits_spent": 1, "credits_balance": 1,
                       "credits_owed": 1, "is_remembered": False}  # fmt: skip
    # Done again, it says the same, and the session stands.
    assert call(world.connection, "revoke_grant", **which) == revoked
    assert world.scalar("select status from sessions where id = %s", kept) == "scheduled"
    # The payment does not grant again.
    with refused("grant_revoked"):
        call(world.connection, "grant_credits", user_id=client, amount=5, payment_reference="payment")
    assert world.balance(client) == 1
    require_sound(world)


def test_hint_fits_a_refused_change_of_credits(world: World) -> None:
    """Nobody who adjusts credits or reopens a session is told to book."""
    client, therapist = world.client(credits=1), world.therapist()
    with refused("insufficient_credits") as refusal:
        call(world.connection, "adjust_credits", user_id=client, amount=-5, reason="oops")
    assert refusal.hint == "Take no more credits than the client has."
    lot = world.scalar("select id from user_credits where user_id = %s", client)
    with refused("insufficient_credits") as refusal:
        call(world.connection, "adjust_credits", user_id=client, amount=-5, reason="oops", lot_id=lot)
    assert refusal.hint == "Take no more credits than are left in this lot."
    session = world.book(client, therapist)["id"]
    cancel(world, session)
    world.book(client, therapist, "15:00")
    with refused("insufficient_credits") as refusal:
        call(world.connection, "reopen_session", session_id=session)
    assert refusal.hint == "Purchase credits, then try again."


def test_hint_names_the_payment_that_was_granted_before(world: World) -> None:
    grant = partial(call, world.connection, "grant_credits", user_id=world.client(), payment_reference="pi_3")
    grant(amount=2)
    with refused("idempotency_key_reused") as refusal:
        grant(amount=3)
    assert refusal.hint == "This payment was granted before, with another amount or to another client."
