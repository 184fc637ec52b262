"""Credits that one client passes on to another."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import Connection, World, run
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import call, cancel, expire_lot, require_sound, require_sound_statement
from tests.support.races import RUNS_OUT, booking, calling, race
from tests.support.refusals import nothing_written, outcome, refused

OLD = ["repeatable read", "serializable"]


def transfer(connection: Connection, giver: UUID, receiver: UUID, amount: int, **options: Any) -> Any:
    return call(
        connection, "transfer_credits",
        from_user_id=giver, to_user_id=receiver, amount=amount, **{"reason": "a present", **options},
    )  # fmt: skip


def passing(giver: UUID, receiver: UUID, amount: int, **options: Any) -> Any:
    return lambda connection: transfer(connection, giver, receiver, amount, **options)


def grant(world: World, client: UUID, amount: int, **options: Any) -> UUID:
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=amount, **options)["lot_id"]
    assert isinstance(lot_id, UUID)
    return lot_id


def test_credits_stay_what_they_were(world: World) -> None:
    giver, receiver = world.client(), world.client()
    grant(world, giver, 2, category="promotional", priority=7, expires_at="2100-01-01 00:00+00")
    grant(world, giver, 3, payment_reference="pi_1")
    package = uuid4()
    world.run("update user_credits set package_id = %s where priority = 7", package)

    passed_on = transfer(world.connection, giver, receiver, 4)

    assert (passed_on["amount"], passed_on["from_balance"], passed_on["to_balance"]) == (4, 1, 4)
    columns = "category, priority, expires_at = '2100-01-01 00:00+00', package_id, credits_balance, credits_purchased"
    lots = [
        world.run(f"select {columns}, payment_reference from user_credits where id = %s", lot_id)[0]
        for lot_id in passed_on["lot_ids"]
    ]
    assert lots == [("promotional", 7, True, package, 2, 0, None), ("paid", 50, None, None, 2, 0, None)]
    for client in (giver, receiver):
        require_sound_statement(world, client)
    require_sound(world)


def test_receiver_books_with_them_and_gets_them_back(world: World) -> None:
    giver, receiver, therapist = world.client(credits=1), world.client(), world.therapist()
    transfer(world.connection, giver, receiver, 1)
    session = world.book(receiver, therapist)
    assert cancel(world, session["id"])
    assert (world.balance(giver), world.balance(receiver)) == (0, 1)
    # The giver's own sessions give back to the giver's lots.
    transfer(world.connection, receiver, giver, 1)
    session = world.book(giver, therapist)
    assert cancel(world, session["id"])
    assert (world.balance(giver), world.balance(receiver)) == (1, 0)
    require_sound(world)


def test_one_lot_gives_what_is_in_it(world: World) -> None:
    giver, receiver = world.client(credits=5), world.client()
    lot = grant(world, giver, 2, priority=90)
    with nothing_written(world), refused("insufficient_credits") as refusal:
        transfer(world.connection, giver, receiver, 3, lot_id=lot)
    assert (refusal.detail["lot_id"], refusal.detail["credits_balance"]) == (str(lot), 7)
    assert transfer(world.connection, giver, receiver, 2, lot_id=lot)["from_balance"] == 5
    with nothing_written(world), refused("insufficient_credits"):
        transfer(world.connection, giver, receiver, 1, lot_id=lot)
    require_sound(world)


@pytest.mark.parametrize("status", ["expired", "revoked", "refunded", "frozen"])
def test_lot_that_is_over_gives_nothing(world: World, status: str) -> None:
    giver, receiver = world.client(), world.client()
    lot = grant(world, giver, 2)
    if status == "expired":
        expire_lot(world.connection, lot)
    elif status == "revoked":
        call(world.connection, "revoke_grant", lot_id=lot)
    else:
        world.run("update user_credits set status = %s where id = %s", status, lot)
    with nothing_written(world), refused("invalid_parameter") as refusal:
        transfer(world.connection, giver, receiver, 1, lot_id=lot)
    assert (refusal.detail["parameter"], refusal.detail["status"]) == ("p_lot_id", status)
    with nothing_written(world), refused("insufficient_credits"):
        transfer(world.connection, giver, receiver, 1)


def test_grace_is_not_given_anew(world: World) -> None:
    giver, receiver, therapist = world.client(), world.client(), world.therapist()
    lot = grant(world, giver, 1)
    session = world.book(giver, therapist)
    expire_lot(world.connection, lot)
    cancel(world, session["id"])
    passed_on = transfer(world.connection, giver, receiver, 1)
    assert world.run("select grace_for_lot_id from user_credits where id = %s", passed_on["lot_ids"][0]) == [(lot,)]
    require_sound(world)


def test_receiver_is_active_and_the_giver_need_not_be(world: World) -> None:
    giver, receiver = world.client(credits=2), world.client()
    call(world.connection, "set_client_active", user_id=giver, active=False)
    transfer(world.connection, giver, receiver, 1)
    with nothing_written(world), refused("user_not_found") as refusal:
        transfer(world.connection, receiver, giver, 1)
    assert refusal.detail["user_id"] == str(giver)


def test_key_is_answered_as_the_first_time(world: World) -> None:
    giver, receiver = world.client(credits=3), world.client()
    first = transfer(world.connection, giver, receiver, 1, idempotency_key="key")
    transfer(world.connection, receiver, giver, 1)
    call(world.connection, "set_client_active", user_id=receiver, active=False)
    with nothing_written(world):
        assert transfer(world.connection, giver, receiver, 1, idempotency_key="key") == first


def test_chargeback_follows_the_credits(world: World) -> None:
    """To whomever they were passed on, and back when the dispute is won."""
    giver, receiver, third, therapist = world.client(), world.client(credits=1), world.client(), world.therapist()
    grant(world, giver, 10, payment_reference="pi_1")
    transfer(world.connection, giver, receiver, 6)
    transfer(world.connection, receiver, third, 3, lot_id=world.scalar(
        "select id from user_credits where user_id = %s and credits_purchased = 0", receiver
    ))  # fmt: skip
    session = world.book(third, therapist)

    revoked = call(world.connection, "revoke_grant", payment_reference="pi_1")
    assert (revoked["credits_revoked"], revoked["credits_spent"]) == (9, 1)
    assert [world.balance(client) for client in (giver, receiver, third)] == [0, 1, 0]
    cancel(world, session["id"])
    assert world.balance(third) == 0
    require_sound(world)

    call(world.connection, "reinstate_grant", payment_reference="pi_1")
    assert [world.balance(client) for client in (giver, receiver, third)] == [4, 4, 3]
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_crossing_transfers_do_not_deadlock(world: World, level: str) -> None:
    one, other = world.client(credits=3), world.client(credits=3)
    for giver, receiver in ((one, other), (other, one)):
        ends = race(world, passing(giver, receiver, 2), partial(in_level, level, passing(receiver, giver, 1)))
        assert ends[0] == "done"
        # An older snapshot may be refused by Postgres itself: nothing was passed on then.
        assert ends[1] == "done" or (level in OLD and ends[1] == "40001"), ends
    assert world.balance(one) + world.balance(other) == 6
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("first", ["transfer", "other"])
@pytest.mark.parametrize("what", ["booking", "transfer", "revocation", "adjustment", "deactivation"])
def test_last_credit_goes_once(world: World, level: str, first: str, what: str) -> None:
    giver, receiver, third, therapist = world.client(credits=1), world.client(), world.client(), world.therapist()
    lot = world.scalar("select id from user_credits where user_id = %s", giver)
    others = {
        "booking": booking(giver, therapist),
        "transfer": passing(giver, third, 1),
        "revocation": calling("revoke_grant", lot_id=lot),
        "adjustment": calling("adjust_credits", user_id=giver, amount=-1, reason="a mistake"),
        "deactivation": calling("set_client_active", user_id=receiver, active=False),
    }
    calls = [passing(giver, receiver, 1), others[what]]
    if first == "other":
        calls.reverse()
    ends = race(world, calls[0], partial(in_level, level, calls[1]))

    assert ends[0] == "done"
    assert ends[1] in ("done", "insufficient_credits", "user_not_found", *(["40001"] if level in OLD else [])), ends
    left = world.scalar("select coalesce(sum(credits_balance), 0) from user_credits")
    assert left + world.scalar("select count(*) from sessions") <= 1
    if what == "revocation" and "40001" not in ends:
        assert left == 0
    if what == "deactivation" and first == "other":
        assert ends[1] != "done"
    require_sound(world)


def test_lot_that_expires_during_the_wait_is_not_passed_on(world: World) -> None:
    giver, receiver = world.client(credits=1), world.client()
    lot = world.scalar("select id from user_credits where user_id = %s", giver)
    with holding(world) as holder, session_of(world) as other:
        run(holder, RUNS_OUT, lot)
        answer = waiting(world, passing(giver, receiver, 1), other)
        run(holder, "select pg_sleep(1)")  # the lot expires meanwhile
        holder.execute("commit")
        assert outcome(answer.result) == "insufficient_credits"
    require_sound(world)


def test_expiry_does_not_wait_for_a_transfer(world: World) -> None:
    giver, receiver = world.client(credits=1), world.client()
    lot = grant(world, giver, 2)
    expire_lot(world.connection, lot)
    with holding(world) as holder, session_of(world) as other:
        transfer(holder, giver, receiver, 1)
        other.execute("set lock_timeout = '1s'")
        assert outcome(partial(call, other, "expire_credits")) == "done"
        holder.execute("commit")
    require_sound(world)


def test_client_may_not_pass_credits_on(supabase_world: World) -> None:
    giver, receiver = supabase_world.client(credits=1), supabase_world.client()
    with supabase_world.connect(user="authenticator") as connection:
        run(connection, "set role authenticated")
        run(connection, "select set_config('request.jwt.claims', %s, false)", f'{{"sub": "{giver}"}}')
        with nothing_written(supabase_world), refused("not_allowed"):
            transfer(connection, giver, receiver, 1)
