"""Where an adoption mends very many rows, it does so in batches beforehand: stopped anywhere, nothing is in between."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bookingdb.adoption import ahead
from tests.apps import APPS, App, Rows, differences, rows, schema_dump
from tests.support import adoption, connect, run, scalar
from tests.support.adoption import Found, make_plan, recorded, with_answers
from tests.support.commands import answer, bookingdb, done
from tests.support.hosts import SUPABASE_BEFORE

pytestmark = pytest.mark.slow

# As if these apps were large; killed (for good, by itself) at the nth batch, when it is written but not yet committed,
# or before it.
_KILLED = """
import os, signal
from bookingdb.adoption import ahead
from bookingdb.cli.main import main
ahead.MANY, ahead.BATCH, at, within = 0, {batch}, {at}, {within}
before, run, count = ahead._repair_batch, ahead.RowUpdate.run, 0
def repair_batch(*arguments):
    global count
    count += 1
    if count == at and not within:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(*arguments)
def update(self, connection):
    changed = run(self, connection)
    if count == at and within:
        os.kill(os.getpid(), signal.SIGKILL)
    return changed
ahead._repair_batch, ahead.RowUpdate.run = repair_batch, update
main()
"""
# The apps, and at which batches they are killed: of drift the first, one in the middle, one of another table.
MOMENTS = [
    ("drift", 1, True), ("drift", 4, False), ("drift", 7, True), ("two_zones_shifted", 6, False), ("lots", 2, True),
]  # fmt: skip


@pytest.fixture
def app(request: pytest.FixtureRequest) -> App:
    return APPS[str(getattr(request, "param", "drift"))]


@pytest.fixture
def found(app: App, supabase_server_url: str) -> Found:
    return adoption.found(app, SUPABASE_BEFORE, supabase_server_url)


@pytest.fixture
def live(found: Found) -> Iterator[str]:
    with found.copy() as url:
        yield url


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if what is there were much."""
    monkeypatch.setattr(ahead, "MANY", 0)
    monkeypatch.setattr(ahead, "BATCH", 40)


def apply_killed(url: str, path: Path, at: int, within: bool = False) -> None:
    """Apply a plan, and be killed at a batch."""
    program = _KILLED.format(batch=40, at=at, within=within)
    killed = subprocess.run(
        [sys.executable, "-c", program, "adopt", "--apply", str(path), "--database-url", url],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "BOOKINGDB_DATABASE_URL"},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with connect(url) as connection:
        assert scalar(connection, "select to_regclass('bookingdb.history') is null")


def outcome(url: str) -> Rows:
    """The rows without what is another one each time."""
    contents = rows(url)
    contents["public.booking_audit_log"] = [
        {name: row[name] for name in ("session_id", "action", "new_status")}
        for row in contents["public.booking_audit_log"]
    ]
    contents["public.booking_audit_log"].sort(key=str)
    return contents


def of_the_app(dump: str) -> str:
    """A dump without the record of what was mended."""
    return "\n".join(block for block in dump.split("\n--\n") if ahead.SCHEMA not in block)


def mended(found: Found, url: str) -> list[Any]:
    return differences(found.rows, rows(url))


@pytest.mark.parametrize(("app", "at", "within"), MOMENTS, indirect=["app"])
def test_killed_repair_can_go_on_or_back(
    app: App, found: Found, live: str, tmp_path: Path, at: int, within: bool, large: None
) -> None:
    path = make_plan(app, live, tmp_path)
    apply_killed(live, path, at, within)

    # Every trigger is on again, and nothing is different but rows.
    assert of_the_app(schema_dump(live)) == of_the_app(found.dump)
    rows_before = len(mended(found, live))
    assert rows_before > 0 or at == 1
    if rows_before:
        assert sum(answer(live, "adopt", "--report")["under_way"].values()) >= rows_before
        assert "under way" in done(live, "adopt", "--report").stdout
    # It is the same plan: it speaks of the rows as they were found.
    (tmp_path / "again").mkdir()
    again = make_plan(app, live, tmp_path / "again")
    read = [tomllib.loads(each.read_text(encoding="utf-8")) for each in (path, again)]
    assert read[0]["fingerprint"] == read[1]["fingerprint"]
    assert (read[0]["answers"], read[0]["balances"]) == (read[1]["answers"], read[1]["balances"])

    done(live, "adopt", "--apply", path)
    for command in (["verify"], ["selftest"]):
        done(live, *command)
    with found.copy() as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "MANY", 20_000)
        done(other, "adopt", "--apply", path)
        assert [each for each in differences(outcome(other), outcome(live)) if "updated_at" not in each.columns] == []
        with connect(other) as one, connect(live) as batched:
            keys = [
                {(row["object"], row["row_key"]["id"], *sorted(row["original"])) for row in recorded(each, "row")}
                for each in (one, batched)
            ]
        assert keys[0] == keys[1]
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert mended(found, live) == []


@pytest.mark.parametrize(("app", "at", "within"), MOMENTS[2:], indirect=["app"])
def test_undo_reverts_the_repairs_of_a_killed_adoption(
    app: App, found: Found, live: str, tmp_path: Path, at: int, within: bool, large: None
) -> None:
    apply_killed(live, make_plan(app, live, tmp_path), at, within)
    done(live, "adopt", "--undo")
    assert schema_dump(live) == found.dump
    assert mended(found, live) == []
    assert bookingdb(live, "adopt", "--undo").exit_code == 1


def test_writes_in_between_are_kept_and_make_a_plan_stale(
    app: App, found: Found, live: str, tmp_path: Path, large: None
) -> None:
    path = make_plan(app, live, tmp_path)
    apply_killed(live, path, 4)
    with connect(live) as connection:
        run(connection, "alter table public.sessions disable trigger user")
        # One that is mended already, and one that is broken anew.
        (changed,) = run(
            connection,
            f"update public.sessions as s set duration_minutes = 77 from {ahead.SCHEMA}.rows as r"
            " where r.id = s.id and r.id = (select max(o.id::text)::uuid from"
            f" {ahead.SCHEMA}.rows as o where o.object = 'public.sessions') returning s.id::text",
        )[0]
        (broken,) = run(
            connection,
            "insert into public.sessions (user_id, therapist_id, start_time, end_time)"
            " select s.user_id, s.therapist_id, now() + interval '90 days', now() + interval '89 days'"
            " from public.sessions as s"
            " where s.user_id is not null and s.therapist_id is not null limit 1 returning id::text",
        )[0]
        run(connection, "alter table public.sessions enable trigger user")
    contents = rows(live)

    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert "not as it was" in refused.stderr
    assert rows(live) == contents

    done(live, "adopt", "--undo")
    assert {each.key for each in mended(found, live)} == {changed, broken}


@pytest.mark.parametrize("app", ["two_zones_shifted"], indirect=True)
def test_it_goes_on_with_the_answers_with_which_it_was_begun(
    app: App, found: Found, live: str, tmp_path: Path, large: None
) -> None:
    path = make_plan(app, live, tmp_path)
    apply_killed(live, path, 6)
    other = tmp_path / "other.toml"
    other.write_text(
        with_answers(path.read_text(encoding="utf-8"), {"times.wall_clock_as_utc": "keep"}), encoding="utf-8"
    )
    refused = bookingdb(live, "adopt", "--apply", other)
    assert refused.exit_code == 1
    assert "times.wall_clock_as_utc" in refused.stderr
    done(live, "adopt", "--apply", path)


def test_row_that_a_constraint_refuses_is_left_to_the_adoption(
    app: App, found: Found, live: str, tmp_path: Path, large: None
) -> None:
    with connect(live) as connection:
        run(
            connection,
            "alter table public.user_credits add constraint known"
            " check (status is null or status = 'bought') not valid",
        )
    dump = schema_dump(live)
    done(live, "adopt", "--apply", make_plan(app, live, tmp_path))
    done(live, "verify")
    with connect(live) as connection:
        assert scalar(connection, "select count(*) from public.user_credits as c where c.status is null") == 0
    done(live, "adopt", "--undo")
    assert schema_dump(live) == dump
    assert mended(found, live) == []


def test_progress_is_told(app: App, live: str, tmp_path: Path, large: None) -> None:
    told = done(live, "adopt", "--apply", make_plan(app, live, tmp_path)).stderr
    counts = [int(n) for n in re.findall(r"mending sessions \(duration_minutes\): (\d+) of 162", told)]
    assert len(counts) > 2
    assert counts == sorted(counts)
    assert counts[-1] == 162


def test_a_small_database_is_mended_at_once(app: App, live: str, tmp_path: Path) -> None:
    told = done(live, "adopt", "--apply", make_plan(app, live, tmp_path)).stderr
    assert "mending sessions" not in told
