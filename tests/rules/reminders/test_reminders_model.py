"""A random life of sessions, rules and people, over clock changes: what is sent is what plain Python says."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.support import World, connect
from tests.support.databases import new_database
from tests.support.refusals import outcome
from tests.support.reminders import MINUTE, Meeting, Model, Person, Rule
from tests.support.turned_clock import take_over_clock, turn_clock

# Each begins two days before clocks change somewhere.
BEGINS = {
    "Europe/Berlin": dt.datetime(2026, 3, 27, 8, tzinfo=dt.UTC),
    "America/New_York": dt.datetime(2026, 10, 30, 8, tzinfo=dt.UTC),
    "Australia/Lord_Howe": dt.datetime(2026, 4, 3, 8, tzinfo=dt.UTC),
    "America/Sao_Paulo": dt.datetime(2018, 11, 2, 8, tzinfo=dt.UTC),
}
STEPS = 200
DESTINATIONS = (
    ("mail", "mail", {"host": "localhost", "from": "practice@example.com"}),
    ("text", "webhook", {"url": "https://sms.example", "channel": "sms", "signing_env": "SIGNING"}),
)

pytestmark = pytest.mark.usefixtures("same_time_zone_data")


@pytest.fixture
def world(server_url: str, template: str) -> Iterator[World]:
    """A database of its own: its clock is of no use to anybody else."""
    for url in new_database(server_url, template, "owner"):
        with connect(url) as connection:
            yield World(url, connection)


class Life:
    """The database and the model, which get the same."""

    def __init__(self, world: World, source: random.Random, zone: str) -> None:
        self.world, self.source, self.now = world, source, BEGINS[zone]
        # What the relay has not heard of yet.
        self.touched: set[UUID] = set()
        self.changed: set[UUID] = set()
        take_over_clock(world, self.now)
        world.run("update bookingdb.reminder_rules set updated_at = %s", self.now)
        self.clients = [world.client(credits=99) for _ in range(2)]
        self.therapists = [world.therapist(zone) for _ in range(2)]
        people = {person: Person("UTC") for person in self.clients} | {
            person: Person(zone) for person in self.therapists
        }
        day, hour = (Rule(dt.timedelta(hours=hours), ("client",), "email", True, self.now) for hours in (24, 1))
        self.model = Model(people, {"day": day, "hour": hour})
        for name, kind, settings in DESTINATIONS:
            world.run("select set_destination(%s, %s, '{session.reminder}', %s)", name, kind, json.dumps(settings))
        self.set_hours(self.clients[0], zone)

    def pick(self) -> UUID:
        return self.source.choice([*self.model.meetings])

    def time(self) -> tuple[dt.datetime, dt.date, dt.time]:
        start = self.now.replace(minute=0) + dt.timedelta(hours=self.source.randrange(1, 60))
        return start, start.date(), start.time()

    # What happens -----------------------------------------------------------------------------------------------------

    def book(self) -> None:
        client, therapist = self.source.choice(self.clients), self.source.choice(self.therapists)
        start, day, time = self.time()
        (session,) = self.world.run(
            "select id from create_session_with_credit_deduction(%s, %s, %s, %s, p_time_zone => 'UTC')",
            client, therapist, day, time,
        )[0]  # fmt: skip
        self.model.meetings[session] = Meeting(client, therapist, start, self.now)
        self.touched.add(session)

    def move(self) -> None:
        session = self.pick()
        start, day, time = self.time()
        if self.source.random() < 0.4:
            # Back to where it was at first.
            start = next(key[2] for key in [*self.model.planned, (session, "", start, session)] if key[0] == session)
            day, time = start.date(), start.time()
        meeting = self.model.meetings[session]
        self.world.run("select reschedule_session(%s, %s, %s, p_time_zone => 'UTC')", session, day, time)
        if start != meeting.start:
            self.touched.add(session)
            meeting.start, meeting.since = start, self.now

    def cancel(self) -> None:
        session = self.pick()
        self.world.run("select cancel_session(%s, 'ill')", session)
        self.model.meetings[session].stands = False
        self.touched.add(session)

    def reopen(self) -> None:
        session = self.pick()
        self.world.run("select reopen_session(%s, 'well again')", session)
        meeting = self.model.meetings[session]
        meeting.stands, meeting.since = True, self.now
        self.touched.add(session)

    def confirm(self) -> None:
        session = self.pick()
        self.world.run("select confirm_session(%s)", session)
        self.touched.add(session)

    def transfer(self) -> None:
        session, therapist = self.pick(), self.source.choice(self.therapists)
        self.world.run("select transfer_session(%s, %s, 'ill')", session, therapist)
        meeting = self.model.meetings[session]
        if meeting.therapist != therapist:
            self.touched.add(session)
            meeting.therapist, meeting.since = therapist, self.now

    def set_hours(self, person: UUID | None = None, zone: str | None = None) -> None:
        person = person or self.source.choice([*self.model.people])
        who = self.model.people[person]
        zone = zone or self.source.choice([*BEGINS])
        ends = [dt.time(self.source.choice((0, 1, 2, 3, 7, 20, 22)), self.source.choice((0, 30))) for _ in "ab"]
        quiet = (ends[0], ends[1]) if ends[0] != ends[1] and self.source.random() < 0.8 else None
        written = [f"{end:%H:%M}" for end in quiet] if quiet else [None, None]
        self.contact(person, time_zone=zone, quiet_from=written[0], quiet_until=written[1])
        if (who.zone, who.quiet) != (zone, quiet):
            self.changed.add(person)
        who.zone, who.quiet = zone, quiet

    def consent(self) -> None:
        person, channel = self.source.choice([*self.model.people]), self.source.choice(("email", "sms", "sms"))
        answer = self.source.random() < 0.6
        self.contact(person, consents={channel: answer})
        self.model.people[person].consents[channel] = answer

    def contact(self, person: UUID, **changes: Any) -> None:
        self.world.run("select set_contact(%s, %s)", person, json.dumps(changes))

    def set_rule(self) -> None:
        name = self.source.choice(("day", "hour", "text"))
        rule = Rule(
            dt.timedelta(minutes=self.source.choice((15, 60, 120, 600, 1440, 2000))),
            self.source.choice((("client",), ("therapist",), ("client", "therapist"))),
            "sms" if name == "text" else "email",
            self.source.random() < 0.7,
            self.now,
        )
        self.world.run(
            "select set_reminder_rule(%s, %s, %s, %s, %s)",
            name, rule.before, list(rule.audience), rule.channel, rule.heeds_quiet_hours,
        )  # fmt: skip
        self.model.rules[name] = rule
        for session in self.model.meetings:
            self.model.plan(session, self.now, self.now, rule=name)

    def remove_rule(self) -> None:
        name = self.source.choice(("day", "hour", "text"))
        self.world.run("select remove_reminder_rule(%s)", name)
        self.model.rules.pop(name, None)

    # The worker ------------------------------------------------------------------------------------------------------

    def relay(self) -> None:
        while self.world.scalar("select relay_events()"):
            pass
        for session in self.touched:
            self.model.plan(session, self.now, self.model.meetings[session].since)
        for person in self.changed:
            for session in self.model.meetings:
                self.model.plan(session, self.now, self.now, person=person)
        self.touched, self.changed = set(), set()

    def claim(self) -> list[tuple[Any, ...]]:
        claimed = self.world.run(
            "select id, token, (body #>> '{data,session_id}')::uuid, body #>> '{data,rule}',"
            " (body #>> '{data,start_time}')::timestamptz, recipient_id from claim_deliveries(1000)"
        )
        for id_, token, *_ in claimed:
            assert self.world.scalar("select finish_delivery(%s, %s, 'delivered')", id_, token)
        self.model.claim(self.now)
        return sorted((session, rule, start.astimezone(dt.UTC), who) for _, _, session, rule, start, who in claimed)


@pytest.mark.parametrize("zone", BEGINS)
def test_sent_reminders_are_those_of_the_model(world: World, zone: str) -> None:
    source = random.Random(f"reminders in {zone}")
    life = Life(world, source, zone)
    world.run('select set_policy(\'{"minimum_notice": "0", "reschedule_window": "0"}\')')
    acts: list[Callable[[], None]] = [
        *[life.book] * 8, *[life.move] * 6, life.cancel, life.reopen, life.confirm, life.transfer,
        *[life.set_hours] * 2, *[life.consent] * 2, life.set_rule, life.remove_rule,
    ]  # fmt: skip
    sent: list[Any] = []
    refused = 0
    life.book()
    for _ in range(STEPS):
        life.now += MINUTE * source.choice((1, 7, 30, 65, 200))
        turn_clock(world, life.now)
        refused += outcome(source.choice(acts)) != "done"
        if source.random() < 0.6:
            life.relay()
        if source.random() < 0.7:
            sent += [(life.now, reminder) for reminder in life.claim()]
            assert sent == sorted(life.model.sent), zone
    assert len(sent) > 10
    assert refused < STEPS / 2
    assert world.violations() == []
