"""What ways to book cost where a network lies between the application and the server."""

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

from tests.benchmark import relay, transactions
from tests.benchmark.contenders import Numbers
from tests.benchmark.measurement import WARM_UP, Ratio
from tests.benchmark.report import Comparison, Report
from tests.benchmark.run import Run
from tests.benchmark.scratch import Scratch

NAMES: Final = ("bookingdb", "client", "for update", "serializable", "orm")
# Seconds in each direction: another zone of a region, and another region nearby.
DELAYS: Final = (0.0005, 0.002)
_BOOKINGS: Final = 50
_WORKLOAD: Final = "network"
_WORDS: Final[Mapping[str, str]] = {
    "bookingdb": "bookingdb, `create_session_with_credit_deduction`",
    "client": "bookingdb, the Python client",
    "for update": "six statements with FOR UPDATE",
    "serializable": "six statements in SERIALIZABLE",
    "orm": "an ORM (SQLAlchemy) with FOR UPDATE",
}


def workload_of(delay: float) -> str:
    """Return what bookings with this delay are called."""
    return f"1 process of Python, network {_milliseconds(delay)}"


def network(run: Run) -> None:
    """One booking after the other from Python, through a relay that delays what passes."""
    schemas = {name: transactions.CONTENDERS[name][0] for name in NAMES}
    numbers = Numbers(run.scratch)
    with run.databases("network: loading for each contender", schemas) as databases:
        for name, count in _round_trips(databases, numbers).items():
            measured = Ratio(count, count, count)
            run.report.comparisons.append(Comparison(_WORKLOAD, f"round trips of {name}", name, "", measured))
        for delay in DELAYS:
            with ExitStack() as stack:
                distant = {name: _relayed(stack, databases[name], delay)[0] for name in NAMES}
                for _ in range(run.plan.rounds):
                    run.step(workload_of(delay))
                    bookings = min(run.plan.transactions, _BOOKINGS)
                    found = transactions.driven(distant, numbers, NAMES, 1, bookings)
                    run.report.add(workload_of(delay), found)
            for name in NAMES[1:]:
                run.report.compare(workload_of(delay), "p50", name, "bookingdb")


def table(report: Report) -> list[dict[str, Any]]:
    """Return what was found as rows for a table; none where a report has nothing of it."""
    trips = {each.contender: each.ratio.median for each in report.comparisons if each.workload == _WORKLOAD}
    rows = []
    for name, count in trips.items():
        row = {"a booking by": _WORDS[name], "round trips": f"{count:g}"}
        for delay in DELAYS:
            head = f"each way {_milliseconds(delay)}: p50"
            measured = sorted(each.p50 for each in report.rounds[workload_of(delay)][name])
            row[head] = f"{measured[len(measured) // 2]:.1f} ms"
            compared = [
                each for each in report.comparisons if (each.workload, each.contender) == (workload_of(delay), name)
            ]
            row[f"times bookingdb's, {_milliseconds(delay)}"] = (
                f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
                if (found := compared[0].ratio if compared else None)
                else "1"
            )
        rows.append(row)
    return rows


def _round_trips(databases: Mapping[str, Scratch], numbers: Numbers) -> dict[str, int]:
    """Count the round trips of one booking on a connection that is warm."""
    found = {}
    for name, database in databases.items():
        with ExitStack() as stack:
            distant, through = _relayed(stack, database, 0)
            book = transactions.CONTENDERS[name][1](distant)
            first = numbers.take(name, WARM_UP + 1)
            for number in range(first, first + WARM_UP):
                book(numbers.parameters(number))
            before = through.round_trips
            book(numbers.parameters(first + WARM_UP))
            found[name] = through.round_trips - before
    return found


def _relayed(stack: ExitStack, database: Scratch, delay: float) -> tuple[Scratch, relay.Relay]:
    """Put a relay between the database and who connects to it, until the stack is left."""
    with database.connect() as connection:
        server = relay.address_of(connection)
    through = stack.enter_context(relay.running(server, delay))
    return dataclasses.replace(database, conninfo=through.through(database.conninfo)), through


def _milliseconds(delay: float) -> str:
    return f"{1000 * delay:g} ms"
