"""Throwaway servers and the databases on them, of which the fixtures of tests/conftest.py are made."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import testing.postgresql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from bookingdb.install import installer
from bookingdb.install.trust import trust
from bookingdb.local.binaries import write_wrapper_scripts
from bookingdb.policy import SETTINGS
from bookingdb.queries import literal
from tests.support import Connection, World, connect, run, throwaway
from tests.support.hosts import SUPABASE, SUPABASE_BEFORE, Host

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
EMPTY_THE_TABLES = f"""
    set session_replication_role = replica;
    delete from public.users;
    delete from public.sessions;
    delete from public.user_credits;
    delete from public.booking_audit_log;
    delete from bookingdb.absences;
    delete from bookingdb.calendar;
    delete from bookingdb.ledger;
    delete from bookingdb.outbox;
    delete from bookingdb.payments;
    delete from bookingdb.idempotency_keys;
    delete from bookingdb.holds;
    delete from bookingdb.former_therapists;
    delete from bookingdb.refusals;
    delete from bookingdb.merged_people;
    delete from bookingdb.therapist_clients;
    delete from bookingdb.texts;
    delete from bookingdb.erasures;
    delete from bookingdb.rewritten_records;
    delete from bookingdb.acknowledgements;
    delete from bookingdb.adoption;
    delete from bookingdb.overlapping_sessions;
    delete from bookingdb.weekly_hours;
    delete from bookingdb.therapists_with_hours;
    delete from bookingdb.date_overrides;
    delete from bookingdb.packages;
    delete from bookingdb.deliveries;
    delete from bookingdb.destinations;
    delete from bookingdb.contacts;
    delete from bookingdb.calendar_feeds;
    delete from bookingdb.expiry_notices;
    delete from bookingdb.reminder_rules;
    insert into bookingdb.reminder_rules (name, before, audience, channel)
    select r.name, r.before, array['client'], 'email'
    from (values ('day', interval '24 hours'), ('hour', interval '1 hour')) as r (name, before);
    delete from bookingdb.policies where therapist_id is not null;
    update bookingdb.policies set {", ".join(f"{setting.name} = {literal(setting.default)}" for setting in SETTINGS)};
    select bookingdb.write_rules(null);
"""
# For tests of what only Supabase has.
on_supabase = pytest.mark.parametrize(
    "host", [SUPABASE, SUPABASE_BEFORE], indirect=True, scope="session", ids=lambda host: host.name
)
# For tests that need users who log in, where the hosts do not differ.
on_todays_supabase = pytest.mark.parametrize("host", [SUPABASE], indirect=True, scope="session")


def url_of(server_url: str, database: str, user: str = "postgres") -> str:
    """Another database of the same server, as another user."""
    return psycopg.conninfo.make_conninfo(server_url, dbname=database, user=user)


def serve(bin_dir: Path, scripts: Path) -> Iterator[testing.postgresql.Postgresql]:
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


def server_fixture(host: Host) -> str:
    """The fixture that has the server of a host."""
    return "supabase_server_url" if host.is_supabase else "server_url"


@cache
def installed_database(host: Host, server_url: str, name: str = "hosted") -> str:
    """The URL of a database of a host with bookingdb in it, made the first time somebody asks."""
    url = host.create_database(server_url, f"{name}_{host.name}")
    with connect(url) as connection:
        installer.migrate(connection)
        trust(connection, "app_servers")
    return url


def hosts_database(host: Host, server_url: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    yield host.create_database(server_url, name, template)
    with connect(server_url) as connection:
        _drop(connection, name)


# By URL. A new session compiles every function anew, which takes longer than most tests.
_kept: dict[str, Connection] = {}


def _take(url: str) -> Connection:
    """Take the connection that was kept, for nobody else meanwhile, or open one."""
    kept = _kept.pop(url, None)
    return kept if kept is not None and _is_as_new(kept) else connect(url)


def _is_as_new(connection: Connection) -> bool:
    """Whether a connection is as if it had just been opened, its session's settings and locks included."""
    new = (True, None, tuple_row)
    if (
        connection.info.transaction_status != TransactionStatus.IDLE
        or (connection.autocommit, connection.prepare_threshold, connection.row_factory) != new
        or connection.cursor_factory is not psycopg.Cursor
    ):
        connection.close()
        return False
    try:
        run(connection, "discard all")
    except psycopg.Error:
        connection.close()
        return False
    return True


def _keep(url: str, connection: Connection) -> None:
    """Keep a connection for the next who asks, as a pool does."""
    if not connection.closed and url not in _kept:
        _kept[url] = connection
    else:
        connection.close()


def emptied_world(url: str, superuser: str = "postgres") -> Iterator[World]:
    as_superuser = psycopg.conninfo.make_conninfo(url, user=superuser)
    emptying = _take(as_superuser)
    run(emptying, EMPTY_THE_TABLES)
    _keep(as_superuser, emptying)
    connection = _take(url)
    yield World(url, connection, superuser)
    _keep(url, connection)


def new_database(server_url: str, template: str, owner: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with connect(server_url) as connection:
        run(connection, f"create database {name} template {template} owner {owner} strategy file_copy")
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
