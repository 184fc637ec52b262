"""Logged-in users who register themselves."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support import World, run, scalar
from tests.support.callers import logged_in
from tests.support.databases import on_supabase
from tests.support.refusals import nothing_written, refused

REGISTER = "select register_client(%s, %s, %s)"


@on_supabase
def test_user_registers_under_the_address_of_the_token(world: World) -> None:
    me = uuid4()
    with logged_in(world, me, email="Me@Example.com") as connection:
        assert scalar(connection, REGISTER, "me@example.com", "Me", None) == me
        assert scalar(connection, REGISTER, " ME@example.com ", None, me) == me

    assert world.run("select id, lower(email), full_name, user_type, is_active from users") == [
        (me, "me@example.com", "Me", "user", True)
    ]


@on_supabase
def test_user_registers_nobody_else_and_no_other_address(world: World, people: dict[str, Any]) -> None:
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
@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("is_active = false", "person_inactive"), ("is_verified = false", "not_allowed"),
        ("full_name = 'As verified'", "not_allowed"),
    ],
)  # fmt: skip
def test_nobody_lifts_their_deactivation_or_renames_themselves(
    world: World, people: dict[str, Any], state: str, code: str
) -> None:
    world.run(f"update users set {state} where id = %s", people["me"])
    email = world.scalar("select email from users where id = %s", people["me"])
    with logged_in(world, people["me"], email=email) as connection, nothing_written(world), refused(code):
        run(connection, REGISTER, email, "Another Name", None)


@on_supabase
def test_a_therapist_becomes_a_client_by_registering(world: World, people: dict[str, Any]) -> None:
    email = world.scalar("select email from users where id = %s", people["therapist"])
    with logged_in(world, people["therapist"], email=email) as connection:
        assert run(connection, REGISTER, email, None, None) == [(people["therapist"],)]
    kept = "select user_type from users where id = %s"
    assert world.scalar(kept, people["therapist"]) == "therapist"
