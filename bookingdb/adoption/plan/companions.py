"""Triggers that keep the application's ways in step with bookingdb: columns, notifications, credits."""

from __future__ import annotations

import re
from dataclasses import replace

from bookingdb.adoption import damage, pairs, readings
from bookingdb.adoption.application import Function
from bookingdb.adoption.pairs import Pair
from bookingdb.adoption.plan.draft import PlanDraft
from bookingdb.adoption.plan.notifications import keep_side_effects
from bookingdb.adoption.plpgsql_text import inserts
from bookingdb.adoption.statements import query
from bookingdb.install.session import literal

# The function with which applications book, and what its parameters are to a session of bookingdb's.
_BOOKING = "create_session_with_credit_deduction"
_COLUMNS_OF_PARAMETERS = {"p_notes": "description", "p_session_type": "session_type", "p_title": "title"}


# Both triggers are BEFORE ones: the first fires just before zz_bookingdb_times_*, the second after every trigger whose
# name begins with a letter, a digit or an underscore, also after those that the application makes later.
_FIRST_STEP, _LAST_STEP = "zz_adopted_copies", '"~adopted_copies"'


def copy_columns(draft: PlanDraft) -> None:
    """Let columns that mean the same follow each other, and call what the old booking function called as before."""
    old = draft.app.called(_BOOKING)
    _note_strangers(draft)
    known = {pair.theirs for pair in pairs.pairs(draft.app, {})}
    _ask_for_pairs(draft, old, known)
    found = list(pairs.pairs(draft.app, draft.answers))
    unknown = [pair.ours for pair in found if not draft.our_column("sessions", pair.ours)]
    if unknown:
        draft.problems.append(f"answers copy.*: bookingdb has no column {', '.join(unknown)} of sessions")
    elif unfit := sorted(draft.answers.keys() & draft.given.keys() & _unfit_keys(draft, found)):
        draft.problems.append(f"{', '.join(unfit)}: a column of this type cannot follow the one that was answered")
    else:
        _follow_pairs(draft, [pair for pair in found if not pair.is_generated])
        for pair in found:
            _ask_about_differences(draft, pair)
    keep_side_effects(draft, old)


def _unfit_keys(draft: PlanDraft, found: list[Pair]) -> set[str]:
    """Return the questions whose answers make no pair, although they name a column."""
    asked = {key for key, answer in draft.answers.items() if key.startswith("copy.") and answer}
    return asked - {f"copy.{pair.theirs}" for pair in found}


def _note_strangers(draft: PlanDraft) -> None:
    """Name the columns that are no pair although their names say so."""
    for ours, others in readings.SYNONYMS.items():
        for other in others:
            column = draft.app.column("sessions", other)
            if column is None:
                continue
            if column.generated:
                draft.note("columns", f"sessions.{other} is generated; it follows {ours} as far as it is made of it")
            elif other not in {pair.theirs for pair in pairs.pairs(draft.app, {})}:
                draft.note("columns", f"sessions.{other} is of type {column.type}; bookingdb keeps {ours} only")


def _follow_pairs(draft: PlanDraft, found: list[Pair]) -> None:
    """Plan the two triggers that keep pairs equal: before the times are settled, and after everything else."""
    if not found:
        return
    arguments = ", ".join(literal(name) for pair in found for name in (pair.theirs, pair.ours))
    named = ", ".join(f"{pair.theirs} and {pair.ours}" for pair in found)
    for trigger, function, reason in (
        (_FIRST_STEP, "copy_columns", "columns that mean the same follow each other"),
        (_LAST_STEP, "settle_columns", "columns that mean the same are equal once the times are settled"),
    ):
        call = f"{function}({arguments})"
        draft.follow(trigger, "before insert or update", "sessions", call, f"{reason}: {named}")


def _ask_about_differences(draft: PlanDraft, pair: Pair) -> None:
    """Ask which column is right in the rows in which a pair differs, with what the times of the sessions say."""
    if not pair.is_readable or pair.is_generated:
        return
    defaults = damage.complete({k: v for k, v in draft.given.items() if k in damage.CHOICES})
    answers = {**defaults, **draft.answers}
    default = next(iter(pair.choices))
    class_ = damage.differing(draft.connection, draft.app, answers, pair, default)
    if class_ is None:
        return
    text = query("damage/pair_counts", pairs=pairs.differing(draft.app, answers, pair))
    row = draft.connection.execute(text).fetchone()
    both, timed, ours_right, theirs_right = row if row else (0, 0, 0, 0)
    evidence = [f"{class_.count} {class_.title}; {both} of them have a value in both."]
    if timed:
        evidence.append(
            f"Of {timed} of these whose times say it, {pair.ours} is right in {ours_right}, {pair.theirs} in"
            f" {theirs_right}, and neither in {timed - ours_right - theirs_right}."
        )
        if ours_right + theirs_right < timed - ours_right - theirs_right:
            default = "bookingdb"
    else:
        evidence.append("No start_time and end_time say which one is right.")
    answer = draft.ask(pair.key, evidence, pair.choices, default)
    draft.damage.append(replace(class_, repair=pair.choices[answer]))


def _ask_for_pairs(draft: PlanDraft, old: list[Function], known: set[str]) -> None:
    """Ask which columns of bookingdb's are to go on filling those that only the old booking function wrote."""
    for column, expression in _filled_columns(old).items():
        is_own = draft.app.column("sessions", column) and not draft.our_column("sessions", column)
        if not is_own or column in known:
            continue
        found = [
            ours for parameter, ours in _COLUMNS_OF_PARAMETERS.items() if re.search(rf"\b{parameter}\b", expression)
        ]
        evidence = [f"The old booking function wrote {column} = {expression}; bookingdb's knows no such column."]
        draft.ask(f"copy.{column}", evidence, {}, found[0] if found else "")


def _filled_columns(old: list[Function]) -> dict[str, str]:
    """Return the columns of sessions that the old booking functions fill, and with which expressions."""
    filled: dict[str, str] = {}
    for function in old:
        for insert in inserts(function.source):
            if insert.table == "sessions":
                filled |= insert.values
    return filled


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
