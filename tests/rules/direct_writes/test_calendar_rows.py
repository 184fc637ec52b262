"""Holds and absences that were written directly."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.direct_writes import INSERT, at, free, place
from tests.support.refusals import nothing_written, refused


def occupy(world: World, therapist: UUID | None, client: UUID | None, expires: str) -> Any:
    """Put a hold into the calendar, from 10:00 to 11:00."""
    return world.scalar(
        "insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked, expires_at)"
        " values ('hold', %s, %s, tstzrange(%s, %s), tstzrange(%s, %s), now() + %s::interval) returning id",
        therapist, client, at(10), at(11), at(10), at(11), expires,
    )  # fmt: skip


def take_off(world: World, kind: str, therapist: UUID) -> None:
    """Let a therapist be away from 10:00 to 11:00."""
    world.run(
        "insert into bookingdb.absences (kind, therapist_id, period) values (%s, %s, tstzrange(%s, %s))",
        kind, therapist, at(10), at(11),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["time_off", "external"])
def test_time_off_and_external_appointments_count(world: World, kind: str) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    take_off(world, kind, therapist)
    # They may overlap anything, themselves and sessions too.
    take_off(world, kind, therapist)

    assert not free(world, therapist, 10)
    with nothing_written(world), refused("booking_conflict"):
        world.book(client, therapist, "10:30")
    with nothing_written(world), refused("booking_conflict"):
        world.run(INSERT, client, therapist, at(10), at(11), "scheduled")
    world.book(client, therapist, "11:00")
    world.book(client, world.therapist(), "10:00")
    assert world.violations() == []


def test_time_off_counts_where_the_session_is_left_out(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    booked = world.book(client, therapist)
    asked = "select check_booking_conflict(%s, %s, '10:00', '11:00', null, %s)"

    assert world.scalar(asked, therapist, TOMORROW, booked["id"]) is False
    take_off(world, "time_off", therapist)
    assert world.scalar(asked, therapist, TOMORROW, booked["id"]) is True


def test_a_live_hold_blocks_therapist_and_client(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    occupy(world, therapist, client, "5 minutes")

    assert not free(world, therapist, 10)
    other = world.client(credits=1)
    with nothing_written(world), refused("booking_conflict"):
        world.book(other, therapist, "10:30")
    with nothing_written(world), refused("booking_conflict"):
        world.run(INSERT, client, therapist, at(10), at(11), "scheduled")
    free_therapist = world.therapist()
    with nothing_written(world), refused("client_conflict"):
        world.book(client, free_therapist, "10:30")
    world.book(client, therapist, "11:00")


@pytest.mark.parametrize("whose", ["therapist", "client", "both"])
@pytest.mark.parametrize("by", ["book", "insert"])
@pytest.mark.parametrize("expired", ["0 seconds", "-1 day"])
def test_an_expired_hold_blocks_nobody_and_is_removed(world: World, whose: str, by: str, expired: str) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    occupy(
        world, therapist if whose != "client" else world.therapist(),
        client if whose != "therapist" else world.client(), expired,
    )  # fmt: skip

    assert free(world, therapist, 10)
    if by == "book":
        world.book(client, therapist, "10:30")
    else:
        place(world, client, therapist, 10)

    assert world.run("select kind from bookingdb.calendar") == [("session",)]
    assert world.violations() == []


def test_an_expired_hold_of_another_time_stays(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    occupy(world, therapist, client, "-1 day")

    world.book(client, therapist, "11:00")

    assert world.count("bookingdb.calendar") == 2
