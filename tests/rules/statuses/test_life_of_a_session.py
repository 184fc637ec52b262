"""The life of a session: what each step writes, for whom, and from which status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import acting, logged_in
from tests.support.databases import on_supabase
from tests.support.hosts import SUPABASE
from tests.support.life import DAY, HOUR, LATER, at, begin, call, close_window, require_sound
from tests.support.refusals import nothing_written, refused

on_todays_supabase = pytest.mark.parametrize("host", [SUPABASE], indirect=True, scope="session")

STATUSES = ("pending_approval", "scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show")
# What each function makes of a session that is scheduled (or, approve_session, asked for).
STEPS = {
    "confirm_session": "confirmed", "start_session": "in_progress", "complete_session": "completed",
    "mark_no_show": "no_show",
}  # fmt: skip
AFTER_ITS_START = ("complete_session", "mark_no_show")


def session_row(world: World, session: UUID) -> dict[str, Any]:
    (row,) = rows_of(world, "select to_jsonb(s) from sessions as s where id = %s", session)
    assert isinstance(row, dict)
    return row


def rows_of(world: World, statement: str, *parameters: Any) -> list[Any]:
    return [row[0] if len(row) == 1 else row for row in world.run(statement, *parameters)]


@dataclass
class Written:
    """What a block wrote about a session; filled when it has ended."""

    columns: set[str] = field(default_factory=set)
    audit: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)


@contextmanager
def writing(world: World, session: UUID) -> Iterator[Written]:
    written = Written()
    before = session_row(world, session)
    logs = ("booking_audit_log", "bookingdb.outbox", "bookingdb.ledger")
    marks = [world.scalar(f"select coalesce(max(id), 0) from {log}") for log in logs]
    yield written
    after = session_row(world, session)
    written.columns = {name for name in after if after[name] != before[name]} - {"updated_at"}
    written.audit = world.run(
        "select action, old_status, new_status, changes, actor, created_at > now() - interval '1 minute'"
        " from booking_audit_log where id > %s and session_id = %s order by id",
        *(marks[0], session),
    )
    written.events = world.run("select event, payload from bookingdb.outbox where id > %s order by id", marks[1])
    written.entries = world.run(
        "select kind, amount, balance_after, reason from bookingdb.ledger where id > %s order by id", marks[2]
    )


def booked(world: World, function: str, hour: int = 8, **people: UUID) -> UUID:
    """Return a session that a function's step can be taken with."""
    client, therapist = people.get("client") or world.client(credits=1), people.get("therapist") or world.therapist()
    session = world.book(client, therapist, f"{hour:02}:00")["id"]
    assert isinstance(session, UUID)
    if function != "confirm_session":
        begin(world.connection, session, 5 + 60 * hour)
    return session


def asked_for(world: World, client: UUID | None, therapist: UUID, hour: int = 10) -> UUID:
    """Write a session that waits for approval, as an application does."""
    session = world.scalar(
        "insert into sessions (user_id, therapist_id, status, start_time, end_time, duration_minutes)"
        " values (%s, %s, 'pending_approval', %s, %s, 60) returning id",
        *(client, therapist, at(hour, LATER), at(hour, LATER) + HOUR),
    )
    assert isinstance(session, UUID)
    return session


# ----------------------------------------------------------------------------------------------------------------------
# Confirmed, begun, completed, missed
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", STEPS)
def test_a_step_writes_the_status_and_nothing_else(clean_world: World, function: str) -> None:
    world = clean_world
    session = booked(world, function)
    status = STEPS[function]
    with writing(world, session) as written:
        answer = call(world.connection, function, session_id=session)
    assert (answer["status"], answer["credits_balance"], answer["refunded"]) == (status, 0, False)
    assert written.columns == {"status"}
    changes = {"status": {"old": "scheduled", "new": status}}
    assert written.audit == [("status_changed", "scheduled", status, changes, "owner", True)]
    ((event, payload),) = written.events
    assert (event, payload["session_id"], payload["new_status"]) == ("session.status_changed", str(session), status)
    # Credits stay as they are; a client who does not come has paid.
    assert written.entries == []
    require_sound(world)


@pytest.mark.parametrize("function", STEPS)
def test_a_refused_step_says_from_what_to_what(clean_world: World, function: str) -> None:
    world = clean_world
    session = booked(world, function)
    call(world.connection, function, session_id=session)
    for key in (None, "key"):
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, function, session_id=session, idempotency_key=key)
        status = STEPS[function]
        assert refusal.detail == {
            "code": "invalid_transition", "session_id": str(session), "status": status, "asked": status,
        }  # fmt: skip


@pytest.mark.parametrize("function", AFTER_ITS_START)
def test_no_step_over_a_session_before_its_start(clean_world: World, function: str) -> None:
    """Whatever its status; the error says when that is."""
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist(), "10:00")["id"]
    for status in STATUSES:
        world.run("update sessions set status = %s where id = %s", status, session)
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, function, session_id=session)
        if status == "scheduled":
            assert refusal.detail["asked"] == STEPS[function]
            assert refusal.detail["start_time"] == f"{TOMORROW}T10:00:00Z"


@on_supabase
@pytest.mark.parametrize("function", STEPS)
def test_a_therapists_step_tells_no_balance_even_by_its_key(hosted_world: World, function: str) -> None:
    """A client, who may not take it, does not learn by its key what was answered."""
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = booked(world, function, client=client, therapist=therapist)
    step = {"session_id": session, "idempotency_key": "key"}
    with logged_in(world, therapist) as connection:
        answers = [call(connection, function, **step) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0]["credits_balance"] is None
    with logged_in(world, client) as connection, nothing_written(world), refused("not_allowed"):
        call(connection, function, **step)
    with acting(world, "authenticator", "service_role") as connection:
        assert call(connection, function, **step)["credits_balance"] == 0


# ----------------------------------------------------------------------------------------------------------------------
# Approval
# ----------------------------------------------------------------------------------------------------------------------


def test_an_approval_charges_by_todays_policy(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    session = asked_for(world, client, therapist)
    assert session_row(world, session)["credits_charged"] == 0
    call(world.connection, "set_policy", settings=Jsonb({"cancellation_window": "48 hours"}), therapist_id=therapist)

    with writing(world, session) as written:
        answer = call(world.connection, "approve_session", session_id=session)

    assert answer["free_cancellation_until"] == at(10, LATER - 2 * DAY)
    assert written.columns == {"status", "credits_charged", "free_cancellation_until"}
    ((action, old, new, changes, _, _),) = written.audit
    assert (action, old, new, set(changes)) == ("status_changed", "pending_approval", "scheduled", written.columns)
    assert [event for event, _ in written.events] == ["session.status_changed"]
    assert [entry[:3] for entry in written.entries] == [("debit", -1, 1)]
    # What was charged on approval comes back when it is cancelled.
    assert call(world.connection, "cancel_session", session_id=session)["credits_balance"] == 2
    require_sound(world)


def test_a_session_whose_credit_was_kept_has_paid(clean_world: World) -> None:
    world = clean_world
    session = asked_for(world, world.client(credits=2), world.therapist())
    call(world.connection, "approve_session", session_id=session)
    call(world.connection, "cancel_session", session_id=session, refund=False)
    world.run("update sessions set status = 'pending_approval' where id = %s", session)
    assert call(world.connection, "approve_session", session_id=session)["credits_balance"] == 1
    require_sound(world)


def test_an_approval_needs_people_and_a_time(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    nobodys, some_day = asked_for(world, None, therapist), asked_for(world, client, therapist, 12)
    world.run("update sessions set start_time = null, end_time = null where id = %s", some_day)
    gone = asked_for(world, client, therapist, 14)
    world.run("update users set is_active = false where id = %s", client)
    for session, code in ((nobodys, "user_not_found"), (gone, "user_not_found"), (some_day, "invalid_transition")):
        if session == some_day:
            world.run("update users set is_active = true where id = %s", client)
        with nothing_written(world), refused(code):
            call(world.connection, "approve_session", session_id=session)


def test_a_refused_approval_says_from_what_to_what(clean_world: World) -> None:
    world = clean_world
    session = asked_for(world, world.client(credits=2), world.therapist())
    detail = {"code": "invalid_transition", "session_id": str(session), "asked": "scheduled"}
    call(world.connection, "approve_session", session_id=session)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "approve_session", session_id=session)
    assert refusal.detail == {**detail, "status": "scheduled"}
    call(world.connection, "cancel_session", session_id=session)
    world.run("update sessions set status = 'pending_approval' where id = %s", session)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "approve_session", session_id=session)
    assert refusal.detail == {**detail, "status": "pending_approval", "reason": "refunded"}


# ----------------------------------------------------------------------------------------------------------------------
# Cancelling
# ----------------------------------------------------------------------------------------------------------------------


def test_a_cancellation_writes_status_reason_and_refund(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    with writing(world, session) as written:
        call(world.connection, "cancel_session", session_id=session, reason="I am ill")
    assert written.columns == {"status", "cancellation_reason"}
    changes = {
        "status": {"old": "scheduled", "new": "cancelled"}, "cancellation_reason": {"old": None, "new": "I am ill"},
    }  # fmt: skip
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


# ----------------------------------------------------------------------------------------------------------------------
# Rescheduling
# ----------------------------------------------------------------------------------------------------------------------


def move(world: World, session: UUID, hour: int = 12, date: dt.date = LATER, **options: Any) -> Any:
    return call(
        world.connection, "reschedule_session",
        session_id=session, session_date=date, session_time=f"{hour:02}:00", **options,
    )  # fmt: skip


def test_a_move_writes_times_and_one_row_of_each_log(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    with writing(world, session) as written:
        answer = move(world, session, duration_minutes=90)
    assert (answer["id"], answer["start_time"]) == (session, at(12, LATER))
    assert answer["end_time"] == at(13, LATER) + HOUR / 2
    times = {
        "duration_minutes", "end_time", "free_cancellation_until", "scheduled_date", "scheduled_time", "start_time",
    }  # fmt: skip
    assert written.columns == times
    ((action, old, new, changes, _, _),) = written.audit
    assert (action, old, new, set(changes)) == ("updated", "scheduled", "scheduled", times)
    assert [dt.datetime.fromisoformat(changes["end_time"][when]) for when in ("old", "new")] == [
        at(11), answer["end_time"],
    ]  # fmt: skip
    ((event, payload),) = written.events
    assert (event, dt.datetime.fromisoformat(payload["start_time"])) == ("session.updated", at(12, LATER))
    assert written.entries == []
    placed = world.run("select id, kind, lower(period), upper(period), blocked = period from bookingdb.calendar")
    assert placed == [(session, "session", answer["start_time"], answer["end_time"], True)]
    # The old time is free at once.
    assert world.book(world.client(credits=1), therapist)["status"] == "scheduled"
    require_sound(world)


def test_a_move_to_where_a_session_is_tells_nothing(clean_world: World) -> None:
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist(), "12:00", session_date=LATER)["id"]
    with writing(world, session) as written:
        move(world, session)
    assert (written.columns, written.audit, written.events, written.entries) == (set(), [], [], [])


def test_a_move_keeps_length_and_takes_the_therapists_zone(clean_world: World) -> None:
    """Of a session that was written without a duration and a zone."""
    world = clean_world
    therapist = world.therapist("Asia/Tokyo")
    session = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
        *(world.client(), therapist, at(10), at(10) + dt.timedelta(minutes=50)),
    )
    answer = move(world, session, 12)
    assert (answer["start_time"], answer["duration_minutes"], answer["time_zone"]) == (at(3, LATER), 50, "Asia/Tokyo")


@on_todays_supabase
def test_a_move_gives_terms_to_a_session_without(hosted_world: World) -> None:
    """Those of today's policy, also where that window has closed."""
    world = hosted_world
    client, therapist = world.client(credits=2), world.therapist()
    early, late = (world.book(client, therapist, time, session_date=LATER)["id"] for time in ("08:00", "10:00"))
    begin(world.connection, late, -120)
    began = world.scalar("select start_time from sessions where id = %s", late)
    world.run("update sessions set free_cancellation_until = null")
    with logged_in(world, client) as connection:
        after = {"session_date": LATER + DAY, "session_time": "12:00"}
        answer = call(connection, "reschedule_session", session_id=early, **after)
        assert answer["start_time"] - answer["free_cancellation_until"] == DAY
        answer = call(connection, "reschedule_session", session_id=late, **{**after, "session_time": "15:00"})
        assert answer["free_cancellation_until"] == began - DAY


@on_todays_supabase
def test_a_therapist_moves_the_window_along_however_late(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist, session_date=LATER)["id"]
    close_window(world.connection, session)
    (window,) = rows_of(world, "select start_time - free_cancellation_until from sessions")
    with logged_in(world, therapist) as connection:
        later = {"session_date": LATER + DAY, "session_time": "12:00"}
        answer = call(connection, "reschedule_session", session_id=session, **later)
    assert answer["start_time"] - answer["free_cancellation_until"] == window
    assert answer["credits_balance"] is None


def test_only_what_has_not_begun_is_moved(clean_world: World) -> None:
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist())["id"]
    for number, status in enumerate(STATUSES):
        world.run("update sessions set status = %s where id = %s", status, session)
        if status in ("pending_approval", "scheduled", "confirmed"):
            assert move(world, session, number)["status"] == status
        else:
            with nothing_written(world), refused("invalid_transition") as refusal:
                move(world, session, 20)
            del refusal.detail["start_time"]
            assert refusal.detail == {"code": "invalid_transition", "session_id": str(session), "status": status}
    world.run("update sessions set status = 'scheduled'")
    begin(world.connection, session)
    with nothing_written(world), refused("invalid_transition"):
        move(world, session)


def test_a_client_who_is_gone_is_not_moved(clean_world: World) -> None:
    world = clean_world
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    world.run("update users set is_active = false where id = %s", client)
    with nothing_written(world), refused("user_not_found"):
        move(world, session)
