"""The command `bookingdb`: parse, call, print.

Exit codes: 0 done; 1 refused, or something was found; 2 wrong usage, or no database that answers.
Results go to standard output; errors (one line, no traceback) and which database was used, to standard error.

Each command has a module of its own, imported only when the command is called: help and other commands do not wait
for it.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from bookingdb.cli.commands import COMMANDS
from bookingdb.errors import BookingError

UNREACHABLE = 2


class Later(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        place: ``module:attribute``, the module in this package.
        summary: the first sentence of its help, which the list of all commands shows.
    """

    place: str
    summary: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.place.partition(":")
        command = getattr(import_module(f"bookingdb.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command


class Commands(click.Group):
    """A group of commands whose errors become one line on standard error and an exit code.

    Some of them may be imported later, when they are called for; their list is printed without.
    """

    def __init__(self, *arguments: Any, later: Mapping[str, Later] | None = None, **others: Any) -> None:
        """Remember by name what is to be imported `later`; what else there is, is click's."""
        super().__init__(*arguments, **others)
        self.later = later or {}

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(context), *self.later})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, imported."""
        return self.later[name].load() if name in self.later else super().get_command(context, name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of all commands, without importing any."""
        here = {name: click.Command(name, help=command.summary) for name, command in self.later.items()}
        click.Group(commands={**self.commands, **here}).format_commands(context, formatter)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; the module lists the exit codes. With BOOKINGDB_DEBUG=1 errors show where."""
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own: it knows what to do with them
        except BrokenPipeError:
            raise  # a reader such as `head` has seen enough; click knows that, too
        except Exception as error:
            if os.environ.get("BOOKINGDB_DEBUG"):
                raise
            message, exit_code = explain(error)
            click.echo(f"bookingdb: {message}", err=True)
            sys.exit(exit_code)


def explain(error: Exception) -> tuple[str, int]:
    """Return what to say about `error`, and the exit code.

    Example: ``explain(NoDatabase("no database"))`` is ``("no database", 2)``
    """
    import psycopg  # noqa: PLC0415 (only what has failed waits for it)

    from bookingdb import database  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.checks import selftest  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.cli.console import REFUSED  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install import export  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install.session import InstallError  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install.source import SourceError  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.local.binaries import LocalServerError  # noqa: PLC0415 (only what has failed waits for it)

    line = " ".join(str(error).split())
    match error:
        case database.DatabaseUnreachable() | database.NoDatabase():
            message, exit_code = line, UNREACHABLE
        case LocalServerError():
            message, exit_code = str(error), REFUSED  # the end of the server's log may follow
        case BookingError():
            message, exit_code = f"{error.code}: {line}", REFUSED
        case InstallError() | export.ExportError() | SourceError() | selftest.SelftestError():
            message, exit_code = line, REFUSED
        case psycopg.OperationalError() if (error.sqlstate or "08").startswith(("08", "57P")):
            message, exit_code = f"the database went away: {line}", UNREACHABLE
        case psycopg.Error():
            # Later lines point into a statement that the user did not write.
            first = str(error).partition("\n")[0]
            message, exit_code = f"the database refused: {first} ({error.sqlstate})", REFUSED
        case OSError(filename=str(name)):
            message, exit_code = f"{name}: {error.strerror}", REFUSED
        case _:
            message = f"unexpected {type(error).__name__}: {line} (BOOKINGDB_DEBUG=1 shows where)"
            exit_code = REFUSED
    return message, exit_code


@click.group(cls=Commands, later={name: Later(*command) for name, command in COMMANDS.items()})
@click.version_option(package_name="bookingdb")
def main() -> None:
    """Appointment booking with prepaid credits, in your own Postgres."""


@main.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("_arguments", nargs=-1)
def bench(_arguments: tuple[str, ...]) -> None:
    """Say where the benchmark went. The next version has no such command."""
    raise click.ClickException("the benchmark is no longer installed: in a checkout, run `python -m tests.benchmark`")
