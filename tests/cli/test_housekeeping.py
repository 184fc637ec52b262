"""The command housekeeping: what it says, in batches, and for ever."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import World
from tests.support.commands import answer, bookingdb, done

NOTHING = {
    "idempotency_keys": 0, "holds": 0, "held_times": 0, "session_times": 0, "time_off": 0, "external_events": 0,
    "events": 0, "refusals": 0, "lapsed_sessions": 0,
}  # fmt: skip
WAITING = "select count(*) from pg_stat_activity where application_name = 'bookingdb' and wait_event_type = 'Lock'"
HANDLED = (
    "insert into bookingdb.outbox (event, subject_id, payload, handled_at)"
    " select 'a test', gen_random_uuid(), '{}', now() - interval '31 days' from generate_series(1, %s)"
)


def test_command_removes_batch_after_batch(world: World) -> None:
    world.run(HANDLED, 25)
    assert answer(world.url, "housekeeping", "--dry-run", "--limit", 10) == {**NOTHING, "events": 25}
    assert answer(world.url, "housekeeping", "--limit", 10) == {**NOTHING, "events": 25}
    assert "external events" in done(world.url, "housekeeping").stdout
    assert world.count("bookingdb.outbox") == 0


@pytest.mark.parametrize("words", [["--every", "1h", "--dry-run"], ["--every", "0s"], ["--limit", "0"]], ids=" ".join)
def test_wrong_words_are_wrong_usage(world: World, words: list[str]) -> None:
    assert bookingdb(world.url, "housekeeping", *words).exit_code == 2


def test_database_that_was_never_there_ends_the_command() -> None:
    result = bookingdb("postgresql://127.0.0.1:1/none", "housekeeping", "--every", "1h")
    assert result.exit_code == 2


@pytest.fixture
def running(world: World) -> Iterator[subprocess.Popen[str]]:
    """The command, at work every second."""
    program = "from bookingdb.cli.main import main; main()"
    words = ["housekeeping", "--every", "1s", "--json", "--database-url", world.url]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # the other process is at work


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_command_goes_on_over_lost_connections(
    world: World, running: subprocess.Popen[str], ending: signal.Signals
) -> None:
    for _ in range(3):
        world.run(HANDLED, 5)
        wait_until(lambda: world.count("bookingdb.outbox") == 0)
        # Nobody gets in for a while, and whoever is there is cut off.
        world.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bookingdb'")
    with world.connect() as locking, locking.transaction(force_rollback=True):
        # It is at work in the middle of a call, and cut off there.
        locking.execute("lock table bookingdb.outbox")
        wait_until(lambda: bool(world.scalar(WAITING)))
        world.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bookingdb'")
    world.run(HANDLED, 5)
    wait_until(lambda: world.count("bookingdb.outbox") == 0)

    running.send_signal(ending)
    stdout, stderr = running.communicate(timeout=20)
    assert running.returncode == 0, stderr
    assert "trying again in 1 s" in stderr
    assert sum(report["events"] for report in json.loads(f"[{stdout.replace('}', '},').rstrip().rstrip(',')}]")) == 20


@pytest.mark.slow
def test_command_ends_after_the_batch_under_way(world: World, running: subprocess.Popen[str]) -> None:
    with world.connect() as locking, locking.transaction(force_rollback=True):
        locking.execute("lock table bookingdb.outbox")
        wait_until(lambda: bool(world.scalar(WAITING)))
        running.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
    running.communicate(timeout=20)
    assert running.returncode == 0
