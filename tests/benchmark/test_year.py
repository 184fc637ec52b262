"""The simulation of a year: what the functions wrote is in order before housekeeping and after it, and it shrinks."""

from __future__ import annotations

import pytest

from tests.benchmark import year

# What housekeeping makes smaller; everything else stays as it is.
SHRINKING = {"outbox", "idempotency_keys", "calendar", "absences", "holds"}
# Four weeks of forty sessions lie ahead, of which one in twenty is cancelled.
AHEAD = 4 * 40 * 19 // 20


@pytest.mark.slow
def test_year_leaves_less_behind_with_housekeeping(server_url: str) -> None:
    found = year.simulate(server_url, 1, 20, lambda _: None)

    assert {name for name, (rows, _, left, _) in found.tables.items() if left < rows} == SHRINKING
    # A month of twelve, and what is booked ahead: most of the calendar, which a completed session leaves at once.
    for name in SHRINKING:
        rows, _, left, _ = found.tables[name]
        ahead = AHEAD if name == "calendar" else 0
        assert ahead <= left < ahead + (rows - ahead) / 2, (name, rows, left)
    assert found.removed == sum(rows - left for rows, _, left, _ in found.tables.values())
    assert "| `sessions` | 2,080 |" in found.text(1)
