"""The ways to book that are compared, and the numbers that make their bookings unique and free of conflicts."""

import re
from dataclasses import dataclass
from typing import Any, Final

from bookingdb.benchmark.scratch import Scratch, text

# Consecutive bookings are of people that are not neighbours in any index.
_STRIDE: Final = 7919
# Bookings are at even hours; the sessions that were loaded are at odd ones.
_SLOTS_A_DAY: Final = 12
_LOCKED: Final = "\n    from (select pg_advisory_xact_lock(hashtextextended(:therapist, 1))) as l"


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to book with a single statement.

    Attributes:
        name: what it is called in tables.
        statement: SQL with the variables ``:client``, ``:therapist``, ``:day``, ``:hour`` and ``:number``.
        tables: the schema it writes to; contenders of one schema share their numbers.
    """

    name: str
    statement: str
    tables: str

    @property
    def parameterized(self) -> str:
        """The statement as psycopg takes it."""
        return re.sub(r"(?<!:):([a-z]+)\b", r"%(\1)s", self.statement)


def single_statement(scratch: Scratch) -> dict[str, Contender]:
    """Return the contenders that book in one round trip, by name."""
    base = scratch.base
    found = [
        Contender("floor", text("floor", remembered="", locked="", base=base), "bookingdb_floor"),
        # What one therapist's lock costs whoever holds it until the rows are on disk.
        Contender("floor under a lock", text("floor", remembered="", locked=_LOCKED, base=base), "bookingdb_floor"),
        Contender(
            "floor with key", text("floor", remembered=text("floor_key"), locked="", base=base), "bookingdb_floor"
        ),
        Contender("bookingdb", text("bookingdb", key="", base=base), "public"),
        Contender(
            "bookingdb with key",
            text("bookingdb", key=",\n    p_idempotency_key => 'booking ' || :number", base=base),
            "public",
        ),
        Contender("ad-hoc", text("ad_hoc", base=base), "bookingdb_ad_hoc"),
    ]
    return {contender.name: contender for contender in found}


class Numbers:
    """Counts the bookings of each schema, so that none is ever made twice."""

    def __init__(self, scratch: Scratch) -> None:
        """Nobody has a number yet."""
        self._size = scratch.size
        self._next: dict[str, int] = {}

    def take(self, contender: Contender, count: int) -> int:
        """Return the first of `count` numbers that nobody else gets."""
        first = self._next.get(contender.tables, 0)
        self._next[contender.tables] = first + count
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

    def pgbench(self, contender: Contender, place: int) -> str:
        """Return a script of pgbench that does the same arithmetic, of the contender at this place of a run."""
        return (
            f"\\set i{place} :i{place} + 1\n"
            f"\\set number :start{place} + (:i{place} - 1) * :connections + :client_id\n"
            f"{self._people()}"
            f"\\set day :slot / {_SLOTS_A_DAY}\n"
            f"\\set hour (:slot % {_SLOTS_A_DAY}) * 2\n"
            f"{contender.statement.rstrip()};\n"
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
