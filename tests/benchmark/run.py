"""One run of the benchmark: how much is done, in which databases, and what there is to tell of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmark import measurement, scratch, targets
from tests.benchmark.contenders import Contender, Numbers, single_round_trip
from tests.benchmark.report import Comparison, Report, Target
from tests.benchmark.scratch import BOOKINGDB, Connection, Scratch


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        rounds: how often each contender has its turn.
        transactions: bookings of a contender in a round at one connection.
        connections: with how many connections throughput is measured.
        transactions_each: bookings of each of these connections in a round.
    """

    rounds: int
    transactions: int
    connections: Sequence[int]
    transactions_each: int


@dataclass
class Run:
    """A scratch database, what was found in it, and what there is to tell of the progress."""

    scratch: Scratch
    plan: Plan
    report: Report
    numbers: Numbers
    step: Callable[[str], None]

    def fact(self, workload: str, measure: str, value: float, target: Target | None = None) -> None:
        """Keep a figure of bookingdb that stands by itself."""
        self.report.comparisons.append(
            Comparison(workload, measure, "bookingdb", "", measurement.Ratio(value, value, value), target)
        )

    def compare(self, workload: str, measure: str, contender: str, against: str, target: Target | None = None) -> None:
        """Add the ratio of a contender's figure to another's, with a target: its own, else that of the table."""
        key = (workload, measure, contender, against)
        self.report.compare(*key, target or targets.target(self.scratch.size.sessions, *key))

    def connected(self, stack: ExitStack, count: int) -> list[Connection]:
        """Connect so many times, until the stack is left."""
        return [stack.enter_context(self.scratch.connect()) for _ in range(count)]

    @contextmanager
    def databases(self, step: str, schemas: Mapping[str, str], *, hours: bool = False) -> Iterator[dict[str, Scratch]]:
        """Make a fresh database for each contender, and keep what check_invariants() says of bookingdb's at the end."""
        self.step(step)
        with scratch.for_each(self.scratch, schemas, hours=hours) as made:
            yield made
            for contender, schema in schemas.items():
                if schema == BOOKINGDB:
                    self.check(f"{step}, {contender}", made[contender])

    def check(self, workload: str, database: Scratch) -> None:
        """Keep what check_invariants() says: nothing, when all is well."""
        with database.connect() as connection:
            found = connection.execute("select * from bookingdb.check_invariants()").fetchall()
        self.report.violations += [f"{workload}: {row}" for row in found]

    def reserved(self, client: int, therapist: int, slot: int) -> dict[str, Any]:
        """Return a booking of people whom no other workload books."""
        size = self.scratch.size
        # After all that the hot therapists' clients have booked.
        slot += 3400
        return {
            "client": str(size.clients + client), "therapist": str(size.therapists + therapist), "day": slot // 12,
            "hour": slot % 12 * 2, "number": f"reserved {client} {therapist} {slot}",
        }  # fmt: skip

    def chosen(self, names: Sequence[str]) -> list[Contender]:
        """Return the contenders of these names."""
        contenders = single_round_trip(self.scratch)
        return [contenders[name] for name in names]
