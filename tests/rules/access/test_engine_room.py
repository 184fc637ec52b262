"""What is nobody's: internal functions, tables and records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from bookingdb.checks import verify
from bookingdb.install import installer
from bookingdb.install.trust import trust
from tests.support import World, run
from tests.support.callers import SUPERUSER, acting, engine_room, everybody, of
from tests.support.hosts import Host
from tests.support.refusals import nothing_written, outcome


def test_no_internal_function_can_be_executed_by_anyone(world: World, host: Host) -> None:
    """Every one of them is called, by every role, with nulls for its arguments."""
    functions = world.run(
        "select format('select bookingdb.%%I(%%s)', p.proname, coalesce(a.nulls, '')) from pg_proc as p"
        " cross join lateral (select string_agg(format('null::%%s', t.type::regtype), ', ') as nulls"
        " from unnest(p.proargtypes::oid[]) as t (type)) as a"
        " where p.pronamespace = 'bookingdb'::regnamespace and not p.proname = any (%s) and not exists ("
        " select from pg_proc as w where w.pronamespace = 'public'::regnamespace and w.proname = p.proname)",
        # Whoever may execute the last one is trusted.
        ["caller_is_trusted", "actor_id", "act_for_anyone"],
    )
    assert len(functions) >= 38
    for role in everybody(host):
        with acting(world, SUPERUSER, role) as connection, nothing_written(world):
            for (statement,) in functions:
                assert outcome(partial(run, connection, statement)) == "42501", (role, statement)


def test_public_functions_are_nobodys_by_default(world: World) -> None:
    """Neither PUBLIC nor anon, also on a host that grants every new function to them."""
    granted = world.run(
        "select p.oid::regprocedure::text, a.grantee::regrole::text"
        " from pg_proc as p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a"
        " where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
        " and (a.grantee = 0 or a.grantee = to_regrole('anon'))"
    )
    assert granted == []


def test_nobody_uses_the_tables_of_the_engine_room(world: World, people: dict[str, Any], host: Host) -> None:
    tables = engine_room(world)
    for role in everybody(host):
        with acting(world, SUPERUSER, role, {"sub": people["me"]}) as connection:
            for table in tables:
                for statement in (
                    f"select * from {table}",
                    f"delete from {table}",
                    f"insert into {table} default values",
                ):
                    assert outcome(partial(run, connection, statement)) == "42501", (role, statement)


@contextmanager
def granted_by_mistake(world: World, role: str) -> Iterator[None]:
    """Give a role every privilege on every table of ours while the block runs."""
    privileges = (
        f"usage on schema bookingdb {{}} {role}",
        f"all on all tables in schema bookingdb {{}} {role}",
        f"all on public.users, public.sessions, public.user_credits, public.booking_audit_log {{}} {role}",
    )
    for privilege in privileges:
        world.run(f"grant {privilege.format('to')}")
    try:
        yield
    finally:
        for privilege in privileges:
            world.run(f"revoke {privilege.format('from')}")
        installer.migrate(world.connection, reapply=True)
        assert verify.verify(world.connection) == []


def test_a_privilege_granted_by_mistake_opens_no_table(world: World, people: dict[str, Any], host: Host) -> None:
    """Row level security is the second fence: nothing of the engine room is seen, and nothing anywhere is written."""
    world.book(people["me"], people["therapist"])
    policies = ["users", "sessions", "user_credits", "booking_audit_log"]
    for role in of(host, ["stranger"], ["anon", "authenticated"]):
        caller = acting(world, SUPERUSER, role, {"sub": people["other"]})
        with granted_by_mistake(world, role), caller as connection, nothing_written(world):
            for table in [table for table in engine_room(world) if table.split(".")[-1] not in ADAPTER_VIEWS]:
                assert run(connection, f"select * from {table}") == [], (role, table)
                # No row is there to be changed or deleted, and none may be added.
                assert run(connection, f"delete from {table} returning 1") == [], (role, table)
                code = outcome(partial(run, connection, f"insert into {table} default values"))
                assert code == "42501", (role, table)
            if role != "stranger":
                for table in policies:
                    assert run(connection, f"delete from {table} returning 1") == [], (role, table)
                for statement in (
                    "insert into users (email) values ('a@b')",
                    "insert into sessions default values",
                    "insert into user_credits (user_id) values (gen_random_uuid())",
                    "insert into booking_audit_log (session_id, action, actor)"
                    " values (gen_random_uuid(), 'created', 'me')",
                ):
                    assert outcome(partial(run, connection, statement)) == "42501", (role, statement)


# A view has no row level security of its own.
ADAPTER_VIEWS = ["therapists", "clients", "people"]


def test_ledger_and_audit_log_are_rewritten_by_superusers_alone(
    world: World, people: dict[str, Any], host: Host
) -> None:
    world.book(people["me"], people["therapist"])
    rewriting = [
        f"{command} {table} {change}"
        for table, change in (("bookingdb.ledger", "set amount = 9"), ("booking_audit_log", "set actor = 'me'"))
        for command, change in (("update", change), ("delete from", ""), ("truncate", ""))
    ]
    for role in [*everybody(host), world.owner]:
        with acting(world, SUPERUSER, role) as connection, nothing_written(world):
            for statement in rewriting:
                assert outcome(partial(run, connection, statement)) == "42501", (role, statement)
    with acting(world, SUPERUSER) as connection, connection.transaction(force_rollback=True):
        assert [outcome(partial(run, connection, statement)) for statement in rewriting[:2]] == ["done"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("again", ["in place", "from nothing"])
def test_installing_again_twice_gives_nobody_anything(world: World, host: Host, again: str) -> None:
    """Also where the functions had to be dropped, and the host gave the new ones to everybody."""

    def privileges() -> list[Any]:
        return world.run(
            "select p.oid::regprocedure::text, p.proacl::text from pg_proc as p"
            " where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
            " union all select c.oid::regclass::text, c.relacl::text from pg_class as c"
            " where c.relnamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
            " union all select n.nspname, n.nspacl::text from pg_namespace as n order by 1"
        )

    before = privileges()
    for _ in range(2):
        if again == "from nothing":
            for (function,) in world.run(
                "select p.oid::regprocedure::text from pg_proc as p"
                " where p.pronamespace in ('public'::regnamespace, 'bookingdb'::regnamespace)"
            ):
                world.run(f"drop function {function} cascade")
        installer.migrate(world.connection, reapply=True)
        if again == "from nothing":
            # Trust went with its function; it has to be said again.
            assert "app_servers" not in installer.trusted_roles(world.connection)
            trust(world.connection, "app_servers")
        assert privileges() == before
        assert verify.verify(world.connection) == []
