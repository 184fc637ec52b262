"""Local times against Python's zoneinfo: every zone, every clock change of 2024 to 2030, and times that are none."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import World
from tests.support.refusals import outcome, refused

MINUTE = dt.timedelta(minutes=1)
SKIPPED = "skipped_time"
# Minutes before and after a clock change at which both sides are asked: around halves and whole hours.
AROUND = sorted({sign * (hour + offset) for hour in (0, 30, 60, 120, 180) for offset in (-1, 0, 1) for sign in (-1, 1)})


@pytest.fixture
def world(clean_world: World, same_time_zone_data: None) -> Iterator[World]:
    """A world with a function that answers for a refused time what it is refused with."""
    with clean_world.connection.transaction(force_rollback=True):
        clean_world.run(
            "create function pg_temp.instant(p_local timestamp, p_zone text) returns text language plpgsql as $$ "
            "declare v_detail text; "
            "begin "
            "  return extract(epoch from bookingdb.local_instant(p_local::date, p_local::time, p_zone))::bigint; "
            "exception when others then "
            "  get stacked diagnostics v_detail = pg_exception_detail; "
            "  return v_detail::json ->> 'code'; "
            "end $$"
        )
        yield clean_world


def zone_names(world: World) -> list[str]:
    return [name for (name,) in world.run("select name from bookingdb.time_zones order by name")]


def promised(local: dt.datetime, zone: ZoneInfo) -> str:
    """Return what a local time means: the first of two instants, or that there is none."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local:
        return SKIPPED
    return str(int(instant.timestamp()))


def answered(world: World, questions: list[tuple[dt.datetime, str]]) -> list[str]:
    """Ask the database for all of them at once."""
    rows = world.run(
        "select pg_temp.instant(q.local, q.zone)"
        " from unnest(%s::timestamp[], %s::text[]) with ordinality as q (local, zone, number) order by q.number",
        [local for local, _ in questions],
        [zone for _, zone in questions],
    )
    return [answer for (answer,) in rows]


def differences(world: World, questions: list[tuple[dt.datetime, str]]) -> list[Any]:
    zones = {name: ZoneInfo(name) for _, name in questions}
    expected = [promised(local, zones[name]) for local, name in questions]
    answers = answered(world, questions)
    return [
        (question, answer, right)
        for question, answer, right in zip(questions, answers, expected, strict=True)
        if answer != right
    ]


def clock_changes(zone: ZoneInfo) -> Iterator[dt.datetime]:
    """Yield the instants from 2024 to 2030 from which a zone has another offset: looked for, then narrowed down."""
    step, end = dt.timedelta(days=3), dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    before = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    while before < end:
        after = before + step
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            low, high = before, after
            while high - low > MINUTE:
                middle = low + (high - low) // 2
                middle -= dt.timedelta(seconds=middle.second, microseconds=middle.microsecond)
                same = middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield high
        before = after


@pytest.mark.slow
def test_every_clock_change_of_2024_to_2030_in_every_zone(world: World) -> None:
    questions: list[tuple[dt.datetime, str]] = []
    changes = 0
    for name in zone_names(world):
        zone = ZoneInfo(name)
        for instant in clock_changes(zone):
            changes += 1
            before = (instant - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
            after = instant.astimezone(zone).replace(tzinfo=None)
            questions += [(wall + minutes * MINUTE, name) for wall in {before, after} for minutes in AROUND]

    assert changes > 2000
    assert differences(world, questions) == []
    # All three kinds were asked for, in numbers.
    kinds = [promised(local, ZoneInfo(name)) for local, name in questions[::7]]
    assert kinds.count(SKIPPED) > 100


@pytest.mark.slow
def test_a_time_that_the_clocks_skip_begins_with_the_jump(world: World) -> None:
    """For hours that begin or end there: every clock change of three years, in every zone."""
    today = dt.datetime.now(dt.UTC)
    questions: list[tuple[dt.datetime, str, int]] = []
    for name in zone_names(world):
        zone = ZoneInfo(name)
        for jump in clock_changes(zone):
            if not today <= jump <= today + dt.timedelta(days=3 * 366):
                continue
            before = (jump - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
            after = jump.astimezone(zone).replace(tzinfo=None)
            for local in {wall + minutes * MINUTE for wall in (before, after) for minutes in (0, *AROUND)}:
                right = promised(local, zone)
                questions.append((local, name, int(jump.timestamp()) if right == SKIPPED else int(right)))

    answers = world.run(
        "select extract(epoch from bookingdb.wall_clock_instant(q.local, q.zone))::bigint"
        " from unnest(%s::timestamp[], %s::text[]) with ordinality as q (local, zone, number) order by q.number",
        [local for local, _, _ in questions],
        [name for _, name, _ in questions],
    )
    assert len(questions) > 10_000
    assert [
        (question, answer) for question, (answer,) in zip(questions, answers, strict=True) if question[2] != answer
    ] == []


def midnight(date: dt.date, zone: ZoneInfo) -> int:
    """Return when a day begins: at the first instant of two, or with the jump that leaves its midnight out."""
    first = promised(dt.datetime.combine(date, dt.time()), zone)
    if first != SKIPPED:
        return int(first)
    instant = dt.datetime.combine(date, dt.time(), dt.UTC) - dt.timedelta(hours=15)
    while instant.astimezone(zone).date() < date:
        instant += MINUTE
    return int(instant.timestamp())


@pytest.mark.slow
def test_every_day_of_three_years_in_every_zone(world: World) -> None:
    """Asked for a week at a time, and all at once. Aliases of a zone are the same all over: one of them will do."""
    first, days = dt.datetime.now(dt.UTC).date(), 1096
    noon = dt.datetime.combine(first, dt.time(12), dt.UTC)
    zones: dict[Any, str] = {}
    for name in zone_names(world):
        zone = ZoneInfo(name)
        offsets = [(jump, jump.astimezone(zone).utcoffset()) for jump in clock_changes(zone) if jump > noon]
        zones.setdefault((noon.astimezone(zone).utcoffset(), *offsets), name)
    assert len(zones) > 50

    differing = []
    for name in zones.values():
        begins = [midnight(first + dt.timedelta(days=number), ZoneInfo(name)) for number in range(days + 1)]
        right = [(number, begins[number], begins[number + 1]) for number in range(days)]
        for at_once in (7, days):
            rows = world.run(
                "select d.local_date - q.first,"
                "  extract(epoch from d.starts_at)::bigint, extract(epoch from d.ends_at)::bigint"
                " from (select %s::date as first, %s::integer as days, %s::integer as at_once, %s as zone) as q"
                " cross join lateral generate_series(0, q.days - 1, q.at_once) as n (number)"
                " cross join lateral bookingdb.local_days("
                "   q.first + n.number, q.first + least(q.days, n.number + q.at_once) - 1, q.zone"
                " ) as d order by d.local_date",
                first, days, at_once, name,
            )  # fmt: skip
            if rows != right:
                differing += [(name, at_once, *row) for row in {*rows} ^ {*right}]
    assert differing == []


def test_a_day_that_a_zone_left_out_has_no_length(world: World) -> None:
    """Samoa went from the 29th of December 2011 to the 31st: the day between begins and ends with the jump."""
    jump = dt.datetime(2011, 12, 30, 10, tzinfo=dt.UTC)
    days = world.run(
        "select d.local_date, d.starts_at at time zone 'UTC', d.ends_at at time zone 'UTC'"
        " from bookingdb.local_days('2011-12-28', '2012-01-01', 'Pacific/Apia') as d order by d.local_date"
    )
    utc = jump.replace(tzinfo=None)
    day = dt.timedelta(days=1)
    assert days == [
        (dt.date(2011, 12, 28), utc - 2 * day, utc - day),
        (dt.date(2011, 12, 29), utc - day, utc),
        (dt.date(2011, 12, 30), utc, utc),
        (dt.date(2011, 12, 31), utc, utc + day),
        (dt.date(2012, 1, 1), utc + day, utc + 2 * day),
    ]
    for time in ("00:00", "12:00", "23:59"):
        wall = world.scalar("select bookingdb.wall_clock_instant(%s, 'Pacific/Apia')", f"2011-12-30 {time}")
        assert wall == jump


def test_any_minute_of_the_years_to_come_in_any_zone(world: World) -> None:
    choose = random.Random(2024)
    names = zone_names(world)
    first = dt.datetime(2024, 1, 1)
    minutes = 76 * 365 * 24 * 60
    questions = [(first + choose.randrange(minutes) * MINUTE, choose.choice(names)) for _ in range(5000)]

    assert differences(world, questions) == []


def test_minutes_of_the_past_in_any_zone(world: World) -> None:
    """Conflicts can be asked for the past: also where a zone had seconds in its offset, or lost a day."""
    choose = random.Random(1900)
    names = zone_names(world)
    first = dt.datetime(1900, 1, 2)
    minutes = 124 * 365 * 24 * 60
    questions = [(first + choose.randrange(minutes) * MINUTE, choose.choice(names)) for _ in range(5000)]
    questions += [
        (dt.datetime(2011, 12, 30, hour, 30), zone)
        for hour in range(24)
        for zone in ("Pacific/Apia", "Pacific/Fakaofo")
    ]

    assert differences(world, questions) == []


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        # The second one is an hour later, and AT TIME ZONE would give it.
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25 00:30"),
        ("2026-10-25 02:00", "Europe/Berlin", "2026-10-25 00:00"),
        ("2026-10-25 03:00", "Europe/Berlin", "2026-10-25 02:00"),
        ("2026-11-01 01:59", "America/New_York", "2026-11-01 05:59"),
        # Half an hour, not an hour.
        ("2026-04-05 01:45", "Australia/Lord_Howe", "2026-04-04 14:45"),
        ("2026-07-01 12:00", "Pacific/Chatham", "2026-06-30 23:15"),
        ("1900-01-01 00:00", "UTC", "1900-01-01 00:00"),
        ("2999-12-31 23:59", "UTC", "2999-12-31 23:59"),
    ],
)
def test_known_times(world: World, local: str, zone: str, utc: str) -> None:
    """A few by hand, for the day on which both sides are wrong alike."""
    expected = dt.datetime.fromisoformat(utc + "+00:00").timestamp()

    assert answered(world, [(dt.datetime.fromisoformat(local), zone)]) == [str(int(expected))]


@pytest.mark.parametrize(
    ("local", "zone"),
    [
        ("2026-03-29 02:00", "Europe/Berlin"),
        ("2026-03-29 02:59", "Europe/Berlin"),
        ("2026-03-08 02:30", "America/New_York"),
        ("2026-10-04 02:15", "Australia/Lord_Howe"),
        ("2011-12-30 12:00", "Pacific/Apia"),
    ],
)
def test_known_times_that_the_clocks_skip(world: World, local: str, zone: str) -> None:
    assert answered(world, [(dt.datetime.fromisoformat(local), zone)]) == [SKIPPED]


# ----------------------------------------------------------------------------------------------------------------------
# Values that are no dates, no times, no zones
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "time", "code"),
    [
        ("2026-01-01", "10:00:01", "invalid_time"), ("2026-01-01", "10:00:59.999999", "invalid_time"),
        ("2026-01-01", "00:00:00.000001", "invalid_time"), ("2026-01-01", "24:00", "invalid_time"),
        ("2026-01-01", "23:59:60", "invalid_time"), ("2026-01-01", None, "invalid_time"),
        (None, "10:00", "invalid_date"), ("infinity", "10:00", "invalid_date"),
        ("-infinity", "10:00", "invalid_date"), ("0001-01-01 BC", "10:00", "invalid_date"),
        ("4713-01-01 BC", "10:00", "invalid_date"), ("0001-01-01", "10:00", "invalid_date"),
        ("1899-12-31", "23:59", "invalid_date"), ("3000-01-01", "00:00", "invalid_date"),
        ("294276-12-31", "23:59", "invalid_date"), ("294277-01-01", "00:00", "invalid_date"),
        ("5874897-12-31", "23:59", "invalid_date"), (None, None, "invalid_date"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_wrong_date_or_time_is_refused(
    clean_world: World, date: str | None, time: str | None, code: str, zone: str
) -> None:
    with refused(code):
        clean_world.run("select bookingdb.local_instant(%s, %s, %s)", date, time, zone)


@pytest.mark.parametrize("time", ["00:00", "23:59", "10:00:00", "10:00:00.000000"])
def test_the_first_and_the_last_minute_are_times(clean_world: World, time: str) -> None:
    for date in ("1900-01-01", "2999-12-31"):
        answer = clean_world.scalar(
            "select bookingdb.local_instant(%s, %s, 'UTC') = (%s::date + %s::time) at time zone 'UTC'",
            date, time, date, time,
        )  # fmt: skip
        assert answer is True


@pytest.mark.parametrize(
    "name",
    [
        # Zones of IANA's, but for Postgres abbreviations: an offset that never changes.
        "CET", "MET", "EST",
        "Mars+5", "europe/berlin", "EUROPE/BERLIN", "", " ", "Europe/Berlin ", "posix/Europe/Berlin",
        "right/Europe/Berlin", "posixrules", "localtime", "Factory", "+05", "UTC+5", "<+05>-5", "CEST", "12:00",
        "Europe/Berlin' --", "../../../etc/passwd", "z" * 1001, "Europe/Berlin" * 100_000, "🕛",
    ],
)  # fmt: skip
def test_unknown_time_zone_is_refused(clean_world: World, name: str) -> None:
    therapist = clean_world.therapist()
    with refused("invalid_time_zone"):
        clean_world.run("select bookingdb.resolve_time_zone(%s, 'UTC')", name)
    with refused("invalid_time_zone"):
        clean_world.run("select check_booking_conflict(%s, '2030-01-01', '10:00', '11:00', %s)", therapist, name)


def test_no_zone_means_the_default(clean_world: World) -> None:
    assert clean_world.scalar("select (bookingdb.policy_of(null)).time_zone") == "UTC"
    assert clean_world.scalar("select bookingdb.resolve_time_zone(null, 'Asia/Kolkata')") == "Asia/Kolkata"


def test_every_zone_of_the_table_is_one_for_the_server(clean_world: World) -> None:
    names = zone_names(clean_world)

    assert len(names) > 400
    assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"} <= set(names)
    for name in names:
        asked = partial(clean_world.run, "select now() at time zone %s", name)
        assert outcome(asked) == "done", name


def test_zone_is_asked_for_its_rules_once_for_its_sessions(clean_world: World) -> None:
    """Each question takes half a millisecond, and there may be a hundred thousand sessions to come."""
    world = clean_world
    therapist, client = world.therapist(), world.client(credits=5)
    for hour in range(9, 14):
        world.book(client, therapist, session_time=f"{hour}:00")
    with world.connect(user=world.superuser) as connection:
        connection.execute("set track_functions = 'pl'")
        with connection.transaction():
            connection.execute("select * from bookingdb.sessions_off_time()")
            calls = "select calls from pg_stat_xact_user_functions where funcname = 'has_current_rules'"
            assert connection.execute(calls).fetchall() == [(1,)]
