"""A database's catalogue of bookingdb's objects, in the form of ``sql/catalogue.json``.

Groups hold objects by name, objects hold attributes. The same installation reads the same on every version of Postgres,
so that one file, made of a fresh installation, says for all of them what must be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

from psycopg.rows import dict_row

from bookingdb import queries
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection
from bookingdb.install.source import Catalogue, Source

# Subjects that the queries of this package speak about; each is defined in sql/subjects, from those before it.
OURS = ("relations", "functions")


def read(connection: Connection, source: Source) -> Catalogue:
    """Read the groups of ``sql/catalogue`` and "privileges": object, role, privileges.

    The transaction must have been made ready with `session.prepare`. Functions come without their bodies.
    """
    cursor = connection.cursor(row_factory=dict_row)
    catalogue: Catalogue = {}
    for name in queries.names("bookingdb.checks", "catalogue"):
        # Each gives the name of the object first; the other columns are its attributes.
        rows = cursor.execute(query(source, name)).fetchall()
        catalogue[name.removeprefix("catalogue/")] = {row.pop("name"): row for row in rows}
    catalogue["privileges"] = {}
    for name, grantee, privileges in connection.execute(query(source, "privileges")):
        catalogue["privileges"].setdefault(name, {})[grantee] = privileges
    return catalogue


def owners(connection: Connection, source: Source) -> list[tuple[str, str]]:
    """List our objects as ALTER wants them named (``table public.users``), each with its owner, quoted where needed."""
    return connection.execute(query(source, "owners")).fetchall()


def bodies(connection: Connection, source: Source) -> dict[str, str]:
    """The text of each function, by signature."""
    return dict(connection.execute(query(source, "bodies")).fetchall())


def query(source: Source, name: str, *, subjects: Iterable[str] = OURS, **values: object) -> LiteralString:
    """Return a query of this package, with the definitions of what it speaks about before it."""
    values |= {
        "public_tables": PUBLIC_TABLES,
        "public_functions": [function.name for function in source.public_functions],
    }

    def load(name: str) -> LiteralString:
        return queries.load("bookingdb.checks", name, **values)

    definitions = ",\n".join(f"{subject} as (\n{load(f'subjects/{subject}')}\n)" for subject in subjects)
    return f"with {definitions}\n{load(name)}"
