"""The list of what is held of people is complete, and an export has all of it, and nobody else."""

from __future__ import annotations

import json
from uuid import UUID

from tests.support import World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.life import call
from tests.support.refusals import refused
from tests.support.words import WORDS, live

# Columns in which there may be words, whatever the application calls them.
COLUMNS = """
    select c.oid::regclass::text, a.attname::text
    from pg_class as c
    inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind = 'r'
        and (
            c.relnamespace = 'bookingdb'::regnamespace
            or c.oid::regclass::text in ('users', 'sessions', 'user_credits', 'booking_audit_log')
        )
        and a.atttypid::regtype::text in ('text', 'character varying', 'json', 'jsonb', 'text[]')
"""


def test_every_column_for_text_is_in_the_list(world: World) -> None:
    listed = "select table_name, column_name from bookingdb.personal_data() where column_name is not null"
    held = {(table.removeprefix("public."), column) for table, column in world.run(listed)}
    there = {(table.removeprefix("public."), column) for table, column in world.run(COLUMNS)}
    assert held - there == set()
    assert there - held == set()


def test_every_table_that_knows_people_is_in_the_list(world: World) -> None:
    knows = """
        select distinct c.oid::regclass::text
        from pg_class as c
        inner join pg_attribute as a on a.attrelid = c.oid and not a.attisdropped
        where c.relkind = 'r'
            and c.relnamespace = 'bookingdb'::regnamespace
            and a.attname in (
                'user_id', 'therapist_id', 'client_id', 'person_id', 'from_user_id', 'into_user_id'
            )
    """
    listed = "select distinct table_name from bookingdb.personal_data() where condition is not null"
    # Marks for transactions with old snapshots: an id, and when it was marked.
    assert set(world.run(knows)) - set(world.run(listed)) == {("bookingdb.rule_changes",)}


def test_export_has_every_word_of_a_person(world: World) -> None:
    client = live(world)
    held = world.scalar("select export_person(%s)", client)
    text = json.dumps(held)
    assert {name for name, word in WORDS.items() if word not in text} == set()
    assert held["ids"] == [str(client)]
    assert held["people"][0]["full_name"] == WORDS["name"]
    assert {entry["kind"] for entry in held["ledger"]} >= {"grant", "adjustment", "debit", "refund"}


def test_export_has_no_other_client(world: World) -> None:
    client, other = live(world), world.client(credits=3)
    therapist = world.scalar("select therapist_id from sessions")
    session = world.book(other, therapist, "15:00", title="Flusspferd", notes="Gnu")["id"]
    world.run("update sessions set title = 'Elch' where id = %s", session)
    call(world.connection, "cancel_session", session_id=session, reason="Lemur")
    world.run("update sessions set user_id = %s where id = %s", client, session)
    world.run("update sessions set user_id = %s where id = %s", other, session)
    email = world.scalar("select email from users where id = %s", other)

    for person, others in ((client, [other]), (therapist, [client, other])):
        text = json.dumps(world.scalar("select export_person(%s)", person))
        assert [str(each) for each in others if str(each) in text] == []
        assert [word for word in ("Flusspferd", "Gnu", "Elch", "Lemur", email) if word in text] == []
    text = json.dumps(world.scalar("select export_person(%s)", therapist))
    assert [word for word in WORDS.values() if word in text] == []
    assert len(world.scalar("select export_person(%s)", therapist)["sessions"]) == 2


def test_erased_person_is_exported_without_words(world: World) -> None:
    client = live(world)
    call(world.connection, "erase_person", user_id=client)
    held = world.scalar("select export_person(%s)", client)
    assert [word for word in WORDS.values() if word in json.dumps(held)] == []
    assert [erasure["person_id"] for erasure in held["erasures"]] == [str(client)]
    assert held["sessions"]


@on_todays_supabase
def test_people_export_themselves_alone(hosted_world: World) -> None:
    world = hosted_world
    client, other = world.client(credits=1), world.client()
    with logged_in(world, client) as connection:
        ((held,),) = run(connection, "select export_person(%s)", client)
        assert UUID(held["people"][0]["id"]) == client
        for statement in ("select export_person(%s)", "select erase_person(%s)"):
            with refused("not_allowed"):
                run(connection, statement, other)
        with refused("not_allowed"):
            run(connection, "select erase_person(%s)", client)
