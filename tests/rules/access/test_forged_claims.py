"""Callers who try to be somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from bookingdb.install import source
from bookingdb.install.script import PUBLIC_TABLES
from tests.support import Connection, World, run, scalar
from tests.support.callers import SCHEMAS, SUPERUSER, acting, ask, engine_room, logged_in, of
from tests.support.calls import PEOPLE_CALLS
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.refusals import nothing_written, outcome, refused


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("login", "role"), [("impostor", ""), ("impostor", "authenticated")])
def test_claims_that_a_login_role_sets_itself_do_not_count(
    world: World, people: dict[str, Any], login: str, role: str, schema: str
) -> None:
    """A member of authenticated may execute the functions, and can set any setting."""
    for claims in ({"sub": people["me"]}, {"sub": people["me"], "role": "service_role"}):
        with acting(world, login, role, claims) as connection:
            for function in PEOPLE_CALLS:
                assert ask(connection, schema, function, people) == "not_authenticated", function


@on_supabase
def test_trusted_login_in_the_role_of_users_is_that_user(world: World, people: dict[str, Any]) -> None:
    with acting(world, "app_server", "authenticated", {"sub": people["me"]}) as connection:
        assert ask(connection, "public", "get_credit_balance", people) == "done"
        assert ask(connection, "public", "get_credit_balance", {**people, "me": people["other"]}) == "not_allowed"
        assert ask(connection, "public", "grant_credits", people) == "not_allowed"
    with acting(world, "app_server", "authenticated") as connection:
        assert ask(connection, "public", "get_credit_balance", people) == "not_authenticated"


@pytest.fixture
def apps_function(world: World, host: Host) -> Iterator[str]:
    """A function of the application's that belongs to the owner of everything, and calls ours for any user."""
    world.run(
        "create function app_balance(p_user_id uuid) returns integer language plpgsql security definer"
        " set search_path = public as $$ begin return public.get_credit_balance(p_user_id); end $$"
    )
    world.run(
        "create function app_grant(p_user_id uuid) returns uuid language sql security definer"
        " set search_path = public begin atomic select lot_id from public.grant_credits(p_user_id, 100); end"
    )
    for role in of(host, ["stranger", "lazy_server"], ["anon", "authenticated", "impostor"]):
        world.run(f"grant execute on function app_balance(uuid), app_grant(uuid) to {role}")
    yield "app_balance"
    world.run("drop function app_balance(uuid)")
    world.run("drop function app_grant(uuid)")


@on_supabase
def test_definer_function_lends_its_owners_trust_to_nobody(
    world: World, people: dict[str, Any], apps_function: str
) -> None:
    asked = f"select {apps_function}(%s)"
    with logged_in(world, people["me"]) as connection:
        assert scalar(connection, asked, people["me"]) == 3
        with refused("not_allowed"):
            run(connection, asked, people["other"])
        with nothing_written(world), refused("not_allowed"):
            run(connection, "select app_grant(%s)", people["me"])
    for login, role in (("authenticator", "anon"), ("impostor", ""), ("stranger", ""), ("impostor", "authenticated")):
        with acting(world, login, role, {"sub": people["me"]}) as connection, refused("not_authenticated"):
            run(connection, asked, people["me"])
    assert world.scalar(asked, people["other"]) == 3


def test_definer_function_lends_no_trust_to_another_login(
    world: World, people: dict[str, Any], apps_function: str
) -> None:
    for login in ("stranger", "lazy_server"):
        claims = {"sub": people["me"], "role": "service_role"}
        with acting(world, login, "", claims) as connection, nothing_written(world), refused("not_authenticated"):
            run(connection, f"select {apps_function}(%s)", people["me"])


def notices(connection: Connection) -> list[str]:
    """A list that fills with what the server tells this connection beside its answers."""
    noticed: list[str] = []
    connection.add_notice_handler(lambda notice: noticed.append(notice.message_primary or ""))
    return noticed


@pytest.fixture
def minefield(world: World, host: Host) -> Iterator[str]:
    """The search_path of a caller who planted a double of everything that our functions name.

    Its own schema has tables of the names of ours, and the functions and operators of pg_catalog that our files use;
    each says as whom it ran, and fails. pg_temp has the tables, too. pg_catalog comes last.
    """
    callers = of(host, ["app_server"], ["authenticated", "service_role"])
    bodies = "\n".join(file.body for file in source.load().functions)
    names = sorted(set(re.findall(r"\b([a-z_0-9]+)\(", bodies)))
    body = "as $$ begin raise warning 'ran as %', current_user; raise exception 'planted'; end $$ language plpgsql"
    with acting(world, SUPERUSER) as connection:
        run(connection, "create schema planted")
        for table in [*PUBLIC_TABLES, *(table.split(".")[-1] for table in engine_room(world))]:
            run(connection, f"create table planted.{table} (id uuid, user_id uuid, therapist_id uuid)")
        functions = run(
            connection,
            """
            select p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid)
            from pg_proc as p
            where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname = any (%s)
                and not p.proretset
                and not exists (
                    select from pg_type as t where t.typtype = 'p' and t.oid = any (p.proargtypes || p.prorettype)
                )
            """,
            names,
        )
        operators = connection.execute(
            "select o.oprname, o.oprleft::regtype::text, o.oprright::regtype::text, o.oprresult::regtype::text"
            " from pg_operator as o where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b'"
            " and o.oprleft = any (%(types)s::regtype[]) and o.oprright = any (%(types)s::regtype[]) order by 1, 2, 3",
            {"types": ["text", "uuid", "date", "time", "timestamptz", "interval", "integer", "bigint", "jsonb", "bytea",
                       "boolean", "anyrange", "tstzrange", "name", "oid", "varchar", "anyarray"]},
        ).fetchall()  # fmt: skip
        assert len(functions) > 40
        assert len(operators) > 100
        for name, arguments, result in functions:
            run(connection, f"create function planted.{name}({arguments}) returns {result} {body}")
        for number, (name, left, right, result) in enumerate(operators):
            # A function cannot return a polymorphic type that it does not take.
            run(connection, f"create function planted.o{number}({left}, {right}) returns {result} {body}")
            run(
                connection,
                f"create operator planted.{name} (leftarg = {left}, rightarg = {right}, function = planted.o{number})",
            )
        run(connection, f"grant all on schema planted to {', '.join(callers)}")
        run(connection, f"grant all on all tables in schema planted to {', '.join(callers)}")
    yield "planted, pg_temp, public, pg_catalog"
    with acting(world, SUPERUSER) as connection:
        connection.execute(b"set client_min_messages = error")
        run(connection, "drop schema planted cascade")


def test_nothing_that_a_caller_plants_is_looked_at(
    world: World, people: dict[str, Any], host: Host, minefield: str
) -> None:
    callers = of(
        host,
        [("app_server", "", None)],
        [
            ("authenticator", "authenticated", {"sub": people["me"]}),
            ("authenticator", "service_role", None),
        ],
    )
    for login, role, claims in callers:
        with acting(world, login, role, claims) as connection:
            before = {
                (schema, function): ask(connection, schema, function, people)
                for schema in SCHEMAS
                for function in PEOPLE_CALLS
            }
            for table in PUBLIC_TABLES:
                run(connection, f"create temporary table {table} (id uuid, user_id uuid, therapist_id uuid)")
            connection.execute(f"set search_path = {minefield}".encode())
            noticed = notices(connection)
            with pytest.raises(psycopg.errors.RaiseException, match="planted"):
                connection.execute(b"select 'a'::text = 'a'::text")
            assert noticed == [f"ran as {role or login}"]

            for (schema, function), answer in before.items():
                assert ask(connection, schema, function, people) == answer, (role, function)
            if role != "authenticated":
                # What writes directly brings triggers and policies to run with this search_path.
                with connection.transaction(force_rollback=True):
                    if role == "service_role":
                        statement = "insert into public.sessions (user_id, therapist_id, start_time, end_time) values"
                        statement += " (%s, %s, '2031-01-01', '2031-01-02')"
                        run(connection, statement, people["me"], people["therapist"])
                        run(connection, "update public.sessions set status = 'cancelled'")
                        run(connection, "delete from public.sessions")
                        run(connection, "update public.user_credits set credits_balance = 9")
                        run(connection, "update public.users set is_active = false")
            for table in ("users", "sessions", "user_credits"):
                run(connection, f"select * from public.{table}")
            assert noticed == [f"ran as {role or login}"]


# Types are what `set search_path = ''` leaves open: they are then looked up in pg_temp first.
PLANTED_TYPES = ["text", "uuid", "jsonb", "date", "bytea", "name", "timestamptz", "tstzrange"]


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_planted_type_runs_no_code_as_the_owner(world: World, people: dict[str, Any], schema: str) -> None:
    with logged_in(world, people["me"]) as connection:
        noticed = notices(connection)
        connection.execute(
            "create function pg_temp.evil() returns pg_catalog.bool language plpgsql as"
            " $$ begin raise warning 'ran as %', current_user; return true; end $$"
        )
        for name in PLANTED_TYPES:
            connection.execute(f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.evil())".encode())
        connection.execute("select 'x'::pg_temp.text")
        assert noticed == ["ran as authenticated"]

        for function, values in PEOPLE_CALLS.items():
            # A plain `uuid[]` in this session's own statement would be the planted one.
            arguments = values.replace("::uuid[]", "::pg_catalog.uuid[]")
            with connection.transaction(force_rollback=True):
                outcome(partial(connection.execute, f"select * from {schema}.{function}({arguments})".encode(), people))

    assert noticed == ["ran as authenticated"]
