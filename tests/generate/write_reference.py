"""Writes what docs/sql-reference.md takes from sql/functions: of each public function the signature and the errors."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from bookingdb.install.functions import FunctionFile
from tests.support import ROOT
from tests.support.call_graph import ENGINE, SOURCE, errors

REFERENCE = ROOT / "docs" / "sql-reference.md"

_WIDTH = 120
_SIGNATURE = re.compile(r"^```sql signature\n.*?^```\n", re.MULTILINE | re.DOTALL)
_ERRORS = re.compile(r"^Errors: .*?\.\n(?=\n|\Z)", re.MULTILINE | re.DOTALL)


class ReferenceOutdated(Exception):
    """The reference has no place for what is made; the message says which."""


def contents() -> dict[Path, str]:
    """Return what the file must hold: its prose, with the signatures and errors of now.

    Raises:
        ReferenceOutdated: a public function has no section, or the section no place for one of the two.
    """
    text = REFERENCE.read_text(encoding="utf-8")
    for function in SOURCE.public_functions:
        section = re.search(rf"^## {function.name}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        if section is None:
            raise ReferenceOutdated(f"{REFERENCE.name} has no section {function.name}")
        written = section[0]
        for place, made in ((_SIGNATURE, signature(function)), (_ERRORS, errors_of(function))):
            written, places = place.subn(lambda _, made=made: made, written, count=1)  # type: ignore[misc]
            if not places:
                raise ReferenceOutdated(f"{REFERENCE.name}, {function.name}: there is no place for {made.split()[0]}")
        text = text[: section.start()] + written + text[section.end() :]
    return {REFERENCE: text}


def signature(face: FunctionFile) -> str:
    """The block that shows how a function is called and what it returns."""
    return f"```sql signature\n{face.name}({face.header.parameters})\nreturns {face.header.result}\n```\n"


def errors_of(face: FunctionFile) -> str:
    """The paragraph that lists the errors of a function."""
    listed = ", ".join(f"`{code}`" for code in errors(ENGINE[face.name]))
    return textwrap.fill(f"Errors: {listed}.", _WIDTH, break_long_words=False) + "\n"
