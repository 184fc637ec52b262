"""The commands about the secret addresses of calendars: create, revoke, show."""

from datetime import UTC, datetime

import click

from bookingdb import Bookings
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli.console import open_database, print_value
from bookingdb.cli.options import PERSON, database_options
from bookingdb.cli.output import print_document, print_json


@click.group("feed")
def feed_group() -> None:
    """Let people follow their sessions in a calendar of their own, by a secret address."""


@feed_group.command("create")
@click.argument("user", type=PERSON)
@database_options
def create_feed(user: str, database_url: str | None, as_json: bool) -> None:
    """Print a new secret for the calendar of USER (UUID or e-mail); the one before is revoked."""
    with open_database(database_url) as connection:
        secret = Bookings(connection).create_calendar_feed(user)
    print_value("secret", secret, as_json)


@feed_group.command("revoke")
@click.argument("user", type=PERSON)
@database_options
def revoke_feed(user: str, database_url: str | None, as_json: bool) -> None:
    """Revoke the secret of USER (UUID or e-mail). Prints whether there was one."""
    with open_database(database_url) as connection:
        was_there = Bookings(connection).revoke_calendar_feed(user)
    print_value("revoked", was_there, as_json)


@feed_group.command("show")
@click.argument("secret")
@database_options
def show_feed(secret: str, database_url: str | None, as_json: bool) -> None:
    """Print the iCalendar file that SECRET gives; as JSON its sessions."""
    with open_database(database_url) as connection:
        entries = Bookings(connection).calendar_feed(secret)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    from bookingdb.ical.feeds import write_feed  # noqa: PLC0415 (the package icalendar takes its time)

    # Without a session nobody's zone is needed.
    zone = zone_named(entries[0].time_zone if entries else "UTC")
    print_document(write_feed(entries, zone, now=datetime.now(UTC)).decode())
