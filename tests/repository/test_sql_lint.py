"""What a linter of SQL text cannot see: whether the bodies of the functions are sound plpgsql.

pglast knows the syntax of SQL and plpgsql. plpgsql_check, an extension that few servers have, also knows the tables: it
finds columns that do not exist or are ambiguous, results of the wrong type, and variables that nothing uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pglast
import pytest

from bookingdb.install import source
from bookingdb.install.source import FunctionFile
from tests.support import ROOT, World, connect, run
from tests.support.databases import url_of

SOURCE = source.load()

CHECK_ALL_FUNCTIONS = """
    select format('%s line %s: %s (%s)', p.oid::regprocedure, c.lineno, c.message, c.level)
    from pg_proc as p
    inner join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
    -- A trigger function is checked once for each table it serves, as if every trigger gave it both old and new rows:
    -- that it asks tg_op which of them there are, the extension does not understand.
    left join (
        select g.tgfoid, g.tgrelid, max(g.tgoldtable) as tgoldtable, max(g.tgnewtable) as tgnewtable
        from pg_trigger as g
        -- Once a statement and without its rows (TRUNCATE): there is nothing of the table in it.
        where g.tgtype & 1 = 1 or g.tgoldtable is not null or g.tgnewtable is not null
        group by g.tgfoid, g.tgrelid
    ) as t on t.tgfoid = p.oid
    cross join lateral plpgsql_check_function_tb(
        funcoid => p.oid, relid => coalesce(t.tgrelid, 0), oldtable => t.tgoldtable, newtable => t.tgnewtable,
        fatal_errors => false, extra_warnings => true, security_warnings => true
    ) as c
    where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)
    order by 1
"""


def syntax_errors(parse: Callable[[str], Any], texts: Iterable[tuple[str, str]]) -> list[str]:
    """Which of these texts, by their paths, do not parse, and why."""
    found = []
    for path, text in texts:
        try:
            if not parse(text):
                found.append(f"{path}: there is nothing in it")
        except pglast.parser.ParseError as error:
            found.append(f"{path}: {error}")
    return found


def body(function: FunctionFile) -> str:
    # pglast knows the types of two schemas only, and no array of composite ones.
    return re.sub(r"(bookingdb|public)\.\w+\[\]", "text[]", function.text).replace("bookingdb.", "public.")


def test_bodies_are_plpgsql() -> None:
    functions = [(function.path, body(function)) for function in SOURCE.functions]

    assert len(functions) > 150
    assert syntax_errors(pglast.parse_plpgsql, functions) == []


def test_files_are_sql() -> None:
    files = sorted((ROOT / "sql").rglob("*.sql"))

    assert len(files) > 150
    assert syntax_errors(pglast.parse_sql, ((str(path), path.read_text(encoding="utf-8")) for path in files)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("end if;", "endif;"),
        ("limit 1", "limit limit"),
        ("insert into", "insert in to"),
        ("v_lot_id uuid;", "v_lot_id;"),
        ("into v_lot_id,", "into v_unknown,"),
    ],
)
def test_a_mistake_in_a_body_is_noticed(right: str, wrong: str) -> None:
    (function,) = (function for function in SOURCE.functions if function.name == "take_credit")
    assert right in function.text

    (found,) = syntax_errors(pglast.parse_plpgsql, [(function.path, body(function).replace(right, wrong))])
    assert found.startswith(f"{function.path}: ")


@pytest.fixture
def checker(world: World) -> str:
    """A database with bookingdb and plpgsql_check in it, as superuser."""
    if not world.run("select name from pg_available_extensions where name = 'plpgsql_check'"):
        pytest.skip("this server does not have the extension plpgsql_check")
    url = url_of(world.url, world.connection.info.dbname)
    with connect(url) as connection:
        run(connection, "create schema lint")
        run(connection, "create extension plpgsql_check with schema lint")
    return url


def findings(url: str) -> list[str]:
    with connect(url) as connection:
        run(connection, "set search_path = lint, public")
        return [finding for (finding,) in run(connection, CHECK_ALL_FUNCTIONS)]


def test_plpgsql_check_finds_nothing(checker: str) -> None:
    found = findings(checker)

    assert found == [], "\n".join(found)


def test_plpgsql_check_finds_what_pglast_cannot(checker: str, world: World) -> None:
    world.run(
        """
        create function bookingdb.wrong() returns table (id uuid) language plpgsql as $function$
        declare
            v_unused integer;
        begin
            return query select id, 1 from public.sessions where no_column;
        end;
        $function$
        """
    )
    world.run(
        """
        create or replace function bookingdb.sessions_changed() returns trigger language plpgsql as $function$
        begin
            perform n.no_column from old_rows as n;
            return null;
        end;
        $function$
        """
    )

    text = "\n".join(findings(checker))

    assert "sessions_changed() line 3: column n.no_column does not exist" in text
    assert 'unused variable "v_unused"' in text
    assert "wrong() line 5" in text
