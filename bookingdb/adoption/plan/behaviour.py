"""What becomes of triggers and functions, and what must go on as before: columns, notifications, hours."""

from __future__ import annotations

import re

from bookingdb.adoption import application, damage, plpgsql_text
from bookingdb.adoption.application import Function, Trigger
from bookingdb.adoption.plan.draft import CLEARING, FOLLOWING, Desk
from bookingdb.adoption.plan.security import MONEY
from bookingdb.adoption.plan.tables import TIMES
from bookingdb.install.session import literal

# What the columns of a table of hours mean to bookingdb.schedules_changed() and overrides_changed(): by name and type.
_CLOCKS = ("time", "text", "character")
_SCHEDULE_ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "therapist": (("therapist_id", "provider_id", "practitioner_id", "user_id"), ("uuid",)),
    "document": (("weekly_availability", "availability", "schedule", "weekly_schedule"), ("json", "text")),
    "date": (("override_date", "date", "exception_date", "specific_date", "day"), ("date",)),
    "type": (("override_type", "type", "kind"), ("",)),
    "available": (("is_available", "available"), ("boolean",)),
    "active": (("is_active", "active", "enabled"), ("boolean",)),
    "start": (("start_time", "custom_start", "custom_start_time", "custom_hours_start", "start"), _CLOCKS),
    "end": (("end_time", "custom_end", "custom_end_time", "custom_hours_end", "end"), _CLOCKS),
    "slots": (("slots", "time_slots", "custom_slots", "custom_hours", "hours"), ("json",)),
}  # fmt: skip
# Functions that the application calls: how it reads the answers is not ours to change.
NOTIFIER = "enqueue_notification"


class BehaviourPart(Desk):
    """Changes of what happens when somebody writes."""

    def triggers(self) -> None:
        """What each trigger on the tables does to a row, and which of them would fight with ours."""
        rewrites = False
        for trigger in self.app.triggers:
            if trigger.table not in self.app.tables:
                continue
            seen = plpgsql_text.effects(trigger.source)
            label = f"public.{trigger.table}: {trigger.name} ({trigger.function})"
            what = self.verdicts(trigger, seen)
            self.tell("triggers", f"{label} {', '.join(what) or 'does nothing that concerns bookingdb'}")
            if not what or trigger.enabled == "D":
                continue
            others = sorted(
                (seen.inserts | seen.changes) - {"booking_audit_log", trigger.table}
                | {name for name in seen.calls if self.app.called(name)} - {"check_booking_conflict"}
            )
            evidence = [f"It {', '.join(what)}.", "bookingdb does that itself, or must not be contradicted."]
            if any("credits" in each for each in what):
                evidence.append(
                    "Only its functions take and return credits: what is written directly costs and returns none once"
                    " this is off; what is booked with them is charged by both while it is on."
                )
            if others or seen.notifies:
                evidence.append(f"It also has to do with {', '.join(others) or 'notifications'}: that ends with it.")
            answer = self.ask(
                f"trigger.{trigger.table}.{trigger.name}",
                evidence,
                {"disable": "it is switched off", "keep": "it stays on"},
            )
            if answer == "disable":
                rewrites = rewrites or any("times" in each for each in what)
                enabling = {"O": "enable", "R": "enable replica", "A": "enable always"}[trigger.enabled]
                self.change(
                    CLEARING,
                    f"trigger {trigger.name} on public.{trigger.table}",
                    "it " + ", ".join(what),
                    [f"alter table public.{trigger.table} disable trigger {trigger.name}"],
                    [f"alter table public.{trigger.table} {enabling} trigger {trigger.name}"],
                )
        self.kept_triggers_search_path()
        if rewrites or any(key == "rows.start_missing" for key in self.answers):
            zone = literal(self.answers.get("zone", "UTC"))
            self.follow(
                "bookingdb_times",
                "before insert or update on public.sessions for each row"
                f" execute function bookingdb.keep_times_together({zone})",
                "start_time and the scheduled date and time follow each other, in the right zone",
            )

    def kept_triggers_search_path(self) -> None:
        """Trigger functions that stay run inside ours: their names must not mean what a caller says."""
        stay = {
            trigger.function
            for trigger in self.app.triggers
            if trigger.table in self.app.tables
            and not any(setting.startswith("search_path=") for setting in trigger.function_settings)
        }
        for name in sorted(stay):
            function = next((each for each in self.app.functions if each.signature == name), None)
            if function is not None and function.language not in ("c", "internal"):
                self.change(
                    CLEARING,
                    f"function {name}",
                    "it runs inside bookingdb's functions: its names must not mean what a caller says",
                    [f"alter function {name} set search_path = public, extensions, pg_temp"],
                    [f"alter function {name} reset search_path"],
                )

    def verdicts(self, trigger: Trigger, seen: plpgsql_text.Effects) -> list[str]:
        """What a trigger does that bookingdb does, too."""
        found = []
        if trigger.table == "sessions":
            if trigger.is_before and seen.assigns & TIMES:
                found.append(f"rewrites the times ({', '.join(sorted(seen.assigns & TIMES))})")
            if "booking_audit_log" in seen.inserts:
                found.append("writes the audit log")
            overlap = "check_booking_conflict" in seen.calls or (
                "sessions" in seen.reads and bool(re.search(r"start_time|tstzrange|overlaps", trigger.source, re.I))
            )
            if seen.raises and overlap:
                found.append("refuses what overlaps")
            if "user_credits" in seen.changes:
                found.append("changes credits")
        return found

    def functions(self) -> None:
        """Functions that ours replace, and those that give credits away."""
        ours = {file.name: file for file in self.source.public_functions}
        self.givers = plpgsql_text.givers(application.bodies(self.connection), "user_credits", frozenset(ours))
        for name, table, source, is_definer in application.triggers_elsewhere(self.connection):
            seen = plpgsql_text.effects(source)
            if written := sorted((seen.inserts | seen.changes) & set(MONEY)):
                who = (
                    f"its owner, for whoever may write {table}: look at who that is"
                    if is_definer
                    else f"whoever writes {table}: anon and authenticated fail there when they may not"
                )
                self.tell("triggers", f"{table}: {name} writes {', '.join(written)} as {who}")
        for function in self.app.functions:
            if function.name in ours:
                self.replace(function)
            else:
                self.look_at(function)

    def replace(self, function: Function) -> None:
        """A function of one of our names: ours takes its place."""
        wanted = self.source.catalogue["functions"]
        ours = next((w for n, w in wanted.items() if n.startswith(f"public.{function.name}(")), None)
        names = re.findall(r"\b(p_\w+)", ours["arguments"]) if ours else []
        unknown = [name for name in function.argument_names if name and name not in names]
        line = f"{function.signature} returns {function.result}; its place is taken by bookingdb's"
        if unknown:
            line += f"; callers that name {', '.join(unknown)} must be changed: bookingdb's are {', '.join(names)}"
        self.tell("functions", line)
        if unknown:
            answer = self.ask(
                f"replace.{function.signature}",
                [f"{line}."],
                {"replace": "bookingdb's takes its place all the same", "stop": "nothing is adopted"},
            )
            if answer == "stop":
                self.problems.append(f"{function.signature} must not be replaced, as answered")
        if function.dependents:
            users = ", ".join(function.dependents)
            self.problems.append(
                f"{function.signature} is used by {users}, and must be replaced: drop or rename it first"
            )
        undo = [
            function.definition,
            f"alter {function.kind} {function.signature} owner to {function.owner}",
            f"revoke all on {function.kind} {function.signature} from " + ", ".join(["public", *self.app.roles]),
            *function.grants,
        ]
        if function.comment:
            undo.append(f"comment on {function.kind} {function.signature} is {literal(function.comment)}")
        self.change(
            CLEARING,
            f"function {function.signature}",
            "bookingdb has the function of this name",
            [f"drop {function.kind} {function.signature}"],
            undo,
        )

    def look_at(self, function: Function) -> None:
        """A function of the application's own: whether it gives credits away to whoever asks."""
        if function.result == "trigger" or function.language in ("c", "internal"):
            return
        seen = plpgsql_text.effects(function.source)
        touched = (seen.inserts | seen.changes) & {"sessions", *MONEY}
        if function.name in self.givers:
            touched |= {"user_credits"}
        if not touched:
            return
        who = " and ".join(function.callers) or "nobody from outside"
        self.tell("functions", f"{function.signature} writes {', '.join(sorted(touched))}; {who} may run it")
        if "user_credits" not in touched or not function.callers:
            return
        answer = self.ask(
            f"function.{function.signature}",
            [f"It writes user_credits, and {who} may run it" + (" as its owner." if function.is_definer else ".")],
            {"revoke": "only the application's server may run it", "keep": "it stays as it is"},
        )
        if answer == "revoke":
            server = [f"grant execute on {function.kind} {function.signature} to service_role"]
            self.change(
                CLEARING,
                f"function {function.signature}",
                f"{who} could hand out credits with it",
                [
                    f"revoke all on {function.kind} {function.signature} from {', '.join(function.callers)}",
                    *(server if "service_role" in self.app.roles else []),
                ],
                [
                    f"revoke all on {function.kind} {function.signature} from "
                    + ", ".join(["public", *self.app.roles]),
                    *function.grants,
                ],
            )

    def customs(self) -> None:
        """Columns that the old booking function filled, and whom it told."""
        pairs: dict[str, str] = {}
        for ours, others in damage.SYNONYMS.items():
            for other in others:
                if self.app.column("sessions", other):
                    pairs[other] = ours
        old = self.app.called("create_session_with_credit_deduction")
        filled: dict[str, str] = {}
        for function in old:
            for insert in plpgsql_text.inserts(function.source):
                if insert.table == "sessions":
                    filled |= insert.values
        by_parameter = {"p_notes": "description", "p_session_type": "session_type", "p_title": "title"}
        for column, expression in filled.items():
            if self.wanted("sessions", column) or not self.app.column("sessions", column) or column in pairs:
                continue
            found = [ours for parameter, ours in by_parameter.items() if re.search(rf"\b{parameter}\b", expression)]
            evidence = [f"The old booking function wrote {column} = {expression}; bookingdb's knows no such column."]
            if self.ask(f"copy.{column}", evidence, {}, found[0] if found else ""):
                pairs[column] = self.answers[f"copy.{column}"]
        bad = [ours for ours in pairs.values() if not self.wanted("sessions", ours)]
        if bad:
            self.problems.append(f"answers copy.*: bookingdb has no column {', '.join(bad)} of sessions")
        if pairs and not bad:
            self.follow(
                "bookingdb_copies",
                "before insert or update on public.sessions for each row execute function bookingdb.copy_columns("
                + ", ".join(literal(name) for pair in pairs.items() for name in pair)
                + ")",
                "columns that mean the same follow each other: "
                + ", ".join(f"{theirs} and {ours}" for theirs, ours in pairs.items()),
            )
        self.notification(old)

    def notification(self, old: list[Function]) -> None:
        """The call of the application's notifier, with what is known of a booking in the place of local variables."""
        calls = [call for each in old if (call := plpgsql_text.call_of(each.source, NOTIFIER)) is not None]
        if not calls:
            return
        present = self.app.called(NOTIFIER)
        statement, unclear = plpgsql_text.rewritten_call(
            NOTIFIER, calls[-1], present[-1].argument_types if present else []
        )
        evidence = [f"The old booking function called {NOTIFIER}({', '.join(calls[-1])})."]
        if unclear:
            evidence.append(f"Not known what these are, so they are null: {', '.join(unclear)}.")
        if not present:
            evidence.append("No such function exists now; as soon as it does, it is called.")
        evidence.append("Run after each booking, with $1 the session as jsonb; never fails one. Empty: not called.")
        if answer := self.ask("notification", evidence, {}, statement):
            self.follow(
                "bookingdb_notification",
                "after insert on public.sessions for each row execute function bookingdb.call_notification("
                + literal(answer)
                + ")",
                "the application's notifier is called as before",
            )

    def credit_types(self) -> None:
        """Another word for a client's credits, which the application goes on writing."""
        column = self.app.column("user_credits", "user_type")
        if column is None:
            return
        word = re.compile(r"\bindividual\b")
        where = ["the default of user_credits.user_type"] if word.search(column.default or "") else []
        where += [
            each.name for each in self.app.constraints if each.table == "user_credits" and word.search(each.definition)
        ]
        where += [
            each.signature
            for each in self.app.functions
            if "user_credits" in each.source and re.search(r"'individual'", each.source)
        ]
        answered = self.answers.get("credits.individual")
        if answered is None and not where:
            return
        if answered is None:
            answered = self.ask(
                "credits.individual",
                [f"The application writes lots of type 'individual' ({', '.join(where)})."],
                damage.CHOICES["credits.individual"],
            )
        if answered == "user":
            self.follow(
                "bookingdb_credit_type",
                "before insert or update on public.user_credits for each row"
                " execute function bookingdb.one_credit_type('individual')",
                "a client has one kind of credits, whatever the application calls it",
                "public.user_credits",
            )

    def schedules(self) -> None:
        """Tables in which the application keeps hours: triggers translate them, now and whenever they are written."""
        followed = [table for table in application.SCHEDULE_TABLES if self.app.has(table) and self.schedule(table)]
        if followed:
            self.change(
                FOLLOWING,
                "hours of the therapists",
                f"what stands in {' and '.join(followed)} now",
                ["select bookingdb.translate_availability(null)"],
            )

    def schedule(self, table: str) -> bool:
        """One of them: which column is what; whether it is followed."""
        roles = {}
        for role, (names, types) in _SCHEDULE_ROLES.items():
            fitting = [
                n for n in names if self.app.column(table, n) and str(self.app.type_of(table, n)).startswith(types)
            ]
            if fitting and (role != "document" or table == application.SCHEDULE_TABLES[0]):
                roles[role] = fitting[0]
        is_week = table == application.SCHEDULE_TABLES[0]
        needed = {"therapist", "document"} if is_week else {"therapist", "date"}
        if not needed <= roles.keys() or (not is_week and not roles.keys() & {"type", "available"}):
            self.tell("schedules", f"public.{table} is of no shape that is known; bookingdb leaves it alone")
            return False
        if is_week:
            roles = {role: name for role, name in roles.items() if role in ("therapist", "document", "active")}
        said = ", ".join(f"{role}: {name}" for role, name in roles.items())
        evidence = [f"public.{table} ({said}) becomes hours that bookings obey, now and whenever it is written."]
        if is_week:
            evidence.append("A therapist who has a row there can be booked in these hours only (require_hours).")
        choices = {"follow": "bookings obey it", "ignore": "bookings know nothing of it"}
        if self.ask(f"schedule.{table}", evidence, choices) == "ignore":
            return False
        function = "schedules_changed" if is_week else "overrides_changed"
        arguments = ", ".join(literal(word) for pair in roles.items() for word in pair)
        for event, transition in (
            ("insert", "new table as new_rows"),
            ("update", "old table as old_rows new table as new_rows"),
            ("delete", "old table as old_rows"),
        ):
            self.follow(
                f"bookingdb_{function.removesuffix('_changed')}_{event}",
                f"after {event} on public.{table} referencing {transition}"
                f" for each statement execute function bookingdb.{function}({arguments})",
                "hours stay in step with it",
                f"public.{table}",
            )
        return True
