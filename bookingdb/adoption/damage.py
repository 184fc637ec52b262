"""The rows of an application that break what bookingdb promises: how each class is found, and what would repair it.

Sessions are judged as `readings` shows them, whatever their columns are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psycopg

from bookingdb.adoption import pairs
from bookingdb.adoption.application import Application
from bookingdb.adoption.pairs import Pair
from bookingdb.adoption.readings import AS_UTC, AS_UTC_OTHERS, NUMBERS, SYNONYMS, clock_columns, readings
from bookingdb.adoption.statements import query, quoted
from bookingdb.install.session import Connection, literal, scalar

LOT_STATUSES = ("active", "used", "frozen", "expired", "refunded", "revoked")
# The keys of repairs that fill a column of ours with what is in the application's begin with this: to bookingdb's
# reading these change nothing.
COPIES = "copies."
# Classes whose rows time changes, or what the application goes on doing.
_PASSING = frozenset(
    {"rows.not_bookable", "rows.in_progress_for_weeks", "rows.duration_differs"}
    | {"credits.used_up", "credits.expired_and_active", "credits.spent_without_use"}
    | {"credits.over_with_balance"}
    | {f"rows.{name}" for name in SYNONYMS}
)


@dataclass(frozen=True)
class Damage:
    """The rows of one class that break a promise, and what the plan does about them.

    ``unmendable`` are the rows that the repair of the class leaves as they are, because what it needs is not known.
    """

    key: str
    table: str
    title: str
    repair: str
    ids: list[str]
    unmendable: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of such rows."""
        return len(self.ids)

    @property
    def is_passing(self) -> bool:
        """True if time, or the running application, changes which rows these are; they decide nothing."""
        return self.key in _PASSING


@dataclass(frozen=True)
class Repair:
    """An UPDATE of rows: a query that gives ``id`` and the new values of ``columns``.

    ``has_classes`` is True if the query also gives the ``class`` of each row; else all are of the class of the key.
    """

    key: str
    table: str
    columns: tuple[str, ...]
    query: str
    has_classes: bool = False

    @property
    def class_of_row(self) -> str:
        """The class of a row q of the query, as SQL."""
        name = "rows." + self.key.removeprefix(COPIES) if self.key.startswith(COPIES) else self.key
        return "q.class" if self.has_classes else literal(name)


@dataclass(frozen=True)
class _SessionClass:
    """Sessions that break a promise: a condition over `readings` (as r), and what each answer does about them.

    ``mendable`` is the condition that a repair of their times has what it needs, None where there is no such repair.
    ``statuses`` are the choices that give them another status: which.
    """

    key: str
    condition: str
    title: str
    choices: dict[str, str]
    mendable: str | None = None
    statuses: dict[str, str] = field(default_factory=dict)

    @property
    def is_fault_of_times(self) -> bool:
        """True for classes that `readings` tells by their start or end."""
        return self.mendable is not None


@dataclass(frozen=True)
class _LotClass:
    """Lots that break a promise: a condition over user_credits (as c), and what each answer does about them.

    ``needed`` are the columns of the condition. A choice is what happens, and what ``column`` becomes: SQL, or None.
    """

    key: str
    needed: tuple[str, ...]
    condition: str
    title: str
    column: str
    choices: dict[str, tuple[str, str | None]]


_BLOCK_NOBODY = "they block nobody"
_CANCEL = {"cancel": "they become cancelled"}
_BY_DURATION = {
    "duration": "end_time becomes start_time + duration, where there is one of up to a day",
    "leave": _BLOCK_NOBODY,
}
_HAS_DURATION = "r.length_minutes between 1 and 1440"


def _fault_of_end(name: str, title: str) -> _SessionClass:
    """Make a class of active sessions by what `readings` says of their end."""
    key = f"rows.{name}"
    choices = _BY_DURATION | _CANCEL
    return _SessionClass(key, f"r.end_fault = '{key}'", title, choices, _HAS_DURATION, {"cancel": "cancelled"})


def _fault_of_start(name: str, title: str) -> _SessionClass:
    """Make a class of active sessions by what `readings` says of their start."""
    key = f"rows.{name}"
    choices = {
        "scheduled": "start_time becomes the scheduled date and time in the zone, where there is one",
        "leave": _BLOCK_NOBODY,
        **_CANCEL,
    }
    condition = f"r.start_fault = '{key}'"
    return _SessionClass(key, condition, title, choices, "r.is_wall_clock_sound", {"cancel": "cancelled"})


# The limits are those of bookingdb.has_place_in_time(): a week, and the years 1900 to 2999.
_SESSIONS = (
    _fault_of_start("start_missing", "active sessions without start_time"),
    _fault_of_start("start_out_of_range", "active sessions that start at infinity, or beyond the years 1900 to 2999"),
    _fault_of_end("end_missing", "active sessions without end_time"),
    _fault_of_end("end_out_of_range", "active sessions that end at infinity, or after the year 2999"),
    _fault_of_end("end_before_start", "active sessions that end before they start"),
    _fault_of_end("zero_duration", "active sessions that end when they start"),
    _fault_of_end("too_long", "active sessions that are longer than a week (10080 minutes)"),
    _SessionClass(
        "rows.over_with_broken_times",
        "'rows.over_with_broken_times' in (r.start_fault, r.end_fault)",
        "sessions that do not take place, with a start or end that cannot be right",
        {
            "leave": "they stay as they are, and block nobody; they cannot be reopened before somebody corrects them",
            "duration": _BY_DURATION["duration"],
        },
        f"r.start_fault is null and {_HAS_DURATION}",
    ),
    # A session that is over misleads nobody.
    _SessionClass(
        "rows.duration_differs",
        "r.end_fault = 'rows.duration_differs'",
        "active sessions to come whose duration is not the time from start to end",
        {
            "times": "duration_minutes becomes the time from start to end",
            "duration": "end_time becomes start_time + duration, where that is up to a day; else the duration follows",
        },
    ),
    _SessionClass(
        "rows.in_progress_for_weeks",
        "r.active and r.status = 'in_progress' and r.starts < now() - interval '10080 minutes'",
        "sessions that are in progress for more than a week",
        {
            "complete": "they become completed; no credit moves",
            "leave": "they stay in progress; what their time blocks is over, if their end is sound",
        },
        statuses={"complete": "completed"},
    ),
    _SessionClass(
        "rows.with_oneself",
        "r.active and r.user_id = r.therapist_id",
        "active sessions in which the client is the therapist",
        {
            "leave": "they stay, and block that person's time, as a note of being away would",
            "cancel": "they become cancelled, and block nobody",
        },
        statuses={"cancel": "cancelled"},
    ),
    _SessionClass(
        "rows.status_missing",
        "r.status is null",
        "sessions without a status",
        {"leave": "they stay without one, and block nobody"},
    ),
    _SessionClass(
        "rows.people_missing",
        "r.active and (r.user_id is null or r.therapist_id is null)",
        "active sessions without client or therapist",
        {"leave": "they stay as they are, and occupy the time of the one who is there"},
    ),
)

_CLIENTS_TYPE = "lower(btrim(c.user_type::text)) in ('individual', 'user')"
# A status in any writing: 'Active', ' ACTIVE '.
_STATUS = "lower(btrim(c.status::text))"
_KNOWN_STATUSES = literal(list(LOT_STATUSES))

_LOTS = (
    # Before those that empty lots or give them a status: what a row was is recorded once for a column. Lots that will
    # be empty count, so that an adoption that goes on after it was killed finds the same ones.
    _LotClass(
        "credits.used_up",
        ("status", "credits_balance"),
        f"{_STATUS} = 'active' and coalesce(c.credits_balance, 0) <= 0",
        "lots that are used up",
        "status",
        {"used": ("status becomes 'used': no booking looks at them again", "'used'")},
    ),
    _LotClass(
        "credits.individual",
        ("user_type",),
        # In every writing: 'Individual', ' INDIVIDUAL '. The word of bookingdb is of one writing, too.
        f"c.user_type::text <> 'user' and {_CLIENTS_TYPE}",
        "lots of type 'individual' (in any writing), which are the client's money, too",
        "user_type",
        {
            "user": ("user_type becomes 'user', so that they can be spent", "'user'"),
            "leave": ("they stay, and cannot be spent", None),
        },
    ),
    _LotClass(
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
    _LotClass(
        "credits.missing_balance",
        ("credits_balance",),
        "c.credits_balance is null",
        "lots without a balance",
        "credits_balance",
        {"zero": ("credits_balance becomes 0", "0")},
    ),
    _LotClass(
        "credits.negative_balance",
        ("credits_balance",),
        "c.credits_balance < 0",
        "lots with a negative balance",
        "credits_balance",
        {
            # Several lots change: _settled() writes it.
            "settle": (
                "it becomes 0, and the client's lots that can be spent give what is owed, in spending order; what"
                " these cannot pay is let go, even if the client has other lots",
                None,
            ),
            "zero": ("credits_balance becomes 0: the client can spend their other lots in full", "0"),
        },
    ),
    _LotClass(
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
    _LotClass(
        "credits.status_writing",
        ("status",),
        f"c.status::text <> all ({_KNOWN_STATUSES}) and {_STATUS} = any ({_KNOWN_STATUSES})",
        "lots whose status is one of bookingdb's in another writing, such as 'Active'",
        "status",
        {
            "known": ("status becomes that of bookingdb, such as 'active'", _STATUS),
            "leave": ("they stay, and cannot be spent; only those that are used up become 'used'", None),
        },
    ),
    _LotClass(
        "credits.status_unknown",
        ("status",),
        f"{_STATUS} <> all ({_KNOWN_STATUSES})",
        "lots in a status that bookingdb does not know",
        "status",
        {
            "leave": ("they stay as they are, and cannot be spent", None),
            "active": ("status becomes 'active'", "'active'"),
        },
    ),
    _LotClass(
        "credits.over_with_balance",
        ("status", "credits_balance"),
        f"{_STATUS} in ('expired', 'refunded', 'revoked') and c.credits_balance > 0",
        "lots that were refunded, revoked or expired and have a balance left",
        "status",
        {"leave": ("they stay as they are: the balance is in the ledger, and cannot be spent", None)},
    ),
    _LotClass(
        "credits.expired_and_active",
        ("credits_balance", "expires_at"),
        "c.expires_at < now() and c.credits_balance > 0",
        "lots that are past their date with a balance left",
        "status",
        {"leave": ("they stay as they are; expire_credits() ends them", None)},
    ),
    _LotClass(
        "credits.spent_without_use",
        ("credits_purchased", "credits_balance", "credits_used"),
        "c.credits_purchased > 0 and c.credits_balance = 0 and coalesce(c.credits_used, 0) = 0",
        "lots with credits bought, none used and none left",
        "credits_balance",
        {"leave": ("they stay as they are", None)},
    ),
    _LotClass(
        "credits.nobodys",
        ("user_id",),
        "c.user_id is null",
        "lots that belong to nobody who is known",
        "user_id",
        {"leave": ("they stay as they are", None)},
    ),
)

CHOICES: dict[str, dict[str, str]] = {
    **{each.key: each.choices for each in _SESSIONS},
    "rows.overlapping": {
        "keep": "all stay: the first that was made has the calendar, the others block their therapist and client, too,"
        " and are listed by `bookingdb adopt --report`",
        "cancel_later": "those made later become cancelled",
    },
    **{each.key: {name: what for name, (what, _) in each.choices.items()} for each in _LOTS},
}


def complete(answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers, with the default for every class that has none: there are no such rows."""
    return {key: next(iter(choices)) for key, choices in CHOICES.items()} | dict(answers)


def _ids(connection: Connection, text: str) -> list[str]:
    return [id_ for (id_,) in connection.execute(text)]


# ----------------------------------------------------------------------------------------------------------------------
# Finding
# ----------------------------------------------------------------------------------------------------------------------


def sessions(
    connection: Connection, app: Application, answers: Mapping[str, str], bookable: str | None
) -> Iterator[Damage]:
    """Yield the classes of sessions of which there are any; `bookable` selects the ids of therapists."""
    if not app.has("sessions"):
        return
    read = readings(app, answers)
    for each in _SESSIONS:
        text = query("damage/of_class", readings=read, condition=each.condition, mendable=each.mendable or "true")
        if found := connection.execute(text).fetchall():
            repair = each.choices[answers.get(each.key, next(iter(each.choices)))]
            ids, unmendable = [id_ for id_, _ in found], [id_ for id_, is_mendable in found if not is_mendable]
            yield Damage(each.key, "public.sessions", each.title, repair, ids, unmendable)
    staying = _staying(read, answers)
    for person, what in (("therapist_id", "therapist"), ("user_id", "client")):
        if found := _ids(connection, query("damage/overlapping", readings=staying, person=person)):
            repair = CHOICES["rows.overlapping"][answers.get("rows.overlapping", "keep")]
            title = f"active sessions that overlap an earlier one of the same {what}"
            yield Damage(f"rows.overlapping.{what}", "public.sessions", title, repair, found)
    if bookable and (found := _ids(connection, query("damage/not_bookable", readings=read, bookable=bookable))):
        title = "active sessions to come with somebody who cannot be booked (inactive, not verified, not approved)"
        yield Damage("rows.not_bookable", "public.sessions", title, "they stay as they are", found)


def _staying(read: str, answers: Mapping[str, str]) -> str:
    """Write the query of the sessions whose status no answer changes, as `readings` shows them."""
    leaving = [each.condition for each in _SESSIONS if answers.get(each.key) in each.statuses]
    conditions = "".join(f" and ({condition}) is not true" for condition in leaving)
    return f"select r.* from ({read}) as r where true{conditions}"


def lots(connection: Connection, app: Application, answers: Mapping[str, str]) -> Iterator[Damage]:
    """Yield the classes of lots of which there are any."""
    for each in _LOTS:
        if not all(app.column("user_credits", name) for name in each.needed):
            continue
        condition = each.condition
        if each.key == "credits.nobodys" and app.has("users"):
            condition += " or not exists (select from public.users as u where u.id = c.user_id)"
        text = f"select c.id::text from public.user_credits as c where {condition} order by 1"
        if found := _ids(connection, text):
            chosen = answers.get(each.key, next(iter(each.choices)))
            yield Damage(each.key, "public.user_credits", each.title, each.choices[chosen][0], found)


def has_used_lots(connection: Connection, app: Application) -> bool:
    """Tell whether the application has lots in the status that bookingdb gives to lots that are used up."""
    if not app.column("user_credits", "status"):
        return False
    text = "select exists (select from public.user_credits as c where c.status::text = 'used')"
    return bool(scalar(connection, text))


# Rows that bookingdb would not have let in twice: key, table, column, expression on t, what such rows are.
_DUPLICATES = (
    ("users.same_email", "users", "email", "lower(t.email)", "accounts that share an e-mail address"),
    ("credits.same_payment", "user_credits", "payment_reference", "t.payment_reference", "lots of the same payment"),
)


def duplicates(connection: Connection, app: Application) -> Iterator[Damage]:
    """Yield rows that bookingdb would not have let in twice: accounts of one e-mail address, one payment's lots."""
    for key, table, column, expression, title in _DUPLICATES:
        if app.column(table, column):
            text = query("damage/duplicates", relation=f"public.{table}", expression=expression)
            if found := _ids(connection, text):
                repair = "they stay as they are; the index that forbids it is left out"
                yield Damage(key, f"public.{table}", title, repair, found)


def copied(connection: Connection, app: Application) -> Iterator[Damage]:
    """Yield the sessions of which a column of ours takes over what the application keeps under another name."""
    for pair in pairs.pairs(app, {}):
        empty = f"s.{pair.ours} is null and " if pair.our_type else ""
        text = f"select s.id::text from public.sessions as s where {empty}s.{pair.theirs} is not null order by 1"
        if found := _ids(connection, text):
            title = f"sessions whose {pair.ours} is kept as {pair.theirs}"
            repair = f"{pair.ours} becomes what {pair.theirs} is"
            if pair.is_length:
                repair += "; of active sessions to come both become what start_time and end_time say"
            yield Damage(f"rows.{pair.ours}", "public.sessions", title, repair, found)


def differing(
    connection: Connection, app: Application, answers: Mapping[str, str], pair: Pair, answer: str
) -> Damage | None:
    """Return the sessions in which a pair differs, but for those that `copied` has: ours empty, theirs not."""
    shown = pairs.differing(app, answers, pair)
    empty = " where d.our_value is not null" if pair.is_known else ""
    if found := _ids(connection, f"select d.id::text from ({shown}) as d{empty} order by 1"):
        title = f"sessions in which {pair.theirs} is not what {pair.ours} is"
        if pair.is_length:
            title += ", or neither is what the times of one to come say"
        return Damage(pair.key, "public.sessions", title, pair.choices[answer], found)
    return None


# ----------------------------------------------------------------------------------------------------------------------
# Repairing
# ----------------------------------------------------------------------------------------------------------------------


def repairs(before: Application, now: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """Yield all that the answers change of rows, in order: `now` has the columns as they are when it is done."""
    if now.has("sessions"):
        yield from _session_repairs(now, answers)
        # The times say which of two columns is right, so they come first.
        yield from _pair_repairs(before, now, answers)
    if now.has("user_credits"):
        yield from _lot_repairs(now, answers)


def _pair_repairs(before: Application, now: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """Yield what makes columns that mean the same equal; one of ours that is new takes what the application has."""
    for pair in pairs.pairs(now, answers):
        if pair.is_readable:
            is_new = before.column("sessions", pair.ours) is None
            text = pairs.repaired(now, answers, pair, is_new=is_new)
            if not is_new:
                columns = (pair.ours,) if pair.is_generated else (pair.ours, pair.theirs)
                yield Repair(pair.key, "sessions", columns, text)
                continue
            # The length of a session to come follows its times in the application's column, too.
            if pair.is_length and not pair.is_generated:
                yield Repair(pair.key, "sessions", (pair.theirs,), text)
            yield Repair(COPIES + pair.ours, "sessions", (pair.ours,), text)


def _session_repairs(app: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    """Yield what the answers change of sessions. `app` was read after its columns became ours."""
    read = readings(app, answers)
    # A session that is cancelled keeps its times; one that is completed gets the end that it should have had.
    yield from _status_repairs(read, answers, is_fault_of_times=True)
    text = query("damage/repaired_times", readings=read)
    yield Repair("times", "sessions", ("start_time", "end_time"), text, has_classes=True)
    if "rewrite" in (answers.get(AS_UTC), answers.get(AS_UTC_OTHERS)):
        yield _clocks(app, read)
    yield _durations(app, read)
    yield from _status_repairs(read, answers, is_fault_of_times=False)
    if answers.get("rows.overlapping") == "cancel_later":
        text = query("damage/cancelled_overlaps", readings=read)
        yield Repair("rows.overlapping", "sessions", ("status",), text)


def _clocks(app: Application, read: str) -> Repair:
    """Return what makes the scheduled date and time what start_time is in the zone."""
    names = clock_columns(app)
    types = {name: app.columns["sessions"][name].type for name in names}
    values = [f"r.rewritten_clock::{kind}::{types[name]} as {quoted(name)}" for name, kind in names.items()]
    text = query("damage/rewritten_times", readings=read, values=", ".join(values))
    return Repair("times.clocks", "sessions", tuple(names), text, has_classes=True)


def _durations(app: Application, read: str) -> Repair:
    """Make what lets durations follow the times of sessions to come, in the application's column of the same, too."""
    names = ("duration_minutes", *SYNONYMS["duration_minutes"])
    present = tuple(
        name
        for name in names
        if (column := app.column("sessions", name)) and not column.generated and column.kind in NUMBERS
    )
    values = ", ".join(f"r.minutes as {quoted(name)}" for name in present)
    return Repair("rows.duration_differs", "sessions", present, query("damage/durations", readings=read, values=values))


def _status_repairs(read: str, answers: Mapping[str, str], *, is_fault_of_times: bool) -> Iterator[Repair]:
    for each in _SESSIONS:
        status = each.statuses.get(answers.get(each.key, ""))
        if status and each.is_fault_of_times == is_fault_of_times:
            text = query("damage/other_status", readings=read, condition=each.condition, status=status)
            yield Repair(each.key, "sessions", ("status",), text)


# The order in which lots are spent.
_SPENDING_ORDER = {
    "priority": "asc", "expires_at": "asc nulls last", "category": "desc", "created_at": "asc", "id": "asc",
}  # fmt: skip


def _can_be_spent(app: Application, answers: Mapping[str, str]) -> str:
    """Write the condition that a lot can be spent after the adoption.

    A column that `app` lacks has the same value in every lot.
    """
    has = app.columns["user_credits"]
    types, statuses = ["c.user_type::text = 'user'"], ["c.status::text = 'active'"]
    for key, condition in (("individual", _CLIENTS_TYPE), ("missing_type", "c.user_type is null")):
        if answers.get(f"credits.{key}") == "user":
            types.append(condition)
    if answers.get("credits.missing_status") == "active":
        statuses.append("c.status is null")
    if answers.get("credits.status_writing") == "known":
        statuses.append(f"{_STATUS} = 'active'")
    if answers.get("credits.status_unknown") == "active":
        statuses.append(f"{_STATUS} <> all ({_KNOWN_STATUSES})")
    conditions = [
        condition
        for column, condition in {
            "user_type": f"({' or '.join(types)})",
            "status": f"({' or '.join(statuses)})",
            "expires_at": "(c.expires_at is null or c.expires_at > now())",
        }.items()
        if column in has
    ]
    return " and ".join(conditions) or "true"


def _settled(app: Application, answers: Mapping[str, str]) -> Repair:
    """Make what lets a client's lots pay for those below zero: the lots that can be spent after the adoption."""
    has = app.columns["user_credits"]
    is_over = f"({_STATUS} in ('expired', 'refunded', 'revoked')) is true" if "status" in has else "false"
    order = ", ".join(f"c.{column} {how}" for column, how in _SPENDING_ORDER.items() if column in has)
    text = query("damage/settled", spendable=_can_be_spent(app, answers), is_over=is_over, spending_order=order)
    return Repair("credits.negative_balance", "user_credits", ("credits_balance",), text)


def _lot_repairs(app: Application, answers: Mapping[str, str]) -> Iterator[Repair]:
    # Before lots that are empty become used: those that pay are, too.
    if answers.get("credits.negative_balance") == "settle":
        yield _settled(app, answers)
    for each in _LOTS:
        value = each.choices[answers.get(each.key, next(iter(each.choices)))][1]
        if value is not None:
            text = f"select c.id, {value} as {each.column} from public.user_credits as c where {each.condition}"
            yield Repair(each.key, "user_credits", (each.column,), text)


# ----------------------------------------------------------------------------------------------------------------------
# Counting
# ----------------------------------------------------------------------------------------------------------------------


def balances(connection: Connection, app: Application) -> dict[str, int]:
    """Return what each client has by the application's own count: everything that is left in their lots."""
    if not app.column("user_credits", "credits_balance") or not app.column("user_credits", "user_id"):
        return {}
    return {client: total or 0 for client, total in connection.execute(query("damage/balances"))}


@dataclass(frozen=True)
class Credits:
    """The credits of a client: the sum of all lots, and of those that can be spent.

    Each is given as it is before the adoption, and after it with either answer to lots below zero.
    """

    client: str
    is_owing: bool
    total: int
    settled_total: int
    zero_total: int
    spendable: int
    settled_spendable: int
    zero_spendable: int

    def let_go(self, answer: str) -> int:
        """Return how much of what is owed nobody pays."""
        return (self.settled_total if answer == "settle" else self.zero_total) - self.total

    def spendable_after(self, answer: str) -> int:
        """Return what the client can spend after the adoption."""
        return self.settled_spendable if answer == "settle" else self.zero_spendable


def unequal_credits(connection: Connection, app: Application, answers: Mapping[str, str]) -> list[Credits]:
    """Return the clients with lots below zero, and those whose lots cannot all be spent, by the other answers."""
    if not app.column("user_credits", "credits_balance") or not app.column("user_credits", "user_id"):
        return []
    settled = _settled(app, answers).query
    text = query("damage/owing", settled=settled, spendable=_can_be_spent(app, answers))
    return [Credits(*row) for row in connection.execute(text)]


def spendable(connection: Connection) -> dict[str, int]:
    """Return what each client can spend by bookingdb's count, after the adoption."""
    return dict(connection.execute(query("damage/spendable")).fetchall())


def misfit(connection: Connection, select: str) -> str | None:
    """Return why a query cannot be asked of this database, None where it can."""
    try:
        with connection.transaction():
            connection.execute("explain " + select)
    except psycopg.Error as error:
        return error.diag.message_primary
    return None
