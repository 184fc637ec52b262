"""The primary is killed under load and its standby takes over; clients find it by a URL with both hosts."""

from __future__ import annotations

import os
import signal
import time

from psycopg.conninfo import make_conninfo

from tests.support import World, connect, run, scalar, throwaway
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "failover"
# Seconds.
HELD_UP = 0.2


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Fail over with synchronous replication, and without to measure what that costs.

    A takeover uses up its servers, so each has two of its own: copies of `server`.
    """
    figures = Figures(NAME)
    goal = Goal(NAME, seconds, rounds, at_least=2)
    stalls: list[float] = []
    windows: list[float] = []
    missing = acknowledged = 0
    while goal.goes_on(figures.rounds):
        is_synchronous = figures.rounds % 2 == 0
        with throwaway.folder() as one, throwaway.folder() as other:
            primary = server.copied_to(one)
            primary.start()
            standby = primary.copied_to(other, "--write-recovery-conf")
            standby.start()
            try:
                if is_synchronous:
                    _synchronous(primary, standby, figures, stalls)
                else:
                    lost, all_, window = _asynchronous(primary, standby, figures)
                    missing, acknowledged = missing + lost, acknowledged + all_
                    windows.append(window)
            finally:
                standby.stop()
                primary.stop()
        figures.rounds += 1
    figures.times.append(f"synchronous: clients stood still for {max(stalls):.2f} s at most")
    if windows:
        figures.times.append(
            f"asynchronous, standby held up for {HELD_UP * 1000:.0f} ms: {missing} of {acknowledged:,} acknowledged"
            f" calls gone, those of the last {max(windows) * 1000:.0f} ms"
        )
        if missing == 0:
            figures.wrong.append("nothing was lost without synchronous replication: the kill was not in its way")
    return figures


def _hold_up(primary: Server) -> None:
    """Let the network to the standby stand still for a moment: what sends the log is stopped."""
    with connect(primary.url()) as superuser:
        os.kill(scalar(superuser, "select pid from pg_stat_replication"), signal.SIGSTOP)
    time.sleep(HELD_UP)


def _wait_for_standby(primary: Server, wanted: str) -> None:
    deadline = time.monotonic() + 30
    with connect(primary.url()) as superuser:
        while not run(superuser, "select pid from pg_stat_replication where sync_state = %s", wanted):
            assert time.monotonic() < deadline, f"there is no {wanted} standby"
            time.sleep(0.02)


def _take_over(standby: Server) -> None:
    with connect(standby.url()) as superuser:
        assert scalar(superuser, "select pg_promote()")


def _synchronous(primary: Server, standby: Server, figures: Figures, stalls: list[float]) -> None:
    with connect(primary.url()) as superuser:
        run(superuser, "alter system set synchronous_standby_names = '*'")
        run(superuser, "select pg_reload_conf()")
    _wait_for_standby(primary, "sync")
    with primary.world() as world:
        url = make_conninfo(
            world.url, host="127.0.0.1,127.0.0.1", port=f"{primary.port},{standby.port}",
            target_session_attrs="read-write", connect_timeout=5,
        )  # fmt: skip
        load = make_load(world, seed=figures.rounds, open_connection=lambda: connect(url))
        with load.running():
            load.wait_for(60)
            _hold_up(primary)
            primary.kill()
            killed = time.monotonic()
            acknowledged = list(load.log.acknowledged)
            _take_over(standby)
            load.wait_for(40)
        stalls.append(min(entry.at for entry in load.log.acknowledged[len(acknowledged) :]) - killed)
        with connect(standby.url(str(world.connection.info.dbname), "owner")) as connection:
            found = World(world.url, connection)
            log.compare(found, load.log, load.ids, figures)
            figures.wrong += [f"left behind: {text}" for text in log.unfinished(found)]


def _asynchronous(primary: Server, standby: Server, figures: Figures) -> tuple[int, int, float]:
    """Return how many acknowledged calls are gone, of how many, and how old the oldest of them was at the kill."""
    _wait_for_standby(primary, "async")
    with primary.world() as world:
        load = make_load(world, seed=figures.rounds)
        going = True
        for client in load.clients:
            # Whoever waits when the primary dies is not answered any more.
            client.patience = lambda: going
        with load.running():
            load.wait_for(80)
            _hold_up(primary)
            primary.kill()
            killed = time.monotonic()
            load.stop()
            going = False
        _take_over(standby)
        with connect(standby.url(str(world.connection.info.dbname), "owner")) as connection:
            found = World(world.url, connection)
            lost = Figures(NAME)
            log.survivors(found, load.log.acknowledged, lost)
            keys = set(found.run("select function_name, key from bookingdb.idempotency_keys"))
            ages = [killed - e.at for e in load.log.acknowledged if (e.function, e.key) not in keys]
            # What is there is whole, whatever is missing.
            figures.wrong += lost.wrong
            figures.operations += len(load.log.acknowledged)
    return len(lost.lost), len(load.log.acknowledged), max(ages, default=0)
