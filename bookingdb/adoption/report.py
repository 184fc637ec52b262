"""The report about an adopted database, for its owner."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from psycopg.rows import dict_row

from bookingdb.adoption import damage, prepare
from bookingdb.adoption.statements import query
from bookingdb.install import session
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import Connection, InstallError, scalar


@dataclass(frozen=True)
class AdoptionReport:
    """When it was adopted and with which answers; what changed of rows; sessions without a place; hours that were not
    understood; what differs.

    ``balances`` has for each client the credits before, by the application's count, and what can be spent now.
    """

    adopted_at: str
    answers: dict[str, str]
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
        counts = "select a.object, count(*) from bookingdb.adoption as a where a.kind = 'row' group by 1 order by 1"
        changed = cursor.execute(counts).fetchall()
        unplaced = cursor.execute(query("report/unplaced")).fetchall()
        differences = cursor.execute(query("report/differences")).fetchall()
        untranslated = cursor.execute(query("report/untranslated")).fetchall()
        now = damage.spendable(connection)
        before: dict[str, int] = plan["original"]["balances"]
        return AdoptionReport(
            adopted_at=plan["created_at"].isoformat(),
            answers=plan["adopted"]["answers"],
            rows_changed={row["object"]: row["count"] for row in changed},
            unplaced=unplaced,
            untranslated=untranslated,
            differences=[row["line"] for row in differences],
            balances={user: {"before": total, "spendable": now.get(user, 0)} for user, total in before.items()},
        )
