"""`verify` lists what the server's time zone data did to a database, and its advice puts it right."""

from __future__ import annotations

import datetime as dt
import re

from bookingdb.checks.finding import Finding
from bookingdb.checks.verify import verify
from bookingdb.install import installer
from tests.support import TOMORROW, run
from tests.support.interleaving import next_clock_change
from tests.support.zone_files import ZonesWorld

MEXICO = "America/Mexico_City"


def follow(world: ZonesWorld, finding: Finding) -> None:
    for statement in re.findall("`(.+?)`", finding.remedy):
        world.connection.execute(statement.encode())


def test_session_off_its_local_time_is_a_finding(zones_world: ZonesWorld) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist(MEXICO))
    assert verify(world.connection) == []
    world.gets_rules_of(MEXICO, "America/Panama", refreshed=False)

    (finding,) = verify(world.connection)
    assert finding == Finding(
        "time zones",
        f"session {booked['id']}",
        f"was agreed for {TOMORROW} 10:00 {MEXICO}, whose rules changed since: it starts at {TOMORROW} 16:00 UTC"
        f" instead of {TOMORROW} 15:00 UTC",
        "Run `bookingdb time-zones realign`",
    )
    world.run("select * from realign_sessions()")
    assert verify(world.connection) == []


def test_session_at_a_skipped_time_is_a_finding_until_it_moves(zones_world: ZonesWorld) -> None:
    world = zones_world
    skipped = next_clock_change("America/Chicago", forward=True) + dt.timedelta(minutes=30)
    client, therapist = world.client(credits=1), world.therapist(MEXICO)
    booked = world.book(client, therapist, f"{skipped:%H:%M}", session_date=skipped.date())
    world.gets_rules_of(MEXICO, "America/Chicago")

    (finding,) = verify(world.connection)
    assert (finding.group, finding.remedy) == ("time zones", "The clocks now skip that time: reschedule it")
    world.run("select * from reschedule_session(%s, %s, '10:00')", booked["id"], skipped.date())
    assert verify(world.connection) == []


def test_lost_zone_is_a_finding_with_its_alias(zones_world: ZonesWorld) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist("US/Pacific"))
    world.loses("US/Pacific", refreshed=False)

    (finding,) = verify(world.connection)
    assert (finding.group, finding.object) == ("time zones", "US/Pacific")
    assert finding.problem == "is no zone that this server knows, but that of 1 policies and 1 session(s) to come"
    follow(world, finding)
    assert verify(world.connection) == []
    assert world.run("select time_zone, start_time from sessions") == [("America/Los_Angeles", booked["start_time"])]
    # The rest of the installation goes on as well.
    installer.migrate(world.connection, reapply=True)
    assert verify(world.connection) == []


def test_lost_zone_that_nobody_uses_is_no_finding(zones_world: ZonesWorld) -> None:
    zones_world.loses("US/Pacific")
    assert verify(zones_world.connection) == []


def test_connection_with_old_rules_finds_no_contradiction(zones_world: ZonesWorld) -> None:
    world = zones_world
    world.book(world.client(credits=1), world.therapist(MEXICO))
    with world.connect() as old:
        # It reads the zone, and keeps what it read.
        assert verify(old) == []
        world.gets_rules_of(MEXICO, "America/Panama")
        world.run("select * from realign_sessions()")

        assert run(old, "select * from bookingdb.check_invariants()") == []
    assert world.violations() == []


def test_running_session_whose_zone_changes_is_no_finding(zones_world: ZonesWorld) -> None:
    world = zones_world
    world.run(
        "insert into sessions (user_id, time_zone, start_time, end_time)"
        " values (%s, %s, now() - interval '10 minutes', now() + interval '50 minutes')",
        world.client(), MEXICO,
    )  # fmt: skip
    world.gets_rules_of(MEXICO, "America/Panama")

    assert verify(world.connection) == []
