"""The budget of instructions: what exceeds it, and that what is added is counted."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from tests.benchmark import budget


def test_call_above_its_tolerance_exceeds_the_budget() -> None:
    kept = budget.Budget({"booking": 1_000_000, "hold": 500_000}, 0.02, "here")

    assert kept.exceeded({"booking": 1_020_000, "hold": 100_000}) == []
    assert kept.exceeded({"booking": 1_020_001, "hold": 500_000}) == ["booking"]
    assert kept.exceeded({"booking": 1_000_000}) == ["hold"]
    assert kept.exceeded({"booking": 1_000_000, "hold": 500_000, "cancel": 1}) == ["cancel"]


def test_budget_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = budget.write({"booking": 1_000_000.4}, tmp_path / "budget.json")

    assert budget.read(tmp_path / "budget.json") == made
    assert made.instructions == {"booking": 1_000_000}
    assert "PostgreSQL" in made.machine


def test_budget_has_every_operation_that_is_counted() -> None:
    counted = budget.operations(dt.date(2030, 1, 7), [])
    assert [operation.name for operation in counted] == list(budget.read().instructions)


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.slow
def test_statements_that_are_added_are_counted() -> None:
    asks = "select count(*) from public.users where id = md5('client ' || %(number)s)::uuid"
    once, twice = (
        budget.Operation(str(times), " union all ".join([asks] * times), lambda number: {"number": str(number)})
        for times in (1, 2)
    )
    with budget.counting(dt.date.today()) as (connection, counts):
        found = [budget.count(connection, operation, counts) for operation in (once, twice, once)]

    assert found[0] == pytest.approx(found[2], rel=0.01)
    assert found[1] > found[0] * 1.2
