"""Credits that are granted, once a payment."""

from __future__ import annotations

from typing import Any

from tests.support import TOMORROW, World
from tests.support.life import (
    DAY,
    UNKNOWN,
    at,
)
from tests.support.refusals import nothing_written, refused


def test_a_grant_answers_with_the_lot_its_balance_and_the_total(world: World) -> None:
    client = world.client(credits=3)

    ((lot, balance, total),) = world.run("select * from grant_credits(%s, 4, 'payment 1')", client)

    assert (balance, total) == (4, 7)
    assert world.run("select credits_balance, credits_purchased from user_credits where id = %s", lot) == [(4, 4)]


def test_the_same_payment_or_key_never_grants_twice(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for arguments in ("p_payment_reference => 'payment'", "p_idempotency_key => 'key'"):
        statement = f"select * from grant_credits(%s, 2, {arguments})"
        ((lot, _, total),) = world.run(statement, client)
        world.book(client, therapist, f"1{total}:00")

        with nothing_written(world):
            ((again, balance, _),) = world.run(statement, client)

        assert again == lot
        assert balance == world.scalar("select credits_balance from user_credits where id = %s", lot)
    assert world.violations() == []


def test_key_answers_for_a_grant_whose_lot_was_deleted(world: World) -> None:
    client = world.client()
    statement = "select * from grant_credits(%s, 2, p_idempotency_key => 'key')"
    ((lot, _, _),) = world.run(statement, client)
    world.run("delete from user_credits where id = %s", lot)

    with nothing_written(world):
        assert world.run(statement, client) == [(lot, 0, 2)]
    assert world.balance(client) == 0
    assert world.violations() == []


def test_a_payment_or_key_of_something_else_is_refused(world: World) -> None:
    client, other = world.client(), world.client()
    world.run("select * from grant_credits(%s, 2, 'payment', null, 'key')", client)

    for who, amount, reference, key in (
        (client, 3, "payment", None), (other, 2, "payment", None), (client, 3, "payment", "key"),
        (client, 2, "other", "key"), (client, 2, None, "key"),
    ):  # fmt: skip
        with nothing_written(world), refused("idempotency_key_reused"):
            world.run("select * from grant_credits(%s, %s, %s, null, %s)", who, amount, reference, key)


def test_grants_that_make_no_sense_are_refused(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    wrong: list[tuple[str, dict[str, Any], str | None]] = [
        ("invalid_user_id", {"user_id": None}, None),
        ("user_not_found", {"user_id": UNKNOWN}, None),
        ("user_not_found", {"user_id": therapist}, None),
        ("invalid_parameter", {"amount": None}, "p_amount"),
        ("invalid_parameter", {"amount": 0}, "p_amount"),
        ("invalid_parameter", {"amount": -1}, "p_amount"),
        ("invalid_parameter", {"amount": 10_001}, "p_amount"),
        ("invalid_parameter", {"payment_reference": ""}, "p_payment_reference"),
        ("invalid_parameter", {"payment_reference": "x" * 256}, "p_payment_reference"),
        ("invalid_parameter", {"idempotency_key": ""}, "p_idempotency_key"),
        ("invalid_parameter", {"idempotency_key": "x" * 256}, "p_idempotency_key"),
        ("invalid_parameter", {"expires_at": at(0, TOMORROW - 9 * DAY)}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "-infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "294276-01-01"}, "p_expires_at"),
    ]
    for code, parameters, named in wrong:
        given = {"user_id": client, "amount": 1, **parameters}
        arguments = ", ".join(f"p_{name} => %s" for name in given)
        with nothing_written(world), refused(code) as refusal:
            world.run(f"select * from grant_credits({arguments})", *given.values())
        assert refusal.detail.get("parameter") == named
