"""The command that delivers events: worker."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from bookingdb import database
from bookingdb.cli.console import open_database, print_table
from bookingdb.cli.options import DURATION, database_options
from bookingdb.cli.output import print_json, say

if TYPE_CHECKING:
    from bookingdb.worker.worker import Worker


class _OneLine(logging.Handler):
    """Prints each record as a line on standard error, where no text of others is a command to the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        say(self.format(record), err=True)


@click.command("worker")
@click.option("--once", is_flag=True, help="Deliver what is due, and end.")
@click.option(
    "--concurrency", type=click.IntRange(1, 100), default=4, show_default=True, help="How many are sent at a time."
)
@click.option(
    "--destination", "destinations", multiple=True, metavar="NAME",
    help="Deliver to this one; may be repeated. Default: to all.",
)  # fmt: skip
@click.option(
    "--lease", type=DURATION, default="60s", show_default=True,
    help="How long a delivery is this worker's, 30s to 1h; afterwards another one sends it.",
)  # fmt: skip
@click.option(
    "--listen", is_flag=True, help="Also look at each `notify bookingdb_events`; not through a transaction pooler."
)
@database_options
def worker(
    once: bool,
    concurrency: int,
    destinations: tuple[str, ...],
    lease: timedelta,
    listen: bool,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Deliver events to their destinations: webhooks, mail, video rooms, calendars.

    It looks each second, writes a line for each delivery to standard error, and survives a lost connection. SIGTERM and
    SIGINT end it when what is under way is sent. Several workers share the work. At its end it prints how many
    deliveries became what.
    """
    if not timedelta(seconds=30) <= lease <= timedelta(hours=1):
        raise click.UsageError("--lease must be 30s to 1h")
    # The command itself says which database it is, and that its owner can be trusted.
    with open_database(database_url):
        pass
    running = make_worker(
        database.resolve(database_url),
        concurrency=concurrency,
        destinations=destinations or None,
        lease=lease,
        listen=listen,
    )
    with _logging(), _until_told(running):
        outcomes = running.run_once() if once else running.run()
    _print(outcomes, as_json)


def make_worker(target: database.Target, **options: object) -> Worker:
    """Make a worker; its packages are loaded now."""
    try:
        from bookingdb.worker.worker import Worker  # noqa: PLC0415 (the packages of an extra)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"this needs {error.name}: pip install 'bookingdb[worker]'") from None
    return Worker(target, **options)  # type: ignore[arg-type]  # mypy cannot see which options they are


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Let the log of the worker be on standard error."""
    handler = _OneLine()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("bookingdb.worker")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def _until_told(running: Worker) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the worker in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: running.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(outcomes: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        print_json(dict(sorted(outcomes.items())))
    else:
        print_table([{"": kind, " ": count} for kind, count in sorted(outcomes.items())])
