"""Grants of credits, and what became of them."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, one, scalar
from bookingdb.errors import InvalidUserId
from bookingdb.records import (
    CreditEntry,
    CreditGrant,
    ExpiredCredits,
    Lot,
    ReinstatedGrant,
    RevokedGrant,
    StatementLine,
    TransferredCredits,
)


def grant_credits(
    user_id: UUID | str,
    amount: int,
    *,
    payment_reference: str | None = None,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
    category: str = "paid",
    priority: int = 50,
    expires_on: date | str | None = None,
) -> Call[CreditGrant]:
    """Give a client credits, as one lot.

    Args:
        user_id: the client.
        amount: how many credits, 1 to 10000.
        payment_reference: the payment they were bought with; the same payment never grants twice.
        expires_at: the instant from which they cannot be spent any more, a datetime with a time zone.
        idempotency_key: 1 to 255 characters; the same call with the same key grants nothing again, whatever the
            expiry.
        category: ``"paid"`` or ``"promotional"``.
        priority: 0 to 100. Credits of a lower number are spent first; of these the soonest to expire, then
            promotional before paid, then the oldest.
        expires_on: instead of `expires_at`, the last day on which they can be spent, a date or ``"YYYY-MM-DD"``, in
            the zone of the default policy.

    Returns:
        The lot, what is in it, the client's credits in all lots, and whether this call granted it.

    Raises:
        InvalidUserId, InvalidDate, InvalidTimeZone, InvalidParameter: the request makes no sense.
        UserNotFound: there is no such client.
        IdempotencyKeyReused: key or payment belong to another request.
        GrantRevoked: the payment was granted, and revoked since.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        grant = Bookings(db).grant_credits(client, 10, payment_reference="pi_3Nd2")
        print(grant.credits_balance)
    """
    return one(
        "grant_credits",
        CreditGrant,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_amount=parameters.integer("p_amount", amount),
        p_payment_reference=parameters.optional_text("p_payment_reference", payment_reference),
        p_expires_at=parameters.optional_instant("p_expires_at", expires_at),
        p_idempotency_key=parameters.key(idempotency_key),
        p_category=parameters.text("p_category", category),
        p_priority=parameters.integer("p_priority", priority),
        p_expires_on=parameters.optional_date(expires_on),
    )


def adjust_credits(
    user_id: UUID | str,
    amount: int,
    *,
    reason: str,
    lot_id: UUID | str | None = None,
    idempotency_key: str | None = None,
) -> Call[CreditGrant]:
    """Correct a client's credits by hand; the ledger keeps the reason.

    Args:
        user_id: the client.
        amount: credits to add (positive) or to take (negative), up to 10000.
        reason: why, 1 to 1000 characters.
        lot_id: the lot to change; without it credits are added as a new lot, and taken in the order in which
            they would be spent.
        idempotency_key: 1 to 255 characters; the same call with the same key changes nothing again.

    Returns:
        The lot that was changed last, what is in it, and the client's credits in all lots.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        LotNotFound: the client has no such lot.
        InsufficientCredits: there are fewer credits than are to be taken, or the lot is over.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).adjust_credits(client, -2, reason="counted twice, ticket 1234")
    """
    return one(
        "adjust_credits",
        CreditGrant,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_amount=parameters.integer("p_amount", amount),
        p_reason=parameters.text("p_reason", reason),
        p_lot_id=parameters.optional_other_id("p_lot_id", lot_id),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def revoke_grant(
    lot_id: UUID | str | None = None,
    *,
    payment_reference: str | None = None,
    reason: str | None = None,
    share: Decimal | float = 1,
    remember: bool = False,
) -> Call[RevokedGrant]:
    """Take back the credits of a lot whose payment was taken back, in whole or in part.

    Credits that are owed are revoked when they come back to the lot they were spent from. Credits that came back to
    another lot of the payment (a grace lot, or one of a client who got the credits) are taken when this is called
    again. Nothing is taken twice.

    Args:
        lot_id: the lot, or
        payment_reference: the payment it was bought with.
        reason: why, up to 1000 characters; the ledger keeps it.
        share: the share of the payment that was refunded so far, in all: over 0, up to 1. It never goes down.
            It takes whole credits, rounded down. A third is ``Decimal(1) / 3``.
        remember: whether a payment that was not granted yet is remembered, and revoked when it is granted.

    Returns:
        The credits that were taken, those that had been spent before, and those that are owed.

    Raises:
        InvalidParameter: the request makes no sense, or does not say in one way which lot.
        LotNotFound: there is no such lot.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        revoked = Bookings(db).revoke_grant(payment_reference="pi_3Nd2", reason="chargeback")
        print(revoked.credits_revoked, revoked.credits_spent)
    """
    if (lot_id is None) == (payment_reference is None):
        raise parameters.invalid("p_lot_id", "Give the lot's id or its payment reference, one of the two.")
    return one(
        "revoke_grant",
        RevokedGrant,
        p_lot_id=parameters.optional_other_id("p_lot_id", lot_id),
        p_payment_reference=parameters.optional_text("p_payment_reference", payment_reference),
        p_reason=parameters.optional_text("p_reason", reason),
        p_share=parameters.share("p_share", share),
        p_remember=parameters.boolean("p_remember", remember),
    )


def reinstate_grant(
    lot_id: UUID | str | None = None,
    *,
    payment_reference: str | None = None,
    reason: str | None = None,
) -> Call[ReinstatedGrant]:
    """Give back what was revoked of a lot, when a dispute was won. Done again, it says the same.

    Args:
        lot_id: the lot, or
        payment_reference: the payment it was bought with.
        reason: why, up to 1000 characters; the ledger keeps it.

    Returns:
        The credits that were ever given back.

    Raises:
        InvalidParameter: the request makes no sense, or does not say in one way which lot.
        LotNotFound: there is no such lot, and no revocation was remembered.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        given = Bookings(db).reinstate_grant(payment_reference="pi_3Nd2", reason="dispute won")
        print(given.credits_reinstated, given.credits_balance)
    """
    if (lot_id is None) == (payment_reference is None):
        raise parameters.invalid("p_lot_id", "Give the lot's id or its payment reference, one of the two.")
    return one(
        "reinstate_grant",
        ReinstatedGrant,
        p_lot_id=parameters.optional_other_id("p_lot_id", lot_id),
        p_payment_reference=parameters.optional_text("p_payment_reference", payment_reference),
        p_reason=parameters.optional_text("p_reason", reason),
    )


def transfer_credits(
    from_user_id: UUID | str,
    to_user_id: UUID | str,
    amount: int,
    *,
    reason: str,
    lot_id: UUID | str | None = None,
    idempotency_key: str | None = None,
) -> Call[TransferredCredits]:
    """Pass credits of one client on to another; the ledgers of both keep the reason.

    They stay what they were: same expiry, category, priority and package. When their payment is taken back, they
    are revoked at the receiver, too.

    Args:
        from_user_id: the client who gives them.
        to_user_id: the client who gets them.
        amount: how many credits, 1 to 10000.
        reason: why, 1 to 1000 characters.
        lot_id: the lot to take them from; without it, they are taken in the order in which they would be spent.
        idempotency_key: 1 to 255 characters; the same call with the same key passes nothing on again.

    Returns:
        The receiver's new lots, and what both can spend.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of the giver, or the receiver is no active client.
        LotNotFound: the giver has no such lot.
        InsufficientCredits: there are fewer credits than are to be passed on.
        IdempotencyKeyReused: the key belongs to another request.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).transfer_credits(client, sister, 3, reason="a present")
    """
    return one(
        "transfer_credits",
        TransferredCredits,
        p_from_user_id=parameters.id_(from_user_id, InvalidUserId),
        p_to_user_id=parameters.id_(to_user_id, InvalidUserId),
        p_amount=parameters.integer("p_amount", amount),
        p_reason=parameters.text("p_reason", reason),
        p_lot_id=parameters.optional_other_id("p_lot_id", lot_id),
        p_idempotency_key=parameters.key(idempotency_key),
    )


def extend_lot(
    lot_id: UUID | str,
    expires_at: datetime | None = None,
    expires_on: date | str | None = None,
    *,
    reason: str,
) -> Call[Lot]:
    """Let a lot expire later. Credits that expired in it come back.

    Args:
        lot_id: the lot.
        expires_at: the instant from which it cannot be spent any more, a datetime with a time zone, or
        expires_on: the last day on which it can be spent, a date or ``"YYYY-MM-DD"``, in the zone of the default
            policy. Either must be later than now, and than the end that the lot has.
        reason: why, 1 to 1000 characters; the ledger keeps it.

    Returns:
        The lot as it is now.

    Raises:
        InvalidDate, InvalidParameter: the request makes no sense, or the lot never expires or was revoked.
        LotNotFound: there is no such lot.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        lot = Bookings(db).extend_lot(lot_id, expires_on="2031-03-31", reason="ill for two months")
        print(lot.lot_balance, lot.expires_at)
    """
    return one(
        "extend_lot",
        Lot,
        p_lot_id=parameters.other_id("p_lot_id", lot_id),
        p_expires_at=parameters.optional_instant("p_expires_at", expires_at),
        p_expires_on=parameters.optional_date(expires_on),
        p_reason=parameters.text("p_reason", reason),
    )


def freeze_lot(lot_id: UUID | str, *, reason: str) -> Call[Lot]:
    """Freeze a lot: its credits cannot be spent, and do not expire, until it is thawed. Repeating it is harmless.

    Args:
        lot_id: the lot.
        reason: why, 1 to 1000 characters; the ledger keeps it.

    Returns:
        The lot as it is now.

    Raises:
        InvalidParameter: the request makes no sense, or the lot has expired or was revoked.
        LotNotFound: there is no such lot.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        print(Bookings(db).freeze_lot(lot_id, reason="parental leave").frozen_at)
    """
    return one(
        "freeze_lot",
        Lot,
        p_lot_id=parameters.other_id("p_lot_id", lot_id),
        p_reason=parameters.text("p_reason", reason),
    )


def thaw_lot(lot_id: UUID | str, *, reason: str) -> Call[Lot]:
    """Thaw a frozen lot: it expires later by the time for which it was frozen. Repeating it is harmless.

    Args:
        lot_id: the lot.
        reason: why, 1 to 1000 characters; the ledger keeps it.

    Returns:
        The lot as it is now.

    Raises:
        InvalidParameter: the request makes no sense.
        LotNotFound: there is no such lot.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        print(Bookings(db).thaw_lot(lot_id, reason="back again").expires_at)
    """
    return one(
        "thaw_lot",
        Lot,
        p_lot_id=parameters.other_id("p_lot_id", lot_id),
        p_reason=parameters.text("p_reason", reason),
    )


def list_lots(user_id: UUID | str, *, include_empty: bool = False) -> Call[list[Lot]]:
    """List a client's lots in the order in which they are spent.

    Args:
        user_id: the client.
        include_empty: also those in which nothing is left to spend: used, expired and revoked ones.

    Returns:
        The lots that have credits to spend, frozen ones too; or all.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        for lot in Bookings(db).list_lots(client):
            print(lot.lot_balance, lot.state, lot.expires_at)
    """
    return many(
        "list_lots",
        Lot,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_include_empty=parameters.boolean("p_include_empty", include_empty),
    )


def expire_credits() -> Call[ExpiredCredits]:
    """Post what is left of expired lots to the ledger, for a scheduled job.

    Expired credits cannot be spent whether this has run or not, and done again it finds nothing.

    Returns:
        The lots and credits that were posted this time.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not trusted.
        BookingFailed: see there.

    Example::

        print(Bookings(db).expire_credits().credits)
    """
    return one(
        "expire_credits",
        ExpiredCredits,
    )


def get_credit_balance(user_id: UUID | str) -> Call[int]:
    """Return how many credits a client can spend now.

    Args:
        user_id: the client.

    Returns:
        The number of credits that are active and not expired.

    Raises:
        InvalidUserId: the id is not a UUID.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        credits = Bookings(db).get_credit_balance(client)
    """
    return scalar(
        "get_credit_balance",
        int,
        p_user_id=parameters.id_(user_id, InvalidUserId),
    )


def get_credit_history(
    user_id: UUID | str, *, limit: int = 50, before: datetime | None = None
) -> Call[list[CreditEntry]]:
    """List the movements of a client's credits, newest first.

    Args:
        user_id: the client.
        limit: how many at most, 1 to 1000; more come only where the last ones share an instant.
        before: only those written before this instant, a datetime with a time zone: the ``created_at`` of the
            last entry of the page before.

    Returns:
        The entries.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        for entry in Bookings(db).get_credit_history(client, limit=10):
            print(entry.created_at, entry.kind, entry.amount)
    """
    return many(
        "get_credit_history",
        CreditEntry,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_limit=parameters.integer("p_limit", limit),
        p_before=parameters.optional_instant("p_before", before),
    )


def get_credit_statement(user_id: UUID | str, from_: datetime, to: datetime) -> Call[list[StatementLine]]:
    """Write a statement of a client's credits: what there was, every movement, what there is. It adds up.

    Args:
        user_id: the client.
        from_: the instant from which, a datetime with a time zone.
        to: the instant before which, a datetime with a time zone, not before `from_`.

    Returns:
        A line ``opening`` with the balance, the ledger's entries in order, each with the balance after it, and a
        line ``closing``. Credits of expired lots are in it until :meth:`~bookingdb.Bookings.expire_credits` ran.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense.
        UserNotFound: nothing is known of this user.
        NotAuthenticated, NotAllowed: the caller may not ask for this client.
        BookingFailed: see there.

    Example::

        for line in Bookings(db).get_credit_statement(client, first_of_january, first_of_february):
            print(line.created_at, line.kind, line.amount, line.balance)
    """
    return many(
        "get_credit_statement",
        StatementLine,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_from=parameters.instant("p_from", from_),
        p_to=parameters.instant("p_to", to),
    )
