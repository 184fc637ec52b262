"""The people with whom the selftest tries the guarantees: its own, or those of an adopted application."""

from __future__ import annotations

import datetime as dt
import uuid
from uuid import UUID

from bookingdb.checks.selftest.expectations import Connection, Failed, load, row
from bookingdb.client import Bookings
from bookingdb.policy import DEFAULTS
from bookingdb.records import BookedSession


class Stage:
    """People of the selftest's own, in a transaction that will be rolled back; every check begins with them anew."""

    title = "a therapist and clients are registered, and credits granted"

    def __init__(self, connection: Connection) -> None:
        """Begin on a connection that is in that transaction."""
        self.connection = connection
        self.bookings = Bookings(connection)
        self.day: dt.date = row(connection, "select (now() at time zone 'UTC')::date + 7")[0]
        self.yesterday = self.day - dt.timedelta(days=8)
        self.lots: dict[UUID, UUID] = {}

    def set(self) -> str:
        """Find or make the people; returns a remark on who is missing."""
        self.therapist = self._therapist()
        self.colleague = self._therapist()
        self.client = self._client(credits=2)
        self.other_client = self._client(credits=1)
        self.penniless = self._client(credits=0)
        return ""

    def book(self, client: UUID, therapist: UUID, at: str = "12:00", day: dt.date | None = None) -> BookedSession:
        """Book a session of the standard length, in a savepoint: the transaction outlives a refusal."""
        with self.connection.transaction():
            return book(self.connection, client, therapist, at, day or self.day)

    def _therapist(self) -> UUID:
        therapist = self.bookings.register_therapist(new_email(), full_name="Selftest")
        self.bookings.set_policy(therapist_id=therapist, **DEFAULTS)
        return therapist

    def _client(self, credits: int) -> UUID:
        client = self.bookings.register_client(new_email(), full_name="Selftest")
        self.grant(client, credits)
        return client

    def grant(self, client: UUID, credits: int) -> None:
        """Give a client a lot of credits, if there are to be any."""
        if credits:
            self.lots[client] = self.bookings.grant_credits(client, credits).lot_id


class BorrowedStage(Stage):
    """Two therapists and three clients of an adopted application, which alone can make people: until the rollback.

    They are given the policy and the credits that the checks count on, on a day on which none of them has anything.
    If there are fewer people, the checks that need more are not tried.
    """

    title = "therapists and clients of the application are found, and credits granted"

    def set(self) -> str:
        """Find the people; returns a remark where there is nobody."""
        therapists, clients = borrow(self.connection)
        if not therapists or not clients:
            return "but there is no therapist who can be booked, or no client"
        self.therapist, self.colleague = therapists[0], therapists[-1]
        self.client, self.other_client, self.penniless = (clients * 3)[:3] if len(clients) < 3 else clients
        for therapist in therapists:
            self.bookings.set_policy(therapist_id=therapist, **DEFAULTS)
            forget_hours(self.connection, therapist)
        forget_credits(self.connection, clients)
        self.day = free_day(self.connection, therapists + clients)
        self.grant(self.client, 2)
        if len(clients) > 1:
            self.grant(self.other_client, 1)
        return ""


def book(connection: Connection, client: UUID, therapist: UUID, at: str, day: dt.date) -> BookedSession:
    """Book a session of the standard length, by the time of UTC."""
    return Bookings(connection).book_session(
        user_id=client, therapist_id=therapist, session_date=day, session_time=at, time_zone="UTC"
    )


def is_adopted(connection: Connection) -> bool:
    """Tell whether the people here are an application's, of whom bookingdb can make none."""
    return bool(row(connection, "select exists (select from bookingdb.adoption as a where a.kind = 'plan')")[0])


def borrow(connection: Connection) -> tuple[list[UUID], list[UUID]]:
    """Two therapists of the application at most, and three clients."""
    therapists, clients = (
        [person for (person,) in connection.execute(query)]
        for query in (
            "select t.id from bookingdb.therapists as t order by t.id limit 2",
            load("three_clients"),
        )
    )
    return therapists, clients


def forget_hours(connection: Connection, therapist: UUID) -> None:
    """Let a therapist be booked at any time of a day."""
    connection.execute("delete from bookingdb.weekly_hours where therapist_id = %s", [therapist])
    connection.execute("delete from bookingdb.therapists_with_hours where therapist_id = %s", [therapist])
    connection.execute("delete from bookingdb.date_overrides where therapist_id = %s", [therapist])


def forget_credits(connection: Connection, clients: list[UUID]) -> None:
    """Leave these clients without credits."""
    connection.execute(
        "update public.user_credits set credits_balance = 0 where user_id = any (%s) and credits_balance > 0", [clients]
    )


def free_day(connection: Connection, people: list[UUID]) -> dt.date:
    """The first day, a week from now at the earliest, around which none of them has anything."""
    day: dt.date = row(connection, load("free_day", people=people))[0]
    if day is None:
        raise Failed("the people to try it with have something on every day of a year")
    return day


def new_email() -> str:
    """An address that nobody has."""
    return f"selftest-{uuid.uuid4()}@example.invalid"
