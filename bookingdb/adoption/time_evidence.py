"""The evidence of an application's rows for the zone of their times: all rows are asked, and grouped by the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from bookingdb.adoption.application import Application, Column
from bookingdb.adoption.readings import UNSCHEDULED, readings
from bookingdb.adoption.statements import query
from bookingdb.install.session import Connection, literal, scalar

# Zones that applications are in, the most usual of several with the same clocks first.
LIKELY_ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "America/Chicago",
    "America/Denver", "America/Phoenix", "America/Sao_Paulo", "America/Bogota", "America/Mexico_City",
    "America/Argentina/Buenos_Aires", "America/Halifax", "America/St_Johns", "Europe/Athens", "Europe/Moscow",
    "Europe/Istanbul", "Africa/Lagos", "Africa/Cairo", "Africa/Johannesburg", "Africa/Nairobi", "Asia/Dubai",
    "Asia/Tehran", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Jakarta",
    "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Asia/Jerusalem", "Australia/Sydney", "Australia/Brisbane",
    "Australia/Adelaide", "Australia/Perth", "Pacific/Auckland", "Pacific/Honolulu",
)  # fmt: skip

# Values of types that begin so may tell one kind of session from another.
_TELLING = ("text", "character", "boolean", "uuid", "smallint", "integer")

# Sessions that are asked for hints, the latest: columns of all would take minutes.
HINTED = 20_000


@dataclass(frozen=True)
class ZoneFit:
    """The number of sessions that a zone explains: it alone, UTC alone, both of them, neither."""

    zone: str
    only_zone: int
    only_utc: int
    both: int
    neither: int
    clocks: str

    @property
    def matched(self) -> int:
        """The sessions whose instant is their wall clock time in the zone."""
        return self.only_zone + self.both

    @property
    def beats_utc(self) -> bool:
        """True if the zone explains more sessions than UTC."""
        return self.only_zone > self.only_utc


@dataclass(frozen=True)
class Zones:
    """The zones that explain sessions, the best first; ``unscheduled`` have an instant and no scheduled time."""

    fits: list[ZoneFit] = field(default_factory=list)
    unscheduled: int = 0

    @property
    def compared(self) -> int:
        """The sessions that were compared."""
        first = self.fits[0] if self.fits else None
        return first.only_zone + first.only_utc + first.both + first.neither if first else 0

    @property
    def equals(self) -> list[ZoneFit]:
        """The zones that explain the most, all equally many."""
        best = self.fits[:1]
        return [
            fit for fit in self.fits for first in best if (fit.only_zone, fit.both) == (first.only_zone, first.both)
        ]

    @property
    def default(self) -> str:
        """The zone that the rows decide on; empty where they do not.

        UTC is never decided on: a wall clock that was stored as if it were UTC looks the same. Nor is one of several
        zones that explain the same rows and whose clocks part within the year.
        """
        equals = self.equals
        is_decided = bool(equals) and equals[0].beats_utc and len({fit.clocks for fit in equals}) == 1
        return equals[0].zone if is_decided else ""


@dataclass(frozen=True)
class Month:
    """The number of sessions of a month that are right in the zone, as UTC only, and in neither."""

    month: str
    in_zone: int
    as_utc: int
    neither: int


@dataclass(frozen=True)
class Sample:
    """A session stored as if it were UTC: local times in the zone as they stand, and what the answers make of them."""

    id: str
    scheduled: str
    stands: str
    stands_until: str | None
    becomes: str
    becomes_until: str | None
    becomes_scheduled: str


@dataclass(frozen=True)
class Hint:
    """Sessions with a value in a column: how many, how many made about their start, how many about the shifted one."""

    condition: str
    sessions: int
    near_start: int
    near_shifted: int


@dataclass(frozen=True)
class Unscheduled:
    """Sessions with a start and no scheduled time: how many, and to come; ``compared`` sessions have both times.

    ``hours`` and ``shifted_hours`` have the number of sessions that begin in an hour of the day, by both readings.
    """

    sessions: int
    to_come: int
    compared: int
    as_utc: int
    hours: dict[str, int] = field(default_factory=dict)
    shifted_hours: dict[str, int] = field(default_factory=dict)
    samples: list[Shift] = field(default_factory=list)

    @property
    def is_exception(self) -> bool:
        """True if more sessions have both times, and none of these was stored as if it were UTC."""
        return self.compared > self.sessions and not self.as_utc


@dataclass(frozen=True)
class Shift:
    """A session without a scheduled time: local times in the zone as they stand, and shifted."""

    id: str
    stands: str
    stands_until: str | None
    becomes: str
    becomes_until: str | None


def zones(connection: Connection, app: Application, answered: str | None, stamps: str) -> Zones:
    """Ask the rows which zone their wall clock times are in: each likely one, and the one that was answered."""
    is_undecided = not app.has("sessions") or app.type_of("sessions", "start_time") == "time without time zone"
    if is_undecided:
        return Zones()
    read = readings(app, {"zone.timestamps": stamps})
    names = list(dict.fromkeys([*LIKELY_ZONES, *([answered] if answered else [])]))
    found = connection.execute(query("damage/zone_matches", readings=read, zones=names)).fetchall()
    unscheduled = scalar(connection, query("damage/without_wall_clock", readings=read))
    return Zones([ZoneFit(*row) for row in found], unscheduled)


def months(connection: Connection, app: Application, answers: Mapping[str, str]) -> list[Month]:
    """Count by month, the latest first, how many sessions agree with the zone."""
    text = query("damage/agreement_by_month", readings=readings(app, answers), zone=answers["zone"])
    return [Month(*row) for row in connection.execute(text)]


def samples(
    connection: Connection, app: Application, answers: Mapping[str, str], *, is_chosen: bool = True
) -> list[Sample]:
    """Show some sessions stored as if they were UTC: of those that the owner's condition chooses, or of the others."""
    read = readings(app, answers)
    text = query("damage/as_utc_samples", readings=read, zone=answers["zone"], is_chosen=is_chosen)
    return [Sample(*row) for row in connection.execute(text)]


def unscheduled(connection: Connection, app: Application, answers: Mapping[str, str]) -> Unscheduled:
    """Count the sessions that have a start and no scheduled time to compare it with, and show both readings."""
    read, zone = readings(app, {**answers, UNSCHEDULED: "shift"}), answers["zone"]
    ((sessions, to_come, compared, as_utc),) = connection.execute(query("damage/unscheduled_counts", readings=read))
    if not sessions:
        return Unscheduled(sessions, to_come, compared, as_utc)
    by_reading: dict[bool, dict[str, int]] = {False: {}, True: {}}
    for is_shifted, hour, number in connection.execute(query("damage/unscheduled_hours", readings=read, zone=zone)):
        by_reading[is_shifted][hour] = number
    shown = connection.execute(query("damage/unscheduled_samples", readings=read, zone=zone))
    both = [Shift(*row) for row in shown]
    return Unscheduled(sessions, to_come, compared, as_utc, by_reading[False], by_reading[True], both)


def hints(connection: Connection, app: Application, answers: Mapping[str, str]) -> list[Hint]:
    """Find the columns that may tell right instants from shifted ones, by when the session was made.

    The first is about all that were looked at; then the values of the columns that separate best.
    """
    columns = [
        column
        for name, column in app.columns["sessions"].items()
        if name not in ("id", "therapist_id", "user_id")
        and (column.category == "e" or column.type.startswith(_TELLING))
    ]
    expressions = [f"({literal(_bare(column))}, s.{column.quoted}::text)" for column in columns]
    expressions += ["('', null)", "('created_at', to_char(l.created_at at time zone 'UTC', 'YYYY-MM'))"]
    read = readings(app, answers)
    text = query("damage/as_utc_hints", readings=read, values=f"values {', '.join(expressions)}", most=HINTED)
    by_column: dict[str, list[Hint]] = {}
    for name, value, *counts in connection.execute(text):
        by_column.setdefault(name, []).append(Hint(_condition(app, name, value), *counts))
    (everything,) = by_column.pop("", [Hint("", 0, 0, 0)])
    if not everything.near_start:
        return [everything]
    best = sorted(by_column.values(), key=lambda values: -_separation(values, everything))[:3]
    return [everything, *(hint for values in best if _separation(values, everything) > 0 for hint in values)]


def _bare(column: Column) -> str:
    """Write the name of a column as people do, without quotes where it needs none."""
    return column.name if re.fullmatch("[a-z_][a-z0-9_]*", column.name) else column.quoted


def _condition(app: Application, name: str, value: str | None) -> str:
    """Write the condition that a column has a value, as an answer may have it."""
    if name == "created_at" and value is not None:
        is_instant = app.type_of("sessions", name) == "timestamp with time zone"
        zone = " at time zone 'UTC'" if is_instant else ""
        return f"to_char(s.created_at{zone}, 'YYYY-MM') = {literal(value)}"
    return f"s.{name} is null" if value is None else f"s.{name} = {literal(value)}"


def _separation(values: list[Hint], everything: Hint) -> float:
    """Tell how well a column separates sessions made about when they start from the others."""
    mean = everything.near_start / everything.sessions
    return sum(hint.sessions * (hint.near_start / hint.sessions - mean) ** 2 for hint in values)


def refusal(connection: Connection, condition: str) -> str | None:
    """Return why a condition cannot be asked of every session, always with the same answer; None where it can."""
    text = query("damage/fits_condition", condition=condition)
    try:
        with connection.transaction():
            # A parameter, because a statement that has some cannot be followed by another one.
            explained = connection.execute(f"explain (verbose, costs off) {text.replace('%', '%%')} limit %s", [1])
            if name := _fickle(connection, "\n".join(line for (line,) in explained)):
                return f"{name} may answer otherwise each time, or change something"
            connection.execute(text)
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    return None


# Functions that are stable, and belong to the session or the transaction.
_OF_THE_SESSION = frozenset(
    {"pg_backend_pid", "pg_current_xact_id", "txid_current", "pg_current_snapshot", "txid_current_snapshot"}
    | {"set_config", "inet_client_port", "pg_my_temp_schema", "pg_postmaster_start_time"}
)


def _fickle(connection: Connection, explained: str) -> str | None:
    """Return the name of a function or operator of a query, by how Postgres explains it, that is not at least stable.

    The server has put in place what functions in SQL are made of. A name that only some functions of several have in
    a volatile form counts.
    """
    text = re.sub(r"'(?:[^']|'')*'", "", explained)
    called = re.findall(r'"((?:[^"]|"")+)"\(|(\w+)\(|Sampling: (\w+)|OPERATOR\([^()]*?([^\w.()]+)\)', text)
    names = {name.replace('""', '"') for found in called for name in found if name}
    names |= set(re.findall(r"(?<= )[-+*/<>=~!@#%^&|`?]+(?=[ (])", text))
    volatile = {name for (name,) in connection.execute(query("damage/volatile_names", names=sorted(names)))}
    return next(iter(sorted(volatile | (names & _OF_THE_SESSION))), None)
