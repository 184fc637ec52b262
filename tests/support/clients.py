"""Every kind of database that the client's methods take, opened."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg_pool
import sqlalchemy
import sqlalchemy.orm
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine

from bookingdb import AsyncBookings, Bookings
from tests.support import World

OURS = [
    "url",
    "pool",
    "pool in autocommit",
    "connection in autocommit",
    "async url",
    "async pool",
    "async pool in autocommit",
    "async connection in autocommit",
]
CALLERS = [
    "connection",
    "connection in a block",
    "connection with dictionaries",
    "connection with raw cursors",
    "sqlalchemy connection",
    "sqlalchemy connection on psycopg2",
    "sqlalchemy session",
    "sqlalchemy scoped session",
    "async connection",
    "async connection in a block",
    "async connection with raw cursors",
    "async sqlalchemy connection",
    "async sqlalchemy connection on asyncpg",
    "async sqlalchemy session",
    "async sqlalchemy session on asyncpg",
    "async sqlalchemy scoped session",
]


@dataclass
class Opened:
    """A database opened in one of the ways above."""

    bookings: Any
    commit: Callable[[], Any] = lambda: None
    rollback: Callable[[], Any] = lambda: None


def sqlalchemy_url(world: World, driver: str) -> sqlalchemy.URL:
    parts = conninfo_to_dict(world.url)
    return sqlalchemy.URL.create(
        f"postgresql+{driver}",
        username=str(parts["user"]),
        host=str(parts["host"]),
        port=int(str(parts["port"])),
        database=str(parts["dbname"]),
    )


@contextlib.asynccontextmanager
async def opened(world: World, kind: str) -> AsyncIterator[Opened]:
    async with contextlib.AsyncExitStack() as stack:
        if kind.startswith("async "):
            db, owner = await open_async(world, kind.removeprefix("async "), stack)
            yield Opened(AsyncBookings(db), owner.commit, owner.rollback)
        else:
            db, owner = open_sync(world, kind, stack)
            yield Opened(Bookings(db), owner.commit, owner.rollback)


class Nothing:
    """Stands for the transaction where there is none of the caller's."""

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


def open_sync(world: World, kind: str, stack: contextlib.AsyncExitStack) -> tuple[Any, Any]:
    enter = stack.enter_context
    match kind:
        case "url":
            return world.url, Nothing()
        case "pool" | "pool in autocommit":
            options = {"autocommit": kind != "pool"}
            pool = enter(psycopg_pool.ConnectionPool(world.url, min_size=1, max_size=1, kwargs=options))
            return pool, Nothing()
        case "connection in autocommit":
            return enter(psycopg.connect(world.url, autocommit=True)), Nothing()
        case "connection in a block":
            connection = enter(psycopg.connect(world.url, autocommit=True))
            connection.execute("begin")
            return connection, connection
        case "connection" | "connection with dictionaries" | "connection with raw cursors":
            factories: dict[str, Any] = {
                "connection": {},
                "connection with dictionaries": {"row_factory": dict_row},
                "connection with raw cursors": {"cursor_factory": psycopg.RawCursor},
            }
            connection = enter(psycopg.connect(world.url, **factories[kind]))
            return connection, connection
    engine = sqlalchemy.create_engine(sqlalchemy_url(world, "psycopg2" if "psycopg2" in kind else "psycopg"))
    stack.callback(engine.dispose)
    db: Any
    match kind.removesuffix(" on psycopg2"):
        case "sqlalchemy connection":
            db = enter(engine.connect())
        case "sqlalchemy session":
            db = enter(sqlalchemy.orm.Session(engine))
        case "sqlalchemy scoped session":
            db = sqlalchemy.orm.scoped_session(sqlalchemy.orm.sessionmaker(engine))
            stack.callback(db.remove)
        case _:
            raise AssertionError(kind)
    return db, db


async def open_async(world: World, kind: str, stack: contextlib.AsyncExitStack) -> tuple[Any, Any]:
    enter = stack.enter_async_context
    match kind:
        case "url":
            return world.url, Nothing()
        case "pool" | "pool in autocommit":
            options = {"autocommit": kind != "pool"}
            pool = psycopg_pool.AsyncConnectionPool(world.url, min_size=1, max_size=1, kwargs=options, open=False)
            return await enter(pool), Nothing()
        case "connection" | "connection in autocommit" | "connection in a block":
            autocommit = kind != "connection"
            connection = await enter(await psycopg.AsyncConnection.connect(world.url, autocommit=autocommit))
            if kind == "connection in autocommit":
                return connection, Nothing()
            if kind == "connection in a block":
                await connection.execute("begin")
            return connection, connection
        case "connection with raw cursors":
            factory: Any = psycopg.AsyncRawCursor
            connection = await enter(await psycopg.AsyncConnection.connect(world.url, cursor_factory=factory))
            return connection, connection
    engine = create_async_engine(sqlalchemy_url(world, "asyncpg" if "asyncpg" in kind else "psycopg"))
    stack.push_async_callback(engine.dispose)
    db: Any
    match kind.removesuffix(" on asyncpg"):
        case "sqlalchemy connection":
            db = await enter(engine.connect())
        case "sqlalchemy session":
            db = await enter(AsyncSession(engine))
        case "sqlalchemy scoped session":
            db = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
            stack.push_async_callback(db.remove)
        case _:
            raise AssertionError(kind)
    return db, db


async def result_of(value: Any) -> Any:
    """What a method of either class returns."""
    return await value if inspect.isawaitable(value) else value
