"""Start, local time, end and duration stay together, whoever writes: what was not written follows what was."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import pytest

from bookingdb.checks.verify import verify
from bookingdb.install import source
from tests.support import TOMORROW, World
from tests.support.direct_writes import (
    DAY,
    HOUR,
    TIMES,
    at,
    free,
    insert,
    place,
    rolled_back,
    row,
    switched_off,
    update,
    utc,
)
from tests.support.interleaving import next_clock_change
from tests.support.life import call
from tests.support.races import holding_slot
from tests.support.refusals import nothing_written, refused

BERLIN = "Europe/Berlin"
NOON = {"scheduled_date": DAY, "scheduled_time": dt.time(12)}
WHOLE = {**NOON, "start_time": utc(11), "end_time": utc(12, 30), "duration_minutes": 90}


@pytest.fixture
def berlin(world: World) -> World:
    """The default policy's zone is Berlin's."""
    world.run('select set_policy(\'{"time_zone": "Europe/Berlin"}\')')
    return world


# ----------------------------------------------------------------------------------------------------------------------
# New sessions
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "differs"),
    [
        ({**NOON, "duration_minutes": 90}, {}),
        ({**NOON, "end_time": utc(12, 30)}, {}),
        ({"start_time": utc(11), "duration_minutes": 90}, {}),
        ({"start_time": utc(11), "end_time": utc(12, 30)}, {}),
        ({"scheduled_date": DAY, "start_time": utc(11), "duration_minutes": 90}, {}),
        ({"scheduled_time": dt.time(12), "start_time": utc(11), "duration_minutes": 90}, {}),
        (WHOLE, {}),
        # Nothing says when it ends.
        (NOON, {"end_time": None, "duration_minutes": None}),
        # What says nothing of a time.
        ({"scheduled_date": DAY}, {**dict.fromkeys(WHOLE), "scheduled_date": DAY}),
        ({"duration_minutes": 90}, {**dict.fromkeys(WHOLE), "duration_minutes": 90}),
    ],
)
def test_missing_columns_of_a_new_session_follow_the_written(
    berlin: World, written: dict[str, Any], differs: dict[str, Any]
) -> None:
    session = insert(berlin, user_id=berlin.client(), therapist_id=berlin.therapist(None), **written)

    assert row(berlin, session) == {**WHOLE, **differs}
    assert berlin.violations() == []


CONTRADICTIONS = [
    ({"scheduled_time": dt.time(15)}, "scheduled_time"),
    ({"scheduled_date": DAY + dt.timedelta(1)}, "scheduled_time"),
    ({"time_zone": "Asia/Tokyo"}, "scheduled_time"),
    ({"duration_minutes": 10}, "duration_minutes"),
    ({"end_time": utc(13)}, "duration_minutes"),
]
contradictions = pytest.mark.parametrize(("written", "parameter"), CONTRADICTIONS)


@contradictions
def test_new_session_that_contradicts_itself_is_refused(berlin: World, written: dict[str, Any], parameter: str) -> None:
    with nothing_written(berlin), refused("invalid_parameter") as refusal:
        insert(berlin, **{**WHOLE, **written})
    assert refusal.detail["parameter"] == parameter


@contradictions
def test_session_inserted_again_does_not_contradict_itself(
    berlin: World, written: dict[str, Any], parameter: str
) -> None:
    booked = berlin.book(berlin.client(credits=1), berlin.therapist(BERLIN))
    berlin.run("delete from sessions where id = %s", booked["id"])

    with nothing_written(berlin), refused("invalid_parameter"):
        insert(berlin, id=booked["id"], user_id=booked["user_id"], credits_charged=1, **{**WHOLE, **written})
    insert(berlin, id=booked["id"], user_id=booked["user_id"], credits_charged=1, **WHOLE)
    assert berlin.violations() == []


def test_default_duration_of_an_application_follows_the_end(world: World) -> None:
    client = world.client()
    with rolled_back(world):
        world.run("alter table sessions alter duration_minutes set default 60")

        session = insert(world, user_id=client, start_time=utc(11), end_time=utc(12, 30))

        assert row(world, session, "duration_minutes") == {"duration_minutes": 90}


@pytest.mark.parametrize(
    ("own", "therapists", "zone"),
    [
        ("Asia/Tokyo", "America/New_York", "Asia/Tokyo"), (None, "America/New_York", "America/New_York"),
        (None, None, BERLIN), ("Mars+5", None, BERLIN),
    ],
)  # fmt: skip
def test_zone_is_the_sessions_else_therapists_else_default(
    berlin: World, own: str | None, therapists: str | None, zone: str
) -> None:
    therapist = berlin.therapist(therapists)
    berlin.run("set timezone = '<Europe/Berlin>+9'")

    there = insert(berlin, therapist_id=therapist, time_zone=own, **NOON)
    back = insert(berlin, therapist_id=therapist, time_zone=own, start_time=utc(11))

    berlin.run("reset timezone")
    local = "select start_time = timestamp '2030-01-15 12:00' at time zone %s from sessions where id = %s"
    assert berlin.run(local, zone, there) == [(True,)]
    written = "select scheduled_date + scheduled_time = start_time at time zone %s from sessions where id = %s"
    assert berlin.run(written, zone, back) == [(True,)]


# ----------------------------------------------------------------------------------------------------------------------
# Changed sessions
# ----------------------------------------------------------------------------------------------------------------------

UPDATES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # The start follows, and the end with it.
    ({"scheduled_time": dt.time(14)}, {"start_time": utc(13), "end_time": utc(14, 30)}),
    (
        {"scheduled_date": DAY + dt.timedelta(1)},
        {"start_time": utc(11) + 24 * HOUR, "end_time": utc(12, 30) + 24 * HOUR},
    ),
    ({"scheduled_time": dt.time(14), "duration_minutes": 30}, {"start_time": utc(13), "end_time": utc(13, 30)}),
    (
        {"scheduled_time": dt.time(14), "end_time": utc(15)},
        {"start_time": utc(13), "duration_minutes": 120},
    ),
    ({"time_zone": "Asia/Tokyo"}, {"start_time": utc(3), "end_time": utc(4, 30)}),
    # The local time follows.
    (
        {"start_time": utc(13), "end_time": utc(14, 30)},
        {"scheduled_time": dt.time(14)},
    ),
    ({"start_time": utc(11, 30)}, {"scheduled_time": dt.time(12, 30), "duration_minutes": 60}),
    (
        {"start_time": utc(23), "end_time": utc(23, 45)},
        {"scheduled_date": DAY + dt.timedelta(1), "scheduled_time": dt.time(0), "duration_minutes": 45},
    ),
    # Both were written, in agreement.
    ({"start_time": utc(13), "end_time": utc(14, 30), "scheduled_time": dt.time(14)}, {}),
    # The end, the duration.
    ({"duration_minutes": 30}, {"end_time": utc(11, 30)}),
    ({"end_time": utc(12)}, {"duration_minutes": 60}),
    # Nothing to follow.
    ({"scheduled_time": None}, {}),
    ({"start_time": None, "end_time": None, "status": "cancelled"}, {}),
    ({"title": "x"}, {}),
]


@pytest.mark.parametrize(("written", "follows"), UPDATES)
def test_unwritten_columns_of_a_changed_session_follow(
    berlin: World, written: dict[str, Any], follows: dict[str, Any]
) -> None:
    session = insert(berlin, user_id=berlin.client(), therapist_id=berlin.therapist(None), **WHOLE)

    update(berlin, session, **written)

    kept = {name: value for name, value in written.items() if name in WHOLE}
    assert row(berlin, session) == {**WHOLE, **kept, **follows}
    assert berlin.violations() == []


@pytest.mark.parametrize(
    ("written", "parameter"),
    [
        ({"start_time": utc(13), "end_time": utc(14, 30), "scheduled_time": dt.time(9)}, "scheduled_time"),
        ({"end_time": utc(12), "duration_minutes": 7}, "duration_minutes"),
        ({"start_time": utc(13), "scheduled_date": DAY + dt.timedelta(7)}, "scheduled_time"),
    ],
)
def test_change_that_contradicts_itself_is_refused(berlin: World, written: dict[str, Any], parameter: str) -> None:
    session = insert(berlin, user_id=berlin.client(), therapist_id=berlin.therapist(None), **WHOLE)

    with nothing_written(berlin), refused("invalid_parameter") as refusal:
        update(berlin, session, **written)
    assert refusal.detail["parameter"] == parameter


def test_session_that_contradicted_itself_stays_writable(berlin: World) -> None:
    session = insert(berlin, user_id=berlin.client(), therapist_id=berlin.therapist(None), **WHOLE)
    with switched_off(berlin, "update"):
        update(berlin, session, scheduled_time=dt.time(9), duration_minutes=5)

    update(berlin, session, title="x", status="confirmed")
    update(berlin, session, end_time=utc(13))

    assert row(berlin, session) == {
        **WHOLE, "scheduled_time": dt.time(9), "end_time": utc(13), "duration_minutes": 120
    }  # fmt: skip


@pytest.mark.parametrize("times", [{"start_time": utc(11), "end_time": utc(12)}, {**NOON, "duration_minutes": 60}])
def test_new_session_keeps_the_zone_it_was_judged_by(berlin: World, times: dict[str, Any]) -> None:
    session = insert(berlin, user_id=berlin.client(), therapist_id=berlin.therapist(None), **times)

    update(berlin, session, therapist_id=berlin.therapist("Asia/Tokyo"))
    berlin.run('select set_policy(\'{"time_zone": "America/New_York"}\')')
    update(berlin, session, scheduled_time=dt.time(12, 30))

    assert row(berlin, session)["start_time"] == utc(11, 30)
    assert row(berlin, session, "time_zone") == {"time_zone": BERLIN}
    assert berlin.violations() == []


def test_local_time_written_directly_moves_the_session(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    booked = world.book(client, therapist, "10:00")

    update(world, booked["id"], scheduled_time=dt.time(15))

    assert free(world, therapist, 10)
    with refused("booking_conflict"):
        world.book(world.client(credits=1), therapist, "15:00")
    world.book(world.client(credits=1), therapist, "10:00")
    assert world.violations() == []


def test_local_time_written_onto_another_session_is_refused(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.book(client, therapist, "15:00")
    booked = world.book(client, therapist, "10:00")

    with nothing_written(world), refused("booking_conflict"):
        update(world, booked["id"], scheduled_time=dt.time(15, 30))


def test_trigger_of_the_application_moves_all_times(world: World) -> None:
    session = place(world, world.client(), world.therapist(), 10)
    with rolled_back(world):
        world.run(
            "create function later() returns trigger language plpgsql as $$ begin"
            " new.start_time := new.start_time + interval '2 hours';"
            " new.end_time := new.end_time + interval '2 hours'; return new; end $$"
        )
        world.run("create trigger zoned before update on sessions for each row execute function later()")

        update(world, session, title="x")

        assert row(world, session, "scheduled_time, start_time") == {
            "scheduled_time": dt.time(12), "start_time": at(12)
        }  # fmt: skip


def test_a_local_time_that_the_clocks_jump_over_is_refused(berlin: World) -> None:
    skipped = next_clock_change(BERLIN, forward=True)
    session = insert(berlin, **WHOLE)
    with nothing_written(berlin), refused("skipped_time"):
        insert(berlin, scheduled_date=skipped.date(), scheduled_time=skipped.time())
    with nothing_written(berlin), refused("skipped_time"):
        update(berlin, session, scheduled_date=skipped.date(), scheduled_time=skipped.time())


def test_local_time_that_occurs_twice_means_the_first(berlin: World) -> None:
    twice = next_clock_change(BERLIN, forward=False)

    session = insert(berlin, scheduled_date=twice.date(), scheduled_time=twice.time())

    # Summer time is two hours ahead.
    first = twice.replace(tzinfo=dt.UTC) - 2 * HOUR
    assert row(berlin, session)["start_time"] == first
    # The second one stays it, whatever else is written.
    update(berlin, session, start_time=first + HOUR)
    update(berlin, session, time_zone=BERLIN)
    assert row(berlin, session)["start_time"] == first + HOUR


def test_a_moved_session_keeps_its_length_over_a_clock_change(berlin: World) -> None:
    skipped = next_clock_change(BERLIN, forward=True)
    session = insert(berlin, **WHOLE)

    update(berlin, session, scheduled_date=skipped.date(), scheduled_time=dt.time(1, 30))

    moved = row(berlin, session)
    assert moved["end_time"] - moved["start_time"] == dt.timedelta(minutes=90)


def test_columns_written_by_functions_stay_as_written(berlin: World) -> None:
    therapist, client = berlin.therapist("America/New_York"), berlin.client(credits=3)
    plain = f"select {TIMES} from sessions where id = %s"
    first = berlin.book(client, therapist, "10:00", time_zone="Asia/Kathmandu", duration_minutes=45)
    times = berlin.run(plain, first["id"])
    assert times == [(TOMORROW, dt.time(10), first["start_time"], first["start_time"] + 0.75 * HOUR, 45)]

    moved = call(
        berlin.connection, "reschedule_session",
        session_id=first["id"], session_date=TOMORROW, session_time="10:00", time_zone="Asia/Tokyo",
    )  # fmt: skip
    assert moved["start_time"] == first["start_time"] - dt.timedelta(hours=3, minutes=15)
    assert berlin.run(plain, first["id"]) == [
        (TOMORROW, dt.time(10), moved["start_time"], moved["start_time"] + 0.75 * HOUR, 45)
    ]
    longer = call(
        berlin.connection, "reschedule_session",
        session_id=first["id"], session_date=TOMORROW, session_time="10:00", duration_minutes=60,
    )  # fmt: skip
    assert longer["end_time"] - longer["start_time"] == HOUR
    call(berlin.connection, "cancel_session", session_id=first["id"])
    assert berlin.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Cancellation terms and moves
# ----------------------------------------------------------------------------------------------------------------------


def test_free_cancellation_follows_a_direct_move(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    booked = world.book(client, therapist)
    until = "select start_time - free_cancellation_until from sessions where id = %s"
    window = world.scalar(until, booked["id"])
    days = dt.timedelta(60)

    world.run(
        "update sessions set start_time = start_time + %s, end_time = end_time + %s,"
        " scheduled_date = scheduled_date + 60, scheduled_time = scheduled_time where id = %s",
        days, days, booked["id"],
    )  # fmt: skip

    assert world.scalar(until, booked["id"]) == window
    update(world, booked["id"], scheduled_time=dt.time(20))
    assert world.scalar(until, booked["id"]) == window
    # Who writes the limit, too, decides it.
    update(world, booked["id"], scheduled_time=dt.time(21), free_cancellation_until=utc(0))
    assert row(world, booked["id"], "free_cancellation_until") == {"free_cancellation_until": utc(0)}


def test_move_after_a_direct_change_keeps_the_real_length(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    booked = world.book(client, therapist, "08:00")
    world.run(
        "update sessions set start_time = start_time + interval '4 hours',"
        " end_time = end_time + interval '5 hours 30 minutes' where id = %s",
        booked["id"],
    )

    moved = call(
        world.connection, "reschedule_session",
        session_id=booked["id"], session_date=TOMORROW + dt.timedelta(1), session_time="10:00",
    )  # fmt: skip

    assert moved["end_time"] - moved["start_time"] == dt.timedelta(minutes=150)
    assert moved["duration_minutes"] == 150
    assert world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Absurd times, and ids of something else
# ----------------------------------------------------------------------------------------------------------------------

ABSURD: list[tuple[dict[str, Any], str]] = [
    ({"scheduled_date": "infinity", "scheduled_time": "10:00"}, "invalid_date"),
    ({"scheduled_date": "0044-03-15 BC", "scheduled_time": "10:00"}, "invalid_date"),
    ({"scheduled_date": "5000000-01-01", "scheduled_time": "10:00"}, "invalid_date"),
    ({"start_time": "infinity", "duration_minutes": 60}, "invalid_parameter"),
    ({"start_time": "-infinity", "end_time": "infinity"}, "invalid_parameter"),
    ({"start_time": utc(11), "end_time": "infinity"}, "invalid_parameter"),
    ({"start_time": utc(11), "end_time": "294000-01-01"}, "invalid_parameter"),
    ({"start_time": "290000-01-01", "duration_minutes": 90}, "invalid_parameter"),
    ({"start_time": utc(11), "duration_minutes": 100_000}, "invalid_parameter"),
    ({"start_time": utc(11), "duration_minutes": 2_147_483_647}, "invalid_parameter"),
    ({"start_time": utc(11), "duration_minutes": -1}, "invalid_parameter"),
    ({"start_time": utc(11), "end_time": utc(11) + dt.timedelta(8)}, "invalid_parameter"),
]


@pytest.mark.parametrize(("written", "code"), ABSURD)
def test_absurd_time_is_refused(world: World, written: dict[str, Any], code: str) -> None:
    people = {"user_id": world.client(credits=1), "therapist_id": world.therapist()}
    booked = world.book(people["user_id"], people["therapist_id"])

    with nothing_written(world), refused(code):
        insert(world, **people, **written)
    with nothing_written(world), refused(code):
        update(world, booked["id"], **written)


@pytest.mark.parametrize(
    ("assignment", "parameter"),
    [
        ("end_time = end_time - interval '90 minutes'", "end_time"),
        ("start_time = start_time + interval '2 hours'", "end_time"),
        ("start_time = end_time, end_time = start_time", "end_time"),
        ("end_time = start_time", "end_time"),
        ("end_time = null", "end_time"),
        ("start_time = null", "start_time"),
        ("start_time = null, end_time = null, scheduled_date = null, scheduled_time = null", "start_time"),
        ("duration_minutes = 0", "duration_minutes"),
        ("end_time = null, duration_minutes = 0", "end_time"),
    ],
)
def test_direct_write_leaves_a_session_its_time(world: World, assignment: str, parameter: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    booked = world.book(client, therapist)

    with nothing_written(world), refused("invalid_parameter") as refusal:
        world.run(f"update sessions set {assignment}")
    assert refusal.detail["parameter"] == parameter
    # One that does not take place may have any.
    update(world, booked["id"], status="cancelled")
    with refused("invalid_parameter") if parameter == "duration_minutes" else nullcontext():
        world.run(f"update sessions set {assignment}")


@pytest.mark.parametrize(
    ("written", "parameter"),
    [
        ({"start_time": at(10), "end_time": at(9)}, "end_time"),
        ({"start_time": at(10), "end_time": at(10), "duration_minutes": 0}, "end_time"),
        ({"start_time": at(10), "duration_minutes": 0}, "duration_minutes"),
    ],
)
def test_new_session_of_no_length_is_refused(world: World, written: dict[str, Any], parameter: str) -> None:
    client = world.client()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        insert(world, user_id=client, **written)
    assert refusal.detail["parameter"] == parameter


def test_session_inserted_again_needs_a_length(world: World) -> None:
    booked = world.book(world.client(credits=1), world.therapist())
    world.run("delete from sessions")

    with nothing_written(world), refused("invalid_parameter"):
        insert(world, id=booked["id"], user_id=booked["user_id"], credits_charged=1, start_time=at(10), end_time=at(9))


@pytest.mark.parametrize(
    ("times", "is_listed"),
    [
        ({"start_time": at(11), "end_time": at(10)}, True),
        ({"start_time": at(10)}, True),
        ({}, False),
        ({"scheduled_date": DAY}, True),
        ({"scheduled_date": dt.date(2020, 1, 1)}, False),
        ({"start_time": at(11) - dt.timedelta(9), "end_time": at(10) - dt.timedelta(9)}, False),
        ({"start_time": at(11), "end_time": at(10), "status": "cancelled"}, False),
    ],
)
def test_session_without_a_usable_time_is_a_finding(world: World, times: dict[str, Any], is_listed: bool) -> None:
    client = world.client()
    with switched_off(world, "insert"):
        session = insert(world, user_id=client, **times)

    found = [(finding.group, finding.object) for finding in verify(world.connection)]
    assert found == ([("contents", "public.sessions")] if is_listed else [])
    # What does not touch the times is written.
    update(world, session, title="x", status="cancelled")
    assert verify(world.connection) == []


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ({"scheduled_date": dt.date(2999, 12, 31), "scheduled_time": dt.time(23, 30)}, "UTC"),
        ({"scheduled_date": dt.date(2999, 12, 31), "scheduled_time": dt.time(23, 30)}, "America/New_York"),
        ({"scheduled_date": dt.date(1900, 1, 1), "scheduled_time": dt.time(0, 30)}, "Asia/Tokyo"),
    ],
)
def test_derived_time_out_of_range_is_refused(world: World, written: dict[str, Any], zone: str) -> None:
    world.book(world.client(credits=1), world.therapist(zone))
    (session,) = world.scalar("select array(select id from sessions)")

    with nothing_written(world), refused("invalid_parameter"):
        update(world, session, **written)
    with nothing_written(world), refused("invalid_parameter"):
        insert(world, time_zone=zone, duration_minutes=60, **written)


def test_seconds_of_a_start_are_no_contradiction(world: World) -> None:
    insert(
        world, user_id=world.client(), time_zone="UTC", start_time=at(10) + dt.timedelta(seconds=30),
        end_time=at(11), scheduled_date=TOMORROW, scheduled_time=dt.time(10),
    )  # fmt: skip

    assert world.violations() == []


def test_absurd_session_that_is_there_blocks_nobody(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    with switched_off(world, "insert"):
        session = insert(
            world,
            user_id=client,
            therapist_id=therapist,
            start_time=at(0),
            end_time=at(0) + dt.timedelta(minutes=100_000),
        )

    world.book(client, therapist)

    assert world.run("select id from bookingdb.unplaced_sessions()") == [(session,)]
    assert world.violations() == []
    # What does not touch the times is written; what does must leave a time.
    update(world, session, status="confirmed", title="x")
    with refused("invalid_parameter"):
        update(world, session, end_time=at(0) + dt.timedelta(minutes=90_000))
    update(world, session, start_time=at(20), end_time=at(21))
    assert world.count("bookingdb.unplaced_sessions()") == 0
    assert world.violations() == []


def test_upgrade_frees_the_time_of_an_absurd_session(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    end = at(0) + dt.timedelta(minutes=100_000)
    with switched_off(world, "insert"):
        session = insert(world, user_id=client, therapist_id=therapist, start_time=at(0), end_time=end)
    world.run(
        "insert into bookingdb.calendar (id, kind, therapist_id, client_id, period, blocked)"
        " values (%s, 'session', %s, %s, tstzrange(%s, %s), tstzrange(%s, %s))",
        session, therapist, client, at(0), end, at(0), end,
    )  # fmt: skip
    (migration,) = [file for file in source.load().migrations if file.name == "0007_no_way_round"]

    freeing = [text for text in source.statements(migration.text) if text.startswith("delete from bookingdb.calendar")]
    # Stand-ins had this column of the calendar, which a later version drops.
    world.run(*[text.replace(" or c.external_source = 'adoption'", "") for text in freeing])

    world.book(client, therapist)
    assert world.violations() == []


@pytest.mark.parametrize("status", ["scheduled", "cancelled"])
@pytest.mark.parametrize("kind", ["hold", "time_off", "external"])
def test_id_of_something_else_is_refused_by_the_table(world: World, kind: str, status: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    if kind == "hold":
        taken: UUID = holding_slot(client, therapist, "10:00")(world.connection)[0]["id"]
    else:
        taken = world.scalar(
            "insert into bookingdb.absences (kind, therapist_id, period, external_source, external_id)"
            " values (%s, %s, tstzrange(%s, %s), %s, %s) returning id",
            kind, therapist, at(10), at(11), *(("x", "y") if kind == "external" else (None, None)),
        )  # fmt: skip

    with nothing_written(world), refused("invalid_parameter") as refusal:
        insert(world, id=taken, user_id=client, therapist_id=therapist, start_time=at(15), end_time=at(16),
               status=status)  # fmt: skip
    assert refusal.detail["parameter"] == "id"
    if kind == "hold":
        assert call(world.connection, "book_hold", hold_id=taken)["id"] == taken
    assert world.violations() == []
