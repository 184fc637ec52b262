"""The file system of the write-ahead log is full: Postgres stops, and has everything when there is room again."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support import World, connect, run
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.interruptions import CannotBeDone, filled_up, small_file_system
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "disk of the write-ahead log full"
# So that there is little besides what is being written.
SMALL = {"max_wal_size": "32MB", "min_wal_size": "32MB"}
SEGMENTS = 20


@contextlib.contextmanager
def _log_on(server: Server, folder: Path) -> Iterator[None]:
    """Let the server keep its write-ahead log in this folder while the block lasts."""
    inside, outside = server.data / "pg_wal", folder / "pg_wal"
    before = dict(server.settings)
    server.stop()
    shutil.move(inside, outside)
    inside.symlink_to(outside)
    server.settings |= SMALL
    server.start()
    try:
        yield
    finally:
        server.stop()
        inside.unlink()
        shutil.move(outside, inside)
        server.settings = before
        server.start()


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Fill it up under load, until the server stops; make room, and start it where it has not done so by itself."""
    figures = Figures(NAME)
    try:
        with small_file_system(server, megabytes=128) as folder, _log_on(server, folder):
            _torture(server, folder, Goal(NAME, seconds, rounds, at_least=1), figures)
    except CannotBeDone as reason:
        figures.times.append(f"skipped, {reason}")
    return figures


def _torture(server: Server, folder: Path, goal: Goal, figures: Figures) -> None:
    recoveries: list[float] = []
    with server.world() as world:
        load = make_load(world)
        with load.running():
            # A server that says so in time, and goes on, was not stopped: another round is.
            while goal.goes_on(figures.other["server stopped"]):
                load.wait_for(20)
                with filled_up(folder / "ballast"):
                    stopped = _use_up(server)
                    acknowledged = list(load.log.acknowledged)
                    # It may try to recover where there is no room for that, either.
                    time.sleep(0.3)
                figures.rounds += 1
                figures.other["server stopped" if stopped else "enough room after all"] += 1
                recoveries.append(server.wait_until_it_answers())
                load.wait_for(5)
                with connect(world.url) as connection:
                    log.survivors(World(world.url, connection), acknowledged, figures)
        with connect(world.url) as connection:
            found = World(world.url, connection)
            log.compare(found, load.log, load.ids, figures)
            figures.wrong += [f"left behind: {text}" for text in log.unfinished(found)]
    if not figures.other["server stopped"]:
        figures.wrong.append("the server never ran out of room")
    figures.times.append(f"with room again it answered after {max(recoveries):.2f} s at most")


def _use_up(server: Server) -> bool:
    """Begin one file of the log after the other, as much work would; whether the server stopped for it."""
    try:
        with connect(server.url(), connect_timeout=5) as superuser:
            for _ in range(SEGMENTS):
                run(superuser, "select pg_logical_emit_message(false, 'torture', repeat('x', 1000000))")
                run(superuser, "select pg_switch_wal()")
    except psycopg.OperationalError as error:
        # The disk is full, or the server is gone.
        return error.sqlstate != "53100" or not server.answers()
    return False
