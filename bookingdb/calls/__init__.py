"""One pure builder per SQL function: checked parameters in, statement and result type out.

A builder asks no database. It refuses what is malformed with the error that the database would raise, and returns a
:class:`Call`, which :mod:`bookingdb.execution` runs on whatever connection there is. The methods of
:class:`~bookingdb.Bookings` and :class:`~bookingdb.AsyncBookings` are these builders: their parameters and their
documentation stand here and nowhere else. How a call is put together is in :mod:`bookingdb.calls.call`, what a
parameter must look like in :mod:`bookingdb.calls.parameters`.
"""

from bookingdb.calls.availability import (
    add_time_off,
    get_weekly_hours,
    list_date_overrides,
    list_opening_hours,
    list_time_off,
    remove_time_off,
    set_date_override,
    set_weekly_hours,
    sync_external_busy,
)
from bookingdb.calls.booking import (
    book_hold,
    book_series,
    book_session,
    book_session_with_override,
    check_booking_conflict,
    hold_slot,
    lock_for_booking,
    release_hold,
)
from bookingdb.calls.call import Call
from bookingdb.calls.credits import (
    adjust_credits,
    expire_credits,
    get_credit_balance,
    get_credit_history,
    get_credit_statement,
    grant_credits,
    revoke_grant,
)
from bookingdb.calls.people import register_client, register_therapist, set_therapist_active
from bookingdb.calls.policy import PolicySettings, get_policy, set_policy
from bookingdb.calls.sessions import (
    approve_session,
    cancel_session,
    complete_session,
    confirm_session,
    list_sessions,
    mark_no_show,
    reschedule_session,
    start_session,
)
from bookingdb.calls.slots import (
    find_available_therapists,
    list_available_days,
    list_available_slots,
    list_slot_states,
    next_available_slot,
)

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
    "list_slot_states",
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
