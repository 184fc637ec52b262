"""`export`: SQL that does what `migrate` does, whoever sends it and how, and files that the Supabase CLI pushes."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb.checks import verify
from bookingdb.install import export, installer, script, source
from bookingdb.install.export import ExportError, sql_script, write_migration
from bookingdb.install.installer import Applied, migrate
from bookingdb.install.session import INSTALL_LOCK, InstallError
from bookingdb.install.source import Source, SourceError
from bookingdb.install.trust import trust
from tests.support import Connection, World, connect, run, scalar, wait_until_blocked
from tests.support.databases import hosts_database, new_database, url_of
from tests.support.hosts import SUPABASE
from tests.support.installation import add_function, add_migration, contents, history
from tests.support.javascript import environment, supabase_cli

SOURCE = source.load()
MIGRATIONS = [file.name for file in SOURCE.migrations]


@pytest.fixture
def owned(owned_database: str) -> Iterator[Connection]:
    """A connection of an ordinary owner to a database with nothing in it."""
    with connect(owned_database) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of sql/ to change."""
    return Path(shutil.copytree(source.folder(), tmp_path / "sql"))


def state(connection: Connection, files: Source = SOURCE) -> list[Any]:
    """Everything of ours in a database, without what differs from one installation to the next."""
    return [
        verify.snapshot(connection, files),
        installer.existing_triggers(connection),
        installer.existing_policies(connection),
        installer.tables_with_row_security(connection),
        run(
            connection,
            "select p.proname, p.prosrc, obj_description(p.oid) from pg_proc as p"
            " where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace) order by 1, 2",
        ),
        run(connection, "select name from bookingdb.time_zones order by 1"),
        run(connection, "select distinct kind, name, checksum, version, details from bookingdb.history order by 1, 3"),
    ]


def versions_of_rows(connection: Connection) -> list[Any]:
    """Which transaction wrote each row of the catalogue and of the history: nothing can be written unnoticed."""
    catalogues = ("pg_class", "pg_proc", "pg_trigger", "pg_policy", "pg_namespace", "pg_description", "pg_extension")
    return [
        run(connection, f"select ctid, xmin from {table} order by ctid")
        for table in (*catalogues, "bookingdb.history", "bookingdb.time_zones")
    ]


def notices(connection: Connection) -> list[str]:
    """The notices that the connection will have got."""
    received: list[str] = []
    connection.add_notice_handler(lambda diagnostic: received.append(diagnostic.message_primary or ""))
    return received


# ----------------------------------------------------------------------------------------------------------------------
# The script
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_leaves_what_migrate_leaves_on_every_host(hosts_empty_database: str, hosted_database: str) -> None:
    with connect(hosts_empty_database) as connection, connect(hosted_database) as migrated:
        run(connection, sql_script())

        assert installer.status(connection).pending.is_empty
        assert verify.verify(connection) == []
        assert history(connection) == [*(("migration", name) for name in MIGRATIONS), ("functions", "standalone")]
        assert migrate(connection) == Applied()
        trust(connection, "app_servers")
        assert state(connection) == state(migrated)

        world = World(hosts_empty_database, connection)
        assert world.book(world.client(credits=1), world.therapist())["credits_balance"] == 0


@pytest.mark.slow
def test_the_second_time_nothing_is_written_and_nobody_waits(owned: Connection, owned_database: str) -> None:
    received = notices(owned)
    run(owned, sql_script())
    before = contents(owned), versions_of_rows(owned)

    with connect(owned_database) as other, other.transaction():
        run(other, "select pg_advisory_xact_lock(%s)", INSTALL_LOCK)
        run(other, "lock table public.users, public.sessions, bookingdb.ledger in row exclusive mode")
        run(owned, "set statement_timeout = '5s'")
        run(owned, sql_script())
        run(owned, sql_script(ignores_newer=True))

    assert (contents(owned), versions_of_rows(owned)) == before
    assert [notice.split(": ", 1)[1] for notice in received] == [
        f"applied {', '.join(MIGRATIONS)}, applied functions, triggers, policies and grants (first installation)",
        "nothing to do",
        "nothing to do",
    ]


def test_after_migrate_there_is_nothing_to_do(world: World) -> None:
    before = contents(world.connection), versions_of_rows(world.connection)
    world.run(sql_script())
    assert (contents(world.connection), versions_of_rows(world.connection)) == before


@pytest.mark.parametrize(
    "options",
    [
        ["--file=FILE"],
        ["--file=FILE", "--single-transaction"],
        ["--set=AUTOCOMMIT=off", "--file=FILE", "--command=commit"],
    ],
    ids=["file", "single_transaction", "autocommit_off"],
)
def test_psql_runs_it(
    owned: Connection, owned_database: str, bin_dir: Path, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "install.sql"
    path.write_text(sql_script())
    psql = [str(bin_dir / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={owned_database}"]
    for _ in range(2):
        command = [*psql, *(option.replace("FILE", str(path)) for option in options)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    assert verify.verify(owned) == []
    assert migrate(owned).is_empty


@pytest.mark.slow
def test_drivers_run_it_simple_prepared_and_in_a_transaction(owned: Connection, owned_database: str) -> None:
    def nothing_is_left_of_it() -> None:
        assert run(owned, "select from pg_namespace where nspname = 'bookingdb'") == []

    with connect(owned_database) as connection, connection.transaction(force_rollback=True):
        connection.execute(sql_script(), prepare=True)
        assert scalar(connection, "select count(*) from bookingdb.history") == len(MIGRATIONS) + 1
    nothing_is_left_of_it()

    with connect(owned_database) as connection, connection.transaction(force_rollback=True):
        # Several statements in one message are one transaction.
        connection.pgconn.exec_(b"select 1; " + sql_script().encode() + b"select 2")
        assert scalar(connection, "select count(*) from bookingdb.history") == len(MIGRATIONS) + 1
    nothing_is_left_of_it()

    with psycopg.connect(owned_database) as connection:
        run(connection, "create table public.mine ()")
        run(connection, sql_script())
    assert scalar(owned, "select to_regclass('public.mine') is not null")
    assert verify.verify(owned) == []


def test_windows_line_ends_change_nothing(owned: Connection, shared_database: str) -> None:
    run(owned, sql_script().replace("\n", "\r\n"))
    assert verify.verify(owned) == []
    with connect(shared_database) as migrated:
        assert state(owned) == state(migrated)


def test_the_encoding_of_the_client_does_not_matter() -> None:
    assert sql_script().isascii()


# What somebody's psqlrc, role or database may have set; planted.set_config would keep the rest from working.
STRANGE_SETTINGS = """
    create schema planted;
    create function planted.set_config(text, text, boolean) returns text language sql return null;
    create function planted.format(text, variadic text[]) returns text language sql return 'planted';
    create function planted.to_regclass(text) returns regclass language sql return null;
    set search_path = planted, pg_catalog, public;
    set standard_conforming_strings = off;
    set escape_string_warning = on;
    set backslash_quote = off;
    set quote_all_identifiers = on;
    set check_function_bodies = off;
    set client_min_messages = debug1;
    set lock_timeout = '1s';
    set timezone = 'Asia/Kathmandu';
    set datestyle = 'German, DMY';
    set intervalstyle = 'sql_standard';
    set bytea_output = 'escape';
    set array_nulls = off;
    set transform_null_equals = on;
    set client_encoding = 'LATIN1';
    set plpgsql.extra_errors = 'all';
    set plan_cache_mode = 'force_generic_plan';
    set enable_seqscan = off;
"""


@pytest.mark.slow
def test_settings_do_not_matter_and_are_put_back(owned: Connection, owned_database: str, shared_database: str) -> None:
    query = "select name, setting from pg_settings where name !~ '^(transaction|plpgsql)' order by 1"
    run(owned, STRANGE_SETTINGS)
    with owned.transaction():
        run(owned, "set local lock_timeout = '2s'")
        before = run(owned, query)
        run(owned, sql_script())
        # The caller's transaction goes on.
        assert run(owned, query) == before
    before = run(owned, query)
    run(owned, sql_script())
    assert run(owned, query) == before

    with connect(owned_database) as observer, connect(shared_database) as migrated:
        assert run(observer, "select from pg_locks where locktype = 'advisory'") == []
        run(observer, "drop schema planted cascade")
        assert verify.verify(observer) == []
        assert state(observer) == state(migrated)


def test_roles_that_appear_are_granted(world: World) -> None:
    world.run("grant execute on function bookingdb.act_for_anyone() to app_servers")
    received = notices(world.connection)
    world.run(sql_script())
    assert "(roles or who is trusted changed: app_servers)" in received[0]
    assert verify.verify(world.connection) == []
    assert len(history(world.connection)) == len(MIGRATIONS) + 2


def test_postgrest_is_told_once(owned: Connection, owned_database: str) -> None:
    with connect(owned_database) as listener:
        run(listener, "listen pgrst")
        run(owned, sql_script())
        run(owned, sql_script())
        assert [notification.payload for notification in listener.notifies(timeout=0.3)] == ["reload schema"]


# ----------------------------------------------------------------------------------------------------------------------
# Everything or nothing
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_broken_anywhere_it_leaves_nothing(owned: Connection) -> None:
    before = contents(owned)
    places = [step.place for step in script.installation(SOURCE, SOURCE.migrations, takes_up=True)]
    for number in (1, 2, 3, 40, *range(len(places) - 5, len(places) + 1)):
        broken = re.sub(rf"(\({number}, '[^']+', \S+, \$sql\$)", r"\1 select 1 / 0;", sql_script())
        with pytest.raises(psycopg.errors.DivisionByZero) as failure:
            run(owned, broken)
        assert failure.value.diag.message_primary == f"{places[number - 1]}: division by zero"
        assert contents(owned) == before
    run(owned, sql_script())
    assert verify.verify(owned) == []


def test_killed_in_the_middle_it_leaves_nothing(
    owned: Connection, owned_database: str, server_url: str, folder: Path
) -> None:
    before = contents(owned)
    # What comes after the functions waits for somebody.
    path = folder / "grants.sql"
    path.write_text(path.read_text() + "select pg_advisory_xact_lock(42);\n")
    with (
        connect(server_url) as administrator,
        connect(owned_database) as other,
        connect(owned_database) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        run(other, "select pg_advisory_lock(42)")
        running = pool.submit(run, connection, sql_script(source.load(folder)))
        wait_until_blocked(administrator, connection.info.backend_pid)
        run(administrator, "select pg_terminate_backend(%s, 10000)", connection.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            running.result(timeout=30)
        run(other, "select pg_advisory_unlock(42)")
    assert contents(owned) == before


def test_one_of_many_installations_at_once_does_the_work(owned: Connection, owned_database: str) -> None:
    """Ten scripts and four times `migrate`, at the same moment."""
    barrier = threading.Barrier(14)

    def by_script() -> bool:
        with connect(owned_database) as connection:
            received = notices(connection)
            barrier.wait()
            run(connection, sql_script())
        return "nothing to do" not in received[0]

    def by_migrate() -> bool:
        with connect(owned_database) as connection:
            barrier.wait()
            return not migrate(connection).is_empty

    with ThreadPoolExecutor(14) as pool:
        running = [pool.submit(way) for way in (*[by_script] * 10, *[by_migrate] * 4)]
        assert sorted(one.result(timeout=60) for one in running) == [False] * 13 + [True]
    assert len(history(owned)) == len(MIGRATIONS) + 1
    assert verify.verify(owned) == []


# ----------------------------------------------------------------------------------------------------------------------
# Refused, as `migrate` refuses
# ----------------------------------------------------------------------------------------------------------------------


def refusal(connection: Connection, files: Source = SOURCE) -> str:
    """What both the script and `migrate` say; neither leaves anything behind."""
    before = contents(connection)
    for ignores_newer in (False, True):
        with pytest.raises(psycopg.Error) as by_script:
            run(connection, sql_script(files, ignores_newer=ignores_newer))
        with pytest.raises(InstallError) as by_migrate:
            migrate(connection, source=files)
        assert by_script.value.diag.message_primary == str(by_migrate.value)
    assert contents(connection) == before
    return str(by_migrate.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "create table public.users (); create view public.sessions as select 1",
            "the database already has table public.sessions, table public.users; bookingdb installs beside nothing",
        ),
        (
            "create function public.grant_credits(integer) returns integer language sql return 1",
            "the database already has function public.grant_credits(integer); bookingdb installs beside nothing",
        ),
        ("create schema bookingdb; create table bookingdb.calendar ()", "the schema bookingdb is there already and is"),
    ],
)
def test_script_refuses_an_application_in_the_way(owned: Connection, statement: str, message: str) -> None:
    run(owned, statement)
    assert message in refusal(owned)


def test_script_refuses_a_server_that_is_too_old(owned: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "MINIMUM_VERSION", 99)
    assert "bookingdb needs 99 or later" in refusal(owned)


def test_script_refuses_a_role_that_may_not_install(owned: Connection, owned_database: str, server_url: str) -> None:
    with connect(server_url) as administrator:
        run(administrator, "create role passer_by login")
        with connect(make_conninfo(owned_database, user="passer_by")) as connection:
            message = f"permission denied for database {connection.info.dbname}; install as the owner of the database"
            assert refusal(connection) == f"sql/migrations/0001_core.sql: {message}"
        run(owned, sql_script())
        run(owned, "grant usage on schema bookingdb to passer_by; grant select on bookingdb.history to passer_by")
        with connect(make_conninfo(owned_database, user="passer_by")) as connection:
            assert "row level security hides the history" in refusal(connection)
        with connect(url_of(server_url, str(conninfo_to_dict(owned_database)["dbname"]))) as superuser:
            run(superuser, "drop owned by passer_by")
        run(administrator, "drop role passer_by")


def test_files_that_contradict_the_history(world: World, folder: Path) -> None:
    add_migration(folder, "0998_later", "select 1")
    migrate(world.connection, source=source.load(folder))

    with pytest.raises(psycopg.errors.RaiseException, match="newer than this package: it has migration 0998_later;"):
        world.run(sql_script())
    add_migration(folder, "0997_earlier", "select 1")
    assert "0997_earlier comes before 0998_later" in refusal(world.connection, source.load(folder))
    (folder / "migrations" / "0997_earlier.sql").unlink()
    add_migration(folder, "0998_later", "select 2")
    assert "sql/migrations/0998_later.sql was changed" in refusal(world.connection, source.load(folder))


@pytest.mark.slow
def test_a_function_that_no_file_defines(world: World, folder: Path) -> None:
    add_function(folder, "public.number", 1)
    migrate(world.connection, source=source.load(folder))
    add_function(folder, "bookingdb.number", 1)  # without its face
    add_function(folder, "public.another", 1)
    message = "functions that no file of this version defines: public.number(); drop them first"
    assert refusal(world.connection, source.load(folder)) == message


def test_script_names_a_file_that_postgres_refuses(world: World, folder: Path) -> None:
    path = folder / "functions" / "parameters" / "uuid_of.sql"
    path.write_text(path.read_text().replace("begin", "begn"))
    refused = refusal(world.connection, source.load(folder))
    assert refused.startswith("sql/functions/parameters/uuid_of.sql: syntax error")


def test_script_gives_up_on_tables_it_cannot_lock(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(installer, "LOCK_TIMEOUT", 0.2)
    add_migration(folder, "0998_later", "alter table public.sessions add column later integer")
    with world.connect() as other, other.transaction():
        run(other, "select from public.sessions")
        message = "sql/migrations/0998_later.sql: the tables are in use and could not be locked within 10 seconds;"
        assert refusal(world.connection, source.load(folder)).startswith(message)
    world.run(sql_script(source.load(folder)))


def test_a_transaction_in_which_it_cannot_see_what_others_did(owned: Connection) -> None:
    modes = ("isolation level repeatable read", "isolation level serializable", "read only")
    for mode in modes:
        message = f"the transaction is .*{mode.removeprefix('isolation level ')}"
        with pytest.raises(psycopg.errors.RaiseException, match=message) as failure:
            run(owned, f"begin {mode}; {sql_script()}")
        run(owned, "rollback")
    # What the hint says helps, whatever the database's own settings are.
    run(owned, "set session characteristics as transaction isolation level serializable read only")
    run(owned, f"{failure.value.diag.message_hint}; {sql_script()} commit")
    # With nothing to do, any will do.
    for mode in modes:
        run(owned, f"begin {mode}; {sql_script()} commit")


@pytest.mark.parametrize("text", ["$sql$", "$bookingdb$"])
def test_text_that_cannot_be_quoted(folder: Path, text: str) -> None:
    path = folder / "grants.sql"
    path.write_text(f"{path.read_text()}-- {text}\n")
    with pytest.raises(SourceError, match=rf"sql/grants\.sql has {re.escape(text)}, which cannot be exported"):
        sql_script(source.load(folder))


@pytest.mark.parametrize("is_there", [False, True])
def test_a_schema_for_extensions_that_belongs_to_somebody_else(
    owned: Connection, server_url: str, is_there: bool
) -> None:
    with connect(url_of(server_url, owned.info.dbname)) as superuser:
        run(superuser, "create schema extensions")
        if is_there:
            run(superuser, "create extension btree_gist with schema extensions")
    run(owned, sql_script())
    assert verify.verify(owned) == []
    assert scalar(owned, "select extnamespace::regnamespace::text from pg_extension where extname = 'btree_gist'") == (
        "extensions"
    )


# ----------------------------------------------------------------------------------------------------------------------
# A new version
# ----------------------------------------------------------------------------------------------------------------------


def change(folder: Path) -> None:
    """Of a copy of sql/, make the next version: a new function, and the error messages in another language."""
    add_function(folder, "bookingdb.number", 1)
    path = folder / "functions" / "parameters" / "uuid_of.sql"
    path.write_text(path.read_text().replace("Therapist not found", "Therapeut nicht gefunden"))


def change_with_migration(folder: Path) -> None:
    """The same with a column more, a function of another type, and trigger functions that are dropped."""
    change(folder)
    add_migration(
        folder,
        "0998_later",
        "alter table public.sessions add column later integer;"
        " drop function if exists bookingdb.iso_utc(timestamptz);"
        " drop function if exists bookingdb.refuse_change() cascade;"
        " drop function if exists bookingdb.actor_id() cascade",
    )
    path = folder / "functions" / "errors" / "iso_utc.sql"
    path.write_text(path.read_text().replace("returns text", "returns varchar"))


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The version after this one."""
    folder = Path(shutil.copytree(source.folder(), tmp_path_factory.mktemp("next") / "sql"))
    change_with_migration(folder)
    return source.load(folder)


@pytest.fixture(scope="module")
def upgraded(server_url: str, template: str, next_version: Source) -> Iterator[list[Any]]:
    """What a database is like that `migrate` installed and brought to the next version."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            migrate(connection, source=next_version)
            yield state(connection, next_version)


def by_migrate(connection: Connection, files: Source) -> None:
    migrate(connection, source=files)


def by_script(connection: Connection, files: Source) -> None:
    run(connection, sql_script(files))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"), [(by_migrate, by_script), (by_script, by_migrate), (by_script, by_script), (None, by_script)]
)
def test_an_upgrade_leaves_the_same_by_every_road(
    owned: Connection,
    next_version: Source,
    upgraded: list[Any],
    first: Callable[..., None] | None,
    then: Callable[..., None],
) -> None:
    if first:
        first(owned, SOURCE)
    then(owned, next_version)

    found = state(owned, next_version)
    # Without a first version, the history has no function set of that.
    assert found == upgraded if first else found[:-1] == upgraded[:-1]
    before = versions_of_rows(owned)
    for way in (by_migrate, by_script):
        way(owned, next_version)
    assert versions_of_rows(owned) == before


def test_dry_run_of_an_upgrade_restores_what_it_drops(world: World, next_version: Source) -> None:
    triggers, policies = installer.existing_triggers(world.connection), installer.existing_policies(world.connection)
    world.run(migrate(world.connection, source=next_version, dry_run=True).script)
    assert migrate(world.connection, source=next_version).is_empty
    assert installer.existing_triggers(world.connection) == triggers
    assert installer.existing_policies(world.connection) == policies


# ----------------------------------------------------------------------------------------------------------------------
# The folder of the Supabase CLI
# ----------------------------------------------------------------------------------------------------------------------


def release(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    for module in (script, export):
        monkeypatch.setattr(module, "package_version", lambda name: version)


def names(folder: Path) -> list[str]:
    """The files of a folder without their numbers, in order."""
    return [path.name.partition("_")[2] for path in sorted(folder.iterdir())]


def test_each_version_adds_one_file_once(tmp_path: Path, next_version: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "supabase" / "migrations"
    before = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    first = write_migration(folder)
    assert first.written
    assert before <= datetime.strptime(first.path.name[:14], "%Y%m%d%H%M%S") <= datetime.now(UTC).replace(tzinfo=None)
    assert names(folder) == [f"bookingdb_0.1.0_{SOURCE.content[:12]}.sql"]
    assert first.path.read_text() == sql_script(ignores_newer=True)

    assert write_migration(folder) == export.Exported(first.path, written=False)
    # A release without changes of the SQL.
    release(monkeypatch, "0.1.1")
    assert write_migration(folder) == export.Exported(first.path, written=False)

    release(monkeypatch, "0.2.0")
    second = write_migration(folder, next_version)
    assert second.written
    assert names(folder) == [first.path.name[15:], f"bookingdb_0.2.0_{next_version.content[:12]}.sql"]
    assert not write_migration(folder, next_version).written


@pytest.mark.parametrize(
    ("there", "number"),
    [
        ("29991231235959_mine.sql", "30000101000000"),
        ("20990228235959_mine.sql", "20990301000000"),
        # Numbered by hand, and no date.
        ("20990101999999_mine.sql", "20990102000000"),
    ],
)
def test_the_number_is_later_than_all_others(tmp_path: Path, there: str, number: str) -> None:
    for name in ("20200101000000_mine.sql", there, "mine.sql", "99999999999999.txt"):
        (tmp_path / name).write_text("select 1;\n")
    assert write_migration(tmp_path).path.name[:14] == number


def test_exported_folder_ignores_windows_line_ends(tmp_path: Path) -> None:
    path = write_migration(tmp_path).path
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not write_migration(tmp_path).written


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("security definer", "security invoker", 1),
        lambda text: text.replace("-- Migrations:", "-- Tables:"),
        lambda text: text[: len(text) // 2],
        lambda text: text + "drop table public.users;\n",
        lambda text: text.replace("-- Checksum: ", "-- Checksum: 0"),
        lambda text: "",
    ],
)
def test_an_exported_file_that_was_edited(tmp_path: Path, next_version: Source, edit: Callable[[str], str]) -> None:
    path = write_migration(tmp_path / "migrations").path
    path.write_text(edit(path.read_text()))
    for files in (SOURCE, next_version):
        with pytest.raises(ExportError, match=f"{path.name} was changed after it had been exported"):
            write_migration(tmp_path / "migrations", files)
    assert len(names(tmp_path / "migrations")) == 1


def test_renamed_exported_file_is_known_by_its_content(tmp_path: Path, next_version: Source) -> None:
    path = write_migration(tmp_path / "migrations").path
    path = path.rename(path.with_name("20200101000000_booking.sql"))
    assert write_migration(tmp_path / "migrations") == export.Exported(path, written=False)
    assert write_migration(tmp_path / "migrations", next_version).written


def test_a_folder_of_a_newer_package(tmp_path: Path, next_version: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_migration(tmp_path / "a", next_version).path
    with pytest.raises(ExportError, match=rf"{path.name} is of bookingdb 0\.1\.0, which is newer than this package"):
        write_migration(tmp_path / "a")

    with monkeypatch.context() as patch:
        release(patch, "0.10.0")
        path = write_migration(tmp_path / "b").path
    release(monkeypatch, "0.9.1")
    with pytest.raises(ExportError, match=rf"{path.name} is of bookingdb 0\.10\.0, which is newer than this package"):
        write_migration(tmp_path / "b")
    assert len(names(tmp_path / "a")) == len(names(tmp_path / "b")) == 1


def test_files_of_others_stay_as_they_are(tmp_path: Path) -> None:
    theirs = {
        "20200101000000_bookingdb_grants.sql": b"-- bookingdb for the team\nselect 1;\r\n",
        "20200102000000_latin.sql": "select 'é';".encode("latin-1"),
        "README.md": b"ours",
    }
    for name, content in theirs.items():
        (tmp_path / name).write_bytes(content)
    assert write_migration(tmp_path).written
    assert {name: (tmp_path / name).read_bytes() for name in theirs} == theirs


@pytest.mark.slow
@pytest.mark.parametrize("changed", [change, change_with_migration])
def test_folder_runs_on_empty_and_newer_databases(
    owned: Connection,
    world: World,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: Callable[[Path], None],
) -> None:
    """Each version over the one before; and however the newer version came, older files leave it alone."""
    write_migration(tmp_path / "migrations")
    changed(folder)
    newer = source.load(folder)
    release(monkeypatch, "0.2.0")
    write_migration(tmp_path / "migrations", newer)
    files = [path.read_text() for path in sorted((tmp_path / "migrations").iterdir())]

    for file in files:
        run(owned, file)
    migrate(world.connection, source=newer)
    # The first version is in the history as 0.1.0 in both.
    assert state(owned, newer) == state(world.connection, newer)
    assert migrate(owned, source=newer).is_empty

    before = versions_of_rows(world.connection)
    received = notices(world.connection)
    for file in files:
        world.run(file)
    assert versions_of_rows(world.connection) == before
    assert received == [
        "bookingdb 0.1.0: ignored, because the database has a newer version",
        "bookingdb 0.2.0: nothing to do",
    ]


# ----------------------------------------------------------------------------------------------------------------------
# The Supabase CLI
# ----------------------------------------------------------------------------------------------------------------------


class Project:
    """A folder with supabase/ in it, and the real CLI, told to work on a database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.migrations = folder / "supabase" / "migrations"
        self.migrations.mkdir(parents=True)
        (folder / "supabase" / "config.toml").touch()
        part = conninfo_to_dict(database)
        self.url = f"postgresql://{part['user']}@{part['host']}:{part['port']}/{part['dbname']}?sslmode=disable"

    def supabase(self, *arguments: str, exit_code: int = 0) -> str:
        """What the CLI prints, on either stream."""
        result = subprocess.run(
            [supabase_cli(), *arguments, f"--remote={self.url}", f"--workdir={self.folder}", "--yes", "--agent=no"],
            env={**environment(), "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == exit_code, result.stdout
        return result.stdout


@pytest.fixture
def new_project(supabase_server_url: str) -> Iterator[str]:
    """A Supabase project of today with nothing of ours in it."""
    yield from hosts_database(SUPABASE, supabase_server_url)


@pytest.mark.slow
def test_the_supabase_cli_pushes_it_once(supabase_empty_database: str, tmp_path: Path) -> None:
    project = Project(tmp_path, supabase_empty_database)
    (project.migrations / "20200101000000_mine.sql").write_text("create table public.mine (id bigint primary key);\n")
    exported = write_migration(project.migrations).path

    assert f"Applying migration {exported.name}" in project.supabase("db", "push")

    with connect(supabase_empty_database) as connection:
        assert verify.verify(connection) == []
        assert migrate(connection).is_empty
        pushed = "select name, cardinality(statements) from supabase_migrations.schema_migrations order by version"
        # As one statement.
        assert run(connection, pushed) == [("mine", 1), (exported.stem[15:], 1)]
        before = versions_of_rows(connection)
        assert "is up to date" in project.supabase("db", "push")
        assert versions_of_rows(connection) == before


@pytest.mark.slow
def test_the_supabase_cli_pushes_an_upgrade_and_replays_all(
    supabase_world: World, new_project: str, tmp_path: Path, next_version: Source
) -> None:
    """The project was installed by `migrate` and goes on with the CLI."""
    project = Project(tmp_path / "project", supabase_world.url)
    first = write_migration(project.migrations).path
    second = write_migration(project.migrations, next_version).path
    project.supabase("db", "push")
    # Local and remote.
    listed = project.supabase("migration", "list")
    assert [listed.count(path.name[:14]) for path in (first, second)] == [2, 2]
    assert migrate(supabase_world.connection, source=next_version).is_empty

    # As `supabase db reset` does.
    project = Project(tmp_path / "replayed", new_project)
    shutil.copytree(first.parent, project.migrations, dirs_exist_ok=True)
    project.supabase("db", "push")
    with connect(new_project) as connection:
        trust(connection, "app_servers", source=next_version)
        # But for the history: the other one trusted this role earlier.
        assert state(connection, next_version)[:-1] == state(supabase_world.connection, next_version)[:-1]


@pytest.mark.slow
def test_a_push_that_fails_leaves_nothing_and_says_why(new_project: str, tmp_path: Path, folder: Path) -> None:
    path = folder / "functions" / "people" / "set_therapist_active.sql"
    path.write_text(path.read_text().replace("begin", "begn"))
    project = Project(tmp_path / "project", new_project)
    exported = write_migration(project.migrations, source.load(folder)).path

    output = project.supabase("db", "push", exit_code=1)

    assert "sql/functions/people/set_therapist_active.sql: syntax error at or near" in output
    with connect(new_project) as connection:
        assert run(connection, "select from supabase_migrations.schema_migrations") == []
        assert run(connection, "select from pg_namespace where nspname = 'bookingdb'") == []
        # Mended, it goes through.
        exported.unlink()
        write_migration(project.migrations)
        project.supabase("db", "push")
        assert verify.verify(connection) == []


def test_types_for_typescript_name_our_functions_and_columns(supabase_world: World, tmp_path: Path) -> None:
    types = " ".join(Project(tmp_path, supabase_world.url).supabase("gen", "types", "typescript").split())

    assert "unknown" not in types
    assert "any" not in re.findall(r"\w+", types.partition("type DatabaseWithoutInternals")[0])
    signature = r'"create_session_with_credit_deduction": \{ Args: \{(.*?)\}; Returns: \{(.*?)\}\[\]'
    (booking,) = re.findall(signature, types)
    arguments, columns = ({*part.strip().split(",")} for part in booking)
    assert arguments == {
        '"p_user_id": string',
        '"p_therapist_id": string',
        '"p_session_date": string',
        '"p_session_time": string',
        '"p_duration_minutes"?: number',
        '"p_session_type"?: string',
        '"p_notes"?: string',
        '"p_title"?: string',
        '"p_time_zone"?: string',
        '"p_idempotency_key"?: string',
    }
    assert {'"id": string', '"start_time": string', '"credits_balance": number', '"status": string'} <= columns
    assert re.findall(r'"(\w+)": \{ Args:', types) == [f.name for f in SOURCE.functions if f.schema == "public"]
    (row,) = re.findall(r'"user_credits": \{ Row: \{(.*?)\}', types)
    assert {'"credits_balance": number', '"expires_at": string | null', '"status": string'} <= {*row.strip().split(",")}
