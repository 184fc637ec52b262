"""Python acts as a user: what the server may do for anyone, it does for the user alone, on every kind of connection."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import psycopg_pool
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from bookingdb import (
    AsyncBookings,
    BookingConflict,
    BookingError,
    BookingFailed,
    Bookings,
    InvalidUserId,
    NotAllowed,
    NotAuthenticated,
    calls,
)
from bookingdb.acting import Acting, all_acting_as
from tests.support import TOMORROW, World, run, scalar
from tests.support.clients import CALLERS, OURS, opened, result_of, sqlalchemy_url
from tests.support.interleaving import waiting
from tests.support.life import at, close_window

ACTING = "select coalesce(current_setting('bookingdb.acting_as', true), '')"


@dataclass
class Practice:
    """Two clients with credits, and sessions of the first that can no longer be cancelled free of charge."""

    ada: UUID
    bob: UUID
    grace: UUID
    late: list[UUID]


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


@pytest.fixture
def practice(world: World) -> Practice:
    ada, bob, grace = world.client(credits=9), world.client(credits=9), world.therapist()
    late = [world.book(ada, grace, f"{hour}:00")["id"] for hour in (8, 9, 10)]
    for session in late:
        close_window(world.connection, session)
    return Practice(ada, bob, grace, late)


def actors(world: World) -> set[str]:
    """Who did what, beside the owner."""
    return {actor for (actor,) in world.run("select distinct actor from booking_audit_log")} - {world.owner}


def booking(practice: Practice, client: UUID, hour: int) -> dict[str, Any]:
    return {"user_id": client, "therapist_id": practice.grace, "starts_at": at(hour)}


# ----------------------------------------------------------------------------------------------------------------------
# Every kind of connection
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OURS + CALLERS)
async def test_every_kind_of_connection_acts_as_a_user(world: World, practice: Practice, kind: str) -> None:
    ada, bob = practice.ada, practice.bob
    async with opened(world, kind) as database:
        bookings = database.bookings
        with bookings.acting_as(ada) as as_ada:
            kept = await result_of(as_ada.cancel_session(practice.late[0], idempotency_key="k"))
            # The answer to the same key is the same, in the block by the client itself, too.
            assert await result_of(bookings.cancel_session(practice.late[0], idempotency_key="k")) == kept
            assert await result_of(bookings.get_credit_balance(ada)) == 6
            assert await result_of(bookings.get_weekly_hours(practice.grace)) == []
            assert len(await result_of(bookings.list_sessions())) == 3
            session = await result_of(bookings.book_session(**booking(practice, ada, 12), notes="100 % %(sure)s"))
        assert (kept.refunded, session.description, session.credits_balance) == (False, "100 % %(sure)s", 5)
        # Nothing of it is left.
        refunded = await result_of(bookings.cancel_session(practice.late[1]))
        assert refunded.refunded is True
        await result_of(bookings.grant_credits(bob, 1))
        assert await result_of(bookings.get_credit_balance(bob)) == 10
        # An object that always acts as somebody.
        as_bob = type(bookings)(bookings._db, acting_as=str(bob))
        assert await result_of(as_bob.list_sessions()) == []
        assert await result_of(as_bob.get_credit_history(bob, limit=1))
        await result_of(database.commit())
        with pytest.raises(NotAllowed):
            await result_of(as_bob.cancel_session(practice.late[2]))
        await result_of(database.rollback())
        if kind.endswith("in a block"):
            await result_of(bookings._db.execute("begin"))
        with pytest.raises(NotAllowed):
            await result_of(as_bob.grant_credits(bob, 1))
        await result_of(database.rollback())
        assert await result_of(bookings.get_credit_balance(bob)) == 10
    assert actors(world) == {str(ada)}
    assert world.violations() == []


@pytest.mark.parametrize(
    "kind", ["connection", "sqlalchemy connection on psycopg2", "async sqlalchemy session on asyncpg"]
)
async def test_transaction_of_the_caller_acts_as_before(world: World, practice: Practice, kind: str) -> None:
    """As nobody, or as the user, whom it goes on to act as; and as nobody else."""
    ada, bob = practice.ada, practice.bob
    async with opened(world, kind) as database:
        bookings = database.bookings
        as_ada = type(bookings)(bookings._db, acting_as=ada)
        assert await result_of(as_ada.get_credit_balance(ada)) == 6
        assert await result_of(bookings.get_credit_balance(bob)) == 9
        await result_of(bookings.act_as(ada))
        assert await result_of(as_ada.get_credit_balance(ada)) == 6
        assert await result_of(bookings.get_credit_balance(ada)) == 6
        with pytest.raises(NotAllowed):
            await result_of(bookings.get_credit_balance(bob))
        await result_of(database.rollback())
        await result_of(bookings.act_as(bob))
        with pytest.raises(NotAllowed):
            await result_of(as_ada.get_credit_balance(ada))
        await result_of(database.rollback())
        assert await result_of(bookings.get_credit_balance(ada)) == 6


@pytest.mark.parametrize("refusal", ["the database's", "a reading's"])
def test_savepoint_restores_who_acts_after_an_error(world: World, practice: Practice, refusal: str) -> None:
    with psycopg.connect(world.url) as connection:
        bookings = Bookings(connection)
        for before in (None, practice.ada):
            if before:
                bookings.act_as(before)
            ignored = suppress(BookingError, ZeroDivisionError)
            with bookings.acting_as(practice.ada), ignored, connection.transaction():
                if refusal == "the database's":
                    bookings.grant_credits(practice.ada, 1)
                else:
                    bookings._run(calls.Call("select 1", {}, lambda rows: 1 // 0))
            assert scalar(connection, ACTING) == str(before or "")
            if not before:
                bookings.grant_credits(practice.ada, 1)


def test_pipeline_of_the_caller_acts_as_a_user(world: World, practice: Practice) -> None:
    for autocommit in (True, False):
        with psycopg.connect(world.url, autocommit=autocommit) as connection:
            bookings = Bookings(connection)
            with connection.pipeline(), bookings.acting_as(practice.ada) as as_ada:
                before = connection.execute(ACTING)
                assert as_ada.get_credit_balance(practice.ada) == 6
                after = connection.execute(ACTING)
                assert before.fetchall() == after.fetchall() == [("",)]
            with pytest.raises(NotAllowed), connection.pipeline():
                as_ada.grant_credits(practice.bob, 1)
            connection.rollback()
            bookings.grant_credits(practice.bob, 1)
            connection.rollback()


async def test_autocommit_of_sqlalchemy_acts_as_a_user(world: World, practice: Practice) -> None:
    """Each statement is a transaction there, in which a setting of a statement before would be lost."""
    engine = sqlalchemy.create_engine(sqlalchemy_url(world, "psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        with pytest.raises(NotAllowed):
            Bookings(connection, acting_as=practice.bob).cancel_session(practice.late[0])
        assert Bookings(connection, acting_as=practice.ada).cancel_session(practice.late[0]).refunded is False
        assert Bookings(connection).cancel_session(practice.late[1]).refunded is True
        # What is to hold for a transaction finds none.
        with pytest.raises(RuntimeError, match="transaction of yours"):
            Bookings(connection).act_as(practice.ada)
    engine.dispose()
    aengine = create_async_engine(sqlalchemy_url(world, "asyncpg"), isolation_level="AUTOCOMMIT")
    async with aengine.connect() as aconnection:
        assert (
            await AsyncBookings(aconnection, acting_as=practice.ada).cancel_session(practice.late[2])
        ).refunded is False
        with pytest.raises(RuntimeError, match="transaction of yours"):
            await AsyncBookings(aconnection).act_as(practice.ada)
    await aengine.dispose()


def test_act_as_holds_for_the_rest_of_a_transaction(world: World, practice: Practice) -> None:
    with psycopg.connect(world.url, autocommit=True) as connection:
        bookings = Bookings(connection)
        with pytest.raises(RuntimeError):
            bookings.act_as(practice.ada)
        with connection.transaction():
            bookings.act_as(practice.ada)
            run(connection, "update sessions set title = 'Mine' where id = %s", practice.late[0])
            assert bookings.cancel_session(practice.late[0]).refunded is False
        assert bookings.cancel_session(practice.late[1]).refunded is True
    assert actors(world) == {str(practice.ada)}


def test_row_security_binds_the_list_of_whoever_owns_it(world: World, practice: Practice) -> None:
    world.book(practice.bob, practice.grace, "20:00")
    for user in (world.owner, world.superuser):
        bookings = Bookings(psycopg.conninfo.make_conninfo(world.url, user=user))
        assert len(bookings.list_sessions()) == 4
        for person, sessions in ((practice.ada, 3), (practice.bob, 1), (practice.grace, 4), (uuid4(), 0)):
            with bookings.acting_as(person):
                assert len(bookings.list_sessions(limit=10)) == sessions
                # A therapist sees those with her; nobody else may ask for another's.
                if person in (practice.bob, practice.grace):
                    assert len(bookings.list_sessions(user_id=practice.bob)) == 1
                else:
                    with pytest.raises(NotAllowed):
                        bookings.list_sessions(user_id=practice.bob)


# ----------------------------------------------------------------------------------------------------------------------
# Who acts
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, "", "ada", "00000000-0000-4000-8000-00000000000", 7, b"x", True])
def test_user_who_acts_is_named_by_a_uuid(user: Any) -> None:
    """None as well: a user id that is missing by mistake is nobody's, and not the server's."""
    clients: tuple[type[Bookings], type[AsyncBookings]] = (Bookings, AsyncBookings)
    for client in clients:
        with pytest.raises(InvalidUserId):
            client("service=none", acting_as=user)
        with pytest.raises(InvalidUserId):
            client("service=none").acting_as(user)


def test_blocks_count_for_their_client_and_end(world: World, practice: Practice) -> None:
    bookings = Bookings(world.url)
    always_bob = Bookings(world.url, acting_as=practice.bob)

    def seen(client: Bookings) -> set[str]:
        allowed = set()
        for name, person in (("ada", practice.ada), ("bob", practice.bob)):
            with suppress(NotAllowed):
                client.get_credit_balance(person)
                allowed.add(name)
        return allowed

    assert (seen(bookings), seen(always_bob)) == ({"ada", "bob"}, {"bob"})
    with bookings.acting_as(practice.ada) as as_ada:
        assert (seen(bookings), seen(as_ada), seen(always_bob)) == ({"ada"}, {"ada"}, {"bob"})
        with bookings.acting_as(practice.ada), suppress(ValueError), as_ada.acting_as(practice.ada):
            assert (seen(bookings), seen(as_ada)) == ({"ada"}, {"ada"})
            raise ValueError
        assert (seen(bookings), seen(as_ada)) == ({"ada"}, {"ada"})
    assert (seen(bookings), seen(as_ada), seen(always_bob)) == ({"ada", "bob"}, {"ada"}, {"bob"})
    with all_acting_as(practice.ada):
        assert (seen(bookings), seen(Bookings(world.url)), seen(always_bob)) == ({"ada"}, {"ada"}, {"bob"})
    assert seen(bookings) == {"ada", "bob"}


def test_one_who_acts_as_a_user_acts_as_nobody_else(world: World, practice: Practice) -> None:
    def refused(block: Acting[Any]) -> None:
        with pytest.raises(NotAllowed) as info, block:
            pass
        assert info.value.detail["user_id"] == str(practice.bob)

    bookings = Bookings(world.url)
    refused(Bookings(world.url, acting_as=practice.ada).acting_as(practice.bob))
    refused(AsyncBookings(world.url, acting_as=practice.ada).acting_as(practice.bob))
    with bookings.acting_as(practice.ada) as as_ada:
        refused(bookings.acting_as(practice.bob))
        refused(as_ada.acting_as(practice.bob))
    refused(as_ada.acting_as(practice.bob))
    with all_acting_as(practice.ada):
        refused(all_acting_as(practice.bob))
    with bookings.acting_as(practice.bob) as as_bob:
        assert as_bob.get_credit_balance(practice.bob) == 9


def test_transaction_that_acts_as_a_user_calls_as_nobody_else(world: World, practice: Practice) -> None:
    with psycopg.connect(world.url) as connection:
        Bookings(connection).act_as(practice.ada)
        with pytest.raises(NotAllowed) as info:
            Bookings(connection, acting_as=practice.bob).get_credit_balance(practice.bob)
        assert info.value.detail == {"code": "not_allowed", "user_id": str(practice.bob)}
        # Whatever a UUID is written like, it is the same user.
        run(connection, "select set_config('bookingdb.acting_as', upper(%s), true)", str(practice.ada))
        assert Bookings(connection, acting_as=practice.ada).get_credit_balance(practice.ada) == 6
        with pytest.raises(NotAllowed):
            Bookings(connection).get_credit_balance(practice.bob)
        connection.rollback()
        assert Bookings(connection, acting_as=practice.bob).get_credit_balance(practice.bob) == 9


def test_block_may_end_in_another_context(world: World, practice: Practice) -> None:
    """As web frameworks run the two halves of a dependency that yields."""
    bookings = Bookings(world.url)
    block = bookings.acting_as(practice.ada)
    as_ada = contextvars.copy_context().run(block.__enter__)
    with pytest.raises(NotAllowed):
        as_ada.get_credit_balance(practice.bob)
    assert bookings.get_credit_balance(practice.bob) == 9
    block.__exit__(None, None, None)
    # One block in two contexts ends in each by itself.
    with block:
        contextvars.copy_context().run(block.__exit__, None, None, None)
        with pytest.raises(NotAllowed):
            bookings.get_credit_balance(practice.bob)
    assert bookings.get_credit_balance(practice.bob) == 9


async def test_task_acts_as_whoever_began_it(world: World, practice: Practice) -> None:
    """Though it goes on when the block is over; and what the block yields acts as the user wherever it is awaited."""
    bookings = AsyncBookings(world.url)
    async with bookings.acting_as(practice.ada) as as_ada:
        task = asyncio.create_task(begun(bookings, practice.bob))
    before = asyncio.create_task(begun(bookings, practice.bob))
    with bookings.acting_as(practice.ada):
        assert await before == 9
    for later in (task, as_ada.get_credit_balance(practice.bob)):
        with pytest.raises(NotAllowed):
            await later


async def begun(bookings: AsyncBookings, person: UUID) -> int:
    await asyncio.sleep(0.01)
    return await bookings.get_credit_balance(person)


# ----------------------------------------------------------------------------------------------------------------------
# Side by side
# ----------------------------------------------------------------------------------------------------------------------


def test_threads_side_by_side_act_each_as_their_own(world: World) -> None:
    clients, therapists = [world.client(credits=9) for _ in range(8)], [world.therapist() for _ in range(8)]
    with psycopg_pool.ConnectionPool(world.url, min_size=3, max_size=3) as pool:
        bookings = Bookings(pool)
        together = threading.Barrier(9)

        def work(client: UUID, therapist: UUID) -> int:
            together.wait(10)
            wrong = 0
            with bookings.acting_as(client):
                for number in range(6):
                    bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at(number))
                    with suppress(NotAllowed):
                        bookings.get_credit_balance(clients[clients.index(client) - 1])
                        wrong += 1
            return wrong

        with ThreadPoolExecutor(8) as threads:
            working = [threads.submit(work, *pair) for pair in zip(clients, therapists, strict=True)]
            together.wait(10)
            # Beside them the server goes on as itself.
            while not all(future.done() for future in working):
                bookings.grant_credits(clients[0], 1)
            assert [future.result() for future in working] == [0] * 8
    assert actors(world) == set(map(str, clients))
    assert world.scalar("select count(*) from booking_audit_log as a join sessions as s on s.id = a.session_id"
                        " where a.actor = s.user_id::text") == 48  # fmt: skip
    assert world.violations() == []


@pytest.mark.parametrize("what", ["a pool", "one connection", "one transaction"])
async def test_tasks_side_by_side_act_each_as_their_own(world: World, what: str) -> None:
    clients, therapists = [world.client(credits=9) for _ in range(8)], [world.therapist() for _ in range(8)]
    lender: Any = (
        psycopg_pool.AsyncConnectionPool(world.url, min_size=3, max_size=3, open=False)
        if what == "a pool"
        else await psycopg.AsyncConnection.connect(world.url, autocommit=what == "one connection")
    )
    async with lender as db:
        bookings = AsyncBookings(db)

        async def work(client: UUID, therapist: UUID) -> int:
            wrong = 0
            with bookings.acting_as(client):
                for number in range(6):
                    await bookings.book_session(user_id=client, therapist_id=therapist, starts_at=at(number))
                    # Refused calls would end the one transaction.
                    listed = await bookings.list_sessions(limit=50)
                    wrong += sum(session.user_id != client for session in listed) + (len(listed) != number + 1)
            return wrong

        async def serve() -> int:
            for _ in range(30):
                await bookings.grant_credits(clients[0], 1)
            return 0

        found = await asyncio.gather(*(work(*pair) for pair in zip(clients, therapists, strict=True)), serve())
        assert set(found) == {0}
    assert actors(world) == set(map(str, clients))
    assert world.scalar("select count(*) from booking_audit_log as a join sessions as s on s.id = a.session_id"
                        " where a.actor = s.user_id::text") == 48  # fmt: skip
    assert world.scalar("select count(distinct actor) from bookingdb.ledger where kind = 'grant'") == 1
    assert world.violations() == []


async def test_cancelled_task_leaves_nothing_of_its_user(world: World, practice: Practice) -> None:
    """While its call waits for a lock, on a connection that others go on with."""
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as connection:
        bookings = AsyncBookings(connection)
        with world.connect() as holder, bookings.acting_as(practice.ada):
            run(holder, "begin")
            run(holder, "select lock_for_booking(array[%s]::uuid[])", practice.ada)
            task = asyncio.create_task(bookings.book_session(**booking(practice, practice.ada, 15)))
            while not world.run(
                "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
                connection.info.backend_pid,
            ):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await (await connection.execute(ACTING)).fetchall() == [("",)]
        assert await bookings.get_credit_balance(practice.bob) == 9
    assert world.violations() == []


def test_winner_of_a_race_is_one_of_two_actors(world: World, practice: Practice) -> None:
    """The loser waits for the lock, and is refused as itself."""
    with world.connect() as holder, world.connect() as connection:
        run(holder, "begin")
        Bookings(holder, acting_as=practice.ada).book_session(**booking(practice, practice.ada, 16))
        as_bob = Bookings(connection, acting_as=practice.bob)
        loser = waiting(world, lambda _: as_bob.book_session(**booking(practice, practice.bob, 16)), connection)
        run(holder, "commit")
        with pytest.raises(BookingConflict):
            loser.result(10)
        assert scalar(connection, ACTING) == ""
    assert world.balance(practice.bob) == 9
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# The statement
# ----------------------------------------------------------------------------------------------------------------------


def every_call(practice: Practice) -> Iterator[calls.Call[Any]]:
    """Calls of each shape: a value, nothing, one row, many, none; with arguments and without; stable and volatile."""
    yield calls.get_credit_balance(practice.ada)
    yield calls.lock_for_booking([practice.ada])
    yield calls.expire_credits()
    yield calls.get_credit_history(practice.ada)
    yield calls.next_available_slot(practice.grace)
    yield calls.list_sessions()
    yield calls.list_available_slots(practice.grace, TOMORROW, TOMORROW)
    yield calls.book_session(**booking(practice, practice.ada, 17))


def test_plan_sets_who_acts_before_the_call_and_restores_after(world: World, practice: Practice) -> None:
    """The plan's parts are nested so on every version of Postgres, for callers with row security and without."""
    for call in every_call(practice):
        acting = call.acting_as(practice.ada)
        explain = f"explain (verbose, costs off) {acting.statement}"
        plan = "\n".join(line for (line,) in world.connection.execute(explain.encode(), acting.parameters))
        setting, _, rest = plan.partition("CTE judged")
        judging, _, made = rest.partition("WindowAgg")
        # Restored, which is an output of the whole; and set, by what reads who acted before.
        assert plan.startswith("Nested Loop Left Join\n  Output: j.is_judged, (count(*)")
        assert setting.count("set_config") == 2
        assert "set_config" in setting.partition("CTE before")[2].partition("CTE Scan on before")[2]
        assert "caller_is_trusted" in judging.partition("CTE Scan on acting")[2]
        # The call is below the filter, and below what needs all of its rows.
        assert "One-Time Filter: j.is_judged" in made
        assert "set_config" not in judging + made


def test_database_that_was_not_upgraded_makes_no_call(world: World, practice: Practice) -> None:
    """It knows nothing of the setting, and would do for the server what it is asked for the user."""
    before = world.scalar("select pg_get_functiondef('bookingdb.caller_is_trusted'::regproc)")
    head, _, body = before.partition("begin\n")
    _, end, rest = body.partition("end;\n")
    world.run(f"{head}begin return bookingdb.role_is_trusted(bookingdb.effective_role()); {end}{rest}")
    try:
        as_ada = Bookings(world.url, acting_as=practice.ada)
        with pytest.raises(BookingFailed, match="bookingdb migrate"):
            as_ada.cancel_session(practice.late[0])
        with pytest.raises(BookingFailed, match="bookingdb migrate"):
            as_ada.list_sessions()
    finally:
        world.run(before)
    assert actors(world) == set()
    assert as_ada.cancel_session(practice.late[0]).refunded is False


def test_role_that_is_not_trusted_acts_as_nobody(world: World, practice: Practice) -> None:
    function = "function public.get_credit_balance(uuid), bookingdb.get_credit_balance(uuid),"
    asked = "bookingdb.caller_is_trusted(), bookingdb.actor_id()"
    world.run(f"grant execute on {function} {asked} to stranger")
    world.run("grant usage on schema bookingdb to stranger")
    try:
        stranger = Bookings(psycopg.conninfo.make_conninfo(world.url, user="stranger"), acting_as=practice.ada)
        with pytest.raises(NotAuthenticated):
            stranger.get_credit_balance(practice.ada)
    finally:
        world.run(f"revoke execute on {function} {asked} from stranger")
        world.run("revoke usage on schema bookingdb from stranger")


def test_block_that_another_thread_ends_is_over(world: World, practice: Practice) -> None:
    """A generator that is closed elsewhere; what was begun in its block still acts as the user."""
    bookings = Bookings(world.url)

    def acting() -> Generator[None, None, None]:
        with bookings.acting_as(practice.ada):
            yield

    generator = acting()
    next(generator)
    begun_inside = contextvars.copy_context()
    with pytest.raises(NotAllowed):
        bookings.get_credit_balance(practice.bob)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(generator.close).result()
        assert bookings.get_credit_balance(practice.bob) == 9
        with pytest.raises(NotAllowed):
            threads.submit(begun_inside.run, bookings.get_credit_balance, practice.bob).result()
