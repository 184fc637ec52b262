"""Puts back what an adoption changed, and removes bookingdb: one transaction, everything or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from bookingdb.adoption import application, repair
from bookingdb.adoption.application import Application
from bookingdb.adoption.apply import Announce
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING
from bookingdb.adoption.transaction import changing
from bookingdb.install import installer, session, uninstall
from bookingdb.install.script import KNOWN_ROLES
from bookingdb.install.session import INSTALL_LOCK, Connection, InstallError, scalar
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Undone:
    """What was put back, and what could not be put back exactly."""

    statements: int
    rows: int
    remarks: list[str]


def undo(
    connection: Connection,
    source: Source | None = None,
    announce: Announce = lambda _: None,
    progress: repair.Progress = repair.in_silence,
) -> Undone:
    """Put back what `apply` changed, and remove bookingdb. What the application wrote since stays.

    Where `apply` had only begun to mend rows, these are put back.

    Raises:
        InstallError: nothing was adopted, the tables are in use, or something of the application's needs what would go.
    """
    if scalar(connection, "select to_regclass('bookingdb.adoption')") is None and repair.is_under_way(connection):
        restored, refused = repair.put_back(connection, progress)
        remark = f"{refused} rows stay as they became, because what they were is not allowed any more"
        return Undone(0, restored, [remark] if refused else [])
    source = source or installer.installed_source(connection)
    with session.kept_for_dependents("nothing was undone"), changing(connection, "adopt --undo"):
        return _Undoing(connection, source, announce).run()


class _Undoing:
    """The steps back, inside the transaction."""

    def __init__(self, connection: Connection, source: Source, announce: Announce) -> None:
        self.connection = connection
        self.source = source
        self.announce = announce
        self.count = 0
        self.remarks: list[str] = []

    def run(self) -> Undone:
        """Everything, in order."""
        if scalar(self.connection, "select to_regclass('bookingdb.adoption')") is None:
            raise InstallError("nothing was adopted in this database")
        plan = self.connection.execute(
            "select a.original, a.adopted from bookingdb.adoption as a where a.kind = 'plan'"
        ).fetchone()
        if plan is None:
            raise InstallError("nothing was adopted in this database")
        self.connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        found = plan[0]
        app = application.inspect(self.connection)
        names = ", ".join(f"public.{name}" for name in app.tables)
        self.connection.execute(f"lock table {names} in access exclusive mode")
        self.connection.execute("set constraints all immediate")

        statements = self.connection.execute(
            "select (a.original ->> 'phase')::integer, a.original -> 'undo' from bookingdb.adoption as a"
            " where a.kind = 'statement' and a.original is not null order by a.id desc"
        ).fetchall()
        self.announce("removing functions and triggers")
        self.undo(statements, FOLLOWING)
        for statement in uninstall.behaviour(self.connection, self.source):
            self.connection.execute(statement)
        with repair.quiet(self.connection, application.inspect(self.connection), ("booking_audit_log",)):
            self.connection.execute("delete from public.booking_audit_log as l where l.action = 'adopted'")
        self.announce("putting rows back")
        self.undo(statements, STRENGTHENING)
        restored = self.rows(application.inspect(self.connection))
        self.announce("putting columns and constraints back")
        self.undo(statements, COLUMNS)
        self.announce("putting functions, triggers and privileges back")
        # A body is as it was; what it names is found when it runs, by the search_path of whoever calls it.
        self.connection.execute("select set_config('check_function_bodies', 'off', true)")
        self.revoke(found["tables"])
        self.undo(statements, CLEARING)
        application.restore_comments(self.connection, found["comments"])
        for statement in uninstall.tables(self.connection, self.source, found["tables"]):
            self.connection.execute(statement)
        if found["extension"] is None:
            self.connection.execute("drop extension if exists btree_gist")
        if not found["has_extensions_schema"]:
            self.connection.execute("drop schema if exists extensions")
        self.connection.execute("notify pgrst, 'reload schema'")
        return Undone(self.count, restored, self.remarks)

    def undo(self, statements: list[Any], phase: int) -> None:
        """Run what undoes the changes of a phase, the last change first."""
        for of, undoing in statements:
            for statement in undoing if of == phase else ():
                self.put_back(statement)

    def put_back(self, statement: str) -> None:
        """Run one statement; a constraint that rows of today break is made without looking at them."""
        self.count += 1
        try:
            with self.connection.transaction():
                self.connection.execute(statement)
        except (psycopg.errors.IntegrityError, psycopg.errors.InvalidTextRepresentation) as error:
            is_checked = " add constraint " in statement and (" CHECK " in statement or " FOREIGN KEY " in statement)
            if is_checked:
                self.connection.execute(statement + " not valid")
                self.remarks.append(f"{statement}: made NOT VALID, because {error.diag.message_primary}")
            else:
                self.remarks.append(f"{statement}: not possible any more, because {error.diag.message_primary}")

    def rows(self, app: Application) -> int:
        """Give rows their originals back, where they still are as we left them."""
        groups = self.connection.execute(
            "select a.object, array(select jsonb_object_keys(a.original) order by 1) as columns"
            " from bookingdb.adoption as a where a.kind = 'row' and not a.row_key ? 'was' group by 1, 2"
        ).fetchall()
        with repair.quiet(self.connection, app):
            return sum(self.rows_of(app, table, columns) for table, columns in groups)

    def rows_of(self, app: Application, table: str, columns: list[str]) -> int:
        """Those of a table of which the same columns were mended."""
        self.connection.execute(
            "create temporary table bookingdb_originals on commit drop as"
            " select (a.row_key ->> 'id')::uuid as id, a.original, a.adopted from bookingdb.adoption as a"
            " where a.kind = 'row' and a.object = %s and not a.row_key ? 'was'"
            " and array(select jsonb_object_keys(a.original) order by 1) = %s",
            [table, columns],
        )
        self.connection.execute("analyze pg_temp.bookingdb_originals")
        types = {name: app.type_of(table.removeprefix("public."), name) for name in columns}
        setting = ", ".join(f"{name} = (o.original ->> '{name}')::{types[name]}" for name in columns)
        as_left = " and ".join(
            f"t.{name} is not distinct from (o.adopted ->> '{name}')::{types[name]}" for name in columns
        )
        restored = self.connection.execute(
            f"update {table} as t set {setting} from pg_temp.bookingdb_originals as o where o.id = t.id and {as_left}"
        ).rowcount
        self.connection.execute("drop table pg_temp.bookingdb_originals")
        return restored

    def revoke(self, tables: list[str]) -> None:
        """Take from everybody what the installation granted; what they had is granted again after this."""
        present = self.connection.execute(
            "select quote_ident(r.rolname) from pg_roles as r where r.rolname = any (%s) order by 1",
            [list(KNOWN_ROLES)],
        )
        everyone = ", ".join(["public", *(name for (name,) in present)])
        for table in tables:
            self.connection.execute(f"revoke all on table public.{table} from {everyone}")
