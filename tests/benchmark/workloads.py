"""What is done to a scratch database, and which ratios are made of it."""

import itertools
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import psycopg

from tests.benchmark import contention, measurement, network, profiling, side_by_side, slots, targets, transactions
from tests.benchmark.contenders import Numbers, OfOneTherapist, single_round_trip
from tests.benchmark.operations import operations
from tests.benchmark.report import Comparison, Target
from tests.benchmark.run import Plan, Run
from tests.benchmark.scratch import Connection, Scratch, id_of


def hot_therapist(run: Run) -> None:
    """Sixteen connections book one therapist, one slot after the other."""
    workload = "one therapist, 16 connections"
    contenders = run.chosen(("bookingdb", "floor under a lock"))
    schemas = {each.name: each.tables for each in contenders}
    with run.databases(f"{workload}: loading for each contender", schemas) as databases:
        for place in range(run.plan.rounds):
            figures = {}
            # A therapist of each round's own: a year has no more than 4,000 slots.
            numbers = OfOneTherapist(run.scratch, 150 + place % 50)
            for contender in random.sample(contenders, len(contenders)):
                run.step(f"{workload}: {contender.name}")
                figures[contender.name] = measurement.concurrent(
                    databases[contender.name], numbers, contender, 16, min(run.plan.transactions_each, 200)
                )
            run.report.add(workload, figures)
    run.report.compare(workload, "throughput", "bookingdb", "floor under a lock", Target("at least", 0.9))


def profile(run: Run) -> None:
    """Where the time of a booking goes."""
    run.step("profile")
    contender = single_round_trip(run.scratch)["bookingdb"]
    run.report.profile = profiling.profile(run.scratch, run.numbers, contender, run.plan.transactions * 5)


def _workers(plan: Plan) -> Sequence[int]:
    # With sixteen the ORM and SERIALIZABLE take most of a minute: too long for a quick look.
    return (1, 16) if plan.rounds >= 3 else (1,)


def several_round_trips(run: Run) -> None:
    """The same booking as a transaction of several statements, as an ORM writes it, and through the Python client."""
    names = list(transactions.CONTENDERS)
    schemas = {name: schema for name, (schema, _) in transactions.CONTENDERS.items()}
    with run.databases("processes of Python: loading for each contender", schemas) as databases:
        _drive(run, databases, names)


def _drive(run: Run, databases: Mapping[str, Scratch], names: Sequence[str]) -> None:
    numbers = Numbers(run.scratch)
    for workers in _workers(run.plan):
        alone = workers == 1
        workload = "1 process of Python" if alone else f"{workers} processes of Python"
        bookings = run.plan.transactions if alone else run.plan.transactions_each
        for _ in range(run.plan.rounds):
            figures = {}
            # Alone they take turns, booking by booking; where several are at work, one after the other.
            for together in [names] if alone else [[name] for name in random.sample(names, len(names))]:
                run.step(workload if alone else f"{workload}: {together[0]}")
                figures.update(transactions.driven(databases, numbers, together, workers, bookings))
            run.report.add(workload, figures)
        measure, limit = ("speed", 3.2) if alone else ("throughput", 2.6)
        compare = run.report.compare
        compare(workload, measure, "bookingdb", "serializable", Target("at least", limit))
        compare(workload, measure, "bookingdb", "for update")
        compare(workload, measure, "bookingdb", "orm", Target("at least", 10))
        compare(workload, "mean", "bookingdb, not prepared", "bookingdb")
        # The client never prepares, so that it works behind a pooler: this is what it costs as it is.
        compare(workload, "mean", "client", "bookingdb", Target("at most", 1.15) if alone else None)


def storm(run: Run) -> None:
    """Sixty-four connections want one slot."""
    codes: dict[str, int] = {}
    longest = 0.0
    with ExitStack() as stack:
        connections = run.connected(stack, 64)
        # The first storm only lets 64 new connections compile what they call.
        for place in range(run.plan.rounds + 1):
            run.step("one slot, 64 connections")
            attempts = [contention.booking(run.scratch, run.reserved(each, 0, place)) for each in range(64)]
            found = contention.at_once(connections, attempts)
            if not place:
                continue
            longest = max(longest, found.longest)
            for code, count in found.codes.items():
                codes[code] = codes.get(code, 0) + count
    run.report.failures["one slot, 64 connections"] = codes
    booked = codes.get(contention.OK, 0) / run.plan.rounds
    run.fact("one slot, 64 connections", "bookings a slot", booked, Target("exactly", 1))
    run.fact("one slot, 64 connections", "deadlocks", codes.get("40P01", 0), Target("at most", 0))
    run.fact("one slot, 64 connections", "longest wait, s", longest, Target("at most", 0.5))


def few_credits(run: Run) -> None:
    """Thirty-two connections spend the three credits of one client."""
    workload, client = "3 credits, 32 connections", 900
    with ExitStack() as stack:
        (observer, *connections) = run.connected(stack, 33)
        run.step(workload)
        user = id_of("client", run.scratch.size.clients + client)
        # A direct write: the ledger follows.
        observer.execute("update public.user_credits set credits_balance = 3 where user_id = %s", (user,))
        attempts = [contention.booking(run.scratch, run.reserved(client, 100 + each, each)) for each in range(32)]
        found = contention.at_once(connections, attempts)
    run.report.failures[workload] = dict(found.codes)
    run.fact(workload, "bookings", found.codes[contention.OK], Target("exactly", 3))


def refusals(run: Run) -> None:
    """What a refusal costs the server, in bookings."""
    if not measurement.is_local(run.scratch):
        return
    refused: dict[str, list[tuple[float, float]]] = {"booking_conflict": [], "insufficient_credits": []}
    with run.scratch.connect() as connection:
        pid, place = connection.info.backend_pid, itertools.count()
        poor = id_of("client", run.scratch.size.clients + 901)
        connection.execute("update public.user_credits set credits_balance = 0 where user_id = %s", (poor,))

        def cost(client: int, slot: int | None, expected: str) -> float:
            used = measurement.cpu_of(pid)
            for _ in range(10):
                parameters = run.reserved(client, 1, next(place) if slot is None else slot)
                code = contention.code_of(connection, contention.booking(run.scratch, parameters))
                if code != expected:
                    raise measurement.BenchmarkError(f"a booking came to {code}, not to {expected}")
            return measurement.cpu_of(pid) - used

        cost(902, None, contention.OK)
        for _ in range(max(run.plan.rounds, 5)):
            run.step("refusals")
            booked = cost(902, None, contention.OK)
            refused["booking_conflict"].append((cost(903, 0, "booking_conflict"), booked))
            refused["insufficient_credits"].append((cost(901, None, "insufficient_credits"), booked))
    for code, pairs in refused.items():
        found = measurement.ratio(pairs)
        run.report.comparisons.append(Comparison("refusals", "cpu", f"refusing as {code}", "a booking", found))


def isolation(run: Run) -> None:
    """Overlapping bookings from every isolation level, and raw INSERTs: one of them comes through."""
    workload = "isolation levels and raw inserts"
    levels = [
        psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ,
        psycopg.IsolationLevel.SERIALIZABLE, None,
    ]  # fmt: skip
    codes: dict[str, int] = {}
    with ExitStack() as stack:
        connections = run.connected(stack, 16)
        for connection, level in zip(connections, itertools.cycle(levels)):
            connection.isolation_level = level
        for place in range(run.plan.rounds * 2):
            run.step(workload)
            attempts = []
            for each, level in zip(range(16), itertools.cycle(levels)):
                parameters = run.reserved(200 + each, 2, place)
                make = contention.raw_insert if level is None else contention.booking
                attempts.append(_after_a_look(make(run.scratch, parameters), level is not None))
            for code, count in contention.at_once(connections, attempts).codes.items():
                codes[code] = codes.get(code, 0) + count
        row = (
            connections[0]
            .execute(
                "select count(*) from public.sessions as a inner join public.sessions as b on a.therapist_id ="
                " b.therapist_id and a.id < b.id and tstzrange(a.start_time, a.end_time) && tstzrange(b.start_time,"
                " b.end_time) where a.therapist_id = %s",
                (id_of("therapist", run.scratch.size.therapists + 2),),
            )
            .fetchone()
        )
    run.report.failures[workload] = codes
    run.fact(workload, "overlapping sessions", row[0] if row else -1, Target("at most", 0))


def free_times(run: Run) -> None:
    """What free times cost, as multiples of other ways to find them and of bookings."""
    size, workload = run.scratch.size, targets.SLOTS
    with run.scratch.connect() as connection:
        contender = single_round_trip(run.scratch)["bookingdb"]

        def book() -> None:
            parameters = run.numbers.parameters(run.numbers.take(contender.name, 1))
            contention.booking(run.scratch, parameters)(connection)

        for _ in range(measurement.WARM_UP):
            book()
        found = slots.slots(
            run.scratch.conninfo, sessions=size.sessions, therapists=size.therapists, report=run.step,
            rounds=max(run.plan.rounds, 3), book=book,
        )  # fmt: skip
    for each in found:
        swapped = [(second, first) for first, second in each.rounds]
        if each.other == slots.BOOKING:
            target = Target("at most", 75) if size.therapists >= 500 else None
            measured = Comparison(workload, "latency", each.what, each.other, measurement.ratio(each.rounds), target)
        else:
            target = Target("at least", 30) if each.other == slots.LOOP else None
            measured = Comparison(workload, "speed", each.what, each.other, measurement.ratio(swapped), target)
        run.report.comparisons.append(measured)
        if each.what in slots.TIMED and each.other == slots.TIMED[each.what][0]:
            measure = slots.TIMED[each.what][1]
            limit = targets.target(size.sessions, workload, measure, "bookingdb", "")
            times = measurement.ratio([(first, 1.0) for first, _ in each.rounds])
            run.report.comparisons.append(Comparison(workload, measure, "bookingdb", "", times, limit))


def startup(run: Run) -> None:
    """What Python takes to import the package, and to print the help."""
    commands = {
        "psycopg": ["-c", "import psycopg"],
        "bookingdb": ["-c", "import psycopg, bookingdb"],
        "help": ["-m", "bookingdb.cli", "--help"],
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(max(run.plan.rounds, 5)):
        run.step("startup")
        for name, arguments in commands.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            milliseconds[name].append(1000 * (time.perf_counter() - begin))
    # Each pair one after the other, so that what else the machine does falls on both.
    beyond = [both - one for both, one in zip(milliseconds["bookingdb"], milliseconds["psycopg"], strict=True)]
    run.fact("startup", "import beyond psycopg, ms", statistics.median(beyond), Target("at most", 80))
    run.fact("startup", "bookingdb --help, ms", statistics.median(milliseconds["help"]), Target("at most", 200))


def _after_a_look(attempt: contention.Attempt, in_transaction: bool) -> contention.Attempt:
    """In a transaction whose snapshot, if it keeps one, is from before the others came."""

    def attempt_later(connection: Connection) -> None:
        if not in_transaction:
            return attempt(connection)
        with connection.transaction():
            connection.execute("select count(*) from public.users where id is null")
            attempt(connection)

    return attempt_later


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that is done.

    Attributes:
        do: does it.
        steps: how many steps it reports, by the plan and the number of sessions.
    """

    do: Callable[[Run], None]
    steps: Callable[[Plan, int], int]


WORKLOADS: Final[dict[str, Workload]] = {
    "uncontended": Workload(
        side_by_side.uncontended,
        lambda plan, _: 1 + plan.rounds * (2 + len(side_by_side.SINGLE) * len(plan.connections)),
    ),
    "hours": Workload(
        side_by_side.within_hours,
        lambda plan, sessions: 1 + plan.rounds * (2 + len(side_by_side.with_hours(sessions)) * len(plan.connections)),
    ),
    "operations": Workload(operations, lambda plan, _: 1 + plan.rounds),
    "profile": Workload(profile, lambda *_: 1),
    "hot": Workload(hot_therapist, lambda plan, _: 1 + plan.rounds * 2),
    "round-trips": Workload(
        several_round_trips,
        lambda plan, _: 1 + plan.rounds * (1 + (len(_workers(plan)) - 1) * len(transactions.CONTENDERS)),
    ),
    "network": Workload(network.network, lambda plan, _: 1 + len(network.DELAYS) * plan.rounds),
    "storm": Workload(storm, lambda plan, _: plan.rounds + 1),
    "credits": Workload(few_credits, lambda *_: 1),
    "refusals": Workload(refusals, lambda plan, _: max(plan.rounds, 5)),
    "isolation": Workload(isolation, lambda plan, _: plan.rounds * 2),
    "slots": Workload(free_times, lambda *_: 3),
    "startup": Workload(startup, lambda plan, _: max(plan.rounds, 5)),
}


def of_the_targets(sessions: int) -> Sequence[str]:
    """Return the workloads that the rows of the table of targets come from, in a database of this size."""
    if sessions > 1_000_000:
        return ("hours",)
    # A network does not know how many sessions there are.
    return ("hours", "operations", "slots", *(["network"] if sessions <= 100_000 else []))


def carry_out(run: Run, names: Sequence[str]) -> None:
    """Do these workloads, and look after each whether all is well."""
    for name in names:
        WORKLOADS[name].do(run)
        run.step(f"check_invariants() after {name}")
        run.check(name, run.scratch)


def steps(plan: Plan, sessions: int, names: Sequence[str]) -> int:
    """Return how many steps `carry_out` reports."""
    return sum(WORKLOADS[name].steps(plan, sessions) + 1 for name in names)
