"""An adoption that is killed, or waits."""

from __future__ import annotations

import random
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.apps import (
    App,
    book,
    rows,
    schema_dump,
    server_of,
)
from tests.support import Connection, connect, run, scalar
from tests.support.adoption import (
    Adopted,
    Found,
    make_plan,
    run_named,
    some_apps,
)
from tests.support.commands import bookingdb, done, process

pytestmark = pytest.mark.slow


def backend_of(observer: Connection, seconds: float = 60) -> int:
    """Wait for the backend of somebody else who has begun to write in this database."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = run(
            observer,
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_xid is not null",
        )
        if found:
            return int(found[0][0])
        time.sleep(0.002)
    raise AssertionError("nobody has begun to write")


@pytest.fixture(scope="module")
def durations() -> dict[str, float]:
    """How many seconds an adoption takes that nobody disturbs, by the name of the app: measured once."""
    return {}


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9])
@some_apps("drift")
def test_killed_adoption_leaves_all_or_nothing(
    app: App, found: Found, live: str, tmp_path: Path, moment: float, durations: dict[str, float]
) -> None:
    path = make_plan(app, live, tmp_path)
    if app.name not in durations:
        with found.copy() as other:
            begun = time.monotonic()
            done(other, "adopt", "--apply", path)
            durations[app.name] = time.monotonic() - begun
    superuser = psycopg.conninfo.make_conninfo(live, user=found.host.superuser)
    with connect(superuser) as observer, process(live, "adopt", "--apply", path) as running:
        pid = backend_of(observer)
        # It is killed after a share of the time that it takes undisturbed.
        time.sleep(moment * durations[app.name] * random.uniform(0.8, 1))
        run(observer, "select pg_terminate_backend(%s)", pid)
        output, _ = running.communicate(timeout=120)
        if running.returncode:
            assert "Traceback" not in output
    with connect(live) as connection:
        is_adopted = scalar(connection, "select to_regclass('bookingdb.history') is not null")
    assert is_adopted == (running.returncode == 0)
    if is_adopted:
        assert bookingdb(live, "verify").exit_code == 0
    else:
        assert schema_dump(live) == found.dump
        assert rows(live) == found.rows
        done(live, "adopt", "--apply", path)
    assert bookingdb(live, "verify").exit_code == 0


@some_apps("drift")
def test_killed_undo_leaves_all_or_nothing(app: App, taken: Adopted, url: str) -> None:
    superuser = psycopg.conninfo.make_conninfo(url, user=taken.found.host.superuser)
    with connect(superuser) as observer, process(url, "adopt", "--undo") as running:
        pid = backend_of(observer)
        # By then it has undone something, but most likely not all.
        time.sleep(0.05)
        run(observer, "select pg_terminate_backend(%s)", pid)
        running.communicate(timeout=120)
    if running.returncode:
        assert bookingdb(url, "verify").exit_code == 0
        done(url, "adopt", "--undo")
    assert schema_dump(url) == taken.found.dump


@some_apps("clean")
def test_apply_waits_for_nobody_for_ever(app: App, found: Found, live: str, tmp_path: Path) -> None:
    """A transaction that has the table makes it give up, or wait, but never stop the app for longer than it says."""
    path = make_plan(app, live, tmp_path)
    with connect(live) as reader, reader.transaction():
        run(reader, "select count(*) from public.sessions")
        with process(live, "adopt", "--apply", path) as running:
            try:
                running.communicate(timeout=60)
                assert running.returncode == 1
            except Exception:
                running.kill()
                raise
    assert schema_dump(live) == found.dump


@some_apps("clean", "drift", "lots")
def test_plan_stays_valid_while_the_app_writes(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    with server_of(live) as server:
        run(server, "select set_config('timezone', %s, false)", app.zone)
        run_named(server, app.insert, app.written(uuid4(), app.free(hour=15)))
        book(server, app, app.free())
    done(live, "adopt", "--apply", path)
    assert bookingdb(live, "verify").exit_code == 0
