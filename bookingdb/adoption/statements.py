"""The SQL text of an adoption: queries from files, statements on one line, quoted names."""

from __future__ import annotations

from functools import partial

from psycopg import sql

from bookingdb import queries

# Loads a query of this package: query("plan/has_duplicates", table="users").
query = partial(queries.load, "bookingdb.adoption")


def one_line(name: str, /, **values: object) -> str:
    """Load a statement of this package on a single line, as a plan shows it. Its literals hold no line ends."""
    return " ".join(query(name, **values).split())


def quoted(name: str) -> str:
    """Write a name as SQL, in quotes where it must be."""
    return sql.Identifier(name).as_string(None)
