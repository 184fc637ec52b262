"""Pairs of columns of sessions that mean the same, the application's and bookingdb's, and rows where they differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bookingdb.adoption.application import Application
from bookingdb.adoption.readings import NUMBERS, SYNONYMS, readings
from bookingdb.adoption.statements import query
from bookingdb.install.session import literal

# A column of texts may hold anything: only such texts are a value of bookingdb's column.
_TEXTS = {
    "integer": r"^\s*\d{1,5}\s*$",
    "date": r"^\s*\d{4}-\d\d-\d\d\s*$",
    "time without time zone": r"^\s*([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?\s*$",
}
# The types of an application's column whose values bookingdb's column can hold, by the type of the latter.
_FITTING = {
    "integer": (*NUMBERS, "text", "character"),
    "date": ("date", "timestamp", "text", "character"),
    "time without time zone": ("time without", "text", "character"),
}
# The times of a session give bookingdb's columns these values; r is its reading.
_SAID = {
    "duration_minutes": "case when r.starts < r.ends and r.ends <= r.starts + interval '10080 minutes'"
    " then extract(epoch from r.ends - r.starts)::integer / 60 end",
    "scheduled_date": "(r.starts at time zone :'zone')::date",
    "scheduled_time": "(r.starts at time zone :'zone')::time",
}
# The answers, and their effect on rows in which a pair differs.
CHOICES = {
    "times": "both become what the times of the session say; where these say nothing, what {ours} is",
    "bookingdb": "{theirs} becomes what {ours} is",
    "application": "{ours} becomes what {theirs} is",
    "fill": "an empty column takes the other's value; where both have one they stay, until either is written",
    "leave": "they stay as they are, until either is written",
}
# Only the length is certain where neither column agrees with the times: the calendar has start and end.
_CHOSEN = {
    "times": "coalesce(case when {certain} or q.said in (q.our_value, q.as_ours) then q.said end,"
    " q.our_value, q.as_ours)",
    "bookingdb": "coalesce(q.our_value, q.as_ours)",
    "application": "coalesce(q.as_ours, q.our_value)",
    "fill": "case when q.our_value is null or q.their_value is null then coalesce(q.our_value, q.as_ours) end",
    "leave": "null",
}
_COPY = "copy."


@dataclass(frozen=True)
class Pair:
    """Two columns of sessions: the application's, and bookingdb's, with their types (None: not there yet).

    ``is_known`` is True if every application means the same by the two names; ``is_generated`` if Postgres computes the
    application's.
    """

    theirs: str
    ours: str
    their_type: str
    our_type: str | None
    is_known: bool
    is_generated: bool

    @property
    def key(self) -> str:
        """The question that is asked about the rows in which the two differ."""
        return f"pair.{self.theirs}"

    @property
    def choices(self) -> dict[str, str]:
        """The answers, the usual one first. Only texts have nothing that says which one is right."""
        names = ["times", "bookingdb", "application"] if self.ours in _SAID else ["fill", "bookingdb", "application"]
        later = "; of active sessions to come the times decide" if self.is_length else ""
        return {
            name: CHOICES[name].format(theirs=self.theirs, ours=self.ours) + (later if name != "times" else "")
            for name in (*names, "leave")
        }

    @property
    def is_length(self) -> bool:
        """True for the length of a session, which must agree with start and end while the session is to come."""
        return self.ours == "duration_minutes"

    @property
    def is_readable(self) -> bool:
        """True if a query can compare the two as they are."""
        return self.our_type is not None and re.fullmatch(r"[a-z_]\w*", self.theirs) is not None

    def as_ours(self, value: str) -> str:
        """Write a value of the application's column as bookingdb's column holds it; NULL where it cannot."""
        kind = str(self.our_type)
        if self.their_type.startswith(("text", "character")) and kind in _TEXTS:
            return f"(case when {value} ~ {literal(_TEXTS[kind])} then {value}::{kind} end)"
        if self.their_type in NUMBERS and kind == "integer":
            return f"(case when {value} between -1000000 and 1000000 then {value}::integer end)"
        return f"{value}::text::{kind}" if kind.startswith(("text", "character")) else f"{value}::{kind}"

    def as_theirs(self, value: str) -> str:
        """Write a value of bookingdb's column as the application's column holds it."""
        is_text = self.their_type.startswith(("text", "character"))
        return f"{value}::text::{self.their_type}" if is_text else f"{value}::{self.their_type}"


def pairs(app: Application, answers: Mapping[str, str]) -> Iterator[Pair]:
    """Yield the pairs: columns that every application means so, and those that an answer makes a pair."""
    for ours, others in SYNONYMS.items():
        for theirs in others:
            if pair := _pair(app, theirs, ours, is_known=True):
                yield pair
    for key, ours in answers.items():
        if key.startswith(_COPY) and ours and (pair := _pair(app, key.removeprefix(_COPY), ours, is_known=False)):
            yield pair


def _pair(app: Application, theirs: str, ours: str, *, is_known: bool) -> Pair | None:
    column, own = app.column("sessions", theirs), app.column("sessions", ours)
    if column is None:
        return None
    our_type = own.type if own else None
    fitting = _FITTING.get(_OUR_KINDS.get(ours, "text"))
    if fitting and not column.kind.startswith(fitting):
        return None
    return Pair(theirs, ours, column.type, our_type, is_known=is_known, is_generated=column.generated)


_OUR_KINDS = {"duration_minutes": "integer", "scheduled_date": "date", "scheduled_time": "time without time zone"}


def differing(app: Application, answers: Mapping[str, str], pair: Pair) -> str:
    """Write the query that shows the sessions in which a pair differs."""
    zone = answers.get("zone") or "UTC"
    said = _SAID.get(pair.ours, f"null::{pair.our_type}").replace(":'zone'", literal(zone))
    return query(
        "damage/pair_values",
        readings=readings(app, answers),
        ours=pair.ours,
        theirs=pair.theirs,
        their_value_as_ours=pair.as_ours(f"s.{pair.theirs}"),
        our_value_as_theirs=pair.as_theirs(f"s.{pair.ours}"),
        times=said,
        is_length=pair.is_length,
    )


def repaired(app: Application, answers: Mapping[str, str], pair: Pair, *, is_new: bool) -> str:
    """Write the query that gives both columns of a pair the value that was chosen: theirs where ours is new."""
    answer = answers.get(pair.key) or next(iter(pair.choices))
    chosen = "q.as_ours" if is_new else _CHOSEN[answer].format(certain=str(pair.is_length).lower())
    # A column of ours that is empty is filled, whatever was answered about contradictions.
    if pair.is_known:
        chosen = f"coalesce(case when q.our_value is null then q.as_ours end, {chosen})"
    if pair.is_length:
        chosen = f"coalesce(case when q.is_to_come then q.said end, {chosen})"
    return query(
        "damage/repaired_pairs",
        pairs=differing(app, answers, pair),
        ours=pair.ours,
        theirs=pair.theirs,
        as_theirs=pair.as_theirs("p.chosen"),
        choice=chosen,
    )
