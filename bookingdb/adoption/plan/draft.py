"""Where a plan comes together: its questions, its changes, what was found, and what makes it impossible."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bookingdb.adoption import application, repair
from bookingdb.adoption.application import Application
from bookingdb.adoption.damage import Rows
from bookingdb.checks.remedies import Attributes
from bookingdb.install.session import Connection
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Question:
    """Something only the owner can answer: the choices (none: any text), what speaks for which, and the default."""

    key: str
    evidence: tuple[str, ...]
    default: str
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Something that changes, why, and what puts it back. ``phase`` orders them (see `PHASES`)."""

    phase: int
    object: str
    reason: str
    statements: tuple[str, ...]
    undo: tuple[str, ...] = ()


# Before the columns are what we need; the columns; what rests on mended rows; after the functions are there.
PHASES = CLEARING, COLUMNS, STRENGTHENING, FOLLOWING = 1, 2, 3, 4


@dataclass(frozen=True)
class Plan:
    """All of it. ``found`` is for reading, ``problems`` make the adoption impossible."""

    adapter: str
    application: Application
    questions: list[Question]
    answers: dict[str, str]
    changes: list[Change]
    rows: list[Rows]
    found: dict[str, list[str]]
    problems: list[str]
    balances: dict[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to adopt."""
        return not self.application.tables and not self.changes

    def fingerprint(self) -> str:
        """SHA-256 of everything that was found: what the answers were given to."""
        tables = {
            name: {key: value for key, value in asdict(relation).items() if key != "rows"}
            for name, relation in self.application.relations.items()
        }
        found = {
            **{k: value for k, value in asdict(self.application).items() if k not in ("relations", "as_found")},
            "tables": tables,
            "adapter": self.adapter,
            "rows": [(each.key, each.ids) for each in self.rows if not each.is_passing],
            "questions": [(question.key, question.default) for question in self.questions],
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


class Desk:
    """Collects questions, changes and problems while it goes through what the application has."""

    def __init__(self, connection: Connection, source: Source, answers: Mapping[str, str]) -> None:
        """Look at the database, with the owner's answers at hand."""
        self.connection = connection
        self.source = source
        self.given = dict(answers)
        self.app = repair.as_found(connection, application.inspect(connection))
        self.questions: list[Question] = []
        self.answers: dict[str, str] = {}
        self.changes: list[Change] = []
        self.found: dict[str, list[str]] = {}
        self.problems: list[str] = []
        # Sessions whose wall clock time was stored as if it were UTC, where others are right.
        self.as_utc: list[str] = []

    def ask(self, key: str, evidence: list[str], choices: dict[str, str], default: str | None = None) -> str:
        """Put a question, and return its answer: the owner's, else the default, which is the first choice."""
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

    def tell(self, heading: str, line: str) -> None:
        """Say something that was found."""
        self.found.setdefault(heading, []).append(line)

    def wanted(self, table: str, name: str) -> Attributes | None:
        """The column as bookingdb has it."""
        return self.source.catalogue["columns"].get(f"public.{table}.{name}")

    def follow(self, name: str, text: str, reason: str, table: str = "public.sessions") -> None:
        """Plan a trigger that keeps something in step from now on."""
        self.change(
            FOLLOWING,
            f"trigger {name} on {table}",
            reason,
            [f"create trigger {name} {text}"],
            [f"drop trigger {name} on {table}"],
        )
