"""The zones that an application's times are in: what the rows say, and what the owner must say."""

from __future__ import annotations

from bookingdb.adoption import readings
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.readings import Zones
from bookingdb.install.session import scalar


def ask_for_zones(draft: PlanDraft) -> None:
    """Ask which zones the times are in, and what becomes of times that were stored as if they were UTC."""
    _refuse_unknown_zones(draft)
    _ask_for_zone_of_timestamps(draft)
    stamps = draft.answers.get("zone.timestamps", "UTC")
    found = readings.zones(draft.connection, draft.app, draft.given.get("zone"), stamps)
    if not draft.app.has("sessions"):
        return
    zone = _ask_for_zone(draft, found)
    if found.as_utc and found.in_zone:
        draft.ask(
            "times.wall_clock_as_utc",
            [
                f"{len(found.as_utc)} sessions have the wall clock time stored as if it were UTC, {found.in_zone}"
                f" the right instant in {zone}; no column tells them apart but the scheduled time itself.",
            ],
            {
                "keep": "start_time is right as it stands in both families",
                "shift": f"of the first family start_time and end_time become the wall clock time in {zone}",
            },
        )
        draft.stored_as_utc = found.as_utc


def _refuse_unknown_zones(draft: PlanDraft) -> None:
    for key in ("zone", "zone.timestamps"):
        given = draft.given.get(key)
        if given is not None and not _is_zone(draft, given):
            draft.problems.append(f"answer {key} is {given!r}, which the server does not know as a time zone")
            del draft.given[key]


def _is_zone(draft: PlanDraft, name: str) -> bool:
    query = "select exists (select from pg_timezone_names as z where z.name = %s)"
    return bool(scalar(draft.connection, query, name))


def _ask_for_zone_of_timestamps(draft: PlanDraft) -> None:
    stamped = [
        f"{table}.{column.name}"
        for table in draft.app.tables
        for column in draft.app.columns[table].values()
        if column.kind == "timestamp without time zone" and draft.our_column(table, column.name)
    ]
    if stamped:
        draft.ask(
            "zone.timestamps",
            [
                f"{', '.join(stamped)}: timestamps without a zone become instants.",
                "Which zone did they mean? That of the server's TimeZone when they are made by now(): UTC on Supabase.",
            ],
            {},
            draft.given.get("zone.timestamps", "UTC"),
        )


def _ask_for_zone(draft: PlanDraft, found: Zones) -> str:
    if found.compared:
        said = ", ".join(f"{name}: {count}" for name, count in found.matches.items()) or "none"
        evidence = (
            f"Of {found.compared} sessions that have both, start_time is the scheduled date and time in this zone:"
            f" {said} (zones with the same clocks cannot be told apart)."
        )
    else:
        evidence = "No session has both an instant and a scheduled date and time: nothing says which zone is meant."
    explanation = (
        "The IANA zone of scheduled dates and times, and the default policy's from now on (each therapist may have"
        " another one: set_policy)."
    )
    return draft.ask("zone", [explanation, evidence], {}, found.zone)
