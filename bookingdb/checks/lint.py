"""Holds what is installed, and what others hung onto it, against the rules of Supabase's advisors. Changes nothing.

The rules have the names that Supabase's dashboard and command line give them. They look only at what bookingdb answers
for, look closer there, and need none of Supabase's roles: they work on any Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from bookingdb.checks import catalogue, remedies
from bookingdb.checks.verify import Finding
from bookingdb.install import installer
from bookingdb.install.installer import Connection
from bookingdb.install.source import Source


@dataclass(frozen=True)
class Rule:
    """Something that should be nowhere.

    ``query`` finds where it is, with what `_SCOPE` defines: the object, what is wrong with it, and the statements that
    put it right. ``remedy`` is the advice, in which ``{run}`` stands for "Run" and these statements.

    Example: `RULES`
    """

    name: str
    title: str
    query: LiteralString
    remedy: str = "{run}"


def lint(connection: Connection, *, source: Source | None = None) -> list[Finding]:
    """Check the installed objects, and what hangs on our tables, against `RULES`.

    What others made counts where it concerns our tables: policies, indexes, foreign keys, columns, trigger functions,
    and views over them. What an application has besides is not looked at.

    Reads the catalogue only, in one transaction whose settings end with it: any role may do it, on a standby and
    through a transaction pooler as well.

    Args:
        connection: an open connection, not inside a transaction.
        source: the files that say what is ours; those of this package when left out.

    Returns:
        One finding for each object that breaks a rule, none when all is well. ``group`` is the name of the rule.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(len(lint(connection)))
        0
    """
    source = source or installer.installed_source(connection)
    with connection.transaction(force_rollback=True):
        installer.prepare(connection, read_only=True)
        installed = "select from pg_class where relname = 'history' and relnamespace = to_regnamespace('bookingdb')"
        if not connection.execute(installed).fetchall():
            return [Finding("installation", "bookingdb", "is not installed", remedies.MIGRATE)]
        parameters = _parameters(source)
        accepted = installer.accepted_differences(connection)
        return [
            Finding(rule.name, name, problem, rule.remedy.replace("{run}", remedies.run(*statements)))
            for rule in RULES
            for name, problem, statements in connection.execute(_SCOPE + rule.query + " order by 1, 2", parameters)
            if (rule.name, name, problem) not in accepted
        ]


def _parameters(source: Source) -> dict[str, Any]:
    """What the queries are given."""
    constraints = source.catalogue.get("constraints", {})
    return {
        **catalogue.parameters(source),
        "prefix": installer.NAME_PREFIX,
        "secured": list(source.secured_tables),
        "installed": [*source.catalogue.get("indexes", {}), *constraints],
        "indexes": Jsonb(source.catalogue.get("indexes", {})),
        "primary_keys": Jsonb(
            {
                wanted["table"]: remedies.making("constraints", name, wanted)
                for name, wanted in constraints.items()
                if wanted["definition"].startswith("PRIMARY KEY")
            }
        ),
        "sensitive": list(SENSITIVE_COLUMNS),
        "reapply": "bookingdb migrate --reapply",
    }


# Names of columns that say that others must not see them: the advisors' own list.
SENSITIVE_COLUMNS = (
    "password", "passwd", "pwd", "passphrase", "secret", "secret_key", "private_key", "api_key", "apikey", "auth_key",
    "token", "jwt", "access_token", "refresh_token", "oauth_token", "session_token", "bearer_token", "auth_code",
    "session_id", "session_key", "session_secret", "recovery_code", "backup_code", "verification_code", "otp",
    "two_factor", "2fa_secret", "2fa_code", "ssn", "social_security", "social_security_number", "driver_license",
    "drivers_license", "license_number", "passport_number", "passport_id", "national_id", "tax_id", "credit_card",
    "card_number", "cvv", "cvc", "cvn", "bank_account", "account_number", "routing_number", "iban", "swift_code", "bic",
    "health_record", "medical_record", "patient_id", "insurance_number", "health_insurance", "medical_insurance",
    "treatment", "mac_address", "macaddr", "imei", "device_uuid", "pgp_key", "gpg_key", "ssh_key", "certificate",
    "license_key", "activation_key", "facial_recognition",
)  # fmt: skip

# What the rules speak about.
_SCOPE: LiteralString = (
    catalogue.OURS
    + r"""
, tables as (
    select r.oid, r.name, r.relnamespace, r.relrowsecurity from relations as r where r.relkind in ('r', 'p')
),
-- Whoever comes through PostgREST; PUBLIC is everybody.
callers as (
    select 0::oid as oid, 'public' as role
    union all
    select r.oid, r.rolname from pg_roles as r where r.rolname in ('anon', 'authenticated')
),
-- The schemas that PostgREST serves: public, and those that it was told to.
exposed as (
    select n.oid
    from pg_namespace as n
    where n.nspname = 'public' or n.nspname in (
        select btrim(listed.name)
        from (
            select current_setting('pgrst.db_schemas', true) as names
            union all
            select substr(c.setting, length('pgrst.db_schemas=') + 1)
            from pg_db_role_setting as s
            cross join unnest(s.setconfig) as c (setting)
            where s.setrole in (0, to_regrole('authenticator'))
                and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
                and starts_with(c.setting, 'pgrst.db_schemas=')
        ) as told
        cross join string_to_table(told.names, ',') as listed (name)
    )
),
policies as (
    select p.oid, p.polcmd, p.polpermissive, p.polroles, p.polqual, p.polwithcheck, e.qual, e.with_check,
        t.oid as table_oid,
        t.name as table_name,
        t.relrowsecurity,
        quote_ident(p.polname) as bare_name,
        format('%%I on %%s', p.polname, t.name) as name,
        m.is_managed,
        case when m.is_managed then %(reapply)s else format('drop policy %%I on %%s', p.polname, t.name) end as removal,
        -- A condition that is left out holds for every row.
        p.polcmd <> 'a' and coalesce(e.bare_qual, 'true') ~ '^(select)?(true|1=1)(as.*)?$' as reaches_all_rows,
        p.polcmd in ('a', 'w', '*')
        and coalesce(e.bare_with_check, e.bare_qual, 'true') ~ '^(select)?(true|1=1)(as.*)?$' as accepts_all_rows
    from tables as t
    inner join pg_policy as p on p.polrelid = t.oid
    cross join lateral (
        -- These the installer restores or removes; all others are the application's own.
        select starts_with(p.polname, %(prefix)s) or t.relnamespace = 'bookingdb'::regnamespace as is_managed
    ) as m
    cross join lateral (
        select
            pg_get_expr(p.polqual, p.polrelid) as qual,
            pg_get_expr(p.polwithcheck, p.polrelid) as with_check,
            regexp_replace(lower(pg_get_expr(p.polqual, p.polrelid)), '[\s()"]', '', 'g') as bare_qual,
            regexp_replace(lower(pg_get_expr(p.polwithcheck, p.polrelid)), '[\s()"]', '', 'g') as bare_with_check
    ) as e
),
-- Our views, and those over our tables, also by way of other views.
views as (
    with recursive readers (oid) as (
        select r.oid from relations as r where r.relkind in ('r', 'p', 'v', 'm')
        union
        select w.ev_class
        from readers as r
        inner join pg_depend as d
            on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
        inner join pg_rewrite as w on w.oid = d.objid and w.rulename = '_RETURN'
    )
    select c.relkind,
        c.oid::regclass::text as name,
        exists (
            select from pg_options_to_table(c.reloptions) as o
            where case when o.option_name = 'security_invoker' then o.option_value::boolean else false end
        ) as is_invoker,
        c.relnamespace in (select e.oid from exposed as e) as is_exposed,
        array(
            select k.role from callers as k
            where has_any_column_privilege(k.role, c.oid, 'SELECT') order by k.role
        ) as readers
    from readers as r
    inner join pg_class as c on c.oid = r.oid
    where c.relkind in ('v', 'm')
),
indexes as (
    select
        i.indexrelid as oid,
        i.indrelid as table_oid,
        i.indexrelid::regclass::text as name,
        case
            when k.oid is null then format('drop index %%s', i.indexrelid::regclass)
            else format('alter table %%s drop constraint %%I', t.name, k.conname)
        end as removal,
        m.amname as method,
        coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate,
        -- What it refuses; an index that refuses nothing is there for speed alone.
        case
            when i.indisunique
                then concat('unique ', i.indimmediate, coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false'))
            when i.indisexclusion then pg_get_constraintdef(k.oid)
            else ''
        end as refuses,
        d.keys,
        d.orders,
        d.columns,
        d.included,
        -- Of several that do the same, the one to keep: ours, then one that a foreign key or a constraint stands on.
        row_number() over (
            order by
                case
                    when k.oid is null then i.indexrelid::regclass::text
                    else format('%%I on %%s', k.conname, t.name)
                end <> all (%(installed)s::text[]),
                not exists (select from pg_constraint as f where f.contype = 'f' and f.conindid = i.indexrelid),
                k.oid is null,
                i.indexrelid
        ) as rank
    from tables as t
    inner join pg_index as i on i.indrelid = t.oid
    inner join pg_class as x on x.oid = i.indexrelid
    inner join pg_am as m on m.oid = x.relam
    left join pg_constraint as k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
    cross join lateral (
        select
            -- Column or expression, operator class (each belongs to one method) and collation; and the order (1:
            -- descending, 2: nulls first).
            array_agg(concat_ws(' ', c.name, i.indclass[n - 1], i.indcollation[n - 1]) order by n)
            filter (where n <= i.indnkeyatts) as keys,
            array_agg(i.indoption[n - 1]::integer order by n) filter (where n <= i.indnkeyatts) as orders,
            array_agg(c.name order by n) as columns,
            coalesce(array_agg(c.name order by c.name) filter (where n > i.indnkeyatts), '{}') as included
        from generate_series(1, i.indnatts::integer) as n
        cross join lateral (select pg_get_indexdef(i.indexrelid, n, true) as name) as c
    ) as d
    where i.indisvalid
),
-- Pairs of indexes of which the second does all that the first is there for: it has the same keys or, in a b-tree, the
-- same ones first. A b-tree is read in both directions.
replaceable as (
    select a.oid, b.oid as substitute_oid, a.rank, b.rank as substitute_rank,
        (a.keys, a.orders, a.included, a.refuses) = (b.keys, b.orders, b.included, b.refuses) as is_same
    from indexes as a
    inner join indexes as b on b.table_oid = a.table_oid and b.oid <> a.oid and b.predicate = a.predicate
    where a.refuses in ('', b.refuses)
        and a.keys = b.keys[:cardinality(a.keys)]
        and (a.keys = b.keys or (a.refuses = '' and a.method = 'btree'))
        and (
            a.orders = b.orders[:cardinality(a.keys)]
            or a.orders = array(select 3 - o from unnest(b.orders[:cardinality(a.keys)]) as o)
        )
        and a.included <@ b.columns
)
"""
)

# Functions that give the same for all rows of a query, so that a policy should ask them once. A policy is kept as a
# tree of nodes in braces: sub-selects that are evaluated once (from no table, naming no column of the row, compared
# with nothing) are cut out of it, inside first, and what is called in the rest is called for each row.
_ASKED_FOR_EACH_ROW: LiteralString = r"""
    select p.name,
        'asks ' || string_agg(distinct f.name || '()', ' and ' order by f.name || '()') || ' for each row' as problem,
        array[case when p.is_managed then %(reapply)s else format(
            'alter policy %%s on %%s%%s%%s', p.bare_name, p.table_name,
            ' using (' || regexp_replace(p.qual, c.pattern, c.replacement, 'g') || ')',
            ' with check (' || regexp_replace(p.with_check, c.pattern, c.replacement, 'g') || ')'
        ) end] as statements
    from policies as p
    cross join lateral (
        with recursive steps (tree) as (
            select regexp_replace(concat(p.polqual::text, p.polwithcheck::text), '\\[{}]|[\u0001-\u0003]', '', 'g')
            union all
            select replace(regexp_replace(
                regexp_replace(
                    s.tree,
                    '\{SUBLINK (?![^{}]*:varlevelsup [1-9])[^{}\u0001]*'
                    '\u0001QUERY [^{}\u0001]*:rtable <>[^{}]*\}',
                    chr(3), 'g'
                ),
                '\{([^{}\u0003]*)\}', chr(1) || '\1' || chr(2), 'g'
            ), chr(3), '')
            from steps as s
            where s.tree ~ '\{[^{}]*\}'
        )
        select regexp_matches(s.tree, '\u0001FUNCEXPR :funcid (\d+)', 'g') as called
        from steps as s
        where s.tree !~ '\{[^{}]*\}'
    ) as r
    inner join lateral (
        select
            case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end || quote_ident(g.proname)
            as name
        from pg_proc as g
        inner join pg_namespace as n on n.oid = g.pronamespace
        where g.oid = r.called[1]::oid
            and (
                (n.nspname in ('auth', 'bookingdb') and g.pronargs = 0)
                or (n.nspname = 'pg_catalog' and g.proname = 'current_setting')
            )
    ) as f on true
    cross join (
        select
            '\m((?:auth|bookingdb)\.(?:\w+|"(?:[^"]|"")+")\(\)'
            '|current_setting\((?:[^()'']|''(?:[^'']|'''')*'')*\))' as pattern,
            '(select \1)' as replacement
    ) as c
    where p.relrowsecurity
    group by p.name, p.is_managed, p.bare_name, p.table_name, p.qual, p.with_check, c.pattern, c.replacement
"""

RULES: tuple[Rule, ...] = (
    Rule(
        "rls_disabled_in_public",
        "Tables in an exposed schema without row level security",
        r"""
        select t.name, 'has no row level security', array[format('alter table %%s enable row level security', t.name)]
        from tables as t
        where not t.relrowsecurity and t.relnamespace in (select e.oid from exposed as e)
        """,
    ),
    Rule(
        "policy_exists_rls_disabled",
        "Tables with policies that are not in force",
        r"""
        select t.name,
            'has no row level security, but policies: ' || string_agg(p.bare_name, ', ' order by p.bare_name),
            array[format('alter table %%s enable row level security', t.name)]
        from tables as t
        inner join policies as p on p.table_oid = t.oid
        where not t.relrowsecurity
        group by t.name
        """,
    ),
    Rule(
        "rls_enabled_no_policy",
        "Tables with row level security, but no policy that says what is meant",
        r"""
        select t.name, 'has row level security, but no policy',
            array[case
                when t.name = any (%(secured)s) then %(reapply)s
                else format('create policy deny on %%s for all to public using (false) with check (false)', t.name)
            end]
        from tables as t
        where t.relrowsecurity and not exists (select from policies as p where p.table_oid = t.oid)
        """,
    ),
    Rule(
        "rls_policy_always_true",
        "Policies that let callers write any row",
        r"""
        select p.name,
            format(
                'lets %%s %%s any row', string_agg(k.role, ' and ' order by k.role),
                case p.polcmd when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'write' end
            ),
            array[p.removal]
        from policies as p
        inner join callers as k on k.oid = any (p.polroles)
        where p.relrowsecurity
            and p.polpermissive
            and p.polcmd <> 'r'
            and (p.reaches_all_rows or p.accepts_all_rows)
        group by p.name, p.polcmd, p.removal
        """,
        "{run}, or give it a condition",
    ),
    Rule(
        "rls_references_user_metadata",
        "Policies that believe what users write about themselves",
        r"""
        select p.name, 'trusts user_metadata, which users can edit', array[p.removal]
        from policies as p
        where concat(p.qual, ' ', p.with_check) ~ '(auth\.jwt\(\)|current_setting\(.*request\.jwt).*user_metadata'
        """,
        "{run}, or let it look at app_metadata",
    ),
    Rule(
        "sensitive_columns_exposed",
        "Columns that callers can read in rows of others",
        # Row level security protects them, unless a policy shows every row.
        r"""
        select format('%%s.%%I', t.name, a.attname),
            'can be read by ' || string_agg(k.role, ' and ' order by k.role),
            case when t.relrowsecurity then array(
                select p.removal from policies as p where p.oid = any (array_agg(w.oid)) order by p.name
            )
            else array[format('alter table %%s enable row level security', t.name)] end
        from tables as t
        inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
        inner join callers as k on has_column_privilege(k.role, t.oid, a.attnum, 'SELECT')
        left join policies as w
            on w.table_oid = t.oid
            and w.polpermissive
            and w.reaches_all_rows
            and w.polcmd in ('r', '*')
            and w.polroles && array[k.oid, 0::oid]
        where replace(lower(a.attname), '-', '_') = any (%(sensitive)s)
            and t.relnamespace in (select e.oid from exposed as e)
            and (not t.relrowsecurity or w.oid is not null)
        group by t.name, t.relrowsecurity, a.attname
        """,
    ),
    Rule(
        "security_definer_view",
        "Views over our tables that callers read with the rights of the owner",
        # Before Postgres 15 all views are.
        r"""
        select v.name,
            'shows ' || array_to_string(v.readers, ' and ') || ' what its owner sees',
            array[case
                when current_setting('server_version_num')::integer >= 150000
                    then format('alter view %%s set (security_invoker = on)', v.name)
                else format('revoke all on %%s from %%s', v.name, array_to_string(v.readers, ', '))
            end]
        from views as v
        where v.relkind = 'v' and not v.is_invoker and v.is_exposed and v.readers <> '{}'
        """,
    ),
    Rule(
        "materialized_view_in_api",
        "Copies of our tables that callers can read",
        r"""
        select v.name,
            'can be read by ' || array_to_string(v.readers, ' and '),
            array[format('revoke all on %%s from %%s', v.name, array_to_string(v.readers, ', '))]
        from views as v
        where v.relkind = 'm' and v.is_exposed and v.readers <> '{}'
        """,
    ),
    Rule(
        "anon_security_definer_function_executable",
        "Functions in an exposed schema that anybody runs with the rights of the owner",
        r"""
        select f.name,
            'runs with the rights of its owner for ' || string_agg(k.role, ' and ' order by k.role),
            array[format('alter routine %%s security invoker', f.name)]
        from functions as f
        inner join callers as k on has_function_privilege(k.role, f.oid, 'EXECUTE')
        where f.prosecdef and f.pronamespace in (select e.oid from exposed as e) and k.role in ('public', 'anon')
        group by f.name
        """,
    ),
    Rule(
        "authenticated_security_definer_function_executable",
        "Functions in an exposed schema that users run with the rights of the owner",
        r"""
        select f.name,
            'runs with the rights of its owner for '
            || string_agg(distinct coalesce(g.rolname, 'public'), ' and ' order by coalesce(g.rolname, 'public')),
            array[format('alter routine %%s security invoker', f.name)]
        from functions as f
        cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
        left join pg_roles as g on g.oid = a.grantee
        where f.prosecdef and f.pronamespace in (select e.oid from exposed as e) and a.grantee <> f.proowner
        group by f.name
        """,
    ),
    Rule(
        "function_search_path_mutable",
        "Functions whose names mean what the caller's search_path says",
        # A trigger function of the application runs inside our functions, with the rights of their owner.
        r"""
        select f.oid::regprocedure::text,
            'has no search_path of its own',
            array[format('alter routine %%s set search_path = pg_catalog, pg_temp', f.oid::regprocedure)]
        from pg_proc as f
        inner join pg_language as l on l.oid = f.prolang
        where (
                f.oid in (select o.oid from functions as o)
                or f.oid in (
                    select t.tgfoid
                    from pg_trigger as t
                    inner join tables as r on r.oid = t.tgrelid
                    where not t.tgisinternal
                )
            )
            -- Aggregates are 'internal', too.
            and l.lanname not in ('c', 'internal')
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
            )
            and not exists (
                select from unnest(f.proconfig) as c (setting)
                where starts_with(c.setting, 'search_path=') and c.setting not like '%%$user%%'
            )
        """,
        "{run}, with the schemas of other names written out in it",
    ),
    Rule(
        "extension_in_public",
        "The extension, where the application's names are",
        r"""
        select e.extname::text, 'is in the schema public', array['alter extension btree_gist set schema extensions']
        from pg_extension as e
        where e.extname = 'btree_gist' and e.extnamespace = 'public'::regnamespace
        """,
        "{run}, as a superuser where the owner may not",
    ),
    Rule(
        "extension_versions_outdated",
        "The extension, older than the server's",
        r"""
        select e.extname::text,
            format('is version %%s, not %%s', e.extversion, a.default_version),
            array['alter extension btree_gist update']
        from pg_extension as e
        inner join pg_available_extensions as a on a.name = e.extname
        where e.extname = 'btree_gist' and e.extversion <> a.default_version
        """,
    ),
    Rule(
        "fkey_to_auth_unique",
        "Foreign keys to what Supabase may change: keys of its schema auth other than the primary ones",
        r"""
        select format('%%I on %%s', f.conname, t.name),
            'refers to ' || f.confrelid::regclass || ' by another key than the primary one',
            array[format('alter table %%s drop constraint %%I', t.name, f.conname)]
        from tables as t
        inner join pg_constraint as f on f.conrelid = t.oid and f.contype = 'f'
        inner join pg_class as c on c.oid = f.confrelid
        inner join pg_index as i on i.indexrelid = f.conindid
        where c.relnamespace = to_regnamespace('auth') and not i.indisprimary
        """,
    ),
    Rule(
        "unsupported_reg_types",
        "Columns that pg_upgrade refuses",
        r"""
        select format('%%s.%%I', t.name, a.attname),
            'is of type ' || y.typname,
            array[format('alter table %%s alter column %%I type text', t.name, a.attname)]
        from tables as t
        inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
        inner join pg_type as y on y.oid = a.atttypid
        where y.typnamespace = 'pg_catalog'::regnamespace and y.typname in (
            'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc',
            'regprocedure'
        )
        """,
    ),
    Rule(
        "no_primary_key",
        "Tables without primary key",
        r"""
        select t.name, 'has no primary key', array[coalesce(
            %(primary_keys)s::jsonb ->> t.name,
            format(
                'alter table %%s add column primary_key bigint generated always as identity primary key', t.name
            )
        )]
        from tables as t
        where not exists (select from pg_index as i where i.indrelid = t.oid and i.indisprimary)
        """,
    ),
    Rule(
        "auth_rls_initplan",
        "Policies that ask the same again for each row",
        _ASKED_FOR_EACH_ROW,
    ),
    Rule(
        "multiple_permissive_policies",
        "Policies of which one that holds is enough, so that all are tried for each row",
        # Nobody asks them for roles that bypass them. One finding for each set of policies that come together.
        r"""
        select g.table_name,
            format(
                'has %%s for %%s (%%s)', array_to_string(g.names, ' and '),
                string_agg(distinct g.action, ', ' order by g.action), string_agg(distinct g.role, ', ' order by g.role)
            ),
            g.removals
        from (
            select p.table_name, a.action,
                coalesce(o.rolname, 'public') as role,
                array_agg(p.bare_name order by p.bare_name) as names,
                (array_agg(p.removal order by p.is_managed desc, p.bare_name))[2:] as removals
            from policies as p
            cross join unnest(string_to_array(case p.polcmd
                when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                else 'select,insert,update,delete'
            end, ',')) as a (action)
            cross join lateral (
                select 0::oid as oid
                union
                select role.oid
                from policies as other
                inner join pg_roles as role on role.oid = any (other.polroles)
                where other.table_oid = p.table_oid and not role.rolbypassrls and not role.rolsuper
            ) as w
            left join pg_roles as o on o.oid = w.oid
            where p.polpermissive and p.polroles && array[w.oid, 0::oid]
            group by 1, 2, 3
            having count(*) > 1
        ) as g
        group by g.table_name, g.names, g.removals
        """,
        "{run}, or make it restrictive, or for another role or action",
    ),
    Rule(
        "unindexed_foreign_keys",
        "Foreign keys without an index: a row they refer to is deleted by reading the whole table",
        # Those of other tables that refer to ours make our rows slow to delete, too.
        r"""
        select format('%%I on %%s', f.conname, f.conrelid::regclass),
            'no index begins with ' || k.columns,
            array[coalesce(
                -- Ours, where it is that one that is missing.
                (
                    select min(w.value ->> 'definition')
                    from jsonb_each(%(indexes)s::jsonb) as w
                    where w.value ->> 'table' = f.conrelid::regclass::text
                        and (
                            strpos(w.value ->> 'definition', '(' || k.columns || ',') > 0
                            or strpos(w.value ->> 'definition', '(' || k.columns || ')') > 0
                        )
                        and to_regclass(w.key) is null
                ),
                format('create index on %%s (%%s)', f.conrelid::regclass, k.columns)
            )]
        from pg_constraint as f
        cross join lateral (
            select
                string_agg(quote_ident(a.attname), ', ' order by u.place) as columns,
                array_agg(format('(%%I IS NOT NULL)', a.attname)) as harmless_predicates
            from unnest(f.conkey) with ordinality as u (attnum, place)
            inner join pg_attribute as a on a.attrelid = f.conrelid and a.attnum = u.attnum
        ) as k
        where f.contype = 'f'
            and f.conparentid = 0
            and (f.conrelid in (select t.oid from tables as t) or f.confrelid in (select t.oid from tables as t))
            and not exists (
                select
                from pg_index as i
                inner join pg_class as x on x.oid = i.indexrelid
                inner join pg_am as m on m.oid = x.relam
                where i.indrelid = f.conrelid
                    and i.indisvalid
                    and m.amname in ('btree', 'hash')
                    and i.indnkeyatts >= cardinality(f.conkey)
                    and (string_to_array(i.indkey::text, ' ')::smallint[])[:cardinality(f.conkey)] @> f.conkey
                    and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) = any (k.harmless_predicates))
            )
        """,
    ),
    Rule(
        "duplicate_index",
        "Indexes that are there twice",
        r"""
        select i.name, 'is the same as ' || s.name, array[i.removal]
        from (
            select r.oid, min(r.substitute_rank) as substitute_rank
            from replaceable as r
            where r.is_same and r.substitute_rank < r.rank
            group by r.oid
        ) as d
        inner join indexes as i on i.oid = d.oid
        inner join indexes as s on s.rank = d.substitute_rank
        """,
    ),
    Rule(
        "unused_index",
        "Indexes that can never be needed, because another one begins with the same",
        r"""
        select i.name, 'does nothing that ' || s.name || ' does not', array[i.removal]
        from (
            select r.oid, min(r.substitute_rank) as substitute_rank
            from replaceable as r
            where not r.is_same
                and (
                    r.substitute_rank < r.rank
                    or not exists (
                        select from replaceable as b where b.oid = r.substitute_oid and b.substitute_oid = r.oid
                    )
                )
            group by r.oid
        ) as d
        inner join indexes as i on i.oid = d.oid
        inner join indexes as s on s.rank = d.substitute_rank
        where not exists (
            select from replaceable as e where e.oid = i.oid and e.is_same and e.substitute_rank < e.rank
        )
        """,
    ),
)
