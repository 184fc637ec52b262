"""The commands about policies: show, set."""

from typing import Any, Final

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records
from bookingdb.cli.options import DURATION, database_url_option, json_option

DEFAULT: Final = object()


class Setting(click.ParamType[Any]):
    """A value of some other type, or the word ``default``: as the default says."""

    def __init__(self, type_: click.ParamType[Any]) -> None:
        """Remember the other type."""
        self.type = type_
        self.name = type_.name

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return what the other type makes of it, or DEFAULT."""
        return DEFAULT if value in ("default", DEFAULT) else self.type.convert(value, parameter, context)


@click.group()
def policy() -> None:
    """Show and change what holds for bookings, by default and with a therapist."""


@policy.command()
@click.option("--therapist", metavar="UUID", help="What holds for this therapist; without it: by default.")
@database_url_option
@json_option
def show(therapist: str | None, database_url: str | None, as_json: bool) -> None:
    """Print what holds."""
    with open_database(database_url) as connection:
        found = Bookings(connection).get_policy(therapist)
    print_records([found], as_json, single=True)


@policy.command("set")
@click.option("--therapist", metavar="UUID", help="Only for this therapist; without it: by default.")
@click.option(
    "--time-zone", type=Setting(click.STRING), metavar="ZONE", help="IANA zone in which local times are meant."
)
@click.option(
    "--minimum-duration-minutes", type=Setting(click.INT), metavar="MINUTES", help="The shortest session, 15 to 180."
)
@click.option(
    "--maximum-duration-minutes", type=Setting(click.INT), metavar="MINUTES", help="The longest session, 15 to 180."
)
@click.option(
    "--cancellation-window",
    type=Setting(DURATION),
    metavar="DURATION",
    help="How long before the start cancelling stops to return the client's credit, e.g. 24h.",
)
@click.option(
    "--refund-grace",
    type=Setting(DURATION),
    metavar="DURATION",
    help="How long a credit lasts that was returned after it had expired, e.g. 30d.",
)
@click.option(
    "--hold-lifetime", type=Setting(DURATION), metavar="DURATION", help="How long a hold lasts, 10s to 1h, e.g. 5m."
)
@click.option(
    "--buffer-before-minutes", type=Setting(click.INT), metavar="MINUTES", help="No other session before one, 0 to 720."
)
@click.option(
    "--buffer-after-minutes", type=Setting(click.INT), metavar="MINUTES", help="No other session after one, 0 to 720."
)
@click.option(
    "--minimum-notice", type=Setting(DURATION), metavar="DURATION", help="How long before its start to book, e.g. 12h."
)
@click.option(
    "--maximum-advance", type=Setting(DURATION), metavar="DURATION", help="How far ahead one can book, e.g. 90d."
)
@click.option(
    "--slot-step-minutes",
    type=Setting(click.INT),
    metavar="MINUTES",
    help="Every how many minutes of the therapist's clock a slot is listed, 1 to 1440.",
)
@click.option(
    "--slot-offset-minutes",
    type=Setting(click.INT),
    metavar="MINUTES",
    help="How many minutes after midnight the first is, 0 to 1439.",
)
@click.option(
    "--maximum-sessions-per-day", type=Setting(click.INT), metavar="N", help="On a local day; 1000 is no limit."
)
@click.option(
    "--maximum-sessions-per-week", type=Setting(click.INT), metavar="N", help="Monday to Sunday; 1000 is no limit."
)
@click.option(
    "--require-hours",
    type=Setting(click.BOOL),
    metavar="yes|no",
    help="Whether a therapist without weekly hours cannot be booked, instead of at any time.",
)
@database_url_option
@json_option
def set_(therapist: str | None, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Change settings; those not given stay. The value "default" makes a therapist's setting the default's again."""
    settings = {name: None if value is DEFAULT else value for name, value in given.items() if value is not None}
    if not settings:
        raise click.UsageError("give at least one setting")
    with open_database(database_url) as connection:
        changed = Bookings(connection).set_policy(therapist_id=therapist, **settings)
    print_records([changed], as_json, single=True)
