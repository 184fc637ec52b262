"""The plan for the tables' constraints: the application's that contradict bookingdb, and ours that it lacks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from bookingdb.adoption import application, damage, readings
from bookingdb.adoption.application import TIMES, Application, Constraint
from bookingdb.adoption.plan.draft import CLEARING, STRENGTHENING, PlanDraft
from bookingdb.adoption.plpgsql_text import code
from bookingdb.adoption.statements import query
from bookingdb.install.session import literal

# Columns whose values both sides limit, and those that bookingdb writes.
_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "sessions": {"status": readings.STATUSES},
    "user_credits": {"status": damage.LOT_STATUSES, "user_type": ("user",)},
    "users": {"user_type": ("user", "therapist")},
}
# A CHECK that lists values, as Postgres prints it.
_LIST = re.compile(r"= ANY \(|^CHECK \(\((?:\(?\(?\w+\)?(?:::\w+)? = '[^']*'(?:::[\w ]+)?\)?(?: OR )?)+\)\)")


@dataclass(frozen=True)
class Promise:
    """A constraint of bookingdb's on a table of public, which holds whoever writes."""

    table: str
    name: str
    definition: str

    @property
    def is_primary_key(self) -> bool:
        """True for the primary key of its table."""
        return self.definition.startswith("PRIMARY KEY")

    @property
    def is_left_to_application(self) -> bool:
        """True for foreign keys and the check of statuses: the application's own take their place."""
        return self.definition.startswith("FOREIGN KEY") or self.name.endswith("_status_check")

    def is_kept_by(self, own: Constraint) -> bool:
        """Tell whether a constraint of the application does the same."""
        is_balance_check = own.kind == "c" and own.columns == ["credits_balance"] and ">= 0" in own.definition
        return own.name == self.name or (self.name == "user_credits_balance_check" and is_balance_check)


def adapt_constraints(draft: PlanDraft, table: str) -> None:
    """Plan which constraints of a table go, which change, and which are added."""
    own = [each for each in draft.app.constraints if each.table == table]
    for each in own:
        draft.note("constraints", f"public.{table}: {each.name} {each.definition}")
        _clear(draft, each)
    for each in own:
        if table == "sessions" and each.kind == "c" and "status" in each.columns and len(each.columns) > 1:
            _ask_about_status_check(draft, each)
    for column, known in _VALUES.get(table, {}).items():
        _widen_value_checks(draft, table, column, known)
    for promise in _promises(draft, table):
        if promise.is_primary_key:
            _add_primary_key(draft, promise, own)
        elif not promise.is_left_to_application and not any(promise.is_kept_by(each) for each in own):
            _add(draft, promise)


def keeps_sessions_apart(table: str, kind: str, columns: list[str], definition: str) -> bool:
    """Tell whether a constraint or unique index (kind u) is meant to keep sessions apart."""
    if table != "sessions":
        return False
    if kind == "x":
        return True
    named = set(columns)
    return (
        kind == "u"
        and bool(named & {"therapist_id", "user_id"})
        and (bool(named & TIMES) or bool(re.search(r"start_time|scheduled_|session_(date|time)", definition)))
    )


def _clear(draft: PlanDraft, each: Constraint) -> None:
    """Plan for a constraint of the application's that may contradict bookingdb."""
    if keeps_sessions_apart(each.table, each.kind, each.columns, each.definition):
        _ask_to_drop(draft, each, "the calendar refuses what overlaps, and lets a cancelled time be booked again")
    elif each.table == "booking_audit_log" and each.kind in ("c", "f"):
        _drop(draft, each, "the log tells of everything, and outlives what it tells of")
    elif each.table == "user_credits" and each.kind == "u" and "user_id" in each.columns:
        _ask_to_drop(draft, each, "a client has a row for each purchase")


def _drop(draft: PlanDraft, each: Constraint, reason: str) -> None:
    draft.change(CLEARING, each.label, reason, [each.removal], [each.making])


def _ask_to_drop(draft: PlanDraft, each: Constraint, reason: str) -> None:
    evidence = [f"The constraint of public.{each.table} says: {each.definition}.", f"It is not needed: {reason}."]
    if users := _users_in_on_conflict(draft.app, each):
        evidence.append(f"ON CONFLICT names it in {', '.join(users)}: these functions fail without it.")
    # A key that others rest on stays; but one of credits cannot, for a client has a row for each purchase.
    referring = application.referring(draft.connection, each)
    if referring:
        evidence.append(f"Foreign keys rest on it ({', '.join(referring)}): it can only go when they are gone.")
    default = "keep" if referring and each.table == "sessions" else "drop"
    choices = {"drop": "it goes", "keep": "it stays"}
    if draft.ask(f"constraint.{each.name}", evidence, choices, default) == "drop":
        if referring:
            draft.problems.append(f"constraint {each.name} cannot go while {', '.join(referring)} rests on it")
        _drop(draft, each, reason)


def named_in_on_conflict(app: Application, labels: set[str]) -> dict[str, list[str]]:
    """Return the constraints of these labels that an ON CONFLICT names, each with the functions that it is in."""
    uniques = [each for each in app.constraints if each.label in labels and each.kind in ("u", "x")]
    return {each.name: users for each in uniques if (users := _users_in_on_conflict(app, each))}


def _users_in_on_conflict(app: Application, each: Constraint) -> list[str]:
    named = rf"on conflict (?:on constraint {re.escape(each.name)}|\(\s*{each.columns[0]}\b)"
    return [function.signature for function in app.functions if re.search(named, code(function.source))]


def _ask_about_status_check(draft: PlanDraft, each: Constraint) -> None:
    """Ask what becomes of a CHECK that ties the status to columns which bookingdb leaves as they are."""
    refused = ", ".join(f"{status} ({count})" for status, count in _refused_statuses(draft, each).items()) or "none"
    answer = draft.ask(
        f"constraint.{each.name}",
        [
            f"The constraint of public.sessions says: {each.definition}.",
            "bookingdb's functions change the status and none of the application's own columns.",
            f"It would refuse these statuses to so many of the first 1000 sessions that take place: {refused}.",
        ],
        {
            "keep": "it stays: such a change fails with Postgres's own error (23514)",
            "drop": "it goes, and the application sees to it",
        },
    )
    if answer == "drop":
        _drop(draft, each, "bookingdb's functions must be able to change the status")


def _refused_statuses(draft: PlanDraft, each: Constraint) -> dict[str, int]:
    """Count for each status to how many sessions a CHECK refuses it, as far as Postgres can be asked."""
    columns = draft.app.columns["sessions"]
    others = ", ".join(f"t.{column.quoted}" for name, column in columns.items() if name != "status")
    counts = {}
    for status in readings.STATUSES:
        text = query(
            "plan/refused_by_check",
            others=others,
            refusable=f"{literal(status)}::{columns['status'].type}",
            active=readings.ACTIVE,
            condition=each.condition,
        )
        # A status that the column's type does not know is not in the way of this CHECK.
        with contextlib.suppress(psycopg.DataError, psycopg.errors.CheckViolation), draft.connection.transaction():
            row = draft.connection.execute(text).fetchone()
            counts[status] = row[0] if row else 0
    return {status: count for status, count in counts.items() if count}


def _widen_value_checks(draft: PlanDraft, table: str, column: str, known: tuple[str, ...]) -> None:
    """Let a CHECK of a column's values let in all values that bookingdb writes; the application's stay possible."""
    if draft.app.column(table, column) is None:
        return
    # Others than lists of values (of a length, of small letters) stay when they let ours in.
    checks = [
        each
        for each in draft.app.constraints
        if (each.table, each.kind, each.columns) == (table, "c", [column])
        and (_LIST.search(each.definition) or not _lets_in(draft, column, each, known))
    ]
    allowed = {value for each in checks for value in each.listed_values}
    if not checks or set(known) <= allowed:
        return
    present = f"select distinct t.{column}::text from public.{table} as t where t.{column} is not null"
    allowed |= {value for (value,) in draft.connection.execute(present)}
    values = [*known, *sorted(allowed - set(known))]
    name = f"{table}_{column}_check"
    cast = "::text" if table == "sessions" else ""
    condition = f"{column}{cast} in ({', '.join(literal(value) for value in values)})"
    draft.change(
        CLEARING,
        f"checks of public.{table}.{column}",
        "all values of bookingdb must be possible",
        [each.removal for each in checks],
        [each.making for each in checks],
    )
    draft.change(
        STRENGTHENING,
        f"constraint {name} on public.{table}",
        "this lets in what bookingdb writes"
        + (", and the application's own values" if len(values) > len(known) else ""),
        [f"alter table public.{table} add constraint {name} check ({condition})"],
        [f"alter table public.{table} drop constraint {name}"],
    )


def _lets_in(draft: PlanDraft, column: str, check: Constraint, values: tuple[str, ...]) -> bool:
    """Tell whether a CHECK of one column lets all of these in, as far as Postgres can be asked."""
    have = draft.app.columns[check.table][column]
    text = query("plan/lets_in", column=column, type=have.type, values=values, condition=check.condition)
    try:
        with draft.connection.transaction():
            row = draft.connection.execute(text).fetchone()
    except psycopg.Error:
        return False
    return bool(row and row[0])


def _promises(draft: PlanDraft, table: str) -> Iterator[Promise]:
    for name, wanted in draft.source.catalogue["constraints"].items():
        if wanted["table"] == f"public.{table}":
            yield Promise(table, name.partition(" on ")[0], wanted["definition"])


def _add(draft: PlanDraft, promise: Promise) -> None:
    draft.change(
        STRENGTHENING,
        f"constraint {promise.name} on public.{promise.table}",
        "this holds what bookingdb promises, whoever writes",
        [f"alter table public.{promise.table} add constraint {promise.name} {promise.definition}"],
        [f"alter table public.{promise.table} drop constraint {promise.name}"],
    )


def _add_primary_key(draft: PlanDraft, promise: Promise, own: list[Constraint]) -> None:
    """Make the id the primary key, unless it is: everything knows a row by it."""
    column = draft.app.column(promise.table, "id")
    key = next((each for each in own if each.kind == "p"), None)
    if column is None or (key and key.columns == ["id"]):
        return  # where there is no id, that is a problem already
    if key:
        draft.problems.append(f"the primary key of public.{promise.table} is not its column id")
        return
    undo = [f"alter table public.{promise.table} drop constraint {promise.name}"]
    draft.change(
        STRENGTHENING,
        f"constraint {promise.name} on public.{promise.table}",
        "everything knows a row by its id",
        [f"alter table public.{promise.table} add constraint {promise.name} primary key (id)"],
        undo if column.not_null else [*undo, column.alter("drop not null")],
    )
