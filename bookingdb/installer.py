"""Applies sql/ to a database: one transaction, everything or nothing.

Works through a transaction pooler: the only lock is a transaction-level advisory lock, every setting is local to the
transaction, and no statement is prepared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from bookingdb.source import Attachment, FunctionFile, Source, SqlFile, load, normalise

# The key of the advisory lock that lets one installation run at a time.
INSTALL_LOCK = 7238106512347101
# Roles of the host that grants.sql names; when one appears, the grants are applied again.
KNOWN_ROLES = ("anon", "authenticated", "service_role", "bookingdb_service")
# The oldest Postgres the files are written for (server_version_num).
MINIMUM_SERVER_VERSION = 140000
# Strong locks that are not granted within this many seconds are given up, rather than stalling the application behind.
LOCK_TIMEOUT = 10.0
# Triggers of ours begin with this; nothing else's should.
NAME_PREFIX = "_bookingdb"

Connection = psycopg.Connection[Any]


class InstallError(Exception):
    """The database cannot be brought to this version; it is as it was. The message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What a database lacks: migrations not applied yet, and why the function set must be applied (if it must)."""

    migrations: tuple[SqlFile, ...]
    reason: str | None

    @property
    def is_empty(self) -> bool:
        """Whether the database is up to date."""
        return not self.migrations and self.reason is None


@dataclass
class Report:
    """What `migrate` did (or, after a dry run, would do).

    ``migrations`` are names of files, ``reason`` says why functions, triggers, policies and grants were applied (None:
    they were not), ``statements`` is the SQL that ran, in order.
    """

    migrations: list[str] = field(default_factory=list)
    reason: str | None = None
    statements: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to do."""
        return not self.migrations and self.reason is None

    @property
    def script(self) -> str:
        """The statements as a file for psql: one transaction, which does what `migrate` does."""
        statements = ("begin", "set local search_path = ''", *self.statements, "commit")
        return "\n".join(statement.rstrip().removesuffix(";") + ";\n" for statement in statements)


@dataclass(frozen=True)
class Status:
    """The installed version of a database beside this package's: history rows (newest first) and what is pending."""

    history: list[dict[str, Any]]
    pending: Plan


def migrate(
    connection: Connection,
    *,
    source: Source | None = None,
    dry_run: bool = False,
    reapply: bool = False,
    wait: float = 300,
) -> Report:
    """Bring a database to this package's version, in one transaction.

    Args:
        connection: an open connection, not inside a transaction; it should be the owner of what was installed before.
        source: the files to apply; those of this package when left out.
        dry_run: only report the SQL that would run.
        reapply: apply functions, triggers, policies and grants even though they are recorded as up to date; puts back
            what was changed by hand.
        wait: how long, in seconds, to wait for another installation to finish.

    Raises:
        InstallError: the database is newer than the package, an applied migration's file was changed, tables of the
            same names are in the way, the role may not install, another installation did not finish in time.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(migrate(connection).migrations)
        ['0001_core']
    """
    source = source or load()
    if dry_run:
        with connection.transaction(force_rollback=True):
            prepare(connection)
            plan = make_plan(connection, source, reapply=reapply)
            script = _script(connection, source, plan) if not plan.is_empty else ()
            names = [file.name for file in plan.migrations]
            return Report(names, plan.reason, [statement for _, statement in script])

    deadline = time.monotonic() + wait
    while True:
        report: Report | None = None
        with connection.transaction():
            prepare(connection)
            plan = make_plan(connection, source, reapply=reapply)
            if not plan.is_empty and _scalar(connection, "select pg_try_advisory_xact_lock(%s)", INSTALL_LOCK):
                # The plan is made again under the lock: somebody may have done the work while we waited.
                plan = make_plan(connection, source, reapply=reapply)
                report = _apply(connection, source, plan) if not plan.is_empty else None
        if connection.closed:
            # The end of a transaction on a connection that is known to be lost raises nothing, and commits nothing.
            raise psycopg.OperationalError("the connection was lost before the installation was committed")
        if plan.is_empty or report is not None:
            return report or Report()
        if time.monotonic() > deadline:
            raise InstallError(f"another installation did not finish within {wait:.0f} seconds; try again later")
        # Polled, in a transaction of its own each time: a waiter holds no snapshot that blocks the one at work.
        time.sleep(0.1)


def status(connection: Connection, *, source: Source | None = None) -> Status:
    """Tell what is installed and what is pending, without changing anything.

    Raises:
        InstallError: as `migrate`.
    """
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        history: list[dict[str, Any]] = []
        if _is_installed(connection):
            cursor = connection.cursor(row_factory=dict_row)
            history = cursor.execute(
                "select id, kind, name, checksum, version, details, applied_by, applied_at"
                " from bookingdb.history order by id desc"
            ).fetchall()
        return Status(history, make_plan(connection, source or load()))


def make_plan(connection: Connection, source: Source, *, reapply: bool = False) -> Plan:
    """Compare a database's history with the files.

    Raises:
        InstallError: the two contradict each other.
    """
    applied: dict[str, str] = {}
    if _is_installed(connection):
        query = "select h.name, h.checksum from bookingdb.history as h where h.kind = 'migration' order by h.id"
        # Whoever may read the history but sees nothing of it would install a second time.
        if _scalar(connection, "select row_security_active('bookingdb.history')"):
            raise InstallError("row level security hides the history of the installation; use the owner's role")
        applied = dict(connection.execute(query).fetchall())

    known = {file.name: file for file in source.migrations}
    for name, checksum in applied.items():
        if name not in known:
            raise InstallError(
                f"the database is newer than this package: it has migration {name}; upgrade the package bookingdb"
            )
        if known[name].checksum != checksum:
            raise InstallError(
                f"sql/{known[name].path} was changed after it had been applied; restore the file, and put the change"
                " into a new migration"
            )
    pending = tuple(file for file in source.migrations if file.name not in applied)
    late = [file.name for file in pending if applied and file.name < max(applied)]
    if late:
        raise InstallError(f"migration {late[0]} comes before {max(applied)}, which is applied: number it anew")

    recorded = recorded_set(connection)
    if recorded is None:
        return Plan(pending, "first installation")
    checksum, details = recorded
    roles = present_roles(connection)
    if checksum != source.checksum or pending:
        return Plan(pending, "the files changed")
    # Nobody but superusers and CREATEROLE can make bookingdb_service; the list is of what was there afterwards.
    if details["roles"] != roles:
        return Plan(pending, "roles appeared or went: " + ", ".join(sorted(set(details["roles"]) ^ set(roles))))
    return Plan(pending, "asked for" if reapply else None)


def recorded_set(connection: Connection) -> tuple[str, dict[str, Any]] | None:
    """The function set applied last: its checksum, and adapter, signatures and roles as they were then."""
    if not _is_installed(connection):
        return None
    row = connection.execute(
        "select h.checksum, h.details from bookingdb.history as h where h.kind = 'functions' order by h.id desc limit 1"
    ).fetchone()
    return (row[0], row[1]) if row else None


def prepare(connection: Connection, *, read_only: bool = False) -> None:
    """Make the transaction's settings independent of those of the role, the database and the pooler."""
    # Another isolation level would look at the history as it was before the lock.
    connection.execute("set transaction isolation level read committed")
    connection.execute("set transaction read only" if read_only else "set transaction read write")
    connection.execute(
        "select set_config('search_path', '', true), set_config('client_min_messages', 'warning', true),"
        " set_config('statement_timeout', '0', true), set_config('check_function_bodies', 'on', true),"
        # Definitions in the catalogue are compared as text.
        " set_config('quote_all_identifiers', 'off', true)"
    )


def _apply(connection: Connection, source: Source, plan: Plan) -> Report:
    report = Report([file.name for file in plan.migrations], plan.reason)
    connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT * 1000:.0f}ms"])
    for name, statement in _script(connection, source, plan):
        report.statements.append(statement)
        try:
            connection.execute(statement)
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(
                f"{name}: the tables are in use and could not be locked within {LOCK_TIMEOUT:.0f} seconds; try again"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(
                f"{name}: {error.diag.message_primary}; install as the owner of the database"
            ) from error
        except psycopg.Error as error:
            raise InstallError(f"{name}: {error.diag.message_primary or error}") from error
    strays = stray_functions(connection, source)
    if strays:
        raise InstallError(f"functions that no file of this version defines: {', '.join(strays)}; drop them first")
    return report


def _script(connection: Connection, source: Source, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield where a statement comes from, and the statement, in the order in which they run.

    Lazily: what triggers and policies need is looked at when the migrations before them have run.
    """
    if not _is_installed(connection):
        _refuse_foreign_objects(connection, source)
    for file in plan.migrations:
        yield f"sql/{file.path}", file.text
        yield "history", _history_row(connection, "migration", file.name, file.checksum, sql.Literal(Jsonb({})))

    for view in source.views:
        yield f"sql/{source.adapter.path}", view
    for function in source.functions:
        yield f"sql/{function.path}", function.text
    yield from _attachments(connection, source.triggers_file, existing_triggers(connection), source.triggers)
    yield from _attachments(connection, source.policies_file, existing_policies(connection), source.policies)
    secured = tables_with_row_security(connection)
    for table in source.secured_tables:
        if table not in secured:
            yield f"sql/{source.policies_file.path}", f"alter table {table} enable row level security"
    yield f"sql/{source.grants.path}", source.grants.text

    yield "time zones", "select bookingdb.refresh_time_zones()"
    known = {
        "adapter": source.adapter.name,
        "functions": sorted(function.signature for function in source.functions),
    }
    # The roles as they are when the row is written: grants.sql may just have made one.
    details = sql.SQL(
        "{} || jsonb_build_object('roles', array("
        "select r.rolname from pg_roles as r where r.rolname = any ({}) order by 1))"
    ).format(Jsonb(known), list(KNOWN_ROLES))
    yield "history", _history_row(connection, "functions", source.adapter.name, source.checksum, details)
    # PostgREST reads the functions anew.
    yield "notification", "notify pgrst, 'reload schema'"


def _attachments(
    connection: Connection, file: SqlFile, existing: dict[tuple[str, str], str], wanted: tuple[Attachment, ...]
) -> Iterator[tuple[str, str]]:
    """Yield what makes the triggers (or policies) the wanted ones, and nothing for those that are."""
    kind = wanted[0].kind
    definitions = {(item.table, item.name): item for item in wanted}
    for (table, name), definition in existing.items():
        if (table, name) not in definitions or definitions[table, name].definition != definition:
            yield f"sql/{file.path}", f"drop {kind} {name} on {table}"
    for key, item in definitions.items():
        if existing.get(key) != item.definition:
            yield f"sql/{file.path}", item.statement


def existing_triggers(connection: Connection) -> dict[tuple[str, str], str]:
    """Definitions of our triggers by table and name, quoted where they must be; one that is switched off says so."""
    rows = connection.execute(
        """
        select
            format('%%I.%%I', n.nspname, c.relname),
            quote_ident(t.tgname),
            pg_get_triggerdef(t.oid),
            t.tgenabled::text
        from pg_trigger as t
        inner join pg_class as c on c.oid = t.tgrelid
        inner join pg_namespace as n on n.oid = c.relnamespace
        where not t.tgisinternal and starts_with(t.tgname, %s)
        """,
        [NAME_PREFIX],
    )
    return {
        (table, name): normalise(definition) + ("" if enabled == "O" else f" [{enabled}]")
        for table, name, definition, enabled in rows
    }


def existing_policies(connection: Connection) -> dict[tuple[str, str], str]:
    """Definitions of the policies on our tables, by table and name, quoted where they must be, as in policies.sql."""
    rows = connection.execute(
        """
        select
            format('%%I.%%I', p.schemaname, p.tablename),
            quote_ident(p.policyname),
            format(
                'create policy %%I on %%I.%%I%%s for %%s to %%s',
                p.policyname, p.schemaname, p.tablename,
                case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end,
                p.cmd, array_to_string(p.roles, ', ')
            )
            || coalesce(' using (' || p.qual || ')', '')
            || coalesce(' with check (' || p.with_check || ')', '')
        from pg_policies as p
        where p.schemaname = 'bookingdb'
            or (p.schemaname = 'public' and p.tablename = any (%s) and starts_with(p.policyname, %s))
        """,
        [list(PUBLIC_TABLES), NAME_PREFIX],
    )
    return {(table, name): normalise(definition) for table, name, definition in rows}


# The tables of ours that applications see; everything in the schema bookingdb is ours anyway.
PUBLIC_TABLES = ("users", "sessions", "user_credits", "booking_audit_log")


def tables_with_row_security(connection: Connection) -> set[str]:
    """The tables, as ``schema.name``, that have row level security switched on."""
    rows = connection.execute(
        "select n.nspname || '.' || c.relname from pg_class as c"
        " inner join pg_namespace as n on n.oid = c.relnamespace where c.relrowsecurity"
    )
    return {name for (name,) in rows}


def stray_functions(connection: Connection, source: Source) -> list[str]:
    """List functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone."""
    recorded: list[str] = []
    for (details,) in connection.execute("select details from bookingdb.history where kind = 'functions'"):
        recorded += details["functions"]
    rows = connection.execute(
        """
        select p.oid::regprocedure::text
        from pg_proc as p
        inner join pg_namespace as n on n.oid = p.pronamespace
        where (
                n.nspname = 'bookingdb'
                or (n.nspname = 'public' and p.proname = any (%(names)s))
                or p.oid = any (select to_regprocedure(f) from unnest(%(recorded)s::text[]) as f)
            )
            and not p.oid = any (
                select to_regprocedure(f) from unnest(%(signatures)s::text[]) as f where to_regprocedure(f) is not null
            )
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
        order by 1
        """,
        {
            "names": [function.name for function in source.functions if function.schema == "public"],
            "recorded": recorded,
            "signatures": [function.signature for function in source.functions],
        },
    )
    return [name for (name,) in rows]


def _refuse_foreign_objects(connection: Connection, source: Source) -> None:
    """Refuse to install beside an application that already has such tables or functions."""
    server_version = connection.info.server_version
    if server_version < MINIMUM_SERVER_VERSION:
        raise InstallError(
            f"this server is Postgres {server_version // 10000};"
            f" bookingdb needs {MINIMUM_SERVER_VERSION // 10000} or later"
        )
    # Whoever owns the schema, or a function that ours would replace, could change it afterwards.
    intruder = connection.execute(
        """
        select 'belongs to ' || pg_get_userbyid(n.nspowner)
        from pg_namespace as n
        where n.nspname = 'bookingdb' and n.nspowner <> current_user::regrole
        union all
        select 'is not empty'
        from pg_depend as d
        inner join pg_namespace as n on n.oid = d.refobjid
        where d.refclassid = 'pg_namespace'::regclass and n.nspname = 'bookingdb'
        limit 1
        """
    ).fetchone()
    if intruder:
        raise InstallError(f"the schema bookingdb is there already and {intruder[0]}; look what it is, and drop it")
    names = [function.name for function in source.functions if function.schema == "public"]
    rows = connection.execute(
        """
        select 'table public.' || c.relname
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relname = any (%s)
        union all
        select 'function ' || p.oid::regprocedure
        from pg_proc as p
        inner join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'public' and p.proname = any (%s)
        order by 1
        """,
        [list(PUBLIC_TABLES), names],
    )
    found = [name for (name,) in rows]
    if found:
        raise InstallError(
            f"the database already has {', '.join(found)}; bookingdb installs beside nothing of the same name:"
            " taking over an existing application's tables is not possible yet, use a database without them"
        )


def _is_installed(connection: Connection) -> bool:
    return _scalar(connection, "select to_regclass('bookingdb.history')") is not None


def present_roles(connection: Connection) -> list[str]:
    """Those of KNOWN_ROLES that the server has, sorted."""
    rows = connection.execute(
        "select r.rolname from pg_roles as r where r.rolname = any (%s) order by 1", [list(KNOWN_ROLES)]
    )
    return [name for (name,) in rows]


def _history_row(connection: Connection, kind: str, name: str, checksum: str, details: sql.Composable) -> str:
    values = (sql.Literal(value) for value in (kind, name, checksum, package_version("bookingdb")))
    statement = sql.SQL("insert into bookingdb.history (kind, name, checksum, version, details) values ({}, {})")
    return statement.format(sql.SQL(", ").join(values), details).as_string(connection)


def _scalar(connection: Connection, query: LiteralString, *parameters: Any) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


__all__ = [
    "Connection",
    "FunctionFile",
    "InstallError",
    "Plan",
    "Report",
    "Status",
    "make_plan",
    "migrate",
    "status",
    "stray_functions",
]
