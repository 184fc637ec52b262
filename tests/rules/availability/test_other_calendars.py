"""Events of other calendars: what each is read as, and that a bad one refuses no other."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.interleaving import next_clock_change
from tests.support.life import call
from tests.support.refusals import nothing_written

NINE, TEN = "2030-01-07T09:00:00Z", "2030-01-07T10:00:00Z"
EVENT = {"external_id": "a", "start_time": NINE, "end_time": TEN}


def sync(world: World, therapist: UUID, *events: Any, source: str = "work", **stretch: Any) -> dict[str, Any]:
    return call(
        world.connection, "sync_external_busy",
        therapist_id=therapist, source=source, events=Jsonb(list(events)), **stretch,
    )  # fmt: skip


def periods(world: World) -> dict[str, tuple[str, str]]:
    """The stored appointments: start and end in UTC, by their id."""
    found = world.run(
        "select external_id, to_char(lower(period) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " to_char(upper(period) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " from bookingdb.absences where kind = 'external'"
    )
    return {name: (start, end) for name, start, end in found}


# ----------------------------------------------------------------------------------------------------------------------
# What cannot be read
# ----------------------------------------------------------------------------------------------------------------------

NO_IDS: list[Any] = [
    {}, {"removed": True}, {**EVENT, "external_id": None}, {**EVENT, "external_id": ""},
    {**EVENT, "external_id": "x" * 256}, {**EVENT, "external_id": ["a"]}, {**EVENT, "external_id": True},
]  # fmt: skip
NO_TIMES: list[Any] = [
    None, "", "now", "-infinity", "soon", 1893488400, {}, "2030-02-30", "2030-02-30T09:00:00Z",
    "2030-01-07T25:00", "2030-01-07T09:00:00 Europe/Berlin", "2030-01-07T09:00:00+99:00", "12030-01-07",
    "0000-01-01", "20300107",
]  # fmt: skip
UNREADABLE: list[tuple[Any, str | None, str]] = [
    ("a", None, "not_an_object"), (None, None, "not_an_object"), (7, None, "not_an_object"),
    ([EVENT], None, "not_an_object"),
    *(
        (bad, None, "invalid_external_id")
        for bad in NO_IDS
    ),
    ({**EVENT, "removed": "perhaps"}, "a", "invalid_removed"),
    ({**EVENT, "free": "perhaps"}, "a", "invalid_free"),
    *(
        ({**EVENT, "start_time": bad}, "a", "invalid_start_time")
        for bad in NO_TIMES
    ),
    *(({**EVENT, "end_time": bad}, "a", "invalid_end_time") for bad in (None, "tomorrow", "2030-13-01", "24:00")),
    ({**EVENT, "end_time": "2030-01-07T08:59:59Z"}, "a", "end_before_start"),
    ({**EVENT, "end_time": "2030-01-06"}, "a", "end_before_start"),
    ({**EVENT, "start_time": "2030-01-08", "end_time": "2030-01-07"}, "a", "end_before_start"),
    ({**EVENT, "start_time": "1899-12-31T09:00:00Z"}, "a", "out_of_range"),
    ({**EVENT, "start_time": "0001-01-01"}, "a", "out_of_range"),
    ({**EVENT, "end_time": "3000-01-01T09:00:00Z"}, "a", "out_of_range"),
    ({**EVENT, "start_time": "9999-12-31", "end_time": "9999-12-31"}, "a", "out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "name", "reason"), UNREADABLE, ids=str)
def test_bad_event_refuses_no_other(world: World, event: Any, name: str | None, reason: str) -> None:
    """It comes back with its reason; of what was sent its id alone."""
    therapist = world.therapist("Europe/Berlin")
    good = {**EVENT, "external_id": "good"}
    answer = sync(world, therapist, {"external_id": "gone", "removed": True}, event, good)
    assert answer == {
        "inserted": 1, "updated": 0, "removed": 0, "session_ids": [], "ignored": 0,
        "rejected": [{"event": 2, "external_id": name, "reason": reason}],
    }  # fmt: skip
    assert periods(world) == {"good": ("2030-01-07 09:00:00", "2030-01-07 10:00:00")}
    assert world.violations() == []


def test_id_that_is_named_twice_counts_once(world: World) -> None:
    therapist = world.therapist()
    answer = sync(world, therapist, EVENT, {**EVENT, "start_time": "2030-01-07"}, {"external_id": "a", "removed": True})
    assert [(event["event"], event["reason"]) for event in answer["rejected"]] == [
        (2, "duplicate_external_id"), (3, "duplicate_external_id"),
    ]  # fmt: skip
    assert periods(world) == {"a": ("2030-01-07 09:00:00", "2030-01-07 10:00:00")}


def test_rejected_event_keeps_the_time_it_had(world: World) -> None:
    """In a stretch of time, too: nothing is known of where it is now. The occurrences of its series stay, as well."""
    therapist = world.therapist()
    names = ("a", "b", "s/1", "s/2", "sx/1")
    stretch = {"from": "2030-01-01T00:00Z", "to": "2030-02-01T00:00Z"}
    sync(world, therapist, *({**EVENT, "external_id": name} for name in names))
    broken = {"external_id": "a", "start_time": "2030-01-07T09:00:00Z", "end_time": "never"}
    answer = sync(world, therapist, broken, {"external_id": "s", "uid": "s"}, **stretch)
    assert (answer["removed"], [event["external_id"] for event in answer["rejected"]]) == (2, ["a", "s"])
    assert sorted(periods(world)) == ["a", "s/1", "s/2"]
    assert sync(world, therapist, **stretch)["removed"] == 3


def test_5000_bad_events_come_back(world: World) -> None:
    therapist = world.therapist()
    with nothing_written(world):
        assert len(sync(world, therapist, *[None] * 5000)["rejected"]) == 5000


# ----------------------------------------------------------------------------------------------------------------------
# Days and local times
# ----------------------------------------------------------------------------------------------------------------------


def test_day_is_a_day_of_the_therapist(world: World) -> None:
    """The end is not part of it; without one, or with that of its start, it is one day."""
    therapist = world.therapist("Pacific/Auckland")
    days = [
        {"external_id": "one", "start_time": "2027-01-11"},
        {"external_id": "same", "start_time": "2027-01-11", "end_time": "2027-01-11"},
        {"external_id": "two", "start_time": "2027-01-11", "end_time": "2027-01-13"},
        {"external_id": "mixed", "start_time": "2027-01-11", "end_time": "2027-01-11T09:30"},
    ]
    assert sync(world, therapist, *days)["rejected"] == []
    midnight = "2027-01-10 11:00:00"
    assert periods(world) == {
        "one": (midnight, "2027-01-11 11:00:00"), "same": (midnight, "2027-01-11 11:00:00"),
        "two": (midnight, "2027-01-12 11:00:00"), "mixed": (midnight, "2027-01-10 20:30:00"),
    }  # fmt: skip
    busy = "select check_booking_conflict(%s, %s, '09:00', '10:00')"
    asked = [world.scalar(busy, therapist, dt.date(2027, 1, day)) for day in (10, 11, 12, 13)]
    assert asked == [False, True, True, False]


def test_day_of_a_clock_change_is_as_long_as_it_is(world: World) -> None:
    """Also where midnight itself is skipped: in Beirut the clocks go from 24:00 to 01:00."""
    sync(world, world.therapist("Europe/Berlin"), {"external_id": "berlin", "start_time": "2027-03-28"})
    sync(world, world.therapist("Asia/Beirut"), {"external_id": "beirut", "start_time": "2027-03-28"})
    assert periods(world) == {
        "berlin": ("2027-03-27 23:00:00", "2027-03-28 22:00:00"),
        "beirut": ("2027-03-27 22:00:00", "2027-03-28 21:00:00"),
    }


def test_time_without_an_offset_is_the_therapists(world: World) -> None:
    """Whatever the connection's zone is; seconds stay."""
    world.run("set timezone = 'Asia/Tokyo'")
    sync(
        world, world.therapist("America/New_York"),
        {"external_id": "a", "start_time": "2030-01-07T09:00", "end_time": "2030-01-07 10:00:30.5"},
    )  # fmt: skip
    assert world.run("select lower(period), upper(period) from bookingdb.absences") == [
        (dt.datetime(2030, 1, 7, 14, tzinfo=dt.UTC), dt.datetime(2030, 1, 7, 15, 0, 30, 500000, tzinfo=dt.UTC))
    ]


def test_time_that_is_skipped_has_the_offset_from_before(world: World) -> None:
    """As in iCalendar. What ends soon after the jump starts at the jump: it would end before it starts."""
    day = next_clock_change("Europe/Berlin", forward=True).date()
    events = [
        {"external_id": "into", "start_time": f"{day}T02:30:15", "end_time": f"{day}T04:00"},
        {"external_id": "soon", "start_time": f"{day}T02:30", "end_time": f"{day}T03:15"},
        {"external_id": "out of", "start_time": f"{day}T01:00", "end_time": f"{day}T02:59"},
        {"external_id": "within", "start_time": f"{day}T02:10", "end_time": f"{day}T02:40"},
    ]
    answer = sync(world, world.therapist("Europe/Berlin"), *events)
    assert (answer["inserted"], answer["ignored"], answer["rejected"]) == (4, 0, [])
    assert periods(world) == {
        "into": (f"{day} 01:30:15", f"{day} 02:00:00"), "soon": (f"{day} 01:00:00", f"{day} 01:15:00"),
        "out of": (f"{day} 00:00:00", f"{day} 01:59:00"), "within": (f"{day} 01:10:00", f"{day} 01:40:00"),
    }  # fmt: skip


def test_appointment_in_the_gap_of_auckland_blocks(world: World) -> None:
    therapist = world.therapist("Pacific/Auckland")
    sync(world, therapist, {"external_id": "a", "start_time": "2027-09-26T02:30", "end_time": "2027-09-26T02:45"})
    assert periods(world) == {"a": ("2027-09-25 14:30:00", "2027-09-25 14:45:00")}


def test_time_that_occurs_twice_is_the_first(world: World) -> None:
    day = next_clock_change("Europe/Berlin", forward=False).date()
    event = {"external_id": "a", "start_time": f"{day}T02:30", "end_time": f"{day}T03:30"}
    sync(world, world.therapist("Europe/Berlin"), event)
    assert periods(world) == {"a": (f"{day} 00:30:00", f"{day} 02:30:00")}


# ----------------------------------------------------------------------------------------------------------------------
# What blocks nothing
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"free": True}, {"transparency": "transparent"}, {"transparency": "TRANSPARENT"},
        {"status": "cancelled"}, {"status": "CANCELLED"}, {"end_time": NINE},
        {"status": "cancelled", "start_time": None, "end_time": None},
    ],
    ids=str,
)  # fmt: skip
def test_event_that_takes_no_time_blocks_nothing(world: World, change: dict[str, Any]) -> None:
    """If it took some before, that is free again."""
    therapist = world.therapist()
    free = {**EVENT, **change}
    with nothing_written(world):
        answer = sync(world, therapist, free)
        assert (answer["rejected"], answer["ignored"], answer["removed"]) == ([], 1, 0)
    sync(world, therapist, EVENT)
    answer = sync(world, therapist, free)
    assert (answer["rejected"], answer["ignored"], answer["removed"]) == ([], 1, 1)
    assert periods(world) == {}


def test_other_words_about_an_event_change_nothing(world: World) -> None:
    therapist = world.therapist()
    changes: list[dict[str, Any]] = [
        {"status": "tentative"}, {"status": "confirmed"}, {"status": "accepted"}, {"status": 7}, {"free": False},
        {"transparency": "opaque"}, {"transparency": None}, {"title": "lunch"}, {"removed": None}, {"uid": ["u"]},
    ]  # fmt: skip
    for number, change in enumerate(changes):
        assert sync(world, therapist, {**EVENT, **change, "external_id": str(number)})["inserted"] == 1


# ----------------------------------------------------------------------------------------------------------------------
# Our own, which was exported
# ----------------------------------------------------------------------------------------------------------------------


def test_own_session_that_comes_back_blocks_nothing(world: World) -> None:
    """Also after it was moved over there, or has a name of theirs; of others, and of nobody, it does."""
    client, therapist, other = world.client(credits=3), world.therapist(), world.therapist()
    session = world.book(client, therapist, "10:00")["id"]
    off = call(
        world.connection, "add_time_off",
        therapist_id=therapist, start="2030-01-07T00:00Z", end="2030-01-08T00:00Z",
    )["id"]  # fmt: skip
    moved = {**EVENT, "start_time": f"{TOMORROW}T12:00Z", "end_time": f"{TOMORROW}T13:00Z"}
    own = [
        {**moved, "external_id": f"{session}@bookingdb"},
        {**moved, "external_id": "theirs", "uid": f"{session}@BOOKINGDB".upper()},
        {**EVENT, "external_id": f"{off}@bookingdb"},
        {"external_id": "broken", "uid": f"{session}@bookingdb"},
    ]
    with nothing_written(world):
        answer = sync(world, therapist, *own)
        assert (answer["ignored"], answer["session_ids"], answer["rejected"]) == (4, [], [])
    unknown = [
        {**EVENT, "external_id": f"{uuid4()}@bookingdb"}, {**EVENT, "external_id": str(session)},
        {**EVENT, "external_id": f"{session}@bookingdb.example"}, {**EVENT, "external_id": "@bookingdb"},
    ]  # fmt: skip
    assert sync(world, therapist, *unknown)["inserted"] == 4
    assert sync(world, other, *own[:3])["inserted"] == 3
    assert world.violations() == []


def test_own_session_frees_the_time_that_it_blocked_before(world: World) -> None:
    """An earlier version took an exported session for an appointment of its own."""
    client, therapist = world.client(credits=3), world.therapist()
    session = world.book(client, therapist, "10:00")["id"]
    world.run(
        "insert into bookingdb.absences (kind, therapist_id, period, external_source, external_id)"
        " select 'external', therapist_id, period, 'work', id || '@bookingdb'"
        " from bookingdb.calendar where id = %s",
        session,
    )
    answer = sync(world, therapist, {**EVENT, "external_id": f"{session}@bookingdb"})
    assert (answer["removed"], answer["ignored"], periods(world)) == (1, 1, {})
