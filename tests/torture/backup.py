"""Backups of a database at work: a dump, and a physical copy that is recovered to a moment; both must verify."""

from __future__ import annotations

import subprocess
import time

from bookingdb.checks import verify
from tests.support import World, connect, run, scalar, throwaway
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import Load, make_load
from tests.torture.server import Server

NAME = "dump, and recovery to a moment"


def torture(server: Server, seconds: float, rounds: float = float("inf")) -> Figures:
    """Dump and restore, copy and recover, while clients are at work."""
    figures = Figures(NAME)
    goal = Goal(NAME, seconds, rounds, at_least=2)
    longest: dict[str, float] = {"restored a dump": 0, "recovered to a moment": 0}
    with throwaway.folder() as archive:
        server.stop()
        before = dict(server.settings)
        server.settings |= {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"}
        server.start()
        while goal.goes_on(figures.rounds):
            begun = time.monotonic()
            with server.world() as world:
                if figures.rounds % 2 == 0:
                    _dump(server, world, figures)
                    name = "restored a dump"
                else:
                    _recover(server, world, str(archive), figures)
                    name = "recovered to a moment"
            longest[name] = max(longest[name], time.monotonic() - begun)
            figures.rounds += 1
            figures.other[name] += 1
        server.stop()
        server.settings = before
        server.start()
    return figures


def _work(load: Load) -> list[log.Acknowledged]:
    """Let some be acknowledged, and return all that are."""
    load.wait_for(30)
    return list(load.log.acknowledged)


def _require_restored(restored: World, acknowledged: list[log.Acknowledged], load: Load, figures: Figures) -> None:
    """Hold that all is there that was acknowledged before, something later is not, and that it verifies."""
    log.survivors(restored, acknowledged, figures)
    figures.operations += len(acknowledged)
    there = set(restored.run("select key from bookingdb.idempotency_keys"))
    if all((entry.key,) in there for entry in load.log.acknowledged):
        figures.wrong.append("what was acknowledged after the moment is there, too")
    figures.wrong += [f"verify: {finding}" for finding in verify.verify(restored.connection)]


def _dump(server: Server, world: World, figures: Figures) -> None:
    name = str(world.connection.info.dbname)
    load = make_load(world, seed=figures.rounds)
    with load.running():
        acknowledged = _work(load)
        file = server.folder / "dump"
        dump = [str(server.bin_dir / "pg_dump"), "--format=custom", "--file", str(file), "--dbname", server.url(name)]
        subprocess.run(dump, check=True, capture_output=True)
        _work(load)
    with connect(server.url()) as superuser:
        run(superuser, f"create database {name}_restored template template0 owner owner")
    url = server.url(f"{name}_restored")
    restore = [str(server.bin_dir / "pg_restore"), "--exit-on-error", "--dbname", url, str(file)]
    subprocess.run(restore, check=True, capture_output=True)
    file.unlink()
    with connect(server.url(f"{name}_restored", "owner")) as connection:
        _require_restored(World(url, connection), acknowledged, load, figures)


def _recover(server: Server, world: World, archive: str, figures: Figures) -> None:
    load = make_load(world, seed=figures.rounds)
    with throwaway.folder() as folder:
        with load.running():
            load.wait_for(20)
            copy = server.copied_to(folder)
            acknowledged = _work(load)
            moment = scalar(world.connection, "select clock_timestamp()")
            _work(load)
        with connect(server.url()) as superuser:
            run(superuser, "select pg_switch_wal()")
        copy.settings |= {
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_time": moment.isoformat(),
            "recovery_target_action": "promote",
        }
        (copy.data / "recovery.signal").touch()
        copy.start()
        try:
            with connect(copy.url(str(world.connection.info.dbname), "owner")) as connection:
                _wait_until_promoted(World(world.url, connection))
                _require_restored(World(world.url, connection), acknowledged, load, figures)
        finally:
            copy.stop()


def _wait_until_promoted(world: World) -> None:
    deadline = time.monotonic() + 60
    while world.scalar("select pg_is_in_recovery()"):
        assert time.monotonic() < deadline, "the recovery does not end"
        time.sleep(0.02)
