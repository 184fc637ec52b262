"""Mends rows: in the transaction of the adoption, or, where they are many, in batches before it.

An adoption locks the tables, and an UPDATE of a million rows takes a minute. So where a plan mends very many rows,
those which need nothing else to be done first are mended ahead, some thousands in a transaction, while the application
goes on working. Each row's original is written to the schema ``bookingdb_mending`` in the same transaction: wherever it
is interrupted, the application is in order, `apply` goes on and `undo` puts the rows back. The plan reads such rows as
they were found (`as_found`), so it stays the same plan. The adoption takes the record into ``bookingdb.adoption``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bookingdb.adoption import application, damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Repair
from bookingdb.adoption.transaction import changing, lock_installation
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection, InstallError, literal

# So many rows are mended in a second or two; fewer are not worth a transaction of their own.
MANY = 20_000
# So many keep writers waiting for some tenths of a second.
BATCH = 5_000
SCHEMA = "bookingdb_mending"
# What a row that must be left to the adoption itself fails with: a constraint or a type that only then makes way.
_NOT_YET = (psycopg.errors.IntegrityError, psycopg.errors.DataError)

Advance = Callable[[int], None]
# Given what is counted and how many there are: what is to be told of each step.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def in_silence(_label: str, _total: int) -> Iterator[Advance]:
    """Tell nobody of the progress."""
    yield lambda _count: None


class quiet:
    """The application's triggers on the four tables, switched off for a while, each put back as it was."""

    def __init__(self, connection: Connection, app: Application, tables: Iterable[str] = PUBLIC_TABLES) -> None:
        """Know which are on."""
        self.connection = connection
        self.triggers = [t for t in app.triggers if t.table in app.tables and t.table in tables and t.enabled != "D"]

    def __enter__(self) -> None:
        """Switch them off."""
        for trigger in self.triggers:
            statement = f"alter table public.{trigger.table} disable trigger {trigger.name}"
            self.connection.execute(statement)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Switch them on again, unless everything is rolled back anyway."""
        if error is None:
            for trigger in self.triggers:
                how = {"O": "enable", "R": "enable replica", "A": "enable always"}[trigger.enabled]
                statement = f"alter table public.{trigger.table} {how} trigger {trigger.name}"
                self.connection.execute(statement)


@dataclass(frozen=True)
class _Update:
    """A repair as SQL: rows ``t`` of its table, the values ``w`` that they shall have."""

    repair: Repair

    @property
    def differs(self) -> str:
        """Whether a row has other values."""
        old, new = (", ".join(f"{of}.{name}" for name in self.repair.columns) for of in "tw")
        return f"row({old}) is distinct from row({new})"

    @property
    def joined(self) -> str:
        """The rows that it changes, with the values wanted."""
        return f"public.{self.repair.table} as t inner join pg_temp.bookingdb_wanted as w on w.id = t.id"

    def objects(self, noted: Iterable[str]) -> tuple[str, str]:
        """The values before and after, as JSON."""
        old, new = (", ".join(f"'{name}', to_jsonb({of}.{name})" for name in noted) for of in "tw")
        return f"jsonb_build_object({old})", f"jsonb_build_object({new})"

    def want(self, connection: Connection, condition: str = "true") -> None:
        """Ask once which rows shall have which values."""
        connection.execute(
            f"create temporary table bookingdb_wanted on commit drop as"
            f" select q.* from ({self.repair.query}) as q where {condition}"
        )
        connection.execute("analyze pg_temp.bookingdb_wanted")

    def run(self, connection: Connection) -> int:
        """Change the rows."""
        setting = ", ".join(f"{name} = w.{name}" for name in self.repair.columns)
        return connection.execute(
            f"update public.{self.repair.table} as t set {setting} from pg_temp.bookingdb_wanted as w"
            f" where w.id = t.id and {self.differs}"
        ).rowcount


# ----------------------------------------------------------------------------------------------------------------------
# In the adoption
# ----------------------------------------------------------------------------------------------------------------------


def mend(connection: Connection, before: Application, answers: Mapping[str, str]) -> int:
    """Repair rows as planned, with the application's triggers off; each original is recorded. Return how many."""
    ahead = _take_over(connection)
    app = application.inspect(connection)
    with quiet(connection, app):
        mended = sum(_mend(connection, each, before) for each in damage.repairs(before, app, damage.complete(answers)))
    if ahead and mended:
        # What the application spoilt again after it was mended: what it wrote last is what undo puts back.
        connection.execute(
            "delete from bookingdb.adoption as a using bookingdb.adoption as l where a.kind = 'row' and l.kind = 'row'"
            " and l.id > %s and a.id <= %s and l.object = a.object and l.row_key = a.row_key"
            " and array(select jsonb_object_keys(l.original)) = array(select jsonb_object_keys(a.original))",
            [ahead[1], ahead[1]],
        )
    return mended + ahead[0] if ahead else mended


def _mend(connection: Connection, repair: Repair, before: Application) -> int:
    """Run one repair: note what each row had, then change it. Columns that we added are not noted."""
    noted = [name for name in repair.columns if before.column(repair.table, name)]
    update = _Update(repair)
    update.want(connection)
    if noted:
        old, new = update.objects(noted)
        connection.execute(
            f"insert into bookingdb.adoption (kind, object, row_key, original, adopted)"
            f" select 'row', 'public.{repair.table}', jsonb_build_object('id', t.id), {old}, {new}"
            f" from {update.joined} where {update.differs} order by t.id"
        )
    changed = update.run(connection)
    connection.execute("drop table pg_temp.bookingdb_wanted")
    return changed if noted else 0


def _take_over(connection: Connection) -> tuple[int, int] | None:
    """Move the record of what was mended ahead: how many rows, and the last one's number."""
    if not is_under_way(connection):
        return None
    moved = connection.execute(
        f"insert into bookingdb.adoption (kind, object, row_key, original, adopted)"
        f" select 'row', r.object, jsonb_build_object('id', r.id), r.original, r.adopted from {SCHEMA}.rows as r"
        f" order by r.object, r.key, r.id"
    ).rowcount
    connection.execute(f"drop schema {SCHEMA} cascade")
    row = connection.execute("select max(a.id) from bookingdb.adoption as a").fetchone()
    return moved, (row[0] or 0) if row else 0


# ----------------------------------------------------------------------------------------------------------------------
# Ahead of it
# ----------------------------------------------------------------------------------------------------------------------


def is_under_way(connection: Connection) -> bool:
    """Whether rows were mended for an adoption that has not happened yet."""
    row = connection.execute("select to_regclass(%s) is not null", [f"{SCHEMA}.rows"]).fetchone()
    return bool(row and row[0])


def mended_so_far(connection: Connection) -> dict[str, int]:
    """How many rows of each table were mended ahead."""
    query = f"select r.object, count(*) from {SCHEMA}.rows as r group by 1 order by 1"
    return dict(connection.execute(query).fetchall())


def as_found(connection: Connection, app: Application) -> Application:
    """The application with its rows as they were before they were mended ahead, where they still are as we left them.

    Copies are not looked at: whichever of two columns has the value, a session is read alike.
    """
    if not is_under_way(connection):
        return app
    recorded = connection.execute(
        f"select r.object, r.key, array(select jsonb_object_keys(min(r.original::text)::jsonb) order by 1)"
        f" from {SCHEMA}.rows as r where not starts_with(r.key, %s) group by 1, 2 order by 1, 2",
        [damage.COPIES],
    ).fetchall()
    shown = {}
    for table in app.tables:
        values = {name: f"t.{_quoted(name)}" for name in app.columns[table]}
        joins = ""
        for number, (object_, key, columns) in enumerate(recorded):
            if object_ != f"public.{table}" or not set(columns) <= values.keys():
                continue
            o = f"o{number}"
            joins += (
                f" left join {SCHEMA}.rows as {o} on {o}.object = {literal(object_)} and {o}.key = {literal(key)}"
                f" and {o}.id = t.id"
                + "".join(
                    f" and t.{name} is not distinct from ({o}.adopted ->> '{name}')::{app.columns[table][name].type}"
                    for name in columns
                )
            )
            for name in columns:
                original = f"({o}.original ->> '{name}')::{app.columns[table][name].type}"
                values[name] = f"case when {o}.id is null then {values[name]} else {original} end"
        if joins:
            listed = ", ".join(f"{value} as {_quoted(name)}" for name, value in values.items())
            shown[table] = f"(select {listed} from public.{table} as t{joins})"
    return replace(app, as_found=shown)


def _quoted(name: str) -> str:
    return psycopg.sql.Identifier(name).as_string(None)


def _deciding(answers: Mapping[str, str]) -> dict[str, str]:
    """The answers that decide what becomes of rows."""
    of_rows = ("rows.", "credits.", "status.", "times.", "zone")
    return {key: answer for key, answer in sorted(answers.items()) if key.startswith(of_rows)}


def _can_go_ahead(repair: Repair, app: Application) -> bool:
    """Whether a repair only needs what is there: its columns, instants that are instants, an index of the ids."""
    kinds = {name: app.type_of(repair.table, name) for name in repair.columns}
    # Which sessions overlap is asked of all of them at once.
    return (
        repair.key != "rows.overlapping"
        and None not in kinds.values()
        and all(kinds[name] == "timestamp with time zone" for name in kinds if name in ("start_time", "end_time"))
        and any(each.table == repair.table and each.kind in "pu" and each.columns == ["id"] for each in app.constraints)
    )


def repairs_ahead(connection: Connection, answers: Mapping[str, str]) -> list[tuple[Repair, int]]:
    """The repairs that are worth batches before the adoption, with how many rows each changes; none where few are.

    A transaction must have been made ready with `session.prepare`.
    """
    app = application.inspect(connection)
    found = []
    try:
        with connection.transaction():
            for repair in damage.repairs(app, app, damage.complete(answers)):
                if _can_go_ahead(repair, app):
                    row = connection.execute(
                        f"select count(*) from public.{repair.table} as t inner join ({repair.query}) as w"
                        f" on w.id = t.id where {_Update(repair).differs}"
                    ).fetchone()
                    found.append((repair, row[0] if row else 0))
    except (psycopg.ProgrammingError, psycopg.DataError):
        # Types or answers that do not do: the plan, which is made anew in any case, says why.
        return []
    # To go through a whole table for a few rows would take longer than these take in the end.
    worth_it = [(repair, count) for repair, count in found if count > MANY // 10]
    return worth_it if sum(count for _, count in worth_it) > MANY else []


def mend_ahead(
    connection: Connection, repairs: list[tuple[Repair, int]], answers: Mapping[str, str], progress: Progress
) -> None:
    """Mend in batches, each a transaction of its own.

    Raises:
        InstallError: the tables are in use, or another installation runs. What was mended so far stays recorded.
    """
    with _batch(connection):
        _begin_record(connection, answers)
    for repair, count in repairs:
        with progress(f"mending {repair.table} ({', '.join(repair.columns)})", count) as advance:
            last: Any = None
            while (last := _mend_batch(connection, repair, last, advance)) is not None:
                pass


def _begin_record(connection: Connection, answers: Mapping[str, str]) -> None:
    deciding = _deciding(answers)
    if is_under_way(connection):
        return
    connection.execute(f"create schema {SCHEMA}")
    connection.execute(f"create table {SCHEMA}.plan (answers jsonb not null, created_at timestamptz default now())")
    connection.execute(
        f"create table {SCHEMA}.rows (object text, key text, id uuid, original jsonb not null, adopted jsonb not null,"
        " primary key (object, key, id))"
    )
    # Whatever default privileges say: nobody else's.
    connection.execute(f"alter table {SCHEMA}.plan enable row level security")
    connection.execute(f"alter table {SCHEMA}.rows enable row level security")
    connection.execute(f"insert into {SCHEMA}.plan (answers) values (%s)", [Jsonb(deciding)])


def check_answers(connection: Connection, answers: Mapping[str, str]) -> None:
    """Whether what was mended ahead, if anything was, was mended by these answers.

    Raises:
        InstallError: it was not.
    """
    if not is_under_way(connection):
        return
    row = connection.execute(f"select p.answers from {SCHEMA}.plan as p").fetchone()
    recorded, deciding = dict(row[0]) if row else {}, _deciding(answers)
    if others := sorted(key for key in {*recorded, *deciding} if recorded.get(key) != deciding.get(key)):
        raise InstallError(
            f"rows have been mended already with other answers ({', '.join(others)}): apply with those, or put the"
            " rows back with `bookingdb adopt --undo` first"
        )


@contextmanager
def _batch(connection: Connection) -> Iterator[None]:
    """A transaction of its own, in which nobody else installs anything."""
    with changing(connection, "adopt"):
        lock_installation(connection)
        yield


@contextmanager
def _writing(connection: Connection, table: str) -> Iterator[None]:
    """Nobody else writes the table, and the application's triggers on it are off."""
    connection.execute("set constraints all immediate")
    connection.execute(f"lock table public.{table} in share row exclusive mode")
    with quiet(connection, application.inspect(connection), (table,)):
        yield


def _mend_batch(connection: Connection, repair: Repair, last: Any, advance: Advance) -> Any:
    """Mend what is to be mended of the next rows by their ids; return the last of these ids, None at the end."""
    after = "true" if last is None else f"t.id > {literal(str(last))}"
    found = connection.execute(
        f"select n.id from (select t.id from public.{repair.table} as t where {after} order by t.id limit {BATCH})"
        " as n order by n.id desc limit 1"
    ).fetchone()
    if found is None:
        return None
    update = _Update(repair)
    between = after.replace("t.id", "q.id") + f" and q.id <= {literal(str(found[0]))}"
    with _batch(connection), _writing(connection, repair.table):
        update.want(connection, between)
        old, new = update.objects(repair.columns)
        try:
            with connection.transaction():
                connection.execute(
                    f"insert into {SCHEMA}.rows as r (object, key, id, original, adopted)"
                    f" select 'public.{repair.table}', {literal(repair.key)}, t.id, {old}, {new}"
                    f" from {update.joined} where {update.differs}"
                    # The application spoilt it again.
                    " on conflict (object, key, id) do update set original = excluded.original,"
                    " adopted = excluded.adopted"
                )
                changed = update.run(connection)
        except _NOT_YET:
            changed = 0
    advance(changed)
    return found[0]


# ----------------------------------------------------------------------------------------------------------------------
# Back
# ----------------------------------------------------------------------------------------------------------------------


def put_back(connection: Connection, progress: Progress) -> tuple[int, int]:
    """Give the rows that were mended ahead their originals back, where they still are as we left them, in batches.

    Returns how many, and of how many the original is not allowed any more: these stay as they are.

    Raises:
        InstallError: the tables are in use, or another installation runs. What was put back so far stays so.
    """
    groups = connection.execute(
        f"select r.object, r.key, array(select jsonb_object_keys(min(r.original::text)::jsonb) order by 1), count(*)"
        f" from {SCHEMA}.rows as r group by 1, 2 order by 1, 2"
    ).fetchall()
    restored = refused = 0
    for object_, key, columns, count in groups:
        with progress(f"putting {object_} ({', '.join(columns)}) back", count) as advance:
            while batch := _put_back_batch(connection, object_, key, columns):
                restored += batch[1]
                refused += batch[2]
                advance(batch[0])
    with _batch(connection):
        connection.execute(f"drop schema {SCHEMA} cascade")
    return restored, refused


def _put_back_batch(connection: Connection, object_: str, key: str, columns: list[str]) -> tuple[int, int, int] | None:
    """The next rows: how many records, rows put back, rows that cannot be put back; None at the end."""
    table = object_.removeprefix("public.")
    with _batch(connection), _writing(connection, table):
        taken = connection.execute(
            f"with taken as (select r.id from {SCHEMA}.rows as r where r.object = %s and r.key = %s"
            f" order by r.id limit {BATCH})"
            f" delete from {SCHEMA}.rows as r using taken as n where r.object = %s and r.key = %s and r.id = n.id"
            " returning r.id, r.original, r.adopted",
            [object_, key, object_, key],
        ).fetchall()
        if not taken:
            return None
        app = application.inspect(connection)
        types = {name: app.columns[table][name].type for name in columns}
        setting = ", ".join(f"{name} = (o.original ->> '{name}')::{types[name]}" for name in columns)
        as_left = " and ".join(
            f"t.{name} is not distinct from (o.adopted ->> '{name}')::{types[name]}" for name in columns
        )
        statement = (
            f"update {object_} as t set {setting}"
            " from unnest(%s::uuid[], %s::jsonb[], %s::jsonb[]) as o (id, original, adopted)"
            f" where o.id = t.id and {as_left}"
        )
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
        ids, originals, adopted = zip(*taken, strict=True)
        parameters = [list(ids), [Jsonb(each) for each in originals], [Jsonb(each) for each in adopted]]
        return connection.execute(statement, parameters).rowcount
