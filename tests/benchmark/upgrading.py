"""An upgrade of a database in use: how long it takes, and how long its callers wait meanwhile."""

import datetime as dt
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

from bookingdb.install import installer
from tests.benchmark import scratch
from tests.benchmark.contenders import Book, Numbers, single_round_trip
from tests.benchmark.contention import Attempt, code_of
from tests.benchmark.scratch import Connection, Scratch, Size, text
from tests.support.upgrade import VERSIONS

# Before and after the upgrade callers go on for so many seconds.
_BESIDE: Final = 2.0
_CALLERS: Final = 2
_BOOKED: Final = b"select s.id from public.sessions as s where s.user_id = %s order by s.created_at desc limit 1"
_CANCEL: Final = b"select * from public.cancel_session(%s)"
_LOOK: Final = b"select * from public.list_available_slots(%s, current_date + 3, current_date + 9)"


@dataclass
class Waits:
    """How long calls of one kind took.

    Attributes:
        seconds: of each call, the moment of its end and how long it took.
        codes: how often each code (else SQLSTATE) came.
    """

    seconds: list[tuple[float, float]] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def longest(self, begin: float, end: float) -> float:
        """Return the longest of those that were under way between two moments; 0 where there was none."""
        return max((each for ended, each in self.seconds if ended >= begin and ended - each <= end), default=0.0)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade came to.

    Attributes:
        version: the last migration of the version before.
        migrations: what was applied.
        begin: when it began.
        end: when it was done.
        waits: by the kind of call.
    """

    version: str
    migrations: Sequence[str]
    begin: float
    end: float
    waits: Mapping[str, Waits]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin


def waiting(waits: Mapping[str, Waits], begin: float, end: float) -> list[dict[str, Any]]:
    """Return waits before and between two moments as rows for a table."""
    return [
        {
            "call": name,
            "calls": len(found.seconds),
            "p50 ms": f"{1000 * statistics.median(each for _, each in found.seconds):.1f}",
            "longest before, ms": f"{1000 * found.longest(0, begin - 0.001):.0f}",
            "longest meanwhile, ms": f"{1000 * found.longest(begin, end):.0f}",
            "came to": ", ".join(f"{count} {code}" for code, count in sorted(found.codes.items())),
        }
        for name, found in waits.items()
    ]


def upgrade(conninfo: str, size: Size, report: Callable[[str], None]) -> Upgrade:
    """Upgrade a database of the version before, with so much in it, while callers book, cancel and look.

    Args:
        conninfo: a server's database, as a superuser; a database of its own is made there and dropped afterwards.
        size: how much is there.
        report: told what is being done.

    Raises:
        NotScratch: a database of that name is not a benchmark's.
        RuntimeError: an invariant is violated afterwards.
    """
    version = max(VERSIONS)
    with scratch.empty(conninfo, f"{scratch.NAME}_upgrade") as own:
        database = Scratch(own, size, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2))
        report(f"loading {size.sessions:,} sessions into a database of {version}")
        with database.connect() as connection:
            _load(connection, database, version)
        report(f"upgrading while {_CALLERS} callers book, cancel and look")
        stopping = threading.Event()
        waits = {name: Waits() for name in ("book", "cancel", "look")}
        numbers, lock = Numbers(database), threading.Lock()

        def next_number() -> int:
            with lock:
                return numbers.take("upgrade", 1)

        callers = [
            threading.Thread(target=_call, args=(database, numbers, next_number, waits, stopping))
            for _ in range(_CALLERS)
        ]
        for caller in callers:
            caller.start()
        try:
            time.sleep(_BESIDE)
            with database.connect() as connection:
                begin = time.monotonic()
                applied = installer.migrate(connection)
                end = time.monotonic()
            time.sleep(_BESIDE)
        finally:
            stopping.set()
            for caller in callers:
                caller.join()
        report("check_invariants()")
        with database.connect() as connection:
            if violations := connection.execute("select * from bookingdb.check_invariants() limit 5").fetchall():
                raise RuntimeError(f"violated: {violations}")
    return Upgrade(version, applied.migrations, begin, end, waits)


def _load(connection: Connection, database: Scratch, version: str) -> None:
    connection.execute(VERSIONS[version].encode())
    hours = text(
        "hours", first=0, last=database.size.therapists + 199, days=7, windows="('00:00', '12:00'), ('12:00', '24:00')"
    )
    loaded, _ = scratch.loading("load_before", database.size, database.base)
    with connection.transaction():
        for script in (loaded, text("load_before", base=database.base), hours):
            connection.execute(script.encode())
    connection.execute("vacuum analyze")
    connection.execute("checkpoint")


def _call(
    database: Scratch,
    numbers: Numbers,
    next_number: Callable[[], int],
    waits: Mapping[str, Waits],
    stopping: threading.Event,
) -> None:
    """Book, look, and cancel every other session, until it is time to stop."""
    # Nothing is prepared: an upgrade may change what a function returns.
    book = single_round_trip(database)["bookingdb"].book(prepare=False)
    with database.connect() as connection:
        while not stopping.is_set():
            number = next_number()
            parameters = numbers.parameters(number)
            therapist = scratch.id_of("therapist", parameters["therapist"])
            _timed(waits["book"], connection, partial(_book, book, parameters))
            _timed(waits["look"], connection, partial(_ask, _LOOK, therapist))
            if number % 2:
                client = scratch.id_of("client", parameters["client"])
                row = connection.execute(_BOOKED, (client,)).fetchone()
                assert row is not None
                _timed(waits["cancel"], connection, partial(_ask, _CANCEL, row[0]))


def _book(book: Book, parameters: Mapping[str, Any], connection: Connection) -> None:
    book(connection, parameters)


def _ask(statement: bytes, value: UUID, connection: Connection) -> None:
    connection.execute(statement, (value,)).fetchall()


def _timed(waits: Waits, connection: Connection, call: Attempt) -> None:
    begin = time.monotonic()
    code = code_of(connection, call)
    end = time.monotonic()
    waits.codes[code] += 1
    waits.seconds.append((end, end - begin))
