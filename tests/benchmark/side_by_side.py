"""Contenders that book the same in one round trip, side by side, each in a database of its own."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from tests.benchmark import measurement
from tests.benchmark.contenders import Contender, Numbers
from tests.benchmark.report import Target
from tests.benchmark.run import Run
from tests.benchmark.scratch import Scratch

SINGLE: Final = ("floor", "floor, statements", "bookingdb", "ad-hoc", "fair")
# The floor has no hours to look at: it is the same rows, beside those who have.
WITH_HOURS: Final = ("floor", "bookingdb", "fair")


def uncontended(run: Run) -> None:
    """Everybody books something else, at one connection and at many; therapists have no hours."""
    contenders = run.chosen((*SINGLE, "floor with key", "bookingdb with key"))
    with run.databases("loading for each contender", {each.name: each.tables for each in contenders}) as databases:
        numbers = Numbers(run.scratch)
        _one_connection(run, databases, numbers, contenders)
        for connections in run.plan.connections:
            _many_connections(run, databases, numbers, connections)


def _one_connection(
    run: Run, databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender]
) -> None:
    latency, cost = "1 connection", "1 connection, in blocks"
    _take_turns(run, databases, numbers, contenders, latency, cost)
    for suffix in ("", " with key"):
        names = f"bookingdb{suffix}", f"floor{suffix}"
        run.report.compare(latency, "mean", *names, Target("at most", 1.12))
        run.report.compare(latency, "p50", *names)
        run.report.compare(latency, "p99", *names, Target("at most", 1.25))
        run.report.compare(cost, "mean", *names)
        run.report.compare(cost, "cpu", *names, Target("at most", 1.35))
        run.report.compare(cost, "wal", *names, Target("at most", 1.1))
    for measure in ("mean", "p50", "p99"):
        run.report.compare(latency, measure, "bookingdb", "floor, statements")
    for measure in ("mean", "cpu", "wal"):
        run.report.compare(cost, measure, "bookingdb", "floor, statements")
    run.report.compare(latency, "speed", "bookingdb", "ad-hoc", _by_size(run, few=2.3))
    for against in ("ad-hoc", "fair"):
        run.report.compare(latency, "p50", "bookingdb", against)
        run.report.compare(cost, "cpu", "bookingdb", against)
    run.report.compare(latency, "speed", "bookingdb", "fair")


def _take_turns(
    run: Run, databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender], latency: str,
    cost: str,
) -> None:  # fmt: skip
    """Measure at one connection each, round by round."""
    for _ in range(run.plan.rounds):
        run.step(latency)
        run.report.add(latency, measurement.in_turns(databases, numbers, contenders, run.plan.transactions))
        run.step(cost)
        blocks = max(run.plan.transactions // 10, 2)
        run.report.add(cost, measurement.in_blocks(databases, numbers, contenders, blocks, 10))


def _many_connections(run: Run, databases: Mapping[str, Scratch], numbers: Numbers, connections: int) -> None:
    workload = f"{connections} connections"
    _at_once(run, databases, numbers, run.chosen(SINGLE), workload, connections)
    aimed_at = connections == 16
    names = "bookingdb", "floor"
    run.report.compare(workload, "throughput", *names, Target("at least", 0.85) if aimed_at else None)
    run.report.compare(workload, "p99", *names, Target("at most", 1.25) if aimed_at else None)
    run.report.compare(workload, "cpu", *names)
    run.report.compare(workload, "wal", *names)
    for measure in ("throughput", "p99"):
        run.report.compare(workload, measure, "bookingdb", "floor, statements")
    run.report.compare(workload, "throughput", "bookingdb", "ad-hoc", _by_size(run, many=3.0) if aimed_at else None)
    run.report.compare(workload, "throughput", "bookingdb", "fair")


def _at_once(
    run: Run, databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender], workload: str,
    connections: int,
) -> None:  # fmt: skip
    """Measure at many connections, one contender after the other, round by round."""
    for _ in range(run.plan.rounds):
        figures = {}
        for contender in random.sample(contenders, len(contenders)):
            run.step(f"{workload}: {contender.name}")
            figures[contender.name] = measurement.concurrent(
                databases[contender.name], numbers, contender, connections, run.plan.transactions_each
            )
        run.report.add(workload, figures)


def within_hours(run: Run) -> None:
    """The same bookings where each therapist has weekly hours, a buffer and a notice."""
    contenders = run.chosen(WITH_HOURS)
    latency, cost = "1 connection, within hours", "1 connection, within hours, in blocks"
    schemas = {each.name: each.tables for each in contenders}
    with run.databases("loading for each contender, with hours", schemas, hours=True) as databases:
        numbers = Numbers(run.scratch)
        _take_turns(run, databases, numbers, contenders, latency, cost)
        for against in ("floor", "fair"):
            run.report.compare(latency, "mean", "bookingdb", against)
            run.report.compare(latency, "p50", "bookingdb", against)
            run.report.compare(cost, "cpu", "bookingdb", against)
        for connections in run.plan.connections:
            workload = f"{connections} connections, within hours"
            _at_once(run, databases, numbers, contenders, workload, connections)
            for against in ("floor", "fair"):
                run.report.compare(workload, "throughput", "bookingdb", against)


def _by_size(run: Run, *, few: float | None = None, many: float | None = None) -> Target | None:
    """The targets against what teams write are for a small and for a large database."""
    limit = few if run.scratch.size.sessions <= 10_000 else many if run.scratch.size.sessions >= 1_000_000 else None
    return None if limit is None else Target("at least", limit)
