"""Lots that are over: they are posted as expired before anything else happens, and end where they were sold to."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.life import DAY, LATER, at, call, cancel, expire_lot, require_sound, set_policy
from tests.support.refusals import nothing_written, refused

END = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
NOW = "select clock_timestamp()"
LOT = "select credits_balance, status, credits_owed from user_credits where id = %s"


def grant(world: World, client: UUID, amount: int, **options: Any) -> UUID:
    lot = call(world.connection, "grant_credits", user_id=client, amount=amount, **options)["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def revoke(world: World, lot: UUID, share: float = 1) -> tuple[int, int]:
    answer = call(world.connection, "revoke_grant", lot_id=lot, share=share)
    return answer["credits_revoked"], answer["credits_owed"]


def reinstate(world: World, lot: UUID) -> int:
    reinstated = call(world.connection, "reinstate_grant", lot_id=lot)["credits_reinstated"]
    assert isinstance(reinstated, int)
    return reinstated


def extend(world: World, lot: UUID, until: dt.datetime = END) -> Any:
    return call(world.connection, "extend_lot", lot_id=lot, expires_at=until, reason="ill")


def ends_at(world: World, lot: UUID) -> Any:
    return world.scalar("select expires_at from user_credits where id = %s", lot)


def is_graced(world: World, lot: UUID) -> bool:
    """Tell whether a lot ends when grace that begins now does."""
    left = ends_at(world, lot) - world.scalar(NOW)
    grace = world.scalar("select (bookingdb.policy_of(null)).refund_grace")
    return bool(grace - dt.timedelta(minutes=5) < left <= grace)


def entries(world: World, lot: UUID) -> list[Any]:
    return world.run("select kind, amount from bookingdb.ledger where lot_id = %s order by id", lot)


def post(world: World, posted: bool) -> None:
    if posted:
        call(world.connection, "expire_credits")


POSTED = pytest.mark.parametrize("posted", [True, False])


# ----------------------------------------------------------------------------------------------------------------------
# Posted first
# ----------------------------------------------------------------------------------------------------------------------


@POSTED
@pytest.mark.parametrize("share", [1, 0.5])
def test_expired_credits_are_not_revoked(world: World, share: float, posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    expire_lot(world.connection, lot)
    post(world, posted)
    assert revoke(world, lot, share) == (0, 0 if share == 1 else 2)
    assert [entry for entry in entries(world, lot) if entry[1]] == [("grant", 4), ("expiry", -4)]
    with nothing_written(world):
        revoke(world, lot, share)
    require_sound(world)


@POSTED
@pytest.mark.parametrize("share", [1, 0.5])
def test_nothing_to_reinstate_leaves_what_expired(world: World, share: float, posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    expire_lot(world.connection, lot)
    end = ends_at(world, lot)
    post(world, posted)
    revoke(world, lot, share)
    assert reinstate(world, lot) == 0
    assert (world.run(LOT, lot), ends_at(world, lot)) == ([(0, "expired", 0)], end)
    with nothing_written(world):
        reinstate(world, lot)
    answer = extend(world, lot)
    assert (answer["state"], answer["lot_balance"]) == ("active", 4)
    require_sound(world)


@POSTED
def test_extension_pays_what_is_owed_first(world: World, posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 4)
    world.book(client, world.therapist())
    revoke(world, lot, 1 / 4)
    assert world.balance(client) == 2
    call(world.connection, "adjust_credits", user_id=client, amount=-2, reason="r", lot_id=lot)
    assert revoke(world, lot, 2 / 4) == (1, 1)
    call(world.connection, "adjust_credits", user_id=client, amount=3, reason="r", lot_id=lot)
    expire_lot(world.connection, lot)
    post(world, posted)
    assert extend(world, lot)["lot_balance"] == 2
    require_sound(world)


@POSTED
def test_merged_client_passes_on_nothing_that_is_over(world: World, posted: bool) -> None:
    client, other = world.client(), world.client()
    grant(world, client, 2)
    expire_lot(world.connection, grant(world, client, 3))
    post(world, posted)
    merged = call(world.connection, "merge_clients", from_user_id=client, into_user_id=other, reason="twice")
    assert (merged["credits"], merged["credits_balance"]) == (2, 2)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# The end of a lot that is reinstated
# ----------------------------------------------------------------------------------------------------------------------


def test_partial_revocations_never_move_the_end(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 10, expires_at=END)
    for _ in range(3):
        revoke(world, lot, 0.1)
        world.run("select pg_sleep(0.05)")
        reinstate(world, lot)
        assert (world.balance(client), ends_at(world, lot)) == (10, END)
    require_sound(world)


def test_end_moves_by_the_time_of_the_status_alone(world: World) -> None:
    """The lot was revoked in part long before it was revoked."""
    client = world.client()
    lot = grant(world, client, 10, expires_at=END)
    revoke(world, lot, 0.1)
    world.run("select pg_sleep(1)")
    revoke(world, lot)
    revoke(world, lot)
    world.run("update user_credits set revoked_at = revoked_at - interval '2 days' where id = %s", lot)
    reinstate(world, lot)
    assert 2 * DAY < ends_at(world, lot) - END < 2 * DAY + dt.timedelta(seconds=0.9)
    assert world.run("select status, revoked_at from user_credits where id = %s", lot) == [("active", None)]
    end = ends_at(world, lot)
    reinstate(world, lot)
    assert ends_at(world, lot) == end
    require_sound(world)


def test_time_of_a_frozen_lot_counts_once(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2, expires_at=END)
    call(world.connection, "freeze_lot", lot_id=lot, reason="on leave")
    revoke(world, lot)
    back = "interval '2 days'"
    world.run(f"update user_credits set frozen_at = frozen_at - {back}, revoked_at = revoked_at - {back}")
    reinstate(world, lot)
    assert (world.run(LOT, lot), ends_at(world, lot)) == ([(2, "frozen", 0)], END)
    call(world.connection, "thaw_lot", lot_id=lot, reason="back")
    assert 2 * DAY < ends_at(world, lot) - END < 2 * DAY + dt.timedelta(minutes=1)
    require_sound(world)


def test_lot_that_ended_while_it_was_revoked_goes_on(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2, expires_at=END)
    revoke(world, lot)
    world.run(
        "update user_credits set revoked_at = clock_timestamp() - interval '3 days',"
        " expires_at = clock_timestamp() - interval '2 days'"
    )
    reinstate(world, lot)
    assert world.balance(client) == 2
    left = ends_at(world, lot) - world.scalar(NOW)
    assert DAY - dt.timedelta(minutes=1) < left <= DAY + dt.timedelta(seconds=1)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Credits that are given back after the end
# ----------------------------------------------------------------------------------------------------------------------


@POSTED
def test_share_that_is_given_back_after_the_end_has_grace(world: World, posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 10)
    assert revoke(world, lot, 0.2) == (2, 0)
    expire_lot(world.connection, lot)
    post(world, posted)
    assert reinstate(world, lot) == 2
    assert (world.run(LOT, lot), world.balance(client)) == ([(2, "active", 0)], 2)
    assert is_graced(world, lot)
    # What had expired before stays so, also when the grace is over.
    world.run("update user_credits set expires_at = clock_timestamp()")
    assert extend(world, lot)["lot_balance"] == 2
    require_sound(world)


@POSTED
@pytest.mark.parametrize("grace", ["30 days", "0"])
def test_credit_returned_in_a_dispute_is_given_back(world: World, grace: str, posted: bool) -> None:
    client = world.client()
    world.run("select set_policy(jsonb_build_object('refund_grace', %s::text))", grace)
    lot = grant(world, client, 3)
    session = world.book(client, world.therapist())["id"]
    expire_lot(world.connection, lot)
    end = ends_at(world, lot)
    post(world, posted)
    revoke(world, lot)
    cancel(world, session)

    assert reinstate(world, lot) == 1

    if grace == "0":
        assert (world.run(LOT, lot), ends_at(world, lot)) == ([(0, "expired", 0)], end)
        assert entries(world, lot)[-2:] == [("reinstatement", 1), ("expiry", -1)]
        assert world.scalar("select credits_expired from user_credits where id = %s", lot) == 3
    else:
        assert world.run(LOT, lot) == [(1, "active", 0)]
        assert is_graced(world, lot)
    with nothing_written(world):
        reinstate(world, lot)
    if grace == "0":
        assert extend(world, lot)["lot_balance"] == 3
    require_sound(world)


def test_grace_lot_has_no_grace_again(world: World) -> None:
    client = world.client()
    lot, therapist = grant(world, client, 1), world.therapist()
    session = world.book(client, therapist, session_date=LATER)["id"]
    expire_lot(world.connection, lot)
    cancel(world, session)
    ((grace,),) = world.run("select id from user_credits where grace_for_lot_id = %s", lot)
    session = world.book(client, therapist, session_date=LATER)["id"]
    expire_lot(world.connection, grace)
    revoke(world, lot)
    cancel(world, session)
    assert reinstate(world, lot) == 1
    assert (world.run(LOT, grace), world.balance(client)) == ([(0, "expired", 0)], 0)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# A lot that a renewal ended
# ----------------------------------------------------------------------------------------------------------------------


def renewed(world: World, client: UUID, before: float = 0) -> UUID:
    """Grant a monthly package twice; return the first lot, which the second one ended."""
    monthly: dict[str, Any] = {"name": "Monthly", "credits": 4, "validity": "1 month", "rollover_cap": 0}
    package = call(world.connection, "set_package", **monthly)["id"]
    first = call(world.connection, "grant_package", user_id=client, package_id=package)["lot_id"]
    if before:
        revoke(world, first, before)
    call(world.connection, "grant_package", user_id=client, package_id=package)
    assert isinstance(first, UUID)
    return first


def test_renewed_lot_keeps_its_end_and_gets_nothing_back(world: World) -> None:
    client = world.client()
    lot = renewed(world, client)
    assert world.run("select count(distinct expires_at), count(*) from user_credits") == [(1, 2)]
    assert world.run(LOT, lot) == [(0, "expired", 0)]
    for until in (END, END + DAY):
        assert extend(world, lot, until)["lot_balance"] == 0
    assert world.balance(client) == 4
    require_sound(world)


def test_moves_are_judged_by_the_end_that_was_sold(supabase_world: World) -> None:
    world = supabase_world
    client, therapist = world.client(), world.therapist()
    set_policy(world, therapist, credits_valid_on="session")
    monthly = {"name": "Monthly", "credits": 4, "validity": "1 month", "rollover_cap": 0}
    package = call(world.connection, "set_package", **monthly)["id"]
    call(world.connection, "grant_package", user_id=client, package_id=package)
    session = world.book(client, therapist, session_date=TOMORROW)["id"]
    call(world.connection, "grant_package", user_id=client, package_id=package)
    with logged_in(world, client) as as_client:
        day = at(12, TOMORROW + DAY)
        moved = call(
            as_client, "reschedule_session", session_id=session, session_date=day.date(), session_time="12:00",
        )  # fmt: skip
    assert moved["id"] == session
    require_sound(world)


def test_renewed_lot_that_was_revoked_is_over_again(world: World) -> None:
    client = world.client()
    lot = renewed(world, client)
    end = ends_at(world, lot)
    revoke(world, lot)
    world.run("update user_credits set revoked_at = revoked_at - interval '2 days' where id = %s", lot)
    assert reinstate(world, lot) == 0
    assert (world.run(LOT, lot), ends_at(world, lot)) == ([(0, "expired", 0)], end)
    assert extend(world, lot)["lot_balance"] == 0
    require_sound(world)


@pytest.mark.parametrize("wholly", [True, False])
def test_share_of_a_renewed_lot_is_given_back_with_grace(world: World, wholly: bool) -> None:
    client = world.client()
    lot = renewed(world, client, 0.5)
    if wholly:
        revoke(world, lot)
    assert reinstate(world, lot) == 2
    assert (world.run(LOT, lot), world.balance(client)) == ([(2, "active", 0)], 6)
    assert is_graced(world, lot)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# A price that moves
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["evt_1", None])
def test_payment_by_price_stays_its_lot(world: World, key: str | None) -> None:
    """The price passed on to another package between a payment and its retry."""
    client = world.client()
    call(world.connection, "set_package", name="Ten", credits=10, price_reference="price")
    buying: dict[str, Any] = {
        "user_id": client, "price_reference": "price", "payment_reference": "pi_1", "idempotency_key": key,
    }  # fmt: skip
    lot = call(world.connection, "grant_package", **buying)["lot_id"]
    call(world.connection, "set_package", name="Ten", credits=10)
    for active in (True, False):
        call(world.connection, "set_package", name="Five", credits=5, price_reference="price", active=active)
        with nothing_written(world):
            again = call(world.connection, "grant_package", **buying)
        assert (again["lot_id"], again["lot_balance"], again["is_new"]) == (lot, 10, False)
    buying |= {"user_id": world.client(), "idempotency_key": None}
    with nothing_written(world), refused("idempotency_key_reused"):
        call(world.connection, "grant_package", **buying)
    require_sound(world)
