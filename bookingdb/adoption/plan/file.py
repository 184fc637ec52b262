"""The plan as a TOML file: what a person reads from top to bottom and answers, and what `apply` reads again."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import tomli_w

from bookingdb.adoption.damage import Damage
from bookingdb.adoption.plan.draft import Plan, Question
from bookingdb.adoption.plan.order import FEW, becomes, counted, grouped_changes, grouped_questions, in_class, listed
from bookingdb.adoption.plan.summary import summarize
from bookingdb.install.session import InstallError
from bookingdb.text import printable

# The plan lists at most this many ids of a class, so that a person can open it; the fingerprint knows them all.
MANY = 10_000
_WIDTH = 118

HEAD = (
    "This is what `bookingdb adopt --apply` will do to this database. Nothing has been changed yet.",
    "Read the summary, then the questions, which stand in the order of danger. Only [answers] is meant to be edited."
    " After editing, make the plan again: `bookingdb adopt --plan --answers THIS_FILE --output THIS_FILE` shows what"
    " will happen then. `--apply` refuses a plan whose answers were edited after it was made, or whose statements"
    " would be others now. Rows that the application writes meanwhile are treated by the same answers.",
)
WORDS = (
    "A session is a row of sessions; an active one takes place. A lot is a row of user_credits: credits that were"
    " bought together. A class is all rows with the same fault. The calendar is bookingdb's table of taken times."
)


class PlanError(InstallError):
    """The file is no plan that can be applied; the message says what is wrong with it."""


@dataclass(frozen=True)
class Decided:
    """The part of a plan that `apply` needs: what it was made for, the answers, and how many rows it meant to repair.

    ``was_edited`` is True if answers were changed after the plan was made, so that nobody has seen what they do;
    ``problems`` are those that the plan had.
    """

    fingerprint: str
    adapter: str
    answers: dict[str, str]
    was_edited: bool = False
    repairs: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


# ----------------------------------------------------------------------------------------------------------------------
# Writing
# ----------------------------------------------------------------------------------------------------------------------


def write(plan: Plan, adapter: str | None = None) -> str:
    """Return the plan as TOML: summary, questions with evidence, rows by class, changes in short, and an appendix."""
    made_for = {"fingerprint": plan.fingerprint(), "made_with": _digest(plan.answers)}
    head = tomli_w.dumps({**made_for, "adapter": adapter or plan.adapter}) + _entry("problems", plan.problems)
    blocks = [
        *(_comment(sentence) for sentence in (*HEAD, WORDS)),
        _summary(plan),
        _title("What this plan was made for"),
        # An empty list is written before the tables: behind one, it would be a part of it.
        head + "".join(f"{name} = []\n" for name, entries in _appendix(plan).items() if not entries),
        _title("Questions and answers"),
        "[answers]\n\n" + "\n\n".join(_questions(plan)),
        _title("Rows, by class"),
        "\n\n".join(_classes(plan)),
        "[repairs]\n" + "".join(f"    {_text(name)} = {number}\n" for name, number in plan.counts.repaired.items()),
        _title("Changes in short"),
        _comment(f"The plan makes {counted(number_of_changes(plan), 'change')}. The appendix has every statement."),
        "\n".join(_comment(f"- {line}", "    ") for line in grouped_changes(plan)),
        _title("Appendix"),
        _comment("The appendix is for looking things up: all ids, every statement, what was found, all balances."),
        *("\n".join(entries) for entries in _appendix(plan).values() if entries),
        _comment("These are the credits of each client before, by the application's own count; all of them stay."),
        "[balances]\n" + "".join(f"{_text(client)} = {total}\n" for client, total in plan.balances.items()),
    ]
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip()) + "\n"


def _summary(plan: Plan) -> str:
    blocks = [_title("Summary")]
    for part in summarize(plan):
        sentences = (_comment(f"- {sentence}", "  ") for sentence in part.sentences)
        blocks.append("\n".join([_comment(part.heading.upper()), *sentences]))
    return "\n\n".join(blocks)


def number_of_changes(plan: Plan) -> int:
    """Return how many changes a plan makes, as `apply` counts them."""
    return sum(bool(each.statements) for each in plan.changes)


def _questions(plan: Plan) -> Iterator[str]:
    """Yield each question, the first of a group below the group's heading."""
    for group in grouped_questions(plan):
        yield _comment(f"--- {group.heading} ---")
        for question in group.questions:
            yield _question(plan, question)


def _question(plan: Plan, question: Question) -> str:
    answer = plan.answers[question.key]
    lines = [_comment(sentence, "    " if sentence.startswith("  ") else "") for sentence in question.evidence]
    lines += [_comment(f'  "{choice}": {effect}', "    ") for choice, effect in question.choices.items()]
    if question.is_open and not answer:
        lines.insert(0, _comment("TO BE ANSWERED: `--apply` refuses until a person has answered this question."))
    # Quoted always: a dot would make a table of it.
    return "\n".join([*lines, answer_line(question.key, plan.refused.get(question.key, answer))])


def answer_line(key: str, answer: str) -> str:
    """Write the line of an answer."""
    return f"{_text(key)} = {_text(answer)}"


def _classes(plan: Plan) -> Iterator[str]:
    if not plan.damage:
        yield _comment("No row breaks a rule of bookingdb.")
        return
    yield _comment(
        "A row can be in several classes. [repairs] has the number of rows that `--apply` changes, by class."
    )
    for each in plan.damage:
        lines = [in_class(each)]
        lines += ["  " + becomes(plan, each), f"  Rows: {listed(each.ids, FEW)}."]
        yield "\n".join(_comment(line, "  ") for line in lines)


def _appendix(plan: Plan) -> dict[str, list[str]]:
    """Return the tables of the appendix, by name, each as TOML."""
    return {
        "rows": [_table("rows", _class(each)) for each in plan.damage],
        "changes": [
            _table("changes", {"object": each.object, "reason": each.reason, "statements": list(each.statements)})
            for each in plan.changes
            if each.statements
        ],
        "found": [_table("found", {"what": what, "lines": lines}) for what, lines in plan.found.items()],
    }


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


def _digest(answers: Mapping[str, str]) -> str:
    """Return the SHA-256 of answers."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()


# ----------------------------------------------------------------------------------------------------------------------
# TOML with short lines
# ----------------------------------------------------------------------------------------------------------------------


def _title(title: str) -> str:
    return f"# {'=' * _WIDTH}\n# {title}\n# {'=' * _WIDTH}"


def _comment(sentence: str, indent: str = "") -> str:
    """Write a sentence as comments; nothing in it ends a comment, or acts on a terminal."""
    first = "  " if sentence.startswith("  ") else ""
    text = printable(sentence.replace("\n", " ").strip())
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=True
    )
    return "\n".join(f"# {line}" for line in lines)


def _table(name: str, entries: Mapping[str, object]) -> str:
    return f"[[{name}]]\n" + "".join(_entry(key, value) for key, value in entries.items())


def _entry(key: str, value: object) -> str:
    if isinstance(value, list):
        return (
            f"{key} = [\n" + "".join(f"    {_wrapped(each)},\n" for each in value) + "]\n" if value else f"{key} = []\n"
        )
    return f"{key} = {_wrapped(value) if isinstance(value, str) else value}\n"


def _wrapped(text: str) -> str:
    """Write a text as TOML, over several lines where it is long: a backslash at the end of a line continues it."""
    if len(plain := _text(text)) <= _WIDTH - 20:
        return plain
    return '"""\n' + "\\\n".join(_escaped(piece) for piece in _pieces(text)) + '"""'


def _pieces(text: str) -> Iterable[str]:
    """Cut a text into short pieces; none begins with white space, which TOML would drop there."""
    return re.findall(r"\S.{,90}(?:\s+|$)|\S{1,50}\s*|^\s+", text, re.DOTALL)


def _escaped(piece: str) -> str:
    return _text(piece)[1:-1]


def _text(value: str) -> str:
    """Write a text as a TOML string on one line."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))


# ----------------------------------------------------------------------------------------------------------------------
# Reading
# ----------------------------------------------------------------------------------------------------------------------


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
    repairs = document.get("repairs", {})
    if not isinstance(repairs, dict) or not all(isinstance(number, int) for number in repairs.values()):
        raise PlanError("[repairs] of the plan was edited: it must have a number for each class")
    problems = [str(each) for each in document.get("problems", [])]
    return Decided(fingerprint, adapter, answers, document.get("made_with") != _digest(answers), repairs, problems)
