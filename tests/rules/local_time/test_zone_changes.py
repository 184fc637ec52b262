"""An agreed local time is what was sold: when the rules of its zone change, the session follows it."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support import TOMORROW, Connection, book, connect, run, scalar
from tests.support.interleaving import holding, next_clock_change, session_of, waiting
from tests.support.life import call, expire_hold
from tests.support.refusals import outcome
from tests.support.zone_files import ZonesWorld

MEXICO = "America/Mexico_City"
# Always an hour ahead of Mexico City, and always an hour behind: 10:00 is earlier then, or later.
PANAMA, PHOENIX = "America/Panama", "America/Phoenix"


def realign(connection: Connection, therapist: UUID | None = None, *, dry_run: bool = False) -> list[Any]:
    """Return the id, the new start and what became of each session: moved, or why it stays."""
    statement = "select session_id, new_start_time, coalesce(reason, outcome) from realign_sessions(%s, %s)"
    return run(connection, statement, therapist, dry_run)


def outcomes(rows: list[Any]) -> list[str]:
    return [outcome for _, _, outcome in rows]


def write_around_triggers(world: ZonesWorld, statement: str, *parameters: Any) -> None:
    with connect(psycopg.conninfo.make_conninfo(world.url, user=world.superuser)) as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute(statement.encode(), parameters)


def local_times(world: ZonesWorld) -> list[tuple[dt.time, dt.time]]:
    """Return what each session says is its time, and what the clocks of its zone show then, in order."""
    return world.run(
        "select s.scheduled_time, (s.start_time at time zone s.time_zone)::time"
        " from sessions as s order by s.scheduled_time, s.id"
    )


def at(*hours: int) -> list[tuple[dt.time, dt.time]]:
    return [(dt.time(hour), dt.time(hour)) for hour in hours]


def off_time(world: ZonesWorld) -> list[Any]:
    return world.run("select session_id, time_zone, agreed_start from bookingdb.sessions_off_time()")


# ----------------------------------------------------------------------------------------------------------------------
# Sessions follow their local time
# ----------------------------------------------------------------------------------------------------------------------


def test_agreed_local_time_stays_when_zone_rules_change(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, ada, bob = world.therapist(MEXICO), world.client(credits=1), world.client(credits=1)
    summer = next_clock_change("America/Chicago", forward=True).date() + dt.timedelta(days=1)
    booked = world.book(ada, maria, session_date=summer)

    world.gets_rules_of(MEXICO, "America/Chicago")
    agreed = booked["start_time"] - dt.timedelta(hours=1)
    assert off_time(world) == [(booked["id"], MEXICO, agreed)]

    assert realign(world.connection) == [(booked["id"], agreed, "moved")]
    assert local_times(world) == at(10)
    assert outcome(lambda: world.book(bob, maria, session_date=summer)) == "booking_conflict"
    assert world.book(bob, maria, "11:00", session_date=summer)["start_time"] == booked["start_time"]
    assert off_time(world) == []
    assert realign(world.connection) == []
    assert world.violations() == []


@pytest.mark.parametrize("other", [PANAMA, PHOENIX])
def test_sessions_back_to_back_move_onto_each_other(zones_world: ZonesWorld, other: str) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    for hour in (9, 10, 11):
        world.book(world.client(credits=1), maria, f"{hour}:00")

    world.gets_rules_of(MEXICO, other)
    assert outcomes(realign(world.connection, maria)) == ["moved"] * 3
    assert local_times(world) == at(9, 10, 11)
    assert world.violations() == []


def test_sessions_of_a_client_with_two_therapists_are_one_set(zones_world: ZonesWorld) -> None:
    world = zones_world
    ada, maria, juan = world.client(credits=2), world.therapist(MEXICO), world.therapist(MEXICO)
    world.book(ada, maria, "10:00")
    world.book(ada, juan, "11:00")

    world.gets_rules_of(MEXICO, PHOENIX)
    # One therapist's sessions alone would meet the client's other session.
    assert outcomes(realign(world.connection, maria)) == ["client_conflict"]
    assert outcomes(realign(world.connection)) == ["moved", "moved"]
    assert world.violations() == []


def test_sessions_of_a_therapist_who_is_a_client_are_one_set(zones_world: ZonesWorld) -> None:
    world = zones_world
    person, maria, juan = (world.therapist(MEXICO) for _ in range(3))
    world.run("select register_client(email) from users where id = %s", person)
    world.run("select grant_credits(%s, 3)", person)
    world.book(person, maria, "10:00")
    world.book(world.client(credits=1), person, "11:00")
    world.book(person, juan, "12:00")
    # 13:00, said by somebody in a zone whose rules stay.
    fixed = world.book(world.client(credits=1), person, "19:00", time_zone="UTC")["id"]
    calendar = "select therapist_id, client_id, period, mirror_of from bookingdb.calendar order by period, mirror_of"
    before = world.run(calendar)

    world.gets_rules_of(MEXICO, PHOENIX)
    for dry_run in (True, False):
        stays = realign(world.connection, dry_run=dry_run)
        assert outcomes(stays) == ["client_conflict", "client_conflict", "client_conflict"]
        assert world.run(calendar) == before
        assert world.violations() == []
    world.run("select * from cancel_session(%s)", fixed)
    assert outcomes(realign(world.connection)) == ["moved"] * 3
    assert local_times(world)[:3] == at(10, 11, 12)
    assert world.violations() == []


def test_session_stays_where_its_agreed_time_is_taken(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    for hour in (9, 10, 15):
        world.book(world.client(credits=1), maria, f"{hour}:00")
    # 11:00, said by somebody in a zone whose rules stay.
    fixed = world.book(world.client(credits=1), maria, "17:00", time_zone="UTC")
    before = world.run("select id, start_time from sessions order by id")

    world.gets_rules_of(MEXICO, PHOENIX)
    expected = ["booking_conflict", "booking_conflict", "moved"]
    assert outcomes(realign(world.connection, dry_run=True)) == expected
    assert world.run("select id, start_time from sessions order by id") == before
    assert world.violations() == []
    assert outcomes(realign(world.connection)) == expected
    assert len(off_time(world)) == 2
    assert world.violations() == []

    # They move when the way is free.
    world.run("select * from cancel_session(%s)", fixed["id"])
    assert outcomes(realign(world.connection)) == ["moved", "moved"]
    assert local_times(world)[:3] == at(9, 10, 15)
    assert world.violations() == []


def test_time_off_stays_when_zone_rules_change(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    world.book(world.client(credits=1), maria, "10:00")
    noon = dt.datetime.combine(TOMORROW, dt.time(17), dt.UTC)
    world.run("select * from add_time_off(%s, %s, %s)", maria, noon, noon + dt.timedelta(hours=1))

    world.gets_rules_of(MEXICO, PHOENIX)
    assert outcomes(realign(world.connection)) == ["booking_conflict"]
    assert world.scalar("select lower(period) from bookingdb.absences where kind = 'time_off'") == noon
    assert world.violations() == []


def test_days_off_stay_when_zone_rules_change(zones_world: ZonesWorld) -> None:
    """They are timestamps from the start; added again, they are the days of the new rules."""
    world = zones_world
    maria, day = world.therapist(MEXICO), TOMORROW
    before = world.run("select id, start_time from add_days_off(%s, %s, %s)", maria, day, day)

    world.gets_rules_of(MEXICO, PHOENIX)
    assert outcomes(realign(world.connection)) == []
    listed = "select id, start_time from list_time_off(%s, now(), now() + interval '9 days')"
    assert world.run(listed, maria) == before
    world.run("select remove_time_off(%s)", before[0][0])
    ((again, start),) = world.run("select id, start_time from add_days_off(%s, %s, %s)", maria, day, day)
    assert again != before[0][0]
    assert start == before[0][1] + dt.timedelta(hours=1)


def test_buffers_and_length_move_along(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    world.run("""select set_policy('{"buffer_before_minutes": 5, "buffer_after_minutes": 20}', %s)""", maria)
    booked = world.book(world.client(credits=1), maria, duration_minutes=45)
    # Those of the policy are for sessions booked from now on.
    world.run("""select set_policy('{"buffer_before_minutes": 60, "buffer_after_minutes": 60}', %s)""", maria)

    world.gets_rules_of(MEXICO, PANAMA)
    assert outcomes(realign(world.connection)) == ["moved"]
    start = booked["start_time"] - dt.timedelta(hours=1)
    before, after = dt.timedelta(minutes=5), dt.timedelta(minutes=65)
    assert world.run("select lower(period), lower(blocked), upper(blocked) from bookingdb.calendar") == [
        (start, start - before, start + after)
    ]


# ----------------------------------------------------------------------------------------------------------------------
# Which sessions are off their local time
# ----------------------------------------------------------------------------------------------------------------------


def test_contradictory_row_is_not_taken_for_a_zone_change(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    booked = world.book(world.client(credits=1), maria)
    write_around_triggers(world, "update sessions set scheduled_time = '12:30' where id = %s", booked["id"])
    assert off_time(world) == []
    world.gets_rules_of(MEXICO, PANAMA)
    assert off_time(world) == []


def test_sessions_are_listed_before_the_zones_are_refreshed(zones_world: ZonesWorld) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist(MEXICO))
    world.gets_rules_of(MEXICO, PANAMA, refreshed=False)
    assert [row[0] for row in off_time(world)] == [booked["id"]]


def test_zone_whose_rules_change_twice_is_followed_twice(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    world.book(world.client(credits=1), maria, "10:00")
    world.gets_rules_of(MEXICO, PANAMA)
    # Booked by the new rules.
    world.book(world.client(credits=1), maria, "15:00")
    world.gets_rules_of(MEXICO, PHOENIX)
    assert outcomes(realign(world.connection)) == ["moved", "moved"]
    assert local_times(world) == at(10, 15)
    assert world.violations() == []


def test_rules_that_come_back_leave_the_session_where_it_is(zones_world: ZonesWorld) -> None:
    world = zones_world
    world.book(world.client(credits=1), world.therapist(MEXICO))
    world.gets_rules_of(MEXICO, PANAMA)
    world.finds_again()
    assert off_time(world) == []


def test_session_without_a_zone_follows_its_therapists(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    booked = world.book(world.client(credits=1), maria)
    write_around_triggers(world, "update sessions set time_zone = null")
    world.gets_rules_of(MEXICO, PANAMA)
    assert outcomes(realign(world.connection)) == ["moved"]
    assert world.scalar("select start_time from sessions") == booked["start_time"] - dt.timedelta(hours=1)


def test_agreed_time_that_clocks_now_skip_is_reported_and_stays(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    skipped = next_clock_change("America/Chicago", forward=True)
    booked = world.book(
        world.client(credits=1), maria, f"{skipped + dt.timedelta(minutes=30):%H:%M}", session_date=skipped.date()
    )
    world.gets_rules_of(MEXICO, "America/Chicago")
    assert realign(world.connection) == [(booked["id"], None, "skipped_time")]
    assert world.scalar("select start_time from sessions") == booked["start_time"]


def test_second_of_two_equal_local_times_stays(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist("America/Chicago")
    first = next_clock_change("America/Chicago", forward=False)
    booked = world.book(world.client(credits=1), maria, f"{first:%H:%M}", session_date=first.date())
    later = booked["start_time"] + dt.timedelta(hours=1)
    write_around_triggers(
        world, "update sessions set start_time = %s, end_time = %s", later, later + dt.timedelta(hours=1)
    )
    world.gets_rules_of("America/Chicago", "America/Winnipeg")
    assert off_time(world) == []


def test_connection_that_keeps_old_rules_moves_nothing_back(zones_world: ZonesWorld) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist(MEXICO))
    with world.connect() as old:
        assert realign(old) == []
        # It has read the zone, and keeps what it read.
        start = scalar(old, "select (start_time at time zone %s)::time from sessions", MEXICO)
        assert start == dt.time(10)
        world.gets_rules_of(MEXICO, PANAMA)
        assert outcomes(realign(world.connection)) == ["moved"]
        assert scalar(old, "select (start_time at time zone %s)::time from sessions", MEXICO) == dt.time(9)
        assert realign(old) == []
        old.execute("select bookingdb.refresh_time_zones()")
    assert world.scalar("select start_time from sessions") == booked["start_time"] - dt.timedelta(hours=1)
    assert off_time(world) == []
    assert world.scalar("select count(*) from bookingdb.time_zone_rules where time_zone = %s", MEXICO) == 2


def test_hold_of_old_rules_becomes_a_session_that_moves(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, ada = world.therapist(MEXICO), world.client(credits=1)
    held = world.scalar("select id from hold_slot(%s, %s, %s, '10:00')", ada, maria, TOMORROW)
    world.gets_rules_of(MEXICO, PANAMA)
    assert realign(world.connection) == []
    world.run("select * from book_hold(%s)", held)
    assert outcomes(realign(world.connection)) == ["moved"]
    assert local_times(world) == at(10)
    assert world.violations() == []


def test_past_and_cancelled_sessions_stay(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria = world.therapist(MEXICO)
    cancelled = world.book(world.client(credits=1), maria)
    world.run("select * from cancel_session(%s)", cancelled["id"])
    past = world.book(world.client(credits=1), maria)
    write_around_triggers(
        world,
        "update sessions set start_time = start_time - interval '9 days', end_time = end_time - interval '9 days',"
        " scheduled_date = scheduled_date - 9 where id = %s",
        past["id"],
    )
    world.gets_rules_of(MEXICO, PANAMA)
    assert off_time(world) == []


# ----------------------------------------------------------------------------------------------------------------------
# Together with others
# ----------------------------------------------------------------------------------------------------------------------


def test_booking_of_the_agreed_time_waits_and_is_refused(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, bob = world.therapist(MEXICO), world.client(credits=1)
    world.book(world.client(credits=1), maria)
    world.gets_rules_of(MEXICO, PANAMA)
    with holding(world) as moving, session_of(world) as booking:
        assert outcomes(realign(moving)) == ["moved"]
        answer = waiting(world, partial(book, client=bob, therapist=maria), booking)
        moving.execute("commit")
        assert outcome(answer.result) == "booking_conflict"
    assert world.violations() == []


def test_realignment_waits_for_a_booking_and_reports_it(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, bob = world.therapist(MEXICO), world.client(credits=1)
    world.book(world.client(credits=1), maria)
    world.gets_rules_of(MEXICO, PANAMA)
    with holding(world) as booking, session_of(world) as moving:
        book(booking, bob, maria)
        answer = waiting(world, realign, moving)
        booking.execute("commit")
        assert outcomes(answer.result()) == ["booking_conflict"]
    assert world.violations() == []


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_realignment_after_a_session_moved_leaves_it_there(zones_world: ZonesWorld, level: str) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist(MEXICO))
    world.gets_rules_of(MEXICO, PANAMA)
    with holding(world) as other, session_of(world) as moving:
        other.execute("select * from reschedule_session(%s, %s, '18:00')", (booked["id"], TOMORROW))
        moving.execute(f"set default_transaction_isolation = '{level}'".encode())
        answer = waiting(world, realign, moving)
        other.execute("commit")
        # Postgres itself refuses a transaction whose snapshot shows the session where it was.
        assert outcome(answer.result) == ("done" if level == "read committed" else "40001")
    assert local_times(world) == at(18)
    assert world.violations() == []


def test_realignment_waits_for_a_writer_of_the_session(zones_world: ZonesWorld) -> None:
    world = zones_world
    booked = world.book(world.client(credits=1), world.therapist(MEXICO))
    world.gets_rules_of(MEXICO, PANAMA)
    with holding(world) as writer, session_of(world) as moving:
        writer.execute("select from sessions where id = %s for update", [booked["id"]])
        answer = waiting(world, realign, moving)
        # The writer takes the locks of people after the session's: nobody may hold them and wait for the session.
        writer.execute("update sessions set end_time = end_time + interval '15 minutes' where id = %s", [booked["id"]])
        writer.execute("commit")
        assert outcomes(answer.result()) == ["moved"]
    assert world.violations() == []


def test_realignment_clears_expired_holds_in_order(zones_world: ZonesWorld) -> None:
    """Of two sessions the first meets the later hold, and a booking of other people meets both."""
    world = zones_world
    therapists, client, elsewhere = (
        [world.therapist(MEXICO), world.therapist(MEXICO)],
        world.client(1),
        world.therapist(),
    )
    # In UTC these are from 16:00 to 18:00 and from 16:15 to 17:15, and move an hour ahead.
    world.book(world.client(1), therapists[0], "10:00", duration_minutes=120)
    world.book(world.client(1), therapists[1], "10:15")
    holds = [
        call(
            world.connection, "hold_slot", user_id=user, therapist_id=therapist, session_date=TOMORROW,
            session_time=clock, duration_minutes=15, time_zone="UTC",
        )["id"]
        for user, therapist, clock in (
            (client, therapists[0], "15:30"), (client, therapists[1], "15:00"), (world.client(), elsewhere, "15:15"),
        )
    ]  # fmt: skip
    for hold in holds:
        expire_hold(world.connection, hold)
    world.gets_rules_of(MEXICO, PANAMA)
    with holding(world) as owner, session_of(world) as booking, session_of(world) as moving:
        owner.execute("select from bookingdb.calendar where id = %s for update", [holds[-1]])
        booked = waiting(world, partial(book, client=client, therapist=elsewhere, at="15:00", time_zone="UTC"), booking)
        moved = waiting(world, realign, moving)
        owner.execute("commit")
        assert [outcome(booked.result), outcomes(moved.result())] == ["done", ["moved", "moved"]]
    assert world.violations() == []


def test_realignment_on_an_old_snapshot_is_refused(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, bob = world.therapist(MEXICO), world.client(credits=1)
    booked = world.book(world.client(credits=1), maria)
    world.gets_rules_of(MEXICO, PANAMA)
    with session_of(world) as moving:
        moving.execute("begin isolation level repeatable read")
        moving.execute("select count(*) from sessions")
        world.book(bob, maria)
        assert outcome(lambda: realign(moving)) in ("booking_conflict", "40001")
    assert world.scalar("select start_time from sessions where id = %s", booked["id"]) == booked["start_time"]
    assert world.violations() == []


@pytest.mark.slow
def test_bookings_go_on_while_zone_rules_change(zones_world: ZonesWorld) -> None:
    world = zones_world
    therapists = [world.therapist(MEXICO) for _ in range(3)]
    clients = [world.client(credits=500) for _ in range(8)]
    until = time.monotonic() + 6

    def book_again_and_again(client: UUID) -> Counter[str]:
        choose, ended = random.Random(str(client)), Counter[str]()
        while time.monotonic() < until:
            # A connection keeps the rules that it began with, as those of poolers do.
            with connect(world.url) as connection:
                for _ in range(10):
                    time_of_day = f"{choose.randrange(6, 22)}:{choose.choice(('00', '30'))}"
                    options = {"session_date": TOMORROW + dt.timedelta(days=choose.randrange(5))}
                    ended[
                        outcome(partial(book, connection, client, choose.choice(therapists), time_of_day, **options))
                    ] += 1
        return ended

    def realign_again_and_again(therapist: UUID | None) -> Counter[str]:
        ended = Counter[str]()
        while time.monotonic() < until:
            with connect(world.url) as connection:
                ended[outcome(partial(realign, connection, therapist))] += 1
        return ended

    with ThreadPoolExecutor(12) as threads:
        booked = [threads.submit(book_again_and_again, client) for client in clients]
        moved = [threads.submit(realign_again_and_again, therapist) for therapist in (None, None, therapists[0])]
        for rules in itertools.cycle((PANAMA, PHOENIX)):
            world.gets_rules_of(MEXICO, rules)
            # Some bookings by these rules.
            time.sleep(0.3)
            if time.monotonic() > until:
                break
        allowed = {"done", "booking_conflict", "client_conflict"}
        assert set().union(*(future.result() for future in booked)) == allowed
        assert set().union(*(future.result() for future in moved)) == {"done"}
    assert world.scalar("select count(*) from booking_audit_log where action = 'updated'") > 0
    assert world.violations() == []
