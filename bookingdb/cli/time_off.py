"""The commands about time off."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import click

from bookingdb import Bookings, TimeOff
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli.console import open_database, print_records, print_table, print_value
from bookingdb.cli.day_grid import DAY, instant_of
from bookingdb.cli.options import DAYS, MOMENT, PERSON, database_options, moments_options, span_of


@click.group("time-off")
def time_off_group() -> None:
    """List, add and remove time off."""


@time_off_group.command("list")
@click.argument("therapist", type=PERSON)
@moments_options
@database_options
def list_time_off(therapist: str, from_: date | None, to: date | None, database_url: str | None, as_json: bool) -> None:
    """List the time off of THERAPIST (UUID or e-mail), and the sessions that are booked in it all the same."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy(therapist)
        begin, end = span_of(policy, from_, to)
        found = bookings.list_time_off(therapist, begin, end)
    if as_json:
        print_records(found, as_json)
    else:
        print_table([_shown(time_off, zone_named(policy.time_zone)) for time_off in found])


@time_off_group.command("add")
@click.argument("therapist", type=PERSON)
@click.option("--days", type=DAYS, help="Whole days, both included, e.g. 2030-12-24..2030-12-26; or one.")
@click.option("--from", "from_", type=MOMENT, help="Instead of --days: from this date or instant on.")
@click.option("--to", type=MOMENT, help="Up to this date (included) or instant.")
@click.option("--reason", metavar="TEXT", help="Why.")
@database_options
def add_time_off(
    therapist: str,
    days: tuple[date, date] | None,
    from_: date | None,
    to: date | None,
    reason: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Let nothing be booked with THERAPIST (UUID or e-mail) for a time; dates are whole days of the therapist's zone.

    Prints the sessions that were booked in it before: they stay.
    """
    if (days is None) == (from_ is None and to is None) or (from_ is None) != (to is None):
        raise click.UsageError("Give --days, or --from and --to.")
    if from_ is not None and to is not None and not (isinstance(from_, datetime) or isinstance(to, datetime)):
        days = (from_, to)
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        policy = bookings.get_policy(therapist)
        if days is not None:
            added = bookings.add_days_off(therapist, *days, reason=reason)
        else:
            begin, end = span_of(policy, from_, to)
            added = bookings.add_time_off(therapist, begin, end, reason=reason)
    if as_json:
        print_records([added], as_json, single=True)
    else:
        fields = _shown(added, zone_named(policy.time_zone))
        print_table([{"": name, " ": value} for name, value in fields.items()])


@time_off_group.command("remove")
@click.argument("time_off_id", metavar="TIME_OFF")
@database_options
def remove_time_off(time_off_id: str, database_url: str | None, as_json: bool) -> None:
    """Take TIME_OFF (a UUID) back. Prints its id."""
    with open_database(database_url) as connection:
        Bookings(connection).remove_time_off(time_off_id)
    print_value("removed", time_off_id, as_json)


def _shown(time_off: TimeOff, zone: ZoneInfo) -> dict[str, Any]:
    """Return the fields of a time off as --days, --from and --to take them: whole days, or local times."""
    begin, end = time_off.start_time.astimezone(zone), time_off.end_time.astimezone(zone)
    if all(moment == instant_of(datetime.combine(moment.date(), time()), zone) for moment in (begin, end)):
        shown = [f"{begin:%Y-%m-%d}", f"{end.date() - DAY:%Y-%m-%d}"]
    else:
        shown = [f"{moment:%Y-%m-%d %H:%M}" for moment in (begin, end)]
    return {
        "id": time_off.id,
        "from": shown[0],
        "to": shown[1],
        "zone": zone.key,
        "reason": time_off.reason,
        "sessions": [*time_off.session_ids],
    }
