"""The rows that break what bookingdb promises: what the owner must say about them, and about statuses of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bookingdb.adoption import damage, readings
from bookingdb.adoption.damage import Credits, Damage
from bookingdb.adoption.plan.draft import FOLLOWING, PlanDraft
from bookingdb.adoption.plan.order import counted
from bookingdb.adoption.plan.people import bookable_therapists
from bookingdb.adoption.statements import query
from bookingdb.install.session import literal

# A status with one of these words in its name means that the session does not take place.
_OVER = "cancel|declin|reject|expire|complet|done|finish|no.?show|miss|refund|draft|delet|archiv|fail|past|ended"


def ask_about_statuses(draft: PlanDraft) -> None:
    """Ask for each status that bookingdb does not know whether sessions in it take place."""
    if draft.app.column("sessions", "status") is None:
        return
    created = "s.created_at" if draft.app.column("sessions", "created_at") else "null::timestamptz"
    found = draft.connection.execute(query("plan/unknown_statuses", created_at=created, statuses=readings.STATUSES))
    counted = {status: (count, recent) for status, count, recent in found}
    allowed = {
        value
        for each in draft.app.constraints
        if each.table == "sessions" and each.kind == "c" and each.columns == ["status"]
        for value in each.listed_values
    }
    for status in sorted({*counted, *(allowed - set(readings.STATUSES))}):
        count, recent = counted.get(status, (0, 0))
        draft.ask(
            f"status.{status}",
            [f"bookingdb does not know the status {status!r}: {count} sessions, {recent} of the last 90 days."],
            {"active": "sessions in it take place, and occupy time", "over": "they block nobody"},
            "over" if re.search(_OVER, status, re.IGNORECASE) else "active",
        )
    own = [status for status in readings.active_statuses(draft.answers) if status not in readings.ACTIVE]
    if own:
        values = ", ".join(f"({literal(status)})" for status in own)
        draft.change(
            FOLLOWING,
            "bookingdb.active_statuses",
            "sessions in these statuses take place, too",
            [f"insert into bookingdb.active_statuses (status) values {values}"],
        )


def ask_about_damage(draft: PlanDraft) -> None:
    """Find the rows that break an invariant, by class, and ask what becomes of them."""
    connection, app = draft.connection, draft.app
    bookable = bookable_therapists(draft)
    defaults = _defaults(draft)
    # An answer that is no choice becomes a problem where it is asked for.
    given = {key: answer for key, answer in draft.given.items() if key.startswith("pair.")}
    given |= {key: answer for key, answer in draft.given.items() if answer in damage.CHOICES.get(key, {})}
    answers = {**defaults, **given, **draft.answers}
    found = list(damage.sessions(connection, app, answers, bookable))
    found += _off_the_clock(draft)
    if app.has("sessions"):
        found += damage.copied(connection, app)
        found += _in_unknown_statuses(draft)
    if app.has("user_credits"):
        found += damage.lots(connection, app, answers)
    found += damage.duplicates(connection, app)
    credits = damage.unequal_credits(connection, app, answers) if app.has("user_credits") else []
    for each in found:
        key = "rows.overlapping" if each.key.startswith("rows.overlapping") else each.key
        choices = damage.CHOICES.get(key, {})
        if len(choices) > 1 and key not in draft.answers:
            evidence = _evidence(each) + (_owing(credits) if key == "credits.negative_balance" else [])
            draft.ask(key, evidence, choices, defaults[key])
    draft.damage = found
    draft.risks += _risks_of_money(credits, answers["credits.negative_balance"])


def _defaults(draft: PlanDraft) -> dict[str, str]:
    """Return the answer that a plan proposes for each class, whether there are such rows or not."""
    defaults = {key: next(iter(choices)) for key, choices in damage.CHOICES.items()}
    # A CHECK may want more of a completed session than its status.
    if any(
        each.table == "sessions" and each.kind == "c" and "status" in each.columns and len(each.columns) > 1
        for each in draft.app.constraints
    ):
        defaults["rows.in_progress_for_weeks"] = "leave"
    return defaults


def _evidence(each: Damage) -> list[str]:
    """Say how many rows a class has, and how many of them its repair cannot mend."""
    evidence = [f"The class has {counted(each.count, 'row')}: {each.title}."]
    if each.unmendable:
        number = counted(len(each.unmendable), "row")
        evidence.append(f"No repair is possible for {number} of them, because what it needs is not known.")
    return evidence


# Each answer, and its repair of sessions whose wall clock time was stored as if it were UTC.
_AS_UTC_REPAIRS = {
    "shift": "start_time and end_time become the scheduled time in the zone",
    "rewrite": "the scheduled date and time become what start_time is in the zone",
    "keep": "they stay as they are",
}


def _off_the_clock(draft: PlanDraft) -> list[Damage]:
    """Find the sessions whose scheduled time is not their start in the zone."""
    if not draft.app.has("sessions") or not draft.answers.get("zone"):
        return []
    text = query("damage/off_the_clock", readings=readings.readings(draft.app, draft.answers))
    by_class: dict[str, list[str]] = {}
    for key, id_ in draft.connection.execute(text):
        by_class.setdefault(key, []).append(id_)
    as_utc = "sessions whose wall clock time was stored as if it were UTC"
    rest = ", of which the condition does not hold"
    answered = {key: draft.answers.get(key, "") for key in (readings.AS_UTC, readings.AS_UTC_OTHERS)}
    repairs = {key: _AS_UTC_REPAIRS.get(answer, "a person must say") for key, answer in answered.items()}
    unscheduled = draft.answers.get(readings.UNSCHEDULED, "")
    if unscheduled == "keep":
        by_class.pop(readings.UNSCHEDULED, None)
    classes = (
        (
            readings.UNSCHEDULED,
            "sessions without a scheduled time, whose start_time may be the clock of the zone stored as if it were UTC",
            "start_time and end_time become the same clock in the zone" if unscheduled else "a person must say",
        ),
        (readings.AS_UTC, as_utc, repairs[readings.AS_UTC]),
        (readings.AS_UTC_OTHERS, as_utc + rest, repairs[readings.AS_UTC_OTHERS]),
        (
            "times.unexplained",
            "sessions whose scheduled time is their start_time neither in the zone nor in UTC",
            "they stay as they are; `bookingdb verify` lists those to come",
        ),
    )
    return [
        Damage(key, "public.sessions", title, repair, by_class[key])
        for key, title, repair in classes
        if key in by_class
    ]


def _in_unknown_statuses(draft: PlanDraft) -> list[Damage]:
    own = [key.removeprefix("status.") for key in draft.answers if key.startswith("status.")]
    if not own:
        return []
    select = "select s.id::text from public.sessions as s where s.status::text = any (%s) order by 1"
    ids = [value for (value,) in draft.connection.execute(select, [own])]
    title = "sessions in a status that bookingdb does not know"
    repair = "they stay as they are, and occupy time or not as answered"
    return [Damage("rows.status_unknown", "public.sessions", title, repair, ids)] if ids else []


def _owing(credits: list[Credits]) -> list[str]:
    """Say for each client with a lot below zero what they have, what they can spend, and what is let go."""
    owing = [each for each in credits if each.is_owing]
    unpaid = [each.let_go("settle") for each in owing if each.let_go("settle")]
    evidence = [
        f"The lots that {counted(len(unpaid), 'client')} can spend do not pay their debt in full:"
        f' "settle" lets go {counted(sum(unpaid), "credit")}.'
    ]
    return (evidence if unpaid else []) + [
        f'Client {each.client}: {each.total} before, {each.settled_total} with "settle", {each.zero_total} with "zero".'
        f' They can spend {each.spendable} before, {each.settled_spendable} with "settle",'
        f' {each.zero_spendable} with "zero". "settle" lets go {counted(each.let_go("settle"), "credit")},'
        f' "zero" lets go {each.let_go("zero"):,}.'
        for each in owing
    ]


# So many clients are named whose lots cannot all be spent.
_MOST = 10


def _risks_of_money(credits: list[Credits], answer: str) -> Iterator[str]:
    """Say what is let go of debts, and who can spend another number of credits than the application shows."""
    if unpaid := [each.let_go(answer) for each in credits if each.let_go(answer)]:
        number = sum(unpaid)
        yield (
            f"The debts of {counted(len(unpaid), 'client')} are not paid in full: {counted(number, 'credit')}"
            f" {'is' if number == 1 else 'are'} let go."
        )
    gaps = {each: abs(each.spendable_after(answer) - each.total) for each in credits}
    differing = sorted((each for each in credits if gaps[each]), key=lambda each: (-gaps[each], each.client))
    if differing:
        yield (
            f"The credits to spend differ from the lots of today for {counted(len(differing), 'client')}."
            + (f" The {_MOST} with the largest difference follow." if len(differing) > _MOST else "")
        )
    for each in differing[:_MOST]:
        yield f"Client {each.client} has {each.total:,}, and can spend {each.spendable_after(answer):,} afterwards."
