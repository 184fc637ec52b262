"""Run the calls on whatever connection there is, synchronously or not.

Every method of :class:`Bookings` and :class:`AsyncBookings` is a builder of :mod:`bookingdb.calls` (see there
for parameters and results) plus the same few steps: find out whose the transaction is, run the statement,
turn the driver's error into ours and, if the transaction is our own, try again what Postgres asks to be
tried again: serialization failures and deadlocks.

A connection that is lost while a call waits for its answer leaves open whether the call was done. Where the
connection was opened for the call (a URL, a pool) and the call has an idempotency key, it is asked again with that
key on a new connection, up to seven times within some six seconds, and answered with the one result. Without a
key, and on a connection of yours, that is for you to do: the error is :class:`~bookingdb.errors.BookingFailed`. A
database that cannot be reached in the first place is reported at once.

What `db` may be, and whose the transaction is:

==========================================  ============================================================
`db`                                        transaction
==========================================  ============================================================
a URL or conninfo string                    ours: a connection of its own for each call
a psycopg_pool pool                         ours: a connection of the pool for each call
a psycopg connection, autocommit, idle      ours: the statement is the transaction
a psycopg connection otherwise              the caller's: nothing is committed or rolled back
a SQLAlchemy Connection or Session          the caller's, also with isolation level AUTOCOMMIT
==========================================  ============================================================

After an error in a transaction of the caller's, Postgres lets that transaction only be rolled back. If it is
to go on, the call belongs in a savepoint: ``connection.transaction()``, ``session.begin_nested()``.
"""

import functools
import inspect
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar, get_args

from bookingdb import calls
from bookingdb.errors import RETRYABLE, driver_error, from_driver_error, sqlstate_of
from bookingdb.statements import Call, Rows

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool
    import sqlalchemy.ext.asyncio
    import sqlalchemy.orm

P = ParamSpec("P")
T = TypeVar("T")

SyncDatabase: TypeAlias = (
    "str | psycopg.Connection[Any] | psycopg_pool.ConnectionPool[Any]"
    " | sqlalchemy.Connection | sqlalchemy.orm.Session | sqlalchemy.orm.scoped_session[Any]"
)
AsyncDatabase: TypeAlias = (
    "str | psycopg.AsyncConnection[Any] | psycopg_pool.AsyncConnectionPool[Any]"
    " | sqlalchemy.ext.asyncio.AsyncConnection | sqlalchemy.ext.asyncio.AsyncSession"
    " | sqlalchemy.ext.asyncio.async_scoped_session[Any]"
)
"""What the two classes take for `db`. In quotes: none of these packages need be there at run time."""

_RETRIES: Final = 5
_LONGEST_FIRST_PAUSE: Final = 0.02  # seconds; twice as long before each further try
# After a lost connection: a server that recovers, or another that takes over, needs longer than a deadlock.
_RECONNECTIONS: Final = 7
_LONGEST_FIRST_RECONNECTION: Final = 0.05
# What a server says before it closes the connection (57P01 to 57P05, 08nnn); a lost connection itself says nothing.
_FAREWELLS: Final = ("57P", "08")
# Whatever the connection's prepare_threshold is. Behind a transaction pooler the next transaction may be on another
# connection to the server, where what was prepared is missing, or is another client's statement of the same name.
_PREPARE: Final = False


class _Kind(Enum):
    URL = auto()
    POOL = auto()
    CONNECTION = auto()
    SQLALCHEMY_CONNECTION = auto()
    SQLALCHEMY_SESSION = auto()


# By which attributes a kind is known, and which of its methods is a coroutine function if it is asynchronous.
_MARKS: Final = (
    (_Kind.CONNECTION, ("pgconn", "cursor"), "commit"),
    (_Kind.POOL, ("getconn", "connection"), "getconn"),
    (_Kind.SQLALCHEMY_CONNECTION, ("exec_driver_sql", "dialect"), "exec_driver_sql"),
    (_Kind.SQLALCHEMY_SESSION, ("get_bind", "connection"), "connection"),
)


def _kind_of(db: object, *, asynchronous: bool) -> _Kind:
    if isinstance(db, str):
        return _Kind.URL
    for kind, attributes, method in _MARKS:
        if not isinstance(db, type) and all(hasattr(db, attribute) for attribute in attributes):
            if inspect.iscoroutinefunction(getattr(db, method)) == asynchronous:
                return kind
            other = "Bookings" if asynchronous else "AsyncBookings"
            raise TypeError(f"db is a {_name(db)}: that is for {other}")
    raise TypeError(
        "db must be a database URL, a psycopg connection, a psycopg_pool pool, or a SQLAlchemy Connection or "
        f"Session, not {_name(db)}"
    )


def _name(db: object) -> str:
    return f"{type(db).__module__}.{type(db).__qualname__}"


def _is_ours(kind: _Kind, db: Any) -> bool:
    """Tell whether the transaction of a statement is ours, begun for it and ended with it; asked between statements."""
    if kind is not _Kind.CONNECTION:
        return kind in (_Kind.URL, _Kind.POOL)
    from psycopg.pq import PipelineStatus, TransactionStatus  # noqa: PLC0415 (it is the caller's, hence loaded)

    return bool(
        db.autocommit
        and db.pgconn.transaction_status == TransactionStatus.IDLE
        # In a pipeline everything up to the next sync is one transaction, whatever its status says.
        and db.pgconn.pipeline_status == PipelineStatus.OFF
    )


class _Tries:
    """Which errors of a call are followed by a further try, and after how long."""

    def __init__(self, kind: _Kind, db: Any, call: Call[Any]) -> None:
        """Nothing has been tried yet; most calls need one try."""
        if call.needs_transaction and _is_ours(kind, db):
            raise RuntimeError("this call means something only in a transaction of yours: give a connection in one")
        self._kind, self._db, self._call = kind, db, call
        self._is_connected = False
        self.was_lost = False

    @functools.cached_property
    def _pauses(self) -> Iterator[float]:
        # After an error a transaction of ours is over, and one of the caller's is not.
        return _pauses(_RETRIES if _is_ours(self._kind, self._db) else 0, _LONGEST_FIRST_PAUSE)

    @functools.cached_property
    def _reconnections(self) -> Iterator[float]:
        is_ours_to_open = self._kind in (_Kind.URL, _Kind.POOL)
        has_key = self._call.parameters.get("p_idempotency_key") is not None
        return _pauses(_RECONNECTIONS if is_ours_to_open and has_key else 0, _LONGEST_FIRST_RECONNECTION)

    def connected(self) -> None:
        """Say that this try has a connection of ours: from here on it may have been done."""
        self._is_connected = True

    def next_pause(self, error: Exception) -> float:
        """Return the seconds after which to try again, or raise our error for the driver's."""
        pause = None
        if sqlstate_of(error) in RETRYABLE:
            pause = next(self._pauses, None)
        elif self._is_lost(error):
            self.was_lost = True
            pause = next(self._reconnections, None)
        if pause is None:
            raise from_driver_error(error) from driver_error(error)
        self._is_connected = False
        return pause

    def _is_lost(self, error: Exception) -> bool:
        """Tell whether the connection went while the call was under way, or did and is not to be had again yet."""
        if not self._is_connected and not (self._kind is _Kind.URL and self.was_lost):
            return False  # a pool has waited for a connection long enough
        from psycopg import OperationalError  # noqa: PLC0415 (importing bookingdb must not load a driver)

        sqlstate = sqlstate_of(error)
        return isinstance(error, OperationalError) and (sqlstate is None or sqlstate.startswith(_FAREWELLS))


def _pauses(tries: int, longest: float) -> Iterator[float]:
    """Return the seconds to wait before each further try: `longest` at most, then twice as long each time."""
    # At random, lest those who met once meet again.
    return (random.uniform(0, longest * 2**number) for number in range(tries))


def _for_sqlalchemy(connection: Any, call: Call[Any]) -> tuple[str, Any]:
    """Return statement and parameters with the placeholders of the driver under SQLAlchemy."""
    match connection.dialect.paramstyle:
        case "pyformat":
            return call.statement, dict(call.parameters)
        case "numeric_dollar":
            return call.numbered()
        case _:
            dialect = connection.dialect
            raise TypeError(f"of SQLAlchemy's drivers psycopg, psycopg2 and asyncpg will do, not {dialect.driver}")


def _for_psycopg(cursor: object, call: Call[Any]) -> tuple[str, Any]:
    """Return statement and parameters with the placeholders of the cursor, which the connection chooses."""
    from psycopg import AsyncRawCursor, RawCursor  # noqa: PLC0415 (importing bookingdb must not load a driver)

    return call.numbered() if isinstance(cursor, RawCursor | AsyncRawCursor) else (call.statement, call.parameters)


def _fetch(connection: Any, call: Call[Any]) -> Rows:
    from psycopg.rows import tuple_row  # noqa: PLC0415 (importing bookingdb must not load a driver)

    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(*_for_psycopg(cursor, call), prepare=_PREPARE)
        rows: Rows = cursor.fetchall()
        return rows


def _execute(kind: _Kind, db: Any, call: Call[Any], tries: _Tries) -> Rows:
    match kind:
        case _Kind.URL:
            import psycopg  # noqa: PLC0415 (importing bookingdb must not load a driver)

            with psycopg.connect(db, autocommit=True) as connection:
                tries.connected()
                return _fetch(connection, call)
        case _Kind.POOL:
            if tries.was_lost:
                db.check()  # most often the others were lost with it
            with db.connection() as connection:
                tries.connected()
                return _fetch(connection, call)
        case _Kind.CONNECTION:
            return _fetch(db, call)
        case _Kind.SQLALCHEMY_CONNECTION:
            rows: Rows = db.exec_driver_sql(*_for_sqlalchemy(db, call)).fetchall()
            return rows
        case _Kind.SQLALCHEMY_SESSION:
            return _execute(_Kind.SQLALCHEMY_CONNECTION, db.connection(), call, tries)


async def _fetch_async(connection: Any, call: Call[Any]) -> Rows:
    from psycopg.rows import tuple_row  # noqa: PLC0415 (importing bookingdb must not load a driver)

    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(*_for_psycopg(cursor, call), prepare=_PREPARE)
        rows: Rows = await cursor.fetchall()
        return rows


async def _execute_async(kind: _Kind, db: Any, call: Call[Any], tries: _Tries) -> Rows:
    match kind:
        case _Kind.URL:
            from psycopg import AsyncConnection  # noqa: PLC0415 (importing bookingdb must not load a driver)

            async with await AsyncConnection.connect(db, autocommit=True) as connection:
                tries.connected()
                return await _fetch_async(connection, call)
        case _Kind.POOL:
            if tries.was_lost:
                await db.check()  # most often the others were lost with it
            async with db.connection() as connection:
                tries.connected()
                return await _fetch_async(connection, call)
        case _Kind.CONNECTION:
            return await _fetch_async(db, call)
        case _Kind.SQLALCHEMY_CONNECTION:
            result = await db.exec_driver_sql(*_for_sqlalchemy(db, call))
            rows: Rows = result.fetchall()
            return rows
        case _Kind.SQLALCHEMY_SESSION:
            return await _execute_async(_Kind.SQLALCHEMY_CONNECTION, await db.connection(), call, tries)


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
            The caller's transactions stay the caller's; see :mod:`bookingdb.client`.

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
        self._kind = _kind_of(db, asynchronous=False)

    def _run(self, call: Call[T]) -> T:
        if self._kind is _Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            self._db.flush()  # what the session has not written yet, the database would not find
        tries = _Tries(self._kind, self._db, call)
        while True:
            try:
                rows = _execute(self._kind, self._db, call, tries)
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
        self._kind = _kind_of(db, asynchronous=True)

    async def _run(self, call: Call[T]) -> T:
        if self._kind is _Kind.SQLALCHEMY_SESSION and self._db.autoflush:
            await self._db.flush()  # what the session has not written yet, the database would not find
        tries = _Tries(self._kind, self._db, call)
        while True:
            try:
                rows = await _execute_async(self._kind, self._db, call, tries)
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
