"""A session goes to another therapist: by which rules, what stays, who is told, and two at once."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.connections import LEVELS
from tests.support.databases import on_supabase
from tests.support.interleaving import session_of
from tests.support.life import at, begin, call, close_window, request_session, require_sound
from tests.support.races import ENDINGS, booking, calling, race
from tests.support.refusals import nothing_written, outcome, refused
from tests.support.session_records import session_row, writing


def scene(world: World, days: int = 0) -> tuple[UUID, UUID, UUID, UUID]:
    """Return Ada, Grace, Hedy and Ada's session with Grace, so many days later than usual."""
    ada, grace, hedy = world.client(credits=2), world.therapist("Europe/Berlin"), world.therapist("America/New_York")
    return ada, grace, hedy, world.book(ada, grace, session_date=TOMORROW + dt.timedelta(days))["id"]


def transfer(world: World, session_id: UUID, therapist: UUID, *override: str, **given: Any) -> dict[str, Any]:
    return call(
        world.connection, "transfer_session", session_id=session_id, therapist_id=therapist, **given,
        override=list(override),
    )  # fmt: skip


def busy_with(world: World, therapist: UUID) -> list[UUID]:
    return [row[0] for row in world.run("select id from bookingdb.calendar where therapist_id = %s", therapist)]


@pytest.mark.parametrize("status", ["pending_approval", "scheduled", "confirmed"])
def test_transferred_session_keeps_time_status_and_credit(world: World, status: str) -> None:
    ada, grace, hedy, session_id = scene(world, 20)
    terms = set[str]()
    if status == "pending_approval":
        session_id = request_session(world.connection, ada, grace, at(20) + dt.timedelta(20))
        # Nobody agreed on any, so those of the first therapist are written down.
        terms = {"free_cancellation_until"}
    if status == "confirmed":
        call(world.connection, "confirm_session", session_id=session_id)
    before = session_row(world, session_id)
    with writing(world, session_id) as written:
        answer = transfer(world, session_id, hedy, reason="Grace is ill")
    assert (answer["therapist_id"], answer["status"], answer["credits_balance"]) == (hedy, status, 1)
    assert written.columns == {"therapist_id", "change_reason"} | terms
    assert (written.entries, session_row(world, session_id)["time_zone"]) == ([], before["time_zone"])
    ((action, old, new, changes, _, _),) = written.audit
    assert (action, old, new, changes["change_reason"]) == ("updated", status, status, {})
    ((event, payload),) = written.events
    assert (event, payload["old_therapist_id"], payload["therapist_id"]) == ("session.updated", str(grace), str(hedy))
    assert "old_user_id" not in payload
    assert session_id not in busy_with(world, grace)
    assert busy_with(world, hedy) == [session_id]
    require_sound(world)


def test_update_of_people_names_the_old_ones_in_the_event(world: World) -> None:
    ada, grace, hedy, session_id = scene(world)
    bob = world.client()
    with writing(world, session_id) as written:
        world.run("update sessions set therapist_id = %s", hedy)
        world.run("update sessions set title = 'else'")
        world.run("update sessions set therapist_id = %s, user_id = %s", grace, bob)
    first, second, third = (payload for _, payload in written.events)
    assert (first["old_therapist_id"], "old_user_id" in first) == (str(grace), False)
    assert not {"old_therapist_id", "old_user_id"} & set(second)
    assert (third["old_therapist_id"], third["old_user_id"], third["user_id"]) == (str(hedy), str(ada), str(bob))


def test_transfer_gives_the_client_a_while_to_cancel(world: World) -> None:
    ada, _, hedy, session_id = scene(world)
    world.run("update sessions set start_time = now() + interval '30 hours', end_time = now() + interval '31 hours'")
    close_window(world.connection, session_id)
    before = dt.datetime.now(dt.UTC)
    until = transfer(world, session_id, hedy)["free_cancellation_until"]
    assert dt.timedelta() <= until - before - dt.timedelta(hours=24) < dt.timedelta(minutes=1)
    # What was longer stays.
    long = world.book(ada, hedy, "10:00", session_date=TOMORROW + dt.timedelta(days=20))["id"]
    agreed = world.scalar("select free_cancellation_until from sessions where id = %s", long)
    assert transfer(world, long, world.therapist())["free_cancellation_until"] == agreed
    require_sound(world)


def test_transfer_keeps_the_terms_of_a_session_without_its_own(world: World) -> None:
    _, grace, hedy, session_id = scene(world)
    world.run("update sessions set free_cancellation_until = null")
    for therapist, window in ((grace, "2 hours"), (hedy, "20 days")):
        call(world.connection, "set_policy", settings=Jsonb({"cancellation_window": window}), therapist_id=therapist)
    answer = transfer(world, session_id, hedy)
    start = world.scalar("select start_time from sessions where id = %s", session_id)
    assert answer["free_cancellation_until"] == start - dt.timedelta(hours=2)


def test_grace_after_a_transfer_outlasts_the_clients_moves(world: World) -> None:
    _, _, hedy, session_id = scene(world)
    world.run("update sessions set start_time = now() + interval '30 hours', end_time = now() + interval '31 hours'")
    close_window(world.connection, session_id)
    until = transfer(world, session_id, hedy)["free_cancellation_until"]
    agreed, kept = session_row(world, session_id)["cancellation_notice"], until
    assert agreed is not None
    date = world.scalar("select scheduled_date + 1 from sessions")
    moved = call(world.connection, "reschedule_session", session_id=session_id, session_date=date, session_time="12:00")
    assert moved["free_cancellation_until"] >= kept
    require_sound(world)


@pytest.mark.parametrize("how", ["transfer", "move"])
def test_grace_of_a_request_outlasts_its_approval(world: World, how: str) -> None:
    _, _, hedy, session_id = scene(world, 10)
    world.run("update sessions set status = 'pending_approval', approval_until = null where id = %s", session_id)
    soon = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) + dt.timedelta(hours=5)
    if how == "transfer":
        world.run(
            "update sessions set start_time = %s, end_time = %s, free_cancellation_until = null where id = %s",
            soon, soon + dt.timedelta(hours=1), session_id,
        )  # fmt: skip
        transfer(world, session_id, hedy)
    else:
        call(
            world.connection, "reschedule_session", session_id=session_id, session_date=soon.date(),
            session_time=soon.time(), time_zone="UTC",
        )  # fmt: skip
    before = session_row(world, session_id)
    assert before["cancellation_notice"] is not None
    assert call(world.connection, "approve_session", session_id=session_id)["free_cancellation_until"] == soon
    for column in ("free_cancellation_until", "cancellation_notice"):
        assert session_row(world, session_id)[column] == before[column]
    require_sound(world)


LIMITS = ("maximum_open_sessions", "maximum_client_sessions_per_week")


@pytest.mark.parametrize("limit", LIMITS)
def test_transfer_counts_against_the_clients_limits(world: World, limit: str) -> None:
    ada, grace, hedy, session_id = scene(world)
    call(world.connection, "set_policy", settings=Jsonb({limit: 1}), therapist_id=hedy)
    # The session itself is none more.
    transfer(world, session_id, hedy, "limits")
    assert world.scalar("select overridden_rules from sessions where id = %s", session_id) is None
    transfer(world, session_id, grace)
    world.book(ada, grace, "23:00")
    with nothing_written(world), refused("client_limit") as refusal:
        transfer(world, session_id, hedy)
    assert refusal.detail["rule"] == limit
    transfer(world, session_id, hedy, "limits")
    assert world.scalar("select overridden_rules from sessions where id = %s", session_id) == ["limits"]
    require_sound(world)


def test_transferred_request_keeps_its_wait(world: World) -> None:
    ada, grace, hedy = world.client(), world.therapist(), world.therapist()
    request = request_session(world.connection, ada, grace, at(20))
    world.run("update sessions set approval_until = now() + interval '1 hour' where id = %s", request)
    until = session_row(world, request)["approval_until"]
    transfer(world, request, hedy)
    assert session_row(world, request)["approval_until"] == until
    place = "select c.kind, c.therapist_id, c.expires_at = s.approval_until"
    place += " from bookingdb.calendar as c inner join sessions as s on s.id = c.id"
    assert world.run(place) == [("session", hedy, True)]
    require_sound(world)


def test_lapsed_request_goes_to_nobody(world: World) -> None:
    ada, grace, hedy = world.client(), world.therapist(), world.therapist()
    request = request_session(world.connection, ada, grace, at(20))
    world.run("update sessions set approval_until = now() - interval '1 second' where id = %s", request)
    with nothing_written(world), refused("invalid_transition"):
        transfer(world, request, hedy)


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "minimum_notice": ({"minimum_notice": "30 days"}, "too_soon"),
    "maximum_advance": ({"maximum_advance": "1 day"}, "too_far"),
    "hours": ({"require_hours": True}, "outside_availability"),
    "limits": ({"maximum_sessions_per_week": 1}, "booking_conflict"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_the_new_therapist_hold_unless_overridden(world: World, rule: str) -> None:
    ada, grace, hedy, _ = scene(world)
    day = TOMORROW + dt.timedelta(days=2)
    session_id = world.book(ada, grace, "15:00", session_date=day)["id"]
    if rule == "limits":
        world.book(world.client(credits=1), hedy, "12:00", session_date=day)
    settings, code = RULES[rule]
    call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=hedy)
    with nothing_written(world), refused(code):
        transfer(world, session_id, hedy)
    transfer(world, session_id, hedy, "all")
    assert world.scalar("select overridden_rules from sessions where id = %s", session_id) == [rule]
    assert world.scalar("select hours_overridden from sessions where id = %s", session_id) == (rule == "hours")
    # Back with the first one no rule is in the way.
    transfer(world, session_id, grace)
    assert world.scalar("select overridden_rules from sessions where id = %s", session_id) is None
    require_sound(world)


@pytest.mark.parametrize("taken", ["a session", "time off", "a buffer", "a short policy"])
def test_new_therapist_must_be_free(world: World, taken: str) -> None:
    _, grace, hedy, session_id = scene(world)
    start, end = world.run("select start_time, end_time from sessions")[0]
    code = "booking_conflict"
    if taken == "time off":
        call(world.connection, "add_time_off", therapist_id=hedy, start=start, end=end)
    elif taken == "a short policy":
        code = "invalid_duration"
        settings = Jsonb({"maximum_duration_minutes": 30})
        call(world.connection, "set_policy", settings=settings, therapist_id=hedy)
    else:
        if taken == "a buffer":
            call(world.connection, "set_policy", settings=Jsonb({"buffer_before_minutes": 30}), therapist_id=hedy)
            start -= dt.timedelta(hours=1)
        world.run(
            "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
            *(world.client(), hedy, start, start + dt.timedelta(hours=1)),
        )
    with nothing_written(world), refused(code):
        transfer(world, session_id, hedy, "all")
    assert busy_with(world, grace) == [session_id]
    require_sound(world)


@pytest.mark.parametrize("status", ["in_progress", "completed", "no_show", "cancelled", "begun"])
def test_session_that_began_or_is_over_stays_with_its_therapist(world: World, status: str) -> None:
    _, _, hedy, session_id = scene(world)
    begin(world.connection, session_id)
    if status != "begun":
        world.run("update sessions set status = %s", status)
    with nothing_written(world), refused("invalid_transition"):
        transfer(world, session_id, hedy)


def test_therapist_who_left_hands_sessions_on(world: World) -> None:
    _ada, grace, hedy, session_id = scene(world)
    world.run("update users set is_active = false where id = %s", grace)
    transfer(world, session_id, hedy)
    with nothing_written(world), refused("therapist_not_found"):
        transfer(world, session_id, grace)
    require_sound(world)


@on_supabase
def test_only_trusted_callers_transfer(hosted_world: World) -> None:
    ada, grace, hedy, session_id = scene(hosted_world)
    for person in (ada, grace, hedy):
        with logged_in(hosted_world, person) as connection, nothing_written(hosted_world), refused("not_allowed"):
            call(connection, "transfer_session", session_id=session_id, therapist_id=hedy)


# ----------------------------------------------------------------------------------------------------------------------
# Two at once
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", ["transfer", "book"])
def test_transfer_and_booking_share_no_slot(world: World, first: str, ending: str) -> None:
    _, _grace, _, session_id = scene(world)
    hedy = world.therapist("Europe/Berlin")
    calls = [
        calling("transfer_session", session_id=session_id, therapist_id=hedy),
        booking(world.client(credits=1), hedy),
    ]
    # A booking without a zone is local to the therapist's.
    assert world.scalar("select time_zone from sessions") == "Europe/Berlin"
    one, two = calls if first == "transfer" else calls[::-1]
    assert race(world, one, two, ending) == ("done", "booking_conflict" if ending == "commit" else "done")
    require_sound(world)


def test_two_sessions_that_swap_therapists_do_not_deadlock(world: World) -> None:
    _ada, grace, hedy, first = scene(world)
    second = world.book(world.client(credits=1), hedy, "20:00")["id"]
    calls = [
        calling("transfer_session", session_id=first, therapist_id=hedy),
        calling("transfer_session", session_id=second, therapist_id=grace),
    ]
    assert race(world, calls[0], calls[1]) == ("done", "done")
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("change", ["a booking", "time off"])
def test_old_snapshot_transfers_to_nobody_who_is_taken(world: World, level: str, change: str) -> None:
    _, _, hedy, session_id = scene(world)
    start, end = world.run("select start_time, end_time from sessions")[0]
    add = calling("add_time_off", therapist_id=hedy, start=start, end=end)
    bob = world.client(credits=1)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        if change == "a booking":
            world.run(
                "select create_session_with_credit_deduction(%s, %s, %s, '10:00', p_time_zone => 'Europe/Berlin')",
                *(bob, hedy, TOMORROW),
            )
        else:
            add(world.connection)
        ended = outcome(partial(calling("transfer_session", session_id=session_id, therapist_id=hedy), connection))
        connection.execute("rollback")
    assert ended == ("booking_conflict" if change == "a booking" else "40001")
    require_sound(world)
