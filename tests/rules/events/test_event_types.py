"""What happened, by the type of its event and what its data says; each as its JSON Schema documents it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from tests.support import ROOT, TOMORROW, World
from tests.support.deliveries import drain, webhook
from tests.support.life import (
    DAY,
    LATER,
    at,
    begin,
    call,
    expire_lot,
    hold,
    move,
    request_session,
    require_sound,
    rows,
    set_policy,
)

SCHEMAS = {
    path.name.removesuffix(".v1.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in Path(ROOT / "sql" / "events").glob("*.json")
}


class Practice:
    """Ada and Bob, clients of Grace, with a colleague; a webhook is told of everything."""

    def __init__(self, world: World) -> None:
        self.world, self.connection = world, world.connection
        webhook(world.connection, "crm")
        self.ada, self.bob = world.client(credits=9), world.client(credits=3)
        self.grace, self.colleague = world.therapist(), world.therapist()

    def book(self, time: str = "10:00", client: UUID | None = None) -> UUID:
        session = self.world.book(client or self.ada, self.grace, time, session_date=LATER)["id"]
        assert isinstance(session, UUID)
        return session

    def do(self, function: str, session: UUID, **arguments: Any) -> Any:
        return call(self.connection, function, session_id=session, **arguments)

    def do_as(self, person: UUID, function: str, session: UUID, **arguments: Any) -> None:
        with self.connection.transaction():
            call(self.connection, "act_as", user_id=person)
            self.do(function, session, **arguments)

    def told(self) -> list[Any]:
        """What the webhook was sent since it was last asked, each body checked by its schema."""
        bodies = [delivery["body"] for delivery in drain(self.connection)]
        for body in bodies:
            require_valid(body)
        return bodies

    def told_of(self, *types: str) -> list[Any]:
        """The data of what was sent of these types."""
        return [body["data"] for body in self.told() if body["type"] in types]


@pytest.fixture
def practice(world: World) -> Practice:
    practice = Practice(world)
    practice.told()
    return practice


def require_valid(body: dict[str, Any]) -> None:
    """Hold that a body is as its schema says, and that the schema knows its keys."""
    schema = SCHEMAS[body["type"]]
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)
    assert set(body) <= set(schema["properties"])
    assert set(body["data"]) <= set(schema["properties"]["data"]["properties"]), body


# ----------------------------------------------------------------------------------------------------------------------
# Schemas
# ----------------------------------------------------------------------------------------------------------------------


def test_every_type_has_a_schema_and_every_schema_an_event(world: World) -> None:
    practice = Practice(world)
    lead_a_life(practice)
    told = {body["type"] for body in practice.told()}
    # A reminder comes when its time has come, and not from the outbox: tests/rules/reminders.
    assert told == set(SCHEMAS) - {"session.reminder"}
    require_sound(world)


def lead_a_life(practice: Practice) -> None:
    """Let everything happen that an event tells of."""
    world, connection, ada, grace = practice.world, practice.connection, practice.ada, practice.grace
    call(connection, "test_destination", name="crm")
    # A session of every kind.
    first = practice.book("08:00")
    move(world, first, "09:00", LATER)
    for function in ("confirm_session", "cancel_session", "reopen_session"):
        practice.do(function, first)
    world.run("update sessions set title = 'Another'")
    practice.do("transfer_session", first, therapist_id=practice.colleague)
    begin(connection, first)
    for function in ("start_session", "complete_session"):
        practice.do(function, first)
    practice.do("approve_session", request_session(connection, ada, grace, at(11, LATER)))
    missed = practice.book("12:00")
    begin(connection, missed, 300)
    practice.do("mark_no_show", missed)
    world.run("delete from sessions where id = %s", practice.book("13:00"))
    # Holds.
    for time in ("14:00", "15:00"):
        held = hold(world, practice.bob, grace, time)["id"]
    call(connection, "book_hold", hold_id=held)
    practice.book("16:00", world.client(credits=1))
    # Credits.
    lot = call(connection, "grant_credits", user_id=ada, amount=5)["lot_id"]
    call(connection, "adjust_credits", user_id=ada, amount=-1, reason="x", lot_id=lot)
    call(connection, "freeze_lot", lot_id=lot, reason="x")
    call(connection, "thaw_lot", lot_id=lot, reason="x")
    call(connection, "revoke_grant", lot_id=lot, reason="x")
    call(connection, "reinstate_grant", lot_id=lot, reason="x")
    call(connection, "transfer_credits", from_user_id=ada, to_user_id=practice.bob, amount=1, reason="x")
    soon = call(connection, "grant_credits", user_id=ada, amount=1, expires_on=TOMORROW)["lot_id"]
    call(connection, "relay_events")
    call(connection, "extend_lot", lot_id=soon, expires_on=LATER, reason="x")
    expire_lot(connection, soon)
    call(connection, "expire_credits")
    # People and hours.
    rows(connection, "set_weekly_hours", therapist_id=practice.colleague, hours=None)
    world.run("""select set_contact(%s, '{"language": "de"}')""", ada)
    other = world.client(credits=1)
    call(connection, "merge_clients", from_user_id=other, into_user_id=ada, reason="x")
    call(connection, "erase_person", user_id=world.client())


# ----------------------------------------------------------------------------------------------------------------------
# Sessions
# ----------------------------------------------------------------------------------------------------------------------


def test_booking_says_who_booked_what(practice: Practice) -> None:
    with practice.connection.transaction():
        call(practice.connection, "act_as", user_id=practice.ada)
        session = practice.book()
    (data,) = practice.told_of("session.booked")
    assert data == {
        "session_id": str(session), "user_id": str(practice.ada), "therapist_id": str(practice.grace),
        "start_time": f"{LATER}T10:00:00Z", "end_time": f"{LATER}T11:00:00Z", "status": "scheduled",
        "old_status": None, "revision": 0, "actor": str(practice.ada), "by": "client",
    }  # fmt: skip


def test_move_says_from_when_and_by_whom(practice: Practice) -> None:
    session = practice.book()
    practice.do_as(practice.grace, "reschedule_session", session, session_date=LATER, session_time="12:00")
    (data,) = practice.told_of("session.rescheduled")
    assert (data["old_start_time"], data["start_time"]) == (f"{LATER}T10:00:00Z", f"{LATER}T12:00:00Z")
    assert (data["old_end_time"], data["by"], data["revision"]) == (f"{LATER}T11:00:00Z", "therapist", 1)


@pytest.mark.parametrize(("arguments", "refunded"), [({}, True), ({"refund": False}, False)])
def test_cancellation_says_what_came_back(practice: Practice, arguments: dict[str, Any], refunded: bool) -> None:
    session = practice.book()
    practice.do("cancel_session", session, **arguments)
    # What comes back later is no part of it.
    if not refunded:
        practice.do("refund_session", session, reason="x")
    practice.do("reopen_session", session)
    (data,) = practice.told_of("session.cancelled")
    assert (data["refunded"], data["credits"], data["lapsed"]) == (refunded, int(refunded), False)
    assert (data["actor"], data["by"]) == ("owner", "practice")


def test_lapse_is_a_cancellation_by_nobody(practice: Practice) -> None:
    set_policy(practice.world, practice.grace, approval_lifetime="2 hours")
    session = request_session(practice.connection, practice.ada, practice.grace, at(10, LATER))
    past = "update sessions set approval_until = clock_timestamp() - interval '1 second' where id = %s"
    practice.world.run(past, session)
    practice.book(client=practice.bob)
    (data,) = practice.told_of("session.cancelled")
    assert (data["session_id"], data["by"], data["lapsed"], data["refunded"]) == (str(session), "nobody", True, False)


def test_transfer_says_whose_it_was(practice: Practice) -> None:
    session = practice.book()
    practice.do("transfer_session", session, therapist_id=practice.colleague)
    practice.world.run("update sessions set user_id = %s where id = %s", practice.bob, session)
    to_colleague, to_bob = practice.told_of("session.transferred")
    assert (to_colleague["old_therapist_id"], to_colleague["therapist_id"]) == (
        str(practice.grace), str(practice.colleague),
    )  # fmt: skip
    assert (to_bob["old_user_id"], to_bob["user_id"]) == (str(practice.ada), str(practice.bob))


def test_another_id_of_the_client_is_no_transfer(practice: Practice) -> None:
    session = practice.book()
    call(practice.connection, "merge_clients", from_user_id=practice.ada, into_user_id=practice.bob, reason="x")
    told = practice.told()
    (data,) = (body["data"] for body in told if body["type"] == "session.updated")
    assert (data["session_id"], data["old_user_id"]) == (str(session), str(practice.ada))
    assert "user_id" in data["columns"]
    assert "session.transferred" not in {body["type"] for body in told}


@pytest.mark.parametrize(
    ("steps", "types"),
    [
        (["confirmed", "scheduled"], ["session.confirmed", "session.updated"]),
        (["in_progress", "scheduled"], ["session.started", "session.updated"]),
        (["pending_approval", "in_progress"], ["session.requested", "session.started"]),
        (["pending_approval", "confirmed"], ["session.requested", "session.approved"]),
        (["completed", "no_show", "confirmed"], ["session.completed", "session.no_show", "session.reopened"]),
        (["cancelled", "completed"], ["session.cancelled", "session.completed"]),
    ],
)
def test_direct_change_of_status_has_a_type(practice: Practice, steps: list[str], types: list[str]) -> None:
    session = practice.book()
    for status in steps:
        practice.world.run("update sessions set status = %s where id = %s", status, session)
    told = [body for body in practice.told() if body["type"].startswith("session.")]
    assert [body["type"] for body in told] == ["session.booked", *types]
    assert all(body["data"]["columns"] == ["status"] for body in told if body["type"] == "session.updated")


def test_one_change_is_one_event(practice: Practice) -> None:
    session = practice.book()
    later = "start_time = start_time + interval '1 hour', end_time = end_time + interval '1 hour'"
    practice.world.run(f"update sessions set status = 'confirmed', {later}")
    (data,) = practice.told_of("session.confirmed", "session.rescheduled")
    assert (data["session_id"], data["old_start_time"]) == (str(session), f"{LATER}T10:00:00Z")


# ----------------------------------------------------------------------------------------------------------------------
# Credits
# ----------------------------------------------------------------------------------------------------------------------


def test_credits_are_told_however_late_the_relay_is(practice: Practice) -> None:
    session = request_session(practice.connection, practice.bob, practice.grace, at(10, LATER))
    for function in ("approve_session", "cancel_session", "reopen_session"):
        practice.do(function, session)
    practice.world.run("update sessions set title = 'Another' where id = %s", session)
    told = [body for body in practice.told() if body["type"] not in ("session.requested", "session.updated")]
    # In the order of each subject alone.
    assert sorted(body["type"] for body in told) == sorted([
        "session.approved", "credits.spent", "session.cancelled", "credits.returned", "session.reopened",
        "credits.spent",
    ])  # fmt: skip
    of_lot = [body["data"] for body in told if body["type"].startswith("credits.")]
    assert [data["amount"] for data in of_lot] == [-1, 1, -1]
    assert [of_lot[0]["credits_left_in_lot"], of_lot[2]["credits_left_in_lot"]] == [2, 2]


def test_low_credits_are_told_as_they_were(practice: Practice) -> None:
    for time in ("10:00", "12:00", "14:00"):
        practice.book(time, practice.bob)
    call(practice.connection, "grant_credits", user_id=practice.bob, amount=5)
    low = practice.told_of("credits.low")
    assert [data["credits_left"] for data in low] == [1, 0]
    assert {data["user_id"] for data in low} == {str(practice.bob)}


def test_free_session_spends_nothing(practice: Practice) -> None:
    practice.world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
        *(practice.bob, practice.grace, at(10, LATER), at(11, LATER)),
    )
    assert [body["type"] for body in practice.told()] == ["session.booked"]


def test_event_of_an_application_stays_as_it_is(practice: Practice) -> None:
    world = practice.world
    world.run(
        "insert into bookingdb.outbox (event, subject_id, payload) values ('invoice.sent', %s, '{\"n\": 1}')",
        practice.ada,
    )
    (delivery,) = drain(practice.connection)
    assert (delivery["type"], delivery["body"]["data"]) == ("invoice.sent", {"n": 1})


# ----------------------------------------------------------------------------------------------------------------------
# Credits that end soon
# ----------------------------------------------------------------------------------------------------------------------


def look_again(world: World) -> None:
    """Let the relay look for lots now, which it does once a minute."""
    world.run("delete from bookingdb.expiry_notices where lot_id = '00000000-0000-0000-0000-000000000000'")


def granted(practice: Practice, days: int) -> UUID:
    lot = call(
        practice.connection, "grant_credits", user_id=practice.ada, amount=2, expires_on=dt.date.today() + days * DAY
    )["lot_id"]
    assert isinstance(lot, UUID)
    return lot


def test_end_of_a_lot_is_told_once_for_each_end(practice: Practice) -> None:
    world, lot = practice.world, granted(practice, 5)
    look_again(world)
    (data,) = practice.told_of("credits.expiring")
    assert (data["lot_id"], data["user_id"], data["amount"]) == (str(lot), str(practice.ada), 2)
    assert data["days"] in (5, 6)
    look_again(world)
    assert practice.told_of("credits.expiring") == []
    call(practice.connection, "extend_lot", lot_id=lot, expires_on=TOMORROW + 4 * DAY, reason="x")
    look_again(world)
    assert [data["lot_id"] for data in practice.told_of("credits.expiring")] == [str(lot)]


def empty(practice: Practice, lot: UUID) -> None:
    call(practice.connection, "adjust_credits", user_id=practice.ada, amount=-2, reason="x", lot_id=lot)


def freeze(practice: Practice, lot: UUID) -> None:
    call(practice.connection, "freeze_lot", lot_id=lot, reason="x")


def expire(practice: Practice, lot: UUID) -> None:
    expire_lot(practice.connection, lot)


@pytest.mark.parametrize("end", [empty, freeze, expire])
def test_lot_that_does_not_end_with_credits_is_not_told(
    practice: Practice, end: Callable[[Practice, UUID], None]
) -> None:
    end(practice, granted(practice, 5))
    look_again(practice.world)
    assert practice.told_of("credits.expiring") == []


@pytest.mark.parametrize(("settings", "days"), [((), 13), ((3,), 13), ((3, 40), 39), (("x", 400), 360)])
def test_earliest_destination_decides_when_an_end_is_told(
    practice: Practice, settings: tuple[Any, ...], days: int
) -> None:
    for number, setting in enumerate(settings):
        webhook(practice.connection, f"more-{number}", "credits.expiring", expiring_days=setting)
    told, _ = granted(practice, days), granted(practice, days + 7)
    look_again(practice.world)
    practice.connection.execute("select relay_events()")
    outbox = "select subject_id from bookingdb.outbox where event = 'credits.expiring'"
    assert practice.world.run(outbox) == [(told,)]


def test_end_is_not_told_where_nobody_wants_to_hear_it(world: World) -> None:
    webhook(world.connection, "crm", "session.*")
    call(world.connection, "grant_credits", user_id=world.client(), amount=1, expires_on=TOMORROW)
    call(world.connection, "relay_events")
    assert world.count("bookingdb.expiry_notices") == 0


def test_end_is_looked_for_once_a_minute(practice: Practice) -> None:
    granted(practice, 5)
    assert practice.told_of("credits.expiring") == []
    past = "update bookingdb.expiry_notices set expires_at = clock_timestamp() where lot_id::text like '00000000%'"
    practice.world.run(past)
    assert len(practice.told_of("credits.expiring")) == 1


def test_housekeeping_removes_notices_that_are_over(practice: Practice) -> None:
    granted(practice, 5)
    look_again(practice.world)
    assert len(practice.told_of("credits.expiring")) == 1
    practice.world.run("update bookingdb.expiry_notices set expires_at = expires_at - interval '1000 days'")
    practice.world.run("insert into bookingdb.expiry_notices select gen_random_uuid(), now()")
    call(practice.connection, "housekeeping")
    assert practice.world.count("bookingdb.expiry_notices") == 1


def test_erasure_leaves_actor_and_columns_of_an_event(practice: Practice) -> None:
    practice.book(client=practice.bob)
    practice.world.run("update sessions set title = 'Another'")
    note = "update bookingdb.outbox set payload = payload || '{\"note\": \"Bob snores\"}' where event like 'session.%'"
    practice.world.run(note)
    practice.world.run("delete from sessions")
    call(practice.connection, "erase_person", user_id=practice.bob)
    (data,) = practice.told_of("session.updated")
    assert (data["actor"], data["columns"]) == ("owner", ["title"])
    assert practice.world.run("select id from bookingdb.outbox where payload ? 'note'") == []
