"""A session that was asked for is approved: what it costs, and when it is refused."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.life import DAY, LATER, at, call, require_sound
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import asked_for, session_row, writing


def test_an_approval_charges_by_todays_policy(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    session = asked_for(world, client, therapist)
    assert session_row(world, session)["credits_charged"] == 0
    call(world.connection, "set_policy", settings=Jsonb({"cancellation_window": "48 hours"}), therapist_id=therapist)

    with writing(world, session) as written:
        answer = call(world.connection, "approve_session", session_id=session)

    assert answer["free_cancellation_until"] == at(10, LATER - 2 * DAY)
    assert written.columns == {"status", "credits_charged", "free_cancellation_until"}
    ((action, old, new, changes, _, _),) = written.audit
    assert (action, old, new, set(changes)) == ("status_changed", "pending_approval", "scheduled", written.columns)
    assert [event for event, _ in written.events] == ["session.status_changed"]
    assert [entry[:3] for entry in written.entries] == [("debit", -1, 1)]
    # What was charged on approval comes back when it is cancelled.
    assert call(world.connection, "cancel_session", session_id=session)["credits_balance"] == 2
    require_sound(world)


def test_a_session_whose_credit_was_kept_has_paid(clean_world: World) -> None:
    world = clean_world
    session = asked_for(world, world.client(credits=2), world.therapist())
    call(world.connection, "approve_session", session_id=session)
    call(world.connection, "cancel_session", session_id=session, refund=False)
    world.run("update sessions set status = 'pending_approval' where id = %s", session)
    assert call(world.connection, "approve_session", session_id=session)["credits_balance"] == 1
    require_sound(world)


def test_an_approval_needs_people_and_a_time(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=2), world.therapist()
    nobodys = asked_for(world, None, therapist)
    some_day = world.scalar(
        "insert into sessions (user_id, therapist_id, status) values (%s, %s, 'pending_approval') returning id",
        client, therapist,
    )  # fmt: skip
    gone = asked_for(world, client, therapist, 14)
    world.run("update users set is_active = false where id = %s", client)
    for session, code in ((nobodys, "user_not_found"), (gone, "user_not_found"), (some_day, "invalid_transition")):
        if session == some_day:
            world.run("update users set is_active = true where id = %s", client)
        with nothing_written(world), refused(code):
            call(world.connection, "approve_session", session_id=session)


def test_a_refused_approval_says_from_what_to_what(clean_world: World) -> None:
    world = clean_world
    session = asked_for(world, world.client(credits=2), world.therapist())
    detail = {"code": "invalid_transition", "session_id": str(session), "asked": "scheduled"}
    call(world.connection, "approve_session", session_id=session)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "approve_session", session_id=session)
    assert refusal.detail == {**detail, "status": "scheduled"}
    call(world.connection, "cancel_session", session_id=session)
    world.run("update sessions set status = 'pending_approval' where id = %s", session)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "approve_session", session_id=session)
    assert refusal.detail == {**detail, "status": "pending_approval", "reason": "refunded"}
