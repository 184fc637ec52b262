"""An adoption that is undone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from bookingdb.adoption.undo import undo
from bookingdb.install import export, installer, source
from tests.apps import (
    CLIENT,
    App,
    Rows,
    book,
    differences,
    rows,
    schema_dump,
    server_of,
)
from tests.support import Connection, run
from tests.support.adoption import (
    Adopted,
    Found,
    adopt,
    run_named,
    some_apps,
)
from tests.support.commands import bookingdb, done


def test_undo_puts_every_object_and_every_row_back(taken: Adopted, url: str) -> None:
    done(url, "adopt", "--undo")
    assert schema_dump(url) == taken.found.dump
    assert differences(taken.found.rows, rows(url)) == []


def test_undo_keeps_what_has_happened_since(app: App, taken: Adopted, url: str) -> None:
    written = uuid4()
    with server_of(url) as caller:
        (booked,) = book(caller, app, app.free())
        run_named(caller, app.insert, app.written(written, app.free(hour=14)))
        (later,) = run(
            caller, "select id from public.sessions where status = 'scheduled' and id::text like '%-8000-1%' limit 1"
        )
        run_named(caller, app.change_status, {"id": later[0], "status": "completed"})
    done(url, "adopt", "--undo")
    assert without_checks(schema_dump(url)) == without_checks(taken.found.dump)
    after = rows(url)
    ids = {row["id"]: row for row in after["public.sessions"]}
    assert {str(booked["id"]), str(written)} <= ids.keys()
    assert ids[str(later[0])]["status"] == "completed"
    spent = _credits(taken.found.rows) - _credits(after)
    assert spent == 1


@some_apps("lots", "clean")
def test_undo_takes_back_the_status_of_used_lots(app: App, taken: Adopted, url: str, owner: Connection) -> None:
    """Of those that were used up before, and of those since: the application's checks may know no such status."""
    empty = "update public.user_credits set credits_balance = 0 where status = 'active' and credits_balance > 0"
    emptied = [lot for (lot,) in run(owner, f"{empty} returning id")]
    statuses = "select distinct status from public.user_credits where id = any (%s)"
    assert run(owner, statuses, emptied) == [("used",)]

    done(url, "adopt", "--undo")

    assert schema_dump(url) == taken.found.dump
    assert run(owner, statuses, emptied) == [("active",)]
    assert run(owner, "select from public.user_credits where status = 'used'") == []


def without_checks(dump: str) -> tuple[set[str], set[str]]:
    """The lines of a dump, and the names of its checks: one that later rows break comes back not valid, elsewhere."""
    lines = {line.strip().removesuffix(",") for line in dump.splitlines()}
    check = re.compile(r"(?:ADD )?CONSTRAINT (\S+) CHECK |-- Name: .* CHECK CONSTRAINT;|ALTER TABLE (?:ONLY )?\S+$")
    names = {found[1] for line in lines if (found := check.match(line)) and found[1]}
    return {line for line in lines if not check.match(line)}, names


def _credits(contents: Rows) -> int:
    return sum(row["credits_balance"] or 0 for row in contents["public.user_credits"] if row["user_id"] == str(CLIENT))


@some_apps("clean")
def test_an_adopted_database_is_given_back_not_uninstalled(app: App, url: str) -> None:
    before = schema_dump(url)
    result = bookingdb(url, "uninstall", "--yes")
    assert result.exit_code == 1
    assert "bookingdb adopt --undo" in result.output
    assert schema_dump(url) == before


@some_apps("drift")
def test_a_companion_trigger_that_is_missing_or_off_is_noticed(app: App, url: str, owner: Connection) -> None:
    for statement in (
        "alter table public.sessions disable trigger bookingdb_notification",
        "drop trigger bookingdb_notification on public.sessions",
    ):
        run(owner, statement)
        result = bookingdb(url, "verify")
        assert result.exit_code == 1
        assert "bookingdb_notification on public.sessions" in result.output


def test_a_database_that_was_never_adopted_has_nothing_to_undo(found: Found, live: str) -> None:
    result = bookingdb(live, "adopt", "--undo")
    assert result.exit_code == 1
    assert "No such command" not in result.output
    assert schema_dump(live) == found.dump


@pytest.mark.slow
@some_apps("clean", "drift", "enrollments")
def test_after_undo_it_can_be_adopted_again(app: App, url: str, tmp_path: Path) -> None:
    done(url, "adopt", "--undo")
    adopt(app, url, tmp_path)
    assert bookingdb(url, "verify").exit_code == 0


@pytest.mark.parametrize("is_by_script", [False, True], ids=["by_migrate", "by_script"])
@some_apps("clean")
def test_undo_takes_back_what_later_migrations_added(
    taken: Adopted, url: str, owner: Connection, is_by_script: bool
) -> None:
    """From the application's tables: columns, constraints and indexes; what became another one or went is as it was."""
    statements = """
        alter table public.sessions add column later text, add constraint sessions_later_check check (later <> '');
        comment on column public.sessions.later is 'what came later';
        create index sessions_later_idx on public.sessions (later);
        create index users_later_idx on public.users (email, id);
        alter table public.user_credits
        drop constraint user_credits_credits_balance_check,
        add constraint user_credits_credits_balance_check check (credits_balance between 0 and 1000000);
        drop index public.idx_sessions_user;
    """
    files = installer.installed_source(owner)
    later = source.SqlFile("migrations/9999_later.sql", statements)
    newer = replace(files, migrations=(*files.migrations, later))
    if is_by_script:
        run(owner, export.sql_script(newer))
    else:
        installer.migrate(owner, source=newer)
    assert run(owner, "select later from public.sessions limit 1") == [(None,)]
    assert installer.migrate(owner, source=newer).is_empty

    undo(owner, newer)

    assert schema_dump(url) == taken.found.dump
