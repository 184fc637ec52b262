"""What things cost, as ratios: both sides are measured in turn, in one run, on a database made for it.

A number of milliseconds says something about a machine; how many times as long something takes as something else says
something about the code. Nothing here is a test: no figure is right or wrong.
"""

import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from bookingdb.install import installer
from tests.benchmark import scratch, targets

Connection = psycopg.Connection[Any]

_DATABASE: Final = "bookingdb_bench"
SLOTS: Final = "slots of 30 days"
NEXT: Final = "the next free time"
SEARCH: Final = "the first free of 500 in 7 days"
LOOP: Final = "the same with a loop in Python"
BOOKING: Final = "a booking"
# By what was done: beside what its time is read, and what it is called there.
TIMED: Final[Mapping[str, tuple[str, str]]] = {
    SLOTS: (LOOP, targets.SLOTS_TIME),
    NEXT: (SLOTS, targets.NEXT_TIME),
    SEARCH: (BOOKING, targets.SEARCH_TIME),
}
# In a round what is quick is done so often, and the median counts.
_CALLS: Final = 9
_QUICK: Final = 0.05

# Half of the sessions are over, half to come, one after the other for each therapist, in weekly hours of five days.
# The first therapist has a hundred times as many that are over. Sessions are written behind the triggers, and indexed
# afterwards: through them ten million rows would take hours.
_LOAD: Final = """
    set synchronous_commit = off;

    insert into public.users (email, user_type, is_active, is_verified)
    select 'therapist' || n.n || '@example.com', 'therapist', true, true
    from generate_series(1, {therapists}) as n (n);

    insert into bookingdb.policies (therapist_id, time_zone)
    select u.id, (array['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe'])[
        1 + row_number() over (order by u.id) % 4
    ]
    from public.users as u;

    insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)
    select u.id, d.d, h.start_time, h.end_time
    from public.users as u
    cross join generate_series(1, 5) as d (d)
    cross join (values (time '09:00', time '12:00'), (time '13:00', time '18:00')) as h (start_time, end_time);

    set session_replication_role = replica;
    set maintenance_work_mem = '1GB';

    alter table bookingdb.calendar drop constraint calendar_therapist_excl, drop constraint calendar_client_excl;

    insert into bookingdb.calendar (kind, therapist_id, period, blocked)
    select 'session', t.id, p.period, p.period
    from (
        select u.id, row_number() over (order by u.id) as number
        from public.users as u
    ) as t
    cross join lateral generate_series(
        -greatest({each}, case t.number when 1 then least({each} * 100, 8000) else 0 end) / 2, {each} / 2
    ) as n (n)
    cross join lateral (
        select date_trunc('hour', now()) + make_interval(hours => n.n * 9 + (t.number % 9)::integer) as starts_at
    ) as s
    cross join lateral (select tstzrange(s.starts_at, s.starts_at + interval '50 minutes') as period) as p;

    insert into public.sessions (id, therapist_id, status, start_time, end_time, duration_minutes)
    select c.id, c.therapist_id, 'scheduled', lower(c.period), upper(c.period), 50
    from bookingdb.calendar as c;

    alter table bookingdb.calendar
    add constraint calendar_therapist_excl exclude using gist (therapist_id with =, blocked with &&)
    where (kind in ('session', 'hold') and therapist_id is not null),
    add constraint calendar_client_excl exclude using gist (client_id with =, period with &&)
    where (kind in ('session', 'hold') and client_id is not null);
    vacuum analyze;
"""

_SLOTS: Final = "select start_time from list_available_slots(%s, current_date + 1, current_date + 30)"
# What applications do instead: every quarter of an hour there is, without those that meet a session or leave the hours.
_GRID: Final = """
    select g.start
    from bookingdb.policies as p
    cross join lateral (
        select
            (current_date + 1)::timestamp at time zone p.time_zone as first_start,
            (current_date + 31)::timestamp at time zone p.time_zone as end_start
    ) as r
    cross join lateral generate_series(r.first_start, r.end_start - interval '15 minutes', '15 minutes') as g (start)
    cross join lateral (
        select
            g.start at time zone p.time_zone as local_start,
            (g.start + interval '1 hour') at time zone p.time_zone as local_end
    ) as l
    where p.therapist_id = %s
        and exists (
            select from bookingdb.weekly_hours as w
            where w.therapist_id = p.therapist_id
                and w.weekday = extract(isodow from l.local_start)
                and w.start_time <= l.local_start::time
                and w.end_time >= l.local_end::time
                and l.local_start::date = l.local_end::date
        )
        and not exists (
            select from public.sessions as s
            where s.therapist_id = p.therapist_id
                and s.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')
                and s.start_time < g.start + interval '1 hour'
                and s.end_time > g.start
        )
    order by g.start
"""
_NEXT: Final = "select start_time from next_available_slot(%s)"
_FIND: Final = """
    select therapist_id, start_time
    from find_available_therapists(now(), now() + interval '30 days', 60, %s)
"""
_FIND_IN_A_WEEK: Final = """
    select therapist_id, start_time
    from find_available_therapists(now(), now() + interval '7 days', 60, %s)
"""
_NEXT_OF_EACH: Final = """
    select i.id, n.start_time
    from unnest(%s::uuid[]) as i (id)
    cross join lateral next_available_slot(i.id) as n
    order by n.start_time, i.id
    limit 20
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ways to do something, measured in turn.

    Attributes:
        what: what was done.
        other: what it was compared with.
        rounds: the milliseconds of both, in each round.
    """

    what: str
    other: str
    rounds: Sequence[tuple[float, float]]

    @property
    def milliseconds(self) -> float:
        """The median of the first."""
        return statistics.median(first for first, _ in self.rounds)

    @property
    def other_milliseconds(self) -> float:
        """The median of the second."""
        return statistics.median(second for _, second in self.rounds)

    @property
    def ratio(self) -> float:
        """How many times as long the other one takes."""
        return self.other_milliseconds / self.milliseconds


def slots(
    conninfo: str,
    *,
    sessions: int,
    therapists: int,
    report: Callable[[str], None],
    rounds: int,
    book: Callable[[], None] | None = None,
) -> list[Comparison]:
    """Measure what free times cost among many sessions.

    Args:
        conninfo: a server's database, as a superuser; a database of its own is made there and dropped afterwards.
        sessions: how many there are in the large database, over all therapists; the small one has a thousandth.
        therapists: how many there are.
        report: told what is being done.
        rounds: how often both sides have their turn.
        book: books once, to say how many bookings a search takes; without it this is not compared.

    Raises:
        NotScratch: a database of that name is not a benchmark's.
        psycopg.Error: the role may not make a database, or may not write behind the triggers.
        RuntimeError: a grid or a loop lists other slots than we do: one of the two is wrong.
    """
    small_count = max(sessions // 1000, 2 * 10)
    with (
        _loaded(conninfo, f"{_DATABASE}_small", small_count, 10, report) as (small, small_ids),
        _loaded(conninfo, _DATABASE, sessions, therapists, report) as (large, ids),
    ):
        usual, long_past = ids[1], ids[0]
        if _asking(large, _SLOTS, usual)() != _asking(large, _GRID, usual)():
            raise RuntimeError("list_available_slots() and a grid list different slots")
        if _asking(large, _SLOTS, usual)() != _loop(large, usual):
            raise RuntimeError("list_available_slots() and a loop list different slots")
        report("measuring")
        compared: list[tuple[str, Callable[[], Any], str, Callable[[], Any]]] = [
            (
                SLOTS, _asking(large, _SLOTS, usual),
                "the same with a grid and NOT EXISTS", _asking(large, _GRID, usual),
            ),
            (SLOTS, _asking(large, _SLOTS, usual), LOOP, lambda: _loop(large, usual)),
            (NEXT, _asking(large, _NEXT, usual), SLOTS, _asking(large, _SLOTS, usual)),
            (
                f"slots of 30 days among {small_count:,} sessions", _asking(small, _SLOTS, small_ids[1]),
                f"among {sessions:,}", _asking(large, _SLOTS, usual),
            ),
            (
                "slots of 30 days after a usual past", _asking(large, _SLOTS, usual),
                "after a long one", _asking(large, _SLOTS, long_past),
            ),
            *(
                (
                    f"the first free of {len(some)} therapists", _asking(large, _FIND, some),
                    "next_available_slot() of each", _asking(large, _NEXT_OF_EACH, some),
                )
                for some in {len(some): some for some in (ids[:500], ids)}.values()
            ),
        ]  # fmt: skip
        if book is not None:
            some = ids[:500]
            compared.append((SEARCH, _asking(large, _FIND_IN_A_WEEK, some), BOOKING, book))
        return [_compared(*each, rounds) for each in compared]


def _loop(connection: Connection, therapist: UUID) -> list[tuple[dt.datetime]]:
    """List the slots of 30 days as an application does: each quarter of an hour, against each session that there is."""
    policy = connection.execute(
        "select p.time_zone, current_date + 1 from bookingdb.policies as p where p.therapist_id = %s", (therapist,)
    ).fetchone()
    assert policy is not None
    zone = ZoneInfo(policy[0])
    start, end = (
        dt.datetime.combine(policy[1] + dt.timedelta(days=days), dt.time(), zone).astimezone(dt.UTC) for days in (0, 30)
    )
    hours = connection.execute(
        "select w.weekday, w.start_time, w.end_time from bookingdb.weekly_hours as w where w.therapist_id = %s",
        (therapist,),
    ).fetchall()
    taken = connection.execute(
        "select s.start_time, s.end_time from public.sessions as s where s.therapist_id = %s and s.end_time > %s"
        " and s.start_time < %s + interval '1 hour'"
        " and s.status in ('pending_approval', 'scheduled', 'confirmed', 'in_progress')",
        (therapist, start, end),
    ).fetchall()
    found = []
    while start < end:
        stop = start + dt.timedelta(hours=1)
        first, last = start.astimezone(zone), stop.astimezone(zone)
        is_open = first.date() == last.date() and any(
            weekday == first.isoweekday() and opens <= first.time() and last.time() <= closes
            for weekday, opens, closes in hours
        )
        if is_open and not any(begins < stop and start < ends for begins, ends in taken):
            found.append((start,))
        start += dt.timedelta(minutes=15)
    return found


@contextmanager
def _loaded(
    conninfo: str, name: str, sessions: int, therapists: int, report: Callable[[str], None]
) -> Iterator[tuple[Connection, list[UUID]]]:
    """Make a database with sessions in it for the time of the block, and hand out a connection and its therapists."""
    with scratch.empty(conninfo, name) as own, psycopg.connect(own, autocommit=True) as connection:
        report(f"loading {sessions:,} sessions of {therapists:,} therapists")
        installer.migrate(connection)
        for statement in _LOAD.format(therapists=therapists, each=sessions // therapists).split(";\n"):
            connection.execute(statement.encode())
        found = connection.execute("select u.id from public.users as u order by u.id").fetchall()
        yield connection, [therapist for (therapist,) in found]


def _asking(connection: Connection, query: str, *parameters: Any) -> Callable[[], Sequence[Any]]:
    return lambda: connection.execute(query, parameters).fetchall()


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _compared(what: str, run: Callable[[], Any], other: str, run_other: Callable[[], Any], rounds: int) -> Comparison:
    """Measure both in turn, so that what else the machine does falls on both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for timings, call in zip(seconds, (run, run_other), strict=True):
            found = [_seconds(call)]
            if found[0] < _QUICK:
                found = [_seconds(call) for _ in range(_CALLS)]
            timings.append(statistics.median(found))
    # The first round warms up.
    return Comparison(what, other, [(1000 * first, 1000 * second) for first, second in zip(*seconds, strict=True)][1:])
