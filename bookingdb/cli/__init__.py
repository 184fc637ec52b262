"""The command `bookingdb`."""

from typing import Final

REFUSED: Final = 1
UNREACHABLE: Final = 2
OUTPUT_LOST: Final = 3
"""The exit code of a command that is done, but whose output could not be written."""
