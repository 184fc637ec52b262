"""The kind calendar: a destination in the other direction, which fetches a therapist's other calendar.

The file goes through the same code as that of the command busy import. A feed that breaks changes nothing: the busy
times stay as they were, and the delivery is retried.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bookingdb.ical import busy, reading
from bookingdb.worker.http import Answer, HttpFailure
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, MissingSetting, required, secret, setting
from bookingdb.worker.webhook import retry_after

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery

LARGEST_FILE: Final = 4 * 1024 * 1024
"""How many bytes a calendar may have."""
# A large file takes as long again to be read, and the lease of a claim is a minute.
_SECONDS: Final = 20.0


class CalendarSender:
    """Fetches an iCalendar file, and brings the therapist's busy times up to date with it."""

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Fetch it once, and only if it changed; take over all of it, or nothing."""
        try:
            return _fetch(delivery, environment)
        except _UnusableError as error:
            return error.outcome
        except (MissingSetting, HttpFailure) as error:
            return Outcome("retry", detail=str(error))
        except reading.NoCalendarError:
            # The reason would quote the file.
            return Outcome("retry", 200, "the answer is no iCalendar file")
        except busy.TooManyEventsError as error:
            return Outcome("retry", 200, str(error))


class _UnusableError(Exception):
    """An answer from which nothing is taken over."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


def _fetch(delivery: ClaimedDelivery, environment: Environment) -> Outcome:
    address = _https(str(required(secret(delivery, "url"), "url")))
    therapist = str(required(setting(delivery, "therapist_id"), "therapist_id"))
    source = str(setting(delivery, "source", delivery.destination))
    policy = environment.bookings.get_policy(therapist)
    begin = busy.start_of_today(policy)
    end = busy.end_of_window(policy, begin)
    # An unchanged file has more to say when the time of interest moves on.
    key = hashlib.sha256("\n".join((address, therapist, source, end.isoformat())).encode()).hexdigest()[:32]
    before = delivery.state or {}
    known = before if before.get("key") == key else {}
    answer = environment.http.request(
        "GET",
        address,
        headers=_headers(known),
        allow_private=setting(delivery, "allow_private") is True,
        timeout=_SECONDS,
        largest=LARGEST_FILE,
    )
    if answer.status == 304 and known:
        return Outcome("delivered", 304, "unchanged")
    _require_file(answer)
    calendars = reading.calendars(answer.body)
    count = sum(len(calendar.walk("VEVENT")) for calendar in calendars)
    if not count and before.get("events"):
        # An account that was closed looks so, too.
        raise _UnusableError(Outcome("retry", 200, "the calendar has no event any more: nothing was removed"))
    taken = busy.take_over(environment.bookings, therapist, source, calendars, policy, begin, end)
    return Outcome("delivered", 200, _summary(taken), state=_state(answer, key, count))


def _https(address: str) -> str:
    """Return the address with the scheme by which it is fetched."""
    scheme, mark, rest = address.strip().partition("://")
    return f"https{mark}{rest}" if scheme.lower() in ("webcal", "webcals") else address.strip()


def _headers(known: dict[str, Any]) -> dict[str, str]:
    headers = {"Accept": "text/calendar, */*;q=0.1"}
    for name, header in (("etag", "If-None-Match"), ("last_modified", "If-Modified-Since")):
        value = known.get(name)
        if isinstance(value, str):
            headers[header] = value
    return headers


def _require_file(answer: Answer) -> None:
    """Refuse an answer that is no file; its text is a stranger's, and not repeated."""
    status = answer.status
    if status == 200 and answer.is_complete:
        return
    if status == 200:
        outcome = Outcome("retry", status, f"the file is larger than {LARGEST_FILE} bytes")
    elif status == 410:
        outcome = Outcome("gone", status, "the calendar is gone")
    elif 300 <= status < 400:
        outcome = Outcome("retry", status, "redirects are not followed: give the URL to which it leads")
    else:
        wish = retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
        outcome = Outcome("retry", status, "the server gave no calendar", wish)
    raise _UnusableError(outcome)


def _state(answer: Answer, key: str, count: int) -> dict[str, Any]:
    state: dict[str, Any] = {"key": key, "events": count}
    for name, header in (("etag", "etag"), ("last_modified", "last-modified")):
        value = answer.headers.get(header, "")
        # It is sent back as it came: as a header of one line, or not at all.
        if value and value.isascii() and value.isprintable() and len(value) <= 500:
            state[name] = value
    return state


def _summary(taken: busy.TakenOver) -> str:
    synced = taken.synced
    parts = [
        f"{synced.inserted} inserted, {synced.updated} updated, {synced.removed} removed, {synced.ignored} ignored",
        f"{len(taken.rejected)} rejected",
    ]
    if synced.session_ids:
        parts.append(f"{len(synced.session_ids)} sessions at the same time")
    return ", ".join(parts)
