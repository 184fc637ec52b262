"""The benchmark runs, compares what is the same, and leaves nothing behind. What it measures is no test's."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from bookingdb.adoption import prepare
from bookingdb.local.server import LocalServer
from tests.benchmark import __main__ as command
from tests.benchmark import (
    contention,
    measurement,
    network,
    profiling,
    scratch,
    slots,
    targets,
    write_performance,
)
from tests.benchmark.contenders import Numbers, single_round_trip
from tests.benchmark.report import Report, Target, from_dict
from tests.benchmark.scratch import Scratch, Size
from tests.support import ROOT, Connection, connect, run, scalar
from tests.torture import server as careful

pytestmark = pytest.mark.slow

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


def benchmark(url: str, *arguments: object) -> Result:
    result = CliRunner().invoke(command.main, [*map(str, arguments), "--database-url", url])
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def made(careful_url: str) -> Iterator[Scratch]:
    with scratch.made(careful_url, SMALL) as found:
        yield found


@pytest.fixture
def floor(careful_url: str) -> Iterator[Scratch]:
    with scratch.made(careful_url, SMALL, schema="bookingdb_floor") as found:
        yield found


@pytest.mark.slow
def test_command_measures_each_contender_and_leaves_nothing(careful_url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = benchmark(
        careful_url, "--only", "uncontended", "--only", "hours", "--only", "operations", "--only", "isolation",
        "--only", "slots", "--only", "profile", "--rounds", 1,
        "--transactions", 20, "--connections", 2, "--connections", 16, "--clients", 100, "--therapists", 20,
        "--sessions", 200, "--json", file, "--output", tmp_path,
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    report = json.loads(file.read_text())
    assert set(report["rounds"]["1 connection"]) == {
        "floor", "floor, statements", "bookingdb", "ad-hoc", "fair", "floor with key", "bookingdb with key",
    }  # fmt: skip
    assert set(report["rounds"]["operations, within hours"]) == {
        "booking", "refusal", "hold", "cancel", "reschedule",
    }  # fmt: skip
    assert set(report["rounds"]["2 connections"]) == {"floor", "floor, statements", "bookingdb", "ad-hoc", "fair"}
    assert set(report["rounds"]["16 connections, within hours"]) == {"floor", "bookingdb", "ad-hoc", "fair"}
    assert "measured in" in done.stdout
    against_statements = [each for each in report["comparisons"] if each["against"] == "floor, statements"]
    assert {each["workload"] for each in against_statements} == {
        "1 connection", "1 connection, in blocks", "2 connections", "16 connections",
    }  # fmt: skip
    assert {each["target"] for each in against_statements} == {None}
    assert report["violations"] == []
    assert from_dict(report).to_dict() == report
    assert "| 1 connection | bookingdb | " in write_performance.written([from_dict(report)])
    assert f"| {profiling.COMMIT} | 1 | " in write_performance.written([from_dict(report)])
    assert {(each.target.bound, each.better) for each in from_dict(report).comparisons if each.target is not None} == {
        ("at most", "less"),
        ("at least", "more"),
    }
    parts = {part["name"]: part for part in report["profile"]["parts"]}
    assert {"public.create_session_with_credit_deduction", profiling.COMMIT, profiling.OUTSIDE} < parts.keys()
    assert "Where the time goes" in done.stdout
    overlaps = [each for each in report["comparisons"] if each["measure"] == "overlapping sessions"]
    assert [each["ratio"]["median"] for each in overlaps] == [0]
    steps = [line.partition("] ")[0] for line in done.stderr.splitlines()]
    assert steps == [f"[{place}/{len(steps)}" for place in range(1, len(steps) + 1)]
    of_slots = {
        each["against"]: each["ratio"]["median"] for each in report["comparisons"] if each["workload"] == "slots"
    }
    assert {slots.LOOP, slots.BOOKING} < of_slots.keys()
    assert min(of_slots.values()) > 0
    assert {"ratios.svg", "ratios.png"} <= {path.name for path in tmp_path.iterdir()}
    with connect(careful_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0
        assert scalar(connection, "select count(*) from pg_roles where rolname = any (%s)", list(scratch.CALLERS)) == 0


def test_command_measures_every_row_of_the_targets(careful_url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = benchmark(
        careful_url, "--targets", "--rounds", 1, "--transactions", 20, "--clients", 100, "--therapists", 20,
        "--sessions", 200, "--json", file,
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    report = from_dict(json.loads(file.read_text()))
    measured = [row for row in targets.table([report]) if not row["200 sessions"].startswith("not measured")]
    assert [row["a booking within hours"] for row in measured] == [row.words for row in targets.ROWS]
    of_operations = [each for each in report.comparisons if each.workload == targets.OPERATIONS]
    assert all(each.target for each in of_operations if each.measure == "cpu")
    # One call of bookingdb's is one round trip; others begin, ask, write and commit.
    trips = {row["a booking by"]: int(row["round trips"]) for row in network.table(report)}
    assert sorted(trips.values())[:2] == [1, 1]
    assert sorted(trips.values())[2] >= 6
    for delay in network.DELAYS:
        rounds = report.rounds[network.workload_of(delay)]
        assert min(each.p50 for found in rounds.values() for each in found) >= 2 * 1000 * delay
        assert rounds["orm"][0].p50 > rounds["bookingdb"][0].p50 + 5 * 2 * 1000 * delay
    steps = [line.partition("] ")[0] for line in done.stderr.splitlines()]
    assert steps == [f"[{place}/{len(steps)}" for place in range(1, len(steps) + 1)]


def test_a_database_of_somebody_else_is_left_alone(careful_url: str) -> None:
    with connect(careful_url) as connection:
        run(connection, f"create database {scratch.NAME}")
        try:
            with pytest.raises(scratch.NotScratch, match="left alone"), scratch.made(careful_url, SMALL):
                pass
            assert scalar(connection, "select count(*) from pg_database where datname = %s", scratch.NAME) == 1
        finally:
            run(connection, f"drop database {scratch.NAME}")


@pytest.mark.slow
def test_the_database_of_a_run_that_goes_on_is_not_dropped(careful_url: str) -> None:
    with scratch.empty(careful_url, scratch.NAME) as own:
        with pytest.raises(scratch.NotScratch, match="another benchmark"), scratch.empty(careful_url, scratch.NAME):
            pass
        with connect(own) as connection:
            assert scalar(connection, "select 1") == 1
    # Afterwards it can be had.
    with scratch.empty(careful_url, scratch.NAME):
        pass


def test_a_server_that_does_not_wait_for_the_disk_is_refused(server_url: str) -> None:
    with pytest.raises(scratch.NotScratch, match="fsync is off"), scratch.made(server_url, SMALL):
        pass


@pytest.mark.parametrize("name", ["floor", "floor, statements", "floor with key"])
def test_floor_writes_the_rows_of_a_booking(floor: Scratch, name: str) -> None:
    numbers = Numbers(floor)
    with floor.connect() as connection:
        before = counts(connection, ["bookingdb_floor"])
        for number in range(5):
            contention.booking(floor, numbers.parameters(number), name)(connection)
        after = counts(connection, ["bookingdb_floor"])

    written = {table: [a - b for a, b in zip(after[table], before[table], strict=True)] for table in after}
    keys = [5 if "key" in name else 0, 0, 0]
    inserted = ("sessions", "booking_audit_log", "calendar", "ledger", "outbox")
    assert written == {"user_credits": [0, 5, 0], "idempotency_keys": keys} | {table: [5, 0, 0] for table in inserted}


def test_floor_does_not_follow_the_migrations(floor: Scratch) -> None:
    with floor.connect() as connection:
        assert scalar(connection, "select to_regnamespace('bookingdb')") is None
        assert scalar(connection, "select to_regclass('public.sessions')") is None


# A booking of the floor, as the rows it wrote: what one transaction wrote, without the ids and times that differ.
ROWS = """
    with written as (
        select 1 as place, s.xmin::text, to_jsonb(s) as row, s.id from bookingdb_floor.sessions as s
        union all
        select 2, c.xmin::text, to_jsonb(c), c.id from bookingdb_floor.calendar as c
        union all
        select 3, l.xmin::text, to_jsonb(l), l.session_id from bookingdb_floor.ledger as l
        union all
        select 4, a.xmin::text, to_jsonb(a), a.session_id from bookingdb_floor.booking_audit_log as a
        union all
        select 5, o.xmin::text, to_jsonb(o) || jsonb_build_object('payload', o.payload - 'session_id'), o.subject_id
        from bookingdb_floor.outbox as o
        union all
        select 6, c.xmin::text, to_jsonb(c), null from bookingdb_floor.user_credits as c
    )
    select w.place, w.id, w.row - array['id', 'session_id', 'subject_id', 'created_at', 'updated_at', 'entry']
    from written as w
    where w.xmin = (select s.xmin::text from bookingdb_floor.sessions as s order by s.created_at desc limit 1)
    order by w.place
"""


def test_floor_of_six_statements_writes_the_rows_of_one(floor: Scratch) -> None:
    contenders, numbers = single_round_trip(floor), Numbers(floor)
    written, ids = {}, []
    with floor.connect() as connection:
        for name in ("floor", "floor, statements"):
            contenders[name].book()(connection, numbers.parameters(7))
            found = run(connection, ROWS)
            written[name] = [row for _, _, row in found]
            ids += [{id for _, id, _ in found if id is not None}]
            assert [place for place, _, _ in found] == [1, 2, 3, 4, 5, 6]
            # As if it had never been: the other one books the same.
            for table in ("outbox", "booking_audit_log", "ledger", "calendar", "sessions"):
                column = {"sessions": "id", "calendar": "id", "outbox": "subject_id"}.get(table, "session_id")
                run(connection, f"delete from bookingdb_floor.{table} where {column} = any (%s)", [*ids[-1]])
            run(
                connection,
                "update bookingdb_floor.user_credits set credits_balance = credits_balance + 1, credits_used ="
                " credits_used - 1 where credits_used > 0",
            )

    assert written["floor"] == written["floor, statements"]
    assert [len(each) for each in ids] == [1, 1]


def test_six_statements_are_written_whole_or_not_at_all(floor: Scratch) -> None:
    contenders, parameters = single_round_trip(floor), Numbers(floor).parameters(7)
    with floor.connect() as connection:
        before = counts(connection, ["bookingdb_floor"])
        run(connection, "alter table bookingdb_floor.outbox add check (event <> 'session.created') not valid")
        with pytest.raises(psycopg.errors.CheckViolation):
            contenders["floor, statements"].book()(connection, parameters)
        assert scalar(connection, "select count(*) from bookingdb_floor.sessions") == before["sessions"][0] == 200


def counts(connection: Connection, schemas: list[str]) -> dict[str, list[int]]:
    run(connection, "select pg_stat_force_next_flush()")
    return {table: numbers for table, *numbers in run(connection, WRITTEN, schemas)}


@pytest.mark.parametrize(("sessions", "schema"), [(0, "public"), (200, "public"), (200, "bookingdb_floor")])
def test_without_statistics_nothing_is_ever_analysed(careful_url: str, sessions: int, schema: str) -> None:
    schemas = ["public", "bookingdb", "bookingdb_floor"]
    size = Size(clients=100, therapists=20, sessions=sessions)
    with (
        scratch.made(careful_url, size, analyze=False, schema=schema) as made,
        made.connect() as connection,
    ):
        options = run(
            connection,
            "select c.relname, c.reloptions from pg_class as c where c.relkind = 'r'"
            " and c.relnamespace::regnamespace::text = any (%s)", schemas,
        )  # fmt: skip
        assert len(options) >= 8
        assert [name for name, found in options if "autovacuum_enabled=false" not in (found or [])] == []
        assert scalar(connection, "select count(*) from pg_stats where schemaname = any (%s)", schemas) == 0
        name = "bookingdb" if schema == "public" else "floor"
        contention.booking(made, Numbers(made).parameters(0), name)(connection)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drops_the_scratch_database(careful_url: str, number: int, tmp_path: Path) -> None:
    assert interrupted(number, tmp_path, BOOKINGDB_DATABASE_URL=careful_url) == 1
    with connect(careful_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0


@pytest.mark.slow
def test_a_signal_stops_the_benchmarks_own_server(tmp_path: Path) -> None:
    own = LocalServer(tmp_path / "bookingdb" / "bench")
    try:
        assert interrupted(signal.SIGTERM, tmp_path) == 1
        assert own.pgdata.exists()
        assert not own.status().running
    finally:
        own.stop()


def interrupted(number: int, folder: Path, **environment: str) -> int:
    """Send a signal to a benchmark that is in the middle of its work, and return its exit code."""
    without = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "BOOKINGDB_"))}
    with subprocess.Popen(
        [
            sys.executable, "-m", "tests.benchmark", "--only", "round-trips", "--clients", "100",
            "--therapists", "20", "--sessions", "200", "--transactions", "100000",
        ],
        env={**without, "XDG_DATA_HOME": str(folder), **environment}, cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "process of Python" in line:
                break
        else:
            pytest.fail(f"it ended by itself, with {process.wait(60)}")
        process.send_signal(number)
        process.stderr.read()
        return process.wait(60)


def test_people_have_ids_that_an_index_can_tell_apart(made: Scratch) -> None:
    with made.connect() as connection:
        found = connection.execute("select email, id from public.users").fetchall()

    for email, person in found:
        kind, number = re.findall("[a-z]+|[0-9]+", email)[:2]
        assert person == scratch.id_of(kind, number)
    # GiST's penalty for a uuid is blind to its last bytes.
    assert len({person.bytes[:6] for _, person in found}) == len(found) > 0


def test_contenders_have_databases_of_equal_state(made: Scratch) -> None:
    schemas = {"floor": "bookingdb_floor", "floor with key": "bookingdb_floor", "bookingdb": "public"}
    with scratch.for_each(made, schemas, hours=False) as databases:
        assert len({database.conninfo for database in [made, *databases.values()]}) == 4
        with databases["floor"].connect() as connection:
            contention.booking(databases["floor"], Numbers(made).parameters(0), "floor")(connection)
        found = []
        for name in ("floor", "floor with key"):
            with databases[name].connect() as connection:
                relations = "select c.relname, c.reltuples from pg_class as c where c.relkind in ('r', 'i')"
                found.append(
                    run(connection, f"{relations} and c.relnamespace = 'bookingdb_floor'::regnamespace order by 1")
                )
                assert scalar(connection, "select count(*) from bookingdb_floor.sessions") == 200 + (name == "floor")
        assert found[0] == found[1]


def test_bookings_within_hours_obey_hours_buffer_and_notice(careful_url: str) -> None:
    with scratch.made(careful_url, SMALL, hours=True) as made, made.connect() as connection:
        contention.booking(made, Numbers(made).parameters(0))(connection)
        policy = "select p.buffer_after_minutes, p.minimum_notice from public.get_policy(%s) as p"
        hours = "select distinct h.start_time::text, h.end_time::text from public.get_weekly_hours(%s) as h order by 1"
        for number in (0, SMALL.therapists - 1):
            therapist = scratch.id_of("therapist", number)
            assert run(connection, policy, therapist) == [(15, dt.timedelta(hours=1))]
            assert run(connection, hours, therapist) == [("00:00:00", "12:00:00"), ("12:00:00", "00:00:00")]


@pytest.mark.parametrize(("name", "schema"), [("ad-hoc", "bookingdb_ad_hoc"), ("fair", "bookingdb_fair")])
def test_contender_refuses_overlaps_and_debts(careful_url: str, name: str, schema: str) -> None:
    with scratch.made(careful_url, SMALL, schema=schema) as made, made.connect() as connection:
        numbers = Numbers(made)
        attempt = contention.booking(made, numbers.parameters(0), name)
        attempt(connection)
        with pytest.raises(psycopg.Error, match="Booking conflict"):
            attempt(connection)
        run(connection, f"update {schema}.user_credits set credits_balance = 0")
        with pytest.raises(psycopg.Error, match="Insufficient credits"):
            contention.booking(made, numbers.parameters(1), name)(connection)


def test_logged_in_contender_books_as_its_client(careful_url: str) -> None:
    with scratch.callers(careful_url), scratch.made(careful_url, SMALL) as made, made.connect() as connection:
        actors = "select a.actor, s.user_id from public.booking_audit_log as a, public.sessions as s"
        latest = "where s.id = a.session_id and s.created_at = (select max(created_at) from public.sessions)"
        for number, name in enumerate(("bookingdb, logged in", "bookingdb, trusted")):
            contention.booking(made, Numbers(made).parameters(number), name)(connection)
            ((actor, client),) = run(connection, f"{actors} {latest}")
            assert (actor == str(client)) == name.endswith("logged in")
            # Neither role nor claims outlive the transaction.
            assert scalar(connection, "select current_user::text = session_user::text")
            assert scalar(connection, "select current_setting('request.jwt.claims')") == ""
        # A caller with a token books for nobody else.
        single = single_round_trip(made)["bookingdb, logged in"]
        claims = single.statements[0].replace("md5('client ' || :client)", "md5('client 99')")
        foreign = replace(single, statements=(claims, single.statements[1]))
        with pytest.raises(psycopg.Error) as refused:
            foreign.book()(connection, Numbers(made).parameters(2))
        assert "not_allowed" in (refused.value.diag.message_detail or "")


# What is done first, who then wants 0:00 to 0:45 of the third day, and what they are told. That day the therapist has a
# session from 1:00 to 2:00, and client 1 one with another therapist at 0:00.
FAIR_REFUSALS = [
    ("select set_config('request.jwt.claims', format('{\"sub\": \"%s\"}', gen_random_uuid()), true)", 0, "Not allowed"),
    ("update bookingdb_fair.users set is_active = false where user_type = 'user'", 0, "User not found"),
    ("update bookingdb_fair.users set is_active = false where user_type = 'therapist'", 0, "Therapist not found"),
    ("select 1", 1, "you have another session"),
    ("delete from bookingdb_fair.working_hours", 0, "Outside of working hours"),
    ("update bookingdb_fair.therapist_settings set minimum_notice = '90 days'", 0, "Too late to book"),
    ("update bookingdb_fair.therapist_settings set buffer_minutes = 16", 0, "time slot unavailable"),
]


@pytest.fixture(scope="module")
def fair(careful_url: str) -> Iterator[Scratch]:
    with scratch.made(careful_url, SMALL, name=f"{scratch.NAME}_fair", schema="bookingdb_fair", hours=True) as found:
        with found.connect() as connection:
            contention.booking(found, wanted(1, 4), "fair")(connection)
        yield found


def wanted(client: int, therapist: int) -> dict[str, object]:
    return {"client": str(client), "therapist": str(therapist), "day": 2, "hour": 0, "number": "0"}


@pytest.mark.parametrize(("change", "client", "message"), FAIR_REFUSALS, ids=[message for *_, message in FAIR_REFUSALS])
def test_fair_refuses(fair: Scratch, change: str, client: int, message: str) -> None:
    with fair.connect() as connection, connection.transaction(force_rollback=True):
        run(connection, change)
        with pytest.raises(psycopg.Error, match=message), connection.transaction():
            contention.booking(fair, wanted(client, 5), "fair")(connection)


def test_fair_writes_the_rows_of_a_careful_team(fair: Scratch) -> None:
    with fair.connect() as connection, connection.transaction(force_rollback=True):
        contention.booking(fair, wanted(0, 5), "fair")(connection)
        for table in ("sessions", "booking_audit_log", "credit_transactions", "notifications", "user_credits"):
            mine = f"select count(*) from bookingdb_fair.{table} where xmin = pg_current_xact_id()::xid"
            assert scalar(connection, mine) == 1, table


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    assert measurement.ratio([(1, 2), (3, 2), (2, 2)]) == measurement.Ratio(1.0, 0.75, 1.25)


def test_a_profile_is_the_whole_booking_by_function(made: Scratch) -> None:
    found = profiling.profile(made, Numbers(made), single_round_trip(made)["bookingdb"], 40)
    parts = {part.name: part for part in found.parts}

    assert found.bookings == 40
    assert found.counting > 0
    assert sum(part.share for part in found.parts) == pytest.approx(1)
    assert [part.microseconds for part in found.parts] == sorted(
        (part.microseconds for part in found.parts), reverse=True
    )
    # Those who bring it about, and triggers. Nothing speaks against these bookings: none goes rule by rule.
    for name in (
        "create_session_with_credit_deduction", "book_quickly", "record_new_session", "record_balance_change"
    ):  # fmt: skip
        assert parts[f"bookingdb.{name}"].calls == 1
        assert 0 < parts[f"bookingdb.{name}"].share < 1
    assert "bookingdb.book_once" not in parts
    assert parts[profiling.COMMIT].microseconds > 0
    assert parts[profiling.OUTSIDE].microseconds > 0
    with made.connect() as connection:
        booked = scalar(connection, "select count(*) from public.sessions") - 200
        assert booked == 2 * (40 + measurement.WARM_UP)


def test_small_parts_of_a_profile_are_told_together() -> None:
    parts = [profiling.Part("a", 1, 970, 0.97), profiling.Part("b", 3, 9, 0.009), profiling.Part("c", 2.5, 8, 0.008)]
    parts += [profiling.Part("d", 1, 13, 0.013)]

    assert [tuple(row.values()) for row in profiling.Profile(10, parts, 1.034).table()] == [
        ("a", "1", "970.0", "97.0%"),
        ("d", "1", "13.0", "1.3%"),
        ("2 others, each less than 1%", "5.5", "17.0", "1.7%"),
    ]


def report_of(sessions: int, statistics: bool, *means: float) -> Report:
    report = Report({"sessions": sessions, "statistics": statistics})
    for mean in means:
        report.add(targets.LATENCY, {name: measurement.latencies([mean]) for name in ("bookingdb", "floor")})
    return report


def report_of_targets(sessions: int, p50: float, throughput: float) -> Report:
    report = Report({"sessions": sessions, "statistics": True})
    for place in (1.0, 2.0, 3.0):
        figures = [measurement.Figures(1, each, each, each, throughput * place) for each in (p50 * place, place)]
        report.add(targets.LATENCY, dict(zip(("bookingdb", "floor"), figures, strict=True)))
        report.add(targets.THROUGHPUT, dict(zip(("bookingdb", "floor"), figures, strict=True)))
    key = (targets.LATENCY, "p50", "bookingdb", "floor")
    report.compare(*key, targets.target(sessions, *key))
    return report


def test_table_says_what_is_missing_from_a_target() -> None:
    found = [(10_000, 1.3, 1.0), (1_000_000, 1.1, 1.0), (10_000_000, 1.6, 0.81)]
    table = targets.table([report_of_targets(*each) for each in found])
    rows = {row.pop("a booking within hours"): row for row in table}

    assert rows["p50 / floor, 1 connection"] == {
        "10,000 sessions": "1.3 (1.3 to 1.3), target 1.3: met",
        "1,000,000 sessions": "1.1 (1.1 to 1.1), target 1: 10.0% above",
    }
    assert rows["CPU / floor"]["10,000 sessions"] == "not measured, target 1.4"
    # Each round with each.
    for measure, words in (("p50", "target 1.15: 7.0% above"), ("throughput", "target 0.9: 10.0% below")):
        row = rows[f"{measure} at 10,000,000 sessions / at 10,000 sessions"]
        assert row["10,000 sessions"].endswith(words)


def test_targets_are_those_of_the_size() -> None:
    key = (targets.LATENCY, "p50", "bookingdb", "floor")
    assert [targets.target(size, *key) for size in (200, 10_000, 1_000_000, 10_000_000)] == [
        Target("at most", 1.30), Target("at most", 1.30), Target("at most", 1.00), None,
    ]  # fmt: skip
    assert targets.target(10_000, "1 connection", "p50", "bookingdb", "floor") is None


def test_growth_is_larger_by_smaller_and_stale_by_analysed() -> None:
    reports = [
        report_of(0, False, 9.0),
        report_of(1000, False, 6.0),
        report_of(1000, True, 3.0),
        report_of(10, True, 2.0),
    ]

    found = {each.words: each for each in write_performance.growth(reports)}

    assert {words: (each.ratio.median, each.met) for words, each in found.items() if "bookingdb" in words} == {
        "p50 of bookingdb, 1,000 sessions, / of 10 sessions": (1.5, False),
        "p50 of bookingdb, 1,000 sessions, no statistics, / of 1,000 sessions": (2.0, False),
        "p50 of bookingdb, 0 sessions, no statistics, / of 10 sessions": (4.5, False),
    }
    assert {each.met for words, each in found.items() if "floor" in words} == {None}


def test_a_contender_of_more_speed_is_the_one_of_less_latency() -> None:
    report = Report()
    report.add("1 connection", {"bookingdb": measurement.latencies([1.0]), "ad-hoc": measurement.latencies([3.0])})
    report.compare("1 connection", "speed", "bookingdb", "ad-hoc", Target("at least", 2.3))
    (found,) = report.comparisons

    assert (found.ratio.median, found.met, found.better) == (3.0, True, "more")


@pytest.mark.parametrize(
    ("document", "markers"),
    [
        (write_performance.DOCUMENT, write_performance.TARGETS),
        (write_performance.DOCUMENT, write_performance.NETWORK),
        (write_performance.APPENDIX, write_performance.FIGURES),
    ],
)
def test_figures_come_between_the_markers_only(document: Path, markers: tuple[str, str]) -> None:
    text = write_performance.read(document)
    again = write_performance.put("| new |", write_performance.put("| old |", text, markers), markers)

    assert again.startswith(text.partition(markers[0])[0])
    assert again.endswith(text.partition(markers[1])[2])
    assert "| new |" in again
    assert "| old |" not in again
    with pytest.raises(ValueError, match="markers"):
        write_performance.put("| new |", "no markers", markers)


def test_targets_alone_leave_all_other_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = []
    for name in ("DOCUMENT", "APPENDIX"):
        document = getattr(write_performance, name)
        copies.append(tmp_path / document.name)
        copies[-1].write_text(write_performance.read(document), encoding="utf-8")
        monkeypatch.setattr(write_performance, name, copies[-1])
    before = [write_performance.read(copy) for copy in copies]
    report = report_of_targets(10_000, 1.23, 1)
    machine = dict.fromkeys(("postgres", "version", "date", "cpus", "memory", "disk", "system"), "x")
    report.machine |= {**machine, "rounds": 3, "clients": 1, "therapists": 1, "seconds": 120}

    assert write_performance.write([report]) == copies[:1]
    after = [write_performance.read(copy) for copy in copies]
    assert "| p50 / floor, 1 connection | 1.23 (1.23 to 1.23), target 1.3: met |" in after[0]
    assert "10,000 sessions in 2 minutes" in after[0]
    assert after[0].partition(write_performance.TARGETS[1])[2] == before[0].partition(write_performance.TARGETS[1])[2]
    assert after[1] == before[1]
    report.add("1 connection", {"floor": measurement.latencies([1.0])})
    assert write_performance.write([report]) == copies
    assert "| 1 connection | floor | 1 | 1.000 " in write_performance.read(copies[1])


@pytest.mark.slow
def test_slots_measure_both_sides_and_leave_nothing_behind(server_url: str) -> None:
    reports: list[str] = []
    comparisons = slots.slots(server_url, sessions=2_000, therapists=20, report=reports.append, rounds=2)

    assert reports == ["loading 20 sessions of 10 therapists", "loading 2,000 sessions of 20 therapists", "measuring"]
    assert len(comparisons) == 6
    assert all(each.milliseconds > 0 and each.ratio > 0 for each in comparisons)
    assert len({each.what for each in comparisons} | {each.other for each in comparisons}) >= 8
    with connect(server_url) as connection:
        assert scalar(connection, "select count(*) from pg_database where datname like 'bookingdb_bench%%'") == 0


def test_the_command_for_slots_prints_the_ratios(server_url: str) -> None:
    done = benchmark(server_url, "slots", "--sessions", 2_000, "--therapists", 20, "--rounds", 2, "--json")

    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [set(row) for row in rows] == [{"what", "ms", "compared with", "other ms", "times as long"}] * 6
    assert "measuring" in done.stderr


def test_callers_of_an_upgrade_are_timed(careful_url: str) -> None:
    done = benchmark(careful_url, "upgrade", "--sessions", 200, "--clients", 100, "--therapists", 20)

    assert done.exit_code == 0, done.output
    (seconds, longest) = re.findall(r"(\d+\.\d\d) s", done.stdout)
    # Whoever comes while the functions are replaced waits for the end of it.
    assert 0 < float(longest) < float(seconds) + 1
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert rows.keys() >= {"book", "cancel", "look"}
    # Nobody is refused for an upgrade's sake.
    assert [rows[call][-1] for call in ("book", "cancel", "look")] == ["booked"] * 3
    with connect(careful_url) as connection:
        left = "select count(*) from pg_database where datname = %s"
        assert scalar(connection, left, f"{scratch.NAME}_upgrade") == 0


@pytest.mark.parametrize("options", [[], ["--shifted"]], ids=["right", "shifted"])
def test_callers_of_an_adoption_are_timed(
    careful_url: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "MANY", 100)
    done = benchmark(
        careful_url, "adopt", "--sessions", 400, "--clients", 100, "--therapists", 20, "--to-come", 50, *options
    )

    assert done.exit_code == 0, done.output
    (mended,) = re.findall(r"400 sessions, ([\d,]+) rows mended", done.stdout)
    # What callers booked until then is shifted, too.
    assert int(mended.replace(",", "")) >= (400 if options else 0)
    assert (mended != "0") == bool(options)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert rows.keys() >= {"locking", "preparing", "verifying", "book", "look"}
    assert rows["look"][-1] == "booked"
    with connect(careful_url) as connection:
        left = "select count(*) from pg_database where datname = %s"
        assert scalar(connection, left, f"{scratch.NAME}_adoption") == 0
