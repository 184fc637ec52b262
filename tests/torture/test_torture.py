"""The scenarios of `make torture` in small, and that each finds what it looks for when a guard is taken away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bookingdb.install import source
from tests.support import World, connect, pooler, run
from tests.torture import (
    ambiguous,
    backup,
    clock,
    crash,
    deliveries,
    failover,
    full_wal,
    fuzz,
    interruptions,
    load,
    pooling,
    races,
    server,
    settings,
    upgrade,
)
from tests.torture.figures import Figures
from tests.torture.server import Server, as_superuser

pytestmark = pytest.mark.slow

SOURCE = source.load()


@pytest.fixture(scope="module")
def own_server(bin_dir: Path) -> Iterator[Server]:
    """A server that writes carefully, and may be killed."""
    with server.running(bin_dir) as running:
        yield running


@contextmanager
def sabotaged(own_server: Server, sql: str) -> Iterator[None]:
    """Break something in every database that the block makes."""
    own_server.sabotage = sql
    try:
        yield
    finally:
        own_server.sabotage = ""


def replaced(name: str, *changes: tuple[str, str]) -> str:
    """The definition of a function of ours with something in it changed."""
    (function,) = (f for f in SOURCE.functions if f.schema == "bookingdb" and f.name == name)
    text = (source.folder() / function.path).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


RANGE = "p_date is null or p_date < date '1900-01-01' or p_date > date '2999-12-31'"
# What each of the two ways of a booking does for itself is broken in both. Closed, the quick way leaves everything to
# the rule-by-rule way.
NO_QUICK_WAY = replaced("book_quickly", ("begin\n    -- The numbers", "begin\n    return null;\n    -- The numbers"))
FORGETFUL_BY_RULES = replaced("record_answer", ("if p_answer.key is null then", "if true then"))
FORGETFUL = FORGETFUL_BY_RULES + replaced(
    "book_quickly", ("if p_idempotency_key is not null then\n        insert", "if false then\n        insert")
)


def forget_the_latest(world: World) -> None:
    """Take away what was booked last, as nobody could but who switches off the triggers."""
    with as_superuser(world) as superuser:
        run(superuser, "set session_replication_role = replica")
        run(superuser, "delete from sessions where id = (select id from sessions order by created_at desc limit 1)")
        run(
            superuser,
            "delete from bookingdb.idempotency_keys where (function_name, key) in (select function_name, key"
            " from bookingdb.idempotency_keys order by created_at limit 3)",
        )


def require_nothing_broken(figures: Figures, operations: int) -> None:
    """Hold that enough was done, and all of it as promised."""
    assert figures.failures == []
    assert figures.operations >= operations


def meets(torture: Callable[[], Figures], *faults: Callable[[Figures], object], tries: int = 12) -> bool:
    """Torture until each of the faults was found once. What a single try meets is chance where clients are many."""
    missed = list(faults)
    for _ in range(tries):
        figures = torture()
        missed = [fault for fault in missed if not fault(figures)]
        if not missed:
            return True
    return False


def test_acknowledged_bookings_survive_a_killed_server(own_server: Server) -> None:
    figures = crash.torture(own_server, seconds=20, rounds=2)

    require_nothing_broken(figures, 40)
    assert figures.rounds == 2


@contextmanager
def careless(own_server: Server) -> Iterator[None]:
    """A server that answers before it writes."""
    careful = dict(own_server.settings)
    own_server.stop()
    own_server.settings |= {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    own_server.start()
    try:
        yield
    finally:
        own_server.stop()
        own_server.settings = careful
        own_server.start()


def test_server_that_answers_before_it_writes_is_found(own_server: Server) -> None:
    with careless(own_server):
        assert meets(lambda: crash.torture(own_server, seconds=20, rounds=1), lambda figures: figures.lost)


# A small file system is root's to mount.
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@as_root
def test_full_log_disk_loses_nothing_acknowledged(own_server: Server) -> None:
    figures = full_wal.torture(own_server, seconds=20, rounds=1)

    if figures.times and figures.times[0].startswith("skipped"):
        pytest.skip(figures.times[0])
    require_nothing_broken(figures, 20)
    assert figures.other["server stopped"] == 1


def test_booking_whose_answer_was_lost_is_one_session(own_server: Server) -> None:
    figures = ambiguous.torture(own_server, seconds=20, rounds=24)

    require_nothing_broken(figures, 24)


def test_database_that_forgets_keys_is_found(own_server: Server) -> None:
    with sabotaged(own_server, FORGETFUL):
        assert meets(
            lambda: ambiguous.torture(own_server, seconds=20, rounds=8),
            lambda figures: figures.lost,
            lambda figures: figures.doubled,
        )


def test_interrupted_calls_leave_nothing_half_done_and_no_lock(own_server: Server) -> None:
    figures = interruptions.torture(own_server, seconds=2)

    require_nothing_broken(figures, 40)
    inflicted = {"backend terminated", "statement cancelled", "lock not granted", "client killed"}
    assert inflicted <= {name for name, count in figures.other.items() if count > 0}


def test_booking_without_the_lot_it_waited_for_is_found(own_server: Server) -> None:
    given_up = replaced("lock_next_lot", ("perform bookingdb.raise_error('busy');", "return null;"))
    refusal = "perform bookingdb.raise_error('insufficient_credits', case"
    free_of_charge = given_up + replaced("take_credit", (refusal, f"return; {refusal}"))
    with sabotaged(own_server, free_of_charge):
        # A second guard, the trigger on sessions, refuses it with an error that is none of the table.
        assert meets(
            lambda: interruptions.torture(own_server, seconds=1.5, faults=(interruptions.lock_not_granted,)),
            lambda figures: any(
                "credits_charged is written by the booking functions alone" in text for text in figures.wrong
            ),
        )


UNLOCKED = replaced("try_lock_people", ("begin\n", "begin\n    return true;\n"))
UNCONSTRAINED = "alter table bookingdb.calendar drop constraint calendar_therapist_excl"


def test_one_slot_has_one_winner_each_round(own_server: Server) -> None:
    figures = races.one_slot(own_server, seconds=20, rounds=6, side_by_side=1)

    require_nothing_broken(figures, 6 * 64)
    assert figures.other == {"booking_conflict": 6 * 63}


def test_slot_sold_twice_without_locks_is_found(own_server: Server) -> None:
    with sabotaged(own_server, f"{UNLOCKED};{UNCONSTRAINED}"):
        assert meets(
            lambda: races.one_slot(own_server, seconds=20, rounds=2, side_by_side=1), lambda figures: figures.doubled
        )


def test_one_key_is_one_session_whoever_asks(own_server: Server) -> None:
    figures = races.one_key(own_server, seconds=20, rounds=8)

    require_nothing_broken(figures, 8 * 32)
    assert figures.other["idempotency_key_reused"] == 4 * 16


def test_a_key_that_is_forgotten_is_found(own_server: Server) -> None:
    for forgetful in (FORGETFUL, FORGETFUL_BY_RULES + NO_QUICK_WAY):
        with sabotaged(own_server, forgetful):
            assert meets(lambda: races.one_key(own_server, seconds=20, rounds=2), lambda figures: figures.failures)


def test_limit_holds_against_old_snapshots(own_server: Server) -> None:
    figures = races.old_snapshots(own_server, seconds=20, rounds=8)

    require_nothing_broken(figures, 8 * 16)
    assert figures.other["40001"]


def test_limit_that_marks_and_proves_nothing_is_found(own_server: Server) -> None:
    unmarked = replaced("mark_rules_changed", ("begin\n    v_lock_timeout", "begin\n    return;\n    v_lock_timeout"))
    unproved = replaced(
        "require_current_calendar", ("begin\n    v_lock_timeout", "begin\n    return;\n    v_lock_timeout")
    )
    with sabotaged(own_server, unmarked + unproved):
        assert meets(lambda: races.old_snapshots(own_server, seconds=20, rounds=4), lambda figures: figures.doubled)


def test_only_unordered_transactions_deadlock(own_server: Server) -> None:
    figures = races.deadlocks(own_server, seconds=2)

    require_nothing_broken(figures, 100)


def test_locks_in_no_order_are_found_to_deadlock(own_server: Server) -> None:
    in_no_order = replaced(
        "lock_keys",
        ("immutable", "volatile"),
        ("if cardinality(p_people) = 2 and", "if false and"),
        ("array_agg(distinct bookingdb.person_key(p.id) order by bookingdb.person_key(p.id))",
         "array_agg(bookingdb.person_key(p.id) order by random())"),
    )  # fmt: skip
    with sabotaged(own_server, in_no_order):
        assert meets(
            lambda: races.deadlocks(own_server, seconds=1),
            lambda figures: "a single call ended with 40P01" in figures.wrong,
        )


def test_synchronous_standby_has_what_was_acknowledged(
    own_server: Server,
) -> None:
    figures = failover.torture(own_server, seconds=0, rounds=2)

    # That the other of the two rounds loses something is held in there.
    require_nothing_broken(figures, 100)


def test_dumps_and_recoveries_to_a_moment_are_whole(own_server: Server) -> None:
    figures = backup.torture(own_server, seconds=0, rounds=2)

    require_nothing_broken(figures, 60)
    assert figures.other == {"restored a dump": 1, "recovered to a moment": 1}


def test_a_backup_that_lacks_rows_is_found(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    require_restored = backup._require_restored

    def spoilt(restored: World, *arguments: Any) -> None:
        forget_the_latest(restored)
        require_restored(restored, *arguments)

    monkeypatch.setattr(backup, "_require_restored", spoilt)
    # Of the two ways: what is held against what was acknowledged is the same.
    figures = backup.torture(own_server, seconds=0, rounds=1)

    assert any("was acknowledged before the moment" in text for text in figures.lost)
    assert any(text.startswith("verify") for text in figures.wrong)


def test_a_backup_of_a_later_moment_is_found(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def work_no_more(self: load.Load, more: int, seconds: float = 30) -> None:
        """Let nobody begin anything after the first look, and everybody end what is under way."""
        # Clients need some time to make bookings at all.
        time.sleep(0.3)
        self.stop()
        # Calls that are under way end within this time.
        time.sleep(0.7)

    monkeypatch.setattr(load.Load, "wait_for", work_no_more)
    assert meets(
        lambda: backup.torture(own_server, seconds=0, rounds=1),
        lambda figures: "what was acknowledged after the moment is there, too" in figures.wrong,
    )


def test_isolation_levels_and_zones_change_nothing(own_server: Server) -> None:
    figures = settings.torture(own_server, seconds=1)

    require_nothing_broken(figures, 40)


def test_a_booking_in_the_zone_of_the_connection_is_found(own_server: Server) -> None:
    by_rules = replaced(
        "book_once", ("v_time_zone := v_policy.time_zone", "v_time_zone := current_setting('timezone')")
    )
    quickly = replaced("book_quickly", ("        r.time_zone,", "        current_setting('timezone') as time_zone,"))
    for local in (quickly, by_rules + NO_QUICK_WAY):
        with sabotaged(own_server, local):
            assert meets(
                lambda: settings.torture(own_server, seconds=0.5),
                lambda figures: any("booked at" in text for text in figures.wrong),
            )


def test_killed_upgrade_under_load_leaves_nothing(own_server: Server) -> None:
    figures = upgrade.torture(own_server, seconds=20, kills=2)

    require_nothing_broken(figures, 100)
    assert figures.rounds == 2


def test_an_upgrade_that_loses_bookings_is_found(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate = upgrade._migrate

    def forgetful(world: World, kill_after: int | None) -> None:
        migrate(world, kill_after)
        forget_the_latest(world)

    monkeypatch.setattr(upgrade, "_migrate", forgetful)
    figures = upgrade.torture(own_server, seconds=20, kills=0)

    assert any(text.startswith("session") for text in figures.lost)
    assert any(text.startswith("invariant") for text in figures.wrong)


def test_migrate_killed_anywhere_leaves_nothing(own_server: Server) -> None:
    figures = upgrade.every_statement(own_server, seconds=20, kills=3)

    require_nothing_broken(figures, 6)
    assert figures.other == {"migrate killed": 3}


def test_a_migration_in_several_transactions_is_found(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def no_transaction(self: object, **options: object) -> Iterator[None]:
        yield

    # Each statement for itself: what came before the kill stays.
    monkeypatch.setattr(psycopg.Connection, "transaction", no_transaction)
    figures = Figures(upgrade.EVERY_STATEMENT)
    with own_server.world("template1") as world, connect(own_server.url()) as superuser:
        monkeypatch.setattr(upgrade.Counting, "superuser", superuser)
        upgrade._kill_and_run_again(world, 40, [], figures)

    assert "killed after statement 40, it left something behind" in figures.wrong


@pytest.mark.skipif(pooler.program() is None, reason=pooler.version())
def test_a_pooler_that_is_killed_loses_nothing(own_server: Server) -> None:
    figures = pooling.torture(own_server, seconds=20, rounds=1)

    require_nothing_broken(figures, 60)


@pytest.mark.skipif(pooler.program() is None, reason=pooler.version())
def test_a_pooler_that_answers_for_what_is_lost_is_found(own_server: Server) -> None:
    with sabotaged(own_server, FORGETFUL):
        # A lost booking that is asked for again may be refused for want of credits: one kill may double nothing.
        assert meets(
            lambda: pooling.torture(own_server, seconds=20, rounds=1),
            lambda figures: figures.lost,
            lambda figures: figures.doubled,
        )


def test_generated_arguments_end_with_errors_of_the_table(own_server: Server) -> None:
    figures = fuzz.torture(own_server, seconds=1)

    require_nothing_broken(figures, 100)


def test_an_error_that_is_none_of_the_table_is_found(own_server: Server) -> None:
    any_date = replaced("local_instant", (RANGE, "p_date is null"))
    with sabotaged(own_server, any_date):
        assert meets(
            lambda: fuzz.torture(own_server, seconds=3),
            lambda figures: any(text.startswith("22008") for text in figures.wrong),
        )


def test_a_line_of_the_servers_log_that_is_not_ours_is_found() -> None:
    lines = [
        "2027-01-01 10:00:00 UTC [1] state=PT409 ERROR:  Booking conflict: time slot unavailable",
        "2027-01-01 10:00:00 UTC [1] state=42501 ERROR:  permission denied for function f",
        "2027-01-01 10:00:00 UTC [1] state=00000 LOG:  checkpoint starting: time",
        "2027-01-01 10:00:00 UTC [1] state=01000 WARNING:  there is no transaction in progress",
    ]
    alarming = [
        "2027-01-01 10:00:00 UTC [1] state=XX000 ERROR:  tuple concurrently updated",
        "2027-01-01 10:00:00 UTC [1] state=40P01 ERROR:  deadlock detected",
        "2027-01-01 10:00:00 UTC [1] state=53100 PANIC:  could not write to file",
        "2027-01-01 10:00:00 UTC [1] state=00000 LOG:  server process (PID 2) was terminated by signal 11",
    ]

    assert fuzz.alarms("\n".join((*lines, *alarming))) == alarming


@pytest.mark.skipif(not clock.is_movable(), reason="the package libfaketime is not installed")
def test_a_clock_that_is_moved_changes_nothing_but_what_is_over(own_server: Server) -> None:
    figures = clock.torture(own_server, seconds=1)

    require_nothing_broken(figures, 150)
    assert figures.other["moves looked at"] == 10
    assert figures.other["moves under load"] >= 2


@pytest.mark.skipif(not clock.is_movable(), reason="the package libfaketime is not installed")
def test_hold_that_never_runs_out_is_found(own_server: Server) -> None:
    endless = replaced("book_hold", (" and c.expires_at > clock_timestamp()", ""))
    with sabotaged(own_server, endless):
        figures = clock.torture(own_server, seconds=0)

    assert any(text.startswith("the booking of the hold") for text in figures.wrong)


def test_workers_that_are_killed_lose_no_event(own_server: Server) -> None:
    figures = deliveries.torture(own_server, seconds=1)

    require_nothing_broken(figures, 20)
    assert {"failed", "timed out", "repeated"} <= set(figures.other)


def test_event_that_is_not_tried_again_is_found(own_server: Server) -> None:
    given_up = replaced(
        "finish_delivery",
        ("if p_outcome in ('delivered', 'dead', ", "if p_outcome in ('retry', 'delivered', 'dead', "),
        ("case when p_outcome = 'gone'", "case when p_outcome in ('gone', 'retry')"),
    )
    with sabotaged(own_server, given_up):
        figures = deliveries.torture(own_server, seconds=1)

    assert figures.lost
