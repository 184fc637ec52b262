"""`bookingdb time-zones`, and what `migrate` says of sessions whose zone got other rules."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import bookingdb
from tests.support.zone_files import ZonesWorld

MEXICO = "America/Mexico_City"
OFF_TIME = (
    "1 session(s) of 1 therapist(s) no longer start at their agreed local time, because zone rules changed"
    f" ({MEXICO}: 1); run `bookingdb time-zones realign`"
)


@pytest.fixture
def world(zones_world: ZonesWorld) -> ZonesWorld:
    """A world with a session in Mexico City, which became Panama since; nobody has refreshed the zones."""
    zones_world.book(zones_world.client(credits=1), zones_world.therapist(MEXICO))
    zones_world.gets_rules_of(MEXICO, "America/Panama", refreshed=False)
    return zones_world


def test_refresh_says_how_many_sessions_are_off_their_time(world: ZonesWorld) -> None:
    refreshed = bookingdb(world.url, "time-zones", "refresh")
    assert (refreshed.exit_code, refreshed.stdout) == (0, f"Refreshed. {OFF_TIME}.\n")
    (session,) = json.loads(bookingdb(world.url, "time-zones", "refresh", "--json").stdout)["sessions_off_time"]
    assert session["time_zone"] == MEXICO
    assert world.scalar("select count(*) from bookingdb.time_zone_rules where time_zone = %s", MEXICO) == 2


def test_refresh_names_the_zones_that_are_lost(world: ZonesWorld) -> None:
    world.therapist("US/Pacific")
    world.loses("US/Pacific", refreshed=False)
    said = bookingdb(world.url, "time-zones", "refresh").stdout
    assert said.startswith(
        "Lost: US/Pacific, of 1 policies and 0 session(s) to come; America/Los_Angeles has the same rules.\n"
    )


def test_migrate_says_how_many_sessions_are_off_their_time(world: ZonesWorld) -> None:
    assert OFF_TIME in bookingdb(world.url, "migrate").stderr


def test_realign_moves_what_a_dry_run_names(world: ZonesWorld) -> None:
    therapist = str(world.scalar("select therapist_id from sessions"))
    start = world.scalar("select start_time from sessions")
    planned = bookingdb(world.url, "time-zones", "realign", therapist, "--dry-run", "--json")
    assert world.scalar("select start_time from sessions") == start
    done = bookingdb(world.url, "time-zones", "realign", "--json")
    assert (planned.exit_code, done.exit_code) == (0, 0)
    assert json.loads(planned.stdout) == json.loads(done.stdout)
    assert world.scalar("select start_time from sessions") != start
    assert bookingdb(world.url, "time-zones", "realign").stdout == "None.\n"


def test_realign_exits_with_1_where_a_session_stays(world: ZonesWorld) -> None:
    world.book(world.client(credits=1), world.scalar("select therapist_id from sessions"))
    stayed = bookingdb(world.url, "time-zones", "realign")
    assert stayed.exit_code == 1
    assert "booking_conflict" in stayed.stdout


def test_zone_unknown_to_this_machine_is_named(zones_world: ZonesWorld) -> None:
    world = zones_world
    world.files.invent("Mars/Olympus", like="Asia/Tokyo")
    world.refresh()
    therapist, client = world.therapist("Mars/Olympus"), world.client(credits=1)
    world.book(client, therapist)
    for command in ("slots", "ics"):
        refused = bookingdb(world.url, command, therapist)
        assert refused.exit_code == 1
        assert "Mars/Olympus" in refused.stderr
        assert "install the package tzdata" in refused.stderr
    # What needs the database alone goes on.
    assert bookingdb(world.url, "next", therapist).exit_code == 0


def test_zone_lost_by_the_server_is_named_with_its_alias(zones_world: ZonesWorld) -> None:
    world = zones_world
    therapist = world.therapist("US/Pacific")
    world.loses("US/Pacific")
    for command in ("slots", "next"):
        refused = bookingdb(world.url, command, therapist)
        assert refused.exit_code == 1
        assert "US/Pacific" in refused.stderr
        assert "America/Los_Angeles" in refused.stderr
