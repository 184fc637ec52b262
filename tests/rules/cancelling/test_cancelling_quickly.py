"""What is cancelled mostly is cancelled quickly, and comes to the same as rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.databases import on_todays_supabase
from tests.support.life import LATER, at, begin, call, close_window, expire_lot, request_session
from tests.support.ways import ways

# ----------------------------------------------------------------------------------------------------------------------
# Sessions, and who cancels them quickly
# ----------------------------------------------------------------------------------------------------------------------

ALL, NOBODY = {"trusted", "client", "therapist"}, set[str]()
Booked = dict[str, UUID]


def _status(status: str) -> Callable[[World, Booked], Any]:
    return lambda world, booked: world.run("update sessions set status = %s where id = %s", status, booked["session"])


def _lot(change: str) -> Callable[[World, Booked], Any]:
    return lambda world, booked: world.run(f"update user_credits set {change} where id = %s", booked["lot"])


def _begun(world: World, booked: Booked) -> None:
    begin(world.connection, booked["session"])


def _two_parts(world: World, booked: Booked) -> None:
    world.run(
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor, part)"
        " values (%s, %s, %s, 'debit', -1, 3, 'owner', 2)",
        *(booked["client"], booked["lot"], booked["session"]),
    )


def _refunded(world: World, booked: Booked) -> None:
    world.run("update sessions set status = 'completed' where id = %s", booked["session"])
    call(world.connection, "refund_session", session_id=booked["session"], reason="goodwill")
    world.run("update sessions set status = 'scheduled' where id = %s", booked["session"])


def _reopened(world: World, booked: Booked) -> None:
    call(world.connection, "cancel_session", session_id=booked["session"])
    call(world.connection, "reopen_session", session_id=booked["session"])


def _unpaid(world: World, booked: Booked) -> None:
    ((session,),) = world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
        *(booked["client"], booked["therapist"], at(15, LATER), at(16, LATER)),
    )
    booked["session"] = session


def _requested(world: World, booked: Booked) -> None:
    booked["session"] = request_session(world.connection, booked["client"], booked["therapist"], at(15, LATER))


def _second_lot(world: World, booked: Booked) -> None:
    call(world.connection, "grant_credits", user_id=booked["client"], amount=3)


def _therapist_is_client(world: World, booked: Booked) -> None:
    world.run("update users set user_type = 'user' where id = %s", booked["therapist"])


SITUATIONS: dict[str, tuple[Callable[[World, Booked], Any], set[str]]] = {
    "as it was booked": (lambda world, booked: None, ALL),
    "confirmed": (_status("confirmed"), ALL),
    "late": (lambda world, booked: close_window(world.connection, booked["session"]), {"trusted", "therapist"}),
    "begun": (_begun, {"trusted"}),
    "in progress": (_status("in_progress"), NOBODY),
    "completed": (_status("completed"), NOBODY),
    "missed": (_status("no_show"), NOBODY),
    "cancelled": (_status("cancelled"), NOBODY),
    "waiting for approval": (_requested, NOBODY),
    "without terms": (
        lambda world, booked: world.run(
            "update sessions set free_cancellation_until = null where id = %s", booked["session"]
        ),
        {"trusted", "therapist"},
    ),
    "never paid": (_unpaid, NOBODY),
    "paid in two parts": (_two_parts, NOBODY),
    "returned before": (_refunded, NOBODY),
    "charged a second time": (_reopened, NOBODY),
    "of the last credit": (_lot("credits_balance = 0"), ALL),
    "of a lot of two": (_second_lot, ALL),
    "of a lot that is over": (lambda world, booked: expire_lot(world.connection, booked["lot"]), NOBODY),
    "of a frozen lot": (_lot("status = 'frozen'"), NOBODY),
    "of a revoked lot": (_lot("status = 'revoked'"), NOBODY),
    "of a lot that owes": (_lot("credits_owed = 2"), NOBODY),
    "of a full lot": (_lot("credits_balance = 2147483647"), NOBODY),
    "of a lot of another type": (_lot("user_type = 'other'"), NOBODY),
    "of a therapist who is a client": (_therapist_is_client, ALL),
}  # fmt: skip


@pytest.fixture
def booked(hosted_world: World) -> Booked:
    world = hosted_world
    client, therapist = world.client(), world.therapist()
    lot = call(world.connection, "grant_credits", user_id=client, amount=5)["lot_id"]
    session = world.book(client, therapist, session_date=LATER)["id"]
    return {"client": client, "therapist": therapist, "lot": lot, "session": session}


@on_todays_supabase
@pytest.mark.parametrize("situation", SITUATIONS)
def test_both_ways_of_cancelling_leave_the_same(hosted_world: World, booked: Booked, situation: str) -> None:
    arrange, quickly = SITUATIONS[situation]
    arrange(hosted_world, booked)
    with ways(hosted_world, "cancel_session", "cancel_locked_session") as both:
        for caller in ("trusted", "client", "therapist"):
            for reason in (None, "Ill"):
                way = both.require_same(booked.get(caller), session_id=booked["session"], reason=reason)
                assert way.is_quick == (caller in quickly), caller


@on_todays_supabase
def test_refused_cancellations_are_not_quick(hosted_world: World, booked: Booked) -> None:
    stranger = hosted_world.client()
    with ways(hosted_world, "cancel_session", "cancel_locked_session") as both:
        way = both.require_same(stranger, session_id=booked["session"])
        assert way.answer[1] == "Not allowed to act for this user"
        way = both.require_same(None, session_id=booked["session"], reason="x" * 1001)
        assert way.answer[1] == "Invalid parameter"
        way = both.require_same(None, session_id=stranger)
        assert way.answer[1] == "Session not found"
        way = both.require_same(None, session_id=None)
        assert way.answer[1] == "Invalid session ID format"
