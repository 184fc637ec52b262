"""The guards that mutants take away are there, and so are the tests that should notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import mutants


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_that_a_mutant_removes_is_there(mutant: mutants.Mutant, tmp_path: Path) -> None:
    copied = tmp_path / mutant.path
    copied.parent.mkdir(parents=True)
    original = (mutants.ROOT / mutant.path).read_text(encoding="utf-8")
    copied.write_text(original, encoding="utf-8")

    mutants.apply(mutant, tmp_path)

    assert copied.read_text(encoding="utf-8") != original
    assert mutants.find_test(mutant.test)
