"""Carries a plan out in one transaction: everything or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bookingdb.adoption import application, damage, prepare
from bookingdb.adoption.plan import planner
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING, Change, Plan
from bookingdb.adoption.plan.file import Decided
from bookingdb.adoption.plan.people import with_case
from bookingdb.adoption.repair import note_chosen, repair_rows, triggers_off
from bookingdb.adoption.statements import query
from bookingdb.adoption.transaction import changing, lock_installation, lock_tables, one_moment, refuse_installed
from bookingdb.checks import lint, verify
from bookingdb.checks.finding import Finding
from bookingdb.install import script, session
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import FAILED, Connection, InstallError, scalar
from bookingdb.install.source import Source

# The application's tables wait in this schema while the migrations make theirs.
_ASIDE = "bookingdb_adopting"
# Findings of these groups may be the application's own way; any other finding stops the adoption.
_BEARABLE_GROUPS = ("columns", "constraints", "indexes", "privileges", "views", "tables")
_UNBEARABLE_RULES = ("rls_disabled_in_public", "policy_exists_rls_disabled", "rls_enabled_no_policy")

# Called with the name of each stage when it begins.
Announce = Callable[[str], None]


@dataclass(frozen=True)
class Adopted:
    """The outcome: how many changes, rows repaired by class, sessions without a place, differences, remarks."""

    changes: int
    repaired: dict[str, int]
    overlapping: int
    differences: list[str]
    remarks: list[str]

    @property
    def rows(self) -> int:
        """The number of repaired rows; one that was repaired in two classes counts in both."""
        return sum(self.repaired.values())


@dataclass
class _Adoption:
    """An adoption inside its transaction, and what was done so far.

    ``prepared`` are indexes that are there already; ``notes`` are rows for bookingdb.adoption, kept until there is such
    a table.
    """

    connection: Connection
    source: Source
    plan: Plan
    comments: list[str]
    prepared: set[str]
    notes: list[tuple[str, str, Jsonb | None, Jsonb | None]] = field(default_factory=list)
    changes: int = 0
    repaired: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def note(self, kind: str, name: str, original: Any, adopted: Any) -> None:
        """Remember something for bookingdb.adoption."""
        was, became = (None if value is None else Jsonb(value) for value in (original, adopted))
        self.notes.append((kind, name, was, became))

    def write_notes(self) -> None:
        """Write what was remembered."""
        insert = "insert into bookingdb.adoption (kind, object, original, adopted) values (%s, %s, %s, %s)"
        with self.connection.cursor() as cursor:
            cursor.executemany(insert, self.notes)
        self.notes.clear()

    def run(self, place: str, statement: str) -> None:
        """Run a statement; an error says which."""
        try:
            self.connection.execute(statement)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege, psycopg.OperationalError):
            raise
        except psycopg.Error as error:
            raise InstallError(FAILED % (place, error.diag.message_primary or error)) from error


def apply(
    connection: Connection,
    decided: Decided,
    source: Source,
    announce: Announce = lambda _: None,
) -> Adopted:
    """Do what a plan says.

    Args:
        connection: an open connection, not inside a transaction, of the owner of the application's tables.
        decided: the plan, as read from its file.
        source: the files to apply, with the plan's adapter.
        announce: called with the name of each stage.

    Raises:
        InstallError: the structure changed since the plan was made, answers did, or some are missing; the plan has
            problems, what would come out is not sound, the tables are in use, the role may not, or it has more rights
            than the owner. Nothing was changed; what was prepared (`prepare`) stays for the next time.
    """
    refuse_more_rights(connection)
    source = with_case(source, decided.answers)
    with one_moment(connection):
        refuse_installed(connection)
    announce("comparing the database with the plan")
    plan = _still_good(connection, source, decided)
    prepare.prepare(connection, plan, source, announce)
    return _adopt(connection, plan, decided, source, announce)


def _adopt(connection: Connection, plan: Plan, decided: Decided, source: Source, announce: Announce) -> Adopted:
    """Do all of it in one transaction."""
    with changing(connection, "adopt"):
        lock_installation(connection)
        refuse_installed(connection)
        announce("locking the tables")
        _lock_tables(connection)
        _refuse_another_structure(connection, plan)
        # Everybody waits: sorting in memory takes half the time.
        for setting in ("work_mem", "maintenance_work_mem"):
            session.configure(connection, setting, "256MB")
        prepared = prepare.valid_indexes(connection)
        adoption = _Adoption(connection, source, plan, application.comments(connection), prepared)
        _note_plan(adoption, decided)
        note_chosen(connection, plan.application, plan.answers)
        for stage, carry_out in _STAGES:
            announce(stage)
            carry_out(adoption)
        overlapping = scalar(connection, "select count(*) from bookingdb.overlapping_sessions")
        adopted = Adopted(adoption.changes, adoption.repaired, overlapping, adoption.differences, adoption.remarks)
    _record_commit(connection)
    return adopted


def _lock_tables(connection: Connection) -> None:
    """Keep everybody from reading or writing the tables until the transaction ends."""
    # Deferred constraints (Django's foreign keys) that wait for their check would forbid altering the table.
    connection.execute("set constraints all immediate")
    relations = application.inspect(connection).relations
    lock_tables(connection, [f"public.{name}" for name, each in relations.items() if each.kind in ("r", "p")])


def _record_commit(connection: Connection) -> None:
    """Record that the adoption has committed: refuse_old_calls() need not look at calls that begin after this."""
    # The adoption is done. Without the record it looks at each call for an hour.
    with contextlib.suppress(psycopg.Error), connection.transaction():
        connection.execute("insert into bookingdb.adoption (kind, object) values ('statement', 'commit')")


_MAKE_AGAIN = "make it again with `bookingdb adopt --plan --answers PLAN --output PLAN`, and read it"


def _still_good(connection: Connection, source: Source, decided: Decided) -> Plan:
    """Make the plan again; refuse where it would not be what was decided. Nothing is locked yet."""
    if decided.was_edited:
        raise InstallError(f"the plan was made before its answers were edited: {_MAKE_AGAIN}")
    if decided.problems:
        # An answer that was refused is no longer in it: with the default in its place, nobody has read the plan.
        raise InstallError(f"the plan has problems: {'; '.join(decided.problems)}. Put them right, and {_MAKE_AGAIN}")
    plan = planner.make_plan(connection, source, decided.answers)
    if plan.fingerprint() != decided.fingerprint:
        raise InstallError(f"the database is not as it was when the plan was made: {_MAKE_AGAIN}")
    if plan.problems:
        raise InstallError("the plan cannot be carried out: " + "; ".join(plan.problems))
    if plan.unanswered:
        raise InstallError(
            f"only a person can answer {', '.join(plan.unanswered)}: write the answers into the plan, and {_MAKE_AGAIN}"
        )
    return plan


def _refuse_another_structure(connection: Connection, plan: Plan) -> None:
    """Refuse where the structure changed between the comparison and the locks."""
    if application.inspect(connection).structure() != plan.application.structure():
        raise InstallError("the structure of the database changed just now: try again")


def _note_plan(adoption: _Adoption, decided: Decided) -> None:
    plan, adapter = adoption.plan, adoption.source.adapter
    original = {
        "fingerprint": decided.fingerprint,
        "balances": damage.balances(adoption.connection, plan.application),
        "extension": plan.application.extension_schema,
        "has_extensions_schema": plan.application.has_extensions_schema,
        "tables": plan.application.tables,
        "has_used_lots": damage.has_used_lots(adoption.connection, plan.application),
        "comments": adoption.comments,
    }
    adoption.note("plan", "bookingdb", original, {"answers": plan.answers, "planned": decided.repairs})
    if adapter.path.startswith("/"):
        adoption.note("adapter", adapter.name, None, {"text": adapter.text})


# ----------------------------------------------------------------------------------------------------------------------
# The stages
# ----------------------------------------------------------------------------------------------------------------------


def _carry_out(adoption: _Adoption, phase: int) -> None:
    """Run the changes of a phase, and remember what undoes them."""
    for change in adoption.plan.changes:
        if change.phase == phase:
            for statement in change.statements if change.object not in adoption.prepared else ():
                adoption.run(change.object, statement)
            adoption.changes += bool(change.statements)
            _note_change(adoption, change)


def _note_change(adoption: _Adoption, change: Change) -> None:
    if change.phase == FOLLOWING and change.object.startswith("privileges"):
        # Every later installation replaces the privileges, and must grant these again.
        for statement in change.statements:
            adoption.note("statement", change.object, None, {"statement": statement, "again": True})
    if change.undo:
        original = {"undo": list(change.undo), "phase": change.phase}
        adoption.note("statement", change.object, original, {"statement": ";\n".join(change.statements)})


def _clear(adoption: _Adoption) -> None:
    _carry_out(adoption, CLEARING)


def _make_tables(adoption: _Adoption) -> None:
    """Make all tables, with the application's aside; then put its own in the place of those that it has."""
    execute, tables = adoption.connection.execute, adoption.plan.application.tables
    execute(f"create schema {_ASIDE}")
    for table in tables:
        execute(f"alter table public.{table} set schema {_ASIDE}")
    for step in script.structure(adoption.source.migrations):
        adoption.run(step.place, step.statement)
    if tables:
        # Together: they refer to each other; and one that refers to another that stays gives that up.
        execute("drop table " + ", ".join(f"public.{table}" for table in tables) + " cascade")
    for table in tables:
        execute(f"alter table {_ASIDE}.{table} set schema public")
    execute(f"drop schema {_ASIDE}")
    prepare.take_over(adoption.connection)
    adoption.write_notes()


def _adapt_columns(adoption: _Adoption) -> None:
    _carry_out(adoption, COLUMNS)
    application.restore_comments(adoption.connection, adoption.comments)


def _repair_rows(adoption: _Adoption) -> None:
    plan = adoption.plan
    adoption.repaired = repair_rows(adoption.connection, plan.application, plan.answers)
    counted = Jsonb({"repaired": adoption.repaired})
    text = "update bookingdb.adoption as a set adopted = a.adopted || %s where a.kind = 'plan'"
    adoption.connection.execute(text, [counted])


def _begin_log(adoption: _Adoption) -> None:
    """Begin the audit log of every session, before it has indexes that each row would have to be sorted into."""
    # The application's triggers on the audit log would act on what has not happened.
    with triggers_off(adoption.connection, adoption.plan.application, ("booking_audit_log",)):
        adoption.connection.execute(query("apply/log_adoption"))


def _strengthen(adoption: _Adoption) -> None:
    _carry_out(adoption, STRENGTHENING)


def _install_functions(adoption: _Adoption) -> None:
    for step in script.functions(adoption.source):
        adoption.run(step.place, step.statement)
    if zone := adoption.plan.answers.get("zone"):
        default = "update bookingdb.policies set time_zone = %s where therapist_id is null"
        adoption.connection.execute(default, [zone])
    _carry_out(adoption, FOLLOWING)


def _fill(adoption: _Adoption) -> None:
    """Write what bookingdb would have written, had it been there from the beginning."""
    execute = adoption.connection.execute
    execute(query("apply/open_ledger"))
    prepare.forget_changed(adoption.connection, adoption.plan)
    execute("select bookingdb.place_adopted_sessions()")
    adoption.write_notes()


def _verify(adoption: _Adoption) -> None:
    """Record what the application has differently from a new installation; refuse what must not differ."""
    for finding in verify.verify(adoption.connection, source=adoption.source):
        if finding.group == verify.CONTRADICTORY_TIMES:
            # The rows' own, which their owner has seen in the plan: said now, and again until they are put right.
            adoption.remarks.append(f"{finding.object} {finding.problem}")
            continue
        if not _is_bearable(finding):
            raise InstallError(f"the outcome would not be sound: {finding.object} {finding.problem}")
        _accept(adoption, finding)
    answers = adoption.plan.answers
    keeps_policies = any(key.startswith("policy.") and answer == "keep" for key, answer in answers.items())
    for finding in lint.lint(adoption.connection, source=adoption.source):
        is_open = finding.group == "rls_policy_always_true" and not keeps_policies
        if finding.group in _UNBEARABLE_RULES or is_open:
            raise InstallError(f"the outcome would not be safe: {finding.object} {finding.problem}")
        _accept(adoption, finding)
    adoption.write_notes()


def _accept(adoption: _Adoption, finding: Finding) -> None:
    adoption.note("difference", finding.object, {"group": finding.group, "problem": finding.problem}, None)
    adoption.differences.append(f"{finding.object} {finding.problem}")


def _is_bearable(finding: Finding) -> bool:
    """Tell whether a finding of verify only says how the application has its own tables."""
    if finding.group not in _BEARABLE_GROUPS:
        return False
    name = finding.object
    if finding.group == "privileges":
        return name.startswith(("table public.", "sequence public.")) or (
            finding.problem.startswith(("anon has", "PUBLIC has"))
            and name in ("schema bookingdb", "function bookingdb.actor_id()", "function bookingdb.caller_is_trusted()")
        )
    if finding.group == "views":
        return name in ("bookingdb.therapists", "bookingdb.clients", "bookingdb.people")
    if finding.group == "columns" and "is missing" in finding.problem:
        return False
    return name.startswith("public.") or " on public." in name


# Columns change before rows are repaired, for repairs write the new columns; constraints need repaired rows; triggers
# that follow the application need our functions; and these fill the calendar, which is then looked at.
_STAGES: tuple[tuple[str, Callable[[_Adoption], None]], ...] = (
    ("clearing what is in the way", _clear),
    ("making the tables of bookingdb", _make_tables),
    ("adapting columns", _adapt_columns),
    ("mending rows", _repair_rows),
    ("beginning the audit log", _begin_log),
    ("adding constraints and indexes", _strengthen),
    ("installing functions", _install_functions),
    ("filling calendar and ledger", _fill),
    ("verifying", _verify),
)
