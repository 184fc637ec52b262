"""Somebody who is deactivated: nothing new is booked with them or by them, and what is booked stays theirs.

Each public function is called by each caller, through the table below and through row security.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, run
from tests.support.callers import OWNER, acting, logged_in
from tests.support.calls import CALLS, PEOPLE_CALLS, make_scene
from tests.support.databases import on_todays_supabase
from tests.support.life import DAY, require_sound
from tests.support.refusals import outcome, refused

pytestmark = on_todays_supabase

EXAMPLES = {**{name: example.arguments for name, example in CALLS.items()}, **PEOPLE_CALLS} | {
    # At a time that the scene leaves free.
    "create_session_with_credit_deduction": "%(me)s, %(therapist)s, %(date)s, '22:00', 60, 'x', '', 't', null, null",
}

# What takes a time or a credit: refused for either.
BOOKS = {
    "approve_session", "book_hold", "book_series", "book_session_with_override", "create_session_with_credit_deduction",
    "hold_slot", "record_session", "reschedule_session", "reschedule_series",
}  # fmt: skip
# What tells when a therapist can be booked: refused for a therapist, to whomever.
OPENS = {
    "check_booking_conflict",
    "list_available_days",
    "list_available_slots",
    "list_slot_states",
    "next_available_slot",
}
# What prepares a therapist's time, and reads it back: refused for a therapist to those who have no part in it.
PREPARES = {
    "add_days_off", "add_time_off", "get_policy", "get_weekly_hours", "is_bookable_any_time", "list_calendar_changes",
    "list_date_overrides", "list_opening_hours", "list_time_off", "remove_time_off", "set_date_override", "set_policy",
    "set_weekly_hours", "sync_external_busy",
}  # fmt: skip
# What gives a client something to book with.
GIVES = {"grant_credits", "grant_package"}
REFUSED = {
    "therapist": dict.fromkeys(BOOKS | OPENS, "therapist_not_found"),
    # Registering again says so, and opens nobody. A therapist who leaves hands their sessions on.
    "client": {
        **dict.fromkeys(BOOKS | GIVES | {"transfer_session"}, "user_not_found"),
        "register_client": "person_inactive",
    },
}

TAKEN = """
    select c.id::text, c.kind, c.period::text from bookingdb.calendar as c where c.kind in ('session', 'hold')
    union all
    select l.id::text, 'charge', l.session_id::text from bookingdb.ledger as l
    where l.session_id is not null and l.amount < 0
"""


@pytest.fixture
def scene(hosted_world: World) -> dict[str, Any]:
    scene = make_scene(hosted_world)
    return {**scene, "me": scene["client"], "email": "somebody@example.com", "id": scene["client"]}


def answers(world: World, scene: dict[str, Any], caller: str) -> dict[str, str]:
    """How each function ends when this caller calls it, each time in a transaction that is rolled back."""
    with acting(world, OWNER) if caller == "trusted" else logged_in(world, scene[caller]) as connection:
        return {name: ask(connection, name, scene) for name in EXAMPLES}


def ask(connection: Connection, name: str, scene: dict[str, Any]) -> str:
    with connection.transaction(force_rollback=True):
        return outcome(partial(connection.execute, f"select * from public.{name}({EXAMPLES[name]})".encode(), scene))


def visible(world: World, scene: dict[str, Any], caller: str) -> list[list[Any]]:
    """What row security shows this caller."""
    with logged_in(world, scene[caller]) as connection:
        return [run(connection, f"select id from public.{table} order by 1") for table in ("sessions", "user_credits")]


def test_functions_that_take_a_time_or_a_credit_are_known(hosted_world: World, scene: dict[str, Any]) -> None:
    before = set(hosted_world.run(TAKEN))
    taking = set()
    for name, arguments in EXAMPLES.items():
        with suppress(psycopg.Error), hosted_world.connection.transaction(force_rollback=True):
            hosted_world.connection.execute(f"select * from public.{name}({arguments})".encode(), scene)
            if set(hosted_world.run(TAKEN)) - before:
                taking.add(name)
    assert taking == BOOKS


@pytest.mark.parametrize("caller", ["trusted", "client", "therapist"])
@pytest.mark.parametrize(
    ("who", "change"),
    [("therapist", "is_active = false"), ("therapist", "is_verified = false"), ("client", "is_active = false")],
)
def test_deactivated_people_keep_bookings_and_book_nothing(
    hosted_world: World, scene: dict[str, Any], who: str, change: str, caller: str
) -> None:
    before = answers(hosted_world, scene, caller)
    hosted_world.run(f"update public.users set {change} where id = %s", scene[who])

    expected = {name: REFUSED[who].get(name, ended) if ended == "done" else ended for name, ended in before.items()}
    if (who, caller) == ("therapist", "client"):
        expected |= {name: "therapist_not_found" for name in PREPARES if before[name] == "done"}
        # A client locks themselves, and therapists whom they could book.
        expected["lock_for_booking"] = "not_allowed"
    assert answers(hosted_world, scene, caller) == expected


@pytest.mark.parametrize("who", ["therapist", "client"])
def test_deactivated_people_read_what_is_booked(hosted_world: World, scene: dict[str, Any], who: str) -> None:
    before = visible(hosted_world, scene, who)
    assert len(before[0]) == 4
    hosted_world.run("update public.users set is_active = false where id = %s", scene[who])
    assert visible(hosted_world, scene, who) == before


def test_deactivated_therapist_sees_sessions_through(hosted_world: World, scene: dict[str, Any]) -> None:
    hosted_world.run("select set_therapist_active(%s, false)", scene["therapist"])
    with logged_in(hosted_world, scene["therapist"]) as connection:
        run(connection, "select confirm_session(%s)", scene["session"])
        run(connection, "select complete_session(%s)", scene["begun"])
        run(connection, "select cancel_session(%s, 'gone')", scene["session"])
        statuses = dict(run(connection, "select id, status from public.sessions"))
    assert (statuses[scene["session"]], statuses[scene["begun"]]) == ("cancelled", "completed")
    require_sound(hosted_world)


def test_deactivated_client_cancels_and_has_the_credit_back(hosted_world: World, scene: dict[str, Any]) -> None:
    hosted_world.run("update public.users set is_active = false where id = %s", scene["client"])
    with logged_in(hosted_world, scene["client"]) as connection:
        (before,) = run(connection, "select get_credit_balance(%s)", scene["client"])[0]
        run(connection, "select cancel_session(%s, 'gone')", scene["session"])
        run(connection, "select release_hold(%s)", scene["hold"])
        assert run(connection, "select get_credit_balance(%s)", scene["client"]) == [(before + 1,)]
        with refused("user_not_found"):
            run(
                connection,
                "select create_session_with_credit_deduction(%s, %s, %s, '16:00')",
                *(scene["client"], scene["therapist"], scene["date"]),
            )
    require_sound(hosted_world)


@pytest.mark.parametrize("change", ["is_active = false", "is_verified = false"])
@pytest.mark.parametrize("caller", ["trusted", "therapist"])
def test_time_of_an_inactive_therapist_is_prepared(
    hosted_world: World, scene: dict[str, Any], caller: str, change: str
) -> None:
    """It opens nobody; and it is there when the therapist is opened."""
    world, therapist, client = hosted_world, scene["therapist"], scene["client"]
    world.run(f"update public.users set {change} where id = %s", therapist)
    windows = [{"weekday": weekday, "start_time": "13:00", "end_time": "15:00"} for weekday in range(1, 8)]
    with acting(world, OWNER) if caller == "trusted" else logged_in(world, therapist) as connection:
        run(connection, "select set_weekly_hours(%s, %s)", therapist, Jsonb(windows))
        run(connection, "select set_date_override(%s, %s, '[]')", therapist, TOMORROW + DAY)
        run(connection, "select add_days_off(%s, %s, %s)", therapist, TOMORROW + 2 * DAY, TOMORROW + 3 * DAY)
        busy = [{"external_id": "a", "start_time": f"{TOMORROW}T14:00Z", "end_time": f"{TOMORROW}T15:00Z"}]
        run(connection, "select sync_external_busy(%s, 'work', %s)", therapist, Jsonb(busy))
        assert len(run(connection, "select get_weekly_hours(%s)", therapist)) == 7
        assert len(run(connection, "select list_time_off(%s, now(), now() + interval '9 days')", therapist)) == 2

    book = "select create_session_with_credit_deduction(%s, %s, %s, '13:00')"
    for who in (client, None):
        with acting(world, OWNER) if who is None else logged_in(world, who) as connection:
            with refused("therapist_not_found"):
                run(connection, book, client, therapist, TOMORROW)
            if who is not None:
                with refused("therapist_not_found"):
                    run(connection, "select get_weekly_hours(%s)", therapist)
    available = world.run("select therapist_id from find_available_therapists(now(), now() + interval '9 days')")
    assert (therapist,) not in available

    world.run("select set_therapist_active(%s, true)", therapist)
    listed = "select start_time from list_available_slots(%s, %s, %s)"
    starts = {start for (start,) in world.run(listed, therapist, TOMORROW, TOMORROW + 4 * DAY)}
    at = dt.datetime.combine(TOMORROW, dt.time(13), dt.UTC)
    assert sorted(starts)[0] == at
    assert {(start.astimezone(dt.UTC).date() - TOMORROW).days for start in starts} == {0, 4}
    world.run(book, client, therapist, TOMORROW)
    require_sound(world)
