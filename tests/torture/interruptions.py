"""Clients killed, backends terminated, statements cancelled, locks not granted, the disk full: at random points."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from tests.support import Connection, World, connect, run, scalar
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import Load, make_load
from tests.torture.server import Server, as_superuser

NAME = "calls interrupted"


@dataclass
class Scene:
    """What is interrupted, and by whom."""

    server: Server
    world: World
    load: Load
    observer: Connection
    figures: Figures
    choose: random.Random


Inflict = Callable[[], bool]
"""Does it once; False where there was nobody to do it to."""


# ----------------------------------------------------------------------------------------------------------------------
# The faults
# ----------------------------------------------------------------------------------------------------------------------


def _signalled(scene: Scene, function: str) -> Inflict:
    statement = (
        f"select {function}(a.pid) from pg_stat_activity as a where a.datname = %s and a.state = 'active'"
        " and a.pid <> pg_backend_pid() order by random() limit 1"
    )
    return lambda: bool(run(scene.observer, statement, scene.world.connection.info.dbname))


@contextmanager
def backend_terminated(scene: Scene) -> Iterator[Inflict]:
    yield _signalled(scene, "pg_terminate_backend")


@contextmanager
def statement_cancelled(scene: Scene) -> Iterator[Inflict]:
    yield _signalled(scene, "pg_cancel_backend")


@contextmanager
def lock_not_granted(scene: Scene) -> Iterator[Inflict]:
    """Somebody holds a client's lock or lots for longer than the others wait (they have a lock_timeout of 20 ms)."""

    def inflict() -> bool:
        client = scene.choose.choice(scene.load.ids)
        with scene.observer.transaction():
            if scene.choose.random() < 0.5:
                run(scene.observer, "select public.lock_for_booking(%s)", [client])
            else:
                run(scene.observer, "select id from public.user_credits where user_id = %s for update", client)
            time.sleep(0.06)
        return True

    yield inflict


@contextmanager
def client_killed(scene: Scene) -> Iterator[Inflict]:
    """A process with two bookings in one transaction is killed: both or neither; then the same calls are made again."""
    client = make_load(scene.world, 1, seed=99).clients[0]
    client.log = scene.load.log
    scene.load.others.append(client)
    client.ask("grant_credits", {"user_id": client.id, "amount": 9000})
    psql = [str(scene.server.bin_dir / "psql"), "--no-psqlrc", "--quiet", "--dbname", scene.world.url]

    def inflict() -> bool:
        function = "create_session_with_credit_deduction"
        calls = [
            {**client.slot(), "user_id": client.id, "therapist_id": therapist, "idempotency_key": str(uuid4())}
            for therapist in client.therapists * 2
        ]
        with psycopg.ClientCursor(scene.world.connection) as cursor:
            statements = [_literal(cursor, function, parameters) for parameters in calls]
        script = "\n".join(["begin;", *statements, "commit;"])
        started = subprocess.Popen(
            psql, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        assert started.stdin is not None
        started.stdin.write(script)
        with contextlib.suppress(BrokenPipeError):
            started.stdin.close()
        time.sleep(scene.choose.random() * 0.15)
        started.kill()
        was_killed = started.wait() != 0
        _wait_for_rest(scene)
        found = "select key from bookingdb.idempotency_keys where key = any (%s)"
        there = scene.world.run(found, [parameters["idempotency_key"] for parameters in calls])
        if len(there) not in (0, len(calls)):
            scene.figures.wrong.append(f"{len(there)} of {len(calls)} calls of a killed client's transaction are there")
        if was_killed and there:
            scene.figures.other["client killed after its commit"] += 1
        for parameters in calls:
            key = parameters.pop("idempotency_key")
            client.ask(function, parameters, key=key)
        return was_killed

    yield inflict


def _literal(cursor: psycopg.ClientCursor[Any], function: str, parameters: dict[str, Any]) -> str:
    arguments = ", ".join(f"p_{name} => %({name})s" for name in parameters)
    return cursor.mogrify(f"select id from public.{function}({arguments});".encode(), parameters)


def _wait_for_rest(scene: Scene) -> None:
    """Wait until the server has noticed that its client is gone."""
    asked = "select pid from pg_stat_activity where datname = %s and application_name = 'psql'"
    deadline = time.monotonic() + 10
    while run(scene.observer, asked, scene.world.connection.info.dbname):
        assert time.monotonic() < deadline, "a killed client's backend lives on"
        time.sleep(0.002)


@contextmanager
def filled_up(ballast: Path) -> Iterator[None]:
    """Let the file system of this file be full while the block lasts."""
    try:
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
                file.flush()
        yield
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def disk_full(scene: Scene) -> Iterator[Inflict]:
    """The file system under the database is filled up, and has room again a moment later."""
    asked = "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'small'"
    ballast = Path(str(scalar(scene.observer, asked))).parent / "ballast"

    def inflict() -> bool:
        with filled_up(ballast):
            time.sleep(0.2)
        time.sleep(0.1)
        return True

    yield inflict


# ----------------------------------------------------------------------------------------------------------------------
# The scenario
# ----------------------------------------------------------------------------------------------------------------------

Fault = Callable[[Scene], AbstractContextManager[Inflict]]
FAULTS: tuple[Fault, ...] = (backend_terminated, statement_cancelled, lock_not_granted, client_killed, disk_full)


class CannotBeDone(Exception):
    """This machine does not allow the fault; the message says why."""


@contextmanager
def small_file_system(server: Server, megabytes: int) -> Iterator[Path]:
    """A file system of its own, in memory. Raises `CannotBeDone`."""
    folder = Path(tempfile.mkdtemp(prefix="bookingdb-small-", dir=server.folder))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        raise CannotBeDone("only root may mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def small_tablespace(server: Server) -> Iterator[None]:
    """A tablespace `small` on a file system of 48 MB. Raises `CannotBeDone`."""
    with small_file_system(server, megabytes=48) as folder:
        space = folder / "space"
        space.mkdir(mode=0o700)
        with connect(server.url()) as superuser:
            run(superuser, f"create tablespace small location '{space}'")
        try:
            yield
        finally:
            with connect(server.url()) as superuser:
                for (name,) in run(
                    superuser,
                    "select d.datname from pg_database as d inner join pg_tablespace as t on t.oid = d.dattablespace"
                    " where t.spcname = 'small'",
                ):
                    run(superuser, f"drop database {name} with (force)")
                run(superuser, "drop tablespace small")


def torture(server: Server, seconds: float, faults: tuple[Fault, ...] = FAULTS) -> Figures:
    """Inflict each fault on a load for its share of the time; then nothing is half there, nothing stuck."""
    figures = Figures(NAME)
    for fault in faults:
        try:
            _torture(server, seconds / len(faults), fault, figures)
        except CannotBeDone as reason:
            figures.times.append(f"{_name(fault)}: skipped, {reason}")
    return figures


def _torture(server: Server, seconds: float, fault: Fault, figures: Figures) -> None:
    with contextlib.ExitStack() as stack:
        if fault is disk_full:
            stack.enter_context(small_tablespace(server))
        world = stack.enter_context(server.world(tablespace="small" if fault is disk_full else "pg_default"))
        options = "-c lock_timeout=20ms" if fault is lock_not_granted else ""
        load = make_load(world, open_connection=lambda: connect(world.url, options=options))
        observer = stack.enter_context(as_superuser(world))
        scene = Scene(server, world, load, observer, figures, random.Random(3))
        inflict = stack.enter_context(fault(scene))
        goal = Goal(_name(fault), seconds)
        done = 0
        with load.running():
            while goal.goes_on(done):
                if inflict():
                    done += 1
                    figures.rounds += 1
                    figures.other[_name(fault)] += 1
                time.sleep(scene.choose.random() * 0.02)
        # All is over: the next call of everybody works, nothing is held, nothing half done.
        figures.wrong += [f"left behind: {text}" for text in log.unfinished(world)]
        for client in (*load.clients, *load.others):
            if (code := client.ask("grant_credits", {"user_id": client.id, "amount": 1})) != "done":
                figures.wrong.append(f"after it, a grant ended with {code}")
            client.disconnect()
        log.compare(world, load.log, load.ids, figures)


def _name(fault: Fault) -> str:
    return fault.__name__.replace("_", " ")
