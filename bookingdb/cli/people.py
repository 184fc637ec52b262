"""The commands about people: people, therapists, register, activate, deactivate."""

import click

from bookingdb import Bookings
from bookingdb.cli.console import open_database, print_records, print_value
from bookingdb.cli.options import PERSON, Command, database_options, database_url_option, json_option


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
    """Register a client and print the id."""
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


@click.command("people")
@click.argument("search")
@click.option("--limit", type=int, default=20, show_default=True, help="How many at most.")
@database_options
def find_people(search: str, limit: int, database_url: str | None, as_json: bool) -> None:
    """Find people by id, e-mail address, or a part of their name or address; the best match first."""
    with open_database(database_url) as connection:
        people = Bookings(connection).find_people(search, limit=limit)
    print_records(people, as_json)


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
    """Let USER (a client: UUID or e-mail) book again. Prints the id."""
    _set_client_active(user, True, database_url, as_json)


@deactivate.command("client")
@click.argument("user", type=PERSON)
@database_options
def deactivate_client(user: str, database_url: str | None, as_json: bool) -> None:
    """Let USER (a client: UUID or e-mail) book nothing more. Prints the id."""
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
    """Let THERAPIST (UUID or e-mail) not be booked any more. Prints the id."""
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
