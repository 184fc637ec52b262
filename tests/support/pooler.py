"""A pgbouncer in transaction mode in front of a throwaway server, and what clients leave on its connections to it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb.local.account import Account, choose_account
from tests.support import Connection, connect, run, scalar

POOL_SIZE = 4
_ADMINISTRATOR = "pooler_administrator"

# In turn, and not always the one that was free last, so that no client gets its last connection back by luck; and
# nobody waits for ever in a test. All else that decides what clients can do is as pgbouncer comes: it ignores no
# startup parameter, and runs nothing between two clients.
_CONFIGURATION = f"""
[databases]
* = host=%(host)s port=%(port)s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %(listen_port)s
unix_socket_dir =
auth_type = trust
auth_file = %(users)s
admin_users = {_ADMINISTRATOR}
pool_mode = transaction
default_pool_size = {POOL_SIZE}
max_client_conn = 200
server_round_robin = 1
query_timeout = 20
query_wait_timeout = 30
"""

# What a client could leave behind for the next one. The name of the application is missing: the pooler itself sets it
# for each client. Settings that no extension declares are listed nowhere, so they are asked for by name.
_STATE = """
    select 'setting', s.name, s.setting from pg_settings as s where s.name <> 'application_name'
    union all
    select 'setting', u.name, coalesce(current_setting(u.name, true), '')
    from unnest(array[
        'role', 'session_authorization', 'request.jwt.claims', 'request.jwt.claim', 'request.jwt.claim.sub',
        'request.jwt.claim.role', 'request.jwt.claim.email', 'bookingdb.acting_as'
    ]) as u (name)
    union all
    select 'effective', 'user', current_user::text
    union all
    select 'prepared statement', p.name, p.statement from pg_prepared_statements as p
    union all
    select 'cursor', c.name, c.statement from pg_cursors as c where c.name <> ''
    union all
    select 'channel', c.name, 'listened to' from pg_listening_channels() as c (name)
    union all
    select 'temporary relation', c.relname, c.relkind::text
    from pg_class as c where c.relnamespace = pg_my_temp_schema()
"""


@cache
def program() -> str | None:
    """The path of pgbouncer, or None; Debian's is in a folder that is not on an ordinary user's path."""
    return shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))


@cache
def version() -> str:
    """What pgbouncer calls itself, such as "PgBouncer 1.18.0", or that it is not there."""
    path = program()
    if path is None:
        return "pgbouncer is not installed (.ci/pgbouncer installs it)"
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


class Pooler:
    """A running pgbouncer: the way through it to a database, and what is left on its connections to the server."""

    def __init__(self, port: int, server_url: str) -> None:
        """`server_url`: the maintenance database of the server behind it, directly, as superuser."""
        self.port = port
        self.server_url = server_url

    def url(self, direct_url: str, **changes: Any) -> str:
        """The URL of the same database through the pooler; `changes` are other parameters of libpq's."""
        return make_conninfo(direct_url, host="127.0.0.1", port=self.port, **changes)

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Ask pgbouncer itself: `show servers`, `show pools` and the like."""
        url = make_conninfo(host="127.0.0.1", port=self.port, user=_ADMINISTRATOR, dbname="pgbouncer")
        # Its console knows no parameters.
        with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as console:
            cursor = console.execute(question.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextlib.contextmanager
    def all_connections(self, direct_url: str) -> Iterator[list[Connection]]:
        """Hold each connection to the server of this database and user, in a transaction that is rolled back."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(self.url(direct_url))) for _ in range(POOL_SIZE)]
            for client in clients:
                client.execute("begin")
            yield clients
            for client in clients:
                client.execute("rollback")

    def process_ids(self, direct_url: str) -> set[int]:
        """The server processes of all connections to the server of this database and user."""
        with self.all_connections(direct_url) as clients:
            return {scalar(client, "select pg_backend_pid()") for client in clients}

    def leaks(self, direct_url: str, patience: float = 3) -> list[str]:
        """Say what clients, which are all at rest, left on the connections to the server of this database.

        Locks and open transactions; and whatever is not as on a new connection without a pooler: settings, role,
        prepared statements, cursors, channels, temporary tables. `patience`: how many seconds transactions and locks
        may take to end, because the server needs a moment to notice that a client is gone.
        """
        database = str(conninfo_to_dict(direct_url)["dbname"])
        found = self._unfinished(database, patience)
        if found:
            return found  # such a connection cannot be asked for the rest
        for pool in self.ask("show pools"):
            if pool["database"] != database:
                continue
            as_user = make_conninfo(direct_url, user=pool["user"])
            with connect(as_user) as direct:
                direct.execute("begin")
                clean = _state(direct)
            with self.all_connections(as_user) as clients:
                for client in clients:
                    state = _state(client)
                    found += [
                        f"{kind} {name} of {pool['user']}: {state.get((kind, name))}, not {clean.get((kind, name))}"
                        for kind, name in sorted(state.keys() | clean.keys())
                        if state.get((kind, name)) != clean.get((kind, name))
                    ]
        return found

    def _unfinished(self, database: str, patience: float) -> list[str]:
        """Transactions and locks that do not end within `patience` seconds."""
        deadline = time.monotonic() + patience
        while True:
            with connect(self.server_url) as observer:
                found = run(
                    observer,
                    """
                    select format('%%s of %%s: %%s', a.state, a.usename, (
                        select string_agg(concat_ws(' ', l.locktype, l.mode), ', ') from pg_locks as l
                        where l.pid = a.pid
                    ))
                    from pg_stat_activity as a
                    where a.datname = %s
                        and a.backend_type = 'client backend'
                        and (a.xact_start is not null or exists (select from pg_locks as l where l.pid = a.pid))
                    """,
                    database,
                )
            if not found or time.monotonic() > deadline:
                return [text for (text,) in found]
            time.sleep(0.02)


@contextlib.contextmanager
def running(server_url: str, bin_dir: Path) -> Iterator[Pooler]:
    """Start pgbouncer in front of a server; it ends with the block, whatever happens in there.

    `server_url` is the server's maintenance database as superuser. `bin_dir` is where its Postgres is: what lets that
    run for root lets pgbouncer, too, which also refuses to be root.
    """
    account = _account(bin_dir)
    with connect(server_url) as connection:
        users = [name for (name,) in run(connection, "select rolname from pg_roles where rolcanlogin")]
        host, port = connection.info.host, connection.info.port
    with tempfile.TemporaryDirectory(prefix="bookingdb-pooler-") as name:
        folder = Path(name)
        users_file, configuration, log = folder / "users.txt", folder / "pgbouncer.ini", folder / "log"
        users_file.write_text("".join(f'"{user}" ""\n' for user in (_ADMINISTRATOR, *users)))
        for _ in range(5):  # another program may be quicker to take the free port
            pooler = Pooler(free_port(), server_url)
            values = {"host": host, "port": port, "listen_port": pooler.port, "users": users_file}
            configuration.write_text(_CONFIGURATION % values + _other_settings())
            account.take(name)
            with log.open("w") as file:
                process = subprocess.Popen(
                    account.command("pgbouncer", str(configuration)), stdin=subprocess.DEVNULL, stdout=file, stderr=file
                )
            try:
                if _answers(pooler, process):
                    yield pooler
                    return
            finally:
                # It has nothing to put in order, and its signals mean other things in other versions.
                process.kill()
                process.wait()
        raise AssertionError(f"pgbouncer does not start:\n{log.read_text()}")


@cache
def _account(bin_dir: Path) -> Account:
    path = program()
    assert path is not None
    # As in bookingdb.local.server: nobody may not enter the folders that pytest makes.
    copy_to = Path(tempfile.gettempdir()) / f"bookingdb-binaries-{secrets.token_hex(8)}"
    atexit.register(shutil.rmtree, copy_to, ignore_errors=True)
    return Account(choose_account(str(bin_dir), str(copy_to)).mode, os.path.dirname(path))


def _other_settings() -> str:
    match = re.search(r"(\d+)\.(\d+)", version())
    assert match is not None
    # Later versions keep books of prepared statements. Nothing of ours may need that.
    return "max_prepared_statements = 0\n" if (int(match[1]), int(match[2])) >= (1, 21) else ""


def _answers(pooler: Pooler, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the pooler answers; False where it ended instead."""
    deadline = time.monotonic() + 20
    while process.poll() is None:
        try:
            return bool(pooler.ask("show version"))
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "pgbouncer does not answer"
            time.sleep(0.01)
    return False


def _state(connection: Connection) -> dict[tuple[str, str], str]:
    # The settings of plpgsql are there once it has been used.
    connection.execute("do $$begin end$$")
    return {(kind, name): value for kind, name, value in run(connection, _STATE)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
