"""The time of a lot: grace is given once; a lot is extended, frozen and thawed; a policy may want it to last."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import Connection, World, run
from tests.support.callers import logged_in
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    DAY,
    LATER,
    at,
    begin,
    book_series,
    call,
    cancel,
    expire_lot,
    lots_of,
    request_session,
    require_sound,
    rows,
    set_policy,
)
from tests.support.races import ENDINGS, booking, calling, writing
from tests.support.refusals import nothing_written, outcome, refused

SECOND = dt.timedelta(seconds=1)
END = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)


def grant(world: World, client: UUID, amount: int, **options: Any) -> UUID:
    lot = call(world.connection, "grant_credits", user_id=client, amount=amount, **options)["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def extend(world: World, lot: UUID, until: dt.datetime = END, reason: str = "ill") -> Any:
    return call(world.connection, "extend_lot", lot_id=lot, expires_at=until, reason=reason)


def freeze(world: World, lot: UUID) -> Any:
    return call(world.connection, "freeze_lot", lot_id=lot, reason="on leave")


def thaw(world: World, lot: UUID) -> Any:
    return call(world.connection, "thaw_lot", lot_id=lot, reason="back")


def kinds(world: World, lot: UUID) -> list[Any]:
    return world.run("select kind, amount from bookingdb.ledger where lot_id = %s order by id", lot)


def spent_on(world: World, client: UUID, amount: int = 1, **options: Any) -> tuple[UUID, UUID, UUID]:
    """A lot, a therapist, and a session that the lot paid for; the lot has expired since."""
    lot, therapist = grant(world, client, amount, **options), world.therapist()
    session = world.book(client, therapist, session_date=LATER)["id"]
    expire_lot(world.connection, lot)
    return lot, therapist, session


# ----------------------------------------------------------------------------------------------------------------------
# Grace
# ----------------------------------------------------------------------------------------------------------------------


def test_grace_is_given_once(world: World) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    assert cancel(world, session)
    ((grace,),) = world.run("select id from user_credits where grace_for_lot_id = %s", lot)
    again = world.book(client, therapist, session_date=LATER)["id"]
    expire_lot(world.connection, grace)

    answer = call(world.connection, "cancel_session", session_id=again)

    assert (answer["status"], answer["refunded"], answer["credits_balance"]) == ("cancelled", False, 0)
    assert kinds(world, grace) == [("refund", 1), ("debit", -1), ("refund", 1), ("expiry", -1)]
    assert world.run("select status, credits_used, credits_expired from user_credits where id = %s", grace) == [
        ("expired", 0, 1),
    ]  # fmt: skip
    assert world.count("user_credits") == 2
    # It was returned, and is not returned again.
    with refused("invalid_transition") as refusal:
        call(world.connection, "refund_session", session_id=again, reason="please")
    assert refusal.detail["reason"] == "refunded"
    require_sound(world)


def test_grace_that_lasts_is_spent_and_returned_again(world: World) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    for _ in range(3):
        assert cancel(world, session)
        session = world.book(client, therapist, session_date=LATER)["id"]
    assert lots_of(world, client) == [(0, "used", None), (0, "used", lot)]
    require_sound(world)


@pytest.mark.parametrize("posted", [True, False])
def test_a_policy_without_grace_gives_none(world: World, posted: bool) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client, 3)
    set_policy(world, therapist, refund_grace="0")
    if posted:
        call(world.connection, "expire_credits")

    assert not cancel(world, session)

    call(world.connection, "expire_credits")
    assert lots_of(world, client) == [(0, "expired", None)]
    assert sorted(kinds(world, lot)) == [("debit", -1), ("expiry", -2), ("expiry", -1), ("grant", 3), ("refund", 1)]
    assert world.scalar("select credits_expired from user_credits") == 3
    require_sound(world)


def test_lot_that_is_gone_leaves_no_grace_where_there_is_none(world: World) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    set_policy(world, therapist, refund_grace="0")
    world.run("delete from user_credits where id = %s", lot)
    assert not cancel(world, session)
    assert lots_of(world, client) == [(0, "expired", lot)]
    require_sound(world)


@pytest.mark.parametrize("expires", [True, False])
def test_somebody_elses_lot_gets_nothing(world: World, expires: bool) -> None:
    """It ends for the client when it ends for the other; what has ended comes to nobody."""
    client, other, therapist = world.client(), world.client(credits=1), world.therapist()
    lot = grant(world, client, 2, expires_at=END)
    session = world.book(client, therapist, session_date=LATER)["id"]
    set_policy(world, therapist, refund_grace="0")
    world.run("update user_credits set user_id = %s where id = %s", other, lot)
    if expires:
        expire_lot(world.connection, lot)

    assert cancel(world, session) is not expires

    assert world.balance(client) == (0 if expires else 1)
    ((end,),) = world.run("select expires_at from user_credits where user_id = %s", client)
    assert end <= dt.datetime.now(dt.UTC) if expires else end == END
    assert world.scalar("select credits_balance from user_credits where id = %s", lot) == 1
    require_sound(world)


def test_reopened_session_without_a_refund_is_charged_again(world: World) -> None:
    client = world.client()
    _, therapist, session = spent_on(world, client)
    set_policy(world, therapist, refund_grace="0")
    assert not cancel(world, session)
    with refused("insufficient_credits"):
        call(world.connection, "reopen_session", session_id=session)

    grant(world, client, 1)
    answer = call(world.connection, "reopen_session", session_id=session)
    assert (answer["refunded"], answer["credits_balance"]) == (False, 0)
    # The second charge comes back.
    assert cancel(world, session)
    assert world.balance(client) == 1
    require_sound(world)


def test_the_story_tells_that_nothing_came_back(world: World) -> None:
    client = world.client()
    _, therapist, session = spent_on(world, client)
    set_policy(world, therapist, refund_grace="0")
    cancel(world, session)
    steps = rows(world.connection, "explain_session", session_id=session)
    told = [(step["what"], step["details"].get("is_forfeited")) for step in steps if step["source"] == "ledger"]
    assert told == [("debit", None), ("refund", True)]


# ----------------------------------------------------------------------------------------------------------------------
# Extending
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("posted", [True, False])
def test_expired_credits_come_back_with_more_time(world: World, posted: bool) -> None:
    client = world.client()
    lot = grant(world, client, 5, expires_at=END - DAY)
    world.book(client, world.therapist())
    expire_lot(world.connection, lot)
    if posted:
        call(world.connection, "expire_credits")

    answer = extend(world, lot)

    assert (answer["state"], answer["lot_balance"], answer["expires_at"]) == ("active", 4, END)
    assert world.balance(client) == 4
    assert world.run("select credits_expired from user_credits") == [(0,)]
    assert kinds(world, lot)[-1] == ("extension", 4)
    assert world.run("select reason from bookingdb.ledger where kind = 'extension'") == [("ill",)]
    require_sound(world)


def test_extended_lot_expires_and_is_extended_again(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2, expires_at=END - DAY)
    for days in range(3):
        expire_lot(world.connection, lot)
        call(world.connection, "expire_credits")
        assert extend(world, lot, END + days * DAY)["lot_balance"] == 2
    assert [amount for kind, amount in kinds(world, lot) if kind == "extension"] == [2, 2, 2]
    require_sound(world)


def test_end_that_is_turned_back_brings_no_credit_twice(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2, expires_at=END - DAY)
    expire_lot(world.connection, lot)
    call(world.connection, "expire_credits")
    extend(world, lot)
    for time in ("08:00", "10:00"):
        world.book(client, world.therapist(), time)
    world.run("update user_credits set expires_at = '2000-01-01' where id = %s", lot)

    answer = extend(world, lot)

    assert (answer["state"], answer["lot_balance"]) == ("used", 0)
    require_sound(world)


def test_returned_credit_that_expired_at_once_comes_back(world: World) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    set_policy(world, therapist, refund_grace="0")
    cancel(world, session)
    assert extend(world, lot)["lot_balance"] == 1
    require_sound(world)


def test_extension_asked_for_again_changes_nothing(world: World) -> None:
    lot = grant(world, world.client(), 2, expires_at=END - DAY)
    first = extend(world, lot)
    with nothing_written(world):
        assert extend(world, lot) == first


@pytest.mark.parametrize(("prepare", "until", "detail"), [
    ("status = status", END - 2 * DAY, {"parameter": "p_expires_at", "reason": "not_later"}),
    ("status = status", dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {"parameter": "p_expires_at", "reason": "past"}),
    ("status = status", "infinity", {"parameter": "p_expires_at", "reason": "too_far"}),
    ("status = status", "-infinity", {"parameter": "p_expires_at", "reason": "past"}),
    ("expires_at = null", END, {"parameter": "p_lot_id", "reason": "never_expires", "status": "active"}),
    ("status = 'revoked'", END, {"parameter": "p_lot_id", "status": "revoked"}),
    ("status = 'refunded'", END, {"parameter": "p_lot_id", "status": "refunded"}),
])  # fmt: skip
def test_extension_that_makes_no_sense_is_refused(world: World, prepare: str, until: Any, detail: Any) -> None:
    lot = grant(world, world.client(), 2, expires_at=END - DAY)
    world.run(f"update user_credits set {prepare}")
    with nothing_written(world), refused("invalid_parameter") as refusal:
        extend(world, lot, until)
    assert refusal.detail.items() >= detail.items()


def test_an_extension_needs_one_end_and_a_reason(world: World) -> None:
    lot = grant(world, world.client(), 2, expires_at=END - DAY)
    for given, parameter in (
        ({"reason": "r"}, "p_expires_at"),
        ({"reason": "r", "expires_at": END, "expires_on": "2095-01-01"}, "p_expires_on"),
        ({"expires_at": END}, "p_reason"), ({"expires_at": END, "reason": " \n"}, "p_reason"),
        ({"expires_at": END, "reason": "x" * 1001}, "p_reason"),
    ):  # fmt: skip
        with nothing_written(world), refused("invalid_parameter") as refusal:
            call(world.connection, "extend_lot", lot_id=lot, **given)
        assert refusal.detail["parameter"] == parameter


def test_a_day_is_over_at_the_practices_midnight(world: World) -> None:
    set_policy(world, None, time_zone="America/New_York")
    lot = grant(world, world.client(), 2, expires_at=END - DAY)
    answer = call(world.connection, "extend_lot", lot_id=lot, expires_on="2095-01-01", reason="r")
    assert answer["expires_at"] == dt.datetime(2095, 1, 2, 5, tzinfo=dt.UTC)


def test_owed_credits_go_when_credits_come_back(world: World) -> None:
    lot = grant(world, world.client(), 5, expires_at=END - DAY)
    expire_lot(world.connection, lot)
    call(world.connection, "expire_credits")
    world.run("update user_credits set credits_owed = 3")
    answer = extend(world, lot)
    assert (answer["lot_balance"], answer["credits_owed"]) == (2, 0)
    assert kinds(world, lot)[-2:] == [("extension", 5), ("revocation", -3)]
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Freezing and thawing
# ----------------------------------------------------------------------------------------------------------------------


def test_frozen_credits_are_not_spent_and_do_not_expire(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 2, expires_at=dt.datetime.now(dt.UTC) + DAY)
    frozen = freeze(world, lot)
    assert (frozen["state"], frozen["lot_balance"]) == ("frozen", 2)
    assert world.balance(client) == 0
    expire_lot(world.connection, lot)

    with refused("insufficient_credits"):
        world.book(client, therapist)
    assert call(world.connection, "expire_credits") == {"lots": 0, "credits": 0}
    for amount in (1, -1):
        with refused("invalid_parameter") as refusal:
            call(
                world.connection, "adjust_credits", user_id=client, amount=amount, reason="r", lot_id=lot,
            )  # fmt: skip
        assert refusal.detail["status"] == "frozen"
    assert kinds(world, lot) == [("grant", 2), ("freeze", 0)]
    require_sound(world)


def test_thawed_lot_ends_later_by_the_time_frozen(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 2, expires_at=END)
    freeze(world, lot)
    world.run("update user_credits set frozen_at = frozen_at - interval '2160 hours'")

    answer = thaw(world, lot)

    assert (answer["state"], answer["frozen_at"], world.balance(client)) == ("active", None, 2)
    assert 90 * DAY <= answer["expires_at"] - END < 90 * DAY + 30 * SECOND
    assert kinds(world, lot) == [("grant", 2), ("freeze", 0), ("thaw", 0)]
    lines = rows(world.connection, "get_credit_statement", user_id=client, **{"from": "2000-01-01", "to": "2100-01-01"})
    told = [(line["kind"], line["amount"], line["reason"]) for line in lines]
    assert told[2:4] == [("freeze", 0, "on leave"), ("thaw", 0, "back")]
    require_sound(world)


@pytest.mark.parametrize("expires_at", [END, None])
def test_freezing_and_thawing_twice_is_harmless(world: World, expires_at: Any) -> None:
    lot = grant(world, world.client(), 2, expires_at=expires_at)
    with nothing_written(world):
        assert thaw(world, lot)["expires_at"] == expires_at
    first = freeze(world, lot)
    with nothing_written(world):
        assert freeze(world, lot) == first
    first = thaw(world, lot)
    with nothing_written(world):
        assert thaw(world, lot) == first


def test_returned_credits_stay_in_a_frozen_lot(world: World) -> None:
    client = world.client()
    lot, _, session = spent_on(world, client)
    world.run("update user_credits set expires_at = now() + interval '1 day'")
    freeze(world, lot)
    expire_lot(world.connection, lot)

    assert cancel(world, session)

    assert lots_of(world, client) == [(1, "frozen", None)]
    assert thaw(world, lot)["lot_balance"] == 1
    require_sound(world)


def test_lot_that_is_used_up_can_be_frozen_and_thawed(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 1)
    world.book(client, world.therapist())
    assert freeze(world, lot)["state"] == "frozen"
    assert thaw(world, lot)["state"] == "used"
    require_sound(world)


@pytest.mark.parametrize("status", ["expired", "over", "revoked", "refunded"])
def test_lot_that_is_over_cannot_be_frozen(world: World, status: str) -> None:
    lot = grant(world, world.client(), 2, expires_at=END)
    if status == "over":
        expire_lot(world.connection, lot)
    else:
        world.run("update user_credits set status = %s", status)
    with nothing_written(world), refused("invalid_parameter") as refusal:
        freeze(world, lot)
    assert refusal.detail["status"] == status.replace("over", "expired")


def test_frozen_lot_is_extended_and_revoked(world: World) -> None:
    lot = grant(world, world.client(), 2, expires_at=END - DAY)
    freeze(world, lot)
    assert (extend(world, lot)["state"], extend(world, lot)["expires_at"]) == ("frozen", END)
    call(world.connection, "revoke_grant", lot_id=lot)
    assert world.run("select status, credits_balance from user_credits") == [("revoked", 0)]
    with nothing_written(world):
        assert thaw(world, lot)["state"] == "revoked"
    call(world.connection, "reinstate_grant", lot_id=lot)
    (listed,) = rows(world.connection, "list_lots", user_id=world.scalar("select user_id from user_credits"))
    assert (listed["state"], listed["lot_balance"], listed["expires_at"]) == ("frozen", 2, END)
    require_sound(world)


@pytest.mark.parametrize("status", ["active", "expired", "refunded"])
def test_direct_update_freezes_and_thaws_too(world: World, status: str) -> None:
    lot = grant(world, world.client(), 2, expires_at=END)
    world.run("update user_credits set status = 'frozen'")
    frozen_at = world.scalar("select frozen_at from user_credits")
    assert abs(dt.datetime.now(dt.UTC) - frozen_at) < 30 * SECOND
    assert freeze(world, lot)["frozen_at"] == frozen_at
    world.run("update user_credits set frozen_at = frozen_at - interval '216 hours'")

    world.run("update user_credits set status = %s", status)

    ((until, frozen_at),) = world.run("select expires_at, frozen_at from user_credits")
    assert (frozen_at, until - END >= 9 * DAY) == (None, True)
    assert world.violations() == []


def test_direct_update_that_writes_the_end_keeps_it(world: World) -> None:
    lot = grant(world, world.client(), 2, expires_at=END)
    freeze(world, lot)
    world.run("update user_credits set status = 'active', expires_at = %s", END + DAY)
    assert world.run("select expires_at, frozen_at from user_credits") == [(END + DAY, None)]
    frozen = "insert into user_credits (user_id, credits_balance, status) select user_id, 1, 'frozen' from user_credits"
    world.run(frozen)
    assert world.scalar("select count(*) from user_credits where status = 'frozen' and frozen_at is not null") == 1
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# The list
# ----------------------------------------------------------------------------------------------------------------------


def test_lots_are_listed_in_spending_order(world: World) -> None:
    client = world.client()
    lots = {
        "never": grant(world, client, 1), "late": grant(world, client, 2, expires_at=END),
        "soon": grant(world, client, 3, expires_at=END - DAY), "gift": grant(world, client, 4, category="promotional"),
        "first": grant(world, client, 5, priority=1), "over": grant(world, client, 6, expires_at=END),
        "frozen": grant(world, client, 7, priority=99),
    }  # fmt: skip
    expire_lot(world.connection, lots["over"])
    freeze(world, lots["frozen"])
    world.run(
        "insert into user_credits (user_id, user_type, credits_balance) values (%s, 'therapist', 9)", client
    )  # fmt: skip

    listed = rows(world.connection, "list_lots", user_id=client)
    assert [lot["lot_id"] for lot in listed] == [
        lots[name] for name in ("first", "soon", "late", "gift", "never", "frozen")
    ]  # fmt: skip
    everything = rows(world.connection, "list_lots", user_id=client, include_empty=True)
    states = {lot["lot_id"]: (lot["state"], lot["lot_balance"]) for lot in everything}
    assert len(states) == 7
    assert states[lots["over"]] == ("expired", 6)
    call(world.connection, "expire_credits")
    assert rows(world.connection, "list_lots", user_id=client) == listed


def test_lots_are_the_clients_own_affair(supabase_world: World) -> None:
    world = supabase_world
    client, other, therapist = world.client(credits=2), world.client(), world.therapist()
    ((lot,),) = world.run("select id from user_credits")
    with logged_in(world, client) as connection:
        assert [found["lot_id"] for found in rows(connection, "list_lots", user_id=client)] == [lot]
        for change in ("extend_lot", "freeze_lot", "thaw_lot"):
            with nothing_written(world), refused("not_allowed"):
                call(connection, change, lot_id=lot, reason="mine")
    for nosy in (other, therapist):
        with logged_in(world, nosy) as connection, refused("not_allowed"):
            rows(connection, "list_lots", user_id=client)


def test_lot_that_nobody_has_is_not_found(world: World) -> None:
    for change in ("extend_lot", "freeze_lot", "thaw_lot"):
        options = {"expires_at": END} if change == "extend_lot" else {}
        for nothing in (None, UUID(int=0)):
            with nothing_written(world), refused("lot_not_found"):
                call(world.connection, change, lot_id=nothing, reason="r", **options)
    with refused("user_not_found"):
        rows(world.connection, "list_lots", user_id=UUID(int=0))


# ----------------------------------------------------------------------------------------------------------------------
# Credits that must last until the session
# ----------------------------------------------------------------------------------------------------------------------


def lasting(world: World) -> tuple[UUID, UUID, UUID, UUID]:
    """A client with a credit that ends on the day after `LATER`, and one that never ends; a therapist who cares."""
    client, therapist = world.client(), world.therapist()
    set_policy(world, therapist, credits_valid_on="session")
    short = grant(world, client, 1, expires_at=at(12, LATER + DAY))
    return client, therapist, short, grant(world, client, 1)


def test_lot_that_lasts_until_the_session_pays(world: World) -> None:
    client, therapist, short, long_ = lasting(world)
    world.book(client, therapist, "12:00", session_date=LATER + DAY)
    world.book(client, therapist, "11:00", session_date=LATER)
    spent = world.run("select lot_id from bookingdb.ledger where kind = 'debit' order by id")
    assert spent == [(long_,), (short,)]
    require_sound(world)


def test_credits_that_end_too_early_are_told(world: World) -> None:
    client, therapist, short, long_ = lasting(world)
    call(world.connection, "adjust_credits", user_id=client, amount=-1, lot_id=long_, reason="r")
    call(world.connection, "adjust_credits", user_id=client, amount=2, lot_id=short, reason="r")

    with nothing_written(world), refused("insufficient_credits") as refusal:
        world.book(client, therapist, "12:00", session_date=LATER + DAY)
    assert refusal.detail == {
        "code": "insufficient_credits", "credits_balance": 3, "reason": "end_too_early",
        "start_time": f"{LATER + DAY}T12:00:00Z",
    }  # fmt: skip
    assert refusal.hint == "Choose an earlier start, or purchase credits that are still valid then."
    # The other therapists do not mind, nor does this one any more.
    world.book(client, world.therapist(), "12:00", session_date=LATER + DAY)
    set_policy(world, therapist, credits_valid_on=None)
    world.book(client, therapist, "12:00", session_date=LATER + 2 * DAY)
    require_sound(world)


def test_series_ends_where_the_credits_end(world: World) -> None:
    client, therapist, short, long_ = lasting(world)
    call(world.connection, "adjust_credits", user_id=client, amount=-1, lot_id=long_, reason="r")
    call(world.connection, "adjust_credits", user_id=client, amount=5, lot_id=short, reason="r")
    with nothing_written(world), refused("insufficient_credits") as refusal:
        book_series(
            world.connection, client, therapist, session_date=LATER, session_time="10:00", occurrences=3, every=DAY
        )
    assert (refusal.detail["occurrence"], refusal.detail["reason"]) == (3, "end_too_early")


def test_approval_hold_and_reopening_ask_too(world: World) -> None:
    client, therapist, short, long_ = lasting(world)
    call(world.connection, "adjust_credits", user_id=client, amount=-1, lot_id=long_, reason="r")
    day = LATER + 3 * DAY
    request = request_session(world.connection, client, therapist, at(8, day))
    held = call(
        world.connection, "hold_slot",
        user_id=client, therapist_id=therapist, session_date=day, session_time="14:00",
    )["id"]  # fmt: skip
    set_policy(world, therapist, credits_valid_on="booking")
    cancelled = world.book(client, therapist, "18:00", session_date=day)["id"]
    assert cancel(world, cancelled)
    set_policy(world, therapist, credits_valid_on="session")

    for function, what in (
        ("approve_session", {"session_id": request}), ("book_hold", {"hold_id": held}),
        ("reopen_session", {"session_id": cancelled}),
    ):  # fmt: skip
        with nothing_written(world), refused("insufficient_credits") as refusal:
            call(world.connection, function, **what)
        assert refusal.detail["reason"] == "end_too_early"
    extend(world, short)
    for function, what in (("approve_session", {"session_id": request}),):
        call(world.connection, function, **what)
    require_sound(world)


def test_session_that_is_over_needs_credits_of_today(world: World) -> None:
    client, therapist, short, _ = lasting(world)
    session = world.book(client, therapist, "11:00", session_date=LATER)["id"]
    cancel(world, session)
    begin(world.connection, session, 120)
    call(world.connection, "reopen_session", session_id=session)
    assert world.scalar("select lot_id from bookingdb.ledger where kind = 'debit' order by id desc limit 1") == short


def test_client_moves_a_session_no_further_than_its_credits(supabase_world: World) -> None:
    world = supabase_world
    client, therapist, short, _ = lasting(world)
    session = world.book(client, therapist, "10:00", session_date=LATER)["id"]

    def move(connection: Connection, days: int, time: str) -> Any:
        return call(
            connection, "reschedule_session", session_id=session, session_date=LATER + days * DAY, session_time=time,
        )  # fmt: skip

    with logged_in(world, client) as as_client:
        move(as_client, 1, "11:00")
        with nothing_written(world), refused("reschedule_refused") as refusal:
            move(as_client, 1, "12:00")
        assert (refusal.detail["rule"], refusal.detail["until"]) == ("credits_valid_on", f"{LATER + DAY}T12:00:00Z")
        move(as_client, 0, "12:00")
        # The practice can.
        move(world.connection, 2, "10:00")
        move(as_client, 2, "09:00")
        with refused("reschedule_refused"):
            move(as_client, 2, "11:00")
        # The time of a frozen lot stands still.
        freeze(world, short)
        world.run("update user_credits set frozen_at = frozen_at - interval '48 hours' where id = %s", short)
        move(as_client, 2, "11:00")
        extend(world, short)
        move(as_client, 9, "11:00")
    require_sound(world)


def test_request_that_cost_nothing_is_moved_freely(supabase_world: World) -> None:
    world = supabase_world
    client, therapist, *_ = lasting(world)
    request = request_session(world.connection, client, therapist, at(8, LATER))
    with logged_in(world, client) as as_client:
        call(
            as_client, "reschedule_session", session_id=request, session_date=LATER + 9 * DAY, session_time="10:00",
        )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# Two at once
# ----------------------------------------------------------------------------------------------------------------------


def changes_of(lot: UUID, client: UUID, therapist: UUID, session: UUID) -> dict[str, Any]:
    return {
        "extend": calling("extend_lot", lot_id=lot, expires_at=END, reason="r"),
        "freeze": calling("freeze_lot", lot_id=lot, reason="r"),
        "thaw": calling("thaw_lot", lot_id=lot, reason="r"),
        "revoke": calling("revoke_grant", lot_id=lot),
        "cancel": calling("cancel_session", session_id=session),
        "book": booking(client, therapist, "16:00"),
        "spend": writing("update user_credits set credits_balance = 0 where id = %s", lot),
        "write": writing("update user_credits set status = 'frozen' where id = %s", lot),
        "delete": writing("delete from user_credits where id = %s", lot),
        "pass on": writing(
            "update user_credits set user_id = (select id from users where user_type = 'user' and id <> %s limit 1)"
            " where id = %s", client, lot,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("second", ["extend", "freeze", "thaw"])
@pytest.mark.parametrize(
    "first", ["extend", "freeze", "thaw", "revoke", "cancel", "spend", "write", "delete", "pass on"]
)
def test_lot_changes_one_after_the_other(world: World, first: str, second: str, ending: str, level: str) -> None:
    client, therapist = world.client(), world.therapist()
    world.client()
    lot = grant(world, client, 3, expires_at=END - DAY)
    session = world.book(client, therapist, session_date=LATER)["id"]
    if "thaw" in (first, second):
        freeze(world, lot)
    changes = changes_of(lot, client, therapist, session)
    with holding(world) as one, session_of(world) as other:
        assert outcome(partial(changes[first], one)) == "done"
        answer = waiting(world, partial(in_level, level, changes[second]), other)
        one.execute(ending.encode())
        ended = outcome(answer.result)
    allowed = {"done"}
    if ending == "commit":
        if (first in ("revoke", "delete") and second != "thaw") or first == "delete":
            allowed = {"invalid_parameter"} if first == "revoke" else {"lot_not_found"}
        if level != "read committed":
            # The lot is another one than in the snapshot.
            allowed |= {"40001"}
    assert ended in allowed
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_expired_credits_come_back_once(world: World, ending: str, level: str) -> None:
    """Two extensions at once, and one beside the entry of the expiry."""
    client = world.client()
    for first in ("extend_lot", "expire_credits"):
        lot = grant(world, client, 3, expires_at=END - DAY)
        expire_lot(world.connection, lot)
        if first == "extend_lot":
            call(world.connection, "expire_credits")
        longer = calling("extend_lot", lot_id=lot, expires_at=END, reason="r")
        longest = calling("extend_lot", lot_id=lot, expires_at=END + DAY, reason="r")
        with holding(world) as one, session_of(world) as other:
            assert outcome(partial(longer if first == "extend_lot" else calling(first), one)) == "done"
            answer = waiting(world, partial(in_level, level, longest), other)
            one.execute(ending.encode())
            assert outcome(answer.result) in ({"done"} if level == "read committed" else {"done", "40001"})
        call(world.connection, "extend_lot", lot_id=lot, expires_at=END + 2 * DAY, reason="r")
        assert world.scalar("select credits_balance from user_credits where id = %s", lot) == 3
        require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_booking_waits_for_a_lot_that_is_frozen(world: World, ending: str, level: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot = grant(world, client, 1)
    with holding(world) as one, session_of(world) as other:
        call(one, "freeze_lot", lot_id=lot, reason="r")
        answer = waiting(world, partial(in_level, level, booking(client, therapist)), other)
        one.execute(ending.encode())
        ended = outcome(answer.result)
    allowed = {"done"} if ending == "rollback" else {"insufficient_credits"}
    assert ended in allowed | ({"40001"} if level != "read committed" and ending == "commit" else set())
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_cancellation_finds_the_end_that_a_lot_has_then(world: World, ending: str, level: str) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    set_policy(world, therapist, refund_grace="0")
    with holding(world) as one, session_of(world) as other:
        call(one, "extend_lot", lot_id=lot, expires_at=END, reason="r")
        answer = waiting(world, partial(in_level, level, calling("cancel_session", session_id=session)), other)
        one.execute(ending.encode())
        ended = outcome(answer.result)
    assert ended in ({"done"} if level == "read committed" or ending == "rollback" else {"done", "40001"})
    if ended == "done":
        assert world.balance(client) == (1 if ending == "commit" else 0)
    require_sound(world)


@pytest.mark.parametrize("level", LEVELS)
def test_grace_that_ends_after_a_snapshot_is_not_given_again(world: World, level: str) -> None:
    client = world.client()
    lot, therapist, session = spent_on(world, client)
    cancel(world, session)
    ((grace,),) = world.run("select id from user_credits where grace_for_lot_id = %s", lot)
    again = world.book(client, therapist, session_date=LATER)["id"]
    with session_of(world) as other:
        other.execute(f"begin isolation level {level}".encode())
        run(other, "select 1 from users limit 1")
        expire_lot(world.connection, grace)
        ended = outcome(partial(call, other, "cancel_session", session_id=again))
        other.execute("commit" if ended == "done" else "rollback")
    assert ended in ({"done"} if level == "read committed" else {"done", "40001"})
    if ended == "40001":
        cancel(world, again)
    assert (world.balance(client), world.count("user_credits")) == (0, 2)
    require_sound(world)


def test_change_of_a_lot_gives_up_after_its_time(world: World) -> None:
    client = world.client()
    lot = grant(world, client, 1)
    with holding(world) as one, session_of(world) as other:
        one.execute("select * from user_credits for update")
        other.execute("set lock_timeout = '50ms'")
        with refused("busy"):
            call(other, "freeze_lot", lot_id=lot, reason="r")
