"""Who may call what in the life of a session, on every host."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from tests.support import TOMORROW, Connection, World, run
from tests.support.callers import OWNER, SCHEMAS, SUPERUSER, acting, logged_in, of
from tests.support.calls import CALLS, PEOPLE_CALLS, Allowed, calls_for, make_scene
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.interleaving import holding
from tests.support.life import (
    LATER,
    call,
)
from tests.support.refusals import nothing_written, outcome, refused

EITHERS, CLIENTS, THERAPISTS = (calls_for(allowed) for allowed in (Allowed.BOTH, Allowed.CLIENT, Allowed.THERAPIST))
OWN_TIME, EVERYBODYS = calls_for(Allowed.THERAPISTS_TIME), calls_for(Allowed.ANYBODY)
WORKERS = calls_for(Allowed.WORKER)


@pytest.fixture
def scene(hosted_world: World) -> dict[str, Any]:
    return make_scene(hosted_world)


def answers(connection: Connection, schema: str, scene: dict[str, Any]) -> dict[str, str]:
    """Make every call in a transaction that is rolled back, and return how each ended."""
    ended = {}
    for function, example in CALLS.items():
        asked = f"select * from {schema}.{function}({example.arguments})"
        with connection.transaction(force_rollback=True):
            ended[function] = outcome(partial(connection.execute, asked.encode(), scene))
    return ended


def expected(allowed: set[str], otherwise: str) -> dict[str, str]:
    return {function: "done" if function in allowed else otherwise for function in CALLS}


def test_every_public_function_is_called_by_a_test_of_access(hosted_world: World, host: Host) -> None:
    functions = hosted_world.run("select proname from pg_proc where pronamespace = 'public'::regnamespace")
    known = {*CALLS, *PEOPLE_CALLS}
    assert {name for (name,) in functions} == known
    for role in of(host, ["app_servers"], ["authenticated", "service_role"]):
        twins = hosted_world.run(
            "select p.proname from pg_proc as p where p.pronamespace = 'bookingdb'::regnamespace"
            " and has_function_privilege(%s, p.oid, 'execute')",
            role,
        )
        trust = set() if role == "authenticated" else {"act_for_anyone"}
        assert {name for (name,) in twins} == {*known, "caller_is_trusted", "actor_id", *trust}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_trusted_callers_may_call_everything(
    hosted_world: World, scene: dict[str, Any], host: Host, schema: str
) -> None:
    callers = of(
        host,
        [(OWNER, ""), (SUPERUSER, ""), ("app_server", ""), ("lazy_server", "app_servers")],
        [("authenticator", "service_role")],
    )
    for login, role in callers:
        with acting(hosted_world, login, role) as connection:
            # The owner and superusers work without being told to.
            done = set(CALLS) if login in (OWNER, SUPERUSER) else set(CALLS) - WORKERS
            assert answers(connection, schema, scene) == expected(done, "not_allowed"), (login, role)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_no_right_to_execute_ends_every_session_call(
    hosted_world: World, scene: dict[str, Any], host: Host, schema: str
) -> None:
    callers = of(host, [("stranger", ""), ("lazy_server", "")], [("authenticator", "anon"), ("authenticator", "")])
    for login, role in callers:
        with acting(hosted_world, login, role, {"sub": scene["client"]}) as connection, nothing_written(hosted_world):
            assert answers(connection, schema, scene) == expected(set(), "42501"), (login, role)


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_logged_in_user_may_do_their_own_part(hosted_world: World, scene: dict[str, Any], schema: str) -> None:
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
def test_session_calls_need_good_claims(hosted_world: World, scene: dict[str, Any], schema: str) -> None:
    forged = [("impostor", "authenticated", {"sub": scene["client"], "role": "service_role"})]
    for login, role, claims in [*forged, *(("authenticator", "authenticated", c) for c in (None, "{}", "{", "null"))]:
        with acting(hosted_world, login, role, claims) as connection, nothing_written(hosted_world):
            assert answers(connection, schema, scene) == expected(set(), "not_authenticated"), (login, claims)


@on_supabase
def test_only_trusted_callers_decide_about_refunds(hosted_world: World, scene: dict[str, Any]) -> None:
    for person in (scene["client"], scene["therapist"]):
        for refund in (True, False):
            with logged_in(hosted_world, person) as connection, nothing_written(hosted_world), refused("not_allowed"):
                call(connection, "cancel_session", session_id=scene["session"], refund=refund)


@on_supabase
def test_unknown_id_is_not_found_for_everybody_alike(hosted_world: World, scene: dict[str, Any]) -> None:
    nothing = {**scene, **dict.fromkeys(("session", "begun", "missed", "request", "hold", "lot", "time_off"), uuid4())}
    for person in (scene["client"], scene["therapist"]):
        with logged_in(hosted_world, person) as connection, nothing_written(hosted_world):
            ended = answers(connection, "public", nothing)
            for function in EITHERS | THERAPISTS:
                assert ended[function] == "session_not_found"
            assert ended["release_hold"] == ended["book_hold"] == "hold_not_found"
            assert ended["remove_time_off"] == "time_off_not_found"
            assert ended["revoke_grant"] == "not_allowed"


@on_supabase
def test_stranger_to_a_session_does_not_wait_for_it(hosted_world: World, scene: dict[str, Any]) -> None:
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
        # A look at a session waits for nobody.
        assert {ended[function] for function in (EITHERS | THERAPISTS) - {"get_session", "join_session"}} == {"busy"}


@on_supabase
def test_a_therapist_learns_nothing_of_a_clients_credits(hosted_world: World, scene: dict[str, Any]) -> None:
    with logged_in(hosted_world, scene["therapist"]) as connection:
        for function, session_id in (("approve_session", "request"), ("confirm_session", "session"),
                                     ("cancel_session", "session"), ("reopen_session", "missed")):  # fmt: skip
            answer = call(connection, function, session_id=scene[session_id], idempotency_key="key")
            assert answer["credits_balance"] is None
            # Nor by asking again.
            assert call(connection, function, session_id=scene[session_id], idempotency_key="key") == answer
    with logged_in(hosted_world, scene["client"]) as connection:
        # Whose key the therapist's is, too, and with it what was answered.
        answer = call(connection, "cancel_session", session_id=scene["session"], idempotency_key="key")
        assert answer["credits_balance"] == hosted_world.balance(scene["client"]) == 7


@on_supabase
def test_audit_log_has_actor_and_reason(hosted_world: World, scene: dict[str, Any]) -> None:
    with logged_in(hosted_world, scene["therapist"]) as connection:
        call(connection, "confirm_session", session_id=scene["session"])
        call(connection, "reschedule_session", session_id=scene["session"], session_date=LATER, session_time="09:30")
    with logged_in(hosted_world, scene["client"]) as connection:
        call(connection, "cancel_session", session_id=scene["session"], reason="I am ill")

    entries = hosted_world.run(
        "select actor, action, old_status, new_status, changes -> 'start_time',"
        " bookingdb.resolved_changes(changes) -> 'cancellation_reason' ->> 'new',"
        " created_at > now() - interval '1 minute'"
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
