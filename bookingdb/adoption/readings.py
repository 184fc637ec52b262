"""The times of an application's sessions as bookingdb reads them: when they are, and in which zone."""

from __future__ import annotations

from collections.abc import Mapping

from bookingdb.adoption.application import Application
from bookingdb.adoption.statements import query, quoted
from bookingdb.install.session import literal

# Statuses in which a session takes place (bookingdb.occupies_time), and all that bookingdb knows.
ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
STATUSES = (*ACTIVE, "completed", "cancelled", "no_show")
# Columns in which applications keep what bookingdb calls otherwise.
SYNONYMS = {
    "duration_minutes": ("duration",),
    "scheduled_date": ("session_date",),
    "scheduled_time": ("session_time",),
}
# Types that begin so can be read as a date, and as a time of day.
_DATES, _CLOCKS = ("date", "timestamp"), ("time without",)
NUMBERS = ("integer", "bigint", "smallint", "numeric", "real", "double precision")
# Questions about times that were stored as if they were UTC: those that a condition chooses, and the others.
AS_UTC = "times.wall_clock_as_utc"
AS_UTC_WHERE = f"{AS_UTC}.where"
AS_UTC_OTHERS = f"{AS_UTC}.others"
# Question about starts that no scheduled time can be compared with. While rows are repaired the second key has the
# condition that a start is as it was found.
UNSCHEDULED = "times.unscheduled"
UNSCHEDULED_WHERE = f"{UNSCHEDULED}.where"


def active_statuses(answers: Mapping[str, str]) -> list[str]:
    """List the statuses in which a session takes place: ours, and the application's that its owner calls active."""
    own = [key.removeprefix("status.") for key, answer in answers.items() if key.startswith("status.")]
    return [*ACTIVE, *(status for status in own if answers[f"status.{status}"] == "active")]


def readings(app: Application, answers: Mapping[str, str]) -> str:
    """Write the query that shows sessions as bookingdb reads them, as found and as these answers repair them."""
    zone, stamps = answers.get("zone") or "UTC", answers.get("zone.timestamps") or "UTC"
    return query(
        "damage/readings",
        client=_own(app, "user_id", "uuid"),
        therapist=_own(app, "therapist_id", "uuid"),
        state=_own(app, "status", "text"),
        creation=_creation(app, stamps),
        beginning=_instant(app, "start_time", zone, stamps),
        ending=_instant(app, "end_time", zone, stamps),
        day=_first(app, "scheduled_date", _DATES, "date", answers),
        clock=_first(app, "scheduled_time", _CLOCKS, "time", answers),
        minutes=_first(app, "duration_minutes", NUMBERS, "integer", answers),
        stated=_first(app, "duration_minutes", NUMBERS, "numeric", answers),
        active_statuses=active_statuses(answers),
        zone=zone,
        chosen=_chosen(answers),
        as_utc=answers.get(AS_UTC) or "keep",
        others=answers.get(AS_UTC_OTHERS) or "keep",
        unscheduled=answers.get(UNSCHEDULED) or "keep",
        start_alone=_start_alone(app, answers),
        repaired_starts=_answered(answers, "scheduled"),
        repaired_ends=_answered(answers, "duration"),
    )


def _answered(answers: Mapping[str, str], choice: str) -> list[str]:
    """List the classes of rows for which this choice was answered."""
    return [key for key, answer in answers.items() if key.startswith("rows.") and answer == choice]


def _chosen(answers: Mapping[str, str]) -> str:
    """Write the condition that a session is one of those that the owner chose."""
    condition = answers.get(AS_UTC_WHERE, "").strip()
    # On a line of its own: it may end with a comment.
    return f"((\n{condition}\n) is true)" if condition else "true"


def _start_alone(app: Application, answers: Mapping[str, str]) -> str:
    """Write the condition that a start is an instant by itself: other types are read in a zone that was asked."""
    if app.type_of("sessions", "start_time") != "timestamp with time zone":
        return "false"
    return answers.get(UNSCHEDULED_WHERE) or "true"


def _creation(app: Application, zone_of_timestamps: str) -> str:
    if app.type_of("sessions", "created_at") == "timestamp without time zone":
        return f"s.created_at at time zone {literal(zone_of_timestamps)}"
    return _own(app, "created_at", "timestamptz")


def _own(app: Application, name: str, cast: str) -> str:
    return f"s.{name}::{cast}" if app.column("sessions", name) else f"null::{cast}"


def clock_columns(app: Application) -> dict[str, str]:
    """Return the columns of the wall clock time, each with the type in which `readings` reads it: date or time."""
    dates, times = (
        _named(app, name, types) for name, types in (("scheduled_date", _DATES), ("scheduled_time", _CLOCKS))
    )
    return dict.fromkeys(dates, "date") | dict.fromkeys(times, "time")


def _named(app: Application, name: str, types: tuple[str, ...]) -> list[str]:
    """List those of a column and its synonyms that have one of these types."""
    return [n for n in (name, *SYNONYMS.get(name, ())) if (app.type_of("sessions", n) or "").startswith(types)]


def _first(app: Application, name: str, types: tuple[str, ...], cast: str, answers: Mapping[str, str]) -> str:
    """Write the expression of the first of a column and its synonyms that has a value; the right ones go first."""
    known = sorted((name, *SYNONYMS.get(name, ())), key=lambda n: answers.get(f"pair.{n}") != "application")
    names = [n for n in known if n in _named(app, name, types)]
    if not names:
        return f"null::{cast}"
    values = [f"s.{quoted(n)}" for n in names]
    if cast == "integer":
        # No session is that long, and neither NaN nor what is too large for an integer is one.
        values = [f"case when {value} between -1000000 and 1000000 then {value} end" for value in values]
    return f"coalesce({', '.join(f'({value})::{cast}' for value in values)})"


def _instant(app: Application, name: str, zone: str, zone_of_timestamps: str) -> str:
    """Write the expression of a column as an instant, whatever its type is now."""
    match app.type_of("sessions", name):
        case "timestamp with time zone":
            return f"s.{name}"
        case "timestamp without time zone":
            return f"s.{name} at time zone {literal(zone_of_timestamps)}"
        case "time without time zone":
            date = _first(app, "scheduled_date", _DATES, "date", {})
            after = f"s.{name} < s.start_time" if name == "end_time" else "false"
            next_day = f"case when {after} then interval '1 day' else '0' end"
            return f"({date} + s.{name} + {next_day}) at time zone {literal(zone)}"
        case _:
            return "null::timestamptz"
