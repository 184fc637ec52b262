"""The commands about the destinations of events: add, list, test, rotate, disable, enable, remove."""

from __future__ import annotations

import base64
import json
import secrets as at_random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import click

from bookingdb import Bookings, DestinationNotFound, ListedDelivery, ListedDestination, database
from bookingdb.cli import REFUSED
from bookingdb.cli.console import open_database, print_records, print_table
from bookingdb.cli.options import database_options, database_url_option, json_option
from bookingdb.cli.output import print_json, say
from bookingdb.cli.worker import make_worker

_SECRET_BYTES: Final = 32
_PATIENCE: Final = 40.0
"""Seconds for a test that another worker sends."""


class Assignment(click.ParamType[tuple[str, Any]]):
    """A setting on the command line: ``NAME=VALUE``, where the value is JSON, or else a text."""

    name = "NAME=VALUE"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, Any]:
        """Return name and value; fails with a usage error where there is no name."""
        if isinstance(value, tuple):
            return value
        name, separator, text = value.partition("=")
        if not name or not separator:
            self.fail(f"{value!r} is no NAME=VALUE", parameter, context)
        try:
            return name, json.loads(text)
        except ValueError:
            return name, text


@click.group("destinations")
def destinations_group() -> None:
    """Say who is told of which events, and how."""


@destinations_group.command("add")
@click.argument("name")
@click.option("--kind", default=None, help="webhook (default), mail, daily, calendar, or a word of your own worker.")
@click.option("--url", metavar="URL", help="Of a webhook; a calendar's is a secret: --secret url.")
@click.option(
    "--event", "--events", "events", multiple=True, metavar="TYPE",
    help="Such as session.booked, 'session.*' or '*'; may be repeated. Default: those of the kind.",
)  # fmt: skip
@click.option(
    "--setting", "settings", type=Assignment(), multiple=True,
    help="Another setting, such as allow_private=true; NAME=null takes one away. May be repeated.",
)  # fmt: skip
@click.option(
    "--secret", "secrets", multiple=True, metavar="NAME",
    help="A secret, such as password, which is then read from standard input; may be repeated, a line for each."
    " The secret of a webhook (signing) is made, unless it is named.",
)  # fmt: skip
@click.option("--url-env", metavar="VARIABLE", help="Instead of --url: the worker's environment variable that has it.")
@click.option("--signing-env", metavar="VARIABLE", help="The environment variable that has the secret of a webhook.")
@database_url_option
@json_option
def add_destination(
    name: str,
    kind: str | None,
    url: str | None,
    url_env: str | None,
    signing_env: str | None,
    events: tuple[str, ...],
    settings: tuple[tuple[str, Any], ...],
    secrets: tuple[str, ...],
    database_url: str | None,
    as_json: bool,
) -> None:
    """Create the destination NAME, or change what is given of it.

    A webhook needs --url or --url-env. What is sent to it is signed with a secret that this command makes and prints,
    once. Settings that are not given stay; secrets that are given take the place of all. NAME_env among the settings
    names an environment variable of the worker instead of a setting or a secret.
    """
    named = {"url": url, "url_env": url_env, "signing_env": signing_env}
    given = dict(settings) | {key: value for key, value in named.items() if value is not None}
    read = {secret: _read_secret(secret) for secret in secrets}
    made: str | None = None
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        known = _find(bookings, name)
        kind = kind or (None if known else "webhook")
        if kind == "webhook" and not known and "signing" not in read and "signing_env" not in given:
            made = read["signing"] = new_secret()
        changed = {**(known.settings if known else {}), **given}
        destination = bookings.set_destination(
            name,
            kind=kind,
            events=events or None,
            settings={key: value for key, value in changed.items() if value is not None} if given else None,
            # While the secret of a webhook is rotated, it has two.
            secrets={key: [text] if key == "signing" else text for key, text in read.items()} or None,
        )
    if as_json:
        print_json(destination.to_dict() | ({"secret": made} if made else {}))
        return
    _print([destination])
    if made:
        say("", f"Its secret, shown only now: {made}")


@destinations_group.command("list")
@database_options
def list_destinations(database_url: str | None, as_json: bool) -> None:
    """List the destinations by name, with the names of their secrets."""
    with open_database(database_url) as connection:
        found = Bookings(connection).list_destinations()
    if as_json:
        print_records(found, as_json)
    else:
        _print(found)


@destinations_group.command("test")
@click.argument("name")
@database_options
def test_destination(name: str, database_url: str | None, as_json: bool) -> None:
    """Send NAME an event of the type bookingdb.test, and show the answer; exit 1 unless it was delivered.

    This process sends it, unless a worker is faster; it needs what a worker needs. A test is sent once.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        destination = _find(bookings, name)
        if destination is None:
            raise DestinationNotFound({"destination": name})
        if not destination.is_enabled:
            raise click.ClickException(f"{name} is disabled; `bookingdb destinations enable {name}` enables it")
        running = make_worker(database.resolve(database_url), concurrency=1)
        delivery_id = bookings.test_destination(name)
        is_sent = running.send_one(delivery_id)
        delivery = _finished(bookings, delivery_id, patience=0 if is_sent else _PATIENCE)
    if as_json:
        print_records([delivery], as_json, single=True)
    else:
        answer = "" if delivery.status_code is None else f", status {delivery.status_code}"
        # Any other delivery would be tried again.
        status = "not delivered" if delivery.status == "dead" else delivery.status
        say(f"{status}{answer}", *filter(None, [delivery.detail]))
    if delivery.status != "delivered":
        raise click.exceptions.Exit(REFUSED)


def _finished(bookings: Bookings, delivery_id: UUID, patience: float) -> ListedDelivery:
    """Return a delivery of a test, once it is finished or has taken too long."""
    ends = time.monotonic() + patience
    while True:
        (delivery,) = bookings.list_deliveries(subject_id=delivery_id)
        if delivery.finished_at is not None or time.monotonic() > ends:
            return delivery
        time.sleep(0.2)


@destinations_group.command("rotate")
@click.argument("name")
@click.option("--secret", "is_given", is_flag=True, help="Read the new secret from standard input.")
@click.option("--end", is_flag=True, help="Sign with the new secret alone from now on.")
@database_options
def rotate_secret(name: str, is_given: bool, end: bool, database_url: str | None, as_json: bool) -> None:
    """Sign the webhook NAME with a new secret, and with the one before until --end.

    The new secret is printed, once. Give it to the receiver, and call this again with --end when it is used there.
    """
    if is_given and end:
        raise click.UsageError("--end takes no new secret")
    secret = None if end else _read_secret("secret") if is_given else new_secret()
    with open_database(database_url) as connection:
        Bookings(connection).rotate_secret(name, secret)
    made = None if is_given else secret
    if as_json:
        print_json({"destination": name, "is_rotating": not end} | ({"secret": made} if made else {}))
    elif end:
        say(f"{name} is signed with the new secret alone.")
    else:
        say(f"{name} is signed with the new secret, and with the one before.")
        if made:
            say(f"Its new secret, shown only now: {made}")


def _switch_command(word: str, is_enabled: bool, summary: str) -> click.Command:
    """Make the command that enables destinations, or the one that disables them."""

    def switch(name: str, database_url: str | None, as_json: bool) -> None:
        with open_database(database_url) as connection:
            destination = Bookings(connection).set_destination(name, is_enabled=is_enabled)
        if as_json:
            print_records([destination], as_json, single=True)
        else:
            say(f"{name} is {'enabled' if destination.is_enabled else 'disabled'}.")

    switch.__doc__ = summary
    make: Callable[[Any], click.Command] = destinations_group.command(word)
    return make(click.argument("name")(database_options(switch)))


disable = _switch_command(
    "disable", False, "Let the destination NAME be told of nothing new, and send it nothing; what waits for it stays."
)
enable = _switch_command("enable", True, "Let the destination NAME be told of events again, and send it what waits.")


@destinations_group.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_options
def remove_destination(name: str, yes: bool, database_url: str | None, as_json: bool) -> None:
    """Remove the destination NAME with all its deliveries, also those that were not sent."""
    if not yes:
        click.confirm("Remove it with all its deliveries?", abort=True, err=True)
    with open_database(database_url) as connection:
        is_removed = Bookings(connection).remove_destination(name)
    if as_json:
        print_json({"removed": is_removed})
    else:
        say(f"{name} is removed." if is_removed else f"There is no destination {name}.")


def new_secret() -> str:
    """Return a new secret for the signatures of a webhook."""
    return "whsec_" + base64.b64encode(at_random.token_bytes(_SECRET_BYTES)).decode()


def _find(bookings: Bookings, name: str) -> ListedDestination | None:
    return next((found for found in bookings.list_destinations() if found.name == name), None)


def _read_secret(name: str) -> str:
    """Read a secret, which nobody sees: from the terminal, or a line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise click.UsageError(f"standard input has no line for the secret {name}")
    return line


def _print(destinations: Sequence[ListedDestination]) -> None:
    """Print destinations as a table, settings as JSON."""
    print_table(
        [
            {
                "name": destination.name,
                "kind": destination.kind,
                "events": list(destination.events),
                "settings": [f"{name}={json.dumps(value)}" for name, value in destination.settings.items()],
                "secrets": list(destination.secret_names),
                "enabled": "yes" if destination.is_enabled else f"no: {destination.disabled_reason}",
            }
            for destination in destinations
        ]
    )
