"""Two callers at once, one order forced: calls that are yet to come, and how both end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, book, run
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    call,
    rows,
)
from tests.support.refusals import outcome

Call = Callable[[Connection], Any]
AT_TEN = dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)
# Long enough from now for a call to be seen waiting first.
RUNS_OUT = "update user_credits set expires_at = clock_timestamp() + interval '0.9 s' where id = %s"
ENDINGS = ["commit", "rollback"]


def race(world: World, first: Call, second: Call, ending: str = "commit") -> tuple[str, str]:
    """Call the first in a transaction, see the second wait for it, end the transaction; return how both ended."""
    with holding(world) as one, session_of(world) as other:
        first_outcome = outcome(partial(first, one))
        answer = waiting(world, second, other)
        one.execute(ending.encode())
        return first_outcome, outcome(answer.result)


def unhindered(world: World, first: Call, second: Call, ending: str = "commit") -> tuple[str, str]:
    """Call the first in a transaction, the second until it is done without waiting, then end the transaction."""
    with holding(world) as one, session_of(world) as other:
        first_outcome = outcome(partial(first, one))
        other.execute("set lock_timeout = '5s'")
        second_outcome = outcome(partial(second, other))
        one.execute(ending.encode())
        return first_outcome, second_outcome


def expiring_at_once(world: World) -> dict[str, Any]:
    """Post what has expired, on a connection that fails where it would have to wait."""
    with session_of(world) as connection:
        connection.execute("set lock_timeout = '5s'")
        return call(connection, "expire_credits")


def calling(function: str, **parameters: Any) -> Call:
    """A call of a public function, on a connection that is yet to come."""
    return lambda connection: rows(connection, function, **parameters)


def writing(statement: str, *parameters: Any) -> Call:
    """A statement of somebody who writes the tables directly."""
    return lambda connection: run(connection, statement, *parameters)


def booking(client: UUID, therapist: UUID, at: str = "10:00", **options: Any) -> Call:
    return partial(book, client=client, therapist=therapist, at=at, **options)


def moving(session_id: UUID, at: str, date: dt.date = TOMORROW, **options: Any) -> Call:
    return calling("reschedule_session", session_id=session_id, session_date=date, session_time=at, **options)


def holding_slot(client: UUID, therapist: UUID, at: str = "10:00", **options: Any) -> Call:
    return calling(
        "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time=at, **options
    )


def status_of(world: World, session_id: UUID) -> str:
    return str(world.scalar("select status from sessions where id = %s", session_id))


def entries_of(world: World, session_id: UUID) -> list[str]:
    """The kinds of a session's entries in the ledger, in order."""
    found = world.run("select kind from bookingdb.ledger where session_id = %s order by id", session_id)
    return [kind for (kind,) in found]


def starts_at(world: World, session_id: UUID) -> str:
    clock = "select to_char(start_time at time zone 'UTC', 'HH24:MI') from sessions where id = %s"
    return str(world.scalar(clock, session_id))


def change(function: str, session_id: UUID) -> Call:
    if function == "reschedule_session":
        return moving(session_id, "18:00")
    if function == "a direct cancellation":
        return writing("update sessions set status = 'cancelled', updated_at = now() where id = %s", session_id)
    return calling(function, session_id=session_id)


def setting(therapist: UUID | None, **settings: Any) -> Call:
    return calling("set_policy", settings=Jsonb(settings), therapist_id=therapist)


# The functions in which a booking picks its lot: in the quick way, and rule by rule.
PICKING = ["book_quickly", "take_credit"]


@contextmanager
def slow_pick(world: World, function: str, therapist: UUID) -> Iterator[None]:
    """Make the moment between a lot's look-up and its lock long: the function sleeps there.

    Nothing sleeps in the quick way where the rules decide one by one, as they do under a limit.
    """
    if function == "take_credit":
        world.run("select set_policy(%s, %s)", Jsonb({"maximum_open_sessions": 999}), therapist)
    definition = world.scalar(f"select pg_get_functiondef('bookingdb.{function}'::regproc)")
    look = "        limit 1\n    ) as f\n"
    assert definition.count(look) == 1
    slow = definition.replace(look, "        limit 1 offset (select 0 from pg_sleep(0.4))\n    ) as f\n")
    world.connection.execute(slow.encode())
    try:
        yield
    finally:
        world.connection.execute(definition.encode())
