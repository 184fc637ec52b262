"""Commands about a series: leaving out what is not free, cancelling and moving the rest."""

from __future__ import annotations

from typing import Any

from tests.support import World
from tests.support.commands import answer, bookingdb, done
from tests.support.life import DAY, LATER, require_sound

WEEK = 7 * DAY


def asked(world: World, *more: object) -> tuple[object, ...]:
    people = ("--user", world.client(credits=9), "--therapist", world.therapist())
    return ("book-series", *people, "--date", LATER, "--time", "10:00", "--occurrences", 3, *more)


def test_book_series_prints_what_it_skipped(world: World) -> None:
    command = asked(world)
    therapist = command[4]
    world.book(world.client(credits=1), therapist, "10:30", session_date=LATER + WEEK)  # type: ignore[arg-type]
    assert "Booking conflict" in bookingdb(world.url, *command).output
    booked = answer(world.url, *command, "--skip")
    assert [session["scheduled_date"] for session in booked["sessions"]] == [f"{LATER}", f"{LATER + 2 * WEEK}"]
    assert [(row["occurrence"], row["error"]["code"]) for row in booked["skipped"]] == [(2, "booking_conflict")]
    again = done(world.url, *command[:6], LATER + DAY, *command[7:], "--skip").stdout
    assert "skipped" not in again
    world.book(world.client(credits=1), therapist, "15:00", session_date=LATER + WEEK)  # type: ignore[arg-type]
    told = done(world.url, *command[:8], "15:30", *command[9:], "--skip").stdout
    assert "booking_conflict" in told
    assert f"{LATER + WEEK}" in told
    # The next free time is the therapist's local one, as `book` says it.
    assert f"{LATER + WEEK} 16:00 UTC" in told
    require_sound(world)


def test_rest_of_a_series_is_moved_and_cancelled(world: World) -> None:
    ids: list[Any] = [session["id"] for session in answer(world.url, *asked(world))]
    moved = answer(world.url, "reschedule", ids[1], "--date", LATER + WEEK + DAY, "--time", "11:00", "--rest")
    assert [(session["id"], session["scheduled_time"]) for session in moved] == [
        (ids[1], "11:00:00"), (ids[2], "11:00:00"),
    ]  # fmt: skip
    assert ids[2] in done(world.url, "cancel", ids[1], "--reason", "moving away", "--rest").stdout
    assert world.run("select status from sessions order by start_time") == [
        ("scheduled",), ("cancelled",), ("cancelled",),
    ]  # fmt: skip
    assert answer(world.url, "cancel", ids[0])["status"] == "cancelled"
    require_sound(world)
