"""Runs the pgTAP files of tests/sql, one test a file, and shows what they say when one of them fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bookingdb.install import installer
from tests.support import connect, pgtap, run
from tests.support.databases import url_of
from tests.support.hosts import SUPABASE

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def tap_database(supabase_server_url: str) -> Iterator[str]:
    """A Supabase project with bookingdb and pgTAP in it, as superuser: the files act as each of its roles."""
    owners = SUPABASE.create_database(supabase_server_url, "pgtap")
    with connect(owners) as owner:
        installer.migrate(owner)
    with connect(supabase_server_url) as connection:
        run(connection, "alter database pgtap set search_path = tap, public, extensions")
        url = url_of(supabase_server_url, "pgtap", SUPABASE.superuser)
        with connect(url) as inside:
            pgtap.install(inside)
        yield url
        run(connection, "drop database pgtap with (force)")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.sql")))
def test_sql(tap_database: str, name: str) -> None:
    lines = output_of(tap_database, read(FOLDER / f"{name}.sql"))

    assert problems(lines) == [], "\n".join(lines)


def read(path: Path) -> str:
    r"""Read a file as psql does: ``\ir OTHER`` stands for that file, whose path is relative to this one's folder."""
    return re.sub(
        r"^\\ir (\S+)$",
        lambda include: read(path.parent / include[1]),
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )


def output_of(url: str, script: str) -> list[str]:
    """Run a script, and return the lines of text that its statements return: TAP, and results that nobody reads."""
    lines: list[str] = []
    with connect(url) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(script)
        except psycopg.Error as error:
            # What ran before it is not handed out; where it happened is.
            lines.append(f"not ok - the file ends with an error: {error}")
        for result in cursor.results():
            if result.description is not None:
                lines += [line for row in result for line in str(row[0]).splitlines()]
    return lines


def problems(lines: list[str]) -> list[str]:
    """What is wrong with the output of a pgTAP file: tests that failed, or did not run."""
    plans = [int(line[3:]) for line in lines if re.fullmatch(r"1\.\.\d+", line)]
    numbers = [int(result[1]) for line in lines if (result := re.match(r"(?:not )?ok (\d+)", line))]
    found = [line for line in lines if line.startswith("not ok")]
    if len(plans) != 1 or numbers != list(range(1, plans[0] + 1)):
        found.append(f"planned {plans}, ran {len(numbers)}")
    return found


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("select plan(1); select ok(false, 'x'); select * from finish();", "not ok 1 - x"),
        ("select plan(2); select ok(true); select * from finish();", "planned [2], ran 1"),
        ("select plan(1); select ok(true); select ok(true); select * from finish();", "planned [1], ran 2"),
        ("select ok(true);", "not ok - the file ends with an error: You tried to run a test without a plan"),
        ("select plan(1); select 1 / 0;", "not ok - the file ends with an error: division by zero"),
        ("select 1;", "planned [], ran 0"),
    ],
)
def test_a_file_that_fails_is_noticed(tap_database: str, script: str, problem: str) -> None:
    found = problems(output_of(tap_database, f"begin; {script} rollback;"))

    assert any(line.startswith(problem) for line in found), found
