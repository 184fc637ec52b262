"""A session that waits for approval longer than the policy's approval_lifetime lapses."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import pytest

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    HOUR,
    LATER,
    at,
    begin,
    call,
    cancel,
    hold,
    move,
    request_session,
    require_sound,
    set_policy,
)
from tests.support.races import Call, booking, calling, holding_slot, status_of
from tests.support.races import writing as written_by
from tests.support.refusals import nothing_written, outcome, refused
from tests.support.session_records import session_row, writing

OLD = LEVELS[1:]


class Scene:
    """Ada waits for Grace's approval of a session at ten, which lapses in two hours; Bob would like the time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ada, self.bob, self.grace = world.client(credits=5), world.client(credits=5), world.therapist()
        set_policy(world, self.grace, approval_lifetime="2 hours")
        self.request = request_session(world.connection, self.ada, self.grace, at(10))

    @property
    def until(self) -> Any:
        return session_row(self.world, self.request)["approval_until"]

    def lapse(self) -> None:
        """Let the wait be over."""
        past = "update sessions set approval_until = clock_timestamp() - interval '1 second' where id = %s"
        self.world.run(past, self.request)

    def charge(self) -> None:
        """Let the session be charged, and wait all the same."""
        self.approve()
        self.world.run("update sessions set status = 'pending_approval' where id = %s", self.request)

    def approve(self) -> Any:
        return call(self.world.connection, "approve_session", session_id=self.request)

    def slots(self) -> list[Any]:
        statement = "select start_time from list_available_slots(%s, %s, %s)"
        return [start for (start,) in self.world.run(statement, self.grace, TOMORROW, TOMORROW)]


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


# ----------------------------------------------------------------------------------------------------------------------
# Until when a session waits
# ----------------------------------------------------------------------------------------------------------------------


def test_wait_begins_when_the_session_is_written_so(scene: Scene) -> None:
    soon = dt.datetime.now(dt.UTC) + 2 * HOUR
    assert abs(dt.datetime.fromisoformat(scene.until) - soon) < dt.timedelta(minutes=1)
    # A policy that changes later changes nothing, nor does a move.
    before = scene.until
    set_policy(scene.world, scene.grace, approval_lifetime="5 minutes")
    move(scene.world, scene.request, "12:00", LATER)
    scene.world.run("update sessions set scheduled_time = '14:00' where id = %s", scene.request)
    assert scene.until == before
    assert scene.world.violations() == []
    # Who is asked again waits anew.
    for status in ("scheduled", "pending_approval"):
        scene.world.run("update sessions set status = %s where id = %s", status, scene.request)
        assert (scene.until is None) == (status == "scheduled")
    assert dt.datetime.fromisoformat(scene.until) < soon - HOUR
    assert scene.world.violations() == []


def test_session_waits_for_ever_by_default(world: World) -> None:
    request = request_session(world.connection, world.client(), world.therapist(), at(10))
    assert session_row(world, request)["approval_until"] is None
    assert world.run("select expires_at from bookingdb.calendar") == [(None,)]


def test_approved_session_waits_no_longer(scene: Scene) -> None:
    assert scene.approve()["status"] == "scheduled"
    assert scene.until is None
    assert scene.world.run("select expires_at from bookingdb.calendar") == [(None,)]
    require_sound(scene.world)


def test_end_that_is_written_decides(scene: Scene) -> None:
    longer = dt.datetime.now(dt.UTC) + 9 * HOUR
    scene.world.run("update sessions set approval_until = %s where id = %s", longer, scene.request)
    assert scene.world.run("select expires_at from bookingdb.calendar") == [(longer,)]
    scene.world.run(
        "update sessions set status = 'confirmed', approval_until = %s where id = %s", longer, scene.request
    )
    assert scene.until is None
    assert scene.world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# What has lapsed
# ----------------------------------------------------------------------------------------------------------------------


def test_lapsed_session_is_neither_approved_nor_moved(scene: Scene) -> None:
    scene.lapse()
    with nothing_written(scene.world), refused("invalid_transition") as refusal:
        scene.approve()
    assert (refusal.detail["reason"], refusal.detail["asked"]) == ("lapsed", "scheduled")
    with nothing_written(scene.world), refused("invalid_transition"):
        move(scene.world, scene.request, "12:00")
    assert not cancel(scene.world, scene.request)
    require_sound(scene.world)


def test_time_of_a_lapsed_session_is_free_at_once(scene: Scene) -> None:
    assert at(10) not in scene.slots()
    with refused("booking_conflict"):
        scene.world.book(scene.bob, scene.grace)
    scene.lapse()
    assert at(10) in scene.slots()
    check = "select check_booking_conflict(%s, %s, '10:00', '11:00')"
    assert scene.world.scalar(check, scene.grace, TOMORROW) is False

    with writing(scene.world, scene.request) as written:
        scene.world.book(scene.bob, scene.grace)
    assert status_of(scene.world, scene.request) == "cancelled"
    assert session_row(scene.world, scene.request)["cancellation_reason"] == "lapsed"
    ((action, old, new, _, _, _),) = written.audit
    assert (action, old, new) == ("status_changed", "pending_approval", "cancelled")
    assert [event for event, payload in written.events if payload["session_id"] == str(scene.request)] == [
        "session.status_changed"
    ]
    require_sound(scene.world)


@pytest.mark.parametrize("how", ["hold", "direct write", "move", "their own client"])
def test_everybody_can_have_the_time(scene: Scene, how: str) -> None:
    world = scene.world
    other = world.book(scene.bob, scene.grace, "15:00")["id"]
    scene.lapse()
    if how == "hold":
        hold(world, scene.bob, scene.grace)
    elif how == "direct write":
        request_session(world.connection, scene.bob, scene.grace, at(10))
    elif how == "move":
        move(world, other, "10:30")
    else:
        # With somebody else: it is Ada who is free again.
        world.book(scene.ada, world.therapist(), "10:30")
    assert status_of(world, scene.request) == "cancelled"
    require_sound(world)


def test_strangers_booking_leaves_no_name_in_the_audit_log(supabase_world: World) -> None:
    scene = Scene(supabase_world)
    scene.lapse()
    with logged_in(scene.world, scene.bob) as connection, writing(scene.world, scene.request) as written:
        booking(scene.bob, scene.grace)(connection)
    assert [actor for *_, actor, _ in written.audit] == ["bookingdb"]


def test_lapse_is_nobodys_act_in_every_record(supabase_world: World) -> None:
    scene = Scene(supabase_world)
    scene.charge()
    scene.lapse()
    with logged_in(scene.world, scene.bob) as connection, writing(scene.world, scene.request) as written:
        booking(scene.bob, scene.grace)(connection)
    assert [actor for *_, actor, _ in written.audit] == ["bookingdb"]
    refunds = "select actor from bookingdb.ledger where session_id = %s and kind = 'refund'"
    assert scene.world.run(refunds, scene.request) == [("bookingdb",)]
    require_sound(scene.world)


@pytest.mark.parametrize("lot", ["expired", "revoked"])
def test_credit_of_a_lapse_comes_back_as_nobodys_act(scene: Scene, lot: str) -> None:
    scene.charge()
    scene.world.run(
        "update user_credits set expires_at = now() where user_id = %s" if lot == "expired"
        else "update user_credits set status = 'revoked' where user_id = %s", scene.ada,
    )  # fmt: skip
    scene.lapse()
    newest = scene.world.scalar("select max(id) from bookingdb.ledger")
    scene.world.book(scene.bob, scene.grace)
    actors = scene.world.run(
        "select distinct actor from bookingdb.ledger where id > %s and user_id = %s", newest, scene.ada
    )
    assert actors == [("bookingdb",)]


@pytest.mark.parametrize("caller", ["trusted", "housekeeping"])
def test_lapse_found_by_a_trusted_caller_is_nobodys_act(scene: Scene, caller: str) -> None:
    scene.lapse()
    with writing(scene.world, scene.request) as written:
        if caller == "trusted":
            scene.world.book(scene.bob, scene.grace)
        else:
            scene.world.run("select * from housekeeping()")
    assert [actor for *_, actor, _ in written.audit] == ["bookingdb"]


def test_cancellation_is_no_lapse_whatever_its_reason(supabase_world: World) -> None:
    scene = Scene(supabase_world)
    scene.lapse()
    with logged_in(scene.world, scene.grace) as connection, writing(scene.world, scene.request) as written:
        call(connection, "cancel_session", session_id=scene.request, reason="lapsed")
    assert [actor for *_, actor, _ in written.audit] == [str(scene.grace)]
    # Nor is a direct writer's.
    other = request_session(scene.world.connection, scene.ada, scene.grace, at(14))
    scene.world.run("update sessions set approval_until = '-infinity' where id = %s", other)
    with writing(scene.world, other) as written:
        scene.world.run("update sessions set status = 'cancelled', cancellation_reason = 'lapsed' where id = %s", other)
    assert "bookingdb" not in [actor for *_, actor, _ in written.audit]


def test_lapsed_session_can_only_be_cancelled(scene: Scene) -> None:
    def actions() -> Any:
        return call(scene.world.connection, "get_session", session_id=scene.request)["next_actions"]

    assert set(actions()) > {"approve_session", "cancel_session", "reschedule_session"}
    scene.lapse()
    assert actions() == ["cancel_session"]
    assert not cancel(scene.world, scene.request)


def test_wait_ends_at_the_start(scene: Scene) -> None:
    """Nobody approves what has begun, and the client cannot cancel it."""
    world = scene.world
    set_policy(world, scene.grace, approval_lifetime="5 days")
    soon = request_session(world.connection, scene.bob, scene.grace, at(14))
    starts = "select approval_until = start_time, c.expires_at = s.start_time"
    starts += " from sessions as s join bookingdb.calendar as c using (id) where id = %s"
    assert world.run(starts, soon) == [(True, True)]
    # A start that is moved away gives the lifetime again; one that is moved near takes it.
    move(world, soon, "14:00", LATER)
    assert world.run(starts, soon) == [(False, False)]
    left = world.scalar("select approval_until - now() from sessions where id = %s", soon)
    assert abs(left - 120 * HOUR) < dt.timedelta(minutes=1)
    move(world, soon, "16:00")
    assert world.run(starts, soon) == [(True, True)]
    world.run("update sessions set approval_until = 'infinity' where id = %s", soon)
    assert world.run(starts, soon) == [(True, True)]
    begin(world.connection, soon)
    world.run("select * from housekeeping()")
    assert status_of(world, soon) == "cancelled"
    require_sound(world)


@pytest.mark.parametrize("lifetime", ["2 days", "3650 days"])
def test_request_that_nobody_approved_took_no_time(world: World, lifetime: str) -> None:
    ada, bob, grace = world.client(credits=5), world.client(credits=5), world.therapist()
    limits = {"maximum_sessions_per_day": 1, "maximum_client_sessions_per_week": 1}
    set_policy(world, grace, approval_lifetime=lifetime, **limits)
    request = request_session(world.connection, ada, grace, at(10))
    begin(world.connection, request, 180)
    start = world.scalar("select start_time from sessions where id = %s", request).astimezone(dt.UTC)
    given = {"therapist_id": grace, "session_date": start.date(), "session_time": start.time(), "time_zone": "UTC"}
    call(world.connection, "record_session", user_id=bob, **given)
    later = dt.datetime.now(dt.UTC) + HOUR
    asked = "select (bookingdb.exceeded_client_limit(bookingdb.policy_of(%s), %s, tstzrange(%s, %s), null, true))"
    assert world.scalar(asked, grace, ada, later, later + HOUR) is None
    full = "select count(*) from bookingdb.full_times(bookingdb.policy_of(%s), tstzrange(now(), now(), '[]'), null)"
    assert world.scalar(full, grace) == 1
    world.run("delete from sessions where user_id = %s", bob)
    assert world.scalar(full, grace) == 0
    assert world.violations() == []


def test_lapsed_session_counts_towards_no_limit(scene: Scene) -> None:
    set_policy(
        scene.world, scene.grace,
        maximum_sessions_per_day=1, maximum_open_sessions=1, maximum_client_sessions_per_week=1,
    )  # fmt: skip
    for client, code in ((scene.bob, "booking_conflict"), (scene.ada, "booking_conflict")):
        assert outcome(partial(scene.world.book, client, scene.grace, "15:00")) == code
    scene.lapse()
    scene.world.book(scene.ada, scene.grace, "15:00")
    assert scene.world.violations() == []


def test_housekeeping_cancels_what_lapsed(scene: Scene) -> None:
    scene.world.run("select * from housekeeping()")
    assert status_of(scene.world, scene.request) == "pending_approval"
    scene.lapse()
    counted = "select lapsed_sessions from housekeeping(p_dry_run => %s)"
    with nothing_written(scene.world):
        assert scene.world.scalar(counted, True) == 1
    assert [scene.world.scalar(counted, False) for _ in range(2)] == [1, 0]
    assert status_of(scene.world, scene.request) == "cancelled"
    require_sound(scene.world)


def test_housekeeping_finds_what_lapsed_long_ago(scene: Scene) -> None:
    """Also once the calendar forgets what is over, a batch at a time."""
    world = scene.world
    requests = [scene.request, request_session(world.connection, scene.bob, scene.grace, at(14))]
    for days, request in enumerate(requests):
        begin(world.connection, request, (40 + days) * 1440)
    world.run("select * from housekeeping(1)")
    assert sorted(status_of(world, request) for request in requests) == ["cancelled", "pending_approval"]
    world.run("select * from housekeeping(1)")
    assert [status_of(world, request) for request in requests] == ["cancelled"] * 2
    require_sound(world)


def test_request_without_a_therapist_lapses(scene: Scene) -> None:
    scene.charge()
    scene.world.run("update sessions set therapist_id = null where id = %s", scene.request)
    scene.lapse()
    assert scene.world.scalar("select lapsed_sessions from housekeeping()") == 1
    assert status_of(scene.world, scene.request) == "cancelled"
    assert scene.world.balance(scene.bob) == 5
    require_sound(scene.world)


def test_reopened_session_has_paid_again(scene: Scene) -> None:
    scene.charge()
    scene.lapse()
    scene.world.run("select * from housekeeping()")
    assert call(scene.world.connection, "reopen_session", session_id=scene.request)["credits_balance"] == 4
    assert scene.world.violations() == []
    answer = scene.approve()
    assert (answer["status"], answer["credits_balance"]) == ("scheduled", 4)
    require_sound(scene.world)


def test_charged_session_gets_its_credit_back(scene: Scene) -> None:
    scene.charge()
    assert scene.world.balance(scene.ada) == 4
    scene.lapse()
    scene.world.run("select * from housekeeping()")
    assert scene.world.balance(scene.ada) == 5
    require_sound(scene.world)


# ----------------------------------------------------------------------------------------------------------------------
# Two at once
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [booking, holding_slot])
def test_approval_that_waits_for_a_booking_comes_too_late(scene: Scene, first: Any) -> None:
    scene.lapse()
    with holding(scene.world) as one, session_of(scene.world) as two:
        first(scene.bob, scene.grace)(one)
        answer = waiting(scene.world, calling("approve_session", session_id=scene.request), two)
        one.execute("commit")
        assert outcome(answer.result) == "invalid_transition"
    require_sound(scene.world)


def test_booking_waits_for_no_writer_of_a_lapsed_session(scene: Scene) -> None:
    scene.lapse()
    with holding(scene.world) as one, session_of(scene.world) as two:
        run(one, "update sessions set title = 'asked' where id = %s", scene.request)
        two.execute("set lock_timeout = '5s'")
        assert outcome(partial(booking(scene.bob, scene.grace), two)) == "busy"
        one.execute("commit")
        assert outcome(partial(booking(scene.bob, scene.grace), two)) == "done"
    require_sound(scene.world)


def test_lapse_waits_for_no_lot(scene: Scene) -> None:
    """The credit of a session that was charged before it waited comes back with the lapse."""
    scene.charge()
    scene.lapse()
    with holding(scene.world) as one, session_of(scene.world) as two:
        run(one, "select from user_credits where user_id = %s for update", scene.ada)
        two.execute("set lock_timeout = '5s'")
        assert call(two, "housekeeping")["lapsed_sessions"] == 0
        assert outcome(partial(booking(scene.bob, scene.grace), two)) == "busy"
        one.execute("commit")
        assert call(two, "housekeeping")["lapsed_sessions"] == 1
    assert scene.world.balance(scene.ada) == 5
    require_sound(scene.world)


def test_booking_that_waits_for_an_approval_is_refused(scene: Scene) -> None:
    with holding(scene.world) as one, session_of(scene.world) as two:
        calling("approve_session", session_id=scene.request)(one)
        # The calendar shows the time as taken, so nobody waits.
        two.execute("set lock_timeout = '5s'")
        assert outcome(partial(booking(scene.bob, scene.grace), two)) == "booking_conflict"
        one.execute("commit")
    assert status_of(scene.world, scene.request) == "scheduled"
    require_sound(scene.world)


@pytest.mark.parametrize("level", OLD)
@pytest.mark.parametrize("what", ["approved", "extended", "cancelled"])
def test_old_snapshot_lapses_nothing_that_changed(scene: Scene, level: str, what: str) -> None:
    scene.lapse()
    changes: dict[str, Call] = {
        "approved": written_by("update sessions set status = 'scheduled' where id = %s", scene.request),
        "extended": written_by("update sessions set approval_until = 'infinity' where id = %s", scene.request),
        "cancelled": calling("cancel_session", session_id=scene.request),
    }
    with session_of(scene.world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        changes[what](scene.world.connection)
        assert outcome(partial(booking(scene.bob, scene.grace), connection)) == "40001"
        connection.execute("rollback")
    assert scene.world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
def test_lapsed_time_is_booked_in_every_level(scene: Scene, level: str) -> None:
    scene.lapse()
    in_level(level, booking(scene.bob, scene.grace), scene.world.connection)
    assert status_of(scene.world, scene.request) == "cancelled"
    require_sound(scene.world)


def test_housekeeping_waits_for_no_approval(scene: Scene) -> None:
    scene.lapse()
    with holding(scene.world) as one, session_of(scene.world) as two:
        run(one, "select id from sessions where id = %s for update", scene.request)
        two.execute("set lock_timeout = '5s'")
        run(two, "select * from housekeeping()")
    assert status_of(scene.world, scene.request) == "pending_approval"
    scene.world.run("select * from housekeeping()")
    assert status_of(scene.world, scene.request) == "cancelled"
