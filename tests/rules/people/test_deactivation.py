"""A person who is deactivated while they are being booked, and the order in which people are locked."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import Connection, World, book, run
from tests.support.interleaving import holding, session_of, waiting
from tests.support.refusals import refused


@pytest.mark.parametrize("first_commits", [True, False])
def test_client_racing_themselves_books_one_therapist(world: World, first_commits: bool) -> None:
    client, therapists = world.client(credits=2), [world.therapist(), world.therapist()]
    with holding(world) as first, session_of(world) as second:
        book(first, client, therapists[0])
        answer = waiting(world, partial(book, client=client, therapist=therapists[1], at="10:30"), second)
        first.execute("commit" if first_commits else "rollback")

        if first_commits:
            with refused("client_conflict"):
                answer.result()
        else:
            assert answer.result()["therapist_id"] == therapists[1]
    assert world.count("sessions") == 1
    assert world.violations() == []


def deactivate_by_function(connection: Connection, person: UUID) -> None:
    connection.execute("select set_therapist_active(%s, false)", [person])


def deactivate_by_update(connection: Connection, person: UUID) -> None:
    connection.execute("update users set is_active = false where id = %s", [person])


def unverify_everybody(connection: Connection, person: UUID) -> None:
    connection.execute("update users set is_verified = false")


DEACTIVATIONS = [deactivate_by_function, deactivate_by_update, unverify_everybody]


@pytest.mark.parametrize("deactivate", DEACTIVATIONS)
def test_deactivation_of_a_therapist_waits_for_a_booking(world: World, deactivate: Any) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    with holding(world) as booking, session_of(world) as connection:
        book(booking, client, therapist)
        done = waiting(world, partial(deactivate, person=therapist), connection)
        booking.execute("commit")
        done.result()

    with refused("therapist_not_found"):
        world.book(client, therapist, "12:00")
    assert world.count("sessions") == 1


@pytest.mark.parametrize("deactivate", DEACTIVATIONS)
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_booking_waits_for_a_therapist_being_deactivated(world: World, deactivate: Any, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as deactivating, session_of(world) as connection:
        deactivate(deactivating, therapist)
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        deactivating.execute(ending.encode())

        if ending == "commit":
            with refused("therapist_not_found"):
                answer.result()
        else:
            assert answer.result()["status"] == "scheduled"
    assert world.count("sessions") == (0 if ending == "commit" else 1)
    assert world.violations() == []


def test_client_deactivated_during_a_wait_cannot_book(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as deactivating, session_of(world) as connection:
        deactivate_by_update(deactivating, client)
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        deactivating.execute("commit")

        with refused("user_not_found"):
            answer.result()


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_booking_waits_for_a_client_being_closed(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as closing, session_of(world) as connection:
        closing.execute("select set_client_active(%s, false)", [client])
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        closing.execute(ending.encode())
        if ending == "commit":
            with refused("user_not_found"):
                answer.result()
        else:
            assert answer.result()["status"] == "scheduled"
    assert world.violations() == []


@pytest.mark.parametrize("therapist_first", [True, False])
def test_people_are_locked_in_one_order_whatever_their_part(world: World, therapist_first: bool) -> None:
    """The cause of deadlocks: who waits for the first of two people must not hold the second already."""
    while True:
        therapist, client = world.therapist(), world.client(credits=1)
        keys = [world.scalar("select bookingdb.person_key(%s)", person) for person in (therapist, client)]
        if (keys[0] < keys[1]) is therapist_first:
            break
    first, second = (therapist, client) if therapist_first else (client, therapist)
    taken = "select bookingdb.person_key(%s) in (%s, %s), pg_try_advisory_xact_lock(bookingdb.person_key(%s))"

    with holding(world) as holder, session_of(world) as connection:
        holder.execute("select lock_for_booking(%s)", [[first]])
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        # In a transaction of its own, which gives the lock back at once.
        assert world.run(taken, second, *keys, second) == [(True, True)]
        holder.execute("commit")

        assert answer.result()["status"] == "scheduled"


def test_many_people_are_locked_in_one_order(world: World) -> None:
    """Whoever waits for the first of them holds none of the others, in whatever order they were named."""
    people = [uuid4() for _ in range(8)]
    people.sort(key=lambda person: world.scalar("select bookingdb.person_key(%s)", person), reverse=True)
    first, others = people[-1], people[:-1]
    free = "select bool_and(pg_try_advisory_xact_lock(bookingdb.person_key(p.id))) from unnest(%s::uuid[]) as p (id)"

    with holding(world) as holder, session_of(world) as connection:
        holder.execute("select lock_for_booking(%s)", [[first]])
        answer = waiting(world, lambda other: run(other, "select lock_for_booking(%s)", people), connection)
        assert world.run(free, others) == [(True,)]
        holder.execute("commit")

        answer.result()
