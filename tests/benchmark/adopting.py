"""The adoption of a database in use: how long its tables are locked, and how long the application's callers wait."""

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from bookingdb.adoption import apply as adoption
from bookingdb.adoption.plan import file, planner
from bookingdb.install.source import load
from tests.benchmark import scratch
from tests.benchmark.contention import code_of
from tests.benchmark.scratch import Connection, Scratch, Size, text
from tests.benchmark.upgrading import Waits

# Before and after the adoption callers go on for so many seconds.
_BESIDE: Final = 2.0
_CALLERS: Final = 2
_ZONE: Final = "Europe/Berlin"
# With its eight parameters, as applications of this kind call it.
_BOOK: Final = b"""
    select * from public.create_session_with_credit_deduction(
        p_user_id => %s, p_therapist_id => %s, p_session_date => %s, p_session_time => %s, p_duration_minutes => 60,
        p_session_type => 'video', p_notes => '', p_title => 'Therapy Session'
    )
"""
_LOOK: Final = b"""
    select s.start_time, s.end_time from public.sessions as s
    where s.therapist_id = %s and s.start_time between now() and now() + interval '30 days' and s.status <> 'cancelled'
"""


@dataclass
class Adoption:
    """An adoption, and what it came to.

    Attributes:
        stages: the name of each stage and the moment at which it began.
        end: when it was done.
        waits: by the kind of call.
        rows: how many rows were repaired.
    """

    stages: list[tuple[str, float]] = field(default_factory=list)
    end: float = 0
    waits: Mapping[str, Waits] = field(default_factory=lambda: {"book": Waits(), "look": Waits()})
    rows: int = 0

    def begun(self, stage: str) -> None:
        """Note that a stage begins."""
        self.stages.append((stage, time.monotonic()))

    @property
    def longest(self) -> float:
        """The seconds that the slowest call took meanwhile."""
        begin = self.stages[0][1]
        return max(each.longest(begin, self.end) for each in self.waits.values())

    def table(self) -> list[dict[str, Any]]:
        """Return the stages as rows for a table."""
        ends = [begin for _, begin in self.stages[1:]] + [self.end]
        return [
            {"stage": name, "seconds": f"{end - begin:.2f}"}
            for (name, begin), end in zip(self.stages, ends, strict=True)
        ]


def adopt(conninfo: str, size: Size, *, to_come: int, shifted: bool, report: Callable[[str], None]) -> Adoption:
    """Adopt a database with so much in it, while callers book with the application's function and look.

    Args:
        conninfo: a server's database, as a superuser; a database of its own is made there and dropped afterwards.
        size: how much is there.
        to_come: how many percent of the sessions are to come.
        shifted: whether every session's instant is wrong, and repaired.
        report: told what is being done.

    Raises:
        NotScratch: a database of that name is not a benchmark's.
        RuntimeError: the plan has problems, or an invariant is violated afterwards.
    """
    with scratch.empty(conninfo, f"{scratch.NAME}_adoption") as own:
        database = Scratch(own, size, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2))
        report(f"loading {size.sessions:,} sessions")
        with database.connect() as connection:
            loaded = text(
                "application",
                therapists=size.therapists,
                clients=size.clients,
                sessions=size.sessions,
                to_come=to_come,
                stored="UTC" if shifted else _ZONE,
            )
            connection.execute(loaded.encode())
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
            decided, source = _plan(connection, report)
        report(f"adopting while {_CALLERS} callers book and look")
        found = Adoption()
        stopping = threading.Event()
        callers = [
            threading.Thread(target=_call, args=(database, place, found.waits, stopping)) for place in range(_CALLERS)
        ]
        for caller in callers:
            caller.start()
        try:
            time.sleep(_BESIDE)
            with database.connect() as connection:
                found.rows = adoption.apply(connection, decided, source, found.begun).rows
            found.end = time.monotonic()
            time.sleep(_BESIDE)
        finally:
            stopping.set()
            for caller in callers:
                caller.join()
        report("check_invariants()")
        with database.connect() as connection:
            if violations := connection.execute("select * from bookingdb.check_invariants() limit 5").fetchall():
                raise RuntimeError(f"violated: {violations}")
    return found


def _plan(connection: Connection, report: Callable[[str], None]) -> tuple[file.Decided, Any]:
    """Make the plan as the owner of the application would answer it."""
    source = load(adapter="standalone")
    answers = {"zone": _ZONE}
    begin = time.monotonic()
    plan = planner.make_plan(connection, source, answers)
    if any(each.key == "times.wall_clock_as_utc" for each in plan.questions):
        plan = planner.make_plan(connection, source, answers | {"times.wall_clock_as_utc": "shift"})
    if plan.problems or plan.unanswered:
        raise RuntimeError(f"{plan.problems} {plan.unanswered}")
    report(f"planned in {time.monotonic() - begin:.1f} s")
    return file.read(file.write(plan)), source


def _call(database: Scratch, place: int, waits: Mapping[str, Waits], stopping: threading.Event) -> None:
    """Book at times that nobody else books, and look, until it is time to stop."""
    with database.connect() as connection:
        for number in itertools.count():
            if stopping.is_set():
                return
            therapist = scratch.id_of("therapist", number % database.size.therapists)
            client = scratch.id_of("client", (place + number * _CALLERS) % database.size.clients)
            day = database.base + dt.timedelta(days=300 + number // database.size.therapists)
            moment = (client, therapist, day, dt.time(9 + place))
            _timed(waits["book"], connection, partial(_ask, _BOOK, moment))
            _timed(waits["look"], connection, partial(_ask, _LOOK, (therapist,)))


def _ask(statement: bytes, values: tuple[Any, ...], connection: Connection) -> None:
    connection.execute(statement, values).fetchall()


def _timed(waits: Waits, connection: Connection, call: Callable[[Connection], None]) -> None:
    begin = time.monotonic()
    code = code_of(connection, call)
    end = time.monotonic()
    waits.codes[code] += 1
    waits.seconds.append((end, end - begin))
