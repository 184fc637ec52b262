"""The commands about credits: how they are granted, corrected, and given more time, and what became of them."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records, print_value
from bookingdb.cli.options import MOMENT, PERSON, database_url_option, instants_of, json_option, span_of
from bookingdb.cli.output import remark, say


class Share(click.ParamType[Decimal]):
    """A share as a number or a fraction, which says a third in full."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the share; how large it may be is the database's rule."""
        part, slash, whole = str(value).partition("/")
        try:
            share = Decimal(part) / Decimal(whole) if slash else Decimal(part)
        except (InvalidOperation, ZeroDivisionError):
            share = Decimal("NaN")
        if not share.is_finite():
            self.fail(f"{value!r} is no share such as 0.5 or 1/3.", param, ctx)
        return share


@click.group("credits")
def credits_group() -> None:
    """Grant credits, and see what became of them."""


@credits_group.command("grant")
@click.argument("user", type=PERSON)
@click.argument("amount", type=int)
@click.option("--payment-reference", metavar="TEXT", help="The payment; the same one never grants twice.")
@click.option(
    "--expires",
    "--expires-at",
    "expires",
    type=MOMENT,
    help="The last day on which they can be spent, e.g. 2030-12-31, or the instant at which they end,"
    " e.g. 2030-12-31T23:59+01:00; default: never.",
)
@click.option("--idempotency-key", metavar="KEY", help="The same key never grants twice.")
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
@database_url_option
@json_option
def grant_credits(
    user: str,
    amount: int,
    payment_reference: str | None,
    expires: date | None,
    idempotency_key: str | None,
    category: str,
    priority: int,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Give USER (UUID or e-mail) AMOUNT credits."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        grant = bookings.grant_credits(
            user,
            amount,
            payment_reference=payment_reference,
            expires_at=expires if isinstance(expires, datetime) else None,
            idempotency_key=idempotency_key,
            category=category,
            priority=priority,
            expires_on=None if isinstance(expires, datetime) else expires,
        )
    print_records([grant], as_json, single=True)
    if not grant.is_new:
        what = "This payment" if payment_reference else "This"
        (remark if as_json else say)(f"{what} was granted before: nothing was added.")


@credits_group.command("balance")
@click.argument("user", type=PERSON)
@database_url_option
@json_option
def credit_balance(user: str, database_url: str | None, as_json: bool) -> None:
    """Print how many credits USER (UUID or e-mail) can spend now."""
    with open_database(database_url) as connection:
        balance = Bookings(connection).get_credit_balance(user)
    print_value("credits_balance", balance, as_json)


@credits_group.command("history")
@click.argument("user", type=PERSON)
@click.option("--limit", type=int, default=50, show_default=True, help="How many entries at most.")
@click.option("--before", type=MOMENT, help="Only entries older than this date or instant.")
@database_url_option
@json_option
def credit_history(user: str, limit: int, before: date | None, database_url: str | None, as_json: bool) -> None:
    """Print the ledger of USER (UUID or e-mail), newest entry first, in the default policy's zone."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        until, _ = instants_of(bookings, None, before, None)
        entries = bookings.get_credit_history(user, limit=limit, before=until)
        time_zone = bookings.get_policy().time_zone
    print_records(entries, as_json, time_zone=time_zone)


# A negative amount looks like an option, which click must let pass.
@credits_group.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("user", type=PERSON)
@click.argument("amount", type=int)
@click.option("--reason", required=True, metavar="TEXT", help="Why; the ledger keeps it.")
@click.option(
    "--lot", "lot_id", metavar="UUID", help="The lot to change; default: add as a new one, take as a booking would."
)
@click.option("--idempotency-key", metavar="KEY", help="The same key never changes anything twice.")
@database_url_option
@json_option
def adjust_credits(
    user: str,
    amount: int,
    reason: str,
    lot_id: str | None,
    idempotency_key: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Add AMOUNT credits to those of USER (UUID or e-mail), or take them where it is negative."""
    with open_database(database_url) as connection:
        changed = Bookings(connection).adjust_credits(
            user, amount, reason=reason, lot_id=lot_id, idempotency_key=idempotency_key
        )
    print_records([changed], as_json, single=True)
    if not changed.is_new:
        (remark if as_json else say)("This was adjusted before: nothing was changed.")


@credits_group.command("transfer")
@click.argument("user", type=PERSON)
@click.argument("receiver", type=PERSON)
@click.argument("amount", type=int)
@click.option("--reason", required=True, metavar="TEXT", help="Why; the ledgers of both keep it.")
@click.option("--lot", "lot_id", metavar="UUID", help="The lot to take them from; default: as a booking would.")
@click.option("--idempotency-key", metavar="KEY", help="The same key never transfers twice.")
@database_url_option
@json_option
def transfer_credits(
    user: str,
    receiver: str,
    amount: int,
    reason: str,
    lot_id: str | None,
    idempotency_key: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Pass AMOUNT credits of USER on to RECEIVER (each a UUID or e-mail)."""
    with open_database(database_url) as connection:
        transferred = Bookings(connection).transfer_credits(
            user, receiver, amount, reason=reason, lot_id=lot_id, idempotency_key=idempotency_key
        )
    print_records([transferred], as_json, single=True)


@credits_group.command("revoke")
@click.argument("lot", required=False)
@click.option("--payment-reference", metavar="TEXT", help="Instead of LOT: the payment it was bought with.")
@click.option("--reason", metavar="TEXT", help="Why; the ledger keeps it.")
@click.option(
    "--share",
    type=Share(),
    default="1",
    show_default=True,
    help="The share of the payment that was refunded so far, in all, e.g. 0.5 or 1/3; whole credits, rounded down.",
)
@click.option("--remember", is_flag=True, help="A payment that was not granted yet is revoked when it is.")
@database_url_option
@json_option
def revoke_grant(
    lot: str | None,
    payment_reference: str | None,
    reason: str | None,
    share: Decimal,
    remember: bool,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Take back what is left of LOT (a UUID), and say what had been spent: the payment was taken back."""
    with open_database(database_url) as connection:
        revoked = Bookings(connection).revoke_grant(
            lot, payment_reference=payment_reference, reason=reason, share=share, remember=remember
        )
    print_records([revoked], as_json, single=True)
    if revoked.is_remembered:
        (remark if as_json else say)("This payment was not granted yet: its credits are revoked when it is.")


@credits_group.command("reinstate")
@click.argument("lot", required=False)
@click.option("--payment-reference", metavar="TEXT", help="Instead of LOT: the payment it was bought with.")
@click.option("--reason", metavar="TEXT", help="Why; the ledger keeps it.")
@database_url_option
@json_option
def reinstate_grant(
    lot: str | None, payment_reference: str | None, reason: str | None, database_url: str | None, as_json: bool
) -> None:
    """Give back what was revoked of LOT (a UUID): the payment came after all."""
    with open_database(database_url) as connection:
        given = Bookings(connection).reinstate_grant(lot, payment_reference=payment_reference, reason=reason)
    print_records([given], as_json, single=True)


@credits_group.command("lots")
@click.argument("user", type=PERSON)
@click.option("--all", "include_empty", is_flag=True, help="Also those with nothing left to spend.")
@database_url_option
@json_option
def list_lots(user: str, include_empty: bool, database_url: str | None, as_json: bool) -> None:
    """List the lots of USER (UUID or e-mail) that have credits, in the order in which they are spent."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        lots = bookings.list_lots(user, include_empty=include_empty)
        time_zone = bookings.get_policy().time_zone
    print_records(lots, as_json, time_zone=time_zone)


_reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why; the ledger keeps it.")


@credits_group.command("extend")
@click.argument("lot", metavar="LOT")
@click.option(
    "--expires",
    required=True,
    type=MOMENT,
    help="The last day on which it can be spent, e.g. 2030-12-31, or the instant at which it ends.",
)
@_reason_option
@database_url_option
@json_option
def extend_lot(lot: str, expires: date, reason: str, database_url: str | None, as_json: bool) -> None:
    """Let LOT (a UUID) expire later; what had expired in it comes back."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        extended = bookings.extend_lot(
            lot,
            expires if isinstance(expires, datetime) else None,
            None if isinstance(expires, datetime) else expires,
            reason=reason,
        )
        time_zone = bookings.get_policy().time_zone
    print_records([extended], as_json, single=True, time_zone=time_zone)


@credits_group.command("freeze")
@click.argument("lot", metavar="LOT")
@_reason_option
@database_url_option
@json_option
def freeze_lot(lot: str, reason: str, database_url: str | None, as_json: bool) -> None:
    """Freeze LOT (a UUID): until it is thawed, it cannot be spent and does not expire."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        frozen = bookings.freeze_lot(lot, reason=reason)
        time_zone = bookings.get_policy().time_zone
    print_records([frozen], as_json, single=True, time_zone=time_zone)


@credits_group.command("thaw")
@click.argument("lot", metavar="LOT")
@_reason_option
@database_url_option
@json_option
def thaw_lot(lot: str, reason: str, database_url: str | None, as_json: bool) -> None:
    """Thaw LOT (a UUID): it expires later by the time for which it was frozen."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        thawed = bookings.thaw_lot(lot, reason=reason)
        time_zone = bookings.get_policy().time_zone
    print_records([thawed], as_json, single=True, time_zone=time_zone)


@credits_group.command("expire")
@database_url_option
@json_option
def expire_credits(database_url: str | None, as_json: bool) -> None:
    """Post what is left of expired lots to the ledger; for a scheduled job."""
    with open_database(database_url) as connection:
        expired = Bookings(connection).expire_credits()
    print_records([expired], as_json, single=True)


@credits_group.command("statement")
@click.argument("user", type=PERSON)
@click.option("--from", "from_", required=True, type=MOMENT, help="From this date or instant on, e.g. 2030-01-01.")
@click.option("--to", required=True, type=MOMENT, help="Up to this date (included) or instant, e.g. 2030-01-31.")
@database_url_option
@json_option
def credit_statement(user: str, from_: date, to: date, database_url: str | None, as_json: bool) -> None:
    """Print a statement of USER (UUID or e-mail): the balance before, every movement, the balance after.

    Dates and times are those of the default policy's zone.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy()
        begin, end = span_of(policy, from_, to)
        lines = bookings.get_credit_statement(user, begin, end)
    print_records(lines, as_json, time_zone=policy.time_zone)
