"""What clients were told, and whether the database still says the same."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from tests.support import World
from tests.torture.figures import Figures


@dataclass(frozen=True)
class Acknowledged:
    """One call that was answered."""

    function: str
    client: UUID
    key: str
    answer: DictRow
    # When the client had the answer.
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> UUID:
        id_ = self.answer.get("id") or self.answer["lot_id"]
        assert isinstance(id_, UUID)
        return id_


@dataclass
class ClientLog:
    """Everything that was acknowledged to the clients of a load, in the order of each client; and what was not."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    # Answers that nobody may get.
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: Acknowledged) -> None:
        with self._lock:
            self.acknowledged.append(entry)

    def count(self, outcome: str) -> None:
        with self._lock:
            self.other[outcome] += 1


BOOKINGS = {"create_session_with_credit_deduction", "book_hold"}


@dataclass
class Expected:
    """What must be there of the clients, worked out from the log alone."""

    sessions: dict[UUID, tuple[UUID, str, Any]] = field(default_factory=dict)
    lots: dict[UUID, tuple[UUID, int]] = field(default_factory=dict)
    holds: dict[UUID, UUID] = field(default_factory=dict)
    keys: dict[tuple[str, str], UUID] = field(default_factory=dict)
    balances: Counter[UUID] = field(default_factory=Counter)
    refunded: set[UUID] = field(default_factory=set)


def expected(log: ClientLog) -> Expected:
    found = Expected()
    for entry in log.acknowledged:
        answer = entry.answer
        found.keys[entry.function, entry.key] = entry.id
        if entry.function in BOOKINGS:
            found.sessions[entry.id] = (entry.client, answer["status"], answer["start_time"])
            found.balances[entry.client] -= 1
        elif entry.function in ("cancel_session", "reschedule_session"):
            found.sessions[entry.id] = (entry.client, answer["status"], answer["start_time"])
            if answer["refunded"]:
                found.balances[entry.client] += 1
                found.refunded.add(entry.id)
        elif entry.function == "grant_credits":
            found.lots[entry.id] = (entry.client, answer["lot_balance"])
            found.balances[entry.client] += answer["lot_balance"]
        else:
            assert entry.function == "hold_slot", entry
            found.holds[entry.id] = entry.client
    return found


def compare(world: World, log: ClientLog, clients: list[UUID], figures: Figures) -> None:
    """Hold the log against the database; what differs is written into the figures.

    Every call was asked until it was answered, by clients that nobody else books for: what is there and not in the log
    was done twice.
    """
    wanted = expected(log)
    figures.operations += len(log.acknowledged)
    figures.other += log.other
    figures.wrong += log.wrong

    sessions = {
        row[0]: tuple(row[1:])
        for row in world.run("select id, user_id, status, start_time from sessions where user_id = any (%s)", clients)
    }
    granted = "select id, user_id, credits_purchased from user_credits where user_id = any (%s)"
    lots = {row[0]: tuple(row[1:]) for row in world.run(granted, clients)}
    holds = dict(world.run("select id, user_id from bookingdb.holds where user_id = any (%s)", clients))
    keys = {
        (function, key): id_
        for function, key, id_ in world.run(
            "select function_name, key, result_id from bookingdb.idempotency_keys where user_id = any (%s)", clients
        )
    }
    pairs: list[tuple[str, dict[Any, Any], dict[Any, Any]]] = [
        ("session", wanted.sessions, sessions), ("lot", wanted.lots, lots), ("hold", wanted.holds, holds),
        ("key", wanted.keys, keys),
    ]  # fmt: skip
    for what, promised, there in pairs:
        for id_, state in promised.items():
            if there.get(id_) != state:
                figures.lost.append(f"{what} {id_}: {state} was acknowledged, {there.get(id_)} is there")
        figures.doubled += [f"{what} {id_}: {there[id_]} was never acknowledged" for id_ in there.keys() - promised]

    balances = dict(
        world.run(
            "select user_id, sum(credits_balance)::integer from user_credits where user_id = any (%s) group by 1",
            clients,
        )
    )
    for client in clients:
        if balances.get(client, 0) != wanted.balances[client]:
            figures.wrong.append(f"{client} has {balances.get(client, 0)} credits, not {wanted.balances[client]}")
    debits = world.run(
        "select session_id, kind, count(*) from bookingdb.ledger where session_id is not null"
        " and user_id = any (%s) group by 1, 2",
        clients,
    )
    for session, kind, count in debits:
        allowed = wanted.sessions if kind == "debit" else wanted.refunded
        if session not in allowed or count != 1:
            figures.doubled.append(f"{count} entries {kind} of session {session}")
    told = world.run(
        "select s.id, count(o.id) from sessions as s left join bookingdb.outbox as o on o.subject_id = s.id"
        " and o.event = 'session.created' where s.user_id = any (%s) group by 1 having count(o.id) <> 1",
        clients,
    )
    figures.wrong += [f"{count} events of the creation of session {session}" for session, count in told]
    figures.wrong += [f"invariant: {violation}" for violation in world.violations()]


def survivors(world: World, acknowledged: list[Acknowledged], figures: Figures) -> None:
    """Look, while the load goes on, for what was acknowledged before a moment; and at the invariants."""
    with world.connection.transaction():
        world.run("set transaction isolation level repeatable read")
        there = set(world.run("select function_name, key from bookingdb.idempotency_keys"))
        figures.wrong += [f"invariant: {violation}" for violation in world.violations()]
    missing = [entry for entry in acknowledged if (entry.function, entry.key) not in there]
    figures.lost += [f"{entry.function} {entry.id} was acknowledged before the moment" for entry in missing]


def unfinished(world: World) -> list[str]:
    """Transactions and locks that somebody has left behind in this database."""
    return [
        str(row)
        for row in world.run(
            """
            select a.pid, a.state, a.query, l.locktype, l.mode
            from pg_stat_activity as a
            left join pg_locks as l on l.pid = a.pid and l.locktype <> 'virtualxid'
            where a.datname = current_database()
                and a.pid <> pg_backend_pid()
                and a.backend_type = 'client backend'
                and (a.xact_start is not null or l.pid is not null)
            """
        )
    ]
