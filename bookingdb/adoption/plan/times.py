"""The zones that an application's times are in: what the rows say, and what the owner must say."""

from __future__ import annotations

import re

from bookingdb.adoption import time_evidence
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.plpgsql_text import clock_readings
from bookingdb.adoption.readings import AS_UTC, AS_UTC_OTHERS, AS_UTC_WHERE, UNSCHEDULED
from bookingdb.adoption.time_evidence import Hint, Sample, Shift, ZoneFit, Zones
from bookingdb.install.session import scalar

# Months that the evidence lists one by one; those before them are added up.
_MONTHS = 24
_UNDECIDED = "A person must say which: leave nothing to chance here, a wrong answer sells hours twice."


def ask_for_zones(draft: PlanDraft) -> None:
    """Ask which zones the times are in, and what becomes of times that were stored as if they were UTC."""
    _refuse_unknown_zones(draft)
    answered = draft.given.get("zone")
    as_utc_instants = time_evidence.zones(draft.connection, draft.app, answered, "UTC")
    stamps = _ask_for_zone_of_timestamps(draft, as_utc_instants)
    if not draft.app.has("sessions"):
        return
    is_again = stamps not in ("", "UTC")
    found = time_evidence.zones(draft.connection, draft.app, answered, stamps) if is_again else as_utc_instants
    if _ask_for_zone(draft, found):
        _ask_about_wall_clocks(draft)
        _ask_about_unscheduled(draft)


def _refuse_unknown_zones(draft: PlanDraft) -> None:
    for key in ("zone", "zone.timestamps"):
        given = draft.given.get(key)
        if given and not _is_zone(draft, given):
            draft.refuse_answer(key, "which the server does not know as a time zone")


def _is_zone(draft: PlanDraft, name: str) -> bool:
    query = "select exists (select from pg_timezone_names as z where z.name = %s)"
    return bool(scalar(draft.connection, query, name))


def _ask_for_zone_of_timestamps(draft: PlanDraft, found: Zones) -> str:
    """Ask in which zone timestamps without one are, openly where sessions take place by them and no row decides."""
    stamped = [
        f"{table}.{column.name}"
        for table in draft.app.tables
        for column in draft.app.columns[table].values()
        if column.kind == "timestamp without time zone" and draft.our_column(table, column.name)
    ]
    if not stamped:
        return ""
    evidence = [
        f"{', '.join(stamped)}: timestamps without a zone become instants.",
        "Which zone did they mean? That of the server's TimeZone when they are made by now(): UTC on Supabase.",
    ]
    if not {"sessions.start_time", "sessions.end_time"} & set(stamped) or found.default:
        return draft.ask("zone.timestamps", evidence, {}, draft.given.get("zone.timestamps") or "UTC")
    evidence.append(
        "Sessions take place at these times, and no row decides: the clock on the wall of your zone, stored as it was,"
        " looks the same as UTC. Answer UTC if the application stored instants, your zone if it stored the time that"
        " people read."
    )
    return draft.ask_openly("zone.timestamps", [*evidence, _UNDECIDED], {})


def _ask_for_zone(draft: PlanDraft, found: Zones) -> str:
    explanation = (
        "The IANA zone of scheduled dates and times, and the default policy's from now on (each therapist may have"
        " another one: set_policy)."
    )
    evidence = [explanation, *_fits(found, draft.given.get("zone"))]
    if found.default:
        return draft.ask("zone", evidence, {}, found.default)
    return draft.ask_openly("zone", [*evidence, _undecided(found), _UNDECIDED], {})


def _fits(found: Zones, answered: str | None) -> list[str]:
    """Say which zones explain how many of the sessions."""
    without = []
    if found.unscheduled:
        without.append(f"{found.unscheduled} sessions have a start_time and no scheduled date and time.")
    if not found.compared:
        nothing = "No session has both an instant and a scheduled date and time: nothing says which zone is meant."
        return [nothing, *without]
    explaining = [fit for fit in found.fits if fit.matched and fit.zone != "UTC"]
    shown = [fit for n, fit in enumerate(explaining) if n < 5 or fit.zone == answered]
    (utc,) = (fit for fit in found.fits if fit.zone == "UTC")
    return [
        f"{found.compared} sessions have both a start_time and a scheduled date and time. These agree in UTC in"
        f" {utc.both} of them. In other zones (those with the same clocks cannot be told apart):",
        *(_fit(fit) for fit in shown),
        *([] if shown else ["  none of those that were tried"]),
        *without,
    ]


def _fit(fit: ZoneFit) -> str:
    return (
        f"  {fit.zone}: {fit.only_zone} are right only there, {fit.only_utc} only in UTC, {fit.both} in both and"
        f" {fit.neither} in neither"
    )


def _undecided(found: Zones) -> str:
    """Say why the rows do not decide."""
    equals = found.equals
    if not found.compared:
        return "There is no default."
    if not equals[0].beats_utc:
        return (
            "There is no default: UTC explains as many as any zone does. Either the application lives in UTC, or its"
            " wall clock times were stored as if they were UTC, or all of them lie in months in which your zone has"
            " UTC's clocks."
        )
    names = ", ".join(fit.zone for fit in equals)
    return f"There is no default: {names} explain the same sessions, and their clocks part within the year."


# ----------------------------------------------------------------------------------------------------------------------
# Wall clock times stored as if they were UTC
# ----------------------------------------------------------------------------------------------------------------------


def _ask_about_wall_clocks(draft: PlanDraft) -> None:
    """Ask what becomes of sessions whose stored instant disagrees with the zone, where there are any."""
    months = time_evidence.months(draft.connection, draft.app, draft.answers)
    count = sum(month.as_utc for month in months)
    if not count:
        return
    condition = _checked_condition(draft)
    zone = draft.answers["zone"]
    compared = sum(month.in_zone + month.as_utc + month.neither for month in months)
    listed = [
        f"  {month.month}: {month.in_zone} in {zone}, {month.as_utc} only in UTC, {month.neither} in neither"
        for month in months[:_MONTHS]
    ]
    if earlier := months[_MONTHS:]:
        sums = (sum(getattr(month, name) for month in earlier) for name in ("in_zone", "as_utc", "neither"))
        listed.append("  before: {} in {zone}, {} only in UTC, {} in neither".format(*sums, zone=zone))
    choices = {
        "shift": f"the scheduled time was right: start_time and end_time become that time in {zone}. The"
        " application's own writes of both times in the old way are refused afterwards (invalid_parameter): what writes"
        " them must change with the adoption",
        "rewrite": f"start_time was right: the scheduled date and time become what it is in {zone}",
        "keep": "neither changes; `bookingdb verify` goes on listing those to come",
    }
    shown = time_evidence.samples(draft.connection, draft.app, {**draft.answers, AS_UTC_WHERE: "", AS_UTC: "shift"})
    draft.ask_openly(
        AS_UTC,
        [
            f"{count} of {compared} sessions have a scheduled date and time that is their start_time in UTC, and not"
            f" in {zone}. By month, the scheduled time is start_time:",
            *listed,
            "Examples, as they stand and as either answer makes them:",
            *(_both_ways(sample, zone) for sample in shown),
            "Compare some with the sessions that took place: which of the two times did people come at?",
        ],
        choices,
    )
    _ask_for_condition(draft, condition, count, choices)


def _checked_condition(draft: PlanDraft) -> str:
    """Return the owner's condition if Postgres can ask it."""
    condition = draft.given.get(AS_UTC_WHERE, "").strip()
    if condition and (why := time_evidence.refusal(draft.connection, condition)):
        draft.refuse_answer(AS_UTC_WHERE, f"which cannot be asked: {why}")
        return ""
    return condition


def _ask_for_condition(draft: PlanDraft, condition: str, count: int, choices: dict[str, str]) -> None:
    """Ask which of the sessions the answer is about, and what becomes of the others."""
    evidence = [
        f"The sessions that {AS_UTC} is about, as an SQL condition on the columns of public.sessions as s; empty means"
        " all of them. Answer it where some of them were stored right: what becomes of the others is asked then.",
        *_hints(time_evidence.hints(draft.connection, draft.app, draft.answers)),
    ]
    draft.answers[AS_UTC_WHERE] = condition
    if condition:
        evidence += _group(draft, is_chosen=True)
    draft.ask(AS_UTC_WHERE, evidence, {}, "")
    if condition:
        evidence = [f"What becomes of the sessions among the {count} for which {AS_UTC_WHERE} does not hold."]
        draft.answers[AS_UTC_OTHERS] = draft.given.get(AS_UTC_OTHERS, "")
        draft.ask_openly(AS_UTC_OTHERS, [*evidence, *_group(draft, is_chosen=False)], choices)


def _group(draft: PlanDraft, *, is_chosen: bool) -> list[str]:
    """Show some sessions of a group before and after."""
    zone = draft.answers["zone"]
    shown = time_evidence.samples(draft.connection, draft.app, draft.answers, is_chosen=is_chosen)
    which = "The condition holds" if is_chosen else "The condition does not hold"
    if not shown:
        return [f"{which} for none of them."]
    return [f"{which} for these, for example:", *(_before_and_after(sample, zone) for sample in shown)]


def _both_ways(sample: Sample, zone: str) -> str:
    return (
        f"  {sample.id}: scheduled {sample.scheduled}, start_time is {sample.stands} in {zone};"
        f' "shift" makes it {_span(sample.becomes, sample.becomes_until)},'
        f' "rewrite" makes the scheduled time {sample.stands}'
    )


def _before_and_after(sample: Sample, zone: str) -> str:
    before = f"scheduled {sample.scheduled}, is {_span(sample.stands, sample.stands_until)} in {zone}"
    after = f"scheduled {sample.becomes_scheduled}, is {_span(sample.becomes, sample.becomes_until)}"
    return f"  {sample.id}: {before}; becomes: {after}"


def _span(start: str, end: str | None) -> str:
    """Write a span of local time; an end on another day has its date."""
    if end is None:
        return f"{start} without an end"
    return f"{start} to {end.removeprefix(start[:11])}"


def _hints(hints: list[Hint]) -> list[str]:
    """Say which columns may tell right instants from shifted ones."""
    everything, *values = hints
    if not everything.near_start:
        return [
            f"None of the latest {everything.sessions} of them was made within a quarter of an hour of its start_time:"
            " nothing hints at sessions that were made when they began."
        ]
    lines = [
        f"{everything.near_start} of the latest {everything.sessions} of them were made within a quarter of an hour of"
        f" their start_time as it stands, {everything.near_shifted} of the shifted one. What is made when it begins"
        " has a right start_time: shift none of those."
    ]
    if values:
        lines.append("These columns tell them apart best (made about start_time as it stands, about the shifted one):")
    lines += [f"  {hint.condition}: {hint.near_start} and {hint.near_shifted} of {hint.sessions}" for hint in values]
    return lines


# ----------------------------------------------------------------------------------------------------------------------
# Starts without a scheduled time
# ----------------------------------------------------------------------------------------------------------------------


def _ask_about_unscheduled(draft: PlanDraft) -> None:
    """Ask which clock the start of sessions is of that no scheduled time can be compared with, where there are any.

    Sessions that are an exception among others, all of them right in the zone, stay unless the owner says otherwise.
    """
    found = time_evidence.unscheduled(draft.connection, draft.app, draft.answers)
    if not found.sessions:
        return
    zone = draft.answers["zone"]
    choices = {
        "keep": "start_time is right, and nothing changes",
        "shift": f"start_time and end_time hold the clock of {zone} as if it were UTC, and become right. What writes"
        " start_time directly in the old way must change with the adoption: without a scheduled time nothing can"
        " notice it",
    }
    evidence = [
        f"{found.sessions} sessions have a start_time and no scheduled date and time to compare it with,"
        f" {found.to_come} of them to come. Either it is right, or it is the clock of {zone} stored as if it were UTC.",
        f"They begin as they stand {_hours(found.hours, f' in {zone}')},",
        f"  shifted {_hours(found.shifted_hours)}. Which are your hours?",
        *(_both_starts(sample, zone) for sample in found.samples),
        *_clocks_of_functions(draft),
    ]
    if found.is_exception:
        evidence.append(f"{found.compared} sessions have both times, and none of them was stored as if it were UTC.")
        draft.ask(UNSCHEDULED, evidence, choices)
    else:
        draft.ask_openly(UNSCHEDULED, [*evidence, _UNDECIDED], choices)


def _hours(counts: dict[str, int], where: str = "") -> str:
    """Write a histogram by hour of day."""
    listed = ", ".join(f"{hour}: {count}" for hour, count in counts.items())
    return f"from {min(counts)} to {max(counts)} o'clock{where} ({listed})"


def _both_starts(sample: Shift, zone: str) -> str:
    stands, becomes = _span(sample.stands, sample.stands_until), _span(sample.becomes, sample.becomes_until)
    return f'  {sample.id}: is {stands} in {zone}; "shift" makes it {becomes}'


def _clocks_of_functions(draft: PlanDraft) -> list[str]:
    """Quote how the old booking functions make instants of a date and a time."""
    ours = {file.name for file in draft.source.public_functions}
    quotes = [
        f"  {function.name}: {text}"
        for function in draft.app.functions
        if function.name in ours or re.search(r"\binsert\s+into\s+(?:public\.)?sessions\b", function.source, re.I)
        for text in clock_readings(function.source)
    ]
    if not quotes:
        return ["No booking function of the application makes an instant of a date and a time: its server does."]
    return [
        "Its functions make instants so (at time zone 'UTC', or a cast on a server in UTC, stores the clock as if it"
        " were UTC; at time zone of your zone is right):",
        *quotes,
    ]
