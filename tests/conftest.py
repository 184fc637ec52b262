"""Throwaway servers and databases. One server a run; every test gets a database of its own, copied from a template."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import testing.postgresql

from bookingdb import embedded, installer
from tests.support import World, connect, run

_numbers = itertools.count(1)
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
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
    delete from bookingdb.policies where therapist_id is not null;
    update bookingdb.policies set time_zone = 'UTC' where time_zone <> 'UTC';
"""

# The roles of Supabase and its like, a server of the application's, and logins that nobody vouches for.
HOSTS_ROLES = """
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit in role anon, authenticated, service_role;
    create role bookingdb_service nologin;
    create role app_server login in role bookingdb_service, authenticated;
    create role lazy_server login noinherit in role bookingdb_service;
    create role stranger login;
    create role impostor login in role authenticated;
"""
# What older hosts have set up before anything is installed: every new object belongs to everybody.
HOSTS_DEFAULTS = """
    alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
    alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
    alter default privileges grant all on functions to anon, authenticated, service_role;
    alter default privileges grant all on tables to anon, authenticated, service_role;
"""


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    """The binaries under test; `make test-matrix` names those of other versions."""
    named = os.environ.get("BOOKINGDB_TEST_BIN")
    return Path(named) if named else embedded.binaries()


@pytest.fixture(scope="session")
def server(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.postgresql.Postgresql]:
    yield from _server(bin_dir, tmp_path_factory.mktemp("postgres"))


@pytest.fixture(scope="session")
def server_url(server: testing.postgresql.Postgresql) -> str:
    """The server's maintenance database, as superuser."""
    dsn = server.dsn()
    return f"postgresql://postgres@{dsn['host']}:{dsn['port']}/postgres"


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with bookingdb installed by an ordinary role, to be copied."""
    with connect(server_url) as connection:
        run(connection, "create role owner login")
        run(connection, "create role bookingdb_service nologin")
        run(connection, "create database template_bookingdb owner owner")
    with connect(url_of(server_url, "template_bookingdb", "owner")) as connection:
        installer.migrate(connection)
    return "template_bookingdb"


@pytest.fixture(scope="session")
def hosted_database(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with bookingdb in it as a host such as Supabase has it: HOSTS_ROLES. On a server of its own."""
    for running in _server(bin_dir, tmp_path_factory.mktemp("hosted")):
        url = psycopg.conninfo.make_conninfo(running.url(), user="postgres")
        with connect(url) as connection:
            run(connection, "create role owner login")
            run(connection, "create database hosted owner owner")
            run(connection, HOSTS_ROLES)
        with connect(url_of(url, "hosted", "owner")) as connection:
            run(connection, HOSTS_DEFAULTS)
            installer.migrate(connection)
        yield url_of(url, "hosted", "owner")


@pytest.fixture
def hosted_world(hosted_database: str) -> Iterator[World]:
    """An emptied `hosted_database`; the connection is its owner's."""
    yield from _emptied(hosted_database)


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


def url_of(server_url: str, database: str, user: str = "postgres") -> str:
    """Another database of the same server, as another user."""
    return psycopg.conninfo.make_conninfo(server_url, dbname=database, user=user)


def _server(bin_dir: Path, folder: Path) -> Iterator[testing.postgresql.Postgresql]:
    initdb, postgres = embedded.wrapper_scripts(bin_dir, folder)
    factory = testing.postgresql.PostgresqlFactory(
        cache_initialized_db=True,
        initdb=str(initdb),
        postgres=str(postgres),
        initdb_args="-U postgres -A trust --no-sync --encoding=UTF8 --locale=C",
        postgres_args="-h 127.0.0.1 " + " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
    )
    with factory() as running:
        yield running
    factory.clear_cache()


def _emptied(url: str) -> Iterator[World]:
    with connect(psycopg.conninfo.make_conninfo(url, user="postgres")) as superuser:
        run(superuser, EMPTY_THE_TABLES)
    with connect(url) as connection:
        yield World(url, connection)


def _database(server_url: str, template: str, owner: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with connect(server_url) as connection:
        run(connection, f"create database {name} template {template} owner {owner}")
        yield url_of(server_url, name, owner)
        run(connection, f"drop database {name} with (force)")
