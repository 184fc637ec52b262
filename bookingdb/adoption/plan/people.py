"""The adapter of a plan: whether it fits the application's tables of people, and whom it finds there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import psycopg

from bookingdb.adoption import damage
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.plpgsql_text import code
from bookingdb.adoption.readings import readings
from bookingdb.adoption.statements import query
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection, scalar
from bookingdb.install.source import Source, load

# Tables of people, and the adapter for an application that has them.
_PEOPLE = {
    "therapist_enrollments": "enrollments", "therapists": "therapists", "users": "standalone", "profiles": "profiles",
}  # fmt: skip
# The question whether capitals count in addresses of enrollments, and the adapter of each answer.
_CASE = "people.email_case"
_OF_CASE = {"any": "enrollments", "exact": "exact_enrollments"}
# Evidence names this many people.
_SHOWN = 20


# Tables in which other applications keep people, and where the adapters of this package do.
_OTHER_PEOPLE = (
    "clients", "customers", "patients", "members", "students", "people", "persons", "contacts", "practitioners",
    "providers", "coaches", "counselors", "counsellors", "doctors", "teachers", "trainers", "employees", "staff",
)  # fmt: skip
_KNOWN_PEOPLE = ("public.users", "public.therapists", "public.profiles", "auth.users")
# The ids by which everything is known.
_IDS = {"users": ("id",), "sessions": ("id", "user_id", "therapist_id"), "user_credits": ("id", "user_id")}


def refuse_other_people(draft: PlanDraft) -> None:
    """Say in one sentence that ids, or tables of people, of other kinds than ours cannot be adopted."""
    reasons, needed = [], []
    ids = [
        f"public.{table}.{name} is of type {column.type}"
        for table, names in _IDS.items()
        for name in names
        if (column := draft.app.column(table, name)) and column.type != "uuid"
    ]
    if ids:
        reasons.append(", ".join(ids))
        needed.append("ids of type uuid, for people, sessions and lots, and wherever these are referred to")
    people = _other_people(draft)
    if people:
        reasons.append(f"people are kept in {', '.join(people)}")
        needed.append(
            "columns user_id and therapist_id of sessions with the ids of people in public.users or public.profiles,"
            " or an adapter that finds them elsewhere (--adapter FILE)"
        )
    if reasons:
        draft.problems.append(
            f"this database cannot be adopted yet: {', and '.join(reasons)}; it would need {', and '.join(needed)}"
        )


def _other_people(draft: PlanDraft) -> list[str]:
    """List the tables of people that no adapter of this package reads, where the plan is made with one of these."""
    app = draft.app
    if draft.source.adapter.path.startswith("/") or not app.has("sessions"):
        return []
    targets = {
        each.target
        for each in app.constraints
        if each.table in ("sessions", "user_credits") and each.kind == "f" and each.target not in _KNOWN_PEOPLE
        if each.columns in (["user_id"], ["therapist_id"])
    }
    found = {target for target in targets if target and not _extends_people(draft, target)}
    lacks_people = not all(app.column("sessions", name) for name in ("user_id", "therapist_id"))
    if lacks_people or not (app.has("users") or _is_there(draft, "public.profiles")):
        found |= {f"public.{name}" for name in _OTHER_PEOPLE if _is_there(draft, f"public.{name}")}
    return sorted(found)


def _extends_people(draft: PlanDraft, table: str) -> bool:
    text = query("plan/extends_people", table=table, people=list(_KNOWN_PEOPLE))
    return bool(scalar(draft.connection, text))


def _is_there(draft: PlanDraft, table: str) -> bool:
    return bool(scalar(draft.connection, "select to_regclass(%s) is not null", table))


def likely_adapter(connection: Connection) -> str:
    """Return the adapter of this package that fits the tables in which the application keeps people."""
    query = "select to_regclass(%s) is not null"
    has = {name: bool(scalar(connection, query, f"public.{name}")) for name in _PEOPLE}
    if has["users"]:
        return next(
            (adapter for table, adapter in _PEOPLE.items() if adapter != "profiles" and has[table]), "standalone"
        )
    return "profiles" if has["profiles"] else "standalone"


def with_case(source: Source, answers: Mapping[str, str]) -> Source:
    """Return the files with the adapter that the answer about capitals in addresses of enrollments asks for."""
    adapter = _OF_CASE.get(answers.get(_CASE, ""))
    if adapter is None or source.adapter.name not in _OF_CASE.values():
        return source
    return replace(source, adapter=load(adapter=adapter).adapter)


def ask_about_case(draft: PlanDraft) -> None:
    """Ask whether addresses that differ by capitals alone are the same, where an enrollment is somebody's only then."""
    if draft.source.adapter.name not in _OF_CASE.values():
        return
    try:
        with draft.connection.transaction():
            has_sessions = draft.app.column("sessions", "therapist_id") and draft.app.column("sessions", "status")
            sessions = "public.sessions" if has_sessions else f"({query('plan/no_sessions')})"
            text = query("plan/enrolled_by_case", sessions=sessions)
            found = draft.connection.execute(text).fetchall()
    except psycopg.ProgrammingError:
        # The adapter does not fit; the plan says so elsewhere.
        return
    booked = [id_ for id_, sessions in found if sessions]
    said, is_exact = _comparisons(draft)
    evidence = [
        f"Therapists whose approved enrollment has their address only in other capitals: {len(found)}"
        f"{_listed([id_ for id_, _ in found])}. Such therapists with sessions: {len(booked)}{_listed(booked)}.",
        *said,
    ]
    choices = {
        "any": "capitals make no difference: these therapists can be booked",
        "exact": "an address is another one in other capitals: these therapists cannot be booked",
    }
    answer = draft.ask(_CASE, evidence, choices, "exact" if is_exact and not booked else "any")
    effect = "can be booked" if answer == "any" else "cannot be booked"
    for id_, sessions in found:
        draft.note("people", f"therapist {id_} {effect}: enrolled in other capitals; {sessions} sessions so far")
    draft.source = with_case(draft.source, draft.answers)


def _comparisons(draft: PlanDraft) -> tuple[list[str], bool]:
    """Say how the application's functions compare addresses of enrollments, and whether all go by the exact address."""
    lines, exact = [], []
    for function in draft.app.functions:
        text = code(function.source)
        if not re.search(r"\btherapist_enrollments\b", text) or not re.search(r"\bemail\b", text):
            continue
        exact.append(not re.search(r"\b(?:lower|upper)\s*\([^()]*\bemail\b|\bilike\b|\bcitext\b", text))
        how = "as they are" if exact[-1] else "in any capitals"
        lines.append(f"{function.signature} reads therapist_enrollments, and compares addresses {how}.")
    if not lines:
        lines = ["No function of the database reads therapist_enrollments: only the application's own code knows."]
    return lines, bool(exact) and all(exact) and "citext" not in str(draft.app.type_of("users", "email"))


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f" ({', '.join(ids[:_SHOWN])}{more})" if ids else ""


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
    if bookable:
        _note_unbookable(draft, bookable)
    return bookable


def _note_unbookable(draft: PlanDraft, bookable: str) -> None:
    """Note the therapists who have sessions to come, and cannot be booked."""
    if not draft.app.has("sessions"):
        return
    read = readings(draft.app, damage.complete(draft.answers))
    text = query("plan/unbookable_therapists", readings=read, bookable=bookable)
    for id_, sessions in draft.connection.execute(text).fetchall():
        draft.note("people", f"therapist {id_} cannot be booked, and has {sessions} sessions to come")


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
