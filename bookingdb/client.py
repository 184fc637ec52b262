"""The calls as methods: :class:`Bookings`, :class:`AsyncBookings`, and :func:`book_session`.

Each method is a builder of :mod:`bookingdb.calls` (see there for parameters and results), run by
:mod:`bookingdb.execution`, which says what `db` may be and whose the transaction is.
"""

import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args

from bookingdb import calls
from bookingdb.calls import Call
from bookingdb.execution import AsyncDatabase, Kind, SyncDatabase, Tries, execute, execute_async, kind_of

P = ParamSpec("P")
T = TypeVar("T")


def _documented(method: Callable[..., Any], build: Callable[..., Call[Any]], first: str) -> None:
    """Give a method the builder's name, documentation and signature, with the result instead of the Call."""
    functools.update_wrapper(method, build, assigned=("__name__", "__doc__"))
    signature = inspect.signature(build)
    (result,) = get_args(signature.return_annotation)
    parameters = [inspect.Parameter(first, inspect.Parameter.POSITIONAL_ONLY), *signature.parameters.values()]
    method.__annotations__ = {**build.__annotations__, "return": result}
    # mypy knows of no functions with a signature of their own; inspect.signature() does.
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]  # mypy knows no signature of functions
        parameters=parameters, return_annotation=result
    )


def _method(build: Callable[P, Call[T]]) -> Callable[Concatenate["Bookings", P], T]:
    def method(self: "Bookings", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(build(*args, **kwargs))

    _documented(method, build, "self")
    method.__qualname__ = f"Bookings.{build.__name__}"
    return method


def _async_method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate["AsyncBookings", P], Coroutine[Any, Any, T]]:
    async def method(self: "AsyncBookings", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(build(*args, **kwargs))

    _documented(method, build, "self")
    method.__qualname__ = f"AsyncBookings.{build.__name__}"
    return method


def _function(build: Callable[P, Call[T]]) -> Callable[Concatenate["SyncDatabase", P], T]:
    def function(db: "SyncDatabase", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return Bookings(db)._run(build(*args, **kwargs))

    _documented(function, build, "db")
    function.__qualname__ = build.__name__
    return function


class Bookings:
    """Everything bookingdb does, on a connection of yours or on one of its own.

    Args:
        db: a database URL, a psycopg connection, a psycopg_pool pool, or a SQLAlchemy Connection or Session.
            The caller's transactions stay the caller's; see :mod:`bookingdb.execution`.

    Raises:
        TypeError: `db` is something else.

    Example::

        with psycopg.connect(url) as connection:
            bookings = Bookings(connection)
            client = bookings.register_client("ada@example.com")
            bookings.grant_credits(client, 5, payment_reference="pi_3Nd2")
            # Committed here, both or neither.
    """

    def __init__(self, db: "SyncDatabase") -> None:
        """Remember `db`; nothing is connected or asked yet."""
        self._db: Any = db
        self._kind = kind_of(db, asynchronous=False)

    def _run(self, call: Call[T]) -> T:
        if self._kind is Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            self._db.flush()  # what the session has not written yet, the database would not find
        tries = Tries(self._kind, self._db, call)
        while True:
            try:
                rows = execute(self._kind, self._db, call, tries)
            except Exception as error:
                time.sleep(tries.next_pause(error))
            else:
                return call.read(rows)

    book_session = _method(calls.book_session)
    cancel_session = _method(calls.cancel_session)
    reschedule_session = _method(calls.reschedule_session)
    approve_session = _method(calls.approve_session)
    confirm_session = _method(calls.confirm_session)
    start_session = _method(calls.start_session)
    complete_session = _method(calls.complete_session)
    mark_no_show = _method(calls.mark_no_show)
    hold_slot = _method(calls.hold_slot)
    release_hold = _method(calls.release_hold)
    book_hold = _method(calls.book_hold)
    book_series = _method(calls.book_series)
    check_booking_conflict = _method(calls.check_booking_conflict)
    list_available_slots = _method(calls.list_available_slots)
    list_slot_states = _method(calls.list_slot_states)
    list_available_days = _method(calls.list_available_days)
    list_opening_hours = _method(calls.list_opening_hours)
    next_available_slot = _method(calls.next_available_slot)
    find_available_therapists = _method(calls.find_available_therapists)
    book_session_with_override = _method(calls.book_session_with_override)
    get_weekly_hours = _method(calls.get_weekly_hours)
    set_weekly_hours = _method(calls.set_weekly_hours)
    list_date_overrides = _method(calls.list_date_overrides)
    set_date_override = _method(calls.set_date_override)
    list_time_off = _method(calls.list_time_off)
    add_time_off = _method(calls.add_time_off)
    remove_time_off = _method(calls.remove_time_off)
    sync_external_busy = _method(calls.sync_external_busy)
    register_client = _method(calls.register_client)
    register_therapist = _method(calls.register_therapist)
    set_therapist_active = _method(calls.set_therapist_active)
    get_policy = _method(calls.get_policy)
    set_policy = _method(calls.set_policy)
    grant_credits = _method(calls.grant_credits)
    adjust_credits = _method(calls.adjust_credits)
    revoke_grant = _method(calls.revoke_grant)
    expire_credits = _method(calls.expire_credits)
    get_credit_balance = _method(calls.get_credit_balance)
    get_credit_history = _method(calls.get_credit_history)
    get_credit_statement = _method(calls.get_credit_statement)
    list_sessions = _method(calls.list_sessions)
    lock_for_booking = _method(calls.lock_for_booking)


class AsyncBookings:
    """:class:`Bookings` with methods to be awaited.

    Args:
        db: a database URL, a psycopg AsyncConnection, an AsyncConnectionPool, or a SQLAlchemy AsyncConnection
            or AsyncSession (on psycopg or asyncpg).

    Raises:
        TypeError: `db` is something else.

    Example::

        async with AsyncConnectionPool(url) as pool:
            session = await AsyncBookings(pool).book_session(
                user_id=client, therapist_id=therapist, session_date="2030-01-07", session_time="10:00")
    """

    def __init__(self, db: "AsyncDatabase") -> None:
        """Remember `db`; nothing is connected or asked yet."""
        self._db: Any = db
        self._kind = kind_of(db, asynchronous=True)

    async def _run(self, call: Call[T]) -> T:
        if self._kind is Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            await self._db.flush()  # what the session has not written yet, the database would not find
        tries = Tries(self._kind, self._db, call)
        while True:
            try:
                rows = await execute_async(self._kind, self._db, call, tries)
            except Exception as error:
                from asyncio import sleep  # noqa: PLC0415 (a fifth of what importing bookingdb would take)

                await sleep(tries.next_pause(error))
            else:
                return call.read(rows)

    book_session = _async_method(calls.book_session)
    cancel_session = _async_method(calls.cancel_session)
    reschedule_session = _async_method(calls.reschedule_session)
    approve_session = _async_method(calls.approve_session)
    confirm_session = _async_method(calls.confirm_session)
    start_session = _async_method(calls.start_session)
    complete_session = _async_method(calls.complete_session)
    mark_no_show = _async_method(calls.mark_no_show)
    hold_slot = _async_method(calls.hold_slot)
    release_hold = _async_method(calls.release_hold)
    book_hold = _async_method(calls.book_hold)
    book_series = _async_method(calls.book_series)
    check_booking_conflict = _async_method(calls.check_booking_conflict)
    list_available_slots = _async_method(calls.list_available_slots)
    list_slot_states = _async_method(calls.list_slot_states)
    list_available_days = _async_method(calls.list_available_days)
    list_opening_hours = _async_method(calls.list_opening_hours)
    next_available_slot = _async_method(calls.next_available_slot)
    find_available_therapists = _async_method(calls.find_available_therapists)
    book_session_with_override = _async_method(calls.book_session_with_override)
    get_weekly_hours = _async_method(calls.get_weekly_hours)
    set_weekly_hours = _async_method(calls.set_weekly_hours)
    list_date_overrides = _async_method(calls.list_date_overrides)
    set_date_override = _async_method(calls.set_date_override)
    list_time_off = _async_method(calls.list_time_off)
    add_time_off = _async_method(calls.add_time_off)
    remove_time_off = _async_method(calls.remove_time_off)
    sync_external_busy = _async_method(calls.sync_external_busy)
    register_client = _async_method(calls.register_client)
    register_therapist = _async_method(calls.register_therapist)
    set_therapist_active = _async_method(calls.set_therapist_active)
    get_policy = _async_method(calls.get_policy)
    set_policy = _async_method(calls.set_policy)
    grant_credits = _async_method(calls.grant_credits)
    adjust_credits = _async_method(calls.adjust_credits)
    revoke_grant = _async_method(calls.revoke_grant)
    expire_credits = _async_method(calls.expire_credits)
    get_credit_balance = _async_method(calls.get_credit_balance)
    get_credit_history = _async_method(calls.get_credit_history)
    get_credit_statement = _async_method(calls.get_credit_statement)
    list_sessions = _async_method(calls.list_sessions)
    lock_for_booking = _async_method(calls.lock_for_booking)


book_session = _function(calls.book_session)
