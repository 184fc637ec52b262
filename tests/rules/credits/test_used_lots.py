"""Lots that are used up leave the look-up for credits, and what comes back to them can be spent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import World
from tests.support.life import call, cancel, expire_lot, require_sound
from tests.support.refusals import refused


def lots(world: World) -> list[Any]:
    return world.run("select credits_balance, status from user_credits order by created_at, id")


def test_last_credit_makes_a_lot_used(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    world.book(client, therapist)
    assert lots(world) == [(1, "active")]
    booked = world.book(client, therapist, "12:00")
    assert lots(world) == [(0, "used")]
    with refused("insufficient_credits"):
        world.book(client, therapist, "14:00")

    cancel(world, booked["id"])
    assert lots(world) == [(1, "active")]
    assert world.book(client, therapist, "14:00")["credits_balance"] == 0
    require_sound(world)


def test_used_lot_past_its_expiry_returns_in_a_grace_lot(world: World) -> None:
    client = world.client(credits=1)
    booked = world.book(client, world.therapist())
    expire_lot(world.connection, world.scalar("select id from user_credits"))
    assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}

    cancel(world, booked["id"])

    assert sorted(lots(world)) == [(0, "used"), (1, "active")]
    assert world.balance(client) == 1
    require_sound(world)


def test_adjustment_empties_a_lot_and_fills_it_again(world: World) -> None:
    client = world.client(credits=3)
    lot = world.scalar("select id from user_credits")
    adjust = {"user_id": client, "reason": "a test"}
    call(world.connection, "adjust_credits", amount=-3, **adjust)
    assert lots(world) == [(0, "used")]
    with refused("insufficient_credits"):
        call(world.connection, "adjust_credits", amount=-1, lot_id=lot, **adjust)

    call(world.connection, "adjust_credits", amount=2, lot_id=lot, **adjust)
    assert lots(world) == [(2, "active")]
    assert world.book(client, world.therapist())["credits_balance"] == 1
    require_sound(world)


def test_used_lot_that_expired_cannot_be_adjusted(world: World) -> None:
    client = world.client(credits=1)
    world.book(client, world.therapist())
    lot = world.scalar("select id from user_credits")
    expire_lot(world.connection, lot)
    with refused("invalid_parameter") as refusal:
        call(world.connection, "adjust_credits", user_id=client, amount=2, reason="a test", lot_id=lot)
    assert refusal.detail["status"] == "expired"


def test_used_lot_can_be_revoked(world: World) -> None:
    client = world.client(credits=1)
    booked = world.book(client, world.therapist())
    answer = call(world.connection, "revoke_grant", lot_id=world.scalar("select id from user_credits"))
    assert (answer["credits_revoked"], answer["credits_spent"]) == (0, 1)
    cancel(world, booked["id"])
    assert lots(world) == [(0, "revoked")]
    require_sound(world)


def test_direct_writer_empties_and_fills_a_lot(world: World) -> None:
    client, therapist = world.client(credits=5), world.therapist()
    world.run("update user_credits set credits_balance = 0")
    assert lots(world) == [(0, "used")]
    world.run("update user_credits set updated_at = now()")
    assert lots(world) == [(0, "used")]

    world.run("update user_credits set credits_balance = 5")
    assert lots(world) == [(5, "active")]
    assert world.book(client, therapist)["credits_balance"] == 4
    # A row as it was read before, written back whole.
    world.run("update user_credits set credits_balance = 0, status = 'active'")
    world.run("update user_credits set credits_balance = 3, status = 'used'")
    assert lots(world) == [(3, "active")]
    assert world.balance(client) == 3
    require_sound(world)


@pytest.mark.parametrize("status", ["expired", "refunded", "revoked"])
def test_direct_writers_other_statuses_stay(world: World, status: str) -> None:
    world.client(credits=5)
    world.run("update user_credits set status = %s", status)
    world.run("update user_credits set credits_balance = 0")
    world.run("update user_credits set credits_balance = 5")
    assert lots(world) == [(5, status)]


def test_lot_written_without_credits_waits_for_them(world: World) -> None:
    """An application that has one row per client finds it by its status, and fills it."""
    client = world.client()
    world.run("insert into user_credits (user_id) values (%s)", client)
    assert lots(world) == [(0, "active")]
    world.run("update user_credits set credits_balance = credits_balance + 5 where status = 'active'")
    assert world.book(client, world.therapist())["credits_balance"] == 4
    require_sound(world)


@pytest.mark.parametrize(
    "write",
    [
        "update user_credits set status = 'used'",
        "update user_credits set credits_balance = 6, status = 'used'",
        "insert into user_credits (user_id, credits_balance, status) select user_id, 3, 'used' from user_credits",
    ],
    ids=["status", "row", "insert"],
)
def test_lot_with_credits_is_never_used_up(world: World, write: str) -> None:
    client = world.client(credits=5)
    world.run(write)
    assert {status for _, status in lots(world)} == {"active"}
    assert world.balance(client) == sum(balance for balance, _ in lots(world))
    require_sound(world)


def test_trigger_that_insists_on_used_ends(world: World) -> None:
    world.client(credits=5)
    with world.connection.transaction(force_rollback=True):
        world.run(
            "create function insist() returns trigger language plpgsql as"
            " $$ begin new.status := 'used'; return new; end $$;"
            " create trigger insist before update on user_credits for each row execute function insist()"
        )
        world.run("update user_credits set updated_at = now()")
        assert lots(world) == [(5, "used")]
