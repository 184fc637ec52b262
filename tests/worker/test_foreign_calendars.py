"""Other calendars, fetched: what becomes busy, what is asked again, and what a feed that breaks does not do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from bookingdb import Bookings
from bookingdb.worker.foreign_calendars import LARGEST_FILE, CalendarSender
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment
from tests.support import TOMORROW, World
from tests.support.claims import claimed
from tests.support.life import set_policy
from tests.support.receiver import Received, Receiver, Reply, receiving
from tests.support.sending import make_due, send_all, set_destination

EVENT = "BEGIN:VEVENT\nUID:{name}\nSUMMARY:{name}\nDTSTART:{day}T{hour}0000Z\nDURATION:PT1H\nEND:VEVENT\n"
WEEKLY = "BEGIN:VEVENT\nUID:weekly\nDTSTART:{day}T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY\nEND:VEVENT\n"


def feed(*hours: int, more: str = "") -> bytes:
    events = "".join(EVENT.format(name=f"e{hour}", day=f"{TOMORROW:%Y%m%d}", hour=f"{hour:02}") for hour in hours)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{events}{more}END:VCALENDAR\n".encode()


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


@dataclass
class Feed:
    """A calendar on a server that knows ETags, and the therapist whose it is."""

    world: World
    receiver: Receiver
    therapist: UUID
    body: bytes = b""
    broken: Reply | None = None
    state: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def reply(self, request: Received) -> Reply:
        if self.broken is not None:
            return self.broken
        etag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        is_known = request.headers.get("if-none-match") == etag
        return Reply(304 if is_known else 200, {"ETag": etag}, b"" if is_known else self.body)

    @property
    def terms(self) -> dict[str, Any]:
        settings = {"therapist_id": str(self.therapist), "allow_private": True, **self.settings}
        return {"settings": settings, "secrets": {"url": f"{self.receiver.url}/a-secret.ics"}}

    def fetch(self) -> Outcome:
        """Fetch it as a worker does, and keep the state as the database does."""
        delivery = claimed("calendar", "calendar.fetch", destination="google", state=self.state, **self.terms)
        outcome = CalendarSender().send(delivery, Environment(Bookings(self.world.connection)))
        self.state = outcome.state or self.state
        return outcome

    def busy(self) -> list[str]:
        found = self.world.run("select external_id from bookingdb.absences where kind = 'external' order by period")
        return [name for (name,) in found]

    def source(self) -> Any:
        return self.world.scalar("select distinct external_source from bookingdb.absences where kind = 'external'")


@pytest.fixture
def google(world: World) -> Iterator[Feed]:
    with receiving() as receiver:
        served = Feed(world, receiver, world.therapist("Europe/Berlin"), feed(9, 11))
        receiver.reply = served.reply
        yield served


# ----------------------------------------------------------------------------------------------------------------------
# What is fetched
# ----------------------------------------------------------------------------------------------------------------------


def test_feed_becomes_busy_times(google: Feed) -> None:
    assert (google.fetch().kind, google.busy(), google.source()) == ("delivered", ["e9", "e11"], "google")
    google.body = feed(11, 13)
    outcome = google.fetch()
    assert (outcome.kind, google.busy()) == ("delivered", ["e11", "e13"])
    assert outcome.detail == "1 inserted, 0 updated, 1 removed, 0 ignored, 0 rejected"
    assert google.world.violations() == []


def test_source_of_the_settings_is_taken(google: Feed) -> None:
    google.settings["source"] = "private"
    google.fetch()
    assert google.source() == "private"


def test_unchanged_feed_is_not_sent_again(google: Feed) -> None:
    google.fetch()
    google.world.run("delete from bookingdb.absences")
    outcome = google.fetch()
    assert (outcome.kind, outcome.status_code, outcome.state) == ("delivered", 304, None)
    assert google.busy() == []


def test_last_modification_is_asked_for(google: Feed) -> None:
    google.broken = Reply(200, {"Last-Modified": "Tue, 01 Dec 2026 08:00:00 GMT"}, feed(9))
    google.fetch()
    google.fetch()
    asked = [request.headers.get("if-modified-since") for request in google.receiver.received]
    assert asked == [None, "Tue, 01 Dec 2026 08:00:00 GMT"]


def test_unchanged_series_is_read_again_when_more_of_it_matters(google: Feed) -> None:
    """Otherwise a feed that nobody touches would block nothing beyond the window of the first day."""
    google.body = feed(more=WEEKLY.format(day=f"{TOMORROW:%Y%m%d}"))
    set_policy(google.world, google.therapist, maximum_advance="20 days")
    google.fetch()
    before = len(google.busy())
    set_policy(google.world, google.therapist, maximum_advance="60 days")
    assert google.fetch().status_code == 200
    assert (before, len(google.busy())) in {(3, 8), (3, 9)}


def test_session_beside_an_appointment_is_counted(google: Feed) -> None:
    google.world.book(google.world.client(credits=1), google.therapist, "12:00")
    assert str(google.fetch().detail).endswith(", 1 sessions at the same time")


def test_event_that_cannot_be_read_is_counted(google: Feed) -> None:
    google.body = feed(9, more="BEGIN:VEVENT\nUID:x\nDTSTART:soon\nEND:VEVENT\n")
    assert google.fetch().detail == "1 inserted, 0 updated, 0 removed, 0 ignored, 1 rejected"


# ----------------------------------------------------------------------------------------------------------------------
# Feeds that break
# ----------------------------------------------------------------------------------------------------------------------

HTML = b"<html><body>Sign in: the-secret-of-ada</body></html>"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Reply(200, {}, HTML), "retry"),
        (Reply(200, {}, b""), "retry"),
        (Reply(200, {}, feed(9)[:-20]), "retry"),
        (Reply(200, {}, b"BEGIN:VCALENDAR\nthe-secret-of-ada\nEND:VCALENDAR"), "retry"),
        (Reply(200, {}, feed()), "retry"),
        (Reply(404, {}, HTML), "retry"),
        (Reply(401, {}, HTML), "retry"),
        (Reply(410, {}, HTML), "gone"),
        (Reply(302, {"Location": "http://169.254.169.254/"}, b""), "retry"),
        (Reply(304, {}, b""), "retry"),
        (Reply(500, {}, feed(9)), "retry"),
        (Reply(206, {}, feed(9)), "retry"),
    ],
    ids=[
        "html", "nothing", "torn", "no calendar", "no events", "404", "401", "410", "302", "304",
        "500", "206",
    ],
)  # fmt: skip
def test_broken_feed_empties_nothing(google: Feed, answer: Reply, kind: str) -> None:
    google.fetch()
    if answer.status == 304:
        assert google.state is not None
        # An answer to a question that was not asked.
        google.state = {"events": google.state["events"]}
    google.broken = answer
    outcome = google.fetch()
    assert (outcome.kind, google.busy()) == (kind, ["e9", "e11"])
    assert "the-secret-of-ada" not in str(outcome)
    google.broken, google.body = None, feed(13)
    assert (google.fetch().kind, google.busy()) == ("delivered", ["e13"])


def test_full_server_says_when_to_come_again(google: Feed) -> None:
    google.broken = Reply(429, {"Retry-After": "120"})
    outcome = google.fetch()
    assert (outcome.kind, outcome.retry_after) == ("retry", timedelta(minutes=2))


def test_file_that_never_ends_is_not_read_to_its_end(google: Feed) -> None:
    google.broken = Reply(200, {}, feed(9) + b" " * LARGEST_FILE)
    outcome = google.fetch()
    assert (outcome.kind, outcome.detail) == ("retry", f"the file is larger than {LARGEST_FILE} bytes")
    assert google.busy() == []


def test_more_events_than_a_call_takes_change_nothing(google: Feed) -> None:
    google.fetch()
    google.body = feed(more=WEEKLY.replace("WEEKLY", "HOURLY").format(day=f"{TOMORROW - timedelta(days=9):%Y%m%d}"))
    set_policy(google.world, google.therapist, maximum_advance="300 days")
    outcome = google.fetch()
    assert (outcome.kind, google.busy()) == ("retry", ["e9", "e11"])


def test_private_address_of_a_calendar_is_refused(google: Feed) -> None:
    google.settings["allow_private"] = False
    outcome = google.fetch()
    assert (outcome.kind, google.receiver.received) == ("retry", [])
    assert "not public" in str(outcome.detail)
    assert "a-secret" not in str(outcome)


@pytest.mark.parametrize("missing", ["url", "therapist_id"])
def test_destination_without_its_terms_is_retried(google: Feed, missing: str) -> None:
    settings, secrets = (
        {name: value for name, value in google.terms[terms].items() if name != missing}
        for terms in ("settings", "secrets")
    )
    delivery = claimed("calendar", "calendar.fetch", settings=settings, secrets=secrets)
    outcome = CalendarSender().send(delivery, Environment(Bookings(google.world.connection)))
    assert (outcome.kind, missing in str(outcome.detail)) == ("retry", True)


# ----------------------------------------------------------------------------------------------------------------------
# With the deliveries of the database
# ----------------------------------------------------------------------------------------------------------------------


def test_feed_is_fetched_at_each_turn(google: Feed) -> None:
    """It is due when it is set up, again when its minutes are over, and its state is kept in between."""
    google.settings["every_minutes"] = 10
    set_destination(google.world, "google", kind="calendar", **google.terms)

    def fetch() -> list[Outcome]:
        return send_all(google.world, CalendarSender(), "google")

    assert [outcome.status_code for outcome in fetch()] == [200]
    assert google.busy() == ["e9", "e11"]
    assert fetch() == []
    make_due(google.world, "google")
    assert [outcome.status_code for outcome in fetch()] == [304]
    google.broken = Reply(404)
    make_due(google.world, "google")
    assert {outcome.kind for outcome in fetch()} == {"retry"}
    ((status, detail),) = google.world.run("select status, detail from list_deliveries('google', 'pending')")
    assert (status, detail) == ("pending", "the server gave no calendar")
    assert google.busy() == ["e9", "e11"]
    told = json.dumps(google.world.run("select to_jsonb(d) from list_destinations() as d"))
    assert "a-secret" not in told
