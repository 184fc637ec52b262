"""What holds for bookings, by default and with a therapist."""

from datetime import timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, row
from bookingdb.errors import InvalidTherapistId
from bookingdb.records import Policy


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
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
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
        p_settings=parameters.settings(settings),
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
    )
