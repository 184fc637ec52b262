"""The benchmark runs, compares what is the same, and leaves nothing behind. What it measures is no test's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bookingdb.benchmark import contention, measurement, scratch
from bookingdb.benchmark.contenders import Numbers, single_statement
from bookingdb.benchmark.scratch import Scratch, Size
from tests import write_performance
from tests.support import Connection, connect, run, scalar
from tests.test_cli import bookingdb
from tests.torture import server as careful

SMALL = Size(clients=100, therapists=20, sessions=200)
# By the table in the schema of the floor.
WRITTEN = """
    select relname, n_tup_ins, n_tup_upd, n_tup_del
    from pg_stat_user_tables
    where schemaname = any (%s) and relname in (
        'sessions', 'user_credits', 'booking_audit_log', 'calendar', 'ledger', 'outbox', 'idempotency_keys'
    )
    order by relname
"""


@pytest.fixture(scope="module")
def careful_url() -> Iterator[str]:
    """A server that writes as one in production: the other tests' does not, and is refused."""
    with careful.running() as own:
        yield own.url()


@pytest.fixture
def made(careful_url: str) -> Iterator[Scratch]:
    with scratch.made(careful_url, SMALL) as found:
        yield found


def test_the_command_measures_each_contender_and_leaves_nothing_behind(careful_url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = bookingdb(
        careful_url, "bench", "--only", "uncontended", "--only", "isolation", "--rounds", 1, "--transactions", 20,
        "--connections", 2, "--clients", 100, "--therapists", 20, "--sessions", 200, "--json", file,
        "--output", tmp_path,
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    report = json.loads(file.read_text())
    assert set(report["rounds"]["1 connection"]) == {
        "floor", "bookingdb", "ad-hoc", "floor with key", "bookingdb with key",
    }  # fmt: skip
    assert set(report["rounds"]["2 connections"]) == {"floor", "bookingdb", "ad-hoc"}
    assert report["violations"] == []
    section = write_performance.section(report, dt.date.today())
    assert "### 200 sessions\n" in section
    assert section.count("\n| ") == len(report["comparisons"]) + 1
    overlaps = [each for each in report["comparisons"] if each["measure"] == "overlapping sessions"]
    assert [each["ratio"]["median"] for each in overlaps] == [0]
    assert {"ratios.svg", "ratios.png"} <= {path.name for path in tmp_path.iterdir()}
    with connect(careful_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0


def test_a_database_of_somebody_else_is_left_alone(careful_url: str) -> None:
    with connect(careful_url) as connection:
        run(connection, f"create database {scratch.NAME}")
        try:
            with pytest.raises(scratch.NotScratch, match="left alone"), scratch.made(careful_url, SMALL):
                pass
            assert scalar(connection, "select count(*) from pg_database where datname = %s", scratch.NAME) == 1
        finally:
            run(connection, f"drop database {scratch.NAME}")


def test_a_server_that_does_not_wait_for_the_disk_is_refused(server_url: str) -> None:
    with pytest.raises(scratch.NotScratch, match="fsync is off"), scratch.made(server_url, SMALL):
        pass


@pytest.mark.parametrize("suffix", ["", " with key"])
def test_the_floor_writes_the_rows_that_a_booking_writes(made: Scratch, suffix: str) -> None:
    contenders, numbers = single_statement(made), Numbers(made)
    written = {}
    with made.connect() as connection:
        for name, schemas in ((f"floor{suffix}", ["bookingdb_floor"]), (f"bookingdb{suffix}", ["public", "bookingdb"])):
            before = counts(connection, schemas)
            for number in range(5):
                attempt = contention.booking(made, numbers.parameters(number), name)
                assert contention.code_of(connection, attempt) == contention.OK
            after = counts(connection, schemas)
            written[name] = {
                table: [a - b for a, b in zip(after[table], before[table], strict=True)] for table in after
            }
    assert contenders.keys() >= written.keys()
    floor, booking = written.values()
    assert floor == booking
    assert floor["sessions"] == [5, 0, 0]
    assert floor["user_credits"] == [0, 5, 0]
    assert floor["idempotency_keys"] == [5 if suffix else 0, 0, 0]


def counts(connection: Connection, schemas: list[str]) -> dict[str, list[int]]:
    run(connection, "select pg_stat_force_next_flush()")
    return {table: numbers for table, *numbers in run(connection, WRITTEN, schemas)}


def test_the_floor_has_the_indexes_and_constraints_of_the_tables_it_copies(made: Scratch) -> None:
    with made.connect() as connection:
        for statement in (
            "select tablename, regexp_replace(indexdef, '^.* USING', '') from pg_indexes where schemaname = any (%s)",
            "select c.conrelid::regclass::text ~ '', r.relname, pg_get_constraintdef(c.oid) from pg_constraint as c"
            " inner join pg_class as r on r.oid = c.conrelid where r.relnamespace::regnamespace::text = any (%s)",
        ):
            floor = sorted(map(str, run(connection, statement, ["bookingdb_floor"])))
            tables = {str(name) for (name,) in run(
                connection, "select tablename from pg_tables where schemaname = 'bookingdb_floor'"
            )}  # fmt: skip
            ours = run(connection, statement, ["public", "bookingdb"])
            assert floor == sorted(str(row) for row in ours if row[-2] in tables)


def test_ad_hoc_refuses_overlaps_and_whoever_has_no_credits(made: Scratch) -> None:
    numbers = Numbers(made)
    with made.connect() as connection:
        attempt = contention.booking(made, numbers.parameters(0), "ad-hoc")
        attempt(connection)
        with pytest.raises(psycopg.Error, match="Booking conflict"):
            attempt(connection)
        connection.execute("update bookingdb_ad_hoc.user_credits set credits_balance = 0")
        with pytest.raises(psycopg.Error, match="Insufficient credits"):
            contention.booking(made, numbers.parameters(1), "ad-hoc")(connection)


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    assert measurement.ratio([(1, 2), (3, 2), (2, 2)]) == measurement.Ratio(1.0, 0.75, 1.25)


def test_slots_measure_both_sides_and_leave_nothing_behind(server_url: str) -> None:
    done = bookingdb(server_url, "bench", "slots", "--sessions", 2_000, "--therapists", 20, "--json")

    assert done.exit_code == 0, done.output
    progress = ["loading 20 sessions of 10 therapists", "loading 2,000 sessions of 20 therapists", "measuring"]
    assert done.stderr.splitlines()[-3:] == progress
    rows = json.loads(done.stdout)
    assert [set(row) for row in rows] == [{"what", "ms", "compared with", "other ms", "times as long"}] * 5
    assert all(row["ms"] > 0 and row["times as long"] > 0 for row in rows)
    assert len({row["what"] for row in rows} | {row["compared with"] for row in rows}) >= 8
    with connect(server_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0
