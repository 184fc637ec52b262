"""The real clients of Supabase, over a PostgREST of the tests: booking, being refused, listing; races with writers."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest

from bookingdb.checks import verify
from bookingdb.install import installer
from tests.support import TOMORROW, Connection, World, book, connect, lasting, run
from tests.support.databases import on_supabase
from tests.support.interleaving import session_of
from tests.support.postgrest import APPLICATION_NAME, Login, PostgREST, serving
from tests.support.refusals import PROMISED, nothing_written
from tests.support.supabase_clients import Answer, AsyncSupabasePy, Client, Steps, SupabaseJs, SupabasePy

pytestmark = [
    on_supabase,
    # supabase-py's own: it hands an argument to its parts that it calls outdated.
    pytest.mark.filterwarnings("ignore:The '(timeout|verify)' parameter is deprecated:DeprecationWarning"),
]

BOOK = "create_session_with_credit_deduction"
FULL = os.environ.get("BOOKINGDB_STORM") == "full"
SECONDS = 20.0 if FULL else 3.0


@pytest.fixture
def world(hosted_world: World) -> World:
    return hosted_world


@pytest.fixture(scope="module")
def server(hosted_database: str) -> Iterator[PostgREST]:
    with serving(hosted_database) as running:
        yield running


CLIENTS: dict[str, Callable[[], Client]] = {"python": SupabasePy, "asyncio": AsyncSupabasePy, "javascript": SupabaseJs}


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    client = CLIENTS[request.param]()
    yield client
    client.close()


# Asyncio makes no difference to what a server does.
TWO_CLIENTS = pytest.mark.parametrize("client", ["python", "javascript"], indirect=True)


@dataclass
class Scene:
    """A client that asks the server, and a world in which there is something to be refused."""

    world: World
    server: PostgREST
    client: Client
    therapist: UUID
    second_therapist: UUID
    # Has credits, and a session with the second therapist at 14:00.
    me: UUID
    # Has credits, and a session with the therapist at 10:00.
    other: UUID
    poor: UUID
    others_session: UUID

    @property
    def my_login(self) -> Login:
        return self.server.user(self.me)

    def ask(self, login: Login, *steps: Any) -> Answer:
        return self.client.ask(self.server.url, login, steps)

    def booking(self, at: str = "12:00", **changes: Any) -> tuple[Any, ...]:
        """The step that books me with the therapist; changes are of parameters without the p_."""
        parameters = {
            "user_id": self.me, "therapist_id": self.therapist, "session_date": TOMORROW, "session_time": at, **changes,
        }  # fmt: skip
        return ("rpc", BOOK, {f"p_{name}": value for name, value in parameters.items()})

    def row(self, at: str = "12:00", **changes: Any) -> dict[str, Any]:
        """An hour of mine with the therapist, as a row of sessions."""
        return {"user_id": self.me, "therapist_id": self.therapist, **hour(at), **changes}


@pytest.fixture
def scene(world: World, server: PostgREST, client: Client) -> Scene:
    therapist, second_therapist = world.therapist(), world.therapist()
    me, other = world.client(credits=3), world.client(credits=3)
    world.book(me, second_therapist, "14:00")
    session = world.book(other, therapist, "10:00", idempotency_key="cart-1")["id"]
    return Scene(world, server, client, therapist, second_therapist, me, other, world.client(), session)


def hour(at: str, later: dt.timedelta = dt.timedelta()) -> dict[str, str]:
    start = dt.datetime.combine(TOMORROW, dt.time.fromisoformat(at), dt.UTC) + later
    return {"start_time": start.isoformat(), "end_time": (start + dt.timedelta(hours=1)).isoformat()}


# ----------------------------------------------------------------------------------------------------------------------
# The server itself: a test through it says something only where it does what PostgREST does
# ----------------------------------------------------------------------------------------------------------------------

STATUSES = {
    "08006": 503, "22023": 400, "22P02": 400, "23502": 400, "23503": 409, "23505": 409, "23514": 400, "23P01": 400,
    "25006": 405, "2D000": 500, "40001": 500, "40P01": 500, "42501": 403, "42883": 404, "42P01": 404, "53300": 503,
    "54001": 500, "55P03": 500, "57014": 500, "57P01": 503, "P0001": 400, "P0002": 500, "PT409": 409, "PT418": 418,
    "XX000": 500,
}  # fmt: skip
APPLICATION = """
    create function public.fail(state text) returns void language plpgsql as $$
    begin
        raise exception using errcode = state, message = 'Short and stout', detail = 'a detail', hint = 'a hint';
    end;
    $$;
    create function public.look() returns jsonb language plpgsql volatile as $$
    begin
        return jsonb_build_object(
            'users', array[session_user, current_user], 'settings', array[
                current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('search_path'),
                current_setting('transaction_read_only'), current_setting('transaction_isolation'),
                current_setting('request.method'), current_setting('request.path')
            ],
            'claims', current_setting('request.jwt.claims')::jsonb,
            'profile', current_setting('request.headers')::jsonb -> 'content-profile'
        );
    end;
    $$;
    create function public.look_only() returns jsonb language sql stable return public.look();
    grant execute on all functions in schema public to anon, authenticated, service_role;
"""


@pytest.fixture
def application(hosts_empty_database: str) -> Iterator[PostgREST]:
    """A server over a database in which there are no functions but those of an application."""
    with connect(hosts_empty_database) as owner:
        run(owner, APPLICATION)
    with serving(hosts_empty_database) as running:
        yield running


PYTHON = pytest.mark.parametrize("client", ["python"], indirect=True)


@PYTHON
def test_the_server_gives_errors_the_status_that_postgrest_does(application: PostgREST, client: Client) -> None:
    user = application.user(uuid4())
    answers = {state: client.ask(application.url, user, [("rpc", "fail", {"state": state})]) for state in STATUSES}

    assert {state: answer.status for state, answer in answers.items()} == STATUSES
    for state, answer in answers.items():
        assert answer.error == {
            "code": state, "message": "Short and stout", "details": "a detail", "hint": "a hint",
        }  # fmt: skip
        assert (answer.reason == "Short and stout") == state.startswith("PT")


@PYTHON
def test_the_server_makes_each_transaction_that_of_who_asks(application: PostgREST, client: Client) -> None:
    user = uuid4()
    asked = [(application.user(user), "look"), (application.nobody, "look_only"), (application.service, "look")] * 2
    seen = [client.ask(application.url, login, [("rpc", function, {})]).data for login, function in asked]

    # The second time on connections on which somebody else asked before.
    assert seen[:3] == seen[3:]
    by_user, by_nobody, by_service = seen[:3]
    path = '"public", "public", "extensions"'
    assert by_user["users"] == ["authenticator", "authenticated"]
    assert by_user["settings"] == ["8s", "8s", path, "off", "read committed", "POST", "/rpc/look"]
    assert (by_user["claims"]["sub"], by_user["claims"]["role"]) == (str(user), "authenticated")
    assert by_user["profile"] == "public"
    assert by_nobody["users"] == ["authenticator", "anon"]
    assert by_nobody["settings"] == ["3s", "8s", path, "on", "read committed", "POST", "/rpc/look_only"]
    assert by_nobody["claims"].keys() == {"iss", "exp", "role"}
    assert by_service["users"] == ["authenticator", "service_role"]


# ----------------------------------------------------------------------------------------------------------------------
# Booking and listing
# ----------------------------------------------------------------------------------------------------------------------


def test_user_books_and_a_retry_gets_the_same_session(scene: Scene) -> None:
    step = scene.booking(idempotency_key="cart-1", session_type="phone", notes="Grüße ☎", time_zone="Europe/Berlin")
    first = scene.ask(scene.my_login, step)
    again = scene.ask(scene.my_login, step, ("single",))

    assert (first.status, first.reason, first.error) == (200, "OK", None)
    (session,) = first.data
    assert again.data == session
    expected = {
        "user_id": str(scene.me), "therapist_id": str(scene.therapist), "status": "scheduled", "credits_balance": 1,
        "session_type": "phone", "description": "Grüße ☎", "duration_minutes": 60, "time_zone": "Europe/Berlin",
        "scheduled_date": TOMORROW.isoformat(), "scheduled_time": "12:00:00",
    }  # fmt: skip
    assert {name: session[name] for name in expected} == expected
    stored = "select id from sessions where user_id = %s and therapist_id = %s and time_zone = 'Europe/Berlin'"
    assert str(scene.world.scalar(stored, scene.me, scene.therapist)) == session["id"]
    assert scene.world.balance(scene.me) == 1
    assert scene.world.violations() == []


def test_answers_arrive_with_their_types(scene: Scene) -> None:
    me = {"p_user_id": scene.me}
    assert scene.ask(scene.my_login, ("rpc", "get_credit_balance", me)).data == 2
    assert scene.ask(scene.my_login, ("rpc", "get_credit_balance", me, {"get": True})).data == 2

    history = scene.ask(scene.my_login, ("rpc", "get_credit_history", {**me, "p_limit": 10})).data
    assert [(entry["kind"], entry["amount"], entry["balance_after"]) for entry in history] == [
        ("debit", -1, 2), ("grant", 3, 3),
    ]  # fmt: skip
    newest = ("rpc", "get_credit_history", me), ("select", "kind,amount"), ("limit", 1), ("single",)
    assert scene.ask(scene.my_login, *newest).data == {"kind": "debit", "amount": -1}

    taken = {"p_therapist_id": scene.therapist, "p_session_date": TOMORROW, "p_end_time": "10:45"}
    for start, busy in (("10:15", True), ("09:00", True), ("10:45", True)):
        check = ("rpc", "check_booking_conflict", {**taken, "p_start_time": start})
        assert scene.ask(scene.my_login, check).data is busy
    free = {**taken, "p_start_time": "11:00", "p_end_time": "12:00"}
    assert scene.ask(scene.my_login, ("rpc", "check_booking_conflict", free)).data is False

    void = scene.ask(scene.my_login, ("rpc", "lock_for_booking", {"p_people": [scene.me, scene.therapist]}))
    assert (void.status, void.error) == (204, None)


def test_everybody_lists_their_own_sessions(scene: Scene) -> None:
    later = scene.world.book(scene.me, scene.therapist, "16:00")["id"]
    sessions = ("from", "sessions"), ("select", "id,user_id,start_time"), ("order", "start_time", {"ascending": False})

    mine = scene.ask(scene.my_login, *sessions).data
    assert [session["user_id"] for session in mine] == [str(scene.me)] * 2
    assert mine[0]["id"] == str(later)
    assert dt.datetime.fromisoformat(mine[0]["start_time"]).astimezone(dt.UTC).hour == 16
    assert scene.ask(scene.my_login, *sessions, ("limit", 1)).data == mine[:1]
    assert scene.ask(scene.my_login, *sessions, ("eq", "id", later), ("single",)).data == mine[0]
    assert scene.ask(scene.my_login, *sessions, ("eq", "user_id", scene.other)).data == []

    hers = scene.ask(scene.server.user(scene.therapist), *sessions).data
    assert [session["id"] for session in hers] == [str(later), str(scene.others_session)]
    assert scene.ask(scene.server.user(uuid4()), *sessions).data == []
    assert len(scene.ask(scene.server.service, *sessions).data) == 3
    assert len(scene.ask(scene.my_login, ("from", "user_credits"), ("select", "*")).data) == 1
    assert len(scene.ask(scene.server.service, ("from", "user_credits"), ("select", "*")).data) == 2


def test_service_role_writes_sessions_and_the_rules_hold(scene: Scene) -> None:
    service = scene.server.service
    sessions = ("from", "sessions")
    assert scene.ask(service, sessions, ("insert", scene.row("18:00"))).status == 201
    placed = scene.ask(service, sessions, ("insert", [scene.row("20:00")]), ("select", "id,status"), ("single",))
    assert (placed.status, placed.data["status"]) == (201, "scheduled")
    one = ("eq", "id", placed.data["id"])

    assert scene.ask(service, sessions, ("update", hour("22:00")), one).status in (200, 204)
    assert scene.ask(service, sessions, ("update", hour("18:30")), one).code == "booking_conflict"
    assert scene.ask(service, sessions, ("update", {"status": "cancelled"}), one).error is None
    assert scene.ask(scene.my_login, scene.booking("22:00")).status == 200
    assert scene.ask(service, sessions, ("update", {"status": "scheduled"}), one).code == "booking_conflict"
    assert scene.ask(service, sessions, ("delete",), one).status in (200, 204)
    assert scene.ask(service, sessions, ("select", "id"), one).data == []
    assert scene.world.violations() == []


def test_service_role_registers_grants_and_books_for_anyone(scene: Scene) -> None:
    registered = scene.ask(scene.server.service, ("rpc", "register_client", {"p_email": "zoe@example.com"}))
    granted = scene.ask(scene.server.service, ("rpc", "grant_credits", {"p_user_id": registered.data, "p_amount": 1}))
    booked = scene.ask(scene.server.service, scene.booking(user_id=registered.data), ("select", "credits_balance"))

    assert granted.data == [
        {"lot_id": granted.data[0]["lot_id"], "lot_balance": 1, "credits_balance": 1, "is_new": True}
    ]
    assert booked.data == [{"credits_balance": 0}]
    assert scene.world.violations() == []


# ----------------------------------------------------------------------------------------------------------------------
# Refusals
# ----------------------------------------------------------------------------------------------------------------------

Ask = tuple[Login, *tuple[Any, ...]]
Case = Callable[[Scene], Ask]


def by_me(*steps: Any, **changes: Any) -> Case:
    """I take these steps, or book with these changes."""
    return lambda scene: (scene.my_login, *(steps or [scene.booking(**changes)]))


def by_service(table: str, *steps: Any, **changes: Any) -> Case:
    """service_role takes these steps with a table, or inserts a row of mine with these changes."""
    return lambda scene: (scene.server.service, ("from", table), *(steps or [("insert", scene.row(**changes))]))


def with_token(**claims: Any) -> Case:
    """I book, with other claims than mine."""
    return lambda scene: (scene.server.user(scene.me, **claims), scene.booking())


def forged(scene: Scene) -> Ask:
    claims = {"sub": str(scene.me), "role": "authenticated", "exp": int(time.time()) + 3600}
    return (Login(scene.server.nobody.key, jwt.encode(claims, "another project's secret of 32 bytes")), scene.booking())


# What is asked for, and the code of the table that it is refused with.
OURS: dict[str, tuple[str, Case]] = {
    "a token of nobody": ("not_authenticated", with_token(sub="")),
    "a token whose user is no uuid": ("not_authenticated", with_token(sub="me")),
    "for somebody else": ("not_allowed", lambda s: (s.server.user(s.other), s.booking())),
    "another's balance": ("not_allowed", lambda s: (s.my_login, ("rpc", "get_credit_balance", {"p_user_id": s.other}))),
    "credits for oneself": (
        "not_allowed",
        lambda s: (s.my_login, ("rpc", "grant_credits", {"p_user_id": s.me, "p_amount": 9})),
    ),
    "no therapist": ("invalid_therapist_id", by_me(therapist_id=None)),
    "no user": ("invalid_user_id", lambda s: (s.server.service, s.booking(user_id=None))),
    "five minutes": ("invalid_duration", by_me(duration_minutes=5)),
    "a zone of Mars": ("invalid_time_zone", by_me(time_zone="Mars+5")),
    "no date": ("invalid_date", by_me(session_date=None)),
    "a date of long ago": ("invalid_date", by_me(session_date="1800-01-01")),
    "seconds": ("invalid_time", by_me(at="12:00:30")),
    "a skipped time": ("skipped_time", by_me(session_date="2030-03-31", at="02:30", time_zone="Europe/Berlin")),
    "a title too long": ("invalid_parameter", by_me(title="x" * 256)),
    "yesterday": ("in_past", by_me(session_date=TOMORROW - dt.timedelta(days=4))),
    "an unknown therapist": ("therapist_not_found", by_me(therapist_id="00000000-0000-4000-8000-000000000000")),
    "an unknown user": ("user_not_found", lambda s: (s.server.service, s.booking(user_id=uuid4()))),
    "without credits": ("insufficient_credits", lambda s: (s.server.user(s.poor), s.booking(user_id=s.poor))),
    "a taken slot": ("booking_conflict", by_me(at="10:30")),
    "a time of mine": ("client_conflict", by_me(at="14:30")),
    "another request with a known key": (
        "idempotency_key_reused",
        lambda s: (s.server.user(s.other), s.booking("18:00", user_id=s.other, idempotency_key="cart-1")),
    ),
    "a row over a session": ("booking_conflict", by_service("sessions", at="10:30")),
    "a row over a session of mine": ("client_conflict", by_service("sessions", at="13:30")),
    "rows over each other": (
        "booking_conflict",
        lambda s: (s.server.service, ("from", "sessions"), ("insert", [s.row("18:00"), s.row("18:30")])),
    ),
}

CANCEL = ("update", {"status": "cancelled"}), ("eq", "status", "scheduled")
READ = ("select", "*")

# What Postgres and PostgREST refuse themselves: HTTP status and code.
NOT_OURS: dict[str, tuple[int, str, Case]] = {
    "nobody books": (401, "42501", lambda s: (s.server.nobody, s.booking())),
    "nobody reads": (401, "42501", lambda s: (s.server.nobody, ("from", "sessions"), READ)),
    "nobody writes": (401, "42501", lambda s: (s.server.nobody, ("from", "sessions"), ("insert", s.row()))),
    "a token of a role that is not there": (401, "22023", with_token(role="king")),
    "a token of a role that is not the API's": (403, "42501", with_token(role="postgres")),
    "a broken token": (401, "PGRST301", lambda s: (Login(s.server.nobody.key, "x.y.z"), s.booking())),
    "a token that somebody else signed": (401, "PGRST301", forged),
    "an expired token": (401, "PGRST303", with_token(exp=1)),
    "a token of tomorrow": (401, "PGRST303", with_token(nbf=time.time() + 86400)),
    "a user inserts": (403, "42501", lambda s: (s.my_login, ("from", "sessions"), ("insert", s.row()))),
    "a user updates": (403, "42501", by_me(("from", "sessions"), *CANCEL)),
    "a user deletes": (403, "42501", by_me(("from", "sessions"), ("delete",), CANCEL[1])),
    "a user credits itself": (
        403,
        "42501",
        by_me(("from", "user_credits"), ("update", {"credits_balance": 9}), ("eq", "status", "active")),
    ),
    "a user reads the audit log": (403, "42501", by_me(("from", "booking_audit_log"), READ)),
    "service_role writes the audit log": (
        403,
        "42501",
        by_service("booking_audit_log", ("delete",), ("eq", "action", "created")),
    ),
    "a malformed uuid": (400, "22P02", by_me(therapist_id="not-a-uuid")),
    "a malformed date": (400, "22007", by_me(session_date="soon")),
    "a date that does not exist": (400, "22008", by_me(session_date="2030-02-30")),
    "a malformed time": (400, "22007", by_me(at="12h")),
    "a NUL": (400, "22P05", by_me(notes="\0")),
    "a fractional duration": (400, "22P02", by_me(duration_minutes=60.5)),
    "a session of an unknown user": (409, "23503", by_service("sessions", user_id=uuid4())),
    "a session that is there": (
        409,
        "23505",
        lambda s: (s.server.service, ("from", "sessions"), ("insert", s.row(id=s.others_session))),
    ),
    "a status that does not exist": (400, "23514", by_service("sessions", status="dreamt")),
    "booking by GET": (405, "25006", lambda s: (s.my_login, (*s.booking(), {"get": True}))),
    "an unknown argument": (404, "PGRST202", by_me(room="4")),
    "an argument too few": (404, "PGRST202", lambda s: (s.my_login, ("rpc", BOOK, {"p_user_id": s.me}))),
    "a function of the engine room": (404, "PGRST202", lambda s: (s.server.service, ("rpc", "check_invariants", {}))),
    "a table of the engine room": (404, "PGRST205", by_service("ledger", READ)),
    "a column of another table": (400, "PGRST204", by_service("sessions", credits_balance=1)),
    "a column of no table": (400, "42703", by_me(("from", "sessions"), ("select", "secrets"))),
    "the schema of the engine room": (406, "PGRST106", by_me(("schema", "bookingdb"), ("from", "ledger"), READ)),
    "a twin in its schema": (406, "PGRST106", lambda s: (s.my_login, ("schema", "bookingdb"), s.booking())),
    "one session of none": (
        406,
        "PGRST116",
        by_me(("from", "sessions"), READ, ("eq", "status", "no_show"), ("single",)),
    ),
}


def test_our_refusals_arrive_with_status_code_and_hint(scene: Scene) -> None:
    with nothing_written(scene.world):
        answers = {name: scene.ask(*asked(scene)) for name, (_, asked) in OURS.items()}

    for name, (code, _) in OURS.items():
        answer, (sqlstate, message) = answers[name], PROMISED[code]
        # MESSAGE is the reason phrase, too.
        assert (name, answer.status, answer.reason) == (name, int(sqlstate[2:]), message), answer
        assert answer.data is None
        assert answer.error is not None
        assert (answer.error["code"], answer.error["message"]) == (sqlstate, message)
        assert json.loads(answer.error["details"])["code"] == code
        assert answer.error["hint"]


def test_the_details_of_a_conflict_say_who_is_busy_and_when(scene: Scene) -> None:
    answer = scene.ask(scene.my_login, scene.booking("10:30"))

    assert answer.error is not None
    assert json.loads(answer.error["details"]) == {
        "code": "booking_conflict",
        "therapist_id": str(scene.therapist),
        "start_time": f"{TOMORROW}T10:30:00Z",
        "end_time": f"{TOMORROW}T11:30:00Z",
        "rule": "session",
        "next_free": f"{TOMORROW}T11:00:00Z",
        "time_zone": "UTC",
    }


def test_other_refusals_have_their_status_and_write_nothing(scene: Scene) -> None:
    with nothing_written(scene.world):
        answers = {name: scene.ask(*asked(scene)) for name, (_, _, asked) in NOT_OURS.items()}

    assert {name: (answer.status, answer.code) for name, answer in answers.items()} == {
        name: (status, code) for name, (status, code, _) in NOT_OURS.items()
    }
    for name, answer in answers.items():
        assert answer.data is None, name
        assert answer.error, name
        assert answer.error["message"], name


def test_the_key_of_an_api_is_asked_for_and_speaks_for_its_role(server: PostgREST, world: World) -> None:
    client = world.client(credits=3)

    def status(**headers: str) -> int:
        balance = f"{server.url}/rest/v1/rpc/get_credit_balance"
        return httpx.post(balance, json={"p_user_id": str(client)}, headers=headers).status_code

    assert status() == 401
    assert status(apikey="x") == 401
    assert status(apikey=server.nobody.key) == 401
    assert status(apikey=server.nobody.key, authorization=f"Bearer {server.user(client).token}") == 200
    assert status(apikey=server.service.key) == 200


def test_public_function_is_found_by_its_arguments_alone(scene: Scene) -> None:
    functions = scene.world.run(
        "select p.proname, p.proargnames[1:p.pronargs] from pg_proc as p where p.pronamespace = 'public'::regnamespace"
    )
    assert len(functions) >= 9
    for name, arguments in functions:
        answer = scene.ask(scene.server.nobody, ("rpc", name, dict.fromkeys(arguments)))
        # Found, and refused by the database.
        assert (answer.status, answer.code) == (401, "42501"), name
        assert answer.error is not None
        assert answer.error["message"] == f"permission denied for function {name}"


@TWO_CLIENTS
def test_overload_of_an_application_makes_calls_ambiguous(client: Client, hosts_empty_database: str) -> None:
    with connect(hosts_empty_database) as connection, serving(hosts_empty_database) as server:
        installer.migrate(connection)
        user = uuid4()
        run(connection, "select register_client('ada@example.com', null, %s)", user)
        balance = [("rpc", "get_credit_balance", {"p_user_id": user})]
        assert client.ask(server.url, server.user(user), balance).data == 0

        run(
            connection,
            "create function public.get_credit_balance(p_user_id text, p_at date default null) returns integer"
            " return 1000",
        )

        answer = client.ask(server.url, server.user(user), balance)
        assert (answer.status, answer.code) == (300, "PGRST203")
        assert any("get_credit_balance" in str(found) for found in verify.verify(connection))


# ----------------------------------------------------------------------------------------------------------------------
# Races with direct writers
# ----------------------------------------------------------------------------------------------------------------------

_threads = ThreadPoolExecutor(max_workers=2)

# Three ways in which service_role brings a session of other to 10:30 with the therapist, or with the client: the
# status that it has before, its hour, and what changes that, as a statement and as steps.
INSERT = "insert into public.sessions (id, user_id, therapist_id, start_time, end_time) values (%s, %s, %s, %s, %s)"
MOVE = "update public.sessions set start_time = %s, end_time = %s where id = %s"
COME_BACK = "update public.sessions set status = 'scheduled' where id = %s"


@dataclass
class Writing:
    """A direct write that puts a session on 20:30, by SQL and over HTTP."""

    statement: str
    parameters: list[Any]
    steps: Steps


def writing(world: World, way: str, user: UUID, therapist: UUID) -> Writing:
    session, times = uuid4(), hour("20:30")
    if way == "insert":
        row = {"id": session, "user_id": user, "therapist_id": therapist, **times}
        return Writing(INSERT, list(row.values()), [("from", "sessions"), ("insert", row)])
    before = hour("06:00") if way == "move" else times
    world.run(INSERT, session, user, therapist, *before.values())
    one = ("eq", "id", session)
    if way == "move":
        return Writing(MOVE, [*times.values(), session], [("from", "sessions"), ("update", times), one])
    world.run("update sessions set status = 'cancelled' where id = %s", session)
    return Writing(COME_BACK, [session], [("from", "sessions"), ("update", {"status": "scheduled"}), one])


@contextmanager
def transaction_as(world: World, role: str, user: UUID | None = None) -> Iterator[Connection]:
    """A transaction as PostgREST makes them, which the test ends."""
    with session_of(world, user="authenticator") as connection:
        run(connection, "begin")
        run(connection, f"set local role {role}")
        claims = json.dumps({"role": role, "sub": str(user)})
        run(connection, "select set_config('request.jwt.claims', %s, true)", claims)
        yield connection


@contextmanager
def asked_meanwhile(scene: Scene, login: Login, *steps: Any, waits: bool = True) -> Iterator[Future[Answer]]:
    """Ask in the background; the block begins when the request waits for a lock (or is answered, where it need not)."""
    waiting = (
        "select pid from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
        " and datname = current_database()"
    )
    answer = _threads.submit(scene.ask, login, *steps)
    with scene.world.connect(user=scene.world.superuser) as observer:
        deadline = time.monotonic() + 10
        while not run(observer, waiting, APPLICATION_NAME) and (waits or not answer.done()):
            assert not answer.done(), answer.result()
            assert time.monotonic() < deadline, "the request neither waits nor is answered"
            time.sleep(0.005)
    yield answer


WAYS = pytest.mark.parametrize("way", ["insert", "move", "come back"])
ENDINGS = pytest.mark.parametrize(
    ("ending", "shared"), [("commit", "therapist"), ("commit", "client"), ("rollback", "therapist")]
)


def outcome_of(ending: str, shared: str) -> tuple[int, str]:
    if ending == "rollback":
        return 200, ""
    return 409, "booking_conflict" if shared == "therapist" else "client_conflict"


@TWO_CLIENTS
@WAYS
@ENDINGS
def test_booking_that_waits_for_a_direct_write_conflicts(scene: Scene, way: str, ending: str, shared: str) -> None:
    with_whom = (scene.other, scene.therapist) if shared == "therapist" else (scene.me, scene.second_therapist)
    write = writing(scene.world, way, *with_whom)
    with transaction_as(scene.world, "service_role") as writer:
        run(writer, write.statement, *write.parameters)
        with asked_meanwhile(scene, scene.my_login, scene.booking("20:00")) as answer:
            run(writer, ending)

    assert (answer.result().status, answer.result().code) == outcome_of(ending, shared)
    assert scene.world.violations() == []


@TWO_CLIENTS
@WAYS
@ENDINGS
def test_direct_write_that_waits_for_a_booking_conflicts(scene: Scene, way: str, ending: str, shared: str) -> None:
    with_whom = (scene.other, scene.therapist) if shared == "therapist" else (scene.me, scene.second_therapist)
    write = writing(scene.world, way, *with_whom)
    with transaction_as(scene.world, "authenticated", scene.me) as booking:
        book(booking, scene.me, scene.therapist, "20:00")
        with asked_meanwhile(scene, scene.server.service, *write.steps) as answer:
            run(booking, ending)

    status, code = outcome_of(ending, shared)
    assert answer.result().code == code
    assert answer.result().status == status if code else answer.result().status in (200, 201, 204)
    assert scene.world.violations() == []


@TWO_CLIENTS
def test_two_direct_writes_over_http_see_each_other(scene: Scene) -> None:
    with transaction_as(scene.world, "service_role") as writer:
        run(writer, INSERT, uuid4(), scene.other, scene.therapist, *hour("20:30").values())
        with asked_meanwhile(
            scene, scene.server.service, ("from", "sessions"), ("insert", scene.row("20:00"))
        ) as answer:
            run(writer, "commit")

    assert (answer.result().status, answer.result().code) == (409, "booking_conflict")
    assert scene.world.violations() == []


@TWO_CLIENTS
@pytest.mark.parametrize("change", [("delete",), ("update", {"id": "11111111-1111-4111-8111-111111111111"})])
def test_person_being_booked_keeps_their_row_and_id(scene: Scene, change: Any) -> None:
    """The booking looks at the person's row after it took the lock; waiting for each other, they would deadlock."""
    therapist = scene.world.therapist()
    with transaction_as(scene.world, "authenticated", scene.me) as booking:
        run(booking, "select lock_for_booking(array[%s]::uuid[])", therapist)
        row = ("from", "users"), change, ("eq", "id", therapist)
        with asked_meanwhile(scene, scene.server.service, *row, waits=False) as answer:
            book(booking, scene.me, therapist, "20:00")
            run(booking, "commit")

    assert (answer.result().status, answer.result().code) == (503, "busy")
    assert scene.world.violations() == []


@pytest.fixture
def impatient_server(world: World) -> Iterator[PostgREST]:
    """A server whose timeouts are equal, as those of Supabase are, but short."""
    change = "alter role authenticated set statement_timeout = '{0}'; alter role authenticator set lock_timeout = '{0}'"
    with world.connect(user=world.superuser) as superuser:
        run(superuser, change.format("1s"))
        try:
            with serving(world.url) as running:
                yield running
        finally:
            run(superuser, change.format("8s"))


@TWO_CLIENTS
def test_a_booking_that_waits_for_too_long_is_busy(scene: Scene, impatient_server: PostgREST) -> None:
    with transaction_as(scene.world, "service_role") as writer, nothing_written(scene.world):
        run(writer, "select lock_for_booking(array[%s]::uuid[])", scene.therapist)
        answer = scene.client.ask(impatient_server.url, impatient_server.user(scene.me), [scene.booking()])

    # A statement_timeout (57014) would arrive as status 500.
    assert (answer.status, answer.code) == (503, "busy")
    assert scene.ask(scene.my_login, scene.booking()).status == 200


# How a request of the storm may end.
ALLOWED = {
    (200, ""), (201, ""), (204, ""),
    (402, "insufficient_credits"), (409, "booking_conflict"), (409, "client_conflict"),
}  # fmt: skip
CHANGES = {"move": {}, "cancel": {"status": "cancelled"}, "come back": {"status": "scheduled"}}
# What everybody must have done, who must have been refused, and how.
DONE = {"book", "insert", "delete", *CHANGES}
IN_THE_WAY = {"book", "insert", "move", "come back"}
CONFLICTS = {"booking_conflict", "client_conflict"}


@pytest.mark.storm
def test_storm_ends_in_sessions_and_conflicts_alone(world: World, server: PostgREST) -> None:
    """Updates are of one row: two that change many of the same rows may deadlock, with or without bookingdb."""
    therapists, clients = [world.therapist() for _ in range(2)], [world.client(credits=8) for _ in range(4)]
    ended, counting = Counter[tuple[str, int, str]](), threading.Lock()

    def done() -> set[str]:
        return {kind for kind, _, code in ended if code == ""}

    def in_the_way() -> set[str]:
        return {kind for kind, status, _ in ended if status == 409}

    def how() -> set[str]:
        return {code for _, status, code in ended if status == 409}

    def enough() -> bool:
        # All of them did something, and whoever can be in somebody's way was.
        with counting:
            return done() == DONE and in_the_way() == IN_THE_WAY and how() == CONFLICTS

    goes_on = lasting(SECONDS, enough)

    def some_request(choose: random.Random, sessions: list[dict[str, str]]) -> tuple[str, Login, Steps]:
        kind = choose.choice(["book", "book", "insert", *CHANGES, "delete"])
        user, therapist = choose.choice(clients), choose.choice(therapists)
        day = TOMORROW + dt.timedelta(days=choose.randrange(2))
        at = f"{choose.randrange(24):02}:{choose.randrange(4) * 15:02}"
        if kind == "book":
            booking = {"p_user_id": user, "p_therapist_id": therapist, "p_session_date": day, "p_session_time": at}
            return kind, server.user(user), [("rpc", BOOK, booking)]
        times = hour(at, day - TOMORROW)
        # Only who is away can come back; what is deleted or moved may be gone, which is no error.
        candidates = [row["id"] for row in sessions if (row["status"] == "cancelled") == (kind == "come back")]
        if kind == "insert" or not candidates:
            rows = [
                {"user_id": user, "therapist_id": therapist, **hour(at, day - TOMORROW + dt.timedelta(hours=n))}
                for n in range(choose.randrange(1, 4))
            ]
            return "insert", server.service, [("from", "sessions"), ("insert", rows)]
        change = ("delete",) if kind == "delete" else ("update", CHANGES[kind] or times)
        return kind, server.service, [("from", "sessions"), change, ("eq", "id", choose.choice(candidates))]

    def storm(seed: int) -> None:
        choose, client = random.Random(seed), SupabasePy()
        newest = ("order", "created_at", {"ascending": False}), ("limit", 60)
        listing = [("from", "sessions"), ("select", "id,status"), *newest]
        while goes_on():
            sessions = client.ask(server.url, server.service, listing).data
            for _ in range(10):
                kind, login, steps = some_request(choose, sessions)
                answer = client.ask(server.url, login, steps)
                with counting:
                    ended[kind, answer.status, answer.code] += 1
        client.close()

    with ThreadPoolExecutor(16) as callers:
        list(callers.map(storm, range(16)))

    assert {(status, code) for _, status, code in ended} <= ALLOWED, ended
    assert (done(), in_the_way(), how()) == (DONE, IN_THE_WAY, CONFLICTS), ended
    assert world.violations() == []
