"""The life of a session as those see it who take part in it: who may do what, until when, in which zone, and for how
much."""

from __future__ import annotations

import datetime as dt
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support import TOMORROW, Connection, World, book, callers, run
from tests.support.callers import OWNER, SCHEMAS, SUPERUSER, acting, logged_in, of
from tests.support.connections import SETTINGS
from tests.support.databases import on_supabase
from tests.support.hosts import SUPABASE, Host
from tests.support.interleaving import holding, next_clock_change, session_of
from tests.support.life import (
    begin,
    call,
    close_window,
    expire_hold,
    expire_lot,
    request_session,
    require_sound,
    require_sound_statement,
    rows,
    statement,
)
from tests.support.refusals import nothing_written, outcome, refused

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
# Where users log in; what differs between the hosts is no matter of the tests that are marked so.
on_todays_supabase = pytest.mark.parametrize("host", [SUPABASE], indirect=True, scope="session")
# Days enough before a session for every window of these tests to be open.
LATER = TOMORROW + 10 * DAY


@pytest.fixture
def world(clean_world: World) -> World:
    return clean_world


def at(hour: int, date: dt.date = TOMORROW) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(hour), dt.UTC)


# ----------------------------------------------------------------------------------------------------------------------
# Who may call what, on every host
# ----------------------------------------------------------------------------------------------------------------------

# Every function of a session's life, and its arguments here.
CALLS = {
    "cancel_session": "%(session)s, 'ill', null, null",
    "reschedule_session": "%(session)s, %(date)s, '18:00', null, null, null",
    "approve_session": "%(request)s, null",
    "confirm_session": "%(session)s, null",
    "start_session": "%(begun)s, null",
    "complete_session": "%(begun)s, null",
    "mark_no_show": "%(begun)s, null",
    "hold_slot": "%(client)s, %(therapist)s, %(date)s, '20:00', 60, null, null, null",
    "release_hold": "%(hold)s",
    "book_hold": "%(hold)s, 'video', '', 'A title', null",
    "book_series": "%(client)s, %(therapist)s, %(date)s, '20:00', 2, '7 days', 60, 'video', '', 'A title', null, null",
    "adjust_credits": "%(client)s, 1, 'a reason', null, null",
    "revoke_grant": "%(lot)s, null, 'a reason'",
    "expire_credits": "",
    "get_credit_statement": "%(client)s, '2000-01-01', '2100-01-01'",
    "get_policy": "%(therapist)s",
    "set_policy": """'{"refund_grace": "60 days"}', %(therapist)s""",
    "book_session_with_override": (
        "%(client)s, %(therapist)s, %(date)s, '20:00', 60, 'video', '', 'A title', null, true, null"
    ),
    "list_available_slots": "%(therapist)s, %(date)s, %(date)s, 60, null, null",
    "list_available_days": "%(therapist)s, %(date)s, %(date)s, 60, null, null",
    "list_opening_hours": "%(therapist)s, %(date)s, %(date)s, null",
    "next_available_slot": "%(therapist)s, 60, null, null, null",
    "find_available_therapists": "now(), now() + interval '3 days', 60, null, 20",
    "get_weekly_hours": "%(therapist)s",
    "set_weekly_hours": """%(therapist)s, '[{"weekday": 1, "start_time": "09:00", "end_time": "17:00"}]'""",
    "list_date_overrides": "%(therapist)s, %(date)s, %(date)s",
    "set_date_override": "%(therapist)s, %(date)s, '[]'",
    "list_time_off": "%(therapist)s, now(), now() + interval '3 days'",
    "add_time_off": "%(therapist)s, now(), now() + interval '3 days', 'a reason'",
    "remove_time_off": "%(time_off)s",
    "sync_external_busy": "%(therapist)s, 'a calendar', '[]', now(), now() + interval '3 days'",
}
EITHERS = {"cancel_session", "reschedule_session"}
CLIENTS = {"hold_slot", "release_hold", "book_hold", "book_series", "get_credit_statement"}
THERAPISTS = {"approve_session", "confirm_session", "start_session", "complete_session", "mark_no_show"}
OWN_TIME = {
    "set_weekly_hours", "set_date_override", "list_time_off", "add_time_off", "remove_time_off", "sync_external_busy",
}  # fmt: skip
EVERYBODYS = {
    "get_policy", "list_available_slots", "list_available_days", "next_available_slot", "find_available_therapists",
    "get_weekly_hours", "list_date_overrides", "list_opening_hours",
}  # fmt: skip


@pytest.fixture
def scene(hosted_world: World) -> dict[str, Any]:
    """A client and a therapist with a session to come, one that began, one that is asked for, and a hold."""
    world = hosted_world
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=9)["lot_id"]
    begun = world.book(client, therapist, "06:00")["id"]
    begin(world.connection, begun)
    return {
        "client": client,
        "therapist": therapist,
        "lot": lot_id,
        "date": TOMORROW,
        "session": world.book(client, therapist, "08:00")["id"],
        "begun": begun,
        "request": request_session(world.connection, client, therapist, at(10)),
        "time_off": world.scalar("select id from add_time_off(%s, now(), now() + interval '1 hour')", therapist),
        "hold": call(
            world.connection, "hold_slot",
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="12:00",
        )["id"],
    }  # fmt: skip


def answers(connection: Connection, schema: str, scene: dict[str, Any]) -> dict[str, str]:
    """Make every call in a transaction that is rolled back, and return how each ended."""
    ended = {}
    for function, arguments in CALLS.items():
        asked = f"select * from {schema}.{function}({arguments})"
        with connection.transaction(force_rollback=True):
            ended[function] = outcome(partial(connection.execute, asked.encode(), scene))
    return ended


def expected(allowed: set[str], otherwise: str) -> dict[str, str]:
    return {function: "done" if function in allowed else otherwise for function in CALLS}


def test_every_public_function_is_called_here_or_in_the_tests_of_access(hosted_world: World, host: Host) -> None:
    functions = hosted_world.run("select proname from pg_proc where pronamespace = 'public'::regnamespace")
    known = {*CALLS, *callers.CALLS}
    assert {name for (name,) in functions} == known
    for role in of(host, ["bookingdb_service"], ["authenticated", "service_role"]):
        twins = hosted_world.run(
            "select p.proname from pg_proc as p where p.pronamespace = 'bookingdb'::regnamespace"
            " and has_function_privilege(%s, p.oid, 'execute')",
            role,
        )
        assert {name for (name,) in twins} == {*known, "caller_is_trusted", "actor_id"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_trusted_callers_may_call_everything(
    hosted_world: World, scene: dict[str, Any], host: Host, schema: str
) -> None:
    callers = of(
        host,
        [(OWNER, ""), (SUPERUSER, ""), ("app_server", ""), ("lazy_server", "bookingdb_service")],
        [("authenticator", "service_role")],
    )
    for login, role in callers:
        with acting(hosted_world, login, role) as connection:
            assert answers(connection, schema, scene) == expected(set(CALLS), ""), (login, role)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_who_has_no_right_to_execute_gets_no_further(
    hosted_world: World, scene: dict[str, Any], host: Host, schema: str
) -> None:
    callers = of(host, [("stranger", ""), ("lazy_server", "")], [("authenticator", "anon"), ("authenticator", "")])
    for login, role in callers:
        with acting(hosted_world, login, role, {"sub": scene["client"]}) as connection, nothing_written(hosted_world):
            assert answers(connection, schema, scene) == expected(set(), "42501"), (login, role)


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_logged_in_user_may_do_its_own_part(hosted_world: World, scene: dict[str, Any], schema: str) -> None:
    parts = {
        scene["client"]: EITHERS | CLIENTS | EVERYBODYS,
        scene["therapist"]: EITHERS | THERAPISTS | OWN_TIME | EVERYBODYS,
        # Somebody else who is a client, a therapist, or nobody.
        hosted_world.client(): EVERYBODYS,
        hosted_world.therapist(): EVERYBODYS,
        uuid4(): EVERYBODYS,
    }
    for person, allowed in parts.items():
        with logged_in(hosted_world, person) as connection, nothing_written(hosted_world):
            assert answers(connection, schema, scene) == expected(allowed, "not_allowed")


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_without_good_claims_nobody_is_authenticated(hosted_world: World, scene: dict[str, Any], schema: str) -> None:
    forged = [("impostor", "authenticated", {"sub": scene["client"], "role": "service_role"})]
    for login, role, claims in [*forged, *(("authenticator", "authenticated", c) for c in (None, "{}", "{", "null"))]:
        with acting(hosted_world, login, role, claims) as connection, nothing_written(hosted_world):
            assert answers(connection, schema, scene) == expected(set(), "not_authenticated"), (login, claims)


@on_supabase
def test_whether_a_session_takes_credits_back_is_for_trusted_callers_to_say(
    hosted_world: World, scene: dict[str, Any]
) -> None:
    for person in (scene["client"], scene["therapist"]):
        for refund in (True, False):
            with logged_in(hosted_world, person) as connection, nothing_written(hosted_world), refused("not_allowed"):
                call(connection, "cancel_session", session_id=scene["session"], refund=refund)


@on_supabase
def test_what_is_asked_about_nothing_says_so_to_everybody_alike(hosted_world: World, scene: dict[str, Any]) -> None:
    nothing = {**scene, **dict.fromkeys(("session", "begun", "request", "hold", "lot", "time_off"), uuid4())}
    for person in (scene["client"], scene["therapist"]):
        with logged_in(hosted_world, person) as connection, nothing_written(hosted_world):
            ended = answers(connection, "public", nothing)
            for function in EITHERS | THERAPISTS:
                assert ended[function] == "session_not_found"
            assert ended["release_hold"] == ended["book_hold"] == "hold_not_found"
            assert ended["remove_time_off"] == "time_off_not_found"
            assert ended["revoke_grant"] == "not_allowed"


@on_supabase
def test_who_has_no_part_in_a_session_does_not_get_to_wait_for_it(hosted_world: World, scene: dict[str, Any]) -> None:
    """Nor, then, to hold it up for others."""
    stranger = hosted_world.client()
    with holding(hosted_world) as holder, logged_in(hosted_world, stranger) as connection:
        run(holder, "select from sessions for update")
        run(connection, "set lock_timeout = '50ms'")
        ended = answers(connection, "public", scene)
        assert {ended[function] for function in EITHERS | THERAPISTS} == {"not_allowed"}
    with holding(hosted_world) as holder, logged_in(hosted_world, scene["therapist"]) as connection:
        run(holder, "select from sessions for update")
        run(connection, "set lock_timeout = '50ms'")
        ended = answers(connection, "public", scene)
        assert {ended[function] for function in EITHERS | THERAPISTS} == {"busy"}


@on_supabase
def test_a_therapist_learns_nothing_of_a_clients_credits(hosted_world: World, scene: dict[str, Any]) -> None:
    with logged_in(hosted_world, scene["therapist"]) as connection:
        for function, session_id in (("approve_session", "request"), ("confirm_session", "session"),
                                     ("cancel_session", "session")):  # fmt: skip
            answer = call(connection, function, session_id=scene[session_id], idempotency_key="key")
            assert answer["credits_balance"] is None
            # Nor by asking again.
            assert call(connection, function, session_id=scene[session_id], idempotency_key="key") == answer
    with logged_in(hosted_world, scene["client"]) as connection:
        # Whose key the therapist's is, too, and with it what was answered.
        answer = call(connection, "cancel_session", session_id=scene["session"], idempotency_key="key")
        assert answer["credits_balance"] == hosted_world.balance(scene["client"]) == 7


@on_supabase
def test_who_did_it_and_why_is_in_the_audit_log(hosted_world: World, scene: dict[str, Any]) -> None:
    with logged_in(hosted_world, scene["therapist"]) as connection:
        call(connection, "confirm_session", session_id=scene["session"])
        call(connection, "reschedule_session", session_id=scene["session"], session_date=LATER, session_time="09:30")
    with logged_in(hosted_world, scene["client"]) as connection:
        call(connection, "cancel_session", session_id=scene["session"], reason="I am ill")

    entries = hosted_world.run(
        "select actor, action, old_status, new_status, changes -> 'start_time',"
        " changes -> 'cancellation_reason' ->> 'new', created_at > now() - interval '1 minute'"
        " from booking_audit_log where session_id = %s order by id",
        scene["session"],
    )
    therapist, client = str(scene["therapist"]), str(scene["client"])
    moved = {"old": f"{TOMORROW}T08:00:00+00:00", "new": f"{LATER}T09:30:00+00:00"}
    assert entries[1:] == [
        (therapist, "status_changed", "scheduled", "confirmed", None, None, True),
        (therapist, "updated", "confirmed", "confirmed", moved, None, True),
        (client, "status_changed", "confirmed", "cancelled", None, "I am ill", True),
    ]


# ----------------------------------------------------------------------------------------------------------------------
# Until when a cancellation is free
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def paid(hosted_world: World) -> dict[str, Any]:
    """A session that a client paid with a credit that never expires."""
    client, therapist = hosted_world.client(), hosted_world.therapist()
    lot_id = call(hosted_world.connection, "grant_credits", user_id=client, amount=1)["lot_id"]
    session_id = hosted_world.book(client, therapist, session_date=LATER)["id"]
    return {"client": client, "therapist": therapist, "lot": lot_id, "session": session_id}


@on_todays_supabase
@pytest.mark.parametrize(("who", "late", "returned"), [
    ("client", False, 1), ("client", True, 0), ("therapist", False, 1), ("therapist", True, 1),
])  # fmt: skip
def test_a_late_cancellation_costs_the_client_the_credit_unless_the_therapist_cancels(
    hosted_world: World, paid: dict[str, Any], who: str, late: bool, returned: int
) -> None:
    if late:
        close_window(hosted_world.connection, paid["session"])
    with logged_in(hosted_world, paid[who]) as connection:
        answer = call(connection, "cancel_session", session_id=paid["session"])

    assert (answer["status"], answer["refunded"]) == ("cancelled", bool(returned))
    # To the very lot it came from.
    lots = "select id, credits_balance, credits_used from user_credits where user_id = %s"
    assert hosted_world.run(lots, paid["client"]) == [(paid["lot"], returned, 1 - returned)]
    require_sound(hosted_world)


@on_todays_supabase
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("refund", [None, True, False])
def test_a_trusted_caller_returns_the_credit_unless_it_says_otherwise(
    hosted_world: World, paid: dict[str, Any], refund: bool | None, late: bool
) -> None:
    if late:
        close_window(hosted_world.connection, paid["session"])
    answer = call(hosted_world.connection, "cancel_session", session_id=paid["session"], refund=refund)

    assert answer["credits_balance"] == (0 if refund is False else 1)
    require_sound(hosted_world)


@on_todays_supabase
def test_the_window_is_that_of_the_booking_whatever_the_policy_is_since(
    hosted_world: World, paid: dict[str, Any]
) -> None:
    """A client who booked when a day was enough still cancels a day before, however long the window is now."""
    long_window = Jsonb({"cancellation_window": "300 days"})
    call(hosted_world.connection, "set_policy", settings=long_window, therapist_id=paid["therapist"])
    hosted_world.run("select * from grant_credits(%s, 1)", paid["client"])
    newer = hosted_world.book(paid["client"], paid["therapist"], "15:00", session_date=LATER)["id"]
    with logged_in(hosted_world, paid["client"]) as connection:
        assert call(connection, "cancel_session", session_id=paid["session"])["refunded"]
        assert not call(connection, "cancel_session", session_id=newer)["refunded"]
    require_sound(hosted_world)


@on_todays_supabase
def test_a_window_that_closed_does_not_open_again_by_moving_the_session(
    hosted_world: World, paid: dict[str, Any]
) -> None:
    close_window(hosted_world.connection, paid["session"])
    with logged_in(hosted_world, paid["client"]) as connection:
        move = partial(call, connection, "reschedule_session", session_id=paid["session"], session_time="10:00")
        closed = move(session_date=LATER + 30 * DAY)["free_cancellation_until"]
        assert closed < dt.datetime.now(dt.UTC)
        assert not call(connection, "cancel_session", session_id=paid["session"])["refunded"]
    require_sound(hosted_world)


@on_todays_supabase
@pytest.mark.parametrize("who", ["client", "therapist"])
def test_a_window_moves_along_with_the_session(hosted_world: World, paid: dict[str, Any], who: str) -> None:
    with logged_in(hosted_world, paid[who]) as connection:
        answer = call(
            connection, "reschedule_session",
            session_id=paid["session"], session_date=LATER + 3 * DAY, session_time="16:00",
        )  # fmt: skip

    assert answer["free_cancellation_until"] == at(16, LATER + 2 * DAY)
    require_sound(hosted_world)


@on_todays_supabase
def test_a_session_that_has_begun_is_only_the_clients_no_longer(hosted_world: World, paid: dict[str, Any]) -> None:
    begin(hosted_world.connection, paid["session"])
    session = {"session_id": paid["session"]}
    later = {**session, "session_date": LATER, "session_time": "16:00"}
    for who, function, parameters in (
        ("client", "cancel_session", session), ("client", "reschedule_session", later),
        ("therapist", "reschedule_session", later),
    ):  # fmt: skip
        refusal = refused("invalid_transition")
        with logged_in(hosted_world, paid[who]) as connection, nothing_written(hosted_world), refusal:
            call(connection, function, **parameters)
    with logged_in(hosted_world, paid["therapist"]) as connection:
        assert call(connection, "cancel_session", session_id=paid["session"])["refunded"]
    require_sound(hosted_world)


def test_the_free_hours_are_hours_also_across_a_clock_change(world: World) -> None:
    """24 hours before 12:00 on the day on which the clocks jumped is 11:00 the day before."""
    zone = "Europe/Berlin"
    change = next_clock_change(zone, forward=True)
    therapist, client = world.therapist(zone), world.client(credits=4)
    for number, (connections_zone, _, style) in enumerate(SETTINGS[:4]):
        with session_of(world) as connection:
            connection.execute("select set_config('timezone', %s, false)", [connections_zone])
            connection.execute("select set_config('intervalstyle', %s, false)", [style])
            session_id = book(
                connection, client, therapist, f"{10 + 2 * number}:00", session_date=change.date()
            )["id"]  # fmt: skip
            free_until, start = run(
                connection, "select free_cancellation_until, start_time from sessions where id = %s", session_id
            )[0]
            assert start - free_until == 24 * HOUR
            assert free_until.astimezone(ZoneInfo(zone)).hour == 9 + 2 * number


# ----------------------------------------------------------------------------------------------------------------------
# What comes back, and where
# ----------------------------------------------------------------------------------------------------------------------


def cancel(world: World, session_id: UUID) -> bool:
    return bool(call(world.connection, "cancel_session", session_id=session_id)["refunded"])


def lots_of(world: World, client: UUID) -> list[Any]:
    return world.run(
        "select credits_balance, status, grace_for_lot_id from user_credits where user_id = %s order by created_at, id",
        client,
    )


@pytest.mark.parametrize("posted", [True, False])
def test_a_credit_of_a_lot_that_has_expired_comes_back_in_a_grace_lot(world: World, posted: bool) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(
        world.connection, "grant_credits", user_id=client, amount=3, category="promotional", priority=7
    )["lot_id"]  # fmt: skip
    session_id = world.book(client, therapist)["id"]
    expire_lot(world.connection, lot_id)
    if posted:
        assert call(world.connection, "expire_credits") == {"lots": 1, "credits": 2}
    call(world.connection, "set_policy", settings=Jsonb({"refund_grace": "12 days"}), therapist_id=therapist)

    assert cancel(world, session_id)

    ((days, category, priority),) = world.run(
        "select extract(epoch from expires_at - now()) / 86400, category, priority from user_credits"
        " where grace_for_lot_id = %s", lot_id,
    )  # fmt: skip
    assert 11.9 < days <= 12
    assert (category, priority) == ("promotional", 7)
    assert world.balance(client) == 1
    # Which is a credit like any other.
    again = world.book(client, therapist)["id"]
    assert world.balance(client) == 0
    assert cancel(world, again)
    assert world.balance(client) == 1
    require_sound(world)


@pytest.mark.parametrize("expired", [False, True])
def test_a_credit_of_a_payment_that_was_taken_back_does_not_come_back(world: World, expired: bool) -> None:
    """Neither in the lot nor in another one, also when the lot would have expired by now."""
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"]
    session_id = world.book(client, therapist)["id"]
    revoked = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert (revoked["credits_revoked"], revoked["credits_spent"], revoked["credits_balance"]) == (2, 1, 0)
    if expired:
        expire_lot(world.connection, lot_id)

    cancel(world, session_id)

    assert lots_of(world, client) == [(0, "revoked", None)]
    revoked = call(world.connection, "revoke_grant", lot_id=lot_id)
    assert (revoked["credits_revoked"], revoked["credits_spent"]) == (3, 0)
    require_sound(world)


def test_a_session_that_a_direct_writer_revives_is_paid_once_and_refunded_once(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    for _ in range(3):
        cancel(world, session_id)
        assert world.balance(client) == 2
        world.run("update sessions set status = 'scheduled' where id = %s", session_id)
    world.run("update sessions set status = 'pending_approval' where id = %s", session_id)
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "approve_session", session_id=session_id)
    require_sound(world)


def test_a_session_that_was_never_paid_returns_nothing(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))

    assert not cancel(world, session_id)
    assert lots_of(world, client) == []
    require_sound(world)


@pytest.mark.parametrize("missing", ["user_id", "therapist_id"])
def test_a_session_of_one_person_only_is_cancelled_and_moved_like_any_other(world: World, missing: str) -> None:
    """Direct writers make such sessions."""
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))
    world.run(f"update sessions set {missing} = null")
    with refused("user_not_found" if missing == "user_id" else "therapist_not_found"):
        call(world.connection, "reschedule_session", session_id=session_id, session_date=TOMORROW, session_time="12:00")
    for _ in range(2):
        answer = call(world.connection, "cancel_session", session_id=session_id, idempotency_key="key")
        assert (answer["status"], answer["credits_balance"]) == ("cancelled", 0)
    require_sound(world)


def test_a_client_who_is_no_longer_active_still_gets_its_credits_back(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    world.run("update users set is_active = false")

    assert cancel(world, session_id)
    assert world.balance(client) == 1
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Series
# ----------------------------------------------------------------------------------------------------------------------


def book_series(connection: Connection, client: UUID, therapist: UUID, **options: Any) -> list[Any]:
    return rows(connection, "book_series", user_id=client, therapist_id=therapist, **options)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("forward", [True, False])
def test_a_series_is_at_the_same_local_time_across_clock_changes(world: World, zone: str, forward: bool) -> None:
    change = next_clock_change(zone if zone != "Asia/Kathmandu" else "Europe/Berlin", forward)
    therapist, client = world.therapist(zone), world.client(credits=5)
    first = change.date() - 14 * DAY
    while first <= dt.date.today() + DAY:
        first += 7 * DAY

    booked = book_series(world.connection, client, therapist, session_date=first, session_time="09:30", occurrences=5)

    tz = ZoneInfo(zone)
    assert [row["start_time"].astimezone(tz).replace(tzinfo=None) for row in booked] == [
        dt.datetime.combine(first + 7 * DAY * number, dt.time(9, 30)) for number in range(5)
    ]
    assert {row["end_time"] - row["start_time"] for row in booked} == {HOUR}
    if zone != "Asia/Kathmandu" and first <= change.date():
        assert len({row["start_time"].astimezone(tz).utcoffset() for row in booked}) == 2
    require_sound(world)


def test_a_series_with_a_time_that_is_skipped_is_not_booked_at_all(world: World) -> None:
    change = next_clock_change("Europe/Berlin", forward=True)
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=5)
    first = change.date() - DAY
    with nothing_written(world), refused("skipped_time") as refusal:
        book_series(
            world.connection, client, therapist,
            session_date=first, session_time=change.time(), occurrences=4, every=DAY,
        )  # fmt: skip
    assert refusal.detail["occurrence"] == 2
    assert refusal.detail["session_date"] == change.date().isoformat()


def test_a_series_through_an_hour_that_occurs_twice_means_the_first(world: World) -> None:
    zone = "Europe/Berlin"
    change = next_clock_change(zone, forward=False)
    therapist, client = world.therapist(zone), world.client(credits=3)

    booked = book_series(
        world.connection, client, therapist,
        session_date=change.date() - DAY, session_time=change.time(), occurrences=3, every=DAY,
    )  # fmt: skip

    starts = [row["start_time"] for row in booked]
    assert [later - earlier for earlier, later in pairwise(starts)] == [24 * HOUR, 25 * HOUR]


@pytest.mark.parametrize("days", [31, 30, 29])
def test_a_monthly_series_from_the_end_of_a_month_stays_there(world: World, days: int) -> None:
    therapist, client = world.therapist(), world.client(credits=14)
    year = dt.date.today().year + 1
    first = dt.date(year, 1, days)
    world.run('select set_policy(\'{"maximum_advance": "1200 days"}\')')
    (months,) = world.run("select interval '1 month'")[0]
    assert months == 30 * DAY
    booked = world.run(
        "select scheduled_date from book_series(%s, %s, %s, '10:00', 14, '1 month')", client, therapist, first
    )

    for number, (date,) in enumerate(booked):
        month = number % 12 + 1
        last = (dt.date(year + number // 12, month, 28) + 4 * DAY).replace(day=1) - DAY
        assert date == min(last, last.replace(day=min(days, last.day)))
    require_sound(world)


def test_nothing_about_a_series_or_a_hold_depends_on_the_connections_settings(world: World) -> None:
    """The same keys each time: were an interval remembered in the connection's terms, it would be another request."""
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=9)
    seen = []
    for zone, date_style, interval_style in SETTINGS:
        with session_of(world) as connection:
            for name, value in (("timezone", zone), ("datestyle", date_style), ("intervalstyle", interval_style)):
                connection.execute("select set_config(%s, %s, false)", [name, value])
            series = connection.execute(
                "select id, extract(epoch from start_time)::text, credits_balance, extract(epoch from end_time)::text"
                " from book_series(%s, %s, %s, '23:30', 3, '1 month', p_idempotency_key => 'key')",
                [client, therapist, LATER],
            ).fetchall()
            hold = connection.execute(
                "select id, extract(epoch from start_time)::text, extract(epoch from expires_at)::text"
                " from hold_slot(%s, %s, %s, '12:00', p_ttl => '90 seconds', p_idempotency_key => 'key')",
                [client, therapist, LATER],
            ).fetchall()
            with refused("booking_conflict") as refusal:
                book_series(
                    connection, world.client(credits=1), therapist,
                    session_date=LATER - 7 * DAY, session_time="23:00", occurrences=3, every=7 * DAY,
                )  # fmt: skip
        del refusal.detail["therapist_id"]
        seen.append((series, hold, refusal.detail["session_date"], refusal.detail["start_time"]))
    assert len(seen[0][0]) == 3
    assert all(other == seen[0] for other in seen)


def test_an_error_of_a_series_is_that_of_the_session_and_says_which(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=2)
    with nothing_written(world), refused("insufficient_credits") as refusal:
        book_series(world.connection, client, therapist, session_date=LATER, session_time="10:00", occurrences=5)
    assert refusal.detail["occurrence"] == 3
    assert refusal.detail["session_date"] == (LATER + 14 * DAY).isoformat()

    other = world.therapist()
    world.book(client, other, "10:15", session_date=LATER + 7 * DAY)
    with nothing_written(world), refused("client_conflict") as refusal:
        book_series(world.connection, client, therapist, session_date=LATER, session_time="10:00", occurrences=2)
    assert refusal.detail["occurrence"] == 2
    assert refusal.detail["start_time"].startswith((LATER + 7 * DAY).isoformat())


def test_a_series_that_is_asked_for_again_answers_with_its_sessions_as_they_are_now(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=3)
    again = partial(
        book_series, world.connection, client, therapist,
        session_date=LATER, session_time="10:00", occurrences=3, idempotency_key="key",
    )  # fmt: skip
    first = again()
    cancel(world, first[1]["id"])
    call(world.connection, "confirm_session", session_id=first[2]["id"])

    assert [(row["id"], row["status"], row["credits_balance"]) for row in again()] == [
        (row["id"], status, row["credits_balance"])
        for row, status in zip(first, ("scheduled", "cancelled", "confirmed"), strict=True)
    ]
    assert world.count("sessions") == 3
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Rescheduling
# ----------------------------------------------------------------------------------------------------------------------


def move(world: World, session_id: UUID, time: Any, date: dt.date = TOMORROW, **options: Any) -> Any:
    return call(
        world.connection, "reschedule_session", session_id=session_id, session_date=date, session_time=time, **options
    )


def test_a_time_without_a_zone_is_meant_in_the_sessions_own(world: World) -> None:
    therapist, client = world.therapist("Europe/Berlin"), world.client(credits=1)
    session_id = world.book(client, therapist, time_zone="Asia/Tokyo")["id"]
    moved_away = "select register_therapist(u.email, null, u.id, 'America/New_York') from users as u where id = %s"
    world.run(moved_away, therapist)

    moved = move(world, session_id, "15:00")
    assert moved["time_zone"] == "Asia/Tokyo"
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(15), ZoneInfo("Asia/Tokyo"))

    moved = move(world, session_id, "16:00", time_zone="Europe/Paris")
    assert moved["start_time"] == dt.datetime.combine(TOMORROW, dt.time(16), ZoneInfo("Europe/Paris"))
    assert move(world, session_id, "17:00")["time_zone"] == "Europe/Paris"
    require_sound(world)


def test_a_move_around_a_clock_change_is_held_to_it(world: World) -> None:
    zone = "Europe/Berlin"
    forward, back = next_clock_change(zone, forward=True), next_clock_change(zone, forward=False)
    therapist, client = world.therapist(zone), world.client(credits=1)
    session_id = world.book(client, therapist)["id"]
    with nothing_written(world), refused("skipped_time"):
        move(world, session_id, forward.time(), forward.date())

    moved = move(world, session_id, back.time(), back.date(), duration_minutes=90)
    assert moved["start_time"].astimezone(dt.UTC) == back.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(dt.UTC)
    assert moved["end_time"] - moved["start_time"] == dt.timedelta(minutes=90)
    require_sound(world)


def test_a_move_takes_nothing_and_returns_nothing(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    for number in range(1, 6):
        # Also into a time that overlaps the old one.
        assert move(world, session_id, f"10:{10 * number}")["credits_balance"] == 0
    assert [entry["kind"] for entry in require_sound_statement(world, client)] == ["grant", "debit"]
    require_sound(world)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"date": TOMORROW - 30 * DAY}, "in_past"),
        ({"time": "12:30"}, "booking_conflict"),
        ({"time": "14:30"}, "client_conflict"),
        ({"time": "10:00:30"}, "invalid_time"),
        ({"date": None}, "invalid_date"),
        ({"duration_minutes": 14}, "invalid_duration"),
        ({"duration_minutes": 50}, "invalid_duration"),
        ({"time_zone": "Mars+5"}, "invalid_time_zone"),
        ({"idempotency_key": ""}, "invalid_parameter"),
    ],
)
def test_a_move_that_is_refused_changes_nothing(world: World, options: dict[str, Any], code: str) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist, "10:00", duration_minutes=30)["id"]
    world.book(world.client(credits=1), therapist, "12:00")
    world.book(client, world.therapist(), "14:00")
    call(world.connection, "set_policy", settings=Jsonb({"maximum_duration_minutes": 45}), therapist_id=therapist)

    with nothing_written(world), refused(code):
        move(world, session_id, **{"time": "18:00", **options})


def test_a_closed_therapists_sessions_stay_where_they_are(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    session_id = world.book(client, therapist)["id"]
    request = request_session(world.connection, client, therapist, at(14))
    call(world.connection, "set_therapist_active", therapist_id=therapist, active=False)

    with nothing_written(world), refused("therapist_not_found"):
        move(world, session_id, "18:00")
    with nothing_written(world), refused("therapist_not_found"):
        call(world.connection, "approve_session", session_id=request)
    assert cancel(world, session_id)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Holds
# ----------------------------------------------------------------------------------------------------------------------


def hold(world: World, client: UUID, therapist: UUID, time: str = "10:00", **options: Any) -> Any:
    return call(
        world.connection, "hold_slot",
        user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time=time, **options,
    )  # fmt: skip


def test_a_hold_keeps_its_slot_against_everybody_and_lets_go_by_itself(world: World) -> None:
    client, other = world.client(credits=1), world.client(credits=1)
    therapist, another = world.therapist(), world.therapist()
    held = hold(world, client, therapist)
    book_it = partial(world.book, other, therapist, "10:30")
    with nothing_written(world):
        with refused("booking_conflict"):
            book_it()
        with refused("booking_conflict"):
            hold(world, other, therapist, "09:30")
        # The client's time is taken, too.
        with refused("client_conflict"):
            world.book(client, another, "10:30")
        with refused("booking_conflict"):
            insert = "insert into sessions (therapist_id, start_time, end_time) values (%s, %s, %s)"
            world.run(insert, therapist, at(10), at(11))
    assert world.scalar("select check_booking_conflict(%s, %s, '10:30', '11:00')", therapist, TOMORROW)
    assert world.balance(client) == 1

    expire_hold(world.connection, held["id"])

    # Nobody cleaned up.
    assert world.count("bookingdb.calendar") == 1
    assert not world.scalar("select check_booking_conflict(%s, %s, '10:30', '11:00')", therapist, TOMORROW)
    assert book_it()["status"] == "scheduled"
    with nothing_written(world), refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])
    assert refusal.detail["reason"] == "expired"
    require_sound(world)


def test_a_hold_is_a_clients_only_one_with_a_therapist(world: World) -> None:
    client, therapist, another = world.client(credits=1), world.therapist(), world.therapist()
    first = hold(world, client, therapist, "10:00")
    elsewhere = hold(world, client, another, "11:00")
    # Also where it overlaps the one that it replaces.
    second = hold(world, client, therapist, "10:15", duration_minutes=45)

    in_order = world.run("select id from bookingdb.calendar order by lower(period)")
    assert in_order == [(second["id"],), (elsewhere["id"],)]
    with refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=first["id"])
    assert refusal.detail["reason"] == "released"
    assert call(world.connection, "book_hold", hold_id=second["id"])["id"] == second["id"]
    require_sound(world)


def test_a_hold_becomes_a_session_whatever_buffers_hold_by_then(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    held = hold(world, client, therapist)
    world.book(world.client(credits=1), therapist, "11:15")
    world.run('select set_policy(\'{"buffer_after_minutes": 60, "buffer_before_minutes": 60}\', %s)', therapist)

    booked = call(world.connection, "book_hold", hold_id=held["id"])

    assert (booked["id"], booked["status"]) == (held["id"], "scheduled")
    assert world.run("select kind, expires_at, blocked = period from bookingdb.calendar where id = %s", held["id"]) == [
        ("session", None, True)
    ]
    require_sound(world)


def test_a_hold_is_refused_where_the_therapist_went_away_meanwhile(world: World) -> None:
    therapist, client = world.therapist(), world.client(credits=1)
    held = hold(world, client, therapist)
    world.run("select id from add_time_off(%s, %s, %s)", therapist, at(11) - dt.timedelta(minutes=1), at(12))

    with nothing_written(world), refused("booking_conflict") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])

    assert refusal.detail["rule"] == "time_off"
    assert refusal.detail["next_free"] == f"{TOMORROW}T12:00:00Z"


def test_a_hold_that_cannot_be_paid_stays_a_hold(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    held = hold(world, client, therapist)
    with nothing_written(world), refused("insufficient_credits"):
        call(world.connection, "book_hold", hold_id=held["id"])
    world.run("select * from grant_credits(%s, 1)", client)

    assert call(world.connection, "book_hold", hold_id=held["id"])["credits_balance"] == 0
    require_sound(world)


def test_a_hold_that_became_a_session_is_cancelled_and_not_released(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    call(world.connection, "book_hold", hold_id=held["id"])
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "release_hold", hold_id=held["id"])
    assert cancel(world, held["id"])
    with nothing_written(world), refused("hold_expired") as refusal:
        call(world.connection, "book_hold", hold_id=held["id"])
    assert refusal.detail["reason"] == "booked"
    require_sound(world)


def test_a_direct_writer_cannot_pass_off_a_hold_as_its_session(world: World) -> None:
    """A session of the hold's own id is still one that the hold's slot is taken for."""
    client, therapist = world.client(credits=1), world.therapist()
    held = hold(world, client, therapist)
    insert = "insert into sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
    with nothing_written(world), pytest.raises(psycopg.Error):
        world.run(insert, held["id"], client, therapist, held["start_time"], held["end_time"])
    call(world.connection, "release_hold", hold_id=held["id"])
    world.run(insert, held["id"], client, therapist, held["start_time"], held["end_time"])
    require_sound(world)


def test_how_long_a_hold_lasts_is_the_policys_to_say_or_the_callers(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    call(world.connection, "set_policy", settings=Jsonb({"hold_lifetime": "20 minutes"}), therapist_id=therapist)

    for ttl, seconds in ((None, 1200), (dt.timedelta(seconds=10), 10), (HOUR, 3600)):
        left = hold(world, client, therapist, ttl=ttl)["expires_at"] - dt.datetime.now(dt.UTC)
        assert seconds - 5 < left.total_seconds() <= seconds
    for ttl in (dt.timedelta(seconds=9), HOUR + dt.timedelta(seconds=1), -HOUR, dt.timedelta(0)):
        with nothing_written(world), refused("invalid_parameter"):
            hold(world, client, therapist, ttl=ttl)


# ----------------------------------------------------------------------------------------------------------------------
# Status
# ----------------------------------------------------------------------------------------------------------------------

STATUSES = ("pending_approval", "scheduled", "confirmed", "in_progress", "completed", "cancelled", "no_show")
TRANSITIONS = {
    "approve_session": {"pending_approval": "scheduled"},
    "confirm_session": {"scheduled": "confirmed"},
    "start_session": {"scheduled": "in_progress", "confirmed": "in_progress"},
    "complete_session": dict.fromkeys(("scheduled", "confirmed", "in_progress"), "completed"),
    "mark_no_show": {"scheduled": "no_show", "confirmed": "no_show"},
    "cancel_session": dict.fromkeys(("pending_approval", "scheduled", "confirmed"), "cancelled"),
}


@pytest.mark.parametrize("function", TRANSITIONS)
def test_every_status_leads_where_the_table_says_and_nowhere_else(world: World, function: str) -> None:
    client, therapist = world.client(credits=20), world.therapist()
    for number, status in enumerate(STATUSES):
        session_id = world.book(client, therapist, f"{number:02}:00")["id"]
        if function in ("start_session", "complete_session", "mark_no_show"):
            begin(world.connection, session_id, 100 * number + 5)
        world.run("update sessions set status = %s where id = %s", status, session_id)
        after = TRANSITIONS[function].get(status)
        if after is None:
            with nothing_written(world), refused("invalid_transition") as refusal:
                call(world.connection, function, session_id=session_id)
            assert refusal.detail["status"] == status
        else:
            answer = call(world.connection, function, session_id=session_id)
            assert answer["status"] == after
            placed = world.scalar("select count(*) from bookingdb.calendar where id = %s", session_id)
            assert placed == int(after in ("scheduled", "confirmed", "in_progress"))
            # Only cancelling returns something; a client who does not come has paid.
            assert answer["refunded"] == (function == "cancel_session")
    require_sound(world)


@pytest.mark.parametrize("function", ["complete_session", "mark_no_show"])
def test_what_has_not_begun_has_neither_taken_place_nor_been_missed(world: World, function: str) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, function, session_id=session_id)


def test_a_session_starts_an_hour_early_at_most(world: World) -> None:
    session_id = world.book(world.client(credits=1), world.therapist())["id"]
    begin(world.connection, session_id, -62)
    with nothing_written(world), refused("invalid_transition") as refusal:
        call(world.connection, "start_session", session_id=session_id)
    starts_at = world.scalar("select start_time from sessions").astimezone(dt.UTC)
    assert refusal.detail["start_time"] == f"{starts_at:%Y-%m-%dT%H:%M:%SZ}"

    begin(world.connection, session_id, -59)
    assert call(world.connection, "start_session", session_id=session_id)["status"] == "in_progress"
    # It has taken place when it has begun.
    with nothing_written(world), refused("invalid_transition"):
        call(world.connection, "complete_session", session_id=session_id)
    require_sound(world)


def test_a_session_that_was_revived_after_its_credit_came_back_is_not_approved_for_nothing(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    booked, asked = world.book(client, therapist)["id"], request_session(world.connection, client, therapist, at(14))
    call(world.connection, "approve_session", session_id=asked)
    for session_id in (booked, asked):
        call(world.connection, "cancel_session", session_id=session_id)
        world.run("update sessions set status = 'pending_approval' where id = %s", session_id)
        with nothing_written(world), refused("invalid_transition") as refusal:
            call(world.connection, "approve_session", session_id=session_id)
        assert refusal.detail["reason"] == "refunded"
        # It can be declined; nothing comes back a second time.
        cancel(world, session_id)
        assert world.balance(client) == (1 if session_id == booked else 2)
    require_sound(world)


def test_a_session_that_comes_back_under_its_old_id_is_paid(world: World) -> None:
    """Deleted and written again by the application, with its debit in the ledger all the while."""
    client, therapist = world.client(credits=2), world.therapist()
    session_id = world.book(client, therapist)["id"]
    world.run("delete from sessions")
    world.run(
        "insert into sessions (id, user_id, therapist_id, start_time, end_time, status)"
        " values (%s, %s, %s, %s, %s, 'pending_approval')",
        *(session_id, client, therapist, at(10), at(11)),
    )
    assert call(world.connection, "approve_session", session_id=session_id)["credits_balance"] == 1
    require_sound(world)


def test_an_approval_charges_once_and_only_what_can_still_take_place(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    session_id = request_session(world.connection, client, therapist, at(10))
    approve = partial(call, world.connection, "approve_session", session_id=session_id)
    with nothing_written(world), refused("insufficient_credits"):
        approve()
    world.run("select * from grant_credits(%s, 2)", client)
    assert approve(idempotency_key="key")["credits_balance"] == 1
    assert approve(idempotency_key="key")["credits_balance"] == 1
    with refused("invalid_transition"):
        approve()
    assert world.balance(client) == 1

    begun = request_session(world.connection, client, therapist, at(14))
    begin(world.connection, begun)
    with nothing_written(world), refused("in_past"):
        call(world.connection, "approve_session", session_id=begun)
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Credits
# ----------------------------------------------------------------------------------------------------------------------


def test_a_balance_never_counts_what_has_expired_whether_that_was_posted_or_not(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=4)["lot_id"]
    world.run("select * from grant_credits(%s, 1)", client)
    expire_lot(world.connection, lot_id)

    assert world.balance(client) == 1
    assert statement(world.connection, client)[-1]["balance"] == 5
    assert [call(world.connection, "expire_credits") for _ in range(2)] == [
        {"lots": 1, "credits": 4}, {"lots": 0, "credits": 0},
    ]  # fmt: skip
    assert world.balance(client) == 1
    assert statement(world.connection, client)[-1]["balance"] == 1
    world.book(client, therapist)
    with refused("insufficient_credits"):
        world.book(client, therapist, "12:00")
    with refused("insufficient_credits"):
        call(world.connection, "adjust_credits", user_id=client, amount=-1, reason="a mistake")
    require_sound(world)


def test_a_statement_is_of_one_period_and_follows_on_the_one_before(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    for amount in (3, 2):
        call(world.connection, "grant_credits", user_id=client, amount=amount)
    cancel(world, world.book(client, therapist)["id"])
    call(world.connection, "adjust_credits", user_id=client, amount=-4, reason="a mistake of ours")
    entries = require_sound_statement(world, client)
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [
        ("grant", 3), ("grant", 2), ("debit", -1), ("refund", 1), ("adjustment", -3), ("adjustment", -1),
    ]  # fmt: skip
    assert {entry["reason"] for entry in entries[4:]} == {"a mistake of ours"}

    # From an entry's instant on it is in the period, up to it it is not.
    times = [entry["created_at"] for entry in entries]
    lines = statement(world.connection, client, times[1], times[3])
    assert [(line["kind"], line["balance"]) for line in lines] == [
        ("opening", 3), ("grant", 5), ("debit", 4), ("closing", 4),
    ]  # fmt: skip
    assert [line["created_at"] for line in lines][:: len(lines) - 1] == [times[1], times[3]]
    empty = statement(world.connection, client, times[1], times[1])
    assert [(line["kind"], line["balance"]) for line in empty] == [("opening", 3), ("closing", 3)]


def test_credits_are_spent_in_the_promised_order(world: World) -> None:
    """By priority, then the soonest to expire, then promotional before paid, then the oldest."""
    client, therapist = world.client(), world.therapist()
    soon, late = at(0, LATER), at(0, LATER + 90 * DAY)
    order = [
        (90, late, "promotional"), (50, None, "paid"), (50, None, "paid"), (50, None, "promotional"),
        (50, late, "paid"), (50, late, "promotional"), (50, soon, "paid"), (10, None, "paid"),
    ]  # fmt: skip
    lots = [
        call(
            world.connection, "grant_credits",
            user_id=client, amount=1, priority=priority, expires_at=expires_at, category=category,
        )["lot_id"]
        for priority, expires_at, category in order
    ]  # fmt: skip
    for hour in range(len(lots)):
        world.book(client, therapist, f"{hour:02}:00")

    spent = [lot for (lot,) in world.run("select lot_id from bookingdb.ledger where kind = 'debit' order by id")]
    assert spent == [lots[number] for number in (7, 6, 5, 4, 3, 1, 2, 0)]
    require_sound(world)


def test_an_adjustment_takes_from_all_lots_or_from_none(world: World) -> None:
    client = world.client()
    for amount in (2, 3):
        call(world.connection, "grant_credits", user_id=client, amount=amount)
    adjust = partial(call, world.connection, "adjust_credits", user_id=client, reason="a mistake")
    with nothing_written(world), refused("insufficient_credits") as refusal:
        adjust(amount=-6)
    assert refusal.detail["credits_balance"] == 5

    assert adjust(amount=-4, idempotency_key="key") == adjust(amount=-4, idempotency_key="key")
    assert world.balance(client) == 1
    require_sound(world)


@pytest.mark.parametrize("reason", [None, "", " \t\n"])
def test_an_adjustment_without_a_reason_is_refused(world: World, reason: str | None) -> None:
    client = world.client()
    with nothing_written(world), refused("invalid_parameter") as refusal:
        call(world.connection, "adjust_credits", user_id=client, amount=1, reason=reason)
    assert refusal.detail["parameter"] == "p_reason"


def test_another_clients_lot_is_none(world: World) -> None:
    client, other = world.client(), world.client()
    lot_id = call(world.connection, "grant_credits", user_id=other, amount=2)["lot_id"]
    for amount in (1, -1):
        with nothing_written(world), refused("lot_not_found"):
            call(world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id)


@pytest.mark.parametrize("amount", [1, -1, -50])
def test_a_lot_that_is_over_cannot_be_adjusted(world: World, amount: int) -> None:
    client = world.client(credits=9)
    lots = [call(world.connection, "grant_credits", user_id=client, amount=3)["lot_id"] for _ in range(4)]
    expire_lot(world.connection, lots[0])
    call(world.connection, "expire_credits")
    expire_lot(world.connection, lots[1])
    call(world.connection, "revoke_grant", lot_id=lots[2])
    world.run("update user_credits set status = 'refunded' where id = %s", lots[3])
    for lot_id, status in zip(lots, ("expired", "expired", "revoked", "refunded"), strict=True):
        with nothing_written(world), refused("invalid_parameter") as refusal:
            call(world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id)
        assert (refusal.detail["parameter"], refusal.detail["status"]) == ("p_lot_id", status)
    # Whose lot is none of the client's is not told what became of it.
    other = world.client()
    with nothing_written(world), refused("lot_not_found"):
        call(world.connection, "adjust_credits", user_id=other, amount=amount, reason="a mistake", lot_id=lots[0])


def test_more_credits_than_an_integer_holds_are_in_nobodys_way(world: World) -> None:
    """As only direct writers can make them: balances, and what was used and expired by their count."""
    client, therapist = world.client(), world.therapist()
    most = 2**31 - 1
    world.run(
        "insert into user_credits (user_id, credits_balance, credits_used, priority)"
        " values (%s, 1, %s, 1), (%s, %s, 0, 2), (%s, %s, 0, 3)",
        *(client, most, client, most, client, most),
    )
    assert world.balance(client) == most
    series = rows(
        world.connection, "book_series", user_id=client, therapist_id=therapist, session_date=LATER,
        session_time="10:00", occurrences=3, every=DAY, idempotency_key="key",
    )  # fmt: skip
    assert [session["credits_balance"] for session in series] == [most] * 3
    # A lot that was filled up since has no room for what comes back.
    world.run("update user_credits set credits_balance = %s where priority = 2", most)
    for session in series:
        assert cancel(world, session["id"])
        assert world.balance(client) == most
    assert world.run(
        "select c.credits_balance from user_credits as c where c.grace_for_lot_id is not null"
    ) == [(1,), (1,)]  # fmt: skip
    assert require_sound_statement(world, client)[-1]["balance"] == 2 * most + 3

    named = world.scalar("select id from user_credits where priority = 3")
    for amount, lot_id, code in ((1, named, "invalid_parameter"), (-10000, named, ""), (10000, named, "")):
        adjust = partial(
            call, world.connection, "adjust_credits", user_id=client, amount=amount, reason="a mistake", lot_id=lot_id
        )
        assert outcome(adjust) == (code or "done")
    world.run("update user_credits set expires_at = now(), credits_expired = %s where priority = 3", most)
    assert call(world.connection, "expire_credits") == {"lots": 1, "credits": most}
    require_sound(world)


@pytest.mark.parametrize("by", ["lot_id", "payment_reference"])
def test_a_chargeback_takes_what_is_left_and_says_what_was_spent(world: World, by: str) -> None:
    client, therapist = world.client(), world.therapist()
    lot_id = call(world.connection, "grant_credits", user_id=client, amount=5, payment_reference="payment")["lot_id"]
    world.run("select * from grant_credits(%s, 1, p_priority => 90)", client)
    kept, returned = (world.book(client, therapist, time)["id"] for time in ("10:00", "12:00"))
    cancel(world, returned)
    which: dict[str, Any] = {"lot_id": lot_id} if by == "lot_id" else {"payment_reference": "payment"}

    revoked = call(world.connection, "revoke_grant", **which, reason="chargeback")

    assert revoked == {"lot_id": lot_id, "credits_revoked": 4, "credits_spent": 1, "credits_balance": 1}
    # Done again, it says the same, and the session stands.
    assert call(world.connection, "revoke_grant", **which) == revoked
    assert world.scalar("select status from sessions where id = %s", kept) == "scheduled"
    # The payment does not grant again.
    call(world.connection, "grant_credits", user_id=client, amount=5, payment_reference="payment")
    assert world.balance(client) == 1
    require_sound(world)


# ----------------------------------------------------------------------------------------------------------------------
# Policies
# ----------------------------------------------------------------------------------------------------------------------


def set_policy(world: World, therapist: UUID | None, **settings: Any) -> Any:
    return call(world.connection, "set_policy", settings=Jsonb(settings), therapist_id=therapist)


def test_a_therapists_settings_stand_before_the_default_ones_until_taken_away(world: World) -> None:
    therapist, other, client = world.therapist(), world.therapist(), world.client(credits=9)
    set_policy(world, therapist, maximum_duration_minutes=30)
    set_policy(world, None, maximum_duration_minutes=90)

    def longest(whose: UUID) -> list[str]:
        return [
            outcome(partial(world.book, client, whose, f"{10 + 3 * number}:00", duration_minutes=minutes))
            for number, minutes in enumerate((30, 60, 120))
        ]

    assert longest(therapist) == ["done", "invalid_duration", "invalid_duration"]
    world.run("delete from sessions")
    assert longest(other) == ["done", "done", "invalid_duration"]
    world.run("delete from sessions")
    set_policy(world, therapist, maximum_duration_minutes=None)
    assert longest(therapist) == ["done", "done", "invalid_duration"]


def test_no_therapist_ends_up_with_a_minimum_above_the_maximum(world: World) -> None:
    therapist = world.therapist()
    set_policy(world, therapist, minimum_duration_minutes=60)
    for whose, settings in (
        (None, {"maximum_duration_minutes": 45}),
        (therapist, {"maximum_duration_minutes": 45}),
        (None, {"minimum_duration_minutes": 60, "maximum_duration_minutes": 30}),
    ):
        with nothing_written(world), refused("invalid_parameter"):
            set_policy(world, whose, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"cancellation_window": "366 days"}, {"cancellation_window": "-1 hour"}, {"cancellation_window": "soon"},
        {"cancellation_window": ""}, {"cancellation_window": {}}, {"cancellation_window": "infinity"},
        # Hours are meant, and Postgres would read seconds.
        {"cancellation_window": 48}, {"cancellation_window": "48"}, {"minimum_notice": 1.5},
        {"minimum_notice": "1e3"}, {"cancellation_window": " 48 "},
        {"refund_grace": "23 hours"}, {"refund_grace": "3651 days"}, {"hold_lifetime": "9 seconds"},
        {"hold_lifetime": "61 minutes"}, {"minimum_duration_minutes": 14}, {"maximum_duration_minutes": 181},
        {"minimum_duration_minutes": 15.5}, {"minimum_duration_minutes": "1e2"}, {"minimum_duration_minutes": -30},
        {"minimum_duration_minutes": [30]}, {"minimum_duration_minutes": True}, {"minimum_duration_minutes": ""},
        {"unknown": 1}, {"": 1}, {"time_zone": None},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(world: World, settings: dict[str, Any]) -> None:
    with nothing_written(world), refused("invalid_parameter"):
        set_policy(world, None, **settings)


@pytest.mark.parametrize("nothing", [0, "0", "0 hours", "00:00", "PT0S"])
def test_nothing_needs_no_unit(world: World, nothing: int | str) -> None:
    assert set_policy(world, None, minimum_notice=nothing)["minimum_notice"] == dt.timedelta(0)


@pytest.mark.parametrize("zone", ["Mars+5", "", "CEST+2", "../UTC", "🗓", 5])
def test_a_policys_zone_is_one_that_is_known(world: World, zone: Any) -> None:
    for therapist in (None, world.therapist()):
        with nothing_written(world), refused("invalid_time_zone"):
            set_policy(world, therapist, time_zone=zone)


@pytest.mark.parametrize("settings", ["null", "[]", '"text"', "1", "true"])
def test_settings_that_are_no_object_are_refused(world: World, settings: str) -> None:
    with nothing_written(world), refused("invalid_parameter") as refusal:
        world.run("select * from set_policy(%s::jsonb)", settings)
    assert refusal.detail["parameter"] == "p_settings"


# ----------------------------------------------------------------------------------------------------------------------
# What holds whatever a function does
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["debit", "refund"])
def test_a_session_has_one_debit_and_one_refund_whoever_writes_them(world: World, kind: str) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    cancel(world, world.book(client, therapist)["id"])
    again = (
        "insert into bookingdb.ledger (user_id, lot_id, session_id, kind, amount, balance_after, actor)"
        " select user_id, lot_id, session_id, kind, amount, balance_after, actor from bookingdb.ledger where kind = %s"
    )
    with nothing_written(world), pytest.raises(psycopg.errors.UniqueViolation):
        world.run(again, kind)


def test_a_client_has_one_hold_with_a_therapist_whoever_writes_it(world: World) -> None:
    client, therapist = world.client(), world.therapist()
    hold(world, client, therapist)
    another = (
        "insert into bookingdb.calendar (kind, therapist_id, client_id, period, blocked, expires_at)"
        " select kind, therapist_id, client_id, p.later, p.later, expires_at from bookingdb.calendar"
        " cross join lateral (select tstzrange(upper(period), upper(period) + interval '1 hour') as later) as p"
    )
    with nothing_written(world), pytest.raises(psycopg.errors.UniqueViolation):
        world.run(another)


@pytest.mark.parametrize("start", [None, "infinity", "294276-12-30 12:00+00"])
@pytest.mark.parametrize("free_until", [None, "infinity", "-infinity", "4713-01-01 BC"])
def test_a_session_that_was_written_without_a_proper_time_is_moved_to_one(
    world: World, start: str | None, free_until: str | None
) -> None:
    client, therapist = world.client(), world.therapist()
    ((session_id,),) = world.run(
        "insert into sessions (user_id, therapist_id, start_time, free_cancellation_until) values (%s, %s, %s, %s)"
        " returning id",
        *(client, therapist, start, free_until),
    )
    moved = call(
        world.connection, "reschedule_session",
        session_id=session_id, session_date=LATER, session_time="10:00", duration_minutes=60,
    )  # fmt: skip
    assert moved["start_time"] == at(10, LATER)
    assert moved["free_cancellation_until"] == at(10, LATER) - DAY
    assert call(world.connection, "cancel_session", session_id=session_id)["status"] == "cancelled"
    require_sound(world)


def test_an_interval_without_an_end_is_no_length_of_anything(world: World) -> None:
    client, therapist = world.client(credits=1), world.therapist()
    if world.connection.info.server_version < 170000:
        pytest.skip("intervals have ends before Postgres 17")
    for endless in ("infinity", "-infinity"):
        for asked in (
            "hold_slot(%s, %s, %s, '10:00', p_ttl => %s::interval)", "book_series(%s, %s, %s, '10:00', 2, %s::interval)"
        ):  # fmt: skip
            with nothing_written(world), refused("invalid_parameter"):
                world.run(f"select * from {asked}", client, therapist, TOMORROW, endless)
