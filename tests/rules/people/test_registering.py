"""Registering people, and opening and closing a therapist."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support import World
from tests.support.life import (
    UNKNOWN,
)
from tests.support.refusals import nothing_written, refused


@pytest.mark.parametrize("function", ["register_client", "register_therapist"])
def test_address_in_any_spelling_registers_one_person(world: World, function: str) -> None:
    first = world.scalar(f"select {function}('Some.One@Example.com', 'Some One')")

    for again in ("some.one@example.com", "  SOME.ONE@EXAMPLE.COM "):
        assert world.scalar(f"select {function}(%s)", again) == first

    assert world.run("select full_name, is_active, is_verified from users") == [("Some One", True, True)]


@pytest.mark.parametrize("function", ["register_client", "register_therapist"])
def test_registering_again_renames(world: World, function: str) -> None:
    person = world.scalar(f"select {function}('a@example.com', 'Old', %s)", uuid4())
    if function == "register_client":
        # Being verified closes and opens no client.
        world.run("update users set is_verified = false")

    assert world.scalar(f"select {function}('b@example.com', 'New', %s)", person) == person

    assert world.run("select email, full_name, is_active, is_verified from users") == [
        ("b@example.com", "New", True, True)
    ]


@pytest.mark.parametrize(
    ("function", "change"),
    [
        ("register_client", "is_active = false"), ("register_therapist", "is_active = false"),
        ("register_therapist", "is_verified = false"), ("register_client", "is_active = null"),
    ],
)  # fmt: skip
def test_registering_again_opens_nobody_and_says_so(world: World, function: str, change: str) -> None:
    """Neither under the same name and address nor under others; those who open do."""
    if "null" in change:
        world.run("alter table users alter column is_active drop not null")
    person = world.scalar(f"select {function}('a@example.com', 'Old', %s)", uuid4())
    world.run(f"update users set {change}")
    for email, name, given in (
        ("a@example.com", "Old", person), ("A@example.com", None, None), ("b@example.com", "New", person),
    ):  # fmt: skip
        with nothing_written(world), refused("person_inactive") as refusal:
            world.run(f"select {function}(%s, %s, %s)", email, name, given)
        assert refusal.detail["user_id"] == str(person)
    if function == "register_therapist":
        with nothing_written(world), refused("person_inactive"):
            world.run("select register_therapist('a@example.com', p_time_zone => 'Asia/Tokyo')")

    opens = function.replace("register", "set") + "_active"
    world.run(f"select {opens}(%s, true)", person)
    assert world.scalar(f"select {function}('a@example.com')") == person
    # Others use the database, too.
    world.run("alter table users alter column is_active set not null")
    assert world.run("select is_active, is_verified from users") == [(True, True)]


def test_opening_and_closing_a_client(world: World) -> None:
    """What is booked and the credits stay."""
    therapist, client = world.therapist(), world.client(credits=3)
    booked = world.book(client, therapist)["id"]
    for _ in range(2):
        world.run("select set_client_active(%s, false)", client)
        with nothing_written(world), refused("user_not_found"):
            world.book(client, therapist, "14:00")
    assert (world.balance(client), world.scalar("select id from sessions")) == (2, booked)
    world.run("select set_client_active(%s, true)", client)
    world.book(client, therapist, "14:00")
    for who, active, code in (
        (None, True, "invalid_user_id"), (client, None, "invalid_parameter"),
        (therapist, False, "user_not_found"), (UNKNOWN, True, "user_not_found"),
    ):  # fmt: skip
        with nothing_written(world), refused(code):
            world.run("select set_client_active(%s, %s)", who, active)
    assert world.violations() == []


def test_registering_refuses_wrong_or_taken_values(world: World) -> None:
    client = world.scalar("select register_client('client@example.com', null, %s)", uuid4())
    therapist = world.scalar("select register_therapist('therapist@example.com', null, %s)", uuid4())
    wrong: list[tuple[str, Any, Any, Any, str]] = [
        ("register_client", None, None, None, "p_email"),
        ("register_client", "", None, None, "p_email"),
        ("register_client", "no address", None, None, "p_email"),
        ("register_client", "a@b@c", None, None, "p_email"),
        ("register_client", "a b@example.com", None, None, "p_email"),
        ("register_client", "@example.com", None, None, "p_email"),
        ("register_client", "a@" + "x" * 320, None, None, "p_email"),
        ("register_client", "a@" + "x" * 2**20, None, None, "p_email"),
        ("register_client", "a@example.com", "x" * 256, None, "p_full_name"),
        ("register_client", "client@example.com", None, uuid4(), "p_email"),
        ("register_client", "therapist@example.com", None, client, "p_email"),
        ("register_client", "new@example.com", None, therapist, "p_user_id"),
        ("register_therapist", "client@example.com", None, None, "p_email"),
        ("register_therapist", "new@example.com", None, client, "p_user_id"),
    ]
    for function, email, name, user, parameter in wrong:
        with nothing_written(world), refused("invalid_parameter") as refusal:
            world.run(f"select {function}(%s, %s, %s)", email, name, user)
        assert refusal.detail["parameter"] == parameter, (function, email)
    with nothing_written(world), refused("invalid_time_zone"):
        world.run("select register_therapist('new@example.com', null, null, 'Mars+5')")


def test_opening_and_closing_a_therapist(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)

    world.run("select set_therapist_active(%s, false)", therapist)
    with refused("therapist_not_found"):
        world.book(client, therapist)
    world.run("select set_therapist_active(%s, true)", therapist)
    world.book(client, therapist)

    for who, active, code in (
        (None, True, "invalid_therapist_id"), (therapist, None, "invalid_parameter"),
        (client, False, "therapist_not_found"), (UNKNOWN, True, "therapist_not_found"),
    ):  # fmt: skip
        with nothing_written(world), refused(code):
            world.run("select set_therapist_active(%s, %s)", who, active)


def test_locking_ahead_refuses_a_wrong_list_of_people(world: World) -> None:
    for people in (None, [], [None], [uuid4() for _ in range(1001)]):
        with refused("invalid_parameter") as refusal:
            world.run("select lock_for_booking(%s::uuid[])", people)
        assert refusal.detail["parameter"] == "p_people"
    world.run("select lock_for_booking(%s)", [uuid4() for _ in range(1000)])
