"""Payments that are taken back, in part, before they were granted, and given back when a dispute was won."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import World, run
from tests.support.life import UNKNOWN, call, cancel, expire_lot, require_sound
from tests.support.refusals import nothing_written, refused

DAY = dt.timedelta(days=1)
PAYMENT = "pi_1"
LOT = "select credits_balance, status, credits_owed from user_credits where id = %s"


def grant(world: World, client: UUID, amount: int = 10, reference: str | None = PAYMENT, **options: Any) -> UUID:
    lot = call(
        world.connection, "grant_credits", user_id=client, amount=amount, payment_reference=reference, **options
    )["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def revoke(world: World, share: Any = 1, reference: str = PAYMENT, **options: Any) -> tuple[int, int, int]:
    """Revoke this share, and return the credits revoked, those owed, and the client's."""
    answer = call(world.connection, "revoke_grant", payment_reference=reference, share=share, **options)
    return answer["credits_revoked"], answer["credits_owed"], answer["credits_balance"]


def reinstate(world: World, reference: str = PAYMENT, **options: Any) -> tuple[int, int]:
    answer = call(world.connection, "reinstate_grant", payment_reference=reference, **options)
    return answer["credits_reinstated"], answer["credits_balance"]


def book(world: World, client: UUID, count: int) -> list[UUID]:
    therapist = world.therapist()
    return [world.book(client, therapist, f"{8 + n:02}:00")["id"] for n in range(count)]


def transfer(world: World, lot: UUID, client: UUID, amount: int) -> UUID:
    """Move credits of a lot into another client's, as the ledger tells of it."""
    new = uuid4()
    ((balance, owner),) = world.run("select credits_balance, user_id from user_credits where id = %s", lot)
    world.run(
        "with paid as ("
        " update user_credits set credits_balance = credits_balance - %s,"
        " status = case credits_balance when %s then 'used' else status end where id = %s returning id"
        "), given as ("
        " insert into user_credits (id, user_id, credits_balance) values (%s, %s, %s) returning id"
        ") insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, source_lot_id)"
        " select u.* from (values (%s::uuid, %s::uuid, 'transfer', %s, %s, 'owner', null::uuid),"
        " (%s, %s, 'transfer', %s, %s, 'owner', %s)) as u",
        *(amount, amount, lot, new, client, amount, owner, lot, -amount, balance - amount),
        *(client, new, amount, amount, lot),
    )
    assert world.violations() == []
    return new


# ----------------------------------------------------------------------------------------------------------------------
# Partial refunds
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "share", "revoked"),
    [
        (10, 0.5, 5), (10, "0.55", 5), (1, "0.99", 0), (3, 1 / 3, 1), (3, 2 / 3, 2), (7, Decimal(1) / 7, 1),
        (10_000, Decimal(1) / 3, 3333), (10, Decimal("1e-30"), 0), (10, Decimal("0.9999999999"), 10),
    ],
)  # fmt: skip
def test_share_of_a_payment_revokes_whole_credits(world: World, amount: int, share: Any, revoked: int) -> None:
    client = world.client()
    lot = grant(world, client, amount)

    assert revoke(world, Decimal(str(share))) == (revoked, 0, amount - revoked)

    left = amount - revoked
    assert world.run(LOT, lot) == [(left, "active" if left else "used", 0)]
    require_sound(world)


@pytest.mark.parametrize("shares", list(permutations([Decimal("0.2"), Decimal("0.5"), Decimal("0.9")])))
@pytest.mark.parametrize("spent", [0, 3, 7])
def test_shares_add_up_in_any_order(world: World, shares: tuple[Decimal, ...], spent: int) -> None:
    client = world.client()
    lot = grant(world, client)
    sessions = book(world, client, spent)
    for share in shares:
        answer = revoke(world, share)
        with nothing_written(world):
            # Reported again, and one that came late.
            assert revoke(world, share) == revoke(world, "0.1") == answer
    revoked = min(9, 10 - spent)
    assert answer == (revoked, 9 - revoked, 1 if spent == 0 else max(0, 1 - spent))
    assert revoked + answer[1] == 9
    # What comes back is revoked up to what is owed, and no further.
    for session in sessions:
        cancel(world, session)
    assert revoke(world, "0.9") == (9, 0, 1)
    assert world.run(LOT, lot) == [(1, "active", 0)]
    require_sound(world)


def test_owed_credits_come_back_to_be_revoked(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2)
    first, second = book(world, client, 2)
    assert revoke(world, "0.5") == (0, 1, 0)
    assert world.run(LOT, lot) == [(0, "used", 1)]

    cancel(world, first)
    assert (world.run(LOT, lot), world.balance(client)) == ([(0, "used", 0)], 0)
    told = "select kind, amount, reason from bookingdb.ledger where kind in ('refund', 'revocation') order by id"
    reason = "refund of what is owed for a payment that was refunded in part"
    assert world.run(told) == [("refund", 1, None), ("revocation", -1, reason)]
    require_sound(world)

    cancel(world, second)
    assert (world.run(LOT, lot), world.balance(client)) == ([(1, "active", 0)], 1)
    require_sound(world)


@pytest.mark.parametrize("is_posted", [True, False])
def test_owed_credits_of_an_expired_lot_have_no_grace(world: World, is_posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    sessions = book(world, client, 3)
    assert revoke(world, "0.5") == (1, 1, 0)
    expire_lot(world.connection, lot)
    if is_posted:
        call(world.connection, "expire_credits")
    for session in sessions:
        cancel(world, session)
    assert world.balance(client) == 2
    assert revoke(world, "0.5") == (2, 0, 2)
    require_sound(world)


@pytest.mark.parametrize("is_posted", [True, False])
def test_expired_credits_are_not_what_a_refund_takes(world: World, is_posted: bool) -> None:
    """Whether expire_credits() ran or not, the same is taken."""
    client = world.client()
    lot = grant(world, client, 4)
    (session,) = book(world, client, 1)
    expire_lot(world.connection, lot)
    cancel(world, session)
    assert world.balance(client) == 1
    if is_posted:
        call(world.connection, "expire_credits")
    assert revoke(world, "0.5") == (1, 1, 0)
    with nothing_written(world):
        assert revoke(world, "0.5") == (1, 1, 0)
    require_sound(world)


def test_whole_payment_takes_what_a_share_left(world: World) -> None:
    client = world.client()
    lot = grant(world, client)
    sessions = book(world, client, 2)
    assert revoke(world, "0.5") == (5, 0, 3)
    assert revoke(world, 1) == (8, 2, 0)
    assert world.run(LOT, lot) == [(0, "revoked", 2)]
    with nothing_written(world):
        assert revoke(world, "0.5") == (8, 2, 0)
    for session in sessions:
        cancel(world, session)
    assert (revoke(world), world.run(LOT, lot)) == ((10, 0, 0), [(0, "revoked", 0)])
    require_sound(world)


def test_lot_without_a_payment_is_revoked_in_part(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 4, None)
    for share, revoked in (("0.5", 2), ("0.25", 2), ("1", 4), ("0.5", 4)):
        answer = call(world.connection, "revoke_grant", lot_id=lot, share=share)
        assert answer["credits_revoked"] == revoked
    assert world.run("select * from bookingdb.payments") == []
    require_sound(world)


def test_credits_that_are_there_by_the_next_call_are_taken(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    book(world, client, 4)
    assert revoke(world, "0.5") == (0, 2, 0)
    call(world.connection, "adjust_credits", user_id=client, amount=5, reason="sorry", lot_id=lot)
    assert revoke(world, "0.5") == (2, 0, 3)
    with nothing_written(world):
        assert revoke(world, "0.5") == (2, 0, 3)
    assert revoke(world, "0.75") == (3, 0, 2)
    require_sound(world)


def test_share_of_a_lot_that_was_written_directly(world: World) -> None:
    """It need not say what was bought; its first entry does."""
    client = world.client()
    insert = "insert into user_credits (user_id, credits_balance, payment_reference) values (%s, 6, %s)"
    world.run(insert, client, PAYMENT)
    assert revoke(world, "0.5") == (3, 0, 3)
    with nothing_written(world):
        assert revoke(world, "0.5") == (3, 0, 3)
    require_sound(world)


@pytest.mark.parametrize("share", [None, 0, -1, "1.0000001", "NaN", "Infinity", "-Infinity"])
def test_share_that_is_none_is_refused(world: World, share: Any) -> None:
    client = world.client()
    grant(world, client)
    with nothing_written(world), refused("invalid_parameter") as refusal:
        revoke(world, share if share is None else Decimal(share))
    assert refusal.detail["parameter"] == "p_share"


# ----------------------------------------------------------------------------------------------------------------------
# Wherever its credits are
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["0.5", "1"])
def test_chargeback_follows_transferred_credits(world: World, share: str) -> None:
    client, friend, third = world.client(), world.client(credits=1), world.client()
    lot = grant(world, client)
    given = transfer(world, lot, friend, 8)
    last = transfer(world, given, third, 5)
    assert [world.balance(who) for who in (client, friend, third)] == [2, 4, 5]

    assert revoke(world, share)[:2] == ((5, 0) if share == "0.5" else (10, 0))

    left = [world.balance(who) for who in (client, friend, third)]
    assert sum(left) == (6 if share == "0.5" else 1)
    if share == "1":
        assert [world.run(LOT, one) for one in (lot, given, last)] == [[(0, "revoked", 0)]] * 3
    with nothing_written(world):
        revoke(world, share)
    assert reinstate(world) == (10 - sum(left) + 1, 2)
    assert [world.balance(who) for who in (client, friend, third)] == [2, 4, 5]
    assert world.violations() == []


def test_transferred_credits_that_were_spent_are_owed(world: World) -> None:
    client, friend = world.client(), world.client()
    lot = grant(world, client, 4)
    given = transfer(world, lot, friend, 4)
    sessions = book(world, friend, 3)
    assert revoke(world, "0.75") == (1, 2, 0)
    assert (world.run(LOT, lot), world.run(LOT, given)) == ([(0, "used", 0)], [(0, "used", 2)])
    for session in sessions:
        cancel(world, session)
    assert world.balance(friend) == 1
    assert world.violations() == []


@pytest.mark.parametrize("who", ["giver", "receiver"])
def test_credits_that_came_back_elsewhere_are_taken_next(world: World, who: str) -> None:
    """What is owed stands on one of the lots; a repeated call takes it from whichever has credits by then."""
    client, friend = world.client(), world.client()
    lot = grant(world, client, 2)
    given = transfer(world, lot, friend, 1)
    sessions = {"giver": book(world, client, 1)[0], "receiver": book(world, friend, 1)[0]}
    assert revoke(world, "0.5")[:2] == (0, 1)

    cancel(world, sessions[who])

    assert revoke(world, "0.5")[:2] == (1, 0)
    with nothing_written(world):
        assert revoke(world, "0.5")[:2] == (1, 0)
    assert world.balance(client) == world.balance(friend) == 0
    assert [world.run(LOT, one) for one in (lot, given)] == [[(0, "used", 0)]] * 2
    cancel(world, sessions["receiver" if who == "giver" else "giver"])
    assert world.balance(client) + world.balance(friend) == 1
    assert world.violations() == []


def test_lot_revoked_for_itself_stays_owing(world: World) -> None:
    client, friend = world.client(), world.client()
    lot = grant(world, client, 4)
    given = transfer(world, lot, friend, 2)
    book(world, friend, 2)
    call(world.connection, "revoke_grant", lot_id=given)
    assert revoke(world, "0.5") == (2, 2, 0)
    assert (world.run(LOT, lot), world.run(LOT, given)) == ([(0, "used", 0)], [(0, "revoked", 2)])
    with nothing_written(world):
        revoke(world, "0.5")
    assert world.violations() == []


def test_family_of_a_transferred_lot_is_not_its_source(world: World) -> None:
    client, friend = world.client(), world.client()
    lot = grant(world, client, 4)
    given = transfer(world, lot, friend, 2)
    answer = call(world.connection, "revoke_grant", lot_id=given)
    assert (answer["credits_revoked"], answer["credits_balance"]) == (2, 0)
    assert world.balance(client) == 2
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# A refund that comes before the grant
# ----------------------------------------------------------------------------------------------------------------------


def test_a_revocation_is_remembered_until_the_grant(world: World) -> None:
    client = world.client()
    with nothing_written(world), refused("lot_not_found"):
        revoke(world)
    remembered = {
        "lot_id": None, "credits_revoked": 0, "credits_spent": 0, "credits_balance": 0, "credits_owed": 0,
        "is_remembered": True,
    }  # fmt: skip
    ask = {"payment_reference": PAYMENT, "reason": "fraud", "remember": True}
    for _ in range(2):
        assert call(world.connection, "revoke_grant", **ask) == remembered

    granting = {"user_id": client, "amount": 5, "payment_reference": PAYMENT, "idempotency_key": "evt"}
    answer = call(world.connection, "grant_credits", **granting)
    assert (answer["lot_balance"], answer["credits_balance"], answer["is_new"]) == (0, 0, True)
    assert world.run("select kind, amount, reason from bookingdb.ledger order by id") == [
        ("grant", 5, None), ("revocation", -5, "fraud"),
    ]  # fmt: skip
    events = "select event from bookingdb.outbox where event like 'credits.%' order by id"
    assert world.run(events) == [("credits.granted",), ("credits.revoked",)]
    # The same key is answered as before; without it, the payment was revoked.
    with nothing_written(world):
        assert call(world.connection, "grant_credits", **granting) == {**answer, "is_new": False}
        with refused("grant_revoked"):
            call(world.connection, "grant_credits", **{**granting, "idempotency_key": None})
    # From now on there is a lot.
    with nothing_written(world):
        assert call(world.connection, "revoke_grant", **ask)["lot_id"] == answer["lot_id"]
    require_sound(world)


def test_remembered_share_goes_on_with_the_rest(world: World) -> None:
    client = world.client()
    for share in ("0.5", "0.2"):
        revoke(world, share, remember=True)
    grant(world, client, 9)
    assert (world.balance(client), revoke(world, "0.1")) == (5, (4, 0, 5))
    assert grant(world, client, 9) == world.scalar("select id from user_credits")
    require_sound(world)


@pytest.mark.parametrize("how", ["insert", "update"])
def test_remembered_revocation_meets_direct_writers(world: World, how: str) -> None:
    client = world.client()
    revoke(world, "0.5", remember=True)
    insert = "insert into user_credits (user_id, credits_balance, credits_purchased, payment_reference)"
    world.run(f"{insert} values (%s, 8, 8, %s)", client, PAYMENT if how == "insert" else None)
    if how == "update":
        world.run("update user_credits set payment_reference = %s", PAYMENT)
        world.run("update user_credits set payment_reference = payment_reference")
    assert world.balance(client) == 4
    require_sound(world)


def test_a_revoked_payment_is_so_after_its_lot_was_deleted(world: World) -> None:
    client = world.client()
    lot = grant(world, client)
    revoke(world)
    world.run("delete from user_credits where id = %s", lot)
    assert world.run("select lot_id, revoked_share from bookingdb.payments") == [(None, 1)]
    answer = call(world.connection, "grant_credits", user_id=client, amount=10, payment_reference=PAYMENT)
    assert (answer["lot_balance"], answer["is_new"]) == (0, True)
    require_sound(world)


def test_payments_follow_their_lots(world: World) -> None:
    client = world.client()
    one, other = grant(world, client, 1), grant(world, client, 1, "pi_2")
    payments = "select payment_reference, lot_id from bookingdb.payments order by 1"
    world.run("update user_credits set payment_reference = null where id = %s", one)
    world.run("update user_credits set payment_reference = %s where id = %s", PAYMENT, other)
    assert world.run(payments) == [(PAYMENT, other), ("pi_2", None)]
    world.run("delete from user_credits where id = %s", other)
    assert world.run(payments) == [(PAYMENT, None), ("pi_2", None)]
    require_sound(world)


def test_payment_of_a_lot_that_was_taken_away_grants_again(world: World) -> None:
    client = world.client()
    lot = grant(world, client)
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "set session_replication_role = replica")
        run(superuser, "delete from user_credits where id = %s", lot)
    answer = call(world.connection, "grant_credits", user_id=client, amount=10, payment_reference=PAYMENT)
    assert (answer["lot_balance"], answer["is_new"]) == (10, True)
    assert world.run("select lot_id from bookingdb.payments") == [(answer["lot_id"],)]


@pytest.mark.parametrize("options", [{"lot_id": UNKNOWN, "remember": True}, {"lot_id": UNKNOWN, "remember": None}])
def test_only_a_payment_can_be_remembered(world: World, options: dict[str, Any]) -> None:
    with nothing_written(world), refused("invalid_parameter") as refusal:
        call(world.connection, "revoke_grant", **options)
    assert refusal.detail["parameter"] == "p_remember"


# ----------------------------------------------------------------------------------------------------------------------
# A dispute that was won
# ----------------------------------------------------------------------------------------------------------------------


def test_reinstated_lot_is_as_it_was(world: World) -> None:
    client = world.client()
    lot = grant(world, client)
    returned, kept = book(world, client, 2)
    revoke(world)
    cancel(world, returned)

    assert reinstate(world, reason="won") == (9, 9)

    assert world.run(LOT, lot) == [(9, "active", 0)]
    with nothing_written(world):
        assert reinstate(world) == (9, 9)
    cancel(world, kept)
    assert world.balance(client) == 10
    # The payment grants nothing again, and can be disputed once more.
    assert grant(world, client) == lot
    assert revoke(world, "0.5") == (5, 0, 5)
    assert reinstate(world) == (14, 10)
    require_sound(world)


def test_reinstating_gives_back_where_it_was_taken(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 3)
    one, other = book(world, client, 2)
    expire_lot(world.connection, lot)
    cancel(world, one)
    grace = world.scalar("select id from user_credits where grace_for_lot_id = %s", lot)
    revoke(world)
    cancel(world, other)
    # The credit that had expired before is not revoked, and stays expired.
    assert reinstate(world) == (2, 2)
    assert [world.run(LOT, each) for each in (lot, grace)] == [[(1, "active", 0)], [(1, "active", 0)]]
    require_sound(world)


def test_a_lot_expires_later_by_the_time_it_was_revoked(world: World) -> None:
    client = world.client()
    until = dt.datetime(2100, 3, 1, tzinfo=dt.UTC)
    lots = {
        share: grant(world, client, 1, f"pi {share}", expires_at=until) for share in (None, "1", "0.5")
    }  # fmt: skip
    # Another was empty when it was revoked.
    empty = grant(world, client, 1, "empty", expires_at=until, priority=0)
    book(world, client, 1)
    for reference in ("pi 1", "empty"):
        revoke(world, 1, reference)
    revoke(world, "0.5", "pi 0.5")
    world.run("select pg_sleep(1)")
    for reference in ("pi 1", "pi 0.5", "empty"):
        reinstate(world, reference)
        reinstate(world, reference)
    moved = {
        lot: world.scalar("select expires_at from user_credits where id = %s", lot) - until
        for lot in (*lots.values(), empty)
    }
    assert moved[lots[None]] == moved[lots["0.5"]] == dt.timedelta()
    for lot in (lots["1"], empty):
        assert dt.timedelta(seconds=1) <= moved[lot] < dt.timedelta(seconds=20)
    require_sound(world)


def test_credits_revoked_by_share_are_spendable_again(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    book(world, client, 3)
    assert revoke(world, "0.75") == (1, 2, 0)
    assert reinstate(world) == (1, 1)
    assert world.run(LOT, lot) == [(1, "active", 0)]
    require_sound(world)


def test_frozen_lot_is_frozen_again(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    world.run("update user_credits set status = 'frozen', frozen_at = now() where id = %s", lot)
    assert revoke(world, "0.5") == (2, 0, 0)
    assert world.run(LOT, lot) == [(2, "frozen", 0)]
    revoke(world)
    reinstate(world)
    assert world.run(LOT, lot) == [(4, "frozen", 0)]
    assert world.violations() == []


def test_remembered_revocation_is_forgotten(world: World) -> None:
    client = world.client()
    with nothing_written(world), refused("lot_not_found"):
        reinstate(world)
    revoke(world, remember=True)
    for _ in range(2):
        assert call(world.connection, "reinstate_grant", payment_reference=PAYMENT) == {
            "lot_id": None, "credits_reinstated": 0, "credits_balance": 0,
        }  # fmt: skip
    grant(world, client)
    assert world.balance(client) == 10
    require_sound(world)


def test_grant_that_was_revoked_before_it_came_is_reinstated(world: World) -> None:
    client = world.client()
    revoke(world, remember=True)
    lot = grant(world, client)
    assert reinstate(world) == (10, 10)
    assert grant(world, client) == lot
    require_sound(world)


def test_lot_that_nobody_revoked_stays_as_it_is(world: World) -> None:
    client = world.client()
    grant(world, client)
    book(world, client, 2)
    with nothing_written(world):
        assert reinstate(world) == (0, 8)
