"""Who waits for whom, and what a wait that takes too long is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support import TOMORROW, World, run
from tests.support.interleaving import holding, session_of
from tests.support.life import (
    DAY,
    call,
    expire_lot,
)
from tests.support.races import (
    Call,
    calling,
    holding_slot,
    moving,
    setting,
)
from tests.support.refusals import nothing_written, outcome, refused


def life(scene: dict[str, Any]) -> dict[str, Call]:
    """Every function that changes something of the scene."""
    client, therapist, session_id = scene["client"], scene["therapist"], scene["session"]
    return {
        "cancel_session": calling("cancel_session", session_id=session_id),
        "reschedule_session": moving(session_id, "18:00"),
        "approve_session": calling("approve_session", session_id=scene["request"]),
        "confirm_session": calling("confirm_session", session_id=session_id),
        "start_session": calling("start_session", session_id=scene["begun"]),
        "hold_slot": holding_slot(client, therapist, "20:00"),
        "book_hold": calling("book_hold", hold_id=scene["hold"]),
        "release_hold": calling("release_hold", hold_id=scene["hold"]),
        "book_series": calling(
            "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW + DAY, session_time="10:00",
            occurrences=2,
        ),
        "grant_credits": calling("grant_credits", user_id=client, amount=1),
        "adjust_credits": calling("adjust_credits", user_id=client, amount=-1, reason="a mistake"),
        "revoke_grant": calling("revoke_grant", lot_id=scene["lot"]),
        "set_policy": setting(therapist, cancellation_window="2 hours"),
        "expire_credits": calling("expire_credits"),
    }  # fmt: skip


SESSIONS = ["cancel_session", "reschedule_session", "approve_session", "confirm_session", "start_session"]
HOLDS = ["hold_slot", "book_hold", "release_hold"]
CREDITS = ["grant_credits", "adjust_credits", "revoke_grant"]
# What is held, and who has to wait for it.
HELD = {
    "the client": ("select lock_for_booking(array[%(client)s]::uuid[])", [
        "cancel_session", "reschedule_session", "approve_session", *HOLDS, "book_series", *CREDITS,
    ]),
    "the therapist": ("select lock_for_booking(array[%(therapist)s]::uuid[])", [
        "reschedule_session", "approve_session", *HOLDS, "book_series", "set_policy",
    ]),
    "the sessions": ("select from sessions for update", SESSIONS),
    "the lots": ("select from user_credits for update", [
        "cancel_session", "approve_session", "book_hold", "book_series", "adjust_credits", "revoke_grant",
    ]),
    "the people's rows": ("select from users for no key update", []),
    "the policies": ("update bookingdb.policies set time_zone = time_zone", ["set_policy"]),
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
