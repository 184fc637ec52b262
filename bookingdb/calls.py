"""One pure builder per SQL function: checked parameters in, statement and result type out.

A builder asks no database. It refuses what is malformed with the error that the database would raise, and
returns a :class:`Call`, which :mod:`bookingdb.client` runs on whatever connection there is. The methods of
:class:`~bookingdb.Bookings` and :class:`~bookingdb.AsyncBookings` are these builders: their parameters and
their documentation stand here and nowhere else. Those about when a therapist can be booked are in
:mod:`bookingdb.calls_availability`, and are found here as well. How a call is put together is in
:mod:`bookingdb.statements`, what a parameter must look like in :mod:`bookingdb.arguments`.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from bookingdb import arguments
from bookingdb.calls_availability import (
    add_time_off,
    book_session_with_override,
    find_available_therapists,
    get_weekly_hours,
    list_available_days,
    list_available_slots,
    list_date_overrides,
    list_opening_hours,
    list_time_off,
    next_available_slot,
    remove_time_off,
    set_date_override,
    set_weekly_hours,
    sync_external_busy,
)
from bookingdb.errors import InvalidSessionId, InvalidTherapistId, InvalidUserId
from bookingdb.models import (
    BookedSession,
    ChangedSession,
    CreditEntry,
    CreditGrant,
    ExpiredCredits,
    HeldSlot,
    Policy,
    RevokedGrant,
    Session,
    StatementLine,
)
from bookingdb.statements import Call, columns, nothing, placeholder, row, rows, scalar, values

# In the order of the documentation.
__all__ = [
    "Call",
    "PolicySettings",
    "add_time_off",
    "adjust_credits",
    "approve_session",
    "book_hold",
    "book_series",
    "book_session",
    "book_session_with_override",
    "cancel_session",
    "check_booking_conflict",
    "complete_session",
    "confirm_session",
    "expire_credits",
    "find_available_therapists",
    "get_credit_balance",
    "get_credit_history",
    "get_credit_statement",
    "get_policy",
    "get_weekly_hours",
    "grant_credits",
    "hold_slot",
    "list_available_days",
    "list_available_slots",
    "list_date_overrides",
    "list_opening_hours",
    "list_sessions",
    "list_time_off",
    "lock_for_booking",
    "mark_no_show",
    "next_available_slot",
    "register_client",
    "register_therapist",
    "release_hold",
    "remove_time_off",
    "reschedule_session",
    "revoke_grant",
    "set_date_override",
    "set_policy",
    "set_therapist_active",
    "set_weekly_hours",
    "start_session",
    "sync_external_busy",
]


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
            session and books nothing again: what makes a retry safe after an unclear failure. On a URL or a pool
            the client then repeats the call by itself when the connection is lost.

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
    return row(
        "create_session_with_credit_deduction",
        BookedSession,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_therapist_id=arguments.id_(therapist_id, InvalidTherapistId),
        **arguments.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=arguments.duration(duration_minutes),
        p_session_type=arguments.text("p_session_type", session_type),
        p_notes=arguments.text("p_notes", notes),
        p_title=arguments.text("p_title", title),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return row(
        "cancel_session",
        ChangedSession,
        p_session_id=arguments.id_(session_id, InvalidSessionId),
        p_reason=arguments.optional_text("p_reason", reason),
        p_refund=arguments.optional_boolean("p_refund", refund),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return row(
        "reschedule_session",
        ChangedSession,
        p_session_id=arguments.id_(session_id, InvalidSessionId),
        **arguments.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=arguments.optional_duration(duration_minutes),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return row(
        "hold_slot",
        HeldSlot,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_therapist_id=arguments.id_(therapist_id, InvalidTherapistId),
        **arguments.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=arguments.duration(duration_minutes),
        p_ttl=arguments.optional_interval("p_ttl", ttl),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return nothing(
        "release_hold",
        p_hold_id=arguments.other_id("p_hold_id", hold_id),
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
    return row(
        "book_hold",
        BookedSession,
        p_hold_id=arguments.other_id("p_hold_id", hold_id),
        p_session_type=arguments.text("p_session_type", session_type),
        p_notes=arguments.text("p_notes", notes),
        p_title=arguments.text("p_title", title),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return rows(
        "book_series",
        BookedSession,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_therapist_id=arguments.id_(therapist_id, InvalidTherapistId),
        **arguments.local_time(session_date, session_time, None, time_zone),
        p_occurrences=arguments.integer("p_occurrences", occurrences),
        p_every=arguments.every(every),
        p_duration_minutes=arguments.duration(duration_minutes),
        p_session_type=arguments.text("p_session_type", session_type),
        p_notes=arguments.text("p_notes", notes),
        p_title=arguments.text("p_title", title),
        p_idempotency_key=arguments.key(idempotency_key),
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
    return scalar(
        "check_booking_conflict",
        bool,
        p_therapist_id=arguments.id_(therapist_id, InvalidTherapistId),
        p_session_date=arguments.date_(session_date),
        p_start_time=arguments.time_(start_time),
        p_end_time=arguments.time_(end_time),
        p_time_zone=arguments.zone_name(time_zone),
        p_exclude_session_id=arguments.optional_id(exclude_session_id, InvalidSessionId),
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
    return scalar(
        "register_client",
        UUID,
        p_email=arguments.text("p_email", email),
        p_full_name=arguments.optional_text("p_full_name", full_name),
        p_user_id=arguments.optional_id(user_id, InvalidUserId),
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
    return scalar(
        "register_therapist",
        UUID,
        p_email=arguments.text("p_email", email),
        p_full_name=arguments.optional_text("p_full_name", full_name),
        p_user_id=arguments.optional_id(user_id, InvalidUserId),
        p_time_zone=arguments.zone_name(time_zone),
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
    return nothing(
        "set_therapist_active",
        p_therapist_id=arguments.id_(therapist_id, InvalidTherapistId),
        p_active=arguments.boolean("p_active", active),
    )


class PolicySettings(TypedDict, total=False):
    """What :meth:`~bookingdb.Bookings.set_policy` sets: the fields of :class:`~bookingdb.Policy`, or None."""

    time_zone: str | None
    minimum_duration_minutes: int | None
    maximum_duration_minutes: int | None
    cancellation_window: timedelta | None
    refund_grace: timedelta | None
    hold_lifetime: timedelta | None
    buffer_before_minutes: int | None
    buffer_after_minutes: int | None
    minimum_notice: timedelta | None
    maximum_advance: timedelta | None
    slot_step_minutes: int | None
    slot_offset_minutes: int | None
    maximum_sessions_per_day: int | None
    maximum_sessions_per_week: int | None
    require_hours: bool | None


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
    return row(
        "get_policy",
        Policy,
        p_therapist_id=arguments.optional_id(therapist_id, InvalidTherapistId),
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

            ``buffer_before_minutes``, ``buffer_after_minutes``: minutes before and after a session in which the
            therapist has no other, 0 to 720.

            ``minimum_notice``: how long before its start a session has to be booked, a timedelta of 0 to 365 days.

            ``maximum_advance``: how long before its start it can be booked at the earliest, a timedelta of 1 to
            3650 days.

            ``slot_step_minutes``: every how many minutes of the therapist's clock a listed slot starts, 1 to 1440.

            ``slot_offset_minutes``: how many minutes after midnight the first does, 0 to 1439.

            ``maximum_sessions_per_day``, ``maximum_sessions_per_week``: sessions of a therapist on a local day, and
            from Monday to Sunday, 1 to 1000; 1000 is no limit.

            ``require_hours``: whether a therapist without weekly hours cannot be booked, instead of at any time.

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
    return row(
        "set_policy",
        Policy,
        p_settings=arguments.settings(settings),
        p_therapist_id=arguments.optional_id(therapist_id, InvalidTherapistId),
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
    return row(
        "grant_credits",
        CreditGrant,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_amount=arguments.integer("p_amount", amount),
        p_payment_reference=arguments.optional_text("p_payment_reference", payment_reference),
        p_expires_at=arguments.optional_instant("p_expires_at", expires_at),
        p_idempotency_key=arguments.key(idempotency_key),
        p_category=arguments.text("p_category", category),
        p_priority=arguments.integer("p_priority", priority),
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
    return row(
        "adjust_credits",
        CreditGrant,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_amount=arguments.integer("p_amount", amount),
        p_reason=arguments.text("p_reason", reason),
        p_lot_id=arguments.optional_other_id("p_lot_id", lot_id),
        p_idempotency_key=arguments.key(idempotency_key),
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
        raise arguments.invalid("p_lot_id", "Give the lot's id or its payment reference, one of the two.")
    return row(
        "revoke_grant",
        RevokedGrant,
        p_lot_id=arguments.optional_other_id("p_lot_id", lot_id),
        p_payment_reference=arguments.optional_text("p_payment_reference", payment_reference),
        p_reason=arguments.optional_text("p_reason", reason),
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
    return row(
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
    return scalar(
        "get_credit_balance",
        int,
        p_user_id=arguments.id_(user_id, InvalidUserId),
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
    return rows(
        "get_credit_history",
        CreditEntry,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_limit=arguments.integer("p_limit", limit),
        p_before=arguments.optional_instant("p_before", before),
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
    return rows(
        "get_credit_statement",
        StatementLine,
        p_user_id=arguments.id_(user_id, InvalidUserId),
        p_from=arguments.instant("p_from", from_),
        p_to=arguments.instant("p_to", to),
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
    if arguments.integer("limit", limit).value < 1:
        raise arguments.invalid("limit", "Give a whole number from 1.")
    filters = {
        "user_id": ("r.user_id =", arguments.optional_id(user_id, InvalidUserId)),
        "therapist_id": ("r.therapist_id =", arguments.optional_id(therapist_id, InvalidTherapistId)),
        "starts_from": ("r.start_time >=", arguments.optional_instant("starts_from", starts_from)),
        "starts_before": ("r.start_time <", arguments.optional_instant("starts_before", starts_before)),
    }
    # Only the conditions asked for: `x is null or …` would keep Postgres from using an index.
    asked = {name: filter_ for name, filter_ in filters.items() if filter_[1].value is not None}
    conditions = [f"{compared} {placeholder(name, value)}" for name, (compared, value) in asked.items()]
    return Call(
        f"select {columns(Session)} from public.sessions as r"
        + (f" where {' and '.join(conditions)}" if conditions else "")
        + " order by r.start_time desc nulls last, r.id limit %(limit)s::integer",
        values({name: value for name, (_, value) in asked.items()}) | {"limit": limit},
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
    return nothing(
        "lock_for_booking",
        p_people=arguments.ids("p_people", people, "Give UUIDs of clients and therapists."),
        needs_transaction=True,
    )


def _status_change(function: str, session_id: UUID | str, idempotency_key: str | None) -> Call[ChangedSession]:
    return row(
        function,
        ChangedSession,
        p_session_id=arguments.id_(session_id, InvalidSessionId),
        p_idempotency_key=arguments.key(idempotency_key),
    )
