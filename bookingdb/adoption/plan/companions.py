"""Triggers that keep the application's ways in step with bookingdb: columns, notifications, credits."""

from __future__ import annotations

import re

from bookingdb.adoption import damage, readings
from bookingdb.adoption.application import Function
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.plpgsql_text import call_of, inserts, rewritten_call
from bookingdb.install.session import literal

# The function with which applications tell their users of a booking.
_NOTIFIER = "enqueue_notification"
# The function with which applications book, and what its parameters are to a session of bookingdb's.
_BOOKING = "create_session_with_credit_deduction"
_COLUMNS_OF_PARAMETERS = {"p_notes": "description", "p_session_type": "session_type", "p_title": "title"}


def copy_columns(draft: PlanDraft) -> None:
    """Let columns that mean the same follow each other, and call the application's notifier as before."""
    pairs = {
        other: ours
        for ours, others in readings.SYNONYMS.items()
        for other in others
        if draft.app.column("sessions", other)
    }
    old = draft.app.called(_BOOKING)
    pairs |= _ask_for_pairs(draft, old, pairs)
    unknown = [ours for ours in pairs.values() if not draft.our_column("sessions", ours)]
    if unknown:
        draft.problems.append(f"answers copy.*: bookingdb has no column {', '.join(unknown)} of sessions")
    elif pairs:
        arguments = ", ".join(literal(name) for pair in pairs.items() for name in pair)
        draft.follow(
            "bookingdb_copies",
            "before insert or update",
            "sessions",
            f"copy_columns({arguments})",
            "columns that mean the same follow each other: "
            + ", ".join(f"{theirs} and {ours}" for theirs, ours in pairs.items()),
        )
    _call_notifier(draft, old)


def _ask_for_pairs(draft: PlanDraft, old: list[Function], known: dict[str, str]) -> dict[str, str]:
    """Ask which columns of bookingdb's are to go on filling those that only the old booking function wrote."""
    pairs = {}
    for column, expression in _filled_columns(old).items():
        is_own = draft.app.column("sessions", column) and not draft.our_column("sessions", column)
        if not is_own or column in known:
            continue
        found = [
            ours for parameter, ours in _COLUMNS_OF_PARAMETERS.items() if re.search(rf"\b{parameter}\b", expression)
        ]
        evidence = [f"The old booking function wrote {column} = {expression}; bookingdb's knows no such column."]
        if answer := draft.ask(f"copy.{column}", evidence, {}, found[0] if found else ""):
            pairs[column] = answer
    return pairs


def _filled_columns(old: list[Function]) -> dict[str, str]:
    """Return the columns of sessions that the old booking functions fill, and with which expressions."""
    filled: dict[str, str] = {}
    for function in old:
        for insert in inserts(function.source):
            if insert.table == "sessions":
                filled |= insert.values
    return filled


def _call_notifier(draft: PlanDraft, old: list[Function]) -> None:
    """Go on calling the application's notifier, with what is known of a booking in the place of local variables."""
    calls = [call for each in old if (call := call_of(each.source, _NOTIFIER)) is not None]
    if not calls:
        return
    present = draft.app.called(_NOTIFIER)
    statement, unclear = rewritten_call(_NOTIFIER, calls[-1], present[-1].argument_types if present else [])
    evidence = [f"The old booking function called {_NOTIFIER}({', '.join(calls[-1])})."]
    if unclear:
        evidence.append(f"Not known what these are, so they are null: {', '.join(unclear)}.")
    if not present:
        evidence.append("No such function exists now; as soon as it does, it is called.")
    evidence.append("Run after each booking, with $1 the session as jsonb; never fails one. Empty: not called.")
    if answer := draft.ask("notification", evidence, {}, statement):
        draft.follow(
            "bookingdb_notification",
            "after insert",
            "sessions",
            f"call_notification({literal(answer)})",
            "the application's notifier is called as before",
        )


def follow_credit_type(draft: PlanDraft) -> None:
    """Translate the application's other word for a client's credits, which it goes on writing."""
    if draft.app.column("user_credits", "user_type") is None:
        return
    answer = draft.answers.get("credits.individual")
    where = _writers_of_individual(draft)
    if answer is None and where:
        evidence = [f"The application writes lots of type 'individual' ({', '.join(where)})."]
        answer = draft.ask("credits.individual", evidence, damage.CHOICES["credits.individual"])
    if answer == "user":
        draft.follow(
            "bookingdb_credit_type",
            "before insert or update",
            "user_credits",
            "one_credit_type('individual', 'user')",
            "a client has one kind of credits, whatever the application calls it",
        )


def _writers_of_individual(draft: PlanDraft) -> list[str]:
    word = re.compile(r"\bindividual\b", re.IGNORECASE)
    column = draft.app.column("user_credits", "user_type")
    where = ["the default of user_credits.user_type"] if column and word.search(column.default or "") else []
    where += [
        each.name for each in draft.app.constraints if each.table == "user_credits" and word.search(each.definition)
    ]
    where += [
        each.signature
        for each in draft.app.functions
        if "user_credits" in each.source and re.search(r"'\s*individual\s*'", each.source, re.IGNORECASE)
    ]
    return where
