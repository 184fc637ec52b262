"""Many callers at once: one slot for 64, one key for 32, one session a day for 16; and calls that cross."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import random
from collections import Counter

import psycopg

from tests.support import BOOK, TOMORROW, World, lasting
from tests.support.connections import connections
from tests.support.refusals import PROMISED
from tests.torture import wire
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.server import Server

ONE_SLOT = "one slot, 64 clients"
ONE_KEY = "one key, 32 callers"
OLD_SNAPSHOTS = "one session a day, 16 old snapshots"
DEADLOCKS = "crossed calls"
DAY = dt.timedelta(days=1)
DAYS = 300
# So many calls, then other people.
GENERATION = 20_000
BOOK_KEYED = "select id from create_session_with_credit_deduction($1, $2, $3, $4, p_idempotency_key => $5)"
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


def one_slot(server: Server, seconds: float, rounds: float = 10_000, side_by_side: int = 2) -> Figures:
    """One winner each round, for everybody else the 409.

    Whoever wants the slot of a therapist waits for the others. So rounds go on side by side, each of other people, as
    many as there are cores.
    """
    figures = Figures(ONE_SLOT)
    goal = Goal(ONE_SLOT, seconds, rounds)
    with server.world() as world:
        groups = [
            (wire.text(world.therapist()), [wire.text(world.client(credits=10_000)) for _ in range(64)])
            for _ in range(side_by_side)
        ]
        number = 64 * len(groups)
        with wire.connections(world, number, book=f"{BOOK_KEYED[:-1]}, p_duration_minutes => 30)") as callers:
            while goal.goes_on(figures.rounds):
                day, half_hour = divmod(figures.rounds // len(groups), 48)
                slot = (TOMORROW + DAY * day, dt.time(half_hour // 2, half_hour % 2 * 30))
                at = [wire.text(value) for value in slot]
                wanted = [(client, therapist, *at, None) for therapist, clients in groups for client in clients]
                answers = wire.volley(callers, b"book", wanted)
                for first in range(0, number, 64):
                    _judge_one_slot(f"{slot}", Counter(code for code, _ in answers[first : first + 64]), figures)
        settle(world, figures, figures.rounds, number * 10_000)
    return figures


def _judge_one_slot(slot: str, ended: Counter[str], figures: Figures) -> None:
    if ended != {"done": 1, "booking_conflict": 63}:
        (figures.doubled if ended["done"] > 1 else figures.wrong).append(f"{slot}: {dict(ended)}")
    figures.rounds += 1
    figures.operations += ended.total()
    figures.other += Counter({code: count for code, count in ended.items() if code != "done"})


# ----------------------------------------------------------------------------------------------------------------------
# One key
# ----------------------------------------------------------------------------------------------------------------------


def _judge_one_key(answers: list[wire.Answer], meant: list[int], key: str, figures: Figures) -> None:
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


def one_key(server: Server, seconds: float, rounds: float = 3_000) -> Figures:
    """The same key from 32 callers is one session; with other parameters it is refused."""
    figures = Figures(ONE_KEY)
    goal = Goal(ONE_KEY, seconds, rounds)
    with server.world() as world:
        client, therapist = wire.text(world.client(credits=9_000)), wire.text(world.therapist())
        with wire.connections(world, 32, book=BOOK_KEYED) as callers:
            while goal.goes_on(figures.rounds):
                number = figures.rounds
                day = wire.text(TOMORROW + DAY * (number // 12 % DAYS))
                hours = [2 * (number % 12), 2 * (number % 12) + 1]
                # Every second round half of them mean another hour.
                meant = [hours[place % 2 if number % 2 else 0] for place in range(len(callers))]
                key = f"key {number}"
                parameters = [(client, therapist, day, wire.text(dt.time(hour)), key.encode()) for hour in meant]
                answers = wire.volley(callers, b"book", parameters)
                _judge_one_key(answers, meant, key, figures)
                figures.rounds += 1
                figures.operations += len(answers)
                figures.other += Counter(code for code, _ in answers if code != "done")
        settle(world, figures, figures.rounds, 9_000)
    return figures


# ----------------------------------------------------------------------------------------------------------------------
# Old snapshots
# ----------------------------------------------------------------------------------------------------------------------


def old_snapshots(server: Server, seconds: float, rounds: float = 3_000) -> Figures:
    """Of sixteen who book hours of one day under a limit of one session, one succeeds in REPEATABLE READ, too."""
    figures = Figures(OLD_SNAPSHOTS)
    goal = Goal(OLD_SNAPSHOTS, seconds, rounds)
    with server.world() as world:
        world.run(
            f"alter database {world.connection.info.dbname} set default_transaction_isolation = 'repeatable read'"
        )
        therapist, clients = wire.text(world.therapist()), [wire.text(world.client(credits=9_000)) for _ in range(16)]
        world.run('select set_policy(\'{"maximum_sessions_per_day": 1, "maximum_advance": "3650 days"}\')')
        with wire.connections(world, len(clients), book=BOOK_KEYED) as callers:
            while goal.goes_on(figures.rounds):
                day = TOMORROW + DAY * figures.rounds
                wanted = [
                    (client, therapist, wire.text(day), wire.text(dt.time(hour)), None)
                    for hour, client in enumerate(clients)
                ]
                ended = Counter(code for code, _ in wire.volley(callers, b"book", wanted))
                if ended["done"] > 1:
                    figures.doubled.append(f"{day}: {ended['done']} sessions")
                if set(ended) - {"done", "booking_conflict", "40001"}:
                    figures.wrong.append(f"{day}: {dict(ended)}")
                figures.rounds += 1
                figures.operations += ended.total()
                figures.other += Counter({code: count for code, count in ended.items() if code != "done"})
        figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
    return figures


# ----------------------------------------------------------------------------------------------------------------------
# Deadlocks
# ----------------------------------------------------------------------------------------------------------------------


def _single_calls(world: World, seconds: float, calls: float, figures: Figures) -> None:
    """Bookings of the same few people crosswise, sessions that swap their times, cancellations and grants between."""
    choose = random.Random(6)
    goal = Goal(DEADLOCKS, seconds, calls, at_least=300)
    people: list[list[bytes | None]] = []
    sessions: list[bytes] = []
    asked: dict[int, bytes] = {}

    def ask(place: int) -> wire.Call | None:
        if not goal.goes_on(figures.operations + len(asked)):
            return None
        name, parameters = request()
        asked[place] = name
        return name, parameters

    def request() -> wire.Call:
        therapist, client = (choose.choice(ones) for ones in people)
        day, time_ = choose.randrange(3), dt.time(choose.randrange(24), choose.choice((0, 30)))
        slot = (wire.text(TOMORROW + DAY * day), wire.text(time_))
        kind = choose.randrange(10) if sessions else 0
        if kind < 4:
            return b"book", (client, therapist, *slot, None)
        if kind < 8:
            return b"move", (choose.choice(sessions[-12:]), *slot)
        if kind < 9:
            return b"cancel", (choose.choice(sessions[-12:]),)
        return b"grant", (client,)

    def answered(place: int, answer: wire.Answer) -> None:
        code, rows = answer
        if asked.pop(place) == b"book" and code == "done":
            assert rows[0] is not None
            sessions.append(rows[0])
        figures.operations += 1
        if figures.operations % GENERATION == 0:
            renew()
        if code != "done":
            figures.other[code] += 1
            if code not in PROMISED:
                figures.wrong.append(f"a single call ended with {code}")

    def renew() -> None:
        """Other people: nobody has as many sessions and lots as a million calls make."""
        people[:] = [
            [wire.text(world.therapist()) for _ in range(4)],
            [wire.text(world.client(credits=5_000)) for _ in range(4)],
        ]
        sessions.clear()

    renew()
    statements = {
        "book": BOOK_KEYED,
        "move": "select id from reschedule_session($1, $2, $3)",
        "cancel": "select id from cancel_session($1)",
        "grant": "select lot_id from grant_credits($1, 1)",
    }
    with wire.connections(world, 32, **statements) as callers:
        wire.stream(callers, ask, answered, prepared=True)


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


def deadlocks(server: Server, seconds: float, calls: float = float("inf")) -> Figures:
    """Single calls never deadlock; transactions of several calls do without the rule, and not with it."""
    figures = Figures(DEADLOCKS)
    with server.world() as world:
        _single_calls(world, seconds * 0.6, calls, figures)
        figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
    for with_rule in (False, True):
        with server.world() as world:
            ended = asyncio.run(_crossed_transactions(world, min(seconds * 0.2, 60), with_rule=with_rule))
            figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
        rule = "with lock_for_booking" if with_rule else "without"
        figures.times.append(f"transactions {rule}: {ended[DEADLOCK]:,} deadlocks in {ended.total():,}")
        figures.rounds += ended.total()
        if with_rule is (ended[DEADLOCK] > 0):
            figures.wrong.append(f"transactions {rule}: {dict(ended)}")
    return figures
