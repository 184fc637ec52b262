"""The commands about time off."""

from collections.abc import Sequence
from datetime import date, datetime

import click

from bookingdb import Bookings, TimeOff
from bookingdb.cli.console import open_database, print_records, print_table, print_value
from bookingdb.cli.options import DAYS, MOMENT, PERSON, database_options, moments_options, span_of


@click.group("time-off")
def time_off_group() -> None:
    """List, add and remove time off."""


@time_off_group.command("list")
@click.argument("therapist", type=PERSON)
@moments_options
@database_options
def list_time_off(therapist: str, from_: date | None, to: date | None, database_url: str | None, as_json: bool) -> None:
    """List the time off of THERAPIST (UUID or e-mail), and the sessions that are booked in it all the same."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin, end = span_of(bookings.get_policy(therapist), from_, to)
        found = bookings.list_time_off(therapist, begin, end)
    _print_time_off(found, as_json)


@time_off_group.command("add")
@click.argument("therapist", type=PERSON)
@click.option("--days", type=DAYS, help="Whole days, both included, e.g. 2030-12-24..2030-12-26; or one.")
@click.option("--from", "from_", type=MOMENT, help="Instead of --days: from this date or instant on.")
@click.option("--to", type=MOMENT, help="Up to this date (included) or instant.")
@click.option("--reason", metavar="TEXT", help="Why.")
@database_options
def add_time_off(
    therapist: str,
    days: tuple[date, date] | None,
    from_: date | None,
    to: date | None,
    reason: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Let nothing be booked with THERAPIST (UUID or e-mail) for a time; dates are whole days of the therapist's zone.

    Prints the sessions that were booked in it before: they stay.
    """
    if (days is None) == (from_ is None and to is None) or (from_ is None) != (to is None):
        raise click.UsageError("Give --days, or --from and --to.")
    if from_ is not None and to is not None and not (isinstance(from_, datetime) or isinstance(to, datetime)):
        days = (from_, to)
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        if days is not None:
            added = bookings.add_days_off(therapist, *days, reason=reason)
        else:
            begin, end = span_of(bookings.get_policy(therapist), from_, to)
            added = bookings.add_time_off(therapist, begin, end, reason=reason)
    print_records([added], as_json, single=True)


@time_off_group.command("remove")
@click.argument("time_off_id", metavar="TIME_OFF")
@database_options
def remove_time_off(time_off_id: str, database_url: str | None, as_json: bool) -> None:
    """Take TIME_OFF (a UUID) back. Prints its id."""
    with open_database(database_url) as connection:
        Bookings(connection).remove_time_off(time_off_id)
    print_value("removed", time_off_id, as_json)


def _print_time_off(found: Sequence[TimeOff], as_json: bool) -> None:
    if as_json:
        print_records(found, as_json)
        return
    print_table(
        [
            {
                "id": time_off.id,
                "from": time_off.start_time,
                "to": time_off.end_time,
                "reason": time_off.reason,
                "sessions": [*time_off.session_ids],
            }
            for time_off in found
        ]
    )
