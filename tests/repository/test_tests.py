"""Where tests are, what they are called, and what they share."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tests.support import ROOT

TESTS = ROOT / "tests"
LONGEST_NAME = 60
# A name that begins so has no subject.
QUESTION = re.compile("test_(what|whatever|who|whoever|of|where|wherever|when|whenever)_")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(TESTS.rglob("*.py")):
        if "node_modules" not in path.parts:
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(module: ast.Module) -> Iterator[str]:
    """The modules that a module imports, and what of a package may be one."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def names() -> Iterator[tuple[str, str]]:
    for path, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield path, node.name


def test_no_module_imports_from_a_test_module() -> None:
    lent = [
        f"{path} imports {name}"
        for path, module in modules()
        for name in imported(module)
        if any(part.startswith("test_") or part == "conftest" for part in name.split(".") if name.startswith("tests."))
    ]

    assert lent == []


def test_name_of_a_test_is_under_60_letters() -> None:
    assert [f"{path}: {name}" for path, name in names() if len(name) >= LONGEST_NAME] == []


def test_name_of_a_test_begins_with_its_subject() -> None:
    assert [f"{path}: {name}" for path, name in names() if QUESTION.match(name)] == []


def test_name_of_a_test_is_in_one_module() -> None:
    assert [name for name, times in Counter(name for _, name in names()).items() if times > 1] == []


def test_every_test_module_lies_in_a_folder_of_its_subject() -> None:
    assert [path.name for path in TESTS.glob("test_*.py")] == []
