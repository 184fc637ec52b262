"""Acting as a user, for the rest of a transaction."""

from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, nothing
from bookingdb.errors import InvalidUserId


def act_as(user_id: UUID | str) -> Call[None]:
    """Act as a user until the transaction of yours ends: calls, row level security and direct writes.

    Everything on the connection is judged as for that user logged in, your own statements included, and records name
    the user. For single calls :meth:`Bookings.acting_as` is simpler. No call ends it earlier; rolling back to a
    savepoint from before does.

    Args:
        user_id: whoever the transaction is for, a client or a therapist.

    Raises:
        InvalidUserId: it is no UUID.
        RuntimeError: `db` is a URL, a pool or an idle connection in autocommit, where it would be over again before
            the next call.
        NotAuthenticated, NotAllowed: the caller is not trusted, or acts as a user already.
        BookingFailed: see there.

    Example::

        with psycopg.connect(url) as connection:  # one transaction
            Bookings(connection).act_as(ada)
            connection.execute("update sessions set description = %s where id = %s", [notes, session_id])
            # The audit log names Ada.
    """
    return nothing("act_as", p_user_id=parameters.id_(user_id, InvalidUserId), needs_transaction=True)
