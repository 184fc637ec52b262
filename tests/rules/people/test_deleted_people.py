"""A person who is deleted leaves nothing of their own behind, in any adapter."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from bookingdb.checks import verify
from tests.support import TOMORROW, World, run
from tests.support.interleaving import holding, session_of, waiting
from tests.support.life import call
from tests.support.refusals import outcome

OWN = {
    "weekly_hours": "therapist_id", "therapists_with_hours": "therapist_id", "date_overrides": "therapist_id",
    "policies": "therapist_id", "former_therapists": "therapist_id", "holds": "therapist_id",
    "absences": "therapist_id", "calendar": "therapist_id",
}  # fmt: skip


def work(world: World, therapist: UUID) -> None:
    """Give a therapist everything that is theirs alone."""
    monday = '[{"weekday": 1, "start_time": "00:00", "end_time": "00:00"}]'
    world.run(
        "select set_date_override(%s, %s, %s)", therapist, TOMORROW, '[{"start_time": "00:00", "end_time": "00:00"}]'
    )
    world.run("select set_weekly_hours(%s, %s)", therapist, monday)
    world.run("select set_policy('{\"slot_step_minutes\": 20}', %s)", therapist)
    world.run("select add_time_off(%s, now(), now() + interval '1 hour', 'Numbat')", therapist)
    event = '[{"id": "a", "start": "2031-01-01T10:00:00Z", "end": "2031-01-01T11:00:00Z"}]'
    world.run("select sync_external_busy(%s, 'google', %s, '2031-01-01T00:00Z', '2031-01-02T00:00Z')", therapist, event)


def left(world: World, therapist: UUID) -> set[str]:
    return {
        table for table, column in OWN.items()
        if world.scalar(f"select count(*) from bookingdb.{table} where {column} = %s", therapist)
    }  # fmt: skip


def test_deleted_therapist_leaves_nothing_behind(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    work(world, therapist)
    session = world.book(client, therapist)["id"]
    call(world.connection, "hold_slot", user_id=client, therapist_id=therapist, session_date=TOMORROW,
         session_time="14:00")  # fmt: skip
    # Sessions keep their therapist: a foreign key says so.
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        world.run("delete from users where id = %s", therapist)
    call(world.connection, "transfer_session", session_id=session, therapist_id=world.therapist(), reason="ill")
    assert left(world, therapist) == set(OWN)

    world.run("delete from users where id = %s", therapist)

    assert left(world, therapist) == set()
    assert world.violations() == []
    assert verify.verify(world.connection) == []


def test_hours_of_others_stay(world: World) -> None:
    therapist, other = world.therapist(), world.therapist()
    for each in (therapist, other):
        work(world, each)
    world.run("delete from users where id = %s", therapist)
    assert left(world, other) == set(OWN) - {"former_therapists", "holds", "calendar"}


def test_deletion_and_merge_share_holds(world: World) -> None:
    therapist, other, first, second = world.therapist(), world.therapist(), world.client(), world.client()
    holds = [
        call(world.connection, "hold_slot", user_id=first, therapist_id=of, session_date=TOMORROW, session_time=at)
        for of, at in ((therapist, "10:00"), (other, "12:00"))
    ]
    with holding(world) as one, session_of(world) as two, session_of(world) as three:
        run(one, "select from bookingdb.calendar where id = %s for update", holds[1]["id"])
        merge = waiting(world, lambda connection: run(connection, "select merge_clients(%s, %s)", first, second), two)
        delete = "delete from users where id = %s"
        deletion = waiting(world, lambda connection: run(connection, delete, therapist), three)
        one.execute("commit")
        assert (outcome(merge.result), outcome(deletion.result)) == ("done", "done")
    assert world.violations() == []


def test_deleted_therapists_holds_leave_both_parts(world: World) -> None:
    """A hold's client who is a therapist, too, has its time twice in the calendar."""
    therapist, other, client = world.therapist(), world.therapist(), world.client()
    world.run("select register_client(u.email) from users as u where u.id = %s", other)
    for of, who, at in ((therapist, other, "10:00"), (other, client, "12:00")):
        call(world.connection, "hold_slot", user_id=who, therapist_id=of, session_date=TOMORROW, session_time=at)
    world.run("delete from users where id = %s", therapist)
    assert world.run("select therapist_id from bookingdb.calendar where kind = 'hold'") == [(other,)]
    world.run("delete from users where id = %s", other)
    assert (world.count("bookingdb.calendar"), world.count("bookingdb.holds")) == (0, 0)
    assert world.violations() == []
