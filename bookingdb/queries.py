"""The SQL that this package sends, read from files beside the modules that send it.

A package keeps its queries in a folder ``sql``: one statement a file, named after what it gives or does
(``checks/sql/lint/210_unused_index.sql`` is ``load("bookingdb.checks", "lint/210_unused_index")``). A query of one
line may stand in the Python that sends it.

Values stand in a file as psql writes them, and nowhere else:

- ``:'name'`` is a value: a text, number, truth value, JSON or NULL; a list of texts becomes an array;
- ``:"name"`` is an identifier, quoted where it must be;
- ``:name`` is SQL as it is given: an expression, a condition, rows of VALUES.

They are put into the text here, quoted, and the text is sent without parameters. So a file says ``format('%I', x)``,
where psycopg's own parameters would need ``%%I``, and `bookingdb export` can write the same text down.

A comment at the top of a file is about the query. It is not sent; `heading` returns it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import LiteralString

from psycopg import sql

# Not the end of a cast (::text) and not the bound of a slice (names[2:last], names[:last]).
_PLACEHOLDER = re.compile(r"""(?<![:\w\[]):(?:'(?P<value>[a-z]\w*)'|"(?P<identifier>[a-z]\w*)"|(?P<text>[a-z]\w*))""")
_HEADING = re.compile(r"(?:--.*\n)*")


class QueryError(Exception):
    """A query has a placeholder that no value was given for."""


def load(package: str, name: str, /, **values: object) -> LiteralString:
    """Return a query of a package, ready to be sent.

    Args:
        package: the package beside whose modules the folder ``sql`` lies, such as ``bookingdb.checks``.
        name: the file below that folder, without its ending; folders end with a slash.
        values: what stands for the placeholders. Values that the query does not mention are left out.

    Returns:
        The text without the comment at its top and without white space around it. psycopg takes it as it is, without
        parameters.

    Raises:
        QueryError: a placeholder in quotes has no value.
        FileNotFoundError: there is no such file.

    Example:
        >>> load("bookingdb.install", "removal/triggers", prefix="_bookingdb").splitlines()[-2]
        "where not t.tgisinternal and starts_with(ltrim(t.tgname, 'z'), '_bookingdb')"
    """
    return fill(_read(package, name)[1], values)


def heading(package: str, name: str) -> str:
    """Return the comment at the top of a query, without its dashes.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return _read(package, name)[0]


def remark(package: str, name: str, key: str) -> str | None:
    """Return what the comment at the top of a query says after ``key:``, None when it does not say it.

    >>> remark("bookingdb.checks", "contents/20_time_zones", "problem")
    'knows no zone but UTC'
    """
    found = re.search(rf"^{key}: (.*)$", heading(package, name), re.MULTILINE)
    return found[1] if found else None


def names(package: str, folder: str) -> list[str]:
    """List the queries of a folder below ``sql``, sorted, in the form that `load` takes.

    >>> names("bookingdb.checks", "lint")[-1]
    'lint/210_unused_index'
    """
    found = files(package).joinpath("sql", folder).iterdir()
    return sorted(f"{folder}/{file.name.removesuffix('.sql')}" for file in found if file.name.endswith(".sql"))


def fill(text: str, values: Mapping[str, object]) -> LiteralString:
    """Put values for the placeholders of a text.

    A name without quotes for which no value is given stays as it is: Postgres has colons of its own.

    Raises:
        QueryError: a placeholder in quotes has no value.

    >>> fill('select * from :"table" as t where t.kind = any(:\\'kinds\\')', {"table": "Lots", "kinds": ["a", "b"]})
    'select * from "Lots" as t where t.kind = any(array[\\'a\\', \\'b\\'])'
    """

    def written(found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        name = found[kind]
        if name not in values:
            if kind == "text":
                return found[0]
            raise QueryError(f"no value for {found[0]}")
        match kind:
            case "value":
                given = values[name]
                return array(given) if isinstance(given, list | tuple) else literal(given)
            case "identifier":
                return sql.Identifier(str(values[name])).as_string(None)
            case _:
                return str(values[name])

    return _PLACEHOLDER.sub(written, text)


def literal(value: object) -> str:
    """Write a value as SQL.

    >>> literal("it's"), literal(None)
    ("'it''s'", 'NULL')
    """
    return sql.Literal(value).as_string(None).strip()


def array(texts: Collection[str]) -> str:
    """Write texts as an SQL array.

    >>> array(["a", "b"]), array([])
    ("array['a', 'b']", 'array[]::text[]')
    """
    return _array(tuple(texts))


# The same few lists, of names of ours, stand in most queries.
@lru_cache(maxsize=64)
def _array(texts: tuple[str, ...]) -> str:
    return f"array[{', '.join(map(literal, texts))}]{'' if texts else '::text[]'}"


def indented(text: str, spaces: int) -> str:
    """Indent every line but the first, for a query that stands inside another one at this depth."""
    return textwrap.indent(text, " " * spaces).strip()


@cache
def _read(package: str, name: str) -> tuple[str, str]:
    """Return the heading and the statement of a file."""
    text = files(package).joinpath("sql", *f"{name}.sql".split("/")).read_text(encoding="utf-8").replace("\r\n", "\n")
    comment = _HEADING.match(text)
    assert comment is not None
    lines = (line.removeprefix("--").strip() for line in comment[0].splitlines())
    return "\n".join(lines), text[comment.end() :].strip()
