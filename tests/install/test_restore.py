"""Dumps and restores with the real pg_dump, psql and pg_restore: what works, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from bookingdb.checks import verify
from bookingdb.install import installer
from bookingdb.install.export import sql_script
from bookingdb.install.installer import migrate
from bookingdb.install.session import InstallError
from bookingdb.install.uninstall import uninstall
from tests.support import TOMORROW, Connection, World, connect, run
from tests.support.databases import new_database
from tests.support.life import call, require_sound

ROWS = "select t::text from {0} as t order by 1"
TABLES = """
    select c.oid::regclass::text from pg_class as c
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'bookingdb'::regnamespace) order by 1
"""


@dataclass
class Moved:
    """A database in use, and a new one without anything, of the same owner."""

    world: World
    new: str
    bin_dir: Path
    folder: Path

    def dump(self, *options: str) -> str:
        """Return the options that restore a dump of the database in use."""
        path = self.folder / "dump.sql"
        dump = [str(self.bin_dir / "pg_dump"), "--dbname", self.world.url, "--file", str(path), *options]
        subprocess.run(dump, check=True, capture_output=True)
        return str(path)

    def psql(self, path: str, *options: str, superuser: bool = False) -> str:
        """Restore a plain dump into the new one; return the errors."""
        url = make_conninfo(self.new, user=self.world.superuser) if superuser else self.new
        psql = [str(self.bin_dir / "psql"), "--no-psqlrc", "--quiet", "--dbname", url, "--file", path, *options]
        return subprocess.run(psql, check=False, capture_output=True, text=True).stderr

    def pg_restore(self, path: str, *options: str) -> None:
        restore = [str(self.bin_dir / "pg_restore"), "--exit-on-error", "--dbname", self.new, path, *options]
        subprocess.run(restore, check=True, capture_output=True)

    def require_moved(self, ignored: tuple[str, ...] = ()) -> None:
        """Hold that the new one has every row, verifies, is up to date, and works."""
        with connect(self.new) as connection:
            tables = [table for (table,) in self.world.run(TABLES) if table not in ignored]
            for table in tables:
                assert run(connection, ROWS.format(table)) == self.world.run(ROWS.format(table)), table
            assert verify.verify(connection) == []
            assert migrate(connection).is_empty
            moved = World(self.new, connection)
            booked = "select id, user_id, therapist_id from sessions where status = 'scheduled'"
            ((session_id, client, therapist),) = run(connection, booked)
            assert moved.book(client, therapist, "10:00", idempotency_key="booked")["id"] == session_id
            assert moved.book(client, therapist, "15:00")
            assert call(connection, "cancel_session", session_id=session_id)["refunded"]
            require_sound(moved)


@pytest.fixture
def moved(world: World, server_url: str, bin_dir: Path, tmp_path: Path) -> Iterator[Moved]:
    therapist, client = world.therapist("UTC"), world.client(credits=5)
    world.book(client, therapist, "10:00", idempotency_key="booked")
    cancelled = world.book(client, therapist, "12:00")
    call(world.connection, "cancel_session", session_id=cancelled["id"])
    world.run("select id from hold_slot(%s, %s, %s, '18:00')", world.client(), therapist, TOMORROW)
    world.run("select set_policy(%s, %s)", '{"buffer_after_minutes": 30}', therapist)
    for new in new_database(server_url, "template0", "owner"):
        yield Moved(world, new, bin_dir, tmp_path)


@pytest.mark.parametrize("options", [(), ("--inserts",)], ids=["copy", "inserts"])
def test_plain_dump_restores_with_every_row(moved: Moved, options: tuple[str, ...]) -> None:
    assert moved.psql(moved.dump(*options), "--variable=ON_ERROR_STOP=1", "--single-transaction") == ""
    moved.require_moved()


def test_custom_dump_restores_in_parallel(moved: Moved) -> None:
    moved.pg_restore(moved.dump("--format=custom"), "--jobs=3")
    moved.require_moved()


def test_custom_dump_restores_section_by_section(moved: Moved) -> None:
    path = moved.dump("--format=custom")
    for section in ("pre-data", "data", "post-data"):
        moved.pg_restore(path, f"--section={section}")
    moved.require_moved()


def test_restore_without_owner_and_privileges_is_repaired(moved: Moved) -> None:
    moved.pg_restore(moved.dump("--format=custom"), "--no-owner", "--no-privileges")
    with connect(moved.new) as connection:
        findings = verify.verify(connection)
        # Without privileges everybody may execute every function, and so be trusted.
        assert {finding.group for finding in findings} == {"installation", "privileges"}
        assert "Run `bookingdb migrate --reapply`" in {finding.remedy for finding in findings}
        assert migrate(connection, reapply=True).reason == "everybody is trusted: PUBLIC may act for anyone"
    moved.require_moved(ignored=("bookingdb.history",))


# ----------------------------------------------------------------------------------------------------------------------
# The schema alone
# ----------------------------------------------------------------------------------------------------------------------


def refusal(connection: Connection) -> str:
    """What everybody says who looks at the history."""
    with pytest.raises(InstallError) as refused:
        migrate(connection)
    with pytest.raises(InstallError):
        migrate(connection, dry_run=True)
    with pytest.raises(InstallError):
        installer.status(connection)
    with pytest.raises(Exception, match=r"bookingdb") as by_script:
        run(connection, sql_script())
    message = str(refused.value)
    assert message in str(by_script.value)
    assert message in [finding.problem for finding in verify.verify(connection)]
    return message


def test_schema_without_rows_is_refused_with_the_ways_on(moved: Moved) -> None:
    assert moved.psql(moved.dump("--schema-only")) == ""
    with connect(moved.new) as connection:
        message = refusal(connection)
        assert "a schema-only restore leaves them: restore the rows, too" in message
        assert "take the empty tables out with `bookingdb uninstall`" in message

        uninstall(connection, keep_data=False)
        assert migrate(connection).reason == "first installation"
        assert verify.verify(connection) == []


def test_history_lost_with_rows_there_is_to_be_restored(moved: Moved) -> None:
    path = moved.dump("--exclude-table-data=bookingdb.history")
    assert moved.psql(path) == ""
    with connect(moved.new) as connection:
        assert "restore it from a backup" in refusal(connection)


def test_superuser_restores_schema_and_then_rows(moved: Moved) -> None:
    assert moved.psql(moved.dump("--schema-only")) == ""
    assert moved.psql(moved.dump("--data-only", "--disable-triggers"), superuser=True) == ""
    moved.require_moved()


def test_owner_restores_rows_while_the_triggers_are_out(moved: Moved) -> None:
    assert moved.psql(moved.dump("--schema-only")) == ""
    with connect(moved.new) as connection:
        uninstall(connection, keep_data=True)
        assert moved.psql(moved.dump("--data-only"), "--variable=ON_ERROR_STOP=1", "--single-transaction") == ""
        assert migrate(connection, reapply=True).reason == "asked for"
    moved.require_moved(ignored=("bookingdb.history",))


# ----------------------------------------------------------------------------------------------------------------------
# The rows alone
# ----------------------------------------------------------------------------------------------------------------------


def by_migrate(moved: Moved) -> None:
    with connect(moved.new) as connection:
        migrate(connection)


def by_schema_only(moved: Moved) -> None:
    moved.psql(moved.dump("--schema-only"))


@pytest.mark.parametrize("prepare", [by_migrate, by_schema_only])
def test_rows_are_not_restored_where_triggers_are(moved: Moved, prepare: Callable[[Moved], None]) -> None:
    prepare(moved)
    with connect(moved.new) as connection:
        before = {table: run(connection, ROWS.format(table)) for (table,) in run(connection, TABLES)}
        path = moved.dump("--data-only")

        errors = moved.psql(path, "--variable=ON_ERROR_STOP=1", "--single-transaction")

        assert "The rows of a dump cannot be restored while the triggers of bookingdb are there" in errors
        assert "Restore the whole dump into an empty database" in errors
        assert {table: run(connection, ROWS.format(table)) for (table,) in run(connection, TABLES)} == before

        # psql goes on after an error, if nobody tells it to stop. Then verify tells.
        assert "cannot be restored" in moved.psql(path)
        assert verify.verify(connection) != []


def test_kept_tables_are_dumped_and_taken_up_elsewhere(moved: Moved) -> None:
    uninstall(moved.world.connection, keep_data=True)
    moved.world.run("update user_credits set credits_balance = 3")
    assert moved.psql(moved.dump()) == ""
    with connect(moved.new) as connection:
        assert migrate(connection).reason == "the tables were kept"
        assert verify.verify(connection) == []
        assert run(connection, "select sum(credits_balance) from user_credits") == [(3,)]
