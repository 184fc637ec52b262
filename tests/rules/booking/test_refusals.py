"""Every error of a booking, with its message, DETAIL and HINT, and nothing written."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.life import (
    UNKNOWN,
    YESTERDAY,
    at,
)
from tests.support.refusals import PROMISED, nothing_written, outcome, refused

# ----------------------------------------------------------------------------------------------------------------------
# Every error, with its message, DETAIL and HINT, and nothing written
# ----------------------------------------------------------------------------------------------------------------------


REFUSED_PARAMETERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("invalid_user_id", {"user_id": None}, {}),
    ("invalid_therapist_id", {"therapist_id": None}, {}),
    ("invalid_date", {"session_date": None}, {}),
    ("invalid_date", {"session_date": "infinity"}, {}),
    ("invalid_date", {"session_date": "-infinity"}, {}),
    ("invalid_date", {"session_date": "0044-03-15 BC"}, {}),
    ("invalid_date", {"session_date": "1899-12-31"}, {}),
    ("invalid_date", {"session_date": "3000-01-01"}, {}),
    ("invalid_date", {"session_date": "294276-12-31"}, {}),
    ("invalid_date", {"session_date": "5874897-12-31"}, {}),
    ("invalid_time", {"session_time": None}, {}),
    ("invalid_time", {"session_time": "10:00:01"}, {}),
    ("invalid_time", {"session_time": "10:00:00.000001"}, {}),
    ("invalid_time", {"session_time": "23:59:60"}, {}),
    ("invalid_time", {"session_time": "24:00"}, {}),
    ("invalid_time_zone", {"time_zone": ""}, {}),
    ("invalid_time_zone", {"time_zone": "Mars+5"}, {}),
    ("invalid_time_zone", {"time_zone": "europe/berlin"}, {}),
    ("invalid_time_zone", {"time_zone": "UTC "}, {}),
    ("invalid_time_zone", {"time_zone": "posix/Europe/Berlin"}, {}),
    ("invalid_time_zone", {"time_zone": "right/Europe/Berlin"}, {}),
    ("invalid_time_zone", {"time_zone": "localtime"}, {}),
    ("invalid_time_zone", {"time_zone": "../../etc/passwd"}, {}),
    ("invalid_time_zone", {"time_zone": "z" * 100_000}, {}),
    ("invalid_duration", {"duration_minutes": None}, {}),
    ("invalid_duration", {"duration_minutes": 14}, {}),
    ("invalid_duration", {"duration_minutes": 181}, {}),
    ("invalid_duration", {"duration_minutes": -(2**31)}, {}),
    ("invalid_duration", {"duration_minutes": 2**31 - 1}, {}),
    ("invalid_parameter", {"session_type": None}, {"parameter": "p_session_type"}),
    ("invalid_parameter", {"session_type": ""}, {"parameter": "p_session_type"}),
    ("invalid_parameter", {"session_type": "x" * 51}, {"parameter": "p_session_type"}),
    ("invalid_parameter", {"title": None}, {"parameter": "p_title"}),
    ("invalid_parameter", {"title": ""}, {"parameter": "p_title"}),
    ("invalid_parameter", {"title": "é" * 256}, {"parameter": "p_title"}),
    ("invalid_parameter", {"notes": "x" * 10_001}, {"parameter": "p_notes"}),
    ("invalid_parameter", {"notes": "x" * 2**20}, {"parameter": "p_notes"}),
    ("invalid_parameter", {"idempotency_key": ""}, {"parameter": "p_idempotency_key"}),
    ("invalid_parameter", {"idempotency_key": "k" * 256}, {"parameter": "p_idempotency_key"}),
    ("therapist_not_found", {"therapist_id": UNKNOWN}, {"therapist_id": str(UNKNOWN)}),
    ("user_not_found", {"user_id": UNKNOWN}, {"user_id": str(UNKNOWN)}),
    ("in_past", {"session_date": YESTERDAY}, {"start_time": f"{YESTERDAY}T10:00:00Z"}),
    ("in_past", {"session_date": "1900-01-01"}, {"start_time": "1900-01-01T10:00:00Z"}),
]


def test_impossible_parameters_are_refused(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    for code, parameters, context in REFUSED_PARAMETERS:
        with nothing_written(world), refused(code) as refusal:
            world.book(**{"client": client, "therapist": therapist, **renamed(parameters)})

        assert {**refusal.detail, **context} == refusal.detail, parameters
    world.book(client, therapist)


def renamed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Name the people as `book` names them."""
    names = {"user_id": "client", "therapist_id": "therapist"}
    return {names.get(name, name): value for name, value in parameters.items()}


def test_a_text_of_exactly_the_greatest_length_is_taken(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    booked = world.book(
        client, therapist, session_type="🧠" * 50, title="🧠" * 255, notes="🧠" * 10_000, idempotency_key="🧠" * 255
    )

    assert (len(booked["session_type"]), len(booked["title"]), len(booked["description"])) == (50, 255, 10_000)


def test_a_booking_without_credits_is_refused(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)

    with nothing_written(world), refused("insufficient_credits") as refusal:
        world.book(client, therapist, "12:00")

    assert refusal.detail == {"code": "insufficient_credits", "credits_balance": 0}


def test_a_taken_slot_is_refused_with_its_times_in_utc(world: World) -> None:
    therapist, client = world.therapist("Asia/Kathmandu"), world.client(credits=1)
    world.book(client, therapist)

    other = world.client(credits=1)
    with nothing_written(world), refused("booking_conflict") as refusal:
        world.book(other, therapist, "10:30", duration_minutes=30)

    assert refusal.detail == {
        "code": "booking_conflict",
        "therapist_id": str(therapist),
        "start_time": f"{TOMORROW}T04:45:00Z",
        "end_time": f"{TOMORROW}T05:15:00Z",
        "rule": "session",
        "next_free": f"{TOMORROW}T05:15:00Z",
        "time_zone": "Asia/Kathmandu",
    }


def test_next_free_slot_is_sought_within_a_year(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.run('select set_policy(\'{"maximum_advance": "3650 days"}\')')
    later = TOMORROW + dt.timedelta(days=400)
    hour = {"start_time": "09:00", "end_time": "10:00", "valid_from": f"{later}"}
    hours = [{"weekday": day, **hour} for day in range(1, 8)]
    world.run("select set_weekly_hours(%s, %s)", therapist, Jsonb(hours))

    with refused("outside_availability") as soon:
        world.book(client, therapist)
    with refused("outside_availability") as near:
        world.book(client, therapist, session_date=TOMORROW + dt.timedelta(days=40))

    assert soon.detail["next_free"] is None
    assert near.detail["next_free"] == f"{later}T09:00:00Z"


def test_client_in_another_session_is_refused_with_utc_times(world: World) -> None:
    client, other = world.client(credits=2), world.therapist()
    world.book(client, world.therapist())

    with nothing_written(world), refused("client_conflict") as refusal:
        world.book(client, other, "10:59", duration_minutes=15)

    assert refusal.detail["start_time"] == f"{TOMORROW}T10:59:00Z"
    assert refusal.detail["end_time"] == f"{TOMORROW}T11:14:00Z"


def test_the_therapists_conflict_comes_before_the_clients(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.book(client, therapist)

    with refused("booking_conflict"):
        world.book(client, therapist)


def test_errors_come_in_the_order_of_a_booking(world: World) -> None:
    """What is wrong is taken away one by one: each error was hidden by the one before."""
    therapist, client = world.therapist(), world.client(credits=1)
    other = world.therapist()
    world.book(client, other, "12:00")
    busy = world.therapist()
    world.book(world.client(credits=1), busy, "12:00")
    call: dict[str, Any] = {
        "client": None, "therapist": None, "duration_minutes": 0, "title": "", "time_zone": "Mars+5",
        "session_date": "infinity", "at": "24:00",
    }  # fmt: skip
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("invalid_user_id", {"client": UNKNOWN}),
        ("invalid_therapist_id", {"therapist": UNKNOWN}),
        ("invalid_duration", {"duration_minutes": 60}),
        ("invalid_parameter", {"title": "A title"}),
        ("invalid_time_zone", {"time_zone": "UTC"}),
        ("invalid_date", {"session_date": YESTERDAY}),
        ("invalid_time", {"at": "12:00"}),
        ("therapist_not_found", {"therapist": busy}),
        ("user_not_found", {"client": client}),
        ("in_past", {"session_date": TOMORROW}),
        ("booking_conflict", {"therapist": therapist}),
        ("client_conflict", {"at": "14:00"}),
        ("insufficient_credits", {}),
    ]
    for code, repaired in wrong:
        with refused(code):
            world.book(**call)
        call.update(repaired)


@pytest.mark.parametrize(
    "status", ["is_active = false", "is_verified = false", "user_type = 'user'", "user_type = 'admin'"]
)
def test_inactive_or_unverified_therapist_cannot_be_booked(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.run(f"update users set {status} where id = %s", therapist)

    with nothing_written(world), refused("therapist_not_found"):
        world.book(client, therapist)


@pytest.mark.parametrize("status", ["is_active = false", "user_type = 'therapist'"])
def test_inactive_client_cannot_book(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.run(f"update users set {status} where id = %s", client)

    with nothing_written(world), refused("user_not_found"):
        world.book(client, therapist)


@pytest.mark.parametrize("user_type", ["user", "admin", "something else"])
def test_any_active_user_but_a_therapist_can_book(world: World, user_type: str) -> None:
    client = world.client(credits=1)
    world.run("update users set user_type = %s, is_verified = false where id = %s", user_type, client)

    assert world.book(client, world.therapist())["status"] == "scheduled"


def test_therapist_cannot_book_themselves(world: World) -> None:
    therapist = world.therapist()

    with refused("user_not_found"):
        world.book(therapist, therapist)


def test_a_session_may_start_this_minute_but_not_the_last(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    now = dt.datetime.now(dt.UTC)
    for minutes, code in ((-1, "in_past"), (1, None)):
        start = now + dt.timedelta(minutes=minutes)
        options: dict[str, Any] = {"session_date": start.date(), "time_zone": "UTC"}
        if code:
            with refused(code):
                world.book(client, therapist, start.strftime("%H:%M"), **options)
        else:
            world.book(client, therapist, start.strftime("%H:%M"), **options)


# ----------------------------------------------------------------------------------------------------------------------
# NULL, whatever it stands for
# ----------------------------------------------------------------------------------------------------------------------


def test_null_anywhere_ends_in_a_result_or_our_error(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.run("select * from grant_credits(%s, 1, 'reference')", client)
    session = world.book(client, therapist, "20:00")["id"]
    calls: list[tuple[str, list[tuple[str, Any]]]] = [
        (
            "select * from create_session_with_credit_deduction",
            [("uuid", client), ("uuid", therapist), ("date", TOMORROW), ("time", "10:00"), ("integer", 60),
             ("varchar", "video"), ("text", "n"), ("text", "t"), ("text", "UTC"), ("text", "key")],
        ),
        (
            "select check_booking_conflict",
            [("uuid", therapist), ("date", TOMORROW), ("time", "10:00"), ("time", "11:00"), ("text", "UTC"),
             ("uuid", session)],
        ),
        ("select register_client", [("text", "a@example.com"), ("text", "A"), ("uuid", uuid4())]),
        ("select register_therapist", [("text", "b@example.com"), ("text", "B"), ("uuid", uuid4()), ("text", "UTC")]),
        ("select set_therapist_active", [("uuid", therapist), ("boolean", True)]),
        (
            "select * from grant_credits",
            [("uuid", client), ("integer", 1), ("text", "paid"), ("timestamptz", at(0)), ("text", "key")],
        ),
        ("select get_credit_balance", [("uuid", client)]),
        ("select * from get_credit_history", [("uuid", client), ("integer", 5), ("timestamptz", at(0))]),
        ("select lock_for_booking", [("uuid[]", [therapist, client])]),
    ]  # fmt: skip
    answered = 0
    for statement, parameters in calls:
        types = ", ".join(f"%s::{kind}" for kind, _ in parameters)
        values = [value for _, value in parameters]
        for position in range(len(values) + 1):
            given = [None if place == position else value for place, value in enumerate(values)]
            world.connection.execute("begin")
            result = outcome(partial(world.run, f"{statement}({types})", *given))
            world.connection.execute("rollback")
            assert result in PROMISED or result == "done", (statement, position)
            answered += result == "done"
    # Each call as it stands, and those without a parameter that may be left out.
    optional = 3 + 2 + 2 + 3 + 0 + 3 + 0 + 1 + 0
    assert answered == len(calls) + optional
    with refused("invalid_parameter"):
        world.run("select lock_for_booking(array[%s, null]::uuid[])", client)


# ----------------------------------------------------------------------------------------------------------------------
# People
# ----------------------------------------------------------------------------------------------------------------------


def test_client_is_with_one_therapist_at_a_time(world: World) -> None:
    client = world.client(credits=3)
    world.book(client, world.therapist(), "10:00")

    for time in ("09:01", "10:00", "10:59"):
        with refused("client_conflict"):
            world.book(client, world.therapist(), time)
    world.book(client, world.therapist(), "11:00")


# ----------------------------------------------------------------------------------------------------------------------
# Durations
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0, -60, -1, 1, 14, 181, 100_000, None])
def test_a_session_of_no_or_endless_duration_is_refused(world: World, minutes: int | None) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    with nothing_written(world), refused("invalid_duration"):
        world.book(client, therapist, duration_minutes=minutes)


# ----------------------------------------------------------------------------------------------------------------------
# Errors
# ----------------------------------------------------------------------------------------------------------------------


WRITTEN_BY_A_BOOKING = [
    "public.sessions",
    "public.user_credits",
    "public.booking_audit_log",
    "bookingdb.calendar",
    "bookingdb.ledger",
    "bookingdb.outbox",
    "bookingdb.idempotency_keys",
]


@pytest.mark.parametrize("table", WRITTEN_BY_A_BOOKING)
def test_no_error_is_swallowed(world: World, table: str) -> None:
    """Whichever of the writes fails, the booking fails with it, says so as an error, and leaves nothing."""
    therapist, client = world.therapist(), world.client(credits=1)
    notices: list[Any] = []
    world.connection.add_notice_handler(notices.append)
    with world.connection.transaction(force_rollback=True):
        world.run(f"alter table {table} add constraint broken check (false) not valid")
        with nothing_written(world), world.connection.transaction(force_rollback=True):
            answer = outcome(partial(world.book, client, therapist, idempotency_key="key"))

    assert answer == "23514"
    assert notices == []


def test_nothing_is_said_as_a_notice(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    notices: list[Any] = []
    world.connection.add_notice_handler(notices.append)
    world.run("set client_min_messages = notice")

    with refused("insufficient_credits"):
        world.book(client, therapist)
    world.run("select * from grant_credits(%s, 2)", client)
    world.book(client, therapist)
    with refused("booking_conflict"):
        world.book(client, therapist)

    assert notices == []
