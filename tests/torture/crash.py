"""SIGKILL of the whole server under mixed load: what was acknowledged is there, once, and the server recovers."""

from __future__ import annotations

import random
import time

from tests.support import World, connect
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "server killed"


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Kill the server again and again; hold the log against the database after each recovery, and at the end."""
    figures = Figures(NAME)
    goal = Goal(NAME, seconds, rounds, at_least=1)
    choose = random.Random(2)
    recoveries: list[float] = []
    with server.world() as world:
        load = make_load(world)
        with load.running():
            while goal.goes_on(figures.rounds):
                load.wait_for(20)
                time.sleep(choose.random() * 0.3)
                server.kill()
                acknowledged = list(load.log.acknowledged)
                recoveries.append(server.start())
                with connect(world.url) as connection:
                    log.survivors(World(world.url, connection), acknowledged, figures)
                figures.rounds += 1
        with connect(world.url) as connection:
            found = World(world.url, connection)
            log.compare(found, load.log, load.ids, figures)
            figures.wrong += [f"left behind: {text}" for text in log.unfinished(found)]
    average = sum(recoveries) / len(recoveries)
    figures.times.append(f"recovery {max(recoveries):.2f} s at most, {average:.2f} s on average")
    return figures
