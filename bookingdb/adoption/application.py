"""What an application's database has where bookingdb would be: read from its catalogue, whatever it looks like.

Everything has the name that SQL knows it by (quoted where it must be). Definitions are Postgres's own, made with an
empty search_path, so that they can be run again as they stand.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row, dict_row

from bookingdb.install.script import PUBLIC_TABLES
from bookingdb.install.session import Connection

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

    @property
    def kind(self) -> str:
        """Its type without the precision of a time: Rails has ``timestamp(6)`` everywhere, Prisma ``timestamp(3)``."""
        return re.sub(r"^(time(?:stamp)?)\(\d\)", r"\1", self.type)


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
    # What shows a table as it was before some of its rows were mended ahead of the adoption (`mending`).
    as_found: dict[str, str] = field(default_factory=dict)

    def rows_of(self, table: str) -> str:
        """What to read the rows of a table from, as they were found."""
        return self.as_found.get(table, f"public.{table}")

    def has(self, table: str) -> bool:
        """Whether the application has this table."""
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


# What anybody may do with the relation c of pg_class, the whole of it and single columns.
_PRIVILEGES: LiteralString = """(
                select null as attname, 0 as attnum, e.ordinality, e.grantee, e.privilege_type, e.is_grantable
                from aclexplode(c.relacl) with ordinality as e
                union all
                select t.attname, t.attnum, e.ordinality, e.grantee, e.privilege_type, e.is_grantable
                from pg_attribute as t
                cross join lateral aclexplode(t.attacl) with ordinality as e
                where t.attrelid = c.oid and not t.attisdropped
            )"""
# The same as statements, without what is the owner's.
_GRANTS: LiteralString = f"""array(
            select format(
                'grant %%s%%s on table %%s.%%I to %%s%%s', a.privilege_type, ' (' || quote_ident(a.attname) || ')',
                c.relnamespace::regnamespace, c.relname,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
            from {_PRIVILEGES} as a
            where a.grantee <> c.relowner
            order by a.attnum, a.ordinality
        )"""

_RELATIONS: LiteralString = f"""
    select c.relname::text as name, c.relkind::text as kind, quote_ident(pg_get_userbyid(c.relowner)) as owner,
        c.relpersistence = 'u' as is_unlogged, c.relrowsecurity as row_security,
        c.relforcerowsecurity as forces_row_security,
        greatest(c.reltuples, 0)::bigint as rows,
        {_GRANTS} as grants,
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
        coalesce(pg_get_function_result(p.oid), '') as result, l.lanname::text as language,
        coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as source,
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
    """Read all of it. The transaction must have been made ready with `session.prepare`."""
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
    query: LiteralString = f"""
        with recursive found (oid, depth) as (
            select distinct r.ev_class, 1
            from pg_depend as d
            inner join pg_rewrite as r on r.oid = d.objid
            inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
            inner join pg_class as v on v.oid = r.ev_class and v.relkind in ('v', 'm')
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
                    'create %%sview %%s%%s as %%s%%s', m.kind, v.oid::regclass,
                    ' with (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(v.oid), ';'),
                    case when not c.relispopulated then ' with no data' end
                ),
                format('alter %%sview %%s owner to %%I', m.kind, v.oid::regclass, pg_get_userbyid(c.relowner)),
                format('revoke all on %%s from public', v.oid::regclass)
            ]
            -- What default privileges have just given to others than those who had something.
            || array(
                select distinct format('revoke all on %%s from %%I', v.oid::regclass, pg_get_userbyid(a.grantee))
                from pg_default_acl as f
                cross join lateral aclexplode(f.defaclacl) as a
                where f.defaclobjtype = 'r' and a.grantee not in (0, c.relowner)
                order by 1
            )
            || {_GRANTS}
            || array(
                select format(
                    'alter view %%s alter column %%I set default %%s', v.oid::regclass, t.attname,
                    pg_get_expr(e.adbin, e.adrelid)
                )
                from pg_attrdef as e
                inner join pg_attribute as t on t.attrelid = e.adrelid and t.attnum = e.adnum
                where e.adrelid = c.oid
                order by t.attnum
            )
            || array(
                select pg_get_indexdef(i.indexrelid) from pg_index as i where i.indrelid = c.oid order by i.indexrelid
            )
            || array(
                select s.statement
                from pg_trigger as t
                cross join lateral (
                    values (1, pg_get_triggerdef(t.oid)),
                        (2, case when t.tgenabled = 'D'
                            then format('alter table %%s disable trigger %%I', v.oid::regclass, t.tgname) end)
                ) as s (place, statement)
                where t.tgrelid = c.oid and not t.tgisinternal and s.statement is not null
                order by t.tgname, s.place
            ) as making
        from views as v
        inner join pg_class as c on c.oid = v.oid
        cross join lateral (select case c.relkind when 'm' then 'materialized ' else '' end as kind) as m
        order by v.depth desc, 1
    """
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(query, {"table": f"public.{table}", "columns": columns}).fetchall()
    return [Dependent(**row) for row in found]


def bodies(connection: Connection) -> list[tuple[str, str]]:
    """The name and text of every function that is not the server's, an extension's or a trigger's, of any schema."""
    return connection.execute(
        """
        select p.proname::text, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
        from pg_proc as p
        inner join pg_language as l on l.oid = p.prolang and l.lanname not in ('c', 'internal')
        where p.pronamespace <> all (array[to_regnamespace('pg_catalog'), to_regnamespace('information_schema')]::oid[])
            and p.prorettype <> 'trigger'::regtype
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
        order by 1, 2
        """
    ).fetchall()


@dataclass(frozen=True)
class Opening:
    """A view through which callers write a table as the view's owner: row level security does not bind them."""

    view: str
    table: str
    roles: list[str]
    grants: list[str]


def openings(connection: Connection, tables: list[str]) -> list[Opening]:
    """The views over these tables of public that callers may write."""
    query: LiteralString = f"""
        with recursive found (oid, source) as (
            select distinct r.ev_class, d.refobjid
            from pg_depend as d
            inner join pg_rewrite as r on r.oid = d.objid
            where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
                and d.refobjid = any (array(select to_regclass('public.' || t) from unnest(%(tables)s::text[]) as t))
                and d.refobjid <> r.ev_class
            union
            select r.ev_class, f.source
            from found as f
            inner join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = f.oid
                and d.classid = 'pg_rewrite'::regclass
            inner join pg_rewrite as r on r.oid = d.objid
            where r.ev_class <> f.oid
        ),
        granted as (
            select f.oid, f.source, a.grantee, a.privilege_type, a.is_grantable, a.attname, a.attnum, a.ordinality
            from found as f
            inner join pg_class as c on c.oid = f.oid and c.relkind = 'v'
            cross join lateral {_PRIVILEGES} as a
            where pg_relation_is_updatable(c.oid, true) & 28 <> 0 and a.grantee <> c.relowner
                and not coalesce('security_invoker=true' = any (c.reloptions), false)
                and not coalesce('security_invoker=on' = any (c.reloptions), false)
        ),
        named as (
            select g.*, case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end as role
            from granted as g
        )
        select n.oid::regclass::text as view, n.source::regclass::text as "table",
            array_agg(distinct n.role) filter (
                where n.role = any (%(callers)s) and n.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
            ) as roles,
            array_agg(
                format(
                    'grant %%s%%s on %%s to %%s%%s', n.privilege_type, ' (' || quote_ident(n.attname) || ')',
                    n.oid::regclass, n.role, case when n.is_grantable then ' with grant option' end
                )
                order by n.attnum, n.ordinality
            ) as grants
        from named as n
        group by n.oid, n.source
        having bool_or(n.role = any (%(callers)s) and n.privilege_type in ('INSERT', 'UPDATE', 'DELETE'))
        order by 1, 2
    """
    cursor = connection.cursor(row_factory=class_row(Opening))
    return cursor.execute(query, {"tables": tables, "callers": list(CALLERS)}).fetchall()


def triggers_elsewhere(connection: Connection) -> list[tuple[str, str, str, bool]]:
    """The triggers of tables that are not ours: name, table, text of the function, whether it runs as its owner."""
    return connection.execute(
        """
        select t.tgname::text, t.tgrelid::regclass::text, p.prosrc, p.prosecdef
        from pg_trigger as t
        inner join pg_proc as p on p.oid = t.tgfoid
        inner join pg_class as c on c.oid = t.tgrelid
        where not t.tgisinternal and t.tgenabled <> 'D'
            and not (c.relnamespace = 'public'::regnamespace and c.relname = any (%(tables)s))
        order by 2, 1
        """,
        {"tables": list(PUBLIC_TABLES)},
    ).fetchall()


def policies_elsewhere(connection: Connection, table: str, columns: list[str]) -> list[Dependent]:
    """Policies of other tables that ask for these columns of a table of public."""
    query: LiteralString = """
        select format('drop policy %%I on %%s', q.polname, q.polrelid::regclass) as removal,
            array[
                format(
                    'create policy %%I on %%s%%s for %%s to %%s', q.polname, q.polrelid::regclass,
                    case when not q.polpermissive then ' as restrictive' end,
                    case q.polcmd
                        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                        else 'all'
                    end,
                    (
                        select string_agg(
                            case when r.oid = 0 then 'public' else quote_ident(pg_get_userbyid(r.oid)) end, ', '
                        )
                        from unnest(q.polroles) as r (oid)
                    )
                )
                || coalesce(' using (' || pg_get_expr(q.polqual, q.polrelid) || ')', '')
                || coalesce(' with check (' || pg_get_expr(q.polwithcheck, q.polrelid) || ')', '')
            ] as making
        from pg_policy as q
        where q.polrelid <> to_regclass(%(table)s) and exists (
            select
            from pg_depend as d
            inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
            where d.classid = 'pg_policy'::regclass and d.objid = q.oid and d.refclassid = 'pg_class'::regclass
                and d.refobjid = to_regclass(%(table)s) and a.attname = any (%(columns)s)
        )
        order by 1
    """
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(query, {"table": f"public.{table}", "columns": columns}).fetchall()
    return [Dependent(**row) for row in found]


def obstacles(connection: Connection, table: str, columns: list[str]) -> list[str]:
    """What keeps Postgres from changing the type of these columns, and is not ours to make anew."""
    rows = connection.execute(
        """
        select distinct case
                when g.attnum is null then pg_describe_object(d.classid, d.objid, d.objsubid)
                else format('the generated column %%I', g.attname)
            end
        from pg_depend as d
        inner join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        left join pg_attrdef as e on d.classid = 'pg_attrdef'::regclass and e.oid = d.objid
        left join pg_attribute as g on g.attrelid = e.adrelid and g.attnum = e.adnum
        where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(%(table)s)
            and a.attname = any (%(columns)s)
            and (
                d.classid in ('pg_proc'::regclass, 'pg_publication_rel'::regclass)
                or (g.attgenerated <> '' and g.attnum <> a.attnum)
                or (d.classid = 'pg_class'::regclass and d.objid = d.refobjid and d.objsubid <> d.refobjsubid)
            )
        order by 1
        """,
        {"table": f"public.{table}", "columns": columns},
    )
    return [name for (name,) in rows]


def users_of_view(connection: Connection, view: str) -> list[str]:
    """The functions and policies that keep a view from being made anew."""
    rows = connection.execute(
        """
        select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
        from pg_class as c
        inner join pg_depend as d on (d.refclassid, d.refobjid) in (
            ('pg_class'::regclass, c.oid), ('pg_type'::regclass, c.reltype)
        )
        where c.oid = to_regclass(%s) and d.classid in ('pg_proc'::regclass, 'pg_policy'::regclass)
        order by 1
        """,
        [view],
    )
    return [name for (name,) in rows]


def referring(connection: Connection, constraint: Constraint) -> list[str]:
    """The foreign keys that rest on a unique constraint of a table of public."""
    rows = connection.execute(
        """
        select f.conrelid::regclass::text || ': ' || f.conname
        from pg_constraint as u
        inner join pg_constraint as f on f.contype = 'f' and f.conindid = u.conindid
        where u.conrelid = to_regclass(%s) and quote_ident(u.conname) = %s and u.contype = 'u'
        order by 1
        """,
        [f"public.{constraint.table}", constraint.name],
    )
    return [name for (name,) in rows]


def namesakes(connection: Connection) -> list[str]:
    """A schema of our name that is not ours."""
    row = connection.execute("select to_regnamespace('bookingdb') is not null").fetchone()
    return ["there is a schema bookingdb already, which is not bookingdb's: rename it first"] if row and row[0] else []


def peculiarities(connection: Connection, table: str) -> list[str]:
    """What makes a table of public another thing than its rows: rules that rewrite what is written, inheritance."""
    rows = connection.execute(
        """
        select 'is no ordinary table' from pg_class as c where c.oid = to_regclass(%(table)s) and c.relkind <> 'r'
        union all
        select format('has the rule %%I, which rewrites what is written there', r.rulename)
        from pg_rewrite as r where r.ev_class = to_regclass(%(table)s) and r.rulename <> '_RETURN'
        union all
        select format('inherits from %%s', i.inhparent::regclass)
        from pg_inherits as i where i.inhrelid = to_regclass(%(table)s)
        union all
        select format('is inherited by %%s, whose rows bookingdb would neither see nor guard', i.inhrelid::regclass)
        from pg_inherits as i where i.inhparent = to_regclass(%(table)s)
        order by 1
        """,
        {"table": f"public.{table}"},
    )
    return [line for (line,) in rows]


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


def restore_comments(connection: Connection, statements: list[str]) -> None:
    """Put comments back on what was made anew; skip those of objects that are gone."""
    for statement in statements:
        with (
            contextlib.suppress(psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable),
            connection.transaction(),
        ):
            connection.execute(statement)
