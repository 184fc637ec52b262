"""Reads a delivery for a person: the event, the session as it is now, and the two people of it.

Names and titles are other people's words, and they are made harmless here, before anything is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from unicodedata import bidirectional, category
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery

_LONGEST: Final = 100
_LONGEST_URL: Final = 2000
# Joiners form letters and emoji; other characters of format turn the direction of text around, or are not seen.
_JOINERS: Final = "\u200c\u200d"
_UNWANTED: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


def one_line(text: str) -> str:
    """Return other people's words as one short line without characters that act.

    Example:
        >>> one_line("Ada\\r\\nBcc: eve@example.com")
        'Ada Bcc: eve@example.com'
    """
    # Four times as much as is shown: what is far longer need not be read to its end.
    kept = (c if c in _JOINERS or category(c) not in _UNWANTED else " " for c in text[: 4 * _LONGEST])
    # It begins an encoded word: a header would hold one that nobody wrote.
    line = " ".join("".join(kept).split()).replace("=?", "= ?")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1].rstrip()}…"


def isolated(line: str) -> str:
    """Return a line that does not turn around the text beside it, where it is written from right to left."""
    return f"{_ISOLATE}{line}{_END_ISOLATE}" if any(bidirectional(c) in ("R", "AL", "AN") for c in line) else line


@dataclass(frozen=True)
class Person:
    """A client or therapist.

    Attributes:
        name: one harmless line; empty if unknown.
        email: as it is on record; it may be no address.
        time_zone: theirs, None if unknown.
        language: as they wrote it; it may be none.
        agrees: whether mail may be sent to them.
    """

    name: str
    email: str | None
    time_zone: ZoneInfo | None
    language: str | None
    agrees: bool


@dataclass(frozen=True)
class Appointment:
    """A session; times in UTC.

    Attributes:
        id: the session's id.
        title: one harmless line; empty if it has none.
        status: as in the table; ``deleted`` if there is no row any more.
        start: when it starts.
        end: when it ends, later than `start`.
        time_zone: the zone in which it was agreed; UTC if unknown.
        revision: how often it was changed.
        video_url: an address of http or https; None if it has no room.
        free_until: until when the client can cancel without paying.
    """

    id: UUID
    title: str
    status: str
    start: datetime
    end: datetime
    time_zone: ZoneInfo
    revision: int
    video_url: str | None
    free_until: datetime | None


@dataclass(frozen=True)
class News:
    """A piece of news, and the person who is told it.

    Attributes:
        type: the event's.
        data: the event's, as the world was then.
        part: of the recipient in the session: client, therapist, former_client, former_therapist; None if none.
        reader: the recipient; None if they are not on record any more.
        other: the other of the two people; None if unknown.
        session: as it is now; one that was deleted as the event has it; None if the event is about none.
        then: the times that the event tells, if it does.
        before: the times that the session had before the event, if it tells them.
        credits_left: the client's balance now.
        credits_charged: what the session has of the client's credits now; None if it never took any.
        old_therapist: the name of the therapist before the event, for the client; empty if unknown.
    """

    type: str
    data: Mapping[str, Any]
    part: str | None
    reader: Person | None
    other: Person | None
    session: Appointment | None
    then: tuple[datetime, datetime] | None
    before: tuple[datetime, datetime] | None
    credits_left: int | None
    credits_charged: int | None
    old_therapist: str

    @property
    def is_former(self) -> bool:
        """Say whether the session is no longer the recipient's."""
        return (self.part or "").startswith("former_")

    @property
    def by(self) -> str | None:
        """Return who did it; None where a database role did, which may have acted for anybody."""
        by: str | None = self.data.get("by")
        return None if by == "practice" and not _is_uuid(self.data.get("actor")) else by

    @property
    def times(self) -> tuple[datetime, datetime] | None:
        """Return when the session is, as far as it concerns the recipient: later times are for whoever has it now."""
        if self.is_former and (self.before or self.then):
            return self.before or self.then
        return (self.session.start, self.session.end) if self.session else None


def read(delivery: ClaimedDelivery) -> News:
    """Read what a delivery tells.

    Raises:
        ValueError: it is not in the form that claim_deliveries() gives.
    """
    context: dict[str, Any] = delivery.context or {}
    data: dict[str, Any] = delivery.body.get("data") or {}
    part = context.get("recipient")
    client, therapist = _person(context.get("client")), _person(context.get("therapist"))
    if part in ("client", "former_client"):
        reader, other = client, therapist
    else:
        reader, other = therapist, client
    if str(part).startswith("former_"):
        reader = _person(context.get("former"))
    return News(
        type=delivery.type,
        data=data,
        part=part,
        reader=reader if part else None,
        other=other,
        session=_session(context.get("session"), data) if delivery.type.startswith("session.") else None,
        then=_times(data, "start_time", "end_time"),
        before=_times(data, "old_start_time", "old_end_time"),
        credits_left=context.get("credits_left"),
        credits_charged=context.get("credits_charged"),
        old_therapist=one_line(context.get("old_therapist_name") or "") if part == "client" else "",
    )


def zone_named(name: str | None) -> ZoneInfo | None:
    """Return a time zone, None if this machine does not know it: a name on record may be anything."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def moment(text: str) -> datetime:
    """Return an instant in UTC.

    Raises:
        ValueError: it is none.
    """
    read_ = datetime.fromisoformat(text)
    return read_.replace(tzinfo=UTC) if read_.tzinfo is None else read_.astimezone(UTC)


def _is_uuid(text: Any) -> bool:
    try:
        return bool(UUID(text))
    except (ValueError, TypeError, AttributeError):
        return False


def _person(found: Mapping[str, Any] | None) -> Person | None:
    if found is None:
        return None
    return Person(
        name=one_line(found.get("name") or ""),
        email=found.get("email") or None,
        time_zone=zone_named(found.get("time_zone")),
        language=found.get("language"),
        agrees=(found.get("consents") or {}).get("email") is not False,
    )


def _session(found: Mapping[str, Any] | None, data: Mapping[str, Any]) -> Appointment | None:
    if found is None:
        times, id_ = _times(data, "start_time", "end_time"), data.get("session_id")
        if times is None or id_ is None:
            return None
        found = {**data, "id": id_, "status": "deleted"}
    else:
        times = _times(found, "start_time", "end_time")
        if times is None:
            return None
    free_until = found.get("free_cancellation_until")
    return Appointment(
        id=UUID(found["id"]),
        title=one_line(found.get("title") or ""),
        status=found["status"],
        start=times[0],
        end=times[1],
        time_zone=zone_named(found.get("time_zone")) or ZoneInfo("UTC"),
        revision=int(found.get("revision") or 0),
        video_url=web_address(found.get("video_url")),
        free_until=moment(free_until) if free_until else None,
    )


def _times(found: Mapping[str, Any], start: str, end: str) -> tuple[datetime, datetime] | None:
    if not found.get(start) or not found.get(end):
        return None
    times = moment(found[start]), moment(found[end])
    return times if times[0] < times[1] else None


def web_address(url: Any) -> str | None:
    """Return a URL that a reader may follow."""
    if not isinstance(url, str) or len(url) > _LONGEST_URL or re.search(r"[\s\x00-\x20\x7f<>\"]", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None
