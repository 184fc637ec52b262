"""Two at once, one order forced: bookingdb.rules is in step, whoever wrote first, in every isolation level."""

from __future__ import annotations

import time
from functools import partial
from uuid import UUID

import pytest

from tests.support import TOMORROW, Connection, World, run
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, waiting
from tests.support.races import Call, calling, race, setting, writing
from tests.support.refusals import outcome
from tests.support.rules import rules_computed, rules_of

# One therapist's rules: new ones, and ones that there are.
WRITES = {
    "policy": "insert into bookingdb.policies (therapist_id) values (%(therapist)s)",
    "mark": "insert into bookingdb.therapists_with_hours values (%(therapist)s)",
    "override": "insert into bookingdb.date_overrides (therapist_id, override_date) values (%(therapist)s, now())",
    "no override": "delete from bookingdb.date_overrides where therapist_id = %(therapist)s",
}
BUFFER = "update bookingdb.policies set buffer_after_minutes = 25 where therapist_id is null"


@pytest.fixture(params=WRITES)
def one(request: pytest.FixtureRequest, world: World) -> Call:
    """A write about one therapist, who has an override already if it goes."""
    therapist = world.therapist(time_zone=None)
    if request.param == "no override":
        calling("set_date_override", therapist_id=therapist, date=TOMORROW, hours="[]")(world.connection)
    return lambda connection: connection.execute(WRITES[request.param].encode(), {"therapist": therapist})


def require_in_step(world: World) -> None:
    assert rules_of(world) == rules_computed(world)
    assert world.violations() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("default_first", [False, True])
def test_default_and_therapist_wait_for_each_other(world: World, one: Call, default_first: bool, level: str) -> None:
    first, second = (writing(BUFFER), one) if default_first else (one, writing(BUFFER))

    ended = race(world, first, partial(in_level, level, second))

    # Postgres itself says that the snapshot is too old.
    assert ended == ("done", "done" if level == "read committed" else "40001")
    require_in_step(world)
    if level != "read committed":
        assert outcome(partial(in_level, level, second, world.connection)) == "done"
        require_in_step(world)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("default_first", [False, True])
def test_old_snapshot_writes_no_rules(world: World, one: Call, default_first: bool, level: str) -> None:
    first, second = (writing(BUFFER), one) if default_first else (one, writing(BUFFER))
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        first(world.connection)
        assert outcome(partial(second, connection)) == "40001"
        connection.execute("rollback")
    require_in_step(world)


def newcomer(connection: Connection) -> None:
    """Somebody whom no snapshot from before knows gets rules."""
    run(connection, "insert into users (id, email, user_type) values (%s, 'new@example.com', 'therapist')", UUID(int=9))
    run(connection, "insert into bookingdb.therapists_with_hours values (%s)", UUID(int=9))


@pytest.mark.parametrize("level", LEVELS[1:])
def test_old_snapshot_overlooks_no_new_therapist(world: World, level: str) -> None:
    with session_of(world) as connection:
        connection.execute(f"begin isolation level {level}".encode())
        connection.execute("select count(*) from sessions")
        newcomer(world.connection)
        assert outcome(partial(writing(BUFFER), connection)) == "40001"
        connection.execute("rollback")
    require_in_step(world)


def test_snapshot_from_before_the_table_has_its_policies(world: World) -> None:
    therapist = world.therapist("Europe/Berlin")
    with session_of(world) as connection:
        connection.execute("begin isolation level repeatable read")
        before = run(connection, "select bookingdb.policy_of(%s)::text", therapist)
        # As for who takes a snapshot before an upgrade fills the table.
        run(connection, "delete from bookingdb.rules")
        assert run(connection, "select bookingdb.policy_of(%s)::text", therapist) == before
        connection.execute("rollback")


@pytest.mark.parametrize("default_first", [False, True])
def test_long_wait_for_the_rules_ends_with_busy(world: World, one: Call, default_first: bool) -> None:
    first, second = (writing(BUFFER), one) if default_first else (one, writing(BUFFER))
    with holding(world) as holder, session_of(world) as other:
        first(holder)
        started = time.monotonic()
        assert outcome(partial(second, other)) == "busy"
        # Before Postgres looks for a deadlock, after a second.
        assert time.monotonic() - started < 0.95
        assert other.execute("show lock_timeout").fetchone() == ("0",)
        holder.execute("commit")
        assert outcome(partial(second, other)) == "done"
    require_in_step(world)


def test_two_that_go_on_to_the_default_do_not_deadlock(world: World) -> None:
    override = "insert into bookingdb.date_overrides (therapist_id, override_date) values (%s, current_date)"
    with holding(world) as first, holding(world) as second:
        writing(override, world.therapist())(first)
        writing(override, world.therapist())(second)
        # Both share the key, and each wants it alone.
        answer = waiting(world, setting(None, buffer_after_minutes=25), first)
        ended = {outcome(partial(writing(BUFFER), second)), outcome(answer.result)}
        assert "busy" in ended
        assert ended <= {"busy", "done"}
    require_in_step(world)


def test_bookings_do_not_wait_for_the_default_policy(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    with holding(world) as holder, session_of(world) as other:
        writing(BUFFER)(holder)
        other.execute("set lock_timeout = '2s'")
        booked = "select id from create_session_with_credit_deduction(%s, %s, %s, '10:00')"
        assert len(run(other, booked, client, therapist, TOMORROW)) == 1
