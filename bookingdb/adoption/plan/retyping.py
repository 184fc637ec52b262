"""Changes the types of a table's columns at once, and makes again what names them: views, constraints, triggers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bookingdb.adoption import application
from bookingdb.adoption.application import Dependent
from bookingdb.adoption.plan.draft import COLUMNS, PlanDraft
from bookingdb.adoption.plan.types import TypeChange, dates_of_sessions
from bookingdb.adoption.plpgsql_text import readable
from bookingdb.adoption.statements import one_line


@dataclass(frozen=True)
class RetypedColumns:
    """The columns of a table whose types change together: each expression sees the others as they were."""

    table: str
    changes: list[TypeChange]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.column.name for each in self.changes]

    @property
    def enums(self) -> list[str]:
        """The enumerations and domains that they no longer are of."""
        return [each.column.type for each in self.changes if each.column.category in ("e", "d")]

    def are_named_in(self, text: str) -> bool:
        """Tell whether a text has the name of any of them."""
        return any(re.search(rf"\b{re.escape(name)}\b", text) for name in self.names)

    def spoil(self, definition: str) -> bool:
        """Tell whether Postgres would make this definition again from what it prints, and so another one."""
        is_misprinted = readable(definition) != definition or self.as_text(definition) != definition
        return self.are_named_in(definition) and is_misprinted

    def as_text(self, definition: str) -> str:
        """Cast to text what was cast to one of the enumerations."""
        for enum in self.enums:
            definition = re.sub(rf"::{re.escape(enum)}(?![\w.])", "::text", definition)
        return definition

    def alter(self, clauses: list[str]) -> list[str]:
        """Return the statement that does all of this, none where there is nothing to do."""
        return [f"alter table public.{self.table} {', '.join(clauses)}"] if clauses else []

    def retype(self) -> list[str]:
        """Return the statements that change the types; the defaults, which are of the old types, make way."""
        return [
            *self.alter([each.alter("drop default") for each in self.changes if each.column.default is not None]),
            *self.alter([each.alter(f"type {each.type} using {each.expression}") for each in self.changes]),
            *self.alter(
                [each.alter(f"set default {each.new_default}") for each in self.changes if each.new_default is not None]
            ),
        ]

    def retype_back(self) -> list[str]:
        """Return the statements that undo `retype`."""
        return [
            *self.alter([each.alter("drop default") for each in self.changes]),
            *self.alter([each.alter(f"type {each.column.type} using {each.back}") for each in self.changes]),
            *self.alter(
                [
                    each.alter(f"set default {each.column.default}")
                    for each in self.changes
                    if each.column.default is not None
                ]
            ),
        ]


def change_types(draft: PlanDraft, table: str, changes: list[TypeChange]) -> None:
    """Plan the changes of the types of a table's columns."""
    if not changes:
        return
    columns = RetypedColumns(table, changes)
    views = application.dependents(draft.connection, table, columns.names)
    others = [*_attached(draft, columns), *application.policies_elsewhere(draft.connection, table, columns.names)]
    _refuse_obstacles(draft, columns, views)
    removal = [each.removal for each in (*views, *others)]
    # The innermost view is made first.
    making = [statement for each in (*others, *reversed(views)) for statement in each.making]
    remembered, restored = _undated_times(draft, columns)
    draft.change(
        COLUMNS,
        f"columns of public.{table}: {', '.join(columns.names)}",
        "the types become " + ", ".join(dict.fromkeys(each.type for each in changes)),
        [*removal, *remembered, *columns.retype(), *(columns.as_text(statement) for statement in making)],
        [*removal, *columns.retype_back(), *restored, *making],
    )
    _note_casts(draft, columns)


def _attached(draft: PlanDraft, columns: RetypedColumns) -> Iterator[Dependent]:
    """Yield what hangs on the table and must be made again, but for what makes way before."""
    yield from _constraints(draft, columns)
    for index in draft.app.indexes:
        if index.table == columns.table and columns.spoil(index.definition) and index.label not in draft.cleared:
            yield Dependent(f"drop {index.label}", [readable(index.definition)])
    for policy in draft.app.policies:
        if policy.table == columns.table and columns.are_named_in(f"{policy.using} {policy.check}"):
            yield Dependent(policy.removal, [readable(policy.definition)])
    yield from _triggers(draft, columns)


def _constraints(draft: PlanDraft, columns: RetypedColumns) -> Iterator[Dependent]:
    for each in draft.app.constraints:
        is_cleared = each.label in draft.cleared or (
            each.kind == "c" and f"checks of public.{each.table}.{','.join(each.columns)}" in draft.cleared
        )
        if each.table == columns.table and columns.spoil(each.definition) and not is_cleared:
            yield Dependent(each.removal, [each.making])


def _triggers(draft: PlanDraft, columns: RetypedColumns) -> Iterator[Dependent]:
    for each in draft.app.triggers:
        head = each.definition.partition(" EXECUTE ")[0]
        condition = re.search(r"\b(?:UPDATE OF|WHEN)\b(.*)", head)
        if each.table == columns.table and condition and columns.are_named_in(condition[1]):
            draft.remade_triggers.append(each)
            disabled = [each.disabling] if each.enabled == "D" else []
            yield Dependent(f"drop {each.label}", [readable(each.definition), *disabled])


def _refuse_obstacles(draft: PlanDraft, columns: RetypedColumns, views: list[Dependent]) -> None:
    """Note what stands in the way of the new types, and which views are made again."""
    draft.problems += [
        f"{each} needs public.{columns.table} as it is, and the types of {', '.join(columns.names)} must change; drop"
        " it first, make it again afterwards"
        for each in application.obstacles(draft.connection, columns.table, columns.names)
    ]
    for each in views:
        view = each.removal.rpartition("view ")[2]
        if users := application.users_of_view(draft.connection, view):
            draft.problems.append(
                f"{', '.join(users)} needs {view} as it is, which names columns whose types change; drop it first"
            )
        draft.note("views", f"{each.name} names columns whose types change: made anew")


def _undated_times(draft: PlanDraft, columns: RetypedColumns) -> tuple[list[str], list[str]]:
    """Remember the times of day without a date, which become no instant, and put them back at undo."""
    names = [each.column.name for each in columns.changes if each.column.kind == "time without time zone"]
    if not names:
        return [], []
    remember = one_line(
        "plan/remember_undated_times",
        dates=", ".join(f"s.{name}" for name in dates_of_sessions(draft)),
        times=", ".join(f"s.{name}" for name in names),
        original=", ".join(f"'{name}', s.{name}" for name in names),
        adopted=", ".join(f"'{name}', null" for name in names),
    )
    originals = ", ".join(f"coalesce(s.{name}, (a.original ->> '{name}')::time)" for name in names)
    return [remember], [one_line("plan/restore_undated_times", names=", ".join(names), originals=originals)]


def _note_casts(draft: PlanDraft, columns: RetypedColumns) -> None:
    """Note the functions that cast to an enumeration which its column no longer has."""
    for enum in columns.enums:
        bare = enum.rpartition(".")[2]
        for function in draft.app.functions:
            if re.search(rf"::\s*(?:\w+\.)?{re.escape(bare)}\b", function.source):
                draft.note(
                    "functions",
                    f"{function.signature} casts to {enum}, which the column no longer is: a comparison with it"
                    " must be changed",
                )
