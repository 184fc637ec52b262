"""The commands about the deliveries of events: status, list, replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records, print_table
from bookingdb.cli.options import INSTANT, database_options, database_url_option, json_option
from bookingdb.cli.output import print_json, say

_STATUSES = ("pending", "delivered", "dead", "dropped")


@click.group("deliveries")
def deliveries_group() -> None:
    """See what was delivered to whom, and deliver it again."""


@deliveries_group.command("status")
@database_options
def deliveries_status(database_url: str | None, as_json: bool) -> None:
    """Say how far each destination is behind: its backlog, since when, and how many are dead."""
    with open_database(database_url) as connection:
        found = Bookings(connection).deliveries_status()
    if as_json:
        print_records(found, as_json)
        return
    now = datetime.now(UTC)
    print_table(
        [
            {
                "destination": status.destination,
                "kind": status.kind,
                "enabled": "yes" if status.is_enabled else f"no: {status.disabled_reason}",
                "backlog": status.backlog,
                "oldest": _age(status.oldest, now),
                "due": status.due,
                "in flight": status.in_flight,
                "dead": status.dead,
            }
            for status in found
        ]
    )


def _age(moment: datetime | None, now: datetime) -> str | None:
    """Return how long ago it was, to the second."""
    return None if moment is None else str(timedelta(seconds=max(0, int((now - moment).total_seconds()))))


@deliveries_group.command("list")
@click.option("--destination", metavar="NAME", help="Of this destination.")
@click.option("--status", type=click.Choice(_STATUSES), help="With this status.")
@click.option(
    "--subject", "subject_id", metavar="UUID", help="About this session (its reminders, too), hold, lot or person."
)
@click.option("--limit", type=int, default=100, show_default=True, help="How many at most, 1 to 1000.")
@click.option("--before", type=INSTANT, help="Made before this; for the next page the last one's created_at.")
@database_options
def list_deliveries(
    destination: str | None,
    status: str | None,
    subject_id: str | None,
    limit: int,
    before: datetime | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """List deliveries, the newest first, with what the receiver said last."""
    with open_database(database_url) as connection:
        found = Bookings(connection).list_deliveries(
            destination=destination, status=status, subject_id=subject_id, limit=limit, before=before
        )
    print_records(found, as_json)


@deliveries_group.command("replay")
@click.argument("destination")
@click.option(
    "--id",
    "delivery_id",
    metavar="UUID",
    help="This delivery alone, whatever became of it; not one that is being sent.",
)
@click.option("--from", "from_", type=INSTANT, help="Those made from this on.")
@click.option("--to", type=INSTANT, help="Those made before this.")
@click.option(
    "--status", type=click.Choice([*_STATUSES, "all"]), default="dead", show_default=True,
    help="Those of which this became; pending: at once instead of later.",
)  # fmt: skip
@database_url_option
@json_option
def replay_deliveries(
    destination: str,
    delivery_id: str | None,
    from_: datetime | None,
    to: datetime | None,
    status: str,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Deliver to DESTINATION again what is dead, or what the options say; the ids stay what they are."""
    with open_database(database_url) as connection:
        count = Bookings(connection).replay_deliveries(
            destination, delivery_id=delivery_id, from_=from_, to=to, status=None if status == "all" else status
        )
    if as_json:
        print_json({"replayed": count})
    else:
        say(f"{count} to be delivered again.")
