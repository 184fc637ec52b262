"""The command that writes a calendar file: ics."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click

from bookingdb import Bookings
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli.console import open_database
from bookingdb.cli.options import PERSON, database_options, moments_options, span_of
from bookingdb.cli.output import print_document, print_json, say

EVERYTHING: Final = 2**31 - 1


@click.command("ics")
@click.argument("therapist", type=PERSON)
@moments_options
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output."
)
@database_options
def ics(
    therapist: str,
    from_: date | None,
    to: date | None,
    output: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Write an iCalendar file of the sessions and the time off of THERAPIST (UUID or e-mail).

    Sessions that were cancelled or went to another therapist are in it as cancelled, so that a calendar that has them
    takes them out.
    """
    from bookingdb.ical import writing  # noqa: PLC0415 (the package icalendar takes its time)

    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy(therapist)
        begin, end = span_of(policy, from_, to)
        sessions = bookings.list_sessions(
            therapist_id=therapist, starts_from=begin, starts_before=end, limit=EVERYTHING
        )
        # After the sessions: one that leaves in between has left.
        changes = bookings.list_calendar_changes(therapist, begin, end)
        time_off = bookings.list_time_off(therapist, begin, end)
    zone = zone_named(policy.time_zone)
    written = writing.write(sessions, time_off, zone, changes, begin=begin, end=end, now=datetime.now(UTC))
    if output is not None:
        output.write_bytes(written)
    if as_json:
        print_json({"path": output, "calendar": None if output else written.decode()})
    elif output is not None:
        say(f"Wrote {output}")
    else:
        print_document(written.decode())
