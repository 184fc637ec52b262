"""The steps of a session as a story: one sentence after the other, in the local time of the session's zone.

Names, addresses, reasons and payment references, which people chose, stand in quotation marks, so that no text of
theirs passes for a sentence of ours. Ids and names of database roles stand without; a role is called a login.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from bookingdb.records import SessionStep

# A charge is entered right before the row that it belongs to, in the same transaction. One with a reason was given back
# by hand, and belongs to none.
_TOGETHER: Final = timedelta(seconds=1)
_BECAME: Final = {
    ("pending_approval", "scheduled"): "approved it",
    ("over", "reopened"): "reopened it",
    (None, "confirmed"): "confirmed it",
    (None, "in_progress"): "began it",
    (None, "completed"): "said that it took place",
    (None, "no_show"): "said that the client did not come",
    (None, "cancelled"): "cancelled it",
}
_OVER: Final = ("completed", "no_show", "cancelled")
# The session, as record_session() wrote it, began before it was recorded.
_IN_HINDSIGHT: Final = "in_past"
# Each ends a quotation, or looks like the end of one.
_QUOTATION_MARKS: Final = re.compile('["\u201c-\u201f\u2033\u2036\u3003\u301d-\u301f\uff02\\\\]')
_MOVEMENT: Final = {"debit": "took", "refund": "gave back", "goodwill": "gave back, as goodwill,"}
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Line:
    """A moment of the story, and the sentences about it."""

    at: datetime
    sentences: list[str] = field(default_factory=list)


def tell(steps: Sequence[SessionStep], time_zone: str = "UTC") -> tuple[ZoneInfo | None, list[Line]]:
    """Return the zone of the story, None for UTC, and its lines in the order of time.

    Args:
        steps: all that is on record.
        time_zone: the zone where the records have none.
    """
    zone = _zone_of(steps, time_zone)
    lines: list[Line] = []
    charges: list[SessionStep] = []
    overridden: list[str] = []
    terms = _Terms()
    for step in steps:
        terms.follow(step)
        match step.source:
            case "ledger" if step.details.get("reason"):
                lines.append(Line(step.at, [_charge(step, by_itself=True)]))
            case "ledger":
                charges.append(step)
            case "audit":
                late = [charge for charge in charges if step.at - charge.at > _TOGETHER]
                lines += [Line(charge.at, [_charge(charge, by_itself=True)]) for charge in late]
                own = [_charge(charge) for charge in charges if charge not in late]
                overridden = _overridden(step, overridden)
                lines.append(Line(step.at, [*_change(step, zone, overridden), *own, *terms.kept(step, zone)]))
                charges = []
            case "hold":
                lines.append(Line(step.at, [_hold(step, zone)]))
            case "refusal":
                lines.append(Line(step.at, [_refusal(step)]))
    lines += [Line(charge.at, [_charge(charge, by_itself=True)]) for charge in charges]
    lines.sort(key=lambda line: line.at)
    events = [step for step in steps if step.source == "event"]
    if events:
        handled = sum(step.details.get("handled_at") is not None for step in events)
        told = f"Events: {', '.join(step.what for step in events)} ({handled} of {len(events)} handled)."
        lines.append(Line(events[-1].at, [told]))
    return zone, lines


@dataclass
class _Terms:
    """The cost of a session so far, and the end of its free cancellation."""

    spent: int = 0
    until: str | None = None

    def follow(self, step: SessionStep) -> None:
        """Take in the next step."""
        if step.source == "ledger":
            self.spent -= step.details["amount"]
        elif step.source == "audit":
            changes = step.details.get("changes", {})
            self.until = step.details.get("free_cancellation_until", self.until)
            self.until = changes.get("free_cancellation_until", {}).get("new", self.until)

    def kept(self, step: SessionStep, zone: ZoneInfo | None) -> Iterator[str]:
        """Say that a cancellation gave nothing back, and whether it was late."""
        if step.details.get("new_status") != "cancelled" or step.what != "status_changed" or self.spent <= 0:
            return
        if self.until and datetime.fromisoformat(self.until) < step.at:
            yield f"That was late: cancelling was free until {local(self.until, zone)}."
        yield "The credit was kept." if self.spent == 1 else f"The {self.spent} credits were kept."


def local(instant: datetime | str, zone: ZoneInfo | None) -> str:
    """Write an instant as a reader says it: ``Mon 7 Jan 2030 10:00``."""
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    shown = moment.astimezone(zone or UTC)
    return f"{shown:%a} {shown.day} {shown:%b %Y %H:%M}"


def _zone_of(steps: Sequence[SessionStep], time_zone: str) -> ZoneInfo | None:
    """Return the session's own zone as it is now, else `time_zone`, where this machine knows it."""
    names = [step.details.get("time_zone") for step in steps if step.source in ("audit", "hold")]
    names += [step.details.get("changes", {}).get("time_zone", {}).get("new") for step in steps]
    for name in (*reversed([name for name in names if name]), time_zone):
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            continue
    return None


def _because(reason: str | None) -> str:
    """Return the end of a sentence: the reason as it was given, where there is one."""
    return f": {_quoted(reason)}{'' if reason.endswith('.') else '.'}" if reason else "."


def _quoted(text: str) -> str:
    return '"' + _QUOTATION_MARKS.sub(lambda found: "\\" + found[0], text) + '"'


def person(name: str | None, other: str | None) -> str | None:
    """Return a person's name as they chose it, else what is known beside it: an id."""
    return _quoted(name) if name else other


def _who(step: SessionStep) -> str:
    login = step.actor if step.actor is None or _UUID.fullmatch(step.actor) else f"The login {step.actor}"
    return person(step.actor_name or step.actor_email, login) or "Somebody"


def _overridden(step: SessionStep, before: list[str]) -> list[str]:
    """Return the rules that the practice overrode for the session as it is after this entry of the audit log."""
    changes = step.details.get("changes", {})
    if "overridden_rules" in changes:
        return [*(changes["overridden_rules"].get("new") or ())]
    if "hours_overridden" in changes:
        # Sessions of an earlier version have this alone.
        return ["hours"] if changes["hours_overridden"].get("new") else []
    return before


def _regardless(overridden: Sequence[str]) -> str:
    """Return the part of a sentence that names the rules that did not count."""
    rules = [rule for rule in overridden if rule != _IN_HINDSIGHT]
    return f", without regard to {' and '.join(filter(None, (', '.join(rules[:-1]), rules[-1])))}" if rules else ""


def _change(step: SessionStep, zone: ZoneInfo | None, overridden: Sequence[str]) -> Iterator[str]:
    """Say what an entry of the audit log says."""
    details, changes = step.details, step.details.get("changes", {})
    match step.what:
        case "created":
            yield _created(step, zone, overridden)
        case "moved":
            moved = ",".join(_moved(changes, zone)) or f": {_changed(changes)}"
            yield f"{_who(step)} moved it{moved}{_regardless(overridden)}."
        case "transferred":
            therapist = person(details.get("therapist_name"), changes["therapist_id"].get("new"))
            yield f"{_who(step)} gave it to {therapist}{_regardless(overridden)}{_because(details.get('reason'))}"
        case "status_changed":
            became = (details["old_status"], details["new_status"])
            if became[0] in _OVER:
                became = ("over", "reopened")
            verb = _BECAME.get(became) or _BECAME.get((None, became[1])) or f"set it from {became[0]} to {became[1]}"
            reason = changes.get("cancellation_reason", {}).get("new") or details.get("reason")
            yield f"{_who(step)} {verb}{_because(reason)}"
        case "deleted":
            yield f"{_who(step)} deleted it."
        case _:
            yield f"{_who(step)} changed {_changed(changes) or 'it'}."
    until = changes.get("free_cancellation_until", {}).get("new")
    if until:
        yield f"Cancelling is free until {local(until, zone)}."


def _moved(changes: dict[str, Any], zone: ZoneInfo | None) -> Iterator[str]:
    """Return the parts of a sentence about a move: from when to when, how long it is now, and in which zone."""

    def change(name: str) -> tuple[Any, Any] | None:
        old, new = (changes.get(name, {}).get(which) for which in ("old", "new"))
        return (old, new) if old and new else None

    if start := change("start_time"):
        yield f" from {local(start[0], zone)} to {local(start[1], zone)}"
    if minutes := change("duration_minutes"):
        yield f" with {minutes[1]} minutes instead of {minutes[0]}"
    elif not start and (end := change("end_time")):
        yield f" to end at {local(end[1], zone)} instead of {local(end[0], zone)}"
    if time_zone := change("time_zone"):
        yield f" in the zone {time_zone[1]} instead of {time_zone[0]}"


def _created(step: SessionStep, zone: ZoneInfo | None, overridden: Sequence[str]) -> str:
    details, status = step.details, step.details.get("new_status")
    is_recorded = _IN_HINDSIGHT in overridden
    asked = "recorded" if is_recorded else "asked for" if status == "pending_approval" else "booked"
    start, end = details.get("start_time"), details.get("end_time")
    when = f" {local(start, zone)}" if start else " it"
    if start and end:
        when += f"-{local(end, zone).rpartition(' ')[2]}"
    therapist = person(details.get("therapist_name"), details.get("therapist_id"))
    client = person(details.get("user_name"), details.get("user_id"))
    with_ = f" with {therapist}" if therapist else ""
    for_ = f" for {client}" if client and step.actor != details.get("user_id") else ""
    until = details.get("free_cancellation_until")
    free = f" Cancelling is free until {local(until, zone)}." if until and not is_recorded else ""
    as_ = f" as {status}, in hindsight" if is_recorded else ""
    return f"{_who(step)} {asked}{when}{with_}{for_}{as_}{_regardless(overridden)}.{free}"


def _changed(changes: dict[str, Any]) -> str:
    return ", ".join(name.replace("_", " ") for name in sorted(changes))


def _charge(step: SessionStep, *, by_itself: bool = False) -> str:
    """Say what an entry of the ledger says."""
    details = step.details
    amount = abs(details["amount"])
    credits_ = f"{amount} credit{'' if amount == 1 else 's'}"
    way = "from" if details["amount"] < 0 else "to"
    payment = f" (payment {_quoted(details['payment_reference'])})" if details.get("payment_reference") else ""
    by = _who(step) if by_itself else "It"
    movement = _MOVEMENT.get(step.what, f"entered, as {step.what},")
    over = ", which was over: nothing can be spent" if details.get("is_forfeited") else ""
    return f"{by} {movement} {credits_} {way} lot {details['lot_id']}{payment}{over}{_because(details.get('reason'))}"


def _hold(step: SessionStep, zone: ZoneInfo | None) -> str:
    details = step.details
    client = person(details.get("user_name"), details["user_id"])
    return f"{local(details['start_time'], zone)} was held for {client} until {local(details['expires_at'], zone)}."


def _refusal(step: SessionStep) -> str:
    details = step.details
    why = details.get("rule") or details.get("reason")
    for_ = "" if step.actor == details["user_id"] else f", for {person(details.get('user_name'), details['user_id'])}"
    said = ", by their own account" if details.get("is_claim") else ""
    function = details["function_name"]
    return f"{_who(step)} was refused {function}{for_}{said}: {step.what}{f' ({why})' if why else ''}."
