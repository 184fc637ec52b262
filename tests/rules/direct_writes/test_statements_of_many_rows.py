"""Many sessions in one statement, which is judged as a whole."""

from __future__ import annotations

import datetime as dt
from typing import Any, LiteralString
from uuid import uuid4

import pytest

from tests.support import World
from tests.support.direct_writes import HOUR, SHIFT, at, calendar, place
from tests.support.interleaving import holding
from tests.support.refusals import nothing_written, refused


@pytest.mark.parametrize("shift", [HOUR, -HOUR, dt.timedelta(minutes=1), dt.timedelta(minutes=-30)])
def test_adjacent_sessions_move_together(world: World, shift: dt.timedelta) -> None:
    therapist, client = world.therapist(), world.client()
    for hour in range(8, 16):
        place(world, client, therapist, hour)

    world.run(SHIFT, shift, shift)

    assert [row[3] for row in calendar(world)] == [at(hour) + shift for hour in range(8, 16)]
    assert world.violations() == []


def test_two_sessions_exchange_their_times(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    first, second = (world.book(client, therapist, f"{hour}:00")["id"] for hour in (10, 14))

    world.run(
        "update sessions set start_time = o.start_time, end_time = o.end_time"
        " from sessions as o where o.id <> sessions.id"
    )

    assert [row[0] for row in calendar(world)] == [second, first]
    assert world.violations() == []


def test_sessions_moved_over_each_other_are_refused(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    for time in ("10:00", "12:00", "14:00"):
        world.book(client, therapist, time)

    with nothing_written(world), refused("booking_conflict"):
        world.run("update sessions set start_time = %s, end_time = %s", at(18), at(19))
    with nothing_written(world), refused("booking_conflict"):
        world.run("update sessions set end_time = end_time + interval '2 hours'")
    with nothing_written(world), refused("booking_conflict"):
        world.run(
            "insert into sessions (user_id, therapist_id, start_time, end_time)"
            " select %s, %s, g, g + interval '61 minutes'"
            " from generate_series(%s, %s, interval '1 hour') as g",
            client, therapist, at(20), at(24),
        )  # fmt: skip


def test_one_conflict_among_many_rows_undoes_them_all(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for hour in range(8, 16):
        place(world, client, therapist, hour)
    place(world, world.client(), therapist, 17)

    with nothing_written(world), refused("booking_conflict"):
        world.run(SHIFT + " where user_id = %s", 2 * HOUR, 2 * HOUR, client)


def test_many_rows_are_deleted_or_cancelled_at_once(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    for hour in range(8, 16):
        place(world, client, therapist, hour)

    world.run("update sessions set status = 'cancelled' where start_time < %s", at(12))
    assert [row[3] for row in calendar(world)] == [at(hour) for hour in range(12, 16)]
    world.run("delete from sessions")
    assert calendar(world) == []
    assert world.violations() == []


@pytest.mark.slow
def test_5000_sessions_of_2500_people_move_in_one_statement(world: World) -> None:
    world.run(
        "insert into users (user_type, is_verified)"
        " select case when n % 2 = 0 then 'user' else 'therapist' end, true from generate_series(1, 2500) as n"
    )
    world.run(
        "with t as (select id, row_number() over () as n from users where user_type = 'therapist'),"
        " c as (select id, row_number() over () as n from users where user_type = 'user')"
        " insert into sessions (therapist_id, user_id, start_time, end_time)"
        " select t.id, c.id, d, d + interval '1 hour' from t join c using (n)"
        " cross join generate_series(timestamptz '2031-01-06 08:00+00', '2031-01-06 11:00+00', interval '1 hour') as d"
    )

    with holding(world) as connection:
        connection.execute(SHIFT.encode(), [HOUR, HOUR])
        locks = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
        connection.execute("commit")

    assert world.count("bookingdb.calendar") == 5000
    assert locks == (1,)
    assert world.violations() == []


def test_another_client_leaves_the_therapists_time_as_it_is(world: World) -> None:
    """Buffers and time off came after the booking; they are no matter of who is booked."""
    therapist, client, other = world.therapist(), world.client(credits=2), world.client(credits=1)
    world.book(client, therapist, "10:00")
    second = world.book(client, therapist, "11:00")["id"]
    world.run("select set_policy('{\"buffer_before_minutes\": 30}', %s)", therapist)
    world.run("select add_time_off(%s, %s, %s)", therapist, at(11), at(13))
    before = world.run("select period, blocked from bookingdb.calendar where id = %s", second)

    world.run("update sessions set user_id = %s where id = %s", other, second)

    assert world.run("select period, blocked from bookingdb.calendar where id = %s", second) == before
    assert world.scalar("select client_id from bookingdb.calendar where id = %s", second) == other
    assert world.violations() == []
    # A new time is judged as one, and a client who is elsewhere is in another session.
    elsewhere = world.client(credits=1)
    world.book(elsewhere, world.therapist(), "11:30")
    with refused("client_conflict"):
        world.run("update sessions set user_id = %s where id = %s", elsewhere, second)
    with refused("booking_conflict"):
        world.run("update sessions set end_time = end_time + interval '15 minutes' where id = %s", second)


def test_copy_is_judged_like_an_insert(world: World) -> None:
    therapist, client = world.therapist(), world.client()

    def copy(*rows: tuple[Any, ...]) -> None:
        with world.connection.cursor().copy(
            "copy sessions (user_id, therapist_id, start_time, end_time) from stdin"
        ) as sink:
            for row in rows:
                sink.write_row(row)

    copy((client, therapist, at(10), at(11)), (client, therapist, at(11), at(12)))
    assert len(calendar(world)) == 2
    with nothing_written(world), refused("booking_conflict"):
        copy((client, therapist, at(8), at(9)), (client, therapist, at(10, 59), at(13)))
    assert world.violations() == []


UPSERT = (
    "insert into sessions (id, user_id, therapist_id, start_time, end_time) values"
    " (%(old)s, %(client)s, %(therapist)s, %(move_to)s, %(move_to)s + interval '1 hour'),"
    " (%(new)s, %(client)s, %(therapist)s, %(at)s, %(at)s + interval '1 hour')"
    " on conflict (id) do update set start_time = excluded.start_time, end_time = excluded.end_time"
)
MERGE = (
    "merge into sessions as s using (values"
    " (%(old)s::uuid, %(move_to)s::timestamptz), (%(new)s::uuid, %(at)s::timestamptz)) as v (id, at) on s.id = v.id"
    " when matched then update set start_time = v.at, end_time = v.at + interval '1 hour'"
    " when not matched then insert (id, user_id, therapist_id, start_time, end_time)"
    "   values (v.id, %(client)s, %(therapist)s, v.at, v.at + interval '1 hour')"
)
WITH = (
    "with moved as (update sessions set start_time = %(move_to)s, end_time = %(move_to)s + interval '1 hour'"
    "   where id = %(old)s)"
    " insert into sessions (id, user_id, therapist_id, start_time, end_time)"
    " values (%(new)s, %(client)s, %(therapist)s, %(at)s, %(at)s + interval '1 hour')"
)
COMBINED: dict[str, LiteralString] = {"upsert": UPSERT, "merge": MERGE}


@pytest.fixture(params=COMBINED)
def combined(request: pytest.FixtureRequest, world: World) -> LiteralString:
    """A statement that moves the session `old` and inserts the session `new`."""
    if request.param == "merge" and world.connection.info.server_version < 150000:
        pytest.skip("MERGE came with Postgres 15")
    return COMBINED[request.param]


@pytest.mark.parametrize(("move_to", "new_at"), [(12, 14), (12, 10), (9, 10), (11, 10)])
def test_insert_with_update_is_judged_as_a_whole(
    world: World, combined: LiteralString, move_to: int, new_at: int
) -> None:
    therapist, client = world.therapist(), world.client()
    old, new = place(world, client, therapist, 10), uuid4()

    world.connection.execute(
        combined,
        {"old": old, "new": new, "client": client, "therapist": therapist, "move_to": at(move_to), "at": at(new_at)},
    )

    assert {row[0]: row[3] for row in calendar(world)} == {old: at(move_to), new: at(new_at)}
    assert world.violations() == []


@pytest.mark.parametrize(("move_to", "new_at"), [(12, 12), (14, 9), (10, 10)])
def test_insert_with_update_that_overlaps_is_refused(
    world: World, combined: LiteralString, move_to: int, new_at: int
) -> None:
    therapist, client = world.therapist(), world.client()
    old, new = place(world, client, therapist, 10), uuid4()
    place(world, world.client(), therapist, 14)
    parameters = {
        "old": old, "new": new, "client": client, "therapist": therapist, "move_to": at(move_to), "at": at(new_at)
    }  # fmt: skip

    with nothing_written(world), refused("booking_conflict"):
        world.connection.execute(combined, parameters)


def test_parts_of_a_with_statement_are_judged_in_turn(world: World) -> None:
    """For Postgres they are statements of their own, the last one first: it may be refused, never wrongly let pass."""
    therapist, client = world.therapist(), world.client()
    old = place(world, client, therapist, 10)
    parameters = {"old": old, "new": uuid4(), "client": client, "therapist": therapist, "at": at(10)}

    with nothing_written(world), refused("booking_conflict"):
        world.connection.execute(WITH, {**parameters, "move_to": at(12)})
    with nothing_written(world), refused("booking_conflict"):
        world.connection.execute(WITH, {**parameters, "at": at(12), "move_to": at(12)})
    world.connection.execute(WITH, {**parameters, "at": at(14), "move_to": at(12)})
    assert world.violations() == []


def test_an_upsert_that_does_nothing_writes_nothing(world: World) -> None:
    therapist, client = world.therapist(), world.client()
    old = place(world, client, therapist, 10)

    with nothing_written(world):
        world.run(
            "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
            " on conflict do nothing",
            old, client, therapist, at(10), at(11),
        )  # fmt: skip
