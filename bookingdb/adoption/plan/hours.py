"""The tables in which an application keeps hours: how its bookings obeyed them, and the triggers that follow them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import psycopg

from bookingdb.adoption import damage
from bookingdb.adoption.application import SCHEDULE_TABLES
from bookingdb.adoption.plan.draft import FOLLOWING, PlanDraft
from bookingdb.adoption.plpgsql_text import without_comments
from bookingdb.adoption.readings import readings
from bookingdb.adoption.statements import query
from bookingdb.install.functions import FunctionFile
from bookingdb.install.session import literal, scalar
from bookingdb.install.source import Source

# bookingdb.schedules_changed() and overrides_changed() know the columns of a table of hours by name and type.
_CLOCKS = ("time", "text", "character")
_SCHEDULE_ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "therapist": (("therapist_id", "provider_id", "practitioner_id", "user_id"), ("uuid",)),
    "document": (("weekly_availability", "availability", "schedule", "weekly_schedule"), ("json", "text")),
    "date": (("override_date", "date", "exception_date", "specific_date", "day"), ("date",)),
    "type": (("override_type", "type", "kind"), ("",)),
    "available": (("is_available", "available"), ("boolean",)),
    "active": (("is_active", "active", "enabled"), ("boolean",)),
    "start": (("start_time", "custom_start", "custom_start_time", "custom_hours_start", "start"), _CLOCKS),
    "end": (("end_time", "custom_end", "custom_end_time", "custom_hours_end", "end"), _CLOCKS),
    "slots": (("slots", "time_slots", "custom_slots", "custom_hours", "hours"), ("json",)),
}  # fmt: skip
# The table of weekly hours; the other one has dates.
_WEEKS = SCHEDULE_TABLES[0]
# The keys under which documents keep hours, and the names of breaks in the text of a function.
_HOURS, _SLOTS = ("generalHours",), ("timeSlots", "customSlots")
_BREAKS = re.compile(r"break|pause|lunch|unavailable|blocked", re.IGNORECASE)
# The plan shows this many therapists, rows or keys.
_SAMPLES = 5
_ROWS = 20
# Functions of the engine that the plan reads hours with: temporary ones, for bookingdb is not installed yet. Those of
# the second list are never reached by it, and need tables of bookingdb.
_READERS = ("unread_availability", "schedule_as_obeyed", "is_break", "override_parts")
_NOT_READERS = frozenset({"week_minutes"})


@dataclass(frozen=True)
class _Compared:
    """The difference between two readings of the weekly documents: therapists, and times that only the first offers.

    ``samples`` name some of both. ``inside`` counts sessions in these times, ``beside`` in the rest of these
    therapists' hours.
    """

    therapists: int = 0
    samples: tuple[str, ...] = ()
    inside: int = 0
    beside: int = 0


def readers(source: Source) -> list[FunctionFile]:
    """Return the functions of the engine that read an application's hours, and all that they call."""
    engine = {function.name: function for function in source.engine}
    found: dict[str, FunctionFile] = {}
    wanted = list(_READERS)
    while wanted:
        name = wanted.pop()
        if name in engine and name not in found and name not in _NOT_READERS:
            found[name] = engine[name]
            wanted += re.findall(r"\bbookingdb\.(\w+)\(", engine[name].body)
    return list(found.values())


def follow_schedules(draft: PlanDraft) -> None:
    """Translate the tables in which the application keeps hours, now and whenever they are written."""
    followed = [table for table in SCHEDULE_TABLES if draft.app.has(table) and _follow_schedule(draft, table)]
    if followed:
        draft.change(
            FOLLOWING,
            "hours of the therapists",
            f"what stands in {' and '.join(followed)} now",
            ["select bookingdb.translate_availability(null)"],
        )


def _follow_schedule(draft: PlanDraft, table: str) -> bool:
    """Plan for one table of hours; return whether bookings will obey it."""
    is_week = table == _WEEKS
    roles = _schedule_roles(draft, table)
    if roles is None:
        draft.note("schedules", f"public.{table} is of no shape that is known; bookingdb leaves it alone")
        return False
    said = ", ".join(f"{role}: {name}" for role, name in roles.items())
    evidence = [f"public.{table} ({said}) becomes hours that bookings obey, now and whenever it is written."]
    if is_week:
        evidence.append("A therapist who has a row there can be booked in these hours only (require_hours).")
    choices = {"follow": "bookings obey it", "ignore": "bookings know nothing of it"}
    if draft.ask(f"schedule.{table}", evidence, choices) == "ignore":
        return False
    kind = "schedules" if is_week else "overrides"
    if is_week:
        roles |= {"slots": _ask_for_slots(draft, roles), "breaks": _ask_for_breaks(draft, roles)}
        _note_unknown_keys(draft, roles)
    _note_unread_rows(draft, kind, table, roles)
    arguments = ", ".join(literal(word) for pair in roles.items() for word in pair)
    for event, transition in (
        ("insert", "new table as new_rows"),
        ("update", "old table as old_rows new table as new_rows"),
        ("delete", "old table as old_rows"),
    ):
        draft.follow(
            f"bookingdb_{kind}_{event}",
            f"after {event}",
            table,
            f"{kind}_changed({arguments})",
            "hours stay in step with it",
            level=f"referencing {transition} for each statement",
        )
    return True


def _schedule_roles(draft: PlanDraft, table: str) -> dict[str, str] | None:
    """Return which column is what in a table of hours, None where too little of it is known."""
    is_week = table == _WEEKS
    roles = {}
    for role, (names, types) in _SCHEDULE_ROLES.items():
        fitting = [
            name
            for name in names
            if draft.app.column(table, name) and str(draft.app.type_of(table, name)).startswith(types)
        ]
        if fitting and (role != "document" or is_week):
            roles[role] = fitting[0]
    needed = {"therapist", "document"} if is_week else {"therapist", "date"}
    if not needed <= roles.keys() or (not is_week and not roles.keys() & {"type", "available"}):
        return None
    if is_week:
        return {role: name for role, name in roles.items() if role in ("therapist", "document", "active")}
    return roles


# ----------------------------------------------------------------------------------------------------------------------
# What the application obeyed
# ----------------------------------------------------------------------------------------------------------------------


def _ask_for_breaks(draft: PlanDraft, roles: dict[str, str]) -> str:
    """Ask whether breaks of a day were obeyed. Sessions in breaks prove that they were not."""
    slots = {"slots": draft.answers["schedule.slots"]}
    found = _compare(draft, roles, {"breaks": "ignore", **slots}, {"breaks": "obey", **slots})
    said, is_said = _texts(draft, _BREAKS)
    evidence = [
        f"Therapists with breaks in their hours: {found.therapists}{_listed(found.samples)}.",
        f"Sessions in these breaks: {found.inside}; in the rest of these therapists' hours: {found.beside}.",
        *said,
    ]
    is_ignored = found.inside > 0 or (found.beside == 0 and is_said is False)
    choices = {
        "obey": "nobody can be booked in a break",
        "ignore": "breaks do not count: a therapist can be booked in them as in the hours around them",
    }
    return draft.ask("schedule.breaks", evidence, choices, "ignore" if is_ignored else "obey")


def _ask_for_slots(draft: PlanDraft, roles: dict[str, str]) -> str:
    """Ask what counts on a day that has general hours and slots beside them. Sessions prove what could be booked."""
    without = {"breaks": "ignore"}
    all_of_it = {**without, "slots": "add"}
    hours_only = _compare(draft, roles, all_of_it, {**without, "slots": "instead"})
    slots_only = _compare(draft, roles, all_of_it, {**without, "slots": "ignore"})
    said, is_said = _texts(draft, re.compile("|".join(_SLOTS)))
    evidence = [
        f"Therapists with general hours outside of the slots of the same day: {hours_only.therapists}"
        f"{_listed(hours_only.samples)}. Sessions in these times: {hours_only.inside}; in the rest of these therapists'"
        f" hours: {hours_only.beside}.",
        f"Therapists with slots outside of the general hours of the same day: {slots_only.therapists}"
        f"{_listed(slots_only.samples)}. Sessions in these times: {slots_only.inside}.",
        *said,
    ]
    default = "add"
    if hours_only.therapists and not hours_only.inside and hours_only.beside:
        default = "instead"
    elif not hours_only.inside and not slots_only.inside and is_said is False:
        default = "ignore"
    choices = {
        "add": "both count: a therapist can be booked in the general hours and in the slots",
        "instead": "on a day that has slots, a therapist can be booked in these only",
        "ignore": "on a day that has general hours, a therapist can be booked in these only",
    }
    return draft.ask("schedule.slots", evidence, choices, default)


def _compare(draft: PlanDraft, roles: dict[str, str], first: dict[str, str], second: dict[str, str]) -> _Compared:
    """Find the times that only the first way of reading offers, and who was booked in them."""
    answers = {**damage.complete({}), **draft.answers}
    rows = _read(
        draft,
        "plan/compared_hours",
        table=f"public.{_WEEKS}",
        columns=json.dumps(roles),
        first=json.dumps(first),
        second=json.dumps(second),
        readings=readings(draft.app, answers) if draft.app.has("sessions") else query("plan/no_sessions"),
        zone=draft.answers.get("zone") or "UTC",
    )
    samples = tuple(f"{therapist}: {times}" for therapist, times, _, _ in rows[:_SAMPLES])
    return _Compared(len(rows), samples, sum(row[2] for row in rows), sum(row[3] for row in rows))


def _texts(draft: PlanDraft, words: re.Pattern[str]) -> tuple[list[str], bool | None]:
    """Say which of the application's functions read the table, and whether any speaks of these words; None: no one."""
    texts = {each.signature: without_comments(each.source) for each in draft.app.functions}
    reading = {signature: text for signature, text in texts.items() if re.search(rf"\b{_WEEKS}\b", text)}
    if not reading:
        return ["No function of the database reads the table: only the application's own code knows."], None
    lines = []
    for signature, text in reading.items():
        keys = sorted({key for key in re.findall(r"'(\w+)'", text) if key in (*_HOURS, *_SLOTS)})
        found = sorted({word.lower() for word in words.findall(text)})
        lines.append(
            f"{signature} reads the table ({', '.join(keys) or 'no key that is known'}); its text has "
            + (f"{', '.join(found)}." if found else "no word of this.")
        )
    return lines, any(words.search(text) for text in reading.values())


def _listed(samples: tuple[str, ...]) -> str:
    return f" (for example {'; '.join(samples)})" if samples else ""


# ----------------------------------------------------------------------------------------------------------------------
# What is not understood
# ----------------------------------------------------------------------------------------------------------------------


def _note_unknown_keys(draft: PlanDraft, roles: dict[str, str]) -> None:
    """Note the keys of the documents that bookingdb does not read."""
    table = f"public.{_WEEKS}"
    found = _read(draft, "plan/unknown_schedule_keys", table=table, columns=json.dumps(roles))
    for place, therapists, sample in found:
        draft.note(
            "schedules",
            f"{table}: bookingdb ignores {place} ({therapists} therapists, for example {sample})",
        )


def _note_unread_rows(draft: PlanDraft, kind: str, table: str, roles: dict[str, str]) -> None:
    """Note the rows that bookingdb will not follow, because it does not understand them."""
    name = "plan/unread_schedules" if kind == "schedules" else "plan/unread_overrides"
    found = _read(draft, name, table=f"public.{table}", columns=json.dumps(roles))
    if not found:
        return
    therapists = len({therapist for _, therapist, _ in found})
    effect = (
        "bookings know no weekly hours of these therapists, who can be booked at any time while there are no others"
        if kind == "schedules"
        else "on these dates the weekly hours hold"
    )
    line = f"rows that are not understood: {len(found)}, of {therapists} therapists; {effect}"
    draft.note("schedules", f"public.{table}: {line}")
    for key, therapist, problems in found[:_ROWS]:
        draft.note("schedules", f"public.{table}: {key}, therapist {therapist}: {problems}")
    if len(found) > _ROWS:
        draft.note("schedules", f"public.{table}: {len(found) - _ROWS} rows more")


def _read(draft: PlanDraft, name: str, **values: object) -> list[tuple[Any, ...]]:
    """Run a query over the application's hours; where it cannot be run, the plan says so, and why."""
    if not scalar(draft.connection, "select to_regprocedure('pg_temp.is_break(text)') is not null"):
        _note_once(draft, "nothing here was compared with rows: this role or server cannot make temporary functions")
        return []
    try:
        with draft.connection.transaction():
            return draft.connection.execute(query(name, **values)).fetchall()
    except psycopg.Error as error:
        _note_once(draft, f"the rows could not be read: {error.diag.message_primary or error}")
        return []


def _note_once(draft: PlanDraft, line: str) -> None:
    if line not in draft.found.get("schedules", []):
        draft.note("schedules", line)
