"""Who waits for whom, and what a wait that takes too long is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import TOMORROW, World, run
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    DAY,
    at,
    call,
    expire_lot,
)
from tests.support.races import (
    Call,
    booking,
    calling,
    holding_slot,
    moving,
    setting,
    writing,
)
from tests.support.refusals import nothing_written, outcome, refused

HOUR = dt.timedelta(hours=1)


def life(scene: dict[str, Any]) -> dict[str, Call]:
    """Every function that changes something of the scene."""
    client, therapist, session_id = scene["client"], scene["therapist"], scene["session"]
    return {
        "cancel_session": calling("cancel_session", session_id=session_id),
        "reschedule_session": moving(session_id, "18:00"),
        "cancel_series": calling("cancel_series", session_id=session_id),
        "reschedule_series": calling(
            "reschedule_series", session_id=session_id, session_date=TOMORROW, session_time="18:00"
        ),
        "approve_session": calling("approve_session", session_id=scene["request"]),
        "confirm_session": calling("confirm_session", session_id=session_id),
        "start_session": calling("start_session", session_id=scene["begun"]),
        "reopen_session": calling("reopen_session", session_id=scene["cancelled"]),
        "hold_slot": holding_slot(client, therapist, "20:00"),
        "book_hold": calling("book_hold", hold_id=scene["hold"]),
        "release_hold": calling("release_hold", hold_id=scene["hold"]),
        "book_series": calling(
            "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW + DAY, session_time="10:00",
            occurrences=2,
        ),
        "grant_credits": calling("grant_credits", user_id=client, amount=1),
        "adjust_credits": calling("adjust_credits", user_id=client, amount=-1, reason="a mistake"),
        "transfer_credits": calling(
            "transfer_credits", from_user_id=client, to_user_id=scene["receiver"], amount=1, reason="a present"
        ),
        "grant_package": calling("grant_package", user_id=client, package_id=scene["package"]),
        "set_package": calling("set_package", name="Ten", credits=10),
        "revoke_grant": calling("revoke_grant", lot_id=scene["lot"]),
        "set_policy": setting(therapist, cancellation_window="2 hours"),
        "expire_credits": calling("expire_credits"),
    }  # fmt: skip


SESSIONS = [
    "cancel_session", "cancel_series", "reschedule_series", "reopen_session", "reschedule_session", "approve_session",
    "confirm_session", "start_session",
]  # fmt: skip
HOLDS = ["hold_slot", "book_hold", "release_hold"]
# These lock the therapist. So does whoever writes the therapist's policy.
BOOKINGS = [
    "reopen_session",
    "reschedule_session",
    "reschedule_series",
    "approve_session",
    *HOLDS,
    "book_series",
    "set_policy",
]
CREDITS = ["grant_credits", "grant_package", "adjust_credits", "transfer_credits", "revoke_grant"]
# What is held, and who has to wait for it.
HELD = {
    "the client": ("select lock_for_booking(array[%(client)s]::uuid[])", [
        "cancel_session", "cancel_series", "reopen_session", "reschedule_session", "reschedule_series",
        "approve_session", *HOLDS, "book_series", *CREDITS,
    ]),
    "the therapist": ("select lock_for_booking(array[%(therapist)s]::uuid[])", BOOKINGS),
    "the sessions": ("select from sessions for update", SESSIONS),
    "the lots": ("select from user_credits for update", [
        "cancel_session", "cancel_series", "reopen_session", "approve_session", "book_hold", "book_series",
        "adjust_credits", "transfer_credits", "grant_package", "revoke_grant",
    ]),
    "the people's rows": ("select from users for no key update", []),
    "the packages": ("lock table bookingdb.packages in share mode", ["set_package"]),
    "the policies": ("update bookingdb.policies set time_zone = time_zone", BOOKINGS),
}  # fmt: skip


@pytest.mark.parametrize("what", HELD)
def test_long_wait_is_busy_and_nobody_else_waits(world: World, scene: dict[str, Any], what: str) -> None:
    statement, who_waits = HELD[what]
    with holding(world) as holder, session_of(world) as connection:
        holder.execute(statement.encode(), scene)
        connection.execute("set lock_timeout = '50ms'")
        for function, change in life(scene).items():
            with nothing_written(world):
                with connection.transaction(force_rollback=True):
                    ended = outcome(partial(change, connection))
                assert ended == ("busy" if function in who_waits else "done"), (what, function)


def test_new_lot_waits_for_the_clients_row(world: World, scene: dict[str, Any]) -> None:
    """Somebody who looks at a person for update is in the way of a new row that refers to that person."""
    expire_lot(world.connection, scene["lot"])
    calls = {
        "a grant": calling("grant_credits", user_id=scene["client"], amount=1),
        "an adjustment": calling("adjust_credits", user_id=scene["client"], amount=1, reason="a mistake"),
        "a transfer": calling(
            "transfer_credits", from_user_id=scene["receiver"], to_user_id=scene["client"], amount=1, reason="a present"
        ),
        "a grace lot": calling("cancel_session", session_id=scene["session"]),
    }
    with holding(world) as holder, session_of(world) as connection:
        run(holder, "select id from users for update")
        connection.execute("set lock_timeout = '50ms'")
        with nothing_written(world):
            assert {name: outcome(partial(change, connection)) for name, change in calls.items()} == dict.fromkeys(
                calls, "busy"
            )


def test_a_wait_for_a_key_of_a_session_that_changes_is_busy(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    sessions = [world.book(client, therapist, at)["id"] for at in ("10:00", "12:00")]
    with holding(world) as one, session_of(world) as other:
        call(one, "confirm_session", session_id=sessions[0], idempotency_key="key")
        other.execute("set lock_timeout = '50ms'")
        with nothing_written(world), refused("busy"):
            call(other, "confirm_session", session_id=sessions[1], idempotency_key="key")


# How a transaction changes what decides about a therapist's bookings, without having taken the therapist's lock.
RULES: dict[str, Callable[[UUID], Call]] = {
    "register_therapist": lambda therapist: writing(
        "select register_therapist((select email from users where id = %s), null, %s, 'Europe/Berlin')",
        therapist, therapist,
    ),
    "policies": lambda therapist: writing(
        "update bookingdb.policies set buffer_after_minutes = 5 where therapist_id = %s", therapist
    ),
    "weekly_hours": lambda therapist: writing(
        "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
        " select %s, n, '00:00', '24:00' from generate_series(1, 7) as n",
        therapist,
    ),
    "date_overrides": lambda therapist: writing(
        "insert into bookingdb.date_overrides (therapist_id, override_date) values (%s, %s)",
        therapist, TOMORROW + 9 * DAY,
    ),
    "time_off": lambda therapist: writing(
        "insert into bookingdb.absences (kind, therapist_id, period) values ('time_off', %s, tstzrange(%s, %s))",
        therapist, at(1) + 9 * DAY, at(2) + 9 * DAY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("change", RULES)
def test_booking_during_a_change_of_rules_never_deadlocks(world: World, level: str, change: str) -> None:
    therapist = world.therapist()
    setting(therapist, maximum_sessions_per_day=5)(world.connection)
    first, second = (booking(world.client(credits=1), therapist, hour) for hour in ("12:00", "15:00"))
    with holding(world) as one, session_of(world) as other:
        RULES[change](therapist)(one)
        answer = waiting(world, partial(in_level, level, second), other)
        first(one)
        one.execute("commit")
        assert outcome(answer.result) == ("done" if level == "read committed" else "40001")

    assert world.violations() == []


def test_direct_writer_gives_way_to_a_change_of_the_same_policy(world: World) -> None:
    therapist = world.therapist()
    setting(therapist, maximum_sessions_per_day=5)(world.connection)
    with holding(world) as one, session_of(world) as other:
        run(one, "select bookingdb.lock_people(array[%s])", therapist)
        write = writing("update bookingdb.policies set minimum_notice = '1 hour' where therapist_id = %s", therapist)
        answer = waiting(world, write, other)
        setting(therapist, minimum_notice="2 hours")(one)
        assert outcome(answer.result) == "busy"
        one.execute("commit")

    assert world.scalar("select minimum_notice from bookingdb.policies where therapist_id = %s", therapist) == 2 * HOUR
