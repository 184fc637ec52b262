"""The command about the appointments of other calendars: busy import."""

from datetime import date
from typing import BinaryIO

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_table
from bookingdb.cli.options import MOMENT, PERSON, database_options, span_of
from bookingdb.cli.output import print_json, say


@click.group("busy")
def busy_group() -> None:
    """Take over the appointments of other calendars."""


@busy_group.command("import")
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.argument("therapist", type=PERSON)
@click.option("--source", required=True, metavar="NAME", help="What you call the other calendar, 1 to 100 characters.")
@click.option("--from", "from_", type=MOMENT, help="From this date or instant on; default: today.")
@click.option(
    "--to", type=MOMENT, help="Up to this date (included) or instant; default: as far ahead as can be booked."
)
@database_options
def import_busy(
    file: BinaryIO,
    therapist: str,
    source: str,
    from_: date | None,
    to: date | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Take the appointments of an iCalendar file (- is standard input) as busy times of THERAPIST (UUID or e-mail).

    The file is all that the other calendar has from --from (default: today) to --to (default: as far ahead as can be
    booked): what came from there before, and is not in it any more, goes. Events that cannot be read are listed, by
    their place in the file, and everything else is taken.
    """
    # The packages for iCalendar take their time.
    from bookingdb.ical import busy, reading  # noqa: PLC0415 (the package icalendar takes its time)

    try:
        calendars = reading.calendars(file.read())
    except reading.NoCalendarError as error:
        raise click.BadParameter(f"this is no iCalendar file. {error}", param_hint="FILE") from None
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy(therapist)
        begin, end = span_of(policy, from_, to)
        if to is None:
            end = busy.end_of_window(policy, begin)
        try:
            taken = busy.take_over(bookings, therapist, source, calendars, policy, begin, end)
        except busy.TooManyEventsError as error:
            raise click.UsageError(f"{error} Import the file in parts, with --from and --to.") from None
    synced, rejected = taken.synced, taken.rejected
    if as_json:
        print_json(synced.to_dict() | {"rejected": rejected})
        return
    say(
        f"{synced.inserted} inserted, {synced.updated} updated, {synced.removed} removed, {synced.ignored} ignored,"
        f" {len(rejected)} rejected"
    )
    if rejected:
        print_table(rejected)
    if synced.session_ids:
        print_table([{"sessions at the same time": session_id} for session_id in synced.session_ids])
