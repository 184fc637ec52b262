"""Expired holds in the way of calls that share no person: each call removes all of them at once, in one order."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import wait
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import TOMORROW, World, run
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import DAY, call, expire_hold, require_sound
from tests.support.races import Call, booking, calling, writing
from tests.support.refusals import outcome


def expired_hold(
    world: World, client: UUID, therapist: UUID, at: str, date: dt.date = TOMORROW, minutes: int = 30
) -> UUID:
    hold = call(
        world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=date, session_time=at,
        duration_minutes=minutes,
    )["id"]  # fmt: skip
    expire_hold(world.connection, hold)
    assert isinstance(hold, UUID)
    return hold


def both_parts(world: World) -> UUID:
    """A therapist who is a client as well, with credits."""
    person = world.therapist()
    email = world.scalar("select email from users where id = %s", person)
    assert world.scalar("select register_client(%s)", email) == person
    world.run("select * from grant_credits(%s, 9)", person)
    return person


def met(world: World, between: UUID, in_order: Call, other: Call) -> tuple[str, str]:
    """Stop the first call at a hold between two others, let the second one come, and return how both end.

    The first has the early hold by then, and is yet to want the late one.
    """
    with holding(world) as owner, session_of(world) as one, session_of(world) as two:
        run(owner, "select from bookingdb.calendar where id = %s for update", between)
        first = waiting(world, in_order, one)
        second = waiting(world, other, two)
        owner.execute("commit")
        return outcome(first.result), outcome(second.result)


def held_rows(world: World) -> int:
    return int(world.scalar("select count(*) from bookingdb.calendar where kind = 'hold'"))


@pytest.mark.parametrize("function", ["create_session_with_credit_deduction", "hold_slot"])
def test_both_parts_of_a_person_are_cleared_together(world: World, function: str) -> None:
    """The client of one is a therapist, too, and their early hold is in the way of the mirror only."""
    person, other, client = both_parts(world), world.therapist(), world.client(credits=9)
    elsewhere = world.therapist()
    expired_hold(world, client, person, "10:00")
    expired_hold(world, client, other, "11:30")
    between = expired_hold(world, world.client(), elsewhere, "10:45")
    book = calling(
        function, user_id=person, therapist_id=other, session_date=TOMORROW, session_time="10:00", duration_minutes=120
    )

    ended = met(world, between, booking(client, elsewhere, duration_minutes=120), book)

    assert ended == ("done", "done")
    require_sound(world)


def test_hold_that_expires_during_a_call_keeps_the_order(world: World) -> None:
    """It is live when the call begins to wait for another one, and has expired when the mirror wants its time."""
    person, other, client = both_parts(world), world.therapist(), world.client(credits=9)
    elsewhere = world.therapist()
    early = expired_hold(world, client, person, "10:00")
    late = expired_hold(world, client, other, "11:30")
    between = expired_hold(world, world.client(), elsewhere, "10:45")
    lock = "select from bookingdb.calendar where id = %s for update"
    expiry = "update bookingdb.calendar set expires_at = clock_timestamp() + interval '0.9 s' where id = %s"
    with (
        holding(world) as of_late, holding(world) as of_between, session_of(world) as one, session_of(world) as two,
    ):  # fmt: skip
        run(of_late, lock, late)
        run(of_between, lock, between)
        world.run(expiry, early)
        first = waiting(world, booking(person, other, duration_minutes=120), one)
        # Until it has expired.
        world.run("select pg_sleep_until(expires_at) from bookingdb.calendar where id = %s", early)
        second = waiting(world, booking(client, elsewhere, duration_minutes=120), two)
        of_late.execute("commit")
        # Enough for the first to come as far as it can.
        wait([first], timeout=1)
        of_between.execute("commit")
        assert [outcome(first.result), outcome(second.result)] == ["done", "done"]
    require_sound(world)


def test_series_that_moves_later_clears_in_order(world: World) -> None:
    """It moves its last session first."""
    therapist, client = world.therapist(), world.client(credits=9)
    elsewhere, another = world.therapist(), world.client(credits=9)
    days = {"occurrences": 3, "every": DAY}
    series = calling(
        "book_series", user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00", **days
    )(world.connection)
    expired_hold(world, another, therapist, "14:00")
    between = expired_hold(world, world.client(), elsewhere, "14:00", TOMORROW + DAY)
    expired_hold(world, client, elsewhere, "14:00", TOMORROW + 2 * DAY)
    book = calling(
        "book_series", user_id=another, therapist_id=elsewhere, session_date=TOMORROW, session_time="14:00", **days
    )
    move = calling("reschedule_series", session_id=series[0]["id"], session_date=TOMORROW, session_time="14:00")

    assert met(world, between, book, move) == ("done", "done")

    require_sound(world)


def test_series_clears_both_parts_in_order(world: World) -> None:
    """On each day the series has a late hold of its therapist and an early one of its client in the other part."""
    person, other, client = both_parts(world), world.therapist(), world.client(credits=9)
    elsewhere = world.therapist()
    expired_hold(world, client, person, "10:00", TOMORROW + DAY)
    expired_hold(world, client, other, "11:30", TOMORROW + DAY)
    between = expired_hold(world, world.client(), elsewhere, "10:45", TOMORROW + DAY)
    book = calling(
        "book_series", user_id=person, therapist_id=other, session_date=TOMORROW, session_time="10:00", occurrences=2,
        every=DAY, duration_minutes=120,
    )  # fmt: skip
    one_booking = booking(client, elsewhere, duration_minutes=120, session_date=TOMORROW + DAY)

    assert met(world, between, one_booking, book) == ("done", "done")

    require_sound(world)


def test_occurrence_that_is_skipped_undoes_no_removal(world: World) -> None:
    """A call that waits for the removed hold would wait for the whole series, in vain."""
    person, other = both_parts(world), world.therapist()
    # The person works at this time of the first day, which only the mirror of an occurrence meets.
    world.book(world.client(credits=1), person, "14:00")
    expired_hold(world, world.client(), other, "14:00")

    booked = calling(
        "book_series", user_id=person, therapist_id=other, session_date=TOMORROW, session_time="14:00", occurrences=2,
        every=DAY, on_conflict="skip",
    )(world.connection)  # fmt: skip

    assert [row["outcome"] for row in booked] == ["skipped", "booked"]
    assert held_rows(world) == 0
    require_sound(world)


def test_merge_clears_the_way_of_mirrors_in_order(world: World) -> None:
    """The first client has a late hold; an early one is of the second, as the therapist who they are as well."""
    first, second, client = world.client(credits=3), both_parts(world), world.client(credits=3)
    therapist, elsewhere = world.therapist(), world.therapist()
    world.book(first, therapist, "10:00", duration_minutes=30)
    expired_hold(world, client, second, "10:00")
    expired_hold(world, first, elsewhere, "11:30")
    between = expired_hold(world, world.client(), elsewhere, "10:45")

    ended = met(
        world, between, booking(client, elsewhere, duration_minutes=120),
        calling("merge_clients", from_user_id=first, into_user_id=second),
    )  # fmt: skip

    assert ended == ("done", "done")
    require_sound(world)


SESSIONS = """
    insert into sessions (id, user_id, therapist_id, start_time, end_time)
    select i.id, i.user_id, i.therapist_id, i.start_time, i.start_time + i.length
    from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::interval[])
        as i (id, user_id, therapist_id, start_time, length)
"""


def overlapping_holds(world: World) -> dict[str, Any]:
    """Two sessions of other people, one after the other, whose expired holds are the other way round."""
    client, elsewhere = world.client(credits=3), world.therapist()
    scene: dict[str, Any] = {
        "therapists": [world.therapist(), world.therapist()], "clients": [world.client(), world.client()],
    }  # fmt: skip
    expired_hold(world, client, scene["therapists"][0], "11:30")
    expired_hold(world, client, scene["therapists"][1], "10:30")
    scene["between"] = expired_hold(world, world.client(), elsewhere, "11:00")
    scene["booking"] = booking(client, elsewhere, duration_minutes=120)
    return scene


def test_sessions_of_one_statement_clear_in_order(world: World) -> None:
    scene = overlapping_holds(world)
    starts = [dt.datetime.combine(TOMORROW, time, dt.UTC) for time in (dt.time(10), dt.time(10, 30))]
    write = writing(
        SESSIONS, [uuid4(), uuid4()], scene["clients"], scene["therapists"], starts,
        [dt.timedelta(hours=2), dt.timedelta(minutes=30)],
    )  # fmt: skip

    assert met(world, scene["between"], scene["booking"], write) == ("done", "done")

    require_sound(world)


def test_holds_of_a_deleted_person_go_in_order(world: World) -> None:
    """The other call removes both: they are of its client in one part, and of its therapist in the other."""
    gone, person, therapist = world.client(), both_parts(world), world.therapist()
    expired_hold(world, gone, therapist, "11:30")
    expired_hold(world, gone, person, "10:00")
    between = expired_hold(world, world.client(), therapist, "10:45")

    ended = met(
        world, between, booking(person, therapist, duration_minutes=120),
        writing("delete from users where id = %s", gone),
    )  # fmt: skip

    assert ended == ("done", "done")
    assert held_rows(world) == 0
    require_sound(world)
