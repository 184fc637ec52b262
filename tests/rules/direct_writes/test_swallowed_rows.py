"""A BEFORE trigger of the application that swallows a row makes the call fail as a whole, whichever call it is."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import pytest

from tests.support import TOMORROW, World
from tests.support.life import begin, call, expire_lot, request_session, rows
from tests.support.refusals import nothing_written, outcome

# The table whose rows the trigger swallows, by function; and the arguments besides people and things.
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("cancel_session", "sessions", {"session_id": "session"}),
    ("cancel_series", "sessions", {"session_id": "session"}),
    (
        "reschedule_session", "sessions",
        {"session_id": "session", "session_date": TOMORROW, "session_time": "16:00"},
    ),
    ("approve_session", "sessions", {"session_id": "asked for"}),
    ("confirm_session", "sessions", {"session_id": "session"}),
    ("start_session", "sessions", {"session_id": "begun"}),
    ("complete_session", "sessions", {"session_id": "begun"}),
    ("mark_no_show", "sessions", {"session_id": "begun"}),
    ("reopen_session", "sessions", {"session_id": "missed"}),
    ("transfer_session", "sessions", {"session_id": "session", "therapist_id": "colleague"}),
    (
        "record_session", "sessions",
        {
            "user_id": "client", "therapist_id": "therapist", "session_date": TOMORROW - dt.timedelta(days=9),
            "session_time": "16:00",
        },
    ),
    ("adjust_credits", "user_credits", {"user_id": "client", "amount": 1, "reason": "r"}),
    ("adjust_credits", "user_credits", {"user_id": "client", "amount": -1, "reason": "r"}),
    ("revoke_grant", "user_credits", {"lot_id": "lot"}),
    ("expire_credits", "user_credits", {}),
]  # fmt: skip


@pytest.mark.parametrize(("function", "table", "arguments"), CALLS)
def test_a_swallowed_row_fails_the_call(
    clean_world: World, function: str, table: str, arguments: dict[str, Any]
) -> None:
    world = clean_world
    client, therapist = world.client(credits=5), world.therapist()
    begun = world.book(client, therapist, "08:00")["id"]
    begin(world.connection, begun)
    missed = world.book(client, therapist, "04:00")["id"]
    begin(world.connection, missed, 300)
    call(world.connection, "mark_no_show", session_id=missed)
    expired = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    expire_lot(world.connection, expired)
    at = dt.datetime.combine(TOMORROW, dt.time(12), dt.UTC)
    scene = {
        "client": client,
        "therapist": therapist,
        "colleague": world.therapist(),
        "session": world.book(client, therapist, "10:00")["id"],
        "begun": begun,
        "missed": missed,
        "asked for": request_session(world.connection, client, therapist, at),
        "lot": world.scalar("select id from user_credits where id <> %s", expired),
    }
    given = {
        name: scene[value] if isinstance(value, str) and value in scene else value for name, value in arguments.items()
    }

    with nothing_written(world), world.connection.transaction(force_rollback=True):
        world.run("create function app_swallow() returns trigger language plpgsql as $$ begin return null; end $$")
        world.run(
            f"create trigger app_swallow before insert or update on {table} for each row execute function app_swallow()"
        )
        # internal_error: the application's trigger is what is wrong.
        assert outcome(partial(rows, world.connection, function, **given)) == "XX000"
    # Without the trigger the call is done.
    rows(world.connection, function, **given)


def test_an_error_of_the_applications_own_passes_as_it_is(clean_world: World) -> None:
    world = clean_world
    series = {
        "user_id": world.client(credits=5), "therapist_id": world.therapist(), "session_date": TOMORROW,
        "session_time": "10:00", "occurrences": 2,
    }  # fmt: skip
    with nothing_written(world), world.connection.transaction(force_rollback=True):
        world.run(
            "create function app_refuse() returns trigger language plpgsql as"
            " $$ begin raise exception using errcode = 'AP418', message = 'Not today'; end $$"
        )
        world.run("create trigger app_refuse before insert on sessions for each row execute function app_refuse()")
        assert outcome(partial(rows, world.connection, "book_series", **series)) == "AP418"
