"""The client on every kind of connection: what it returns, whose transaction it is, and what it tries again."""

import asyncio
import dataclasses
import datetime as dt
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, assert_type, get_type_hints
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import psycopg_pool
import pytest
import sqlalchemy
import sqlalchemy.orm
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.ext.asyncio import create_async_engine

from bookingdb import (
    AsyncBookings,
    AvailableDay,
    AvailableSlot,
    AvailableTherapist,
    BookedSession,
    BookingConflict,
    BookingFailed,
    Bookings,
    BusyEvent,
    ChangedSession,
    CreditEntry,
    CreditGrant,
    DateOverride,
    ExpiredCredits,
    HeldSlot,
    HoldExpired,
    HoldNotFound,
    InPast,
    InsufficientCredits,
    InvalidDate,
    InvalidDuration,
    InvalidParameter,
    InvalidTimeZone,
    InvalidTransition,
    ListedSession,
    LotNotFound,
    NotAllowed,
    OpeningPeriod,
    OutsideAvailability,
    Package,
    PackageNotFound,
    Policy,
    RejectedEvent,
    RevokedGrant,
    Session,
    SessionNotFound,
    StatementLine,
    SyncedBusy,
    TherapistNotFound,
    TimeOff,
    TimeOffNotFound,
    TooFar,
    TooSoon,
    TransferredCredits,
    UserNotFound,
    WeeklyWindow,
    book_session,
    calls,
)
from bookingdb.policy import DEFAULTS
from tests.support import TOMORROW, World, connect, run, scalar
from tests.support.callers import logged_in
from tests.support.clients import CALLERS, OURS, opened, result_of, sqlalchemy_url

UTC = dt.UTC


@pytest.fixture(scope="module")
def shared_world(server_url: str, template: str) -> Iterator[World]:
    """One database for the many tests that differ only in the kind of connection, each with people of its own."""
    with connect(server_url) as connection:
        run(connection, f"create database shared_by_clients template {template} owner owner")
    url = make_conninfo(server_url, dbname="shared_by_clients", user="owner")
    with connect(url) as connection:
        yield World(url, connection)
    with connect(server_url) as connection:
        run(connection, "drop database shared_by_clients with (force)")


def sessions_of(world: World, client: UUID) -> int:
    """How many sessions of this client are committed."""
    return world.count(f"sessions where user_id = '{client}'")


# --- what the methods return ---


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_every_method_on_every_kind_of_connection(shared_world: World, kind: str) -> None:
    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        therapist = await result_of(
            bookings.register_therapist(f"{uuid4()}@example.com", full_name="T", time_zone="Europe/Berlin")
        )
        client = await result_of(bookings.register_client(f"{uuid4()}@example.com", user_id=uuid4()))
        granted = await result_of(
            bookings.grant_credits(
                client, 3, payment_reference=f"{client}", expires_at=dt.datetime(2900, 1, 1, tzinfo=UTC)
            )
        )
        session = await result_of(
            bookings.book_session(
                user_id=client,
                therapist_id=str(therapist),
                session_date=TOMORROW.isoformat(),
                session_time="10:00",
                notes="100 % %(sure)s",
                idempotency_key="k1",
            )
        )
        taken = await result_of(
            bookings.check_booking_conflict(
                therapist_id=therapist, session_date=TOMORROW, start_time="10:30", end_time=dt.time(10, 45)
            )
        )
        free = await result_of(
            bookings.check_booking_conflict(
                therapist_id=therapist,
                session_date=TOMORROW,
                start_time="10:30",
                end_time="10:45",
                exclude_session_id=session.id,
            )
        )
        balance = await result_of(bookings.get_credit_balance(client))
        history = await result_of(bookings.get_credit_history(client, limit=5))
        listed = await result_of(bookings.list_sessions(user_id=client))
        nothing = await result_of(bookings.set_therapist_active(therapist, False))
        await result_of(database.commit())

    assert isinstance(client, UUID)
    assert granted == CreditGrant(granted.lot_id, 3, 3, is_new=True)
    assert type(session) is BookedSession
    assert (session.user_id, session.therapist_id) == (client, therapist)
    assert (session.scheduled_date, session.scheduled_time) == (TOMORROW, dt.time(10))
    assert session.start_time.tzinfo is UTC
    assert session.end_time - session.start_time == dt.timedelta(hours=1)
    assert session.created_at.tzinfo is UTC
    assert (session.description, session.status, session.time_zone) == (
        "100 % %(sure)s",
        "scheduled",
        "Europe/Berlin",
    )
    assert session.credits_balance == 2
    assert (taken, free, balance, nothing) == (True, False, 2, None)
    assert [(entry.kind, entry.amount, entry.balance_after, entry.session_id) for entry in history] == [
        ("debit", -1, 2, session.id),
        ("grant", 3, 3, None),
    ]
    assert type(history[0]) is CreditEntry
    (found,) = listed
    for name in Session.__dataclass_fields__:
        assert getattr(found, name) == getattr(session, name), name
    assert sessions_of(shared_world, client) == 1
    assert shared_world.run("select is_active from users where id = %s", therapist) == [(False,)]
    assert shared_world.violations() == []


def session_of_others(world: World, client: UUID, therapist: UUID, status: str, start: dt.datetime) -> UUID:
    """Return the id of a session that something else wrote, and that nobody paid."""
    session_id: UUID = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, %s) returning id",
        client,
        therapist,
        start,
        start + dt.timedelta(hours=1),
        status,
    )
    return session_id


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_the_life_of_a_session_on_every_kind_of_connection(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=6), shared_world.therapist()
    at = dt.datetime.combine(TOMORROW, dt.time(10), UTC)
    hour, day = dt.timedelta(hours=1), dt.timedelta(days=1)
    pending = session_of_others(shared_world, client, therapist, "pending_approval", at - 2 * hour)
    over, missed, begun = (
        session_of_others(shared_world, client, therapist, "confirmed", at - days * day) for days in (10, 20, 30)
    )
    slot: dict[str, Any] = {"user_id": client, "therapist_id": str(therapist)}

    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        given_up = await result_of(
            bookings.hold_slot(**slot, session_date=TOMORROW, session_time="10:00", idempotency_key="k")
        )
        released = await result_of(bookings.release_hold(str(given_up.id)))
        before = dt.datetime.now(UTC)
        hold = await result_of(bookings.hold_slot(**slot, starts_at=at, ttl=dt.timedelta(minutes=2.5)))
        booked = await result_of(bookings.book_hold(hold.id, notes="100 %", idempotency_key="k"))
        moved = await result_of(
            bookings.reschedule_session(booked.id, starts_at=at + day, duration_minutes=45, idempotency_key="k")
        )
        confirmed = await result_of(bookings.confirm_session(str(booked.id), idempotency_key="k"))
        cancelled = await result_of(bookings.cancel_session(booked.id, reason="ill", refund=True, idempotency_key="k"))
        series = await result_of(
            bookings.book_series(
                **slot, session_date=TOMORROW, session_time="10:00", occurrences=3, every="2 weeks", idempotency_key="k"
            )
        )
        started = await result_of(bookings.start_session(begun, idempotency_key="k"))
        approved = await result_of(bookings.approve_session(pending, idempotency_key="k"))
        completed = await result_of(bookings.complete_session(over, idempotency_key="k"))
        no_show = await result_of(bookings.mark_no_show(missed, idempotency_key="k"))
        await result_of(database.commit())

    assert released is None
    assert hold == HeldSlot(hold.id, client, therapist, at, at + hour, "UTC", hold.expires_at)
    assert hold.expires_at.tzinfo is UTC
    assert dt.timedelta(seconds=150) < hold.expires_at - before < dt.timedelta(seconds=180)
    assert type(booked) is BookedSession
    assert (booked.id, booked.start_time, booked.description, booked.credits_balance) == (hold.id, at, "100 %", 5)

    assert {type(session) for session in (moved, confirmed, cancelled, started, approved, completed, no_show)} == {
        ChangedSession
    }
    assert (moved.id, moved.start_time, moved.end_time) == (booked.id, at + day, at + day + 0.75 * hour)
    assert (moved.scheduled_time, moved.time_zone, moved.duration_minutes) == (dt.time(10), "UTC", 45)
    assert (moved.free_cancellation_until, moved.refunded, moved.credits_balance) == (at, False, 5)
    assert (confirmed.status, cancelled.status) == ("confirmed", "cancelled")
    assert (cancelled.refunded, cancelled.credits_balance) == (True, 6)
    assert shared_world.run("select cancellation_reason from sessions where id = %s", booked.id) == [("ill",)]

    assert {type(session) for session in series} == {BookedSession}
    assert [session.scheduled_date for session in series] == [TOMORROW + 14 * step * day for step in range(3)]
    assert [session.credits_balance for session in series] == [5, 4, 3]
    assert (started.id, started.status) == (begun, "in_progress")
    assert (approved.id, approved.status, approved.credits_balance) == (pending, "scheduled", 2)
    assert (completed.id, completed.status, completed.free_cancellation_until) == (over, "completed", None)
    assert (no_show.id, no_show.status) == (missed, "no_show")
    assert shared_world.violations() == []


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_transfers_and_packages_on_every_kind_of_connection(shared_world: World, kind: str) -> None:
    giver, receiver = shared_world.client(credits=4), shared_world.client()
    name = f"Ten {giver}"

    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        passed_on = await result_of(bookings.transfer_credits(giver, receiver, 3, reason="a present"))
        package = await result_of(bookings.set_package(name, 10, validity="1 month", rollover_cap=2))
        weeks = await result_of(bookings.set_package(name.upper(), 9, validity=dt.timedelta(weeks=2)))
        listed = await result_of(bookings.list_packages())

    (lot_id,) = passed_on.lot_ids
    assert isinstance(lot_id, UUID)
    assert passed_on == TransferredCredits((lot_id,), 3, 1, 3)
    assert package == Package(package.id, name, 10, "1 month", None, 2, "paid", 50, True)
    assert (weeks.id, weeks.credits, weeks.validity, weeks.rollover_cap) == (package.id, 9, "14 days", None)
    assert weeks in listed


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_credits_and_policies_on_every_kind_of_connection(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=4), shared_world.therapist("Europe/Berlin")
    shared_world.run("update user_credits set expires_at = '2020-01-01' where user_id = %s", client)
    begin, end = dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2900, 1, 1, tzinfo=UTC)

    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        gift = await result_of(bookings.grant_credits(client, 2, category="promotional", priority=7))
        added = await result_of(bookings.adjust_credits(client, 3, reason="forgotten", idempotency_key="k"))
        taken = await result_of(bookings.adjust_credits(client, -1, reason="100 %", lot_id=str(added.lot_id)))
        expired = await result_of(bookings.expire_credits())
        bought = await result_of(bookings.grant_credits(client, 5, payment_reference=f"{client}"))
        revoked = await result_of(bookings.revoke_grant(payment_reference=f"{client}", reason="chargeback"))
        again = await result_of(bookings.revoke_grant(bought.lot_id))
        statement = await result_of(bookings.get_credit_statement(client, begin, end))
        default = await result_of(bookings.get_policy())
        changed = await result_of(
            bookings.set_policy(
                therapist_id=therapist,
                time_zone="Asia/Tokyo",
                minimum_duration_minutes=30,
                cancellation_window=dt.timedelta(hours=36),
                hold_lifetime=dt.timedelta(seconds=90),
            )
        )
        partly = await result_of(bookings.set_policy(therapist_id=str(therapist), hold_lifetime=None))
        kept = await result_of(bookings.get_policy(therapist))
        await result_of(database.commit())

    assert shared_world.run("select category, priority from user_credits where id = %s", gift.lot_id) == [
        ("promotional", 7)
    ]
    assert added == CreditGrant(added.lot_id, 3, 5, is_new=True)
    assert taken == CreditGrant(added.lot_id, 2, 4, is_new=True)
    assert expired == ExpiredCredits(1, 4)
    assert revoked == again == RevokedGrant(bought.lot_id, 5, 0, 4, 0, is_remembered=False)
    assert {type(line) for line in statement} == {StatementLine}
    assert [(line.kind, line.amount, line.balance, line.reason) for line in statement] == [
        ("opening", None, 0, None),
        ("grant", 4, 4, None),
        ("grant", 2, 6, None),
        ("adjustment", 3, 9, "forgotten"),
        ("adjustment", -1, 8, "100 %"),
        ("expiry", -4, 4, None),
        ("grant", 5, 9, None),
        ("revocation", -5, 4, "chargeback"),
        ("closing", None, 4, None),
    ]
    assert (statement[0].created_at, statement[-1].created_at) == (begin, end)
    assert [line.lot_id for line in statement[2:5]] == [gift.lot_id, added.lot_id, added.lot_id]
    assert all(line.created_at.tzinfo is UTC and line.actor for line in statement[1:-1])

    days, minutes = dt.timedelta(days=1), dt.timedelta(minutes=1)
    settings: Any = DEFAULTS
    assert default == Policy(None, **settings)
    assert partly == dataclasses.replace(
        default,
        therapist_id=therapist,
        time_zone="Asia/Tokyo",
        minimum_duration_minutes=30,
        cancellation_window=1.5 * days,
    )
    assert changed == dataclasses.replace(partly, hold_lifetime=1.5 * minutes)
    assert kept == partly
    assert shared_world.violations() == []


ZONE = ZoneInfo("Europe/Berlin")
HOUR = dt.timedelta(hours=1)
DATES = (TOMORROW, (TOMORROW + 24 * HOUR).isoformat())


def hour_of_tomorrow(hour: float) -> dt.datetime:
    """An instant of tomorrow in Berlin."""
    return (dt.datetime.combine(TOMORROW, dt.time(), ZONE) + hour * HOUR).astimezone(UTC)


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_hours_and_slots_on_every_kind_of_connection(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=2), shared_world.therapist("Europe/Berlin")
    at, day = hour_of_tomorrow, 24 * HOUR
    morning = WeeklyWindow(TOMORROW.isoweekday(), dt.time(9), dt.time(12))
    evening = WeeklyWindow(TOMORROW.isoweekday(), dt.time(22), dt.time(1), TOMORROW, TOMORROW + 7 * day)
    in_text = {"weekday": TOMORROW.isoweekday(), "start_time": "09:00", "end_time": "12:00"}

    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        none = await result_of(bookings.get_weekly_hours(therapist))
        assert await result_of(bookings.is_bookable_any_time(therapist))
        week = await result_of(bookings.set_weekly_hours(str(therapist), [evening, in_text]))
        kept = await result_of(bookings.get_weekly_hours(therapist))
        closed = await result_of(bookings.set_date_override(therapist, TOMORROW + day, []))
        longer = await result_of(bookings.set_date_override(therapist, TOMORROW, [("09:00", dt.time(13))]))
        overrides = await result_of(bookings.list_date_overrides(therapist, *DATES))
        periods = await result_of(bookings.list_opening_hours(therapist, *DATES, time_zone="UTC"))
        slots = await result_of(bookings.list_available_slots(therapist, *DATES, step_minutes=60))
        days = await result_of(bookings.list_available_days(therapist, *DATES, duration_minutes=30, step_minutes=30))
        first = await result_of(bookings.next_available_slot(therapist, after=at(9.1), time_zone="Asia/Kathmandu"))
        nothing = await result_of(bookings.next_available_slot(therapist, after=at(9) + 3000 * day))
        found = await result_of(
            bookings.find_available_therapists(at(9), at(13), therapist_ids=[therapist, str(client)], limit=2)
        )
        nobody = await result_of(bookings.find_available_therapists(at(9), at(13), therapist_ids=[]))
        as_usual = await result_of(bookings.set_date_override(therapist, TOMORROW))
        await result_of(database.commit())

    assert none == as_usual == nobody == []
    assert week == kept == [morning, evening]
    assert closed == [DateOverride(TOMORROW + day, None, None)]
    assert longer == [DateOverride(TOMORROW, dt.time(9), dt.time(13))]
    assert overrides == longer + closed
    assert periods == [OpeningPeriod(at(9), at(13))]
    assert slots == [
        AvailableSlot(at(hour), at(hour + 1), TOMORROW, dt.time(hour)) for hour in (9, 10, 11, 12)
    ]  # fmt: skip
    assert slots[0].start_time.tzinfo is UTC
    assert days == [AvailableDay(TOMORROW, 8, at(9), at(12.5))]
    in_kathmandu = at(9.25).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert first == AvailableSlot(at(9.25), at(10.25), in_kathmandu.date(), in_kathmandu.time())
    assert nothing is None
    assert found == [AvailableTherapist(therapist, at(9), at(10))]
    assert isinstance(found[0].therapist_id, UUID)


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_time_off_and_busy_events_work_on_every_connection(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=2), shared_world.therapist("Europe/Berlin")
    at = hour_of_tomorrow
    first = [BusyEvent("a", at(9), at(10)), {"external_id": "b", "start_time": at(20), "end_time": at(22)}]
    second = [BusyEvent("a", at(9), at(11)), BusyEvent("c", removed=True), BusyEvent("d"), BusyEvent("e", free=True)]

    async with opened(shared_world, kind) as database:
        bookings = database.bookings
        await result_of(bookings.set_date_override(therapist, TOMORROW, [("09:00", "13:00")]))
        await result_of(bookings.set_date_override(therapist, TOMORROW + 24 * HOUR, []))
        booked = await result_of(
            bookings.book_session_with_override(
                user_id=client, therapist_id=therapist, starts_at=at(20), notes="100 %", idempotency_key="k"
            )
        )
        off = await result_of(bookings.add_time_off(therapist, at(9), at(21), reason="100 % off"))
        listed = await result_of(bookings.list_time_off(str(therapist), at(0), at(23)))
        meanwhile = await result_of(bookings.list_available_slots(therapist, TOMORROW, TOMORROW))
        removed = await result_of(bookings.remove_time_off(off.id))
        synced = await result_of(bookings.sync_external_busy(therapist, "google", first))
        again = await result_of(bookings.sync_external_busy(therapist, "google", second, from_=at(0), to=at(23)))
        free = await result_of(
            bookings.list_available_slots(therapist, TOMORROW, TOMORROW, step_minutes=60, time_zone="UTC")
        )
        await result_of(database.commit())

    assert type(booked) is BookedSession
    assert (booked.start_time, booked.description, booked.credits_balance) == (at(20), "100 %", 1)
    assert shared_world.scalar("select hours_overridden from sessions where id = %s", booked.id)
    assert off == TimeOff(off.id, at(9), at(21), "100 % off", (booked.id,))
    assert listed == [off]
    assert off.to_dict()["session_ids"] == [str(booked.id)]
    assert all(isinstance(value, UUID) for value in (off.id, *off.session_ids))
    assert (meanwhile, removed) == ([], None)
    assert synced == SyncedBusy(2, 0, 0, (booked.id,))
    assert again == SyncedBusy(0, 1, 1, (), (RejectedEvent(3, "d", "invalid_start_time"),), 1)
    assert again.to_dict()["rejected"] == [{"event": 3, "external_id": "d", "reason": "invalid_start_time"}]
    assert [slot.start_time for slot in free] == [at(11), at(12)]
    assert [slot.local_time for slot in free] == [at(11).time(), at(12).time()]
    assert shared_world.violations() == []


async def test_windows_arrive_where_the_app_encodes_jsonb_itself(world: World) -> None:
    therapist = world.therapist()
    engine = create_async_engine(sqlalchemy_url(world, "asyncpg"))
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        bookings = AsyncBookings(connection)
        week = await bookings.set_weekly_hours(therapist, [WeeklyWindow(7, dt.time(9), dt.time(0))])
        synced = await bookings.sync_external_busy(therapist, "s", [BusyEvent("\N{SNOWMAN}", removed=True)])
    await engine.dispose()

    assert week == [WeeklyWindow(7, dt.time(9), dt.time(0))]
    assert synced == SyncedBusy(0, 0, 0, ())


def test_availability_is_refused_with_the_class_of_the_reason(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    bookings = Bookings(world.connection)
    nobody = uuid4()
    slot: dict[str, Any] = {"user_id": client, "therapist_id": therapist, "session_date": TOMORROW}
    instants = (dt.datetime(2030, 1, 1, tzinfo=UTC), dt.datetime(2031, 1, 1, tzinfo=UTC))
    for ask in (
        lambda: bookings.list_available_slots(nobody, TOMORROW, TOMORROW),
        lambda: bookings.list_available_days(nobody, TOMORROW, TOMORROW),
        lambda: bookings.list_slot_states(nobody, TOMORROW, TOMORROW),
        lambda: bookings.next_available_slot(nobody),
        lambda: bookings.get_weekly_hours(nobody),
        lambda: bookings.set_weekly_hours(nobody, []),
        lambda: bookings.list_date_overrides(nobody, TOMORROW, TOMORROW),
        lambda: bookings.set_date_override(nobody, TOMORROW),
        lambda: bookings.list_time_off(nobody, *instants),
        lambda: bookings.add_time_off(nobody, *instants),
        lambda: bookings.sync_external_busy(nobody, "s", []),
        lambda: bookings.book_session_with_override(**{**slot, "therapist_id": nobody}, session_time="10:00"),
    ):
        with pytest.raises(TherapistNotFound) as missing:
            ask()
        assert missing.value.detail["therapist_id"] == str(nobody)
    with pytest.raises(TimeOffNotFound):
        bookings.remove_time_off(nobody)
    for unlikely in (
        lambda: bookings.list_available_slots(therapist, TOMORROW, TOMORROW + dt.timedelta(days=366)),
        lambda: bookings.list_available_days(therapist, TOMORROW, TOMORROW - dt.timedelta(days=1)),
        lambda: bookings.next_available_slot(therapist, step_minutes=0),
        lambda: bookings.find_available_therapists(*reversed(instants)),
        lambda: bookings.find_available_therapists(*instants, limit=1001),
        lambda: bookings.set_weekly_hours(therapist, [WeeklyWindow(8, dt.time(9), dt.time(17))]),
        lambda: bookings.add_time_off(therapist, *reversed(instants)),
        lambda: bookings.sync_external_busy(therapist, "", []),
        lambda: bookings.sync_external_busy(therapist, "s", [], from_=instants[0]),
        lambda: bookings.set_policy(buffer_after_minutes=721),
        lambda: bookings.set_policy(require_hours=None),
    ):
        with pytest.raises(InvalidParameter):
            unlikely()
    with pytest.raises(InvalidDate):
        bookings.set_date_override(therapist, "3000-01-01")

    bookings.set_policy(minimum_notice=dt.timedelta(hours=1), maximum_advance=dt.timedelta(days=10))
    bookings.set_date_override(therapist, TOMORROW, [("09:00", "12:00")])
    with pytest.raises(OutsideAvailability) as outside:
        bookings.book_session(**slot, session_time="11:30")
    with pytest.raises(OutsideAvailability):
        bookings.book_session_with_override(**slot, session_time="11:30", override_hours=False)
    with pytest.raises(TooFar):
        bookings.book_session(**{**slot, "session_date": TOMORROW + dt.timedelta(days=20)}, session_time="10:00")
    soon = dt.datetime.now(UTC).replace(second=0, microsecond=0) + dt.timedelta(minutes=30)
    with pytest.raises(TooSoon):
        bookings.book_session(user_id=client, therapist_id=therapist, starts_at=soon)
    assert outside.value.detail["therapist_id"] == str(therapist)
    assert isinstance(outside.value, BookingConflict)


@pytest.mark.slow
def test_therapists_write_their_hours_and_everybody_reads(supabase_world: World) -> None:
    client, therapist, other = supabase_world.client(credits=1), supabase_world.therapist(), supabase_world.therapist()
    window = WeeklyWindow(TOMORROW.isoweekday(), dt.time(9), dt.time(10))
    slot: dict[str, Any] = {"therapist_id": therapist, "session_date": TOMORROW, "session_time": "20:00"}

    with logged_in(supabase_world, therapist) as connection:
        assert Bookings(connection).set_weekly_hours(therapist, [window]) == [window]
        with pytest.raises(NotAllowed):
            Bookings(connection).set_weekly_hours(other, [window])
    with logged_in(supabase_world, client) as connection:
        bookings = Bookings(connection)
        (free,) = bookings.list_available_slots(therapist, TOMORROW, TOMORROW)
        assert bookings.get_weekly_hours(therapist) == [window]
        for refused in (
            lambda: bookings.set_date_override(therapist, TOMORROW),
            lambda: bookings.add_time_off(therapist, free.start_time, free.end_time),
            lambda: bookings.list_time_off(therapist, free.start_time, free.end_time),
            lambda: bookings.sync_external_busy(therapist, "s", []),
            lambda: bookings.book_session_with_override(user_id=client, **slot),
        ):
            with pytest.raises(NotAllowed):
                refused()
    assert free.local_time == dt.time(9)


def test_a_therapist_is_not_told_the_client_s_credits(supabase_world: World) -> None:
    client, therapist = supabase_world.client(credits=1), supabase_world.therapist()
    session = supabase_world.book(client, therapist)

    with logged_in(supabase_world, therapist) as connection:
        confirmed = Bookings(connection).confirm_session(session["id"])
        with pytest.raises(NotAllowed):
            Bookings(connection).cancel_session(session["id"], refund=False)
    with logged_in(supabase_world, client) as connection:
        cancelled = Bookings(connection).cancel_session(session["id"])

    assert (confirmed.status, confirmed.credits_balance) == ("confirmed", None)
    assert (cancelled.status, cancelled.credits_balance, cancelled.refunded) == ("cancelled", 1, True)


@pytest.mark.parametrize("every", [dt.timedelta(days=14), "14 days", "2 weeks"])
def test_client_series_keeps_its_local_time(world: World, every: Any) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=dt.timedelta(days=3650))
    # In all years the clocks change on one of the two weeks after it.
    first, second = bookings.book_series(
        user_id=client,
        therapist_id=therapist,
        session_date=f"{dt.date.today().year + 1}-03-20",
        session_time="10:00",
        occurrences=2,
        every=every,
    )

    assert (first.scheduled_time, second.scheduled_time) == (dt.time(10), dt.time(10))
    assert second.start_time - first.start_time == dt.timedelta(days=14, hours=-1)


def test_a_monthly_series_stays_at_the_ends_of_months(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    bookings = Bookings(world.connection)
    bookings.set_policy(maximum_advance=dt.timedelta(days=3650))
    leap_year = dt.date.today().year // 4 * 4 + 4

    series = bookings.book_series(
        user_id=client,
        therapist_id=therapist,
        session_date=dt.date(leap_year, 1, 31),
        session_time="10:00",
        occurrences=3,
        every="1 month",
    )

    assert [session.scheduled_date for session in series] == [
        dt.date(leap_year, 1, 31),
        dt.date(leap_year, 2, 29),
        dt.date(leap_year, 3, 31),
    ]


@pytest.mark.parametrize("style", ["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
def test_duration_is_the_same_in_every_interval_style(world: World, style: str) -> None:
    client, therapist = world.client(), world.therapist()
    negative = dt.timedelta(hours=-30)
    with psycopg.connect(world.url, autocommit=True, options=f"-c intervalstyle={style}") as connection:
        bookings = Bookings(connection)
        start = dt.datetime.now(UTC)
        hold = bookings.hold_slot(
            user_id=client,
            therapist_id=therapist,
            session_date=TOMORROW,
            session_time="10:00",
            ttl=dt.timedelta(minutes=30),
        )
        for refused in (dt.timedelta(seconds=9.9), dt.timedelta(hours=1, microseconds=1), negative):
            with pytest.raises(InvalidParameter):
                bookings.hold_slot(
                    user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00", ttl=refused
                )
        with pytest.raises(InvalidParameter):
            bookings.set_policy(cancellation_window=negative)
        sent = calls.hold_slot(
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00", ttl=negative
        ).parameters["p_ttl"]
        assert scalar(connection, "select extract(epoch from %s::interval)", sent) == negative.total_seconds()
        changed = bookings.set_policy(cancellation_window=dt.timedelta(hours=36), hold_lifetime=dt.timedelta(minutes=1))

    assert dt.timedelta(minutes=30) < hold.expires_at - start < dt.timedelta(minutes=31)
    assert (changed.cancellation_window, changed.hold_lifetime) == (dt.timedelta(hours=36), dt.timedelta(minutes=1))


async def test_settings_arrive_where_the_app_encodes_jsonb_itself(world: World) -> None:
    engine = create_async_engine(sqlalchemy_url(world, "asyncpg"))
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        policy = await AsyncBookings(connection).set_policy(minimum_duration_minutes=30)
    await engine.dispose()

    assert policy.minimum_duration_minutes == 30


def test_policy_writes_durations_as_postgres_does(world: World) -> None:
    bookings = Bookings(world.connection)
    for window, written in (
        (dt.timedelta(0), "00:00:00"),
        (dt.timedelta(hours=5, minutes=30), "05:30:00"),
        (dt.timedelta(days=1), "1 day"),
        (dt.timedelta(days=2, hours=12), "2 days 12:00:00"),
        (dt.timedelta(days=10, hours=3, seconds=1), "10 days 03:00:01"),
    ):
        policy = bookings.set_policy(cancellation_window=window)

        assert policy.cancellation_window == window
        assert policy.to_dict()["cancellation_window"] == written
        assert world.scalar("select cancellation_window::text from get_policy()") == written


def test_the_function_is_the_method(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()

    session = book_session(
        world.url, user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
    )

    assert_type(session, BookedSession)
    assert session.credits_balance == 0
    assert world.count("sessions") == 1


def test_defaults_are_the_database_s(world: World) -> None:
    defaults = world.run(
        "select p.proname::text, a.name, pg_get_function_arg_default(p.oid, a.position::integer)"
        " from pg_proc as p cross join unnest(p.proargnames[:p.pronargs]) with ordinality as a (name, position)"
        " where p.pronamespace = 'public'::regnamespace and starts_with(a.name, 'p_')"
    )
    compared = 0
    for function, name, expression in defaults:
        builder = getattr(calls, {"create_session_with_credit_deduction": "book_session"}.get(function, function))
        parameters = inspect.signature(builder).parameters
        if function == "record_refusal" and name in ("p_function_name", "p_code", "p_context"):
            continue  # the error that is recorded tells them
        if (function, name) == ("extend_lot", "p_reason"):
            continue  # needed, but after two parameters of which one is given
        parameter = parameters.get(name.removeprefix("p_")) or parameters[name.removeprefix("p_") + "_"]
        if "starts_at" in parameters and parameter.name in ("session_date", "session_time"):
            assert (expression, parameter.default) == (None, None)  # one of two ways to say when
        elif expression is None:
            assert parameter.default is parameter.empty, (function, name)
        else:
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert default == world.scalar(f"select {expression}"), (function, name)
            compared += 1

    assert compared > 40


def test_retry_with_the_same_key_gets_the_same_session(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    at = dt.datetime.combine(TOMORROW, dt.time(10), UTC)

    first, second = (
        book_session(world.url, user_id=client, therapist_id=therapist, starts_at=at, idempotency_key="k")
        for _ in range(2)
    )

    assert first == second
    assert world.balance(client) == 1


def test_sessions_are_listed_in_order_and_filtered(world: World) -> None:
    first, second = world.client(credits=3), world.client(credits=1)
    therapist, other = world.therapist(), world.therapist()
    early, late = world.book(first, therapist, "09:00"), world.book(first, other, "12:00")
    between = world.book(second, therapist, "10:00")
    bookings = Bookings(world.connection)

    def listed(**filters: Any) -> list[UUID]:
        return [session.id for session in bookings.list_sessions(**filters)]

    assert listed() == [early["id"], between["id"], late["id"]]
    assert listed(descending=True) == [late["id"], between["id"], early["id"]]
    assert listed(limit=1) == [early["id"]]
    assert listed(cursor=bookings.list_sessions(limit=2)[-1].cursor) == [late["id"]]
    assert listed(user_id=first) == [early["id"], late["id"]]
    assert listed(statuses=["cancelled"]) == []
    assert listed(therapist_id=therapist, user_id=first) == [early["id"]]
    assert listed(starts_from=between["start_time"]) == [between["id"], late["id"]]
    assert listed(starts_before=between["start_time"]) == [early["id"]]
    assert listed(starts_from=early["start_time"], starts_before=late["start_time"], therapist_id=other) == []


def test_a_session_that_others_wrote_may_have_gaps(world: World) -> None:
    world.run("insert into sessions (status) values ('cancelled')")

    (session,) = Bookings(world.connection).list_sessions()

    assert (session.user_id, session.start_time, session.title, session.time_zone) == (None, None, None, None)
    assert session.to_dict()["start_time"] is None


@pytest.mark.parametrize("kind", [kind for kind in OURS if "sqlalchemy" not in kind])
async def test_session_without_an_end_in_time_is_read(world: World, kind: str) -> None:
    booked = world.book(world.client(credits=1), world.therapist())["id"]
    # A row from before such times were refused.
    world.run("alter table sessions disable trigger user")
    world.run("update sessions set start_time = '-infinity', end_time = 'infinity' where id = %s", booked)

    async with opened(world, kind) as database:
        (session,) = await result_of(database.bookings.list_sessions())

    assert (session.start_time.year, session.end_time.year) == (1, 9999)
    assert session.to_dict()["end_time"].startswith("9999")


def test_history_is_read_in_pages(world: World) -> None:
    client = world.client(credits=1)
    bookings = Bookings(world.connection)
    bookings.grant_credits(client, 2)

    (newest,) = bookings.get_credit_history(client, limit=1)
    (oldest,) = bookings.get_credit_history(client, before=newest.created_at)

    assert (newest.amount, oldest.amount) == (2, 1)


def test_records_become_json_the_way_postgrest_writes_it(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = book_session(
        world.connection, user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
    )

    world.run("set timezone = 'UTC'")  # PostgREST's
    for fraction in ("", ".5", ".879", ".12", ".000001", ".123456", ".100001"):
        text = f"2030-01-07 10:00:20{fraction}+00"
        ((instant, as_json),) = world.run("select t.t, to_json(t.t) from (select %s::timestamptz) as t (t)", text)
        assert OpeningPeriod(instant, instant).to_dict()["start_time"] == as_json
    (row,) = world.run("select to_json(s) from (select * from sessions) as s")
    written = session.to_dict()

    assert written.pop("credits_balance") == 0
    assert written.items() <= row[0].items()


# --- whose transaction it is ---


async def book_something(bookings: Any, client: UUID, therapist: UUID, at: str = "10:00") -> Any:
    return await result_of(
        bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time=at)
    )


@pytest.mark.parametrize("kind", CALLERS)
async def test_callers_transaction_is_left_to_the_caller(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=2), shared_world.therapist()
    async with opened(shared_world, kind) as database:
        await book_something(database.bookings, client, therapist, "10:00")
        assert sessions_of(shared_world, client) == 0
        await result_of(database.rollback())
        assert sessions_of(shared_world, client) == 0
        assert shared_world.balance(client) == 2

        if kind.endswith("in a block"):
            return
        await book_something(database.bookings, client, therapist, "11:00")
        assert sessions_of(shared_world, client) == 0
        await result_of(database.commit())
        assert sessions_of(shared_world, client) == 1
        assert shared_world.balance(client) == 1


@pytest.mark.parametrize("kind", CALLERS)
async def test_caller_rolls_back_after_an_error(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=1), shared_world.therapist()
    async with opened(shared_world, kind) as database:
        await book_something(database.bookings, client, therapist)
        with pytest.raises(BookingConflict):
            await book_something(database.bookings, client, therapist)
        with pytest.raises(BookingFailed) as caught:
            await result_of(database.bookings.get_credit_balance(client))
        assert caught.value.detail["sqlstate"] == "25P02"  # in_failed_sql_transaction
        await result_of(database.rollback())
        assert await result_of(database.bookings.get_credit_balance(client)) == 1


def test_in_a_savepoint_the_transaction_goes_on(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    with psycopg.connect(world.url) as connection:
        bookings = Bookings(connection)
        bookings.register_client("kept@example.com")
        with pytest.raises(TherapistNotFound), connection.transaction():
            bookings.book_session(user_id=client, therapist_id=uuid4(), session_date=TOMORROW, session_time="10:00")
        bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00")

    assert world.count("sessions") == 1
    assert world.count("users where email = 'kept@example.com'") == 1


@pytest.mark.parametrize("kind", OURS)
async def test_a_transaction_of_ours_is_ended_either_way(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=2), shared_world.therapist()
    async with opened(shared_world, kind) as database:
        await book_something(database.bookings, client, therapist)
        assert sessions_of(shared_world, client) == 1
        with pytest.raises(BookingConflict):
            await book_something(database.bookings, client, therapist)
        # The one connection of the pool is as good as before, and holds nothing open.
        assert await result_of(database.bookings.get_credit_balance(client)) == 1
        assert (
            shared_world.run(
                "select pid from pg_stat_activity where datname = current_database() and xact_start is not null"
                " and pid <> pg_backend_pid()"
            )
            == []
        )


@pytest.mark.parametrize("kind", OURS)
async def test_locks_are_refused_where_they_would_be_gone_at_once(shared_world: World, kind: str) -> None:
    async with opened(shared_world, kind) as database:
        with pytest.raises(RuntimeError, match="transaction"):
            await result_of(database.bookings.lock_for_booking([shared_world.client()]))


@pytest.mark.parametrize("kind", CALLERS)
async def test_locks_are_held_until_the_transaction_ends(shared_world: World, kind: str) -> None:
    people = [shared_world.client(), str(shared_world.therapist())]
    held = (
        "pg_locks where locktype = 'advisory' and granted and database ="
        " (select oid from pg_database where datname = current_database())"
    )
    async with opened(shared_world, kind) as database:
        assert await result_of(database.bookings.lock_for_booking(people)) is None
        assert shared_world.count(held) >= 2
        await result_of(database.rollback())
        assert shared_world.count(held) == 0


def test_call_flushes_a_sqlalchemy_session(world: World) -> None:
    class Base(sqlalchemy.orm.DeclarativeBase): ...

    class User(Base):
        __tablename__ = "users"
        id: sqlalchemy.orm.Mapped[UUID] = sqlalchemy.orm.mapped_column(primary_key=True)
        email: sqlalchemy.orm.Mapped[str]

    engine = sqlalchemy.create_engine(sqlalchemy_url(world, "psycopg"))
    with sqlalchemy.orm.Session(engine) as session:
        session.add(User(id=uuid4(), email="new@example.com"))
        with session.no_autoflush, pytest.raises(UserNotFound):
            Bookings(session).grant_credits(next(iter(session.new)).id, 1)
        session.rollback()

        user = User(id=uuid4(), email="new@example.com")
        session.add(user)
        assert Bookings(session).grant_credits(user.id, 1).credits_balance == 1
        session.rollback()
    engine.dispose()

    assert world.count("users") == 0


# --- what is tried again ---


def fail_at_first(
    world: World, client: UUID, sqlstate: str, times: int, what: str = "insert on sessions"
) -> Callable[[], int]:
    """Make each new session of this client, or what else, fail that many times; return how often it was tried."""
    name = f"fail_{client.hex[:8]}_{what.replace(' ', '_')}"
    # A sequence counts on through rollbacks.
    world.run(f"create sequence {name}")
    world.run(
        f"create function {name}() returns trigger language plpgsql as $$begin "
        f"if nextval('public.{name}') <= {times} then raise exception using errcode = '{sqlstate}'; end if; "
        "return new; end$$"
    )
    world.run(
        f"create trigger {name} after {what} for each row when (new.user_id = '{client}') execute function {name}()"
    )
    return lambda: int(world.scalar(f"select case when is_called then last_value else 0 end from {name}"))


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
@pytest.mark.parametrize("kind", OURS)
async def test_call_that_owns_its_transaction_is_retried(shared_world: World, kind: str, sqlstate: str) -> None:
    client, therapist = shared_world.client(credits=1), shared_world.therapist()
    tries = fail_at_first(shared_world, client, sqlstate, times=2)

    async with opened(shared_world, kind) as database:
        session = await book_something(database.bookings, client, therapist)

    assert tries() == 3
    assert shared_world.run("select id from sessions where user_id = %s", client) == [(session.id,)]
    assert shared_world.balance(client) == 0
    assert shared_world.violations() == []


@pytest.mark.parametrize("kind", OURS)
async def test_change_without_a_key_is_run_again_and_done_once(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=3), shared_world.therapist()
    session = shared_world.book(client, therapist)
    hold = Bookings(shared_world.connection).hold_slot(
        user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00"
    )
    tries = {
        what: fail_at_first(shared_world, client, "40001", 2, what)
        for what in ("insert on sessions", "update of status on sessions", "insert on user_credits")
    }

    async with opened(shared_world, kind) as database:
        booked = await result_of(database.bookings.book_hold(hold.id))
        cancelled = await result_of(database.bookings.cancel_session(session["id"]))
        added = await result_of(database.bookings.adjust_credits(client, 4, reason="forgotten"))

    assert {what: tried() for what, tried in tries.items()} == dict.fromkeys(tries, 3)
    assert (booked.credits_balance, cancelled.credits_balance, added.credits_balance) == (1, 2, 6)
    assert shared_world.run("select amount from bookingdb.ledger where user_id = %s order by id", client) == [
        (3,),
        (-1,),
        (-1,),
        (1,),
        (4,),
    ]
    assert shared_world.violations() == []


@pytest.mark.parametrize("kind", ["url", "async pool"])
async def test_serialization_failures_are_not_retried_for_ever(shared_world: World, kind: str) -> None:
    client, therapist = shared_world.client(credits=1), shared_world.therapist()
    tries = fail_at_first(shared_world, client, "40001", times=1000)

    async with opened(shared_world, kind) as database:
        with pytest.raises(BookingFailed) as caught:
            await book_something(database.bookings, client, therapist)

    assert tries() == 6
    assert caught.value.detail["sqlstate"] == "40001"
    assert caught.value.hint
    assert shared_world.balance(client) == 1


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
@pytest.mark.parametrize("kind", CALLERS)
async def test_a_transaction_of_the_caller_s_is_not_run_again(shared_world: World, kind: str, sqlstate: str) -> None:
    client, therapist = shared_world.client(credits=1), shared_world.therapist()
    tries = fail_at_first(shared_world, client, sqlstate, times=1)

    async with opened(shared_world, kind) as database:
        with pytest.raises(BookingFailed) as caught:
            await book_something(database.bookings, client, therapist)

    assert tries() == 1
    assert caught.value.detail["sqlstate"] == sqlstate


def test_a_pipeline_is_the_caller_s_transaction_too(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    tries = fail_at_first(world, client, "40001", times=1)

    with world.connect() as connection, connection.pipeline(), pytest.raises(BookingFailed) as caught:
        Bookings(connection).book_session(
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
        )

    assert caught.value.detail["sqlstate"] == "40001"
    assert tries() == 1
    assert world.count("sessions") == 0


@pytest.mark.parametrize("sqlstate", ["23505", "57014"])
async def test_other_errors_are_not_tried_again(world: World, sqlstate: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    tries = fail_at_first(world, client, sqlstate, times=1)

    with pytest.raises(BookingFailed):
        await book_something(Bookings(world.url), client, therapist)

    assert tries() == 1


def wait_until_somebody_is_blocked(world: World) -> None:
    deadline = time.monotonic() + 10
    while not world.count("pg_locks where not granted"):
        assert time.monotonic() < deadline, "nobody waits for a lock"
        time.sleep(0.005)


class Racer(threading.Thread):
    """Books in a thread of its own, and keeps the outcome."""

    def __init__(self, book: Callable[[], Any]) -> None:
        super().__init__()
        self.book = book
        self.outcome: Any = None

    def run(self) -> None:
        try:
            self.outcome = self.book()
        except Exception as error:
            self.outcome = error


@pytest.mark.parametrize("ours", [True, False])
def test_two_real_transactions_that_cannot_be_serialized(world: World, ours: bool) -> None:
    database = conninfo_to_dict(world.url)["dbname"]
    world.run(f"alter database {database} set default_transaction_isolation = 'repeatable read'")
    client, therapist = world.client(credits=2), world.therapist()
    # Both take their snapshot before either has changed the lot, and the second finds it changed.
    with psycopg.connect(world.url) as first, psycopg.connect(world.url, autocommit=ours) as second:
        Bookings(first).book_session(
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00"
        )
        racer = Racer(
            lambda: Bookings(second).book_session(
                user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00"
            )
        )
        racer.start()
        wait_until_somebody_is_blocked(world)
        first.commit()
        racer.join(10)

    if ours:
        assert isinstance(racer.outcome, BookedSession), repr(racer.outcome)
        assert racer.outcome.credits_balance == 0
    else:
        assert isinstance(racer.outcome, BookingFailed)
        assert racer.outcome.detail["sqlstate"] == "40001"
    assert world.count("sessions") == (2 if ours else 1)
    assert world.violations() == []


# --- what cannot be reached or is not meant ---


@pytest.mark.parametrize("kind", ["url", "async url"])
async def test_a_server_that_is_not_there(kind: str) -> None:
    url = "postgresql://somebody:geheim@127.0.0.1:1/nowhere"
    bookings: Any = AsyncBookings(url) if kind == "async url" else Bookings(url)

    with pytest.raises(BookingFailed) as caught:
        await result_of(bookings.get_credit_balance(uuid4()))

    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert "geheim" not in f"{caught.value} {caught.value.detail} {caught.value.__cause__}"
    assert caught.value.http_status == 500


def test_a_connection_that_is_closed_and_a_pool_without_one(world: World) -> None:
    connection = world.connect()
    connection.close()
    with pytest.raises(BookingFailed) as caught:
        Bookings(connection).list_sessions()
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)

    with psycopg_pool.ConnectionPool(world.url, min_size=1, max_size=1, timeout=0.1) as pool:
        with pool.connection(), pytest.raises(BookingFailed) as caught:
            Bookings(pool).list_sessions()
        assert isinstance(caught.value.__cause__, psycopg_pool.PoolTimeout)


def test_a_database_without_bookingdb(empty_database: str) -> None:
    with pytest.raises(BookingFailed) as caught:
        Bookings(empty_database).get_credit_balance(uuid4())

    assert "bookingdb migrate" in str(caught.value)


def test_a_sqlalchemy_connection_to_something_else() -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(BookingFailed) as caught:
        Bookings(connection).list_sessions()
    engine.dispose()

    assert "psycopg" in str(caught.value.__cause__)


async def test_object_that_is_no_database_is_refused_at_once(world: World) -> None:
    engine = sqlalchemy.create_engine(sqlalchemy_url(world, "psycopg"))
    not_databases: list[Any] = [
        None,
        7,
        b"postgresql://",
        object(),
        engine,
        psycopg.Connection,
        sqlalchemy.orm.Session,
        sqlalchemy.orm.sessionmaker(engine),
        engine.raw_connection().cursor(),
    ]
    for value in not_databases:
        for bookings in (Bookings, AsyncBookings):
            with pytest.raises(TypeError, match="a database URL, a psycopg connection"):
                bookings(value)
    engine.dispose()


@pytest.mark.parametrize("kind", [kind for kind in OURS + CALLERS if not kind.endswith("url")])
async def test_other_kind_of_database_is_refused_by_its_name(shared_world: World, kind: str) -> None:
    async with opened(shared_world, kind) as database:
        if isinstance(database.bookings, Bookings):
            with pytest.raises(TypeError, match=r"that is for Bookings$"):
                AsyncBookings(database.bookings._db)
        else:
            with pytest.raises(TypeError, match=r"that is for AsyncBookings$"):
                Bookings(database.bookings._db)


def test_errors_have_the_context(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    bookings = Bookings(world.connection)

    with pytest.raises(InsufficientCredits) as poor:
        bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00")
    with pytest.raises(InPast) as late:
        bookings.book_session(user_id=client, therapist_id=therapist, session_date="2020-01-01", session_time="10:00")

    assert poor.value.detail["credits_balance"] == 0
    assert late.value.detail["start_time"].startswith("2020-01-01T10:00")


def test_refused_change_of_a_session_has_its_class(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    bookings = Bookings(world.connection)
    nobody = uuid4()
    slot: dict[str, Any] = {
        "user_id": client,
        "therapist_id": therapist,
        "session_date": TOMORROW,
        "session_time": "10:00",
    }

    for change in (
        bookings.cancel_session,
        bookings.approve_session,
        bookings.confirm_session,
        bookings.start_session,
        bookings.complete_session,
        bookings.mark_no_show,
        bookings.reopen_session,
        partial(bookings.reschedule_session, session_date=TOMORROW, session_time="10:00"),
    ):
        with pytest.raises(SessionNotFound) as missing:
            change(nobody)
        assert missing.value.detail["session_id"] == str(nobody)
    for use in (bookings.release_hold, bookings.book_hold):
        with pytest.raises(HoldNotFound) as unheld:
            use(nobody)
        assert unheld.value.detail["hold_id"] == str(nobody)

    hold = bookings.hold_slot(**slot)
    with pytest.raises(BookingConflict):
        bookings.book_session(**{**slot, "user_id": world.client(credits=1)})
    session = bookings.book_hold(hold.id)
    assert bookings.book_hold(hold.id) == session
    with pytest.raises(HoldExpired) as booked:
        bookings.book_hold(hold.id, idempotency_key="another")
    assert booked.value.detail["reason"] == "booked"
    with pytest.raises(InvalidTransition):
        bookings.release_hold(hold.id)
    with pytest.raises(InvalidTransition) as early:
        bookings.complete_session(session.id)
    assert (early.value.detail["status"], early.value.detail["asked"]) == ("scheduled", "completed")
    bookings.cancel_session(session.id)
    with pytest.raises(InvalidTransition):
        bookings.cancel_session(session.id)
    with pytest.raises(InsufficientCredits) as poor:
        bookings.book_series(**slot, occurrences=3)
    assert (poor.value.detail["occurrence"], poor.value.detail["session_date"]) == (
        3,
        str(TOMORROW + dt.timedelta(days=14)),
    )
    assert poor.value.__cause__ is not None


def test_refusals_of_credits_and_policies_have_their_class(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    bookings = Bookings(world.connection)
    nothing = uuid4()

    with pytest.raises(LotNotFound) as missing:
        bookings.adjust_credits(client, 1, reason="r", lot_id=nothing)
    assert missing.value.detail["lot_id"] == str(nothing)
    with pytest.raises(LotNotFound):
        bookings.revoke_grant(nothing)
    with pytest.raises(LotNotFound):
        bookings.revoke_grant(payment_reference="pi_0")
    with pytest.raises(PackageNotFound):
        bookings.set_package("Ten", 10, package_id=nothing)
    with pytest.raises(InsufficientCredits):
        bookings.transfer_credits(client, world.client(), 3, reason="r")
    with pytest.raises(InsufficientCredits) as poor:
        bookings.adjust_credits(client, -3, reason="r")
    assert poor.value.detail["credits_balance"] == 2
    with pytest.raises(UserNotFound):
        bookings.get_credit_statement(nothing, dt.datetime(2030, 1, 1, tzinfo=UTC), dt.datetime(2031, 1, 1, tzinfo=UTC))
    for unlikely in (
        lambda: bookings.adjust_credits(client, 0, reason="r"),
        lambda: bookings.adjust_credits(client, 1, reason=" "),
        lambda: bookings.grant_credits(client, 1, category="stolen"),
        lambda: bookings.grant_credits(client, 1, priority=101),
        lambda: bookings.get_credit_statement(
            client, dt.datetime(2031, 1, 1, tzinfo=UTC), dt.datetime(2030, 1, 1, tzinfo=UTC)
        ),
        lambda: bookings.set_policy(hold_lifetime=None),
        lambda: bookings.set_policy(refund_grace=dt.timedelta(days=3651)),
        lambda: bookings.set_policy(minimum_duration_minutes=181),
    ):
        with pytest.raises(InvalidParameter):
            unlikely()
    with pytest.raises(InvalidTimeZone):
        bookings.set_policy(time_zone="Mars")
    with pytest.raises(TherapistNotFound):
        bookings.get_policy(nothing)
    with pytest.raises(TherapistNotFound):
        bookings.set_policy(therapist_id=nothing)

    bookings.set_policy(therapist_id=therapist, minimum_duration_minutes=50, maximum_duration_minutes=50)
    with pytest.raises(InvalidDuration) as short:
        bookings.book_session(user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00")
    assert (short.value.detail["minimum"], short.value.detail["maximum"]) == (50, 50)


# --- the surface ---


def public_methods(of: type) -> dict[str, Callable[..., Any]]:
    """The methods that are calls."""
    return {name: method for name, method in vars(of).items() if not name.startswith("_") and name != "acting_as"}


def test_both_classes_have_a_method_for_each_builder() -> None:
    builders = {name: value for name in calls.__all__ if inspect.isfunction(value := getattr(calls, name))}

    assert public_methods(Bookings).keys() == public_methods(AsyncBookings).keys() == builders.keys()
    for name, method in public_methods(Bookings).items():
        twin = public_methods(AsyncBookings)[name]
        assert inspect.signature(method) == inspect.signature(twin)
        assert method.__doc__ == twin.__doc__ == builders[name].__doc__
        assert not inspect.iscoroutinefunction(method)
        assert inspect.iscoroutinefunction(twin)
        assert method.__qualname__ == f"Bookings.{name}"
        assert twin.__qualname__ == f"AsyncBookings.{name}"


def test_signatures_are_those_of_the_builders() -> None:
    builder = inspect.signature(calls.grant_credits)
    method = inspect.signature(Bookings("").grant_credits)

    assert method.parameters == builder.parameters
    assert method.return_annotation is CreditGrant
    assert get_type_hints(Bookings.get_credit_history)["return"] == list[CreditEntry]
    assert list(inspect.signature(book_session).parameters)[:3] == ["db", "user_id", "therapist_id"]


def test_every_public_function_of_the_database_has_a_method(world: World) -> None:
    functions = {
        name
        for (name,) in world.run(
            "select proname::text from pg_proc where pronamespace = 'public'::regnamespace"
            " and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')"
        )
    }
    functions.remove("create_session_with_credit_deduction")

    assert functions | {"book_session"} == public_methods(Bookings).keys()


def test_importing_the_package_loads_no_driver() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, bookingdb; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "bookingdb.client" in loaded
    assert not {"psycopg", "psycopg_pool", "sqlalchemy", "click", "rich"} & set(loaded)


async def test_types_are_what_type_checkers_see(world: World) -> None:
    """Mostly for mypy, which checks this file: `assert_type` fails there if a type got lost on the way."""
    bookings = Bookings(world.connection)
    client = assert_type(bookings.register_client("a@example.com"), UUID)
    assert_type(bookings.grant_credits(client, 1), CreditGrant)
    assert_type(bookings.get_credit_balance(client), int)
    assert_type(bookings.get_credit_history(client), list[CreditEntry])
    assert_type(bookings.list_sessions(), list[ListedSession])
    assert_type(bookings.get_policy(), Policy)
    therapist = bookings.register_therapist("t@example.com")
    assert_type(bookings.list_available_slots(therapist, TOMORROW, TOMORROW), list[AvailableSlot])
    assert_type(bookings.next_available_slot(therapist), AvailableSlot | None)
    assert_type(bookings.set_weekly_hours(therapist, []), list[WeeklyWindow])
    assert_type(bookings.sync_external_busy(therapist, "s", []), SyncedBusy)
    assert_type(bookings.set_policy(time_zone="UTC"), Policy)
    # What a type checker refuses, the call refuses, too: strict mypy would say so if it did not.
    with pytest.raises(TypeError, match="colour"):
        bookings.set_policy(colour="red")  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(InvalidParameter):
        bookings.set_policy(hold_lifetime=5)  # type: ignore[arg-type]  # wrong on purpose

    asynchronous = AsyncBookings(world.url)
    task = asyncio.create_task(asynchronous.get_credit_balance(client))
    assert assert_type(await task, int) == 1
    with pytest.raises(TypeError):
        bookings.get_credit_balance()  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(TypeError):
        bookings.get_credit_balance(client, user=client)  # type: ignore[call-arg]  # wrong on purpose
