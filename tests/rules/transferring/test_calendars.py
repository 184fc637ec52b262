"""Calendar files after a session changed hands: whoever lost it takes it out, whoever has it now shows it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import icalendar
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.commands import bookingdb
from tests.support.databases import on_supabase
from tests.support.life import call, require_sound, rows
from tests.support.refusals import refused


def event_of(world: World, therapist: UUID, session_id: UUID, *options: Any) -> Any:
    """Return the one event of the session in the therapist's file, or None."""
    written = bookingdb(world.url, "ics", therapist, *options)
    assert written.exit_code == 0, written.output
    calendar = icalendar.Calendar.from_ical(written.stdout_bytes)
    uid = f"{session_id}@bookingdb"
    events = [event for event in calendar.walk("VEVENT") if event["uid"] == uid]
    assert len(events) <= 1
    return events[0] if events else None


def state_of(event: Any) -> tuple[str, int]:
    return str(event["status"]), int(event.get("sequence", 0))


def give(world: World, session_id: UUID, therapist: UUID, how: str) -> None:
    if how == "an update":
        world.run("update sessions set therapist_id = %s where id = %s", therapist, session_id)
    else:
        call(world.connection, "transfer_session", session_id=session_id, therapist_id=therapist)


@pytest.mark.parametrize("how", ["an update", "a transfer"])
def test_calendar_of_the_old_therapist_cancels_the_session(world: World, how: str) -> None:
    ada, grace, hedy = world.client(credits=1), world.therapist("Europe/Berlin"), world.therapist("America/New_York")
    session = world.book(ada, grace)
    before = event_of(world, grace, session["id"])
    assert state_of(before) == ("CONFIRMED", 0)
    assert event_of(world, hedy, session["id"]) is None
    give(world, session["id"], hedy, how)
    left, taken = event_of(world, grace, session["id"]), event_of(world, hedy, session["id"])
    assert (state_of(left), str(left["transp"])) == (("CANCELLED", 1), "TRANSPARENT")
    assert (left["dtstart"].dt, left["dtend"].dt) == (before["dtstart"].dt, before["dtend"].dt)
    assert (state_of(taken), taken["dtstart"].dt) == (("CONFIRMED", 1), session["start_time"])
    require_sound(world)


def test_session_that_comes_back_is_not_cancelled(world: World) -> None:
    ada, grace, hedy = world.client(credits=1), world.therapist(), world.therapist()
    session_id = world.book(ada, grace)["id"]
    give(world, session_id, hedy, "a transfer")
    give(world, session_id, grace, "an update")
    assert state_of(event_of(world, grace, session_id)) == ("CONFIRMED", 2)
    assert state_of(event_of(world, hedy, session_id)) == ("CANCELLED", 2)
    # When it leaves once more, that is news.
    give(world, session_id, hedy, "an update")
    assert state_of(event_of(world, grace, session_id)) == ("CANCELLED", 3)
    give(world, session_id, grace, "an update")
    call(world.connection, "cancel_session", session_id=session_id)
    assert state_of(event_of(world, grace, session_id)) == ("CANCELLED", 5)
    assert state_of(event_of(world, hedy, session_id)) == ("CANCELLED", 4)
    require_sound(world)


def test_sequence_grows_with_each_change(world: World) -> None:
    session_id = world.book(world.client(credits=1), grace := world.therapist())["id"]
    day = TOMORROW + dt.timedelta(days=1)
    call(world.connection, "reschedule_session", session_id=session_id, session_date=day, session_time="12:00")
    call(world.connection, "confirm_session", session_id=session_id)
    assert state_of(event_of(world, grace, session_id)) == ("CONFIRMED", 2)


def test_old_therapist_learns_nothing_new_of_the_session(world: World) -> None:
    ada, grace, hedy = world.client(credits=1), world.therapist(), world.therapist()
    session_id = world.book(ada, grace)["id"]
    before = event_of(world, grace, session_id)
    give(world, session_id, hedy, "a transfer")
    world.run("update sessions set title = 'a secret', description = 'a secret'")
    day = TOMORROW + dt.timedelta(days=5)
    call(world.connection, "reschedule_session", session_id=session_id, session_date=day, session_time="20:00")
    left = event_of(world, grace, session_id)
    assert (left["dtstart"].dt, state_of(left)) == (before["dtstart"].dt, ("CANCELLED", 1))
    assert "secret" not in str(left)
    assert event_of(world, grace, session_id, "--from", day) is None
    assert event_of(world, hedy, session_id, "--from", day)["dtstart"].dt.hour == 20
    require_sound(world)


def test_deleted_session_stays_cancelled_where_it_was(world: World) -> None:
    session_id = world.book(world.client(credits=1), grace := world.therapist())["id"]
    give(world, session_id, world.therapist(), "an update")
    world.run("delete from sessions")
    assert state_of(event_of(world, grace, session_id)) == ("CANCELLED", 1)


def test_deleted_session_is_cancelled_with_a_number_more(world: World) -> None:
    """A calendar ignores what is older than what it has; whoever lost the session before learns nothing new."""
    grace, hedy = world.therapist(), world.therapist()
    session_id = world.book(world.client(credits=1), grace)["id"]
    for therapist in (hedy, grace, hedy):
        give(world, session_id, therapist, "an update")
    assert state_of(event_of(world, hedy, session_id)) == ("CONFIRMED", 3)
    world.run("delete from sessions")
    assert state_of(event_of(world, hedy, session_id)) == ("CANCELLED", 4)
    assert state_of(event_of(world, grace, session_id)) == ("CANCELLED", 3)


def test_session_without_a_time_leaves_no_calendar(world: World) -> None:
    grace = world.therapist()
    insert = "insert into sessions (user_id, therapist_id, status) values (%s, %s, 'cancelled') returning id"
    session_id = world.scalar(insert, world.client(), grace)
    give(world, session_id, world.therapist(), "an update")
    assert world.run("select * from bookingdb.former_therapists") == []


def test_session_that_left_blocks_nothing_when_it_comes_in(world: World) -> None:
    session = world.book(world.client(credits=1), grace := world.therapist())
    give(world, session["id"], world.therapist(), "a transfer")
    entry = {"external_id": f"{session['id']}@bookingdb"}
    entry |= {name: session[name].isoformat() for name in ("start_time", "end_time")}
    synced = call(world.connection, "sync_external_busy", therapist_id=grace, source="phone", events=Jsonb([entry]))
    assert (synced["inserted"], synced["ignored"]) == (0, 1)


@on_supabase
def test_therapist_lists_changes_of_their_own_calendar(hosted_world: World) -> None:
    ada, grace, hedy = hosted_world.client(credits=1), hosted_world.therapist(), hosted_world.therapist()
    session_id = hosted_world.book(ada, grace)["id"]
    give(hosted_world, session_id, hedy, "a transfer")
    span = {"from": dt.datetime.now(dt.UTC), "to": dt.datetime.now(dt.UTC) + dt.timedelta(days=9)}
    for therapist, has_left in ((grace, True), (hedy, False)):
        with logged_in(hosted_world, therapist) as connection:
            (change,) = rows(connection, "list_calendar_changes", therapist_id=therapist, **span)
        assert (change["session_id"], change["has_left"]) == (session_id, has_left)
    with logged_in(hosted_world, grace) as connection, refused("not_allowed"):
        rows(connection, "list_calendar_changes", therapist_id=hedy, **span)
