"""Policies: the rules for bookings, by default and with a therapist."""

from typing import Unpack
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, one
from bookingdb.errors import InvalidTherapistId
from bookingdb.policy import Policy, PolicySettings


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
    return one(
        "get_policy",
        Policy,
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
    )


def set_policy(*, therapist_id: UUID | str | None = None, **settings: Unpack[PolicySettings]) -> Call[Policy]:
    """Change what holds for the bookings with a therapist, or by default. Sessions already booked keep their terms.

    Args:
        therapist_id: the therapist; without one the default.
        settings: by name, see :class:`~bookingdb.Policy`. Those not given stay, and None means: as the default says.

    Returns:
        The policy that holds now.

    Raises:
        InvalidTherapistId, InvalidTimeZone, InvalidParameter: the request makes no sense.
        TherapistNotFound: nobody with this id can be booked.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_policy(therapist_id=therapist, cancellation_window=timedelta(hours=48), hold_lifetime=None)
    """
    return one(
        "set_policy",
        Policy,
        p_settings=parameters.settings(settings),
        p_therapist_id=parameters.optional_id(therapist_id, InvalidTherapistId),
    )
