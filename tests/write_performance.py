"""Writes what `bookingdb bench --json` found into docs/performance.md: `python -m tests.write_performance FILE...`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click

from tests.torture.figures import row, table

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by make performance -->", "<!-- end of figures -->"
HEAD = ("workload", "measure", "", "against", "ratio or figure", "quartiles", "aimed at", "met")


def section(report: dict[str, Any], measured: dt.date) -> str:
    """What one run found: what it ran on, and a row for each comparison."""
    machine = report["machine"]
    statistics = "" if machine["statistics"] else ", no statistics"
    rows = [row(cells(each)) for each in report["comparisons"]]
    return (
        f"### {machine['sessions']:,} sessions{statistics}\n\n"
        f"PostgreSQL {machine['postgres']}, {machine['cpus']} cores, {measured}; {machine['clients']:,} clients,"
        f" {machine['therapists']:,} therapists, {machine['rounds']} rounds.\n\n" + table(HEAD, rows)
    )


def cells(comparison: dict[str, Any]) -> tuple[str, ...]:
    ratio, target = comparison["ratio"], comparison["target"]
    return (
        comparison["workload"], comparison["measure"], comparison["contender"], comparison["against"],
        f"{ratio['median']:.3g}", "" if ratio["low"] == ratio["high"] else f"{ratio['low']:.3g} to {ratio['high']:.3g}",
        f"{target['bound']} {target['limit']:g}" if target else "",
        {True: "yes", False: "**no**", None: ""}[comparison["met"]],
    )  # fmt: skip


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(files: tuple[Path, ...]) -> None:
    """Put a section for each of these reports in the place of all that are there."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    sections = [
        section(json.loads(file.read_text(encoding="utf-8")), dt.date.fromtimestamp(file.stat().st_mtime))
        for file in files
    ]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(sections) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
