"""A plan, and the draft in which it comes together: questions, changes, what was found, what makes it impossible."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from bookingdb.adoption.application import Application, Trigger
from bookingdb.adoption.damage import Damage
from bookingdb.adoption.plan.counts import Counts
from bookingdb.checks.remedies import Attributes
from bookingdb.install.session import Connection, literal
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Question:
    """Something only the owner can answer: the choices (none: any text), the evidence for them, and the default.

    ``is_open`` is True where a wrong answer would do harm and the rows do not decide: the default is empty, and `apply`
    refuses until a person has answered.
    """

    key: str
    evidence: tuple[str, ...]
    default: str
    choices: dict[str, str] = field(default_factory=dict)
    is_open: bool = False


@dataclass(frozen=True)
class Change:
    """Something that changes, why, and what puts it back. ``phase`` orders the changes (see `PHASES`)."""

    phase: int
    object: str
    reason: str
    statements: tuple[str, ...]
    undo: tuple[str, ...] = ()


# Obstacles go first; then the columns change; constraints need repaired rows; the last phase needs our functions.
PHASES = CLEARING, COLUMNS, STRENGTHENING, FOLLOWING = 1, 2, 3, 4


@dataclass(frozen=True)
class Plan:
    """The plan of an adoption. ``found`` is for reading, ``problems`` make the adoption impossible.

    ``refused`` has the answers that cannot be taken, as they were given; ``risks`` are sentences of the summary.
    """

    adapter: str
    application: Application
    questions: list[Question]
    answers: dict[str, str]
    changes: list[Change]
    damage: list[Damage]
    found: dict[str, list[str]]
    problems: list[str]
    balances: dict[str, int]
    counts: Counts = field(default_factory=Counts)
    refused: dict[str, str] = field(default_factory=dict)
    risks: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to adopt."""
        return not self.application.tables and not self.changes

    @property
    def unanswered(self) -> list[str]:
        """The keys of the open questions that nobody has answered."""
        return [each.key for each in self.questions if each.is_open and not self.answers[each.key]]

    def fingerprint(self) -> str:
        """Return the SHA-256 of what the plan decides: the structure that was found, and every statement.

        Rows are not in it: those that the application writes afterwards are treated by the same answers.
        """
        decided = {
            "structure": self.application.structure(),
            "adapter": self.adapter,
            "changes": [(each.object, each.statements) for each in self.changes],
        }
        return hashlib.sha256(json.dumps(decided, sort_keys=True, default=str).encode()).hexdigest()


@dataclass
class PlanDraft:
    """A plan in the making: each part of the planner reads what the parts before it wrote here.

    ``given`` are the owner's answers, ``answers`` those to the questions asked so far, with defaults for the others.
    ``remade_triggers`` are those that are dropped and made again because they name a column whose type changes.
    """

    connection: Connection
    source: Source
    app: Application
    given: dict[str, str]
    questions: list[Question] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    risks: list[str] = field(default_factory=list)
    remade_triggers: list[Trigger] = field(default_factory=list)

    def refuse_answer(self, key: str, why: str) -> None:
        """Note that an answer is none that can be taken; the plan goes on showing it as it was given."""
        self.refused[key] = self.given.pop(key)
        self.problems.append(f"answer {key} is {self.refused[key]!r}, {why}")

    def ask(self, key: str, evidence: list[str], choices: dict[str, str], default: str | None = None) -> str:
        """Ask a question, and return the owner's answer, else the default, which is the first choice."""
        fallback = next(iter(choices)) if default is None else default
        return self._ask(Question(key, tuple(evidence), fallback, choices))

    def ask_openly(self, key: str, evidence: list[str], choices: dict[str, str]) -> str:
        """Ask a question that has no default; return the owner's answer, empty while there is none."""
        return self._ask(Question(key, tuple(evidence), "", choices, is_open=True))

    def _ask(self, question: Question) -> str:
        self.questions.append(question)
        answer = self.given.get(question.key, question.default)
        is_left_open = question.is_open and not answer
        if question.choices and answer not in question.choices and not is_left_open:
            listed = ", ".join(question.choices)
            self.refuse_answer(question.key, f"but must be one of: {listed}")
            answer = question.default
        self.answers[question.key] = answer
        return answer

    def change(self, phase: int, name: str, reason: str, statements: list[str], undo: list[str] | None = None) -> None:
        """Plan a change."""
        self.changes.append(Change(phase, name, reason, tuple(statements), tuple(undo or ())))

    def follow(self, name: str, event: str, table: str, call: str, reason: str, *, level: str = "for each row") -> None:
        """Plan a trigger that keeps something in step from the adoption on.

        Args:
            name: the trigger.
            event: when it runs: ``before insert or update``.
            table: its table of the schema public.
            call: the function of the schema bookingdb, with its arguments.
            reason: what it is for, in a sentence.
            level: for each row, or for each statement and with which transition tables.
        """
        self.change(
            FOLLOWING,
            f"trigger {name} on public.{table}",
            reason,
            [f"create trigger {name} {event} on public.{table} {level} execute function bookingdb.{call}"],
            [f"drop trigger {name} on public.{table}"],
        )

    def note(self, heading: str, line: str) -> None:
        """Note something that was found, for whoever reads the plan."""
        self.found.setdefault(heading, []).append(line)

    def our_column(self, table: str, name: str) -> Attributes | None:
        """The column as bookingdb has it, if it has one."""
        return self.source.catalogue["columns"].get(f"public.{table}.{name}")

    @property
    def cleared(self) -> set[str]:
        """The objects that are out of the way before the columns change."""
        return {each.object for each in self.changes if each.phase == CLEARING}

    @property
    def zone(self) -> str:
        """The time zone of wall clock times, as SQL."""
        return literal(self.answers.get("zone") or "UTC")

    @property
    def zone_of_timestamps(self) -> str:
        """The time zone of timestamps without one, as SQL."""
        return literal(self.answers.get("zone.timestamps") or "UTC")

    def finish(self) -> Plan:
        """Return the plan, its changes in the order of their phases."""
        return Plan(
            adapter=self.source.adapter.name,
            application=self.app,
            questions=self.questions,
            answers=self.answers,
            changes=sorted(self.changes, key=lambda change: change.phase),
            damage=self.damage,
            found=self.found,
            problems=self.problems,
            balances=self.balances,
            counts=self.counts,
            refused=self.refused,
            risks=self.risks,
        )
