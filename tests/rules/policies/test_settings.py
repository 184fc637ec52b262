"""Policies: what set_policy takes, what get_policy tells, and whom a setting concerns."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from bookingdb.policy import DEFAULTS
from tests.support import TOMORROW, World
from tests.support.interleaving import session_of
from tests.support.life import call
from tests.support.refusals import nothing_written, outcome, refused

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
DEFAULT: dict[str, Any] = {**DEFAULTS}


def set_policy(world: World, therapist: UUID | None, settings: dict[str, Any]) -> Any:
    return call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)


def policy(world: World, therapist: UUID | None = None) -> Any:
    return call(world.connection, "get_policy", therapist_id=therapist)


def test_without_settings_the_default_holds(world: World) -> None:
    therapist = world.therapist(None)
    assert policy(world) == {"therapist_id": None, **DEFAULT}
    assert policy(world, therapist) == {"therapist_id": therapist, **DEFAULT}


def test_own_settings_stand_before_the_default_one_by_one(world: World) -> None:
    therapist, other = world.therapist("Europe/Berlin"), world.therapist(None)
    own = {"minimum_duration_minutes": 30, "refund_grace": "7 days", "buffer_before_minutes": 10, "require_hours": True}
    defaults = {"maximum_duration_minutes": 120, "hold_lifetime": "2 minutes"}
    set_policy(world, therapist, own)
    set_policy(world, None, defaults)
    everybodys = {**DEFAULT, "maximum_duration_minutes": 120, "hold_lifetime": 2 * MINUTE}
    assert policy(world, therapist) == {
        "therapist_id": therapist, **everybodys, **own, "time_zone": "Europe/Berlin", "refund_grace": 7 * DAY,
    }  # fmt: skip
    assert policy(world) == {"therapist_id": None, **everybodys}
    assert policy(world, other) == {"therapist_id": other, **everybodys}
    assert world.scalar("select count(*) from bookingdb.policies where therapist_id is null") == 1


def test_a_change_answers_with_what_holds_now(world: World) -> None:
    """Only what is named is written; null means as the default says."""
    therapist = world.therapist("Europe/Berlin")
    answer = set_policy(world, therapist, {"cancellation_window": "48 hours", "maximum_duration_minutes": 90})
    holds = {**DEFAULT, "therapist_id": therapist, "time_zone": "Europe/Berlin"}
    assert answer == {**holds, "cancellation_window": 2 * DAY, "maximum_duration_minutes": 90}
    written = (
        "select time_zone, minimum_duration_minutes, maximum_duration_minutes, cancellation_window, refund_grace,"
        " hold_lifetime from bookingdb.policies where therapist_id = %s"
    )
    assert world.run(written, therapist) == [("Europe/Berlin", None, 90, 2 * DAY, None, None)]
    assert set_policy(world, therapist, {"cancellation_window": None}) == {**holds, "maximum_duration_minutes": 90}
    everything = {
        "time_zone": "Asia/Kathmandu", "minimum_duration_minutes": "30", "maximum_duration_minutes": 60,
        "cancellation_window": "0", "refund_grace": "1 day", "hold_lifetime": "00:00:10", "buffer_after_minutes": 5,
        "minimum_notice": "2 hours", "maximum_advance": "60 days", "slot_step_minutes": 30, "slot_offset_minutes": 10,
        "maximum_sessions_per_day": 8, "maximum_sessions_per_week": 40, "require_hours": "false",
    }  # fmt: skip
    assert set_policy(world, therapist, everything) == {
        **DEFAULT, **everything, "therapist_id": therapist, "minimum_duration_minutes": 30,
        "cancellation_window": dt.timedelta(0), "refund_grace": DAY, "hold_lifetime": 10 * MINUTE / 60,
        "minimum_notice": 2 * HOUR, "maximum_advance": 60 * DAY, "require_hours": False,
    }  # fmt: skip
    assert set_policy(world, therapist, dict.fromkeys(DEFAULT)) == {**DEFAULT, "therapist_id": therapist}
    # Nothing at all.
    assert set_policy(world, therapist, {}) == {**DEFAULT, "therapist_id": therapist}


def test_settings_go_up_to_their_limits(world: World) -> None:
    limits = {
        "time_zone": "Europe/Paris", "cancellation_window": "365 days", "refund_grace": "3650 days",
        "hold_lifetime": "1 hour", "buffer_before_minutes": 720, "buffer_after_minutes": 720,
        "minimum_notice": "365 days", "maximum_advance": "3650 days", "slot_step_minutes": 1440,
        "slot_offset_minutes": 1439, "maximum_sessions_per_day": 1, "maximum_sessions_per_week": 1,
        "require_hours": True,
    }  # fmt: skip
    lengths = {"cancellation_window": 365, "refund_grace": 3650, "minimum_notice": 365, "maximum_advance": 3650}
    assert set_policy(world, None, limits) == {
        **DEFAULT, **limits, "therapist_id": None, "hold_lifetime": HOUR,
        **{name: days * DAY for name, days in lengths.items()},
    }  # fmt: skip


BEYOND: list[dict[str, Any]] = [
    {"timezone": "UTC"}, {"therapist_id": None}, {"minimum_duration_minutes": 14}, {"minimum_duration_minutes": 181},
    {"maximum_duration_minutes": 1e9}, {"maximum_duration_minutes": "an hour"}, {"cancellation_window": "-1 second"},
    {"cancellation_window": "365 days 1 second"}, {"cancellation_window": "999999999999 days"}, {"hold_lifetime": ""},
    # Above the maximum, and below the minimum, that hold for the therapist.
    {"minimum_duration_minutes": 61}, {"maximum_duration_minutes": 49},
    {"hold_lifetime": "2 minutes", "refund_grace": "3651 days"},
    {"buffer_before_minutes": -1}, {"buffer_before_minutes": 721}, {"buffer_after_minutes": 721},
    {"buffer_after_minutes": "ten"}, {"minimum_notice": "-1 hour"}, {"minimum_notice": "366 days"},
    {"maximum_advance": "23 hours"}, {"maximum_advance": "3651 days"}, {"maximum_advance": "for ever"},
    {"slot_step_minutes": 0}, {"slot_step_minutes": 1441}, {"slot_offset_minutes": 1440},
    {"maximum_sessions_per_day": 0}, {"maximum_sessions_per_day": 1001}, {"maximum_sessions_per_week": 0},
    {"maximum_sessions_per_week": 1001}, {"require_hours": "yes"}, {"require_hours": 1},
]  # fmt: skip


def test_settings_beyond_their_limits_are_refused(world: World) -> None:
    therapist = world.therapist()
    set_policy(world, therapist, {"minimum_duration_minutes": 50, "maximum_duration_minutes": 60})
    with nothing_written(world):
        ended = [(settings, outcome(partial(set_policy, world, therapist, settings))) for settings in BEYOND]
    assert [settings for settings, code in ended if code != "invalid_parameter"] == []


def test_the_default_has_every_setting(world: World) -> None:
    with nothing_written(world):
        ended = [(name, outcome(partial(set_policy, world, None, {name: None}))) for name in DEFAULT]
    assert [name for name, code in ended if code != "invalid_parameter"] == []


def test_no_settings_are_refused(world: World) -> None:
    with nothing_written(world), refused("invalid_parameter") as refusal:
        call(world.connection, "set_policy", settings=None)
    assert refusal.detail["parameter"] == "p_settings"


def test_settings_are_of_a_therapist_who_is_one(world: World) -> None:
    client = world.client()
    for nobody in (client, UUID("00000000-0000-4000-8000-0000000000ff")):
        with nothing_written(world), refused("therapist_not_found") as refusal:
            set_policy(world, nobody, {})
        assert refusal.detail["therapist_id"] == str(nobody)


@pytest.mark.parametrize(("settings", "detail"), [
    ([], {"parameter": "p_settings", "reason": "no_object"}),
    ({"a": 1}, {"parameter": "p_settings", "reason": "unknown"}),
    ({"hold_lifetime": "2 hours"}, {"parameter": "hold_lifetime", "minimum": "10 seconds", "maximum": "1 hour"}),
    ({"minimum_duration_minutes": 5}, {"parameter": "minimum_duration_minutes", "minimum": 15, "maximum": 180}),
    ({"refund_grace": "soon"}, {"parameter": "refund_grace", "minimum": "0", "maximum": "3650 days"}),
    ({"maximum_advance": "1 hour"}, {"parameter": "maximum_advance", "minimum": "1 day", "maximum": "3650 days"}),
    ({"require_hours": 2}, {"parameter": "require_hours", "choices": [True, False]}),
])  # fmt: skip
def test_an_error_names_the_setting_and_its_limits(world: World, settings: Any, detail: dict[str, Any]) -> None:
    """However the connection shows intervals."""
    with session_of(world) as connection:
        connection.execute("set intervalstyle = 'iso_8601'")
        with refused("invalid_parameter") as refusal:
            call(connection, "set_policy", settings=Jsonb(settings))
    assert refusal.detail == {"code": "invalid_parameter", **detail}


def test_a_new_policy_changes_no_session(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    world.book(client, therapist)
    set_policy(world, therapist, {"time_zone": "Europe/Berlin", "cancellation_window": "48 hours"})
    world.book(client, therapist, session_date=TOMORROW + DAY)
    terms = "select time_zone, start_time - free_cancellation_until from sessions order by start_time"
    assert world.run(terms) == [("UTC", DAY), ("Europe/Berlin", 2 * DAY)]


def test_a_duration_is_one_that_the_therapist_offers(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    set_policy(world, therapist, {"minimum_duration_minutes": 50, "maximum_duration_minutes": 60})
    for minutes in (49, 61):
        with nothing_written(world), refused("invalid_duration") as refusal:
            world.book(client, therapist, duration_minutes=minutes)
        assert refusal.detail == {"code": "invalid_duration", "minimum": 50, "maximum": 60}
    for time, minutes in (("10:00", 50), ("12:00", 60)):
        assert world.book(client, therapist, time, duration_minutes=minutes)["duration_minutes"] == minutes
