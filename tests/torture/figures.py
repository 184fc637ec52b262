"""What came out of a scenario, and the table that is made of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = ("scenario", "rounds", "operations", "lost", "doubled", "other outcomes", "recovery or longest stall")
BEGIN, END = "<!-- figures: written by make torture -->", "<!-- end of figures -->"


@dataclass
class Figures:
    """What a scenario counted. `lost`, `doubled` and `wrong` say what was not as promised, and are empty."""

    scenario: str
    rounds: int = 0
    operations: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    # Lines of text, such as "recovery 0.41 s at most".
    times: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Everything that was not as promised."""
        return [
            *(f"lost: {text}" for text in self.lost),
            *(f"doubled: {text}" for text in self.doubled),
            *(f"wrong: {text}" for text in self.wrong),
        ]

    def cells(self) -> tuple[str, ...]:
        other = ", ".join(f"{count:,} {name}" for name, count in sorted(self.other.items())) or "none"
        numbers = (f"{number:,}" for number in (self.rounds, self.operations, len(self.lost), len(self.doubled)))
        return self.scenario, *numbers, other, "; ".join(self.times) or "-"


def row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def table(rows: list[str]) -> str:
    return "\n".join([row(HEAD), f"|{'---|' * len(HEAD)}", *rows])


def replace_between(begin: str, end: str, text: str) -> None:
    """Put a text into the document, in place of the one between two markers."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    DOCUMENT.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def write(measured: list[Figures], order: list[str], machine: str) -> None:
    """Put the rows of what was run into the document; what was not run keeps its row."""
    old = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in re.findall(r"^\| .*\|$", old, re.MULTILINE)}
    rows |= {figures.scenario: row(figures.cells()) for figures in measured}
    text = table([rows[name] for name in order if name in rows])
    replace_between(BEGIN, END, f"{text}\n\nMeasured on {machine}.")
