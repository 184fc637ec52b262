"""The commands about policies: show, set."""

from typing import Any, Final

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records
from bookingdb.cli.options import DURATION, PERSON, Command, database_url_option, json_option
from bookingdb.policy import SETTINGS
from bookingdb.policy_setting import Type

DEFAULT: Final = object()


class SettingType(click.ParamType[Any]):
    """A value of some other type, or the word ``default``: as the default says."""

    def __init__(self, type_: click.ParamType[Any]) -> None:
        """Remember the other type."""
        self.type = type_
        self.name = type_.name

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return what the other type makes of it, or DEFAULT."""
        return DEFAULT if value in ("default", DEFAULT) else self.type.convert(value, parameter, context)


# The values of a choice are its metavar.
_TYPES: Final[dict[Type, tuple[click.ParamType[Any], str]]] = {
    "time zone": (click.STRING, "ZONE"),
    "integer": (click.INT, "N"),
    "interval": (DURATION, "DURATION"),
    "boolean": (click.BOOL, "yes|no"),
}


def setting_options(command: Command) -> Command:
    """Give a command an option for each setting, in their order."""
    for setting in reversed(SETTINGS):
        type_, metavar = _TYPES.get(setting.type, (click.Choice(setting.choices), "|".join(setting.choices)))
        option = click.option(
            f"--{setting.name.replace('_', '-')}",
            type=SettingType(type_),
            metavar="MINUTES" if setting.unit == "minutes" else metavar,
            help=f"{setting.sentence} Range: {setting.range}.",
        )
        command = option(command)
    return command


@click.group()
def policy() -> None:
    """Show and change what holds for bookings, by default and with a therapist."""


@policy.command()
@click.option("--therapist", type=PERSON, metavar="USER", help="What holds for this therapist; without it: by default.")
@database_url_option
@json_option
def show(therapist: str | None, database_url: str | None, as_json: bool) -> None:
    """Print what holds."""
    with open_database(database_url) as connection:
        found = Bookings(connection).get_policy(therapist)
    print_records([found], as_json, single=True)


@policy.command("set")
@click.option("--therapist", type=PERSON, metavar="USER", help="Only for this therapist; without it: by default.")
@setting_options
@database_url_option
@json_option
def set_(therapist: str | None, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Change settings; those not given stay. The value "default" makes a therapist's setting the default's again.

    A DURATION is a text such as 90s, 5m, 24h, 30d or "1 day 12:00:00".
    """
    settings = {name: None if value is DEFAULT else value for name, value in given.items() if value is not None}
    if not settings:
        raise click.UsageError("give at least one setting")
    with open_database(database_url) as connection:
        changed = Bookings(connection).set_policy(therapist_id=therapist, **settings)
    print_records([changed], as_json, single=True)
