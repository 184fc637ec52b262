"""Every function that takes a time goes by the same rules of what is free: book, hold, repeat, move, override."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import World
from tests.support.life import call, rows
from tests.support.refusals import code_of, nothing_written, refused

KATHMANDU = ZoneInfo("Asia/Kathmandu")
# A Monday that is one to two weeks ahead.
MONDAY = dt.date.today() + dt.timedelta(days=15 - dt.date.today().isoweekday())
WEEK = dt.timedelta(days=7)


def at(days: int, time: str) -> dt.datetime:
    """Return the timestamp of a local time some days after the Monday."""
    return dt.datetime.combine(MONDAY + dt.timedelta(days=days), dt.time.fromisoformat(time), KATHMANDU)


def seen(timestamp: dt.datetime) -> tuple[int, str]:
    """Return a timestamp in days after the Monday and local time."""
    local = timestamp.astimezone(KATHMANDU)
    return (local.date() - MONDAY).days, f"{local:%H:%M}"


@dataclass
class Office:
    """A therapist in Kathmandu, on Mondays from nine to twelve and on Fridays from ten in the evening to two.

    The second Monday is closed. On the third the therapist is off for an hour, and busy elsewhere for half an hour
    after it. On the fourth somebody has a session at ten, and holds the hour before it.
    """

    world: World
    therapist: UUID
    client: UUID
    in_the_way: UUID

    @classmethod
    def opened(cls, world: World) -> Office:
        therapist, somebody = world.therapist("Asia/Kathmandu"), world.client(credits=9)
        connection = world.connection
        hours = [
            {"weekday": 1, "start_time": "09:00", "end_time": "12:00"},
            {"weekday": 5, "start_time": "22:00", "end_time": "02:00"},
        ]
        rows(connection, "set_weekly_hours", therapist_id=therapist, hours=Jsonb(hours))
        close(world, therapist, 7)
        call(connection, "add_time_off", therapist_id=therapist, start=at(14, "09:00"), end=at(14, "10:00"))
        appointment = {
            "external_id": "a", "start_time": at(14, "10:00").isoformat(), "end_time": at(14, "10:30").isoformat(),
        }  # fmt: skip
        call(connection, "sync_external_busy", therapist_id=therapist, source="a", events=Jsonb([appointment]))
        booked = world.book(somebody, therapist, "10:00", session_date=MONDAY + 3 * WEEK)["id"]
        call(
            connection, "hold_slot",
            user_id=somebody, therapist_id=therapist, session_date=MONDAY + 3 * WEEK, session_time="09:00",
        )  # fmt: skip
        return cls(world, therapist, world.client(credits=20), booked)

    def set_policy(self, **settings: Any) -> None:
        call(self.world.connection, "set_policy", settings=Jsonb(settings), therapist_id=self.therapist)

    def set_status(self, status: str) -> None:
        self.world.run("update sessions set status = %s where id = %s", status, self.in_the_way)


def close(world: World, therapist: UUID, days: int) -> None:
    date = MONDAY + dt.timedelta(days=days)
    rows(world.connection, "set_date_override", therapist_id=therapist, date=date, hours=Jsonb([]))


@dataclass
class Taker:
    """One of the functions that take a time, with what it takes besides."""

    office: Office
    function: str
    options: dict[str, Any]

    def take(self, days: int, time: str, minutes: int = 60) -> None:
        date = MONDAY + dt.timedelta(days=days)
        slot = {"session_date": date, "session_time": time, "duration_minutes": minutes}
        rows(self.office.world.connection, self.function, **self.options, **slot)

    def refusal(self, days: int, time: str, minutes: int = 60) -> tuple[Any, ...]:
        """Return code, rule, and what is free next, or nothing; whatever is taken is given back."""
        connection = self.office.world.connection
        try:
            with connection.transaction(force_rollback=True):
                self.take(days, time, minutes)
        except psycopg.Error as error:
            code_of(error)
            detail = json.loads(error.diag.message_detail or "{}")
            next_free = detail.get("next_free")
            where = seen(dt.datetime.fromisoformat(next_free)) if next_free else ()
            return (detail["code"], *(rule for rule in [detail.get("rule")] if rule), *where)
        return ()


TAKERS = ["create_session_with_credit_deduction", "hold_slot", "book_series", "reschedule_session"]


@pytest.fixture
def office(clean_world: World) -> Office:
    return Office.opened(clean_world)


@pytest.fixture(params=TAKERS)
def taker(request: pytest.FixtureRequest, office: Office) -> Taker:
    people = {"user_id": office.client, "therapist_id": office.therapist}
    if request.param == "reschedule_session":
        booked = office.world.book(office.client, office.therapist, "09:00", session_date=MONDAY + 5 * WEEK)
        return Taker(office, request.param, {"session_id": booked["id"]})
    return Taker(office, request.param, {**people, **({"occurrences": 1} if request.param == "book_series" else {})})


def differing(taker: Taker, expected: list[tuple[tuple[Any, ...], tuple[Any, ...]]]) -> list[Any]:
    answers = ((asked, taker.refusal(*asked), answer) for asked, answer in expected)
    return [(asked, answer, wanted) for asked, answer, wanted in answers if answer != wanted]


def test_hours_time_off_and_the_calendar_bind_every_taker(taker: Taker) -> None:
    hours, conflict = "outside_availability", "booking_conflict"
    assert differing(taker, [
        # Within the hours: the first and the last hour, off any grid, across midnight, and behind it.
        ((0, "09:00"), ()),
        ((0, "11:00"), ()),
        ((0, "10:07", 33), ()),
        ((4, "23:30"), ()),
        ((5, "01:00"), ()),
        ((0, "08:00"), (hours, "weekly_hours", 0, "09:00")),
        ((0, "11:30"), (hours, "weekly_hours", 4, "22:00")),
        ((1, "09:00"), (hours, "weekly_hours", 4, "22:00")),
        ((5, "01:30"), (hours, "weekly_hours", 11, "22:00")),
        ((7, "09:00"), (hours, "date_override", 11, "22:00")),
        ((14, "09:30"), (conflict, "time_off", 14, "10:30")),
        ((14, "10:15"), (conflict, "external", 14, "10:30")),
        # Hours are looked at first.
        ((14, "08:30"), (hours, "weekly_hours", 14, "10:30")),
        ((21, "10:30"), (conflict, "session", 21, "11:00")),
        ((21, "09:00", 30), (conflict, "hold", 21, "11:00")),
        ((400, "10:00"), ("too_far", "maximum_advance")),
        ((-30, "10:00"), ("in_past",)),
    ]) == []  # fmt: skip


def test_buffers_bind_every_taker(taker: Taker) -> None:
    taker.office.set_policy(buffer_before_minutes=10, buffer_after_minutes=5)
    assert differing(taker, [
        ((21, "11:09", 45), ("booking_conflict", "buffer", 21, "11:15")),
        ((21, "11:10", 45), ()),
        ((14, "10:39", 45), ("booking_conflict", "buffer", 14, "10:45")),
        ((14, "10:40", 45), ()),
        # Hours need none.
        ((0, "09:00", 180), ()),
    ]) == []  # fmt: skip


def test_limits_of_a_day_and_a_week_bind_every_taker(taker: Taker) -> None:
    """A session and a hold fill them; what took place counts, what was cancelled does not."""
    office = taker.office
    office.set_policy(maximum_sessions_per_day=2)
    assert taker.refusal(21, "11:00") == ("booking_conflict", "maximum_sessions_per_day", 25, "22:00")
    assert taker.refusal(25, "22:00") == ()

    office.set_policy(maximum_sessions_per_day=None, maximum_sessions_per_week=2)
    for status in ("scheduled", "completed"):
        office.set_status(status)
        assert taker.refusal(25, "22:00") == ("booking_conflict", "maximum_sessions_per_week", 28, "09:00")
    office.set_status("cancelled")
    assert taker.refusal(25, "22:00") == ()


def test_booking_window_and_required_hours_bind_every_taker(taker: Taker) -> None:
    office = taker.office
    office.set_policy(minimum_notice="90 days")
    first = call(office.world.connection, "next_available_slot", therapist_id=office.therapist)["start_time"]
    assert taker.refusal(0, "09:00") == ("too_soon", "minimum_notice", *seen(first))
    assert taker.refusal(112, "09:00") == ()
    office.set_policy(minimum_notice=None, maximum_advance="13 days")
    assert taker.refusal(14, "11:00") == ("too_far", "maximum_advance")

    office.set_policy(maximum_advance=None, require_hours=True)
    rows(office.world.connection, "set_weekly_hours", therapist_id=office.therapist, hours=Jsonb([]))
    assert taker.refusal(0, "09:00") == ("outside_availability", "require_hours")
    # There were hours, and so there is no time outside of them.
    office.set_policy(require_hours=None)
    assert taker.refusal(0, "03:00") == ("outside_availability", "weekly_hours")
    rows(office.world.connection, "set_weekly_hours", therapist_id=office.therapist, hours=None)
    assert taker.refusal(0, "03:00") == ()


def test_a_closed_date_is_an_error_with_its_message(taker: Taker) -> None:
    close(taker.office.world, taker.office.therapist, 8)
    with nothing_written(taker.office.world), refused("outside_availability"):
        taker.take(8, "10:00")


def test_detail_says_the_rule_and_what_is_free_next(office: Office) -> None:
    close(office.world, office.therapist, 8)
    rows(office.world.connection, "set_weekly_hours", therapist_id=office.therapist, hours=None)
    with refused("outside_availability") as refusal:
        office.world.book(office.client, office.therapist, "10:00", session_date=MONDAY + dt.timedelta(days=8))
    iso = "%Y-%m-%dT%H:%M:%SZ"
    start, end, free = (at(*when).astimezone(dt.UTC).strftime(iso) for when in (
        (8, "10:00"), (8, "11:00"), (9, "00:00"),
    ))  # fmt: skip
    assert refusal.detail == {
        "code": "outside_availability", "rule": "date_override", "therapist_id": str(office.therapist),
        "start_time": start, "end_time": end, "next_free": free, "time_zone": "Asia/Kathmandu",
    }  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# What a function does not count against itself
# ----------------------------------------------------------------------------------------------------------------------


def test_a_replaced_hold_does_not_fill_the_day(office: Office) -> None:
    office.set_policy(maximum_sessions_per_day=1)
    taker = Taker(office, "hold_slot", {"user_id": office.client, "therapist_id": office.therapist})
    taker.take(28, "09:00")
    taker.take(28, "11:00")
    assert office.world.violations() == []


def test_a_moved_session_fills_no_day_and_keeps_no_distance(office: Office) -> None:
    booked = office.world.book(office.client, office.therapist, "09:00", session_date=MONDAY + 5 * WEEK)
    office.set_policy(maximum_sessions_per_day=1, buffer_before_minutes=30)
    Taker(office, "reschedule_session", {"session_id": booked["id"]}).take(35, "09:45")
    assert office.world.violations() == []


def test_a_series_fills_the_week_with_its_own_sessions(office: Office) -> None:
    rows(office.world.connection, "set_weekly_hours", therapist_id=office.therapist, hours=None)
    office.set_policy(maximum_sessions_per_week=2)
    people = {"user_id": office.client, "therapist_id": office.therapist}
    daily = Taker(office, "book_series", {**people, "occurrences": 3, "every": "1 day"})
    with nothing_written(office.world), refused("booking_conflict") as refusal:
        daily.take(42, "10:00")
    assert (refusal.detail["rule"], refusal.detail["occurrence"]) == ("maximum_sessions_per_week", 3)
    assert refusal.detail["session_date"] == (MONDAY + dt.timedelta(days=44)).isoformat()
    assert seen(dt.datetime.fromisoformat(refusal.detail["next_free"])) == (49, "00:00")
    Taker(office, "book_series", {**people, "occurrences": 2, "every": "7 days"}).take(42, "10:00")
    assert office.world.violations() == []


def test_a_hold_is_booked_by_the_rules_of_its_making(office: Office) -> None:
    """Notice, booking window, hours and limits were looked at then; nobody overrode anything."""
    connection = office.world.connection
    held = call(
        connection, "hold_slot", user_id=office.client, therapist_id=office.therapist,
        session_date=MONDAY + 4 * WEEK, session_time="09:00",
    )["id"]  # fmt: skip
    other = office.world.client(credits=1)
    office.world.book(other, office.therapist, "11:00", session_date=MONDAY + 4 * WEEK)
    close(office.world, office.therapist, 28)
    tuesdays = [{"weekday": 2, "start_time": "09:00", "end_time": "12:00"}]
    rows(connection, "set_weekly_hours", therapist_id=office.therapist, hours=Jsonb(tuesdays))
    office.set_policy(
        minimum_notice="300 days", maximum_advance="1 day", maximum_sessions_per_day=1, maximum_sessions_per_week=1
    )
    with refused("too_soon"):
        office.world.book(office.world.client(credits=1), office.therapist, "10:00", session_date=MONDAY + 4 * WEEK)

    call(connection, "book_hold", hold_id=held)

    assert office.world.run("select hours_overridden from sessions where id = %s", held) == [(False,)]
    assert office.world.run("select changes from booking_audit_log where session_id = %s", held) == [({},)]
    assert office.world.violations() == []


@pytest.mark.parametrize(("change", "code"), [
    ("update bookingdb.policies set minimum_duration_minutes = 90 where therapist_id is not null", "invalid_duration"),
    (
        "update bookingdb.holds set start_time = now() - interval '1 minute', end_time = now() + interval '59 minutes'"
        " where user_id = %(client)s",
        "in_past",
    ),
    ("update users set is_active = false where id = %(client)s", "user_not_found"),
    ("update users set is_active = false where id = %(therapist)s", "therapist_not_found"),
])  # fmt: skip
def test_a_hold_is_not_booked_when_this_came_since(office: Office, change: str, code: str) -> None:
    held = call(
        office.world.connection, "hold_slot", user_id=office.client, therapist_id=office.therapist,
        session_date=MONDAY + 4 * WEEK, session_time="09:00",
    )["id"]  # fmt: skip
    office.world.connection.execute(change.encode(), {"client": office.client, "therapist": office.therapist})
    with nothing_written(office.world), refused(code):
        call(office.world.connection, "book_hold", hold_id=held)


# ----------------------------------------------------------------------------------------------------------------------
# Booking outside of the hours
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def override(office: Office) -> Taker:
    people = {"user_id": office.client, "therapist_id": office.therapist}
    return Taker(office, "book_session_with_override", people)


def test_an_override_is_one_only_outside_of_the_hours(override: Taker) -> None:
    """Also where half a session is outside, on a closed date, and without the hours that there must be."""
    world = override.office.world
    for days, time, expected in ((1, "20:00", True), (0, "09:00", False), (0, "11:30", True), (7, "09:00", True)):
        override.take(days, time)
        session, overridden = world.run(
            "select id, hours_overridden from sessions where start_time = %s", at(days, time)
        )[0]
        (changes,) = world.run("select changes from booking_audit_log where session_id = %s", session)[0]
        told = {"hours_overridden": {"new": True}, "overridden_rules": {"new": ["hours"]}}
        assert (overridden, changes) == (expected, told if expected else {})
        assert world.run("select kind, amount from bookingdb.ledger where session_id = %s", session) == [("debit", -1)]
        assert world.run("select kind from bookingdb.calendar where id = %s", session) == [("session",)]
    closed = world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"require_hours": True}), therapist_id=closed)
    Taker(override.office, override.function, {**override.options, "therapist_id": closed}).take(9, "10:00")
    assert world.violations() == []


def test_an_overridden_session_is_moved_in_and_not_out(override: Taker) -> None:
    world = override.office.world
    override.take(1, "20:00")
    session = world.scalar("select id from sessions where hours_overridden")
    move = Taker(override.office, "reschedule_session", {"session_id": session})
    move.take(35, "09:00")
    assert world.scalar("select hours_overridden from sessions where id = %s", session) is False
    assert move.refusal(36, "09:00") == ("outside_availability", "weekly_hours", 39, "22:00")


def test_hours_that_are_not_overridden_bind(override: Taker) -> None:
    override.options["override_hours"] = False
    assert override.refusal(1, "20:00") == ("outside_availability", "weekly_hours", 4, "22:00")


def test_an_override_overrides_hours_alone(override: Taker) -> None:
    office = override.office
    somebody = office.world.client(credits=9)
    other = Taker(office, override.function, {**override.options, "user_id": somebody})
    other.take(16, "10:00")
    office.set_policy(buffer_before_minutes=10, maximum_sessions_per_day=1, minimum_notice="24 hours")
    assert differing(override, [
        # What is free next is so without regard to hours, too.
        ((14, "09:00"), ("booking_conflict", "time_off", 14, "10:45")),
        ((14, "10:15"), ("booking_conflict", "external", 14, "10:45")),
        ((14, "10:35"), ("booking_conflict", "buffer", 14, "10:45")),
        ((16, "10:30"), ("booking_conflict", "session", 17, "00:00")),
        ((16, "18:00"), ("booking_conflict", "maximum_sessions_per_day", 17, "00:00")),
        ((21, "09:30", 30), ("booking_conflict", "hold", 22, "00:00")),
        ((400, "10:00"), ("too_far", "maximum_advance")),
        ((-30, "10:00"), ("in_past",)),
    ]) == []  # fmt: skip
    soon = (dt.datetime.now(KATHMANDU) + dt.timedelta(hours=3)).replace(second=0, microsecond=0)
    assert override.refusal(*seen(soon))[:2] == ("too_soon", "minimum_notice")
    # The client's own session elsewhere.
    busy = office.world.book(office.client, office.world.therapist("Asia/Kathmandu"), "10:00",
                             session_date=MONDAY + dt.timedelta(days=18))  # fmt: skip
    assert busy["credits_balance"] == 19
    assert override.refusal(18, "10:30") == ("client_conflict", "session")


def test_an_override_costs_a_credit_too(office: Office) -> None:
    people = {"user_id": office.world.client(), "therapist_id": office.therapist}
    with nothing_written(office.world), refused("insufficient_credits"):
        Taker(office, "book_session_with_override", people).take(1, "20:00")


# ----------------------------------------------------------------------------------------------------------------------
# Direct writers
# ----------------------------------------------------------------------------------------------------------------------


def test_direct_writers_are_bound_by_the_calendar_alone(office: Office) -> None:
    """Not by hours, notice and limits; but by distances, time off and appointments elsewhere."""
    close(office.world, office.therapist, 8)
    office.set_policy(buffer_after_minutes=15, minimum_notice="30 days", maximum_sessions_per_day=1)

    def write(days: int, start: str, end: str) -> None:
        office.world.run(
            "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
            *(office.client, office.therapist, at(days, start), at(days, end)),
        )

    write(8, "10:00", "11:00")
    write(8, "11:15", "12:00")
    for days, start, end in ((8, "12:10", "13:00"), (14, "09:30", "11:00"), (14, "10:15", "11:00")):
        with nothing_written(office.world), refused("booking_conflict"):
            write(days, start, end)
    assert office.world.violations() == []
