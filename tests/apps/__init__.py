"""Databases of apps as they are found in the field, and what their owners, their callers and their writers do.

Each app is a script, ``tests/apps/NAME.sql``, that the owner of a database runs; it has rows of every class of damage
that its shape allows. The people and the sessions that matter have the same ids in every app.

Example::

    app = APPS["drift"]
    load(app, url, host)
    before = schema_dump(url), rows(url)
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from bookingdb.local.binaries import find_binaries
from tests.support import Connection, connect, run, scalar
from tests.support.hosts import Host

FOLDER = Path(__file__).parent


def person(name: str) -> UUID:
    """The id of one of the people of every app, by its last two digits."""
    return UUID(f"00000000-0000-4000-8000-0000000000{name}")


def session(number: str) -> UUID:
    """The id of one of the sessions that are broken, by its last two digits."""
    return UUID(f"00000000-0000-4000-8000-5e55000000{number}")


def lot(name: str) -> UUID:
    """The id of one of the rows of user_credits that matter, by its last four digits."""
    return UUID(f"00000000-0000-4000-8000-00000000{name}")


THERAPIST, OTHER_THERAPIST = person("a1"), person("a2")
INACTIVE, UNVERIFIED, UNAPPROVED = person("a3"), person("a4"), person("a5")
CLIENT, OTHER_CLIENT, POOR = person("c1"), person("c2"), person("c3")

# The classes of rows that a plan lists, and the sessions that are in them in nearly every app; of sessions that overlap
# those that start later.
_DAMAGED_SESSIONS: dict[str, tuple[UUID, ...]] = {
    "rows.overlapping.therapist": (session("02"),),
    "rows.overlapping.client": (session("04"),),
    "rows.end_before_start": (session("05"),),
    "rows.end_missing": (session("06"),),
    "rows.zero_duration": (session("07"),),
    "rows.status_missing": (session("08"),),
    "rows.people_missing": (session("09"), session("10")),
    "rows.not_bookable": (session("11"), session("12")),
    "rows.start_missing": (session("20"),),
}


def damaged(*absent: str, **more: str) -> dict[str, tuple[UUID, ...]]:
    """The damaged sessions of an app: those of most apps without some, and with more (numbers with spaces between).

    A class ``rows.NAME`` is given as ``NAME``, with ``__`` for further dots.
    """
    missing = set(map(session, absent))
    classes = {name: tuple(id_ for id_ in ids if id_ not in missing) for name, ids in _DAMAGED_SESSIONS.items()}
    for short, numbers in more.items():
        name = "rows." + short.replace("__", ".")
        classes[name] = classes.get(name, ()) + tuple(map(session, numbers.split()))
    return {name: ids for name, ids in classes.items() if ids}


# Writers with columns for date and time beside the instants.
INSERT_SCHEDULED = """
    insert into public.sessions (
        id, user_id, therapist_id, scheduled_date, scheduled_time, start_time, end_time, status
    ) values (
        %(id)s, %(user_id)s, %(therapist_id)s, %(day)s, %(hour)s, %(start)s, %(end)s, %(status)s
    )
"""
MOVE_SCHEDULED = """
    update public.sessions
    set scheduled_date = %(day)s, scheduled_time = %(hour)s, start_time = %(start)s, end_time = %(end)s
    where id = %(id)s
"""


@dataclass(frozen=True, eq=False)
class App:
    """An app: its database, what its owner answers, and how its own code writes.

    `insert`, `move` and `change_status` are statements of its servers. Their parameters: id, user_id, therapist_id,
    start and end (instants), day, hour and until (the same in `zone`), minutes, status.
    """

    name: str
    zone: str = "Europe/Berlin"
    adapter: str = "standalone"
    # What the owner answers to questions that every plan for this app must ask.
    answers: Mapping[str, Any] = field(default_factory=dict)
    # What the owner answers where the plan asks; its own default may be the same.
    preferences: Mapping[str, Any] = field(default_factory=dict)
    # The name of the script, where it is not the app's.
    found_as: str | None = None
    # Scripts that run after it.
    more: tuple[str, ...] = ()
    # By table and class: the ids of the rows of which a plan must speak.
    damage: Mapping[str, Mapping[str, Sequence[UUID]]] = field(default_factory=dict)
    # What the clients can spend before, by the app's rules as the owner means them, and so afterwards.
    balances: Mapping[UUID, int] = field(default_factory=dict)
    insert: str = """
        insert into public.sessions (id, user_id, therapist_id, title, start_time, end_time, status)
        values (%(id)s, %(user_id)s, %(therapist_id)s, 'Written directly', %(start)s, %(end)s, %(status)s)
    """
    move: str = "update public.sessions set start_time = %(start)s, end_time = %(end)s where id = %(id)s"
    change_status: str = "update public.sessions set status = %(status)s where id = %(id)s"
    # Therapists who cannot be booked, and why.
    unavailable: Mapping[str, UUID] = field(default_factory=dict)
    # The app's own name of the table in which it queues notifications, where it does.
    notifications: str | None = None
    # Columns that get another type and so another look.
    converted: tuple[str, ...] = ()
    # Functions with which anybody gives herself credits.
    giveaways: tuple[str, ...] = ()
    # Columns of sessions that the old booking function filled, and what they must still be filled with.
    copies: Mapping[str, str] = field(default_factory=dict)
    # Whether the zone can be told from the rows.
    has_evidence_of_zone: bool = True
    # Whether active sessions to come keep a scheduled time that is not their start: `verify` goes on reporting them.
    has_two_times: bool = False
    # Whether users in the browser update their own sessions.
    browser_updates: bool = False

    @property
    def script(self) -> str:
        names = (self._file, *self.more)
        return "\n".join((FOLDER / f"{name}.sql").read_text(encoding="utf-8") for name in names)

    @property
    def accounts(self) -> str | None:
        """What Supabase's Auth has done: rows of auth.users, which the owner of the database cannot write."""
        path = FOLDER / f"{self._file}.accounts.sql"
        return path.read_text(encoding="utf-8") if path.exists() else None

    @property
    def _file(self) -> str:
        return self.found_as or self.name

    def written(self, id_: UUID, start: dt.datetime, minutes: int = 60, **others: Any) -> dict[str, Any]:
        """The parameters of the app's own statements."""
        local = start.astimezone(ZoneInfo(self.zone))
        end = start + dt.timedelta(minutes=minutes)
        return {
            "id": id_, "user_id": CLIENT, "therapist_id": THERAPIST, "status": "scheduled",
            "start": start, "end": end, "minutes": minutes, "day": local.date(), "hour": local.time(),
            "until": end.astimezone(ZoneInfo(self.zone)).time(),
        } | others  # fmt: skip

    def free(self, days: int = 40, hour: int = 10) -> dt.datetime:
        """An instant at which nobody has anything: a Tuesday after `days` days, at this hour of the app's clocks."""
        day = dt.datetime.now(ZoneInfo(self.zone)).date() + dt.timedelta(days=days)
        day += dt.timedelta(days=(1 - day.weekday()) % 7)
        return dt.datetime.combine(day, dt.time(hour), ZoneInfo(self.zone))


# ----------------------------------------------------------------------------------------------------------------------
# Making one
# ----------------------------------------------------------------------------------------------------------------------

_AUTH = """
    do $$
    begin
        if to_regclass('auth.users') is null then
            create schema if not exists auth;
            create table auth.users (
                id uuid primary key, email text, created_at timestamptz not null default now(), raw_user_meta_data jsonb
            );
        end if;
    end $$;
"""


def load(app: App, url: str, host: Host) -> None:
    """Run the app's script as the owner of the database at `url`, which is empty; on the host as it is there."""
    if app.accounts is not None:
        # Auth's own role has made the accounts. On a plain server the tables of the project were restored by the owner.
        superuser = psycopg.conninfo.make_conninfo(url, user=host.superuser)
        with connect(superuser if host.is_supabase else url) as connection:
            if host.is_supabase:
                run(connection, "set role supabase_auth_admin")
            run(connection, _AUTH + app.accounts)
    # Supabase's databases are in UTC; so are the timestamps without a zone that now() wrote into them.
    with connect(url, options="-c timezone=UTC") as connection:
        run(connection, app.script)


# ----------------------------------------------------------------------------------------------------------------------
# Comparing
# ----------------------------------------------------------------------------------------------------------------------


def schema_dump(url: str) -> str:
    """What pg_dump writes of everything but rows: every object of the database with owner, privileges and comment."""
    named = os.environ.get("BOOKINGDB_TEST_BIN")
    program = (Path(named) if named else find_binaries()) / "pg_dump"
    command = [str(program), "--schema-only", "--dbname", url]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    # Newer releases guard a dump with a word of chance.
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", printed.stdout)


Rows = dict[str, list[dict[str, Any]]]


def tables(url: str, schemas: Sequence[str] = ("public", "auth")) -> list[str]:
    """The tables of an app, by schema and name."""
    with connect(url) as connection:
        return [
            name
            for (name,) in run(
                connection,
                "select format('%%s.%%s', n.nspname, c.relname) from pg_class as c"
                " inner join pg_namespace as n on n.oid = c.relnamespace"
                " where n.nspname = any (%s) and c.relkind in ('r', 'p')"
                " and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass"
                " and d.objid = c.oid and d.deptype = 'e') order by 1",
                list(schemas),
            )
        ]


def rows(url: str) -> Rows:
    """Every row of every table of the app as JSON, each table in an order of its own; for the owner of the database."""
    found = {}
    with connect(url, options="-c timezone=UTC") as connection:
        for table in tables(url):
            query = sql.SQL("select to_jsonb(t) from {} as t order by to_jsonb(t)::text").format(
                sql.Identifier(*table.split("."))
            )
            found[table] = [row for (row,) in connection.execute(query)]
    return found


@dataclass(frozen=True)
class Difference:
    """A row of the app that is another one than before; None where it is not there."""

    table: str
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def columns(self) -> dict[str, tuple[Any, Any]]:
        """The columns that the row had before and in which it differs, with both values."""
        before, after = self.before or {}, self.after or {}
        return {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value}


def differences(before: Rows, after: Rows) -> list[Difference]:
    """What has happened to rows that were there, and which have come; columns that have come do not count."""
    found = []
    for table in sorted(before):
        was, is_ = _by_key(before[table]), _by_key(after.get(table, []))
        columns = set().union(*before[table])
        for key in sorted(was.keys() | is_.keys()):
            old, new = was.get(key), is_.get(key)
            if old is None or new is None or {name: new.get(name) for name in columns} != old:
                found.append(Difference(table, key, old, new))
    return found


def _by_key(contents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    # A table without an id is compared by its whole rows.
    return {str(row["id"]) if "id" in row else json.dumps(row, sort_keys=True): row for row in contents}


# ----------------------------------------------------------------------------------------------------------------------
# Callers
# ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def server_of(url: str) -> Iterator[Connection]:
    """A connection of the app's own server: as service_role where there is one, else as the owner."""
    with connect(url) as connection:
        if scalar(connection, "select to_regrole('service_role') is not null"):
            run(connection, "set role service_role")
        yield connection


def book(connection: Connection, app: App, start: dt.datetime, **options: Any) -> list[DictRow]:
    """Book as every app of this kind does: the function with its eight named arguments; `data` of supabase-js."""
    local = start.astimezone(ZoneInfo(app.zone))
    arguments = {
        "p_user_id": CLIENT,
        "p_therapist_id": THERAPIST,
        "p_session_date": local.date().isoformat(),
        "p_session_time": local.time().isoformat("minutes"),
        "p_duration_minutes": 60,
        "p_session_type": "video",
        "p_notes": "from the app",
        "p_title": "Therapy Session",
    } | options
    # PostgREST leaves the types to the function's parameters, too.
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    statement = f"select * from public.create_session_with_credit_deduction({named})"
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(statement.encode(), _untyped(arguments)).fetchall()


def _untyped(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else str(value) for name, value in arguments.items()}


# ----------------------------------------------------------------------------------------------------------------------
# The apps
# ----------------------------------------------------------------------------------------------------------------------

_TWO_ZONES = App(
    "two_zones",
    zone="Africa/Lagos",
    answers={"zone": "Africa/Lagos", "times.wall_clock_as_utc": "keep"},
    damage={
        "public.sessions": {
            **damaged("02", overlapping__therapist="15"),
            "times.wall_clock_as_utc": tuple(map(session, ("01", "06", "11", "14"))),
        },
    },
    balances={CLIENT: 5, OTHER_CLIENT: 3, POOR: 0},
    unavailable={"inactive": INACTIVE, "unverified": UNVERIFIED},
    has_two_times=True,
)

APPS: dict[str, App] = {
    app.name: app
    for app in (
        App(
            "clean",
            answers={"zone": "Europe/Berlin"},
            balances={CLIENT: 7, OTHER_CLIENT: 3, POOR: 0},
            insert=INSERT_SCHEDULED,
            move=MOVE_SCHEDULED,
            unavailable={"inactive": INACTIVE},
            browser_updates=True,
        ),
        App(
            "drift",
            answers={
                "zone": "Europe/Berlin",
                "notification": "select public.enqueue_notification(($1 ->> 'user_id')::uuid,"
                " 'session_booked',"
                " jsonb_build_object('session_id', $1 -> 'id', 'therapist_id', $1 -> 'therapist_id'))",
            },
            preferences={"credits.missing_status": "active"},
            damage={
                "public.sessions": damaged(overlapping__therapist="15 16", people_missing="21", start_missing="21"),
                "public.user_credits": {
                    "credits.missing_balance": (lot("c301"),),
                    "credits.negative_balance": (lot("c401"),),
                    "credits.missing_status": (lot("c101"),),
                    "credits.nobodys": (lot("ffff"),),
                },
                "public.users": {"users.same_email": (person("c4"), person("c5"))},
            },
            balances={CLIENT: 7, OTHER_CLIENT: 2, POOR: 0, person("c4"): 0},
            # The old frontend: date, time and duration only; a trigger made the rest of it.
            insert="""
                insert into public.sessions (
                    id, user_id, therapist_id, title, scheduled_date, scheduled_time, duration, status
                ) values (
                    %(id)s, %(user_id)s, %(therapist_id)s, 'Old', %(day)s, %(hour)s, %(minutes)s, %(status)s
                )
            """,
            move="update public.sessions set scheduled_date = %(day)s, scheduled_time = %(hour)s where id = %(id)s",
            unavailable={"inactive": INACTIVE, "unverified": UNVERIFIED},
            notifications="public.notification_queue",
            giveaways=("public.add_credits(uuid, integer)",),
            copies={"notes": "description", "duration": "duration_minutes"},
        ),
        App(
            "enums",
            zone="Europe/Paris",
            balances={CLIENT: 5, OTHER_CLIENT: 3, POOR: 0},
            unavailable={"inactive": INACTIVE},
        ),
        App(
            "lots",
            zone="UTC",
            answers={"zone": "UTC"},
            preferences={"credits.missing_status": "active", "credits.missing_type": "user"},
            damage={
                "public.sessions": damaged(),
                "public.user_credits": {
                    "credits.individual": tuple(map(lot, ("c102", "c501", "c502"))),
                    "credits.missing_type": (lot("c404"),),
                    "credits.missing_balance": (lot("c202"),),
                    "credits.negative_balance": (lot("c302"),),
                    "credits.missing_status": (lot("c203"),),
                    "credits.status_unknown": (lot("c403"),),
                    "credits.expired_and_active": (lot("c106"),),
                    "credits.over_with_balance": tuple(map(lot, ("c103", "c104"))),
                    "credits.spent_without_use": (lot("c105"),),
                    "credits.same_payment": tuple(map(lot, ("c401", "c402"))),
                },
            },
            # user and individual are one person's money; expired, refunded and what was not paid are not.
            giveaways=("public.grant_credits(uuid, integer)",),
            copies={"session_date": "scheduled_date", "session_time": "scheduled_time"},
            balances={CLIENT: 8, OTHER_CLIENT: 4, POOR: 0, person("c4"): 5, person("c5"): 9},
            insert="""
                insert into public.sessions (
                    id, user_id, therapist_id, title, session_date, session_time, scheduled_date, scheduled_time,
                    start_time, end_time, duration_minutes, status
                ) values (
                    %(id)s, %(user_id)s, %(therapist_id)s, 'Coaching', %(day)s, %(hour)s, %(day)s, %(hour)s,
                    %(start)s, %(end)s, %(minutes)s, %(status)s
                )
            """,
            unavailable={"inactive": INACTIVE, "unverified": UNVERIFIED},
        ),
        App(
            "single_balance",
            zone="America/New_York",
            answers={"zone": "America/New_York"},
            damage={
                "public.sessions": damaged("12"),
                "public.user_credits": {
                    "credits.individual": tuple(map(lot, ("c102", "c201"))),
                    "credits.negative_balance": (lot("c301"),),
                    # An account, but no row of public.users.
                    "credits.nobodys": (lot("e101"),),
                },
            },
            balances={CLIENT: 7, OTHER_CLIENT: 3, POOR: 0},
            unavailable={"inactive": INACTIVE},
            giveaways=("public.top_up(uuid, integer)",),
        ),
        App(
            "profiles",
            zone="UTC",
            adapter="profiles",
            has_evidence_of_zone=False,
            damage={
                "public.sessions": damaged("12"),
                "public.user_credits": {"credits.missing_balance": (lot("c301"),)},
            },
            balances={CLIENT: 5, OTHER_CLIENT: 3, POOR: 0},
            unavailable={"inactive": INACTIVE},
            browser_updates=True,
        ),
        App(
            "enrollments",
            zone="Africa/Lagos",
            adapter="enrollments",
            answers={
                "zone": "Africa/Lagos",
                "notification": "select public.enqueue_notification('session_booked',"
                " ($1 ->> 'user_id')::uuid, ($1 ->> 'id')::uuid)",
            },
            damage={
                "public.sessions": damaged(not_bookable="13 22", status_unknown="18 19"),
                "public.user_credits": {
                    "credits.individual": (lot("c102"),),
                    "credits.negative_balance": (lot("c301"),),
                    "credits.expired_and_active": (lot("c103"),),
                },
            },
            balances={CLIENT: 6, OTHER_CLIENT: 2, POOR: 0},
            copies={"session_date": "scheduled_date", "session_time": "scheduled_time"},
            insert=INSERT_SCHEDULED,
            move=MOVE_SCHEDULED,
            unavailable={
                "inactive": INACTIVE,
                "unverified": UNVERIFIED,
                "not approved": UNAPPROVED,
                "paused": person("a6"),
                "never applied": person("a7"),
            },
        ),
        App(
            "therapists",
            zone="Asia/Kolkata",
            adapter="therapists",
            answers={"zone": "Asia/Kolkata"},
            has_two_times=True,
            # A date on which it ends; it is good until that day is over.
            converted=("expires_at",),
            damage={
                "public.sessions": damaged("08"),
                "public.user_credits": {
                    "credits.individual": tuple(map(lot, ("c101", "c102"))),
                    "credits.expired_and_active": (lot("c103"),),
                },
            },
            balances={CLIENT: 7, OTHER_CLIENT: 3, POOR: 0},
            insert=INSERT_SCHEDULED,
            move=MOVE_SCHEDULED,
            unavailable={"inactive": INACTIVE, "unverified": UNVERIFIED},
        ),
        App(
            "schedules",
            zone="Europe/London",
            answers={
                "zone": "Europe/London",
                "notification": "select public.enqueue_notification(jsonb_build_object("
                "'type', 'session_booked', 'user_id', $1 -> 'user_id', 'session_id', $1 -> 'id'))",
            },
            damage={
                "public.sessions": damaged(),
                "public.user_credits": {
                    "credits.missing_balance": (lot("c301"),),
                    "credits.over_with_balance": (lot("c202"),),
                },
            },
            balances={CLIENT: 5, OTHER_CLIENT: 2, POOR: 0},
            unavailable={"inactive": INACTIVE, "unverified": UNVERIFIED},
            notifications="public.notifications",
        ),
        App(
            "times",
            zone="Europe/Rome",
            # That start_time and end_time become instants changes what the app reads and writes: only the owner can
            # say so.
            answers={"zone": "Europe/Rome", "times.start_time": "convert", "times.end_time": "convert"},
            converted=("start_time", "end_time"),
            copies={"session_date": "scheduled_date"},
            has_evidence_of_zone=False,
            damage={"public.sessions": damaged("05", "12", start_missing="24")},
            balances={CLIENT: 5, OTHER_CLIENT: 3, POOR: 0},
            insert="""
                insert into public.sessions (id, user_id, therapist_id, session_date, start_time, end_time, status)
                values (%(id)s, %(user_id)s, %(therapist_id)s, %(day)s, %(start)s, %(end)s, %(status)s)
            """,
            unavailable={"inactive": INACTIVE},
        ),
        _TWO_ZONES,
        replace(
            _TWO_ZONES,
            name="two_zones_shifted",
            found_as="two_zones",
            answers={"zone": "Africa/Lagos", "times.wall_clock_as_utc": "shift"},
            damage={
                "public.sessions": {
                    **damaged(),
                    "times.wall_clock_as_utc": tuple(map(session, ("01", "06", "11", "14"))),
                },
            },
            has_two_times=False,
        ),
    )
}


def _wall_clock(name: str, zone: str) -> App:
    return App(f"wall_clock_{name}", zone=zone, found_as="wall_clock", more=(f"wall_clock_{name}",))


# Apps with one fault each, which only the tests of that fault load.
FAULTS: dict[str, App] = {
    app.name: app
    for app in (
        App("notified", answers={"zone": "UTC"}),
        App("pairs", answers={"zone": "Europe/Berlin", "copy.notes": "description", "copy.kind": "session_type"}),
        _wall_clock("lagos", "Africa/Lagos"),
        _wall_clock("london", "Europe/London"),
        _wall_clock("london_winter", "Europe/London"),
        _wall_clock("families", "Africa/Lagos"),
        _wall_clock("new_york", "America/New_York"),
        _wall_clock("timestamps", "Africa/Lagos"),
        _wall_clock("unscheduled", "Africa/Lagos"),
    )
}
