"""Random sequences of grants, bookings, refusals and direct writes, against a plain model of what should be."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import TOMORROW, World
from tests.support.refusals import outcome

pytestmark = pytest.mark.slow

EXAMPLES = 600 if os.environ.get("BOOKINGDB_STORM") == "full" else 200
YESTERDAY = dt.date.today() - dt.timedelta(days=2)
FAR = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


# ----------------------------------------------------------------------------------------------------------------------
# What can happen. People, sessions and lots are named by number, modulo how many there are.
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    client: int
    amount: int
    expires_in: int | None
    payment: str | None


@dataclass(frozen=True)
class Book:
    client: int
    therapist: int
    quarter: int
    minutes: int
    key: str | None
    past: bool


@dataclass(frozen=True)
class SetStatus:
    session: int
    status: str


@dataclass(frozen=True)
class Move:
    session: int
    quarters: int


@dataclass(frozen=True)
class SetLot:
    lot: int
    balance: int
    status: str
    expired: bool


@dataclass(frozen=True)
class SetActive:
    therapist: int
    active: bool


@dataclass(frozen=True)
class Again:
    """The same request as one that was answered under a key."""

    answer: int


number = st.integers(0, 1)
# Of payments and keys; most calls have none.
names = st.sampled_from([None, None, "a", "b"])
BOOKINGS = st.builds(
    Book, number, number, st.integers(0, 12), st.sampled_from([15, 30, 60, 60, 90, 0]), names,
    st.sampled_from([False] * 9 + [True]),
)  # fmt: skip
OTHERS = st.one_of(
    st.builds(Grant, number, st.integers(0, 3), st.sampled_from([None, 1, 2, 3]), names),
    st.builds(SetStatus, st.integers(0, 9), st.sampled_from(["scheduled", "confirmed", "cancelled", "completed"])),
    st.builds(Move, st.integers(0, 9), st.sampled_from([-4, -1, 1, 4])),
    st.builds(SetLot, st.integers(0, 9), st.integers(0, 2), st.sampled_from(["active", "refunded"]), st.booleans()),
    st.builds(SetActive, number, st.sampled_from([True, True, False])),
    st.builds(Again, st.integers(0, 9)),
)
# More bookings than anything else.
OPERATIONS = st.booleans().flatmap(lambda booking: BOOKINGS if booking else OTHERS)
Operation = Grant | Book | SetStatus | Move | SetLot | SetActive | Again


# ----------------------------------------------------------------------------------------------------------------------
# What should be
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Lot:
    id: UUID
    client: int
    amount: int
    balance: int
    expires_at: dt.datetime | None
    payment: str | None
    status: str = "active"

    def is_usable(self, now: dt.datetime) -> bool:
        return self.status == "active" and (self.expires_at is None or self.expires_at > now)


@dataclass
class Session:
    id: UUID
    client: int
    therapist: int
    start: dt.datetime
    end: dt.datetime
    status: str = "scheduled"

    def overlaps(self, start: dt.datetime, end: dt.datetime) -> bool:
        return self.status in ("scheduled", "confirmed") and self.start < end and start < self.end


@dataclass
class Model:
    """The rules in the plainest words: lists that are searched from one end to the other."""

    active: list[bool] = field(default_factory=lambda: [True, True])
    lots: list[Lot] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    answers: dict[tuple[int, str], tuple[Book, UUID, int]] = field(default_factory=dict)

    def balance(self, client: int) -> int:
        now = dt.datetime.now(dt.UTC)
        return sum(lot.balance for lot in self.lots if lot.client == client and lot.is_usable(now))

    def next_lot(self, client: int) -> Lot | None:
        """Return the lot to spend from: the one that expires soonest, then the oldest."""
        now = dt.datetime.now(dt.UTC)
        usable = [lot for lot in self.lots if lot.client == client and lot.is_usable(now) and lot.balance > 0]
        return min(usable, key=lambda lot: lot.expires_at or FAR, default=None)

    def is_taken(self, moved: Session | None, start: dt.datetime, end: dt.datetime, who: str, person: int) -> bool:
        return any(
            other is not moved and getattr(other, who) == person and other.overlaps(start, end)
            for other in self.sessions
        )

    def conflict(self, moved: Session | None, start: dt.datetime, end: dt.datetime, therapist: int, client: int) -> str:
        if self.is_taken(moved, start, end, "therapist", therapist):
            return "booking_conflict"
        if self.is_taken(moved, start, end, "client", client):
            return "client_conflict"
        return "done"

    def grant(self, operation: Grant) -> str:
        if operation.amount < 1:
            return "invalid_parameter"
        granted = self.granted(operation)
        if granted and (granted.client, granted.amount) != (operation.client, operation.amount):
            return "idempotency_key_reused"
        return "done"

    def granted(self, operation: Grant) -> Lot | None:
        return next((lot for lot in self.lots if operation.payment and lot.payment == operation.payment), None)

    def book(self, operation: Book) -> str:
        """Return how a booking should end, in the order of its steps."""
        if operation.minutes < 15:
            return "invalid_duration"
        if operation.key and (operation.client, operation.key) in self.answers:
            first, _, _ = self.answers[operation.client, operation.key]
            return "answered" if first == operation else "idempotency_key_reused"
        if not self.active[operation.therapist]:
            return "therapist_not_found"
        if operation.past:
            return "in_past"
        start, end = period(operation)
        conflict = self.conflict(None, start, end, operation.therapist, operation.client)
        if conflict != "done":
            return conflict
        return "done" if self.next_lot(operation.client) else "insufficient_credits"


def period(operation: Book) -> tuple[dt.datetime, dt.datetime]:
    day = YESTERDAY if operation.past else TOMORROW
    # From 22:00, so that some cross midnight and others are of the next day.
    start = dt.datetime.combine(day, dt.time(22), dt.UTC) + dt.timedelta(minutes=15 * operation.quarter)
    return start, start + dt.timedelta(minutes=operation.minutes)


# ----------------------------------------------------------------------------------------------------------------------
# Both side by side
# ----------------------------------------------------------------------------------------------------------------------


class Run:
    """The model and the database, through one sequence."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.model = Model()
        self.clients = [world.client(), world.client()]
        self.therapists = [world.therapist(), world.therapist()]

    def call(self, statement: str, *parameters: Any) -> tuple[str, list[Any]]:
        rows: list[Any] = []
        return outcome(lambda: rows.extend(self.world.run(statement, *parameters))), rows

    def apply(self, operation: Operation) -> None:
        match operation:
            case Grant():
                self.grant(operation)
            case Book():
                self.book(operation)
            case SetActive():
                self.world.run(
                    "select set_therapist_active(%s, %s)", self.therapists[operation.therapist], operation.active
                )
                self.model.active[operation.therapist] = operation.active
            case Again() if self.model.answers:
                answers = list(self.model.answers.values())
                self.book(answers[operation.answer % len(answers)][0])
            case SetLot() if self.model.lots:
                self.set_lot(operation, self.model.lots[operation.lot % len(self.model.lots)])
            case SetStatus() if self.model.sessions:
                session = self.model.sessions[operation.session % len(self.model.sessions)]
                self.write_session(session, session.start, session.end, operation.status)
            case Move() if self.model.sessions:
                session = self.model.sessions[operation.session % len(self.model.sessions)]
                step = dt.timedelta(minutes=15 * operation.quarters)
                self.write_session(session, session.start + step, session.end + step, session.status)
            case _:
                pass

    def grant(self, operation: Grant) -> None:
        expected = self.model.grant(operation)
        # Payments are told apart by example, people are new in each.
        reference = f"{self.clients[0]} {operation.payment}" if operation.payment else None
        expires_at = None
        if operation.expires_in:
            expires_at = dt.datetime.combine(TOMORROW, dt.time(), dt.UTC) + dt.timedelta(days=operation.expires_in)

        code, rows = self.call(
            "select lot_id, lot_balance, credits_balance from grant_credits(%s, %s, %s, %s)",
            self.clients[operation.client], operation.amount, reference, expires_at,
        )  # fmt: skip

        assert code == expected
        if code == "done":
            lot = self.model.granted(operation)
            if lot is None:
                lot = Lot(
                    rows[0][0], operation.client, operation.amount, operation.amount, expires_at, operation.payment
                )
                self.model.lots.append(lot)
            assert rows == [(lot.id, lot.balance, self.model.balance(operation.client))]

    def book(self, operation: Book) -> None:
        expected = self.model.book(operation)
        start, end = period(operation)

        code, rows = self.call(
            "select id, start_time, end_time, status, credits_balance from create_session_with_credit_deduction("
            "%s, %s, %s, %s, %s, p_idempotency_key => %s)",
            self.clients[operation.client], self.therapists[operation.therapist], start.date(), start.time(),
            operation.minutes, operation.key,
        )  # fmt: skip

        assert code == ("done" if expected == "answered" else expected)
        if expected == "answered" and operation.key:
            _, session_id, balance = self.model.answers[operation.client, operation.key]
            (session,) = (session for session in self.model.sessions if session.id == session_id)
            assert rows == [(session_id, session.start, session.end, session.status, balance)]
        elif code == "done":
            lot = self.model.next_lot(operation.client)
            assert lot is not None
            lot.balance -= 1
            balance = self.model.balance(operation.client)
            session = Session(rows[0][0], operation.client, operation.therapist, start, end)
            self.model.sessions.append(session)
            if operation.key:
                self.model.answers[operation.client, operation.key] = (operation, session.id, balance)
            assert rows == [(session.id, start, end, "scheduled", balance)]
            assert self.world.run(
                "select lot_id, amount, balance_after from bookingdb.ledger where session_id = %s", session.id
            ) == [(lot.id, -1, lot.balance)]

    def set_lot(self, operation: SetLot, lot: Lot) -> None:
        if operation.expired:
            lot.expires_at = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        lot.balance, lot.status = operation.balance, operation.status
        self.world.run(
            "update user_credits set credits_balance = %s, status = %s, expires_at = %s where id = %s",
            lot.balance, lot.status, lot.expires_at, lot.id,
        )  # fmt: skip

    def write_session(self, session: Session, start: dt.datetime, end: dt.datetime, status: str) -> None:
        expected = "done"
        if status in ("scheduled", "confirmed"):
            expected = self.model.conflict(session, start, end, session.therapist, session.client)

        code, _ = self.call(
            "update sessions set start_time = %s, end_time = %s, status = %s where id = %s",
            start, end, status, session.id,
        )  # fmt: skip

        assert code == expected
        if code == "done":
            session.start, session.end, session.status = start, end, status

    def compare(self) -> None:
        """Hold that the database has the model's sessions, lots and balances, and nothing else of these people."""
        rows = self.world.run(
            "select id, user_id, therapist_id, start_time, end_time, status from sessions where user_id = any (%s)",
            self.clients,
        )
        assert sorted(rows) == sorted(
            (s.id, self.clients[s.client], self.therapists[s.therapist], s.start, s.end, s.status)
            for s in self.model.sessions
        )
        rows = self.world.run("select id, credits_balance from user_credits where user_id = any (%s)", self.clients)
        assert sorted(rows) == sorted((lot.id, lot.balance) for lot in self.model.lots)
        for client_number, client in enumerate(self.clients):
            assert self.world.balance(client) == self.model.balance(client_number)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    # The database stays between examples; the people of each are new.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=st.lists(OPERATIONS, min_size=10, max_size=50))
def test_any_sequence_ends_as_the_model_says(clean_world: World, operations: list[Operation]) -> None:
    run = Run(clean_world)
    # Something to spend, or most sequences would never book.
    run.apply(Grant(0, 3, None, None))
    run.apply(Grant(0, 2, 2, None))
    run.apply(Grant(1, 2, 2, None))
    run.apply(Grant(1, 3, None, None))
    for operation in operations:
        run.apply(operation)
    run.compare()
    assert clean_world.violations() == []


def test_the_model_and_the_database_differ_where_one_is_wrong(clean_world: World) -> None:
    """That the comparison can fail at all."""
    run = Run(clean_world)
    run.apply(Grant(0, 3, None, None))
    run.compare()
    run.model.lots[0].balance += 1

    assert outcome_of_comparison(run) == "differs"


def outcome_of_comparison(run: Run) -> str:
    try:
        run.compare()
    except AssertionError:
        return "differs"
    return "alike"
