"""The SQL text of an installation, questions and statements: `migrate` sends it, `export` writes it down.

Each rule (what is in the way, what is pending, what differs from the files) is one query in a file of ``sql/``, with
the sentence that refuses it. The same text works where nobody binds parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as package_version
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from bookingdb import queries
from bookingdb.install.functions import ADOPTION
from bookingdb.install.session import literal
from bookingdb.install.source import Attachment, Source, SqlFile
from bookingdb.install.version_order import version_key, version_key_expression
from bookingdb.queries import array, indented

# Roles of the host that grants.sql names; when one appears, the grants are applied again.
KNOWN_ROLES = ("anon", "authenticated", "service_role")
# The oldest Postgres the files are written for.
MINIMUM_VERSION = 14
# Triggers of ours begin with this; nothing else's should.
NAME_PREFIX = "_bookingdb"
# The tables of ours that applications see; everything in the schema bookingdb is ours anyway.
PUBLIC_TABLES = ("users", "sessions", "user_credits", "booking_audit_log")

REASON_AT_FIRST = "first installation"
# Refusals. Python and Postgres (format) both put the values where %s stands.
MORE_RIGHTS = "%s has more rights than %s, the owner of what bookingdb has here, whose code would run with them: %s"
STRAYS = "functions that no file of this version defines: %s; drop them first"


# True if there is a history to read. The table is in it for a reason: without one, a session that has just waited for
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


def installation(
    source: Source, migrations: Iterable[SqlFile], *, takes_up: bool, downgrade: bool = False
) -> Iterator[Step]:
    """Yield what brings a database to this version, in the order in which it runs.

    Args:
        source: the files of this version.
        migrations: those of them that the database lacks.
        takes_up: look for tables that were kept, and take them up.
        downgrade: drop, too, what only the function set in the database has.
    """
    migrations = tuple(migrations)
    if migrations:
        # Also where the tables are an application's that was adopted with fewer migrations.
        parts = query("table_parts")
        yield Step("adopted tables", query("before_migrations", parts=indented(parts, 12)))
        yield from structure(migrations)
        yield Step("adopted tables", query("record_migrations", parts=indented(parts, 16)))
    yield from functions(source, takes_up=takes_up, downgrade=downgrade)


def structure(migrations: Iterable[SqlFile]) -> Iterator[Step]:
    """Yield the migrations, each with its row of the history."""
    for file in migrations:
        yield Step(f"sql/{file.path}", file.text, file.name)
        yield Step("history", _history_row("migration", file.name, file.checksum, literal(Jsonb({}))), file.name)


def functions(source: Source, *, takes_up: bool = False, downgrade: bool = False) -> Iterator[Step]:
    """Yield what every installation ends with: adapter, functions, triggers, policies, grants."""
    for view in source.views:
        yield Step(f"sql/{source.adapter.path}", _replace_view(view))
    if not any(view.startswith("create or replace view bookingdb.people ") for view in source.views):
        yield Step("people", _replace_view(query("people")))
    yield Step("trust", query("trust_nobody"))
    for function in source.without_adoption.functions:
        yield Step(f"sql/{function.path}", function.text)
    yield Step(f"sql/functions/{ADOPTION}", _adoption_functions(source))
    if takes_up:
        # Policies and hours may have changed without triggers, and times are read by them.
        yield Step("effective rules", "select bookingdb.write_rules(null)")
        yield Step("kept times", query("take_up_times", is_kept=indented(query("is_kept"), 8)))
    yield Step(f"sql/{source.triggers_file.path}", _attach("triggers", source.triggers))
    yield Step(f"sql/{source.row_security_file.path}", _attach("row_policies", source.policies, source.secured_tables))
    if takes_up:
        yield Step("kept trust", query("take_up_trust", is_kept=indented(query("is_kept"), 8)))
    yield Step(f"sql/{source.grants_file.path}", source.grants)
    if downgrade:
        drop_newer = query(
            "drop_newer",
            recorded=indented(present_functions(query("recorded_last")), 12),
            defined=indented(present_functions(_defined(source)), 12),
        )
        yield Step("downgrade", drop_newer)
    yield Step("adoption", query("grant_again"))
    # Once the triggers are there, which keep them in step.
    yield Step("effective rules", "select bookingdb.write_rules(null)")
    yield Step("therapists who are clients", "select bookingdb.mirror_all_times()")

    yield Step("time zones", "select bookingdb.refresh_time_zones()")
    if takes_up:
        last_entry, last_record = (
            f"(v_evidence #>> '{{{table},last}}')::bigint" for table in ("bookingdb.ledger", "public.booking_audit_log")
        )
        evidence = indented(query("evidence", last_entry=last_entry, last_record=last_record), 8)
        yield Step("kept tables", query("take_up", is_kept=indented(query("is_kept"), 8), evidence=evidence))
    known = {
        "adapter": source.adapter.name,
        "functions": sorted(function.signature for function in source.functions),
    }
    # As grants.sql left them.
    roles = f"jsonb_build_object('roles', {GRANTED_ROLES})"
    trust = [CARRIED_OVER]
    if takes_up:
        trust.append("current_setting('bookingdb.trusted_again')::jsonb")
    details = " || ".join([literal(Jsonb(known)), roles, *trust])
    yield Step("history", _history_row("functions", source.adapter.name, source.checksum, details))
    # PostgREST reads the functions anew.
    yield Step("notification", "notify pgrst, 'reload schema'")


def query(name: str, /, **values: object) -> LiteralString:
    """Return a query of this package, or a statement."""
    return queries.load("bookingdb.install", name, public_tables=PUBLIC_TABLES, prefix=NAME_PREFIX, **values)


def obstacle_query(source: Source, is_kept: str) -> LiteralString:
    """Ask why nothing can be installed in a database without bookingdb: one row, a sentence or null.

    Args:
        source: the files to install.
        is_kept: an SQL expression, true where the tables are ours and were kept.
    """
    names = _public_names(source)
    return query("obstacle", minimum_version=MINIMUM_VERSION, public_functions=names, is_kept=is_kept)


def pending_query(source: Source, *, reapply: bool = False, downgrade: bool = False) -> LiteralString:
    """Compare the history of a database that has one with the files.

    One row: ``problem``, why the two contradict each other, or null; ``is_newer``, whether the database is newer than
    the files; ``is_kept``, whether tables that were kept are to be taken up; ``pending``, the names of migrations not
    applied yet; ``reason``, why functions, triggers, policies and grants must be applied, null where they need not.
    """
    version = package_version("bookingdb")
    return query(
        "pending",
        version=version,
        version_key=version_key(version),
        recorded_key=version_key_expression("s.version"),
        known=indented(_values((file.name, file.path, file.checksum) for file in source.migrations), 4),
        checksum=source.checksum,
        granted_roles=GRANTED_ROLES,
        everybody_is_trusted=query("everybody_is_trusted"),
        reason_at_first=REASON_AT_FIRST,
        objects=indented(query("kept_objects"), 20),
        reapply=reapply,
        downgrade=downgrade,
    )


def lesser_owner_query(login: LiteralString) -> LiteralString:
    """Ask whether an owner has fewer rights than who logged in: login, owner and remedy, or no row.

    Args:
        login: an expression: the role whose memberships count. The Supabase CLI logs in as a member of the owner, and
            takes on the owner's role. Rights that reach beyond one's own tables count for the login in any case.
    """
    return query("lesser_owner", login=login)


def other_owners_query(source: Source) -> LiteralString:
    """Ask why the owners of what a database with bookingdb has stand in the way: one row, a sentence or null."""
    return query("other_owners", public_functions=_public_names(source))


def strays_query(source: Source, *, reads_history: bool = True, is_before: bool = False) -> LiteralString:
    """List functions of ours that no file defines: others in bookingdb, overloads, those of files that are gone.

    Without the history, those of files that are gone are known by the schema bookingdb and their names alone. Before
    an installation only overloads that no earlier one made: a migration may drop the others.
    """
    history = "bookingdb.history" if reads_history else "(select null as kind, null::jsonb as details)"
    return query(
        "stray_functions",
        recorded=indented(present_functions(query("recorded_functions", history=history)), 8),
        public_functions=_public_names(source),
        defined=indented(present_functions(_defined(source)), 8),
        is_before=is_before,
    )


def present_functions(signatures: LiteralString) -> LiteralString:
    """List the functions that a database has of those whose signatures a query gives."""
    return query("present_functions", signatures=indented(signatures, 8))


def signatures_of(functions: Iterable[str]) -> LiteralString:
    """List signatures, as `present_functions` takes them."""
    return f"select unnest({array(list(functions))})"


def attached_query(group: str) -> LiteralString:
    """List our "triggers" or "row_policies": table, name and definition, in the form of `source.normalise`."""
    return query("attached", existing=indented(query(group), 4))


def needs_adoption_query(source: Source, *, reads_tables: bool = True) -> LiteralString:
    """Ask whether a database needs the functions that only an adopted one has, or else whether it has any of them."""
    present = _present_for_adoption(source)
    if not reads_tables:
        return f"select exists ({present})"
    return query("needs_adoption", present=indented(present, 12))


def _adoption_functions(source: Source) -> LiteralString:
    return query(
        "adoption_functions",
        is_needed=indented(needs_adoption_query(source), 8),
        functions=[function.text for function in source.adoption],
        present=indented(_present_for_adoption(source), 16),
    )


def _present_for_adoption(source: Source) -> LiteralString:
    return present_functions(signatures_of(function.signature for function in source.adoption))


def _values(rows: Iterable[Iterable[Any]]) -> str:
    return ",\n".join("({})".format(", ".join(literal(value) for value in row)) for row in rows)


def _defined(source: Source) -> LiteralString:
    return signatures_of(function.signature for function in source.functions)


def _public_names(source: Source) -> list[str]:
    return [function.name for function in source.public_functions]


TRUSTED_ROLES = query("trusted_roles")
# An expression: who was carried over from bookingdb_service, as grants.sql says for the rest of the transaction.
CARRIED_OVER = "coalesce(nullif(current_setting('bookingdb.carried_over', true), '')::jsonb, '{}')"
# An expression: the roles that our grants name.
GRANTED_ROLES = f"array({query('granted_roles', hosts=KNOWN_ROLES, trusted=TRUSTED_ROLES)})"


def _replace_view(statement: str) -> str:
    """Return the statement that makes a view, where there is none like it; any other statement as it is."""
    found = re.match(r"(create or replace view )(bookingdb\.\w+)(\s+as\s)", statement, re.IGNORECASE)
    if not found:
        return statement
    other_view = "bookingdb.wanted_view"
    other = f"create view {other_view}{found[3]}{statement[found.end() :]}"
    return query("replace_view", view=found[2], other_view=other_view, other=other, statement=statement)


def _attach(group: str, wanted: tuple[Attachment, ...], secured_tables: tuple[str, ...] = ()) -> LiteralString:
    """Return the statement that makes the triggers (or row policies) the wanted ones."""
    return query(
        "attach",
        # Not indented: that would change statements of several lines.
        wanted=_values((item.table, item.name, item.definition, item.statement) for item in wanted),
        attached=indented(attached_query(group), 12),
        kind=wanted[0].kind,
        secured_tables=secured_tables,
    )


def _history_row(kind: str, name: str, checksum: str, details: str) -> str:
    values = ", ".join(literal(value) for value in (kind, name, checksum, package_version("bookingdb")))
    return f"insert into bookingdb.history (kind, name, checksum, version, details) values ({values}, {details})"
