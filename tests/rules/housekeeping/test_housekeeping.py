"""Housekeeping: what goes, what stays, and what it may never hurt."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.interleaving import holding, session_of
from tests.support.life import call, expire_hold, rows
from tests.support.refusals import refused

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
LONG_AGO = 31 * DAY
LAST_WEEK = 7 * DAY


def clean(world: World, **options: Any) -> dict[str, int]:
    """Call housekeeping, and return the counts that are not 0."""
    removed = call(world.connection, "housekeeping", **options)
    assert world.violations() == []
    return {kind: count for kind, count in removed.items() if count}


def age_keys(world: World, by: dt.timedelta = LONG_AGO) -> None:
    world.run("update bookingdb.idempotency_keys set created_at = created_at - %s", by)


def age_holds(world: World) -> None:
    """Let all holds have been placed long ago, for times that are long over; the calendar follows."""
    period = "start_time = start_time - %(by)s, end_time = end_time - %(by)s"
    with world.connection.transaction():
        world.connection.execute(
            f"update bookingdb.holds set created_at = created_at - %(by)s, {period}", {"by": 2 * LONG_AGO}
        )
        world.connection.execute(
            "update bookingdb.calendar set period = tstzrange(lower(period) - %(by)s, upper(period) - %(by)s),"
            " blocked = tstzrange(lower(blocked) - %(by)s, upper(blocked) - %(by)s) where kind = 'hold'",
            {"by": 2 * LONG_AGO},
        )


def age_session(world: World, session: UUID, days: int) -> None:
    """Let a session have been booked for a time this many days before, as if so much time had passed."""
    with world.connect(user=world.superuser) as superuser, superuser.transaction():
        superuser.execute("set local session_replication_role = replica")
        superuser.execute(
            "update sessions set start_time = start_time - %(by)s, end_time = end_time - %(by)s,"
            " scheduled_date = scheduled_date - %(days)s where id = %(id)s",
            {"by": days * DAY, "days": days, "id": session},
        )
        superuser.execute(
            "update bookingdb.calendar set period = tstzrange(lower(period) - %(by)s, upper(period) - %(by)s),"
            " blocked = tstzrange(lower(blocked) - %(by)s, upper(blocked) - %(by)s) where id = %(id)s",
            {"by": days * DAY, "id": session},
        )


def keys(world: World) -> set[str]:
    return {key for (key,) in world.run("select key from bookingdb.idempotency_keys")}


def past_session(world: World, client: UUID, therapist: UUID, ago: dt.timedelta = LONG_AGO, **columns: Any) -> UUID:
    """A session of an hour that ended this long ago, and that nobody closed; written by the application."""
    end = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - ago
    written = {
        "user_id": client, "therapist_id": therapist, "start_time": end - dt.timedelta(hours=1), "end_time": end,
        **columns,
    }  # fmt: skip
    names, places = ", ".join(written), ", ".join(["%s"] * len(written))
    session: UUID = world.scalar(f"insert into sessions ({names}) values ({places}) returning id", *written.values())
    return session


def in_calendar(world: World, row: UUID) -> bool:
    return bool(world.scalar("select count(*) from bookingdb.calendar where id = %s", row))


# ----------------------------------------------------------------------------------------------------------------------
# Idempotency keys
# ----------------------------------------------------------------------------------------------------------------------


def test_key_goes_when_it_is_old_and_its_session_over(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    for key, at in (("over", "10:00"), ("to come", "11:00")):
        world.book(client, therapist, at, idempotency_key=key)
    over = world.scalar("select result_id from bookingdb.idempotency_keys where key = 'over'")
    assert clean(world) == {}
    age_keys(world)
    assert clean(world) == {}
    age_session(world, over, 3)

    assert clean(world, dry_run=True) == {"idempotency_keys": 1}
    assert clean(world) == {"idempotency_keys": 1}
    assert keys(world) == {"to come"}
    again = world.book(client, therapist, "11:00", idempotency_key="to come")
    assert world.scalar("select count(*) from sessions where id = %s", again["id"]) == 1
    assert world.balance(client) == 1


def test_key_of_a_cancelled_session_to_come_stays(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    booked = world.book(client, therapist, idempotency_key="booked")["id"]
    call(world.connection, "cancel_session", session_id=booked, idempotency_key="cancelled")
    age_keys(world)

    assert clean(world) == {}
    assert world.book(client, therapist, idempotency_key="booked")["status"] == "cancelled"
    assert world.count("sessions") == 1


@pytest.mark.parametrize("how", ["session", "series"])
def test_key_of_a_session_moved_earlier_stays(world: World, how: str) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    booking = {"user_id": client, "therapist_id": therapist, "session_date": TOMORROW + 9 * DAY,
               "session_time": "10:00", "idempotency_key": "booked"}  # fmt: skip
    if how == "series":
        call_again = partial(rows, world.connection, "book_series", occurrences=2, **booking)
    else:
        call_again = partial(rows, world.connection, "create_session_with_credit_deduction", **booking)
    sessions = [row["id"] for row in call_again()]
    for place, session in enumerate(sessions):
        call(world.connection, "reschedule_session", session_id=session, session_date=TOMORROW,
             session_time=f"{10 + place}:00")  # fmt: skip
        age_session(world, session, 3)
        call(world.connection, "complete_session", session_id=session)
    age_keys(world)

    assert clean(world) == {}
    assert [row["id"] for row in call_again()] == sessions
    assert world.count("sessions") == len(sessions)


def test_key_of_a_series_stays_until_its_last_session_is_over(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    series = rows(world.connection, "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                  session_time="10:00", occurrences=3, idempotency_key="series")  # fmt: skip
    age_keys(world)
    for number, session in enumerate(series):
        assert clean(world) == {}
        age_session(world, session["id"], 3 + 8 * number)

    assert clean(world) == {"idempotency_keys": 1}


def test_key_of_a_hold_stays_until_its_time_is_over(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    slot = {"user_id": client, "therapist_id": therapist, "session_date": TOMORROW, "session_time": "10:00"}
    hold = call(world.connection, "hold_slot", **slot, idempotency_key="held")["id"]
    booked = call(world.connection, "book_hold", hold_id=hold, idempotency_key="booked")["id"]
    age_keys(world)
    world.run("update bookingdb.holds set created_at = created_at - %s", LONG_AGO)
    assert clean(world) == {}
    assert call(world.connection, "hold_slot", **slot, idempotency_key="held")["id"] == hold
    assert call(world.connection, "book_hold", hold_id=hold, idempotency_key="booked")["id"] == booked

    age_holds(world)
    age_session(world, booked, 9)
    assert clean(world) == {"idempotency_keys": 2, "holds": 1}


def test_key_of_credits_stays_unless_its_payment_guards_it(world: World) -> None:
    client = world.client()
    grant = {"user_id": client, "amount": 2}
    bought = call(world.connection, "grant_credits", **grant, payment_reference="pi_1", idempotency_key="bought")
    call(world.connection, "grant_credits", **grant, idempotency_key="given")
    call(world.connection, "adjust_credits", **grant, reason="forgotten", idempotency_key="corrected")
    age_keys(world, 3650 * DAY)

    assert clean(world) == {"idempotency_keys": 1}
    assert keys(world) == {"given", "corrected"}
    again = call(world.connection, "grant_credits", **grant, payment_reference="pi_1", idempotency_key="bought")
    assert again["lot_id"] == bought["lot_id"]
    call(world.connection, "grant_credits", **grant, idempotency_key="given")
    assert world.balance(client) == 6


def test_retention_is_a_setting_of_the_default_policy(world: World) -> None:
    world.run(
        "insert into bookingdb.idempotency_keys"
        " (function_name, user_id, key, request_hash, result_id, credits_balance)"
        " values ('confirm_session', %s, 'k', '', %s, 0)",
        *(uuid4(), uuid4()),
    )
    world.run("select set_policy('{\"retention_days\": 60}')")
    age_keys(world, 59 * DAY)
    assert call(world.connection, "housekeeping")["idempotency_keys"] == 0
    age_keys(world, 2 * DAY)
    assert call(world.connection, "housekeeping")["idempotency_keys"] == 1
    for days in (0, 3651):
        with refused("invalid_parameter"):
            world.run("select set_policy(%s)", Jsonb({"retention_days": days}))


# ----------------------------------------------------------------------------------------------------------------------
# Holds and events
# ----------------------------------------------------------------------------------------------------------------------


def test_expired_hold_leaves_the_calendar_and_later_the_records(world: World) -> None:
    therapist = world.therapist()
    slot = {"therapist_id": therapist, "session_date": TOMORROW}
    expired, live, released = [
        call(world.connection, "hold_slot", user_id=world.client(), session_time=at, **slot)["id"]
        for at in ("10:00", "12:00", "14:00")
    ]
    expire_hold(world.connection, expired)
    call(world.connection, "release_hold", hold_id=released)

    assert clean(world) == {"held_times": 1}
    assert [in_calendar(world, hold) for hold in (expired, live)] == [False, True]
    assert world.count("bookingdb.holds") == 3
    with refused("hold_expired"):
        call(world.connection, "book_hold", hold_id=expired)
    age_holds(world)
    # One that is still in the calendar stays.
    assert clean(world) == {"holds": 2}


def test_hold_stays_as_long_as_its_key(world: World) -> None:
    slot = {"user_id": world.client(), "therapist_id": world.therapist(), "session_date": TOMORROW}
    hold = call(world.connection, "hold_slot", **slot, session_time="10:00", idempotency_key="held")["id"]
    call(world.connection, "release_hold", hold_id=hold)
    age_holds(world)

    assert clean(world) == {}
    age_keys(world)
    assert clean(world) == {"idempotency_keys": 1, "holds": 1}


def test_event_goes_when_it_was_handled_long_ago(world: World) -> None:
    world.run("delete from bookingdb.outbox")
    for ago in (None, LAST_WEEK, LONG_AGO, LONG_AGO):
        world.run(
            "insert into bookingdb.outbox (event, subject_id, payload, created_at, handled_at)"
            " values ('a test', %s, '{}', now() - interval '1 year', now() - %s::interval)",
            *(uuid4(), ago),
        )
    assert clean(world) == {"events": 2}
    assert world.count("bookingdb.outbox") == 2


# ----------------------------------------------------------------------------------------------------------------------
# Past times
# ----------------------------------------------------------------------------------------------------------------------


def test_past_time_off_and_appointments_leave_the_calendar(world: World) -> None:
    # One has no sessions and cannot be booked any more.
    therapists = [world.therapist(), world.therapist()]
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for therapist in therapists:
        for ago in (40 * DAY, LAST_WEEK, -LAST_WEEK):
            call(world.connection, "add_time_off", therapist_id=therapist, start=now - ago - DAY, end=now - ago)
        event = {
            "external_id": "a",
            "start_time": (now - 50 * DAY).isoformat(),
            "end_time": (now - LONG_AGO).isoformat(),
        }
        rows(world.connection, "sync_external_busy", therapist_id=therapist, source="google", events=Jsonb([event]))
    world.run("select set_therapist_active(%s, false)", therapists[0])

    removed = clean(world)
    assert (removed["time_off"], removed["external_events"]) == (2, 2)
    listed = rows(
        world.connection, "list_time_off", therapist_id=therapists[1], **{"from": now - 99 * DAY, "to": now + 99 * DAY}
    )
    assert len(listed) == 2


def test_past_session_that_nobody_closed_leaves_the_calendar(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    old, recent = past_session(world, client, therapist), past_session(world, client, therapist, LAST_WEEK)
    to_come = world.book(client, therapist)["id"]

    assert clean(world, dry_run=True) == {"session_times": 1}
    assert clean(world) == {"session_times": 1}
    assert clean(world) == {}
    assert [in_calendar(world, session) for session in (old, recent, to_come)] == [False, True, True]
    assert world.scalar("select status from sessions where id = %s", old) == "scheduled"
    assert world.run("select id from bookingdb.unplaced_sessions()") == []


@pytest.mark.parametrize("change", ["complete_session", "mark_no_show", "cancel_session"])
def test_session_without_its_past_time_can_be_closed(world: World, change: str) -> None:
    client, therapist = world.client(), world.therapist()
    session = past_session(world, client, therapist)
    clean(world)

    call(world.connection, change, session_id=session)
    assert world.scalar("select status from sessions where id = %s", session) in ("completed", "no_show", "cancelled")
    assert clean(world) == {}


def test_session_without_its_past_time_can_be_written(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    session = past_session(world, client, therapist)
    clean(world)
    # Somebody records what else took place then: nothing stands there any more.
    other = past_session(world, world.client(), therapist)

    for change in ("title = 'another'", "status = 'confirmed'", "status = 'cancelled'", "status = 'scheduled'",
                   "user_id = null", "start_time = start_time - interval '5 minutes'"):  # fmt: skip
        world.run(f"update sessions set {change} where id = %s", session)
        assert world.violations() == []
        assert not in_calendar(world, session)
    assert in_calendar(world, other)

    # Moved to a time to come it has its place again, and everybody else's counts.
    start = dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)
    move = "update sessions set start_time = %s, end_time = %s, scheduled_date = %s, scheduled_time = '10:00'"
    move += " where id = %s"
    world.book(world.client(credits=1), therapist, "10:00")
    with refused("booking_conflict"):
        world.run(move, start, start + dt.timedelta(hours=1), TOMORROW, session)
    start += dt.timedelta(hours=2)
    world.run(move.replace("10:00", "12:00"), start, start + dt.timedelta(hours=1), TOMORROW, session)
    assert in_calendar(world, session)
    world.run("delete from sessions where id = %s", session)
    assert world.violations() == []


def test_new_session_in_the_past_still_overlaps_none(world: World) -> None:
    therapist = world.therapist()
    past_session(world, world.client(), therapist)

    with refused("booking_conflict"):
        past_session(world, world.client(), therapist)


# ----------------------------------------------------------------------------------------------------------------------
# Batches and locks
# ----------------------------------------------------------------------------------------------------------------------


def test_call_removes_as_many_as_it_is_told(world: World) -> None:
    world.run("delete from bookingdb.outbox")
    world.run(
        "insert into bookingdb.outbox (event, subject_id, payload, handled_at)"
        " select 'a test', gen_random_uuid(), '{}', now() - interval '1 year' from generate_series(1, 25)"
    )
    assert clean(world, dry_run=True, limit=10) == {"events": 25}
    assert [clean(world, limit=10).get("events") for _ in range(4)] == [10, 10, 5, None]


def test_locked_row_is_left_for_the_next_run(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    locked, free = past_session(world, client, therapist), past_session(world, client, therapist, LONG_AGO + DAY)
    with holding(world) as other, session_of(world) as cleaner:
        other.execute("select from bookingdb.calendar where id = %s for update", [locked])
        cleaner.execute("set lock_timeout = '2s'")
        assert call(cleaner, "housekeeping")["session_times"] == 1
        assert [in_calendar(world, session) for session in (locked, free)] == [True, False]
    assert clean(world) == {"session_times": 1}


def test_housekeeping_waits_for_no_change_of_rules(world: World) -> None:
    therapist = world.therapist()
    now = dt.datetime.now(dt.UTC)
    call(world.connection, "add_time_off", therapist_id=therapist, start=now - 50 * DAY, end=now - 40 * DAY)
    hours = [{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]
    with holding(world) as other, session_of(world) as cleaner:
        rows(other, "set_weekly_hours", therapist_id=therapist, hours=Jsonb(hours))
        cleaner.execute("set lock_timeout = '2s'")
        assert call(cleaner, "housekeeping")["time_off"] == 1


def test_booking_waits_for_no_housekeeping(world: World) -> None:
    client, therapist = world.client(credits=9), world.therapist()
    past_session(world, client, therapist)
    world.book(client, therapist, "09:00", idempotency_key="to come")
    world.run("update bookingdb.outbox set handled_at = now() - interval '1 year'")
    hold = call(world.connection, "hold_slot", user_id=world.client(), therapist_id=therapist, session_date=TOMORROW,
                session_time="10:00")["id"]  # fmt: skip
    expire_hold(world.connection, hold)
    age_keys(world)
    with world.connect() as cleaner, world.connect(options="-c lock_timeout=2s") as caller:
        with cleaner.transaction():
            removed = call(cleaner, "housekeeping")
            assert removed["session_times"] == removed["held_times"] == 1
            # Everything but the time of the expired hold is booked meanwhile.
            for at in ("11:00", "12:00"):
                book = "select id from create_session_with_credit_deduction(%s, %s, %s, %s, p_idempotency_key => %s)"
                caller.execute(book, [client, therapist, TOMORROW, at, at])
            caller.execute(book, [client, therapist, TOMORROW, "09:00", "to come"])
        caller.execute(book, [client, therapist, TOMORROW, "10:00", "10:00"])
    assert world.balance(client) == 5
    assert world.violations() == []
