"""Everything that can happen to sessions, holds and credits, in random order and two at a time, against a model.

The model is the rules in the plainest words: lists that are searched from one end to the other. Two calls at once are
right when some order of the two, one after the other, answers and leaves behind the same.

BOOKINGDB_STORM=full makes it as long as what is promised.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from tests.support import Connection, World, connect, run
from tests.support.databases import EMPTY_THE_TABLES
from tests.support.interleaving import started
from tests.support.life import require_sound_statement, rows
from tests.support.refusals import code_of

pytestmark = pytest.mark.slow

FULL = os.environ.get("BOOKINGDB_STORM") == "full"
RUNS, STEPS = (60, 100) if FULL else (4, 50)

MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
# Far enough from now that no window opens or closes while a test runs.
FIRST_DAY = dt.date.today() + 10 * DAY
FAR = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
ZONES = ("UTC", "Asia/Tokyo")
TRUSTED = "trusted"
ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
# A session in one of these was paid for and keeps its time, or took place.
PAID = ("scheduled", "confirmed", "in_progress", "completed", "no_show")

Actor = UUID | str


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# ----------------------------------------------------------------------------------------------------------------------
# Calls and answers
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A function (or what the owner writes directly), who calls it, and its parameters."""

    function: str
    actor: Actor
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """How a call ended, and what it answered."""

    code: str
    rows: list[DictRow]
    detail: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What is in the database: sessions, lots and balances by id, and the invariants that do not hold."""

    sessions: dict[UUID, dict[str, Any]]
    lots: dict[UUID, dict[str, Any]]
    balances: dict[UUID, int]
    violations: list[tuple[int, UUID]]


class Refused(Exception):
    """What the model says when a call must be refused."""

    def __init__(self, code: str, **detail: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


# ----------------------------------------------------------------------------------------------------------------------
# The model
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Lot:
    id: UUID
    client: UUID
    balance: int
    expires_at: dt.datetime | None = None
    category: str = "paid"
    priority: int = 50
    status: str = "active"
    grace_for: UUID | None = None
    # The lot that its credits were transferred from.
    source: UUID | None = None
    revoked: int = 0
    # When the lot itself was revoked.
    revoked_at: dt.datetime | None = None
    owed: int = 0
    spent: int = 0
    frozen_at: dt.datetime | None = None
    # When credits expired in it, and how many; negative where they came back.
    expiries: tuple[tuple[dt.datetime, int], ...] = ()

    @property
    def is_over(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()

    @property
    def is_usable(self) -> bool:
        return self.status in ("active", "used") and not self.is_over


@dataclass
class Session:
    id: UUID
    client: UUID
    therapist: UUID
    start: dt.datetime
    minutes: int
    status: str
    # The lot that paid, once it was paid.
    lot: UUID | None = None
    refunded: bool = False
    # Whether what came back can be spent again.
    came_back: bool = False
    free_until: dt.datetime | None = None
    # How long before its start was agreed, where a move made it later.
    notice: dt.timedelta | None = None
    # Until when its client cancels free after the last move by somebody else.
    grace_until: dt.datetime | None = None
    series: UUID | None = None
    # The last status in which it took place.
    stood: str = "scheduled"

    @property
    def end(self) -> dt.datetime:
        return self.start + self.minutes * MINUTE


@dataclass
class Hold:
    id: UUID
    client: UUID
    therapist: UUID
    start: dt.datetime
    minutes: int
    # live, released or booked; one that has expired is still live, but not any longer.
    state: str = "live"
    is_over: bool = False

    @property
    def end(self) -> dt.datetime:
        return self.start + self.minutes * MINUTE


DEFAULTS: dict[str, Any] = {
    "minimum_duration_minutes": 15,
    "maximum_duration_minutes": 180,
    "cancellation_window": dt.timedelta(hours=24),
    "refund_grace": dt.timedelta(days=30),
    "hold_lifetime": dt.timedelta(minutes=5),
    "credits_valid_on": "booking",
}


@dataclass
class Model:
    clients: list[UUID]
    # Therapists and their zones.
    zones: dict[UUID, str]
    active: dict[UUID, bool]
    policies: dict[UUID | None, dict[str, Any]]
    lots: dict[UUID, Lot] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    # By function, client and key: the request, whose answer it was, the balance that was answered.
    answers: dict[tuple[str, UUID, str], tuple[Any, Any, int]] = field(default_factory=dict)
    # Client, kind, amount, lot, session.
    ledger: list[tuple[UUID, str, int, UUID, UUID | None]] = field(default_factory=list)
    seen: Seen = field(default_factory=lambda: Seen({}, {}, {}, []))

    def after(self, call: Call, answer: Answer, seen: Seen) -> Model:
        """Return the model after a call that ended so. AssertionError: it should have ended otherwise."""
        model = self.copy(seen)
        try:
            getattr(model, call.function)(call.actor, answer, **call.parameters)
        except Refused as refused:
            refusal = refused
        else:
            assert answer.code == "done", (call, answer)
            model.settle()
            return model
        assert answer.code == refusal.code, (call, answer)
        assert refusal.detail.items() <= answer.detail.items(), (call, answer)
        return self

    def settle(self) -> None:
        for session in self.sessions.values():
            if session.status in ACTIVE:
                session.stood = session.status

    def copy(self, seen: Seen) -> Model:
        return Model(
            self.clients,
            self.zones,
            dict(self.active),
            {whose: dict(policy) for whose, policy in self.policies.items()},
            {lot.id: replace(lot) for lot in self.lots.values()},
            {session.id: replace(session) for session in self.sessions.values()},
            {hold.id: replace(hold) for hold in self.holds.values()},
            dict(self.answers),
            list(self.ledger),
            seen,
        )

    # What the functions share

    def balance(self, client: UUID) -> int:
        return sum(lot.balance for lot in self.lots.values() if lot.client == client and lot.is_usable)

    def usable(self, client: UUID) -> list[Lot]:
        """The lots of a client in the order in which they are spent."""
        lots = [lot for lot in self.lots.values() if lot.client == client and lot.is_usable]
        return sorted(lots, key=self.turn)

    def turn(self, lot: Lot) -> tuple[Any, ...]:
        created_at = self.seen.lots[lot.id]["created_at"]
        return lot.priority, lot.expires_at or FAR, lot.category != "promotional", created_at, lot.id

    def family(self, lot_id: UUID) -> list[Lot]:
        """The lot, the grace lots of what was spent of it, and those that its credits were transferred to."""
        family = {lot_id: self.lots[lot_id]}
        while more := {
            lot.id: lot
            for lot in self.lots.values()
            if lot.id not in family and (lot.source or lot.grace_for) in family
        }:
            family |= more
        return sorted(family.values(), key=self.turn)

    def revoke(self, lot: Lot, amount: int) -> None:
        lot.revoked += amount
        self.post(lot, "revocation", -amount)

    def post(self, lot: Lot, kind: str, amount: int, session: UUID | None = None) -> None:
        lot.balance += amount
        if lot.status in ("active", "used"):
            lot.status = "active" if lot.balance else "used"
        self.ledger.append((lot.client, kind, amount, lot.id, session))

    def policy(self, therapist: UUID | None) -> dict[str, Any]:
        return {**self.policies[None], **self.policies.get(therapist, {})}

    def require(self, condition: bool, code: str, **detail: Any) -> None:
        if not condition:
            raise Refused(code, **detail)

    def require_user(self, actor: Actor, client: UUID) -> None:
        self.require(actor in (TRUSTED, client), "not_allowed")

    def part(self, actor: Actor, session: Session) -> str:
        if actor == TRUSTED:
            return TRUSTED
        self.require(actor in (session.client, session.therapist), "not_allowed")
        return "client" if actor == session.client else "therapist"

    def known(self, function: str, client: UUID, key: str | None, request: Any) -> tuple[Any, int] | None:
        """What a key was answered with before."""
        if key is None or (function, client, key) not in self.answers:
            return None
        first, result, balance = self.answers[function, client, key]
        self.require(first == request, "idempotency_key_reused")
        return result, balance

    def remember(self, function: str, client: UUID, key: str | None, request: Any, result: Any) -> None:
        if key is not None:
            self.answers[function, client, key] = (request, result, self.balance(client))

    def require_free(
        self, therapist: UUID, client: UUID, start: dt.datetime, minutes: int, moved: Session | None = None
    ) -> None:
        """The therapist's time is looked at first, then the client's."""
        end = start + minutes * MINUTE
        taken: list[Session | Hold] = [s for s in self.sessions.values() if s.status in ACTIVE and s is not moved]
        taken += [hold for hold in self.holds.values() if hold.state == "live" and not hold.is_over]
        taken = [other for other in taken if other.start < end and start < other.end]
        self.require(all(other.therapist != therapist for other in taken), "booking_conflict")
        self.require(all(other.client != client for other in taken), "client_conflict")

    def require_rules(self, therapist: UUID, start: dt.datetime, minutes: int) -> None:
        self.require(self.active[therapist], "therapist_not_found")
        policy = self.policy(therapist)
        allowed = policy["minimum_duration_minutes"] <= minutes <= policy["maximum_duration_minutes"]
        self.require(allowed, "invalid_duration")
        self.require(start > now(), "in_past")

    def payer(self, session: Session) -> Lot:
        """The first lot with credits; a policy may want that they last until the session."""
        lasts = self.policy(session.therapist)["credits_valid_on"] == "session"
        for lot in self.usable(session.client):
            if lot.balance and not (lasts and lot.expires_at and lot.expires_at <= session.start):
                return lot
        balance = self.balance(session.client)
        raise Refused(
            "insufficient_credits", credits_balance=balance, **({"reason": "end_too_early"} if balance else {})
        )

    def pay(self, session: Session) -> None:
        lot = self.payer(session)
        self.post(lot, "debit", -1, session.id)
        lot.spent += 1
        session.lot = lot.id

    def repay(self, session: Session) -> None:
        """To the very lot it came from, or a grace lot if that expired, and nowhere if it was revoked; once."""
        if session.lot is None or session.refunded:
            return
        session.refunded = True
        lot = self.lots[session.lot]
        session.came_back = lot.status != "revoked" and not lot.owed
        if not lot.owed and (lot.status == "expired" or (lot.status in ("active", "used") and lot.is_over)):
            if lot.grace_for is not None or not self.policy(session.therapist)["refund_grace"]:
                # Grace is given once, if at all.
                session.came_back = False
                self.post(lot, "refund", 1, session.id)
                lot.spent -= 1
                self.lapse(lot, 1)
                if not lot.balance:
                    lot.status = "expired"
                return
            grace_id = next(
                (
                    id_
                    for id_, row in self.seen.lots.items()
                    if row["grace_for"] == lot.id and row["source"] is None and id_ not in self.lots
                ),
                uuid4(),
            )
            grace = Lot(grace_id, lot.client, 0, None, lot.category, lot.priority, grace_for=lot.id)
            if grace_id in self.seen.lots:
                grace.expires_at = self.seen.lots[grace_id]["expires_at"]
                assert grace.expires_at is not None
                days = self.policy(session.therapist)["refund_grace"]
                assert abs(grace.expires_at - now() - days) < MINUTE
            self.lots[grace_id] = grace
            self.post(grace, "refund", 1, session.id)
            grace.spent -= 1
            return
        self.post(lot, "refund", 1, session.id)
        lot.spent -= 1
        if not session.came_back:
            # The payment was taken back meanwhile.
            self.revoke(lot, 1)
            lot.owed = max(lot.owed - 1, 0)

    def lapse(self, lot: Lot, amount: int) -> None:
        lot.expiries += ((now(), amount),)
        self.post(lot, "expiry", -amount)

    def post_expiry(self, lot: Lot) -> None:
        """What is over is posted before anything else happens to it."""
        if lot.status == "active" and lot.is_over:
            lot.status = "expired"
            if lot.balance:
                self.lapse(lot, lot.balance)

    def put(self, session: Session) -> None:
        """Book: the rules, the conflicts, the credit."""
        self.require_rules(session.therapist, session.start, session.minutes)
        self.require_free(session.therapist, session.client, session.start, session.minutes)
        self.pay(session)
        session.free_until = session.start - self.policy(session.therapist)["cancellation_window"]
        self.sessions[session.id] = session

    def answers_session(self, answer: Answer, session: Session, balance: int | None, full: bool = True) -> None:
        expected: dict[str, Any] = {
            "id": session.id, "user_id": session.client, "therapist_id": session.therapist, "status": session.status,
            "start_time": session.start, "end_time": session.end, "duration_minutes": session.minutes,
            "credits_balance": balance,
        }  # fmt: skip
        if full:
            expected["refunded"] = session.refunded and session.came_back
            expected["free_cancellation_until"] = session.free_until
        self.answers_row(answer, **expected)

    def answers_row(self, answer: Answer, **expected: Any) -> None:
        assert answer.code == "done", answer
        (row,) = answer.rows
        assert {name: row[name] for name in expected} == expected

    def new_id(self, answer: Answer, name: str = "id") -> UUID:
        assert answer.code == "done", answer
        (row,) = answer.rows
        return cast(UUID, row[name])

    # Booking and holding

    def create_session_with_credit_deduction(
        self, actor: Actor, answer: Answer, user_id: UUID, therapist_id: UUID, duration_minutes: int,
        idempotency_key: str | None, **at: Any,
    ) -> None:  # fmt: skip
        function = "create_session_with_credit_deduction"
        self.require_user(actor, user_id)
        self.require(15 <= duration_minutes <= 180, "invalid_duration")
        request = (therapist_id, at, duration_minutes)
        known = self.known(function, user_id, idempotency_key, request)
        if known:
            self.answers_session(answer, self.sessions[known[0]], known[1], full=False)
            return
        start = self.instant(therapist_id, **at)
        session = Session(UUID(int=0), user_id, therapist_id, start, duration_minutes, "scheduled")
        self.require_rules(therapist_id, start, duration_minutes)
        self.require_free(therapist_id, user_id, start, duration_minutes)
        self.payer(session)
        session.id = self.new_id(answer)
        self.put(session)
        self.remember(function, user_id, idempotency_key, request, session.id)
        self.answers_session(answer, session, self.balance(user_id), full=False)

    def instant(self, therapist: UUID, session_date: dt.date, session_time: dt.time) -> dt.datetime:
        zone = ZoneInfo(self.zones[therapist])
        return dt.datetime.combine(session_date, session_time, zone).astimezone(dt.UTC)

    def book_series(
        self, actor: Actor, answer: Answer, user_id: UUID, therapist_id: UUID, duration_minutes: int,
        occurrences: int, every: dt.timedelta, idempotency_key: str | None, **at: Any,
    ) -> None:  # fmt: skip
        self.require_user(actor, user_id)
        self.require(15 <= duration_minutes <= 180, "invalid_duration")
        request = (therapist_id, at, duration_minutes, occurrences, every)
        known = self.known("book_series", user_id, idempotency_key, request)
        if known is None:
            series_id = uuid4()
            start = self.instant(therapist_id, **at)
            for number in range(occurrences):
                id_ = answer.rows[number]["id"] if number < len(answer.rows) else uuid4()
                begins = start + number * every
                session = Session(id_, user_id, therapist_id, begins, duration_minutes, "scheduled", series=series_id)
                try:
                    self.put(session)
                except Refused as refusal:
                    date = (at["session_date"] + number * every).isoformat()
                    raise Refused(refusal.code, occurrence=number + 1, session_date=date) from None
            self.remember("book_series", user_id, idempotency_key, request, series_id)
            known = series_id, self.balance(user_id)
        sessions = {session.id: session for session in self.sessions.values() if session.series == known[0]}
        assert answer.code == "done", answer
        assert {row["id"]: (row["start_time"], row["status"]) for row in answer.rows} == {
            session.id: (session.start, session.status) for session in sessions.values()
        }
        assert [row["credits_balance"] for row in answer.rows] == [
            known[1] + occurrences - number for number in range(1, occurrences + 1)
        ]

    def hold_slot(
        self, actor: Actor, answer: Answer, user_id: UUID, therapist_id: UUID, duration_minutes: int,
        idempotency_key: str | None, **at: Any,
    ) -> None:  # fmt: skip
        self.require_user(actor, user_id)
        self.require(15 <= duration_minutes <= 180, "invalid_duration")
        request = (therapist_id, at, duration_minutes)
        known = self.known("hold_slot", user_id, idempotency_key, request)
        if known is None:
            start = self.instant(therapist_id, **at)
            self.require_rules(therapist_id, start, duration_minutes)
            for hold in self.holds.values():
                if (hold.client, hold.therapist, hold.state) == (user_id, therapist_id, "live") and not hold.is_over:
                    hold.state = "released"
            self.require_free(therapist_id, user_id, start, duration_minutes)
            hold = Hold(self.new_id(answer), user_id, therapist_id, start, duration_minutes)
            self.holds[hold.id] = hold
            self.remember("hold_slot", user_id, idempotency_key, request, hold.id)
            lifetime = answer.rows[0]["expires_at"] - now()
            assert abs(lifetime - self.policy(therapist_id)["hold_lifetime"]) < MINUTE
        hold = self.holds[known[0] if known else self.new_id(answer)]
        self.answers_row(
            answer, id=hold.id, user_id=user_id, therapist_id=therapist_id, start_time=hold.start, end_time=hold.end
        )

    def release_hold(self, actor: Actor, answer: Answer, hold_id: UUID) -> None:
        hold = self.holds[hold_id]
        self.require_user(actor, hold.client)
        self.require(hold.state != "booked", "invalid_transition")
        if not hold.is_over:
            hold.state = "released"

    def book_hold(self, actor: Actor, answer: Answer, hold_id: UUID, idempotency_key: str | None) -> None:
        hold = self.holds[hold_id]
        self.require_user(actor, hold.client)
        known = self.known("book_hold", hold.client, idempotency_key, hold_id)
        if known:
            self.answers_session(answer, self.sessions[known[0]], known[1], full=False)
            return
        booked = self.sessions.get(hold_id)
        if idempotency_key is None and booked is not None and booked.status != "cancelled":
            self.answers_session(answer, booked, self.balance(hold.client), full=False)
            return
        reason = "expired" if hold.state == "live" else hold.state
        self.require(hold.state == "live" and not hold.is_over, "hold_expired", reason=reason)
        hold.state = "booked"
        session = Session(hold.id, hold.client, hold.therapist, hold.start, hold.minutes, "scheduled")
        self.put(session)
        self.remember("book_hold", hold.client, idempotency_key, hold_id, session.id)
        self.answers_session(answer, session, self.balance(hold.client), full=False)

    # What becomes of a session

    def cancel_session(
        self, actor: Actor, answer: Answer, session_id: UUID, refund: bool | None, idempotency_key: str | None
    ) -> None:
        session = self.sessions[session_id]
        part = self.part(actor, session)
        self.require(refund is None or part == TRUSTED, "not_allowed")
        request = (session_id, refund)
        known = self.known("cancel_session", session.client, idempotency_key, request)
        if known is None:
            self.require(session.status in ACTIVE, "invalid_transition")
            begun = session.start <= now() or session.status == "in_progress"
            self.require(part != "client" or not begun, "invalid_transition")
            window = self.policy(session.therapist)["cancellation_window"]
            in_time = now() <= (session.free_until or session.start - window)
            if refund if refund is not None else part != "client" or in_time:
                self.repay(session)
            session.status = "cancelled"
            self.remember("cancel_session", session.client, idempotency_key, request, session_id)
        balance = known[1] if known else self.balance(session.client)
        self.answers_session(answer, session, balance if part != "therapist" else None)

    def reopen_session(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        session = self.sessions[session_id]
        part = self.part(actor, session)
        self.require(part != "client", "not_allowed")
        known = self.known("reopen_session", session.client, idempotency_key, session_id)
        if known is None:
            status = session.status
            # Only the credit is missing where a direct writer brought the session back.
            if not (session.refunded and status in PAID):
                self.require(status in ("cancelled", "completed", "no_show"), "invalid_transition")
                status = session.stood
                if status == "in_progress" and session.start > now() + 60 * MINUTE:
                    status = "scheduled"
                self.require(status != "pending_approval" or session.start > now(), "invalid_transition")
            self.require(part != "therapist" or not (session.refunded or session.status == "cancelled"), "not_allowed")
            self.require(session.status != "cancelled" or self.active[session.therapist], "therapist_not_found")
            if status != session.status:
                self.require_reopened(session)
            if session.refunded:
                self.pay(session)
                session.refunded = False
            session.status = status
            self.remember("reopen_session", session.client, idempotency_key, session_id, session_id)
        balance = known[1] if known else self.balance(session.client)
        self.answers_session(answer, session, balance if part != "therapist" else None)

    def require_reopened(self, session: Session) -> None:
        """Who had completed sessions there meanwhile had no time for this one; of what is over only sessions count."""
        if session.start <= now():
            others = [
                other
                for other in self.sessions.values()
                if other is not session
                and other.status in (*ACTIVE, "completed")
                and (other.status != "pending_approval" or other.start > now())
                and other.start < session.end
                and session.start < other.end
            ]
            self.require(all(other.therapist != session.therapist for other in others), "booking_conflict")
            self.require(all(other.client != session.client for other in others), "client_conflict")
        if session.end > now():
            self.require_free(session.therapist, session.client, session.start, session.minutes, moved=session)

    def reschedule_session(
        self, actor: Actor, answer: Answer, session_id: UUID, duration_minutes: int | None,
        idempotency_key: str | None, **at: Any,
    ) -> None:  # fmt: skip
        self.require(duration_minutes is None or 15 <= duration_minutes <= 180, "invalid_duration")
        session = self.sessions[session_id]
        part = self.part(actor, session)
        request = (session_id, at, duration_minutes)
        known = self.known("reschedule_session", session.client, idempotency_key, request)
        if known is None:
            movable = session.status in ("pending_approval", "scheduled", "confirmed") and session.start > now()
            self.require(movable, "invalid_transition")
            start, minutes = self.instant(session.therapist, **at), duration_minutes or session.minutes
            self.require(self.active[session.therapist], "therapist_not_found")
            if part == "client":
                self.require_lasting(session, start)
            self.require_rules(session.therapist, start, minutes)
            self.require_free(session.therapist, session.client, start, minutes, moved=session)
            if (start, minutes) != (session.start, session.minutes):
                self.move_terms(session, start, part, answer)
            session.start, session.minutes = start, minutes
            self.remember("reschedule_session", session.client, idempotency_key, request, session_id)
        balance = known[1] if known else self.balance(session.client)
        self.answers_session(answer, session, balance if part != "therapist" else None)

    def require_lasting(self, session: Session, start: dt.datetime) -> None:
        """What was paid with credits that end is not moved to after their end."""
        if self.policy(session.therapist)["credits_valid_on"] == "session" and session.lot and start > session.start:
            lot = self.lots[session.lot]
            ends_at = lot.expires_at
            if lot.status == "frozen" and lot.frozen_at and ends_at:
                ends_at += now() - lot.frozen_at
            self.require(ends_at is None or ends_at > start, "reschedule_refused", rule="credits_valid_on")

    def move_terms(self, session: Session, start: dt.datetime, part: str, answer: Answer) -> None:
        """The limit moves along, but does not open again for a client to whom it had closed.

        After somebody else's move the client keeps the old one, and has a day.
        """
        old = session.free_until or session.start - self.policy(session.therapist)["cancellation_window"]
        if part == "client" and now() > old:
            session.free_until, session.notice = old, None
            return
        notice = session.notice or session.start - old
        kept = session.notice is not None or part != "client"
        least = [start - notice, min(old, start)] if kept else [start - notice]
        if part != "client":
            session.grace_until = now() + DAY
        if session.grace_until is not None:
            least.append(min(session.grace_until, start))
        session.free_until, session.notice = max(least), notice if max(least) > start - notice else None
        # The clock of the database decides how long a day from now is.
        if session.free_until == session.grace_until:
            assert answer.code == "done", answer
            assert abs(answer.rows[0]["free_cancellation_until"] - session.free_until) < MINUTE
            session.free_until = answer.rows[0]["free_cancellation_until"]

    def approve_session(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        session = self.sessions[session_id]

        def approve() -> None:
            self.require(not session.refunded, "invalid_transition")
            self.require(self.active[session.therapist], "therapist_not_found")
            self.require(session.start > now(), "in_past")
            if session.lot is None:
                self.pay(session)
            free_until = session.start - self.policy(session.therapist)["cancellation_window"]
            # What a move granted stays, and nothing else.
            if session.notice is None or session.free_until is None or session.free_until <= free_until:
                session.free_until, session.notice = free_until, None

        self.change(actor, answer, session, "approve_session", idempotency_key, approve)

    def confirm_session(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        self.change(actor, answer, self.sessions[session_id], "confirm_session", idempotency_key)

    def start_session(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        session = self.sessions[session_id]

        def near() -> None:
            self.require(session.start <= now() + 60 * MINUTE, "invalid_transition")

        self.change(actor, answer, session, "start_session", idempotency_key, near)

    def complete_session(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        session = self.sessions[session_id]
        self.change(actor, answer, session, "complete_session", idempotency_key, lambda: self.require_begun(session))

    def mark_no_show(self, actor: Actor, answer: Answer, session_id: UUID, idempotency_key: str | None) -> None:
        session = self.sessions[session_id]
        self.change(actor, answer, session, "mark_no_show", idempotency_key, lambda: self.require_begun(session))

    def require_begun(self, session: Session) -> None:
        self.require(session.start <= now(), "invalid_transition")

    def change(
        self, actor: Actor, answer: Answer, session: Session, function: str, key: str | None, rule: Any = None
    ) -> None:
        """The therapist's part: from one of some statuses into another."""
        part = self.part(actor, session)
        self.require(part != "client", "not_allowed")
        known = self.known(function, session.client, key, session.id)
        if known is None:
            before, status = {
                "approve_session": (("pending_approval",), "scheduled"),
                "confirm_session": (("scheduled",), "confirmed"),
                "start_session": (("scheduled", "confirmed"), "in_progress"),
                "complete_session": (("scheduled", "confirmed", "in_progress"), "completed"),
                "mark_no_show": (("scheduled", "confirmed", "in_progress"), "no_show"),
            }[function]
            self.require(session.status in before, "invalid_transition")
            if rule:
                rule()
            session.status = status
            self.remember(function, session.client, key, session.id, session.id)
        balance = known[1] if known else self.balance(session.client)
        self.answers_session(answer, session, balance if part != "therapist" else None)

    # Credits

    def grant_credits(
        self, actor: Actor, answer: Answer, user_id: UUID, amount: int, expires_at: dt.datetime | None, category: str,
        priority: int, idempotency_key: str | None,
    ) -> None:  # fmt: skip
        self.require(actor == TRUSTED, "not_allowed")
        # A retry computes the expiry anew.
        request = (amount, category, priority)
        known = self.known("grant_credits", user_id, idempotency_key, request)
        if known is None:
            lot = Lot(self.new_id(answer, "lot_id"), user_id, 0, expires_at, category, priority)
            self.lots[lot.id] = lot
            self.post(lot, "grant", amount)
            self.remember("grant_credits", user_id, idempotency_key, request, lot.id)
        self.answers_grant(answer, user_id, known)

    def answers_grant(self, answer: Answer, client: UUID, known: tuple[UUID, int] | None) -> None:
        lot = self.lots[known[0] if known else self.new_id(answer, "lot_id")]
        balance = known[1] if known else self.balance(client)
        self.answers_row(answer, lot_id=lot.id, lot_balance=lot.balance, credits_balance=balance)

    def adjust_credits(
        self, actor: Actor, answer: Answer, user_id: UUID, amount: int, reason: str, lot_id: UUID | None,
        idempotency_key: str | None,
    ) -> None:  # fmt: skip
        self.require(actor == TRUSTED, "not_allowed")
        self.require(amount != 0, "invalid_parameter")
        request = (amount, reason, lot_id)
        known = self.known("adjust_credits", user_id, idempotency_key, request)
        if known is None:
            self.require(lot_id is None or self.lots[lot_id].client == user_id, "lot_not_found")
            self.require(lot_id is None or self.lots[lot_id].is_usable, "invalid_parameter")
            if lot_id is None and amount > 0:
                last = Lot(self.new_id(answer, "lot_id"), user_id, 0)
                self.lots[last.id] = last
                self.post(last, "adjustment", amount)
            else:
                last = self.adjust_lots(user_id, amount, lot_id)
            self.remember("adjust_credits", user_id, idempotency_key, request, last.id)
            assert self.new_id(answer, "lot_id") == last.id
        self.answers_grant(answer, user_id, known)

    def adjust_lots(self, client: UUID, amount: int, lot_id: UUID | None) -> Lot:
        last = None
        for lot in self.usable(client):
            if lot_id not in (None, lot.id) or (amount < 0 and lot.balance == 0) or amount == 0:
                continue
            part = amount if amount > 0 else max(amount, -lot.balance)
            self.post(lot, "adjustment", part)
            amount -= part
            last = lot
        self.require(amount == 0, "insufficient_credits")
        assert last is not None
        return last

    def revoke_grant(self, actor: Actor, answer: Answer, lot_id: UUID, reason: str, share: Decimal) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        family = self.family(lot_id)
        for lot in family:
            self.post_expiry(lot)
        if share == 1 or self.lots[lot_id].status == "revoked":
            for lot in family:
                lot.owed = self.unreturned(lot)
                if lot.balance or lot.status != "revoked":
                    self.revoke(lot, lot.balance)
                if lot.status != "revoked":
                    lot.status, lot.revoked_at = "revoked", now()
        else:
            granted = next(amount for _, _, amount, id_, _ in self.ledger if id_ == lot_id)
            left = max(0, int(granted * share) - sum(lot.revoked for lot in family))
            there = {lot.id: lot.balance if lot.status in ("active", "frozen") else 0 for lot in family}
            # The rest is owed by the lots in which it was spent or expired; a revoked lot owes for itself.
            owed = left - sum(there.values()) - sum(lot.owed for lot in family if lot.status == "revoked")
            for lot in family:
                gone = self.unreturned(lot) + max(0, sum(amount for _, amount in lot.expiries))
                gone += lot.balance - there[lot.id]
                taken, owing = min(left, there[lot.id]), max(0, min(owed, gone))
                if taken:
                    self.revoke(lot, taken)
                left -= taken
                if lot.status != "revoked":
                    lot.owed, owed = owing, owed - owing
        self.answers_row(
            answer,
            lot_id=lot_id,
            credits_revoked=sum(lot.revoked for lot in family),
            credits_spent=sum(lot.spent for lot in family),
            credits_owed=sum(lot.owed for lot in family),
            credits_balance=self.balance(self.lots[lot_id].client),
            is_remembered=False,
        )

    def unreturned(self, lot: Lot) -> int:
        return sum(session.lot == lot.id and not session.refunded for session in self.sessions.values())

    def reinstate_grant(self, actor: Actor, answer: Answer, lot_id: UUID, reason: str) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        family = self.family(lot_id)
        for lot in family:
            self.post_expiry(lot)
            lot.owed = 0
            if not lot.revoked and lot.status != "revoked":
                continue
            self.give_back(lot)
            lot.revoked, lot.revoked_at = 0, None
        given = sum(
            amount
            for _, kind, amount, id_, _ in self.ledger
            if kind == "reinstatement" and id_ in [lot.id for lot in family]
        )
        self.answers_row(
            answer, lot_id=lot_id, credits_reinstated=given, credits_balance=self.balance(self.lots[lot_id].client)
        )

    def give_back(self, lot: Lot) -> None:
        """To a lot that is over, credits come back with grace, once."""
        if lot.status == "revoked" and not lot.frozen_at and lot.expires_at:
            assert lot.revoked_at is not None
            if lot.revoked_at < lot.expires_at:
                self.expire_later(lot, now() - lot.revoked_at)
        is_over = not lot.frozen_at and (lot.status == "expired" or lot.is_over)
        grace = self.policy(None)["refund_grace"]
        if not is_over:
            lot.status = "frozen" if lot.frozen_at else "active"
        elif lot.revoked and lot.grace_for is None and grace:
            lot.status, lot.expires_at = "active", now()
            self.expire_later(lot, grace)
        else:
            lot.status = "expired"
        self.post(lot, "reinstatement", lot.revoked)
        if lot.status == "expired" and lot.revoked:
            self.lapse(lot, lot.revoked)

    def expire_later(self, lot: Lot, later: dt.timedelta) -> None:
        """The clock of the database decides how long it was."""
        if lot.expires_at is not None:
            lot.expires_at += later
            seen = self.seen.lots[lot.id]["expires_at"]
            if seen is not None and abs(seen - lot.expires_at) < MINUTE:
                lot.expires_at = seen

    def transfer_credits(
        self, actor: Actor, answer: Answer, from_user_id: UUID, to_user_id: UUID, amount: int, reason: str,
        lot_id: UUID | None, idempotency_key: str | None,
    ) -> None:  # fmt: skip
        self.require(actor == TRUSTED, "not_allowed")
        self.require(from_user_id != to_user_id, "invalid_parameter")
        request = (to_user_id, amount, reason, lot_id)
        known = self.known("transfer_credits", from_user_id, idempotency_key, request)
        if known is None:
            self.require(lot_id is None or self.lots[lot_id].client == from_user_id, "lot_not_found")
            self.require(lot_id is None or self.lots[lot_id].is_usable, "invalid_parameter")
            lots = [lot for lot in self.usable(from_user_id) if lot.balance and lot_id in (None, lot.id)]
            self.require(sum(lot.balance for lot in lots) >= amount, "insufficient_credits")
            assert answer.code == "done", answer
            parts = iter(answer.rows[0]["lot_ids"])
            ids = []
            while amount:
                lot = lots.pop(0)
                part = min(amount, lot.balance)
                new = Lot(next(parts), to_user_id, 0, lot.expires_at, lot.category, lot.priority)
                new.grace_for, new.source = lot.grace_for, lot.id
                self.lots[new.id] = new
                self.post(lot, "transfer", -part)
                self.post(new, "transfer", part)
                ids.append(new.id)
                amount -= part
            result = ids, self.balance(to_user_id)
            self.remember("transfer_credits", from_user_id, idempotency_key, request, result)
            known = result, self.balance(from_user_id)
        (ids, to_balance), from_balance = known
        self.answers_row(
            answer, lot_ids=ids, amount=request[1], from_balance=from_balance, to_balance=to_balance
        )  # fmt: skip

    def expire_credits(self, actor: Actor, answer: Answer) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        lots = [lot for lot in self.lots.values() if lot.status == "active" and lot.is_over]
        # Those that somebody was writing are left for the next time.
        lots = [lot for lot in lots if lot.id not in self.seen.lots or self.seen.lots[lot.id]["status"] != "active"]
        self.answers_row(answer, lots=len(lots), credits=sum(lot.balance for lot in lots))
        for lot in lots:
            lot.status = "expired"
            if lot.balance:
                self.lapse(lot, lot.balance)

    def extend_lot(self, actor: Actor, answer: Answer, lot_id: UUID, expires_at: dt.datetime, reason: str) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        lot = self.lots[lot_id]
        is_over = lot.status == "expired" or (lot.status in ("active", "used") and lot.is_over)
        self.require(lot.status != "revoked" and lot.expires_at is not None, "invalid_parameter")
        assert lot.expires_at is not None
        if is_over or expires_at != lot.expires_at:
            self.require(expires_at > max(now(), lot.expires_at), "invalid_parameter")
            self.post_expiry(lot)
            since = lot.expires_at
            back = max(0, sum(amount for at, amount in lot.expiries if at >= since)) if is_over else 0
            lot.expiries += ((now(), -back),)
            lot.expires_at = expires_at
            if lot.status != "frozen":
                lot.status = "active"
            self.post(lot, "extension", back)
            if again := min(lot.owed, back):
                lot.owed -= again
                self.revoke(lot, again)
        self.answers_row(answer, lot_id=lot.id, lot_balance=lot.balance, state=lot.status)

    def freeze_lot(self, actor: Actor, answer: Answer, lot_id: UUID, reason: str) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        lot = self.lots[lot_id]
        if lot.status != "frozen":
            self.require(lot.is_usable, "invalid_parameter")
            self.post(lot, "freeze", 0)
            lot.status, lot.frozen_at = "frozen", now()
        self.answers_row(answer, lot_id=lot.id, lot_balance=lot.balance, state="frozen")

    def thaw_lot(self, actor: Actor, answer: Answer, lot_id: UUID, reason: str) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        lot = self.lots[lot_id]
        if lot.status == "frozen":
            lot.status = "active"
            assert lot.frozen_at is not None
            self.expire_later(lot, now() - lot.frozen_at)
            lot.frozen_at = None
            self.post(lot, "thaw", 0)
        self.answers_row(answer, lot_id=lot.id, lot_balance=lot.balance)

    # Policies and people

    def set_policy(self, actor: Actor, answer: Answer, settings: Jsonb, therapist_id: UUID | None) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        changed = self.policies.setdefault(therapist_id, {})
        for name, value in cast(dict[str, Any], settings.obj).items():
            self.require(value is not None or therapist_id is not None, "invalid_parameter")
            changed.pop(name, None)
            if value is not None:
                is_time = isinstance(DEFAULTS[name], dt.timedelta)
                changed[name] = dt.timedelta(seconds=int(value.split()[0])) if is_time else value
        for whose in list(self.policies):
            policy = self.policy(whose)
            possible = policy["minimum_duration_minutes"] <= policy["maximum_duration_minutes"]
            self.require(possible, "invalid_parameter")
        self.answers_row(answer, **self.policy(therapist_id))

    def set_therapist_active(self, actor: Actor, answer: Answer, therapist_id: UUID, active: bool) -> None:
        self.require(actor == TRUSTED, "not_allowed")
        self.active[therapist_id] = active

    # What the owner writes

    def write_lot(self, actor: Actor, answer: Answer, lot_id: UUID, expires_at: dt.datetime) -> None:
        self.lots[lot_id].expires_at = expires_at

    def write_hold(self, actor: Actor, answer: Answer, hold_id: UUID) -> None:
        self.holds[hold_id].is_over = True

    def write_window(self, actor: Actor, answer: Answer, session_id: UUID, free_until: dt.datetime) -> None:
        session = self.sessions[session_id]
        session.free_until, session.notice = free_until, None

    def write_start(self, actor: Actor, answer: Answer, session_id: UUID, start: dt.datetime) -> None:
        session = self.sessions[session_id]
        session.start, session.free_until, session.notice = start, start - DAY, None
        session.grace_until = now() + DAY

    def write_status(self, actor: Actor, answer: Answer, session_id: UUID, status: str) -> None:
        session = self.sessions[session_id]
        if status in ACTIVE and session.status not in ACTIVE:
            self.require_free(session.therapist, session.client, session.start, session.minutes)
        session.status = status

    def write_request(
        self, actor: Actor, answer: Answer, id: UUID, user_id: UUID, therapist_id: UUID, start: dt.datetime,
        minutes: int,
    ) -> None:  # fmt: skip
        self.require_free(therapist_id, user_id, start, minutes)
        self.sessions[id] = Session(id, user_id, therapist_id, start, minutes, "pending_approval")

    # Both side by side

    def compare(self, seen: Seen) -> None:
        """Hold that the database has the model's sessions, lots and balances, and nothing else."""
        assert seen.sessions == {
            session.id: {
                "user_id": session.client, "therapist_id": session.therapist, "start_time": session.start,
                "end_time": session.end, "status": session.status, "free_until": session.free_until,
                "charged": int(session.lot is not None),
            }
            for session in self.sessions.values()
        }  # fmt: skip
        assert {
            id_: {name: row[name] for name in row if name != "created_at"} for id_, row in seen.lots.items()
        } == {
            lot.id: {
                "user_id": lot.client, "balance": lot.balance, "expires_at": lot.expires_at, "status": lot.status,
                "category": lot.category, "priority": lot.priority, "grace_for": lot.grace_for,
                "source": lot.source, "owed": lot.owed,
            }
            for lot in self.lots.values()
        }  # fmt: skip
        assert seen.balances == {client: self.balance(client) for client in self.clients}
        # Direct writers let sessions take place again whose credits had come back.
        assert sorted(seen.violations) == sorted(
            (8, session.id) for session in self.sessions.values() if session.refunded and session.status in PAID
        )


# The statements of direct writers.
WRITES = {
    "write_lot": "update user_credits set expires_at = %(expires_at)s where id = %(lot_id)s",
    "write_hold": "with held as (update bookingdb.holds set expires_at = now() - interval '1 second'"
    " where id = %(hold_id)s) update bookingdb.calendar set expires_at = now() - interval '1 second'"
    " where id = %(hold_id)s and kind = 'hold'",
    "write_window": "update sessions set free_cancellation_until = %(free_until)s where id = %(session_id)s",
    "write_start": "update sessions set start_time = %(start)s, free_cancellation_until = %(start)s - interval"
    " '24 hours', end_time = %(start)s + (end_time - start_time) where id = %(session_id)s",
    "write_status": "update sessions set status = %(status)s where id = %(session_id)s",
    "write_request": "insert into sessions (id, user_id, therapist_id, start_time, end_time, duration_minutes, status)"
    " values (%(id)s, %(user_id)s, %(therapist_id)s, %(start)s, %(start)s + make_interval(mins => %(minutes)s),"
    " %(minutes)s, 'pending_approval')",
}

# ----------------------------------------------------------------------------------------------------------------------
# What can be asked. People, sessions, holds and lots are named by number, modulo how many there are.
# ----------------------------------------------------------------------------------------------------------------------

PEOPLE = range(6)
# Sessions, holds and lots count from the newest: what was just made is where most can happen.
NUMBERS = (0, 0, 0, 0, 1, 1, 2, 3, 5, 7)
KEYS = (None, None, None, None, "a", "b")
# Days after the first one, the last being one that is over.
DAYS = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, -30)
SLOT: dict[str, Sequence[Any]] = {
    "client": PEOPLE, "therapist": PEOPLE, "day": DAYS, "quarter": range(17),
    "minutes": (15, 30, 30, 30, 30, 60, 60, 60, 60, 90, 90, 5), "key": KEYS,
}  # fmt: skip
# Most of the times one is chosen that the call fits.
FIT = (True, True, True, False)
CHANGE: dict[str, Sequence[Any]] = {"session": NUMBERS, "key": KEYS, "fit": FIT}
ASKED: dict[str, dict[str, Sequence[Any]]] = {
    "create_session_with_credit_deduction": SLOT,
    "book_series": {**SLOT, "occurrences": (1, 2, 2, 3)},
    "hold_slot": SLOT,
    "release_hold": {"hold": NUMBERS, "fit": FIT},
    "book_hold": {"hold": NUMBERS, "key": KEYS, "fit": FIT},
    "cancel_session": {**CHANGE, "refund": (None, None, None, None, None, True, False)},
    "reschedule_session": {**CHANGE, "day": DAYS, "quarter": range(17), "minutes": (None, None, None, None, 30, 30, 5)},
    "reopen_session": CHANGE,
    "approve_session": CHANGE,
    "confirm_session": CHANGE,
    "start_session": CHANGE,
    "complete_session": CHANGE,
    "mark_no_show": CHANGE,
    "grant_credits": {
        "client": PEOPLE, "amount": (1, 2, 3), "days": (None, 1, 1, 2), "category": ("paid", "paid", "promotional"),
        "priority": (50, 50, 50, 10), "key": KEYS,
    },
    "adjust_credits": {
        "client": PEOPLE, "amount": (-3, -2, -1, -1, 0, 1, 2), "lot": (None, None, *NUMBERS[-4:]), "key": KEYS,
        "fit": FIT,
    },
    "revoke_grant": {"lot": NUMBERS, "share": (Decimal("0.2"), Decimal("0.34"), Decimal("0.5"), Decimal(1))},
    "reinstate_grant": {"lot": NUMBERS},
    "transfer_credits": {
        "client": PEOPLE, "receiver": PEOPLE, "amount": (1, 1, 2, 3), "lot": (None, None, None, *NUMBERS[-4:]),
        "key": KEYS, "fit": FIT,
    },
    "expire_credits": {},
    "extend_lot": {"lot": NUMBERS, "days": (1, 2, 3, 4)},
    "freeze_lot": {"lot": NUMBERS},
    "thaw_lot": {"lot": NUMBERS},
    "set_policy": {
        "whose": (None, *PEOPLE),
        "minimum_duration_minutes": (..., ..., 15, 30, None),
        "maximum_duration_minutes": (..., ..., 60, 180, 15, None),
        "cancellation_window": (..., "0 seconds", "3600 seconds", "9000000 seconds", None),
        "refund_grace": (..., ..., "0 seconds", "86400 seconds", "864000 seconds", None),
        "hold_lifetime": (..., ..., "3600 seconds", "1800 seconds", None),
        "credits_valid_on": (..., ..., "session", "session", "booking", None),
    },
    "set_therapist_active": {"therapist": PEOPLE, "active": (True, True, False)},
}  # fmt: skip
WRITTEN: dict[str, dict[str, Sequence[Any]]] = {
    "write_lot": {"lot": NUMBERS},
    "write_hold": {"hold": NUMBERS},
    "write_window": {"session": NUMBERS},
    "write_start": {"session": NUMBERS},
    "write_status": {"session": NUMBERS, "status": ("cancelled", "cancelled", "scheduled", "pending_approval")},
    "write_request": {
        "client": PEOPLE, "therapist": PEOPLE, "day": (0, 1), "quarter": range(17), "minutes": (30, 60),
    },
}  # fmt: skip
POLICY = tuple(DEFAULTS)
# Bookings and holds more often, or there would be little to change; what changes everybody less often.
WEIGHTS = {
    "create_session_with_credit_deduction": 12, "book_series": 4, "hold_slot": 6, "book_hold": 6, "cancel_session": 10,
    "reschedule_session": 8, "approve_session": 6, "write_request": 5, "expire_credits": 5, "set_policy": 2,
    "set_therapist_active": 1, "write_start": 4,
}  # fmt: skip

# Who asks for what: most often somebody who may.
CALLERS = {
    **dict.fromkeys(
        ("create_session_with_credit_deduction", "book_series", "hold_slot", "release_hold", "book_hold"),
        ["client"] * 8 + [TRUSTED] * 6 + ["another"],
    ),
    **dict.fromkeys(
        ("cancel_session", "reschedule_session"), ["client"] * 8 + ["therapist"] * 4 + [TRUSTED] * 4 + ["another"]
    ),
    **dict.fromkeys(
        ("approve_session", "confirm_session", "reopen_session", "start_session", "complete_session", "mark_no_show"),
        ["therapist"] * 8 + [TRUSTED] * 6 + ["client", "another"],
    ),
}
ONLY_TRUSTED = [TRUSTED] * 19 + ["client"]


@dataclass(frozen=True)
class Request:
    """A function, as what somebody calls it, and the numbers of what it is about."""

    function: str
    caller: str
    chosen: dict[str, Any]


def chosen_by(random: Random, functions: dict[str, dict[str, Sequence[Any]]]) -> Request:
    names = list(functions)
    (name,) = random.choices(names, [WEIGHTS.get(name, 3) for name in names])
    chosen = {what: random.choice(values) for what, values in functions[name].items()}
    return Request(name, random.choice(CALLERS.get(name, ONLY_TRUSTED)), chosen)


# Hypothesis draws the same numbers again and again; with the number of the step they are others each time.
seeds = st.integers(0, 2**32)


class Doors:
    """Ways into the database for two at a time: as PostgREST does for everybody, and as the owner."""

    def __init__(self, world: World) -> None:
        self.world = world
        # By whether somebody writes directly.
        self.ways = [{True: connect(world.url), False: connect(world.url, user="authenticator")} for _ in range(2)]
        # Who sees who is waiting.
        self.superuser = connect(world.url, user=world.superuser)

    def reset(self) -> None:
        """Leave nothing behind of an example before, not even of one that failed."""
        for connection in (*self.ways[0].values(), *self.ways[1].values()):
            connection.rollback()
        run(self.superuser, EMPTY_THE_TABLES)

    def close(self) -> None:
        for connection in (*self.ways[0].values(), *self.ways[1].values(), self.superuser):
            connection.close()

    def begin(self, call: Call, which: int) -> Connection:
        """Begin a transaction as who calls."""
        connection = self.ways[which][call.function in WRITES]
        claims = "{}" if call.actor == TRUSTED else json.dumps({"sub": str(call.actor), "role": "authenticated"})
        role = "service_role" if call.actor == TRUSTED else "authenticated"
        statement = "begin; set local role {}; select set_config('request.jwt.claims', {}, true)"
        if call.function in WRITES:
            connection.execute("begin")
        else:
            connection.execute(sql.SQL(statement).format(sql.Identifier(role), sql.Literal(claims)))
        return connection

    @staticmethod
    def make(call: Call, connection: Connection) -> Answer:
        try:
            if call.function in WRITES:
                connection.execute(WRITES[call.function].encode(), call.parameters)
                return Answer("done", [], {})
            return Answer("done", rows(connection, call.function, **call.parameters), {})
        except psycopg.Error as error:
            code, detail = code_of(error), error.diag.message_detail or ""
            return Answer(code, [], json.loads(detail) if code != error.sqlstate else {"error": str(error)})

    def seen(self, clients: list[UUID]) -> Seen:
        """Look at everything, with one round trip."""
        connection = self.world.connection
        with connection.pipeline():
            sessions = connection.cursor(row_factory=dict_row).execute(
                "select id, user_id, therapist_id, start_time, end_time, status,"
                " free_cancellation_until as free_until, credits_charged as charged from sessions"
            )
            lots = connection.cursor(row_factory=dict_row).execute(
                "select id, user_id, credits_balance as balance, expires_at, status, category, priority,"
                " grace_for_lot_id as grace_for, credits_owed as owed, created_at, (select l.source_lot_id"
                " from bookingdb.ledger as l where l.lot_id = c.id and l.source_lot_id is not null) as source"
                " from user_credits as c"
            )
            balances = connection.execute(
                "select u.id, get_credit_balance(u.id) from unnest(%s::uuid[]) as u (id)", [clients]
            )
            violations = connection.execute("select invariant, subject_id from bookingdb.check_invariants()")
            return Seen(
                {row.pop("id"): row for row in sessions},
                {row.pop("id"): row for row in lots},
                dict(balances),
                violations.fetchall(),
            )


def is_waiting(observer: Connection, pid: int) -> bool:
    waits = "select pid from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
    return bool(run(observer, waits, pid))


class Life(RuleBasedStateMachine):
    """The model and the database, through one sequence."""

    doors: Doors

    def __init__(self) -> None:
        super().__init__()
        self.world = self.doors.world
        self.doors.reset()
        self.minutes_ago = count(300, 200)
        self.steps = count()
        clients = [self.world.client() for _ in range(3)]
        therapists = [self.world.therapist(zone) for zone in ZONES]
        self.model = Model(
            clients,
            dict(zip(therapists, ZONES, strict=True)),
            dict.fromkeys(therapists, True),
            {None: dict(DEFAULTS), **{therapist: {} for therapist in therapists}},
        )

    def teardown(self) -> None:
        posted: Counter[Any] = Counter()
        for client in self.model.clients:
            entries = require_sound_statement(self.world, client)
            posted.update((client, e["kind"], e["amount"], e["lot_id"], e["session_id"]) for e in entries)
        assert posted == Counter(self.model.ledger)

    # Numbers become people and things

    def call(self, request: Request) -> Call | None:
        """Make a call of a request; there may be nothing yet that it could be about."""
        chosen = dict(request.chosen)
        things: dict[str, list[Any]] = {
            "client": self.model.clients,
            "receiver": self.model.clients,
            "therapist": list(self.model.zones),
            "session": list(self.model.sessions.values()),
            "hold": list(self.model.holds.values()),
            "lot": list(self.model.lots.values()),
        }
        for name, all_of_them in things.items():
            if chosen.get(name) is not None:
                fitting = [thing for thing in all_of_them if self.fits(request.function, thing, chosen)]
                some = fitting or all_of_them
                if not some:
                    return None
                chosen[name] = some[-1 - chosen[name] % len(some)]
        actor = self.actor(request.caller, chosen)
        return Call(request.function, actor, self.parameters(request.function, chosen))

    @staticmethod
    def fits(function: str, thing: Any, chosen: dict[str, Any]) -> bool:
        """Whether a call about this may be done, most of the times that this is asked."""
        if not chosen.get("fit"):
            return True
        if isinstance(thing, Session):
            begun = thing.start <= now()
            if function in ("start_session", "complete_session", "mark_no_show"):
                return begun and thing.status in ("scheduled", "confirmed", "in_progress")
            if function == "reopen_session":
                return thing.status not in ACTIVE
            statuses = {"approve_session": ("pending_approval",), "confirm_session": ("scheduled",)}
            return not begun and thing.status in statuses.get(function, ACTIVE)
        if isinstance(thing, Hold):
            return thing.state == "live" and not thing.is_over
        return not isinstance(thing, Lot) or (thing.client == chosen["client"] and thing.is_usable)

    def actor(self, caller: str, chosen: dict[str, Any]) -> Actor:
        about: Session | Hold | None = chosen.get("session") or chosen.get("hold")
        client = about.client if about else chosen.get("client", self.model.clients[0])
        therapist = about.therapist if about else chosen.get("therapist", next(iter(self.model.zones)))
        if caller == "another":
            return next(person for person in self.model.clients if person != client)
        people: dict[str, Actor] = {"client": client, "therapist": therapist, TRUSTED: TRUSTED}
        return people[caller]

    def parameters(self, function: str, chosen: dict[str, Any]) -> dict[str, Any]:
        names = {"session": "session_id", "hold": "hold_id", "lot": "lot_id"}
        made = {names[name]: thing and thing.id for name, thing in chosen.items() if name in names}
        names = {"client": "user_id", "therapist": "therapist_id", "key": "idempotency_key"}
        made |= {names[name]: value for name, value in chosen.items() if name in names}
        same = ("amount", "share", "category", "priority", "refund", "occurrences", "status", "active")
        made |= {name: value for name, value in chosen.items() if name in same}
        if "quarter" in chosen:
            made |= self.time(function, chosen)
        match function:
            case "book_series":
                made["every"] = DAY
            case "freeze_lot" | "thaw_lot":
                made["reason"] = "on leave"
            case "extend_lot":
                made["expires_at"] = dt.datetime.combine(FIRST_DAY + chosen["days"] * DAY, dt.time(), dt.UTC)
                made["reason"] = "ill"
            case "grant_credits":
                days = chosen["days"]
                made["expires_at"] = days and dt.datetime.combine(FIRST_DAY + days * DAY, dt.time(), dt.UTC)
            case "transfer_credits":
                made |= {"from_user_id": made.pop("user_id"), "to_user_id": chosen["receiver"], "reason": "a present"}
            case "adjust_credits" | "revoke_grant" | "reinstate_grant":
                made["reason"] = "a mistake"
            case "set_policy":
                whose = chosen["whose"]
                made["therapist_id"] = None if whose is None else list(self.model.zones)[whose % len(ZONES)]
                made["settings"] = Jsonb({name: chosen[name] for name in POLICY if chosen[name] is not ...})
            case "write_lot":
                made["expires_at"] = now() - MINUTE
            case "write_window":
                made["free_until"] = now() - MINUTE
            case "write_start":
                # Every session that has begun has a time of its own.
                made["start"] = now().replace(second=0, microsecond=0) - next(self.minutes_ago) * MINUTE
        return made

    def time(self, function: str, chosen: dict[str, Any]) -> dict[str, Any]:
        """When, in the therapist's zone; from 22:00 UTC, so that some sessions cross midnight."""
        start = dt.datetime.combine(FIRST_DAY, dt.time(22), dt.UTC) + chosen["day"] * DAY
        start += chosen["quarter"] * 15 * MINUTE
        if function == "write_request":
            return {"id": uuid4(), "start": start, "minutes": chosen["minutes"]}
        therapist = chosen["therapist"] if "therapist" in chosen else chosen["session"].therapist
        local = start.astimezone(ZoneInfo(self.model.zones[therapist]))
        return {
            "session_date": local.date(), "session_time": local.time(), "duration_minutes": chosen["minutes"],
        }  # fmt: skip

    # What happens

    @initialize(
        amounts=st.lists(st.sampled_from([2, 1, 3, 0]), min_size=3, max_size=3),
        valid_on=st.sampled_from(["booking", "session"]),
    )
    def have_credits(self, amounts: list[int], valid_on: str) -> None:
        policy = dict.fromkeys(POLICY, ...) | {"whose": None, "credits_valid_on": valid_on}
        self.one(Request("set_policy", TRUSTED, policy))
        for client, amount in enumerate(amounts):
            for days, category in ((None, "paid"), (1, "paid"), (1, "promotional")):
                if amount:
                    chosen = {
                        "client": client, "amount": amount, "days": days, "category": category, "priority": 50,
                        "key": None,
                    }  # fmt: skip
                    self.one(Request("grant_credits", TRUSTED, chosen))

    def choose(self, seed: int, functions: dict[str, dict[str, Sequence[Any]]]) -> Request:
        return chosen_by(Random(f"{seed} {next(self.steps)}"), functions)

    @rule(seed=seeds)
    def ask(self, seed: int) -> None:
        self.one(self.choose(seed, ASKED))

    @rule(seed=seeds)
    def ask_or_write(self, seed: int) -> None:
        self.one(self.choose(seed, ASKED | WRITTEN))

    def one(self, request: Request) -> None:
        call = self.call(request)
        if call is None:
            return
        connection = self.doors.begin(call, 0)
        answer = self.doors.make(call, connection)
        connection.execute("commit" if answer.code == "done" else "rollback")
        note(f"{call}: {answer.code}")
        seen = self.doors.seen(self.model.clients)
        self.model = self.model.after(call, answer, seen)
        self.model.compare(seen)

    @rule(seed=seeds, ending=st.sampled_from(["commit", "commit", "commit", "rollback"]))
    def two_at_once(self, seed: int, ending: str) -> None:
        one, other = (self.call(self.choose(seed, ASKED | WRITTEN)) for _ in range(2))
        if one is None or other is None:
            return
        mine = self.doors.begin(one, 0)
        answer = self.doors.make(one, mine)
        theirs = self.doors.begin(other, 1)
        future = started(lambda connection: self.doors.make(other, connection), theirs)
        self.wait(future, theirs)
        mine.execute((ending if answer.code == "done" else "rollback").encode())
        others_answer = future.result(timeout=20)
        theirs.execute("commit" if others_answer.code == "done" else "rollback")
        note(f"first {one}: {answer.code}, {ending}; at once {other}: {others_answer.code}")

        seen = self.doors.seen(self.model.clients)
        if ending == "rollback":
            # Nobody was in the way of the first, and nobody finds a trace of it.
            self.model.after(one, answer, replace(seen, lots=self.with_all_open(seen)))
            self.model = self.model.after(other, others_answer, seen)
            self.model.compare(seen)
            return
        orders = [((one, answer), (other, others_answer)), ((other, others_answer), (one, answer))]
        differences = []
        for order in orders:
            try:
                model = self.model
                for call, given in order:
                    model = model.after(call, given, seen)
                model.compare(seen)
            except AssertionError as difference:
                differences.append(str(difference))
            else:
                self.model = model
                return
        raise AssertionError("no order of the two explains what was seen:\n" + "\n".join(differences))

    def with_all_open(self, seen: Seen) -> dict[UUID, dict[str, Any]]:
        """The lots as a call that was rolled back saw them: none expired since."""
        return {
            id_: {**row, "status": "expired" if self.model.lots[id_].is_over else row["status"]}
            for id_, row in seen.lots.items()
            if id_ in self.model.lots
        }

    def wait(self, future: Future[Answer], connection: Connection) -> None:
        """Until the second is done, or waits for the first."""
        pid = connection.info.backend_pid
        while not future.done() and not is_waiting(self.doors.superuser, pid):
            pass


@pytest.fixture
def doors(supabase_world: World) -> Iterator[Doors]:
    doors = Doors(supabase_world)
    yield doors
    doors.close()


def machine_of(doors: Doors) -> type[Life]:
    return type("LifeHere", (Life,), {"doors": doors})


# Of a run's first ten examples each is new; the later ones repeat much of those before.
@pytest.mark.parametrize("part", range(RUNS))
def test_every_sequence_of_calls_ends_as_the_model_says(doors: Doors, part: int) -> None:
    run_state_machine_as_test(
        machine_of(doors),
        settings=settings(
            max_examples=10,
            stateful_step_count=STEPS,
            deadline=None,
            # Whoever wants the shortest sequence that fails has an hour for it.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
