"""The commands about when a therapist can be booked: slots, next, find, hours, time-off, ics."""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from bookingdb import Bookings, DateOverride, Policy, TimeOff, WeeklyWindow
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli import day_grid, week_text
from bookingdb.cli.console import (
    DATE,
    INSTANT,
    MOMENT,
    REFUSED,
    database_url_option,
    json_option,
    open_database,
    options,
    print_json,
    print_records,
    print_table,
    print_value,
)
from bookingdb.cli.day_grid import DAY, Cell, Day, Hour
from bookingdb.cli.sessions import duration_option

YEAR: Final = timedelta(days=366)
DAYS_OF_A_TABLE: Final = 7
EVERYTHING: Final = 2**31 - 1

# What can be told apart without colours, too.
SIGNS: Final[Mapping[Cell | None, tuple[str, str]]] = {
    Cell.FREE: ("+", "bold green"),
    Cell.TAKEN: ("x", "red"),
    Cell.OFF: (".", "dim"),
    None: (" ", ""),
}
LEGEND: Final = "+ free   x taken   . off"
LEGEND_OF_GRIDS_WITH_HOURS_TWICE: Final = "   * once more, after the clocks went back"

zone_option = click.option("--time-zone", metavar="ZONE", help="IANA zone to show times in; default: the therapist's.")
step_option = click.option(
    "--step", "step_minutes", type=int, metavar="MINUTES", help="Every how many minutes; default: the policy's."
)
database_options = options(database_url_option, json_option)
moments_options = options(
    click.option("--from", "from_", type=MOMENT, help="From this date or instant on; default: today."),
    click.option("--to", type=MOMENT, help="Up to this date (included) or instant; default: a year later."),
)


@click.command("slots")
@click.argument("therapist")
@click.option("--days", type=click.IntRange(1, 365), default=14, show_default=True, help="How many days.")
@click.option("--from", "from_", type=DATE, help="The first date; default: today.")
@duration_option
@zone_option
@step_option
@database_options
def slots(
    therapist: str,
    days: int,
    from_: date | None,
    duration_minutes: int,
    time_zone: str | None,
    step_minutes: int | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Draw when THERAPIST (a UUID) is free, taken and off, a column a day; as JSON what is free.

    A time is free where a session of the duration can start.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        zone = zone_named(time_zone or bookings.get_policy(therapist).time_zone)
        first = from_ or datetime.now(zone).date()
        dates = [first + number * DAY for number in range(days)]
        asked: dict[str, Any] = {
            "duration_minutes": duration_minutes, "time_zone": time_zone, "step_minutes": step_minutes
        }  # fmt: skip
        if as_json:
            print_records(bookings.list_available_slots(therapist, dates[0], dates[-1], **asked), as_json)
            return
        times = bookings.list_slot_states(therapist, dates[0], dates[-1], **asked)
    if any(slot.start_time.astimezone(zone).time() != slot.local_time for slot in times):
        # A government changed its mind, and one of the two has not heard of it.
        click.echo(f"bookingdb: the time zone data of this machine and of the database differ: {zone.key}", err=True)
    click.echo(f"{duration_minutes} minutes, {zone.key}")
    print_grids(day_grid.day_grid(dates, zone, times))


def print_grids(days: Sequence[Day]) -> None:
    """Print days as tables of a week each, and what their signs mean."""
    from rich.console import Console  # noqa: PLC0415 (half of what starting the command would take)

    console = Console(highlight=False)
    hours_twice = False
    for begin in range(0, len(days), DAYS_OF_A_TABLE):
        part = days[begin : begin + DAYS_OF_A_TABLE]
        shown = day_grid.hours_shown(part)
        hours_twice |= any(hour is not None and not hour.is_first for hour in shown)
        console.print()
        console.print(_grid(part, shown))
        if not shown:
            console.print("Off on all of these days.")
    console.print()
    console.print(LEGEND + (LEGEND_OF_GRIDS_WITH_HOURS_TWICE if hours_twice else ""))


def _grid(days: Sequence[Day], shown: Sequence[Hour | None]) -> Any:
    from rich.box import SIMPLE  # noqa: PLC0415 (half of what starting the command would take)
    from rich.table import Table  # noqa: PLC0415 (half of what starting the command would take)
    from rich.text import Text  # noqa: PLC0415 (half of what starting the command would take)

    table = Table(box=SIMPLE, show_edge=False, pad_edge=False)
    # On which days the clocks change.
    changes = any(day.length != DAY for day in days)
    table.add_column(f"{days[0].date:%Y}" + ("\n\n" if changes else "\n"), no_wrap=True)
    for day in days:
        length = f"{day.length / timedelta(hours=1):g} h" if day.length != DAY else ""
        title = f"{day.date:%a}\n{day.date:%m-%d}" + (f"\n{length}" if changes else "")
        table.add_column(title, justify="center", no_wrap=True, min_width=5)
    for hour in shown:
        if hour is None:
            table.add_row("...")
        else:
            signs = [SIGNS[day.cells.get(hour)] for day in days]
            table.add_row(
                f"{hour.time:%H:%M}{'' if hour.is_first else '*'}", *(Text(sign, style) for sign, style in signs)
            )
    return table


@click.command("next")
@click.argument("therapist")
@duration_option
@click.option("--after", type=INSTANT, help="At or after this instant; default: now.")
@zone_option
@step_option
@database_options
def next_slot(therapist: str, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Print the first free time of THERAPIST (a UUID); exit 1 when there is none as far as can be booked."""
    with open_database(database_url) as connection:
        slot = Bookings(connection).next_available_slot(therapist, **given)
    if slot is not None:
        print_records([slot], as_json, single=True)
        return
    if as_json:
        print_json(None)
    else:
        click.echo("None.")
    sys.exit(REFUSED)


@click.command("find")
@click.option("--from", "from_", type=INSTANT, help="From this instant on; default: now.")
@click.option("--to", type=INSTANT, help="Over by this instant; default: a week later.")
@duration_option
@click.option("--therapist", "therapist_ids", multiple=True, metavar="UUID", help="Only this one; may be repeated.")
@click.option("--limit", type=int, default=20, show_default=True, help="How many at most, 1 to 1000.")
@database_options
def find(
    from_: datetime | None,
    to: datetime | None,
    duration_minutes: int,
    therapist_ids: Sequence[str],
    limit: int,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Find therapists who are free, whoever is free first, first."""
    begin = from_ or datetime.now(UTC)
    with open_database(database_url) as connection:
        found = Bookings(connection).find_available_therapists(
            begin,
            to or begin + timedelta(days=7),
            duration_minutes=duration_minutes,
            therapist_ids=therapist_ids or None,
            limit=limit,
        )
    print_records(found, as_json)


@click.group("hours")
def hours_group() -> None:
    """Show and change when a therapist works, in the therapist's local time."""


@hours_group.command("show")
@click.argument("therapist")
@database_options
def show_hours(therapist: str, database_url: str | None, as_json: bool) -> None:
    """Print the weekly hours of THERAPIST (a UUID), as `hours set` takes them, and the exceptions of a year."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        week = bookings.get_weekly_hours(therapist)
        policy = bookings.get_policy(therapist)
        today = datetime.now(UTC).date()
        overrides = bookings.list_date_overrides(therapist, today - DAY, today + YEAR)
    if as_json:
        print_json(
            {
                "weekly": [window.to_dict() for window in week],
                "overrides": [override.to_dict() for override in overrides],
            }
        )
        return
    _print_week(week, policy)
    for day, same in itertools.groupby(overrides, key=lambda override: override.override_date):
        click.echo(_override_line(day, list(same)))


@hours_group.command("set")
@click.argument("therapist")
@click.argument("week", nargs=-1)
@click.option(
    "--file",
    type=click.File(encoding="utf-8"),
    help="Instead of WEEK: JSON, a list of windows or what `hours show --json` prints; - for standard input.",
)
@click.option("--none", "clear", is_flag=True, help="Instead of WEEK: no weekly hours at all.")
@database_options
def set_hours(
    therapist: str, week: Sequence[str], file: Any, clear: bool, database_url: str | None, as_json: bool
) -> None:
    """Put WEEK in the place of all weekly hours of THERAPIST (a UUID).

    WEEK are days and their windows, e.g. 'mon-fri 09:00-12:00 13:00-17:00' 'sat 10:00-14:00'. A window that ends at or
    before its start ends on the next day. What does not hold for ever is followed by from DATE, to DATE or both.
    """
    if sum(map(bool, (week, file, clear))) != 1:
        raise click.UsageError("give the week, --file or --none")
    windows: Sequence[WeeklyWindow | Mapping[str, Any]] = []
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
        policy = bookings.get_policy(therapist)
    if as_json:
        print_records(changed, as_json)
    else:
        _print_week(changed, policy)


@hours_group.command("override")
@click.argument("therapist")
@click.argument("day", metavar="DATE", type=DATE)
@click.argument("windows", metavar="closed|as-usual|HH:MM-HH:MM", nargs=-1, required=True)
@database_options
def override_hours(therapist: str, day: date, windows: Sequence[str], database_url: str | None, as_json: bool) -> None:
    """Let other hours hold for THERAPIST (a UUID) on DATE: some windows, none (closed), or the weekly ones again."""
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
        click.echo(_override_line(day, changed))


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


def _print_week(week: Sequence[WeeklyWindow], policy: Policy) -> None:
    lines = week_text.write_week(week)
    if not lines:
        lines = ["no weekly hours: " + ("never" if policy.require_hours else "at any time")]
    click.echo("\n".join(lines))


def _override_line(day: date, overrides: Sequence[DateOverride]) -> str:
    windows = [
        (override.start_time, override.end_time)
        for override in overrides
        if override.start_time is not None and override.end_time is not None
    ]
    if not overrides:
        return f"{day} as-usual"
    return f"{day} {week_text.write_windows(windows) if windows else 'closed'}"


@click.group("time-off")
def time_off_group() -> None:
    """List, add and remove time off."""


@time_off_group.command("list")
@click.argument("therapist")
@moments_options
@database_options
def list_time_off(therapist: str, from_: date | None, to: date | None, database_url: str | None, as_json: bool) -> None:
    """List the time off of THERAPIST (a UUID), and the sessions that are booked in it all the same."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin, end = _span(bookings.get_policy(therapist), from_, to)
        found = bookings.list_time_off(therapist, begin, end)
    _print_time_off(found, as_json)


@time_off_group.command("add")
@click.argument("therapist")
@click.option("--from", "from_", type=MOMENT, required=True, help="From this date or instant on.")
@click.option("--to", type=MOMENT, required=True, help="Up to this date (included) or instant.")
@click.option("--reason", metavar="TEXT", help="Why.")
@database_options
def add_time_off(
    therapist: str, from_: date, to: date, reason: str | None, database_url: str | None, as_json: bool
) -> None:
    """Let nothing be booked with THERAPIST (a UUID) for a time; dates are whole days of the therapist's zone.

    Prints the sessions that were booked in it before: they stay.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin, end = _span(bookings.get_policy(therapist), from_, to)
        added = bookings.add_time_off(therapist, begin, end, reason=reason)
    print_records([added], as_json, single=True)


@time_off_group.command("remove")
@click.argument("time_off_id", metavar="TIME_OFF")
@database_options
def remove_time_off(time_off_id: str, database_url: str | None, as_json: bool) -> None:
    """Take TIME_OFF (a UUID) back. Prints its id."""
    with open_database(database_url) as connection:
        Bookings(connection).remove_time_off(time_off_id)
    print_value("removed", time_off_id, as_json)


def _print_time_off(found: Sequence[TimeOff], as_json: bool) -> None:
    if as_json:
        print_records(found, as_json)
        return
    print_table(
        [
            {
                "id": time_off.id,
                "from": time_off.start_time,
                "to": time_off.end_time,
                "reason": time_off.reason,
                "sessions": [*time_off.session_ids],
            }
            for time_off in found
        ]
    )


@click.command("ics")
@click.argument("therapist")
@moments_options
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output."
)
@database_options
def ics(
    therapist: str,
    from_: date | None,
    to: date | None,
    output: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Write an iCalendar file of the sessions and the time off of THERAPIST (a UUID).

    Sessions that were cancelled are in it as cancelled, so that a calendar that has them takes them out.
    """
    from bookingdb.cli import ical  # noqa: PLC0415 (the package icalendar takes its time)

    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy(therapist)
        begin, end = _span(policy, from_, to)
        sessions = bookings.list_sessions(
            therapist_id=therapist, starts_from=begin, starts_before=end, limit=EVERYTHING
        )
        time_off = bookings.list_time_off(therapist, begin, end)
    zone = zone_named(policy.time_zone)
    written = ical.write(sessions, time_off, zone, begin=begin, end=end, now=datetime.now(UTC))
    if output is not None:
        output.write_bytes(written)
    if as_json:
        print_json({"path": output, "calendar": None if output else written.decode()})
    elif output is not None:
        click.echo(f"Wrote {output}")
    else:
        click.echo(written, nl=False)


def _span(policy: Policy, from_: date | None, to: date | None) -> tuple[datetime, datetime]:
    """Return the instants that two dates or instants mean; the second date is included."""
    zone = zone_named(policy.time_zone)
    begin = _start(from_ or datetime.now(zone).date(), zone)
    if to is None:
        return begin, begin + YEAR
    return begin, _start(to if isinstance(to, datetime) else to + DAY, zone)


def _start(moment: date, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return day_grid.instant(datetime.combine(moment, time()), zone)
