"""The numbers of a plan: how many rows there are, how many `apply` changes, and how long it locks the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bookingdb.adoption import damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Repair
from bookingdb.adoption.readings import readings
from bookingdb.adoption.statements import query
from bookingdb.install.session import Connection, scalar

# Seconds under locks: for every adoption, and for 1,000 of each kind of row. `python -m tests.benchmark adopt` measured
# them on two cores that did other work as well, with 200,000 sessions.
_ALWAYS = 1.5
_PER_THOUSAND = {
    "sessions": 0.025,
    "user_credits": 0.01,
    "booking_audit_log": 0.005,
    "users": 0.005,
    "active": 0.01,
    "repaired": 0.025,
}


@dataclass(frozen=True)
class Counts:
    """The rows of each table, the sessions that take place, and the rows of each class that are repaired.

    ``clients`` are those whose lots change. A row that is repaired in two classes counts in both.
    """

    tables: Mapping[str, int] = field(default_factory=dict)
    active: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)
    clients: int = 0

    @property
    def outage(self) -> float:
        """The seconds for which nobody can read or write the tables, estimated from these counts."""
        numbers = {**self.tables, "active": self.active, "repaired": sum(self.repaired.values())}
        return _ALWAYS + sum(numbers.get(kind, 0) * rate / 1000 for kind, rate in _PER_THOUSAND.items())


def count(connection: Connection, app: Application, answers: Mapping[str, str]) -> Counts:
    """Count the rows of an application as they are, and those that these answers change."""
    complete = damage.complete(answers)
    repairs = list(_recorded_repairs(app, complete))
    repaired: Counter[str] = Counter()
    for number, repair in enumerate(repairs):
        # The first repair of a status decides: those after it no longer find the row.
        before = [each.query for each in repairs[:number] if each.columns == repair.columns == ("status",)]
        fresh = " and ".join(f"q.id not in (select e.id from ({text}) as e)" for text in before) or "true"
        values = {"repair": repair.query, "class_of_row": repair.class_of_row, "condition": fresh}
        repaired.update(dict(connection.execute(query("repair/count_by_class", **values)).fetchall()))
    lots = [repair.query for repair in repairs if repair.table == "user_credits"]
    return Counts(
        {table: scalar(connection, f"select count(*) from public.{table}") for table in app.tables},
        scalar(connection, f"select count(*) from ({readings(app, complete)}) as r where r.active")
        if app.has("sessions")
        else 0,
        dict(sorted(repaired.items())),
        _clients_of(connection, app, lots),
    )


def _recorded_repairs(app: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """Yield the repairs of columns that are there: those that the adoption adds have nothing to lose."""
    for repair in damage.repairs(app, app, answers):
        if repair.columns and all(app.column(repair.table, name) for name in repair.columns):
            yield repair


def _clients_of(connection: Connection, app: Application, lots: list[str]) -> int:
    if not lots or not app.column("user_credits", "user_id"):
        return 0
    ids = " union ".join(f"select q.id from ({text}) as q" for text in lots)
    client = "select count(distinct c.user_id) from public.user_credits as c"
    return int(scalar(connection, f"{client} where c.id in ({ids})"))
