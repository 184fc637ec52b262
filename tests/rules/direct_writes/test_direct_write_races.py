"""Two at once, one order forced: a direct writer and a booking."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import Connection, World, book
from tests.support.direct_writes import HOUR, INSERT, SHIFT, at, place
from tests.support.interleaving import holding, session_of, waiting, waiting_or_done
from tests.support.refusals import outcome, refused


def raw_insert(connection: Connection, client: UUID, therapist: UUID) -> None:
    connection.execute(INSERT.encode(), [client, therapist, at(10, 30), at(11, 30), "scheduled"])


def sessions_on(day: int, pairs: list[tuple[UUID, UUID]]) -> list[tuple[Any, ...]]:
    """Return rows whose ids are in their order, too, however a statement meets them."""
    hours = at(24 * day + 10), at(24 * day + 11)
    return [(UUID(int=16 * day + place), *pair, *hours) for place, pair in enumerate(pairs)]


def insert_rows(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
    connection.execute(
        f"insert into sessions (id, user_id, therapist_id, start_time, end_time) values {values}".encode(),
        [value for row in rows for value in row],
    )


@pytest.mark.parametrize("booking_first", [True, False])
@pytest.mark.parametrize("ending", ["commit", "rollback"])
@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_a_direct_insert_races_a_booking(world: World, booking_first: bool, ending: str, level: str) -> None:
    therapist, clients = world.therapist(), [world.client(credits=1) for _ in range(2)]
    booking = partial(book, client=clients[0], therapist=therapist)
    insert = partial(raw_insert, client=clients[1], therapist=therapist)
    first, second = (booking, insert) if booking_first else (insert, booking)

    def in_level(connection: Connection) -> None:
        with connection.transaction():
            connection.execute(f"set transaction isolation level {level}".encode())
            second(connection)

    with holding(world) as one, session_of(world) as other:
        first(one)
        answer = waiting(world, in_level, other)
        one.execute(ending.encode())

        # A raw exclusion violation (23P01) would be seen here.
        assert outcome(answer.result) == ("booking_conflict" if ending == "commit" else "done")
    assert world.count("sessions") == 1
    assert world.violations() == []


@pytest.mark.parametrize("operation", ["insert", "copy", "update"])
def test_crossed_writes_of_many_rows_do_not_deadlock(world: World, operation: str) -> None:
    """Locked row by row, each would hold one pair of people and wait for the other's."""
    first, between, last = ((world.client(), world.therapist()) for _ in range(3))
    rows = {1: sessions_on(1, [first, between, last]), 2: sessions_on(2, [last, first])}
    if operation == "update":
        for of_day in rows.values():
            insert_rows(world.connection, of_day)

    def write(connection: Connection, day: int) -> None:
        on_day = [at(24 * day), at(24 * day + 24)]
        if operation == "insert":
            insert_rows(connection, rows[day])
        elif operation == "copy":
            copy = "copy sessions (id, user_id, therapist_id, start_time, end_time) from stdin"
            with connection.cursor().copy(copy) as sink:
                for row in rows[day]:
                    sink.write_row(row)
        else:
            connection.execute(SHIFT.encode() + b" where start_time between %s and %s", [HOUR, HOUR, *on_day])

    with holding(world) as blocker, session_of(world) as one, session_of(world) as other:
        blocker.execute("select bookingdb.lock_people(%s)", [list(between)])
        answers = [
            waiting(world, partial(write, day=1), one),
            waiting_or_done(world, partial(write, day=2), other),
        ]  # fmt: skip
        blocker.execute("commit")

        assert [outcome(answer.result) for answer in answers] == ["done", "done"]
    assert world.violations() == []


def test_a_direct_move_races_a_booking_of_the_new_time(world: World) -> None:
    therapist, clients = world.therapist(), [world.client(credits=1) for _ in range(2)]
    moving = place(world, clients[0], therapist, 8)
    with holding(world) as mover, session_of(world) as connection:
        mover.execute(SHIFT.encode() + b" where id = %s", [2 * HOUR, 2 * HOUR, moving])
        answer = waiting(world, partial(book, client=clients[1], therapist=therapist), connection)
        mover.execute("commit")

        with refused("booking_conflict"):
            answer.result()
    assert world.violations() == []


def test_coming_back_races_a_booking_of_the_time(world: World) -> None:
    therapist, clients = world.therapist(), [world.client(credits=1) for _ in range(2)]
    place(world, clients[0], therapist, 10, "cancelled")
    with holding(world) as booking, session_of(world) as connection:
        book(booking, clients[1], therapist)
        answer = waiting(world, lambda c: c.execute("update sessions set status = 'scheduled'"), connection)
        booking.execute("commit")

        with refused("booking_conflict"):
            answer.result()
    assert world.violations() == []


def test_two_direct_updates_of_one_lot_are_both_written_down(world: World) -> None:
    client = world.client(credits=3)
    more = "update user_credits set credits_balance = credits_balance + 10"
    with holding(world) as first, session_of(world) as second:
        first.execute(more)
        answer = waiting(world, lambda c: c.execute(more), second)
        first.execute("commit")
        answer.result()

    assert world.balance(client) == 23
    assert world.run("select amount, balance_after from bookingdb.ledger order by id") == [(3, 3), (10, 13), (10, 23)]
    assert world.violations() == []
