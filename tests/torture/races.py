"""Many callers at once: one slot for 64, one key for 32; and calls that cross, which must not deadlock."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from tests.refusals import PROMISED
from tests.support import TOMORROW, World, lasting
from tests.test_concurrency import BOOK, AsyncConnection, call, connections, outcomes
from tests.torture.figures import Figures
from tests.torture.server import Server

ONE_SLOT = "one slot, 64 clients"
ONE_KEY = "one key, 32 callers"
DEADLOCKS = "crossed calls"
DAY = dt.timedelta(days=1)
DAYS = 300
# What Postgres says about a transaction that it has chosen to undo.
DEADLOCK = "40P01"


def settle(world: World, figures: Figures, sessions: int, credits: int) -> None:
    """Hold against the database what the callers were told, all of them together."""
    counted = (world.count("sessions"), world.scalar("select sum(credits_balance)::integer from user_credits"))
    if counted != (sessions, credits - sessions):
        figures.wrong.append(f"{counted} sessions and credits, not {(sessions, credits - sessions)}")
    figures.wrong += [f"invariant: {violation}" for violation in world.violations()]


# ----------------------------------------------------------------------------------------------------------------------
# One slot
# ----------------------------------------------------------------------------------------------------------------------


async def _one_slot(world: World, deadline: float, rounds: int, figures: Figures) -> None:
    therapists = [world.therapist() for _ in range(16)]
    clients = [world.client(credits=10_000) for _ in range(64)]
    async with connections(world, 64) as callers:
        while figures.rounds < rounds and time.monotonic() < deadline:
            number = figures.rounds
            therapist = therapists[number // (DAYS * 24) % len(therapists)]
            slot = (TOMORROW + DAY * (number // 24 % DAYS), dt.time(number % 24))
            ended = await outcomes([
                call(caller, BOOK, client, therapist, *slot, None)
                for caller, client in zip(callers, clients, strict=True)
            ])  # fmt: skip
            if ended != {"done": 1, "booking_conflict": 63}:
                (figures.doubled if ended["done"] > 1 else figures.wrong).append(f"{slot}: {dict(ended)}")
            figures.rounds += 1
            figures.operations += ended.total()
            figures.other += Counter({code: count for code, count in ended.items() if code != "done"})
    settle(world, figures, figures.rounds, 64 * 10_000)


def one_slot(server: Server, seconds: float, rounds: int = 10_000) -> Figures:
    """One winner each round, for everybody else the 409."""
    figures = Figures(ONE_SLOT)
    with server.world() as world:
        asyncio.run(_one_slot(world, time.monotonic() + seconds, rounds, figures))
    return figures


# ----------------------------------------------------------------------------------------------------------------------
# One key
# ----------------------------------------------------------------------------------------------------------------------


async def _one_key(world: World, deadline: float, rounds: int, figures: Figures) -> None:
    client, therapist = world.client(credits=9_000), world.therapist()
    async with connections(world, 32) as callers:
        while figures.rounds < rounds and time.monotonic() < deadline:
            number = figures.rounds
            day = TOMORROW + DAY * (number // 12 % DAYS)
            hours = [2 * (number % 12), 2 * (number % 12) + 1]
            # Every second round half of them mean another hour.
            meant = [hours[place % 2 if number % 2 else 0] for place in range(len(callers))]
            key = f"key {number}"
            answers = await asyncio.gather(*(
                call(caller, BOOK, client, therapist, day, dt.time(hour), key)
                for caller, hour in zip(callers, meant, strict=True)
            ))  # fmt: skip
            _judge_one_key(answers, meant, key, figures)
            figures.rounds += 1
            figures.operations += len(answers)
            figures.other += Counter(code for code, _ in answers if code != "done")
    settle(world, figures, figures.rounds, 9_000)


def _judge_one_key(answers: Sequence[tuple[str, Any]], meant: list[int], key: str, figures: Figures) -> None:
    """The first decides what the key stands for: who means that gets the same id, who does not is refused."""
    ids = {row[0] for code, row in answers if code == "done"}
    if len(ids) != 1:
        figures.doubled.append(f"{key}: {len(ids)} sessions")
    hours = {hour for (code, _), hour in zip(answers, meant, strict=True) if code == "done"}
    codes = {
        code: {hour for (other, _), hour in zip(answers, meant, strict=True) if other == code} for code, _ in answers
    }
    if set(codes) - {"done", "idempotency_key_reused"} or hours & codes.get("idempotency_key_reused", set()):
        figures.wrong.append(f"{key}: {codes}")


def one_key(server: Server, seconds: float, rounds: int = 3_000) -> Figures:
    """The same key from 32 callers is one session; with other parameters it is refused."""
    figures = Figures(ONE_KEY)
    with server.world() as world:
        asyncio.run(_one_key(world, time.monotonic() + seconds, rounds, figures))
    return figures


# ----------------------------------------------------------------------------------------------------------------------
# Deadlocks
# ----------------------------------------------------------------------------------------------------------------------


async def _single_calls(world: World, seconds: float, figures: Figures) -> None:
    """Bookings of the same few people crosswise, sessions that swap their times, cancellations and grants between."""
    people = [world.therapist() for _ in range(4)], [world.client(credits=5_000) for _ in range(4)]
    choose = random.Random(6)
    sessions: list[UUID] = []
    goes_on = lasting(seconds, lambda: figures.operations > 300)

    async def work(connection: AsyncConnection) -> None:
        while goes_on():
            therapist, client = (choose.choice(ones) for ones in people)
            slot = (TOMORROW + DAY * choose.randrange(3), dt.time(choose.randrange(24), choose.choice((0, 30))))
            kind = choose.randrange(10) if sessions else 0
            if kind < 4:
                code, row = await call(connection, BOOK, client, therapist, *slot, None)
                if row:
                    sessions.append(row[0])
            elif kind < 8:
                moved = "select id from reschedule_session(%s, %s, %s)"
                code, _ = await call(connection, moved, choose.choice(sessions[-12:]), *slot)
            elif kind < 9:
                code, _ = await call(connection, "select id from cancel_session(%s)", choose.choice(sessions[-12:]))
            else:
                code, _ = await call(connection, "select lot_id from grant_credits(%s, 1)", client)
            figures.operations += 1
            if code != "done":
                figures.other[code] += 1
            if code != "done" and code not in PROMISED:
                figures.wrong.append(f"a single call ended with {code}")

    async with connections(world, 32) as callers:
        await asyncio.gather(*(work(caller) for caller in callers))


async def _crossed_transactions(world: World, seconds: float, *, with_rule: bool) -> Counter[str]:
    """Two bookings a transaction, by callers that need the same therapists in opposite orders."""
    therapists = [world.therapist() for _ in range(2)]
    clients = [world.client(credits=9_000) for _ in range(2)]
    ended: Counter[str] = Counter()
    goes_on = lasting(seconds, lambda: ended.total() > 10 and (with_rule or ended[DEADLOCK] > 0))
    async with connections(world, 2) as callers:

        async def transaction(place: int, day: dt.date) -> str:
            order = therapists if place == 0 else therapists[::-1]
            try:
                async with callers[place].transaction():
                    if with_rule:
                        await callers[place].execute("select lock_for_booking(%s)", [[clients[place], *therapists]])
                    for hour, therapist in enumerate(order):
                        at = dt.time(2 * (hour + 2 * place))
                        await callers[place].execute(BOOK.encode(), [clients[place], therapist, day, at, None])
                        # The other one begins, too.
                        await asyncio.sleep(0.005)
            except psycopg.errors.DeadlockDetected:
                return DEADLOCK
            return "done"

        for number in itertools.count():
            if not goes_on():
                break
            day = TOMORROW + DAY * (number % DAYS)
            ended.update(await asyncio.gather(transaction(0, day), transaction(1, day)))
            await callers[0].execute("select cancel_session(s.id) from sessions as s where s.status = 'scheduled'")
    return ended


def deadlocks(server: Server, seconds: float) -> Figures:
    """Single calls never deadlock; transactions of several calls do without the rule, and not with it."""
    figures = Figures(DEADLOCKS)
    with server.world() as world:
        asyncio.run(_single_calls(world, seconds * 0.6, figures))
        figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
    for with_rule in (False, True):
        with server.world() as world:
            ended = asyncio.run(_crossed_transactions(world, seconds * 0.2, with_rule=with_rule))
            figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
        rule = "with lock_for_booking" if with_rule else "without"
        figures.times.append(f"transactions {rule}: {ended[DEADLOCK]:,} deadlocks in {ended.total():,}")
        figures.rounds += ended.total()
        if with_rule is (ended[DEADLOCK] > 0):
            figures.wrong.append(f"transactions {rule}: {dict(ended)}")
    return figures
