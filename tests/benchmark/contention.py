"""Many connections that want the same: who wins, what the others are told, and how long anybody waits."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from tests.benchmark.contenders import single_round_trip
from tests.benchmark.scratch import Connection, Scratch

OK: Final = "booked"
Attempt = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of attempts made at once.

    Attributes:
        codes: how often each code (else SQLSTATE) came, `OK` for a booking.
        longest: the seconds that the slowest took.
    """

    codes: Counter[str]
    longest: float


def at_once(connections: Sequence[Connection], attempts: Sequence[Attempt]) -> Outcome:
    """Make each attempt on a connection of its own, all at the same moment."""
    barrier = threading.Barrier(len(attempts))
    results: list[tuple[str, float]] = []

    def work(connection: Connection, attempt: Attempt) -> None:
        barrier.wait()
        begin = time.perf_counter()
        code = code_of(connection, attempt)
        results.append((code, time.perf_counter() - begin))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(connections, attempts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Outcome(Counter(code for code, _ in results), max(seconds for _, seconds in results))


def code_of(connection: Connection, attempt: Attempt) -> str:
    """Return what an attempt came to."""
    try:
        attempt(connection)
    except psycopg.Error as error:
        detail = error.diag.message_detail or ""
        return str(json.loads(detail)["code"]) if detail.startswith("{") else error.sqlstate or "lost"
    return OK


def booking(scratch: Scratch, parameters: Mapping[str, Any], name: str = "bookingdb") -> Attempt:
    """Return the attempt to book this."""
    book = single_round_trip(scratch)[name].book()
    return lambda connection: book(connection, parameters)


def raw_insert(scratch: Scratch, parameters: Mapping[str, Any]) -> Attempt:
    """Return the attempt to write the session directly."""
    statement = b"""
        insert into public.sessions (user_id, therapist_id, start_time, end_time, status)
        select
            md5('client ' || %(client)s)::uuid,
            md5('therapist ' || %(therapist)s)::uuid,
            s.start_time, s.start_time + interval '45 minutes', 'scheduled'
        from (
            select (%(base)s::date + %(day)s::integer + make_time(%(hour)s, 0, 0)) at time zone 'UTC' as start_time
        ) as s
    """

    def attempt(connection: Connection) -> None:
        connection.execute(statement, {**parameters, "base": scratch.base})

    return attempt
