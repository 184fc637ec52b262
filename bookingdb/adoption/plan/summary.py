"""The first page of a plan: what changes for customers, what must be answered, what is at risk, how long it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bookingdb.adoption.application import CALLERS
from bookingdb.adoption.plan.constraints import named_in_on_conflict
from bookingdb.adoption.plan.draft import CLEARING, Plan
from bookingdb.adoption.plan.order import counted, listed

_MANY = 5


@dataclass(frozen=True)
class Part:
    """Sentences of the summary below one heading."""

    heading: str
    sentences: list[str]


def summarize(plan: Plan) -> list[Part]:
    """Return the summary in the order in which it is read; a part without sentences is left out."""
    parts = (
        Part("Why this database cannot be adopted yet", list(_problems(plan))),
        Part("What changes for customers", list(_changes(plan))),
        Part("What you must answer", list(_questions(plan))),
        Part("What is at risk", list(_risks(plan))),
        Part("How long the outage is", list(_outage(plan))),
    )
    return [part for part in parts if part.sentences]


def _problems(plan: Plan) -> Iterator[str]:
    for problem in plan.problems:
        yield f"This database cannot be adopted yet: {problem.rstrip('.')}."


# ----------------------------------------------------------------------------------------------------------------------
# What changes
# ----------------------------------------------------------------------------------------------------------------------


def _changes(plan: Plan) -> Iterator[str]:
    if not plan.application.tables:
        return
    yield "Two sessions can no longer take the same time of a therapist or a client."
    yield from _changes_of_times(plan)
    yield from _changes_of_money(plan)
    yield from _changes_of_calls(plan)


def _changes_of_times(plan: Plan) -> Iterator[str]:
    repaired = plan.counts.repaired
    if _frees_cancelled_times(plan):
        yield "A cancelled time can be booked again."
    if moved := sum(number for key, number in repaired.items() if key.startswith("times")):
        yield f"The times of {counted(moved, 'session')} move."
    if mended := sum(number for key, number in repaired.items() if re.match(r"rows\.(start|end|zero|too|over_w)", key)):
        yield f"A start or an end is corrected in {counted(mended, 'session')}."
    if cancelled := repaired.get("rows.overlapping", 0):
        yield f"The adoption cancels {counted(cancelled, 'session')}, because each overlaps an earlier one."
    for key in _answered(plan, "schedule.", "follow"):
        yield f"Bookings obey the hours in {key}."


def _frees_cancelled_times(plan: Plan) -> bool:
    """Tell whether a unique or exclusion constraint goes that also counts cancelled sessions."""
    dropped = {each.object for each in plan.changes if each.phase == CLEARING}
    app = plan.application
    rules = [
        *((each.label, each.definition) for each in app.constraints if each.kind in ("u", "x")),
        *((each.label, each.definition) for each in app.indexes if each.is_unique and each.table == "sessions"),
    ]
    return any(label in dropped and "status" not in text and "sessions" in label + text for label, text in rules)


def _changes_of_money(plan: Plan) -> Iterator[str]:
    app, counts = plan.application, plan.counts
    if plan.answers.get("money.writable") == "revoke" and _clients_write_credits(plan):
        yield "Clients can no longer write their own credits."
    balances = sum(counts.repaired.get(key, 0) for key in _BALANCES)
    if balances:
        yield f"The balance changes in {counted(balances, 'lot')}."
    if others := sum(number for key, number in counts.repaired.items() if key.startswith("credits.")) - balances:
        yield f"A status or type is corrected {counted(others, 'time')} in lots, which changes no balance."
    dropped = {each.object for each in plan.changes if each.phase == CLEARING}
    if any(each.table == "user_credits" and each.kind == "u" and each.label in dropped for each in app.constraints):
        yield "A client can have a lot of credits for each purchase, in a row of its own."


# Classes whose repair changes how many credits are in a lot.
_BALANCES = ("credits.negative_balance", "credits.missing_balance")


def _clients_write_credits(plan: Plan) -> bool:
    """Tell whether callers may write credits today: by a grant, and by a row policy where these are on."""
    app = plan.application
    relation = app.relations.get("user_credits")
    if relation is None:
        return False
    writes = re.compile(rf"grant (INSERT|UPDATE|DELETE)\b.* to ({'|'.join(CALLERS)})\b")
    is_let = any(each.table == relation.name and each.command != "select" and each.callers for each in app.policies)
    return any(map(writes.match, relation.grants)) and (is_let or not relation.row_security)


def _changes_of_calls(plan: Plan) -> Iterator[str]:
    if guarded := _guarded(plan):
        yield f"A logged-in user can read only their own rows of {listed(guarded, _MANY)}, by row level security."
    if revoked := _answered(plan, "function.", "revoke"):
        yield f"Only the application's server can still run {listed(revoked, _MANY)}, which can give credits."
    narrowed = _answered(plan, "policy.", "narrow") + _answered(plan, "policy.", "drop")
    if narrowed:
        yield f"Callers can no longer write any row by {_named('row policy', narrowed)}."
    match plan.answers.get("rows.own_sessions"):
        case "policy":
            yield "Whoever is logged in can still write their own sessions, and no longer those of others."
        case "none":
            yield "Only the application's server can still write sessions."
    if off := _answered(plan, "trigger.", "disable"):
        yield f"Bookingdb does the work of {_named('trigger', off)} instead."


def _guarded(plan: Plan) -> list[str]:
    """Return the tables that logged-in users can read whole today, and that get row level security."""
    reads = re.compile(r"grant SELECT\b.* to (authenticated|public)\b", re.IGNORECASE)
    statements = {statement for each in plan.changes for statement in each.statements}
    return [
        f"public.{name}"
        for name in plan.application.tables
        if f"alter table public.{name} enable row level security" in statements
        and any(map(reads.match, plan.application.relations[name].grants))
    ]


def _named(noun: str, names: list[str]) -> str:
    """Write names with the noun for what they are."""
    return f"the {counted(len(names), noun).partition(' ')[2]} {listed(names, _MANY)}"


def _answered(plan: Plan, prefix: str, answer: str) -> list[str]:
    """Return what the questions of one kind that have this answer are about."""
    return [
        each.key.removeprefix(prefix)
        for each in plan.questions
        if each.key.startswith(prefix) and plan.answers[each.key] == answer
    ]


# ----------------------------------------------------------------------------------------------------------------------
# What must be answered
# ----------------------------------------------------------------------------------------------------------------------


def _questions(plan: Plan) -> Iterator[str]:
    for key in plan.unanswered:
        yield f"Only you can answer {key}; `--apply` refuses until you do."
    others = [each for each in plan.questions if not each.is_open]
    if others:
        yield f"The plan proposes answers to {counted(len(others), 'question')}; please read them, and correct them."


# ----------------------------------------------------------------------------------------------------------------------
# What is at risk
# ----------------------------------------------------------------------------------------------------------------------

# Answers with which something stays that bookingdb would have closed.
_LEFT_OPEN = {
    "function.": "Callers can still give credits by {}.",
    "view.": "Callers can still write credits through {}.",
    "policy.": "Callers can still write any row by the row policy {}.",
    "trigger.": "The trigger {} stays on, although it does what bookingdb does, too.",
    "constraint.": "The constraint {} stays, although it can refuse what bookingdb writes.",
    "index.": "The index {} stays, although it can refuse what bookingdb writes.",
}


def _risks(plan: Plan) -> Iterator[str]:
    overlapping = {id_ for each in plan.damage if each.key.startswith("rows.overlapping") for id_ in each.ids}
    if overlapping and plan.answers.get("rows.overlapping") != "cancel_later":
        yield f"Overlaps may remain in {counted(len(overlapping), 'session')}, which somebody must move or cancel."
    for each in plan.damage:
        if left := len(each.unmendable):
            yield f"No repair is possible for {left:,} of {counted(each.count, 'row')} in the class {each.key}."
    if guarded := _guarded(plan):
        yield (
            f"Pages that show logged-in users rows of others in {listed(guarded, _MANY)} (a list of therapists) stay"
            " empty, until a row policy of yours shows these rows or your server reads them."
        )
    yield from plan.risks
    for name, functions in named_in_on_conflict(plan.application, _dropped(plan)).items():
        yield f"Calls of {_named('function', functions)} fail, because its ON CONFLICT names {name}."
    for each in plan.damage:
        is_open = not plan.answers.get(each.key, "undecided")
        if each.key.startswith("times") and not plan.counts.repaired.get(each.key) and not is_open:
            yield f"No time moves in these {each.count:,} rows: {each.title}."
    yield from _risks_of_notifications(plan)
    if plan.answers.get("money.writable") == "keep":
        yield "CLIENTS CAN STILL WRITE THEIR OWN CREDITS."
    for prefix, sentence in _LEFT_OPEN.items():
        for name in _answered(plan, prefix, "keep"):
            yield sentence.format(name)


def _dropped(plan: Plan) -> set[str]:
    return {each.object for each in plan.changes if each.phase == CLEARING}


def _risks_of_notifications(plan: Plan) -> Iterator[str]:
    for question in plan.questions:
        if question.key.startswith("notification"):
            if not plan.answers[question.key]:
                yield f"The application's notifier is no longer called ({question.key})."
            elif any(re.search(r"\bcondition|\bonly if\b|\bnull\b", sentence) for sentence in question.evidence):
                yield f"The notifier may be called otherwise than before; please read {question.key}."


# ----------------------------------------------------------------------------------------------------------------------
# How long it takes
# ----------------------------------------------------------------------------------------------------------------------


def _outage(plan: Plan) -> Iterator[str]:
    counts = plan.counts
    if not counts.tables:
        return
    yield f"Nobody can read or write the application's tables for about {_seconds(counts.outage)}."
    numbers = (
        counted(counts.tables.get("sessions", 0), "session"),
        f"{counts.active:,} of them active",
        counted(counts.tables.get("user_credits", 0), "lot") + " of credits",
        counted(sum(counts.repaired.values()), "row") + " to repair",
    )
    yield f"The estimate comes from {', '.join(numbers[:-1])} and {numbers[-1]}."


def _seconds(number: float) -> str:
    """Write a duration as a person says it.

    >>> _seconds(3.2), _seconds(200)
    ('4 seconds', '4 minutes')
    """
    return f"{-int(-number // 1)} seconds" if number < 120 else f"{-int(-number // 60)} minutes"
