"""The package is built in layers: a module imports from its own layer and from those below it, and never in a circle.

Imports are read from the text, also those inside functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.support import ROOT

PACKAGE = "bookingdb"

# From the bottom up, by the first name below the package. The package itself collects the public names, for edges and
# for applications. Edges are the last layer; they do not know each other, but for the command that runs the worker.
LAYERS = (
    ["text"], ["errors"], ["records"], ["policy_setting"], ["policy"], ["calls"], ["acting"], ["execution"], ["client"],
    [PACKAGE], ["ical"], ["queries"], ["local"], ["database"], ["install"], ["checks"], ["adoption"],
    ["worker", "cli"],
)  # fmt: skip
KNOWN_EDGES = {("cli", "worker")}
LEVELS = {name: level for level, layer in enumerate(LAYERS) for name in layer}


def modules() -> dict[str, Path]:
    """All modules of the package by their dotted names; a package goes by its own name."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files)
    return dict(zip(names, files, strict=True))


def imported(text: str, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """The modules of the package that a text imports, each with the line."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names if alias.name in known)
            case ast.ImportFrom(module=str(module), names=names, level=0) if module in known:
                for alias in names:
                    inner = f"{module}.{alias.name}"
                    yield node.lineno, inner if inner in known else module
            case ast.ImportFrom(level=level) if level:
                raise AssertionError(f"line {node.lineno}: a relative import does not say what it imports")


def wing(module: str) -> str:
    return module.split(".")[1] if "." in module else PACKAGE


def level_of(module: str) -> int:
    return LEVELS[wing(module)]


def knows(edge: str, other: str) -> bool:
    return edge == other or (edge, other) in KNOWN_EDGES


def test_no_module_imports_upward_or_in_a_circle() -> None:
    known = modules()
    graph = {name: set[str]() for name in known}
    upward = []
    for name, path in known.items():
        for line, target in imported(path.read_text(encoding="utf-8"), known):
            graph[name].add(target)
            edge = level_of(name) == len(LAYERS) - 1
            if (
                level_of(target) > level_of(name)
                or (target == PACKAGE and not edge)
                or (edge and level_of(target) == level_of(name) and not knows(wing(name), wing(target)))
            ):
                upward.append(f"{path.relative_to(ROOT)}:{line}: {name} imports {target}")
    assert upward == []

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"imports in a circle: {' <- '.join(error.args[1])}") from None
