"""Where there are many sessions, indexes and the calendar are prepared before anything is locked; killed anywhere,
nothing is in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from bookingdb.adoption import apply, prepare, transaction
from bookingdb.adoption.application import PREPARING
from bookingdb.checks import verify
from tests.apps import APPS, App, Rows, book, differences, rows, schema_dump, server_of
from tests.support import connect, run, scalar
from tests.support.adoption import Found, findings, is_sound, make_plan, run_named, some_apps, violations
from tests.support.commands import bookingdb, done, process

pytestmark = pytest.mark.slow

# As if the apps were large; killed, for good and by itself, when a function of a module is called for the nth time.
_KILLED = """
import os, signal
from bookingdb.adoption import apply, prepare
from bookingdb.cli.main import main
prepare.MANY = 0
before, count = {module}.{name}, 0
def killed(*arguments):
    global count
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*arguments)
{module}.{name} = killed
main()
"""
# Before the first index, between two, before the calendar, when all is prepared, and inside the adoption. Columns of
# drift change their types, which builds every index anew.
MOMENTS = [
    ("clean", "prepare._build", 1), ("clean", "prepare._build", 3), ("clean", "prepare._make_calendar", 1),
    ("clean", "apply._adopt", 1), ("drift", "apply._adopt", 1), ("drift", "prepare.forget_changed", 1),
]  # fmt: skip
at_each_moment = pytest.mark.parametrize(
    ("app", "function", "at"),
    [(APPS[app], function, at) for app, function, at in MOMENTS],
    ids=[f"{app}-{function}-{at}" for app, function, at in MOMENTS],
    indirect=["app"],
)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if what is there were much."""
    monkeypatch.setattr(prepare, "MANY", 0)


def apply_killed(url: str, path: Path, function: str, at: int) -> None:
    """Apply a plan, and be killed when a function is called for the nth time."""
    module, name = function.split(".")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED.format(module=module, name=name, at=at), "adopt", "--apply", str(path),
         "--database-url", url],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "BOOKINGDB_DATABASE_URL"},
        timeout=120,
        check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with connect(url) as connection:
        assert scalar(connection, "select to_regclass('bookingdb.history') is null")
        assert prepare.is_under_way(connection)


def outcome(url: str) -> Rows:
    """The rows without what is another one each time."""
    contents = rows(url)
    contents["public.booking_audit_log"] = [
        {name: row[name] for name in ("session_id", "action", "new_status")}
        for row in contents["public.booking_audit_log"]
    ]
    contents["public.booking_audit_log"].sort(key=str)
    with connect(url) as connection:
        for table in ("calendar", "overlapping_sessions", "absences"):
            found = run(connection, f"select to_jsonb(c) - 'created_at' from bookingdb.{table} as c order by 1")
            contents[f"bookingdb.{table}"] = [row for (row,) in found]
    return contents


@at_each_moment
def test_killed_preparation_goes_on(
    app: App, found: Found, live: str, tmp_path: Path, function: str, at: int, large: None
) -> None:
    path = make_plan(app, live, tmp_path)
    apply_killed(live, path, function, at)

    # Nothing is different but what was prepared, the plan stays the same plan, and the application books.
    assert rows(live) == found.rows
    (tmp_path / "again").mkdir()
    again = make_plan(app, live, tmp_path / "again")
    read = [tomllib.loads(each.read_text(encoding="utf-8")) for each in (path, again)]
    assert read[0]["fingerprint"] == read[1]["fingerprint"]
    with server_of(live) as server:
        run_named(server, app.insert, app.written(uuid4(), app.free(hour=15)))

    done(live, "adopt", "--apply", path)
    # What the application wrote meanwhile may have two times.
    assert findings(live) <= {verify.CONTRADICTORY_TIMES}
    done(live, "selftest")
    with connect(live) as connection:
        assert scalar(connection, f"select to_regnamespace('{PREPARING}') is null")
        assert violations(connection) == []
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump


@at_each_moment
def test_undo_removes_what_a_killed_adoption_prepared(
    app: App, found: Found, live: str, tmp_path: Path, function: str, at: int
) -> None:
    apply_killed(live, make_plan(app, live, tmp_path), function, at)
    reported = bookingdb(live, "adopt", "--report")
    assert reported.exit_code == 1
    assert "--undo removes what it prepared" in reported.stderr
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows
    assert bookingdb(live, "adopt", "--undo").exit_code == 1


@some_apps("clean", "single_balance", "profiles", "lots", "two_zones_shifted")
def test_prepared_adoption_comes_to_the_same(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    done(live, "adopt", "--apply", path)
    with found.copy() as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "MANY", 0)
        prepared = done(other, "adopt", "--apply", path)
        assert "preparing indexes and the calendar" in prepared.stderr
        # What was added at the adoption has its moment.
        late = {"created_at", "updated_at"}
        assert [each for each in differences(outcome(live), outcome(other)) if not set(each.columns) <= late] == []
        assert is_sound(app, other)
        done(other, "adopt", "--undo")
        assert schema_dump(other) == found.dump


@some_apps("drift")
def test_later_changes_of_sessions_are_caught_up(
    app: App, live: str, tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_plan(app, live, tmp_path)
    adopt = apply._adopt
    moved: list[UUID] = []

    def written_first(*arguments: object) -> object:
        with connect(live) as connection:
            prepared = scalar(connection, f"select count(*) from {PREPARING}.calendar")
            assert prepared > 10
            ids = [
                id_
                for (id_,) in run(
                    connection,
                    "select s.id from public.sessions as s"
                    f" inner join {PREPARING}.calendar as c on c.id = s.id"
                    " where s.start_time > now() + interval '2 days' and s.user_id is not null"
                    " and s.therapist_id is not null order by s.start_time desc limit 4",
                )
            ]
            run(connection, "update public.sessions set status = 'cancelled' where id = %s", ids[0])
            run(connection, "delete from public.sessions where id = %s", ids[1])
            # A session moves onto another one, and one comes.
            run(connection, "alter table public.sessions disable trigger user")
            run(
                connection,
                "update public.sessions as s set therapist_id = o.therapist_id,"
                " start_time = o.start_time + interval '5 minutes', end_time = o.end_time + interval '5 minutes'"
                " from public.sessions as o where s.id = %s and o.id = %s",
                ids[2],
                ids[3],
            )
            moved.extend(ids[2:])
            run(connection, "alter table public.sessions enable trigger user")
        with server_of(live) as server:
            run_named(server, app.insert, app.written(uuid4(), app.free(hour=15)))
        return adopt(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(apply, "_adopt", written_first)
    done(live, "adopt", "--apply", path)
    # What the application wrote meanwhile may have two times.
    assert findings(live) <= {verify.CONTRADICTORY_TIMES}
    with connect(live) as connection:
        assert violations(connection) == []
        # The one that moved onto another has no place of its own.
        assert scalar(
            connection, "select count(*) from bookingdb.overlapping_sessions where session_id = any (%s)", moved
        )


@some_apps("clean")
def test_failed_adoption_goes_on_with_what_it_prepared(
    app: App, found: Found, live: str, tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_plan(app, live, tmp_path)
    monkeypatch.setattr(transaction, "ATTEMPTS", 2)
    with connect(live) as reader, reader.transaction():
        run(reader, "select count(*) from public.user_credits")
        refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert "could not be locked in 2 attempts" in refused.stderr
    done(live, "adopt", "--apply", path)
    done(live, "verify")
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump


@some_apps("clean")
def test_open_transaction_is_not_waited_for_without_end(
    app: App, live: str, tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_plan(app, live, tmp_path)
    monkeypatch.setattr(prepare, "PATIENCE", 1.0)
    # It holds no lock that the adoption needs, but an index that is built waits for whoever may not see it.
    with connect(live) as other, other.transaction():
        run(other, "set transaction isolation level repeatable read")
        run(other, "select 1")
        applied = done(live, "adopt", "--apply", path)
    assert "a transaction is open for long" in applied.stderr
    done(live, "verify")


@some_apps("clean")
def test_prepared_indexes_refuse_no_write(
    app: App, live: str, tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lots of one payment are the application's business until it is adopted."""
    path = make_plan(app, live, tmp_path)
    adopt = apply._adopt

    def written_first(*arguments: object) -> object:
        with connect(live) as connection:
            assert scalar(connection, f"select count(*) from {PREPARING}.made where kind = 'index'") > 1
            twice = (
                "insert into public.user_credits (user_id, credits_balance, payment_reference)"
                " select u.id, 1, 'twice' from public.users as u, generate_series(1, 2) limit 2"
            )
            run(connection, twice)
            run(connection, "delete from public.user_credits where payment_reference = 'twice'")
        return adopt(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(apply, "_adopt", written_first)
    done(live, "adopt", "--apply", path)


@some_apps("clean")
def test_others_do_not_wait_behind_an_adoption(app: App, live: str, tmp_path: Path) -> None:
    """While somebody reads for some seconds, others go on between the attempts."""
    path = make_plan(app, live, tmp_path)
    waits: list[float] = []
    stopping = threading.Event()

    def read() -> None:
        with connect(live) as connection:
            while not stopping.is_set():
                begun = time.monotonic()
                run(connection, "select count(*) from public.sessions")
                waits.append(time.monotonic() - begun)
                time.sleep(0.01)

    with connect(live) as reader, process(live, "adopt", "--apply", path) as running:
        with reader.transaction():
            run(reader, "select count(*) from public.sessions")
            others = threading.Thread(target=read)
            others.start()
            time.sleep(6)
            stopping.set()
            others.join()
        output, _ = running.communicate(timeout=60)
        assert running.returncode == 0, output
    assert max(waits) > 0.5
    assert max(waits) < 0.8 + 0.7
    assert sum(1 for each in waits if each < 0.1) > 20
    done(live, "verify")


@some_apps("drift", "lots")
def test_rows_written_since_the_plan_are_treated_by_its_answers(
    app: App, found: Found, live: str, tmp_path: Path
) -> None:
    """A booking, a purchase and another row of a class that the plan knows do not make it stale."""
    path = make_plan(app, live, tmp_path)
    with server_of(live) as server:
        run(server, "select set_config('timezone', %s, false)", app.zone)
        book(server, app, app.free())
        run(
            server,
            "insert into public.user_credits (user_id, credits_balance, credits_purchased)"
            " select c.user_id, 3, 3 from public.user_credits as c where c.user_id is not null limit 1",
        )
    with connect(live) as connection:
        run(connection, "alter table public.sessions disable trigger user")
        run(
            connection,
            "insert into public.sessions (user_id, therapist_id, start_time, end_time)"
            " select s.user_id, s.therapist_id, now() + interval '90 days', now() + interval '89 days'"
            " from public.sessions as s where s.user_id is not null and s.therapist_id is not null limit 1",
        )
        run(connection, "alter table public.sessions enable trigger user")
    done(live, "adopt", "--apply", path)
    done(live, "verify")
    with connect(live) as connection:
        assert violations(connection) == []
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
