"""Everybody does everything at once, for as long as it takes: nothing deadlocks, nothing is left out of step.

BOOKINGDB_STORM=full makes it minutes, as promised.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, lasting
from tests.support.connections import AsyncConnection, connections
from tests.support.life import require_sound
from tests.support.refusals import code_of

SECONDS = 120.0 if os.environ.get("BOOKINGDB_STORM") == "full" else 6.0
CONNECTIONS = 32
DAY = dt.timedelta(days=1)
Thing = TypeVar("Thing")

# Nothing that Postgres says by itself is in it: no deadlock, no serialization failure, no constraint, no timeout.
ALLOWED = {
    "done", "booking_conflict", "client_conflict", "insufficient_credits", "invalid_transition", "hold_expired",
    "idempotency_key_reused", "therapist_not_found", "lot_not_found", "invalid_duration", "invalid_parameter",
    # Also of sessions that series took on and on.
    "in_past", "too_far",
    # Of payments that were revoked, and of people who were merged or erased meanwhile.
    "grant_revoked", "user_not_found", "person_in_use", "person_inactive",
}  # fmt: skip


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


@dataclass
class Storm:
    """What the callers know of each other: who there is, what was made, what was answered to which key."""

    therapists: list[UUID]
    clients: list[UUID]
    choose: random.Random
    # Some are merged into a client, and some are erased, so that new ones come.
    guests: list[UUID] = field(default_factory=list)
    sessions: list[UUID] = field(default_factory=list)
    holds: list[UUID] = field(default_factory=list)
    lots: list[UUID] = field(default_factory=list)
    packages: list[UUID] = field(default_factory=list)
    keyed: dict[tuple[str, str], tuple[dict[str, Any], UUID]] = field(default_factory=dict)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def one_of(self, things: list[Thing]) -> Thing | None:
        """One of the newest: what was just made is where callers meet."""
        return self.choose.choice(things[-12:]) if things else None

    def slot(self) -> dict[str, Any]:
        """Few slots, so that callers meet there, too."""
        return {
            "session_date": TOMORROW + self.choose.randrange(3) * DAY,
            "session_time": dt.time(self.choose.randrange(24), self.choose.choice((0, 30))),
            "duration_minutes": self.choose.choice((30, 60, 60)),
        }

    def people(self) -> dict[str, Any]:
        return {"user_id": self.client(), "therapist_id": self.choose.choice(self.therapists)}

    def client(self) -> UUID:
        if self.guests and self.choose.random() < 0.15:
            return self.choose.choice(self.guests[-4:])
        return self.choose.choice(self.clients)

    def payment(self) -> str:
        """One of the latest, or the next: revocations come before their grant, too."""
        return f"payment {max(0, len(self.lots) // 4 - self.choose.randrange(4))}"

    def guest(self) -> dict[str, Any] | None:
        return {"user_id": self.choose.choice(self.guests[-4:])} if self.guests else None

    def settings(self) -> Jsonb:
        values: dict[str, list[Any]] = {
            "cancellation_window": ["1 hour", "100 days", None], "minimum_duration_minutes": [15, 45, None],
            "maximum_duration_minutes": [45, 180, None], "refund_grace": ["2 days", None],
            "hold_lifetime": ["1 minute", "1 hour", None],
        }  # fmt: skip
        name = self.choose.choice(list(values))
        return Jsonb({name: self.choose.choice(values[name])})

    def requests(self) -> dict[str, Callable[[], dict[str, Any] | None]]:
        """Every function, and what to call it with; None when there is nothing yet to call it about."""

        def about(things: list[UUID], name: str, **more: Any) -> Callable[[], dict[str, Any] | None]:
            return lambda: None if not things else {name: self.one_of(things), **more}

        choose = self.choose
        session = about(self.sessions, "session_id")
        lot = about(self.lots, "lot_id")
        return {
            "create_session_with_credit_deduction": lambda: {**self.people(), **self.slot()},
            "book_series": lambda: {**self.people(), **self.slot(), "occurrences": 2, "every": DAY},
            "hold_slot": lambda: {**self.people(), **self.slot()},
            "book_hold": about(self.holds, "hold_id"),
            "release_hold": about(self.holds, "hold_id"),
            "cancel_session": lambda: (
                {"session_id": self.one_of(self.sessions), "refund": choose.choice((None, None, True, False))}
                if self.sessions else None
            ),
            "reopen_session": session,
            "cancel_series": session,
            "reschedule_series": lambda: {**(session() or {}), **self.slot()} if self.sessions else None,
            "transfer_session": lambda: (
                {**(session() or {}), "therapist_id": choose.choice(self.therapists)} if self.sessions else None
            ),
            "record_session": lambda: {
                **self.people(), **self.slot(), "session_date": TOMORROW - choose.randrange(5, 8) * DAY,
            },
            "reschedule_session": lambda: (
                {**(session() or {}), **self.slot(), "override": choose.choice((None, None, ["all"]))}
                if self.sessions else None
            ),
            "approve_session": session,
            "confirm_session": session,
            "start_session": session,
            "complete_session": session,
            "mark_no_show": session,
            "grant_credits": lambda: {
                "user_id": self.client(), "amount": choose.randint(1, 5),
                "payment_reference": choose.choice((None, self.payment())),
                "expires_at": choose.choice((None, dt.datetime.now(dt.UTC) + DAY * choose.randint(1, 60))),
                "category": choose.choice(("paid", "promotional")), "priority": choose.choice((10, 50, 50)),
            },
            "adjust_credits": lambda: {
                "user_id": choose.choice(self.clients), "amount": choose.choice((-3, -1, 1, 2)), "reason": "a mistake",
                "lot_id": choose.choice((None, None, self.one_of(self.lots))),
            },
            "revoke_grant": lambda: {
                **choose.choice(({"payment_reference": self.payment(), "remember": True}, (lot() or {}))),
                "share": choose.choice((Decimal("0.3"), Decimal("0.5"), Decimal(1))),
            } if self.lots else None,
            "reinstate_grant": lot,
            "extend_lot": lambda: {
                **(lot() or {}), "expires_at": dt.datetime.now(dt.UTC) + DAY * choose.randint(30, 90),
                "reason": "ill",
            } if self.lots else None,
            "freeze_lot": about(self.lots, "lot_id", reason="a pause"),
            "thaw_lot": about(self.lots, "lot_id", reason="the pause is over"),
            "list_lots": lambda: {"user_id": self.client(), "include_empty": True},
            "transfer_credits": lambda: {
                "from_user_id": self.client(), "to_user_id": self.client(), "amount": choose.randint(1, 3),
                "reason": "a gift", "lot_id": choose.choice((None, None, self.one_of(self.lots))),
            },
            "set_package": lambda: {
                "name": choose.choice(("ten", "monthly")), "credits": choose.randint(2, 5), "validity": "1 month",
                "rollover_cap": choose.choice((None, 0, 2)),
            },
            "grant_package": lambda: {
                "user_id": self.client(), "package_id": self.one_of(self.packages),
                "payment_reference": choose.choice((None, self.payment())),
            } if self.packages else None,
            "register_client": lambda: {"email": f"guest{next(self.numbers)}@example.com", "full_name": "A guest"},
            "merge_clients": lambda: {
                "from_user_id": self.guests[-1], "into_user_id": self.client(), "reason": "registered twice",
            } if self.guests else None,
            "change_email": lambda: {
                **(self.guest() or {}), "email": f"guest{next(self.numbers)}@example.com",
            } if self.guests else None,
            "export_person": self.guest,
            "erase_person": self.guest,
            "expire_credits": dict,
            "housekeeping": lambda: {"limit": choose.choice((1, 10, 1000))},
            "set_policy": lambda: {
                "settings": self.settings(), "therapist_id": choose.choice(self.therapists),
            },
            "set_therapist_active": lambda: {
                "therapist_id": choose.choice(self.therapists), "active": choose.random() < 0.8,
            },
            "get_credit_statement": lambda: {
                "user_id": choose.choice(self.clients), "from": dt.datetime.now(dt.UTC) - DAY,
                "to": dt.datetime.now(dt.UTC) + DAY,
            },
        }  # fmt: skip

    def writes(self) -> dict[str, tuple[str, list[Any]]]:
        """What others write directly, a row at a time; and a client's sessions as a whole."""
        choose = self.choose
        ago = next(self.numbers) * 200 + 300
        client, therapist = choose.choice(self.clients), choose.choice(self.therapists)
        start = dt.datetime.combine(TOMORROW, dt.time(choose.randrange(24)), dt.UTC)
        return {
            "a direct request": (
                "insert into sessions (id, user_id, therapist_id, start_time, end_time, duration_minutes, status)"
                " values (gen_random_uuid(), %s, %s, %s, %s + interval '1 hour', 60, 'pending_approval') returning id",
                [client, therapist, start, start],
            ),
            "a direct status": (
                "update sessions set status = %s where id = %s",
                [choose.choice(("cancelled", "scheduled", "pending_approval")), self.one_of(self.sessions)],
            ),
            "a direct move": (
                "update sessions set start_time = start_time + interval '30 minutes',"
                " end_time = end_time + interval '30 minutes' where id = %s", [self.one_of(self.sessions)],
            ),
            "a direct beginning": (
                "update sessions set start_time = n.t, end_time = n.t + (end_time - sessions.start_time)"
                " from (select now() - make_interval(mins => %s) as t) as n where id = %s",
                [ago, self.one_of(self.sessions)],
            ),
            "a direct expiry": (
                "update user_credits set expires_at = now() - interval '1 second' where id = %s",
                [self.one_of(self.lots)],
            ),
            "a direct change of a lot": (
                "update user_credits set credits_balance = credits_balance + 1 where id = %s", [self.one_of(self.lots)],
            ),
            "an expiry of a hold": (
                "with held as (select %s::uuid as id), ended as (update bookingdb.holds as h set expires_at = now()"
                " - interval '1 second' from held where h.id = held.id) update bookingdb.calendar as c set"
                " expires_at = now() - interval '1 second' from held where c.id = held.id and c.kind = 'hold'",
                [self.one_of(self.holds)],
            ),
            "handled events": (
                "update bookingdb.outbox set handled_at = now() - interval '2 days' where id in ("
                "select id from bookingdb.outbox where handled_at is null and event not like 'credits.%%'"
                " order by id limit 9 for update skip locked)",
                [],
            ),
        }  # fmt: skip

    async def ask(self, connection: AsyncConnection) -> None:
        requests = self.requests()
        function = self.choose.choices(list(requests), [WEIGHTS.get(name, 4) for name in requests])[0]
        parameters = requests[function]()
        if parameters is None:
            return
        key = None
        if function not in KEYLESS and self.choose.random() < 0.3:
            key = self.choose.choice("abcdefgh")
            # Most often the same request again.
            if (function, key) in self.keyed and self.choose.random() < 0.7:
                parameters = self.keyed[function, key][0]
            parameters = {**parameters, "idempotency_key": key}
        arguments = ", ".join(f"p_{name} => %({name})s" for name in parameters)
        found = await self.tell(connection, function, f"select * from public.{function}({arguments})", parameters)
        if found:
            self.learn(function, found, parameters)

    def learn(self, function: str, found: list[Any], parameters: dict[str, Any]) -> None:
        """What was made is there for the others; what was answered to a key is answered again."""
        if function in ("create_session_with_credit_deduction", "record_session", "book_series", "book_hold"):
            self.sessions += [row["id"] for row in found if row["id"] not in self.sessions]
        elif function == "hold_slot" and found[0]["id"] not in self.holds:
            self.holds.append(found[0]["id"])
        elif function in ("grant_credits", "adjust_credits", "grant_package"):
            self.lots += {found[0]["lot_id"]} - {*self.lots}
        elif function == "transfer_credits":
            self.lots += [lot for lot in found[0]["lot_ids"] if lot not in self.lots]
        elif function == "set_package" and found[0]["id"] not in self.packages:
            self.packages.append(found[0]["id"])
        elif function == "register_client":
            self.guests.append(found[0]["register_client"])
        key = parameters.get("idempotency_key")
        if key is not None:
            id_ = found[0].get("id") or found[0].get("lot_id") or found[0]["lot_ids"][0]
            again = (function, key), ({name: parameters[name] for name in parameters}, id_)
            known = self.keyed.setdefault(*again)
            # Keys are a client's: another client's is another one.
            same = known[0] == again[1][0] and "settings" not in parameters
            assert not same or known[1] == id_, (function, known, id_)

    async def write(self, connection: AsyncConnection) -> None:
        writes = self.writes()
        name = self.choose.choice(list(writes))
        found = await self.tell(connection, name, *writes[name])
        if found and name == "a direct request":
            self.sessions.append(found[0]["id"])

    async def tell(self, connection: AsyncConnection, name: str, statement: str, parameters: Any) -> list[Any] | None:
        try:
            cursor = await connection.cursor(row_factory=dict_row).execute(statement.encode(), parameters)
            found = await cursor.fetchall() if cursor.description else None
        except psycopg.Error as error:
            code = code_of(error)
            if code not in ALLOWED:
                print(name, parameters, error, error.diag.context)
            self.ended[name, code] += 1
            return None
        self.ended[name, "done"] += 1
        return found


KEYLESS = {
    "release_hold", "revoke_grant", "expire_credits", "set_policy", "set_therapist_active", "get_credit_statement",
    "housekeeping", "reinstate_grant", "extend_lot", "freeze_lot", "thaw_lot", "list_lots", "set_package",
    "register_client", "merge_clients", "change_email", "export_person", "erase_person",
}  # fmt: skip
# What opens and closes for everybody is done now and then.
WEIGHTS = {
    "create_session_with_credit_deduction": 12, "hold_slot": 8, "book_hold": 8, "cancel_session": 8,
    "reschedule_session": 10, "approve_session": 6, "set_policy": 1, "set_therapist_active": 1, "revoke_grant": 1,
    "grant_credits": 5, "cancel_series": 1, "freeze_lot": 1, "merge_clients": 2, "erase_person": 1, "set_package": 1,
}  # fmt: skip
BULK = (
    "update sessions set start_time = start_time + make_interval(mins => %s), end_time = end_time +"
    " make_interval(mins => %s) where status in ('scheduled', 'confirmed') and start_time > now()"
)


# A short storm may have no session that has begun and was not cancelled.
SELDOM = {"start_session", "complete_session", "mark_no_show", "approve_session"}
# How somebody must have been refused.
REFUSALS = {"booking_conflict", "client_conflict", "insufficient_credits", "invalid_transition", "hold_expired"}


@pytest.mark.storm
async def test_32_callers_of_everything_never_deadlock(world: World) -> None:
    storm = Storm([world.therapist() for _ in range(4)], [world.client(credits=30) for _ in range(6)], random.Random(4))
    # Two therapists book with the others, as clients.
    for therapist in storm.therapists[:2]:
        world.run("select register_client(email) from users where id = %s", therapist)
        world.run("select from grant_credits(%s, 30)", therapist)
        storm.clients.append(therapist)
    # Sessions that begin days ago leave the calendar meanwhile.
    world.run("select set_policy('{\"retention_days\": 1}')")
    storm.lots += [lot for (lot,) in world.run("select id from user_credits")]

    def missing() -> set[str]:
        done = {name for name, code in storm.ended if code == "done"}
        return ({*storm.requests(), *storm.writes()} - done - SELDOM) | (REFUSALS - {code for _, code in storm.ended})

    goes_on = lasting(SECONDS, lambda: not missing())

    async def caller(connection: AsyncConnection, number: int) -> None:
        while goes_on():
            if storm.choose.random() < 0.15:
                await storm.write(connection)
            else:
                await storm.ask(connection)
            if number == 0 and storm.choose.random() < 0.05:
                # All sessions at once, there and back; of two such statements one may have to be undone.
                for minutes in (15, -15):
                    await storm.tell(connection, "a move of all sessions", BULK, [minutes, minutes])

    async with connections(world, CONNECTIONS) as callers:
        await asyncio.gather(*(caller(connection, number) for number, connection in enumerate(callers)))

    assert {code for _, code in storm.ended} <= ALLOWED, storm.ended
    assert missing() == set(), storm.ended
    # Direct writers let sessions take place again whose credits had come back.
    world.run("update sessions set status = 'cancelled' where id in (select subject_id from bookingdb.check_payment())")
    # And put credits into lots that had expired.
    world.run("update user_credits set status = 'active' where status = 'expired' and credits_balance > 0")
    require_sound(world)
