"""What nobody writes directly."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support import World
from tests.support.interleaving import session_of
from tests.support.refusals import nothing_written, outcome


@pytest.mark.parametrize(
    "tables",
    [
        "public.sessions", "public.user_credits", "public.booking_audit_log", "bookingdb.calendar", "bookingdb.ledger",
        "public.users cascade", "public.sessions, public.users, public.user_credits",
    ],
)  # fmt: skip
@pytest.mark.parametrize("user", ["owner", "postgres"])
def test_truncate_is_refused(world: World, tables: str, user: str) -> None:
    world.book(world.client(credits=1), world.therapist())
    with session_of(world, user=user) as connection, nothing_written(world):
        assert outcome(partial(connection.execute, f"truncate {tables}".encode())) == "42501"


@pytest.mark.parametrize("table", ["bookingdb.ledger", "public.booking_audit_log"])
@pytest.mark.parametrize("change", ["update {} set actor = 'me'", "delete from {}", "update {} set id = default"])
def test_the_records_are_not_rewritten(world: World, table: str, change: str) -> None:
    world.book(world.client(credits=1), world.therapist())

    with nothing_written(world):
        assert outcome(partial(world.run, change.format(table))) in {"42501"}


@pytest.mark.parametrize("table", ["bookingdb.rule_changes", "bookingdb.time_zone_rules"])
@pytest.mark.parametrize("change", ["delete from {}", "truncate {}", "update {} set {}"])
def test_marks_and_rules_of_zones_stay(world: World, table: str, change: str) -> None:
    world.run("select * from set_policy('{\"maximum_sessions_per_day\": 5}')")
    other = "person_id = gen_random_uuid()" if table.endswith("changes") else "time_zone = 'UTC'"

    with nothing_written(world):
        assert outcome(partial(world.run, change.format(table, other))) == "42501"
    assert world.count(table) > 0


def test_a_user_with_sessions_or_credits_is_not_deleted(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    world.book(client, therapist)
    stranger = world.client()

    for person in (therapist, client):
        with nothing_written(world):
            assert outcome(partial(world.run, "delete from users where id = %s", person)) == "23503"
    world.run("delete from users where id = %s", stranger)
    assert world.violations() == []
