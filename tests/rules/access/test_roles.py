"""Who may call what, on every host."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import uuid4

import pytest

from tests.support import TOMORROW, World, run
from tests.support.callers import OWNER, SCHEMAS, SUPERUSER, acting, ask, logged_in, of
from tests.support.calls import PEOPLE_CALLS
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.refusals import nothing_written, refused

OWN = ["create_session_with_credit_deduction", "get_credit_balance", "get_credit_history"]
TRUSTED_ONLY = [
    "act_as", "find_people", "register_therapist", "set_therapist_active", "set_client_active", "grant_credits",
]  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# Roles
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS)
def test_trusted_callers_act_for_anyone(world: World, people: dict[str, Any], host: Host, schema: str) -> None:
    callers = of(
        host,
        [(OWNER, ""), (SUPERUSER, ""), (SUPERUSER, "app_servers"), ("app_server", ""),
         ("lazy_server", "app_servers")],
        [("authenticator", "service_role"), (OWNER, "service_role")],
    )  # fmt: skip
    for login, role in callers:
        with acting(world, login, role) as connection:
            for function in PEOPLE_CALLS:
                assert ask(connection, schema, function, people) == "done", (login, role, function)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_caller_without_the_right_to_execute_is_refused(
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
            for function in PEOPLE_CALLS:
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
        '{"role": "service_role"}', '{"sub": " 00000000-0000-4000-8000-000000000000"}',
    ],
)  # fmt: skip
def test_without_good_claims_nobody_is_authenticated(
    world: World, people: dict[str, Any], claims: str | None, schema: str
) -> None:
    with acting(world, "authenticator", "authenticated", claims) as connection:
        for function in PEOPLE_CALLS:
            assert ask(connection, schema, function, people) == "not_authenticated", function


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_logged_in_user_acts_for_themselves(world: World, people: dict[str, Any], schema: str) -> None:
    with logged_in(world, people["me"]) as connection:
        for function in PEOPLE_CALLS:
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
def test_records_name_the_actor(world: World, people: dict[str, Any]) -> None:
    function = "create_session_with_credit_deduction"
    statement = f"select * from {function}({PEOPLE_CALLS[function]})"
    with logged_in(world, people["me"]) as connection:
        connection.execute(statement.encode(), people)
    with acting(world, "authenticator", "service_role") as connection:
        connection.execute(b"update sessions set status = 'cancelled'")

    assert world.run("select actor from booking_audit_log order by id") == [(str(people["me"]),), ("service_role",)]
    assert world.run("select actor from bookingdb.ledger where kind = 'debit'") == [(str(people["me"]),)]


# ----------------------------------------------------------------------------------------------------------------------
# Registering oneself
# ----------------------------------------------------------------------------------------------------------------------


def test_renamed_role_is_nobody(world: World, people: dict[str, Any]) -> None:
    with acting(world, SUPERUSER) as administrator, acting(world, SUPERUSER) as connection:
        administrator.execute("create role renamed in role app_servers")
        try:
            connection.execute("set role renamed")
            assert ask(connection, "public", "get_credit_balance", people) == "done"
            administrator.execute("alter role renamed rename to renamed_since")
            assert ask(connection, "public", "get_credit_balance", people) == "not_authenticated"
        finally:
            connection.execute("reset role")
            administrator.execute("drop role if exists renamed, renamed_since")


@on_supabase
def test_logged_in_user_locks_only_themselves_and_therapists(world: World, people: dict[str, Any]) -> None:
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
def test_user_with_a_token_but_no_account_books_nothing(world: World, people: dict[str, Any]) -> None:
    world.run("update users set is_active = false where id = %s", people["me"])
    with logged_in(world, people["me"], exp=dt.datetime.now().timestamp()) as connection:
        assert ask(connection, "public", "create_session_with_credit_deduction", people) == "user_not_found"
