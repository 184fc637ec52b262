"""An example of every public function: the arguments with which it succeeds, and who may make the call.

A new public function has one entry here. Tests of access, of plans and of the builders go through all of them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import uuid4

from bookingdb.errors import BookingError, InsufficientCredits
from tests.support import TOMORROW, World
from tests.support.deliveries import webhook
from tests.support.life import at, begin, call, request_session

SOMEBODY = "6f1c5b52-4f0a-4b7e-9d5f-6f5f0e6f7a10"


class Allowed(Enum):
    """Who may make a call, beside trusted callers."""

    BOTH = auto()
    CLIENT = auto()
    THERAPIST = auto()
    # The therapist, about their own time and not about a session.
    THERAPISTS_TIME = auto()
    ANYBODY = auto()
    TRUSTED = auto()
    # Trusted callers with the worker's privilege alone.
    WORKER = auto()


@dataclass(frozen=True)
class Call:
    """The arguments of a function in SQL; the placeholders are the keys of `make_scene`."""

    arguments: str
    allowed: Allowed


CALLS = {
    "get_session": Call("%(session)s", Allowed.BOTH),
    "join_session": Call("%(session)s", Allowed.BOTH),
    "set_session_video": Call("%(session)s, 'https://practice.daily.co/room', 'ready'", Allowed.WORKER),
    "list_sessions": Call("null", Allowed.ANYBODY),
    "get_hold": Call("%(hold)s", Allowed.CLIENT),
    "list_holds": Call("%(client)s, %(therapist)s", Allowed.CLIENT),
    "list_therapists": Call("false", Allowed.ANYBODY),
    "cancel_session": Call("%(session)s, 'ill', null, null", Allowed.BOTH),
    "reschedule_session": Call("%(session)s, %(date)s, '18:00', null, null, null, null", Allowed.BOTH),
    "cancel_series": Call("%(session)s, 'ill', null, null", Allowed.BOTH),
    "reschedule_series": Call("%(session)s, %(date)s, '18:00', null, null, null", Allowed.BOTH),
    "approve_session": Call("%(request)s, null", Allowed.THERAPIST),
    "confirm_session": Call("%(session)s, null", Allowed.THERAPIST),
    "start_session": Call("%(begun)s, null", Allowed.THERAPIST),
    "complete_session": Call("%(begun)s, null", Allowed.THERAPIST),
    "mark_no_show": Call("%(begun)s, null", Allowed.THERAPIST),
    "reopen_session": Call("%(missed)s, 'came late', null", Allowed.THERAPIST),
    "refund_session": Call("%(missed)s, 'a reason', null", Allowed.TRUSTED),
    "explain_session": Call("%(session)s", Allowed.TRUSTED),
    "record_refusal": Call("'hold_slot', 'too_soon', %(client)s, %(therapist)s, '{}'", Allowed.CLIENT),
    "list_refusals": Call("%(client)s, null, null, 100", Allowed.CLIENT),
    "hold_slot": Call("%(client)s, %(therapist)s, %(date)s, '20:00', 60, null, null, null", Allowed.CLIENT),
    "release_hold": Call("%(hold)s", Allowed.CLIENT),
    "book_hold": Call("%(hold)s, 'video', '', 'A title', null", Allowed.CLIENT),
    "book_series": Call(
        "%(client)s, %(therapist)s, %(date)s, '20:00', 2, '7 days', 60, 'video', '', 'A title', null, null, 'skip'",
        Allowed.CLIENT,
    ),
    "adjust_credits": Call("%(client)s, 1, 'a reason', null, null", Allowed.TRUSTED),
    "transfer_credits": Call("%(client)s, %(receiver)s, 1, 'a reason', null, null", Allowed.TRUSTED),
    "set_package": Call("'Ten', 10, '1 month', 'price_10', 2, 'paid', 50, true, null", Allowed.TRUSTED),
    "grant_package": Call("%(client)s, %(package)s, null, 'a payment', null", Allowed.TRUSTED),
    "list_packages": Call("false", Allowed.ANYBODY),
    "set_destination": Call("'other', 'pager', '{*}', '{}', '{}', true", Allowed.TRUSTED),
    "remove_destination": Call("'crm'", Allowed.TRUSTED),
    "list_destinations": Call("", Allowed.TRUSTED),
    "rotate_secret": Call("'crm', null", Allowed.TRUSTED),
    "test_destination": Call("'crm'", Allowed.TRUSTED),
    "relay_events": Call("10", Allowed.WORKER),
    "claim_deliveries": Call("10, '1 minute', '{crm}', '{webhook}', null", Allowed.WORKER),
    "finish_delivery": Call("%(package)s, %(lot)s, 'retry', 503, 'busy', '1 minute', '{}'", Allowed.WORKER),
    "list_deliveries": Call("'crm', 'dead', %(session)s, 10, null", Allowed.TRUSTED),
    "replay_deliveries": Call("'crm', null, null, null, 'dead'", Allowed.TRUSTED),
    "deliveries_status": Call("", Allowed.TRUSTED),
    "revoke_grant": Call("%(lot)s, null, 'a reason', 0.5, false", Allowed.TRUSTED),
    "reinstate_grant": Call("%(lot)s, null, 'a reason'", Allowed.TRUSTED),
    "realign_sessions": Call("%(therapist)s, true", Allowed.TRUSTED),
    "list_lots": Call("%(client)s, true", Allowed.CLIENT),
    "extend_lot": Call("%(ending)s, null, current_date + 60, 'a reason'", Allowed.TRUSTED),
    "freeze_lot": Call("%(lot)s, 'a reason'", Allowed.TRUSTED),
    "thaw_lot": Call("%(lot)s, 'a reason'", Allowed.TRUSTED),
    "expire_credits": Call("", Allowed.TRUSTED),
    "housekeeping": Call("10, false", Allowed.TRUSTED),
    "get_credit_statement": Call("%(client)s, '2000-01-01', '2100-01-01'", Allowed.CLIENT),
    "export_person": Call("%(client)s", Allowed.CLIENT),
    "erase_person": Call("%(leaver)s, '{payments}'", Allowed.TRUSTED),
    "get_contact": Call("%(client)s", Allowed.CLIENT),
    "set_contact": Call("""%(client)s, '{"language": "de"}'""", Allowed.CLIENT),
    "create_calendar_feed": Call("%(client)s", Allowed.CLIENT),
    "revoke_calendar_feed": Call("%(client)s", Allowed.CLIENT),
    "calendar_feed": Call("%(feed)s", Allowed.TRUSTED),
    "set_reminder_rule": Call("'week', '7 days', '{client,therapist}', 'email', true", Allowed.TRUSTED),
    "remove_reminder_rule": Call("'hour'", Allowed.TRUSTED),
    "list_reminder_rules": Call("", Allowed.TRUSTED),
    "get_policy": Call("%(therapist)s", Allowed.ANYBODY),
    "set_policy": Call("""'{"refund_grace": "60 days"}', %(therapist)s""", Allowed.TRUSTED),
    "book_session_with_override": Call(
        "%(client)s, %(therapist)s, %(date)s, '20:00', 60, 'video', '', 'A title', null, true, null, '{limits}'",
        Allowed.TRUSTED,
    ),
    "transfer_session": Call("%(session)s, %(colleague)s, 'ill', null, null", Allowed.TRUSTED),
    "change_email": Call("%(client)s, 'somebody@example.org'", Allowed.TRUSTED),
    "change_login": Call("%(client)s, gen_random_uuid()", Allowed.TRUSTED),
    "merge_clients": Call("%(client)s, %(receiver)s, 'a reason'", Allowed.TRUSTED),
    "record_session": Call(
        "%(client)s, %(therapist)s, current_date - 3, '20:00', 60, 'video', '', 'A title', null, 'completed', null",
        Allowed.TRUSTED,
    ),
    "list_available_slots": Call("%(therapist)s, %(date)s, %(date)s, 60, null, null, null, null", Allowed.ANYBODY),
    "list_available_days": Call("%(therapist)s, %(date)s, %(date)s, 60, null, null, null, null", Allowed.ANYBODY),
    "list_slot_states": Call("%(therapist)s, %(date)s, %(date)s, 60, null, null, null, null", Allowed.ANYBODY),
    "list_opening_hours": Call("%(therapist)s, %(date)s, %(date)s, null", Allowed.ANYBODY),
    "next_available_slot": Call("%(therapist)s, 60, current_date + 1, null, null, null, null", Allowed.ANYBODY),
    "find_available_therapists": Call("current_date + 1, current_date + 4, 60, null, 20", Allowed.ANYBODY),
    "get_weekly_hours": Call("%(therapist)s", Allowed.ANYBODY),
    "is_bookable_any_time": Call("%(therapist)s", Allowed.ANYBODY),
    "set_weekly_hours": Call(
        """%(therapist)s, '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]'""", Allowed.THERAPISTS_TIME
    ),
    "list_date_overrides": Call("%(therapist)s, %(date)s, %(date)s", Allowed.ANYBODY),
    "set_date_override": Call("%(therapist)s, %(date)s, '[]'", Allowed.THERAPISTS_TIME),
    "list_calendar_changes": Call("%(therapist)s, now(), now() + interval '3 days'", Allowed.THERAPISTS_TIME),
    "list_time_off": Call("%(therapist)s, now(), now() + interval '3 days'", Allowed.THERAPISTS_TIME),
    "add_time_off": Call("%(therapist)s, now(), now() + interval '3 days', 'a reason'", Allowed.THERAPISTS_TIME),
    "add_days_off": Call("%(therapist)s, %(date)s, %(date)s, 'a reason'", Allowed.THERAPISTS_TIME),
    "remove_time_off": Call("%(time_off)s", Allowed.THERAPISTS_TIME),
    "sync_external_busy": Call(
        "%(therapist)s, 'a calendar', '[]', now(), now() + interval '3 days'", Allowed.THERAPISTS_TIME
    ),
}


def calls_for(allowed: Allowed) -> set[str]:
    """The functions whose example these may call."""
    return {name for name, example in CALLS.items() if example.allowed is allowed}


def make_scene(world: World) -> dict[str, Any]:
    """A client and a therapist with a session to come, one that began, one that is asked for, and a hold."""
    client, therapist = world.client(), world.therapist()
    webhook(world.connection, "crm")
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=9)["lot_id"]
    begun = world.book(client, therapist, "06:00")["id"]
    begin(world.connection, begun)
    missed = world.book(client, therapist, "04:00")["id"]
    begin(world.connection, missed, 300)
    call(world.connection, "mark_no_show", session_id=missed)
    return {
        "client": client,
        "therapist": therapist,
        "colleague": world.therapist(),
        "receiver": world.client(),
        "leaver": world.client(credits=1),
        "package": world.scalar("select id from set_package('Five', 5)"),
        "lot": lot_id,
        "ending": world.scalar(
            "select lot_id from grant_credits(%s, 1, p_expires_on => current_date + 30, p_priority => 100)", client
        ),
        "date": TOMORROW,
        "session": world.book(client, therapist, "08:00")["id"],
        "begun": begun,
        "missed": missed,
        "request": request_session(world.connection, client, therapist, at(10)),
        "feed": world.scalar("select create_calendar_feed(%s)", therapist),
        "time_off": world.scalar("select id from add_time_off(%s, now(), now() + interval '1 hour')", therapist),
        "hold": call(
            world.connection, "hold_slot",
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00",
        )["id"],
    }  # fmt: skip


# Those that need people only; tests/rules/access/test_roles.py says who may call each. The placeholders are the keys of
# `make_people`.
PEOPLE_CALLS = {
    "create_session_with_credit_deduction": "%(me)s, %(therapist)s, %(date)s, '10:00', 60, 'x', '', 't', null, null",
    "check_booking_conflict": "%(therapist)s, %(date)s, '10:00', '11:00', null, null",
    "get_credit_balance": "%(me)s",
    "get_credit_history": "%(me)s, 50, null",
    "act_as": "%(me)s",
    "lock_for_booking": "array[%(me)s, %(therapist)s]::uuid[]",
    "find_people": "%(me)s::pg_catalog.text, 20",
    "register_client": "%(email)s, null, %(id)s",
    "register_therapist": "%(email)s, null, %(id)s, null",
    "set_therapist_active": "%(therapist)s, true",
    "set_client_active": "%(me)s, true",
    "grant_credits": "%(me)s, 1, null, null, null, 'paid', 50, null",
}


def make_people(world: World) -> dict[str, Any]:
    """A therapist, two clients with credits, and an address nobody has."""
    return {
        "therapist": world.therapist(),
        "me": world.client(credits=3),
        "other": world.client(credits=3),
        "date": TOMORROW,
        "email": f"{uuid4()}@example.com",
        "id": uuid4(),
    }


def a_refusal() -> BookingError:
    """An error that came from a call."""
    error = InsufficientCredits()
    error.function_name = "hold_slot"
    return error


# A value that will do in Python, for each parameter that has no default, by its name.
VALUES: dict[str, Any] = {
    **dict.fromkeys(("user_id", "therapist_id", "session_id", "hold_id", "time_off_id", "lot_id"), SOMEBODY),
    **dict.fromkeys(("new_user_id", "from_user_id", "into_user_id", "to_user_id"), SOMEBODY),
    "active": True,
    "amount": 1,
    "before": dt.timedelta(hours=2),
    "changes": {"language": "de"},
    "credits": 10,
    "date": "2030-01-07",
    **dict.fromkeys(("delivery_id", "token"), SOMEBODY),
    "destination": "crm",
    **dict.fromkeys(("first_date", "last_date"), "2030-01-07"),
    "email": "ada@example.com",
    "error": a_refusal(),
    "end": dt.datetime(2031, 1, 1, tzinfo=dt.UTC),
    "end_time": "11:00",
    "events": [],
    "from_": dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
    "hours": [],
    "name": "Ten",
    "occurrences": 2,
    "outcome": "delivered",
    "people": [SOMEBODY],
    "reason": "r",
    "search": "ada",
    "secret": "whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxlIGFib3Zl",
    "session_date": "2030-01-07",
    "session_time": "10:00",
    "source": "google",
    "start": dt.datetime(2030, 1, 1, tzinfo=dt.UTC),
    "start_time": "10:00",
    "status": "ready",
    "url": "https://practice.daily.co/room",
    "to": dt.datetime(2031, 1, 1, tzinfo=dt.UTC),
}
