"""Carries a plan out in one transaction: everything or nothing.

Where very many rows have to be repaired, this happens in batches before it (`repair`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bookingdb.adoption import application, repair
from bookingdb.adoption.application import Application
from bookingdb.adoption.plan import planner
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING, Change, Plan
from bookingdb.adoption.plan.file import Decided
from bookingdb.adoption.transaction import changing, lock_installation, refuse_installed
from bookingdb.checks import lint, verify
from bookingdb.install import script, session
from bookingdb.install.session import FAILED, Connection, InstallError, scalar
from bookingdb.install.source import Source

# Where the application's tables wait while the migrations make theirs.
_ASIDE = "bookingdb_adopting"
# What may differ from a new installation because the application has it so; everything else must be right.
_BEARABLE_GROUPS = ("columns", "constraints", "indexes", "privileges", "views", "tables")
_UNBEARABLE_RULES = ("rls_disabled_in_public", "policy_exists_rls_disabled", "rls_enabled_no_policy")

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Adopted:
    """What was done: how many changes and rows, sessions without a place of their own, accepted differences."""

    changes: int
    rows: int
    overlapping: int
    differences: list[str]


def apply(
    connection: Connection,
    decided: Decided,
    source: Source,
    announce: Announce = lambda _: None,
    progress: repair.Progress = repair.in_silence,
) -> Adopted:
    """Do what a plan says: where it mends very many rows, some thousands at a time first; then all else at once.

    Args:
        connection: an open connection, not inside a transaction, of the owner of the application's tables.
        decided: the plan, as read from its file.
        source: the files to apply, with the plan's adapter.
        announce: called with the name of each step.
        progress: called for the rows that are repaired first (see `repair.Progress`).

    Raises:
        InstallError: the database changed since the plan was made, the plan has problems, what would come out is not
            sound, the tables are in use, or the role may not. Nothing was changed but rows that were mended first;
            `undo` puts these back, and `apply` goes on.
    """
    _mend_ahead(connection, decided, source, announce, progress)
    with changing(connection, "adopt"):
        return _Adoption(connection, source, announce).run(decided)


def _still_good(connection: Connection, source: Source, decided: Decided) -> Plan:
    """Make the plan again; an error where it would not be what was decided."""
    if planner.make(connection, source, {}).fingerprint() != decided.fingerprint:
        raise InstallError(
            "the database is not as it was when the plan was made; make a new one with `bookingdb adopt --plan`"
            " (--answers takes over the answers of this one)"
        )
    plan = planner.make(connection, source, decided.answers)
    if plan.problems:
        raise InstallError("the plan cannot be carried out: " + "; ".join(plan.problems))
    repair.check_answers(connection, plan.answers)
    return plan


def _mend_ahead(
    connection: Connection, decided: Decided, source: Source, announce: Announce, progress: repair.Progress
) -> None:
    """Mend what is many and needs nothing else, while the application goes on working."""
    with connection.transaction(force_rollback=True):
        session.prepare(connection, read_only=True)
        refuse_installed(connection)
        repairs = repair.repairs_ahead(connection, decided.answers)
        if not repairs:
            return
        announce("comparing the database with the plan")
        plan = _still_good(connection, source, decided)
    repair.mend_ahead(connection, repairs, plan.answers, progress)


class _Adoption:
    """The steps, inside the transaction."""

    def __init__(self, connection: Connection, source: Source, announce: Announce) -> None:
        self.connection = connection
        self.source = source
        self.announce = announce
        # What bookingdb.adoption will say, until there is such a table.
        self.notes: list[tuple[str, str, Any, Any, Any]] = []
        self.changes = 0

    def run(self, decided: Decided) -> Adopted:
        """Everything, in order."""
        lock_installation(self.connection)
        refuse_installed(self.connection)
        self.announce("locking the tables")
        # What is checked at the end (Django's foreign keys are) leaves a table that nobody may alter until then.
        self.connection.execute("set constraints all immediate")
        self.lock()
        self.announce("comparing the database with the plan")
        plan = _still_good(self.connection, self.source, decided)
        comments = application.comments(self.connection)
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

        self.announce("clearing what is in the way")
        self.execute(plan.changes, CLEARING)
        self.announce("making the tables of bookingdb")
        self.migrate(plan.application)
        self.flush()
        self.announce("adapting columns")
        self.execute(plan.changes, COLUMNS)
        application.restore_comments(self.connection, comments)
        self.announce("mending rows")
        mended = repair.mend(self.connection, plan.application, plan.answers)
        self.announce("adding constraints and indexes")
        self.execute(plan.changes, STRENGTHENING)
        self.announce("installing functions")
        for step in script.functions(self.source):
            self.run_step(step.place, step.statement)
        self.zone(plan)
        self.execute(plan.changes, FOLLOWING)
        self.announce("filling calendar, ledger and audit log")
        # The application's triggers on the audit log have nothing to tell anybody: nothing has happened.
        with repair.quiet(self.connection, plan.application, ("booking_audit_log",)):
            self.backfill()
        self.flush()
        self.announce("verifying")
        differences = self.accept(plan)
        overlapping = scalar(self.connection, "select count(*) from bookingdb.overlapping_sessions")
        return Adopted(self.changes, mended, overlapping, differences)

    def lock(self) -> None:
        """Nobody reads or writes the tables until we are done."""
        app = application.inspect(self.connection)
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
            raise InstallError(FAILED % (place, error.diag.message_primary or error)) from error

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
