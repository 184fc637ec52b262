"""The command `bookingdb`: parse, call, print.

Exit codes: 0 done; 1 refused, or something was found; 2 wrong usage, or no database that answers; 3 done, but the
output could not be written. Results go to standard output; errors (one line, no traceback) and which database was
used, to standard error. With ``--json`` standard output has one JSON document in any case: the result, or an object
``{"error": {"code", "message", "status", "detail", "hint"}}``.

Each command has a module of its own, imported only when the command is called: help and other commands do not wait
for it.
"""

import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from bookingdb.cli import REFUSED, UNREACHABLE, refuse_acting
from bookingdb.cli.commands import COMMANDS
from bookingdb.errors import (
    BookingError,
    IdempotencyKeyReused,
    InvalidTherapistId,
    InvalidUserId,
    NotAllowed,
    TherapistNotFound,
    UserNotFound,
    from_driver_error,
    sqlstate_of,
)


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
    """A group of commands whose errors become one line on standard error, or JSON, and an exit code.

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

    def named_by(self, words: Sequence[str]) -> click.Command:
        """Return the command that these words name, the words of nested groups one after the other."""
        command: click.Command = self
        for word in words:
            found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
            command = found or command
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and end the process; the module lists the exit codes and the forms of an error."""
        words = sys.argv[1:] if args is None else [*args]
        if not standalone_mode:
            return super().main(words, prog_name, complete_var, standalone_mode, **extra)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra) or 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else REFUSED
        except Exception as error:
            code = _report(error, self, words)
        from bookingdb.cli.output import exit_code  # noqa: PLC0415 (help does not wait for it)

        sys.exit(exit_code(code))


class Failure(NamedTuple):
    """A failed command: its message and its exit code.

    Attributes:
        code: the name of the error; of a `BookingError` its own.
        lines: the message for a reader.
        exit_code: as the module lists them.
        message: the error alone, where the lines say more.
        hint: what else they say, such as the usage of the command.
    """

    code: str
    lines: Sequence[str]
    exit_code: int
    message: str | None = None
    hint: str | None = None


def _report(error: Exception, group: Commands, words: Sequence[str]) -> int:
    """Print an error, and return the exit code. With BOOKINGDB_DEBUG=1 say also where it happened."""
    from bookingdb.cli.output import print_json, say  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.text import without_passwords  # noqa: PLC0415 (only what has failed waits for it)

    if (sqlstate_of(error) or "").startswith("PT"):
        error = from_driver_error(error)
    if os.environ.get("BOOKINGDB_DEBUG") and not isinstance(error, click.ClickException | click.Abort):
        say(*"".join(traceback.format_exception(error)).splitlines(), err=True)
    failure = explain(error, group.named_by(words) if isinstance(error, BookingError) else None)
    if "--json" not in words:
        say(*failure.lines, err=True)
        return failure.exit_code
    known = error if isinstance(error, BookingError) else None
    message = failure.message or " ".join(failure.lines).removeprefix("bookingdb: ")
    said = {
        "code": failure.code,
        "message": known.message if known else without_passwords(message),
        "status": known.http_status if known else None,
        "detail": known.detail if known else {"code": failure.code},
        "hint": known.hint if known else failure.hint and without_passwords(failure.hint),
    }
    print_json({"error": said})
    return failure.exit_code


def explain(error: Exception, command: click.Command | None = None) -> Failure:
    """Return what to say about `error`, which `command` ended with, and the exit code.

    Example: ``explain(NoDatabase("none")).lines`` is ``["bookingdb: none"]``
    """
    if isinstance(error, click.Abort):
        return Failure("aborted", ["Aborted!"], REFUSED)
    if isinstance(error, click.ClickException):
        text = io.StringIO()
        error.show(text)
        code = "usage_error" if isinstance(error, click.UsageError) else "failed"
        shown = text.getvalue().rstrip("\n")
        usage = " ".join(f"\n{shown}".partition("\nError: ")[0].split())
        before, mark, _ = f"\n{shown}".partition("\nError: ")
        # The message may repeat an argument: it stays one line.
        lines = [*before.split("\n")[1:], f"Error: {error.format_message()}"] if mark else shown.split("\n")
        return Failure(code, lines, error.exit_code, error.format_message(), usage or None)
    code, message, exit_code = _explain_ours(error, command)
    # The end of a server's log has lines of its own; a file's name stays in its line.
    lines = message.split("\n") if code == "local_server_failed" else [message]
    return Failure(code, [f"bookingdb: {lines[0]}", *lines[1:]], exit_code)


def _explain_ours(error: Exception, command: click.Command | None) -> tuple[str, str, int]:
    """Return code, message and exit code of an error that is not click's."""
    import psycopg  # noqa: PLC0415 (only what has failed waits for it)

    from bookingdb import database  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.checks import selftest  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install import export  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install.session import InstallError  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.install.source import SourceError  # noqa: PLC0415 (only what has failed waits for it)
    from bookingdb.local.binaries import LocalServerError  # noqa: PLC0415 (only what has failed waits for it)

    line = " ".join(str(error).split())
    match error:
        case database.DatabaseUnreachable():
            found = "database_unreachable", line, UNREACHABLE
        case database.NoDatabase():
            found = "no_database", line, UNREACHABLE
        case LocalServerError():
            found = "local_server_failed", str(error), REFUSED  # the end of the server's log may follow
        case BookingError():
            found = error.code, f"{error.code}: {' '.join(_in_our_words(error, command).split())}", REFUSED
        case InstallError() | export.ExportError() | SourceError() | selftest.SelftestError():
            found = "refused", line, REFUSED
        case psycopg.OperationalError() if (error.sqlstate or "08").startswith(("08", "57P")):
            found = "connection_lost", f"the database went away: {line}", UNREACHABLE
        case psycopg.Error():
            # Later lines point into a statement that the user did not write.
            first = str(error).partition("\n")[0]
            found = "database_refused", f"the database refused: {first} ({error.sqlstate})", REFUSED
        case OSError(filename=str(name)):
            found = "file_error", f"{name}: {error.strerror}", REFUSED
        case _:
            message = f"unexpected {type(error).__name__}: {line} (BOOKINGDB_DEBUG=1 shows where)"
            found = "unexpected", message, REFUSED
    return found


def _in_our_words(error: BookingError, command: click.Command | None) -> str:
    """Return the error in words of the command line: its options instead of parameters, its commands as advice."""
    held, parameter = error.detail.get("hold_id"), str(error.detail.get("parameter"))
    if held and error.detail.get("rule") == "hold":
        hint = f"Choose another time, or `bookingdb book-hold {held}`; `bookingdb release {held}` gives it up."
        error = type(error)(error.detail, hint)
    if isinstance(error, InvalidUserId | InvalidTherapistId) and _takes_address(command):
        error = type(error)(error.detail, "Give an id, a UUID, or an e-mail address.")
    if isinstance(error, IdempotencyKeyReused) and parameter == "p_payment_reference":
        # The message of the table names a key, which nobody gave.
        return str(error.hint)
    name = parameter.removeprefix("p_")
    options = {option.name.rstrip("_"): option for option in command.params if option.name} if command else {}
    # A person is called THERAPIST here, and p_therapist_id there.
    found = options.get(name) or options.get(name.rpartition("_")[0])
    if found is None:
        return str(error)
    typed = found.opts[0] if isinstance(found, click.Option) else found.human_readable_name
    return str(error).replace(f"parameter: {parameter}", typed, 1)


def _takes_address(command: click.Command | None) -> bool:
    from bookingdb.cli.options import Person  # noqa: PLC0415 (only what has failed waits for it)

    return command is not None and any(isinstance(parameter.type, Person) for parameter in command.params)


class MainCommands(Commands):
    """All commands. Those that make calls make them as the user that ``--as`` names."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; what it may not do because of ``--as``, it says."""
        try:
            return super().invoke(context)
        except NotAllowed as error:
            if context.params["acting_as"] is None:
                raise
            raise NotAllowed(error.detail, f"{error.hint} {_ACTING_HINT}") from error.__cause__
        except (UserNotFound, TherapistNotFound) as error:
            hint = context.meta.get(str(error.detail.get("user_id") or error.detail.get("therapist_id")))
            if hint is None:
                raise
            raise type(error)(error.detail, hint) from error.__cause__


_ACTING_HINT: Final = "With --as the command may do what that user may; without it, what the database role may."


@click.group(cls=MainCommands, later={name: Later(*command) for name, command in COMMANDS.items()})
@click.option("--as", "acting_as", metavar="USER", help="Act as this user: the command may do what they may.")
@click.option("--database-url", metavar="URL", help="The database; can be given after the command as well.")
@click.version_option(package_name="bookingdb")
@click.pass_context
def main(context: click.Context, acting_as: str | None, database_url: str | None) -> None:
    """Appointment booking with prepaid credits, in your own Postgres."""
    if acting_as is not None:
        refuse_acting(context)
    if database_url is not None and context.invoked_subcommand == "local":
        raise click.UsageError("local has a database of its own: leave --database-url out.")


@main.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("_arguments", nargs=-1)
def bench(_arguments: tuple[str, ...]) -> None:
    """Say where the benchmark went. The next version has no such command."""
    raise click.ClickException("the benchmark is no longer installed: in a checkout, run `python -m tests.benchmark`")
