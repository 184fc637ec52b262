"""What is held mostly is held quickly, and comes to the same as rule by rule."""

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
from tests.support.life import DAY, UNKNOWN, YESTERDAY, call, expire_hold, hold, rows, set_policy
from tests.support.ways import ways

People = dict[str, UUID]

# ----------------------------------------------------------------------------------------------------------------------
# Times, and which are held quickly
# ----------------------------------------------------------------------------------------------------------------------


def _nothing(world: World, people: People) -> None: ...


def _policy(**settings: Any) -> Callable[[World, People], Any]:
    return lambda world, people: set_policy(world, people["therapist"], **settings)


def _booked(client: str, therapist: str, at: str) -> Callable[[World, People], Any]:
    return lambda world, people: world.book(people[client], people[therapist], at)


def _held(client: str, therapist: str, at: str) -> Callable[[World, People], Any]:
    return lambda world, people: hold(world, people[client], people[therapist], at)


def _expired(world: World, people: People) -> None:
    expire_hold(world.connection, hold(world, people["other_client"], people["therapist"])["id"])


def _away(world: World, people: People) -> None:
    call(
        world.connection, "add_time_off",
        therapist_id=people["therapist"], start=dt.datetime.combine(TOMORROW, dt.time(9), dt.UTC),
        end=dt.datetime.combine(TOMORROW, dt.time(12), dt.UTC),
    )  # fmt: skip


def _hours(start: str, end: str, **options: Any) -> Callable[[World, People], Any]:
    hours = [{"weekday": weekday, "start_time": start, "end_time": end, **options} for weekday in range(1, 8)]
    return lambda world, people: rows(
        world.connection, "set_weekly_hours", therapist_id=people["therapist"], hours=Jsonb(hours)
    )


def _no_hours(world: World, people: People) -> None:
    _hours("09:00", "12:00")(world, people)
    rows(world.connection, "set_weekly_hours", therapist_id=people["therapist"], hours=Jsonb([]))


def _closed(world: World, people: People) -> None:
    rows(
        world.connection, "set_date_override",
        therapist_id=people["therapist"], date=TOMORROW + DAY, hours=Jsonb([]),
    )  # fmt: skip


def _inactive(person: str) -> Callable[[World, People], Any]:
    return lambda world, people: world.run("update users set is_active = false where id = %s", people[person])


SITUATIONS: dict[str, tuple[Callable[[World, People], Any], dict[str, Any], bool]] = {
    "a free time": (_nothing, {}, True),
    "another length": (_nothing, {"duration_minutes": 90}, True),
    "a time to live": (_nothing, {"ttl": dt.timedelta(minutes=2)}, True),
    "a zone of the therapist's": (_nothing, {"time_zone": "Europe/Berlin"}, True),
    "another zone": (_nothing, {"time_zone": "Asia/Tokyo"}, False),
    "an offset": (_nothing, {"time_zone": "+02:00"}, False),
    "no zone": (_nothing, {"time_zone": "Nowhere"}, False),
    "a zone that is gone": (
        lambda world, people: world.run(
            "update bookingdb.rules set time_zone = 'Gone/Zone' where therapist_id = %s", people["therapist"]
        ),
        {}, False,
    ),
    "buffers": (_policy(buffer_before_minutes=10, buffer_after_minutes=20), {}, True),
    "a neighbour": (_booked("other_client", "therapist", "11:00"), {}, True),
    "a neighbour too close": (
        lambda world, people: (
            set_policy(world, people["therapist"], buffer_after_minutes=20),
            world.book(people["other_client"], people["therapist"], "11:00"),
        ),
        {}, False,
    ),
    "a taken time": (_booked("other_client", "therapist", "10:30"), {}, False),
    "a held time": (_held("other_client", "therapist", "10:30"), {}, False),
    "a time whose hold has expired": (_expired, {}, False),
    "a time of the client's": (_booked("client", "other_therapist", "10:30"), {}, False),
    "a hold with another": (_held("client", "other_therapist", "15:00"), {}, True),
    "a second hold": (_held("client", "therapist", "15:00"), {}, False),
    "time off": (_away, {}, False),
    "a limit": (_policy(maximum_sessions_per_day=3), {}, False),
    "required hours": (_policy(require_hours=True), {}, False),
    "open hours": (_hours("09:00", "12:00"), {}, True),
    "hours of the night": (_hours("22:00", "02:00"), {"session_time": "23:30"}, True),
    "hours that touch": (_hours("00:00", "00:00"), {"session_time": "23:30"}, True),
    "the end of the hours": (_hours("08:00", "11:00"), {}, True),
    "after hours": (_hours("08:00", "10:45"), {}, False),
    "hours of some weeks": (_hours("08:00", "12:00", valid_from="2020-01-01"), {}, False),
    "no hours": (_no_hours, {}, False),
    "an override the day after": (_closed, {}, False),
    "a notice": (_policy(minimum_notice="30 days"), {}, False),
    "an advance": (_policy(maximum_advance="1 day"), {}, False),
    "a length by policy": (_policy(minimum_duration_minutes=90), {}, False),
    "an inactive client": (_inactive("client"), {}, False),
    "an inactive therapist": (_inactive("therapist"), {}, False),
    "nobody": (_nothing, {"user_id": UNKNOWN}, False),
    "no therapist": (_nothing, {"therapist_id": None}, False),
    "the past": (_nothing, {"session_date": YESTERDAY}, False),
    "too short": (_nothing, {"duration_minutes": 14}, False),
    "too long to live": (_nothing, {"ttl": dt.timedelta(hours=2)}, False),
    "seconds": (_nothing, {"session_time": "10:00:01"}, False),
    "midnight at the end": (_nothing, {"session_time": "24:00"}, False),
    "no date": (_nothing, {"session_date": None}, False),
    "the end of the calendar": (_nothing, {"session_date": "3000-01-01"}, False),
}  # fmt: skip


@pytest.fixture
def people(hosted_world: World) -> People:
    world = hosted_world
    return {
        "client": world.client(credits=2), "therapist": world.therapist("Europe/Berlin"),
        "other_client": world.client(credits=2), "other_therapist": world.therapist("Europe/Berlin"),
    }  # fmt: skip


@on_todays_supabase
@pytest.mark.parametrize("situation", SITUATIONS)
def test_both_ways_of_holding_leave_the_same(hosted_world: World, people: People, situation: str) -> None:
    arrange, parameters, is_quick = SITUATIONS[situation]
    arrange(hosted_world, people)
    asked = {
        "user_id": people["client"], "therapist_id": people["therapist"], "session_date": TOMORROW,
        "session_time": "10:00", **parameters,
    }  # fmt: skip
    with ways(hosted_world, "hold_slot", "occupy_free_time") as both:
        for caller in (None, people["client"]):
            assert both.require_same(caller, **asked).is_quick == is_quick


@on_todays_supabase
@pytest.mark.parametrize("forward", [True, False])
def test_hold_near_a_clock_change_is_not_quick(hosted_world: World, people: People, forward: bool) -> None:
    change = next_clock_change("Europe/Berlin", forward)
    with ways(hosted_world, "hold_slot", "occupy_free_time") as both:
        for hours, is_quick in ((-48, True), (-1, False), (0, False), (1, False), (48, True)):
            time = change + dt.timedelta(hours=hours)
            way = both.require_same(
                None, user_id=people["client"], therapist_id=people["therapist"], session_date=time.date(),
                session_time=time.time(),
            )  # fmt: skip
            assert way.is_quick == is_quick


@on_todays_supabase
def test_hold_under_an_own_time_zone_is_not_quick(hosted_world: World, people: People) -> None:
    asked = {
        "user_id": people["client"], "therapist_id": people["therapist"], "session_date": TOMORROW + DAY,
        "session_time": "10:00",
    }  # fmt: skip
    with ways(hosted_world, "hold_slot", "occupy_free_time") as both:
        zones = {"Asia/Tokyo": True, "Etc/UTC": True, "<EUROPE/BERLIN>+9": False, "EST5EDT": False}
        for zone, is_quick in zones.items():
            both.connection.execute("select set_config('timezone', %s, false)", [zone])
            assert both.require_same(None, **asked).is_quick == is_quick
