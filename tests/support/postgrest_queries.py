"""From requests to queries, as PostgREST makes them; tests/support/postgrest.py says which part of it is here."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import sql

from tests.support import Connection, run

_MAX_ROWS = 1000
_RESERVED = {"select", "order", "limit", "offset", "columns"}
_OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_DIRECTIONS = {"asc": "asc", "desc": "desc", "nullsfirst": "nulls first", "nullslast": "nulls last"}

_FUNCTIONS = """
    select p.provolatile = 'v', p.prorettype = 'void'::regtype, p.proretset,
        t.typtype = 'c' or coalesce(p.proargmodes && '{t,b,o}', false), a.arguments
    from pg_proc as p
    join pg_type as t on t.oid = p.prorettype
    cross join lateral (
        select coalesce(json_agg(json_build_array(
                p.proargnames[i.n], format_type(i.type, null), i.n <= p.pronargs - p.pronargdefaults
            ) order by i.n), '[]') as arguments,
            coalesce(bool_and(p.proargnames[i.n] <> ''), true) as named
        from unnest(p.proargtypes) with ordinality as i (type, n)
    ) as a
    where p.pronamespace = %s::regnamespace and p.proname = %s and p.prokind = 'f' and a.named
    order by p.oid
"""
_COLUMNS = """
    select a.attname, format_type(a.atttypid, null)
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    where c.relnamespace = %s::regnamespace and c.relname = %s and c.relkind in ('r', 'v', 'm', 'f', 'p')
        and a.attnum > 0 and not a.attisdropped
"""


class Refusal(Exception):
    """What the gateway or PostgREST answers without asking the database: status, code, message, details, hint."""


@dataclass(frozen=True)
class Request:
    """A request as the gateway hands it on: names of headers in lower case, the path after /rest/v1."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def parameter(self, name: str) -> str | None:
        return dict(self.query).get(name)

    @property
    def others(self) -> list[tuple[str, str]]:
        """Filters, or the arguments of a function that is called by GET."""
        return [(name, value) for name, value in self.query if name not in _RESERVED]

    @property
    def preferences(self) -> set[str]:
        return set(self.headers.get("prefer", "").replace(" ", "").split(",")) - {""}

    @property
    def wants_one_object(self) -> bool:
        return self.headers.get("accept", "").startswith("application/vnd.pgrst.object+json")


class Plan(NamedTuple):
    """The query whose rows are the answer."""

    query: sql.Composable
    parameters: list[str]
    status: int
    writes: bool = False
    # Whether the body has the rows, or nothing.
    shown: bool = True
    # Whether a row is one value, and whether there is one row by nature.
    scalar: bool = False
    single: bool = False


class Function(NamedTuple):
    volatile: bool
    void: bool
    returns_set: bool
    composite: bool
    # Name, type, and whether every call must have it.
    arguments: list[tuple[str, str, bool]]

    def takes(self, names: Collection[str]) -> bool:
        """Whether a call with arguments of these names is one of this function."""
        required = {name for name, _, is_required in self.arguments if is_required}
        return required <= set(names) <= {name for name, _, _ in self.arguments}


def plan_of(connection: Connection, schema: str, request: Request) -> Plan:
    """What a request asks for.

    Raises:
        Refusal: there is nothing of this name, or this server does not know such a request.
    """
    known = request.preferences <= {"return=minimal", "return=representation"}
    match request.path.split("/"):
        case ["", "rpc", name] if known and request.method in ("GET", "POST"):
            return _function_plan(connection, schema, name, request)
        case ["", name] if known:
            return _table_plan(connection, schema, name, request)
    raise _not_here(f"{request.method} {request.path}, Prefer: {request.headers.get('prefer', '')}")


def _function_plan(connection: Connection, schema: str, name: str, request: Request) -> Plan:
    by_get = request.method == "GET"
    body = json.dumps(dict(request.others)).encode() if by_get else request.body or b"{}"
    values = _parsed(body)
    if not isinstance(values, dict):
        raise _not_here("arguments that are no object")
    function = _find_function(connection, schema, name, sorted(values))

    arguments = _list([sql.SQL("{0} := pgrst_body.{0}").format(sql.Identifier(argument)) for argument in values])
    call = sql.SQL("{}({})").format(sql.Identifier(schema, name), arguments)
    if not function.composite:
        call = sql.SQL("(select {} as pgrst_scalar)").format(call)
    if values:
        types = {argument: type_ for argument, type_, _ in function.arguments}
        call = sql.SQL("{}, lateral {}").format(_rows_of_body(types, list(values), "json_to_record"), call)
    relation = sql.SQL("(select pgrst_call.* from {} as pgrst_call) as pgrst_call").format(call)
    query, compared = _select(relation, sql.Identifier("pgrst_call"), request, [] if by_get else request.others)
    return Plan(
        query,
        [body.decode(), *compared] if values else compared,
        status=204 if function.void else 200,
        writes=function.volatile and not by_get,
        shown=not function.void,
        scalar=not function.composite,
        single=not function.returns_set,
    )


def _find_function(connection: Connection, schema: str, name: str, names: list[str]) -> Function:
    candidates = [Function(*row) for row in run(connection, _FUNCTIONS, schema, name)]
    found = [function for function in candidates if function.takes(names)]
    if len(found) > 1:
        signatures = [", ".join(f"{argument} => {type_}" for argument, type_, _ in each.arguments) for each in found]
        functions = ", ".join(f"{schema}.{name}({signature})" for signature in signatures)
        hint = (
            "Try renaming the parameters or the function itself in the database so function overloading can be resolved"
        )
        message = f"Could not choose the best candidate function between: {functions}"
        raise Refusal(300, "PGRST203", message, None, hint)
    if not found:
        called = f"{schema}.{name}({', '.join(names)})" if names else f"{schema}.{name} without parameters"
        details = (
            f"Searched for the function {schema}.{name}"
            f" {'with parameters ' + ', '.join(names) if names else 'without parameters'}"
            " or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache."
        )
        raise Refusal(404, "PGRST202", f"Could not find the function {called} in the schema cache", details)
    return found[0]


def _table_plan(connection: Connection, schema: str, name: str, request: Request) -> Plan:
    types = dict(run(connection, _COLUMNS, schema, name))
    if not types:
        raise Refusal(404, "PGRST205", f"Could not find the table '{schema}.{name}' in the schema cache")
    table = sql.Identifier(schema, name)
    if request.method == "GET":
        return Plan(*_select(table, table, request, request.others), status=200)
    if request.method not in ("POST", "PATCH", "DELETE") or request.parameter("order") or request.parameter("limit"):
        raise _not_here(f"{request.method}, or a change with an order or a limit")

    parameters: list[str] = []
    if request.method != "DELETE":
        body = _parsed(request.body)
        columns = _columns_of(body)
        for column in columns:
            if column not in types:
                message = f"Could not find the '{column}' column of '{name}' in the schema cache"
                raise Refusal(400, "PGRST204", message)
        values = _rows_of_body(types, columns, "json_to_recordset" if isinstance(body, list) else "json_to_record")
        parameters = [request.body.decode()]

    if request.method == "POST":
        names = _list([sql.Identifier(column) for column in columns])
        change = sql.SQL("insert into {} ({}) select {} from {}").format(table, names, names, values)
    else:
        if request.method == "PATCH":
            assignments = _list([sql.SQL("{0} = pgrst_body.{0}").format(sql.Identifier(column)) for column in columns])
            change = sql.SQL("update {} set {} from {}").format(table, assignments, values)
        else:
            change = sql.SQL("delete from {}").format(table)
        if not request.others:
            # The extension safeupdate, which every project has loaded for its API.
            verb = "UPDATE" if request.method == "PATCH" else "DELETE"
            raise Refusal(400, "21000", f"{verb} requires a WHERE clause")
        where, compared = _where(request.others, table)
        change, parameters = change + where, parameters + compared

    # Columns that nobody asked for are not read, which would take the right to read them.
    shown = "return=representation" in request.preferences
    returning = _columns_wanted(request, table) if shown else sql.SQL("1")
    status = 201 if request.method == "POST" else 200 if shown else 204
    return Plan(sql.SQL("{} returning {}").format(change, returning), parameters, status, writes=True, shown=shown)


def _select(
    relation: sql.Composable, name: sql.Identifier, request: Request, filters: list[tuple[str, str]]
) -> tuple[sql.Composed, list[str]]:
    where, compared = _where(filters, name)
    order = []
    for term in filter(None, (request.parameter("order") or "").split(",")):
        column, *directions = term.split(".")
        if not set(directions) <= _DIRECTIONS.keys():
            raise _not_here(f"order={term}")
        words = " ".join(_DIRECTIONS[direction] for direction in directions)
        order.append(sql.SQL("{}.{} {}").format(name, sql.Identifier(column), sql.SQL(words)))
    query = sql.SQL("select {} from {}{}{} limit {} offset {}").format(
        _columns_wanted(request, name),
        relation,
        where,
        sql.SQL(" order by {}").format(_list(order)) if order else sql.SQL(""),
        min(int(request.parameter("limit") or _MAX_ROWS), _MAX_ROWS),
        int(request.parameter("offset") or 0),
    )
    return query, compared


def _columns_wanted(request: Request, relation: sql.Identifier) -> sql.Composed:
    columns = (request.parameter("select") or "*").split(",")
    if not all(re.fullmatch(r"\w+|\*", column) for column in columns):
        raise _not_here(f"select={','.join(columns)}")
    names = [sql.SQL("*") if column == "*" else sql.Identifier(column) for column in columns]
    return _list([sql.SQL("{}.{}").format(relation, name) for name in names])


def _where(filters: list[tuple[str, str]], relation: sql.Identifier) -> tuple[sql.Composed, list[str]]:
    conditions, compared = [], []
    for column, condition in filters:
        operator, _, value = condition.partition(".")
        if operator not in _OPERATORS:
            raise _not_here(f"{column}={condition}")
        comparison = sql.SQL("{}.{} {} %s").format(relation, sql.Identifier(column), sql.SQL(_OPERATORS[operator]))
        conditions.append(comparison)
        compared.append(value)
    return sql.SQL(" where {}" if conditions else "{}").format(sql.SQL(" and ").join(conditions)), compared


def _columns_of(body: Any) -> list[str]:
    """The columns that a body has values for, every row of it the same."""
    rows = body if isinstance(body, list) else [body]
    if not rows or not all(isinstance(row, dict) and row for row in rows):
        raise _not_here("a body without rows or values")
    if any(row.keys() != rows[0].keys() for row in rows):
        raise Refusal(400, "PGRST102", "All object keys must match")
    return list(rows[0])


def _rows_of_body(types: Mapping[str, str], names: list[str], function: str) -> sql.Composed:
    """The body of the request, a parameter, as rows."""
    columns = _list([sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in names])
    return sql.SQL("{}(%s::json) as pgrst_body ({})").format(sql.SQL(function), columns)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, "PGRST102", "Empty or invalid json") from None


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _not_here(what: str) -> Refusal:
    return Refusal(501, "NOT_HERE", f"The PostgREST of the tests does not know this: {what}")
