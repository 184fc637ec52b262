"""Booking a time: at once, as a series, or by way of a hold; and whether a time is free."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, nothing, one, scalar, series
from bookingdb.errors import InvalidSessionId, InvalidTherapistId, InvalidUserId
from bookingdb.records import BookedSeries, BookedSession, HeldSlot, ListedHold


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
            datetime's own, if it is a ZoneInfo, else the therapist's. (The therapist's also where the zone's clock
            shows this time twice and the second is meant, which a local time cannot say.)
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
    return one(
        "create_session_with_credit_deduction",
        BookedSession,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_session_type=parameters.text("p_session_type", session_type),
        p_notes=parameters.text("p_notes", notes),
        p_title=parameters.text("p_title", title),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def book_session_with_override(
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
    override_hours: bool = True,
    idempotency_key: str | None = None,
    override: Iterable[str] | None = None,
) -> Call[BookedSession]:
    """Book a session also outside of the therapist's hours, or against other rules; the audit log says which.

    Calendar, buffers, people and credits count as always.

    Args:
        user_id: the client.
        therapist_id: the therapist.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes.
        session_type: e.g. ``"video"``.
        notes: kept as the session's description.
        title: what the session is called.
        time_zone: IANA zone of date and time; without it the therapist's, else the default policy's. With
            `starts_at`: see :meth:`~bookingdb.Bookings.book_session`.
        override_hours: whether the hours do not count; False for a booking like any other.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered with the same session.
        override: names of rules that do not count, of hours, minimum_notice, maximum_advance and limits, or all. The
            session keeps those that would have refused it.

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
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).book_session_with_override(
            user_id=client, therapist_id=therapist, session_date="2030-01-06", session_time="21:00")
    """
    return one(
        "book_session_with_override",
        BookedSession,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_session_type=parameters.text("p_session_type", session_type),
        p_notes=parameters.text("p_notes", notes),
        p_title=parameters.text("p_title", title),
        p_override_hours=parameters.boolean("p_override_hours", override_hours),
        p_idempotency_key=parameters.key(idempotency_key),
        p_override=parameters.override(override),
    )


def record_session(
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
    status: str = "completed",
    idempotency_key: str | None = None,
) -> Call[BookedSession]:
    """Record a session that took place without having been booked, and take a credit for it.

    Args:
        user_id: the client.
        therapist_id: the therapist.
        session_date: the local date, a date or ``"YYYY-MM-DD"``, within the last 366 days.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes.
        session_type: e.g. ``"video"``.
        notes: kept as the session's description.
        title: what the session is called.
        time_zone: IANA zone of date and time; without it the therapist's, else the default policy's. With
            `starts_at`: see :meth:`~bookingdb.Bookings.book_session`.
        status: ``"completed"``, ``"no_show"`` or ``"in_progress"``.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered with the same session.

    Returns:
        The session, and the client's credits after it.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone,
        InvalidDuration, InvalidParameter: the request makes no sense, or the session is to come or too long ago.
        TherapistNotFound, UserNotFound: one of the two cannot take part.
        BookingConflict: one of the two had another session then (see there for its two subclasses).
        InsufficientCredits: the client has no credit left.
        IdempotencyKeyReused: the key belongs to another request.
        SessionNotFound: the session that the key stands for was deleted.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).record_session(
            user_id=client, therapist_id=therapist, session_date="2026-11-27", session_time="10:00")
    """
    return one(
        "record_session",
        BookedSession,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_session_type=parameters.text("p_session_type", session_type),
        p_notes=parameters.text("p_notes", notes),
        p_title=parameters.text("p_title", title),
        p_status=parameters.text("p_status", status),
        p_idempotency_key=parameters.key(idempotency_key),
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
    on_conflict: str = "fail",
) -> Call[BookedSeries]:
    """Book sessions at the same local time and take a credit for each: all of them or none, or those that are free.

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

        on_conflict: ``"fail"`` books all of them or none; ``"skip"`` leaves out those whose time is not free, and is
            refused only when none is.

    Returns:
        The sessions in order, each with the client's credits after it. The list's `skipped` names what was left out,
        each with its reason.

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
    arguments = {
        "p_user_id": parameters.id_(user_id, InvalidUserId),
        "p_therapist_id": parameters.id_(therapist_id, InvalidTherapistId),
        **parameters.local_time(session_date, session_time, None, time_zone),
        "p_occurrences": parameters.integer("p_occurrences", occurrences),
        "p_every": parameters.every(every),
        "p_duration_minutes": parameters.duration(duration_minutes),
        "p_session_type": parameters.text("p_session_type", session_type),
        "p_notes": parameters.text("p_notes", notes),
        "p_title": parameters.text("p_title", title),
        "p_idempotency_key": parameters.key(idempotency_key),
        "p_on_conflict": parameters.text("p_on_conflict", on_conflict),
    }
    return series("book_series", **arguments)


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
    return one(
        "hold_slot",
        HeldSlot,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_ttl=parameters.optional_interval("p_ttl", ttl),
        p_idempotency_key=parameters.key(idempotency_key),
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

    Without a key a second call returns the session, as long as it is not cancelled.

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
        HoldExpired: it is over, was given up, or became a session that was cancelled, or another key's.
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
    return one(
        "book_hold",
        BookedSession,
        p_hold_id=parameters.other_id("p_hold_id", hold_id),
        p_session_type=parameters.text("p_session_type", session_type),
        p_notes=parameters.text("p_notes", notes),
        p_title=parameters.text("p_title", title),
        p_idempotency_key=parameters.key(idempotency_key),
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
        p_hold_id=parameters.other_id("p_hold_id", hold_id),
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
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_session_date=parameters.date_(session_date),
        p_start_time=parameters.time_(start_time),
        p_end_time=parameters.time_(end_time),
        p_time_zone=parameters.zone_name(time_zone),
        p_exclude_session_id=parameters.optional_id(exclude_session_id, InvalidSessionId),
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
        p_people=parameters.ids("p_people", people, "Give UUIDs of clients and therapists."),
        needs_transaction=True,
    )


def get_hold(hold_id: UUID | str) -> Call[ListedHold]:
    """Return a hold and what became of it.

    Args:
        hold_id: the hold.

    Returns:
        The hold; the session of one that is ``booked`` has its id.

    Raises:
        InvalidParameter: the request makes no sense.
        HoldNotFound: there is no such hold.
        NotAuthenticated, NotAllowed: the caller may not act for this client.
        BookingFailed: see there.

    Example::

        if Bookings(db).get_hold(hold_id).state == "held": ...
    """
    return one("get_hold", ListedHold, p_hold_id=parameters.other_id("p_hold_id", hold_id))


def list_holds(*, user_id: UUID | str | None = None, therapist_id: UUID | str | None = None) -> Call[list[ListedHold]]:
    """List the holds that are alive, by start.

    Args:
        user_id: only this client's; logged-in users see their own in any case.
        therapist_id: only those of this therapist's time.

    Returns:
        The holds.

    Raises:
        InvalidUserId, InvalidTherapistId: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller may not act for this client.
        BookingFailed: see there.

    Example::

        for hold in Bookings(db).list_holds(therapist_id=therapist):
            print(hold.client_name, hold.start_time, hold.expires_at)
    """
    return many(
        "list_holds",
        ListedHold,
        p_user_id=parameters.optional_id(user_id, InvalidUserId),
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
    )
