"""Two at once, one order forced: a policy that changes meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import cast
from uuid import UUID

import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    call,
)
from tests.support.races import (
    ENDINGS,
    booking,
    race,
    setting,
    writing,
)


def window_of(world: World, session_id: UUID) -> dt.timedelta:
    window = "select start_time - free_cancellation_until from sessions where id = %s"
    return cast(dt.timedelta, world.scalar(window, session_id))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_booking_that_waits_for_a_policy_is_made_under_it(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as one, session_of(world) as other:
        setting(therapist, cancellation_window="2 hours")(one)
        answer = waiting(world, booking(client, therapist), other)
        one.execute(ending.encode())
        session_id = answer.result()["id"]

    assert window_of(world, session_id) == dt.timedelta(hours=2 if ending == "commit" else 24)


def test_a_policy_that_waits_for_a_booking_leaves_its_deal(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as one, session_of(world) as other:
        session_id = booking(client, therapist)(one)["id"]
        answer = waiting(world, setting(therapist, cancellation_window="2 hours"), other)
        one.execute("commit")
        answer.result()

    assert window_of(world, session_id) == dt.timedelta(hours=24)


@pytest.mark.parametrize("ending", ENDINGS)
def test_policy_changed_by_two_stays_consistent(world: World, ending: str) -> None:
    therapist = world.therapist()

    ended = race(
        world, setting(None, maximum_duration_minutes=30), setting(therapist, minimum_duration_minutes=45), ending
    )

    assert ended == ("done", "invalid_parameter" if ending == "commit" else "done")


def test_settings_that_are_changed_at_once_are_all_kept(world: World) -> None:
    therapist = world.therapist("Europe/Paris")
    assert race(
        world, setting(therapist, cancellation_window="2 hours"), setting(therapist, hold_lifetime="2 minutes")
    ) == ("done", "done")
    # The zone is written by a function that takes no lock of the therapist's.
    register = writing(
        "select register_therapist(u.email, null, u.id, 'Asia/Tokyo') from users as u where u.id = %s", therapist
    )
    assert race(world, register, setting(therapist, refund_grace="60 days")) == ("done", "done")

    policy = call(world.connection, "get_policy", therapist_id=therapist)
    assert policy["cancellation_window"] == dt.timedelta(hours=2)
    assert policy["hold_lifetime"] == dt.timedelta(minutes=2)
    assert policy["refund_grace"] == dt.timedelta(days=60)
    assert policy["time_zone"] == "Asia/Tokyo"
