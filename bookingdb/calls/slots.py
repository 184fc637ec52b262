"""Free times, and the therapists who have them."""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Argument, Call, many, one_or_none
from bookingdb.errors import InvalidSessionId, InvalidTherapistId, InvalidUserId
from bookingdb.records import (
    AvailableDay,
    AvailableSlot,
    AvailableTherapist,
    SlotState,
)


def list_available_slots(
    therapist_id: UUID | str,
    from_: date | str,
    to: date | str,
    *,
    duration_minutes: int = 60,
    time_zone: str | None = None,
    step_minutes: int | None = None,
    exclude_session_id: UUID | str | None = None,
    user_id: UUID | str | None = None,
) -> Call[list[AvailableSlot]]:
    """List the times at which a session can be booked with a therapist now, in order.

    Args:
        therapist_id: the therapist.
        from_: the first date, a date or ``"YYYY-MM-DD"``.
        to: the last date, included, at most 365 days after the first.
        duration_minutes: the session's length, 15 to 180 minutes.
        time_zone: IANA zone of the dates, here and in the result; without it the therapist's, else the default
            policy's.
        step_minutes: every how many minutes of the therapist's clock a slot may start, 1 to 1440; without it the
            policy's `slot_step_minutes`.
        exclude_session_id: a session that does not count, because it is the one to be moved.
        user_id: the client who is to book: what they hold with the therapist is free, and what they have elsewhere at
            that time is not.

    Returns:
        The slots. An hour that the clocks show twice is there twice, one that they skip is not.

    Raises:
        InvalidTherapistId, InvalidUserId, InvalidSessionId, InvalidDate, InvalidTimeZone, InvalidDuration,
        InvalidParameter: the question makes no sense.
        TherapistNotFound, UserNotFound: nobody with this id can be booked, or can book.
        SessionNotFound: there is no such session.
        NotAllowed: the caller has no part in the session, or may not act for the client.
        NotAuthenticated, BookingFailed: see there.

    Example::

        for slot in Bookings(db).list_available_slots(therapist, "2030-01-07", "2030-01-13"):
            print(slot.local_date, slot.local_time)
    """
    return many(
        "list_available_slots",
        AvailableSlot,
        **_slots(therapist_id, from_, to, duration_minutes, time_zone, step_minutes, exclude_session_id, user_id),
    )


def list_slot_states(
    therapist_id: UUID | str,
    from_: date | str,
    to: date | str,
    *,
    duration_minutes: int = 60,
    time_zone: str | None = None,
    step_minutes: int | None = None,
    exclude_session_id: UUID | str | None = None,
    user_id: UUID | str | None = None,
) -> Call[list[SlotState]]:
    """List every time of a therapist's grid of slots, free, taken or off, in order: what a calendar draws.

    Args:
        therapist_id: the therapist.
        from_: the first date, a date or ``"YYYY-MM-DD"``.
        to: the last date, included, at most 365 days after the first.
        duration_minutes: the session's length, 15 to 180 minutes.
        time_zone: IANA zone of the dates, here and in the result; without it the therapist's, else the default
            policy's.
        step_minutes: every how many minutes of the therapist's clock the grid has a time, 1 to 1440; without it the
            policy's `slot_step_minutes`.
        exclude_session_id: a session that does not count, because it is the one to be moved.
        user_id: the client who is to book: what they hold with the therapist is free, and what they have elsewhere at
            that time is taken.

    Returns:
        The times with their states; those that are free are the slots of
        :meth:`~bookingdb.Bookings.list_available_slots`.

    Raises:
        InvalidTherapistId, InvalidUserId, InvalidSessionId, InvalidDate, InvalidTimeZone, InvalidDuration,
        InvalidParameter: the question makes no sense.
        TherapistNotFound, UserNotFound: nobody with this id can be booked, or can book.
        SessionNotFound: there is no such session.
        NotAllowed: the caller has no part in the session, or may not act for the client.
        NotAuthenticated, BookingFailed: see there.

    Example::

        for slot in Bookings(db).list_slot_states(therapist, "2030-01-07", "2030-01-13"):
            print(slot.local_date, slot.local_time, slot.state)
    """
    return many(
        "list_slot_states",
        SlotState,
        **_slots(therapist_id, from_, to, duration_minutes, time_zone, step_minutes, exclude_session_id, user_id),
    )


def list_available_days(
    therapist_id: UUID | str,
    from_: date | str,
    to: date | str,
    *,
    duration_minutes: int = 60,
    time_zone: str | None = None,
    step_minutes: int | None = None,
    exclude_session_id: UUID | str | None = None,
    user_id: UUID | str | None = None,
) -> Call[list[AvailableDay]]:
    """List the dates on which a therapist has something free, in order.

    Args:
        therapist_id: the therapist.
        from_: the first date, a date or ``"YYYY-MM-DD"``.
        to: the last date, included, at most 365 days after the first.
        duration_minutes: the session's length, 15 to 180 minutes.
        time_zone: IANA zone of the dates, here and in the result; without it the therapist's, else the default
            policy's.
        step_minutes: every how many minutes of the therapist's clock a slot may start, 1 to 1440; without it the
            policy's `slot_step_minutes`.
        exclude_session_id: a session that does not count, because it is the one to be moved.
        user_id: the client who is to book: what they hold with the therapist is free, and what they have elsewhere at
            that time is not.

    Returns:
        The dates with a slot, how many there are, and the first and the last.

    Raises:
        InvalidTherapistId, InvalidUserId, InvalidSessionId, InvalidDate, InvalidTimeZone, InvalidDuration,
        InvalidParameter: the question makes no sense.
        TherapistNotFound, UserNotFound: nobody with this id can be booked, or can book.
        SessionNotFound: there is no such session.
        NotAllowed: the caller has no part in the session, or may not act for the client.
        NotAuthenticated, BookingFailed: see there.

    Example::

        for day in Bookings(db).list_available_days(therapist, "2030-01-01", "2030-01-31", duration_minutes=30):
            print(day.local_date, day.slots)
    """
    return many(
        "list_available_days",
        AvailableDay,
        **_slots(therapist_id, from_, to, duration_minutes, time_zone, step_minutes, exclude_session_id, user_id),
    )


def next_available_slot(
    therapist_id: UUID | str,
    *,
    duration_minutes: int = 60,
    after: datetime | None = None,
    time_zone: str | None = None,
    step_minutes: int | None = None,
    exclude_session_id: UUID | str | None = None,
    user_id: UUID | str | None = None,
) -> Call[AvailableSlot | None]:
    """Return the first time at which a session can be booked with a therapist.

    Args:
        therapist_id: the therapist.
        duration_minutes: the session's length, 15 to 180 minutes.
        after: the instant at or after which, a datetime with a time zone; without it now.
        time_zone: IANA zone of date and time in the result; without it the therapist's, else the default policy's.
        step_minutes: every how many minutes of the therapist's clock a slot may start, 1 to 1440; without it the
            policy's `slot_step_minutes`.
        exclude_session_id: a session that does not count, because it is the one to be moved.
        user_id: the client who is to book: what they hold with the therapist is free, and what they have elsewhere at
            that time is not.

    Returns:
        The slot, or None if there is none as far ahead as can be booked.

    Raises:
        InvalidTherapistId, InvalidUserId, InvalidSessionId, InvalidTimeZone, InvalidDuration, InvalidParameter: the
            question makes no sense.
        TherapistNotFound, UserNotFound: nobody with this id can be booked, or can book.
        SessionNotFound: there is no such session.
        NotAllowed: the caller has no part in the session, or may not act for the client.
        NotAuthenticated, BookingFailed: see there.

    Example::

        slot = Bookings(db).next_available_slot(therapist, time_zone="Europe/Berlin")
        print(slot.local_date if slot else "nothing free")
    """
    return one_or_none(
        "next_available_slot",
        AvailableSlot,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_after=parameters.optional_instant("p_after", after),
        p_time_zone=parameters.zone_name(time_zone),
        p_step_minutes=parameters.optional_integer("p_step_minutes", step_minutes),
        p_exclude_session_id=parameters.optional_id(exclude_session_id, InvalidSessionId),
        p_user_id=parameters.optional_id(user_id, InvalidUserId),
    )


def find_available_therapists(
    from_: datetime,
    to: datetime,
    *,
    duration_minutes: int = 60,
    therapist_ids: Iterable[UUID | str] | None = None,
    limit: int = 20,
) -> Call[list[AvailableTherapist]]:
    """Find the therapists who can be booked between two instants, the soonest first.

    Args:
        from_: the instant from which, a datetime with a time zone.
        to: the instant at which the session is over at the latest, a datetime with a time zone, at most 366 days
            later.
        duration_minutes: the session's length, 15 to 180 minutes.
        therapist_ids: only these, None for all; therapists who cannot be booked are ignored.
        limit: how many at most, 1 to 1000.

    Returns:
        The therapists, each with the first slot.

    Raises:
        InvalidDuration, InvalidParameter: the question makes no sense.
        NotAuthenticated, BookingFailed: see there.

    Example::

        tomorrow = datetime.now(UTC) + timedelta(days=1)
        for found in Bookings(db).find_available_therapists(tomorrow, tomorrow + timedelta(days=7), limit=5):
            print(found.therapist_id, found.start_time)
    """
    asked = Argument("uuid[]", None)
    if therapist_ids is not None:
        asked = parameters.ids("p_therapist_ids", therapist_ids, "Give UUIDs of therapists.")
    return many(
        "find_available_therapists",
        AvailableTherapist,
        p_from=parameters.instant("p_from", from_),
        p_to=parameters.instant("p_to", to),
        p_duration_minutes=parameters.duration(duration_minutes),
        p_therapist_ids=asked,
        p_limit=parameters.integer("p_limit", limit),
    )


def _slots(
    therapist_id: UUID | str,
    from_: date | str,
    to: date | str,
    duration_minutes: int,
    time_zone: str | None,
    step_minutes: int | None,
    exclude_session_id: UUID | str | None,
    user_id: UUID | str | None,
) -> dict[str, Argument]:
    return {
        "p_therapist_id": parameters.id_(therapist_id, InvalidTherapistId),
        "p_from": parameters.date_(from_),
        "p_to": parameters.date_(to),
        "p_duration_minutes": parameters.duration(duration_minutes),
        "p_time_zone": parameters.zone_name(time_zone),
        "p_step_minutes": parameters.optional_integer("p_step_minutes", step_minutes),
        "p_exclude_session_id": parameters.optional_id(exclude_session_id, InvalidSessionId),
        "p_user_id": parameters.optional_id(user_id, InvalidUserId),
    }
