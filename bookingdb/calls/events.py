"""Events on their way to the world: destinations and deliveries."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, nothing, one, scalar
from bookingdb.records import ClaimedDelivery, DestinationStatus, ListedDelivery, ListedDestination


def set_destination(
    name: str,
    *,
    kind: str | None = None,
    events: Iterable[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    is_enabled: bool | None = None,
) -> Call[ListedDestination]:
    """Create a destination of events, or change what is given of it.

    Args:
        name: its name: small letters, digits, ``-`` and ``_``, at most 63.
        kind: ``"webhook"``, ``"mail"``, ``"daily"``, ``"calendar"``, ``"python"``, or a word of a worker of your own.
            Needed for a new one, and fixed from then on.
        events: types of events such as ``"session.booked"``, ``"session.*"`` or ``"*"``; None: those of its kind.
        settings: what its kind needs, as in docs/events.md; they replace all settings.
        secrets: what claims alone hand out; they replace all secrets.
        is_enabled: False: it is told of no new events, and nothing is sent to it.

    Returns:
        The destination, without its secrets.

    Raises:
        DestinationNotFound: there is none of this name, and no kind was given.
        InvalidParameter: nothing could be sent to it.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        Bookings(db).set_destination(
            "crm", kind="webhook", settings={"url": "https://crm.example/hook"}, secrets={"signing": ["whsec_..."]}
        )
    """
    return one(
        "set_destination",
        ListedDestination,
        p_name=parameters.text("p_name", name),
        p_kind=parameters.optional_text("p_kind", kind),
        p_events=parameters.optional_texts("p_events", events),
        p_settings=parameters.optional_object("p_settings", settings),
        p_secrets=parameters.optional_object("p_secrets", secrets),
        p_is_enabled=parameters.optional_boolean("p_is_enabled", is_enabled),
    )


def remove_destination(name: str) -> Call[bool]:
    """Remove a destination with its deliveries, also those that are not sent.

    Args:
        name: its name.

    Returns:
        False where there was none.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        Bookings(db).remove_destination("crm")
    """
    return scalar("remove_destination", bool, p_name=parameters.text("p_name", name))


def list_destinations() -> Call[list[ListedDestination]]:
    """List the destinations by name, with the names of their secrets.

    Returns:
        The destinations.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for destination in Bookings(db).list_destinations():
            print(destination.name, destination.kind)
    """
    return many("list_destinations", ListedDestination)


def rotate_secret(name: str, secret: str | None) -> Call[None]:
    """Sign a webhook with a new secret and with the one before, or end that.

    Args:
        name: the destination.
        secret: ``whsec_`` and 24 to 64 bytes in base64; None ends the rotation: the new one alone stays.

    Raises:
        DestinationNotFound: there is none of this name.
        InvalidParameter: it is no secret, the destination has none, or a rotation is under way.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        Bookings(db).rotate_secret("crm", "whsec_" + base64.b64encode(os.urandom(24)).decode())
    """
    return nothing(
        "rotate_secret",
        p_name=parameters.text("p_name", name),
        p_secret=parameters.optional_text("p_secret", secret),
    )


def test_destination(name: str) -> Call[UUID]:
    """Make a delivery of the type ``bookingdb.test``, which a worker sends as any other.

    Args:
        name: the destination.

    Returns:
        The id of the delivery.

    Raises:
        DestinationNotFound: there is none of this name.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        delivery = Bookings(db).test_destination("crm")
    """
    return scalar("test_destination", UUID, p_name=parameters.text("p_name", name))


def relay_events(*, limit: int = 1000) -> Call[int]:
    """Make deliveries of events that nobody has handled, for a worker of your own.

    Args:
        limit: how many events at most, 1 to 10000.

    Returns:
        How many events were handled; 0 where somebody else relays. Call it again while it is `limit`.

    Raises:
        InvalidParameter: the limit is out of range, or the transaction is not READ COMMITTED.
        NotAuthenticated, NotAllowed: the caller is no worker.
        BookingFailed: see there.

    Example::

        while Bookings(db).relay_events() == 1000:
            pass
    """
    return scalar("relay_events", int, p_limit=parameters.integer("p_limit", limit))


def claim_deliveries(
    *,
    limit: int = 10,
    lease: timedelta = timedelta(minutes=1),
    destinations: Iterable[str] | None = None,
    kinds: Iterable[str] | None = None,
    delivery_id: UUID | str | None = None,
) -> Call[list[ClaimedDelivery]]:
    """Take deliveries that are due, to send them after this call's transaction and to finish them then.

    Args:
        limit: how many at most, 1 to 1000.
        lease: how long they are the caller's, 1 second to 1 hour.
        destinations: those of these destinations; None: of all.
        kinds: those of these kinds of destinations; None: of all.
        delivery_id: this one alone.

    Returns:
        The deliveries: of each destination, subject and recipient the oldest unfinished one.

    Raises:
        InvalidParameter: the limit or the lease is out of range, or the transaction is not READ COMMITTED.
        NotAuthenticated, NotAllowed: the caller is no worker.
        BookingFailed: see there.

    Example::

        for delivery in Bookings(db).claim_deliveries(kinds=["pager"]):
            Bookings(db).finish_delivery(delivery.id, delivery.token, "delivered")
    """
    return many(
        "claim_deliveries",
        ClaimedDelivery,
        p_limit=parameters.integer("p_limit", limit),
        p_lease=parameters.interval("p_lease", lease),
        p_destinations=parameters.optional_texts("p_destinations", destinations),
        p_kinds=parameters.optional_texts("p_kinds", kinds),
        p_delivery_id=parameters.optional_other_id("p_delivery_id", delivery_id),
    )


def finish_delivery(
    delivery_id: UUID | str,
    token: UUID | str,
    outcome: str,
    *,
    status_code: int | None = None,
    detail: str | None = None,
    retry_after: timedelta | None = None,
    state: Mapping[str, Any] | None = None,
) -> Call[bool]:
    """Say what became of a delivery that was claimed.

    Args:
        delivery_id: the delivery.
        token: that of its claim.
        outcome: ``"delivered"``; ``"retry"``: later, and dead after ten attempts; ``"dead"``; ``"dropped"``: nobody
            wants it any more; ``"released"``: given back, and not counted as an attempt; ``"gone"``: dead, and its
            destination is disabled.
        status_code: what the receiver answered.
        detail: what it said; 500 characters are kept.
        retry_after: how long to wait before the next attempt, up to 168 hours; None: by the number of attempts.
        state: an object that the sender gets the next time.

    Returns:
        False where the claim is somebody else's by now: nothing was written.

    Raises:
        InvalidParameter: the request makes no sense, or the transaction is not READ COMMITTED.
        NotAuthenticated, NotAllowed: the caller is no worker.
        BookingFailed: see there.

    Example::

        Bookings(db).finish_delivery(delivery.id, delivery.token, "retry", status_code=503)
    """
    return scalar(
        "finish_delivery",
        bool,
        p_delivery_id=parameters.other_id("p_delivery_id", delivery_id),
        p_token=parameters.other_id("p_token", token),
        p_outcome=parameters.text("p_outcome", outcome),
        p_status_code=parameters.optional_integer("p_status_code", status_code),
        p_detail=parameters.optional_text("p_detail", detail),
        p_retry_after=parameters.optional_interval("p_retry_after", retry_after),
        p_state=parameters.optional_object("p_state", state),
    )


def list_deliveries(
    *,
    destination: str | None = None,
    status: str | None = None,
    subject_id: UUID | str | None = None,
    limit: int = 100,
    before: datetime | None = None,
) -> Call[list[ListedDelivery]]:
    """List deliveries, the newest first.

    Args:
        destination: of this destination; None: of all.
        status: ``"pending"``, ``"delivered"``, ``"dead"`` or ``"dropped"``; None: all.
        subject_id: about this session (with its reminders and credits), hold, lot or person.
        limit: how many at most, 1 to 1000.
        before: those made before this; for the next page the last `created_at`.

    Returns:
        The deliveries.

    Raises:
        DestinationNotFound: there is none of this name.
        InvalidParameter: the request makes no sense.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for delivery in Bookings(db).list_deliveries(status="dead"):
            print(delivery.destination, delivery.type, delivery.detail)
    """
    return many(
        "list_deliveries",
        ListedDelivery,
        p_destination=parameters.optional_text("p_destination", destination),
        p_status=parameters.optional_text("p_status", status),
        p_subject_id=parameters.optional_other_id("p_subject_id", subject_id),
        p_limit=parameters.integer("p_limit", limit),
        p_before=parameters.optional_instant("p_before", before),
    )


def replay_deliveries(
    destination: str,
    *,
    delivery_id: UUID | str | None = None,
    from_: datetime | None = None,
    to: datetime | None = None,
    status: str | None = "dead",
) -> Call[int]:
    """Let deliveries be sent again, with the ids that they have.

    Args:
        destination: the destination.
        delivery_id: this delivery alone, whatever became of it, unless it is being sent.
        from_: those made from this on.
        to: those made before this.
        status: ``"dead"``, ``"delivered"``, ``"dropped"``, or ``"pending"``: at once instead of later; None: all.

    Returns:
        How many. Reminders, and tests that are not named, are not sent again.

    Raises:
        DestinationNotFound: there is none of this name.
        InvalidParameter: the request makes no sense, or the transaction is not READ COMMITTED.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        Bookings(db).replay_deliveries("crm")
    """
    return scalar(
        "replay_deliveries",
        int,
        p_destination=parameters.text("p_destination", destination),
        p_delivery_id=parameters.optional_other_id("p_delivery_id", delivery_id),
        p_from=parameters.optional_instant("p_from", from_),
        p_to=parameters.optional_instant("p_to", to),
        p_status=parameters.optional_text("p_status", status),
    )


def deliveries_status() -> Call[list[DestinationStatus]]:
    """Return how far each destination is behind.

    Returns:
        A row for each destination.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        for status in Bookings(db).deliveries_status():
            print(status.destination, status.backlog, status.dead)
    """
    return many("deliveries_status", DestinationStatus)
