"""Until when a cancellation is free, what comes back, and where."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, book, run
from tests.support.callers import logged_in
from tests.support.connections import SETTINGS
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import next_clock_change, session_of
from tests.support.life import (
    DAY,
    HOUR,
    LATER,
    at,
    begin,
    call,
    cancel,
    close_window,
    expire_lot,
    lots_of,
    request_session,
    require_sound,
)
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import asked_for, writing

# ----------------------------------------------------------------------------------------------------------------------
# Until when a cancellation is free
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def paid(hosted_world: World) -> dict[str, Any]:
    """A session that a client paid with a credit that never expires."""
    client, therapist = hosted_world.client(), hosted_world.therapist()
    lot_id = call(hosted_world.connection, "grant_credits", user_id=client, amount=1)["lot_id"]
    session_id = hosted_world.book(client, therapist, session_date=LATER)["id"]
    return {"client": client, "therapist": therapist, "lot": lot_id, "session": session_id}


@on_todays_supabase
@pytest.mark.parametrize(("who", "late", "returned"), [
    ("client", False, 1), ("client", True, 0), ("therapist", False, 1), ("therapist", True, 1),
])  # fmt: skip
def test_late_cancellation_costs_the_client_the_credit(
    hosted_world: World, paid: dict[str, Any], who: str, late: bool, returned: int
) -> None:
    if late:
        close_window(hosted_world.connection, paid["session"])
    with logged_in(hosted_world, paid[who]) as connection:
        answer = call(connection, "cancel_session", session_id=paid["session"])

    assert (answer["status"], answer["refunded"]) == ("cancelled", bool(returned))
    # To the very lot it came from.
    lots = "select id, credits_balance, credits_used from user_credits where user_id = %s"
    assert hosted_world.run(lots, paid["client"]) == [(paid["lot"], returned, 1 - returned)]
    require_sound(hosted_world)


@on_todays_supabase
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("refund", [None, True, False])
def test_trusted_caller_returns_the_credit_by_default(
    hosted_world: World, paid: dict[str, Any], refund: bool | None, late: bool
) -> None:
    if late:
        close_window(hosted_world.connection, paid["session"])
    answer = call(hosted_world.connection, "cancel_session", session_id=paid["session"], refund=refund)

    assert answer["credits_balance"] == (0 if refund is False else 1)
    require_sound(hosted_world)


@on_todays_supabase
def test_window_stays_when_the_policy_changes(hosted_world: World, paid: dict[str, Any]) -> None:
    """A client who booked when a day was enough still cancels a day before, however long the window is now."""
    long_window = Jsonb({"cancellation_window": "300 days"})
    call(hosted_world.connection, "set_policy", settings=long_window, therapist_id=paid["therapist"])
    hosted_world.run("select * from grant_credits(%s, 1)", paid["client"])
    newer = hosted_world.book(paid["client"], paid["therapist"], "15:00", session_date=LATER)["id"]
    with logged_in(hosted_world, paid["client"]) as connection:
        assert call(connection, "cancel_session", session_id=paid["session"])["refunded"]
        assert not call(connection, "cancel_session", session_id=newer)["refunded"]
    require_sound(hosted_world)


@on_todays_supabase
def test_moving_a_session_does_not_reopen_its_window(hosted_world: World, paid: dict[str, Any]) -> None:
    close_window(hosted_world.connection, paid["session"])
    with logged_in(hosted_world, paid["client"]) as connection:
        move = partial(call, connection, "reschedule_session", session_id=paid["session"], session_time="10:00")
        closed = move(session_date=LATER + 30 * DAY)["free_cancellation_until"]
        assert closed < dt.datetime.now(dt.UTC)
        assert not call(connection, "cancel_session", session_id=paid["session"])["refunded"]
    require_sound(hosted_world)


@on_todays_supabase
@pytest.mark.parametrize("who", ["client", "therapist"])
def test_a_window_moves_along_with_the_session(hosted_world: World, paid: dict[str, Any], who: str) -> None:
    with logged_in(hosted_world, paid[who]) as connection:
        answer = call(
            connection, "reschedule_session",
            session_id=paid["session"], session_date=LATER + 3 * DAY, session_time="16:00",
        )  # fmt: skip

    assert answer["free_cancellation_until"] == at(16, LATER + 2 * DAY)
    require_sound(hosted_world)


@on_todays_supabase
def test_a_session_that_has_begun_is_only_the_clients_no_longer(hosted_world: World, paid: dict[str, Any]) -> None:
    begin(hosted_world.connection, paid["session"])
    session = {"session_id": paid["session"]}
    later = {**session, "session_date": LATER, "session_time": "16:00"}
    for who, function, parameters in (
        ("client", "cancel_session", session), ("client", "reschedule_session", later),
        ("therapist", "reschedule_session", later),
    ):  # fmt: skip
        refusal = refused("invalid_transition")
        with logged_in(hosted_world, paid[who]) as connection, nothing_written(hosted_world), refusal:
            call(connection, function, **parameters)
    with logged_in(hosted_world, paid["therapist"]) as connection:
        assert call(connection, "cancel_session", session_id=paid["session"])["refunded"]
    require_sound(hosted_world)


def test_the_free_hours_are_hours_also_across_a_clock_change(world: World) -> None:
    """24 hours before 12:00 on the day on which the clocks jumped is 11:00 the day before."""
    zone = "Europe/Berlin"
    change = next_clock_change(zone, forward=True)
    therapist, client = world.therapist(zone), world.client(credits=4)
    for number, (connections_zone, _, style) in enumerate(SETTINGS[:4]):
        with session_of(world) as connection:
            connection.execute("select set_config('timezone', %s, false)", [connections_zone])
            connection.execute("select set_config('intervalstyle', %s, false)", [style])
            session_id = book(
                connection, client, therapist, f"{10 + 2 * number}:00", session_date=change.date()
            )["id"]  # fmt: skip
            free_until, start = run(
                connection, "select free_cancellation_until, start_time from sessions where id = %s", session_id
            )[0]
            assert start - free_until == 24 * HOUR
            assert free_until.astimezone(ZoneInfo(zone)).hour == 9 + 2 * number


# ----------------------------------------------------------------------------------------------------------------------
# What comes back, and where
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("posted", [True, False])
def test_credit_of_an_expired_lot_comes_back_in_a_grace_lot(world: World, posted: bool) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(
        world.connection, "grant_credits", user_id=client, amount=3, category="promotional", priority=7
    )["lot_id"]  # fmt: skip
    session_id = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot_id)
    if posted:
        assert call(world.connection, "expire_credits") == {"lots": 1, "credits": 2}
    call(world.connection, "set_policy", settings=Jsonb({"refund_grace": "12 days"}), therapist_id=therapist)

    assert cancel(world, session_id)

    ((days, category, priority),) = world.run(
        "select extract(epoch from expires_at - now()) / 86400, category, priority from user_credits"
        " where grace_for_lot_id = %s", lot_id,
    )  # fmt: skip
    assert 11.9 < days <= 12
    assert (category, priority) == ("promotional", 7)
    assert world.balance(client) == 1
    # Which is a credit like any other.
    again = world.book(client, therapist)["id"]
    assert world.balance(client) == 0
    assert cancel(world, again)
    assert world.balance(client) == 1
    require_sound(world)


@pytest.mark.parametrize("expired", [False, True])
def test_credit_of_a_revoked_payment_does_not_come_back(world: World, expired: bool) -> None:
    """Neither in the lot nor in another one, also when the lot would have expired by now."""
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    revoked = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert (revoked["credits_revoked"], revoked["credits_spent"], revoked["credits_balance"]) == (2, 1, 0)
    if expired:
        expire_lot(world.connection, lot_id)

    cancel(world, session_id)

    assert lots_of(world, client) == [(0, "revoked", None)]
    revoked = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert (revoked["credits_revoked"], revoked["credits_spent"]) == (3, 0)
    require_sound(world)


def test_revived_session_is_paid_once_and_refunded_once(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    for _ in range(3):
        cancel(world, session_id)
        assert world.balance(client) == 2
        world.run("update sessions set status = 'scheduled' where id = %s", session_id)
        assert [(row[0], row[1]) for row in world.violations()] == [(8, session_id)]
    world.run("update sessions set status = 'pending_approval' where id = %s", session_id)
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "approve_session", session_id=session_id)
    require_sound(world)


def test_a_session_that_was_never_paid_returns_nothing(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))

    assert not cancel(world, session_id)
    assert lots_of(world, client) == []
    require_sound(world)


@pytest.mark.parametrize("missing", ["user_id", "therapist_id"])
def test_session_of_one_person_is_cancelled_and_moved(world: World, missing: str) -> None:
    """Direct writers make such sessions."""
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))
    world.run(f"update sessions set {missing} = null")
    with refused("user_not_found" if missing == "user_id" else "therapist_not_found"):
        call(world.connection, "reschedule_session", session_id=session_id, session_date=TOMORROW, session_time="12:00")
    for _ in range(2):
        answer = call(world.connection, "cancel_session", session_id=session_id, idempotency_key="key")
        assert (answer["status"], answer["credits_balance"]) == ("cancelled", 0)
    require_sound(world)


def test_session_of_a_client_who_is_gone_returns_nothing(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    world.run("update sessions set user_id = null")
    world.run("delete from user_credits")
    world.run("delete from users where id = %s", client)

    assert not cancel(world, session_id)
    assert world.scalar("select status from sessions") == "cancelled"
    require_sound(world)


def test_inactive_client_still_gets_credits_back(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    world.run("update users set is_active = false")

    assert cancel(world, session_id)
    assert world.balance(client) == 1
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# What holds whatever a function does
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["debit", "refund"])
def test_session_has_one_debit_and_one_refund(world: World, kind: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    cancel(world, world.book(client, therapist)["id"])
    again = (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " select user_id, lot_id, session_id, kind, amount, balance_after, actor from bookingdb.ledger where kind = %s"
    )
    with nothing_written(world), pytest.raises(psycopg.errors.UniqueViolation):
        world.run(again, kind)


# ----------------------------------------------------------------------------------------------------------------------
# What a cancellation writes, and when it is refused
# ----------------------------------------------------------------------------------------------------------------------


def test_a_cancellation_writes_status_reason_and_refund(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    with writing(world, session) as written:
        call(world.connection, "cancel_session", session_id=session, reason="I am ill")
    assert written.columns == {"status", "cancellation_reason"}
    kept = world.scalar("select id from bookingdb.texts where text = 'I am ill'")
    changes = {"status": {"old": "scheduled", "new": "cancelled"}, "cancellation_reason": {"new_text_id": kept}}
    assert written.audit == [("status_changed", "scheduled", "cancelled", changes, "owner", True)]
    assert written.entries == [("refund", 1, 2, None)]
    told = dict(written.events)
    assert set(told) == {"session.status_changed", "credits.refunded"}
    assert (told["session.status_changed"]["old_status"], told["session.status_changed"]["new_status"]) == (
        "scheduled", "cancelled",
    )  # fmt: skip
    lot = world.scalar("select lot_id from bookingdb.ledger where kind = 'refund'")
    assert told["credits.refunded"] == {
        "lot_id": str(lot), "user_id": str(client), "amount": 1, "session_id": str(session),
    }  # fmt: skip
    # The events do not tell the reason; the time is free at once.
    assert "ill" not in str(written.events)
    assert world.book(world.client(credits=1), therapist)["status"] == "scheduled"
    require_sound(world)


@on_todays_supabase
def test_a_late_cancellation_frees_the_time_and_books_nothing(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist, session_date=LATER)["id"]
    close_window(world.connection, session)
    with writing(world, session) as written, logged_in(world, client) as connection:
        assert call(connection, "cancel_session", session_id=session)["credits_balance"] == 0
    assert written.entries == []
    assert world.count("bookingdb.calendar") == 0


@on_todays_supabase
def test_a_refund_names_who_cancelled(hosted_world: World) -> None:
    world = hosted_world
    therapist = world.therapist()
    session = world.book(world.client(credits=1), therapist)["id"]
    with logged_in(world, therapist) as connection:
        call(connection, "cancel_session", session_id=session)
    assert world.run("select actor from bookingdb.ledger where kind = 'refund'") == [(str(therapist),)]


@on_todays_supabase
def test_without_terms_of_its_own_todays_policy_decides(hosted_world: World) -> None:
    """A session from before there were cancellation terms."""
    world = hosted_world
    client, therapist = world.client(credits=3), world.therapist()
    early, late, own = (world.book(client, therapist, time)["id"] for time in ("08:00", "10:00", "12:00"))
    world.run("update sessions set free_cancellation_until = null")
    for session, minutes in ((late, -120), (own, -240)):
        begin(world.connection, session, minutes)
        world.run("update sessions set free_cancellation_until = null where id = %s", session)
    with logged_in(world, client) as connection:
        assert call(connection, "cancel_session", session_id=early)["refunded"]
        assert not call(connection, "cancel_session", session_id=late)["refunded"]
        settings = Jsonb({"cancellation_window": "1 hour"})
        call(world.connection, "set_policy", settings=settings, therapist_id=therapist)
        assert call(connection, "cancel_session", session_id=own)["refunded"]
    require_sound(world)


def test_a_refused_cancellation_says_from_what_to_what(clean_world: World) -> None:
    """Also when it is asked for to give the credit back."""
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist())["id"]
    call(world.connection, "cancel_session", session_id=session, refund=False)
    for refund in (None, True):
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, "cancel_session", session_id=session, refund=refund, idempotency_key="key")
        assert refusal.detail == {
            "code": "invalid_transition", "session_id": str(session), "status": "cancelled", "asked": "cancelled",
        }  # fmt: skip


@on_todays_supabase
def test_a_client_is_told_why_a_begun_session_stays(hosted_world: World) -> None:
    world = hosted_world
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    begin(world.connection, session)
    with logged_in(world, client) as connection, refused("invalid_transition") as refusal:
        call(connection, "cancel_session", session_id=session)
    del refusal.detail["start_time"]
    assert refusal.detail == {
        "code": "invalid_transition", "session_id": str(session), "status": "scheduled", "asked": "cancelled",
    }  # fmt: skip


@pytest.mark.parametrize("status", ["scheduled", "confirmed"])
def test_a_session_written_without_a_debit_returns_nothing(clean_world: World, status: str) -> None:
    world = clean_world
    session = asked_for(world, world.client(), world.therapist())
    world.run("update sessions set status = %s where id = %s", status, session)
    with writing(world, session) as written:
        assert not call(world.connection, "cancel_session", session_id=session)["refunded"]
    assert written.entries == []
    require_sound(world)
