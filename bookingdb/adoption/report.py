"""What an adopted database has that its owner should know of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from psycopg.rows import dict_row

from bookingdb.adoption import damage, repair
from bookingdb.install import session
from bookingdb.install.session import Connection, InstallError


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


def under_way(connection: Connection) -> dict[str, int] | None:
    """How many rows of each table an adoption has mended that has not happened yet; None where there is none."""
    return repair.mended_so_far(connection) if repair.is_under_way(connection) else None


def report(connection: Connection) -> AdoptionReport:
    """Read it from bookingdb.adoption and the tables as they are now.

    Raises:
        InstallError: nothing was adopted in this database.
    """
    with connection.transaction(force_rollback=True):
        session.prepare(connection, read_only=True)
        cursor = connection.cursor(row_factory=dict_row)
        exists = cursor.execute("select to_regclass('bookingdb.adoption') is not null as is_there").fetchone()
        plan = (
            cursor.execute(
                "select a.created_at, a.original, a.adopted from bookingdb.adoption as a where a.kind = 'plan'"
            ).fetchone()
            if exists and exists["is_there"]
            else None
        )
        if plan is None:
            raise InstallError("nothing was adopted in this database")
        changed = cursor.execute(
            "select a.object, count(*) from bookingdb.adoption as a where a.kind = 'row' group by 1 order by 1"
        ).fetchall()
        unplaced = cursor.execute(
            """
            select s.id::text, s.user_id::text, s.therapist_id::text, to_json(s.start_time) #>> '{}' as start_time,
                to_json(s.end_time) #>> '{}' as end_time, s.status,
                case
                    when o.session_id is not null then 'overlaps another session; its time is blocked all the same'
                    when s.user_id is null and s.therapist_id is null then 'has neither client nor therapist'
                    when s.start_time is null or s.end_time is null then 'has no start or no end'
                    else 'does not end after it starts'
                end as reason
            from bookingdb.unplaced_sessions() as s
            left join bookingdb.overlapping_sessions as o on o.session_id = s.id
            order by s.start_time, s.id
            """
        ).fetchall()
        differences = cursor.execute(
            "select a.object || ' ' || (a.original ->> 'problem') as line from bookingdb.adoption as a"
            " where a.kind = 'difference' order by a.id"
        ).fetchall()
        untranslated = cursor.execute(
            "select u.table_name, u.row_key, u.therapist_id, u.override_date, u.problem"
            " from bookingdb.untranslated_availability() as u order by 1, 2, 3"
        ).fetchall()
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
