"""`migrate`: everything or nothing, once, whoever else is at it, and nothing that is right already is touched."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import verify
from bookingdb.install import installer, script, source
from bookingdb.install.installer import Applied, migrate
from bookingdb.install.session import INSTALL_LOCK, InstallError
from bookingdb.install.source import SourceError
from tests.support import Connection, World, connect, run, scalar
from tests.support.databases import url_of
from tests.support.hosts import EVERYTHING_TO_EVERYBODY
from tests.support.installation import add_function, add_migration, contents, history

MIGRATIONS = [file.name for file in source.load().migrations]


@pytest.fixture
def owned(owned_database: str) -> Iterator[Connection]:
    """A connection of an ordinary owner to a database with nothing in it."""
    with connect(owned_database) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of sql/ to change."""
    return Path(shutil.copytree(source.folder(), tmp_path / "sql"))


# ----------------------------------------------------------------------------------------------------------------------
# Installing
# ----------------------------------------------------------------------------------------------------------------------


def test_ordinary_owner_installs_once(owned: Connection) -> None:
    assert run(owned, "select rolsuper, rolcreaterole from pg_roles where rolname = current_user") == [(False, False)]

    report = migrate(owned)

    assert (report.migrations, report.reason) == (MIGRATIONS, "first installation")
    assert verify.verify(owned) == []
    before, recorded = contents(owned), history(owned)
    assert recorded == [*(("migration", name) for name in MIGRATIONS), ("functions", "standalone")]

    assert migrate(owned) == Applied()
    assert migrate(owned, dry_run=True) == Applied()
    assert (contents(owned), history(owned)) == (before, recorded)


def test_a_dry_run_changes_nothing_and_prints_what_would_run(owned: Connection, world: World) -> None:
    before = contents(owned)

    report = migrate(owned, dry_run=True)

    assert contents(owned) == before
    assert report.migrations == MIGRATIONS
    run(owned, report.script)
    assert verify.verify(owned) == []
    assert migrate(owned).is_empty
    files = source.load()
    assert verify.snapshot(owned, files) == verify.snapshot(world.connection, files)
    assert history(owned) == history(world.connection)


def test_status_before_and_after(owned: Connection) -> None:
    before = installer.status(owned)
    assert (before.history, before.pending.reason) == ([], "first installation")
    assert [file.name for file in before.pending.migrations] == MIGRATIONS

    migrate(owned)

    after = installer.status(owned)
    assert after.pending.is_empty
    newest = after.history[0]
    assert (newest["kind"], newest["checksum"], newest["applied_by"]) == ("functions", source.load().checksum, "owner")


def test_nothing_of_the_session_is_changed(owned: Connection) -> None:
    query = "select name, setting from pg_settings where name not like 'plpgsql.%' order by 1"
    before = run(owned, query)
    migrate(owned)
    assert run(owned, query) == before
    assert run(owned, "select from pg_locks where locktype = 'advisory'") == []


def test_postgrest_is_told(owned: Connection, owned_database: str) -> None:
    with connect(owned_database) as listener:
        run(listener, "listen pgrst")
        migrate(owned, dry_run=True)
        assert list(listener.notifies(timeout=0.1)) == []
        migrate(owned)
        (notification,) = listener.notifies(timeout=5, stop_after=1)
    assert notification.payload == "reload schema"


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_settings_of_the_database_do_not_matter(owned_database: str, isolation: str) -> None:
    with connect(owned_database) as connection:
        for setting in (
            f"default_transaction_isolation = '{isolation}'",
            "default_transaction_read_only = on",
            "quote_all_identifiers = on",
            "search_path = bookingdb, public",
            "statement_timeout = 50",
        ):
            run(connection, f"alter database {connection.info.dbname} set {setting}")
    reports = at_once(owned_database, 2)
    assert sorted(report.is_empty for report in reports) == [False, True]
    with connect(owned_database) as connection:
        assert migrate(connection, reapply=True).reason == "asked for"
        assert verify.verify(connection) == []


def test_an_extension_that_is_there_already_stays_where_it_is(owned: Connection) -> None:
    run(owned, "create schema elsewhere; create extension btree_gist with schema elsewhere")
    migrate(owned)
    assert scalar(owned, "select extnamespace::regnamespace::text from pg_extension where extname = 'btree_gist'") == (
        "elsewhere"
    )
    assert verify.verify(owned) == []


# ----------------------------------------------------------------------------------------------------------------------
# Together with others
# ----------------------------------------------------------------------------------------------------------------------


def at_once(url: str, number: int) -> list[Applied]:
    """Migrate with so many connections at the same moment."""
    barrier = threading.Barrier(number)

    def one(_: int) -> Applied:
        with connect(url) as connection:
            barrier.wait()
            return migrate(connection)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


@pytest.mark.slow
def test_one_of_twenty_migrations_at_once_does_the_work(owned_database: str) -> None:
    reports = at_once(owned_database, 20)

    assert sorted(report.is_empty for report in reports) == [False] + [True] * 19
    with connect(owned_database) as connection:
        assert len(history(connection)) == len(MIGRATIONS) + 1
        assert verify.verify(connection) == []


def test_installation_waits_for_another_and_gives_up(owned: Connection, owned_database: str) -> None:
    with connect(owned_database) as other, ThreadPoolExecutor(1) as pool:
        run(other, "begin")
        run(other, "select pg_advisory_xact_lock(%s)", INSTALL_LOCK)
        before = contents(other)
        with pytest.raises(InstallError, match="another installation did not finish within 0 seconds"):
            migrate(owned, wait=0.3)
        assert contents(other) == before

        waiting = pool.submit(migrate, owned)
        # Without the lock it would be done by now.
        time.sleep(0.3)
        assert not waiting.done()
        run(other, "rollback")
        assert waiting.result(timeout=30).migrations == MIGRATIONS


class Late(psycopg.Connection[Any]):
    """A connection on which somebody else installs everything, between the first look and the lock."""

    other: Connection

    def execute(self, *arguments: Any, **options: Any) -> psycopg.Cursor[Any]:
        if "pg_try_advisory_xact_lock" in str(arguments[0]):
            migrate(self.other)
        return super().execute(*arguments, **options)


def test_migration_a_moment_too_late_finds_nothing_to_do(owned: Connection, owned_database: str) -> None:
    with Late.connect(owned_database, autocommit=True, prepare_threshold=None) as connection:
        connection.other = owned
        assert migrate(connection) == Applied()
    assert len(history(owned)) == len(MIGRATIONS) + 1


def test_migration_with_nothing_to_do_does_not_wait(world: World) -> None:
    with world.connect() as other, other.transaction():
        run(other, "select pg_advisory_xact_lock(%s)", INSTALL_LOCK)
        assert migrate(world.connection, wait=0).is_empty


class Fragile(psycopg.Connection[Any]):
    """A connection that is lost after so many statements: the server's end of it, or the client's."""

    remaining = 0
    administrator: Connection
    kills_server = True

    def execute(self, *arguments: Any, **options: Any) -> psycopg.Cursor[Any]:
        cursor = super().execute(*arguments, **options)
        self.remaining -= 1
        if self.remaining == 0:
            pid = self.info.backend_pid
            if self.kills_server:
                run(self.administrator, "select pg_terminate_backend(%s, 10000)", pid)
            else:
                self.pgconn.finish()
            while run(self.administrator, "select pid from pg_stat_activity where pid = %s", pid):
                time.sleep(0.001)
        return cursor


@pytest.mark.slow
def test_killed_anywhere_it_leaves_nothing(owned_database: str, server_url: str) -> None:
    def fragile(after: int) -> Fragile:
        connection = Fragile.connect(owned_database, autocommit=True, prepare_threshold=None)
        connection.administrator = administrator
        connection.kills_server = after % 2 == 0
        connection.remaining = after
        return connection

    with connect(server_url) as administrator, connect(owned_database) as observer:
        empty = contents(observer)
        with fragile(0) as connection:
            number = len(migrate(connection, dry_run=True).statements)
        # The last ones are those that count the installation as done; after them comes the end of the transaction.
        for after in (*range(1, 10), *range(10, number, 7), *range(number, number + 100)):
            connection = fragile(after)
            try:
                migrate(connection)
            except (InstallError, psycopg.Error):
                assert contents(observer) == empty, f"killed after statement {after}"
            else:
                connection.close()
                break
        assert connection.remaining > 0
        assert after > number
        assert verify.verify(observer) == []


# ----------------------------------------------------------------------------------------------------------------------
# What is refused, and leaves the database as it was
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("create table public.users (id integer)", "the database already has table public.users; bookingdb installs"),
        ("create view public.sessions as select 1", "the database already has table public.sessions;"),
        (
            "create function public.grant_credits() returns integer language sql return 1",
            "the database already has function public.grant_credits();",
        ),
        (
            "create schema bookingdb; create table bookingdb.calendar ()",
            "the schema bookingdb is there already and is not empty",
        ),
        (
            "create schema bookingdb; create function bookingdb.mine() returns integer language sql return 1",
            "the schema bookingdb is there already and is not empty",
        ),
    ],
)
def test_migrate_refuses_an_application_in_the_way(owned: Connection, statement: str, message: str) -> None:
    run(owned, statement)
    before = contents(owned)
    with pytest.raises(InstallError) as refusal:
        migrate(owned)
    assert message in str(refusal.value)
    assert contents(owned) == before


def test_a_schema_of_somebody_else(owned: Connection, server_url: str) -> None:
    """Who owns the schema could replace what an installation puts there."""
    with connect(url_of(server_url, owned.info.dbname)) as superuser:
        run(superuser, "create schema bookingdb authorization pg_monitor; grant usage on schema bookingdb to owner")
        before = contents(owned)
        with pytest.raises(InstallError, match="is there already and belongs to pg_monitor"):
            migrate(owned)
        with pytest.raises(InstallError, match="postgres has more rights than pg_monitor"):
            migrate(superuser)
        assert contents(owned) == before
        run(superuser, "alter schema bookingdb owner to owner")
    assert migrate(owned).migrations == MIGRATIONS


def test_a_database_that_was_dumped_and_restored_is_the_same(world: World, owned_database: str, bin_dir: Path) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    world.book(client, therapist)

    dump = subprocess.run([bin_dir / "pg_dump", "--dbname", world.url], capture_output=True, text=True, check=True)
    psql = [str(bin_dir / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", owned_database]
    subprocess.run(psql, input=dump.stdout, stdout=subprocess.DEVNULL, text=True, check=True)

    with connect(owned_database) as restored:
        assert verify.verify(restored) == []
        assert migrate(restored).is_empty
        assert World(owned_database, restored).book(client, therapist, "12:00")["credits_balance"] == 0


def test_a_changed_migration(world: World, folder: Path) -> None:
    path = folder / "migrations" / f"{MIGRATIONS[0]}.sql"
    path.write_text(path.read_text() + "\n-- a remark\n")
    changed = source.load(folder)
    for call in (migrate, installer.status, verify.verify):
        if call is verify.verify:
            (finding,) = verify.verify(world.connection, source=changed)
            assert f"sql/migrations/{path.name} was changed" in finding.problem
        else:
            with pytest.raises(InstallError, match=f"sql/migrations/{path.name} was changed after it had been applied"):
                call(world.connection, source=changed)
    assert migrate(world.connection).is_empty


def test_a_database_newer_than_the_package(world: World, folder: Path) -> None:
    add_migration(folder, "0998_later", "create table bookingdb.later ()")
    migrate(world.connection, source=source.load(folder))
    before = contents(world.connection)
    with pytest.raises(InstallError, match="newer than this package: it has migration 0998_later"):
        migrate(world.connection, reapply=True)
    assert contents(world.connection) == before


def test_a_migration_that_comes_too_late(world: World, folder: Path) -> None:
    add_migration(folder, "0998_later", "select 1")
    migrate(world.connection, source=source.load(folder))
    add_migration(folder, "0997_earlier", "select 1")
    with pytest.raises(InstallError, match="0997_earlier comes before 0998_later, which is applied: number it anew"):
        migrate(world.connection, source=source.load(folder))


def test_migrate_names_a_file_that_postgres_refuses(world: World, folder: Path) -> None:
    before = contents(world.connection)
    add_migration(folder, "0998_later", "create table bookingdb.later ()")
    path = folder / "functions" / "parameters" / "uuid_of.sql"
    path.write_text(path.read_text().replace("begin", "begn"))
    with pytest.raises(InstallError, match=r"^sql/functions/parameters/uuid_of\.sql: syntax error at or near \"begn\""):
        migrate(world.connection, source=source.load(folder))
    assert contents(world.connection) == before


@pytest.fixture
def visitor(server_url: str) -> Iterator[str]:
    """A role that owns nothing."""
    with connect(server_url) as administrator:
        run(administrator, "create role visitor login")
        yield "visitor"
        run(administrator, "drop role visitor")


def test_migrate_refuses_a_role_that_may_not_install(owned_database: str, visitor: str) -> None:
    message = r"0001_core\.sql: permission denied for database \w+; install as the owner of the database"
    with connect(make_conninfo(owned_database, user=visitor)) as connection, pytest.raises(InstallError, match=message):
        migrate(connection)


def test_a_role_that_may_not_upgrade(world: World, visitor: str) -> None:
    world.run(f"grant all on schema bookingdb to {visitor}; grant select on bookingdb.history to {visitor}")
    message = "row level security hides the history of the installation; use the owner's role"
    with connect(make_conninfo(world.url, user=visitor)) as connection, pytest.raises(InstallError, match=message):
        migrate(connection, reapply=True)
    world.run(f"revoke all on schema bookingdb from {visitor}; revoke select on bookingdb.history from {visitor}")


def test_migrate_refuses_a_server_that_is_too_old(owned: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    version = owned.info.server_version // 10000
    monkeypatch.setattr(script, "MINIMUM_VERSION", 99)
    with pytest.raises(InstallError, match=f"this server is Postgres {version}; bookingdb needs 99 or later"):
        migrate(owned)


def test_migrate_gives_up_on_tables_it_cannot_lock(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "LOCK_TIMEOUT", 0.2)
    add_migration(folder, "0998_later", "alter table public.sessions add column later integer")
    with world.connect() as other, other.transaction():
        run(other, "select from public.sessions")
        with pytest.raises(InstallError, match=r"0998_later\.sql: the tables are in use and could not be locked"):
            migrate(world.connection, source=source.load(folder))
    assert migrate(world.connection, source=source.load(folder)).migrations == ["0998_later"]


# ----------------------------------------------------------------------------------------------------------------------
# A new version
# ----------------------------------------------------------------------------------------------------------------------


def test_changed_functions_are_applied_again_and_recorded(world: World, folder: Path) -> None:
    for result in (1, 2):
        add_function(folder, "bookingdb.number", result)
        files = source.load(folder)
        report = migrate(world.connection, source=files)
        assert (report.migrations, report.reason) == ([], "the files changed")
        assert world.scalar("select bookingdb.number()") == result
        assert migrate(world.connection, source=files).is_empty
    assert [kind for kind, _ in history(world.connection)].count("functions") == 3
    (recorded,) = world.run("select checksum, details from bookingdb.history order by id desc limit 1")
    assert recorded[0] == files.checksum
    assert "bookingdb.number()" in recorded[1]["functions"]
    assert recorded[1]["roles"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bookingdb.number", "public.number"])
def test_function_without_file_needs_a_migration_that_drops_it(world: World, folder: Path, name: str) -> None:
    path = add_function(folder, name, 1)
    migrate(world.connection, source=source.load(folder))
    if name.startswith("public."):
        add_function(folder, "bookingdb.number", 1)  # without its face
    else:
        path.unlink()
        # Without this it would be the set of before, which is the older one.
        add_function(folder, "bookingdb.other", 1)
    before = contents(world.connection)
    with pytest.raises(InstallError, match=rf"no file of this version defines: {name}\(\); drop them first"):
        migrate(world.connection, source=source.load(folder))
    assert contents(world.connection) == before

    add_migration(folder, "0998_later", f"drop function {name}()")

    assert migrate(world.connection, source=source.load(folder)).migrations == ["0998_later"]
    assert world.scalar("select to_regproc(%s)", name) is None


def test_other_return_type_needs_a_migration(world: World, folder: Path) -> None:
    path = folder / "functions" / "errors" / "iso_utc.sql"
    path.write_text(path.read_text().replace("returns text", "returns varchar"))
    with pytest.raises(InstallError, match=r"utc\.sql: cannot change return type of existing function"):
        migrate(world.connection, source=source.load(folder))
    triggers = world.run("select tgname, tgrelid from pg_trigger where not tgisinternal order by 1, 2")
    policies = world.run("select polname, polrelid from pg_policy order by 1, 2")

    add_migration(
        folder,
        "0998_later",
        "drop function bookingdb.iso_utc(timestamptz); drop function bookingdb.refuse_change() cascade;"
        " drop function bookingdb.actor_id() cascade",
    )
    migrate(world.connection, source=source.load(folder))

    assert world.scalar("select pg_get_function_result('bookingdb.iso_utc(timestamptz)'::regprocedure)") == (
        "character varying"
    )
    assert world.run("select tgname, tgrelid from pg_trigger where not tgisinternal order by 1, 2") == triggers
    assert world.run("select polname, polrelid from pg_policy order by 1, 2") == policies


def test_reapplying_a_sound_installation_makes_nobody_wait(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    before = contents(world.connection)
    with world.connect() as other, other.transaction():
        # An application in the middle of its work: with these locks, everything stronger than itself would wait.
        run(other, "update public.sessions set title = title")
        run(
            other,
            "lock table public.users, public.sessions, public.user_credits, public.booking_audit_log,"
            " bookingdb.calendar, bookingdb.ledger in row exclusive mode",
        )
        assert migrate(world.connection, reapply=True).reason == "asked for"
        assert migrate(world.connection, reapply=True).reason == "asked for"
    # The same objects, the same privileges.
    assert contents(world.connection) == before
    world.book(client, therapist)


def test_reapplying_leaves_an_owners_own_grants(world: World) -> None:
    world.run("grant select on public.sessions to pg_monitor")
    before = contents(world.connection)
    migrate(world.connection, reapply=True)
    assert contents(world.connection) == before


# ----------------------------------------------------------------------------------------------------------------------
# Roles
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_roles_that_appear_and_go(bare_server: str) -> None:
    with connect(bare_server) as connection:
        # No role is made: roles belong to the whole server.
        roles = run(connection, "select r.rolname from pg_roles as r order by 1")
        run(connection, migrate(connection, dry_run=True).script)
        assert run(connection, "select r.rolname from pg_roles as r order by 1") == roles
        assert migrate(connection).is_empty
        assert verify.verify(connection) == []

        run(connection, "create role anon; create role authenticated; create role service_role")
        run(connection, EVERYTHING_TO_EVERYBODY)
        pending = "roles or who is trusted changed: anon, authenticated, service_role"
        assert installer.status(connection).pending.reason == pending
        assert [finding.problem for finding in verify.verify(connection)] == [pending]

        assert migrate(connection).reason == pending
        assert migrate(connection).is_empty
        assert verify.verify(connection) == []
        privilege = "select has_function_privilege(%s, 'public.get_credit_balance(uuid)', 'execute')"
        assert [scalar(connection, privilege, role) for role in ("anon", "authenticated", "service_role")] == [
            False,
            True,
            True,
        ]

        run(connection, "drop owned by anon; drop role anon")
        assert migrate(connection).reason == "roles or who is trusted changed: anon"
        assert verify.verify(connection) == []


# ----------------------------------------------------------------------------------------------------------------------
# The files
# ----------------------------------------------------------------------------------------------------------------------


def test_windows_line_ends_change_no_checksum(folder: Path) -> None:
    for path in folder.rglob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    here, there = source.load(), source.load(folder)
    assert there.checksum == here.checksum
    assert [file.checksum for file in there.migrations] == [file.checksum for file in here.migrations]


def test_every_file_but_the_migrations_counts_for_the_checksum(folder: Path) -> None:
    seen = {source.load(folder).checksum}
    for path in (
        "adapters/standalone.sql",
        "functions/errors/raise_error.sql",
        "triggers.sql",
        "row_security.sql",
        "grants.sql",
    ):
        (folder / path).write_text(re.sub(r"(;|begin)\n", r"\1 -- a remark\n", (folder / path).read_text(), count=1))
        seen.add(source.load(folder).checksum)
    assert len(seen) == 6
    before = source.load(folder)
    add_migration(folder, "0998_later", "select 1")
    after = source.load(folder)
    assert after.checksum == before.checksum
    # Everything counts for what `export` compares.
    assert after.content != before.content


def test_files_that_are_not_as_they_must_be(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"adapters/mine\.sql: No such file"):
        source.load(folder, adapter="mine")

    path = folder / "functions" / "errors" / "iso_utc.sql"
    text = path.read_text()
    path.write_text(text.replace("comment on", "-- comment on"))
    with pytest.raises(SourceError, match=r"functions/errors/iso_utc\.sql is not laid out as all function files are"):
        source.load(folder)
    path.write_text(text)
    path.rename(folder / "functions" / "iso_utc.sql")
    (folder / "functions" / "elsewhere").mkdir()
    (folder / "functions" / "iso_utc.sql").rename(folder / "functions" / "elsewhere" / "iso_utc.sql")
    with pytest.raises(SourceError, match="sql/functions/elsewhere is no room"):
        source.load(folder)
    (folder / "functions" / "elsewhere" / "iso_utc.sql").rename(path)

    (folder / "triggers.sql").write_text("create trigger nowhere;\n")
    with pytest.raises(SourceError, match="cannot tell name and table of: create trigger nowhere"):
        _ = source.load(folder).triggers


def test_views_are_replaced_only_where_they_differ(world: World) -> None:
    """A view that is as it should be is not locked: who reads it need not wait, nor meet the upgrade in a deadlock."""
    made = "select w.oid from pg_rewrite as w where w.ev_class = any(%s::regclass[]) order by w.oid"
    views = ["bookingdb.therapists", "bookingdb.clients", "bookingdb.people"]
    before = world.run(made, views)
    with world.connect() as reader, reader.transaction():
        for view in views:
            run(reader, f"select from {view}")
        migrate(world.connection, reapply=True)
    assert world.run(made, views) == before

    world.run("create or replace view bookingdb.clients as select u.id, u.email, u.full_name from public.users as u")
    world.run("alter view bookingdb.therapists set (security_barrier)")
    migrate(world.connection, reapply=True)

    assert verify.verify(world.connection) == []
