"""Lots of credits that are written directly."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.support import World
from tests.support.refusals import nothing_written, outcome


def entries(world: World) -> list[Any]:
    return world.run("select user_id, kind, amount, balance_after from bookingdb.ledger order by id")


def test_a_lot_written_directly_is_written_down(world: World) -> None:
    client, other = world.client(), world.client()

    lot = world.scalar("insert into user_credits (user_id, credits_balance) values (%s, 4) returning id", client)
    world.run("update user_credits set credits_balance = 1")
    world.run("update user_credits set credits_balance = 1, status = 'refunded'")
    world.run("update user_credits set user_id = %s", other)
    world.run("update user_credits set user_id = %s, credits_balance = 7", client)
    world.run("delete from user_credits where id = %s", lot)

    assert entries(world) == [
        (client, "direct", 4, 4),
        (client, "direct", -3, 1),
        (client, "direct", -1, 0),
        (other, "direct", 1, 1),
        (other, "direct", -1, 0),
        (client, "direct", 7, 7),
        (client, "direct", -7, 0),
    ]
    assert world.violations() == []


def test_empty_lot_can_change_its_owner(world: World) -> None:
    client, other = world.client(credits=2), world.client()
    world.run("update user_credits set credits_balance = 0")
    world.run("update user_credits set user_id = %s", other)
    world.run("update user_credits set credits_balance = 5")

    assert entries(world)[2:] == [(other, "direct", 5, 5)]
    assert world.balance(other) == 5
    assert world.book(other, world.therapist())["credits_balance"] == 4
    assert world.balance(client) == 0
    assert world.violations() == []


def test_many_lots_at_once_are_written_down(world: World) -> None:
    clients = [world.client(credits=number) for number in range(1, 6)]

    world.run("update user_credits set credits_balance = credits_balance * 2")
    world.run("insert into user_credits (user_id, credits_balance) select id, 3 from users")
    world.run("delete from user_credits where credits_balance = 3")

    assert [world.balance(client) for client in clients] == [2, 4, 6, 8, 10]
    assert world.violations() == []


def test_a_lot_is_never_negative_and_never_another(world: World) -> None:
    world.client(credits=1)

    with nothing_written(world):
        assert outcome(partial(world.run, "update user_credits set credits_balance = -1")) == "23514"
        assert outcome(partial(world.run, "update user_credits set id = gen_random_uuid()")) == "23000"


def test_a_lot_is_never_negative_whatever_is_switched_off(world: World) -> None:
    """No trigger is there, and so no entry of the ledger that could not be: the table itself refuses it."""
    world.client(credits=1)

    with world.connect(user=world.superuser) as superuser:
        superuser.execute("set session_replication_role = replica")
        with nothing_written(world):
            assert outcome(partial(superuser.execute, "update user_credits set credits_balance = -1")) == "23514"


def test_session_moved_to_another_client_keeps_its_debit(world: World) -> None:
    therapist, clients = world.therapist(), [world.client(credits=1) for _ in range(2)]
    world.book(clients[0], therapist)

    world.run("update sessions set user_id = %s", clients[1])

    assert [world.balance(client) for client in clients] == [0, 1]
    assert world.violations() == []


def test_great_balances_do_not_stop_a_booking(world: World) -> None:
    """An application that writes 'unlimited' as the greatest integer, and sells ten more."""
    therapist, client = world.therapist(), world.client(credits=10)
    world.run("insert into user_credits (user_id, credits_balance) values (%s, 2147483647)", client)

    assert world.book(client, therapist)["status"] == "scheduled"
    assert world.balance(client) > 0
