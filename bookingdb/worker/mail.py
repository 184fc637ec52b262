"""The kind `mail`: a message for one person over SMTP, with an invitation where it is about a session."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from bookingdb.text import printable
from bookingdb.worker import invitations, letters, news
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, MissingSetting, required, secret, setting

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
# Seconds for each answer until the mail is handed over; the server then has all the time that the claim has left.
_LONGEST_WAIT: Final = 10.0
_SPARE: Final = timedelta(seconds=5)
# The server refuses us, not the recipient: no mail is lost by it, and the operator sees it.
_OUR_FAULT: Final = frozenset((530, 534, 535, 538))
_REFUSED: Final[Mapping[type[Exception], str]] = {
    smtplib.SMTPAuthenticationError: "the login",
    smtplib.SMTPSenderRefused: "the sender",
    smtplib.SMTPDataError: "the mail",
}
_LONGEST_ADDRESS: Final = 254
# Not every server takes eight bits.
_POLICY: Final = SMTP.clone(cte_type="7bit")
# Local parts in quotation marks, which nearly nobody has, are taken for none.
_ADDRESS: Final = re.compile(r"[^\s@<>()\[\],:;\\\"]+@[^\s@<>()\[\],:;\\\"]+")


class NotWanted(Exception):
    """A mail that nobody is to get any more; the text says why."""


class NotAnAddress(Exception):
    """An address to which no mail can be sent."""


@dataclass(frozen=True)
class _Server:
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password: str | None
    leased_until: datetime


class MailSender:
    """Sends a mail for each delivery, over a connection of its own."""

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Send the mail of a delivery, unless nobody wants it any more."""
        try:
            server = _server(delivery)
            message, recipient = compose(delivery, datetime.now(UTC))
        except NotWanted as reason:
            return Outcome("dropped", detail=str(reason))
        except letters.NoTextError as reason:
            return Outcome("dropped", detail=str(reason))
        except NotAnAddress as reason:
            return Outcome("dead", detail=str(reason))
        except (MissingSetting, letters.TextError) as reason:
            # Both are the operator's to mend; until then the mail waits.
            return Outcome("retry", detail=str(reason))
        return _submit(server, message, recipient)


def compose(delivery: ClaimedDelivery, now: datetime) -> tuple[EmailMessage, str]:
    """Write the mail of a delivery; return it with the address that it goes to.

    Raises:
        NotWanted: nobody is to get it any more.
        NotAnAddress: the recipient's cannot be used.
        NoTextError: there is no text for the event.
        TextError: a text of the operator has a mistake.
        MissingSetting: a setting is missing, or cannot be read.
    """
    sender = _own_address(required(setting(delivery, "from"), "from"), "from")
    told = news.read(delivery)
    if delivery.type == "bookingdb.test":
        recipient = _own_address(setting(delivery, "test_to") or sender, "test_to")
    else:
        recipient = _recipient(told, setting(delivery, "audience"), now)
    sender_name = news.one_line(str(setting(delivery, "from_name") or ""))
    link = _link(setting(delivery, "base_url"), told)
    letter = letters.write(
        told,
        folder=setting(delivery, "templates"),
        default_language=setting(delivery, "default_language"),
        sender=sender_name,
        link=link,
        now=now,
    )
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = letter.subject
    message["From"] = Address(sender_name, addr_spec=sender)
    message["To"] = Address(told.reader.name if told.reader else "", addr_spec=recipient)
    message["Date"] = format_datetime(now)
    # The same in every attempt, so that a mail that arrives twice is known as one.
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2]}>"
    # Nobody's holiday notice answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    method = invitations.method_of(told)
    if method is not None and told.session is not None:
        calendar = invitations.write(
            told,
            told.session,
            method,
            summary=letter.summary,
            organizer=_own_address(setting(delivery, "organizer") or sender, "organizer"),
            organizer_name=sender_name,
            attendee=recipient,
            alarm_minutes=_minutes(setting(delivery, "alarm_minutes", [60])),
            link=link,
            now=now,
        )
        message.add_alternative(calendar, subtype="calendar", params={"method": method, "name": "invite.ics"})
        message.add_attachment(calendar.encode(), maintype="application", subtype="ics", filename="invite.ics")
    return message, recipient


def reason_to_drop(told: news.News, now: datetime) -> str | None:
    """Return why a mail must not be sent any more; None if it must.

    A mail tells the session as it is now. Later changes have events and mails of their own, behind this one.
    """
    session, reason = told.session, None
    if not told.type.startswith("session."):
        return None
    if session is None:
        reason = "the session is not there any more"
    elif told.is_former:
        reason = None if told.type == "session.transferred" else "the session is somebody else's by now"
    elif told.type == "session.deleted":
        is_old = session.end <= now or told.data.get("old_status") in ("cancelled", "completed", "no_show")
        reason = "the session was over before" if is_old else None
    elif told.type == "session.cancelled":
        reason = None if session.status in ("cancelled", "deleted") else "the session was reopened since"
    elif session.status in ("cancelled", "deleted"):
        reason = "the session was cancelled since"
    elif told.type == "session.requested" and session.status != "pending_approval":
        reason = "the request was decided since"
    elif session.end <= now:
        reason = "the session is over"
    return reason


def _recipient(told: news.News, audience: Any, now: datetime) -> str:
    """Return the address of the recipient.

    Raises:
        NotWanted: they are not to get it.
        NotAnAddress: theirs is none.
    """
    part = (told.part or "").removeprefix("former_")
    if told.reader is None:
        raise NotWanted("the recipient is not on record any more")
    if isinstance(audience, list) and part not in audience:
        raise NotWanted(f"the destination is not for a {part}")
    reason = reason_to_drop(told, now)
    if reason is not None:
        raise NotWanted(reason)
    if not told.reader.agrees:
        raise NotWanted("the recipient does not want e-mail")
    if told.reader.email is None:
        raise NotWanted("the recipient has no e-mail address")
    return address(told.reader.email)


def address(text: str) -> str:
    """Return an e-mail address as SMTP takes it, its domain in ASCII.

    Raises:
        NotAnAddress: it is none; the text does not hold it.

    Example:
        >>> address("ada@bücher.example")
        'ada@xn--bcher-kva.example'
    """
    local, _, domain = text.strip().rpartition("@")
    try:
        written = f"{local}@{domain.encode('idna').decode('ascii')}"
        is_one = _ADDRESS.fullmatch(written) is not None and len(written) <= _LONGEST_ADDRESS
        # The standard library writes no local parts beyond ASCII.
        is_one = is_one and written.isascii() and Address(addr_spec=written).addr_spec == written
    except (ValueError, IndexError, MessageError):
        is_one = False
    if not is_one:
        raise NotAnAddress("what is on record as the recipient's e-mail address is none that can be written to")
    return written


def _own_address(value: Any, name: str) -> str:
    try:
        return address(str(value))
    except NotAnAddress:
        raise MissingSetting(f"settings.{name} is no e-mail address") from None


def _link(base_url: Any, told: news.News) -> str | None:
    """Return where the reader sees more; a session that was deleted is nowhere to be seen."""
    base = news.web_address(base_url)
    if base is None or (told.session is not None and told.session.status == "deleted"):
        return None
    return f"{base.rstrip('/')}/sessions/{told.session.id}" if told.session is not None else base


def _minutes(value: Any) -> list[int]:
    if isinstance(value, list) and all(type(one) is int and 0 <= one <= 40_320 for one in value):
        return value
    raise MissingSetting("settings.alarm_minutes is no list of minutes")


def _server(delivery: ClaimedDelivery) -> _Server:
    """Read where mail is handed in.

    Raises:
        MissingSetting: a setting is missing, or cannot be read.
    """
    security = setting(delivery, "security", "starttls")
    if security not in _PORTS:
        raise MissingSetting("settings.security is starttls, tls or none")
    host = required(setting(delivery, "host"), "host")
    try:
        port = int(setting(delivery, "port", _PORTS[security]))
    except (TypeError, ValueError):
        raise MissingSetting("settings.port is no number") from None
    user = setting(delivery, "user")
    password = required(secret(delivery, "password"), "password") if user else None
    return _Server(str(host), port, security, user, password, delivery.leased_until)


def _submit(server: _Server, message: EmailMessage, recipient: str) -> Outcome:
    """Hand the mail in; once the server has taken it nothing that follows makes it a failure."""
    try:
        with _connected(server) as smtp:
            smtp.send_message(message, to_addrs=[recipient])
    except smtplib.SMTPRecipientsRefused as refusal:
        ((code, reply),) = refusal.recipients.values()
        return _refused("the recipient", code, reply, server)
    except smtplib.SMTPResponseException as refusal:
        # All but a refused mail is about the server and the settings: the next mail would fare no better.
        whom = _REFUSED.get(type(refusal), "to work")
        return _refused(whom, refusal.smtp_code, refusal.smtp_error, server, is_ours=whom != "the mail")
    except smtplib.SMTPNotSupportedError as error:
        return Outcome("retry", detail=f"the server lacks what the settings ask for: {error}")
    except (smtplib.SMTPException, OSError) as error:
        return Outcome("retry", detail=_without_secrets(f"{type(error).__name__}: {error}", server))
    return Outcome("delivered", status_code=250)


@contextlib.contextmanager
def _connected(server: _Server) -> Iterator[smtplib.SMTP]:
    smtp: smtplib.SMTP
    if server.security == "tls":
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=_LONGEST_WAIT, context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_LONGEST_WAIT)
    try:
        if server.security == "starttls":
            # A server without it is refused: passwords and mails would be sent for all to read.
            smtp.starttls(context=ssl.create_default_context())
        if server.user is not None and server.password is not None:
            smtp.login(server.user, server.password)
        assert smtp.sock is not None
        # Filters of a server read a mail before it says that it has it, and a retry then would be a second mail.
        smtp.sock.settimeout(max(_LONGEST_WAIT, (server.leased_until - datetime.now(UTC) - _SPARE).total_seconds()))
        yield smtp
        with contextlib.suppress(smtplib.SMTPException, OSError):
            smtp.quit()
    finally:
        smtp.close()


def _refused(whom: str, code: int, reply: bytes | str, server: _Server, *, is_ours: bool = False) -> Outcome:
    """Return what follows from a refusal: only one for good, and of this very mail, ends its delivery."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    detail = _without_secrets(f"the server refuses {whom}: {code} {text}", server)
    is_final = 500 <= code < 600 and code not in _OUR_FAULT and not is_ours
    return Outcome("dead" if is_final else "retry", status_code=code, detail=detail)


def _without_secrets(text: str, server: _Server) -> str:
    for secret_text in (server.password, server.user):
        if secret_text:
            text = text.replace(secret_text, "***")
    return printable(_ADDRESS.sub("***", " ".join(text.split())))
