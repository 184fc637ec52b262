"""Puts back what an adoption changed, and removes bookingdb: one transaction, everything or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bookingdb.adoption import application, prepare
from bookingdb.adoption.apply import Announce
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING
from bookingdb.adoption.readings import AS_UTC, AS_UTC_OTHERS, UNSCHEDULED
from bookingdb.adoption.repair import is_as_left, originals, triggers_off
from bookingdb.adoption.statements import query
from bookingdb.adoption.transaction import changing
from bookingdb.install import installer, session, uninstall
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.script import KNOWN_ROLES
from bookingdb.install.session import INSTALL_LOCK, Connection, InstallError, scalar
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Undone:
    """The outcome of an undo: what was put back, and what could not be put back exactly."""

    statements: int
    rows: int
    remarks: list[str]


@dataclass
class _Undoing:
    """An adoption that is being undone, and what was put back so far.

    ``found`` is what the plan recorded of the database, ``statements`` what undoes each change, the last change first;
    ``answers`` are those of the plan, ``written_since`` the sessions that were made or changed after it.
    """

    connection: Connection
    source: Source
    found: dict[str, Any]
    statements: list[tuple[int, list[str]]]
    answers: dict[str, str]
    written_since: int
    count: int = 0
    restored: int = 0
    remarks: list[str] = field(default_factory=list)


def undo(
    connection: Connection,
    source: Source | None = None,
    announce: Announce = lambda _: None,
) -> Undone:
    """Put back what `apply` changed, and remove bookingdb. Rows that the application wrote since stay.

    If an adoption was killed, what it prepared is all that there is to be removed.

    Raises:
        InstallError: nothing was adopted, the tables are in use, something of the application's needs what would go, or
            the role has more rights than the owner.
    """
    refuse_more_rights(connection)
    if not _has_record(connection) and prepare.is_under_way(connection):
        prepare.remove(connection)
        return Undone(0, 0, ["nothing had been adopted: what was prepared for it is gone"])
    source = source or installer.installed_source(connection)
    with session.kept_for_dependents("nothing was undone"), changing(connection, "adopt --undo"):
        undoing = _begin(connection, source)
        for stage, put_back in _STAGES:
            announce(stage)
            put_back(undoing)
        _remark_on_times(undoing)
        connection.execute("notify pgrst, 'reload schema'")
        return Undone(undoing.count, undoing.restored, undoing.remarks)


def _has_record(connection: Connection) -> bool:
    return scalar(connection, "select to_regclass('bookingdb.adoption')") is not None


def _begin(connection: Connection, source: Source) -> _Undoing:
    """Lock the tables, and read what there is to undo."""
    text = "select a.original, a.adopted -> 'answers' from bookingdb.adoption as a where a.kind = 'plan'"
    plan = connection.execute(text).fetchone() if _has_record(connection) else None
    if plan is None:
        raise InstallError("nothing was adopted in this database")
    connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
    names = ", ".join(f"public.{name}" for name in application.inspect(connection).tables)
    connection.execute(f"lock table {names} in access exclusive mode")
    connection.execute("set constraints all immediate")
    found, answers = plan
    statements = connection.execute(query("undo/statements")).fetchall()
    return _Undoing(connection, source, found, statements, answers, scalar(connection, query("undo/written_since")))


def _undo_phase(undoing: _Undoing, phase: int) -> None:
    """Run what undoes the changes of a phase."""
    for of, statements in undoing.statements:
        for statement in statements if of == phase else ():
            _put_back(undoing, statement)


def _put_back(undoing: _Undoing, statement: str) -> None:
    """Run one statement; a constraint that rows of today break is made without looking at them."""
    undoing.count += 1
    try:
        with undoing.connection.transaction():
            undoing.connection.execute(statement)
    except (psycopg.errors.IntegrityError, psycopg.errors.InvalidTextRepresentation) as error:
        is_checked = " add constraint " in statement and (" CHECK " in statement or " FOREIGN KEY " in statement)
        if is_checked:
            undoing.connection.execute(statement + " not valid")
            undoing.remarks.append(f"{statement}: made NOT VALID, because {error.diag.message_primary}")
        else:
            undoing.remarks.append(f"{statement}: not possible any more, because {error.diag.message_primary}")


def _remark_on_times(undoing: _Undoing) -> None:
    """Say how the sessions that were written since are to be read, where the application reads times otherwise."""
    answers, zone = undoing.answers, undoing.answers.get("zone") or "UTC"
    if not undoing.written_since or "sessions" not in undoing.found["tables"]:
        return
    kind = application.inspect(undoing.connection).type_of("sessions", "start_time")
    if kind == "timestamp without time zone":
        stamps = answers.get("zone.timestamps") or "UTC"
        reading = f"their start_time is a timestamp without a zone again, and the right time in {stamps}"
    elif kind == "time without time zone":
        reading = f"their start_time is a time of day again, and the right one in {zone}"
    else:
        reading = f"their start_time is an instant, and the right one in {zone}"
    if "shift" in (answers.get(AS_UTC), answers.get(AS_UTC_OTHERS), answers.get(UNSCHEDULED)):
        reading += (
            "; the sessions that the adoption shifted have their old times again: the scheduled time, stored as if it"
            " were UTC"
        )
    elif kind == "timestamp with time zone":
        return
    undoing.remarks.append(
        f"{undoing.written_since} session(s) were made or changed since the adoption and stay as they are: {reading}"
    )


# ----------------------------------------------------------------------------------------------------------------------
# The stages
# ----------------------------------------------------------------------------------------------------------------------


def _remove_functions(undoing: _Undoing) -> None:
    connection = undoing.connection
    _undo_phase(undoing, FOLLOWING)
    for statement in uninstall.behaviour(connection, undoing.source):
        connection.execute(statement)
    with triggers_off(connection, application.inspect(connection), ("booking_audit_log",)):
        connection.execute("delete from public.booking_audit_log as l where l.action = 'adopted'")


def _restore_rows(undoing: _Undoing) -> None:
    """Give rows their originals back, where they still are as the adoption left them."""
    _undo_phase(undoing, STRENGTHENING)
    connection = undoing.connection
    app = application.inspect(connection)
    repaired = connection.execute(query("undo/repaired")).fetchall()
    with triggers_off(connection, app):
        for object_, columns in repaired:
            table = object_.removeprefix("public.")
            connection.execute(query("undo/originals", table=object_, columns=columns))
            connection.execute("analyze pg_temp.bookingdb_originals")
            condition = f"o.id = t.id and {is_as_left(app, table, columns)}"
            setting = f"{originals(app, table, columns)} from pg_temp.bookingdb_originals as o"
            undoing.restored += connection.execute(f"update {object_} as t set {setting} where {condition}").rowcount
            connection.execute("drop table pg_temp.bookingdb_originals")
        # Lots that were used up since then: the status is bookingdb's, unless the application has it, too.
        if app.column("user_credits", "status") and not undoing.found.get("has_used_lots"):
            connection.execute("update public.user_credits as c set status = 'active' where c.status = 'used'")


def _restore_columns(undoing: _Undoing) -> None:
    _undo_phase(undoing, COLUMNS)


def _restore_functions(undoing: _Undoing) -> None:
    """Restore functions, triggers and privileges; then drop the tables that were not the application's."""
    connection, found = undoing.connection, undoing.found
    # A body is as it was; what it names is found when it runs, by the search_path of whoever calls it.
    session.configure(connection, "check_function_bodies", "off")
    recorded = installer.recorded_set(connection)
    granted = sorted({*KNOWN_ROLES, *(recorded[1]["roles"] if recorded else ())})
    roles = ["public", *(name for (name,) in connection.execute(query("undo/roles", roles=granted)))]
    for table in found["tables"]:
        # Take the installation's grants away; earlier grants are given again after this.
        connection.execute(f"revoke all on table public.{table} from {', '.join(roles)}")
    _undo_phase(undoing, CLEARING)
    application.restore_comments(connection, found["comments"])
    for statement in uninstall.tables(connection, undoing.source, found["tables"]):
        connection.execute(statement)
    if found["extension"] is None:
        connection.execute("drop extension if exists btree_gist")
    if not found["has_extensions_schema"]:
        connection.execute("drop schema if exists extensions")


# The stages of `apply` backwards: what was done last goes first.
_STAGES: tuple[tuple[str, Callable[[_Undoing], None]], ...] = (
    ("removing functions and triggers", _remove_functions),
    ("putting rows back", _restore_rows),
    ("putting columns and constraints back", _restore_columns),
    ("putting functions, triggers and privileges back", _restore_functions),
)
