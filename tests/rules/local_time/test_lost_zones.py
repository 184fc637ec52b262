"""A zone that the server has lost: its therapist's calls say so, and everybody else's go on."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from bookingdb.install import time_zones
from tests.support import TOMORROW
from tests.support.refusals import refused
from tests.support.zone_files import ZonesWorld

PACIFIC = "US/Pacific"
NOON = dt.datetime.combine(TOMORROW, dt.time(12), dt.UTC)

# Calls about a therapist (t), a client (c) and a session (s) that need the zone of the therapist or session.
NEEDS_A_ZONE = {
    "book": "create_session_with_credit_deduction(%(c)s, %(t)s, %(date)s, '14:00')",
    "book in another zone": "create_session_with_credit_deduction(%(c)s, %(t)s, %(date)s, '14:00',"
    " p_time_zone => 'UTC')",
    "book in the lost zone": "create_session_with_credit_deduction(%(c)s, %(t)s, %(date)s, '14:00',"
    " p_time_zone => 'US/Pacific')",
    "override": "book_session_with_override(%(c)s, %(t)s, %(date)s, '14:00')",
    "series": "book_series(%(c)s, %(t)s, %(date)s, '14:00', 2)",
    "hold": "hold_slot(%(c)s, %(t)s, %(date)s, '14:00')",
    "reschedule series": "reschedule_series(%(s)s, %(date)s, '14:00')",
    "reschedule": "reschedule_session(%(s)s, %(date)s, '14:00')",
    "check": "check_booking_conflict(%(t)s, %(date)s, '14:00', '15:00')",
    "slots": "list_available_slots(%(t)s, %(date)s, %(date)s)",
    "slots in another zone": "list_available_slots(%(t)s, %(date)s, %(date)s, p_time_zone => 'UTC')",
    "states": "list_slot_states(%(t)s, %(date)s, %(date)s)",
    "days": "list_available_days(%(t)s, %(date)s, %(date)s)",
    "next": "next_available_slot(%(t)s)",
    "days off": "add_days_off(%(t)s, %(date)s, %(date)s)",
    "opening hours": "list_opening_hours(%(t)s, %(date)s, %(date)s)",
    "policy": """set_policy('{"time_zone": "US/Pacific"}', %(t)s)""",
    "registration": "register_therapist('new@example.com', null, null, 'US/Pacific')",
}
NEEDS_NO_ZONE = {
    "hours": """set_weekly_hours(%(t)s, '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]')""",
    "override": """set_date_override(%(t)s, %(date)s, '[{"start_time": "09:00", "end_time": "17:00"}]')""",
    "overrides": "list_date_overrides(%(t)s, %(date)s, %(date)s)",
    "time off": "add_time_off(%(t)s, now(), now() + interval '1 day')",
    "absences": "list_time_off(%(t)s, now(), now() + interval '1 day')",
    "external": "sync_external_busy(%(t)s, 'calendar', '[]', now(), now() + interval '1 day')",
    "confirm": "confirm_session(%(s)s)",
    "cancel": "cancel_session(%(s)s)",
    "another zone": """set_policy('{"time_zone": "America/Los_Angeles"}', %(t)s)""",
}


def scene(world: ZonesWorld, refreshed: bool) -> dict[str, object]:
    """Return a therapist with hours whose zone is lost, a client and their session."""
    therapist, client = world.therapist(PACIFIC), world.client(credits=5)
    all_day = {"start_time": "00:00", "end_time": "24:00"}
    hours = [{"weekday": weekday, **all_day} for weekday in range(1, 8)]
    world.run("select set_weekly_hours(%s, %s)", therapist, json.dumps(hours))
    world.run("select set_date_override(%s, %s, %s)", therapist, TOMORROW, json.dumps([all_day]))
    session = world.book(client, therapist)["id"]
    world.loses(PACIFIC, refreshed=refreshed)
    return {"t": therapist, "c": client, "s": session, "date": TOMORROW}


@pytest.mark.parametrize("refreshed", [True, False], ids=["refreshed", "unnoticed"])
@pytest.mark.parametrize("name", NEEDS_A_ZONE)
def test_call_that_needs_a_lost_zone_says_invalid_time_zone(
    zones_world: ZonesWorld, name: str, refreshed: bool
) -> None:
    people = scene(zones_world, refreshed)
    with refused("invalid_time_zone") as refusal:
        zones_world.connection.execute(f"select * from {NEEDS_A_ZONE[name]}".encode(), people)
    alias = "America/Los_Angeles" if refreshed else None
    assert (refusal.detail["time_zone"], refusal.detail["alias"]) == (PACIFIC, alias)


def test_calls_that_need_no_zone_go_on_without_it(zones_world: ZonesWorld) -> None:
    people = scene(zones_world, refreshed=True)
    for call in NEEDS_NO_ZONE.values():
        zones_world.connection.execute(f"select * from {call}".encode(), people)
    assert zones_world.violations() == []


@pytest.mark.parametrize("refreshed", [True, False], ids=["refreshed", "unnoticed"])
def test_therapist_in_a_lost_zone_is_left_out_of_the_search(zones_world: ZonesWorld, refreshed: bool) -> None:
    world = zones_world
    other = world.therapist("Europe/Berlin")
    scene(world, refreshed)
    found = world.run("select therapist_id from find_available_therapists(%s, %s)", NOON, NOON + dt.timedelta(days=2))
    assert found == [(other,)]


def test_refresh_marks_a_lost_zone_and_finds_its_alias(zones_world: ZonesWorld) -> None:
    world = zones_world
    query = "select gone_since is not null, alias from bookingdb.time_zones where name = %s"
    world.loses(PACIFIC)
    assert world.run(query, PACIFIC) == [(True, "America/Los_Angeles")]
    assert world.scalar("select bookingdb.zone_aliases(%s)", PACIFIC)[0] == "America/Los_Angeles"
    world.finds_again()
    assert world.run(query, PACIFIC) == [(False, None)]


def test_zone_whose_spelling_changed_is_still_known(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, ada = world.therapist("America/Godthab"), world.client(credits=1)
    # Postgres takes a zone's name in any case.
    world.files.rename("America/Godthab", "America/GodThab")
    world.refresh()
    assert world.scalar("select gone_since from bookingdb.time_zones where name = 'America/Godthab'") is None
    world.book(ada, maria)


def test_sessions_in_a_lost_zone_are_left_alone(zones_world: ZonesWorld) -> None:
    world = zones_world
    people = scene(world, refreshed=True)
    assert world.run("select * from realign_sessions()") == []
    assert world.scalar("select count(*) from bookingdb.calendar where id = %s", people["s"]) == 1


@pytest.mark.parametrize("refreshed", [True, False], ids=["refreshed", "unnoticed"])
def test_direct_write_that_needs_a_lost_zone_is_refused(zones_world: ZonesWorld, refreshed: bool) -> None:
    people = scene(zones_world, refreshed)
    for statement in (
        "update sessions set scheduled_time = '15:00' where id = %(s)s",
        "insert into sessions (user_id, therapist_id, scheduled_date, scheduled_time, duration_minutes)"
        " values (%(c)s, %(t)s, %(date)s, '16:00', 60)",
    ):
        with refused("invalid_time_zone") as refusal:
            zones_world.connection.execute(statement.encode(), people)
        assert refusal.detail["time_zone"] == PACIFIC
    zones_world.connection.execute("update sessions set title = 'Another' where id = %(s)s", people)
    assert zones_world.violations() == []


@pytest.mark.parametrize("refreshed", [True, False], ids=["refreshed", "unnoticed"])
def test_window_of_a_lost_zone_is_closed_and_counted(zones_world: ZonesWorld, refreshed: bool) -> None:
    world = zones_world
    therapist = world.therapist("Europe/Berlin")
    day = {"weekday": TOMORROW.isoweekday(), "start_time": "09:00", "end_time": "12:00"}
    hours = [day, {**day, "start_time": "06:00", "time_zone": PACIFIC}]
    world.run("select set_weekly_hours(%s, %s)", therapist, json.dumps(hours))
    listed = "select local_time::text from list_available_slots(%s, %s, %s, 60, null, 60)"
    assert len(world.run(listed, therapist, TOMORROW, TOMORROW)) > 3
    world.loses(PACIFIC, refreshed=refreshed)
    own = [("09:00:00",), ("10:00:00",), ("11:00:00",)]
    assert world.run(listed, therapist, TOMORROW, TOMORROW) == own
    (lost,) = time_zones.lost_zones(world.connection)
    assert (lost.name, lost.windows, lost.policies) == (PACIFIC, 1, 0)
    assert world.violations() == []
