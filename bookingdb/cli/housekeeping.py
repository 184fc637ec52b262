"""The command that removes what is over: housekeeping."""

import signal
import threading
from collections import Counter
from datetime import timedelta

import click

from bookingdb import BookingFailed, Bookings, database
from bookingdb.cli.console import open_database, print_table
from bookingdb.cli.options import DURATION, database_options
from bookingdb.cli.output import print_json, remark

LONGEST_PAUSE = 60.0
"""Seconds between two tries to reach a database that was lost."""


@click.command("housekeeping")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--every", type=DURATION, help="Do it again and again, e.g. every 1h, until the command is told to end.")
@click.option(
    "--limit", type=click.IntRange(1, 10000), default=1000, show_default=True,
    help="How many of a kind in one transaction.",
)  # fmt: skip
@database_options
def housekeeping(dry_run: bool, every: timedelta | None, limit: int, database_url: str | None, as_json: bool) -> None:
    """Remove what was over long ago: answered keys, holds, handled events, past times in the calendar.

    Sessions, credits, ledger and audit log stay. How long ago is the setting retention_days of the default policy. With
    --every the command survives a lost connection, and SIGTERM and SIGINT end it after the transaction under way.
    """
    if every is not None and (dry_run or every < timedelta(seconds=1)):
        raise click.UsageError("--every needs a time of a second or more, and no --dry-run")
    ended = threading.Event()
    if every is None:
        _print(_remove(database_url, limit, dry_run, ended), as_json)
        return
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _repeat(every, database_url, limit, as_json, ended)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _repeat(every: timedelta, database_url: str | None, limit: int, as_json: bool, ended: threading.Event) -> None:
    """Remove what is over, again and again, until `ended`."""
    pause = 1.0
    was_there = False
    while not ended.is_set():
        try:
            removed = _remove(database_url, limit, False, ended)
        except (database.DatabaseUnreachable, BookingFailed) as error:
            # A database that was never there is a mistake in the call.
            if not (was_there and _may_come_back(error)):
                raise
            remark(f"trying again in {pause:g} s: {error}")
            ended.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE, every.total_seconds())
            continue
        pause, was_there = 1.0, True
        _print(removed, as_json)
        ended.wait(every.total_seconds())


def _may_come_back(error: database.DatabaseUnreachable | BookingFailed) -> bool:
    """Tell whether the connection is lost, and nothing worse."""
    if isinstance(error, database.DatabaseUnreachable):
        return True
    return str(error.detail.get("sqlstate", "08")).startswith(("08", "57P"))


def _remove(database_url: str | None, limit: int, dry_run: bool, ended: threading.Event) -> dict[str, int]:
    """Remove batch after batch, a transaction each, and return how many of each kind."""
    removed: Counter[str] = Counter()
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        while True:
            batch = bookings.housekeeping(limit=limit, dry_run=dry_run).to_dict()
            removed.update(batch)
            if dry_run or ended.is_set() or max(batch.values()) < limit:
                return {kind: removed[kind] for kind in batch}


def _print(removed: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(removed)
    else:
        print_table([{"": kind.replace("_", " "), " ": count} for kind, count in removed.items()])
