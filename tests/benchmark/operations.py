"""What other calls cost, as multiples of a booking: in turn, on one connection."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.benchmark import measurement, targets
from tests.benchmark.contenders import Book, Contender, Numbers, single_round_trip
from tests.benchmark.contention import OK, Attempt, booking, code_of
from tests.benchmark.measurement import WARM_UP, BenchmarkError, Figures, latencies
from tests.benchmark.run import Run
from tests.benchmark.scratch import BOOKINGDB, Connection, Scratch, id_of, text

BOOKING: Final = "booking"
_BLOCK: Final = 10
# A session is moved to where none was loaded, and none is booked.
_DAYS: Final = 180
_BOOKED: Final = b"select s.id from public.sessions as s where s.user_id = %s order by s.created_at desc limit 1"
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that is measured.

    Attributes:
        call: the call, as a contender.
        prepare: returns the parameters of one more call, after doing what it needs.
        code: what each call comes to.
    """

    call: Contender
    prepare: Callable[[Connection], Parameters]
    code: str = OK


def operations(run: Run) -> None:
    """Refusals, holds, cancellations and moves, within hours, beside bookings."""
    workload = targets.OPERATIONS
    with run.databases("loading for operations", {"operations": BOOKINGDB}, hours=True) as databases:
        database = databases["operations"]
        known = calls(database, Numbers(database))
        for _ in range(run.plan.rounds):
            run.step(workload)
            run.report.add(workload, measured(database, known, max(run.plan.transactions // 2 // _BLOCK, 2)))
    for name in known:
        if name != BOOKING:
            run.compare(workload, "cpu", name, BOOKING)
            run.compare(workload, "mean", name, BOOKING)


def calls(database: Scratch, numbers: Numbers) -> dict[str, Operation]:
    """Return what is measured, by name; all of them draw on the same numbers."""

    def fresh(_: Connection) -> Parameters:
        return numbers.parameters(numbers.take(BOOKING, 1))

    def booked(aside: Connection) -> Parameters:
        """Book aside, and return the booking with the id of its session."""
        parameters = fresh(aside)
        booking(database, parameters)(aside)
        row = aside.execute(_BOOKED, (id_of("client", parameters["client"]),)).fetchone()
        assert row is not None
        return {**parameters, "session": str(row[0])}

    def taken(aside: Connection) -> Parameters:
        parameters = booked(aside)
        # Somebody else, who has no session at that time.
        return {**parameters, "client": str(database.size.clients + int(parameters["number"]) % 1000)}

    def moved(aside: Connection) -> Parameters:
        parameters = booked(aside)
        return {**parameters, "day": parameters["day"] + _DAYS}

    def contender(name: str, statement: str) -> Contender:
        return Contender(name, (statement,), BOOKINGDB)

    book = single_round_trip(database)["bookingdb"]
    return {
        BOOKING: Operation(book, fresh),
        "refusal": Operation(book, taken, "booking_conflict"),
        "hold": Operation(contender("hold", text("hold", base=database.base)), fresh),
        "cancel": Operation(contender("cancel", "select * from public.cancel_session(:session::uuid)"), booked),
        "reschedule": Operation(contender("reschedule", text("reschedule", base=database.base)), moved),
    }


def measured(database: Scratch, known: Mapping[str, Operation], blocks: int) -> dict[str, Figures]:
    """Make these calls in blocks, in random order, on a connection that is warm by then.

    Raises:
        BenchmarkError: a call did not come to what it should.
    """
    milliseconds: dict[str, list[float]] = {name: [] for name in known}
    cpu = dict.fromkeys(known, 0.0)
    is_local = measurement.is_local(database)
    with database.connect() as connection, database.connect() as aside:
        pid = connection.info.backend_pid if is_local else None
        for operation in known.values():
            _call(connection, operation, [operation.prepare(aside) for _ in range(WARM_UP)])
        for _ in range(blocks):
            for name in random.sample(list(known), len(known)):
                wanted = [known[name].prepare(aside) for _ in range(_BLOCK)]
                used = measurement.cpu_of(pid)
                milliseconds[name] += _call(connection, known[name], wanted)
                cpu[name] += measurement.cpu_of(pid) - used
    return {
        name: latencies(found, cpu=cpu[name] / len(found) if is_local else None) for name, found in milliseconds.items()
    }


def _attempt(book: Book, parameters: Parameters) -> Attempt:
    return lambda connection: book(connection, parameters)


def _call(connection: Connection, operation: Operation, wanted: list[Parameters]) -> list[float]:
    book, milliseconds = operation.call.book(), []
    for parameters in wanted:
        begin = time.perf_counter()
        code = code_of(connection, _attempt(book, parameters))
        milliseconds.append(1000 * (time.perf_counter() - begin))
        if code != operation.code:
            raise BenchmarkError(f"{operation.call.name} came to {code}, not to {operation.code}")
    return milliseconds
