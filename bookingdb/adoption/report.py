"""The report about an adopted database, for its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg.rows import dict_row

from bookingdb.adoption import damage, prepare
from bookingdb.adoption.statements import query
from bookingdb.install import session
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import Connection, InstallError, scalar


def repaired_lines(repaired: Mapping[str, int], planned: Mapping[str, int]) -> list[str]:
    """Say for each class how many rows were repaired, and how that differs from what the plan had counted.

    >>> repaired_lines({"rows.end_missing": 3, "credits.used_up": 1}, {"rows.end_missing": 2, "credits.used_up": 1})
    ['credits.used_up: 1', 'rows.end_missing: 3 (1 came up since the plan, and was treated by the same answers)']
    """
    lines = []
    for name in sorted(repaired.keys() | planned.keys()):
        new = repaired.get(name, 0) - planned.get(name, 0)
        remark = f" ({new} came up since the plan, and {'was' if new == 1 else 'were'} treated by the same answers)"
        fewer = f" (the plan counted {planned.get(name, 0)}: the application changed the others since)"
        lines.append(f"{name}: {repaired.get(name, 0)}" + (remark if new > 0 else fewer if new < 0 else ""))
    return lines


@dataclass(frozen=True)
class AdoptionReport:
    """When it was adopted and with which answers; what changed of rows; sessions without a place; hours that were not
    understood; what differs.

    ``repaired`` counts the rows by class, as the plan did in ``planned``, and ``rows_changed`` by table; a row that was
    repaired in two classes counts in both. ``balances`` has for each client the credits before, by the application's
    count, and what can be spent now.
    """

    adopted_at: str
    answers: dict[str, str]
    repaired: dict[str, int]
    planned: dict[str, int]
    rows_changed: dict[str, int]
    unplaced: list[dict[str, Any]]
    untranslated: list[dict[str, Any]]
    differences: list[str]
    balances: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def report(connection: Connection) -> AdoptionReport:
    """Read it from bookingdb.adoption and the tables as they are now.

    Raises:
        InstallError: nothing was adopted in this database.
    """
    refuse_more_rights(connection)
    with connection.transaction(force_rollback=True):
        session.prepare(connection, read_only=True)
        cursor = connection.cursor(row_factory=dict_row)
        is_there = scalar(connection, "select to_regclass('bookingdb.adoption') is not null")
        text = "select a.created_at, a.original, a.adopted from bookingdb.adoption as a where a.kind = 'plan'"
        plan = cursor.execute(text).fetchone() if is_there else None
        is_prepared = prepare.is_under_way(connection)
        if plan is None:
            raise InstallError(
                "nothing was adopted in this database"
                + ("; an adoption began: --apply goes on, --undo removes what it prepared" if is_prepared else "")
            )
        changed = cursor.execute(query("report/rows_changed")).fetchall()
        unplaced = cursor.execute(query("report/unplaced")).fetchall()
        differences = cursor.execute(query("report/differences")).fetchall()
        untranslated = cursor.execute(query("report/untranslated")).fetchall()
        now = damage.spendable(connection)
        before: dict[str, int] = plan["original"]["balances"]
        return AdoptionReport(
            adopted_at=plan["created_at"].isoformat(),
            answers=plan["adopted"]["answers"],
            repaired=plan["adopted"].get("repaired", {}),
            planned=plan["adopted"].get("planned", {}),
            rows_changed={row["object"]: row["number"] for row in changed},
            unplaced=unplaced,
            untranslated=untranslated,
            differences=[row["line"] for row in differences],
            balances={user: {"before": total, "spendable": now.get(user, 0)} for user, total in before.items()},
        )
