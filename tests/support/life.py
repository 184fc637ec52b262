"""The life of a session in tests: every function by its parameters' names, and clocks that are turned by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, run

LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LONG_FROM_NOW = dt.datetime(2900, 1, 1, tzinfo=dt.UTC)


def rows(connection: Connection, function: str, /, **parameters: Any) -> list[DictRow]:
    """Call a public function; parameters are named without their p_."""
    arguments = ", ".join(f"p_{name} => %({name})s" for name in parameters)
    statement = f"select * from public.{function}({arguments})"
    return connection.cursor(row_factory=dict_row).execute(statement.encode(), parameters).fetchall()


def call(connection: Connection, function: str, /, **parameters: Any) -> DictRow:
    """Call a public function that answers with one row."""
    (answer,) = rows(connection, function, **parameters)
    return answer


# ----------------------------------------------------------------------------------------------------------------------
# Time, written by the owner where waiting for it would take too long
# ----------------------------------------------------------------------------------------------------------------------


def expire_lot(connection: Connection, lot_id: UUID) -> None:
    past = "set expires_at = clock_timestamp() - interval '1 second'"
    run(connection, f"update user_credits {past} where id = %s", lot_id)


def expire_hold(connection: Connection, hold_id: UUID) -> None:
    past = "set expires_at = clock_timestamp() - interval '1 second' where id = %s"
    run(connection, f"update bookingdb.calendar {past} and kind = 'hold'", hold_id)
    run(connection, f"update bookingdb.holds {past}", hold_id)


def close_window(connection: Connection, session_id: UUID) -> None:
    """Let the time in which the client cancels free of charge be over."""
    run(
        connection,
        "update sessions set free_cancellation_until = clock_timestamp() - interval '1 second' where id = %s",
        session_id,
    )


def begin(connection: Connection, session_id: UUID, minutes: int = 5) -> None:
    """Let a session have begun this many minutes ago."""
    run(
        connection,
        "update sessions set start_time = n.start_time, end_time = n.start_time + (end_time - sessions.start_time),"
        " free_cancellation_until = n.start_time - interval '24 hours'"
        " from (select date_trunc('minute', clock_timestamp()) - make_interval(mins => %s) as start_time) as n"
        " where id = %s",
        minutes,
        session_id,
    )


def request_session(
    connection: Connection, client: UUID | None, therapist: UUID, starts_at: dt.datetime, minutes: int = 60
) -> UUID:
    """Write a session that waits for approval, as an application does."""
    ((session_id,),) = run(
        connection,
        "insert into sessions (user_id, therapist_id, start_time, end_time, duration_minutes, status)"
        " values (%s, %s, %s, %s, %s, 'pending_approval') returning id",
        client,
        therapist,
        starts_at,
        starts_at + dt.timedelta(minutes=minutes),
        minutes,
    )
    assert isinstance(session_id, UUID)
    return session_id


# ----------------------------------------------------------------------------------------------------------------------
# Money
# ----------------------------------------------------------------------------------------------------------------------


def statement(
    connection: Connection, client: UUID, start: dt.datetime = LONG_AGO, end: dt.datetime = LONG_FROM_NOW
) -> list[DictRow]:
    """A client's statement, of everything that ever was when no period is given."""
    return rows(connection, "get_credit_statement", user_id=client, **{"from": start, "to": end})


def require_sound_statement(world: World, client: UUID) -> list[DictRow]:
    """Hold that a client's statement adds up: line by line, to what is in the lots, and cut in two anywhere."""
    lines = statement(world.connection, client)
    opening, *entries, closing = lines
    assert (opening["kind"], opening["balance"], closing["kind"]) == ("opening", 0, "closing")
    balance = 0
    for entry in entries:
        balance += entry["amount"]
        assert entry["balance"] == balance
    assert closing["balance"] == balance
    in_lots = "select coalesce(sum(credits_balance), 0) from user_credits where user_id = %s"
    assert balance == world.scalar(in_lots, client)
    if entries:
        middle = entries[len(entries) // 2]["created_at"]
        before = statement(world.connection, client, LONG_AGO, middle)
        after = statement(world.connection, client, middle, LONG_FROM_NOW)
        assert before[-1]["balance"] == after[0]["balance"]
        assert [line["entry_id"] for line in before[1:-1] + after[1:-1]] == [line["entry_id"] for line in entries]
    return entries


# Entries of the ledger that no event tells of, and events that tell of no entry. What was booked is told by the
# session's event, what was written directly or there before by none.
UNTOLD = """
    with entries as (
        select l.lot_id, l.user_id, l.session_id, replace(l.kind, 'goodwill', 'refund'), l.amount
        from bookingdb.ledger as l where l.kind not in ('debit', 'direct', 'opening')
    ),
    events as (
        select o.subject_id, (o.payload ->> 'user_id')::uuid, (o.payload ->> 'session_id')::uuid,
            case o.event
                when 'credits.granted' then 'grant' when 'credits.refunded' then 'refund'
                when 'credits.expired' then 'expiry' when 'credits.adjusted' then 'adjustment'
                when 'credits.revoked' then 'revocation' when 'credits.reinstated' then 'reinstatement'
                when 'credits.transferred' then 'transfer'
                when 'credits.extended' then 'extension'
                when 'credits.frozen' then 'freeze' when 'credits.thawed' then 'thaw'
            end,
            (o.payload ->> 'amount')::integer
        from bookingdb.outbox as o where o.event like 'credits.%' and o.event <> 'credits.expiring'
    )
    (select * from entries except all select * from events)
    union all
    (select * from events except all select * from entries)
"""


def require_sound(world: World) -> None:
    """Hold that no invariant is violated, that everybody's statement adds up, and that the events tell the same."""
    assert world.violations() == []
    assert world.run(UNTOLD) == []
    for (client,) in world.run("select distinct user_id from bookingdb.ledger"):
        require_sound_statement(world, client)


YESTERDAY = dt.date.today() - dt.timedelta(days=2)
UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
# Days enough before a session for every window of these tests to be open.
LATER = TOMORROW + 10 * DAY


def at(hour: int, date: dt.date = TOMORROW) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(hour), dt.UTC)


def cancel(world: World, session_id: UUID) -> bool:
    return bool(call(world.connection, "cancel_session", session_id=session_id)["refunded"])


def lots_of(world: World, client: UUID) -> list[Any]:
    return world.run(
        "select credits_balance, status, grace_for_lot_id from user_credits where user_id = %s order by created_at, id",
        client,
    )


def book_series(connection: Connection, client: UUID, therapist: UUID, **options: Any) -> list[Any]:
    return rows(connection, "book_series", user_id=client, therapist_id=therapist, **options)


def move(world: World, session_id: UUID, time: Any, date: dt.date = TOMORROW, **options: Any) -> Any:
    return call(
        world.connection, "reschedule_session", session_id=session_id, session_date=date, session_time=time, **options
    )


def hold(world: World, client: UUID, therapist: UUID, time: str = "10:00", **options: Any) -> Any:
    return call(
        world.connection, "hold_slot",
        user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time=time, **options,
    )  # fmt: skip


def set_policy(world: World, therapist: UUID | None, **settings: Any) -> Any:
    return call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)
