"""The story of a session: everything that is on record about it, in the order of time."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.direct_writes import rolled_back
from tests.support.life import begin, call, close_window, rows
from tests.support.refusals import refused


def explain(world: World, session: UUID, *sources: str) -> list[Any]:
    """The steps of a session, all or those of some sources."""
    steps = rows(world.connection, "explain_session", session_id=session)
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    return [step for step in steps if not sources or step["source"] in sources]


def kinds(steps: list[Any]) -> list[tuple[str, str]]:
    return [(step["source"], step["what"]) for step in steps]


def test_story_has_history_ledger_hold_and_events(world: World) -> None:
    client, therapist = world.client(), world.therapist("Europe/Berlin")
    lot = call(world.connection, "grant_credits", user_id=client, amount=1, payment_reference="pi_3")["lot_id"]
    held = call(world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                session_time="10:00")["id"]  # fmt: skip
    session = call(world.connection, "book_hold", hold_id=held)["id"]
    call(world.connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time="14:00")
    call(world.connection, "cancel_session", session_id=session, reason="ill")

    assert kinds(explain(world, session, "hold", "audit", "ledger")) == [
        ("hold", "placed"), ("ledger", "debit"), ("audit", "created"), ("audit", "moved"), ("ledger", "refund"),
        ("audit", "status_changed"),
    ]  # fmt: skip
    assert [what for _, what in kinds(explain(world, session, "event"))] == [
        "hold.placed", "session.created", "hold.booked", "session.updated", "credits.refunded",
        "session.status_changed",
    ]  # fmt: skip
    debit, refund = explain(world, session, "ledger")
    assert (debit["details"]["lot_id"], debit["details"]["payment_reference"]) == (str(lot), "pi_3")
    assert (debit["details"]["amount"], refund["details"]["amount"]) == (-1, 1)
    assert debit["actor"] == world.owner


def test_story_begins_with_what_was_booked(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist("Europe/Berlin")
    booked = world.book(client, therapist, notes="nobody's business")
    for at in ("14:00", "15:00"):
        call(world.connection, "reschedule_session", session_id=booked["id"], session_date=TOMORROW, session_time=at)

    created, first, second = explain(world, booked["id"], "audit")
    details = created["details"]
    assert (details["user_id"], details["therapist_id"]) == (str(client), str(therapist))
    assert (details["user_name"], details["therapist_name"]) == ("A Client", "A Therapist")
    assert (details["scheduled_date"], details["scheduled_time"]) == (str(TOMORROW), "10:00:00")
    assert details["start_time"].startswith(f"{booked['start_time'].astimezone(dt.UTC):%Y-%m-%dT%H:%M}")
    assert (details["time_zone"], details["duration_minutes"], details["new_status"]) == (
        "Europe/Berlin",
        60,
        "scheduled",
    )
    assert details["free_cancellation_until"] < details["start_time"]
    assert first["details"]["changes"]["scheduled_time"] == {"old": "10:00:00", "new": "14:00:00"}
    assert second["details"]["changes"]["scheduled_time"] == {"old": "14:00:00", "new": "15:00:00"}
    assert "nobody's business" not in str(explain(world, booked["id"]))


def test_story_says_why_a_status_changed(world: World) -> None:
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    begin(world.connection, session, 90)
    call(world.connection, "mark_no_show", session_id=session)
    call(world.connection, "refund_session", session_id=session, reason="Her train was late.")

    missed, goodwill = explain(world, session, "audit", "ledger")[-2:]
    assert (missed["details"]["old_status"], missed["details"]["new_status"]) == ("scheduled", "no_show")
    assert (goodwill["what"], goodwill["details"]["reason"]) == ("goodwill", "Her train was late.")


def test_reason_given_twice_is_told_of_the_last_change(world: World) -> None:
    grace, hedy = world.therapist(), world.therapist()
    session = world.book(world.client(credits=1), grace)["id"]

    def told() -> list[tuple[str, str | None]]:
        steps = explain(world, session, "audit")
        return [(step["details"]["new_status"], step["details"].get("reason")) for step in steps]

    def reopen(reason: str | None) -> None:
        call(world.connection, "cancel_session", session_id=session)
        call(world.connection, "reopen_session", session_id=session, reason=reason)

    for _ in range(2):
        reopen("wrong button")
    called_off, reopened = ("cancelled", None), ("scheduled", None)
    assert told() == [reopened, called_off, reopened, called_off, ("scheduled", "wrong button")]
    for therapist in (hedy, grace):
        call(
            world.connection, "transfer_session", session_id=session, therapist_id=therapist, reason="wrong button",
        )  # fmt: skip
    assert told()[-3:] == [reopened, reopened, ("scheduled", "wrong button")]
    # A change without words has none, in the same transaction, too, and whoever writes directly gives none.
    with world.connection.transaction():
        reopen("wrong button")
        world.run("update sessions set status = 'cancelled' where id = %s", session)
        world.run("update sessions set status = 'confirmed' where id = %s", session)
    assert told()[-3:] == [("scheduled", "wrong button"), called_off, ("confirmed", None)]


def test_reason_is_not_told_of_what_a_trigger_then_writes(world: World) -> None:
    session = world.book(world.client(credits=1), world.therapist())["id"]
    with rolled_back(world):
        world.run(
            "create function note() returns trigger language plpgsql as $$ begin"
            " update public.sessions set title = gen_random_uuid() where id = new.id; return null; end $$"
        )
        world.run(
            "create trigger note after update on sessions for each row"
            " when (old.status = 'cancelled') execute function note()"
        )
        for _ in range(2):
            call(world.connection, "cancel_session", session_id=session)
            call(world.connection, "reopen_session", session_id=session, reason="wrong button")
        steps = explain(world, session, "audit")

    assert [(step["what"], step["details"].get("reason")) for step in steps[-2:]] == [
        ("status_changed", "wrong button"), ("updated", None),
    ]  # fmt: skip


@on_todays_supabase
def test_story_names_the_people_who_acted(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=1), world.therapist()
    with logged_in(world, client) as connection:
        ((session,),) = run(
            connection, "select id from create_session_with_credit_deduction(%s, %s, %s, '10:00')",
            client, therapist, TOMORROW,
        )  # fmt: skip
    with logged_in(world, therapist) as connection:
        run(connection, "select confirm_session(%s)", session)
    world.run("update users set is_active = false where id = %s", client)

    email = world.scalar("select email from users where id = %s", client)
    booked, confirmed = explain(world, session, "audit")
    assert (booked["actor"], booked["actor_name"], booked["actor_email"]) == (str(client), "A Client", email)
    assert (confirmed["actor"], confirmed["actor_name"]) == (str(therapist), "A Therapist")
    for person in (client, therapist):
        with logged_in(world, person) as connection, refused("not_allowed"):
            run(connection, "select explain_session(%s)", session)


def test_story_has_refusals_about_the_session(world: World) -> None:
    client = world.client(credits=1)
    session = world.book(client, world.therapist())["id"]
    world.run("select set_policy('{\"record_refusals\": true}')")
    with refused("invalid_transition") as refusal:
        call(world.connection, "complete_session", session_id=session)
    call(world.connection, "record_refusal", function_name="complete_session", code="invalid_transition",
         context=Jsonb(refusal.detail))  # fmt: skip

    (step,) = explain(world, session, "refusal")
    assert (step["what"], step["details"]["function_name"]) == ("invalid_transition", "complete_session")
    assert (step["details"]["status"], step["details"]["asked"]) == ("scheduled", "completed")


def test_deleted_session_still_has_its_story(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    call(world.connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time="14:00")
    world.run("delete from sessions where id = %s", session)

    steps = explain(world, session, "audit", "ledger")
    assert kinds(steps) == [("ledger", "debit"), ("audit", "created"), ("audit", "moved"), ("audit", "deleted")]
    created = steps[1]["details"]
    assert (created["user_id"], created["therapist_id"]) == (str(client), str(therapist))
    assert created["scheduled_time"] == "10:00:00"
    # Without the events, too, but with less in it.
    world.run("delete from bookingdb.outbox")
    assert kinds(explain(world, session)) == kinds(steps)


def test_story_follows_the_order_of_records_at_one_moment(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    for at in ("14:00", "15:00", "16:00"):
        call(world.connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time=at)
    with world.connect(user=world.superuser) as superuser, superuser.transaction():
        superuser.execute("set local session_replication_role = replica")
        superuser.execute("update booking_audit_log set created_at = now()")

    moves = explain(world, session, "audit")
    assert [step["details"]["changes"].get("scheduled_time", {}).get("new") for step in moves] == [
        None, "14:00:00", "15:00:00", "16:00:00",
    ]  # fmt: skip
    assert explain(world, session) == explain(world, session)


def test_story_has_the_events_of_this_session_alone(world: World) -> None:
    client, therapist = world.client(credits=40), world.therapist()
    sessions = [world.book(client, therapist, f"{hour:02}:00")["id"] for hour in range(20)]
    for session in sessions[::2]:
        call(world.connection, "cancel_session", session_id=session)
    world.run("delete from bookingdb.outbox where id % 7 = 0")
    world.run("update bookingdb.outbox set handled_at = now() where id % 2 = 0")

    told = "select event, handled_at is not null from bookingdb.outbox where subject_id = %s order by id"
    for session in sessions:
        events = explain(world, session, "event")
        found = [(step["what"], step["details"]["handled_at"] is not None) for step in events
                 if step["what"].startswith("session.")]  # fmt: skip
        assert found == world.run(told, session)


def test_session_that_never_was_has_no_story(world: World) -> None:
    with refused("session_not_found"):
        explain(world, uuid4())
    with refused("invalid_session_id"):
        rows(world.connection, "explain_session", session_id=None)
    client = world.client()
    held = call(world.connection, "hold_slot", user_id=client, therapist_id=world.therapist(), session_date=TOMORROW,
                session_time="10:00")["id"]  # fmt: skip
    with refused("session_not_found"):
        explain(world, held)


def test_session_written_directly_has_its_story(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.scalar(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s) returning id",
        client, therapist, f"{TOMORROW}T10:00Z", f"{TOMORROW}T11:00Z",
    )  # fmt: skip
    close_window(world.connection, session)
    steps = explain(world, session, "audit")
    assert kinds(steps) == [("audit", "created"), ("audit", "updated")]
    assert steps[0]["details"]["start_time"].startswith(f"{TOMORROW}T10:00")


def test_moves_are_recorded_like_any_change(world: World) -> None:
    """A move's columns are compared by themselves, and with another column all are: both say the same."""
    session = world.book(world.client(credits=1), world.therapist())["id"]
    recorded = (
        "with moved as (select jsonb_populate_record(s, %s) as new, s as old from sessions as s where id = %s)"
        " select bookingdb.session_changes(old, new),"
        " bookingdb.session_changes(old, jsonb_populate_record(new, '{\"duration_minutes\": 7}')) - 'duration_minutes'"
        " from moved"
    )
    times: dict[str, str | None] = {
        "scheduled_date": "2030-01-02", "scheduled_time": "11:00", "start_time": "2030-01-02T11:00:00.5+01:00",
        "end_time": "2030-01-02T12:00:00Z", "free_cancellation_until": "2030-01-01T12:00:00Z",
    }  # fmt: skip
    changes: list[dict[str, str | None]] = [times, {}, dict.fromkeys(times)]
    for written in [*changes, *({name: value} for name, value in times.items())]:
        ((alone, with_another),) = world.run(recorded, Jsonb({**written, "updated_at": "2029-01-01"}), session)
        assert alone == with_another
        assert alone.keys() == written.keys()
