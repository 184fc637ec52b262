"""Balance, history and statement of a client."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.life import (
    UNKNOWN,
    call,
    cancel,
    expire_lot,
    require_sound,
    require_sound_statement,
    statement,
)
from tests.support.refusals import refused


def test_history_pages_lose_nothing_where_times_tie(world: World) -> None:
    client = world.client()
    # Entries as they lie in old books: three at each instant.
    world.run(
        "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, created_at)"
        " select %s, gen_random_uuid(), 'direct', 1, 1, 'old books', timestamptz '2024-01-01 00:00:00+00' + "
        "   make_interval(hours => g / 3) from generate_series(0, 20) as g",
        client,
    )

    seen: list[Any] = []
    before = None
    while page := world.run("select * from get_credit_history(%s, 4, %s)", client, before):
        assert len(page) == 6
        seen += page
        before = page[-1][1]
        assert len(seen) <= 21 + 6
        if len(seen) > 15:
            break
    seen += world.run("select * from get_credit_history(%s, 4, %s)", client, before)

    assert [row[0] for row in seen] == sorted((row[0] for row in seen), reverse=True)
    assert len({row[0] for row in seen}) == len(seen) == 21
    assert [row[1] for row in seen] == sorted((row[1] for row in seen), reverse=True)


def test_the_history_tells_session_lot_kind_amount_and_balance(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    ((lot, *_),) = world.run("select * from grant_credits(%s, 2)", client)
    booked = world.book(client, therapist)
    world.client(credits=7)

    history = world.run(
        "select kind, amount, balance_after, lot_id, session_id, actor from get_credit_history(%s)", client
    )

    assert history == [("debit", -1, 1, lot, booked["id"], "owner"), ("grant", 2, 2, lot, None, "owner")]


def test_credit_functions_refuse_wrong_people_and_limits(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for limit in (None, 0, -1, 1001, 2**31 - 1):
        with refused("invalid_parameter"):
            world.run("select * from get_credit_history(%s, %s)", client, limit)
    for nobody in (UNKNOWN, therapist):
        with refused("user_not_found"):
            world.run("select get_credit_balance(%s)", nobody)
        with refused("user_not_found"):
            world.run("select * from get_credit_history(%s)", nobody)
    for function in ("get_credit_balance", "get_credit_history"):
        with refused("invalid_user_id"):
            world.run(f"select {function}(null)")


def test_deactivated_client_still_sees_their_credits(world: World) -> None:
    client = world.client(credits=3)
    world.run("update users set is_active = false where id = %s", client)

    assert world.balance(client) == 3
    assert len(world.run("select * from get_credit_history(%s)", client)) == 1


def test_balance_never_counts_expired_credits(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=4)["lot_id"]
    world.run("select * from grant_credits(%s, 1)", client)
    expire_lot(world.connection, lot_id)

    assert world.balance(client) == 1
    assert statement(world.connection, client)[-1]["balance"] == 5
    assert [call(world.connection, "expire_credits") for _ in range(2)] == [
        {"lots": 1, "credits": 4}, {"lots": 0, "credits": 0},
    ]  # fmt: skip
    assert world.balance(client) == 1
    assert statement(world.connection, client)[-1]["balance"] == 1
    world.book(client, therapist)
    with refused("insufficient_credits"):
        world.book(client, therapist, "12:00")
    with refused("insufficient_credits"):
        call(world.connection, "adjust_credits", user_id=client, amount=-1, reason="a mistake")
    require_sound(world)


def test_statement_follows_on_the_one_before(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    for amount in (3, 2):
        call(world.connection, "grant_credits", user_id=client, amount=amount)
    cancel(world, world.book(client, therapist)["id"])
    call(world.connection, "adjust_credits", user_id=client, amount=-4, reason="a mistake of ours")
    entries = require_sound_statement(world, client)
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [
        ("grant", 3), ("grant", 2), ("debit", -1), ("refund", 1), ("adjustment", -3), ("adjustment", -1),
    ]  # fmt: skip
    assert {entry["reason"] for entry in entries[4:]} == {"a mistake of ours"}

    # From an entry's instant on it is in the period, up to it it is not.
    times = [entry["created_at"] for entry in entries]
    lines = statement(world.connection, client, times[1], times[3])
    assert [(line["kind"], line["balance"]) for line in lines] == [
        ("opening", 3), ("grant", 5), ("debit", 4), ("closing", 4),
    ]  # fmt: skip
    assert [line["created_at"] for line in lines][:: len(lines) - 1] == [times[1], times[3]]
    empty = statement(world.connection, client, times[1], times[1])
    assert [(line["kind"], line["balance"]) for line in empty] == [("opening", 3), ("closing", 3)]


def require_plain_sums(world: World, client: UUID, start: dt.datetime, end: dt.datetime) -> None:
    """Hold a statement against the sum of all entries before each of its lines."""
    plain = "select coalesce(sum(amount), 0) from bookingdb.ledger where user_id = %s and created_at < %s"
    opening, *entries, closing = statement(world.connection, client, start, end)
    balance = world.scalar(plain, client, start)
    assert opening["balance"] == balance
    for entry in entries:
        balance += entry["amount"]
        assert entry["balance"] == balance
    assert closing["balance"] == balance == world.scalar(plain, client, end)


@pytest.mark.parametrize("seed", range(4))
def test_statement_opens_with_the_sum_of_what_was_before(world: World, seed: int) -> None:
    """Whatever was granted, taken, returned, moved to another person or deleted since."""
    random = Random(seed)
    clients = [world.client(credits=5) for _ in range(3)]
    write = (
        "update user_credits set credits_balance = %(balance)s where id = %(lot)s",
        "update user_credits set user_id = %(client)s where id = %(lot)s",
        "update user_credits set user_id = %(client)s, credits_balance = %(balance)s where id = %(lot)s",
        "update user_credits set status = 'refunded' where id = %(lot)s and credits_balance > 6",
        "delete from user_credits where id = %(lot)s and credits_balance < 2",
        "select grant_credits(%(client)s, %(balance)s + 1)",
        "select adjust_credits(%(client)s, 2, 'a test')",
        "select revoke_grant(%(lot)s)",
    )
    instants = [world.scalar("select clock_timestamp()")]
    for _ in range(40):
        lot = random.choice(world.run("select id from user_credits"))[0]
        values = {"lot": lot, "client": random.choice(clients), "balance": random.randrange(8)}
        world.connection.execute(random.choice(write).encode(), values)
        instants.append(world.scalar("select clock_timestamp()"))
        # Back from what is in the lots now, once most of the history is older.
        for client in clients:
            require_plain_sums(world, client, instants[-2], instants[-1])
    # And from the first entry on.
    for start, end in zip(instants[::5], instants[5::5], strict=False):
        for client in clients:
            require_plain_sums(world, client, start, end)
    require_sound(world)
