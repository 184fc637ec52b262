"""Quiet hours follow the clocks of the person's zone, also where a clock change doubles or skips one of their ends."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import World
from tests.support.reminders import MINUTE, quiet_hours

# Days on which clocks change: by an hour, by half an hour, at midnight, and by a whole day.
CHANGES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/Sao_Paulo": ["2018-02-18", "2018-11-04"],
    "Pacific/Apia": ["2011-12-30"],
    "Asia/Kolkata": ["2026-06-01"],
}
ASKED = """
    select lower(q.hours), upper(q.hours)
    from unnest(%s::timestamptz[], %s::text[], %s::time[], %s::time[]) with ordinality
        as a (at, time_zone, quiet_from, quiet_until, place)
    cross join lateral (
        select bookingdb.quiet_hours_around(a.at, a.time_zone, a.quiet_from, a.quiet_until)
    ) as q (hours)
    order by a.place
"""

pytestmark = pytest.mark.usefixtures("same_time_zone_data")


def test_both_ends_are_those_of_a_walk_over_the_minutes(world: World) -> None:
    source = random.Random(20261025)
    cases: list[Any] = []
    for zone, days in CHANGES.items():
        for day in days:
            midnight = dt.datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
            for _ in range(25):
                at = midnight + MINUTE * source.randrange(-12 * 60, 30 * 60)
                ends = [dt.time(source.choice((0, 1, 2, 3, 7, 21, 23)), source.choice((0, 15, 30, 45))) for _ in "ab"]
                if ends[0] != ends[1]:
                    cases.append((at, zone, *ends))
    # In UTC, because a time that occurs twice equals none of another zone.
    found = [
        tuple(moment and moment.astimezone(dt.UTC) for moment in hours)
        for hours in world.run(ASKED, *map(list, zip(*cases, strict=True)))
    ]
    assert len([begin for begin, _ in found if begin is not None]) > 50
    assert [*zip(cases, found, strict=True)] == [(case, quiet_hours(*case)) for case in cases]


def test_lost_zone_has_no_quiet_hours(world: World) -> None:
    assert world.run(ASKED, [dt.datetime.now(dt.UTC)], ["Mars/Olympus"], [dt.time(0)], [dt.time(23)]) == [(None, None)]
