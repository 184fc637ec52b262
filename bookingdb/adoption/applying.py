"""Carries a plan out, and undoes it: one transaction each, everything or nothing.

Only rows are mended before it, where they are very many (`mending`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bookingdb.adoption import inspection, mending, planning
from bookingdb.adoption.inspection import Application
from bookingdb.adoption.plan_file import Decided
from bookingdb.adoption.planning import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING, Change, Plan
from bookingdb.checks import lint, verify
from bookingdb.install import installer, script, uninstall
from bookingdb.install.installer import Connection, InstallError
from bookingdb.install.script import INSTALL_LOCK, KNOWN_ROLES, LOCK_TIMEOUT
from bookingdb.install.source import Source

# Where the application's tables wait while the migrations make theirs.
_ASIDE = "bookingdb_adopting"
# What may differ from a new installation because the application has it so; everything else must be right.
_BEARABLE_GROUPS = ("columns", "constraints", "indexes", "privileges", "views", "tables")
_UNBEARABLE_RULES = ("rls_disabled_in_public", "policy_exists_rls_disabled", "rls_enabled_no_policy")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Adopted:
    """What was done: how many changes and rows, sessions without a place of their own, accepted differences."""

    changes: int
    rows: int
    overlapping: int
    differences: list[str]


def make_plan(connection: Connection, source: Source, answers: dict[str, str]) -> tuple[Plan, str]:
    """Make the plan for these answers, and the fingerprint of what was found, which does not depend on them.

    Reads only, in one transaction that sees one moment. Of a database that has been adopted it is empty.

    Raises:
        InstallError: bookingdb is installed already, or there is nothing to adopt.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction isolation level repeatable read, read only")
        _settings(connection)
        if installer.is_adopted(connection):
            return planning.nothing(source), planning.nothing(source).fingerprint()
        _refuse_installed(connection)
        base = planning.make(connection, source, {})
        if not base.application.tables:
            raise InstallError("the database has no tables to take over: `bookingdb migrate` installs bookingdb")
        fingerprint = base.fingerprint()
        return planning.make(connection, source, answers), fingerprint


def likely_adapter(connection: Connection) -> str:
    """Which of our adapters fits the tables in which the application keeps people."""
    query = "select to_regclass(%s) is not null"
    has = {name: bool(_value(connection, query, f"public.{name}")) for name in _PEOPLE}
    if has["users"]:
        return next(
            (adapter for table, adapter in _PEOPLE.items() if adapter != "profiles" and has[table]), "standalone"
        )
    return "profiles" if has["profiles"] else "standalone"


# Tables of people, and the adapter for an application that has them.
_PEOPLE = {
    "therapist_enrollments": "enrollments", "therapists": "therapists", "users": "standalone", "profiles": "profiles",
}  # fmt: skip


def apply(
    connection: Connection,
    decided: Decided,
    source: Source,
    report: Report = lambda _: None,
    progress: mending.Progress = mending.in_silence,
) -> Adopted:
    """Do what a plan says: where it mends very many rows, some thousands at a time first; then all else at once.

    Args:
        connection: an open connection, not inside a transaction, of the owner of the application's tables.
        decided: the plan, as read from its file.
        source: the files to apply, with the plan's adapter.
        report: told each step.
        progress: told how far the rows are that are mended first.

    Raises:
        InstallError: the database changed since the plan was made, the plan has problems, what would come out is not
            sound, the tables are in use, or the role may not. Nothing was changed but rows that were mended first;
            `undo` puts these back, and `apply` goes on.
    """
    _mend_ahead(connection, decided, source, report, progress)
    with connection.transaction():
        installer.prepare(connection)
        connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT * 1000:.0f}ms"])
        try:
            return _Adoption(connection, source, report).run(decided)
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(script.NOT_LOCKED % "adopt") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(script.NOT_PERMITTED % ("adopt", error.diag.message_primary)) from error


def _still_good(connection: Connection, source: Source, decided: Decided) -> Plan:
    """Make the plan again; an error where it would not be what was decided."""
    if planning.make(connection, source, {}).fingerprint() != decided.fingerprint:
        raise InstallError(
            "the database is not as it was when the plan was made; make a new one with `bookingdb adopt --plan`"
            " (--answers takes over the answers of this one)"
        )
    plan = planning.make(connection, source, decided.answers)
    if plan.problems:
        raise InstallError("the plan cannot be carried out: " + "; ".join(plan.problems))
    mending.check_answers(connection, plan.answers)
    return plan


def _mend_ahead(
    connection: Connection, decided: Decided, source: Source, report: Report, progress: mending.Progress
) -> None:
    """Mend what is many and needs nothing else, while the application goes on working."""
    with connection.transaction(force_rollback=True):
        installer.prepare(connection, read_only=True)
        _refuse_installed(connection)
        repairs = mending.repairs_ahead(connection, decided.answers)
        if not repairs:
            return
        report("comparing the database with the plan")
        plan = _still_good(connection, source, decided)
    mending.mend_ahead(connection, repairs, plan.answers, progress)


def comment(connection: Connection, statements: list[str]) -> None:
    """Put comments on what was made anew; what is gone has none."""
    for statement in statements:
        with (
            contextlib.suppress(psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable),
            connection.transaction(),
        ):
            connection.execute(statement)


def _settings(connection: Connection) -> None:
    for name, value in {"statement_timeout": "0", **script.SETTINGS}.items():
        connection.execute("select set_config(%s, %s, true)", [name, value])


def _value(connection: Connection, query: str, *parameters: Any) -> Any:
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None


def _refuse_installed(connection: Connection) -> None:
    if _value(connection, "select to_regclass('bookingdb.history')") is not None:
        if installer.is_adopted(connection):
            raise InstallError("this database has been adopted already; `bookingdb adopt --report` says how")
        raise InstallError("bookingdb is installed in this database already: there is nothing to adopt")


class _Adoption:
    """The steps, inside the transaction."""

    def __init__(self, connection: Connection, source: Source, report: Report) -> None:
        self.connection = connection
        self.source = source
        self.report = report
        # What bookingdb.adoption will say, until there is such a table.
        self.notes: list[tuple[str, str, Any, Any, Any]] = []
        self.changes = 0

    def run(self, decided: Decided) -> Adopted:
        """Everything, in order."""
        if not _value(self.connection, "select pg_try_advisory_xact_lock(%s)", INSTALL_LOCK):
            raise InstallError("another installation is running; try again when it has finished")
        _refuse_installed(self.connection)
        self.report("locking the tables")
        # What is checked at the end (Django's foreign keys are) leaves a table that nobody may alter until then.
        self.connection.execute("set constraints all immediate")
        self.lock()
        self.report("comparing the database with the plan")
        plan = _still_good(self.connection, self.source, decided)
        comments = inspection.comments(self.connection)
        original = {
            "fingerprint": decided.fingerprint,
            "balances": plan.balances,
            "extension": plan.application.extension_schema,
            "has_extensions_schema": plan.application.has_extensions_schema,
            "tables": plan.application.tables,
            "comments": comments,
        }
        self.note("plan", "bookingdb", None, original, {"answers": plan.answers})
        if self.source.adapter.path.startswith("/"):
            self.note("adapter", self.source.adapter.name, None, None, {"text": self.source.adapter.text})

        self.report("clearing what is in the way")
        self.execute(plan.changes, CLEARING)
        self.report("making the tables of bookingdb")
        self.migrate(plan.application)
        self.flush()
        self.report("adapting columns")
        self.execute(plan.changes, COLUMNS)
        comment(self.connection, comments)
        self.report("mending rows")
        mended = mending.mend(self.connection, plan.application, plan.answers)
        self.report("adding constraints and indexes")
        self.execute(plan.changes, STRENGTHENING)
        self.report("installing functions")
        for step in script.functions(self.source):
            self.run_step(step.place, step.statement)
        self.zone(plan)
        self.execute(plan.changes, FOLLOWING)
        self.report("filling calendar, ledger and audit log")
        # The application's triggers on the audit log have nothing to tell anybody: nothing has happened.
        with mending.quiet(self.connection, plan.application, ("booking_audit_log",)):
            self.backfill()
        self.flush()
        self.report("verifying")
        differences = self.accept(plan)
        overlapping = _value(self.connection, "select count(*) from bookingdb.overlapping_sessions")
        return Adopted(self.changes, mended, overlapping, differences)

    def lock(self) -> None:
        """Nobody reads or writes the tables until we are done."""
        app = inspection.inspect(self.connection)
        tables = [name for name, relation in app.relations.items() if relation.kind in ("r", "p")]
        if tables:
            names = ", ".join(f"public.{name}" for name in tables)
            self.connection.execute(f"lock table {names} in access exclusive mode")

    def note(self, kind: str, name: str, key: Any, original: Any, adopted: Any) -> None:
        """Remember something for bookingdb.adoption."""
        as_json = [None if value is None else Jsonb(value) for value in (key, original, adopted)]
        self.notes.append((kind, name, as_json[0], as_json[1], as_json[2]))

    def flush(self) -> None:
        """Write what was remembered."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "insert into bookingdb.adoption (kind, object, row_key, original, adopted) values (%s, %s, %s, %s, %s)",
                self.notes,
            )
        self.notes.clear()

    def run_step(self, place: str, statement: str) -> None:
        """Run a statement; an error says which."""
        try:
            self.connection.execute(statement)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege, psycopg.OperationalError):
            raise
        except psycopg.Error as error:
            raise InstallError(script.FAILED % (place, error.diag.message_primary or error)) from error

    def execute(self, changes: Iterable[Change], phase: int) -> None:
        """Run the changes of a phase, and remember what undoes them."""
        for change in changes:
            if change.phase != phase:
                continue
            for statement in change.statements:
                self.run_step(change.object, statement)
            self.changes += bool(change.statements)
            is_grant = change.object.startswith("privileges")
            for statement in change.statements if is_grant and phase == FOLLOWING else ():
                self.note("statement", change.object, None, None, {"statement": statement, "again": True})
            undo = list(change.undo)
            if undo:
                self.note("statement", change.object, None, {"undo": undo, "phase": phase},
                          {"statement": ";\n".join(change.statements)})  # fmt: skip

    def migrate(self, app: Application) -> None:
        """Make all tables anew, with the application's aside, and put its own in the place of those it has."""
        execute = self.connection.execute
        execute(f"create schema {_ASIDE}")
        for table in app.tables:
            execute(f"alter table public.{table} set schema {_ASIDE}")
        for step in script.structure(self.source.migrations):
            self.run_step(step.place, step.statement)
        if app.tables:
            # Together: they refer to each other; and one that refers to another that stays gives that up.
            execute("drop table " + ", ".join(f"public.{table}" for table in app.tables) + " cascade")
        for table in app.tables:
            execute(f"alter table {_ASIDE}.{table} set schema public")
        execute(f"drop schema {_ASIDE}")

    def backfill(self) -> None:
        """What bookingdb would have written, had it been there from the beginning."""
        execute = self.connection.execute
        execute(
            """
            insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)
            select coalesce(c.user_id, '00000000-0000-0000-0000-000000000000'), c.id, 'opening', c.credits_balance,
                c.credits_balance, 'adoption'
            from public.user_credits as c
            where c.credits_balance > 0
            order by c.created_at, c.id
            """
        )
        execute("select bookingdb.place_adopted_sessions()")
        execute(
            """
            insert into public.booking_audit_log (session_id, user_id, action, old_status, new_status, changes, actor)
            select s.id, s.user_id, 'adopted', null, s.status, '{}', 'adoption'
            from public.sessions as s
            order by s.created_at, s.id
            """
        )

    def zone(self, plan: Plan) -> None:
        """The zone of wall clock times is the default policy's from now on."""
        if zone := plan.answers.get("zone"):
            self.connection.execute("update bookingdb.policies set time_zone = %s where therapist_id is null", [zone])

    # ------------------------------------------------------------------------------------------------------------------
    # Whether all is well
    # ------------------------------------------------------------------------------------------------------------------

    def accept(self, plan: Plan) -> list[str]:
        """Verify and lint: what the application has differently is recorded, what must not be is an error."""
        accepted = []
        kept_policies = {key for key, answer in plan.answers.items() if key.startswith("policy.") and answer == "keep"}
        for finding in verify.verify(self.connection, source=self.source):
            if not _is_bearable(finding):
                raise InstallError(f"the outcome would not be sound: {finding.object} {finding.problem}")
            self.note("difference", finding.object, None, {"group": finding.group, "problem": finding.problem}, None)
            accepted.append(f"{finding.object} {finding.problem}")
        for finding in lint.lint(self.connection, source=self.source):
            open_policy = finding.group == "rls_policy_always_true" and not kept_policies
            if finding.group in _UNBEARABLE_RULES or open_policy:
                raise InstallError(f"the outcome would not be safe: {finding.object} {finding.problem}")
            self.note("difference", finding.object, None, {"group": finding.group, "problem": finding.problem}, None)
            accepted.append(f"{finding.object} {finding.problem}")
        self.flush()
        return accepted


def _is_bearable(finding: verify.Finding) -> bool:
    """Whether something that verify tells is only how the application has its own tables."""
    if finding.group not in _BEARABLE_GROUPS:
        return False
    name = finding.object
    if finding.group == "privileges":
        return name.startswith(("table public.", "sequence public.")) or (
            finding.problem.startswith(("anon has", "PUBLIC has"))
            and name in ("schema bookingdb", "function bookingdb.actor_id()", "function bookingdb.caller_is_trusted()")
        )
    if finding.group == "views":
        return name in ("bookingdb.therapists", "bookingdb.clients")
    if finding.group == "columns" and "is missing" in finding.problem:
        return False
    return name.startswith("public.") or " on public." in name


@dataclass(frozen=True)
class Undone:
    """What was put back, and what could not be put back exactly."""

    statements: int
    rows: int
    remarks: list[str]


def undo(
    connection: Connection,
    source: Source | None = None,
    report: Report = lambda _: None,
    progress: mending.Progress = mending.in_silence,
) -> Undone:
    """Put back what `apply` changed, and remove bookingdb. What the application wrote since stays.

    Where `apply` had only begun to mend rows, these are put back.

    Raises:
        InstallError: nothing was adopted, the tables are in use, or something of the application's needs what would go.
    """
    if _value(connection, "select to_regclass('bookingdb.adoption')") is None and mending.is_under_way(connection):
        restored, refused = mending.put_back(connection, progress)
        remark = f"{refused} rows stay as they became, because what they were is not allowed any more"
        return Undone(0, restored, [remark] if refused else [])
    source = source or installer.installed_source(connection)
    with connection.transaction():
        installer.prepare(connection)
        connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT * 1000:.0f}ms"])
        try:
            return _Undoing(connection, source, report).run()
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(script.NOT_LOCKED % "adopt --undo") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(script.NOT_PERMITTED % ("adopt --undo", error.diag.message_primary)) from error
        except psycopg.errors.DependentObjectsStillExist as error:
            needs = "; ".join((error.diag.message_detail or "").splitlines())
            raise InstallError(f"nothing was undone, because the application uses it: {needs}") from error


class _Undoing:
    """The steps back, inside the transaction."""

    def __init__(self, connection: Connection, source: Source, report: Report) -> None:
        self.connection = connection
        self.source = source
        self.report = report
        self.count = 0
        self.remarks: list[str] = []

    def run(self) -> Undone:
        """Everything, in order."""
        if _value(self.connection, "select to_regclass('bookingdb.adoption')") is None:
            raise InstallError("nothing was adopted in this database")
        plan = self.connection.execute(
            "select a.original, a.adopted from bookingdb.adoption as a where a.kind = 'plan'"
        ).fetchone()
        if plan is None:
            raise InstallError("nothing was adopted in this database")
        self.connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        found = plan[0]
        app = inspection.inspect(self.connection)
        names = ", ".join(f"public.{name}" for name in app.tables)
        self.connection.execute(f"lock table {names} in access exclusive mode")
        self.connection.execute("set constraints all immediate")

        statements = self.connection.execute(
            "select (a.original ->> 'phase')::integer, a.original -> 'undo' from bookingdb.adoption as a"
            " where a.kind = 'statement' and a.original is not null order by a.id desc"
        ).fetchall()
        self.report("removing functions and triggers")
        self.undo(statements, FOLLOWING)
        for statement in uninstall.behaviour(self.connection, self.source):
            self.connection.execute(statement)
        with mending.quiet(self.connection, inspection.inspect(self.connection), ("booking_audit_log",)):
            self.connection.execute("delete from public.booking_audit_log as l where l.action = 'adopted'")
        self.report("putting rows back")
        self.undo(statements, STRENGTHENING)
        restored = self.rows(inspection.inspect(self.connection))
        self.report("putting columns and constraints back")
        self.undo(statements, COLUMNS)
        self.report("putting functions, triggers and privileges back")
        # A body is as it was; what it names is found when it runs, by the search_path of whoever calls it.
        self.connection.execute("select set_config('check_function_bodies', 'off', true)")
        self.revoke(found["tables"])
        self.undo(statements, CLEARING)
        comment(self.connection, found["comments"])
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
        with mending.quiet(self.connection, app):
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


__all__ = ["Adopted", "Undone", "apply", "make_plan", "undo"]
