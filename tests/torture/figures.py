"""What came out of a scenario, and the table that is made of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = (
    "scenario", "rounds", "operations", "lost", "doubled", "other outcomes", "recovery or longest stall", "measured on",
)  # fmt: skip
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

    def cells(self, machine: str) -> tuple[str, ...]:
        other = ", ".join(f"{count:,} {name}" for name, count in sorted(self.other.items())) or "none"
        numbers = (f"{number:,}" for number in (self.rounds, self.operations, len(self.lost), len(self.doubled)))
        times = [*self.times, *([f"**{len(self.wrong)} not as promised**"] if self.wrong else [])]
        return self.scenario, *numbers, other, "; ".join(times) or "-", machine


def row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def table(head: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([row(head), f"|{'---|' * len(head)}", *rows])


def write_row(begin: str, end: str, head: tuple[str, ...], cells: tuple[str, ...], order: list[str]) -> None:
    """Put a row into the table between two markers of the document, in place of the one of the same name.

    The other rows stay as they are, but for those whose name is none of `order` any more.
    """
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    old, _, after = rest.partition(end)
    lines = re.findall(r"^\| .*\|$", old, re.MULTILINE)
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    rows[cells[0]] = row(cells)
    text = table(head, [rows[name] for name in order if name in rows])
    DOCUMENT.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
