"""A session that is charged several times, for credits of several lots, and gets them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import DAY, at, call, expire_lot, lots_of, request_session, require_sound

LATER_HOUR = at(10) + 10 * DAY


def take(world: World, client: UUID, session: UUID, part: int = 1) -> None:
    """Charge a session again, or for a further credit, as the owner can."""
    world.run("select bookingdb.take_credit(%s, %s, %s, false)", client, session, part)


def give_back(world: World, session: UUID) -> bool:
    """Return what the session's last charge took."""
    return bool(world.scalar("select bookingdb.return_credit(s) from sessions as s where s.id = %s", session))


def entries(world: World, session: UUID) -> list[Any]:
    return world.run(
        "select charge, part, kind, amount from bookingdb.ledger where session_id = %s order by id", session
    )


def grant(world: World, client: UUID, credits: int, **options: Any) -> UUID:
    lot: UUID = call(world.connection, "grant_credits", user_id=client, amount=credits, **options)["lot_id"]
    return lot


@contextmanager
def rewriting(world: World) -> Iterator[Any]:
    """Write behind the triggers, as a superuser can."""
    with world.connect(user=world.superuser) as superuser:
        superuser.execute("set session_replication_role = replica")
        yield superuser


def test_session_is_charged_again_after_its_return(world: World) -> None:
    client = world.client(credits=3)
    session = world.book(client, world.therapist())["id"]

    assert give_back(world, session)
    assert not give_back(world, session)
    take(world, client, session)
    assert entries(world, session) == [(1, 1, "debit", -1), (1, 1, "refund", 1), (2, 1, "debit", -1)]
    assert not call(world.connection, "confirm_session", session_id=session)["refunded"]

    assert call(world.connection, "cancel_session", session_id=session)["refunded"]
    assert entries(world, session)[3:] == [(2, 1, "refund", 1)]
    assert world.balance(client) == 3
    require_sound(world)


@pytest.mark.parametrize("lots", [1, 2], ids=["from the same lot", "from another lot"])
def test_unreturned_charge_refuses_a_second_one(world: World, lots: int) -> None:
    client = world.client()
    for _ in range(lots):
        grant(world, client, 2 // lots)
    session = world.book(client, world.therapist())["id"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        take(world, client, session)

    give_back(world, session)
    take(world, client, session)
    with pytest.raises(psycopg.errors.UniqueViolation):
        take(world, client, session)
    assert world.balance(client) == 1
    require_sound(world)


def test_second_charge_at_the_same_time_is_refused(world: World) -> None:
    """Even of callers who hold no lock, and from different lots."""
    client = world.client()
    first, _ = grant(world, client, 1, priority=1), grant(world, client, 1, priority=2)
    session = world.book(client, world.therapist())["id"]
    give_back(world, session)
    charge = "select bookingdb.take_credit(%s, %s, 1, false)"
    with holding(world) as earlier, session_of(world) as later:
        earlier.execute(charge, [client, session])
        world.run("update user_credits set priority = 3 where id <> %s", first)
        answer = waiting(world, lambda connection: connection.execute(charge, [client, session]), later)
        earlier.execute("commit")
        with pytest.raises(psycopg.errors.UniqueViolation):
            answer.result()
    assert world.balance(client) == 1
    require_sound(world)


def test_credits_of_two_lots_return_each_to_its_own(world: World) -> None:
    client = world.client()
    lots = [grant(world, client, 1, priority=1), grant(world, client, 2, priority=2)]
    session = world.book(client, world.therapist())["id"]
    take(world, client, session, 2)
    take(world, client, session, 3)
    world.run("update sessions set credits_charged = 3 where id = %s", session)
    require_sound(world)
    assert world.balance(client) == 0

    assert call(world.connection, "cancel_session", session_id=session)["refunded"]

    returned = "select lot_id, sum(amount) from bookingdb.ledger where kind = 'refund' group by lot_id"
    assert dict(world.run(returned)) == {lots[0]: 1, lots[1]: 2}
    assert world.balance(client) == 3
    require_sound(world)


def test_part_of_an_expired_lot_alone_returns_in_a_grace_lot(world: World) -> None:
    client = world.client()
    expired = grant(world, client, 1, priority=1, expires_at=LATER_HOUR)
    kept = grant(world, client, 1, priority=2)
    session = world.book(client, world.therapist())["id"]
    take(world, client, session, 2)
    world.run("update sessions set credits_charged = 2 where id = %s", session)
    expire_lot(world.connection, expired)

    call(world.connection, "cancel_session", session_id=session)

    assert {(balance, grace) for balance, _, grace in lots_of(world, client) if balance} == {(1, None), (1, expired)}
    assert world.scalar("select credits_balance from user_credits where id = %s", kept) == 1
    require_sound(world)


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_return_of_a_finished_session_is_goodwill(world: World, status: str) -> None:
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    world.run("update sessions set status = %s where id = %s", status, session)

    assert give_back(world, session)
    assert not give_back(world, session)

    assert entries(world, session) == [(1, 1, "debit", -1), (1, 1, "goodwill", 1)]
    assert call(world.connection, "revoke_grant", lot_id=lots_named(world, client)[0])["credits_spent"] == 0
    assert world.violations() == []


def lots_named(world: World, client: UUID) -> list[UUID]:
    return [lot for (lot,) in world.run("select id from user_credits where user_id = %s", client)]


def test_request_charged_again_is_approved_without_a_charge(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = request_session(world.connection, client, therapist, LATER_HOUR)
    for _ in range(2):
        take(world, client, session)
        give_back(world, session)
    take(world, client, session)

    call(world.connection, "approve_session", session_id=session)

    assert entries(world, session)[-1] == (3, 1, "debit", -1)
    assert world.scalar("select credits_charged from sessions where id = %s", session) == 1
    assert world.balance(client) == 1
    require_sound(world)


def test_series_answers_once_for_a_session_charged_twice(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    series = {
        "user_id": client, "therapist_id": therapist, "session_date": LATER_HOUR.date(), "session_time": "10:00",
        "occurrences": 2, "idempotency_key": "twice",
    }  # fmt: skip
    text = f"select id from book_series({', '.join(f'p_{name} => %({name})s' for name in series)})"
    booked = world.connection.execute(text.encode(), series).fetchall()
    give_back(world, booked[0][0])
    take(world, client, booked[0][0])

    assert world.connection.execute(text.encode(), series).fetchall() == booked
    require_sound(world)


DAMAGES = {
    "a second charge beside an unreturned one": (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor, charge)"
        " select user_id, lot_id, session_id, 'debit', -1, balance_after - 1, 'x', 2"
        " from bookingdb.ledger where kind = 'debit'",
        "charged again before the last charge was returned",
    ),
    "a part that was returned twice": (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " select user_id, lot_id, session_id, k, 1, balance_after + n, 'x'"
        " from bookingdb.ledger, unnest(array['refund', 'goodwill']) with ordinality as r (k, n) where kind = 'debit'",
        "part of a charge taken or returned more than once",
    ),
    "a return of another part": (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor, part)"
        " select user_id, lot_id, session_id, 'goodwill', 1, balance_after + 1, 'x', 2"
        " from bookingdb.ledger where kind = 'debit'",
        "goodwill without an earlier debit of the same lot",
    ),
    "more credits charged than were taken": (
        "update sessions set credits_charged = 2", "booked session without a debit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_charge_out_of_order_violates_the_fourth_invariant(world: World, damage: str) -> None:
    world.book(world.client(credits=5), world.therapist())
    statement, problem = DAMAGES[damage]
    with rewriting(world) as superuser:
        superuser.execute(statement.encode())
        superuser.execute(
            "update user_credits as c set credits_balance = (select l.balance_after from bookingdb.ledger as l"
            " where l.lot_id = c.id order by l.id desc limit 1)"
        )
    found = world.run("select invariant, problem from bookingdb.check_invariants()")
    assert (4, problem) in found
