"""Scratch databases: made for a benchmark, filled, and dropped. No other database is ever written to."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bookingdb.install import installer
from bookingdb.install.session import InstallError

Connection = psycopg.Connection[Any]

_SQL: Final = Path(__file__).parent / "sql"
NAME: Final = "bookingdb_bench_booking"
BOOKINGDB: Final = "public"
# As whom PostgREST calls.
CALLERS: Final = ("authenticated", "service_role")
# By the schema that contenders write to: what fills it, and what gives its therapists hours.
_FILLED_BY: Final[Mapping[str, tuple[str, str | None]]] = {
    BOOKINGDB: ("load", "hours"),
    "bookingdb_floor": ("floor_schema", None),
    "bookingdb_ad_hoc": ("ad_hoc_schema", None),
    "bookingdb_fair": ("fair_schema", "fair_hours"),
}
# Hours in which everything that is measured without hours can be booked as well.
_ALL_DAY: Final = "('00:00', '12:00'), ('12:00', '24:00')"
# Written on every scratch database, so that one of somebody else's with this name is not dropped.
_MARK: Final = "scratch database of bookingdb's benchmark"


class NotScratch(InstallError):
    """The database is somebody else's, or the server does not write as carefully as one in production."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is in the database.

    Attributes:
        clients: how many can book; a multiple of the therapists.
        therapists: how many can be booked.
        sessions: how many there are before the first booking.
    """

    clients: int
    therapists: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch database.

    Attributes:
        conninfo: how to connect to it, as a superuser.
        size: what it was filled with.
        base: the date from which bookings are counted.
        analyzed: whether the planner has statistics of what was loaded.
    """

    conninfo: str
    size: Size
    base: dt.date
    analyzed: bool = True

    def connect(self) -> Connection:
        """Connect; nothing is prepared unless a statement asks for it."""
        # With None as the threshold psycopg prepares nothing at all, whatever a statement asks for.
        return psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=1_000_000)


def id_of(kind: str, number: int | str) -> UUID:
    """Return the id of the client or therapist with this number, as load.sql makes it."""
    return UUID(hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest())


def text(name: str, **values: object) -> str:
    """Return an SQL file of the benchmark, its fields in braces filled in."""
    found = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    for field, value in values.items():
        found = found.replace(f"{{{field}}}", str(value))
    return found


def loading(schema: str, size: Size, base: dt.date) -> list[str]:
    """Return the SQL that fills a database of this size; `schema` is the file that has the tables, or fills them."""
    loaded = text("loaded", clients=size.clients, therapists=size.therapists, sessions=size.sessions, base=base)
    return [loaded, text(schema)]


@contextmanager
def made(
    conninfo: str,
    size: Size,
    *,
    analyze: bool = True,
    name: str = NAME,
    schema: str = BOOKINGDB,
    hours: bool = False,
    template: str | None = None,
) -> Iterator[Scratch]:
    """Make a scratch database on a server and fill it, for the time of the block.

    Args:
        conninfo: a database of the server, as a superuser; it is not written to.
        size: what to fill it with.
        analyze: whether the planner is given statistics of what was loaded.
        name: of the database.
        schema: whose tables it has, a key of `_FILLED_BY`.
        hours: whether its therapists have weekly hours, a buffer and a notice, where the schema knows such.
        template: a scratch database that was made with the same arguments; it is copied instead of filling another.

    Raises:
        NotScratch: a database of this name is not a benchmark's, or fsync or synchronous_commit is off.
        psycopg.Error: the role may not make a database, or may not write behind the triggers.
    """
    with psycopg.connect(conninfo, autocommit=True) as maintenance:
        _require_care(maintenance)
    with empty(conninfo, name, template) as own:
        # Bookings begin after tomorrow, so that none is over before it is made.
        scratch = Scratch(own, size, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2), analyze)
        with scratch.connect() as connection:
            if template is None:
                _fill(connection, scratch, schema, hours)
            connection.execute("checkpoint")
        yield scratch


@contextmanager
def for_each(server: Scratch, schemas: Mapping[str, str], *, hours: bool) -> Iterator[dict[str, Scratch]]:
    """Make a database for each contender, for the time of the block.

    All begin as fresh, and no contender works in tables that another has used more.

    Args:
        server: where, how large, and whether it is analysed.
        schemas: by contender, whose tables it writes to.
        hours: as for `made`.
    """
    filled: dict[str, str] = {}
    with ExitStack() as stack:
        databases = {}
        for place, (contender, schema) in enumerate(schemas.items()):
            name = f"{NAME}_{place}"
            same = filled.setdefault(schema, name)
            databases[contender] = stack.enter_context(
                made(
                    server.conninfo, server.size, analyze=server.analyzed, name=name, schema=schema, hours=hours,
                    template=None if same == name else same,
                )
            )  # fmt: skip
        yield databases


@contextmanager
def callers(conninfo: str) -> Iterator[None]:
    """Make the roles as which PostgREST calls, where the server has none, for the time of the block."""
    with psycopg.connect(conninfo, autocommit=True) as maintenance:
        known = "select r.rolname from pg_roles as r where r.rolname = any (%s)"
        there = {name for (name,) in maintenance.execute(known, (list(CALLERS),))}
        missing = [sql.Identifier(name) for name in CALLERS if name not in there]
        try:
            for name in missing:
                maintenance.execute(sql.SQL("create role {} nologin").format(name))
            yield
        finally:
            for name in missing:
                # Another benchmark on this server may have begun to use it.
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    maintenance.execute(sql.SQL("drop role if exists {}").format(name))


@contextmanager
def empty(conninfo: str, name: str, template: str | None = None) -> Iterator[str]:
    """Make an empty scratch database (or a copy of another) for the time of the block, and say how to connect to it.

    Raises:
        NotScratch: a database of this name is not a benchmark's, or is that of one which runs.
        psycopg.Error: the role may not make a database.
    """
    with psycopg.connect(conninfo, autocommit=True) as maintenance:
        _require_scratch(maintenance, name)
        # Kept until this connection ends. That of a run which has just ended may be in the way for a moment.
        maintenance.execute("set lock_timeout = '2s'")
        try:
            maintenance.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        except psycopg.errors.LockNotAvailable:
            raise NotScratch(f"another benchmark is at work in {name}: wait for its end") from None
        maintenance.execute("reset lock_timeout")
        database = sql.Identifier(name)
        drop = sql.SQL("drop database if exists {} with (force)").format(database)
        maintenance.execute(drop)
        copied = sql.SQL(" template {}").format(sql.Identifier(template)) if template else sql.SQL("")
        maintenance.execute(sql.SQL("create database {}").format(database) + copied)
        try:
            maintenance.execute(sql.SQL("comment on database {} is {}").format(database, _MARK))
            # Dates and times are the same for every driver.
            maintenance.execute(sql.SQL("alter database {} set timezone = 'UTC'").format(database))
            yield make_conninfo(conninfo, dbname=name)
        finally:
            maintenance.execute(drop)


def _require_care(connection: Connection) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        row = connection.execute("select current_setting(%s)", (setting,)).fetchone()
        if row is not None and row[0] != "on":
            raise NotScratch(f"{setting} is {row[0]} on this server: what is measured there is no booking")


def _require_scratch(maintenance: Connection, name: str) -> None:
    found = maintenance.execute(
        "select shobj_description(d.oid, 'pg_database') from pg_database as d where d.datname = %s", (name,)
    ).fetchone()
    if found is not None and found[0] != _MARK:
        raise NotScratch(f"there is a database {name} that the benchmark did not make: it is left alone")


def _fill(connection: Connection, scratch: Scratch, schema: str, hours: bool) -> None:
    if conninfo_to_dict(scratch.conninfo)["dbname"] != connection.info.dbname:
        raise NotScratch(f"{connection.info.dbname} is not the scratch database")
    if schema == BOOKINGDB:
        installer.migrate(connection)
    fill, with_hours = _FILLED_BY[schema]
    scripts = loading(fill, scratch.size, scratch.base)
    if hours and with_hours is not None:
        last = scratch.size.therapists + 199
        scripts.append(text(with_hours, first=0, last=last, days=7, windows=_ALL_DAY))
    # In one transaction, so that autovacuum sees no table before it is told to leave it alone.
    with connection.transaction():
        for script in scripts:
            # One query string without parameters may hold any number of statements.
            connection.execute(script.encode())
        if not scratch.analyzed:
            connection.execute(text("no_statistics").encode())
    if scratch.analyzed:
        connection.execute("vacuum analyze")
