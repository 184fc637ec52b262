"""Takes bookingdb out of a database again: one transaction, everything or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from bookingdb.install import installer, script
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.script import PUBLIC_TABLES
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
from bookingdb.queries import indented

# No id is larger.
LARGEST = 2**63 - 1


@dataclass
class Removal:
    """The outcome of `uninstall` (after a dry run: what it would do).

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

    The application's own objects are never removed. If one of them needs what would go (a view that calls a function
    of ours, a foreign key to our table), nothing is removed at all, and the message names it.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed.
        keep_data: leave every table with its rows, and the types; functions, triggers, policies and views go. `migrate`
            takes the tables up again, with what was written to them meanwhile. Row level security stays on, so without
            a policy of the application's own nobody but the owner and roles with BYPASSRLS sees a row. False removes
            the tables, too, with every row; also those that were kept before.
        dry_run: only report what would be done.
        source: the files that were installed; those of this package when left out.

    Raises:
        InstallError: nothing is installed, the role may not, or it has more rights than the owner, something of the
            application's needs what would go, or the tables could not be locked within ten seconds.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(uninstall(connection, keep_data=True).left["table public.sessions"])
        12 rows
    """
    refuse_more_rights(connection)
    source = source or installer.installed_source(connection)
    removal = Removal()
    with connection.transaction(force_rollback=dry_run):
        prepare(connection)
        if scalar(connection, "select to_regclass('bookingdb.history')") is None:
            raise InstallError("bookingdb is not installed in this database")
        limit_lock_wait(connection)
        try:
            connection.execute("select pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
            if keep_data and scalar(connection, script.query("is_kept")):
                raise InstallError("bookingdb is not installed in this database any more; its tables were kept")
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


# The queries of sql/removal that give the statements. Objects on tables go first, then those that use types, then types
# and tables.
_BEHAVIOUR = ("triggers", "row_policies", "routines", "views", "privileges")


def behaviour(connection: Connection, source: Source) -> list[str]:
    """Return the statements that drop functions, triggers, policies and views, in order."""
    return _asked(connection, source, _BEHAVIOUR)


def tables(connection: Connection, source: Source, keep: Collection[str] = ()) -> list[str]:
    """Return the statements that drop the schema bookingdb and our tables, but those to be kept, in order."""
    return [*_asked(connection, source, ("types", "tables"), keep), "drop schema bookingdb"]


def _statements(connection: Connection, source: Source, keep_data: bool) -> list[str]:
    """Return the statements to run, in order."""
    remaining = _asked(connection, source, ("kept",)) if keep_data else tables(connection, source)
    return behaviour(connection, source) + remaining


def _asked(connection: Connection, source: Source, queries: Iterable[str], keep: Collection[str] = ()) -> list[str]:
    # By the history: a newer package may have installed more than the files know, and a function of the application's
    # may have come with a name of ours since ours went.
    recorded = installer.recorded_set(connection)
    groups = {"tables": "table", "columns": "column", "constraints": "constraint", "indexes": "index", "types": "type"}
    signatures = recorded[1]["functions"] if recorded else [f.signature for f in source.public_functions]
    values = {
        "recorded": indented(script.present_functions(script.signatures_of(signatures)), 12),
        "trusted": script.TRUSTED_ROLES,
        "objects": indented(script.query("kept_objects"), 16),
        "evidence": indented(script.query("evidence", last_entry=LARGEST, last_record=LARGEST), 12),
        "ours": [f"{kind} {name}" for group, kind in groups.items() for name in source.catalogue[group]],
        "tables": [name for name in PUBLIC_TABLES if name not in keep],
    }
    return [
        statement
        for query in queries
        for (statement,) in connection.execute(script.query(f"removal/{query}", **values))
    ]


def _left(connection: Connection) -> dict[str, str]:
    """Return what is in the database because of us, now."""
    left = {}
    for schema, name in connection.execute(script.query("remaining_tables")):
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
        (rows,) = connection.execute(query).fetchone() or (0,)
        left[f"table {schema}.{name}"] = "1 row" if rows == 1 else f"{rows} rows"
    if scalar(connection, "select exists (select from pg_extension where extname = 'btree_gist')"):
        left["extension btree_gist"] = "others may use it"
    return left
