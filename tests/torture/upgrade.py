"""From the version before to this one while clients are at work; killed at its statements, and run again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bookingdb.checks import verify
from bookingdb.install import installer
from bookingdb.install.session import InstallError
from tests.support import Connection, World, connect, run, scalar
from tests.support.upgrade import VERSIONS
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "upgrade under load"
BEFORE = VERSIONS[max(VERSIONS)]
# Deadlock with a booking, and a lock, or all tables at once, that were not granted in time.
RETRIED = {"40P01", "55P03", "57014"}
TRIES = 20
HISTORY = "select id, kind, name, checksum from bookingdb.history order by id"


class Counting(psycopg.Cursor[Any]):
    """Counts statements, and after one of them ends the connection from the server's side."""

    count = 0
    kill_after: int | None = None
    superuser: Connection | None = None

    def execute(self, *arguments: Any, **options: Any) -> Counting:
        super().execute(*arguments, **options)
        Counting.count += 1
        if Counting.count == Counting.kill_after:
            assert Counting.superuser is not None
            assert scalar(Counting.superuser, "select pg_terminate_backend(%s, 5000)", self.connection.info.backend_pid)
        return self


@contextmanager
def earlier(server: Server) -> Iterator[World]:
    """A database of the version before."""
    with server.world("template0") as world:
        run(world.connection, BEFORE)
        yield world


def _kill(world: World, point: int, figures: Figures) -> None:
    try:
        _migrate(world, point)
    except psycopg.OperationalError:
        figures.other["migrate killed"] += 1
    except InstallError as error:
        # It was killed and noticed, or did not come as far as that.
        cause = error.__cause__
        state = cause.sqlstate if isinstance(cause, psycopg.Error) else str(error)
        if state in RETRIED:
            figures.other[f"migrate run again: {state}"] += 1
        elif state is None or state.startswith("57P"):
            figures.other["migrate killed"] += 1
        else:
            figures.wrong.append(f"killed after statement {point}: {error}")
    else:
        figures.wrong.append(f"killed after statement {point}, the upgrade went through")


def statements_of(server: Server) -> int:
    """How many statements the upgrade runs."""
    with earlier(server) as world:
        _migrate(world, None)
    return Counting.count


def _migrate(world: World, kill_after: int | None) -> None:
    Counting.count, Counting.kill_after = 0, kill_after
    with connect(world.url, cursor_factory=Counting) as connection:
        installer.migrate(connection)


def _migrate_under_load(world: World, figures: Figures) -> bool:
    """As one does who is told of a deadlock, and that nothing was changed: once more; False where that did not do."""
    for _ in range(TRIES):
        try:
            _migrate(world, None)
        except InstallError as error:
            cause = error.__cause__
            if not isinstance(cause, psycopg.Error) or cause.sqlstate not in RETRIED:
                raise
            figures.other[f"migrate run again: {cause.sqlstate}"] += 1
        else:
            return True
    return False


def torture(server: Server, seconds: float, kills: int = 10_000) -> Figures:
    """Kill the upgrade at as many of its statements as there is time for, then let it through; all under load."""
    figures = Figures(NAME)
    deadline = time.monotonic() + seconds
    number = statements_of(server)
    # The last one is the COMMIT of psycopg, which counts for none.
    points = random.Random(10).sample(range(1, number + 1), number)[:kills]
    with earlier(server) as world, connect(server.url()) as superuser:
        Counting.superuser = superuser
        # What servers have: an upgrade gives way before somebody who waits for it is told of a deadlock.
        name = psycopg.conninfo.conninfo_to_dict(world.url)["dbname"]
        run(superuser, f"alter database {name} set deadlock_timeout = '1s'")
        load = make_load(world)
        history = world.run(HISTORY)
        with load.running():
            load.wait_for(50)
            for point in points:
                if time.monotonic() > deadline:
                    break
                _kill(world, point, figures)
                if world.run(HISTORY) != history:
                    figures.wrong.append(f"killed after statement {point}, the upgrade left something behind")
                figures.rounds += 1
                load.wait_for(5)
            load.longest = 0
            begun = time.monotonic()
            came_through = _migrate_under_load(world, figures)
            took = time.monotonic() - begun
        stall = load.longest
        if not came_through:
            # Then it takes a moment in which nobody calls.
            figures.other[f"clients stopped after {TRIES} tries of migrate"] += 1
            _migrate(world, None)
        with load.running():
            load.wait_for(50)
        log.compare(world, load.log, load.ids, figures)
        figures.wrong += [f"verify: {finding}" for finding in verify.verify(world.connection)]
    covered = figures.other["migrate killed"]
    figures.times.append(
        f"longest call during the upgrade {stall:.2f} s (its tries took {took:.2f} s); killed after {covered} of its"
        f" {number} statements"
    )
    return figures


# ----------------------------------------------------------------------------------------------------------------------
# Killed at every statement
# ----------------------------------------------------------------------------------------------------------------------

EVERY_STATEMENT = "migrate killed at every statement"
# Everything that a migration makes or changes, and by which transaction it was written.
FINGERPRINT = """
    select md5(string_agg(t.entry, ' ' order by t.entry))
    from (
        select format('function %s %s', p.oid, p.xmin) from pg_proc as p where p.oid >= 16384
        union all select format('relation %s %s', c.oid, c.xmin) from pg_class as c where c.oid >= 16384
        union all select format('constraint %s %s', c.oid, c.xmin) from pg_constraint as c where c.oid >= 16384
        union all select format('trigger %s %s', t.oid, t.xmin) from pg_trigger as t
        union all select format('policy %s %s', p.oid, p.xmin) from pg_policy as p
        union all select format('type %s %s', t.oid, t.xmin) from pg_type as t where t.oid >= 16384
        union all select format('schema %s %s', n.oid, n.xmin) from pg_namespace as n where n.oid >= 16384
        union all select format('comment %s %s', d.objoid, d.xmin) from pg_description as d where d.objoid >= 16384
        union all select format('extension %s %s', e.oid, e.xmin) from pg_extension as e
    ) as t (entry)
"""
RECORDED = "select kind, name, checksum from bookingdb.history order by id"


@contextmanager
def _copy(server: Server, superuser: Connection, template: str) -> Iterator[World]:
    """A database that is gone after the block: there are hundreds of them."""
    run(superuser, f"create database killed template {template} owner owner")
    try:
        with connect(server.url("killed", "owner")) as connection:
            yield World(server.url("killed", "owner"), connection)
    finally:
        run(superuser, "drop database killed with (force)")


def every_statement(server: Server, seconds: float, kills: float = float("inf")) -> Figures:
    """Kill an installation, and an upgrade of a database with bookings, after each of their statements; run it again.

    In an order of chance, so that a part of them is a sample.
    """
    figures = Figures(EVERY_STATEMENT)
    with connect(server.url()) as superuser, earlier(server) as before:
        before.book(before.client(credits=2), before.therapist())
        name = str(before.connection.info.dbname)
        before.connection.close()
        Counting.superuser = superuser
        points, recorded = [], {}
        for template in ("template1", name):
            with _copy(server, superuser, template) as world:
                _migrate(world, None)
                recorded[template] = world.run(RECORDED)
            points += [(template, number) for number in range(1, Counting.count + 1)]
        goal = Goal(EVERY_STATEMENT, seconds, kills)
        for template, point in random.Random(10).sample(points, len(points)):
            if not goal.goes_on(figures.rounds):
                break
            with _copy(server, superuser, template) as world:
                _kill_and_run_again(world, point, recorded[template], figures)
            figures.rounds += 1
    figures.operations = 2 * figures.rounds
    figures.times.append(f"after {figures.rounds} of {len(points)} statements")
    return figures


def _kill_and_run_again(world: World, point: int, recorded: list[Any], figures: Figures) -> None:
    fingerprint = world.scalar(FINGERPRINT)
    _kill(world, point, figures)
    if world.scalar(FINGERPRINT) != fingerprint:
        figures.wrong.append(f"killed after statement {point}, it left something behind")
    _migrate(world, None)
    if world.run(RECORDED) != recorded:
        figures.wrong.append(f"killed after statement {point} and run again, it recorded something else")
    figures.wrong += [f"killed after statement {point}: {finding}" for finding in verify.verify(world.connection)]
