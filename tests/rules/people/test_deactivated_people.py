"""Somebody who is deactivated: nothing new is booked with them or by them, and what is booked stays theirs.

Each public function is called by each caller, through the table below and through row security.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.support import Connection, World, run
from tests.support.callers import OWNER, acting, logged_in
from tests.support.calls import CALLS, PEOPLE_CALLS, make_scene
from tests.support.databases import on_todays_supabase
from tests.support.life import require_sound
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
# What tells when a therapist can be booked, or changes it: refused for a therapist, by whomever.
OPENS = {
    "add_days_off", "add_time_off", "check_booking_conflict", "get_policy", "get_weekly_hours", "list_available_days",
    "list_available_slots", "list_date_overrides", "list_opening_hours", "list_slot_states", "list_time_off",
    "next_available_slot", "remove_time_off", "set_date_override", "set_policy", "set_weekly_hours",
    "is_bookable_any_time", "list_calendar_changes", "sync_external_busy",
}  # fmt: skip
# What gives a client something to book with.
GIVES = {"grant_credits"}
REFUSED = {
    "therapist": dict.fromkeys(BOOKS | OPENS, "therapist_not_found"),
    # The colleague who takes it over must be active; a therapist who leaves hands their sessions on.
    "client": dict.fromkeys(BOOKS | GIVES | {"transfer_session"}, "user_not_found"),
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
