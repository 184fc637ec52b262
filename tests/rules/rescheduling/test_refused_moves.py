"""How late, and how often, a client may move a session."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support import Connection, World, connect
from tests.support.callers import logged_in
from tests.support.interleaving import waiting
from tests.support.life import DAY, HOUR, LATER, call, set_policy
from tests.support.refusals import nothing_written, outcome, refused


@pytest.fixture
def booked(supabase_world: World) -> tuple[World, UUID, UUID, UUID]:
    world = supabase_world
    client, therapist = world.client(credits=9), world.therapist()
    return world, client, therapist, world.book(client, therapist, session_date=LATER)["id"]


def _move(connection: Connection, **parameters: Any) -> Any:
    return call(connection, "reschedule_session", **parameters)


def moving(session_id: UUID, time: str, days: int = 0, **options: Any) -> Any:
    return partial(
        _move, session_id=session_id, session_date=LATER + days * DAY,
        session_time=time, **options,
    )  # fmt: skip


def move_as(world: World, person: UUID, session_id: UUID, time: str, days: int = 0, **options: Any) -> Any:
    with logged_in(world, person) as connection:
        return call(
            connection, "reschedule_session",
            session_id=session_id, session_date=LATER + days * DAY, session_time=time, **options,
        )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# How late
# ----------------------------------------------------------------------------------------------------------------------


def test_client_cannot_move_a_session_two_minutes_ahead(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    set_policy(world, therapist, reschedule_window="24 hours")
    start = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)
    world.run("update sessions set start_time = %s, end_time = %s where id = %s", start, start + HOUR, session)

    with nothing_written(world), refused("reschedule_refused") as refusal:
        move_as(world, client, session, "10:00", 90)
    assert refusal.detail["rule"] == "reschedule_window"
    assert abs(dt.datetime.fromisoformat(refusal.detail["until"]) - (start - DAY)) < dt.timedelta(seconds=1)
    # The therapist and the practice may.
    assert move_as(world, therapist, session, "10:00")["id"] == session


def test_client_moves_a_session_before_the_window(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    set_policy(world, therapist, reschedule_window="9 days")
    assert move_as(world, client, session, "12:00")["id"] == session
    set_policy(world, therapist, reschedule_window="365 days")
    with refused("reschedule_refused"):
        move_as(world, client, session, "13:00")
    # Whoever is trusted moves it however late.
    assert moving(session, "14:00")(world.connection)["id"] == session


def test_answered_move_is_answered_again_however_late(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    first = move_as(world, client, session, "12:00", idempotency_key="key")
    set_policy(world, therapist, reschedule_window="365 days", maximum_reschedules=0)
    assert move_as(world, client, session, "12:00", idempotency_key="key") == first


# ----------------------------------------------------------------------------------------------------------------------
# How often
# ----------------------------------------------------------------------------------------------------------------------


def test_client_moves_a_session_so_often_and_no_more(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    set_policy(world, therapist, maximum_reschedules=2)
    # Neither the therapist's moves nor the practice's count, nor a call that moves nothing.
    move_as(world, therapist, session, "08:00")
    moving(session, "09:00")(world.connection)
    move_as(world, client, session, "09:00")
    move_as(world, client, session, "11:00")
    # A new end is a move.
    move_as(world, client, session, "11:00", duration_minutes=90)
    with nothing_written(world), refused("reschedule_refused") as refusal:
        move_as(world, client, session, "13:00")
    assert refusal.detail == {
        "code": "reschedule_refused", "session_id": str(session), "rule": "maximum_reschedules", "limit": 2, "count": 2,
    }  # fmt: skip
    # Of this session alone.
    other = world.book(client, therapist, "18:00", session_date=LATER)["id"]
    assert move_as(world, client, other, "19:00")["id"] == other
    assert move_as(world, therapist, session, "13:00")["id"] == session
    assert world.violations() == []


def test_direct_move_of_a_client_is_counted(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    world.run("grant update on sessions to authenticated")
    world.run("create policy own_update on sessions for update to authenticated using (true)")
    set_policy(world, therapist, maximum_reschedules=1)
    with logged_in(world, client) as connection:
        connection.execute("update sessions set scheduled_time = '12:00' where id = %s", (session,))
    with refused("reschedule_refused"):
        move_as(world, client, session, "13:00")


def test_two_last_moves_at_once_are_one(booked: tuple[World, UUID, UUID, UUID]) -> None:
    world, client, therapist, session = booked
    set_policy(world, therapist, maximum_reschedules=1)
    observer = psycopg.conninfo.make_conninfo(world.url, user=world.superuser)
    with logged_in(world, client) as first, logged_in(world, client) as second, connect(observer) as watching:
        first.execute("begin")
        moving(session, "12:00")(first)
        # Only a superuser sees what others wait for.
        answer = waiting(replace(world, connection=watching), moving(session, "13:00"), second)
        first.execute("commit")
        assert outcome(answer.result) == "reschedule_refused"
    assert world.violations() == []
