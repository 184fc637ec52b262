"""Credits that are granted, once a payment."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.life import (
    DAY,
    UNKNOWN,
    at,
    call,
)
from tests.support.refusals import nothing_written, refused


def test_a_grant_answers_with_the_lot_its_balance_and_the_total(world: World) -> None:
    client = world.client(credits=3)

    ((lot, balance, total, is_new),) = world.run("select * from grant_credits(%s, 4, 'payment 1')", client)

    assert (balance, total, is_new) == (4, 7, True)
    assert world.run("select credits_balance, credits_purchased from user_credits where id = %s", lot) == [(4, 4)]


def test_the_same_payment_or_key_never_grants_twice(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for arguments in ("p_payment_reference => 'payment'", "p_idempotency_key => 'key'"):
        statement = f"select * from grant_credits(%s, 2, {arguments})"
        ((lot, _, total, _),) = world.run(statement, client)
        world.book(client, therapist, f"1{total}:00")

        with nothing_written(world):
            ((again, balance, _, is_new),) = world.run(statement, client)

        assert (again, is_new) == (lot, False)
        assert balance == world.scalar("select credits_balance from user_credits where id = %s", lot)
    assert world.violations() == []


def test_key_answers_for_a_grant_whose_lot_was_deleted(world: World) -> None:
    client = world.client()
    statement = "select * from grant_credits(%s, 2, p_idempotency_key => 'key')"
    ((lot, *_),) = world.run(statement, client)
    world.run("delete from user_credits where id = %s", lot)

    with nothing_written(world):
        assert world.run(statement, client) == [(lot, 0, 2, False)]
    assert world.balance(client) == 0
    assert world.violations() == []


def test_a_payment_or_key_of_something_else_is_refused(world: World) -> None:
    client, other = world.client(), world.client()
    world.run("select * from grant_credits(%s, 2, 'payment', null, 'key')", client)

    for who, amount, reference, key in (
        (client, 3, "payment", None), (other, 2, "payment", None), (client, 3, "payment", "key"),
        (client, 2, "other", "key"), (client, 2, None, "key"),
    ):  # fmt: skip
        with nothing_written(world), refused("idempotency_key_reused"):
            world.run("select * from grant_credits(%s, %s, %s, null, %s)", who, amount, reference, key)


def test_grants_that_make_no_sense_are_refused(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    wrong: list[tuple[str, dict[str, Any], str | None]] = [
        ("invalid_user_id", {"user_id": None}, None),
        ("user_not_found", {"user_id": UNKNOWN}, None),
        ("user_not_found", {"user_id": therapist}, None),
        ("invalid_parameter", {"amount": None}, "p_amount"),
        ("invalid_parameter", {"amount": 0}, "p_amount"),
        ("invalid_parameter", {"amount": -1}, "p_amount"),
        ("invalid_parameter", {"amount": 10_001}, "p_amount"),
        ("invalid_parameter", {"payment_reference": ""}, "p_payment_reference"),
        ("invalid_parameter", {"payment_reference": "x" * 256}, "p_payment_reference"),
        ("invalid_parameter", {"idempotency_key": ""}, "p_idempotency_key"),
        ("invalid_parameter", {"idempotency_key": "x" * 256}, "p_idempotency_key"),
        ("invalid_parameter", {"expires_at": at(0, TOMORROW - 9 * DAY)}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "-infinity"}, "p_expires_at"),
        ("invalid_parameter", {"expires_at": "294276-01-01"}, "p_expires_at"),
    ]
    for code, parameters, named in wrong:
        given = {"user_id": client, "amount": 1, **parameters}
        arguments = ", ".join(f"p_{name} => %s" for name in given)
        with nothing_written(world), refused(code) as refusal:
            world.run(f"select * from grant_credits({arguments})", *given.values())
        assert refusal.detail.get("parameter") == named


# ----------------------------------------------------------------------------------------------------------------------
# The day on which credits expire
# ----------------------------------------------------------------------------------------------------------------------


def expiry_of(world: World, day: Any, client: Any = None, **more: Any) -> Any:
    user = client or world.client()
    lot = call(world.connection, "grant_credits", user_id=user, amount=1, expires_on=day, **more)["lot_id"]
    return world.scalar("select expires_at from user_credits where id = %s", lot)


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("UTC", "2031-01-10", "2031-01-11 00:00"),
        ("Pacific/Auckland", "2031-01-10", "2031-01-10 11:00"),
        ("Europe/Berlin", "2027-03-28", "2027-03-28 22:00"),
        # The midnight after it is skipped.
        ("America/Santiago", "2027-09-04", "2027-09-05 04:00"),
    ],
)
def test_credits_expire_with_the_end_of_their_last_day(world: World, zone: str, day: str, end: str) -> None:
    """In the default policy's zone, not in the connection's."""
    world.run("select set_policy(%s)", Jsonb({"time_zone": zone}))
    world.connection.execute("set timezone = 'America/New_York'")
    assert expiry_of(world, day) == dt.datetime.fromisoformat(end).replace(tzinfo=dt.UTC)


def test_credits_can_expire_today_but_not_yesterday(world: World) -> None:
    today = world.scalar("select (now() at time zone 'UTC')::date")
    assert expiry_of(world, today) == dt.datetime.combine(today + DAY, dt.time(), dt.UTC)
    client = world.client()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        expiry_of(world, today - DAY, client)
    assert refusal.detail["parameter"] == "p_expires_on"


def test_key_answers_for_a_last_day_whatever_the_zone_became(world: World) -> None:
    client = world.client()
    asked = {
        "user_id": client, "amount": 5, "payment_reference": "pi_10", "idempotency_key": "evt_10",
        "expires_on": TOMORROW + DAY,
    }  # fmt: skip
    lot = call(world.connection, "grant_credits", **asked)
    world.run("select set_policy(%s)", Jsonb({"time_zone": "Asia/Tokyo"}))
    world.connection.execute("set datestyle = 'SQL, DMY'")
    # Neither the zone nor the expiry is compared: a retry computes it anew.
    for again in (asked, {**asked, "expires_on": TOMORROW}, {**asked, "expires_on": None}):
        with nothing_written(world):
            assert call(world.connection, "grant_credits", **again) == {**lot, "is_new": False}
    assert world.balance(client) == 5
    assert world.violations() == []


def test_last_day_and_timestamp_of_expiry_exclude_each_other(world: World) -> None:
    client = world.client()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        expiry_of(world, TOMORROW, client, expires_at=at(0))
    assert refusal.detail["parameter"] == "p_expires_on"
