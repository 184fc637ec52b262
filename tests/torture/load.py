"""Mixed load: clients that book, cancel, move, hold and are granted credits, and write down what they were told.

A client asks with a key, and asks again with the same key for as long as the connection is lost under it.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow

from tests.support import TOMORROW, Connection, World, connect, life
from tests.support.refusals import PROMISED, code_of
from tests.torture.log import BOOKINGS, Acknowledged, ClientLog

CLIENTS = 8
# What a connection ends with when the server, its backend or the way there is gone. 57014: the statement was cancelled.
GONE = {"57P01", "57P02", "57P03", "08000", "08001", "08003", "08006", "08P01"}
# What undoes a call as a whole, and is cured by asking again.
UNDONE = {"57014", "40001", "40P01", "busy", "53100", "58P01", "25006"}


def is_gone(error: psycopg.Error) -> bool:
    """Whether it is the connection that failed: what was asked may have been done or not."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return error.sqlstate is None or error.sqlstate in GONE
    return False


@dataclass
class Client:
    """One client of the load, who does one thing after the other."""

    id: UUID
    therapists: list[UUID]
    log: ClientLog
    connect: Callable[[], Connection]
    choose: random.Random
    sessions: dict[UUID, str] = field(default_factory=dict)
    holds: list[UUID] = field(default_factory=list)
    connection: Connection | None = None
    # Whether to ask once more.
    patience: Callable[[], bool] = lambda: True

    def step(self) -> None:
        """Do one thing, at random, and ask for it until it is answered."""
        function, parameters = self.request()
        self.ask(function, parameters)

    def slot(self) -> dict[str, Any]:
        return {
            "session_date": TOMORROW + dt.timedelta(days=self.choose.randrange(60)),
            "session_time": dt.time(self.choose.randrange(24), self.choose.choice((0, 30))),
            "duration_minutes": 60,
        }

    def request(self) -> tuple[str, dict[str, Any]]:
        people = {"user_id": self.id, "therapist_id": self.choose.choice(self.therapists)}
        active = [id_ for id_, status in self.sessions.items() if status == "scheduled"]
        kinds = ["book"] * 4 + ["grant"] + ["hold"] * 2 + ["book_hold"] * (2 * bool(self.holds))
        kinds += (["cancel"] + ["move"] * 2) * bool(active)
        match self.choose.choice(kinds):
            case "book":
                return "create_session_with_credit_deduction", {**people, **self.slot()}
            case "grant":
                return "grant_credits", {"user_id": self.id, "amount": self.choose.randint(3, 9)}
            case "hold":
                return "hold_slot", {**people, **self.slot(), "ttl": dt.timedelta(hours=1)}
            case "book_hold":
                return "book_hold", {"hold_id": self.choose.choice(self.holds)}
            case "cancel":
                return "cancel_session", {"session_id": self.choose.choice(active)}
            case _:
                return "reschedule_session", {"session_id": self.choose.choice(active), **self.slot()}

    def ask(self, function: str, parameters: dict[str, Any], key: str | None = None) -> str:
        """Ask until it is answered; return "done", the code of a refusal, or "given up"."""
        key = key or str(uuid4())
        while True:
            try:
                answer = life.call(self.connected(), function, **parameters, idempotency_key=key)
            except psycopg.Error as error:
                if is_gone(error):
                    self.disconnect()
                    self.log.count("asked again: connection lost")
                    time.sleep(0.01)
                elif (code := code_of(error)) in UNDONE:
                    self.log.count(f"asked again: {code}")
                elif code in PROMISED:
                    self.log.count(code)
                    self.refused(function, parameters)
                    return code
                else:
                    # Nothing but the errors of the table, and what undoes a call as a whole, may come.
                    self.log.wrong.append(f"{function} ended with {code}: {error}")
                    return code
                if not self.patience():
                    self.log.count("given up")
                    return "given up"
            else:
                self.log.add(Acknowledged(function, self.id, key, answer))
                self.learn(function, parameters, answer)
                return "done"

    def learn(self, function: str, parameters: dict[str, Any], answer: DictRow) -> None:
        if function in BOOKINGS or function in ("cancel_session", "reschedule_session"):
            self.sessions[answer["id"]] = answer["status"]
        if function == "hold_slot":
            self.holds.append(answer["id"])
        if function == "book_hold":
            self.holds.remove(parameters["hold_id"])

    def refused(self, function: str, parameters: dict[str, Any]) -> None:
        # One hold with each therapist: an earlier one was given up for a later one.
        if function == "book_hold":
            self.holds.remove(parameters["hold_id"])

    def connected(self) -> Connection:
        if self.connection is None or self.connection.closed:
            self.connection = self.connect()
        return self.connection

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass
class Load:
    """Clients at work, each in a thread of its own."""

    log: ClientLog
    clients: list[Client]
    # Who writes into the log, too, but is told by somebody else what to do.
    others: list[Client] = field(default_factory=list)
    # The longest that a call took from its first try to its answer, in seconds.
    longest: float = 0
    _going: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[UUID]:
        return [client.id for client in (*self.clients, *self.others)]

    def done(self) -> int:
        return len(self.log.acknowledged)

    def wait_for(self, more: int, seconds: float = 30) -> None:
        """Wait until this many more calls have been answered."""
        wanted, deadline = self.done() + more, time.monotonic() + seconds
        while self.done() < wanted:
            assert time.monotonic() < deadline, "the load has come to a halt"
            time.sleep(0.002)

    def stop(self) -> None:
        """Let nobody begin anything more."""
        self._going.clear()

    def _work(self, client: Client) -> None:
        try:
            while self._going.is_set():
                begun = time.monotonic()
                client.step()
                self.longest = max(self.longest, time.monotonic() - begun)
        finally:
            client.disconnect()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let them work while the block lasts; after it every call has been answered."""
        self._going.set()
        with ThreadPoolExecutor(len(self.clients)) as threads:
            working = [threads.submit(self._work, client) for client in self.clients]
            try:
                yield
            finally:
                self._going.clear()
            for work in working:
                work.result()


def make_load(
    world: World,
    number: int = CLIENTS,
    *,
    seed: int = 1,
    open_connection: Callable[[], Connection] | None = None,
) -> Load:
    """People for a load: half as many therapists as clients, so that they meet."""
    log = ClientLog()
    therapists = [world.therapist() for _ in range(max(1, number // 2))]
    opened = open_connection or (lambda: connect(world.url, connect_timeout=5))
    clients = [Client(world.client(), therapists, log, opened, random.Random(seed * 1000 + n)) for n in range(number)]
    return Load(log, clients)
