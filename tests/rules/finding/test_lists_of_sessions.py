"""Sessions in lists: order, pages, filters, names, and who sees which."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import TOMORROW, Connection, World, run
from tests.support.callers import acting, logged_in
from tests.support.calls import make_scene
from tests.support.databases import on_todays_supabase
from tests.support.life import require_sound
from tests.support.plans import explained, read_whole, read_without_condition, used
from tests.support.refusals import refused

MOMENT = dt.datetime.combine(TOMORROW, dt.time(10), dt.UTC)
INSERT = (
    "insert into sessions (id, user_id, therapist_id, start_time, end_time, status) values (%s, %s, %s, %s, %s, %s)"
)

# Forty sessions of each of forty people of either kind, all of them cancelled.
MANY_SESSIONS = """
    with people as (
        insert into users (user_type, is_verified)
        select case when n %% 2 = 0 then 'user' else 'therapist' end, true from generate_series(1, 80) as n
        returning id, user_type
    ),
    numbered as (select id, user_type, row_number() over (partition by user_type order by id) as n from people)
    insert into sessions (user_id, therapist_id, start_time, end_time, status)
    select c.id, t.id, d, d + interval '1 hour', 'cancelled'
    from numbered as c inner join numbered as t using (n)
    cross join lateral (select %s::timestamptz + make_interval(hours => h) as d from generate_series(1, 40) as h) as s
    where c.user_type = 'user' and t.user_type = 'therapist'
"""


def write(world: World, start: dt.datetime | None, status: str = "cancelled", **people: Any) -> UUID:
    """Write a session as an application may; cancelled ones may be many at a time."""
    session, end = uuid4(), start and start + dt.timedelta(hours=1)
    world.run(INSERT, session, people.get("client"), people.get("therapist"), start, end, status)
    return session


def listed(connection: Connection, **filters: Any) -> list[UUID]:
    return [row[0] for row in rows_of(connection, "l.id", **filters)]


def rows_of(connection: Connection, columns: str, **filters: Any) -> list[Any]:
    arguments = ", ".join(f"p_{name} => %s" for name in filters)
    return run(connection, f"select {columns} from list_sessions({arguments}) as l", *filters.values())


def pages(connection: Connection, limit: int, **filters: Any) -> list[list[UUID]]:
    """All pages, each begun by the cursor of the one before."""
    found, cursor = [], None
    while page := rows_of(connection, "l.id, l.cursor", limit=limit, cursor=cursor, **filters):
        assert len(page) <= limit
        found.append([session for session, _ in page])
        cursor = page[-1][1]
    return found


@pytest.fixture
def crowd(world: World) -> tuple[UUID, UUID, list[UUID]]:
    """A client and a therapist with sessions at equal starts, microseconds apart, and without a start, in order."""
    client, therapist = world.client(), world.therapist()
    starts = [MOMENT + dt.timedelta(minutes=n // 4, microseconds=n % 2) for n in range(14)]
    dated = sorted((start, write(world, start, client=client, therapist=therapist)) for start in starts)
    undated = sorted(write(world, None, client=client, therapist=therapist) for _ in range(5))
    return client, therapist, [session for _, session in dated] + undated


@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_every_size_lose_and_double_nothing(
    world: World, crowd: tuple[UUID, UUID, list[UUID]], descending: bool
) -> None:
    client, therapist, ascending = crowd
    expected = ascending[13::-1] + ascending[:13:-1] if descending else ascending
    for filters in ({"user_id": client}, {"therapist_id": therapist}, {}):
        for limit in range(1, 21):
            found = pages(world.connection, limit, descending=descending, **filters)
            assert [session for page in found for session in page] == expected, (limit, filters)


def test_next_sessions_come_with_a_cursor(world: World) -> None:
    """Of 21, the next three, and then the three after them."""
    client, therapist = world.client(), world.therapist()
    sessions = [write(world, MOMENT + dt.timedelta(days=n), client=client, therapist=therapist) for n in range(21)]
    rows = rows_of(
        world.connection, "l.id, l.cursor", therapist_id=therapist, starts_from=dt.datetime.now(dt.UTC), limit=3
    )
    assert [session for session, _ in rows] == sessions[:3]
    assert listed(world.connection, therapist_id=therapist, limit=3, cursor=rows[-1][1]) == sessions[3:6]


def test_rows_that_come_and_go_between_pages_lose_nothing(world: World, crowd: tuple[UUID, UUID, list[UUID]]) -> None:
    client, therapist, expected = crowd
    first = rows_of(world.connection, "l.id, l.cursor", user_id=client, limit=6)
    # Before the place, at the place, and gone; the session of the cursor itself moves away.
    write(world, MOMENT - dt.timedelta(days=1), client=client, therapist=therapist)
    world.run("delete from sessions where id = %s", expected[2])
    world.run("update sessions set start_time = start_time + '9 days', end_time = end_time + '9 days' where id = %s",
              first[-1][0])  # fmt: skip
    rest = listed(world.connection, user_id=client, cursor=first[-1][1])
    moved = first[-1][0]
    assert [session for session in rest if session != moved] == expected[6:]


def test_filters_narrow_the_list(world: World) -> None:
    client, therapist, other = world.client(), world.therapist(), world.therapist()
    one = write(world, MOMENT, client=client, therapist=therapist)
    two = write(world, MOMENT + dt.timedelta(hours=2), "completed", client=client, therapist=other)
    three = write(world, None, client=client)
    ask = world.connection
    assert listed(ask, user_id=client) == [one, two, three]
    assert listed(ask, therapist_id=other) == [two]
    assert listed(ask, user_id=client, therapist_id=therapist) == [one]
    assert listed(ask, statuses=["completed", "no_show"]) == [two]
    assert listed(ask, statuses=[]) == []
    assert listed(ask, starts_from=MOMENT) == [one, two]
    assert listed(ask, starts_from=MOMENT, starts_before=MOMENT + dt.timedelta(hours=2)) == [one]
    assert listed(ask, starts_from=MOMENT, cursor=rows_of(ask, "l.cursor", descending=True)[-1][0]) == []
    assert listed(ask, user_id=uuid4()) == []


def test_row_says_what_a_session_is(world: World) -> None:
    client = world.scalar("select register_client('c@x.example', %s)", "A'; \\ \x1b[31m <b>")
    therapist = world.scalar("select register_therapist('t@x.example', 'Grace')")
    world.run("select * from grant_credits(%s, 3)", client)
    booked = world.book(client, therapist, notes="a note")
    same = "l.id, l.user_id, l.therapist_id, l.title, l.description, l.scheduled_date, l.scheduled_time, l.start_time"
    (row,) = rows_of(world.connection, f"{same}, l.time_zone, l.client_name, l.therapist_name, l.series_id")
    assert row[:8] == tuple(booked[name.removeprefix("l.")] for name in same.split(", "))
    assert row[8:] == ("UTC", "A'; \\ \x1b[31m <b>", "Grace", None)
    terms = "select s.free_cancellation_until from sessions as s"
    assert rows_of(world.connection, "l.free_cancellation_until") == world.run(terms)
    world.run("update users set is_active = false")
    assert rows_of(world.connection, "l.client_name, l.therapist_name") == [(row[9], "Grace")]
    assert world.run("select * from get_session(%s)", booked["id"]) == rows_of(world.connection, "l.*")


def test_session_of_which_nothing_is_known_is_listed(world: World) -> None:
    world.run("insert into sessions (status) values ('scheduled')")
    assert rows_of(world.connection, "l.start_time, l.client_name, l.therapist_name") == [(None, None, None)]


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "none_", "none_x", "_{id}", "{id}", "now_{id}", "tomorrow_{id}", "2030-01-07_{id}",
        "2030-13-07T10:00:00Z_{id}", "2030-01-07T10:00:00+00_{id}", "2030-01-07T10:00:00Z{id}",
        "9999999-01-01T00:00:00Z_{id}", "'; drop table sessions; --_{id}",
    ],
)  # fmt: skip
def test_garbled_cursor_is_refused(world: World, cursor: str) -> None:
    with refused("invalid_parameter") as refusal:
        listed(world.connection, cursor=cursor.format(id=uuid4()))
    assert refusal.detail["parameter"] == "p_cursor"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statuses", ["canceled"]),
        ("statuses", [None]),
        ("limit", 0),
        ("limit", None),
        ("limit", -1),
        ("descending", None),
    ],
)  # fmt: skip
def test_nonsensical_list_is_refused(world: World, name: str, value: Any) -> None:
    with refused("invalid_parameter") as refusal:
        listed(world.connection, **{name: value})
    assert refusal.detail["parameter"] == f"p_{name}"


def test_settings_of_the_connection_change_no_cursor(world: World, crowd: tuple[UUID, UUID, list[UUID]]) -> None:
    client, _, expected = crowd
    cursor = rows_of(world.connection, "l.cursor", user_id=client, limit=3)[-1][0]
    world.run("set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kathmandu'")
    assert rows_of(world.connection, "l.cursor", user_id=client, limit=3)[-1][0] == cursor
    assert listed(world.connection, user_id=client, cursor=cursor) == expected[3:]


@on_todays_supabase
def test_people_see_their_own_sessions(hosted_world: World) -> None:
    world = hosted_world
    client, other, therapist = world.client(credits=3), world.client(credits=3), world.therapist()
    one = world.book(client, therapist, "10:00")["id"]
    two = world.book(other, therapist, "12:00")["id"]
    # A therapist who is also somebody's client.
    three = write(world, MOMENT + dt.timedelta(days=3), client=therapist, therapist=None)
    with logged_in(world, client) as connection:
        assert listed(connection) == [one]
        assert listed(connection, therapist_id=therapist) == [one]
        assert listed(connection, user_id=client) == [one]
        with refused("not_allowed"):
            listed(connection, user_id=other)
    with logged_in(world, therapist) as connection:
        assert listed(connection) == [one, two, three]
        assert listed(connection, descending=True, limit=2) == [three, two]
        assert listed(connection, user_id=other) == [two]
        assert listed(connection, user_id=therapist) == [three]
        assert pages(connection, 1) == [[one], [two], [three]]
    with logged_in(world, uuid4()) as connection:
        assert listed(connection) == []
        for statement in ("get_session(%s)", "list_sessions(%s)", "list_holds(%s)"):
            with refused("not_allowed"):
                run(connection, f"select {statement}", one)
    with acting(world, "authenticator", "authenticated", {}) as connection, refused("not_authenticated"):
        listed(connection)


@on_todays_supabase
def test_lists_write_nothing(hosted_world: World) -> None:
    world = hosted_world
    scene = make_scene(world)
    for person in ("client", "therapist"):
        with logged_in(world, scene[person]) as connection:
            run(connection, "begin read only")
            run(connection, "select * from list_sessions()")
            run(connection, "select * from get_session(%s)", scene["session"])
            run(connection, "select * from list_holds()")
            run(connection, "select * from list_therapists()")
            run(connection, "rollback")


def test_lists_read_an_index_up_to_the_page(world: World) -> None:
    world.run(MANY_SESSIONS, MOMENT)
    ((client, therapist),) = world.run("select user_id, therapist_id from sessions limit 1")
    with world.connect(user=world.superuser) as superuser:
        run(superuser, "vacuum analyze")
    cursor = rows_of(world.connection, "l.cursor", limit=1)[-1][0]
    expected = {
        "sessions_user_id_start_time_idx": {"user_id": client},
        "sessions_therapist_id_start_time_idx": {"therapist_id": therapist},
        "sessions_dated_idx": {},
    }
    for index, filters in expected.items():
        for more in (
            {},
            {"cursor": cursor},
            {"descending": True},
            {"starts_from": MOMENT},
            {"statuses": ["completed"]},
        ):
            with explained(world) as (connection, plans):
                rows_of(connection, "count(*)", **filters, **more)
            assert index in used(plans) or "statuses" in more, (filters, more)
            assert read_whole(plans) == set(), (filters, more)
            # It has sessions without a start and nothing else.
            assert read_without_condition(plans) <= {"sessions_undated_idx"}, (filters, more)
    require_sound(world)
