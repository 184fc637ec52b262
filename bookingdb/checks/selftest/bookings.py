"""The checks that one connection makes: what is booked, what is taken and written for it, and what is refused."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from functools import partial
from typing import Final

from bookingdb.checks.selftest.expectations import load, require, require_refusal, row
from bookingdb.checks.selftest.stage import BorrowedStage, Stage, borrow
from bookingdb.errors import BookingConflict, ClientConflict, InPast, InsufficientCredits, TherapistNotFound


def _books(stage: Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    starts = dt.datetime.combine(stage.day, dt.time(12), dt.UTC)
    kept = row(stage.connection, load("booked_session", session=booked.id))
    require(
        (kept[0], kept[1], kept[2].astimezone(dt.UTC), kept[3], kept[4]),
        (stage.client, stage.therapist, starts, dt.timedelta(minutes=60), "scheduled"),
        "the session",
    )
    ends = starts + dt.timedelta(minutes=60)
    people = {"therapist": stage.therapist, "client": stage.client}
    (in_calendar,) = row(
        stage.connection, load("rows_in_calendar", session=booked.id, **people, starts=starts, ends=ends)
    )
    require(in_calendar, 1, "the number of calendar rows")


def _deducts_one_credit(stage: Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    require(booked.credits_balance, 1, "the balance returned by the booking of two credits")
    require(stage.bookings.get_credit_balance(stage.client), 1, "the balance after a booking of two credits")
    lot = row(
        stage.connection,
        "select c.credits_balance, c.credits_used from public.user_credits as c where c.id = %s",
        stage.lots[stage.client],
    )
    require(lot, (1, 1), "what is left in the client's lot, and used of it")
    entries = stage.connection.execute(load("entries_of_lot", lot=stage.lots[stage.client])).fetchall()
    require(entries, [("grant", 2, 2, None), ("debit", -1, 1, booked.id)], "the client's ledger")


def _writes_the_audit_row(stage: Stage) -> None:
    booked = stage.book(stage.client, stage.therapist)
    rows = stage.connection.execute(load("audit_of_session", session=booked.id)).fetchall()
    require(rows, [(stage.client, "created", None, "scheduled")], "the audit log of the session")


def _refuses_without_credits(stage: Stage) -> None:
    require_refusal(lambda: stage.book(stage.penniless, stage.therapist), InsufficientCredits)


def _refuses_an_unknown_therapist(stage: Stage) -> None:
    require_refusal(lambda: stage.book(stage.client, uuid.uuid4()), TherapistNotFound)


def _refuses_an_inactive_therapist(stage: Stage) -> None:
    stage.bookings.set_therapist_active(stage.therapist, False)
    require_refusal(lambda: stage.book(stage.client, stage.therapist), TherapistNotFound)


def _refuses_the_past(stage: Stage) -> None:
    require_refusal(lambda: stage.book(stage.client, stage.therapist, day=stage.yesterday), InPast)


def _refuses_a_taken_slot(stage: Stage) -> None:
    stage.book(stage.client, stage.therapist, "12:00")
    for overlapping in ("12:00", "11:30", "12:30"):
        require_refusal(partial(stage.book, stage.other_client, stage.therapist, overlapping), BookingConflict)
    stage.book(stage.other_client, stage.therapist, "13:00")


def _refuses_a_client_who_is_busy(stage: Stage) -> None:
    stage.book(stage.client, stage.therapist, "12:00")
    require_refusal(lambda: stage.book(stage.client, stage.colleague, "12:30"), ClientConflict)


CHECKS: Final[tuple[tuple[str, Callable[[Stage], None]], ...]] = (
    ("a session is booked", _books),
    ("exactly one credit is deducted", _deducts_one_credit),
    ("the audit row is written", _writes_the_audit_row),
    ("a booking without credits is refused", _refuses_without_credits),
    ("an unknown therapist is refused", _refuses_an_unknown_therapist),
    ("an inactive therapist is refused", _refuses_an_inactive_therapist),
    ("a start in the past is refused", _refuses_the_past),
    ("a taken slot is refused", _refuses_a_taken_slot),
    ("a second session of a client at the same time is refused", _refuses_a_client_who_is_busy),
)


def impossible(stage: Stage) -> dict[Callable[[Stage], None], str]:
    """The checks that cannot be made with the people of a stage, each with the reason."""
    if not isinstance(stage, BorrowedStage):
        return {}
    therapists, clients = borrow(stage.connection)
    if not therapists or not clients:
        return {check: "there is nobody to try it with" for _, check in CHECKS}
    reasons: dict[Callable[[Stage], None], str] = {}
    # Only of people of our own table is it known how they become inactive.
    query: Final = "select exists (select from public.users as u where u.id = %s)"
    if not row(stage.connection, query, therapists[0])[0]:
        reasons[_refuses_an_inactive_therapist] = "only the application makes therapists inactive"
    for is_missing, check, who in (
        (len(therapists) < 2, _refuses_a_client_who_is_busy, "second therapist"),
        (len(clients) < 2, _refuses_a_taken_slot, "second client"),
        (len(clients) < 3, _refuses_without_credits, "third client"),
    ):
        if is_missing:
            reasons[check] = f"the application has no {who}"
    return reasons
