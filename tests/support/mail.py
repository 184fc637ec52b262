"""Mail as it arrives: a real SMTP server, and deliveries made by hand for what needs no database."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast
from uuid import UUID

import icalendar
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from bookingdb import ClaimedDelivery
from tests.support.claims import claimed

SESSION_ID = UUID("5e551000-0000-4000-8000-000000000001")
ADA: dict[str, Any] = {
    "id": "ada00000-0000-4000-8000-000000000001",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "time_zone": "America/New_York",
    "language": "en",
    "consents": {},
}
GRACE: dict[str, Any] = {
    "id": "6ace0000-0000-4000-8000-000000000002",
    "name": "Grace Hopper",
    "email": "grace@example.com",
    "time_zone": "Europe/Berlin",
    "language": "de",
    "consents": {},
}
# A Monday: 14:30 in Berlin, 8:30 AM in New York.
START, END = "2040-01-09T13:30:00Z", "2040-01-09T14:30:00Z"

_STATUS = {"session.requested": "pending_approval", "session.cancelled": "cancelled"}


def delivery(
    type_: str = "session.booked",
    recipient: str | None = "client",
    *,
    session: dict[str, Any] | None = None,
    has_session: bool = True,
    client: dict[str, Any] | None = None,
    therapist: dict[str, Any] | None = None,
    former: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    secrets: dict[str, Any] | None = None,
    credits_left: int | None = 3,
    credits_charged: int | None = None,
    old_therapist_name: str | None = None,
) -> ClaimedDelivery:
    """Make a delivery as claim_deliveries() returns it: Ada's session with Grace, with what is given in its place."""
    now_session = {
        "id": str(SESSION_ID),
        "title": "Intake",
        "session_type": "video",
        "status": _STATUS.get(type_, "scheduled"),
        "start_time": START,
        "end_time": END,
        "time_zone": "Europe/Berlin",
        "duration_minutes": 60,
        "revision": 0,
        "video_url": None,
        "video_status": None,
        "free_cancellation_until": None,
        **(session or {}),
    }
    return claimed(
        "mail",
        type_,
        subject_id=SESSION_ID,
        settings={"host": "127.0.0.1", "from": "practice@example.com", "from_name": "The Practice", **(settings or {})},
        secrets=secrets or {},
        body={
            "type": type_,
            "version": 1,
            "timestamp": "2030-01-01T00:00:00Z",
            "data": {"session_id": str(SESSION_ID), "start_time": START, "end_time": END, **(data or {})},
        },
        context={
            "session": now_session if has_session else None,
            "client": {**ADA, **(client or {})},
            "therapist": {**GRACE, **(therapist or {})},
            "former": former,
            "recipient": recipient,
            "credits_left": credits_left,
            "credits_charged": credits_charged,
            "old_therapist_name": old_therapist_name,
        },
    )


def arrived(content: bytes) -> EmailMessage:
    """A mail as its recipient reads it."""
    return message_from_bytes(content, policy=policy.default)


def parts_of(message: EmailMessage) -> dict[str, str]:
    """The parts of a mail by their content types."""
    return {
        part.get_content_type(): str(part.get_content()).replace("\r\n", "\n")
        for part in message.walk()
        if not part.is_multipart() and not part.is_attachment()
    }


def event_of(message: EmailMessage) -> Any:
    """The only event of the invitation in a mail; the attachment is the same."""
    (inline,) = (part for part in message.walk() if part.get_content_type() == "text/calendar")
    (attached,) = (part for part in message.walk() if part.get_filename() == "invite.ics" and part.is_attachment())
    assert attached.get_content() == inline.get_payload(decode=True)
    calendar = icalendar.Calendar.from_ical(cast(bytes, attached.get_content()))
    assert calendar.errors == []
    assert inline["Content-Type"].params["method"] == str(calendar["method"])
    (event,) = calendar.walk("VEVENT")
    assert event.errors == []
    return event


@dataclass
class Mailbox:
    """What an SMTP server got, and how it answers.

    Attributes:
        port: where it listens, on 127.0.0.1.
        received: the envelope of each mail it took.
        refusals: answers to commands (``"RCPT"``, ``"DATA"`` ...) in the place of its own.
    """

    port: int = 0
    received: list[Envelope] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[EmailMessage]:
        """The mails, parsed."""
        return [message_from_bytes(cast(bytes, envelope.content), policy=policy.default) for envelope in self.received]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer MAIL FROM."""
        if "MAIL" in self.refusals:
            return self.refusals["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT TO."""
        if "RCPT" in self.refusals:
            return self.refusals["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail."""
        if "DATA" in self.refusals:
            return self.refusals["DATA"]
        self.received.append(envelope)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer QUIT."""
        return self.refusals.get("QUIT", "221 Bye")


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[Mailbox]:
    """Run an SMTP server on a port that is free, encrypted from the start by `tls`; options are those of aiosmtpd."""
    mailbox = Mailbox()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0, ssl=tls)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def only(user: str, password: str) -> Callable[..., AuthResult]:
    """An authenticator that lets one user in."""

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
        is_right = (login.login, login.password) == (user.encode(), password.encode())
        # Some servers repeat what they got.
        message = f"535 5.7.8 {login.login.decode()} {login.password.decode()}"
        return AuthResult(success=is_right, handled=is_right, message=None if is_right else message)

    return authenticate


@dataclass
class MailCalendar:
    """A calendar that takes invitations as RFC 5546 wants it: by UID, and the newest counts.

    Attributes:
        events: the events by their UIDs; cancelled ones stay, so that older mails do not bring them back.
    """

    events: dict[str, Any] = field(default_factory=dict)

    def take(self, event: Any) -> None:
        """Take the event of an invitation, unless it is older than what is known."""
        known = self.events.get(str(event["uid"]))
        if known is None or _age(event) >= _age(known):
            self.events[str(event["uid"])] = event

    @property
    def standing(self) -> list[Any]:
        """The events that are not cancelled."""
        return [event for event in self.events.values() if event["status"] != "CANCELLED"]


def _age(event: Any) -> tuple[int, Any]:
    return event["sequence"], event["dtstamp"].dt
