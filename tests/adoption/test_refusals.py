"""What an adoption refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.apps import (
    App,
    rows,
    schema_dump,
)
from tests.support import connect, run
from tests.support.adoption import (
    Found,
    make_plan,
    some_apps,
    with_answers,
)
from tests.support.commands import bookingdb

CHANGES = {
    "a column": "alter table public.sessions add column extra text",
    "a trigger": "create trigger another before insert on public.sessions for each row"
    " execute function suppress_redundant_updates_trigger()",
    "a function": "create or replace function public.create_session_with_credit_deduction(p_new uuid) returns uuid"
    " language sql as 'select p_new'",
    "a policy": "create policy another on public.sessions for delete using (true)",
    "a privilege": "grant select (id) on public.sessions to public",
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@some_apps("drift", "profiles")
def test_apply_refuses_when_the_database_has_changed_since(app: App, live: str, tmp_path: Path, change: str) -> None:
    path = make_plan(app, live, tmp_path)
    with connect(live) as connection:
        run(connection, CHANGES[change])
    dump, contents = schema_dump(live), rows(live)
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert re.search("chang|no longer|not as it was", refused.stderr)
    assert (schema_dump(live), rows(live)) == (dump, contents)


@some_apps("lots")
def test_apply_refuses_answers_that_no_plan_was_made_with(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    edited = with_answers(path.read_text(encoding="utf-8"), {"zone": "Europe/London"})
    path.write_text(edited, encoding="utf-8")
    refused = bookingdb(live, "adopt", "--apply", path)
    assert refused.exit_code == 1
    assert "before its answers were edited" in refused.stderr
    assert schema_dump(live) == found.dump


@some_apps("lots")
def test_apply_refuses_broken_plans_and_answers(app: App, found: Found, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path)
    text = path.read_text(encoding="utf-8")
    unknown_zone = with_answers(text, {"zone": "Mars/Base"})
    for spoilt in ("", "fingerprint = ", text.replace("fingerprint", "finger"), unknown_zone):
        path.write_text(spoilt, encoding="utf-8")
        refused = bookingdb(live, "adopt", "--apply", path)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines()[-1].startswith("bookingdb: ")
    assert bookingdb(live, "adopt", "--apply", tmp_path / "none.toml").exit_code in (1, 2)
    assert schema_dump(live) == found.dump


def test_migrate_refuses_and_points_to_adopt(found: Found, live: str) -> None:
    refused = bookingdb(live, "migrate")
    assert refused.exit_code == 1
    assert "bookingdb adopt" in refused.stderr
    assert schema_dump(live) == found.dump
    assert rows(live) == found.rows
