"""The trace of a refusal, as the client leaves it: on which connections, and never in the way of the error."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import time
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bookingdb import (
    BookingConflict,
    BookingError,
    Bookings,
    InsufficientCredits,
    InvalidDuration,
    InvalidParameter,
    InvalidTransition,
    NotAllowed,
    book_session,
    calls,
)
from tests.support import TOMORROW, World, connect, run
from tests.support.callers import logged_in
from tests.support.clients import CALLERS, OURS, opened, result_of
from tests.support.interleaving import holding


@pytest.fixture
def asking(clean_world: World) -> World:
    """A practice whose default policy asks for traces."""
    clean_world.run("select set_policy('{\"record_refusals\": true}')")
    return clean_world


@pytest.fixture
def slot(asking: World) -> dict[str, Any]:
    """A booking that is refused: the client has no credit."""
    return {
        "user_id": asking.client(),
        "therapist_id": asking.therapist("Europe/Berlin"),
        "session_date": TOMORROW,
        "session_time": dt.time(10),
    }


def traces(world: World, client: UUID) -> list[Any]:
    return Bookings(world.connection).list_refusals(client)


@pytest.mark.parametrize("kind", OURS)
async def test_refusal_leaves_a_trace_in_a_transaction_of_ours(asking: World, slot: dict[str, Any], kind: str) -> None:
    async with opened(asking, kind) as database:
        with pytest.raises(InsufficientCredits) as caught:
            await result_of(database.bookings.book_session(**slot))
        # The connection goes on as if nothing had been.
        assert await result_of(database.bookings.get_credit_balance(slot["user_id"])) == 0

    (trace,) = traces(asking, slot["user_id"])
    assert (trace.function_name, trace.code) == ("create_session_with_credit_deduction", "insufficient_credits")
    assert (trace.user_id, trace.therapist_id, trace.actor) == (slot["user_id"], slot["therapist_id"], "owner")
    assert trace.context == {
        "session_date": str(TOMORROW), "session_time": "10:00", "duration_minutes": 60, "credits_balance": 0,
    }  # fmt: skip
    error = caught.value
    assert (type(error), error.detail["credits_balance"]) == (InsufficientCredits, 0)
    assert isinstance(error.__cause__, psycopg.Error)
    assert asking.violations() == []


@pytest.mark.parametrize("kind", CALLERS)
async def test_callers_transaction_is_recorded_after_its_rollback(
    asking: World, slot: dict[str, Any], kind: str
) -> None:
    async with opened(asking, kind) as database:
        with pytest.raises(InsufficientCredits) as caught:
            await result_of(database.bookings.book_session(**slot))
        assert traces(asking, slot["user_id"]) == []
        await result_of(database.rollback())
        if kind.endswith("in a block"):
            # Its transaction was begun by hand, and so the next statement is one of ours.
            assert await result_of(database.bookings.record_refusal(caught.value))
        else:
            assert await result_of(database.bookings.record_refusal(caught.value))
            await result_of(database.commit())

    (trace,) = traces(asking, slot["user_id"])
    assert (trace.code, trace.therapist_id) == ("insufficient_credits", slot["therapist_id"])


def test_refusal_leaves_no_trace_where_no_policy_asks(clean_world: World) -> None:
    client, therapist = clean_world.client(), clean_world.therapist()
    with pytest.raises(InsufficientCredits):
        book_session(
            clean_world.url, user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
        )
    assert clean_world.count("bookingdb.refusals") == 0


def test_trace_has_the_rule_and_the_session(asking: World) -> None:
    client, therapist = asking.client(credits=2), asking.therapist()
    bookings = Bookings(asking.connection)
    session = bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00")
    with pytest.raises(InvalidTransition):
        bookings.complete_session(session.id)
    with pytest.raises(BookingConflict):
        bookings.hold_slot(user_id=asking.client(), therapist_id=therapist, session_date=TOMORROW, session_time="10:00")
    (trace,) = traces(asking, client)
    assert (trace.session_id, trace.context["asked"]) == (session.id, "completed")
    ((rule,),) = asking.run("select rule from bookingdb.refusals where code = 'booking_conflict'")
    assert rule == "session"


def test_call_that_succeeds_costs_no_further_statement(asking: World) -> None:
    """Nor does one that fails for another reason than a rule."""
    client, therapist = asking.client(credits=1), asking.therapist()
    with asking.connect() as connection:
        statements: list[str] = []
        spy(connection, statements)
        bookings = Bookings(connection)
        slot: dict[str, Any] = {"user_id": client, "therapist_id": therapist, "session_time": "10:00"}
        bookings.book_session(session_date=TOMORROW, **slot)
        assert len(statements) == 1
        with pytest.raises(InvalidDuration):
            bookings.book_session(session_date=TOMORROW, duration_minutes=5, **slot)
        assert len(statements) == 1
        with pytest.raises(BookingError):
            bookings.book_session(session_date=TOMORROW, **slot)
        assert len(statements) == 3


def spy(connection: Any, statements: list[str]) -> None:
    """Note every statement that is sent on a connection."""

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            statements.append(query)
            return super().execute(query, *arguments, **options)

    connection.cursor_factory = Cursor


def test_trace_that_fails_masks_no_error(asking: World, slot: dict[str, Any]) -> None:
    asking.run("alter table bookingdb.refusals add constraint never check (false) not valid")
    try:
        for db in (asking.url, asking.connection):
            with pytest.raises(InsufficientCredits) as caught:
                Bookings(db).book_session(**slot)
            assert caught.value.detail["credits_balance"] == 0
            assert getattr(caught.value.__cause__, "sqlstate", None) == "PT402"
        assert asking.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    finally:
        asking.run("alter table bookingdb.refusals drop constraint never")
    assert traces(asking, slot["user_id"]) == []


def test_trace_delays_the_error_for_a_moment_at_most(asking: World, slot: dict[str, Any]) -> None:
    with holding(asking) as other:
        run(other, "lock table bookingdb.refusals")
        begun = time.monotonic()
        with pytest.raises(InsufficientCredits):
            Bookings(asking.url).book_session(**slot)
        assert time.monotonic() - begun < 5
    assert traces(asking, slot["user_id"]) == []


def test_trace_says_what_was_asked_as_it_was_asked(asking: World) -> None:
    """DETAIL has the therapist's zone, and the session in the way, beside it."""
    client, therapist = asking.client(credits=2), asking.therapist("America/New_York")
    bookings = Bookings(asking.url)
    slot: dict[str, Any] = {
        "session_date": TOMORROW + dt.timedelta(1),
        "session_time": "23:00",
        "time_zone": "Asia/Tokyo",
    }
    first = bookings.book_session(user_id=client, therapist_id=therapist, **slot)
    with pytest.raises(BookingConflict):
        bookings.hold_slot(user_id=client, therapist_id=therapist, **slot)
    (trace,) = traces(asking, client)
    asked = {name: trace.context[name] for name in ("session_date", "session_time", "time_zone")}
    assert asked == {**slot, "session_date": slot["session_date"].isoformat()}
    assert trace.context["detail_time_zone"] == "America/New_York"

    other = bookings.book_session(
        user_id=client, therapist_id=asking.therapist(), session_date=TOMORROW, session_time="10:00"
    )
    with pytest.raises(BookingConflict):
        bookings.reschedule_session(other.id, **slot)
    trace = traces(asking, client)[0]
    assert (trace.session_id, trace.context["detail_session_id"]) == (other.id, str(first.id))


def test_strangers_leave_no_trace(supabase_world: World) -> None:
    supabase_world.run("select set_policy('{\"record_refusals\": true}')")
    ada, bob = supabase_world.client(credits=1), supabase_world.client()
    with logged_in(supabase_world, bob) as connection, pytest.raises(NotAllowed):
        Bookings(connection).get_credit_balance(ada)
    assert supabase_world.count("bookingdb.refusals") == 0


def test_error_remembers_no_text_of_its_call(asking: World, slot: dict[str, Any]) -> None:
    with pytest.raises(InsufficientCredits) as caught:
        Bookings(asking.url).book_session(**slot, title="a secret", notes="a secret", idempotency_key="a secret")
    assert "a secret" not in str(vars(caught.value))
    for error in (caught.value, copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert error.function_name == "create_session_with_credit_deduction"
        assert calls.record_refusal(error).parameters["p_user_id"] == str(slot["user_id"])


def test_error_that_came_from_no_call_needs_a_function(asking: World) -> None:
    client = asking.client()
    error = InsufficientCredits()
    with pytest.raises(InvalidParameter):
        calls.record_refusal(error)
    with connect(asking.url) as connection:
        assert Bookings(connection).record_refusal(error, user_id=client, function_name="hold_slot")
    assert [trace.function_name for trace in traces(asking, client)] == ["hold_slot"]
