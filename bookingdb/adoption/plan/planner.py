"""Makes the plan of `bookingdb adopt` from the database and its owner's answers alone.

The same structure and the same answers give the same statements: `apply` makes the plan again and compares, so that
nothing happens that nobody has read. Rows may be others by then; the answers are about all of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

import psycopg

from bookingdb.adoption import application, damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.plan import counts
from bookingdb.adoption.plan.companions import copy_columns, follow_credit_type
from bookingdb.adoption.plan.damage import ask_about_damage, ask_about_statuses
from bookingdb.adoption.plan.draft import Plan, PlanDraft
from bookingdb.adoption.plan.functions import replace_functions
from bookingdb.adoption.plan.hours import follow_schedules, readers
from bookingdb.adoption.plan.people import ask_about_case, refuse_other_people
from bookingdb.adoption.plan.security import guard_tables
from bookingdb.adoption.plan.tables import adapt_tables
from bookingdb.adoption.plan.times import ask_for_zones
from bookingdb.adoption.plan.triggers import judge_triggers
from bookingdb.adoption.plan.types import NO_NUMBER, refuse_no_numbers
from bookingdb.adoption.readings import AS_UTC, AS_UTC_OTHERS, AS_UTC_WHERE, UNSCHEDULED
from bookingdb.adoption.transaction import one_moment, refuse_installed
from bookingdb.install import installer
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import Connection, InstallError
from bookingdb.install.source import Source

Part = Callable[[PlanDraft], None]


def reads_rows(part: Part) -> Part:
    """Let a part that reads rows fail on columns of unexpected types: that is a problem of the plan, not its end."""

    @wraps(part)
    def attempt(draft: PlanDraft) -> None:
        try:
            with draft.connection.transaction():
                part(draft)
        except psycopg.errors.InsufficientPrivilege:
            raise
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
            # NaN becomes no integer, and the problem of it is known.
            if any(NO_NUMBER in problem for problem in draft.problems):
                return
            said = (error.diag.message_primary or str(error)).strip()
            problem = f"the rows cannot be read, because a column is missing or of another type than it must be: {said}"
            if problem not in draft.problems:
                draft.problems.append(problem)

    return attempt


def count_balances(draft: PlanDraft) -> None:
    """Count the credits of each client by the application's own count."""
    draft.balances = damage.balances(draft.connection, draft.app)


def count_rows(draft: PlanDraft) -> None:
    """Count the rows there are, and those that the answers change."""
    draft.counts = counts.count(draft.connection, draft.app, draft.answers)
    for table, number in draft.counts.tables.items():
        draft.note("tables", f"table public.{table} has {number} rows")


def refuse_unknown_answers(draft: PlanDraft) -> None:
    """Refuse answers to questions that were not asked; where there are other problems, these may be why.

    Questions about rows come and go with the rows.
    """
    about_rows = damage.CHOICES.keys() | {AS_UTC, AS_UTC_WHERE, AS_UTC_OTHERS, UNSCHEDULED}
    known = {question.key for question in draft.questions} | about_rows
    unknown = sorted(key for key in draft.given.keys() - known if not key.startswith("pair."))
    if unknown and not draft.problems:
        draft.problems.append(f"answers to what nobody asks: {', '.join(unknown)}")


# A part may read the answers to the questions of those before it, so the order matters:
# - No sum can be made of what is no number.
# - How addresses compare decides who is a therapist.
# - Statuses and zones that the owner names decide which sessions overlap, or lack an end.
# - Columns become instants in these zones.
# - A trigger that is made again for a new type must be known before it is switched off for good.
# - The type of a column cannot change while a constraint, index or function to be cleared still names it.
# - Times are kept together where a trigger that did so is switched off, or starts were missing.
# - Only what asks nothing more may judge which answers are unknown.
PARTS: tuple[Part, ...] = (
    reads_rows(refuse_no_numbers),
    ask_about_case,
    reads_rows(ask_about_statuses),
    reads_rows(ask_for_zones),
    reads_rows(ask_about_damage),
    reads_rows(adapt_tables),
    judge_triggers,
    replace_functions,
    reads_rows(copy_columns),
    follow_credit_type,
    follow_schedules,
    guard_tables,
    refuse_unknown_answers,
    reads_rows(count_balances),
    reads_rows(count_rows),
)


def make(connection: Connection, source: Source, answers: Mapping[str, str]) -> Plan:
    """Make the plan. The transaction must have been made ready with `session.prepare`; nothing is written."""
    draft = PlanDraft(connection, source, application.inspect(connection), dict(answers))
    refuse_other_people(draft)
    # Without its ids and its people every other part would only say the same again.
    for part in PARTS if not draft.problems else ():
        part(draft)
    return draft.finish()


def nothing(source: Source) -> Plan:
    """The plan for a database that has been adopted: nothing is left to do."""
    empty = Application({}, {}, [], [], [], [], [], None, has_extensions_schema=False)
    return Plan(source.adapter.name, empty, [], {}, [], [], {}, [], {})


def make_plan(connection: Connection, source: Source, answers: Mapping[str, str]) -> Plan:
    """Make the plan for these answers.

    Reads only, in one transaction that sees one snapshot. For a database that has been adopted the plan is empty.

    Raises:
        InstallError: bookingdb is installed already, or there is nothing to adopt.
    """
    refuse_more_rights(connection)
    with one_moment(connection, readers(source)):
        if installer.is_adopted(connection):
            return nothing(source)
        refuse_installed(connection)
        plan = make(connection, source, answers)
        if not plan.application.tables:
            raise InstallError("the database has no tables to take over: `bookingdb migrate` installs bookingdb")
        return plan
