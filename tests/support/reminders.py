"""What reminders should be, in plain Python: quiet hours by a walk over the minutes, and a plan of who is reminded."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from uuid import UUID
from zoneinfo import ZoneInfo

MINUTE = dt.timedelta(minutes=1)
AGREED_WITHOUT_A_WORD = ("email", "webhook")

QuietHours = tuple[dt.datetime, dt.datetime] | tuple[None, None]


def local(at: dt.datetime, zone: str) -> dt.datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def quiet_hours(at: dt.datetime, zone: str, begin: dt.time, end: dt.time) -> QuietHours:
    """The quiet hours that a moment is in, found by walking from minute to minute."""
    now = local(at, zone)
    crosses = begin > end
    if not (now.time() >= begin or now.time() < end if crosses else begin <= now.time() < end):
        return None, None
    day = now.date() - dt.timedelta(days=crosses and now.time() < end)
    first = dt.datetime.combine(day, begin)
    last = dt.datetime.combine(day + dt.timedelta(days=crosses), end)
    return _walk(at, zone, first, -MINUTE), _walk(at, zone, last, MINUTE)


def _walk(at: dt.datetime, zone: str, wanted: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """The nearest moment at which the clock shows what is wanted, else at which it jumps over it."""
    jump = None
    for number in range(step > dt.timedelta(), 50 * 60):
        moment = at + step * number
        shown = local(moment, zone)
        if shown == wanted:
            return moment
        if jump is None and local(moment - MINUTE, zone) < wanted < shown:
            jump = moment
    assert jump is not None
    return jump


@dataclass
class Person:
    zone: str
    quiet: tuple[dt.time, dt.time] | None = None
    consents: dict[str, bool] = field(default_factory=dict)

    def quiet_hours(self, at: dt.datetime) -> QuietHours:
        return quiet_hours(at, self.zone, *self.quiet) if self.quiet else (None, None)


@dataclass
class Rule:
    before: dt.timedelta
    audience: tuple[str, ...]
    channel: str
    heeds_quiet_hours: bool
    since: dt.datetime


@dataclass
class Meeting:
    client: UUID
    therapist: UUID
    start: dt.datetime
    # Since when it stands as it does: booked, moved, reopened.
    since: dt.datetime
    stands: bool = True


Key = tuple[UUID, str, dt.datetime, UUID]


@dataclass
class Model:
    """Who is reminded of what: the plan, and what was sent."""

    people: dict[UUID, Person]
    rules: dict[str, Rule]
    meetings: dict[UUID, Meeting] = field(default_factory=dict)
    # When each is due; None: it was sent, or dropped.
    planned: dict[Key, dt.datetime | None] = field(default_factory=dict)
    dropped: set[Key] = field(default_factory=set)
    sent: list[tuple[dt.datetime, Key]] = field(default_factory=list)

    def plan(
        self, session: UUID, now: dt.datetime, since: dt.datetime, rule: str = "", person: UUID | None = None
    ) -> None:
        meeting = self.meetings[session]
        if not meeting.stands or meeting.start <= now:
            return
        for name, terms in self.rules.items():
            for part in terms.audience:
                who = meeting.client if part == "client" else meeting.therapist
                if rule not in ("", name) or person not in (None, who):
                    continue
                due = meeting.start - terms.before
                if terms.heeds_quiet_hours:
                    due = self.people[who].quiet_hours(due)[0] or due
                key = (session, name, meeting.start, who)
                is_over = key in self.planned and self.planned[key] is None and key not in self.dropped
                if due > max(since, terms.since) and not is_over:
                    self.planned[key] = due
                    self.dropped.discard(key)

    def claim(self, now: dt.datetime) -> None:
        for key, due in self.planned.items():
            if due is None or due > now:
                continue
            verdict = self.judge(key, now)
            self.planned[key] = verdict if isinstance(verdict, dt.datetime) else None
            if verdict is True:
                self.sent.append((now, key))
            elif verdict is False:
                self.dropped.add(key)

    def judge(self, key: Key, now: dt.datetime) -> bool | dt.datetime:
        """Whether it is sent; a time until which it waits."""
        session, name, start, who = key
        meeting, terms, person = self.meetings[session], self.rules.get(name), self.people[who]
        if terms is None or not meeting.stands or meeting.start != start or start <= now:
            return False
        if {meeting.client: "client", meeting.therapist: "therapist"}.get(who) not in terms.audience:
            return False
        if not person.consents.get(terms.channel, terms.channel in AGREED_WITHOUT_A_WORD):
            return False
        begin, end = person.quiet_hours(now) if terms.heeds_quiet_hours else (None, None)
        if begin is None or end is None or now < begin + 15 * MINUTE or end >= start:
            return True
        return end
