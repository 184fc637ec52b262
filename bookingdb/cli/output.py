"""The one place that prints. A command that is done stays done, whatever becomes of its output.

A line is printed as text: nothing in it ends it, moves the cursor or is a command to the terminal. A reader that has
seen enough (``| head``) changes nothing; where output cannot be written for another reason, the exit code is
OUTPUT_LOST.
"""

import contextlib
import io
import json
import os
import sys
from typing import IO, TYPE_CHECKING, Any, Final

import click

from bookingdb.cli import OUTPUT_LOST
from bookingdb.text import printable, without_passwords

if TYPE_CHECKING:
    from rich.console import RenderableType

# Layout that a document may have beside text.
_LAYOUT: Final = "\n\t"
# A file or a pipe has no width: lines as long as they must be, for grep and cut.
_WIDTH_OF_A_FILE: Final = 1000

_lost: list[str] = []


class _Rendered(io.StringIO):
    """A text that is made for an encoding: rich draws lines of what that has."""

    encoding = "utf-8"

    def __init__(self, encoding: str | None) -> None:
        super().__init__()
        self.encoding = encoding or self.encoding


def say(*lines: object, err: bool = False, mark: str = "", **style: Any) -> None:
    """Print lines; each stays one, whatever is in it.

    Args:
        lines: the texts; what is no text is made one.
        err: on standard error, where the password of a URL is not shown either.
        mark: a text of ours that stands before the first line, in a style of its own.
        style: of `click.style`.
    """
    for number, line in enumerate(lines):
        text = printable(without_passwords(str(line)) if err else line)
        _write((mark if number == 0 else "") + (click.style(text, **style) if style else text) + "\n", err=err)


def remark(text: object) -> None:
    """Print a line on standard error that says whom it is from."""
    say(f"bookingdb: {text}", err=True)


def print_json(value: Any) -> None:
    """Print `value` as JSON in ASCII; what JSON does not know (UUIDs, times) as text."""
    # DEL is the one control character that JSON need not escape.
    _write(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f") + "\n")


def print_document(text: str) -> None:
    """Print what a program will read, byte by byte in UTF-8; a terminal gets it as text."""
    if sys.stdout is None or sys.stdout.isatty():
        _write(printable(text, keep=_LAYOUT))
    else:
        _write(text.encode())


def output_width() -> int:
    """Return how many columns a line of the output has."""
    from rich.console import Console  # noqa: PLC0415 (half of what starting the command would take)

    stdout = Console()
    return stdout.width if stdout.is_terminal else _WIDTH_OF_A_FILE


def print_rendered(*parts: "RenderableType") -> None:
    """Print tables and texts of the package rich; whoever makes them escapes what others wrote."""
    from rich.console import Console  # noqa: PLC0415 (half of what starting the command would take)

    stdout = Console()
    # Printing by itself, rich would end the process where a pipe is broken.
    rendered = _Rendered(getattr(stdout.file, "encoding", None))
    console = Console(
        file=rendered, width=output_width(), force_terminal=stdout.is_terminal, highlight=False, markup=False
    )
    for part in parts:
        console.print(part)
    _write(rendered.getvalue())


def exit_code(code: int) -> int:
    """Return the exit code of a command that ends with `code`, and say where its output was lost."""
    if not _lost:
        return code
    reason = _lost.pop()
    _lost.clear()
    remark(f"the output could not be written: {reason}")
    return code or OUTPUT_LOST


def _write(text: str | bytes, *, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return  # closed by whoever started the command
    if isinstance(text, str):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        click.echo(text, err=err, nl=False)
    except BrokenPipeError:
        _close(stream)
    except OSError as error:
        _close(stream)
        if not err:
            _lost.append(error.strerror or type(error).__name__)


def _close(stream: IO[str]) -> None:
    """Let everything else that is written to `stream` go nowhere, also what Python still has when it ends."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
