"""The shared parts of all commands: the connection, and how records are printed."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict

from bookingdb import Bookings, InvalidParameter, TherapistNotFound, UserNotFound, database
from bookingdb.acting import all_acting_as
from bookingdb.cli.output import output_width, print_json, print_rendered, remark, say
from bookingdb.errors import instant_in_words
from bookingdb.install import owner
from bookingdb.records import Person, Record
from bookingdb.text import printable

if TYPE_CHECKING:
    from rich.table import Table

# Columns between the texts of two cells.
_PADDING: Final = 3
# Ids, instants, codes and addresses are words to be copied; what is longer was written by somebody, and is folded.
_LONGEST_WORD: Final = 40
_WORD: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\S*|\S+")
_WORD_WITH_ID: Final = re.compile(r"\S*[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\S*")


def open_database(
    database_url: str | None, *, accepts_more_rights: bool = False, is_announced: bool = True
) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect to the database of this command and say on standard error which it is.

    All calls of the command are made as the user that ``--as`` names.

    With `accepts_more_rights`, the command itself takes care to run nothing that an owner with fewer rights wrote.

    Raises `DatabaseUnreachable` or `NoDatabase`, and `InstallError` for somebody who has more rights than the owner.

    Example: ``with open_database(database_url) as connection: ...``
    """
    acting_as = acting_user()
    # Addresses are looked up as the database role, before the command acts as anybody.
    if acting_as is not None and is_announced:
        user_id = person_id(acting_as, database_url) if "@" in acting_as else acting_as
        click.get_current_context().with_resource(all_acting_as(user_id))
    target = database.resolve(database_url)
    connection = database.connect(target)
    if is_announced:
        remark(database.describe(connection, target))
    if is_announced and database_url is not None and conninfo_to_dict(target.conninfo).get("password"):
        remark(
            "while this runs, everybody on this machine can read the password of --database-url (ps);"
            " PGPASSFILE, PGSERVICE or BOOKINGDB_DATABASE_URL keep it"
        )
    if not accepts_more_rights:
        try:
            owner.refuse_more_rights(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def person_id(address: str, database_url: str | None, *, is_therapist: bool = False) -> str:
    """Return the id of the person with this e-mail address, whatever its capitals.

    Raises `TherapistNotFound` or `UserNotFound` where nobody has it, and `InvalidParameter` where several do.

    Example: ``person_id("ada@example.com", None)``
    """
    # The command itself says which database it is.
    with open_database(database_url, is_announced=False) as connection:
        found = Bookings(connection).find_people(address)
    found = [person for person in found if person.email and person.email.lower() == address.strip().lower()]
    ids = [str(person.id) for person in found]
    if len(set(ids)) > 1:
        raise InvalidParameter(
            {"parameter": "e-mail address"}, f"Several people have it; give an id: {', '.join(ids)}."
        )
    if not ids:
        error = TherapistNotFound if is_therapist else UserNotFound
        raise error(hint=f"Nobody has the e-mail address {printable(address)}.")
    context = click.get_current_context(silent=True)
    if context is not None:
        # A command that finds no such client or therapist says who has the address.
        context.meta[ids[0]] = _why_not(found[0], printable(address), is_therapist)
    return ids[0]


def _why_not(person: Person, address: str, is_therapist: bool) -> str:
    """Say why somebody who has this address is not found as a client, or as a therapist."""
    kind = "therapist" if person.user_type == "therapist" else "client"
    if (kind == "therapist") != is_therapist:
        return f"{address} is the address of a {kind}."
    if not person.is_active:
        return f"{address} is a {kind} who was deactivated: `bookingdb activate {kind} {address}` undoes it."
    return f"{address} is a {kind} who is not verified, or not accepted yet."


def acting_user() -> str | None:
    """Return whom ``--as`` names, as it was typed; None where it was left out."""
    context = click.get_current_context(silent=True)
    named = context.find_root().params.get("acting_as") if context else None
    return None if named is None else str(named)


def moment_in_words(instant: datetime, time_zone: str | None) -> str:
    """Return an instant as people are shown it: to the second, in a zone that it names."""
    return instant_in_words(instant.replace(microsecond=0), time_zone)


def print_value(name: str, value: Any, as_json: bool) -> None:
    """Print a single value, bare or as a JSON object with this name."""
    if as_json:
        print_json({name: value})
    else:
        say(value)


def print_records(
    records: Sequence[Record],
    as_json: bool,
    *,
    single: bool = False,
    time_zone: str | None = None,
    without: Sequence[str] = (),
) -> None:
    """Print records as JSON (one object if `single`, else a list) or as a table; one record as its fields.

    In a table, instants are in `time_zone`; without one in that of the record, such as a session's, else in UTC.
    """
    rows = [{name: value for name, value in record.to_dict().items() if name not in without} for record in records]
    if not as_json:
        for record, row in zip(records, rows, strict=True):
            for name in row:
                moment = getattr(record, name, None)
                if isinstance(moment, datetime):
                    row[name] = moment_in_words(moment, time_zone or getattr(record, "time_zone", None))
    if as_json:
        print_json(rows[0] if single else rows)
    elif single:
        print_table([{"": name, " ": value} for name, value in rows[0].items()])
    else:
        print_table(rows)


def print_table(
    rows: Sequence[Mapping[str, Any]], nothing: str = "None.", *, narrow: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Print rows with the same keys as a table; nothing is lost where the terminal is narrow, or is none.

    No word is broken, be it an id, an instant or a code: where those of a row do not fit beside each other, each row
    is printed as its fields.

    Args:
        rows: the rows.
        nothing: what is printed where there are none.
        narrow: the same rows with fewer columns, for a terminal that is too narrow for `rows`.
    """
    if not rows:
        say(nothing)
        return
    columns = output_width()
    if narrow is not None and _width(rows, _natural_width) > columns:
        rows = narrow
    if len(rows[0]) > 2 and _width(rows, _least_width) > columns:
        print_rendered(*(part for row in rows for part in (_table([{"": n, " ": v} for n, v in row.items()]), "")))
    else:
        print_rendered(_table(rows))


def _table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    from rich.box import SIMPLE  # noqa: PLC0415 (half of what starting the command would take)
    from rich.table import Table  # noqa: PLC0415 (half of what starting the command would take)
    from rich.text import Text  # noqa: PLC0415 (half of what starting the command would take)

    table = Table(box=SIMPLE, show_edge=False, show_header=any(name.strip() for name in rows[0]))
    for name in rows[0]:
        table.add_column(Text(printable(name)), overflow="fold", min_width=_least_width(rows, name) or None)
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row.values()))
    return table


def _width(rows: Sequence[Mapping[str, Any]], of_column: Callable[[Sequence[Mapping[str, Any]], str], int]) -> int:
    """Return the width of a table whose columns are as wide as this says, with what is between them."""
    return sum(of_column(rows, name) + _PADDING for name in rows[0])


def _natural_width(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return max(len(line) for row in rows for line in (*_shown(row[name]).split("\n"), name))


def _least_width(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    """Return how narrow a column can be: as its longest word is, or the longest that has an id in it."""
    words = [word for row in rows for word in _WORD.findall(f"{name}\n{_shown(row[name])}")]
    return max((len(word) for word in words if len(word) <= _LONGEST_WORD or _WORD_WITH_ID.search(word)), default=0)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(printable, value))
    return "" if value is None else printable(value)
