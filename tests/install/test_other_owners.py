"""Everything of ours belongs to one role, also where somebody else may create in the same schemas."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.install import installer
from bookingdb.install.export import sql_script
from bookingdb.install.session import InstallError
from tests.support import Connection, World, connect, run
from tests.support.commands import bookingdb
from tests.support.interleaving import holding, session_of, started
from tests.support.upgrade import VERSIONS

# A function that the first version did not have, as the later ones make it.
PLANTED = "create function public.release_hold(p_hold_id uuid) returns void language plpgsql as 'begin end'"
OVERLOAD = PLANTED.replace("p_hold_id uuid", "p_hold_id uuid, p text default null")


def by_migrate(connection: Connection) -> None:
    installer.migrate(connection)


def by_dry_run(connection: Connection) -> None:
    installer.migrate(connection, dry_run=True)


def by_script(connection: Connection) -> None:
    run(connection, sql_script())


@pytest.fixture(params=["postgres", "owner"])
def earlier(request: pytest.FixtureRequest, empty_database: str) -> World:
    """A database of an earlier version, whose owner is a superuser or not; a stranger may create in public."""
    with connect(empty_database) as superuser:
        run(superuser, f"alter database {superuser.info.dbname} owner to {request.param}")
        run(superuser, "grant create on schema public to stranger")
    url = make_conninfo(empty_database, user=request.param)
    connection = connect(url)
    run(connection, VERSIONS[min(VERSIONS)])
    return World(url, connection)


@pytest.mark.slow
@pytest.mark.parametrize("way", [by_migrate, by_dry_run, by_script])
def test_upgrade_refuses_a_function_of_somebody_else(earlier: World, way: Callable[[Connection], None]) -> None:
    with earlier.connect(user="stranger") as stranger:
        run(stranger, PLANTED)
    before = earlier.run("select p.proname, p.xmin::text from pg_proc as p order by 1, 2")
    with pytest.raises((InstallError, psycopg.errors.RaiseException)) as refused:
        way(earlier.connection)
    assert "function public.release_hold(uuid) (of stranger)" in str(refused.value)
    assert earlier.run("select p.proname, p.xmin::text from pg_proc as p order by 1, 2") == before
    with earlier.connect(user="postgres") as superuser:
        run(superuser, "drop function public.release_hold")
    way(earlier.connection)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (OVERLOAD, "function public.release_hold(uuid,text)"),
        ("create function bookingdb.extra() returns void language sql as ''", "function bookingdb.extra()"),
        ("create table bookingdb.extra (id integer)", "table bookingdb.extra"),
        ("create view bookingdb.extra as select 1 as id", "view bookingdb.extra"),
        ("create sequence bookingdb.extra", "sequence bookingdb.extra"),
        ("create type bookingdb.extra as enum ('a')", "type bookingdb.extra"),
        ("create type bookingdb.extra as (a integer)", "type bookingdb.extra"),
        ("create domain bookingdb.extra as text", "type bookingdb.extra"),
    ],
)
def test_migrate_names_what_is_not_the_owners(world: World, statement: str, name: str) -> None:
    world.run("grant create, usage on schema public, bookingdb to stranger")
    with world.connect(user="stranger") as stranger:
        run(stranger, statement)
    for is_dry in (True, False):
        with pytest.raises(InstallError, match="owner owns what bookingdb has here, but not") as refused:
            installer.migrate(world.connection, reapply=True, dry_run=is_dry)
        assert f"{name} (of stranger)" in str(refused.value)


def test_public_table_of_somebody_else_is_named(world: World) -> None:
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "alter table public.users owner to stranger")
    with pytest.raises(InstallError, match=r"table public\.users \(of stranger\)"):
        installer.migrate(world.connection, reapply=True, dry_run=True)


def test_overload_of_the_owners_is_refused_by_a_dry_run(world: World) -> None:
    world.run(OVERLOAD)
    with pytest.raises(InstallError, match=r"no file of this version defines: public\.release_hold\(uuid,text"):
        installer.migrate(world.connection, reapply=True, dry_run=True)


@pytest.mark.slow
@pytest.mark.parametrize("earlier", ["postgres"], indirect=True)
def test_table_made_during_an_upgrade_is_refused(earlier: World) -> None:
    with holding(earlier) as reader, session_of(earlier) as migrating, earlier.connect(user="stranger") as stranger:
        earlier.run("grant create, usage on schema bookingdb to stranger")
        run(reader, "select count(*) from public.sessions")
        migrated = started(by_migrate, migrating)
        # Long enough to look at the owners, and to wait for the table.
        time.sleep(1)
        assert not migrated.done()
        run(stranger, "create table bookingdb.extra (id integer)")
        run(reader, "commit")
        with pytest.raises(InstallError, match=re.escape("table bookingdb.extra (of stranger)")):
            migrated.result()


@pytest.mark.slow
@pytest.mark.parametrize("earlier", ["postgres"], indirect=True)
def test_superuser_is_told_of_a_function_of_somebody_else(earlier: World) -> None:
    by_migrate(earlier.connection)
    earlier.run("alter function public.release_hold owner to stranger")
    result = bookingdb(earlier.url, "status")
    assert result.exit_code == 1
    assert "postgres has more rights than stranger" in result.stderr
    assert "drop function public.release_hold(uuid)" in result.stderr
