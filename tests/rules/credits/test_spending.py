"""Which credit a booking takes, and who else may take one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support import Connection, World, book, run, scalar
from tests.support.hosts import Host
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import (
    DAY,
    LATER,
    at,
    call,
    require_sound,
)
from tests.support.refusals import nothing_written, outcome, refused


def test_lot_that_expires_soonest_is_spent_first(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    lots = {
        "never, old": (None, 9), "never, new": (None, 1), "late": (20, 5), "soon, old": (10, 3), "soon, new": (10, 2),
    }  # fmt: skip
    ids = {}
    for name, (days, age) in lots.items():
        ids[name] = world.scalar(
            "insert into user_credits (user_id, credits_balance, credits_purchased, expires_at, created_at)"
            " values (%s, 1, 1, date_trunc('day', now()) + make_interval(days => %s),"
            "   now() - make_interval(days => %s)) returning id",
            client, days, age,
        )  # fmt: skip
    twins = sorted(
        row[0] for row in world.run(
            "insert into user_credits (user_id, credits_balance, credits_purchased, created_at)"
            " select %s, 1, 1, now() - interval '1 hour' from generate_series(1, 4) returning id", client,
        )
    )  # fmt: skip

    for number in range(9):
        world.book(client, therapist, f"{8 + number:02}:00")

    spent = [row[0] for row in world.run("select lot_id from bookingdb.ledger where kind = 'debit' order by id")]
    assert spent == [ids[n] for n in ("soon, old", "soon, new", "late", "never, old", "never, new")] + twins
    assert world.violations() == []


def test_a_lot_is_spent_until_it_expires_and_not_after(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    soon = "clock_timestamp() + interval '1 second'"
    world.run(f"select * from grant_credits(%s, 5, p_expires_at => {soon})", client)
    world.book(client, therapist, "10:00")

    world.run("select pg_sleep(1.05)")

    assert world.balance(client) == 0
    with refused("insufficient_credits"):
        world.book(client, therapist, "12:00")


def test_one_booking_takes_one_credit_from_one_of_three_lots(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for _ in range(3):
        world.run("select * from grant_credits(%s, 5)", client)

    booked = world.book(client, therapist)

    assert sorted(world.run("select credits_balance, credits_used from user_credits")) == [(4, 1), (5, 0), (5, 0)]
    assert booked["credits_balance"] == 14
    assert world.scalar("select count(*) from bookingdb.ledger where kind = 'debit'") == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        "status = 'refunded'", "status = 'expired'", "status = 'revoked'", "user_type = 'therapist'",
        "user_type = 'trial'", "expires_at = now()", "expires_at = now() - interval '1 day'",
        "expires_at = '-infinity'", "credits_balance = 0",
    ],
)  # fmt: skip
def test_a_refunded_expired_or_foreign_credit_is_never_spent(world: World, spoilt: str) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    world.run(f"update user_credits set {spoilt}")

    with nothing_written(world), refused("insufficient_credits"):
        world.book(client, therapist)

    assert world.balance(client) == 0
    # One that is sound is spent, whatever lies before it.
    world.run("select * from grant_credits(%s, 1)", client)
    assert world.book(client, therapist)["credits_balance"] == 0
    assert world.violations() == []


@pytest.mark.parametrize("spoilt", ["status = 'refunded'", "credits_balance = 0", "expires_at = now()"])
def test_credit_refunded_during_the_wait_is_not_spent(world: World, spoilt: str) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    with holding(world) as refunding, session_of(world) as connection:
        refunding.execute(f"update user_credits set {spoilt}".encode())
        answer = waiting(world, partial(book, client=client, therapist=therapist), connection)
        refunding.execute("commit")

        with refused("insufficient_credits"):
            answer.result()
    assert world.count("sessions") == 0
    assert world.violations() == []


@pytest.mark.parametrize("lock_timeout", ["0", "700ms", "1h"])
def test_wait_is_busy_before_the_statement_times_out(world: World, lock_timeout: str) -> None:
    """As on Supabase, where both timeouts are equal; and the caller's own lock_timeout is what it was."""
    client, therapist = world.client(credits=1), world.therapist()
    waits: dict[str, Callable[[Connection], Any]] = {
        "select id from user_credits for update": lambda connection: book(connection, client, therapist),
        f"select id from users where id = '{therapist}' for update": lambda connection: run(
            connection, "select set_therapist_active(%s, false)", therapist
        ),
        f"select lock_for_booking(array['{client}']::uuid[])": lambda connection: run(
            connection, "select * from grant_credits(%s, 1)", client
        ),
        "insert into users (email) values ('new@example.com')": lambda connection: run(
            connection, "select register_client('new@example.com')"
        ),
    }
    for held, waiter in waits.items():
        with session_of(world) as holder, session_of(world) as caller, holder.transaction(force_rollback=True):
            run(holder, held)
            run(caller, f"set statement_timeout = '700ms'; set lock_timeout = '{lock_timeout}'")
            with caller.transaction(force_rollback=True), nothing_written(world), refused("busy"):
                waiter(caller)
            assert scalar(caller, "show lock_timeout") == lock_timeout

        with session_of(world) as holder, session_of(world) as caller, caller.transaction(force_rollback=True):
            run(caller, f"set statement_timeout = '20s'; set lock_timeout = '{lock_timeout}'")
            run(holder, "begin")
            run(holder, held)
            answer = waiting(world, waiter, caller)
            run(holder, "rollback")
            answer.result()
            assert scalar(caller, "show lock_timeout") == lock_timeout


def test_nobody_without_rights_updates_a_balance(hosted_world: World, host: Host) -> None:
    client = hosted_world.client(credits=1)
    roles = ["stranger", "app_servers", "app_server"]
    if host.is_supabase:
        roles += ["anon", "authenticated", "authenticator"]
    for role in roles:
        with session_of(hosted_world, user=hosted_world.superuser) as connection:
            connection.execute(f"set role {role}".encode())
            for statement in (
                "update user_credits set credits_balance = 100",
                "update user_credits set user_id = gen_random_uuid()",
                "insert into user_credits (user_id, credits_balance) values (gen_random_uuid(), 100)",
                "delete from user_credits",
                "truncate user_credits",
                "insert into bookingdb.ledger (user_id, lot_id, kind, amount, balance_after, actor)"
                " values (gen_random_uuid(), gen_random_uuid(), 'direct', 1, 1, 'me')",
                "delete from bookingdb.ledger",
            ):
                assert outcome(partial(connection.execute, statement.encode())) == "42501", (role, statement)

    assert hosted_world.balance(client) == 1
    assert hosted_world.violations() == []


def test_an_owner_who_updates_a_balance_leaves_an_entry(world: World) -> None:
    client = world.client(credits=1)

    world.run("update user_credits set credits_balance = 100")

    assert world.run("select kind, amount, balance_after, user_id, actor from bookingdb.ledger order by id") == [
        ("grant", 1, 1, client, "owner"),
        ("direct", 99, 100, client, "owner"),
    ]
    assert world.violations() == []


def test_no_logged_in_user_spends_anothers_credits(supabase_world: World) -> None:
    therapist, victim, thief = supabase_world.therapist(), supabase_world.client(credits=5), supabase_world.client()
    with supabase_world.connect(user="authenticator") as connection:
        connection.execute("set role authenticated")
        claims = f'{{"sub": "{thief}"}}'
        connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])

        with nothing_written(supabase_world):
            with refused("not_allowed"):
                book(connection, victim, therapist)
            with refused("insufficient_credits"):
                book(connection, thief, therapist)

    assert supabase_world.balance(victim) == 5


def test_credits_are_spent_in_the_promised_order(world: World) -> None:
    """By priority, then the soonest to expire, then promotional before paid, then the oldest."""
    client, therapist = world.client(), world.therapist()
    soon, late = at(0, LATER), at(0, LATER + 90 * DAY)
    order = [
        (90, late, "promotional"), (50, None, "paid"), (50, None, "paid"), (50, None, "promotional"),
        (50, late, "paid"), (50, late, "promotional"), (50, soon, "paid"), (10, None, "paid"),
    ]  # fmt: skip
    lots = [
        call(
            world.connection, "grant_credits",
            user_id=client, amount=1, priority=priority, expires_at=expires_at, category=category,
        )["lot_id"]
        for priority, expires_at, category in order
    ]  # fmt: skip
    for hour in range(len(lots)):
        world.book(client, therapist, f"{hour:02}:00")

    spent = [lot for (lot,) in world.run("select lot_id from bookingdb.ledger where kind = 'debit' order by id")]
    assert spent == [lots[number] for number in (7, 6, 5, 4, 3, 1, 2, 0)]
    require_sound(world)
