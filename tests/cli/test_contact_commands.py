"""The commands about how people are reached: contact, reminders, feed."""

from __future__ import annotations

from icalendar import Calendar

from tests.support import World
from tests.support.commands import answer, bookingdb, done


def test_contact_is_shown_and_changed(clean_world: World) -> None:
    world = clean_world
    client = world.client()
    options = ("--phone", "+49 170 1234567", "--quiet-from", "22:00", "--quiet-until", "07:00", "--agree", "sms")
    changed = answer(world.url, "people", "contact", client, *options, "--refuse", "email")
    assert changed == answer(world.url, "people", "contact", client)
    assert (changed["phone"], changed["quiet_from"]) == ("+491701234567", "22:00:00")
    assert changed["consents"] == {"email": False, "sms": True}
    cleared = answer(world.url, "people", "contact", client, "--clear", "quiet-from", "--clear", "quiet-until")
    assert (cleared["quiet_from"], cleared["quiet_until"], cleared["phone"]) == (None, None, "+491701234567")
    refused = bookingdb(world.url, "people", "contact", client, "--time-zone", "Mars/Olympus")
    assert "Invalid time zone" in refused.output


def test_rules_are_set_listed_and_removed(clean_world: World) -> None:
    url = clean_world.url
    rule = answer(url, "reminders", "set", "text", "90m", "--to", "client", "--to", "therapist", "--channel", "sms")
    assert rule == {
        "name": "text", "before": "01:30:00", "audience": ["client", "therapist"], "channel": "sms",
        "heeds_quiet_hours": True,
    }  # fmt: skip
    assert [rule["name"] for rule in answer(url, "reminders", "list")] == ["day", "text", "hour"]
    assert answer(url, "reminders", "remove", "text") == {"removed": True}
    assert answer(url, "reminders", "remove", "text") == {"removed": False}


def test_feed_is_a_calendar_until_it_is_revoked(clean_world: World) -> None:
    world = clean_world
    client, therapist = world.client(credits=1), world.therapist()
    session = world.book(client, therapist)["id"]
    secret = done(world.url, "feed", "create", client).stdout.strip()
    (event,) = Calendar.from_ical(done(world.url, "feed", "show", secret).stdout).walk("VEVENT")
    assert str(event["uid"]) == f"{session}@bookingdb"
    assert [entry["session_id"] for entry in answer(world.url, "feed", "show", secret)] == [str(session)]
    assert answer(world.url, "feed", "revoke", client) == {"revoked": True}
    assert "Calendar feed not found" in bookingdb(world.url, "feed", "show", secret).output
