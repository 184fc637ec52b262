"""Two at once, one order forced: a series, and who wants a slot or a credit of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    DAY,
    require_sound,
)
from tests.support.races import (
    ENDINGS,
    Call,
    booking,
    calling,
    race,
)
from tests.support.refusals import refused


def series(client: UUID, therapist: UUID, occurrences: int = 4, **options: Any) -> Call:
    return calling(
        "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00",
        occurrences=occurrences, **options,
    )  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_booking_in_the_middle_of_a_series_stops_all_of_it(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=4)
    between = booking(world.client(credits=1), therapist, "10:30", session_date=TOMORROW + 14 * DAY)
    with holding(world) as one, session_of(world) as other:
        between(one)
        answer = waiting(world, series(client, therapist), other)
        one.execute(ending.encode())
        if ending == "rollback":
            assert [row["credits_balance"] for row in answer.result()] == [3, 2, 1, 0]
        else:
            with refused("booking_conflict") as refusal:
                answer.result()
            assert refusal.detail["occurrence"] == 3
            assert refusal.detail["session_date"] == (TOMORROW + 14 * DAY).isoformat()
    assert world.balance(client) == (0 if ending == "rollback" else 4)
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_series_keeps_all_of_its_slots_while_it_is_booked(world: World, ending: str) -> None:
    therapist, client = world.therapist(), world.client(credits=4)
    between = booking(world.client(credits=1), therapist, "10:30", session_date=TOMORROW + 14 * DAY)

    ended = race(world, series(client, therapist), between, ending)

    assert ended == ("done", "booking_conflict" if ending == "commit" else "done")
    require_sound(world)


def test_a_series_that_races_its_own_retry_is_one_series(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=8)
    with holding(world) as one, session_of(world) as other:
        book_all = series(client, therapist, idempotency_key="key")
        first = book_all(one)
        answer = waiting(world, book_all, other)
        one.execute("commit")
        assert answer.result() == first
    assert world.balance(client) == 4
    require_sound(world)


def test_series_and_adjustment_share_the_last_credits(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=4)
    adjust = calling("adjust_credits", user_id=client, amount=-1, reason="a mistake")
    with holding(world) as one, session_of(world) as other:
        adjust(one)
        answer = waiting(world, series(client, therapist), other)
        one.execute("commit")
        with refused("insufficient_credits") as refusal:
            answer.result()
        assert refusal.detail["occurrence"] == 4
    assert world.balance(client) == 3
    require_sound(world)
