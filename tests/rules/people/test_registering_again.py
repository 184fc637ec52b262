"""Registering people again, and closing therapists again."""

from __future__ import annotations

from uuid import UUID

from tests.support import World
from tests.support.refusals import nothing_written, refused

SOMEBODY = UUID("00000000-0000-4000-8000-0000000000ff")


def test_a_name_and_a_zone_stay_when_none_is_given(clean_world: World) -> None:
    world = clean_world
    client = world.scalar("select register_client('a@client.test', 'A Client', %s)", SOMEBODY)
    assert world.scalar("select register_client('new@client.test', null, %s)", SOMEBODY) == client == SOMEBODY
    assert world.run("select email, full_name from users") == [("new@client.test", "A Client")]

    therapist = world.scalar("select register_therapist('a@therapist.test')")
    zones = "select time_zone from bookingdb.policies where therapist_id = %s"
    # No zone is written where none is given.
    assert world.run(zones, therapist) == []
    for zone in ("Europe/Berlin", "Europe/Lisbon"):
        world.run("select register_therapist(' A@Therapist.test ', p_time_zone => %s)", zone)
        assert world.run(zones, therapist) == [(zone,)]
    world.run("select register_therapist('a@therapist.test')")
    assert world.run(zones, therapist) == [("Europe/Lisbon",)]


def test_a_therapists_address_is_not_given_to_another_id(clean_world: World) -> None:
    clean_world.run("select register_therapist('a@therapist.test')")
    with nothing_written(clean_world), refused("invalid_parameter") as refusal:
        clean_world.run("select register_therapist('a@therapist.test', null, %s)", SOMEBODY)
    assert refusal.detail["parameter"] == "p_email"


def test_closing_a_closed_therapist_changes_nothing(clean_world: World) -> None:
    world = clean_world
    therapist = world.therapist()
    world.book(world.client(credits=1), therapist)
    for _ in range(2):
        world.run("select set_therapist_active(%s, false)", therapist)
        assert world.run("select is_active from users where id = %s", therapist) == [(False,)]
        assert world.run("select kind from bookingdb.calendar") == [("session",)]
    assert world.violations() == []
