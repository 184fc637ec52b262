"""The commands about time zones: refresh, realign."""

import sys

import click

from bookingdb import Bookings
from bookingdb.cli import REFUSED
from bookingdb.cli.console import acting_user, open_database, print_records
from bookingdb.cli.options import PERSON, database_url_option, json_option
from bookingdb.cli.output import print_json, say
from bookingdb.install import time_zones as zones


@click.group("time-zones")
def time_zones() -> None:
    """Follow the time zone data of the server, which governments change every year."""


@time_zones.command()
@database_url_option
@json_option
def refresh(database_url: str | None, as_json: bool) -> None:
    """Record the zones that the server knows now, and say which sessions their new rules concern.

    Run it after each update of the server's time zone data, as the owner of the installation.
    """
    if acting_user() is not None:
        raise click.UsageError("refresh acts as no user: leave --as out.")
    with open_database(database_url) as connection:
        refreshed = zones.refresh(connection)
    if as_json:
        print_json(
            {
                "sessions_off_time": [session._asdict() for session in refreshed.off_time],
                "lost_zones": [zone._asdict() for zone in refreshed.lost],
            }
        )
        return
    for zone in refreshed.lost:
        alias = f"; {zone.aliases[0]} has the same rules" if zone.aliases else ""
        windows = f", and of {zone.windows} window(s) of weekly hours, which are closed" if zone.windows else ""
        say(f"Lost: {zone.name}, of {zone.policies} policies and {zone.sessions} session(s) to come{windows}{alias}.")
    found = zones.summary(refreshed.off_time)
    say(f"Refreshed. {found}." if found else "Refreshed. All sessions to come start at their agreed local time.")


@time_zones.command()
@click.argument("therapist", type=PERSON, required=False, metavar="[THERAPIST]")
@click.option("--dry-run", is_flag=True, help="Say what would move, and change nothing.")
@database_url_option
@json_option
def realign(therapist: str | None, dry_run: bool, database_url: str | None, as_json: bool) -> None:
    """Move sessions to come back to their agreed local time, of THERAPIST (UUID or e-mail) or all; exit 1 if some stay.

    Those whose agreed time is not free stay where they are, with the reason.
    """
    with open_database(database_url) as connection:
        sessions = Bookings(connection).realign_sessions(therapist, dry_run=dry_run)
    print_records(sessions, as_json)
    if any(session.outcome == "conflict" for session in sessions):
        sys.exit(REFUSED)
