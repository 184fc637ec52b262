"""The life of a credit: granted, spent, returned, adjusted, expired and taken back, and what the ledger says of it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.life import LONG_AGO, LONG_FROM_NOW, call, cancel, expire_lot, require_sound, rows, statement
from tests.support.refusals import nothing_written, refused

DAY = dt.timedelta(days=1)
MOST = 2**31 - 1


def grant(world: World, client: UUID, amount: int, **options: Any) -> UUID:
    lot = call(world.connection, "grant_credits", user_id=client, amount=amount, **options)["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def adjust(world: World, client: UUID, amount: int, reason: str = "a reason", **options: Any) -> Any:
    return call(world.connection, "adjust_credits", user_id=client, amount=amount, reason=reason, **options)


def revoke(world: World, **which: Any) -> tuple[int, int, int]:
    answer = call(world.connection, "revoke_grant", **which)
    return answer["credits_revoked"], answer["credits_spent"], answer["credits_balance"]


def entries(world: World, *kinds: str) -> list[Any]:
    return world.run(
        "select lot_id, amount, balance_after, reason, actor from bookingdb.ledger where kind = any (%s) order by id",
        list(kinds),
    )


def events(world: World, event: str) -> list[Any]:
    told = world.run("select subject_id, payload from bookingdb.outbox where event = %s order by id", event)
    for subject, payload in told:
        assert payload["lot_id"] == str(subject)
    return [(subject, payload["amount"]) for subject, payload in told]


def left(world: World, *lots: UUID) -> list[int]:
    return [world.scalar("select credits_balance from user_credits where id = %s", lot) for lot in lots]


# ----------------------------------------------------------------------------------------------------------------------
# Which credits count
# ----------------------------------------------------------------------------------------------------------------------


def test_only_active_lots_of_users_count(world: World) -> None:
    client, other = world.client(credits=3), world.client()
    world.run(
        "insert into user_credits (user_id, user_type, credits_balance, expires_at, status) values"
        " (%(c)s, 'user', 4, now() + interval '1 day', 'active'), (%(c)s, 'user', 10, now(), 'active'),"
        " (%(c)s, 'user', 20, null, 'expired'), (%(c)s, 'user', 40, null, 'refunded'),"
        " (%(c)s, 'user', 80, null, 'revoked'),"
        " (%(c)s, 'therapist', 160, null, 'active')".replace("%(c)s", f"'{client}'")
    )
    assert (world.balance(client), world.balance(other)) == (7, 0)
    # Nor is anything else taken away.
    with nothing_written(world), refused("insufficient_credits"):
        adjust(world, client, -8)


def test_a_history_tells_what_was_written_directly(world: World) -> None:
    client = world.client()
    assert rows(world.connection, "get_credit_history", user_id=client) == []
    lot = grant(world, client, 3)
    world.run("update user_credits set credits_balance = 7 where id = %s", lot)
    told = rows(world.connection, "get_credit_history", user_id=client)
    assert [(row["kind"], row["amount"], row["balance_after"]) for row in told] == [("direct", 4, 7), ("grant", 3, 3)]
    assert [(row["id"], row["created_at"], row["lot_id"]) for row in told] == world.run(
        "select id, created_at, lot_id from bookingdb.ledger order by id desc"
    )
    page = rows(world.connection, "get_credit_history", user_id=client, limit=1)
    assert [row["kind"] for row in page] == ["direct"]
    older = rows(world.connection, "get_credit_history", user_id=client, before=page[0]["created_at"])
    assert [row["kind"] for row in older] == ["grant"]


# ----------------------------------------------------------------------------------------------------------------------
# Granting
# ----------------------------------------------------------------------------------------------------------------------


def test_a_grant_is_a_lot_an_entry_and_an_event(world: World) -> None:
    client, until = world.client(), dt.datetime(2100, 2, 1, tzinfo=dt.UTC)
    lot = grant(world, client, 5, payment_reference="payment", expires_at=until, category="promotional", priority=0)
    assert world.run(
        "select id, user_id, user_type, credits_balance, credits_purchased, credits_used, credits_expired, expires_at,"
        " payment_reference, status, category, priority, grace_for_lot_id from user_credits"
    ) == [(lot, client, "user", 5, 5, 0, 0, until, "payment", "active", "promotional", 0, None)]
    assert world.run("select lot_id, session_id, kind, amount, balance_after from bookingdb.ledger") == [
        (lot, None, "grant", 5, 5),
    ]  # fmt: skip
    assert events(world, "credits.granted") == [(lot, 5)]
    answer = call(world.connection, "grant_credits", user_id=client, amount=2)
    assert (answer["lot_balance"], answer["credits_balance"]) == (2, 7)
    paid = "select category, priority from user_credits where id = %s"
    assert world.run(paid, answer["lot_id"]) == [("paid", 50)]


def test_a_booking_takes_its_credit_from_the_lot(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 2)
    session = world.book(client, therapist)["id"]
    lots = "select id, credits_balance, credits_purchased, credits_used, credits_expired from user_credits"
    assert world.run(lots) == [(lot, 1, 2, 1, 0)]
    debits = "select lot_id, session_id, amount, balance_after from bookingdb.ledger where kind = 'debit'"
    assert world.run(debits) == [(lot, session, -1, 1)]


# ----------------------------------------------------------------------------------------------------------------------
# What comes back
# ----------------------------------------------------------------------------------------------------------------------


def test_a_grace_lot_is_as_the_old_one_was(world: World) -> None:
    """The refund is its first entry, and the lot that has expired is left alone."""
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 1, category="promotional", priority=20)
    session = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot)
    answer = call(world.connection, "cancel_session", session_id=session)
    assert (answer["refunded"], answer["credits_balance"]) == (True, 1)
    ((grace, *columns, days),) = world.run(
        "select id, user_type, credits_balance, credits_purchased, credits_used, status, category, priority,"
        " extract(epoch from expires_at - now()) / 86400 from user_credits where grace_for_lot_id = %s",
        lot,
    )
    assert columns == ["user", 1, 0, 0, "active", "promotional", 20]
    assert 29.99 < days <= 30
    assert [entry[:3] for entry in entries(world, "refund")] == [(grace, 1, 1)]
    assert world.run("select credits_balance, credits_used, status from user_credits where id = %s", lot) == [
        (0, 1, "used"),
    ]  # fmt: skip
    # It expires like any other.
    expire_lot(world.connection, grace)
    assert call(world.connection, "expire_credits") == {"lots": 1, "credits": 1}
    require_sound(world)


def test_a_therapist_may_have_another_grace(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 1)
    session = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot)
    call(world.connection, "set_policy", settings=Jsonb({"refund_grace": "7 days"}), therapist_id=therapist)
    call(world.connection, "cancel_session", session_id=session)
    grace = world.scalar("select expires_at - now() from user_credits where grace_for_lot_id = %s", lot)
    assert 7 * DAY - dt.timedelta(minutes=1) < grace <= 7 * DAY


def test_a_deleted_lot_is_over_too(world: World) -> None:
    """Nothing is known of it; and whoever may write the table may delete the grace lot, too."""
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 1, category="promotional", priority=20)
    session = world.book(client, therapist)["id"]
    world.run("delete from user_credits where id = %s", lot)
    assert call(world.connection, "cancel_session", session_id=session)["credits_balance"] == 1
    assert world.run("select grace_for_lot_id, category, priority from user_credits") == [(lot, "paid", 50)]
    assert world.violations() == []
    world.run("delete from user_credits")
    assert world.violations() == []


def test_a_refund_to_a_revoked_lot_goes_at_once(world: World) -> None:
    """Both of which ledger and events tell; a chargeback that is asked for again counts it."""
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 2, payment_reference="payment")
    session = world.book(client, therapist)["id"]
    assert revoke(world, payment_reference="payment", reason="chargeback 4711") == (1, 1, 0)

    answer = call(world.connection, "cancel_session", session_id=session)

    assert (answer["refunded"], answer["credits_balance"]) == (False, 0)
    assert [(amount, balance, reason) for _, amount, balance, reason, _ in entries(world, "refund", "revocation")] == [
        (-1, 0, "chargeback 4711"), (1, 1, None), (-1, 0, "refund to a lot that is revoked"),
    ]  # fmt: skip
    assert (events(world, "credits.revoked"), events(world, "credits.refunded")) == ([(lot, -1), (lot, -1)], [(lot, 1)])
    assert world.count("user_credits") == 1
    assert revoke(world, payment_reference="payment") == (2, 0, 0)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Adjustments
# ----------------------------------------------------------------------------------------------------------------------


def test_credits_are_added_to_a_new_lot_that_does_not_expire(world: World) -> None:
    client = world.client(credits=2)
    answer = adjust(world, client, 7, "the heating failed")
    assert (answer["lot_balance"], answer["credits_balance"]) == (7, 9)
    assert world.run(
        "select user_type, credits_balance, credits_purchased, credits_used, credits_expired, expires_at,"
        " payment_reference, status, category, priority from user_credits where id = %s",
        answer["lot_id"],
    ) == [("user", 7, 7, 0, 0, None, None, "active", "paid", 50)]
    assert entries(world, "adjustment") == [(answer["lot_id"], 7, 7, "the heating failed", "owner")]
    assert events(world, "credits.adjusted") == [(answer["lot_id"], 7)]
    require_sound(world)


def test_a_named_lot_gets_more_than_was_bought(world: World) -> None:
    """What was bought stays what it was, so that its payment is still recognised."""
    client = world.client()
    lot = grant(world, client, 3, payment_reference="payment")
    assert adjust(world, client, 2, "as promised", lot_id=lot) == {
        "lot_id": lot, "lot_balance": 5, "credits_balance": 5, "is_new": True,
    }  # fmt: skip
    assert entries(world, "adjustment") == [(lot, 2, 5, "as promised", "owner")]
    bought = "select credits_balance, credits_purchased, credits_used from user_credits"
    assert world.run(bought) == [(5, 3, 0)]
    assert grant(world, client, 3, payment_reference="payment") == lot
    assert world.balance(client) == 5
    require_sound(world)


def test_credits_are_taken_in_the_order_of_spending(world: World) -> None:
    """An entry and an event a lot; the answer names the last one."""
    client = world.client()
    now = dt.datetime.now(dt.UTC)
    never = grant(world, client, 5)
    later = grant(world, client, 4, expires_at=now + 90 * DAY)
    soon = grant(world, client, 5, expires_at=now + 30 * DAY)
    gift = grant(world, client, 2, expires_at=now + 30 * DAY, category="promotional")
    last = grant(world, client, 6, expires_at=now + 10 * DAY, category="promotional", priority=90)
    soon_and_gift = world.scalar("select max(expires_at) from user_credits where id = any (%s)", [soon, gift])
    world.run("update user_credits set expires_at = %s where id = any (%s)", soon_and_gift, [soon, gift])

    answer = adjust(world, client, -8, "counted twice")

    assert answer == {"lot_id": later, "lot_balance": 3, "credits_balance": 14, "is_new": True}
    taken = [(gift, -2, 0), (soon, -5, 0), (later, -1, 3)]
    assert [entry[:3] for entry in entries(world, "adjustment")] == taken
    assert events(world, "credits.adjusted") == [(lot, amount) for lot, amount, _ in taken]
    assert left(world, last, later, never, soon, gift) == [6, 3, 5, 0, 0]
    require_sound(world)


def test_a_named_lot_gives_what_it_has_and_no_more(world: World) -> None:
    client = world.client(credits=9)
    lot = grant(world, client, 6)
    with nothing_written(world), refused("insufficient_credits"):
        adjust(world, client, -7, lot_id=lot)
    assert adjust(world, client, -6, lot_id=lot) == {
        "lot_id": lot,
        "lot_balance": 0,
        "credits_balance": 9,
        "is_new": True,
    }
    with nothing_written(world), refused("insufficient_credits") as refusal:
        adjust(world, client, -10)
    assert refusal.detail == {"code": "insufficient_credits", "credits_balance": 9, "lot_id": None}
    assert adjust(world, client, -9)["credits_balance"] == 0
    assert adjust(world, client, 10_000, "r" * 1000)["credits_balance"] == 10_000
    require_sound(world)


@pytest.mark.parametrize("amount", [1, -1])
def test_a_lot_of_another_user_type_is_not_found(world: World, amount: int) -> None:
    client = world.client(credits=2)
    insert = "insert into user_credits (user_id, user_type, credits_balance) values (%s, 'therapist', 10) returning id"
    lot = world.scalar(insert, client)
    with nothing_written(world), refused("lot_not_found"):
        adjust(world, client, amount, lot_id=lot)


def test_a_client_who_is_gone_is_paid_out(world: World) -> None:
    client = world.client(credits=12)
    world.run("update users set is_active = false where id = %s", client)
    assert adjust(world, client, -12, "paid out")["credits_balance"] == 0
    # And keeps its statements.
    assert statement(world.connection, client)[-1]["balance"] == 0
    require_sound(world)


def test_a_lot_holds_as_much_as_an_integer(world: World) -> None:
    client = world.client()
    lot = world.scalar("insert into user_credits (user_id, credits_balance) values (%s, %s) returning id",
                       client, MOST - 7)  # fmt: skip
    with nothing_written(world), refused("invalid_parameter") as refusal:
        adjust(world, client, 8, lot_id=lot)
    assert refusal.detail == {
        "code": "invalid_parameter", "parameter": "p_amount", "lot_id": str(lot), "lot_balance": MOST - 7,
    }  # fmt: skip
    assert adjust(world, client, 7, lot_id=lot) == {
        "lot_id": lot,
        "lot_balance": MOST,
        "credits_balance": MOST,
        "is_new": True,
    }
    # A balance beyond it is not in the way of an error.
    beside = grant(world, client, 5)
    with nothing_written(world), refused("insufficient_credits"):
        adjust(world, client, -6, lot_id=beside)


# ----------------------------------------------------------------------------------------------------------------------
# Chargebacks
# ----------------------------------------------------------------------------------------------------------------------


def test_a_chargeback_takes_one_lot_and_writes_one_entry(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    first = grant(world, client, 5, payment_reference="first", priority=1)
    second = grant(world, client, 3, payment_reference="second")
    world.book(client, therapist)
    assert revoke(world, payment_reference="first", reason="chargeback 4711") == (4, 1, 3)
    lots = "select id, status, credits_balance, credits_purchased, credits_used from user_credits order by priority"
    assert world.run(lots) == [(first, "revoked", 0, 5, 1), (second, "active", 3, 3, 0)]
    assert entries(world, "revocation") == [(first, -4, 0, "chargeback 4711", "owner")]
    assert events(world, "credits.revoked") == [(first, -4)]
    with nothing_written(world):
        assert revoke(world, lot_id=first, reason="once more") == (4, 1, 3)
    # A retry of the payment does not bring it back.
    with nothing_written(world), refused("grant_revoked") as refusal:
        grant(world, client, 5, payment_reference="first")
    assert refusal.detail["lot_id"] == str(first)
    require_sound(world)


def test_a_chargeback_of_what_was_spent_is_on_record(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 1, payment_reference="payment")
    world.book(client, therapist)
    assert revoke(world, payment_reference="payment") == (0, 1, 0)
    assert (entries(world, "revocation"), events(world, "credits.revoked")) == (
        [(lot, 0, 0, None, "owner")], [(lot, 0)],
    )  # fmt: skip
    with refused("insufficient_credits"):
        world.book(client, therapist, "14:00")
    untouched = grant(world, client, 3)
    assert revoke(world, lot_id=untouched, reason="") == (3, 0, 0)
    require_sound(world)


def test_a_chargeback_leaves_nothing_to_expire(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 1)
    expire_lot(world.connection, lot)
    assert revoke(world, lot_id=lot) == (0, 0, 0)
    assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}
    require_sound(world)


def test_credits_adjusted_away_do_not_count_as_spent(world: World) -> None:
    client = world.client()
    lot = adjust(world, client, 8)["lot_id"]
    adjust(world, client, -3, lot_id=lot)
    assert revoke(world, lot_id=lot) == (5, 0, 0)
    assert world.balance(client) == 0


def test_a_grace_lot_is_taken_back_with_its_payment(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 2)
    session = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot)
    call(world.connection, "cancel_session", session_id=session)
    assert world.balance(client) == 1
    for _ in range(2):
        # The other credit had expired.
        assert revoke(world, lot_id=lot) == (1, 0, 0)
    require_sound(world)


def test_a_chargeback_counts_more_than_an_integer_holds(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 1)
    for _ in range(2):
        world.run("update user_credits set credits_balance = 2000000000 where id = %s", lot)
        answer = revoke(world, lot_id=lot)
    assert answer == (4_000_000_000, 0, 0)


# ----------------------------------------------------------------------------------------------------------------------
# Expiry
# ----------------------------------------------------------------------------------------------------------------------


def test_expiry_posts_what_is_left_in_every_expired_lot(world: World) -> None:
    client, other, therapist = world.client(), world.client(), world.therapist()
    assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}
    over, spent, to_come, taken = (
        grant(world, client, amount, priority=number, payment_reference=f"{number}")
        for number, amount in enumerate((3, 1, 5, 7))
    )
    others = grant(world, other, 10)
    call(world.connection, "revoke_grant", lot_id=taken)
    call(world.connection, "cancel_session", session_id=world.book(client, therapist, "06:00")["id"])
    for hour in range(8, 12):
        world.book(client, therapist, f"{hour:02}:00")
    adjust(world, client, 2, lot_id=over)
    for lot in (over, spent, taken, others):
        expire_lot(world.connection, lot)
    assert (world.balance(client), world.balance(other)) == (5, 0)

    assert call(world.connection, "expire_credits") == {"lots": 2, "credits": 12}

    lots = "select status, credits_balance, credits_used, credits_expired from user_credits where id = %s"
    assert [world.run(lots, lot)[0] for lot in (over, spent, to_come, taken, others)] == [
        ("expired", 0, 3, 2), ("used", 0, 1, 0), ("active", 5, 0, 0), ("revoked", 0, 0, 0), ("expired", 0, 0, 10),
    ]  # fmt: skip
    posted = {(over, -2, 0, None, "owner"), (others, -10, 0, None, "owner")}
    assert set(entries(world, "expiry")) == posted
    assert set(events(world, "credits.expired")) == {(over, -2), (others, -10)}
    assert (world.balance(client), world.balance(other)) == (5, 0)
    assert statement(world.connection, client)[-1]["balance"] == 5
    with nothing_written(world):
        assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}
    # When its payment is taken back then, there is nothing to take.
    assert revoke(world, lot_id=over)[:2] == (0, 3)
    require_sound(world)


def test_more_expires_than_an_integer_holds(world: World) -> None:
    client = world.client()
    world.run(
        "insert into user_credits (user_id, credits_balance, credits_expired, expires_at) values"
        " (%(c)s, 2000000000, 2000000000, now()), (%(c)s, 2000000000, 0, now())".replace("%(c)s", f"'{client}'")
    )
    assert call(world.connection, "expire_credits") == {"lots": 2, "credits": 4_000_000_000}
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Statements
# ----------------------------------------------------------------------------------------------------------------------


def test_a_statement_tells_everything_that_can_happen(world: World) -> None:
    client, other, therapist = world.client(), world.client(credits=9), world.therapist()
    first = grant(world, client, 3, payment_reference="first", priority=1)
    kept, returned = (world.book(client, therapist, time)["id"] for time in ("08:00", "10:00"))
    world.book(other, therapist, "12:00")
    call(world.connection, "cancel_session", session_id=returned)
    middle = world.scalar("select clock_timestamp()")
    second = grant(world, client, 4)
    sorry = adjust(world, client, 2, "sorry")["lot_id"]
    expire_lot(world.connection, first)
    call(world.connection, "expire_credits")
    call(world.connection, "cancel_session", session_id=kept)
    grace = world.scalar("select id from user_credits where grace_for_lot_id = %s", first)
    call(world.connection, "revoke_grant", lot_id=second, reason="chargeback")
    world.run("update user_credits set credits_balance = 10 where id = %s", sorry)

    lines = statement(world.connection, client, middle, LONG_FROM_NOW)

    told = ("kind", "amount", "balance", "lot_id", "session_id", "reason", "actor")
    assert [tuple(line[name] for name in told) for line in lines] == [
        ("opening", None, 2, None, None, None, None),
        ("grant", 4, 6, second, None, None, "owner"),
        ("adjustment", 2, 8, sorry, None, "sorry", "owner"),
        ("expiry", -2, 6, first, None, None, "owner"),
        ("refund", 1, 7, grace, kept, None, "owner"),
        ("revocation", -4, 3, second, None, "chargeback", "owner"),
        ("direct", 8, 11, sorry, None, None, "owner"),
        ("closing", None, 11, None, None, None, None),
    ]
    assert [(line["entry_id"], line["created_at"]) for line in lines[1:-1]] == world.run(
        "select id, created_at from bookingdb.ledger where user_id = %s and created_at >= %s order by id",
        *(client, middle),
    )
    assert (lines[0]["created_at"], lines[-1]["created_at"]) == (middle, LONG_FROM_NOW)
    assert world.balance(client) == 11
    # A period before or after all of it closes as it opens.
    for start, end, balance in ((LONG_AGO, LONG_AGO + DAY, 0), (LONG_FROM_NOW - DAY, LONG_FROM_NOW, 11)):
        assert [(line["kind"], line["balance"]) for line in statement(world.connection, client, start, end)] == [
            ("opening", balance), ("closing", balance),
        ]  # fmt: skip
    require_sound(world)


def test_a_statement_counts_more_than_an_integer_holds(world: World) -> None:
    client = world.client(credits=1)
    for _ in range(2):
        world.run("insert into user_credits (user_id, credits_balance) values (%s, %s)", client, MOST)
    balances = [line["balance"] for line in statement(world.connection, client)]
    assert balances == [0, 1, MOST + 1, 2 * MOST + 1, 2 * MOST + 1]


@pytest.mark.parametrize("expired", [False, True])
def test_credit_of_a_lot_that_changed_hands_goes_to_its_payer(world: World, expired: bool) -> None:
    client, other, therapist = world.client(credits=2), world.client(), world.therapist()
    lot = world.scalar("select id from user_credits")
    session = world.book(client, therapist)["id"]
    world.run("update user_credits set user_id = %s where user_id = %s", other, client)
    if expired:
        expire_lot(world.connection, lot)

    assert cancel(world, session)
    assert (world.balance(client), world.balance(other)) == (1, 0 if expired else 1)
    require_sound(world)

    call(world.connection, "revoke_grant", lot_id=lot)
    assert (world.balance(client), world.balance(other)) == (0, 0)
    require_sound(world)


def test_revoked_lot_that_changed_hands_gets_nothing_back(world: World) -> None:
    client, other = world.client(credits=2), world.client()
    session = world.book(client, world.therapist())["id"]
    world.run("update user_credits set user_id = %s where user_id = %s", other, client)
    call(world.connection, "revoke_grant", lot_id=world.scalar("select id from user_credits"))

    assert not cancel(world, session)
    assert (world.balance(client), world.balance(other)) == (0, 0)
    require_sound(world)


def test_chargeback_reaches_past_a_deleted_grace_lot(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    lot = world.scalar("select id from user_credits")
    first = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot)
    cancel(world, first)
    second = world.book(client, therapist)["id"]
    world.run("delete from user_credits where id <> %s", lot)
    cancel(world, second)
    assert world.balance(client) == 1

    revoked = call(world.connection, "revoke_grant", lot_id=lot)

    assert revoked["credits_balance"] == world.balance(client) == 0
    require_sound(world)
