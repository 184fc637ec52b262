"""Throwaway servers and databases. One server a worker; a test gets a database of its own, copied from a template."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
import zoneinfo
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import psycopg
import pytest
import testing.postgresql

from bookingdb.install import installer
from bookingdb.local.binaries import find_binaries, write_wrapper_scripts
from tests import throwaway
from tests.hosts import HOSTS, LOGINS, SUPABASE, SUPABASE_BEFORE, SUPABASE_LOGINS, SUPABASE_ROLES, Host
from tests.support import Connection, World, connect, run

_numbers = itertools.count(1)
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    # They may lie in memory.
    "max_wal_size": "256MB",
    "max_connections": "150",
    # Another zone than any test means, so that whoever depends on the connection's TimeZone is found out.
    "timezone": "Pacific/Chatham",
}

# As a superuser, because the triggers are in the way of everybody else.
EMPTY_THE_TABLES = """
    set session_replication_role = replica;
    delete from public.users;
    delete from public.sessions;
    delete from public.user_credits;
    delete from public.booking_audit_log;
    delete from bookingdb.calendar;
    delete from bookingdb.ledger;
    delete from bookingdb.outbox;
    delete from bookingdb.idempotency_keys;
    delete from bookingdb.holds;
    delete from bookingdb.rewritten_records;
    delete from bookingdb.adoption;
    delete from bookingdb.overlapping_sessions;
    delete from bookingdb.weekly_hours;
    delete from bookingdb.date_overrides;
    delete from bookingdb.policies where therapist_id is not null;
    update bookingdb.policies set time_zone = 'UTC', minimum_duration_minutes = 15, maximum_duration_minutes = 180,
        cancellation_window = '24 hours', refund_grace = '30 days', hold_lifetime = '5 minutes',
        buffer_before_minutes = 0, buffer_after_minutes = 0, minimum_notice = '0', maximum_advance = '365 days',
        slot_step_minutes = 15, slot_offset_minutes = 0, maximum_sessions_per_day = 1000,
        maximum_sessions_per_week = 1000, require_hours = false;
"""


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    """The binaries under test; `make test-matrix` names those of other versions."""
    named = os.environ.get("BOOKINGDB_TEST_BIN")
    return Path(named) if named else find_binaries()


@pytest.fixture(scope="session")
def server(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.postgresql.Postgresql]:
    yield from _server(bin_dir, tmp_path_factory.mktemp("postgres"))


@pytest.fixture(scope="session")
def server_url(server: testing.postgresql.Postgresql) -> str:
    """The server's maintenance database, as superuser."""
    dsn = server.dsn()
    url = f"postgresql://postgres@{dsn['host']}:{dsn['port']}/postgres"
    with connect(url) as connection:
        run(connection, "create role owner login")
        # The owner may not create roles; on a Supabase project the installation makes this one.
        run(connection, "create role bookingdb_service nologin")
    return url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with bookingdb installed by an ordinary role, to be copied."""
    with connect(server_url) as connection:
        run(connection, "create database template_bookingdb owner owner")
    with connect(url_of(server_url, "template_bookingdb", "owner")) as connection:
        installer.migrate(connection)
    return "template_bookingdb"


@pytest.fixture(scope="session")
def supabase_server_url(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as Supabase sets it up: its maintenance database, as the superuser supabase_admin."""
    for running in _server(bin_dir, tmp_path_factory.mktemp("supabase")):
        url = psycopg.conninfo.make_conninfo(running.url(), user="postgres", dbname="postgres")
        with connect(url) as connection:
            run(connection, f"create role {SUPABASE.superuser} superuser login")
        url = psycopg.conninfo.make_conninfo(url, user=SUPABASE.superuser)
        with connect(url) as connection:
            # The role that made the server cannot stop being a superuser, but it can get out of the way.
            run(connection, "alter role postgres rename to bootstrap")
            run(connection, SUPABASE_ROLES)
        yield url


# For tests of what only Supabase has.
on_supabase = pytest.mark.parametrize(
    "host", [SUPABASE, SUPABASE_BEFORE], indirect=True, scope="session", ids=lambda host: host.name
)


@pytest.fixture(scope="session", params=HOSTS, ids=lambda host: host.name)
def host(request: pytest.FixtureRequest) -> Host:
    """Each kind of place where bookingdb is installed."""
    return cast(Host, request.param)


@pytest.fixture(scope="session", params=[SUPABASE, SUPABASE_BEFORE], ids=lambda host: host.name)
def supabase_host(request: pytest.FixtureRequest) -> Host:
    """Supabase, as it is and as it was."""
    return cast(Host, request.param)


@pytest.fixture(scope="session")
def hosted_database(host: Host, request: pytest.FixtureRequest) -> str:
    """A database of each host with bookingdb in it, for all tests of the run; and LOGINS on its server."""
    return _installed(host, request.getfixturevalue(_server_of(host)))


@pytest.fixture
def hosted_world(hosted_database: str, host: Host) -> Iterator[World]:
    """An emptied `hosted_database`; the connection is its owner's."""
    yield from _emptied(hosted_database, host.superuser)


@pytest.fixture
def hosts_empty_database(host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database of each host, as the host makes it and with nothing of ours in it; the URL is its owner's."""
    yield from _hosts_database(host, request.getfixturevalue(_server_of(host)))


@pytest.fixture
def supabase_empty_database(supabase_host: Host, supabase_server_url: str) -> Iterator[str]:
    """A new Supabase project, as it is and as it was, with nothing of ours in it; the URL is that of its postgres."""
    yield from _hosts_database(supabase_host, supabase_server_url)


@pytest.fixture
def supabase_world(supabase_server_url: str) -> Iterator[World]:
    """A Supabase project of its own with bookingdb and LOGINS; the connection is of its role postgres."""
    template = psycopg.conninfo.conninfo_to_dict(_installed(SUPABASE, supabase_server_url, "template"))["dbname"]
    for url in _hosts_database(SUPABASE, supabase_server_url, str(template)):
        with connect(url) as connection:
            yield World(url, connection, SUPABASE.superuser)


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """A new database with nothing in it, owned by the role postgres (a superuser)."""
    yield from _database(server_url, "template1", "postgres")


@pytest.fixture
def owned_database(server_url: str, template: str) -> Iterator[str]:
    """A new database with nothing in it, owned by an ordinary role that is no superuser."""
    yield from _database(server_url, "template1", "owner")


@pytest.fixture
def world(server_url: str, template: str) -> Iterator[World]:
    """A new database with bookingdb in it; the connection is its owner's."""
    for url in _database(server_url, template, "owner"):
        with connect(url) as connection:
            yield World(url, connection)


@pytest.fixture(scope="session")
def shared_database(server_url: str, template: str) -> Iterator[str]:
    """A database with bookingdb in it for all tests of the run; `clean_world` is the way to it."""
    yield from _database(server_url, template, "owner")


@pytest.fixture
def clean_world(shared_database: str) -> Iterator[World]:
    """Like `world`, but much faster to make: for tests that write rows and change nothing else."""
    yield from _emptied(shared_database)


@pytest.fixture(scope="module")
def same_time_zone_data(bin_dir: Path) -> Iterator[None]:
    """Let Python read the time zone files that the server reads, so that only the arithmetic can differ."""
    printed = subprocess.run([bin_dir / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
    folders = [Path(printed.stdout.strip() or "/"), bin_dir.parent / "share", bin_dir.parent / "share" / "postgresql"]
    shipped = [folder / "timezone" for folder in folders if (folder / "timezone").is_dir()]
    if shipped:
        zoneinfo.reset_tzpath(to=[shipped[0]])
        ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


def url_of(server_url: str, database: str, user: str = "postgres") -> str:
    """Another database of the same server, as another user."""
    return psycopg.conninfo.make_conninfo(server_url, dbname=database, user=user)


def _server(bin_dir: Path, scripts: Path) -> Iterator[testing.postgresql.Postgresql]:
    initdb, postgres = write_wrapper_scripts(bin_dir, scripts)
    with (
        throwaway.folder() as folder,
        testing.postgresql.Postgresql(
            base_dir=str(folder),
            initdb=str(initdb),
            postgres=str(postgres),
            initdb_args="-U postgres -A trust --no-sync --encoding=UTF8 --locale=C",
            postgres_args="-h 127.0.0.1 " + " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
        ) as running,
    ):
        yield running


def _server_of(host: Host) -> str:
    """The fixture that has the server of a host."""
    return "supabase_server_url" if host.is_supabase else "server_url"


@cache
def _installed(host: Host, server_url: str, name: str = "hosted") -> str:
    """The URL of a database of a host with bookingdb in it, made the first time somebody asks."""
    url = host.create_database(server_url, f"{name}_{host.name}")
    with connect(url) as connection:
        installer.migrate(connection)
    with connect(server_url) as superuser:
        if not run(superuser, "select oid from pg_roles where rolname = 'app_server'"):
            run(superuser, LOGINS + (SUPABASE_LOGINS if host.is_supabase else ""))
    return url


def _hosts_database(host: Host, server_url: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    yield host.create_database(server_url, name, template)
    with connect(server_url) as connection:
        _drop(connection, name)


def _emptied(url: str, superuser: str = "postgres") -> Iterator[World]:
    with connect(psycopg.conninfo.make_conninfo(url, user=superuser)) as connection:
        run(connection, EMPTY_THE_TABLES)
    with connect(url) as connection:
        yield World(url, connection, superuser)


def _database(server_url: str, template: str, owner: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with connect(server_url) as connection:
        run(connection, f"create database {name} template {template} owner {owner}")
        yield url_of(server_url, name, owner)
        _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    """Drop a database without the tenth of a second that Postgres sleeps for while it finds somebody in it."""
    inside = "from pg_stat_activity where datname = %s"
    run(connection, f"select pg_terminate_backend(pid) {inside}", name)
    deadline = time.monotonic() + 1
    while run(connection, f"select pid {inside}", name) and time.monotonic() < deadline:
        time.sleep(0.002)
    run(connection, f"drop database {name} with (force)")
