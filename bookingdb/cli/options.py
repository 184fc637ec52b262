"""Options that several commands have, and the kinds of values they take."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import click

from bookingdb import Bookings, Policy
from bookingdb.calls.parameters import zone as zone_named
from bookingdb.cli import refuse_acting
from bookingdb.cli.console import person_id
from bookingdb.cli.day_grid import DAY, YEAR, instant_of

Command = TypeVar("Command", bound=Callable[..., Any])


class Instant(click.ParamType[datetime]):
    """An instant on the command line: ISO 8601 with an offset."""

    name = "INSTANT"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> datetime:
        """Return the datetime; fails with a usage error where there is none, or no offset."""
        try:
            instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no instant such as 2030-01-07T10:00+01:00", parameter, context)
        if instant.tzinfo is None:
            self.fail(f"{value!r} needs an offset, such as Z or +01:00", parameter, context)
        return instant


class Person(click.ParamType[str]):
    """A person on the command line: their id, or their e-mail address, which the database is asked for."""

    name = "USER"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        """Return the id. A text that is no address is left to the call, which says what is wrong with it."""
        if "@" not in value or context is None or context.resilient_parsing:
            return str(value)
        url = context.params.get("database_url")
        # Without a value, click has a sign of its own there until everything is read.
        return person_id(value, url if isinstance(url, str) else None, is_therapist=_is_therapist(parameter))


def _is_therapist(parameter: click.Parameter | None) -> bool:
    return parameter is not None and str(parameter.name).startswith("therapist")


class Date(click.ParamType[date]):
    """A date on the command line: ``2030-01-07``."""

    name = "DATE"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """Return the date; fails with a usage error where there is none."""
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is no date such as 2030-01-07", parameter, context)


class Moment(click.ParamType[date]):
    """An instant on the command line, or a date, which is a whole day of whatever zone is meant."""

    name = "DATE|INSTANT"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """Return the datetime or the date; fails with a usage error where there is neither."""
        is_date = isinstance(value, str) and len(value) == len("2030-01-07")
        return (DATE if is_date else INSTANT).convert(value, parameter, context)


class Days(click.ParamType[tuple[date, date]]):
    """Whole days on the command line: ``2030-01-07`` or ``2030-01-07..2030-01-11``, both included."""

    name = "DATE[..DATE]"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[date, date]:
        """Return the first and the last date; fails with a usage error where there is none."""
        if isinstance(value, tuple):
            return value
        first, separator, last = value.partition("..")
        begin = DATE.convert(first, parameter, context)
        return begin, DATE.convert(last, parameter, context) if separator else begin


class Duration(click.ParamType[timedelta]):
    """A length of time on the command line: ``90s``, ``30m``, ``24h``, ``2 days``, ``1 day 12:00:00``."""

    name = "DURATION"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> timedelta:
        """Return the timedelta; fails with a usage error where there is none."""
        if isinstance(value, timedelta):
            return value
        found = _UNITS.fullmatch(_CLOCK.sub(r"\1h\2m\3s", value))
        if found is None or not any(found.groups()):
            self.fail(f"{value!r} is no length of time such as 30m, 24h, '2 days' or 01:30:00", parameter, context)
        return timedelta(**{unit: int(number) for unit, number in found.groupdict("0").items()})


_CLOCK: Final = re.compile(r"([0-9]{2,4}):([0-5][0-9]):([0-5][0-9])")

_UNITS: Final = re.compile(
    r"(?:(?P<weeks>[0-9]{1,4}) ?(?:w|weeks?))? ?"
    r"(?:(?P<days>[0-9]{1,5}) ?(?:d|days?))? ?"
    r"(?:(?P<hours>[0-9]{1,6}) ?(?:h|hours?))? ?"
    r"(?:(?P<minutes>[0-9]{1,7}) ?(?:m|min|minutes?))? ?"
    r"(?:(?P<seconds>[0-9]{1,9}) ?(?:s|seconds?))?",
    re.ASCII,
)

PERSON: Final = Person()

INSTANT: Final = Instant()

MOMENT: Final = Moment()

DATE: Final = Date()

DAYS: Final = Days()

DURATION: Final = Duration()


def options(*given: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Make one decorator of several options and arguments; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(given):
            command = option(command)
        return command

    return decorate


def _nearest_url(context: click.Context, _: click.Parameter, url: str | None) -> str | None:
    """Return the URL of the command, else the one that was named before it."""
    # Without a value, click has a sign of its own there.
    named = url if isinstance(url, str) else context.find_root().params.get("database_url")
    return named if isinstance(named, str) else None


def _act_as(context: click.Context, _: click.Parameter, user: str | None) -> None:
    """Let the command act as this user, as if ``--as`` stood before it."""
    if not isinstance(user, str):
        return
    root = context.find_root()
    refuse_acting(root)
    if root.params.get("acting_as") is not None:
        raise click.UsageError("Give --as once.")
    root.params["acting_as"] = user


def database_url_option(command: Command) -> Command:
    """Give a command the option ``--database-url``, as the parameter `database_url`, and ``--as``.

    Both may as well stand before the command, where the help has ``--as``.
    """
    command = click.option("--as", "acting_as", hidden=True, is_eager=True, expose_value=False, callback=_act_as)(
        command
    )
    return click.option(
        "--database-url",
        metavar="URL",
        is_eager=True,  # a person's address is asked of this database while the rest is read
        callback=_nearest_url,
        help="The database, without its password, which ps would show;"
        " default: $BOOKINGDB_DATABASE_URL, $DATABASE_URL, PG*, the running local server.",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


database_options = options(database_url_option, json_option)

duration_option = click.option(
    "--duration", "duration_minutes", type=int, default=60, show_default=True, help="Minutes, 15-180."
)

moments_options = options(
    click.option("--from", "from_", type=MOMENT, help="From this date or instant on; default: today."),
    click.option("--to", type=MOMENT, help="Up to this date (included) or instant; default: a year later."),
)


def span_of(policy: Policy, from_: date | None, to: date | None) -> tuple[datetime, datetime]:
    """Return the instants that two dates or instants mean; the second date is included."""
    zone = zone_named(policy.time_zone)
    begin = _start_of(from_ or datetime.now(zone).date(), zone)
    if to is None:
        return begin, begin + YEAR
    return begin, _start_of(to if isinstance(to, datetime) else to + DAY, zone)


def instants_of(
    bookings: Bookings, therapist: str | None, from_: date | None, to: date | None
) -> tuple[datetime | None, datetime | None]:
    """Return the instants that two dates or instants mean, of which each may be left out; the second date is included.

    Dates are those of the therapist's zone; without one, of the default policy's.
    """
    if all(moment is None or isinstance(moment, datetime) for moment in (from_, to)):
        return from_, to  # type: ignore[return-value]  # no date needs a zone, and nothing is asked
    policy = bookings.get_policy(therapist)
    begin, end = span_of(policy, from_, to)
    return begin if from_ else None, end if to else None


def _start_of(moment: date, zone: ZoneInfo) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return instant_of(datetime.combine(moment, time()), zone)
