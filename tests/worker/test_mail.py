"""Mails: their texts, to whom they go and when not, and what the answers of a server lead to."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trustme
from babel import Locale

from bookingdb.records import ClaimedDelivery
from bookingdb.worker import letters, mail, news
from bookingdb.worker.clocks import Clock
from bookingdb.worker.mail import MailSender, reason_to_drop
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment
from tests.support.mail import ADA, GRACE, SESSION_ID, Mailbox, delivery, event_of, mail_server, only, parts_of

TYPES = sorted(path.name.removesuffix(".jinja") for path in (letters.TEMPLATES / "en").glob("*.jinja"))
NOWHERE: Any = None


@pytest.fixture(scope="module")
def server() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture
def mailbox(server: Mailbox) -> Mailbox:
    server.received.clear()
    server.refusals.clear()
    return server


def sent(mailbox: Mailbox, one: ClaimedDelivery) -> Outcome:
    """Send a delivery to a server, without encryption where it says nothing of it."""
    one.settings.update({"port": mailbox.port, "security": "none", **one.settings})
    environment: Environment = NOWHERE
    return MailSender().send(one, environment)


def letter_of(one: ClaimedDelivery, **options: Any) -> letters.Letter:
    return letters.write(news.read(one), **options)


# --- texts ---


def test_mail_has_text_html_and_invitation(mailbox: Mailbox) -> None:
    one = delivery(settings={"base_url": "https://app.example/"}, session={"video_url": "https://rooms.example/a"})

    assert sent(mailbox, one) == Outcome("delivered", status_code=250)

    ((envelope,), (message,)) = mailbox.received, mailbox.messages
    assert (envelope.mail_from, envelope.rcpt_tos) == ("practice@example.com", ["ada@example.com"])
    assert str(message["From"]) == "The Practice <practice@example.com>"
    assert str(message["To"]) == "Ada Lovelace <ada@example.com>"
    assert str(message["Subject"]) == "Booked: Mon, Jan 9, 8:30 AM"
    assert str(message["Auto-Submitted"]) == "auto-generated"
    assert abs(message["Date"].datetime - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    parts = parts_of(message)
    assert list(parts) == ["text/plain", "text/html", "text/calendar"]
    for part in (parts["text/plain"], parts["text/html"]):
        assert "Your session with Grace Hopper is booked." in part
        assert "Intake" in part
        assert "https://rooms.example/a" in part
        assert f"https://app.example/sessions/{SESSION_ID}" in part
    assert str(event_of(message)["uid"]) == f"{SESSION_ID}@bookingdb"
    # Not every server takes more than seven bits.
    assert isinstance(envelope.content, bytes)
    assert envelope.content.isascii()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("part", ["client", "therapist"])
@pytest.mark.parametrize("type_", [name for name in TYPES if name != "session.left"])
def test_every_mail_is_written_in_both_languages(type_: str, part: str, language: str) -> None:
    """With every name known, and with none."""
    data = {"amount": -1, "expires_at": "2040-03-01T11:00:00Z", "refunded": True}
    nobody = {"name": None, "time_zone": None}
    for person in ({}, nobody):
        reader = {**person, "language": language}
        one = delivery(type_, part, data=data, session={"title": None}, client=reader, therapist=reader)
        letter = letter_of(one)
        words = " ".join(letter.text.split())
        assert letter.subject
        assert "None" not in letter.subject + letter.text + letter.html
        assert "  " not in letter.subject
        assert ("Guten Tag" in words, "Hello" in words) == (language == "de", language == "en")
        # The same is told as HTML.
        shown = re.sub(r"<(style|title).*?</\1>|<[^>]*>", " ", letter.html, flags=re.DOTALL)
        paragraphs = [" ".join(one.split()) for one in letter.text.split("\n\n")[:2]]
        assert [one for one in paragraphs if one not in " ".join(shown.split())] == []


def test_texts_of_both_languages_are_the_same_files() -> None:
    english, german = ({path.name for path in (letters.TEMPLATES / name).iterdir()} for name in ("en", "de"))

    assert english == german
    words = [letters._words(letters._environments(None)[0], name) for name in ("en", "de")]
    assert [key for key in words[0] if words[0][key] == words[1][key]] == []


@pytest.mark.parametrize(
    ("language", "default", "hello"),
    [
        ("de", None, "Guten Tag"),
        ("de-AT", None, "Guten Tag"),
        ("de_CH", None, "Guten Tag"),
        ("de-XX", None, "Guten Tag"),
        ("DE", None, "Guten Tag"),
        ("de_DE.UTF-8", None, "Guten Tag"),
        ("en", "de", "Hello"),
        (None, "de", "Guten Tag"),
        ("fr", "de", "Guten Tag"),
        ("fr", None, "Hello"),
        (None, None, "Hello"),
        (None, "xx", "Hello"),
        ("tlh", "", "Hello"),
        ("../../../etc/passwd", None, "Hello"),
        ("de/../../x", None, "Hello"),
        ("d" * 1000, None, "Hello"),
        ("\0", None, "Hello"),
    ],
)
def test_language_that_has_no_text_gives_way(language: str | None, default: str | None, hello: str) -> None:
    letter = letter_of(delivery(client={"language": language}), default_language=default)

    assert letter.text.startswith(hello)


@pytest.mark.parametrize(
    ("language", "day", "shown"),
    [
        ("en", "Monday, January 9, 2040", "8:30 AM \N{EN DASH} 9:30 AM"),
        ("en-GB", "Monday, 9 January 2040", "8:30 \N{EN DASH} 9:30"),
        ("de", "Montag, 9. Januar 2040", "08:30 \N{EN DASH} 09:30"),
        ("de-AT", "Montag, 9. Jänner 2040", "08:30 \N{EN DASH} 09:30"),
    ],
)
def test_times_are_written_as_the_language_does(language: str, day: str, shown: str) -> None:
    text = letter_of(delivery(client={"language": language})).text

    assert f"{day}, {shown}" in re.sub(r"\b0(\d:)", r"\1", text) or f"{day}, {shown}" in text


def test_times_are_in_the_readers_zone_and_the_others() -> None:
    """Each has a name; the other's is left out where clocks show the same."""
    to_ada = letter_of(delivery()).text
    assert "8:30 AM \N{EN DASH} 9:30 AM\n" in to_ada
    assert "Eastern Standard Time, UTC-5" in to_ada
    assert re.search(
        r"For Grace Hopper: +Monday, January 9, 2040, 2:30 PM \N{EN DASH} 3:30 PM\n +Central European", to_ada
    )
    to_grace = letter_of(delivery("session.booked", "therapist")).text
    assert re.search(
        r"Wann: +Montag, 9. Januar 2040, 14:30 \N{EN DASH} 15:30\n +Mitteleuropäische Normalzeit, UTC\+1", to_grace
    )
    assert re.search(
        r"Für Ada Lovelace: +Montag, 9. Januar 2040, 08:30 \N{EN DASH} 09:30\n +Nordamerikanische", to_grace
    )
    in_paris = letter_of(delivery(client={"time_zone": "Europe/Paris"})).text
    assert "For Grace" not in in_paris
    # Without a zone of their own it is the session's.
    unknown = letter_of(delivery(client={"time_zone": "Mars/Olympus"}, session={"time_zone": "Asia/Kathmandu"})).text
    assert "7:15 PM \N{EN DASH} 8:15 PM\n" in unknown
    assert "Nepal Time, UTC+5:45" in unknown


@pytest.mark.parametrize(
    ("zone", "start", "lines"),
    [
        # The hour that there is twice, the hour that there is not, and New York's, all an hour long.
        (
            "Europe/Berlin",
            "2039-10-30T00:30:00Z",
            [
                "Sunday, October 30, 2039, 2:30 AM (Central European Summer Time, UTC+2) \N{EN DASH}",
                "2:30 AM (Central European Standard Time, UTC+1)",
            ],
        ),
        (
            "Europe/Berlin",
            "2039-10-30T01:00:00Z",
            ["Sunday, October 30, 2039, 2:00 AM \N{EN DASH} 3:00 AM", "Central European Standard Time, UTC+1"],
        ),
        (
            "Europe/Berlin",
            "2040-03-25T00:30:00Z",
            [
                "Sunday, March 25, 2040, 1:30 AM (Central European Standard Time, UTC+1) \N{EN DASH}",
                "3:30 AM (Central European Summer Time, UTC+2)",
            ],
        ),
        (
            "America/New_York",
            "2039-11-06T04:30:00Z",
            ["Sunday, November 6, 2039, 12:30 AM \N{EN DASH} 1:30 AM", "Eastern Daylight Time, UTC-4"],
        ),
        (
            "Asia/Kolkata",
            "2040-01-09T18:00:00Z",
            [
                "Monday, January 9, 2040, 11:30 PM \N{EN DASH} Tuesday, January 10, 2040, 12:30 AM",
                "India Standard Time, UTC+5:30",
            ],
        ),
        # Their winter is less than their standard time, which Babel takes for summer.
        (
            "Europe/Dublin",
            "2040-01-09T12:00:00Z",
            ["Monday, January 9, 2040, 12:00 PM \N{EN DASH} 1:00 PM", "Europe/Dublin, UTC+0"],
        ),
        (
            "Europe/Dublin",
            "2040-07-09T12:00:00Z",
            ["Monday, July 9, 2040, 1:00 PM \N{EN DASH} 2:00 PM", "Europe/Dublin, UTC+1"],
        ),
        ("UTC", "2040-01-09T12:00:00Z", ["Monday, January 9, 2040, 12:00 PM \N{EN DASH} 1:00 PM", "UTC"]),
    ],
)
def test_times_across_clock_changes_are_unmistakable(zone: str, start: str, lines: list[str]) -> None:
    begun = news.moment(start)
    clock = Clock(Locale.parse("en"), ZoneInfo(zone))

    assert clock.lines(begun, begun + dt.timedelta(hours=1)) == lines


def test_moved_session_shows_both_times() -> None:
    data = {"old_start_time": "2040-01-08T13:30:00Z", "old_end_time": "2040-01-08T14:30:00Z"}
    text = letter_of(delivery("session.rescheduled", data=data)).text

    assert re.search(r"Until now: +Sunday, January 8, 2040, 8:30 AM \N{EN DASH} 9:30 AM", text)
    assert re.search(r"When: +Monday, January 9, 2040, 8:30 AM \N{EN DASH} 9:30 AM", text)


# --- other people's words ---

HOSTILE = [
    "Ada\r\nBcc: eve@example.com\r\n\r\n<h1>hello",
    "Ada\nSubject: other",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</td></table></div>--><a href='javascript:alert(1)'>x</a>",
    "{{ 7 * 7 }}{% for x in range(10**9) %}{{ config }}{% endfor %}",
    '"Ada" <eve@example.com>, mallory@example.com',
    "A" * 5000,
    "\u202egnp.exe\u202c \u2066x \u200b\ufeff",
    "שלום עולם",
    "Zoë 👩‍👩‍👧 🏳️‍🌈 Łukasz",
    "=?utf-8?q?Bcc=3A_eve=40example=2Ecom?=",
    "END:VEVENT\r\nBEGIN:VEVENT\r\nUID:evil\r\nATTENDEE:mailto:eve@example.com; , \\",
    'x";CN=eve:mailto:eve@example.com',
    "\x1b[31m\x07\x00 \x85 \u2028 \u2029 \udfff",
    " \t ",
]


class Tags(HTMLParser):
    """The tags of a page, and its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") or name.startswith("on")]


@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_others_are_harmless(mailbox: Mailbox, words: str) -> None:
    """They are shown to both, as the name of the other, and as the title."""
    plain = [delivery(type_, part) for type_ in ("session.booked", "session.cancelled") for part in ADDRESSEES]
    named = {"name": words}
    for like in plain:
        part = news.read(like).part
        one = delivery(like.type, part, client=named, therapist=named, session={"title": words})
        assert sent(mailbox, one).kind == "delivered"
    expected = [mail.compose(one, dt.datetime.now(dt.UTC))[0] for one in plain]
    for expected_one, message, envelope in zip(expected, mailbox.messages, mailbox.received, strict=True):
        assert envelope.rcpt_tos == [expected_one["To"].addresses[0].addr_spec]
        assert set(message.keys()) == set(expected_one.keys())
        for header in ("To", "From"):
            (address,) = message[header].addresses
            assert address.addr_spec == expected_one[header].addresses[0].addr_spec
        assert message.defects == []
        subject = str(message["Subject"])
        assert len(subject) <= 120
        assert re.sub("[\u200d\u2068\u2069]", "", subject).isprintable()
        parts, expected_parts = parts_of(message), parts_of(expected_one)
        assert list(parts) == list(expected_parts)
        tags, expected_tags = Tags(parts["text/html"]), Tags(expected_parts["text/html"])
        assert set(tags.found) <= set(expected_tags.found)
        assert tags.links == expected_tags.links == []
        assert "49" not in parts["text/plain"]
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066\u2067\u200b\ufeff]", parts["text/plain"])
        assert len(parts["text/plain"]) < 3000
        event = event_of(message)
        assert str(event["uid"]) == f"{SESSION_ID}@bookingdb"
        assert event["attendee"] == f"mailto:{envelope.rcpt_tos[0]}"


ADDRESSEES = ("client", "therapist")


def test_names_that_only_look_strange_stay_as_they_are() -> None:
    for name in ("Zoë 👩‍👩‍👧 Łukasz", "O'Neill & Søn", "محمد", "संजय"):
        letter = letter_of(delivery(therapist={"name": name}))
        assert name in letter.text
        assert name.replace("&", "&amp;").replace("'", "&#39;") in letter.html
    # What is written from right to left leaves the text around it where it is.
    assert "\u2068محمد\u2069" in letter_of(delivery(therapist={"name": "محمد"})).text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a.example/\r\nX: y", 'https://a.example/">', "//x", "x"]
)
def test_room_that_is_no_web_address_is_left_out(mailbox: Mailbox, url: str) -> None:
    assert sent(mailbox, delivery(session={"video_url": url}, settings={"base_url": url})).kind == "delivered"

    (message,) = mailbox.messages
    assert Tags(parts_of(message)["text/html"]).links == []
    assert {"URL", "LOCATION", "CONFERENCE"} & set(event_of(message)) == set()


# --- texts of one's own ---


def test_texts_are_replaced_by_files_of_their_name(mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "fr").mkdir()
    own = (
        "{% block subject %}Hallo {{ other }}{% endblock %}{% block text %}Eins.\n\nZwei & <{{ title }}>.{% endblock %}"
    )
    (tmp_path / "de" / "session.booked.jinja").write_text(own)
    (tmp_path / "de" / "words.toml").write_text('greeting_by_name = "Servus {name},"\n')
    (tmp_path / "fr" / "session.booked.jinja").write_text(own.replace("Hallo", "Bonjour"))
    (tmp_path / "de" / "session.completed.jinja").write_text(own)
    settings = {"templates": str(tmp_path)}

    sent(mailbox, delivery("session.booked", "therapist", settings=settings, session={"title": "<b>"}))
    sent(mailbox, delivery(client={"language": "fr"}, settings=settings))
    sent(mailbox, delivery("session.cancelled", "therapist", settings=settings))
    # A type that has no text of ours, and only in one language.
    sent(mailbox, delivery("session.completed", "therapist", settings=settings))
    assert sent(mailbox, delivery("session.completed", settings=settings)).kind == "dropped"

    german, french, untouched, completed = mailbox.messages
    subjects = [str(message["Subject"]) for message in (german, french, completed)]
    assert subjects == ["Hallo Ada Lovelace", "Bonjour Grace Hopper", "Hallo Ada Lovelace"]
    assert parts_of(german)["text/plain"].startswith("Servus Grace Hopper,\n\nEins.\n\nZwei & <<b>>.\n\nTermin:")
    assert "<p>Zwei & <&lt;b&gt;>.</p>" in parts_of(german)["text/html"]
    assert "lundi 9 janvier 2040" in parts_of(french)["text/plain"]
    assert "Abgesagt" in str(untouched["Subject"])
    (tmp_path / "layout.txt").write_text("{{ paragraphs[0] }}")
    assert letter_of(delivery("session.booked", "therapist"), folder=str(tmp_path)).text == "Eins."


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("{% block subject %}{{ oops }}{% endblock %}{% block text %}{% endblock %}", "'oops' is undefined"),
        ("{% block subject %}{% endblock %}", "has no block text"),
        ("{% block", "TemplateSyntaxError"),
        ("{% block subject %}{{ 1 / 0 }}{% endblock %}{% block text %}{% endblock %}", "ZeroDivisionError"),
        (
            "{% block subject %}{{ ''.__class__.__mro__[1] }}{% endblock %}{% block text %}{% endblock %}",
            "unsafe",
        ),
    ],
)
def test_text_with_a_mistake_waits_for_its_mending(mailbox: Mailbox, tmp_path: Path, text: str, detail: str) -> None:
    (tmp_path / "en").mkdir()
    file = tmp_path / "en" / "session.booked.jinja"
    file.write_text(text)
    one = delivery(settings={"templates": str(tmp_path)})

    outcome = sent(mailbox, one)
    assert (outcome.kind, detail in str(outcome.detail)) == ("retry", True), outcome
    file.unlink()
    assert sent(mailbox, one).kind == "delivered"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": None},
        {"from": None},
        {"from": "nobody"},
        {"from": "a@example.com\r\nBcc: b@example.com"},
        {"organizer": "x"},
        {"security": "ssl"},
        {"port": "smtp"},
        {"user": "u"},
        {"user": "u", "password_env": "BOOKINGDB_NOT_SET"},
        {"alarm_minutes": "60"},
        {"templates": "/nowhere/at/all"},
    ],
)
def test_settings_that_cannot_be_used_make_mails_wait(mailbox: Mailbox, wrong: dict[str, Any]) -> None:
    outcome = sent(mailbox, delivery(settings=wrong))

    assert (outcome.kind, bool(outcome.detail), mailbox.received) == ("retry", True, [])


# --- to whom ---


@pytest.mark.parametrize(
    ("type_", "session", "recipient", "reason"),
    [
        ("session.booked", {}, "client", None),
        ("session.booked", {"revision": 3}, "client", None),
        ("session.booked", {"status": "confirmed"}, "client", None),
        ("session.booked", {"status": "cancelled"}, "client", "cancelled since"),
        ("session.booked", {}, "former_therapist", "somebody else's"),
        (
            "session.booked",
            {"start_time": "2020-01-01T10:00:00Z", "end_time": "2020-01-01T11:00:00Z"},
            "client",
            "over",
        ),
        ("session.requested", {"status": "pending_approval"}, "therapist", None),
        ("session.requested", {"status": "scheduled"}, "therapist", "decided since"),
        ("session.approved", {"status": "cancelled"}, "client", "cancelled since"),
        ("session.rescheduled", {}, "therapist", None),
        ("session.rescheduled", {"status": "cancelled"}, "therapist", "cancelled since"),
        ("session.rescheduled", {}, "former_therapist", "somebody else's"),
        ("session.transferred", {}, "therapist", None),
        ("session.transferred", {}, "former_therapist", None),
        ("session.cancelled", {"status": "cancelled"}, "client", None),
        ("session.cancelled", {"status": "scheduled"}, "client", "reopened since"),
        ("session.cancelled", {"status": "cancelled"}, "former_therapist", "somebody else's"),
        ("session.reopened", {}, "client", None),
        ("session.reopened", {"status": "cancelled"}, "client", "cancelled since"),
        ("session.deleted", None, "client", None),
        ("session.booked", None, "client", "cancelled since"),
        ("session.cancelled", None, "client", None),
        ("session.reminder", {"status": "cancelled"}, "client", "cancelled since"),
        ("credits.low", None, "client", None),
    ],
)
def test_mail_that_came_too_late_is_dropped(
    mailbox: Mailbox, type_: str, session: dict[str, Any] | None, recipient: str, reason: str | None
) -> None:
    """What happened since has a mail of its own."""
    former = {**GRACE, "email": "former@example.com"} if recipient.startswith("former") else None
    one = delivery(type_, recipient, session=session, has_session=session is not None, former=former)

    outcome = sent(mailbox, one)
    assert outcome.kind == ("delivered" if reason is None else "dropped")
    assert (reason or "None") in str(outcome.detail)
    assert len(mailbox.received) == (reason is None)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"old_status": "scheduled"}, "delivered"),
        ({"old_status": "cancelled"}, "dropped"),
        ({"old_status": "completed"}, "dropped"),
        ({"start_time": "2020-01-01T10:00:00Z", "end_time": "2020-01-01T11:00:00Z"}, "dropped"),
    ],
)
def test_deleting_what_is_over_tells_nobody(mailbox: Mailbox, data: dict[str, Any], kind: str) -> None:
    """An app that clears away old rows sends no mails by it."""
    assert sent(mailbox, delivery("session.deleted", has_session=False, data=data)).kind == kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "Your session with Grace Hopper is cancelled."),
        (
            {"refunded": True, "credits": 1, "by": "client"},
            "You have cancelled your session with Grace Hopper. The credit is back",
        ),
        ({"refunded": False, "by": "practice", "actor": str(SESSION_ID)}, "The practice has cancelled your session"),
        # The role of an application, whoever used it.
        ({"refunded": False, "by": "practice", "actor": "service_role"}, "is cancelled. The credit is used."),
        ({"by": "therapist"}, "Grace Hopper has cancelled the session with you."),
        ({"old_status": "pending_approval", "by": "client"}, "is withdrawn."),
        ({"lapsed": True, "old_status": "pending_approval"}, "has lapsed"),
        ({"old_status": "pending_approval"}, "declined or withdrawn"),
    ],
)
def test_cancellation_says_what_it_was(data: dict[str, Any], words: str) -> None:
    text = " ".join(letter_of(delivery("session.cancelled", data=data, credits_charged=1)).text.split())

    assert words in text
    assert ("credit is back" in text, "credit is used" in text) == (
        bool(data.get("refunded")),
        not data.get("refunded"),
    )


def test_passed_deadline_of_cancellation_is_told_as_passed() -> None:
    for type_ in ("session.booked", "session.reminder", "session.transferred", "session.reopened"):
        one = delivery(type_, session={"free_cancellation_until": "2040-01-08T13:30:00Z"})
        ahead, passed = (letter_of(one, now=news.moment(f"2040-01-0{day}T13:30:00Z")).text for day in (7, 8))
        assert re.search("Free cancellation until: +Sunday, January 8", ahead)
        assert re.search("Free cancellation: +no longer possible", passed)
        assert "January 8" not in passed


def test_booking_names_whoever_booked() -> None:
    by_client, by_practice = (
        letter_of(delivery("session.booked", "therapist", data={"by": by})).text for by in ("client", "practice")
    )

    assert "Ada Lovelace hat einen Termin bei Ihnen gebucht." in by_client
    assert "Ein Termin mit Ada Lovelace ist gebucht." in by_practice


@pytest.mark.parametrize(("left", "words"), [(1, "reicht noch für einen Termin"), (0, "aufgebraucht")])
def test_last_credit_is_enough_for_a_session(left: int, words: str) -> None:
    text = letter_of(delivery("credits.low", client={"language": "de"}, credits_left=left)).text

    assert (words in text, "erneuern" in text) == (True, left == 0)


@pytest.mark.parametrize(("charged", "words"), [(1, "1 credit was taken"), (0, "No credit was taken"), (None, "")])
def test_reopening_says_whether_it_cost_a_credit(charged: int | None, words: str) -> None:
    text = " ".join(letter_of(delivery("session.reopened", credits_charged=charged)).text.split())

    assert (words in text, "taken" in text) == (True, charged is not None)


def test_deleted_session_has_no_link(mailbox: Mailbox) -> None:
    settings = {"base_url": "https://app.example"}
    sent(mailbox, delivery("session.deleted", has_session=False, settings=settings))
    sent(mailbox, delivery("session.cancelled", settings=settings))

    assert ["app.example" in parts_of(message)["text/plain"] for message in mailbox.messages] == [False, True]


def test_transfer_says_to_each_what_changed() -> None:
    to_new = letter_of(delivery("session.transferred", "therapist", data={"old_therapist_id": "x"}))
    to_client = letter_of(
        delivery("session.transferred", "client", data={"old_therapist_id": "x"}, old_therapist_name="Kay")
    )

    assert "Sie übernehmen den Termin mit Ada Lovelace." in to_new.text
    assert "Your session is now with Grace Hopper, no longer with Kay." in to_client.text


def test_late_mail_tells_the_newest_times(mailbox: Mailbox) -> None:
    """Also in its invitation, with the newest sequence: the next mail changes nothing more."""
    newest = {"start_time": "2040-02-01T13:30:00Z", "end_time": "2040-02-01T14:30:00Z", "revision": 2}
    assert sent(mailbox, delivery(session=newest)).kind == "delivered"

    (message,) = mailbox.messages
    assert "February 1, 2040, 8:30 AM" in parts_of(message)["text/plain"]
    event = event_of(message)
    assert (event["dtstart"].dt, event["sequence"]) == (news.moment("2040-02-01T13:30:00Z"), 2)


@pytest.mark.parametrize(
    ("person", "kind", "detail"),
    [
        ({"consents": {"email": False}}, "dropped", "does not want"),
        ({"consents": {"sms": False}}, "delivered", ""),
        ({"consents": None}, "delivered", ""),
        ({"email": None}, "dropped", "no e-mail address"),
        ({"email": ""}, "dropped", "no e-mail address"),
        ({"email": "nobody"}, "dead", "is none"),
        ({"email": "@example.com"}, "dead", "is none"),
        ({"email": "a@"}, "dead", "is none"),
        ({"email": "a..b@example.com"}, "dead", "is none"),
        ({"email": '"a b"@example.com'}, "dead", "is none"),
        ({"email": "a b@example.com"}, "dead", "is none"),
        ({"email": "a@example.com\r\nRCPT TO:<eve@example.com>"}, "dead", "is none"),
        ({"email": "a@example.com, eve@example.com"}, "dead", "is none"),
        ({"email": "Ada <a@example.com>"}, "dead", "is none"),
        ({"email": "a" * 300 + "@example.com"}, "dead", "is none"),
        ({"email": "a@" + "x" * 70 + ".example"}, "dead", "is none"),
    ],
)
def test_recipient_without_address_or_consent_gets_none(
    mailbox: Mailbox, person: dict[str, Any], kind: str, detail: str
) -> None:
    outcome = sent(mailbox, delivery(client=person))

    assert (outcome.kind, detail in str(outcome.detail)) == (kind, True), outcome
    assert [envelope.rcpt_tos for envelope in mailbox.received] == (
        [["ada@example.com"]] if kind == "delivered" else []
    )
    assert "@" not in str(outcome.detail)


def test_recipients_are_those_of_the_audience(mailbox: Mailbox) -> None:
    settings = {"audience": ["client"]}

    assert sent(mailbox, delivery("session.booked", "therapist", settings=settings)).kind == "dropped"
    assert sent(mailbox, delivery("session.booked", "client", settings=settings)).kind == "delivered"
    # Somebody who was erased meanwhile.
    assert sent(mailbox, delivery("session.booked", None)).kind == "dropped"


def test_test_of_a_destination_goes_to_its_own_address(mailbox: Mailbox) -> None:
    for settings in ({}, {"test_to": "me@example.com"}):
        one = delivery("bookingdb.test", None, has_session=False, settings=settings, data={"session_id": None})
        assert sent(mailbox, one).kind == "delivered"

    assert [envelope.rcpt_tos for envelope in mailbox.received] == [["practice@example.com"], ["me@example.com"]]


def test_domains_beyond_ascii_are_written_to(mailbox: Mailbox) -> None:
    assert sent(mailbox, delivery(client={"email": "ada@bücher.example"})).kind == "delivered"
    assert sent(mailbox, delivery(client={"email": "ädä@example.com"})).kind == "dead"

    assert [envelope.rcpt_tos for envelope in mailbox.received] == [["ada@xn--bcher-kva.example"]]


def test_only_sessions_can_come_too_late() -> None:
    now = dt.datetime.now(dt.UTC)

    assert reason_to_drop(news.read(delivery("credits.low", has_session=False)), now) is None
    assert reason_to_drop(news.read(delivery("credits.returned", session={"status": "cancelled"})), now) is None


# --- the server's answers ---


@pytest.mark.parametrize(
    ("command", "answer", "kind"),
    [
        ("RCPT", "550 5.1.1 <ada@example.com>: no such user here", "dead"),
        ("RCPT", "450 4.2.1 ada@example.com is busy", "retry"),
        ("RCPT", "530 5.7.0 Authentication required", "retry"),
        ("DATA", "554 5.7.1 looks like spam to ada@example.com", "dead"),
        ("DATA", "451 4.3.0 later, ada@example.com", "retry"),
        ("MAIL", "550 5.7.1 practice@example.com may not send here", "retry"),
        ("MAIL", "421 4.3.2 closing", "retry"),
    ],
)
def test_refusal_for_good_ends_a_delivery(mailbox: Mailbox, command: str, answer: str, kind: str) -> None:
    """One that may pass, or that is of the sender's own settings, does not; none shows the address."""
    mailbox.refusals[command] = answer
    outcome = sent(mailbox, delivery())

    assert (outcome.kind, outcome.status_code) == (kind, int(answer[:3]))
    assert str(outcome.detail).startswith("the server refuses ")
    assert answer[4:7] in str(outcome.detail)
    assert "@" not in str(outcome.detail)
    mailbox.refusals.clear()
    assert sent(mailbox, delivery()).kind == "delivered"


def test_mail_that_was_taken_is_delivered_whatever_follows(mailbox: Mailbox) -> None:
    mailbox.refusals["QUIT"] = "500 never"

    assert sent(mailbox, delivery()) == Outcome("delivered", status_code=250)


def test_repeated_mail_has_the_same_message_id(mailbox: Mailbox) -> None:
    one = delivery()
    for _ in range(2):
        sent(mailbox, one)
    sent(mailbox, delivery())

    first, again, other = (str(message["Message-ID"]) for message in mailbox.messages)
    assert first == again == f"<{one.id}@example.com>"
    assert other != first


def test_server_that_is_not_there_is_tried_again(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Nobody accepts: it never says a word.
        monkeypatch.setattr(mail, "_LONGEST_WAIT", 0.2)
        port = silent.getsockname()[1]
        assert sent(mailbox, delivery(settings={"port": port})).kind == "retry"
    assert sent(mailbox, delivery(settings={"port": port})).kind == "retry"
    assert sent(mailbox, delivery(settings={"host": "nowhere.invalid"})).kind == "retry"


@pytest.mark.parametrize(("answer", "kind"), [(b"", "retry"), (b"250 OK\r\n", "delivered")])
def test_connection_lost_before_the_answer_is_tried_again(mailbox: Mailbox, answer: bytes, kind: str) -> None:
    """Whether the server has the mail nobody knows; if it has, it can see that the next is the same."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 hello\r\n")
            for line in lines:
                if line == b".\r\n":
                    connection.sendall(answer)
                    return
                if line == b"data\r\n":
                    connection.sendall(b"354 go on\r\n")
                elif line[:5] in (b"ehlo ", b"mail ", b"rcpt "):
                    connection.sendall(b"250 OK\r\n")

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    with listener:
        outcome = sent(mailbox, delivery(settings={"port": listener.getsockname()[1]}))
    thread.join(5)
    assert outcome.kind == kind


# --- encryption and login ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusted_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_mail_is_encrypted_unless_told_otherwise(
    trusted_file: str, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tls_context=server_context, require_starttls=True) as mailbox:
        one = delivery(settings={"host": "localhost", "port": mailbox.port})
        del one.settings["from_name"]
        strange = MailSender().send(one, NOWHERE)
        monkeypatch.setenv("SSL_CERT_FILE", trusted_file)
        wrong_name = MailSender().send(delivery(settings={"port": mailbox.port}), NOWHERE)
        trusted = MailSender().send(one, NOWHERE)

    assert (strange.kind, "certificate" in str(strange.detail)) == ("retry", True)
    assert (wrong_name.kind, "certificate" in str(wrong_name.detail)) == ("retry", True)
    assert (trusted.kind, len(mailbox.received)) == ("delivered", 1)


def test_server_without_encryption_gets_nothing(mailbox: Mailbox) -> None:
    outcome = sent(mailbox, delivery(settings={"security": "starttls", "user": "u"}, secrets={"password": "geheim"}))

    assert (outcome.kind, "STARTTLS" in str(outcome.detail), mailbox.received) == ("retry", True, [])


def test_mail_goes_over_tls_from_the_start(
    trusted_file: str, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", trusted_file)
    with mail_server(tls=server_context) as mailbox:
        settings = {"host": "localhost", "port": mailbox.port, "security": "tls"}
        assert MailSender().send(delivery(settings=settings), NOWHERE).kind == "delivered"
    assert len(mailbox.received) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_refused_login_waits_for_the_right_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that was changed loses no mail, and nobody reads it in a list of deliveries."""
    with mail_server(authenticator=only("ann", "right"), auth_required=True, auth_require_tls=False) as mailbox:
        one = delivery(settings={"user": "ann"}, secrets={"password": "wrong-password"})
        refused = sent(mailbox, one)
        one.secrets["password"] = "right"
        taken = sent(mailbox, one)
        monkeypatch.setenv("MAIL_PASSWORD", "right")
        from_environment = sent(mailbox, delivery(settings={"user": "ann", "password_env": "MAIL_PASSWORD"}))

    assert (refused.kind, refused.status_code) == ("retry", 535)
    assert refused.detail == "the server refuses the login: 535 5.7.8 *** ***"
    assert (taken.kind, from_environment.kind) == ("delivered", "delivered")
    assert ADA["email"] not in str(refused.detail)
