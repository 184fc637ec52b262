"""Whoever moves a session cannot worsen the other side's right to cancel it."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.support import World, scalar
from tests.support.callers import logged_in
from tests.support.interleaving import next_clock_change
from tests.support.life import DAY, HOUR, call, close_window, set_policy
from tests.support.session_records import writing
from tests.support.zone_files import ZonesWorld

MINUTE = dt.timedelta(minutes=1)


def from_now(delay: dt.timedelta) -> dt.datetime:
    return (dt.datetime.now(dt.UTC) + delay).replace(second=0, microsecond=0)


def move_to(connection: Any, session_id: UUID, start: dt.datetime, **options: Any) -> Any:
    return call(
        connection, "reschedule_session",
        session_id=session_id, session_date=start.date(), session_time=start.time(), time_zone="UTC", **options,
    )  # fmt: skip


def limit_of(world: World, session_id: UUID) -> dt.datetime:
    limit = world.scalar("select free_cancellation_until from sessions where id = %s", session_id)
    assert isinstance(limit, dt.datetime)
    return limit


def is_about(limit: dt.datetime, expected: dt.datetime) -> bool:
    return abs(limit - expected) < MINUTE


class Scene:
    """Bob has a session with Grace ten days ahead."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.bob, self.grace = world.client(credits=9), world.therapist()
        if settings:
            set_policy(world, self.grace, **settings)
        self.start = from_now(10 * DAY)
        self.session = self.book(self.start)

    def book(self, start: dt.datetime) -> UUID:
        booked = self.world.book(self.bob, self.grace, f"{start:%H:%M}", session_date=start.date())
        id_ = booked["id"]
        assert isinstance(id_, UUID)
        return id_

    def moved_by(self, who: str, start: dt.datetime, **options: Any) -> dt.datetime:
        """Move the session as Bob, as Grace or as the practice, and return the limit."""
        if who == "practice":
            answer = move_to(self.world.connection, self.session, start, **options)
        else:
            with logged_in(self.world, self.bob if who == "client" else self.grace) as connection:
                answer = move_to(connection, self.session, start, **options)
        limit = answer["free_cancellation_until"]
        assert isinstance(limit, dt.datetime)
        return limit

    def is_refunded(self) -> bool:
        with logged_in(self.world, self.bob) as connection:
            return bool(call(connection, "cancel_session", session_id=self.session)["refunded"])


@pytest.fixture
def scene(supabase_world: World) -> Scene:
    return Scene(supabase_world)


# ----------------------------------------------------------------------------------------------------------------------
# The practice moves
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["therapist", "practice"])
def test_client_who_was_moved_near_cancels_free(scene: Scene, who: str) -> None:
    soon = from_now(5 * HOUR)
    assert scene.moved_by(who, soon) == soon
    assert scene.is_refunded()
    assert scene.world.violations() == []


def test_client_who_moves_near_themselves_pays(scene: Scene) -> None:
    soon = from_now(5 * HOUR)
    assert scene.moved_by("client", soon) == soon - DAY
    assert not scene.is_refunded()


def test_grace_is_the_policys_at_the_move(scene: Scene) -> None:
    set_policy(scene.world, scene.grace, moved_cancellation_grace="3 hours", cancellation_window="9 days 23 hours")
    close_window(scene.world.connection, scene.session)
    assert is_about(scene.moved_by("therapist", scene.start - DAY), from_now(3 * HOUR))
    set_policy(scene.world, scene.grace, moved_cancellation_grace="365 days")
    assert is_about(limit_of(scene.world, scene.session), from_now(3 * HOUR))


def test_old_limit_stays_without_a_grace(supabase_world: World) -> None:
    scene = Scene(supabase_world, moved_cancellation_grace="0")
    assert scene.moved_by("therapist", scene.start - 12 * HOUR) == scene.start - DAY
    # A later start takes the limit along.
    assert scene.moved_by("therapist", scene.start + DAY) == scene.start


def test_agreed_notice_comes_back_with_a_distant_start(scene: Scene) -> None:
    scene.moved_by("practice", from_now(5 * HOUR))
    later = scene.start + 20 * DAY
    assert scene.moved_by("practice", later) == later - DAY
    assert scene.world.scalar("select cancellation_notice from sessions") is None


def test_approval_has_the_policy_of_its_moment(scene: Scene) -> None:
    """A client's own move of their request is nothing that the policy must keep."""
    scene.world.run("update sessions set status = 'pending_approval' where id = %s", scene.session)
    later = scene.start + DAY
    scene.moved_by("client", later)
    set_policy(scene.world, scene.grace, cancellation_window="72 hours")
    approved = call(scene.world.connection, "approve_session", session_id=scene.session)
    assert approved["free_cancellation_until"] == later - 3 * DAY


def test_another_zone_is_no_move_of_the_practice(scene: Scene) -> None:
    """The session stays where it is, and so the client's own move is judged as any other."""
    with logged_in(scene.world, scene.grace) as connection:
        berlin = scene.start.astimezone(ZoneInfo("Europe/Berlin"))
        call(
            connection, "reschedule_session", session_id=scene.session,
            session_date=berlin.date(), session_time=berlin.time(), time_zone="Europe/Berlin",
        )  # fmt: skip
    soon = from_now(5 * HOUR)
    assert scene.moved_by("client", soon) == soon - DAY
    assert not scene.is_refunded()


@pytest.mark.parametrize("seed", range(3))
def test_moves_of_the_practice_never_shrink_the_right(supabase_world: World, seed: int) -> None:
    scene, chance = Scene(supabase_world), random.Random(seed)
    limit = limit_of(scene.world, scene.session)
    for _ in range(12):
        start = from_now(chance.randrange(2, 400) * HOUR)
        new = scene.moved_by(chance.choice(["therapist", "practice"]), start)
        assert min(max(limit, from_now(DAY) - MINUTE), start) <= new <= start
        # Nor does it grow beyond what is promised.
        assert new <= max(limit, from_now(DAY) + MINUTE, start - DAY)
        limit = new
    assert scene.world.violations() == []


def test_grace_outlasts_the_clients_own_move(scene: Scene) -> None:
    scene.moved_by("therapist", from_now(5 * HOUR))
    scene.moved_by("client", from_now(8 * HOUR))
    assert scene.is_refunded()


@pytest.mark.parametrize("hours", [[24 * 11], [10, 24 * 12]])
def test_grace_outlasts_a_move_that_needed_none(scene: Scene, hours: list[int]) -> None:
    """Of the practice to a later time, and of the client themselves in between."""
    for who, to in zip(("practice", "client"), hours, strict=False):
        scene.moved_by(who, from_now(to * HOUR))
    assert is_about(scene.moved_by("client", from_now(30 * HOUR)), from_now(DAY))
    # It is the practice's move that gave it, and not their own.
    scene.world.run("select transfer_session(%s, %s)", scene.session, scene.world.therapist())
    far = from_now(60 * DAY)
    assert scene.moved_by("client", far) == far - DAY
    assert scene.world.violations() == []


def test_client_takes_the_agreed_notice_far_away(scene: Scene) -> None:
    scene.moved_by("therapist", from_now(5 * HOUR))
    far = from_now(50 * DAY)
    assert scene.moved_by("client", far) == far - DAY


def test_move_to_where_it_is_leaves_the_terms(scene: Scene) -> None:
    close_window(scene.world.connection, scene.session)
    with writing(scene.world, scene.session) as written:
        scene.moved_by("therapist", scene.start)
    assert written.columns == set()


def test_longer_session_is_one_that_was_moved(scene: Scene) -> None:
    close_window(scene.world.connection, scene.session)
    assert is_about(scene.moved_by("therapist", scene.start, duration_minutes=90), from_now(DAY))


# ----------------------------------------------------------------------------------------------------------------------
# Direct writers and new rules of a zone
# ----------------------------------------------------------------------------------------------------------------------

MOVE = "update sessions set start_time = %s, end_time = %s where id = %s"


def test_direct_move_of_the_application_is_the_practices(scene: Scene) -> None:
    soon = from_now(5 * HOUR)
    scene.world.run(MOVE, soon, soon + HOUR, scene.session)
    assert limit_of(scene.world, scene.session) == soon
    assert scene.is_refunded()


def test_direct_move_of_a_client_is_their_own(scene: Scene) -> None:
    """Of an application that lets them, with a row policy of its own."""
    scene.world.run("grant update on sessions to authenticated")
    scene.world.run("create policy own_update on sessions for update to authenticated using (true)")
    soon = from_now(5 * HOUR)
    with logged_in(scene.world, scene.bob) as connection:
        connection.execute(MOVE.encode(), (soon, soon + HOUR, scene.session))
    assert limit_of(scene.world, scene.session) == soon - DAY
    # A closed window does not reopen.
    with logged_in(scene.world, scene.bob) as connection:
        connection.execute(MOVE.encode(), (scene.start, scene.start + HOUR, scene.session))
    assert limit_of(scene.world, scene.session) == soon - DAY
    # The therapist is logged in as well.
    with logged_in(scene.world, scene.grace) as connection:
        connection.execute(MOVE.encode(), (soon, soon + HOUR, scene.session))
    assert limit_of(scene.world, scene.session) == soon


@pytest.mark.parametrize(("delay", "is_lifted"), [(DAY, True), (-2 * HOUR, False)])
def test_new_end_is_a_move_until_the_start(scene: Scene, delay: dt.timedelta, is_lifted: bool) -> None:
    start = from_now(delay)
    limit = dt.datetime.now(dt.UTC) - DAY
    scene.world.run(
        "update sessions set start_time = %s, end_time = %s, free_cancellation_until = %s where id = %s",
        start, start + HOUR, limit, scene.session,
    )  # fmt: skip
    scene.world.run("update sessions set end_time = %s where id = %s", start + 2 * HOUR, scene.session)
    assert limit_of(scene.world, scene.session) == (start if is_lifted else limit)


def test_limit_that_is_written_replaces_the_agreed_notice(scene: Scene) -> None:
    soon, far = from_now(5 * HOUR), from_now(30 * DAY)
    scene.moved_by("practice", soon)
    scene.world.run("update sessions set free_cancellation_until = %s where id = %s", soon - HOUR, scene.session)
    assert scene.moved_by("practice", far) == far - HOUR

    scene.moved_by("practice", soon)
    scene.world.run(
        "update sessions set start_time = %s, end_time = %s, free_cancellation_until = %s where id = %s",
        far, far + HOUR, far - 3 * HOUR, scene.session,
    )  # fmt: skip
    assert scene.moved_by("practice", far + DAY) == far + DAY - 3 * HOUR


def test_new_rules_of_a_zone_do_not_worsen_the_right(zones_world: ZonesWorld) -> None:
    world = zones_world
    maria, ada = world.therapist("America/Mexico_City"), world.client(credits=1)
    summer = next_clock_change("America/Chicago", forward=True).date() + DAY
    booked = world.book(ada, maria, session_date=summer)
    limit = limit_of(world, booked["id"])

    world.gets_rules_of("America/Mexico_City", "America/Chicago")
    world.run("select * from realign_sessions()")
    start = scalar(world.connection, "select start_time from sessions")
    assert (start, limit_of(world, booked["id"])) == (booked["start_time"] - HOUR, limit)

    world.gets_rules_of("America/Mexico_City", "America/Phoenix")
    world.run("select * from realign_sessions()")
    start = scalar(world.connection, "select start_time from sessions")
    assert start - limit_of(world, booked["id"]) == DAY
    # Nobody moved it, so there is no grace.
    close_window(world.connection, booked["id"])
    closed = limit_of(world, booked["id"])
    world.gets_rules_of("America/Mexico_City", "America/Chicago")
    world.run("select * from realign_sessions()")
    assert limit_of(world, booked["id"]) == closed
