"""What an application's database has where bookingdb would be: read from its catalogue, whatever it looks like.

Everything has the name that SQL knows it by (quoted where it must be). Definitions are Postgres's own, made with an
empty search_path, so that they can be run again as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, LiteralString

from psycopg.rows import class_row, dict_row

from bookingdb.installer import Connection
from bookingdb.steps import PUBLIC_TABLES

# Where applications keep hours, besides the four tables.
SCHEDULE_TABLES = ("availability_weekly_schedules", "availability_overrides")
# Roles that stand for whoever comes from outside.
CALLERS = ("public", "anon", "authenticated")


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


@dataclass(frozen=True)
class Constraint:
    """A constraint: ``kind`` is one of c (check), f (foreign key), p (primary key), u (unique), x (exclusion)."""

    table: str
    name: str
    kind: str
    columns: list[str]
    definition: str
    target: str | None


@dataclass(frozen=True)
class Index:
    """An index that belongs to no constraint; ``columns`` are its key columns, '' where one is an expression."""

    table: str
    name: str
    columns: list[str]
    is_unique: bool
    definition: str
    bare_definition: str


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
    dependents: list[str]


@dataclass(frozen=True)
class Policy:
    """A row level security policy; ``callers`` are those of `CALLERS` whom it is for."""

    table: str
    name: str
    command: str
    is_permissive: bool
    using: str | None
    check: str | None
    callers: list[str]
    definition: str


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
    policies: list[Policy]
    extension_schema: str | None
    has_extensions_schema: bool
    roles: list[str] = field(default_factory=list)

    def has(self, table: str) -> bool:
        """Whether the application has this table."""
        return table in self.relations

    def column(self, table: str, name: str) -> Column | None:
        """A column of a table, if there is one."""
        return self.columns.get(table, {}).get(name)

    def type_of(self, table: str, name: str) -> str | None:
        """The type of a column, if there is one."""
        column = self.column(table, name)
        return column.type if column else None

    @cached_property
    def tables(self) -> list[str]:
        """Those of our tables' names that the application has, in the order in which we name them."""
        return [name for name in PUBLIC_TABLES if name in self.relations]

    def called(self, name: str) -> list[Function]:
        """The functions of this name."""
        return [function for function in self.functions if function.name == name]


_RELATIONS: LiteralString = """
    select c.relname::text as name, c.relkind::text as kind, quote_ident(pg_get_userbyid(c.relowner)) as owner,
        c.relpersistence = 'u' as is_unlogged, c.relrowsecurity as row_security,
        c.relforcerowsecurity as forces_row_security,
        greatest(c.reltuples, 0)::bigint as rows,
        array(
            select format(
                'grant %%s%%s on table %%s to %%s%%s', a.privilege_type, ' (' || quote_ident(a.attname) || ')',
                format('%%I.%%I', n.nspname, c.relname),
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
            from (
                select null as attname, 0 as attnum, e.ordinality, e.grantee, e.privilege_type, e.is_grantable
                from aclexplode(c.relacl) with ordinality as e
                union all
                select t.attname, t.attnum, e.ordinality, e.grantee, e.privilege_type, e.is_grantable
                from pg_attribute as t
                cross join lateral aclexplode(t.attacl) with ordinality as e
                where t.attrelid = c.oid and not t.attisdropped
            ) as a
            where a.grantee <> c.relowner
            order by a.attnum, a.ordinality
        ) as grants,
        array(
            select format(
                'grant %%s on sequence %%s to %%s%%s', a.privilege_type, q.oid::regclass,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
            from pg_depend as d
            inner join pg_class as q on q.oid = d.objid and q.relkind = 'S'
            cross join lateral aclexplode(q.relacl) with ordinality as a
            where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                and d.refobjid = c.oid and d.deptype in ('a', 'i') and a.grantee <> q.relowner
            order by q.relname, a.ordinality
        ) as sequence_grants
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relname = any (%(tables)s) and c.relkind <> 'i'
    order by 1
"""

_COLUMNS: LiteralString = """
    select c.relname::text as "table", a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
        a.attnotnull as not_null, pg_get_expr(d.adbin, d.adrelid) as "default",
        a.attgenerated <> '' or a.attidentity <> '' as generated, y.typtype::text as category
    from pg_class as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    inner join pg_type as y on y.oid = a.atttypid
    left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s) and c.relkind <> 'i'
    order by c.relname, a.attnum
"""

_CONSTRAINTS: LiteralString = """
    select c.relname::text as "table", quote_ident(k.conname) as name, k.contype::text as kind,
        array(
            select a.attname::text from unnest(k.conkey) with ordinality as n (attnum, place)
            inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum order by n.place
        ) as columns,
        pg_get_constraintdef(k.oid) as definition,
        case when k.confrelid <> 0 then k.confrelid::regclass::text end as target
    from pg_constraint as k
    inner join pg_class as c on c.oid = k.conrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s)
        and k.contype in ('c', 'f', 'p', 'u', 'x')
    order by c.relname, k.conname
"""

_INDEXES: LiteralString = """
    select c.relname::text as "table", quote_ident(x.relname) as name,
        array(
            select coalesce(a.attname::text, '')
            from unnest(i.indkey::smallint[]) with ordinality as n (attnum, place)
            left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = n.attnum
            where n.place <= i.indnkeyatts
            order by n.place
        ) as columns,
        i.indisunique as is_unique,
        pg_get_indexdef(i.indexrelid) as definition,
        replace(pg_get_indexdef(i.indexrelid), ' INDEX ' || quote_ident(x.relname) || ' ON ', ' INDEX ON ')
            as bare_definition
    from pg_index as i
    inner join pg_class as x on x.oid = i.indexrelid
    inner join pg_class as c on c.oid = i.indrelid
    where c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s)
        and not exists (
            select from pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
        )
    order by c.relname, x.relname
"""

_TRIGGERS: LiteralString = """
    select c.relname::text as "table", quote_ident(t.tgname) as name, pg_get_triggerdef(t.oid) as definition,
        t.tgenabled::text as enabled, p.oid::regprocedure::text as function,
        coalesce(p.proconfig, '{}') as function_settings, p.prosrc as source, (t.tgtype & 2) <> 0 as is_before
    from pg_trigger as t
    inner join pg_class as c on c.oid = t.tgrelid
    inner join pg_proc as p on p.oid = t.tgfoid
    where not t.tgisinternal and c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s)
    order by c.relname, t.tgname
"""

# Everything public has of its own, but what only an extension brought, and aggregates.
_FUNCTIONS: LiteralString = """
    select p.oid::regprocedure::text as signature, p.proname::text as name,
        case p.prokind when 'p' then 'procedure' else 'function' end as kind,
        coalesce(p.proargnames[1:p.pronargs], array[]::text[]) as argument_names,
        array(
            select format_type(a.type, null) from unnest(p.proargtypes::oid[]) with ordinality as a (type, place)
            order by a.place
        ) as argument_types,
        coalesce(pg_get_function_result(p.oid), '') as result, l.lanname::text as language, p.prosrc as source,
        pg_get_functiondef(p.oid) as definition,
        quote_ident(pg_get_userbyid(p.proowner)) as owner, obj_description(p.oid, 'pg_proc') as comment,
        array(
            select format(
                'grant execute on %%s %%s to %%s%%s',
                case p.prokind when 'p' then 'procedure' else 'function' end, p.oid::regprocedure,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
            from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) with ordinality as a
            where a.grantee <> p.proowner
            order by a.ordinality
        ) as grants,
        array(
            select k.role from unnest(%(callers)s::text[]) as k (role)
            where case when k.role = 'public' then exists (
                    select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = 0
                )
                else exists (
                    select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
                    where a.grantee = to_regrole(k.role)
                ) end
        ) as callers,
        p.prosecdef as is_definer,
        array(
            select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
            from pg_depend as d
            where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and d.deptype = 'n'
            order by 1
        ) as dependents
    from pg_proc as p
    inner join pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p')
        and not exists (
            select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
    order by 1
"""

_POLICIES: LiteralString = """
    select p.tablename::text as "table", quote_ident(p.policyname) as name, lower(p.cmd) as command,
        p.permissive = 'PERMISSIVE' as is_permissive, p.qual as using, p.with_check as check,
        array(
            select k.role from unnest(%(callers)s::text[]) as k (role) where k.role = any (p.roles::text[])
        ) as callers,
        format(
            'create policy %%I on %%I.%%I%%s for %%s to %%s', p.policyname, p.schemaname, p.tablename,
            case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end, lower(p.cmd),
            (
                select string_agg(case when r.name = 'public' then 'public' else quote_ident(r.name) end, ', ')
                from unnest(p.roles::text[]) as r (name)
            )
        )
        || coalesce(' using (' || p.qual || ')', '') || coalesce(' with check (' || p.with_check || ')', '')
        as definition
    from pg_policies as p
    where p.schemaname = 'public' and p.tablename = any (%(tables)s)
    order by 1, 2
"""


def inspect(connection: Connection) -> Application:
    """Read all of it. The transaction must have been made ready with `installer.prepare`."""
    parameters = {"tables": [*PUBLIC_TABLES, *SCHEDULE_TABLES], "callers": list(CALLERS)}

    def rows(query: LiteralString, kind: type[Any]) -> list[Any]:
        return connection.cursor(row_factory=class_row(kind)).execute(query, parameters).fetchall()

    columns: dict[str, dict[str, Column]] = {}
    for column in rows(_COLUMNS, Column):
        columns.setdefault(column.table, {})[column.name] = column
    extension = connection.execute(
        "select n.nspname::text from pg_extension as e inner join pg_namespace as n on n.oid = e.extnamespace"
        " where e.extname = 'btree_gist'"
    ).fetchone()
    has_schema = connection.execute("select to_regnamespace('extensions') is not null").fetchone()
    roles = connection.execute(
        "select r.rolname::text from pg_roles as r where r.rolname in ('anon', 'authenticated', 'service_role')"
        " order by 1"
    )
    return Application(
        relations={relation.name: relation for relation in rows(_RELATIONS, Relation)},
        columns=columns,
        constraints=rows(_CONSTRAINTS, Constraint),
        indexes=rows(_INDEXES, Index),
        triggers=rows(_TRIGGERS, Trigger),
        functions=rows(_FUNCTIONS, Function),
        policies=rows(_POLICIES, Policy),
        extension_schema=extension[0] if extension else None,
        has_extensions_schema=bool(has_schema and has_schema[0]),
        roles=[name for (name,) in roles],
    )


@dataclass(frozen=True)
class Dependent:
    """A view, policy or trigger that names a column whose type changes, and so has to be made again."""

    removal: str
    making: list[str]


def dependents(connection: Connection, table: str, columns: list[str]) -> list[Dependent]:
    """Views (the innermost first) and triggers that name these columns of a table of public."""
    query: LiteralString = """
        with recursive found (oid, depth) as (
            select distinct r.ev_class, 1
            from pg_depend as d
            inner join pg_rewrite as r on r.oid = d.objid
            inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
            where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
                and d.refobjid = to_regclass(%(table)s) and a.attname = any (%(columns)s)
            union
            select r.ev_class, f.depth + 1
            from found as f
            inner join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = f.oid
                and d.classid = 'pg_rewrite'::regclass
            inner join pg_rewrite as r on r.oid = d.objid
            where r.ev_class <> f.oid
        ),
        views as (
            select f.oid, max(f.depth) as depth from found as f group by f.oid
        )
        select format('drop %%sview %%s', m.kind, v.oid::regclass) as removal,
            array[
                format(
                    'create %%sview %%s%%s as %%s', m.kind, v.oid::regclass,
                    ' with (' || array_to_string(c.reloptions, ', ') || ')', pg_get_viewdef(v.oid)
                ),
                format('alter %%sview %%s owner to %%I', m.kind, v.oid::regclass, pg_get_userbyid(c.relowner)),
                format('revoke all on %%s from public', v.oid::regclass)
            ] || array(
                select format(
                    'grant %%s on %%s to %%s', a.privilege_type, v.oid::regclass,
                    case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
                )
                from aclexplode(c.relacl) with ordinality as a
                where a.grantee <> c.relowner
                order by a.ordinality
            ) as making
        from views as v
        inner join pg_class as c on c.oid = v.oid
        cross join lateral (select case c.relkind when 'm' then 'materialized ' else '' end as kind) as m
        order by v.depth desc, 1
    """
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(query, {"table": f"public.{table}", "columns": columns}).fetchall()
    return [Dependent(**row) for row in found]


def comments(connection: Connection) -> list[str]:
    """The comments on constraints, indexes, triggers, policies and views, which may have to be made anew."""
    rows = connection.execute(
        """
        select format(
            'comment on %s %s is %L',
            case
                when o.type = 'table constraint' then 'constraint'
                when o.type like '%%column' then 'column'
                else o.type
            end,
            o.identity, d.description
        )
        from pg_description as d
        cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) as o
        where o.type in (
                'table constraint', 'index', 'trigger', 'policy', 'view', 'materialized view', 'view column',
                'materialized view column'
            )
            and o.identity ~ '(^| on )public\\.'
        order by 1
        """.replace("%%", "%")
    )
    return [statement for (statement,) in rows]
