"""Throwaway servers and databases. One server a worker; a test gets a database of its own, copied from a template."""

from __future__ import annotations

import os
import subprocess
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import psycopg
import pytest
import testing.postgresql

from bookingdb.install import installer
from bookingdb.local.binaries import find_binaries
from tests.support import World, connect, run
from tests.support.databases import (
    emptied_world,
    hosts_database,
    installed_database,
    new_database,
    serve,
    server_fixture,
    url_of,
)
from tests.support.hosts import HOSTS, LOGINS, SUPABASE, SUPABASE_BEFORE, SUPABASE_LOGINS, SUPABASE_ROLES, Host
from tests.support.installation import adopt_nothing
from tests.support.zone_files import ZoneFiles, ZonesWorld, with_own_zone_files


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    """The binaries under test; `make test-matrix` names those of other versions."""
    named = os.environ.get("BOOKINGDB_TEST_BIN")
    return Path(named) if named else find_binaries()


@pytest.fixture(scope="session")
def server(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.postgresql.Postgresql]:
    yield from serve(bin_dir, tmp_path_factory.mktemp("postgres"))


@pytest.fixture(scope="session")
def server_url(server: testing.postgresql.Postgresql) -> str:
    """The server's maintenance database, as superuser."""
    dsn = server.dsn()
    url = f"postgresql://postgres@{dsn['host']}:{dsn['port']}/postgres"
    with connect(url) as connection:
        run(connection, "create role owner login")
        run(connection, LOGINS)
    return url


@pytest.fixture
def bare_server(bin_dir: Path, tmp_path: Path) -> Iterator[str]:
    """A server of its own without any role but the superuser."""
    for server in serve(bin_dir, tmp_path):
        yield psycopg.conninfo.make_conninfo(server.url(), user="postgres")


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
    for running in serve(bin_dir, tmp_path_factory.mktemp("supabase")):
        url = psycopg.conninfo.make_conninfo(running.url(), user="postgres", dbname="postgres")
        with connect(url) as connection:
            run(connection, f"create role {SUPABASE.superuser} superuser login")
        url = psycopg.conninfo.make_conninfo(url, user=SUPABASE.superuser)
        with connect(url) as connection:
            # The role that made the server cannot stop being a superuser, but it can get out of the way.
            run(connection, "alter role postgres rename to bootstrap")
            run(connection, SUPABASE_ROLES + LOGINS + SUPABASE_LOGINS)
        yield url


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
    """A database of each host with bookingdb in it, for all tests of the run."""
    return installed_database(host, request.getfixturevalue(server_fixture(host)))


@pytest.fixture
def hosted_world(hosted_database: str, host: Host) -> Iterator[World]:
    """An emptied `hosted_database`; the connection is its owner's."""
    yield from emptied_world(hosted_database, host.superuser)


@pytest.fixture
def hosts_empty_database(host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database of each host, as the host makes it and with nothing of ours in it; the URL is its owner's."""
    yield from hosts_database(host, request.getfixturevalue(server_fixture(host)))


@pytest.fixture
def supabase_empty_database(supabase_host: Host, supabase_server_url: str) -> Iterator[str]:
    """A new Supabase project, as it is and as it was, with nothing of ours in it; the URL is that of its postgres."""
    yield from hosts_database(supabase_host, supabase_server_url)


@pytest.fixture
def supabase_world(supabase_server_url: str) -> Iterator[World]:
    """A Supabase project of its own with bookingdb and LOGINS; the connection is of its role postgres."""
    template = psycopg.conninfo.conninfo_to_dict(installed_database(SUPABASE, supabase_server_url, "template"))[
        "dbname"
    ]
    for url in hosts_database(SUPABASE, supabase_server_url, str(template)):
        with connect(url) as connection:
            yield World(url, connection, SUPABASE.superuser)


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """A new database with nothing in it, owned by the role postgres (a superuser)."""
    yield from new_database(server_url, "template1", "postgres")


@pytest.fixture
def owned_database(server_url: str, template: str) -> Iterator[str]:
    """A new database with nothing in it, owned by an ordinary role that is no superuser."""
    yield from new_database(server_url, "template1", "owner")


@pytest.fixture(scope="session")
def adopted_template(server_url: str, template: str) -> Iterator[str]:
    """The name of a database like `template`, with the functions that only adopted databases have."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            adopt_nothing(connection)
        yield str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@pytest.fixture
def adopted_world(server_url: str, adopted_template: str) -> Iterator[World]:
    """Like `world`, with the functions that only adopted databases have."""
    for url in new_database(server_url, adopted_template, "owner"):
        with connect(url) as connection:
            yield World(url, connection)


@pytest.fixture
def world(server_url: str, template: str) -> Iterator[World]:
    """A new database with bookingdb in it; the connection is its owner's."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            yield World(url, connection)


@pytest.fixture(scope="session")
def shared_database(server_url: str, template: str) -> Iterator[str]:
    """A database with bookingdb in it for all tests of the run; `clean_world` is the way to it."""
    yield from new_database(server_url, template, "owner")


@pytest.fixture
def clean_world(shared_database: str) -> Iterator[World]:
    """Like `world`, but much faster to make: for tests that write rows and change nothing else."""
    yield from emptied_world(shared_database)


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


@pytest.fixture(scope="session")
def zones_server(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ZoneFiles]]:
    """A server with zone files of its own, and on it a template with bookingdb: its maintenance database, the files."""
    with with_own_zone_files(bin_dir) as (own_bin_dir, files):
        for running in serve(own_bin_dir, tmp_path_factory.mktemp("zones")):
            url = f"postgresql://postgres@127.0.0.1:{running.dsn()['port']}/postgres"
            with connect(url) as connection:
                run(connection, "create role owner login")
                run(connection, "create database zones_template owner owner")
            with connect(url_of(url, "zones_template", "owner")) as connection:
                installer.migrate(connection)
            yield url, files


@pytest.fixture
def zones_world(zones_server: tuple[str, ZoneFiles]) -> Iterator[ZonesWorld]:
    """A new database with bookingdb, on a server whose zone files the test may change; they are put back after it."""
    server_url, files = zones_server
    for url in new_database(server_url, "zones_template", "owner"):
        world = ZonesWorld(url, connect(url), files=files)
        try:
            yield world
        finally:
            world.connection.close()
            files.restore()
