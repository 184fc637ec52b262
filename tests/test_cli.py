"""The commands that install and book: what they print, where, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from bookingdb import cli
from tests.support import TOMORROW, World, connect, run


def bookingdb(url: str, *arguments: object) -> Result:
    environment = {"BOOKINGDB_DATABASE_URL": url}
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments], env=environment)
    assert "Traceback" not in result.output
    return result


def answer(url: str, *arguments: object) -> Any:
    result = bookingdb(url, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_migrate_says_what_it_applied_and_the_second_time_that_there_is_nothing(owned_database: str) -> None:
    before = bookingdb(owned_database, "status")
    assert "Nothing is installed." in before.stdout
    assert "Pending: migration 0001_core." in before.stdout

    first = bookingdb(owned_database, "migrate")
    assert first.exit_code == 0
    assert "Applied migration 0001_core." in first.stdout
    assert "database test_" in first.stderr

    assert answer(owned_database, "migrate") == {
        "migrations": [],
        "functions_applied": False,
        "reason": None,
        "dry_run": False,
        "statements": 0,
    }
    after = bookingdb(owned_database, "status")
    assert "0001_core" in after.stdout
    assert "Up to date." in after.stdout
    assert answer(owned_database, "status")["pending_migrations"] == []


def test_a_dry_run_prints_sql_and_changes_nothing(owned_database: str) -> None:
    dry = bookingdb(owned_database, "migrate", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.startswith("begin;")
    assert "create table public.sessions" in dry.stdout
    assert dry.stdout.rstrip().endswith("commit;")
    assert "Nothing is installed." in bookingdb(owned_database, "status").stdout


def test_export_writes_a_script_that_migrate_has_nothing_to_add_to(owned_database: str, tmp_path: Path) -> None:
    printed = CliRunner().invoke(cli.main, ["export"], env={"BOOKINGDB_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert answer("", "export") == {"path": None, "written": False, "script": printed.stdout}

    path = tmp_path / "install.sql"
    assert bookingdb("", "export", "--output", path).stdout == f"Wrote {path}\n"
    assert path.read_text() == printed.stdout
    with connect(owned_database) as connection:
        run(connection, printed.stdout)
    assert "Up to date." in bookingdb(owned_database, "status").stdout
    assert bookingdb(owned_database, "verify").exit_code == 0
    assert "Nothing to do" in bookingdb(owned_database, "migrate").stdout


def test_export_for_the_supabase_cli_writes_each_version_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = bookingdb("", "export", "--format", "supabase")
    (path,) = (tmp_path / "supabase" / "migrations").iterdir()
    assert first.stdout == f"Wrote {path.relative_to(tmp_path)}\n"

    assert answer("", "export", "--format", "supabase", "--output", path.parent) == {
        "path": str(path),
        "written": False,
        "script": None,
    }
    again = bookingdb("", "export", "--format", "supabase")
    assert (again.exit_code, again.stdout) == (
        0,
        f"Nothing to write, this version is in {path.relative_to(tmp_path)}\n",
    )

    path.write_text(path.read_text() + "-- mine\n")
    edited = bookingdb("", "export", "--format", "supabase")
    assert (edited.exit_code, edited.stdout) == (1, "")
    assert f"{path.name} was changed after it had been exported" in edited.stderr

    for arguments in (["--output", tmp_path], ["--format", "supabase", "--output", path]):
        misplaced = bookingdb("", "export", *arguments)
        assert (misplaced.exit_code, len(misplaced.stderr.splitlines())) == (1, 1)


def test_verify_exits_with_1_and_says_what_to_do_when_it_finds_something(world: World) -> None:
    clean = bookingdb(world.url, "verify")
    assert (clean.exit_code, clean.stdout) == (0, "Verified: no findings.\n")

    world.run("alter table public.sessions disable trigger _bookingdb_audit")
    broken = bookingdb(world.url, "verify")
    assert broken.exit_code == 1
    assert "_bookingdb_audit" in broken.stdout
    assert "migrate --reapply" in broken.stdout
    (finding,) = json.loads(bookingdb(world.url, "verify", "--json").stdout)
    assert finding["problem"] in broken.stdout

    assert bookingdb(world.url, "migrate", "--reapply").exit_code == 0
    assert bookingdb(world.url, "verify").exit_code == 0


def test_selftest_prints_a_line_a_check(world: World) -> None:
    result = bookingdb(world.url, "selftest")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) > 8
    assert all(check["passed"] for check in answer(world.url, "selftest"))


def test_from_registering_to_booking(world: World) -> None:
    therapist = answer(world.url, "register", "therapist", "grace@example.com", "--time-zone", "Europe/Berlin")["id"]
    client = answer(world.url, "register", "client", "ada@example.com", "--name", "Ada")["id"]
    granted = answer(
        world.url, "credits", "grant", client, 2, "--payment-reference", "pi_1", "--expires-at", "2999-01-01T00:00Z"
    )
    assert granted["credits_balance"] == 2

    slot = ("--therapist", therapist, "--date", TOMORROW)
    assert bookingdb(world.url, "check", *slot, "--from", "10:00", "--to", "11:00").stdout == "free\n"
    session = answer(world.url, "book", "--user", client, *slot, "--time", "10:00")
    assert session["time_zone"] == "Europe/Berlin"
    assert session["credits_balance"] == 1

    taken = bookingdb(world.url, "check", *slot, "--from", "10:30", "--to", "11:30")
    assert (taken.exit_code, taken.stdout) == (1, "taken\n")
    assert bookingdb(world.url, "credits", "balance", client).stdout == "1\n"
    assert [entry["kind"] for entry in answer(world.url, "credits", "history", client)] == ["debit", "grant"]
    assert [found["id"] for found in answer(world.url, "sessions", "--user", client)] == [session["id"]]
    assert session["id"] in bookingdb(world.url, "sessions", "--therapist", therapist).stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["credits", "balance", uuid4()], "user_not_found"),
        (["credits", "balance", "me"], "invalid_user_id"),
        (["credits", "grant", uuid4(), "0"], "invalid_parameter"),
        (["book", "--user", uuid4(), "--therapist", uuid4(), "--date", TOMORROW, "--time", "24:00"], "invalid_time"),
        (
            ["book", "--user", uuid4(), "--therapist", uuid4(), "--starts-at", f"{TOMORROW}T10:00Z"],
            "therapist_not_found",
        ),
        (["register", "client", "nobody"], "invalid_parameter"),
    ],
)
def test_a_refusal_is_one_line_with_code_and_hint_on_standard_error(
    world: World, arguments: list[object], code: str
) -> None:
    result = bookingdb(world.url, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    which, refusal = result.stderr.splitlines()
    assert "database test_" in which
    assert refusal.startswith(f"bookingdb: {code}: ")


def test_usage_errors_and_an_unreachable_database_exit_with_2() -> None:
    unreachable = "postgresql://ann:secret@127.0.0.1:1/none"
    for arguments in (["migrate"], ["status"], ["verify"], ["lint"], ["selftest"], ["sessions"]):
        result = bookingdb(unreachable, *arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert "secret" not in result.output
    assert bookingdb(unreachable, "book").exit_code == 2
    assert bookingdb(unreachable, "sessions", "--from", "yesterday").exit_code == 2
    assert bookingdb(unreachable, "sessions", "--from", "2030-01-01T10:00").exit_code == 2


def test_a_database_without_bookingdb_says_how_to_install_it(empty_database: str) -> None:
    result = bookingdb(empty_database, "credits", "balance", uuid4())
    assert result.exit_code == 1
    assert "bookingdb migrate" in result.stderr
