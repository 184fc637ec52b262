"""Repairs rows of an application, with its triggers off: what each row was is recorded before it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bookingdb.adoption import application, damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Repair
from bookingdb.adoption.readings import AS_UTC_WHERE, UNSCHEDULED, UNSCHEDULED_WHERE, readings
from bookingdb.adoption.statements import query
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection


@contextmanager
def triggers_off(connection: Connection, app: Application, tables: Iterable[str] = PUBLIC_TABLES) -> Iterator[None]:
    """Switch the application's triggers on these tables off for the block; afterwards each is as it was.

    After an error they stay off: the transaction is rolled back anyway.
    """
    present = [name for name in app.tables if name in tables]
    triggers = [each for each in app.triggers if each.table in present and each.enabled != "D"]
    for trigger in triggers:
        connection.execute(trigger.disabling)
    yield
    for trigger in triggers:
        connection.execute(trigger.enabling)


@dataclass(frozen=True)
class RowUpdate:
    """A repair as SQL: rows ``t`` of its table, and the values ``w`` that they shall have."""

    repair: Repair

    @property
    def relation(self) -> str:
        """Its table."""
        return f"public.{self.repair.table}"

    @property
    def differs(self) -> str:
        """The condition that a row has other values."""
        old, new = (", ".join(f"{of}.{name}" for name in self.repair.columns) for of in "tw")
        return f"row({old}) is distinct from row({new})"

    def note(self, name: str, columns: Iterable[str], **values: object) -> str:
        """Load a query that records the values of these columns, before and after."""
        old, new = (", ".join(f"'{column}', to_jsonb({of}.{column})" for column in columns) for of in "tw")
        return query(
            name,
            relation=self.relation,
            object=self.relation,
            old_values=old,
            new_values=new,
            differs=self.differs,
            **values,
        )

    def want(self, connection: Connection, condition: str = "true") -> None:
        """Ask once which rows shall have which values."""
        repair = self.repair
        values = {"repair": repair.query, "class_of_row": repair.class_of_row}
        connection.execute(query("repair/wanted", condition=condition, **values))
        connection.execute("analyze pg_temp.bookingdb_wanted")

    def run(self, connection: Connection) -> dict[str, int]:
        """Change the rows; return how many of each class."""
        setting = ", ".join(f"{name} = w.{name}" for name in self.repair.columns)
        text = query("repair/change", relation=self.relation, setting=setting, differs=self.differs)
        return dict(connection.execute(text).fetchall())


def originals(app: Application, table: str, columns: list[str]) -> str:
    """Write the SET clause that gives a row its original, by its record o."""
    types = {name: app.columns[table][name].type for name in columns}
    return ", ".join(f"{name} = (o.original ->> '{name}')::{kind}" for name, kind in types.items())


def is_as_left(app: Application, table: str, columns: list[str], o: str = "o") -> str:
    """Write the condition that a row t still has what a repair gave it, by its record."""
    types = {name: app.columns[table][name].type for name in columns}
    return " and ".join(
        f"t.{name} is not distinct from ({o}.adopted ->> '{name}')::{kind}" for name, kind in types.items()
    )


# The owner's condition, once `note_chosen` has asked it.
_WAS_CHOSEN = "exists (select from pg_temp.bookingdb_chosen as c where c.id = s.id)"
# A session without a scheduled time whose start is as it was found.
_WAS_UNSCHEDULED = (
    "exists (select from pg_temp.bookingdb_unscheduled as u where u.id = s.id and u.start_time = s.start_time)"
)


def note_chosen(connection: Connection, app: Application, answers: Mapping[str, str]) -> None:
    """Keep which sessions the owner's answers choose, as they were found: their columns change before their rows."""
    if answers.get(AS_UTC_WHERE):
        connection.execute(query("repair/note_chosen", readings=readings(app, answers)))
        connection.execute("analyze pg_temp.bookingdb_chosen")
    if answers.get(UNSCHEDULED) == "shift":
        connection.execute(query("repair/note_unscheduled", readings=readings(app, answers)))
        connection.execute("analyze pg_temp.bookingdb_unscheduled")


def repair_rows(connection: Connection, before: Application, answers: Mapping[str, str]) -> dict[str, int]:
    """Repair the rows as planned, and record the original of each. Return how many of each class."""
    app = application.inspect(connection)
    if answers.get(AS_UTC_WHERE):
        answers = {**answers, AS_UTC_WHERE: _WAS_CHOSEN}
    if answers.get(UNSCHEDULED) == "shift":
        answers = {**answers, UNSCHEDULED_WHERE: _WAS_UNSCHEDULED}
    repairs = damage.repairs(before, app, damage.complete(answers))
    with triggers_off(connection, app):
        repaired: Counter[str] = Counter()
        for each in repairs:
            repaired.update(_repair(connection, each, before))
    return dict(sorted(repaired.items()))


def _repair(connection: Connection, repair: Repair, before: Application) -> dict[str, int]:
    """Run one repair. Columns that the adoption added had nothing to record: their rows do not count."""
    noted = [name for name in repair.columns if before.column(repair.table, name)]
    update = RowUpdate(repair)
    update.want(connection)
    if noted:
        connection.execute(update.note("repair/note_originals", noted))
    changed = update.run(connection)
    connection.execute("drop table pg_temp.bookingdb_wanted")
    return changed if noted else {}
