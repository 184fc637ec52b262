"""Writes what ``python -m tests.benchmark --json`` measured into the documents: ``make performance``."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bookingdb.cli.console import print_table
from tests.benchmark.network import table as network_table
from tests.benchmark.report import Comparison, Report, from_dict
from tests.benchmark.side_by_side import UNCONTENDED
from tests.benchmark.targets import GROWTH, sessions_of
from tests.benchmark.targets import growth as growth_of
from tests.benchmark.targets import table as targets_table
from tests.torture.figures import table

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, APPENDIX = DOCS / "performance.md", DOCS / "performance-appendix.md"
TARGETS = "<!-- targets: written by make performance -->", "<!-- end of targets -->"
NETWORK = "<!-- network: written by make performance -->", "<!-- end of network -->"
FIGURES = "<!-- figures: written by make performance -->", "<!-- end of figures -->"


def name(report: Report) -> str:
    """What a run is called: by how much there was."""
    return f"{sessions_of(report):,} sessions{'' if report.machine['statistics'] else ', no statistics'}"


def growth(reports: Sequence[Report]) -> list[Comparison]:
    """Return how figures of one run compare with those of another, where both measured them.

    With statistics, each size is compared with the smallest; without, with the same size, else with the smallest.
    """
    analysed = sorted((each for each in reports if each.machine["statistics"]), key=sessions_of)
    if not analysed:
        return []
    smallest, by_size = analysed[0], {sessions_of(each): each for each in analysed}
    stale = [each for each in reports if not each.machine["statistics"]]
    pairs = [(each, smallest) for each in analysed[1:]]
    pairs += [(each, by_size.get(sessions_of(each), smallest)) for each in stale]
    found = []
    for (later, earlier), measure, contender in itertools.product(pairs, GROWTH, ("bookingdb", "floor")):
        workload, of_size, of_statistics = GROWTH[measure]
        measured = growth_of(later, earlier, measure, contender)
        if measured is not None:
            target = of_size if later.machine["statistics"] else of_statistics
            found.append(
                Comparison(
                    workload, measure, f"{contender}, {name(later)},", name(earlier), measured,
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
    ordered = sorted(reports, key=lambda each: (not each.machine["statistics"], sessions_of(each)))
    parts: list[str] = []
    if compared := growth(ordered):
        parts += ["### From one size to another, and without statistics", rows(Report(comparisons=compared).table())]
    parts += [part for report in ordered for part in section(report)]
    return "\n\n".join(parts)


def put(text: str, document: str, markers: tuple[str, str] = FIGURES) -> str:
    """Return the document with the text between these markers."""
    before, begin, rest = document.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise ValueError(f"the document has lost its markers {markers[0]}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def head(reports: Sequence[Report]) -> str:
    """Return the table of targets, and what it was measured on."""
    machine = reports[-1].machine
    took = ", ".join(f"{name(each)} in {each.machine.get('seconds', 0) / 60:.0f} minutes" for each in reports)
    return (
        f"{rows(targets_table(reports))}\n\n"
        f"Medians of {machine['rounds']} rounds with their quartiles. bookingdb {machine['version']} on Postgres"
        f" {machine['postgres']}, {machine['date']}:\n{machine['cpus']} cores, {machine['memory']} of memory,"
        f" {machine['disk']}, {machine['system']}.\nMeasured: {took}."
    )


def write(reports: Sequence[Report]) -> list[Path]:
    """Write what was measured into the documents, and return those.

    A run of what the table of targets needs leaves all other figures as they were.
    """
    ordered = sorted(reports, key=lambda each: (not each.machine["statistics"], sessions_of(each)))
    text = put(head([each for each in ordered if each.machine["statistics"]]), read(DOCUMENT), TARGETS)
    distant = next((found for each in ordered if (found := network_table(each))), None)
    if distant is not None:
        text = put(rows(distant), text, NETWORK)
    DOCUMENT.write_text(text, encoding="utf-8")
    if not any(UNCONTENDED in each.rounds for each in ordered):
        return [DOCUMENT]
    APPENDIX.write_text(put(written(ordered), read(APPENDIX)), encoding="utf-8")
    return [DOCUMENT, APPENDIX]


def read(document: Path) -> str:
    """Return what a document holds."""
    return document.read_text(encoding="utf-8")


def main() -> None:
    """Read the files that are named, write the documents anew, and print the table of targets."""
    files = sys.argv[1:]
    if not files:
        sys.exit("usage: python -m tests.benchmark.write_performance FILE...")
    reports = [from_dict(json.loads(Path(file).read_text(encoding="utf-8"))) for file in files]
    changed = write(reports)
    print_table(targets_table(reports))
    print(f"{', '.join(map(str, changed))}: {len(reports)} runs")


if __name__ == "__main__":
    main()
