"""The benchmark runs, compares answers that are the same, and leaves nothing behind. What it measures is no test's."""

from __future__ import annotations

import json

from bookingdb import bench
from tests.support import connect, scalar
from tests.test_cli import bookingdb


def test_it_measures_both_sides_and_leaves_nothing_behind(server_url: str) -> None:
    reports: list[str] = []
    comparisons = bench.slots(server_url, sessions=2_000, therapists=20, report=reports.append)

    assert reports == ["loading 20 sessions of 10 therapists", "loading 2,000 sessions of 20 therapists", "measuring"]
    assert len(comparisons) == 5
    assert all(each.milliseconds > 0 and each.ratio > 0 for each in comparisons)
    assert len({each.what for each in comparisons} | {each.other for each in comparisons}) >= 8
    with connect(server_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0


def test_the_command_prints_the_ratios(server_url: str) -> None:
    done = bookingdb(server_url, "bench", "slots", "--sessions", 20_000, "--therapists", 500, "--json")

    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [set(row) for row in rows] == [{"what", "ms", "compared with", "other ms", "times as long"}] * 5
    assert "measuring" in done.stderr
