"""Finding people by id, address, or a part of their name."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import World, run
from tests.support.plans import explained, read_whole
from tests.support.refusals import refused


@pytest.fixture
def names(world: World) -> dict[str, UUID]:
    """Clients by their names, each with an address of which nothing is in the name."""
    people = {}
    for number, name in enumerate(("Ada Byron", "Adam", "Grace Ada", "Lovelada", "Bob", "50% off", "50 cent", "a_b")):
        people[name] = world.scalar("select register_client(%s, %s)", f"{number}@x.example", name)
    return people


def found(world: World, search: Any, limit: int = 20) -> list[UUID]:
    return [person for (person,) in world.run("select id from find_people(%s, %s)", search, limit)]


def test_id_finds_one_person(world: World, names: dict[str, UUID]) -> None:
    ada = names["Ada Byron"]
    world.run("update users set full_name = %s where id = %s", f"not {ada}", names["Bob"])
    for search in (str(ada), str(ada).upper(), f"  {ada} "):
        assert found(world, search) == [ada]
    assert found(world, str(uuid4())) == []


def test_whole_address_finds_one_person(world: World) -> None:
    ada = world.scalar("select register_client('Ada@Example.com')")
    other = world.scalar("select register_client('xada@example.com')")
    for search in ("ada@example.com", "ADA@EXAMPLE.COM ", "Ada@Example.com"):
        assert found(world, search) == [ada]
    assert found(world, "@EXAMPLE") == [ada, other]
    assert found(world, "da@example.co") == [ada, other]
    assert found(world, "eda@example.co") == []


def test_people_without_a_name_are_found_by_their_address(world: World) -> None:
    nameless = world.scalar("select register_client('ada@example.com')")
    assert found(world, "ada") == [nameless]


def test_best_match_comes_first(world: World, names: dict[str, UUID]) -> None:
    named_so = world.scalar("select register_client('z@x.example', 'ADA')")
    by_address = world.scalar("select register_client('ada@x.example', 'Zoe')")
    expected = [named_so, *(names[n] for n in ("Ada Byron", "Adam", "Grace Ada", "Lovelada")), by_address]
    assert found(world, "ada") == expected
    assert found(world, "ada", 2) == expected[:2]


def test_wildcards_are_letters(world: World, names: dict[str, UUID]) -> None:
    assert found(world, "0%") == [names["50% off"]]
    assert found(world, "a_b") == [names["a_b"]]
    assert found(world, "%") == [names["50% off"]]
    assert found(world, "\\") == []
    world.run("update users set full_name = %s where id = %s", "x'; drop table sessions; -- \\_", names["Bob"])
    assert found(world, "\\_") == found(world, "'; drop") == [names["Bob"]]


def test_letters_of_other_languages_are_found(world: World) -> None:
    jurgen = world.scalar("select register_client('j@x.example', 'Jürgen 日本')")
    assert found(world, "Jürg") == found(world, "本") == [jurgen]


def test_people_who_left_are_found(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist("Europe/Berlin")
    world.run("select * from grant_credits(%s, 5, p_expires_at => now() + interval '1 hour')", client)
    rows = "select is_active, is_verified, user_type, time_zone, credits_balance from find_people(%s)"
    assert world.run(rows, str(client)) == [(True, True, "user", None, 8)]
    world.run("update users set is_active = false")
    assert world.run(rows, str(client)) == [(False, True, "user", None, 8)]
    assert world.run(rows, str(therapist)) == [(False, True, "therapist", "Europe/Berlin", None)]


def test_nonsense_is_refused(world: World) -> None:
    for search, limit, parameter in (
        (None, 20, "p_search"), ("", 20, "p_search"), ("  ", 20, "p_search"), ("x" * 321, 20, "p_search"),
        ("a", 0, "p_limit"), ("a", 1001, "p_limit"), ("a", None, "p_limit"),
    ):  # fmt: skip
        with refused("invalid_parameter") as refusal:
            world.run("select * from find_people(%s, %s)", search, limit)
        assert refusal.detail["parameter"] == parameter, (search, limit)


def test_ids_and_addresses_are_found_by_index(world: World, names: dict[str, UUID]) -> None:
    with explained(world) as (connection, plans):
        for search in (str(names["Bob"]), "4@X.example"):
            assert run(connection, "select id from find_people(%s)", search) == [(names["Bob"],)]
        assert read_whole(plans) == set()
        # No index knows parts of words.
        assert run(connection, "select id from find_people('bob')") == [(names["Bob"],)]
        assert read_whole(plans) == {"users"}
