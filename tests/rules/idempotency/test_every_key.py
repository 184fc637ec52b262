"""A key answers the same request again: every function that takes one, in the same words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from tests.support import TOMORROW, World
from tests.support.interleaving import session_of
from tests.support.life import begin, call, request_session, rows
from tests.support.refusals import nothing_written, refused

DAY = dt.timedelta(days=1)
# How a connection shows intervals, dates and timestamps must not matter to the request that a key remembers.
OTHER_SETTINGS = {"timezone": "America/New_York", "datestyle": "SQL, DMY", "intervalstyle": "sql_standard"}
STATUS = ("confirm_session", "start_session", "complete_session", "mark_no_show")
OF_SESSIONS = (
    "approve_session", "cancel_session", "cancel_series", "reopen_session", "reschedule_session", "reschedule_series",
    "refund_session", "transfer_session", *STATUS,
)  # fmt: skip


@dataclass
class Desk:
    """A client with credits, two therapists, and what a function takes there."""

    world: World
    function: str
    client: UUID
    therapist: UUID
    other: UUID
    receiver: UUID

    def session(self, hour: int) -> UUID:
        """Return a session in the state in which the function takes it."""
        connection = self.world.connection
        if self.function == "approve_session":
            start = dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC)
            return request_session(connection, self.client, self.therapist, start)
        booked = self.world.book(self.client, self.therapist, f"{hour:02}:00")["id"]
        if self.function == "refund_session":
            call(connection, "cancel_session", session_id=booked, refund=False)
        if self.function in STATUS[1:]:
            begin(connection, booked, 90 * hour)
        if self.function == "reopen_session":
            call(connection, "cancel_session", session_id=booked)
        assert isinstance(booked, UUID)
        return booked

    def hold(self, therapist: UUID, hour: int) -> UUID:
        held = call(
            self.world.connection, "hold_slot", user_id=self.client, therapist_id=therapist,
            session_date=TOMORROW, session_time=f"{hour:02}:00",
        )["id"]  # fmt: skip
        assert isinstance(held, UUID)
        return held

    def request(self) -> dict[str, Any]:
        slot = {
            "user_id": self.client, "therapist_id": self.therapist, "session_date": TOMORROW, "session_time": "10:00",
        }  # fmt: skip
        requests: dict[str, dict[str, Any]] = {
            "create_session_with_credit_deduction": slot,
            "book_session_with_override": slot,
            "record_session": {**slot, "session_date": TOMORROW - 9 * DAY},
            "book_series": {**slot, "occurrences": 3, "every": "30 days"},
            "hold_slot": slot,
            "adjust_credits": {"user_id": self.client, "amount": 3, "reason": "why"},
            "transfer_credits": {
                "from_user_id": self.client,
                "to_user_id": self.receiver,
                "amount": 3,
                "reason": "why",
            },
            "grant_package": {"user_id": self.client, "price_reference": self.price("price_10")},
            "grant_credits": {"user_id": self.client, "amount": 3, "expires_at": "2100-02-01 00:00+00"},
        }
        if self.function in requests:
            return requests[self.function]
        if self.function == "book_hold":
            return {"hold_id": self.hold(self.therapist, 10)}
        session: dict[str, Any] = {"session_id": self.session(1)}
        if self.function == "refund_session":
            return {**session, "reason": "why"}
        if self.function == "transfer_session":
            return {**session, "therapist_id": self.other}
        if self.function in ("reschedule_session", "reschedule_series"):
            return {**session, "session_date": TOMORROW + DAY, "session_time": "12:00", "duration_minutes": 60}
        return session

    def others(self) -> list[dict[str, Any]]:
        """Return parameters that make it another request."""
        slot: list[dict[str, Any]] = [
            {"therapist_id": self.other}, {"session_date": TOMORROW + DAY}, {"session_time": "11:00"},
            {"duration_minutes": 45}, {"time_zone": "UTC"},
        ]  # fmt: skip
        texts: list[dict[str, Any]] = [{"title": "else"}, {"notes": "else"}, {"session_type": "audio"}]
        others: dict[str, list[dict[str, Any]]] = {
            "create_session_with_credit_deduction": [*slot, *texts],
            "book_session_with_override": [*slot, *texts, {"override_hours": False}, {"override": ["limits"]}],
            "record_session": [*slot, *texts, {"status": "no_show"}],
            # A month is not 30 days.
            "book_series": [
                *slot, *texts, {"occurrences": 4}, {"on_conflict": "skip"}, {"every": "31 days"}, {"every": "1 month"},
            ],
            "hold_slot": [*slot, {"ttl": "5 minutes"}],
            "adjust_credits": [{"amount": 2}, {"reason": "why not"}, {"lot_id": self.lot()}],
            "transfer_credits": [
                {"amount": 2}, {"reason": "why not"}, {"lot_id": self.lot()}, {"to_user_id": self.world.client()},
            ],
            "grant_package": [{"price_reference": self.price("price_5")}, {"payment_reference": "payment"}],
            "grant_credits": [
                {"amount": 4}, {"category": "promotional"}, {"priority": 49}, {"payment_reference": "payment"},
            ],
        }  # fmt: skip
        if self.function in others:
            return others[self.function]
        if self.function == "book_hold":
            return [{"hold_id": self.hold(self.other, 20)}, *texts]
        session: list[dict[str, Any]] = [{"session_id": self.session(2)}]
        if self.function in ("cancel_session", "cancel_series"):
            return [*session, {"reason": "else"}, {"refund": True}]
        more: dict[str, list[dict[str, Any]]] = {
            "transfer_session": [{"therapist_id": self.therapist}, {"reason": "else"}, {"override": ["limits"]}],
            "reopen_session": [{"reason": "else"}],
            "refund_session": [{"reason": "else"}],
        }
        if self.function in ("reschedule_session", "reschedule_series"):
            moves: list[dict[str, Any]] = [
                *session, {"session_date": TOMORROW + 2 * DAY}, {"session_time": "13:00"}, {"duration_minutes": 45},
                {"duration_minutes": None}, {"time_zone": "Europe/Berlin"},
            ]  # fmt: skip
            return [*moves, {"override": ["limits"]}] if self.function == "reschedule_session" else moves
        return [*session, *more.get(self.function, [])]

    def price(self, price: str) -> str:
        call(self.world.connection, "set_package", name=price, credits=5, price_reference=price, rollover_cap=0)
        return price

    def lot(self) -> UUID:
        lot = self.world.run("select id from user_credits where user_id = %s order by created_at", self.client)[0][0]
        assert isinstance(lot, UUID)
        return lot

    def ask(self, request: dict[str, Any], key: str = "key") -> list[DictRow]:
        return rows(self.world.connection, self.function, **request, idempotency_key=key)


FUNCTIONS = [
    "create_session_with_credit_deduction", "book_session_with_override", "record_session", "book_series", "hold_slot",
    "book_hold",
    *OF_SESSIONS, "adjust_credits", "transfer_credits", "grant_credits", "grant_package",
]  # fmt: skip


@pytest.fixture(params=FUNCTIONS)
def desk(clean_world: World, request: pytest.FixtureRequest) -> Desk:
    world = clean_world
    return Desk(world, request.param, world.client(credits=20), world.therapist(), world.therapist(), world.client())


def test_every_function_with_a_key_is_here(clean_world: World) -> None:
    with_key = clean_world.run(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace"
        " and 'p_idempotency_key' = any (proargnames)"
    )
    assert {name for (name,) in with_key} == set(FUNCTIONS)


def test_the_same_key_has_the_same_answer_and_writes_nothing(desk: Desk) -> None:
    """With the first balance, whatever the client has by now, and however the connection shows dates and intervals."""
    request = desk.request()
    first = desk.ask(request)
    call(desk.world.connection, "grant_credits", user_id=desk.client, amount=5)
    balance = desk.world.balance(desk.client)

    with nothing_written(desk.world):
        # A grant says that it is none.
        assert desk.ask(request) == [{**row, **({"is_new": False} if "is_new" in row else {})} for row in first]
        with session_of(desk.world) as connection:
            for name, value in OTHER_SETTINGS.items():
                connection.execute("select set_config(%s, %s, false)", [name, value])
            listed = ", ".join(f"p_{name} => %({name})s" for name in request)
            answered = connection.execute(
                f"select to_jsonb(a) from {desk.function}({listed}, p_idempotency_key => 'key') as a".encode(), request
            ).fetchall()
    told = [name for name in ("id", "lot_id", "credits_balance", "time_zone") if name in first[0]]
    assert [[row[name] for name in told] for (row,) in answered] == [
        [str(row[name]) if isinstance(row[name], UUID) else row[name] for name in told] for row in first
    ]
    assert desk.world.balance(desk.client) == balance
    assert desk.world.violations() == []


def test_a_key_is_of_one_request(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    others = desk.others()
    with nothing_written(desk.world):
        for other in others:
            with refused("idempotency_key_reused"):
                desk.ask({**request, **other})


def test_another_key_is_another_request(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    other = desk.others()[0]
    if desk.function not in ("adjust_credits", "grant_credits"):
        # Another session, hold or therapist: what was asked for first has been taken.
        request = {**request, **other, **({"session_time": "15:00"} if "session_time" in request else {})}
    answer = desk.ask(request, "another key")
    assert answer
    assert desk.world.scalar("select count(distinct (result_id, result)) from bookingdb.idempotency_keys") == 2


def test_a_default_that_is_said_is_no_other_request(clean_world: World) -> None:
    client = clean_world.client()
    grant = {"user_id": client, "amount": 3, "idempotency_key": "key"}
    first = call(clean_world.connection, "grant_credits", **grant)
    assert call(clean_world.connection, "grant_credits", **grant, category="paid", priority=50) == {
        **first, "is_new": False,
    }  # fmt: skip


def test_an_expiry_that_is_computed_anew_is_no_other_request(clean_world: World) -> None:
    grant = {"user_id": clean_world.client(), "amount": 3, "payment_reference": "pi_10", "idempotency_key": "evt_10"}
    first = call(clean_world.connection, "grant_credits", **grant, expires_at="2100-02-01 00:00+00")
    with nothing_written(clean_world):
        for expiry in ({"expires_at": "2100-02-02 00:00+00"}, {"expires_on": dt.date(2100, 1, 31)}, {}):
            assert call(clean_world.connection, "grant_credits", **grant, **expiry) == {**first, "is_new": False}


@pytest.mark.parametrize(
    "function", ["create_session_with_credit_deduction", "book_hold", "book_session_with_override", "record_session"]
)
def test_a_key_whose_session_is_gone_says_so(clean_world: World, function: str) -> None:
    world = clean_world
    desk = Desk(world, function, world.client(credits=5), world.therapist(), world.therapist(), world.client())
    request = desk.request()
    desk.ask(request)
    world.run("delete from sessions")
    with nothing_written(world), refused("session_not_found"):
        desk.ask(request)


def test_a_key_is_of_one_function(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=9), world.therapist()
    connection = world.connection
    slot = {"user_id": client, "therapist_id": therapist, "session_date": TOMORROW, "idempotency_key": "key"}
    overridden = call(connection, "book_session_with_override", **slot, session_time="10:00")["id"]
    booked = call(connection, "create_session_with_credit_deduction", **slot, session_time="12:00")["id"]
    assert overridden != booked
    call(connection, "confirm_session", session_id=booked, idempotency_key="key")
    call(connection, "cancel_session", session_id=booked, idempotency_key="key")
    call(connection, "adjust_credits", user_id=client, amount=1, reason="why", idempotency_key="key")
    call(connection, "grant_credits", user_id=client, amount=1, idempotency_key="key")
    assert world.violations() == []


def test_a_refusal_leaves_an_approvals_key_free(clean_world: World) -> None:
    world = clean_world
    client = world.client()
    asked = request_session(
        world.connection, client, world.therapist(), dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)
    )
    with nothing_written(world), refused("insufficient_credits"):
        call(world.connection, "approve_session", session_id=asked, idempotency_key="key")
    call(world.connection, "grant_credits", user_id=client, amount=1)
    assert call(world.connection, "approve_session", session_id=asked, idempotency_key="key")["credits_balance"] == 0


def test_a_replayed_move_does_not_move_the_session_back(clean_world: World) -> None:
    world = clean_world
    session = world.book(world.client(credits=1), world.therapist())["id"]
    move = {"session_id": session, "session_date": TOMORROW, "session_time": "12:00", "idempotency_key": "key"}
    call(world.connection, "reschedule_session", **move)
    later = {**move, "session_time": "14:00", "idempotency_key": None}
    moved = call(world.connection, "reschedule_session", **later)
    with nothing_written(world):
        assert call(world.connection, "reschedule_session", **move)["start_time"] == moved["start_time"]


def test_a_replayed_series_shows_its_sessions_where_they_are(clean_world: World) -> None:
    world = clean_world
    desk = Desk(world, "book_series", world.client(credits=5), world.therapist(), world.therapist(), world.client())
    request = desk.request()
    first = desk.ask(request)
    moved = call(
        world.connection, "reschedule_session",
        session_id=first[0]["id"], session_date=TOMORROW + 7 * DAY, session_time="10:00",
    )  # fmt: skip
    again = desk.ask(request)
    assert [row["start_time"] for row in again] == [moved["start_time"], first[1]["start_time"], first[2]["start_time"]]
    assert [row["credits_balance"] for row in again] == [row["credits_balance"] for row in first] == [4, 3, 2]


def test_a_replayed_hold_does_not_come_back(clean_world: World) -> None:
    world = clean_world
    desk = Desk(world, "hold_slot", world.client(), world.therapist(), world.therapist(), world.client())
    request = desk.request()
    first = desk.ask(request)
    call(world.connection, "hold_slot", **{**request, "session_time": "15:00"})
    with nothing_written(world):
        # A grant says that it is none.
        assert desk.ask(request) == [{**row, **({"is_new": False} if "is_new" in row else {})} for row in first]
    asked = "select check_booking_conflict(%s, %s, '10:00', '11:00')"
    assert world.scalar(asked, desk.therapist, TOMORROW) is False


def test_a_hold_is_booked_once_by_whatever_key(clean_world: World) -> None:
    world = clean_world
    desk = Desk(world, "book_hold", world.client(credits=2), world.therapist(), world.therapist(), world.client())
    request = desk.request()
    first = desk.ask(request)
    with nothing_written(world), refused("hold_expired") as refusal:
        call(world.connection, "book_hold", **request, idempotency_key="another key")
    assert refusal.detail["reason"] == "booked"
    with nothing_written(world):
        assert rows(world.connection, "book_hold", **request) == first
