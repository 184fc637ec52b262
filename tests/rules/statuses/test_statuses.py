"""Which status leads to which."""

from __future__ import annotations

import datetime as dt
from functools import partial
from uuid import UUID

import pytest

from tests.support import World
from tests.support.callers import logged_in
from tests.support.databases import on_supabase
from tests.support.life import (
    LATER,
    at,
    begin,
    call,
    cancel,
    request_session,
    require_sound,
)
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import STATUSES

TRANSITIONS = {
    "approve_session": {"pending_approval": "scheduled"},
    "confirm_session": {"scheduled": "confirmed"},
    "start_session": {"scheduled": "in_progress", "confirmed": "in_progress"},
    "complete_session": dict.fromkeys(("scheduled", "confirmed", "in_progress"), "completed"),
    "mark_no_show": dict.fromkeys(("scheduled", "confirmed", "in_progress"), "no_show"),
    "cancel_session": dict.fromkeys(("pending_approval", "scheduled", "confirmed", "in_progress"), "cancelled"),
}


@pytest.mark.parametrize("function", TRANSITIONS)
def test_status_leads_where_the_table_says_and_nowhere_else(world: World, function: str) -> None:
    client, therapist = world.client(credits=20), world.therapist()
    for number, status in enumerate(STATUSES):
        session_id = world.book(client, therapist, f"{number:02}:00")["id"]
        if function in ("start_session", "complete_session", "mark_no_show"):
            begin(world.connection, session_id, 100 * number + 5)
        world.run("update sessions set status = %s where id = %s", status, session_id)
        after = TRANSITIONS[function].get(status)
        if after is None:
            with nothing_written(world), refused("invalid_transition") as refusal:
                call(world.connection, function, session_id=session_id)
            assert refusal.detail["status"] == status
        else:
            answer = call(world.connection, function, session_id=session_id)
            assert answer["status"] == after
            placed = world.scalar("select count(*) from bookingdb.calendar where id = %s", session_id)
            assert placed == int(after in ("scheduled", "confirmed", "in_progress"))
            # Only cancelling returns something; a client who does not come has paid.
            assert answer["refunded"] == (function == "cancel_session")
    require_sound(world)


@pytest.mark.parametrize("function", ["complete_session", "mark_no_show"])
def test_session_not_begun_is_neither_completed_nor_missed(world: World, function: str) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, function, session_id=session_id)


def test_a_session_starts_an_hour_early_at_most(world: World) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    begin(world.connection, session_id, -62)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "start_session", session_id=session_id)
    starts_at = world.scalar("select start_time from sessions").astimezone(dt.UTC)
    assert refusal.detail["start_time"] == f"{starts_at:%Y-%m-%dT%H:%M:%SZ}"

    begin(world.connection, session_id, -59)
    assert call(world.connection, "start_session", session_id=session_id)["status"] == "in_progress"
    # It has taken place when it has begun.
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "complete_session", session_id=session_id)
    require_sound(world)


def test_revived_session_is_paid_before_it_is_approved(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    booked, asked = world.book(client, therapist)["id"], request_session(world.connection, client, therapist, at(14))
    call(world.connection, "approve_session", session_id=asked)
    for session_id in (booked, asked):
        call(world.connection, "cancel_session", session_id=session_id)
        world.run("update sessions set status = 'pending_approval' where id = %s", session_id)
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, "approve_session", session_id=session_id)
        assert refusal.detail["reason"] == "refunded"
        # It can be declined; nothing comes back a second time.
        cancel(world, session_id)
        assert world.balance(client) == (1 if session_id == booked else 2)
    require_sound(world)


def test_a_session_that_comes_back_under_its_old_id_is_paid(world: World) -> None:
    """Deleted and written again by the application, with its debit in the ledger all the while."""
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    world.run("delete from sessions")
    world.run(
        "insert into sessions (id, user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, %s, 'pending_approval')",
        *(session_id, client, therapist, at(10), at(11)),
    )
    assert call(world.connection, "approve_session", session_id=session_id)["credits_balance"] == 1
    require_sound(world)


def test_approval_charges_once(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))
    approve = partial(call, world.connection, "approve_session", session_id=session_id)
    with nothing_written(world), refused("insufficient_credits"):
        approve()
    world.run("select * from grant_credits(%s, 2)", client)
    assert approve(idempotency_key="key")["credits_balance"] == 1
    assert approve(idempotency_key="key")["credits_balance"] == 1
    with refused("invalid_transition"):
        approve()
    assert world.balance(client) == 1

    begun = request_session(world.connection, client, therapist, at(14))
    begin(world.connection, begun)
    with nothing_written(world), refused("in_past"):
        call(world.connection, "approve_session", session_id=begun)
    require_sound(world)


def started(world: World, minutes: int) -> tuple[UUID, UUID, UUID]:
    """Return the client, the therapist and a session of theirs that was started: begun, or early."""
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    begin(world.connection, session_id, minutes)
    call(world.connection, "start_session", session_id=session_id)
    return client, therapist, session_id


def test_practice_cancels_a_started_session_with_its_refund(world: World) -> None:
    for refund, kept in ((True, 1), (False, 0), (None, 1)):
        client, therapist, session_id = started(world, 5)
        answer = call(world.connection, "cancel_session", session_id=session_id, refund=refund)
        assert (answer["status"], answer["refunded"]) == ("cancelled", bool(kept))
        assert world.balance(client) == kept
        assert world.scalar("select count(*) from bookingdb.calendar where therapist_id = %s", therapist) == 0
    require_sound(world)


def test_started_session_nobody_came_to_is_missed_and_paid(world: World) -> None:
    client, _, session_id = started(world, 5)
    assert call(world.connection, "mark_no_show", session_id=session_id)["status"] == "no_show"
    assert world.balance(client) == 0
    # One that was started early has not been missed yet.
    _, _, early = started(world, -30)
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "mark_no_show", session_id=early)
    require_sound(world)


@on_supabase
@pytest.mark.parametrize("minutes", [5, -30])
def test_client_neither_cancels_nor_misses_a_started_session(hosted_world: World, minutes: int) -> None:
    world = hosted_world
    client, therapist, session_id = started(world, minutes)
    with logged_in(world, client) as connection:
        with nothing_written(world), refused("invalid_transition"):
            call(connection, "cancel_session", session_id=session_id)
        with nothing_written(world), refused("not_allowed"):
            call(connection, "mark_no_show", session_id=session_id)
    with logged_in(world, therapist) as connection:
        assert call(connection, "cancel_session", session_id=session_id)["refunded"]
    require_sound(world)


def test_hint_fits_what_stands_in_the_way(world: World) -> None:
    """The status is looked at only where the status is the reason."""
    session = world.book(world.client(credits=1), world.therapist())["id"]
    for function in ("start_session", "complete_session"):
        with refused("invalid_transition") as refusal:
            call(world.connection, function, session_id=session)
        assert refusal.hint == "It is too early: wait for its start."
    with refused("invalid_transition") as refusal:
        call(world.connection, "refund_session", session_id=session, reason="ill")
    assert "cancel this one with a refund" in refusal.hint
    begin(world.connection, session)
    with refused("invalid_transition") as refusal:
        call(world.connection, "reschedule_session", session_id=session, session_date=LATER, session_time="15:00")
    assert refusal.hint == "It has begun: the practice can still cancel it."
    call(world.connection, "complete_session", session_id=session)
    with refused("invalid_transition") as refusal:
        call(world.connection, "mark_no_show", session_id=session)
    assert refusal.hint == "Look at the session's status first."
    call(world.connection, "refund_session", session_id=session, reason="ill")
    with refused("invalid_transition") as refusal:
        call(world.connection, "refund_session", session_id=session, reason="ill")
    assert refusal.hint == "Its credit was given back before, and is given back once."
