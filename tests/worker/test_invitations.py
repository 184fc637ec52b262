"""Invitations: the session in the calendar of whoever gets the mails, once and as it is."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import icalendar
import pytest

from bookingdb import BookedSession, Bookings
from bookingdb.ical.writing import uid
from bookingdb.records import ClaimedDelivery
from bookingdb.worker import invitations, mail, news
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment
from tests.support import TOMORROW, World
from tests.support.mail import (
    ADA,
    GRACE,
    SESSION_ID,
    Mailbox,
    MailCalendar,
    arrived,
    delivery,
    event_of,
    mail_server,
    parts_of,
)

NOW = dt.datetime(2039, 1, 1, tzinfo=dt.UTC)
FORMER = {**GRACE, "name": "Former", "email": "former@example.com"}


def composed(one: ClaimedDelivery, now: dt.datetime = NOW) -> EmailMessage:
    return arrived(mail.compose(one, now)[0].as_bytes())


def invitation(one: ClaimedDelivery, now: dt.datetime = NOW) -> Any:
    return event_of(composed(one, now))


def method_of(one: ClaimedDelivery) -> str | None:
    return invitations.method_of(news.read(one))


@pytest.mark.parametrize(
    ("type_", "recipient", "method"),
    [
        ("session.booked", "client", "REQUEST"),
        ("session.requested", "therapist", "REQUEST"),
        ("session.approved", "client", "REQUEST"),
        ("session.rescheduled", "client", "REQUEST"),
        ("session.transferred", "therapist", "REQUEST"),
        ("session.transferred", "client", "REQUEST"),
        ("session.transferred", "former_therapist", "CANCEL"),
        ("session.reopened", "client", "REQUEST"),
        ("session.cancelled", "client", "CANCEL"),
        ("session.deleted", "therapist", "CANCEL"),
        ("session.reminder", "client", None),
        ("session.completed", "client", None),
        ("credits.low", "client", None),
    ],
)
def test_method_follows_from_the_event(type_: str, recipient: str, method: str | None) -> None:
    assert method_of(delivery(type_, recipient, former=FORMER)) == method


def test_invitation_has_all_that_calendars_need() -> None:
    event = invitation(delivery(session={"revision": 4, "video_url": "https://rooms.example/a"}))

    assert str(event["uid"]) == uid(SESSION_ID) == f"{SESSION_ID}@bookingdb"
    assert (event["sequence"], event["dtstamp"].dt) == (4, NOW)
    assert event["dtstart"].dt == dt.datetime(2040, 1, 9, 13, 30, tzinfo=dt.UTC)
    assert event["dtend"].dt == dt.datetime(2040, 1, 9, 14, 30, tzinfo=dt.UTC)
    assert (str(event["summary"]), str(event["status"])) == ("Intake (Grace Hopper)", "CONFIRMED")
    assert (str(event["organizer"]), event["organizer"].params["CN"]) == (
        "mailto:practice@example.com",
        "The Practice",
    )
    assert str(event["attendee"]) == "mailto:ada@example.com"
    assert {name: event["attendee"].params[name] for name in ("CN", "PARTSTAT", "RSVP")} == {
        "CN": "Ada Lovelace",
        "PARTSTAT": "ACCEPTED",
        "RSVP": "FALSE",
    }
    assert {str(event[name]) for name in ("url", "location", "conference")} == {"https://rooms.example/a"}
    (alarm,) = event.walk("VALARM")
    assert (alarm["trigger"].dt, str(alarm["action"])) == (dt.timedelta(hours=-1), "DISPLAY")


def test_invitation_names_nobody_but_its_recipient() -> None:
    """A client need not know their therapist's address, nor the other way round."""
    for part, other in (("client", GRACE), ("therapist", ADA)):
        message = composed(delivery("session.booked", part))
        assert other["email"] not in "".join(parts_of(message).values()) + str(message.items())


def test_settings_choose_organizer_alarms_and_link() -> None:
    settings = {"organizer": "desk@example.com", "alarm_minutes": [1440, 10], "base_url": "https://app.example"}
    event = invitation(delivery(settings=settings))

    assert str(event["organizer"]) == "mailto:desk@example.com"
    assert [alarm["trigger"].dt for alarm in event.walk("VALARM")] == [-dt.timedelta(days=1), -dt.timedelta(minutes=10)]
    assert str(event["url"]) == f"https://app.example/sessions/{SESSION_ID}"
    assert invitation(delivery(settings={"alarm_minutes": []})).walk("VALARM") == []


def test_request_that_waits_for_approval_is_tentative() -> None:
    assert str(invitation(delivery("session.requested", "therapist"))["status"]) == "TENTATIVE"
    assert str(invitation(delivery("session.approved", "therapist"))["status"]) == "CONFIRMED"


def test_cancelling_takes_the_session_out() -> None:
    event = invitation(delivery("session.cancelled", session={"revision": 2, "video_url": "https://rooms.example/a"}))

    assert (str(event["status"]), str(event["transp"]), event["sequence"]) == ("CANCELLED", "TRANSPARENT", 2)
    assert event.walk("VALARM") == []
    assert {"URL", "LOCATION", "CONFERENCE"} & set(event) == set()


def test_deleted_session_is_taken_out_by_what_its_event_tells() -> None:
    event = invitation(delivery("session.deleted", has_session=False, data={"revision": 5}))

    assert (str(event["uid"]), str(event["status"]), event["sequence"]) == (uid(SESSION_ID), "CANCELLED", 5)
    assert event["dtstart"].dt == dt.datetime(2040, 1, 9, 13, 30, tzinfo=dt.UTC)


def test_former_therapist_learns_nothing_of_what_followed() -> None:
    """Neither in the mail nor in the invitation: the title and the newest times are for whoever has the session."""
    later = {"title": "Secret", "start_time": "2040-03-01T10:00:00Z", "end_time": "2040-03-01T11:00:00Z", "revision": 3}
    one = delivery("session.transferred", "former_therapist", session=later, former=FORMER)
    message = composed(one)
    event = event_of(message)

    assert message["To"].addresses[0].addr_spec == "former@example.com"
    assert (str(event["status"]), event["sequence"]) == ("CANCELLED", 3)
    assert event["dtstart"].dt == dt.datetime(2040, 1, 9, 13, 30, tzinfo=dt.UTC)
    everything = "".join(str(part.get_content()) for part in message.walk() if not part.is_multipart())
    assert [word for word in ("Secret", "March", "März") if word in everything] == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Europe/Dublin", "Etc/UTC"])
def test_time_zone_of_an_invitation_is_the_right_one(zone: str) -> None:
    """By RFC 5545: the onset that is the latest before the event counts, in local time of before it."""
    for day in (dt.date(2040, 3, 25), dt.date(2040, 10, 28)):
        for hour in range(0, 24, 3):
            start = dt.datetime.combine(day, dt.time(hour, 30), dt.UTC)
            times = {"start_time": start.isoformat(), "end_time": (start + dt.timedelta(hours=1)).isoformat()}
            message = composed(delivery(session={**times, "time_zone": zone}))
            event = event_of(message)
            (inline,) = (part for part in message.walk() if part.get_content_type() == "text/calendar")
            calendar: Any = icalendar.Calendar.from_ical(str(inline.get_content()))
            for name, moment in (("dtstart", start), ("dtend", start + dt.timedelta(hours=1))):
                local = event[name].dt.replace(tzinfo=None)
                if "TZID" not in event[name].params:
                    assert local == moment.replace(tzinfo=None)
                    continue
                (described,) = calendar.walk("VTIMEZONE")
                onsets = [(one["dtstart"].dt, one["tzoffsetto"].td) for one in described.subcomponents]
                offset = max(onset for onset in onsets if onset[0] <= local)[1]
                assert (described["tzid"], local - offset) == (zone, moment.replace(tzinfo=None))


def test_unknown_zone_is_written_in_utc() -> None:
    event = invitation(delivery(session={"time_zone": "Mars/Olympus"}))

    assert (str(event["dtstart"].dt.tzinfo), "TZID" in event["dtstart"].params) == ("UTC", False)


def test_updates_replace_in_whatever_order_they_arrive() -> None:
    """The same mails shuffled and doubled leave one event, or none once it is cancelled."""
    moves = [
        delivery(
            "session.rescheduled" if revision else "session.booked",
            session={
                "revision": revision,
                "start_time": f"2040-01-{10 + revision}T10:00:00Z",
                "end_time": f"2040-01-{10 + revision}T11:00:00Z",
            },
        )
        for revision in range(4)
    ]
    cancelled = delivery("session.cancelled", session={"revision": 4})
    reopened = delivery("session.reopened", session={"revision": 5})
    events = [
        invitation(one, NOW + number * dt.timedelta(minutes=1))
        for number, one in enumerate([*moves, cancelled, reopened])
    ]
    for seed in range(20):
        for count, expected in ((4, 13), (5, None), (6, 9)):
            arriving = 2 * events[:count]
            random.Random(seed).shuffle(arriving)
            calendar = MailCalendar()
            for event in arriving:
                calendar.take(event)
            days = [event["dtstart"].dt.day for event in calendar.standing]
            assert days == ([] if expected is None else [expected])
            assert len(calendar.events) == 1


# --- from a booking to the calendar ---


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


def at(hour: int) -> dt.datetime:
    return dt.datetime.combine(TOMORROW, dt.time(hour), dt.UTC)


class Practice:
    """A client and a therapist who get mail, and what became of the deliveries."""

    def __init__(self, world: World, mailbox: Mailbox) -> None:
        self.world = world
        self.mailbox = mailbox
        self.bookings = Bookings(world.connection)
        self.bookings.set_destination(
            "mail",
            kind="mail",
            settings={"host": "127.0.0.1", "port": mailbox.port, "security": "none", "from": "practice@example.com"},
        )
        self.client, self.therapist = world.client(credits=5), world.therapist("Europe/Berlin")
        self.calendars: dict[str, MailCalendar] = defaultdict(MailCalendar)
        self.subjects: dict[str, list[str]] = defaultdict(list)

    def book(self, hour: int) -> BookedSession:
        return self.bookings.book_session(user_id=self.client, therapist_id=self.therapist, starts_at=at(hour))

    def address(self, person: UUID) -> str:
        return str(self.world.scalar("select email from bookingdb.people where id = %s", person))

    def deliver(self) -> list[Outcome]:
        """Send what is due, and let each recipient's calendar take it."""
        environment = Environment(self.bookings)
        outcomes = []
        self.bookings.relay_events()
        while claimed := self.bookings.claim_deliveries(limit=10):
            for one in claimed:
                outcome = mail.MailSender().send(one, environment)
                outcomes.append(outcome)
                self.bookings.finish_delivery(
                    one.id, one.token, outcome.kind, status_code=outcome.status_code, detail=outcome.detail
                )
        for envelope, message in zip(self.mailbox.received, self.mailbox.messages, strict=True):
            (recipient,) = envelope.rcpt_tos
            self.subjects[recipient].append(str(message["Subject"]).partition(":")[0])
            if "text/calendar" in parts_of(message):
                self.calendars[recipient].take(event_of(message))
        self.mailbox.received.clear()
        return outcomes

    def standing(self, person: UUID) -> list[tuple[dt.datetime, int]]:
        """The start and the sequence of each event in a person's calendar."""
        calendar = self.calendars[self.address(person)]
        return [(event["dtstart"].dt, event["sequence"]) for event in calendar.standing]


@pytest.fixture
def practice(world: World, mailbox: Mailbox) -> Practice:
    return Practice(world, mailbox)


def test_session_is_one_event_until_it_is_cancelled(practice: Practice) -> None:
    """Booked, moved and cancelled, with a delivery of each in between; both people see the same."""
    people = (practice.client, practice.therapist)
    booked = practice.book(10)
    practice.deliver()
    first = [practice.standing(person) for person in people]
    moved = practice.bookings.reschedule_session(booked.id, starts_at=at(15))
    practice.deliver()
    second = [practice.standing(person) for person in people]
    practice.bookings.cancel_session(booked.id)
    outcomes = practice.deliver()

    assert [events[0][0] for events in first] == [booked.start_time] * 2
    assert [events[0][0] for events in second] == [moved.start_time] * 2
    assert [len(events) for events in first + second] == [1] * 4
    assert first[0][0][1] < second[0][0][1]
    assert [practice.standing(person) for person in people] == [[], []]
    assert [list(practice.calendars[practice.address(person)].events) for person in people] == [[uid(booked.id)]] * 2
    assert [practice.subjects[practice.address(person)] for person in people] == [
        ["Booked", "New time", "Cancelled"]
    ] * 2
    assert {outcome.kind for outcome in outcomes} == {"delivered"}
    # Reminders wait for their time.
    told = "select count(*) from bookingdb.deliveries where status <> 'delivered' and type <> 'session.reminder'"
    assert practice.world.scalar(told) == 0


def test_worker_that_was_away_tells_only_what_is_still_true(practice: Practice) -> None:
    sessions = [practice.book(hour) for hour in (9, 12)]
    moved = practice.bookings.reschedule_session(sessions[0].id, starts_at=at(16))
    practice.bookings.cancel_session(sessions[1].id)

    outcomes = practice.deliver()

    for person in (practice.client, practice.therapist):
        assert [start for start, _ in practice.standing(person)] == [moved.start_time]
        # The booking of the one that is cancelled is told no more.
        assert sorted(practice.subjects[practice.address(person)]) == ["Booked", "Cancelled", "New time"]
    assert sorted(outcome.kind for outcome in outcomes) == ["delivered"] * 6 + ["dropped"] * 2
    (detail,) = practice.world.run("select distinct detail from bookingdb.deliveries where status = 'dropped'")
    assert detail == ("the session was cancelled since",)


def test_session_leaves_the_calendar_of_a_former_therapist(practice: Practice) -> None:
    booked = practice.book(10)
    practice.deliver()
    other = practice.world.therapist("Europe/Berlin")
    practice.bookings.transfer_session(booked.id, other)
    practice.bookings.relay_events()
    (told,) = practice.world.run(
        "select c ->> 'credits_charged', c ->> 'old_therapist_name', c ->> 'recipient' from bookingdb.deliveries as d,"
        " bookingdb.context_of_delivery(d) as c where d.type = 'session.transferred' and d.recipient_id = %s",
        practice.client,
    )
    name = practice.world.scalar("select bookingdb.person_name(%s, true)", practice.therapist)
    assert (told, bool(name)) == (("1", name, "client"), True)
    practice.deliver()

    assert practice.standing(practice.therapist) == []
    (for_other,), (for_client,) = practice.standing(other), practice.standing(practice.client)
    assert for_other == for_client
    assert for_other[0] == booked.start_time
    assert practice.subjects[practice.address(practice.therapist)] == ["Booked", "No longer yours"]


def test_refused_recipient_is_a_dead_delivery_that_one_sees(practice: Practice) -> None:
    practice.mailbox.refusals["RCPT"] = "550 5.1.1 no such user"
    practice.book(10)
    practice.deliver()

    dead = practice.bookings.list_deliveries(status="dead")
    assert {(one.status_code, one.detail) for one in dead} == {
        (550, "the server refuses the recipient: 550 5.1.1 no such user")
    }
    assert {one.recipient_id for one in dead} == {practice.client, practice.therapist}
    # Whoever corrects the address can have it sent again.
    practice.mailbox.refusals.clear()
    assert practice.bookings.replay_deliveries("mail") == 2
    practice.deliver()
    assert [len(practice.standing(person)) for person in (practice.client, practice.therapist)] == [1, 1]


def test_contact_says_address_language_and_consent(practice: Practice) -> None:
    practice.world.run(
        "insert into bookingdb.contacts (person_id, email, time_zone, language)"
        " values (%s, 'private@example.com', 'America/New_York', 'de')",
        practice.client,
    )
    practice.world.run(
        """insert into bookingdb.contacts (person_id, consents) values (%s, '{"email": false}')""", practice.therapist
    )
    practice.book(10)

    kinds = sorted(outcome.kind for outcome in practice.deliver())
    assert kinds == ["delivered", "dropped"]
    assert dict(practice.subjects) == {"private@example.com": ["Gebucht"]}


def test_deleted_row_leaves_the_calendars(practice: Practice) -> None:
    """An app that deletes instead of cancelling has cancelled."""
    booked = practice.book(10)
    practice.deliver()
    practice.world.run("delete from sessions where id = %s", booked.id)
    practice.deliver()

    for person in (practice.client, practice.therapist):
        assert practice.standing(person) == []
        assert practice.subjects[practice.address(person)] == ["Booked", "Cancelled"]


def test_credits_that_run_low_or_expire_are_told_to_the_client(practice: Practice) -> None:
    poor = practice.client = practice.world.client()
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    practice.bookings.grant_credits(poor, 2, expires_at=soon)
    practice.book(10)
    practice.deliver()

    told = [subject for subject in practice.subjects[practice.address(poor)] if "credits" in subject]
    assert sorted(told) == ["Your credits are running low", "Your credits expire soon"]
    assert practice.subjects[practice.address(practice.therapist)] == ["Booked"]
