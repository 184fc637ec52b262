"""Finding the people of an application that was adopted, in its own tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookingdb.checks import verify
from bookingdb.install import installer, source
from tests.apps import CLIENT, INACTIVE, THERAPIST, App
from tests.support import Connection, World, connect, run
from tests.support.hosts import PLAIN


def test_people_of_the_application_are_found(app: App, reader: Connection) -> None:
    for person, kind in ((THERAPIST, "therapist"), (INACTIVE, "therapist"), (CLIENT, None)):
        found = run(reader, "select id, user_type, email, credits_balance from find_people(%s)", str(person))
        assert len(found) == 1, person
        (_, user_type, address, balance) = found[0]
        assert (user_type == "therapist") is (kind == "therapist")
        assert (balance is None) is (kind == "therapist")
        assert person in {row[0] for row in run(reader, "select id from find_people(%s)", address.upper())}
        assert person in {row[0] for row in run(reader, "select id from find_people(%s, 1000)", address[:3])}


def test_view_of_people_is_known_after_an_upgrade(app: App, owner: Connection) -> None:
    run(owner, "delete from bookingdb.adoption where object = 'bookingdb.people'; drop view bookingdb.people cascade")
    installer.migrate(owner, source=installer.installed_source(owner), reapply=True)
    assert [finding for finding in verify.verify(owner) if finding.object == "bookingdb.people"] == []


@pytest.mark.slow
def test_adapter_without_people_gets_the_view(server_url: str, tmp_path: Path) -> None:
    text = source.load().adapter.text
    begin, end = text.index("-- Everybody"), text.index("create trigger")
    (tmp_path / "mine.sql").write_text(text[:begin] + text[end:], encoding="utf-8")
    with connect(PLAIN.create_database(server_url, "without_people")) as connection:
        installer.migrate(connection, source=source.load(adapter=str(tmp_path / "mine.sql")))
        world = World("", connection, PLAIN.superuser)
        client, therapist = world.client(credits=2), world.therapist("Europe/Berlin")
        rows = "select id, user_type, time_zone, credits_balance from find_people(%s)"
        assert world.run(rows, str(client)) == [(client, "user", None, 2)]
        assert world.run(rows, str(therapist)) == [(therapist, "therapist", "Europe/Berlin", None)]


def test_sessions_of_the_application_are_listed(app: App, reader: Connection) -> None:
    every = run(reader, "select id from sessions")
    found, cursor = [], None
    while page := run(reader, "select id, cursor from list_sessions(p_cursor => %s, p_limit => 97)", cursor):
        found += [session for session, _ in page]
        cursor = page[-1][1]
    assert sorted(found) == sorted(session for (session,) in every)
    names = "select distinct client_name is not null from list_sessions(%s)"
    if run(reader, "select from find_people(%s) where full_name is not null", str(CLIENT)):
        assert run(reader, names, CLIENT) == [(True,)]
    assert THERAPIST in {row[0] for row in run(reader, "select id from list_therapists()")}
    assert INACTIVE in {row[0] for row in run(reader, "select id from list_therapists(true)")}
    assert run(reader, "select * from list_sessions(p_statuses => array['a status of theirs'])") == []
