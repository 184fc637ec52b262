"""Hours: what a therapist sets, what is written and read of it, and when the therapist can be booked then."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from bookingdb.checks.verify import verify
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
        (1, dt.time(9), dt.time(12), None, None, 1, None), (1, dt.time(13), dt.time(17, 24), None, None, 1, None),
        (5, dt.time(22), dt.time(2), None, None, 1, None),
        (7, dt.time(0), dt.time(0), dt.date(2020, 1, 1), dt.date(2020, 12, 31), 1, None),
    ]  # fmt: skip
    assert [tuple(row.values()) for row in answer] == week
    assert world.run(
        "select therapist_id, weekday, start_time, end_time, valid_from, valid_to, every_weeks, time_zone"
        " from bookingdb.weekly_hours order by weekday, start_time"
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
    """What was booked stays, and a week has 200 windows at most."""
    therapist = world.therapist()
    set_week(world, therapist, {"weekday": 2, "start_time": "09:00", "end_time": "12:00"}, NINE_TO_TWELVE)
    world.book(world.client(credits=1), therapist, "10:00", session_date=MONDAY + DAY)
    assert len(set_week(world, therapist, NINE_TO_TWELVE)) == 1
    assert world.run("select weekday from bookingdb.weekly_hours") == [(1,)]
    assert world.run("select status from sessions") == [("scheduled",)]
    assert len(set_week(world, therapist, *[NINE_TO_TWELVE] * 200)) == 200


@on_supabase
def test_a_client_has_no_hours_of_their_own(hosted_world: World) -> None:
    client = hosted_world.client()
    with logged_in(hosted_world, client) as connection, nothing_written(hosted_world), refused("therapist_not_found"):
        rows(connection, "set_weekly_hours", therapist_id=client, hours=Jsonb([]))


# ----------------------------------------------------------------------------------------------------------------------
# Every second week, and in another zone
# ----------------------------------------------------------------------------------------------------------------------


def open_dates(world: World, therapist: UUID, days: int = 63) -> list[int]:
    """Return the days after the Monday on which the therapist is there, in the dates of their zone."""
    opened = world.run(
        "select (start_time at time zone 'UTC')::date from list_opening_hours(%s, %s, %s, 'UTC')",
        therapist, MONDAY, MONDAY + days * DAY,
    )  # fmt: skip
    return [(date - MONDAY).days for (date,) in opened]


def test_window_of_every_second_week_skips_the_others(world: World) -> None:
    """The week of valid_from is the first, whichever day of it that is."""
    therapist = world.therapist()
    tuesday = {"weekday": 2, "start_time": "09:00", "end_time": "12:00"}
    for every, start, expected in (
        (2, 0, [1, 15, 29, 43, 57]), (2, 1, [1, 15, 29, 43, 57]), (2, 6, [15, 29, 43, 57]), (2, -1, [8, 22, 36, 50]),
        (3, 0, [1, 22, 43]), (8, -56, [1, 57]), (1, 10, [15, 22, 29, 36, 43, 50, 57]),
    ):  # fmt: skip
        valid_from = (MONDAY + start * DAY).isoformat()
        (row,) = set_week(world, therapist, {**tuesday, "every_weeks": every, "valid_from": valid_from})
        assert (row["every_weeks"], row["time_zone"]) == (every, None)
        assert open_dates(world, therapist) == expected, (every, start)
    # The other weeks can have other hours, and an override takes the place of either.
    weeks = [{**tuesday, "every_weeks": 2, "valid_from": (MONDAY + start * DAY).isoformat()} for start in (0, 7)]
    set_week(world, therapist, *weeks)
    set_date(world, therapist, 8, [])
    assert open_dates(world, therapist) == [1, 15, 22, 29, 36, 43, 50, 57]
    assert busy(world, therapist, (1, "09:00", "10:00"), (8, "09:00", "10:00")) == [False, True]


def test_window_of_another_zone_is_on_that_zones_clock(world: World) -> None:
    """Its dates are that zone's, too; an override of the date takes its place."""
    therapist = world.therapist("Europe/Berlin")
    lisbon = {"weekday": 1, "start_time": "09:00", "end_time": "12:00", "time_zone": "Europe/Lisbon"}
    (row,) = set_week(world, therapist, {**lisbon, "valid_to": (MONDAY + 7 * DAY).isoformat()})
    assert (row["every_weeks"], row["time_zone"]) == (1, "Europe/Lisbon")
    # Berlin is an hour ahead.
    periods = [(0, "10:00", "11:00"), (0, "12:00", "13:00"), (0, "09:30", "10:30"), (7, "10:00", "11:00"),
               (14, "10:00", "11:00")]  # fmt: skip
    assert busy(world, therapist, *periods) == [False, False, True, False, True]
    set_date(world, therapist, 0, [{"start_time": "20:00", "end_time": "21:00"}])
    assert busy(world, therapist, (0, "10:00", "11:00"), (0, "20:00", "21:00")) == [True, False]
    set_date(world, therapist, 0, None)
    # Monday morning of Auckland is Sunday in Berlin.
    auckland = {"weekday": 1, "start_time": "06:00", "end_time": "09:00", "time_zone": "Pacific/Auckland"}
    set_week(world, therapist, auckland)
    opened = world.run("select start_time from list_opening_hours(%s, %s, %s)", therapist, MONDAY, MONDAY + 7 * DAY)
    start = dt.datetime.combine(MONDAY + 7 * DAY, dt.time(6), ZoneInfo("Pacific/Auckland"))
    assert opened == [(start,)]
    assert start.astimezone(ZoneInfo("Europe/Berlin")).date() == MONDAY + 6 * DAY
    set_date(world, therapist, 7, [])
    assert busy(world, therapist, (6, f"{start.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}", "20:00")) == [True]


def test_grid_of_a_window_is_on_the_clock_of_its_zone(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    set_week(
        world, therapist,
        {"weekday": 1, "start_time": "09:15", "end_time": "12:15", "time_zone": "Asia/Kathmandu"},
    )  # fmt: skip
    slots = world.run(
        "select start_time from list_available_slots(%s, %s, %s, 60, 'Asia/Kathmandu', 60)", therapist, MONDAY, MONDAY
    )
    kathmandu = ZoneInfo("Asia/Kathmandu")
    assert [f"{start.astimezone(kathmandu):%H:%M}" for (start,) in slots] == ["09:15", "10:15", "11:15"]
    found = world.run(
        "select start_time from find_available_therapists(%s, %s, 60, %s)",
        dt.datetime.combine(MONDAY, dt.time(), kathmandu), MONDAY + 2 * DAY, [therapist],
    )  # fmt: skip
    assert found == slots[:1]


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"every_weeks": 2}, "invalid_parameter"),
        ({"every_weeks": 0, "valid_from": "2030-01-01"}, "invalid_parameter"),
        ({"every_weeks": 9, "valid_from": "2030-01-01"}, "invalid_parameter"),
        ({"every_weeks": 1.5, "valid_from": "2030-01-01"}, "invalid_parameter"),
        ({"time_zone": 7}, "invalid_parameter"),
        ({"time_zone": "Mars/Olympus"}, "invalid_time_zone"),
        ({"time_zone": ""}, "invalid_time_zone"),
    ],
)
def test_window_of_no_week_or_zone_is_refused(world: World, field: dict[str, Any], code: str) -> None:
    therapist = world.therapist()
    with nothing_written(world), refused(code) as refusal:
        set_week(world, therapist, NINE_TO_TWELVE, {**NINE_TO_TWELVE, **field})
    assert refusal.detail.get("window") in (2, None)
    with nothing_written(world), refused(code):
        set_date(world, therapist, 0, [{"start_time": "09:00", "end_time": "12:00", **field}])


def test_date_has_no_windows_of_weeks_or_zones(world: World) -> None:
    therapist = world.therapist()
    for field in ({"every_weeks": 1}, {"time_zone": "UTC"}):
        with nothing_written(world), refused("invalid_parameter"):
            set_date(world, therapist, 0, [{"start_time": "09:00", "end_time": "12:00", **field}])


# ----------------------------------------------------------------------------------------------------------------------
# No hours: nobody knows any, or there were some
# ----------------------------------------------------------------------------------------------------------------------

NIGHT = (1, "03:00", "04:00")


def forget_hours(world: World, therapist: UUID) -> None:
    assert rows(world.connection, "set_weekly_hours", therapist_id=therapist, hours=None) == []


def is_bookable_any_time(world: World, therapist: UUID) -> bool:
    asked: bool = world.scalar("select is_bookable_any_time(%s)", therapist)
    # Whatever asks, answers alike.
    assert busy(world, therapist, NIGHT) == [not asked]
    listed = world.run("select * from list_available_slots(%s, %s, %s)", therapist, MONDAY + DAY, MONDAY + DAY)
    opened = world.run("select * from list_opening_hours(%s, %s, %s)", therapist, MONDAY + DAY, MONDAY + DAY)
    week = dt.timedelta(days=8)
    found = world.run(
        "select * from find_available_therapists(%s, %s, 60, %s)", MONDAY, MONDAY + week, [therapist]
    )  # fmt: skip
    first = world.run("select * from next_available_slot(%s)", therapist)
    assert [bool(answer) for answer in (listed, opened, found, first)] == [asked] * 4
    return asked


REMOVALS = {
    "function": "select set_weekly_hours(%s, '[]')",
    "delete": "delete from bookingdb.weekly_hours where therapist_id = %s",
    "truncate": "truncate bookingdb.weekly_hours",
    "another_therapist": "update bookingdb.weekly_hours set therapist_id = gen_random_uuid() where therapist_id = %s",
}


@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize("entry", ["function", "insert"])
def test_therapist_whose_hours_are_removed_is_closed(world: World, entry: str, removal: str) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    if entry == "function":
        set_week(world, therapist, NINE_TO_TWELVE)
    else:
        world.run(
            "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
            " values (%s, 1, '09:00', '12:00')", therapist
        )  # fmt: skip
    statement = REMOVALS[removal]
    world.run(statement, *([therapist] if "%s" in statement else []))
    assert not is_bookable_any_time(world, therapist)
    with nothing_written(world), refused("outside_availability") as refusal:
        world.book(client, therapist, "03:00", session_date=MONDAY)
    assert (refusal.detail["rule"], refusal.detail["next_free"]) == ("weekly_hours", None)
    # A date can be opened; the others stay closed.
    set_date(world, therapist, 0, [{"start_time": "09:00", "end_time": "12:00"}])
    assert busy(world, therapist, (0, "09:00", "10:00"), NIGHT) == [False, True]
    assert world.violations() == []


def test_therapist_whose_hours_are_over_is_closed(world: World) -> None:
    therapist = world.therapist()
    set_week(world, therapist, SUNDAYS_OF_2020)
    assert not is_bookable_any_time(world, therapist)
    set_week(world, therapist)
    assert not is_bookable_any_time(world, therapist)


def test_therapist_who_never_had_hours_stays_bookable(world: World) -> None:
    """Also one who says so with an empty week, or has exceptions only; unless hours are required."""
    therapist = world.therapist()
    assert is_bookable_any_time(world, therapist)
    set_week(world, therapist)
    assert is_bookable_any_time(world, therapist)
    set_date(world, therapist, 0, [])
    assert busy(world, therapist, (0, "03:00", "04:00"), NIGHT) == [True, False]
    set_date(world, therapist, 0, None)
    world.run("select set_policy('{\"require_hours\": true}')")
    assert not is_bookable_any_time(world, therapist)


def test_hours_that_are_forgotten_close_nobody(world: World) -> None:
    therapist = world.therapist()
    for _ in range(2):
        set_week(world, therapist, NINE_TO_TWELVE)
        forget_hours(world, therapist)
        assert is_bookable_any_time(world, therapist)
        assert world.count("bookingdb.weekly_hours") == 0
    assert len(changes(world)) == 4
    set_week(world, therapist, NINE_TO_TWELVE)
    set_week(world, therapist)
    assert not is_bookable_any_time(world, therapist)
    forget_hours(world, therapist)
    assert is_bookable_any_time(world, therapist)


def test_hours_stand_whoever_deletes_their_mark(world: World) -> None:
    """Who has hours is never bookable at any time."""
    therapist, other = world.therapist(), world.therapist()
    set_week(world, therapist, NINE_TO_TWELVE)
    world.run("delete from bookingdb.therapists_with_hours")
    assert busy(world, therapist, NIGHT) == [True]
    world.run("update bookingdb.therapists_with_hours set therapist_id = %s", other)
    assert busy(world, therapist, NIGHT) == [True]
    assert not is_bookable_any_time(world, other)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("truncate bookingdb.therapists_with_hours")


def test_hours_without_a_mark_are_found_and_get_one(world: World) -> None:
    """Written behind the triggers, as a restored table may be."""
    therapist = world.therapist()
    world.run("alter table bookingdb.weekly_hours disable trigger user")
    world.run(
        "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
        " values (%s, 1, '09:00', '12:00')", therapist,
    )  # fmt: skip
    world.run("alter table bookingdb.weekly_hours enable trigger user")
    assert busy(world, therapist, NIGHT) == [False]

    finding, rules = verify(world.connection)
    assert (finding.group, finding.object) == ("contents", "bookingdb.weekly_hours")
    # The mark brings the therapist's rules into step, too.
    assert "write_rules(null)" in rules.remedy
    world.run(finding.remedy.split("`")[1])
    assert busy(world, therapist, NIGHT) == [True]
    assert verify(world.connection) == []


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
