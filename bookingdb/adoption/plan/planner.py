"""What `bookingdb adopt` would do, as a function of the database and its owner's answers alone.

The same database and the same answers give the same plan: `apply` makes it again and compares, so that nothing happens
that nobody has read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg

from bookingdb.adoption import damage
from bookingdb.adoption.application import Application
from bookingdb.adoption.plan.behaviour import BehaviourPart
from bookingdb.adoption.plan.damage import RowsPart
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, FOLLOWING, STRENGTHENING, Change, Plan, Question
from bookingdb.adoption.plan.security import SecurityPart
from bookingdb.adoption.plan.tables import TablesPart
from bookingdb.adoption.transaction import one_moment, refuse_installed
from bookingdb.install import installer
from bookingdb.install.session import Connection, InstallError, scalar
from bookingdb.install.source import Source


class _Planner(RowsPart, TablesPart, BehaviourPart, SecurityPart):
    """Goes through everything that the application has."""


def nothing(source: Source) -> Plan:
    """The plan for a database that has been adopted: nothing is left to do."""
    empty = Application({}, {}, [], [], [], [], [], None, has_extensions_schema=False)
    return Plan(source.adapter.name, empty, [], {}, [], [], {}, [], {})


def _attempt(planner: _Planner, part: Callable[[], None]) -> None:
    """Plan a part that reads rows; types that nobody thought of are a problem of the plan, not the end of it."""
    try:
        with planner.connection.transaction():
            part()
    except psycopg.errors.InsufficientPrivilege:
        raise
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        said = (error.diag.message_primary or str(error)).strip()
        problem = f"the rows cannot be read, because a column is missing or of another type than it must be: {said}"
        if problem not in planner.problems:
            planner.problems.append(problem)


def make(connection: Connection, source: Source, answers: Mapping[str, str]) -> Plan:
    """Make the plan. The transaction must have been made ready with `session.prepare`; nothing is written."""
    planner = _Planner(connection, source, answers)
    found: list[damage.Rows] = []
    _attempt(planner, planner.statuses)
    _attempt(planner, planner.times)
    _attempt(planner, lambda: found.extend(planner.rows()))
    _attempt(planner, planner.tables)
    planner.triggers()
    planner.functions()
    planner.customs()
    planner.credit_types()
    planner.schedules()
    planner.security()
    unknown = sorted(set(answers) - {question.key for question in planner.questions})
    if unknown and not planner.problems:
        planner.problems.append(f"answers to what nobody asks: {', '.join(unknown)}")
    balances: dict[str, int] = {}
    _attempt(planner, lambda: balances.update(damage.balances(connection, planner.app)))
    return Plan(
        adapter=source.adapter.name,
        application=planner.app,
        questions=planner.questions,
        answers=planner.answers,
        changes=sorted(planner.changes, key=lambda change: change.phase),
        rows=found,
        found=planner.found,
        problems=planner.problems,
        balances=balances,
    )


def make_plan(connection: Connection, source: Source, answers: dict[str, str]) -> tuple[Plan, str]:
    """Make the plan for these answers, and the fingerprint of what was found, which does not depend on them.

    Reads only, in one transaction that sees one moment. Of a database that has been adopted it is empty.

    Raises:
        InstallError: bookingdb is installed already, or there is nothing to adopt.
    """
    with one_moment(connection):
        if installer.is_adopted(connection):
            return nothing(source), nothing(source).fingerprint()
        refuse_installed(connection)
        base = make(connection, source, {})
        if not base.application.tables:
            raise InstallError("the database has no tables to take over: `bookingdb migrate` installs bookingdb")
        fingerprint = base.fingerprint()
        return make(connection, source, answers), fingerprint


def likely_adapter(connection: Connection) -> str:
    """Which of our adapters fits the tables in which the application keeps people."""
    query = "select to_regclass(%s) is not null"
    has = {name: bool(scalar(connection, query, f"public.{name}")) for name in _PEOPLE}
    if has["users"]:
        return next(
            (adapter for table, adapter in _PEOPLE.items() if adapter != "profiles" and has[table]), "standalone"
        )
    return "profiles" if has["profiles"] else "standalone"


# Tables of people, and the adapter for an application that has them.
_PEOPLE = {
    "therapist_enrollments": "enrollments", "therapists": "therapists", "users": "standalone", "profiles": "profiles",
}  # fmt: skip


__all__ = ["CLEARING", "COLUMNS", "FOLLOWING", "STRENGTHENING", "Change", "Plan", "Question", "make", "nothing"]
