"""Storms and forced interleavings: who wins, what the others see, and that nothing is left out of step.

BOOKINGDB_STORM=full makes the storms as long as what is promised: 200 rounds, 60 seconds.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
from collections import Counter
from collections.abc import Awaitable, Sequence
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support import BOOK, TOMORROW, Connection, World, book, lasting
from tests.support.connections import AsyncConnection, connections
from tests.support.interleaving import holding, session_of, started, wait_until_asleep, waiting
from tests.support.races import PICKING, slow_pick
from tests.support.refusals import code_of, nothing_written, outcome, refused

FULL = os.environ.get("BOOKINGDB_STORM") == "full"
ROUNDS = 200 if FULL else 15
SECONDS = 60.0 if FULL else 5.0


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


async def call(connection: AsyncConnection, statement: str, *parameters: Any) -> tuple[str, Any]:
    """Return "done" and the row, or the error's code (of the table, else its SQLSTATE)."""
    try:
        cursor = await connection.execute(statement.encode(), parameters)
        return "done", await cursor.fetchone() if cursor.description else None
    except psycopg.Error as error:
        return code_of(error), None


async def outcomes(calls: Sequence[Awaitable[tuple[str, Any]]]) -> Counter[str]:
    """Run calls at once, and count how they ended."""
    return Counter(code for code, _ in await asyncio.gather(*calls))


# ----------------------------------------------------------------------------------------------------------------------
# Storms
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.storm
async def test_64_callers_of_one_slot_leave_one_winner_each_round(world: World) -> None:
    therapist = world.therapist()
    clients = [world.client(credits=ROUNDS) for _ in range(64)]
    async with connections(world, 64) as callers:
        for number in range(ROUNDS):
            day = TOMORROW + dt.timedelta(days=number)
            calls = [
                call(caller, BOOK, client, therapist, day, "10:00", None)
                for caller, client in zip(callers, clients, strict=True)
            ]

            assert await outcomes(calls) == {"done": 1, "booking_conflict": 63}

    assert world.count("sessions") == ROUNDS
    assert world.scalar("select sum(credits_balance) from user_credits") == 64 * ROUNDS - ROUNDS
    assert world.violations() == []


@pytest.mark.storm
async def test_64_callers_of_overlapping_slots_leave_no_overlap(world: World) -> None:
    """Many slots that overlap partly, also across midnight; any number may win, no two that overlap."""
    therapist = world.therapist()
    clients = [world.client(credits=1) for _ in range(64)]
    starts = [dt.datetime.combine(TOMORROW, dt.time(22)) + dt.timedelta(minutes=5 * n) for n in range(64)]
    async with connections(world, 64) as callers:
        calls = [
            call(caller, BOOK, client, therapist, start.date(), start.time(), None)
            for caller, client, start in zip(callers, clients, starts, strict=True)
        ]
        ended = await outcomes(calls)

    assert set(ended) == {"done", "booking_conflict"}
    # At most six sessions of an hour can begin from 22:00 to 03:15, and three with almost an hour between them leave
    # no room for a fourth.
    assert 3 <= ended["done"] <= 6
    assert world.count("sessions") == ended["done"]
    assert world.violations() == []


@pytest.mark.storm
@pytest.mark.parametrize("lots", [[5], [1, 1, 1, 1, 1], [2, 3]])
async def test_32_callers_spend_five_credits_five_times(world: World, lots: list[int]) -> None:
    client, therapists = world.client(), [world.therapist() for _ in range(32)]
    for amount in lots:
        world.run("select * from grant_credits(%s, %s)", client, amount)
    async with connections(world, 32) as callers:
        calls = [
            call(caller, BOOK, client, therapist, TOMORROW + dt.timedelta(days=n), "10:00", None)
            for n, (caller, therapist) in enumerate(zip(callers, therapists, strict=True))
        ]

        assert await outcomes(calls) == {"done": 5, "insufficient_credits": 27}

    assert world.count("sessions") == 5
    assert world.balance(client) == 0
    assert world.violations() == []


ALLOWED = {"done", "booking_conflict", "client_conflict", "insufficient_credits", "therapist_not_found"}


@pytest.mark.storm
async def test_crossed_people_at_random_never_deadlock(world: World) -> None:
    """Few people, many callers: bookings, retries, and direct writers of sessions, lots and therapists between them."""
    therapists = [world.therapist() for _ in range(5)]
    clients = [world.client(credits=20) for _ in range(5)]
    choose = random.Random(20)
    ended: Counter[str] = Counter()

    def enough() -> bool:
        return ended["done"] > 50 and min(ended["booking_conflict"], ended["client_conflict"]) > 0

    goes_on = lasting(SECONDS, enough)

    async def storm(connection: AsyncConnection) -> None:
        while goes_on():
            client, therapist = choose.choice(clients), choose.choice(therapists)
            day = TOMORROW + dt.timedelta(days=choose.randrange(3))
            at = dt.time(choose.randrange(24), choose.choice((0, 15, 30, 45)))
            kind = choose.randrange(20)
            if kind < 11:
                key = str(uuid4()) if choose.random() < 0.3 else None
                code, _ = await call(connection, BOOK, client, therapist, day, at, key)
            elif kind < 16:
                code, _ = await call(
                    connection,
                    "update sessions set status = 'cancelled' where id = (select s.id from sessions as s"
                    " where s.status = 'scheduled' order by random() limit 1)",
                )
            elif kind < 18:
                code, _ = await call(
                    connection,
                    "update sessions set start_time = start_time + interval '15 minutes',"
                    " end_time = end_time + interval '15 minutes' where id = (select s.id from sessions as s"
                    " where s.status = 'scheduled' order by random() limit 1)",
                )
            elif kind < 19:
                code, _ = await call(connection, "select lot_id from grant_credits(%s, 2)", client)
            else:
                active = "update users set is_active = not is_active where id = %s"
                code, _ = await call(connection, active, therapist)
            ended[code] += 1

    async with connections(world, 24) as callers:
        await asyncio.gather(*(storm(caller) for caller in callers))

    assert set(ended) <= ALLOWED, ended
    assert enough(), ended
    assert world.violations() == []


async def test_one_key_from_16_callers_books_once(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=16)
    async with connections(world, 16) as callers:
        answers = await asyncio.gather(
            *(call(caller, BOOK, client, therapist, TOMORROW, "10:00", "key") for caller in callers)
        )

    ((booked,),) = world.run("select id from sessions")
    assert answers == [("done", (booked,))] * 16
    assert world.balance(client) == 15
    assert world.violations() == []


async def test_one_key_with_16_different_requests_books_one_of_them(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=16)
    async with connections(world, 16) as callers:
        calls = [
            call(caller, BOOK, client, therapist, TOMORROW, f"{n:02}:00", "key") for n, caller in enumerate(callers)
        ]

        assert await outcomes(calls) == {"done": 1, "idempotency_key_reused": 15}

    assert world.balance(client) == 15
    assert world.violations() == []


@pytest.mark.parametrize("by", ["p_payment_reference", "p_idempotency_key"])
async def test_one_payment_from_16_callers_grants_once(world: World, by: str) -> None:
    client = world.client()
    statement = f"select lot_id, lot_balance, credits_balance from grant_credits(%s, 3, {by} => 'same')"
    async with connections(world, 16) as callers:
        answers = await asyncio.gather(*(call(caller, statement, client) for caller in callers))

    ((lot,),) = world.run("select id from user_credits")
    assert answers == [("done", (lot, 3, 3))] * 16
    assert world.violations() == []


async def test_one_payment_for_16_users_grants_to_one(world: World) -> None:
    clients = [world.client() for _ in range(16)]
    statement = "select lot_id from grant_credits(%s, 3, 'payment')"
    async with connections(world, 16) as callers:
        calls = [call(caller, statement, client) for caller, client in zip(callers, clients, strict=True)]

        assert await outcomes(calls) == {"done": 1, "idempotency_key_reused": 15}

    assert world.scalar("select sum(credits_balance) from user_credits") == 3
    assert world.violations() == []


async def test_one_address_registered_by_16_callers_is_one_person(world: World) -> None:
    async with connections(world, 16) as callers:
        answers = await asyncio.gather(
            *(call(caller, "select register_client('Same@Example.com', 'Same')") for caller in callers)
        )

    ((person,),) = world.run("select id from users")
    assert answers == [("done", (person,))] * 16


# ----------------------------------------------------------------------------------------------------------------------
# Two callers, one order forced
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_the_second_of_two_bookings_waits_for_the_first(world: World, ending: str) -> None:
    therapist, clients = world.therapist(), [world.client(credits=1), world.client(credits=1)]
    with holding(world) as first, session_of(world) as second:
        book(first, clients[0], therapist)
        answer = waiting(world, partial(book, client=clients[1], therapist=therapist), second)
        first.execute(ending.encode())

        if ending == "commit":
            with refused("booking_conflict"):
                answer.result()
        else:
            assert answer.result()["user_id"] == clients[1]
    assert world.count("sessions") == 1
    assert world.violations() == []


def test_bookings_of_other_people_do_not_wait(world: World) -> None:
    clients = [world.client(credits=1) for _ in range(2)]
    therapists = [world.therapist() for _ in range(2)]
    with holding(world) as first:
        book(first, clients[0], therapists[0])

        # On the only other connection, which would wait for ever.
        world.run("set lock_timeout = '1s'")
        assert world.book(clients[1], therapists[1])["status"] == "scheduled"


def test_booking_reads_clock_and_balance_after_its_wait(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    world.run("select * from grant_credits(%s, 1, p_expires_at => clock_timestamp() + interval '1 second')", client)
    with holding(world) as holder, session_of(world) as connection:
        holder.execute("select lock_for_booking(%s)", [[client]])
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        holder.execute("select pg_sleep(1.1)")
        holder.execute("commit")

        with refused("insufficient_credits"):
            answer.result()


# ----------------------------------------------------------------------------------------------------------------------
# lock_timeout
# ----------------------------------------------------------------------------------------------------------------------


def impatient(connection: Connection) -> None:
    connection.execute("set lock_timeout = '50ms'")


def busy_calls(therapist: UUID, client: UUID) -> list[tuple[str, list[Any]]]:
    """Return every call that needs a lock of one of the two."""
    return [
        (BOOK, [client, therapist, TOMORROW, "10:00", None]),
        (BOOK, [client, therapist, TOMORROW, "10:00", "key"]),
        ("select * from grant_credits(%s, 1)", [client]),
        ("select set_therapist_active(%s, false)", [therapist]),
        ("select lock_for_booking(%s)", [[therapist, client]]),
        (
            "insert into sessions (user_id, therapist_id, start_time, end_time)"
            " values (%s, %s, '2030-01-01', '2030-01-02')",
            [client, therapist],
        ),
        ("update users set is_active = false where id = any (%s)", [[therapist, client]]),
    ]


@pytest.mark.parametrize("bulk", [False, True])
def test_a_wait_for_a_persons_lock_that_takes_too_long_is_busy(world: World, bulk: bool) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    people = [therapist, client, *(uuid4() for _ in range(80 if bulk else 0))]
    with holding(world) as holder, session_of(world) as connection:
        impatient(connection)
        holder.execute("select lock_for_booking(%s)", [people])
        for statement, parameters in busy_calls(therapist, client):
            with nothing_written(world), refused("busy"):
                connection.execute(statement.encode(), parameters)


def test_a_wait_for_everybodys_lock_that_takes_too_long_is_busy(world: World) -> None:
    with holding(world) as holder, session_of(world) as connection:
        impatient(connection)
        holder.execute("select lock_for_booking(%s)", [[uuid4()]])
        with refused("busy"):
            connection.execute("select lock_for_booking(%s)", [[uuid4() for _ in range(65)]])


def test_a_wait_for_a_lot_that_a_direct_writer_holds_is_busy(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as writer, session_of(world) as connection:
        impatient(connection)
        writer.execute("update user_credits set credits_balance = 2")

        with nothing_written(world), refused("busy"):
            book(connection, client, therapist)


def test_lot_held_by_a_direct_writer_is_waited_for(world: World) -> None:
    """Consumption order holds also while the first lot is locked."""
    therapist, client = world.therapist(), world.client()
    ((first, _, _, _),) = world.run("select * from grant_credits(%s, 5)", client)
    world.run("select * from grant_credits(%s, 5)", client)
    with holding(world) as writer, session_of(world) as connection:
        writer.execute("update user_credits set credits_balance = 4 where id = %s", [first])
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        writer.execute("commit")

        assert answer.result()["credits_balance"] == 8
    assert world.run("select lot_id, balance_after from bookingdb.ledger where kind = 'debit'") == [(first, 3)]
    assert world.violations() == []


def test_a_wait_for_somebody_who_writes_the_same_row_is_busy(world: World) -> None:
    """Rows that two callers want at once, and no lock of a person between them."""
    clients, therapist = [world.client(), world.client()], world.therapist()
    waits: list[tuple[str, list[Any], list[Any]]] = [
        ("select * from grant_credits(%s, 1, 'payment')", [clients[0]], [clients[1]]),
        ("select register_client('same@example.com', null, %s)", [uuid4()], [uuid4()]),
        ("select set_therapist_active(%s, true)", [therapist], [therapist]),
        ("select register_client('another@example.com', null, %s)", [clients[0]], [clients[0]]),
        (
            "select register_therapist(u.email, null, u.id, %s) from users as u where u.id = %s",
            ["Europe/Paris", therapist],
            ["Europe/Berlin", therapist],
        ),
    ]
    for statement, first, second in waits:
        with holding(world) as holder, session_of(world) as connection:
            impatient(connection)
            holder.execute(statement.encode(), first)
            with refused("busy"):
                connection.execute(statement.encode(), second)


@pytest.mark.parametrize("function", PICKING)
def test_lot_spoilt_before_its_lock_is_not_spent(world: World, function: str) -> None:
    therapist, client = world.therapist(), world.client()
    with slow_pick(world, function, therapist):
        for spoilt in ("status = 'refunded'", "credits_balance = 0", "expires_at = '-infinity'", "user_type = 'x'"):
            world.run("select * from grant_credits(%s, 3)", client)
            with session_of(world) as connection:
                answer = started(partial(book, client=client, therapist=therapist), connection)
                wait_until_asleep(world, connection)
                world.run(f"update user_credits set {spoilt} where status = 'active'")

                with refused("insufficient_credits"):
                    answer.result()
    assert world.count("sessions") == 0
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Calls and direct writers of the rows of people
# ----------------------------------------------------------------------------------------------------------------------


def test_closing_a_therapist_does_not_deadlock_with_an_update(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    def update(connection: Connection) -> None:
        connection.execute("update users set is_active = not is_active where id = %s", [therapist])

    def close(connection: Connection) -> None:
        connection.execute("select set_therapist_active(%s, false)", [therapist])

    with holding(world) as booking, session_of(world) as one, session_of(world) as other:
        book(booking, client, therapist)
        closed = waiting(world, close, one)
        updated = waiting(world, update, other)
        booking.execute("commit")

        assert [outcome(closed.result), outcome(updated.result)] == ["done", "done"]


def test_deleting_a_therapist_being_booked_is_refused(world: World) -> None:
    """The deletion locks the row before the person, the booking the person before the row (its foreign key)."""
    therapist, client = world.therapist(), world.client(credits=1)

    def delete(connection: Connection) -> None:
        connection.execute("delete from users where id = %s", [therapist])

    with holding(world) as holder, session_of(world) as one, session_of(world) as other:
        holder.execute("select lock_for_booking(%s)", [[therapist]])
        booked = waiting(world, partial(book, client=client, therapist=therapist), one)
        with refused("busy"):
            delete(other)
        holder.execute("commit")

        assert outcome(booked.result) == "done"


# ----------------------------------------------------------------------------------------------------------------------
# Transactions of several bookings
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [True, False])
def test_locking_ahead_prevents_deadlocks(world: World, ahead: bool) -> None:
    clients = [world.client(credits=2) for _ in range(2)]
    therapists = [world.therapist() for _ in range(2)]
    everybody = [*clients, *therapists]

    def second_transaction(connection: Connection) -> str:
        connection.execute("begin")
        if ahead:
            connection.execute("select lock_for_booking(%s)", [everybody])
        else:
            book(connection, clients[1], therapists[1], "12:00")
        return outcome(partial(finish, connection, clients[1], therapists[::-1] if ahead else therapists[:1], "14:00"))

    def finish(connection: Connection, client: UUID, whom: list[UUID], at: str) -> None:
        for number, therapist in enumerate(whom):
            book(connection, client, therapist, f"{int(at[:2]) + number}:00")
        connection.execute("commit")

    with holding(world) as first, session_of(world) as second:
        if ahead:
            first.execute("select lock_for_booking(%s)", [everybody[::-1]])
            answer = waiting(world, second_transaction, second)
            mine = outcome(partial(finish, first, clients[0], therapists, "10:00"))
        else:
            book(first, clients[0], therapists[0], "10:00")
            answer = waiting(world, second_transaction, second)
            mine = outcome(partial(finish, first, clients[0], therapists[1:], "16:00"))
            if mine != "done":
                first.execute("rollback")
        ended = sorted([mine, answer.result()])

    assert ended == (["done", "done"] if ahead else ["40P01", "done"])
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Very many people at once
# ----------------------------------------------------------------------------------------------------------------------

SHIFT_ALL = "update sessions set start_time = start_time + %s, end_time = end_time + %s"


def crowd(world: World, number: int) -> None:
    """Make this many therapists and clients with a session each, at 08:00 on another day than the tests book on."""
    world.run(
        "with t as (insert into users (user_type, is_verified) select 'therapist', true"
        "     from generate_series(1, %s) returning id),"
        " c as (insert into users (user_type) select 'user' from generate_series(1, %s) returning id)"
        " insert into sessions (therapist_id, user_id, start_time, end_time)"
        " select t.id, c.id, timestamptz '2031-01-06 08:00+00', timestamptz '2031-01-06 09:00+00'"
        " from (select id, row_number() over () as n from t) as t"
        " inner join (select id, row_number() over () as n from c) as c using (n)",
        number,
        number,
    )


def test_a_bulk_update_takes_one_lock_and_not_one_a_person(world: World) -> None:
    crowd(world, 200)
    hour = dt.timedelta(hours=1)
    with holding(world) as bulk:
        bulk.execute(SHIFT_ALL, [hour, hour])
        locks = bulk.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
        ).fetchone()

        assert locks == (1,)


def test_a_bulk_update_and_a_booking_wait_for_each_other(world: World) -> None:
    crowd(world, 40)
    ((therapist,),) = world.run("select id from users where user_type = 'therapist' limit 1")
    client = world.client(credits=1)
    hour = dt.timedelta(hours=1)
    at_nine = partial(book, client=client, therapist=therapist, at="09:00", session_date=dt.date(2031, 1, 6))
    world.run('select set_policy(\'{"maximum_advance": "3650 days"}\')')

    def shift(connection: Connection) -> None:
        connection.execute(SHIFT_ALL, [hour, hour])

    with holding(world) as booking, session_of(world) as bulk:
        at_nine(booking)
        answer = waiting(world, shift, bulk)
        booking.execute("commit")
        with refused("booking_conflict"):
            answer.result()

    world.run("delete from sessions where user_id = %s", client)
    world.run("select * from grant_credits(%s, 1)", client)
    with holding(world) as bulk, session_of(world) as booking:
        shift(bulk)
        booked = waiting(world, at_nine, booking)
        bulk.execute("commit")
        with refused("booking_conflict"):
            booked.result()
    assert world.violations() == []


def test_booking_of_a_taken_slot_does_not_wait(world: World) -> None:
    therapist, first, second = world.therapist(), world.client(credits=1), world.client(credits=1)
    taken = world.book(first, therapist, idempotency_key="first")
    with holding(world) as holder, session_of(world) as connection:
        holder.execute("select lock_for_booking(%s)", [[therapist, first]])
        connection.execute("set lock_timeout = '300ms'")

        with refused("booking_conflict"):
            book(connection, second, therapist)
        # Nor who asks again for what it was given.
        assert book(connection, first, therapist, idempotency_key="first")["id"] == taken["id"]
        # What is free is for whoever has the lock to give.
        with refused("busy"):
            book(connection, second, therapist, "12:00")
    assert world.balance(second) == 1
    assert world.violations() == []


def test_bookings_go_on_while_everybodys_sessions_are_moved(world: World) -> None:
    crowd(world, 50)
    therapists = [person for (person,) in world.run("select id from users where user_type = 'therapist' limit 4")]
    clients = [world.client(credits=100) for _ in range(4)]
    moved, ended = 0, [Counter[str](), Counter[str]()]
    goes_on = lasting(min(SECONDS, 2), lambda: moved > 5 and min(one["done"] for one in ended) > 5)

    def bookings(connection: Connection, which: int) -> None:
        for number in count():
            if not goes_on():
                break
            # However many there are, none is as far ahead as nobody may book.
            day = TOMORROW + dt.timedelta(days=number % 300)
            client, therapist = clients[which], therapists[(which + number) % 4]
            ended[which][outcome(partial(book, connection, client, therapist, session_date=day))] += 1

    with session_of(world) as first, session_of(world) as second:
        answers = [started(partial(bookings, which=n), connection) for n, connection in enumerate((first, second))]
        while goes_on():
            step = dt.timedelta(minutes=1 if moved % 2 else -1)
            # Bookings commit while a statement runs; it then moves only what it saw.
            world.run(SHIFT_ALL + " where start_time > '2030-01-01'", step, step)
            moved += 1
        for answer in answers:
            answer.result()

    assert set(ended[0] + ended[1]) <= {"done", "insufficient_credits", "booking_conflict"}
    assert moved > 5
    assert min(one["done"] for one in ended) > 5
    assert world.violations() == []
