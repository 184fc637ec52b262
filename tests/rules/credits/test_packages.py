"""Packages: what the practice sells."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support import Connection, World
from tests.support.connections import LEVELS, in_level
from tests.support.life import call, rows
from tests.support.races import calling, race
from tests.support.refusals import nothing_written, refused


def set_package(connection: Connection, name: str, credits: int = 10, **settings: Any) -> Any:
    return call(connection, "set_package", name=name, credits=credits, **settings)


def test_package_is_what_the_last_call_said(world: World) -> None:
    first = set_package(
        world.connection, "Ten", validity="1 year", price_reference="price_10", rollover_cap=0, priority=7,
        category="promotional", active=False,
    )  # fmt: skip
    again = set_package(world.connection, "TEN", 9)
    assert again == {
        "id": first["id"], "name": "TEN", "credits": 9, "validity": None, "price_reference": None,
        "rollover_cap": None, "category": "paid", "priority": 50, "is_active": True,
    }  # fmt: skip
    assert [dict(row) for row in rows(world.connection, "list_packages")] == [again]


def test_package_is_renamed_by_its_id(world: World) -> None:
    package = set_package(world.connection, "Ten")
    set_package(world.connection, "Five", 5, price_reference="price_5")
    renamed = set_package(world.connection, "Ten sessions", package_id=package["id"])
    assert (renamed["id"], renamed["name"]) == (package["id"], "Ten sessions")
    for parameter, name, price in (("p_name", "FIVE", None), ("p_price_reference", "Ten", "price_5")):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            set_package(world.connection, name, price_reference=price, package_id=package["id"])
        assert (refusal.detail["parameter"], refusal.detail["reason"]) == (parameter, "of_another")
    with nothing_written(world), refused("invalid_parameter") as refusal:
        set_package(world.connection, "Six", price_reference="price_5")
    assert refusal.detail["parameter"] == "p_price_reference"
    # A price that one package gives up is another's.
    set_package(world.connection, "Five", 5)
    assert set_package(world.connection, "Six", price_reference="price_5")["price_reference"] == "price_5"


@pytest.mark.parametrize(
    ("validity", "shown"),
    [
        ("1 month", "1 month"), ("12 months", "1 year"), ("18 months", "1 year 6 months"), ("1 week", "7 days"),
        ("100 years", "100 years"), ("1 day", "1 day"), ("P1Y2M3D", "1 year 2 months 3 days"),
    ],
)  # fmt: skip
def test_validity_is_shown_as_it_is_taken(world: World, validity: str, shown: str) -> None:
    for style in ("postgres", "iso_8601", "sql_standard"):
        world.run("select set_config('intervalstyle', %s, false)", style)
        assert set_package(world.connection, "Ten", validity=validity)["validity"] == shown
        assert set_package(world.connection, "Ten", validity=shown)["validity"] == shown


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("price", ["price_10", None])
def test_package_that_two_create_at_once_is_one(world: World, level: str, price: str | None) -> None:
    create = calling("set_package", name="Ten", credits=10, price_reference=price)
    ends = race(world, create, partial(in_level, level, create))
    assert ends[0] == "done"
    assert ends[1] == "done" or (level != "read committed" and ends[1] == "40001"), ends
    assert len(rows(world.connection, "list_packages")) == 1


def test_packages_are_listed_for_logged_in_users(supabase_world: World) -> None:
    client = supabase_world.client()
    set_package(supabase_world.connection, "Old", active=False)
    set_package(supabase_world.connection, "Ten")
    with supabase_world.connect(user="authenticator") as connection:
        connection.execute("set role authenticated")
        with refused("not_authenticated"):
            rows(connection, "list_packages")
        connection.execute("select set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{client}"}}'])
        assert [row["name"] for row in rows(connection, "list_packages")] == ["Ten"]
        with refused("not_allowed"):
            rows(connection, "list_packages", include_inactive=True)
        with refused("not_allowed"):
            set_package(connection, "Mine")
