"""Webhooks by the Standard Webhooks specification: signed, and judged by the HTTP status alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from bookingdb.worker.http import LONGEST_WAIT, Answer, HttpFailure
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, MissingSetting, required, secret, setting

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery

_PREFIX: Final = "whsec_"
_LONGEST_TIMEOUT: Final = 30.0
# The list of deliveries shows the beginning of an answer; the rest of it is the receiver's own.
_LONGEST_ANSWER: Final = 200
_LONGEST_RETRY_AFTER: Final = timedelta(days=1)
# A receiver that is down for an hour and asks for a second each time would use up all attempts at once.
_SHORT_PAUSE: Final = timedelta(minutes=1)
_SHORT_PAUSES: Final = 3
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_OF_THE_CONNECTION: Final = re.compile("host|content-length|transfer-encoding|connection|webhook-.*", re.IGNORECASE)


def signed_headers(delivery_id: str, body: bytes, secrets: Sequence[str], timestamp: int) -> dict[str, str]:
    """Return the three headers of a signed webhook.

    Args:
        delivery_id: the id of the message, the same in every attempt.
        body: the bytes that are sent.
        secrets: ``whsec_`` and base64; while a secret is rotated, the new one and the old one.
        timestamp: seconds since 1970 of this attempt.

    Raises:
        MissingSetting: a secret is not base64.
    """
    content = b".".join((delivery_id.encode(), str(timestamp).encode(), body))
    signatures = (hmac.digest(_key(secret), content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def body_of(delivery: ClaimedDelivery) -> bytes:
    """Return the bytes that are sent and signed."""
    return json.dumps(delivery.body, ensure_ascii=False, separators=(",", ":")).encode()


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read the header Retry-After: seconds, or the date of an HTTP header; at most a day, None where it says nothing.

    Example:
        >>> retry_after("120", datetime.now(UTC))
        datetime.timedelta(seconds=120)
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # A longer number is more than a day in any case.
        pause = timedelta(seconds=min(int(text[:10]), 10**9))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        pause = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta(0)), _LONGEST_RETRY_AFTER)


class WebhookSender:
    """Posts the body of a delivery to the URL of its destination."""

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Send it once: 2xx delivers it, 410 disables the destination, everything else is tried again."""
        # The settings of a destination can be put right; its events wait for that.
        try:
            url = required(setting(delivery, "url"), "url")
            secrets = _secrets(delivery)
            body = body_of(delivery)
            headers = {
                "content-type": "application/json",
                **_own_headers(delivery),
                **signed_headers(str(delivery.id), body, secrets, int(time.time())),
            }
            timeout = min(_timeout(delivery), environment.patience)
        except MissingSetting as error:
            return Outcome("retry", detail=str(error))
        try:
            answer = environment.http.request(
                "POST",
                str(url),
                headers=headers,
                body=body,
                allow_private=setting(delivery, "allow_private") is True,
                timeout=timeout,
            )
        except HttpFailure as failure:
            return Outcome("retry", detail=str(failure))
        return _outcome(answer, delivery, _hidden(delivery, secrets))


def _outcome(answer: Answer, delivery: ClaimedDelivery, hidden: Sequence[str]) -> Outcome:
    text = answer.text()
    for secret_text in hidden:
        text = text.replace(secret_text, "***")
    said = " ".join(text[:_LONGEST_ANSWER].split()) or None
    if 200 <= answer.status < 300:
        # A test shows how the receiver answers.
        return Outcome("delivered", answer.status, said if delivery.type == "bookingdb.test" else None)
    if answer.status == 410:
        return Outcome("gone", answer.status, said)
    if 300 <= answer.status < 400:
        return Outcome("retry", answer.status, "redirects are not followed: give the URL to which it leads")
    pause = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
    if pause is not None and pause < _SHORT_PAUSE and delivery.attempt > _SHORT_PAUSES:
        pause = None
    return Outcome("retry", answer.status, said, pause)


def _secrets(delivery: ClaimedDelivery) -> list[str]:
    found = required(secret(delivery, "signing"), "signing")
    # An environment variable has them as the header has signatures.
    return found.split() if isinstance(found, str) else list(found)


def _own_headers(delivery: ClaimedDelivery) -> dict[str, str]:
    """Return headers that the destination wants beside ours, by their names in lower case."""
    given: tuple[Any, ...] = (delivery.settings.get("headers") or {}, delivery.secrets.get("headers") or {})
    if not all(isinstance(headers, Mapping) for headers in given):
        raise MissingSetting("headers must be an object of names and texts")
    headers = {name: value for part in given for name, value in part.items()}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not f"{value}".isprintable() or not f"{value}".isascii():
            raise MissingSetting("headers must be names and texts of one line")
        if _OF_THE_CONNECTION.fullmatch(name):
            raise MissingSetting(f"the header {name} cannot be set")
    return {name.lower(): str(value) for name, value in headers.items()}


def _hidden(delivery: ClaimedDelivery, secrets: Sequence[str]) -> list[str]:
    """Return the texts that must not be repeated, if the receiver sends them back."""
    return [text for text in (*secrets, *_own_headers(delivery).values()) if len(text) > 3]


def _timeout(delivery: ClaimedDelivery) -> float:
    """Return the seconds for an attempt, which must end before the claim does."""
    given = setting(delivery, "timeout_seconds", LONGEST_WAIT)
    if not isinstance(given, int | float):
        raise MissingSetting("timeout_seconds must be a number")
    return min(max(float(given), 0.1), _LONGEST_TIMEOUT)


def _key(secret: object) -> bytes:
    try:
        key = base64.b64decode(str(secret).removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key or not isinstance(secret, str):
        raise MissingSetting("the secret signing must be whsec_ and base64")
    return key
