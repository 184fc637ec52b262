"""The video rooms of sessions: who may join, and where the room is."""

from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, nothing, one
from bookingdb.errors import InvalidSessionId
from bookingdb.records import JoinableSession


def join_session(session_id: UUID | str) -> Call[JoinableSession]:
    """Say whether the caller may enter the video room of a session now, and where it is.

    The room is open from some minutes before the start until some minutes after the end; the settings
    `before_minutes` and `after_minutes` of the destination that makes the rooms say how many (15 and 30).

    Args:
        session_id: the session.

    Returns:
        Whether they may, and why not; the address only if they may.

    Raises:
        InvalidSessionId: the request makes no sense.
        SessionNotFound: there is no such session.
        NotAuthenticated, NotAllowed: the caller has no part in the session.
        BookingFailed: see there.

    Example::

        session = Bookings(db, acting_as=user_id).join_session(session_id)
        print(session.video_url if session.may_join else session.reason)
    """
    return one("join_session", JoinableSession, p_session_id=parameters.id_(session_id, InvalidSessionId))


def set_session_video(session_id: UUID | str, url: str | None, status: str | None) -> Call[None]:
    """Write where a session's video room is; this is no change of the session, and nobody is told.

    Args:
        session_id: the session.
        url: the address of the room, which begins with ``https://``, or None.
        status: what became of the room: ``"ready"``, ``"failed"`` or another word, or None.

    Raises:
        InvalidSessionId, InvalidParameter: the request makes no sense.
        SessionNotFound: there is no such session.
        NotAuthenticated, NotAllowed: the caller is no worker.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_session_video(session_id, "https://practice.daily.co/room", "ready")
    """
    return nothing(
        "set_session_video",
        p_session_id=parameters.id_(session_id, InvalidSessionId),
        p_url=parameters.optional_text("p_url", url),
        p_status=parameters.optional_text("p_status", status),
    )
