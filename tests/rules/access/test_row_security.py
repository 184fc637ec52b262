"""Who sees and writes which rows, on every host."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.support import Connection, World, run, scalar
from tests.support.callers import OWNER, SUPERUSER, acting, everybody, logged_in, of
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.refusals import nothing_written, outcome, refused


def rows_seen(connection: Connection) -> dict[str, int | str]:
    """Count what a connection sees of each table."""
    seen: dict[str, int | str] = {}
    for table in ("users", "sessions", "user_credits", "booking_audit_log"):
        code = outcome(partial(run, connection, f"select * from {table} limit 1"))
        seen[table] = code if code != "done" else scalar(connection, f"select count(*) from {table}")
    return seen


@on_supabase
def test_everybody_sees_only_their_own_rows(world: World, booked: dict[str, Any]) -> None:
    with logged_in(world, booked["me"]) as connection:
        assert rows_seen(connection) == {
            "users": 1, "sessions": 1, "user_credits": 1, "booking_audit_log": "42501",
        }  # fmt: skip
        assert scalar(connection, "select user_id from sessions") == booked["me"]
        assert scalar(connection, "select id from users") == booked["me"]
        assert scalar(connection, "select user_id from user_credits") == booked["me"]
    with logged_in(world, booked["therapist"]) as connection:
        assert rows_seen(connection) == {
            "users": 1, "sessions": 2, "user_credits": 0, "booking_audit_log": "42501",
        }  # fmt: skip


def test_only_trusted_callers_see_rows_of_everybody(world: World, booked: dict[str, Any], host: Host) -> None:
    callers = of(
        host,
        [
            ("stranger", "", True, ["42501"] * 4),
            ("lazy_server", "", True, ["42501"] * 4),
            ("app_server", "", False, [3, 2, 2, 2]),
            (OWNER, "", False, [3, 2, 2, 2]),
        ],
        [
            ("authenticator", "authenticated", False, [0, 0, 0, "42501"]),
            ("impostor", "", True, [0, 0, 0, "42501"]),
            ("impostor", "authenticated", True, [0, 0, 0, "42501"]),
            ("authenticator", "anon", True, ["42501"] * 4),
            ("authenticator", "", True, ["42501"] * 4),
            ("authenticator", "service_role", False, [3, 2, 2, 2]),
        ],
    )
    for login, role, claimed, seen in callers:
        with acting(world, login, role, {"sub": booked["me"]} if claimed else None) as connection:
            assert list(rows_seen(connection).values()) == seen, (login, role)


@on_supabase
@pytest.mark.parametrize("claims", ["", "{", "null", '{"sub": 1}', "[" * 200_000])
def test_broken_claims_see_no_rows_and_are_no_error(world: World, booked: dict[str, Any], claims: str) -> None:
    with acting(world, "authenticator", "authenticated", claims) as connection:
        assert rows_seen(connection) == {"users": 0, "sessions": 0, "user_credits": 0, "booking_audit_log": "42501"}


@on_supabase
def test_caller_is_looked_up_once_a_query(world: World, booked: dict[str, Any]) -> None:
    with acting(world, SUPERUSER) as connection:
        connection.execute(
            b"insert into sessions (user_id, status) select id, 'cancelled' from users, generate_series(1, 300)"
        )
    counted = "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions where funcname = 'actor_id'"
    with acting(world, SUPERUSER) as connection:
        connection.execute(b"set track_functions = 'all'")
        connection.execute(b"set session authorization authenticator")
        connection.execute(b"set role authenticated")
        connection.execute(
            "select set_config('request.jwt.claims', %s, false)", [json.dumps({"sub": str(booked["me"])})]
        )
        for table in ("users", "sessions", "user_credits"):
            before = scalar(connection, counted)
            assert scalar(connection, f"select count(*) from {table}") >= 1
            calls = scalar(connection, counted) - before
            # Once for each place where the policy names it.
            assert calls <= 2, table
        plan = "\n".join(line for (line,) in run(connection, "explain select * from sessions"))
    assert "InitPlan" in plan
    assert "actor_id()" not in plan.partition("InitPlan")[0]


def test_nobody_writes_but_the_owner_and_service_role(world: World, booked: dict[str, Any], host: Host) -> None:
    writes = [
        "update users set full_name = 'Me'", "delete from users", "insert into users (email) values ('a@b')",
        "update sessions set status = 'cancelled'", "delete from sessions", "insert into sessions default values",
        "update user_credits set credits_balance = 9", "delete from user_credits",
        "insert into user_credits (user_id) values (gen_random_uuid())",
        "update booking_audit_log set actor = 'me'", "delete from booking_audit_log",
        "insert into booking_audit_log (session_id, action, actor) values (gen_random_uuid(), 'created', 'me')",
        "truncate sessions", "truncate user_credits", "truncate users cascade",
        "select nextval('booking_audit_log_id_seq')", "alter table sessions disable trigger all",
        "create trigger t after insert on sessions for each row execute function bookingdb.refuse_change()",
    ]  # fmt: skip
    for role in everybody(host):
        if role == "service_role":
            continue
        with acting(world, SUPERUSER, role, {"sub": booked["me"]}) as connection, nothing_written(world):
            for statement in writes:
                assert outcome(partial(run, connection, statement)) == "42501", (role, statement)


@on_supabase
def test_service_role_writes_directly_and_the_guarantees_hold(world: World, booked: dict[str, Any]) -> None:
    with acting(world, "authenticator", "service_role") as connection:
        run(connection, "update sessions set status = 'cancelled' where user_id = %s", booked["me"])
        run(connection, "update user_credits set credits_balance = 7 where user_id = %s", booked["me"])
        with refused("booking_conflict"):
            run(
                connection,
                "insert into sessions (user_id, therapist_id, start_time, end_time)"
                " select s.user_id, s.therapist_id, s.start_time, s.end_time from sessions as s"
                " where s.status = 'scheduled'",
            )
        for statement in (
            "truncate sessions",
            "delete from booking_audit_log",
            "update booking_audit_log set actor = ''",
        ):
            assert outcome(partial(run, connection, statement)) == "42501"

    assert world.balance(booked["me"]) == 7
    assert world.violations() == []
