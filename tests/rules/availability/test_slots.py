"""Slots, days, the next one, and who: what is listed, on which grid, and what takes it away."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.life import call, expire_hold, rows
from tests.support.refusals import nothing_written, outcome, refused

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
MONDAY = dt.date.today() + dt.timedelta(days=15 - dt.date.today().isoweekday())
KATHMANDU, NEW_YORK = ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York")
NOBODY = UUID("00000000-0000-4000-8000-0000000000ff")


def at(days: int, time: str, zone: Any = KATHMANDU) -> dt.datetime:
    return dt.datetime.combine(MONDAY + days * DAY, dt.time.fromisoformat(time), zone)


class Practice:
    """A therapist in Kathmandu, on Mondays from nine to twelve, every half an hour; or another one."""

    def __init__(self, world: World, zone: str = "Asia/Kathmandu") -> None:
        self.world = world
        self.therapist = world.therapist(zone)
        self.client = world.client(credits=50)
        if zone == "Asia/Kathmandu":
            self.set_policy(slot_step_minutes=30)
            self.set_week((1, "09:00", "12:00"))

    def set_policy(self, **settings: Any) -> None:
        call(self.world.connection, "set_policy", settings=Jsonb(settings), therapist_id=self.therapist)

    def set_week(self, *windows: tuple[int, str, str]) -> None:
        hours = [{"weekday": day, "start_time": start, "end_time": end} for day, start, end in windows]
        rows(self.world.connection, "set_weekly_hours", therapist_id=self.therapist, hours=Jsonb(hours))

    def set_date(self, days: int, *windows: tuple[str, str]) -> None:
        hours = Jsonb([{"start_time": start, "end_time": end} for start, end in windows])
        date = {"date": MONDAY + days * DAY, "hours": hours}
        rows(self.world.connection, "set_date_override", therapist_id=self.therapist, **date)

    def book(self, days: int, time: str, client: UUID | None = None) -> UUID:
        booked = self.world.book(client or self.client, self.therapist, time, session_date=MONDAY + days * DAY)["id"]
        assert isinstance(booked, UUID)
        return booked

    def hold(self, days: int, time: str, client: UUID | None = None) -> UUID:
        held = call(
            self.world.connection, "hold_slot", user_id=client or self.client, therapist_id=self.therapist,
            session_date=MONDAY + days * DAY, session_time=time,
        )["id"]  # fmt: skip
        assert isinstance(held, UUID)
        return held

    def listed(self, first: dt.date, last: dt.date, minutes: int = 60, **options: Any) -> list[Any]:
        return rows(
            self.world.connection, "list_available_slots", therapist_id=self.therapist, duration_minutes=minutes,
            **{"from": first, "to": last}, **options,
        )  # fmt: skip

    def times(self, minutes: int = 60, step: int | None = None, days: int = 0) -> str:
        """Return the local times that are listed for one day."""
        date = MONDAY + days * DAY
        slots = self.listed(date, date, minutes, step_minutes=step)
        return " ".join(f"{row['local_time']:%H:%M}" for row in slots)

    def next(self, minutes: int = 60, **options: Any) -> tuple[int, str] | None:
        """Return the next slot in days after the Monday and local time."""
        found = rows(
            self.world.connection, "next_available_slot",
            therapist_id=self.therapist, duration_minutes=minutes, **options,
        )  # fmt: skip
        return next((((row["local_date"] - MONDAY).days, f"{row['local_time']:%H:%M}") for row in found), None)


@pytest.fixture
def practice(clean_world: World) -> Practice:
    return Practice(clean_world)


@pytest.fixture
def always(clean_world: World) -> Practice:
    """A therapist in UTC without hours."""
    return Practice(clean_world, "UTC")


EVERY_HALF_HOUR = "09:00 09:30 10:00 10:30 11:00"


# ----------------------------------------------------------------------------------------------------------------------
# What is listed
# ----------------------------------------------------------------------------------------------------------------------


def test_slots_are_timestamps_and_local_times_in_order(practice: Practice) -> None:
    """The whole session lies in the hours."""
    with nothing_written(practice.world):
        slots = practice.listed(MONDAY, MONDAY + 6 * DAY, 90)
    assert [(row["start_time"], row["end_time"], row["local_date"], f"{row['local_time']:%H:%M}") for row in slots] == [
        (at(0, time), at(0, time) + 90 * MINUTE, MONDAY, time) for time in ("09:00", "09:30", "10:00", "10:30")
    ]
    assert len(practice.listed(MONDAY, MONDAY + 34 * DAY)) == 25
    practice.world.run("set timezone = 'Pacific/Apia'")
    assert practice.times() == EVERY_HALF_HOUR
    practice.world.run("reset timezone")


def test_the_grid_is_counted_from_midnight(practice: Practice) -> None:
    """Where the policy says so; from an offset on where there is one."""
    practice.set_policy(slot_anchor="midnight")
    assert practice.times() == EVERY_HALF_HOUR
    assert practice.times(180) == "09:00"
    assert [practice.times(60, step) for step in (60, 45, 100, 1440)] == [
        "09:00 10:00 11:00", "09:00 09:45 10:30", "10:00", "",
    ]  # fmt: skip
    practice.set_policy(slot_offset_minutes=10)
    assert practice.times() == "09:10 09:40 10:10 10:40"
    assert practice.times(60, 60) == "09:10 10:10"
    assert practice.times(60, 15) == "09:10 09:25 09:40 09:55 10:10 10:25 10:40 10:55"


def test_the_grid_begins_with_each_window(practice: Practice) -> None:
    practice.set_week((1, "08:00", "12:00"), (1, "12:30", "17:30"), (2, "09:00", "12:00"))
    nine = "08:00 09:00 10:00 11:00 12:30 13:30 14:30 15:30 16:30"
    assert practice.times(60, 60) == nine
    assert practice.times(50, 50, 1) == "09:00 09:50 10:40"
    practice.set_policy(slot_anchor="midnight")
    assert practice.times(60, 60) == "08:00 09:00 10:00 11:00 13:00 14:00 15:00 16:00"
    assert practice.times(50, 50, 1) == "09:10 10:00 10:50"
    # By default, too; and whoever asks otherwise gets the same.
    practice.set_policy(slot_anchor=None, slot_step_minutes=60)
    assert practice.times(60) == nine
    connection, who = practice.world.connection, {"therapist_id": practice.therapist}
    (day,) = rows(connection, "list_available_days", **who, **{"from": MONDAY, "to": MONDAY})
    assert (day["slots"], day["first_start"], day["last_start"]) == (9, at(0, "08:00"), at(0, "16:30"))
    assert practice.next(after=at(0, "11:01")) == (0, "12:30")
    found = rows(connection, "find_available_therapists", therapist_ids=[practice.therapist],
                 **{"from": at(0, "11:01"), "to": at(1, "00:00")})  # fmt: skip
    assert [row["start_time"] for row in found] == [at(0, "12:30")]
    practice.book(0, "12:30")
    with refused("booking_conflict") as refusal:
        practice.book(0, "12:30", practice.world.client(credits=1))
    assert dt.datetime.fromisoformat(refusal.detail["next_free"]) == at(0, "13:30")
    states = rows(connection, "list_slot_states", **who, **{"from": MONDAY, "to": MONDAY})
    # Outside of the hours the points are those from midnight, for a calendar to draw.
    assert [(f"{row['local_time']:%H:%M}", row["state"]) for row in states][7:16] == [
        ("07:00", "off"), ("08:00", "free"), ("09:00", "free"), ("10:00", "free"), ("11:00", "free"), ("12:00", "off"),
        ("12:30", "taken"), ("13:30", "free"), ("14:30", "free"),
    ]  # fmt: skip


def test_the_offset_shifts_the_grid_of_each_window(practice: Practice) -> None:
    """By what is left of it when whole steps are taken away, as from midnight."""
    practice.set_week((1, "08:10", "10:00"), (1, "12:00", "14:00"))
    practice.set_policy(slot_offset_minutes=40)
    assert practice.times(30) == "08:20 08:50 09:20 12:10 12:40 13:10"
    assert practice.times(30, 60) == "08:50 12:40"


def test_windows_that_touch_or_overlap_have_grids_of_their_own(practice: Practice) -> None:
    """A session may go on from one window into the next; a time of both grids is listed once."""
    practice.set_week((1, "09:00", "12:00"), (1, "12:00", "14:00"), (2, "09:00", "12:00"), (2, "10:30", "13:00"))
    assert practice.times(50, 50) == "09:00 09:50 10:40 11:30 12:00 12:50"
    assert practice.times(60, 60, 1) == "09:00 10:00 10:30 11:00 11:30"
    assert practice.times(30, 30, 1) == "09:00 09:30 10:00 10:30 11:00 11:30 12:00 12:30"


def test_the_grid_of_a_window_goes_on_after_midnight(practice: Practice) -> None:
    practice.set_week((1, "22:10", "02:00"))
    assert (practice.times(50, 50), practice.times(50, 50, 1)) == ("22:10 23:00 23:50", "00:40")


def test_overrides_begin_grids_of_their_own(practice: Practice) -> None:
    practice.set_date(0, ("09:20", "11:20"), ("13:10", "14:10"))
    assert practice.times(60, 60) == "09:20 10:20 13:10"


def test_time_off_leaves_the_grid_of_a_window_as_it_is(practice: Practice) -> None:
    practice.set_week((1, "08:10", "12:10"))
    start, end = at(0, "09:00"), at(0, "09:40")
    call(practice.world.connection, "add_time_off", therapist_id=practice.therapist, start=start, end=end)
    assert practice.times(60, 60) == "10:10 11:10"


def test_without_hours_the_grid_begins_at_midnight(always: Practice) -> None:
    """On other days than those of overrides, too."""
    assert always.times(60, 100).startswith("00:00 01:40")
    always.set_date(1, ("09:10", "12:00"))
    assert (always.times(60, 100).split()[:2], always.times(60, 100, 1)) == (["00:00", "01:40"], "09:10 10:50")


@pytest.mark.parametrize(
    ("step", "spring", "autumn"),
    [
        # The clocks of Berlin go from two to three, and from three back to two.
        (60, "01:00 03:00 04:00", "01:00 02:00 02:00 03:00 04:00"),
        (45, "01:00 01:45 03:15 04:00", "01:00 01:45 02:30 02:30 03:15 04:00"),
        (50, "01:00 01:50 03:30", "01:00 01:50 02:40 02:40 03:30"),
    ],
)
def test_the_grid_of_a_window_follows_its_clock(clean_world: World, step: int, spring: str, autumn: str) -> None:
    berlin = Practice(clean_world, "Europe/Berlin")
    berlin.set_policy(maximum_advance="3650 days")
    berlin.set_week((7, "01:00", "05:00"))
    for date, expected in ((dt.date(2030, 3, 31), spring), (dt.date(2030, 10, 27), autumn)):
        slots = berlin.listed(date, date, 60, step_minutes=step)
        assert " ".join(f"{row['local_time']:%H:%M}" for row in slots) == expected
        around = berlin.listed(date - 7 * DAY, date + 7 * DAY, 60, step_minutes=step)
        assert [row for row in around if row["local_date"] == date] == slots


def test_window_begins_its_grid_with_the_jump(clean_world: World) -> None:
    """Where its start is jumped over; where that occurs twice, with the first."""
    berlin = Practice(clean_world, "Europe/Berlin")
    berlin.set_policy(maximum_advance="3650 days")
    berlin.set_week((7, "02:30", "05:00"))
    times = [
        " ".join(f"{row['local_time']:%H:%M}" for row in berlin.listed(date, date, 30, step_minutes=60))
        for date in (dt.date(2030, 3, 31), dt.date(2030, 10, 27))
    ]
    assert times == ["03:00 04:00", "02:30 02:30 03:30 04:30"]


def test_another_zone_shows_the_therapists_slots_by_its_dates(practice: Practice) -> None:
    slots = practice.listed(MONDAY - DAY, MONDAY - DAY, time_zone="America/New_York")
    timestamps = [at(0, time).astimezone(NEW_YORK) for time in EVERY_HALF_HOUR.split()]
    assert [(row["local_date"], row["local_time"]) for row in slots] == [
        (timestamp.date(), timestamp.time()) for timestamp in timestamps if timestamp.date() == MONDAY - DAY
    ]


def test_without_hours_every_quarter_of_an_hour_is_listed(always: Practice) -> None:
    assert len(always.listed(MONDAY + 30 * DAY, MONDAY + 30 * DAY)) == 96
    always.set_policy(require_hours=True)
    assert always.listed(MONDAY, MONDAY + 30 * DAY) == []


def test_366_days_are_listed_at_once(practice: Practice) -> None:
    practice.listed(dt.date(2030, 1, 7), dt.date(2031, 1, 7))
    practice.world.run("select set_therapist_active(%s, false)", practice.therapist)
    with refused("therapist_not_found"):
        practice.times()


# ----------------------------------------------------------------------------------------------------------------------
# What takes slots away
# ----------------------------------------------------------------------------------------------------------------------


def test_sessions_and_their_buffers_take_slots_away(practice: Practice) -> None:
    """A session keeps the buffer of the day on which it was booked."""
    session = practice.book(0, "10:00")
    assert (practice.times(), practice.times(30)) == ("09:00 11:00", "09:00 09:30 11:00 11:30")
    practice.set_policy(buffer_before_minutes=10)
    assert practice.times(50, 5) == "09:00 09:05 09:10 11:10"
    practice.set_policy(buffer_before_minutes=0, buffer_after_minutes=15)
    assert practice.times(30, 5) == "09:00 09:05 09:10 09:15 11:00 11:05 11:10 11:15 11:20 11:25 11:30"
    call(practice.world.connection, "cancel_session", session_id=session)
    again = practice.book(0, "10:00")
    assert practice.times(30, 5) == "09:00 09:05 09:10 09:15 11:15 11:20 11:25 11:30"
    practice.set_policy(buffer_after_minutes=0)
    call(practice.world.connection, "cancel_session", session_id=again)
    assert practice.times() == EVERY_HALF_HOUR


def test_holds_time_off_and_appointments_take_slots_away(practice: Practice) -> None:
    connection = practice.world.connection
    held = practice.hold(0, "09:00")
    assert practice.times() == "10:00 10:30 11:00"
    expire_hold(connection, held)
    assert practice.times() == EVERY_HALF_HOUR
    call(connection, "add_time_off", therapist_id=practice.therapist, start=at(0, "08:00"), end=at(0, "09:45"))
    assert practice.times() == "10:00 10:30 11:00"
    appointment = {
        "external_id": "a", "start_time": at(0, "11:00").isoformat(), "end_time": at(0, "11:10").isoformat(),
    }  # fmt: skip
    call(connection, "sync_external_busy", therapist_id=practice.therapist, source="a", events=Jsonb([appointment]))
    assert practice.times() == "10:00"
    # None of which touches the week after.
    assert practice.times(days=7) == EVERY_HALF_HOUR


def test_other_hours_of_a_date_are_listed(practice: Practice) -> None:
    """A window across midnight is on the date that was asked for; its rest is on the next one."""
    practice.set_date(7)
    assert practice.times(days=7) == ""
    practice.set_date(7, ("23:30", "00:45"))
    assert practice.times(days=7) == "23:30"
    assert (practice.times(30, 15, 7), practice.times(30, 15, 8)) == ("23:30 23:45", "00:00 00:15")


def test_full_days_and_weeks_have_no_slots(practice: Practice) -> None:
    """A session and a hold count; a week is full from Monday to Sunday."""
    practice.set_policy(maximum_sessions_per_day=2)
    practice.book(7, "09:00")
    assert practice.times(days=7) == "10:00 10:30 11:00"
    practice.hold(7, "10:00", practice.world.client())
    assert (practice.times(days=7), practice.times(days=14)) == ("", EVERY_HALF_HOUR)
    practice.set_policy(maximum_sessions_per_day=None, maximum_sessions_per_week=2)
    practice.set_week((1, "09:00", "12:00"), (7, "09:00", "10:00"))
    slots = practice.listed(MONDAY + 6 * DAY, MONDAY + 14 * DAY, step_minutes=60)
    assert [(row["local_date"] - MONDAY).days for row in slots] == [6, 14, 14, 14]


def test_notice_and_booking_window_end_the_list(always: Practice) -> None:
    now, today = dt.datetime.now(dt.UTC), dt.datetime.now(dt.UTC).date()
    assert always.listed(today - DAY, today + DAY)[0]["start_time"] >= now
    assert always.listed(today - 9 * DAY, today - 2 * DAY) == []
    always.set_policy(minimum_notice="47 hours 30 minutes", maximum_advance="10 days")
    starts = [row["start_time"] for row in always.listed(today, today + 30 * DAY)]
    later = dt.datetime.now(dt.UTC)
    assert now + 2850 * MINUTE <= starts[0] <= later + 2865 * MINUTE
    assert now + 10 * DAY - 15 * MINUTE <= starts[-1] <= later + 10 * DAY
    assert always.listed(today + 12 * DAY, today + 300 * DAY) == []
    # A notice that is longer than the booking window.
    always.set_policy(minimum_notice="11 days")
    assert always.listed(today, today + 30 * DAY) == []


def test_listed_slots_are_free_and_can_be_booked(practice: Practice) -> None:
    practice.set_policy(slot_step_minutes=15, buffer_after_minutes=5)
    practice.book(21, "09:15")
    date, other = MONDAY + 21 * DAY, practice.world.client(credits=1)
    listed = practice.times(45, days=21).split()
    grid = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(0, 23 * 60 + 15, 15)]
    asked = "select check_booking_conflict(%s, %s, %s::time, %s::time + interval '45 minutes')"
    free = [time for time in grid if not practice.world.scalar(asked, practice.therapist, date, time, time)]

    def is_booked(time: str) -> bool:
        with practice.world.connection.transaction(force_rollback=True):
            return outcome(lambda: practice.world.book(
                other, practice.therapist, time, session_date=date, duration_minutes=45
            )) == "done"  # fmt: skip

    assert listed == free == [time for time in grid if is_booked(time)]


def test_the_check_knows_no_notice_and_booking_window(practice: Practice) -> None:
    """Hours, buffers, and a full week but for the session that is to be moved."""
    practice.set_date(7)
    session = practice.book(14, "10:00")
    practice.set_policy(buffer_before_minutes=10, buffer_after_minutes=5)

    def is_busy(days: int, start: str, end: str, but: UUID | None = None) -> Any:
        asked = "select check_booking_conflict(%s, %s, %s, %s, null, %s)"
        return practice.world.scalar(asked, practice.therapist, MONDAY + days * DAY, start, end, but)

    free = [(0, "09:00", "10:00"), (14, "09:00", "09:55"), (14, "11:10", "12:00"), (700, "09:00", "10:00")]
    busy = [
        (0, "08:00", "09:00"), (0, "11:30", "12:30"), (1, "09:00", "10:00"), (7, "09:00", "10:00"),
        (14, "09:00", "09:56"), (14, "11:09", "12:00"),
    ]  # fmt: skip
    assert [is_busy(*period) for period in free + busy] == [False] * len(free) + [True] * len(busy)
    practice.set_week((1, "09:00", "12:00"), (2, "09:00", "12:00"))
    practice.set_policy(maximum_sessions_per_week=1)
    assert (is_busy(15, "10:00", "11:00"), is_busy(15, "10:00", "11:00", session)) == (True, False)


def test_a_grid_is_free_taken_or_off(practice: Practice) -> None:
    """Free is what is listed; off is outside of the hours, and over."""
    practice.book(0, "10:00")

    def states(first: dt.date, last: dt.date, **options: Any) -> list[Any]:
        return rows(
            practice.world.connection, "list_slot_states", therapist_id=practice.therapist,
            **{"from": first, "to": last}, **options,
        )  # fmt: skip

    hours = [(f"{row['local_time']:%H:%M}", row["state"]) for row in states(MONDAY, MONDAY, step_minutes=60)]
    assert len(hours) == 24
    assert hours[8:13] == [("08:00", "off"), ("09:00", "free"), ("10:00", "taken"), ("11:00", "free"), ("12:00", "off")]
    free = [row for row in states(MONDAY, MONDAY + 14 * DAY) if row.pop("state") == "free"]
    assert free == practice.listed(MONDAY, MONDAY + 14 * DAY)
    past = states(MONDAY - 30 * DAY, MONDAY - 28 * DAY, step_minutes=60)
    assert [row["state"] for row in past] == ["off"] * 72


# ----------------------------------------------------------------------------------------------------------------------
# Days
# ----------------------------------------------------------------------------------------------------------------------


def test_days_are_the_slots_counted(practice: Practice) -> None:
    """By dates of the zone, of the length and the step that were asked for; days with nothing free are none."""
    practice.set_week((1, "09:00", "12:00"), (3, "09:00", "10:00"))
    practice.book(7, "09:00")
    practice.set_date(9)
    connection, who = practice.world.connection, {"therapist_id": practice.therapist}

    def days(first: int, last: int, **options: Any) -> list[Any]:
        period = {"from": MONDAY + first * DAY, "to": MONDAY + last * DAY}
        return [tuple(row.values()) for row in rows(connection, "list_available_days", **who, **period, **options)]

    with nothing_written(practice.world):
        assert days(0, 14) == [
            (MONDAY + day * DAY, count, at(day, first), at(day, last))
            for day, count, first, last in (
                (0, 5, "09:00", "11:00"), (2, 1, "09:00", "09:00"), (7, 3, "10:00", "11:00"), (14, 5, "09:00", "11:00"),
            )
        ]  # fmt: skip
        assert [row[1] for row in days(0, 14, duration_minutes=90, step_minutes=15)] == [7, 3, 7]
        zone = {"duration_minutes": 60, "time_zone": "America/New_York"}
        slots = rows(connection, "list_available_slots", **who, **zone,
                     **{"from": MONDAY - DAY, "to": MONDAY + 14 * DAY})  # fmt: skip
        by_date: dict[dt.date, list[dt.datetime]] = {}
        for row in slots:
            by_date.setdefault(row["local_date"], []).append(row["start_time"])
        assert days(-1, 14, **zone) == [(date, len(starts), starts[0], starts[-1]) for date, starts in by_date.items()]
        assert days(8, 9) == []


# ----------------------------------------------------------------------------------------------------------------------
# The next one
# ----------------------------------------------------------------------------------------------------------------------


def test_the_next_slot_is_the_first_of_the_grid(practice: Practice) -> None:
    """At the timestamp itself or after it, in hours, of the length and the step that were asked for."""
    practice.set_policy(slot_step_minutes=None)
    (row,) = rows(
        practice.world.connection, "next_available_slot",
        therapist_id=practice.therapist, duration_minutes=90, after=at(-2, "10:00"),
    )  # fmt: skip
    assert tuple(row.values()) == (at(0, "09:00"), at(0, "10:30"), MONDAY, dt.time(9))
    local = at(0, "09:00").astimezone(NEW_YORK)
    days = (local.date() - MONDAY).days
    assert practice.next(after=at(-2, "10:00"), time_zone="America/New_York") == (days, f"{local:%H:%M}")
    for time, minutes, step, expected in (
        ("09:00", 60, None, (0, "09:00")), ("09:01", 60, None, (0, "09:15")), ("09:01", 60, 45, (0, "09:45")),
        ("09:01", 60, 1, (0, "09:01")), ("11:00", 60, None, (0, "11:00")), ("11:01", 60, None, (7, "09:00")),
        ("10:00", 150, None, (7, "09:00")), ("11:30", 30, None, (0, "11:30")),
    ):  # fmt: skip
        assert practice.next(minutes, after=at(0, time), step_minutes=step) == expected
    practice.book(0, "09:00")
    assert practice.next(after=at(0, "08:00")) == (0, "10:00")
    off = {"therapist_id": practice.therapist, "start": at(0, "10:00"), "end": at(15, "00:00")}
    call(practice.world.connection, "add_time_off", **off)
    assert practice.next(after=at(0, "08:00")) == (21, "09:00")


def test_the_next_slot_is_within_the_booking_window(always: Practice) -> None:
    """From now on by default, however long ago is asked for; months away, or nowhere."""
    connection = always.world.connection

    def wait(**options: Any) -> dt.timedelta:
        found = call(connection, "next_available_slot", therapist_id=always.therapist, **options)
        assert found["end_time"] - found["start_time"] == HOUR
        return found["start_time"] - dt.datetime.now(dt.UTC)  # type: ignore[no-any-return]

    for options in ({}, {"after": "1900-01-01 00:00+00"}):
        assert -MINUTE < wait(**options) <= 15 * MINUTE
    always.set_policy(minimum_notice="50 hours")
    assert 50 * HOUR - MINUTE < wait() <= 50 * HOUR + 15 * MINUTE
    always.set_policy(minimum_notice=None)
    now = dt.datetime.now(dt.UTC)
    assert always.next(after=now + 8761 * HOUR) is None
    for hours, is_found in ((7200, True), (9000, False)):
        off = {"therapist_id": always.therapist, "start": now - DAY, "end": now + hours * HOUR}
        call(connection, "add_time_off", **off)
        if is_found:
            assert 7200 * HOUR - MINUTE < wait() < 7201 * HOUR
        else:
            assert always.next() is None


# ----------------------------------------------------------------------------------------------------------------------
# Who
# ----------------------------------------------------------------------------------------------------------------------


class Directory:
    """Therapists in UTC: on Mondays from ten to twelve, from nine to eleven, and at any time; a fourth is closed."""

    def __init__(self, world: World) -> None:
        self.world = world
        practices = sorted((Practice(world, "UTC") for _ in range(3)), key=lambda practice: practice.therapist)
        self.ten, self.nine, self.any = practices
        self.ten.set_week((1, "10:00", "12:00"))
        self.nine.set_week((1, "09:00", "11:00"))
        self.closed = world.therapist()
        world.run("select set_therapist_active(%s, false)", self.closed)

    def found(
        self, start: str, end: str, minutes: int = 60, days: tuple[int, int] = (0, 0), **options: Any
    ) -> list[Any]:
        """Return the name and the local time of each that is found."""
        period = {"from": at(days[0], start, dt.UTC), "to": at(days[1], end, dt.UTC)}
        names = {self.ten.therapist: "ten", self.nine.therapist: "nine", self.any.therapist: "any"}
        answer = rows(self.world.connection, "find_available_therapists", duration_minutes=minutes, **period, **options)
        return [(names[row["therapist_id"]], f"{row['start_time'].astimezone(dt.UTC):%H:%M}") for row in answer]


@pytest.fixture
def directory(clean_world: World) -> Directory:
    return Directory(clean_world)


def test_free_therapists_are_found_with_their_first_slot(directory: Directory) -> None:
    """The earliest first, at the same time by id; nobody who is closed; the whole session lies in the time."""
    with nothing_written(directory.world):
        assert directory.found("08:00", "18:00") == [("any", "08:00"), ("nine", "09:00"), ("ten", "10:00")]
        assert directory.found("10:00", "18:00") == [("ten", "10:00"), ("nine", "10:00"), ("any", "10:00")]
        for end in ("12:00", "11:30"):
            assert directory.found("10:30", end) == [("ten", "10:30"), ("any", "10:30")]
        assert directory.found("10:30", "11:29") == directory.found("10:30", "10:30", 15) == []
        assert directory.found("08:00", "18:00", limit=2) == [("any", "08:00"), ("nine", "09:00")]
        assert directory.found("10:01", "18:00", 30) == [("ten", "10:15"), ("nine", "10:15"), ("any", "10:15")]
        # Over months: who is free a week later comes behind.
        assert directory.found("12:00", "12:00", days=(0, 90), limit=2) == [("any", "12:00"), ("nine", "09:00")]
        now = dt.datetime.now(dt.UTC)
        over = {"from": now - 48 * HOUR, "to": now, "duration_minutes": 15}
        assert rows(directory.world.connection, "find_available_therapists", **over) == []


def test_only_those_who_are_named_are_found(directory: Directory) -> None:
    """Once, whoever else is among them."""
    named = [directory.ten.therapist, directory.closed, NOBODY, None, directory.ten.client, directory.ten.therapist]
    assert directory.found("08:00", "18:00", therapist_ids=named) == [("ten", "10:00")]
    assert directory.found("08:00", "18:00", therapist_ids=[]) == []


def test_therapists_are_found_by_the_rules_of_booking(directory: Directory) -> None:
    """Sessions, each one's own grid and lengths, notice and booking window."""
    directory.nine.book(0, "09:00")
    directory.any.set_policy(slot_step_minutes=60, slot_offset_minutes=20)
    directory.ten.set_policy(maximum_duration_minutes=45)
    assert directory.found("08:00", "18:00") == [("any", "08:20"), ("nine", "10:00")]
    # The one who is free first need not have the first slot.
    for start, expected in (("08:00", ("any", "08:20")), ("08:25", ("any", "09:20")), ("09:25", ("ten", "10:00"))):
        assert directory.found(start, "18:00", 45, limit=1) == [expected]
    directory.any.set_policy(slot_step_minutes=1440, slot_offset_minutes=1439)
    only: dict[str, Any] = {"therapist_ids": [directory.any.therapist]}
    assert directory.found("23:59", "23:58", days=(0, 1), **only) == [("any", "23:59")]
    assert directory.found("00:00", "12:00", days=(0, 9), **only) == [("any", "23:59")]
    assert directory.found("08:00", "12:00", 45, (0, 3), **only) == [("any", "23:59")]
    directory.any.set_policy(minimum_notice="300 days")
    assert directory.found("08:00", "12:00", 45, (0, 3), **only) == []
    directory.any.set_policy(minimum_notice=None, maximum_advance="2 days")
    assert directory.found("08:00", "12:00", 45, (0, 3), **only) == []
    # A notice that is longer than the booking window, of one of many.
    directory.any.set_policy(minimum_notice="3 days")
    assert [name for name, _ in directory.found("08:00", "23:59", 45)] == ["ten", "nine"]


def test_those_who_are_found_have_their_next_slot(directory: Directory) -> None:
    start = at(0, "00:00", dt.UTC)
    firsts = [
        (call(directory.world.connection, "next_available_slot", therapist_id=who.therapist, after=start)["start_time"],
         who.therapist)
        for who in (directory.ten, directory.nine, directory.any)
    ]  # fmt: skip
    period = {"from": start, "to": start + 30 * DAY}
    found = rows(directory.world.connection, "find_available_therapists", **period)
    assert [(row["start_time"], row["therapist_id"]) for row in found] == sorted(firsts)
