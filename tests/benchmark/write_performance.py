"""Writes what ``python -m tests.benchmark --json`` measured into docs/performance.md: ``make performance``."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmark.measurement import ratio
from tests.benchmark.report import Comparison, Report, Target, from_dict
from tests.torture.figures import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by make performance -->", "<!-- end of figures -->"
# By measure: where it is measured, how it may grow with the sessions, and how without statistics.
WATCHED = {
    "mean": ("1 connection", Target("at most", 1.10), Target("at most", 1.2)),
    "throughput": ("16 connections", Target("at least", 0.85), Target("at least", round(1 / 1.2, 3))),
}


def sessions(report: Report) -> int:
    """How many there were before the first booking."""
    return int(report.machine["sessions"])


def name(report: Report) -> str:
    """What a run is called: by how much there was."""
    return f"{sessions(report):,} sessions{'' if report.machine['statistics'] else ', no statistics'}"


def growth(reports: Sequence[Report]) -> list[Comparison]:
    """Return how figures of one run compare with those of another, where both measured them.

    With statistics, each size is compared with the smallest; without, with the same size, else with the smallest.
    """
    analysed = sorted((each for each in reports if each.machine["statistics"]), key=sessions)
    if not analysed:
        return []
    smallest, by_size = analysed[0], {sessions(each): each for each in analysed}
    stale = [each for each in reports if not each.machine["statistics"]]
    pairs = [(each, smallest) for each in analysed[1:]]
    pairs += [(each, by_size.get(sessions(each), smallest)) for each in stale]
    found = []
    for (later, earlier), measure, contender in itertools.product(pairs, WATCHED, ("bookingdb", "floor")):
        workload, of_size, of_statistics = WATCHED[measure]
        first, second = (each.rounds.get(workload, {}).get(contender, []) for each in (later, earlier))
        if first and second:
            rounds = [(getattr(a, measure), getattr(b, measure)) for a, b in itertools.product(first, second)]
            target = of_size if later.machine["statistics"] else of_statistics
            found.append(
                Comparison(
                    workload, measure, f"{contender}, {name(later)},", name(earlier), ratio(rounds),
                    target if contender == "bookingdb" else None,
                )
            )  # fmt: skip
    return found


def rows(found: Sequence[dict[str, Any]]) -> str:
    """Lay rows out as a table."""
    lines = [f"| {' | '.join(map(str, each.values()))} |" for each in found]
    return table(tuple(found[0]), lines)


def section(report: Report) -> Iterable[str]:
    """Yield the parts of what one run found."""
    machine = report.machine
    yield f"### {name(report)}"
    yield (
        f"bookingdb {machine['version']} on Postgres {machine['postgres']}, {machine['date']}:\n"
        f"{machine['cpus']} cores, {machine['memory']} of memory, {machine['disk']}, {machine['system']};\n"
        f"{machine['rounds']} rounds, {machine['clients']:,} clients, {machine['therapists']:,} therapists."
    )
    if report.comparisons:
        yield rows(report.table())
    if report.rounds:
        yield rows(report.figures())
    if report.profile is not None:
        yield "#### Where the time goes"
        yield (
            f"{report.profile.bookings} bookings at one connection, their functions counted, which made them take"
            f" {report.profile.counting:.3g} times as long until they were answered."
        )
        yield rows(report.profile.table())
    if report.failures:
        yield rows(
            [
                {"workload": workload, "came to": ", ".join(f"{count} {code}" for code, count in sorted(codes.items()))}
                for workload, codes in report.failures.items()
            ]
        )
    yield f"`check_invariants()` after each workload: {len(report.violations) or 'no'} violations."


def written(reports: Sequence[Report]) -> str:
    """Return what comes between the markers."""
    ordered = sorted(reports, key=lambda each: (not each.machine["statistics"], sessions(each)))
    parts: list[str] = []
    if compared := growth(ordered):
        parts += ["### From one size to another, and without statistics", rows(Report(comparisons=compared).table())]
    parts += [part for report in ordered for part in section(report)]
    return "\n\n".join(parts)


def put(text: str, document: str) -> str:
    """Return the document with the text between its markers."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("docs/performance.md has lost its markers")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Read the files that are named, and write the document anew."""
    files = sys.argv[1:]
    if not files:
        sys.exit("usage: python -m tests.benchmark.write_performance FILE...")
    reports = [from_dict(json.loads(Path(file).read_text(encoding="utf-8"))) for file in files]
    DOCUMENT.write_text(put(written(reports), DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{DOCUMENT}: {len(reports)} runs")


if __name__ == "__main__":
    main()
