"""Columns that get the types of bookingdb: which, and the expressions that convert their values there and back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bookingdb.adoption import readings
from bookingdb.adoption.application import Column
from bookingdb.adoption.pairs import pairs
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.checks.remedies import Attributes
from bookingdb.install.session import scalar

# Without these, in these types, nothing works; a difference of any other column is borne.
INDISPENSABLE = {
    "users": ("id",),
    "sessions": ("id", "user_id", "therapist_id"),
    "user_credits": ("id", "user_id", "credits_balance"),
    "booking_audit_log": ("id",),
}
# The expression of a column that keeps its type, because it does for bookingdb.
_STAYS = ""


@dataclass(frozen=True)
class TypeChange:
    """A column that gets another type.

    ``expression`` converts its values, ``back`` converts them back. ``default`` is that of bookingdb's column.
    """

    column: Column
    type: str
    expression: str
    back: str
    default: str | None

    @property
    def new_default(self) -> str | None:
        """The default afterwards: bookingdb's, else the old one without its cast (``'scheduled'::status``)."""
        old = self.column.default
        if self.default is not None or old is None:
            return self.default
        found = re.match(r"('(?:[^']|'')*')::", old)
        return found[1] if found else old

    def alter(self, clause: str) -> str:
        """Write a clause of ALTER TABLE about the column."""
        return f"alter column {self.column.quoted} {clause}"


def type_change(draft: PlanDraft, have: Column, wanted: Attributes) -> TypeChange | None:
    """Return how a column gets bookingdb's type, None where it keeps its own.

    A type that bookingdb cannot work with, and cannot convert, is a problem of the plan.
    """
    kind: str = wanted["type"]
    if kind in (have.type, have.kind):
        return None
    if kind == "timestamp with time zone":
        expression = _to_instant(draft, have)
    elif kind == "integer":
        expression = _to_integer(draft, have)
    elif kind == "text" or kind.startswith("character varying"):
        expression = _to_text(draft, have, kind)
    else:
        expression = None
    if expression is None:
        _note_misfit(draft, have, kind)
    return TypeChange(have, kind, expression, _back(draft, have), wanted["default"]) if expression else None


def _to_instant(draft: PlanDraft, have: Column) -> str | None:
    if have.kind == "timestamp without time zone":
        return f"{have.quoted} at time zone {draft.zone_of_timestamps}"
    if have.kind == "time without time zone" and have.table == "sessions":
        return _time_to_instant(draft, have)
    return _date_to_instant(draft, have) if have.type == "date" else None


def _time_to_instant(draft: PlanDraft, have: Column) -> str:
    """Put a time of day on the date beside it; an end before its start is on the next day."""
    dates = dates_of_sessions(draft)
    if not dates:
        draft.problems.append(f"public.sessions.{have.name} is a time of day, and no column has its date")
        return "null::timestamptz"
    answer = draft.ask(
        f"times.{have.name}",
        [
            f"sessions.{have.name} is a time of day ({have.type}); bookingdb needs an instant. Whoever reads it"
            " will see an instant; whoever writes a bare time of day there will be refused: change that first.",
        ],
        {"convert": "it becomes the instant of that time in the zone", "stop": "nothing is adopted"},
    )
    if answer == "stop":
        draft.problems.append(f"public.sessions.{have.name} is a time of day, and the answer is not to convert it")
    date = f"coalesce({', '.join(f'{name}::date' for name in dates)})"
    next_day = " + case when end_time < start_time then interval '1 day' else '0' end"
    return f"({date} + {have.name}{next_day if have.name == 'end_time' else ''}) at time zone {draft.zone}"


def _date_to_instant(draft: PlanDraft, have: Column) -> str:
    """Make a date the begin of its day; where something expires on it, the end of the day, if the owner says so."""
    if have.name != "expires_at":
        return f"{have.quoted}::timestamp at time zone {draft.zone}"
    answer = draft.ask(
        f"times.{have.table}.{have.name}",
        [f"public.{have.table}.{have.name} is a date; bookingdb needs an instant. Does that day still count?"],
        {"end_of_day": "the day itself still counts", "start_of_day": "it is over when that day begins"},
    )
    return f"({have.quoted} + {1 if answer == 'end_of_day' else 0})::timestamp at time zone {draft.zone}"


def dates_of_sessions(draft: PlanDraft) -> list[str]:
    """List the columns of sessions that have the date of a time of day."""
    return [name for name in ("scheduled_date", "session_date") if draft.app.column("sessions", name)]


def _to_text(draft: PlanDraft, have: Column, wanted: str) -> str | None:
    ours, theirs = (re.search(r"\((\d+)\)", kind) for kind in (wanted, have.type))
    if have.category == "e" or (have.category == "d" and _is_text(draft, have)):
        return f"{have.quoted}::text"
    if have.type.startswith("character("):
        return f"rtrim({have.quoted})"
    if have.type.startswith("character varying"):
        is_too_short = theirs and (ours is None or int(theirs[1]) < int(ours[1]))
        return have.quoted if is_too_short else _STAYS
    return _STAYS if have.type == "text" else None


def _is_text(draft: PlanDraft, have: Column) -> bool:
    """Tell whether a type is a domain over text."""
    query = "select y.typcategory = 'S' from pg_type as y where y.oid = to_regtype(%s)"
    return bool(scalar(draft.connection, query, have.type))


def _to_integer(draft: PlanDraft, have: Column) -> str | None:
    if have.type == "bigint":
        return _STAYS
    if not have.type.startswith(readings.NUMBERS):
        return None
    label = f"public.{have.table}.{have.name} ({have.type})"
    value = f"t.{have.quoted}"
    # `refuse_no_numbers` has spoken of those that are none. No CAST of infinity is possible before Postgres 14.
    numeric = f"case when {value}::text <> all ({_NO_NUMBERS}) then {value}::numeric end"
    if ids := _ids(draft, have, f"{numeric} not between -2147483648 and 2147483647"):
        draft.problems.append(f"{label} has numbers that are too large: {ids}")
    if ids := _ids(draft, have, f"{numeric} <> round({numeric})"):
        draft.problems.append(f"{label} has fractions; bookingdb counts whole ones: {ids}")
    return f"{have.quoted}::integer"


NO_NUMBER = "has NaN or Infinity, no number"
_NO_NUMBERS = "array['NaN', 'Infinity', '-Infinity']"
_MOST_IDS = 5


def refuse_no_numbers(draft: PlanDraft) -> None:
    """Make NaN and infinity a problem in every column that becomes whole numbers, or is summed up."""
    theirs = {pair.theirs for pair in pairs(draft.app, {}) if pair.ours == "duration_minutes"}
    for table in draft.app.tables:
        for name, have in draft.app.columns[table].items():
            ours = draft.our_column(table, name)
            is_counted = (ours and ours["type"] == "integer") or (table == "sessions" and name in theirs)
            if not is_counted or not have.type.startswith(("numeric", "real", "double precision")):
                continue
            if ids := _ids(draft, have, f"t.{have.quoted}::text = any ({_NO_NUMBERS})"):
                draft.problems.append(f"public.{table}.{name} ({have.type}) {NO_NUMBER}: {ids}")


def _ids(draft: PlanDraft, have: Column, condition: str) -> str:
    """List the ids of the first rows t of the column's table that meet a condition; empty without any."""
    query = f"select t.id::text from public.{have.table} as t where {condition} order by t.id limit {_MOST_IDS + 1}"
    ids = [id_ for (id_,) in draft.connection.execute(query)]
    more = " and others" if len(ids) > _MOST_IDS else ""
    return f"id {', '.join(ids[:_MOST_IDS])}{more}" if ids else ""


def _note_misfit(draft: PlanDraft, have: Column, wanted: str) -> None:
    """Note a type that cannot become bookingdb's: a problem where bookingdb depends on the column."""
    is_needed = (
        wanted in ("timestamp with time zone", "boolean")
        or have.name in ("status", "session_id")
        or (have.name in INDISPENSABLE[have.table] and have.table != "booking_audit_log")
    )
    if is_needed:
        draft.problems.append(f"public.{have.table}.{have.name} is of type {have.type}; bookingdb needs {wanted}")
    else:
        draft.note("tables", f"public.{have.table}.{have.name} is of type {have.type}, not {wanted}, and stays so")


def _back(draft: PlanDraft, have: Column) -> str:
    """Return the expression that makes a column what it was."""
    match have.kind:
        case "timestamp without time zone":
            return f"{have.quoted} at time zone {draft.zone_of_timestamps}"
        case "date":
            is_end = draft.answers.get(f"times.{have.table}.{have.name}") == "end_of_day"
            back = f" - interval '{1 if is_end else 0} days'"
            return f"(({have.quoted} at time zone {draft.zone}){back})::date"
        case "time without time zone":
            return f"({have.quoted} at time zone {draft.zone})::time"
        case _ if have.category == "e":
            return f"{have.quoted}::text::{have.type}"
        case _:
            return f"{have.quoted}::{have.type}"
