"""The rows of an application that break what bookingdb promises: how each class is found, and what would mend it.

Everything is one query over `readings`, which shows a session as bookingdb would read it, whatever its columns are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psycopg

from bookingdb.adoption.application import Application
from bookingdb.adoption.statements import quoted
from bookingdb.install.session import Connection, literal

# Statuses in which a session takes place (bookingdb.occupies_time), and all that bookingdb knows.
ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")
STATUSES = (*ACTIVE, "completed", "cancelled", "no_show")
LOT_STATUSES = ("active", "expired", "refunded", "revoked")
# Columns in which applications keep what bookingdb calls otherwise.
SYNONYMS = {
    "duration_minutes": ("duration",),
    "scheduled_date": ("session_date",),
    "scheduled_time": ("session_time",),
}
# The keys of repairs that fill a column of ours with what is in the application's begin with this: to bookingdb's
# reading these change nothing.
COPIES = "copies."
NUMBERS = ("integer", "bigint", "smallint", "numeric", "real", "double precision")


# Classes that tell, or that follow from what the application has in columns of other names.
_PASSING = frozenset(
    {"rows.not_bookable", "credits.expired_and_active", "credits.spent_without_use", "credits.over_with_balance"}
    | {f"rows.{name}" for name in SYNONYMS}
)


@dataclass(frozen=True)
class Damage:
    """Damage of one class: which, and what the plan does about them."""

    key: str
    table: str
    title: str
    repair: str
    ids: list[str]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ids)

    @property
    def is_passing(self) -> bool:
        """Whether time, or what the application goes on doing, changes which rows these are; they decide nothing."""
        return self.key in _PASSING


@dataclass(frozen=True)
class Repair:
    """An UPDATE of rows: a query that gives ``id`` and the new values of ``columns``."""

    key: str
    table: str
    columns: tuple[str, ...]
    query: str


@dataclass(frozen=True)
class Zones:
    """What the rows say about the zone that the wall clock times are in.

    ``matches`` counts, for the likeliest zones, the sessions whose instant is their wall clock time there; ``as_utc``
    are sessions whose wall clock time was stored as if it were UTC, ``in_zone`` how many are right in the zone.
    """

    zone: str = "UTC"
    compared: int = 0
    matches: dict[str, int] = field(default_factory=dict)
    as_utc: list[str] = field(default_factory=list)
    in_zone: int = 0


def _first(app: Application, name: str, types: tuple[str, ...], cast: str) -> str:
    """The first of a column and its synonyms that has a value, as an expression."""
    names = [n for n in (name, *SYNONYMS.get(name, ())) if (app.type_of("sessions", n) or "").startswith(types)]
    if not names:
        return f"null::{cast}"
    values = [f"s.{quoted(n)}" for n in names]
    if cast == "integer":
        # No session is that long, and neither NaN nor what is too large for an integer is one.
        values = [f"case when {value} between -1000000 and 1000000 then {value} end" for value in values]
    return f"coalesce({', '.join(f'({value})::{cast}' for value in values)})"


def _instant(app: Application, name: str, zone: str, zone_of_timestamps: str) -> str:
    """A column as an instant, whatever its type is now."""
    match app.type_of("sessions", name):
        case "timestamp with time zone":
            return f"s.{name}"
        case "timestamp without time zone":
            return f"s.{name} at time zone {literal(zone_of_timestamps)}"
        case "time without time zone":
            date = _first(app, "scheduled_date", ("date", "timestamp"), "date")
            after = f"s.{name} < s.start_time" if name == "end_time" else "false"
            return f"({date} + s.{name} + case when {after} then interval '1 day' else '0' end)" + (
                f" at time zone {literal(zone)}"
            )
        case _:
            return "null::timestamptz"


def active_statuses(answers: Mapping[str, str]) -> list[str]:
    """Statuses in which a session takes place: ours, and those of the application's that its owner calls active."""
    own = [key.removeprefix("status.") for key, answer in answers.items() if key.startswith("status.")]
    return [*ACTIVE, *(status for status in own if answers[f"status.{status}"] == "active")]


def _own(app: Application, name: str, cast: str) -> str:
    return f"s.{name}::{cast}" if app.column("sessions", name) else f"null::{cast}"


def readings(app: Application, answers: Mapping[str, str]) -> str:
    """Sessions as bookingdb reads them, before (``start_time``, ``end_time``) and after the repairs (``starts``, …)."""
    zone, stamps = answers.get("zone", "UTC"), answers.get("zone.timestamps", "UTC")

    def on(key: str, choice: str) -> str:
        return "true" if answers.get(key) == choice else "false"

    shift = on("times.wall_clock_as_utc", "shift")
    return f"""
        select r.*,
            case when r.active and r.starts is not null and r.length_minutes between 1 and 1440 and (
                    (r.ends is null and {on("rows.end_missing", "duration")})
                    or (r.ends < r.starts and {on("rows.end_before_start", "duration")})
                    or (r.ends = r.starts and {on("rows.zero_duration", "duration")})
                ) then r.starts + make_interval(mins => r.length_minutes)
            else r.ends end as mended_end
        from (
            select q.*,
                case
                    when q.start_time is null and q.active and q.wall_clock is not null
                        and {on("rows.start_missing", "scheduled")} then q.wall_clock at time zone {literal(zone)}
                    when q.is_as_utc and {shift}
                        then (q.start_time at time zone 'UTC') at time zone {literal(zone)}
                    else q.start_time
                end as starts,
                case when q.is_as_utc and {shift}
                    then (q.end_time at time zone 'UTC') at time zone {literal(zone)}
                    else q.end_time
                end as ends
            from (
                select p.*,
                    coalesce(
                        p.wall_clock = p.start_time at time zone 'UTC'
                        and p.wall_clock <> p.start_time at time zone {literal(zone)}, false
                    ) as is_as_utc
                from (
                    select s.id, {_own(app, "user_id", "uuid")} as user_id,
                        {_own(app, "therapist_id", "uuid")} as therapist_id,
                        {_own(app, "status", "text")} as status,
                        coalesce({_own(app, "status", "text")} = any ({literal(active_statuses(answers))}), false)
                            as active,
                        {_instant(app, "start_time", zone, stamps)} as start_time,
                        {_instant(app, "end_time", zone, stamps)} as end_time,
                        {_first(app, "scheduled_date", ("date", "timestamp"), "date")}
                        + {_first(app, "scheduled_time", ("time without",), "time")} as wall_clock,
                        {_first(app, "duration_minutes", NUMBERS, "integer")} as length_minutes,
                        {_own(app, "created_at", "timestamptz")} as created_at
                    from {app.rows_of("sessions")} as s
                ) as p
            ) as q
        ) as r
    """


# The classes of sessions: key, condition over `readings`, what they are, what each answer would do about them.
_SESSIONS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "rows.start_missing",
        "r.active and r.start_time is null",
        "active sessions without start_time",
        {
            "scheduled": "start_time becomes the scheduled date and time in the zone, where there is one",
            "leave": "they block nobody",
        },
    ),
    (
        "rows.end_missing",
        "r.active and r.starts is not null and r.ends is null",
        "active sessions without end_time",
        {"duration": "end_time becomes start_time + duration, where there is one", "leave": "they block nobody"},
    ),
    (
        "rows.end_before_start",
        "r.active and r.ends < r.starts",
        "active sessions that end before they start",
        {"duration": "end_time becomes start_time + duration, where there is one", "leave": "they block nobody"},
    ),
    (
        "rows.zero_duration",
        "r.active and r.ends = r.starts",
        "active sessions that end when they start",
        {"duration": "end_time becomes start_time + duration, where there is one", "leave": "they block nobody"},
    ),
    (
        "rows.status_missing",
        "r.status is null",
        "sessions without a status",
        {"leave": "they stay without one, and block nobody"},
    ),
    (
        "rows.people_missing",
        "r.active and (r.user_id is null or r.therapist_id is null)",
        "active sessions without client or therapist",
        {"leave": "they stay as they are, and occupy the time of the one who is there"},
    ),
)

_OVERLAPS = """
    select o.id::text
    from (
        select r.id,
            max(r.mended_end) over (
                partition by r.{person} order by r.starts, r.id rows between unbounded preceding and 1 preceding
            ) > r.starts as is_overlapping
        from ({readings}) as r
        where r.active and r.{person} is not null and r.starts < r.mended_end
            and isfinite(r.starts) and isfinite(r.mended_end)
    ) as o
    where o.is_overlapping
    order by 1
"""

CHOICES: dict[str, dict[str, str]] = {key: choices for key, _, _, choices in _SESSIONS}
CHOICES["rows.overlapping"] = {
    "keep": "all stay: the first that was made has the calendar, the others block their therapist and client, too, and"
    " are listed by `bookingdb adopt --report`",
    "cancel_later": "those made later become cancelled",
}


def sessions(
    connection: Connection, app: Application, answers: Mapping[str, str], bookable: str | None
) -> Iterator[Damage]:
    """Yield the classes of sessions of which there are any; `bookable` selects the ids of therapists."""
    if not app.has("sessions"):
        return
    read = readings(app, answers)

    def ids(query: str) -> list[str]:
        return [value for (value,) in connection.execute(query)]

    for key, condition, title, choices in _SESSIONS:
        found = ids(f"select r.id::text from ({read}) as r where {condition} order by 1")
        if found:
            yield Damage(key, "public.sessions", title, choices[answers.get(key, next(iter(choices)))], found)
    for person, what in (("therapist_id", "therapist"), ("user_id", "client")):
        found = ids(_OVERLAPS.format(person=person, readings=read))
        if found:
            repair = CHOICES["rows.overlapping"][answers.get("rows.overlapping", "keep")]
            title = f"active sessions that overlap an earlier one of the same {what}"
            yield Damage(f"rows.overlapping.{what}", "public.sessions", title, repair, found)
    if bookable:
        found = ids(
            f"select r.id::text from ({read}) as r where r.active and r.therapist_id is not null"
            f" and r.starts > now() and not exists (select from ({bookable}) as t where t.id = r.therapist_id)"
            " order by 1"
        )
        if found:
            title = "active sessions to come with somebody who cannot be booked (inactive, not verified, not approved)"
            yield Damage("rows.not_bookable", "public.sessions", title, "they stay as they are", found)


def zones(connection: Connection, app: Application, answered: str | None, stamps: str) -> Zones:
    """Ask the rows which zone their wall clock times are in."""
    if not app.has("sessions"):
        return Zones(answered or "UTC")
    read = readings(app, {"zone": "UTC", "zone.timestamps": stamps})
    sample = f"""
        select r.wall_clock, r.start_time from ({read}) as r
        where r.wall_clock is not null and r.start_time is not null and isfinite(r.start_time)
        order by r.id limit 500
    """
    if app.type_of("sessions", "start_time") == "time without time zone":
        return Zones(answered or "UTC")
    rows = connection.execute(
        f"""
        with sample as materialized ({sample})
        select z.name, count(*) filter (where s.wall_clock = s.start_time at time zone z.name), count(*)
        from sample as s
        cross join unnest({literal(list(LIKELY_ZONES))}::text[]) with ordinality as z (name, place)
        group by z.name, z.place
        order by 2 desc, z.place
        """
    ).fetchall()
    if not rows:
        return Zones(answered or "UTC")
    matches = {name: matched for name, matched, _ in rows if matched}
    others = [name for name in matches if name != "UTC"]
    # Damage that only UTC explains beside rows that only another zone does: the two families.
    zone = answered or (others[0] if others and matches[others[0]] * 10 > rows[0][2] else next(iter(matches), "UTC"))
    families = readings(app, {"zone": zone, "zone.timestamps": stamps})
    as_utc = [
        value
        for (value,) in connection.execute(f"select r.id::text from ({families}) as r where r.is_as_utc order by 1")
    ]
    (in_zone,) = connection.execute(
        f"""
        select count(*) from ({families}) as r
        where r.wall_clock = r.start_time at time zone {literal(zone)}
            and r.wall_clock <> r.start_time at time zone 'UTC'
        """
    ).fetchone() or (0,)
    return Zones(zone, rows[0][2], dict(list(matches.items())[:5]), as_utc, in_zone)


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


def session_repairs(app: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """What the answers change of sessions. The columns are ours by now: `app` was read after they were made so."""
    read = readings(app, answers)
    yield Repair(
        "times",
        "sessions",
        ("start_time", "end_time"),
        f"""
        select r.id, r.starts as start_time,
            case when r.start_time is null and r.ends is null and r.length_minutes between 1 and 1440
                then r.starts + make_interval(mins => r.length_minutes) else r.mended_end end as end_time
        from ({read}) as r
        where (r.starts, r.mended_end) is distinct from (r.start_time, r.end_time)
        """,
    )
    if answers.get("rows.overlapping") == "cancel_later":
        yield Repair(
            "rows.overlapping", "sessions", ("status",), f"""
        with taking_place as (
            select r.* from ({read}) as r where r.active and r.starts < r.mended_end
        )
        select l.id, 'cancelled'::varchar as status
        from taking_place as l
        where exists (
            select from taking_place as e
            where e.id <> l.id and (e.created_at, e.id) < (l.created_at, l.id)
                and (e.therapist_id = l.therapist_id or e.user_id = l.user_id)
                and e.starts < l.mended_end and l.starts < e.mended_end
        )
        """,
        )  # fmt: skip


# The classes of lots: key, condition, what they are, the columns that change, choices with what they do and set.
_LOTS: tuple[tuple[str, tuple[str, ...], str, str, str, dict[str, tuple[str, str | None]]], ...] = (
    (
        "credits.individual",
        ("user_type",),
        "c.user_type::text = 'individual'",
        "lots of type 'individual', which are the client's money, too",
        "user_type",
        {
            "user": ("user_type becomes 'user', so that they can be spent", "'user'"),
            "leave": ("they stay, and cannot be spent", None),
        },
    ),
    (
        "credits.missing_type",
        ("user_type",),
        "c.user_type is null",
        "lots without a type",
        "user_type",
        {
            "user": ("user_type becomes 'user', so that they can be spent", "'user'"),
            "leave": ("they stay without one, and cannot be spent", None),
        },
    ),
    (
        "credits.missing_balance",
        ("credits_balance",),
        "c.credits_balance is null",
        "lots without a balance",
        "credits_balance",
        {"zero": ("credits_balance becomes 0", "0")},
    ),
    (
        "credits.negative_balance",
        ("credits_balance",),
        "c.credits_balance < 0",
        "lots with a negative balance",
        "credits_balance",
        {"zero": ("credits_balance becomes 0", "0")},
    ),
    (
        "credits.missing_status",
        ("status",),
        "c.status is null",
        "lots without a status",
        "status",
        {
            "active": ("status becomes 'active'", "'active'"),
            "leave": ("they stay without one, and cannot be spent", None),
        },
    ),
    (
        "credits.status_unknown",
        ("status",),
        f"c.status::text <> all ({literal(list(LOT_STATUSES))})",
        "lots in a status that bookingdb does not know",
        "status",
        {
            "leave": ("they stay as they are, and cannot be spent", None),
            "active": ("status becomes 'active'", "'active'"),
        },
    ),
    (
        "credits.over_with_balance",
        ("status", "credits_balance"),
        "c.status::text in ('expired', 'refunded', 'revoked') and c.credits_balance > 0",
        "lots that were refunded, revoked or expired and have a balance left",
        "status",
        {"leave": ("they stay as they are: the balance is in the ledger, and cannot be spent", None)},
    ),
    (
        "credits.expired_and_active",
        ("credits_balance", "expires_at"),
        "c.expires_at < now() and c.credits_balance > 0",
        "lots that are past their date with a balance left",
        "status",
        {"leave": ("they stay as they are; expire_credits() ends them", None)},
    ),
    (
        "credits.spent_without_use",
        ("credits_purchased", "credits_balance", "credits_used"),
        "c.credits_purchased > 0 and c.credits_balance = 0 and coalesce(c.credits_used, 0) = 0",
        "lots with credits bought, none used and none left",
        "credits_balance",
        {"leave": ("they stay as they are", None)},
    ),
    (
        "credits.nobodys",
        ("user_id",),
        "c.user_id is null",
        "lots that belong to nobody who is known",
        "user_id",
        {"leave": ("they stay as they are", None)},
    ),
)

CHOICES |= {key: {name: what for name, (what, _) in choices.items()} for key, *_, choices in _LOTS}


def lots(connection: Connection, app: Application, answers: Mapping[str, str]) -> Iterator[Damage]:
    """Yield the classes of lots of which there are any."""
    for key, needed, base, title, _, choices in _LOTS:
        condition = base
        if all(app.column("user_credits", name) for name in needed):
            if key == "credits.nobodys" and app.has("users"):
                condition += " or not exists (select from public.users as u where u.id = c.user_id)"
            query = f"select c.id::text from {app.rows_of('user_credits')} as c where {condition} order by 1"
            found = [value for (value,) in connection.execute(query)]
            if found:
                chosen = answers.get(key, next(iter(choices)))
                yield Damage(key, "public.user_credits", title, choices[chosen][0], found)


def duplicates(connection: Connection, app: Application) -> Iterator[Damage]:
    """Yield rows that bookingdb would not have let in twice: accounts of one e-mail address, one payment's lots."""
    for key, table, column, expression, title in (
        ("users.same_email", "users", "email", "lower(t.email)", "accounts that share an e-mail address"),
        (
            "credits.same_payment",
            "user_credits",
            "payment_reference",
            "t.payment_reference",
            "lots of the same payment",
        ),
    ):
        if app.column(table, column):
            found = connection.execute(
                f"select t.id::text from public.{table} as t where exists (select from public.{table} as o"
                f" where {expression} = {expression.replace('t.', 'o.')} and o.id <> t.id) order by 1"
            ).fetchall()
            if found:
                repair = "they stay as they are; the index that forbids it is left out"
                yield Damage(key, f"public.{table}", title, repair, [value for (value,) in found])


def copied(connection: Connection, app: Application) -> Iterator[Damage]:
    """Yield the sessions of which a column of ours takes over what the application keeps under another name."""
    for ours, others in SYNONYMS.items():
        for other in others:
            if app.column("sessions", other):
                empty = f"s.{ours} is null and " if app.column("sessions", ours) else ""
                found = connection.execute(
                    f"select s.id::text from public.sessions as s where {empty}s.{other} is not null order by 1"
                ).fetchall()
                if found:
                    yield Damage(
                        f"rows.{ours}", "public.sessions", f"sessions whose {ours} is kept as {other}",
                        f"{ours} becomes what {other} is", [value for (value,) in found],
                    )  # fmt: skip


def lot_repairs(answers: Mapping[str, str]) -> Iterator[Repair]:
    """What the answers change of lots."""
    for key, _, condition, _, column, choices in _LOTS:
        value = choices[answers.get(key, next(iter(choices)))][1]
        if value is not None:
            query = f"select c.id, {value} as {column} from public.user_credits as c where {condition}"
            yield Repair(key, "user_credits", (column,), query)


def copy_repairs(before: Application, now: Application) -> Iterator[Repair]:
    """Columns of ours beside one of the application's that means the same get its values."""
    for ours, others in SYNONYMS.items():
        for other in others:
            if before.column("sessions", other) and now.column("sessions", ours):
                theirs = quoted(other)
                kind = now.type_of("sessions", ours)
                query = f"select s.id, s.{theirs}::{kind} as {ours} from public.sessions as s"
                yield Repair(
                    COPIES + ours, "sessions", (ours,), f"{query} where s.{ours} is null and s.{theirs} is not null"
                )


def repairs(before: Application, now: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """Everything that the answers change of rows, in order: `now` has the columns as they are when it is done."""
    if now.has("sessions"):
        yield from copy_repairs(before, now)
        yield from session_repairs(now, answers)
    if now.has("user_credits"):
        yield from lot_repairs(answers)


def complete(answers: Mapping[str, str]) -> dict[str, str]:
    """The answers, with the default for every class that has none (its rows are not there)."""
    return {key: next(iter(choices)) for key, choices in CHOICES.items()} | dict(answers)


def balances(connection: Connection, app: Application) -> dict[str, int]:
    """What each client has by the application's own count: everything that is left in her lots."""
    if not app.column("user_credits", "credits_balance") or not app.column("user_credits", "user_id"):
        return {}
    rows = connection.execute(
        f"select c.user_id::text, sum(c.credits_balance)::bigint from {app.rows_of('user_credits')} as c"
        " where c.user_id is not null group by 1 order by 1"
    )
    return {user: total or 0 for user, total in rows}


def spendable(connection: Connection) -> dict[str, int]:
    """What each client can spend by bookingdb's count; after the adoption."""
    rows = connection.execute(
        "select c.user_id::text, coalesce(sum(c.credits_balance) filter (where c.user_type = 'user'"
        " and c.status = 'active' and (c.expires_at is null or c.expires_at > now())), 0)::bigint"
        " from public.user_credits as c where c.user_id is not null group by 1"
    )
    return dict(rows.fetchall())


def misfit(connection: Connection, select: str) -> str | None:
    """Why a query cannot be asked of this database, None where it can."""
    try:
        with connection.transaction():
            connection.execute("explain " + select)
    except psycopg.Error as error:
        return error.diag.message_primary
    return None
