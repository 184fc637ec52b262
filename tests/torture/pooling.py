"""Forty clients on four connections of a transaction pooler, which is killed and started again under them."""

from __future__ import annotations

import contextlib

from tests.support import connect, pooler
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "pooler restarted"


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Load through pgbouncer, ten clients a connection; each round it is killed, and another one takes its place."""
    figures = Figures(NAME)
    if pooler.program() is None:
        figures.times.append(f"skipped, {pooler.version()}")
        return figures
    goal = Goal(NAME, seconds, rounds, at_least=1)
    with server.world() as world:
        # Where the pooler of the moment listens.
        where: list[str] = [world.url]
        load = make_load(world, 10 * pooler.POOL_SIZE, open_connection=lambda: connect(where[0], connect_timeout=5))
        with contextlib.ExitStack() as stack:
            while goal.goes_on(figures.rounds):
                with pooler.running(server.url(), server.bin_dir) as current:
                    where[0] = current.url(world.url)
                    if figures.rounds == 0:
                        stack.enter_context(load.running())
                    load.wait_for(60)
                figures.rounds += 1
            with pooler.running(server.url(), server.bin_dir) as last:
                where[0] = last.url(world.url)
                load.wait_for(60)
                # Whoever waits for an answer has it before the last one ends.
                stack.close()
        log.compare(world, load.log, load.ids, figures)
        figures.wrong += [f"left behind: {text}" for text in log.unfinished(world)]
        figures.times.append(f"longest call {load.longest:.2f} s")
    return figures
