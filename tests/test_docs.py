"""The examples of README and docs, run; what they show is what they print.

A block of ``sql`` or ``python`` runs in the document's own database, in order; the block of ``text`` right after it is
its output. A second word after the language (```` ```sql signature ````) marks what is shown and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import World

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_examples_print_what_the_document_shows(document: Path, world: World, bin_dir: Path) -> None:
    # The documents speak in UTC and as the owner.
    environment = {**os.environ, "DATABASE_URL": world.url, "PGTZ": "UTC"}
    psql = [str(bin_dir / "psql"), "--no-psqlrc", "--quiet", "--dbname", world.url]

    for language, code, shown in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language not in ("sql", "python"):
            continue
        command = psql if language == "sql" else [sys.executable, "-"]
        result = subprocess.run(
            command,
            input=code,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        # Where an error was raised is of no interest to the reader.
        printed = result.stdout.partition("CONTEXT:")[0]
        assert lines(printed) == lines(shown), f"{document.name}:\n{code}\nprints:\n{printed}"


def test_javascript_calls_the_function_by_parameters_that_it_has(world: World) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```js\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (function,) = re.findall(r"rpc\('(\w+)'", code)
    values = dict(re.findall(r"(p_\w+): ([^,\n]+)", code))
    values |= {
        "p_user_id": f"'{world.client(credits=1)}'",
        "p_therapist_id": f"'{world.therapist()}'",
        "p_idempotency_key": "'cart'",
    }

    # PostgREST finds a function by the names of the arguments it is given, and so does this.
    arguments = ", ".join(f"{name} => {value}" for name, value in values.items())
    assert world.scalar(f"select status from {function}({arguments})") == "scheduled"


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_and_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / target).exists(), target
    for file, name in re.findall(r"(tests/\w+\.py)(?:::(\w+))?", text):
        assert (ROOT / file).exists(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if not re.match(r"psql:.*$|LINE \d", line)]
