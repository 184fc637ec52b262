"""Which instant the date and the time of a booking are."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, book
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import holding, next_clock_change, session_of, waiting
from tests.support.life import (
    DAY,
    call,
    rows,
)
from tests.support.refusals import nothing_written, refused

BERLIN = ZoneInfo("Europe/Berlin")

# ----------------------------------------------------------------------------------------------------------------------
# Whose time zone
# ----------------------------------------------------------------------------------------------------------------------


def test_zone_is_the_calls_else_therapists_else_default(world: World) -> None:
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


@on_todays_supabase
def test_therapist_moves_a_foreign_booking_in_their_zone(hosted_world: World) -> None:
    """The agreed local time is in the zone that the session has from then on: realigning it relies on that."""
    world = hosted_world
    hedy, bob = world.therapist("America/New_York"), world.client(credits=1)
    booked = world.book(bob, hedy, "22:00", time_zone="Asia/Tokyo")
    with logged_in(world, hedy) as connection:
        moved = call(
            connection, "reschedule_session", session_id=booked["id"], session_date=TOMORROW, session_time="14:00"
        )
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(14), ZoneInfo("America/New_York"))
    assert (moved["scheduled_time"], moved["time_zone"]) == (dt.time(14), "America/New_York")
    assert world.violations() == []


@pytest.mark.parametrize(
    ("offset", "local"), [("Z", "11:00"), ("+00:00", "11:00"), ("+02:00", "09:00"), ("-03:30", "14:30")]
)
def test_time_with_an_offset_is_written_in_the_therapists_zone(world: World, offset: str, local: str) -> None:
    """Whatever is done with it, and whatever the connection shows."""
    grace, ada = world.therapist("Europe/Berlin"), world.client(credits=9)
    world.run("select set_policy(%s)", Jsonb({"maximum_advance": "3650 days"}))
    world.connection.execute("set timezone = 'America/New_York'; set intervalstyle = 'sql_standard'")
    winter = dt.date(2031, 1, 13)
    start = dt.datetime.combine(winter, dt.time.fromisoformat(local), BERLIN)
    slot = {"user_id": ada, "therapist_id": grace, "session_time": "10:00", "time_zone": offset}
    expected = {"start_time": start, "time_zone": "Europe/Berlin"}

    def found(row: Any) -> dict[str, Any]:
        return {name: row[name] for name in expected}

    held = call(world.connection, "hold_slot", **slot, session_date=winter)
    assert found(held) == expected
    booked = call(world.connection, "book_hold", hold_id=held["id"])
    assert found(booked) == expected
    assert (booked["scheduled_date"], f"{booked['scheduled_time']:%H:%M}") == (winter, local)
    period = {"start_time": "10:00", "end_time": "10:30", "time_zone": offset, "session_date": winter}
    assert call(world.connection, "check_booking_conflict", therapist_id=grace, **period)["check_booking_conflict"]
    series = rows(world.connection, "book_series", **slot, session_date=winter + DAY, occurrences=2, every="180 days")
    # In summer at the same local time.
    assert {f"{session['scheduled_time']:%H:%M}" for session in series} == {local}
    override = call(world.connection, "book_session_with_override", **slot, session_date=winter + 2 * DAY)
    assert found(override) == {**expected, "start_time": start + 2 * DAY}
    moved = call(
        world.connection, "reschedule_session",
        session_id=override["id"], session_date=winter + 3 * DAY, session_time="10:00", time_zone=offset,
    )  # fmt: skip
    assert found(moved) == {**expected, "start_time": start + 3 * DAY}
    past = call(
        world.connection, "record_session", **slot, session_date=TOMORROW - 9 * DAY, status="completed",
    )  # fmt: skip
    at_ten = dt.datetime.fromisoformat(f"{TOMORROW - 9 * DAY}T10:00{'' if offset == 'Z' else offset}")
    at_ten = at_ten.replace(tzinfo=at_ten.tzinfo or dt.UTC)
    assert (past["start_time"], past["time_zone"]) == (at_ten, "Europe/Berlin")
    assert world.violations() == []


def test_offset_can_name_the_second_of_two_equal_times(world: World) -> None:
    """Both have the same local time in the therapist's zone, and their own instants."""
    grace, ada = world.therapist("Europe/Berlin"), world.client(credits=2)
    world.run("select set_policy(%s)", Jsonb({"maximum_advance": "3650 days"}))
    twice = next_clock_change("Europe/Berlin", forward=False).date()
    both = [world.book(ada, grace, "02:30", session_date=twice, time_zone=offset) for offset in ("+02:00", "+01:00")]
    assert [booked["scheduled_time"] for booked in both] == [dt.time(2, 30)] * 2
    first, second = (booked["start_time"].astimezone(dt.UTC) for booked in both)
    assert second - first == dt.timedelta(hours=1)
    assert world.violations() == []


@pytest.mark.parametrize("offset", ["z", "+2", "+0200", "02:00", "+15:00", "UTC+2", "+02:60", "+02:00:00", ""])
def test_an_offset_of_another_form_is_no_zone(world: World, offset: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    with nothing_written(world), refused("invalid_time_zone"):
        world.book(client, therapist, time_zone=offset)


def test_key_answers_a_booking_with_an_offset(world: World) -> None:
    """Whatever zone the therapist has got since."""
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    booked = world.book(client, therapist, time_zone="Z", idempotency_key="key")
    world.run("select set_policy(%s, %s)", Jsonb({"time_zone": "Asia/Tokyo"}), therapist)
    with nothing_written(world):
        assert world.book(client, therapist, time_zone="Z", idempotency_key="key") == booked


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
    assert booked["start_time"].astimezone(dt.UTC) == expected.astimezone(dt.UTC)
    # An hour is an hour: the session ends at 02:30 once more.
    assert booked["end_time"] - booked["start_time"] == dt.timedelta(minutes=60)


# ----------------------------------------------------------------------------------------------------------------------
# Midnight
# ----------------------------------------------------------------------------------------------------------------------


def test_an_hour_from_half_past_eleven_conflicts_with_midnight(world: World) -> None:
    therapist = world.therapist()
    world.book(world.client(credits=1), therapist, "23:30")

    for time in ("00:00", "00:29"):
        with refused("booking_conflict"):
            world.book(world.client(credits=1), therapist, time, session_date=TOMORROW + DAY)
        assert (
            world.scalar("select check_booking_conflict(%s, %s, %s, '01:00')", therapist, TOMORROW + DAY, time) is True
        )
    world.book(world.client(credits=1), therapist, "00:30", session_date=TOMORROW + DAY)


@pytest.mark.parametrize("midnight_first", [True, False])
def test_half_past_eleven_races_midnight_of_the_next_day(world: World, midnight_first: bool) -> None:
    therapist = world.therapist()
    evening = partial(book, client=world.client(credits=1), therapist=therapist, at="23:30")
    midnight = partial(
        book, client=world.client(credits=1), therapist=therapist, at="00:00", session_date=TOMORROW + DAY
    )
    first, second = (midnight, evening) if midnight_first else (evening, midnight)

    with holding(world) as winner, session_of(world) as loser:
        first(winner)
        answer = waiting(world, second, loser)
        winner.execute("commit")

        with refused("booking_conflict"):
            answer.result()
    assert world.count("sessions") == 1
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Clock changes
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_skipped_time_is_refused_and_costs_nothing(world: World, zone: str) -> None:
    therapist, client = world.therapist(zone), world.client(credits=1)
    gap = next_clock_change(zone, forward=True)
    skipped = gap if zone == "Australia/Lord_Howe" else gap + dt.timedelta(minutes=30)
    if zone == "Australia/Lord_Howe":
        # Clocks there jump by half an hour, from 02:00.
        skipped = gap.replace(hour=2, minute=15)

    with nothing_written(world), refused("skipped_time") as refusal:
        world.book(client, therapist, f"{skipped:%H:%M}", session_date=skipped.date())

    assert refusal.detail == {"code": "skipped_time", "time_zone": zone}
    assert world.balance(client) == 1


def test_session_across_a_clock_change_keeps_its_length(world: World) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=2)
    for forward in (True, False):
        day = next_clock_change("Europe/Berlin", forward).date()

        booked = world.book(client, therapist, "01:30", session_date=day)

        assert booked["end_time"] - booked["start_time"] == dt.timedelta(minutes=60)
    assert world.violations() == []


@pytest.mark.parametrize("time", ["02:00", "02:30", "02:59"])
def test_hour_that_occurs_twice_means_the_first(world: World, time: str) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=2)
    day = next_clock_change("Europe/Berlin", forward=False).date()

    booked = world.book(client, therapist, time, session_date=day)

    # Summer time still: two hours ahead of UTC.
    assert f"{booked['start_time'].astimezone(dt.UTC):%H:%M}" == f"00:{time[3:]}"
    assert booked["credits_balance"] == 1
    assert world.count("sessions") == 1
    with refused("booking_conflict"):
        world.book(client, therapist, time, session_date=day)
