"""The databases of apps load wherever they may be found, and are there twice the same."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.apps import (
    CLIENT,
    OTHER_THERAPIST,
    POOR,
    App,
    book,
    differences,
    load,
    person,
    rows,
    schema_dump,
    server_of,
)
from tests.support import connect, run, scalar
from tests.support.adoption import PAIRS
from tests.support.hosts import Host

pytestmark = pytest.mark.slow

# One of the many clients, with credits by every app's own count.
SOMEBODY = UUID("00000000-0000-4000-8000-000000000101")

every_app = pytest.mark.parametrize(
    ("app", "host"), PAIRS, ids=[f"{app.name}-{host.name}" for app, host in PAIRS], indirect=["host"], scope="session"
)


@every_app
def test_an_app_loads_on_every_host_with_the_rows_it_promises(app: App, hosts_empty_database: str, host: Host) -> None:
    load(app, hosts_empty_database, host)
    contents = rows(hosts_empty_database)
    for table, classes in app.damage.items():
        ids = {row["id"] for row in contents[table]}
        for damage, damaged in classes.items():
            assert {str(id_) for id_ in damaged} <= ids, (table, damage)
    assert sum(map(len, contents.values())) > 200
    with connect(hosts_empty_database) as connection:
        assert scalar(connection, "select to_regclass('bookingdb.history')") is None


@every_app
def test_a_dump_of_a_second_load_is_the_same(
    app: App, server_url: str, hosts_empty_database: str, host: Host, request: pytest.FixtureRequest
) -> None:
    load(app, hosts_empty_database, host)
    first = schema_dump(hosts_empty_database)
    assert schema_dump(hosts_empty_database) == first
    assert "CREATE TABLE public.sessions" in first
    contents = rows(hosts_empty_database)
    assert differences(contents, rows(hosts_empty_database)) == []
    server = request.getfixturevalue("supabase_server_url" if host.is_supabase else "server_url")
    second = host.create_database(server, f"again_{app.name}_{host.name}")
    load(app, second, host)
    assert schema_dump(second) == first


@every_app
def test_an_app_works_as_it_is_found(app: App, hosts_empty_database: str, host: Host) -> None:
    """It books, refuses with messages that others match, and writes directly; after a fashion."""
    load(app, hosts_empty_database, host)
    with server_of(hosts_empty_database) as server:
        # Some rewrite the times in the connection's zone, and know no sessions but those of today's clocks.
        run(server, "select set_config('timezone', %s, false)", app.zone)
        (booked,) = book(server, app, app.free())
        assert isinstance(booked["id"], UUID)
        for options, message in (
            ({"p_user_id": SOMEBODY}, "Booking conflict"),
            ({"p_user_id": POOR, "p_therapist_id": OTHER_THERAPIST}, "Insufficient credits"),
            ({"p_therapist_id": person("ff")}, "Therapist not found"),
        ):
            with pytest.raises(psycopg.Error, match=message):
                book(server, app, app.free(), **options)
        parameters = app.written(uuid4(), app.free(hour=14))
        for statement in (app.insert, app.move, app.change_status):
            assert server.execute(statement.encode(), parameters).rowcount == 1
    with connect(hosts_empty_database) as connection:
        assert scalar(connection, "select count(*) from public.sessions where user_id = %s", CLIENT) > 1
