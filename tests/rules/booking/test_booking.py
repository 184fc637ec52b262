"""Booking and what belongs to it: what it writes, what it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.interleaving import holding, next_clock_change
from tests.support.refusals import PROMISED, nothing_written, outcome, refused

BOOK = "public.create_session_with_credit_deduction"
YESTERDAY = dt.date.today() - dt.timedelta(days=2)
UTC = dt.UTC


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


def at(hour: int, minute: int = 0, days: int = 0) -> dt.datetime:
    """Return an instant of the day on which the tests book."""
    return dt.datetime.combine(TOMORROW, dt.time(hour, minute), UTC) + dt.timedelta(days=days)


# ----------------------------------------------------------------------------------------------------------------------
# What a booking writes and returns
# ----------------------------------------------------------------------------------------------------------------------


def test_a_booking_writes_session_calendar_ledger_audit_and_event(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)

    booked = world.book(client, therapist, notes="first time")

    assert booked["status"] == "scheduled"
    assert booked["description"] == "first time"
    assert booked["credits_balance"] == 1
    assert world.run("select id, kind from bookingdb.calendar") == [(booked["id"], "session")]
    assert world.run("select kind, amount, session_id from bookingdb.ledger order by id") == [
        ("grant", 2, None),
        ("debit", -1, booked["id"]),
    ]
    assert world.run("select session_id, action, old_status, new_status, actor from booking_audit_log") == [
        (booked["id"], "created", None, "scheduled", "owner"),
    ]
    assert world.run("select event from bookingdb.outbox order by id") == [("credits.granted",), ("session.created",)]
    assert world.violations() == []


def test_the_returned_row_is_the_stored_one(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    booked = world.book(
        client, therapist, "10:30", duration_minutes=45, session_type="audio", notes="notes", title="A title",
        time_zone="America/New_York",
    )  # fmt: skip

    columns = [name for name in booked if name != "credits_balance"]
    (stored,) = world.run(f"select {', '.join(columns)} from sessions")
    assert stored == tuple(booked[name] for name in columns)
    start = dt.datetime.combine(TOMORROW, dt.time(10, 30), ZoneInfo("America/New_York"))
    assert booked["start_time"] == start
    assert booked["end_time"] == start + dt.timedelta(minutes=45)
    assert (booked["scheduled_date"], booked["scheduled_time"]) == (TOMORROW, dt.time(10, 30))
    assert (booked["user_id"], booked["therapist_id"]) == (client, therapist)
    assert (booked["duration_minutes"], booked["session_type"], booked["title"]) == (45, "audio", "A title")
    assert (booked["description"], booked["time_zone"]) == ("notes", "America/New_York")
    assert booked["credits_balance"] == 0


def test_what_is_left_out_has_the_defaults_of_the_signature(world: World) -> None:
    booked = world.book(world.client(credits=1), world.therapist())

    assert (booked["duration_minutes"], booked["session_type"]) == (60, "video")
    assert (booked["description"], booked["title"]) == ("", "Therapy Session")


@pytest.mark.parametrize("minutes", [15, 180])
def test_the_shortest_and_the_longest_session_can_be_booked(world: World, minutes: int) -> None:
    booked = world.book(world.client(credits=1), world.therapist(), duration_minutes=minutes)

    assert booked["end_time"] - booked["start_time"] == dt.timedelta(minutes=minutes)
    assert world.violations() == []


def test_sessions_that_touch_do_not_conflict(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)

    for time in ("10:00", "11:00", "09:00"):
        world.book(client, therapist, time)

    assert world.count("sessions") == 3
    assert world.violations() == []


def test_a_session_crosses_midnight(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)

    booked = world.book(client, therapist, "23:30", duration_minutes=90)

    assert (booked["start_time"], booked["end_time"]) == (at(23, 30), at(1, 0, days=1))
    with refused("booking_conflict"):
        world.book(world.client(credits=1), therapist, "00:59", session_date=TOMORROW + dt.timedelta(days=1))
    world.book(client, therapist, "01:00", session_date=TOMORROW + dt.timedelta(days=1))


def test_texts_in_any_script_come_back_unchanged(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    for time, text in (
        ("10:00", "👩‍⚕️🧠 é e\u0301"),
        ("11:00", "\u202e\u05e9\u05dc\u05d5\u05dd مرحبا"),
        ("12:00", "一二三 \t\n \u200b"),
    ):
        booked = world.book(client, therapist, time, title=text, notes=text, session_type=text)

        assert (booked["title"], booked["description"], booked["session_type"]) == (text, text, text)


@pytest.mark.parametrize(
    "text", ["'; drop table public.sessions; --", '{"code": "busy"}', "$function$", "%s %I :name {0}", "\\'", "null"]
)
def test_fragments_of_sql_and_json_are_only_text(world: World, text: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    booked = world.book(client, therapist, title=text, notes=text, session_type=text, idempotency_key=text)

    assert (booked["title"], booked["description"], booked["session_type"]) == (text, text, text)
    assert world.book(client, therapist, title=text, notes=text, session_type=text, idempotency_key=text) == booked
    with refused("invalid_time_zone"):
        world.book(client, therapist, "12:00", time_zone=text)
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Every error, with its message, DETAIL and HINT, and nothing written
# ----------------------------------------------------------------------------------------------------------------------

UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")

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


def test_parameters_that_cannot_be_booked_are_refused_and_nothing_is_written(world: World) -> None:
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
    }


def test_what_is_free_next_is_looked_for_within_a_year(world: World) -> None:
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


def test_a_client_in_another_session_is_refused_with_its_times_in_utc(world: World) -> None:
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
def test_who_is_no_active_verified_therapist_cannot_be_booked(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.run(f"update users set {status} where id = %s", therapist)

    with nothing_written(world), refused("therapist_not_found"):
        world.book(client, therapist)


@pytest.mark.parametrize("status", ["is_active = false", "user_type = 'therapist'"])
def test_who_is_no_active_client_cannot_book(world: World, status: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.run(f"update users set {status} where id = %s", client)

    with nothing_written(world), refused("user_not_found"):
        world.book(client, therapist)


@pytest.mark.parametrize("user_type", ["user", "admin", "something else"])
def test_any_active_user_but_a_therapist_can_book(world: World, user_type: str) -> None:
    client = world.client(credits=1)
    world.run("update users set user_type = %s, is_verified = false where id = %s", user_type, client)

    assert world.book(client, world.therapist())["status"] == "scheduled"


def test_a_therapist_cannot_book_itself(world: World) -> None:
    therapist = world.therapist()

    with refused("user_not_found"):
        world.book(therapist, therapist)


def test_a_session_may_start_this_minute_but_not_the_last(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    now = dt.datetime.now(UTC)
    for minutes, code in ((-1, "in_past"), (1, None)):
        start = now + dt.timedelta(minutes=minutes)
        options: dict[str, Any] = {"session_date": start.date(), "time_zone": "UTC"}
        if code:
            with refused(code):
                world.book(client, therapist, start.strftime("%H:%M"), **options)
        else:
            world.book(client, therapist, start.strftime("%H:%M"), **options)


# ----------------------------------------------------------------------------------------------------------------------
# Whose time zone
# ----------------------------------------------------------------------------------------------------------------------


def test_the_calls_zone_comes_before_the_therapists_and_that_before_the_default(world: World) -> None:
    client = world.client(credits=4)
    in_tokyo, without_zone = world.therapist("Asia/Tokyo"), world.therapist(None)

    asked = world.book(client, in_tokyo, "10:00", time_zone="America/New_York")
    therapists = world.book(client, in_tokyo, "10:00")
    default = world.book(client, without_zone, "10:00")
    world.run("update bookingdb.policies set time_zone = 'Asia/Dubai' where therapist_id is null")
    other_default = world.book(client, without_zone, "10:00")

    for booked, zone in (
        (asked, "America/New_York"), (therapists, "Asia/Tokyo"), (default, "UTC"), (other_default, "Asia/Dubai"),
    ):  # fmt: skip
        assert booked["time_zone"] == zone
        assert booked["start_time"] == dt.datetime.combine(TOMORROW, dt.time(10), ZoneInfo(zone))


def test_a_new_zone_of_a_therapist_moves_no_session(world: World) -> None:
    therapist, client = world.therapist("Asia/Tokyo"), world.client(credits=1)
    booked = world.book(client, therapist)
    email = world.scalar("select email from users where id = %s", therapist)

    world.run("select register_therapist(%s, null, null, 'Europe/Berlin')", email)

    assert world.scalar("select start_time from sessions") == booked["start_time"]
    assert world.violations() == []


def test_a_time_in_the_hour_that_occurs_twice_means_the_first(world: World) -> None:
    twice = next_clock_change("Europe/Berlin", forward=False)

    booked = world.book(world.client(credits=1), world.therapist("Europe/Berlin"), "02:30", session_date=twice.date())

    # In UTC, because Python never calls times of two zones equal where one of them occurs twice.
    expected = dt.datetime.combine(twice, dt.time(2, 30, fold=0), ZoneInfo("Europe/Berlin"))
    assert booked["start_time"].astimezone(UTC) == expected.astimezone(UTC)
    # An hour is an hour: the session ends at 02:30 once more.
    assert booked["end_time"] - booked["start_time"] == dt.timedelta(minutes=60)


# ----------------------------------------------------------------------------------------------------------------------
# Idempotency keys
# ----------------------------------------------------------------------------------------------------------------------


def test_the_same_request_again_answers_the_same_and_takes_nothing(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("select * from grant_credits(%s, 5)", client)

    with nothing_written(world):
        again = world.book(client, therapist, idempotency_key="key")

    assert again == booked
    assert again["credits_balance"] == 1
    assert world.balance(client) == 6


def test_a_request_answered_again_shows_the_session_as_it_stands(world: World) -> None:
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


def test_a_key_still_answers_when_the_start_has_passed_and_the_people_are_gone(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    now = dt.datetime.now(UTC)
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


def test_a_request_for_a_time_that_has_passed_is_answered_by_its_key(world: World) -> None:
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


def test_a_key_whose_session_was_deleted_says_so_and_books_nothing(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    booked = world.book(client, therapist, idempotency_key="key")
    world.run("delete from sessions where id = %s", booked["id"])

    with nothing_written(world), refused("session_not_found") as refusal:
        world.book(client, therapist, idempotency_key="key")

    assert refusal.detail["session_id"] == str(booked["id"])
    # The deletion is on record.
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# check_booking_conflict
# ----------------------------------------------------------------------------------------------------------------------


def conflict(world: World, therapist: UUID | None, start: Any, end: Any, **options: Any) -> Any:
    parameters = {"session_date": TOMORROW, "start_time": start, "end_time": end, **options}
    arguments = ", ".join(f"p_{name} => %s" for name in parameters)
    return world.scalar(
        f"select check_booking_conflict(p_therapist_id => %s, {arguments})", therapist, *parameters.values()
    )


def test_the_check_sees_what_overlaps_and_nothing_else(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    booked = world.book(client, therapist, "10:00")

    for start, end, answer in (
        ("09:00", "10:00", False), ("11:00", "12:00", False), ("09:00", "10:01", True), ("10:59", "12:00", True),
        ("10:15", "10:30", True), ("09:00", "12:00", True),
    ):  # fmt: skip
        assert conflict(world, therapist, start, end) is answer, (start, end)
    assert conflict(world, therapist, "10:00", "11:00", exclude_session_id=booked["id"]) is False
    assert conflict(world, therapist, "10:00", "11:00", exclude_session_id=uuid4()) is True
    assert conflict(world, world.therapist(), "10:00", "11:00") is False


def test_an_end_at_or_before_the_start_is_on_the_next_day(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist, "00:15", session_date=TOMORROW + dt.timedelta(days=1), duration_minutes=15)

    assert conflict(world, therapist, "23:00", "00:15") is False
    assert conflict(world, therapist, "23:00", "00:16") is True
    assert conflict(world, therapist, "00:20", "00:20") is True
    assert conflict(world, therapist, "00:00", "23:59") is False


def test_the_check_can_be_asked_about_the_past(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)
    world.run(
        "update sessions set start_time = start_time - interval '72 hours', end_time = end_time - interval '72 hours'"
    )

    assert conflict(world, therapist, "10:30", "11:30", session_date=TOMORROW - dt.timedelta(days=3)) is True
    assert conflict(world, therapist, "10:30", "11:30") is False


def test_the_check_uses_the_zone_of_the_call_else_of_the_therapist(world: World) -> None:
    therapist, client = world.therapist("Asia/Tokyo"), world.client(credits=1)
    world.book(client, therapist, "10:00")

    assert conflict(world, therapist, "10:00", "11:00") is True
    assert conflict(world, therapist, "10:00", "11:00", time_zone="UTC") is False
    assert conflict(world, therapist, "01:00", "02:00", time_zone="UTC") is True


def test_the_check_refuses_formats_zones_and_unknown_therapists_only(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    gap = next_clock_change("Europe/Berlin", forward=True)
    skipped = {"session_date": gap.date(), "time_zone": "Europe/Berlin"}
    wrong: list[tuple[str, UUID | None, Any, Any, dict[str, Any]]] = [
        ("invalid_therapist_id", None, "10:00", "11:00", {}),
        ("therapist_not_found", UNKNOWN, "10:00", "11:00", {}),
        ("therapist_not_found", client, "10:00", "11:00", {}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": None}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": "infinity"}),
        ("invalid_date", therapist, "10:00", "11:00", {"session_date": "5874897-12-31"}),
        ("invalid_date", therapist, "10:00", "09:00", {"session_date": "5874897-12-31"}),
        ("invalid_time", therapist, None, "11:00", {}),
        ("invalid_time", therapist, "10:00", None, {}),
        ("invalid_time", therapist, "10:00", "24:00", {}),
        ("invalid_time", therapist, "10:00:30", "11:00", {}),
        ("skipped_time", therapist, "02:30", "03:30", skipped),
        ("skipped_time", therapist, "01:30", "02:30", skipped),
        ("invalid_time_zone", therapist, "10:00", "11:00", {"time_zone": "Mars+5"}),
    ]
    for code, who, start, end, options in wrong:
        with refused(code):
            conflict(world, who, start, end, **options)


def test_the_check_and_the_booking_agree(world: World) -> None:
    """Where the check says free, a booking with a free client and credits succeeds; where it says busy, it does not."""
    therapist = world.therapist()
    world.book(world.client(credits=1), therapist, "10:00", duration_minutes=45)
    world.book(world.client(credits=1), therapist, "12:00", duration_minutes=180)
    for minutes in range(9 * 60, 16 * 60, 15):
        start, end = (f"{m // 60:02}:{m % 60:02}" for m in (minutes, minutes + 30))
        busy = conflict(world, therapist, start, end)
        client = world.client(credits=1)
        world.connection.execute("begin")
        if busy:
            with refused("booking_conflict"):
                world.book(client, therapist, start, duration_minutes=30)
        else:
            world.book(client, therapist, start, duration_minutes=30)
        world.connection.execute("rollback")


@pytest.mark.parametrize("function", ["public.check_booking_conflict", "bookingdb.check_booking_conflict"])
def test_the_check_runs_in_a_read_only_transaction_and_takes_no_lock(world: World, function: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)

    with holding(world) as connection:
        connection.execute("set transaction read only")
        row = connection.execute(
            f"select {function}(%s, %s, '10:30', '11:30', null, null)".encode(), [therapist, TOMORROW]
        ).fetchone()
        locks = connection.execute(
            "select l.mode, l.locktype from pg_locks as l where l.pid = pg_backend_pid()"
            " and (l.locktype not in ('relation', 'virtualxid') or l.mode <> 'AccessShareLock')"
            " and l.locktype <> 'virtualxid'"
        ).fetchall()

    assert row == (True,)
    assert locks == []


def test_the_check_is_answered_while_a_booking_of_the_therapist_is_open(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as connection:
        connection.execute("select lock_for_booking(%s)", [[therapist, client]])

        assert conflict(world, therapist, "10:00", "11:00") is False


# ----------------------------------------------------------------------------------------------------------------------
# NULL, whatever it stands for
# ----------------------------------------------------------------------------------------------------------------------


def test_null_in_any_parameter_of_any_function_ends_in_a_result_or_an_error_of_the_table(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.run("select * from grant_credits(%s, 1, 'reference')", client)
    calls: list[tuple[str, list[tuple[str, Any]]]] = [
        (
            "select * from create_session_with_credit_deduction",
            [("uuid", client), ("uuid", therapist), ("date", TOMORROW), ("time", "10:00"), ("integer", 60),
             ("varchar", "video"), ("text", "n"), ("text", "t"), ("text", "UTC"), ("text", "key")],
        ),
        (
            "select check_booking_conflict",
            [("uuid", therapist), ("date", TOMORROW), ("time", "10:00"), ("time", "11:00"), ("text", "UTC"),
             ("uuid", uuid4())],
        ),
        ("select register_client", [("text", "a@example.com"), ("text", "A"), ("uuid", uuid4())]),
        ("select register_therapist", [("text", "b@example.com"), ("text", "B"), ("uuid", uuid4()), ("text", "UTC")]),
        ("select set_therapist_active", [("uuid", therapist), ("boolean", True)]),
        (
            "select * from grant_credits",
            [("uuid", client), ("integer", 1), ("text", "payment"), ("timestamptz", at(0, days=99)), ("text", "key")],
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
# Credits
# ----------------------------------------------------------------------------------------------------------------------


def test_the_lot_that_expires_soonest_is_spent_first_then_the_oldest_then_by_id(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    lots = {
        "never, old": (None, 9), "never, new": (None, 1), "late": (20, 5), "soon, old": (10, 3), "soon, new": (10, 2),
    }  # fmt: skip
    ids = {}
    for name, (days, age) in lots.items():
        ids[name] = world.scalar(
            "insert into user_credits (user_id, credits_balance, credits_purchased, expires_at, created_at)"
            " values (%s, 1, 1, date_trunc('day', now()) + make_interval(days => %s),"
            "   now() - make_interval(days => %s)) returning id",
            client, days, age,
        )  # fmt: skip
    twins = sorted(
        row[0] for row in world.run(
            "insert into user_credits (user_id, credits_balance, credits_purchased, created_at)"
            " select %s, 1, 1, now() - interval '1 hour' from generate_series(1, 4) returning id", client,
        )
    )  # fmt: skip

    for number in range(9):
        world.book(client, therapist, f"{8 + number:02}:00")

    spent = [row[0] for row in world.run("select lot_id from bookingdb.ledger where kind = 'debit' order by id")]
    assert spent == [ids[n] for n in ("soon, old", "soon, new", "late", "never, old", "never, new")] + twins
    assert world.violations() == []


def test_a_grant_answers_with_the_lot_its_balance_and_the_total(world: World) -> None:
    client = world.client(credits=3)

    ((lot, balance, total),) = world.run("select * from grant_credits(%s, 4, 'payment 1')", client)

    assert (balance, total) == (4, 7)
    assert world.run("select credits_balance, credits_purchased from user_credits where id = %s", lot) == [(4, 4)]


def test_the_same_payment_or_key_never_grants_twice(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for arguments in ("p_payment_reference => 'payment'", "p_idempotency_key => 'key'"):
        statement = f"select * from grant_credits(%s, 2, {arguments})"
        ((lot, _, total),) = world.run(statement, client)
        world.book(client, therapist, f"1{total}:00")

        with nothing_written(world):
            ((again, balance, _),) = world.run(statement, client)

        assert again == lot
        assert balance == world.scalar("select credits_balance from user_credits where id = %s", lot)
    assert world.violations() == []


def test_a_grant_whose_lot_was_deleted_is_still_answered_by_its_key(world: World) -> None:
    client = world.client()
    statement = "select * from grant_credits(%s, 2, p_idempotency_key => 'key')"
    ((lot, _, _),) = world.run(statement, client)
    world.run("delete from user_credits where id = %s", lot)

    with nothing_written(world):
        assert world.run(statement, client) == [(lot, 0, 2)]
    assert world.balance(client) == 0
    assert world.violations() == []


def test_a_payment_or_key_of_something_else_is_refused(world: World) -> None:
    client, other = world.client(), world.client()
    world.run("select * from grant_credits(%s, 2, 'payment', null, 'key')", client)

    for who, amount, reference, key in (
        (client, 3, "payment", None), (other, 2, "payment", None), (client, 3, "payment", "key"),
        (client, 2, "other", "key"), (client, 2, None, "key"),
    ):  # fmt: skip
        with nothing_written(world), refused("idempotency_key_reused"):
            world.run("select * from grant_credits(%s, %s, %s, null, %s)", who, amount, reference, key)


def test_grants_that_make_no_sense_are_refused(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    wrong: list[tuple[str, dict[str, Any], str | None]] = [
        ("invalid_user_id", {"user_id": None}, None),
        ("user_not_found", {"user_id": UNKNOWN}, None),
        ("user_not_found", {"user_id": therapist}, None),
        ("invalid_parameter", {"amount": None}, "p_amount"),
        ("invalid_parameter", {"amount": 0}, "p_amount"),
        ("invalid_parameter", {"amount": -1}, "p_amount"),
        ("invalid_parameter", {"amount": 10_001}, "p_amount"),
        ("invalid_parameter", {"payment_reference": ""}, "p_payment_reference"),
        ("invalid_parameter", {"payment_reference": "x" * 256}, "p_payment_reference"),
        ("invalid_parameter", {"idempotency_key": ""}, "p_idempotency_key"),
        ("invalid_parameter", {"idempotency_key": "x" * 256}, "p_idempotency_key"),
        ("invalid_parameter", {"expires_at": at(0, days=-9)}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "-infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "294276-01-01"}, "p_expires_at"),
    ]
    for code, parameters, named in wrong:
        given = {"user_id": client, "amount": 1, **parameters}
        arguments = ", ".join(f"p_{name} => %s" for name in given)
        with nothing_written(world), refused(code) as refusal:
            world.run(f"select * from grant_credits({arguments})", *given.values())
        assert refusal.detail.get("parameter") == named


def test_a_lot_is_spent_until_it_expires_and_not_after(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    soon = "clock_timestamp() + interval '1 second'"
    world.run(f"select * from grant_credits(%s, 5, p_expires_at => {soon})", client)
    world.book(client, therapist, "10:00")

    world.run("select pg_sleep(1.05)")

    assert world.balance(client) == 0
    with refused("insufficient_credits"):
        world.book(client, therapist, "12:00")


def test_the_history_is_newest_first_and_pages_lose_nothing_where_instants_tie(world: World) -> None:
    client = world.client()
    # Entries as they lie in old books: three at each instant.
    world.run(
        "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, created_at)"
        " select %s, gen_random_uuid(), 'direct', 1, 1, 'old books', timestamptz '2024-01-01 00:00:00+00' + "
        "   make_interval(hours => g / 3) from generate_series(0, 20) as g",
        client,
    )

    seen: list[Any] = []
    before = None
    while page := world.run("select * from get_credit_history(%s, 4, %s)", client, before):
        assert len(page) == 6
        seen += page
        before = page[-1][1]
        assert len(seen) <= 21 + 6
        if len(seen) > 15:
            break
    seen += world.run("select * from get_credit_history(%s, 4, %s)", client, before)

    assert [row[0] for row in seen] == sorted((row[0] for row in seen), reverse=True)
    assert len({row[0] for row in seen}) == len(seen) == 21
    assert [row[1] for row in seen] == sorted((row[1] for row in seen), reverse=True)


def test_the_history_tells_session_lot_kind_amount_and_balance(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    ((lot, _, _),) = world.run("select * from grant_credits(%s, 2)", client)
    booked = world.book(client, therapist)
    world.client(credits=7)

    history = world.run(
        "select kind, amount, balance_after, lot_id, session_id, actor from get_credit_history(%s)", client
    )

    assert history == [("debit", -1, 1, lot, booked["id"], "owner"), ("grant", 2, 2, lot, None, "owner")]


def test_what_the_credit_functions_refuse(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for limit in (None, 0, -1, 1001, 2**31 - 1):
        with refused("invalid_parameter"):
            world.run("select * from get_credit_history(%s, %s)", client, limit)
    for nobody in (UNKNOWN, therapist):
        with refused("user_not_found"):
            world.run("select get_credit_balance(%s)", nobody)
        with refused("user_not_found"):
            world.run("select * from get_credit_history(%s)", nobody)
    for function in ("get_credit_balance", "get_credit_history"):
        with refused("invalid_user_id"):
            world.run(f"select {function}(null)")


def test_who_was_deactivated_still_sees_its_credits(world: World) -> None:
    client = world.client(credits=3)
    world.run("update users set is_active = false where id = %s", client)

    assert world.balance(client) == 3
    assert len(world.run("select * from get_credit_history(%s)", client)) == 1


# ----------------------------------------------------------------------------------------------------------------------
# Registering
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["register_client", "register_therapist"])
def test_the_same_person_registers_once_however_the_address_is_written(world: World, function: str) -> None:
    first = world.scalar(f"select {function}('Some.One@Example.com', 'Some One')")

    for again in ("some.one@example.com", "  SOME.ONE@EXAMPLE.COM "):
        assert world.scalar(f"select {function}(%s)", again) == first

    assert world.run("select full_name, is_active, is_verified from users") == [("Some One", True, True)]


@pytest.mark.parametrize("function", ["register_client", "register_therapist"])
def test_registering_again_makes_active_and_renames(world: World, function: str) -> None:
    person = world.scalar(f"select {function}('a@example.com', 'Old', %s)", uuid4())
    world.run("update users set is_active = false, is_verified = false")

    assert world.scalar(f"select {function}('b@example.com', 'New', %s)", person) == person

    assert world.run("select email, full_name, is_active, is_verified from users") == [
        ("b@example.com", "New", True, True)
    ]


def test_what_registering_refuses(world: World) -> None:
    client = world.scalar("select register_client('client@example.com', null, %s)", uuid4())
    therapist = world.scalar("select register_therapist('therapist@example.com', null, %s)", uuid4())
    wrong: list[tuple[str, Any, Any, Any, str]] = [
        ("register_client", None, None, None, "p_email"),
        ("register_client", "", None, None, "p_email"),
        ("register_client", "no address", None, None, "p_email"),
        ("register_client", "a@b@c", None, None, "p_email"),
        ("register_client", "a b@example.com", None, None, "p_email"),
        ("register_client", "@example.com", None, None, "p_email"),
        ("register_client", "a@" + "x" * 320, None, None, "p_email"),
        ("register_client", "a@" + "x" * 2**20, None, None, "p_email"),
        ("register_client", "a@example.com", "x" * 256, None, "p_full_name"),
        ("register_client", "client@example.com", None, uuid4(), "p_email"),
        ("register_client", "therapist@example.com", None, client, "p_email"),
        ("register_client", "therapist@example.com", None, None, "p_email"),
        ("register_client", "new@example.com", None, therapist, "p_user_id"),
        ("register_therapist", "client@example.com", None, None, "p_email"),
        ("register_therapist", "new@example.com", None, client, "p_user_id"),
    ]
    for function, email, name, user, parameter in wrong:
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run(f"select {function}(%s, %s, %s)", email, name, user)
        assert refusal.detail["parameter"] == parameter, (function, email)
    with nothing_written(world), refused("invalid_time_zone"):
        world.run("select register_therapist('new@example.com', null, null, 'Mars+5')")


def test_opening_and_closing_a_therapist(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    world.run("select set_therapist_active(%s, false)", therapist)
    with refused("therapist_not_found"):
        world.book(client, therapist)
    world.run("select set_therapist_active(%s, true)", therapist)
    world.book(client, therapist)

    for who, active, code in (
        (None, True, "invalid_therapist_id"), (therapist, None, "invalid_parameter"),
        (client, False, "therapist_not_found"), (UNKNOWN, True, "therapist_not_found"),
    ):  # fmt: skip
        with nothing_written(world), refused(code):
            world.run("select set_therapist_active(%s, %s)", who, active)


def test_what_locking_ahead_refuses(world: World) -> None:
    for people in (None, [], [None], [uuid4() for _ in range(1001)]):
        with refused("invalid_parameter") as refusal:
            world.run("select lock_for_booking(%s::uuid[])", people)
        assert refusal.detail["parameter"] == "p_people"
    world.run("select lock_for_booking(%s)", [uuid4() for _ in range(1000)])
