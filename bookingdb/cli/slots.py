"""The commands about when a therapist is free: slots, next, find."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from bookingdb import Bookings
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli import REFUSED
from bookingdb.cli.console import open_database, print_records, print_table
from bookingdb.cli.day_grid import DAY, day_grid, print_grids
from bookingdb.cli.options import DATE, MOMENT, PERSON, database_options, duration_option, instants_of, options
from bookingdb.cli.output import print_json, remark, say

zone_option = click.option("--time-zone", metavar="ZONE", help="IANA zone to show times in; default: the therapist's.")
step_option = click.option(
    "--step", "step_minutes", type=int, metavar="MINUTES", help="Every how many minutes; default: the policy's."
)
client_options = options(
    click.option(
        "--user",
        "user_id",
        type=PERSON,
        metavar="USER",
        help="The client who is to book: only what they can book is free.",
    ),
    click.option(
        "--exclude-session",
        "exclude_session_id",
        metavar="UUID",
        help="A session that is to be moved: its time is free.",
    ),
)


@click.command("slots")
@click.argument("therapist", type=PERSON)
@click.option("--days", type=click.IntRange(1, 365), default=14, show_default=True, help="How many days.")
@click.option("--from", "from_", type=DATE, help="The first date; default: today.")
@duration_option
@zone_option
@step_option
@client_options
@database_options
def slots(
    therapist: str,
    days: int,
    from_: date | None,
    duration_minutes: int,
    time_zone: str | None,
    step_minutes: int | None,
    user_id: str | None,
    exclude_session_id: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Draw when THERAPIST (UUID or e-mail) is free, taken and off, a column a day; as JSON what is free.

    A time is free where a session of the duration can start.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        zone = zone_named(time_zone or bookings.get_policy(therapist).time_zone)
        first = from_ or datetime.now(zone).date()
        dates = [first + number * DAY for number in range(days)]
        asked: dict[str, Any] = {
            "duration_minutes": duration_minutes, "time_zone": time_zone, "step_minutes": step_minutes,
            "user_id": user_id, "exclude_session_id": exclude_session_id,
        }  # fmt: skip
        if as_json:
            print_records(bookings.list_available_slots(therapist, dates[0], dates[-1], **asked), as_json)
            return
        times = bookings.list_slot_states(therapist, dates[0], dates[-1], **asked)
    if any(slot.start_time.astimezone(zone).time() != slot.local_time for slot in times):
        # A government changed its mind, and one of the two has not heard of it.
        remark(f"the time zone data of this machine and of the database differ: {zone.key}")
    say(f"{duration_minutes} minutes, {zone.key}")
    print_grids(day_grid(dates, zone, times))


@click.command("next")
@click.argument("therapist", type=PERSON)
@duration_option
@click.option("--after", type=MOMENT, help="On or after this date or instant; default: now.")
@zone_option
@step_option
@client_options
@database_options
def next_slot(therapist: str, after: date | None, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Print the first free time of THERAPIST (UUID or e-mail); exit 1 when there is none as far as can be booked."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin, _ = instants_of(bookings, therapist, after, None)
        slot = bookings.next_available_slot(therapist, after=begin, **given)
    if slot is not None:
        print_records([slot], as_json, single=True)
        return
    if as_json:
        print_json(None)
    else:
        say("None.")
    sys.exit(REFUSED)


@click.command("find")
@click.option("--from", "from_", type=MOMENT, help="From this date or instant on; default: now.")
@click.option("--to", type=MOMENT, help="Over by the end of this date, or by this instant; default: a week later.")
@duration_option
@click.option(
    "--therapist", "therapist_ids", multiple=True, type=PERSON, metavar="USER", help="Only this one; may be repeated."
)
@click.option("--limit", type=int, default=20, show_default=True, help="How many at most, 1 to 1000.")
@database_options
def find(
    from_: date | None,
    to: date | None,
    duration_minutes: int,
    therapist_ids: Sequence[str],
    limit: int,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Find therapists who are free, the soonest first, in their local time. Dates are of the default policy's zone."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        first, last = instants_of(bookings, None, from_, to)
        begin = first or datetime.now(UTC)
        found = bookings.find_available_therapists(
            begin,
            last or begin + timedelta(days=7),
            duration_minutes=duration_minutes,
            therapist_ids=therapist_ids or None,
            limit=limit,
        )
        people = {} if as_json else {person.id: person for person in bookings.list_therapists()}
    if as_json:
        print_records(found, as_json)
        return
    rows = []
    for free in found:
        person = people.get(free.therapist_id)
        zone = zone_named(person.time_zone if person else "UTC")
        rows.append(
            {
                "therapist": [(person.full_name or person.email or "?") if person else "?", str(free.therapist_id)],
                "start": [f"{free.start_time.astimezone(zone):%Y-%m-%d %H:%M}", zone.key],
                "end": f"{free.end_time.astimezone(zone):%H:%M}",
            }
        )
    print_table(rows)
