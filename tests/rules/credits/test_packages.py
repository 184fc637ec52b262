"""Packages: what the practice sells, and what becomes of it."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import Connection, World
from tests.support.connections import LEVELS, in_level
from tests.support.life import call, expire_lot, require_sound, rows
from tests.support.races import booking, calling, race
from tests.support.refusals import nothing_written, refused


def set_package(connection: Connection, name: str, credits: int = 10, **settings: Any) -> Any:
    return call(connection, "set_package", name=name, credits=credits, **settings)


def grant(world: World, client: UUID, **options: Any) -> Any:
    return call(world.connection, "grant_package", user_id=client, **options)


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


def test_grant_is_what_the_package_says_now(world: World) -> None:
    client = world.client()
    package = set_package(world.connection, "Ten", 10, price_reference="price_10", category="promotional", priority=7)
    first = grant(world, client, package_id=package["id"], payment_reference="pi_1", idempotency_key="key")
    assert (first["lot_balance"], first["is_new"]) == (10, True)
    columns = "category, priority, package_id, expires_at, credits_purchased"
    assert world.run(f"select {columns} from user_credits where user_id = %s", client) == [
        ("promotional", 7, package["id"], None, 10)
    ]
    # A retry is the same lot, whatever became of the package.
    set_package(world.connection, "Ten", 5, price_reference="price_10")
    for active in (True, False):
        set_package(world.connection, "Ten", 5, active=active)
        with nothing_written(world):
            again = grant(world, client, package_id=package["id"], payment_reference="pi_1", idempotency_key="key")
            by_payment = grant(world, client, price_reference="price_10", payment_reference="pi_1")
        assert (again["lot_id"], again["is_new"]) == (by_payment["lot_id"], by_payment["is_new"])
        assert (again["lot_id"], again["is_new"]) == (first["lot_id"], False)
    with nothing_written(world), refused("package_not_found"):
        grant(world, client, package_id=package["id"])
    require_sound(world)


def test_payment_is_of_one_package_and_client(world: World) -> None:
    client = world.client()
    ten, five = (set_package(world.connection, name)["id"] for name in ("Ten", "Five"))
    grant(world, client, package_id=ten, payment_reference="pi_1")
    for wrong in ({"package_id": five}, {"package_id": ten, "user_id": world.client()}):
        with nothing_written(world), refused("idempotency_key_reused"):
            call(world.connection, "grant_package", **{"user_id": client, "payment_reference": "pi_1", **wrong})
    call(world.connection, "revoke_grant", payment_reference="pi_1")
    with nothing_written(world), refused("grant_revoked"):
        grant(world, client, package_id=ten, payment_reference="pi_1")


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu"])
def test_validity_ends_with_a_local_day(world: World, zone: str) -> None:
    world.run("select set_policy(jsonb_build_object('time_zone', %s::text))", zone)
    package = set_package(world.connection, "Ten", validity="1 month")["id"]
    client = world.client()
    grant(world, client, package_id=package)
    day = "((now() at time zone %s)::date + interval '1 month')::date + 1"
    assert world.scalar(
        f"select (expires_at at time zone %s) = {day} from user_credits where user_id = %s", zone, zone, client
    )


def test_payment_that_was_taken_back_first_renews_nothing(world: World) -> None:
    client = world.client()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=0)["id"]
    grant(world, client, package_id=package)
    call(world.connection, "revoke_grant", payment_reference="pi_2", remember=True)
    grant(world, client, package_id=package, payment_reference="pi_2")
    assert world.balance(client) == 4
    require_sound(world)


@pytest.mark.parametrize(
    ("cap", "left"), [(None, [4, 4, 4, 4]), (0, [0, 0, 0, 4]), (3, [0, 0, 3, 4]), (5, [0, 1, 4, 4]), (99, [4] * 4)]
)
def test_renewal_keeps_the_newest_up_to_the_cap(world: World, cap: int | None, left: list[int]) -> None:
    client, other = world.client(credits=7), world.client()
    package = set_package(world.connection, "Monthly", 4, validity="1 month")["id"]
    for _ in range(3):
        grant(world, client, package_id=package)
        grant(world, other, package_id=package)
    world.run("update user_credits set expires_at = expires_at - interval '3 days' where package_id = %s", package)
    set_package(world.connection, "Monthly", 4, validity="1 month", rollover_cap=cap)

    for _ in range(2):  # a retry renews nothing again
        renewed = grant(world, client, package_id=package, payment_reference="pi_4", idempotency_key="key")
        assert renewed["credits_balance"] == sum(left) + 7
        lots = world.run(
            "select credits_balance, status, expires_at = max(expires_at) over () from user_credits"
            " where user_id = %s and package_id = %s order by created_at",
            client, package,
        )  # fmt: skip
        assert [balance for balance, _, _ in lots] == left
        assert [status for _, status, _ in lots] == ["active" if balance else "expired" for balance in left]
        if cap is not None:
            assert [is_last for _, _, is_last in lots] == [balance > 0 for balance in left]
    assert world.balance(other) == 12
    require_sound(world)


def test_credits_that_stay_do_not_end_earlier(world: World) -> None:
    client = world.client()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=4)["id"]
    grant(world, client, package_id=package)
    set_package(world.connection, "Monthly", 4, validity="1 month", rollover_cap=99)
    grant(world, client, package_id=package)
    ends = "select expires_at is null from user_credits where user_id = %s order by created_at"
    assert world.run(ends, client) == [(True,), (False,)]
    require_sound(world)


def test_renewal_leaves_what_is_over_or_frozen(world: World) -> None:
    client = world.client()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=9)["id"]
    lots = [grant(world, client, package_id=package)["lot_id"] for _ in range(3)]
    expire_lot(world.connection, lots[0])
    world.run("update user_credits set status = 'frozen' where id = %s", lots[1])
    call(world.connection, "revoke_grant", lot_id=lots[2])
    set_package(world.connection, "Monthly", 4, rollover_cap=0)
    assert grant(world, client, package_id=package)["credits_balance"] == 4
    assert world.scalar("select credits_balance from user_credits where id = %s", lots[1]) == 4
    require_sound(world)


def test_credits_that_stay_are_their_payments(world: World) -> None:
    client = world.client()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=3)["id"]
    for payment in ("pi_1", "pi_2"):
        grant(world, client, package_id=package, payment_reference=payment)
    assert call(world.connection, "revoke_grant", payment_reference="pi_1")["credits_revoked"] == 3
    assert world.balance(client) == 4
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("has_lot", [True, False])
def test_two_renewals_at_once_are_one_after_the_other(world: World, level: str, has_lot: bool) -> None:
    client = world.client()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=1)["id"]
    if has_lot:
        grant(world, client, package_id=package)
    renew = calling("grant_package", user_id=client, package_id=package)
    ends = race(world, renew, partial(in_level, level, renew))
    assert ends[0] == "done"
    assert ends[1] == ("done" if level == "read committed" else "40001")
    assert world.balance(client) == 5 if ends[1] == "done" or has_lot else 4
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("first", ["renewal", "other"])
@pytest.mark.parametrize("what", ["booking", "transfer", "revocation", "adjustment", "the same payment"])
def test_renewal_and_what_else_comes_at_once(world: World, level: str, first: str, what: str) -> None:
    client, receiver, therapist = world.client(), world.client(), world.therapist()
    package = set_package(world.connection, "Monthly", 4, rollover_cap=1)["id"]
    lot = grant(world, client, package_id=package)["lot_id"]
    renew = calling("grant_package", user_id=client, package_id=package, payment_reference="pi_2")
    others = {
        "booking": booking(client, therapist),
        "transfer": calling(
            "transfer_credits", from_user_id=client, to_user_id=receiver, amount=4, reason="a present", lot_id=lot
        ),
        "revocation": calling("revoke_grant", lot_id=lot),
        "adjustment": calling("adjust_credits", user_id=client, amount=-4, reason="a mistake", lot_id=lot),
        "the same payment": renew,
    }
    calls = [renew, others[what]]
    if first == "other":
        calls.reverse()
    ends = race(world, calls[0], partial(in_level, level, calls[1]))
    assert ends[0] == "done"
    allowed = ["done", "insufficient_credits", *([] if level == "read committed" else ["40001", "busy"])]
    assert ends[1] in allowed
    given = world.scalar("select coalesce(sum(amount), 0) from bookingdb.ledger where kind = 'grant'")
    assert given == (8 if ends[1] == "done" or first == "renewal" or what == "the same payment" else 4)
    require_sound(world)


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
