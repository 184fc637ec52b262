"""Triggers of the application's own beside ours."""

from __future__ import annotations

from functools import partial
from typing import LiteralString

import pytest

from tests.support import TOMORROW, World
from tests.support.direct_writes import at, calendar, place, rolled_back
from tests.support.refusals import nothing_written, outcome, refused


def app_trigger(world: World, when: LiteralString, table: LiteralString, body: LiteralString) -> None:
    """Give a table a row trigger such as applications have."""
    # With a path of its own: the functions of bookingdb run with one on which an application's tables are not.
    world.run(
        "create function app_trigger() returns trigger language plpgsql set search_path = public"
        f" as $$ begin {body} end $$"
    )
    world.run(f"create trigger app_trigger {when} on {table} for each row execute function app_trigger()")


def test_a_before_trigger_that_rewrites_the_time_is_followed(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    with rolled_back(world):
        app_trigger(
            world, "before insert or update", "sessions",
            "new.start_time := date_trunc('hour', new.start_time, 'UTC');"
            " new.end_time := new.start_time + interval '50 minutes'; return new;",
        )  # fmt: skip

        booked = world.book(client, therapist, "10:30")
        place(world, client, therapist, 12)

        assert (booked["start_time"], booked["end_time"]) == (at(10), at(10, 50))
        assert [(row[3], row[4]) for row in calendar(world)] == [(at(10), at(10, 50)), (at(12), at(12, 50))]
        # The trigger leaves the local time and the duration of the booking as they were.
        assert {tuple(row[:2]) for row in world.violations()} == {(10, booked["id"])}


def test_trigger_that_moves_a_session_onto_another_is_refused(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    world.book(client, therapist, "10:00")
    with rolled_back(world):
        app_trigger(
            world, "before insert", "sessions",
            f"new.start_time := '{at(10)}'; new.end_time := '{at(11)}'; return new;",
        )  # fmt: skip
        with refused("booking_conflict"):
            world.book(client, therapist, "15:00")


EARLY = pytest.mark.xfail(strict=True, reason="a trigger whose name sorts before _bookingdb_audit fires before it")


@pytest.mark.parametrize("name", ["app_trigger", "zzz", pytest.param("_app_trigger", marks=EARLY)])
def test_an_after_trigger_that_updates_the_same_row_is_followed(world: World, name: str) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    with rolled_back(world):
        app_trigger(
            world, "after insert", "sessions",
            "update sessions set start_time = start_time + interval '1 day', end_time = end_time + interval '1 day',"
            " status = 'confirmed' where id = new.id; return null;",
        )  # fmt: skip
        # By way of another name: Postgres 14 refuses the name that it has.
        world.run("alter trigger app_trigger on sessions rename to some_trigger")
        world.run(f"alter trigger some_trigger on sessions rename to {name}")

        booked = world.book(client, therapist, "10:00")
        place(world, client, therapist, 12)

        assert [row[3] for row in calendar(world)] == [at(34), at(36)]
        assert world.run("select old_status, new_status from booking_audit_log where session_id = %s order by id",
                         booked["id"]) == [(None, "scheduled"), ("scheduled", "confirmed")]  # fmt: skip
        assert world.violations() == []


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (
            "sessions",
            "select id from create_session_with_credit_deduction(%(client)s, %(therapist)s, %(date)s, '10:00')",
        ),
        (
            "user_credits",
            "select id from create_session_with_credit_deduction(%(client)s, %(therapist)s, %(date)s, '10:00')",
        ),
        ("user_credits", "select * from grant_credits(%(client)s, 1)"),
    ],
)
def test_a_before_trigger_that_swallows_the_row_fails_the_call(
    world: World, table: LiteralString, statement: LiteralString
) -> None:
    people = {"therapist": world.therapist(), "client": world.client(credits=2), "date": TOMORROW}
    with rolled_back(world):
        app_trigger(world, "before insert or update", table, "return null;")
        with nothing_written(world), world.connection.transaction(force_rollback=True):
            # internal_error: the application's trigger is what is wrong.
            assert outcome(partial(world.connection.execute, statement, people)) == "XX000"


def test_balance_changed_by_a_before_trigger_is_written_down(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    with rolled_back(world):
        app_trigger(
            world, "before update", "user_credits", "new.credits_balance := new.credits_balance - 1; return new;"
        )

        world.book(client, therapist)

        assert world.run("select kind, amount, balance_after from bookingdb.ledger order by id") == [
            ("grant", 3, 3),
            ("debit", -1, 2),
            ("direct", -1, 1),
        ]
        assert world.violations() == []


def test_balance_changed_by_an_after_trigger_is_written_down(world: World) -> None:
    with rolled_back(world):
        app_trigger(
            world, "after insert", "user_credits",
            "update user_credits set credits_balance = credits_balance + 5 where id = new.id; return null;",
        )  # fmt: skip

        client = world.client(credits=3)

        assert world.run("select kind, amount, balance_after from bookingdb.ledger order by id") == [
            ("grant", 3, 3),
            ("direct", 5, 8),
        ]
        assert world.balance(client) == 8
        assert world.violations() == []


def test_trigger_that_insists_on_a_status_ends(world: World) -> None:
    """It sets back the status that a lot without credits gets."""
    client = world.client(credits=5)
    with rolled_back(world):
        app_trigger(world, "before update", "user_credits", "new.status := 'active'; return new;")
        world.run("update user_credits set credits_balance = 0")
        world.run("update user_credits set credits_balance = 4")
        assert world.balance(client) == 4
        assert world.book(client, world.therapist())["credits_balance"] == 3
        assert world.violations() == []
