"""A database whose clock is set by hand: its functions and defaults read a row instead of the server's clock."""

from __future__ import annotations

import datetime as dt

from tests.support import World

FUNCTIONS = """
    select replace(pg_get_functiondef(p.oid), 'clock_timestamp()', 'bookingdb.turned_clock()')
    from pg_proc as p
    where p.pronamespace = 'bookingdb'::regnamespace and p.prosrc like '%clock_timestamp()%'
"""
DEFAULTS = """
    select format(
        'alter table %s alter column %I set default %s', d.adrelid::regclass, a.attname,
        replace(pg_get_expr(d.adbin, d.adrelid), 'clock_timestamp()', 'bookingdb.turned_clock()')
    )
    from pg_attrdef as d
    inner join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where pg_get_expr(d.adbin, d.adrelid) like '%clock_timestamp()%'
"""


def take_over_clock(world: World, instant: dt.datetime) -> None:
    """Let the database of this world, which is of no use to anybody else then, stand still at an instant."""
    world.run("create table bookingdb.turned (instant timestamptz)")
    world.run("insert into bookingdb.turned values (%s)", instant)
    world.run(
        "create function bookingdb.turned_clock() returns timestamptz language sql stable"
        " as 'select t.instant from bookingdb.turned as t'"
    )
    for (statement,) in world.run(FUNCTIONS) + world.run(DEFAULTS):
        world.run(statement)


def turn_clock(world: World, instant: dt.datetime) -> None:
    """Set the clock."""
    world.run("update bookingdb.turned set instant = %s", instant)
