"""Two at once, one order forced: every two changes of one session."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.support import TOMORROW, World
from tests.support.life import (
    begin,
    call,
    request_session,
    require_sound,
)
from tests.support.races import (
    AT_TEN,
    ENDINGS,
    calling,
    change,
    entries_of,
    race,
    starts_at,
    status_of,
)

# ----------------------------------------------------------------------------------------------------------------------
# Every two changes of one session
# ----------------------------------------------------------------------------------------------------------------------


# From which status a call leads to which. Three need a session that has begun, one needs one that has not.
TIMED = ("start_session", "complete_session", "mark_no_show", "reschedule_session")
MOVES: dict[str, dict[str, str]] = {
    "approve_session": {"pending_approval": "scheduled"},
    "confirm_session": {"scheduled": "confirmed"},
    "start_session": dict.fromkeys(("scheduled", "confirmed"), "in_progress"),
    "complete_session": dict.fromkeys(("scheduled", "confirmed", "in_progress"), "completed"),
    "mark_no_show": dict.fromkeys(("scheduled", "confirmed", "in_progress"), "no_show"),
    "cancel_session": dict.fromkeys(("pending_approval", "scheduled", "confirmed", "in_progress"), "cancelled"),
    "reschedule_session": {status: status for status in ("pending_approval", "scheduled", "confirmed")},
    # What an old part of the application writes follows no rule.
    "a direct cancellation": dict.fromkeys(
        ("pending_approval", "scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show"), "cancelled"
    ),
}
SETUPS = [("pending_approval", False), ("scheduled", False), ("scheduled", True), ("confirmed", True)]


def expected(function: str, status: str, begun: bool) -> tuple[str, str]:
    """How a call ends, and the status after it."""
    after = MOVES[function].get(status)
    wrong_time = begun if function == "reschedule_session" else not begun
    if after is None or (function in TIMED and wrong_time):
        return "invalid_transition", status
    if function == "approve_session" and begun:
        return "in_past", status
    return "done", after


# A call that is refused holds nobody up.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "status", "begun"),
    [(first, *setup) for first in MOVES for setup in SETUPS if expected(first, *setup)[0] == "done"],
)
def test_second_change_finds_what_the_first_left(world: World, first: str, status: str, begun: bool) -> None:
    for number, second in enumerate(MOVES):
        for ending in ENDINGS if second == "cancel_session" else ENDINGS[:1]:
            client, therapist = world.client(credits=1), world.therapist()
            if status == "pending_approval":
                session_id = request_session(world.connection, client, therapist, AT_TEN)
            else:
                session_id = world.book(client, therapist)["id"]
            if status == "confirmed":
                call(world.connection, "confirm_session", session_id=session_id)
            if begun:
                begin(world.connection, session_id)

            ended = race(world, change(first, session_id), change(second, session_id), ending)

            between = expected(first, status, begun)[1] if ending == "commit" else status
            # What was moved away has not begun.
            result, after = expected(second, between, begun)
            assert ended == ("done", result), (number, second, ending)
            assert status_of(world, session_id) == after
            moved = "reschedule_session" in (second if result == "done" else "", first if ending == "commit" else "")
            assert begun or starts_at(world, session_id) == ("18:00" if moved else "10:00")
            refunds = entries_of(world, session_id).count("refund")
            paid = status != "pending_approval" or (first == "approve_session" and ending == "commit")
            by_us = "cancel_session" in (second if result == "done" else "", first if ending == "commit" else "")
            assert refunds == int(paid and by_us), (second, ending)
            assert world.balance(client) == int(not entries_of(world, session_id) or refunds)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Cancelling
# ----------------------------------------------------------------------------------------------------------------------


def test_one_key_for_two_sessions_at_once_changes_one_of_them(world: World) -> None:
    """A client's sessions are locked one by one, a client's keys by the client."""
    for function in MOVES:
        if function in ("a direct cancellation", "reschedule_session"):
            continue
        client, therapist = world.client(credits=2), world.therapist()
        if function == "approve_session":
            times = [dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC) for hour in (10, 12)]
            sessions = [request_session(world.connection, client, therapist, time) for time in times]
        else:
            sessions = [world.book(client, therapist, at)["id"] for at in ("10:00", "12:00")]
        if function in TIMED:
            for number, session_id in enumerate(sessions, 1):
                begin(world.connection, session_id, 100 * number)
        before = status_of(world, sessions[1])
        calls = [calling(function, session_id=session_id, idempotency_key="key") for session_id in sessions]

        assert race(world, calls[0], calls[1]) == ("done", "idempotency_key_reused"), function

        assert status_of(world, sessions[1]) == before
        assert status_of(world, sessions[0]) == MOVES[function][before]
    require_sound(world)
