"""Two at once, one order forced: the rest of a series, and who changes one of its sessions."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import DAY, LATER, book_series, require_sound
from tests.support.races import ENDINGS, Call, booking, calling, moving, race
from tests.support.refusals import outcome

WEEK = 7 * DAY
LEVELS = ["repeatable read", "serializable"]


def booked(world: World, client: UUID, therapist: UUID, occurrences: int = 3, time: str = "10:00") -> list[UUID]:
    series = book_series(
        world.connection, client, therapist, session_date=LATER, session_time=time, occurrences=occurrences
    )
    return [row["id"] for row in series]


def cancelling_rest(session_id: UUID, **options: Any) -> Call:
    return calling("cancel_series", session_id=session_id, **options)


def moving_rest(session_id: UUID, time: str = "12:00", **options: Any) -> Call:
    return calling("reschedule_series", session_id=session_id, session_date=LATER, session_time=time, **options)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rest_first", [True, False])
def test_rest_and_one_session_are_cancelled_once(world: World, ending: str, rest_first: bool) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    first, second = cancelling_rest(ids[0]), calling("cancel_session", session_id=ids[1])
    if not rest_first:
        first, second = second, first

    ended = race(world, first, second, ending)

    late = "invalid_transition" if rest_first and ending == "commit" else "done"
    assert ended == ("done", late)
    cancelled = world.scalar("select count(*) from sessions where status = 'cancelled'")
    assert cancelled == (1 if rest_first and ending == "rollback" else 3)
    assert world.balance(client) == cancelled
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_rest_is_cancelled_where_a_session_was_moved_meanwhile(world: World, ending: str) -> None:
    """One that is before the first by then stays."""
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)

    with holding(world) as one, session_of(world) as other:
        moving(ids[2], "10:00", LATER - DAY)(one)
        answer = waiting(world, cancelling_rest(ids[0]), other)
        one.execute(ending.encode())
        assert [row["id"] for row in answer.result()] == (ids[:2] if ending == "commit" else ids)
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_series_moves_around_a_booking_that_is_being_made(world: World, ending: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    between = booking(world.client(credits=1), therapist, "12:30", session_date=LATER + WEEK)

    ended = race(world, between, moving_rest(ids[0]), ending)

    assert ended == ("done", "booking_conflict" if ending == "commit" else "done")
    require_sound(world)


@pytest.mark.parametrize("ending", ENDINGS)
def test_booking_waits_for_a_series_that_moves_into_its_time(world: World, ending: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    between = booking(world.client(credits=1), therapist, "12:30", session_date=LATER + 2 * WEEK)

    ended = race(world, moving_rest(ids[0]), between, ending)

    assert ended == ("done", "booking_conflict" if ending == "commit" else "done")
    require_sound(world)


def test_rest_that_races_its_own_retry_changes_once(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    for change in (moving_rest(ids[0], idempotency_key="key"), cancelling_rest(ids[0], idempotency_key="key")):
        with holding(world) as one, session_of(world) as other:
            first = change(one)
            answer = waiting(world, change, other)
            one.execute("commit")
            assert answer.result() == first
    assert world.balance(client) == 3
    require_sound(world)


@pytest.mark.parametrize("change", [cancelling_rest, moving_rest])
def test_series_waits_while_it_holds_no_session(world: World, change: Callable[[UUID], Call]) -> None:
    """A statement that changes many sessions comes to them in another order than the series' own."""
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    first, *_, last = sorted(ids)
    touch = "update sessions set description = 'seen' where id = %s"
    with holding(world) as one, session_of(world) as other:
        one.execute(touch, [last])
        answer = waiting(world, change(ids[0]), other)
        one.execute("set local lock_timeout = '2s'")
        one.execute(touch, [first])
        one.execute("commit")
        assert len(answer.result()) == 3
    require_sound(world)


@pytest.mark.parametrize("timeout", ["lock_timeout", "statement_timeout"])
def test_series_that_waits_too_long_is_busy(world: World, timeout: str) -> None:
    ids = booked(world, world.client(credits=3), world.therapist())
    with holding(world) as one, session_of(world) as other:
        one.execute("update sessions set description = 'seen' where id = %s", [max(ids)])
        other.execute(f"set {timeout} = '300ms'".encode())
        assert outcome(lambda: cancelling_rest(ids[0])(other)) == "busy"
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("function", ["cancel_series", "reschedule_series"])
def test_old_snapshot_changes_no_series_that_it_does_not_see(world: World, level: str, function: str) -> None:
    """Postgres asks for a new transaction, which sees it."""
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    change = cancelling_rest(ids[0]) if function == "cancel_series" else moving_rest(ids[0])
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        moving(ids[1], "15:00", LATER + WEEK)(world.connection)
        assert outcome(partial(change, connection)) == "40001"
        connection.execute("rollback")
        connection.execute(f"begin isolation level {level}".encode())
        assert outcome(partial(change, connection)) == "done"
        connection.execute("commit")
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_old_snapshot_moves_no_series_onto_a_booking(world: World, level: str) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    ids = booked(world, client, therapist)
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        booking(world.client(credits=1), therapist, "12:30", session_date=LATER + WEEK)(world.connection)
        assert outcome(partial(moving_rest(ids[0]), connection)) in ("booking_conflict", "40001")
        connection.execute("rollback")
    require_sound(world)


@pytest.mark.storm
def test_two_series_of_the_same_people_never_deadlock(world: World) -> None:
    """Eight callers change two series, whole, in part and one session at a time, in every order."""
    client, therapist = world.client(credits=40), world.therapist()
    series = [booked(world, client, therapist, 6, time) for time in ("10:00", "14:00")]
    ids = list(itertools.chain(*series))
    codes: set[str] = set()

    def change(choose: random.Random) -> Call:
        session_id = choose.choice(ids)
        date = LATER + choose.randrange(14) * DAY
        time = choose.choice(("09:00", "11:00", "14:00", "16:30"))
        changes: list[Callable[[], Call]] = [
            lambda: calling("reschedule_series", session_id=session_id, session_date=date, session_time=time),
            lambda: moving(session_id, time, date),
            lambda: cancelling_rest(session_id),
            lambda: calling("reopen_session", session_id=session_id),
            lambda: calling("confirm_session", session_id=session_id),
        ]
        return choose.choices(changes, [6, 3, 1, 8, 1])[0]()

    def caller(seed: int) -> None:
        choose = random.Random(seed)
        with session_of(world) as connection:
            for _ in range(40):
                codes.add(outcome(partial(change(choose), connection)))

    threads = [threading.Thread(target=caller, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "done" in codes
    allowed = {"done", "booking_conflict", "client_conflict", "invalid_transition", "insufficient_credits", "in_past"}
    assert codes <= allowed, codes
    require_sound(world)
