"""Hours: what a therapist sets, what is written and read of it, and when the therapist can be booked then."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.callers import logged_in
from tests.support.databases import on_supabase
from tests.support.life import call, rows
from tests.support.refusals import nothing_written, refused

DAY = dt.timedelta(days=1)
# A Monday that is one to two weeks ahead.
MONDAY = dt.date.today() + dt.timedelta(days=15 - dt.date.today().isoweekday())
NINE_TO_TWELVE = {"weekday": 1, "start_time": "09:00", "end_time": "12:00"}
SUNDAYS_OF_2020 = {
    "weekday": 7, "start_time": "00:00", "end_time": "24:00", "valid_from": "2020-01-01", "valid_to": "2020-12-31",
}  # fmt: skip


def set_week(world: World, therapist: UUID, *windows: dict[str, Any]) -> list[Any]:
    return rows(world.connection, "set_weekly_hours", therapist_id=therapist, hours=Jsonb(list(windows)))


def set_date(world: World, therapist: UUID, days: int, hours: list[dict[str, Any]] | None) -> list[Any]:
    """Set the hours of a date so many days after the Monday; none: as the week says."""
    given = None if hours is None else Jsonb(hours)
    answer = rows(
        world.connection, "set_date_override", therapist_id=therapist, date=MONDAY + days * DAY, hours=given
    )  # fmt: skip
    return [((row["override_date"] - MONDAY).days, clock(row["start_time"]), clock(row["end_time"])) for row in answer]


def clock(time: dt.time | None) -> str | None:
    return None if time is None else f"{time:%H:%M}"


def busy(world: World, therapist: UUID, *periods: tuple[int, str, str]) -> list[bool]:
    """Say whether the therapist is busy on days after the Monday, from one local time to another."""
    asked = "select check_booking_conflict(%s, %s, %s, %s)"
    return [world.scalar(asked, therapist, MONDAY + days * DAY, start, end) for days, start, end in periods]


def changes(world: World) -> list[Any]:
    return world.run(
        "select subject_id, payload from bookingdb.outbox where event = 'availability.changed' order by id"
    )


# ----------------------------------------------------------------------------------------------------------------------
# The week
# ----------------------------------------------------------------------------------------------------------------------


def test_a_week_is_written_told_and_read_in_order(world: World) -> None:
    """One event tells of it, and nothing changes for anybody else."""
    therapist, other = world.therapist("Asia/Kathmandu"), world.therapist()
    answer = set_week(
        world, therapist,
        {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
        {"weekday": 1, "start_time": "13:00:00", "end_time": "17:24:00", "valid_from": None},
        {"weekday": "1", "start_time": "09:00", "end_time": "12:00"},
        SUNDAYS_OF_2020,
    )  # fmt: skip
    week = [
        (1, dt.time(9), dt.time(12), None, None), (1, dt.time(13), dt.time(17, 24), None, None),
        (5, dt.time(22), dt.time(2), None, None),
        (7, dt.time(0), dt.time(0), dt.date(2020, 1, 1), dt.date(2020, 12, 31)),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in answer] == week
    assert world.run(
        "select therapist_id, weekday, start_time, end_time, valid_from, valid_to from bookingdb.weekly_hours"
        " order by weekday, start_time"
    ) == [(therapist, *window) for window in week]
    assert changes(world) == [(therapist, {"therapist_id": str(therapist)})]
    with nothing_written(world):
        read = rows(world.connection, "get_weekly_hours", therapist_id=therapist)
        assert [tuple(row.values()) for row in read] == week
        assert rows(world.connection, "get_weekly_hours", therapist_id=other) == []


def test_windows_of_one_weekday_are_read_by_validity(world: World) -> None:
    therapist = world.therapist()
    tuesday = {"weekday": 2, "start_time": "09:00"}
    set_week(
        world, therapist, {**tuesday, "end_time": "12:00", "valid_from": "2030-01-01"},
        {**tuesday, "end_time": "13:00", "valid_to": "2029-12-31"},
    )  # fmt: skip
    read = rows(world.connection, "get_weekly_hours", therapist_id=therapist)
    assert [row["end_time"].hour for row in read] == [13, 12]


def test_a_session_lies_in_a_window_of_the_week(world: World) -> None:
    therapist, other = world.therapist("Asia/Kathmandu"), world.therapist()
    set_week(
        world, therapist, NINE_TO_TWELVE, {"weekday": 1, "start_time": "13:00", "end_time": "17:24"},
        {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
        SUNDAYS_OF_2020,
    )  # fmt: skip
    inside = [(0, "09:00", "10:00"), (0, "11:00", "12:00"), (0, "14:00", "15:00"), (4, "23:30", "00:30"),
              (5, "01:00", "02:00")]  # fmt: skip
    outside = [
        (0, "08:59", "09:59"), (0, "11:01", "12:01"), (0, "11:30", "13:30"), (1, "09:00", "10:00"),
        (5, "01:30", "02:30"), (4, "01:00", "02:00"), (6, "10:00", "11:00"),
    ]  # fmt: skip
    assert busy(world, therapist, *inside) == [False] * len(inside)
    assert busy(world, therapist, *outside) == [True] * len(outside)
    # The window of Sundays held in 2020, and not before.
    asked = "select check_booking_conflict(%s, %s, '10:00', '11:00')"
    assert [world.scalar(asked, therapist, date) for date in ("2020-02-02", "2019-12-29")] == [False, True]
    # A therapist without a week can be booked at any time, as far ahead as is asked.
    assert busy(world, other, (1, "03:00", "04:00"), (4000, "10:00", "11:00")) == [False, False]


def test_windows_that_touch_are_one(world: World) -> None:
    """Also at midnight; and from ten to ten are 24 hours."""
    therapist = world.therapist("Asia/Kathmandu")
    set_week(
        world, therapist, {"weekday": 2, "start_time": "09:00", "end_time": "12:00"},
        {"weekday": 2, "start_time": "12:00", "end_time": "13:00"},
        {"weekday": 3, "start_time": "20:00", "end_time": "24:00"},
        {"weekday": 4, "start_time": "00:00", "end_time": "01:00"},
        {"weekday": 6, "start_time": "10:00", "end_time": "10:00"},
    )  # fmt: skip
    periods = [(1, "11:30", "12:30"), (2, "23:30", "00:30"), (6, "09:00", "10:00"), (6, "09:30", "10:30")]
    assert busy(world, therapist, *periods) == [False, False, False, True]


def test_another_week_takes_the_place_of_the_old_one(world: World) -> None:
    """What was booked stays; an empty week is none, and a week has 200 windows at most."""
    therapist = world.therapist()
    set_week(world, therapist, {"weekday": 2, "start_time": "09:00", "end_time": "12:00"}, NINE_TO_TWELVE)
    world.book(world.client(credits=1), therapist, "10:00", session_date=MONDAY + DAY)
    assert len(set_week(world, therapist, NINE_TO_TWELVE)) == 1
    assert world.run("select weekday from bookingdb.weekly_hours") == [(1,)]
    assert world.run("select status from sessions") == [("scheduled",)]
    assert set_week(world, therapist) == []
    assert busy(world, therapist, (1, "03:00", "04:00")) == [False]
    assert len(set_week(world, therapist, *[NINE_TO_TWELVE] * 200)) == 200


@on_supabase
def test_a_client_has_no_hours_of_their_own(hosted_world: World) -> None:
    client = hosted_world.client()
    with logged_in(hosted_world, client) as connection, nothing_written(hosted_world), refused("therapist_not_found"):
        rows(connection, "set_weekly_hours", therapist_id=client, hours=Jsonb([]))


# ----------------------------------------------------------------------------------------------------------------------
# Dates on which it is otherwise
# ----------------------------------------------------------------------------------------------------------------------

EVENING = [{"start_time": "22:00", "end_time": "01:00"}, {"start_time": "14:00", "end_time": "15:00"}]


def test_other_hours_hold_on_their_date_alone(world: World) -> None:
    therapist, client = world.therapist("Asia/Kathmandu"), world.client(credits=1)
    set_week(world, therapist, NINE_TO_TWELVE)
    world.book(client, therapist, "10:00", session_date=MONDAY)
    assert set_date(world, therapist, 0, EVENING) == [(0, "14:00", "15:00"), (0, "22:00", "01:00")]
    assert world.run("select override_date, start_time from bookingdb.date_overrides order by start_time") == [
        (MONDAY, dt.time(14)), (MONDAY, dt.time(22)),
    ]  # fmt: skip
    assert [subject for subject, _ in changes(world)] == [therapist] * 2
    periods = [(0, "14:00", "15:00"), (0, "23:30", "00:30"), (0, "11:00", "12:00"), (7, "11:00", "12:00"),
               (7, "14:00", "15:00")]  # fmt: skip
    assert busy(world, therapist, *periods) == [False, False, True, False, True]
    assert world.run("select status from sessions") == [("scheduled",)]


def test_a_date_is_closed_opened_and_given_back(world: World) -> None:
    therapist = world.therapist("Asia/Kathmandu")
    set_week(world, therapist, NINE_TO_TWELVE)
    set_date(world, therapist, 0, EVENING)
    # A closed date takes the place of what was there.
    assert set_date(world, therapist, 0, []) == [(0, None, None)]
    assert world.run("select override_date, start_time from bookingdb.date_overrides") == [(MONDAY, None)]
    closed = [(0, "11:00", "12:00"), (0, "14:00", "15:00"), (7, "11:00", "12:00")]
    assert busy(world, therapist, *closed) == [True, True, False]
    # A day without weekly hours can be opened.
    set_date(world, therapist, 1, [{"start_time": "00:00", "end_time": "24:00"}])
    assert busy(world, therapist, (1, "18:00", "20:00")) == [False]
    # Null takes the exception back, of that date alone; once more does no harm.
    for _ in range(2):
        assert set_date(world, therapist, 0, None) == []
    assert world.run("select override_date from bookingdb.date_overrides") == [(MONDAY + DAY,)]
    assert busy(world, therapist, (0, "11:00", "12:00")) == [False]


def test_a_night_before_a_closed_date_goes_on(world: World) -> None:
    therapist = world.therapist("Asia/Kathmandu")
    set_week(world, therapist, {"weekday": 7, "start_time": "22:00", "end_time": "02:00"})
    set_date(world, therapist, 0, [])
    assert busy(world, therapist, (0, "00:00", "02:00")) == [False]


def test_a_date_is_closed_without_a_week_too(world: World) -> None:
    """The day before ends at midnight then, and the next one is open from midnight on."""
    therapist = world.therapist()
    set_date(world, therapist, 0, [])
    set_date(world, therapist, 2, [{"start_time": "10:00", "end_time": "11:00"}])
    open_, closed = (
        [(-1, "23:00", "00:00"), (1, "00:00", "01:00"), (2, "10:00", "11:00"), (3, "03:00", "04:00")],
        [(-1, "23:30", "00:30"), (0, "10:00", "11:00"), (2, "11:00", "12:00")],
    )
    assert busy(world, therapist, *open_) == [False] * 4
    assert busy(world, therapist, *closed) == [True] * 3


def test_dates_are_listed_in_order_both_ends_included(world: World) -> None:
    therapist, other = world.therapist(), world.therapist()
    set_date(world, therapist, 2, [])
    set_date(world, therapist, 0, EVENING)
    set_date(world, therapist, 4, [{"start_time": "09:00", "end_time": "10:00"}])
    set_date(world, other, 1, [])

    def listed(first: Any, last: Any) -> list[tuple[int, str | None]]:
        answer = rows(world.connection, "list_date_overrides", therapist_id=therapist, **{"from": first, "to": last})
        return [((row["override_date"] - MONDAY).days, clock(row["start_time"])) for row in answer]

    everything = [(0, "14:00"), (0, "22:00"), (2, None), (4, "09:00")]
    with nothing_written(world):
        assert listed("-infinity", "infinity") == listed(MONDAY - DAY, MONDAY + 30 * DAY) == everything
        assert listed(MONDAY + 2 * DAY, MONDAY + 4 * DAY) == everything[2:]
        # A date on which the week holds, and an end before the beginning.
        assert listed(MONDAY + 3 * DAY, MONDAY + 3 * DAY) == listed(MONDAY + 4 * DAY, MONDAY + 2 * DAY) == []


# ----------------------------------------------------------------------------------------------------------------------
# Opening hours: both together
# ----------------------------------------------------------------------------------------------------------------------

KATHMANDU = ZoneInfo("Asia/Kathmandu")


def opening(world: World, therapist: UUID, first: int, last: int, zone: str | None = None) -> list[Any]:
    """Return the opening hours of days after the Monday, in such days and local times of Kathmandu."""
    answer = rows(
        world.connection, "list_opening_hours", therapist_id=therapist, time_zone=zone,
        **{"from": MONDAY + first * DAY, "to": MONDAY + last * DAY},
    )  # fmt: skip
    local = [[row[end].astimezone(KATHMANDU) for end in ("start_time", "end_time")] for row in answer]
    return [tuple((end.date() - MONDAY).days * 24 + end.hour + end.minute / 60 for end in period) for period in local]


def test_opening_hours_are_periods_cut_to_the_dates(world: World) -> None:
    """In hours after the Monday's midnight."""
    therapist = world.therapist("Asia/Kathmandu")
    # Without hours: all the time.
    assert opening(world, therapist, 0, 1) == [(0, 48)]
    set_week(
        world, therapist, NINE_TO_TWELVE, {"weekday": 1, "start_time": "12:00", "end_time": "13:00"},
        {"weekday": 1, "start_time": "22:00", "end_time": "02:00"},
    )  # fmt: skip
    # Windows that touch are one period, and one across midnight is whole.
    assert opening(world, therapist, 0, 1) == [(9, 13), (22, 26)]
    assert opening(world, therapist, 0, 0) == [(9, 13), (22, 24)]
    assert opening(world, therapist, 1, 1) == [(24, 26)]
    # The dates are those of the zone that was asked for, five hours and three quarters behind.
    assert opening(world, therapist, 0, 0, "UTC") == [(9, 13), (22, 26)]
    set_date(world, therapist, 0, [{"start_time": "10:00", "end_time": "11:00"}])
    assert opening(world, therapist, 0, 1) == [(10, 11)]
    set_date(world, therapist, 0, [])
    assert opening(world, therapist, 0, 1) == []


def test_hours_that_there_must_be_and_are_not_open_nothing(world: World) -> None:
    therapist = world.therapist("Asia/Kathmandu")
    call(world.connection, "set_policy", settings=Jsonb({"require_hours": True}), therapist_id=therapist)
    assert opening(world, therapist, 0, 1) == []
