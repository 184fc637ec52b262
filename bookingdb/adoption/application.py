"""The application's side of an adoption: its tables, functions and rights, read from the catalogue.

Everything has the name that SQL knows it by (quoted where it must be). Definitions are Postgres's own, made with an
empty search_path, so that they can be run again as they stand.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import class_row

from bookingdb.adoption.plpgsql_text import readable
from bookingdb.adoption.statements import query, quoted
from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection, scalar

# Applications may keep hours in these tables, besides the four.
SCHEDULE_TABLES = ("availability_weekly_schedules", "availability_overrides")
# Roles of those who come from outside.
CALLERS = ("public", "anon", "authenticated")
# Tables of money: nobody from outside writes them.
MONEY = ("user_credits", "booking_audit_log")
# The schema of what is prepared for an adoption that has not happened (`prepare`).
PREPARING = "bookingdb_preparing"
# Columns of sessions that say when one takes place.
TIMES = frozenset({"start_time", "end_time", "scheduled_date", "scheduled_time", "session_date", "session_time"})


@dataclass(frozen=True)
class Column:
    """A column: its type as SQL writes it, its default as an expression."""

    table: str
    name: str
    type: str
    not_null: bool
    default: str | None
    generated: bool
    category: str

    @property
    def kind(self) -> str:
        """Its type without the precision of a time: Rails has ``timestamp(6)`` everywhere, Prisma ``timestamp(3)``."""
        return re.sub(r"^(time(?:stamp)?)\(\d\)", r"\1", self.type)

    @property
    def quoted(self) -> str:
        """Its name as SQL."""
        return quoted(self.name)

    def alter(self, clause: str) -> str:
        """Write the statement that changes it: ``set not null``."""
        return f"alter table public.{self.table} alter column {self.quoted} {clause}"


@dataclass(frozen=True)
class Constraint:
    """A constraint: ``kind`` is one of c (check), f (foreign key), p (primary key), u (unique), x (exclusion)."""

    table: str
    name: str
    kind: str
    columns: list[str]
    definition: str
    target: str | None

    @property
    def label(self) -> str:
        """The kind and the name, as in a plan."""
        return f"constraint {self.name} on public.{self.table}"

    @property
    def removal(self) -> str:
        """The statement that drops it."""
        return f"alter table public.{self.table} drop constraint {self.name}"

    @property
    def making(self) -> str:
        """The statement that makes it again."""
        return f"alter table public.{self.table} add constraint {self.name} {readable(self.definition)}"

    @property
    def condition(self) -> str:
        """The condition of a CHECK."""
        return self.definition.removeprefix("CHECK ").removesuffix(" NOT VALID").removesuffix(" NO INHERIT")

    @property
    def listed_values(self) -> list[str]:
        """The texts that its definition names."""
        return re.findall(r"'((?:[^']|'')*)'", self.definition)


@dataclass(frozen=True)
class Index:
    """An index that belongs to no constraint; ``columns`` are its key columns, '' where one is an expression."""

    table: str
    name: str
    columns: list[str]
    is_unique: bool
    definition: str
    bare_definition: str

    @property
    def label(self) -> str:
        """The kind and the name, as in a plan."""
        return f"index public.{self.name}"


@dataclass(frozen=True)
class Trigger:
    """A trigger of the application; ``source`` is the body of its function."""

    table: str
    name: str
    definition: str
    enabled: str
    function: str
    function_settings: list[str]
    source: str
    is_before: bool

    @property
    def label(self) -> str:
        """The kind and the name, as in a plan."""
        return f"trigger {self.name} on public.{self.table}"

    @property
    def disabling(self) -> str:
        """The statement that switches it off."""
        return f"alter table public.{self.table} disable trigger {self.name}"

    @property
    def enabling(self) -> str:
        """The statement that switches it on as it was; it must have been on."""
        how = {"O": "enable", "R": "enable replica", "A": "enable always"}[self.enabled]
        return f"alter table public.{self.table} {how} trigger {self.name}"


@dataclass(frozen=True)
class Function:
    """A function of the schema public; ``definition`` makes it again, ``acl`` is who may run it, as SQL grants it."""

    signature: str
    name: str
    kind: str
    argument_names: list[str]
    argument_types: list[str]
    result: str
    language: str
    source: str
    definition: str
    owner: str
    comment: str | None
    grants: list[str]
    callers: list[str]
    is_definer: bool
    is_volatile: bool
    dependents: list[str]

    @property
    def label(self) -> str:
        """The kind and the name, as SQL."""
        return f"{self.kind} {self.signature}"


@dataclass(frozen=True)
class RowPolicy:
    """A row level security policy; ``callers`` are those of `CALLERS` whom it is for."""

    table: str
    name: str
    command: str
    is_permissive: bool
    using: str | None
    check: str | None
    callers: list[str]
    definition: str

    @property
    def label(self) -> str:
        """The kind and the name, as in a plan."""
        return f"policy {self.name} on public.{self.table}"

    @property
    def removal(self) -> str:
        """The statement that drops it."""
        return f"drop {self.label}"


@dataclass(frozen=True)
class Relation:
    """A table (or what stands in its place), and who may do what with it and its sequences, as GRANT statements."""

    name: str
    kind: str
    owner: str
    is_unlogged: bool
    row_security: bool
    forces_row_security: bool
    grants: list[str]
    sequence_grants: list[str]
    rows: int


@dataclass(frozen=True)
class Application:
    """All of it. Tables and columns are looked up by their bare names: ``app.column("sessions", "status")``."""

    relations: dict[str, Relation]
    columns: dict[str, dict[str, Column]]
    constraints: list[Constraint]
    indexes: list[Index]
    triggers: list[Trigger]
    functions: list[Function]
    policies: list[RowPolicy]
    extension_schema: str | None
    has_extensions_schema: bool
    roles: list[str] = field(default_factory=list)

    def structure(self) -> dict[str, Any]:
        """Return all of it but the numbers of rows, which change while the application works."""
        found = asdict(self)
        for relation in found["relations"].values():
            del relation["rows"]
        return found

    def has(self, table: str) -> bool:
        """Tell whether the application has this table."""
        return table in self.relations

    def column(self, table: str, name: str) -> Column | None:
        """A column of a table, if there is one."""
        return self.columns.get(table, {}).get(name)

    def type_of(self, table: str, name: str) -> str | None:
        """The type of a column without its precision, if there is one."""
        column = self.column(table, name)
        return column.kind if column else None

    @cached_property
    def tables(self) -> list[str]:
        """Those of our tables' names that the application has, in the order in which we name them."""
        return [name for name in PUBLIC_TABLES if name in self.relations]

    def called(self, name: str) -> list[Function]:
        """The functions of this name."""
        return [function for function in self.functions if function.name == name]


_PRIVILEGES = query("application/privileges")
_GRANTS = query("application/grants", privileges=_PRIVILEGES)


def inspect(connection: Connection) -> Application:
    """Read all of it. The transaction must have been made ready with `session.prepare`."""

    def read(name: str, kind: type[Any]) -> list[Any]:
        return _read(connection, name, kind, tables=[*PUBLIC_TABLES, *SCHEDULE_TABLES])

    columns: dict[str, dict[str, Column]] = {}
    for column in read("columns", Column):
        columns.setdefault(column.table, {})[column.name] = column
    prepared = _prepared(connection)
    extension = scalar(connection, query("application/extension_schema"))
    has_schema = bool(scalar(connection, "select to_regnamespace('extensions') is not null"))
    return Application(
        relations={relation.name: relation for relation in read("relations", Relation)},
        columns=columns,
        constraints=read("constraints", Constraint),
        indexes=[each for each in read("indexes", Index) if ("index", each.name) not in prepared],
        triggers=read("triggers", Trigger),
        functions=read("functions", Function),
        policies=read("row_policies", RowPolicy),
        extension_schema=None if ("extension", "btree_gist") in prepared else extension,
        has_extensions_schema=has_schema and ("schema", "extensions") not in prepared,
        roles=_listed(connection, "roles"),
    )


def _prepared(connection: Connection) -> set[tuple[str, str]]:
    """Return kind and name of what was prepared for the adoption, and is not the application's."""
    if not scalar(connection, "select to_regclass(%s) is not null", f"{PREPARING}.made"):
        return set()
    return set(connection.execute(query("application/prepared")))


def _read(connection: Connection, name: str, kind: type[Any], /, **values: object) -> list[Any]:
    """Run a query of the folder application; each row makes an object of this class."""
    text = query(f"application/{name}", callers=CALLERS, grants=_GRANTS, privileges=_PRIVILEGES, **values)
    return connection.cursor(row_factory=class_row(kind)).execute(text).fetchall()


def _listed(connection: Connection, name: str, /, **values: object) -> list[str]:
    """Run a query of the folder application that has one column."""
    return [value for (value,) in connection.execute(query(f"application/{name}", **values))]


@dataclass(frozen=True)
class Dependent:
    """An object that names a column whose type changes, and so must be dropped and made again."""

    removal: str
    making: list[str]

    @property
    def name(self) -> str:
        """The kind and the name, as in ``view public.upcoming``."""
        return self.removal.removeprefix("drop ")


def dependents(connection: Connection, table: str, columns: list[str]) -> list[Dependent]:
    """List the views that name these columns of a table of public, the outermost first."""
    found: list[Dependent] = _read(connection, "dependents", Dependent, table=f"public.{table}", columns=columns)
    return found


def policies_elsewhere(connection: Connection, table: str, columns: list[str]) -> list[Dependent]:
    """List the row policies of other tables that name these columns of a table of public."""
    values = {"table": f"public.{table}", "columns": columns}
    found: list[Dependent] = _read(connection, "policies_elsewhere", Dependent, **values)
    return found


def obstacles(connection: Connection, table: str, columns: list[str]) -> list[str]:
    """List what keeps Postgres from changing the types of these columns and cannot be made again."""
    return _listed(connection, "obstacles", table=f"public.{table}", columns=columns)


def users_of_view(connection: Connection, view: str) -> list[str]:
    """List the functions and row policies that keep a view from being made again."""
    return _listed(connection, "users_of_view", view=view)


@dataclass(frozen=True)
class Opening:
    """A view through which callers write a table as the view's owner: row level security does not bind them."""

    view: str
    table: str
    roles: list[str]
    grants: list[str]


def openings(connection: Connection, tables: list[str]) -> list[Opening]:
    """List the views over these tables of public that callers may write."""
    found: list[Opening] = _read(connection, "openings", Opening, tables=tables)
    return found


def bodies(connection: Connection) -> list[tuple[str, str]]:
    """List name and text of the functions of all schemas, but for triggers and those of the server or extensions."""
    return connection.execute(query("application/bodies")).fetchall()


def triggers_elsewhere(connection: Connection) -> list[tuple[str, str, str, bool]]:
    """List the triggers of other tables: name, table, text of the function, whether it runs as its owner."""
    return connection.execute(query("application/triggers_elsewhere", tables=PUBLIC_TABLES)).fetchall()


def referring(connection: Connection, constraint: Constraint) -> list[str]:
    """List the foreign keys that rest on a unique constraint of a table of public."""
    return _listed(connection, "referring", table=f"public.{constraint.table}", name=constraint.name)


def namesakes(connection: Connection) -> list[str]:
    """Say that there is a schema bookingdb without a history, if there is one."""
    row = connection.execute("select to_regnamespace('bookingdb') is not null").fetchone()
    return ["there is a schema bookingdb already; bookingdb needs that name for itself"] if row and row[0] else []


def peculiarities(connection: Connection, table: str) -> list[str]:
    """Say what makes a table of public more than its rows: rules that rewrite what is written, inheritance."""
    return _listed(connection, "peculiarities", table=f"public.{table}")


def comments(connection: Connection) -> list[str]:
    """Make the COMMENT statements of constraints, indexes, triggers, policies and views, which may be made again."""
    return _listed(connection, "comments")


def restore_comments(connection: Connection, statements: list[str]) -> None:
    """Put comments back on what was made again; skip those of objects that are gone."""
    for statement in statements:
        with (
            contextlib.suppress(psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable),
            connection.transaction(),
        ):
            connection.execute(statement)
