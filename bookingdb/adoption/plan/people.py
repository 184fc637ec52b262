"""The adapter of a plan: whether it fits the application's tables of people, and whom it finds there."""

from __future__ import annotations

import re

from bookingdb.adoption import damage
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection, scalar

# Tables of people, and the adapter for an application that has them.
_PEOPLE = {
    "therapist_enrollments": "enrollments", "therapists": "therapists", "users": "standalone", "profiles": "profiles",
}  # fmt: skip


def likely_adapter(connection: Connection) -> str:
    """Return the adapter of this package that fits the tables in which the application keeps people."""
    query = "select to_regclass(%s) is not null"
    has = {name: bool(scalar(connection, query, f"public.{name}")) for name in _PEOPLE}
    if has["users"]:
        return next(
            (adapter for table, adapter in _PEOPLE.items() if adapter != "profiles" and has[table]), "standalone"
        )
    return "profiles" if has["profiles"] else "standalone"


def bookable_therapists(draft: PlanDraft) -> str | None:
    """Return the query of the adapter's therapists, None without one that this database can answer.

    A view of the adapter that does not fit the database is a problem of the plan.
    """
    bookable = None
    for view in draft.source.views:
        found = re.match(r"create or replace view bookingdb\.(\w+)\s+as\s+(.*)", view, re.DOTALL | re.I)
        if found is None:
            continue
        name, select = found.groups()
        _refuse_missing_tables(draft, select)
        # bookingdb makes the table users where there is none: then there is nobody yet.
        if draft.app.has("users") or "public.users" not in select:
            if reason := damage.misfit(draft.connection, select):
                _refuse_misfit(draft, reason)
            if name != "people":
                _count_people(draft, name, select)
            if name == "therapists":
                bookable = _ids_only(draft, select)
    return bookable


def _refuse_missing_tables(draft: PlanDraft, select: str) -> None:
    made = {f"public.{name}" for name in PUBLIC_TABLES}
    for table in re.findall(r"(?:from|join)\s+([a-z_]+\.[a-z_]+)", select):
        if table not in made and not scalar(draft.connection, "select to_regclass(%s) is not null", table):
            draft.problems.append(f"the adapter {draft.source.adapter.name} needs the table {table}")


def _refuse_misfit(draft: PlanDraft, reason: str) -> None:
    """Note that the adapter asks for missing columns; those of users, bookingdb adds itself."""
    missing = re.search(r"column \w+\.(\w+) does not exist", reason)
    if missing and "public.users" in draft.source.adapter.text and draft.our_column("users", missing[1]):
        return
    draft.problems.append(f"the adapter {draft.source.adapter.name} does not fit: {reason}")


def _count_people(draft: PlanDraft, who: str, select: str) -> None:
    if damage.misfit(draft.connection, select) is None:
        row = draft.connection.execute(f"select count(*) from ({select}) as p").fetchone()
        draft.note("people", f"adapter {draft.source.adapter.name}: {row[0] if row else 0} {who}")


def _ids_only(draft: PlanDraft, select: str) -> str | None:
    """Ask for the id alone: other columns may have yet to be made."""
    ids = re.sub(r"select\s+(\w+\.id)\b.*?\sfrom\s", r"select \1 from ", select, count=1, flags=re.S)
    return None if damage.misfit(draft.connection, ids) else ids
