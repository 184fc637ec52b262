"""Who may call what and see what, on every host; and callers who try to be somebody else."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from bookingdb.checks import verify
from bookingdb.install import installer, source
from bookingdb.install.installer import PUBLIC_TABLES
from tests.support import TOMORROW, Connection, World, run, scalar
from tests.support.callers import CALLS, OWNER, SCHEMAS, SUPERUSER, acting, logged_in, of
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.refusals import nothing_written, outcome, refused


@pytest.fixture
def world(hosted_world: World) -> World:
    return hosted_world


@pytest.fixture
def people(world: World) -> dict[str, Any]:
    """Return a therapist, two clients with credits, and an address nobody has."""
    return {
        "therapist": world.therapist(),
        "me": world.client(credits=3),
        "other": world.client(credits=3),
        "date": TOMORROW,
        "email": f"{uuid4()}@example.com",
        "id": uuid4(),
    }


OWN = ["create_session_with_credit_deduction", "get_credit_balance", "get_credit_history"]
TRUSTED_ONLY = ["register_therapist", "set_therapist_active", "grant_credits"]


def ask(connection: Connection, schema: str, function: str, people: dict[str, Any]) -> str:
    """Call a function in a transaction that is rolled back, and return how it ended."""
    with connection.transaction(force_rollback=True):
        statement = f"select * from {schema}.{function}({CALLS[function]})"
        return outcome(partial(connection.execute, statement.encode(), people))


# ----------------------------------------------------------------------------------------------------------------------
# Roles
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS)
def test_trusted_callers_act_for_anyone(world: World, people: dict[str, Any], host: Host, schema: str) -> None:
    callers = of(
        host,
        [(OWNER, ""), (SUPERUSER, ""), (SUPERUSER, "bookingdb_service"), ("app_server", ""),
         ("lazy_server", "bookingdb_service")],
        [("authenticator", "service_role"), (OWNER, "service_role")],
    )  # fmt: skip
    for login, role in callers:
        with acting(world, login, role) as connection:
            for function in CALLS:
                assert ask(connection, schema, function, people) == "done", (login, role, function)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_who_has_no_right_to_execute_gets_no_further(
    world: World, people: dict[str, Any], host: Host, schema: str
) -> None:
    """NOINHERIT is the point of two of them: membership alone is no privilege. Claims change nothing."""
    callers = of(
        host,
        [("stranger", ""), ("lazy_server", "")],
        [("authenticator", "anon"), (SUPERUSER, "anon"), (OWNER, "anon"), ("authenticator", "")],
    )
    for login, role in callers:
        with acting(world, login, role, {"sub": people["me"]}) as connection, nothing_written(world):
            for function in CALLS:
                assert ask(connection, schema, function, people) == "42501", (login, role, function)


def test_membership_without_the_privileges_is_no_trust(world: World, people: dict[str, Any], host: Host) -> None:
    """Also where such a role may execute a function: it could act as another role, but does not yet."""
    for login in of(host, ["lazy_server", "stranger"], ["authenticator"]):
        allowed = (
            f"usage on schema bookingdb to {login}",
            f"execute on function public.get_credit_balance(uuid), bookingdb.get_credit_balance(uuid) to {login}",
        )
        for privilege in allowed:
            world.run(f"grant {privilege}")
        try:
            for claims in (None, {"sub": people["me"]}, {"sub": people["me"], "role": "service_role"}):
                with acting(world, login, "", claims) as connection:
                    assert ask(connection, "public", "get_credit_balance", people) == "not_authenticated"
        finally:
            for privilege in allowed:
                world.run(f"revoke {privilege}".replace(" to ", " from "))


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    "claims",
    [
        None, "", "{}", "{", "[" * 200_000,
        "null", "true", "[]", '"text"', "not json", "{'sub': 'x'}", '{"sub": null}', '{"sub": ""}',
        '{"sub": 1}', '{"sub": {}}', '{"sub": "\\u0000"}', '{"sub": "00000000-0000-0000-0000-00000000000"}',
        '{"sub": "{00000000-0000-4000-8000-000000000000}"}', '{"sub": "service_role", "role": "service_role"}',
        '{"role": "service_role"}',
    ],
)  # fmt: skip
def test_without_good_claims_nobody_is_authenticated(
    world: World, people: dict[str, Any], claims: str | None, schema: str
) -> None:
    with acting(world, "authenticator", "authenticated", claims) as connection:
        for function in CALLS:
            assert ask(connection, schema, function, people) == "not_authenticated", function


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_logged_in_user_acts_for_itself(world: World, people: dict[str, Any], schema: str) -> None:
    with logged_in(world, people["me"]) as connection:
        for function in CALLS:
            answer = ask(connection, schema, function, people)

            allowed = [*OWN, "check_booking_conflict", "lock_for_booking"]
            assert answer == ("done" if function in allowed else "not_allowed"), function


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_logged_in_user_acts_for_nobody_else(world: World, people: dict[str, Any], schema: str) -> None:
    with logged_in(world, people["other"]) as connection, nothing_written(world):
        for function in [*OWN, *TRUSTED_ONLY, "lock_for_booking", "register_client"]:
            assert ask(connection, schema, function, people) == "not_allowed", function
        # Also of somebody who does not exist: that would tell who does.
        for function in OWN:
            assert ask(connection, schema, function, {**people, "me": uuid4()}) == "not_allowed", function
        for function in OWN:
            assert ask(connection, schema, function, {**people, "me": None}) == "invalid_user_id", function


@on_supabase
@pytest.mark.parametrize("sub", [str.upper, str.lower])
def test_the_letters_of_a_users_id_may_be_of_either_case(world: World, people: dict[str, Any], sub: Any) -> None:
    with acting(world, "authenticator", "authenticated", {"sub": sub(str(people["me"]))}) as connection:
        assert ask(connection, "public", "get_credit_balance", people) == "done"


@on_supabase
def test_the_claims_of_older_postgrest_count_too(world: World, people: dict[str, Any]) -> None:
    with acting(world, "authenticator", "authenticated") as connection:
        connection.execute("select set_config('request.jwt.claim.sub', %s, false)", [str(people["me"])])
        assert ask(connection, "public", "get_credit_balance", people) == "done"
        # Those of the newer kind come first.
        connection.execute("select set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{people["other"]}"}}'])
        assert ask(connection, "public", "get_credit_balance", people) == "not_allowed"


@on_supabase
def test_claims_end_with_their_transaction(world: World, people: dict[str, Any]) -> None:
    with acting(world, "authenticator") as connection:
        with connection.transaction():
            connection.execute("set local role authenticated")
            connection.execute("select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{people["me"]}"}}'])
            assert ask(connection, "public", "get_credit_balance", people) == "done"
        with connection.transaction():
            connection.execute("set local role authenticated")
            assert ask(connection, "public", "get_credit_balance", people) == "not_authenticated"


@on_supabase
def test_what_the_answers_say_of_who_did_it(world: World, people: dict[str, Any]) -> None:
    statement = f"select * from create_session_with_credit_deduction({CALLS['create_session_with_credit_deduction']})"
    with logged_in(world, people["me"]) as connection:
        connection.execute(statement.encode(), people)
    with acting(world, "authenticator", "service_role") as connection:
        connection.execute(b"update sessions set status = 'cancelled'")

    assert world.run("select actor from booking_audit_log order by id") == [(str(people["me"]),), ("service_role",)]
    assert world.run("select actor from bookingdb.ledger where kind = 'debit'") == [(str(people["me"]),)]


# ----------------------------------------------------------------------------------------------------------------------
# Forged claims
# ----------------------------------------------------------------------------------------------------------------------


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("login", "role"), [("impostor", ""), ("impostor", "authenticated")])
def test_claims_that_a_login_role_sets_itself_do_not_count(
    world: World, people: dict[str, Any], login: str, role: str, schema: str
) -> None:
    """A member of authenticated may execute the functions, and can set any setting."""
    for claims in ({"sub": people["me"]}, {"sub": people["me"], "role": "service_role"}):
        with acting(world, login, role, claims) as connection:
            for function in CALLS:
                assert ask(connection, schema, function, people) == "not_authenticated", function


@on_supabase
def test_a_trusted_login_that_takes_on_the_role_of_users_is_that_user(world: World, people: dict[str, Any]) -> None:
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
def test_an_applications_definer_function_lends_its_owners_trust_to_nobody(
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


def test_an_applications_definer_function_lends_its_owners_trust_to_no_other_login(
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
                for function in CALLS
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
def test_a_type_that_the_caller_plants_does_not_run_its_code_as_the_owner(
    world: World, people: dict[str, Any], schema: str
) -> None:
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

        for function, values in CALLS.items():
            # A plain `uuid[]` in this session's own statement would be the planted one.
            arguments = values.replace("::uuid[]", "::pg_catalog.uuid[]")
            with connection.transaction(force_rollback=True):
                outcome(partial(connection.execute, f"select * from {schema}.{function}({arguments})".encode(), people))

    assert noticed == ["ran as authenticated"]


# ----------------------------------------------------------------------------------------------------------------------
# What is nobody's
# ----------------------------------------------------------------------------------------------------------------------


def everybody(host: Host) -> list[str]:
    """Every role of a host but the owner and superusers."""
    return of(
        host,
        ["bookingdb_service", "app_server", "lazy_server", "stranger"],
        ["anon", "authenticated", "service_role", "authenticator", "impostor", "supabase_auth_admin"],
    )


def test_no_internal_function_can_be_executed_by_anyone(world: World, host: Host) -> None:
    """Every one of them is called, by every role, with nulls for its arguments."""
    functions = world.run(
        "select format('select bookingdb.%%I(%%s)', p.proname, coalesce(a.nulls, '')) from pg_proc as p"
        " cross join lateral (select string_agg(format('null::%%s', t.type::regtype), ', ') as nulls"
        " from unnest(p.proargtypes::oid[]) as t (type)) as a"
        " where p.pronamespace = 'bookingdb'::regnamespace and not p.proname = any (%s) and not exists ("
        " select from pg_proc as w where w.pronamespace = 'public'::regnamespace and w.proname = p.proname)",
        ["caller_is_trusted", "actor_id"],
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


def engine_room(world: World) -> list[str]:
    """The tables and views of the schema bookingdb."""
    tables = world.run(
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = 'bookingdb'::regnamespace"
        " and c.relkind in ('r', 'v', 'm', 'p')"
    )
    assert len(tables) >= 10
    return [table for (table,) in tables]


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
ADAPTER_VIEWS = ["therapists", "clients"]


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
        assert privileges() == before
        assert verify.verify(world.connection) == []


# ----------------------------------------------------------------------------------------------------------------------
# Rows
# ----------------------------------------------------------------------------------------------------------------------


def rows_seen(connection: Connection) -> dict[str, int | str]:
    """Count what a connection sees of each table."""
    seen: dict[str, int | str] = {}
    for table in ("users", "sessions", "user_credits", "booking_audit_log"):
        code = outcome(partial(run, connection, f"select * from {table} limit 1"))
        seen[table] = code if code != "done" else scalar(connection, f"select count(*) from {table}")
    return seen


@pytest.fixture
def booked(world: World, people: dict[str, Any]) -> dict[str, Any]:
    """A session of each of the two clients."""
    world.book(people["me"], people["therapist"], "10:00")
    world.book(people["other"], people["therapist"], "12:00")
    return people


@on_supabase
def test_everybody_sees_its_own_rows_only(world: World, booked: dict[str, Any]) -> None:
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


def test_who_sees_which_rows(world: World, booked: dict[str, Any], host: Host) -> None:
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
def test_who_is_asking_is_looked_up_once_a_query_and_not_once_a_row(world: World, booked: dict[str, Any]) -> None:
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


# ----------------------------------------------------------------------------------------------------------------------
# Registering oneself
# ----------------------------------------------------------------------------------------------------------------------

REGISTER = "select register_client(%s, %s, %s)"


@on_supabase
def test_a_logged_in_user_registers_itself_under_the_address_of_its_token(world: World) -> None:
    me = uuid4()
    with logged_in(world, me, email="Me@Example.com") as connection:
        assert scalar(connection, REGISTER, "me@example.com", "Me", None) == me
        assert scalar(connection, REGISTER, " ME@example.com ", None, me) == me

    assert world.run("select id, lower(email), full_name, user_type, is_active from users") == [
        (me, "me@example.com", "Me", "user", True)
    ]


@on_supabase
def test_a_logged_in_user_registers_nobody_else_and_no_other_address(world: World, people: dict[str, Any]) -> None:
    taken = world.scalar("select email from users where id = %s", people["other"])
    me = uuid4()
    with logged_in(world, me, email="me@example.com") as connection, nothing_written(world):
        for email, person in (("else@example.com", None), ("me@example.com", uuid4()), (None, None), (taken, None)):
            with refused("not_allowed"):
                run(connection, REGISTER, email, None, person)
    without: list[dict[str, Any]] = [{}, {"email": ""}, {"email": None}]
    for claims in without:
        with logged_in(world, me, **claims) as connection, nothing_written(world):
            for email, code in (("me@example.com", "not_allowed"), ("", "not_allowed"), (None, "invalid_parameter")):
                with refused(code):
                    run(connection, REGISTER, email, None, None)


@on_supabase
def test_nobody_takes_over_the_account_of_an_address(world: World, people: dict[str, Any]) -> None:
    """The address of the token is somebody else's in the table: neither the row nor its credits change hands."""
    taken = world.scalar("select email from users where id = %s", people["other"])
    with logged_in(world, uuid4(), email=taken) as connection, nothing_written(world):
        with refused("invalid_parameter"):
            run(connection, REGISTER, taken, None, None)
        with refused("not_allowed"):
            run(connection, REGISTER, taken, None, people["other"])


@on_supabase
@pytest.mark.parametrize("state", ["is_active = false", "is_verified = false", "full_name = 'As verified'"])
def test_nobody_lifts_its_own_deactivation_or_renames_itself(world: World, people: dict[str, Any], state: str) -> None:
    world.run(f"update users set {state} where id = %s", people["me"])
    email = world.scalar("select email from users where id = %s", people["me"])
    with logged_in(world, people["me"], email=email) as connection, nothing_written(world), refused("not_allowed"):
        run(connection, REGISTER, email, "Another Name", None)


@on_supabase
def test_a_therapist_does_not_become_a_client_by_registering(world: World, people: dict[str, Any]) -> None:
    email = world.scalar("select email from users where id = %s", people["therapist"])
    therapist = logged_in(world, people["therapist"], email=email)
    with therapist as connection, nothing_written(world), refused("invalid_parameter"):
        run(connection, REGISTER, email, None, None)


def test_a_role_that_was_renamed_while_somebody_acts_as_it_is_nobody(world: World, people: dict[str, Any]) -> None:
    with acting(world, SUPERUSER) as administrator, acting(world, SUPERUSER) as connection:
        administrator.execute("create role renamed in role bookingdb_service")
        try:
            connection.execute("set role renamed")
            assert ask(connection, "public", "get_credit_balance", people) == "done"
            administrator.execute("alter role renamed rename to renamed_since")
            assert ask(connection, "public", "get_credit_balance", people) == "not_authenticated"
        finally:
            connection.execute("reset role")
            administrator.execute("drop role if exists renamed, renamed_since")


@on_supabase
def test_a_logged_in_user_locks_itself_and_therapists_only(world: World, people: dict[str, Any]) -> None:
    lock = "select lock_for_booking(%s)"
    with logged_in(world, people["me"]) as connection:
        run(connection, lock, [people["me"], people["therapist"]])
        run(connection, lock, [people["therapist"]])
        for person in (people["other"], uuid4()):
            with refused("not_allowed"):
                run(connection, lock, [people["me"], person])
        # More would be locked by the one lock that stops everybody's bookings.
        run(connection, lock, [people["therapist"]] * 64)
        with refused("invalid_parameter"):
            run(connection, lock, [people["therapist"]] * 65)


@on_supabase
def test_the_check_answers_alike_for_everyone_who_may_ask(world: World, booked: dict[str, Any]) -> None:
    """Row level security hides the sessions from some of them; the answer is the same."""
    asked = "select check_booking_conflict(%s, %s, '12:00', '13:00'), check_booking_conflict(%s, %s, '14:00', '15:00')"
    parameters = [booked["therapist"], TOMORROW] * 2
    nobody = uuid4()
    callers = [
        logged_in(world, booked["me"]), logged_in(world, booked["other"]), logged_in(world, booked["therapist"]),
        logged_in(world, nobody), acting(world, "authenticator", "service_role"), acting(world, "app_server"),
        acting(world, OWNER),
    ]  # fmt: skip
    for caller in callers:
        with caller as connection:
            assert run(connection, asked, *parameters) == [(True, False)]


@on_supabase
def test_a_user_whose_token_outlived_its_account_books_nothing(world: World, people: dict[str, Any]) -> None:
    world.run("update users set is_active = false where id = %s", people["me"])
    with logged_in(world, people["me"], exp=dt.datetime.now().timestamp()) as connection:
        assert ask(connection, "public", "create_session_with_credit_deduction", people) == "user_not_found"
