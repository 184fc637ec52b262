"""A key books once, and answers again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.support import TOMORROW, World
from tests.support.life import (
    YESTERDAY,
)
from tests.support.refusals import nothing_written, refused


def test_repeated_request_answers_the_same_and_takes_nothing(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("select * from grant_credits(%s, 5)", client)

    with nothing_written(world):
        again = world.book(client, therapist, idempotency_key="key")

    assert again == booked
    assert again["credits_balance"] == 1
    assert world.balance(client) == 6


def test_repeated_request_shows_the_session_as_it_stands(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("update sessions set status = 'confirmed' where id = %s", booked["id"])

    again = world.book(client, therapist, idempotency_key="key")

    assert again == {**booked, "status": "confirmed"}
    assert world.violations() == []


@pytest.mark.parametrize(
    "other",
    [
        {"therapist": "other"}, {"session_date": TOMORROW + dt.timedelta(days=1)}, {"at": "10:01"},
        {"duration_minutes": 61}, {"session_type": "audio"}, {"notes": "other"}, {"notes": None}, {"title": "Other"},
        {"time_zone": "UTC"},
    ],
)  # fmt: skip
def test_a_key_with_other_parameters_is_refused(world: World, other: dict[str, Any]) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.book(client, therapist, idempotency_key="key")
    if "therapist" in other:
        other = {"therapist": world.therapist()}

    with nothing_written(world), refused("idempotency_key_reused"):
        world.book(**{"client": client, "therapist": therapist, "idempotency_key": "key", **other})


def test_keys_are_each_clients_own_and_each_functions_own(world: World) -> None:
    therapist, client, other = world.therapist(), world.client(), world.client(credits=1)
    world.run("select * from grant_credits(%s, 1, p_idempotency_key => 'key')", client)

    world.book(client, therapist, "10:00", idempotency_key="key")
    world.book(other, therapist, "11:00", idempotency_key="key")

    assert world.count("sessions") == 2
    assert world.violations() == []


def test_a_refused_request_leaves_its_key_free(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    with refused("insufficient_credits"):
        world.book(client, therapist, idempotency_key="key")
    world.run("select * from grant_credits(%s, 1)", client)

    world.book(client, therapist, "11:00", idempotency_key="key")

    assert world.violations() == []


def test_key_answers_when_the_people_are_gone(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    now = dt.datetime.now(dt.UTC)
    # The request as it was sent yesterday; the session is moved there as time would have done.
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("update bookingdb.idempotency_keys set created_at = created_at - interval '10 days'")
    world.run(
        "update sessions set start_time = %s, end_time = %s", now - dt.timedelta(hours=30), now - dt.timedelta(hours=29)
    )
    world.run("update users set is_active = false")

    again = world.book(client, therapist, idempotency_key="key")

    assert again["id"] == booked["id"]
    assert again["start_time"] < now


def test_key_answers_when_the_time_has_passed(world: World) -> None:
    """The parameters themselves lie in the past: a key is looked up before the clock is."""
    therapist, client = world.therapist(), world.client(credits=2)
    first = world.book(client, therapist, idempotency_key="key")
    with refused("in_past"):
        world.book(client, therapist, session_date=YESTERDAY, idempotency_key="other")
    world.run(
        "insert into bookingdb.idempotency_keys"
        " (function_name, user_id, key, request_hash, result_id, credits_balance)"
        " select 'create_session_with_credit_deduction', %s, 'past', bookingdb.request_hash(jsonb_build_array("
        "   %s::uuid, %s::date, time '10:00', 60, 'video', '', 'Therapy Session', null)), %s, 1",
        client, therapist, YESTERDAY, first["id"],
    )  # fmt: skip

    assert world.book(client, therapist, session_date=YESTERDAY, idempotency_key="past")["id"] == first["id"]


def test_key_of_a_deleted_session_books_nothing(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("delete from sessions where id = %s", booked["id"])

    with nothing_written(world), refused("session_not_found") as refusal:
        world.book(client, therapist, idempotency_key="key")

    assert refusal.detail["session_id"] == str(booked["id"])
    # The deletion is on record.
    assert world.violations() == []
