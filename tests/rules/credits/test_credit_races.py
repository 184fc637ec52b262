"""Two at once, one order forced: credits that expire, are taken back or corrected meanwhile."""

from __future__ import annotations

import pytest

from tests.support import TOMORROW, Connection, World, book, run, wait_until_blocked
from tests.support.interleaving import holding, session_of, started, wait_until_asleep, waiting
from tests.support.life import (
    DAY,
    call,
    expire_lot,
    request_session,
    require_sound,
)
from tests.support.races import (
    AT_TEN,
    ENDINGS,
    PICKING,
    RUNS_OUT,
    booking,
    calling,
    expiring_at_once,
    race,
    slow_pick,
    unhindered,
    writing,
)
from tests.support.refusals import outcome

# ----------------------------------------------------------------------------------------------------------------------
# Cancelling
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_cancelling_during_a_revocation_returns_nothing(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=2)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    revoke, cancel = calling("revoke_grant", lot_id=lot_id), calling("cancel_session", session_id=session_id)

    assert race(world, revoke, cancel, ending) == ("done", "done")

    assert world.balance(client) == (0 if ending == "commit" else 2)
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_revocation_takes_what_a_cancellation_returned(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=2)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    revoke, cancel = calling("revoke_grant", lot_id=lot_id), calling("cancel_session", session_id=session_id)

    assert race(world, cancel, revoke, ending) == ("done", "done")

    assert world.balance(client) == 0
    answer = call(world.connection, "revoke_grant", lot_id=lot_id)
    spent = 0 if ending == "commit" else 1
    assert (answer["credits_revoked"], answer["credits_spent"]) == (2 - spent, spent)
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_revocation_takes_the_new_grace_lot(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=2)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot_id)
    call(world.connection, "expire_credits")
    revoke, cancel = calling("revoke_grant", lot_id=lot_id), calling("cancel_session", session_id=session_id)

    assert race(world, cancel, revoke, ending) == ("done", "done")

    assert world.balance(client) == 0
    answer = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert (answer["credits_revoked"], answer["credits_spent"]) == ((1, 0) if ending == "commit" else (0, 1))
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("first", "left"), [("expiry", 0), ("direct writer", 4)])
def test_revocation_that_waits_takes_what_is_left_then(world: World, first: str, left: int, ending: str) -> None:
    client = world.client()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    if first == "expiry":
        expire_lot(world.connection, lot_id)
    changes = {
        "expiry": calling("expire_credits"),
        "direct writer": writing("update user_credits set credits_balance = credits_balance + 1 where id = %s", lot_id),
    }

    assert race(world, changes[first], calling("revoke_grant", lot_id=lot_id), ending) == ("done", "done")

    answer = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert answer["credits_revoked"] == (left if ending == "commit" or first == "expiry" else 3)
    assert world.run("select credits_balance, status from user_credits") == [(0, "revoked")]
    require_sound(world)


@pytest.mark.parametrize("amount", [2, -2])
def test_an_adjustment_that_races_its_own_retry_adjusts_once(world: World, amount: int) -> None:
    client = world.client(credits=5)
    adjust = calling("adjust_credits", user_id=client, amount=amount, reason="a mistake", idempotency_key="key")
    with holding(world) as one, session_of(world) as other:
        first = adjust(one)
        answer = waiting(world, adjust, other)
        one.execute("commit")
        assert answer.result() == [{**first[0], "is_new": False}]
    assert world.balance(client) == 5 + amount
    assert world.scalar("select count(*) from bookingdb.outbox where event = 'credits.adjusted'") == 1
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_adjusting_a_lot_being_expired_says_so(world: World, ending: str) -> None:
    client = world.client(credits=5)
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=1)["lot_id"]

    def expire(connection: Connection) -> None:
        expire_lot(connection, lot_id)
        assert call(connection, "expire_credits") == {"lots": 1, "credits": 1}

    adjust = calling("adjust_credits", user_id=client, amount=1, reason="a mistake", lot_id=lot_id)
    assert race(world, expire, adjust, ending) == ("done", "invalid_parameter" if ending == "commit" else "done")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_adjustment_takes_what_a_cancellation_returned(world: World, ending: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    cancel = calling("cancel_session", session_id=session_id)
    adjust = calling("adjust_credits", user_id=client, amount=-1, reason="goodwill withdrawn")

    second = "done" if ending == "commit" else "insufficient_credits"
    assert race(world, cancel, adjust, ending) == ("done", second)

    assert world.balance(client) == 0
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_credit_of_a_lot_being_expired_gets_a_grace_lot(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot_id)
    expire, cancel = calling("expire_credits"), calling("cancel_session", session_id=session_id)

    assert race(world, expire, cancel, ending) == ("done", "done")

    ((grace, days),) = world.run(
        "select credits_balance, round(extract(epoch from expires_at - now()) / 86400) from user_credits"
        " where grace_for_lot_id = %s", lot_id,
    )  # fmt: skip
    assert (grace, days) == (1, 30)
    assert world.balance(client) == 1
    require_sound(world)


def test_lot_held_by_a_cancellation_is_expired_later(world: World) -> None:
    """Expiring waits for nobody, so that nobody waits for it crosswise; the other lots are done meanwhile."""
    clients, therapist = [world.client(), world.client()], world.therapist()
    lots = [call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"] for client in clients]
    session_id = world.book(clients[0], therapist)["id"]
    for lot_id in lots:
        expire_lot(world.connection, lot_id)
    with holding(world) as one:
        call(one, "cancel_session", session_id=session_id)

        assert expiring_at_once(world) == {"lots": 1, "credits": 3}
        one.execute("commit")
    assert call(world.connection, "expire_credits") == {"lots": 1, "credits": 2}
    assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}
    assert [world.balance(client) for client in clients] == [1, 0]
    require_sound(world)


@pytest.mark.parametrize("written", [True, False])
def test_lot_that_runs_out_while_waited_for_gets_nothing(world: World, written: bool) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=1)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    with holding(world) as writer, session_of(world) as connection:
        run(writer if written else world.connection, RUNS_OUT, lot_id)
        run(writer, "select id from user_credits where id = %s for update", lot_id)
        answer = waiting(world, calling("cancel_session", session_id=session_id), connection)
        writer.execute("select pg_sleep(1)")
        writer.execute("commit")
        assert answer.result()[0]["credits_balance"] == 1
    assert world.run("select grace_for_lot_id from user_credits where credits_balance > 0") == [(lot_id,)]
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Expiry
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_booking_takes_the_lot_after_one_being_expired(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    soon, later = (
        call(world.connection, "grant_credits", user_id=client, amount=1, expires_at=TOMORROW + DAY * days)["lot_id"]
        for days in (10, 20)
    )

    def expire(connection: Connection) -> None:
        # Both in one transaction: others see the lot alive until it ends.
        expire_lot(connection, soon)
        assert call(connection, "expire_credits") == {"lots": 1, "credits": 1}

    assert race(world, expire, booking(client, therapist), ending) == ("done", "done")

    taken = world.scalar("select lot_id from bookingdb.ledger where kind = 'debit'")
    assert taken == (later if ending == "commit" else soon)
    require_sound(world)


@pytest.mark.parametrize("function", PICKING)
def test_lot_expired_before_its_lock_is_not_spent(world: World, function: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    with slow_pick(world, function, therapist), session_of(world) as connection:
        answer = started(booking(client, therapist), connection)
        wait_until_asleep(world, connection)
        world.run("update user_credits set expires_at = clock_timestamp()")
        assert call(world.connection, "expire_credits") == {"lots": 1, "credits": 1}
        assert outcome(answer.result) == "insufficient_credits"
    assert world.count("sessions") == 0
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("function", PICKING)
def test_lot_locked_after_it_was_picked_is_waited_for(world: World, function: str, ending: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    with slow_pick(world, function, therapist), session_of(world) as connection, holding(world) as writer:
        answer = started(booking(client, therapist), connection)
        wait_until_asleep(world, connection)
        writer.execute("update user_credits set credits_balance = 2")
        wait_until_blocked(world.connection, connection.info.backend_pid)
        writer.execute(ending.encode())
        assert outcome(answer.result) == "done"
    assert world.balance(client) == (1 if ending == "commit" else 0)
    require_sound(world)


@pytest.mark.parametrize("by", ["booking", "approval", "adjustment"])
@pytest.mark.parametrize("written", [True, False])
def test_lot_that_runs_out_while_waited_for_is_left_alone(world: World, by: str, written: bool) -> None:
    """Whether whoever holds it writes that it does, or only looks at it while it does."""
    client, therapist = world.client(), world.therapist()
    soon, lasting = (
        call(world.connection, "grant_credits", user_id=client, amount=5, priority=priority)["lot_id"]
        for priority in (10, 20)
    )
    calls = {
        "booking": booking(client, therapist),
        "approval": calling("approve_session", session_id=request_session(world.connection, client, therapist, AT_TEN)),
        "adjustment": calling("adjust_credits", user_id=client, amount=-1, reason="a mistake"),
    }
    if by == "booking":
        world.run("delete from sessions")
    with holding(world) as writer, session_of(world) as connection:
        run(writer if written else world.connection, RUNS_OUT, soon)
        run(writer, "select id from user_credits where id = %s for update", soon)
        answer = waiting(world, calls[by], connection)
        writer.execute("select pg_sleep(1)")
        writer.execute("commit")
        assert outcome(answer.result) == "done"
    assert world.run("select lot_id, amount from bookingdb.ledger where kind <> 'grant'") == [(lasting, -1)]
    require_sound(world)


def test_adjustment_that_waits_leaves_a_lot_that_ran_out(world: World) -> None:
    client = world.client()
    soon, lasting = (
        call(world.connection, "grant_credits", user_id=client, amount=5, priority=priority)["lot_id"]
        for priority in (10, 20)
    )
    with holding(world) as holder, session_of(world) as connection:
        call(holder, "lock_for_booking", people=[client])
        run(world.connection, RUNS_OUT, soon)
        adjust = calling("adjust_credits", user_id=client, amount=-2, reason="a mistake")
        answer = waiting(world, adjust, connection)
        holder.execute("select pg_sleep(1)")
        holder.execute("commit")
        assert answer.result() == [{"lot_id": lasting, "lot_balance": 3, "credits_balance": 3, "is_new": True}]
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_rest_of_a_lot_that_ran_out_is_expired_later(world: World, ending: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    run(world.connection, RUNS_OUT, lot_id)
    with holding(world) as one:
        session_id = book(one, client, therapist)["id"]
        one.execute("select pg_sleep(1)")

        # Nobody waits for the other.
        assert expiring_at_once(world) == {"lots": 0, "credits": 0}
        assert world.balance(client) == 0
        one.execute(ending.encode())
    left = 2 if ending == "commit" else 3
    assert call(world.connection, "expire_credits") == {"lots": 1, "credits": left}
    if ending == "commit":
        assert call(world.connection, "cancel_session", session_id=session_id)["refunded"]
    assert world.balance(client) == 3 - left
    require_sound(world)


def test_two_that_expire_at_once_post_every_lot_once(world: World) -> None:
    client = world.client()
    for _ in range(3):
        expire_lot(world.connection, call(world.connection, "grant_credits", user_id=client, amount=2)["lot_id"])
    expire = calling("expire_credits")

    assert unhindered(world, expire, expire) == ("done", "done")

    assert world.scalar("select sum(amount) from bookingdb.ledger where kind = 'expiry'") == -6
    assert world.scalar("select sum(credits_expired) from user_credits") == 6
    require_sound(world)
