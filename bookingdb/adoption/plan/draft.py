"""A plan, and the draft in which it comes together: questions, changes, what was found, what makes it impossible."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from bookingdb.adoption.application import Application, Trigger
from bookingdb.adoption.damage import Damage
from bookingdb.checks.remedies import Attributes
from bookingdb.install.session import Connection, literal
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Question:
    """Something only the owner can answer: the choices (none: any text), the evidence for them, and the default."""

    key: str
    evidence: tuple[str, ...]
    default: str
    choices: dict[str, str] = field(default_factory=dict)


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
    """The plan of an adoption. ``found`` is for reading, ``problems`` make the adoption impossible."""

    adapter: str
    application: Application
    questions: list[Question]
    answers: dict[str, str]
    changes: list[Change]
    damage: list[Damage]
    found: dict[str, list[str]]
    problems: list[str]
    balances: dict[str, int]

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to adopt."""
        return not self.application.tables and not self.changes

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that was found, which is what the owner gave the answers to."""
        tables = {
            name: {key: value for key, value in asdict(relation).items() if key != "rows"}
            for name, relation in self.application.relations.items()
        }
        found = {
            **{k: value for k, value in asdict(self.application).items() if k not in ("relations", "as_found")},
            "tables": tables,
            "adapter": self.adapter,
            "rows": [(each.key, each.ids) for each in self.damage if not each.is_passing],
            "questions": [(question.key, question.default) for question in self.questions],
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


@dataclass
class PlanDraft:
    """A plan in the making: each part of the planner reads what the parts before it wrote here.

    ``given`` are the owner's answers, ``answers`` those to the questions asked so far, with defaults for the others.
    ``stored_as_utc`` are the sessions whose wall clock time was stored as if it were UTC, where others are right;
    ``remade_triggers`` those that are dropped and made again because they name a column whose type changes.
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
    balances: dict[str, int] = field(default_factory=dict)
    stored_as_utc: list[str] = field(default_factory=list)
    remade_triggers: list[Trigger] = field(default_factory=list)

    def ask(self, key: str, evidence: list[str], choices: dict[str, str], default: str | None = None) -> str:
        """Ask a question, and return the owner's answer, else the default, which is the first choice."""
        fallback = next(iter(choices)) if default is None else default
        self.questions.append(Question(key, tuple(evidence), fallback, choices))
        answer = self.given.get(key, fallback)
        if choices and answer not in choices:
            self.problems.append(f"answer {key} is {answer!r}, but must be one of: {', '.join(choices)}")
            answer = fallback
        self.answers[key] = answer
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
        return literal(self.answers.get("zone", "UTC"))

    @property
    def zone_of_timestamps(self) -> str:
        """The time zone of timestamps without one, as SQL."""
        return literal(self.answers.get("zone.timestamps", "UTC"))

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
        )
