"""The commands about when a therapist works."""

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import click

from bookingdb import Bookings, DateOverride, Policy, WeeklyWindow
from bookingdb.cli import week_text
from bookingdb.cli.console import open_database, print_records
from bookingdb.cli.day_grid import DAY, YEAR
from bookingdb.cli.options import DATE, PERSON, database_options
from bookingdb.cli.output import print_json, say


@click.group("hours")
def hours_group() -> None:
    """Show and change when a therapist works, in the therapist's local time."""


@hours_group.command("show")
@click.argument("therapist", type=PERSON)
@database_options
def show_hours(therapist: str, database_url: str | None, as_json: bool) -> None:
    """Print the weekly hours of THERAPIST (UUID or e-mail), as `hours set` takes them, and the exceptions of a year."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        week = bookings.get_weekly_hours(therapist)
        at_any_time = bookings.is_bookable_any_time(therapist)
        policy = bookings.get_policy(therapist)
        today = datetime.now(UTC).date()
        overrides = bookings.list_date_overrides(therapist, today - DAY, today + YEAR)
    if as_json:
        print_json(
            {
                "weekly": [window.to_dict() for window in week],
                "overrides": [override.to_dict() for override in overrides],
                "bookable_any_time": at_any_time,
            }
        )
        return
    _print_week(week, policy, at_any_time)
    for day, same in itertools.groupby(overrides, key=lambda override: override.override_date):
        say(_override_line(day, list(same)))


@hours_group.command("set")
@click.argument("therapist", type=PERSON)
@click.argument("week", nargs=-1)
@click.option(
    "--file",
    type=click.File(encoding="utf-8"),
    help="Instead of WEEK: JSON, a list of windows or what `hours show --json` prints; - for standard input.",
)
@click.option("--none", "clear", is_flag=True, help="Instead of WEEK: no weekly hours at all; THERAPIST is closed.")
@click.option("--any-time", is_flag=True, help="Instead of WEEK: forget all hours; bookable at any time.")
@database_options
def set_hours(
    therapist: str,
    week: Sequence[str],
    file: Any,
    clear: bool,
    any_time: bool,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Put WEEK in the place of all weekly hours of THERAPIST (UUID or e-mail).

    WEEK are days and their windows, e.g. 'mon-fri 09:00-12:00 13:00-17:00' 'sat 10:00-14:00'. A window that ends at or
    before its start ends on the next day. What does not hold for ever is followed by from DATE, to DATE or both; what
    does not hold every week by every 2 weeks from DATE, whose week is the first; what is in another zone by in ZONE.
    E.g. 'mon 09:00-12:00 every 2 weeks from 2027-01-04', 'fri 10:00-15:00 to 2027-05-31 in Europe/Lisbon'.
    """
    if sum(map(bool, (week, file, clear, any_time))) != 1:
        raise click.UsageError("give the week, --file, --none or --any-time")
    windows: Sequence[WeeklyWindow | Mapping[str, Any]] | None = None if any_time else []
    try:
        if file is not None:
            windows = _windows_of(json.load(file))
        elif week:
            windows = week_text.read_week(week)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        changed = bookings.set_weekly_hours(therapist, windows)
        at_any_time = bookings.is_bookable_any_time(therapist)
        policy = bookings.get_policy(therapist)
    if as_json:
        print_records(changed, as_json)
    else:
        _print_week(changed, policy, at_any_time)


@hours_group.command("override")
@click.argument("therapist", type=PERSON)
@click.argument("day", metavar="DATE", type=DATE)
@click.argument("windows", metavar="closed|as-usual|HH:MM-HH:MM", nargs=-1, required=True)
@database_options
def override_hours(therapist: str, day: date, windows: Sequence[str], database_url: str | None, as_json: bool) -> None:
    """Let other hours hold for THERAPIST (UUID or e-mail) on DATE: windows, none (closed), or the weekly ones again."""
    instead: list[tuple[time | str, time | str]] | None
    match [*windows]:
        case ["closed"]:
            instead = []
        case ["as-usual"]:
            instead = None
        case _:
            try:
                instead = [*week_text.read_windows(windows)]
            except ValueError as error:
                raise click.UsageError(str(error)) from None
    with open_database(database_url) as connection:
        changed = Bookings(connection).set_date_override(therapist, day, instead)
    if as_json:
        print_records(changed, as_json)
    else:
        say(_override_line(day, changed))


def _windows_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the windows of a week that a JSON document has."""
    windows = value.get("weekly") if isinstance(value, dict) else value
    if not isinstance(windows, list) or not all(isinstance(window, dict) for window in windows):
        raise ValueError("the file has no list of windows")
    # Postgres and PostgREST write seconds, which are always 0.
    return [
        {name: text.removesuffix(":00") if _has_seconds(text) else text for name, text in window.items()}
        for window in windows
    ]


def _has_seconds(value: Any) -> bool:
    return isinstance(value, str) and len(value) == len("09:00:00") and value.count(":") == 2


def _print_week(week: Sequence[WeeklyWindow], policy: Policy, at_any_time: bool) -> None:
    lines = week_text.write_week(week)
    if not lines:
        if at_any_time:
            lines = ["no weekly hours: bookable at any time"]
        elif policy.require_hours:
            lines = ["no weekly hours: closed, because the policy requires hours"]
        else:
            lines = ["no weekly hours: closed, because there were some (--any-time opens)"]
    say(*lines)


def _override_line(day: date, overrides: Sequence[DateOverride]) -> str:
    windows = [
        (override.start_time, override.end_time)
        for override in overrides
        if override.start_time is not None and override.end_time is not None
    ]
    if not overrides:
        return f"{day} as-usual"
    return f"{day} {week_text.write_windows(windows) if windows else 'closed'}"
