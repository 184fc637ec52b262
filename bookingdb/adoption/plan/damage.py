"""The rows of an application, the zones of its times, and the statuses of its sessions: what is asked about them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bookingdb.adoption import damage
from bookingdb.adoption.damage import Rows, Zones
from bookingdb.adoption.plan.draft import FOLLOWING, Desk
from bookingdb.install.session import literal

# What names of statuses say that a session in them does not take place.
_OVER = "cancel|declin|reject|expire|complet|done|finish|no.?show|miss|refund|draft|delet|archiv|fail|past|ended"
# Tables that bookingdb makes where the application has none.
_MADE = ("public.users", "public.sessions", "public.user_credits", "public.booking_audit_log")


class RowsPart(Desk):
    """Questions about rows."""

    def times(self) -> None:
        """Which zones the times are in, and whether there are two families of them."""
        for key in ("zone", "zone.timestamps"):
            if (given := self.given.get(key)) is not None and not self.is_zone(given):
                self.problems.append(f"answer {key} is {given!r}, which the server does not know as a time zone")
                del self.given[key]
        stamped = [
            f"{table}.{column.name}"
            for table in self.app.tables
            for column in self.app.columns[table].values()
            if column.kind == "timestamp without time zone" and self.wanted(table, column.name)
        ]
        if stamped:
            self.ask(
                "zone.timestamps",
                [
                    f"{', '.join(stamped)}: timestamps without a zone become instants.",
                    "Which zone did they mean? That of the server's TimeZone when they are made by now(): UTC on"
                    " Supabase.",
                ],
                {},
                self.given.get("zone.timestamps", "UTC"),
            )
        found = damage.zones(
            self.connection, self.app, self.given.get("zone"), self.answers.get("zone.timestamps", "UTC")
        )
        if not self.app.has("sessions"):
            return
        self.zone_questions(found)

    def zone_questions(self, found: Zones) -> None:
        """Ask for the zone of wall clock times, and what to do about those that were stored as UTC."""
        if found.compared:
            said = ", ".join(f"{name}: {count}" for name, count in found.matches.items()) or "none"
            evidence = [
                f"Of {found.compared} sessions that have both, start_time is the scheduled date and time in this zone:"
                f" {said} (zones with the same clocks cannot be told apart)."
            ]
        else:
            evidence = [
                "No session has both an instant and a scheduled date and time: nothing says which zone is meant."
            ]
        zone = self.ask(
            "zone",
            [
                "The IANA zone of scheduled dates and times, and the default policy's from now on (each therapist may"
                " have another one: set_policy).",
                *evidence,
            ],
            {},
            found.zone,
        )
        if found.as_utc and found.in_zone:
            self.ask(
                "times.wall_clock_as_utc",
                [
                    f"{len(found.as_utc)} sessions have the wall clock time stored as if it were UTC, {found.in_zone}"
                    f" the right instant in {zone}; no column tells them apart but the scheduled time itself.",
                ],
                {
                    "keep": "start_time is right as it stands in both families",
                    "shift": f"of the first family start_time and end_time become the wall clock time in {zone}",
                },
            )
            self.as_utc = found.as_utc

    def is_zone(self, name: str) -> bool:
        """Whether the server knows this zone."""
        query = "select exists (select from pg_timezone_names as z where z.name = %s)"
        row = self.connection.execute(query, [name]).fetchone()
        return bool(row and row[0])

    def statuses(self) -> None:
        """Statuses of the application's own: whether sessions in them take place."""
        if self.app.column("sessions", "status") is None:
            return
        found = self.connection.execute(
            "select s.status::text, count(*), count(*) filter (where s.created_at > now() - interval '90 days')"
            " from public.sessions as s where s.status::text <> all (%s) group by 1 order by 1"
            if self.app.column("sessions", "created_at")
            else "select s.status::text, count(*), 0 from public.sessions as s where s.status::text <> all (%s)"
            " group by 1 order by 1",
            [list(damage.STATUSES)],
        ).fetchall()
        allowed = {
            value
            for each in self.app.constraints
            if each.table == "sessions" and each.kind == "c" and each.columns == ["status"]
            for value in re.findall(r"'((?:[^']|'')*)'", each.definition)
        }
        counted = {status: (count, recent) for status, count, recent in found}
        for status in sorted({*counted, *(allowed - set(damage.STATUSES))}):
            count, recent = counted.get(status, (0, 0))
            over = re.search(_OVER, status, re.IGNORECASE)
            choices = {"active": "sessions in it take place, and occupy time", "over": "they block nobody"}
            self.ask(
                f"status.{status}",
                [f"bookingdb does not know the status {status!r}: {count} sessions, {recent} of the last 90 days."],
                choices,
                "over" if over else "active",
            )
        own = [s for s in damage.active_statuses(self.answers) if s not in damage.ACTIVE]
        if own:
            self.change(
                FOLLOWING,
                "bookingdb.active_statuses",
                "sessions in these statuses take place, too",
                [
                    "insert into bookingdb.active_statuses (status) values "
                    + ", ".join(f"({literal(status)})" for status in own)
                ],
            )

    def rows(self) -> Iterator[Rows]:
        """The rows that break an invariant, by class, with the questions about them."""
        bookable = self.bookable()
        defaults = {key: next(iter(choices)) for key, choices in damage.CHOICES.items()}
        answers = {**defaults, **{k: v for k, v in self.given.items() if k in defaults}, **self.answers}
        found = list(damage.sessions(self.connection, self.app, answers, bookable))
        if self.as_utc:
            choice = self.answers["times.wall_clock_as_utc"]
            repair = "start_time and end_time move" if choice == "shift" else "they stay as they are"
            title = "sessions whose wall clock time was stored as if it were UTC"
            found.append(Rows("times.wall_clock_as_utc", "public.sessions", title, repair, self.as_utc))
        if self.app.has("sessions"):
            found += damage.copied(self.connection, self.app)
            found += self.unknown_statuses()
        if self.app.has("user_credits"):
            found += damage.lots(self.connection, self.app, answers)
        found += damage.duplicates(self.connection, self.app)
        for each in found:
            key = "rows.overlapping" if each.key.startswith("rows.overlapping") else each.key
            choices = damage.CHOICES.get(key, {})
            if len(choices) > 1 and key not in self.answers:
                self.ask(key, [f"{each.count} {each.title}."], choices)
        yield from found

    def unknown_statuses(self) -> list[Rows]:
        """The sessions in statuses of the application's own."""
        own = [key.removeprefix("status.") for key in self.answers if key.startswith("status.")]
        if not own:
            return []
        found = self.connection.execute(
            "select s.id::text from public.sessions as s where s.status::text = any (%s) order by 1", [own]
        ).fetchall()
        title = "sessions in a status that bookingdb does not know"
        repair = "they stay as they are, and occupy time or not as answered"
        ids = [value for (value,) in found]
        return [Rows("rows.status_unknown", "public.sessions", title, repair, ids)] if ids else []

    def bookable(self) -> str | None:
        """The query of the adapter's therapists; a problem where it does not fit the database."""
        select = None
        for view in self.source.views:
            found = re.match(r"create or replace view bookingdb\.(\w+)\s+as\s+(.*)", view, re.DOTALL | re.I)
            if found is None:
                continue
            for table in re.findall(r"(?:from|join)\s+([a-z_]+\.[a-z_]+)", found[2]):
                there = self.connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
                if not (there and there[0]) and table not in _MADE:
                    self.problems.append(f"the adapter {self.source.adapter.name} needs the table {table}")
            if self.app.has("users") or "public.users" not in found[2]:
                if reason := damage.fits(self.connection, found[2]):
                    self.misfits(reason)
                self.people(found[1], found[2])
                if found[1] == "therapists":
                    # The id alone: other columns may have yet to be made.
                    ids = re.sub(r"select\s+(\w+\.id)\b.*?\sfrom\s", r"select \1 from ", found[2], count=1, flags=re.S)
                    select = None if damage.fits(self.connection, ids) else ids
        return select

    def people(self, who: str, select: str) -> None:
        """How many the adapter finds."""
        if damage.fits(self.connection, select) is None:
            row = self.connection.execute(f"select count(*) from ({select}) as p").fetchone()
            self.tell("people", f"adapter {self.source.adapter.name}: {row[0] if row else 0} {who}")

    def misfits(self, reason: str) -> None:
        """An adapter that asks for columns which are missing; those of users, bookingdb adds itself."""
        missing = re.search(r"column \w+\.(\w+) does not exist", reason)
        if missing and "public.users" in self.source.adapter.text and self.wanted("users", missing[1]):
            return
        self.problems.append(f"the adapter {self.source.adapter.name} does not fit: {reason}")
