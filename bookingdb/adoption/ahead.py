"""Repairs very many rows ahead of the adoption, in batches, while the application goes on working.

An adoption locks the tables, and an UPDATE of a million rows takes a minute. So where a plan repairs very many rows,
those which need nothing else to be done first are repaired ahead, some thousands in a transaction. Each row's original
is written to the schema ``bookingdb_mending`` in the same transaction: wherever it is interrupted, the application is
in order, `apply` goes on and `undo` puts the rows back. The plan reads such rows as they were found (`as_found`), so it
stays the same plan. The adoption takes the record into ``bookingdb.adoption``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bookingdb.adoption import application, damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Repair
from bookingdb.adoption.repair import RowUpdate, is_as_left, originals, repair_rows, triggers_off
from bookingdb.adoption.statements import query, quoted
from bookingdb.adoption.transaction import changing, lock_installation
from bookingdb.install.session import Connection, InstallError, literal, scalar

# So many rows are repaired in a second or two; fewer are not worth a transaction of their own.
MANY = 20_000
# So many keep writers waiting for some tenths of a second.
BATCH = 5_000
SCHEMA = "bookingdb_mending"
# A row that fails so is left to the adoption itself: a constraint or a type makes way only then.
_NOT_YET = (psycopg.errors.IntegrityError, psycopg.errors.DataError)

Advance = Callable[[int], None]
# Called with what is counted and how many there are; gives what is to be called with the number of each batch.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def in_silence(_label: str, _total: int) -> Iterator[Advance]:
    """Show no progress."""
    yield lambda _count: None


# ----------------------------------------------------------------------------------------------------------------------
# The record of repaired rows
# ----------------------------------------------------------------------------------------------------------------------


def is_under_way(connection: Connection) -> bool:
    """Tell whether rows were repaired for an adoption that has not happened yet."""
    return bool(scalar(connection, "select to_regclass(%s) is not null", f"{SCHEMA}.rows"))


def repaired_so_far(connection: Connection) -> dict[str, int]:
    """Count the rows of each table that were repaired ahead."""
    text = f"select r.object, count(*) from {SCHEMA}.rows as r group by 1 order by 1"
    return dict(connection.execute(text).fetchall())


def as_found(connection: Connection, app: Application) -> Application:
    """Show the application's rows as they were before they were repaired ahead, where they still are as we left them.

    Copies are left out: whichever of two columns has the value, a session reads alike.
    """
    if not is_under_way(connection):
        return app
    recorded = [
        (object_.removeprefix("public."), key, columns)
        for object_, key, columns, _ in connection.execute(query("ahead/recorded"))
        if not key.startswith(damage.COPIES)
    ]
    shown = {}
    for table in app.tables:
        repairs = [
            (key, columns) for of, key, columns in recorded if of == table and set(columns) <= {*app.columns[of]}
        ]
        if repairs:
            shown[table] = _originals(app, table, repairs)
    return replace(app, as_found=shown)


def _originals(app: Application, table: str, repairs: list[tuple[str, list[str]]]) -> str:
    """Write the query that shows a table as it was before these repairs, each a key and the columns it changed."""
    columns = app.columns[table]
    values = {name: f"t.{quoted(name)}" for name in columns}
    joins = ""
    for number, (key, changed) in enumerate(repairs):
        o = f"o{number}"
        is_of_repair = f"({o}.object, {o}.key) = ({literal(f'public.{table}')}, {literal(key)}) and {o}.id = t.id"
        joins += f" left join {SCHEMA}.rows as {o} on {is_of_repair} and {is_as_left(app, table, changed, o)}"
        for name in changed:
            original = f"({o}.original ->> '{name}')::{columns[name].type}"
            values[name] = f"case when {o}.id is null then {values[name]} else {original} end"
    listed = ", ".join(f"{value} as {quoted(name)}" for name, value in values.items())
    return f"(select {listed} from public.{table} as t{joins})"


def check_answers(connection: Connection, answers: Mapping[str, str]) -> None:
    """Refuse answers other than those by which rows were repaired ahead, if any were.

    Raises:
        InstallError: the answers differ.
    """
    if not is_under_way(connection):
        return
    recorded = scalar(connection, "select p.answers from bookingdb_mending.plan as p") or {}
    deciding = _deciding(answers)
    if others := sorted(key for key in {*recorded, *deciding} if recorded.get(key) != deciding.get(key)):
        raise InstallError(
            f"rows have been mended already with other answers ({', '.join(others)}): apply with those, or put the"
            " rows back with `bookingdb adopt --undo` first"
        )


def _deciding(answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers that decide what becomes of rows."""
    of_rows = ("rows.", "credits.", "status.", "times.", "zone")
    return {key: answer for key, answer in sorted(answers.items()) if key.startswith(of_rows)}


# ----------------------------------------------------------------------------------------------------------------------
# Ahead of the adoption
# ----------------------------------------------------------------------------------------------------------------------


def repairs_ahead(connection: Connection, answers: Mapping[str, str]) -> list[tuple[Repair, int]]:
    """Return the repairs that are worth batches ahead, with how many rows each changes; none where few are.

    A transaction must have been made ready with `session.prepare`.
    """
    app = application.inspect(connection)
    found = []
    try:
        with connection.transaction():
            for repair in damage.repairs(app, app, damage.complete(answers)):
                if _can_go_ahead(repair, app):
                    update = RowUpdate(repair)
                    text = query("ahead/count", relation=update.relation, repair=repair.query, differs=update.differs)
                    found.append((repair, scalar(connection, text) or 0))
    except (psycopg.ProgrammingError, psycopg.DataError):
        # Types or answers that do not do: the plan, which is made again in any case, says why.
        return []
    # To go through a whole table for a few rows would take longer than these take in the end.
    worth_it = [(repair, count) for repair, count in found if count > MANY // 10]
    return worth_it if sum(count for _, count in worth_it) > MANY else []


def _can_go_ahead(repair: Repair, app: Application) -> bool:
    """Tell whether a repair needs nothing new: its columns, their types and an index of the ids are there."""
    kinds = {name: app.type_of(repair.table, name) for name in repair.columns}
    # Overlaps show only when all sessions are looked at together.
    return (
        repair.key != "rows.overlapping"
        and None not in kinds.values()
        and all(kinds[name] == "timestamp with time zone" for name in kinds if name in ("start_time", "end_time"))
        and any(each.table == repair.table and each.kind in "pu" and each.columns == ["id"] for each in app.constraints)
    )


def repair_ahead(
    connection: Connection, repairs: list[tuple[Repair, int]], answers: Mapping[str, str], progress: Progress
) -> None:
    """Repair in batches, each a transaction of its own.

    Raises:
        InstallError: the tables are in use, or another installation runs. The rows repaired so far stay recorded.
    """
    with _batch(connection):
        if not is_under_way(connection):
            connection.execute(query("ahead/begin_record", answers=Jsonb(_deciding(answers))))
    for repair, count in repairs:
        with progress(f"mending {repair.table} ({', '.join(repair.columns)})", count) as advance:
            last: Any = None
            while (last := _repair_batch(connection, repair, last, advance)) is not None:
                pass


@contextmanager
def _batch(connection: Connection) -> Iterator[None]:
    """Open a transaction of its own, in which nobody else installs anything."""
    with changing(connection, "adopt"):
        lock_installation(connection)
        yield


@contextmanager
def _writing(connection: Connection, table: str) -> Iterator[None]:
    """Keep everybody else from writing the table, and the application's triggers on it off."""
    connection.execute("set constraints all immediate")
    connection.execute(f"lock table public.{table} in share row exclusive mode")
    with triggers_off(connection, application.inspect(connection), (table,)):
        yield


def _repair_batch(connection: Connection, repair: Repair, last: Any, advance: Advance) -> Any:
    """Repair the next rows by their ids; return the last of these ids, None at the end."""
    update = RowUpdate(repair)
    after = "true" if last is None else f"t.id > {literal(str(last))}"
    end = scalar(connection, query("ahead/last_of_batch", relation=update.relation, after=after, batch=BATCH))
    if end is None:
        return None
    between = after.replace("t.id", "q.id") + f" and q.id <= {literal(str(end))}"
    with _batch(connection), _writing(connection, repair.table):
        update.want(connection, between)
        try:
            with connection.transaction():
                connection.execute(update.note("ahead/note_originals", repair.columns, key=repair.key))
                changed = update.run(connection)
        except _NOT_YET:
            changed = 0
    advance(changed)
    return end


# ----------------------------------------------------------------------------------------------------------------------
# In the adoption
# ----------------------------------------------------------------------------------------------------------------------


def repair_rest(connection: Connection, before: Application, answers: Mapping[str, str]) -> int:
    """Repair the rows that were not repaired ahead. Return how many were repaired, ahead or now."""
    if not is_under_way(connection):
        return repair_rows(connection, before, answers)
    taken = connection.execute(query("ahead/take_over")).rowcount
    connection.execute(f"drop schema {SCHEMA} cascade")
    last = scalar(connection, "select max(a.id) from bookingdb.adoption as a") or 0
    repaired = repair_rows(connection, before, answers)
    if repaired:
        connection.execute(query("ahead/forget_earlier_originals", last=last))
    return repaired + taken


# ----------------------------------------------------------------------------------------------------------------------
# Back
# ----------------------------------------------------------------------------------------------------------------------


def put_back(connection: Connection, progress: Progress) -> tuple[int, int]:
    """Give the rows that were repaired ahead their originals back, where they still are as we left them, in batches.

    Returns:
        The number of rows put back, and of those that stay because their original is not allowed any more.

    Raises:
        InstallError: the tables are in use, or another installation runs. The rows put back so far stay so.
    """
    restored = refused = 0
    for object_, key, columns, count in connection.execute(query("ahead/recorded")).fetchall():
        with progress(f"putting {object_} ({', '.join(columns)}) back", count) as advance:
            while batch := _put_back_batch(connection, object_, key, columns):
                restored += batch[1]
                refused += batch[2]
                advance(batch[0])
    with _batch(connection):
        connection.execute(f"drop schema {SCHEMA} cascade")
    return restored, refused


def _put_back_batch(connection: Connection, object_: str, key: str, columns: list[str]) -> tuple[int, int, int] | None:
    """Put the next rows back; return how many records, restored and refused rows, None at the end."""
    table = object_.removeprefix("public.")
    with _batch(connection), _writing(connection, table):
        take = query("ahead/take_from_record", object=object_, key=key, batch=BATCH)
        taken = connection.execute(take).fetchall()
        if not taken:
            return None
        app = application.inspect(connection)
        setting = originals(app, table, columns)
        records = "from unnest(%s::uuid[], %s::jsonb[], %s::jsonb[]) as o (id, original, adopted)"
        condition = f"o.id = t.id and {is_as_left(app, table, columns)}"
        statement = f"update {object_} as t set {setting} {records} where {condition}"
        try:
            return len(taken), _put_back_rows(connection, statement, taken), 0
        except psycopg.errors.IntegrityError:
            restored = refused = 0
            for row in taken:
                try:
                    restored += _put_back_rows(connection, statement, [row])
                except psycopg.errors.IntegrityError:
                    refused += 1
            return len(taken), restored, refused


def _put_back_rows(connection: Connection, statement: str, taken: list[Any]) -> int:
    with connection.transaction():
        ids, *records = zip(*taken, strict=True)
        parameters = [list(ids), *([Jsonb(each) for each in record] for record in records)]
        return connection.execute(statement, parameters).rowcount
