"""Where the time of a booking goes: by function, as Postgres itself counts it, and what is outside of functions."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmark.contenders import Contender, Numbers
from tests.benchmark.measurement import WARM_UP
from tests.benchmark.scratch import Connection, Scratch

COMMIT: Final = "commit"
OUTSIDE: Final = "the statement itself, and the way to the server and back"

_BLOCK: Final = 10
# Of the whole booking: what is less than this is told together.
_TOLD: Final = 0.01
# No other session of the scratch database counts its functions.
_COUNTED: Final = b"""
    select format('%I.%I', f.schemaname, f.funcname), f.calls, f.self_time
    from pg_stat_user_functions as f
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a booking.

    Attributes:
        name: of the function, else `COMMIT` or `OUTSIDE`.
        calls: how often in a booking.
        microseconds: of a booking; of a function with the statements that it runs, without the functions and triggers
            that these call.
        share: of the whole booking, as the client waits for it.
    """

    name: str
    calls: float
    microseconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of bookings went.

    Attributes:
        bookings: how many were counted.
        parts: the largest first; together they are the whole booking.
        counting: how many times as long the same bookings take until they are answered, because functions are counted.
    """

    bookings: int
    parts: list[Part]
    counting: float

    def table(self) -> list[dict[str, Any]]:
        """Return the parts as rows for a table, small ones together."""
        large = [part for part in self.parts if part.share >= _TOLD]
        small = [part for part in self.parts if part.share < _TOLD]
        if small:
            calls = sum(part.calls for part in small)
            microseconds, share = sum(part.microseconds for part in small), sum(part.share for part in small)
            large.append(Part(f"{len(small)} others, each less than {_TOLD:.0%}", calls, microseconds, share))
        return [
            {
                "part": part.name,
                "calls": f"{part.calls:.3g}",
                "microseconds": f"{part.microseconds:.1f}",
                "share": f"{part.share:.1%}",
            }
            for part in large
        ]


def profile(scratch: Scratch, numbers: Numbers, contender: Contender, bookings: int) -> Profile:
    """Book so often with every function counted, in turn with as many that count nothing."""
    blocks = max(bookings // _BLOCK, 1)
    with scratch.connect() as counting, scratch.connect() as plain:
        counting.execute("set track_functions = 'all'")
        plain.execute("set track_functions = 'none'")
        for connection in (counting, plain):
            _book(connection, numbers, contender, WARM_UP)
        before = _counted(counting)
        spent = {counting: _Spent(), plain: _Spent()}
        for _ in range(blocks):
            for connection in random.sample([counting, plain], 2):
                spent[connection] += _book(connection, numbers, contender, _BLOCK)
        after = _counted(counting)
    counted = blocks * _BLOCK
    whole = spent[counting].booking + spent[counting].commit
    parts = []
    for name, (calls, milliseconds) in after.items():
        calls_before, milliseconds_before = before.get(name, (0, 0.0))
        if calls > calls_before:
            parts.append((name, calls - calls_before, (milliseconds - milliseconds_before) / 1000))
    # Nothing is deferred to it: no function runs in a commit.
    parts.append((COMMIT, counted, spent[counting].commit))
    parts.append((OUTSIDE, counted, whole - sum(seconds for _, _, seconds in parts)))
    return Profile(
        counted,
        [
            Part(name, calls / counted, 1e6 * seconds / counted, seconds / whole)
            for name, calls, seconds in sorted(parts, key=lambda part: -part[2])
        ],
        # Without the commit: what a disk takes now and then is more than what counting does.
        spent[counting].booking / spent[plain].booking,
    )


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds until bookings were answered, and until they were committed."""

    booking: float = 0.0
    commit: float = 0.0

    def __add__(self, other: "_Spent") -> "_Spent":
        return _Spent(self.booking + other.booking, self.commit + other.commit)


def _book(connection: Connection, numbers: Numbers, contender: Contender, count: int) -> _Spent:
    first, book, spent = numbers.take(contender.name, count), contender.book(), _Spent()
    for number in range(first, first + count):
        parameters = numbers.parameters(number)
        connection.execute("begin")
        begin = time.perf_counter()
        book(connection, parameters)
        answered = time.perf_counter()
        connection.execute("commit")
        spent += _Spent(answered - begin, time.perf_counter() - answered)
    return spent


def _counted(connection: Connection) -> Mapping[str, tuple[int, float]]:
    # Otherwise what was counted is written down now and then.
    connection.execute("select pg_stat_force_next_flush()")
    return {name: (calls, milliseconds) for name, calls, milliseconds in connection.execute(_COUNTED)}
