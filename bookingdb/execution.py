"""Run a call on whatever connection there is, synchronously or not.

The steps are the same for every call: find out whose the transaction is, run the statement, turn the driver's error
into ours. If the transaction is our own, serialization failures and deadlocks are tried again.

A connection that is lost while a call waits for its answer leaves open whether the call was done. If the
connection was opened for the call (a URL, a pool) and the call has an idempotency key, it is asked again on a new
connection. It is asked up to seven times within some six seconds, and answered with the one result. Without a key,
and on a connection of yours, that is for you to do: the error is :class:`~bookingdb.errors.BookingFailed`. A database
that cannot be reached in the first place is reported at once.

The kinds of `db`, and the owner of the transaction:

==========================================  ============================================================
`db`                                        transaction
==========================================  ============================================================
a URL or conninfo string                    ours: a connection of its own for each call
a psycopg_pool pool                         ours: a connection of the pool for each call
a psycopg connection, autocommit, idle      ours: the statement is the transaction
a psycopg connection otherwise              the caller's: nothing is committed or rolled back
a SQLAlchemy Connection or Session          the caller's, also with isolation level AUTOCOMMIT
==========================================  ============================================================

Where the transaction is ours, a refusal is followed by one more statement, which records it if the therapist's policy
asks for that (:meth:`~bookingdb.Bookings.record_refusal`). The error is the call's in any case.

After an error in a transaction of the caller's, Postgres lets that transaction only be rolled back. If it is
to go on, the call belongs in a savepoint: ``connection.transaction()``, ``session.begin_nested()``.
"""

import contextlib
import datetime as dt
import functools
import inspect
import random
from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from bookingdb.calls.call import Call, Rows
from bookingdb.calls.refusals import asked_by, trace_of
from bookingdb.errors import RETRYABLE, BookingError, driver_error, from_driver_error, sqlstate_of

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool
    import sqlalchemy.ext.asyncio
    import sqlalchemy.orm

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

# The types of Postgres, whose numbers never change.
_TIMESTAMPTZ: Final = 1184
_DATE: Final = 1082

_RETRIES: Final = 5
_LONGEST_FIRST_PAUSE: Final = 0.02  # seconds; twice as long before each further try
# After a lost connection: a server that recovers, or another that takes over, needs longer than a deadlock.
_RECONNECTIONS: Final = 7
_LONGEST_FIRST_RECONNECTION: Final = 0.05
# A server that closes the connection says one of these (57P01 to 57P05, 08nnn); a lost connection says nothing.
_FAREWELLS: Final = ("57P", "08")
# Never prepare, even if the connection's prepare_threshold asks for it. Behind a transaction pooler the next
# transaction may be on another server connection, without the statement, or with another client's of the same name.
_PREPARE: Final = False
# Asked twice, this differs where each statement is a transaction of its own.
_TRANSACTION: Final = "select now()::text"
# The driver repeats what it cannot read, which may be a password.
_UNREADABLE: Final = "the database URL cannot be read"


class Kind(Enum):
    """The kinds of `db`."""

    URL = auto()
    POOL = auto()
    CONNECTION = auto()
    SQLALCHEMY_CONNECTION = auto()
    SQLALCHEMY_SESSION = auto()


# Each kind with the attributes that it is known by, and a method that is a coroutine function if it is asynchronous.
_MARKS: Final = (
    (Kind.CONNECTION, ("pgconn", "cursor"), "commit"),
    (Kind.POOL, ("getconn", "connection"), "getconn"),
    (Kind.SQLALCHEMY_CONNECTION, ("exec_driver_sql", "dialect"), "exec_driver_sql"),
    (Kind.SQLALCHEMY_SESSION, ("get_bind", "connection"), "connection"),
)


def kind_of(db: object, *, asynchronous: bool) -> Kind:
    """Tell what `db` is.

    Raises:
        TypeError: it is nothing that calls can run on, or not in this way.
    """
    if isinstance(db, str):
        return Kind.URL
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


def _is_ours(kind: Kind, db: Any) -> bool:
    """Tell whether the transaction of a statement is ours, begun for it and ended with it; asked between statements."""
    if kind is not Kind.CONNECTION:
        return kind in (Kind.URL, Kind.POOL)
    from psycopg.pq import PipelineStatus, TransactionStatus  # noqa: PLC0415 (it is the caller's, hence loaded)

    return bool(
        db.autocommit
        and db.pgconn.transaction_status == TransactionStatus.IDLE
        # In a pipeline everything up to the next sync is one transaction, whatever its status says.
        and db.pgconn.pipeline_status == PipelineStatus.OFF
    )


class NoTransaction(RuntimeError):
    """A call that means something only in a transaction of the caller's was made without one."""

    def __init__(self) -> None:
        """Say what to give instead."""
        super().__init__("this call means something only in a transaction of yours: give a connection in one")


class Tries:
    """The tries of a call: which errors are followed by a further one, and after how long."""

    def __init__(self, kind: Kind, db: Any, call: Call[Any]) -> None:
        """Nothing has been tried yet; most calls need one try."""
        if call.needs_transaction and _is_ours(kind, db):
            raise NoTransaction
        self._kind, self._db, self._call = kind, db, call
        self._is_connected = False
        self.was_lost = False

    @functools.cached_property
    def _pauses(self) -> Iterator[float]:
        # After an error a transaction of ours is over, and one of the caller's is not.
        return _pauses(_RETRIES if _is_ours(self._kind, self._db) else 0, _LONGEST_FIRST_PAUSE)

    @functools.cached_property
    def _reconnections(self) -> Iterator[float]:
        is_ours_to_open = self._kind in (Kind.URL, Kind.POOL)
        has_key = self._call.parameters.get("p_idempotency_key") is not None
        return _pauses(_RECONNECTIONS if is_ours_to_open and has_key else 0, _LONGEST_FIRST_RECONNECTION)

    def connected(self) -> None:
        """Say that this try has a connection of ours: from here on it may have been done."""
        self._is_connected = True

    def next_pause(self, error: Exception) -> float:
        """Return the seconds after which to try again, or raise our error for the driver's."""
        if isinstance(error, NoTransaction):
            raise error
        pause = None
        if sqlstate_of(error) in RETRYABLE:
            pause = next(self._pauses, None)
        elif self._is_lost(error):
            self.was_lost = True
            pause = next(self._reconnections, None)
        if pause is None:
            raise _refusal(error, self._call) from driver_error(error)
        self._is_connected = False
        return pause

    def _is_lost(self, error: Exception) -> bool:
        """Tell whether the connection went while the call was under way, or did and is not to be had again yet."""
        if not self._is_connected and not (self._kind is Kind.URL and self.was_lost):
            return False  # a pool has waited for a connection long enough
        from psycopg import OperationalError  # noqa: PLC0415 (importing bookingdb must not load a driver)

        sqlstate = sqlstate_of(error)
        return isinstance(error, OperationalError) and (sqlstate is None or sqlstate.startswith(_FAREWELLS))


def _refusal(error: BaseException, call: Call[Any]) -> BookingError:
    """Return our error for the driver's; it remembers what was asked."""
    refusal = from_driver_error(error)
    refusal.function_name, refusal.asked = call.function_name, asked_by(call)
    return refusal


def _trace(kind: Kind, db: Any, error: BaseException, call: Call[Any]) -> Call[bool] | None:
    """Return the call that records a refusal, where the transaction was ours and is over."""
    trace = trace_of(_refusal(error, call)) if _is_ours(kind, db) else None
    # A user's refusal is recorded as that user.
    acting_as = call.parameters.get("acting_as")
    return trace.acting_as(UUID(acting_as)) if trace and acting_as else trace


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


@functools.cache
def _bounded(loader: "type[psycopg.abc.Loader]") -> "type[psycopg.abc.Loader]":
    """Make the loader of a timestamp or date end at the limits of Python, where it would raise an error.

    One absurd row must not keep a list from being read, nor a call that was done from being answered.
    """
    from psycopg import DataError  # noqa: PLC0415 (importing bookingdb must not load a driver)
    from psycopg.adapt import Loader  # noqa: PLC0415 (see above)

    class Bounded(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._loader = loader(oid, context)

        def load(self, data: Any) -> Any:
            try:
                return self._loader.load(data)
            except DataError:
                text = bytes(data)
                limit = dt.datetime.min if text.startswith(b"-") or text.endswith(b"BC") else dt.datetime.max
                return limit.date() if self.oid == _DATE else limit.replace(tzinfo=dt.UTC)

    return Bounded


def _set_up(cursor: Any) -> None:
    """Give the cursor loaders that read every timestamp and date of a row."""
    for oid in (_TIMESTAMPTZ, _DATE):
        loader = cursor.adapters.get_loader(oid, 0)
        cursor.adapters.register_loader(oid, _bounded(loader))


def _fetch(connection: Any, call: Call[Any]) -> Rows:
    from psycopg.rows import tuple_row  # noqa: PLC0415 (importing bookingdb must not load a driver)

    with connection.cursor(row_factory=tuple_row) as cursor:
        _set_up(cursor)
        cursor.execute(*_for_psycopg(cursor, call), prepare=_PREPARE)
        rows: Rows = cursor.fetchall()
        return rows


def _fetch_or_record(kind: Kind, connection: Any, call: Call[Any]) -> Rows:
    """Run the call on a connection of psycopg; where it is refused, record that on the same one."""
    try:
        return _fetch(connection, call)
    except Exception as error:
        trace = _trace(kind, connection, error, call)
        if trace is not None:
            # The error is the call's, with its trace or without.
            with contextlib.suppress(Exception):
                connection.rollback()
                _fetch(connection, trace)
                connection.commit()
        raise


def execute(kind: Kind, db: Any, call: Call[Any], tries: Tries) -> Rows:
    """Run the call once, and return its rows; the driver's errors come as they are."""
    match kind:
        case Kind.URL:
            import psycopg  # noqa: PLC0415 (importing bookingdb must not load a driver)

            try:
                opened = psycopg.connect(db, autocommit=True)
            except psycopg.ProgrammingError:
                raise psycopg.ProgrammingError(_UNREADABLE) from None
            with opened as connection:
                tries.connected()
                return _fetch_or_record(kind, connection, call)
        case Kind.POOL:
            if tries.was_lost:
                db.check()  # most often the others were lost with it
            with db.connection() as connection:
                tries.connected()
                return _fetch_or_record(kind, connection, call)
        case Kind.CONNECTION:
            return _fetch_or_record(kind, db, call)
        case Kind.SQLALCHEMY_CONNECTION:
            rows: Rows = db.exec_driver_sql(*_for_sqlalchemy(db, call)).fetchall()
            if call.needs_transaction and len({db.exec_driver_sql(_TRANSACTION).scalar() for _ in range(2)}) > 1:
                raise NoTransaction
            return rows
        case Kind.SQLALCHEMY_SESSION:
            return execute(Kind.SQLALCHEMY_CONNECTION, db.connection(), call, tries)


async def _fetch_async(connection: Any, call: Call[Any]) -> Rows:
    from psycopg.rows import tuple_row  # noqa: PLC0415 (importing bookingdb must not load a driver)

    async with connection.cursor(row_factory=tuple_row) as cursor:
        _set_up(cursor)
        await cursor.execute(*_for_psycopg(cursor, call), prepare=_PREPARE)
        rows: Rows = await cursor.fetchall()
        return rows


async def _fetch_or_record_async(kind: Kind, connection: Any, call: Call[Any]) -> Rows:
    """Run the call on a connection of psycopg; where it is refused, record that on the same one."""
    try:
        return await _fetch_async(connection, call)
    except Exception as error:
        trace = _trace(kind, connection, error, call)
        if trace is not None:
            # The error is the call's, with its trace or without.
            with contextlib.suppress(Exception):
                await connection.rollback()
                await _fetch_async(connection, trace)
                await connection.commit()
        raise


async def execute_async(kind: Kind, db: Any, call: Call[Any], tries: Tries) -> Rows:
    """Run the call once, and return its rows; the driver's errors come as they are."""
    match kind:
        case Kind.URL:
            # Importing bookingdb must not load a driver.
            from psycopg import AsyncConnection, ProgrammingError  # noqa: PLC0415 (see above)

            try:
                opened = await AsyncConnection.connect(db, autocommit=True)
            except ProgrammingError:
                raise ProgrammingError(_UNREADABLE) from None
            async with opened as connection:
                tries.connected()
                return await _fetch_or_record_async(kind, connection, call)
        case Kind.POOL:
            if tries.was_lost:
                await db.check()  # most often the others were lost with it
            async with db.connection() as connection:
                tries.connected()
                return await _fetch_or_record_async(kind, connection, call)
        case Kind.CONNECTION:
            return await _fetch_or_record_async(kind, db, call)
        case Kind.SQLALCHEMY_CONNECTION:
            result = await db.exec_driver_sql(*_for_sqlalchemy(db, call))
            rows: Rows = result.fetchall()
            if call.needs_transaction:
                asked = [await db.exec_driver_sql(_TRANSACTION) for _ in range(2)]
                if len({answered.scalar() for answered in asked}) > 1:
                    raise NoTransaction
            return rows
        case Kind.SQLALCHEMY_SESSION:
            return await execute_async(Kind.SQLALCHEMY_CONNECTION, await db.connection(), call, tries)
