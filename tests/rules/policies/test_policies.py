"""The settings of a policy, and which one counts."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.life import (
    set_policy,
)
from tests.support.refusals import nothing_written, outcome, refused

# ----------------------------------------------------------------------------------------------------------------------
# Policies
# ----------------------------------------------------------------------------------------------------------------------


def test_therapists_settings_stand_before_the_default_ones(world: World) -> None:
    therapist, other, client = world.therapist(), world.therapist(), world.client(credits=9)
    set_policy(world, therapist, maximum_duration_minutes=30)
    set_policy(world, None, maximum_duration_minutes=90)

    def longest(whose: UUID) -> list[str]:
        return [
            outcome(partial(world.book, client, whose, f"{10 + 3 * number}:00", duration_minutes=minutes))
            for number, minutes in enumerate((30, 60, 120))
        ]

    assert longest(therapist) == ["done", "invalid_duration", "invalid_duration"]
    world.run("delete from sessions")
    assert longest(other) == ["done", "done", "invalid_duration"]
    world.run("delete from sessions")
    set_policy(world, therapist, maximum_duration_minutes=None)
    assert longest(therapist) == ["done", "done", "invalid_duration"]


def test_no_therapist_ends_up_with_a_minimum_above_the_maximum(world: World) -> None:
    therapist = world.therapist()
    set_policy(world, therapist, minimum_duration_minutes=60)
    for whose, settings in (
        (None, {"maximum_duration_minutes": 45}),
        (therapist, {"maximum_duration_minutes": 45}),
        (None, {"minimum_duration_minutes": 60, "maximum_duration_minutes": 30}),
    ):
        with nothing_written(world), refused("invalid_parameter"):
            set_policy(world, whose, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"cancellation_window": "366 days"}, {"cancellation_window": "-1 hour"}, {"cancellation_window": "soon"},
        {"cancellation_window": ""}, {"cancellation_window": {}}, {"cancellation_window": "infinity"},
        # Hours are meant, and Postgres would read seconds.
        {"cancellation_window": 48}, {"cancellation_window": "48"}, {"minimum_notice": 1.5},
        {"minimum_notice": "1e3"}, {"cancellation_window": " 48 "},
        {"refund_grace": "-1 second"}, {"refund_grace": "3651 days"}, {"hold_lifetime": "9 seconds"},
        {"hold_lifetime": "61 minutes"}, {"minimum_duration_minutes": 14}, {"maximum_duration_minutes": 181},
        {"minimum_duration_minutes": 15.5}, {"minimum_duration_minutes": "1e2"}, {"minimum_duration_minutes": -30},
        {"minimum_duration_minutes": [30]}, {"minimum_duration_minutes": True}, {"minimum_duration_minutes": ""},
        {"unknown": 1}, {"": 1}, {"time_zone": None},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(world: World, settings: dict[str, Any]) -> None:
    with nothing_written(world), refused("invalid_parameter"):
        set_policy(world, None, **settings)


@pytest.mark.parametrize("nothing", [0, "0", "0 hours", "00:00", "PT0S"])
def test_nothing_needs_no_unit(world: World, nothing: int | str) -> None:
    assert set_policy(world, None, minimum_notice=nothing)["minimum_notice"] == dt.timedelta(0)


@pytest.mark.parametrize("zone", ["Mars+5", "", "CEST+2", "../UTC", "🗓", 5])
def test_a_policys_zone_is_one_that_is_known(world: World, zone: Any) -> None:
    for therapist in (None, world.therapist()):
        with nothing_written(world), refused("invalid_time_zone"):
            set_policy(world, therapist, time_zone=zone)


@pytest.mark.parametrize("settings", ["null", "[]", '"text"', "1", "true"])
def test_settings_that_are_no_object_are_refused(world: World, settings: str) -> None:
    with nothing_written(world), refused("invalid_parameter") as refusal:
        world.run("select * from set_policy(%s::jsonb)", settings)
    assert refusal.detail["parameter"] == "p_settings"


# ----------------------------------------------------------------------------------------------------------------------
# What holds whatever a function does
# ----------------------------------------------------------------------------------------------------------------------


def test_an_interval_without_an_end_is_no_length_of_anything(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    if world.connection.info.server_version < 170000:
        pytest.skip("intervals have ends before Postgres 17")
    for endless in ("infinity", "-infinity"):
        for asked in (
            "hold_slot(%s, %s, %s, '10:00', p_ttl => %s::interval)", "book_series(%s, %s, %s, '10:00', 2, %s::interval)"
        ):  # fmt: skip
            with nothing_written(world), refused("invalid_parameter"):
                world.run(f"select * from {asked}", client, therapist, TOMORROW, endless)
