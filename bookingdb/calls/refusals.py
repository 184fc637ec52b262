"""Traces of refusals: who was refused what, when, and by which rule."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Argument, Call, many, scalar
from bookingdb.errors import BookingError, InvalidTherapistId, InvalidUserId
from bookingdb.records import Refusal

# Parameters that DETAIL does not repeat, without their p_.
_ASKED: Final = ("session_id", "hold_id", "session_date", "session_time", "time_zone", "duration_minutes")

_FUNCTION_HINT: Final = "Say which function refused, such as 'hold_slot': the error did not come from a call."


def record_refusal(
    error: BookingError,
    *,
    user_id: UUID | str | None = None,
    therapist_id: UUID | str | None = None,
    function_name: str | None = None,
) -> Call[bool]:
    """Record that a call was refused, where the therapist's policy asks for it (`record_refusals`).

    The calls on a URL, a pool or an idle connection in autocommit do that by themselves. In a transaction of yours
    nothing can be written after an error: call this after the rollback.

    Args:
        error: what the call raised. It knows its function, its people and its session.
        user_id: who was refused, where the call does not say so.
        therapist_id: the therapist, where the call does not say so.
        function_name: the SQL function, where the error did not come from a call.

    Returns:
        Whether it was recorded. No policy asks for it by default, and none keeps more than 100 a day and user, and 100
        that the user's own login reported.

    Raises:
        InvalidUserId, InvalidTherapistId, InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller may not record this for them.
        Busy, BookingFailed: see there.

    Example::

        try:
            with connection.transaction():
                bookings.book_session(user_id=client, therapist_id=therapist, starts_at=monday)
        except BookingError as error:
            bookings.record_refusal(error)
            raise
    """
    asked = error.asked
    function_name = function_name or error.function_name
    if function_name is None:
        raise parameters.invalid("p_function_name", _FUNCTION_HINT)
    context = {name: _text(asked[name]) for name in _ASKED if asked.get(name) is not None}
    # The same word may mean another thing in DETAIL: the therapist's zone, the session in the way.
    context |= {_told(name, value, context): value for name, value in error.detail.items()}
    return scalar(
        "record_refusal",
        bool,
        p_function_name=parameters.text("p_function_name", function_name),
        p_code=Argument("text", error.code),
        p_user_id=parameters.optional_id(asked.get("user_id") if user_id is None else user_id, InvalidUserId),
        p_therapist_id=parameters.optional_id(
            asked.get("therapist_id") if therapist_id is None else therapist_id, InvalidTherapistId
        ),
        # As a text, because an application may have told its driver to encode what is sent as jsonb.
        p_context=Argument("text::jsonb", json.dumps(context, default=str)),
    )


def _told(name: str, value: Any, asked: Mapping[str, Any]) -> str:
    is_other = name in asked and str(asked[name]).lower() != str(value).lower()
    return f"detail_{name}" if is_other else name


def _text(value: Any) -> Any:
    if isinstance(value, time):
        return value.strftime("%H:%M")
    return value if isinstance(value, int) else value.isoformat() if isinstance(value, date) else str(value)


def trace_of(error: BookingError) -> Call[bool] | None:
    """Return the call that records a refusal, or None for what is no refusal of the database's."""
    is_of_a_call = error.function_name not in (None, "act_as", "record_refusal")
    # The database decides about the rest of them.
    return record_refusal(error) if is_of_a_call and 400 <= error.http_status < 500 else None


def asked_by(call: Call[Any]) -> dict[str, Any]:
    """Return what an error is to remember of its call: ids and times, no text of anybody."""
    names = ("user_id", "therapist_id", *_ASKED)
    return {name: call.parameters[f"p_{name}"] for name in names if call.parameters.get(f"p_{name}") is not None}


def list_refusals(
    user_id: UUID | str, from_: datetime | None = None, to: datetime | None = None, *, limit: int = 100
) -> Call[list[Refusal]]:
    """List what a user was refused, newest first, where a policy asked for a record of it.

    A user sees what they were refused themselves, and a server that acted as them; trusted callers see also what others
    were refused for the user.

    Args:
        user_id: the user.
        from_: the instant from which, a datetime with a time zone; None: since ever.
        to: the instant before which, a datetime with a time zone; None: until now. For the next page, the
            ``refused_at`` of the last one.
        limit: how many at most, 1 to 1000; more come only where the last ones share an instant.

    Returns:
        The refusals.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller may not ask for this user.
        BookingFailed: see there.

    Example::

        for refusal in Bookings(db).list_refusals(client):
            print(refusal.refused_at, refusal.function_name, refusal.code, refusal.rule)
    """
    return many(
        "list_refusals",
        Refusal,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_from=parameters.optional_instant("p_from", from_),
        p_to=parameters.optional_instant("p_to", to),
        p_limit=parameters.integer("p_limit", limit),
    )
