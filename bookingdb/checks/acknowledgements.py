"""Findings of `verify` that nothing can repair, acknowledged by the owner so that new ones are seen.

An acknowledgement names exactly one finding: group, object and problem, in which the row and its values stand. When any
of these changes, the finding speaks again. A finding that endangers bookings to come cannot be acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from bookingdb import queries
from bookingdb.checks.finding import Finding
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import Connection, InstallError, prepare


@dataclass(frozen=True)
class Acknowledgement:
    """A finding that somebody has looked at: what it said, and why it may stay.

    Example: ``Acknowledgement("rewritten records", "record 1", "postgres did delete on 1 row(s) of bookingdb.ledger at
    2027-01-11 09:00:00 UTC", "test data removed", "owner", datetime(...))``
    """

    group: str
    object: str
    problem: str
    reason: str
    acknowledged_by: str
    acknowledged_at: datetime

    @property
    def key(self) -> tuple[str, str, str]:
        """The group, object and problem of the finding."""
        return self.group, self.object, self.problem

    def to_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


def read(connection: Connection) -> list[Acknowledgement]:
    """Read what was acknowledged, the last first; nothing where the table is missing.

    Raises:
        InstallError: the role has more rights than the owner, or may not read the table.
    """
    refuse_more_rights(connection)
    try:
        with connection.transaction():
            rows = connection.execute(queries.load("bookingdb.checks", "acknowledgements")).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return []
    except psycopg.errors.InsufficientPrivilege as error:
        raise InstallError(f"{error.diag.message_primary}: connect as the owner of what was installed") from error
    return [Acknowledgement(*row) for row in rows]


def acknowledge(connection: Connection, findings: Sequence[Finding], reason: str) -> None:
    """Record that somebody has looked at these findings.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed.
        findings: some of those that `verify.verify` just returned.
        reason: why they may stay, in the owner's words.

    Raises:
        InstallError: the reason is empty, the role has more rights than the owner, or one of them has to be repaired;
            nothing was recorded.
    """
    refuse_more_rights(connection)
    if not reason.strip():
        raise InstallError("say why: an acknowledgement needs a reason")
    if lasting := [finding for finding in findings if not finding.is_settled]:
        listed = "; ".join(f"{finding.id} ({finding.object}: {finding.remedy})" for finding in lasting)
        raise InstallError(f"nothing was acknowledged, because this has to be repaired: {listed}")
    insert = "insert into bookingdb.acknowledgements (finding_group, object, problem, reason) values (%s, %s, %s, %s)"
    with connection.transaction():
        prepare(connection)
        for finding in findings:
            connection.execute(insert, [*finding.key, reason])
