"""Another e-mail address, or none."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.support import World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import UNKNOWN
from tests.support.refusals import nothing_written, outcome, refused


def address(world: World, who: UUID) -> str | None:
    (email,) = world.run("select email from users where id = %s", who)[0]
    return None if email is None else str(email)


@pytest.mark.parametrize("kind", ["client", "therapist"])
def test_trusted_caller_changes_and_frees_an_address(world: World, kind: str) -> None:
    person = world.scalar(f"select register_{kind}('old@example.com', 'Name')")
    world.run("select change_email(%s, '  New@Example.com ')", person)
    assert address(world, person) == "New@Example.com"
    with nothing_written(world):
        world.run("select change_email(%s, 'New@Example.com')", person)
    # Another spelling of the same address is no other person's.
    world.run("select change_email(%s, 'new@example.com')", person)

    world.run("select change_email(%s, null)", person)
    assert address(world, person) is None
    assert world.scalar("select register_client('new@example.com')") != person
    assert world.run("select full_name, is_active from users where id = %s", person) == [("Name", True)]


def test_wrong_and_taken_addresses_are_refused(world: World) -> None:
    person, other = (world.scalar("select register_client(%s)", email) for email in ("a@b.example", "c@d.example"))
    for email, reason in (("", "no_address"), ("no address", "no_address"), ("C@D.example", "of_another")):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run("select change_email(%s, %s)", person, email)
        assert (refusal.detail["parameter"], refusal.detail["reason"]) == ("p_email", reason)
    assert refusal.detail["user_id"] == str(other)
    for who, code in ((None, "invalid_user_id"), (UNKNOWN, "user_not_found")):
        with nothing_written(world), refused(code):
            world.run("select change_email(%s, 'x@y.example')", who)


def test_column_that_may_not_be_null_keeps_an_address(world: World) -> None:
    person = world.scalar("select register_client('a@b.example')")
    world.run("alter table users alter column email set not null")
    try:
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run("select change_email(%s, null)", person)
        assert refusal.detail["reason"] == "missing"
    finally:
        world.run("alter table users alter column email drop not null")


@on_todays_supabase
def test_users_take_the_address_of_their_token_and_no_other(hosted_world: World) -> None:
    world = hosted_world
    person = world.scalar("select register_client('old@example.com')")
    other = world.scalar("select register_client('other@example.com')")
    with logged_in(world, person, email="New@example.com") as connection:
        for who, email in ((person, "other@example.com"), (person, None), (other, "new@example.com")):
            with refused("not_allowed"):
                run(connection, "select change_email(%s, %s)", who, email)
        run(connection, "select change_email(%s, 'new@example.com')", person)
    assert address(world, person) == "new@example.com"
    with logged_in(world, person, email="other@example.com") as connection, refused("invalid_parameter") as refusal:
        run(connection, "select change_email(%s, 'other@example.com')", person)
    # Nobody learns whose it is.
    assert "user_id" not in refusal.detail
    with logged_in(world, person) as connection, refused("not_allowed"):
        run(connection, "select change_email(%s, 'new@example.com')", person)


def test_two_who_want_one_address_get_it_once(world: World) -> None:
    people = [world.scalar("select register_client(%s)", f"{uuid4()}@example.com") for _ in range(2)]
    change = "select change_email(%s, 'wanted@example.com')"
    with holding(world) as first, session_of(world) as second:
        first.execute(change, [people[0]])
        answer = waiting(world, lambda connection: run(connection, change, people[1]), second)
        first.execute("commit")
        assert outcome(answer.result) == "invalid_parameter"
    assert [address(world, person) == "wanted@example.com" for person in people] == [True, False]
