"""Prepares what needs no lock before an adoption: indexes of the application's tables, and the calendar.

Building these takes most of the time if there are many sessions, and the application need not wait for it. All that is
made is recorded in the schema ``bookingdb_preparing`` before it is made: an adoption that is killed, or fails,
leaves it; `apply` goes on with it and `undo` removes it. The application's writers notice nothing but the upkeep of a
few more indexes. CHECKs and unique indexes are not prepared: they would refuse the application's writes before anything
is adopted, and to look at a million rows under the lock takes a second.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg

from bookingdb.adoption import application, damage
from bookingdb.adoption.application import PREPARING
from bookingdb.adoption.plan.draft import COLUMNS, STRENGTHENING, Change, Plan
from bookingdb.adoption.readings import active_statuses, readings
from bookingdb.adoption.statements import query
from bookingdb.adoption.transaction import changing, lock_installation, lock_tables
from bookingdb.install.session import Connection, scalar

if TYPE_CHECKING:
    from bookingdb.install.source import Catalogue, Source

# With fewer sessions everything takes a second or two.
MANY = 20_000
# Building an index waits for every transaction that is open; after so many seconds it is left to the adoption.
PATIENCE = 60.0
_CALENDAR = "bookingdb.calendar"


def is_under_way(connection: Connection) -> bool:
    """Tell whether something is prepared for an adoption that has not happened."""
    return bool(scalar(connection, "select to_regclass(%s) is not null", f"{PREPARING}.made"))


def prepare(connection: Connection, plan: Plan, source: Source, announce: Callable[[str], None]) -> None:
    """Make what can be made before the locks, and announce it, where there are many sessions.

    Raises:
        InstallError: another installation runs, or the role may not.
    """
    if not plan.application.has("sessions"):
        return
    if scalar(connection, "select count(*) from (select from public.sessions as s limit %s) as n", MANY) < MANY:
        return
    announce("preparing indexes and the calendar")
    with changing(connection, "adopt"):
        lock_installation(connection)
        if not is_under_way(connection):
            connection.execute(query("prepare/begin_record"))
    for change in _indexes(plan):
        if not _build(connection, change):
            announce("a transaction is open for long: the other indexes are built under the locks")
            break
    with changing(connection, "adopt"):
        _make_calendar(connection, plan, source)


def _indexes(plan: Plan) -> Iterator[Change]:
    """Yield the indexes that need no other change of their table first."""
    retyped = {each.object.partition(":")[0] for each in plan.changes if each.phase == COLUMNS}
    for change in plan.changes:
        if change.phase == STRENGTHENING and change.object.startswith("index "):
            table = change.statements[0].partition(" ON ")[2].partition(" ")[0]
            is_unique = change.statements[0].startswith("CREATE UNIQUE")
            # The index of the audit log is built after the log was filled.
            if f"columns of {table}" not in retyped and table != "public.booking_audit_log" and not is_unique:
                yield change


def _build(connection: Connection, change: Change) -> bool:
    """Build an index while the application goes on writing; where that fails, the adoption does it.

    Returns:
        False if a transaction was open for so long that there is no point in waiting for it again.
    """
    name = change.object.removeprefix("index public.")
    connection.execute(f"insert into {PREPARING}.made values ('index', %s) on conflict do nothing", [name])
    if change.object in valid_indexes(connection):
        return True
    # A statement that must be alone in its transaction can have no setting of its own through a pooler.
    limit = threading.Timer(PATIENCE, connection.cancel_safe)
    limit.start()
    try:
        connection.execute(f"drop index concurrently if exists public.{name}")
        connection.execute(change.statements[0].replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    except psycopg.errors.QueryCanceled:
        return False
    except psycopg.ProgrammingError:
        # It names a column that the adoption makes.
        return True
    finally:
        limit.cancel()
        limit.join()
    return True


def valid_indexes(connection: Connection) -> set[str]:
    """Return the indexes that are ready, as the plan names them."""
    if not is_under_way(connection):
        return set()
    return {name for (name,) in connection.execute(query("prepare/valid_indexes"))}


def _make_calendar(connection: Connection, plan: Plan, source: Source) -> None:
    """Make the calendar as bookingdb has it, with the sessions that overlap no others."""
    if plan.application.extension_schema is None:
        for kind, name, is_there in (
            ("schema", "extensions", plan.application.has_extensions_schema),
            ("extension", "btree_gist", False),
        ):
            if not is_there:
                connection.execute(f"insert into {PREPARING}.made values (%s, %s) on conflict do nothing", [kind, name])
        connection.execute("create schema if not exists extensions")
        connection.execute("create extension if not exists btree_gist with schema extensions")
    columns, constraints, indexes = _definitions(source.catalogue)
    connection.execute(f"drop table if exists {PREPARING}.calendar")
    connection.execute(f"create table {PREPARING}.calendar ({', '.join(columns)})")
    connection.execute(f"alter table {PREPARING}.calendar enable row level security")
    read = readings(plan.application, damage.complete(plan.answers))
    connection.execute(query("prepare/fill_calendar", readings=read))
    for name, definition in constraints.items():
        connection.execute(f"alter table {PREPARING}.calendar add constraint {name} {definition}")
    for definition in indexes:
        connection.execute(definition.replace(_CALENDAR, f"{PREPARING}.calendar"))
    connection.execute(f"analyze {PREPARING}.calendar")


def _definitions(catalogue: Catalogue) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the columns, the constraints and the other indexes of the calendar as SQL."""
    columns = [
        f"{name.rpartition('.')[2]} {each['type']}"
        + (f" default {each['default']}" if each["default"] else "")
        + (" not null" if each["not_null"] else "")
        for name, each in catalogue["columns"].items()
        if each["table"] == _CALENDAR
    ]
    constraints = {
        name.partition(" on ")[0]: each["definition"]
        for name, each in catalogue["constraints"].items()
        if each["table"] == _CALENDAR
    }
    indexes = [each["definition"] for each in catalogue["indexes"].values() if each["table"] == _CALENDAR]
    return columns, constraints, indexes


def take_over(connection: Connection) -> None:
    """Put the calendar that was prepared in the place of the empty one; its sessions are looked at later."""
    if not is_under_way(connection):
        return
    ready = valid_indexes(connection)
    for kind, name in connection.execute(query("application/prepared")).fetchall():
        if kind == "index" and f"index public.{name}" not in ready:
            connection.execute(f"drop index if exists public.{name}")
    if scalar(connection, "select to_regclass(%s) is not null", f"{PREPARING}.calendar"):
        connection.execute(f"drop table {_CALENDAR}")
        connection.execute(f"alter table {PREPARING}.calendar set schema bookingdb")
    connection.execute(f"drop schema {PREPARING} cascade")


def forget_changed(connection: Connection, plan: Plan) -> None:
    """Take out of the calendar that was prepared what the application or a repair has changed since."""
    connection.execute(query("prepare/forget_changed", active_statuses=active_statuses(plan.answers)))


def remove(connection: Connection) -> None:
    """Remove all that was prepared.

    Raises:
        InstallError: another installation runs, the tables are in use, or the role may not.
    """
    made = connection.execute(query("application/prepared")).fetchall()
    with changing(connection, "adopt --undo"):
        lock_installation(connection)
        lock_tables(connection, [f"public.{name}" for name in application.inspect(connection).tables])
        connection.execute(f"drop schema {PREPARING} cascade")
        # The extension before its schema; somebody else may use either by now.
        for kind, name in sorted(made):
            with contextlib.suppress(psycopg.errors.DependentObjectsStillExist), connection.transaction():
                connection.execute(f"drop {kind} if exists {'public.' if kind == 'index' else ''}{name}")
