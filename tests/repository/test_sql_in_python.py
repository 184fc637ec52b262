"""SQL of the package lies in .sql files: a string of Python holds one line of it at most."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support import ROOT

# The words that a statement begins with, in lower case as everywhere here.
STATEMENT = re.compile(
    r"\s*\(?(select|insert into|update|delete from|with|values|create|alter|drop|grant|revoke|comment on|truncate|lock"
    r"|copy|do|set|begin|declare|call|explain|merge into)\s"
)
# install/functions.py lays out each public function after the header of its engine function: it writes SQL, and sends
# none.
TEMPLATES = {"bookingdb/install/functions.py"}


def statements_of_several_lines(text: str) -> Iterator[int]:
    """The lines in which such strings begin; what is joined inside an f-string belongs to it."""
    module = ast.parse(text)
    parts = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(module) if isinstance(node, ast.JoinedStr)
    }
    for node in ast.walk(module):
        if id(node) in parts:
            continue
        match node:
            case ast.Constant(value=str(value)):
                pass
            case ast.JoinedStr(values=values):
                value = "".join(str(part.value) for part in values if isinstance(part, ast.Constant))
            case _:
                continue
        # Adjacent strings are one string, of as many lines as they take.
        if STATEMENT.match(value) and (node.end_lineno != node.lineno or "\n" in value.strip()):
            yield node.lineno


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("run('select 1')", []),
        ("run('''\n  select 1\n''')", [1]),
        ("run('select 1'\n    ' from t')", [1]),
        ("run(\n    f'update {t}'\n    f' set a = {b}')", [2]),
        ("run('delete from t\\nwhere true')", [1]),
        # Statements of two files are joined.
        ("run(f'with {one}\\n{other}')", []),
        ('"""Select\n\nwhat is there."""', []),
    ],
)
def test_sql_of_several_lines_in_a_string_is_found(text: str, lines: list[int]) -> None:
    assert list(statements_of_several_lines(text)) == lines


def test_string_of_the_package_holds_one_line_of_sql_at_most() -> None:
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{line}"
        for path in sorted((ROOT / "bookingdb").rglob("*.py"))
        for line in statements_of_several_lines(path.read_text(encoding="utf-8"))
        if path.relative_to(ROOT).as_posix() not in TEMPLATES
    ]

    assert found == []
