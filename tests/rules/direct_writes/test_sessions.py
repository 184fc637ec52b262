"""Sessions that are written directly, one row at a time."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.support import TOMORROW, World
from tests.support.direct_writes import HOUR, INSERT, SHIFT, at, calendar, free, insert, place, switched_off, update
from tests.support.refusals import nothing_written, outcome, refused


@pytest.mark.parametrize("status", ["pending_approval", "scheduled", "confirmed", "in_progress"])
def test_a_direct_session_takes_its_time(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    session = place(world, client, therapist, 10, status)

    assert calendar(world) == [(session, therapist, client, at(10), at(11))]
    with refused("booking_conflict"):
        world.book(world.client(credits=1), therapist, "10:30")
    with refused("client_conflict"):
        world.book(client, world.therapist(), "10:30")
    assert world.violations() == []


@pytest.mark.parametrize("status", ["completed", "cancelled", "no_show"])
def test_a_session_that_does_not_take_place_takes_no_time(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    place(world, client, therapist, 10, status)

    assert calendar(world) == []
    assert world.book(client, therapist)["status"] == "scheduled"
    assert world.violations() == []


def test_a_direct_session_over_another_is_refused_as_a_conflict(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist, "10:00")
    others = world.therapist(), world.client()

    with nothing_written(world), refused("booking_conflict") as refusal:
        world.run(INSERT, others[1], therapist, at(10, 30), at(12), "scheduled")
    assert refusal.detail["therapist_id"] == str(therapist)
    with nothing_written(world), refused("client_conflict"):
        world.run(INSERT, client, others[0], at(10, 30), at(12), "scheduled")


@pytest.mark.parametrize("status", ["completed", "cancelled", "no_show"])
def test_ending_status_frees_the_time_and_coming_back_takes_it(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist)

    world.run("update sessions set status = %s", status)
    assert calendar(world) == []
    world.run("update sessions set status = 'confirmed'")
    assert calendar(world) == [(booked["id"], therapist, client, at(10), at(11))]

    world.run("update sessions set status = %s", status)
    world.book(client, therapist)
    with nothing_written(world), refused("booking_conflict"):
        world.run("update sessions set status = 'scheduled' where id = %s", booked["id"])
    assert world.violations() == []


def test_moving_a_session_frees_the_old_time_and_takes_the_new(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, "10:00")
    world.book(client, therapist, "12:00")

    with nothing_written(world), refused("booking_conflict"):
        world.run(SHIFT + " where id = %s", 2 * HOUR, 2 * HOUR, booked["id"])
    world.run(SHIFT + " where id = %s", HOUR, HOUR, booked["id"])

    assert free(world, therapist, 10)
    assert not free(world, therapist, 11)
    assert world.violations() == []


def test_moving_a_session_to_other_people_checks_them(world: World) -> None:
    therapists, clients = [world.therapist() for _ in range(2)], [world.client(credits=1) for _ in range(2)]
    booked = [world.book(clients[n], therapists[n]) for n in range(2)]

    with nothing_written(world), refused("booking_conflict"):
        world.run("update sessions set therapist_id = %s where id = %s", therapists[1], booked[0]["id"])
    with nothing_written(world), refused("client_conflict"):
        world.run("update sessions set user_id = %s where id = %s", clients[1], booked[0]["id"])
    # Both at once exchange their therapists.
    world.run(
        "update sessions set therapist_id = case therapist_id when %s then %s::uuid else %s end",
        therapists[0], therapists[1], therapists[0],
    )  # fmt: skip
    assert {(row[1], row[2]) for row in calendar(world)} == {
        (therapists[1], clients[0]),
        (therapists[0], clients[1]),
    }
    assert world.violations() == []


def test_a_deleted_session_frees_its_time_and_keeps_its_records(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist)

    world.run("delete from sessions")

    assert calendar(world) == []
    assert world.scalar("select count(*) from bookingdb.ledger where session_id = %s", booked["id"]) == 1
    assert world.scalar("select max(action) from booking_audit_log where new_status is null") == "deleted"
    world.book(client, therapist)
    assert world.violations() == []


def test_nobody_but_the_booking_functions_says_what_was_paid(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    booked = world.book(client, therapist)["id"]
    direct = world.scalar("insert into sessions (user_id) values (%s) returning id", client)

    for statement, session in (
        ("insert into sessions (title, credits_charged) select title, 1 from sessions where id = %s", direct),
        ("update sessions set credits_charged = 1 where id = %s", direct),
        ("update sessions set credits_charged = 0 where id = %s", booked),
    ):
        with nothing_written(world), pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            world.run(statement, session)
    assert world.violations() == []


def test_the_audit_log_speaks_in_utc(world: World) -> None:
    world.book(world.client(credits=1), world.therapist("UTC"), "10:00")
    world.run("set timezone = 'Asia/Kathmandu'")
    world.run("update sessions set start_time = start_time + interval '30 minutes', description = 'private'")

    changes = world.scalar("select changes from booking_audit_log where action = 'updated'")
    assert changes["start_time"] == {
        "old": f"{TOMORROW}T10:00:00+00:00",
        "new": f"{TOMORROW}T10:30:00+00:00",
    }
    assert changes["description"] == {}


def test_the_id_of_a_session_does_not_change(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)

    with nothing_written(world):
        assert outcome(partial(world.run, "update sessions set id = gen_random_uuid()")) == "23000"


def test_past_session_is_not_written_over_another(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    past = dt.datetime(2020, 1, 6, 10, tzinfo=dt.UTC)
    world.run(INSERT, client, therapist, past, past + HOUR, "confirmed")

    with refused("booking_conflict"):
        world.run(INSERT, world.client(), therapist, past, past + HOUR, "confirmed")
    world.run(INSERT, world.client(), therapist, past, past + HOUR, "completed")


def test_a_session_with_one_person_takes_the_time_of_that_one(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    place(world, None, therapist, 10)
    place(world, client, None, 12)

    with refused("booking_conflict"):
        world.book(client, therapist, "10:00")
    with refused("client_conflict"):
        world.book(client, therapist, "12:00")
    assert world.violations() == []


UNPLACED: list[tuple[str, dict[str, Any]]] = [
    ("nobody", {"user_id": None, "therapist_id": None}),
    ("no end", {"end_time": None}),
    ("no start", {"start_time": None}),
    ("ends before it starts", {"end_time": at(9)}),
    ("ends as it starts", {"end_time": at(10)}),
]


@pytest.mark.parametrize("changed", [change for _, change in UNPLACED], ids=[name for name, _ in UNPLACED])
def test_session_without_times_is_listed_and_blocks_nobody(world: World, changed: dict[str, Any]) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    row = {"user_id": client, "therapist_id": therapist, "start_time": at(10), "end_time": at(11), **changed}

    with switched_off(world, "insert"):
        session = insert(world, **row)

    assert world.run("select id from bookingdb.unplaced_sessions()") == [(session,)]
    assert calendar(world) == []
    assert world.violations() == []
    # One that took its time becomes one that cannot, and the other way round.
    booked = world.book(client, therapist)
    with switched_off(world, "update"):
        update(world, booked["id"], **changed)
    assert calendar(world) == []
    assert world.count("bookingdb.unplaced_sessions()") == 2
    assert world.violations() == []
    world.run(
        "update sessions set user_id = %s, therapist_id = %s, start_time = %s, end_time = %s where id = %s",
        client, therapist, at(10), at(11), booked["id"],
    )  # fmt: skip
    assert [row[0] for row in calendar(world)] == [booked["id"]]
    assert world.violations() == []


def test_a_cancelled_session_without_an_end_is_not_listed(world: World) -> None:
    world.run("insert into sessions (user_id, status) values (%s, 'cancelled')", world.client())

    assert world.count("bookingdb.unplaced_sessions()") == 0
