"""Ambiguous commits: the connection is dropped after call or COMMIT were sent and before the answer arrives."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import psycopg_pool

from bookingdb import AsyncBookings, Bookings
from bookingdb.errors import BookingConflict, BookingFailed
from bookingdb.records import BookedSession
from tests.support import TOMORROW, World
from tests.torture import log, proxy
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.proxy import Proxy
from tests.torture.server import Server

NAME = "ambiguous commit"
CALLERS = 8
Request = dict[str, Any]

# ----------------------------------------------------------------------------------------------------------------------
# Ways to book: the first five repeat by themselves, in the last two the application must
# ----------------------------------------------------------------------------------------------------------------------


def by_url(url: str, request: Request) -> BookedSession:
    return Bookings(url).book_session(**request)


def by_pool(url: str, request: Request) -> BookedSession:
    # As psycopg_pool makes them: the call is followed by a COMMIT.
    with psycopg_pool.ConnectionPool(url, min_size=1, max_size=2, open=True) as pool:
        return Bookings(pool).book_session(**request)


def by_pool_in_autocommit(url: str, request: Request) -> BookedSession:
    with psycopg_pool.ConnectionPool(url, min_size=1, max_size=2, open=True, kwargs={"autocommit": True}) as pool:
        return Bookings(pool).book_session(**request)


def by_async_url(url: str, request: Request) -> BookedSession:
    return asyncio.run(AsyncBookings(url).book_session(**request))


def by_async_pool(url: str, request: Request) -> BookedSession:
    async def book() -> BookedSession:
        async with psycopg_pool.AsyncConnectionPool(url, min_size=1, max_size=2, open=False) as pool:
            return await AsyncBookings(pool).book_session(**request)

    return asyncio.run(book())


def by_connection(url: str, request: Request) -> BookedSession:
    with psycopg.connect(url, autocommit=True) as connection:
        return Bookings(connection).book_session(**request)


def in_transaction(url: str, request: Request) -> BookedSession:
    with psycopg.connect(url) as connection:
        return Bookings(connection).book_session(**request)


Way = Callable[[str, Request], BookedSession]
REPEATING: tuple[Way, ...] = (by_url, by_pool, by_pool_in_autocommit, by_async_url, by_async_pool)
CALLERS_OWN: tuple[Way, ...] = (by_connection, in_transaction)
WITH_COMMIT = {by_pool, by_async_pool, in_transaction}


@dataclasses.dataclass
class Caller:
    """One client of its own who books hour after hour, while the connection is dropped under it."""

    client: UUID
    therapist: UUID
    url: str
    between: Proxy
    log: log.ClientLog
    figures: Figures
    choose: random.Random
    booked: int = 0

    def round(self) -> None:
        way = self.choose.choice((*REPEATING, *CALLERS_OWN))
        start = dt.datetime.combine(TOMORROW, dt.time(), dt.UTC) + dt.timedelta(hours=self.booked)
        request = {"user_id": self.client, "therapist_id": self.therapist, "starts_at": start}
        request["idempotency_key"] = key = str(uuid4())
        times = self.choose.choice((1, 1, 1, 2, 3)) if way in REPEATING else 1
        at_commit = way in WITH_COMMIT and self.choose.random() < 0.7
        plan = self.between.plan(key, times, at_commit=at_commit, when_done=self.choose.random() < 0.7)
        name = way.__name__.replace("_", " ")
        self.booked += 1
        try:
            booked = self.book(way, request)
            again = by_url(self.url, request)
        except BookingConflict as error:
            self.figures.doubled.append(f"{name}: in the way of its own repetition: {error}")
            return
        finally:
            self.between.forget(key)
        if plan.dropped != times:
            self.figures.wrong.append(f"{name}: cut off {plan.dropped} times, not {times}")
        if again.id != booked.id:
            self.figures.doubled.append(f"{name}: {booked.id}, and asked again {again.id}")
        self.log.add(
            log.Acknowledged("create_session_with_credit_deduction", self.client, key, dataclasses.asdict(booked))
        )
        self.log.count(f"dropped {name}")

    def book(self, way: Way, request: Request) -> BookedSession:
        """Book; where the client must not repeat by itself, as the application would."""
        try:
            booked = way(self.between.url(self.url), request)
        except (BookingFailed, psycopg.OperationalError) as error:  # the latter when the caller's own COMMIT is cut off
            if way in REPEATING:
                self.figures.wrong.append(f"{way.__name__} did not repeat by itself: {error!r} {error.__cause__!r}")
            return by_url(self.url, request)
        if way in CALLERS_OWN:
            self.figures.wrong.append(f"{way.__name__}: answered, though the connection was lost")
        return booked


def callers(world: World, between: Proxy, figures: Figures, number: int, credits: int) -> list[Caller]:
    own = log.ClientLog()
    made = []
    for seed in range(number):
        caller = Caller(world.client(), world.therapist(), world.url, between, own, figures, random.Random(seed))
        # Enough for the hours of almost a year.
        lot = world.run("select * from grant_credits(%s, %s, p_idempotency_key => 'lot')", caller.client, credits)[0]
        answer = {"lot_id": lot[0], "lot_balance": lot[1]}
        own.add(log.Acknowledged("grant_credits", caller.client, "lot", answer))
        made.append(caller)
    return made


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Book on all kinds of connections, each dropped at least once; every booking must end as one, with one debit."""
    figures = Figures(NAME)
    goal = Goal(NAME, seconds, rounds)
    lock = threading.Lock()

    def work(caller: Caller) -> None:
        while True:
            with lock:
                if not goal.goes_on(figures.rounds):
                    return
                figures.rounds += 1
            caller.round()

    with server.world() as world, proxy.running(server.port) as between:
        working = callers(world, between, figures, CALLERS, credits=9000)
        with ThreadPoolExecutor(CALLERS) as threads:
            for done in [threads.submit(work, caller) for caller in working]:
                done.result()
        log.compare(world, working[0].log, [caller.client for caller in working], figures)
    return figures
