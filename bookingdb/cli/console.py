"""The shared parts of all commands: the exit code of a refusal, the connection, and printing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import psycopg

from bookingdb import database
from bookingdb.records import Record

REFUSED: Final = 1


def open_database(database_url: str | None) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect to the database of this command and say on standard error which it is.

    Raises `DatabaseUnreachable` or `NoDatabase`.

    Example: ``with open_database(database_url) as connection: ...``
    """
    target = database.resolve(database_url)
    connection = database.connect(target)
    click.echo(f"bookingdb: {database.describe(connection, target)}", err=True)
    return connection


def print_json(value: Any) -> None:
    """Print `value` as JSON; what JSON does not know (UUIDs, times) as text."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_value(name: str, value: Any, as_json: bool) -> None:
    """Print a single value, bare or as a JSON object with this name."""
    if as_json:
        print_json({name: value})
    else:
        click.echo(str(value))


def print_records(records: Sequence[Record], as_json: bool, *, single: bool = False) -> None:
    """Print records as JSON (one object if `single`, else a list) or as a table; one record as its fields."""
    rows = [record.to_dict() for record in records]
    if as_json:
        print_json(rows[0] if single else rows)
    elif single:
        print_table([{"": name, " ": value} for name, value in rows[0].items()])
    else:
        print_table(rows)


def print_table(rows: Sequence[Mapping[str, Any]], nothing: str = "None.") -> None:
    """Print rows with the same keys as a table; nothing is lost where the terminal is narrow, or is none."""
    if not rows:
        click.echo(nothing)
        return
    from rich.box import SIMPLE  # noqa: PLC0415 (half of what starting the command would take)
    from rich.console import Console  # noqa: PLC0415 (half of what starting the command would take)
    from rich.table import Table  # noqa: PLC0415 (half of what starting the command would take)

    table = Table(box=SIMPLE, show_edge=False, show_header=any(name.strip() for name in rows[0]))
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    console = Console()
    # A file or a pipe has no width: lines as long as they must be, for grep and cut.
    Console(width=None if console.is_terminal else 1000).print(table)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)
