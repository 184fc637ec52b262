"""The database that a command talks to, and the connection to it.

The first of these that is there decides; another one is never tried:

1. the URL given (``--database-url``),
2. ``BOOKINGDB_DATABASE_URL``,
3. ``DATABASE_URL``,
4. libpq's own variables, when one of PGHOST, PGHOSTADDR, PGPORT, PGDATABASE, PGUSER, PGSERVICE is set,
5. the running local server.

No message of this module contains a password.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bookingdb.local.server import LocalServer

URL_VARIABLES = ("BOOKINGDB_DATABASE_URL", "DATABASE_URL")
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
CONNECT_TIMEOUT = 10
"""Seconds, unless the URL or PGCONNECT_TIMEOUT says otherwise."""


class DatabaseUnreachable(Exception):
    """The database that was named does not answer, or its URL cannot be read. The message is one line."""


class NoDatabase(Exception):
    """Nothing names a database and no local server runs. The message says what to do."""


@dataclass(frozen=True)
class Target:
    """A database to connect to: a libpq connection string, and where it came from, for messages.

    Example: ``Target("postgresql://ann@db.example.com/app", "DATABASE_URL")``
    """

    conninfo: str = field(repr=False)  # it may hold a password
    origin: str


def resolve(url: str | None = None) -> Target:
    """Decide which database to talk to; see the top of this module for the order.

    `url` is a ``postgresql://`` or ``postgres://`` URL, or libpq's ``key=value`` form.
    Raises `DatabaseUnreachable` when what decides cannot be read, `NoDatabase` when nothing is there.

    Example: ``resolve("postgresql://ann@db.example.com/app").origin`` is ``"--database-url"``
    """
    if url is not None:
        return _target(url, "--database-url")
    for name in URL_VARIABLES:
        if value := os.environ.get(name):
            return _target(value, name)
    present = [name for name in LIBPQ_VARIABLES if os.environ.get(name)]
    if present:
        return Target("", ", ".join(present))
    server = LocalServer()
    if server.status().running:
        return Target(server.url(), "the local server")
    raise NoDatabase(
        "no database to talk to: start the local server with `bookingdb local start`, "
        "or name one with --database-url or BOOKINGDB_DATABASE_URL"
    )


def connect(target: Target | str) -> "psycopg.Connection[tuple[Any, ...]]":
    """Connect in a way that also works behind a transaction pooler: autocommit, no prepared statements.

    Raises `DatabaseUnreachable`.

    Example: ``connect(resolve())``
    """
    if isinstance(target, str):
        target = _target(target, "the URL given")
    given = conninfo_to_dict(target.conninfo)
    defaults: dict[str, str | int] = {}
    if "connect_timeout" not in given and not os.environ.get("PGCONNECT_TIMEOUT"):
        defaults["connect_timeout"] = CONNECT_TIMEOUT
    if "application_name" not in given:
        defaults["application_name"] = "bookingdb"
    if given.get("host"):
        # Else libpq would go where PGHOSTADDR says, whatever host the URL names.
        defaults["hostaddr"] = given.get("hostaddr") or ""
    try:
        return psycopg.connect(
            target.conninfo,
            prepare_threshold=None,
            autocommit=True,
            # mypy cannot tell that none of these is a parameter of psycopg's own
            **defaults,  # type: ignore[arg-type]  # which of connect()'s parameters they are, mypy cannot see
        )
    except (psycopg.Error, UnicodeError) as error:  # UnicodeError: a host name that DNS cannot have
        raise DatabaseUnreachable(
            f"cannot reach {_named(given)} (from {target.origin}): {_reason(error, given)}"
        ) from None


def describe(connection: "psycopg.Connection[Any]", target: Target | None = None) -> str:
    """Name the server and database of `connection`, and with `target` who decided so. No password.

    Example: ``"database bookingdb on 127.0.0.1:5544 as postgres (from BOOKINGDB_DATABASE_URL)"``
    """
    info = connection.info
    place = _place(info.host, str(info.port))
    origin = f" (from {target.origin})" if target is not None else ""
    return f"database {info.dbname} on {place} as {info.user}{origin}"


def _target(text: str, origin: str) -> Target:
    """Check that `text` can be read before anything of it is shown: what is misread may be the password."""
    # SQLAlchemy's way to name a driver, common in DATABASE_URL.
    conninfo = re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", text.strip())
    try:
        parts = conninfo_to_dict(conninfo) if conninfo else {}
    except psycopg.Error:
        parts = {}
    if not parts:
        raise DatabaseUnreachable(f"{origin} is not a database URL; expected postgresql://USER@HOST:PORT/DATABASE")
    ports = str(parts.get("port", "")).split(",")
    misread = not all(port == "" or port.isdecimal() for port in ports)
    if "://" in conninfo:
        # An unescaped @ or / of a password ends up here.
        misread = misread or any("@" in str(parts.get(name, "")) for name in ("host", "dbname"))
    if misread:
        raise DatabaseUnreachable(
            f"{origin} is not a database URL; in a password, write @ as %40, / as %2F and % as %25"
        )
    return Target(conninfo, origin)


def _named(parts: Mapping[str, Any]) -> str:
    def value(name: str, variable: str) -> str:
        return str(parts.get(name) or os.environ.get(variable) or "")

    user = value("user", "PGUSER")
    host = value("host", "PGHOST") or value("hostaddr", "PGHOSTADDR")
    service = value("service", "PGSERVICE")
    if service and not host:
        return f"the database of service {service}"
    place = _place(host, value("port", "PGPORT") or "5432")
    database = value("dbname", "PGDATABASE") or user
    return f"database {database} on {place}" if database else f"the server on {place}"


def _place(host: str, port: str) -> str:
    if not host or host.startswith(("/", "@")):
        return f"socket {host or 'of the default folder'}, port {port}"
    hosts, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return ",".join(
        f"[{name}]:{number}" if ":" in name else f"{name}:{number}" for name, number in zip(hosts, ports, strict=False)
    )


def _reason(error: Exception, parts: Mapping[str, Any]) -> str:
    """The driver's explanation in one line."""
    text = str(error).partition("Multiple connection attempts failed")[0]
    text = " ".join(text.replace("Is the server running on that host and accepting TCP/IP connections?", "").split())
    # A password that is also the user's name is no secret that the rest of the line could keep.
    shown = {str(parts.get(name)) for name in ("user", "host", "dbname")}
    for secret in (parts.get("password"), parts.get("sslpassword"), os.environ.get("PGPASSWORD")):
        if secret and str(secret) in text and str(secret) not in shown:
            # Cutting it out of the text would show where it was.
            return "connection failed"
    return text or type(error).__name__
