"""What a benchmark found: figures of contenders, ratios between them, and whether the ratios are what was aimed at."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bookingdb.benchmark.measurement import Figures, Ratio, ratio

_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {"at most": operator.le, "at least": operator.ge}


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: "at most" or "at least" a limit.

    Attributes:
        bound: "at most" or "at least".
        limit: the figure aimed at.
    """

    bound: str
    limit: float

    def is_met(self, value: float) -> bool:
        """Whether the value is within the limit."""
        return _HOLDS[self.bound](value, self.limit)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of a contender, as a ratio to the same of another, or by itself.

    Attributes:
        workload: what was done.
        measure: which figure of it.
        contender: whose.
        against: compared with whom; "" where the figure stands by itself.
        ratio: the figure, over rounds.
        target: what was aimed at, if anything.
    """

    workload: str
    measure: str
    contender: str
    against: str
    ratio: Ratio
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        return None if self.target is None else self.target.is_met(self.ratio.median)


@dataclass
class Report:
    """Everything that a run of the benchmark found.

    Attributes:
        machine: what it ran on, as words.
        rounds: the figures of each round, by workload and contender.
        comparisons: what was made of them.
        failures: how many bookings failed, by workload and code.
        violations: what check_invariants() said, of all workloads.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    rounds: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    failures: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def add(self, workload: str, figures: Mapping[str, Figures]) -> None:
        """Keep what one round of a workload came to."""
        kept = self.rounds.setdefault(workload, {})
        for contender, found in figures.items():
            kept.setdefault(contender, []).append(found)

    def compare(self, workload: str, measure: str, contender: str, against: str, target: Target | None = None) -> None:
        """Add the ratio of a contender's figure to another's, round by round, where both were measured."""
        kept = self.rounds[workload]
        pairs = [
            (getattr(first, measure), getattr(second, measure))
            for first, second in zip(kept[contender], kept[against], strict=True)
        ]
        if all(None not in pair for pair in pairs):
            self.comparisons.append(Comparison(workload, measure, contender, against, ratio(pairs), target))

    def table(self) -> list[dict[str, Any]]:
        """Return the comparisons as rows for a table."""
        return [
            {
                "workload": each.workload,
                "measure": each.measure,
                "contender": each.contender,
                "against": each.against,
                "ratio": f"{each.ratio.median:.3g}",
                "quartiles": f"{each.ratio.low:.3g} to {each.ratio.high:.3g}",
                "target": f"{each.target.bound} {each.target.limit:g}" if each.target else "",
                "met": {True: "yes", False: "NO", None: ""}[each.met],
            }
            for each in self.comparisons
        ]

    def figures(self) -> list[dict[str, Any]]:
        """Return the medians over rounds of each contender's figures as rows for a table."""
        return [
            {
                "workload": workload,
                "contender": contender,
                "bookings": sum(each.bookings for each in found),
                "mean ms": _median(found, "mean", ".3f"),
                "p50 ms": _median(found, "p50", ".3f"),
                "p99 ms": _median(found, "p99", ".3f"),
                "a second": _median(found, "throughput", ".0f"),
                "CPU ms": _median(found, "cpu", ".3f"),
                "WAL bytes": _median(found, "wal", ".0f"),
            }
            for workload, contenders in self.rounds.items()
            for contender, found in contenders.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as what JSON knows."""
        return {
            "machine": self.machine,
            "comparisons": [asdict(each) | {"met": each.met} for each in self.comparisons],
            "rounds": {
                workload: {contender: [asdict(each) for each in found] for contender, found in contenders.items()}
                for workload, contenders in self.rounds.items()
            },
            "failures": self.failures,
            "violations": self.violations,
        }


def _median(found: Sequence[Figures], measure: str, style: str) -> str:
    values = sorted(value for each in found if (value := getattr(each, measure)) is not None)
    return format(values[len(values) // 2], style) if values else "n/a"
