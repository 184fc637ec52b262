"""Callers in every isolation level, on connections whose TimeZone is any that the server knows."""

from __future__ import annotations

import datetime as dt
import itertools
import time

import psycopg

from tests.support import TOMORROW, World, connect, life, run
from tests.support.refusals import code_of
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "isolation levels and time zones"
LEVELS = ("read committed", "repeatable read", "serializable")
START = dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)


def torture(server: Server, seconds: float) -> Figures:
    """Book in every zone, then let clients of all levels and many zones work at once."""
    figures = Figures(NAME)
    with server.world() as world:
        zones = [name for (name,) in world.run("select name from pg_timezone_names where name !~ 'posix|localtime'")]
        _every_zone(world, zones, time.monotonic() + seconds / 2, figures)
        turns = itertools.cycle(zip(itertools.cycle(LEVELS), zones, strict=False))

        def opened() -> psycopg.Connection[object]:
            level, zone = next(turns)
            options = f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')} -c timezone={zone}"
            return connect(world.url, options=options)

        load = make_load(world, open_connection=opened)
        with load.running():
            load.wait_for(50)
            time.sleep(seconds / 2)
        log.compare(world, load.log, load.ids, figures)
    return figures


def _every_zone(world: World, zones: list[str], deadline: float, figures: Figures) -> None:
    """The same booking, on a connection of each zone, is the same instant; whoever asks in whatever level."""
    therapist, client = world.therapist("UTC"), world.client(credits=1)
    for zone, level in zip(zones, itertools.cycle(LEVELS)):
        if time.monotonic() > deadline:
            break
        world.run("select set_config('timezone', %s, false)", zone)
        try:
            with world.connection.transaction():
                run(world.connection, f"set transaction isolation level {level}")
                booked = life.call(
                    world.connection, "create_session_with_credit_deduction", user_id=client, therapist_id=therapist,
                    session_date=START.date(), session_time=START.time(),
                )  # fmt: skip
            with world.connection.transaction():
                run(world.connection, f"set transaction isolation level {level}")
                life.call(world.connection, "cancel_session", session_id=booked["id"])
        except psycopg.Error as error:
            figures.wrong.append(f"{zone}, {level}: {code_of(error)}")
            continue
        if booked["start_time"] != START:
            figures.wrong.append(f"{zone}, {level}: booked at {booked['start_time']}")
        figures.rounds += 1
        figures.operations += 2
    world.run("set timezone = 'UTC'")
    figures.times.append(f"{figures.rounds} of {len(zones)} time zones")
