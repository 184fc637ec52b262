"""The plan as a TOML file: what a person reads and answers, and what `apply` reads again."""

from __future__ import annotations

import hashlib
import json
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

import tomli_w

from bookingdb.adoption.damage import Damage
from bookingdb.adoption.plan.draft import Plan

# The plan lists at most this many ids of a class, so that a person can open it; the fingerprint knows them all.
MANY = 10_000

_HEAD = """\
What `bookingdb adopt --apply` will do to this database. Nothing has been changed yet.

Only [answers] is meant to be edited; each answer comes with what speaks for it and its choices. After editing, make
the plan again: `bookingdb adopt --plan --answers THIS_FILE --output THIS_FILE` shows what will happen then. `--apply`
refuses a plan that was made with other answers, or for another structure of the database."""


class PlanError(Exception):
    """The file is no plan that can be applied; the message says what is wrong with it."""


@dataclass(frozen=True)
class Decided:
    """The part of a plan that `apply` needs: what it was made for, and the answers.

    ``was_edited`` is True if answers were changed after the plan was made, so that nobody has seen what they do.
    """

    fingerprint: str
    adapter: str
    answers: dict[str, str]
    was_edited: bool = False


def write(plan: Plan, adapter: str | None = None) -> str:
    """Return the plan as TOML, with the evidence of each question as comments."""
    made_for = {"fingerprint": plan.fingerprint(), "made_with": _digest(plan.answers)}
    head = tomli_w.dumps({**made_for, "adapter": adapter or plan.adapter, "problems": plan.problems})
    parts = {
        "found": [{"what": what, "lines": lines} for what, lines in plan.found.items()],
        "rows": [_class(each) for each in plan.damage],
        "changes": [
            {"object": each.object, "reason": each.reason, "statements": list(each.statements)}
            for each in plan.changes
            if each.statements
        ],
    }
    # An empty list is written before the tables: behind one, it would be a part of it.
    empty = tomli_w.dumps({name: [] for name, entries in parts.items() if not entries})
    sections = [tomli_w.dumps({name: entries}) for name, entries in parts.items() if entries]
    balances = "# Credits of each client before, by the application's own count; nothing of them is lost.\n"
    balances += tomli_w.dumps({"balances": plan.balances})
    comment = "\n".join(f"# {line}".rstrip() for line in _HEAD.splitlines())
    return "\n".join([comment, "", head + empty, _answers(plan), *sections, balances])


def _digest(answers: Mapping[str, str]) -> str:
    """Return the SHA-256 of answers."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()


def _class(each: Damage) -> dict[str, object]:
    entry: dict[str, object] = {
        "class": each.key,
        "table": each.table,
        "what": each.title,
        "count": each.count,
        "repair": each.repair,
        "ids": each.ids[:MANY],
    }
    if each.unmendable:
        entry |= {"unmendable_count": len(each.unmendable), "unmendable": each.unmendable[:MANY]}
    return entry | ({"more": f"{each.count - MANY} more"} if each.count > MANY else {})


def _answers(plan: Plan) -> str:
    lines = ["[answers]"]
    for question in plan.questions:
        sentences = [*question.evidence, *(f'  "{choice}": {effect}' for choice, effect in question.choices.items())]
        lines.append("")
        for sentence in sentences:
            indent = "    " if sentence.startswith("  ") else ""
            lines += [f"# {line}" for line in textwrap.wrap(sentence, 116, subsequent_indent=indent)]
        # Quoted always: a dot would make a table of it.
        lines.append(f"{json.dumps(question.key, ensure_ascii=False)} = {_text(plan.answers[question.key])}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return tomli_w.dumps({"a": value}).removeprefix("a = ").strip()


def read(text: str) -> Decided:
    """Read what was decided.

    Raises:
        PlanError: it is no plan.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"the plan cannot be read: {error}") from error
    fingerprint, adapter, answers = (document.get(name) for name in ("fingerprint", "adapter", "answers"))
    if not isinstance(fingerprint, str) or not isinstance(adapter, str) or not isinstance(answers, dict):
        raise PlanError("this is no plan of `bookingdb adopt --plan`: it needs fingerprint, adapter and [answers]")
    for key, value in answers.items():
        if not isinstance(value, str):
            raise PlanError(f'answer {key} must be text in quotes, and its name in quotes as well: "{key}" = "..."')
    return Decided(fingerprint, adapter, answers, document.get("made_with") != _digest(answers))
