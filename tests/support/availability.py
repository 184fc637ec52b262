"""When a therapist can be booked, in the plainest words: minute by minute, by a clock on the wall of the practice.

The model was written from the rules and knows nothing of the SQL: no ranges that are added and subtracted, no days
that are counted, only minutes that are looked at one after the other. Instants are seconds since 1970 (`epoch`).
"""

from __future__ import annotations

import datetime as dt
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3600, 86400
# A limit that is none.
UNLIMITED = 1000
# The database's clock goes on while a test runs: as near to notice and horizon nothing is compared.
MARGIN = 180
# In these a session takes place.
ACTIVE = ("pending_approval", "scheduled", "confirmed", "in_progress")

Instant = float
# A date, and a minute of it.
Local = tuple[dt.date, int]


def epoch(moment: dt.datetime) -> Instant:
    return moment.timestamp()


def moment(instant: Instant) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant, dt.UTC)


@cache
def _hour_of(zone: ZoneInfo, hour: int) -> tuple[Local, ...]:
    shown = (moment(hour * HOUR + minute * MINUTE).astimezone(zone) for minute in range(60))
    return tuple((local.date(), local.hour * 60 + local.minute) for local in shown)


def clock(zone: ZoneInfo, instant: Instant) -> Local:
    """Return what a clock of the zone shows at an instant."""
    hour, second = divmod(int(instant // 1), HOUR)
    return _hour_of(zone, hour)[second // MINUTE]


@cache
def first_shown(zone: ZoneInfo, local: Local) -> Instant:
    """Return the instant at which a clock of the zone first shows this time, or a later one if it is left out."""
    date, minute = local
    # No clock is 15 hours ahead of UTC, so that all of them show less.
    instant = epoch(dt.datetime.combine(date, dt.time(), dt.UTC)) + minute * MINUTE - 15 * HOUR
    while clock(zone, instant) < local:
        instant += MINUTE
    return instant


@cache
def clock_changes(zone: ZoneInfo, first: dt.date, days: int) -> list[Instant]:
    """Return the instants of these days from which the clocks of the zone are ahead of UTC by something else."""

    def ahead(instant: Instant) -> dt.timedelta | None:
        return moment(instant).astimezone(zone).utcoffset()

    start = epoch(dt.datetime.combine(first, dt.time(12), dt.UTC))
    hours = [start + n * HOUR for n in range(24 * days + 1)]
    changed = (before for before, after in pairwise(hours) if ahead(before) != ahead(after))
    return [
        next(hour + n * MINUTE for n in range(1, 61) if ahead(hour + n * MINUTE) != ahead(hour)) for hour in changed
    ]


def monday(date: dt.date) -> dt.date:
    return date - dt.timedelta(days=date.weekday())


@dataclass(frozen=True)
class Window:
    """Hours of a day, in minutes from midnight. An end at or before the start is on the next day."""

    start: int
    end: int


@dataclass(frozen=True)
class WeeklyWindow:
    """Hours of these weekdays (1 is Monday), between two dates on which it may start."""

    weekdays: frozenset[int]
    window: Window
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    # Counted from the week of valid_from, which is then given.
    every_weeks: int = 1
    # None: the therapist's.
    zone: ZoneInfo | None = None

    def is_on(self, date: dt.date) -> bool:
        return (
            date.isoweekday() in self.weekdays
            and (self.valid_from is None or self.valid_from <= date)
            and (self.valid_to is None or date <= self.valid_to)
            and (self.valid_from is None or (monday(date) - monday(self.valid_from)).days % (7 * self.every_weeks) == 0)
        )


@dataclass(frozen=True)
class Policy:
    before: int = 0
    after: int = 0
    # In seconds.
    notice: int = 0
    advance: int = 365 * DAY
    step: int = 15
    offset: int = 0
    anchor: str = "window"
    per_day: int = UNLIMITED
    per_week: int = UNLIMITED
    require_hours: bool = False


@dataclass
class Busy:
    """Something in the therapist's calendar; the buffers of a session or hold are those of when it was booked."""

    kind: str
    start: Instant
    end: Instant
    before: int = 0
    after: int = 0
    # Only of sessions.
    status: str = "scheduled"
    # Only of holds.
    expired: bool = False

    @property
    def takes_time(self) -> bool:
        if self.kind == "session":
            return self.status in ACTIVE
        return not self.expired

    @property
    def counts(self) -> bool:
        """Whether it is one of the day's and the week's sessions."""
        return self.status != "cancelled" if self.kind == "session" else self.kind == "hold" and not self.expired


@dataclass(frozen=True)
class Refusal:
    """How a booking is refused: with this error and one of these rules."""

    code: str
    rules: frozenset[str]


@dataclass
class Model:
    """A therapist."""

    zone: ZoneInfo
    policy: Policy = field(default_factory=Policy)
    weekly: list[WeeklyWindow] = field(default_factory=list)
    # Whoever had hours and has none is closed.
    had_hours: bool = False
    # No windows: closed on that date.
    overrides: dict[dt.date, list[Window]] = field(default_factory=dict)
    calendar: list[Busy] = field(default_factory=list)

    # ------------------------------------------------------------------------------------------------------------------
    # Hours
    # ------------------------------------------------------------------------------------------------------------------

    @property
    def is_always_open(self) -> bool:
        return not self.weekly and not self.had_hours and not self.policy.require_hours

    def windows_on(self, date: dt.date) -> list[tuple[Window, ZoneInfo]]:
        """Return the windows that start on a date of their zone."""
        if date in self.overrides:
            return [(window, self.zone) for window in self.overrides[date]]
        if self.is_always_open:
            return [(Window(0, 0), self.zone)]
        return [(weekly.window, weekly.zone or self.zone) for weekly in self.weekly if weekly.is_on(date)]

    def opening(self, date: dt.date, window: Window, zone: ZoneInfo) -> tuple[Instant, Instant]:
        last_date = date if window.start < window.end else date + dt.timedelta(days=1)
        return first_shown(zone, (date, window.start)), first_shown(zone, (last_date, window.end))

    def open_minutes(self, start: Instant, end: Instant) -> bytearray:
        """Say of each minute between two instants (whole minutes) whether it is within hours."""
        minutes = bytearray(int(end - start) // MINUTE)
        for date in self._dates(start, end):
            for window, zone in self.windows_on(date):
                opens, closes = self.opening(date, window, zone)
                first, last = (min(max(0, int(edge - start) // MINUTE), len(minutes)) for edge in (opens, closes))
                minutes[first:last] = b"\1" * (last - first)
        return minutes

    def _dates(self, start: Instant, end: Instant) -> Iterator[dt.date]:
        """Yield the dates whose windows may reach into a time, and a few more."""
        date = moment(start).date() - dt.timedelta(days=3)
        while date <= moment(end).date() + dt.timedelta(days=2):
            yield date
            date += dt.timedelta(days=1)

    # ------------------------------------------------------------------------------------------------------------------
    # The calendar
    # ------------------------------------------------------------------------------------------------------------------

    def in_the_way(self, start: Instant, end: Instant, but: Busy | None = None) -> list[Busy]:
        """Return what a session would meet, without distance."""
        return [
            busy
            for busy in self.calendar
            if busy is not but and busy.takes_time and busy.start < end and start < busy.end
        ]

    def is_clear(self, start: Instant, end: Instant, but: Busy | None = None) -> bool:
        """Whether a session has its distance to everything, and lies outside of time off."""
        before, after = self.policy.before * MINUTE, self.policy.after * MINUTE
        for busy in self.calendar:
            if busy is but or not busy.takes_time:
                continue
            if busy.kind == "time_off":
                if busy.start < end and start < busy.end:
                    return False
            elif busy.start - busy.before * MINUTE < end + after and start - before < busy.end + busy.after * MINUTE:
                return False
        return True

    def full(self, start: Instant, but: Busy | None = None) -> set[str]:
        """Return the limits that are reached on the day and in the week of a start."""
        full: set[str] = set()
        if self.policy.per_day == self.policy.per_week == UNLIMITED:
            return full
        date = clock(self.zone, start)[0]
        dates = [clock(self.zone, busy.start)[0] for busy in self.calendar if busy.counts and busy is not but]
        if self.policy.per_day < UNLIMITED and dates.count(date) >= self.policy.per_day:
            full.add("maximum_sessions_per_day")
        weeks = [other.isocalendar()[:2] for other in dates]
        if self.policy.per_week < UNLIMITED and weeks.count(date.isocalendar()[:2]) >= self.policy.per_week:
            full.add("maximum_sessions_per_week")
        return full

    # ------------------------------------------------------------------------------------------------------------------
    # Answers
    # ------------------------------------------------------------------------------------------------------------------

    def is_free(self, start: Instant, length: int, but: Busy | None = None) -> bool:
        """Whether nothing but notice and horizon is against a session that starts on a whole minute; in minutes."""
        end = start + length * MINUTE
        return 0 not in self.open_minutes(start, end) and self.is_clear(start, end, but) and not self.full(start, but)

    def refusal(self, start: Instant, length: int, now: Instant, but: Busy | None = None) -> Refusal | None:
        """Say how a booking ends; None: well."""
        end = start + length * MINUTE
        if start < now:
            return Refusal("in_past", frozenset())
        if start < now + self.policy.notice:
            return Refusal("too_soon", frozenset({"minimum_notice"}))
        if start > now + self.policy.advance:
            return Refusal("too_far", frozenset({"maximum_advance"}))
        minutes = self.open_minutes(start, end)
        if 0 in minutes:
            return Refusal("outside_availability", self._rules_of_hours(start, start + minutes.index(0) * MINUTE))
        met = self.in_the_way(start, end, but)
        if met:
            first = min(busy.start for busy in met)
            return Refusal("booking_conflict", frozenset(busy.kind for busy in met if busy.start == first))
        full = self.full(start, but)
        if not self.is_clear(start, end, but):
            full.add("buffer")
        return Refusal("booking_conflict", frozenset(full)) if full else None

    def _rules_of_hours(self, start: Instant, closed: Instant) -> frozenset[str]:
        """Return what can be meant: what holds on the date of the start, or where the therapist is no longer there."""
        rules = set()
        for instant in (start, closed):
            if clock(self.zone, instant)[0] in self.overrides:
                rules.add("date_override")
            elif self.weekly:
                rules.add("weekly_hours")
            elif self.policy.require_hours:
                rules.add("require_hours")
            elif self.had_hours:
                rules.add("weekly_hours")
        return frozenset(rules)

    def near_an_edge(self, start: Instant, now: Instant) -> bool:
        """Whether the answer may be another one in a moment."""
        edges = (now, now + self.policy.notice, now + self.policy.advance)
        return any(abs(start - edge) <= MARGIN for edge in edges)

    def free_starts(self, start: Instant, end: Instant, length: int, step: int, now: Instant) -> list[Instant]:
        """Return the starts of the grid between two instants (whole minutes) that can be booked."""
        opened = self.open_minutes(start, end + length * MINUTE)
        grid = self.grid_of_windows(start, end)
        free = []
        for number in range(int(end - start) // MINUTE):
            instant = start + number * MINUTE
            if (
                0 not in opened[number : number + length]
                and now + self.policy.notice <= instant <= now + self.policy.advance
                and self.is_on_grid(instant, step, grid)
                and self.is_clear(instant, instant + length * MINUTE)
                and not self.full(instant)
            ):
                free.append(instant)
        return free

    def grid_of_windows(self, start: Instant, end: Instant) -> list[tuple[Instant, Instant, ZoneInfo]]:
        """Return when the windows open and close that the grid begins with; none where it begins at midnight."""
        return [
            (*self.opening(date, window, zone), zone)
            for date in self._dates(start, end)
            if self.policy.anchor == "window" and (date in self.overrides or not self.is_always_open)
            for window, zone in self.windows_on(date)
        ]

    def is_on_grid(self, instant: Instant, step: int, grid: list[tuple[Instant, Instant, ZoneInfo]]) -> bool:
        """Whether the clock is at a point of a window's grid, or outside of all windows of the day's."""
        shown = []
        for opens, closes, zone in grid:
            if opens <= instant < closes:
                (date, minute), (first, begin) = clock(zone, instant), clock(zone, opens)
                shown.append((date - first).days * 1440 + minute - begin)
        shown = shown or [clock(self.zone, instant)[1]]
        return any((minutes - self.policy.offset) % step == 0 for minutes in shown)


@dataclass
class Listing:
    """What the model expects to be free on the grid until its horizon, looked up many times."""

    model: Model
    start: Instant
    now: Instant = field(default_factory=time.time)
    _starts: dict[tuple[int, int], list[Instant]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.start // MINUTE * MINUTE
        self.end = (self.now + self.model.policy.advance) // MINUTE * MINUTE + 2 * MINUTE

    def starts(self, length: int, step: int | None = None) -> list[Instant]:
        step = step or self.model.policy.step
        if (length, step) not in self._starts:
            self._starts[length, step] = self.model.free_starts(self.start, self.end, length, step, self.now)
        return self._starts[length, step]

    def following(self, after: Instant, length: int, step: int | None = None) -> Instant | None:
        starts = self.starts(length, step)
        number = bisect_left(starts, after)
        return starts[number] if number < len(starts) else None

    def differ(self, expected: Instant | None, answer: Instant | None) -> bool:
        """Whether two next starts are not the same, and not for the time that the test has run."""
        near = any(start is not None and self.model.near_an_edge(start, self.now) for start in (expected, answer))
        return expected != answer and not near

    def on_dates(self, starts: list[Instant], zone: ZoneInfo, first: dt.date, last: dt.date) -> list[Instant]:
        """Return those of the starts that are between two dates of a zone, and that can be compared."""
        return [
            start
            for start in starts
            if first <= clock(zone, start)[0] <= last and not self.model.near_an_edge(start, self.now)
        ]
