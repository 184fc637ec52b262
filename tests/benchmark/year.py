"""A year of a busy practice: how large every table becomes, with housekeeping and without.

The functions book it, ahead of time; then it is moved into the past, and the sessions are completed. What is measured
is what is there, and what is left after housekeeping.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bookingdb.install import installer
from tests.benchmark import scratch
from tests.torture.figures import row as line
from tests.torture.figures import table

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"
BEGIN, END = "<!-- year: written by python -m tests.benchmark year -->", "<!-- end of year -->"
HEAD = ("table", "rows", "MB", "rows, with housekeeping", "MB, with housekeeping")
# Smaller tables are of no interest.
SMALL = 100_000
SIZES = """
    select c.relname, n.nspname || '.' || c.relname, pg_total_relation_size(c.oid)
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('public', 'bookingdb') and c.relkind = 'r'
    order by 3 desc, 1
"""


@dataclass(frozen=True)
class Year:
    """What was found.

    Attributes:
        tables: by name, rows and bytes before, rows and bytes after.
        removed: how many rows housekeeping removed.
        seconds: how long it took.
        calls: in how many calls.
    """

    tables: dict[str, tuple[int, int, int, int]]
    removed: int
    seconds: float
    calls: int

    def text(self, therapists: int) -> str:
        """What the document says of it."""
        rows = [
            (f"`{name}`", f"{rows:,}", f"{size / 1e6:.1f}", f"{rows_left:,}", f"{left / 1e6:.1f}")
            for name, (rows, size, rows_left, left) in self.tables.items()
        ]
        sums = [sum(figures[place] for figures in self.tables.values()) for place in range(4)]
        rows.append(("together", f"{sums[0]:,}", f"{sums[1] / 1e6:.1f}", f"{sums[2]:,}", f"{sums[3] / 1e6:.1f}"))
        return (
            f"A year of {therapists} therapists with forty sessions a week, every call with a key, every table packed"
            f" (`vacuum full`). The first housekeeping after it removed {self.removed:,} rows in {self.calls} calls and"
            f" {self.seconds:.1f} s.\n\n" + table(HEAD, [line(cells) for cells in rows])
        )


def simulate(conninfo: str, therapists: int, clients: int, report: Callable[[str], None]) -> Year:
    """Simulate the year in a scratch database of this server.

    Raises:
        RuntimeError: an invariant is violated.
    """
    with (
        scratch.empty(conninfo, f"{scratch.NAME}_year") as own,
        psycopg.connect(own, autocommit=True, prepare_threshold=None) as connection,
    ):
        installer.migrate(connection)
        for script in ("year_booked", "year_passed", "year_closed"):
            report(script)
            connection.execute(scratch.text(script, therapists=therapists, clients=clients).encode())
            _require_sound(connection)
        before = _sizes(connection)
        report("housekeeping")
        removed, calls, begun = 0, 0, time.monotonic()
        while True:
            row = connection.execute("select * from public.housekeeping()").fetchone()
            assert row is not None
            removed, calls = removed + sum(row), calls + 1
            if not any(row):
                break
        seconds = time.monotonic() - begun
        _require_sound(connection)
        after = _sizes(connection)
    tables = {name: (rows, size, *after[name]) for name, (rows, size) in before.items() if size > SMALL}
    return Year(tables, removed, seconds, calls)


def write(year: Year, therapists: int) -> None:
    """Put what was found into the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{year.text(therapists)}\n\n{END}{after}", encoding="utf-8")


def _sizes(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, tuple[int, int]]:
    """Return rows and bytes of each table, packed."""
    connection.execute("vacuum (full, analyze)")
    found: dict[str, tuple[int, int]] = {}
    for name, qualified, size in connection.execute(SIZES).fetchall():
        row = connection.execute(f"select count(*) from {qualified}".encode()).fetchone()
        assert row is not None
        found[str(name)] = int(str(row[0])), int(str(size))
    return found


def _require_sound(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    if violations := connection.execute("select * from bookingdb.check_invariants() limit 5").fetchall():
        raise RuntimeError(f"violated: {violations}")
