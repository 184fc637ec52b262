"""Holds a database against sql/: what is missing, what somebody changed, what does not belong. Changes nothing itself.

Function bodies, triggers, policies and row level security are compared with the files. The rest (tables, columns,
constraints, indexes, types, views, the attributes of functions, privileges) is compared with ``sql/catalogue.json``,
which was made by `snapshot` of a fresh installation.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, LiteralString

import psycopg

from bookingdb import queries
from bookingdb.checks import acknowledgements, catalogue, remedies
from bookingdb.checks.finding import Finding
from bookingdb.checks.remedies import MIGRATE, REAPPLY, RESTORE, Attributes, run
from bookingdb.install import installer, time_zones
from bookingdb.install.owner import more_rights
from bookingdb.install.script import KNOWN_ROLES, NAME_PREFIX
from bookingdb.install.session import Connection, InstallError, prepare, scalar
from bookingdb.install.source import Attachment, Catalogue, Source, SourceError, load
from bookingdb.policy import SETTINGS

# The function whose execution is a worker's privilege.
WORK = "function bookingdb.work_deliveries()"
# The place of trusted roles in the catalogue of a new installation.
TRUSTED = "TRUSTED"
# Applications connect as these roles. The owner of the application's tables decides about other roles there;
# everything else of ours is only for the roles of grants.sql.
APPLICATION_ROLES = ("PUBLIC", "anon", "authenticated")
APPLICATION_OBJECTS = ("table public.", "sequence public.")

# Rows that a finding about many of them names.
_FEW = 5

# The part of a database that can be verified.
Extent = Literal["everything", "invariants", "nothing"]


# The group of the finding about sessions whose scheduled time is not their start.
CONTRADICTORY_TIMES = "contradictory times"

_IS_THERE: LiteralString = "select exists (select from pg_namespace as n where n.nspname = 'bookingdb')"
_IS_OWNER: LiteralString = (
    "select pg_has_role(n.nspowner, 'MEMBER') from pg_namespace as n where n.nspname = 'bookingdb'"
)
_NOT_INSTALLED = Finding("installation", "bookingdb", "is not installed", MIGRATE)


def verify(connection: Connection, *, source: Source | None = None) -> list[Finding]:
    """Compare a database with the files under sql/, then ask ``bookingdb.check_invariants()``.

    Reads only, in one transaction whose settings end with it: it works on a standby and through a transaction pooler.

    Args:
        connection: an open connection, not inside a transaction, of the owner of what was installed. For somebody who
            has more rights (`owner.more_rights`), only the catalogue is compared, with that of a new installation, and
            nothing in the database is run or read that its owner could have replaced.
        source: the files to compare with; those of this package when left out.

    Returns:
        One finding for each thing that is wrong, none when all is well. A mere consequence of another finding (the
        columns of a missing table, say) is left out where that can be told. When something is pending, only the
        invariants are looked at besides.

    Raises:
        SourceError: sql/ has no catalogue.json.

    Example:
        >>> with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        ...     print(len(verify(connection)))
        0
    """
    if more_rights(connection):
        return _catalogue_alone(connection, source or load())
    source = source or installer.installed_source(connection)
    _require_catalogue(source)
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        findings, extent = _installation(connection, source)
        report_errors = True
        if extent == "everything":
            comparison = _Comparison(connection, source)
            findings += comparison.findings()
            # Functions cannot work with what is missing, or belongs to somebody else.
            report_errors = not comparison.missing and all(finding.group != "owners" for finding in findings)
            findings += _contents(connection, report_errors=report_errors)
            findings += _rewritten_records(connection)
            findings += _time_zones(connection)
            findings += _contradictory_times(connection)
        if extent != "nothing":
            findings += _invariants(connection, report_errors=report_errors)
        accepted = installer.accepted_differences(connection)
        people = {finding.key for finding in findings if _is_of_applications_people(finding)}
        if people and installer.is_adopted(connection):
            accepted |= people
        # Only who sees such findings may read what was acknowledged.
        is_any_settled = any(finding.is_settled for finding in findings)
        seen = {acknowledged.key for acknowledged in acknowledgements.read(connection)} if is_any_settled else set()
        return [
            finding
            for finding in findings
            if finding.key not in accepted and not (finding.is_settled and finding.key in seen)
        ]


def _is_of_applications_people(finding: Finding) -> bool:
    """Tell whether a finding says only that the view of people is over an application's tables.

    A database that was adopted before there was this view has no record of how it differs.
    """
    return finding.object == "bookingdb.people" and finding.problem.startswith(("columns is", "definition is"))


def _catalogue_alone(connection: Connection, source: Source) -> list[Finding]:
    """Compare the catalogue. The tables are not read: each could be a view, which runs what its owner wrote."""
    _require_catalogue(source)
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        if not scalar(connection, _IS_THERE):
            return [_NOT_INSTALLED]
        return _Comparison(connection, source, reads_tables=False).findings()


def _require_catalogue(source: Source) -> None:
    if not source.catalogue:
        raise SourceError("sql/catalogue.json is missing: it says what an installation consists of")


def snapshot(connection: Connection, source: Source) -> Catalogue:
    """Describe what is installed, in the form of ``sql/catalogue.json``; some other role than the host's is trusted."""
    with connection.transaction(force_rollback=True):
        prepare(connection, read_only=True)
        found = catalogue.read(connection, source)
        trusted = set(installer.trusted_roles(connection)) - set(KNOWN_ROLES)
        found["privileges"] = {
            name: {TRUSTED if role in trusted else role: privileges for role, privileges in granted.items()}
            for name, granted in found["privileges"].items()
        }
        return found


def _installation(connection: Connection, source: Source) -> tuple[list[Finding], Extent]:
    """Return the findings of the history, and how much can be verified after that."""

    def finding(problem: str, remedy: str) -> list[Finding]:
        return [Finding("installation", "bookingdb", problem, remedy)]

    if not scalar(connection, _IS_THERE):
        return [_NOT_INSTALLED], "nothing"
    try:
        with connection.transaction():
            pending = installer.find_pending(connection, source)
            recorded = installer.recorded_set(connection)
    except InstallError as error:
        # Asking for the invariants runs the owner's code, with the rights of whoever asks.
        is_members = scalar(connection, _IS_OWNER)
        return finding(str(error), "What is installed was not compared"), "invariants" if is_members else "nothing"
    except psycopg.Error as error:
        return finding(f"cannot be examined: {_message(error)}", _after(connection, error)), "nothing"

    if recorded is None:
        return finding("has no history of its installation, though its schema exists", RESTORE), "nothing"
    if pending.migrations or recorded[0] != source.checksum:
        names = ", ".join([file.name for file in pending.migrations] or ["functions, triggers, policies and grants"])
        problem = f"is not at the version of this package; pending: {names}"
        if pending.is_kept:
            problem = "was uninstalled, and its tables were kept"
        return finding(problem, MIGRATE), "nothing" if pending.is_kept else "invariants"
    # When only roles appeared or went, everything else can be compared.
    return finding(pending.reason, MIGRATE) if pending.reason else [], "everything"


class _Comparison:
    """The catalogue of a database beside the files."""

    def __init__(self, connection: Connection, source: Source, *, reads_tables: bool = True) -> None:
        self.connection = connection
        self.source = source = installer.for_database(connection, source, reads_tables=reads_tables)
        self.reads_tables = reads_tables
        self.expected = source.catalogue
        self.actual = catalogue.read(connection, source)
        # Names of what is missing: what needs it is not reported as well.
        self.missing: list[str] = []
        self.explained: set[str] = set()

    def findings(self) -> list[Finding]:
        """Everything that differs; what others need comes first, so that consequences are recognised."""
        return [
            *self.extension(),
            *self.owners(),
            *self.group("tables"),
            *self.group("types"),
            *self.group("columns"),
            *self.group("constraints"),
            *self.group("indexes"),
            *self.group("views"),
            *self.group("functions"),
            *self.bodies(),
            *self.stray_functions(),
            *self.attachments("triggers", self.source.triggers, installer.existing_triggers(self.connection)),
            *self.attachments("policies", self.source.policies, installer.existing_policies(self.connection)),
            *self.foreign_attachments(),
            *self.trigger_settings(),
            *self.companions(),
            *self.row_security(),
            *self.privileges(),
            *self.sequences(),
        ]

    def extension(self) -> Iterator[Finding]:
        """btree_gist, in whichever schema: a database that had it elsewhere before keeps it there."""
        if scalar(self.connection, "select exists (select from pg_extension where extname = 'btree_gist')"):
            return
        lost = {
            name: remedies.making(group, name, wanted)
            for group in ("constraints", "indexes")
            for name, wanted in self.expected[group].items()
            if "USING gist" in wanted["definition"] and name not in self.actual[group]
        }
        self.explained |= lost.keys()
        yield Finding(
            "extension",
            "btree_gist",
            ", and with it ".join(["is missing", *lost]),
            run("create extension btree_gist with schema extensions", *lost.values()),
        )

    def owners(self) -> Iterator[Finding]:
        """Everything belongs to one role: definer functions reach the tables with the rights of their owner."""
        owners = catalogue.owners(self.connection, self.source)
        ((usual, _),) = Counter(owner for _, owner in owners).most_common(1)
        for name, owner in owners:
            is_known = name == "schema bookingdb" or any(
                name.partition(" ")[2] in self.expected[group] for group in ("functions", "tables", "types", "views")
            )
            if owner != usual and is_known:
                remedy = run(f"alter {name} owner to {usual}")
                yield Finding("owners", name, f"belongs to {owner}, the rest to {usual}", remedy)

    def group(self, group: str) -> Iterator[Finding]:
        """Objects of a group that are missing, that differ, or that do not belong."""
        expected, actual = self.expected[group], self.actual[group]
        for name, wanted in expected.items():
            if name not in actual:
                if name not in self.explained and not self.is_consequence(wanted):
                    yield Finding(group, name, "is missing", self.remedy_if_missing(group, name, wanted))
                self.missing.append(name.partition("(")[0])
                continue
            for attribute, value in wanted.items():
                if (found := actual[name][attribute]) != value:
                    problem = f"{attribute.replace('_', ' ')} is {_shown(found)}, should be {_shown(value)}"
                    yield Finding(group, name, problem, remedies.for_difference(group, name, attribute, wanted))
        # A table that does not belong is told without its parts.
        strangers = self.actual["tables"].keys() - self.expected["tables"].keys()
        for name, found in actual.items():
            if name not in expected and found.get("table") not in strangers and _is_intruder(group, name, found):
                yield Finding(group, name, "is not part of bookingdb", run(*remedies.removing(group, name, found)))

    def is_consequence(self, attributes: Attributes) -> bool:
        """Tell whether something with these attributes cannot be there, because what it needs is missing itself."""
        text = " ".join(str(value) for value in attributes.values())
        for name in self.missing:
            if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text):
                return True
            # Constraints, indexes and policies name the columns of their table without it.
            table, _, column = name.rpartition(".")
            if table == attributes.get("table") and re.search(rf"\b{column}\b", attributes.get("definition", "")):
                return True
        return False

    def remedy_if_missing(self, group: str, name: str, wanted: Attributes) -> str:
        """Say what to do about an object that is not there."""
        match group:
            case "functions" | "views":
                return REAPPLY
            case "constraints" | "indexes":
                return run(remedies.making(group, name, wanted))
            case "columns":
                return f"{RESTORE}, or begin anew: {run(remedies.making(group, name, wanted))}"
            case "tables":
                return f"{RESTORE}; {self.place_of(f'create table {name} ')} says how it is made"
            case _:
                return f"Make it again, as {self.place_of(f'create type {name} ')} does. {REAPPLY}"

    def place_of(self, phrase: str) -> str:
        """Name the migration that has this phrase."""
        return next((f"sql/{file.path}" for file in self.source.migrations if phrase in file.text), "sql/migrations")

    def bodies(self) -> Iterator[Finding]:
        """Functions whose text is not, byte for byte, that of their file."""
        files = {f"{file.schema}.{file.name}": file for file in self.source.functions}
        for name, body in sorted(catalogue.bodies(self.connection, self.source).items()):
            file = files.get(name.partition("(")[0])
            # Overloads are told by `stray_functions`.
            if name in self.expected["functions"] and file is not None and body != file.body:
                yield Finding("functions", name, f"body differs from sql/{file.path}", REAPPLY)

    def stray_functions(self) -> Iterator[Finding]:
        """Overloads, and functions that no file defines."""
        for name in installer.stray_functions(self.connection, self.source, reads_history=self.reads_tables):
            yield Finding("functions", name, "is not part of bookingdb", run(f"drop routine {name}"))

    def attachments(
        self, group: str, wanted: tuple[Attachment, ...], existing: dict[tuple[str, str], str]
    ) -> Iterator[Finding]:
        """Triggers or policies that are missing, that differ, or that do not belong."""
        for item in wanted:
            name = f"{item.name} on {item.table}"
            found = existing.pop((item.table, item.name), None)
            if found is None:
                if not self.is_consequence({"table": item.table, "definition": item.definition}):
                    yield Finding(group, name, "is missing", REAPPLY)
            elif found.startswith(item.definition + " ["):
                yield Finding(group, name, "is switched off, or on for some sessions only", REAPPLY)
            elif found != item.definition:
                yield Finding(group, name, f"differs from the file: {found}", REAPPLY)
        for table, name in existing:
            yield Finding(group, f"{name} on {table}", "is not part of bookingdb", REAPPLY)

    def foreign_attachments(self) -> Iterator[Finding]:
        """Triggers, rules and children of others on our tables, which could undo what ours do."""
        query = catalogue.query(self.source, "foreign_attachments", prefix=NAME_PREFIX)
        for group, name, problem, statement in self.connection.execute(query):
            yield Finding(group, name, problem, run(statement))

    def trigger_settings(self) -> Iterator[Finding]:
        """Settings that switch triggers off for whole databases, roles or functions."""
        for name, statement in self.connection.execute(catalogue.query(self.source, "trigger_settings")):
            problem = "session_replication_role is set: triggers and foreign keys need not hold there"
            yield Finding("settings", name, problem, run(statement))

    def sequences(self) -> Iterator[Finding]:
        """Identity columns whose next value is there already: rows are refused, or come out of order."""
        if not self.reads_tables:
            return
        for name, found in self.actual["columns"].items():
            table, column = found["table"], name.rpartition(".")[2]
            if not found["identity"] or name not in self.expected["columns"]:
                continue
            query = _query("identity", table=table, column=column)
            try:
                with self.connection.transaction():
                    ((last, is_behind),) = self.connection.execute(query).fetchall()
            except psycopg.Error:
                # The owners or privileges are to be put right first.
                continue
            if is_behind:
                remedy = run(f"select setval(pg_get_serial_sequence('{table}', '{column}'), {last})")
                yield Finding("sequences", name, f"counts again what is there up to {last}", remedy)

    def companions(self) -> Iterator[Finding]:
        """Triggers that keep an adopted application's tables in step, which are missing or switched off."""
        if "bookingdb.adoption" not in self.actual["tables"] or not self.reads_tables:
            return
        for name, statement in self.connection.execute(_query("missing_companions")):
            problem = "is missing, or switched off: what the application writes is no longer followed"
            yield Finding("triggers", name.removeprefix("trigger "), problem, run(statement))

    def row_security(self) -> Iterator[Finding]:
        """Tables whose policies are not in force."""
        secured = installer.tables_with_row_security(self.connection)
        for table in self.source.secured_tables:
            if table in self.actual["tables"] and table not in secured:
                yield Finding("row level security", table, "is switched off", REAPPLY)

    def privileges(self) -> Iterator[Finding]:
        """Privileges that are missing or too many, on what is there."""
        # Roles that appeared since have their grants pending, and those that went have none.
        present = set(installer.granted_roles(self.connection))
        recorded = installer.recorded_set(self.connection) if self.reads_tables else None
        applied = set(recorded[1]["roles"]) if recorded else present
        granted = present & applied
        trusted = set(installer.trusted_roles(self.connection)) - set(KNOWN_ROLES)
        for name, expected in self.expected["privileges"].items():
            # An object on which nobody has a privilege any more, not even its owner, is not in the list.
            found = self.actual["privileges"].get(name, {})
            if not found and not any(name.partition(" ")[2] in self.actual[group] for group in ("functions", "tables")):
                continue
            wanted = {role: privileges for role, privileges in expected.items() if role != TRUSTED}
            wanted |= dict.fromkeys(trusted, expected.get(TRUSTED, []))
            # Grants to roles that are not trusted any more are pending.
            found = {role: privileges for role, privileges in found.items() if role not in applied - present}
            if name == WORK:
                # The owner decides which of those who are trusted are workers, too.
                found = {role: has for role, has in found.items() if role not in trusted | {"service_role"}}
            for role in sorted(wanted.keys() | found.keys()):
                lacking = sorted(set(wanted.get(role, ())) - set(found.get(role, ())))
                if lacking and role in {"OWNER", *granted}:
                    remedy = remedies.for_privilege(name, role, "grant", lacking)
                    yield Finding("privileges", name, f"{role} lacks {', '.join(lacking)}", remedy)
                extra = sorted(set(found.get(role, ())) - set(wanted.get(role, ())))
                if extra and (role in APPLICATION_ROLES or not name.startswith(APPLICATION_OBJECTS)):
                    remedy = remedies.for_privilege(name, role, "revoke", extra)
                    yield Finding("privileges", name, f"{role} has {', '.join(extra)}", remedy)


def _contents(connection: Connection, *, report_errors: bool) -> Iterator[Finding]:
    """Compare what the tables hold with sql/contents. With `report_errors`, one that cannot be read is a finding."""
    settings = ", ".join(setting.name for setting in SETTINGS)
    defaults = ", ".join(queries.literal(setting.default) for setting in SETTINGS)
    default_policy = " ".join(_query("default_policy", settings=settings, defaults=defaults).split())
    for query in queries.names("bookingdb.checks", "contents"):
        table, problem, remedy = (
            queries.remark("bookingdb.checks", query, key) or "" for key in ("table", "problem", "remedy")
        )
        try:
            with connection.transaction():
                is_wrong = scalar(connection, _query(query))
        except psycopg.Error as error:
            if report_errors:
                yield Finding("contents", table, f"cannot be read: {_message(error)}", _after(connection, error))
        else:
            if is_wrong:
                yield Finding("contents", table, problem, remedy.replace("{default_policy}", default_policy))


def _rewritten_records(connection: Connection) -> Iterator[Finding]:
    """Changes of superusers to append-only tables; none where their record cannot be read."""
    try:
        with connection.transaction():
            rows = connection.execute(_query("rewritten_records")).fetchall()
    except psycopg.Error:
        # The comparison says what is wrong with the table.
        return
    for first, last, table, operation, count, role, time in rows:
        records = f"record {first}" if first == last else f"records {first} to {last}"
        problem = f"{role} did {operation} on {count} row(s) of {table} at {time}"
        query = f"select * from bookingdb.rewritten_records where id between {first} and {last} order by id"
        yield Finding("rewritten records", records, problem, f"Look at `{query}`", is_settled=True)


def _time_zones(connection: Connection) -> Iterator[Finding]:
    """Sessions off their agreed local time, and zones that the server has lost; none where they cannot be read."""
    try:
        with connection.transaction():
            off_time, lost = time_zones.sessions_off_time(connection), time_zones.lost_zones(connection)
    except psycopg.Error:
        # The comparison says what is wrong with the functions and tables.
        return
    for session in off_time:
        problem = (
            f"was agreed for {session.agreed_time} {session.time_zone}, whose rules changed since:"
            f" it starts at {session.start_time}"
        )
        if session.agreed_start is None:
            remedy = "The clocks now skip that time: reschedule it"
        else:
            problem += f" instead of {session.agreed_start}"
            remedy = "Run `bookingdb time-zones realign`"
        yield Finding("time zones", f"session {session.session_id}", problem, remedy)
    for zone in lost:
        problem = (
            f"is no zone that this server knows, but that of {zone.policies} policies and {zone.sessions} session(s)"
            " to come"
        )
        if zone.windows:
            problem += f", and of {zone.windows} window(s) of weekly hours, which are closed"
        remedy = remedies.for_lost_zone(zone.name, zone.aliases, has_windows=zone.windows > 0)
        yield Finding("time zones", zone.name, problem, remedy)


def _contradictory_times(connection: Connection) -> Iterator[Finding]:
    """Sessions to come of an adopted database that have two times; none where they cannot be read."""
    try:
        with connection.transaction():
            if not installer.is_adopted(connection):
                return
            found = connection.execute(_query("contradictory_times")).fetchall()
    except psycopg.Error:
        # The comparison says what is wrong with the functions and tables.
        return
    if not found:
        return
    zones = ", ".join(sorted({zone for _, zone in found}))
    some = ", ".join(id_ for id_, _ in found[:_FEW]) + (", ..." if len(found) > _FEW else "")
    problem = (
        f"has {len(found)} active session(s) to come whose scheduled date and time is not their start_time in {zones}:"
        f" {some}"
    )
    yield Finding(CONTRADICTORY_TIMES, "public.sessions", problem, remedies.FOR_CONTRADICTORY_TIMES)


def _invariants(connection: Connection, *, report_errors: bool) -> Iterator[Finding]:
    """Ask ``check_invariants()``. With `report_errors`, it is a finding, too, when it cannot be asked."""
    try:
        with connection.transaction():
            violations = connection.execute(_query("violations")).fetchall()
    except psycopg.Error as error:
        if report_errors:
            problem = f"cannot be asked: {_message(error)}"
            yield Finding("invariants", "bookingdb.check_invariants()", problem, _after(connection, error))
        return
    for invariant, subject, problem, context in violations:
        yield Finding(
            "invariants",
            f"{invariant}: {subject}",
            f"{problem} {json.dumps(context)}",
            remedies.for_violation(invariant, problem, subject, context),
            is_settled=remedies.is_settled(invariant, problem),
        )


def _is_intruder(group: str, name: str, found: Attributes) -> bool:
    """Tell whether an object that we did not install has no business where it is.

    Columns and constraints of its own are the application's right in its tables, and further indexes are anybody's
    right, unless they refuse rows. Functions are told by `stray_functions`.
    """
    if group == "functions" or not str(found.get("table", name)).startswith("bookingdb."):
        return False
    return group != "indexes" or found["definition"].startswith("CREATE UNIQUE")


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None | "" | []:
            return "nothing"
        case list():
            return ", ".join(value)
        case _:
            return str(value)


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _after(connection: Connection, error: psycopg.Error) -> str:
    """Say what to do when something could not be read."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        owner = scalar(connection, "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'bookingdb'")
        return f"Verify as the owner, {owner}"
    return REAPPLY


def _query(name: str, **values: object) -> LiteralString:
    return queries.load("bookingdb.checks", name, **values)
