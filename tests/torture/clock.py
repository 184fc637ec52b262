"""The clock of the server is moved: an hour forward, an hour back, to and fro over a change of clocks."""

from __future__ import annotations

import datetime as dt
import importlib.util
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import DictRow

from tests.support import World, connect, life, scalar
from tests.support.refusals import outcome
from tests.torture import log
from tests.torture.figures import Figures
from tests.torture.goal import Goal
from tests.torture.load import make_load
from tests.torture.server import Server

NAME = "clock of the server moved"
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
ZONE = "Europe/Berlin"
BOOK = "create_session_with_credit_deduction"


class CannotBeDone(Exception):
    """Clocks cannot be moved here; the message says why."""


# ----------------------------------------------------------------------------------------------------------------------
# A clock that can be set
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """What every process of the server reads before it tells the time."""

    file: Path

    def move(self, offset: dt.timedelta) -> None:
        """Be that much ahead of the machine from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset.total_seconds():+.0f}", encoding="ascii")
        # At one moment: nobody reads half of it.
        new.replace(self.file)

    def set(self, instant: dt.datetime) -> None:
        self.move(instant - dt.datetime.now(dt.UTC))


def is_movable() -> bool:
    """Whether there is what moves it."""
    return importlib.util.find_spec("libfaketime") is not None


def _library() -> Path:
    """Raises `CannotBeDone`."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        raise CannotBeDone("the package libfaketime is not installed")
    return Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


@contextmanager
def movable(server: Server) -> Iterator[Clock]:
    """Start the server again with a clock that can be moved, and after the block with its own.

    Raises `CannotBeDone`.
    """
    clock = Clock(server.folder / "clock")
    environment = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock.file),
        # Read again each time; what measures how long something takes stays true; processes begin where others are.
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
    clock.move(dt.timedelta())
    server.stop()
    before = dict(server.settings)
    server.environment = environment
    # The look for a deadlock is an alarm that asks for the time, and the library answers by reading its file, which
    # nothing that interrupts an allocation may do: such a process would crash now and then.
    server.settings["deadlock_timeout"] = "1h"
    server.start()
    try:
        clock.move(HOUR)
        with connect(server.url()) as connection:
            ahead = scalar(connection, "select clock_timestamp()") - dt.datetime.now(dt.UTC)
        clock.move(dt.timedelta())
        if abs(ahead - HOUR) > MINUTE:
            raise CannotBeDone(f"the library has no effect on this system: the clock is {ahead} ahead, not an hour")
        yield clock
    finally:
        server.stop()
        server.environment, server.settings = {}, before
        server.start()


# ----------------------------------------------------------------------------------------------------------------------
# What was made before, and what must be true of it after
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """Everything that depends on the time, made at one moment and looked at in another."""

    world: World
    figures: Figures
    # When it is made; its sessions and their keys are of days later.
    made_at: dt.datetime
    therapist: UUID = field(init=False)
    client: UUID = field(init=False)
    other: UUID = field(init=False)
    booked: DictRow = field(init=False)
    request: dict[str, Any] = field(init=False)
    held: DictRow = field(init=False)
    # Who has only the lot that runs out.
    poor: UUID = field(init=False)
    spent: DictRow = field(init=False)

    def call(self, function: str, **parameters: Any) -> DictRow:
        self.figures.operations += 1
        return life.call(self.world.connection, function, **parameters)

    def make(self) -> None:
        world = self.world
        self.therapist = world.therapist(ZONE)
        self.client, self.other = world.client(credits=5), world.client(credits=5)
        people = {"user_id": self.client, "therapist_id": self.therapist}
        self.request = {**people, **self.at(3, 10), "idempotency_key": str(self.client)}
        self.booked = self.call(BOOK, **self.request)
        # These have half an hour from now; of the lot one credit is spent, and the refund comes when it is over.
        self.held = self.call("hold_slot", **people, **self.at(3, 12), ttl=HOUR / 2)
        self.poor = world.client()
        self.call("grant_credits", user_id=self.poor, amount=2, expires_at=self.made_at + HOUR / 2)
        self.spent = self.call(BOOK, user_id=self.poor, therapist_id=self.therapist, **self.at(3, 14))
        self.require("the balance", world.balance(self.poor), 1)

    def at(self, days: int, hour: int) -> dict[str, Any]:
        date = self.made_at.astimezone(ZoneInfo(ZONE)).date() + days * DAY
        return {"session_date": date, "session_time": dt.time(hour)}

    def require(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.figures.wrong.append(f"{what}: {found}, not {wanted}")

    def look(self, moved: dt.timedelta) -> None:
        """Hold everything against what it should be now that the clock has been moved by so much."""
        is_over = moved > HOUR / 2
        again = self.call(BOOK, **self.request)
        for name in ("id", "start_time", "credits_balance"):
            self.require(f"the answer of the key, {name}", again[name], self.booked[name])
        local = dt.datetime.combine(self.request["session_date"], self.request["session_time"], ZoneInfo(ZONE))
        self.require("the instant of 10:00", self.booked["start_time"], local.astimezone(dt.UTC))

        # When the hold is over its slot is anybody's, and else that of who has it.
        kept = outcome(partial(self.call, "book_hold", hold_id=self.held["id"]))
        self.require("the booking of the hold", kept, "hold_expired" if is_over else "done")
        taken = outcome(partial(self.call, BOOK, user_id=self.other, therapist_id=self.therapist, **self.at(3, 12)))
        self.require("a booking over the hold", taken, "done" if is_over else "booking_conflict")

        self.require("the balance of the lot that ran out", self.world.balance(self.poor), 0 if is_over else 1)
        posted = self.call("expire_credits")
        self.require("the lots that ran out", posted["lots"], 1 if is_over else 0)
        refund = self.call("cancel_session", session_id=self.spent["id"])
        self.require("the refund", refund["refunded"], True)
        # What ran out stays out; what comes back, comes back in a lot of its own, which has its grace.
        self.require("the balance after the refund", self.world.balance(self.poor), 1 if is_over else 2)
        self.finish()

    def finish(self) -> None:
        """A booking begins, and another is cancelled: the next calls work, and everything is in step."""
        moved = self.call("reschedule_session", session_id=self.booked["id"], **self.at(4, 10))
        self.require("the status of what was moved", moved["status"], "scheduled")
        self.require("the refund", self.call("cancel_session", session_id=self.booked["id"])["refunded"], True)
        self.figures.wrong += violations(self.world)


def violations(world: World) -> list[str]:
    """What the invariants say, but for holds that ran out, lost their row to a booking, and run again."""
    found = [violation for violation in world.violations() if "hold has no calendar row" not in violation]
    return [f"invariant: {violation}" for violation in found]


def changes_of_clocks(after: dt.datetime) -> list[dt.datetime]:
    """The next two instants at which the clocks of the zone change."""
    zone = ZoneInfo(ZONE)
    found: list[dt.datetime] = []
    moment = after.replace(minute=0, second=0, microsecond=0)
    while len(found) < 2:
        before, moment = moment, moment + HOUR
        if before.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            found.append(moment)
    return found


def _moves(now: dt.datetime) -> list[tuple[dt.datetime, dt.timedelta]]:
    """When something is made, and by how much the clock is moved before it is looked at."""
    found = [(now, HOUR), (now + HOUR, -HOUR), (now, MINUTE), (now, dt.timedelta())]
    for change in changes_of_clocks(now):
        # Over the change and back over it; and from far before it, so that the sessions are of days after it.
        found += [(change - HOUR / 2, HOUR), (change + HOUR / 2, -HOUR), (change - DAY, 2 * DAY - HOUR)]
    return found


# ----------------------------------------------------------------------------------------------------------------------
# The scenario
# ----------------------------------------------------------------------------------------------------------------------


def torture(server: Server, seconds: float) -> Figures:
    """Look at everything that has a time on both sides of each move; then move the clock to and fro under load."""
    figures = Figures(NAME)
    try:
        with movable(server) as clock:
            for made_at, moved in _moves(dt.datetime.now(dt.UTC)):
                with server.world() as world:
                    clock.set(made_at)
                    scene = Scene(world, figures, made_at)
                    scene.make()
                    if moved > HOUR / 2:
                        clock.set(made_at + moved)
                        scene.require("the balance of the lot that ran out", world.balance(scene.poor), 0)
                        # Nobody has posted it.
                        clock.set(made_at)
                        scene.require("the balance of the lot that runs again", world.balance(scene.poor), 1)
                    clock.set(made_at + moved)
                    scene.look(moved)
                    clock.set(made_at)
                    # What was posted stays so, and what came back has a lot of its own.
                    scene.require("the balance in the end", world.balance(scene.poor), 1 if moved > HOUR / 2 else 2)
                    figures.wrong += violations(world)
                figures.rounds += 1
                figures.other["moves looked at"] += 1
            clock.move(dt.timedelta())
            with server.world() as world:
                _under_load(world, clock, seconds, figures)
            clock.move(dt.timedelta())
    except CannotBeDone as reason:
        figures.times.append(f"skipped, {reason}")
    return figures


def _under_load(world: World, clock: Clock, seconds: float, figures: Figures) -> None:
    """The mixed load knows nothing of it: bookings of days ahead, and holds that may run out under it."""
    goal = Goal(NAME, seconds, at_least=figures.rounds + 2)
    choose = random.Random(9)
    load = make_load(world)
    with load.running():
        while goal.goes_on(figures.rounds):
            load.wait_for(20)
            acknowledged = list(load.log.acknowledged)
            clock.move(choose.choice((HOUR, -HOUR, dt.timedelta())))
            load.wait_for(20)
            with connect(world.url) as connection:
                log.survivors(World(world.url, connection), acknowledged, figures)
            figures.rounds += 1
            figures.other["moves under load"] += 1
            time.sleep(choose.random() * 0.2)
    log.compare(world, load.log, load.ids, figures)
    figures.times.append(f"longest call {load.longest:.2f} s")
