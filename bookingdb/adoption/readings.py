"""The times of an application's sessions as bookingdb reads them: when they are, and in which zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bookingdb.adoption.application import Application
from bookingdb.adoption.statements import query, quoted
from bookingdb.install.session import Connection, literal

# Statuses in which a session takes place (bookingdb.occupies_time), and all that bookingdb knows.
ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
STATUSES = (*ACTIVE, "completed", "cancelled", "no_show")
# Columns in which applications keep what bookingdb calls otherwise.
SYNONYMS = {
    "duration_minutes": ("duration",),
    "scheduled_date": ("session_date",),
    "scheduled_time": ("session_time",),
}
NUMBERS = ("integer", "bigint", "smallint", "numeric", "real", "double precision")
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


@dataclass(frozen=True)
class Zones:
    """The evidence of the rows for the zone of their wall clock times.

    ``matches`` counts, for the likeliest zones, the sessions whose instant is their wall clock time there; ``as_utc``
    are sessions whose wall clock time was stored as if it were UTC, ``in_zone`` how many are right in the zone.
    """

    zone: str = "UTC"
    compared: int = 0
    matches: dict[str, int] = field(default_factory=dict)
    as_utc: list[str] = field(default_factory=list)
    in_zone: int = 0


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
        creation=_own(app, "created_at", "timestamptz"),
        beginning=_instant(app, "start_time", zone, stamps),
        ending=_instant(app, "end_time", zone, stamps),
        day=_first(app, "scheduled_date", ("date", "timestamp"), "date", answers),
        clock=_first(app, "scheduled_time", ("time without",), "time", answers),
        minutes=_first(app, "duration_minutes", NUMBERS, "integer", answers),
        stated=_first(app, "duration_minutes", NUMBERS, "numeric", answers),
        active_statuses=active_statuses(answers),
        zone=zone,
        shifts=answers.get("times.wall_clock_as_utc") == "shift",
        repaired_starts=_answered(answers, "scheduled"),
        repaired_ends=_answered(answers, "duration"),
    )


def _answered(answers: Mapping[str, str], choice: str) -> list[str]:
    """List the classes of rows for which this choice was answered."""
    return [key for key, answer in answers.items() if key.startswith("rows.") and answer == choice]


def _own(app: Application, name: str, cast: str) -> str:
    return f"s.{name}::{cast}" if app.column("sessions", name) else f"null::{cast}"


def _first(app: Application, name: str, types: tuple[str, ...], cast: str, answers: Mapping[str, str]) -> str:
    """Write the expression of the first of a column and its synonyms that has a value; the right ones go first."""
    known = sorted((name, *SYNONYMS.get(name, ())), key=lambda n: answers.get(f"pair.{n}") != "application")
    names = [n for n in known if (app.type_of("sessions", n) or "").startswith(types)]
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
            date = _first(app, "scheduled_date", ("date", "timestamp"), "date", {})
            after = f"s.{name} < s.start_time" if name == "end_time" else "false"
            next_day = f"case when {after} then interval '1 day' else '0' end"
            return f"({date} + s.{name} + {next_day}) at time zone {literal(zone)}"
        case _:
            return "null::timestamptz"


def zones(connection: Connection, app: Application, answered: str | None, stamps: str) -> Zones:
    """Ask the rows which zone their wall clock times are in."""
    is_undecided = not app.has("sessions") or app.type_of("sessions", "start_time") == "time without time zone"
    if is_undecided:
        return Zones(answered or "UTC")
    read = readings(app, {"zone": "UTC", "zone.timestamps": stamps})
    found = connection.execute(query("damage/zone_matches", readings=read, zones=LIKELY_ZONES)).fetchall()
    if not found:
        return Zones(answered or "UTC")
    matches = {name: matched for name, matched, _ in found if matched}
    others = [name for name in matches if name != "UTC"]
    compared: int = found[0][2]
    # Rows that only UTC explains beside rows that only another zone does: the two families.
    zone = answered or (others[0] if others and matches[others[0]] * 10 > compared else next(iter(matches), "UTC"))
    families = readings(app, {"zone": zone, "zone.timestamps": stamps})
    as_utc = connection.execute(f"select r.id::text from ({families}) as r where r.is_as_utc order by 1")
    right = connection.execute(query("damage/right_in_zone", readings=families, zone=zone)).fetchone()
    return Zones(zone, compared, dict(list(matches.items())[:5]), [id_ for (id_,) in as_utc], right[0] if right else 0)
