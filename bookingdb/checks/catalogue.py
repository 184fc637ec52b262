"""What a database's catalogue says about bookingdb, in the form of ``sql/catalogue.json``.

Groups hold objects by name, objects hold attributes. The same installation reads the same on every version of Postgres,
so that one file, made of a fresh installation, says for all of them what must be there.
"""

from __future__ import annotations

from typing import LiteralString

from psycopg.rows import dict_row

from bookingdb.install.installer import PUBLIC_TABLES, Connection
from bookingdb.install.source import Catalogue, Source

# What is ours, by object id, for queries that begin with it; objects of an extension that lives in the same schema are
# not.
OURS: LiteralString = """
with relations as (
    select c.oid, c.relnamespace, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
        c.relacl, c.relowner,
        format('%%I.%%I', n.nspname, c.relname) as name
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where (
            n.nspname = 'bookingdb'
            or (n.nspname = 'public' and c.relname = any (%(tables)s))
            -- The sequences behind identity columns.
            or (n.nspname = 'public' and c.relkind = 'S' and exists (
                select from pg_depend as d
                inner join pg_class as t on t.oid = d.refobjid
                where d.classid = 'pg_class'::regclass
                    and d.objid = c.oid
                    and d.refclassid = 'pg_class'::regclass
                    and d.deptype = 'i'
                    and t.relnamespace = c.relnamespace
                    and t.relname = any (%(tables)s)
            ))
        )
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
),
functions as (
    select p.*, p.oid::regprocedure::text as name
    from pg_proc as p
    inner join pg_namespace as n on n.oid = p.pronamespace
    where (n.nspname = 'bookingdb' or (n.nspname = 'public' and p.proname = any (%(functions)s)))
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
)
"""

# Each query gives the name of the object first; the other columns are its attributes.
_GROUPS: dict[str, LiteralString] = {
    "tables": """
        select r.name,
            case r.relkind when 'r' then 'table' when 'f' then 'foreign table' else 'partitioned table' end as kind,
            r.relpersistence = 'u' as unlogged,
            r.relforcerowsecurity as forces_row_security
        from relations as r
        where r.relkind in ('r', 'p', 'f')
    """,
    "columns": """
        select r.name || '.' || quote_ident(a.attname) as name,
            r.name as "table",
            format_type(a.atttypid, a.atttypmod) || coalesce(' collate ' || (
                select l.oid::regcollation from pg_collation as l
                where l.oid = a.attcollation and l.oid <> y.typcollation
            ), '') as type,
            a.attnotnull as not_null,
            pg_get_expr(d.adbin, d.adrelid) as "default",
            case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity
        from relations as r
        inner join pg_attribute as a on a.attrelid = r.oid
        inner join pg_type as y on y.oid = a.atttypid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where r.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped
    """,
    # Postgres 18 has a constraint for each NOT NULL; the columns have that already. Only 18 knows NOT ENFORCED. Foreign
    # keys are checked by triggers, which a superuser can switch off.
    "constraints": """
        select format('%%I on %%s', c.conname, r.name) as name,
            r.name as "table",
            regexp_replace(pg_get_constraintdef(c.oid), '( NOT VALID| NOT ENFORCED)+$', '') as definition,
            c.convalidated as valid,
            coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) and not exists (
                select from pg_trigger as t where t.tgconstraint = c.oid and t.tgenabled not in ('O', 'A')
            ) as enforced
        from relations as r
        inner join pg_constraint as c on c.conrelid = r.oid
        where r.relkind in ('r', 'p', 'f') and c.contype in ('c', 'f', 'p', 'u', 'x')
    """,
    "indexes": """
        select x.name,
            r.name as "table",
            pg_get_indexdef(i.indexrelid) as definition,
            i.indisvalid and i.indisready and i.indislive as valid
        from relations as r
        inner join pg_index as i on i.indrelid = r.oid
        inner join lateral (
            select format('%%I.%%I', n.nspname, c.relname) as name
            from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            where c.oid = i.indexrelid
        ) as x on true
        where not exists (
            select from pg_constraint as c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
        )
    """,
    "types": """
        select r.name, array(
            select quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
            from pg_attribute as a
            where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
            order by a.attnum
        ) as attributes
        from relations as r
        where r.relkind = 'c'
    """,
    # Before Postgres 16, columns come with the table's alias also where there is only one table.
    "views": """
        select r.name,
            case r.relkind when 'v' then 'view' else 'materialized view' end as kind,
            array(
                select quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                from pg_attribute as a
                where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
                order by a.attnum
            ) as columns,
            btrim(regexp_replace(
                regexp_replace(v.text, '\\m(' || coalesce(a.aliases, '') || ')\\.', '', 'g'), '\\s+', ' ', 'g'
            )) as definition,
            coalesce(r.reloptions, '{}') as options
        from relations as r
        inner join lateral (select pg_get_viewdef(r.oid) as text) as v on true
        inner join lateral (
            select string_agg(m[1], '|') as aliases
            from regexp_matches(v.text, '(?:FROM|JOIN) \\(*[[:alnum:]_]+\\.[[:alnum:]_]+ ([[:alnum:]_]+)', 'g') as m
        ) as a on true
        where r.relkind in ('v', 'm')
    """,
    "functions": """
        select f.name,
            case f.prokind when 'f' then 'function' when 'p' then 'procedure' else 'aggregate' end as kind,
            pg_get_function_arguments(f.oid) as arguments,
            pg_get_function_result(f.oid) as result,
            l.lanname::text as language,
            case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
            case when f.prosecdef then 'definer' else 'invoker' end as security,
            f.proisstrict as strict,
            f.proleakproof as leakproof,
            case f.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end as parallel,
            coalesce(f.proconfig, '{}') as settings
        from functions as f
        inner join pg_language as l on l.oid = f.prolang
    """,
}

# Who may do what: object, grantee, privileges. The owner is called OWNER, whoever it is. MAINTAIN exists since 17.
_PRIVILEGES: LiteralString = """
    select o.name,
        case
            when a.grantee = 0 then 'PUBLIC'
            when a.grantee = o.owner then 'OWNER'
            else coalesce(g.rolname, a.grantee::text)
        end,
        array_agg(
            a.privilege_type || coalesce(' (' || o.column_name || ')', '')
            || case when a.is_grantable and a.grantee <> o.owner then ' with grant option' else '' end
            order by a.privilege_type, o.column_name
        )
    from (
        select 'function ' || f.name as name, null::text as column_name, f.proowner as owner,
            coalesce(f.proacl, acldefault('f', f.proowner)) as acl
        from functions as f
        union all
        select case r.relkind when 'S' then 'sequence ' else 'table ' end || r.name, null, r.relowner,
            coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner))
        from relations as r
        where r.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
        union all
        select 'table ' || r.name, quote_ident(a.attname), r.relowner, a.attacl
        from relations as r
        inner join pg_attribute as a on a.attrelid = r.oid
        where a.attacl is not null and not a.attisdropped
        union all
        select 'schema ' || n.nspname, null, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
        from pg_namespace as n
        where n.nspname = 'bookingdb'
    ) as o
    cross join lateral aclexplode(o.acl) as a
    left join pg_roles as g on g.oid = a.grantee
    where not (a.grantee = o.owner and a.privilege_type = 'MAINTAIN')
    group by 1, 2
    order by 1, 2
"""

_OWNERS: LiteralString = """
    select 'function ' || f.name, quote_ident(pg_get_userbyid(f.proowner)) from functions as f
    union all
    select
        case r.relkind when 'c' then 'type ' when 'v' then 'view ' else 'table ' end || r.name,
        quote_ident(pg_get_userbyid(r.relowner))
    from relations as r
    where r.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
    union all
    select 'schema ' || n.nspname, quote_ident(pg_get_userbyid(n.nspowner)) from pg_namespace as n
    where n.nspname = 'bookingdb'
    order by 1
"""


def read(connection: Connection, source: Source) -> Catalogue:
    """Read the groups of `_GROUPS` and "privileges": object, role, privileges.

    The transaction must have been made ready with `installer.prepare`. Functions come without their bodies.
    """
    cursor = connection.cursor(row_factory=dict_row)
    catalogue: Catalogue = {}
    for group, query in _GROUPS.items():
        rows = cursor.execute(OURS + query + " order by 1", parameters(source)).fetchall()
        catalogue[group] = {row.pop("name"): row for row in rows}
    catalogue["privileges"] = {}
    for name, grantee, privileges in connection.execute(OURS + _PRIVILEGES, parameters(source)):
        catalogue["privileges"].setdefault(name, {})[grantee] = privileges
    return catalogue


def owners(connection: Connection, source: Source) -> list[tuple[str, str]]:
    """What is ours, as ALTER wants it named (``table public.users``), with its owner, quoted where it must be."""
    return connection.execute(OURS + _OWNERS, parameters(source)).fetchall()


def bodies(connection: Connection, source: Source) -> dict[str, str]:
    """The text of each function, by signature."""
    return dict(connection.execute(OURS + "select f.name, f.prosrc from functions as f", parameters(source)).fetchall())


def parameters(source: Source) -> dict[str, list[str]]:
    """What a query that begins with `OURS` is given."""
    return {
        "tables": list(PUBLIC_TABLES),
        "functions": [function.name for function in source.public_functions],
    }
