"""What an installation left in a database, and files of a next version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bookingdb.install import installer
from tests.support import Connection, run


def contents(connection: Connection) -> list[Any]:
    """Every object in the database that came after initdb, with what can be told in a line."""
    return run(
        connection,
        """
        select o.kind, o.oid, o.name, (select array_agg(a::text order by a::text) from unnest(o.acl) as a), o.content
        from (
            select 'schema' as kind, n.oid, n.nspname as name, n.nspacl as acl, null as content
            from pg_namespace as n where n.nspname !~ '^pg_'
            union all select 'relation', c.oid, c.relname, c.relacl, null from pg_class as c
            union all select 'function', p.oid, p.proname, p.proacl, p.prosrc from pg_proc as p
            union all select 'type', t.oid, t.typname, t.typacl, null from pg_type as t
            union all select 'constraint', c.oid, c.conname, null, null from pg_constraint as c
            union all select 'trigger', t.oid, t.tgname, null, t.tgenabled::text from pg_trigger as t
            union all select 'policy', p.oid, p.polname, null, null from pg_policy as p
            union all select 'extension', e.oid, e.extname, null, null from pg_extension as e
        ) as o
        where o.oid >= 16384 or o.kind = 'schema'
        order by 1, 2
        """,
    )


def adopt_nothing(connection: Connection) -> None:
    """Make a database one that was adopted, as far as its functions are concerned."""
    run(connection, "insert into bookingdb.adoption (kind, object) values ('plan', 'bookingdb')")
    installer.migrate(connection, reapply=True)


def history(connection: Connection) -> list[Any]:
    return run(connection, "select kind, name from bookingdb.history order by id")


def add_migration(folder: Path, name: str, statement: str) -> None:
    (folder / "migrations" / f"{name}.sql").write_text(statement + ";\n")


def add_function(folder: Path, name: str, result: int) -> Path:
    """A function without arguments that returns a number: of the engine, or one that has a face in public, too."""
    schema, _, name = name.partition(".")
    path = folder / "functions" / "checks" / f"{name}.sql"
    path.write_text(
        ("-- Public.\n" if schema == "public" else "")
        + f"create or replace function bookingdb.{name}()\nreturns integer\nlanguage plpgsql\nimmutable\n"
        "security invoker\nset search_path = pg_catalog, pg_temp\nas $function$\n"
        f"begin\n    return {result};\nend;\n$function$;\n\ncomment on function bookingdb.{name}() is\n'A number.';\n"
    )
    return path
