"""The functions of the room adoption: an adopted database has them, an ordinary one does not, however it got there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from bookingdb.checks import verify
from bookingdb.install import installer, source
from bookingdb.install.export import sql_script
from bookingdb.install.source import Source
from tests.support import Connection, World, connect, run
from tests.support.installation import adopt_nothing

FILES = source.load()
ROOM = FILES.adoption

Install = Callable[[Connection], object]

# Files of a next version, so that there is something to upgrade to.
NEXT = replace(FILES, grants_file=replace(FILES.grants_file, text=FILES.grants_file.text + "-- Another version.\n"))


def by_script(connection: Connection) -> None:
    run(connection, sql_script(NEXT))


def by_migrate(connection: Connection) -> None:
    installer.migrate(connection, source=NEXT)


both_ways = pytest.mark.parametrize("install", [by_migrate, by_script])


@pytest.fixture
def as_before(world: World) -> World:
    """An ordinary database of a version whose every database had these functions."""
    for function in ROOM:
        world.run(function.text)
    return world


def present(connection: Connection) -> set[str]:
    """Those functions of the room that a database has."""
    names = "select p.proname from pg_proc as p where p.pronamespace = 'bookingdb'::regnamespace"
    return {name for (name,) in run(connection, names)} & {function.name for function in ROOM}


def found(connection: Connection, files: Source = FILES) -> list[tuple[str, str]]:
    return [(finding.object, finding.problem) for finding in verify.verify(connection, source=files)]


def attach(world: World) -> None:
    """Have a table followed, as the documentation showed it to everybody."""
    world.run("create table public.hours (therapist_id uuid, document jsonb)")
    world.run(
        "create trigger hours_insert after insert on public.hours referencing new table as new_rows for each statement"
        " execute function bookingdb.schedules_changed('therapist', 'therapist_id', 'document', 'document')"
    )


def test_new_database_has_none_of_them(world: World) -> None:
    assert present(world.connection) == set()
    assert found(world.connection) == []


@both_ways
def test_upgrade_drops_them_in_an_ordinary_database(as_before: World, install: Install) -> None:
    assert len(present(as_before.connection)) == len(ROOM) > 20

    install(as_before.connection)

    assert present(as_before.connection) == set()
    assert found(as_before.connection, NEXT) == []


@both_ways
def test_upgrade_keeps_them_where_a_trigger_calls_one(as_before: World, install: Install) -> None:
    attach(as_before)

    install(as_before.connection)

    assert len(present(as_before.connection)) == len(ROOM)
    assert found(as_before.connection, NEXT) == []

    as_before.run("drop table public.hours")
    installer.migrate(as_before.connection, source=NEXT, reapply=True)

    assert present(as_before.connection) == set()


@both_ways
def test_adopted_database_has_all_of_them(world: World, install: Install) -> None:
    world.run("insert into bookingdb.adoption (kind, object) values ('plan', 'bookingdb')")
    missing = found(world.connection)

    install(world.connection)

    assert {problem for _, problem in missing} == {"is missing"}
    assert len(missing) == len(present(world.connection)) == len(ROOM)
    assert found(world.connection, NEXT) == []


def test_one_that_an_adopted_database_lost_is_missed(adopted_world: World) -> None:
    adopted_world.run("drop function bookingdb.week_minutes")

    assert found(adopted_world.connection) == [("bookingdb.week_minutes(uuid,date)", "is missing")]


def test_body_that_differs_in_an_adopted_database_is_found(adopted_world: World) -> None:
    (function,) = (function for function in ROOM if function.name == "date_of")
    adopted_world.run(function.text.replace("data_exception", "others"))

    assert found(adopted_world.connection) == [
        ("bookingdb.date_of(text)", "body differs from sql/functions/adoption/date_of.sql")
    ]


def test_one_that_is_in_an_ordinary_database_does_not_belong(world: World) -> None:
    (function,) = (function for function in ROOM if function.name == "date_of")
    world.run(function.text)

    assert found(world.connection) == [("bookingdb.date_of(text)", "is not part of bookingdb")]


def test_owner_with_more_rights_finds_nothing_in_either(world: World) -> None:
    """The record of the adoption must not be read then, so the functions speak for themselves."""
    with connect(psycopg.conninfo.make_conninfo(world.url, user=world.superuser)) as superuser:
        ordinary = found(superuser)
        adopt_nothing(world.connection)

        assert (ordinary, found(superuser)) == ([], [])
