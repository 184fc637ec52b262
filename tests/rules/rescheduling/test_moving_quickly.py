"""What is moved mostly is moved quickly, and comes to the same as rule by rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import next_clock_change
from tests.support.life import (
    DAY,
    LATER,
    YESTERDAY,
    begin,
    call,
    close_window,
    expire_hold,
    hold,
    request_session,
    rows,
    set_policy,
)
from tests.support.ways import ways

ALL, NOBODY = {"trusted", "client", "therapist"}, set[str]()
Booked = dict[str, UUID]

# ----------------------------------------------------------------------------------------------------------------------
# Moves, and who makes them quickly
# ----------------------------------------------------------------------------------------------------------------------


def _nothing(world: World, booked: Booked) -> None: ...


def _policy(**settings: Any) -> Callable[[World, Booked], Any]:
    return lambda world, booked: set_policy(world, booked["therapist"], **settings)


def _column(change: str) -> Callable[[World, Booked], Any]:
    return lambda world, booked: world.run(f"update sessions set {change} where id = %s", booked["session"])


def _taken(client: str, therapist: str, at: str) -> Callable[[World, Booked], Any]:
    return lambda world, booked: world.book(booked[client], booked[therapist], at, session_date=LATER)


def _moved(by: str) -> Callable[[World, Booked], Any]:
    def arrange(world: World, booked: Booked) -> None:
        if by == "client":
            world.run("select set_config('bookingdb.acting_as', %s, false)", str(booked["client"]))
        call(
            world.connection, "reschedule_session",
            session_id=booked["session"], session_date=LATER + 3 * DAY, session_time="08:00",
        )  # fmt: skip
        world.run("select set_config('bookingdb.acting_as', '', false)")

    return arrange


def _expired(world: World, booked: Booked) -> None:
    placed = call(
        world.connection, "hold_slot",
        user_id=booked["other_client"], therapist_id=booked["therapist"], session_date=LATER, session_time="14:00",
    )  # fmt: skip
    expire_hold(world.connection, placed["id"])


def _held(world: World, booked: Booked) -> None:
    hold(world, booked["client"], booked["therapist"])


def _away(world: World, booked: Booked) -> None:
    call(
        world.connection, "add_time_off",
        therapist_id=booked["therapist"], start=dt.datetime.combine(LATER, dt.time(11), dt.UTC),
        end=dt.datetime.combine(LATER, dt.time(15), dt.UTC),
    )  # fmt: skip


def _hours(world: World, booked: Booked) -> None:
    hours = [{"weekday": weekday, "start_time": "09:00", "end_time": "15:00"} for weekday in range(1, 8)]
    rows(world.connection, "set_weekly_hours", therapist_id=booked["therapist"], hours=Jsonb(hours))


def _inactive(person: str) -> Callable[[World, Booked], Any]:
    return lambda world, booked: world.run("update users set is_active = false where id = %s", booked[person])


def _cancelled(world: World, booked: Booked) -> None:
    call(world.connection, "cancel_session", session_id=booked["session"])


def _returned(world: World, booked: Booked) -> None:
    world.run("update sessions set status = 'completed' where id = %s", booked["session"])
    call(world.connection, "refund_session", session_id=booked["session"], reason="goodwill")
    world.run("update sessions set status = 'scheduled' where id = %s", booked["session"])


def _unpaid(world: World, booked: Booked) -> None:
    ((session,),) = world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
        booked["client"], booked["therapist"], dt.datetime.combine(LATER, dt.time(18), dt.UTC),
        dt.datetime.combine(LATER, dt.time(19), dt.UTC),
    )  # fmt: skip
    booked["session"] = session


def _requested(world: World, booked: Booked) -> None:
    starts_at = dt.datetime.combine(LATER, dt.time(18), dt.UTC)
    booked["session"] = request_session(world.connection, booked["client"], booked["therapist"], starts_at)


def _begun(world: World, booked: Booked) -> None:
    begin(world.connection, booked["session"])


SITUATIONS: dict[str, tuple[Callable[[World, Booked], Any], dict[str, Any], set[str]]] = {
    "a free time": (_nothing, {}, ALL),
    "an earlier time": (_nothing, {"session_date": TOMORROW}, ALL),
    "soon": (_nothing, {"session_date": TOMORROW - DAY, "session_time": "23:00"}, ALL),
    "an hour later": (_nothing, {"session_time": "11:00"}, ALL),
    "the time that it has": (_nothing, {"session_time": "10:00"}, NOBODY),
    "another length": (_nothing, {"duration_minutes": 90}, ALL),
    "another length alone": (_nothing, {"session_time": "10:00", "duration_minutes": 45}, ALL),
    "a zone of the therapist's": (_nothing, {"time_zone": "Europe/Berlin"}, ALL),
    "another zone": (_nothing, {"time_zone": "Asia/Tokyo"}, NOBODY),
    "an offset": (_nothing, {"time_zone": "+02:00"}, NOBODY),
    "no zone": (_nothing, {"time_zone": "Nowhere"}, NOBODY),
    "a zone that is gone": (
        lambda world, booked: world.run(
            "update bookingdb.rules set time_zone = 'Gone/Zone' where therapist_id = %s", booked["therapist"]
        ),
        {}, NOBODY,
    ),
    "confirmed": (_column("status = 'confirmed'"), {}, ALL),
    "overridden hours": (_column("hours_overridden = true, overridden_rules = '{hours}'"), {}, ALL),
    "moved by the practice": (_moved("trusted"), {}, {"trusted", "therapist"}),
    "moved by the client": (_moved("client"), {}, {"trusted", "therapist"}),
    "a closed window": (
        lambda world, booked: close_window(world.connection, booked["session"]), {}, {"trusted", "therapist"},
    ),
    "no terms": (_column("free_cancellation_until = null"), {}, NOBODY),
    "a notice of its own": (_column("cancellation_notice = interval '1 day'"), {}, NOBODY),
    "begun": (_begun, {}, NOBODY),
    "in progress": (_column("status = 'in_progress'"), {}, NOBODY),
    "completed": (_column("status = 'completed'"), {}, NOBODY),
    "cancelled": (_cancelled, {}, NOBODY),
    "waiting for approval": (_requested, {}, NOBODY),
    "never paid": (_unpaid, {}, NOBODY),
    "returned": (_returned, {}, NOBODY),
    "a window of moves": (_policy(reschedule_window="300 days"), {}, {"trusted", "therapist"}),
    "no moves": (_policy(maximum_reschedules=0), {}, {"trusted", "therapist"}),
    "one move": (_policy(maximum_reschedules=1), {}, ALL),
    "a long grace": (_policy(moved_cancellation_grace="7 days"), {}, ALL),
    "another window": (_policy(cancellation_window="2 days"), {}, ALL),
    "buffers": (_policy(buffer_before_minutes=10, buffer_after_minutes=20), {}, ALL),
    "a neighbour": (_taken("other_client", "therapist", "15:00"), {}, ALL),
    "a neighbour too close": (
        lambda world, booked: (
            set_policy(world, booked["therapist"], buffer_after_minutes=20),
            _taken("other_client", "therapist", "15:00")(world, booked),
        ),
        {}, NOBODY,
    ),
    "a taken time": (_taken("other_client", "therapist", "14:30"), {}, NOBODY),
    "a time whose hold has expired": (_expired, {}, NOBODY),
    "a time of the client's": (_taken("client", "other_therapist", "14:30"), {}, NOBODY),
    "a hold of the client's": (_held, {}, ALL),
    "time off": (_away, {}, NOBODY),
    "a limit": (_policy(maximum_sessions_per_day=3), {}, NOBODY),
    "credits of the day": (_policy(credits_valid_on="session"), {}, NOBODY),
    "required hours": (_policy(require_hours=True), {}, NOBODY),
    "open hours": (_hours, {}, ALL),
    "after hours": (_hours, {"session_time": "14:30"}, NOBODY),
    "a notice": (_policy(minimum_notice="30 days"), {}, NOBODY),
    "an advance": (_policy(maximum_advance="1 day"), {}, NOBODY),
    "a length by policy": (_policy(minimum_duration_minutes=90), {}, NOBODY),
    "an inactive client": (_inactive("client"), {}, NOBODY),
    "an inactive therapist": (_inactive("therapist"), {}, NOBODY),
    "a client who becomes a therapist": (
        lambda world, booked: world.run(
            "update users set user_type = 'therapist', is_verified = true where id = %s", booked["client"]
        ),
        {}, NOBODY,
    ),
    "the past": (_nothing, {"session_date": YESTERDAY}, NOBODY),
    "too short": (_nothing, {"duration_minutes": 14}, NOBODY),
    "seconds": (_nothing, {"session_time": "10:00:01"}, NOBODY),
    "no time": (_nothing, {"session_time": None}, NOBODY),
    "a date without end": (_nothing, {"session_date": "infinity"}, NOBODY),
    "a date before all": (_nothing, {"session_date": "4000-01-01 BC"}, NOBODY),
}  # fmt: skip


@pytest.fixture
def booked(hosted_world: World) -> Booked:
    world = hosted_world
    client, therapist = world.client(credits=5), world.therapist("Europe/Berlin")
    return {
        "client": client, "therapist": therapist, "other_client": world.client(credits=5),
        "other_therapist": world.therapist("Europe/Berlin"),
        "session": world.book(client, therapist, session_date=LATER)["id"],
    }  # fmt: skip


@on_todays_supabase
@pytest.mark.parametrize("situation", SITUATIONS)
def test_both_ways_of_moving_leave_the_same(hosted_world: World, booked: Booked, situation: str) -> None:
    arrange, parameters, quickly = SITUATIONS[situation]
    arrange(hosted_world, booked)
    asked = {"session_id": booked["session"], "session_date": LATER, "session_time": "14:00", **parameters}
    with ways(hosted_world, "reschedule_session", "move_locked_session") as both:
        for caller in ("trusted", "client", "therapist"):
            assert both.require_same(booked.get(caller), **asked).is_quick == (caller in quickly), caller
        assert not both.require_same(booked["other_client"], **asked).is_quick


@on_todays_supabase
@pytest.mark.parametrize("forward", [True, False])
def test_move_near_a_clock_change_is_not_quick(hosted_world: World, booked: Booked, forward: bool) -> None:
    change = next_clock_change("Europe/Berlin", forward)
    with ways(hosted_world, "reschedule_session", "move_locked_session") as both:
        for hours, is_quick in ((-48, True), (-1, False), (0, False), (1, False), (48, True)):
            time = change + dt.timedelta(hours=hours)
            way = both.require_same(
                None, session_id=booked["session"], session_date=time.date(), session_time=time.time()
            )
            assert way.is_quick == is_quick
