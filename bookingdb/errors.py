"""The errors a call can end with: one class per code, and nothing else reaches the caller.

The database refuses with an SQLSTATE of the form ``PTnnn``, a fixed message and a JSON object with the code.
:func:`from_driver_error` turns that, as psycopg, psycopg2 or SQLAlchemy report it, into the code's class.
A parameter of a wrong form is refused before the database is asked, with the same classes.

No driver is imported here: errors are recognised by their attributes.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from bookingdb.text import printable

LOCK_NOT_AVAILABLE: Final = "55P03"
EXCLUSION_VIOLATION: Final = "23P01"
# Postgres asks to run these again: serialization_failure and deadlock_detected.
RETRYABLE: Final = frozenset({"40001", "40P01"})

# A timestamp as DETAIL has it.
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_PREPARED_HINT: Final = (
    "Does the connection go through a transaction pooler? Then its driver must not prepare statements: for SQLAlchemy,"
    " the section about poolers in docs/operating.md says how."
)
# Hints for the errors of Postgres itself that newcomers meet first.
_HINTS: Final[Mapping[str, str]] = {
    # feature_not_supported: "cached plan must not change result type".
    "0A000": (
        "Was bookingdb upgraded while this connection lived? The function answers otherwise since then: reconnect the"
        " pool, or run DISCARD ALL."
    ),
    "26000": _PREPARED_HINT,
    "40001": "Roll back and run the whole transaction again.",
    "40P01": "Roll back and run the whole transaction again.",
    "42501": "The database role lacks a privilege: `bookingdb verify` says which are expected.",
    "42703": "Is bookingdb installed in this database, in this version? `bookingdb migrate` installs it.",
    "42883": "Is bookingdb installed in this database, in this version? `bookingdb migrate` installs it.",
    "42P01": "Is bookingdb installed in this database, in this version? `bookingdb migrate` installs it.",
    "42P05": _PREPARED_HINT,
}
# For a lost connection, and whatever else the database never heard of.
_NO_ANSWER_HINT: Final = (
    "The database gave no answer; the cause says why. Repeating the call is safe with an idempotency key."
)


class BookingError(Exception):
    """The base of every error of this package; catch it to catch them all.

    Attributes:
        code: the stable name of the error, e.g. ``"booking_conflict"`` (class attribute).
        http_status: the HTTP status that fits, e.g. ``409`` (class attribute).
        message: one fixed English sentence without any user input (class attribute).
        detail: the context (ids, times in UTC, the balance, the parameter's name); always has ``"code"``.
        hint: what to do next, or None.
        function_name: the SQL function that refused, or None where the error came from no call.
        asked: what the call asked for, ids and times alone: what :meth:`~bookingdb.Bookings.record_refusal` keeps.

    ``str(error)`` is the message, what of the detail helps a reader (the parameter, the rule, the next free time), and
    the hint: ``"Booking conflict: outside available hours (rule: weekly_hours; next free: 2030-01-07 09:00
    Europe/Berlin). Choose another time."`` Text of others is escaped in it.

    ``error.__cause__`` is the database driver's error, or None where the parameters were refused before the database
    was asked.

    Example::

        try:
            session = book_session(db, user_id=user, therapist_id=therapist,
                                   session_date="2030-01-07", session_time="10:00")
        except InsufficientCredits:
            return redirect("/credits")
        except BookingError as error:
            return {"code": error.code, "message": str(error)}, error.http_status
    """

    code: ClassVar[str]
    http_status: ClassVar[int]
    message: ClassVar[str]

    def __init__(self, detail: Mapping[str, Any] | None = None, hint: str | None = None) -> None:
        """Take the context and the advice; code, status and message belong to the class."""
        # Both are given to Exception as well, because that is what pickle and copy rebuild an exception from.
        super().__init__(detail, hint)
        self.detail: dict[str, Any] = {"code": self.code, **(detail or {})}
        self.hint = hint
        self.function_name: str | None = None
        self.asked: dict[str, Any] = {}

    def __str__(self) -> str:
        """Return the message, in parentheses what the detail says beside ids, and the hint if there is one."""
        said = _in_words(self.detail)
        message = f"{self.message} ({said})" if said else self.message
        return f"{message}. {self.hint}" if self.hint else message


class NotAuthenticated(BookingError):
    """The database cannot tell who is asking."""

    code = "not_authenticated"
    http_status = 401
    message = "Not authenticated"


class NotAllowed(BookingError):
    """The caller may not act for this user."""

    code = "not_allowed"
    http_status = 403
    message = "Not allowed to act for this user"


class InvalidTherapistId(BookingError):
    """The therapist's id is not a UUID."""

    code = "invalid_therapist_id"
    http_status = 400
    message = "Invalid therapist ID format"


class InvalidUserId(BookingError):
    """The user's id is not a UUID."""

    code = "invalid_user_id"
    http_status = 400
    message = "Invalid user ID format"


class InvalidSessionId(BookingError):
    """The session's id is not a UUID."""

    code = "invalid_session_id"
    http_status = 400
    message = "Invalid session ID format"


class InvalidDate(BookingError):
    """The date is not YYYY-MM-DD, or outside the range in which sessions can be."""

    code = "invalid_date"
    http_status = 400
    message = "Invalid date format"


class InvalidTime(BookingError):
    """The time is not HH:MM on a 24-hour clock, has seconds, or is a datetime without a zone."""

    code = "invalid_time"
    http_status = 400
    message = "Invalid time format"


class SkippedTime(BookingError):
    """A clock change skips this local time on this date: no clock ever shows it."""

    code = "skipped_time"
    http_status = 400
    message = "Invalid time: skipped by a clock change"


class InvalidTimeZone(BookingError):
    """The time zone is not an IANA name such as Europe/Berlin."""

    code = "invalid_time_zone"
    http_status = 400
    message = "Invalid time zone"


class InvalidDuration(BookingError):
    """The duration is not a whole number of minutes from 15 to 180, or not one that the therapist's policy allows."""

    code = "invalid_duration"
    http_status = 400
    message = "Duration must be 15-180 minutes"


class InvalidParameter(BookingError):
    """Any other parameter has no acceptable value; the detail names it."""

    code = "invalid_parameter"
    http_status = 400
    message = "Invalid parameter"


class InPast(BookingError):
    """The session would start in the past."""

    code = "in_past"
    http_status = 400
    message = "Cannot book in the past"


class TooSoon(BookingError):
    """The session would start sooner than bookings are accepted for."""

    code = "too_soon"
    http_status = 400
    message = "Too close to the start to book"


class TooFar(BookingError):
    """The session would start later than bookings are accepted for."""

    code = "too_far"
    http_status = 400
    message = "Too far ahead to book"


class TherapistNotFound(BookingError):
    """There is no such therapist, or they are not active and verified."""

    code = "therapist_not_found"
    http_status = 404
    message = "Therapist not found"


class UserNotFound(BookingError):
    """There is no such client, or they are not active."""

    code = "user_not_found"
    http_status = 404
    message = "User not found"


class SessionNotFound(BookingError):
    """There is no such session."""

    code = "session_not_found"
    http_status = 404
    message = "Session not found"


class HoldNotFound(BookingError):
    """There is no such hold. One that was given up, booked or has expired is still found."""

    code = "hold_not_found"
    http_status = 404
    message = "Hold not found"


class TimeOffNotFound(BookingError):
    """There is no such time off, or it was taken back."""

    code = "time_off_not_found"
    http_status = 404
    message = "Time off not found"


class LotNotFound(BookingError):
    """The client has no such lot of credits, or no lot was bought with this payment."""

    code = "lot_not_found"
    http_status = 404
    message = "Credit grant not found"


class FeedNotFound(BookingError):
    """No calendar feed has this secret, or not any more."""

    code = "feed_not_found"
    http_status = 404
    message = "Calendar feed not found"


class PackageNotFound(BookingError):
    """No package that is sold has this id or price reference."""

    code = "package_not_found"
    http_status = 404
    message = "Package not found"


class DestinationNotFound(BookingError):
    """No destination of events has this name."""

    code = "destination_not_found"
    http_status = 404
    message = "Destination not found"


class InsufficientCredits(BookingError):
    """The client has no active, unexpired credit left, or fewer than are to be taken."""

    code = "insufficient_credits"
    http_status = 402
    message = "Insufficient credits: purchase credits first"


class BookingConflict(BookingError):
    """The therapist is not free at this time.

    Also the parent of the other reasons for which a time is not to be had, :class:`ClientConflict`,
    :class:`OutsideAvailability` and :class:`ClientLimit`.
    """

    code = "booking_conflict"
    http_status = 409
    message = "Booking conflict: time slot unavailable"


class ClientConflict(BookingConflict):
    """The client already has a session at this time."""

    code = "client_conflict"
    http_status = 409
    message = "Booking conflict: you already have a session at this time"


class OutsideAvailability(BookingConflict):
    """The time is outside the therapist's available hours."""

    code = "outside_availability"
    http_status = 409
    message = "Booking conflict: outside available hours"


class ClientLimit(BookingConflict):
    """The client has as many sessions as a policy allows; the detail's ``"rule"`` says which limit."""

    code = "client_limit"
    http_status = 409
    message = "Booking conflict: too many sessions"


class PersonInactive(BookingError):
    """Somebody who is to be registered exists and was deactivated; nothing was changed."""

    code = "person_inactive"
    http_status = 409
    message = "Person is not active"


class GrantRevoked(BookingError):
    """The payment was granted, and revoked since; nothing was granted again."""

    code = "grant_revoked"
    http_status = 409
    message = "Payment was revoked"


class PersonInUse(BookingError):
    """Somebody who is to be erased still has sessions to come, or a hold."""

    code = "person_in_use"
    http_status = 409
    message = "Person still has sessions to come"


class InvalidTransition(BookingError):
    """The session's status (or that it has begun, or not begun yet) does not allow what was asked."""

    code = "invalid_transition"
    http_status = 409
    message = "Session status does not allow this"


class RescheduleRefused(BookingError):
    """The client moves a session too late, or too often; the detail's ``"rule"`` says which."""

    code = "reschedule_refused"
    http_status = 409
    message = "Session can no longer be moved"


class HoldExpired(BookingError):
    """The slot is not held any more; the detail's ``"reason"`` is ``expired``, ``released`` or ``booked``."""

    code = "hold_expired"
    http_status = 410
    message = "Hold expired"


class IdempotencyKeyReused(BookingError):
    """The idempotency key belongs to an earlier call with other parameters."""

    code = "idempotency_key_reused"
    http_status = 422
    message = "Idempotency key was used with other parameters"


class Busy(BookingError):
    """A lock was not to be had within lock_timeout; the same call may well succeed a moment later."""

    code = "busy"
    http_status = 503
    message = "Booking is busy, try again"


class BookingFailed(BookingError):
    """Anything else: no connection, no privilege, no such function, a bug.

    Nothing of the reason is in the message, which may be shown to anybody; it is in ``__cause__``, and its
    SQLSTATE (where the database answered at all) in ``detail["sqlstate"]``.
    """

    code = "booking_failed"
    http_status = 500
    message = "Booking failed"


BY_CODE: Final[Mapping[str, type[BookingError]]] = {
    error.code: error
    for error in (
        NotAuthenticated,
        NotAllowed,
        InvalidTherapistId,
        InvalidUserId,
        InvalidSessionId,
        InvalidDate,
        InvalidTime,
        SkippedTime,
        InvalidTimeZone,
        InvalidDuration,
        InvalidParameter,
        InPast,
        TooSoon,
        TooFar,
        TherapistNotFound,
        UserNotFound,
        SessionNotFound,
        HoldNotFound,
        TimeOffNotFound,
        LotNotFound,
        FeedNotFound,
        PackageNotFound,
        DestinationNotFound,
        InsufficientCredits,
        BookingConflict,
        ClientConflict,
        OutsideAvailability,
        ClientLimit,
        PersonInactive,
        GrantRevoked,
        PersonInUse,
        InvalidTransition,
        RescheduleRefused,
        HoldExpired,
        IdempotencyKeyReused,
        Busy,
        BookingFailed,
    )
}
"""Every error by its code, in the order of the documentation."""


def _in_words(detail: Mapping[str, Any]) -> str:
    """Return what helps a reader: neither ids nor the time that was asked for, which the caller knows."""
    known = ["code"]
    known += ["start_time", "end_time"] if "end_time" in detail else []
    known += ["time_zone"] if "next_free" in detail else []
    return "; ".join(
        f"{printable(name).replace('_', ' ')}: {printable(_value_in_words(value, detail.get('time_zone')))}"
        # The parameter is named before everything that is wrong with it.
        for name, value in sorted(detail.items(), key=lambda item: item[0] != "parameter")
        if name not in known and not name.endswith("_id")
    )


def _value_in_words(value: Any, time_zone: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case str() if _INSTANT.fullmatch(value):
            return instant_in_words(datetime.fromisoformat(value), time_zone)
        case _:
            return str(value)


def instant_in_words(instant: datetime, time_zone: Any) -> str:
    """Return an instant in the zone's local time; in UTC where this machine does not know the zone.

    Example:
        >>> instant_in_words(datetime.fromisoformat("2030-01-07T09:00Z"), "Europe/Berlin")
        '2030-01-07 10:00 Europe/Berlin'
    """
    try:
        local, zone = instant.astimezone(ZoneInfo(time_zone)), time_zone
    except (TypeError, LookupError, ValueError, OSError, OverflowError):
        local, zone = instant, "UTC"
    return f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + f" {zone}"


def driver_error(error: BaseException) -> BaseException:
    """Return the database driver's own error: SQLAlchemy wraps it and keeps it in ``orig``."""
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error, or None where the database did not give one."""
    error = driver_error(error)
    for attribute in ("sqlstate", "pgcode"):
        value = getattr(error, attribute, None)
        if isinstance(value, str):
            return value
    return None


def from_driver_error(error: BaseException) -> BookingError:
    """Return the error of this package that a database driver's error stands for.

    Knows the errors of psycopg 3 and psycopg2, and SQLAlchemy's around them and around asyncpg's.
    Raise the result from the driver's error, so that nothing about it is lost::

        except psycopg.Error as error:
            raise from_driver_error(error) from error
    """
    sqlstate = sqlstate_of(error)
    detail, hint = _detail_and_hint(driver_error(error))
    known = BY_CODE.get(str(detail.get("code")))
    # The number must fit as well: DETAIL alone could come from any function of the application.
    if known is not None and sqlstate == f"PT{known.http_status}":
        return known(detail, hint)
    if sqlstate == EXCLUSION_VIOLATION:
        return BookingConflict(hint="Choose another time.")
    if sqlstate == LOCK_NOT_AVAILABLE:
        return Busy(hint="Try again in a moment.")
    if sqlstate is None:
        return BookingFailed(hint=_NO_ANSWER_HINT)
    return BookingFailed({"sqlstate": sqlstate}, _HINTS.get(sqlstate))


def _detail_and_hint(error: BaseException) -> tuple[dict[str, Any], str | None]:
    """Return DETAIL's JSON object (empty where it is none) and HINT of a driver's error."""
    diagnostics = getattr(error, "diag", None)
    if diagnostics is not None:
        text, hint = diagnostics.message_detail, diagnostics.message_hint
    else:
        # SQLAlchemy's error for asyncpg has no diagnostics; asyncpg's own, its cause, has plain attributes.
        text, hint = getattr(error.__cause__, "detail", None), getattr(error.__cause__, "hint", None)
    try:
        detail = json.loads(text or "{}")
    except ValueError:
        detail = {}
    return (detail if isinstance(detail, dict) else {}), hint
