"""A trusted caller who acts as a user is judged exactly as that user logged in, and gains nothing by it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support import TOMORROW, Connection, World, run, scalar
from tests.support.callers import OWNER, SCHEMAS, SUPERUSER, acting, logged_in, of
from tests.support.calls import CALLS, PEOPLE_CALLS, make_scene
from tests.support.databases import on_supabase
from tests.support.hosts import Host
from tests.support.interleaving import session_of
from tests.support.life import DAY, call, close_window, require_sound
from tests.support.refusals import nothing_written, outcome, refused

EXAMPLES = {**{name: example.arguments for name, example in CALLS.items()}, **PEOPLE_CALLS}
SETTING = "select set_config('bookingdb.acting_as', %s, %s)"
# What differs from call to call: new ids and secrets, and the present.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|feed_[0-9a-f]{64}")
_PRESENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\S*?(?=[\",)]|$)")


@pytest.fixture
def world(hosted_world: World) -> World:
    return hosted_world


@pytest.fixture
def scene(world: World) -> dict[str, Any]:
    scene = make_scene(world)
    people = {"me": scene["client"], "email": f"{uuid4()}@example.com", "id": uuid4()}
    return {**scene, **people, "date": TOMORROW + DAY}


def acting_as(connection: Connection, person: object, *, local: bool = False) -> None:
    """Set what act_as() sets, for the connection unless it is to be local."""
    run(connection, SETTING, str(person), local)


def judged(connection: Connection, scene: dict[str, Any], schema: str = "public") -> dict[str, Any]:
    """Make every call in a transaction that is rolled back; return what each answered, or how it was refused."""
    return {name: answer(connection, name, scene, schema) for name in EXAMPLES}


def answer(connection: Connection, name: str, scene: dict[str, Any], schema: str = "public") -> Any:
    known = {str(value) for value in scene.values()}
    answers: list[str] = []

    def ask() -> None:
        rows = connection.execute(f"select r::text from {schema}.{name}({EXAMPLES[name]}) as r".encode(), scene)
        for (text,) in rows:
            without_ids = _ID.sub(lambda found: found[0] if found[0] in known else "an id", text)
            answers.append(_PRESENT.sub("now", without_ids))

    with connection.transaction(force_rollback=True):
        ended = outcome(ask)
    return answers if ended == "done" else ended


def people_of(world: World, scene: dict[str, Any]) -> list[UUID]:
    """The people of the scene, others, and somebody unknown."""
    return [scene["client"], scene["therapist"], world.client(credits=1), world.therapist(), uuid4()]


# ----------------------------------------------------------------------------------------------------------------------
# As logged in
# ----------------------------------------------------------------------------------------------------------------------


@on_supabase
@pytest.mark.parametrize("schema", SCHEMAS)
def test_acting_as_a_user_is_judged_as_logged_in(world: World, scene: dict[str, Any], schema: str) -> None:
    trusted = [(OWNER, ""), (SUPERUSER, ""), ("app_server", ""), ("authenticator", "service_role")]
    for person in people_of(world, scene):
        with logged_in(world, person) as connection:
            expected = judged(connection, scene, schema)
        for login, role in trusted:
            with acting(world, login, role) as connection:
                acting_as(connection, person)
                assert judged(connection, scene, schema) == expected, (login, role, person)
    with acting(world, OWNER) as connection:
        assert all(isinstance(ended, list) for ended in judged(connection, scene, schema).values())
    require_sound(world)


@on_supabase
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_old_snapshot_judges_an_actor_as_logged_in(world: World, scene: dict[str, Any], level: str) -> None:
    """The hours changed since the snapshot: what depends on them asks for a retry, for both alike."""
    ended: list[dict[str, Any]] = []
    hours = '[{"weekday": 1, "start_time": "08:00", "end_time": "09:00"}]'
    for caller in (logged_in(world, scene["client"]), acting(world, OWNER)):
        with caller as connection:
            if ended:
                acting_as(connection, scene["client"])
            ended.append({})
            for name in EXAMPLES:
                run(connection, f"begin isolation level {level}")
                run(connection, "select count(*) from sessions")
                world.run("select set_weekly_hours(%s, %s)", scene["therapist"], hours)
                world.run("select set_weekly_hours(%s, '[]')", scene["therapist"])
                ended[-1][name] = answer(connection, name, scene)
                run(connection, "rollback")
    assert ended[0] == ended[1]
    assert "40001" in ended[0].values()


def test_plain_postgres_judges_an_actor_as_a_user(world: World, scene: dict[str, Any], host: Host) -> None:
    """What a logged-in client may do and a stranger may not; the same on every host."""
    balance = str(world.balance(scene["client"]))
    own = {
        "act_as": "not_allowed", "get_credit_balance": [balance], "grant_credits": "not_allowed", "release_hold": [""],
        "confirm_session": "not_allowed", "set_weekly_hours": "not_allowed", "register_client": "not_allowed",
    }  # fmt: skip
    for login, role in of(host, [(OWNER, ""), (SUPERUSER, ""), ("app_server", ""), ("lazy_server", "app_servers")], []):
        with acting(world, login, role) as connection:
            acting_as(connection, scene["client"])
            ended = judged(connection, scene)
            assert {name: ended[name] for name in own} == own
            acting_as(connection, uuid4())
            ended = judged(connection, scene)
            assert {ended[name] for name in own} == {"not_allowed"}


def test_late_cancellation_of_an_actor_keeps_the_credit(world: World) -> None:
    """As the application's server, the same call would return it."""
    client, therapist = world.client(credits=2), world.therapist()
    sessions = [world.book(client, therapist, at)["id"] for at in ("10:00", "12:00")]
    for session in sessions:
        close_window(world.connection, session)
    with acting(world, "app_server") as connection:
        with connection.transaction():
            run(connection, "select act_as(%s)", client)
            assert call(connection, "cancel_session", session_id=sessions[0])["refunded"] is False
            with refused("not_allowed"), connection.transaction():
                call(connection, "cancel_session", session_id=sessions[1], refund=True)
        assert call(connection, "cancel_session", session_id=sessions[1])["refunded"] is True
    assert world.balance(client) == 1
    require_sound(world)


def test_an_actor_books_nobody_elses_hold(world: World, scene: dict[str, Any]) -> None:
    other = world.client(credits=3)
    with acting(world, "app_server") as connection, nothing_written(world):
        acting_as(connection, other)
        for function in ("book_hold", "release_hold"):
            with refused("not_allowed"):
                call(connection, function, hold_id=scene["hold"])


def test_records_name_the_user_who_acts(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    with acting(world, "app_server") as connection:
        acting_as(connection, str(client).upper())
        booked = call(
            connection, "create_session_with_credit_deduction",
            user_id=client, therapist_id=therapist, session_date=TOMORROW, session_time="10:00",
        )  # fmt: skip
        acting_as(connection, therapist)
        call(connection, "confirm_session", session_id=booked["id"])
        acting_as(connection, client)
        call(connection, "cancel_session", session_id=booked["id"])

    actors = [str(client), str(therapist), str(client)]
    assert [actor for (actor,) in world.run("select actor from booking_audit_log order by id")] == actors
    kept = "select kind, actor from bookingdb.ledger where session_id is not null order by id"
    assert world.run(kept) == [("debit", str(client)), ("refund", str(client))]
    require_sound(world)


def test_direct_write_while_acting_names_the_user(world: World) -> None:
    client, therapist = world.client(credits=2), world.therapist()
    session = world.book(client, therapist)["id"]
    with session_of(world) as connection, connection.transaction():
        run(connection, "select act_as(%s)", client)
        run(connection, "update sessions set status = 'cancelled' where id = %s", session)
        run(connection, "update user_credits set credits_balance = 5 where user_id = %s", client)
    world.run("update sessions set title = 'x' where id = %s", session)

    actors = [actor for (actor,) in world.run("select actor from booking_audit_log order by id")]
    assert actors == [world.owner, str(client), world.owner]
    assert world.run("select actor from bookingdb.ledger where kind = 'direct'") == [(str(client),)]
    require_sound(world)


def test_an_actor_registers_nobody(world: World) -> None:
    """No e-mail address was proven: the application's server registers people as itself."""
    with acting(world, "app_server") as connection:
        client = scalar(connection, "select register_client('ada@example.com')")
        acting_as(connection, client)
        with nothing_written(world):
            for email in ("ada@example.com", "new@example.com"):
                with refused("not_allowed") as refusal:
                    run(connection, "select register_client(%s)", email)
                assert refusal.detail["parameter"] == "p_email"


# ----------------------------------------------------------------------------------------------------------------------
# Row security
# ----------------------------------------------------------------------------------------------------------------------


def test_row_security_shows_an_actor_their_own_rows(world: World, scene: dict[str, Any]) -> None:
    world.book(world.client(credits=1), scene["therapist"], "22:00")
    tables = ["users", "sessions", "user_credits", "booking_audit_log"]
    everything = [rows(world.connection, table) for table in tables]
    sessions = everything[1]
    with acting(world, "app_server") as connection:
        assert [rows(connection, table) for table in tables] == everything
        acting_as(connection, scene["client"])
        assert [rows(connection, table) for table in tables] == [1, sessions - 1, 2, 0]
        acting_as(connection, scene["therapist"])
        assert [rows(connection, table) for table in tables] == [1, sessions, 0, 0]
        for nobody in (uuid4(), "nobody", "*"):
            acting_as(connection, nobody)
            assert [rows(connection, table) for table in tables] == [0, 0, 0, 0]
    # It does not bind the owner, whoever they act as.
    with session_of(world) as connection:
        acting_as(connection, scene["client"])
        assert [rows(connection, table) for table in tables] == everything


def rows(connection: Connection, table: str) -> int:
    return int(scalar(connection, f"select count(*) from {table}"))


# ----------------------------------------------------------------------------------------------------------------------
# Nothing is gained
# ----------------------------------------------------------------------------------------------------------------------


@on_supabase
def test_untrusted_role_gains_nothing_by_the_setting(world: World, scene: dict[str, Any]) -> None:
    other = world.client(credits=3)
    with nothing_written(world):
        # Who names somebody else is nobody, rather than silently themselves; who names themselves is themselves.
        with logged_in(world, other, email="other@example.com") as connection:
            expected = judged(connection, scene)
            for somebody in (scene["client"], scene["therapist"], uuid4(), "nobody", other.hex, f" {other}"):
                acting_as(connection, somebody)
                assert set(map(str, judged(connection, scene).values())) == {"not_authenticated"}
                assert rows(connection, "sessions") == rows(connection, "users") == 0
            for themselves in (other, str(other).upper(), ""):
                acting_as(connection, themselves)
                assert judged(connection, scene) == expected
        for login, role in (("impostor", ""), ("impostor", "authenticated"), ("authenticator", "authenticated")):
            with acting(world, login, role) as connection:
                acting_as(connection, scene["client"])
                assert set(map(str, judged(connection, scene).values())) == {"not_authenticated"}, (login, role)
        for login, role in (("stranger", ""), ("authenticator", "anon"), ("authenticator", "")):
            with acting(world, login, role) as connection:
                acting_as(connection, scene["client"])
                assert set(map(str, judged(connection, scene).values())) == {"42501"}, (login, role)


@contextmanager
def able_to_execute(world: World, role: str) -> Iterator[None]:
    """Let a role execute everything that is public, without trusting it."""
    functions = "all functions in schema public"
    world.run(f"grant execute on {functions} to {role}")
    world.run(f"grant usage on schema bookingdb to {role}")
    granted = [
        signature
        for (signature,) in world.run(
            "select p.oid::regprocedure::text from pg_proc as p where p.pronamespace = 'bookingdb'::regnamespace"
            " and has_function_privilege('app_servers', p.oid, 'execute') and p.proname <> 'act_for_anyone'"
        )
    ]
    for signature in granted:
        world.run(f"grant execute on function {signature} to {role}")
    try:
        yield
    finally:
        world.run(f"revoke execute on {functions} from {role}")
        world.run(f"revoke usage on schema bookingdb from {role}")
        for signature in granted:
            world.run(f"revoke execute on function {signature} from {role}")


def test_role_that_may_execute_everything_acts_as_nobody(world: World, scene: dict[str, Any]) -> None:
    with able_to_execute(world, "stranger"), nothing_written(world), acting(world, "stranger") as connection:
        for somebody in ("", scene["client"], "nobody"):
            acting_as(connection, somebody)
            assert set(map(str, judged(connection, scene).values())) == {"not_authenticated"}
            assert [scalar(connection, f"select bookingdb.{f}()") for f in ("caller_is_trusted", "actor_id")] == [
                False, None,
            ]  # fmt: skip


@pytest.mark.parametrize(
    "garbage",
    ["nobody", " ", "0", "null", "service_role", "'; reset role; --", "00000000000040008000000000000000",
     "{00000000-0000-4000-8000-000000000000}", "00000000-0000-4000-8000-00000000000",
     "00000000-0000-4000-8000-0000000000000"],
)  # fmt: skip
def test_garbage_in_the_setting_is_nobody(world: World, scene: dict[str, Any], garbage: str) -> None:
    for login in (OWNER, SUPERUSER, "app_server"):
        with acting(world, login) as connection, nothing_written(world):
            acting_as(connection, garbage)
            assert set(map(str, judged(connection, scene).values())) == {"not_authenticated"}, login


def test_empty_setting_is_no_acting(world: World, scene: dict[str, Any]) -> None:
    """A setting becomes empty after the transaction that set it."""
    with acting(world, "app_server") as connection:
        expected = judged(connection, scene)
        with connection.transaction():
            run(connection, "select act_as(%s)", scene["client"])
        assert scalar(connection, "select current_setting('bookingdb.acting_as')") == ""
        assert judged(connection, scene) == expected


def test_calls_of_an_actor_end_acting_for_nobody(world: World, scene: dict[str, Any]) -> None:
    """Whatever an actor calls: who acts is the same afterwards, and act_as() makes no other of them."""
    other = world.client()
    with acting(world, "app_server") as connection:
        for name, arguments in EXAMPLES.items():
            with ExitStack() as stack:
                stack.enter_context(connection.transaction(force_rollback=True))
                run(connection, "select act_as(%s)", scene["client"])
                with connection.transaction(force_rollback=True):
                    outcome(partial(connection.execute, f"select public.{name}({arguments})".encode(), scene))
                for somebody in (other, scene["client"], None):
                    with refused("not_allowed"), connection.transaction():
                        run(connection, "select act_as(%s)", somebody)
                assert scalar(connection, "select bookingdb.actor_id()") == scene["client"]


def test_act_as_needs_an_id(world: World) -> None:
    with acting(world, "app_server") as connection, refused("invalid_user_id"):
        run(connection, "select act_as(null)")


# ----------------------------------------------------------------------------------------------------------------------
# What is around it
# ----------------------------------------------------------------------------------------------------------------------


def test_acting_ends_with_its_savepoint_and_transaction(world: World, scene: dict[str, Any]) -> None:
    with acting(world, "app_server") as connection:
        trusted = "select bookingdb.caller_is_trusted()"
        for end in ("commit", "rollback"):
            run(connection, "begin")
            run(connection, "savepoint before")
            run(connection, "select act_as(%s)", scene["client"])
            run(connection, "savepoint within")
            assert outcome(partial(run, connection, "select * from grant_credits(%s, 1)", scene["client"])) == (
                "not_allowed"
            )
            run(connection, "rollback to within")
            assert scalar(connection, trusted) is False
            run(connection, "release within")
            assert scalar(connection, trusted) is False
            run(connection, "rollback to before")
            assert scalar(connection, trusted) is True
            run(connection, "select act_as(%s)", scene["client"])
            run(connection, end)
            assert scalar(connection, trusted) is True


def test_definer_function_around_it_judges_the_actor(world: World, scene: dict[str, Any]) -> None:
    """It may act as its caller's user within its own statements, and lends nobody the trust of its owner."""
    world.run(
        "create function app_cancel(p_user_id uuid, p_session_id uuid) returns boolean language plpgsql"
        " security definer set search_path = pg_catalog, pg_temp as $$ begin"
        " perform public.act_as(p_user_id); return (public.cancel_session(p_session_id)).refunded; end $$"
    )
    try:
        close_window(world.connection, scene["session"])
        world.run("grant execute on function app_cancel(uuid, uuid) to app_servers")
        with acting(world, "app_server") as connection:
            other = world.client()
            with refused("not_allowed"):
                run(connection, "select app_cancel(%s, %s)", other, scene["session"])
            assert scalar(connection, "select app_cancel(%s, %s)", scene["client"], scene["session"]) is False
        world.run("grant execute on function app_cancel(uuid, uuid) to stranger")
        with acting(world, "stranger") as connection, refused("not_authenticated"):
            run(connection, "select app_cancel(%s, %s)", scene["client"], scene["request"])
    finally:
        world.run("drop function app_cancel(uuid, uuid)")
    assert world.violations() == []


def test_series_and_moves_of_an_actor_stay_their_own(world: World) -> None:
    """One transaction, several calls: each is the user's."""
    client, therapist = world.client(credits=5), world.therapist()
    with acting(world, "app_server") as connection, connection.transaction():
        run(connection, "select act_as(%s)", client)
        run(connection, "select lock_for_booking(array[%s, %s]::uuid[])", client, therapist)
        run(connection, "select book_series(%s, %s, %s, '09:00', 3)", client, therapist, TOMORROW)
        first = scalar(connection, "select id from sessions order by start_time limit 1")
        call(connection, "reschedule_session", session_id=first, session_date=TOMORROW + DAY, session_time=dt.time(7))
    assert world.run("select distinct actor from booking_audit_log") == [(str(client),)]
    require_sound(world)
