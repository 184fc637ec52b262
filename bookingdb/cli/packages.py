"""The commands about packages: set, list, grant."""

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records
from bookingdb.cli.options import PERSON, database_options, database_url_option, json_option
from bookingdb.cli.output import remark, say


@click.group("packages")
def packages_group() -> None:
    """Say what the practice sells, and grant it."""


@packages_group.command("set")
@click.argument("name")
@click.argument("credits_", metavar="CREDITS", type=int)
@click.option(
    "--validity",
    metavar="DAYS",
    help="How long they can be spent, e.g. '30 days', '1 month' or '1 year'; default: without end.",
)
@click.option("--price", "price_reference", metavar="TEXT", help="The price at the payment provider, e.g. price_10.")
@click.option(
    "--rollover-cap",
    type=int,
    help="How many unspent credits of a client's earlier lots a renewal keeps, while the rest expires;"
    " default: it touches none.",
)
@click.option(
    "--category",
    type=click.Choice(["paid", "promotional"]),
    default="paid",
    show_default=True,
    help="Promotional credits are spent before paid ones of the same priority and end.",
)
@click.option(
    "--priority", type=int, default=50, show_default=True, help="0 to 100; credits of a lower number are spent first."
)
@click.option("--active/--inactive", "active", default=True, show_default=True, help="Whether it is sold.")
@click.option("--id", "package_id", metavar="UUID", help="The package to rename; default: the one of this name.")
@database_url_option
@json_option
def set_package(
    name: str,
    credits_: int,
    validity: str | None,
    price_reference: str | None,
    rollover_cap: int | None,
    category: str,
    priority: int,
    active: bool,
    package_id: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Create the package NAME of CREDITS credits, or change all of it. Lots that were granted stay as they are.

    An option that is left out is cleared: validity, price and cap are none then, the others have their defaults.
    """
    with open_database(database_url) as connection:
        package = Bookings(connection).set_package(
            name,
            credits_,
            validity=validity,
            price_reference=price_reference,
            rollover_cap=rollover_cap,
            category=category,
            priority=priority,
            active=active,
            package_id=package_id,
        )
    print_records([package], as_json, single=True)


@packages_group.command("list")
@click.option("--all", "include_inactive", is_flag=True, help="Also those that are not sold any more.")
@database_options
def list_packages(include_inactive: bool, database_url: str | None, as_json: bool) -> None:
    """List the packages that are sold, by name."""
    with open_database(database_url) as connection:
        packages = Bookings(connection).list_packages(include_inactive=include_inactive)
    print_records(packages, as_json)


@packages_group.command("grant")
@click.argument("user", type=PERSON)
@click.argument("package", required=False)
@click.option("--price", "price_reference", metavar="TEXT", help="Instead of PACKAGE: the price that it has.")
@click.option("--payment-reference", metavar="TEXT", help="The payment; the same one never grants twice.")
@click.option("--idempotency-key", metavar="KEY", help="The same key never grants twice.")
@database_url_option
@json_option
def grant_package(
    user: str,
    package: str | None,
    price_reference: str | None,
    payment_reference: str | None,
    idempotency_key: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Give USER (UUID or e-mail) the credits of PACKAGE (its UUID or name).

    A package with a rollover cap renews the lots before it.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        # Names are unique, whatever their case, as the database has it.
        ids = {known.name.lower(): known.id for known in bookings.list_packages(include_inactive=True)}
        grant = bookings.grant_package(
            user,
            ids.get(package.lower(), package) if package else None,
            price_reference=price_reference,
            payment_reference=payment_reference,
            idempotency_key=idempotency_key,
        )
    print_records([grant], as_json, single=True)
    if not grant.is_new:
        (remark if as_json else say)("This was granted before: nothing was added.")
