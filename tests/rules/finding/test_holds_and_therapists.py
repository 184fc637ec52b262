"""Holds and therapists as they are looked up and listed."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from tests.support import TOMORROW, World, run
from tests.support.callers import logged_in
from tests.support.databases import on_todays_supabase
from tests.support.refusals import refused


def hold(world: World, client: UUID, therapist: UUID, time: str = "10:00", **ttl: Any) -> UUID:
    statement = "select id from hold_slot(%s, %s, %s, %s, p_ttl => %s)"
    return world.run(statement, client, therapist, TOMORROW, time, ttl.get("ttl"))[0][0]  # type: ignore[no-any-return]


def state(world: World, hold_id: UUID) -> str:
    return str(world.scalar("select state from get_hold(%s)", hold_id))


def test_hold_says_what_became_of_it(world: World) -> None:
    client, therapist = world.client(credits=3), world.therapist()
    booked, released, expired, held = (
        hold(world, client, world.therapist() if n else therapist, f"1{n}:00") for n in range(4)
    )
    world.run("select book_hold(%s)", booked)
    world.run("select release_hold(%s)", released)
    world.run("update bookingdb.holds set expires_at = now() - interval '1 second' where id = %s", expired)
    world.run("update bookingdb.calendar set expires_at = now() - interval '1 second' where id = %s", expired)

    assert [state(world, each) for each in (booked, released, expired, held)] == [
        "booked", "released", "expired", "held",
    ]  # fmt: skip
    assert world.run("select id, client_name, therapist_name, duration_minutes, scheduled_date from list_holds()") == [
        (held, "A Client", "A Therapist", 60, TOMORROW)
    ]
    assert world.run("select h.* from list_holds() as h") == world.run("select * from get_hold(%s)", held)


def test_holds_are_listed_of_a_client_and_a_therapist(world: World) -> None:
    client, other, therapist, colleague = world.client(), world.client(), world.therapist(), world.therapist()
    late, early = hold(world, client, therapist, "12:00"), hold(world, other, therapist, "11:00")
    elsewhere = hold(world, client, colleague, "10:00")

    def listed(**people: UUID) -> list[UUID]:
        arguments = ", ".join(f"p_{name} => %s" for name in people)
        return [row[0] for row in world.run(f"select id from list_holds({arguments})", *people.values())]

    assert listed() == [elsewhere, early, late]
    assert listed(therapist_id=therapist) == [early, late]
    assert listed(user_id=client) == [elsewhere, late]
    assert listed(user_id=client, therapist_id=therapist) == [late]
    assert listed(user_id=uuid4()) == []


@on_todays_supabase
def test_people_see_their_own_holds(hosted_world: World) -> None:
    world = hosted_world
    client, other, therapist = world.client(), world.client(), world.therapist()
    mine, theirs = hold(world, client, therapist), hold(world, other, therapist, "12:00")
    with logged_in(world, client) as connection:
        assert run(connection, "select id from list_holds()") == [(mine,)]
        assert run(connection, "select state from get_hold(%s)", mine) == [("held",)]
        with refused("not_allowed"):
            run(connection, "select * from get_hold(%s)", theirs)
        with refused("not_allowed"):
            run(connection, "select * from list_holds(%s)", other)
        with refused("hold_not_found"):
            run(connection, "select * from get_hold(%s)", uuid4())
    for stranger in (therapist, other):
        for function in ("get_hold", "book_hold", "release_hold"):
            with logged_in(world, stranger) as connection, refused("not_allowed") as refusal:
                run(connection, f"select * from {function}(%s)", mine)
            # Whose it is is not for them.
            assert refusal.detail == {"code": "not_allowed", "hold_id": str(mine)}


@on_todays_supabase
def test_therapists_are_listed_by_name(hosted_world: World) -> None:
    world = hosted_world
    people = {}
    for number, (name, zone) in enumerate((("bea", "UTC"), ("Ann", "Europe/Berlin"), (None, None), ("Cy", None))):
        people[name] = world.scalar("select register_therapist(%s, %s, null, %s)", f"{number}@t.example", name, zone)
    world.run("select set_therapist_active(%s, false)", people["Cy"])
    client = world.client()
    rows = "select id, full_name, time_zone, is_active, email from list_therapists({})"
    ann = (people["Ann"], "Ann", "Europe/Berlin", True)
    bea, nameless = (people["bea"], "bea", "UTC", True), (people[None], None, "UTC", True)

    with logged_in(world, client) as connection:
        assert run(connection, rows.format("")) == [(*ann, None), (*bea, None), (*nameless, None)]
        with refused("not_allowed") as refusal:
            run(connection, rows.format("true"))
        assert refusal.detail["parameter"] == "p_include_inactive"
    assert world.run(rows.format("")) == [(*ann, "1@t.example"), (*bea, "0@t.example"), (*nameless, "2@t.example")]
    everybody = world.run(rows.format("true"))
    assert [row[0] for row in everybody] == [people[name] for name in ("Ann", "bea", "Cy", None)]
    assert [row[3] for row in everybody] == [True, True, False, True]
    with refused("invalid_parameter"):
        world.run(rows.format("null"))
