"""Older and newer packages at one database: the newer one's functions stay, unless somebody asks for a downgrade."""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from packaging.version import Version

from bookingdb.checks import verify
from bookingdb.install import export, installer, script, source
from bookingdb.install.export import ExportError, sql_script, write_migration
from bookingdb.install.installer import migrate
from bookingdb.install.session import DatabaseIsNewer
from bookingdb.install.source import Source
from bookingdb.install.uninstall import uninstall
from bookingdb.install.version_order import version_key, version_key_expression
from tests.support import Connection, World, run
from tests.support.commands import bookingdb
from tests.support.installation import add_function, add_migration, contents

THIS = source.load()


@pytest.fixture
def newer(tmp_path: Path) -> Source:
    """The function set after this one: a function that is new, and one with another body."""
    folder = Path(shutil.copytree(source.folder(), tmp_path / "sql"))
    add_function(folder, "public.newer", 1)
    path = folder / "functions" / "people" / "set_therapist_active.sql"
    path.write_text(path.read_text().replace("begin\n", "begin\n    perform 1;\n", 1))
    return source.load(folder)


def release(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    for module in (script, export):
        monkeypatch.setattr(module, "package_version", lambda name: version)


def require_refused(connection: Connection, files: Source = THIS) -> str:
    """Hold that every way of installing these files is refused alike, and changes nothing."""
    before = contents(connection)
    with pytest.raises(DatabaseIsNewer) as refused:
        migrate(connection, source=files)
    for dry_run, reapply in itertools.product((False, True), repeat=2):
        with pytest.raises(DatabaseIsNewer, match="newer than this package"):
            migrate(connection, source=files, dry_run=dry_run, reapply=reapply)
    with pytest.raises(psycopg.errors.RaiseException) as by_script:
        run(connection, sql_script(files))
    assert by_script.value.diag.message_primary == str(refused.value)
    run(connection, sql_script(files, ignores_newer=True))
    assert contents(connection) == before
    return str(refused.value)


def test_version_keys_are_in_the_order_of_pep_440(world: World) -> None:
    releases = "0 0.1 0.1.0 0.1.1 0.10.0 1 1.0 1.0.0.1 1.0.1 10.0 2026.11.30 20261130120000.1 1!0.1"
    others = [".dev1", ".dev10", "a1", "a1.dev2", "b1", "rc1", "rc1.post2", "rc10", "+mine", ".post1.dev1", ".post1"]
    versions = [*releases.split(), *(f"0.2.0{other}" for other in others), "0.2.0"]
    for one, other in itertools.product(versions, versions):
        ours, theirs = (Version(version).public for version in (one, other))
        assert (version_key(one) < version_key(other)) == (Version(ours) < Version(theirs)), (one, other)
        assert (version_key(one) == version_key(other)) == (Version(ours) == Version(theirs)), (one, other)
    query = f"select v.version, {version_key_expression('v.version')} from unnest(%s::text[]) as v (version)"
    assert dict(world.run(query, versions)) == {version: version_key(version) for version in versions}


def test_older_version_leaves_newer_functions(world: World, newer: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    release(monkeypatch, "0.10.0rc1")
    migrate(world.connection, source=newer)
    release(monkeypatch, "0.9.0")

    message = require_refused(world.connection)

    assert "its functions are of bookingdb 0.10.0rc1 and replaced those of this package (0.9.0)" in message
    # Files that the database never saw, too.
    unseen = replace(THIS, grants_file=replace(THIS.grants_file, text=THIS.grants_file.text + "\n"))
    require_refused(world.connection, unseen)
    found = installer.status(world.connection, source=THIS)
    assert (found.newer, found.pending.is_empty, found.history[0]["version"]) == (message, True, "0.10.0rc1")
    (finding,) = verify.verify(world.connection, source=THIS)
    assert finding.problem == message


def test_function_set_that_was_replaced_is_the_older_one(world: World, newer: Source) -> None:
    """While a version is developed, its number tells nothing."""
    migrate(world.connection, source=newer)
    require_refused(world.connection)
    assert world.scalar("select newer()") == 1


def test_release_may_bring_earlier_functions_back(world: World, newer: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(world.connection, source=newer)
    release(monkeypatch, "0.2.0")
    world.run("drop function public.newer(), bookingdb.newer()")
    assert migrate(world.connection).reason == "the files changed"
    assert verify.verify(world.connection) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_downgrade_puts_this_packages_functions_back(world: World, newer: Source, dry_run: bool) -> None:
    migrate(world.connection, source=newer)

    report = migrate(world.connection, downgrade=True, dry_run=dry_run)
    if dry_run:
        world.run(report.script)

    assert report.reason == "downgrade from 0.1.0"
    assert world.run("select oid from pg_proc where proname = 'newer'") == []
    assert verify.verify(world.connection) == []
    assert migrate(world.connection).is_empty
    # The newer one needs no permission.
    assert migrate(world.connection, source=newer).reason == "the files changed"
    require_refused(world.connection)


def test_downgrade_never_meets_a_migration_it_does_not_know(world: World, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source.folder(), tmp_path / "sql"))
    add_migration(folder, "0998_later", "select 1")
    migrate(world.connection, source=source.load(folder))
    with pytest.raises(DatabaseIsNewer, match="it has migration 0998_later; upgrade the package bookingdb"):
        migrate(world.connection, downgrade=True)


def test_downgrade_without_a_newer_version_does_nothing(world: World) -> None:
    assert migrate(world.connection, downgrade=True).is_empty


@pytest.mark.slow
def test_packages_that_take_turns_leave_the_newer_functions(world: World, newer: Source) -> None:
    """A rolling deployment, in which each instance migrates when it starts."""

    def start(files: Source) -> str:
        with world.connect() as connection:
            try:
                return migrate(connection, source=files).reason or "nothing to do"
            except DatabaseIsNewer:
                return "newer"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(start, [THIS, newer] * 16))

    assert outcomes[1::2].count("the files changed") == 1
    assert set(outcomes[1::2]) == {"the files changed", "nothing to do"}
    assert set(outcomes[::2]) <= {"nothing to do", "newer"}
    assert world.scalar("select count(*) from bookingdb.history where kind = 'functions'") == 2
    assert world.scalar("select newer()") == 1


def test_commands_say_that_the_database_is_newer(world: World, newer: Source) -> None:
    migrate(world.connection, source=newer)
    for command in ("migrate", "status"):
        refused = bookingdb(world.url, command)
        assert refused.exit_code == 1
        assert "put these back with `bookingdb migrate --downgrade`" in refused.stderr
    assert "0001_core" in bookingdb(world.url, "status").stdout

    assert "(downgrade from 0.1.0)" in bookingdb(world.url, "migrate", "--downgrade").stdout
    assert bookingdb(world.url, "status").exit_code == 0


def test_folder_refuses_an_export_that_was_replaced(tmp_path: Path, newer: Source) -> None:
    write_migration(tmp_path / "migrations")
    write_migration(tmp_path / "migrations", newer)
    with pytest.raises(ExportError, match="newer than this package; upgrade the package"):
        write_migration(tmp_path / "migrations")


def test_older_package_removes_what_a_newer_one_installed(world: World, newer: Source) -> None:
    migrate(world.connection, source=newer)
    uninstall(world.connection, keep_data=False)
    assert world.run("select oid from pg_proc where proname = 'newer'") == []
