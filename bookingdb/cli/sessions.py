"""The commands about sessions, from the hold to the no-show."""

import contextlib
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import click

from bookingdb import BookedSession, BookingError, Bookings, ChangedSession, ListedSession, Session
from bookingdb.cli import REFUSED
from bookingdb.cli.console import moment_in_words, open_database, print_records, print_table, print_value
from bookingdb.cli.options import (
    DURATION,
    INSTANT,
    MOMENT,
    PERSON,
    database_options,
    duration_option,
    instants_of,
    options,
)
from bookingdb.cli.output import print_json, say

people_options = options(
    click.option("--user", required=True, type=PERSON, metavar="USER", help="The client."),
    click.option("--therapist", required=True, type=PERSON, metavar="USER", help="The therapist."),
)
when_options = options(
    click.option("--date", "session_date", metavar="YYYY-MM-DD", help="The local date."),
    click.option("--time", "session_time", metavar="HH:MM", help="The local time."),
    click.option("--starts-at", type=INSTANT, help="Instead of both: the instant, e.g. 2030-01-07T10:00+01:00."),
)

zone_option = click.option("--time-zone", metavar="ZONE", help="IANA zone of date and time; default: the therapist's.")
text_options = options(
    click.option("--type", "session_type", default="video", show_default=True, help="The kind of session."),
    click.option("--notes", default="", help="Kept with the session."),
    click.option("--title", default="Therapy Session", show_default=True, help="What the session is called."),
)
key_option = click.option("--idempotency-key", metavar="KEY", help="The same call with the same key is done once.")

rest_option = click.option("--rest", is_flag=True, help="Also all later sessions of its series that are still open.")


override_option = click.option(
    "--override",
    metavar="RULE",
    multiple=True,
    help="A rule that does not count: hours, minimum_notice, maximum_advance, limits or all; several with commas.",
)


def rules_of(override: Sequence[str]) -> list[str] | None:
    """Return the names of rules that an option gave, by itself again and again or with commas; None for none."""
    return [rule.strip() for given in override for rule in given.split(",")] or None


@click.command("book")
@people_options
@when_options
@duration_option
@text_options
@zone_option
@key_option
@click.option("--override-hours", is_flag=True, help="Also outside of the therapist's hours; the audit log says so.")
@override_option
@database_options
def book(
    user: str,
    therapist: str,
    override_hours: bool,
    override: tuple[str, ...],
    database_url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Book a session and take one credit for it."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        if override_hours or override:
            session = bookings.book_session_with_override(
                user_id=user,
                therapist_id=therapist,
                override_hours=override_hours,
                override=rules_of(override),
                **given,
            )
        else:
            session = bookings.book_session(user_id=user, therapist_id=therapist, **given)
    print_records([session], as_json, single=True)


@click.command("record")
@people_options
@when_options
@duration_option
@text_options
@zone_option
@click.option(
    "--status",
    default="completed",
    show_default=True,
    metavar="STATUS",
    help="What became of it: completed, no_show or in_progress.",
)
@key_option
@database_options
def record(user: str, therapist: str, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Record a session that took place without having been booked, and take one credit for it."""
    with open_database(database_url) as connection:
        session = Bookings(connection).record_session(user_id=user, therapist_id=therapist, **given)
    print_records([session], as_json, single=True)


@click.command("book-series")
@people_options
@click.option("--date", "session_date", required=True, metavar="YYYY-MM-DD", help="The local date of the first.")
@click.option("--time", "session_time", required=True, metavar="HH:MM", help="The local time of each.")
@click.option("--occurrences", required=True, type=int, metavar="N", help="How many, 1 to 52.")
@click.option(
    "--every",
    default="1 week",
    show_default=True,
    metavar="TEXT",
    help="From one to the next: days, weeks, months or a year, e.g. '14 days'.",
)
@duration_option
@text_options
@zone_option
@key_option
@click.option("--skip", is_flag=True, help="Leave out those whose time is not free, and say which; default: book none.")
@database_options
def book_series(user: str, therapist: str, skip: bool, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Book sessions at the same local time and take a credit for each: all of them or none."""
    on_conflict = "skip" if skip else "fail"
    with open_database(database_url) as connection:
        booked = Bookings(connection).book_series(
            user_id=user, therapist_id=therapist, on_conflict=on_conflict, **given
        )
    if as_json and skip:
        print_json(
            {
                "sessions": [session.to_dict() for session in booked],
                "skipped": [left_out.to_dict() for left_out in booked.skipped],
            }
        )
        return
    print_sessions(booked, as_json)
    if booked.skipped:
        print_table(
            [
                {
                    "occurrence": left_out.occurrence,
                    "date": left_out.scheduled_date,
                    "time": left_out.scheduled_time,
                    "skipped": left_out.error["code"],
                    "rule": left_out.error.get("rule"),
                    "next free": _next_free(left_out.error),
                }
                for left_out in booked.skipped
            ]
        )


def _next_free(error: dict[str, Any]) -> str | None:
    """Return the next free start that DETAIL has, in the therapist's time."""
    start = error.get("next_free")
    return moment_in_words(datetime.fromisoformat(start), error.get("time_zone", "UTC")) if start else None


@click.command("sessions")
@click.option("--user", type=PERSON, metavar="USER", help="Only this client's.")
@click.option("--therapist", type=PERSON, metavar="USER", help="Only this therapist's.")
@click.option("--status", "statuses", metavar="STATUS", multiple=True, help="Only those in it; can be given again.")
@click.option("--from", "from_", type=MOMENT, help="Only those that start on or after this date or instant.")
@click.option("--to", type=MOMENT, help="Only those that start up to this date (included) or before this instant.")
@click.option("--limit", type=int, default=50, show_default=True, help="How many at most.")
@click.option("--after", "cursor", metavar="CURSOR", help="The next page: what was printed below the page before.")
@click.option("--descending", is_flag=True, help="The latest start first.")
@database_options
def list_sessions(
    user: str | None,
    therapist: str | None,
    statuses: tuple[str, ...],
    from_: date | None,
    to: date | None,
    limit: int,
    database_url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """List sessions in the order of their start; dates are the therapist's, without one the default policy's."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin, end = instants_of(bookings, therapist, from_, to)
        sessions = bookings.list_sessions(
            user_id=user,
            therapist_id=therapist,
            statuses=statuses or None,
            starts_from=begin,
            starts_before=end,
            limit=limit,
            **given,
        )
    if as_json:
        print_records(sessions, as_json)
        return
    _print_listed_sessions(sessions)
    if len(sessions) == limit:
        say(f"Next page: --after {sessions[-1].cursor}")


@click.command("session")
@click.argument("session")
@database_options
def get_session(session: str, database_url: str | None, as_json: bool) -> None:
    """Show SESSION (a UUID), and what may be done with it next."""
    with open_database(database_url) as connection:
        found = Bookings(connection).get_session(session)
    # The cursor is for a list's next page.
    print_records([found], as_json, single=True, without=() if as_json else ("cursor",))


@click.command("holds")
@click.argument("hold_id", metavar="[HOLD]", required=False)
@click.option("--user", type=PERSON, metavar="USER", help="Only this client's.")
@click.option("--therapist", type=PERSON, metavar="USER", help="Only those of this therapist's time.")
@database_options
def list_holds(
    hold_id: str | None, user: str | None, therapist: str | None, database_url: str | None, as_json: bool
) -> None:
    """List the holds that are alive, or show HOLD (a UUID) and what became of it."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        if hold_id is not None:
            print_records([bookings.get_hold(hold_id)], as_json, single=True)
            return
        holds = bookings.list_holds(user_id=user, therapist_id=therapist)
    if as_json:
        print_records(holds, as_json)
        return
    print_table(
        [
            {
                "id": hold.id,
                "start": f"{hold.scheduled_date} {hold.scheduled_time:%H:%M}",
                "zone": hold.time_zone,
                "until": moment_in_words(hold.expires_at, hold.time_zone),
                "client": hold.client_name,
                "therapist": hold.therapist_name,
            }
            for hold in holds
        ],
        narrow=[
            {
                "hold": [str(hold.id), _both(hold.client_name, hold.therapist_name)],
                "start": [f"{hold.scheduled_date} {hold.scheduled_time:%H:%M}", hold.time_zone],
                "until": moment_in_words(hold.expires_at, hold.time_zone),
            }
            for hold in holds
        ],
    )


@click.command("check")
@click.option("--therapist", required=True, type=PERSON, metavar="USER", help="The therapist.")
@click.option("--date", "session_date", required=True, metavar="YYYY-MM-DD", help="The local date.")
@click.option("--from", "start_time", required=True, metavar="HH:MM", help="The local start.")
@click.option(
    "--to", "end_time", required=True, metavar="HH:MM", help="The local end; at or before the start: on the next day."
)
@click.option("--time-zone", metavar="ZONE", help="IANA zone of these; default: the therapist's.")
@click.option("--exclude", "exclude_session_id", metavar="UUID", help="A session that does not count.")
@database_options
def check(therapist: str, database_url: str | None, as_json: bool, **options: Any) -> None:
    """Say whether a therapist is free, and if not, whether the time is taken or off; exit 1 when not."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        is_busy = bookings.check_booking_conflict(therapist_id=therapist, **options)
        state, next_free = _why_busy(bookings, therapist, options) if is_busy else ("free", None)
    if as_json:
        print_json({"conflict": is_busy, "state": state})
    elif is_busy:
        why = f": {_STATES[state]}" if state else ""
        say(f"not free{why}{f'; next free: {next_free}' if next_free else ''}")
    else:
        say("free")
    if is_busy:
        sys.exit(REFUSED)


_STATES: Final = {"taken": "taken", "off": "outside of hours or of the booking window, or in time off"}


def _why_busy(bookings: Bookings, therapist: str, asked: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return whether a time is taken or off, and the next free start; None where no slot has this time or length."""
    start, end = (time.fromisoformat(asked[name]) for name in ("start_time", "end_time"))
    minutes = (end.hour - start.hour) * 60 + end.minute - start.minute
    day, rest = asked["session_date"], {"exclude_session_id": asked["exclude_session_id"]}
    rest["duration_minutes"] = minutes if minutes > 0 else minutes + 24 * 60
    with contextlib.suppress(BookingError):
        # A clock that goes back shows a time twice: a call means the first.
        states = bookings.list_slot_states(therapist, day, day, time_zone=asked["time_zone"], step_minutes=1, **rest)
        found = next((slot for slot in states if slot.local_time == start and slot.state in _STATES), None)
        if found is not None:
            later = bookings.next_available_slot(therapist, after=found.start_time, **rest)
            zone = bookings.get_policy(therapist).time_zone
            return found.state, moment_in_words(later.start_time, zone) if later else None
    return None, None


@click.command("hold")
@people_options
@when_options
@duration_option
@click.option("--ttl", type=DURATION, help="For how long, 10s to 1h, e.g. 5m; default: the policy's.")
@zone_option
@key_option
@database_options
def hold(
    user: str, therapist: str, ttl: timedelta | None, database_url: str | None, as_json: bool, **given: Any
) -> None:
    """Keep a time for a client against everybody else for a while, at no cost."""
    with open_database(database_url) as connection:
        held = Bookings(connection).hold_slot(user_id=user, therapist_id=therapist, ttl=ttl, **given)
    print_records([held], as_json, single=True)


@click.command("release")
@click.argument("hold_id", metavar="HOLD")
@database_options
def release(hold_id: str, database_url: str | None, as_json: bool) -> None:
    """Give HOLD (a UUID) up; one that is over stays so. Prints its id."""
    with open_database(database_url) as connection:
        Bookings(connection).release_hold(hold_id)
    print_value("released", hold_id, as_json)


@click.command("book-hold")
@click.argument("hold_id", metavar="HOLD")
@text_options
@key_option
@database_options
def book_hold(hold_id: str, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Turn HOLD (a UUID) into a session and take one credit for it."""
    with open_database(database_url) as connection:
        session = Bookings(connection).book_hold(hold_id, **given)
    print_records([session], as_json, single=True)


@click.command("cancel")
@click.argument("session")
@click.option("--reason", metavar="TEXT", help="Why; kept with the session.")
@click.option("--refund/--no-refund", default=None, help="Return the credit or keep it; default: as was agreed.")
@rest_option
@key_option
@database_options
def cancel(session: str, rest: bool, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Cancel SESSION (a UUID); its time is free at once."""
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        cancelled = bookings.cancel_series(session, **given) if rest else [bookings.cancel_session(session, **given)]
    print_changed(cancelled, rest, as_json)


@click.command("reopen")
@click.argument("session")
@click.option("--reason", metavar="TEXT", help="Why; kept with the session.")
@key_option
@database_options
def reopen(session: str, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Undo that SESSION (a UUID) was cancelled, missed or completed; take its credit again."""
    with open_database(database_url) as connection:
        reopened = Bookings(connection).reopen_session(session, **given)
    print_records([reopened], as_json, single=True)


@click.command("reschedule")
@click.argument("session")
@when_options
@click.option("--duration", "duration_minutes", type=int, help="Minutes, 15-180; default: as long as it was.")
@click.option("--time-zone", metavar="ZONE", help="IANA zone of date and time; default: the therapist's.")
@rest_option
@key_option
@override_option
@database_options
def reschedule(
    session: str, override: tuple[str, ...], rest: bool, database_url: str | None, as_json: bool, **given: Any
) -> None:
    """Move SESSION (a UUID) to another time, or leave it where it is if that is taken."""
    if rest and override:
        raise click.UsageError("--override is for one session, not for the --rest of a series.")
    if not (given["starts_at"] or given["session_date"] or given["session_time"]):
        raise click.UsageError("Say to when: --date and --time, or --starts-at.")
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        if rest:
            moved = bookings.reschedule_series(session, **given)
        else:
            moved = [bookings.reschedule_session(session, override=rules_of(override), **given)]
    print_changed(moved, rest, as_json)


@click.command("refund")
@click.argument("session")
@click.option("--reason", required=True, metavar="TEXT", help="Why; the ledger keeps it.")
@key_option
@database_options
def refund(session: str, database_url: str | None, as_json: bool, **given: Any) -> None:
    """Give back the credit of SESSION (a UUID), which is over or was cancelled late; it stays as it is."""
    with open_database(database_url) as connection:
        refunded = Bookings(connection).refund_session(session, **given)
    print_records([refunded], as_json, single=True)


@click.command("transfer")
@click.argument("session")
@click.argument("therapist", type=PERSON)
@click.option("--reason", metavar="TEXT", help="Why; kept with the session.")
@key_option
@override_option
@database_options
def transfer(
    session: str,
    therapist: str,
    override: tuple[str, ...],
    database_url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Give SESSION (a UUID) to THERAPIST (UUID or e-mail) at the same time, if they are free."""
    with open_database(database_url) as connection:
        transferred = Bookings(connection).transfer_session(session, therapist, override=rules_of(override), **given)
    print_records([transferred], as_json, single=True)


def status_command(name: str, method: str, what: str) -> click.Command:
    """Make a command that calls a method with a session and prints how it stands then."""

    @click.command(name, help=what)
    @click.argument("session")
    @key_option
    @database_options
    def change(session: str, idempotency_key: str | None, database_url: str | None, as_json: bool) -> None:
        with open_database(database_url) as connection:
            changed = getattr(Bookings(connection), method)(session, idempotency_key=idempotency_key)
        print_records([changed], as_json, single=True)

    return change


def print_changed(sessions: Sequence[ChangedSession], rest: bool, as_json: bool) -> None:
    """Print the one session that changed with all its fields, or a table of the rest of a series."""
    if rest:
        print_sessions(sessions, as_json)
    else:
        print_records(sessions, as_json, single=True)


def print_sessions(sessions: Sequence[Session | BookedSession | ChangedSession], as_json: bool) -> None:
    """Print sessions as JSON with all their fields, or as a table of what fits into a line."""
    if as_json:
        print_records(sessions, as_json)
        return
    print_table(
        [
            {
                "id": session.id,
                "date": session.scheduled_date,
                "time": session.scheduled_time,
                "zone": session.time_zone,
                "minutes": session.duration_minutes,
                "status": session.status,
                "client": session.user_id,
                "therapist": session.therapist_id,
            }
            for session in sessions
        ]
    )


def _print_listed_sessions(sessions: Sequence[ListedSession]) -> None:
    print_table(
        [
            {
                "id": session.id,
                "date": session.scheduled_date,
                "time": session.scheduled_time,
                "zone": session.time_zone,
                "minutes": session.duration_minutes,
                "status": session.status,
                "client": session.user_id,
                "client's name": session.client_name,
                "therapist": session.therapist_id,
                "therapist's name": session.therapist_name,
            }
            for session in sessions
        ],
        narrow=[
            {
                "session": [str(session.id), _both(session.client_name, session.therapist_name)],
                "start": _local_start(session),
                "status": session.status,
            }
            for session in sessions
        ],
    )


def _local_start(session: Session) -> list[str]:
    if session.scheduled_date is None or session.scheduled_time is None:
        return [str(session.start_time or "")]
    return [f"{session.scheduled_date} {session.scheduled_time:%H:%M}", session.time_zone or ""]


def _both(client: str | None, therapist: str | None) -> str:
    return f"{client or '?'} with {therapist or '?'}"


approve = status_command(
    "approve", "approve_session", "Approve SESSION (a UUID), which waits for it, and take its credit."
)
confirm = status_command("confirm", "confirm_session", "Confirm SESSION (a UUID).")
start = status_command("start", "start_session", "Say that SESSION (a UUID) has begun.")
complete = status_command("complete", "complete_session", "Say that SESSION (a UUID) took place.")
no_show = status_command("no-show", "mark_no_show", "Say that the client did not come to SESSION (a UUID).")
