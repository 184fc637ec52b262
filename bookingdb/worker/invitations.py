"""Invitations (iTIP, RFC 5546): the session as calendars take it in, replace it, and take it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from icalendar import Alarm, vCalAddress

from bookingdb.ical.writing import STATUS, Entry, calendar_of
from bookingdb.worker.news import Appointment, News

Method = Literal["REQUEST", "CANCEL"]

_DAY: Final = timedelta(days=1)
_REQUESTS: Final = frozenset(
    (
        "session.booked",
        "session.requested",
        "session.approved",
        "session.confirmed",
        "session.rescheduled",
        "session.transferred",
        "session.reopened",
        "session.updated",
    )
)
_CANCELS: Final = frozenset(("session.cancelled", "session.deleted"))


def method_of(news: News) -> Method | None:
    """Return what a calendar is to do: take the session in or replace it, take it out, or (None) nothing."""
    if news.session is None:
        return None
    if news.is_former or news.type in _CANCELS:
        return "CANCEL"
    return "REQUEST" if news.type in _REQUESTS else None


def write(
    news: News,
    session: Appointment,
    method: Method,
    *,
    summary: str,
    organizer: str,
    organizer_name: str,
    attendee: str,
    alarm_minutes: Sequence[int],
    link: str | None,
    now: datetime,
) -> str:
    """Return the calendar object of a session, for one recipient.

    Nobody but the recipient is an attendee: the two people of a session need not know each other's addresses.

    Args:
        news: what is told.
        session: the session of it.
        method: as `method_of` says.
        summary: what the calendar calls it, in one line.
        organizer: the address of whoever invites; the same in all mails of a session.
        organizer_name: their name.
        attendee: the recipient's address.
        alarm_minutes: how many minutes before the start the calendar reminds of it.
        link: where the session can be seen, for one without a video room.
        now: when this is written.
    """
    start, end = news.times or (session.start, session.end)
    is_cancel = method == "CANCEL"
    room = None if is_cancel else session.video_url
    properties = {
        "summary": summary,
        "status": "CANCELLED" if is_cancel else STATUS.get(session.status, "CONFIRMED"),
        "transp": "TRANSPARENT" if is_cancel else "OPAQUE",
        "location": room,
        "url": room or (None if is_cancel else link),
    }
    entry = Entry(session.id, start, end, properties)
    calendar = calendar_of([entry], session.time_zone, now=now, span=(start - _DAY, end))
    calendar.add("method", method)
    (event,) = calendar.walk("VEVENT")
    # A deleted session has no revision any more; the event has the one of before.
    event.add("sequence", session.revision)
    event.add("organizer", _person(organizer, CN=organizer_name))
    # They have agreed by booking, so no calendar need ask them.
    accepted = {"CUTYPE": "INDIVIDUAL", "ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    event.add("attendee", _person(attendee, CN=news.reader.name if news.reader else "", **accepted))
    if room:
        event.add("conference", room, parameters={"VALUE": "URI", "FEATURE": "VIDEO"})
    for minutes in () if is_cancel else alarm_minutes:
        event.add_component(_alarm(summary, minutes))
    return bytes(calendar.to_ical()).decode()


def _person(address: str, **parameters: str) -> vCalAddress:
    person = vCalAddress(f"mailto:{address}")
    for name, value in parameters.items():
        if value:
            person.params[name] = value
    return person


def _alarm(summary: str, minutes: int) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", timedelta(minutes=-minutes))
    return alarm
