"""Installing and using bookingdb where it lives: a plain Postgres, and Supabase as it is and as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from bookingdb.checks import verify
from bookingdb.install import installer
from bookingdb.install.script import PUBLIC_TABLES
from tests.support import TOMORROW, Connection, connect, run, scalar
from tests.support.commands import answer, bookingdb
from tests.support.databases import on_supabase
from tests.support.hosts import Host


@pytest.fixture
def owner(hosts_empty_database: str) -> Iterator[Connection]:
    """The owner's connection to a new database, with bookingdb in it."""
    with connect(hosts_empty_database) as connection:
        installer.migrate(connection)
        yield connection


@pytest.mark.slow
def test_everything_from_migrate_to_a_booking(hosts_empty_database: str) -> None:
    url = hosts_empty_database

    assert answer(url, "migrate")["migrations"][0] == "0001_core"
    assert answer(url, "verify") == []
    assert answer(url, "migrate")["reason"] is None
    assert all(check["passed"] for check in answer(url, "selftest"))

    therapist = answer(url, "register", "therapist", "grace@example.com")["id"]
    client = answer(url, "register", "client", "ada@example.com")["id"]
    answer(url, "credits", "grant", client, 1)
    booking = ["book", "--user", client, "--therapist", therapist, "--date", TOMORROW, "--time"]
    assert answer(url, *booking, "23:30")["credits_balance"] == 0
    assert "booking_conflict" in bookingdb(url, *booking, "23:00").stderr
    assert "insufficient_credits" in bookingdb(url, *booking, "10:00").stderr
    assert answer(url, "verify") == []


def test_nothing_needs_a_superuser_or_belongs_to_one(owner: Connection) -> None:
    assert not scalar(owner, "select rolsuper from pg_roles where rolname = current_user")
    assert run(owner, "select n.nspname from pg_extension as e inner join pg_namespace as n on n.oid = e.extnamespace"
                      " where e.extname = 'btree_gist'") == [("extensions",)]  # fmt: skip
    others = run(
        owner,
        "select c.oid::regclass::text from pg_class as c"
        " where c.relnamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
        " and c.relowner <> current_user::regrole union all"
        " select p.oid::regprocedure::text from pg_proc as p"
        " where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
        " and p.proowner <> current_user::regrole",
    )
    assert others == []


def test_public_holds_what_applications_see_and_nothing_else(owner: Connection) -> None:
    relations = run(owner, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")
    assert {name for (name,) in relations} == set(PUBLIC_TABLES)
    operators = "select count(*) from pg_operator where oprnamespace = 'public'::regnamespace"
    assert scalar(owner, operators) == 0


@on_supabase
def test_the_schema_auth_is_not_needed(hosts_empty_database: str, host: Host) -> None:
    """The same rows are seen with and without it, and the same booking is made."""
    me, other = uuid4(), uuid4()
    seen = []
    with connect(hosts_empty_database) as owner:
        installer.migrate(owner)
        for person in (me, other):
            run(owner, "select register_client(%s, null, %s)", f"{person}@example.com", person)
            run(owner, "select * from grant_credits(%s, 2)", person)
        therapist = scalar(owner, "select register_therapist('grace@example.com')")
        # Nothing of ours hangs on it: no CASCADE.
        as_superuser = psycopg.conninfo.make_conninfo(hosts_empty_database, user=host.superuser)
        for time in ("10:00", "12:00"):
            with connect(psycopg.conninfo.make_conninfo(hosts_empty_database, user="authenticator")) as connection:
                run(connection, "set role authenticated")
                claims = json.dumps({"sub": str(me), "role": "authenticated"})
                run(connection, "select set_config('request.jwt.claims', %s, false)", claims)
                run(
                    connection,
                    "select * from create_session_with_credit_deduction(%s, %s, %s, %s)",
                    me, therapist, TOMORROW, time,
                )  # fmt: skip
                seen.append(run(connection, "select user_id from sessions union select user_id from user_credits"))
            if time == "10:00":
                with connect(as_superuser) as superuser:
                    run(superuser, "drop function auth.uid(), auth.role(), auth.jwt(); drop table auth.users")
                    run(superuser, "drop schema auth")
        assert verify.verify(owner) == []
    assert seen == [[(me,)], [(me,)]]


def test_applications_tables_follow_the_host_and_ours_do_not(owner: Connection, host: Host) -> None:
    """On older projects everybody may use a new table of public; not so ours."""
    run(owner, "create table of_the_application (id uuid primary key)")
    handed_out = "select coalesce(relacl::text, '') like '%anon=%' from pg_class where oid = %s::regclass"
    handed_out = handed_out.replace("'%anon=%'", "'%%anon=%%'")
    assert scalar(owner, handed_out, "of_the_application") == (host.name == "supabase_before_october_2026")
    for table in PUBLIC_TABLES:
        assert not scalar(owner, handed_out, table)
