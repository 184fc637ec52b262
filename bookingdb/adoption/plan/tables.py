"""The plan for the four tables and their columns."""

from __future__ import annotations

from bookingdb.adoption import application
from bookingdb.adoption.application import Column, Relation
from bookingdb.adoption.plan.constraints import adapt_constraints
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, PlanDraft
from bookingdb.adoption.plan.indexes import adapt_indexes
from bookingdb.adoption.plan.retyping import change_types
from bookingdb.adoption.plan.types import INDISPENSABLE, TypeChange, type_change
from bookingdb.adoption.statements import quoted
from bookingdb.checks.remedies import Attributes

# Existing rows get these values in a new column, in place of its default.
_FILLERS = {
    ("users", "is_verified"): "true",
    ("booking_audit_log", "actor"): "'before adoption'",
    ("booking_audit_log", "action"): "'unknown'",
}


def adapt_tables(draft: PlanDraft) -> None:
    """Plan what makes the application's tables bookingdb's: kinds, columns, constraints, indexes, types."""
    draft.problems += application.namesakes(draft.connection)
    for name in draft.app.tables:
        relation = draft.app.relations[name]
        if relation.kind != "r":
            draft.problems.append(f"public.{name} is no ordinary table")
            continue
        _adapt_table(draft, relation)
        changes = _adapt_columns(draft, name)
        adapt_constraints(draft, name)
        adapt_indexes(draft, name)
        # Last: what is cleared need not be made again.
        change_types(draft, name, changes)
    if draft.app.has("users") and draft.app.column("users", "is_verified") is None:
        draft.note("tables", "public.users has no is_verified: everybody there counts as verified")


def _adapt_table(draft: PlanDraft, relation: Relation) -> None:
    """Plan for the table itself; it must have the columns without which nothing works."""
    name = relation.name
    label = f"table public.{name}"
    draft.problems += [f"public.{name} {line}" for line in application.peculiarities(draft.connection, name)]
    if relation.forces_row_security:
        draft.change(
            CLEARING,
            label,
            "row level security forced on its owner would bind bookingdb's functions",
            [f"alter table public.{name} no force row level security"],
            [f"alter table public.{name} force row level security"],
        )
    if relation.is_unlogged:
        draft.change(
            CLEARING,
            label,
            "an unlogged table is emptied by a crash",
            [f"alter table public.{name} set logged"],
            [f"alter table public.{name} set unlogged"],
        )
    draft.note("tables", f"{label} has {len(draft.app.columns[name])} columns")
    for needed in INDISPENSABLE[name]:
        if draft.app.column(name, needed) is None:
            draft.problems.append(f"public.{name} has no column {needed}")


def _adapt_columns(draft: PlanDraft, table: str) -> list[TypeChange]:
    """Plan for the columns one by one; return the changes of types, which are made together."""
    changes = []
    prefix = f"public.{table}."
    for name, wanted in draft.source.catalogue["columns"].items():
        if name.startswith(prefix):
            have = draft.app.column(table, name.removeprefix(prefix))
            if have is None:
                _add_column(draft, table, name.removeprefix(prefix), wanted)
            else:
                changes += _adapt_column(draft, have, wanted)
    for have in draft.app.columns[table].values():
        if draft.our_column(table, have.name) is None:
            _free_column(draft, have)
    return changes


def _add_column(draft: PlanDraft, table: str, name: str, wanted: Attributes) -> None:
    """Plan for a column that the application lacks, and for what rows that exist get in it."""
    column, default = quoted(name), wanted["default"]
    later: list[str] = []
    if wanted["identity"]:
        definition = f"{wanted['type']} not null generated always as identity"
    else:
        filler = _FILLERS.get((table, name), default)
        not_null = " not null" if wanted["not_null"] and filler is not None else ""
        definition = f"{wanted['type']}{not_null}" + (f" default {filler}" if filler is not None else "")
        # The application goes on writing its log, and knows nothing of columns that are new to it.
        after = "'application'" if (table, name) == ("booking_audit_log", "actor") else default or filler
        if filler != after:
            later = [f"alter table public.{table} alter column {column} set default {after}"]
    draft.change(
        COLUMNS,
        f"column public.{table}.{name}",
        "bookingdb keeps values of its own there",
        [f"alter table public.{table} add column {column} {definition}", *later],
        [f"alter table public.{table} drop column {column}"],
    )


def _adapt_column(draft: PlanDraft, have: Column, wanted: Attributes) -> list[TypeChange]:
    """Plan for a column that both have: its default and whether it may be null. Return the change of its type."""
    label = f"column public.{have.table}.{have.name}"
    if have.generated and not wanted["identity"]:
        draft.problems.append(f"public.{have.table}.{have.name} is generated; bookingdb must write it")
        return []
    change = type_change(draft, have, wanted)
    if change is None and wanted["default"] and have.default is None and not have.generated:
        draft.change(
            COLUMNS,
            label,
            "rows that bookingdb makes need the default",
            [have.alter(f"set default {wanted['default']}")],
            [have.alter("drop default")],
        )
    if have.not_null and not wanted["not_null"] and not _is_in_primary_key(draft, have):
        _let_be_null(draft, have, "bookingdb may have nothing to put there")
    return [change] if change else []


def _free_column(draft: PlanDraft, have: Column) -> None:
    """Let rows that bookingdb makes go without a column of the application's own."""
    if not have.not_null or have.default is not None or have.generated:
        return
    if have.table != "users" or _ask_about_people(draft, have) == "null":
        _let_be_null(draft, have, "rows that bookingdb makes have nothing to put there")


def _ask_about_people(draft: PlanDraft, have: Column) -> str:
    """Ask what becomes of a column that everybody must have, and of which bookingdb knows nothing."""
    return draft.ask(
        f"column.users.{have.name}",
        [
            f"public.users.{have.name} is NOT NULL and has no default; bookingdb does not know it and cannot fill it.",
            "register_client and register_therapist work for people who are there already.",
        ],
        {
            "keep": "it stays: both register nobody new (invalid_parameter names the column) unless a trigger fills it,"
            " and the application goes on making its people",
            "null": "it may be null, so that both register new people without it",
        },
    )


def _let_be_null(draft: PlanDraft, have: Column, reason: str) -> None:
    label = f"column public.{have.table}.{have.name}"
    draft.change(COLUMNS, label, reason, [have.alter("drop not null")], [have.alter("set not null")])


def _is_in_primary_key(draft: PlanDraft, have: Column) -> bool:
    return any(
        each.table == have.table and each.kind == "p" and have.name in each.columns for each in draft.app.constraints
    )
