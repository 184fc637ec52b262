"""The commands of a support person: explain, refusals."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final

import click

from bookingdb import Bookings, NotAllowed, SessionStep, TherapistNotFound
from bookingdb.cli.console import moment_in_words, open_database, print_records, print_table
from bookingdb.cli.options import MOMENT, PERSON, database_options, span_of
from bookingdb.cli.output import say
from bookingdb.cli.story import local, person, tell
from bookingdb.text import printable

_WIDTH: Final = 80
_MOMENTS: Final = ("start_time", "next_free")
_INDENT: Final = "  "
_NOT_RECORDED: Final = (
    "Refusals are not recorded, unless a therapist's own policy asks for it:"
    " `bookingdb policy set --record-refusals yes` turns it on."
)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command("explain")
@click.argument("session")
@database_options
def explain(session: str, database_url: str | None, as_json: bool) -> None:
    """Tell the story of SESSION (a UUID): who booked, moved and cancelled it, and where its credits went.

    Times are those of the session's zone. A session that was deleted still has its story, in the
    therapist's zone where its own is gone.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        steps = bookings.explain_session(session)
        time_zone = "" if as_json else _time_zone(bookings, steps)
    if as_json:
        print_records(steps, as_json)
        return
    zone, lines = tell(steps, time_zone)
    say(f"Session {session}, times in {zone.key if zone else 'UTC'}")
    for line in lines:
        say("", local(line.at, zone), *_wrapped(printable(" ".join(line.sentences))))


def _time_zone(bookings: Bookings, steps: Sequence[SessionStep]) -> str:
    """Return the zone of a session whose row is gone: its therapist's today, else the default policy's."""
    therapists = [step.details.get("therapist_id") for step in steps]
    with contextlib.suppress(TherapistNotFound):
        return bookings.get_policy(next(filter(None, therapists), None)).time_zone
    return bookings.get_policy().time_zone


def _wrapped(text: str) -> Iterator[str]:
    """Break a text into lines for a terminal: between words, or within one that is longer than a line."""
    from rich.cells import cell_len  # noqa: PLC0415 (half of what starting the command would take)

    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else _INDENT + word
        if cell_len(longer) <= _WIDTH:
            line = longer
            continue
        if line:
            yield line
        line = _INDENT
        for part in _parts(word) if cell_len(_INDENT + word) > _WIDTH else (word,):
            if line != _INDENT and cell_len(line + part) > _WIDTH:
                yield line
                line = _INDENT
            line += part
    yield line


def _parts(word: str) -> Iterator[str]:
    """Return the parts of a word that may be broken: an id is one, so that it can be copied."""
    end = 0
    for found in _ID.finditer(word):
        yield from word[end : found.start()]
        yield found[0]
        end = found.end()
    yield from word[end:]


@click.command("refusals")
@click.argument("user", type=PERSON)
@click.option("--from", "from_", type=MOMENT, help="From this date or instant on; default: since ever.")
@click.option("--to", type=MOMENT, help="Up to this date (included) or instant; default: now.")
@click.option("--limit", type=int, default=100, show_default=True, help="How many at most, 1 to 1000.")
@database_options
def refusals(
    user: str, from_: date | None, to: date | None, limit: int, database_url: str | None, as_json: bool
) -> None:
    """Say what USER (UUID or e-mail) was refused, and by which rule, newest first.

    The actor is who was refused it: the user, or somebody of the practice for them. What is claimed was reported by the
    user's own login, who may report what never was.

    There is something where the policy asks for it: `bookingdb policy set --record-refusals yes`. Dates are those of
    the default policy's zone, and so are times, beside those of the call itself.
    """
    with open_database(database_url) as connection:
        bookings = Bookings(connection)
        begin: datetime | None = None
        end: datetime | None = None
        policy = bookings.get_policy()
        if from_ or to:
            begin, end = span_of(policy, from_ or date(1970, 1, 1), to)
        found = bookings.list_refusals(user, begin, end if to else None, limit=limit)
        names = {} if as_json else _names(bookings, {refusal.actor for refusal in found})
    if as_json:
        print_records(found, as_json)
        return
    print_table(
        [
            {
                "refused at": moment_in_words(refusal.refused_at, policy.time_zone),
                "actor": person(names.get(refusal.actor), refusal.actor),
                "claimed": "yes" if refusal.is_claim else "no",
                "call": refusal.function_name,
                "error": refusal.code,
                "rule": refusal.rule,
                "about": _about(refusal.context),
            }
            for refusal in found
        ],
        nothing="None." if policy.record_refusals else f"None. {_NOT_RECORDED}",
    )


def _names(bookings: Bookings, actors: Iterable[str]) -> dict[str, str | None]:
    """Return names or addresses of the actors who are people, by id; those who act as a user are told of nobody."""
    names: dict[str, str | None] = {}
    with contextlib.suppress(NotAllowed):
        for actor in filter(_ID.fullmatch, actors):
            for found in bookings.find_people(actor, limit=1):
                names[actor] = found.full_name or found.email
    return names


def _about(context: dict[str, object]) -> list[str]:
    """Return what the call was about; an id has a line of its own."""
    known = (
        "session_date", "session_time", "time_zone", "start_time", "next_free", "detail_time_zone", "session_id",
        "detail_session_id", "hold_id", "detail_hold_id", "therapist_id",
    )  # fmt: skip
    time_zone = str(context.get("detail_time_zone") or context.get("time_zone") or "UTC")
    return [
        f"{name}: {_moment(context[name], time_zone) if name in _MOMENTS else context[name]}"
        for name in known
        if name in context
    ]


def _moment(instant: object, time_zone: str) -> str | None:
    return None if instant is None else moment_in_words(datetime.fromisoformat(str(instant)), time_zone)
