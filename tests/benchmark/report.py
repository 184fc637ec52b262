"""What a benchmark found: figures of contenders, ratios between them, and whether the ratios are what was aimed at."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.benchmark.measurement import Figures, Ratio, ratio
from tests.benchmark.profiling import Part, Profile

_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "at most": operator.le, "at least": operator.ge, "exactly": operator.eq,
}  # fmt: skip
# Of everything else less is better.
_MORE_IS_BETTER: Final = ("throughput", "speed")


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: "at most", "at least" or "exactly" a limit.

    Attributes:
        bound: "at most", "at least" or "exactly".
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
        measure: which figure of it; "speed" is bookings a second of one connection.
        contender: whose.
        against: compared with whom: the ratio is the contender's figure divided by theirs. "" where the figure
            stands by itself.
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

    @property
    def words(self) -> str:
        """What the figure is, so that nobody has to guess which of the two is divided by the other.

        Example: ``"throughput of bookingdb / of ad-hoc"``
        """
        return f"{self.measure} of {self.contender} / of {self.against}" if self.against else self.measure

    @property
    def better(self) -> str:
        """Whether "more" or "less" of it is better for the contender; "" where one number is right."""
        if self.target is not None and self.target.bound == "exactly":
            return ""
        return "more" if self.measure in _MORE_IS_BETTER else "less"


@dataclass
class Report:
    """Everything that a run of the benchmark found.

    Attributes:
        machine: what it ran on, as words.
        rounds: the figures of each round, by workload and contender.
        comparisons: what was made of them.
        failures: how many bookings failed, by workload and code.
        violations: what check_invariants() said, of all workloads.
        profile: where the time of a booking goes; None where nobody looked.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    rounds: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    failures: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    profile: Profile | None = None

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
                "figure": each.words,
                "value": f"{each.ratio.median:.3g}",
                "better": each.better,
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
            "profile": asdict(self.profile) if self.profile else None,
        }


def from_dict(found: Mapping[str, Any]) -> Report:
    """Return the report of which `to_dict` made this."""
    profile = found["profile"]
    return Report(
        dict(found["machine"]),
        {
            workload: {name: [Figures(**each) for each in rounds] for name, rounds in contenders.items()}
            for workload, contenders in found["rounds"].items()
        },
        [
            Comparison(
                each["workload"], each["measure"], each["contender"], each["against"], Ratio(**each["ratio"]),
                Target(**each["target"]) if each["target"] else None,
            )
            for each in found["comparisons"]
        ],
        dict(found["failures"]),
        list(found["violations"]),
        Profile(**profile | {"parts": [Part(**part) for part in profile["parts"]]}) if profile else None,
    )  # fmt: skip


def _median(found: Sequence[Figures], measure: str, style: str) -> str:
    values = sorted(value for each in found if (value := getattr(each, measure)) is not None)
    return format(values[len(values) // 2], style) if values else "n/a"
