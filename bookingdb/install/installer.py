"""Applies sql/ to a database: one transaction, everything or nothing.

Works through a transaction pooler: the only lock is a transaction-level advisory lock, every setting is local to the
transaction, and no statement is prepared.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bookingdb.install import script
from bookingdb.install.owner import refuse_more_rights
from bookingdb.install.session import (
    FAILED,
    INSTALL_LOCK,
    LOCK_TIMEOUT,
    NOT_LOCKED,
    SETTINGS,
    Connection,
    DatabaseIsNewer,
    InstallError,
    configure,
    limit_lock_wait,
    literal,
    prepare,
    refusals,
    scalar,
)
from bookingdb.install.source import DEFAULT_ADAPTER, Source, SqlFile, load, own_adapter

# A try to lock all tables takes at most this many seconds, and less than deadlock_timeout in any case.
_LOCK_PATIENCE = 0.5
# The order in which a booking comes to the tables that it writes.
_WRITE_ORDER = (
    "bookingdb.calendar", "public.user_credits", "bookingdb.ledger", "public.sessions", "public.booking_audit_log",
    "bookingdb.outbox", "bookingdb.idempotency_keys",
)  # fmt: skip


@dataclass(frozen=True)
class Pending:
    """The missing parts: migrations not applied yet, and why the function set must be applied (if it must)."""

    migrations: tuple[SqlFile, ...]
    reason: str | None
    # The function set replaces one of a newer version.
    is_downgrade: bool = False
    # Tables that `bookingdb uninstall --keep-data` left are taken up.
    is_kept: bool = False

    @property
    def is_empty(self) -> bool:
        """True if the database is up to date."""
        return not self.migrations and self.reason is None


@dataclass
class Applied:
    """The outcome of `migrate` (after a dry run: what it would do).

    ``migrations`` are names of files, ``reason`` says why functions, triggers, policies and grants were applied (None:
    they were not), ``statements`` is the SQL that ran, in order. Members of the role bookingdb_service, which earlier
    versions trusted, are now trusted themselves (``carried_over``) or not (``not_carried_over``: they inherit nothing).
    Roles that were trusted when tables were kept are so again (``trusted_again``) or not (``not_trusted_again``: gone,
    or another one has the name).
    """

    migrations: list[str] = field(default_factory=list)
    reason: str | None = None
    statements: list[str] = field(default_factory=list)
    carried_over: list[str] = field(default_factory=list)
    not_carried_over: list[str] = field(default_factory=list)
    trusted_again: list[str] = field(default_factory=list)
    not_trusted_again: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """True if there was nothing to do."""
        return not self.migrations and self.reason is None

    @property
    def script(self) -> str:
        """The statements as a file for psql: one transaction, which does what `migrate` does."""
        settings = (f"set local {name} = {literal(value)}" for name, value in SETTINGS.items())
        statements = ("begin", *settings, *self.statements, "commit")
        return "\n".join(statement.rstrip().removesuffix(";") + ";\n" for statement in statements)


@dataclass(frozen=True)
class Status:
    """The installed version of a database beside this package's: history rows (newest first) and what is pending.

    ``newer`` says why the database is newer than this package, None if it is not. ``trusted`` are the roles that may
    act for anyone; the owner and superusers may anyway. ``always_open`` counts the therapists who can be booked at any
    time because nothing is known of weekly hours, None where nobody can tell.
    """

    history: list[dict[str, Any]]
    pending: Pending
    newer: str | None = None
    trusted: list[str] = field(default_factory=list)
    always_open: int | None = None


def migrate(
    connection: Connection,
    *,
    source: Source | None = None,
    dry_run: bool = False,
    reapply: bool = False,
    downgrade: bool = False,
    wait: float = 300,
) -> Applied:
    """Bring a database to this package's version, in one transaction.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed before.
        source: the files to apply; those of this package when left out.
        dry_run: only report the SQL that would run.
        reapply: apply functions, triggers, policies and grants even though they are recorded as up to date; puts back
            what was changed by hand.
        downgrade: replace the functions of a newer version, too, and drop those that only the newer version has. Its
            migrations cannot be taken back: a database that has one this package does not know is refused all the same.
        wait: how long, in seconds, to wait for another installation to finish.

    Raises:
        DatabaseIsNewer: a newer package installed the database; it was left as it is.
        InstallError: an applied migration's file was changed, tables of the same names are in the way, the role may not
            install or has more rights than the owner of what is installed, another installation did not finish in time.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(migrate(connection).migrations)
        ['0001_core']
    """
    refuse_more_rights(connection)
    source = source or installed_source(connection)
    if dry_run:
        with connection.transaction(force_rollback=True):
            prepare(connection)
            pending = find_pending(connection, source, reapply=reapply, downgrade=downgrade)
            if pending.is_empty:
                return Applied()
            _refuse_obstacles(connection, source, pending)
            return Applied(
                [file.name for file in pending.migrations],
                pending.reason,
                [step.statement for step in _steps(source, pending)],
            )

    deadline = time.monotonic() + wait
    while True:
        applied: Applied | None = None
        with connection.transaction():
            prepare(connection)
            pending = find_pending(connection, source, reapply=reapply, downgrade=downgrade)
            if not pending.is_empty and scalar(connection, "select pg_try_advisory_xact_lock(%s)", INSTALL_LOCK):
                # Asked again under the lock: somebody may have done the work while we waited.
                pending = find_pending(connection, source, reapply=reapply, downgrade=downgrade)
                applied = apply_pending(connection, source, pending) if not pending.is_empty else None
        if connection.closed:
            # The end of a transaction on a connection that is known to be lost raises nothing, and commits nothing.
            raise psycopg.OperationalError("the connection was lost before the installation was committed")
        if pending.is_empty or applied is not None:
            return applied or Applied()
        if time.monotonic() > deadline:
            raise InstallError(f"another installation did not finish within {wait:.0f} seconds; try again later")
        # Polled, in a transaction of its own each time: a waiter holds no snapshot that blocks the one at work.
        time.sleep(0.1)


def status(connection: Connection, *, source: Source | None = None) -> Status:
    """Tell what is installed and what is pending, without changing anything.

    Raises:
        InstallError: as `migrate`, but not because the database is newer.
    """
    refuse_more_rights(connection)
    source = source or installed_source(connection)
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        history: list[dict[str, Any]] = []
        if _is_installed(connection):
            cursor = connection.cursor(row_factory=dict_row)
            history = cursor.execute(script.query("history")).fetchall()
        trusted = trusted_roles(connection)
        if _is_installed(connection) and scalar(connection, script.query("everybody_is_trusted")):
            trusted.insert(0, "PUBLIC")
        # A version before has no such table; tables that `uninstall --keep-data` left have no view of therapists.
        is_counted = scalar(
            connection,
            "select num_nulls(to_regclass('bookingdb.therapists_with_hours'), to_regclass('bookingdb.therapists')) = 0",
        )
        always_open = scalar(connection, script.query("always_open")) if is_counted else None
        try:
            return Status(history, find_pending(connection, source), trusted=trusted, always_open=always_open)
        except DatabaseIsNewer as error:
            return Status(history, Pending((), None), newer=str(error), trusted=trusted, always_open=always_open)


def find_pending(connection: Connection, source: Source, *, reapply: bool = False, downgrade: bool = False) -> Pending:
    """Compare a database's history with the files.

    Raises:
        DatabaseIsNewer: the history is of a newer version.
        InstallError: the two contradict each other.
    """
    if not _is_installed(connection):
        return Pending(source.migrations, script.REASON_AT_FIRST)
    row = connection.execute(script.pending_query(source, reapply=reapply, downgrade=downgrade)).fetchone()
    assert row is not None
    problem, is_newer, is_kept, pending, reason = row
    if problem:
        raise (DatabaseIsNewer if is_newer else InstallError)(problem)
    migrations = tuple(file for file in source.migrations if file.name in pending)
    return Pending(migrations, reason, is_downgrade=is_newer, is_kept=is_kept)


def recorded_set(connection: Connection) -> tuple[str, dict[str, Any]] | None:
    """The function set applied last: its checksum, and adapter, signatures and roles as they were then."""
    if not _is_installed(connection):
        return None
    row = connection.execute(
        "select h.checksum, h.details from bookingdb.history as h where h.kind = 'functions' order by h.id desc limit 1"
    ).fetchone()
    return (row[0], row[1]) if row else None


def installed_source(connection: Connection) -> Source:
    """The files of this package, with the adapter that this database was installed with.

    Raises:
        SourceError: the adapter is not one of this package's, and its text was not recorded.
    """
    try:
        with connection.transaction(force_rollback=True):
            recorded = recorded_set(connection)
            name = recorded[1]["adapter"] if recorded else DEFAULT_ADAPTER
            own = None
            if name != DEFAULT_ADAPTER and scalar(connection, "select to_regclass('bookingdb.adoption') is not null"):
                own = connection.execute(
                    "select a.adopted ->> 'text' from bookingdb.adoption as a where a.kind = 'adapter'"
                ).fetchone()
    except psycopg.Error:
        # A role without privileges is refused by the next step.
        return load()
    return replace(load(), adapter=own_adapter(Path(f"{name}.sql"), own[0])) if own else load(adapter=name)


def is_adopted(connection: Connection) -> bool:
    """Tell whether the tables are an application's, taken over by `bookingdb adopt`."""
    if not scalar(connection, "select to_regclass('bookingdb.adoption') is not null"):
        return False
    return bool(scalar(connection, "select exists (select from bookingdb.adoption as a where a.kind = 'plan')"))


def for_database(connection: Connection, source: Source, *, reads_tables: bool = True) -> Source:
    """Return what a database must have of these files: the functions of the room adoption only where it needs them.

    One of these functions speaks for all of them where the record of the adoption cannot be read, or must not be.
    """
    try:
        with connection.transaction():
            is_needed = scalar(connection, script.needs_adoption_query(source, reads_tables=reads_tables))
    except psycopg.Error:
        is_needed = scalar(connection, script.needs_adoption_query(source, reads_tables=False))
    return source if is_needed else source.without_adoption


def accepted_differences(connection: Connection) -> set[tuple[str, str, str]]:
    """Return how an adopted database differs from a new one, because its application has it so.

    Each difference has group, object and problem, as `verify` and `lint` tell them.
    """
    try:
        with connection.transaction():
            rows = connection.execute(script.query("accepted_differences")).fetchall()
    except psycopg.Error:
        # There is no such table, or no right to read it.
        return set()
    return set(rows)


def _steps(source: Source, pending: Pending) -> Iterator[script.Step]:
    return script.installation(source, pending.migrations, takes_up=pending.is_kept, downgrade=pending.is_downgrade)


def apply_pending(connection: Connection, source: Source, pending: Pending) -> Applied:
    """Apply what is pending, inside a transaction that was prepared and has the lock of installations.

    Raises:
        InstallError: something is in the way, or cannot be locked, or the role may not.
    """
    _refuse_obstacles(connection, source, pending)
    applied = Applied([file.name for file in pending.migrations], pending.reason)
    if pending.is_kept or (pending.migrations and _is_installed(connection)):
        _lock_tables(connection, pending)
    limit_lock_wait(connection)
    for step in _steps(source, pending):
        applied.statements.append(step.statement)
        try:
            with refusals(step.place):
                connection.execute(step.statement)
        except psycopg.Error as error:
            raise InstallError(FAILED % (step.place, error.diag.message_primary or error)) from error
    # Once more: somebody may have made one meanwhile.
    _refuse_other_owners(connection, source)
    _refuse_strays(connection, source)
    recorded = recorded_set(connection)
    details = recorded[1] if recorded else {}
    for name in ("carried_over", "not_carried_over", "trusted_again", "not_trusted_again"):
        setattr(applied, name, details.get(name, []))
    return applied


def _lock_tables(connection: Connection, pending: Pending) -> None:
    """Take the tables that the migrations name (and those that were kept) at once, before each takes its own.

    A migration that holds some tables and waits for others would deadlock with a booking. So the tables are taken in
    the order in which bookings write. Each try takes less than Postgres's deadlock_timeout, and gives back what it has.

    Raises:
        InstallError: not within `LOCK_TIMEOUT` seconds of trying.
    """
    named = {name for file in pending.migrations for name in re.findall(r"\b(?:public|bookingdb)\.[a-z_]+", file.text)}
    if pending.is_kept:
        named.update(f"public.{name}" for name in script.PUBLIC_TABLES)
    rows = connection.execute(script.query("lockable_tables"))
    order = {name: place for place, name in enumerate(_WRITE_ORDER)}
    tables = sorted((name for (name,) in rows if name in named), key=lambda name: order.get(name, -1))
    if not tables:
        return
    names = ", ".join(tables)
    before_deadlock = scalar(
        connection, "select extract(epoch from current_setting('deadlock_timeout')::interval)::float8 / 2"
    )
    patience = min(_LOCK_PATIENCE, before_deadlock)
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            with connection.transaction():
                # The statement below locks all tables, so this limits the wait for all of them together.
                configure(connection, "statement_timeout", f"{patience * 1000:.0f}ms")
                connection.execute(f"lock table {names} in access exclusive mode")
        except (psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected) as error:
            if time.monotonic() > deadline:
                place = f"sql/{pending.migrations[0].path}" if pending.migrations else "kept tables"
                raise InstallError(NOT_LOCKED % place) from error
            time.sleep(random.uniform(0, patience))
        else:
            configure(connection, "statement_timeout", "0")
            return


def _refuse_obstacles(connection: Connection, source: Source, pending: Pending) -> None:
    """Refuse to install beside an application's tables or functions, and over what is not the owner's."""
    is_installed = _is_installed(connection)
    if not is_installed or pending.is_kept:
        obstacle = scalar(connection, script.obstacle_query(source, str(pending.is_kept).lower()))
        if obstacle:
            raise InstallError(obstacle)
    if is_installed:
        _refuse_other_owners(connection, source)
        _refuse_strays(connection, source, is_before=True)


def _refuse_other_owners(connection: Connection, source: Source) -> None:
    """Refuse what does not belong to the owner: whoever owns it could change it after it was replaced."""
    if problem := scalar(connection, script.other_owners_query(source)):
        raise InstallError(problem)


def _refuse_strays(connection: Connection, source: Source, *, is_before: bool = False) -> None:
    """Refuse functions of ours that no file defines."""
    rows = connection.execute(script.strays_query(source, is_before=is_before)).fetchall()
    if rows:
        raise InstallError(script.STRAYS % ", ".join(name for (name,) in rows))


def existing_triggers(connection: Connection) -> dict[tuple[str, str], str]:
    """Definitions of our triggers by table and name, quoted where they must be; one that is switched off says so."""
    return _existing(connection, "triggers")


def existing_policies(connection: Connection) -> dict[tuple[str, str], str]:
    """Definitions of the row policies on our tables, by table and name, quoted where they must be."""
    return _existing(connection, "row_policies")


def _existing(connection: Connection, group: str) -> dict[tuple[str, str], str]:
    rows = connection.execute(script.attached_query(group))
    return {(table, name): definition for table, name, definition in rows}


def tables_with_row_security(connection: Connection) -> set[str]:
    """The tables, as ``schema.name``, that have row level security switched on."""
    return {name for (name,) in connection.execute(script.query("tables_with_row_security"))}


def stray_functions(connection: Connection, source: Source, *, reads_history: bool = True) -> list[str]:
    """List functions of ours that no file defines, as `script.strays_query` does."""
    return [name for (name,) in connection.execute(script.strays_query(source, reads_history=reads_history))]


def _is_installed(connection: Connection) -> bool:
    return bool(scalar(connection, script.IS_INSTALLED))


def granted_roles(connection: Connection) -> list[str]:
    """The roles that our grants name: those of KNOWN_ROLES that the server has, and trusted ones; sorted."""
    return list(scalar(connection, f"select {script.GRANTED_ROLES}"))


def trusted_roles(connection: Connection) -> list[str]:
    """The roles to which the right to act for anyone was granted, sorted. The owner and superusers need no grant."""
    return sorted(name for (name,) in connection.execute(script.TRUSTED_ROLES))
