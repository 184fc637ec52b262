"""Sessions after they were booked: their changes, and the lists of them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, one
from bookingdb.errors import InvalidSessionId, InvalidTherapistId, InvalidUserId
from bookingdb.records import CalendarChange, ChangedSession, ListedSession, RealignedSession, SessionStep


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
    return one(
        "cancel_session",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_reason=parameters.optional_text("p_reason", reason),
        p_refund=parameters.optional_boolean("p_refund", refund),
        p_idempotency_key=parameters.key(idempotency_key),
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
    override: Iterable[str] | None = None,
) -> Call[ChangedSession]:
    """Move a session that has not begun to another time, or leave it where it is if that is not to be had.

    Args:
        session_id: the session; it keeps its id and its credit.
        session_date: the local date, a date or ``"YYYY-MM-DD"``.
        session_time: the local time, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes; without it the session stays as long as it was.
        time_zone: IANA zone of date and time; without it the therapist's. With `starts_at`: see
            :meth:`~bookingdb.Bookings.book_session`.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.
        override: names of rules that do not count, of hours, minimum_notice, maximum_advance and limits, or all. The
            session keeps those that would have refused it. For trusted callers only.

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
        NotAuthenticated, NotAllowed: the caller has no part in the session, or may not override rules.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).reschedule_session(session_id, session_date="2030-01-08", session_time="11:00")
    """
    return one(
        "reschedule_session",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.optional_duration(duration_minutes),
        p_idempotency_key=parameters.key(idempotency_key),
        p_override=parameters.override(override),
    )


def reopen_session(
    session_id: UUID | str, *, reason: str | None = None, idempotency_key: str | None = None
) -> Call[ChangedSession]:
    """Undo a cancellation, a no-show or a completion that was a mistake.

    The session gets back the status it had, and its time if that is still free. A credit that had come back is taken
    again. Until when the client cancels free of charge stays as it was agreed.

    Args:
        session_id: the session.
        reason: why, up to 1000 characters; kept with the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: it takes place anyway, or was a request whose time has come.
        TherapistNotFound, UserNotFound: it was cancelled, and one of the two cannot take part any more.
        BookingConflict: its time is taken (see there for its two subclasses).
        InsufficientCredits: its credit came back, and the client has none left.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is neither trusted nor the therapist, who undoes no cancellation.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).reopen_session(session_id, reason="the wrong one was cancelled")
    """
    return one(
        "reopen_session",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_reason=parameters.optional_text("p_reason", reason),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def transfer_session(
    session_id: UUID | str,
    therapist_id: UUID | str,
    *,
    reason: str | None = None,
    idempotency_key: str | None = None,
    override: Iterable[str] | None = None,
) -> Call[ChangedSession]:
    """Give a session that has not begun to another therapist, at the same time.

    The client keeps the credit and their terms of cancelling, and may cancel free of charge for a while
    (`moved_cancellation_grace` of the new therapist's policy).

    Args:
        session_id: the session.
        therapist_id: the new therapist.
        reason: why, up to 1000 characters; kept with the session.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.
        override: names of rules that do not count, of hours, minimum_notice, maximum_advance and limits, or all. The
            session keeps those that would have refused it.

    Returns:
        The session as it stands.

    Raises:
        InvalidSessionId, InvalidTherapistId, InvalidDuration, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: it was cancelled, is over, or has begun.
        TooSoon, TooFar: the new therapist wants more notice, or cannot be booked as far ahead.
        TherapistNotFound, UserNotFound: the new therapist or the client cannot take part.
        BookingConflict: the new therapist is not free (see there for its two subclasses).
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        session = Bookings(db).transfer_session(session_id, hedy, reason="Grace is ill", override=["minimum_notice"])
    """
    return one(
        "transfer_session",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_reason=parameters.optional_text("p_reason", reason),
        p_idempotency_key=parameters.key(idempotency_key),
        p_override=parameters.override(override),
    )


def cancel_series(
    session_id: UUID | str,
    *,
    reason: str | None = None,
    refund: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[list[ChangedSession]]:
    """Cancel a session and all later ones of its series that are still open: all of them or none.

    Each is cancelled as by :meth:`~bookingdb.Bookings.cancel_session`: whether its credit comes back follows from its
    own terms. A session without a series is cancelled alone.

    Args:
        session_id: the first that is cancelled.
        reason: why, up to 1000 characters; kept with each session and in the audit log.
        refund: whether the credits come back; None for the rule. For trusted callers only.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The sessions as they stand, in order, each with the client's credits after all of it.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: none of them is open, or the first has begun and the client asks.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller has no part in the session, or may not decide about the refund.
        Busy, BookingFailed: see there.

    Example::

        for session in Bookings(db).cancel_series(session_id, reason="moving away"):
            print(session.scheduled_date, session.refunded)
    """
    return many(
        "cancel_series",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_reason=parameters.optional_text("p_reason", reason),
        p_refund=parameters.optional_boolean("p_refund", refund),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def reschedule_series(
    session_id: UUID | str,
    *,
    session_date: date | str | None = None,
    session_time: time | str | None = None,
    starts_at: datetime | None = None,
    duration_minutes: int | None = None,
    time_zone: str | None = None,
    idempotency_key: str | None = None,
) -> Call[list[ChangedSession]]:
    """Move a session, and the later ones of its series by as many days and to the same local time: all or none.

    Args:
        session_id: the first that moves; a session without a series moves alone.
        session_date: its new local date, a date or ``"YYYY-MM-DD"``.
        session_time: the new local time of all, a time or ``"HH:MM"`` on a 24-hour clock, without seconds.
        starts_at: instead of date and time, the instant: a datetime with a time zone, at a full minute.
        duration_minutes: 15 to 180 minutes; without it each session stays as long as it was.
        time_zone: IANA zone of date and time; without it the therapist's.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The sessions as they stand, in order.

    Raises:
        InvalidSessionId, InvalidDate, InvalidTime, SkippedTime, InvalidTimeZone, InvalidDuration,
        InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition, InPast, TooSoon, TooFar, TherapistNotFound, UserNotFound, BookingConflict: one of the
            sessions cannot move; ``detail["session_id"]`` says which, ``detail["occurrence"]`` its place among them,
            ``detail["session_date"]`` to when.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller has no part in the session.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).reschedule_series(session_id, session_date="2030-01-08", session_time="11:00")
    """
    return many(
        "reschedule_series",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        **parameters.local_time(session_date, session_time, starts_at, time_zone),
        p_duration_minutes=parameters.optional_duration(duration_minutes),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def realign_sessions(therapist_id: UUID | str | None = None, *, dry_run: bool = False) -> Call[list[RealignedSession]]:
    """Move sessions to come back to their agreed local time, where their zone has got other rules since.

    Args:
        therapist_id: whose sessions; without one everybody's, as one set.
        dry_run: whether to say only what would happen.

    Returns:
        One row for each such session, by start: it moved, or it stays because its agreed time is not free.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        for session in Bookings(db).realign_sessions():
            print(session.session_id, session.outcome, session.reason)
    """
    return many(
        "realign_sessions",
        RealignedSession,
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
        p_dry_run=parameters.boolean("p_dry_run", dry_run),
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


def refund_session(session_id: UUID | str, *, reason: str, idempotency_key: str | None = None) -> Call[ChangedSession]:
    """Give back the credit of a session that is over, or was cancelled late. The session stays as it is.

    Args:
        session_id: the session.
        reason: why, 1 to 1000 characters; the ledger keeps it.
        idempotency_key: 1 to 255 characters; the same call with the same key is answered as before.

    Returns:
        The session, and the client's credits.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        InvalidTransition: the session is not over, it cost nothing, or its credit came back before.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).refund_session(session_id, reason="the video failed")
    """
    return one(
        "refund_session",
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_reason=parameters.text("p_reason", reason),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def explain_session(session_id: UUID | str) -> Call[list[SessionStep]]:
    """Tell the story of a session: history, charges and returns, the hold it came from, events, refusals.

    Args:
        session_id: the session; one that was deleted still has its story.

    Returns:
        The steps, in the order of time.

    Raises:
        InvalidSessionId: the id is not a UUID.
        SessionNotFound: nothing is known of such a session.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for step in Bookings(db).explain_session(session_id):
            print(step.at, step.what, step.actor_name or step.actor)
    """
    return many(
        "explain_session",
        SessionStep,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
    )


def get_session(session_id: UUID | str) -> Call[ListedSession]:
    """Return a session, with the names of both people and what the caller may do next.

    Args:
        session_id: the session.

    Returns:
        The session, as :meth:`~bookingdb.Bookings.list_sessions` returns it.

    Raises:
        InvalidSessionId: the request makes no sense.
        SessionNotFound: there is no such session.
        NotAuthenticated, NotAllowed: the caller has no part in the session.
        BookingFailed: see there.

    Example::

        session = Bookings(db).get_session(session_id)
        print(session.client_name, session.status, session.next_actions)
    """
    return one("get_session", ListedSession, p_session_id=parameters.id_(session_id, InvalidSessionId))


def list_calendar_changes(therapist_id: UUID | str, from_: datetime, to: datetime) -> Call[list[CalendarChange]]:
    """List what a therapist's calendar must know of its sessions: how often each changed, and which ones left.

    Args:
        therapist_id: the therapist.
        from_: only sessions that start at or after this instant, a datetime with a time zone.
        to: only sessions that start before this instant.

    Returns:
        The sessions in order; one that left, to another therapist or deleted, has the time it had then.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        BookingFailed: see there.

    Example::

        for change in Bookings(db).list_calendar_changes(therapist, now, now + timedelta(days=90)):
            print(change.session_id, change.sequence, change.has_left)
    """
    return many(
        "list_calendar_changes",
        CalendarChange,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_from=parameters.instant("p_from", from_),
        p_to=parameters.instant("p_to", to),
    )


def list_sessions(
    *,
    user_id: UUID | str | None = None,
    therapist_id: UUID | str | None = None,
    statuses: Sequence[str] | None = None,
    starts_from: datetime | None = None,
    starts_before: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
    descending: bool = False,
) -> Call[list[ListedSession]]:
    """List the sessions that the caller may see in the order of their start; those without a start come last.

    Args:
        user_id: only this client's. A client lists their own; a therapist gets those of the client that are with her.
        therapist_id: only this therapist's.
        statuses: only those in one of these statuses.
        starts_from: only those that start at or after this instant, a datetime with a time zone.
        starts_before: only those that start before this instant, a datetime with a time zone.
        limit: how many at most, from 1.
        cursor: the `cursor` of the last session of the page before; the page begins after it.
        descending: whether the latest start comes first.

    Returns:
        The sessions.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidParameter: the request makes no sense.
        NotAuthenticated: the caller is not logged in.
        NotAllowed: the caller is a client, and the sessions are those of another person.
        BookingFailed: see there.

    Example::

        upcoming = Bookings(db).list_sessions(user_id=client, starts_from=datetime.now(UTC))
    """
    return many(
        "list_sessions",
        ListedSession,
        p_user_id=parameters.optional_id(user_id, InvalidUserId),
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
        p_statuses=parameters.optional_texts("p_statuses", statuses),
        p_starts_from=parameters.optional_instant("p_starts_from", starts_from),
        p_starts_before=parameters.optional_instant("p_starts_before", starts_before),
        p_limit=parameters.integer("p_limit", limit),
        p_cursor=parameters.optional_text("p_cursor", cursor),
        p_descending=parameters.boolean("p_descending", descending),
    )


def _status_change(function: str, session_id: UUID | str, idempotency_key: str | None) -> Call[ChangedSession]:
    return one(
        function,
        ChangedSession,
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_idempotency_key=parameters.key(idempotency_key),
    )
