"""A cancellation, a no-show or a completion that was a mistake is undone: status, time and credit, by whom."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from bookingdb.checks import verify
from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.databases import on_supabase
from tests.support.life import at, begin, call, close_window, expire_lot, request_session, require_sound
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import session_row, writing


def booked(world: World, credits: int = 1, time: str = "10:00") -> tuple[UUID, UUID, UUID]:
    client, therapist = world.client(credits=credits), world.therapist()
    return client, therapist, world.book(client, therapist, time)["id"]


def reopen(world: World, session_id: UUID, **given: Any) -> dict[str, Any]:
    return call(world.connection, "reopen_session", session_id=session_id, **given)


def cancel(world: World, session_id: UUID, **given: Any) -> None:
    call(world.connection, "cancel_session", session_id=session_id, **given)


def in_calendar(world: World, session_id: UUID) -> bool:
    return bool(world.scalar("select count(*) from bookingdb.calendar where id = %s and kind = 'session'", session_id))


# ----------------------------------------------------------------------------------------------------------------------
# Status, time and credit
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["scheduled", "confirmed"])
def test_reopened_session_is_what_it_was_and_paid_again(world: World, status: str) -> None:
    client, therapist, session_id = booked(world)
    if status == "confirmed":
        call(world.connection, "confirm_session", session_id=session_id)
    before = session_row(world, session_id)
    cancel(world, session_id, reason="the wrong one")
    assert world.balance(client) == 1
    with writing(world, session_id) as written:
        answer = reopen(world, session_id, reason="it was Bob who called")
    assert (answer["status"], answer["refunded"], answer["credits_balance"]) == (status, False, 0)
    written_now = {"updated_at": None, "change_reason": None, "revision": None}
    assert {**session_row(world, session_id), **written_now} == {**before, **written_now}
    assert [(kind, amount) for kind, amount, _, _ in written.entries] == [("debit", -1)]
    (audit,) = written.audit
    assert audit[:3] == ("status_changed", "cancelled", status)
    # Words stay where they can be erased.
    assert audit[3]["change_reason"] == {}
    assert session_row(world, session_id)["change_reason"] == "it was Bob who called"
    assert [event for event, _ in written.events] == ["session.status_changed"]
    assert in_calendar(world, session_id)
    with refused("booking_conflict"):
        world.book(world.client(credits=1), therapist, "10:00")
    require_sound(world)


def test_kept_credit_is_not_taken_again(world: World) -> None:
    client, _, session_id = booked(world, credits=2)
    cancel(world, session_id, refund=False)
    with writing(world, session_id) as written:
        assert not reopen(world, session_id)["refunded"]
    assert written.entries == []
    assert world.balance(client) == 1
    require_sound(world)


def test_reopening_without_a_credit_is_refused(world: World) -> None:
    client, therapist, session_id = booked(world)
    cancel(world, session_id)
    world.book(client, therapist, "14:00")
    with nothing_written(world), refused("insufficient_credits"):
        reopen(world, session_id)
    require_sound(world)


def test_credit_of_a_grace_lot_is_taken_again(world: World) -> None:
    client, _, session_id = booked(world)
    expire_lot(world.connection, world.scalar("select id from user_credits"))
    cancel(world, session_id)
    assert world.balance(client) == 1
    assert reopen(world, session_id)["credits_balance"] == 0
    require_sound(world)


def test_reason_of_a_cancellation_is_in_the_log_once(world: World) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    call(world.connection, "cancel_session", session_id=session_id, reason="a word of Ada's")
    call(world.connection, "reopen_session", session_id=session_id)
    world.run("update sessions set status = 'cancelled', cancellation_reason = 'a word of Ada''s'")
    world.run("update sessions set cancellation_reason = 'else'")
    said = (
        "select bookingdb.resolved_changes(changes) -> 'cancellation_reason' from booking_audit_log"
        " where changes ? 'cancellation_reason'"
    )
    once = {"old": None, "new": "a word of Ada's"}
    assert [reason for (reason,) in world.run(said + " order by entry")] == [once, {}, once, {}]
    require_sound(world)


def test_session_is_cancelled_and_reopened_as_often_as_one_errs(world: World) -> None:
    client, _, session_id = booked(world)
    for _ in range(3):
        cancel(world, session_id)
        assert world.balance(client) == 1
        reopen(world, session_id)
        assert world.balance(client) == 0
    require_sound(world)


def test_cancellation_terms_stay_as_they_were_agreed(world: World) -> None:
    _client, _, session_id = booked(world)
    close_window(world.connection, session_id)
    until = session_row(world, session_id)["free_cancellation_until"]
    cancel(world, session_id, refund=True)
    reopen(world, session_id)
    assert session_row(world, session_id)["free_cancellation_until"] == until
    require_sound(world)


def test_declined_request_waits_for_approval_again(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))
    cancel(world, session_id)
    answer = reopen(world, session_id)
    assert (answer["status"], answer["credits_balance"]) == ("pending_approval", 1)
    assert call(world.connection, "approve_session", session_id=session_id)["credits_balance"] == 0
    # One whose time has come can be approved no more.
    late = request_session(world.connection, client, therapist, at(14))
    begin(world.connection, late)
    cancel(world, late)
    with nothing_written(world), refused("invalid_transition") as refusal:
        reopen(world, late)
    assert refusal.detail["asked"] == "pending_approval"
    require_sound(world)


@pytest.mark.parametrize("ending", ["complete_session", "mark_no_show"])
@pytest.mark.parametrize("before", ["scheduled", "confirmed", "in_progress"])
@pytest.mark.parametrize("minutes", [5, 300])
def test_missed_or_completed_session_goes_back_to_before(world: World, ending: str, before: str, minutes: int) -> None:
    client, _, session_id = booked(world)
    if before == "confirmed":
        call(world.connection, "confirm_session", session_id=session_id)
    begin(world.connection, session_id, minutes)
    if before == "in_progress":
        call(world.connection, "start_session", session_id=session_id)
    call(world.connection, ending, session_id=session_id)
    assert reopen(world, session_id)["status"] == before
    assert world.balance(client) == 0
    # What is over needs no time, what goes on has it again.
    assert in_calendar(world, session_id) == (minutes == 5)
    assert call(world.connection, "complete_session", session_id=session_id)["status"] == "completed"
    require_sound(world)


def test_session_cancelled_after_its_end_is_completed(world: World) -> None:
    _client, _, session_id = booked(world)
    begin(world.connection, session_id, 3000)
    cancel(world, session_id)
    assert reopen(world, session_id)["status"] == "scheduled"
    assert call(world.connection, "complete_session", session_id=session_id)["credits_balance"] == 0
    require_sound(world)


def test_session_moved_away_since_it_began_is_scheduled(world: World) -> None:
    _, _, session_id = booked(world)
    begin(world.connection, session_id)
    call(world.connection, "start_session", session_id=session_id)
    call(world.connection, "mark_no_show", session_id=session_id)
    world.run("update sessions set start_time = %s, end_time = %s where id = %s", at(10), at(11), session_id)
    assert reopen(world, session_id)["status"] == "scheduled"
    require_sound(world)


def test_goodwill_that_came_back_is_taken_again(world: World) -> None:
    client, _, session_id = booked(world)
    begin(world.connection, session_id)
    call(world.connection, "complete_session", session_id=session_id)
    world.run("select bookingdb.return_credit(s) from sessions as s where id = %s", session_id)
    assert world.balance(client) == 1
    answer = reopen(world, session_id)
    assert (answer["status"], answer["credits_balance"], answer["refunded"]) == ("scheduled", 0, False)
    assert world.violations() == []


@pytest.mark.parametrize("status", ["pending_approval", "scheduled", "confirmed", "in_progress"])
def test_session_that_takes_place_cannot_be_reopened(world: World, status: str) -> None:
    _, _, session_id = booked(world)
    world.run("update sessions set status = %s", status)
    with nothing_written(world), refused("invalid_transition"):
        reopen(world, session_id)


# ----------------------------------------------------------------------------------------------------------------------
# Its time must be free
# ----------------------------------------------------------------------------------------------------------------------


def taken_by_a_session(world: World, client: UUID, therapist: UUID) -> str:
    world.book(world.client(credits=1), therapist, "10:30")
    return "booking_conflict"


def taken_by_a_hold(world: World, client: UUID, therapist: UUID) -> str:
    call(
        world.connection, "hold_slot", user_id=world.client(), therapist_id=therapist, session_date=TOMORROW,
        session_time="10:00",
    )  # fmt: skip
    return "booking_conflict"


def taken_by_time_off(world: World, client: UUID, therapist: UUID) -> str:
    call(world.connection, "add_time_off", therapist_id=therapist, start=at(9), end=at(12))
    return "booking_conflict"


def taken_by_a_buffer(world: World, client: UUID, therapist: UUID) -> str:
    call(world.connection, "set_policy", settings=Jsonb({"buffer_before_minutes": 30}), therapist_id=therapist)
    world.book(world.client(credits=1), therapist, "09:00")
    return "booking_conflict"


def taken_by_the_client(world: World, client: UUID, therapist: UUID) -> str:
    world.book(client, world.therapist(), "10:30")
    return "client_conflict"


@pytest.mark.parametrize(
    "taken", [taken_by_a_session, taken_by_a_hold, taken_by_time_off, taken_by_a_buffer, taken_by_the_client]
)
def test_time_that_was_taken_meanwhile_is_not_taken_back(world: World, taken: Any) -> None:
    client, therapist, session_id = booked(world, credits=2)
    cancel(world, session_id)
    code = taken(world, client, therapist)
    with nothing_written(world), refused(code):
        reopen(world, session_id)
    require_sound(world)


def test_hours_notice_and_limits_are_not_asked_again(world: World) -> None:
    client, therapist, session_id = booked(world, credits=2)
    cancel(world, session_id)
    world.book(client, therapist, "18:00")
    settings = {"minimum_notice": "30 days", "maximum_sessions_per_day": 1, "require_hours": True}
    call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)
    assert reopen(world, session_id)["status"] == "scheduled"
    require_sound(world)


@pytest.mark.parametrize(("completed", "who"), [(True, "therapist"), (True, "client"), (False, "therapist")])
def test_past_that_was_spent_otherwise_is_not_reopened(world: World, completed: bool, who: str) -> None:
    """The calendar has no row any more of what was completed."""
    client, therapist, session_id = booked(world, credits=2)
    begin(world.connection, session_id, 300)
    call(world.connection, "mark_no_show", session_id=session_id)
    other = world.book(
        client if who == "client" else world.client(credits=1), therapist if who == "therapist" else world.therapist()
    )["id"]
    begin(world.connection, other, 290)
    if completed:
        call(world.connection, "complete_session", session_id=other)
    with nothing_written(world), refused("client_conflict" if who == "client" else "booking_conflict"):
        reopen(world, session_id)
    # What was missed as well took nobody's time.
    world.run("update sessions set status = 'no_show' where id = %s", other)
    reopen(world, session_id)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Who may, and direct writers
# ----------------------------------------------------------------------------------------------------------------------


@on_supabase
def test_therapist_reopens_what_takes_no_credit(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=3), world.therapist()
    missed, cancelled, kept = (world.book(client, therapist, time)["id"] for time in ("08:00", "10:00", "12:00"))
    begin(world.connection, missed)
    call(world.connection, "mark_no_show", session_id=missed)
    cancel(world, cancelled)
    cancel(world, kept, refund=False)
    with logged_in(world, therapist) as connection:
        answer = call(connection, "reopen_session", session_id=missed)
        assert (answer["status"], answer["credits_balance"]) == ("scheduled", None)
        for session_id in (cancelled, kept):
            with nothing_written(world), refused("not_allowed"):
                call(connection, "reopen_session", session_id=session_id)
        call(connection, "complete_session", session_id=missed)
    world.run("select bookingdb.return_credit(s) from sessions as s where id = %s", missed)
    with logged_in(world, therapist) as connection, nothing_written(world), refused("not_allowed"):
        call(connection, "reopen_session", session_id=missed)
    with logged_in(world, client) as connection, nothing_written(world), refused("not_allowed"):
        call(connection, "reopen_session", session_id=missed)
    assert world.violations() == []


@on_supabase
@pytest.mark.parametrize("ending", ["complete_session", "mark_no_show"])
@pytest.mark.parametrize("function", ["cancel_session", "cancel_series"])
def test_therapist_gives_no_credit_back_by_reopening(hosted_world: World, ending: str, function: str) -> None:
    """What was over is for trusted callers to refund; what the therapist never ended gives its credit back."""
    world = hosted_world
    client, therapist = world.client(credits=2), world.therapist()
    over, late = (world.book(client, therapist, time)["id"] for time in ("08:00", "10:00"))
    begin(world.connection, over, 200)
    begin(world.connection, late, 20)
    with logged_in(world, therapist) as connection:
        call(connection, ending, session_id=over)
        call(connection, "reopen_session", session_id=over)
        assert not call(connection, function, session_id=over)["refunded"]
        assert call(connection, function, session_id=late)["refunded"]
    assert world.balance(client) == 1
    assert call(world.connection, "refund_session", session_id=over, reason="her fault")["credits_balance"] == 2
    require_sound(world)


@on_supabase
def test_credit_comes_back_where_the_practice_reopened(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    begin(world.connection, session, 20)
    with logged_in(world, therapist) as connection:
        call(connection, "mark_no_show", session_id=session)
        call(world.connection, "reopen_session", session_id=session)
        assert call(connection, "cancel_session", session_id=session)["refunded"]
    require_sound(world)


@pytest.mark.parametrize(("who", "code"), [("therapist", "therapist_not_found"), ("client", "user_not_found")])
def test_cancelled_session_of_somebody_who_left_stays_cancelled(world: World, who: str, code: str) -> None:
    client, therapist, session_id = booked(world, credits=2)
    missed = world.book(client, therapist, "12:00")["id"]
    begin(world.connection, missed)
    call(world.connection, "mark_no_show", session_id=missed)
    cancel(world, session_id)
    world.run("update users set is_active = false where id = %s", therapist if who == "therapist" else client)
    with nothing_written(world), refused(code):
        reopen(world, session_id)
    # A record that was wrong is put right all the same.
    assert reopen(world, missed)["status"] == "scheduled"
    require_sound(world)


@pytest.mark.parametrize("status", ["scheduled", "completed"])
def test_session_revived_by_an_update_is_told_and_charged(world: World, status: str) -> None:
    _client, _, session_id = booked(world)
    cancel(world, session_id)
    world.run("update sessions set status = %s", status)
    ((number, about, _, _),) = world.run("select * from bookingdb.check_invariants()")
    assert (number, about) == (8, session_id)
    (finding,) = verify.verify(world.connection)
    assert f"reopen_session('{session_id}')" in finding.remedy
    answer = reopen(world, session_id)
    assert (answer["status"], answer["credits_balance"], answer["refunded"]) == (status, 0, False)
    require_sound(world)


def test_reopened_session_of_an_app_keeps_costing_nothing(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
        *(client, therapist, at(10), at(10) + dt.timedelta(hours=1)),
    )
    session_id = world.scalar("select id from sessions")
    cancel(world, session_id)
    answer = reopen(world, session_id)
    assert (answer["status"], answer["credits_balance"]) == ("scheduled", 1)
    require_sound(world)
