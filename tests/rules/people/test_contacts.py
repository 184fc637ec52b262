"""How people want to be reached is theirs to say; it passes on with them, and leaves with them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import World
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.refusals import refused

NAMES = ("email", "phone", "time_zone", "language", "quiet_from", "quiet_until", "consents")
OWN = {
    "email": "ada@home.example",
    "phone": "+491701234567",
    "time_zone": "America/New_York",
    "language": "de",
    "quiet_from": "22:00",
    "quiet_until": "07:00",
    "consents": {"sms": True},
}


def set_contact(world: World, person: UUID, **changes: Any) -> None:
    world.run("select set_contact(%s, %s)", person, json.dumps(changes))


def contact(world: World, person: UUID) -> dict[str, Any]:
    (row,) = world.run(f"select {', '.join(NAMES)} from get_contact(%s)", person)
    found = dict(zip(NAMES, row, strict=True))
    return found | {name: found[name] and f"{found[name]:%H:%M}" for name in ("quiet_from", "quiet_until")}


def contact_of(world: World, person: UUID) -> Any:
    return world.scalar("select bookingdb.contact_of(%s, null)", person)


def test_without_words_the_application_and_the_policy_speak(world: World) -> None:
    client, therapist = world.client(), world.therapist("Asia/Tokyo")
    world.run("""select set_policy('{"time_zone": "Europe/Berlin"}')""")
    assert contact(world, client)["time_zone"] == "Europe/Berlin"
    assert contact(world, therapist)["time_zone"] == "Asia/Tokyo"
    assert contact(world, client)["email"] == world.scalar("select email from users where id = %s", client)
    world.run("""select set_policy('{"time_zone": "UTC"}')""")


def test_own_words_win_and_null_takes_them_away(world: World) -> None:
    client = world.client()
    applications = contact(world, client)
    set_contact(world, client, **OWN)
    assert contact(world, client) == OWN
    set_contact(world, client, phone=None, consents={"email": False, "sms": None})
    assert contact(world, client) == OWN | {"phone": None, "consents": {"email": False}}
    set_contact(world, client, **dict.fromkeys(NAMES))
    assert contact(world, client) == applications


def test_message_context_says_the_same(world: World) -> None:
    client = world.client()
    set_contact(world, client, **OWN)
    hours = {"quiet_from": "22:00:00", "quiet_until": "07:00:00"}
    assert contact_of(world, client) == OWN | hours | {"id": str(client), "name": "A Client"}
    nobody = uuid4()
    assert contact_of(world, nobody) | {"time_zone": ""} == {
        **dict.fromkeys(("name", *NAMES)), "id": str(nobody), "time_zone": "", "consents": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "a@b@c",
        "a b@c",
        "a@c\nBcc: x@y",
        "a@c\r",
        "a,b@c",
        "<a@c>",
        '"a"@c',
        "a@c;d",
        "a\x7f@c",
        "a" * 255 + "@c",
        7,
    ],
)
def test_address_that_could_add_to_a_mail_is_refused(world: World, email: Any) -> None:
    client = world.client()
    with refused("invalid_parameter") as refusal:
        set_contact(world, client, email=email)
    assert refusal.detail["parameter"] == "email"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"phone": "0170 1234567"}, "invalid_parameter"),
        ({"phone": "+49 170\n1234567"}, "invalid_parameter"),
        ({"phone": "+12"}, "invalid_parameter"),
        ({"time_zone": "Mars/Olympus"}, "invalid_time_zone"),
        ({"time_zone": "+02:00"}, "invalid_time_zone"),
        ({"language": "deutsch, bitte"}, "invalid_parameter"),
        ({"quiet_from": "22:00"}, "invalid_parameter"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "invalid_parameter"),
        ({"quiet_from": "24:00", "quiet_until": "07:00"}, "invalid_time"),
        ({"quiet_from": "soon", "quiet_until": "07:00"}, "invalid_time"),
        ({"consents": True}, "invalid_parameter"),
        ({"consents": {"sms": "yes"}}, "invalid_parameter"),
        ({"consents": {"S M S": True}}, "invalid_parameter"),
        ({"consents": {f"c{number}": True for number in range(21)}}, "invalid_parameter"),
        ({"name": "Ada"}, "invalid_parameter"),
    ],
)
def test_value_that_makes_no_sense_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    client = world.client()
    with refused(code):
        set_contact(world, client, **changes)
    assert world.count("bookingdb.contacts") == 0


@on_todays_supabase
def test_nobody_reads_or_changes_somebody_elses(hosted_world: World) -> None:
    world = hosted_world
    client, other = world.client(), world.client()
    with logged_in(world, client) as connection:
        connection.execute('select set_contact(%s, \'{"language": "de"}\')', [client])
        for call in (
            "get_contact(%s)",
            "set_contact(%s, '{}')",
            "create_calendar_feed(%s)",
            "revoke_calendar_feed(%s)",
        ):
            with refused("not_allowed"):
                connection.execute(f"select {call}".encode(), [other])
    with refused("user_not_found"):
        set_contact(world, uuid4(), language="de")


def test_change_is_an_event_and_no_change_is_none(world: World) -> None:
    client = world.client()
    for _ in range(2):
        set_contact(world, client, quiet_from="22:00", quiet_until="07:00")
    changed = "select payload from bookingdb.outbox where event = 'contact.changed' and subject_id = %s"
    assert world.run(changed, client) == [({"person_id": str(client)},)]


# ----------------------------------------------------------------------------------------------------------------------
# What becomes of it
# ----------------------------------------------------------------------------------------------------------------------


def test_merge_fills_what_the_other_one_left_open(world: World) -> None:
    first, second = world.client(), world.client()
    address = contact(world, second)["email"]
    set_contact(world, first, **OWN)
    set_contact(world, second, language="fr", quiet_from="20:00", quiet_until="21:00", consents={"sms": False})
    world.run("select merge_clients(%s, %s)", first, second)
    assert contact(world, second) == OWN | {
        "email": address, "language": "fr", "quiet_from": "20:00", "quiet_until": "21:00", "consents": {"sms": False},
    }  # fmt: skip
    assert world.run("select person_id from bookingdb.contacts") == [(second,)]
    # What is on its way to the first reaches the second.
    assert contact_of(world, first)["email"] == address
    with refused("invalid_parameter"):
        set_contact(world, first, language="de")


def test_new_login_keeps_everything(world: World) -> None:
    client, login = world.client(), uuid4()
    set_contact(world, client, **OWN)
    world.run("select change_login(%s, %s)", client, login)
    assert contact(world, login) == OWN


def test_erasure_takes_it_unless_identity_is_kept(world: World) -> None:
    client = world.client()
    set_contact(world, client, **OWN)
    world.run("select create_calendar_feed(%s)", client)
    held = world.scalar("select export_person(%s)", client)
    assert held["contacts"][0]["phone"] == OWN["phone"]
    assert "secret_hash" not in held["calendar_feeds"][0]

    world.run("select erase_person(%s, '{identity}')", client)
    assert contact(world, client) == OWN
    assert world.count("bookingdb.calendar_feeds") == 0
    world.run("select erase_person(%s)", client)
    assert world.count("bookingdb.contacts") == 0
    assert contact(world, client)["email"] is None
    assert world.violations() == []


def test_deleted_person_leaves_nothing(world: World) -> None:
    client = world.client()
    set_contact(world, client, **OWN)
    world.run("select create_calendar_feed(%s)", client)
    world.run("delete from users where id = %s", client)
    assert (world.count("bookingdb.contacts"), world.count("bookingdb.calendar_feeds")) == (0, 0)
