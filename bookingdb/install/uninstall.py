"""Takes bookingdb out of a database again: one transaction, everything or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bookingdb.install import installer
from bookingdb.install.script import KNOWN_ROLES, NAME_PREFIX, PUBLIC_TABLES
from bookingdb.install.session import (
    INSTALL_LOCK,
    LOCK_TIMEOUT,
    Connection,
    InstallError,
    kept_for_dependents,
    limit_lock_wait,
    prepare,
    scalar,
)
from bookingdb.install.source import Source

# Tables whose rows mean nothing without the functions, or can be made again. Rows of all others exist nowhere else.
MACHINERY = ("history", "idempotency_keys", "selftest_people", "time_zones")


@dataclass
class Removal:
    """What `uninstall` did (or, after a dry run, would do).

    ``statements`` is the SQL that ran, in order; ``left`` is what stays in the database: what it is, and a remark about
    it (for a table, how many rows it has).
    """

    statements: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def script(self) -> str:
        """The statements as a file for psql, in one transaction."""
        return "\n".join(f"{statement};\n" for statement in ("begin", *self.statements, "commit"))


def uninstall(
    connection: Connection, *, keep_data: bool, dry_run: bool = False, source: Source | None = None
) -> Removal:
    """Remove what `migrate` installed.

    The application's own objects are never removed: where one of them needs what would go (a view that calls a function
    of ours, a foreign key to our table), nothing is removed at all, and the message names it.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed.
        keep_data: leave every table whose rows exist nowhere else: those of `public`, and of the schema bookingdb the
            ledger, the calendar and the like. Functions, triggers, policies, views and types go. Row level security
            stays on, so without a policy of the application's own nobody but the owner and roles with BYPASSRLS sees
            a row. False removes the tables, too, with every row.
        dry_run: only report what would be done.
        source: the files that were installed; those of this package when left out.

    Raises:
        InstallError: nothing is installed, the role may not, something of the application's needs what would go, or the
            tables could not be locked within ten seconds.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(uninstall(connection, keep_data=True).left["table public.sessions"])
        12 rows
    """
    source = source or installer.installed_source(connection)
    removal = Removal()
    with connection.transaction(force_rollback=dry_run):
        prepare(connection)
        if scalar(connection, "select to_regclass('bookingdb.history')") is None:
            raise InstallError("bookingdb is not installed in this database")
        limit_lock_wait(connection)
        try:
            connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
            if installer.is_adopted(connection):
                raise InstallError(
                    "this database is an application's that was adopted: `bookingdb adopt --undo` puts it back"
                )
            with kept_for_dependents("nothing was removed"):
                for statement in _statements(connection, source, keep_data):
                    connection.execute(statement)
                    removal.statements.append(statement)
        except psycopg.errors.LockNotAvailable as error:
            raise InstallError(
                "the tables are in use and could not be locked within"
                f" {LOCK_TIMEOUT:.0f} seconds; try again, nothing was removed"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(f"{error.diag.message_primary}; uninstall as the owner, nothing was removed") from error
        removal.left = _left(connection)
    return removal


# What hangs on tables goes first, then what uses types, then types and tables. Each query gives statements.
_REMOVE_BEHAVIOUR: tuple[LiteralString, ...] = (
    """
    select format('drop trigger %%I on %%s', t.tgname, t.tgrelid::regclass)
    from pg_trigger as t
    where not t.tgisinternal and starts_with(t.tgname, %(prefix)s)
    order by 1
    """,
    """
    select format('drop policy %%I on %%I.%%I', p.policyname, p.schemaname, p.tablename)
    from pg_policies as p
    where starts_with(p.policyname, %(prefix)s)
    order by 1
    """,
    # All at once: they need each other.
    """
    select 'drop routine ' || string_agg(p.oid::regprocedure::text, ', ' order by p.oid)
    from pg_proc as p
    where (
            p.pronamespace = 'bookingdb'::regnamespace
            or p.oid = any (select to_regprocedure(s) from unnest(%(signatures)s::text[]) as s)
        )
        and not exists (
            select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
    having count(*) > 0
    """,
    """
    select 'drop view ' || string_agg(c.oid::regclass::text, ', ' order by c.oid)
    from pg_class as c
    where c.relnamespace = 'bookingdb'::regnamespace and c.relkind = 'v'
    having count(*) > 0
    """,
    """
    select 'drop type ' || string_agg(c.reltype::regtype::text, ', ' order by c.oid)
    from pg_class as c
    where c.relnamespace = 'bookingdb'::regnamespace and c.relkind = 'c'
    having count(*) > 0
    """,
    """
    select 'revoke all on schema bookingdb from ' || string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
    from pg_roles as r
    where r.rolname = any (%(roles)s)
    having count(*) > 0
    """,
)
_REMOVE_MACHINERY: tuple[LiteralString, ...] = (
    """
    select format('alter table %%s drop constraint %%I', c.conrelid::regclass, c.conname)
    from pg_constraint as c
    where c.contype = 'f' and c.confrelid::regclass::text = any (%(machinery)s)
        and not c.conrelid::regclass::text = any (%(machinery)s)
        and c.conrelid in (select t.oid from pg_class as t where t.relnamespace = 'bookingdb'::regnamespace)
    """,
    """
    select 'drop table ' || string_agg(c.oid::regclass::text, ', ' order by c.oid)
    from pg_class as c
    where c.oid::regclass::text = any (%(machinery)s)
    """,
)
_REMOVE_TABLES: tuple[LiteralString, ...] = (
    """
    select 'drop table ' || string_agg(c.oid::regclass::text, ', ' order by c.oid)
    from pg_class as c
    where c.relkind in ('r', 'p')
        and (
            c.relnamespace = 'bookingdb'::regnamespace
            or (c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s))
        )
    """,
    "select 'drop schema bookingdb'",
)


def behaviour(connection: Connection, source: Source) -> list[str]:
    """What takes functions, triggers, policies, views and types away, in order."""
    return _asked(connection, _REMOVE_BEHAVIOUR, _parameters(source))


def tables(connection: Connection, source: Source, keep: list[str]) -> list[str]:
    """What drops the schema bookingdb and those of our tables that are not to be kept, in order."""
    parameters = _parameters(source) | {"tables": [name for name in PUBLIC_TABLES if name not in keep]}
    return _asked(connection, _REMOVE_TABLES, parameters)


def _statements(connection: Connection, source: Source, keep_data: bool) -> list[str]:
    """What is to be run, in order."""
    queries = _REMOVE_BEHAVIOUR + (_REMOVE_MACHINERY if keep_data else _REMOVE_TABLES)
    return _asked(connection, queries, _parameters(source))


def _asked(connection: Connection, queries: tuple[LiteralString, ...], parameters: dict[str, Any]) -> list[str]:
    return [statement for query in queries for (statement,) in connection.execute(query, parameters)]


def _parameters(source: Source) -> dict[str, Any]:
    return {
        "prefix": NAME_PREFIX,
        "signatures": [function.signature for function in source.public_functions],
        "roles": list(KNOWN_ROLES),
        "machinery": [f"bookingdb.{name}" for name in MACHINERY],
        "tables": list(PUBLIC_TABLES),
    }


def _left(connection: Connection) -> dict[str, str]:
    """What is in the database because of us, now."""
    left = {}
    tables = connection.execute(
        """
        select n.nspname, c.relname
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and (n.nspname = 'bookingdb' or (n.nspname = 'public' and c.relname = any (%s)))
        order by n.nspname desc, c.relname
        """,
        [list(PUBLIC_TABLES)],
    )
    for schema, name in tables:
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
        (rows,) = connection.execute(query).fetchone() or (0,)
        left[f"table {schema}.{name}"] = "1 row" if rows == 1 else f"{rows} rows"
    if scalar(connection, "select exists (select from pg_extension where extname = 'btree_gist')"):
        left["extension btree_gist"] = "others may use it"
    if scalar(connection, "select to_regrole('bookingdb_service')") is not None:
        left["role bookingdb_service"] = "belongs to the whole server"
    return left
