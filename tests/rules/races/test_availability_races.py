"""Availability while others book and change hours: what was taken is never listed, and nobody books by old hours.

BOOKINGDB_STORM=full makes the storm as long as what is promised.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, book, lasting, run
from tests.support.interleaving import holding, session_of, started, waiting
from tests.support.refusals import code_of, outcome, refused

SECONDS = 30.0 if os.environ.get("BOOKINGDB_STORM") == "full" else 2.0

NOON = dt.datetime.combine(TOMORROW, dt.time(12), dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


def listed(connection: Connection, therapist: UUID) -> list[dt.datetime]:
    statement = "select start_time from list_available_slots(%s, %s, %s, 60, null, 60)"
    return [start for (start,) in run(connection, statement, therapist, TOMORROW, TOMORROW)]


# ----------------------------------------------------------------------------------------------------------------------
# A storm: slots are booked and given up while they are listed
# ----------------------------------------------------------------------------------------------------------------------


class Board:
    """What is known to be taken: since a booking was answered, until somebody begins to cancel it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[dt.datetime, UUID] = {}

    def take(self, start: dt.datetime, session_id: UUID) -> None:
        with self._lock:
            self._taken[start] = session_id

    def give_up(self, start: dt.datetime) -> None:
        with self._lock:
            del self._taken[start]

    def taken(self) -> set[tuple[dt.datetime, UUID]]:
        with self._lock:
            return set(self._taken.items())


@pytest.mark.storm
def test_a_list_never_shows_what_was_taken_before_it_began(world: World) -> None:
    therapist = world.therapist()
    # From eight in the evening on nobody books: these are always listed.
    hours = [dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC) for hour in range(24)]
    busy, quiet = hours[:20], set(hours[20:])
    board, booked, seen, counting = Board(), Counter[str](), Counter[str](), threading.Lock()

    def enough() -> bool:
        return min(booked["done"], seen["lists"], seen["taken"]) > 10

    goes_on = lasting(SECONDS, enough)

    def book_and_cancel(connection: Connection, client: UUID, seed: int) -> None:
        choose = Random(seed)
        while goes_on():
            start = choose.choice(busy)
            try:
                session_id = book(connection, client, therapist, f"{start:%H:%M}")["id"]
            except psycopg.Error as error:
                with counting:
                    booked[code_of(error)] += 1
                continue
            with counting:
                booked["done"] += 1
            board.take(start, session_id)
            # The slot stays taken for a while, so that the others look at the calendar meanwhile.
            time.sleep(choose.random() / 20)
            board.give_up(start)
            run(connection, "select cancel_session(%s)", session_id)

    def look(connection: Connection) -> None:
        while goes_on():
            before = board.taken()
            slots = set(listed(connection, therapist))
            # Taken all the while, by the very same session.
            certain = {start for start, _ in before & board.taken()}
            assert slots & certain == set()
            assert quiet <= slots
            with counting:
                seen.update(lists=1, taken=len(certain))

    clients = [world.client(credits=1000) for _ in range(4)]
    with ExitStack() as connections:
        opened = [connections.enter_context(session_of(world)) for _ in range(6)]
        bookers = [
            started(partial(book_and_cancel, client=client, seed=seed), connection)
            for seed, (client, connection) in enumerate(zip(clients, opened, strict=False))
        ]
        lists = [started(look, connection) for connection in opened[4:]]
        for future in (*bookers, *lists):
            future.result()
    assert set(booked) <= {"done", "booking_conflict"}
    assert enough(), (booked, seen)
    assert listed(world.connection, therapist) == hours
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Forced: hours change under a booking, and a booking under a change of hours
# ----------------------------------------------------------------------------------------------------------------------

MORNING = [{"start_time": "08:00", "end_time": "11:00"}]
WEEK = [{"weekday": weekday, **MORNING[0]} for weekday in range(1, 8)]
DAY_AND_NIGHT = [{"weekday": weekday, "start_time": "00:00", "end_time": "24:00"} for weekday in range(1, 8)]
MEETING = [
    {"external_id": "a", "start_time": NOON.isoformat(), "end_time": (NOON + HOUR).isoformat()},
]
ONE_A_DAY = {"maximum_sessions_per_day": 1}

# What takes noon away, and how a booking of it is refused then.
changes = pytest.mark.parametrize(
    ("statement", "parameters", "code", "rule"),
    [
        ("select set_weekly_hours(%s, %s)", (Jsonb(WEEK),), "outside_availability", "weekly_hours"),
        ("select set_weekly_hours(%s, %s)", (Jsonb([]),), "outside_availability", "weekly_hours"),
        ("select set_date_override(%s, %s, %s)", (TOMORROW, Jsonb(MORNING)), "outside_availability", "date_override"),
        ("select set_date_override(%s, %s, %s)", (TOMORROW, Jsonb([])), "outside_availability", "date_override"),
        ("select add_time_off(%s, %s, %s)", (NOON - 9 * HOUR, NOON + HOUR), "booking_conflict", "time_off"),
        ("select sync_external_busy(%s, 'elsewhere', %s)", (Jsonb(MEETING),), "booking_conflict", "external"),
        ("select set_policy(p_therapist_id => %s, p_settings => %s)", (Jsonb({"require_hours": True}),),
         "outside_availability", "require_hours"),
        ("select set_policy(p_therapist_id => %s, p_settings => %s)", (Jsonb({"buffer_before_minutes": 30}),),
         "booking_conflict", "buffer"),
        ("select set_policy(p_therapist_id => %s, p_settings => %s)", (Jsonb(ONE_A_DAY),),
         "booking_conflict", "maximum_sessions_per_day"),
        ("select set_policy(p_therapist_id => %s, p_settings => %s)", (Jsonb({"minimum_notice": "30 days"}),),
         "too_soon", "minimum_notice"),
    ],
    ids=[
        "hours", "no_hours", "override", "closed", "time_off", "external", "require_hours", "buffer", "limit", "notice",
    ],
)  # fmt: skip
functions = pytest.mark.parametrize("function", ["create_session_with_credit_deduction", "hold_slot"])


@changes
@functions
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_a_booking_that_waits_for_a_change_of_hours_obeys_them(
    world: World, statement: str, parameters: tuple[Any, ...], code: str, rule: str, function: str, ending: str
) -> None:
    therapist, client = world.therapist(), world.client(5)
    if rule == "weekly_hours":
        run(world.connection, "select set_weekly_hours(%s, %s)", therapist, Jsonb(DAY_AND_NIGHT))
    # Adjacent to noon.
    book(world.connection, world.client(1), therapist, "11:00")

    def reserve(connection: Connection) -> None:
        run(connection, f"select {function}(%s, %s, %s, '12:00')", client, therapist, TOMORROW)

    with holding(world) as changing, session_of(world) as booking:
        run(changing, statement, therapist, *parameters)
        future = waiting(world, reserve, booking)
        changing.execute(ending)
        if ending == "rollback":
            future.result()
        else:
            with refused(code) as refusal:
                future.result()
            assert refusal.detail["rule"] == rule
    assert world.balance(client) == (4 if ending == "rollback" and function.startswith("create") else 5)
    assert world.violations() == []


@changes
def test_change_of_hours_waits_for_a_booking_and_leaves_it(
    world: World, statement: str, parameters: tuple[Any, ...], code: str, rule: str
) -> None:
    therapist, client = world.therapist(), world.client(5)
    if rule == "weekly_hours":
        run(world.connection, "select set_weekly_hours(%s, %s)", therapist, Jsonb(DAY_AND_NIGHT))
    with holding(world) as booking, session_of(world) as changing:
        session = book(booking, client, therapist, "12:00")
        future = waiting(world, lambda connection: run(connection, statement, therapist, *parameters), changing)
        # Nobody sees it yet, and who looks does not wait.
        assert NOON in listed(world.connection, therapist)
        booking.execute("commit")
        answer = future.result()

    # Who is no longer there then is told about it.
    if rule in ("time_off", "external"):
        assert str(session["id"]) in str(answer)
    assert world.scalar("select status from sessions where id = %s", session["id"]) == "scheduled"
    assert NOON not in listed(world.connection, therapist)
    assert world.violations() == []


def test_session_is_not_moved_into_hours_being_closed(world: World) -> None:
    therapist, client = world.therapist(), world.client(5)
    session = book(world.connection, client, therapist, "09:00")
    with holding(world) as changing, session_of(world) as moving:
        run(changing, "select set_date_override(%s, %s, %s)", therapist, TOMORROW, Jsonb(MORNING))
        move = "select reschedule_session(%s, %s, '12:00')"
        future = waiting(world, lambda connection: run(connection, move, session["id"], TOMORROW), moving)
        changing.execute("commit")
        with refused("outside_availability"):
            future.result()
    assert world.scalar("select start_time from sessions where id = %s", session["id"]) == NOON - 3 * HOUR


@pytest.mark.parametrize(("limit", "refusals"), [(1, 3), (3, 1)])
def test_a_limit_is_not_passed_by_bookings_at_once(world: World, limit: int, refusals: int) -> None:
    therapist = world.therapist()
    run(world.connection, "select set_policy(%s, %s)", Jsonb({"maximum_sessions_per_week": limit}), therapist)
    clients = [world.client(1) for _ in range(4)]
    with holding(world) as first, session_of(world) as b, session_of(world) as c, session_of(world) as d:
        book(first, clients[0], therapist, "08:00")
        futures = [
            waiting(world, partial(book, client=clients[number], therapist=therapist, at=f"{8 + number:02}:00"), other)
            for number, other in ((1, b), (2, c), (3, d))
        ]
        first.execute("commit")
        ended = Counter(outcome(future.result) for future in futures)
    assert (ended["booking_conflict"], ended["done"]) == (refusals, 3 - refusals)
    assert world.count("sessions") == limit
