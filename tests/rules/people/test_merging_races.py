"""A merge of two clients against everything else that their calls do at the same moment."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.support import TOMORROW, Connection, World
from tests.support.connections import LEVELS, in_level
from tests.support.interleaving import holding, session_of, started
from tests.support.refusals import outcome

MERGE = "select merge_clients(%(first)s, %(second)s)"
# What a call at the same moment does, of either client.
CALLS = {
    "booking": "select create_session_with_credit_deduction(%(who)s, %(therapist)s, %(date)s, '16:00')",
    "hold": "select hold_slot(%(who)s, %(therapist)s, %(date)s, '16:00')",
    "cancellation": "select cancel_session(%(session)s, 'gone')",
    "move": "select reschedule_session(%(session)s, %(date)s, '18:00')",
    "grant": "select grant_credits(%(who)s, 5, 'pi_race')",
    "adjustment": "select adjust_credits(%(who)s, -1, 'a reason')",
    "series": "select book_series(%(who)s, %(therapist)s, %(date)s, '20:00', 2)",
    "merge the other way round": "select merge_clients(%(second)s, %(first)s)",
    "the same merge": MERGE,
    "another login": "select change_login(%(who)s, gen_random_uuid())",
    "deactivation": "select set_client_active(%(who)s, false)",
    "registration": "select register_client(%(email)s, 'New name', %(who)s)",
    "expiry": "select expire_credits()",
    "revocation": "select revoke_grant(%(lot)s)",
    "direct session": "insert into sessions (user_id, therapist_id, start_time, end_time)"
    " values (%(who)s, %(therapist)s, %(date)s::date + interval '22 hours', %(date)s::date + interval '23 hours')",
    "direct update": "update sessions set status = 'confirmed'",
}


@pytest.fixture
def scene(world: World) -> dict[str, Any]:
    first, second, therapist = world.client(credits=4), world.client(credits=4), world.therapist()
    session = world.book(first, therapist, "10:00")["id"]
    world.book(second, therapist, "12:00")
    (lot,) = world.run("select id from user_credits where user_id = %s", first)[0]
    return {
        "first": first, "second": second, "therapist": therapist, "session": session, "lot": lot, "date": TOMORROW,
        "email": "somebody@example.com",
    }  # fmt: skip


def require_nobody_left_behind(world: World, name: str, scene: dict[str, Any]) -> None:
    """Nobody who was merged has a credit or a session, and the invariants hold."""
    assert world.violations() == []
    if name == "direct session":
        # A direct writer may give a session to somebody who was merged. The same merge once more takes it along.
        world.connection.execute(MERGE.encode(), scene)
        assert world.violations() == []
    left = """
        select 'lot', c.id from user_credits as c
        inner join bookingdb.merged_people as m on m.from_user_id = c.user_id
        where c.credits_balance > 0
        union all
        select 'session', s.id from sessions as s
        inner join bookingdb.merged_people as m on m.from_user_id = s.user_id
    """
    assert world.run(left) == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("whose", ["first", "second"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("merge_is_first", [True, False])
def test_merge_and_another_call_end_in_one_order(
    world: World, scene: dict[str, Any], name: str, whose: str, level: str, merge_is_first: bool
) -> None:
    """The second has its snapshot before the first commits, and waits where the two have to do with each other."""
    values = {**scene, "who": scene[whose]}
    one, other = (MERGE, CALLS[name]) if merge_is_first else (CALLS[name], MERGE)
    with holding(world) as first, session_of(world) as second:
        second.execute("set lock_timeout = '5s'")
        first.execute(one.encode(), values)
        answer = started(partial(in_level, level, lambda caller: caller.execute(other.encode(), values)), second)
        wait_until_blocked_or_done(world, second, answer)
        first.execute("commit")
        ended = outcome(answer.result)
    # Postgres asks for a retry where a snapshot is old, and nowhere else.
    assert ended != "40P01"
    assert level != "read committed" or not ended.startswith("4000"), ended
    require_nobody_left_behind(world, name, scene)


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("whose", ["first", "second"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("merge_is_later", [True, False])
def test_old_snapshots_leave_nothing_behind(
    world: World, scene: dict[str, Any], name: str, whose: str, level: str, merge_is_later: bool
) -> None:
    values = {**scene, "who": scene[whose]}
    one, other = (CALLS[name], MERGE) if merge_is_later else (MERGE, CALLS[name])
    with session_of(world) as old, suppress(psycopg.Error), old.transaction():
        old.execute(f"set transaction isolation level {level}".encode())
        old.execute("select count(*) from users")
        world.connection.execute(one.encode(), values)
        old.execute(other.encode(), values)
    require_nobody_left_behind(world, name, scene)


def wait_until_blocked_or_done(world: World, connection: Connection, answer: Future[Any]) -> None:
    blocked = "select count(*) from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
    while not answer.done() and not world.scalar(blocked, connection.info.backend_pid):
        time.sleep(0.002)
