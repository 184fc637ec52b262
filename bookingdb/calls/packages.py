"""Packages: what a practice sells."""

from datetime import timedelta
from uuid import UUID

from bookingdb.calls import parameters
from bookingdb.calls.call import Call, many, one
from bookingdb.errors import InvalidUserId
from bookingdb.records import CreditGrant, Package


def set_package(
    name: str,
    credits: int,
    *,
    validity: timedelta | str | None = None,
    price_reference: str | None = None,
    rollover_cap: int | None = None,
    category: str = "paid",
    priority: int = 50,
    active: bool = True,
    package_id: UUID | str | None = None,
) -> Call[Package]:
    """Create a package that the practice sells, or change all of it. Lots that were granted stay as they are.

    Args:
        name: its name, 1 to 200 characters; upper and lower case are the same.
        credits: how many credits it grants, 1 to 10000.
        validity: how long they can be spent: a timedelta of whole days or, because months differ, a text such as
            ``"1 month"``; None: without end.
        price_reference: the price at the payment provider, 1 to 255 characters, by which it can be granted.
        rollover_cap: how many unspent credits of a client's earlier lots of it a renewal keeps, 0 to 10000, while the
            rest expires; None: it touches none.
        category: of its lots, ``"paid"`` or ``"promotional"``.
        priority: of its lots, 0 to 100; credits of a lower number are spent first.
        active: whether it is sold.
        package_id: the package to change, its name too; without it, the one of this name, or a new one.

    Returns:
        The package.

    Raises:
        InvalidParameter: the request makes no sense, or another package has this name or price.
        PackageNotFound: there is no package with this id.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).set_package("Ten sessions", 10, validity="1 year", price_reference="price_10")
    """
    return one(
        "set_package",
        Package,
        p_name=parameters.text("p_name", name),
        p_credits=parameters.integer("p_credits", credits),
        p_validity=parameters.optional_validity(validity),
        p_price_reference=parameters.optional_text("p_price_reference", price_reference),
        p_rollover_cap=parameters.optional_integer("p_rollover_cap", rollover_cap),
        p_category=parameters.text("p_category", category),
        p_priority=parameters.integer("p_priority", priority),
        p_active=parameters.boolean("p_active", active),
        p_package_id=parameters.optional_other_id("p_package_id", package_id),
    )


def list_packages(*, include_inactive: bool = False) -> Call[list[Package]]:
    """List the packages that are sold, by name.

    Args:
        include_inactive: also those that are not sold any more; for trusted callers.

    Returns:
        The packages.

    Raises:
        NotAuthenticated, NotAllowed: the caller is not logged in, or not trusted.
        InvalidParameter: the request makes no sense.
        BookingFailed: see there.

    Example::

        for package in Bookings(db).list_packages():
            print(package.name, package.credits, package.validity)
    """
    return many(
        "list_packages",
        Package,
        p_include_inactive=parameters.boolean("p_include_inactive", include_inactive),
    )


def grant_package(
    user_id: UUID | str,
    package_id: UUID | str | None = None,
    *,
    price_reference: str | None = None,
    payment_reference: str | None = None,
    idempotency_key: str | None = None,
) -> Call[CreditGrant]:
    """Give a client the credits of a package, as one lot. A monthly package renews the lots before it.

    Args:
        user_id: the client.
        package_id: the package, or
        price_reference: the price at the payment provider that it has.
        payment_reference: the payment it was bought with; the same payment never grants twice.
        idempotency_key: 1 to 255 characters; the same call with the same key grants nothing again.

    Returns:
        The lot, what is in it, the client's credits in all lots, and whether this call granted it. A retry has the same
        lot, also when the package was changed since.

    Raises:
        InvalidUserId, InvalidParameter: the request makes no sense, or does not say in one way which package.
        UserNotFound: there is no such client.
        PackageNotFound: no package that is sold has this id or price.
        IdempotencyKeyReused: key or payment belong to another request.
        GrantRevoked: the payment was taken back.
        NotAuthenticated, NotAllowed: the caller is not trusted.
        Busy, BookingFailed: see there.

    Example::

        Bookings(db).grant_package(client, price_reference="price_10", payment_reference="pi_3Nd2")
    """
    if (package_id is None) == (price_reference is None):
        raise parameters.invalid("p_package_id", "Give the package's id or its price reference, one of the two.")
    return one(
        "grant_package",
        CreditGrant,
        p_user_id=parameters.id_(user_id, InvalidUserId),
        p_package_id=parameters.optional_other_id("p_package_id", package_id),
        p_price_reference=parameters.optional_text("p_price_reference", price_reference),
        p_payment_reference=parameters.optional_text("p_payment_reference", payment_reference),
        p_idempotency_key=parameters.key(idempotency_key),
    )
