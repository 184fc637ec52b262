"""Availability against a model: what is listed, what can be booked and what is in the way are the same everywhere.

Practices with random hours, exceptions, sessions and limits, around the next clock changes of their zones, are asked
everything that can be asked about them; tests/support/availability.py has what they should answer. BOOKINGDB_STORM=full
tries many more.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World, book
from tests.support.availability import (
    ACTIVE,
    DAY,
    HOUR,
    MARGIN,
    MINUTE,
    UNLIMITED,
    Busy,
    Instant,
    Listing,
    Model,
    Policy,
    WeeklyWindow,
    Window,
    clock,
    clock_changes,
    epoch,
    first_shown,
    moment,
)
from tests.support.booking_ways import TRIED
from tests.support.booking_ways import compare as compare_ways
from tests.support.life import call, expire_hold, rows
from tests.support.refusals import outcome, refused

FULL = os.environ.get("BOOKINGDB_STORM") == "full"
PRACTICES, DIRECTORIES = (150, 40) if FULL else (30, 6)

ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Kathmandu", "Pacific/Apia",
    "Africa/Casablanca", "America/Havana", "America/Santiago", "Africa/Cairo", "UTC",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("same_time_zone_data")


# ----------------------------------------------------------------------------------------------------------------------
# Practices: times are minutes from a midnight of the zone, the one before the day on which the clocks change
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """With the function that books, or (held) with the one that holds; of a hold, whether it has expired."""

    at: int
    minutes: int
    held: bool = False
    expired: bool = False


@dataclass(frozen=True)
class Write:
    """A session that an application writes itself, to the second, and of any length."""

    at: float
    minutes: float
    status: str


@dataclass(frozen=True)
class SetStatus:
    """What an application writes into one of the sessions there are (modulo)."""

    session: int
    status: str


@dataclass(frozen=True)
class TimeOff:
    at: float
    minutes: float
    removed: bool


@dataclass(frozen=True)
class External:
    """An appointment elsewhere; one with the same name has moved."""

    name: str
    at: float
    minutes: float
    removed: bool


@dataclass(frozen=True)
class SetBuffers:
    before: int
    after: int


Event = Book | Write | SetStatus | TimeOff | External | SetBuffers


@dataclass(frozen=True)
class Days:
    """Dates from one to another in the zone that is asked in (None: the therapist's), counted from the midnight's."""

    first: int
    last: int
    minutes: int
    step: int | None
    zone: str | None


@dataclass(frozen=True)
class Plan:
    """Everything about a therapist, and what is asked."""

    zone: str
    # The number of the clock change; one too many means ten days ahead, one more tomorrow.
    around: int
    policy: Policy
    # Notice and horizon as times, or what the policy says; of the horizon how far behind the days that are asked for.
    notice_until: int | None
    advance_until: int
    weekly: tuple[WeeklyWindow, ...]
    # Days by number.
    valid: tuple[int | None, int | None]
    overrides: dict[int, tuple[Window, ...]]
    events: tuple[Event, ...]
    questions: tuple[Days, ...]
    seed: int
    # Had hours before, and forgot none of them.
    had_hours: bool = False
    # The first window is of every so many weeks, and of another zone.
    every_weeks: int = 1
    windows_zone: str | None = None


# The night in which clocks change, and office hours.
minutes_of_day = st.one_of(
    st.sampled_from([0, 30, 60, 90, 105, 120, 135, 150, 165, 180, 210, 240, 1320, 1380, 1410, 1439]),
    st.sampled_from([480, 540, 545, 600, 720, 780, 900, 1020, 1080]),
    st.integers(0, 1439),
)
times = st.one_of(
    st.integers(0, 4 * 96).map(lambda quarter: quarter * 15), st.integers(1320, 1860), st.integers(0, 4 * 1440)
)
# Applications write what they like: quarters of a second can be told exactly.
odd_times = st.one_of(times, st.integers(0, 4 * 1440 * 240).map(lambda quarter: quarter / 240))
odd_lengths = st.sampled_from([1, 15, 45, 60, 60, 90, 250, 0.5, 47.25, 400 + 1 / 240])
lengths = st.sampled_from([15, 20, 30, 45, 50, 60, 60, 90, 180])
buffers = st.sampled_from([0, 0, 0, 5, 10, 15, 37, 60, 200])
windows = st.builds(Window, minutes_of_day, minutes_of_day)
long_windows = st.builds(Window, st.sampled_from([0, 60, 480, 540]), st.sampled_from([720, 1020, 1320, 0, 120, 150]))
weekdays = st.one_of(
    st.just(frozenset(range(1, 8))), st.just(frozenset(range(1, 8))), st.frozensets(st.integers(1, 7), min_size=1)
)
weekly_windows = st.builds(WeeklyWindow, weekdays, st.one_of(windows, long_windows))
some_weekly_windows = st.lists(weekly_windows, min_size=1, max_size=4).map(tuple)
# A day's and a week's.
limits = st.sampled_from(
    [(UNLIMITED, UNLIMITED)] * 2 + [(1, UNLIMITED), (2, UNLIMITED), (UNLIMITED, 1), (UNLIMITED, 3), (1, 3), (2, 2)]
)
rarely = st.sampled_from([False, False, False, True])
seldom = st.sampled_from([*[False] * 9, True])
policies = st.builds(
    Policy,
    before=buffers, after=buffers,
    step=st.sampled_from([15, 15, 5, 20, 30, 45, 60, 7, 90, 1440]),
    offset=st.sampled_from([0, 0, 0, 5, 10, 60, 733]),
    anchor=st.sampled_from(["window", "window", "midnight"]),
    require_hours=rarely,
)  # fmt: skip
limited_policies = st.builds(
    lambda policy, limit: replace(policy, per_day=limit[0], per_week=limit[1]), policies, limits
)
statuses = st.sampled_from(["scheduled", "confirmed", "pending_approval", "completed", "cancelled", "no_show"])
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Book, times, lengths),
    st.builds(Book, times, lengths, st.just(True), rarely),
    st.builds(Write, odd_times, odd_lengths, statuses),
    st.builds(SetStatus, st.integers(0, 9), statuses),
    st.builds(TimeOff, odd_times, odd_lengths, rarely),
    st.builds(External, st.sampled_from("abc"), odd_times, odd_lengths, rarely),
    st.builds(SetBuffers, buffers, buffers),
)
zones = st.sampled_from(ZONES)


@st.composite
def questions(draw: st.DrawFn) -> Days:
    first = draw(st.integers(-1, 2))
    step = draw(st.sampled_from([None, None, 5, 10, 15, 30, 60, 7, 1, 480]))
    zone = draw(st.one_of(st.none(), zones))
    return Days(first, first + draw(st.integers(0, 3)), draw(lengths), step, zone)


plans = st.builds(
    Plan,
    zone=zones,
    around=st.sampled_from([0, 1, 0, 1, 2, 0, 1, 3]),
    policy=limited_policies,
    notice_until=seldom.flatmap(lambda narrow: times if narrow else st.none()),
    advance_until=seldom.flatmap(lambda narrow: times if narrow else st.integers(4, 8).map(lambda day: day * 1440)),
    weekly=rarely.flatmap(lambda none: st.just(()) if none else some_weekly_windows),
    valid=st.sampled_from([(None, None), (None, None), (1, None), (None, 1), (0, 2)]),
    overrides=st.dictionaries(
        st.integers(-1, 4), st.lists(st.one_of(windows, long_windows), max_size=2).map(tuple), max_size=2
    ),
    events=st.lists(events, min_size=4, max_size=10).map(tuple),
    questions=st.lists(questions(), min_size=2, max_size=3).map(tuple),
    seed=st.integers(0, 1000),
    had_hours=rarely,
    every_weeks=st.sampled_from([1, 1, 2, 2, 3, 8]),
    windows_zone=st.one_of(st.none(), zones),
)


def of_availability(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        # The smallest practice that fails is looked for by those who have the time.
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if FULL else [])],
        # What an example writes is rolled back.
        suppress_health_check=list(HealthCheck),
    )


def hhmm(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def as_hours(window: Window) -> dict[str, Any]:
    return {"start_time": hhmm(window.start), "end_time": hhmm(window.end) if window.end else "24:00"}


@dataclass
class Practice:
    """A therapist in the database and in the model, side by side."""

    world: World
    model: Model
    therapist: UUID
    client: UUID
    # The database's rows, by their place in the model's calendar.
    ids: list[UUID | str | None] = field(default_factory=list)

    @classmethod
    def opened(cls, world: World, zone: str) -> Practice:
        return cls(world, Model(ZoneInfo(zone)), world.therapist(zone), world.client(50))

    # ------------------------------------------------------------------------------------------------------------------
    # Rules
    # ------------------------------------------------------------------------------------------------------------------

    def set_policy(self, policy: Policy) -> None:
        self.model.policy = policy
        settings = {
            "buffer_before_minutes": policy.before,
            "buffer_after_minutes": policy.after,
            "minimum_notice": f"{policy.notice} seconds",
            "maximum_advance": f"{policy.advance} seconds",
            "slot_step_minutes": policy.step,
            "slot_offset_minutes": policy.offset,
            "slot_anchor": policy.anchor,
            "maximum_sessions_per_day": policy.per_day,
            "maximum_sessions_per_week": policy.per_week,
            "require_hours": policy.require_hours,
        }
        self.world.run("select set_policy(%s, %s)", Jsonb(settings), self.therapist)

    def set_weekly_hours(self, weekly: list[WeeklyWindow]) -> None:
        self.model.weekly = weekly
        self.model.had_hours |= bool(weekly)
        hours = [
            as_hours(one.window)
            | {"weekday": weekday}
            | ({"valid_from": one.valid_from.isoformat()} if one.valid_from else {})
            | ({"valid_to": one.valid_to.isoformat()} if one.valid_to else {})
            | ({"every_weeks": one.every_weeks} if one.every_weeks > 1 else {})
            | ({"time_zone": one.zone.key} if one.zone else {})
            for one in weekly
            for weekday in sorted(one.weekdays)
        ]
        self.world.run("select set_weekly_hours(%s, %s)", self.therapist, Jsonb(hours))

    def set_override(self, date: dt.date, hours: list[Window]) -> None:
        self.model.overrides[date] = hours
        self.world.run(
            "select set_date_override(%s, %s, %s)", self.therapist, date, Jsonb([as_hours(window) for window in hours])
        )

    # ------------------------------------------------------------------------------------------------------------------
    # What takes time
    # ------------------------------------------------------------------------------------------------------------------

    def add(self, busy: Busy, row: UUID | str | None) -> None:
        self.model.calendar.append(busy)
        self.ids.append(row)

    def attempt(self, change: Callable[[], Any]) -> str:
        """Return how a change ends, in the middle of a transaction that goes on."""

        def one() -> None:
            with self.world.connection.transaction():
                change()

        return outcome(one)

    def widened(self, busy: Busy) -> Busy:
        """Return it with the buffers that hold now."""
        return replace(busy, before=self.model.policy.before, after=self.model.policy.after)

    def book(self, start: Instant, minutes: int, held: bool = False, expired: bool = False) -> None:
        """Book or hold a time in the way of every caller, who must succeed where the model says so."""
        now = time.time()
        if self.model.near_an_edge(start, now):
            return
        refusal = self.model.refusal(start, minutes, now)
        ids: list[UUID] = []

        def change() -> None:
            at = moment(start)
            wanted = {
                "user_id": self.world.client() if held else self.client, "therapist_id": self.therapist,
                "session_date": at.date(), "session_time": at.time(), "duration_minutes": minutes, "time_zone": "UTC",
            }  # fmt: skip
            if held:
                ids.append(call(self.world.connection, "hold_slot", **wanted, ttl=dt.timedelta(hours=1))["id"])
            else:
                ids.append(call(self.world.connection, "create_session_with_credit_deduction", **wanted)["id"])

        assert self.attempt(change) == (refusal.code if refusal else "done")
        if not refusal:
            self.add(
                self.widened(Busy("hold" if held else "session", start, start + minutes * MINUTE, expired=expired)),
                ids[0],
            )
            if expired:
                expire_hold(self.world.connection, ids[0])

    def write(self, start: Instant, end: Instant, status: str) -> None:
        """Write a session directly: only two at a time are impossible then."""
        possible = status not in ACTIVE or self.model.is_clear(start, end)
        ids: list[UUID] = []

        def change() -> None:
            ids.append(
                self.world.scalar(
                    "insert into sessions (user_id, therapist_id, start_time, end_time, status)"
                    " values (%s, %s, %s, %s, %s) returning id",
                    self.client, self.therapist, moment(start), moment(end), status,
                )
            )  # fmt: skip

        assert self.attempt(change) == ("done" if possible else "booking_conflict")
        if possible:
            self.add(self.widened(Busy("session", start, end, status=status)), ids[0])

    def set_status(self, number: int, status: str) -> None:
        sessions = [place for place, busy in enumerate(self.model.calendar) if busy.kind == "session"]
        if not sessions:
            return
        place = sessions[number % len(sessions)]
        session = self.model.calendar[place]
        comes_back = status in ACTIVE and session.status not in ACTIVE
        possible = not comes_back or self.model.is_clear(session.start, session.end, session)

        def change() -> None:
            self.world.run("update sessions set status = %s where id = %s", status, self.ids[place])

        assert self.attempt(change) == ("done" if possible else "booking_conflict")
        if possible:
            # Who comes back, does so with the distance that is kept now.
            changed = replace(session, status=status)
            self.model.calendar[place] = self.widened(changed) if comes_back else changed

    def take_off(self, start: Instant, end: Instant, removed: bool) -> None:
        row = call(
            self.world.connection, "add_time_off", therapist_id=self.therapist, start=moment(start), end=moment(end)
        )
        # The same time off once more is the first, and goes with it.
        for place in [place for place, known in enumerate(self.ids) if known == row["id"]]:
            del self.model.calendar[place], self.ids[place]
        if removed:
            self.world.run("select remove_time_off(%s)", row["id"])
        else:
            self.add(Busy("time_off", start, end), row["id"])

    def sync(self, name: str, start: Instant, end: Instant, removed: bool) -> None:
        for place in [place for place, row in enumerate(self.ids) if row == name]:
            del self.model.calendar[place], self.ids[place]
        event = {"external_id": name, "start_time": moment(start).isoformat(), "end_time": moment(end).isoformat()}
        if removed:
            event = {"external_id": name, "removed": "true"}
        else:
            self.add(Busy("external", start, end), name)
        call(
            self.world.connection, "sync_external_busy",
            therapist_id=self.therapist, source="elsewhere", events=Jsonb([event]),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------------------
    # What is asked
    # ------------------------------------------------------------------------------------------------------------------

    def listed(self, function: str, first: dt.date, last: dt.date, length: int, **more: Any) -> list[tuple[Any, ...]]:
        asked = {"therapist_id": self.therapist, "from": first, "to": last, "duration_minutes": length, **more}
        return [tuple(row.values()) for row in rows(self.world.connection, function, **asked)]

    def book_at(self, local: dt.datetime, minutes: int, **more: Any) -> DictRow:
        """Book by a local time."""
        return book(
            self.world.connection, self.client, self.therapist, local.time().isoformat(),
            session_date=local.date(), duration_minutes=minutes, **more,
        )  # fmt: skip

    def attempts(self, starts: list[Instant], minutes: int, moved: UUID | None = None) -> list[tuple[Any, ...]]:
        """Book at each of these times, or move a session there, and leave nothing behind: code, rule, next free."""
        return self.world.run(
            "select code, rule, extract(epoch from next_free)::float8 from pg_temp.attempts(%s, %s, %s, %s, %s)",
            self.world.client(1), self.therapist, [moment(start) for start in starts], minutes, moved,
        )  # fmt: skip

    def refused_otherwise(self, starts: list[Instant], minutes: int) -> list[tuple[Any, ...]]:
        """Return the times that refuse_taken() refuses, with its words and those of require_free_time()."""
        return self.world.run(
            "select * from pg_temp.refused_otherwise(%s, %s, %s, %s)",
            self.world.client(), self.therapist, [moment(start) for start in starts], minutes,
        )  # fmt: skip

    def conflicts(self, periods: list[tuple[Instant, int]], but: UUID | None = None) -> list[bool]:
        """Ask check_booking_conflict about starts and minutes."""
        answers = self.world.run(
            "select check_booking_conflict("
            "  %s, (p.starts at time zone 'UTC')::date, (p.starts at time zone 'UTC')::time,"
            "  (p.ends at time zone 'UTC')::time, 'UTC', %s"
            ") from unnest(%s::timestamptz[], %s::timestamptz[]) with ordinality as p (starts, ends, number)"
            " order by p.number",
            self.therapist, but, [moment(start) for start, _ in periods],
            [moment(start + minutes * MINUTE) for start, minutes in periods],
        )  # fmt: skip
        return [answer for (answer,) in answers]


ATTEMPTS = """
create function pg_temp.attempts(
    p_client uuid, p_therapist uuid, p_starts timestamptz[], p_minutes integer, p_session_id uuid
)
returns table (start timestamptz, code text, rule text, next_free timestamptz)
language plpgsql
as $$
declare
    v_detail text;
begin
    foreach start in array p_starts loop
        begin
            if p_session_id is null then
                perform public.create_session_with_credit_deduction(
                    p_user_id => p_client, p_therapist_id => p_therapist,
                    p_session_date => (start at time zone 'UTC')::date,
                    p_session_time => (start at time zone 'UTC')::time,
                    p_duration_minutes => p_minutes, p_time_zone => 'UTC'
                );
            else
                perform public.reschedule_session(
                    p_session_id => p_session_id,
                    p_session_date => (start at time zone 'UTC')::date,
                    p_session_time => (start at time zone 'UTC')::time,
                    p_duration_minutes => p_minutes, p_time_zone => 'UTC'
                );
            end if;
            raise exception using detail = '{"code": "done"}';
        exception
            when raise_exception or sqlstate 'PT400' or sqlstate 'PT409' then
                get stacked diagnostics v_detail = pg_exception_detail;
                code := v_detail::json ->> 'code';
                rule := v_detail::json ->> 'rule';
                next_free := v_detail::json ->> 'next_free';
        end;
        return next;
    end loop;
end;
$$
"""


# What a booking knows of a therapist before it asks refuse_taken(), which may leave any time to require_free_time().
REFUSED_OTHERWISE = """
create function pg_temp.refused_otherwise(
    p_client uuid, p_therapist uuid, p_starts timestamptz[], p_minutes integer
)
returns table (start timestamptz, refused text, otherwise text)
language plpgsql
as $$
declare
    p constant bookingdb.effective_policy := bookingdb.policy_of(p_therapist);
    v_span constant tstzrange := bookingdb.bookable_span(p);
    v_week tsmultirange := '{(,)}';
    v_is_weekly boolean := true;
    v_period tstzrange;
begin
    if p.require_hours or bookingdb.had_hours(p_therapist) then
        select
            coalesce(bool_and(num_nonnulls(w.valid_from, w.valid_to, w.time_zone) = 0 and w.every_weeks = 1), true),
            coalesce(range_agg(tsrange(o.opens, o.opens + (w.end_time - w.start_time)
                + case when w.end_time <= w.start_time then interval '24 hours' else interval '0' end)), '{}')
            * tsmultirange '{[1899-12-31, 1900-01-09)}'
        into v_is_weekly, v_week
        from bookingdb.weekly_hours as w
        cross join generate_series(-1, 1) as n
        cross join lateral (
            select date '1899-12-31' + w.weekday + w.start_time + n * interval '168 hours' as opens
        ) as o
        where w.therapist_id = p_therapist;
    end if;
    if not v_is_weekly or least(p.maximum_sessions_per_day, p.maximum_sessions_per_week) < 1000 then
        return;
    end if;

    foreach start in array p_starts loop
        v_period := tstzrange(start, start + make_interval(mins => p_minutes));
        continue when not v_span @> start
            or not bookingdb.is_within_hours_and_limits(p, v_period, null, true, false);
        refused := null;
        otherwise := null;
        begin
            perform bookingdb.refuse_taken(
                p_therapist, p_client, v_period, upper(v_span), p.time_zone,
                make_interval(mins => p.buffer_before_minutes), make_interval(mins => p.buffer_after_minutes),
                p.slot_step_minutes, p.slot_offset_minutes, p.slot_anchor, v_week,
                array(select v.override_date from bookingdb.date_overrides as v where v.therapist_id = p_therapist)
            );
        exception
            when sqlstate 'PT409' then
                get stacked diagnostics refused = pg_exception_detail;
        end;
        begin
            perform bookingdb.require_free_time(p, v_period, null, true, p_client);
        exception
            when sqlstate 'PT409' then
                get stacked diagnostics otherwise = pg_exception_detail;
        end;
        if refused is not null then
            return next;
        end if;
    end loop;
end;
$$
"""


@pytest.fixture
def office(clean_world: World) -> World:
    """A world in which bookings can be tried."""
    clean_world.run(ATTEMPTS)
    clean_world.run(REFUSED_OTHERWISE)
    return clean_world


def arounds(zone: ZoneInfo) -> list[Instant]:
    """Return what a plan can be around: the clock changes of the year to come, ten days ahead, and tomorrow."""
    today = dt.datetime.now(dt.UTC).date()
    changes = clock_changes(zone, today + dt.timedelta(days=3), 358)
    return [*changes, time.time() + 10 * DAY, time.time() + DAY]


def built(world: World, plan: Plan, around: Instant | None = None) -> tuple[Practice, Instant, dt.date]:
    """Write a plan into the database and the model; return the midnight from which it counts, and its date."""
    practice = Practice.opened(world, plan.zone)
    zone = practice.model.zone
    if around is None:
        places = arounds(zone)
        around = places[plan.around % len(places)]
    date = clock(zone, around)[0] - dt.timedelta(days=1)
    midnight = first_shown(zone, (date, 0))

    notice = 0 if plan.notice_until is None else int(midnight + plan.notice_until * MINUTE - time.time())
    advance = int(midnight + plan.advance_until * MINUTE - time.time())
    policy = replace(plan.policy, notice=min(max(0, notice), 365 * DAY), advance=max(DAY, advance))
    practice.set_policy(policy)
    valid_from, valid_to = (None if day is None else date + dt.timedelta(days=day) for day in plan.valid)
    if plan.had_hours:
        practice.set_weekly_hours([WeeklyWindow(frozenset({1}), Window(0, 60))])
        practice.set_weekly_hours([])
    if plan.weekly:
        first, *others = plan.weekly
        if plan.every_weeks > 1:
            # Some weeks before, perhaps of the middle of a week.
            valid_from = (valid_from or date) - dt.timedelta(days=plan.seed % 60)
        first = replace(
            first, valid_from=valid_from, valid_to=valid_to, every_weeks=plan.every_weeks,
            zone=ZoneInfo(plan.windows_zone) if plan.windows_zone else None,
        )  # fmt: skip
        practice.set_weekly_hours([first, *others])
    for day, hours in plan.overrides.items():
        practice.set_override(date + dt.timedelta(days=day), list(hours))

    def between(event: Write | TimeOff | External) -> tuple[Instant, Instant]:
        return midnight + event.at * MINUTE, midnight + (event.at + event.minutes) * MINUTE

    for event in plan.events:
        match event:
            case Book():
                practice.book(midnight + event.at * MINUTE, event.minutes, event.held, event.held and event.expired)
            case Write():
                practice.write(*between(event), event.status)
            case SetStatus():
                practice.set_status(event.session, event.status)
            case TimeOff():
                practice.take_off(*between(event), event.removed)
            case External():
                practice.sync(event.name, *between(event), event.removed)
            case SetBuffers():
                practice.set_policy(replace(practice.model.policy, before=event.before, after=event.after))
    return practice, midnight, date


# ----------------------------------------------------------------------------------------------------------------------
# Everything that can be asked about one practice
# ----------------------------------------------------------------------------------------------------------------------


def compare_list(practice: Practice, listing: Listing, first: dt.date, last: dt.date, asked: Days) -> list[Instant]:
    """Hold that slots and days are listed as the model says; return the starts."""
    zone = ZoneInfo(asked.zone) if asked.zone else practice.model.zone
    step = asked.step or practice.model.policy.step
    more = {"time_zone": asked.zone, "step_minutes": asked.step}
    expected = listing.on_dates(listing.starts(asked.minutes, step), zone, first, last)

    slots = [
        slot
        for slot in practice.listed("list_available_slots", first, last, asked.minutes, **more)
        if not practice.model.near_an_edge(epoch(slot[0]), listing.now)
    ]
    assert [(epoch(start), epoch(end), date, time_) for start, end, date, time_ in slots] == [
        (start, start + asked.minutes * MINUTE, date, dt.time(minute // 60, minute % 60))
        for start, (date, minute) in ((start, clock(zone, start)) for start in expected)
    ]

    # For somebody who has nothing, what is open and what is taken are looked for one after the other.
    for_somebody = practice.listed(
        "list_available_slots", first, last, asked.minutes, user_id=practice.world.client(), **more
    )
    assert slots == [slot for slot in for_somebody if not practice.model.near_an_edge(epoch(slot[0]), listing.now)]

    states = practice.listed("list_slot_states", first, last, asked.minutes, **more)
    assert slots == [
        tuple(row[:4])
        for row in states
        if row[4] == "free" and not practice.model.near_an_edge(epoch(row[0]), listing.now)
    ]

    begin, end = first_shown(zone, (first, 0)), first_shown(zone, (last + dt.timedelta(days=1), 0))
    grid = practice.model.grid_of_windows(begin, end)
    points = [begin + number * MINUTE for number in range(int(end - begin) // MINUTE)]
    assert [epoch(row[0]) for row in states] == [
        point for point in points if practice.model.is_on_grid(point, step, grid)
    ]

    days = practice.listed("list_available_days", first, last, asked.minutes, **more)
    by_day: dict[dt.date, list[Instant]] = {}
    for start in expected:
        by_day.setdefault(clock(zone, start)[0], []).append(start)
    edges = (listing.now, listing.now + practice.model.policy.notice, listing.now + practice.model.policy.advance)
    unsteady = {clock(zone, edge + sign * MARGIN)[0] for edge in edges for sign in (-1, 1)}
    assert [(date, n, epoch(start), epoch(end)) for date, n, start, end in days if date not in unsteady] == [
        (date, len(starts), starts[0], starts[-1]) for date, starts in by_day.items() if date not in unsteady
    ]
    return expected


def compare_attempts(
    practice: Practice, listing: Listing, starts: list[Instant], minutes: int, moved: int | None = None
) -> None:
    """Hold that each of these times can be booked, or is refused, as the model says."""
    model = practice.model
    but = None if moved is None else model.calendar[moved]
    session = None if moved is None else practice.ids[moved]
    assert session is None or isinstance(session, UUID)
    starts = [start for start in starts if not model.near_an_edge(start, listing.now)]
    for start, (code, rule, next_free) in zip(starts, practice.attempts(starts, minutes, session), strict=True):
        at = f"{moment(start)} for {minutes} minutes: {code} {rule} {next_free and moment(next_free)}"
        refusal = model.refusal(start, minutes, listing.now, but)
        assert code == (refusal.code if refusal else "done"), at
        if refusal and refusal.rules:
            assert rule in refusal.rules, at
            if moved is None:
                expected = listing.following(start, minutes)
                assert not listing.differ(expected, next_free), f"{at}, not {expected and moment(expected)}"


def compare_conflicts(practice: Practice, periods: list[tuple[Instant, int]], but: int | None = None) -> None:
    """Hold that check_booking_conflict finds a conflict where the model does."""
    busy, session = (None, None) if but is None else (practice.model.calendar[but], practice.ids[but])
    assert session is None or isinstance(session, UUID)
    answers = practice.conflicts(periods, session)
    differing = [
        (str(moment(start)), minutes, answer)
        for (start, minutes), answer in zip(periods, answers, strict=True)
        if answer is practice.model.is_free(start, minutes, busy)
    ]
    assert differing == []


def borders(starts: list[Instant], step: int) -> list[Instant]:
    """Return the first and the last of each row of starts, and the points of the grid beside them."""
    found = set(starts)
    beside = {start + sign * step * MINUTE for start in starts for sign in (-1, 1)} - found
    inside = {start for start in starts if {start - step * MINUTE, start + step * MINUTE} - found}
    return sorted(beside | inside)


def compare(practice: Practice, plan: Plan, midnight: Instant, date: dt.date) -> int:
    """Hold that every answer about a practice is the model's; return how many slots were compared."""
    choose = Random(plan.seed)
    model = practice.model
    listing = Listing(model, midnight - 3 * DAY)
    compared = 0
    for asked in plan.questions:
        first, last = date + dt.timedelta(days=asked.first), date + dt.timedelta(days=asked.last)
        compared += len(compare_list(practice, listing, first, last, asked))

    asked = plan.questions[0]
    span = range(int(midnight), int(midnight + 4 * DAY), MINUTE)
    on_grid = listing.starts(asked.minutes)
    edges = borders(on_grid, model.policy.step)
    some = choose.sample(on_grid, min(6, len(on_grid))) + choose.sample(edges, min(8, len(edges)))
    # On the grid or not, a booking may start there: where the calendar says something, and at the limits around.
    exact: list[Instant] = [
        int(instant) // MINUTE * MINUTE + minute * MINUTE
        for busy in model.calendar
        for instant in (busy.start, busy.end, busy.start - asked.minutes * MINUTE)
        for minute in (-1, 0, 1, 120)
    ]
    some += choose.sample(span, 6) + choose.sample(exact, min(10, len(exact)))
    compare_attempts(practice, listing, some, asked.minutes)
    for start, at_once, at_length in practice.refused_otherwise(some + exact, asked.minutes):
        assert at_once == at_length, start

    # A check may be about any length, and also about times that are too soon or too far.
    some = exact + choose.sample(span, 15) + edges[:30]
    compare_conflicts(practice, [(start, choose.choice([asked.minutes, 1, 7, 300])) for start in some])

    sessions = [
        place
        for place, busy in enumerate(model.calendar)
        if busy.kind == "session" and busy.takes_time and busy.start > listing.now + HOUR
    ]
    if sessions:
        moved = choose.choice(sessions)
        start = int(model.calendar[moved].start) // MINUTE * MINUTE
        some = [start + minutes * MINUTE for minutes in (-60, -15, 0, 15, 60)]
        compare_conflicts(practice, [(at, asked.minutes) for at in some], moved)
        compare_attempts(practice, listing, some, asked.minutes, moved)

    for step in (None, 7):
        for after in (midnight, midnight + choose.randrange(4 * DAY), *(on_grid[-1:] or []), listing.end + DAY):
            answers = practice.world.run(
                "select extract(epoch from start_time)::float8 from next_available_slot(%s, %s, %s, %s, %s)",
                practice.therapist, asked.minutes, moment(after), asked.zone, step,
            )  # fmt: skip
            answer = answers[0][0] if answers else None
            expected = listing.following(after, asked.minutes, step)
            assert not listing.differ(expected, answer), (moment(after), step, expected, answer)
    return compared


@pytest.mark.storm
@pytest.mark.timeout(1200)
@of_availability(PRACTICES)
@given(plan=plans)
def test_lists_bookings_and_checks_agree_with_the_model(office: World, plan: Plan) -> None:
    with office.connection.transaction(force_rollback=True):
        practice, midnight, date = built(office, plan)
        note(f"{moment(midnight)} {practice.model}")
        compare(practice, plan, midnight, date)
        assert office.violations() == []


# Their hours hold every week, and begin at full hours.
weekly_plans = st.builds(
    lambda plan, weekly, policy, sessions: replace(
        plan, weekly=weekly, policy=policy, valid=(None, None), every_weeks=1, windows_zone=None, overrides={},
        notice_until=None, advance_until=8 * 1440, events=(*plan.events, *sessions),
    ),
    plans,
    st.lists(
        st.builds(
            WeeklyWindow, weekdays,
            st.builds(Window, st.sampled_from([0, 480, 540, 780]), st.sampled_from([720, 1020, 1320, 0, 120, 150])),
        ),
        max_size=3,
    ).map(tuple),
    policies,
    st.lists(st.builds(Book, times, lengths), min_size=6, max_size=6).map(tuple),
)  # fmt: skip


@pytest.mark.storm
@pytest.mark.timeout(1200)
@of_availability(PRACTICES)
@given(plan=weekly_plans)
def test_taken_times_are_refused_at_once_as_at_length(office: World, plan: Plan) -> None:
    with office.connection.transaction(force_rollback=True):
        practice, midnight, _ = built(office, plan)
        note(f"{moment(midnight)} {practice.model}")
        minutes = plan.questions[0].minutes
        # A booking's start is a full minute.
        starts = {
            (int(busy.start) // MINUTE + minute) * MINUTE for busy in practice.model.calendar for minute in (-20, 0, 15)
        }
        for start, at_once, at_length in practice.refused_otherwise(sorted(starts), minutes):
            assert at_once == at_length, start


# ----------------------------------------------------------------------------------------------------------------------
# Both ways of a booking
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lot:
    """A lot of credits, and what was done to it."""

    credits: int
    days: int | None
    priority: int
    category: str
    change: str


@dataclass(frozen=True)
class Request:
    """How a booking is asked for."""

    zone: str | None
    notes: str | None
    title: str
    key: str | None
    is_logged_in: bool


# Most of a year has no clock change, and most hours hold the whole day.
steady_plans = weekly_plans.flatmap(
    lambda plan: st.sampled_from([2, 3, 2, 3, 0]).map(
        lambda around: replace(
            plan, around=around, weekly=(*plan.weekly, WeeklyWindow(frozenset(range(1, 7)), Window(420, 1320)))
        )
    )
)
changes = st.sampled_from(["", "", "", "", "", "expired", "used", "frozen", "other"])
lots = st.builds(
    Lot,
    credits=st.integers(1, 3),
    days=st.sampled_from([None, None, 1, 400]),
    priority=st.sampled_from([50, 50, 1, 99]),
    category=st.sampled_from(["paid", "paid", "promotional"]),
    change=changes,
)
requests = st.builds(
    Request,
    zone=st.sampled_from([None, None, None, "own", "own", "UTC", "+02:00", "Nowhere/Else"]),
    notes=st.sampled_from(["", "", "", "words", None, "x" * 10001]),
    title=st.sampled_from([*["Therapy Session"] * 5, ""]),
    key=st.sampled_from([None, None, None, "new", "new", "used", ""]),
    is_logged_in=st.booleans(),
)


def client_with(world: World, owned: list[Lot]) -> UUID:
    client = world.client(credits=0)
    for lot in owned:
        expires_at = None if lot.days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=lot.days)
        (lot_id,) = world.run(
            "select lot_id from grant_credits(%s, %s, p_expires_at => %s, p_priority => %s, p_category => %s)",
            client, lot.credits, expires_at, lot.priority, lot.category,
        )[0]  # fmt: skip
        match lot.change:
            case "expired":
                world.run("update user_credits set expires_at = now() - interval '1 hour' where id = %s", lot_id)
            case "used":
                world.run("update user_credits set credits_balance = 0 where id = %s", lot_id)
            case "frozen":
                world.run("update user_credits set status = 'frozen' where id = %s", lot_id)
            case "other":
                world.run("update user_credits set user_type = 'group' where id = %s", lot_id)
    return client


@pytest.mark.storm
@pytest.mark.timeout(1200)
def test_quick_booking_is_the_booking(clean_world: World) -> None:
    world = clean_world
    world.run(TRIED)
    quick = 0

    @of_availability(PRACTICES)
    @given(
        plan=st.one_of(plans, weekly_plans, steady_plans, steady_plans), owned=st.lists(lots, max_size=4),
        asked=st.lists(requests, min_size=3, max_size=6), seed=st.integers(0, 10_000),
    )  # fmt: skip
    def booked_alike(plan: Plan, owned: list[Lot], asked: list[Request], seed: int) -> None:
        nonlocal quick
        choose = Random(seed)
        with world.connection.transaction(force_rollback=True):
            practice, midnight, _ = built(world, plan)
            note(f"{moment(midnight)} {practice.model}")
            client = client_with(world, owned)
            world.run(
                "insert into bookingdb.idempotency_keys (function_name, user_id, key, request_hash, result_id,"
                " credits_balance) values ('create_session_with_credit_deduction', %s, 'used', '', %s, 0)",
                client, client,
            )  # fmt: skip
            starts = [midnight + choose.randrange(0, 4 * 1440, 15) * MINUTE for _ in range(20)] + [
                int(busy.start) // MINUTE * MINUTE + choose.choice([-60, -15, 0, 15]) * MINUTE
                for busy in practice.model.calendar
            ]
            for start in starts:
                how = choose.choice(asked)
                local = moment(start).astimezone(practice.model.zone)
                booking = {
                    "user_id": str(client), "therapist_id": str(practice.therapist),
                    "session_date": str(local.date()), "session_time": str(local.time()),
                    "minutes": choose.choice([15, 45, 60, 60, 180, 10]), "session_type": "video", "notes": how.notes,
                    "title": how.title, "time_zone": plan.zone if how.zone == "own" else how.zone, "key": how.key,
                }  # fmt: skip
                done = compare_ways(world, booking, str(client) if how.is_logged_in else "")
                quick += done is not None and "answer" in done

    booked_alike()
    assert quick > PRACTICES // 3


# ----------------------------------------------------------------------------------------------------------------------
# Many therapists
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    at: int
    # Up to when the session must be over.
    minutes: int
    length: int
    limit: int
    # Of the therapists, those with these numbers (modulo), and somebody nobody knows; none: all there are.
    therapists: tuple[int, ...]


searches = st.builds(
    Search, times, st.one_of(st.sampled_from([60, 180, 720, 1440]), st.integers(0, 5000)), lengths,
    st.sampled_from([1, 1, 2, 3, 5, 20]), st.one_of(st.just(()), st.lists(st.integers(0, 9), max_size=5).map(tuple)),
)  # fmt: skip


@pytest.mark.storm
@pytest.mark.timeout(1200)
@of_availability(DIRECTORIES)
@given(
    several=st.lists(plans, min_size=2, max_size=5),
    twins=st.integers(0, 2),
    asked=st.lists(searches, min_size=6, max_size=12),
)
def test_therapists_found_are_those_of_the_model(
    office: World, several: list[Plan], twins: int, asked: list[Search]
) -> None:
    with office.connection.transaction(force_rollback=True):
        places = arounds(ZoneInfo(several[0].zone))
        around = places[several[0].around % len(places)]
        # Some are free at the very same times.
        practices = [built(office, plan, around)[0] for plan in [*several, *several[:1] * twins]]
        start = int(around - DAY) // HOUR * HOUR
        listings = {practice.therapist: Listing(practice.model, start - DAY) for practice in practices}
        for search in asked:
            begin = start + search.at * MINUTE
            end = begin + search.minutes * MINUTE
            ids = [practices[number % len(practices)].therapist for number in search.therapists]
            found = [
                (epoch(row["start_time"]), row["therapist_id"], epoch(row["end_time"]))
                for row in rows(
                    office.connection, "find_available_therapists",
                    **{"from": moment(begin), "to": moment(end)}, duration_minutes=search.length,
                    therapist_ids=[*ids, UUID(int=0)] if ids else None, limit=search.limit,
                )
            ]  # fmt: skip

            firsts = [
                (first, therapist, first + search.length * MINUTE)
                for therapist, listing in listings.items()
                if (therapist in ids or not ids)
                and (first := listing.following(begin, search.length)) is not None
                and first + search.length * MINUTE <= end
            ]
            # Who asks a moment later may be told of another time.
            answers = [*firsts, *found]
            steady = not any(listings[who].model.near_an_edge(first, time.time()) for first, who, _ in answers)
            assert not steady or found == sorted(firsts)[: search.limit], search


def test_lowest_id_is_found_of_therapists_free_at_once(office: World) -> None:
    """Whoever is free first, but not at a point of the grid, does not keep others out who can be booked first."""
    practices = sorted((Practice.opened(office, "UTC") for _ in range(4)), key=lambda practice: practice.therapist)
    # Free from 9:15 on, from 9:07 on (which means 9:15), from 9:00 on (but for her 9:20 comes first), and from 9:16 on.
    for practice, opens in zip(practices, (555, 547, 540, 556), strict=True):
        practice.set_override(TOMORROW, [Window(opens, 720)])
        practice.set_policy(Policy(anchor="midnight"))
    practices[2].set_policy(Policy(step=60, offset=20, anchor="midnight"))
    nine = epoch(dt.datetime.combine(TOMORROW, dt.time(9), dt.UTC))
    expected = [(practices[place].therapist, nine + minutes * MINUTE) for place, minutes in enumerate((15, 15, 20, 30))]

    for limit in (1, 2, 3, 4, 5):
        found = rows(
            office.connection, "find_available_therapists",
            **{"from": moment(nine), "to": moment(nine + 2 * HOUR)}, duration_minutes=30, limit=limit,
        )  # fmt: skip
        assert [(row["therapist_id"], epoch(row["start_time"])) for row in found] == expected[:limit]


# ----------------------------------------------------------------------------------------------------------------------
# Days by hand: for the day on which both sides are wrong alike
# ----------------------------------------------------------------------------------------------------------------------


def starts_of(practice: Practice, first: dt.date, minutes: int, **more: Any) -> list[Instant]:
    slots = practice.listed("list_available_slots", first, more.pop("last", first), minutes, **more)
    return [epoch(slot[0]) for slot in slots]


def local_starts(practice: Practice, date: dt.date, minutes: int = 60, **more: Any) -> list[str]:
    """Return the listed local times of a day."""
    return [f"{slot[3]:%H:%M}" for slot in practice.listed("list_available_slots", date, date, minutes, **more)]


@pytest.mark.parametrize(
    ("zone", "quarters_in_spring", "quarters_in_autumn"),
    [
        ("Europe/Berlin", 92, 100), ("America/New_York", 92, 100), ("Australia/Lord_Howe", 94, 98),
        ("Pacific/Chatham", 92, 100), ("Africa/Casablanca", 92, 100),
        # At midnight.
        ("America/Havana", 92, 100), ("America/Santiago", 92, 100), ("Africa/Cairo", 92, 100),
    ],
)  # fmt: skip
def test_days_on_which_the_clocks_change(
    office: World, zone: str, quarters_in_spring: int, quarters_in_autumn: int
) -> None:
    """The year to come; a zone may have given its changes up since this was written."""
    practice = Practice.opened(office, zone)
    quarter = dt.timedelta(minutes=15)
    for change in arounds(practice.model.zone)[:-2]:
        # What the clock would show without the change, and what it shows.
        before = (moment(change) - quarter).astimezone(practice.model.zone).replace(tzinfo=None) + quarter
        after = moment(change).astimezone(practice.model.zone).replace(tzinfo=None)
        date = min(before, after).date()
        local_times = [dt.datetime.combine(date, dt.time()) + quarter * number for number in range(96)]
        slots = practice.listed("list_available_slots", date, date, 15)
        # A list that begins well before the change is the lists of its days.
        days = [date + dt.timedelta(days=day) for day in range(-4, 2)]
        assert practice.listed("list_available_slots", days[0], days[-1], 15) == [
            slot for day in days for slot in practice.listed("list_available_slots", day, day, 15)
        ]

        # In order, and without a hole.
        assert {later - earlier for earlier, later in pairwise(epoch(slot[0]) for slot in slots)} == {15 * MINUTE}
        if before < after:
            # No slot at a time that does not exist, and each other one once.
            assert len(slots) == quarters_in_spring
            assert [slot[3] for slot in slots] == [t.time() for t in local_times if not before <= t < after]
            with refused("skipped_time"):
                practice.book_at(before, 15)
            continue

        # Each slot of the time that comes twice is there twice.
        assert len(slots) == quarters_in_autumn
        twice = [t for t in local_times if after <= t < before]
        assert sorted(slot[3] for slot in slots) == sorted(t.time() for t in local_times + twice)
        first, second = (epoch(slot[0]) for slot in slots if slot[3] == after.time())
        # Its local time means the first of the two; the second can be had by the time of another zone.
        assert epoch(practice.book_at(after, 15)["start_time"]) == first
        assert starts_of(practice, date, 15) == [epoch(slot[0]) for slot in slots if epoch(slot[0]) != first]
        at = moment(second).replace(tzinfo=None)
        assert epoch(practice.book_at(at, 15, time_zone="UTC")["start_time"]) == second


def test_hours_in_the_nights_in_which_the_clocks_change(office: World) -> None:
    practice = Practice.opened(office, "Europe/Berlin")
    practice.set_weekly_hours([WeeklyWindow(frozenset({6, 7}), Window(60, 180))])
    practice.set_policy(Policy(advance=400 * DAY))
    # The clocks of Berlin go forward in March and back in October, after 53 weeks at the latest.
    changes = clock_changes(practice.model.zone, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3), 375)[:2]
    spring, autumn = sorted((moment(change).date() for change in changes), key=lambda date: date.month)

    # From one to three o'clock is an hour in spring, and three hours in autumn.
    assert local_starts(practice, spring, 30) == ["01:00", "01:15", "01:30"]
    assert local_starts(practice, autumn, 60, step_minutes=30) == ["01:00", "01:30", "02:00", "02:30", "02:00"]
    # Until half past two is until the first half past two.
    practice.set_override(autumn, [Window(60, 150)])
    assert local_starts(practice, autumn, 60, step_minutes=30) == ["01:00", "01:30"]
    # From half past two is from the first one; where there is none, from the jump.
    practice.set_override(autumn, [Window(150, 180)])
    practice.set_override(spring, [Window(150, 240)])
    assert local_starts(practice, autumn, 60, step_minutes=30) == ["02:30", "02:00"]
    assert local_starts(practice, spring, 60) == ["03:00"]
    # Within the hour that is left out there is nothing.
    practice.set_override(spring, [Window(125, 175)])
    assert local_starts(practice, spring, 15) == []


def test_the_buffers_of_both_add_up(office: World) -> None:
    practice = Practice.opened(office, "Asia/Kathmandu")
    practice.set_weekly_hours([WeeklyWindow(frozenset(range(1, 8)), Window(540, 900))])
    practice.set_policy(Policy(before=5, after=20))
    noon = first_shown(practice.model.zone, (TOMORROW, 720))
    practice.write(noon - 15 * MINUTE, noon, "scheduled")
    practice.set_policy(Policy(before=10, after=30, step=5))

    # An hour is over at 11:45 - 5 - 30, or begins at 12:00 + 20 + 10.
    starts = local_starts(practice, TOMORROW, 60, step_minutes=5)
    morning, afternoon = ([start for start in starts if (start < "12:00") is early] for early in (True, False))
    assert (morning[0], morning[-1], len(morning)) == ("09:00", "10:10", 15)
    assert (afternoon[0], afternoon[-1], len(afternoon)) == ("12:30", "14:00", 19)


def test_the_limits_of_a_day_and_of_a_week(office: World) -> None:
    """What counts is the date of the start on the therapist's clock, which is far ahead of UTC here."""
    practice = Practice.opened(office, "Pacific/Chatham")
    practice.set_policy(Policy(per_day=2, per_week=4))
    monday = TOMORROW + dt.timedelta(days=7 - TOMORROW.weekday())
    sunday, tuesday, next_monday = (monday + dt.timedelta(days=days) for days in (-1, 1, 7))

    def at(date: dt.date, minute: int) -> Instant:
        return first_shown(practice.model.zone, (date, minute))

    def is_full(date: dt.date) -> bool:
        return local_starts(practice, date, step_minutes=60) == []

    # Until midnight: it is Sunday's, and of the week before. What was cancelled counts nowhere.
    practice.write(at(sunday, 1430), at(sunday, 1440), "scheduled")
    practice.write(at(sunday, 600), at(sunday, 660), "cancelled")
    practice.book(at(monday, 0), 60)
    assert (is_full(sunday), is_full(monday)) == (False, False)
    # What is over, and what somebody did not come to, does.
    practice.write(at(monday, 600), at(monday, 660), "completed")
    practice.write(at(sunday, 700), at(sunday, 760), "no_show")
    assert (is_full(sunday), is_full(monday), is_full(tuesday)) == (True, True, False)
    # Holds count while they live.
    practice.book(at(tuesday, 600), 60, held=True, expired=True)
    practice.book(at(tuesday, 600), 60, held=True)
    assert (is_full(tuesday), is_full(tuesday + dt.timedelta(days=1))) == (False, False)
    practice.book(at(tuesday, 1380), 60)
    week = [is_full(monday + dt.timedelta(days=days)) for days in range(7)]
    assert (week, is_full(next_monday)) == ([True] * 7, False)

    # The day's is named before the week's.
    answers = practice.attempts([at(sunday, 60), at(tuesday, 60), at(tuesday + dt.timedelta(days=1), 60)], 60)
    assert [(code, rule) for code, rule, _ in answers] == [
        ("booking_conflict", "maximum_sessions_per_day"),
        ("booking_conflict", "maximum_sessions_per_day"),
        ("booking_conflict", "maximum_sessions_per_week"),
    ]
    assert answers[2][2] == at(next_monday, 0)
    # A session is not one more than itself.
    place = [busy.start for busy in practice.model.calendar].index(at(tuesday, 1380))
    moved = practice.ids[place]
    assert isinstance(moved, UUID)
    assert [code for code, _, _ in practice.attempts([at(tuesday, 1300)], 60, moved)] == ["done"]
    assert practice.conflicts([(at(tuesday, 1300), 60)], moved) == [False]
    assert practice.conflicts([(at(tuesday, 1300), 60)]) == [True]


@pytest.mark.parametrize("step", [7, 50, 60, 1000, 1440])
def test_the_grid_begins_anew_each_day(office: World, step: int) -> None:
    # No clock changes here, so that only the step says whether a day's grid is the next one's.
    practice = Practice.opened(office, "Asia/Kathmandu")
    practice.set_policy(Policy(step=step, offset=17))
    first = TOMORROW + dt.timedelta(days=1)
    listed = practice.listed("list_available_slots", first, first + dt.timedelta(days=3), 60)
    minutes = [minute for minute in range(1440) if minute % step == 17 % step]
    assert [(slot[2], hhmm(slot[3].hour * 60 + slot[3].minute)) for slot in listed] == [
        (first + dt.timedelta(days=day), hhmm(minute)) for day in range(4) for minute in minutes
    ]


def test_window_across_midnight_belongs_to_its_first_day(office: World) -> None:
    practice = Practice.opened(office, "Pacific/Chatham")
    first, second, third = (TOMORROW + dt.timedelta(days=n) for n in range(3))
    practice.set_weekly_hours([WeeklyWindow(frozenset({first.isoweekday()}), Window(1380, 60))])
    night = ["23:00", "23:30"], ["00:00"]
    assert (local_starts(practice, first, step_minutes=30), local_starts(practice, second, step_minutes=30)) == night

    # The day after is closed: what began the day before goes on.
    practice.set_override(second, [])
    assert (local_starts(practice, first, step_minutes=30), local_starts(practice, second, step_minutes=30)) == night
    practice.set_override(first, [])
    assert local_starts(practice, second) == []
    # Windows that touch are one.
    practice.set_override(first, [Window(1380, 0)])
    practice.set_override(second, [Window(0, 60), Window(60, 90)])
    assert local_starts(practice, first, 90, step_minutes=30) == ["23:00", "23:30"]
    assert local_starts(practice, second, 90, step_minutes=30) == ["00:00"]
    assert local_starts(practice, third) == []


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York"])
def test_the_edges_of_notice_and_horizon(office: World, zone: str) -> None:
    practice = Practice.opened(office, zone)
    # Odd on purpose, and of days that have 24 hours whatever the clocks do.
    notice, advance = 3 * HOUR + 7, 200 * DAY + 11
    practice.set_policy(Policy(notice=notice, advance=advance, step=1))
    today = dt.datetime.now(dt.UTC).date()

    before = time.time()
    first = starts_of(practice, today - dt.timedelta(days=1), 15, last=today + dt.timedelta(days=2))[0]
    last_day = moment(before + advance).date()
    last = starts_of(practice, last_day - dt.timedelta(days=1), 15, last=last_day + dt.timedelta(days=2))[-1]
    after = time.time()

    # The first and the last whole minute of what was in reach while they were listed.
    assert before + notice <= first < after + notice + MINUTE
    assert before + advance - MINUTE < last <= after + advance
    answers = practice.attempts([before // MINUTE * MINUTE - MINUTE, first - 2 * MINUTE, last + 2 * MINUTE], 15)
    assert [(code, rule) for code, rule, _ in answers] == [
        ("in_past", None),
        ("too_soon", "minimum_notice"),
        ("too_far", "maximum_advance"),
    ]
    # The next free is not what has just been refused.
    assert answers[0][2] is None
    assert answers[1][2] - first in (0, MINUTE)
    assert answers[2][2] is None


def test_the_comparison_sees_what_one_side_leaves_out(office: World) -> None:
    """That it can fail at all."""
    asked = Days(0, 1, 30, None, None)
    event = Book(1440 + 720, 60)
    policy = Policy(before=10, after=10)
    plan = Plan("Europe/Berlin", 2, policy, None, 5 * 1440, (), (None, None), {}, (event,), (asked,), 0)
    with office.connection.transaction(force_rollback=True):
        practice, midnight, date = built(office, plan)
        assert compare(practice, plan, midnight, date) > 100

        right = practice.model
        for wrong in (
            replace(right, calendar=[]),
            replace(right, policy=replace(right.policy, before=right.policy.before + 15)),
            replace(right, policy=replace(right.policy, offset=5)),
            replace(right, overrides={date + dt.timedelta(days=1): []}),
            replace(right, zone=ZoneInfo("Asia/Kathmandu")),
        ):
            practice.model = wrong
            with pytest.raises(AssertionError):
                compare(practice, plan, midnight, date)
