"""Sessions are confirmed, begun, completed and missed: what each step writes, for whom, and from which status."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support import TOMORROW, World
from tests.support.callers import acting, logged_in
from tests.support.databases import on_supabase
from tests.support.life import begin, call, require_sound
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import STATUSES, writing

# What each function makes of a session that is scheduled.
STEPS = {
    "confirm_session": "confirmed", "start_session": "in_progress", "complete_session": "completed",
    "mark_no_show": "no_show",
}  # fmt: skip
AFTER_ITS_START = ("complete_session", "mark_no_show")


def booked(world: World, function: str, hour: int = 8, **people: UUID) -> UUID:
    """Return a session that a function's step can be taken with."""
    client, therapist = people.get("client") or world.client(credits=1), people.get("therapist") or world.therapist()
    session = world.book(client, therapist, f"{hour:02}:00")["id"]
    assert isinstance(session, UUID)
    if function != "confirm_session":
        begin(world.connection, session, 5 + 60 * hour)
    return session


@pytest.mark.parametrize("function", STEPS)
def test_a_step_writes_the_status_and_nothing_else(clean_world: World, function: str) -> None:
    world = clean_world
    session = booked(world, function)
    status = STEPS[function]
    with writing(world, session) as written:
        answer = call(world.connection, function, session_id=session)
    assert (answer["status"], answer["credits_balance"], answer["refunded"]) == (status, 0, False)
    assert written.columns == {"status"}
    changes = {"status": {"old": "scheduled", "new": status}}
    assert written.audit == [("status_changed", "scheduled", status, changes, "owner", True)]
    ((event, payload),) = written.events
    assert (event, payload["session_id"], payload["new_status"]) == ("session.status_changed", str(session), status)
    # Credits stay as they are; a client who does not come has paid.
    assert written.entries == []
    require_sound(world)


@pytest.mark.parametrize("function", STEPS)
def test_a_refused_step_says_from_what_to_what(clean_world: World, function: str) -> None:
    world = clean_world
    session = booked(world, function)
    call(world.connection, function, session_id=session)
    for key in (None, "key"):
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, function, session_id=session, idempotency_key=key)
        status = STEPS[function]
        assert refusal.detail == {
            "code": "invalid_transition", "session_id": str(session), "status": status, "asked": status,
        }  # fmt: skip


@pytest.mark.parametrize("function", AFTER_ITS_START)
def test_no_step_over_a_session_before_its_start(clean_world: World, function: str) -> None:
    """Whatever its status; the error says when that is."""
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist(), "10:00")["id"]
    for status in STATUSES:
        world.run("update sessions set status = %s where id = %s", status, session)
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, function, session_id=session)
        if status == "scheduled":
            assert refusal.detail["asked"] == STEPS[function]
            assert refusal.detail["start_time"] == f"{TOMORROW}T10:00:00Z"


@on_supabase
@pytest.mark.parametrize("function", STEPS)
def test_a_therapists_step_tells_no_balance_even_by_its_key(hosted_world: World, function: str) -> None:
    """A client, who may not take it, does not learn by its key what was answered."""
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    session = booked(world, function, client=client, therapist=therapist)
    step = {"session_id": session, "idempotency_key": "key"}
    with logged_in(world, therapist) as connection:
        answers = [call(connection, function, **step) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0]["credits_balance"] is None
    with logged_in(world, client) as connection, nothing_written(world), refused("not_allowed"):
        call(connection, function, **step)
    with acting(world, "authenticator", "service_role") as connection:
        assert call(connection, function, **step)["credits_balance"] == 0
