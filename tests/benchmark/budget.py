"""The instructions that calls cost, counted by callgrind, and the table that no change may exceed: ``make budget``.

A ratio of times is good to 5 % at best. Instructions of one backend repeat within 1 %, whatever else the machine does.
They leave out the kernel, the disk and the memory: they say that a call became dearer, not how long it takes.
"""

import datetime as dt
import json
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from bookingdb.local.binaries import find_binaries
from tests.benchmark.contention import OK, code_of
from tests.benchmark.measurement import BenchmarkError
from tests.benchmark.scratch import Connection, Size, id_of, loading, text
from tests.support import throwaway
from tests.torture.server import SETTINGS, Server

TABLE: Final = Path(__file__).with_name("budget.json")
TOLERANCE: Final = 0.02
# After so many calls a connection has cached what it caches, and has chosen its plans.
WARM_UP: Final = 20
CALLS: Final = 60

_CLIENTS, _THERAPISTS, _SESSIONS = 1_000, 100, 5_000
_DATABASE: Final = "budget"
# What runs beside the backend, or depends on when something was written last, would be counted now and then.
_SETTINGS: Final = {
    **SETTINGS, "autovacuum": "off", "fsync": "off", "full_page_writes": "off", "checkpoint_timeout": "1h",
    "bgwriter_delay": "10s", "wal_writer_delay": "10s", "shared_buffers": "256MB", "timezone": "UTC",
}  # fmt: skip
# The backend's file of counts ends a part, and begins the next, where it enters this function.
_MARK: Final = "pg_backend_pid"
_OPEN: Final = ("09:00", "10:30", "13:00", "14:30", "16:00")
Parameters = Callable[[int], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that is counted.

    Attributes:
        name: what it is called in the table.
        statement: SQL with psycopg's named parameters.
        parameters: what to call it with, by the number of the call.
        code: what each call comes to.
        prepare: done before each call, by its number, and not counted.
    """

    name: str
    statement: str
    parameters: Parameters
    code: str = OK
    prepare: Callable[[Connection, int], None] | None = None


def monday(today: dt.date) -> dt.date:
    """Return the first of the weeks that are booked: weekdays fall alike, whenever this runs."""
    return today + dt.timedelta(days=14 - today.weekday())


def operations(base: dt.date, sessions: Sequence[str]) -> list[Operation]:
    """Return what is counted, in this order; `sessions` is filled with the ids of sessions to cancel."""
    book = (
        "select * from public.create_session_with_credit_deduction(md5('client ' || %(client)s)::uuid,"
        " md5('therapist ' || %(therapist)s)::uuid, %(day)s, %(time)s"
    )

    def at_any_hour(first_client: int, first_day: int) -> Parameters:
        return lambda number: {
            "client": str(_CLIENTS + first_client + number),
            "therapist": str(_THERAPISTS + number % 10),
            "day": base + dt.timedelta(days=first_day + number // 10 // 12),
            "time": dt.time(number // 10 % 12 * 2),
            "key": f"key {number}",
        }

    def within_hours(first_client: int) -> Parameters:
        return lambda number: {
            "client": str(_CLIENTS + first_client + number),
            "therapist": str(_THERAPISTS + 10 + number % 10),
            "day": base + dt.timedelta(days=number // 10 // 5),
            "time": dt.time.fromisoformat(_OPEN[number // 10 % 5]),
        }

    logged_in, to_move, moved = at_any_hour(250, 21), at_any_hour(0, 300), list[str]()

    def log_in(connection: Connection, number: int) -> None:
        claims = json.dumps({"sub": str(id_of("client", logged_in(number)["client"])), "role": "authenticated"})
        connection.execute("set role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))

    def book_to_move(connection: Connection, number: int) -> None:
        row = connection.execute(f"{book})".encode(), to_move(number)).fetchone()
        assert row is not None
        moved.append(str(row[0]))

    return [
        Operation("booking", f"{book})", at_any_hour(0, 0)),
        Operation("booking with key", f"{book}, p_idempotency_key => %(key)s)", at_any_hour(250, 7)),
        Operation("booking within hours", f"{book})", within_hours(500)),
        Operation("booking as a logged-in user", f"{book})", logged_in, prepare=log_in),
        Operation("refusal", f"{book})", at_any_hour(750, 0), "booking_conflict"),
        Operation("refusal within hours", f"{book})", within_hours(750), "booking_conflict"),
        Operation(
            "hold",
            "select * from public.hold_slot(md5('client ' || %(client)s)::uuid,"
            " md5('therapist ' || %(therapist)s)::uuid, %(day)s, %(time)s)",
            at_any_hour(750, 14),
        ),
        Operation(
            "slot list, 30 days",
            "select * from public.list_available_slots(md5('therapist ' || %(therapist)s)::uuid, %(from)s, %(to)s)",
            lambda number: {
                "therapist": str(_THERAPISTS + 10 + number % 10), "from": base, "to": base + dt.timedelta(days=29),
            },
        ),
        Operation(
            "next free time",
            "select * from public.next_available_slot(md5('therapist ' || %(therapist)s)::uuid)",
            lambda number: {"therapist": str(_THERAPISTS + 10 + number % 10)},
        ),
        Operation("cancel", "select * from public.cancel_session(%(id)s)", lambda number: {"id": sessions[number]}),
        Operation(
            "reschedule",
            "select * from public.reschedule_session(%(id)s, %(day)s, %(time)s)",
            lambda number: {**at_any_hour(0, 320)(number), "id": moved[number]},
            prepare=book_to_move,
        ),
    ]  # fmt: skip


def measured() -> dict[str, float]:
    """Count the instructions of each operation.

    Returns:
        By name, the instructions of one call in user space, with parsing, answer and commit.

    Raises:
        BenchmarkError: there is no valgrind, or a call did not come to what it should.
    """
    base = monday(dt.datetime.now(dt.UTC).date())
    with counting(base) as (connection, counts):
        sessions: list[str] = []
        found = {}
        for operation in operations(base, sessions):
            if operation.name == "cancel":
                ours = [id_of("therapist", _THERAPISTS + number) for number in range(20)]
                booked = "select s.id from public.sessions as s where s.therapist_id = any (%s) order by s.created_at"
                sessions += [str(row[0]) for row in connection.execute(booked, (ours,))]
            found[operation.name] = count(connection, operation, counts)
        return found


def count(connection: Connection, operation: Operation, counts: Callable[[], int]) -> float:
    """Return the instructions of one call of an operation, on a connection that is warm by then."""

    def call(number: int) -> None:
        def attempt(own: Connection) -> None:
            own.execute(operation.statement.encode(), operation.parameters(number), prepare=True)

        came_to = code_of(connection, attempt)
        if came_to != operation.code:
            raise BenchmarkError(f"{operation.name} {number} came to {came_to}")

    for number in range(WARM_UP):
        if operation.prepare is not None:
            operation.prepare(connection, number)
        call(number)
    counts()
    mark = counts()
    if operation.prepare is None:
        for number in range(WARM_UP, WARM_UP + CALLS):
            call(number)
        return (counts() - mark) / CALLS
    counted = 0
    for number in range(WARM_UP, WARM_UP + CALLS):
        operation.prepare(connection, number)
        counts()
        call(number)
        counted += counts() - mark
    connection.execute("reset role")
    return counted / CALLS


@dataclass(frozen=True, slots=True)
class Budget:
    """What calls may cost.

    Attributes:
        instructions: of one call, by operation.
        tolerance: by which share of its figure a call may exceed it.
        machine: what the figures were counted on; another Postgres, C library or processor counts others.
    """

    instructions: Mapping[str, int]
    tolerance: float
    machine: str

    def exceeded(self, found: Mapping[str, float]) -> list[str]:
        """Return the operations that cost more than they may, and those that only one of the two knows."""
        unknown = sorted(self.instructions.keys() ^ found.keys())
        return unknown + [
            name
            for name in found
            if name in self.instructions and found[name] > self.instructions[name] * (1 + self.tolerance)
        ]

    def table(self, found: Mapping[str, float]) -> list[dict[str, Any]]:
        """Return what was counted beside what it may be, as rows for a table."""
        return [
            {
                "call": name,
                "instructions": f"{counted:,.0f}",
                "budget": f"{allowed:,}" if (allowed := self.instructions.get(name)) else "",
                "change": f"{round(counted / allowed - 1, 3):+.1%}" if allowed else "",
            }
            for name, counted in found.items()
        ]


def read(file: Path = TABLE) -> Budget:
    """Return the budget that a file holds."""
    return Budget(**json.loads(file.read_text(encoding="utf-8")))


def write(found: Mapping[str, float], file: Path = TABLE) -> Budget:
    """Make what was counted the budget."""
    made = Budget({name: round(counted) for name, counted in found.items()}, TOLERANCE, machine())
    file.write_text(json.dumps(asdict(made), indent=4) + "\n", encoding="utf-8")
    return made


def machine() -> str:
    """Return in a line what instructions are counted on here."""
    versions = [
        subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        for program in (str(find_binaries() / "postgres"), "valgrind")
    ]
    return ", ".join([*versions, "-".join(platform.libc_ver()), platform.machine()])


@contextmanager
def counting(base: dt.date) -> Iterator[tuple[Connection, Callable[[], int]]]:
    """Fill a database, and serve it by a Postgres whose instructions are counted.

    Hands out a connection, and what returns the instructions of its backend since it was called last.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise BenchmarkError("valgrind is not installed: apt-get install valgrind")
    with throwaway.folder() as folder, tempfile.TemporaryDirectory(prefix="bookingdb-callgrind-") as name:
        server = Server(folder)
        server.settings = dict(_SETTINGS)
        server.make()
        server.start()
        try:
            with psycopg.connect(server.url(), autocommit=True) as superuser:
                superuser.execute("create role authenticated nologin")
            server.install()
            _fill(server, base)
            server.stop()
            server.run_from(_counted_binaries(valgrind, Path(name)))
            server.start()
            with psycopg.connect(server.url(_DATABASE, "owner"), autocommit=True, prepare_threshold=100_000) as own:
                parts = Path(name).joinpath(f"counts.{own.info.backend_pid}")
                yield own, _counts(own, parts)
        finally:
            server.stop()


def _fill(server: Server, base: dt.date) -> None:
    with psycopg.connect(server.url(), autocommit=True) as superuser:
        superuser.execute("grant authenticated to owner")
        superuser.execute(f"create database {_DATABASE} template template_bookingdb owner owner".encode())
    with psycopg.connect(server.url(_DATABASE), autocommit=True) as superuser:
        for script in loading("load", Size(_CLIENTS, _THERAPISTS, _SESSIONS), base):
            superuser.execute(script.encode())
        with_hours = text(
            "hours", first=_THERAPISTS + 10, last=_THERAPISTS + 19, days=5,
            windows="('09:00', '12:00'), ('13:00', '18:00')",
        )  # fmt: skip
        superuser.execute(with_hours.encode())
        superuser.execute("vacuum analyze")


def _counted_binaries(valgrind: str, folder: Path) -> Path:
    """Return a folder whose postgres is that of this machine under callgrind."""
    binaries = find_binaries()
    folder.chmod(0o777)
    made = folder / "bin"
    made.mkdir(mode=0o755)
    for program in ("postgres", "initdb"):
        counted = [
            valgrind, "--quiet", "--tool=callgrind", f"--callgrind-out-file={folder}/counts.%p",
            f"--dump-before={_MARK}", str(binaries / program),
        ]  # fmt: skip
        script = made / program
        script.write_text(f'#!/bin/sh\nexec {shlex.join(counted)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return made


def _counts(connection: Connection, file: Path) -> Callable[[], int]:
    part = 0

    def counted() -> int:
        nonlocal part
        part += 1
        connection.execute(f"select {_MARK}()".encode(), prepare=True)
        ended = file.with_name(f"{file.name}.{part}")
        found = re.search(r"^totals: (\d+)$", ended.read_text(encoding="utf-8"), re.MULTILINE)
        if found is None:
            raise BenchmarkError(f"callgrind wrote no totals into {ended}")
        return int(found[1])

    return counted
