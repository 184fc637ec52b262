"""The table of errors as it is promised, and a way to say in a test which of them a call must end with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support import World

# Written out here on purpose, and not taken from the code under test.
PROMISED = {
    "not_authenticated": ("PT401", "Not authenticated"),
    "not_allowed": ("PT403", "Not allowed to act for this user"),
    "invalid_therapist_id": ("PT400", "Invalid therapist ID format"),
    "invalid_user_id": ("PT400", "Invalid user ID format"),
    "invalid_session_id": ("PT400", "Invalid session ID format"),
    "invalid_date": ("PT400", "Invalid date format"),
    "invalid_time": ("PT400", "Invalid time format"),
    "skipped_time": ("PT400", "Invalid time: skipped by a clock change"),
    "invalid_time_zone": ("PT400", "Invalid time zone"),
    "invalid_duration": ("PT400", "Duration must be 15-180 minutes"),
    "invalid_parameter": ("PT400", "Invalid parameter"),
    "in_past": ("PT400", "Cannot book in the past"),
    "too_soon": ("PT400", "Too close to the start to book"),
    "too_far": ("PT400", "Too far ahead to book"),
    "therapist_not_found": ("PT404", "Therapist not found"),
    "user_not_found": ("PT404", "User not found"),
    "session_not_found": ("PT404", "Session not found"),
    "hold_not_found": ("PT404", "Hold not found"),
    "time_off_not_found": ("PT404", "Time off not found"),
    "lot_not_found": ("PT404", "Credit grant not found"),
    "feed_not_found": ("PT404", "Calendar feed not found"),
    "package_not_found": ("PT404", "Package not found"),
    "destination_not_found": ("PT404", "Destination not found"),
    "insufficient_credits": ("PT402", "Insufficient credits: purchase credits first"),
    "booking_conflict": ("PT409", "Booking conflict: time slot unavailable"),
    "client_conflict": ("PT409", "Booking conflict: you already have a session at this time"),
    "outside_availability": ("PT409", "Booking conflict: outside available hours"),
    "client_limit": ("PT409", "Booking conflict: too many sessions"),
    "reschedule_refused": ("PT409", "Session can no longer be moved"),
    "person_inactive": ("PT409", "Person is not active"),
    "grant_revoked": ("PT409", "Payment was revoked"),
    "person_in_use": ("PT409", "Person still has sessions to come"),
    "invalid_transition": ("PT409", "Session status does not allow this"),
    "hold_expired": ("PT410", "Hold expired"),
    "idempotency_key_reused": ("PT422", "Idempotency key was used with other parameters"),
    "busy": ("PT503", "Booking is busy, try again"),
}

# Everything a call can write to.
TABLES = (
    "public.users",
    "public.sessions",
    "public.user_credits",
    "public.booking_audit_log",
    "bookingdb.absences",
    "bookingdb.calendar",
    "bookingdb.ledger",
    "bookingdb.payments",
    "bookingdb.outbox",
    "bookingdb.idempotency_keys",
    "bookingdb.policies",
    "bookingdb.holds",
    "bookingdb.weekly_hours",
    "bookingdb.therapists_with_hours",
    "bookingdb.date_overrides",
    "bookingdb.packages",
)


@dataclass
class Refusal:
    """The context of a refusal and its hint; filled when the block of `refused` has ended."""

    detail: dict[str, Any]
    hint: str = ""


def code_of(error: psycopg.Error) -> str:
    """Return the code of an error of the table, having held all its parts against the promise; else the SQLSTATE."""
    diag = error.diag
    if not error.sqlstate:
        return str(error)
    return promised_code(error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)


def promised_code(sqlstate: str, message: str | None, detail: str | None, hint: str | None) -> str:
    """The same, of the parts of an error."""
    if not sqlstate.startswith("PT"):
        return sqlstate
    code = json.loads(detail or "{}").get("code")
    assert (sqlstate, message) == PROMISED[code]
    assert hint
    return str(code)


def outcome(call: Callable[[], Any]) -> str:
    """Return "done", or the code of the error of the table that a call ended with, else its SQLSTATE."""
    try:
        call()
    except psycopg.Error as error:
        return code_of(error)
    return "done"


@contextmanager
def refused(code: str) -> Iterator[Refusal]:
    """Hold that the block is refused with this error: SQLSTATE, message, DETAIL and HINT as promised."""
    refusal = Refusal({})
    with pytest.raises(psycopg.Error) as caught:
        yield refusal
    assert code_of(caught.value) == code, caught.value
    refusal.detail = json.loads(caught.value.diag.message_detail or "{}")
    refusal.hint = caught.value.diag.message_hint or ""


@contextmanager
def nothing_written(world: World) -> Iterator[None]:
    """Hold that every row of every table is after the block what it was before."""
    before = contents(world)
    yield
    assert contents(world) == before


def contents(world: World) -> dict[str, list[Any]]:
    """Return the rows of every table, in an order of their own."""
    query = sql.SQL("select t::text from {} as t order by 1")
    return {
        table: world.connection.execute(query.format(sql.Identifier(*table.split(".")))).fetchall() for table in TABLES
    }
