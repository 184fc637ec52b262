"""Addresses of people, their quiet hours and consents, and the secret addresses of their calendars."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, one, scalar
from bookingdb.errors import InvalidUserId
from bookingdb.records import Contact, FeedEntry


def get_contact(user_id: UUID | str) -> Call[Contact]:
    """Return how a person wants to be reached.

    Args:
        user_id: the person, client or therapist.

    Returns:
        What they said themselves; else the application's e-mail address, and the time zone of their policy or of the
        default one.

    Raises:
        InvalidUserId: the request makes no sense.
        UserNotFound: nobody has this id.
        NotAuthenticated, NotAllowed: the caller may not act for this person.
        BookingFailed: see there.

    Example::

        print(Bookings(db).get_contact(client).time_zone)
    """
    return one("get_contact", Contact, p_user_id=parameters.id_(user_id, InvalidUserId))


def set_contact(user_id: UUID | str, changes: Mapping[str, Any]) -> Call[Contact]:
    """Change how a person wants to be reached; their reminders to come follow.

    Args:
        user_id: the person, client or therapist.
        changes: what changes, None takes it away: ``email``; ``phone``, with the country's number; ``time_zone``, an
            IANA name; ``language``, such as ``"de"`` or ``"en-GB"``; ``quiet_from`` and ``quiet_until``, times or texts
            such as ``"22:00"`` in the person's zone, both or none; ``consents``, a mapping of channels to True or
            False, which leaves channels alone that it does not name.

    Returns:
        What holds now.

    Raises:
        InvalidUserId, InvalidParameter, InvalidTime, InvalidTimeZone: the request makes no sense.
        UserNotFound: nobody has this id.
        NotAuthenticated, NotAllowed: the caller may not act for this person.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_contact(client, {"quiet_from": "22:00", "quiet_until": "07:00", "consents": {"sms": True}})
    """
    return one(
        "set_contact",
        Contact,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_changes=parameters.changes("p_changes", changes),
    )


def create_calendar_feed(user_id: UUID | str) -> Call[str]:
    """Give a person a secret address of their calendar; the one before is revoked.

    Args:
        user_id: the person, client or therapist.

    Returns:
        The secret, which :meth:`calendar_feed` takes. It is told once: only its hash is kept.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense, or the person was merged into another.
        UserNotFound: nobody has this id.
        NotAuthenticated, NotAllowed: the caller may not act for this person.
        Busy, BookingFailed: see there.

    Example::

        secret = Bookings(db).create_calendar_feed(client)
    """
    return scalar("create_calendar_feed", str, p_user_id=parameters.id_(user_id, InvalidUserId))


def revoke_calendar_feed(user_id: UUID | str) -> Call[bool]:
    """Revoke the secret address of a person's calendar.

    Args:
        user_id: the person, client or therapist.

    Returns:
        Whether there was one.

    Raises:
        InvalidUserId: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller may not act for this person.
        BookingFailed: see there.

    Example::

        Bookings(db).revoke_calendar_feed(client)
    """
    return scalar("revoke_calendar_feed", bool, p_user_id=parameters.id_(user_id, InvalidUserId))


def calendar_feed(secret: str) -> Call[list[FeedEntry]]:
    """List the sessions of the person to whom a secret belongs: of the past 90 days, and all to come.

    Args:
        secret: what :meth:`create_calendar_feed` returned.

    Returns:
        The sessions in the order of their start, cancelled ones too.

    Raises:
        InvalidParameter: the request makes no sense.
        FeedNotFound: no feed has this secret, or not any more.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for entry in Bookings(db).calendar_feed(Bookings(db).create_calendar_feed(client)):
            print(entry.start_time, entry.with_name)
    """
    return many("calendar_feed", FeedEntry, p_secret=parameters.text("p_secret", secret))
