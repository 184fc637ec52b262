"""The order in which a plan is read: questions by what a wrong answer does, changes and rows in few lines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bookingdb.adoption.damage import Damage
from bookingdb.adoption.plan.draft import Change, Plan, Question

# Headings of questions in the order of danger, each with the beginnings of its keys.
_DANGERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Times and time zone", ("zone", "times.", "rows.start_", "rows.end_", "rows.zero_", "rows.too_")),
    ("Money", ("credits.", "money.")),
    ("Who may do what", ("rows.own_sessions", "policy.", "function.", "view.", "replace.")),
    ("What is switched off or dropped", ("trigger.", "constraint.", "index.")),
    ("Notifications", ("notification",)),
    ("Hours of therapists", ("schedule.", "hours.", "availability.", "breaks.")),
)
_OPEN = "Questions that only you can answer"
_REST = "Other questions"

# The effect of a statement on its object, by its first words.
_VERBS = {
    "create": "made",
    "drop": "dropped",
    "grant": "granted",
    "revoke": "taken away",
    "insert": "filled in",
    "select": "filled in",
}
_CLAUSES = (
    (" add column ", "added"), (" add constraint ", "added"), (" drop constraint ", "dropped"),
    (" disable trigger ", "switched off"),
)  # fmt: skip
_PLURALS = {"index": "indexes", "policy": "policies", "row policy": "row policies", "privileges": "privileges"}
_OBJECTS = ("column", "index", "constraint", "trigger", "function", "policy", "table", "view")
# A line names so many objects.
_NAMES = 6
# The text about a class names so many of its rows; the appendix has the others.
FEW = 3


@dataclass(frozen=True)
class Group:
    """Questions that belong together, below one heading."""

    heading: str
    questions: list[Question]


def grouped_questions(plan: Plan) -> list[Group]:
    """Return the questions in the order of danger, those that only a person can answer first."""
    headings = [_OPEN, *(heading for heading, _ in _DANGERS), _REST]
    groups = {heading: Group(heading, []) for heading in headings}
    for question in plan.questions:
        groups[_heading_of(question)].questions.append(question)
    return [group for group in groups.values() if group.questions]


def _heading_of(question: Question) -> str:
    if question.is_open:
        return _OPEN
    return next((heading for heading, keys in _DANGERS if question.key.startswith(keys)), _REST)


def becomes(plan: Plan, each: Damage) -> str:
    """Say in sentences what becomes of the rows of a class, and how many change."""
    sentence = f"By this plan {each.repair}."
    changed = plan.counts.repaired.get(each.key, 0)
    if changed:
        sentence += f" This changes {counted(changed, 'row')}."
    if each.unmendable:
        sentence += (
            f" No repair is possible for {counted(len(each.unmendable), 'row')}: {listed(each.unmendable, FEW)}."
        )
    return sentence


def in_class(each: Damage) -> str:
    """Say in a sentence how many rows a class has, and what they are."""
    return f"{each.key} has {counted(each.count, 'row')} of {each.table}: {each.title}."


def grouped_changes(plan: Plan) -> list[str]:
    """Say in a line for each kind of change what is done, to how many objects, and why."""
    lines = []
    changes = [each for each in plan.changes if each.statements]
    keys = dict.fromkeys(map(_kind_of, changes))
    for kind in keys:
        alike = [each for each in changes if _kind_of(each) == kind]
        lines.append(_line(kind, alike))
    return lines


_Kind = tuple[str, str, str, str]


def _kind_of(change: Change) -> _Kind:
    """Return what is done, to which kind of object, of which table (columns only), and why."""
    kind = re.split(r"[ .]", change.object, maxsplit=1)[0]
    if kind in ("column", "columns"):
        found = re.search(r"public\.(\w+)", change.object)
        verb = _verb(change.statements[0]) if kind == "column" else "changed"
        return verb, "column", found[0] if found else "", change.reason
    return _verb(change.statements[0]), kind, "", change.reason


def _verb(statement: str) -> str:
    if re.match(r"revoke .* on (function|procedure) ", statement, re.I):
        return "closed to callers"
    start = statement.partition(" ")[0].lower()
    clause = next((verb for words, verb in _CLAUSES if words in statement.lower()), "changed")
    return _VERBS.get(start, clause) if start != "alter" else clause


def _line(kind: _Kind, changes: list[Change]) -> str:
    verb, what, table, reason = kind
    statements = sum(len(each.statements) for each in changes)
    names = list(itertools.chain.from_iterable(_names(each, table) for each in changes))
    if what == "privileges":
        tables = [name.split()[-1] for name in names]
        subject = f"{counted(statements, 'statement')} about privileges of {listed(tables, _NAMES)}"
        return f"{subject} {'is' if statements == 1 else 'are'} run: {reason}."
    if what not in _OBJECTS:
        is_or_are = "are" if what.endswith("s") else "is"
        return f"{listed([each.object for each in changes], _NAMES)} {is_or_are} {verb}: {reason}."
    subject = counted(len(names), what) + (f" of {table}" if table else "")
    return f"{subject} {'is' if len(names) == 1 else 'are'} {verb}: {reason}. ({listed(names, _NAMES)})"


def _names(change: Change, table: str) -> Iterator[str]:
    """Yield the names of the objects of a change, without what the line says already."""
    words = change.object.partition(" ")[2]
    if not table:
        yield words.removeprefix("on ")
    elif change.object.startswith("columns of "):
        yield from words.partition(": ")[2].split(", ")
    else:
        yield words.removeprefix(f"{table}.")


def counted(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "row"), counted(2, "policy")
    ('1 row', '2 policies')
    """
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"


def listed(names: list[str], most: int) -> str:
    """Write names in a row: the first of many, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most:,} more"
