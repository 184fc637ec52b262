"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
from click.testing import CliRunner, Result

from bookingdb.cli import main as cli


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that do something, with the words that name them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        elif command is not None and not command.hidden:
            yield (*path, name), command


COMMANDS = dict(leaves(cli.main))


def bookingdb(url: str, *arguments: object, stdin: str | None = None) -> Result:
    """Run the command."""
    result = CliRunner().invoke(
        cli.main, [str(argument) for argument in arguments], env={"BOOKINGDB_DATABASE_URL": url}, input=stdin
    )
    assert "Traceback" not in result.output
    return result


def done(url: str, *arguments: object) -> Result:
    """Run the command, which does what it is told."""
    result = bookingdb(url, *arguments)
    assert result.exit_code == 0, result.output
    return result


def answer(url: str, *arguments: object) -> Any:
    """Run the command, and return what it prints as JSON."""
    return json.loads(done(url, *arguments, "--json").stdout)


def process(url: str, *arguments: object) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    program = "from bookingdb.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments), "--database-url", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
