"""Names: those who meet see each other's, nobody sees anybody else's, and nobody sees an address."""

from __future__ import annotations

import json

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.refusals import refused

pytestmark = on_todays_supabase


def test_people_who_meet_see_names_and_no_addresses(hosted_world: World) -> None:
    world = hosted_world
    therapist = world.scalar("select register_therapist('grace@example.com', 'Grace', null, 'UTC')")
    ada = world.scalar("select register_client('ada@example.com', 'Ada')")
    bob = world.scalar("select register_client('bob@example.com', 'Bob')")
    for client in (ada, bob):
        world.run("select grant_credits(%s, 2)", client)
    session = world.book(ada, therapist)["id"]
    other = world.book(bob, therapist, "12:00")["id"]
    hold = world.scalar("select id from hold_slot(%s, %s, %s, '18:00')", ada, therapist, TOMORROW)
    names = "select client_name, therapist_name from {}"
    seen = {
        ada: [("Ada", "Grace")],
        bob: [("Bob", "Grace")],
        therapist: [("Ada", "Grace"), ("Bob", "Grace")],
    }
    for who, expected in seen.items():
        with logged_in(world, who) as connection:
            assert run(connection, names.format("list_sessions()")) == expected
            # Through PostgREST's embedding everybody sees their own row alone.
            assert run(connection, "select id from users") == [(who,)]
            everything = json.dumps(run(connection, "select to_jsonb(s) from list_sessions() as s"), default=str)
            assert "@example.com" not in everything
    with logged_in(world, ada) as connection:
        assert run(connection, names.format("get_session(%s)"), session) == [("Ada", "Grace")]
        assert run(connection, names.format("get_hold(%s)"), hold) == [("Ada", "Grace")]
        assert run(connection, names.format("list_holds()")) == [("Ada", "Grace")]
        for call in ("get_session(%s)", "explain_session(%s)"):
            with refused("not_allowed"):
                run(connection, f"select * from {call}", other)
    # Who was merged is seen under the name of today.
    world.run("select merge_clients(%s, %s)", bob, ada)
    with logged_in(world, therapist) as connection:
        assert {name for name, _ in run(connection, names.format("list_sessions()"))} == {"Ada"}
