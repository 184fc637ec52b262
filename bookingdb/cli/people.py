"""The commands about people: people and its parts, therapists, register, activate, deactivate."""

from typing import Any

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records, print_value
from bookingdb.cli.options import PERSON, Command, database_options, database_url_option, json_option
from bookingdb.cli.output import print_json


@click.group()
def register() -> None:
    """Register clients and therapists; the same person again is the same id."""


def person_options(command: Command) -> Command:
    """Give a command the e-mail address and the options of a person."""
    for option in (
        click.option("--id", "user_id", metavar="UUID", help="The id to give them; default: a new one."),
        click.option("--name", "full_name", help="Their full name."),
        click.argument("email"),
    ):
        command = option(command)
    return command


@register.command("client")
@person_options
@database_url_option
@json_option
def register_client(
    email: str, full_name: str | None, user_id: str | None, database_url: str | None, as_json: bool
) -> None:
    """Register a client and print the id. A therapist becomes a client, too, and keeps their id."""
    with open_database(database_url) as connection:
        client = Bookings(connection).register_client(email, full_name=full_name, user_id=user_id)
    print_value("id", client, as_json)


@register.command("therapist")
@person_options
@click.option("--time-zone", metavar="ZONE", help="IANA zone in which their sessions' local times are meant.")
@database_url_option
@json_option
def register_therapist(
    email: str,
    full_name: str | None,
    user_id: str | None,
    time_zone: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Register a therapist and print the id."""
    with open_database(database_url) as connection:
        therapist = Bookings(connection).register_therapist(
            email, full_name=full_name, user_id=user_id, time_zone=time_zone
        )
    print_value("id", therapist, as_json)


class People(click.Group):
    """A group whose first word is what to look for, unless it is one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command, nor a call for help, for the arguments of `people find`."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["find", *args]
        return super().parse_args(ctx, args)


@click.group("people", cls=People)
def people_group() -> None:
    """Find people (`people SEARCH`), change how they are reached or log in, and make two clients one."""


@people_group.command("find")
@click.argument("search")
@click.option("--limit", type=int, default=20, show_default=True, help="How many at most.")
@database_options
def find_people(search: str, limit: int, database_url: str | None, as_json: bool) -> None:
    """Find people by id, e-mail address, or a part of their name or address; the best match first."""
    with open_database(database_url) as connection:
        people = Bookings(connection).find_people(search, limit=limit)
    print_records(people, as_json)


@people_group.command("change-email")
@click.argument("user", type=PERSON)
@click.argument("email", required=False)
@click.option("--none", "no_address", is_flag=True, help="No address: it is free for somebody else.")
@database_options
def change_email(user: str, email: str | None, no_address: bool, database_url: str | None, as_json: bool) -> None:
    """Give USER (UUID or e-mail) the address EMAIL, or none. Prints the id."""
    if (email is None) is not no_address:
        raise click.UsageError("Give either EMAIL or --none.")
    with open_database(database_url) as connection:
        Bookings(connection).change_email(user, email)
    print_value("changed", user, as_json)


@people_group.command("change-login")
@click.argument("user", type=PERSON)
@click.argument("new_user_id", metavar="UUID")
@database_options
def change_login(user: str, new_user_id: str, database_url: str | None, as_json: bool) -> None:
    """Let USER (a client: UUID or e-mail) log in with the id UUID; everything passes on to it."""
    with open_database(database_url) as connection:
        merged = Bookings(connection).change_login(user, new_user_id)
    print_records([merged], as_json, single=True)


@people_group.command("merge")
@click.argument("from_user", metavar="FROM", type=PERSON)
@click.argument("into_user", metavar="INTO", type=PERSON)
@click.option("--reason", metavar="TEXT", help="Why; the ledger keeps it.")
@database_options
def merge_clients(from_user: str, into_user: str, reason: str | None, database_url: str | None, as_json: bool) -> None:
    """Make the clients FROM and INTO (UUID or e-mail) one: what FROM has passes on to INTO, and FROM is deactivated.

    The address of FROM is free then: a second run needs the id of FROM.
    """
    with open_database(database_url) as connection:
        merged = Bookings(connection).merge_clients(from_user, into_user, reason=reason)
    print_records([merged], as_json, single=True)


@people_group.command("contact")
@click.argument("user", type=PERSON)
@click.option("--email", metavar="ADDRESS", help="Where mail goes; default: the application's address.")
@click.option("--phone", metavar="NUMBER", help="With the country's number, e.g. +491701234567.")
@click.option("--time-zone", metavar="ZONE", help="IANA zone in which times are shown to them.")
@click.option("--language", metavar="LANGUAGE", help="E.g. de or en-GB.")
@click.option("--quiet-from", metavar="HH:MM", help="From when no reminder shall come, in their zone.")
@click.option("--quiet-until", metavar="HH:MM", help="Until when; it may be on the next day.")
@click.option("--agree", "agreed", metavar="CHANNEL", multiple=True, help="They agree to email, sms ...; repeat it.")
@click.option("--refuse", "refused", metavar="CHANNEL", multiple=True, help="They do not agree; repeat it.")
@click.option("--clear", "cleared", metavar="NAME", multiple=True, help="Take a value away, e.g. phone; repeat it.")
@database_url_option
@json_option
def contact(
    user: str,
    agreed: tuple[str, ...],
    refused: tuple[str, ...],
    cleared: tuple[str, ...],
    database_url: str | None,
    as_json: bool,
    **values: str | None,
) -> None:
    """Show how USER (UUID or e-mail) wants to be reached, or change what is given of it."""
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    changes |= dict.fromkeys(name.replace("-", "_") for name in cleared)
    if agreed or refused:
        changes["consents"] = dict.fromkeys(agreed, True) | dict.fromkeys(refused, False)
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        found = bookings.set_contact(user, changes) if changes else bookings.get_contact(user)
    print_records([found], as_json, single=True)


@people_group.command("export")
@click.argument("user", type=PERSON)
@database_url_option
def export_person(user: str, database_url: str | None) -> None:
    """Print everything that is held of USER (UUID or e-mail), as JSON."""
    with open_database(database_url) as connection:
        held = Bookings(connection).export_person(user)
    print_json(held)


@people_group.command("erase")
@click.argument("user", type=PERSON)
@click.option(
    "--keep",
    multiple=True,
    type=click.Choice(["identity", "payments", "records"]),
    help="What the law makes you keep; repeat it for more: --keep payments --keep records.",
)
@database_options
def erase_person(user: str, keep: tuple[str, ...], database_url: str | None, as_json: bool) -> None:
    """Take name, addresses and words of USER (UUID or e-mail) from every table, and deactivate them.

    The address is free then, unless --keep identity was given: a second run needs the id of USER.
    """
    with open_database(database_url) as connection:
        erased = Bookings(connection).erase_person(user, keep=keep)
    print_records([erased], as_json, single=True)


@click.group()
def activate() -> None:
    """Let clients book again, and therapists be booked."""


@click.group()
def deactivate() -> None:
    """Let clients book nothing more, and therapists not be booked; what is booked stays."""


@activate.command("client")
@click.argument("user", type=PERSON)
@database_options
def activate_client(user: str, database_url: str | None, as_json: bool) -> None:
    """Let USER (a client: UUID or e-mail) book again, also a therapist who is a client, too. Prints the id."""
    _set_client_active(user, True, database_url, as_json)


@deactivate.command("client")
@click.argument("user", type=PERSON)
@database_options
def deactivate_client(user: str, database_url: str | None, as_json: bool) -> None:
    """Let USER (a client: UUID or e-mail) book nothing more; a therapist stays a therapist. Prints the id."""
    _set_client_active(user, False, database_url, as_json)


@activate.command("therapist")
@click.argument("therapist", type=PERSON)
@database_options
def activate_therapist(therapist: str, database_url: str | None, as_json: bool) -> None:
    """Let THERAPIST (UUID or e-mail) be booked. Prints the id."""
    _set_therapist_active(therapist, True, database_url, as_json)


@deactivate.command("therapist")
@click.argument("therapist", type=PERSON)
@database_options
def deactivate_therapist(therapist: str, database_url: str | None, as_json: bool) -> None:
    """Let THERAPIST (UUID or e-mail) not be booked any more; their part as a client stays. Prints the id."""
    _set_therapist_active(therapist, False, database_url, as_json)


def _set_client_active(user: str, active: bool, database_url: str | None, as_json: bool) -> None:
    with open_database(database_url) as connection:
        Bookings(connection).set_client_active(user, active)
    print_value("activated" if active else "deactivated", user, as_json)


def _set_therapist_active(therapist: str, active: bool, database_url: str | None, as_json: bool) -> None:
    with open_database(database_url) as connection:
        Bookings(connection).set_therapist_active(therapist, active)
    print_value("activated" if active else "deactivated", therapist, as_json)


@click.command("therapists")
@click.option("--all", "include_inactive", is_flag=True, help="Also those who cannot be booked.")
@database_options
def list_therapists(include_inactive: bool, database_url: str | None, as_json: bool) -> None:
    """List the therapists who can be booked, by name."""
    with open_database(database_url) as connection:
        therapists = Bookings(connection).list_therapists(include_inactive=include_inactive)
    print_records(therapists, as_json)
