"""A key books once, and answers again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import next_clock_change
from tests.support.life import YESTERDAY, call, hold, rows, set_policy
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


@on_todays_supabase
@pytest.mark.parametrize("caller", ["the client", "a trusted caller"])
def test_session_of_another_client_by_now_is_not_answered(hosted_world: World, caller: str) -> None:
    """Neither by a key nor as a booked hold: it gets what a session that was deleted gets."""
    world = hosted_world
    client, other, therapist = world.client(credits=9), world.client(), world.therapist()
    slot = {"user_id": client, "therapist_id": therapist, "session_date": TOMORROW}
    held = hold(world, client, therapist)["id"]
    calls: dict[str, dict[str, Any]] = {
        "create_session_with_credit_deduction": {**slot, "session_time": "12:00"},
        "book_hold": {"hold_id": held},
        "book_session_with_override": {**slot, "session_time": "14:00"},
        "record_session": {**slot, "session_date": YESTERDAY, "session_time": "12:00"},
    }
    for function, asked in calls.items():
        call(world.connection, function, **asked, idempotency_key="key")
    world.run("update sessions set user_id = %s, description = 'a secret'", other)
    if caller == "the client":
        del calls["book_session_with_override"], calls["record_session"]
    with logged_in(world, client) as as_client:
        connection = as_client if caller == "the client" else world.connection
        for function, asked in calls.items():
            with nothing_written(world), refused("session_not_found"):
                call(connection, function, **asked, idempotency_key="key")
        with nothing_written(world), refused("hold_expired") as refusal:
            call(connection, "book_hold", hold_id=held)
        assert refusal.detail["reason"] == "booked"


@on_todays_supabase
def test_session_of_a_series_that_passed_on_is_left_out(hosted_world: World) -> None:
    """Of the answer to a key, for those who have no part in it any more."""
    world = hosted_world
    client, other, therapist, third = world.client(credits=9), world.client(), world.therapist(), world.therapist()
    asked = {
        "user_id": client, "therapist_id": therapist, "session_date": TOMORROW, "session_time": "10:00",
        "occurrences": 3, "idempotency_key": "key",
    }  # fmt: skip
    ids = [row["id"] for row in rows(world.connection, "book_series", **asked)]
    move = {"session_id": ids[0], "session_date": TOMORROW, "session_time": "12:00", "idempotency_key": "key"}
    rows(world.connection, "reschedule_series", **move)
    world.run("update sessions set user_id = %s, description = 'a secret' where id = %s", other, ids[1])
    call(world.connection, "transfer_session", session_id=ids[2], therapist_id=third)
    with logged_in(world, client) as connection:
        for function, request in (("book_series", asked), ("reschedule_series", move)):
            assert [row["id"] for row in rows(connection, function, **request)] == [ids[0], ids[2]]
    with logged_in(world, therapist) as connection:
        assert [row["id"] for row in rows(connection, "reschedule_series", **move)] == ids[:2]
    rows(world.connection, "cancel_series", session_id=ids[0], idempotency_key="key")
    with logged_in(world, therapist) as connection:
        answer = rows(connection, "cancel_series", session_id=ids[0], idempotency_key="key")
    assert [row["id"] for row in answer] == ids[:2]


@pytest.mark.parametrize("function", ["create_session_with_credit_deduction", "hold_slot", "book_series"])
def test_answer_comes_before_a_time_that_is_skipped_by_now(world: World, function: str) -> None:
    """The therapist's zone is another one since."""
    skipped = next_clock_change("Europe/Berlin", forward=True)
    set_policy(world, None, maximum_advance="900 days")
    client, therapist = world.client(credits=2), world.therapist("UTC")
    slot = {
        "user_id": client, "therapist_id": therapist, "session_date": skipped.date(), "session_time": skipped.time(),
        **({"occurrences": 2} if function == "book_series" else {}),
    }  # fmt: skip
    first = rows(world.connection, function, **slot, idempotency_key="key")
    set_policy(world, therapist, time_zone="Europe/Berlin")
    with refused("skipped_time"):
        rows(world.connection, function, **slot, idempotency_key="other")
    with nothing_written(world):
        assert rows(world.connection, function, **slot, idempotency_key="key") == first


@pytest.mark.parametrize("function", ["reschedule_session", "reschedule_series"])
def test_move_answers_after_a_transfer_to_another_zone(world: World, function: str) -> None:
    skipped = next_clock_change("Europe/Berlin", forward=True)
    set_policy(world, None, maximum_advance="900 days")
    session_id = world.book(world.client(credits=1), world.therapist("UTC"))["id"]
    move = {"session_id": session_id, "session_date": skipped.date(), "session_time": skipped.time()}
    (first,) = rows(world.connection, function, **move, idempotency_key="key")
    therapist = world.therapist("Europe/Berlin")
    call(world.connection, "transfer_session", session_id=session_id, therapist_id=therapist)
    with refused("skipped_time"):
        rows(world.connection, function, **move, idempotency_key="other")
    with nothing_written(world):
        (again,) = rows(world.connection, function, **move, idempotency_key="key")
    assert (again["id"], again["start_time"], again["therapist_id"]) == (session_id, first["start_time"], therapist)
