"""The revision of a session grows by one with each change, whoever writes, and its events say it."""

from __future__ import annotations

import random
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests.support import World
from tests.support.deliveries import drain, webhook
from tests.support.direct_writes import rolled_back
from tests.support.life import LATER, call, move
from tests.support.refusals import outcome
from tests.support.session_records import session_row


def booked(world: World, time: str = "10:00") -> UUID:
    session = world.book(world.client(credits=3), world.therapist(), time, session_date=LATER)["id"]
    assert isinstance(session, UUID)
    return session


def revision(world: World, session: UUID) -> int:
    return int(session_row(world, session)["revision"])


def payloads(world: World, session: UUID) -> list[Any]:
    """What the outbox says of a session, in order."""
    return [
        payload
        for (payload,) in world.run("select payload from bookingdb.outbox where subject_id = %s order by id", session)
    ]


def test_revision_counts_the_changes_of_functions(world: World) -> None:
    session = booked(world)
    assert revision(world, session) == 0
    move(world, session, "12:00", LATER)
    call(world.connection, "confirm_session", session_id=session)
    call(world.connection, "cancel_session", session_id=session)
    call(world.connection, "reopen_session", session_id=session)
    assert revision(world, session) == 4
    assert [payload.get("revision") for payload in payloads(world, session)] == [None, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "column",
    ["title = 'x'", "description = 'x'", "session_type = 'x'", "time_zone = 'Europe/Berlin'", "series_id = id"],
)
def test_revision_counts_what_is_written_directly(world: World, column: str) -> None:
    session = booked(world)
    world.run(f"update sessions set {column}")
    assert revision(world, session) == 1
    assert payloads(world, session)[-1]["revision"] == 1


@pytest.mark.parametrize(
    "columns",
    [
        "updated_at = now() + interval '1 hour'",
        "title = title",
        "video_url = 'https://rooms.example/a', video_status = 'ready'",
        "duration_minutes = duration_minutes, revision = 7",
    ],
)
def test_update_without_a_change_has_no_event_and_no_revision(world: World, columns: str) -> None:
    session = booked(world)
    move(world, session, "12:00", LATER)
    before = (len(payloads(world, session)), world.count("booking_audit_log"))
    world.run(f"update sessions set {columns}")
    assert revision(world, session) == 1
    assert (len(payloads(world, session)), world.count("booking_audit_log")) == before


def test_direct_writer_of_a_revision_is_overruled(world: World) -> None:
    session = booked(world)
    for written, status in ((100, "confirmed"), (0, "in_progress"), (-5, "completed")):
        world.run("update sessions set revision = %s, status = %s", written, status)
    assert revision(world, session) == 3
    changes = [change for (change,) in world.run("select changes from booking_audit_log where action <> 'created'")]
    assert [list(change) for change in changes] == [["status"]] * 3

    world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time, revision) select user_id, therapist_id,"
        " start_time + interval '1 day', end_time + interval '1 day', 9 from sessions"
    )
    assert world.run("select revision from sessions where id <> %s", session) == [(0,)]


def test_generated_column_of_an_application_is_no_change(world: World) -> None:
    session = booked(world)
    with rolled_back(world):
        world.run("alter table sessions add column label text generated always as (title || '!') stored")
        world.run("update sessions set updated_at = clock_timestamp()")
        assert revision(world, session) == 0
        world.run("update sessions set title = 'Other'")
        assert revision(world, session) == 1


def test_video_beside_a_change_is_left_out_of_the_audit_log(world: World) -> None:
    session = booked(world)
    world.run("update sessions set video_url = 'https://rooms.example/a', title = 'Other'")
    assert revision(world, session) == 1
    (changes,) = world.run("select changes from booking_audit_log where action = 'updated'")[0]
    assert list(changes) == ["title"]
    assert payloads(world, session)[-1]["columns"] == ["title"]


def test_deleted_session_has_one_revision_more(world: World) -> None:
    session = booked(world)
    move(world, session, "12:00", LATER)
    world.run("delete from sessions")
    last = payloads(world, session)[-1]
    assert (last["revision"], last["new_status"], last["actor"]) == (2, None, "owner")


# What may happen to a session, allowed or not: 1 is its id, and 2 a number of hours.
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("confirm_session", {}), ("cancel_session", {}), ("reopen_session", {}), ("approve_session", {}),
    ("reschedule_session", {"session_date": LATER, "session_time": "{:02}:00"}), ("start_session", {}),
)  # fmt: skip
WRITES = (
    "update sessions set title = title || '{1}' where id = '{0}'",
    "update sessions set start_time = start_time + interval '{1} minutes' where id = '{0}'",
    "update sessions set status = 'confirmed', title = '{1}' where id = '{0}'",
    "update sessions set status = 'pending_approval', revision = {1} where id = '{0}'",
    "update sessions set video_url = '{1}' where id = '{0}'",
    "update sessions set updated_at = clock_timestamp() where id = '{0}'",
    "update sessions set description = null, video_status = 'ready' where id = '{0}'",
)


@pytest.mark.parametrize("seed", range(3))
def test_events_tell_the_story_of_the_audit_log(world: World, seed: int) -> None:
    chance = random.Random(seed)
    webhook(world.connection, "crm", "session.*")
    sessions = [booked(world, f"{hour:02}:00") for hour in (8, 9)]
    for _ in range(30):
        session, number = chance.choice(sessions), chance.randint(10, 16)
        if chance.random() < 0.6:
            name, arguments = chance.choice(CALLS)
            given = {key: value.format(number) if isinstance(value, str) else value for key, value in arguments.items()}
            outcome(partial(call, world.connection, name, session_id=session, **given))
        else:
            world.run(chance.choice(WRITES).format(session, number))

    told: dict[UUID, list[Any]] = {session: [] for session in sessions}
    for delivery in drain(world.connection):
        told[delivery["subject_id"]].append(delivery["body"]["data"])
    for session, events in told.items():
        logged = world.run(
            "select old_status, new_status, changes from booking_audit_log where session_id = %s order by entry",
            session,
        )
        assert [(event["old_status"], event["status"]) for event in events] == [row[:2] for row in logged]
        assert [event["revision"] for event in events] == list(range(len(events)))
        assert revision(world, session) == len(events) - 1
        for event, (_, _, changes) in zip(events, logged, strict=True):
            assert ("old_start_time" in event) == ("start_time" in changes or "end_time" in changes)
            if "columns" in event:
                assert set(event["columns"]) == set(changes)
    # A direct writer who brings back a session that was refunded is found out (8).
    assert {number for number, *_ in world.violations()} <= {8}
