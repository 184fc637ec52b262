"""A server of one's own that writes as carefully as one in production, and can be killed whole."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from bookingdb.install import installer
from bookingdb.local.binaries import find_binaries, write_wrapper_scripts
from tests.support import Connection, World, connect, run, scalar, throwaway
from tests.support.pooler import free_port

_numbers = itertools.count(1)
# Everything that decides what survives is as Postgres comes: fsync, full_page_writes, synchronous_commit are on.
SETTINGS = {
    "max_connections": "200",
    "max_wal_size": "512MB",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    # With the SQLSTATE, and without what would make the log of a million refusals large.
    "log_line_prefix": "%m [%p] state=%e ",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "timezone": "Pacific/Chatham",
    # A deadlock is noticed sooner than after the second that is usual.
    "deadlock_timeout": "50ms",
}
PATIENCE = 60.0


class Server:
    """A throwaway server. `bookingdb` is installed in its template, from which each `world` is copied."""

    def __init__(self, folder: Path, bin_dir: Path | None = None) -> None:
        """`folder` is empty; nothing runs yet."""
        self.folder = folder
        # The names that bookingdb.local.account knows of a throwaway server.
        self.data = folder / "data"
        self.sockets = folder / "tmp"
        self.sockets.mkdir()
        self.log = folder / "Postgresql.log"
        self.bin_dir = bin_dir or find_binaries()
        self.port = free_port()
        self.settings = dict(SETTINGS)
        self._scripts = tempfile.TemporaryDirectory(prefix="bookingdb-scripts-")
        self.run_from(self.bin_dir)
        # SQL that breaks what is guarded in each new world, to see that this is found.
        self.sabotage = ""
        # What its processes have in their environment beside what this one has.
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def run_from(self, bin_dir: Path) -> None:
        """Take initdb and postgres of this folder from the next start on."""
        self._initdb, self._postgres = write_wrapper_scripts(bin_dir, Path(self._scripts.name))

    def make(self) -> None:
        """Make the cluster."""
        options = ["-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run([str(self._initdb), "-D", str(self.data), *options], check=True, capture_output=True)

    def start(self) -> float:
        """Start it, and return how many seconds it took until it answered a query."""
        begun = time.monotonic()
        settings = {**self.settings, "port": str(self.port)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._postgres, "-D", self.data, "-k", self.sockets, "-h", "127.0.0.1", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        while not self.answers():
            lived = self._process.poll() is None and time.monotonic() - begun < PATIENCE
            assert lived, f"the server does not start:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.01)
        return time.monotonic() - begun

    def answers(self) -> bool:
        """Whether it answers a query."""
        try:
            with connect(self.url(), connect_timeout=5) as connection:
                run(connection, "select 1")
        except psycopg.OperationalError:
            return False
        return True

    def wait_until_it_answers(self) -> float:
        """Wait for a server that recovers, or start it if it has given up; return how many seconds that took."""
        begun = time.monotonic()
        assert self._process is not None
        while not self.answers():
            if self._process.poll() is not None:
                self.start()
            assert time.monotonic() - begun < PATIENCE, f"it does not recover:\n{self.said()[-2000:]}"
            time.sleep(0.02)
        return time.monotonic() - begun

    def kill(self) -> None:
        """SIGKILL the server and every process of it, at one moment."""
        assert self._process is not None
        # It must not notice that its children die, and begin to tidy up.
        os.kill(self._process.pid, signal.SIGSTOP)
        for pid in [*self.processes(), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        while self.processes():
            time.sleep(0.005)
        self._process = None

    def stop(self) -> None:
        """End it in good order, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def said(self, since: int = 0) -> str:
        """What the server has written into its log, from this byte on."""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def processes(self) -> list[int]:
        """The processes that the server has started for its connections and its own work."""
        assert self._process is not None
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listed.stdout.splitlines()]
        return [int(pid) for pid, parent, state in rows if int(parent) == self._process.pid and state[0] != "Z"]

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def copied_to(self, folder: Path, *options: str) -> Server:
        """A physical copy of the running server, in a folder of its own; it does not run yet."""
        copy = Server(folder, self.bin_dir)
        command = [str(self.bin_dir / "pg_basebackup"), "--dbname", self.url(), "--pgdata", str(copy.data)]
        subprocess.run([*command, "--checkpoint=fast", *options], check=True, capture_output=True)
        copy.data.chmod(0o700)
        return copy

    def install(self) -> None:
        """Put bookingdb into the template, by an ordinary role."""
        with connect(self.url()) as connection:
            run(connection, "create role owner login")
            run(connection, "create database template_bookingdb owner owner")
        with connect(self.url("template_bookingdb", "owner")) as connection:
            installer.migrate(connection)

    @contextlib.contextmanager
    def world(self, template: str = "template_bookingdb", tablespace: str = "pg_default") -> Iterator[World]:
        """A new database with bookingdb in it; the connection is its owner's."""
        name = f"torture_{next(_numbers)}"
        with connect(self.url()) as superuser:
            run(superuser, f"create database {name} template {template} owner owner tablespace {tablespace}")
        with connect(self.url(name, "owner")) as connection:
            if self.sabotage:
                run(connection, self.sabotage)
            yield World(self.url(name, "owner"), connection)


@contextlib.contextmanager
def running(bin_dir: Path | None = None) -> Iterator[Server]:
    """A server with bookingdb in its template; it and its folder are gone after the block."""
    with throwaway.folder() as folder:
        server = Server(folder, bin_dir)
        server.make()
        server.start()
        try:
            server.install()
            yield server
        finally:
            server.stop()


def as_superuser(world: World) -> Connection:
    """A superuser's connection to the same database."""
    return connect(make_conninfo(world.url, user=world.superuser))


def machine(server: Server) -> str:
    """What the figures were measured on, in a line."""
    with connect(server.url()) as connection:
        version = str(scalar(connection, "show server_version"))
    today = dt.datetime.now(dt.UTC).date()
    return f"PostgreSQL {version}, {os.cpu_count()} cores, data in {_file_system(server.folder)}, {today}"


def _file_system(folder: Path) -> str:
    return "memory (tmpfs)" if throwaway.MEMORY in folder.parents else "a folder on disk"
