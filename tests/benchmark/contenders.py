"""The ways to book that are compared, and the numbers that make their bookings unique and free of conflicts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmark.scratch import BOOKINGDB, Connection, Scratch, text

Book = Callable[[Connection, Mapping[str, Any]], None]

# Consecutive bookings are of people that are not neighbours in any index.
_STRIDE: Final = 7919
# Bookings are at even hours; the sessions that were loaded are at odd ones.
_SLOTS_A_DAY: Final = 12
_LOCKED: Final = "\n    from (select pg_advisory_xact_lock(hashtextextended(:therapist, 1))) as l"


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to book in one round trip.

    Attributes:
        name: what it is called in tables.
        statements: SQL with the variables ``:client``, ``:therapist``, ``:day``, ``:hour`` and ``:number``. Several are
            sent together, as a pipeline, and are one transaction.
        tables: the schema it writes to.
    """

    name: str
    statements: tuple[str, ...]
    tables: str

    @property
    def pgbench(self) -> str:
        """The statements as a script of pgbench."""
        script = "".join(f"{statement.strip()};\n" for statement in self.statements)
        return script if len(self.statements) == 1 else f"\\startpipeline\n{script}\\endpipeline\n"

    def book(self, *, prepare: bool = True) -> Book:
        """Return what books with psycopg and fetches what the statements return."""
        sent = [re.sub(r"(?<!:):([a-z]+)\b", r"%(\1)s", statement).encode() for statement in self.statements]

        def at_once(connection: Connection, parameters: Mapping[str, Any]) -> None:
            connection.execute(sent[0], parameters, prepare=prepare).fetchall()

        def as_pipeline(connection: Connection, parameters: Mapping[str, Any]) -> None:
            with connection.pipeline():
                cursors = [connection.execute(statement, parameters, prepare=prepare) for statement in sent]
            for cursor in cursors:
                if cursor.description is not None:
                    cursor.fetchall()

        return at_once if len(sent) == 1 else as_pipeline


def single_round_trip(scratch: Scratch) -> dict[str, Contender]:
    """Return the contenders that book in one round trip, by name."""
    base = scratch.base
    floor = "bookingdb_floor"
    key = ",\n    p_idempotency_key => 'booking ' || :number"
    found = [
        Contender("floor", (text("floor", remembered="", locked="", base=base),), floor),
        Contender("floor, statements", tuple(text("floor_statements", base=base).split(";\n")), floor),
        # What one therapist's lock costs whoever holds it until the rows are on disk.
        Contender("floor under a lock", (text("floor", remembered="", locked=_LOCKED, base=base),), floor),
        Contender("floor with key", (text("floor", remembered=text("floor_key"), locked="", base=base),), floor),
        Contender("bookingdb", (text("bookingdb", key="", base=base),), BOOKINGDB),
        Contender("bookingdb with key", (text("bookingdb", key=key, base=base),), BOOKINGDB),
        # Two callers as PostgREST brings them: it sets role and claims in the same transaction.
        *(
            Contender(
                f"bookingdb, {name}", (text("caller", role=role), text("bookingdb", key="", base=base)), BOOKINGDB
            )
            for name, role in (("logged in", "authenticated"), ("trusted", "service_role"))
        ),
        Contender("ad-hoc", (text("ad_hoc", base=base),), "bookingdb_ad_hoc"),
        Contender("fair", (text("fair", base=base),), "bookingdb_fair"),
    ]
    return {contender.name: contender for contender in found}


class Numbers:
    """Counts the bookings of each contender in its database, so that none is ever made twice."""

    def __init__(self, scratch: Scratch) -> None:
        """Nobody has a number yet."""
        self._size = scratch.size
        self._next: dict[str, int] = {}

    def take(self, contender: str, count: int) -> int:
        """Return the first of `count` numbers that this contender has not had."""
        first = self._next.get(contender, 0)
        self._next[contender] = first + count
        return first

    def parameters(self, number: int) -> dict[str, Any]:
        """Return who books what with this number."""
        slot = number // self._size.therapists
        return {
            "client": str(number * _STRIDE % self._size.clients),
            "therapist": str(number * _STRIDE % self._size.therapists),
            "day": slot // _SLOTS_A_DAY,
            "hour": slot % _SLOTS_A_DAY * 2,
            "number": str(number),
        }

    def pgbench(self, contender: Contender) -> str:
        """Return a script of pgbench that does the same arithmetic."""
        return (
            "\\set i :i + 1\n"
            "\\set number :start + (:i - 1) * :connections + :client_id\n"
            f"{self._people()}"
            f"\\set day :slot / {_SLOTS_A_DAY}\n"
            f"\\set hour (:slot % {_SLOTS_A_DAY}) * 2\n"
            f"{contender.pgbench}"
        )

    def _people(self) -> str:
        size = self._size
        return (
            f"\\set client (:number * {_STRIDE}) % {size.clients}\n"
            f"\\set therapist (:number * {_STRIDE}) % {size.therapists}\n"
            f"\\set slot :number / {size.therapists}\n"
        )


class OfOneTherapist(Numbers):
    """Counts the bookings of one therapist whom nobody else books, slot by slot."""

    def __init__(self, scratch: Scratch, place: int) -> None:
        """`place` says which of the therapists that are kept for this."""
        super().__init__(scratch)
        self._place = place

    def _people(self) -> str:
        return (
            # In each slot of each therapist another client.
            f"\\set client {self._size.clients} + (:number + {13 * self._place}) % 800\n"
            f"\\set therapist {self._size.therapists + self._place}\n"
            "\\set slot :number\n"
        )
