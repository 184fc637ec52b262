"""Reminders follow their session: planned when it is booked, read again when they are due."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from tests.support import ROOT, World
from tests.support.life import begin

SCHEMA = Draft202012Validator(
    json.loads((ROOT / "sql" / "events" / "session.reminder.v1.json").read_text(encoding="utf-8"))
)
LATE = "update bookingdb.deliveries set due_at = clock_timestamp() - interval '1 hour' where status = 'pending'"


@pytest.fixture
def mail(world: World) -> None:
    destination(world, "mail", "mail", {"host": "localhost", "from": "practice@example.com"})


def destination(world: World, name: str, kind: str, settings: dict[str, Any]) -> None:
    world.run("select set_destination(%s, %s, '{session.reminder}', %s)", name, kind, json.dumps(settings))


def planned(world: World) -> list[Any]:
    while world.scalar("select relay_events()"):
        pass
    return world.run(
        "select data ->> 'rule', recipient_id, (data ->> 'start_time')::timestamptz - due_at"
        " from bookingdb.deliveries where type = 'session.reminder' and status = 'pending' order by 3 desc, 2"
    )


def sent(world: World) -> list[Any]:
    """What a worker sends now that everything is due."""
    world.run(LATE)
    claimed = world.run("select id, token, body from claim_deliveries(100)")
    for id_, token, body in claimed:
        SCHEMA.validate(body)
        world.run("select finish_delivery(%s, %s, 'delivered')", id_, token)
    return [body["data"]["rule"] for _, _, body in claimed]


def booked(world: World) -> tuple[UUID, UUID, UUID]:
    client, therapist = world.client(credits=2), world.therapist()
    return world.book(client, therapist)["id"], client, therapist


DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)


def test_rules_of_a_new_installation_remind_the_client(world: World, mail: None) -> None:
    _, client, _ = booked(world)
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]
    assert sent(world) == ["day", "hour"]
    assert sent(world) == []


def test_nothing_is_planned_that_was_past_at_the_booking(world: World, mail: None) -> None:
    world.run("select set_reminder_rule('week', '7 days', '{client,therapist}')")
    _, client, _ = booked(world)
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]


def test_moved_session_is_reminded_of_its_new_start_alone(world: World, mail: None) -> None:
    session, client, _ = booked(world)
    planned(world)
    world.run("select reschedule_session(%s, (select scheduled_date + 1 from sessions), '12:00')", session)
    assert [entry for entry in planned(world) if entry[0] == "day"] == [("day", client, DAY)] * 2
    assert sorted(sent(world)) == ["day", "hour"]
    assert world.count("bookingdb.deliveries where status = 'dropped'") == 2


def test_session_that_moves_back_has_its_first_reminders(world: World, mail: None) -> None:
    session, client, _ = booked(world)
    planned(world)
    there = "select reschedule_session(%s, (select scheduled_date from sessions), %s)"
    world.run(there, session, "12:00")
    planned(world)
    # They were found to be of another time, and dropped.
    sent(world)
    world.run(there, session, "10:00")
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]
    ids = "select count(distinct subject_id), count(*) from bookingdb.deliveries"
    assert world.run(ids) == [(4, 4)]


@pytest.mark.parametrize(
    "change",
    [
        "select cancel_session(%(session)s, 'ill')",
        "delete from sessions where id = %(session)s",
        "select remove_reminder_rule(r.name) from list_reminder_rules() as r where %(session)s is not null",
        """select set_contact(%(client)s, '{"consents": {"email": false}}')""",
    ],
    ids=["cancelled", "deleted", "rule removed", "consent withdrawn"],
)
def test_reminder_that_is_not_true_any_more_is_dropped(world: World, mail: None, change: str) -> None:
    session, client, _ = booked(world)
    planned(world)
    world.connection.execute(change.encode(), {"session": session, "client": client})
    assert sent(world) == []
    assert world.count("bookingdb.deliveries where status = 'dropped' and recipient_id is not null") >= 2


def test_session_that_has_begun_reminds_nobody(world: World, mail: None) -> None:
    session, _, _ = booked(world)
    planned(world)
    begin(world.connection, session)
    assert sent(world) == []


def test_transferred_session_reminds_its_new_therapist(world: World, mail: None) -> None:
    world.run("select set_reminder_rule(r.name, r.before, '{therapist}') from list_reminder_rules() as r")
    session, _, therapist = booked(world)
    other = world.therapist()
    assert [who for _, who, _ in planned(world)] == [therapist] * 2
    world.run("select transfer_session(%s, %s, 'ill')", session, other)
    assert {who for _, who, _ in planned(world)} == {therapist, other}
    assert sent(world) == ["day", "hour"]
    assert world.run("select distinct recipient_id from bookingdb.deliveries where status = 'delivered'") == [(other,)]


def test_merged_client_is_reminded_as_who_they_are(world: World, mail: None) -> None:
    _, first, _ = booked(world)
    second = world.client()
    planned(world)
    world.run("select merge_clients(%s, %s)", first, second)
    planned(world)
    assert sent(world) == ["day", "hour"]
    assert world.run("select distinct recipient_id from bookingdb.deliveries where status = 'delivered'") == [(second,)]


def test_channel_other_than_mail_needs_consent(world: World) -> None:
    destination(world, "text", "webhook", {"url": "https://sms.example", "channel": "sms", "signing_env": "S"})
    destination(world, "app", "webhook", {"url": "https://app.example", "signing_env": "S"})
    world.run("select set_reminder_rule('text', '2 hours', p_channel => 'sms')")
    world.run("select set_reminder_rule('app', '3 hours', p_channel => 'webhook')")
    _, client, _ = booked(world)
    assert [rule for rule, _, _ in planned(world)] == ["app", "text"]
    # The application itself is asked for no consent.
    assert sent(world) == ["app"]
    world.run("""select set_contact(%s, '{"consents": {"sms": true}}')""", client)
    world.book(client, world.therapist(), "14:00")
    planned(world)
    # The one that was dropped revives, as its moment is still to come.
    assert sorted(sent(world)) == ["app", "text", "text"]


def test_new_rule_and_new_destination_plan_what_is_to_come(world: World) -> None:
    _, client, therapist = booked(world)
    planned(world)
    destination(world, "mail", "mail", {"host": "localhost", "from": "practice@example.com"})
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]
    world.run("select set_reminder_rule('therapist', '90 minutes', '{therapist}')")
    assert ("therapist", therapist, 1.5 * HOUR) in planned(world)
    world.run("select set_reminder_rule('therapist', '30 minutes', '{therapist}')")
    assert ("therapist", therapist, 0.5 * HOUR) in planned(world)
    assert len(planned(world)) == 3


def test_quiet_hours_move_what_waits_and_nothing_comes_late(world: World, mail: None) -> None:
    _, client, _ = booked(world)
    planned(world)
    # The session is at 10:00 in UTC: an hour before is 09:00.
    hours = {"time_zone": "UTC", "quiet_from": "08:00", "quiet_until": "09:30"}
    world.run("select set_contact(%s, %s)", client, json.dumps(hours))
    assert planned(world) == [("day", client, DAY), ("hour", client, 2 * HOUR)]
    world.run('select set_contact(%s, \'{"quiet_from": null, "quiet_until": null}\')', client)
    assert planned(world) == [("day", client, DAY), ("hour", client, HOUR)]


@pytest.mark.parametrize(("until", "expected"), [(60, ["day", "hour"]), (20, ["day", "hour"]), (-1, [])])
def test_late_worker_wakes_nobody(world: World, mail: None, until: int, expected: list[str]) -> None:
    _, client, _ = booked(world)
    planned(world)
    now = world.scalar("select (clock_timestamp() at time zone 'UTC')::timestamp")
    begun = 5 if until == 20 else 60
    ends = [now - dt.timedelta(minutes=begun), now + dt.timedelta(minutes=abs(until))]
    if until == 60:
        ends = [now + dt.timedelta(hours=1), now - dt.timedelta(hours=1)]
    elif until == -1:
        ends[1] = now + dt.timedelta(hours=3)
    hours = {"time_zone": "UTC", "quiet_from": f"{ends[0]:%H:%M}", "quiet_until": f"{ends[1]:%H:%M}"}
    world.run("select set_contact(%s, %s)", client, json.dumps(hours))
    assert sent(world) == expected
    if not expected:
        waiting = world.run(
            "select due_at, attempts, token, is_next from bookingdb.deliveries where status = 'pending'"
        )
        assert {row[1:] for row in waiting} == {(0, None, True)}
        (until_,) = {row[0].astimezone(dt.UTC).strftime("%H:%M") for row in waiting}
        assert until_ == f"{ends[1]:%H:%M}"


def test_person_who_is_both_is_reminded_once(world: World, mail: None) -> None:
    world.run("select set_reminder_rule('both', '2 hours', '{client,therapist}')")
    therapist = world.therapist()
    world.run(
        "insert into sessions (user_id, therapist_id, start_time, end_time)"
        " values (%s, %s, current_date + interval '9 days 10 hours', current_date + interval '9 days 11 hours')",
        therapist,
        therapist,
    )
    assert [row for row in planned(world) if row[0] == "both"] == [("both", therapist, 2 * HOUR)]
    # Quiet hours plan them anew, and stop nobody else's.
    world.run("""select set_contact(%s, '{"quiet_from": "22:00", "quiet_until": "07:00"}')""", therapist)
    _, client, _ = booked(world)
    assert ("hour", client, HOUR) in planned(world)


def test_reminder_of_a_therapist_names_the_new_client(world: World, mail: None) -> None:
    world.run("select set_reminder_rule('both', '2 hours', '{client,therapist}')")
    session, _, therapist = booked(world)
    planned(world)
    other = world.client(credits=1)
    world.run("update sessions set user_id = %s, end_time = end_time + interval '30 min' where id = %s", other, session)
    planned(world)
    told = world.run(
        "select data ->> 'user_id', data ->> 'end_time' from bookingdb.deliveries"
        " where recipient_id = %s and status = 'pending' and type = 'session.reminder'",
        therapist,
    )
    end = world.scalar("select bookingdb.iso_utc(end_time) from sessions")
    assert told == [(str(other), end)]
