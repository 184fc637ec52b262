"""Who may write in an adopted database."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg

from tests.apps import (
    CLIENT,
    OTHER_CLIENT,
    App,
    book,
    server_of,
)
from tests.support import Connection, connect, run, scalar
from tests.support.adoption import (
    OURS,
    audited,
    make_plan,
    occupied,
    some_apps,
)
from tests.support.commands import done


def test_nobody_from_outside_writes_money(reader: Connection) -> None:
    for table in ("public.user_credits", "public.booking_audit_log"):
        for role in ("anon", "authenticated"):
            for privilege in ("insert", "update", "delete", "truncate"):
                assert scalar(reader, "select has_table_privilege(%s, %s, %s)", role, table, privilege) is False
                if privilege in ("insert", "update"):
                    single = scalar(reader, "select has_any_column_privilege(%s, %s, %s)", role, table, privilege)
                    assert single is False


def test_row_level_security_is_on_wherever_it_matters(reader: Connection) -> None:
    tables = [f"public.{table}" for table in OURS]
    query = "select oid::regclass::text from pg_class where oid = any (%s::regclass[]) and not relrowsecurity"
    assert run(reader, query, tables) == []


@some_apps("drift", "lots", "single_balance")
def test_nobody_grants_themselves_credits_by_an_apps_function(app: App, owner: Connection) -> None:
    assert app.giveaways
    for function in app.giveaways:
        if scalar(owner, "select to_regprocedure(%s) is not null", function):
            for role in ("anon", "authenticated"):
                allowed = scalar(owner, "select has_function_privilege(%s, %s, 'execute')", role, function)
                assert allowed is False, (role, function)


@some_apps("drift", "two_zones")
def test_the_owner_may_leave_money_writable_and_is_told_loudly(app: App, live: str, tmp_path: Path) -> None:
    path = make_plan(app, live, tmp_path, "--keep-money-writable")
    applied = done(live, "adopt", "--apply", path)
    assert re.search(r"[A-Z]{4}.*[A-Z]{4}", applied.stderr)
    with connect(live) as connection:
        query = "select has_table_privilege('authenticated', 'public.user_credits', 'update')"
        assert scalar(connection, query) is True


@some_apps("clean", "profiles")
def test_users_change_their_sessions_in_the_browser_as_before(app: App, url: str, owner: Connection) -> None:
    assert app.browser_updates
    with server_of(url) as caller:
        (booked,) = book(caller, app, app.free())
    login = psycopg.conninfo.make_conninfo(url, user="authenticator")
    for who, written in ((OTHER_CLIENT, 0), (CLIENT, 1)):
        with connect(login) as browser:
            run(browser, "set role authenticated")
            claims = json.dumps({"sub": str(who), "role": "authenticated"})
            run(browser, "select set_config('request.jwt.claims', %s, false)", claims)
            changed = browser.execute("update public.sessions set status = 'cancelled' where id = %s", [booked["id"]])
            assert changed.rowcount == written
    assert len(audited(owner, booked["id"])) == 2
    assert occupied(owner, booked["id"]) == []
