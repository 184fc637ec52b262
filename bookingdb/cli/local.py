"""The commands about the local server: start, stop, status, reset, psql-url."""

import sys
from pathlib import Path
from typing import Any

import click

from bookingdb.cli import REFUSED
from bookingdb.cli.options import Command, json_option
from bookingdb.cli.output import print_json, remark, say
from bookingdb.database import NoDatabase
from bookingdb.local.server import LocalServer, Status
from bookingdb.text import printable


@click.group()
def local() -> None:
    """Start and stop a Postgres of your own on this machine."""


def data_dir_option(command: Command) -> Command:
    """Give a command the option ``--data-dir``, as the parameter `data_dir`."""
    return click.option(
        "--data-dir",
        metavar="FOLDER",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the server keeps its data; default: bookingdb/postgres in the XDG data home.",
    )(command)


@local.command()
@data_dir_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The TCP port, 0 for a free one; default: the one it had before, at first 5544 if that is free.",
)
@json_option
def start(data_dir: Path | None, port: int | None, as_json: bool) -> None:
    """Start the server; the first time, make it."""
    server = LocalServer(data_dir)
    port_before = server.status().port
    started = server.start(port)
    status = server.status()
    if as_json:
        print_json({"started": started} | _as_json(status))
    else:
        say(f"The server {'started' if started else 'already runs'}: {_where(status)}.")
    if port is None and port_before not in (None, status.port):
        remark(f"port {port_before}, which the server had before, was taken")


@local.command()
@data_dir_option
@json_option
def stop(data_dir: Path | None, as_json: bool) -> None:
    """Stop the server; its data stays."""
    server = LocalServer(data_dir)
    stopped = server.stop()
    if as_json:
        print_json({"stopped": stopped} | _as_json(server.status()))
    else:
        say("The server stopped." if stopped else "The server did not run.")


@local.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Say whether the server runs, and where; exit 1 when it does not."""
    found = LocalServer(data_dir).status()
    if as_json:
        print_json(_as_json(found))
    else:
        state = f"runs: {_where(found)}" if found.running else f"does not run (data: {found.data_dir})"
        say(f"The server {state}.")
    if not found.running:
        sys.exit(REFUSED)


@local.command()
@data_dir_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reset(data_dir: Path | None, yes: bool, as_json: bool) -> None:
    """Throw all data away and start again, empty, with the same port and password."""
    server = LocalServer(data_dir)
    if not yes:
        click.confirm(f"Delete all data in {printable(server.data_dir)}?", abort=True, err=True)
    server.reset()
    if as_json:
        print_json(_as_json(server.status()))
    else:
        say(f"The server started, empty: {_where(server.status())}.")


@local.command("psql-url")
@data_dir_option
@click.option("--with-password", is_flag=True, help="With the password in it: for an environment variable.")
def psql_url(data_dir: Path | None, with_password: bool) -> None:
    """Print the URL of the running server: psql "$(bookingdb local psql-url)".

    The password is in a file that the URL names. Drivers that do not use libpq may need --with-password; such a URL
    does not belong on a command line, which everybody on this machine can read.
    """
    server = LocalServer(data_dir)
    if not server.status().running:
        raise NoDatabase("the local server does not run; start it with `bookingdb local start`")
    say(server.url(with_password=with_password))


def _where(status: Status) -> str:
    return f"127.0.0.1:{status.port}, process {status.pid}, data in {status.data_dir}"


def _as_json(status: Status) -> dict[str, Any]:
    return {
        "running": status.running,
        "pid": status.pid,
        "host": "127.0.0.1",
        "port": status.port,
        "socket_dir": status.socket_dir,
        "data_dir": status.data_dir,
    }
