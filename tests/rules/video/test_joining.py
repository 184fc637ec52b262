"""Who may enter the video room of a session, from when to when, and what writing its address does not do."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from bookingdb import Bookings, InvalidParameter, NotAllowed, SessionNotFound
from bookingdb.records import JoinableSession
from tests.support import World, connect
from tests.support.life import begin, call, request_session
from tests.support.refusals import refused

ADDRESS = "https://practice.daily.example/room"
MINUTE = dt.timedelta(minutes=1)
LONG = 60


def ready(world: World, starts_in: int = 0, address: str | None = ADDRESS) -> tuple[UUID, UUID, UUID]:
    """A session of an hour that starts in so many minutes, with a room; its client and its therapist."""
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    begin(world.connection, session_id, -starts_in)
    call(world.connection, "set_session_video", session_id=session_id, url=address, status="ready")
    return session_id, client, therapist


def join(world: World, session_id: UUID, person: UUID | None = None) -> JoinableSession:
    if person is None:
        return Bookings(world.connection).join_session(session_id)
    return Bookings(world.connection, acting_as=person).join_session(session_id)


# ----------------------------------------------------------------------------------------------------------------------
# From when to when
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts_in", "reason"),
    [(17, "too_early"), (15, None), (0, None), (-LONG - 28, None), (-LONG - 31, "too_late")],
)
def test_room_is_open_around_the_session(world: World, starts_in: int, reason: str | None) -> None:
    session_id, client, _ = ready(world, starts_in)
    found = join(world, session_id, client)
    ((start, end),) = world.run("select start_time, end_time from sessions where id = %s", session_id)
    assert (found.reason, found.may_join) == (reason, reason is None)
    assert found.video_url == (ADDRESS if reason is None else None)
    assert (found.opens_at, found.closes_at) == (start - 15 * MINUTE, end + 30 * MINUTE)
    assert (found.room_name, found.video_status) == (str(session_id), "ready")


@pytest.mark.parametrize(
    ("settings", "before", "after"),
    [
        ({"before_minutes": 5, "after_minutes": 0}, 5, 0),
        ({"before_minutes": "60"}, 60, 30),
        ({"before_minutes": -5, "after_minutes": "soon"}, 15, 30),
        ({"before_minutes": {"a": 1}, "after_minutes": 10**12}, 15, 30),
    ],
)
def test_window_is_that_of_the_destination(world: World, settings: Any, before: int, after: int) -> None:
    world.run(
        "insert into bookingdb.destinations (name, kind, events, settings) values ('rooms', 'daily', '{*}', %s)",
        Jsonb(settings),
    )
    session_id, client, _ = ready(world)
    found = join(world, session_id, client)
    assert found.opens_at is not None
    assert found.closes_at is not None
    assert found.closes_at - found.opens_at == (before + LONG + after) * MINUTE


@pytest.mark.parametrize("status", ["completed", "no_show", "cancelled"])
def test_room_of_a_session_that_is_over_is_closed(world: World, status: str) -> None:
    session_id, client, therapist = ready(world, -5)
    world.run("update sessions set status = %s where id = %s", status, session_id)
    for person in (client, therapist, None):
        found = join(world, session_id, person)
        assert (found.may_join, found.reason, found.video_url) == (False, "not_active", None)


def test_request_has_no_room_until_it_is_approved(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    start = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) + 10 * MINUTE
    session_id = request_session(world.connection, client, therapist, start)
    assert join(world, session_id, client).reason == "not_active"


def test_session_without_its_room_is_no_reason_to_wait(world: World) -> None:
    """The booking and the start of a session work without a room."""
    session_id, client, therapist = ready(world, -5, address=None)
    assert join(world, session_id, client).reason == "no_room"
    assert Bookings(world.connection, acting_as=therapist).start_session(session_id).status == "in_progress"
    call(world.connection, "set_session_video", session_id=session_id, url=ADDRESS, status="ready")
    assert join(world, session_id, client).may_join


# ----------------------------------------------------------------------------------------------------------------------
# Who
# ----------------------------------------------------------------------------------------------------------------------


def test_both_people_join_and_are_told_their_part(world: World) -> None:
    session_id, client, therapist = ready(world)
    parts = [join(world, session_id, person).part for person in (client, therapist, None)]
    assert parts == ["client", "therapist", None]
    assert all(join(world, session_id, person).video_url == ADDRESS for person in (client, therapist, None))


def test_former_therapist_does_not_join(world: World) -> None:
    session_id, _, therapist = ready(world, 10)
    colleague = world.therapist()
    call(world.connection, "transfer_session", session_id=session_id, therapist_id=colleague)
    assert join(world, session_id, colleague).may_join
    with pytest.raises(NotAllowed):
        join(world, session_id, therapist)


def test_stranger_does_not_join(world: World) -> None:
    session_id, _, _ = ready(world)
    for stranger in (world.client(), world.therapist()):
        with pytest.raises(NotAllowed):
            join(world, session_id, stranger)


def test_forged_claims_open_no_room(world: World) -> None:
    session_id, client, _ = ready(world)
    with connect(psycopg.conninfo.make_conninfo(world.url, user="stranger")) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, false)", [f'{{"sub": "{client}"}}'])
        for schema in ("public", "bookingdb"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {schema}.join_session(%s)".encode(), [session_id])


def test_session_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(SessionNotFound):
        join(world, UUID(int=1))
    with refused("invalid_session_id"):
        world.run("select * from join_session(null)")


# ----------------------------------------------------------------------------------------------------------------------
# Writing the address
# ----------------------------------------------------------------------------------------------------------------------


def test_writing_the_address_is_no_change_of_the_session(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist, title="A title")["id"]
    columns = "to_jsonb(s) - 'video_url' - 'video_status'"
    before = [world.scalar(f"select {columns} from sessions as s where id = %s", session_id)]
    before += [world.count(table) for table in ("booking_audit_log", "bookingdb.outbox", "bookingdb.texts")]
    for address, status in ((ADDRESS, "ready"), (ADDRESS, "failed"), (None, None)):
        call(world.connection, "set_session_video", session_id=session_id, url=address, status=status)
        assert world.run("select video_url, video_status from sessions") == [(address, status)]
    after = [world.scalar(f"select {columns} from sessions as s where id = %s", session_id)]
    after += [world.count(table) for table in ("booking_audit_log", "bookingdb.outbox", "bookingdb.texts")]
    assert after == before
    assert world.violations() == []


def test_change_beside_the_address_is_on_record(world: World) -> None:
    """Only a change of these columns alone is passed over, also for whoever writes directly."""
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    world.run("update sessions set video_url = %s, title = 'Another' where id = %s", ADDRESS, session_id)
    ((changes,),) = world.run("select changes from booking_audit_log where action = 'updated'")
    assert "title" in changes


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://practice.daily.example/room", "ready"),
        ("javascript:alert(1)", "ready"),
        ("https://", "ready"),
        ("https://practice.example@evil.example/", "ready"),
        ('https://practice.example/"><script>\n', "ready"),
        ("https://practice.example/" + "a" * 2000, "ready"),
        ("", "ready"),
        (ADDRESS, ""),
        (ADDRESS, "Ready, because Ada said so"),
        (ADDRESS, "a" * 31),
    ],
)
def test_address_that_no_browser_should_open_is_refused(world: World, address: str, status: str) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    with refused("invalid_parameter"):
        call(world.connection, "set_session_video", session_id=session_id, url=address, status=status)
    with pytest.raises(InvalidParameter):
        Bookings(world.connection).set_session_video(session_id, address, status)


def test_only_workers_write_the_address(world: World) -> None:
    session_id, client, therapist = ready(world)
    for person in (client, therapist):
        with pytest.raises(NotAllowed):
            Bookings(world.connection, acting_as=person).set_session_video(session_id, None, None)


def test_busy_session_is_busy_for_the_worker(world: World) -> None:
    session_id, _, _ = ready(world)
    with world.connect() as other, other.transaction():
        other.execute("select from sessions where id = %s for update", [session_id])
        world.run("set lock_timeout = '20ms'")
        with refused("busy"):
            call(world.connection, "set_session_video", session_id=session_id, url=None, status=None)
    world.run("reset lock_timeout")
