"""The command `bookingdb`."""

from typing import Final

import click

REFUSED: Final = 1
UNREACHABLE: Final = 2
OUTPUT_LOST: Final = 3
"""The exit code of a command that is done, but whose output could not be written."""

# Their work is the owner's, and they make no calls.
_OWNERS: Final = frozenset(
    ("adopt", "export", "lint", "local", "migrate", "selftest", "status", "trust", "uninstall", "verify", "worker")
)


def refuse_acting(context: click.Context) -> None:
    """Refuse ``--as`` for a command that acts as nobody; `context` is that of the command `bookingdb`."""
    if context.invoked_subcommand in _OWNERS:
        raise click.UsageError(f"{context.invoked_subcommand} acts as no user: leave --as out.")
