"""What all commands share: the exit code of a refusal, options, kinds of values, the connection, and printing."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar

import click
import psycopg

from bookingdb import database
from bookingdb.records import Record

REFUSED: Final = 1

Command = TypeVar("Command", bound=Callable[..., Any])


class Instant(click.ParamType[datetime]):
    """An instant on the command line: ISO 8601 with an offset."""

    name = "INSTANT"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> datetime:
        """Return the datetime; fails with a usage error where there is none, or no offset."""
        try:
            instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no instant such as 2030-01-07T10:00+01:00", parameter, context)
        if instant.tzinfo is None:
            self.fail(f"{value!r} needs an offset, such as Z or +01:00", parameter, context)
        return instant


class Date(click.ParamType[date]):
    """A date on the command line: ``2030-01-07``."""

    name = "DATE"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """Return the date; fails with a usage error where there is none."""
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is no date such as 2030-01-07", parameter, context)


class Moment(click.ParamType[date]):
    """An instant on the command line, or a date, which is a whole day of whatever zone is meant."""

    name = "DATE|INSTANT"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """Return the datetime or the date; fails with a usage error where there is neither."""
        is_date = isinstance(value, str) and len(value) == len("2030-01-07")
        return (DATE if is_date else INSTANT).convert(value, parameter, context)


class Duration(click.ParamType[timedelta]):
    """A length of time on the command line: ``90s``, ``30m``, ``24h``, ``2 days``, ``1 day 12:00:00``."""

    name = "DURATION"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> timedelta:
        """Return the timedelta; fails with a usage error where there is none."""
        if isinstance(value, timedelta):
            return value
        found = _UNITS.fullmatch(_CLOCK.sub(r"\1h\2m\3s", value))
        if found is None or not any(found.groups()):
            self.fail(f"{value!r} is no length of time such as 30m, 24h, '2 days' or 01:30:00", parameter, context)
        return timedelta(**{unit: int(number) for unit, number in found.groupdict("0").items()})


_CLOCK: Final = re.compile(r"([0-9]{2,4}):([0-5][0-9]):([0-5][0-9])")
_UNITS: Final = re.compile(
    r"(?:(?P<weeks>[0-9]{1,4}) ?(?:w|weeks?))? ?"
    r"(?:(?P<days>[0-9]{1,5}) ?(?:d|days?))? ?"
    r"(?:(?P<hours>[0-9]{1,6}) ?(?:h|hours?))? ?"
    r"(?:(?P<minutes>[0-9]{1,7}) ?(?:m|min|minutes?))? ?"
    r"(?:(?P<seconds>[0-9]{1,9}) ?(?:s|seconds?))?",
    re.ASCII,
)

INSTANT: Final = Instant()
MOMENT: Final = Moment()
DATE: Final = Date()
DURATION: Final = Duration()


def options(*given: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Make one decorator of several options and arguments; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(given):
            command = option(command)
        return command

    return decorate


def database_url_option(command: Command) -> Command:
    """Give a command the option ``--database-url``, as the parameter `database_url`."""
    return click.option(
        "--database-url",
        metavar="URL",
        help="The database; default: $BOOKINGDB_DATABASE_URL, $DATABASE_URL, PG*, the running local server.",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


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
