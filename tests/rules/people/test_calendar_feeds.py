"""A secret address shows one person's sessions, as long as it is not revoked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from bookingdb import Bookings
from bookingdb.ical import writing
from bookingdb.ical.feeds import write_feed
from tests.support import World
from tests.support.life import begin
from tests.support.refusals import refused


def feed(world: World, person: UUID) -> list[tuple[Any, ...]]:
    secret = world.scalar("select create_calendar_feed(%s)", person)
    return world.run("select session_id, part, status, with_name from calendar_feed(%s)", secret)


def test_each_person_sees_their_own_sessions_alone(world: World) -> None:
    client, other, therapist = world.client(credits=2), world.client(credits=1), world.therapist()
    first, second = world.book(client, therapist)["id"], world.book(other, therapist, "14:00")["id"]
    world.run("update users set full_name = 'Grace' where id = %s", other)
    assert feed(world, client) == [(first, "client", "scheduled", "A Therapist")]
    assert feed(world, other) == [(second, "client", "scheduled", "A Therapist")]
    assert feed(world, therapist) == [
        (first, "therapist", "scheduled", "A Client"), (second, "therapist", "scheduled", "Grace"),
    ]  # fmt: skip
    assert feed(world, world.client()) == []


def test_cancelled_session_stays_and_one_long_past_goes(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    gone, past, old = (world.book(client, therapist, at)["id"] for at in ("08:00", "10:00", "12:00"))
    world.run("select cancel_session(%s, 'ill')", gone)
    begin(world.connection, past, 60 * 24 * 89)
    begin(world.connection, old, 60 * 24 * 91)
    assert [(session, status) for session, _, status, _ in feed(world, client)] == [
        (past, "scheduled"), (gone, "cancelled"),
    ]  # fmt: skip


def test_new_secret_or_revocation_ends_the_one_before(world: World) -> None:
    client = world.client()
    secrets = [world.scalar("select create_calendar_feed(%s)", client) for _ in range(2)]
    assert len({*secrets}) == 2
    assert world.run("select calendar_feed(%s)", secrets[1]) == []
    world.run("select revoke_calendar_feed(%s)", client)
    # Each is the same refusal, whatever is wrong.
    details = []
    for wrong in (*secrets, "", None, "feed_", secrets[1].upper(), "x" * 10_000):
        with refused("feed_not_found") as refusal:
            world.run("select calendar_feed(%s)", wrong)
        details.append((refusal.detail, refusal.hint))
    assert all(detail == details[0] for detail in details)


def test_secret_is_nowhere_in_the_database(world: World) -> None:
    client = world.client()
    secret = world.scalar("select create_calendar_feed(%s)", client)
    assert secret.removeprefix("feed_") not in str(world.run("select c::text from bookingdb.calendar_feeds as c"))


@pytest.mark.parametrize("has_own", [False, True])
def test_merged_client_passes_the_address_on(world: World, has_own: bool) -> None:
    first, second, therapist = world.client(credits=1), world.client(), world.therapist()
    session = world.book(first, therapist)["id"]
    old = world.scalar("select create_calendar_feed(%s)", first)
    own = world.scalar("select create_calendar_feed(%s)", second) if has_own else old
    world.run("select merge_clients(%s, %s)", first, second)
    assert world.run("select session_id from calendar_feed(%s)", own) == [(session,)]
    if has_own:
        with refused("feed_not_found"):
            world.run("select calendar_feed(%s)", old)


def test_file_has_the_uids_of_every_other_file(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
    kept, gone = world.book(client, therapist)["id"], world.book(client, therapist, "14:00")["id"]
    world.run('select set_contact(%s, \'{"time_zone": "Europe/Berlin"}\')', client)
    world.run("select cancel_session(%s, 'ill')", gone)
    bookings = Bookings(world.connection)
    entries = bookings.calendar_feed(bookings.create_calendar_feed(client))
    written = write_feed(entries, ZoneInfo(entries[0].time_zone), now=datetime.now(UTC))
    events = Calendar.from_ical(written).walk("VEVENT")
    assert [(str(event["uid"]), str(event["status"])) for event in events] == [
        (writing.uid(kept), "CONFIRMED"), (writing.uid(gone), "CANCELLED"),
    ]  # fmt: skip
    assert str(events[0]["summary"]) == "Therapy Session (A Therapist)"
    assert events[0]["dtstart"].params["tzid"] == "Europe/Berlin"
    assert events[0].decoded("dtstart") == entries[0].start_time
    assert b"description" not in written.lower()
