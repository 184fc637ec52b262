"""Two ways to the same rows: what is asked mostly is done quickly, and all else rule by rule.

No call with a key is answered quickly, so the same call with a key takes the other way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from tests.support import Connection, World, run, scalar
from tests.support.callers import SUPERUSER, acting
from tests.support.life import call

# Whatever a call may write, but keys.
_TABLES = (
    "public.sessions", "public.user_credits", "public.booking_audit_log", "bookingdb.calendar", "bookingdb.ledger",
    "bookingdb.outbox", "bookingdb.holds", "bookingdb.overlapping_sessions", "bookingdb.absences",
    "bookingdb.former_therapists", "bookingdb.rule_changes", "bookingdb.payments", "bookingdb.texts",
)  # fmt: skip
_ID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
# Numbers in order, and a clock that goes on.
_PASSING = re.compile(
    r'("(?:id|entry|changed_by|\w+_text_id|created_at|placed_at|released_at|expires_at|changed_at)"): (?:\d+|"[^"]*")'
)

# What a call took from the clock, a moment later in the second way.
_MOMENT = re.compile(r"(?<=[T ])(\d\d):\d\d:\d\d\.\d+")


@dataclass(frozen=True)
class Way:
    """How a call ended, what the tables held then, and whether it was done quickly."""

    answer: Any
    held: dict[str, list[str]]
    is_quick: bool


@dataclass(frozen=True)
class Ways:
    """Makes calls in both ways, and takes them back.

    Attributes:
        connection: a superuser's, who becomes the caller for the call alone.
        function: the public function.
        rules: a function that the quick way spares, and the other calls.
    """

    connection: Connection
    function: str
    rules: str

    def require_same(self, caller: UUID | None, /, **parameters: Any) -> Way:
        """Hold that both ways come to the same, and return the quick one. The caller is trusted (None), or a user."""
        # In one transaction, which has one now().
        with self.connection.transaction(force_rollback=True):
            first, second = self._way(caller, parameters), self._way(caller, parameters | {"idempotency_key": "a key"})
        assert first.answer == second.answer
        assert first.held == second.held
        assert not second.is_quick
        return first

    def _way(self, caller: UUID | None, parameters: dict[str, Any]) -> Way:
        with self.connection.transaction(force_rollback=True):
            known = set(_ID.findall(json.dumps(self._held())))
            before = self._calls()
            if caller is not None:
                run(self.connection, "set local session authorization authenticator")
                run(self.connection, "set local role authenticated")
                claims = json.dumps({"sub": str(caller), "role": "authenticated"})
                run(self.connection, "select set_config('request.jwt.claims', %s, true)", claims)
            try:
                with self.connection.transaction():
                    answer = json.dumps(call(self.connection, self.function, **parameters), default=str)
            except psycopg.Error as error:
                answer = json.dumps([error.sqlstate, error.diag.message_primary, error.diag.message_detail])
            run(self.connection, "set local session authorization default")
            is_quick = self._calls() == before and not answer.startswith("[")
            held = self._held()
        # Ids that the call made are others each time.
        made: dict[str, str] = {}

        def named(text: str) -> str:
            text = _MOMENT.sub(r"\1 and some", _PASSING.sub(r"\1: 0", text))
            return _ID.sub(lambda id_: id_[0] if id_[0] in known else made.setdefault(id_[0], f"new {len(made)}"), text)

        return Way(
            json.loads(named(answer)), {table: sorted(map(named, rows)) for table, rows in held.items()}, is_quick
        )

    def _held(self) -> dict[str, list[str]]:
        return {
            table: [text for (text,) in run(self.connection, f"select to_jsonb(t)::text from {table} as t order by t")]
            for table in _TABLES
        }

    def _calls(self) -> int:
        counted = "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions where funcname = %s"
        return int(scalar(self.connection, counted, self.rules))


@contextmanager
def ways(world: World, function: str, rules: str) -> Iterator[Ways]:
    with acting(world, SUPERUSER) as connection:
        run(connection, "set track_functions = 'all'")
        yield Ways(connection, function, rules)
