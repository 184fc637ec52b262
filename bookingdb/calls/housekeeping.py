"""Removal of what is over."""

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, one
from bookingdb.records import RemovedRecords


def housekeeping(*, limit: int = 1000, dry_run: bool = False) -> Call[RemovedRecords]:
    """Remove what was over longer ago than the default policy's `retention_days`, for a scheduled job.

    Answered idempotency keys, records of holds, handled events, and calendar rows of past sessions, time off and
    appointments of other calendars. Expired holds leave the calendar at once. Sessions, credits, ledger and audit log
    stay, and so does whatever somebody is writing: it waits for nobody.

    Args:
        limit: how many of each kind at most, 1 to 10000. Repeat the call until nothing is found.
        dry_run: True counts all of them and removes none.

    Returns:
        How many of each kind were removed, or would be.

    Raises:
        InvalidParameter: the limit is out of range.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        while any(Bookings(db).housekeeping().to_dict().values()):
            pass
    """
    return one(
        "housekeeping",
        RemovedRecords,
        p_limit=parameters.integer("p_limit", limit),
        p_dry_run=parameters.boolean("p_dry_run", dry_run),
    )
