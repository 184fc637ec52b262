"""Video rooms: what the worker wants of a service, and how a room follows its session.

A second service is one class with the methods of :class:`VideoService`, and one line in SENDERS.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from bookingdb.errors import SessionNotFound
from bookingdb.worker.outcome import Outcome
from bookingdb.worker.senders import Environment, MissingSetting

if TYPE_CHECKING:
    from bookingdb.records import ClaimedDelivery, JoinableSession

# A session of one of these has no room, or none any more.
_WITHOUT_ROOM: Final = ("not_active", "too_late")


class VideoError(Exception):
    """The service did not do what it was asked.

    Attributes:
        detail: why, without any secret.
        status_code: the HTTP status, where there was an answer.
        retry_after: how long the service wants to be left alone.
        is_final: whether the same call would fail again, until somebody changes something.
    """

    def __init__(
        self,
        detail: str,
        status_code: int | None = None,
        retry_after: timedelta | None = None,
        *,
        is_final: bool = False,
    ) -> None:
        """Remember what is to be known."""
        super().__init__(detail)
        self.detail = detail
        self.status_code = status_code
        self.retry_after = retry_after
        self.is_final = is_final


class VideoService(Protocol):
    """A service with rooms that have names. Each method may be repeated, and raises VideoError."""

    def ensure_room(self, name: str, opens_at: datetime, closes_at: datetime) -> str:
        """Make the room be there, private, and open from one instant to another; return its https address."""

    def delete_room(self, name: str) -> None:
        """Make the room be gone."""

    def meeting_token(
        self, name: str, user_name: str, *, is_owner: bool, opens_at: datetime, closes_at: datetime
    ) -> str:
        """Return what lets one person into the room, from one instant to another."""

    def check(self) -> None:
        """Ask for something harmless, to see whether the key is right."""


def token_to_join(service: VideoService, session: JoinableSession, user_name: str) -> str:
    """Return the token with which one of the two enters the room; nobody else may see it, and no log.

    Args:
        service: the service, with its key.
        session: what `join_session` says to the person who wants to enter.
        user_name: what the others in the room see.

    Raises:
        ValueError: they may not join now.
        VideoError: the service gave none.

    Example:
        >>> session = Bookings(db, acting_as=user_id).join_session(session_id)
        >>> if session.may_join:
        ...     token = token_to_join(Daily(HttpClient(), api_key), session, "Ada")
    """
    if not session.may_join or session.opens_at is None or session.closes_at is None:
        raise ValueError(f"nobody joins now: {session.reason}")
    return service.meeting_token(
        session.room_name,
        user_name,
        is_owner=session.part == "therapist",
        opens_at=session.opens_at,
        closes_at=session.closes_at,
    )


class VideoSender:
    """Makes a session's room be what the session is now, whatever the event was.

    Args:
        service_of: makes the service from the settings and secrets of a delivery.
    """

    def __init__(self, service_of: Callable[[ClaimedDelivery, Environment], VideoService]) -> None:
        """Remember how to get at the service."""
        self._service_of = service_of

    def send(self, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
        """Make, move or delete the room, and write its address to the session."""
        is_test = delivery.type == "bookingdb.test"
        # A reminder is no change, and has a line of its own: it could overtake one.
        if not is_test and (not delivery.type.startswith("session.") or delivery.type == "session.reminder"):
            return Outcome("dropped", detail="rooms follow the changes of sessions alone")
        try:
            service = self._service_of(delivery, environment)
            if not is_test:
                return _follow(service, delivery, environment)
            service.check()
            return Outcome("delivered", 200)
        except MissingSetting as error:
            return Outcome("retry", detail=str(error))
        except VideoError as error:
            if not error.is_final:
                return Outcome("retry", error.status_code, error.detail, error.retry_after)
            if not is_test:
                _mark(delivery, environment, _address(delivery), "failed")
            return Outcome("dead", error.status_code, error.detail)


def _follow(service: VideoService, delivery: ClaimedDelivery, environment: Environment) -> Outcome:
    try:
        session = environment.bookings.join_session(delivery.subject_id)
    except SessionNotFound:
        # Deleted: the room has the session's id for its name.
        service.delete_room(str(delivery.subject_id))
        return Outcome("delivered", 200, "deleted with its session")
    if session.opens_at is None or session.closes_at is None or session.reason in _WITHOUT_ROOM:
        service.delete_room(session.room_name)
        _mark(delivery, environment, None, None)
        return Outcome("delivered", 200, "deleted")
    address = service.ensure_room(session.room_name, session.opens_at, session.closes_at)
    _mark(delivery, environment, address, "ready")
    return Outcome("delivered", 200)


def _address(delivery: ClaimedDelivery) -> str | None:
    """Return the address that the session had when the delivery was claimed."""
    session = (delivery.context or {}).get("session") or {}
    address = session.get("video_url")
    return address if isinstance(address, str) else None


def _mark(delivery: ClaimedDelivery, environment: Environment, address: str | None, status: str | None) -> None:
    # A session that is deleted meanwhile sends its own event.
    with suppress(SessionNotFound):
        environment.bookings.set_session_video(delivery.subject_id, address, status)
