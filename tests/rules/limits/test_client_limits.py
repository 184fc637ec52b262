"""How many sessions a client may have, with anyone: to come, and in a week."""

from __future__ import annotations

import datetime as dt
import random
from functools import partial
from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.life import (
    DAY,
    HOUR,
    at,
    begin,
    book_series,
    call,
    cancel,
    expire_hold,
    hold,
    move,
    request_session,
    set_policy,
)
from tests.support.refusals import nothing_written, outcome, refused

# A Monday, far enough away for every date of its week to come.
MONDAY = TOMORROW + (14 - TOMORROW.weekday()) * DAY
OPEN, WEEK = "maximum_open_sessions", "maximum_client_sessions_per_week"


@pytest.fixture
def two(world: World) -> tuple[World, UUID, UUID, UUID]:
    """A client, and two therapists who can be booked by one who has no other session to come."""
    set_policy(world, None, **{OPEN: 1})
    return world, world.client(credits=20), world.therapist(), world.therapist()


# ----------------------------------------------------------------------------------------------------------------------
# Sessions to come
# ----------------------------------------------------------------------------------------------------------------------


def test_session_with_another_therapist_counts(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    first = world.book(client, grace)["id"]
    with nothing_written(world), refused("client_limit") as refusal:
        world.book(client, hedy, "15:00")
    assert refusal.detail["therapist_id"] == str(hedy)
    assert {name: refusal.detail[name] for name in ("rule", "limit", "count")} == {"rule": OPEN, "limit": 1, "count": 1}
    cancel(world, first)
    world.book(client, hedy, "15:00")
    # Nobody else is counted.
    world.book(world.client(credits=1), hedy, "17:00")
    assert world.violations() == []


def test_session_that_began_or_waits_counts_as_it_should(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    begin(world.connection, world.book(client, grace)["id"])
    request_session(world.connection, client, grace, at(12))
    with refused("client_limit"):
        world.book(client, hedy, "15:00")


def test_therapist_is_not_told_what_the_client_has_elsewhere(supabase_world: World) -> None:
    world = supabase_world
    client, grace, hedy = world.client(credits=5), world.therapist(), world.therapist()
    session_id = world.book(client, grace)["id"]
    world.book(client, hedy, session_date=MONDAY)
    set_policy(world, None, **{WEEK: 1})
    week = {"session_id": session_id, "session_date": MONDAY, "session_time": "15:00"}
    for who, knows in ((grace, False), (client, True)):
        with logged_in(world, who) as connection, refused("client_limit") as refusal:
            call(connection, "reschedule_session", **week)
        assert ("count" in refusal.detail) == knows
        assert refusal.detail["limit"] == 1


def test_limit_is_that_of_the_therapist_who_is_booked(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    set_policy(world, hedy, **{OPEN: 3})
    for time, therapist, ended in (
        ("08:00", hedy, "done"), ("09:00", hedy, "done"), ("10:00", grace, "client_limit"), ("11:00", hedy, "done"),
        ("12:00", hedy, "client_limit"),
    ):  # fmt: skip
        assert outcome(partial(world.book, client, therapist, time)) == ended


def test_live_holds_count_and_are_no_way_round(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    first = hold(world, client, grace)
    # Another one with the same therapist replaces it.
    second = hold(world, client, grace, "11:00")
    for call_ in (partial(hold, world, client, hedy, "15:00"), partial(world.book, client, hedy, "15:00")):
        with refused("client_limit"):
            call_()
    assert outcome(partial(call, world.connection, "book_hold", hold_id=first["id"])) == "hold_expired"
    expire_hold(world.connection, second["id"])
    world.book(client, hedy, "15:00")
    assert world.violations() == []


def test_hold_is_booked_within_the_limit_alone(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    set_policy(world, hedy, **{OPEN: 2})
    held = hold(world, client, grace)["id"]
    other = world.book(client, hedy, "15:00")["id"]
    with nothing_written(world), refused("client_limit"):
        call(world.connection, "book_hold", hold_id=held)
    cancel(world, other)
    assert call(world.connection, "book_hold", hold_id=held)["id"] == held


def test_series_names_the_occurrence_that_is_too_many(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, _ = two
    set_policy(world, grace, **{OPEN: 2})
    series = {"session_date": MONDAY, "session_time": "10:00"}
    with nothing_written(world), refused("client_limit") as refusal:
        book_series(world.connection, client, grace, occurrences=3, **series)
    assert refusal.detail["occurrence"] == 3
    assert len(book_series(world.connection, client, grace, occurrences=2, **series)) == 2


def test_direct_writer_is_not_bound_but_counted(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, hedy = two
    for hour in (12, 14):
        request_session(world.connection, client, grace, at(hour))
    with refused("client_limit") as refusal:
        world.book(client, hedy, "16:00")
    assert refusal.detail["count"] == 2


def test_open_session_moves_and_is_approved_at_the_limit(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, _ = two
    request = request_session(world.connection, client, grace, at(12))
    move(world, request, "16:00", MONDAY)
    assert call(world.connection, "approve_session", session_id=request)["status"] == "scheduled"


def test_other_refusals_come_before_the_limit(two: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, grace, _ = two
    world.book(client, grace)
    assert outcome(partial(world.book, client, grace)) == "booking_conflict"
    assert outcome(partial(world.book, client, world.therapist(), duration_minutes=5)) == "invalid_duration"


# ----------------------------------------------------------------------------------------------------------------------
# Sessions of a week
# ----------------------------------------------------------------------------------------------------------------------


def test_week_goes_from_monday_to_sunday_of_the_policys_zone(world: World) -> None:
    set_policy(world, None, **{WEEK: 1, "time_zone": "Pacific/Auckland"})
    client, therapist = world.client(credits=9), world.therapist(None)
    book = partial(world.book, client, therapist)
    book("00:00", session_date=MONDAY)
    for day, ended in ((6, "client_limit"), (-1, "done"), (7, "done")):
        assert outcome(partial(book, "23:00", session_date=MONDAY + day * DAY)) == ended


def test_week_counts_what_took_place_and_not_what_was_cancelled(world: World) -> None:
    client, grace, hedy = world.client(credits=9), world.therapist(), world.therapist()
    set_policy(world, hedy, **{WEEK: 2})
    kept, gone = (world.book(client, grace, time, session_date=MONDAY)["id"] for time in ("08:00", "10:00"))
    world.run("update sessions set status = 'completed' where id = %s", kept)
    book = partial(world.book, client, hedy, "12:00", session_date=MONDAY)
    assert outcome(book) == "client_limit"
    cancel(world, gone)
    assert outcome(book) == "done"


def test_only_a_move_into_another_week_is_held_to_it(world: World) -> None:
    client, grace = world.client(credits=9), world.therapist()
    first, second, third = (
        world.book(client, grace, "10:00", session_date=MONDAY + days * DAY)["id"] for days in (0, 1, 7)
    )
    set_policy(world, grace, **{WEEK: 1})
    assert move(world, first, "12:00", MONDAY + 6 * DAY)["id"] == first
    with nothing_written(world), refused("client_limit") as refusal:
        move(world, second, "12:00", MONDAY + 8 * DAY)
    assert (refusal.detail["rule"], refusal.detail["count"]) == (WEEK, 1)
    assert move(world, third, "12:00", MONDAY + 14 * DAY)["id"] == third
    assert move(world, second, "12:00", MONDAY + 8 * DAY)["id"] == second


def test_hold_counts_in_its_week(world: World) -> None:
    set_policy(world, None, **{WEEK: 1})
    client = world.client(credits=9)
    held = call(
        world.connection, "hold_slot",
        user_id=client, therapist_id=world.therapist(), session_date=MONDAY, session_time="10:00",
    )["id"]  # fmt: skip
    other = partial(world.book, client, world.therapist(), "12:00")
    assert outcome(partial(other, session_date=MONDAY + 2 * DAY)) == "client_limit"
    assert outcome(partial(other, session_date=MONDAY + 7 * DAY)) == "done"
    assert call(world.connection, "book_hold", hold_id=held)["id"] == held


# ----------------------------------------------------------------------------------------------------------------------
# A model in Python
# ----------------------------------------------------------------------------------------------------------------------


def take(world: World, client: UUID, therapist: UUID, start: dt.datetime, what: str, taken: list[UUID]) -> None:
    """Book a session, or hold its time first, and add its id to those that were taken."""
    when = {"user_id": client, "therapist_id": therapist, "session_date": start.date(), "session_time": start.time()}
    if what == "hold":
        held = call(world.connection, "hold_slot", **when)
        taken.append(call(world.connection, "book_hold", hold_id=held["id"])["id"])
    else:
        taken.append(call(world.connection, "create_session_with_credit_deduction", **when)["id"])


@pytest.mark.parametrize("seed", range(4))
def test_limits_agree_with_a_count_in_python(world: World, seed: int) -> None:
    chance = random.Random(seed)
    client, therapists = world.client(credits=200), [world.therapist(), world.therapist()]
    limits = {therapist: {OPEN: chance.randint(2, 9), WEEK: chance.randint(1, 4)} for therapist in therapists}
    for therapist, settings in limits.items():
        set_policy(world, therapist, **settings)
    taken: dict[UUID, dt.datetime] = {}

    def week(start: dt.datetime) -> dt.date:
        return start.date() - start.weekday() * DAY

    for number in range(60):
        start = dt.datetime.combine(MONDAY + chance.randrange(21) * DAY, dt.time(number % 24), dt.UTC)
        if any(abs(start - other) < HOUR for other in taken.values()):
            continue
        therapist = chance.choice(therapists)
        in_week = [id_ for id_, other in taken.items() if week(other) == week(start)]
        what = chance.choice(["book", "book", "hold", "cancel", "move"])
        if what == "cancel" and taken:
            cancel(world, gone := chance.choice(list(taken)))
            del taken[gone]
            continue
        if what == "move" and taken:
            id_ = chance.choice(list(taken))
            whose = world.scalar("select therapist_id from sessions where id = %s", id_)
            allowed = id_ in in_week or len(in_week) < limits[whose][WEEK]
            done = outcome(partial(move, world, id_, start.time(), start.date()))
        else:
            allowed = len(taken) < limits[therapist][OPEN] and len(in_week) < limits[therapist][WEEK]
            answers: list[UUID] = []
            done = outcome(partial(take, world, client, therapist, start, what, answers))
            id_ = answers[0] if answers else UUID(int=0)
        assert done == ("done" if allowed else "client_limit"), (number, what)
        if allowed:
            taken[id_] = start
    assert world.violations() == []
