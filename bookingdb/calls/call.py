"""The parts of a call: a statement that invokes a function, its parameters, and what reads its rows."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from bookingdb.errors import BookingFailed, NotAllowed
from bookingdb.records import BookedSeries, BookedSession, Record, SkippedOccurrence, is_object

T = TypeVar("T")
R = TypeVar("R", bound=Record)

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A statement ready to be run, and what becomes of its rows.

    Attributes:
        statement: SQL with placeholders like ``%(p_user_id)s``, each cast to its type.
        parameters: their values.
        read: makes the result from the rows.
        needs_transaction: True where the call means nothing outside a transaction of the caller's.
    """

    statement: str
    parameters: Mapping[str, Any]
    read: Callable[[Rows], T]
    needs_transaction: bool = False

    def acting_as(self, user_id: UUID) -> "Call[T]":
        """Return this call as the user makes it, whoever made it and whatever is around it afterwards."""

        def read(rows: Rows) -> T:
            if (is_judged := rows[0][0]) is None:
                raise NotAllowed({"user_id": str(user_id)}, ACTS_ALREADY)
            if not is_judged:
                raise BookingFailed(hint=_NOT_JUDGED_HINT)
            # Around the columns of the call: is_judged and row_count, which is None without rows; restored.
            return self.read([row[2:-1] for row in rows if row[1] is not None])

        statement = _acting_as().replace(":user_id", "%(acting_as)s::text").replace(":call", self.statement)
        return Call(statement, {**self.parameters, "acting_as": str(user_id)}, read, self.needs_transaction)

    @property
    def function_name(self) -> str | None:
        """The SQL function that is called; None where a table is read."""
        found = re.search(r"public\.(\w+)\(", self.statement)
        return found and found[1]

    def numbered(self) -> tuple[str, tuple[Any, ...]]:
        """Return statement and parameters for drivers whose placeholders are ``$1``, ``$2`` …"""
        numbers = {name: f"${number}" for number, name in enumerate(self.parameters, start=1)}
        statement = re.sub(r"%\((\w+)\)s", lambda match: numbers[match[1]], self.statement)
        return statement, tuple(self.parameters.values())


# The advice for whoever acts as one user and would act as another.
ACTS_ALREADY = "Who acts as a user acts as nobody else. Use a client that acts as nobody."
_NOT_JUDGED_HINT = "The database does not know acting_as yet, and nothing was done: `bookingdb migrate` upgrades it."


@functools.cache
def _acting_as() -> str:
    """Return the statement around a call that acts as a user, without the comment at its top."""
    from importlib.resources import files  # noqa: PLC0415 (a tenth of what importing bookingdb would take)

    # Not by bookingdb.queries, which loads a driver.
    text = files("bookingdb.calls").joinpath("sql", "acting_as.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


class Argument(NamedTuple):
    """A checked value and the SQL type it is sent as."""

    type: str
    value: Any


def scalar(function: str, result: type[T], **arguments: Argument) -> Call[T]:
    """Return the call of a function whose result is one value of this type."""

    def read(rows: Rows) -> T:
        value = rows[0][0]
        assert isinstance(value, result)
        return value

    return Call(f"select {_invocation(function, arguments)}", values(arguments), read)


def nothing(function: str, *, needs_transaction: bool = False, **arguments: Argument) -> Call[None]:
    """Return the call of a function without a result."""
    statement = f"select {_invocation(function, arguments)}"
    return Call(statement, values(arguments), lambda _: None, needs_transaction)


def json_object(function: str, **arguments: Argument) -> Call[dict[str, Any]]:
    """Return the call of a function whose result is a JSON object."""

    def read(rows: Rows) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(rows[0][0])
        return found

    # Drivers read jsonb in their own ways, and asyncpg reads none.
    return Call(f"select {_invocation(function, arguments)}::text", values(arguments), read)


def one(function: str, model: type[R], **arguments: Argument) -> Call[R]:
    """Return the call of a function whose result is one row."""
    return Call(_selection(function, model, arguments), values(arguments), lambda rows: model.from_row(rows[0]))


def one_or_none(function: str, model: type[R], **arguments: Argument) -> Call[R | None]:
    """Return the call of a function whose result is one row, or none."""
    statement = _selection(function, model, arguments)
    return Call(statement, values(arguments), lambda rows: model.from_row(rows[0]) if rows else None)


def many(function: str, model: type[R], **arguments: Argument) -> Call[list[R]]:
    """Return the call of a function whose result is any number of rows."""
    statement = _selection(function, model, arguments)
    return Call(statement, values(arguments), lambda rows: [model.from_row(row) for row in rows])


def series(function: str, **arguments: Argument) -> Call[BookedSeries]:
    """Return the call of a function whose result is sessions that were booked, and occurrences that were not."""
    booked, skipped = columns(BookedSession), columns(SkippedOccurrence)
    statement = f"select r.outcome, {booked}, {skipped} from {_invocation(function, arguments)} as r"
    width = len(dataclasses.fields(BookedSession))

    def read(rows: Rows) -> BookedSeries:
        return BookedSeries(
            [BookedSession.from_row(fields[:width]) for outcome, *fields in rows if outcome == "booked"],
            [SkippedOccurrence.from_row(fields[width:]) for outcome, *fields in rows if outcome == "skipped"],
        )

    return Call(statement, values(arguments), read)


@functools.cache
def columns(model: type[Record]) -> str:
    """Return the columns that the model is made from, of a row ``r``."""
    return ", ".join(_column(field) for field in dataclasses.fields(model))


def _column(field: "dataclasses.Field[Any]") -> str:
    if field.type is timedelta:
        # Drivers cannot read an interval in every IntervalStyle.
        return f"extract(epoch from r.{field.name})::float8"
    # An application may have told its driver to read jsonb in its own way, and asyncpg reads none.
    return f"r.{field.name}::text" if is_object(field.type) else f"r.{field.name}"


def _selection(function: str, model: type[Record], arguments: Mapping[str, Argument]) -> str:
    selected = columns(model)  # type: ignore[arg-type]  # mypy holds a class against the __hash__ of its instances
    return f"select {selected} from {_invocation(function, arguments)} as r"


def _invocation(function: str, arguments: Mapping[str, Argument]) -> str:
    named = ", ".join(f"{name} => {placeholder(name, argument)}" for name, argument in arguments.items())
    return f"public.{function}({named})"


def placeholder(name: str, argument: Argument) -> str:
    """Return the place of an argument in a statement, with its type."""
    return f"%({name})s::{argument.type}"


def values(arguments: Mapping[str, Argument]) -> dict[str, Any]:
    """Return the values of arguments, by name."""
    return {name: argument.value for name, argument in arguments.items()}
