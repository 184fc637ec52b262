"""The results of the calls: frozen dataclasses, with times in UTC whatever the connection's time zone is."""

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from uuid import UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A row with named and typed columns."""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Make the record from a row whose columns are the fields, in their order; a timedelta's are seconds."""
        return cls(*(_read(field.type, value) for field, value in zip(dataclasses.fields(cls), row, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values that ``json.dumps`` takes, written as PostgREST writes them.

        Example:
            >>> from uuid import UUID
            >>> CreditGrant(UUID(int=1), 5, 7, True).to_dict()
            {'lot_id': '00000000-0000-0000-0000-000000000001', 'lot_balance': 5, 'credits_balance': 7}
        """
        return {field.name: _jsonable(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _read(type_: Any, value: Any) -> Any:
    if isinstance(value, datetime):
        # A driver gives timestamps in the connection's zone; the same session must look the same on another.
        return value.astimezone(UTC)
    if isinstance(value, list):
        return tuple(value)
    if is_object(type_) and isinstance(value, str):
        return json.loads(value)
    return timedelta(seconds=value) if type_ is timedelta else value


def is_object(type_: Any) -> bool:
    """Tell whether a field of this type is a JSON object, or None."""
    return type_ in (dict[str, Any], dict[str, Any] | None)


def _jsonable(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date | time):  # a datetime is a date
        # Postgres writes no zeros at the end of a fraction.
        return re.sub(r"(\.[0-9]*[1-9])0+(?![0-9])", r"\1", value.isoformat())
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Record):
        return value.to_dict()
    return value


def _interval(value: timedelta) -> str:
    """Write a duration as Postgres does, days of 24 hours apart: ``1 day 12:00:00``."""
    days = f"{value.days} day{'' if value.days == 1 else 's'}" if value.days else ""
    clock = str(value - timedelta(days=value.days)).rjust(8, "0") if value.seconds or not value.days else ""
    return f"{days} {clock}".strip()


@dataclasses.dataclass(frozen=True, slots=True)
class Session(Record):
    """A row of ``public.sessions``.

    Most fields can be None, because applications may write the table without bookingdb; in a session that
    bookingdb booked, a :class:`BookedSession`, none is.

    Attributes:
        id: the session's id.
        user_id: the client.
        therapist_id: the therapist.
        title: what the session is called.
        description: the notes given when it was booked.
        scheduled_date: its date in ``time_zone``.
        scheduled_time: its local time in ``time_zone``.
        start_time: the instant at which it starts, in UTC.
        end_time: the instant at which it ends, in UTC.
        duration_minutes: its length in minutes.
        session_type: e.g. ``"video"``.
        status: ``pending_approval``, ``scheduled``, ``confirmed``, ``in_progress``, ``completed``,
            ``cancelled`` or ``no_show``.
        created_at: when the row was made, in UTC.
        time_zone: the IANA zone of ``scheduled_date`` and ``scheduled_time``.
    """

    id: UUID
    user_id: UUID | None
    therapist_id: UUID | None
    title: str | None
    description: str | None
    scheduled_date: date | None
    scheduled_time: time | None
    start_time: datetime | None
    end_time: datetime | None
    duration_minutes: int | None
    session_type: str | None
    status: str
    created_at: datetime
    time_zone: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class BookedSession(Session):
    """The session that a booking made: a :class:`Session` without gaps, and what is left to spend.

    Attributes:
        credits_balance: the client's credits after the booking.
    """

    user_id: UUID
    therapist_id: UUID
    title: str
    description: str
    scheduled_date: date
    scheduled_time: time
    start_time: datetime
    end_time: datetime
    duration_minutes: int
    session_type: str
    time_zone: str
    credits_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class SkippedOccurrence(Record):
    """A session of a series that was left out, because its time is not free.

    Attributes:
        occurrence: which one, 1 is the first.
        scheduled_date: its local date.
        scheduled_time: its local time.
        error: why, as the DETAIL of the error says: ``code``, and mostly ``rule`` and ``next_free``.
    """

    occurrence: int
    scheduled_date: date
    scheduled_time: time
    error: dict[str, Any]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Make the record from a row, whose error some drivers leave as JSON."""
        occurrence, scheduled_date, scheduled_time, error = row
        return cls(occurrence, scheduled_date, scheduled_time, json.loads(error) if isinstance(error, str) else error)


class BookedSeries(list[BookedSession]):
    """The sessions of a series, in order.

    Attributes:
        skipped: the occurrences that were left out, in order.
    """

    def __init__(self, sessions: Iterable[BookedSession] = (), skipped: Iterable[SkippedOccurrence] = ()) -> None:
        """Make the list of the sessions that were booked."""
        super().__init__(sessions)
        self.skipped = tuple(skipped)


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedSession(Session):
    """The session as it stands after it was cancelled, moved or brought into another status.

    Attributes:
        credits_balance: the client's credits after it; None where the therapist asks, whom they do not concern.
        free_cancellation_until: until this instant, in UTC, the client's own cancellation returns the credit;
            None in a session that was not booked by bookingdb.
        refunded: whether its credit was returned, and could be spent again.
    """

    credits_balance: int | None
    free_cancellation_until: datetime | None
    refunded: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ListedSession(Session):
    """A session as it is looked up and listed: with the names of both people, and what may be done with it next.

    Attributes:
        free_cancellation_until: until this instant, in UTC, the client's own cancellation returns the credit;
            None in a session that was not booked by bookingdb.
        series_id: the same for all sessions of a series; None outside of one.
        client_name: the client's name, where they have one.
        therapist_name: the therapist's name, where they have one.
        next_actions: the functions that its status and start allow the caller now, such as ``cancel_session``.
        cursor: the place after which the next page begins.
    """

    free_cancellation_until: datetime | None
    series_id: UUID | None
    client_name: str | None
    therapist_name: str | None
    next_actions: tuple[str, ...]
    cursor: str


@dataclasses.dataclass(frozen=True, slots=True)
class HeldSlot(Record):
    """A time that is kept for a client for a while.

    Attributes:
        id: the hold's id, and the id of the session that it becomes.
        user_id: the client.
        therapist_id: the therapist.
        start_time: the instant at which the session would start, in UTC.
        end_time: the instant at which it would end, in UTC.
        time_zone: the IANA zone of its local date and time.
        expires_at: the instant from which the time is free again for everybody, in UTC.
    """

    id: UUID
    user_id: UUID
    therapist_id: UUID
    start_time: datetime
    end_time: datetime
    time_zone: str
    expires_at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ListedHold(HeldSlot):
    """A hold as it is looked up and listed.

    Attributes:
        scheduled_date: the date of its start in ``time_zone``.
        scheduled_time: the local time of its start in ``time_zone``.
        duration_minutes: its length in minutes.
        state: ``held``, ``booked``, ``released`` or ``expired``.
        client_name: the client's name, where they have one.
        therapist_name: the therapist's name, where they have one.
    """

    scheduled_date: date
    scheduled_time: time
    duration_minutes: int
    state: str
    client_name: str | None
    therapist_name: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class ListedTherapist(Record):
    """A therapist of the practice.

    Attributes:
        id: their id.
        full_name: their name.
        time_zone: the IANA zone in which their local times are meant.
        is_active: whether they can be booked.
        email: their e-mail address, for trusted callers; None for others.
    """

    id: UUID
    full_name: str | None
    time_zone: str
    is_active: bool
    email: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Person(Record):
    """Somebody who books or is booked, or was.

    Attributes:
        id: their id.
        email: their e-mail address.
        full_name: their name.
        user_type: ``therapist``, or what else the application calls them, such as ``user``.
        is_active: whether they are active.
        is_verified: whether they are verified; a therapist can be booked while both are true.
        time_zone: the IANA zone in which a therapist's local times are meant; None of a client.
        credits_balance: the credits that a client can spend; None of a therapist.
    """

    id: UUID
    email: str | None
    full_name: str | None
    user_type: str
    is_active: bool
    is_verified: bool
    time_zone: str | None
    credits_balance: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class CreditGrant(Record):
    """The outcome of granting or adjusting credits.

    Attributes:
        lot_id: the lot (one purchase) that the credits are in; of several the one that was changed last.
        lot_balance: credits left in this lot.
        credits_balance: the client's credits in all lots.
        is_new: whether this call did it; False for a retry.
    """

    lot_id: UUID
    lot_balance: int
    credits_balance: int
    is_new: bool


@dataclasses.dataclass(frozen=True, slots=True)
class CreditEntry(Record):
    """One movement of a client's credits.

    Attributes:
        id: number of the entry; a later entry has a higher one.
        created_at: when it was written, in UTC.
        kind: ``grant``, ``debit``, ``refund``, ``goodwill`` (returned after the session), ``expiry``,
            ``adjustment``, ``revocation``, ``reinstatement``, ``transfer``, ``extension`` (the lot expires later; what
            had expired came back), ``freeze``, ``thaw`` or ``direct`` (the balance was written by other means).
        amount: credits added to the lot (positive) or taken from it (negative); 0 where only its time changed.
        balance_after: credits in the lot after it.
        lot_id: the lot.
        session_id: the session it paid for or gave back, if any.
        actor: who did it.
    """

    id: int
    created_at: datetime
    kind: str
    amount: int
    balance_after: int
    lot_id: UUID
    session_id: UUID | None
    actor: str


@dataclasses.dataclass(frozen=True, slots=True)
class Lot(Record):
    """One purchase, gift or return of credits, and what is left of it.

    Attributes:
        lot_id: the lot.
        user_id: the client.
        state: ``active``, ``used`` (nothing is left), ``frozen``, ``expired`` or ``revoked``.
        lot_balance: credits left in it. Those of an expired lot cannot be spent; the ledger posts them later.
        credits_purchased: credits that were granted with it.
        credits_owed: credits of a refunded part of the payment that had been spent: so many are revoked on return.
        category: ``paid`` or ``promotional``.
        priority: 0 to 100; lots of a lower number are spent first.
        expires_at: the instant from which it cannot be spent, in UTC; None: never.
        frozen_at: since when it is frozen, in UTC; None where it is not.
        payment_reference: the payment it was bought with, if any.
        package_id: the package that was granted, if any.
        grace_for_lot_id: of a return to a lot that had expired: that lot.
        created_at: when it was made, in UTC.
    """

    lot_id: UUID
    user_id: UUID
    state: str
    lot_balance: int
    credits_purchased: int
    credits_owed: int
    category: str
    priority: int
    expires_at: datetime | None
    frozen_at: datetime | None
    payment_reference: str | None
    package_id: UUID | None
    grace_for_lot_id: UUID | None
    created_at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RealignedSession(Record):
    """A session to come that no longer started at its agreed local time, and what became of it.

    Attributes:
        session_id: the session.
        therapist_id: the therapist; None where the application wrote none.
        user_id: the client; None where the application wrote none.
        scheduled_date: the agreed date.
        scheduled_time: the agreed local time.
        time_zone: the zone whose rules changed.
        old_start_time: when the session started, in UTC.
        new_start_time: when it should start, in UTC; None where the clocks now skip the agreed time.
        outcome: ``moved``, or ``conflict`` for one that stays where it was.
        reason: why it stays, e.g. ``booking_conflict``; None for one that moved.
    """

    session_id: UUID
    therapist_id: UUID | None
    user_id: UUID | None
    scheduled_date: date
    scheduled_time: time
    time_zone: str
    old_start_time: datetime
    new_start_time: datetime | None
    outcome: str
    reason: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class RevokedGrant(Record):
    """The outcome of taking a lot of credits back.

    Attributes:
        lot_id: the lot; None where the revocation of a payment to come was remembered.
        credits_revoked: credits that were left in it, and were taken.
        credits_spent: credits that had been spent on sessions before.
        credits_balance: the client's credits after it.
        credits_owed: credits that could not be taken, and will be when they come back.
        is_remembered: whether the payment was not granted yet, and is revoked when it is.
    """

    lot_id: UUID | None
    credits_revoked: int
    credits_spent: int
    credits_balance: int
    credits_owed: int
    is_remembered: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ReinstatedGrant(Record):
    """The outcome of giving revoked credits back.

    Attributes:
        lot_id: the lot; None where a revocation was only remembered, and is forgotten now.
        credits_reinstated: credits that were given back, by this call and by earlier ones.
        credits_balance: the client's credits after it.
    """

    lot_id: UUID | None
    credits_reinstated: int
    credits_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class TransferredCredits(Record):
    """The outcome of passing credits on from one client to another.

    Attributes:
        lot_ids: the receiver's new lots, one for each lot that the credits came from, in spending order.
        amount: how many credits were passed on.
        from_balance: the giver's credits after it, in all lots.
        to_balance: the receiver's credits after it, in all lots.
    """

    lot_ids: tuple[UUID, ...]
    amount: int
    from_balance: int
    to_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class Package(Record):
    """A package that a practice sells.

    Attributes:
        id: the package's id.
        name: its name; no other has the same in upper or lower case.
        credits: how many credits it grants.
        validity: how long they can be spent, such as ``"30 days"`` or ``"1 month"``; None: without end.
        price_reference: the price at the payment provider, if any.
        rollover_cap: how many unspent credits of a client's earlier lots a renewal keeps; None: it touches none.
        category: of its lots, ``"paid"`` or ``"promotional"``.
        priority: of its lots, 0 to 100; credits of a lower number are spent first.
        is_active: whether it is sold.
    """

    id: UUID
    name: str
    credits: int
    validity: str | None
    price_reference: str | None
    rollover_cap: int | None
    category: str
    priority: int
    is_active: bool


@dataclasses.dataclass(frozen=True, slots=True)
class MergedClient(Record):
    """The client to whom passed on what another one had.

    Attributes:
        user_id: the client.
        sessions: how many sessions passed on.
        credits: how many credits passed on.
        credits_balance: the credits they can spend now.
    """

    user_id: UUID
    sessions: int
    credits: int
    credits_balance: int


@dataclasses.dataclass(frozen=True, slots=True)
class Contact(Record):
    """The ways in which a person wants to be reached.

    Attributes:
        user_id: the person.
        email: their e-mail address, if any.
        phone: their phone number in the form ``+491701234567``, if any.
        time_zone: the IANA zone in which times are shown to them.
        language: such as ``"de"`` or ``"en-GB"``; None: they did not say.
        quiet_from: the local time from which no reminder shall come, if any.
        quiet_until: the local time until which; at or before `quiet_from` it is the next day's.
        consents: channels to whether the person agrees. A channel that is missing is agreed to if it is ``email``.
    """

    user_id: UUID
    email: str | None
    phone: str | None
    time_zone: str
    language: str | None
    quiet_from: time | None
    quiet_until: time | None
    consents: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class ReminderRule(Record):
    """A rule by which people are reminded of their sessions.

    Attributes:
        name: what the rule is called.
        before: how long before the session.
        audience: who is reminded: ``client``, ``therapist``, or both.
        channel: how: ``email``, ``sms``, or another word that a destination has.
        heeds_quiet_hours: whether a reminder in a person's quiet hours comes before them.
    """

    name: str
    before: timedelta
    audience: tuple[str, ...]
    channel: str
    heeds_quiet_hours: bool


@dataclasses.dataclass(frozen=True, slots=True)
class FeedEntry(Record):
    """A session in a calendar that a person follows by its secret address.

    Attributes:
        session_id: the session.
        part: what the person is in it: ``"client"`` or ``"therapist"``.
        title: what the session is called.
        session_type: e.g. ``"video"``.
        status: as of a :class:`Session`; ``cancelled`` ones are listed, too.
        start_time: the instant at which it starts, in UTC.
        end_time: the instant at which it ends, in UTC.
        with_name: the name of the other one: the client for a therapist, the therapist for a client.
        sequence: how often it was changed; a calendar knows by it which version is newer.
        created_at: when it was booked, in UTC.
        time_zone: the IANA zone of the person.
    """

    session_id: UUID
    part: str
    title: str | None
    session_type: str | None
    status: str
    start_time: datetime
    end_time: datetime
    with_name: str | None
    sequence: int
    created_at: datetime
    time_zone: str


@dataclasses.dataclass(frozen=True, slots=True)
class ExpiredCredits(Record):
    """The credits that were posted to the ledger as expired.

    Attributes:
        lots: how many lots had expired since the last time.
        credits: how many credits were left in them.
    """

    lots: int
    credits: int


@dataclasses.dataclass(frozen=True, slots=True)
class RemovedRecords(Record):
    """Counts of the records that housekeeping removed, or would remove.

    Attributes:
        idempotency_keys: answered keys.
        holds: records of holds.
        held_times: expired holds in the calendar.
        session_times: calendar rows of sessions that nobody closed; the sessions stay.
        time_off: time off that was over.
        external_events: appointments of other calendars that were over.
        events: handled events.
        refusals: traces of refusals.
        lapsed_sessions: sessions that waited for approval too long, and are cancelled.
    """

    idempotency_keys: int
    holds: int
    held_times: int
    session_times: int
    time_off: int
    external_events: int
    events: int
    refusals: int
    lapsed_sessions: int


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal(Record):
    """The trace of a call that was refused.

    Attributes:
        id: its number.
        refused_at: when it was recorded, in UTC.
        user_id: who was refused.
        therapist_id: the therapist, where the call was about one.
        session_id: the session, where the call was about one.
        function_name: the SQL function that refused.
        code: the error, of docs/errors.md.
        rule: the rule that refused, where the error names one.
        context: ids, timestamps and figures of the error, and what was asked for.
        actor: who was refused and recorded it: a user's id, or the name of a role that was refused it for the user.
        is_claim: whether the user's own login reported it, who may report what never was; False: a trusted login did.
    """

    id: int
    refused_at: datetime
    user_id: UUID
    therapist_id: UUID | None
    session_id: UUID | None
    function_name: str
    code: str
    rule: str | None
    context: dict[str, Any]
    actor: str
    is_claim: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ErasedPerson(Record):
    """Somebody whose name, addresses and words are gone.

    Attributes:
        person_id: the person, under the id they have now.
        kept: the kinds of data that were kept: ``identity``, ``payments``, ``records``.
        erased_at: when the last erasure went on record, in UTC.
        left_over: columns of the application's own that may hold words; it erases those itself.
    """

    person_id: UUID
    kept: tuple[str, ...]
    erased_at: datetime
    left_over: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class SessionStep(Record):
    """A step of the story of a session.

    Attributes:
        at: when it was recorded, in UTC.
        source: where it stands: ``audit``, ``ledger``, ``hold``, ``event`` or ``refusal``.
        what: the action, the kind of entry, the event, or the code of the error.
        actor: who did it: a user's id, or the name of a role; None where the record does not say.
        actor_name: their name, where the actor is a person.
        actor_email: their e-mail address, where the actor is a person.
        details: ids, times in UTC and figures, as the record has them.
    """

    at: datetime
    source: str
    what: str
    actor: str | None
    actor_name: str | None
    actor_email: str | None
    details: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class StatementLine(Record):
    """One line of a statement of credits.

    Attributes:
        entry_id: number of the ledger's entry; None in the lines ``opening`` and ``closing``.
        created_at: when the entry was written, in UTC; in ``opening`` and ``closing`` the ends of the time asked for.
        kind: ``opening``, ``closing``, or the entry's kind (see :class:`CreditEntry`).
        amount: credits added (positive) or taken (negative); None in ``opening`` and ``closing``.
        balance: the client's credits after it, in all lots of the ledger.
        lot_id: the lot.
        session_id: the session it paid for or gave back, if any.
        reason: why, in the words of whoever adjusted or revoked.
        actor: who did it.
    """

    entry_id: int | None
    created_at: datetime
    kind: str
    amount: int | None
    balance: int
    lot_id: UUID | None
    session_id: UUID | None
    reason: str | None
    actor: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class AvailableSlot(Record):
    """A time at which a session can be booked.

    Attributes:
        start_time: the instant at which it would start, in UTC.
        end_time: the instant at which it would end, in UTC.
        local_date: the date of its start in the zone that was asked for.
        local_time: the local time of its start there. It may occur twice on a date when the clocks go back.
    """

    start_time: datetime
    end_time: datetime
    local_date: date
    local_time: time


@dataclasses.dataclass(frozen=True, slots=True)
class SlotState(Record):
    """A time of a therapist's grid of slots, free or not.

    Attributes:
        start_time: the instant at which a session would start, in UTC.
        end_time: the instant at which it would end, in UTC.
        local_date: the date of its start in the zone that was asked for.
        local_time: the local time of its start there. It may occur twice on a date when the clocks go back.
        state: ``free``; ``taken``, which only a booking, an appointment of another calendar or a limit keeps from being
            free; or ``off``, in time off, outside of hours, over, too soon or too far ahead.
    """

    start_time: datetime
    end_time: datetime
    local_date: date
    local_time: time
    state: str


@dataclasses.dataclass(frozen=True, slots=True)
class AvailableDay(Record):
    """A date on which a therapist has something free.

    Attributes:
        local_date: the date, in the zone that was asked for.
        slots: how many slots start on it.
        first_start: the instant at which the first starts, in UTC.
        last_start: the instant at which the last starts, in UTC.
    """

    local_date: date
    slots: int
    first_start: datetime
    last_start: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class OpeningPeriod(Record):
    """A time in which a therapist is there, free or not.

    Attributes:
        start_time: the instant at which it begins, in UTC.
        end_time: the instant at which it ends, in UTC.
    """

    start_time: datetime
    end_time: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class AvailableTherapist(Record):
    """A therapist who is free, and from when.

    Attributes:
        therapist_id: the therapist.
        start_time: the instant at which the first slot starts, in UTC.
        end_time: the instant at which it ends, in UTC.
    """

    therapist_id: UUID
    start_time: datetime
    end_time: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class WeeklyWindow(Record):
    """A stretch of a therapist's week in which sessions can be.

    Attributes:
        weekday: the day on which it starts, 1 (Monday) to 7 (Sunday).
        start_time: its start, in the local time of its zone.
        end_time: its end; at or before the start it is on the next day.
        valid_from: the first date on which it starts; None: since ever.
        valid_to: the last date on which it starts; None: for ever.
        every_weeks: 1 for every week, 2 for every second one and so on, up to 8, counted from the week of `valid_from`.
        time_zone: the IANA zone of its times and dates; None: the therapist's.
    """

    weekday: int
    start_time: time
    end_time: time
    valid_from: date | None = None
    valid_to: date | None = None
    every_weeks: int = 1
    time_zone: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class DateOverride(Record):
    """The hours of a single date instead of a therapist's week: a window of that date, or that it is closed.

    Attributes:
        override_date: the date, in the therapist's zone.
        start_time: the window's start; None on a date that is closed.
        end_time: its end, at or before the start on the next day; None on a date that is closed.
    """

    override_date: date
    start_time: time | None
    end_time: time | None


@dataclasses.dataclass(frozen=True, slots=True)
class TimeOff(Record):
    """A time in which a therapist is not there.

    Attributes:
        id: the id with which it is taken back.
        start_time: the instant at which it starts, in UTC.
        end_time: the instant at which it ends, in UTC.
        reason: why.
        session_ids: the sessions that are booked in it all the same, in order of their start.
    """

    id: UUID
    start_time: datetime
    end_time: datetime
    reason: str | None
    session_ids: tuple[UUID, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class CalendarChange(Record):
    """A session in a therapist's calendar, or one that left it.

    Attributes:
        session_id: the session's id.
        start_time: the instant at which it starts, or started when it left, in UTC.
        end_time: the instant at which it ends, or ended when it left, in UTC.
        sequence: how often it was changed, as in iCalendar.
        has_left: whether it left since: it went to another therapist, or was deleted.
    """

    session_id: UUID
    start_time: datetime
    end_time: datetime | None
    sequence: int
    has_left: bool


@dataclasses.dataclass(frozen=True, slots=True)
class JoinableSession(Record):
    """An answer to somebody who wants to enter the video room of a session.

    Attributes:
        may_join: whether they may.
        reason: why not: ``"not_active"`` (it was cancelled, is over, or waits for approval), ``"too_early"``,
            ``"too_late"`` or ``"no_room"``; None if they may.
        video_url: where the room is; None if they may not.
        video_status: ``"ready"``, ``"failed"`` (the service refused something), or None where nothing is known.
        opens_at: the instant from which the room is open, in UTC; None where the session has no start.
        closes_at: the instant until which, in UTC; None where it has no end.
        part: ``"client"`` or ``"therapist"``; None for callers who are trusted.
        room_name: what the service calls the room.
    """

    may_join: bool
    reason: str | None
    video_url: str | None
    video_status: str | None
    opens_at: datetime | None
    closes_at: datetime | None
    part: str | None
    room_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class BusyEvent(Record):
    """An appointment that a therapist has in another calendar, or had.

    A time is a datetime with a time zone; or one without, which is local to the therapist; or a date, which means whole
    days of the therapist.

    Attributes:
        external_id: what the other calendar calls it, 1 to 255 characters.
        start_time: when it starts; None where it takes no time.
        end_time: when it ends, the end of dates not included; without it a date is one day.
        removed: whether it is not there any more.
        free: whether nothing is blocked while it lasts.
        transparency: ``"opaque"`` or ``"transparent"``, as in iCalendar: another way to say `free`.
        status: ``"confirmed"``, ``"tentative"`` or ``"cancelled"``.
        uid: its iCalendar UID, where `external_id` is another: bookingdb knows its own sessions by it.
    """

    external_id: str
    start_time: datetime | date | None = None
    end_time: datetime | date | None = None
    removed: bool = False
    free: bool = False
    transparency: str | None = None
    status: str | None = None
    uid: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RejectedEvent(Record):
    """An event of another calendar that could not be read.

    Attributes:
        event: which one, 1 is the first.
        external_id: its id, or None where it has none that can be read.
        reason: why, one of the reasons of :meth:`~bookingdb.Bookings.sync_external_busy`.
    """

    event: int
    external_id: str | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class SyncedBusy(Record):
    """The outcome of bringing the appointments of another calendar up to date.

    Attributes:
        inserted: how many are new.
        updated: how many are at another time than before.
        removed: how many are gone.
        session_ids: the sessions that the appointments overlap, in order of their start.
        rejected: the events that could not be read; the others were taken.
        ignored: how many events block nothing: cancelled, free or without length, or sessions that were exported.
    """

    inserted: int
    updated: int
    removed: int
    session_ids: tuple[UUID, ...]
    rejected: tuple[RejectedEvent, ...] = ()
    ignored: int = 0

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Make the record from a row, whose rejected events some drivers leave as JSON."""
        inserted, updated, removed, session_ids, rejected, ignored = row
        events = json.loads(rejected) if isinstance(rejected, str) else rejected
        return cls(
            inserted, updated, removed, tuple(session_ids), tuple(RejectedEvent(**event) for event in events), ignored
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ListedDestination(Record):
    """A destination of events.

    Attributes:
        name: its name.
        kind: ``"webhook"``, ``"mail"``, ``"daily"``, ``"calendar"``, ``"python"``, or a word of a worker of your own.
        events: the types of events that it is told of; ``"session.*"`` and ``"*"`` stand for many.
        settings: what its kind needs; see docs/events.md.
        secret_names: the names of its secrets, which claims alone hand out.
        is_enabled: whether it is told of events, and its deliveries are sent.
        disabled_reason: why not: ``"by hand"``, or ``"gone"``: it answered 410.
        starts_at: since when it is told of events.
        created_at: when it was created.
    """

    name: str
    kind: str
    events: tuple[str, ...]
    settings: dict[str, Any]
    secret_names: tuple[str, ...]
    is_enabled: bool
    disabled_reason: str | None
    starts_at: datetime
    created_at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimedDelivery(Record):
    """A delivery that is the caller's to send, until its lease ends.

    Attributes:
        id: the receiver's idempotency key, the same in every attempt.
        token: the claim; `finish_delivery` asks for it.
        attempt: the number of this attempt, from 1.
        destination: the name of the destination.
        kind: its kind.
        settings: what the kind needs.
        secrets: its secrets.
        state: what its sender kept the last time.
        type: the type of the event.
        subject_id: the session, hold, lot or person that it is about.
        recipient_id: the person who gets it, where it is for a single one.
        body: what the receiver gets: type, version, timestamp, data.
        context: the session as it is now and how its people are reached, where the kind needs them.
        leased_until: when somebody else may claim it.
    """

    id: UUID
    token: UUID
    attempt: int
    destination: str
    kind: str
    settings: dict[str, Any]
    secrets: dict[str, Any]
    state: dict[str, Any]
    type: str
    subject_id: UUID
    recipient_id: UUID | None
    body: dict[str, Any]
    context: dict[str, Any] | None
    leased_until: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ListedDelivery(Record):
    """A delivery, and what became of it.

    Attributes:
        id: the receiver's idempotency key.
        destination: the name of the destination.
        kind: its kind.
        type: the type of the event.
        subject_id: the session, hold, lot or person that it is about.
        recipient_id: the person who gets it, where it is for a single one.
        status: ``"pending"``, ``"delivered"``, ``"dead"`` or ``"dropped"``.
        attempts: how often it was tried.
        occurred_at: when the event was.
        created_at: when the delivery was made.
        due_at: when it is tried next; None where it is finished.
        finished_at: when it was finished.
        status_code: what the receiver answered the last time.
        detail: what the receiver or the worker said the last time.
    """

    id: UUID
    destination: str
    kind: str
    type: str
    subject_id: UUID
    recipient_id: UUID | None
    status: str
    attempts: int
    occurred_at: datetime
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    status_code: int | None
    detail: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class DestinationStatus(Record):
    """The backlog of a destination.

    Attributes:
        destination: its name.
        kind: its kind.
        is_enabled: whether it is told of events.
        disabled_reason: why not.
        backlog: how many events are still to be delivered.
        due: how many deliveries can be claimed now.
        in_flight: how many are claimed.
        oldest: when the oldest event of the backlog was.
        dead: how many deliveries are dead.
    """

    destination: str
    kind: str
    is_enabled: bool
    disabled_reason: str | None
    backlog: int
    due: int
    in_flight: int
    oldest: datetime | None
    dead: int
