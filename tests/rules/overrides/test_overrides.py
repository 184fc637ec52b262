"""The practice overrides rules by their names: which, by whom, what is recorded, and what can never be overridden."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, World
from tests.support.callers import logged_in
from tests.support.commands import bookingdb
from tests.support.databases import on_supabase
from tests.support.life import call, require_sound
from tests.support.refusals import nothing_written, refused
from tests.support.session_records import writing

DAY = dt.timedelta(days=1)
MORNING = {"start_time": "09:00", "end_time": "12:00"}
CLOSED = [{"weekday": 1, **MORNING, "valid_to": "2001-01-01"}]
# What refuses a session of tomorrow at ten, by the rule's name in an override.
REFUSING: dict[str, tuple[dict[str, Any], str]] = {
    "minimum_notice": ({"minimum_notice": "30 days"}, "too_soon"),
    "maximum_advance": ({"maximum_advance": "1 day"}, "too_far"),
    "limits": ({"maximum_sessions_per_day": 1}, "booking_conflict"),
    "hours": ({"require_hours": True}, "outside_availability"),
}


def practice(world: World, *rules: str) -> tuple[UUID, UUID]:
    """Return a client and a therapist whose rules refuse a session the day after tomorrow at ten."""
    client, therapist = world.client(credits=9), world.therapist()
    if "limits" in rules:
        world.book(world.client(credits=1), therapist, "18:00", session_date=TOMORROW + DAY)
    settings = {name: value for rule in rules for name, value in REFUSING[rule][0].items()}
    call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)
    return client, therapist


def book(world: World, client: UUID, therapist: UUID, *override: str, **given: Any) -> dict[str, Any]:
    return call(
        world.connection, "book_session_with_override", user_id=client, therapist_id=therapist,
        **{"session_date": TOMORROW + DAY, "session_time": "10:00", "override_hours": False} | given,
        override=list(override),
    )  # fmt: skip


def rules_of(world: World, session_id: UUID) -> list[str] | None:
    rules = world.scalar("select overridden_rules from sessions where id = %s", session_id)
    assert rules is None or isinstance(rules, list)
    return rules


@pytest.mark.parametrize("rule", REFUSING)
@pytest.mark.parametrize("way", ["by its name", "with all"])
def test_overridden_rule_is_recorded_and_no_other(world: World, rule: str, way: str) -> None:
    client, therapist = practice(world, rule)
    with nothing_written(world), refused(REFUSING[rule][1]):
        book(world, client, therapist)
    others = [other for other in REFUSING if other != rule]
    with nothing_written(world), refused(REFUSING[rule][1]):
        book(world, client, therapist, *others)
    session_id = book(world, client, therapist, *([rule] if way == "by its name" else ["all"]))["id"]
    assert rules_of(world, session_id) == [rule]
    overridden = {"overridden_rules": {"new": [rule]}}
    if rule == "hours":
        overridden["hours_overridden"] = {"new": True}  # type: ignore[dict-item]
    audit = world.run("select action, changes, actor from booking_audit_log where session_id = %s", session_id)
    assert audit == [("created", overridden, "owner")]
    require_sound(world)


@pytest.mark.parametrize("limit", ["maximum_open_sessions", "maximum_client_sessions_per_week"])
def test_overridden_limit_of_a_client_is_recorded(world: World, limit: str) -> None:
    client, therapist = practice(world)
    call(world.connection, "set_policy", settings=Jsonb({limit: 1}), therapist_id=therapist)
    first = book(world, client, therapist, "limits")["id"]
    assert rules_of(world, first) is None
    day = {"session_date": TOMORROW + DAY, "session_time": "12:00"}
    with nothing_written(world), refused("client_limit"):
        book(world, client, therapist, "hours", **day)
    second = book(world, client, therapist, "limits", **day)["id"]
    assert rules_of(world, second) == ["limits"]
    # A move within the week adds none to it, and to the open ones none either.
    call(world.connection, "reschedule_session", session_id=second, **day | {"session_time": "13:00"}, override=["all"])
    assert rules_of(world, second) is None
    require_sound(world)


def test_limit_of_a_client_overridden_by_a_move_is_recorded(world: World) -> None:
    client, therapist = practice(world)
    there = {"session_date": TOMORROW + 14 * DAY, "session_time": "12:00"}
    book(world, client, therapist, **there)
    session_id = book(world, client, therapist)["id"]
    settings = Jsonb({"maximum_client_sessions_per_week": 1})
    call(world.connection, "set_policy", settings=settings, therapist_id=therapist)
    move = {"session_id": session_id, **there, "session_time": "13:00"}
    with nothing_written(world), refused("client_limit"):
        call(world.connection, "reschedule_session", **move)
    call(world.connection, "reschedule_session", **move, override=["limits"])
    assert rules_of(world, session_id) == ["limits"]
    require_sound(world)


def test_override_that_nothing_needed_is_recorded_as_none(world: World) -> None:
    client, therapist = practice(world)
    session_id = book(world, client, therapist, "all")["id"]
    assert rules_of(world, session_id) is None
    assert world.scalar("select changes from booking_audit_log where session_id = %s", session_id) == {}


def test_several_rules_are_overridden_at_once(world: World) -> None:
    client, therapist = practice(world, "minimum_notice", "hours", "limits")
    session_id = book(world, client, therapist, "limits", "hours", "minimum_notice", "hours")["id"]
    assert rules_of(world, session_id) == ["hours", "limits", "minimum_notice"]
    require_sound(world)


def test_practice_moves_a_session_inside_the_notice(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    settings = Jsonb({"minimum_notice": "96 hours"})
    call(world.connection, "set_policy", settings=settings, therapist_id=therapist)
    move = {"session_id": session_id, "session_date": TOMORROW, "session_time": "10:15"}
    with nothing_written(world), refused("too_soon"):
        call(world.connection, "reschedule_session", **move)
    with writing(world, session_id) as written:
        call(world.connection, "reschedule_session", **move, override=["minimum_notice"])
    ((_, _, _, changes, _, _),) = written.audit
    assert changes["overridden_rules"] == {"old": None, "new": ["minimum_notice"]}
    # A later move without an override is by the rules again.
    later = {**move, "session_date": TOMORROW + 10 * DAY}
    call(world.connection, "reschedule_session", **later)
    assert rules_of(world, session_id) is None
    require_sound(world)


def test_override_of_the_same_rules_again_is_on_record(world: World) -> None:
    client, therapist = practice(world, "minimum_notice")
    session_id = book(world, client, therapist, "minimum_notice")["id"]
    there = {"session_id": session_id, "session_date": TOMORROW, "session_time": "17:00"}
    again = {"overridden_rules": {"old": ["minimum_notice"], "new": ["minimum_notice"]}}
    with writing(world, session_id) as written:
        call(world.connection, "reschedule_session", **there, override=["minimum_notice"])
    ((_, _, _, changes, _, _),) = written.audit
    assert again.items() <= changes.items()
    other = world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"minimum_notice": "96 hours"}), therapist_id=other)
    with writing(world, session_id) as written:
        call(
            world.connection, "transfer_session",
            session_id=session_id, therapist_id=other, override=["minimum_notice"],
        )  # fmt: skip
        # No rule judges what is written directly, and the next function does again.
        world.run("update sessions set title = 'else'")
        later = "start_time = start_time + interval '5 minutes', end_time = end_time + interval '5 minutes'"
        world.run(f"update sessions set {later}")
    transferred, *written_directly = (changes for _, _, _, changes, _, _ in written.audit)
    assert again.items() <= transferred.items()
    assert not any("overridden_rules" in changes for changes in written_directly)
    assert rules_of(world, session_id) == ["minimum_notice"]
    require_sound(world)


def test_moved_session_says_whether_hours_were_overridden(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    call(world.connection, "set_policy", settings=Jsonb({"require_hours": True}), therapist_id=therapist)
    move = {"session_id": session_id, "session_date": TOMORROW, "session_time": "12:00"}
    call(world.connection, "reschedule_session", **move, override=["all"])
    assert world.scalar("select hours_overridden from sessions")
    assert rules_of(world, session_id) == ["hours"]
    require_sound(world)


@pytest.mark.parametrize("function", ["book_session_with_override", "reschedule_session"])
def test_calendar_people_and_credits_are_never_overridden(world: World, function: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"buffer_before_minutes": 60}), therapist_id=therapist)
    other = world.book(world.client(credits=1), therapist, "14:00")["id"]
    mine = world.book(client, therapist, "20:00")["id"]
    call(world.connection, "grant_credits", user_id=client, amount=1)
    about = {"session_id": mine} if function == "reschedule_session" else {"user_id": client, "therapist_id": therapist}

    def take(time: str) -> None:
        call(world.connection, function, **about, session_date=TOMORROW, session_time=time, override=["all"])

    for time in ("14:30", "15:30"):
        with nothing_written(world), refused("booking_conflict"):
            take(time)
    with nothing_written(world), refused("in_past"):
        call(world.connection, function, **about, session_date=TOMORROW - 9 * DAY, session_time="10:00",
             override=["all"])  # fmt: skip
    call(world.connection, "cancel_session", session_id=other)
    world.run("update users set is_active = false where id = %s", therapist)
    with nothing_written(world), refused("therapist_not_found"):
        take("14:00")
    world.run("update users set is_active = true where id = %s", therapist)
    if function != "reschedule_session":
        take("14:00")
        with nothing_written(world), refused("insufficient_credits"):
            take("10:00")
    require_sound(world)


@pytest.mark.parametrize("wrong", [["notice"], ["hours", None], [""], [None]])
def test_name_of_no_rule_is_refused(world: World, wrong: list[Any]) -> None:
    client, therapist = practice(world)
    with nothing_written(world), refused("invalid_parameter") as refusal:
        book(world, client, therapist, *wrong)
    assert refusal.detail["parameter"] == "p_override"
    session_id = world.book(client, therapist)["id"]
    with nothing_written(world), refused("invalid_parameter"):
        call(world.connection, "reschedule_session", session_id=session_id, session_date=TOMORROW,
             session_time="12:00", override=wrong)  # fmt: skip


@on_supabase
def test_only_trusted_callers_override(hosted_world: World) -> None:
    world = hosted_world
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    move = {"session_id": session_id, "session_date": TOMORROW, "session_time": "12:00"}
    for person in (client, therapist):
        with logged_in(world, person) as connection:
            for override in (["hours"], ["all"]):
                with nothing_written(world), refused("not_allowed") as refusal:
                    call(connection, "reschedule_session", **move, override=override)
                assert refusal.detail["parameter"] == "p_override"
            # An empty list overrides nothing.
            call(connection, "reschedule_session", **move, override=[])
    require_sound(world)


def test_key_with_an_override_is_of_that_request(world: World) -> None:
    client, therapist = practice(world, "minimum_notice")
    first = book(world, client, therapist, "minimum_notice", "hours", idempotency_key="key")
    with nothing_written(world):
        assert book(world, client, therapist, "hours", "minimum_notice", idempotency_key="key") == first
        for other in (["minimum_notice"], []):
            with refused("idempotency_key_reused"):
                book(world, client, therapist, *other, idempotency_key="key")


def test_commands_override_rules_and_record_sessions(world: World) -> None:
    client, therapist = practice(world, "minimum_notice", "hours")
    people = ("--user", client, "--therapist", therapist)
    slot = (*people, "--date", TOMORROW + DAY, "--time", "10:00")
    assert bookingdb(world.url, "book", *slot, "--override-hours").exit_code == 1
    assert bookingdb(world.url, "book", *slot, "--override", "hours,minimum_notice").exit_code == 0
    session_id = world.scalar("select id from sessions")
    assert rules_of(world, session_id) == ["hours", "minimum_notice"]
    move = ("reschedule", session_id, "--date", TOMORROW + DAY, "--time", "12:00")
    assert bookingdb(world.url, *move, "--override", "hours").exit_code == 1
    assert bookingdb(world.url, *move, "--override", "hours", "--override", "minimum_notice").exit_code == 0
    assert bookingdb(world.url, *move, "--override", "everything").exit_code == 1
    recorded = bookingdb(world.url, "record", *people, "--date", TOMORROW - 3 * DAY, "--time", "10:00")
    assert recorded.exit_code == 0
    assert world.scalar("select count(*) from sessions where status = 'completed'") == 1
    require_sound(world)
