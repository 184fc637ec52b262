"""Calls about a client read the rows that they need, however many others the client has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest

from tests.support import Connection, World, book, run, scalar
from tests.support.interleaving import holding
from tests.support.life import expire_lot, require_sound

MANY = 1000


def use_up(connection: Connection, client: UUID, number: int = MANY) -> None:
    """Write lots that were used up long ago, and are first in the order in which lots are spent."""
    run(
        connection,
        "insert into user_credits (user_id, credits_purchased, credits_used, priority, status)"
        " select %s, 1, 1, 0, 'used' from generate_series(1, %s)",
        client,
        number,
    )


def rows_read(connection: Connection, *tables: str) -> int:
    """Rows that this transaction has fetched of these tables, by whatever plan."""
    read = "select coalesce(sum(idx_tup_fetch + seq_tup_read), 0) from pg_stat_xact_user_tables where relname = any(%s)"
    return int(scalar(connection, read, list(tables)))


@contextmanager
def counted(world: World, *tables: str) -> Iterator[tuple[Connection, list[int]]]:
    """A transaction, and at its end the number of rows that it read of these tables."""
    counts: list[int] = []
    with holding(world) as connection:
        yield connection, counts
        counts.append(rows_read(connection, *tables))
        connection.execute("commit")


@pytest.mark.parametrize("statistics", ["fresh", "stale", "none"])
def test_booking_reads_no_used_lot(world: World, statistics: str) -> None:
    therapist, client, other = world.therapist(), world.client(credits=9), world.client(credits=9)
    if statistics == "stale":
        world.run("analyze user_credits")
    use_up(world.connection, client)
    if statistics == "fresh":
        world.run("analyze user_credits")
    read = []
    for hour, booker in ((8, other), (10, client)):
        with counted(world, "user_credits") as (connection, counts):
            booked = book(connection, booker, therapist, f"{hour:02}:00")
            run(connection, "select cancel_session(%s)", booked["id"])
            run(connection, "select get_credit_balance(%s)", booker)
        read += counts
    assert read[0] == read[1] < 30
    require_sound(world)


def test_spending_updates_a_lot_in_place_until_its_last_credit(world: World) -> None:
    client, therapist = world.client(credits=4), world.therapist()
    world.run("vacuum user_credits")
    updates = (
        "select pg_stat_get_xact_tuples_updated(c), pg_stat_get_xact_tuples_hot_updated(c)"
        " from (select 'user_credits'::regclass::oid as c) as t"
    )
    with holding(world) as connection:
        for hour in (8, 9, 10):
            booked = book(connection, client, therapist, f"{hour:02}:00")
        run(connection, "select cancel_session(%s)", booked["id"])
        run(connection, "update user_credits set credits_balance = credits_balance + 2")
        assert run(connection, updates) == [(5, 5)]
        for hour in (10, 11, 12, 13):
            book(connection, client, therapist, f"{hour:02}:00")
        assert run(connection, updates) == [(9, 8)]


def test_refund_after_an_expiry_reads_no_other_lot(world: World) -> None:
    client = world.client(credits=1)
    booked = world.book(client, world.therapist())
    lot = world.scalar("select id from user_credits")
    expire_lot(world.connection, lot)
    use_up(world.connection, client)
    with counted(world, "user_credits") as (connection, counts):
        run(connection, "select cancel_session(%s)", booked["id"])
        run(connection, "select revoke_grant(%s)", lot)
    assert world.balance(client) == 0
    assert counts[0] < 60


# A lot with an entry for each hour of some 400 days.
HOURLY = """
    insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor, created_at)
    select %(client)s, %(lot)s, 'adjustment', case when n %% 2 = 0 then 2 else -1 end, 1 + (n + 1) / 2 + 1 - n %% 2,
        'old books', date_trunc('day', now()) - make_interval(hours => 9999 - n)
    from generate_series(0, 9999) as n
"""


def hourly(world: World) -> UUID:
    """A client with ten thousand entries in one lot."""
    client, lot = world.client(), uuid4()
    with world.connect(user=world.superuser) as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute(HOURLY, {"client": client, "lot": lot})
        run(
            superuser,
            "insert into user_credits (id, user_id, credits_balance) select %s, %s, sum(amount) from bookingdb.ledger"
            " where user_id = %s",
            lot,
            client,
            client,
        )
    return client


@pytest.mark.parametrize("days_ago", [30, 390])
def test_statement_of_a_month_reads_about_a_month(world: World, days_ago: int) -> None:
    client = hourly(world)
    with counted(world, "ledger", "user_credits") as (connection, counts):
        lines = run(
            connection,
            "select kind, balance from get_credit_statement(%s, now() - make_interval(days => %s),"
            " now() - make_interval(days => %s))",
            client,
            days_ago,
            days_ago - 30,
        )
    plain = (
        "select sum(amount) from bookingdb.ledger where user_id = %s and created_at < now() - make_interval(days => %s)"
    )
    assert lines[0] == ("opening", world.scalar(plain, client, days_ago))
    assert lines[-1] == ("closing", world.scalar(plain, client, days_ago - 30))
    # The month twice: for its lines, and for the balance before them.
    assert 30 * 24 < counts[0] < 2.2 * 30 * 24 + 20


def test_page_of_the_history_reads_a_page(world: World) -> None:
    client = hourly(world)
    with counted(world, "ledger") as (connection, counts):
        page = run(connection, "select * from get_credit_history(%s, 50, now() - interval '300 days')", client)
    assert len(page) == 50
    assert counts[0] < 60
