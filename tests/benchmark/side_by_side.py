"""Contenders that book the same in one round trip, side by side, each in a database of its own."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from tests.benchmark import measurement, targets
from tests.benchmark.contenders import Contender, Numbers
from tests.benchmark.run import Run
from tests.benchmark.scratch import Scratch

SINGLE: Final = ("floor", "floor, statements", "bookingdb", "ad-hoc", "fair")
# The floor and ad-hoc have no hours to look at: they book the same, beside those who have.
WITH_HOURS: Final = ("floor", "bookingdb", "ad-hoc", "fair")
UNCONTENDED: Final = "1 connection"
_WITH_KEY: Final = ("floor with key", "bookingdb with key")
# They take two statements, which from psycopg are slower for Python's sake: only their CPU is measured.
_CALLERS: Final = ("bookingdb, logged in", "bookingdb, trusted")
# Of very many sessions the growth is asked, not how it compares with everything else.
_LARGE: Final = 1_000_000


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
    latency, cost = UNCONTENDED, f"{UNCONTENDED}, in blocks"
    _take_turns(run, databases, numbers, contenders, latency, cost)
    for suffix in ("", " with key"):
        names = f"bookingdb{suffix}", f"floor{suffix}"
        for measure in ("mean", "p50", "p99"):
            run.report.compare(latency, measure, *names)
        for measure in ("mean", "cpu", "wal"):
            run.report.compare(cost, measure, *names)
    for measure in ("mean", "p50", "p99"):
        run.report.compare(latency, measure, "bookingdb", "floor, statements")
    for measure in ("mean", "cpu", "wal"):
        run.report.compare(cost, measure, "bookingdb", "floor, statements")
    run.report.compare(latency, "speed", "bookingdb", "ad-hoc")
    for against in ("ad-hoc", "fair"):
        run.report.compare(latency, "p50", "bookingdb", against)
        run.report.compare(cost, "cpu", "bookingdb", against)
    run.report.compare(latency, "speed", "bookingdb", "fair")


def _take_turns(
    run: Run, databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender], latency: str,
    cost: str, only_cost: Sequence[Contender] = (),
) -> None:  # fmt: skip
    """Measure at one connection each, round by round."""
    for _ in range(run.plan.rounds):
        run.step(latency)
        run.report.add(latency, measurement.in_turns(databases, numbers, contenders, run.plan.transactions))
        run.step(cost)
        # CPU needs fewer bookings than latency, and has more contenders.
        blocks = max(run.plan.transactions // 20, 2)
        run.report.add(cost, measurement.in_blocks(databases, numbers, [*contenders, *only_cost], blocks, 10))


def _many_connections(run: Run, databases: Mapping[str, Scratch], numbers: Numbers, connections: int) -> None:
    workload = f"{connections} connections"
    _at_once(run, databases, numbers, run.chosen(SINGLE), workload, connections)
    for measure in ("throughput", "p99", "cpu", "wal"):
        run.report.compare(workload, measure, "bookingdb", "floor")
    for measure in ("throughput", "p99"):
        run.report.compare(workload, measure, "bookingdb", "floor, statements")
    for against in ("ad-hoc", "fair"):
        run.report.compare(workload, "throughput", "bookingdb", against)


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


def with_hours(sessions: int) -> Sequence[str]:
    """Return the contenders that book within hours at many connections, in a database of this size."""
    return WITH_HOURS[:2] if sessions > _LARGE else WITH_HOURS


def within_hours(run: Run) -> None:
    """The same bookings where each therapist has weekly hours, a buffer and a notice."""
    latency, cost = targets.LATENCY, targets.COST
    sessions = run.scratch.size.sessions
    at_once = run.chosen(with_hours(sessions))
    one, callers = [*at_once], []
    if sessions <= _LARGE:
        one += run.chosen(_WITH_KEY)
        callers = run.chosen(_CALLERS)
    schemas = {each.name: each.tables for each in [*one, *callers]}
    with run.databases("loading for each contender, with hours", schemas, hours=True) as databases:
        numbers = Numbers(run.scratch)
        _take_turns(run, databases, numbers, one, latency, cost, callers)
        for connections in run.plan.connections:
            workload = f"{connections} connections, within hours"
            _at_once(run, databases, numbers, at_once, workload, connections)
    for against in [each.name for each in at_once if each.name != "bookingdb"]:
        for measure in ("mean", "p50", "speed"):
            run.compare(latency, measure, "bookingdb", against)
        for measure in ("cpu", "wal"):
            run.compare(cost, measure, "bookingdb", against)
        for connections in run.plan.connections:
            for measure in ("throughput", "wal"):
                run.compare(f"{connections} connections, within hours", measure, "bookingdb", against)
    if callers:
        run.compare(latency, "p50", "bookingdb with key", "floor with key")
        run.compare(cost, "cpu", "bookingdb with key", "floor with key")
        run.compare(cost, "cpu", "bookingdb, logged in", "bookingdb, trusted")
