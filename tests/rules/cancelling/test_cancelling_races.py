"""Two at once, one order forced: a session that is cancelled meanwhile."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    call,
    require_sound,
)
from tests.support.races import (
    ENDINGS,
    booking,
    calling,
    entries_of,
    race,
    unhindered,
)
from tests.support.refusals import outcome


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_cancellations_at_once_return_one_credit(world: World, ending: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    cancel = calling("cancel_session", session_id=session_id)

    second = "invalid_transition" if ending == "commit" else "done"
    assert race(world, cancel, cancel, ending) == ("done", second)

    assert entries_of(world, session_id) == ["debit", "refund"]
    assert world.balance(client) == 1
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", [True, False])
def test_first_of_two_cancellations_decides_the_refund(world: World, first: bool, ending: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    calls = [calling("cancel_session", session_id=session_id, refund=refund) for refund in (first, not first)]

    second = "invalid_transition" if ending == "commit" else "done"
    assert race(world, calls[0], calls[1], ending) == ("done", second)

    refunded = first if ending == "commit" else not first
    assert entries_of(world, session_id) == ["debit", "refund"][: 1 + refunded]
    assert world.balance(client) == int(refunded)
    # Nobody is told of what did not happen.
    told = "select count(*) from bookingdb.outbox where event = 'credits.refunded'"
    assert world.scalar(told) == int(refunded)
    require_sound(world)


@pytest.mark.parametrize(("key", "reason", "code"), [
    ("same", "ill", "done"), ("same", "other", "idempotency_key_reused"), ("another", "ill", "invalid_transition"),
])  # fmt: skip
def test_a_cancellation_that_races_its_own_retry_answers_alike(world: World, key: str, reason: str, code: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    session_id = world.book(client, therapist)["id"]
    with holding(world) as one, session_of(world) as other:
        first = call(one, "cancel_session", session_id=session_id, reason="ill", idempotency_key="same")
        retry = calling("cancel_session", session_id=session_id, reason=reason, idempotency_key=key)
        answer = waiting(world, retry, other)
        # What happens to the balance meanwhile is not in the answer.
        call(one, "grant_credits", user_id=client, amount=5)
        one.execute("commit")

        assert outcome(answer.result) == code
        if code == "done":
            assert answer.result() == [first]
    assert entries_of(world, session_id) == ["debit", "refund"]
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_slot_of_a_cancellation_is_free_after_its_commit(world: World, ending: str) -> None:
    clients, therapist = [world.client(credits=1), world.client(credits=1)], world.therapist()
    session_id = world.book(clients[0], therapist)["id"]
    cancel = calling("cancel_session", session_id=session_id)

    # It waits for nobody: until then the slot is taken.
    assert unhindered(world, cancel, booking(clients[1], therapist), ending) == ("done", "booking_conflict")
    assert outcome(partial(booking(clients[1], therapist), world.connection)) == (
        "done" if ending == "commit" else "booking_conflict"
    )
    require_sound(world)
