"""The plan for the application's triggers: which contradict bookingdb, and what may happen inside its functions."""

from __future__ import annotations

import re

from bookingdb.adoption.application import TIMES, Trigger
from bookingdb.adoption.plan.draft import CLEARING, STRENGTHENING, PlanDraft
from bookingdb.adoption.plpgsql_text import Effects, effects


def judge_triggers(draft: PlanDraft) -> None:
    """Say what each trigger on the tables does to a row, and ask about those that contradict bookingdb."""
    for trigger in draft.app.triggers:
        if trigger.table in draft.app.tables:
            _judge(draft, trigger)
    _fix_search_paths(draft)


def _judge(draft: PlanDraft, trigger: Trigger) -> None:
    seen = effects(trigger.source)
    label = f"public.{trigger.table}: {trigger.name} ({trigger.function})"
    verdicts = _verdicts(trigger, seen)
    draft.note("triggers", f"{label} {', '.join(verdicts) or 'does nothing that concerns bookingdb'}")
    if not verdicts or trigger.enabled == "D":
        return
    answer = draft.ask(
        f"trigger.{trigger.table}.{trigger.name}",
        _evidence(draft, trigger, seen, verdicts),
        {"disable": "it is switched off", "keep": "it stays on"},
    )
    if answer == "disable":
        reason = "it " + ", ".join(verdicts)
        draft.change(CLEARING, trigger.label, reason, [trigger.disabling], [trigger.enabling])
        if trigger in draft.remade_triggers:
            draft.change(STRENGTHENING, trigger.label, "it was made again, and stays off", [trigger.disabling])


def _verdicts(trigger: Trigger, seen: Effects) -> list[str]:
    """Say what a trigger of sessions does that bookingdb does, too."""
    if trigger.table != "sessions":
        return []
    found = []
    if times := _assigned_times(trigger, seen):
        found.append(f"rewrites the times ({', '.join(times)})")
    if "booking_audit_log" in seen.inserts:
        found.append("writes the audit log")
    compares_times = bool(re.search(r"start_time|tstzrange|overlaps", trigger.source, re.I))
    looks_for_overlaps = "check_booking_conflict" in seen.calls or ("sessions" in seen.reads and compares_times)
    if seen.raises and looks_for_overlaps:
        found.append("refuses what overlaps")
    if "user_credits" in seen.changes:
        found.append("changes credits")
    return found


def _assigned_times(trigger: Trigger, seen: Effects) -> list[str]:
    is_rewriting = trigger.table == "sessions" and trigger.is_before
    return sorted(seen.assigns & TIMES) if is_rewriting else []


def _evidence(draft: PlanDraft, trigger: Trigger, seen: Effects, verdicts: list[str]) -> list[str]:
    evidence = [f"The trigger {', '.join(verdicts)}; bookingdb does that itself, or must not be contradicted."]
    if any("credits" in each for each in verdicts):
        evidence.append(
            "Only bookingdb's functions take and return credits: what is written directly costs and returns none once"
            " this is off; what is booked with them is charged by both while it is on."
        )
    written = (seen.inserts | seen.changes) - {"booking_audit_log", trigger.table}
    called = {name for name in seen.calls if draft.app.called(name)} - {"check_booking_conflict"}
    if written or called or seen.notifies:
        others = ", ".join(sorted(written | called)) or "notifications"
        evidence.append(f"It also has to do with {others}: that ends when it is switched off.")
    return evidence


def _fix_search_paths(draft: PlanDraft) -> None:
    """Fix what the names in trigger functions mean: they run inside bookingdb's, with any caller's search_path."""
    functions = {each.signature: each for each in draft.app.functions}
    names = {
        trigger.function
        for trigger in draft.app.triggers
        if trigger.table in draft.app.tables
        and not any(setting.startswith("search_path=") for setting in trigger.function_settings)
    }
    for name in sorted(names & functions.keys()):
        if functions[name].language not in ("c", "internal"):
            draft.change(
                CLEARING,
                f"function {name}",
                "bookingdb's functions call this, and its names must mean the same for every caller",
                [f"alter function {name} set search_path = public, extensions, pg_temp"],
                [f"alter function {name} reset search_path"],
            )
