"""Time off and other calendars: what they take, what they leave alone, and what is told of it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import call, rows
from tests.support.refusals import nothing_written, refused

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)


def at(days: int, time: str = "00:00") -> dt.datetime:
    """Return a timestamp some days after the first on which the tests book."""
    return dt.datetime.combine(TOMORROW + days * DAY, dt.time.fromisoformat(time), dt.UTC)


def iso(timestamp: dt.datetime) -> str:
    return f"{timestamp:%Y-%m-%dT%H:%M:%SZ}"


def take_off(world: World, therapist: UUID, start: dt.datetime, end: dt.datetime, reason: str | None = None) -> Any:
    return call(world.connection, "add_time_off", therapist_id=therapist, start=start, end=end, reason=reason)


def changes(world: World) -> list[UUID]:
    told = world.run("select subject_id from bookingdb.outbox where event = 'availability.changed' order by id")
    return [subject for (subject,) in told]


def is_busy(world: World, therapist: UUID, days: int, start: str, end: str) -> bool:
    asked = "select check_booking_conflict(%s, %s, %s, %s)"
    return bool(world.scalar(asked, therapist, TOMORROW + days * DAY, start, end))


# ----------------------------------------------------------------------------------------------------------------------
# Time off
# ----------------------------------------------------------------------------------------------------------------------


def test_time_off_is_a_row_an_event_and_a_list_of_sessions(world: World) -> None:
    """A session that ends when it begins, or that was cancelled, does not lie in it; the sessions stay."""
    client, therapist = world.client(credits=9), world.therapist()
    first, second, third = (
        world.book(client, therapist, session_date=TOMORROW + days * DAY)["id"] for days in (0, 1, 2)
    )
    cancelled = world.book(client, therapist, "14:00", session_date=TOMORROW + DAY)["id"]
    call(world.connection, "cancel_session", session_id=cancelled)
    before = world.run("select * from sessions order by id")

    off = take_off(world, therapist, at(0, "11:00"), at(2, "10:30"), "a conference")

    assert (off["start_time"], off["end_time"], off["reason"]) == (at(0, "11:00"), at(2, "10:30"), "a conference")
    assert off["session_ids"] == [second, third]
    assert world.run(
        "select id, therapist_id, client_id, lower(period), upper(period), reason"
        " from bookingdb.absences where kind = 'time_off'"
    ) == [(off["id"], therapist, None, at(0, "11:00"), at(2, "10:30"), "a conference")]
    assert changes(world) == [therapist]
    assert world.run("select * from sessions order by id") == before
    assert first not in off["session_ids"]
    assert call(world.connection, "confirm_session", session_id=second)["status"] == "confirmed"
    assert world.violations() == []


@pytest.mark.parametrize("length", [dt.timedelta(minutes=1), 7 * DAY, 7 * DAY + dt.timedelta(minutes=1), 400 * DAY])
@pytest.mark.parametrize("taker", ["book", "hold", "move"])
def test_time_off_of_any_length_counts_to_its_last_minute(world: World, taker: str, length: dt.timedelta) -> None:
    """Also among others, and from its first minute on."""
    client, therapist = world.client(credits=9), world.therapist()
    session = world.book(client, therapist, "20:00", duration_minutes=60)["id"]

    def take(time: str) -> Any:
        match taker:
            case "book":
                return world.book(client, therapist, time, duration_minutes=60)
            case "hold":
                return call(
                    world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
                    session_time=time, duration_minutes=60,
                )  # fmt: skip
        return call(
            world.connection, "reschedule_session", session_id=session, session_date=TOMORROW, session_time=time
        )

    take_off(world, therapist, at(0, "10:01") - length, at(0, "10:01"))
    take_off(world, therapist, at(0, "12:59"), at(0, "12:59") + dt.timedelta(minutes=1))
    for taken in ("10:00", "12:00"):
        with nothing_written(world), refused("booking_conflict") as refusal:
            take(taken)
        assert refusal.detail["rule"] == "time_off"
    take("10:45")
    assert world.violations() == []


def test_nothing_is_booked_moved_or_held_into_time_off(world: World) -> None:
    client, therapist = world.client(credits=9), world.therapist()
    session = world.book(client, therapist, "08:00")["id"]
    held = call(
        world.connection, "hold_slot",
        user_id=world.client(credits=1), therapist_id=therapist, session_date=TOMORROW, session_time="12:00",
    )["id"]  # fmt: skip
    take_off(world, therapist, at(0, "11:00"), at(2, "10:30"))
    with nothing_written(world):
        with refused("booking_conflict") as refusal:
            world.book(client, therapist, "16:00", session_date=TOMORROW + DAY)
        assert (refusal.detail["rule"], refusal.detail["next_free"]) == ("time_off", iso(at(2, "10:30")))
        with refused("booking_conflict"):
            call(
                world.connection, "reschedule_session",
                session_id=session, session_date=TOMORROW, session_time="10:30",
            )  # fmt: skip
        with refused("booking_conflict"):
            call(world.connection, "book_hold", hold_id=held)
        with refused("booking_conflict"):
            world.run(
                "insert into sessions (user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s)",
                *(client, therapist, at(1, "16:00"), at(1, "17:00")),
            )
    assert world.book(client, therapist, "10:30", session_date=TOMORROW + 2 * DAY)["status"] == "scheduled"
    assert world.book(client, world.therapist(), "16:00", session_date=TOMORROW + DAY)["status"] == "scheduled"


def test_the_same_time_off_again_is_the_same(world: World) -> None:
    """With the reason that it had; another one that overlaps it is one of its own."""
    therapist = world.therapist()
    off = take_off(world, therapist, at(0), at(2), "a conference")
    with nothing_written(world):
        assert take_off(world, therapist, at(0), at(2), "else") == off
    assert take_off(world, therapist, at(1), at(3))["id"] != off["id"]
    past = take_off(world, therapist, at(-9), at(-8))
    assert (past["reason"], past["session_ids"]) == (None, [])


def test_time_off_needs_no_distance(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    settings = Jsonb({"buffer_before_minutes": 30, "buffer_after_minutes": 30})
    call(world.connection, "set_policy", settings=settings, therapist_id=therapist)
    take_off(world, therapist, at(0, "10:00"), at(0, "12:00"))
    for time in ("09:00", "12:00"):
        assert world.book(client, therapist, time)["status"] == "scheduled"


def test_time_off_that_reaches_into_a_time_is_listed(world: World) -> None:
    """In order, with its sessions; not what only touches it, nor anything else of the calendar, nor anybody else's."""
    client, therapist, other = world.client(credits=1), world.therapist(), world.therapist()
    session = world.book(client, therapist, "23:30", session_date=TOMORROW + DAY)["id"]
    second = take_off(world, therapist, at(2), at(3), "second")
    first = take_off(world, therapist, at(0), at(2), "first")
    third = take_off(world, therapist, at(10), at(11), "third")
    take_off(world, other, at(0), at(11), "other")
    sync(world.connection, therapist, "a calendar", event("a", at(5)))
    assert (first["session_ids"], second["session_ids"], third["session_ids"]) == ([session], [session], [])

    def listed(start: dt.datetime, end: dt.datetime) -> list[Any]:
        return rows(world.connection, "list_time_off", therapist_id=therapist, **{"from": start, "to": end})

    with nothing_written(world):
        assert listed(at(-1), at(99)) == [first, second, third]
        for start, end, expected in (
            (1, 2, [first]), (2, 3, [second]), (1, 3, [first, second]), (9, 12, [third]), (3, 10, []), (1, 1, []),
        ):  # fmt: skip
            assert listed(at(start), at(end)) == expected


def test_time_off_is_taken_back(world: World) -> None:
    """With an event, once, and of that therapist alone; nothing else is taken back as time off."""
    client, therapist, other = world.client(credits=1), world.therapist(), world.therapist()
    world.book(client, therapist, session_date=TOMORROW + 5 * DAY)
    sync(world.connection, therapist, "a calendar", event("a", at(6)))
    external = world.scalar("select id from bookingdb.absences where kind = 'external'")
    off = take_off(world, therapist, at(0), at(1))["id"]
    take_off(world, other, at(0), at(1))
    told = len(changes(world))
    assert is_busy(world, therapist, 0, "10:00", "11:00")
    with nothing_written(world), refused("time_off_not_found"):
        rows(world.connection, "remove_time_off", time_off_id=external)

    rows(world.connection, "remove_time_off", time_off_id=off)

    assert world.run("select id from bookingdb.absences where id = %s", off) == []
    assert changes(world)[told:] == [therapist]
    assert [is_busy(world, who, 0, "10:00", "11:00") for who in (therapist, other)] == [False, True]
    with nothing_written(world), refused("time_off_not_found"):
        rows(world.connection, "remove_time_off", time_off_id=off)
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Days off
# ----------------------------------------------------------------------------------------------------------------------


def days_off(connection: Connection, therapist: UUID, first: dt.date, last: dt.date, **more: Any) -> Any:
    return call(connection, "add_days_off", therapist_id=therapist, first_date=first, last_date=last, **more)


def length_of(off: Any) -> dt.timedelta:
    # In UTC: Python takes two times of one zone for wall clocks.
    begin, end = (off[name].astimezone(dt.UTC) for name in ("start_time", "end_time"))
    assert isinstance(begin, dt.datetime)
    assert isinstance(end, dt.datetime)
    return end - begin


def test_days_off_are_days_of_the_therapists_zone(world: World) -> None:
    """Whatever the zone of the connection; a bare date means its midnight to add_time_off()."""
    client, therapist = world.client(credits=9), world.therapist("Pacific/Auckland")
    world.run("select set_policy(%s)", Jsonb({"maximum_advance": "3650 days"}))
    first, last = dt.date(2031, 1, 13), dt.date(2031, 1, 14)
    booked = world.book(client, therapist, "23:00", session_date=last)["id"]

    with session_of(world) as connection:
        connection.execute("set timezone = 'America/New_York'")
        off = days_off(connection, therapist, first, last, reason="a holiday")

    # Auckland is 13 hours ahead of UTC in January.
    begin = dt.datetime(2031, 1, 12, 11, tzinfo=dt.UTC)
    assert (off["start_time"], length_of(off), off["reason"]) == (begin, 2 * DAY, "a holiday")
    assert off["session_ids"] == [booked]
    for day in (first, last):
        for time in ("00:00", "12:00", "22:00"):
            with nothing_written(world), refused("booking_conflict") as refusal:
                world.book(client, therapist, time, session_date=day)
            assert refusal.detail["rule"] == "time_off"
    world.book(client, therapist, "23:00", session_date=first - DAY)
    world.book(client, therapist, "00:00", session_date=last + DAY)
    assert world.violations() == []


def test_days_off_again_are_the_same_and_are_listed_and_removed(world: World) -> None:
    therapist, other = world.therapist("Europe/Berlin"), world.therapist("UTC")
    off = days_off(world.connection, therapist, TOMORROW, TOMORROW, reason="a holiday")
    with nothing_written(world):
        assert days_off(world.connection, therapist, TOMORROW, TOMORROW, reason="else") == off
        assert take_off(world, therapist, off["start_time"], off["end_time"]) == off
    assert days_off(world.connection, other, TOMORROW, TOMORROW)["id"] != off["id"]
    assert changes(world) == [therapist, other]
    listed = rows(world.connection, "list_time_off", therapist_id=therapist, **{"from": at(-1), "to": at(9)})
    assert listed == [off]
    rows(world.connection, "remove_time_off", time_off_id=off["id"])
    assert not is_busy(world, therapist, 0, "10:00", "11:00")


@pytest.mark.parametrize(
    ("zone", "day", "begin", "hours"),
    [
        # The clocks go forward and back.
        ("Europe/Berlin", "2027-03-28", "2027-03-27 23:00", 23),
        ("Europe/Berlin", "2027-10-31", "2027-10-30 22:00", 25),
        # Midnight is skipped: the day begins at 01:00.
        ("America/Santiago", "2027-09-05", "2027-09-05 04:00", 23),
        # Midnight comes twice, in the night before or after.
        ("America/Havana", "2027-11-07", "2027-11-07 04:00", 25),
        ("America/Santiago", "2027-04-03", "2027-04-03 03:00", 25),
    ],
)
def test_days_off_last_from_midnight_to_midnight(world: World, zone: str, day: str, begin: str, hours: int) -> None:
    therapist, date = world.therapist(zone), dt.date.fromisoformat(day)
    off = days_off(world.connection, therapist, date, date)
    assert off["start_time"] == dt.datetime.fromisoformat(begin).replace(tzinfo=dt.UTC)
    assert length_of(off) == hours * HOUR
    # Days on either side touch it.
    before = days_off(world.connection, therapist, date - DAY, date - DAY)
    after = days_off(world.connection, therapist, date + DAY, date + DAY)
    assert (before["end_time"], after["start_time"]) == (off["start_time"], off["end_time"])
    assert {str(found) for (found,) in world.run(
        "select g::date from generate_series(%s, %s - interval '1 minute', '1 minute') as t (t)"
        " cross join lateral (select t.t at time zone %s) as l (g)", off["start_time"], off["end_time"], zone,
    )} == {day}  # fmt: skip


def test_days_off_follow_the_zone_that_a_waiting_call_finds(world: World) -> None:
    """The zone is read under the therapist's lock."""
    therapist = world.therapist("UTC")
    with holding(world) as change, session_of(world) as connection:
        call(change, "set_policy", settings=Jsonb({"time_zone": "Asia/Tokyo"}), therapist_id=therapist)
        adding = waiting(world, lambda mine: days_off(mine, therapist, TOMORROW, TOMORROW), connection)
        change.execute("commit")
        assert adding.result()["start_time"] == at(-1, "15:00")


def test_the_last_day_of_all_can_be_off(world: World) -> None:
    off = days_off(world.connection, world.therapist("UTC"), dt.date(2999, 12, 31), dt.date(2999, 12, 31))
    assert off["end_time"] == dt.datetime(3000, 1, 1, tzinfo=dt.UTC)


# ----------------------------------------------------------------------------------------------------------------------
# Other calendars
# ----------------------------------------------------------------------------------------------------------------------


def event(name: str, start: dt.datetime, **more: Any) -> dict[str, Any]:
    return {"external_id": name, "start_time": start.isoformat(), "end_time": (start + HOUR).isoformat(), **more}


def gone(name: str) -> dict[str, Any]:
    return {"external_id": name, "removed": True}


def sync(
    connection: Connection, therapist: UUID, source: str, *events: dict[str, Any], **stretch: dt.datetime
) -> tuple[int, int, int, list[UUID]]:
    """Return how many were inserted, updated and removed, and the sessions that they overlap."""
    answer = call(
        connection, "sync_external_busy", therapist_id=therapist, source=source, events=Jsonb(list(events)), **stretch
    )
    return answer["inserted"], answer["updated"], answer["removed"], answer["session_ids"]


def appointments(world: World) -> list[Any]:
    return world.run(
        "select external_source, external_id, lower(period) from bookingdb.absences where kind = 'external'"
        " order by external_source, external_id"
    )


def test_appointments_come_change_and_go(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist, "10:00")["id"]
    a, b, c = event("a", at(0, "10:30")), event("b", at(1)), event("c", at(2))
    assert sync(world.connection, therapist, "work", a, b, c, gone("never seen")) == (3, 0, 0, [session])
    assert world.run(
        "select therapist_id, client_id, external_source, lower(period), upper(period)"
        " from bookingdb.absences where external_id = 'b'"
    ) == [(therapist, None, "work", at(1), at(1) + HOUR)]
    # One event tells of all of them, and the session stays.
    assert changes(world) == [therapist]
    assert world.run("select status from sessions") == [("scheduled",)]
    with nothing_written(world):
        assert sync(world.connection, therapist, "work", a, b, c) == (0, 0, 0, [session])
        assert sync(world.connection, therapist, "work") == (0, 0, 0, [])
    d = event("d", at(4), removed=False, title="lunch")
    assert sync(world.connection, therapist, "work", event("a", at(3)), gone("b"), d) == (1, 1, 1, [])
    # What was not named stays.
    assert appointments(world) == [("work", "a", at(3)), ("work", "c", at(2)), ("work", "d", at(4))]
    assert world.violations() == []


def test_a_stretch_of_time_is_as_the_other_calendar_has_it(world: World) -> None:
    """What lies beyond it stays, and so do the appointments of other calendars and therapists."""
    therapist, other = world.therapist(), world.therapist()
    sync(world.connection, therapist, "work", event("a", at(3)), event("c", at(2)), event("d", at(4)))
    stretch = {"from": at(2), "to": at(4)}
    events = [event("c", at(2, "15:00")), event("e", at(3, "15:00"))]
    assert sync(world.connection, therapist, "work", *events, **stretch) == (1, 1, 1, [])
    works = [("work", "c", at(2, "15:00")), ("work", "d", at(4)), ("work", "e", at(3, "15:00"))]
    assert appointments(world) == works
    everything = {"from": at(-1), "to": at(90)}
    assert sync(world.connection, therapist, "home", event("c", at(2, "15:00")), **everything) == (1, 0, 0, [])
    assert sync(world.connection, other, "work", event("c", at(2, "15:00"))) == (1, 0, 0, [])
    assert sync(world.connection, therapist, "home", **everything) == (0, 0, 1, [])
    assert appointments(world) == sorted([*works, ("work", "c", at(2, "15:00"))])


def test_nothing_is_booked_over_an_appointment(world: World) -> None:
    """With the distance of a session from a session."""
    client, therapist = world.client(credits=1), world.therapist()
    sync(world.connection, therapist, "work", event("a", at(0, "15:00")))
    with nothing_written(world), refused("booking_conflict") as refusal:
        world.book(client, therapist, "15:30")
    assert (refusal.detail["rule"], refusal.detail["next_free"]) == ("external", iso(at(0, "16:00")))
    settings = Jsonb({"buffer_before_minutes": 30, "buffer_after_minutes": 10})
    call(world.connection, "set_policy", settings=settings, therapist_id=therapist)
    periods = [("16:29", "17:00"), ("16:30", "17:00"), ("14:00", "14:51"), ("14:00", "14:50")]
    assert [is_busy(world, therapist, 0, *period) for period in periods] == [True, False, True, False]


def test_times_of_appointments_carry_their_own_offset(world: World) -> None:
    therapist = world.therapist()
    events = [
        {"external_id": "1", "start_time": "2030-01-07T09:00:00Z", "end_time": "2030-01-07T10:00:00.000Z"},
        {"external_id": "2", "start_time": "2030-01-07T09:00:00+05:45", "end_time": "2030-01-07T09:00:00-03"},
        {"external_id": "3", "start_time": "2030-01-07 09:00+0200", "end_time": "2030-01-07 10:00+0200"},
    ]
    with session_of(world) as connection:
        connection.execute("set timezone = 'America/New_York'")
        sync(connection, therapist, "zones", *events)
    hours = [(9, 0, 10), (3, 15, 12), (7, 0, 8)]
    assert world.run("select lower(period), upper(period) from bookingdb.absences order by external_id") == [
        (dt.datetime(2030, 1, 7, start, minute, tzinfo=dt.UTC), dt.datetime(2030, 1, 7, end, tzinfo=dt.UTC))
        for start, minute, end in hours
    ]


def test_5000_appointments_come_at_once(world: World) -> None:
    many = [event(str(number), at(number % 300, "12:00")) for number in range(5000)]
    assert sync(world.connection, world.therapist(), "many", *many)[0] == 5000


def test_an_appointment_that_is_over_was_in_the_way(world: World) -> None:
    therapist = world.therapist()
    sync(world.connection, therapist, "work", event("a", at(-30, "10:00")))
    assert is_busy(world, therapist, -30, "10:30", "11:30")
