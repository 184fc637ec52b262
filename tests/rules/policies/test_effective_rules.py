"""bookingdb.rules, the settings that hold for each therapist in one row: in step with policies, hours and overrides."""

from __future__ import annotations

from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.rules import rules_computed, rules_of

MONDAY = [{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]
CHANGES = {
    "own policy": "insert into bookingdb.policies (therapist_id, buffer_after_minutes) values (%(one)s, 7)",
    "change of an own policy": "update bookingdb.policies set buffer_after_minutes = 9 where therapist_id = %(other)s",
    "interval of the same length": "update bookingdb.policies set cancellation_window = '1 day'",
    "policy of somebody else": "update bookingdb.policies set therapist_id = %(one)s where therapist_id = %(other)s",
    "default that becomes an own": "update bookingdb.policies set therapist_id = %(one)s where therapist_id is null",
    "default policy": "update bookingdb.policies set minimum_notice = '3 hours' where therapist_id is null",
    "both": "update bookingdb.policies set maximum_sessions_per_day = 3, credits_valid_on = 'session'",
    "no own policies": "delete from bookingdb.policies where therapist_id is not null",
    "no policies": "delete from bookingdb.policies",
    "truncated policies": "truncate bookingdb.policies",
    "hours": "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time)"
    " select i, 1, '09:00', '17:00' from unnest(array[%(one)s, %(other)s]::uuid[]) as i",
    "hours at night": "update bookingdb.weekly_hours set weekday = 7, start_time = '22:00', end_time = '02:00'",
    "hours of some weeks": "update bookingdb.weekly_hours set every_weeks = 2, valid_from = '2030-01-01'",
    "hours in another zone":
    "insert into bookingdb.weekly_hours (therapist_id, weekday, start_time, end_time, time_zone)"
    " values (%(other)s, 2, '00:00', '00:00', 'Asia/Tokyo')",
    "no hours": "delete from bookingdb.weekly_hours",
    "truncated hours": "truncate bookingdb.weekly_hours",
    "default that needs hours": "update bookingdb.policies set require_hours = true where therapist_id is null",
    "mark of hours": "insert into bookingdb.therapists_with_hours values (%(one)s)",
    "mark of somebody else": "update bookingdb.therapists_with_hours set therapist_id = %(one)s",
    "no marks": "delete from bookingdb.therapists_with_hours",
    "override": "insert into bookingdb.date_overrides (therapist_id, override_date) values (%(one)s, '2030-01-01')",
    "override of somebody else": "update bookingdb.date_overrides set therapist_id = %(one)s",
    "no overrides": "delete from bookingdb.date_overrides",
    "truncated overrides": "truncate bookingdb.date_overrides",
    "no person": "delete from users where id = %(other)s",
}  # fmt: skip


def people(world: World) -> dict[str, UUID]:
    """Three therapists: without anything, with a policy and hours, with an override."""
    found = {name: world.therapist(time_zone=None) for name in ("one", "other", "third")}
    world.run("select set_policy(%s, %s)", '{"buffer_before_minutes": 5}', found["other"])
    world.run("select set_weekly_hours(%s, %s)", found["other"], Jsonb(MONDAY))
    world.run("select set_date_override(%s, %s)", found["third"], TOMORROW)
    world.run("select set_date_override(%s, %s, '[]')", found["third"], TOMORROW)
    return found


@pytest.mark.parametrize("statement", CHANGES.values(), ids=list(CHANGES))
def test_rules_follow_whoever_writes(world: World, statement: str) -> None:
    found = people(world)
    assert len(rules_of(world)) == 3
    assert rules_of(world) == rules_computed(world)

    with world.connection.transaction(force_rollback=True):
        world.connection.execute(statement.encode(), found)
        assert rules_of(world) == rules_computed(world)


def test_policy_is_read_from_the_rules(world: World) -> None:
    found = people(world)
    for name, therapist in [*found.items(), ("default", None)]:
        computed = world.scalar("select bookingdb.computed_policy(%s)::text", therapist)
        assert world.scalar("select bookingdb.policy_of(%s)::text", therapist) == computed, name
        has_hours = world.scalar("select (bookingdb.policy_of(%s)).has_hours", therapist)
        assert has_hours == (name in ("other", "third"))
    with world.connection.transaction(force_rollback=True):
        world.run("update bookingdb.rules set slot_step_minutes = 77")
        for therapist in [*found.values(), None]:
            assert world.scalar("select (bookingdb.policy_of(%s)).slot_step_minutes", therapist) == 77
