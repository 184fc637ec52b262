"""The commands about reminders: list, set, remove."""

from datetime import timedelta

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records, print_value
from bookingdb.cli.options import DURATION, database_options, database_url_option, json_option


@click.group("reminders")
def reminders_group() -> None:
    """Say who is reminded of a session, how long before it, and by which channel."""


@reminders_group.command("list")
@database_options
def list_rules(database_url: str | None, as_json: bool) -> None:
    """List the rules, the earliest reminder first."""
    with open_database(database_url) as connection:
        rules = Bookings(connection).list_reminder_rules()
    print_records(rules, as_json)


@reminders_group.command("set")
@click.argument("name")
@click.argument("before", type=DURATION)
@click.option(
    "--to",
    "audience",
    multiple=True,
    default=["client"],
    type=click.Choice(["client", "therapist"]),
    help="Who is reminded; repeat it for both. Default: client.",
)
@click.option(
    "--channel",
    default="email",
    show_default=True,
    help="email, or the word in the setting channel of a destination, such as sms.",
)
@click.option(
    "--quiet-hours/--no-quiet-hours",
    "heeds_quiet_hours",
    default=True,
    show_default=True,
    help="Whether a reminder in a person's quiet hours comes before them.",
)
@database_url_option
@json_option
def set_rule(
    name: str,
    before: timedelta,
    audience: tuple[str, ...],
    channel: str,
    heeds_quiet_hours: bool,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Make or change the rule NAME: a reminder BEFORE the session, such as 24h or 90m.

    An option that is left out has its default. Sessions to come get their reminders at once.
    """
    with open_database(database_url) as connection:
        rule = Bookings(connection).set_reminder_rule(
            name, before, audience=audience, channel=channel, heeds_quiet_hours=heeds_quiet_hours
        )
    print_records([rule], as_json, single=True)


@reminders_group.command("remove")
@click.argument("name")
@database_options
def remove_rule(name: str, database_url: str | None, as_json: bool) -> None:
    """Remove the rule NAME: none of its reminders is sent any more. Prints whether there was one."""
    with open_database(database_url) as connection:
        was_there = Bookings(connection).remove_reminder_rule(name)
    print_value("removed", was_there, as_json)
