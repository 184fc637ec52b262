"""What a booking is meant to cost, and the table that holds what was measured against it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmark.measurement import Ratio, ratio
from tests.benchmark.report import Comparison, Report, Target

LATENCY: Final = "1 connection, within hours"
COST: Final = "1 connection, within hours, in blocks"
THROUGHPUT: Final = "16 connections, within hours"
OPERATIONS: Final = "operations, within hours"
SLOTS: Final = "slots"
SLOTS_TIME: Final = "slots of 30 days, ms at p50"
NEXT_TIME: Final = "the next free time, ms at p50"
SEARCH_TIME: Final = "the first free of 500 in 7 days, ms at p50"

# There are targets for two sizes; growth is that of ten million sessions.
_FEW: Final = 100_000
_MANY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a comparison, and what it should come to.

    Attributes:
        words: what it is called.
        workload: where it is measured.
        measure: which figure.
        contender: whose.
        against: compared with whom; "" where the figure stands by itself.
        few: the target at 10,000 sessions.
        many: the target at 1,000,000.
    """

    words: str
    workload: str
    measure: str
    contender: str
    against: str
    few: Target
    many: Target

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a comparison of it has."""
        return self.workload, self.measure, self.contender, self.against


def _row(
    words: str, workload: str, measure: str, contender: str, against: str, bound: str, few: float, many: float
) -> Row:
    return Row(words, workload, measure, contender, against, Target(bound, few), Target(bound, many))


ROWS: Final = (
    _row("p50 / floor, 1 connection", LATENCY, "p50", "bookingdb", "floor", "at most", 1.30, 1.00),
    _row("CPU / floor", COST, "cpu", "bookingdb", "floor", "at most", 1.40, 1.00),
    _row("throughput / floor, 16 connections", THROUGHPUT, "throughput", "bookingdb", "floor", "at least", 0.75, 0.90),
    _row("speed / fair, 1 connection", LATENCY, "speed", "bookingdb", "fair", "at least", 0.85, 1.00),
    _row("throughput / fair, 16 connections", THROUGHPUT, "throughput", "bookingdb", "fair", "at least", 0.85, 1.00),
    _row("speed / ad-hoc, 1 connection", LATENCY, "speed", "bookingdb", "ad-hoc", "at least", 0.65, 0.80),
    _row("refusal by conflict, CPU / a booking", OPERATIONS, "cpu", "refusal", "booking", "at most", 0.40, 0.40),
    _row(
        "with key, p50 / floor with key", LATENCY, "p50", "bookingdb with key", "floor with key", "at most", 1.35, 1.05
    ),
    _row(
        "as a logged-in user (JWT), CPU / as a trusted caller", COST, "cpu", "bookingdb, logged in",
        "bookingdb, trusted", "at most", 1.10, 1.10,
    ),
    _row("WAL / floor, 16 connections", THROUGHPUT, "wal", "bookingdb", "floor", "at most", 0.70, 0.70),
    _row("hold, CPU / a booking", OPERATIONS, "cpu", "hold", "booking", "at most", 0.90, 0.90),
    _row("cancel, CPU / a booking", OPERATIONS, "cpu", "cancel", "booking", "at most", 0.90, 0.90),
    _row("reschedule, CPU / a booking", OPERATIONS, "cpu", "reschedule", "booking", "at most", 1.20, 1.20),
    _row("slots of 30 days, ms", SLOTS, SLOTS_TIME, "bookingdb", "", "at most", 1.2, 1.2),
    _row("next free time, ms", SLOTS, NEXT_TIME, "bookingdb", "", "at most", 1.0, 1.0),
    _row("first free of 500 therapists, ms", SLOTS, SEARCH_TIME, "bookingdb", "", "at most", 15, 15),
)  # fmt: skip
# By measure: how it may grow to ten million sessions, and how without statistics.
GROWTH: Final[Mapping[str, tuple[str, Target, Target]]] = {
    "p50": (LATENCY, Target("at most", 1.15), Target("at most", 1.2)),
    "throughput": (THROUGHPUT, Target("at least", 0.90), Target("at least", round(1 / 1.2, 3))),
}


def target(sessions: int, workload: str, measure: str, contender: str, against: str) -> Target | None:
    """Return what a comparison should come to in a database of this size; None where nothing is aimed at."""
    found = next((row for row in ROWS if row.key == (workload, measure, contender, against)), None)
    if found is None or sessions > _MANY:
        return None
    return found.few if sessions <= _FEW else found.many


def sessions_of(report: Report) -> int:
    """Return how many there were before the first booking."""
    return int(report.machine["sessions"])


def growth(larger: Report, smaller: Report, measure: str, contender: str = "bookingdb") -> Ratio | None:
    """Compare a figure of one run with the same of another, each round with each; None where one has none."""
    workload, _, _ = GROWTH[measure]
    first, second = (each.rounds.get(workload, {}).get(contender, []) for each in (larger, smaller))
    pairs = [(getattr(one, measure), getattr(other, measure)) for one in first for other in second]
    return ratio(pairs) if pairs else None


def table(reports: Iterable[Report]) -> list[dict[str, Any]]:
    """Return the targets as rows for a table, each beside what was measured.

    Of several runs of a size the last one counts; those without statistics are left out.
    """
    by_size = {sessions_of(each): each for each in reports if each.machine["statistics"]}
    few = next((by_size[size] for size in sorted(by_size, reverse=True) if size <= _FEW), None)
    many = next((by_size[size] for size in sorted(by_size) if _FEW < size <= _MANY), None)
    most = next((by_size[size] for size in sorted(by_size, reverse=True) if size > _MANY), None)
    heads = [f"{sessions_of(one) if one else size:,} sessions" for one, size in ((few, 10_000), (many, _MANY))]
    rows = [
        {"a booking within hours": row.words, heads[0]: _cell(few, row, row.few), heads[1]: _cell(many, row, row.many)}
        for row in ROWS
    ]
    for measure, (_, limit, _) in GROWTH.items():
        found = growth(most, few, measure) if most and few else None
        size = f"{sessions_of(most) if most else 10_000_000:,}"
        rows.append(
            {
                "a booking within hours": f"{measure} at {size} sessions / at {heads[0]}",
                heads[0]: stated(found, limit),
                heads[1]: "",
            }
        )
    return rows


def stated(measured: Ratio | None, limit: Target) -> str:
    """Say what was measured, its quartiles, the target, and how much is missing from it."""
    if measured is None:
        return f"not measured, target {limit.limit:g}"
    text = f"{measured.median:.3g} ({measured.low:.3g} to {measured.high:.3g}), target {limit.limit:g}: "
    if limit.is_met(measured.median):
        return text + "met"
    missed = abs(measured.median / limit.limit - 1)
    return text + f"{missed:.1%} {'above' if limit.bound == 'at most' else 'below'}"


def _cell(report: Report | None, row: Row, limit: Target) -> str:
    found = [each for each in report.comparisons if _key(each) == row.key] if report else []
    return stated(found[-1].ratio if found else None, limit)


def _key(found: Comparison) -> tuple[str, str, str, str]:
    return found.workload, found.measure, found.contender, found.against
