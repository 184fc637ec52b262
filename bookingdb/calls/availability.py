"""When a therapist can be booked: hours and their exceptions, time off, the appointments of other calendars."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, nothing, one, scalar
from bookingdb.errors import InvalidTherapistId
from bookingdb.records import (
    BusyEvent,
    DateOverride,
    OpeningPeriod,
    SyncedBusy,
    TimeOff,
    WeeklyWindow,
)


def list_opening_hours(
    therapist_id: UUID | str, from_: date | str, to: date | str, *, time_zone: str | None = None
) -> Call[list[OpeningPeriod]]:
    """List when a therapist is there, free or not: weekly hours, and what overrides them.

    Args:
        therapist_id: the therapist.
        from_: the first date, a date or ``"YYYY-MM-DD"``.
        to: the last date, included, at most 365 days after the first.
        time_zone: IANA zone of the dates; without it the therapist's, else the default policy's.

    Returns:
        The periods, in order; they do not touch. A therapist who has no weekly hours, and need have none, is there
        all the time.

    Raises:
        InvalidTherapistId, InvalidDate, InvalidTimeZone, InvalidParameter: the question makes no sense.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, BookingFailed: see there.

    Example::

        for period in Bookings(db).list_opening_hours(therapist, "2030-01-07", "2030-01-13"):
            print(period.start_time, period.end_time)
    """
    return many(
        "list_opening_hours",
        OpeningPeriod,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_from=parameters.date_(from_),
        p_to=parameters.date_(to),
        p_time_zone=parameters.zone_name(time_zone),
    )


def get_weekly_hours(therapist_id: UUID | str) -> Call[list[WeeklyWindow]]:
    """Return the weekly hours of a therapist, in the local time of the therapist's zone.

    Args:
        therapist_id: the therapist.

    Returns:
        The windows, in order. Without any the therapist is closed, or can be booked at any time if they never had
        hours: see :meth:`~bookingdb.Bookings.is_bookable_any_time`.

    Raises:
        InvalidTherapistId: the id is not a UUID.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, BookingFailed: see there.

    Example::

        for window in Bookings(db).get_weekly_hours(therapist):
            print(window.weekday, window.start_time, window.end_time)
    """
    return many(
        "get_weekly_hours",
        WeeklyWindow,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
    )


def is_bookable_any_time(therapist_id: UUID | str) -> Call[bool]:
    """Say whether a therapist can be booked at any time because nothing is known of their weekly hours.

    Args:
        therapist_id: the therapist.

    Returns:
        True if they never had weekly hours and the policy's `require_hours` is false. A therapist who had hours and
        has none now is closed. Exceptions on single dates hold in either case.

    Raises:
        InvalidTherapistId: the id is not a UUID.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, BookingFailed: see there.

    Example::

        if Bookings(db).is_bookable_any_time(therapist):
            print("set your hours, or clients book you at night")
    """
    return scalar(
        "is_bookable_any_time",
        bool,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
    )


def set_weekly_hours(
    therapist_id: UUID | str, hours: Iterable[WeeklyWindow | Mapping[str, Any]] | None
) -> Call[list[WeeklyWindow]]:
    """Put weekly hours in the place of all that a therapist has. Booked sessions stay.

    Args:
        therapist_id: the therapist.
        hours: up to 200 windows, in the local time of the therapist's zone: each a :class:`~bookingdb.WeeklyWindow`
            or a mapping with its fields, where times and dates may be texts (``"09:00"``, ``"2030-01-07"``) and an
            end ``"24:00"`` is midnight. An empty list closes a therapist who has hours or had some. None forgets the
            hours: the therapist can be booked at any time, unless the policy's `require_hours` says otherwise.

    Returns:
        The windows, in order.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense; ``detail["window"]`` says which of them,
            from 1.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_weekly_hours(
            therapist, [WeeklyWindow(weekday, time(9), time(17)) for weekday in range(1, 6)])
    """
    return many(
        "set_weekly_hours",
        WeeklyWindow,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_hours=parameters.optional_weekly_windows("p_hours", hours),
    )


def list_date_overrides(therapist_id: UUID | str, from_: date | str, to: date | str) -> Call[list[DateOverride]]:
    """List the dates on which something else holds than a therapist's weekly hours.

    Args:
        therapist_id: the therapist.
        from_: the first date, a date or ``"YYYY-MM-DD"``, in the therapist's zone.
        to: the last date, included.

    Returns:
        The windows that hold on these dates instead, in order; a date that is closed has one without times.

    Raises:
        InvalidTherapistId, InvalidDate: the question makes no sense.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, BookingFailed: see there.

    Example::

        for override in Bookings(db).list_date_overrides(therapist, "2030-12-01", "2030-12-31"):
            print(override.override_date, override.start_time or "closed")
    """
    return many(
        "list_date_overrides",
        DateOverride,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_from=parameters.date_(from_),
        p_to=parameters.date_(to),
    )


def set_date_override(
    therapist_id: UUID | str,
    date: date | str,
    hours: Iterable[tuple[time | str, time | str] | Mapping[str, Any]] | None = None,
) -> Call[list[DateOverride]]:
    """Let other hours than the weekly ones hold on a date. Booked sessions stay.

    Args:
        therapist_id: the therapist.
        date: the date, a date or ``"YYYY-MM-DD"``, in the therapist's zone.
        hours: windows of that date, each a start and an end, or a mapping with ``start_time`` and ``end_time``; times
            or texts such as ``"09:00"``, an end at or before the start is on the next day. None of them (``[]``)
            closes the date; None lets the weekly hours hold again.

    Returns:
        The windows that override the weekly hours on that date now.

    Raises:
        InvalidTherapistId, InvalidDate, InvalidParameter: the request makes no sense; ``detail["window"]`` says
            which window, from 1.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_date_override(therapist, "2030-12-24", [("09:00", "12:00")])
        Bookings(db).set_date_override(therapist, "2030-12-25", [])
    """
    return many(
        "set_date_override",
        DateOverride,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_date=parameters.date_(date),
        p_hours=parameters.optional_windows("p_hours", hours),
    )


def list_time_off(therapist_id: UUID | str, from_: datetime, to: datetime) -> Call[list[TimeOff]]:
    """List a therapist's time off that reaches into a time, in order.

    Args:
        therapist_id: the therapist.
        from_: the instant from which, a datetime with a time zone.
        to: the instant before which, a datetime with a time zone.

    Returns:
        The time off, each with the sessions that are booked in it all the same.

    Raises:
        InvalidTherapistId, InvalidParameter: the question makes no sense.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        BookingFailed: see there.

    Example::

        now = datetime.now(UTC)
        for time_off in Bookings(db).list_time_off(therapist, now, now + timedelta(days=90)):
            print(time_off.start_time, time_off.end_time, time_off.reason)
    """
    return many(
        "list_time_off",
        TimeOff,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_from=parameters.instant("p_from", from_),
        p_to=parameters.instant("p_to", to),
    )


def add_time_off(
    therapist_id: UUID | str, start: datetime, end: datetime, *, reason: str | None = None
) -> Call[TimeOff]:
    """Let nothing be booked with a therapist for a time. The same time once more is the same time off.

    Args:
        therapist_id: the therapist.
        start: the instant from which, a datetime with a time zone. For whole days: `add_days_off`.
        end: the instant until which, a datetime with a time zone.
        reason: why, up to 1000 characters.

    Returns:
        The time off, with the sessions that were booked in it before: they stay, and are to be moved or cancelled.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        time_off = Bookings(db).add_time_off(therapist, monday, monday + timedelta(days=7), reason="holiday")
        for session_id in time_off.session_ids:
            Bookings(db).cancel_session(session_id, reason="holiday")
    """
    return one(
        "add_time_off",
        TimeOff,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_start=parameters.instant("p_start", start),
        p_end=parameters.instant("p_end", end),
        p_reason=parameters.optional_text("p_reason", reason),
    )


def add_days_off(
    therapist_id: UUID | str, first_date: date | str, last_date: date | str, *, reason: str | None = None
) -> Call[TimeOff]:
    """Let nothing be booked with a therapist on whole days. The same days once more are the same time off.

    Args:
        therapist_id: the therapist.
        first_date: the first day, a date or ``"YYYY-MM-DD"``, in the therapist's zone.
        last_date: the last day, included.
        reason: why, up to 1000 characters.

    Returns:
        The time off, from midnight to midnight, with the sessions that were booked in it before: they stay, and are to
        be moved or cancelled.

    Raises:
        InvalidTherapistId, InvalidDate, InvalidTimeZone, InvalidParameter: the request makes no sense.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).add_days_off(therapist, "2030-12-24", "2030-12-26", reason="holidays")
    """
    return one(
        "add_days_off",
        TimeOff,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_first_date=parameters.date_(first_date),
        p_last_date=parameters.date_(last_date),
        p_reason=parameters.optional_text("p_reason", reason),
    )


def remove_time_off(time_off_id: UUID | str) -> Call[None]:
    """Take time off back.

    Args:
        time_off_id: the time off.

    Raises:
        InvalidParameter: the id is not a UUID.
        TimeOffNotFound: there is none with this id, or it was taken back before.
        TherapistNotFound: its therapist is no therapist any more.
        NotAuthenticated, NotAllowed: the caller is neither its therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).remove_time_off(time_off.id)
    """
    return nothing(
        "remove_time_off",
        p_time_off_id=parameters.other_id("p_time_off_id", time_off_id),
    )


def sync_external_busy(
    therapist_id: UUID | str,
    source: str,
    events: Iterable[BusyEvent | Mapping[str, Any]],
    *,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> Call[SyncedBusy]:
    """Bring the appointments that a therapist has in another calendar up to date: nothing is booked over them.

    Args:
        therapist_id: the therapist.
        source: what you call the other calendar, 1 to 100 characters.
        events: up to 5000 appointments: each a :class:`~bookingdb.BusyEvent` or a mapping with its fields, where
            times may be texts in ISO 8601.
        from_: with `to`: the events are all that the other calendar has from this instant, a datetime with a time
            zone; what it had there before and has no more, goes.
        to: with `from_`: the instant before which they are all.

    Returns:
        The numbers of new, changed and removed events, the sessions that the events overlap (they stay), the events
        that could not be read, each with its reason, and how many events block nothing.

    Raises:
        InvalidTherapistId, InvalidParameter: the request makes no sense. A single event that cannot be read is no
            error: it is in the result.
        TherapistNotFound: there is no such therapist, or none whom the caller may see (a deactivated one).
        NotAuthenticated, NotAllowed: the caller is neither this therapist nor trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).sync_external_busy(
            therapist, "google", [BusyEvent("a1", monday, monday + timedelta(hours=1)), BusyEvent("b2", removed=True)])
    """
    return one(
        "sync_external_busy",
        SyncedBusy,
        p_therapist_id=parameters.id_(therapist_id, InvalidTherapistId),
        p_source=parameters.text("p_source", source),
        p_events=parameters.events("p_events", events),
        p_from=parameters.optional_instant("p_from", from_),
        p_to=parameters.optional_instant("p_to", to),
    )
