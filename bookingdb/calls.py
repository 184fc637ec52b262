"""One pure builder per SQL function: checked parameters in, statement and result type out.

A builder asks no database. It refuses what is malformed with the error that the database would raise, and
returns a :class:`Call`, which :mod:`bookingdb.client` runs on whatever connection there is. The methods of
:class:`~bookingdb.Bookings` and :class:`~bookingdb.AsyncBookings` are these builders: their parameters and
their documentation stand here and nowhere else.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack
from uuid import UUID
from zoneinfo import ZoneInfo

from bookingdb.errors import (
    BookingError,
    InvalidDate,
    InvalidDuration,
    InvalidParameter,
    InvalidSessionId,
    InvalidTherapistId,
    InvalidTime,
    InvalidTimeZone,
    InvalidUserId,
    SkippedTime,
)
from bookingdb.models import (
    BookedSession,
    ChangedSession,
    CreditEntry,
    CreditGrant,
    ExpiredCredits,
    HeldSlot,
    Policy,
    Record,
    RevokedGrant,
    Session,
    StatementLine,
)

T = TypeVar("T")
R = TypeVar("R", bound=Record)

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A statement ready to be run, and what becomes of its rows.

    Attributes:
        statement: SQL with placeholders like ``%(p_user_id)s``, each cast to its type.
        parameters: their values.
        read: makes the result from the rows.
        needs_transaction: True where the call means nothing outside a transaction of the caller's.
    """

    statement: str
    parameters: Mapping[str, Any]
    read: Callable[[Rows], T]
    needs_transaction: bool = False

    def numbered(self) -> tuple[str, tuple[Any, ...]]:
        """Return statement and parameters for drivers whose placeholders are ``$1``, ``$2`` …"""
        numbers = {name: f"${number}" for number, name in enumerate(self.parameters, start=1)}
        statement = re.sub(r"%\((\w+)\)s", lambda match: numbers[match[1]], self.statement)
        return statement, tuple(self.parameters.values())


def book_session(
    *,
    user_id: UUID | str,
    therapist_id: UUID | str,
    session_date: date | str | None = None,
    session_time: time | str | None = None,
    starts_at: datetime | None = None,
    duration_minutes: int = 60,
    session_type: str = "video",
    notes: str = "",
    title: str = "Therapy Session",
    time_zone: str | None = None,
    idempotency_key: str | None = None,
) -> Call[BookedSession]:
    """Book a session and take one of the client's credits for it, both or neither.

    Args:
        user_id: the client.
        therapist_id: the therapist.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds. A time that a
            clock change repeats means the first.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes.
        session_type: e.g. ``"video"``.
        notes: kept as the session's description.
        title: what the session is called.
        time_zone: IANA zone of date and time, e.g. ``"Europe/Berlin"``; without it the therapist's, else the
            default policy's. With `starts_at`: the zone in which the session is written down; without it the
            datetime's own, if it is a ZoneInfo, else UTC. (UTC also where the zone's clock shows this time
            twice and the second is meant, which a local time cannot say.)
        idempotency_key: 1 to 255 characters. The same call with the same key is answered with the same
            session and books nothing again: what makes a retry safe after an unclear failure.

    Returns:
        The session, and the client's credits after it.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone,
        InvalidDuration, InvalidParameter: the request makes no sense.
        InPast, TooSoon, TooFar: the start is not within reach.
        TherapistNotFound, UserNotFound: one of the two cannot take part.
        BookingConflict: the time is not to be had (see there for its two subclasses).
        InsufficientCredits: the client has no credit left.
        IdempotencyKeyReused: the key belongs to another request.
        SessionNotFound: the session that the key stands for was deleted.
        NotAuthenticated, NotAllowed: the caller may not book for this client.
        Busy, BookingFailed: see there.

    Example::

        session = book_session(
            db, user_id=client, therapist_id=therapist,
            session_date="2030-01-07", session_time="10:00", time_zone="Europe/Berlin",
        )
        print(session.start_time, session.credits_balance)
    """
    return _row(
        "create_session_with_credit_deduction",
        BookedSession,
        p_user_id=_id(user_id, InvalidUserId),
        p_therapist_id=_id(therapist_id, InvalidTherapistId),
        **_local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=_duration(duration_minutes),
        p_session_type=_text("p_session_type", session_type),
        p_notes=_text("p_notes", notes),
        p_title=_text("p_title", title),
        p_idempotency_key=_key(idempotency_key),
    )


def cancel_session(
    session_id: UUID | str,
    *,
    reason: str | None = None,
    refund: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[ChangedSession]:
    """Cancel a session; its time is free at once for others.

    The credit comes back when the therapist or a trusted caller cancels, and when the client does until the
    session's ``free_cancellation_until``: to the lot it came from or, where that has expired, to a lot of its own
    that lasts for a while (`refund_grace` of the policy).

    Args:
        session_id: the session.
        reason: why, up to 1000 characters; kept with the session and in the audit log.
        refund: whether the credit comes back; None for the rule above. For trusted callers only.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands; its `refunded` says whether the credit came back.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: it was cancelled before, or is over, or has begun and the client asks.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller has no part in the session, or may not decide about the refund.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).cancel_session(session_id, reason="ill")
        print(session.status, session.refunded, session.credits_balance)
    """
    return _row(
        "cancel_session",
        ChangedSession,
        p_session_id=_id(session_id, InvalidSessionId),
        p_reason=_optional_text("p_reason", reason),
        p_refund=_optional_boolean("p_refund", refund),
        p_idempotency_key=_key(idempotency_key),
    )


def reschedule_session(
    session_id: UUID | str,
    *,
    session_date: date | str | None = None,
    session_time: time | str | None = None,
    starts_at: datetime | None = None,
    duration_minutes: int | None = None,
    time_zone: str | None = None,
    idempotency_key: str | None = None,
) -> Call[ChangedSession]:
    """Move a session that has not begun to another time, or leave it where it is if that is not to be had.

    Args:
        session_id: the session; it keeps its id and its credit.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes; without it the session stays as long as it was.
        time_zone: IANA zone of date and time; without it the session's own. With `starts_at`: see
            :meth:`~bookingdb.Bookings.book_session`.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone, InvalidDuration,
        InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: it was cancelled, or has begun.
        InPast, TooSoon, TooFar: the new start is not within reach.
        TherapistNotFound, UserNotFound: one of the two cannot take part any more.
        BookingConflict: the new time is not to be had (see there for its two subclasses).
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller has no part in the session.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).reschedule_session(session_id, session_date="2030-01-08", session_time="11:00")
    """
    return _row(
        "reschedule_session",
        ChangedSession,
        p_session_id=_id(session_id, InvalidSessionId),
        **_local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=_optional_duration(duration_minutes),
        p_idempotency_key=_key(idempotency_key),
    )


def approve_session(session_id: UUID | str, *, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Approve a session that waits for it, and take its credit now. To decline is to cancel.

    Args:
        session_id: the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session does not wait for approval, or has no place in the calendar.
        InPast: it would have begun.
        TherapistNotFound, UserNotFound: one of the two cannot take part any more.
        InsufficientCredits: the client has no credit left.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither the session's therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).approve_session(session_id)
    """
    return _status_change("approve_session", session_id, idempotency_key)


def confirm_session(session_id: UUID | str, *, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Confirm a scheduled session.

    Args:
        session_id: the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session's status does not allow it.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither the session's therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).confirm_session(session_id)
    """
    return _status_change("confirm_session", session_id, idempotency_key)


def start_session(session_id: UUID | str, *, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Say that a scheduled or confirmed session has begun.

    Args:
        session_id: the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session's status does not allow it.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither the session's therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).start_session(session_id)
    """
    return _status_change("start_session", session_id, idempotency_key)


def complete_session(session_id: UUID | str, *, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Say that a session took place.

    Args:
        session_id: the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session's status does not allow it, or it has not begun.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither the session's therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).complete_session(session_id)
    """
    return _status_change("complete_session", session_id, idempotency_key)


def mark_no_show(session_id: UUID | str, *, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Say that the client did not come. The credit is kept.

    Args:
        session_id: the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session's status does not allow it, or it has not begun.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither the session's therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).mark_no_show(session_id)
    """
    return _status_change("mark_no_show", session_id, idempotency_key)


def hold_slot(
    *,
    user_id: UUID | str,
    therapist_id: UUID | str,
    session_date: date | str | None = None,
    session_time: time | str | None = None,
    starts_at: datetime | None = None,
    duration_minutes: int = 60,
    ttl: timedelta | None = None,
    time_zone: str | None = None,
    idempotency_key: str | None = None,
) -> Call[HeldSlot]:
    """Keep a time for a client against everybody else for a while, at no cost.

    A client has one hold with a therapist: another one gives it up.

    Args:
        user_id: the client.
        therapist_id: the therapist.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes.
        ttl: for how long, 10 seconds to 1 hour; without it the policy's `hold_lifetime`, at first 5 minutes.
        time_zone: IANA zone of date and time; without it the therapist's, else the default policy's. With
            `starts_at`: see :meth:`~bookingdb.Bookings.book_session`.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered with the same hold.

    Returns:
        The hold, and until when it lasts.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone,
        InvalidDuration, InvalidParameter: the request makes no sense.
        InPast, TooSoon, TooFar: the start is not within reach.
        TherapistNotFound, UserNotFound: one of the two cannot take part.
        BookingConflict: the time is not to be had (see there for its two subclasses).
        IdempotencyKeyReused: the key belongs to another request.
        HoldNotFound: the hold that the key stands for was deleted.
        NotAuthenticated, NotAllowed: the caller may not book for this client.
        Busy, BookingFailed: see there.

    Example::

        hold = Bookings(db).hold_slot(
            user_id=client, therapist_id=therapist, session_date="2030-01-07", session_time="10:00",
            ttl=timedelta(minutes=10),
        )
        print(hold.id, hold.expires_at)
    """
    return _row(
        "hold_slot",
        HeldSlot,
        p_user_id=_id(user_id, InvalidUserId),
        p_therapist_id=_id(therapist_id, InvalidTherapistId),
        **_local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=_duration(duration_minutes),
        p_ttl=_optional_interval("p_ttl", ttl),
        p_idempotency_key=_key(idempotency_key),
    )


def release_hold(hold_id: UUID | str) -> Call[None]:
    """Give a hold up. One that was given up before, or has expired, stays so.

    Args:
        hold_id: the hold.

    Raises:
        InvalidParameter: the id is not a UUID.
        HoldNotFound: there is no such hold.
        InvalidTransition: it became a session; that is to be cancelled.
        NotAuthenticated, NotAllowed: the hold is another client's.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).release_hold(hold.id)
    """
    return _nothing(
        "release_hold",
        p_hold_id=_other_id("p_hold_id", hold_id),
    )


def book_hold(
    hold_id: UUID | str,
    *,
    session_type: str = "video",
    notes: str = "",
    title: str = "Therapy Session",
    idempotency_key: str | None = None,
) -> Call[BookedSession]:
    """Turn a hold into a session and take one of the client's credits for it, both or neither.

    Args:
        hold_id: the hold; the session gets its id.
        session_type: e.g. ``"video"``.
        notes: kept as the session's description.
        title: what the session is called.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered with the same session.

    Returns:
        The session, and the client's credits after it.

    Raises:
        InvalidParameter: the request makes no sense.
        HoldNotFound: there is no such hold.
        HoldExpired: it is over, was given up, or became a session before.
        TherapistNotFound, UserNotFound, InvalidDuration, InPast: it could not be booked any more.
        BookingConflict: the time was taken from the hold by other means (see there for its two subclasses).
        InsufficientCredits: the client has no credit left; the hold stays.
        IdempotencyKeyReused: the key belongs to another request.
        SessionNotFound: the session that the key stands for was deleted.
        NotAuthenticated, NotAllowed: the hold is another client's.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).book_hold(hold.id, idempotency_key=f"cart-{cart}")
    """
    return _row(
        "book_hold",
        BookedSession,
        p_hold_id=_other_id("p_hold_id", hold_id),
        p_session_type=_text("p_session_type", session_type),
        p_notes=_text("p_notes", notes),
        p_title=_text("p_title", title),
        p_idempotency_key=_key(idempotency_key),
    )


def book_series(
    *,
    user_id: UUID | str,
    therapist_id: UUID | str,
    session_date: date | str,
    session_time: time | str,
    occurrences: int,
    every: timedelta | str = timedelta(days=7),
    duration_minutes: int = 60,
    session_type: str = "video",
    notes: str = "",
    title: str = "Therapy Session",
    time_zone: str | None = None,
    idempotency_key: str | None = None,
) -> Call[list[BookedSession]]:
    """Book sessions at the same local time and take a credit for each: all of them or none.

    Args:
        user_id: the client.
        therapist_id: the therapist.
        session_date: the local date of the first, a date or ``"YYYY-MM-DD"``.
        session_time: the local time of each, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        occurrences: how many sessions, 1 to 52.
        every: from one to the next: a timedelta of whole days or, because months differ, a text such as
            ``"1 month"`` or ``"2 weeks"``; a day to a year. A series from the 31st is at the ends of months.
        duration_minutes: 15 to 180 minutes each.
        session_type: e.g. ``"video"``.
        notes: kept as the sessions' description.
        title: what the sessions are called.
        time_zone: IANA zone of date and time; without it the therapist's, else the default policy's.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered with the same sessions.

    Returns:
        The sessions in order, each with the client's credits after it.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone,
        InvalidDuration, InvalidParameter: the request makes no sense.
        InPast, TooSoon, TooFar, TherapistNotFound, UserNotFound, BookingConflict, InsufficientCredits: one of
            the sessions cannot be; ``detail["occurrence"]`` says which (from 1), ``detail["session_date"]`` when.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller may not book for this client.
        Busy, BookingFailed: see there.

    Example::

        sessions = Bookings(db).book_series(
            user_id=client, therapist_id=therapist, session_date="2030-01-07", session_time="10:00",
            occurrences=10, every=timedelta(weeks=1),
        )
    """
    return _rows(
        "book_series",
        BookedSession,
        p_user_id=_id(user_id, InvalidUserId),
        p_therapist_id=_id(therapist_id, InvalidTherapistId),
        **_local_time(session_date, session_time, None, time_zone),
        p_occurrences=_integer("p_occurrences", occurrences),
        p_every=_every(every),
        p_duration_minutes=_duration(duration_minutes),
        p_session_type=_text("p_session_type", session_type),
        p_notes=_text("p_notes", notes),
        p_title=_text("p_title", title),
        p_idempotency_key=_key(idempotency_key),
    )


def check_booking_conflict(
    *,
    therapist_id: UUID | str,
    session_date: date | str,
    start_time: time | str,
    end_time: time | str,
    time_zone: str | None = None,
    exclude_session_id: UUID | str | None = None,
) -> Call[bool]:
    """Ask whether a therapist is taken at a time. Changes nothing and promises nothing: only booking does.

    Args:
        therapist_id: the therapist.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        start_time: the local start, a time or ``"HH:MM"``.
        end_time: the local end, a time or ``"HH:MM"``; at or before the start it means the next day.
        time_zone: IANA zone of these; without it the therapist's, else the default policy's.
        exclude_session_id: a session that does not count, because it is the one to be moved.

    Returns:
        True if anything is in the way, else False.

    Raises:
        InvalidTherapistId, InvalidSessionId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone: the
            question makes no sense.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, Busy, BookingFailed: see there.

    Example::

        taken = Bookings(db).check_booking_conflict(
            therapist_id=therapist, session_date="2030-01-07", start_time="10:00", end_time="11:00")
    """
    return _scalar(
        "check_booking_conflict",
        bool,
        p_therapist_id=_id(therapist_id, InvalidTherapistId),
        p_session_date=_date(session_date),
        p_start_time=_time(start_time),
        p_end_time=_time(end_time),
        p_time_zone=_time_zone(time_zone),
        p_exclude_session_id=_optional_id(exclude_session_id, InvalidSessionId),
    )


def register_client(email: str, *, full_name: str | None = None, user_id: UUID | str | None = None) -> Call[UUID]:
    """Make sure that there is an active client with this e-mail address.

    Args:
        email: the address; upper and lower case are the same.
        full_name: the name.
        user_id: the id to give them, e.g. the one they log in with; without it a new one.

    Returns:
        The client's id.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller may not register this client.
        Busy, BookingFailed: see there.

    Example::

        client = Bookings(db).register_client("ada@example.com", full_name="Ada")
    """
    return _scalar(
        "register_client",
        UUID,
        p_email=_text("p_email", email),
        p_full_name=_optional_text("p_full_name", full_name),
        p_user_id=_optional_id(user_id, InvalidUserId),
    )


def register_therapist(
    email: str,
    *,
    full_name: str | None = None,
    user_id: UUID | str | None = None,
    time_zone: str | None = None,
) -> Call[UUID]:
    """Make sure that there is an active, verified therapist with this e-mail address.

    Args:
        email: the address; upper and lower case are the same.
        full_name: the name.
        user_id: the id to give them, e.g. the one they log in with; without it a new one.
        time_zone: IANA zone in which local times of bookings with them are meant.

    Returns:
        The therapist's id.

    Raises:
        InvalidUserId, InvalidTimeZone, InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        therapist = Bookings(db).register_therapist("grace@example.com", time_zone="Europe/Berlin")
    """
    return _scalar(
        "register_therapist",
        UUID,
        p_email=_text("p_email", email),
        p_full_name=_optional_text("p_full_name", full_name),
        p_user_id=_optional_id(user_id, InvalidUserId),
        p_time_zone=_time_zone(time_zone),
    )


def set_therapist_active(therapist_id: UUID | str, active: bool) -> Call[None]:
    """Let a therapist be booked, or not any more. Sessions already booked stay.

    Args:
        therapist_id: the therapist.
        active: whether they can be booked from now on.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense.
        TherapistNotFound: there is no such therapist.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_therapist_active(therapist, False)
    """
    return _nothing(
        "set_therapist_active",
        p_therapist_id=_id(therapist_id, InvalidTherapistId),
        p_active=_boolean("p_active", active),
    )


class PolicySettings(TypedDict, total=False):
    """What :meth:`~bookingdb.Bookings.set_policy` sets: the fields of :class:`~bookingdb.Policy`, or None."""

    time_zone: str | None
    minimum_duration_minutes: int | None
    maximum_duration_minutes: int | None
    cancellation_window: timedelta | None
    refund_grace: timedelta | None
    hold_lifetime: timedelta | None


def get_policy(therapist_id: UUID | str | None = None) -> Call[Policy]:
    """Return what holds for the bookings with a therapist, or by default.

    Args:
        therapist_id: the therapist; without one the default.

    Returns:
        The settings: a therapist's own, and the default's where they have none.

    Raises:
        InvalidTherapistId: the id is not a UUID.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, BookingFailed: see there.

    Example::

        print(Bookings(db).get_policy(therapist).cancellation_window)
    """
    return _row(
        "get_policy",
        Policy,
        p_therapist_id=_optional_id(therapist_id, InvalidTherapistId),
    )


def set_policy(*, therapist_id: UUID | str | None = None, **settings: Unpack[PolicySettings]) -> Call[Policy]:
    """Change what holds for the bookings with a therapist, or by default. What was booked keeps its deal.

    Args:
        therapist_id: the therapist; without one the default.
        settings: by name; those not given stay, and None means: as the default says.

            ``time_zone``: IANA zone in which local times of bookings are meant.

            ``minimum_duration_minutes``, ``maximum_duration_minutes``: 15 to 180 minutes.

            ``cancellation_window``: how long before the start a client's own cancellation stops to return the
            credit, a timedelta of 0 to 365 days.

            ``refund_grace``: how long a credit can be spent that was returned after it had expired, a timedelta
            of 1 to 3650 days.

            ``hold_lifetime``: how long a hold lasts that does not say so itself, a timedelta of 10 seconds to
            1 hour.

    Returns:
        What holds now.

    Raises:
        InvalidTherapistId, InvalidTimeZone, InvalidParameter: the request makes no sense.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_policy(therapist_id=therapist, cancellation_window=timedelta(hours=48), hold_lifetime=None)
    """
    return _row(
        "set_policy",
        Policy,
        p_settings=_settings(settings),
        p_therapist_id=_optional_id(therapist_id, InvalidTherapistId),
    )


def grant_credits(
    user_id: UUID | str,
    amount: int,
    *,
    payment_reference: str | None = None,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
    category: str = "paid",
    priority: int = 50,
) -> Call[CreditGrant]:
    """Give a client credits, as one lot.

    Args:
        user_id: the client.
        amount: how many credits, 1 to 10000.
        payment_reference: the payment they were bought with; the same payment never grants twice.
        expires_at: the instant from which they cannot be spent any more, a datetime with a time zone.
        idempotency_key: 1 to 255 characters; the same call with the same key grants nothing again.
        category: ``"paid"`` or ``"promotional"``.
        priority: 0 to 100. Credits of a lower number are spent first; of these the soonest to expire, then
            promotional before paid, then the oldest.

    Returns:
        The lot, what is in it, and the client's credits in all lots.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: there is no such client.
        IdempotencyKeyReused: key or payment belong to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        grant = Bookings(db).grant_credits(client, 10, payment_reference="pi_3Nd2")
        print(grant.credits_balance)
    """
    return _row(
        "grant_credits",
        CreditGrant,
        p_user_id=_id(user_id, InvalidUserId),
        p_amount=_integer("p_amount", amount),
        p_payment_reference=_optional_text("p_payment_reference", payment_reference),
        p_expires_at=_optional_instant("p_expires_at", expires_at),
        p_idempotency_key=_key(idempotency_key),
        p_category=_text("p_category", category),
        p_priority=_integer("p_priority", priority),
    )


def adjust_credits(
    user_id: UUID | str,
    amount: int,
    *,
    reason: str,
    lot_id: UUID | str | None = None,
    idempotency_key: str | None = None,
) -> Call[CreditGrant]:
    """Correct a client's credits by hand; the ledger keeps the reason.

    Args:
        user_id: the client.
        amount: credits to add (positive) or to take (negative), up to 10000.
        reason: why, 1 to 1000 characters.
        lot_id: the lot to change; without it credits are added as a new lot, and taken in the order in which
            they would be spent.
        idempotency_key: 1 to 255 characters; the same call with the same key changes nothing again.

    Returns:
        The lot that was changed last, what is in it, and the client's credits in all lots.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        LotNotFound: the client has no such lot.
        InsufficientCredits: there are fewer credits than are to be taken, or the lot is over.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).adjust_credits(client, -2, reason="counted twice, ticket 1234")
    """
    return _row(
        "adjust_credits",
        CreditGrant,
        p_user_id=_id(user_id, InvalidUserId),
        p_amount=_integer("p_amount", amount),
        p_reason=_text("p_reason", reason),
        p_lot_id=_optional_other_id("p_lot_id", lot_id),
        p_idempotency_key=_key(idempotency_key),
    )


def revoke_grant(
    lot_id: UUID | str | None = None,
    *,
    payment_reference: str | None = None,
    reason: str | None = None,
) -> Call[RevokedGrant]:
    """Take back what is left of a lot whose payment was taken back. Done again, it says the same.

    Args:
        lot_id: the lot, or
        payment_reference: the payment it was bought with.
        reason: why, up to 1000 characters; the ledger keeps it.

    Returns:
        How many credits were taken, and how many had been spent before.

    Raises:
        InvalidParameter: the request makes no sense, or does not say in one way which lot.
        LotNotFound: there is no such lot.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        revoked = Bookings(db).revoke_grant(payment_reference="pi_3Nd2", reason="chargeback")
        print(revoked.credits_revoked, revoked.credits_spent)
    """
    if (lot_id is None) == (payment_reference is None):
        raise _invalid("p_lot_id", "Give the lot's id or its payment reference, one of the two.")
    return _row(
        "revoke_grant",
        RevokedGrant,
        p_lot_id=_optional_other_id("p_lot_id", lot_id),
        p_payment_reference=_optional_text("p_payment_reference", payment_reference),
        p_reason=_optional_text("p_reason", reason),
    )


def expire_credits() -> Call[ExpiredCredits]:
    """Post what is left of expired lots to the ledger, for a scheduled job.

    Expired credits cannot be spent whether this has run or not, and done again it finds nothing.

    Returns:
        How many lots and credits it was this time.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        print(Bookings(db).expire_credits().credits)
    """
    return _row(
        "expire_credits",
        ExpiredCredits,
    )


def get_credit_balance(user_id: UUID | str) -> Call[int]:
    """Return how many credits a client can spend now.

    Args:
        user_id: the client.

    Returns:
        The number of credits that are active and not expired.

    Raises:
        InvalidUserId: the id is not a UUID.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        credits = Bookings(db).get_credit_balance(client)
    """
    return _scalar(
        "get_credit_balance",
        int,
        p_user_id=_id(user_id, InvalidUserId),
    )


def get_credit_history(
    user_id: UUID | str, *, limit: int = 50, before: datetime | None = None
) -> Call[list[CreditEntry]]:
    """List the movements of a client's credits, newest first.

    Args:
        user_id: the client.
        limit: how many at most, 1 to 1000; more come only where the last ones share an instant.
        before: only those written before this instant, a datetime with a time zone: the ``created_at`` of the
            last entry of the page before.

    Returns:
        The entries.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        for entry in Bookings(db).get_credit_history(client, limit=10):
            print(entry.created_at, entry.kind, entry.amount)
    """
    return _rows(
        "get_credit_history",
        CreditEntry,
        p_user_id=_id(user_id, InvalidUserId),
        p_limit=_integer("p_limit", limit),
        p_before=_optional_instant("p_before", before),
    )


def get_credit_statement(user_id: UUID | str, from_: datetime, to: datetime) -> Call[list[StatementLine]]:
    """Write a statement of a client's credits: what there was, every movement, what there is. It adds up.

    Args:
        user_id: the client.
        from_: the instant from which, a datetime with a time zone.
        to: the instant before which, a datetime with a time zone, not before `from_`.

    Returns:
        A line ``opening`` with the balance, the ledger's entries in order, each with the balance after it, and a
        line ``closing``. Credits of expired lots are in it until :meth:`~bookingdb.Bookings.expire_credits` ran.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        for line in Bookings(db).get_credit_statement(client, first_of_january, first_of_february):
            print(line.created_at, line.kind, line.amount, line.balance)
    """
    return _rows(
        "get_credit_statement",
        StatementLine,
        p_user_id=_id(user_id, InvalidUserId),
        p_from=_instant("p_from", from_),
        p_to=_instant("p_to", to),
    )


def list_sessions(
    *,
    user_id: UUID | str | None = None,
    therapist_id: UUID | str | None = None,
    starts_from: datetime | None = None,
    starts_before: datetime | None = None,
    limit: int = 50,
) -> Call[list[Session]]:
    """List sessions, the latest start first: those that the caller may see (row level security decides).

    Args:
        user_id: only this client's.
        therapist_id: only this therapist's.
        starts_from: only those that start at or after this instant, a datetime with a time zone.
        starts_before: only those that start before this instant, a datetime with a time zone.
        limit: how many at most, from 1.

    Returns:
        The sessions.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidParameter: the request makes no sense.
        BookingFailed: see there.

    Example::

        upcoming = Bookings(db).list_sessions(user_id=client, starts_from=datetime.now(UTC))
    """
    if _integer("limit", limit).value < 1:
        raise _invalid("limit", "Give a whole number from 1.")
    filters = {
        "user_id": ("r.user_id =", _optional_id(user_id, InvalidUserId)),
        "therapist_id": ("r.therapist_id =", _optional_id(therapist_id, InvalidTherapistId)),
        "starts_from": ("r.start_time >=", _optional_instant("starts_from", starts_from)),
        "starts_before": ("r.start_time <", _optional_instant("starts_before", starts_before)),
    }
    # Only the conditions asked for: `x is null or …` would keep Postgres from using an index.
    asked = {name: filter_ for name, filter_ in filters.items() if filter_[1].value is not None}
    conditions = [f"{compared} {_placeholder(name, value)}" for name, (compared, value) in asked.items()]
    return Call(
        f"select {_columns(Session)} from public.sessions as r"
        + (f" where {' and '.join(conditions)}" if conditions else "")
        + " order by r.start_time desc nulls last, r.id limit %(limit)s::integer",
        _values({name: value for name, (_, value) in asked.items()}) | {"limit": limit},
        lambda rows: [Session.from_row(row) for row in rows],
    )


def lock_for_booking(people: Iterable[UUID | str]) -> Call[None]:
    """Take the locks of several people at once, ahead of several calls in one transaction of your own.

    Two transactions that book for the same people in a different order can deadlock, unless each begins with
    this. The locks are released at the end of the transaction; it therefore needs a connection in one.

    Args:
        people: the clients and therapists that the transaction is going to book, 1 to 1000.

    Raises:
        InvalidParameter: one of them is not a UUID, or there are none, or too many.
        RuntimeError: `db` is a URL, a pool or an idle connection in autocommit, where the locks would be gone
            again before the next call.
        NotAuthenticated, NotAllowed, Busy, BookingFailed: see there.

    Example::

        with psycopg.connect(url) as connection:  # one transaction
            bookings = Bookings(connection)
            bookings.lock_for_booking([client, first_therapist, second_therapist])
            bookings.book_session(user_id=client, therapist_id=second_therapist, starts_at=monday)
            bookings.book_session(user_id=client, therapist_id=first_therapist, starts_at=tuesday)
    """
    people = list(people)
    if not all(_is_id(person) for person in people):
        raise _invalid("p_people", "Give UUIDs of clients and therapists.")
    return _nothing(
        "lock_for_booking",
        p_people=_Argument("uuid[]", [str(person) for person in people]),
        needs_transaction=True,
    )


# How a call is put together.


@dataclass(frozen=True, slots=True)
class _Argument:
    """A checked value and the SQL type it is sent as."""

    type: str
    value: Any


def _scalar(function: str, result: type[T], **arguments: _Argument) -> Call[T]:
    def read(rows: Rows) -> T:
        value = rows[0][0]
        assert isinstance(value, result)
        return value

    return Call(f"select {_invocation(function, arguments)}", _values(arguments), read)


def _nothing(function: str, *, needs_transaction: bool = False, **arguments: _Argument) -> Call[None]:
    statement = f"select {_invocation(function, arguments)}"
    return Call(statement, _values(arguments), lambda _: None, needs_transaction)


def _row(function: str, model: type[R], **arguments: _Argument) -> Call[R]:
    statement = f"select {_columns(model)} from {_invocation(function, arguments)} as r"
    return Call(statement, _values(arguments), lambda rows: model.from_row(rows[0]))


def _rows(function: str, model: type[R], **arguments: _Argument) -> Call[list[R]]:
    statement = f"select {_columns(model)} from {_invocation(function, arguments)} as r"
    return Call(statement, _values(arguments), lambda rows: [model.from_row(row) for row in rows])


def _status_change(function: str, session_id: UUID | str, idempotency_key: str | None) -> Call[ChangedSession]:
    return _row(
        function,
        ChangedSession,
        p_session_id=_id(session_id, InvalidSessionId),
        p_idempotency_key=_key(idempotency_key),
    )


def _columns(model: type[Record]) -> str:
    return ", ".join(_column(field) for field in dataclasses.fields(model))


def _column(field: "dataclasses.Field[Any]") -> str:
    # Drivers cannot read an interval in every IntervalStyle.
    return f"extract(epoch from r.{field.name})::float8" if field.type is timedelta else f"r.{field.name}"


def _invocation(function: str, arguments: Mapping[str, _Argument]) -> str:
    named = ", ".join(f"{name} => {_placeholder(name, argument)}" for name, argument in arguments.items())
    return f"public.{function}({named})"


def _placeholder(name: str, argument: _Argument) -> str:
    return f"%({name})s::{argument.type}"


def _values(arguments: Mapping[str, _Argument]) -> dict[str, Any]:
    return {name: argument.value for name, argument in arguments.items()}


# What a parameter must look like. The hints are the database's, which would say the same.

_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_EVERY: Final = re.compile(r"[0-9]{1,3} (?:day|week|month|year)s?")

_LARGEST_INTEGER: Final = 2**31 - 1

_ID_HINTS: Final[Mapping[type[BookingError], str]] = {
    InvalidUserId: "Give the user's id, a UUID.",
    InvalidTherapistId: "Give the therapist's id, a UUID.",
    InvalidSessionId: "Give the session's id, a UUID.",
}
_DATE_HINT: Final = "Give a date as YYYY-MM-DD, between 1900 and 2999."
_TIME_HINT: Final = "Give a time as HH:MM, from 00:00 to 23:59, without seconds."
_SKIPPED_HINT: Final = "On this day the clocks jump over this time: choose an earlier or a later one."
_TIME_ZONE_HINT: Final = "Give an IANA name such as Europe/Berlin."
_STARTS_AT_HINT: Final = "Give starts_at as a datetime with a time zone, at a full minute."


def _invalid(parameter: str, hint: str) -> InvalidParameter:
    return InvalidParameter({"parameter": parameter}, hint)


def _id(value: UUID | str | None, error: type[BookingError]) -> _Argument:
    if not _is_id(value):
        raise error(hint=_ID_HINTS[error])
    return _Argument("uuid", str(value))


def _optional_id(value: UUID | str | None, error: type[BookingError]) -> _Argument:
    return _Argument("uuid", None) if value is None else _id(value, error)


def _other_id(parameter: str, value: UUID | str) -> _Argument:
    # An id that has no error of its own.
    if not _is_id(value):
        raise _invalid(parameter, "Give an id, a UUID.")
    return _Argument("uuid", str(value))


def _optional_other_id(parameter: str, value: UUID | str | None) -> _Argument:
    return _Argument("uuid", None) if value is None else _other_id(parameter, value)


def _is_id(value: UUID | str | None) -> bool:
    return isinstance(value, UUID) or (isinstance(value, str) and _UUID.fullmatch(value) is not None)


def _date(value: date | str | None) -> _Argument:
    if isinstance(value, date) and not isinstance(value, datetime):
        return _Argument("date", value)
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return _Argument("date", date.fromisoformat(value))
        except ValueError:  # the 30th of February
            pass
    raise InvalidDate(hint=_DATE_HINT)


def _time(value: time | str | None) -> _Argument:
    if isinstance(value, time) and value.tzinfo is None and not (value.second or value.microsecond):
        return _Argument("time", value)
    if isinstance(value, str) and _TIME.fullmatch(value):
        return _Argument("time", time.fromisoformat(value))
    raise InvalidTime(hint=_TIME_HINT)


def _time_zone(value: str | None) -> _Argument:
    # Which names there are is for the database to say; only what cannot be sent to it is refused here.
    if value is None or (isinstance(value, str) and _is_sendable(value)):
        return _Argument("text", value)
    raise InvalidTimeZone(hint=_TIME_ZONE_HINT)


def _duration(value: int) -> _Argument:
    if isinstance(value, int) and not isinstance(value, bool) and 15 <= value <= 180:
        return _Argument("integer", value)
    raise InvalidDuration(hint="Give whole minutes from 15 to 180.")


def _optional_duration(value: int | None) -> _Argument:
    return _Argument("integer", None) if value is None else _duration(value)


def _interval(parameter: str, value: timedelta) -> _Argument:
    # As a text that means the same whatever the connection's IntervalStyle is: both parts have a sign.
    if not isinstance(value, timedelta):
        raise _invalid(parameter, "Give a timedelta.")
    text = f"{value.days} days +{value.seconds}.{value.microseconds:06} seconds"
    return _Argument("text::interval", text)


def _optional_interval(parameter: str, value: timedelta | None) -> _Argument:
    return _Argument("text::interval", None) if value is None else _interval(parameter, value)


def _every(value: timedelta | str) -> _Argument:
    if not isinstance(value, str):
        return _interval("p_every", value)
    if not _EVERY.fullmatch(value):
        raise _invalid("p_every", "Give a timedelta of whole days, or a text such as '1 month'.")
    return _Argument("text::interval", value)


def _settings(values: PolicySettings) -> _Argument:
    settings = {name: _setting(name, value) for name, value in values.items()}
    # As a text, because an application may have told its driver to encode what is sent as jsonb.
    return _Argument("text::jsonb", json.dumps(settings))


def _setting(name: str, value: Any) -> Any:
    match name:
        case "time_zone":
            return _time_zone(value).value
        case "minimum_duration_minutes" | "maximum_duration_minutes":
            return None if value is None else _integer(name, value).value
        case "cancellation_window" | "refund_grace" | "hold_lifetime":
            return _optional_interval(name, value).value
    raise TypeError(f"set_policy() got an unexpected keyword argument {name!r}")


def _boolean(parameter: str, value: bool) -> _Argument:
    if isinstance(value, bool):
        return _Argument("boolean", value)
    raise _invalid(parameter, "Give True or False.")


def _optional_boolean(parameter: str, value: bool | None) -> _Argument:
    return _Argument("boolean", None) if value is None else _boolean(parameter, value)


def _integer(parameter: str, value: int) -> _Argument:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER:
        return _Argument("integer", value)
    raise _invalid(parameter, f"Give a whole number up to {_LARGEST_INTEGER}.")


def _is_sendable(value: str) -> bool:
    # Postgres has no character 0, and UTF-8 no half of a surrogate pair (json.loads makes those).
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _text(parameter: str, value: str) -> _Argument:
    if isinstance(value, str) and _is_sendable(value):
        return _Argument("text", value)
    raise _invalid(parameter, "Give a text without NUL and surrogate characters.")


def _optional_text(parameter: str, value: str | None) -> _Argument:
    return _Argument("text", None) if value is None else _text(parameter, value)


def _key(value: str | None) -> _Argument:
    if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 255):
        raise InvalidParameter(
            {"parameter": "p_idempotency_key", "minimum_length": 1, "maximum_length": 255},
            "Give a text of 1 to 255 characters.",
        )
    return _optional_text("p_idempotency_key", value)


def _instant(parameter: str, value: datetime) -> _Argument:
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return _Argument("timestamptz", value)
    raise _invalid(parameter, "Give a datetime with a time zone.")


def _optional_instant(parameter: str, value: datetime | None) -> _Argument:
    return _Argument("timestamptz", None) if value is None else _instant(parameter, value)


def _local_time(
    session_date: date | str | None,
    session_time: time | str | None,
    starts_at: datetime | None,
    time_zone: str | None,
) -> dict[str, _Argument]:
    """Return the arguments that say when a session is: as they are, or made from `starts_at`."""
    if starts_at is not None:
        if session_date is not None or session_time is not None:
            raise _invalid("starts_at", "Give starts_at, or session_date and session_time, but not both.")
        session_date, session_time, time_zone = _local(starts_at, _time_zone(time_zone).value)
    return {
        "p_session_date": _date(session_date),
        "p_session_time": _time(session_time),
        "p_time_zone": _time_zone(time_zone),
    }


def _local(starts_at: datetime, time_zone: str | None) -> tuple[date, time, str]:
    """Return date, time and zone that name an instant: in `time_zone` or its own zone, where these can."""
    if not isinstance(starts_at, datetime) or starts_at.utcoffset() is None:
        raise InvalidTime(hint=_STARTS_AT_HINT)
    if time_zone is None and isinstance(starts_at.tzinfo, ZoneInfo):
        time_zone = starts_at.tzinfo.key
    try:
        instant = starts_at.astimezone(UTC)
        if instant.astimezone(starts_at.tzinfo).replace(tzinfo=None) != starts_at.replace(tzinfo=None):
            raise SkippedTime(hint=_SKIPPED_HINT)
        local = instant if time_zone is None else instant.astimezone(_zone(time_zone))
    except OverflowError:  # a day before the year 1 or after 9999
        raise InvalidDate(hint=_DATE_HINT) from None
    if instant.second or instant.microsecond:
        raise InvalidTime(hint=_STARTS_AT_HINT)
    # A local time means the first of two, and has no seconds (offsets of long ago do): UTC can always say it.
    if time_zone is None or local.fold or local.second:
        local, time_zone = instant, "UTC"
    return local.date(), local.time(), time_zone


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = f"{_TIME_ZONE_HINT} If it is one, this Python does not know it: install the package tzdata."
        raise InvalidTimeZone(hint=hint) from None
