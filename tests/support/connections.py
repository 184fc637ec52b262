"""Connections with settings and isolation levels of all kinds, and many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from tests.support import Connection, World

SETTINGS = [
    ("UTC", "ISO, DMY", "postgres"),
    ("Pacific/Kiritimati", "German", "iso_8601"),
    ("America/St_Johns", "SQL, MDY", "sql_standard"),
    ("Asia/Kathmandu", "Postgres, YMD", "postgres_verbose"),
    ("<+13>-13", "SQL, DMY", "postgres"),
    # Postgres 18 looks for the name of a zone among the abbreviations of this one first, and finds it.
    ("<EUROPE/BERLIN>+9", "ISO, MDY", "postgres"),
    ("UTC+5", "ISO, MDY", "postgres"),
]
LEVELS = ["read committed", "repeatable read", "serializable"]
AsyncConnection = psycopg.AsyncConnection[Any]


def in_level(level: str, call: Any, connection: Connection) -> Any:
    """Run a call in a transaction of this level."""
    with connection.transaction():
        connection.execute(f"set transaction isolation level {level}".encode())
        return call(connection)


@asynccontextmanager
async def connections(world: World, number: int) -> AsyncIterator[list[AsyncConnection]]:
    """Open many connections; each can be in a call while the others are in theirs."""
    opened = await asyncio.gather(
        *(psycopg.AsyncConnection.connect(world.url, autocommit=True, prepare_threshold=None) for _ in range(number))
    )
    try:
        yield list(opened)
    finally:
        await asyncio.gather(*(connection.close() for connection in opened))
