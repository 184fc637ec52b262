"""Sessions that are booked together, at the same local time."""

from __future__ import annotations

import datetime as dt
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tests.support import World
from tests.support.interleaving import next_clock_change
from tests.support.life import (
    DAY,
    HOUR,
    LATER,
    book_series,
    call,
    cancel,
    require_sound,
)
from tests.support.refusals import nothing_written, refused


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("forward", [True, False])
def test_series_keeps_its_local_time_across_clock_changes(world: World, zone: str, forward: bool) -> None:
    change = next_clock_change(zone if zone != "Asia/Kathmandu" else "Europe/Berlin", forward)
    therapist, client = world.therapist(zone), world.client(credits=5)
    first = change.date() - 14 * DAY
    while first <= dt.date.today() + DAY:
        first += 7 * DAY

    booked = book_series(world.connection, client, therapist, session_date=first, session_time="09:30", occurrences=5)

    tz = ZoneInfo(zone)
    assert [row["start_time"].astimezone(tz).replace(tzinfo=None) for row in booked] == [
        dt.datetime.combine(first + 7 * DAY * number, dt.time(9, 30)) for number in range(5)
    ]
    assert {row["end_time"] - row["start_time"] for row in booked} == {HOUR}
    if zone != "Asia/Kathmandu" and first <= change.date():
        assert len({row["start_time"].astimezone(tz).utcoffset() for row in booked}) == 2
    require_sound(world)


def test_series_with_a_skipped_time_is_not_booked(world: World) -> None:
    change = next_clock_change("Europe/Berlin", forward=True)
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=5)
    first = change.date() - DAY
    with nothing_written(world), refused("skipped_time") as refusal:
        book_series(
            world.connection, client, therapist,
            session_date=first, session_time=change.time(), occurrences=4, every=DAY,
        )  # fmt: skip
    assert refusal.detail["occurrence"] == 2
    assert refusal.detail["session_date"] == change.date().isoformat()


def test_series_in_an_hour_that_occurs_twice_means_the_first(world: World) -> None:
    zone = "Europe/Berlin"
    change = next_clock_change(zone, forward=False)
    therapist, client = world.therapist(zone), world.client(credits=3)

    booked = book_series(
        world.connection, client, therapist,
        session_date=change.date() - DAY, session_time=change.time(), occurrences=3, every=DAY,
    )  # fmt: skip

    starts = [row["start_time"] for row in booked]
    assert [later - earlier for earlier, later in pairwise(starts)] == [24 * HOUR, 25 * HOUR]


@pytest.mark.parametrize("days", [31, 30, 29])
def test_a_monthly_series_from_the_end_of_a_month_stays_there(world: World, days: int) -> None:
    therapist, client = world.therapist(), world.client(credits=14)
    year = dt.date.today().year + 1
    first = dt.date(year, 1, days)
    world.run('select set_policy(\'{"maximum_advance": "1200 days"}\')')
    (months,) = world.run("select interval '1 month'")[0]
    assert months == 30 * DAY
    booked = world.run(
        "select scheduled_date from book_series(%s, %s, %s, '10:00', 14, '1 month')", client, therapist, first
    )

    for number, (date,) in enumerate(booked):
        month = number % 12 + 1
        last = (dt.date(year + number // 12, month, 28) + 4 * DAY).replace(day=1) - DAY
        assert date == min(last, last.replace(day=min(days, last.day)))
    require_sound(world)


def test_error_of_a_series_says_which_session(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    with nothing_written(world), refused("insufficient_credits") as refusal:
        book_series(world.connection, client, therapist, session_date=LATER, session_time="10:00", occurrences=5)
    assert refusal.detail["occurrence"] == 3
    assert refusal.detail["session_date"] == (LATER + 14 * DAY).isoformat()

    other = world.therapist()
    world.book(client, other, "10:15", session_date=LATER + 7 * DAY)
    with nothing_written(world), refused("client_conflict") as refusal:
        book_series(world.connection, client, therapist, session_date=LATER, session_time="10:00", occurrences=2)
    assert refusal.detail["occurrence"] == 2
    assert refusal.detail["start_time"].startswith((LATER + 7 * DAY).isoformat())


def test_repeated_series_shows_its_sessions_as_they_stand(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    again = partial(
        book_series, world.connection, client, therapist,
        session_date=LATER, session_time="10:00", occurrences=3, idempotency_key="key",
    )  # fmt: skip
    first = again()
    cancel(world, first[1]["id"])
    call(world.connection, "confirm_session", session_id=first[2]["id"])

    assert [(row["id"], row["status"], row["credits_balance"]) for row in again()] == [
        (row["id"], status, row["credits_balance"])
        for row, status in zip(first, ("scheduled", "cancelled", "confirmed"), strict=True)
    ]
    assert world.count("sessions") == 3
    require_sound(world)
