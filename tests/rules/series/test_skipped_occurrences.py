"""A series that leaves out what is not free, and names it."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.interleaving import next_clock_change
from tests.support.life import DAY, LATER, at, book_series, call, cancel, require_sound, set_policy
from tests.support.refusals import nothing_written, refused

WEEK = 7 * DAY


def skipping(world: World, client: UUID, therapist: UUID, **options: Any) -> list[Any]:
    asked = {"session_date": LATER, "session_time": "10:00", "occurrences": 4, "on_conflict": "skip", **options}
    return book_series(world.connection, client, therapist, **asked)


def outcomes(answer: list[Any]) -> list[tuple[int, str, str | None]]:
    return [(row["occurrence"], row["outcome"], (row["error"] or {}).get("code")) for row in answer]


def test_series_books_what_is_free_and_names_what_is_not(world: World) -> None:
    client, therapist = world.client(credits=5), world.therapist()
    world.book(world.client(credits=1), therapist, "10:30", session_date=LATER + WEEK)
    world.book(client, world.therapist(), "09:30", session_date=LATER + 3 * WEEK)

    answer = skipping(world, client, therapist)

    assert outcomes(answer) == [
        (1, "booked", None), (2, "skipped", "booking_conflict"), (3, "booked", None), (4, "skipped", "client_conflict"),
    ]  # fmt: skip
    assert [row["credits_balance"] for row in answer] == [3, 3, 2, 2]
    assert [row["start_time"] for row in answer] == [at(10, LATER + number * WEEK) for number in range(4)]
    left_out = answer[1]
    assert (left_out["id"], left_out["status"], left_out["scheduled_date"]) == (None, None, LATER + WEEK)
    error = {name: left_out["error"][name] for name in ("rule", "next_free", "occurrence", "session_date")}
    assert error == {
        "rule": "session", "next_free": f"{LATER + WEEK}T11:30:00Z", "occurrence": 2,
        "session_date": (LATER + WEEK).isoformat(),
    }  # fmt: skip
    assert world.run("select count(*), count(distinct series_id) from sessions where series_id is not null") == [(2, 1)]
    assert world.balance(client) == 2
    require_sound(world)


@pytest.mark.parametrize("code", ["skipped_time", "too_far", "outside_availability", "too_soon"])
def test_series_leaves_out_what_a_rule_of_time_refuses(world: World, code: str) -> None:
    client, therapist = world.client(credits=5), world.therapist("Europe/Berlin")
    asked: dict[str, Any] = {"occurrences": 2, "every": 2 * DAY}
    ahead = (LATER - dt.date.today()).days
    if code == "skipped_time":
        set_policy(world, None, maximum_advance="900 days")
        change = next_clock_change("Europe/Berlin", forward=True)
        asked |= {"session_date": change.date(), "session_time": change.time(), "every": DAY}
    elif code == "too_far":
        set_policy(world, therapist, maximum_advance=f"{ahead + 2} days")
        asked |= {"session_date": LATER, "every": "300 days"}
    elif code == "outside_availability":
        call(world.connection, "set_date_override", therapist_id=therapist, date=LATER, hours="[]")
    else:
        set_policy(world, therapist, minimum_notice=f"{24 * ahead + 20} hours")
    answer = skipping(world, client, therapist, **asked)
    assert sorted(outcome for _, outcome, _ in outcomes(answer)) == ["booked", "skipped"]
    assert {refusal for _, _, refusal in outcomes(answer)} == {None, code}
    require_sound(world)


def test_series_of_which_nothing_is_free_is_refused(world: World) -> None:
    """With the error of the first."""
    client, therapist = world.client(credits=5), world.therapist()
    for number, time in enumerate(("09:30", "10:00")):
        world.book(world.client(credits=1), therapist, time, session_date=LATER + number * WEEK)
    with nothing_written(world), refused("booking_conflict") as refusal:
        skipping(world, client, therapist, occurrences=2)
    assert (refusal.detail["occurrence"], refusal.detail["session_date"]) == (1, LATER.isoformat())
    assert refusal.detail["next_free"] == f"{LATER}T10:30:00Z"


def test_series_that_skips_still_needs_credits_and_people(world: World) -> None:
    client, therapist, nobody = world.client(credits=1), world.therapist(), world.client()
    world.book(world.client(credits=1), therapist, session_date=LATER)
    with nothing_written(world), refused("insufficient_credits") as refusal:
        skipping(world, client, therapist, occurrences=3)
    assert refusal.detail["occurrence"] == 3
    with nothing_written(world), refused("therapist_not_found"):
        skipping(world, client, nobody)


def test_repeated_series_names_the_same_as_skipped(world: World) -> None:
    """Also when it is free by now."""
    client, therapist = world.client(credits=5), world.therapist()
    other = world.book(world.client(credits=1), therapist, session_date=LATER + WEEK)["id"]
    again = partial(skipping, world, client, therapist, idempotency_key="key", notes="about sleep")
    first = again()
    cancel(world, other)
    with nothing_written(world):
        assert again() == first
    assert world.run("select count(*) from bookingdb.idempotency_keys where result::text like '%sleep%'") == [(0,)]
    with refused("idempotency_key_reused"):
        skipping(world, client, therapist, idempotency_key="key", notes="about sleep", on_conflict="fail")
    require_sound(world)


@pytest.mark.parametrize("on_conflict", ["skip", "fail"])
def test_repeated_series_numbers_what_is_left_as_before(world: World, on_conflict: str) -> None:
    client, therapist = world.client(credits=5), world.therapist()
    if on_conflict == "skip":
        world.book(world.client(credits=1), therapist, session_date=LATER + WEEK)
    again = partial(skipping, world, client, therapist, idempotency_key="key", on_conflict=on_conflict)
    first = again()
    world.run("delete from sessions where id = %s", first[0]["id"])
    assert again() == first[1:]
    # An answer from before outcomes were kept has those that are left.
    world.run("update bookingdb.idempotency_keys set result = null")
    assert [row["id"] for row in again()] == [row["id"] for row in first[1:] if row["id"]]


def test_series_that_fails_says_that_all_are_booked(world: World) -> None:
    answer = skipping(world, world.client(credits=4), world.therapist(), on_conflict="fail")
    assert outcomes(answer) == [(number, "booked", None) for number in range(1, 5)]
