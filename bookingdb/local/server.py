"""The local Postgres: a server of one's own, started and stopped without an administrator.

Everything lives in one folder, by default ``~/.local/share/bookingdb/postgres``:

    pgdata/       the database cluster
    password      of the superuser postgres, readable by its owner only
    pgpass        the same, as libpq reads it
    state.json    the port, so that a restart keeps it
    server.log    what the server said since it was started; server.log.previous: the time before
    run/          the unix socket
    lock          held while a server is started, stopped or reset
    binaries/     a private copy, only where bookingdb.local.account needs one

:mod:`bookingdb.local.binaries` finds the binaries; :mod:`bookingdb.local.account` lets root run them.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from bookingdb.local.account import Account, NoUnprivilegedAccount, blocking_folder, choose_account
from bookingdb.local.binaries import LocalServerError, find_binaries, major_version, server_environment
from bookingdb.local.machine import (
    children,
    find_free_port,
    is_free,
    is_server,
    last_lines,
    remove_sockets,
    write_private,
)

DEFAULT_PORT = 5544
DATABASE = "bookingdb"
SUPERUSER = "postgres"
START_TIMEOUT = 60.0
"""Seconds; recovery after a crash may take a while."""
STOP_TIMEOUT = 30.0
"""Seconds for a clean stop before connections are cut without one."""
# A unix socket's path has room for 107 bytes on Linux and 103 on macOS.
LONGEST_SOCKET_PATH = 103


@dataclass(frozen=True)
class Status:
    """The state of a local server.

    When it does not run, `pid` and `socket_dir` are None and `port` is the one it had before, if any.
    """

    running: bool
    data_dir: Path
    pid: int | None
    port: int | None
    socket_dir: Path | None


class _PidFile(NamedTuple):
    pid: int
    port: int | None
    socket_dir: str | None
    ready: bool


class _State(NamedTuple):
    """The content of state.json. `socket_dir` is None where it is run/."""

    port: int | None = None
    socket_dir: str | None = None


class _PortTaken(Exception):
    pass


def default_data_dir() -> Path:
    """The folder of the default local server: under ``$XDG_DATA_HOME``, else under ``~/.local/share``.

    Example: ``default_data_dir()`` is ``Path("/home/ann/.local/share/bookingdb/postgres")``
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    home = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return home / "bookingdb" / "postgres"


class LocalServer:
    """A Postgres server with its data in a folder of its own, on 127.0.0.1 and a unix socket.

    Example::

        server = LocalServer()
        server.start()
        psycopg.connect(server.url())
        server.stop()
    """

    def __init__(self, data_dir: Path | None = None, *, bin_dir: Path | None = None) -> None:
        """`data_dir`: default `default_data_dir()`. `bin_dir`: the binaries to use, default `find_binaries()`."""
        self.data_dir = (data_dir or default_data_dir()).expanduser().absolute()
        self.pgdata = self.data_dir / "pgdata"
        self.log = self.data_dir / "server.log"
        self.password_file = self.data_dir / "password"
        self.passfile = self.data_dir / "pgpass"
        self._state_file = self.data_dir / "state.json"
        self._bin_dir = bin_dir

    def start(self, port: int | None = None) -> bool:
        """Start the server and wait until it answers; False when it ran already.

        `port`: a fixed TCP port, 0 for a free one; by default the port it had before, at first 5544, and a
        free one when that is taken. Raises `LocalServerError`.
        """
        with self._locked():
            return self._start(port)

    def stop(self) -> bool:
        """Stop the server cleanly and wait until it is gone; False when it did not run.

        Open transactions roll back. Raises `LocalServerError`.
        """
        if not self.data_dir.exists():
            return False
        with self._locked():
            return self._stop()

    def reset(self) -> None:
        """Throw all data away and start again, empty, with the same port and password.

        Raises `LocalServerError`.
        """
        with self._locked():
            if self.pgdata.exists() and not (self.pgdata / "PG_VERSION").exists():
                raise LocalServerError(f"{self.pgdata} is no database cluster; nothing was deleted")
            self._stop()
            if self.pgdata.exists():
                # Renamed first: killed half-way, no half-deleted cluster is taken for a whole one.
                self.pgdata.rename(self.data_dir / "pgdata.discarded")
                shutil.rmtree(self.data_dir / "pgdata.discarded")
            self._start(None)

    def status(self) -> Status:
        """Tell whether the server runs, and where. Raises `LocalServerError` when the folder is another user's."""
        running = self._running()
        if running is None:
            return Status(False, self.data_dir, None, self._remembered().port, None)
        socket_dir = Path(running.socket_dir) if running.socket_dir else None
        return Status(True, self.data_dir, running.pid, running.port, socket_dir)

    def url(self, *, with_password: bool = True) -> str:
        """The URL of the running server's database, with the password or with the name of a file that has it.

        The second may stand on a command line, which everybody on this machine can read; libpq reads the file.

        Raises `LocalServerError` when it does not run.

        Example: ``"postgresql://postgres:w7Yk…@127.0.0.1:5544/bookingdb"``
        """
        status = self.status()
        if not status.running or status.port is None:
            raise LocalServerError("the local server does not run; start it with `bookingdb local start`")
        place = f"127.0.0.1:{status.port}/{DATABASE}"
        if with_password:
            return f"postgresql://{SUPERUSER}:{self._password()}@{place}"
        written = self.passfile.with_name(f"pgpass.{os.getpid()}")
        # The port may be another one after the next start.
        write_private(written, f"127.0.0.1:*:*:{SUPERUSER}:{self._password()}")
        written.replace(self.passfile)
        return f"postgresql://{SUPERUSER}@{place}?passfile={quote(str(self.passfile), safe='/')}"

    # --- starting and stopping; the lock is held ---

    def _start(self, port: int | None) -> bool:
        if self._answers(port):
            return False
        self._clean_up()
        account = self._account()
        if not self.pgdata.exists():
            self._make_cluster(account)
        account.take(str(self.pgdata))
        if self.log.exists():
            self.log.replace(self.log.with_name("server.log.previous"))
        socket_dir = self._make_socket_dir(account)
        for candidate in self._ports(port):
            try:
                self._launch(account, candidate, socket_dir)
            except _PortTaken:
                continue
            self._remember(self._remembered()._replace(port=candidate))
            self._ensure_database()
            return True
        raise LocalServerError(f"port {port} is taken; free it, or start with --port 0 for a free one")

    def _answers(self, port: int | None) -> bool:
        """Tell whether a server runs already, and answers. Raises where it does so on another port than asked for."""
        running = self._running()
        if running is None:
            return False
        try:
            running = self._wait_until_ready(child=None)
            self._ensure_database()
        except LocalServerError:
            # One that was just killed may look alive for a moment.
            if self._wait_until_gone(running.pid, 0.5):
                return False
            raise
        if port and port != running.port:
            raise LocalServerError(f"the server already runs, on port {running.port}, not {port}; stop it first")
        return True

    def _stop(self) -> bool:
        running = self._running()
        if running is None:
            self._clean_up()
            return False
        try:
            os.kill(running.pid, signal.SIGINT)  # Postgres's fast shutdown
            if not self._wait_until_gone(running.pid, STOP_TIMEOUT):
                os.kill(running.pid, signal.SIGQUIT)  # the immediate one: the next start recovers
                if not self._wait_until_gone(running.pid, 10):
                    raise LocalServerError(f"process {running.pid}, the server, does not stop; see {self.log}")
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise LocalServerError(f"process {running.pid}, the server, is another user's") from error
        self._clean_up()
        return True

    def _account(self) -> Account:
        version_file = self.pgdata / "PG_VERSION"
        major = int(version_file.read_text()) if version_file.exists() else None
        try:
            account = choose_account(str(self._bin_dir or find_binaries(major)), str(self.data_dir / "binaries"))
        except NoUnprivilegedAccount as error:
            raise LocalServerError(str(error)) from error
        if account.mode == "nobody" and (folder := blocking_folder(str(self.data_dir))) is not None:
            raise LocalServerError(
                f"as root, Postgres runs as the user nobody here, who may not enter {folder}: "
                "choose a --data-dir that everybody may enter, such as /var/lib/bookingdb"
            )
        return account

    def _make_cluster(self, account: Account) -> None:
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_urlsafe(24))
        # A name of its own: the initdb of a command that was killed may still be writing to the last one.
        unfinished = Path(tempfile.mkdtemp(prefix="pgdata.unfinished-", dir=self.data_dir))
        account.take(str(unfinished))
        # initdb may run as nobody, and the password file is for its owner alone.
        for_initdb = self.data_dir / "password.initdb"
        write_private(for_initdb, self._password())
        account.take(str(for_initdb))
        options = [f"--pgdata={unfinished}", f"--username={SUPERUSER}", f"--pwfile={for_initdb}"]
        options += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
        if major_version(Path(account.bin_dir)) >= 17:
            # Upper and lower case of all letters, alike on every system.
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        made = subprocess.run(
            account.command("initdb", *options),
            cwd="/",
            env=server_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        for_initdb.unlink()
        if made.returncode != 0:
            raise LocalServerError("initdb failed" + last_lines(made.stderr))
        # Only a finished cluster gets the name: killed before, the next start begins anew.
        unfinished.rename(self.pgdata)

    def _launch(self, account: Account, port: int, socket_dir: Path) -> None:
        # Postgres splits the option at commas, unless it is quoted.
        quoted = '"{}"'.format(str(socket_dir).replace('"', '""'))
        options = ["-D", str(self.pgdata), "-p", str(port), "-k", quoted, "-c", "listen_addresses=127.0.0.1"]
        command = account.command("postgres", *options)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with self.log.open("wb") as log:
                os.fchmod(log.fileno(), 0o600)
                # A session of its own: the Ctrl-C of the terminal it was started from is not for it.
                child = subprocess.Popen(
                    command,
                    cwd="/",
                    env=server_environment(),
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            children.append(child)
            try:
                self._wait_until_ready(child)
            except LocalServerError:
                text = self.log.read_text(errors="replace")
                if "Address already in use" in text:
                    raise _PortTaken from None
                # After a SIGKILL of the server its last workers still have to notice.
                if "pre-existing shared memory block" not in text or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            except BaseException:
                child.send_signal(signal.SIGQUIT)
                child.wait()
                raise
            else:
                return

    def _wait_until_ready(self, child: "subprocess.Popen[bytes] | None") -> _PidFile:
        """Wait until the server says that it accepts connections. `child` is None when it is not our own."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            # Asked before the pid file is read: what a server wrote just before it ended does not count.
            ended = child is not None and child.poll() is not None
            running = self._running()
            if ended or (child is None and running is None):
                raise LocalServerError("the server did not start" + self._log_tail())
            if running is not None and running.ready and (child is None or child.pid == running.pid):
                return running
            if time.monotonic() > deadline:
                if child is not None:
                    child.send_signal(signal.SIGQUIT)
                    child.wait()
                raise LocalServerError(f"the server is not ready after {START_TIMEOUT:.0f} seconds" + self._log_tail())
            time.sleep(0.01)

    def _wait_until_gone(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while is_server(pid, self.pgdata):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _ensure_database(self) -> None:
        """Create the database where it is missing; this also proves that the password opens the server."""
        import psycopg  # noqa: PLC0415 - status and stop do without a driver

        status = self.status()
        try:
            # All that libpq would otherwise take from PG* variables meant for another server.
            with psycopg.connect(
                host="127.0.0.1",
                hostaddr="127.0.0.1",
                port=status.port,
                user=SUPERUSER,
                password=self._password(),
                dbname="postgres",
                sslmode="disable",
                options="",
                connect_timeout=10,
                autocommit=True,
            ) as connection:
                query = "select from pg_database where datname = %s"
                if connection.execute(query, (DATABASE,)).fetchone() is None:
                    connection.execute(f"create database {DATABASE}")
        except psycopg.Error as error:
            raise LocalServerError(
                f"the server runs on port {status.port}, but the password in {self.password_file} does not "
                f"open it: {' '.join(str(error).split())}"
            ) from error

    # --- what is in the folder ---

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock, so that two commands at once do not both start, stop or reset."""
        if (self.data_dir / "PG_VERSION").exists():
            raise LocalServerError(f"{self.data_dir} is a database cluster of something else; choose another")
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LocalServerError(f"cannot use {self.data_dir}: {error.strerror}") from error
        try:
            deadline = time.monotonic() + START_TIMEOUT + STOP_TIMEOUT
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LocalServerError(
                            f"another `bookingdb local` command is at work on {self.data_dir}"
                        ) from None
                    time.sleep(0.02)
            yield
        finally:
            os.close(lock)

    def _running(self) -> _PidFile | None:
        """Return what postmaster.pid says, if the process it names lives and is the server of this folder."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise LocalServerError(f"{self.data_dir} belongs to another user") from error
        # Written line by line while a server starts: any of the later ones may be missing.
        lines += [""] * (8 - len(lines))
        if not re.fullmatch(r"-?\d{1,9}", lines[0]):  # a crash of the machine can leave anything
            return None
        pid = abs(int(lines[0]))
        if not is_server(pid, self.pgdata):
            return None
        port = int(lines[3]) if lines[3].isdecimal() else None
        return _PidFile(pid, port, lines[4] or None, lines[7].strip() == "ready")

    def _clean_up(self) -> None:
        """Remove what a server that is gone, or a command that was killed, left behind."""
        (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
        (self.data_dir / "password.initdb").unlink(missing_ok=True)
        for leftover in (self.data_dir / "pgdata.discarded", *self.data_dir.glob("pgdata.unfinished-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        remove_sockets(self.data_dir / "run")
        remembered = self._remembered()
        if remembered.socket_dir is not None:
            remove_sockets(Path(remembered.socket_dir))
            self._remember(remembered._replace(socket_dir=None))

    def _make_socket_dir(self, account: Account) -> Path:
        folder = self.data_dir / "run"
        if len(os.fsencode(folder / ".s.PGSQL.65535")) <= LONGEST_SOCKET_PATH:
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            temporary = tempfile.gettempdir()
            if len(os.fsencode(temporary)) > LONGEST_SOCKET_PATH - 40:
                temporary = "/tmp"
            folder = Path(tempfile.mkdtemp(prefix="bookingdb-", dir=temporary))
            self._remember(self._remembered()._replace(socket_dir=str(folder)))
        account.take(str(folder))
        return folder

    def _ports(self, requested: int | None) -> Iterator[int]:
        if requested:
            yield requested
            return
        if requested is None:
            preferred = self._remembered().port or DEFAULT_PORT
            if is_free(preferred):
                yield preferred
        for _ in range(10):  # another program may be quicker to take a free one
            yield find_free_port()

    def _password(self) -> str:
        try:
            return self.password_file.read_text().strip()
        except OSError as error:
            raise LocalServerError(f"cannot read {self.password_file}: {error.strerror}") from error

    def _remembered(self) -> _State:
        try:
            return _State(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            return _State()
        except (ValueError, TypeError) as error:
            raise LocalServerError(f"{self._state_file} is damaged; remove it") from error

    def _remember(self, state: _State) -> None:
        written = self._state_file.with_name("state.json.new")
        written.write_text(json.dumps(state._asdict()) + "\n")
        written.replace(self._state_file)

    def _log_tail(self) -> str:
        return last_lines(self.log.read_text(errors="replace")) if self.log.exists() else ""
