"""What an installation asks a database and runs in it, as SQL text: `migrate` sends it, `export` writes it down.

Each rule (what is in the way, what is pending, what differs from the files) is one query here, with the sentence that
refuses it. Values stand in the text, quoted, so that the same text works where nobody binds parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as package_version
from typing import Any

from psycopg.types.json import Jsonb

from bookingdb.install.session import FAILED, INSTALL_LOCK, LOCK_TIMEOUT, NOT_LOCKED, NOT_PERMITTED, SETTINGS, literal
from bookingdb.install.source import Attachment, Source, SqlFile

# Roles of the host that grants.sql names; when one appears, the grants are applied again.
KNOWN_ROLES = ("anon", "authenticated", "service_role", "bookingdb_service")
# The oldest Postgres the files are written for (server_version_num).
MINIMUM_SERVER_VERSION = 140000
# Triggers of ours begin with this; nothing else's should.
NAME_PREFIX = "_bookingdb"
# The tables of ours that applications see; everything in the schema bookingdb is ours anyway.
PUBLIC_TABLES = ("users", "sessions", "user_credits", "booking_audit_log")

REASON_AT_FIRST = "first installation"
# A refusal. Python and Postgres (format) both put the names where %s stands.
STRAYS = "functions that no file of this version defines: %s; drop them first"


# Whether there is a history to read. The table is in it for a reason: without one, a session that has just waited for
# another's installation goes by what it knew of the catalogue before.
IS_INSTALLED = "select exists (select from pg_class as c where c.oid = to_regclass('bookingdb.history'))"


@dataclass(frozen=True)
class Step:
    """One statement of an installation.

    ``place`` says where it comes from, for messages; ``migration`` is the name of the migration that it belongs to,
    None for what every installation ends with.
    """

    place: str
    statement: str
    migration: str | None = None


def steps(source: Source, migrations: Iterable[SqlFile]) -> Iterator[Step]:
    """Yield what brings a database to this version, in the order in which it runs; `migrations` are those it lacks."""
    yield from structure(migrations)
    yield from functions(source)


def structure(migrations: Iterable[SqlFile]) -> Iterator[Step]:
    """Yield the migrations, each with its row of the history."""
    for file in migrations:
        yield Step(f"sql/{file.path}", file.text, file.name)
        yield Step("history", _history_row("migration", file.name, file.checksum, literal(Jsonb({}))), file.name)


def functions(source: Source) -> Iterator[Step]:
    """Yield what every installation ends with: adapter, functions, triggers, policies, grants."""
    for view in source.views:
        yield Step(f"sql/{source.adapter.path}", view)
    for function in source.functions:
        yield Step(f"sql/{function.path}", function.text)
    yield Step(f"sql/{source.triggers_file.path}", _attachments(source.triggers, EXISTING_TRIGGERS))
    yield Step(
        f"sql/{source.row_security_file.path}", _attachments(source.policies, EXISTING_POLICIES, source.secured_tables)
    )
    yield Step(f"sql/{source.grants_file.path}", source.grants)
    yield Step("adoption", GRANT_AGAIN)

    yield Step("time zones", "select bookingdb.refresh_time_zones()")
    known = {
        "adapter": source.adapter.name,
        "functions": sorted(function.signature for function in source.functions),
    }
    # The roles as they are when the row is written: grants.sql may just have made one.
    details = f"{literal(Jsonb(known))} || jsonb_build_object('roles', {PRESENT_ROLES})"
    yield Step("history", _history_row("functions", source.adapter.name, source.checksum, details))
    # PostgREST reads the functions anew.
    yield Step("notification", "notify pgrst, 'reload schema'")


def obstacle_query(source: Source) -> str:
    """Ask why nothing can be installed in a database without bookingdb: one row, a sentence or null."""
    return f"""
        select case
            when o.version < {MINIMUM_SERVER_VERSION} then format(
                'this server is Postgres %s; bookingdb needs {MINIMUM_SERVER_VERSION // 10000} or later',
                o.version / 10000
            )
            when o.intruder is not null then format(
                'the schema bookingdb is there already and %s; look what it is, and drop it', o.intruder
            )
            when o.found is not null then format(
                'the database already has %s; bookingdb installs beside nothing of the same name:'
                ' `bookingdb adopt --plan` shows what taking over the application''s tables would do',
                o.found
            )
        end
        from (
            select
                current_setting('server_version_num')::integer as version,
                -- Whoever owns the schema, or a function that ours would replace, could change it afterwards.
                (
                    select 'belongs to ' || pg_get_userbyid(n.nspowner)
                    from pg_namespace as n
                    where n.nspname = 'bookingdb' and n.nspowner <> current_user::regrole
                    union all
                    select 'is not empty'
                    from pg_depend as d
                    inner join pg_namespace as n on n.oid = d.refobjid
                    where d.refclassid = 'pg_namespace'::regclass and n.nspname = 'bookingdb'
                    limit 1
                ) as intruder,
                (
                    select string_agg(f.name, ', ' order by f.name collate "C")
                    from (
                        select 'table public.' || c.relname as name
                        from pg_class as c
                        inner join pg_namespace as n on n.oid = c.relnamespace
                        where n.nspname = 'public' and c.relname = any ({_array(PUBLIC_TABLES)})
                        union all
                        select 'function ' || p.oid::regprocedure
                        from pg_proc as p
                        inner join pg_namespace as n on n.oid = p.pronamespace
                        where n.nspname = 'public' and p.proname = any ({_array(_public_names(source))})
                    ) as f
                ) as found
        ) as o
    """


def plan_query(source: Source, *, reapply: bool = False) -> str:
    """Compare the history of a database that has one with the files.

    One row: ``problem``, why the two contradict each other, or null; ``pending``, the names of migrations not applied
    yet; ``reason``, why functions, triggers, policies and grants must be applied, null where they need not.
    """
    known = _values((file.name, file.path, file.checksum) for file in source.migrations)
    return f"""
        with known (name, path, checksum) as (
            values
            {known}
        ),
        applied as (
            select h.name, h.checksum from bookingdb.history as h where h.kind = 'migration'
        ),
        pending as (
            select k.name from known as k where not exists (select from applied as a where a.name = k.name)
        ),
        latest as (
            select max(a.name collate "C") as name from applied as a
        ),
        function_set as (
            select h.checksum, array(select jsonb_array_elements_text(h.details -> 'roles')) as roles
            from bookingdb.history as h
            where h.kind = 'functions'
            order by h.id desc
            limit 1
        ),
        roles as (
            select {PRESENT_ROLES} as present
        )
        select
            coalesce(
                -- Whoever may read the history but sees nothing of it would install a second time.
                case when row_security_active('bookingdb.history') then
                    'row level security hides the history of the installation; use the owner''s role'
                end,
                (
                    select format(
                        'the database is newer than this package: it has migration %s; upgrade the package bookingdb',
                        min(a.name collate "C")
                    )
                    from applied as a
                    where not exists (select from known as k where k.name = a.name)
                    having count(*) > 0
                ),
                (
                    select format(
                        'sql/%s was changed after it had been applied; restore the file, and put the change'
                        ' into a new migration',
                        min(k.path collate "C")
                    )
                    from known as k
                    inner join applied as a on a.name = k.name
                    where a.checksum <> k.checksum
                    having count(*) > 0
                ),
                (
                    select format(
                        'migration %s comes before %s, which is applied: number it anew',
                        min(p.name collate "C"), l.name
                    )
                    from pending as p
                    cross join latest as l
                    where p.name collate "C" < l.name
                    group by l.name
                )
            ) as problem,
            array(select p.name from pending as p order by p.name collate "C") as pending,
            case
                when f.checksum is null then {literal(REASON_AT_FIRST)}
                when f.checksum <> {literal(source.checksum)} or exists (select from pending) then 'the files changed'
                -- Nobody but superusers and CREATEROLE can make bookingdb_service; the list is of what was there
                -- afterwards.
                when f.roles <> r.present then 'roles appeared or went: ' || (
                    select string_agg(c.role, ', ' order by c.role collate "C")
                    from (
                        select b.role, count(*) from unnest(f.roles || r.present) as b (role) group by b.role
                    ) as c
                    where c.count = 1
                )
                when {literal(reapply)} then 'asked for'
            end as reason
        from roles as r
        left join function_set as f on true
    """


def strays_query(source: Source) -> str:
    """List functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone."""
    signatures = _array(function.signature for function in source.functions)
    return f"""
        select p.oid::regprocedure::text as name
        from pg_proc as p
        inner join pg_namespace as n on n.oid = p.pronamespace
        where (
                n.nspname = 'bookingdb'
                or (n.nspname = 'public' and p.proname = any ({_array(_public_names(source))}))
                or p.oid = any (
                    select to_regprocedure(r.signature)
                    from bookingdb.history as h
                    cross join lateral jsonb_array_elements_text(h.details -> 'functions') as r (signature)
                    where h.kind = 'functions'
                )
            )
            and not p.oid = any (
                select to_regprocedure(f.signature)
                from unnest({signatures}) as f (signature)
                where to_regprocedure(f.signature) is not null
            )
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
            )
        order by 1
    """


def _array(texts: Iterable[str]) -> str:
    return f"array[{', '.join(literal(text) for text in texts)}]"


def _values(rows: Iterable[Iterable[Any]]) -> str:
    return ",\n            ".join("({})".format(", ".join(literal(value) for value in row)) for row in rows)


def _public_names(source: Source) -> list[str]:
    return [function.name for function in source.public_functions]


# An expression: the roles of grants.sql that the server has.
PRESENT_ROLES = (
    f"array(select r.rolname::text from pg_roles as r where r.rolname = any ({_array(KNOWN_ROLES)}) order by 1)"
)


def _normalised(definition: str) -> str:
    """An expression that does for the catalogue what `source.normalise` does for the files."""
    collapsed = f"regexp_replace(lower(({definition}) collate \"C\"), '[[:space:]]+', ' ', 'g')"
    return f"replace(replace({collapsed}, '( ', '('), ' )', ')')"


# Our triggers: table and name (quoted where they must be) and definition; one that is switched off says so.
EXISTING_TRIGGERS = f"""
            select
                format('%I.%I', n.nspname, c.relname) as "table",
                quote_ident(t.tgname) as name,
                {_normalised("pg_get_triggerdef(t.oid)")}
                || case t.tgenabled when 'O' then '' else format(' [%s]', t.tgenabled) end as definition
            from pg_trigger as t
            inner join pg_class as c on c.oid = t.tgrelid
            inner join pg_namespace as n on n.oid = c.relnamespace
            where not t.tgisinternal and starts_with(t.tgname, {literal(NAME_PREFIX)})
"""

# In an adopted database, the application's callers keep what they could do with its own tables.
GRANT_AGAIN = """do $again$
declare
    v_statement text;
begin
    for v_statement in
        select a.adopted ->> 'statement'
        from bookingdb.adoption as a
        where a.kind = 'statement' and a.adopted @> '{"again": true}'
        order by a.id
    loop
        execute v_statement;
    end loop;
end;
$again$"""

# The policies on our tables, in the same form, as in row_security.sql.
_POLICY = """
                    format(
                        'create policy %I on %I.%I%s for %s to %s',
                        p.policyname, p.schemaname, p.tablename,
                        case when p.permissive = 'RESTRICTIVE' then ' as restrictive' end,
                        p.cmd, array_to_string(p.roles, ', ')
                    )
                    || coalesce(' using (' || p.qual || ')', '')
                    || coalesce(' with check (' || p.with_check || ')', '')
                """
EXISTING_POLICIES = f"""
            select
                format('%I.%I', p.schemaname, p.tablename) as "table",
                quote_ident(p.policyname) as name,
                {_normalised(_POLICY)} as definition
            from pg_policies as p
            where p.schemaname = 'bookingdb'
                or (
                    p.schemaname = 'public'
                    and p.tablename = any ({_array(PUBLIC_TABLES)})
                    and starts_with(p.policyname, {literal(NAME_PREFIX)})
                )
"""


def _attachments(wanted: tuple[Attachment, ...], existing: str, secured_tables: tuple[str, ...] = ()) -> str:
    """A block that makes the triggers (or policies) the wanted ones, and touches none that is: that takes strong locks.

    It looks when it runs, after the migrations before it, which may have dropped a trigger with its function.
    """
    rows = _values((item.table, item.name, item.definition, item.statement) for item in wanted)
    equal = '(w."table", w.name, w.definition) = (e."table", e.name, e.definition)'
    row_security = f"""
            union all
            select 3, format('alter table %s enable row level security', t.name)
            from unnest({_array(secured_tables)}) as t (name)
            inner join pg_class as c on c.oid = t.name::regclass
            where not c.relrowsecurity"""
    return f"""do $attachments$
declare
    v_statement text;
begin
    foreach v_statement in array array(
        with wanted ("table", name, definition, statement) as (
            values
            {rows}
        ),
        existing as ({existing.rstrip()}
        )
        select s.statement
        from (
            select 1 as number, format('drop {wanted[0].kind} %s on %s', e.name, e."table") as statement
            from existing as e
            where not exists (select from wanted as w where {equal})
            union all
            select 2, w.statement
            from wanted as w
            where not exists (select from existing as e where {equal}){row_security if secured_tables else ""}
        ) as s
        order by s.number
    )
    loop
        execute v_statement;
    end loop;
end;
$attachments$"""


def _history_row(kind: str, name: str, checksum: str, details: str) -> str:
    values = ", ".join(literal(value) for value in (kind, name, checksum, package_version("bookingdb")))
    return f"insert into bookingdb.history (kind, name, checksum, version, details) values ({values}, {details})"


__all__ = ["FAILED", "INSTALL_LOCK", "LOCK_TIMEOUT", "NOT_LOCKED", "NOT_PERMITTED", "SETTINGS", "Step", "literal"]
