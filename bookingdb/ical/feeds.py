"""Writes the calendar that a person follows by its secret address."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bookingdb.ical.writing import STATUS, Entry, calendar_of
from bookingdb.records import FeedEntry

# Calendars may ask again after that; Google takes its own time.
_TTL: Final = timedelta(hours=1)


def write_feed(entries: Iterable[FeedEntry], zone: ZoneInfo, *, now: datetime) -> bytes:
    """Return the file: an event per session, with the UID that it has in every file and mail.

    Args:
        entries: what ``calendar_feed`` listed.
        zone: whose local time is written: the person's.
        now: when the file is made.
    """
    calendar = calendar_of([*map(_entry, entries)], zone, now=now)
    calendar.add("refresh-interval", _TTL, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    return bytes(calendar.to_ical())


def _entry(entry: FeedEntry) -> Entry:
    summary = entry.title or "Session"
    properties = {
        "created": entry.created_at,
        "summary": f"{summary} ({entry.with_name})" if entry.with_name else summary,
        "categories": [entry.session_type] if entry.session_type else None,
        "status": STATUS.get(entry.status, "CONFIRMED"),
        "transp": "TRANSPARENT" if entry.status == "cancelled" else "OPAQUE",
        "sequence": entry.sequence,
    }
    return Entry(entry.session_id, entry.start_time, entry.end_time, properties)
