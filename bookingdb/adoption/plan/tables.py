"""What becomes of the columns, constraints and indexes of the four tables."""

from __future__ import annotations

import contextlib
import re

import psycopg
from psycopg import sql

from bookingdb.adoption import application, damage, plpgsql_text
from bookingdb.adoption.application import Column, Constraint, Policy
from bookingdb.adoption.plan.draft import CLEARING, COLUMNS, STRENGTHENING, Desk
from bookingdb.checks.remedies import Attributes
from bookingdb.install.session import literal

# Columns whose values both sides limit, and those that bookingdb writes.
_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "sessions": {"status": damage.STATUSES},
    "user_credits": {"status": damage.LOT_STATUSES, "user_type": ("user",)},
    "users": {"user_type": ("user", "therapist")},
}
# Without these, in these types, nothing works; of all others a difference is borne.
INDISPENSABLE = {
    "users": ("id",),
    "sessions": ("id", "user_id", "therapist_id"),
    "user_credits": ("id", "user_id", "credits_balance"),
    "booking_audit_log": ("id",),
}
TIMES = frozenset({"start_time", "end_time", "scheduled_date", "scheduled_time", "session_date", "session_time"})


# A CHECK that lists values, as Postgres prints it.
_LIST = re.compile(r"= ANY \(|^CHECK \(\((?:\(?\(?\w+\)?(?:::\w+)? = '[^']*'(?:::[\w ]+)?\)?(?: OR )?)+\)\)")


class TablesPart(Desk):
    """Changes of the tables."""

    def columns_wanted(self, table: str) -> dict[str, Attributes]:
        """The columns of a table as bookingdb has it, by name."""
        prefix = f"public.{table}."
        return {
            name.removeprefix(prefix): wanted
            for name, wanted in self.source.catalogue["columns"].items()
            if name.startswith(prefix)
        }

    def tables(self) -> None:
        """The four tables: that they are tables, their columns, constraints and indexes."""
        self.problems += application.namesakes(self.connection)
        for name in self.app.tables:
            relation = self.app.relations[name]
            label = f"table public.{name}"
            if relation.kind != "r":
                self.problems.append(f"public.{name} is no ordinary table")
                continue
            self.problems += [f"public.{name} {line}" for line in application.peculiarities(self.connection, name)]
            if relation.forces_row_security:
                self.change(
                    CLEARING,
                    label,
                    "row level security forced on its owner would bind bookingdb's functions",
                    [f"alter table public.{name} no force row level security"],
                    [f"alter table public.{name} force row level security"],
                )
            if relation.is_unlogged:
                self.change(
                    CLEARING,
                    label,
                    "an unlogged table is emptied by a crash",
                    [f"alter table public.{name} set logged"],
                    [f"alter table public.{name} set unlogged"],
                )
            self.tell("tables", f"{label}: {len(self.app.columns[name])} columns, about {relation.rows} rows")
            for needed in INDISPENSABLE[name]:
                if self.app.column(name, needed) is None:
                    self.problems.append(f"public.{name} has no column {needed}")
            types: list[tuple[Column, str, str, str | None]] = []
            for column, wanted in self.columns_wanted(name).items():
                have = self.app.column(name, column)
                if have is None:
                    self.add_column(name, column, wanted)
                else:
                    self.adapt_column(name, have, wanted, types)
            for have in self.app.columns[name].values():
                if self.wanted(name, have.name) is None:
                    self.extra_column(name, have)
            self.constraints(name)
            self.indexes(name)
            self.change_types(name, types)
        if self.app.column("users", "is_verified") is None and self.app.has("users"):
            self.tell("tables", "public.users has no is_verified: everybody there counts as verified")

    def add_column(self, table: str, name: str, wanted: Attributes) -> None:
        """A column that the application lacks; what rows that exist get in it."""
        parts = [sql.Identifier(name).as_string(None), wanted["type"]]
        after: list[str] = []
        default = wanted["default"]
        if wanted["identity"]:
            parts.append("not null generated always as identity")
        else:
            filler = {
                ("users", "is_verified"): "true",
                ("booking_audit_log", "actor"): "'before adoption'",
                ("booking_audit_log", "action"): "'unknown'",
            }.get((table, name), default)
            if wanted["not_null"] and filler is not None:
                parts.append("not null")
            if filler is not None:
                parts.append(f"default {filler}")
            # The application goes on writing its log, and knows nothing of columns that are new to it.
            later = "'application'" if (table, name) == ("booking_audit_log", "actor") else default or filler
            if filler != later:
                after.append(f"alter table public.{table} alter column {parts[0]} set default {later}")
        self.change(
            COLUMNS,
            f"column public.{table}.{name}",
            "bookingdb needs it",
            [f"alter table public.{table} add column {' '.join(parts)}", *after],
            [f"alter table public.{table} drop column {parts[0]}"],
        )

    def adapt_column(
        self, table: str, have: Column, wanted: Attributes, types: list[tuple[Column, str, str, str | None]]
    ) -> None:
        """A column that both have: its type, default and whether it may be null."""
        quoted = sql.Identifier(have.name).as_string(None)
        if have.generated and not wanted["identity"]:
            self.problems.append(f"public.{table}.{have.name} is generated; bookingdb must write it")
            return
        conversion = self.conversion(table, have, wanted["type"])
        if conversion is not None:
            types.append((have, *conversion, wanted["default"]))
        elif wanted["default"] and have.default is None and not have.generated:
            self.change(
                COLUMNS,
                f"column public.{table}.{have.name}",
                "rows that bookingdb makes need the default",
                [f"alter table public.{table} alter column {quoted} set default {wanted['default']}"],
                [f"alter table public.{table} alter column {quoted} drop default"],
            )
        if have.not_null and not wanted["not_null"] and not self.is_key(table, have.name):
            self.change(
                COLUMNS,
                f"column public.{table}.{have.name}",
                "bookingdb may have nothing to put there",
                [f"alter table public.{table} alter column {quoted} drop not null"],
                [f"alter table public.{table} alter column {quoted} set not null"],
            )

    def is_key(self, table: str, column: str) -> bool:
        """Whether a column is of the primary key."""
        return any(each.table == table and each.kind == "p" and column in each.columns for each in self.app.constraints)

    def conversion(self, table: str, have: Column, wanted: str) -> tuple[str, str] | None:
        """How a column gets our type: the type and the expression; None where it stays as it is."""
        if wanted in (have.type, have.kind):
            return None
        if wanted == "timestamp with time zone":
            expression = self.to_instant(table, have)
        elif wanted == "integer":
            expression = self.to_integer(table, have)
        elif wanted == "text" or wanted.startswith("character varying"):
            expression = self.to_text(have, wanted)
        else:
            expression = None
        if expression is None:
            self.misfit(table, have, wanted)
        return (wanted, expression) if expression else None

    def to_instant(self, table: str, have: Column) -> str | None:
        """The expression of an instant; None where there is none."""
        quoted = sql.Identifier(have.name).as_string(None)
        if have.kind == "timestamp without time zone":
            return f"{quoted} at time zone {literal(self.answers.get('zone.timestamps', 'UTC'))}"
        if have.kind == "time without time zone" and table == "sessions":
            return self.conversion_of_time(have)
        return self.conversion_of_date(table, have) if have.type == "date" else None

    def to_text(self, have: Column, wanted: str) -> str | None:
        """The expression of a text; empty where what is there does, None where it does not."""
        quoted = sql.Identifier(have.name).as_string(None)
        ours, theirs = (re.search(r"\((\d+)\)", kind) for kind in (wanted, have.type))
        if have.category == "e" or (have.category == "d" and self.is_text(have)):
            return f"{quoted}::text"
        if have.type.startswith("character("):
            return f"rtrim({quoted})"
        if have.type.startswith("character varying"):
            return quoted if theirs and (ours is None or int(theirs[1]) < int(ours[1])) else ""
        return "" if have.type == "text" else None

    def is_text(self, have: Column) -> bool:
        """Whether a domain is one over text."""
        row = self.connection.execute(
            "select y.typcategory = 'S' from pg_type as y where y.oid = to_regtype(%s)", [have.type]
        ).fetchone()
        return bool(row and row[0])

    def to_integer(self, table: str, have: Column) -> str | None:
        """The expression of a whole number; empty where what is there does, None where it does not."""
        if have.type == "bigint":
            return ""
        if not have.type.startswith(damage.NUMBERS):
            return None
        if self.has_any(table, have.name, "t.{0}::numeric not between -2147483648 and 2147483647"):
            self.problems.append(f"public.{table}.{have.name} ({have.type}) has numbers that are none, or too large")
        if self.has_any(table, have.name, "t.{0} <> round(t.{0}::numeric)"):
            self.problems.append(f"public.{table}.{have.name} ({have.type}) has fractions; bookingdb counts whole ones")
        return f"{sql.Identifier(have.name).as_string(None)}::integer"

    def misfit(self, table: str, have: Column, wanted: str) -> None:
        """A column of another type than ours that cannot become ours: a problem where we depend on it."""
        is_needed = (
            wanted in ("timestamp with time zone", "boolean")
            or have.name in ("status", "session_id")
            or (have.name in INDISPENSABLE[table] and table != "booking_audit_log")
        )
        if is_needed:
            self.problems.append(f"public.{table}.{have.name} is of type {have.type}; bookingdb needs {wanted}")
        else:
            self.tell("tables", f"public.{table}.{have.name} is of type {have.type}, not {wanted}, and stays so")

    def conversion_of_time(self, have: Column) -> str:
        """A start or end that is a time of day becomes an instant, on the date beside it."""
        dates = [n for n in ("scheduled_date", "session_date") if self.app.column("sessions", n)]
        if not dates:
            self.problems.append(f"public.sessions.{have.name} is a time of day, and no column has its date")
            return "null::timestamptz"
        answer = self.ask(
            f"times.{have.name}",
            [
                f"sessions.{have.name} is a time of day ({have.type}); bookingdb needs an instant. Whoever reads it"
                " will see an instant; whoever writes a bare time of day there will be refused: change that first.",
            ],
            {"convert": "it becomes the instant of that time in the zone", "stop": "nothing is adopted"},
        )
        if answer == "stop":
            self.problems.append(f"public.sessions.{have.name} is a time of day, and the answer is not to convert it")
        date = f"coalesce({', '.join(f'{name}::date' for name in dates)})"
        later = (
            " + case when end_time < start_time then interval '1 day' else '0' end" if have.name == "end_time" else ""
        )
        return f"({date} + {have.name}{later}) at time zone {literal(self.answers.get('zone', 'UTC'))}"

    def conversion_of_date(self, table: str, have: Column) -> str:
        """A date becomes an instant: where something ends on it, the end of that day, if the owner says so."""
        quoted = sql.Identifier(have.name).as_string(None)
        zone = literal(self.answers.get("zone", "UTC"))
        if have.name != "expires_at":
            return f"{quoted}::timestamp at time zone {zone}"
        answer = self.ask(
            f"times.{table}.{have.name}",
            [f"public.{table}.{have.name} is a date; bookingdb needs an instant. Does that day still count?"],
            {"end_of_day": "the day itself still counts", "start_of_day": "it is over when that day begins"},
        )
        plus = "1" if answer == "end_of_day" else "0"
        return f"({quoted} + {plus})::timestamp at time zone {zone}"

    def has_any(self, table: str, name: str, condition: str) -> bool:
        """Whether a column has any value that fulfils a condition on it."""
        quoted = sql.Identifier(name).as_string(None)
        row = self.connection.execute(
            f"select exists (select from public.{table} as t where {condition.format(quoted)})"
        ).fetchone()
        return bool(row and row[0])

    def change_types(self, table: str, types: list[tuple[Column, str, str, str | None]]) -> None:
        """All columns of a table at once: each expression sees the others as they were."""
        if not types:
            return
        dropped, made, back, defaults = [], [], [], []
        for have, wanted, expression, default in types:
            quoted = sql.Identifier(have.name).as_string(None)
            if have.default is not None:
                dropped.append(f"alter column {quoted} drop default")
                new = default if default is not None else self.plain_default(have.default)
                defaults.append(f"alter column {quoted} set default {new}")
            elif default is not None:
                defaults.append(f"alter column {quoted} set default {default}")
            made.append(f"alter column {quoted} type {wanted} using {expression}")
            back.append(f"alter column {quoted} type {have.type} using {self.conversion_back(have)}")
        names = [have.name for have, *_ in types]
        depending = application.dependents(self.connection, table, names)
        undone = [f"alter column {sql.Identifier(h.name).as_string(None)} drop default" for h, *_ in types]
        restored = [
            f"alter column {sql.Identifier(have.name).as_string(None)} set default {have.default}"
            for have, *_ in types
            if have.default is not None
        ]
        enums = [have.type for have, *_ in types if have.category in ("e", "d")]
        removal, making, made_before = self.attached(table, names, enums)
        gone = {each.object for each in self.changes if each.phase == CLEARING}
        for each in application.policies_elsewhere(self.connection, table, names):
            if each.removal.removeprefix("drop ") not in gone:
                removal.append(each.removal)
                making += [_without(enums, statement) for statement in each.making]
                made_before += each.making
        self.problems += [
            f"{each} needs public.{table} as it is, and the types of {', '.join(names)} must change; drop it first,"
            " make it again afterwards"
            for each in application.obstacles(self.connection, table, names)
        ]
        for each in depending:
            view = each.removal.rpartition("view ")[2]
            if users := application.users_of_view(self.connection, view):
                self.problems.append(
                    f"{', '.join(users)} needs {view} as it is, which names columns whose types change; drop it first"
                )
            self.tell("views", f"{each.removal.removeprefix('drop ')} names columns whose types change: made anew")
        removal = [*(each.removal for each in depending), *removal]
        views = [statement for each in reversed(depending) for statement in each.making]
        making = [*making, *(_without(enums, view) for view in views)]
        made_before = [*made_before, *views]

        def alter(parts: list[str]) -> list[str]:
            return [f"alter table public.{table} {', '.join(parts)}"] if parts else []

        kept, given_back = self.undated([have for have, *_ in types])
        self.change(
            COLUMNS,
            f"columns of public.{table}: {', '.join(names)}",
            "their types become " + ", ".join(dict.fromkeys(wanted for _, wanted, *_ in types)),
            [*removal, *kept, *alter(dropped), *alter(made), *alter(defaults), *making],
            [*removal, *alter(undone), *alter(back), *alter(restored), *given_back, *made_before],
        )
        self.casts(enums)

    def attached(self, table: str, names: list[str], enums: list[str]) -> tuple[list[str], list[str], list[str]]:
        """What hangs on columns whose type changes and must be made anew: how it goes, is made, and was made.

        Postgres makes some of it anew itself, but from what it prints, which is not always what was.
        """
        gone = {each.object for each in self.changes if each.phase == CLEARING}

        def must(definition: str) -> bool:
            return any(re.search(rf"\b{re.escape(name)}\b", definition) for name in names) and (
                plpgsql_text.readable(definition) != definition or _without(enums, definition) != definition
            )

        removal, definitions = [], []
        for check in self.app.constraints:
            cleared = f"constraint {check.name} on public.{table}" in gone or (
                check.kind == "c" and f"checks of public.{table}.{','.join(check.columns)}" in gone
            )
            if check.table == table and must(check.definition) and not cleared:
                removal.append(f"alter table public.{table} drop constraint {check.name}")
                definitions.append(f"alter table public.{table} add constraint {check.name} {check.definition}")
        for index in self.app.indexes:
            if index.table == table and must(index.definition) and f"index public.{index.name}" not in gone:
                removal.append(f"drop index public.{index.name}")
                definitions.append(index.definition)
        for policy in self.app.policies:
            cleared = f"policy {policy.name} on public.{table}" in gone
            if policy.table == table and self.names_any(policy, names) and not cleared:
                removal.append(f"drop policy {policy.name} on public.{table}")
                definitions.append(policy.definition)
        for trigger in self.app.triggers:
            head = trigger.definition.partition(" EXECUTE ")[0]
            if trigger.table == table and any(re.search(rf"\b(?:UPDATE OF|WHEN)\b.*\b{n}\b", head) for n in names):
                removal.append(f"drop trigger {trigger.name} on public.{table}")
                definitions.append(trigger.definition)
                if trigger.enabled == "D" or f"trigger {trigger.name} on public.{table}" in gone:
                    definitions.append(f"alter table public.{table} disable trigger {trigger.name}")
        before = [plpgsql_text.readable(definition) for definition in definitions]
        return removal, [_without(enums, definition) for definition in before], before

    def casts(self, enums: list[str]) -> None:
        """Functions that cast to an enumeration which its column no longer has."""
        for enum in enums:
            bare = enum.rpartition(".")[2]
            for function in self.app.functions:
                if re.search(rf"::\s*(?:\w+\.)?{re.escape(bare)}\b", function.source):
                    self.tell(
                        "functions",
                        f"{function.signature} casts to {enum}, which the column no longer is: a comparison with it"
                        " must be changed",
                    )

    def undated(self, columns: list[Column]) -> tuple[list[str], list[str]]:
        """Times of day without a date, which become no instant: remembered, and put back by undo."""
        names = [have.name for have in columns if have.kind == "time without time zone"]
        if not names:
            return [], []
        dates = [n for n in ("scheduled_date", "session_date") if self.app.column("sessions", n)]
        no_date = f"num_nonnulls({', '.join('s.' + name for name in dates)}) = 0"
        condition = f"{no_date} and num_nonnulls({', '.join('s.' + name for name in names)}) > 0"
        values = ", ".join(f"'{name}', s.{name}" for name in names)
        nothing = ", ".join(f"'{name}', null" for name in names)
        setting = ", ".join(f"{name} = coalesce(s.{name}, (a.original ->> '{name}')::time)" for name in names)
        return [
            "insert into bookingdb.adoption (kind, object, row_key, original, adopted)"
            " select 'row', 'public.sessions', jsonb_build_object('id', s.id, 'was', 'time'),"
            f" jsonb_build_object({values}), jsonb_build_object({nothing}) from public.sessions as s where {condition}"
        ], [
            f"update public.sessions as s set {setting} from bookingdb.adoption as a where a.kind = 'row'"
            " and a.object = 'public.sessions' and a.row_key ->> 'was' = 'time' and a.row_key ->> 'id' = s.id::text"
        ]

    def plain_default(self, default: str) -> str:
        """A default of another type as a literal: `'scheduled'::status` as `'scheduled'`."""
        found = re.match(r"('(?:[^']|'')*')::", default)
        return found[1] if found else default

    def conversion_back(self, have: Column) -> str:
        """The expression that makes a column what it was."""
        quoted = sql.Identifier(have.name).as_string(None)
        stamps = literal(self.answers.get("zone.timestamps", "UTC"))
        match have.kind:
            case "timestamp without time zone":
                return f"{quoted} at time zone {stamps}"
            case "date":
                zone = literal(self.answers.get("zone", "UTC"))
                is_end = self.answers.get(f"times.{have.table}.{have.name}") == "end_of_day"
                back = f" - interval '{1 if is_end else 0} days'"
                return f"(({quoted} at time zone {zone}){back})::date"
            case "time without time zone":
                return f"({quoted} at time zone {literal(self.answers.get('zone', 'UTC'))})::time"
            case _ if have.category == "e":
                return f"{quoted}::text::{have.type}"
            case _:
                return f"{quoted}::{have.type}"

    def names_any(self, policy: Policy, names: list[str]) -> bool:
        """Whether a policy speaks of one of these columns."""
        text = f"{policy.using} {policy.check}"
        return any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)

    def extra_column(self, table: str, have: Column) -> None:
        """A column of the application's own: rows that we make must be possible without it."""
        if have.not_null and have.default is None and not have.generated and table != "users":
            quoted = sql.Identifier(have.name).as_string(None)
            self.change(
                COLUMNS,
                f"column public.{table}.{have.name}",
                "rows that bookingdb makes have nothing to put there",
                [f"alter table public.{table} alter column {quoted} drop not null"],
                [f"alter table public.{table} alter column {quoted} set not null"],
            )

    def constraints(self, table: str) -> None:
        """Constraints of the application's that contradict ours, and ours that it lacks."""
        own = [each for each in self.app.constraints if each.table == table]
        for each in own:
            self.tell("constraints", f"public.{table}: {each.name} {each.definition}")
            if self.is_overlap_protection(each.table, each.kind, each.columns, each.definition):
                self.drop_constraint(
                    each, "the calendar refuses what overlaps, and lets a cancelled time be booked again"
                )
            elif table == "booking_audit_log" and each.kind in ("c", "f"):
                name = f"constraint {each.name} on public.{table}"
                self.change(
                    CLEARING,
                    name,
                    "the log tells of everything, and outlives what it tells of",
                    [f"alter table public.{table} drop constraint {each.name}"],
                    [f"alter table public.{table} add constraint {each.name} {plpgsql_text.readable(each.definition)}"],
                )
            elif table == "user_credits" and each.kind == "u" and "user_id" in each.columns:
                self.drop_constraint(each, "a client has a row for each purchase")
        self.limits_of_statuses(own)
        for column, known in _VALUES.get(table, {}).items():
            self.values_check(table, column, known, own)
        has_check = any(
            each.kind == "c" and each.columns == ["credits_balance"] and ">= 0" in each.definition for each in own
        )
        for name, wanted in self.source.catalogue["constraints"].items():
            if wanted["table"] != f"public.{table}":
                continue
            bare = name.partition(" on ")[0]
            definition = wanted["definition"]
            if definition.startswith("PRIMARY KEY"):
                if not any(each.kind == "p" and each.columns == ["id"] for each in own):
                    self.add_primary_key(table, bare, own)
            elif definition.startswith("FOREIGN KEY") or bare.endswith("_status_check"):
                continue  # whom the application's rows point to is its own business
            elif (bare == "user_credits_balance_check" and has_check) or any(e.name == bare for e in own):
                continue
            else:
                self.change(
                    STRENGTHENING,
                    f"constraint {bare} on public.{table}",
                    "holds what is promised, whoever writes",
                    [f"alter table public.{table} add constraint {bare} {definition}"],
                    [f"alter table public.{table} drop constraint {bare}"],
                )

    def is_overlap_protection(self, table: str, kind: str, columns: list[str], definition: str) -> bool:
        """Whether a constraint or unique index is meant to keep sessions apart."""
        if table != "sessions":
            return False
        if kind == "x":
            return True
        named = set(columns)
        return (
            kind == "u"
            and bool(named & {"therapist_id", "user_id"})
            and (bool(named & TIMES) or bool(re.search(r"start_time|scheduled_|session_(date|time)", definition)))
        )

    def limits_of_statuses(self, own: list[Constraint]) -> None:
        """CHECKs that tie the status of a session to other columns."""
        for each in own:
            if each.table == "sessions" and each.kind == "c" and "status" in each.columns and len(each.columns) > 1:
                self.limit_of_statuses(each)

    def limit_of_statuses(self, each: Constraint) -> None:
        """Ask what becomes of a CHECK that ties the status to columns which bookingdb leaves as they are."""
        others = ", ".join(
            f"t.{sql.Identifier(name).as_string(None)}" for name in self.app.columns["sessions"] if name != "status"
        )
        condition = each.definition.removeprefix("CHECK ").removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
        kind = self.app.columns["sessions"]["status"].type
        # As far as Postgres can be asked: a status that its type does not know is not in the way of this CHECK.
        refused: list[str] = []
        for status in damage.STATUSES:
            with contextlib.suppress(psycopg.DataError, psycopg.errors.CheckViolation), self.connection.transaction():
                row = self.connection.execute(
                    f"select count(*) from (select {others}, {literal(status)}::{kind} as status from"
                    " (select * from public.sessions as s where s.status::text = any (%s) order by s.id limit 1000)"
                    f" as t) as t where not {condition}",
                    [list(damage.ACTIVE)],
                ).fetchone()
                if row and row[0]:
                    refused.append(f"{status} ({row[0]})")
        answer = self.ask(
            f"constraint.{each.name}",
            [
                f"public.sessions: {each.definition}",
                "bookingdb's functions change the status and none of the application's own columns.",
                "Of the first 1000 sessions that take place, it would refuse these statuses, of so many: "
                + (", ".join(refused) or "none")
                + ".",
            ],
            {
                "keep": "it stays: such a change fails with Postgres's own error (23514)",
                "drop": "it goes, and the application sees to it",
            },
        )
        if answer == "drop":
            self.change(
                CLEARING,
                f"constraint {each.name} on public.sessions",
                "bookingdb's functions must be able to change the status",
                [f"alter table public.sessions drop constraint {each.name}"],
                [f"alter table public.sessions add constraint {each.name} {plpgsql_text.readable(each.definition)}"],
            )

    def drop_constraint(self, each: Constraint, reason: str) -> None:
        """Ask whether a constraint may go, and plan it."""
        users = [
            function.signature
            for function in self.app.functions
            if re.search(rf"on conflict (?:on constraint {re.escape(each.name)}|\(\s*{each.columns[0]}\b)",
                         plpgsql_text.code(function.source))
        ]  # fmt: skip
        evidence = [f"public.{each.table}: {each.definition}", reason + "."]
        if users:
            evidence.append(f"ON CONFLICT names it in {', '.join(users)}: these will fail without it.")
        # A key that others rest on stays; but one of credits cannot, for a client has a row for each purchase.
        referring = application.referring(self.connection, each)
        if referring:
            evidence.append(f"Foreign keys rest on it ({', '.join(referring)}): it can only go when they are gone.")
        choices = {"drop": "it goes", "keep": "it stays"}
        answer = self.ask(
            f"constraint.{each.name}", evidence, choices, "keep" if referring and each.table == "sessions" else "drop"
        )
        if referring and answer == "drop":
            self.problems.append(f"constraint {each.name} cannot go while {', '.join(referring)} rests on it")
        if answer == "drop":
            self.change(
                CLEARING,
                f"constraint {each.name} on public.{each.table}",
                reason,
                [f"alter table public.{each.table} drop constraint {each.name}"],
                [
                    f"alter table public.{each.table} add constraint {each.name}"
                    f" {plpgsql_text.readable(each.definition)}"
                ],
            )

    def values_check(self, table: str, column: str, known: tuple[str, ...], own: list[Constraint]) -> None:
        """A CHECK of the values must let all of ours in; theirs stay possible."""
        # Others than lists of values (of a length, of small letters) stay when they let ours in.
        checks = [
            each
            for each in own
            if each.kind == "c"
            and each.columns == [column]
            and (_LIST.search(each.definition) or not self.lets_in(table, column, each, known))
        ]
        if not checks or self.app.column(table, column) is None:
            return
        present = self.connection.execute(
            f"select distinct t.{column}::text from {self.app.rows_of(table)} as t where t.{column} is not null"
        )
        allowed = {value for each in checks for value in re.findall(r"'((?:[^']|'')*)'", each.definition)}
        allowed |= {value for (value,) in present}
        if set(known) <= {v for each in checks for v in re.findall(r"'((?:[^']|'')*)'", each.definition)}:
            return
        values = [*known, *sorted(allowed - set(known))]
        name = f"{table}_{column}_check"
        kind = "::text" if table == "sessions" else ""
        self.change(
            CLEARING,
            f"checks of public.{table}.{column}",
            "all values of bookingdb must be possible",
            [f"alter table public.{table} drop constraint {each.name}" for each in checks],
            [
                f"alter table public.{table} add constraint {each.name} {plpgsql_text.readable(each.definition)}"
                for each in checks
            ],
        )
        self.change(
            STRENGTHENING,
            f"constraint {name} on public.{table}",
            "the values of bookingdb" + (", and the application's own" if len(values) > len(known) else ""),
            [
                f"alter table public.{table} add constraint {name}"
                f" check ({column}{kind} in ({', '.join(literal(value) for value in values)}))"
            ],
            [f"alter table public.{table} drop constraint {name}"],
        )

    def lets_in(self, table: str, column: str, check: Constraint, values: tuple[str, ...]) -> bool:
        """Whether a CHECK of one column lets all of these in, as far as Postgres can be asked."""
        condition = check.definition.removeprefix("CHECK ").removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
        have = self.app.columns[table][column]
        quoted = sql.Identifier(column).as_string(None)
        try:
            with self.connection.transaction():
                row = self.connection.execute(
                    f"select bool_and(coalesce({condition}, true)) from"
                    f" (select v::{have.type} as {quoted} from unnest({literal(list(values))}::text[]) as v) as t"
                ).fetchone()
        except psycopg.Error:
            return False
        return bool(row and row[0])

    def add_primary_key(self, table: str, name: str, own: list[Constraint]) -> None:
        """The id must be the primary key: everything knows a row by it."""
        if self.app.column(table, "id") is None:
            return  # said already
        if any(each.kind == "p" for each in own):
            self.problems.append(f"the primary key of public.{table} is not its column id")
            return
        self.change(
            STRENGTHENING,
            f"constraint {name} on public.{table}",
            "everything knows a row by its id",
            [f"alter table public.{table} add constraint {name} primary key (id)"],
            [
                f"alter table public.{table} drop constraint {name}",
                *([] if self.app.columns[table]["id"].not_null
                  else [f"alter table public.{table} alter column id drop not null"]),
            ],
        )  # fmt: skip

    def indexes(self, table: str) -> None:
        """Unique indexes that contradict us, and ours that the application lacks."""
        own = [each for each in self.app.indexes if each.table == table]
        for each in own:
            unique = "u" if each.is_unique else ""
            if unique and (
                self.is_overlap_protection(table, "u", each.columns, each.definition)
                or (table == "user_credits" and each.columns[:1] == ["user_id"])
            ):
                answer = self.ask(
                    f"index.{each.name}",
                    [each.definition, "It stands in the way of cancelled times booked again, or of several purchases."],
                    {"drop": "it goes", "keep": "it stays"},
                )
                if answer == "drop":
                    name = f"index public.{each.name}"
                    reason = "bookingdb keeps sessions apart, and has a row for each purchase"
                    self.change(
                        CLEARING,
                        name,
                        reason,
                        [f"drop index public.{each.name}"],
                        [plpgsql_text.readable(each.definition)],
                    )
        bare = {each.bare_definition for each in own}
        for name, wanted in self.source.catalogue["indexes"].items():
            if wanted["table"] != f"public.{table}":
                continue
            short = name.removeprefix("public.")
            definition = wanted["definition"]
            if definition.replace(f" INDEX {short} ON ", " INDEX ON ") in bare:
                continue
            if "UNIQUE" in definition and self.has_duplicates(table, short):
                self.tell("rows", f"public.{table}: duplicates in the way of {short}, which is left out")
                continue
            taken = short in {each.name for each in self.app.indexes} | {each.name for each in self.app.constraints}
            made = f"{short}_bookingdb" if taken else short
            self.change(
                STRENGTHENING,
                f"index public.{made}",
                "bookingdb looks rows up by it",
                [definition.replace(f" INDEX {short} ON ", f" INDEX {made} ON ")],
                [f"drop index public.{made}"],
            )

    def has_duplicates(self, table: str, index: str) -> bool:
        """Whether rows stand in the way of a unique index of ours."""
        expression = {"users_email_key": "lower(t.email)", "user_credits_payment_reference_key": "t.payment_reference"}
        column = "email" if table == "users" else "payment_reference"
        if index not in expression or self.app.column(table, column) is None:
            return False
        row = self.connection.execute(
            f"select exists (select from public.{table} as t where t.{column} is not null"
            f" group by {expression[index]} having count(*) > 1)"
        ).fetchone()
        return bool(row and row[0])


def _without(enums: list[str], definition: str) -> str:
    """Cast to text what was cast to one of these enumerations."""
    for enum in enums:
        definition = re.sub(rf"::{re.escape(enum)}(?![\w.])", "::text", definition)
    return definition
